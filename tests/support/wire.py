"""Scripted responses in memory, and a server that misbehaves on purpose."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

import anyio
import anyio.lowlevel
import httpx
from anyio.abc import SocketAttribute, SocketStream
from attrs import field, frozen
from support.clock import FakeClock

from pinterest_audiences import AsyncClient, TokenSource

LIST: dict[str, object] = {"id": "643", "name": "Spring", "type": "customerlist"}
"""What the smallest customer list looks like."""

PAGE: dict[str, object] = {"items": [LIST], "bookmark": None}
"""A page that is the last one."""

_HEAD_END = b"\r\n\r\n"


@frozen
class Reply:
    """A response: JSON ``data``, or a ``body`` of any bytes. An empty header is not sent."""

    status: int = 200
    data: object = None
    headers: dict[str, str] = field(factory=dict[str, str])
    body: bytes | None = None

    def response(self) -> httpx.Response:
        content = json.dumps(self.data).encode() if self.body is None else self.body
        headers = {"content-type": "application/json", **self.headers}
        headers = {name: text for name, text in headers.items() if text}
        return httpx.Response(self.status, headers=headers, content=content)


def refusal(status: int, code: int | None = None, message: str = "No.", **headers: str) -> Reply:
    """Return Pinterest's error object; underscores in header names become hyphens."""
    data = {"code": code, "message": message} if code is not None else {"message": message}
    return Reply(status, data, {name.replace("_", "-"): text for name, text in headers.items()})


Step: TypeAlias = Reply | Exception | Callable[[httpx.Request], Awaitable[Reply]]
"""What a scripted transport does with one request: answer, raise, or whatever a function does."""


@frozen
class Sent:
    """A request as the transport received it."""

    method: str
    url: str
    headers: httpx.Headers
    body: bytes


class ScriptedTransport(httpx.AsyncBaseTransport):
    """Responds from a script, one step per request; a request beyond its end fails the test.

    Attributes:
        sent: The requests in order.
    """

    def __init__(self, *script: Step) -> None:
        self._script = list(script)
        self.sent: list[Sent] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the next response."""
        body = await request.aread()
        url = str(httpx.URL(request.url))  # a pre-signed one would not show itself
        self.sent.append(Sent(request.method, url, request.headers, body))
        await anyio.lowlevel.checkpoint()
        assert self._script, f"unexpected request {len(self.sent)}: {request.method}"
        step = self._script.pop(0)
        if isinstance(step, Exception):
            raise step
        return (step if isinstance(step, Reply) else await step(request)).response()

    @property
    def left(self) -> int:
        """The number of remaining steps."""
        return len(self._script)


@frozen
class Rig:
    """A client on a scripted transport and a fake clock."""

    client: AsyncClient
    transport: ScriptedTransport
    clock: FakeClock

    @property
    def sent(self) -> list[Sent]:
        """The requests so far."""
        return self.transport.sent


def rig(
    *script: Step,
    access_token: str | TokenSource | Callable[[], str | Awaitable[str]] = "token",
    base_url: str = "https://api.pinterest.com/v5",
    timeout: float | None = 30.0,
    max_retries: int = 4,
    max_wait: float = 120.0,
    total_timeout: float | None = None,
) -> Rig:
    """Create a client that gets the scripted responses."""
    transport, clock = ScriptedTransport(*script), FakeClock()
    client = AsyncClient(
        access_token,
        base_url=base_url,
        timeout=timeout,
        max_retries=max_retries,
        max_wait=max_wait,
        total_timeout=total_timeout,
        transport=transport,
        clock=clock,
    )
    return Rig(client, transport, clock)


@frozen
class Exchange:
    """One response of `RawServer`.

    Attributes:
        pieces: The pieces to write, each in a separate write.
        ending: Whether the connection then continues with the next exchange (``keep``), is closed
            in an orderly way, is reset (RST), or stays open in silence (``hang``).
        listen: Whether a request is read first.
    """

    pieces: tuple[bytes, ...] = ()
    ending: Literal["keep", "close", "reset", "hang"] = "keep"
    listen: bool = True


def answer(data: object, *, status: str = "200 OK", headers: str = "") -> bytes:
    """Return a complete JSON response as bytes."""
    body = json.dumps(data).encode()
    return (
        f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}"
        f"content-length: {len(body)}\r\n\r\n"
    ).encode() + body


class RawServer:
    """A TCP server on the loopback interface that plays a script for each connection.

    Attributes:
        requests: The bytes of each request, head and body.
        connections: The number of accepted connections.
    """

    def __init__(self, *connections: tuple[Exchange, ...]) -> None:
        self._scripts = list(connections)
        self._streams: list[SocketStream] = []
        self.requests: list[bytes] = []
        self.base_url = ""

    @property
    def connections(self) -> int:
        """The number of accepted connections."""
        return len(self._streams)

    async def __aenter__(self) -> Self:
        self._listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = self._listener.extra(SocketAttribute.local_port)
        self.base_url = f"http://127.0.0.1:{port}/v5"
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._listener.serve, self._serve)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(exc_type, exc, traceback)
        await self._listener.aclose()

    async def reset_last(self) -> None:
        """Reset the last connection, whatever its state."""
        await _reset(self._streams[-1])

    async def _serve(self, stream: SocketStream) -> None:
        self._streams.append(stream)
        script = self._scripts.pop(0) if self._scripts else ()
        try:
            async with stream:
                for exchange in script:
                    await self._play(stream, exchange)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass  # the client has gone, or the test has reset the connection

    async def _play(self, stream: SocketStream, exchange: Exchange) -> None:
        if exchange.listen:
            self.requests.append(await read_request(stream))
        for piece in exchange.pieces:
            await stream.send(piece)
            await anyio.lowlevel.checkpoint()
        if exchange.ending == "hang":
            await anyio.sleep_forever()
        if exchange.ending == "reset":
            await _reset(stream)
        if exchange.ending != "keep":
            await stream.aclose()


async def read_request(stream: SocketStream) -> bytes:
    """Read one request, head and body."""
    data = b""
    while _HEAD_END not in data:
        data += await stream.receive()
    head, _, body = data.partition(_HEAD_END)
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        body += await stream.receive()
    return head + _HEAD_END + body


async def _reset(stream: SocketStream) -> None:
    raw: Any = stream.extra(SocketAttribute.raw_socket)
    # A socket that does not linger is closed with RST instead of FIN.
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await anyio.aclose_forcefully(stream)
    await anyio.lowlevel.checkpoint()
