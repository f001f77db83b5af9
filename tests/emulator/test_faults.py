"""Faults as data: whom they strike, how often, and how they are written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, get_args, get_type_hints

import attrs
import pytest

from pinterest_audiences.emulator import Emulator, Fault, FaultKind, Faults, Request, read_faults
from pinterest_audiences.emulator.faults import FaultSettings
from pinterest_audiences.emulator.operations import OPERATION_NAMES, OPERATIONS
from pinterest_audiences.emulator.routes import ROUTES

if TYPE_CHECKING:
    from emulator.conftest import Caller

LISTS = "549/customer_lists"
KINDS = get_args(FaultKind)


def statuses(call: Caller, count: int) -> list[int]:
    return [call("GET", LISTS).status for _ in range(count)]


def test_a_fault_strikes_once_and_is_gone(call: Caller) -> None:
    """Unless told otherwise."""
    fault = call.emulator.fault("status")
    assert list(call.emulator.faults) == [fault]
    assert statuses(call, 3) == [500, 200, 200]
    assert len(call.emulator.faults) == 0


def test_a_fault_strikes_as_often_as_it_was_told_after_as_many_as_it_was_told(
    call: Caller,
) -> None:
    """Both are counts of the requests that are meant."""
    call.emulator.fault("status", operation="customer_lists_list", after=2, times=2)
    call.create()
    assert statuses(call, 6) == [200, 200, 500, 500, 200, 200]


def test_a_fault_without_an_end_strikes_until_it_is_cleared(call: Caller) -> None:
    """It stays among the faults, which tell how often it struck."""
    call.emulator.fault("status", times=None)
    assert statuses(call, 20) == [500] * 20
    assert call.emulator.faults.show() == [{"kind": "status", "times": None, "struck": 20}]
    call.emulator.faults.clear()
    assert statuses(call, 1) == [200]


def test_a_fault_strikes_only_its_operation(call: Caller) -> None:
    """Create and list have the same path, but are not the same operation."""
    call.emulator.fault("status", operation="customer_lists_create", status=503)
    assert statuses(call, 1) == [200]
    assert call("POST", LISTS, {"name": "Spring", "records": "a"}).status == 503


def test_a_fault_may_mean_a_path_or_ask_python(call: Caller) -> None:
    """A pattern as in a shell; a predicate sees the whole request."""
    first, second = (f"{LISTS}/{call.create()['id']}" for _ in range(2))
    call.emulator.fault("status", path=f"*/{second}")
    assert (call("GET", first).status, call("GET", second).status) == (200, 500)
    call.emulator.fault("status", when=lambda request: b"Spring" in request.body)
    assert call("GET", first).status == 200
    assert call("POST", LISTS, {"name": "Spring", "records": "a"}).status == 500


def test_faults_take_turns_in_the_order_in_which_they_came(call: Caller) -> None:
    """The first that is due strikes; the others wait for the next request."""
    for status in (500, 503, 429):
        call.emulator.fault("status", status=status)
    assert statuses(call, 4) == [500, 503, 429, 200]


def test_chance_comes_from_the_seed(call: Caller) -> None:
    """The same requests are struck in every run; of another seed, others."""

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


def test_a_strike_that_finds_nothing_to_spoil_does_not_count(call: Caller) -> None:
    """A refusal has no id that could be missing; the fault waits for the next answer."""
    call.emulator.fault("missing_field", operation="customer_lists_get")
    path = f"{LISTS}/{call.create()['id']}"
    assert call("GET", f"{LISTS}/1").status == 404
    assert call.emulator.requests[-1].fault is None
    assert "id" not in call.fields(call("GET", path))
    assert "id" in call.fields(call("GET", path))


def test_the_journal_says_which_fault_struck(call: Caller) -> None:
    """And none where none did; after reset_before nothing was answered, which is status 0."""
    call.emulator.fault("no_answer")
    call.emulator.fault("status", status=503)
    call.emulator.fault("reset_before")
    statuses(call, 4)
    told = [(entry.status, entry.fault) for entry in call.emulator.requests]
    assert told == [(200, "no_answer"), (503, "status"), (0, "reset_before"), (200, None)]
    assert {entry.category for entry in call.emulator.requests} == {"ads_read"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_written_as_json(kind: str) -> None:
    """What is written is what is read."""
    fields = {"kind": kind, "seconds": 1.5, "times": None, "path": "*", "headers": {"A": "b"}}
    fault = Fault.from_dict(json.loads(json.dumps(fields)))
    assert fault.to_dict() == fields
    assert Fault.from_dict(fault.to_dict()) == fault


def test_a_list_of_faults_is_read_in_order_and_a_wrong_one_is_named() -> None:
    """One alone may stand without a list."""
    good = {"kind": "status", "status": 503}
    assert read_faults(good) == (Fault("status", status=503),)
    assert read_faults([good, {"kind": "html"}]) == (Fault("status", status=503), Fault("html"))
    with pytest.raises(ValueError, match=r"^fault 2: kind must be one of"):
        read_faults([good, {"kind": "flood"}])


@pytest.mark.parametrize(
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
def test_a_fault_that_cannot_be_is_refused(fields: object, complaint: str) -> None:
    """With the setting's name, before it can do harm."""
    with pytest.raises(ValueError, match=complaint):
        Fault.from_dict(fields)


def test_a_clock_may_be_slow_as_well() -> None:
    """The one kind whose seconds may be negative."""
    assert Fault("clock_skew", seconds=-5.0).seconds == -5.0


def test_python_and_json_have_the_same_settings() -> None:
    """The keyword arguments of `Emulator.fault` are the attributes of `Fault`."""
    attributes = {attribute.name for attribute in attrs.fields(Fault)}
    assert set(get_type_hints(FaultSettings)) == attributes - {"kind"}
    documented = (Fault.__doc__ or "").split("Attributes:")[1]
    assert all(f" {name}: " in documented for name in attributes)


def test_every_kind_is_told_in_the_table_of_fault() -> None:
    """No kind is a secret, and none is told that is not there."""
    rows = [line.split("`")[1] for line in (Fault.__doc__ or "").splitlines() if "| `" in line]
    assert rows == list(KINDS)


def test_every_route_has_its_operation() -> None:
    """A fault can name each operation that is served."""
    assert {OPERATIONS[route.method, route.template] for route in ROUTES} == {*OPERATION_NAMES}


def test_faults_may_be_kept_without_an_emulator() -> None:
    """They are a collection like any other."""
    faults = Faults()
    faults.add(Fault("html"), Fault("slow", seconds=1.0))
    assert (len(faults), [fault.kind for fault in faults]) == (2, ["html", "slow"])
    request = Request(method="GET", path="/")
    picked = faults.pick(None, request)
    assert picked is not None
    faults.settle(picked, struck=True)
    assert [fault.kind for fault in faults] == ["slow"]
