"""Counting the slots of a rate limiter."""

from __future__ import annotations

from collections.abc import Sequence

from support.clock import FakeClock

from pinterest_audiences._http.rate_limit import RateLimiter

NET = '10;w=1;name="safety_net_app_id_user_id"'
"""A small safety net, as Pinterest's header names it."""


def most_in_a_window(slots: Sequence[float], window: float) -> int:
    """Return the number of slots in the fullest window, both its ends included."""
    most = first = 0
    for last, slot in enumerate(slots):
        while slot - slots[first] > window:
            first += 1
        most = max(most, last - first + 1)
    return most


def budget(clock: FakeClock, max_wait: float = 120.0) -> RateLimiter:
    return RateLimiter(clock.monotonic, clock.sleep, max_wait)


def rate_headers(
    limit: str, remaining: int | None = None, reset: int | None = None
) -> dict[str, str]:
    found = {"x-ratelimit-limit": limit}
    if remaining is not None:
        found["x-ratelimit-remaining"] = str(remaining)
    if reset is not None:
        found["x-ratelimit-reset"] = str(reset)
    return found


def learn(budget: RateLimiter, category: str, headers: dict[str, str], now: float = 0.0) -> None:
    budget.learn(category, headers, unix_time=now, success=True)


async def slots(budget: RateLimiter, clock: FakeClock, category: str, number: int) -> list[float]:
    """Take a number of slots, one after the other."""
    found: list[float] = []
    for _ in range(number):
        await budget.acquire(category)
        budget.release(category)
        found.append(clock.elapsed)
    return found
