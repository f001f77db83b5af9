"""A fake clock: minutes pass as fast as the tasks can run, in a deterministic order."""

from __future__ import annotations

import heapq
import random
from itertools import count

import anyio
import anyio.lowlevel
from attrs import define, field

from pinterest_audiences import Clock

# How many rounds of the event loop are given to runnable tasks before time moves on. A request
# through a transport in memory takes a handful of them.
_ROUNDS = 8


@define(order=True)
class _Sleeper:
    """One sleeping task; ``turn`` is set when its time has come or it has to drive the clock."""

    deadline: float
    number: int
    turn: anyio.Event = field(order=False, factory=anyio.Event)


class FakeClock(Clock):
    """A clock whose time passes only while all tasks sleep.

    One of the sleepers drives the clock: it lets runnable tasks go first, then moves the time to
    the earliest deadline and wakes that sleeper; at its own deadline it hands the clock to another
    one. Pass :meth:`time` to ``Emulator(clock=...)`` to share the time.

    Attributes:
        sleeps: The seconds of each sleep, in the order they started.
    """

    def __init__(self, *, start: float = 1_700_000_000.0, seed: int = 0) -> None:
        """Start a clock.

        Args:
            start: Its first Unix time.
            seed: The seed of its random numbers.
        """
        self.sleeps: list[float] = []
        self._start = start
        self._now = 1000.0  # any: the zero of a monotonic clock means nothing
        self._origin = self._now
        self._random = random.Random(seed)
        self._numbers = count()
        self._sleepers: list[_Sleeper] = []
        self._keeper: _Sleeper | None = None

    def monotonic(self) -> float:
        """Return the fake monotonic seconds."""
        return self._now

    def time(self) -> float:
        """Return the fake Unix time in seconds."""
        return self._start + self.elapsed

    def random(self) -> float:
        """Return the next number from 0 to 1 of a fixed sequence."""
        return self._random.random()

    @property
    def elapsed(self) -> float:
        """The fake seconds since the clock was created."""
        return self._now - self._origin

    def advance(self, seconds: float) -> None:
        """Advance the time without a sleep."""
        self._now += seconds

    async def sleep(self, seconds: float) -> None:
        """Sleep for fake seconds."""
        self.sleeps.append(seconds)
        me = _Sleeper(self._now + max(seconds, 0.0), next(self._numbers))
        heapq.heappush(self._sleepers, me)
        self._keeper = self._keeper or me
        try:
            while me in self._sleepers:
                if self._keeper is me:
                    await self._let_others_run()
                    self._move_on()
                else:
                    await me.turn.wait()
                    me.turn = anyio.Event()
        finally:
            self._leave(me)

    async def _let_others_run(self) -> None:
        seen, rounds = len(self.sleeps), 0
        while rounds < _ROUNDS:
            await anyio.lowlevel.checkpoint()
            rounds += 1
            if len(self.sleeps) != seen:  # a task still runs
                seen, rounds = len(self.sleeps), 0

    def _move_on(self) -> None:
        first = heapq.heappop(self._sleepers)
        self._now = max(self._now, first.deadline)
        first.turn.set()

    def _leave(self, me: _Sleeper) -> None:
        if me in self._sleepers:  # cancelled
            self._sleepers.remove(me)
            heapq.heapify(self._sleepers)
        if self._keeper is me:
            self._keeper = self._sleepers[0] if self._sleepers else None
            if self._keeper is not None:
                self._keeper.turn.set()
