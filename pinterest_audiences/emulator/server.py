"""Door 2: an HTTP/1.1 server on the loopback interface.

h11 reads and writes the protocol without any I/O of its own. It is no dependency of this package
by name: httpx needs httpcore, which needs h11, so that it is always there.
"""

from __future__ import annotations

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

from pinterest_audiences.emulator.admin import operate
from pinterest_audiences.emulator.engine import MAX_BODY_BYTES, body_too_large
from pinterest_audiences.emulator.messages import ApiError, Request, Response

if TYPE_CHECKING:
    from types import TracebackType

    from pinterest_audiences.emulator.engine import Emulator

LOOPBACK = "127.0.0.1"

GRACE_SECONDS = 2.0
"""How long things that are under way when they should end may still take."""

_ACCEPT_AGAIN_SECONDS = 0.05
# A request line and headers may be so long; httpx's own URLs are no longer.
_LONGEST_HEAD = 128 * 1024

# A fault may choose a status that has no name.
_PHRASES = {int(status): status.phrase for status in HTTPStatus}
# To linger for no time is to forget what was sent and to reset the connection.
_RESET = struct.pack("ii", 1, 0)

# What a connection may fail with when its client goes away or the server stops.
_GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


def serve(emulator: Emulator, port: int = 0, *, grace: float = GRACE_SECONDS) -> Server:
    """Serve an emulator on the loopback interface, inside an `async with` block.

    Args:
        emulator: What to serve.
        port: The port to listen on; 0 takes any free one.
        grace: How many seconds a request that is under way at the end may still take, and a
            client that was refused in the middle of its request may go on sending.

    Returns:
        An asynchronous context manager that gives the base URL, such as
        `http://127.0.0.1:8765/v5`. Entering it raises OSError when the port is taken.
    """
    return Server(emulator, port, grace)


class Server:
    """What `serve` returns. A class, because a task group may not surround a `yield`.

    Args:
        emulator: What to serve.
        port: The port to listen on; 0 takes any free one.
        grace: How many seconds things may take that are under way when they should end.
    """

    def __init__(self, emulator: Emulator, port: int, grace: float) -> None:
        self._emulator = emulator
        self._port = port
        self._grace = grace
        self._connections: set[_Connection] = set()
        self._stopped: anyio.Event | None = None

    async def __aenter__(self) -> str:
        self._listener = await anyio.create_tcp_listener(local_host=LOOPBACK, local_port=self._port)
        self._accepting = anyio.CancelScope()
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._accept)
        # anyio's, not Django's.
        port = self._listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610
        return f"http://{LOOPBACK}:{port}/v5"

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with anyio.CancelScope(shield=True):
            await self._stop()
        self._tasks.cancel_scope.cancel()
        # The block's own exception is none of the task group's, or it would come out in a group.
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
                except* _GONE:
                    # Most likely there are too many open files: some client will go, and the
                    # next one waits in the backlog until then.
                    await anyio.sleep(_ACCEPT_AGAIN_SECONDS)

    async def _serve_connection(self, stream: anyio.abc.SocketStream) -> None:
        connection = _Connection(self._emulator, stream, self._grace)
        self._connections.add(connection)
        if self._stopped is not None:  # accepted at the last moment
            connection.stop()
        try:
            # A client that goes away, or a server that stops, ends this connection and no other.
            with suppress(*_GONE):
                async with stream:
                    await connection.run()
        finally:
            self._connections.discard(connection)
            if self._stopped is not None and not self._connections:
                self._stopped.set()


class _Connection:
    """One client: its requests, one after the other."""

    def __init__(self, emulator: Emulator, stream: anyio.abc.SocketStream, grace: float) -> None:
        self._emulator = emulator
        self._stream = stream
        self._grace = grace
        self._protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=_LONGEST_HEAD)
        self._head: h11.Request | None = None
        self._idle: anyio.CancelScope | None = None
        self._stopping = False

    def stop(self) -> None:
        """Take no further request; one whose head has arrived is still answered."""
        self._stopping = True
        if self._idle is not None:
            self._idle.cancel()

    async def run(self) -> None:
        """Answer requests until either side has had enough."""
        while not self._stopping:
            try:
                request = await self._read_request()
            except h11.RemoteProtocolError:
                _, client_has_ended = self._protocol.trailing_data
                if client_has_ended:  # cut off, not malformed: nobody waits for an answer
                    return
                await self._refuse(ApiError(400, 1, "The request is not valid HTTP/1.1."))
                return
            except ApiError as error:
                await self._refuse(error)
                return
            if request is None:
                return
            answer = operate(self._emulator, request) or self._emulator.handle(request)
            if answer.delay:
                await anyio.sleep(answer.delay)
            if answer.break_off is not None:
                await self._break_off(answer)
                return
            await self._send(answer, close=self._stopping)
            if self._protocol.our_state is not h11.DONE:
                return
            self._protocol.start_next_cycle()

    async def _read_request(self) -> Request | None:
        self._head = None
        chunks: list[bytes] = []
        received = 0
        while True:
            event = self._protocol.next_event()
            if isinstance(event, h11.Request):
                self._head = event
                received_at_least = dict(event.headers).get(b"content-length", b"0")
                if int(received_at_least) > MAX_BODY_BYTES:
                    raise body_too_large()
            elif isinstance(event, h11.Data):
                chunks.append(bytes(event.data))
                received += len(event.data)
                if received > MAX_BODY_BYTES:
                    raise body_too_large()
            elif isinstance(event, h11.EndOfMessage) and self._head is not None:
                head = self._head
                return Request.from_wire(head.method, head.target, head.headers, b"".join(chunks))
            elif event is h11.NEED_DATA:
                await self._receive()
            else:
                return None

    async def _receive(self) -> None:
        if self._protocol.they_are_waiting_for_100_continue:
            go_on = h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")
            await self._stream.send(self._protocol.send(go_on) or b"")
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
        known = Request(method="", path="")
        if self._head is not None:
            known = Request.from_wire(self._head.method, self._head.target, (), b"")
        response = self._emulator.refuse(error, method=known.method, path=known.path)
        await self._send(response, close=True)
        # To close while the client is still sending would take the answer away from it.
        with anyio.move_on_after(self._grace), suppress(anyio.EndOfStream):
            await self._stream.send_eof()
            while True:
                await self._stream.receive()

    async def _break_off(self, response: Response) -> None:
        if response.break_off == "reset_halfway":
            half = attrs.evolve(response, body=response.body[: len(response.body) // 2])
            await self._send(half, close=False, whole=False)
        if response.break_off != "close":
            raw = self._stream.extra(anyio.abc.SocketAttribute.raw_socket)  # noqa: S610 - anyio's
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
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
        if response.body:
            events.append(h11.Data(data=response.body))
        if whole:
            events.append(h11.EndOfMessage())
        await self._stream.send(b"".join(self._protocol.send(event) or b"" for event in events))
