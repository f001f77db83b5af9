"""Bytes on a real connection, and behavior when connections break."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qs

import pytest
from support.calls import LIST_PATH, Operate, create, fails, get, update, walk
from support.clock import FakeClock
from support.wire import LIST, PAGE, Exchange, RawServer, Reply, answer, rig

from pinterest_audiences import AsyncClient, CallError, RequestTimeoutError, TransportError

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

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


# Requests.


async def test_create_request_bytes() -> None:
    """The token in its header, JSON with its length, not chunked."""
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


async def test_update_request_is_a_patch_with_operation_and_records() -> None:
    async with RawServer((GOOD,)) as server, client_of(server) as client:
        await update(client)
        (request,) = server.requests
    assert request.startswith(f"PATCH /v5{LIST_PATH} HTTP/1.1\r\n".encode())
    assert json.loads(request.partition(b"\r\n\r\n")[2]) == {
        "operation_type": "ADD",
        "records": "customer@example.com",
    }


async def test_read_request_has_no_body_and_no_body_headers() -> None:
    async with RawServer((GOOD,)) as server, client_of(server) as client:
        await get(client)
        (request,) = server.requests
    assert request.startswith(f"GET /v5{LIST_PATH} HTTP/1.1\r\n".encode())
    assert request.endswith(b"\r\n\r\n")
    assert not {"content-type", "content-length", "transfer-encoding"} & set(head_of(request))


async def test_post_without_body_sends_content_length_0() -> None:
    """Gateways refuse a POST without a length."""
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
async def test_any_bookmark_round_trips_through_the_url(bookmark: str, encoded: str) -> None:
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


async def test_paths_are_appended_to_the_base_url() -> None:
    """A proxy may use a path prefix."""
    scene = rig(Reply(data=LIST), base_url="https://proxy.example:8443/pinterest/v5/")
    async with scene.client as client:
        await get(client)
    assert scene.sent[0].url == f"https://proxy.example:8443/pinterest/v5{LIST_PATH}"


async def test_localhost_bypasses_the_environment_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The proxy would receive the token in plain http."""
    async with RawServer() as proxy, RawServer((GOOD,)) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.base_url)
        async with client_of(server) as client:
            await get(client)
        assert (proxy.connections, len(server.requests)) == (0, 1)


async def test_cookies_are_ignored() -> None:
    cookie = Exchange((answer(LIST, headers="set-cookie: who=me; Path=/\r\n"),))
    async with RawServer((cookie, GOOD)) as server, client_of(server) as client:
        await get(client)
        await get(client)
        assert all("cookie" not in head_of(request) for request in server.requests)


async def test_connections_are_reused() -> None:
    async with RawServer((GOOD,) * 5) as server, client_of(server) as client:
        for _ in range(5):
            await get(client)
        assert (server.connections, len(server.requests)) == (1, 5)


# Failures.

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
async def test_broken_connection_is_replaced_and_the_call_retried(
    operate: Operate, broken: Exchange
) -> None:
    """Wherever it broke, and repeatedly."""
    good = LAST_PAGE if operate is walk else GOOD
    async with RawServer((broken,), (broken,), (good,)) as server, client_of(server) as client:
        await operate(client)
        assert server.connections == 3


@BREAKS
async def test_create_with_broken_connection_is_not_retried(broken: Exchange) -> None:
    """The error says that it may have been applied."""
    async with RawServer((broken,), (GOOD,)) as server, client_of(server) as client:
        error = await fails(create, client)
        assert server.connections == 1
        assert isinstance(error, TransportError)
        assert (error.maybe_applied, error.attempts) == (True, 1)
        await create(client)
        assert len(server.requests) >= 1


@BREAKS
async def test_pooled_connection_that_breaks_is_replaced(
    broken: Exchange,
) -> None:
    async with RawServer((GOOD, broken), (GOOD,)) as server, client_of(server) as client:
        await get(client)
        await get(client)
        assert server.connections == 2


# httpx leaves unclosed async generators here, about which trio warns.
@pytest.mark.filterwarnings("ignore:Async generator 'http:ResourceWarning")
@pytest.mark.parametrize("operate", [create, get])
async def test_invalid_gzip_is_treated_as_a_broken_connection(operate: Operate) -> None:
    damaged = Exchange((answer(LIST, headers="content-encoding: gzip\r\n"),), ending="close")
    async with (
        RawServer((damaged,), (damaged,)) as server,
        client_of(server, max_retries=1) as client,
    ):
        error = await fails(operate, client)
    assert type(error) is TransportError
    assert "the compression of the response is damaged" in str(error)
    assert (error.attempts, error.maybe_applied) == ((1, True) if operate is create else (2, False))


@pytest.mark.parametrize("operate", [create, get, update])
async def test_connection_reset_while_idle_is_replaced(operate: Operate) -> None:
    """Even for a create, because nothing was sent."""
    async with RawServer((GOOD, GOOD), (GOOD,)) as server, client_of(server) as client:
        await get(client)
        await server.reset_last()
        await operate(client)
        assert (server.connections, len(server.requests)) == (2, 2)


async def test_connection_closed_after_the_body_is_a_success() -> None:
    """Nothing is retried."""
    closing = Exchange((WHOLE,), ending="close")
    async with RawServer((closing,), (closing,)) as server, client_of(server) as client:
        await create(client)
        await create(client)
        assert len(server.requests) == 2


async def test_response_without_length_ends_with_the_connection() -> None:
    """HTTP allows it."""
    until_closed = Exchange((HEAD + b'connection: close\r\n\r\n{"id": "643"}',), ending="close")
    async with RawServer((until_closed,)) as server, client_of(server) as client:
        assert (await client.customer_lists_get("1", "643")).id == "643"


@pytest.mark.parametrize("head", ["content-length: 13", "transfer-encoding: chunked"])
async def test_response_sent_byte_by_byte_is_read(head: str) -> None:
    body = b'{"id": "643"}'
    if "chunked" in head:
        body = b"d\r\n" + body + b"\r\n0\r\n\r\n"
    drops = tuple(bytes([byte]) for byte in HEAD + f"{head}\r\n\r\n".encode() + body)
    async with RawServer((Exchange(drops),)) as server, client_of(server) as client:
        assert (await client.customer_lists_get("1", "643")).id == "643"


@pytest.mark.parametrize("operate", [create, get])
@pytest.mark.parametrize("said", [b"", HEAD, WHOLE[:-5]], ids=["nothing", "a head", "half"])
async def test_silent_server_is_ended_at_the_timeout(operate: Operate, said: bytes) -> None:
    """Each attempt has the timeout, and may have been applied."""
    silent = Exchange((said,) if said else (), ending="hang")
    async with (
        RawServer((silent,), (silent,)) as server,
        client_of(server, max_retries=1, timeout=1.0) as client,
    ):
        error = await fails(operate, client)
        assert isinstance(error, RequestTimeoutError)
        assert "timeout: no response" in str(error)
        assert error.attempts == server.connections == (1 if operate is create else 2)
        assert error.maybe_applied == (operate is create)


async def test_refused_connection_means_not_applied() -> None:
    """Even a create is retried."""
    async with RawServer() as server:
        gone = client_of(server, max_retries=2)
    async with gone as client:
        error = await fails(create, client)
    assert type(error) is TransportError
    assert (error.attempts, error.maybe_applied) == (3, False)
    assert "no connection to 127.0.0.1: the connection was refused" in str(error)


async def test_invalid_http_response_is_not_quoted() -> None:
    """It may quote the request; neither the error nor its cause shows it."""
    quoting = Exchange((b"authorization: Bearer s3cretValue\r\n\r\n",), ending="close")
    async with RawServer((quoting,)) as server, client_of(server, max_retries=0) as client:
        with pytest.raises(CallError) as failed:
            await get(client)
    assert "s3cretValue" not in f"{failed.value} {failed.value!r} {vars(failed.value)}"
