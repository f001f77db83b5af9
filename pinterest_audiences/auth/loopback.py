"""The one request that brings a login back: a listener on this machine, for one browser."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit

import anyio
import anyio.to_thread
from anyio.abc import Listener, SocketStream
from attrs import define, field

from pinterest_audiences.errors import ConfigurationError, LoginError

__all__ = ["loopback_address", "returned_code"]

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
class _Waiting:
    """A login whose browser has not come back yet."""

    judge: Callable[[str], str]
    came: anyio.Event = field(factory=anyio.Event)
    outcome: str | LoginError | None = None

    def settle(self, url: str) -> bool:
        """Take the address that the browser came back to; tell whether it was a good one."""
        if self.outcome is None:  # the first one counts
            try:
                self.outcome = self.judge(url)
            except LoginError as error:
                self.outcome = error
        return isinstance(self.outcome, str)


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


async def returned_code(
    address: SplitResult,
    *,
    show: Callable[[], object],
    judge: Callable[[str], str],
    patience: float,
) -> str:
    """Wait for the browser that comes back from Pinterest, and return the code that it brings.

    Args:
        address: Where it will come to.
        show: Called in a thread once somebody listens there.
        judge: Returns the code in the address that it came to, or raises LoginError.
        patience: How many seconds to wait.

    Raises:
        LoginError: The port is taken; or the browser brought an error or another login's answer,
            or did not come in time.
    """
    listener = await _listen(address.port or 80)
    waiting = _Waiting(judge)
    problem: Exception | None = None

    async def serve(stream: SocketStream) -> None:
        try:
            async with stream:
                await _answer(stream, address, waiting)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass  # browsers open connections that they do not use

    async with listener, anyio.create_task_group() as tasks:
        # Each connection by itself: one that says nothing must not keep out the one that counts.
        tasks.start_soon(listener.serve, serve)
        try:
            await anyio.to_thread.run_sync(show, abandon_on_cancel=True)
        except Exception as error:  # noqa: BLE001 - the caller's function; raised below, alone
            problem = error
        else:
            with anyio.move_on_after(patience):
                await waiting.came.wait()
        tasks.cancel_scope.cancel()
    if problem is not None:
        raise problem
    if waiting.outcome is None:
        raise LoginError(
            f"login: the browser has not come back within {patience:g} s; log in again, and"
            " see that the redirect URI is one of the app's at developers.pinterest.com/apps"
        )
    if isinstance(waiting.outcome, LoginError):
        raise waiting.outcome
    return waiting.outcome


async def _listen(port: int) -> Listener[SocketStream]:
    try:
        return await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port)
    except OSError as error:
        raise LoginError(
            f"login: cannot listen on 127.0.0.1:{port} ({error.strerror or type(error).__name__});"
            " end what uses the port, or register a redirect URI with another one"
        ) from None


async def _answer(stream: SocketStream, address: SplitResult, waiting: _Waiting) -> None:
    head = await _head(stream)
    method, _, rest = head.partition(" ")
    target = rest.partition(" ")[0]
    host = next(
        (line[5:].strip() for line in head.split("\r\n") if line[:5].lower() == "host:"), ""
    )
    # Another name for this machine would be a page of somebody else's that speaks to it.
    if method != "GET" or host.lower() != address.netloc.lower():
        await _send(stream, "400 Bad Request", "This is no answer to a login.")
    elif (path := _path(target)) is None:
        await _send(stream, "400 Bad Request", "This is no address.")
    elif path != (address.path or "/"):
        await _send(stream, "404 Not Found", "There is nothing here.")
    else:
        good = waiting.settle(target)
        try:
            if good:
                await _send(stream, "200 OK", "You may close this window.")
            else:
                await _send(stream, "400 Bad Request", "The login failed; see where you began it.")
        finally:
            waiting.came.set()


def _path(target: str) -> str | None:
    try:
        return urlsplit(target).path
    except ValueError:  # brackets that are no IPv6 address
        return None


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
