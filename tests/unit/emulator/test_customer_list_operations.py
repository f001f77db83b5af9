"""The four operations on customer lists: effects, answers and refusals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pinterest_audiences.emulator import Emulator, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from unit.emulator.conftest import Caller

LISTS = "549/customer_lists"
ROW = {"email": "a@example.com", "maid": "0" * 32}


def test_create_answers_200_with_the_list(call: Caller) -> None:
    """Create, get and `Emulator.customer_list` agree."""
    created = call.create(name="Spring", records="a@example.com,b@example.com")
    assert created["name"] == "Spring"
    assert created["status"] == "PROCESSING"
    assert created["num_uploaded_user_records"] == 2
    got = call("GET", f"{LISTS}/{created['id']}")
    assert got.status == 200
    assert got.json() == created == call.emulator.customer_list(str(created["id"]))


def test_list_create_answers_configured_201(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """Version 5.28 of the API allows it, with the same body; the others stay at 200."""
    call.emulator = new_emulator(create_status=201)
    created = call("POST", LISTS, {"name": "Spring", "records": "a"})
    assert created.status == 201
    path = f"{LISTS}/{call.fields(created)['id']}"
    assert call("GET", path).json() == created.json()
    assert call("PATCH", path, {"operation_type": "ADD", "records": "b"}).status == 200


def test_empty_records_are_ignored(call: Caller) -> None:
    """Only what stands between commas is counted and stored."""
    created = call.create(records=",a,,b,a,")
    assert created["num_uploaded_user_records"] == 3
    assert call.emulator.members(str(created["id"])) == {"a", "b"}


def test_rows_are_equal_regardless_of_field_order(call: Caller) -> None:
    """An empty field is ignored."""
    reordered = {"maid": ROW["maid"], "email": ROW["email"], "user_agent": ""}
    answer = call("POST", LISTS, {"name": "Spring", "records_v2": [ROW, reordered]})
    created = call.fields(answer)
    assert created["num_uploaded_user_records"] == 2
    assert call.emulator.members(str(created["id"])) == {
        (("email", "a@example.com"), ("maid", "0" * 32))
    }


def test_every_field_of_a_row_is_accepted(call: Caller) -> None:
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


def test_update_adds_and_removes_records_and_rows(call: Caller) -> None:
    """It answers with the list; removing an unknown record is allowed."""
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


def test_is_nca_is_in_listings_only(call: Caller) -> None:
    """False by default; the answers to create, get and update do not have it."""
    plain, new = call.create(), call.create(is_nca=True)
    path = f"{LISTS}/{new['id']}"
    got = call.fields(call("GET", path))
    changed = call.fields(call("PATCH", path, {"operation_type": "ADD", "records": "b"}))
    assert all("is_nca" not in each for each in (plain, new, got, changed))
    listed = call.fields(call("GET", LISTS))["items"]
    assert listed == [{**plain, "is_nca": False}, {**changed, "is_nca": True}]


def test_repeated_name_creates_another_list(call: Caller) -> None:
    """A name is not a key."""
    first, second = call.create(name="Spring"), call.create(name="Spring")
    assert first["id"] != second["id"]
    assert call.emulator.counts()["customer_lists"] == 2


def test_list_ids_have_7_digits_and_audience_ids_13(call: Caller) -> None:
    """So that mixing them up is noticed."""
    lists = call.emulator.seed_lists("549", 1_000)
    audiences = call.emulator.seed_audiences("549", 10)
    assert {len(each) for each in lists} == {7}
    assert {len(each) for each in audiences} == {13}
    assert call("GET", f"{LISTS}/{audiences[0]}").status == 404
    assert call("GET", f"549/audiences/{lists[0]}").status == 404


@pytest.mark.parametrize(
    "list_type", ["EMAIL", "IDFA", "MAID", "LR_ID", "DLX_ID", "HASHED_PINNER_ID"]
)
def test_list_types_are_accepted_but_not_shown(call: Caller, list_type: str) -> None:
    """No answer of the API has the list type."""
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
def test_invalid_query_is_400(call: Caller, query: str) -> None:
    """Code 1 for anything that the description does not allow."""
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
def test_valid_query_is_applied(call: Caller, query: str, items: int) -> None:
    """The first value of a repeated parameter is used; unknown ones are ignored."""
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
def test_id_without_digits_is_400(call: Caller, identifier: str) -> None:
    """Code 1 for accounts and lists, with the message of the API."""
    for path in (f"{identifier}/customer_lists", f"{LISTS}/{identifier}"):
        answer = call("GET", path)
        assert answer.status == 400
        assert call.fields(answer)["code"] == 1


def test_malformed_id_has_the_message_of_the_api(call: Caller) -> None:
    """The parameter and its pattern; a long value is cut."""
    assert call("GET", "12a/customer_lists").json() == {
        "code": 1,
        "message": "'ad_account_id' value '12a' must match the pattern: ^\\d+$",
    }
    assert len(call("GET", f"{LISTS}/{'x' * 10_000}").body) < 200
    assert "18 characters" in str(call("GET", f"{LISTS}/{'1' * 19}").json())


@pytest.mark.parametrize("identifier", ["1", "000", "999999999999999999"])
def test_unknown_list_is_404(call: Caller, identifier: str) -> None:
    """For reading and for changing."""
    call.create()
    for method in ("GET", "PATCH"):
        answer = call(method, f"{LISTS}/{identifier}", {"operation_type": "ADD", "records": "a"})
        assert answer.status == 404
        assert answer.json() == {"code": 404, "message": "Customer list not found."}


def test_list_of_another_account_is_404(call: Caller) -> None:
    """The id alone is not enough."""
    created = call.create("549")
    assert call("GET", f"550/customer_lists/{created['id']}").status == 404


def test_unknown_account_is_404(new_emulator: Callable[..., Emulator], call: Caller) -> None:
    """With `ad_accounts` only those exist; without, every numeric one does."""
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
def test_undeclared_method_is_405_with_allow(
    call: Caller, method: str, path: str, allow: str
) -> None:
    """Code 5, and the allowed methods."""
    answer = call(method, path)
    assert answer.status == 405
    assert answer.json() == {"code": 5, "message": "Method not allowed"}
    assert answer.header("Allow") == allow


def test_head_is_405_without_body_but_with_length(call: Caller) -> None:
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
def test_unknown_path_is_404_with_and_without_token(call: Caller, path: str) -> None:
    """In the error format of the API."""
    for headers in ({}, {"Authorization": "Bearer pina_test"}):
        answer = call.emulator.handle(Request(method="GET", path=path, headers=headers))
        assert answer.status == 404
        assert answer.json() == {"code": 404, "message": "Not found."}


def test_percent_encoded_path_is_decoded(call: Caller) -> None:
    """Every encoding of a path is the same path."""
    assert call("GET", "54%39/customer%5Flists").status == 200


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "pina_test", "Basic pina_test", "Bearer a b", "\x00"],
)
def test_request_without_bearer_token_is_401(call: Caller, authorization: str | None) -> None:
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


def test_only_given_access_tokens_are_accepted(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """Several may be given; the scheme is case-insensitive."""
    call.emulator = new_emulator(access_tokens=["one", "two"])
    assert call("GET", LISTS, token="one").status == 200
    assert call("GET", LISTS, token="two").status == 200
    assert call("GET", LISTS, token="three").status == 401
    request = Request(
        method="GET", path=f"/v5/ad_accounts/{LISTS}", headers={"authorization": "bEARER one"}
    )
    assert call.emulator.handle(request).status == 200
