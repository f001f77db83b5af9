"""Whether something that fails is tried again, for how long, and with which gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define, field

from pinterest_audiences.errors import (
    APIError,
    CallError,
    DecodeError,
    RateLimitError,
    ServerError,
    TransportError,
)

if TYPE_CHECKING:
    from pinterest_audiences._wire.clock import Clock

__all__ = ["Patience", "may_pass", "too_large"]

_TOO_LARGE = 413
_FIRST_GAP, _LONGEST_GAP = 1.0, 60.0  # seconds between tries, once the client has given up


@define
class Patience:
    """The tries of one thing, from now on.

    Attributes:
        clock: Its time.
        seconds: For how long it is tried.
    """

    clock: Clock
    seconds: float
    _begun: float = field(init=False)
    _gap: float = field(init=False, default=_FIRST_GAP)

    def __attrs_post_init__(self) -> None:
        self._begun = self.clock.monotonic()

    def wait(self, told: float | None = None) -> float | None:
        """Return the seconds until the next try, or None when it would be too late.

        Args:
            told: How many seconds Pinterest asked to wait, where it did.
        """
        wait = max(self._gap, told or 0.0)
        if self.clock.monotonic() - self._begun + wait > self.seconds:
            return None
        self._gap = min(2 * self._gap, _LONGEST_GAP)
        return wait


def may_pass(error: CallError) -> bool:
    """Tell whether waiting may help: not where Pinterest has judged, as it does of spam."""
    if isinstance(error, RateLimitError):
        return "spam" not in error.message.lower()
    return isinstance(error, TransportError | ServerError | DecodeError)


def too_large(error: CallError, count: int) -> bool:
    """Tell whether so many records were refused for their size, and can be halved."""
    return isinstance(error, APIError) and error.status == _TOO_LARGE and count > 1
