"""What a crash leaves in doubt is not taken for somebody else's doing."""

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


def drift(told: Plan | JobReport) -> list[str]:
    return [finding for finding in told.findings if finding.startswith("drift")]


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
                patience=30.0,
            )

    async def plan(self, first: int, last: int) -> Plan:
        async with self.client() as client:
            return await client.plan_mirror(
                ACCOUNT, people(first, last), name="VIP", state=self.state
            )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def test_a_removal_in_doubt_is_no_drift_however_often_it_is_planned_anew(
    place: Place,
) -> None:
    """The first plan folds the doubt away; the second one still knows whose removal it was."""
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


async def test_every_sending_that_failed_may_have_been_counted(place: Place) -> None:
    """A batch that was tried ten times in vain may have been counted ten times."""
    await place.mirror(0, 10)
    place.emulator.fault("no_answer", operation="customer_lists_update", times=None)
    with pytest.raises(JobInterruptedError):
        await place.mirror(0, 12)
    place.emulator.faults.clear()
    assert drift(await place.mirror(0, 12)) == []


async def test_drift_is_told_until_a_job_has_written(place: Place) -> None:
    """To look at it does not make it good."""
    await place.mirror(0, 10)
    (list_id,) = [
        each.customer_list_id for each in await place.client().status(ACCOUNT, state=place.state)
    ]
    async with place.client() as client:
        await client.customer_lists_update(
            ACCOUNT, list_id or "", operation_type="ADD", records=people(50, 53)
        )
    for _ in range(2):
        (finding,) = drift(await place.plan(0, 11))
        assert "somebody else has added 3 records" in finding
    assert drift(await place.mirror(0, 11)) != []
    assert drift(await place.plan(0, 11)) == []
