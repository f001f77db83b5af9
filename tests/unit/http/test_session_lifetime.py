"""The lifetime of a session: closing, event loops, cancelled calls."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import weakref
from collections.abc import AsyncIterator

import anyio
import anyio.lowlevel
import httpx
import pytest
from support.calls import Operate, create, get, update, walk
from support.wire import LIST, PAGE, Exchange, RawServer, Reply, Step, answer, refusal, rig

from pinterest_audiences import AsyncClient, CallError, ClientClosedError, WrongEventLoopError
from pinterest_audiences.emulator import Emulator

pytestmark = pytest.mark.anyio


class Closing(httpx.AsyncBaseTransport):
    """Counts how often it is closed."""

    closed = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=LIST)

    async def aclose(self) -> None:
        self.closed += 1


BODY = json.dumps(LIST).encode()


class Remembering(httpx.AsyncBaseTransport):
    """Responds with a status, and keeps weak references to the requests."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.requests: list[weakref.ref[httpx.Request]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(weakref.ref(request))
        await request.aread()
        return httpx.Response(self.status, stream=Pieces([BODY[:9], BODY[9:]]))


class Pieces(httpx.AsyncByteStream):
    """A response body in pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece


@pytest.mark.parametrize("status", [200, 404])
async def test_request_and_body_are_freed_after_a_call_without_garbage_collection(
    status: int,
) -> None:
    """A cycle of references would keep a body of a megabyte for many calls."""
    transport = Remembering(status)
    gc.disable()
    try:
        async with AsyncClient("token", transport=transport) as client:
            for _ in range(3):
                with contextlib.suppress(CallError):
                    await update(client)
            assert [request() for request in transport.requests] == [None, None, None]
    finally:
        gc.enable()


async def test_close_closes_the_transport_once() -> None:
    """The client owns it; a second close does nothing."""
    transport = Closing()
    async with AsyncClient("token", transport=transport) as client:
        await get(client)
        assert transport.closed == 0
    await client.aclose()
    await client.aclose()
    assert transport.closed == 1


@pytest.mark.parametrize("operate", [create, get, update, walk])
async def test_closed_client_raises_client_closed_error(operate: Operate) -> None:
    """It sends nothing and cannot be reopened."""
    scene = rig()
    await scene.client.aclose()
    with pytest.raises(ClientClosedError, match="closed; create a new one"):
        await operate(scene.client)
    with pytest.raises(ClientClosedError):
        async with scene.client:
            pass
    assert scene.sent == []


async def test_unused_client_can_be_closed() -> None:
    """Also one for https that has only loaded certificates."""
    for base_url in (None, "http://127.0.0.1:9"):
        async with AsyncClient("token", base_url=base_url, timeout=None):
            pass


async def test_call_waiting_during_close_raises_client_closed_error() -> None:
    """The attempt after the wait is not made."""

    async def close(_: httpx.Request) -> Reply:
        await scene.client.aclose()
        return refusal(503, 4197)

    scene = rig(close)
    with pytest.raises(ClientClosedError):
        await get(scene.client)
    assert len(scene.sent) == 1


async def test_timeout_none_disables_the_timeout() -> None:
    """Connecting takes at most 5 seconds, or the timeout."""
    seen: list[object] = []

    async def look(request: httpx.Request) -> Reply:
        seen.append(request.extensions["timeout"])
        return Reply(data=LIST)

    for timeout in (None, 30.0, 2.0):
        scene = rig(look, timeout=timeout)
        async with scene.client as client:
            await get(client)
    assert seen == [
        {"connect": connect, "read": other, "write": other, "pool": connect}
        for connect, other in ((5.0, None), (5.0, 30.0), (2.0, 2.0))
    ]


def test_second_event_loop_cannot_use_a_client(anyio_backend: str) -> None:
    """Its connections belong to the first loop; calls and close raise an error."""
    client = AsyncClient("token", transport=Emulator().transport())
    anyio.run(walk, client, backend=anyio_backend)

    async def second() -> None:
        with pytest.raises(WrongEventLoopError, match="belongs to the event loop"):
            await walk(client)
        with pytest.raises(WrongEventLoopError):
            async with client:
                pass
        with pytest.raises(WrongEventLoopError):
            await client.aclose()

    anyio.run(second, backend=anyio_backend)


def test_client_created_outside_a_loop_belongs_to_the_first_user(anyio_backend: str) -> None:
    client = AsyncClient("token", transport=Emulator().transport())

    async def use() -> None:
        async with client:
            assert await walk(client) == []

    anyio.run(use, backend=anyio_backend)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="requires fork()")
async def test_forked_child_cannot_use_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both processes would write to the same connections."""
    scene = rig(Reply(data=LIST))
    async with scene.client as client:
        await get(client)
        with monkeypatch.context() as child:
            child.setattr(os, "getpid", lambda: -1)
            with pytest.raises(WrongEventLoopError, match="or process"):
                await get(client)


# Cancellation.


async def test_iteration_cancelled_within_a_page_can_continue() -> None:
    """The iterator keeps its position, and the client stays usable."""
    stuck = anyio.Event()

    async def hang(_: httpx.Request) -> Reply:
        stuck.set()
        await anyio.sleep_forever()
        raise AssertionError

    first = Reply(data={"items": [LIST], "bookmark": "two"})
    scene = rig(first, hang, Reply(data=PAGE))
    async with scene.client as client:
        lists = aiter(client.customer_lists_list("1"))
        got = [await anext(lists)]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anext, lists)
            await stuck.wait()
            tasks.cancel_scope.cancel()
        got += [item async for item in lists]
    assert len(got) == 2
    assert ["bookmark=two" in sent.url for sent in scene.sent] == [False, True, True]


@pytest.mark.parametrize("how", ["cancelled", "failed", "no token"])
async def test_failed_call_is_not_counted_as_in_flight(how: str) -> None:
    """With one call remaining, the next call is sent without waiting."""
    stuck = anyio.Event()

    async def hang(_: httpx.Request) -> Reply:
        stuck.set()
        await anyio.sleep_forever()
        raise AssertionError

    tokens = iter(["", "token"] if how == "no token" else ["token"])
    last_but_one = {
        "x-ratelimit-limit": "5000, 5000;w=60",
        "x-ratelimit-remaining": "1",
        "x-ratelimit-reset": "50",
    }
    scripts: dict[str, list[Step]] = {"cancelled": [hang], "failed": [httpx.ReadError("reset")]}
    scene = rig(
        *scripts.get(how, []),
        Reply(data=LIST, headers=last_but_one),
        Reply(data=LIST),
        access_token=lambda: next(tokens),
        max_retries=0,
    )
    async with scene.client as client:
        if how == "cancelled":
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(get, client)
                await stuck.wait()
                tasks.cancel_scope.cancel()
        else:
            with pytest.raises(Exception, match=r"broke|token"):
                await get(client)
        await get(client)
        await get(client)
    assert sum(scene.clock.sleeps) < 1


async def test_call_cancelled_during_backoff_is_not_retried() -> None:
    scene = rig(refusal(503, 4197, retry_after="60"), Reply(data=LIST))
    async with scene.client as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(get, client)
            await scene.clock.sleep(30)
            tasks.cancel_scope.cancel()
        assert len(scene.sent) == 1
        await get(client)
    assert len(scene.sent) == 2


async def test_cancelled_call_leaves_the_pool_usable() -> None:
    """A partial response is discarded with its connection."""
    whole = answer(LIST)
    half = Exchange((whole[:-5],), ending="hang")
    async with (
        RawServer((half,), (Exchange((whole,)),)) as server,
        AsyncClient("token", base_url=server.base_url) as client,
    ):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(get, client)
            while not server.requests:
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        await get(client)
        assert (server.connections, len(server.requests)) == (2, 2)


@pytest.mark.parametrize("refused", [False, True])
async def test_close_ends_a_wait_for_a_token(refused: bool) -> None:
    """A user's function blocks, at the first call and after a 401."""
    hangs, tokens = anyio.Event(), ["token-number-1"] if refused else []

    async def fetch() -> str:
        if tokens:
            return tokens.pop()
        hangs.set()
        await anyio.sleep_forever()
        raise AssertionError

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(401, json={"code": 2, "message": "Authentication failed."})

    client = AsyncClient(fetch, transport=httpx.MockTransport(answer))

    async def call() -> None:
        with pytest.raises(ClientClosedError):
            await client.customer_lists_get("1", "643")

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            await hangs.wait()
            await client.aclose()
