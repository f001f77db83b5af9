"""The emulator's clock, which can be moved ahead."""

from __future__ import annotations

import math
import random
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


# How many rounds of the event loop runnable tasks get before a sleep moves the clock. A request
# through a transport in memory takes a handful of them.
_ROUNDS_BEFORE_MOVE = 8


class VirtualClock:
    """The emulator's time, which is moved ahead by `advance` and by sleeping.

    It runs on top of another clock, real time unless set otherwise. A client that has it as its
    ``clock`` shares the emulator's time: retries, rate limits and days of waiting take no real
    time. Sleeping tasks wake in the order of their deadlines, each at its deadline.

    Args:
        base: Returns Unix seconds.
        seed: The seed of `random`.

    Attributes:
        ahead: How many seconds it is ahead of its base.

    Example:
        >>> import anyio
        >>> from pinterest_audiences.emulator import Emulator
        >>> clock = Emulator(clock=lambda: 1_700_000_000.0).clock
        >>> clock.advance(60)
        >>> anyio.run(clock.sleep, 3600)
        >>> clock.time()
        1700003660.0
    """

    def __init__(self, base: Callable[[], float], *, seed: int = 0) -> None:
        self._base = base
        self.ahead: float = 0.0
        self._random = random.Random(seed)  # noqa: S311 - to be repeatable
        self._deadlines: list[float] = []
        self._lock = Lock()  # clients in several threads may share an emulator

    def __call__(self) -> float:
        """Return the emulator's time.

        Returns:
            Unix seconds.
        """
        return self._base() + self.ahead

    def time(self) -> float:
        """Return the emulator's time in Unix seconds."""
        return self()

    def monotonic(self) -> float:
        """Return the same seconds as `time`."""
        return self()

    def random(self) -> float:
        """Return the next number from 0 to 1, excluding 1, of a sequence that the seed chooses."""
        return self._random.random()

    def advance(self, seconds: float) -> None:
        """Move the clock ahead.

        Args:
            seconds: By how much.

        Raises:
            ValueError: When that is negative or not finite.
        """
        if not 0 <= seconds < math.inf:
            raise ValueError("the clock can only be moved ahead, by a finite time")
        with self._lock:
            self.ahead += seconds

    async def sleep(self, seconds: float) -> None:
        """Sleep in the emulator's time, and so move it ahead.

        Tasks that can run go first. The clock moves to the earliest deadline of all sleeping
        tasks.

        Args:
            seconds: How long; 0 or less only lets other tasks run.
        """
        from anyio.lowlevel import checkpoint  # noqa: PLC0415 - anyio is slow to import

        deadline = self() + max(seconds, 0.0)
        with self._lock:
            self._deadlines.append(deadline)
        try:
            await checkpoint()
            while self() < deadline:
                for _ in range(_ROUNDS_BEFORE_MOVE):
                    await checkpoint()
                with self._lock:
                    if deadline <= min(self._deadlines):
                        self.ahead += max(deadline - self(), 0.0)
                        return
        finally:
            with self._lock:
                self._deadlines.remove(deadline)
