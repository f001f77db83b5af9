"""The synchronous client without threads: the calling thread runs its event loop."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import Callable

import httpx
import pytest

from pinterest_audiences import (
    Client,
    ClientClosedError,
    NotFoundError,
    WrongEventLoopError,
    _sync_runner,
)

ACCOUNT = "549755885175"
LIST = {"id": "643", "name": "Spring"}


@pytest.fixture
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevent threads from starting, as at interpreter shutdown in CPython 3.12.0."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)


without_threads = pytest.mark.usefixtures("_no_threads")


class Transport(httpx.AsyncBaseTransport):
    """Responds with a list; a function may run in the loop before.

    Attributes:
        threads: The thread of each request.
        closed: The thread in which it was closed.
    """

    def __init__(self, before: Callable[[], object] = lambda: None, status: int = 200) -> None:
        self.before, self.status = before, status
        self.threads: list[int] = []
        self.closed: list[int] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.threads.append(threading.get_ident())
        self.before()
        return httpx.Response(self.status, json=LIST)

    async def aclose(self) -> None:
        self.closed.append(threading.get_ident())


def new_client(transport: httpx.AsyncBaseTransport) -> Client:
    return Client("token", transport=transport, max_retries=0)


def name_of_list(client: Client) -> str | None:
    return client.customer_lists_get(ACCOUNT, "643").name


@without_threads
def test_calls_run_in_the_calling_thread_and_close_cleans_up() -> None:
    """Several calls; their connections are closed with the client."""
    transport, here = Transport(), threading.get_ident()
    with new_client(transport) as client:
        assert [name_of_list(client) for _ in range(3)] == ["Spring"] * 3
        assert (transport.threads, transport.closed) == ([here] * 3, [])
    assert transport.closed == [here]
    client.close()  # a second time does nothing
    assert transport.closed == [here]
    with pytest.raises(ClientClosedError):
        name_of_list(client)


@without_threads
def test_api_error_propagates_and_leaves_the_client_usable() -> None:
    """As with a thread."""
    transport = Transport(status=404)
    with new_client(transport) as client:
        with pytest.raises(NotFoundError):
            name_of_list(client)
        transport.status = 200
        assert name_of_list(client) == "Spring"


class Hanging(httpx.AsyncBaseTransport):
    """Is interrupted in its first request, and responds to later ones.

    Attributes:
        events: The events of the interrupted request.
    """

    def __init__(self) -> None:
        self.events: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.events:
            return httpx.Response(200, json=LIST)
        self.events.append("waits")
        asyncio.get_running_loop().call_soon(interrupt)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)  # what is held is given back, which may take a while
            self.events.append("cleaned up")
            raise
        raise AssertionError


def interrupt() -> None:
    raise KeyboardInterrupt


@without_threads
def test_ctrl_c_is_raised_after_the_call_was_cancelled() -> None:
    """The client can be used afterwards."""
    transport = Hanging()
    with new_client(transport) as client:
        with pytest.raises(KeyboardInterrupt):
            name_of_list(client)
        assert transport.events == ["waits", "cleaned up"]
        assert name_of_list(client) == "Spring"


@without_threads
def test_call_inside_a_running_event_loop_is_refused() -> None:
    """It requires a thread; outside the loop the same client works."""
    client = new_client(Transport())

    async def inside() -> None:
        with pytest.raises(WrongEventLoopError, match="no thread can be started now"):
            name_of_list(client)

    asyncio.run(inside())
    with client:
        assert name_of_list(client) == "Spring"


@without_threads
def test_call_inside_the_clients_own_loop_is_refused() -> None:
    """It would deadlock."""
    errors: list[WrongEventLoopError] = []

    def call_and_close() -> None:
        attempts: list[Callable[[], object]] = [lambda: name_of_list(client), client.close]
        for again in attempts:
            with pytest.raises(WrongEventLoopError, match="would never return") as refused:
                again()
            errors.append(refused.value)

    with new_client(Transport(call_and_close)) as client:
        assert name_of_list(client) == "Spring"
    assert len(errors) == 2


@without_threads
def test_open_client_is_closed_with_a_warning_on_collection() -> None:
    """With its connections."""
    transport = Transport()

    def leave_open() -> None:
        assert name_of_list(new_client(transport)) == "Spring"
        gc.collect()

    with pytest.warns(ResourceWarning, match="a Client was not closed"):
        leave_open()
    assert transport.closed == [threading.get_ident()]


@without_threads
def test_process_exit_does_not_close_a_running_loop() -> None:
    """The call of a daemon thread completes."""

    def end() -> None:
        with pytest.warns(ResourceWarning, match="a Client was not closed"):
            _sync_runner._close_all()

    transport = Transport(end)
    client = new_client(transport)
    assert name_of_list(client) == "Spring"
    assert transport.closed == []
    with pytest.raises(ClientClosedError):
        name_of_list(client)
    place = client._runner._loop
    assert place is not None
    place.stop()  # which the end of the process makes needless
    assert transport.closed == [threading.get_ident()]


def test_other_thread_start_errors_propagate(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop is not run in the calling thread; a later call works."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("thread already started")

    with new_client(Transport()) as client:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="thread already started"):
                name_of_list(client)
        assert name_of_list(client) == "Spring"


def test_call_during_interpreter_finalization_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """All other threads have stopped, so it would never return."""
    client = new_client(Transport())
    with monkeypatch.context() as patch:
        patch.setattr(sys, "is_finalizing", lambda: True)
        with pytest.raises(ClientClosedError, match="the interpreter is shutting down"):
            name_of_list(client)
    with client:
        assert name_of_list(client) == "Spring"
