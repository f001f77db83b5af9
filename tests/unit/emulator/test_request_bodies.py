"""Request bodies that are refused with 400 and code 1; the message repeats nothing from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.cases import each_case

if TYPE_CHECKING:
    from unit.emulator.conftest import Caller

LISTS = "549/customer_lists"
ROW = {"email": "a@example.com", "maid": "0" * 32}
SECRET = "secret.person@example.com"

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
# Valid for both operations, before a field is changed.
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


@each_case("body", BAD_CREATES)
def test_invalid_create_is_400_and_creates_nothing(call: Caller, body: dict[str, object]) -> None:
    """Code 1, and the message repeats nothing that was sent."""
    answer = call("POST", LISTS, body)
    assert answer.status == 400
    assert call.fields(answer)["code"] == 1
    assert b"secret" not in answer.body
    assert call("GET", LISTS).json() == {"items": [], "bookmark": None}


@pytest.mark.parametrize("body", BAD_UPDATES)
def test_invalid_update_is_400_and_changes_nothing(call: Caller, body: dict[str, object]) -> None:
    """Code 1, and the message repeats nothing that was sent."""
    created = call.create()
    answer = call("PATCH", f"{LISTS}/{created['id']}", body)
    assert answer.status == 400
    assert call.fields(answer)["code"] == 1
    assert b"secret" not in answer.body
    assert call.emulator.customer_list(str(created["id"])) == created


@pytest.mark.parametrize("body", NOT_OBJECTS, ids=range(len(NOT_OBJECTS)))
def test_body_that_is_not_a_json_object_is_refused(call: Caller, body: bytes) -> None:
    """Empty, broken, too deep, in another encoding, or not an object."""
    path = f"{LISTS}/{call.create()['id']}"
    assert call("POST", LISTS, body=WHOLE).status == 200
    assert call("PATCH", path, body=WHOLE).status == 200
    for answer in (call("POST", LISTS, body=body), call("PATCH", path, body=body)):
        assert answer.status == 400
        assert call.fields(answer)["code"] == 1


def test_refusal_describes_the_problem(call: Caller) -> None:
    """Both kinds of records at once have the message of the description."""
    answer = call("POST", LISTS, {"name": "Spring", "records": "a", "records_v2": [ROW]})
    assert answer.json() == {
        "code": 1,
        "message": "Invalid parameters. Provide exactly one of records or records_v2.",
    }
