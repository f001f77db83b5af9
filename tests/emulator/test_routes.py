"""The four operations as a client sees them: what is done, what is refused, and in which words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pinterest_audiences.emulator import Emulator, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.conftest import Caller

LISTS = "549/customer_lists"
ROW = {"email": "a@example.com", "maid": "0" * 32}


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
        "/v5/ad_accounts/549/customer_lists/1/uploads/",
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
