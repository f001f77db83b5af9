"""What each fault does to an answer, before a door sends it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from pinterest_audiences.emulator import Emulator, FaultKind, RateLimits, Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.conftest import Caller, FakeClock

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


def test_a_status_has_code_message_and_headers_and_nothing_is_done(call: Caller) -> None:
    """As if something in front of Pinterest had refused."""
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
def test_an_error_may_hide_that_the_request_was_carried_out(call: Caller, kind: FaultKind) -> None:
    """The list is there, and the client was told of a failure."""
    call.emulator.fault(kind, status=503, applied=True, headers={"via": "proxy"})
    answer = call("POST", LISTS, NEW_LIST)
    assert (answer.status, whole(answer)) == (503, True)
    assert answer.header("via") == "proxy"
    assert call.emulator.requests[0].status == 503
    assert len(ids(page(call))) == 1


def test_a_proxys_page_is_html_with_502(call: Caller) -> None:
    """Not JSON by its type, nor by its bytes."""
    call.emulator.fault("html")
    answer = call("POST", LISTS, NEW_LIST)
    assert (answer.status, answer.header("content-type")) == (502, "text/html")
    assert answer.body.startswith(b"<html>")
    assert whole(answer)
    assert page(call)["items"] == []


@pytest.mark.parametrize(
    ("kind", "applied", "break_off"),
    [
        ("reset_before", False, "reset"),
        ("reset_during", True, "reset_halfway"),
        ("reset_after", True, "reset"),
        ("no_answer", True, "close"),
    ],
)
def test_a_broken_connection_leaves_the_request_done_or_not(
    call: Caller, kind: FaultKind, applied: bool, break_off: str
) -> None:
    """Which of both is what the kinds differ in; the door is told how to break off."""
    call.emulator.fault(kind)
    assert call("POST", LISTS, NEW_LIST).break_off == break_off
    assert len(ids(page(call))) == applied


def test_any_fault_may_be_late_as_well(call: Caller) -> None:
    """The delay is for the door; the request is carried out at once."""
    call.emulator.fault("slow", seconds=30.0)
    call.emulator.fault("status", seconds=2.5)
    assert call("POST", LISTS, NEW_LIST).delay == 30.0
    assert call("GET", LISTS).delay == 2.5
    assert len(ids(page(call))) == 1


def test_truncated_json_is_whole_http_and_half_json(call: Caller) -> None:
    """The length is right, so that only a reader of the JSON can notice."""
    call.emulator.fault("truncated_json")
    answer = call("POST", LISTS, NEW_LIST)
    assert whole(answer)
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_a_wrong_content_type_comes_with_the_right_body(call: Caller) -> None:
    """Refusals included."""
    call.emulator.fault("wrong_content_type", content_type="text/html; charset=utf-8", times=2)
    assert call("GET", LISTS).header("content-type") == "text/html; charset=utf-8"
    refused = call("GET", "x/customer_lists")
    assert refused.header("content-type") == "text/html; charset=utf-8"
    assert call.fields(refused)["code"] == 1


def test_fields_and_values_of_tomorrow_come_in_every_item(call: Caller) -> None:
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


def test_a_field_can_be_missing_from_items_or_from_the_page(call: Caller) -> None:
    """Wherever it is."""
    call.emulator.seed_lists("549", 2)
    call.emulator.fault("missing_field", field="name")
    call.emulator.fault("missing_field", field="items")
    items = page(call)["items"]
    assert isinstance(items, list)
    assert ["name" in item for item in items] == [False, False]
    assert page(call).keys() == {"bookmark"}


def test_a_repeated_bookmark_leads_to_the_same_page_again(call: Caller) -> None:
    """The first page has none to repeat, and is left alone."""
    call.emulator.seed_lists("549", 6)
    call.emulator.fault("repeated_bookmark")
    first = page(call)
    second = page(call, first["bookmark"])
    assert second["bookmark"] == first["bookmark"]
    again = page(call, second["bookmark"])
    assert ids(again) == ids(second)
    assert again["bookmark"] not in (None, first["bookmark"])


@pytest.mark.parametrize("after", [0, 1, 2])
def test_an_empty_page_hides_no_list(call: Caller, after: int) -> None:
    """Its bookmark leads to what it should have held, wherever it comes, and is a new one."""
    expected = list(reversed(call.emulator.seed_lists("549", 5)))
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


def test_a_skewed_clock_tells_the_reset_as_a_time_of_its_own(
    new_emulator: Callable[..., Emulator], call: Caller, clock: FakeClock
) -> None:
    """Seconds to wait become Unix seconds, fast or slow; without budgets nothing is told."""
    call.emulator.fault("clock_skew", seconds=90.0)
    assert call("GET", LISTS).header("x-ratelimit-reset") is None
    call.emulator = new_emulator(rate_limits=RateLimits())
    for seconds in (90.0, -90.0):
        call.emulator.fault("clock_skew", seconds=seconds)
        answer = call("GET", LISTS)
        assert answer.header("x-ratelimit-reset") == str(round(clock.now + 1 + seconds))
        assert answer.delay == 0.0


def test_head_and_unknown_paths_are_answered_whatever_waits(call: Caller) -> None:
    """HEAD has no body to spoil; a path without an operation is struck by faults of none only."""
    call.emulator.fault("html")
    call.emulator.fault("status", operation="customer_lists_list")
    assert call("HEAD", LISTS).body == b""
    assert call("GET", "549/unknown").status == 502
    assert call("GET", "549/unknown").status == 404
    assert len(call.emulator.faults) == 1
