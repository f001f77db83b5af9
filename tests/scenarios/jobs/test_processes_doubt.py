"""Unconfirmed batches of a crash are not reported as drift."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.clock import FakeClock

from pinterest_audiences import AsyncClient, JobInterruptedError, JobReport, Plan
from pinterest_audiences.emulator import Emulator

pytestmark = pytest.mark.anyio

ACCOUNT = "549755885175"


def people(first: int, last: int) -> list[str]:
    return [f"person{n}@shop.de" for n in range(first, last)]


def drift(report: Plan | JobReport) -> list[str]:
    return [finding for finding in report.findings if finding.startswith("drift")]


class Place:
    """A Pinterest, and the clients that come to it."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.emulator = Emulator(rate_limits=None, clock=self.clock.time)
        self.state = folder / "state"

    def client(self) -> AsyncClient:
        transport = self.emulator.transport(sleep=self.clock.sleep)
        return AsyncClient("token", transport=transport, clock=self.clock)

    async def mirror(self, first: int, last: int) -> JobReport:
        async with self.client() as client:
            return await client.mirror(
                ACCOUNT,
                people(first, last),
                name="VIP",
                allow_removals=True,
                state=self.state,
                retry_timeout=30.0,
            )

    async def plan(self, first: int, last: int) -> Plan:
        async with self.client() as client:
            return await client.plan_mirror(
                ACCOUNT, people(first, last), name="VIP", state=self.state
            )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def test_unconfirmed_removal_is_not_drift_in_repeated_plans(
    place: Place,
) -> None:
    """Also after the first plan has compacted it."""
    await place.mirror(0, 10)
    place.emulator.fault("status", operation="customer_lists_update", applied=True, times=None)
    with pytest.raises(JobInterruptedError):
        await place.mirror(5, 10)
    place.emulator.faults.clear()
    assert drift(await place.plan(5, 10)) == []
    assert drift(await place.plan(5, 10)) == []
    report = await place.mirror(5, 10)
    assert drift(report) == []
    assert (report.added, report.removed) == (0, 5)


async def test_each_failed_request_may_have_changed_the_counter(place: Place) -> None:
    """A batch that was sent ten times without a response may have been counted ten times."""
    await place.mirror(0, 10)
    place.emulator.fault("no_answer", operation="customer_lists_update", times=None)
    with pytest.raises(JobInterruptedError):
        await place.mirror(0, 12)
    place.emulator.faults.clear()
    assert drift(await place.mirror(0, 12)) == []


async def test_drift_is_reported_until_a_job_has_written(place: Place) -> None:
    """Reading the counters does not resolve it."""
    await place.mirror(0, 10)
    (list_id,) = [
        item.customer_list_id for item in await place.client().status(ACCOUNT, state=place.state)
    ]
    async with place.client() as client:
        await client.customer_lists_update(
            ACCOUNT, list_id or "", operation_type="ADD", records=people(50, 53)
        )
    for _ in range(2):
        (finding,) = drift(await place.plan(0, 11))
        assert "3 records were added outside" in finding
    assert drift(await place.mirror(0, 11)) != []
    assert drift(await place.plan(0, 11)) == []
