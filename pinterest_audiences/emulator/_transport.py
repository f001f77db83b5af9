"""An httpx transport to an emulator in the same process."""

from __future__ import annotations

import inspect
import time
from typing import TYPE_CHECKING, cast

import anyio
import anyio.lowlevel

from pinterest_audiences._httpx import httpx
from pinterest_audiences.emulator._http import Request, Response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

    Sleep = Callable[[float], Awaitable[None] | None]


class EmulatorTransport(httpx.AsyncBaseTransport, httpx.BaseTransport):
    """Sends every request to an emulator, for any host.

    A fault that ends a connection raises what httpx raises when a network does that. An answer that
    is later than the read timeout of the request raises `httpx.ReadTimeout`.

    Args:
        handle: Answers a request; the `handle` of an emulator. A coroutine function works for
            async clients only.
        sleep: Waits for the seconds of a slow answer; a coroutine function for an async client, a
            plain one for a sync client. None for real time.

    Example:
        >>> from pinterest_audiences.emulator import Emulator
        >>> with httpx.Client(transport=Emulator().transport()) as client:
        ...     client.get("https://api.pinterest.com/v5/ad_accounts/1/customer_lists").status_code
        401
    """

    def __init__(
        self,
        handle: Callable[[Request], Response | Awaitable[Response]],
        *,
        sleep: Sleep | None = None,
    ) -> None:
        self._handle = handle
        self._sleep = sleep

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request of `httpx.Client`.

        Args:
            request: The request.

        Returns:
            The emulator's answer.

        Raises:
            httpx.ReadError: A fault reset the connection.
            httpx.RemoteProtocolError: A fault closed it without an answer.
            httpx.ReadTimeout: The answer was later than the read timeout.
            TypeError: The emulator is for async clients only.
        """
        response = self._respond(request, request.read())
        if not isinstance(response, Response):
            raise TypeError("this emulator is for async clients only")
        wait = _wait(response, request)
        if wait:
            (self._sleep or time.sleep)(wait)  # a delayed answer blocks the caller of a sync client
        return _deliver(response, request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request of `httpx.AsyncClient`.

        Args:
            request: The request.

        Returns:
            The emulator's answer.

        Raises:
            httpx.ReadError: A fault reset the connection.
            httpx.RemoteProtocolError: A fault closed it without an answer.
            httpx.ReadTimeout: The answer was later than the read timeout.
        """
        body = await request.aread()
        # Like a network, this lets other tasks run and can be cancelled. It comes before the
        # answer: a request that is cancelled here has not been carried out.
        await anyio.lowlevel.checkpoint()
        response = self._respond(request, body)
        if not isinstance(response, Response):
            response = await response
        wait = _wait(response, request)
        if wait:
            slept = (self._sleep or anyio.sleep)(wait)
            if inspect.isawaitable(slept):
                await slept
        return _deliver(response, request)

    def _respond(self, request: httpx.Request, body: bytes) -> Response | Awaitable[Response]:
        return self._handle(
            Request.from_wire(
                request.method.encode(),
                request.url.raw_path,
                request.headers.raw,
                body,
                request.url.scheme,
            )
        )


class _HalfBody(httpx.AsyncByteStream, httpx.SyncByteStream):
    """The first half of a body, followed by a reset."""

    def __init__(self, half: bytes, error: httpx.ReadError) -> None:
        self._half = half
        self._error = error

    def __iter__(self) -> Iterator[bytes]:
        yield self._half
        raise self._error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._half
        raise self._error


def _read_timeout(request: httpx.Request) -> float | None:
    limits = cast("Mapping[str, float | None]", request.extensions.get("timeout", {}))
    return limits.get("read")


def _wait(response: Response, request: httpx.Request) -> float:
    """Return how many seconds to wait: the delay of a response, up to the read timeout."""
    timeout = _read_timeout(request)
    return response.delay if timeout is None else min(response.delay, timeout)


def _deliver(response: Response, request: httpx.Request) -> httpx.Response:
    """Return a response as httpx does, or raise what httpx raises for its fault."""
    timeout = _read_timeout(request)
    if timeout is not None and response.delay > timeout:
        raise httpx.ReadTimeout(f"no answer after {timeout:g} s", request=request)
    match response.disconnect:
        case "reset":
            raise httpx.ReadError("the connection was reset", request=request)
        case "reset_halfway":
            error = httpx.ReadError("the connection was reset halfway", request=request)
            half = _HalfBody(response.body[: len(response.body) // 2], error)
            return httpx.Response(response.status, headers=response.headers, stream=half)
        case "close":
            message = "Server disconnected without sending a response."
            raise httpx.RemoteProtocolError(message, request=request)
        case None if response.header("transfer-encoding") is not None:
            stream = httpx.ByteStream(response.body)  # without a length
            return httpx.Response(response.status, headers=response.headers, stream=stream)
        case None:
            return httpx.Response(response.status, headers=response.headers, content=response.body)
