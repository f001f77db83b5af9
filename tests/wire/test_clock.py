"""The clock of the client, and the virtual one of these tests."""

from __future__ import annotations

import anyio
import pytest
from support.clock import FakeClock

from pinterest_audiences import Clock

pytestmark = pytest.mark.anyio


async def test_the_real_clock_goes_forward_and_deals_chance() -> None:
    """Time, sleep and chance are those of the machine unless somebody brings others."""
    clock = Clock()
    before, now = clock.monotonic(), clock.time()
    await clock.sleep(0)
    assert clock.monotonic() >= before
    assert clock.time() >= now > 1_700_000_000
    assert all(0 <= clock.random() < 1 for _ in range(100))


async def test_virtual_sleepers_wake_in_the_order_of_their_deadlines() -> None:
    """Whoever sleeps shortest wakes first, and each at its own time."""
    clock, woken = FakeClock(), list[tuple[float, float]]()

    async def sleep(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((seconds, clock.elapsed))

    async with anyio.create_task_group() as tasks:
        for seconds in (30.0, 10.0, 20.0, 0.0, 10.0):
            tasks.start_soon(sleep, seconds)
    assert woken == [(0.0, 0.0), (10.0, 10.0), (10.0, 10.0), (20.0, 20.0), (30.0, 30.0)]
    assert sorted(clock.sleeps) == [0.0, 10.0, 10.0, 20.0, 30.0]


async def test_a_cancelled_virtual_sleeper_hands_the_clock_on() -> None:
    """Time goes on without the sleeper that kept it, and passes nobody's deadline twice."""
    clock = FakeClock()
    async with anyio.create_task_group() as tasks:
        keeper = anyio.CancelScope()

        async def keep() -> None:
            with keeper:
                await clock.sleep(50)

        async def cancel() -> None:
            await clock.sleep(5)
            keeper.cancel()

        tasks.start_soon(keep)
        tasks.start_soon(cancel)
        tasks.start_soon(clock.sleep, 20)
    assert keeper.cancelled_caught
    assert clock.elapsed == 20
