"""Several lists under one rate limit: it is used completely, and never exceeded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from support.clock import FakeClock
from support.jobs import ACCOUNT, NAME, Rig, make_rig, people

from pinterest_audiences import JobEvent, JobEventType, JobReport
from pinterest_audiences._jobs import keys
from pinterest_audiences.emulator import Emulator, RateLimits, RatePolicy

pytestmark = [pytest.mark.anyio, pytest.mark.once]

QUOTA = 400  # writes a minute
LISTS = 8
BATCHES = 500  # of each list: ten minutes' worth


async def at_once(function: Callable[..., object], *args: object, **_: object) -> object:
    """Run functions in this thread: virtual time must not pass during disk access."""
    await anyio.lowlevel.checkpoint()
    return function(*args)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_several_lists_use_the_whole_rate_limit_without_exceeding_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least 97 % of 400 writes a minute for ten minutes, with no 429."""
    monkeypatch.setattr(keys, "MAX_RECORDS", 2)
    monkeypatch.setattr(anyio.to_thread, "run_sync", at_once)
    clock = FakeClock()
    rig = make_rig(tmp_path / "state", Emulator(clock=clock.time), clock=clock)
    rig.emulator.fault("slow", operation="customer_lists_update", seconds=0.2, times=None)
    events: list[JobEvent] = []
    reports: list[JobReport] = []

    async def one(number: int) -> None:
        source = people(0, 2 * BATCHES)
        report = await rig.client.upload(
            ACCOUNT, source, name=f"List {number}", state=rig.state, on_event=events.append
        )
        reports.append(report)

    async with rig.client, anyio.create_task_group() as tasks:
        for number in range(LISTS):
            tasks.start_soon(one, number)
    writes = [entry for entry in rig.emulator.requests if entry.category == "ads_write"]
    assert len(writes) == LISTS * BATCHES
    assert sum(entry.status == 429 for entry in writes) <= 1
    assert len(writes) >= 0.97 * QUOTA * clock.elapsed / 60
    assert sum(report.acknowledged for report in reports) == 2 * LISTS * BATCHES
    assert sum(report.calls for report in reports) >= len(writes)
    assert all(report.budget_seconds > 0 and report.rate_limited == 0 for report in reports)
    rate = [event.seconds_left for event in events if event.done == BATCHES]  # half of a list
    assert all(left is not None and 0 < left < 900 for left in rate)


async def test_waits_for_the_rate_limit_are_emitted_and_counted(
    rig: Rig, small_batches: int
) -> None:
    """Four requests a minute: each wait is an event before it begins; the report has the sum."""
    limits = RateLimits(ads_write=RatePolicy(4, 60))
    poor = make_rig(rig.state, Emulator(clock=rig.clock.time, rate_limits=limits), clock=rig.clock)
    async with poor.client:
        report = await poor.client.upload(
            ACCOUNT, people(0, 100), name=NAME, state=poor.state, on_event=poor.events.append
        )
    waits = [event for event in poor.events if event.kind == JobEventType.WAITING_FOR_BUDGET]
    assert len(waits) >= 2
    assert all(event.wait > 1 and event.customer_list_id for event in waits)
    assert report.budget_seconds == pytest.approx(sum(event.wait for event in waits), abs=1)
    assert report.rate_limited <= 1
    assert (report.acknowledged, report.batches) == (100, 100 / small_batches)
    assert max(event.seconds_left or 0 for event in poor.events) > 30
