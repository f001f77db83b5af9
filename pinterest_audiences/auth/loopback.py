"""The one request that brings a login back: a listener on this machine, for one browser."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from urllib.parse import SplitResult, urlsplit

import anyio
from anyio.abc import SocketStream
from attrs import define, field

from pinterest_audiences.errors import ConfigurationError, LoginError

__all__ = ["Waiting", "listening", "loopback_address"]

_LOOPBACK = frozenset({"localhost", "127.0.0.1"})
_LARGEST_HEAD = 16 * 1024
_END = b"\r\n\r\n"
_HEADERS = (
    "Content-Type: text/html; charset=utf-8\r\n"
    "Cache-Control: no-store\r\n"
    "Referrer-Policy: no-referrer\r\n"  # the address of the page holds the code
    "Content-Security-Policy: default-src 'none'\r\n"
    "Connection: close\r\n"
)


@define
class Waiting:
    """A login whose browser has not come back yet."""

    _judge: Callable[[str], str]
    _came: anyio.Event = field(factory=anyio.Event)
    _outcome: str | LoginError | None = None

    async def code(self, timeout: float) -> str:  # noqa: ASYNC109 - said in the error's words
        """Wait for the browser, and return the code that it brought.

        Raises:
            LoginError: It brought an error or another login's answer, or did not come in time.
        """
        with anyio.move_on_after(timeout):
            await self._came.wait()
        if self._outcome is None:
            raise LoginError(
                f"login: the browser has not come back within {timeout:g} s; log in again, and"
                " see that the redirect URI is one of the app's at developers.pinterest.com/apps"
            )
        if isinstance(self._outcome, LoginError):
            raise self._outcome
        return self._outcome

    def settle(self, url: str) -> bool:
        """Take the address that the browser came back to; tell whether it was a good one."""
        if self._outcome is None:  # the first one counts
            try:
                self._outcome = self._judge(url)
            except LoginError as error:
                self._outcome = error
        return isinstance(self._outcome, str)

    def tell(self) -> None:
        """Let who waits go on, once the browser has its answer."""
        self._came.set()


def loopback_address(redirect_uri: str) -> SplitResult:
    """Return the parts of a redirect URI that this machine can listen at.

    Raises:
        ConfigurationError: It is no such address.
    """
    try:
        parts = urlsplit(redirect_uri)
        good = parts.scheme == "http" and parts.hostname in _LOOPBACK and parts.port != 0
    except ValueError:
        good = False
        parts = urlsplit("")
    if not good or parts.query or parts.fragment or parts.username is not None:
        raise ConfigurationError(
            "redirect_uri: an address like http://localhost:8085/ is needed to wait at; for any"
            " other one use authorization_url() and read_redirect()"
        )
    return parts


@asynccontextmanager
async def listening(
    address: SplitResult, judge: Callable[[str], str]
) -> AsyncGenerator[Waiting, None]:
    """Listen for the browser that comes back from Pinterest.

    Args:
        address: Where it will come to.
        judge: Returns the code in the address that it came to, or raises LoginError.

    Raises:
        LoginError: The port is taken.
    """
    port = address.port or 80
    try:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port)
    except OSError as error:
        raise LoginError(
            f"login: cannot listen on 127.0.0.1:{port} ({error.strerror or type(error).__name__});"
            " end what uses the port, or register a redirect URI with another one"
        ) from None
    waiting = Waiting(judge)

    async def serve(stream: SocketStream) -> None:
        try:
            async with stream:
                await _answer(stream, address, waiting)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass  # browsers open connections that they do not use

    async with listener, anyio.create_task_group() as tasks:
        # Each connection by itself: one that says nothing must not keep out the one that counts.
        tasks.start_soon(listener.serve, serve)
        yield waiting
        tasks.cancel_scope.cancel()


async def _answer(stream: SocketStream, address: SplitResult, waiting: Waiting) -> None:
    head = await _head(stream)
    method, _, rest = head.partition(" ")
    target = rest.partition(" ")[0]
    host = next(
        (line[5:].strip() for line in head.split("\r\n") if line[:5].lower() == "host:"), ""
    )
    # Another name for this machine would be a page of somebody else's that speaks to it.
    if method != "GET" or host.lower() != address.netloc.lower():
        await _send(stream, "400 Bad Request", "This is no answer to a login.")
    elif urlsplit(target).path != (address.path or "/"):
        await _send(stream, "404 Not Found", "There is nothing here.")
    else:
        good = waiting.settle(target)
        try:
            if good:
                await _send(stream, "200 OK", "You may close this window.")
            else:
                await _send(stream, "400 Bad Request", "The login failed; see where you began it.")
        finally:
            waiting.tell()


async def _head(stream: SocketStream) -> str:
    data = b""
    while _END not in data:
        if len(data) > _LARGEST_HEAD:
            raise anyio.EndOfStream
        data += await stream.receive()
    return data.partition(_END)[0].decode("latin-1")


async def _send(stream: SocketStream, status: str, text: str) -> None:
    page = f"<!doctype html><title>pinterest-audiences</title><p>{text}</p>"
    head = f"HTTP/1.1 {status}\r\n{_HEADERS}Content-Length: {len(page)}\r\n\r\n"
    await stream.send((head + page).encode())
