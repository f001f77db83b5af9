"""Retry policy: whether and when to send a request again. Pure functions, no I/O.

The rules, with their sources (Pinterest's API description unless noted otherwise):

* 429 is a refusal, whatever its code; ``x-ratelimit-reset`` says how long to wait. One whose
  message mentions spam is about the content, not the rate: it is not retried.
* 400 with code 12 ("Retry after …") is a refusal too, seen in other connectors for Pinterest.
* 408 and 5xx are failures that may have happened before or after the change was applied.
* A connection that was never made carried nothing; one that broke may have carried everything.

A request that was refused or never sent is retried for every operation. A request that may have
been applied is retried only if the operation is idempotent.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from types import EllipsisType
from typing import ClassVar

from attrs import define, evolve, field, frozen

from pinterest_audiences import _config
from pinterest_audiences._config import Clock
from pinterest_audiences._errors import (
    APIError,
    CallError,
    DecodeError,
    RateLimitError,
    ResponseTooLargeError,
    ServerError,
    TransportError,
    is_transient_status,
)

__all__ = [
    "Backoff",
    "FailedAttempt",
    "RetryPolicy",
    "classify_broken_connection",
    "classify_response",
    "exponential_delay",
    "is_success",
    "is_transient",
    "next_wait",
    "poll_delay",
    "rate_limit_reset",
    "retry_after",
    "was_accepted",
]

_MAX_RETRY_AFTER_SECONDS = 86_400.0
_MIN_UNIX_TIME = 1e9  # a larger x-ratelimit-reset is a Unix time, not a duration
_POLL_FACTOR = 1.5  # of each interval between polls
_MAX_EXPONENT = 100  # higher ones exceed every maximum, and overflow in the end
_SECONDS_IN_TEXT = re.compile(r"(\d+)\s*s(?:ec|\b)")


@frozen
class RetryPolicy:
    """When a client retries, and for how long.

    Attributes:
        max_retries: How many times a call is retried.
        max_wait: The longest single wait in seconds; a longer one raises at once.
        base: Upper bound of the first backoff, in seconds; it doubles with each attempt.
        cap: Upper bound of every backoff, in seconds.
        total: Seconds for all attempts of a call and the waits between them; None for no limit.
    """

    max_retries: int = 4
    max_wait: float = 120.0
    base: float = 0.5
    cap: float = 8.0
    total: float | None = None

    def with_limits(
        self,
        max_retries: int | EllipsisType,
        max_wait: float | EllipsisType,
        total_timeout: float | EllipsisType | None,
    ) -> RetryPolicy:
        """Return a policy with these limits; ``...`` keeps one.

        Raises:
            ConfigurationError: A limit is not valid.
        """
        retries = self.max_retries if max_retries is ... else max_retries
        wait = self.max_wait if max_wait is ... else max_wait
        total = self.total if total_timeout is ... else total_timeout
        return evolve(
            self,
            max_retries=_config.validate_integer("max_retries", retries, 0, 100),
            max_wait=_config.validate_number("max_wait", wait, above=0.0),
            total=_config.validate_timeout(total, "total_timeout"),
        )


@frozen
class FailedAttempt:
    """A failed attempt, as the retry decision sees it.

    Attributes:
        transient: Whether another attempt may succeed.
        maybe_applied: Whether the change may have been applied anyway.
        rate_limited: Whether a rate limit was exceeded.
        retry_after: The seconds that Pinterest asked to wait; None if it did not.
    """

    transient: bool
    maybe_applied: bool
    rate_limited: bool = False
    retry_after: float | None = None


def classify_response(
    status: int, code: int | None, message: str, headers: Mapping[str, str], now: float
) -> FailedAttempt:
    """Classify a response that is not a success, or a 2xx with an error object as its body.

    Args:
        status: The HTTP status.
        code: Pinterest's error code; None if the body has none.
        message: Pinterest's message.
        headers: A case-insensitive mapping, or names in lower case.
        now: The Unix time, for headers that contain one.
    """
    seconds = _seconds_or_date(headers.get("retry-after"), now)
    if is_success(status):  # its body is an error object: whether it was applied is unknown
        return FailedAttempt(transient=False, maybe_applied=True)
    if status == 429:  # noqa: PLR2004 - HTTP statuses read best as numbers
        if seconds is None:
            seconds = rate_limit_reset(headers, now)
        spam = "spam" in message.lower()
        return FailedAttempt(
            transient=not spam, maybe_applied=False, rate_limited=not spam, retry_after=seconds
        )
    if status == 400 and is_transient_status(status, code):  # noqa: PLR2004
        if seconds is None and (match := _SECONDS_IN_TEXT.search(message)):
            seconds = min(float(match[1]), _MAX_RETRY_AFTER_SECONDS)
        return FailedAttempt(transient=True, maybe_applied=False, retry_after=seconds)
    if status == 408 or status >= 500:  # noqa: PLR2004
        return FailedAttempt(transient=True, maybe_applied=True, retry_after=seconds)
    return FailedAttempt(transient=False, maybe_applied=False)


def classify_broken_connection(*, never_sent: bool, transient: bool = True) -> FailedAttempt:
    """Classify an attempt without a response."""
    return FailedAttempt(transient=transient, maybe_applied=not never_sent)


def is_success(status: int) -> bool:
    """Return whether a status is a 2xx."""
    return 200 <= status < 300  # noqa: PLR2004


def next_wait(
    failure: FailedAttempt, *, idempotent: bool, attempts: int, policy: RetryPolicy, jitter: float
) -> float | None:
    """Return how many seconds to wait before the next attempt, or None to give up.

    Args:
        failure: The failed attempt.
        idempotent: Whether the operation can be repeated after it may have been applied.
        attempts: How many attempts were made, at least 1.
        policy: The limits of the client.
        jitter: A random number from 0 to 1.
    """
    if not failure.transient or attempts > policy.max_retries:
        return None
    if failure.maybe_applied and not idempotent:
        return None
    backoff = exponential_delay(attempts, policy.base, policy.cap)
    if failure.retry_after is not None:
        # A little later than asked, so that concurrent callers do not retry at the same moment.
        wait = failure.retry_after + jitter * min(backoff, 1.0)
        return min(wait, policy.max_wait) if failure.retry_after <= policy.max_wait else None
    if failure.rate_limited:
        return min(backoff * (1 + jitter), policy.max_wait)
    return min(backoff * jitter, policy.max_wait)  # full jitter


def exponential_delay(attempts: int, initial: float, maximum: float, factor: float = 2.0) -> float:
    """Return the seconds to wait after a number of attempts, at least 1, without jitter."""
    return min(maximum, initial * factor ** min(attempts - 1, _MAX_EXPONENT))


def poll_delay(polls: int, initial: float, maximum: float) -> float:
    """Return the seconds to wait after a number of polls, at least 1, without jitter."""
    return exponential_delay(polls, initial, maximum, _POLL_FACTOR)


def rate_limit_reset(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds of ``x-ratelimit-reset``, which some sources describe as a Unix time."""
    return _seconds(headers.get("x-ratelimit-reset"), now)


def _seconds(text: str | None, now: float) -> float | None:
    try:
        value = float((text or "").split(",")[0])
    except ValueError:
        return None
    if not math.isfinite(value):
        return None
    if value > _MIN_UNIX_TIME:
        value -= now
    return min(max(value, 0.0), _MAX_RETRY_AFTER_SECONDS)


def _seconds_or_date(text: str | None, now: float) -> float | None:
    if text is None:
        return None
    seconds = _seconds(text, now)
    if seconds is not None:
        return seconds
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return min(max(moment.timestamp() - now, 0.0), _MAX_RETRY_AFTER_SECONDS)
    except (ValueError, OverflowError):
        return None


@define
class Backoff:
    """Exponential delays between the attempts at one thing, until a timeout.

    For what goes on after the retries of a single call have failed.

    Attributes:
        clock: The clock that the timeout is measured with.
        timeout: Seconds from now on in which attempts may begin.
    """

    clock: Clock
    timeout: float
    _started: float = field(init=False)
    _attempts: int = field(init=False, default=0)
    _INITIAL_SECONDS: ClassVar[float] = 1.0
    _MAX_SECONDS: ClassVar[float] = 60.0

    def __attrs_post_init__(self) -> None:
        self._started = self.clock.monotonic()

    def next_delay(self, retry_after: float | None = None) -> float | None:
        """Return the seconds until the next attempt, or None when it would be too late.

        Args:
            retry_after: How many seconds Pinterest asked to wait, if it did.
        """
        self._attempts += 1
        delay = exponential_delay(self._attempts, self._INITIAL_SECONDS, self._MAX_SECONDS)
        delay = max(delay, retry_after or 0.0)
        too_late = self.clock.monotonic() - self._started + delay > self.timeout
        return None if too_late else delay


def is_transient(error: CallError) -> bool:
    """Return whether a failed call may succeed later; not if it was rejected as spam."""
    if isinstance(error, RateLimitError):
        return "spam" not in error.message.lower()
    if isinstance(error, APIError) and is_transient_status(error.status, error.code):
        return True
    if isinstance(error, TransportError):
        return error.transient
    if isinstance(error, ResponseTooLargeError):
        return False
    return isinstance(error, ServerError | DecodeError)


def was_accepted(error: CallError) -> bool:
    """Return whether the status of the response was a 2xx, even if its body is unusable."""
    if not isinstance(error, APIError | DecodeError | TransportError):
        return False
    return error.status is not None and is_success(error.status)


def retry_after(error: CallError) -> float | None:
    """Return how many seconds Pinterest asked to wait, if it did."""
    return error.retry_after if isinstance(error, APIError) else None
