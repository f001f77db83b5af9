"""What goes over a real connection, byte by byte, and what comes when connections break."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qs

import pytest
from support.calls import LIST_PATH, Operate, create, fails, get, update, walk
from support.clock import FakeClock
from support.wire import LIST, PAGE, Exchange, RawServer, Reply, answer, rig

from pinterest_audiences import AsyncClient, CallError, RequestTimeoutError, TransportError

pytestmark = pytest.mark.anyio

GOOD = Exchange((answer(LIST),))
LAST_PAGE = Exchange((answer(PAGE),))
WHOLE = answer(LIST)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


def client_of(server: RawServer, *, max_retries: int = 4, timeout: float = 30.0) -> AsyncClient:
    return AsyncClient(
        "s3cretValue",
        base_url=server.base_url,
        max_retries=max_retries,
        timeout=timeout,
        clock=FakeClock(),
    )


def head_of(request: bytes) -> dict[str, str]:
    lines = request.partition(b"\r\n\r\n")[0].decode("ascii").split("\r\n")[1:]
    return {name.lower(): text for name, _, text in (line.partition(": ") for line in lines)}


# What is sent.


async def test_a_create_is_these_bytes() -> None:
    """The token in its header, JSON with its length, and nothing chunked."""
    async with RawServer((GOOD,)) as server, client_of(server) as client:
        await client.customer_lists_create(
            549755885175, name='Spring "24" é', records=["a@b.co", "ünï@b.co"], is_nca=False
        )
        (request,) = server.requests
        head, body = head_of(request), request.partition(b"\r\n\r\n")[2]
    assert request.startswith(b"POST /v5/ad_accounts/549755885175/customer_lists HTTP/1.1\r\n")
    assert head["authorization"] == "Bearer s3cretValue"
    assert head["content-type"] == head["accept"] == "application/json"
    assert head["content-length"] == str(len(body))
    assert head["host"] == server.base_url.split("/")[2]
    assert re.fullmatch(r"pinterest-audiences/\S+ python/\S+ httpx/\S+", head["user-agent"])
    assert "transfer-encoding" not in head
    assert body.endswith(',"records":"a@b.co,ünï@b.co"}'.encode())
    assert json.loads(body) == {
        "name": 'Spring "24" é',
        "list_type": "EMAIL",
        "is_nca": False,
        "records": "a@b.co,ünï@b.co",
    }


async def test_a_change_is_a_patch_of_the_list() -> None:
    """With the operation and the records."""
    async with RawServer((GOOD,)) as server, client_of(server) as client:
        await update(client)
        (request,) = server.requests
    assert request.startswith(f"PATCH /v5{LIST_PATH} HTTP/1.1\r\n".encode())
    assert json.loads(request.partition(b"\r\n\r\n")[2]) == {
        "operation_type": "ADD",
        "records": "customer@example.com",
    }


async def test_a_read_has_no_body() -> None:
    """And says nothing of one."""
    async with RawServer((GOOD,)) as server, client_of(server) as client:
        await get(client)
        (request,) = server.requests
    assert request.startswith(f"GET /v5{LIST_PATH} HTTP/1.1\r\n".encode())
    assert request.endswith(b"\r\n\r\n")
    assert not {"content-type", "content-length", "transfer-encoding"} & set(head_of(request))


async def test_a_change_without_a_body_says_so() -> None:
    """Gateways refuse a POST that does not tell its length."""
    async with RawServer((GOOD,)) as server, client_of(server) as client:
        await client.customer_list_uploads_run("549", "643", "7")
        (request,) = server.requests
    assert request.startswith(b"POST /v5/ad_accounts/549/customer_lists/643/uploads/7/run HTTP")
    assert request.endswith(b"\r\n\r\n")
    assert head_of(request)["content-length"] == "0"
    assert "content-type" not in head_of(request)


@pytest.mark.parametrize(
    ("bookmark", "encoded"),
    [
        ("a&b=c", "a%26b%3Dc"),
        ("a b+c", "a%20b%2Bc"),
        ("?#/%41", "%3F%23%2F%2541"),
        ("Ünï|☃", "%C3%9Cn%C3%AF%7C%E2%98%83"),
        ("LT1lbmQtfA==", "LT1lbmQtfA%3D%3D"),
        ("-._~", "-._~"),
        ("\r\nX-Evil: 1", "%0D%0AX-Evil%3A%201"),
    ],
)
async def test_a_bookmark_of_any_kind_survives_the_url(bookmark: str, encoded: str) -> None:
    """Taken from one page, it fetches the next, and comes out as it went in."""
    first = Exchange((answer({"items": [LIST], "bookmark": bookmark}),))
    async with RawServer((first, LAST_PAGE)) as server, client_of(server) as client:
        pager = client.customer_lists_list("549", page_size=2, order="ASCENDING", exclude_nca=True)
        await pager.collect()
        targets = [request.split(b" ")[1].decode() for request in server.requests]
    query = "page_size=2&order=ASCENDING&exclude_nca=true"
    assert targets == [
        f"/v5/ad_accounts/549/customer_lists?{query}",
        f"/v5/ad_accounts/549/customer_lists?{query}&bookmark={encoded}",
    ]
    assert parse_qs(targets[1].partition("?")[2])["bookmark"] == [bookmark]


async def test_paths_are_put_behind_the_base_url() -> None:
    """A proxy may live under a path of its own."""
    scene = rig(Reply(data=LIST), base_url="https://proxy.example:8443/pinterest/v5/")
    async with scene.client as client:
        await get(client)
    assert scene.sent[0].url == f"https://proxy.example:8443/pinterest/v5{LIST_PATH}"


async def test_this_machine_is_not_looked_for_behind_a_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A proxy of the environment would get the token in plain http, or look at home for it."""
    async with RawServer() as proxy, RawServer((GOOD,)) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.base_url)
        async with client_of(server) as client:
            await get(client)
        assert (proxy.connections, len(server.requests)) == (0, 1)


async def test_cookies_are_not_sent_back() -> None:
    """What a server wants remembered is forgotten."""
    cookie = Exchange((answer(LIST, headers="set-cookie: who=me; Path=/\r\n"),))
    async with RawServer((cookie, GOOD)) as server, client_of(server) as client:
        await get(client)
        await get(client)
        assert all("cookie" not in head_of(request) for request in server.requests)


async def test_one_connection_serves_many_calls() -> None:
    """Connections are kept."""
    async with RawServer((GOOD,) * 5) as server, client_of(server) as client:
        for _ in range(5):
            await get(client)
        assert (server.connections, len(server.requests)) == (1, 5)


# What breaks.

BROKEN = {
    "closed at once": Exchange(ending="close", listen=False),
    "closed before the answer": Exchange(ending="close"),
    "reset before the answer": Exchange(ending="reset"),
    "closed in the head": Exchange((HEAD[:20],), ending="close"),
    "closed before the body": Exchange((HEAD + b"content-length: 50\r\n\r\n",), ending="close"),
    "closed in the body": Exchange((WHOLE[:-5],), ending="close"),
    "reset in the body": Exchange((WHOLE[:-5],), ending="reset"),
    "a chunk cut short": Exchange(
        (HEAD + b"transfer-encoding: chunked\r\n\r\n", b'20\r\n{"id": "64'), ending="close"
    ),
    "no last chunk": Exchange(
        (HEAD + b'transfer-encoding: chunked\r\n\r\nd\r\n{"id": "643"}\r\n',), ending="close"
    ),
    "no HTTP": Exchange((b"\x15\x03\x01\x00\x02\x02\x50",), ending="close"),
}
BREAKS = pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())


@BREAKS
@pytest.mark.parametrize("operate", [get, update, walk])
async def test_a_connection_that_breaks_is_replaced_and_the_call_repeated(
    operate: Operate, broken: Exchange
) -> None:
    """Wherever it broke, the call comes to its end; as often as it takes."""
    good = LAST_PAGE if operate is walk else GOOD
    async with RawServer((broken,), (broken,), (good,)) as server, client_of(server) as client:
        await operate(client)
        assert server.connections == 3


@BREAKS
async def test_a_create_whose_connection_breaks_is_not_repeated(broken: Exchange) -> None:
    """And says that it may have been done."""
    async with RawServer((broken,), (GOOD,)) as server, client_of(server) as client:
        error = await fails(create, client)
        assert server.connections == 1
        assert isinstance(error, TransportError)
        assert (error.maybe_applied, error.attempts) == (True, 1)
        await create(client)
        assert len(server.requests) >= 1


@BREAKS
async def test_a_connection_that_breaks_in_its_second_call_is_replaced_too(
    broken: Exchange,
) -> None:
    """A pooled connection is no better than a new one."""
    async with RawServer((GOOD, broken), (GOOD,)) as server, client_of(server) as client:
        await get(client)
        await get(client)
        assert server.connections == 2


# httpx leaves its own generators behind here, and trio complains of that.
@pytest.mark.filterwarnings("ignore:Async generator 'http:ResourceWarning")
@pytest.mark.parametrize("operate", [create, get])
async def test_an_answer_with_broken_compression_is_a_broken_connection(operate: Operate) -> None:
    """What was promised as gzip and is none was damaged on its way."""
    damaged = Exchange((answer(LIST, headers="content-encoding: gzip\r\n"),), ending="close")
    async with (
        RawServer((damaged,), (damaged,)) as server,
        client_of(server, max_retries=1) as client,
    ):
        error = await fails(operate, client)
    assert type(error) is TransportError
    assert "the answer's compression is broken" in str(error)
    assert (error.attempts, error.maybe_applied) == ((1, True) if operate is create else (2, False))


@pytest.mark.parametrize("operate", [create, get, update])
async def test_a_connection_reset_while_idle_costs_nothing(operate: Operate) -> None:
    """The next call takes another; even a create, for nothing of it was sent."""
    async with RawServer((GOOD, GOOD), (GOOD,)) as server, client_of(server) as client:
        await get(client)
        await server.reset_last()
        await operate(client)
        assert (server.connections, len(server.requests)) == (2, 2)


async def test_a_connection_closed_after_the_body_has_done_its_work() -> None:
    """The answer was whole: it is taken, and nothing is repeated."""
    closing = Exchange((WHOLE,), ending="close")
    async with RawServer((closing,), (closing,)) as server, client_of(server) as client:
        await create(client)
        await create(client)
        assert len(server.requests) == 2


async def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    """As HTTP allows it."""
    until_closed = Exchange((HEAD + b'connection: close\r\n\r\n{"id": "643"}',), ending="close")
    async with RawServer((until_closed,)) as server, client_of(server) as client:
        assert (await client.customer_lists_get("1", "643")).id == "643"


@pytest.mark.parametrize("head", ["content-length: 13", "transfer-encoding: chunked"])
async def test_an_answer_that_drips_is_put_together(head: str) -> None:
    """Byte by byte."""
    body = b'{"id": "643"}'
    if "chunked" in head:
        body = b"d\r\n" + body + b"\r\n0\r\n\r\n"
    drops = tuple(bytes([byte]) for byte in HEAD + f"{head}\r\n\r\n".encode() + body)
    async with RawServer((Exchange(drops),)) as server, client_of(server) as client:
        assert (await client.customer_lists_get("1", "643")).id == "643"


@pytest.mark.parametrize("operate", [create, get])
@pytest.mark.parametrize("said", [b"", HEAD, WHOLE[:-5]], ids=["nothing", "a head", "half"])
async def test_a_server_that_falls_silent_is_left_in_time(operate: Operate, said: bytes) -> None:
    """The time-out holds for each attempt, and may have interrupted what was being done."""
    silent = Exchange((said,) if said else (), ending="hang")
    async with (
        RawServer((silent,), (silent,)) as server,
        client_of(server, max_retries=1, timeout=0.05) as client,
    ):
        error = await fails(operate, client)
        assert isinstance(error, RequestTimeoutError)
        assert "no answer in time" in str(error)
        assert error.attempts == server.connections == (1 if operate is create else 2)
        assert error.maybe_applied == (operate is create)


async def test_a_server_that_is_not_there_got_nothing() -> None:
    """Nobody listens: nothing was done, so even a create is tried to the end."""
    async with RawServer() as server:
        gone = client_of(server, max_retries=2)
    async with gone as client:
        error = await fails(create, client)
    assert type(error) is TransportError
    assert (error.attempts, error.maybe_applied) == (3, False)
    assert "no connection; check base_url" in str(error)


async def test_what_a_server_says_in_place_of_http_is_not_told() -> None:
    """It may quote the request; neither the error nor what it came from repeats it."""
    quoting = Exchange((b"authorization: Bearer s3cretValue\r\n\r\n",), ending="close")
    async with RawServer((quoting,)) as server, client_of(server, max_retries=0) as client:
        with pytest.raises(CallError) as failed:
            await get(client)
    assert "s3cretValue" not in f"{failed.value} {failed.value!r} {vars(failed.value)}"
