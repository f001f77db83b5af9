"""The loopback server: the same answers as in process, for well-behaved and other clients."""

from __future__ import annotations

import json
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
import anyio.abc
import anyio.lowlevel
import httpx
import pytest

from pinterest_audiences.emulator import Emulator, RateLimits, RatePolicy, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from unit.emulator.conftest import Caller

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

TOKEN = {"Authorization": "Bearer pina_test"}
LISTS = "/v5/ad_accounts/549/customer_lists"
NEW_LIST = b'{"name": "Spring", "records": "a@example.com"}'
# What belongs to a connection and not to an answer.
OF_THE_CONNECTION = {"date", "connection"}


@asynccontextmanager
async def connected(base_url: str) -> AsyncIterator[anyio.abc.SocketStream]:
    url = urlsplit(base_url)
    async with await anyio.connect_tcp(str(url.hostname), url.port or 0) as stream:
        yield stream


async def read_to_the_end(stream: anyio.abc.SocketStream) -> bytes:
    received = b""
    with anyio.fail_after(10):
        while True:
            try:
                received += await stream.receive()
            except anyio.EndOfStream:
                return received


async def read_until(stream: anyio.abc.SocketStream, end: bytes) -> bytes:
    received = b""
    with anyio.fail_after(10):
        while end not in received:
            received += await stream.receive()
    return received


async def send_for_ever(stream: anyio.abc.SocketStream) -> None:
    while True:
        await stream.send(b"more" * 1000)


def head(method: str = "GET", target: str = LISTS, *more: str) -> bytes:
    lines = (f"{method} {target} HTTP/1.1", "Host: localhost", "Authorization: Bearer x", *more)
    return "\r\n".join((*lines, "", "")).encode()


ASKING_FIRST = head("POST", LISTS, f"Content-Length: {len(NEW_LIST)}", "Expect: 100-continue")


def parsed(raw: bytes) -> tuple[int, dict[str, str], bytes]:
    start, _, body = raw.partition(b"\r\n\r\n")
    status, *lines = start.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return int(status.split()[1]), {name.lower(): headers[name] for name in headers}, body


async def still_serves(base_url: str) -> bool:
    async with httpx.AsyncClient() as client:
        return (await client.get(f"{base_url}/ad_accounts/1/customer_lists")).status_code == 401


def requests_of_every_kind(base_url: str, identifier: str) -> list[httpx.Request]:
    lists = f"{base_url}/ad_accounts/549/customer_lists"
    one = f"{lists}/{identifier}"
    row = {"operation_type": "ADD", "records_v2": [{"email": "c@example.com"}]}
    kinds: list[tuple[str, str, bytes]] = [
        ("POST", lists, NEW_LIST),
        ("POST", lists, NEW_LIST),
        ("GET", one, b""),
        ("PATCH", one, json.dumps(row).encode()),
        ("GET", f"{lists}?page_size=1", b""),
        ("GET", f"{lists}?page_size=0", b""),
        ("GET", f"{lists}?bookmark=%zz&%ff=%e9&&=", b""),
        ("GET", f"{lists}/é%2F%00", b""),
        ("POST", lists, b"\xff"),
        ("GET", f"{lists}/1", b""),
        ("GET", f"{base_url}/unknown", b""),
        ("DELETE", one, b""),
        ("OPTIONS", lists, b""),
        ("HEAD", lists, b""),
        ("BREW", lists, b"coffee"),
        ("POST", lists, NEW_LIST),
    ]
    made = [httpx.Request(method, url, headers=TOKEN, content=body) for method, url, body in kinds]
    return [httpx.Request("GET", lists), *made, httpx.Request("GET", one, headers=TOKEN)]


async def answers_of(client: httpx.AsyncClient, base_url: str) -> list[object]:
    answers: list[object] = []
    for request in requests_of_every_kind(base_url, "2542620"):
        answer = await client.send(request)
        kept = [
            (name, value)
            for name, value in answer.headers.raw
            if name.decode().lower() not in OF_THE_CONNECTION
        ]
        answers.append((answer.status_code, kept, answer.content))
    return answers


async def test_transport_and_server_send_the_same_bytes(
    new_emulator: Callable[..., Emulator],
) -> None:
    """Status, headers and body agree, for valid and invalid requests, up to the rate limit."""
    limits = RateLimits(ads_write=RatePolicy(4, 60), safety_net=RatePolicy(100, 1))
    settings = {"seed": 5, "rate_limits": limits, "access_tokens": ["pina_test"]}
    transport = new_emulator(**settings).transport()
    async with httpx.AsyncClient(transport=transport) as client:
        in_process = await answers_of(client, "https://api.pinterest.com/v5")
    async with serve(new_emulator(**settings)) as base_url, httpx.AsyncClient() as client:
        over_the_wire = await answers_of(client, base_url)
    assert over_the_wire == in_process
    statuses = {answer[0] for answer in in_process if isinstance(answer, tuple)}
    assert statuses == {200, 400, 401, 404, 405, 429}


@pytest.mark.parametrize(
    "sent",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/one\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS client\r\n\r\n",
        b"GET /" + b"a" * 200_000,
    ],
)
async def test_malformed_http_is_400_and_closed(call: Caller, sent: bytes) -> None:
    """In the error format of the API, with a request id; the server continues."""
    async with serve(call.emulator) as base_url:
        async with connected(base_url) as stream:
            await stream.send(sent)
            status, headers, body = parsed(await read_to_the_end(stream))
        assert await still_serves(base_url)
    assert status == 400
    assert headers["connection"] == "close"
    assert headers["content-type"] == "application/json"
    assert headers["x-pinterest-rid"].isdigit()
    assert json.loads(body) == {"code": 1, "message": "The request is not valid HTTP/1.1."}
    assert call.emulator.requests[0].status == 400


async def test_declared_oversized_body_is_413_before_it_is_sent(call: Caller) -> None:
    """The server neither waits for the body nor requests it."""
    sent = head("POST", LISTS, "Content-Length: 50000001", "Expect: 100-continue")
    async with serve(call.emulator) as base_url, connected(base_url) as stream:
        await stream.send(sent)
        status, headers, body = parsed(await read_to_the_end(stream))
    assert status == 413
    assert headers["connection"] == "close"
    assert json.loads(body) == {
        "code": 413,
        "message": "The request body is larger than 50,000,000 bytes.",
    }
    (entry,) = call.emulator.requests
    assert (entry.method, entry.path, entry.status) == ("POST", LISTS, 413)


async def test_oversized_chunked_body_is_413(call: Caller) -> None:
    """Its size is known only on arrival; its client still gets the answer."""
    chunk = b"%x\r\n%s\r\n" % (2_000_000, b" " * 2_000_000)
    async with serve(call.emulator) as base_url, connected(base_url) as stream:
        await stream.send(head("POST", LISTS, "Transfer-Encoding: chunked"))
        for _ in range(26):
            await stream.send(chunk)
        assert parsed(await read_to_the_end(stream))[0] == 413


async def test_refused_client_that_keeps_sending_is_disconnected(call: Caller) -> None:
    """After it had some time to read the answer."""
    async with serve(call.emulator, grace=0.05) as base_url, connected(base_url) as stream:
        await stream.send(b"GARBAGE\r\n\r\n")
        with anyio.fail_after(10), pytest.raises(anyio.BrokenResourceError):
            await send_for_ever(stream)
        assert await still_serves(base_url)


async def test_expect_100_continue_is_answered(call: Caller) -> None:
    """Then the body is read."""
    async with serve(call.emulator) as base_url, connected(base_url) as stream:
        await stream.send(ASKING_FIRST)
        assert await read_until(stream, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await stream.send(NEW_LIST)
        status, _, _ = parsed(await read_until(stream, b"}"))
    assert status == 200


async def test_chunked_body_is_read(call: Caller) -> None:
    """A body of unknown length is joined."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(NEW_LIST), 7):
            yield NEW_LIST[start : start + 7]

    async with serve(call.emulator) as base_url, httpx.AsyncClient(headers=TOKEN) as client:
        url = f"{base_url}/ad_accounts/549/customer_lists"
        answer = await client.post(url, content=pieces())
    assert answer.request.headers["transfer-encoding"] == "chunked"
    assert call.emulator.members(answer.json()["id"]) == {"a@example.com"}


async def test_pipelined_requests_are_answered_in_order(call: Caller) -> None:
    """Over one connection."""
    sent = [
        head(),
        head("DELETE"),
        head("GET", "/v5/unknown"),
        head("GET", LISTS, "Connection: close"),
    ]
    async with serve(call.emulator) as base_url, connected(base_url) as stream:
        await stream.send(b"".join(sent))
        received = await read_to_the_end(stream)
    lines = [line for line in received.split(b"\r\n") if b"HTTP/1.1 " in line]
    assert [line.rpartition(b"HTTP/1.1 ")[2] for line in lines] == [
        b"200 OK",
        b"405 Method Not Allowed",
        b"404 Not Found",
        b"200 OK",
    ]


async def test_head_answer_keeps_the_connection_open(call: Caller) -> None:
    """The next answer follows its headers."""
    async with serve(call.emulator) as base_url, connected(base_url) as stream:
        await stream.send(head("HEAD") + head("GET", LISTS, "Connection: close"))
        received = await read_to_the_end(stream)
    first, second, body = received.split(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 405 ")
    assert second.startswith(b"HTTP/1.1 200 ")
    assert json.loads(body) == {"items": [], "bookmark": None}


@pytest.mark.parametrize(
    "sent",
    [
        b"GET " + LISTS.encode() + b" HTTP/1.0\r\nAuthorization: Bearer x\r\n\r\n",
        head("GET", f"http://127.0.0.1{LISTS}", "Connection: close"),
        head("GET", LISTS, "Connection: close, upgrade", "Upgrade: h2c"),
    ],
)
async def test_old_and_rare_forms_of_http_are_supported(call: Caller, sent: bytes) -> None:
    """HTTP/1.0, a whole URL as the target, and an ignored offer to upgrade."""
    async with serve(call.emulator) as base_url, connected(base_url) as stream:
        await stream.send(sent)
        status, headers, body = parsed(await read_to_the_end(stream))
    assert status == 200
    assert headers["connection"] == "close"
    assert json.loads(body) == {"items": [], "bookmark": None}


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /v5",
        head("POST", LISTS, "Content-Length: 1000") + b"{",
        head("POST", LISTS, "Transfer-Encoding: chunked") + b"5\r\n{",
        head() * 100,
    ],
)
@pytest.mark.parametrize("reset", [False, True])
async def test_disconnecting_client_ends_only_its_connection(
    call: Caller, sent: bytes, reset: bool
) -> None:
    """In the headers, in the body or before the answers, with and without a reset."""
    async with serve(call.emulator) as base_url:
        async with connected(base_url) as other:
            await other.send(head("GET", LISTS))
            await read_until(other, b"}")
            async with connected(base_url) as stream:
                await stream.send(sent)
                if reset:
                    raw = stream.extra(anyio.abc.SocketAttribute.raw_socket)
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            await other.send(head("GET", LISTS))
            assert (await read_until(other, b"}")).startswith(b"HTTP/1.1 200 ")
        assert await still_serves(base_url)
    assert {entry.status for entry in call.emulator.requests} <= {200, 401}
    assert call("GET", "549/customer_lists").json() == {"items": [], "bookmark": None}


@asynccontextmanager
async def stoppable(emulator: Emulator, grace: float) -> AsyncIterator[tuple[str, anyio.Event]]:
    """A server in a separate task, which ends when the event is set."""
    stop = anyio.Event()

    async def run(*, task_status: anyio.abc.TaskStatus[str]) -> None:
        async with serve(emulator, grace=grace) as base_url:
            task_status.started(base_url)
            await stop.wait()

    async with anyio.create_task_group() as tasks:
        yield await tasks.start(run), stop


async def test_running_request_is_finished_when_the_server_stops(
    call: Caller,
) -> None:
    """Its body may still arrive; then it is answered, and the connection is closed."""
    async with (
        stoppable(call.emulator, grace=20) as (base_url, stop),
        connected(base_url) as stream,
    ):
        await stream.send(ASKING_FIRST)
        await read_until(stream, b"\r\n\r\n")
        stop.set()
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(OSError, match="All connection attempts failed"):
            async with connected(base_url):
                pass
        await stream.send(NEW_LIST)
        status, headers, _ = parsed(await read_to_the_end(stream))
    assert status == 200
    assert headers["connection"] == "close"
    assert [entry.status for entry in call.emulator.requests] == [200]


async def test_unfinished_request_is_cut_off_when_the_server_stops(
    call: Caller,
) -> None:
    """After a grace period, and nothing is done partially."""
    async with (
        stoppable(call.emulator, grace=0.05) as (base_url, stop),
        connected(base_url) as stream,
    ):
        await stream.send(ASKING_FIRST)
        await read_until(stream, b"\r\n\r\n")
        stop.set()
        assert await read_to_the_end(stream) == b""
    assert call.emulator.requests == ()


async def test_idle_connections_are_closed_when_the_server_stops(call: Caller) -> None:
    """Used and unused ones, and one that has sent half the headers."""
    async with (
        stoppable(call.emulator, grace=20) as (base_url, stop),
        connected(base_url) as used,
        connected(base_url) as unused,
        connected(base_url) as half,
    ):
        await used.send(head())
        await read_until(used, b"}")
        await half.send(b"GET /v5")
        await anyio.wait_all_tasks_blocked()
        stop.set()
        for stream in (used, unused, half):
            assert await read_to_the_end(stream) == b""


async def test_port_in_use_is_an_os_error(call: Caller) -> None:
    """Two servers cannot have the same port."""
    async with serve(call.emulator) as base_url:
        with pytest.raises(OSError, match="in use"):
            async with serve(call.emulator, urlsplit(base_url).port or 0):
                pytest.fail("the port was taken twice")
        assert await still_serves(base_url)


async def test_exception_of_the_block_is_not_wrapped(call: Caller) -> None:
    """Not even in an exception group."""
    with pytest.raises(LookupError, match="of the test"):
        async with serve(call.emulator):
            raise LookupError("of the test")


async def test_cancellation_stops_the_server(call: Caller) -> None:
    """No listener is left."""
    base_url = ""
    with anyio.CancelScope() as scope:
        async with serve(call.emulator) as base_url:
            scope.cancel()
            await anyio.lowlevel.checkpoint()
    assert scope.cancelled_caught
    with pytest.raises(OSError, match="All connection attempts failed"):
        async with connected(base_url):
            pass
