"""The effect of each fault on an answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from pinterest_audiences.emulator import Emulator, FaultKind, RateLimits, Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from unit.emulator.conftest import Caller, FakeClock

LISTS = "549/customer_lists"
NEW_LIST = {"name": "Spring", "records": "a@example.com"}


def page(call: Caller, bookmark: object = None) -> dict[str, object]:
    query = {"page_size": 2, **({} if bookmark is None else {"bookmark": bookmark})}
    return call.fields(call("GET", LISTS, query=urlencode(query)))


def ids(fields: dict[str, object]) -> list[str]:
    items = fields["items"]
    assert isinstance(items, list)
    return [item["id"] for item in items]


def whole(response: Response) -> bool:
    return response.header("content-length") == str(len(response.body))


def test_status_fault_has_code_message_and_headers(call: Caller) -> None:
    """The request is not carried out."""
    call.emulator.fault(
        "status", status=429, code=8, message="Slow down.", headers={"Retry-After": "7"}
    )
    answer = call("POST", LISTS, NEW_LIST)
    assert answer.status == 429
    assert answer.json() == {"code": 8, "message": "Slow down."}
    assert answer.header("retry-after") == "7"
    assert answer.header("x-pinterest-rid")
    assert page(call)["items"] == []


@pytest.mark.parametrize("kind", ["status", "html"])
def test_applied_status_fault_carries_out_the_request(call: Caller, kind: FaultKind) -> None:
    """The list exists although the answer is an error."""
    call.emulator.fault(kind, status=503, applied=True, headers={"via": "proxy"})
    answer = call("POST", LISTS, NEW_LIST)
    assert (answer.status, whole(answer)) == (503, True)
    assert answer.header("via") == "proxy"
    assert call.emulator.requests[0].status == 503
    assert len(ids(page(call))) == 1


def test_html_fault_is_a_502_page(call: Caller) -> None:
    """Neither its type nor its bytes are JSON."""
    call.emulator.fault("html")
    answer = call("POST", LISTS, NEW_LIST)
    assert (answer.status, answer.header("content-type")) == (502, "text/html")
    assert answer.body.startswith(b"<html>")
    assert whole(answer)
    assert page(call)["items"] == []


@pytest.mark.parametrize(
    ("kind", "applied", "disconnect"),
    [
        ("reset_before", False, "reset"),
        ("reset_during", True, "reset_halfway"),
        ("reset_after", True, "reset"),
        ("no_answer", True, "close"),
    ],
)
def test_disconnect_faults_differ_in_carrying_out_the_request(
    call: Caller, kind: FaultKind, applied: bool, disconnect: str
) -> None:
    """The kind decides it; the response says how the connection ends."""
    call.emulator.fault(kind)
    assert call("POST", LISTS, NEW_LIST).disconnect == disconnect
    assert len(ids(page(call))) == applied


def test_any_fault_may_have_a_delay(call: Caller) -> None:
    """The request is carried out at once."""
    call.emulator.fault("slow", seconds=30.0)
    call.emulator.fault("status", seconds=2.5)
    assert call("POST", LISTS, NEW_LIST).delay == 30.0
    assert call("GET", LISTS).delay == 2.5
    assert len(ids(page(call))) == 1


def test_truncated_json_has_a_correct_length(call: Caller) -> None:
    """So that only a reader of the JSON can notice."""
    call.emulator.fault("truncated_json")
    answer = call("POST", LISTS, NEW_LIST)
    assert whole(answer)
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_wrong_content_type_has_the_right_body(call: Caller) -> None:
    """Also for refusals."""
    call.emulator.fault("wrong_content_type", content_type="text/html; charset=utf-8", times=2)
    assert call("GET", LISTS).header("content-type") == "text/html; charset=utf-8"
    refused = call("GET", "x/customer_lists")
    assert refused.header("content-type") == "text/html; charset=utf-8"
    assert call.fields(refused)["code"] == 1


def test_unknown_fields_and_enums_are_in_every_item(call: Caller) -> None:
    """Of a page and of a single list."""
    call.emulator.seed_lists("549", 2)
    path = f"{LISTS}/{call.create()['id']}"
    call.emulator.fault("unknown_field", times=2)
    call.emulator.fault("unknown_enum", value="FROZEN", times=2)
    call.emulator.fault("unknown_field", field="tags", value=["a"])
    for field, value in (("field_of_tomorrow", "VALUE_OF_TOMORROW"), ("status", "FROZEN")):
        items = page(call)["items"]
        assert isinstance(items, list)
        assert [item[field] for item in items] == [value, value]
        assert call.fields(call("GET", path))[field] == value
    assert call.fields(call("GET", path))["tags"] == ["a"]


def test_missing_field_is_removed_from_items_or_page(call: Caller) -> None:
    """Wherever it is."""
    call.emulator.seed_lists("549", 2)
    call.emulator.fault("missing_field", field="name")
    call.emulator.fault("missing_field", field="items")
    items = page(call)["items"]
    assert isinstance(items, list)
    assert ["name" in item for item in items] == [False, False]
    assert page(call).keys() == {"bookmark"}


def test_repeated_bookmark_returns_the_same_page(call: Caller) -> None:
    """The first page has none to repeat, and is unchanged."""
    call.emulator.seed_lists("549", 6)
    call.emulator.fault("repeated_bookmark")
    first = page(call)
    second = page(call, first["bookmark"])
    assert second["bookmark"] == first["bookmark"]
    again = page(call, second["bookmark"])
    assert ids(again) == ids(second)
    assert again["bookmark"] not in (None, first["bookmark"])


@pytest.mark.parametrize("after", [0, 1, 2])
def test_empty_page_leads_to_its_items(call: Caller, after: int) -> None:
    """With a new bookmark, on every page."""
    expected = list(call.emulator.seed_lists("549", 5))
    call.emulator.fault("empty_page", after=after, times=2)
    pages, bookmark = [], None
    seen: set[object] = set()
    while bookmark not in seen:
        seen.add(bookmark)
        fields = page(call, bookmark)
        pages.append(ids(fields))
        bookmark = fields["bookmark"]
    assert pages[after : after + 2] == [[], []]
    assert [each for ids_ in pages for each in ids_] == expected
    assert bookmark is None


def test_clock_skew_turns_the_reset_into_a_time(
    new_emulator: Callable[..., Emulator], call: Caller, clock: FakeClock
) -> None:
    """Seconds to wait become Unix seconds, fast or slow; without limits nothing is sent."""
    call.emulator.fault("clock_skew", seconds=90.0)
    assert call("GET", LISTS).header("x-ratelimit-reset") is None
    call.emulator = new_emulator(rate_limits=RateLimits())
    for seconds in (90.0, -90.0):
        call.emulator.fault("clock_skew", seconds=seconds)
        answer = call("GET", LISTS)
        assert answer.header("x-ratelimit-reset") == str(round(clock.now + 1 + seconds))
        assert answer.delay == 0.0


def test_head_and_unknown_paths_ignore_operation_faults(call: Caller) -> None:
    """HEAD has no body to change; a path without an operation matches only faults without one."""
    call.emulator.fault("html")
    call.emulator.fault("status", operation="customer_lists_list")
    assert call("HEAD", LISTS).body == b""
    assert call("GET", "549/unknown").status == 502
    assert call("GET", "549/unknown").status == 404
    assert len(call.emulator.faults) == 1
