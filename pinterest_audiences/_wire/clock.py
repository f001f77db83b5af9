"""Where time and chance come from, so that tests and simulations can bring their own."""

from __future__ import annotations

import random
import time

import anyio

__all__ = ["Clock"]


class Clock:
    """Time, sleep and chance as the client uses them; subclass it to simulate.

    Example:
        >>> class Frozen(Clock):
        ...     def monotonic(self) -> float:
        ...         return 0.0
        >>> Frozen().monotonic()
        0.0
    """

    def monotonic(self) -> float:
        """Return seconds that never go back; their zero means nothing."""
        return time.monotonic()

    def time(self) -> float:
        """Return Unix seconds."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait for so many seconds without blocking the event loop."""
        await anyio.sleep(seconds)

    def random(self) -> float:
        """Return a number from 0 to 1, 1 excluded."""
        return random.random()  # noqa: S311 - spreads retries; nothing secret
