"""An HTTP/1.1 server, with h11 for the protocol and anyio for the I/O."""

from __future__ import annotations

import re
import socket
import struct
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING

import anyio
import anyio.abc
import attrs
import h11

from pinterest_audiences.emulator._admin import handle_admin_request, is_loopback
from pinterest_audiences.emulator._emulator import MAX_BODY_BYTES
from pinterest_audiences.emulator._http import ApiError, Request, Response, body_too_large

if TYPE_CHECKING:
    from types import TracebackType

    from pinterest_audiences.emulator._emulator import Emulator


LOOPBACK = "127.0.0.1"

MIN_TOKEN_CHARACTERS = 16
"""How long an admin token is at least."""

GRACE_SECONDS = 2.0
"""How long running requests may still take when the server stops."""

_ACCEPT_AGAIN_SECONDS = 0.05
# The size of a request line and headers; httpx allows no longer URLs.
_MAX_HEAD_BYTES = 128 * 1024

# A fault may have a status without a name.
_PHRASES = {int(status): status.phrase for status in HTTPStatus}
# SO_LINGER with no time discards unsent data and resets the connection.
_LINGER_ZERO = struct.pack("ii", 1, 0)

# The characters of a bearer token (RFC 6750, section 2.1).
_BEARER_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_WILDCARDS = {"0.0.0.0": LOOPBACK, "::": "::1"}  # noqa: S104 - compared, not listened on

# The errors of a connection whose client disconnects or whose server stops.
_DISCONNECT_ERRORS = (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


def is_admin_token(text: str) -> bool:
    """Return whether a text can be an admin token: long enough, with characters of bearer tokens.

    Args:
        text: The text.
    """
    return len(text) >= MIN_TOKEN_CHARACTERS and _BEARER_TOKEN.fullmatch(text) is not None


def serve(
    emulator: Emulator,
    port: int = 0,
    *,
    grace: float = GRACE_SECONDS,
    host: str = LOOPBACK,
    admin_token: str | None = None,
) -> Server:
    """Serve an emulator inside an `async with` block, on the loopback interface by default.

    Args:
        emulator: The emulator.
        port: The port to listen on; 0 takes any free one.
        grace: How many seconds a running request may still take when the server stops, and a
            client that was refused in the middle of its request may continue to send.
        host: The name or address to listen on, such as `0.0.0.0` for all networks. Any other than
            the loopback interface requires an admin token.
        admin_token: The bearer token of the admin endpoints, of at least 16 letters, digits and
            `-._~+/`; None to accept requests from this machine without one. Requests to the API
            are not affected.

    Returns:
        An asynchronous context manager whose value is the base URL, such as
        `http://127.0.0.1:8765/v5`. Entering it raises OSError when the port is in use.

    Raises:
        ValueError: When the admin token is missing or too short.
    """
    if admin_token is not None and not is_admin_token(admin_token):
        raise ValueError(
            f"admin_token must have at least {MIN_TOKEN_CHARACTERS} letters, digits or -._~+/"
        )
    if admin_token is None and not is_loopback(host):
        raise ValueError("admin_token is required for a host other than the loopback interface")
    return Server(emulator, port, grace, host, admin_token)


class Server:
    """The result of `serve`; a class, because a task group must not contain a `yield`.

    Args:
        emulator: The emulator.
        port: The port to listen on; 0 takes any free one.
        grace: How many seconds running requests may still take when the server stops.
        host: The name or address to listen on.
        admin_token: The bearer token of the admin endpoints.
    """

    def __init__(
        self, emulator: Emulator, port: int, grace: float, host: str, admin_token: str | None
    ) -> None:
        self._emulator = emulator
        self._port = port
        self._grace = grace
        self._host = LOOPBACK if host == "localhost" else host
        self._admin_token = admin_token
        self._connections: set[_Connection] = set()
        self._stopped: anyio.Event | None = None

    async def __aenter__(self) -> str:
        self._listener = await anyio.create_tcp_listener(
            local_host=self._host, local_port=self._port
        )
        self._accepting = anyio.CancelScope()
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._accept)
        # anyio's `extra`, not Django's.
        port = self._listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610
        return f"http://{_reachable(self._host)}:{port}/v5"

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with anyio.CancelScope(shield=True):
            await self._stop()
        self._tasks.cancel_scope.cancel()
        # Without the exception of the block, which the task group would wrap in a group.
        await self._tasks.__aexit__(None, None, None)

    async def _stop(self) -> None:
        stopped = self._stopped = anyio.Event()
        self._accepting.cancel()
        await self._listener.aclose()
        for connection in self._connections:
            connection.stop()
        if self._connections:
            with anyio.move_on_after(self._grace):
                await stopped.wait()

    async def _accept(self) -> None:
        with self._accepting:
            while True:
                try:
                    await self._listener.serve(self._serve_connection, self._tasks)
                except* _DISCONNECT_ERRORS:
                    # Most likely there are too many open files: new clients wait in the backlog
                    # until others disconnect.
                    await anyio.sleep(_ACCEPT_AGAIN_SECONDS)

    async def _serve_connection(self, stream: anyio.abc.SocketStream) -> None:
        connection = _Connection(self._emulator, stream, self._grace, self._admin_token)
        self._connections.add(connection)
        if self._stopped is not None:  # accepted while the server stops
            connection.stop()
        try:
            # A client that disconnects, or a server that stops, ends only this connection.
            with suppress(*_DISCONNECT_ERRORS):
                async with stream:
                    await connection.run()
        finally:
            self._connections.discard(connection)
            if self._stopped is not None and not self._connections:
                self._stopped.set()


def _reachable(host: str) -> str:
    """Return a host as in a URL; this machine for all of its addresses."""
    host = _WILDCARDS.get(host, host)
    return f"[{host}]" if ":" in host else host


class _Connection:
    """One connection: its requests, one after the other."""

    def __init__(
        self,
        emulator: Emulator,
        stream: anyio.abc.SocketStream,
        grace: float,
        admin_token: str | None,
    ) -> None:
        self._emulator = emulator
        self._admin_token = admin_token
        self._stream = stream
        self._grace = grace
        self._protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD_BYTES)
        self._head: h11.Request | None = None
        self._idle: anyio.CancelScope | None = None
        self._stopping = False

    def stop(self) -> None:
        """Read no further request; one whose head has been received is still answered."""
        self._stopping = True
        if self._idle is not None:
            self._idle.cancel()

    async def run(self) -> None:
        """Answer requests until either side ends the connection."""
        while not self._stopping:
            try:
                request = await self._read_request()
            except h11.RemoteProtocolError:
                _, client_has_ended = self._protocol.trailing_data
                if client_has_ended:  # cut off, not malformed: no client waits for an answer
                    return
                await self._refuse(ApiError(400, 1, "The request is not valid HTTP/1.1."))
                return
            except ApiError as error:
                await self._refuse(error)
                return
            if request is None:
                return
            response = handle_admin_request(self._emulator, request, self._admin_token)
            response = response or self._emulator.handle(request)
            if response.delay:
                await anyio.sleep(response.delay)
            if response.disconnect is not None:
                await self._disconnect(response)
                return
            await self._send(response, close=self._stopping)
            if self._protocol.our_state is not h11.DONE:
                return
            self._protocol.start_next_cycle()

    async def _read_request(self) -> Request | None:
        """Return the next request; None when the client has ended the connection."""
        self._head = None
        chunks: list[bytes] = []
        received = 0
        while True:
            event = self._protocol.next_event()
            if isinstance(event, h11.Request):
                self._head = event
                content_length = dict(event.headers).get(b"content-length", b"0")
                if int(content_length) > MAX_BODY_BYTES:
                    raise body_too_large(MAX_BODY_BYTES)
            elif isinstance(event, h11.Data):
                chunks.append(bytes(event.data))
                received += len(event.data)
                if received > MAX_BODY_BYTES:
                    raise body_too_large(MAX_BODY_BYTES)
            elif isinstance(event, h11.EndOfMessage) and self._head is not None:
                head = self._head
                return Request.from_wire(head.method, head.target, head.headers, b"".join(chunks))
            elif event is h11.NEED_DATA:
                await self._receive()
            else:
                return None

    async def _receive(self) -> None:
        if self._protocol.they_are_waiting_for_100_continue:
            informational = h11.InformationalResponse(
                status_code=100, headers=[], reason=b"Continue"
            )
            await self._stream.send(self._protocol.send(informational) or b"")
        with anyio.CancelScope() as scope:
            self._idle = scope if self._head is None else None
            try:
                data = await self._stream.receive()
            except anyio.EndOfStream:
                data = b""
            finally:
                self._idle = None
            self._protocol.receive_data(data)
        if scope.cancelled_caught:
            raise anyio.ClosedResourceError

    async def _refuse(self, error: ApiError) -> None:
        """Refuse what is not a valid request, and close the connection."""
        request = Request(method="", path="")
        if self._head is not None:
            request = Request.from_wire(self._head.method, self._head.target, (), b"")
        response = self._emulator.refuse(error, method=request.method, path=request.path)
        await self._send(response, close=True)
        # Closing while the client is still sending would discard the answer.
        with anyio.move_on_after(self._grace), suppress(anyio.EndOfStream):
            await self._stream.send_eof()
            while True:
                await self._stream.receive()

    async def _disconnect(self, response: Response) -> None:
        if response.disconnect == "reset_halfway":
            half = attrs.evolve(response, body=response.body[: len(response.body) // 2])
            await self._send(half, close=False, whole=False)
        if response.disconnect != "close":
            raw = self._stream.extra(anyio.abc.SocketAttribute.raw_socket)  # noqa: S610 - anyio's
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        await self._stream.aclose()

    async def _send(self, response: Response, *, close: bool, whole: bool = True) -> None:
        headers = [*response.headers, ("date", formatdate(usegmt=True))]
        if close:
            headers.append(("connection", "close"))
        events: list[h11.Event] = [
            h11.Response(
                status_code=response.status,
                headers=headers,
                reason=_PHRASES.get(response.status, ""),
            )
        ]
        # Two events become two chunks, if the answer is sent in chunks.
        middle = len(response.body) // 2
        pieces = filter(None, (response.body[:middle], response.body[middle:]))
        events += [h11.Data(data=piece) for piece in pieces]
        if whole:
            events.append(h11.EndOfMessage())
        await self._stream.send(b"".join(self._protocol.send(event) or b"" for event in events))
