"""Event loops and threads that also work while the interpreter shuts down.

Once the main thread has ended, `concurrent.futures` accepts no more work, which asyncio uses to
resolve host names; CPython 3.12.0 and 3.12.1 do not start any thread from then on. Threads that
still run and ``atexit`` handlers must be able to make calls nevertheless.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Protocol, TypeVar, TypeVarTuple, cast
from weakref import WeakKeyDictionary

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar, current_token

from pinterest_audiences._errors import ConfigurationError

__all__ = [
    "CallerLoop",
    "EventLoop",
    "check_threads",
    "in_event_loop",
    "lock_for",
    "native_loop",
    "no_thread_started",
    "run",
    "run_in_thread",
]

_LOCKS: RunVar[WeakKeyDictionary[object, anyio.Lock]] = RunVar("pinterest_audiences_locks")

T = TypeVar("T")
Args = TypeVarTuple("Args")

_NO_THREAD = ("can't start new thread", "can't create new thread at interpreter shutdown")


class Task(Protocol):
    """What is used of a task of asyncio."""

    def done(self) -> bool:
        """Return whether it has ended."""
        ...

    def cancel(self) -> object:
        """Cancel it."""
        ...


class EventLoop(Protocol):
    """What is used of an event loop of asyncio, which is anyio's native token."""

    getaddrinfo: Callable[..., Awaitable[object]]

    def call_soon_threadsafe(self, callback: Callable[..., object], *args: object) -> object:
        """Call a function in the loop, from any thread."""
        ...

    def create_task(self, coroutine: Coroutine[object, object, object]) -> Task:
        """Start a task."""
        ...

    def run_until_complete(self, task: Task | Coroutine[object, object, object]) -> object:
        """Run the loop until a task has ended, and return its result."""
        ...

    def is_running(self) -> bool:
        """Return whether it runs."""
        ...

    def is_closed(self) -> bool:
        """Return whether it is closed."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


async def native_loop() -> EventLoop:
    """Return the running event loop."""
    return cast("EventLoop", current_token().native_token)


async def _getaddrinfo(
    host: bytes | str | None,
    port: bytes | str | int | None,
    *,
    family: int = 0,
    type: int = 0,  # noqa: A002 - the name of asyncio's method
    proto: int = 0,
    flags: int = 0,
) -> object:
    """Resolve a name in a thread of anyio.

    asyncio does so in the loop's default executor, which accepts no work after the main thread has
    ended.
    """
    return await run_in_thread(
        socket.getaddrinfo, host, port, family, type, proto, flags, abandon_on_cancel=True
    )


def run(function: Callable[[*Args], Awaitable[T]], *args: *Args) -> T:
    """Run a coroutine function in a new event loop, in the calling thread."""

    async def main() -> T:
        (await native_loop()).getaddrinfo = _getaddrinfo
        return await function(*args)

    return anyio.run(main)


class CallerLoop:
    """An event loop that the calling thread runs, where no other thread can be started.

    Args:
        cleanup: Awaited in the loop before it is closed.
    """

    thread = None

    def __init__(self, cleanup: Callable[[], Coroutine[object, object, None]]) -> None:
        self._cleanup = cleanup
        self.loop = type(anyio.run(native_loop))()
        self.loop.getaddrinfo = _getaddrinfo

    def run(self, coroutine: Coroutine[object, object, T]) -> T:
        """Run a coroutine to its end; an interrupt cancels it.

        Raises:
            CancelledError: It has been cancelled.
        """

        async def outcome() -> T:
            try:
                return await coroutine
            except anyio.get_cancelled_exc_class():
                raise CancelledError from None

        task = self.loop.create_task(outcome())
        try:
            return cast("T", self.loop.run_until_complete(task))
        except BaseException:
            if not task.done():
                task.cancel()
                with suppress(CancelledError):
                    self.loop.run_until_complete(task)
            raise

    def stop(self) -> None:
        """Clean up and close the loop."""
        if not self.loop.is_closed() and not self.loop.is_running():
            self.loop.run_until_complete(self._cleanup())
            self.loop.close()


async def run_in_thread(
    function: Callable[[*Args], T], *args: *Args, abandon_on_cancel: bool = False
) -> T:
    """Run a function in a worker thread; in this one where no thread can be started."""
    started = False

    def work() -> T:
        nonlocal started
        started = True
        return function(*args)

    try:
        return await anyio.to_thread.run_sync(work, abandon_on_cancel=abandon_on_cancel)
    except RuntimeError as error:
        if started or not no_thread_started(error):
            raise
    return function(*args)


def in_event_loop() -> bool:
    """Return whether the calling thread runs an event loop."""
    try:
        current_token()
    except RuntimeError:
        return False
    return True


def lock_for(owner: object) -> anyio.Lock:
    """Return the running event loop's lock for an object that several loops may share."""
    try:
        locks = _LOCKS.get()
    except LookupError:
        locks = WeakKeyDictionary[object, anyio.Lock]()
        _LOCKS.set(locks)
    return locks.setdefault(owner, anyio.Lock())


def no_thread_started(error: RuntimeError) -> bool:
    """Return whether an error means that a thread could not be started."""
    return str(error) in _NO_THREAD


def check_threads() -> None:
    """Refuse an interpreter in which greenlets have replaced threads.

    Raises:
        ConfigurationError: gevent or eventlet has replaced the module `threading`.
    """
    gevent = sys.modules.get("gevent.monkey")
    eventlet = sys.modules.get("eventlet.patcher")
    for library, patched in (
        ("gevent", gevent is not None and gevent.is_module_patched("threading")),
        ("eventlet", eventlet is not None and eventlet.is_monkey_patched("thread")),
    ):
        if patched:
            raise ConfigurationError(
                f"{library} has replaced threads by greenlets, and the blocking client and token "
                f"refreshes need real threads: call {library}'s monkey patching without threads "
                "(gevent: monkey.patch_all(thread=False)), or call Pinterest from another process"
            )
