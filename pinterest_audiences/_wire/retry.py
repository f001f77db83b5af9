"""When to send a request again, and after how long: pure functions of what happened.

The rules, with their sources (Pinterest's API description unless told otherwise):

* 429 is a refusal, whatever its code; it says how long to wait in ``x-ratelimit-reset``. One that
  speaks of spam is a judgement, not a rate: it is not repeated.
* 400 with code 12 ("Retry after …") is a refusal too, seen in other people's connectors.
* 408 and 5xx are failures that may have happened before or after the work was done.
* A connection that was never made carried nothing; one that broke may have carried everything.

What was refused or never sent is sent again whatever it is. What may have been done is sent again
only if the operation is repeatable.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from attrs import frozen

__all__ = ["Failure", "RetryPolicy", "after_answer", "after_broken_connection", "next_wait"]

_TRANSIENT_400 = 12
_EPOCH_FLOOR = 1e9  # a reset above this is a time of day, not a time to wait
_LONGEST_TOLD = 86_400.0
_SECONDS_IN_TEXT = re.compile(r"(\d+)\s*s(?:ec|\b)")


@frozen
class RetryPolicy:
    """How patient a client is.

    Attributes:
        max_retries: How often a call is sent again after the first time.
        max_wait: The longest single wait in seconds; a longer one raises at once.
        base: Upper bound of the first backoff, in seconds; it doubles with each attempt.
        cap: Upper bound of every backoff, in seconds.
    """

    max_retries: int = 4
    max_wait: float = 120.0
    base: float = 0.5
    cap: float = 8.0


@frozen
class Failure:
    """One attempt that failed, as far as trying again goes.

    Attributes:
        transient: Whether another attempt may go better.
        maybe_done: Whether the work may have been done all the same.
        rate_limited: Whether the budget was overdrawn.
        told_wait: How many seconds Pinterest asked to wait, where it did.
    """

    transient: bool
    maybe_done: bool
    rate_limited: bool = False
    told_wait: float | None = None


def after_broken_connection(*, never_sent: bool) -> Failure:
    """Judge an attempt that brought no answer."""
    return Failure(transient=True, maybe_done=not never_sent)


def after_answer(
    status: int, code: int | None, message: str, headers: Mapping[str, str], now: float
) -> Failure:
    """Judge an answer that is not a success.

    Args:
        status: The HTTP status.
        code: Pinterest's code, where the body had one.
        message: Pinterest's message.
        headers: With names in lower case or any case-insensitive mapping.
        now: Unix seconds, for headers that name a time.
    """
    told = _seconds_or_date(headers.get("retry-after"), now)
    if status == 429:  # noqa: PLR2004 - HTTP statuses read best as numbers
        if told is None:
            told = told_reset(headers, now)
        spam = "spam" in message.lower()
        return Failure(transient=not spam, maybe_done=False, rate_limited=not spam, told_wait=told)
    if status == 400 and code == _TRANSIENT_400:  # noqa: PLR2004
        if told is None and (match := _SECONDS_IN_TEXT.search(message)):
            told = min(float(match[1]), _LONGEST_TOLD)
        return Failure(transient=True, maybe_done=False, told_wait=told)
    if status == 408 or status >= 500:  # noqa: PLR2004
        return Failure(transient=True, maybe_done=True, told_wait=told)
    return Failure(transient=False, maybe_done=False)


def next_wait(
    failure: Failure, *, repeatable: bool, attempts: int, policy: RetryPolicy, chance: float
) -> float | None:
    """Return how many seconds to wait before the next attempt, or None to give up.

    Args:
        failure: What went wrong.
        repeatable: Whether the operation may be sent again when it may have been done.
        attempts: How many have been made, at least 1.
        policy: How patient the client is.
        chance: A random number from 0 to 1.
    """
    if not failure.transient or attempts > policy.max_retries:
        return None
    if failure.maybe_done and not repeatable:
        return None
    backoff = min(policy.cap, policy.base * 2.0 ** (attempts - 1))
    if failure.told_wait is not None:
        # A little later than told, so that many waiters do not come back in one instant.
        wait = failure.told_wait + chance * min(backoff, 1.0)
        return min(wait, policy.max_wait) if failure.told_wait <= policy.max_wait else None
    if failure.rate_limited:
        return min(backoff * (1 + chance), policy.max_wait)
    return min(backoff * chance, policy.max_wait)  # full jitter


def told_reset(headers: Mapping[str, str], now: float) -> float | None:
    """Read ``x-ratelimit-reset``: seconds to wait, or a Unix time in some accounts of it."""
    return _seconds(headers.get("x-ratelimit-reset"), now)


def _seconds(text: str | None, now: float) -> float | None:
    try:
        value = float((text or "").split(",")[0])
    except ValueError:
        return None
    if not math.isfinite(value):
        return None
    if value > _EPOCH_FLOOR:
        value -= now
    return min(max(value, 0.0), _LONGEST_TOLD)


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
        return min(max(moment.timestamp() - now, 0.0), _LONGEST_TOLD)
    except (ValueError, OverflowError):
        return None
