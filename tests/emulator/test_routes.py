"""The four operations as a client sees them: what is done, what is refused, and in which words."""

from __future__ import annotations

import json
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from pinterest_audiences.emulator import Emulator, JournalEntry, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.emulator.conftest import Caller, FakeClock

LISTS = "549/customer_lists"
ROW = {"email": "a@example.com", "maid": "0" * 32}
SECRET = "secret.person@example.com"


def test_a_created_list_is_answered_with_200_and_as_it_is_shown_later(call: Caller) -> None:
    """Create, get and the Python view agree."""
    created = call.create(name="Spring", records="a@example.com,b@example.com")
    assert created["name"] == "Spring"
    assert created["status"] == "PROCESSING"
    assert created["num_uploaded_user_records"] == 2
    got = call("GET", f"{LISTS}/{created['id']}")
    assert got.status == 200
    assert got.json() == created == call.emulator.customer_list(str(created["id"]))


def test_a_create_may_answer_201(new_emulator: Callable[..., Emulator], call: Caller) -> None:
    """Version 5.28 of the API allows it, with the same body; the others stay at 200."""
    call.emulator = new_emulator(create_status=201)
    created = call("POST", LISTS, {"name": "Spring", "records": "a"})
    assert created.status == 201
    path = f"{LISTS}/{call.fields(created)['id']}"
    assert call("GET", path).json() == created.json()
    assert call("PATCH", path, {"operation_type": "ADD", "records": "b"}).status == 200


def test_records_may_end_in_a_comma_and_empty_pieces_are_no_records(call: Caller) -> None:
    """Only what stands between commas is counted and kept."""
    created = call.create(records=",a,,b,a,")
    assert created["num_uploaded_user_records"] == 3
    assert call.emulator.members(str(created["id"])) == {"a", "b"}


def test_rows_are_members_by_their_fields_whatever_the_order(call: Caller) -> None:
    """The same fields in another order are the same row; an empty field says nothing."""
    reordered = {"maid": ROW["maid"], "email": ROW["email"], "user_agent": ""}
    answer = call("POST", LISTS, {"name": "Spring", "records_v2": [ROW, reordered]})
    created = call.fields(answer)
    assert created["num_uploaded_user_records"] == 2
    assert call.emulator.members(str(created["id"])) == {
        (("email", "a@example.com"), ("maid", "0" * 32))
    }


def test_every_column_of_a_row_is_taken(call: Caller) -> None:
    """All eight of version 5.28."""
    row = {
        "email": "e",
        "maid": "m",
        "hashed_phone_number": "p",
        "hashed_pinner_id": "i",
        "external_id": "x",
        "ip_address": "192.0.2.1",
        "user_agent": "u",
        "liveramp_envelope": "l",
    }
    answer = call("POST", LISTS, {"name": "Spring", "records_v2": [row]})
    assert call.emulator.members(str(call.fields(answer)["id"])) == {tuple(sorted(row.items()))}


def test_an_update_adds_and_removes_and_answers_with_the_list(call: Caller) -> None:
    """Records and rows alike; removing does not need them to be there."""
    path = f"{LISTS}/{call.create(records='a,b')['id']}"
    added = call("PATCH", path, {"operation_type": "ADD", "records_v2": [ROW]})
    removed = call("PATCH", path, {"operation_type": "REMOVE", "records": "b,c"})
    assert (added.status, removed.status) == (200, 200)
    assert removed.json() == call("GET", path).json()
    fields = call.fields(removed)
    assert fields["num_batches"] == 3
    assert fields["num_uploaded_user_records"] == 3
    assert fields["num_removed_user_records"] == 2
    assert call.emulator.members(str(fields["id"])) == {"a", tuple(sorted(ROW.items()))}


def test_is_nca_is_kept_and_shown(call: Caller) -> None:
    """False unless asked for."""
    assert call.create()["is_nca"] is False
    assert call.create(is_nca=True)["is_nca"] is True


@pytest.mark.parametrize(
    "list_type", ["EMAIL", "IDFA", "MAID", "LR_ID", "DLX_ID", "HASHED_PINNER_ID"]
)
def test_every_list_type_is_taken_and_none_is_shown(call: Caller, list_type: str) -> None:
    """The API never tells what a list was said to hold."""
    assert "list_type" not in call.create(list_type=list_type)


BAD_RECORDS: list[dict[str, object]] = [
    {},
    {"records": "a", "records_v2": [ROW]},
    {"records": ""},
    {"records": ",,,"},
    {"records": None},
    {"records": [SECRET]},
    {"records": 5},
    {"records_v2": []},
    {"records_v2": None},
    {"records_v2": SECRET},
    {"records_v2": {"email": SECRET}},
    {"records_v2": [SECRET]},
    {"records_v2": [{}]},
    {"records_v2": [{"email": ""}]},
    {"records_v2": [ROW, {}]},
    {"records_v2": [{"email": None}]},
    {"records_v2": [{"email": 5, "maid": SECRET}]},
    {"records_v2": [{"email": [SECRET]}]},
    {"records_v2": [{"phone": SECRET}]},
    {"records_v2": [{SECRET: "x"}]},
]
BAD_CREATES: list[dict[str, object]] = [
    *({"name": SECRET, **records} for records in BAD_RECORDS),
    {"records": SECRET},
    {"name": "", "records": SECRET},
    {"name": None, "records": SECRET},
    {"name": 5, "records": SECRET},
    {"name": [SECRET], "records": SECRET},
    {"name": SECRET, "records": SECRET, "list_type": "PHONE"},
    {"name": SECRET, "records": SECRET, "list_type": "email"},
    {"name": SECRET, "records": SECRET, "list_type": None},
    {"name": SECRET, "records": SECRET, "list_type": [SECRET]},
    {"name": SECRET, "records": SECRET, "is_nca": "true"},
    {"name": SECRET, "records": SECRET, "is_nca": 1},
    {"name": SECRET, "records": SECRET, "is_nca": None},
]
BAD_UPDATES: list[dict[str, object]] = [
    *({"operation_type": "ADD", **records} for records in BAD_RECORDS),
    {"records": SECRET},
    {"operation_type": "REPLACE", "records": SECRET},
    {"operation_type": "add", "records": SECRET},
    {"operation_type": None, "records": SECRET},
    {"operation_type": [SECRET], "records": SECRET},
]
# Allowed for both operations, until it is spoilt.
WHOLE = b'{"name": "x", "records": "a", "operation_type": "ADD", "unknown": 0}'
NOT_OBJECTS = [
    b"",
    b"null",
    b"[]",
    b'"text"',
    b"5",
    b'{"name": ',
    b"<html></html>",
    b"\xff\xfe",
    b"\xef\xbb\xbf" + WHOLE,
    WHOLE.decode().encode("utf-16"),
    WHOLE.replace(b"0", b"NaN"),
    WHOLE.replace(b"0", b"-Infinity"),
    WHOLE.replace(b"0", b"9" * 5000),
    WHOLE.replace(b"a", b"\xe9"),
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"name=Spring&records=a",
]


@pytest.mark.parametrize("body", BAD_CREATES)
def test_a_create_that_is_not_allowed_is_refused_and_nothing_is_made(
    call: Caller, body: dict[str, object]
) -> None:
    """400, code 1, and not a word of what was sent."""
    answer = call("POST", LISTS, body)
    assert answer.status == 400
    assert call.fields(answer)["code"] == 1
    assert b"secret" not in answer.body
    assert call("GET", LISTS).json() == {"items": [], "bookmark": None}


@pytest.mark.parametrize("body", BAD_UPDATES)
def test_an_update_that_is_not_allowed_is_refused_and_nothing_changes(
    call: Caller, body: dict[str, object]
) -> None:
    """400, code 1, and not a word of what was sent."""
    created = call.create()
    answer = call("PATCH", f"{LISTS}/{created['id']}", body)
    assert answer.status == 400
    assert call.fields(answer)["code"] == 1
    assert b"secret" not in answer.body
    assert call.emulator.customer_list(str(created["id"])) == created


@pytest.mark.parametrize("body", NOT_OBJECTS, ids=range(len(NOT_OBJECTS)))
def test_a_body_that_is_no_json_object_is_refused(call: Caller, body: bytes) -> None:
    """Empty, broken, too deep, in another encoding, or something else than an object."""
    path = f"{LISTS}/{call.create()['id']}"
    assert call("POST", LISTS, body=WHOLE).status == 200
    assert call("PATCH", path, body=WHOLE).status == 200
    for answer in (call("POST", LISTS, body=body), call("PATCH", path, body=body)):
        assert answer.status == 400
        assert call.fields(answer)["code"] == 1


def test_a_refusal_says_what_is_wrong(call: Caller) -> None:
    """Both kinds of records at once is told in the words of the description."""
    answer = call("POST", LISTS, {"name": "Spring", "records": "a", "records_v2": [ROW]})
    assert answer.json() == {
        "code": 1,
        "message": "Invalid parameters. Provide exactly one of records or records_v2.",
    }


@pytest.mark.parametrize(
    "query",
    [
        "page_size=0",
        "page_size=251",
        "page_size=ten",
        "page_size=",
        "page_size=-5",
        "page_size=10.0",
        "page_size=%D9%A3",
        "page_size=" + "9" * 5000,
        "page_size=" + "0" * 5000,
        "order=ascending",
        "order=",
        "order=RANDOM",
        "exclude_nca=",
        "exclude_nca=1",
        "page_size=0&page_size=5",
    ],
)
def test_a_query_that_is_not_allowed_is_refused(call: Caller, query: str) -> None:
    """400 and code 1 for anything outside of what the description says."""
    answer = call("GET", LISTS, query=query)
    assert answer.status == 400
    assert call.fields(answer)["code"] == 1


@pytest.mark.parametrize(
    ("query", "items"),
    [
        ("page_size=1", 1),
        ("page_size=250", 3),
        ("page_size=002", 2),
        ("page_size=" + "0" * 5000 + "2", 2),
        ("page_size=2&page_size=junk", 2),
        ("exclude_nca=True", 2),
        ("exclude_nca=false", 3),
        ("unknown=x&=&&%zz=%ff&;", 3),
        ("", 3),
    ],
)
def test_a_query_that_is_allowed_is_obeyed(call: Caller, query: str, items: int) -> None:
    """Of a key that comes twice the first counts; what is unknown is ignored."""
    call.create()
    call.create()
    call.create(is_nca=True)
    answer = call("GET", LISTS, query=query)
    assert answer.status == 200
    listed = call.fields(answer)["items"]
    assert isinstance(listed, list)
    assert len(listed) == items


@pytest.mark.parametrize(
    "identifier", ["x", "-1", "1.0", "1e3", "%20", "%D9%A3", "..", "1%2F2", "%ff", "1\n", "9" * 19]
)
def test_an_id_that_is_not_digits_is_refused(call: Caller, identifier: str) -> None:
    """400 and code 1 for accounts and lists, in the words of the API."""
    for path in (f"{identifier}/customer_lists", f"{LISTS}/{identifier}"):
        answer = call("GET", path)
        assert answer.status == 400
        assert call.fields(answer)["code"] == 1


def test_a_misshapen_id_is_named_in_the_words_of_the_api(call: Caller) -> None:
    """Which parameter, and what it must look like; a long value is cut."""
    assert call("GET", "12a/customer_lists").json() == {
        "code": 1,
        "message": "'ad_account_id' value '12a' must match the pattern: ^\\d+$",
    }
    assert len(call("GET", f"{LISTS}/{'x' * 10_000}").body) < 200
    assert "18 characters" in str(call("GET", f"{LISTS}/{'1' * 19}").json())


@pytest.mark.parametrize("identifier", ["1", "000", "999999999999999999"])
def test_a_list_that_is_not_there_is_404(call: Caller, identifier: str) -> None:
    """For reading and for changing."""
    call.create()
    for method in ("GET", "PATCH"):
        answer = call(method, f"{LISTS}/{identifier}", {"operation_type": "ADD", "records": "a"})
        assert answer.status == 404
        assert answer.json() == {"code": 404, "message": "Customer list not found."}


def test_a_list_of_another_account_is_404(call: Caller) -> None:
    """An id alone opens nothing."""
    created = call.create("549")
    assert call("GET", f"550/customer_lists/{created['id']}").status == 404


def test_an_account_that_is_not_there_is_404(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """With named accounts only they exist; without, every numeric one does."""
    assert call("GET", "1/customer_lists").status == 200
    call.emulator = new_emulator(ad_accounts=["549"])
    call.create("549")
    for answer in (
        call("GET", "1/customer_lists"),
        call("POST", "1/customer_lists", {"name": "Spring", "records": "a"}),
        call("GET", "1/customer_lists/2"),
    ):
        assert answer.status == 404
        assert answer.json() == {"code": 404, "message": "Ad account not found."}


@pytest.mark.parametrize(("path", "allow"), [(LISTS, "GET, POST"), (f"{LISTS}/1", "GET, PATCH")])
@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "get", "", "BREW"])
def test_an_undeclared_method_is_405_with_allow(
    call: Caller, method: str, path: str, allow: str
) -> None:
    """Code 5, and what the path would take."""
    answer = call(method, path)
    assert answer.status == 405
    assert answer.json() == {"code": 5, "message": "Method not allowed"}
    assert answer.header("Allow") == allow


def test_head_is_405_without_a_body_but_with_its_length(call: Caller) -> None:
    """HEAD never has a body."""
    answer = call("HEAD", LISTS)
    assert (answer.status, answer.body) == (405, b"")
    assert answer.header("content-length") == call("PUT", LISTS).header("content-length")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "*",
        "/v5",
        "/v4/ad_accounts/549/customer_lists",
        "/v5/ad_accounts/549/customer_lists/",
        "/v5/ad_accounts//customer_lists",
        "/v5/ad_accounts/549/customer_lists/1/uploads",
        "/v5/ad_accounts/549/Customer_lists",
        "//v5/ad_accounts/549/customer_lists",
    ],
)
def test_an_unknown_path_is_404_for_everybody(call: Caller, path: str) -> None:
    """In the error form of the API, with or without a token."""
    for headers in ({}, {"Authorization": "Bearer pina_test"}):
        answer = call.emulator.handle(Request(method="GET", path=path, headers=headers))
        assert answer.status == 404
        assert answer.json() == {"code": 404, "message": "Not found."}


def test_percent_encoded_words_of_a_path_are_decoded(call: Caller) -> None:
    """A path is the same however it was encoded."""
    assert call("GET", "54%39/customer%5Flists").status == 200


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "pina_test", "Basic pina_test", "Bearer a b", "\x00"],
)
def test_a_request_without_a_bearer_token_is_401(call: Caller, authorization: str | None) -> None:
    """Code 2, and nothing is done."""
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = call.emulator.handle(
        Request(
            method="POST",
            path=f"/v5/ad_accounts/{LISTS}",
            headers=headers,
            body=b'{"name": "Spring", "records": "a"}',
        )
    )
    assert answer.status == 401
    assert answer.json() == {"code": 2, "message": "Authentication failed."}
    assert call("GET", LISTS).json() == {"items": [], "bookmark": None}


def test_only_named_tokens_are_accepted_when_there_are_any(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """Several may be named; the scheme's case does not matter."""
    call.emulator = new_emulator(access_tokens=["one", "two"])
    assert call("GET", LISTS, token="one").status == 200
    assert call("GET", LISTS, token="two").status == 200
    assert call("GET", LISTS, token="three").status == 401
    request = Request(
        method="GET", path=f"/v5/ad_accounts/{LISTS}", headers={"authorization": "bEARER one"}
    )
    assert call.emulator.handle(request).status == 200


def test_every_answer_has_a_request_id_that_follows_from_the_seed(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """Never the same twice in one emulator, and the same sequence in another of its seed."""

    def ids(seed: int) -> list[str | None]:
        call.emulator = new_emulator(seed=seed, access_tokens=["good"])
        answers = [
            call("GET", LISTS, token="good"),
            call("GET", LISTS, token="bad"),
            call("GET", "x/customer_lists", token="good"),
            call("GET", "549/unknown"),
            call("DELETE", LISTS),
        ]
        return [answer.header("X-Pinterest-Rid") for answer in answers]

    first = ids(1)
    assert all(each is not None and each.isdigit() for each in first)
    assert len(set(first)) == len(first)
    assert ids(1) == first
    assert not set(ids(2)) & set(first)


def test_answers_are_json_with_their_length(call: Caller) -> None:
    """Also when names are not ASCII, or no proper Unicode at all."""
    for name in ("Été 🌞", "\ud800"):
        answer = call("POST", LISTS, {"name": name, "records": "a"})
        assert answer.header("content-type") == "application/json"
        assert answer.header("content-length") == str(len(answer.body))
        assert call.fields(answer)["name"] == name
    assert answer.header("unknown") is None


def test_a_body_above_fifty_megabytes_is_413(call: Caller) -> None:
    """The limit itself is not too much yet."""
    assert call("POST", LISTS, body=b" " * 50_000_001).status == 413
    assert call("POST", LISTS, body=b" " * 50_000_000).status == 400


def test_the_journal_tells_what_happened_without_anything_personal(call: Caller) -> None:
    """Method, path, status and category: no query, no header, no body."""
    call.create(records=SECRET)
    call("GET", LISTS, query=f"bookmark={SECRET}", token=SECRET)
    call("GET", "549/unknown")
    assert call.emulator.requests == (
        JournalEntry("POST", f"/v5/ad_accounts/{LISTS}", 200, "ads_write"),
        JournalEntry("GET", f"/v5/ad_accounts/{LISTS}", 400, "ads_read"),
        JournalEntry("GET", "/v5/ad_accounts/549/unknown", 404, None),
    )
    assert SECRET not in repr(call.emulator.requests)


def test_the_journal_keeps_the_last_ten_thousand(call: Caller) -> None:
    """It does not grow for ever."""
    call.create()
    for _ in range(10_000):
        call("GET", "549/unknown")
    assert len(call.emulator.requests) == 10_000
    assert {entry.method for entry in call.emulator.requests} == {"GET"}


def test_representations_show_counts_and_no_content(call: Caller) -> None:
    """Neither records nor tokens nor names come out of a repr."""
    call.create(name=SECRET, records=f"{SECRET},b")
    call.create("550")
    call("GET", "549/unknown")
    assert repr(call.emulator) == (
        "<Emulator: 2 ad_accounts, 2 customer_lists, 3 members, 3 requests>"
    )
    request = Request(
        method="GET",
        path="/",
        query=SECRET,
        headers={"Authorization": SECRET},
        body=SECRET.encode(),
    )
    assert SECRET not in repr(request)
    assert SECRET not in repr(call("POST", LISTS, {"name": SECRET, "records": "a"}))


def test_seeded_lists_are_there_at_once_and_cost_nothing(call: Caller) -> None:
    """Named, filled, in order, and in no journal."""
    ids = call.emulator.seed_lists("549", 3, name="Seed {}", records=["a", "b"], is_nca=True)
    assert [call.emulator.customer_list(each)["name"] for each in ids] == [
        "Seed 1",
        "Seed 2",
        "Seed 3",
    ]
    assert call.emulator.members(ids[2]) == {"a", "b"}
    assert call.emulator.customer_list(ids[0])["is_nca"] is True
    assert call.emulator.requests == ()
    call("PATCH", f"{LISTS}/{ids[0]}", {"operation_type": "REMOVE", "records": "a"})
    assert call.emulator.members(ids[0]) == {"b"}
    assert call.emulator.members(ids[1]) == {"a", "b"}


@pytest.mark.parametrize("account", ["", "x", "1"])
def test_lists_cannot_be_seeded_into_an_account_that_is_not_there(
    new_emulator: Callable[..., Emulator], account: str
) -> None:
    """The same accounts count as for requests."""
    emulator = new_emulator(ad_accounts=["549"])
    with pytest.raises(ValueError, match="ad_account_id"):
        emulator.seed_lists(account, 1)


def test_asking_python_for_an_unknown_list_is_a_key_error(call: Caller) -> None:
    """For its fields and for its members."""
    with pytest.raises(KeyError):
        call.emulator.customer_list("1")
    with pytest.raises(KeyError):
        call.emulator.members("1")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("match_rate", -0.1),
        ("match_rate", 1.1),
        ("match_rate", float("nan")),
        ("processing_seconds", -1.0),
        ("processing_seconds", float("nan")),
        ("create_status", 204),
        ("ad_accounts", "549"),
        ("ad_accounts", ["54x"]),
        ("ad_accounts", ["1" * 19]),
        ("access_tokens", "pina_test"),
        ("access_tokens", [""]),
        ("access_tokens", ["a b"]),
        ("access_tokens", ["a\n"]),
    ],
)
def test_a_setting_out_of_its_range_is_refused(
    new_emulator: Callable[..., Emulator], setting: str, value: object
) -> None:
    """At once, by name, and without repeating a token."""
    with pytest.raises(ValueError, match=setting) as refusal:
        new_emulator(**{setting: value})
    assert "pina_test" not in str(refusal.value)


def test_the_clock_drives_what_clients_see(
    new_emulator: Callable[..., Emulator], call: Caller, clock: FakeClock
) -> None:
    """PROCESSING at first, READY when the time has come, with no request in between."""
    call.emulator = new_emulator(processing_seconds=60.0)
    created = call.create(records=",".join(map(str, range(100))))
    path = f"{LISTS}/{created['id']}"
    assert call.fields(call("GET", path))["status"] == "PROCESSING"
    clock.advance(60)
    assert call.fields(call("GET", path))["status"] == "READY"


def test_threads_may_share_an_emulator(call: Caller) -> None:
    """No update is lost, and every answer has an id of its own."""
    identifier = str(call.create(records="seed")["id"])
    answers: list[str | None] = []

    def add(thread: int) -> None:
        for number in range(50):
            body = {"operation_type": "ADD", "records": f"{thread}.{number}"}
            answer = call("PATCH", f"{LISTS}/{identifier}", body)
            answers.append(answer.header("x-pinterest-rid"))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    fields = call.emulator.customer_list(identifier)
    assert fields["num_batches"] == 401
    assert fields["num_uploaded_user_records"] == 401
    assert len(call.emulator.members(identifier)) == 401
    assert len(set(answers)) == 400


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/v5/x?a=1?b", "/v5/x", "a=1?b"),
        (b"http://127.0.0.1:8765/v5/x?a=1", "/v5/x", "a=1"),
        (b"http://127.0.0.1", "/", ""),
        (b"/v5/x?url=http://elsewhere/", "/v5/x", "url=http://elsewhere/"),
        (b"*", "*", ""),
        (b"", "", ""),
    ],
)
def test_a_request_target_is_a_path_or_a_whole_url(target: bytes, path: str, query: str) -> None:
    """Both forms lead to the same place."""
    request = Request.from_wire(b"GET", target, [], b"")
    assert (request.path, request.query) == (path, query)


def test_headers_are_found_in_any_case_and_repeats_are_joined() -> None:
    """As HTTP has it."""
    request = Request.from_wire(b"GET", b"/", [(b"X-A", b"1"), (b"x-a", b"\xe9")], b"")
    assert request.headers == {"x-a": "1, \xe9"}
    assert json.dumps(dict(Request(method="GET", path="/", headers={"X-B": "2"}).headers)) == (
        '{"x-b": "2"}'
    )
