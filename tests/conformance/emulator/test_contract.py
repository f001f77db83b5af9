"""Answers for customer lists, compared with Pinterest's published description.

Without the description these tests are skipped; see `support.description`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import jsonschema
import pytest
from support.description import Description, Json, load_description

from pinterest_audiences.emulator import Emulator, RateLimits, RatePolicy

if TYPE_CHECKING:
    from collections.abc import Callable

    from unit.emulator.conftest import Caller, FakeClock

    from pinterest_audiences.emulator import Response

TEMPLATES = {
    2: "/ad_accounts/{ad_account_id}/customer_lists",
    3: "/ad_accounts/{ad_account_id}/customer_lists/{customer_list_id}",
}


@pytest.fixture(scope="module")
def description() -> Description:
    return Description(load_description())


class CheckedCaller:
    """A caller that checks every answer with the description."""

    def __init__(self, call: Caller, description: Description) -> None:
        self.call = call
        self._description = description
        self.statuses: set[int] = set()

    def __call__(
        self,
        method: str,
        path: str,
        json: object = None,
        *,
        query: str = "",
        token: str = "pina_test",
    ) -> Response:
        answer = self.call(method, path, json, query=query, token=token)
        self._description.check(method, TEMPLATES[len(path.split("/"))], answer)
        self.statuses.add(answer.status)
        return answer


@pytest.fixture
def checked(call: Caller, description: Description) -> CheckedCaller:
    return CheckedCaller(call, description)


def test_list_operations_match_the_description(checked: CheckedCaller, clock: FakeClock) -> None:
    """Created, read, changed, listed, in each state."""
    records = ",".join(f"{number}@example.com" for number in range(100))
    created = checked("POST", "549/customer_lists", {"name": "Spring", "records": records})
    path = f"549/customer_lists/{checked.call.fields(created)['id']}"
    states = [checked("GET", path)]
    clock.advance(10)
    states.append(checked("GET", path))
    checked("PATCH", path, {"operation_type": "REMOVE", "records": "5@example.com,"})
    checked("PATCH", path, {"operation_type": "ADD", "records_v2": [{"email": "x"}]})
    checked("PATCH", path, {"operation_type": "REMOVE", "records": records})
    clock.advance(10)
    states.append(checked("GET", path))
    assert [checked.call.fields(state)["status"] for state in states] == [
        "PROCESSING",
        "READY",
        "TOO_SMALL",
    ]
    assert checked.statuses == {200}


def test_pages_match_the_description(
    checked: CheckedCaller,
) -> None:
    """The bookmark is a string or null."""
    checked("GET", "549/customer_lists")
    checked.call.emulator.seed_lists("549", 3)
    for query in ("page_size=2", "page_size=3", "order=ASCENDING&exclude_nca=true"):
        checked("GET", "549/customer_lists", query=query)
    assert checked.statuses == {200}


def test_create_with_201_matches_the_description(
    checked: CheckedCaller, new_emulator: Callable[..., Emulator]
) -> None:
    """With the body of a 200."""
    checked.call.emulator = new_emulator(create_status=201)
    checked("POST", "549/customer_lists", {"name": "Spring", "records": "a", "is_nca": True})
    assert checked.statuses == {201}


def test_refusals_match_the_description(
    checked: CheckedCaller, new_emulator: Callable[..., Emulator]
) -> None:
    """Each has a code and a message."""
    checked.call.emulator = new_emulator(
        access_tokens=["pina_test"],
        ad_accounts=["549"],
        rate_limits=RateLimits(ads_read=RatePolicy(5, 60)),
    )
    for path in ("549/customer_lists", "1/customer_lists", "x/customer_lists"):
        checked("GET", path, token="bad")
        checked("GET", path)
        checked("POST", path, {})
    for _ in range(3):
        checked("GET", "549/customer_lists/1")
    checked("PATCH", "549/customer_lists/1", {})
    assert checked.statuses == {200, 400, 401, 404, 429}


def test_rate_categories_match_the_description(
    checked: CheckedCaller, description: Description
) -> None:
    """Of each operation."""
    calls = [("GET", "1/customer_lists"), ("POST", "1/customer_lists")]
    calls += [("GET", "1/customer_lists/2"), ("PATCH", "1/customer_lists/2")]
    for method, path in calls:
        checked(method, path, {})
    for entry, (method, path) in zip(checked.call.emulator.requests, calls, strict=True):
        assert entry.category == description.category(method, TEMPLATES[len(path.split("/"))])


@pytest.mark.parametrize(
    ("method", "status", "body"),
    [
        ("GET", 200, {"items": [{"id": 5}], "bookmark": None}),
        ("GET", 200, {"items": [{"status": "GONE"}], "bookmark": None}),
        ("GET", 200, {"bookmark": None}),
        ("GET", 200, {"items": [], "bookmark": 5}),
        ("POST", 201, {"created_time": "yesterday"}),
        ("POST", 400, {"code": "1", "message": "x"}),
        ("POST", 429, {"message": "x"}),
    ],
)
def test_contract_check_detects_a_wrong_answer(
    call: Caller, description: Description, method: str, status: int, body: Json
) -> None:
    """The check itself can fail."""
    good = call("GET", "549/customer_lists")
    bad = type(good)(status=status, headers=good.headers, body=json.dumps(body).encode())
    with pytest.raises(jsonschema.ValidationError):
        description.check(method, TEMPLATES[2], bad)
