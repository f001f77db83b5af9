"""Requests to the storage behind Pinterest, and behavior when it fails."""

from __future__ import annotations

import io
import logging
import os
import tracemalloc
from pathlib import Path

import anyio
import anyio.lowlevel
import httpx
import pytest
from support.cases import each_case
from support.clock import FakeClock
from support.twins import TOKEN
from support.uploads import SECRET, address, created_upload
from support.wire import LIST, Exchange, RawServer, Reply, answer, rig

from pinterest_audiences import (
    AsyncClient,
    CallError,
    ClientClosedError,
    CreatedUpload,
    DecodeError,
    RequestTimeoutError,
    SourceError,
    TransportError,
    UploadError,
)
from pinterest_audiences._models import S3FilePart, S3MultipartUploadData

pytestmark = pytest.mark.anyio

MB = 1024 * 1024
STORED = b'HTTP/1.1 200 OK\r\netag: "x"\r\ncontent-length: 0\r\n\r\n'
GOOD = Exchange((STORED,))
DATA = b"a@b.co\nc@d.co\n"


def client_of(*, max_retries: int = 4, timeout: float = 30.0) -> AsyncClient:
    """Create a client of Pinterest's address; only the storage is served here."""
    return AsyncClient(TOKEN, max_retries=max_retries, timeout=timeout, clock=FakeClock())


def at(server: RawServer, count: int = 1) -> CreatedUpload:
    """Create an upload with all parts on one server."""
    return created_upload(count, server.base_url.removesuffix("/v5"))


def to(url: str) -> CreatedUpload:
    """Create an upload with one part at an address."""
    upload = created_upload()
    upload.s3_multipart_upload_data = S3MultipartUploadData([S3FilePart(1, url)])
    return upload


async def fails(client: AsyncClient, upload: CreatedUpload) -> CallError:
    """Upload the parts, and return the expected error."""
    with pytest.raises(CallError) as failed:
        await client.put_file_parts(upload, DATA)
    assert SECRET not in everything(failed.value)
    return failed.value


def everything(error: BaseException) -> str:
    """Return all text of an error and of its causes."""
    text = f"{error} {error!r} {vars(error)}"
    for before in (error.__cause__, error.__context__):
        if before is not None:
            text += everything(before)
    return text


# Requests.


async def test_part_request_bytes() -> None:
    """The address as received, the length, and no unrequested header."""
    async with RawServer((GOOD,)) as server, client_of() as client:
        await client.put_file_parts(at(server), DATA)
        (request,) = server.requests
        host = server.base_url.split("/")[2]
        target = address(1, "")
    assert (
        request
        == (
            f"PUT {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(DATA)}\r\n\r\n"
        ).encode()
        + DATA
    )


async def test_request_repr_has_no_address() -> None:
    """A custom transport may print it and use the address."""
    printed: list[str] = []

    async def look(request: httpx.Request) -> Reply:
        printed.append(f"{request!r} {request.url!r} {request.url}")
        assert request.url.raw_path.decode() == address(1, "")
        return Reply(body=b"")

    scene = rig(look)
    async with scene.client as client:
        await client.put_file_parts(created_upload(), DATA)
    shown = "https://bucket.s3.us-east-1.amazonaws.com/[pre-signed]"
    assert printed == [f"<Request('PUT', '{shown}')> URL('{shown}') {shown}"]


async def test_storage_receives_no_token_and_no_cookie() -> None:
    """Not even if Pinterest and the storage are one server."""
    cookie = Exchange((answer(LIST, headers="set-cookie: who=me; Path=/\r\n"),))
    stored = Exchange((STORED.replace(b"etag", b"set-cookie: and=me\r\netag"),))
    async with RawServer((cookie, GOOD), (stored, GOOD)) as server:
        async with AsyncClient(TOKEN, base_url=server.base_url) as client:
            await client.customer_lists_get("1", "643")
            await client.put_file_parts(at(server), DATA)
            await client.put_file_parts(at(server), DATA)
        assert server.connections == 2  # connections that carried the token are not used
        asked, *put = server.requests
    assert TOKEN.encode() in asked
    assert len(put) == 2
    for request in put:
        assert TOKEN.encode() not in request
        assert b"cookie" not in request.lower()


async def test_parts_use_one_connection_in_order() -> None:
    async with RawServer((GOOD, GOOD)) as server, client_of() as client:
        await client.put_file_parts(at(server, 2), bytes(10 * MB))
        assert server.connections == 1
        targets = [request.split(b" ")[1].decode() for request in server.requests]
    assert targets == [address(1, ""), address(2, "")]


async def test_local_storage_bypasses_the_environment_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The proxy would receive the records in plain http."""
    async with RawServer() as proxy, RawServer((GOOD,)) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.base_url)
        async with client_of() as client:
            await client.put_file_parts(at(server), DATA)
        assert (proxy.connections, len(server.requests)) == (0, 1)


async def test_remote_storage_uses_the_environment_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Through a tunnel, so that the proxy learns only the host."""
    refusing = Exchange((b"HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n",), ending="close")
    async with RawServer((refusing,)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.base_url.removesuffix("/v5"))
        async with client_of(max_retries=0) as client:
            error = await fails(client, created_upload())
        (request,) = proxy.requests
    assert request.startswith(b"CONNECT bucket.s3.us-east-1.amazonaws.com:443 HTTP/1.1\r\n")
    assert TOKEN.encode() not in request
    assert type(error) is TransportError


class Pieces(httpx.AsyncBaseTransport):
    """Reads a body in pieces and stores only their sizes."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.AsyncByteStream)
        async for piece in request.stream:
            self.sizes.append(len(piece))
        return httpx.Response(200)


async def test_large_file_is_streamed(tmp_path: Path) -> None:
    """A quarter of a megabyte at a time."""
    path = tmp_path / "large.txt"
    path.touch()
    os.truncate(path, 64 * MB)
    transport = Pieces()
    async with AsyncClient(TOKEN, transport=transport) as client:
        tracemalloc.start()
        try:
            await client.put_file_parts(created_upload(4), path)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert sum(transport.sizes) == 64 * MB
    assert max(transport.sizes) == 262_144
    assert peak < 4 * MB


# Failures.

BROKEN = {
    "closed at once": Exchange(ending="close", listen=False),
    "closed before the answer": Exchange(ending="close"),
    "reset before the answer": Exchange(ending="reset"),
    "closed in the head": Exchange((STORED[:20],), ending="close"),
    "closed in the body": Exchange((STORED.replace(b"0\r", b"5\r"),), ending="close"),
    "no HTTP": Exchange((b"\x15\x03\x01\x00\x02\x02\x50",), ending="close"),
}
BREAKS = pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())


@pytest.mark.slow
@BREAKS
async def test_part_with_broken_connection_is_resent_from_its_start(broken: Exchange) -> None:
    """Earlier parts are not."""
    data = bytes(5 * MB) + b"b" * (5 * MB)
    async with (
        RawServer((GOOD, broken), (broken,), (GOOD,)) as server,
        client_of() as client,
    ):
        await client.put_file_parts(at(server, 2), data)
        first, *_, last = server.requests
    assert first.endswith(b"\r\n\r\n" + data[: 5 * MB])
    assert last.endswith(b"\r\n\r\n" + data[5 * MB :])
    assert address(2, "").encode() in last


@BREAKS
async def test_storage_that_always_fails_is_an_error_after_max_retries(broken: Exchange) -> None:
    """The error has the part and the attempts; Pinterest is not called."""
    async with RawServer(*[(broken,)] * 3) as server, client_of(max_retries=2) as client:
        error = await fails(client, at(server))
        assert server.connections == 3
    assert type(error) is TransportError
    assert str(error).startswith("put_file_parts: part 1: the connection to the storage failed (")
    assert str(error).endswith(", 3 attempts)")
    assert (error.operation, error.method, error.attempts) == ("put_file_parts", "PUT", 3)
    assert not error.maybe_applied


async def test_silent_storage_is_ended_at_the_timeout() -> None:
    """Each attempt has the timeout."""
    silent = Exchange(ending="hang")
    async with (
        RawServer((silent,), (silent,)) as server,
        client_of(max_retries=1, timeout=0.05) as client,
    ):
        error = await fails(client, at(server))
    assert isinstance(error, RequestTimeoutError)
    assert error.attempts == 2


async def test_part_is_uploaded_with_timeout_none() -> None:
    async with RawServer((GOOD,)) as server, AsyncClient(TOKEN, timeout=None) as client:
        await client.put_file_parts(at(server), DATA)
        (request,) = server.requests
    assert request.endswith(b"\r\n\r\n" + DATA)


@pytest.mark.parametrize(("status", "stored"), [(200, True), (403, False)])
async def test_oversized_storage_response_counts_by_its_status(status: int, stored: bool) -> None:
    """Its body is not read to the end."""
    scene = rig(Reply(status, body=b"x" * (2 * MB)))
    async with scene.client as client:
        if stored:
            await client.put_file_parts(created_upload(), DATA)
        else:
            error = await fails(client, created_upload())
            assert isinstance(error, UploadError)
            assert error.status == 403
    assert len(scene.sent) == 1


CUT_OFF = b"<?xml version='1.0'?><Error><Code>RequestTimeout</Code><Message>x</Message></Error>"
REFUSED = b"<Error><Code>AccessDenied</Code><Resource>/key?" + SECRET.encode() + b"</Resource>"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(500, body=b"<html>"),
        Reply(503, body=b"<Error><Code>SlowDown</Code></Error>"),
        Reply(502, body=b""),
        Reply(408, body=b""),
        Reply(429, body=b""),
        Reply(400, body=CUT_OFF),
    ],
    ids=lambda reply: str(reply.status),
)
async def test_storage_error_is_retried_with_backoff(reply: Reply) -> None:
    """Up to the client's retries."""
    scene = rig(reply, reply, Reply(body=b""), max_retries=2)
    async with scene.client as client:
        await client.put_file_parts(created_upload(), DATA)
    assert [each.body for each in scene.sent] == [DATA] * 3
    assert len(scene.clock.sleeps) == 2
    scene = rig(reply, reply, max_retries=1)
    async with scene.client as client:
        error = await fails(client, created_upload())
    assert isinstance(error, UploadError)
    assert (error.status, error.part_number, error.attempts) == (reply.status, 1, 2)


async def test_retry_after_of_the_storage_is_waited() -> None:
    """Up to `max_wait`; a longer one is an error at once."""
    scene = rig(Reply(503, headers={"retry-after": "9"}), Reply(), max_wait=10.0)
    async with scene.client as client:
        await client.put_file_parts(created_upload(), DATA)
    assert 9 <= scene.clock.elapsed <= 10
    scene = rig(Reply(503, headers={"retry-after": "11"}), max_wait=10.0)
    async with scene.client as client:
        await fails(client, created_upload())
    assert scene.clock.sleeps == []


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (
            Reply(403, body=REFUSED),
            "403 AccessDenied (1 attempts); the presigned URL may have expired",
        ),
        (
            Reply(404, body=b"\xff"),
            "404 (1 attempts); the upload no longer exists; create a new one",
        ),
        (
            Reply(400, body=b"<Code>a b</Code>"),
            "400 (1 attempts); the storage rejected the request",
        ),
        (Reply(418, body=b""), "418 (1 attempts); try again later"),
        (Reply(307, headers={"location": "https://elsewhere.example/"}), "307 (1 attempts); redir"),
        (
            Reply(301, headers={"location": "https://999.1.1.1/"}),
            "301 (1 attempts); redirects are not follo",
        ),
    ],
    ids=lambda value: value[:3] if isinstance(value, str) else "",
)
async def test_refused_part_is_not_retried(reply: Reply, message: str) -> None:
    """Redirects are not followed either."""
    scene = rig(reply)
    async with scene.client as client:
        error = await fails(client, created_upload())
    assert str(error).startswith(f"put_file_parts: part 1: the storage responded with {message}")
    assert isinstance(error, UploadError)
    assert error.status == reply.status
    assert len(scene.sent) == 1


@each_case(
    "url",
    [
        "",
        "bucket/key",
        "//bucket/key",
        "ftp://bucket/key",
        "file:///etc/passwd",
        "http://bucket.s3.amazonaws.com/key",
        "http://169.254.169.254/latest",
        "http://localhost.example/key",
        "https:///key",
        "https://",
        "https://me:pw@bucket/key",
        "https://bucket/key#part",
        "https://bucket/a key",
        "https://bucket/\r\nX-Evil: 1",
        "https://bucket/\u00fc",
        "https://bucket:port/key",
        "https://[::1/key",
    ],
)
async def test_storage_address_must_be_https_or_localhost(url: str) -> None:
    """Nothing is sent otherwise, and the error does not show the address."""
    secret = url if url in ("", "https://") else f"{url}{SECRET}"
    scene = rig()
    async with scene.client as client:
        error = await fails(client, to(secret))
    assert isinstance(error, DecodeError)
    assert error.problems == ("the presigned URL of part 1 is not a valid https URL",)
    assert scene.sent == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/k", "http://localhost/k", "http://[::1]:9/k"])
async def test_plain_http_storage_is_allowed_on_localhost(url: str) -> None:
    scene = rig(Reply(body=b""))
    async with scene.client as client:
        await client.put_file_parts(to(url), DATA)
    assert scene.sent[0].url == url
    assert scene.sent[0].headers["host"] == url.split("/")[2]


# Changes of the file during an upload.


async def test_file_changed_between_attempts_is_not_sent(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    await anyio.Path(path).write_bytes(DATA)

    async def overwrite(_: httpx.Request) -> Reply:
        await anyio.Path(path).write_bytes(DATA[::-1])
        os.utime(path, ns=(0, 0))
        return Reply(500, body=b"")

    scene = rig(overwrite)
    async with scene.client as client:
        with pytest.raises(SourceError) as failed:
            await client.put_file_parts(created_upload(), path)
    assert str(failed.value) == f"{path}: was changed during the upload"
    assert len(scene.sent) == 1


class Shrinking(httpx.AsyncBaseTransport):
    """Empties a file once its first piece has arrived."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.requests = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        assert isinstance(request.stream, httpx.AsyncByteStream)
        async for _ in request.stream:
            os.truncate(self.path, 0)
        return httpx.Response(200)


async def test_file_truncated_during_upload_is_an_error(tmp_path: Path) -> None:
    """It is a file error, not a connection error, and is not retried."""
    path = tmp_path / "a.txt"
    await anyio.Path(path).write_bytes(bytes(MB))
    transport = Shrinking(path)
    async with AsyncClient(TOKEN, transport=transport, clock=FakeClock()) as client:
        with pytest.raises(SourceError, match="became shorter during the upload"):
            await client.put_file_parts(created_upload(), path)
    assert transport.requests == 1


async def test_read_error_during_upload_is_a_file_error() -> None:
    from pinterest_audiences._http.multipart import Part, _PartBody

    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    body = _PartBody(anyio.wrap_file(Failing()), Part(1, 0, 3), "a.txt", lambda: None)
    with pytest.raises(SourceError, match=r"^a.txt: Input/output error$"):
        await body.__anext__()


# Lifetime.


async def test_closed_client_uploads_no_part() -> None:
    """Nor one that is closed during a wait."""
    scene = rig()
    async with scene.client as client:
        pass
    with pytest.raises(ClientClosedError):
        await client.put_file_parts(created_upload(), DATA)

    async def close(_: httpx.Request) -> Reply:
        await scene.client.aclose()
        return Reply(500, body=b"")

    scene = rig(close)
    with pytest.raises(ClientClosedError):
        await scene.client.put_file_parts(created_upload(), DATA)
    assert len(scene.sent) == 1


async def test_cancelled_part_closes_file_and_connection() -> None:
    """A ResourceWarning would fail this test."""
    silent = Exchange(ending="hang")
    async with RawServer((silent,), (GOOD,)) as server, client_of() as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.put_file_parts, at(server), DATA)
            while not server.requests:
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        await client.put_file_parts(at(server), DATA)
        assert server.connections == 2


async def test_logs_contain_no_storage_address_and_no_record(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Including the loggers of httpx and httpcore."""
    caplog.set_level(logging.DEBUG)
    email = "sentinel.person@secret-shop.example"
    failing = Exchange((b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n",))
    async with RawServer((failing, GOOD)) as server, client_of() as client:
        upload = at(server)
        await client.put_file_parts(upload, f"{email}\n".encode())
        assert email.encode() in server.requests[-1]
        shown = f"{client!r} {vars(client)!r} {vars(client._part_uploader)!r} {upload!r} {upload}"
    assert "put_file_parts: part 1: attempt 2: 200" in caplog.text
    assert "HTTP Request: PUT http://127.0.0.1" in caplog.text
    assert "httpcore" in caplog.text
    for secret in (SECRET, TOKEN, email, "key%2Fa"):
        assert secret not in caplog.text
        assert secret not in shown
