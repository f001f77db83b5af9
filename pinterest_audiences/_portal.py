"""One daemon thread that runs an anyio `BlockingPortal`, and the tasks in it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Generic, TypeAlias, TypeVar

import anyio
from anyio.from_thread import BlockingPortal
from attrs import field, frozen

from pinterest_audiences import _threads
from pinterest_audiences._errors import CLIENT_CLOSED, ClientClosedError

__all__ = ["Cleanup", "LoopThread", "PortalTask"]

T = TypeVar("T")
Cleanup: TypeAlias = Callable[[], Coroutine[object, object, None]]

_STOP_SECONDS = 10.0  # for a call or for connections to end, before they are abandoned


class PortalTask(Generic[T]):
    """A coroutine that can be cancelled at any time, also while it is handed to the portal."""

    def __init__(self, coroutine: Coroutine[object, object, T]) -> None:
        self.coroutine = coroutine
        self.loop: _threads.EventLoop | None = None  # once it has been submitted
        self.exit: BaseException | None = None  # KeyboardInterrupt or SystemExit of the coroutine
        self._scope: anyio.CancelScope | None = None
        self._ended = threading.Event()

    async def run(self) -> T:
        """Run the coroutine; raise `CancelledError` if the task is cancelled."""
        try:
            with anyio.CancelScope() as self._scope:
                return await self.coroutine
        except (KeyboardInterrupt, SystemExit) as error:  # it would end the loop
            self.exit = error
        finally:
            self._ended.set()
        raise CancelledError

    def cancel(self) -> None:
        """Cancel the task if it has not ended, and wait until it has cleaned up."""
        if self.loop is None:
            self.coroutine.close()
        elif not self._ended.is_set():
            with suppress(RuntimeError):  # the loop has ended
                # The portal spawns a task in one turn of the loop, and it starts in the next: after
                # two turns it has started, or was not spawned.
                self.loop.call_soon_threadsafe(self.loop.call_soon_threadsafe, self._cancel)
                self._ended.wait(_STOP_SECONDS)

    def _cancel(self) -> None:
        if self._scope is not None:
            self._scope.cancel()
        else:  # it was not spawned
            self.coroutine.close()
            self._ended.set()


@frozen
class LoopThread:
    """A thread with a running portal."""

    portal: BlockingPortal
    loop: _threads.EventLoop
    stopped: anyio.Event
    thread: threading.Thread = field(factory=threading.current_thread)

    @classmethod
    def start(cls, cleanup: Cleanup) -> LoopThread:
        """Start a thread; `cleanup` is awaited before it ends."""
        started: Future[LoopThread] = Future()
        threading.Thread(
            target=_run, args=(started, cleanup), name="pinterest_audiences", daemon=True
        ).start()
        return started.result()

    def submit(self, task: PortalTask[T]) -> Future[T]:
        """Start a task, which sees the context variables of the calling thread.

        Raises:
            ClientClosedError: The portal has been stopped.
        """
        task.loop = self.loop
        try:
            return self.portal.start_task_soon(task.run)
        except RuntimeError:
            task.coroutine.close()
            raise ClientClosedError(CLIENT_CLOSED) from None

    def stop(self) -> None:
        """Cancel all tasks, clean up and end the thread."""
        with suppress(RuntimeError):  # it has ended by itself
            self.loop.call_soon_threadsafe(self.stopped.set)
            if self.thread is not threading.current_thread():  # garbage is collected in any thread
                self.thread.join(_STOP_SECONDS)


def _run(started: Future[LoopThread], cleanup: Cleanup) -> None:
    try:
        _threads.run(_serve, started, cleanup)
    except BaseException as error:
        if started.done():
            raise
        started.set_exception(error)


async def _serve(started: Future[LoopThread], cleanup: Cleanup) -> None:
    stopped = anyio.Event()
    async with BlockingPortal() as portal:
        started.set_result(LoopThread(portal, await _threads.native_loop(), stopped))
        await stopped.wait()
        await portal.stop(cancel_remaining=True)
    await cleanup()
