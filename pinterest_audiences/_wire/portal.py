"""The event-loop thread behind the blocking client.

One daemon thread a client, started by the first call. It is not anyio's own portal, for three
reasons that were measured: a portal left open hangs the interpreter at its end; Ctrl-C while a call
is handed over leaves it running; and handing over takes two crossings instead of one.

A finalizer stops the thread when the client is collected or left to the end of the process; in a
forked child, where the thread does not exist, it does nothing.
"""

from __future__ import annotations

import asyncio  # the loop of this thread; nothing else in the package may know which one runs
import os
import threading
import warnings
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from contextvars import Context, copy_context
from typing import TypeVar, TypeVarTuple

import anyio
from attrs import frozen

from pinterest_audiences.errors import ClientClosedError, WrongEventLoopError

__all__ = ["Portal"]

T = TypeVar("T")
Args = TypeVarTuple("Args")
Cleanup = Callable[[], Coroutine[object, object, None]]

_PATIENCE = 10.0  # seconds for a call or for connections to end, before they are left to themselves


@frozen
class _Loop:
    """A running event-loop thread."""

    loop: asyncio.AbstractEventLoop
    context: Context
    stopped: anyio.Event
    thread: threading.Thread
    pid: int

    def submit(self, call: Coroutine[object, object, T]) -> Future[T]:
        """Start a coroutine in the loop, from another thread.

        It sees the caller's context variables, except those that the loop has set for itself:
        one of them tells which event loop runs, and the caller may be in another one.
        """
        context = self.context.copy()
        for variable, value in copy_context().items():
            if variable not in self.context:
                context.run(variable.set, value)
        return context.run(asyncio.run_coroutine_threadsafe, call, self.loop)

    def wait_for_end(self, call: Coroutine[object, object, object]) -> None:
        """Wait until a coroutine that was submitted and cancelled has cleaned up after itself."""
        ended = threading.Event()

        def watch() -> None:
            running = [task for task in asyncio.all_tasks() if task.get_coro() is call]
            for task in running:
                task.add_done_callback(lambda _: ended.set())
            if not running:
                ended.set()

        with suppress(RuntimeError):  # the loop has ended, and with it all that ran in it
            self.loop.call_soon_threadsafe(watch)
            ended.wait(_PATIENCE)

    def stop(self) -> None:
        """Cancel what runs, clean up and end the thread."""
        try:
            self.loop.call_soon_threadsafe(self.stopped.set)
        except RuntimeError:  # it has ended by itself
            return
        self.thread.join(_PATIENCE)


class Portal:
    """Runs coroutine functions in an event loop of its own, for threads that wait.

    Args:
        cleanup: Awaited in the loop before the thread ends.
    """

    def __init__(self, cleanup: Cleanup) -> None:
        self._cleanup = cleanup
        self._lock = threading.Lock()  # a call is handed over before the stop, or not at all
        self._loop: _Loop | None = None
        self._finalizer: weakref.finalize[..., Portal] | None = None
        self._closed = False

    def check_usable(self) -> None:
        """Refuse to go on after close, in a forked child, or in the loop's own thread."""
        if self._closed:
            raise ClientClosedError("this client is closed; make a new one")
        self._check_place()

    def _check_place(self) -> None:
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

    def call(self, function: Callable[[*Args], Coroutine[object, object, T]], /, *args: *Args) -> T:
        """Run a coroutine function in the loop and wait for what it returns.

        Whatever interrupts the waiting, like Ctrl-C, cancels the function too, and comes out when
        it has ended: what it held, such as a lock, is free then.
        """
        self.check_usable()
        with self._lock:
            self.check_usable()
            loop = self._loop or self._start()
            running = function(*args)
            future = loop.submit(running)
        try:
            return future.result()
        except CancelledError:
            self.check_usable()  # closed by another thread
            raise
        except BaseException:
            if future.cancel():  # which an error of the function's own leaves nothing of
                loop.wait_for_end(running)
            raise

    def close(self) -> None:
        """Cancel what runs, clean up and end the thread; a second time does nothing."""
        if not self._closed:
            self._check_place()  # before the lock: after fork() nobody may be left to release it
        with self._lock:
            closed, self._closed = self._closed, True
        if closed:
            return
        if self._finalizer is not None and self._finalizer.detach() and self._loop is not None:
            self._loop.stop()

    def _start(self) -> _Loop:
        started: Future[_Loop] = Future()
        threading.Thread(
            target=_run, args=(started, self._cleanup), name="pinterest_audiences", daemon=True
        ).start()
        self._loop = started.result()
        self._finalizer = weakref.finalize(self, _finalize, self._loop)
        return self._loop


def _run(started: Future[_Loop], cleanup: Cleanup) -> None:
    try:
        anyio.run(_serve, started, cleanup)
    except BaseException as error:
        if started.done():
            raise
        started.set_exception(error)


async def _serve(started: Future[_Loop], cleanup: Cleanup) -> None:
    stopped = anyio.Event()
    loop = asyncio.get_running_loop()
    thread = threading.current_thread()
    started.set_result(_Loop(loop, copy_context(), stopped, thread, os.getpid()))
    await stopped.wait()
    calls = asyncio.all_tasks() - {asyncio.current_task()}
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    await cleanup()


def _finalize(loop: _Loop) -> None:
    if loop.pid != os.getpid():
        return
    if loop.thread is threading.current_thread():
        # Garbage is collected in any thread, and the loop cannot wait for its own end.
        loop.stopped.set()
    else:
        loop.stop()
    warnings.warn(
        "a Client was not closed; use it in a with block, or call its close()",
        ResourceWarning,
        stacklevel=2,
    )
