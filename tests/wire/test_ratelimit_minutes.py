"""The rate budget in use: ten virtual minutes of a client that always has more to send."""

from __future__ import annotations

import anyio
import httpx
import pytest
from support.clock import FakeClock

from pinterest_audiences import AsyncClient, RateLimitError
from pinterest_audiences.emulator import Emulator, RateLimits, RatePolicy

pytestmark = [
    pytest.mark.once,
    pytest.mark.anyio,
]

TASKS = 16


class SlowTransport(httpx.AsyncBaseTransport):
    """Takes virtual time on the way there and on the way back."""

    def __init__(self, inner: httpx.AsyncBaseTransport, clock: FakeClock, seconds: float) -> None:
        self._inner, self._clock, self._seconds = inner, clock, seconds

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self._clock.sleep(self._seconds / 2)
        response = await self._inner.handle_async_request(request)
        await self._clock.sleep(self._seconds / 2)
        return response


async def write_once(client: AsyncClient, list_id: str) -> None:
    await client.customer_lists_update(
        "549", list_id, operation_type="ADD", records="a@example.com"
    )


async def write_for(minutes: int, limits: RateLimits, *, latency: float = 0.0) -> list[int]:
    """Let 16 tasks write for so many minutes, and return the status of every answer."""
    clock = FakeClock()
    emulator = Emulator(clock=clock.time, rate_limits=limits)
    (list_id,) = emulator.seed_lists("549", 1)
    transport: httpx.AsyncBaseTransport = emulator.transport()
    if latency:
        transport = SlowTransport(transport, clock, latency)

    async with AsyncClient("token", transport=transport, clock=clock) as client:

        async def write() -> None:
            while True:
                await write_once(client, list_id)

        async with anyio.create_task_group() as tasks:
            for _ in range(TASKS):
                tasks.start_soon(write)
            await clock.sleep(60 * minutes)
            tasks.cancel_scope.cancel()
    return [entry.status for entry in emulator.requests]


@pytest.mark.parametrize("latency", [0.0, 0.3])
async def test_ten_minutes_use_the_budget_and_see_no_second_429(latency: float) -> None:
    """At least 97 % of 400 writes a minute, of which at most the first refusal is lost."""
    statuses = await write_for(10, RateLimits(), latency=latency)
    assert statuses.count(200) >= 0.97 * 10 * 400
    assert statuses.count(429) <= 1


@pytest.mark.parametrize(
    ("quota", "minutes", "latency"),
    [(60, 10, 0.0), (60, 10, 0.3), (100, 10, 0.3), (200, 10, 2.0), (1000, 3, 0.0)],
)
async def test_a_budget_other_than_the_assumed_one_is_learned(
    quota: int, minutes: int, latency: float
) -> None:
    """Also where Pinterest allows less than is generally known, or more."""
    limits = RateLimits(ads_write=RatePolicy(quota, 60))
    statuses = await write_for(minutes, limits, latency=latency)
    assert statuses.count(200) >= 0.97 * minutes * quota
    assert statuses.count(429) <= 1


async def test_a_safety_net_tighter_than_the_budget_is_kept() -> None:
    """Two a second is less than 400 a minute: the pace of the second is found, kept and used."""
    statuses = await write_for(2, RateLimits(safety_net=RatePolicy(2, 1)))
    assert statuses.count(200) >= 0.5 * 2 * 120
    assert statuses.count(429) <= 1


async def test_the_budget_of_a_day_is_used_up_without_a_refusal() -> None:
    """The 300 calls of trial access go at once; the next is not sent, and told for how long."""
    clock = FakeClock()
    limits = RateLimits(ads_write=RatePolicy(300, 86_400))
    emulator = Emulator(clock=clock.time, rate_limits=limits)
    (list_id,) = emulator.seed_lists("549", 1)
    async with AsyncClient("token", transport=emulator.transport(), clock=clock) as client:
        for _ in range(300):
            await write_once(client, list_id)
        with pytest.raises(RateLimitError) as refused:
            await write_once(client, list_id)
        await client.customer_lists_get("549", list_id)
    assert [entry.status for entry in emulator.requests] == [200] * 301
    assert refused.value.attempts == 0
    assert refused.value.retry_after is not None
    assert refused.value.retry_after > 80_000
    assert clock.elapsed < 60
