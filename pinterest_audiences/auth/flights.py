"""Work that nobody's cancellation stops: in a thread of its own, waited for by any number of tasks.

A shielded cancel scope is not enough: asyncio's own time-outs, and Ctrl-C in the blocking client,
cancel tasks past it. And while a refresh token that is valid once is on its way, there is nothing
worse than to stop listening.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar
from weakref import WeakKeyDictionary

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar

__all__ = ["landed", "start", "under_way"]

_NAME = "pinterest_audiences refresh"

T = TypeVar("T")

_GATES: RunVar[WeakKeyDictionary[object, anyio.Lock]] = RunVar("pinterest_audiences_gates")


def start(work: Callable[[], T], done: Callable[[Future[T]], None] | None = None) -> Future[T]:
    """Begin work in a thread that the end of the process waits for.

    Args:
        work: A function that may block.
        done: Called in that thread with the result, before anybody else sees it.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        found: Future[T] = Future()
        try:
            found.set_result(work())
        except BaseException as error:  # noqa: BLE001 - whoever waits gets it
            found.set_exception(error)
        if done is not None:
            done(found)
        problem = found.exception()
        if problem is None:
            outcome.set_result(found.result())
        else:
            outcome.set_exception(problem)

    threading.Thread(target=run, name=_NAME, daemon=False).start()
    return outcome


def under_way() -> list[threading.Thread]:
    """Return the threads that the end of the process waits for."""
    return [each for each in threading.enumerate() if each.name == _NAME]


async def landed(flight: Future[T]) -> T:
    """Wait for work; who is cancelled meanwhile leaves it running.

    Of the tasks of one event loop only one takes a thread to wait in.
    """
    if not flight.done():
        async with _gate(flight):
            if not flight.done():
                return await anyio.to_thread.run_sync(flight.result, abandon_on_cancel=True)
    return flight.result()


def _gate(flight: Future[T]) -> anyio.Lock:
    try:
        gates = _GATES.get()
    except LookupError:
        gates = WeakKeyDictionary[object, anyio.Lock]()
        _GATES.set(gates)
    return gates.setdefault(flight, anyio.Lock())
