"""Faults as data: which requests they match, how often, and their JSON."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, get_args, get_type_hints

import attrs
import pytest
from support.cases import each_case

from pinterest_audiences.emulator import Emulator, Fault, FaultKind, Faults, Request, read_faults
from pinterest_audiences.emulator._faults import FaultSettings
from pinterest_audiences.emulator._routing import OPERATION_NAMES, ROUTES

if TYPE_CHECKING:
    from unit.emulator.conftest import Caller

LISTS = "549/customer_lists"
KINDS = get_args(FaultKind)


def statuses(call: Caller, count: int) -> list[int]:
    return [call("GET", LISTS).status for _ in range(count)]


def test_fault_applies_once_by_default(call: Caller) -> None:
    """Then it is removed."""
    fault = call.emulator.fault("status")
    assert list(call.emulator.faults) == [fault]
    assert statuses(call, 3) == [500, 200, 200]
    assert len(call.emulator.faults) == 0


def test_times_and_after_count_matching_requests(
    call: Caller,
) -> None:
    """Both count only matching requests."""
    call.emulator.fault("status", operation="customer_lists_list", after=2, times=2)
    call.create()
    assert statuses(call, 6) == [200, 200, 500, 500, 200, 200]


def test_unlimited_fault_applies_until_cleared(call: Caller) -> None:
    """It stays among the faults, with the number of affected requests."""
    call.emulator.fault("status", times=None)
    assert statuses(call, 20) == [500] * 20
    assert call.emulator.faults.show() == [{"kind": "status", "times": None, "struck": 20}]
    call.emulator.faults.clear()
    assert statuses(call, 1) == [200]


def test_fault_applies_only_to_its_operation(call: Caller) -> None:
    """Create and list have the same path, but are not the same operation."""
    call.emulator.fault("status", operation="customer_lists_create", status=503)
    assert statuses(call, 1) == [200]
    assert call("POST", LISTS, {"name": "Spring", "records": "a"}).status == 503


def test_fault_matches_path_pattern_or_predicate(call: Caller) -> None:
    """A pattern as in a shell; a predicate receives the whole request."""
    first, second = (f"{LISTS}/{call.create()['id']}" for _ in range(2))
    call.emulator.fault("status", path=f"*/{second}")
    assert (call("GET", first).status, call("GET", second).status) == (200, 500)
    call.emulator.fault("status", when=lambda request: b"Spring" in request.body)
    assert call("GET", first).status == 200
    assert call("POST", LISTS, {"name": "Spring", "records": "a"}).status == 500


def test_faults_apply_in_the_order_of_their_addition(call: Caller) -> None:
    """The first that matches applies; the others wait for the next request."""
    for status in (500, 503, 429):
        call.emulator.fault("status", status=status)
    assert statuses(call, 4) == [500, 503, 429, 200]


def test_probability_is_reproducible_by_seed(call: Caller) -> None:
    """The same requests are affected in every run; others with another seed."""

    def run(seed: int) -> list[int]:
        call.emulator = Emulator(seed=seed, rate_limits=None)
        call.emulator.fault("status", probability=0.3, times=None)
        return statuses(call, 200)

    first = run(1)
    assert 30 < first.count(500) < 90
    assert run(1) == first
    assert run(2) != first
    call.emulator.faults.clear()
    call.emulator.fault("status", probability=0.0, times=None)
    assert statuses(call, 50) == [200] * 50


def test_fault_without_effect_does_not_count(call: Caller) -> None:
    """A refusal has no id to remove; the fault waits for the next answer."""
    call.emulator.fault("missing_field", operation="customer_lists_get")
    path = f"{LISTS}/{call.create()['id']}"
    assert call("GET", f"{LISTS}/1").status == 404
    assert call.emulator.requests[-1].fault is None
    assert "id" not in call.fields(call("GET", path))
    assert "id" in call.fields(call("GET", path))


def test_journal_names_the_fault(call: Caller) -> None:
    """None without one; after reset_before nothing was answered, which is status 0."""
    call.emulator.fault("no_answer")
    call.emulator.fault("status", status=503)
    call.emulator.fault("reset_before")
    statuses(call, 4)
    outcomes = [(entry.status, entry.fault) for entry in call.emulator.requests]
    assert outcomes == [(200, "no_answer"), (503, "status"), (0, "reset_before"), (200, None)]
    assert {entry.category for entry in call.emulator.requests} == {"ads_read"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_fault_kind_round_trips_through_json(kind: str) -> None:
    """`from_dict` reads what `to_dict` returns."""
    fields = {"kind": kind, "seconds": 1.5, "times": None, "path": "*", "headers": {"A": "b"}}
    fault = Fault.from_dict(json.loads(json.dumps(fields)))
    assert fault.to_dict() == fields
    assert Fault.from_dict(fault.to_dict()) == fault


def test_list_of_faults_is_read_in_order() -> None:
    """The error has the number of an invalid one; a single fault needs no list."""
    good = {"kind": "status", "status": 503}
    assert read_faults(good) == (Fault("status", status=503),)
    assert read_faults([good, {"kind": "html"}]) == (Fault("status", status=503), Fault("html"))
    with pytest.raises(ValueError, match=r"^fault 2: kind must be one of"):
        read_faults([good, {"kind": "flood"}])


@each_case(
    ("fields", "complaint"),
    [
        (5, "must be an object"),
        ({}, "has a kind"),
        ({"kind": "status", "when": "always"}, "may have: after, applied"),
        ({"kind": []}, "kind must"),
        ({"kind": "status", "operation": "customer_list_update"}, "operation must be one of"),
        ({"kind": "status", "operation": ["x"]}, "operation must be one of"),
        ({"kind": "status", "path": 5}, "path must"),
        ({"kind": "status", "times": 0}, "times must"),
        ({"kind": "status", "times": True}, "times must"),
        ({"kind": "status", "after": -1}, "after must"),
        ({"kind": "status", "probability": 1.1}, "probability must"),
        ({"kind": "status", "probability": "1"}, "probability must"),
        ({"kind": "status", "status": 600}, "status must"),
        ({"kind": "status", "status": 100}, "status must"),
        ({"kind": "status", "status": 204}, "status must"),
        ({"kind": "status", "code": "8"}, "code must"),
        ({"kind": "status", "message": 8}, "message must"),
        ({"kind": "status", "applied": 1}, "applied must"),
        ({"kind": "status", "seconds": -1}, "seconds must"),
        ({"kind": "slow"}, "seconds must be more than 0"),
        ({"kind": "clock_skew", "seconds": float("inf")}, "seconds must"),
        ({"kind": "status", "headers": []}, "headers must"),
        ({"kind": "status", "headers": {"a b": "c"}}, "headers must"),
        ({"kind": "status", "headers": {"a": "b\r\nc: d"}}, "headers must"),
        ({"kind": "status", "headers": {"a": 5}}, "headers must"),
        ({"kind": "status", "headers": {"Content-Length": "5"}}, "headers must"),
        ({"kind": "wrong_content_type", "content_type": "a\n"}, "content_type must"),
        ({"kind": "wrong_content_type", "content_type": 5}, "content_type must"),
        ({"kind": "missing_field", "field": 5}, "field must"),
    ],
)
def test_invalid_fault_is_a_value_error(fields: object, complaint: str) -> None:
    """The message names the setting."""
    with pytest.raises(ValueError, match=complaint):
        Fault.from_dict(fields)


def test_clock_skew_may_be_negative() -> None:
    """Only for this kind."""
    assert Fault("clock_skew", seconds=-5.0).seconds == -5.0


def test_fault_settings_match_fault_attributes() -> None:
    """The keyword arguments of `Emulator.fault` are the attributes of `Fault`."""
    attributes = {attribute.name for attribute in attrs.fields(Fault)}
    assert set(get_type_hints(FaultSettings)) == attributes - {"kind"}
    documented = (Fault.__doc__ or "").split("Attributes:")[1]
    assert all(f" {name}: " in documented for name in attributes)


def test_every_fault_kind_is_documented() -> None:
    """The table has every kind and no others."""
    table = (Fault.__doc__ or "").split("====\n")[2]
    assert re.findall(r"^ *`(\w+)`  ", table, re.MULTILINE) == list(KINDS)


def test_fault_can_name_every_operation() -> None:
    """Each operation that is served."""
    assert {Fault("html", operation=route.name).operation for route in ROUTES} == {*OPERATION_NAMES}


def test_faults_work_without_an_emulator() -> None:
    """They are a collection."""
    faults = Faults()
    faults.add(Fault("html"), Fault("slow", seconds=1.0))
    assert (len(faults), [fault.kind for fault in faults]) == (2, ["html", "slow"])
    request = Request(method="GET", path="/")
    picked = faults.next(None, request)
    assert picked is not None
    faults.record_outcome(picked, hit=True)
    assert [fault.kind for fault in faults] == ["slow"]
