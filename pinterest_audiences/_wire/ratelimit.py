"""A rate budget for each category, learned from what Pinterest says and spent evenly.

Pinterest counts requests per user and app in windows, by category, and below them all in a safety
net; ``x-ratelimit-limit`` names them: ``400, 100;w=1;name="safety_net_app_id_user_id",
400;w=60;name="ads_write_app_id_user_id"``. Whether its windows slide or stand is not known, so the
calls are spaced such that no window of that length, wherever it begins, holds more than its quota.
"""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Mapping

import anyio
from attrs import define, field, frozen

from pinterest_audiences._wire.retry import told_reset

__all__ = ["BudgetSpentError", "Pace", "Policy", "RateBudget", "parse_policies"]

_POLICY = re.compile(r'\s*(\d{1,9})\s*;\s*w=(\d{1,9})\s*(?:;\s*name="?([\w.-]*)"?)?')
# A longer window than this is not spread over its length: who has 1,000 calls a day wants the
# first ten now. What is left of it is known from x-ratelimit-remaining.
_LONGEST_PACED = 600
_BRIEF = 5  # seconds
_ROUNDING = 1e-3  # of a second, for sums of floats
_SHARE = 0.01  # of a quota: how much may go at once, and how much is left for jitter


@frozen
class Policy:
    """So many requests in so many seconds, under a name of Pinterest's."""

    quota: int
    window: int
    name: str

    @property
    def burst(self) -> int:
        """How many may go at once."""
        return max(1, int(self.quota * _SHARE))


# What is known of Standard access, until the first answer tells (limits page; third parties).
_ASSUMED: Mapping[str, tuple[Policy, ...]] = {
    "ads_read": (Policy(1000, 60, "ads_read_app_id_user_id"),),
    "ads_write": (Policy(400, 60, "ads_write_app_id_user_id"),),
}


def parse_policies(header: str) -> tuple[Policy, ...]:
    """Read the policies of an ``x-ratelimit-limit``; what cannot be read is left out."""
    found = (_POLICY.match(part) for part in header.split(","))
    policies = (Policy(int(m[1]), int(m[2]), m[3] or "") for m in found if m)
    return tuple(policy for policy in policies if policy.quota > 0 and policy.window > 0)


class Pace:
    """Time slots for one policy: a few at once, the rest evenly (a leaky bucket, GCRA).

    In every window, both its ends included, at most ``quota`` slots are given out.
    """

    def __init__(self, policy: Policy, *, now: float, spent: int = 0) -> None:
        """Start a pace.

        Args:
            policy: What to keep to.
            now: When it begins, in seconds of a monotonic clock.
            spent: How many calls have been made since then, or are to be thought so.
        """
        per_window = policy.quota - (policy.burst - 1) - policy.quota * _SHARE
        self._interval = policy.window / per_window
        self._tolerance = (policy.burst - 1) * self._interval
        # Waking up a little late costs nothing, as long as half of the margin covers it.
        self._lateness = policy.window * _SHARE / 2
        self._next = now + min(spent, policy.quota) * self._interval

    def ready_at(self, now: float) -> float:
        """Return when the next slot is, now or later."""
        return max(now, self._next - self._tolerance)

    def take(self, now: float) -> None:
        """Take a slot, now, which is not before :meth:`ready_at`."""
        self._next = max(now - self._lateness, self._next) + self._interval


@define
class _Category:
    """What is known of one category, and the queue of those who wait for a slot of it."""

    policies: tuple[Policy, ...]
    queue: anyio.Lock = field(factory=anyio.Lock)
    learned: bool = False
    paused_until: float = -math.inf
    in_flight: int = 0
    begun: float | None = None
    sent: int = 0


class BudgetSpentError(Exception):
    """Nothing of a category may be sent for longer than the client is willing to wait."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


@define
class RateBudget:
    """The budgets of one client.

    Attributes:
        monotonic: Returns seconds that never go back.
        sleep: Waits so many seconds.
        max_wait: The longest pause in seconds that is sat out.
    """

    monotonic: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    max_wait: float
    _categories: dict[str, _Category] = field(init=False, factory=dict[str, _Category])
    _paces: dict[Policy, Pace] = field(init=False, factory=dict[Policy, Pace])

    async def acquire(self, category: str) -> None:
        """Wait for a slot and take it; :meth:`release` must follow.

        Raises:
            BudgetSpentError: The category is paused for longer than ``max_wait``.
        """
        state = self._category(category)
        self._pause_left(state)  # who would be refused need not queue for it
        async with state.queue:  # only the first of the queue looks for a slot, so none is wasted
            while True:
                await self._sit_out_pause(state)
                now = self.monotonic()
                paces = [self._pace(policy, state, now) for policy in state.policies]
                wait = max((pace.ready_at(now) - now for pace in paces), default=0.0)
                if wait <= 0:
                    break
                await self.sleep(wait)
            for pace in paces:
                pace.take(now)
            state.in_flight += 1
            state.begun = now if state.begun is None else state.begun
            state.sent += 1

    def release(self, category: str) -> None:
        """Say that the call of an :meth:`acquire` has ended, however it ended."""
        self._category(category).in_flight -= 1

    def pause(self, category: str, seconds: float) -> None:
        """Send nothing of the category for so long, and go on without a burst."""
        state = self._category(category)
        until = self.monotonic() + seconds
        if until <= state.paused_until:
            return
        state.paused_until = until
        for policy in state.policies:
            if policy.name.startswith(category):  # the safety net is everybody's
                self._paces[policy] = Pace(policy, now=until, spent=policy.burst)

    def learn(
        self, category: str, headers: Mapping[str, str], *, now: float, success: bool
    ) -> None:
        """Take in the rate headers of an answer.

        Args:
            category: The category of the call.
            headers: The answer's headers.
            now: Unix seconds.
            success: Whether it was a 2xx; only such an answer can tell that there are no limits.
        """
        state = self._category(category)
        limit = headers.get("x-ratelimit-limit")
        if limit is None:
            if success and not state.learned:
                state.policies = ()
            return
        policies = parse_policies(limit)
        state.policies = tuple(p for p in policies if p.window <= _LONGEST_PACED)
        state.learned = True
        remaining = _first_number(headers.get("x-ratelimit-remaining"))
        reset = told_reset(headers, now)
        if remaining is None or reset is None:
            return
        # Calls on their way will take what is left: waiting now is cheaper than being refused.
        # A window that ends in seconds is left to its pace: a pause would outlast it.
        if remaining <= (0 if reset <= _BRIEF else state.in_flight):
            self.pause(category, reset)

    def per_minute(self, category: str) -> float | None:
        """Return how many calls a minute has room for, or None where there is no limit."""
        policies = self._category(category).policies
        return min((60 * policy.quota / policy.window for policy in policies), default=None)

    async def _sit_out_pause(self, state: _Category) -> None:
        while (seconds := self._pause_left(state)) > 0:
            await self.sleep(seconds)

    def _pause_left(self, state: _Category) -> float:
        seconds = state.paused_until - self.monotonic()
        if seconds > self.max_wait + _ROUNDING:
            raise BudgetSpentError(seconds)
        return seconds

    def _category(self, name: str) -> _Category:
        return self._categories.setdefault(name, _Category(_ASSUMED.get(name, ())))

    def _pace(self, policy: Policy, state: _Category, now: float) -> Pace:
        if policy not in self._paces:
            # A limit that is learned late holds for the calls before it too.
            begun = now if state.begun is None else state.begun
            self._paces[policy] = Pace(policy, now=begun, spent=state.sent)
        return self._paces[policy]


def _first_number(text: str | None) -> int | None:
    match = re.match(r"\s*(\d{1,9})", text or "")
    return int(match[1]) if match else None
