"""When the event loop behind a `Client` starts and ends, and who may call it."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

from pinterest_audiences import _threads
from pinterest_audiences._errors import CLIENT_CLOSED, ClientClosedError, WrongEventLoopError
from pinterest_audiences._portal import Cleanup, LoopThread, PortalTask

__all__ = ["SyncRunner"]

_SIGNAL_SECONDS = 0.5  # in which a signal is noticed
P = ParamSpec("P")
T = TypeVar("T")


class SyncRunner:
    """Runs coroutine functions in an event loop, for threads that wait for the result.

    The first call starts a thread with a portal. It ends when the client is closed or
    garbage-collected, or left open at the end of the process. A forked child does not have it.
    Where no thread can be started, the calling thread runs the loop.

    Args:
        cleanup: Awaited in the loop before it ends.
        parent: A runner whose loop is used. Closing this runner awaits the cleanup and leaves the
            loop running.

    Raises:
        ConfigurationError: Threads have been replaced by greenlets.
    """

    def __init__(self, cleanup: Cleanup, parent: SyncRunner | None = None) -> None:
        _threads.check_threads()
        self._cleanup = cleanup
        self._parent = parent
        # A call is handed over before the stop, or not at all. Reentrant: a garbage collection
        # while it is held may call or close this client from a `__del__`.
        self._lock = threading.RLock()
        self._pid: int | None = None  # set before the lock is taken: a child cannot release it
        self._loop: LoopThread | _threads.CallerLoop | None = None
        self._finalizer: weakref.finalize[..., SyncRunner] | None = None
        self._closed = False

    def check_usable(self) -> None:
        """Refuse a call after close, in a forked child, or in the loop's own thread."""
        if self._closed:
            raise ClientClosedError(CLIENT_CLOSED)
        if self._parent is not None:
            self._parent.check_usable()
            return
        if sys.is_finalizing():  # all other threads have stopped, and none can be started
            raise ClientClosedError("this client cannot be used: the interpreter is shutting down")
        self._check_process_and_thread()

    def _check_process_and_thread(self) -> None:
        if self._pid not in (None, os.getpid()):
            raise WrongEventLoopError(
                "this client was used before fork(); create a new one in the child process"
            )
        if self._loop is None:
            return
        if self._loop.thread is threading.current_thread() or (
            isinstance(self._loop, _threads.CallerLoop) and self._loop.loop.is_running()
        ):
            raise WrongEventLoopError(
                "a blocking call inside the client's own event loop would never return"
            )

    def call(
        self,
        function: Callable[P, Coroutine[Any, Any, T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run a coroutine function in the loop and wait for its result.

        An interrupt such as Ctrl-C cancels it, and is raised when it has cleaned up: what it held,
        such as a lock, is free then.
        """
        self.check_usable()
        owner = self._parent or self
        owner.used_by(os.getpid())
        task = PortalTask(function(*args, **kwargs))
        del function, args, kwargs  # error reporters collect the variables of every frame
        return owner.run(task, self.check_usable)

    def used_by(self, pid: int) -> None:
        """Record the process that uses the loop, before its lock is taken."""
        self._pid = pid

    def run(self, task: PortalTask[T], check_usable: Callable[[], None]) -> T:
        """Run a task in the loop and wait for its result; the check is that of its runner."""
        try:
            with self._lock:
                check_usable()
                loop = self._loop or self._start()
                if isinstance(loop, _threads.CallerLoop):
                    return loop.run(task.coroutine)
                future = loop.submit(task)
            return _wait_for(future)
        except CancelledError:
            if task.exit is not None:
                raise task.exit from None
            check_usable()  # closed by another thread
            raise
        except BaseException:
            task.cancel()
            raise

    def close(self) -> None:
        """Cancel what runs, clean up and end the thread; a second time does nothing."""
        if self._parent is not None:
            self._close_child(self._parent)
            return
        if not self._closed:
            self._check_process_and_thread()  # before the lock, whose holder a fork() may lose
        elif self._pid != os.getpid():  # closed before a fork(), or never used
            return
        with self._lock:
            already_closed, self._closed = self._closed, True
        if already_closed or sys.is_finalizing():
            return
        if self._finalizer is not None and self._finalizer.detach() and self._loop is not None:
            self._loop.stop()

    def _close_child(self, parent: SyncRunner) -> None:
        if not self._closed and parent.started:
            with suppress(ClientClosedError):  # it has ended with the parent
                self.call(self._cleanup)
        self._closed = True

    @property
    def started(self) -> bool:
        """Whether a call has started the loop."""
        return self._loop is not None

    def share(self, cleanup: Cleanup) -> SyncRunner:
        """Return a runner that uses the same loop; see `parent`."""
        return SyncRunner(cleanup, self._parent or self)

    def close_at_exit(self) -> None:
        """Close a client that is left open at the end of the process, with a warning."""
        if self._finalizer is not None and self._finalizer.detach() and self._loop is not None:
            self._closed = self._pid == os.getpid()
            _finalize(self._loop, self._pid)

    def _start(self) -> LoopThread | _threads.CallerLoop:
        try:
            self._loop = LoopThread.start(self._cleanup)
        except RuntimeError as error:
            if not _threads.no_thread_started(error):
                raise
            if _threads.in_event_loop():
                raise WrongEventLoopError(
                    "no thread can be started now, and a blocking call inside a running event loop "
                    "needs one"
                ) from None
            self._loop = _threads.CallerLoop(self._cleanup)
        self._finalizer = weakref.finalize(self, _finalize, self._loop, self._pid)
        self._finalizer.atexit = False  # `_close_all` runs later, after handlers that still call
        _OPEN_RUNNERS.add(self)
        return self._loop


def _wait_for(future: Future[T]) -> T:
    """Wait for the result of a future, so that a signal is noticed soon.

    A lock does not notice one that arrives just before the thread waits for it, and on Windows none
    at all. Python would raise KeyboardInterrupt only after the call then.
    """
    if threading.current_thread() is not threading.main_thread():
        return future.result()
    while True:
        try:
            return future.result(_SIGNAL_SECONDS)
        except TimeoutError:
            if future.done():  # it is of the call, or the call has ended since
                return future.result()


def _finalize(loop: LoopThread | _threads.CallerLoop, pid: int | None) -> None:
    if pid != os.getpid() or sys.is_finalizing():
        return
    loop.stop()
    warnings.warn(
        "a Client was not closed; use it in a with block, or call its close()",
        ResourceWarning,
        stacklevel=2,
    )


_OPEN_RUNNERS: weakref.WeakSet[SyncRunner] = weakref.WeakSet()


@atexit.register  # when this module is imported, so that handlers registered later run before it
def _close_all() -> None:
    for runner in list(_OPEN_RUNNERS):
        runner.close_at_exit()
