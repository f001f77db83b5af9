"""`with_options`: other options, and everything else shared with the client it comes from."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

import anyio
import httpx
import pytest
from attrs import frozen
from support.clock import FakeClock
from support.wire import LIST, PAGE, Exchange, RawServer, Reply, ScriptedTransport, Step, answer

from pinterest_audiences import (
    AsyncClient,
    Client,
    ClientClosedError,
    Clock,
    ConfigurationError,
    CustomerList,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    Token,
)

pytestmark = pytest.mark.anyio

ACCOUNT = "549755885175"
T = TypeVar("T")
AnyClient = AsyncClient | Client
KINDS: list[type[AnyClient]] = [AsyncClient, Client]
clients = pytest.mark.parametrize("kind", KINDS, ids=["async", "sync"])


async def done(result: T | Awaitable[T]) -> T:
    """Return the result of a call of either client."""
    return await result if isinstance(result, Awaitable) else result


async def close(client: AnyClient) -> None:
    if isinstance(client, AsyncClient):
        await client.aclose()
    else:
        client.close()


def get(client: AnyClient) -> Awaitable[CustomerList]:
    return done(cast("Awaitable[CustomerList]", client.customer_lists_get(ACCOUNT, "643")))


@frozen
class Scene:
    """A client on scripted responses and a fake clock."""

    client: AnyClient
    transport: ScriptedTransport
    clock: FakeClock


def scene(kind: type[AnyClient], *script: Step) -> Scene:
    transport, clock = ScriptedTransport(*script), FakeClock()
    return Scene(kind("token", transport=transport, clock=clock), transport, clock)


@clients
async def test_max_retries_applies_to_the_new_client_only(kind: type[AnyClient]) -> None:
    stage = scene(kind, Reply(503), Reply(503), Reply(data=LIST))
    with pytest.raises(ServerError) as caught:
        await get(stage.client.with_options(max_retries=0))
    assert caught.value.attempts == 1
    assert (await get(stage.client)).id == "643"
    assert stage.transport.left == 0
    await close(stage.client)


@clients
async def test_max_wait_applies_to_retries_of_the_new_client_only(kind: type[AnyClient]) -> None:
    late = Reply(503, headers={"retry-after": "200"})
    stage = scene(kind, late, late, Reply(data=LIST))
    with pytest.raises(ServerError):
        await get(stage.client)
    assert (await get(stage.client.with_options(max_wait=300))).id == "643"
    assert 200 <= stage.clock.elapsed < 300
    await close(stage.client)


@clients
async def test_total_timeout_applies_to_the_new_client_only(kind: type[AnyClient]) -> None:
    late = Reply(503, headers={"retry-after": "20"})
    stage = scene(kind, late, late, Reply(data=LIST))
    with pytest.raises(ServerError):
        await get(stage.client.with_options(total_timeout=10))
    assert stage.clock.elapsed == 0
    assert (await get(stage.client)).id == "643"
    await close(stage.client)


@clients
@pytest.mark.parametrize(
    ("seconds", "connect"), [(2.5, 2.5), (90.0, 5.0), (None, 5.0)], ids=["short", "long", "none"]
)
async def test_timeout_applies_to_requests_of_the_new_client_only(
    kind: type[AnyClient], seconds: float | None, connect: float
) -> None:
    seen: list[dict[str, float | None]] = []

    async def record(request: httpx.Request) -> Reply:
        seen.append(request.extensions["timeout"])
        return Reply(data=LIST)

    stage = scene(kind, record, record)
    await get(stage.client.with_options(timeout=seconds))
    await get(stage.client)
    assert [(each["read"], each["connect"]) for each in seen] == [(seconds, connect), (30.0, 5.0)]
    await close(stage.client)


async def test_timeout_ends_an_attempt_of_the_new_client() -> None:
    """The deadline of the attempt, not only the timeouts of httpx."""

    async def hang(request: httpx.Request) -> Reply:
        await anyio.sleep_forever()
        raise AssertionError("unreachable")

    transport = ScriptedTransport(hang, Reply(data=LIST))
    async with AsyncClient("token", transport=transport, timeout=None) as client:
        with pytest.raises(RequestTimeoutError):
            await get(client.with_options(timeout=0.01, max_retries=0))
        assert (await get(client)).id == "643"


@clients
async def test_options_that_are_not_given_are_those_of_the_client(kind: type[AnyClient]) -> None:
    """Also of one that was made by `with_options`."""
    stage = scene(kind, *[Reply(503)] * 3, Reply(503, headers={"retry-after": "7"}))
    derived = stage.client.with_options(max_retries=2).with_options(max_wait=5)
    with pytest.raises(ServerError) as caught:
        await get(derived)
    assert caught.value.attempts == 3
    with pytest.raises(ServerError) as caught:
        await get(derived)
    assert caught.value.attempts == 1
    await close(stage.client)


@clients
async def test_clients_share_what_they_learn_of_rate_limits(kind: type[AnyClient]) -> None:
    """A refusal of one pauses the other; each waits as long as its own `max_wait` allows."""
    refused = Reply(429, {"code": 8, "message": "m"}, {"x-ratelimit-reset": "100"})
    stage = scene(kind, refused, Reply(data=LIST))
    hasty = stage.client.with_options(max_wait=10)
    with pytest.raises(RateLimitError):
        await get(hasty)
    with pytest.raises(RateLimitError, match="not sent"):
        await get(hasty)
    assert len(stage.transport.sent) == 1
    assert (await get(stage.client)).id == "643"
    assert 100 <= stage.clock.elapsed <= 102
    await close(stage.client)


class Tokens:
    """A source whose first token has expired."""

    def __init__(self) -> None:
        self.token = Token("old")
        self.refreshes = 0

    async def get(self) -> Token:
        return self.token

    async def refresh(self, rejected: Token) -> Token:
        self.refreshes += 1
        self.token = Token("new", rejected.generation + 1)
        return self.token


@clients
async def test_clients_share_the_token(kind: type[AnyClient]) -> None:
    """It is refreshed once for both."""
    transport = ScriptedTransport(
        Reply(401, {"code": 2, "message": "m"}), Reply(data=LIST), Reply(data=LIST)
    )
    tokens = Tokens()
    client = kind(tokens, transport=transport)
    await get(client.with_options(max_retries=0))
    await get(client)
    assert tokens.refreshes == 1
    authorizations = [sent.headers["authorization"] for sent in transport.sent]
    assert authorizations == ["Bearer old", "Bearer new", "Bearer new"]
    await close(client)


async def test_clients_share_connections() -> None:
    """One connection serves both."""
    served = Exchange((answer(LIST),))
    async with RawServer((served, served, served)) as server:
        async with AsyncClient("token", base_url=server.base_url) as client:
            derived = client.with_options(timeout=20)
            for each in (client, derived, client):
                await get(each)
        assert server.connections == 1


@clients
async def test_closing_the_new_client_leaves_the_first_open(kind: type[AnyClient]) -> None:
    """And other clients made from either."""
    stage = scene(kind, Reply(data=LIST), Reply(data=LIST), Reply(data=PAGE))
    derived = stage.client.with_options(max_retries=0)
    sibling = derived.with_options(max_retries=1)
    await get(derived)
    for _ in range(2):
        await close(derived)
    with pytest.raises(ClientClosedError):
        await get(derived)
    with pytest.raises(ClientClosedError):
        await done(derived.jobs(ACCOUNT))
    assert (await get(sibling)).id == "643"
    assert len(await done(stage.client.customer_lists_list(ACCOUNT).collect())) == 1
    await close(stage.client)


@clients
async def test_closing_the_first_client_closes_the_new_one(kind: type[AnyClient]) -> None:
    stage = scene(kind, Reply(data=LIST))
    derived = stage.client.with_options(max_retries=0)
    await get(derived)
    await close(stage.client)
    with pytest.raises(ClientClosedError):
        await get(derived)
    await close(derived)
    assert stage.transport.left == 0


async def test_new_client_can_be_used_in_an_async_with_block() -> None:
    stage = scene(AsyncClient, Reply(data=LIST), Reply(data=LIST))
    assert isinstance(stage.client, AsyncClient)
    async with stage.client as client:
        async with client.with_options(max_retries=0) as derived:
            await get(derived)
        assert (await get(client)).id == "643"


class EndlessClock(Clock):
    """A clock whose sleeps end only by cancellation."""

    def __init__(self) -> None:
        self.sleeping = 0

    async def sleep(self, seconds: float) -> None:
        self.sleeping += 1
        await anyio.sleep_forever()


@pytest.mark.parametrize("closed", ["derived", "first"])
async def test_closing_interrupts_the_waits_of_what_is_closed(closed: str) -> None:
    """Of both clients where the first is closed."""
    clock = EndlessClock()
    transport = ScriptedTransport(Reply(503), Reply(503))
    client = AsyncClient("token", transport=transport, clock=clock)
    derived = client.with_options(max_retries=1)
    ended: list[str] = []

    async def call(name: str, each: AsyncClient) -> None:
        with pytest.raises(ClientClosedError):
            await get(each)
        ended.append(name)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call, "first", client)
        tasks.start_soon(call, "derived", derived)
        await anyio.wait_all_tasks_blocked()
        assert clock.sleeping == 2
        await (derived if closed == "derived" else client).aclose()
        await anyio.wait_all_tasks_blocked()
        assert sorted(ended) == (["derived"] if closed == "derived" else ["derived", "first"])
        await client.aclose()


@clients
async def test_jobs_of_both_clients_share_the_state(kind: type[AnyClient]) -> None:
    """A temporary state file outlives the new client."""
    client = kind.emulated()
    derived = client.with_options(timeout=20)
    await done(derived.upload(ACCOUNT, ["ann@shop.example"], name="Buyers"))
    await close(derived)
    (status,) = await done(client.status(ACCOUNT))
    assert status.name == "Buyers"
    await close(client)


def test_closing_an_unused_client_starts_no_thread() -> None:
    with Client("token") as client:
        before = threading.active_count()
        client.with_options(timeout=1).close()
        assert threading.active_count() == before


WRONG: list[tuple[str, Callable[[AnyClient], object]]] = [
    ("timeout", lambda client: client.with_options(timeout=0)),
    ("total_timeout", lambda client: client.with_options(total_timeout=-1.0)),
    ("max_retries", lambda client: client.with_options(max_retries=-1)),
    ("max_retries", lambda client: client.with_options(max_retries=None)),  # type: ignore[arg-type]
    ("max_wait", lambda client: client.with_options(max_wait=None)),  # type: ignore[arg-type]
    ("max_wait", lambda client: client.with_options(max_wait=float("inf"))),
]


@clients
@pytest.mark.parametrize(("param", "call"), WRONG)
async def test_wrong_option_is_a_configuration_error(
    kind: type[AnyClient], param: str, call: Callable[[AnyClient], object]
) -> None:
    client = kind("token")
    with pytest.raises(ConfigurationError) as caught:
        call(client)
    assert caught.value.param == param
    await close(client)
