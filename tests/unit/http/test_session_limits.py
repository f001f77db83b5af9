# ruff: noqa: SIM117 - the client is closed before the server
"""Limits of one call: size of a response, time of an attempt, time of a whole call."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache

import anyio
import anyio.to_thread
import httpx
import pytest
from anyio.abc import SocketAttribute, SocketStream
from support.calls import Operate, create, fails, get, update
from support.clock import FakeClock
from support.wire import LIST, Reply, read_request, refusal, rig

from pinterest_audiences import (
    AsyncClient,
    Client,
    ConfigurationError,
    DecodeError,
    RequestTimeoutError,
    ResponseTooLargeError,
    ServerError,
    TransportError,
)
from pinterest_audiences._http.responses import BodyTooLargeError, read_body

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MIB = 1024 * 1024
GOOD = json.dumps(LIST).encode()
Handler = Callable[[SocketStream], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncGenerator[tuple[str, list[int]]]:
    """Serve each connection with a handler; yield the base URL and the list of connections."""
    connections: list[int] = []

    async def serve(stream: SocketStream) -> None:
        connections.append(1)
        try:
            async with stream:
                await handler(stream)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream):
            pass

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield f"http://127.0.0.1:{port}/v5", connections
        tasks.cancel_scope.cancel()


def client_of(
    base_url: str,
    *,
    timeout: float | None = 30.0,
    total_timeout: float | None = None,
    max_retries: int = 4,
    max_response_bytes: int = MIB,
) -> AsyncClient:
    return AsyncClient(
        "s3cretValue",
        base_url=base_url,
        timeout=timeout,
        total_timeout=total_timeout,
        max_retries=max_retries,
        max_response_bytes=max_response_bytes,
        clock=FakeClock(),
    )


def answering(body: bytes, headers: str = "", status: str = "200 OK") -> Handler:
    """Return a handler that sends one chunked response per connection."""

    async def handler(stream: SocketStream) -> None:
        await read_request(stream)
        await stream.send(
            f"HTTP/1.1 {status}\r\nx-pinterest-rid: 77\r\n{headers}"
            "transfer-encoding: chunked\r\nconnection: close\r\n\r\n".encode()
        )
        for start in range(0, len(body), 65_536):
            piece = body[start : start + 65_536]
            await stream.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        await stream.send(b"0\r\n\r\n")

    return handler


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


@cache
def bombs() -> dict[str, tuple[str, bytes]]:
    """Return bodies over the limit with their content encoding; created on demand."""
    padded = b'{"id": "643", "new": "' + b"x" * (200 * MIB) + b'"}'
    once = gzip.compress(padded, 1)
    return {
        "gzip": ("gzip", once),
        "x-gzip": ("X-GZip", once),
        "zlib": ("deflate", zlib.compress(padded, 1)),
        "raw deflate": ("deflate", raw_deflate(padded)),
        "gzip twice": ("gzip, gzip", gzip.compress(once, 1)),
        "many members": ("gzip", gzip.compress(b" " * MIB, 1) * 30),
        "plain": ("identity", padded[: 3 * MIB]),
        "plain, no coding": ("", padded[: 3 * MIB]),
        "unknown coding": ("br", padded[: 3 * MIB]),
    }


BOMBS = (
    *("gzip", "x-gzip", "zlib", "raw deflate", "gzip twice", "many members"),
    *("plain", "plain, no coding", "unknown coding"),
)


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("status", ["200 OK", "404 Not Found", "500 Oops", "429 Slow"])
async def test_response_over_the_limit_is_one_error_without_buffering(
    status: str, bomb: str
) -> None:
    """With any compression and status; it is not retried."""
    coding, body = bombs()[bomb]
    headers = f"content-encoding: {coding}\r\n" if coding else ""
    async with serving(answering(body, headers, status)) as (url, connections):
        async with client_of(url) as client:
            tracemalloc.start()
            try:
                error = await fails(get, client)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
    assert isinstance(error, ResponseTooLargeError)
    assert isinstance(error, DecodeError)
    assert (error.status, error.request_id) == (int(status[:3]), "77")
    assert (error.attempts, error.maybe_applied) == (1, False)
    assert "1,048,576 bytes (max_response_bytes)" in str(error)
    assert len(connections) == 1
    assert peak < 8 * MIB


@pytest.mark.parametrize(
    ("status", "maybe_applied"), [("200 OK", True), ("400 Bad", False), ("503 Busy", True)]
)
@pytest.mark.parametrize("operate", [create, update])
async def test_oversized_response_to_a_change_reports_whether_it_was_applied(
    operate: Operate, status: str, maybe_applied: bool
) -> None:
    """A 2xx was applied, a 4xx was not, and a 5xx may have been."""
    async with serving(answering(b" " * (MIB + 1), "", status)) as (url, connections):
        async with client_of(url) as client:
            error = await fails(operate, client)
    assert isinstance(error, ResponseTooLargeError)
    assert error.maybe_applied is maybe_applied
    assert len(connections) == 1


@pytest.mark.parametrize("size", [MIB - 1, MIB])
async def test_response_of_exactly_the_limit_is_read(size: int) -> None:
    """Counted after decompression."""
    body = GOOD + b" " * (size - len(GOOD))
    headers = "content-encoding: gzip\r\n"
    async with serving(answering(gzip.compress(body), headers)) as (url, _):
        async with client_of(url) as client:
            assert (await client.customer_lists_get("1", "643")).id == "643"


async def test_endless_response_is_read_up_to_the_limit() -> None:
    """Then the connection is closed."""
    closed = anyio.Event()

    async def endless(stream: SocketStream) -> None:
        await read_request(stream)
        await stream.send(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                await stream.send(b" " * 65_536)
        finally:
            closed.set()

    async with serving(endless) as (url, connections), client_of(url) as client:
        error = await fails(get, client)
        await closed.wait()
    assert isinstance(error, ResponseTooLargeError)
    assert len(connections) == 1


async def test_content_length_is_not_trusted() -> None:
    """A length of a terabyte allocates nothing; a shorter body is a broken connection."""

    async def lying(stream: SocketStream) -> None:
        await read_request(stream)
        await stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1099511627776\r\n\r\n" + GOOD)

    async with serving(lying) as (url, _), client_of(url, max_retries=0) as client:
        error = await fails(update, client)
    assert type(error) is TransportError
    assert (error.status, error.maybe_applied) == (200, True)


DECODABLE = {
    "gzip": ("gzip", gzip.compress(GOOD)),
    "x-gzip": ("x-gzip", gzip.compress(GOOD)),
    "upper case": ("GZIP", gzip.compress(GOOD)),
    "two members": ("gzip", gzip.compress(GOOD[:5]) + gzip.compress(GOOD[5:])),
    "padding after gzip": ("gzip", gzip.compress(GOOD) + b"\0" * 100),
    "zlib": ("deflate", zlib.compress(GOOD)),
    "raw deflate": ("deflate", raw_deflate(GOOD)),
    "gzip of deflate": ("deflate, gzip", gzip.compress(zlib.compress(GOOD))),
    "identity": ("identity", GOOD),
    "identity and gzip": ("identity,gzip", gzip.compress(GOOD)),
}


@pytest.mark.parametrize(("coding", "body"), DECODABLE.values(), ids=DECODABLE)
async def test_compressed_response_is_decompressed_in_each_encoding(
    coding: str, body: bytes
) -> None:
    """Each encoding that servers send for "gzip, deflate"."""
    async with serving(answering(body, f"content-encoding: {coding}\r\n")) as (url, _):
        async with client_of(url) as client:
            assert (await client.customer_lists_get("1", "643")).id == "643"


@pytest.mark.parametrize("place", range(1, len(gzip.compress(GOOD[:5])) + 12))
async def test_gzip_members_are_read_across_chunk_boundaries(place: int) -> None:
    """Also inside the magic number of the second member."""
    body = gzip.compress(GOOD[:5]) + gzip.compress(GOOD[5:])

    class Chunks(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield body[:place]
            yield body[place:]

    response = httpx.Response(200, headers={"content-encoding": "gzip"}, stream=Chunks())
    assert await read_body(response, MIB) == GOOD


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(GOOD)[:-12]),
        ("gzip", GOOD),
        ("gzip", gzip.compress(GOOD)[:-8] + b"\0" * 8),
        ("deflate", b"\xff" * 20),
        ("deflate", zlib.compress(GOOD)[:-6]),
    ],
    ids=["cut off", "not compressed", "bad checksum", "nonsense", "deflate cut off"],
)
async def test_damaged_compression_is_a_transport_error(coding: str, body: bytes) -> None:
    """It is retried like a broken connection."""
    handler = answering(body, f"content-encoding: {coding}\r\n")
    async with serving(handler) as (url, connections), client_of(url, max_retries=1) as client:
        error = await fails(get, client)
    assert type(error) is TransportError
    assert "compression of the response is damaged" in str(error)
    assert len(connections) == 2


def dripping(start: bytes, drop: bytes) -> Handler:
    """Return a handler that starts a response and sends a little more of it repeatedly."""

    async def handler(stream: SocketStream) -> None:
        await read_request(stream)
        await stream.send(start)
        while True:
            await stream.send(drop)
            await anyio.sleep(0.01)

    return handler


DRIPS = {
    "body": dripping(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n", b" "),
    "head": dripping(b"HTTP/1.1 200 OK\r\nx-drip: ", b"x"),
    "informational": dripping(b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
}


@pytest.mark.parametrize("drip", DRIPS.values(), ids=DRIPS)
@pytest.mark.parametrize("operate", [get, create, update])
async def test_slow_response_is_ended_at_the_timeout(operate: Operate, drip: Handler) -> None:
    """The timeout is a deadline of the attempt, however often a byte arrives."""
    async with serving(drip) as (url, connections):
        async with client_of(url, timeout=0.5, max_retries=1) as client:
            error = await fails(operate, client)
    assert type(error) is RequestTimeoutError
    assert error.attempts == len(connections) == (1 if operate is create else 2)
    assert error.maybe_applied is (operate is not get)


async def test_slow_upload_is_ended_at_the_timeout() -> None:
    """Sending counts too."""

    async def sip(stream: SocketStream) -> None:
        while True:
            await stream.receive(1000)
            await anyio.sleep(0.01)

    async with serving(sip) as (url, connections):
        async with client_of(url, timeout=0.5, max_retries=0) as client:
            with pytest.raises(RequestTimeoutError) as failed:
                await client.customer_lists_create("1", name="A", records="a" * 40 * MIB)
    assert failed.value.maybe_applied
    assert len(connections) == 1


@pytest.mark.parametrize("drip", DRIPS.values(), ids=DRIPS)
@pytest.mark.parametrize("operate", [get, create])
async def test_total_timeout_ends_a_call_without_an_attempt_timeout(
    operate: Operate, drip: Handler
) -> None:
    """It ends in the first attempt, and the error says whether it may have been applied."""
    async with serving(drip) as (url, connections):
        async with client_of(url, timeout=None, total_timeout=2) as client:
            error = await fails(operate, client)
    assert type(error) is RequestTimeoutError
    assert "total timeout" in str(error)
    assert (error.attempts, len(connections)) == (1, 1)
    assert error.maybe_applied is (operate is create)


async def test_total_timeout_covers_the_token_source() -> None:
    """Nothing was sent while waiting for the token, so nothing was applied."""

    async def token() -> str:
        await anyio.sleep_forever()
        return ""

    async with AsyncClient(
        token, transport=httpx.MockTransport(lambda _: httpx.Response(200)), total_timeout=0.1
    ) as client:
        error = await fails(create, client)
    assert type(error) is RequestTimeoutError
    assert (error.attempts, error.maybe_applied) == (0, False)


async def test_wait_beyond_the_total_timeout_raises_the_failure_at_once() -> None:
    """A wait that would end too late is not started; the error is that of the last attempt."""
    scene = rig(
        refusal(503, 4197, retry_after="20"), refusal(503, 4197, retry_after="20"), total_timeout=30
    )
    async with scene.client as client:
        error = await fails(get, client)
    assert isinstance(error, ServerError)
    assert error.attempts == len(scene.sent) == 2
    assert scene.clock.elapsed < 30


async def test_waits_within_the_total_timeout_are_waited() -> None:
    scene = rig(refusal(503, 4197, retry_after="20"), Reply(data=LIST), total_timeout=30)
    async with scene.client as client:
        await get(client)
    assert len(scene.sent) == 2


async def test_cancellation_by_the_caller_is_not_a_timeout() -> None:
    async with serving(DRIPS["body"]) as (url, _), client_of(url, total_timeout=60) as client:
        with anyio.move_on_after(0.3) as scope:
            await get(client)
    assert scope.cancelled_caught


async def test_sync_client_has_the_same_limits() -> None:
    """Both arguments reach the session."""
    async with serving(answering(b" " * 2000)) as (url, _):
        with Client("s3cretValue", base_url=url, max_response_bytes=1000) as client:
            with pytest.raises(ResponseTooLargeError):
                await anyio.to_thread.run_sync(client.customer_lists_get, "1", "643")
    async with serving(DRIPS["body"]) as (url, _):
        with Client("s3cretValue", base_url=url, timeout=None, total_timeout=0.3) as client:
            with pytest.raises(RequestTimeoutError):
                await anyio.to_thread.run_sync(client.customer_lists_get, "1", "643")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("total_timeout", 0),
        ("total_timeout", -1.0),
        ("total_timeout", float("nan")),
        ("total_timeout", "5"),
        ("max_response_bytes", 0),
        ("max_response_bytes", 1.5),
        ("max_response_bytes", None),
        ("max_response_bytes", True),
    ],
)
def test_invalid_limit_is_a_configuration_error(name: str, value: object) -> None:
    """The message names the argument."""
    for kind in (AsyncClient, Client):
        with pytest.raises(ConfigurationError, match=name):
            kind("token", **{name: value})  # type: ignore[arg-type]


async def test_buffered_response_over_the_limit_is_refused() -> None:
    """A custom transport may return one that is already read."""
    response = httpx.Response(200, content=b"x" * 10)
    assert await read_body(response, 10) == b"x" * 10
    with pytest.raises(BodyTooLargeError):
        await read_body(response, 9)


async def test_response_that_never_ends_is_abandoned() -> None:
    """Even if a custom transport's stream continues after it is closed."""

    class Endless(httpx.AsyncByteStream):
        def __aiter__(self) -> AsyncIterator[bytes]:
            return self

        async def __anext__(self) -> bytes:
            return b"x"

    with anyio.fail_after(30), pytest.raises(BodyTooLargeError):
        await read_body(httpx.Response(200, stream=Endless()), 100)


async def test_timeout_before_sending_means_not_applied() -> None:
    """A transport blocks before it reads the body."""

    class Hanging(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await anyio.sleep_forever()
            raise AssertionError

    async with AsyncClient(
        "s3cretValue", timeout=0.05, max_retries=0, transport=Hanging(), clock=FakeClock()
    ) as client:
        error = await fails(create, client)
    assert isinstance(error, RequestTimeoutError)
    assert (error.reason, error.maybe_applied) == ("connect_timeout", False)
