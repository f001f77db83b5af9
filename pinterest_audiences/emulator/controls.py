"""What whoever runs an emulator may do to it: let things go wrong, move its clock, begin anew."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Unpack

from pinterest_audiences.emulator.faults import Fault, FaultKind, Faults, FaultSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Lock


class Controls(ABC):
    """The part of an emulator that its doors for operators lead to.

    Args:
        faults: What waits to go wrong.
        lock: Held by whoever reads or changes the emulator.
        clock: Returns Unix seconds.
    """

    def __init__(self, faults: Faults, lock: Lock, clock: Callable[[], float]) -> None:
        self._faults = faults
        self._lock = lock
        self._clock = clock
        self._offset = 0.0

    @property
    def faults(self) -> Faults:
        """What waits to go wrong; a fault that is used up is gone."""
        return self._faults

    def fault(self, kind: FaultKind, /, **settings: Unpack[FaultSettings]) -> Fault:
        """Let something go wrong from now on.

        Args:
            kind: What happens; `Fault` tells which kinds there are.
            **settings: Whom it strikes, how often and how; the attributes of `Fault`.

        Returns:
            The fault, which is among `faults` until it is used up.

        Raises:
            ValueError: When a setting is out of its range.

        Example:
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator()
            >>> emulator.fault("no_answer", operation="customer_lists_create", times=2)
            <Fault: no_answer, customer_lists_create, 2 times>
        """
        fault = Fault(kind, **settings)
        self._faults.add(fault)
        return fault

    def advance(self, *, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Move the emulator's clock ahead, whichever clock it was made with.

        Args:
            hours: By so many hours.
            minutes: And so many minutes.
            seconds: And so many seconds.

        Raises:
            ValueError: When that is negative or not finite.
        """
        ahead = hours * 3600 + minutes * 60 + seconds
        if not 0 <= ahead < math.inf:
            raise ValueError("the clock can only be moved ahead, by a finite time")
        with self._lock:
            self._offset += ahead

    def now(self) -> float:
        """Return the emulator's time.

        Returns:
            Unix seconds.
        """
        return self._clock() + self._offset

    def reset(self) -> None:
        """Forget everything: what was made and spent, the journal, the faults, a moved clock.

        Example:
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator()
            >>> (spring,) = emulator.seed_lists("549", 1)
            >>> emulator.reset()
            >>> emulator
            <Emulator: 0 ad_accounts, 0 customer_lists, 0 members, 0 requests>
        """
        with self._lock:
            self._forget()

    def overview(self, count: int = 50) -> dict[str, list[dict[str, object]]]:
        """Return what there is, newest first, for people to look at.

        Args:
            count: How many of each kind at most.

        Returns:
            `customer_lists`, `audiences` and `uploads` as the API would show them now, and
            `budgets`: what each token has spent.
        """
        with self._lock:
            return self._show_all(count)

    @abstractmethod
    def _forget(self) -> None:
        """Forget everything."""

    @abstractmethod
    def _show_all(self, count: int) -> dict[str, list[dict[str, object]]]:
        """Return what there is."""
