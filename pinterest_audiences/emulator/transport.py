"""Door 1: an httpx transport that leads to an emulator in the same process."""

from __future__ import annotations

import inspect
import time
from typing import TYPE_CHECKING, cast

import anyio
import anyio.lowlevel
import httpx

from pinterest_audiences.emulator.messages import Request, Response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

    Sleep = Callable[[float], Awaitable[None] | None]


class EmulatorTransport(httpx.AsyncBaseTransport, httpx.BaseTransport):
    """Answers every request from an emulator, whatever its host.

    A fault that breaks a connection off raises what httpx raises when a network does that. An
    answer that is later than the request's read timeout raises `httpx.ReadTimeout`.

    Args:
        handle: Answers a request; an emulator's own ``handle``.
        sleep: Lets the seconds of a slow answer pass; a coroutine function for an awaiting client,
            a plain one for a blocking client. None for the real time.

    Example:
        >>> from pinterest_audiences.emulator import Emulator
        >>> with httpx.Client(transport=Emulator().transport()) as client:
        ...     client.get("https://api.pinterest.com/v5/ad_accounts/1/customer_lists").status_code
        401
    """

    def __init__(
        self, handle: Callable[[Request], Response], *, sleep: Sleep | None = None
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
            httpx.ReadTimeout: The answer came too late.
        """
        answer = self._answer(request, request.read())
        wait = _wait(answer, request)
        if wait:
            (self._sleep or time.sleep)(wait)  # a fault that makes the answer late
        return _deliver(answer, request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request of `httpx.AsyncClient`.

        Args:
            request: The request.

        Returns:
            The emulator's answer.

        Raises:
            httpx.ReadError: A fault reset the connection.
            httpx.RemoteProtocolError: A fault closed it without an answer.
            httpx.ReadTimeout: The answer came too late.
        """
        body = await request.aread()
        # A network would let others run, and be the place to be cancelled; so does this. It
        # stands before the answer: what was cancelled here has not happened.
        await anyio.lowlevel.checkpoint()
        answer = self._answer(request, body)
        wait = _wait(answer, request)
        if wait:
            slept = (self._sleep or anyio.sleep)(wait)
            if inspect.isawaitable(slept):
                await slept
        return _deliver(answer, request)

    def _answer(self, request: httpx.Request, body: bytes) -> Response:
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
    """The first half of a body, and then a reset."""

    def __init__(self, half: bytes, error: httpx.ReadError) -> None:
        self._half = half
        self._error = error

    def __iter__(self) -> Iterator[bytes]:
        yield self._half
        raise self._error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._half
        raise self._error


def _patience(request: httpx.Request) -> float | None:
    limits = cast("Mapping[str, float | None]", request.extensions.get("timeout", {}))
    return limits.get("read")


def _wait(answer: Response, request: httpx.Request) -> float:
    patience = _patience(request)
    return answer.delay if patience is None else min(answer.delay, patience)


def _deliver(answer: Response, request: httpx.Request) -> httpx.Response:
    patience = _patience(request)
    if patience is not None and answer.delay > patience:
        raise httpx.ReadTimeout(f"no answer after {patience:g} s", request=request)
    match answer.break_off:
        case "reset":
            raise httpx.ReadError("the connection was reset", request=request)
        case "reset_halfway":
            error = httpx.ReadError("the connection was reset halfway", request=request)
            half = _HalfBody(answer.body[: len(answer.body) // 2], error)
            return httpx.Response(answer.status, headers=answer.headers, stream=half)
        case "close":
            words = "Server disconnected without sending a response."
            raise httpx.RemoteProtocolError(words, request=request)
        case None:
            return httpx.Response(answer.status, headers=answer.headers, content=answer.body)
