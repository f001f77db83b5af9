"""The event-loop thread behind the blocking client.

One daemon thread a client, started by the first call. It is not ``start_blocking_portal``: a portal
of that kind that is never exited hangs the interpreter at its end. Here a finalizer stops the
thread when the client is closed, collected, or left to the end of the process; in a forked child,
where the thread does not exist, it does nothing.
"""

from __future__ import annotations

import os
import threading
import warnings
import weakref
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from typing import TypeVar, TypeVarTuple

import anyio
from anyio.from_thread import BlockingPortal
from attrs import frozen

from pinterest_audiences.errors import ClientClosedError, WrongEventLoopError

__all__ = ["Portal"]

T = TypeVar("T")
Args = TypeVarTuple("Args")

_PATIENCE = 10.0  # seconds for connections to close before the thread is left to itself


@frozen
class _Loop:
    """A running event-loop thread."""

    portal: BlockingPortal
    thread: threading.Thread
    pid: int


class Portal:
    """Runs coroutine functions in an event loop of its own, for threads that wait.

    Args:
        cleanup: Awaited in the loop before the thread ends.
    """

    def __init__(self, cleanup: Callable[[], Awaitable[None]]) -> None:
        self._cleanup = cleanup
        self._starting = threading.Lock()
        self._loop: _Loop | None = None
        self._finalizer: weakref.finalize[..., Portal] | None = None
        self._closed = False

    def check_usable(self) -> None:
        """Refuse to go on after close, in a forked child, or in the loop's own thread."""
        if self._closed:
            raise ClientClosedError("this client is closed; make a new one")
        if self._loop is None:
            return
        if self._loop.pid != os.getpid():
            raise WrongEventLoopError(
                "this client was used before fork(); make a new one in the child process"
            )
        if self._loop.thread is threading.current_thread():
            raise WrongEventLoopError(
                "a blocking call inside the client's own event loop would wait for itself"
            )

    def call(self, function: Callable[[*Args], Awaitable[T]], /, *args: *Args) -> T:
        """Run a coroutine function in the loop and wait for what it returns.

        Whatever interrupts the waiting, like Ctrl-C, cancels the function too.
        """
        self.check_usable()
        loop = self._loop or self._start()
        try:
            future = loop.portal.start_task_soon(function, *args)
        except RuntimeError:  # closed by another thread since the check
            self.check_usable()
            raise
        try:
            return future.result()
        except CancelledError:
            self.check_usable()
            raise
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Cancel what runs, clean up and end the thread; a second time does nothing."""
        with self._starting:
            if self._closed:
                return
            if self._loop is not None:
                self.check_usable()
            self._closed = True
        if self._loop is not None and self._finalizer is not None:
            self._finalizer.detach()
            _stop(self._loop)

    def _start(self) -> _Loop:
        with self._starting:
            self.check_usable()
            if self._loop is None:
                self._loop = _start_thread(self._cleanup)
                self._finalizer = weakref.finalize(self, _finalize, self._loop)
            return self._loop


def _start_thread(cleanup: Callable[[], Awaitable[None]]) -> _Loop:
    started: Future[BlockingPortal] = Future()
    thread = threading.Thread(
        target=_run, args=(started, cleanup), name="pinterest_audiences", daemon=True
    )
    thread.start()
    return _Loop(started.result(), thread, os.getpid())


def _run(started: Future[BlockingPortal], cleanup: Callable[[], Awaitable[None]]) -> None:
    try:
        anyio.run(_serve, started, cleanup)
    except BaseException as error:
        if started.done():
            raise
        started.set_exception(error)


async def _serve(started: Future[BlockingPortal], cleanup: Callable[[], Awaitable[None]]) -> None:
    try:
        async with BlockingPortal() as portal:
            started.set_result(portal)
            await portal.sleep_until_stopped()
    finally:
        await cleanup()


def _stop(loop: _Loop) -> None:
    try:
        loop.portal.start_task_soon(loop.portal.stop, True)  # noqa: FBT003 - anyio's signature
    except RuntimeError:  # it has stopped by itself
        return
    loop.thread.join(_PATIENCE)


def _finalize(loop: _Loop) -> None:
    if loop.pid != os.getpid():
        return
    warnings.warn(
        "a Client was not closed; use it in a with block, or call its close()",
        ResourceWarning,
        stacklevel=2,
    )
    if loop.thread is threading.current_thread():
        # Garbage is collected in any thread, and the loop cannot wait for its own end.
        threading.Thread(target=_stop, args=(loop,), daemon=True).start()
    else:
        _stop(loop)
