"""The emulator's own time: that of any clock, plus what it was moved ahead by."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class VirtualClock:
    """A clock that can be moved ahead, whichever clock it is built on.

    Args:
        base: Returns Unix seconds.

    Attributes:
        ahead: How many seconds it is ahead of its base.

    Example:
        >>> clock = VirtualClock(lambda: 1_700_000_000.0)
        >>> clock.advance(3600)
        >>> clock()
        1700003600.0
    """

    def __init__(self, base: Callable[[], float]) -> None:
        self._base = base
        self.ahead: float = 0.0

    def __call__(self) -> float:
        """Return the emulator's time.

        Returns:
            Unix seconds.
        """
        return self._base() + self.ahead

    def advance(self, seconds: float) -> None:
        """Move the clock ahead.

        Args:
            seconds: By how much.

        Raises:
            ValueError: When that is negative or not finite; nothing here could be undone.
        """
        if not 0 <= seconds < math.inf:
            raise ValueError("the clock can only be moved ahead, by a finite time")
        self.ahead += seconds
