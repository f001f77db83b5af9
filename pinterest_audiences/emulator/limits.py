"""Rate budgets: fixed windows per token and category, told in Pinterest's headers.

A window opens with its first request and lasts as many seconds as its policy says. Whether
Pinterest's windows are fixed or slide is not published: fixed ones are our guess. A request that
is refused costs nothing, which is a guess too.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, get_args

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Category = Literal["ads_read", "ads_write", "org_read", "org_write"]

# From so many windows on the closed ones are dropped: any token may come, and few come back.
_MANY_WINDOWS = 10_000


@attrs.frozen
class RatePolicy:
    """So many requests in so many seconds.

    Attributes:
        quota: Requests allowed in one window; at least 1.
        seconds: Length of a window; at least 1.
    """

    quota: int = attrs.field(validator=attrs.validators.ge(1))
    seconds: int = attrs.field(validator=attrs.validators.ge(1))


@attrs.frozen(kw_only=True)
class RateLimits:
    """The budgets of one user of an app; the defaults are those of Standard access.

    Attributes:
        ads_read: Reading lists, audiences and uploads. 1,000 a minute is published.
        ads_write: Changing them. 400 a minute is what third parties report.
        org_read: Tokens and the user account. 1,000 a minute is what third parties report.
        org_write: Revoking tokens. 100 a minute is what third parties report.
        safety_net: All requests together. 100 a second is published.
        per_app: Whether all users of an app share its budgets, as with Trial access.

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
        """Return the budgets that a request draws on, by name.

        Args:
            category: The rate category of the operation, or None when the request is for none.

        Returns:
            Names and policies, the shared safety net first, as Pinterest's header has it.
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
class Standing:
    """How a token stands after a request.

    Attributes:
        allowed: False when a budget was used up before this request.
        headers: The rate headers for the answer.
    """

    allowed: bool
    headers: tuple[tuple[str, str], ...]


@attrs.define
class Window:
    """A budget's count of requests.

    Attributes:
        opened: When it was opened, in Unix seconds.
        closes: When it ends.
        used: How many requests there were.
    """

    opened: float
    closes: float
    used: int = 0

    def is_open(self, now: float) -> bool:
        """Return whether a request at this time belongs to it.

        Args:
            now: The time, in Unix seconds.

        Returns:
            True when it does.
        """
        # A clock set back closes a window as well: nobody waits for tomorrow.
        return self.opened <= now < self.closes


class Limiter:
    """Counts requests of each token in each budget.

    Args:
        limits: The budgets.
        clock: Returns Unix seconds.
        refused_count: Whether a request that is refused is counted all the same.
    """

    def __init__(
        self, limits: RateLimits, clock: Callable[[], float], *, refused_count: bool = False
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._refused_count = refused_count
        self._windows: dict[tuple[str, str], Window] = {}
        self._sweep_at = _MANY_WINDOWS

    @property
    def per_app(self) -> bool:
        """Whether all users of an app share its budgets."""
        return self._limits.per_app

    def spend(self, token: str, category: Category | None) -> Standing:
        """Count one request, unless one of its budgets is used up.

        Args:
            token: Whose request it is: a token, or what several tokens have in common.
            category: Its rate category; None draws on the safety net alone.

        Returns:
            Whether the request may go on, and the headers that say how much is left.
        """
        now = self._clock()
        policies = self._limits.policies(category)
        windows = [self._window((token, name), policy, now) for name, policy in policies]
        pairs = [(policy, window) for (_, policy), window in zip(policies, windows, strict=True)]
        allowed = all(window.used < policy.quota for policy, window in pairs)
        if allowed or self._refused_count:
            for policy, window in pairs:
                window.used = min(window.used + 1, policy.quota)
        # "The limit that binds now" is the one with the least left; of two that are used up,
        # the one that takes longer to open again.
        remaining, wait, binding = min(
            ((policy.quota - window.used, window.closes - now, policy) for policy, window in pairs),
            key=lambda standing: (standing[0], -standing[1]),
        )
        told = ", ".join(
            f'{policy.quota};w={policy.seconds};name="{name}_app_id_user_id"'
            for name, policy in policies
        )
        return Standing(
            allowed,
            (
                ("x-ratelimit-limit", f"{binding.quota}, {told}"),
                ("x-ratelimit-remaining", str(remaining)),
                ("x-ratelimit-reset", str(math.ceil(wait))),
            ),
        )

    def clear(self) -> None:
        """Forget what was spent."""
        self._windows.clear()

    def show(self) -> list[dict[str, object]]:
        """Return the budgets that are being spent now; tokens are numbered, not told.

        Returns:
            An object for each token and budget.
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

    def _window(self, key: tuple[str, str], policy: RatePolicy, now: float) -> Window:
        window = self._windows.get(key)
        if window is None or not window.is_open(now):
            if len(self._windows) >= self._sweep_at:
                self._windows = {k: each for k, each in self._windows.items() if each.is_open(now)}
                # Twice what is left, so that a sweep that finds little is not repeated at once.
                self._sweep_at = max(_MANY_WINDOWS, 2 * len(self._windows))
            window = self._windows[key] = Window(now, now + policy.seconds)
        return window

    def export(self) -> dict[tuple[str, str], Window]:
        """Return a copy of all counts.

        Returns:
            Windows by token and name of the budget.
        """
        return {key: attrs.evolve(window) for key, window in self._windows.items()}

    def take(self, windows: Mapping[tuple[str, str], Window]) -> None:
        """Put other counts in the place of all there are.

        Args:
            windows: What `export` returned; it is copied.
        """
        self._windows = {key: attrs.evolve(window) for key, window in windows.items()}
