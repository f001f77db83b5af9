"""The rate limiter in use: ten minutes on a fake clock, with always more to send."""

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
    """Takes fake time before and after the response."""

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
    """Let 16 tasks write for some minutes, and return the status of every response."""
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


@pytest.mark.parametrize("latency", [0.01, 0.3])
async def test_ten_minutes_use_97_percent_of_the_budget_with_one_429(latency: float) -> None:
    """At least 97 % of 400 writes a minute; only the first refusal is allowed."""
    statuses = await write_for(10, RateLimits(), latency=latency)
    assert statuses.count(200) >= 0.97 * 10 * 400
    assert statuses.count(429) <= 1


@pytest.mark.parametrize(
    ("quota", "minutes", "latency"),
    [(60, 10, 0.01), (60, 10, 0.3), (100, 10, 0.3), (200, 10, 2.0), (1000, 3, 0.01)],
)
async def test_limit_other_than_the_default_is_learned(
    quota: int, minutes: int, latency: float
) -> None:
    """Lower or higher."""
    limits = RateLimits(ads_write=RatePolicy(quota, 60))
    statuses = await write_for(minutes, limits, latency=latency)
    assert statuses.count(200) >= 0.97 * minutes * quota
    assert statuses.count(429) <= 1


async def test_limit_per_second_below_the_minute_limit_is_learned() -> None:
    """Two a second is less than 400 a minute."""
    statuses = await write_for(2, RateLimits(safety_net=RatePolicy(2, 1)), latency=0.01)
    assert statuses.count(200) >= 0.5 * 2 * 120
    assert 429 not in statuses[TASKS:]  # the first calls cannot know it


async def test_daily_budget_is_used_without_a_refusal() -> None:
    """The 300 calls of trial access are sent at once; the next is refused locally with its wait."""
    clock = FakeClock()
    limits = RateLimits(ads_write=RatePolicy(300, 86_400))
    emulator = Emulator(clock=clock.time, rate_limits=limits)
    (list_id,) = emulator.seed_lists("549", 1)
    async with AsyncClient("token", transport=emulator.transport(), clock=clock) as client:
        for _ in range(300):
            await write_once(client, list_id)
            clock.advance(0.02)
        with pytest.raises(RateLimitError) as refused:
            await write_once(client, list_id)
        await client.customer_lists_get("549", list_id)
    assert [entry.status for entry in emulator.requests] == [200] * 301
    assert refused.value.attempts == 0
    assert refused.value.retry_after is not None
    until_midnight = 86_400 - clock.time() % 86_400
    assert abs(refused.value.retry_after - until_midnight) < 60
    assert clock.elapsed < 60
