"""The connection pool of a session: lost connections, waiting calls, closing."""

from __future__ import annotations

import anyio
import httpx
import pytest

from pinterest_audiences import AsyncClient, ClientClosedError
from pinterest_audiences._config import Clock
from pinterest_audiences._http import network
from pinterest_audiences.emulator import Emulator
from pinterest_audiences.pytest_plugin import PinterestServer

pytestmark = pytest.mark.slow

ACCOUNT = "549755885175"


async def take_all_places(client: AsyncClient, base_url: str) -> None:
    """Fill the pool with connections that belong to no call, as cancelled calls do."""
    http = client._session._pool._client
    for _ in range(network.MAX_CALLS):
        request = http.build_request("GET", f"{base_url}/ad_accounts/{ACCOUNT}/customer_lists")
        request.headers["Authorization"] = "Bearer token"
        await http.send(
            request, stream=True
        )  # its response is never read, so its connection stays in use


@pytest.mark.anyio
async def test_pool_full_of_lost_connections_is_replaced(
    pinterest_server: PinterestServer,
) -> None:
    """The next call succeeds without a retry, and later ones do not wait again."""
    base_url = pinterest_server.base_url
    async with AsyncClient("token", base_url=base_url, timeout=1, max_retries=0) as client:
        await take_all_places(client, base_url)
        before = client._session._pool._client
        assert await client.customer_lists_list(ACCOUNT).collect() == []
        after = client._session._pool._client
        assert after is not before
        assert before.is_closed
        await client.customer_lists_list(ACCOUNT).collect()
        assert client._session._pool._client is after


@pytest.mark.anyio
async def test_replaced_pool_is_closed_after_its_last_call(
    pinterest_server: PinterestServer,
) -> None:
    """Its running calls complete."""
    connections = network.ConnectionPool(httpx.AsyncClient, replaceable=True)
    first, second = await connections.acquire(1.0), await connections.acquire(1.0)
    assert first is second
    assert connections.replace(first)
    assert connections.replace(second)  # as for another call whose wait timed out
    await connections.release(first)
    closed = [second.is_closed]
    await connections.release(second)
    assert [*closed, second.is_closed] == [False, True]
    third = await connections.acquire(1.0)
    assert third is not first
    await connections.release(third)
    await connections.aclose()
    assert third.is_closed


@pytest.mark.anyio
async def test_call_beyond_the_connection_limit_fails_after_the_timeout() -> None:
    """All connections stay in use."""
    connections = network.ConnectionPool(httpx.AsyncClient, replaceable=True)
    clients = [await connections.acquire(1.0) for _ in range(network.MAX_CALLS)]
    with pytest.raises(httpx.PoolTimeout):
        await connections.acquire(0.05)
    await connections.release(clients.pop())
    clients.append(await connections.acquire(1.0))
    for client in clients:
        await connections.release(client)
    await connections.aclose()


@pytest.mark.anyio
@pytest.mark.parametrize("seconds", [30.0, None])
async def test_call_beyond_the_connection_limit_waits_for_a_free_connection(
    seconds: float | None,
) -> None:
    connections = network.ConnectionPool(httpx.AsyncClient, replaceable=True)
    clients = [await connections.acquire(1.0) for _ in range(network.MAX_CALLS)]
    served: list[httpx.AsyncClient] = []

    async def one_more() -> None:
        served.append(await connections.acquire(seconds))

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one_more)
            await anyio.wait_all_tasks_blocked()
            assert served == []
            await connections.release(clients[0])
    assert served == [clients[0]]
    await connections.aclose()


@pytest.mark.anyio
async def test_aclose_closes_a_replaced_client_with_a_running_call() -> None:
    """No connection stays open."""
    connections = network.ConnectionPool(httpx.AsyncClient, replaceable=True)
    first = await connections.acquire(1.0)
    assert connections.replace(first)
    second = await connections.acquire(1.0)
    await connections.aclose()
    assert second is not first
    assert (first.is_closed, second.is_closed) == (True, True)


class BlockingClock(Clock):
    """A clock that reports when a task sleeps, and never ends the sleep."""

    def __init__(self) -> None:
        self.asleep = anyio.Event()

    async def sleep(self, seconds: float) -> None:
        self.asleep.set()
        await anyio.sleep_forever()


@pytest.mark.anyio
@pytest.mark.parametrize("status", [503, 429], ids=["retry", "rate limit"])
async def test_aclose_ends_a_waiting_call(status: int) -> None:
    """It raises ClientClosedError at once."""
    emulator, clock = Emulator(seed=1), BlockingClock()
    emulator.fault("status", status=status, headers={"retry-after": "60"}, times=None)
    client = AsyncClient("token", transport=emulator.transport(), clock=clock)
    errors: list[BaseException] = []

    async def call() -> None:
        try:
            await client.customer_lists_get(ACCOUNT, "643")
        except ClientClosedError as error:
            errors.append(error)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            await clock.asleep.wait()
            await client.aclose()
    assert len(errors) == 1
