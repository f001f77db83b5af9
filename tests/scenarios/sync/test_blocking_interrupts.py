"""Ctrl-C in the synchronous client: it is raised once the interrupted call has ended."""

from __future__ import annotations

import _thread
import os
import signal
import threading
from unittest import mock

import anyio
import anyio.lowlevel
import httpx
import pytest

from pinterest_audiences import Client, _sync_runner
from pinterest_audiences._portal import LoopThread, PortalTask
from pinterest_audiences._sync_runner import SyncRunner

pytestmark = pytest.mark.skipif(os.name != "posix", reason="requires POSIX signals")

ACCOUNT = "549755885175"
PATIENCE = 10.0


class SlowCleanup(httpx.AsyncBaseTransport):
    """A transport that is interrupted in its first request, and cleans up slowly."""

    def __init__(self) -> None:
        self.requests = 0
        self.tidied = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        if self.requests > 1:
            return httpx.Response(200, json={"id": "643"})
        try:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                for _ in range(1000):
                    await anyio.lowlevel.checkpoint()
            self.tidied = True
        raise AssertionError


def test_ctrl_c_is_raised_after_the_call_has_cleaned_up() -> None:
    """Resources of the call, such as a lock, are free for the next call."""
    transport = SlowCleanup()
    with Client("token", transport=transport) as client:
        with pytest.raises(KeyboardInterrupt):
            client.customer_lists_get(ACCOUNT, "643")
        assert transport.tidied
        assert client.customer_lists_get(ACCOUNT, "643").id == "643"


class MissedSignal(httpx.AsyncBaseTransport):
    """A transport during whose first request a signal arrives that does not wake the main thread.

    As one that arrives just before the thread waits for a lock.
    """

    def __init__(self) -> None:
        self.answers = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not self.answers:
            await anyio.sleep(0.2)  # usually the thread waits then
            _thread.interrupt_main()
            await anyio.sleep(PATIENCE)
        self.answers += 1
        return httpx.Response(200, json={"id": "643"})


def test_ctrl_c_that_does_not_wake_the_thread_ends_the_call() -> None:
    transport = MissedSignal()
    with Client("token", transport=transport) as client:
        with pytest.raises(KeyboardInterrupt):
            client.customer_lists_get(ACCOUNT, "643")
        assert not transport.answers


def test_call_that_outlasts_several_checks_for_signals_returns_its_result() -> None:
    """Or raises its error, also a TimeoutError."""

    async def work(error: Exception | None) -> int:
        await anyio.sleep(0.05)
        if error is not None:
            raise error
        return 7

    async def nothing() -> None:
        pass

    runner = SyncRunner(nothing)
    with mock.patch.object(_sync_runner, "_SIGNAL_SECONDS", 0.01):
        assert runner.call(work, None) == 7
        for error in (TimeoutError("of the call"), ValueError("of the call")):
            with pytest.raises(type(error)) as caught:
                runner.call(work, error)
            assert caught.value is error
    runner.close()


def test_ctrl_c_at_the_end_of_a_call_does_not_wait() -> None:

    async def nothing() -> None:
        pass

    runner = SyncRunner(nothing)
    runner.call(nothing)
    assert isinstance(runner._loop, LoopThread)
    ended = PortalTask(nothing())
    runner._loop.submit(ended).result()
    never_spawned = PortalTask(nothing())
    never_spawned.loop = runner._loop.loop
    for task in (ended, never_spawned, PortalTask(nothing())):
        waiting = threading.Thread(target=task.cancel, daemon=True)
        waiting.start()
        waiting.join(PATIENCE / 2)  # else it would wait for ten seconds
        assert not waiting.is_alive()
    last = PortalTask(nothing())
    last.loop = runner._loop.loop
    runner.close()
    last.cancel()  # the loop has ended too
    last.coroutine.close()


def test_ctrl_c_between_start_and_wait_of_a_call_leaves_nothing_running() -> None:
    started, ended = threading.Event(), threading.Event()

    async def work() -> None:
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    async def nothing() -> None:
        pass

    runner = SyncRunner(nothing)
    runner.call(nothing)
    with pytest.raises(KeyboardInterrupt), _InterruptedOnRelease(runner, started):
        runner.call(work)
    assert ended.is_set()
    runner.close()


class _InterruptedOnRelease:
    """Replaces the runner's lock, and raises KeyboardInterrupt when it is released."""

    def __init__(self, runner: SyncRunner, started: threading.Event) -> None:
        self._runner, self._started = runner, started
        self._lock = runner._lock

    def __enter__(self) -> None:
        owner = self

        class Lock:
            def __enter__(self) -> None:
                owner._lock.acquire()

            def __exit__(self, *_: object) -> None:
                owner._lock.release()
                assert owner._started.wait(PATIENCE)
                raise KeyboardInterrupt

        vars(self._runner)["_lock"] = Lock()

    def __exit__(self, *_: object) -> None:
        vars(self._runner)["_lock"] = self._lock
