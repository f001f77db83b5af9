"""Customer segments: named combinations of audiences."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from pinterest_audiences.emulator import Emulator, RateLimits, RatePolicy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from unit.emulator.conftest import Caller, FakeClock

    from pinterest_audiences.emulator import Response

SEGMENTS = "549/customer_segments"


def new_segment(call: Caller, name: str = "Customers", audiences: int = 1) -> dict[str, object]:
    audience_ids = list(call.emulator.seed_audiences("549", audiences))
    answer = call("POST", SEGMENTS, {"name": name, "audience_ids": audience_ids})
    assert answer.status == 200
    return call.fields(answer)


def listed(call: Caller, **query: object) -> list[dict[str, object]]:
    items = call.fields(call("GET", SEGMENTS, query=urlencode(query)))["items"]
    assert isinstance(items, list)
    return items


def change(call: Caller, **body: object) -> Response:
    return call("PATCH", SEGMENTS, body)


def test_created_segment_is_active_and_listed(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """200 even where other creates answer 201; times in seconds."""
    call.emulator = new_emulator(create_status=201)
    (audience_id,) = call.emulator.seed_audiences("549", 1)
    created = call("POST", SEGMENTS, {"name": "Customers", "audience_ids": [audience_id]})
    assert created.status == 200
    assert created.json() == {
        "id": call.fields(created)["id"],
        "name": "Customers",
        "ad_account_id": "549",
        "audience_ids": [audience_id],
        "created_time": 1_700_000_000,
        "updated_time": 1_700_000_000,
        "status": "ACTIVE",
    }
    assert listed(call) == [created.json()]
    assert call.fields(call("GET", "550/customer_segments")) == {"items": [], "bookmark": None}


def test_segment_update_answers_null_and_changes_audiences(call: Caller, clock: FakeClock) -> None:
    """One object in the body; without audience_ids only the time changes."""
    created = new_segment(call)
    others = list(call.emulator.seed_audiences("549", 2))
    clock.advance(60)
    answer = change(call, id=created["id"], operation_type="UPDATE", audience_ids=others)
    assert (answer.status, answer.body) == (200, b"null")
    assert answer.header("content-type") == "application/json"
    changed = {**created, "audience_ids": others, "updated_time": 1_700_000_060}
    assert listed(call) == [changed]
    assert change(call, id=created["id"], operation_type="UPDATE").json() is None
    assert listed(call) == [changed]


def test_removed_segment_is_not_listed(call: Caller) -> None:
    """REMOVE answers null as well; its id is not used again."""
    first, second = new_segment(call), new_segment(call)
    assert change(call, id=first["id"], operation_type="REMOVE").body == b"null"
    assert [each["id"] for each in listed(call)] == [second["id"]]
    assert change(call, id=first["id"], operation_type="REMOVE").status == 404
    assert change(call, id=second["id"], operation_type="REMOVE").status == 200
    assert new_segment(call)["id"] not in (first["id"], second["id"])


def test_segment_names_need_not_be_unique(call: Caller) -> None:
    """As recorded."""
    assert new_segment(call)["id"] != new_segment(call)["id"]


def test_segments_are_paginated_oldest_first(call: Caller) -> None:
    """With bookmarks for segments only."""
    ids = [new_segment(call)["id"] for _ in range(5)]
    assert [each["id"] for each in listed(call)] == ids
    assert [each["id"] for each in listed(call, order="DESCENDING")] == ids[::-1]
    seen: list[object] = []
    query: dict[str, object] = {"page_size": 2}
    while True:
        page = call.fields(call("GET", SEGMENTS, query=urlencode(query)))
        items = page["items"]
        assert isinstance(items, list)
        seen += [each["id"] for each in items]
        if page["bookmark"] is None:
            break
        query["bookmark"] = page["bookmark"]
    assert seen == ids
    first = call.fields(call("GET", SEGMENTS, query="page_size=2"))
    bookmark = urlencode({"bookmark": first["bookmark"]})
    assert call("GET", "549/customer_lists", query=bookmark).status == 400


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "", "audience_ids": ["AUDIENCE"]},
        {"name": 5, "audience_ids": ["AUDIENCE"]},
        {"name": "A"},
        {"name": "A", "audience_ids": []},
        {"name": "A", "audience_ids": "AUDIENCE"},
        {"name": "A", "audience_ids": [5]},
        {"name": "A", "audience_ids": ["1"]},
        {"name": "A", "audience_ids": ["FOREIGN"]},
        ["A"],
        None,
    ],
)
def test_invalid_segment_is_400(call: Caller, body: object) -> None:
    """Code 1, and nothing is created."""
    (audience_id,) = call.emulator.seed_audiences("549", 1)
    (foreign,) = call.emulator.seed_audiences("550", 1)
    if isinstance(body, dict) and isinstance(body.get("audience_ids"), list):
        known = {"AUDIENCE": audience_id, "FOREIGN": foreign}
        body["audience_ids"] = [known.get(each, each) for each in body["audience_ids"]]
    refused = call("POST", SEGMENTS, body, body=b"null")
    assert (refused.status, call.fields(refused)["code"]) == (400, 1)
    assert listed(call) == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"operation_type": "UPDATE"}, 400),
        ({"id": 5, "operation_type": "UPDATE"}, 400),
        ({"id": "ID"}, 400),
        ({"id": "ID", "operation_type": "ADD"}, 400),
        ({"id": "ID", "operation_type": "UPDATE", "audience_ids": []}, 400),
        ({"id": "1", "operation_type": "REMOVE"}, 404),
        ({"id": "x", "operation_type": "REMOVE"}, 404),
    ],
)
def test_invalid_segment_update_is_400(call: Caller, body: dict[str, object], status: int) -> None:
    """The segment does not change."""
    created = new_segment(call)
    sent = {name: created["id"] if value == "ID" else value for name, value in body.items()}
    assert change(call, **sent).status == status
    assert listed(call) == [created]


def test_array_of_segment_updates_is_refused(call: Caller) -> None:
    """The body is one object."""
    created = new_segment(call)
    body = [{"id": created["id"], "operation_type": "REMOVE"}]
    assert call("PATCH", SEGMENTS, body).status == 400
    assert listed(call) == [created]


def test_segment_of_another_account_is_404(call: Caller) -> None:
    """It cannot be changed."""
    created = new_segment(call)
    body = {"id": created["id"], "operation_type": "REMOVE"}
    assert call("PATCH", "550/customer_segments", body).status == 404
    assert listed(call) == [created]


def test_segments_count_against_the_limits_of_ads(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """Reading against ads_read, writing against ads_write."""
    limits = RateLimits(ads_read=RatePolicy(1, 60), ads_write=RatePolicy(2, 60))
    call.emulator = new_emulator(rate_limits=limits)
    created = new_segment(call)
    assert change(call, id=created["id"], operation_type="UPDATE").status == 200
    assert change(call, id=created["id"], operation_type="UPDATE").status == 429
    assert [call("GET", SEGMENTS).status for _ in range(2)] == [200, 429]


@pytest.mark.parametrize(
    "kind", ["unknown_field", "unknown_enum", "missing_field", "repeated_bookmark", "empty_page"]
)
def test_field_fault_does_not_apply_to_null(call: Caller, kind: str) -> None:
    """It stays active for another answer."""
    created = new_segment(call)
    call.emulator.fault(kind, operation="customer_segments_update")  # type: ignore[arg-type]
    answer = change(call, id=created["id"], operation_type="UPDATE")
    assert (answer.status, answer.body, answer.fault) == (200, b"null", None)
    assert len(call.emulator.faults) == 1


def test_segments_are_in_snapshots_and_state_files(
    new_emulator: Callable[..., Emulator], call: Caller, tmp_path: Path
) -> None:
    """With their audiences, in order, and without using an id twice."""
    kept, removed = new_segment(call, audiences=2), new_segment(call)
    before = call.emulator.snapshot()
    change(call, id=removed["id"], operation_type="REMOVE")
    call.emulator.restore(before)
    assert listed(call) == [kept, removed]
    change(call, id=removed["id"], operation_type="REMOVE")
    call.emulator.save(tmp_path / "state")
    call.emulator = new_emulator(state=tmp_path / "state")
    assert listed(call) == [kept]
    assert new_segment(call)["id"] != removed["id"]
    call.emulator.reset()
    assert listed(call) == []
