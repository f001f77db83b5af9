"""Events of requests, responses and waits, for the ``on_event`` of a client."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Literal, TypeAlias

from attrs import field, frozen

__all__ = [
    "CallEvent",
    "FailureEvent",
    "OnCallEvent",
    "RequestEvent",
    "ResponseEvent",
    "WaitEvent",
    "WaitReason",
    "emit",
]

logger = logging.getLogger("pinterest_audiences")
WaitReason: TypeAlias = Literal["budget", "retry"]


@frozen(kw_only=True)
class RequestEvent:
    """A request is about to be sent. A `ResponseEvent` or `FailureEvent` with it follows.

    Attributes:
        call_id: A number for the call in this process; its attempts share it.
        operation: The method of the client, such as ``customer_lists_get``.
        method: The HTTP method.
        url: The URL without its query.
        path_template: The path below the base URL, with placeholders for ids.
        attempt: The number of the attempt, from 1.
        request_bytes: The size of the body.
    """

    call_id: int
    operation: str
    method: str
    url: str = field(repr=False)
    path_template: str
    attempt: int
    request_bytes: int


@frozen(kw_only=True)
class ResponseEvent:
    """A complete response has been received; its status may be an error.

    Attributes:
        request: The event of the request.
        status: The HTTP status.
        seconds: From the request to the last byte of the response.
        response_bytes: The size of the body after decompression.
        request_id: Pinterest's id of the request.
    """

    request: RequestEvent
    status: int
    seconds: float
    response_bytes: int
    request_id: str | None


@frozen(kw_only=True)
class FailureEvent:
    """A request has ended without a complete response.

    Attributes:
        request: The event of the request.
        reason: Why, in one word: the ``reason`` of a `TransportError`, ``total_timeout``,
            ``cancelled``, or the class of another error.
        seconds: From the request to its end.
        status: The HTTP status, if that much was received.
    """

    request: RequestEvent
    reason: str
    seconds: float
    status: int | None = None


@frozen(kw_only=True)
class WaitEvent:
    """A call is about to wait. Waits for the rate limiter count from half a second.

    Attributes:
        call_id: The number of the call.
        operation: The method of the client.
        reason: ``budget`` for a rate limit, also after a 429; ``retry`` before another attempt
            after any other failure.
        seconds: How long.
    """

    call_id: int
    operation: str
    reason: WaitReason
    seconds: float


CallEvent: TypeAlias = RequestEvent | ResponseEvent | FailureEvent | WaitEvent
"""What the ``on_event`` of a client receives."""
OnCallEvent: TypeAlias = Callable[[CallEvent], object]
"""A function for these events; what it returns is awaited if it is awaitable."""


async def emit(on_event: OnCallEvent | None, event: CallEvent) -> None:
    """Pass an event to a function; its exceptions are logged, because the call goes on."""
    if on_event is None:
        return
    try:
        result = on_event(event)
        if inspect.isawaitable(result):
            await result
    except Exception:  # a function of the user may raise anything; the call must go on
        logger.exception("on_event failed for a %s", type(event).__name__)
