"""The emulator's clock, which clients can share: waits take no real time."""

from __future__ import annotations

import math

import anyio
import anyio.lowlevel
import httpx
import pytest

from pinterest_audiences import AsyncClient, Client, RequestTimeoutError
from pinterest_audiences.emulator import Emulator

pytestmark = pytest.mark.anyio

ACCOUNT = "549755885175"
START = 1_700_000_000.0
DAY_SECONDS = 86_400


def emulator_at_start(**settings: float) -> Emulator:
    return Emulator(clock=lambda: START, **settings)  # type: ignore[arg-type]


async def test_sleep_moves_the_clock_to_the_deadline() -> None:
    emulator = emulator_at_start()
    await emulator.clock.sleep(3600)
    assert emulator.now() == emulator.clock.time() == emulator.clock.monotonic() == START + 3600


@pytest.mark.parametrize("seconds", [0.0, -1.0])
async def test_sleep_of_no_time_moves_nothing(seconds: float) -> None:
    emulator = emulator_at_start()
    await emulator.clock.sleep(seconds)
    assert emulator.now() == START


async def test_concurrent_sleepers_wake_in_order_of_deadline() -> None:
    """Their waits overlap: the clock moves by the longest one, not by the sum."""
    clock, woken = emulator_at_start().clock, list[tuple[float, float]]()

    async def sleep(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((seconds, clock.time() - START))

    async with anyio.create_task_group() as tasks:
        for seconds in (30.0, 10.0, 20.0, 10.0):
            tasks.start_soon(sleep, seconds)
    assert woken == [(10.0, 10.0), (10.0, 10.0), (20.0, 20.0), (30.0, 30.0)]


async def test_cancelled_sleeper_does_not_move_the_clock() -> None:
    clock = emulator_at_start().clock
    with anyio.CancelScope() as scope:
        scope.cancel()
        await clock.sleep(60)
    await clock.sleep(100)
    assert clock.time() == START + 100


async def test_advance_wakes_a_sleeper() -> None:
    """The clock does not go on to a deadline that has passed."""
    clock = emulator_at_start().clock
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(clock.sleep, 60)
        while not clock._deadlines:
            await anyio.lowlevel.checkpoint()
        clock.advance(100)
    assert clock.time() == START + 100


@pytest.mark.parametrize("seconds", [-1.0, math.inf, math.nan])
def test_clock_cannot_go_back(seconds: float) -> None:
    clock = emulator_at_start().clock
    with pytest.raises(ValueError, match="ahead"):
        clock.advance(seconds)
    assert clock.time() == START


def test_seed_chooses_the_random_numbers() -> None:
    first, same, other = (Emulator(seed=seed).clock for seed in (1, 1, 2))
    numbers = [first.random() for _ in range(3)]
    assert numbers == [same.random() for _ in range(3)]
    assert numbers != [other.random() for _ in range(3)]
    assert all(0 <= number < 1 for number in numbers)


async def test_client_with_the_clock_waits_for_a_429_in_emulator_time() -> None:
    emulator = emulator_at_start()
    emulator.fault("status", status=429, headers={"retry-after": "100"})
    async with AsyncClient.emulated(emulator, clock=emulator.clock) as client:
        assert await client.customer_lists_list(ACCOUNT).collect() == []
    assert START + 100 <= emulator.now() < START + 200
    assert [entry.status for entry in emulator.requests] == [429, 200]


async def test_client_with_the_clock_waits_a_day_for_a_list() -> None:
    emulator = emulator_at_start(processing_seconds=DAY_SECONDS)
    async with AsyncClient.emulated(emulator, clock=emulator.clock) as client:
        created = await client.customer_lists_create(
            ACCOUNT, name="Buyers", records="ada@example.com"
        )
        waited = await client.wait_until_ready(ACCOUNT, created.id)
    assert (created.status, waited.status) == ("PROCESSING", "TOO_SMALL")
    assert emulator.now() >= START + DAY_SECONDS


async def test_slow_answer_takes_emulator_time() -> None:
    """A timeout of the client ends it in that time, too."""
    emulator = emulator_at_start()
    emulator.fault("slow", seconds=20)
    async with AsyncClient.emulated(emulator, clock=emulator.clock) as client:
        await client.customer_lists_list(ACCOUNT).collect()
        assert emulator.now() == START + 20
        emulator.fault("slow", seconds=900, times=None)
        with pytest.raises(RequestTimeoutError):
            await client.customer_lists_list(ACCOUNT).collect()
    assert emulator.now() >= START + 20 + 5 * 30


def test_synchronous_client_shares_the_clock() -> None:
    emulator = emulator_at_start()
    emulator.fault("status", status=429, headers={"retry-after": "100"})
    with Client.emulated(emulator, clock=emulator.clock) as client:
        assert client.customer_lists_list(ACCOUNT).collect() == []
    assert emulator.now() >= START + 100


async def test_transport_of_another_client_uses_the_clock() -> None:
    emulator = emulator_at_start()
    emulator.fault("slow", seconds=3)
    transport = emulator.transport(sleep=emulator.clock.sleep)
    async with httpx.AsyncClient(transport=transport) as client:
        await client.get("https://api.pinterest.com/v5/user_account")
    assert emulator.now() == START + 3
