"""Rate limits: fixed windows per token and category, reported in Pinterest's headers.

Windows are aligned to the clock, as recorded answers show: one of a minute starts with the minute,
so that one of a day starts at 00:00 UTC. That a refused request is not counted is assumed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, get_args

import attrs

from pinterest_audiences.emulator._assumptions import Assumptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


Category = Literal["ads_read", "ads_write", "org_read", "org_write"]

# From this number on closed windows are removed: any token may be sent, and few are sent again.
_SWEEP_FROM_WINDOWS = 10_000


@attrs.frozen
class RatePolicy:
    """A quota of requests per window.

    Attributes:
        quota: Requests allowed in one window; at least 1.
        seconds: Length of a window; at least 1.
    """

    quota: int = attrs.field(validator=attrs.validators.ge(1))
    seconds: int = attrs.field(validator=attrs.validators.ge(1))


@attrs.frozen(kw_only=True)
class RateLimits:
    """The rate limits of one user of an app; the defaults are those of Standard access.

    Attributes:
        ads_read: Reading lists, audiences and uploads. 1,000 a minute is published.
        ads_write: Changing them. 400 a minute is what third parties report.
        org_read: Tokens and the user account. 1,000 a minute is what third parties report.
        org_write: Revoking tokens. 100 a minute is what third parties report.
        safety_net: All requests together. 100 a second is published.
        per_app: Whether all users of an app share its limits, as with Trial access.

    Example:
        >>> RateLimits(ads_write=RatePolicy(5, 60)).ads_write.quota
        5
    """

    ads_read: RatePolicy = RatePolicy(1000, 60)
    ads_write: RatePolicy = RatePolicy(400, 60)
    org_read: RatePolicy = RatePolicy(1000, 60)
    org_write: RatePolicy = RatePolicy(100, 60)
    safety_net: RatePolicy = RatePolicy(100, 1)
    per_app: bool = False

    def policies(self, category: Category | None) -> tuple[tuple[str, RatePolicy], ...]:
        """Return the limits that apply to a request, by name.

        Args:
            category: The rate category of the operation, or None for the safety net alone.

        Returns:
            Names and policies, the safety net first, as in Pinterest's header.
        """
        net = ("safety_net", self.safety_net)
        if category is None:
            return (net,)
        by_category = {
            "ads_read": self.ads_read,
            "ads_write": self.ads_write,
            "org_read": self.org_read,
            "org_write": self.org_write,
        }
        return (net, (category, by_category[category]))


_DAY = 86_400

STANDARD_LIMITS = RateLimits()
TRIAL_LIMITS = RateLimits(
    ads_read=RatePolicy(1000, _DAY),
    ads_write=RatePolicy(300, _DAY),
    org_read=RatePolicy(1000, _DAY),
    org_write=RatePolicy(300, _DAY),
    # 1,000 a day for all requests together is published.
    safety_net=RatePolicy(1000, _DAY),
    per_app=True,
)


@attrs.frozen
class RateStatus:
    """The result of counting a request.

    Attributes:
        allowed: False when a limit was used up before this request.
        headers: The rate headers for the answer.
    """

    allowed: bool
    headers: tuple[tuple[str, str], ...]


@attrs.define
class Window:
    """The requests counted in one window of a limit.

    Attributes:
        opened: When it starts, in Unix seconds.
        closes: When it ends.
        used: The number of requests.
    """

    opened: float
    closes: float
    used: int = 0

    def is_open(self, now: float) -> bool:
        """Return whether a time is in the window.

        Args:
            now: The time, in Unix seconds.

        Returns:
            True when it is.
        """
        # A clock that is set back closes a window as well, or it would last too long.
        return self.opened <= now < self.closes


class Limiter:
    """Counts the requests of each token against each limit.

    Args:
        limits: The limits.
        clock: Returns Unix seconds.
        assumptions: What is not published: whether a refused request is counted as well, and the
            form of the headers. None for the defaults.
    """

    def __init__(
        self,
        limits: RateLimits,
        clock: Callable[[], float],
        assumptions: Assumptions | None = None,
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._assumptions = assumptions or Assumptions()
        self._windows: dict[tuple[str, str], Window] = {}
        self._sweep_at = _SWEEP_FROM_WINDOWS

    @property
    def per_app(self) -> bool:
        """Whether all users of an app share its limits."""
        return self._limits.per_app

    def spend(self, token: str, category: Category | None) -> RateStatus:
        """Count one request, unless one of its limits is used up.

        Args:
            token: A token, or the key that several tokens share.
            category: Its rate category; None for the safety net alone.

        Returns:
            Whether the request is allowed, and the rate headers.
        """
        now = self._clock()
        policies = self._limits.policies(category)
        windows = [self._window((token, name), policy, now) for name, policy in policies]
        pairs = [(policy, window) for (_, policy), window in zip(policies, windows, strict=True)]
        allowed = all(window.used < policy.quota for policy, window in pairs)
        if allowed or self._assumptions.refused_requests_count:
            for policy, window in pairs:
                window.used = min(window.used + 1, policy.quota)
        # The header reports the limit with the least left; of equal ones the first.
        remaining, wait, binding = min(
            ((policy.quota - window.used, window.closes - now, policy) for policy, window in pairs),
            key=lambda status: status[0],
        )
        reset = math.ceil(wait if self._assumptions.rate_limit_reset == "seconds" else now + wait)
        headers = [
            ("x-ratelimit-limit", self._limit_header(binding, policies)),
            ("x-ratelimit-remaining", str(remaining)),
            ("x-ratelimit-reset", str(reset)),
        ]
        if self._assumptions.retry_after and not allowed:
            headers.append(("retry-after", str(math.ceil(wait))))
        return RateStatus(allowed, tuple(headers))

    def _limit_header(
        self, binding: RatePolicy, policies: tuple[tuple[str, RatePolicy], ...]
    ) -> str:
        if self._assumptions.rate_limit_header == "number":
            return str(binding.quota)
        scope = "app_id" if self.per_app else "app_id_user_id"
        listed = ", ".join(
            f'{policy.quota};w={policy.seconds};name="{name}_{scope}"' for name, policy in policies
        )
        return f"{binding.quota}, {listed}"

    def clear(self) -> None:
        """Discard all counts."""
        self._windows.clear()

    def show(self) -> list[dict[str, object]]:
        """Return the counts of the open windows; tokens are numbered, not shown.

        Returns:
            An object for each token and limit.
        """
        now = self._clock()
        policies: dict[str, RatePolicy] = {}
        for category in get_args(Category):
            policies.update(self._limits.policies(category))
        numbers: dict[str, int] = {}
        shown: list[dict[str, object]] = []
        for (token, name), window in self._windows.items():
            number = numbers.setdefault(token, len(numbers) + 1)
            if window.is_open(now):
                shown.append(
                    {
                        "token": number,
                        "budget": name,
                        "used": window.used,
                        "quota": policies[name].quota,
                        "resets_in": math.ceil(window.closes - now),
                    }
                )
        return shown

    def dump(self) -> dict[tuple[str, str], Window]:
        """Return a copy of all counts.

        Returns:
            Windows by token and name of the limit.
        """
        return {key: attrs.evolve(window) for key, window in self._windows.items()}

    def load(self, windows: Mapping[tuple[str, str], Window]) -> None:
        """Replace all counts.

        Args:
            windows: What `dump` returned; it is copied.
        """
        self._windows = {key: attrs.evolve(window) for key, window in windows.items()}

    def _window(self, key: tuple[str, str], policy: RatePolicy, now: float) -> Window:
        window = self._windows.get(key)
        if window is None or not window.is_open(now):
            if len(self._windows) >= self._sweep_at:
                self._windows = {
                    k: other for k, other in self._windows.items() if other.is_open(now)
                }
                # Twice what is left, so that a sweep that removes little is not repeated at once.
                self._sweep_at = max(_SWEEP_FROM_WINDOWS, 2 * len(self._windows))
            opened = now - now % policy.seconds
            window = self._windows[key] = Window(opened, opened + policy.seconds)
        return window
