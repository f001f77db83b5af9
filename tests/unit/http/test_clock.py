"""The clock of the client, and the fake clock of these tests."""

from __future__ import annotations

import anyio
import pytest
from support.clock import FakeClock

from pinterest_audiences._config import SystemClock

pytestmark = pytest.mark.anyio


async def test_real_clock_advances_and_returns_random_numbers() -> None:
    """The default clock uses the system's time and random numbers."""
    clock = SystemClock()
    before, now = clock.monotonic(), clock.time()
    await clock.sleep(0)
    assert clock.monotonic() >= before
    assert clock.time() >= now > 1_700_000_000
    assert all(0 <= clock.random() < 1 for _ in range(100))


async def test_fake_clock_wakes_sleepers_in_order_of_deadline() -> None:
    """Each at its own time."""
    clock, woken = FakeClock(), list[tuple[float, float]]()

    async def sleep(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((seconds, clock.elapsed))

    async with anyio.create_task_group() as tasks:
        for seconds in (30.0, 10.0, 20.0, 0.0, 10.0):
            tasks.start_soon(sleep, seconds)
    assert woken == [(0.0, 0.0), (10.0, 10.0), (10.0, 10.0), (20.0, 20.0), (30.0, 30.0)]
    assert sorted(clock.sleeps) == [0.0, 10.0, 10.0, 20.0, 30.0]


async def test_fake_clock_continues_when_a_sleeper_is_cancelled() -> None:
    """No deadline passes twice."""
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
