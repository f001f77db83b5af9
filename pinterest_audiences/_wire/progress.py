"""How far one call has come over its attempts, and the errors that tell of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import define

from pinterest_audiences._wire import trace
from pinterest_audiences.errors import RateLimitError, TokenRefreshError

if TYPE_CHECKING:
    from pinterest_audiences._wire.operations import Call
    from pinterest_audiences._wire.retry import Failure

__all__ = ["Progress", "placed", "unsent"]


@define
class Progress:
    """How far one call has come over its attempts."""

    call: Call[Any]
    attempts: int = 0
    maybe_applied: bool = False
    refreshed: bool = False

    def note(self, failure: Failure) -> None:
        """Note how an attempt failed."""
        maybe_done = failure.maybe_done and self.call.operation.changes
        self.maybe_applied = self.maybe_applied or maybe_done
        if (noted := trace.current()) is not None:
            noted.failed(rate_limited=failure.rate_limited, maybe_done=maybe_done)

    def sent(self) -> None:
        """Note an attempt."""
        self.attempts += 1
        if (noted := trace.current()) is not None:
            noted.sent(sum(map(len, self.call.body)))


def placed(progress: Progress, error: TokenRefreshError) -> TokenRefreshError:
    """Say of a failed refresh which call it stopped."""
    call = progress.call
    return TokenRefreshError(
        status=error.status,
        code=error.code,
        message=error.message,
        request_id=error.request_id,
        retry_after=error.retry_after,
        hint=error.hint,
        operation=call.operation.name,
        method=call.operation.method,
        path=call.path,
        attempts=progress.attempts,
        maybe_applied=progress.maybe_applied,
    )


def unsent(progress: Progress, seconds: float) -> RateLimitError:
    """Say that a call was not sent, because its budget is spent for so long."""
    call = progress.call
    error = RateLimitError(
        status=429,
        retry_after=seconds,
        hint=f"not sent: the budget of {call.operation.category} is spent",
        operation=call.operation.name,
        method=call.operation.method,
        path=call.path,
        attempts=progress.attempts,
        maybe_applied=progress.maybe_applied,
    )
    error.category = call.operation.category
    return error
