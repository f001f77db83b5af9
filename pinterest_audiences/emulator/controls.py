"""What whoever runs an emulator may do to it: let things go wrong, look around, begin anew."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Unpack

from pinterest_audiences.emulator.faults import Fault, FaultKind, Faults, FaultSettings
from pinterest_audiences.emulator.inside import Inside

if TYPE_CHECKING:
    from threading import Lock

    from pinterest_audiences.emulator.world import World


class Controls(Inside, ABC):
    """The part of an emulator that its doors for operators lead to.

    Args:
        world: All there is.
        faults: What waits to go wrong.
        lock: Held by whoever reads or changes the emulator.
    """

    def __init__(self, world: World, faults: Faults, lock: Lock) -> None:
        super().__init__(world, lock)
        self._faults = faults

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

    def reset(self) -> None:
        """Forget everything: what was made and spent, the journal, the faults, a moved clock.

        A file that the emulator began with is forgotten as well, but not overwritten.

        Example:
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator()
            >>> (spring,) = emulator.seed_lists("549", 1)
            >>> emulator.reset()
            >>> emulator.counts()["customer_lists"]
            0
        """
        with self._lock:
            self._world.clear()
            self._forget()

    def overview(self, count: int = 50) -> dict[str, list[dict[str, object]]]:
        """Return what there is, newest first, for people to look at.

        Args:
            count: How many of each kind at most.

        Returns:
            `customer_lists`, `audiences` and `uploads` as the API would show them now, and
            `budgets`: what each token has spent.
        """
        with self._settled() as world:
            return {
                "customer_lists": list(map(world.state.show, world.state.newest(count))),
                "audiences": list(map(world.audiences.show, world.audiences.newest(count))),
                "uploads": list(map(world.uploads.show, world.uploads.newest(count))),
                "budgets": self._show_budgets()[:count],
            }

    @abstractmethod
    def _forget(self) -> None:
        """Forget faults, budgets and requests."""

    @abstractmethod
    def _show_budgets(self) -> list[dict[str, object]]:
        """Return what each token has spent."""
