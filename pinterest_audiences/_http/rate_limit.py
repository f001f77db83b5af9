"""Client-side rate limiter, with limits learned from response headers.

Pinterest counts requests per user and app, by category, and all of them in a safety net.
``x-ratelimit-limit`` names the policies: ``400, 100;w=1;name="safety_net_app_id_user_id",
400;w=60;name="ads_write_app_id_user_id"``.

Pinterest counts in fixed windows, which are minutes of the clock. The start of the windows is
learned from responses. Until then a request counts for a whole window after its end, which is
correct for windows of any kind. In both cases a request that may have been counted is counted, so
that no window exceeds its quota. The rest of the open window can be used at once; only its last
tenth is spread over the remaining time.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Mapping
from email.utils import parsedate_to_datetime

import anyio
from attrs import define, field, frozen

from pinterest_audiences._http.retry import rate_limit_reset

__all__ = [
    "Policy",
    "RateLimitExceededError",
    "RateLimiter",
    "RequestLog",
    "Rule",
    "parse_policies",
]

_POLICY = re.compile(r'\s*(\d{1,9})\s*;\s*w=(\d{1,9})\s*(?:;\s*name="?([\w.-]*)"?)?')
_SPACED_RATIO = 0.1  # of a quota, spread over the rest of the window to avoid a long stall
_MIN_ALIGNED_SECONDS = 10  # resets are whole seconds, too coarse for shorter windows
_MIN_COUNTED_WINDOW_SECONDS = 5
# Longer windows are not counted here; their rest is known from x-ratelimit-remaining.
_MAX_COUNTED_SECONDS = 600
_UNKNOWN_WINDOW_SECONDS = 60
_MAX_PAUSE_SECONDS = 86_400
_ROUNDING_SECONDS = 1e-3  # for sums of floats
_DRIFT_RATIO = 1e-4  # of two clocks against each other
_MAX_LOG_ENTRIES = 4096
_MAX_RULES = 16


@frozen
class Policy:
    """A quota of requests in a window of seconds, with Pinterest's name for it."""

    quota: int
    window: int
    name: str


_SAFETY_NET = Policy(100, 1, "safety_net")
# Limits of Standard access, used until the first response (limits page; third parties).
_ASSUMED_POLICIES: Mapping[str, tuple[Policy, ...]] = {
    "ads_read": (_SAFETY_NET, Policy(1000, 60, "ads_read_app_id_user_id")),
    "ads_write": (_SAFETY_NET, Policy(400, 60, "ads_write_app_id_user_id")),
}


class RateLimitExceededError(Exception):
    """No request of a category is allowed within the maximum wait of the client."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


def parse_policies(header: str) -> tuple[Policy, ...]:
    """Return the policies of an ``x-ratelimit-limit``, without unreadable ones."""
    matches = (_POLICY.match(part) for part in header.split(","))
    policies = (Policy(int(m[1]), int(m[2]), m[3] or "") for m in matches if m)
    return tuple(policy for policy in policies if policy.quota > 0 and policy.window > 0)


@define
class RequestLog:
    """The recent requests that count together.

    Attributes:
        in_flight: Requests without a response so far.
        total: The number of all requests.
        last_sent: When the last request was sent.
    """

    in_flight: int = 0
    total: int = 0
    last_sent: float = -math.inf
    _ended: list[float] = field(init=False, factory=list[float])

    def begin(self, now: float) -> None:
        """Record the start of a request."""
        self.in_flight += 1
        self.total += 1
        self.last_sent = now

    def end(self, now: float) -> None:
        """Record the end of a request, successful or not."""
        self.in_flight -= 1
        self._ended.append(now)

    def since(self, cutoff: float) -> int:
        """Return how many requests are in flight or ended after a time."""
        return self.in_flight + len(self._ended) - bisect_right(self._ended, cutoff)

    def end_of(self, number: int, cutoff: float) -> float:
        """Return when the n-th request after a time ended, counted from 1."""
        index = bisect_right(self._ended, cutoff) + number - 1
        return self._ended[index] if index < len(self._ended) else math.inf

    def trim(self, cutoff: float) -> None:
        """Drop requests that ended before a time, if there are many."""
        if len(self._ended) > _MAX_LOG_ENTRIES:
            del self._ended[: bisect_right(self._ended, cutoff)]


@define
class Rule:
    """A policy that is enforced.

    Attributes:
        policy: The policy; its quota is the lowest of the last window.
        log: The requests that count for it.
        seen_at: When Pinterest last named it.
        lowest_at: When Pinterest last named a quota as low as this.
        others: Requests of other clients in the open window, as far as known.
        others_until: When that window ends.
        blind_until: Until when nothing is learned about the start of windows.
    """

    policy: Policy
    log: RequestLog
    seen_at: float
    lowest_at: float
    others: int = 0
    others_until: float = -math.inf
    blind_until: float = -math.inf
    # The earliest and the latest start of a window, and when they were learned.
    _boundary: tuple[float, float, float] | None = field(init=False, default=None)

    def name_quota(self, quota: int, now: float) -> None:
        """Apply a quota: a lower one at once, a higher one after a window without a lower one."""
        self.seen_at = now
        if quota <= self.policy.quota:
            self.lowest_at = now
        elif now - self.lowest_at <= self.policy.window:
            return
        self.policy = Policy(quota, self.policy.window, self.policy.name)

    def observe_reset(self, reset: float, sent: float, received: float) -> bool:
        """Learn the start of windows; return whether it agrees with earlier observations.

        Args:
            reset: The remaining whole seconds of the window.
            sent: When the request was sent.
            received: When the response was received.
        """
        window = self.policy.window
        if window < _MIN_ALIGNED_SECONDS or received < self.blind_until or reset > window:
            return True
        low, high = sent + reset - 1, received + reset
        if self._boundary is not None:
            old_low, old_high, at = self._boundary
            drift = _DRIFT_RATIO * (received - at)
            shift = round((low + high - old_low - old_high) / 2 / window) * window
            low = max(low, old_low + shift - drift)
            high = min(high, old_high + shift + drift)
            if low > high:
                self._boundary = None
                self.blind_until = received + 2 * window
                return False
        self._boundary = (low, high, received)
        return True

    def left(self, now: float) -> int:
        """Return the remaining requests of the open window."""
        others = self.others if now < self.others_until else 0
        return self.policy.quota - self.log.since(self._cutoff(now)) - others

    def wait(self, now: float) -> float:
        """Return the seconds until the next request may be sent."""
        left, end = self.left(now), self._end(now)
        if left > 0:
            return self._spacing(left, end, now)
        cutoff = self._cutoff(now)
        freed = self.log.end_of(min(1 - left, self.policy.quota), cutoff) + self.policy.window
        freed += 2 * _ROUNDING_SECONDS
        if now < self.others_until:
            freed = min(freed, self.others_until)
        if math.isinf(freed):  # all of them are in flight
            freed = now + self.policy.window
        return max(min(freed, freed if end is None else end) - now, _ROUNDING_SECONDS)

    def _spacing(self, left: int, end: float | None, now: float) -> float:
        """Return the wait that spreads the last requests of a window mostly used by this client."""
        quota = self.policy.quota
        busy = 2 * self.log.since(self._cutoff(now)) > quota
        if end is None or not busy or left > quota * _SPACED_RATIO:
            return 0.0
        last = max(self.log.last_sent, end - self.policy.window)
        wait = last + (end - last) / (left + 1) - now
        return wait if wait > _ROUNDING_SECONDS else 0.0

    def _edges(self, now: float) -> tuple[float, float] | None:
        """Return the earliest start and the latest end of the open window."""
        if self._boundary is None:
            return None
        low, high, at = self._boundary
        drift = _DRIFT_RATIO * max(now - at, 0.0)
        low, high = low - drift, high + drift
        passed = math.floor((now - high) / self.policy.window) * self.policy.window
        return low + passed, high + passed + self.policy.window

    def _cutoff(self, now: float) -> float:
        edges = self._edges(now)
        sliding = now - self.policy.window - _ROUNDING_SECONDS
        return sliding if edges is None else max(sliding, edges[0])

    def _end(self, now: float) -> float | None:
        edges = self._edges(now)
        return None if edges is None else edges[1]


@define
class _LimiterState:
    """The state of one category, and the queue of callers that wait for a slot."""

    name: str
    log: RequestLog = field(factory=RequestLog)
    rules: dict[tuple[str, int], Rule] = field(factory=dict[tuple[str, int], Rule])
    queue: anyio.Lock = field(factory=anyio.Lock)
    waiting: int = 0
    learned: bool = False
    named_at: float = -math.inf  # when Pinterest last named policies
    paused_until: float = -math.inf
    # The `log.total` at which a window that is too long to be counted is full, and its end.
    max_total: float = math.inf
    max_total_until: float = -math.inf


@define
class _Counts:
    """What the limiters of a client and of its `with_options` count together."""

    categories: dict[str, _LimiterState] = field(factory=dict[str, _LimiterState])
    all: RequestLog = field(factory=RequestLog)
    date_fits: bool = True


@define
class RateLimiter:
    """The rate limits of one client, by category.

    Attributes:
        monotonic: Returns the seconds of a monotonic clock.
        sleep: Waits a number of seconds.
        max_wait: The longest wait of a call for its slot, in seconds.
    """

    monotonic: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    max_wait: float
    _counts: _Counts = field(factory=_Counts)

    async def acquire(self, category: str) -> None:
        """Wait for a slot and take it; :meth:`release` must follow.

        Raises:
            RateLimitExceededError: No slot is free within ``max_wait``.
        """
        state, started = self._category(category), self.monotonic()
        self._check_wait(self._pause_left(state))  # before the queue, to fail early
        self._check_wait(self._least_wait(state, started))
        state.waiting += 1
        try:
            async with state.queue:  # only the first waits for a slot, so that none is wasted
                await self._wait_for_slot(state, started)
        finally:
            state.waiting -= 1
        now = self.monotonic()
        for log in (state.log, self._counts.all):
            log.begin(now)
            log.trim(now - _MAX_COUNTED_SECONDS)

    def release(self, category: str) -> None:
        """Record the end of a call that did :meth:`acquire`, successful or not."""
        now = self.monotonic()
        for log in (self._category(category).log, self._counts.all):
            log.end(now)

    def pause(self, category: str, seconds: float) -> None:
        """Stop the requests of a category for some seconds."""
        state = self._category(category)
        state.paused_until = max(state.paused_until, self.monotonic() + seconds)

    def learn(
        self,
        category: str,
        headers: Mapping[str, str],
        *,
        unix_time: float,
        success: bool,
        seconds: float = 0.0,
    ) -> None:
        """Learn from the rate limit headers of a response that was just received.

        Args:
            category: The category of the call.
            headers: The headers of the response.
            unix_time: The time of the response.
            success: Whether it was a 2xx; only then do missing headers mean no limits.
            seconds: How long ago the request was sent.
        """
        state, received = self._category(category), self.monotonic()
        limit = headers.get("x-ratelimit-limit")
        policies = parse_policies(limit or "")
        if limit is None and success and not state.learned:
            state.rules = {}
        if policies:
            self._name_rules(state, policies, received)
        self._align(state, headers.get("date"), received - seconds, received)
        remaining, reset = _first_number(headers.get("x-ratelimit-remaining")), None
        if limit is not None and remaining is not None:
            reset = rate_limit_reset(headers, unix_time)
        if remaining is None or reset is None:
            return
        binding = _binding_policy(policies, _first_number(limit), reset)
        rule = None if binding is None else state.rules.get((binding.name, binding.window))
        if rule is not None:
            self._count_others(rule, remaining, reset, received - seconds, received)
        else:
            # Calls in flight will use some of it: waiting is cheaper than a refusal.
            window = _UNKNOWN_WINDOW_SECONDS if binding is None else binding.window
            state.max_total = state.log.total + remaining - state.log.in_flight
            state.max_total_until = received + min(reset, window, _MAX_PAUSE_SECONDS)

    def per_minute(self, category: str) -> float | None:
        """Return how many calls are allowed per minute; None without a limit."""
        policies = [rule.policy for rule in self._category(category).rules.values()]
        return min((60 * policy.quota / policy.window for policy in policies), default=None)

    def _name_rules(self, state: _LimiterState, policies: tuple[Policy, ...], now: float) -> None:
        if not state.learned:  # the assumed ones
            state.rules = {}
        state.learned, state.named_at = True, now
        for policy in policies:
            if policy.window > _MAX_COUNTED_SECONDS:
                continue
            key = (policy.name, policy.window)
            if key in state.rules:
                state.rules[key].name_quota(policy.quota, now)
            elif len(state.rules) < _MAX_RULES:
                state.rules[key] = self._rule(state, policy, now)
        # A policy that the headers stop naming applies for one more window.
        state.rules = {k: r for k, r in state.rules.items() if now - r.seen_at <= r.policy.window}

    def _rule(self, state: _LimiterState, policy: Policy, now: float) -> Rule:
        own = policy.name.startswith(state.name) or not policy.name  # the safety net is shared
        return Rule(policy, state.log if own else self._counts.all, seen_at=now, lowest_at=now)

    def _align(self, state: _LimiterState, date: str | None, sent: float, received: float) -> None:
        """Learn the start of windows that are aligned to the server's clock."""
        seconds = _unix_seconds(date)
        if seconds is None or not self._counts.date_fits:
            return
        for rule in state.rules.values():
            if _MAX_PAUSE_SECONDS % rule.policy.window == 0:
                reset = rule.policy.window - seconds % rule.policy.window
                if not rule.observe_reset(reset, sent, received):
                    self._counts.date_fits = False

    def _count_others(
        self, rule: Rule, remaining: int, reset: float, sent: float, received: float
    ) -> None:
        """Derive the requests of other clients from the remaining quota."""
        if not rule.observe_reset(reset, sent, received):
            self._counts.date_fits = False
        rule.others = 0
        used, ours = rule.policy.quota - remaining, rule.policy.quota - rule.left(received)
        # Requests in flight may be counted or not; with other clients, assume they are not.
        uncounted = rule.log.in_flight if rule.policy.window > _MIN_COUNTED_WINDOW_SECONDS else 0
        rule.others = used - ours + uncounted if used > ours else 0
        rule.others_until = received + min(reset, rule.policy.window)

    async def _wait_for_slot(self, state: _LimiterState, started: float) -> None:
        while True:
            now = self.monotonic()
            pause = self._pause_left(state)
            waits = (_rule_wait(rule, state.named_at, now) for rule in state.rules.values())
            wait = max(pause, max(waits, default=0.0))
            if wait <= 0:
                return
            # Waits for slots add up to the total; a pause is compared alone, as it may be extended.
            total = wait if pause >= wait else now - started + wait
            self._check_wait(total, remaining=wait)
            await self.sleep(wait)

    def _check_wait(self, total: float, remaining: float | None = None) -> None:
        """Check the total wait of a call; the error contains what remains of it."""
        if total > self.max_wait + _ROUNDING_SECONDS:
            raise RateLimitExceededError(total if remaining is None else remaining)

    def _least_wait(self, state: _LimiterState, now: float) -> float:
        """Return the least wait that results from the callers in the queue."""
        waits = [0.0]
        for rule in state.rules.values():
            ahead = state.waiting - max(rule.left(now), 0)
            full_windows = ahead // rule.policy.quota
            waits.append(full_windows * float(rule.policy.window) if ahead > 0 else 0.0)
        return max(waits)

    def _pause_left(self, state: _LimiterState) -> float:
        now, until = self.monotonic(), state.paused_until
        if state.log.total >= state.max_total:
            until = max(until, state.max_total_until)
        return until - now

    def _category(self, name: str) -> _LimiterState:
        if name not in self._counts.categories:
            state = self._counts.categories[name] = _LimiterState(name)
            for policy in _ASSUMED_POLICIES.get(name, ()):
                key = (policy.name, policy.window)
                state.rules[key] = self._rule(state, policy, self.monotonic())
        return self._counts.categories[name]


def _binding_policy(policies: tuple[Policy, ...], quota: int | None, reset: float) -> Policy | None:
    """Return the policy that remaining and reset describe: the first one of that quota."""
    matching = [p for p in policies if p.quota == quota and reset <= p.window]
    return matching[0] if matching else None


def _rule_wait(rule: Rule, named_at: float, now: float) -> float:
    """Return the wait of a rule; one that the headers stop naming ends after its window."""
    wait = rule.wait(now)
    return wait if rule.seen_at >= named_at else min(wait, rule.seen_at + rule.policy.window - now)


def _first_number(text: str | None) -> int | None:
    match = re.match(r"\s*(\d{1,9})", text or "")
    return int(match[1]) if match else None


def _unix_seconds(date: str | None) -> int | None:
    if not date:
        return None
    try:
        return int(parsedate_to_datetime(date).timestamp())
    except (ValueError, OverflowError):
        return None
