"""From its making to its end: closing, event loops, and calls that are cancelled."""

from __future__ import annotations

import os

import anyio
import anyio.lowlevel
import httpx
import pytest
from support.calls import Operate, create, get, update, walk
from support.wire import LIST, PAGE, Exchange, RawServer, Reply, Step, answer, refusal, rig

from pinterest_audiences import AsyncClient, ClientClosedError, WrongEventLoopError
from pinterest_audiences.emulator import Emulator

pytestmark = pytest.mark.anyio


class Closing(httpx.AsyncBaseTransport):
    """Counts how often it was closed."""

    closed = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=LIST)

    async def aclose(self) -> None:
        self.closed += 1


async def test_closing_closes_the_transport_once() -> None:
    """The client owns it, and a second close does nothing."""
    transport = Closing()
    async with AsyncClient("token", transport=transport) as client:
        await get(client)
        assert transport.closed == 0
    await client.aclose()
    await client.aclose()
    assert transport.closed == 1


@pytest.mark.parametrize("operate", [create, get, update, walk])
async def test_a_closed_client_says_so(operate: Operate) -> None:
    """It sends nothing, and cannot be opened again."""
    scene = rig()
    await scene.client.aclose()
    with pytest.raises(ClientClosedError, match="closed; make a new one"):
        await operate(scene.client)
    with pytest.raises(ClientClosedError):
        async with scene.client:
            pass
    assert scene.sent == []


async def test_a_client_that_is_never_used_can_be_closed() -> None:
    """Also one for https, which has made nothing but its certificates ready."""
    for base_url in (None, "http://127.0.0.1:9"):
        async with AsyncClient("token", base_url=base_url, timeout=None):
            pass


async def test_a_call_that_waits_while_the_client_is_closed_says_so() -> None:
    """The attempt after the wait is not made, and the words are our own."""

    async def close(_: httpx.Request) -> Reply:
        await scene.client.aclose()
        return refusal(503, 4197)

    scene = rig(close)
    with pytest.raises(ClientClosedError):
        await get(scene.client)
    assert len(scene.sent) == 1


async def test_no_time_out_is_no_time_out() -> None:
    """And connecting never takes longer than 5 seconds, or than the time-out."""
    seen: list[object] = []

    async def look(request: httpx.Request) -> Reply:
        seen.append(request.extensions["timeout"])
        return Reply(data=LIST)

    for timeout in (None, 30.0, 2.0):
        scene = rig(look, timeout=timeout)
        async with scene.client as client:
            await get(client)
    assert seen == [
        {"connect": connect, "read": other, "write": other, "pool": other}
        for connect, other in ((5.0, None), (5.0, 30.0), (2.0, 2.0))
    ]


def test_two_event_loops_cannot_share_a_client(anyio_backend: str) -> None:
    """Its connections belong to the first; the second is told so, for calls and for the end."""
    client = AsyncClient("token", transport=Emulator().transport())
    anyio.run(walk, client, backend=anyio_backend)

    async def second() -> None:
        with pytest.raises(WrongEventLoopError, match="another event loop"):
            await walk(client)
        with pytest.raises(WrongEventLoopError):
            async with client:
                pass
        with pytest.raises(WrongEventLoopError):
            await client.aclose()

    anyio.run(second, backend=anyio_backend)


def test_a_client_made_outside_belongs_to_the_loop_that_uses_it_first(anyio_backend: str) -> None:
    """Making one binds it to nothing."""
    client = AsyncClient("token", transport=Emulator().transport())

    async def use() -> None:
        async with client:
            assert await walk(client) == []

    anyio.run(use, backend=anyio_backend)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
async def test_another_process_cannot_share_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """A forked child has a copy of the connections, and both would talk over each other."""
    scene = rig(Reply(data=LIST))
    async with scene.client as client:
        await get(client)
        with monkeypatch.context() as child:
            child.setattr(os, "getpid", lambda: -1)
            with pytest.raises(WrongEventLoopError, match="or process"):
                await get(client)


# Cancellation.


async def test_a_walk_cancelled_in_the_middle_of_a_page_can_go_on() -> None:
    """The iterator stands where it stood, and the client is as good as before."""
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
async def test_a_call_that_ended_badly_is_no_longer_on_its_way(how: str) -> None:
    """One left, and nobody on the way to take it: the next call goes without waiting."""
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


async def test_a_call_cancelled_while_it_waits_to_be_repeated_is_not_repeated() -> None:
    """Nothing goes on behind the caller's back."""
    scene = rig(refusal(503, 4197, retry_after="60"), Reply(data=LIST))
    async with scene.client as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(get, client)
            await scene.clock.sleep(30)
            tasks.cancel_scope.cancel()
        assert len(scene.sent) == 1
        await get(client)
    assert len(scene.sent) == 2


async def test_a_call_cancelled_on_a_real_connection_leaves_the_pool_usable() -> None:
    """Half an answer is thrown away with its connection."""
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
