"""What goes to the storage behind Pinterest, byte by byte, and what comes when it fails."""

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
from pinterest_audiences.models import S3FilePart, S3MultipartUploadData

pytestmark = pytest.mark.anyio

MB = 1024 * 1024
STORED = b'HTTP/1.1 200 OK\r\netag: "x"\r\ncontent-length: 0\r\n\r\n'
GOOD = Exchange((STORED,))
DATA = b"a@b.co\nc@d.co\n"


def client_of(*, max_retries: int = 4, timeout: float = 30.0) -> AsyncClient:
    """A client of Pinterest's own address: only the storage is here."""
    return AsyncClient(TOKEN, max_retries=max_retries, timeout=timeout, clock=FakeClock())


def at(server: RawServer, count: int = 1) -> CreatedUpload:
    """An upload whose parts go to a server."""
    return created_upload(count, server.base_url.removesuffix("/v5"))


def to(url: str) -> CreatedUpload:
    """An upload whose one part goes to an address."""
    upload = created_upload()
    upload.s3_multipart_upload_data = S3MultipartUploadData([S3FilePart(1, url)])
    return upload


async def fails(client: AsyncClient, upload: CreatedUpload) -> CallError:
    """Put the parts, and return the error that is expected."""
    with pytest.raises(CallError) as failed:
        await client.put_file_parts(upload, DATA)
    assert SECRET not in everything(failed.value)
    return failed.value


def everything(error: BaseException) -> str:
    """All that anybody would print of an error, and of what it came from."""
    told = f"{error} {error!r} {vars(error)}"
    for before in (error.__cause__, error.__context__):
        if before is not None:
            told += everything(before)
    return told


# What is sent.


async def test_a_part_is_these_bytes() -> None:
    """The address as it came, the length, and nothing that the storage has not asked for."""
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


async def test_a_request_can_be_printed() -> None:
    """As a transport of the user's own may do; the address is there for it to use."""
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


async def test_neither_token_nor_cookie_goes_to_the_storage() -> None:
    """Not even where Pinterest and the storage are one server, and one has given a cookie."""
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


async def test_one_connection_serves_all_parts() -> None:
    """In the order of the file."""
    async with RawServer((GOOD, GOOD)) as server, client_of() as client:
        await client.put_file_parts(at(server, 2), bytes(10 * MB))
        assert server.connections == 1
        targets = [request.split(b" ")[1].decode() for request in server.requests]
    assert targets == [address(1, ""), address(2, "")]


async def test_this_machine_is_not_looked_for_behind_a_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A proxy of the environment would get the records in plain http."""
    async with RawServer() as proxy, RawServer((GOOD,)) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.base_url)
        async with client_of() as client:
            await client.put_file_parts(at(server), DATA)
        assert (proxy.connections, len(server.requests)) == (0, 1)


async def test_the_proxy_of_the_environment_leads_to_a_storage_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is asked for a tunnel, and told only the host."""
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
    """Takes a body piece by piece and keeps only their sizes."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.AsyncByteStream)
        async for piece in request.stream:
            self.sizes.append(len(piece))
        return httpx.Response(200)


async def test_a_large_file_is_never_in_memory(tmp_path: Path) -> None:
    """A quarter of a megabyte of it is, at a time."""
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


# What breaks.

BROKEN = {
    "closed at once": Exchange(ending="close", listen=False),
    "closed before the answer": Exchange(ending="close"),
    "reset before the answer": Exchange(ending="reset"),
    "closed in the head": Exchange((STORED[:20],), ending="close"),
    "closed in the body": Exchange((STORED.replace(b"0\r", b"5\r"),), ending="close"),
    "no HTTP": Exchange((b"\x15\x03\x01\x00\x02\x02\x50",), ending="close"),
}
BREAKS = pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())


@BREAKS
async def test_a_part_whose_connection_breaks_is_sent_again_whole(broken: Exchange) -> None:
    """From its beginning; the parts before it are not."""
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
async def test_a_storage_that_always_breaks_is_given_up(broken: Exchange) -> None:
    """The error says which part and how often, and changes nothing at Pinterest."""
    async with RawServer(*[(broken,)] * 3) as server, client_of(max_retries=2) as client:
        error = await fails(client, at(server))
        assert server.connections == 3
    assert type(error) is TransportError
    assert str(error).startswith("put_file_parts: part 1: the connection to the storage failed (")
    assert str(error).endswith(", 3 attempts)")
    assert (error.operation, error.method, error.attempts) == ("put_file_parts", "PUT", 3)
    assert not error.maybe_applied


async def test_a_storage_that_falls_silent_is_left_in_time() -> None:
    """The time-out holds for each attempt."""
    silent = Exchange(ending="hang")
    async with (
        RawServer((silent,), (silent,)) as server,
        client_of(max_retries=1, timeout=0.05) as client,
    ):
        error = await fails(client, at(server))
    assert isinstance(error, RequestTimeoutError)
    assert error.attempts == 2


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
async def test_a_storage_that_fails_is_asked_again(reply: Reply) -> None:
    """With waits in between, as long as the client has patience."""
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


async def test_a_storage_that_says_how_long_to_wait_is_obeyed() -> None:
    """Up to the client's max_wait; a longer wait is an error at once."""
    scene = rig(Reply(503, headers={"retry-after": "9"}), Reply(), max_wait=10.0)
    async with scene.client as client:
        await client.put_file_parts(created_upload(), DATA)
    assert 9 <= scene.clock.elapsed <= 10
    scene = rig(Reply(503, headers={"retry-after": "11"}), max_wait=10.0)
    async with scene.client as client:
        await fails(client, created_upload())
    assert scene.clock.sleeps == []


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (Reply(403, body=REFUSED), "403 AccessDenied (1 attempts); the address may have expired"),
        (Reply(404, body=b"\xff"), "404 (1 attempts); the upload is gone: create a new one"),
        (Reply(400, body=b"<Code>a b</Code>"), "400 (1 attempts); the storage found the request"),
        (Reply(418, body=b""), "418 (1 attempts); try again later"),
        (Reply(307, headers={"location": "https://elsewhere.example/"}), "307 (1 attempts); redir"),
        (
            Reply(301, headers={"location": "https://999.1.1.1/"}),
            "301 (1 attempts); redirects are not follo",
        ),
    ],
    ids=lambda value: value[:3] if isinstance(value, str) else "",
)
async def test_a_refused_part_is_not_sent_again(reply: Reply, told: str) -> None:
    """And no redirect is followed: it would lead the records elsewhere."""
    scene = rig(reply)
    async with scene.client as client:
        error = await fails(client, created_upload())
    assert str(error).startswith(f"put_file_parts: part 1: the storage answered {told}")
    assert isinstance(error, UploadError)
    assert error.status == reply.status
    assert len(scene.sent) == 1


@pytest.mark.parametrize(
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
async def test_records_go_to_no_other_address(url: str) -> None:
    """Https, or plain http on this machine; nothing is sent, and the address is not told."""
    secret = url if url in ("", "https://") else f"{url}{SECRET}"
    scene = rig()
    async with scene.client as client:
        error = await fails(client, to(secret))
    assert isinstance(error, DecodeError)
    assert error.problems == ("the address of part 1 is no https address",)
    assert scene.sent == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/k", "http://localhost/k", "http://[::1]:9/k"])
async def test_plain_http_is_for_this_machine(url: str) -> None:
    """As for the API itself."""
    scene = rig(Reply(body=b""))
    async with scene.client as client:
        await client.put_file_parts(to(url), DATA)
    assert scene.sent[0].url == url
    assert scene.sent[0].headers["host"] == url.split("/")[2]


# The file, while it is sent.


async def test_a_file_that_changes_between_two_attempts_is_not_sent(tmp_path: Path) -> None:
    """Half of it would be of one kind, and half of another."""
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
    assert str(failed.value) == f"{path}: was changed while it was uploaded"
    assert len(scene.sent) == 1


class Shrinking(httpx.AsyncBaseTransport):
    """Empties a file as soon as its first piece has come."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.requests = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        assert isinstance(request.stream, httpx.AsyncByteStream)
        async for _ in request.stream:
            os.truncate(self.path, 0)
        return httpx.Response(200)


async def test_a_file_that_becomes_shorter_while_it_is_sent_is_an_error(tmp_path: Path) -> None:
    """Of the file and not of the connection: it is not tried again."""
    path = tmp_path / "a.txt"
    await anyio.Path(path).write_bytes(bytes(MB))
    transport = Shrinking(path)
    async with AsyncClient(TOKEN, transport=transport, clock=FakeClock()) as client:
        with pytest.raises(SourceError, match="became shorter while it was uploaded"):
            await client.put_file_parts(created_upload(), path)
    assert transport.requests == 1


async def test_a_file_that_cannot_be_read_on_is_an_error() -> None:
    """A disk that fails is told as what it is."""
    from pinterest_audiences._wire.parts import Part
    from pinterest_audiences._wire.storage import _Body

    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    body = _Body(anyio.wrap_file(Failing()), Part(1, 0, 3), "a.txt")
    with pytest.raises(SourceError, match=r"^a.txt: Input/output error$"):
        await body.__anext__()


# From beginning to end.


async def test_a_closed_client_puts_nothing() -> None:
    """Nor does one that is closed while it waits to try again."""
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


async def test_a_cancelled_part_leaves_nothing_open() -> None:
    """Neither the file nor the connection: a warning would fail this test."""
    silent = Exchange(ending="hang")
    async with RawServer((silent,), (GOOD,)) as server, client_of() as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.put_file_parts, at(server), DATA)
            while not server.requests:
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        await client.put_file_parts(at(server), DATA)
        assert server.connections == 2


async def test_no_log_line_tells_an_address_or_a_record(caplog: pytest.LogCaptureFixture) -> None:
    """Those of the libraries below included, which log every request and its address."""
    caplog.set_level(logging.DEBUG)
    email = "sentinel.person@secret-shop.example"
    failing = Exchange((b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n",))
    async with RawServer((failing, GOOD)) as server, client_of() as client:
        upload = at(server)
        await client.put_file_parts(upload, f"{email}\n".encode())
        assert email.encode() in server.requests[-1]
        shown = f"{client!r} {vars(client)!r} {vars(client._storage)!r} {upload!r} {upload}"
    assert "put_file_parts: part 1: attempt 2: 200" in caplog.text
    assert "HTTP Request: PUT http://127.0.0.1" in caplog.text
    assert "httpcore" in caplog.text
    for secret in (SECRET, TOKEN, email, "key%2Fa"):
        assert secret not in caplog.text
        assert secret not in shown
