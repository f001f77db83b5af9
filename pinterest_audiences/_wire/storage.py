"""The way to the storage behind Pinterest, where the parts of an upload are put.

The address of a part carries its own permission: whoever knows it may write there. So what is
sent there has no token and no header of ours, uses connections that never carried any, counts in
no rate budget, follows no redirect, and its address is in no log, error or ``repr``.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import httpx

from pinterest_audiences._wire import retry, settings
from pinterest_audiences._wire.session import forget_location, no_context, trusted_context
from pinterest_audiences.errors import (
    CallError,
    DecodeError,
    RequestTimeoutError,
    SourceError,
    TransportError,
)
from pinterest_audiences.upload_errors import UploadError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pinterest_audiences._wire.clock import Clock
    from pinterest_audiences._wire.parts import CutFile, Part
    from pinterest_audiences._wire.retry import Failure, RetryPolicy

__all__ = ["OPERATION", "Storage"]

logger = logging.getLogger("pinterest_audiences")

OPERATION = "put_file_parts"
"""The client's method, as its errors and log lines call it."""
_CONNECT_TIMEOUT = 5.0
_PIECE = 262_144
# The storage explains itself in XML, which also quotes the request; only this word is taken.
_CODE = re.compile(rb"<Code>(\w{1,40})</Code>")
_CUT_OFF = "RequestTimeout"  # a 400 of S3: the body did not come in time
_HINTS = {
    400: "the storage found the request wrong",
    403: "the address may have expired: create a new upload",
    404: "the upload is gone: create a new one",
}
_REDIRECT = "redirects are not followed, for they could lead the records elsewhere"


class _SecretURL(httpx.URL):
    """An address that does not show itself: httpx logs the address of every request."""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc.decode()}/[pre-signed]"

    def __repr__(self) -> str:
        return f"URL({str(self)!r})"


class _Body(httpx.AsyncByteStream):
    """A part of a file, read while it is sent.

    No generator: one that is left half-way, as when the connection breaks, wants to be closed.
    """

    def __init__(self, opened: anyio.AsyncFile[bytes], part: Part, name: str) -> None:
        self._opened = opened
        self._left = part.size
        self._name = name

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        try:
            piece = await self._opened.read(min(_PIECE, self._left))
        except OSError as error:
            reason = error.strerror or "cannot be read"
            raise SourceError(reason, source=self._name) from None
        if not piece:
            raise SourceError("became shorter while it was uploaded", source=self._name)
        self._left -= len(piece)
        return piece


class Storage:
    """Puts parts of files where an upload wants them.

    Args:
        check_usable: Refuses a client that is closed or away from its event loop.
        timeout: Seconds for each attempt to write, and to read between two pieces.
        policy: How patient it is.
        transport: The client's own; not closed here.
        clock: Where time, sleep and chance come from.
    """

    def __init__(
        self,
        *,
        check_usable: Callable[[], None],
        timeout: float | None,
        policy: RetryPolicy,
        transport: httpx.AsyncBaseTransport | None,
        clock: Clock,
    ) -> None:
        self._check_usable = check_usable
        self._policy = policy
        self._transport = transport
        self._clock = clock
        connect = _CONNECT_TIMEOUT if timeout is None else min(timeout, _CONNECT_TIMEOUT)
        self._extensions = {"timeout": httpx.Timeout(timeout, connect=connect).as_dict()}
        self._clients: dict[bool, httpx.AsyncClient] = {}  # by whether they speak TLS

    async def aclose(self) -> None:
        """Close the connections; a second time does nothing."""
        clients, self._clients = self._clients, {}
        if self._transport is None:
            for client in clients.values():
                await client.aclose()

    async def put(self, address: str, file: CutFile, part: Part) -> None:
        """Put one part where it belongs, again as long as that may help: it replaces itself.

        Raises:
            DecodeError: The address can be none.
            UploadError: The storage refused it.
            TransportError: The connection failed.
            SourceError: The file could not be read, or changed.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.
        """
        url = _checked(address, part)
        attempts = 0
        while True:
            attempts += 1
            failure, problem = await self._attempt(url, file, part, attempts)
            if problem is None:
                return
            wait = retry.next_wait(
                failure,
                repeatable=True,
                attempts=attempts,
                policy=self._policy,
                chance=self._clock.random(),
            )
            if wait is None:
                # Not from httpx's own error: that one holds the request, and so the address.
                raise problem
            await self._clock.sleep(wait)

    async def _attempt(
        self, url: httpx.URL, file: CutFile, part: Part, attempts: int
    ) -> tuple[Failure, CallError | None]:
        """Send a part once; tell what failed and how, or no problem."""
        opened = await anyio.to_thread.run_sync(file.open_at, part)
        try:
            body = _Body(anyio.wrap_file(opened), part, file.name)
            response = await self._client(url).send(self._request(url, body, part.size))
        except httpx.RequestError as error:
            return retry.after_broken_connection(never_sent=False), _broken(part, error, attempts)
        finally:
            opened.close()
        logger.debug(
            "%s: part %d: attempt %d: %d", OPERATION, part.number, attempts, response.status_code
        )
        failure = retry.after_answer(
            response.status_code, None, "", response.headers, self._clock.time()
        )
        if response.is_success:
            return failure, None
        found = _CODE.search(response.content)
        code = found[1].decode() if found else ""
        if code == _CUT_OFF:
            failure = retry.after_broken_connection(never_sent=False)
        return failure, _refused(part, response.status_code, code, attempts)

    def _request(self, url: httpx.URL, body: _Body, size: int) -> httpx.Request:
        headers = [("Host", url.netloc.decode()), ("Content-Length", str(size))]
        request = httpx.Request(
            "PUT", url, headers=headers, stream=body, extensions=self._extensions
        )
        request.url = url  # httpx has made a plain one of it
        return request

    def _client(self, url: httpx.URL) -> httpx.AsyncClient:
        self._check_usable()
        secure = url.scheme == "https"
        if secure not in self._clients:
            plain = not secure or self._transport is not None
            self._clients[secure] = httpx.AsyncClient(
                transport=self._transport,
                verify=no_context() if plain else trusted_context(),
                trust_env=not plain,  # plain http is for this machine only, behind no proxy
                follow_redirects=False,
                event_hooks={"response": [forget_location]},
            )
        return self._clients[secure]


def _checked(address: str, part: Part) -> _SecretURL:
    """Return the address of a part, if records may be sent there."""
    url = _parsed(address)
    if url is None:
        raise DecodeError(
            [f"the address of part {part.number} is no https address"],
            operation=OPERATION,
            method="PUT",
        )
    return url


def _parsed(address: str) -> _SecretURL | None:
    try:
        url, host = _SecretURL(address), urlsplit(address).hostname
    except (httpx.InvalidURL, ValueError):
        return None
    if not host or url.userinfo or url.fragment or " " in address:
        return None
    if not address.isascii() or not address.isprintable():
        return None
    secure = url.scheme == "https" or (url.scheme == "http" and settings.is_loopback(host))
    return url if secure else None


def _broken(part: Part, error: httpx.RequestError, attempts: int) -> TransportError:
    timed_out = isinstance(error, httpx.TimeoutException)
    return (RequestTimeoutError if timed_out else TransportError)(
        f"{OPERATION}: part {part.number}: the connection to the storage failed"
        f" ({type(error).__name__}, {attempts} attempts)",
        operation=OPERATION,
        method="PUT",
        attempts=attempts,
    )


def _refused(part: Part, status: int, code: str, attempts: int) -> UploadError:
    word = f" {code}" if code else ""
    redirected = 300 <= status < 400  # noqa: PLR2004 - HTTP statuses read best as numbers
    hint = _REDIRECT if redirected else _HINTS.get(status, "try again later")
    return UploadError(
        f"{OPERATION}: part {part.number}: the storage answered {status}{word}"
        f" ({attempts} attempts); {hint}",
        part_number=part.number,
        status=status,
        operation=OPERATION,
        method="PUT",
        attempts=attempts,
    )
