"""The request loop: rate limit, token, request, retry decision.

A caller can collect metrics of its calls with :func:`collect_metrics`; jobs do.
"""

from __future__ import annotations

import copy
import logging
import math
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar
from urllib.parse import quote, urlencode

import anyio
from anyio.lowlevel import current_token
from attrs import define, evolve, field

from pinterest_audiences._config import is_loopback
from pinterest_audiences._credentials import Token, resolve_token
from pinterest_audiences._errors import (
    CLIENT_CLOSED,
    CallContext,
    CallError,
    ClientClosedError,
    ConfigurationError,
    DecodeError,
    RateLimitError,
    RequestTimeoutError,
    ResponseTooLargeError,
    TokenRefreshError,
    TransportError,
    WrongEventLoopError,
)
from pinterest_audiences._http import responses, retry
from pinterest_audiences._http.events import (
    FailureEvent,
    RequestEvent,
    ResponseEvent,
    WaitEvent,
    WaitReason,
    emit,
)
from pinterest_audiences._http.network import MAX_CALLS, ConnectionPool, explain_failure
from pinterest_audiences._http.rate_limit import RateLimiter, RateLimitExceededError
from pinterest_audiences._http.responses import BodyTooLargeError, read_body
from pinterest_audiences._http.retry import is_success
from pinterest_audiences._httpx import httpx

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from pinterest_audiences._config import BaseURL, Clock
    from pinterest_audiences._credentials import TokenSource
    from pinterest_audiences._http.events import OnCallEvent
    from pinterest_audiences._http.network import Network
    from pinterest_audiences._http.operations import Call
    from pinterest_audiences._http.responses import APIResponse
    from pinterest_audiences._http.retry import FailedAttempt, RetryPolicy

__all__ = [
    "MAX_RESPONSE_BYTES",
    "CallMetrics",
    "CallState",
    "Session",
    "WaitListener",
    "WaitReason",
    "budget_error",
    "collect_metrics",
    "connection_error",
    "current_metrics",
    "response_too_large",
    "with_call_context",
]

T = TypeVar("T")
logger = logging.getLogger("pinterest_audiences")
MAX_RESPONSE_BYTES = 67_108_864
_CONNECT_TIMEOUT_SECONDS = 5.0
_GRACE_SECONDS = 0.1  # lets the more specific timeouts of httpx come first
_MIN_REPORTED_WAIT_SECONDS = 0.5  # the ordinary spacing of calls is not worth an event
_POOL_LIMITS = httpx.Limits(max_connections=MAX_CALLS, max_keepalive_connections=20)
_NO_STREAM = httpx.ByteStream(b"")
_CALL_IDS = count(1)
_CANCELLED_HOOK_SECONDS = 1.0  # for the event of a request that was cancelled
WaitListener: TypeAlias = Callable[[WaitReason, float], None]


@define
class CallMetrics:
    """Requests, bytes and waits of the calls inside :func:`collect_metrics`.

    Attributes:
        listener: Called before every wait with its reason and its seconds.
        on_response: Called with every response, successful or not, before it becomes a model or an
            error.
        calls: Requests that were sent or attempted.
        rate_limited: How many were refused with status 429.
        maybe_applied: How many failed although the change may have been applied.
        budget_seconds: Seconds of waiting for the rate limiter.
        bytes: Bytes of request bodies.
        needs_status_only: Whether a change counts as done when its status is a 2xx, even if the
            response body is incomplete.
    """

    listener: WaitListener | None = None
    on_response: Callable[[APIResponse], None] | None = None
    calls: int = 0
    rate_limited: int = 0
    maybe_applied: int = 0
    budget_seconds: float = 0.0
    bytes: int = 0
    needs_status_only: bool = False

    def count_request(self, size: int) -> None:
        """Count a request, given the bytes of its body."""
        self.calls += 1
        self.bytes += size

    def count_failure(self, *, rate_limited: bool, maybe_applied: bool) -> None:
        """Count a failed request."""
        self.rate_limited += rate_limited
        self.maybe_applied += maybe_applied

    def report_wait(self, reason: WaitReason, seconds: float) -> None:
        """Report a wait before it begins."""
        if self.listener is not None and _is_reported(reason, seconds):
            self.listener(reason, seconds)


def _is_reported(reason: WaitReason, seconds: float) -> bool:
    """Return whether a wait is long enough for an event."""
    return reason == "retry" or seconds >= _MIN_REPORTED_WAIT_SECONDS


_CURRENT_METRICS: ContextVar[CallMetrics | None] = ContextVar(
    "pinterest_audiences_metrics", default=None
)


def current_metrics() -> CallMetrics | None:
    """Return the metrics of the running call, if they are collected."""
    return _CURRENT_METRICS.get()


@contextmanager
def collect_metrics(metrics: CallMetrics) -> Generator[CallMetrics, None, None]:
    """Collect metrics of the calls that this task makes inside."""
    before = _CURRENT_METRICS.set(metrics)
    try:
        yield metrics
    finally:
        _CURRENT_METRICS.reset(before)


@define
class CallState:
    """The state of one call across its attempts."""

    call: Call[Any]
    attempts: int = 0
    maybe_applied: bool = False
    refreshed: bool = False
    deadline: float | None = None  # monotonic time of the client's clock
    in_doubt: bool = False  # a request was sent, at least in part, without a response so far
    status: int | None = None  # of a response whose body is incomplete
    call_id: int = field(factory=partial(next, _CALL_IDS))
    total_timeout: anyio.CancelScope = field(init=False, repr=False, eq=False)

    def is_late(self, time: float) -> bool:
        """Return whether a time is at or after the deadline of the call."""
        return self.deadline is not None and time >= self.deadline

    def is_accepted(self) -> bool:
        """Return whether a change got a 2xx and its caller needs only the status."""
        metrics = current_metrics()
        if metrics is None or not metrics.needs_status_only or not self.call.operation.changes:
            return False
        return self.status is not None and is_success(self.status)

    def error_context(self) -> CallContext:
        """Return what every error of the call contains."""
        return self.call.error_context(attempts=self.attempts, maybe_applied=self.maybe_applied)

    def record_failure(self, failure: FailedAttempt) -> None:
        """Record a failed attempt."""
        self.in_doubt = False
        maybe_applied = failure.maybe_applied and self.call.operation.changes
        self.maybe_applied = self.maybe_applied or maybe_applied
        if (metrics := current_metrics()) is not None:
            metrics.count_failure(rate_limited=failure.rate_limited, maybe_applied=maybe_applied)

    def record_attempt(self) -> None:
        """Record that an attempt begins."""
        self.attempts += 1
        self.in_doubt, self.status = False, None
        if (metrics := current_metrics()) is not None:
            metrics.count_request(sum(map(len, self.call.body)))


# The call that waits for the rate limiter, for its event.
_CURRENT_CALL: ContextVar[CallState | None] = ContextVar("pinterest_audiences_call", default=None)


class _ChunkedBody(httpx.AsyncByteStream):
    """A request body that is sent in chunks.

    Not a generator, because one would have to be closed when the connection breaks. The first
    chunk is requested after the head of the request was sent.
    """

    def __init__(self, state: CallState) -> None:
        self._state = state
        self._chunks = iter(state.call.body)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        self._state.in_doubt = True
        for chunk in self._chunks:
            return chunk
        raise StopAsyncIteration


class _Lifetime:
    """From the first use of a session to its end; the loop it belongs to, and what it awaits.

    Args:
        parent: The lifetime of the session that owns the connections, with which this one ends.
    """

    def __init__(self, parent: _Lifetime | None = None) -> None:
        self.parent = parent
        self._closed = False
        self._loop: object = None
        self._waits: set[anyio.CancelScope] = set()

    @property
    def closed(self) -> bool:
        """Whether the session has been closed."""
        return self._closed or (self.parent is not None and self.parent.closed)

    def end(self) -> bool:
        """Interrupt what is awaited; return whether the session was open."""
        if self.closed:
            return False
        self.check_loop()
        self._closed = True
        for wait in self._waits:
            wait.cancel()
        return True

    def check_usable(self) -> None:
        """Raise an error if the session is closed or used in another event loop."""
        if self.closed:
            raise ClientClosedError(CLIENT_CLOSED)
        self.check_loop()

    def check_loop(self) -> None:
        """Raise an error if the session is used in another event loop or process."""
        if self.parent is not None:
            self.parent.check_loop()
            return
        loop = (os.getpid(), current_token())
        if self._loop is None:
            self._loop = loop
        elif self._loop != loop:
            raise WrongEventLoopError(
                "this client belongs to the event loop or process in which it was first used;"
                " create one client in each"
            )

    async def until_closed(self, wait: Callable[[], Awaitable[T]]) -> T:
        """Await something; the end of the session interrupts it."""
        with anyio.CancelScope() as scope:
            try:
                self.track(scope)
                result = await wait()
            finally:
                self.untrack(scope)
            self.check_usable()
            return result
        raise ClientClosedError(CLIENT_CLOSED)

    def track(self, scope: anyio.CancelScope) -> None:
        """Cancel a scope at the end of this session, or of its parent."""
        self._waits.add(scope)
        if self.parent is not None:
            self.parent.track(scope)

    def untrack(self, scope: anyio.CancelScope) -> None:
        """Undo `track`."""
        self._waits.discard(scope)
        if self.parent is not None:
            self.parent.untrack(scope)


class Session:
    """Sends calls with retries, rate limits and token refresh."""

    def __init__(
        self,
        *,
        base_url: BaseURL,
        tokens: TokenSource,
        timeout: float | None,
        policy: RetryPolicy,
        network: Network,
        clock: Clock,
        max_response_bytes: int = MAX_RESPONSE_BYTES,
        on_event: OnCallEvent | None = None,
    ) -> None:
        self._on_event = on_event
        url = _parse_url(base_url.text)
        self._base_url, self._host = base_url.text, url.netloc.decode()
        self._tokens = tokens
        self._policy = policy
        self._clock = clock
        self._timeout, self._extensions = timeout, _request_extensions(timeout)
        self._max_response_bytes = max_response_bytes
        self._rate_limiter = RateLimiter(clock.monotonic, self._sleep_for_budget, policy.max_wait)
        self._pool = ConnectionPool(
            network.client_factory(url, _POOL_LIMITS), replaceable=network.transport is None
        )
        self._is_local = is_loopback(url.host)
        self._explain = partial(explain_failure, host=url.host, proxy=network.proxy_of(url))
        self._user_agent = network.user_agent
        self._lifetime = _Lifetime()

    def with_options(self, *, timeout: float | None, policy: RetryPolicy) -> Session:
        """Return a session with other options and the same connections, token and rate limits.

        It is closed with this one; closing it leaves this one open.
        """
        session = copy.copy(self)
        session.configure(timeout, policy, _Lifetime(self._lifetime.parent or self._lifetime))
        return session

    def configure(self, timeout: float | None, policy: RetryPolicy, lifetime: _Lifetime) -> None:
        """Set the options of a session that shares everything else with another one."""
        self._timeout, self._extensions = timeout, _request_extensions(timeout)
        self._policy, self._lifetime = policy, lifetime
        self._rate_limiter = evolve(
            self._rate_limiter, sleep=self._sleep_for_budget, max_wait=policy.max_wait
        )

    @property
    def timeout(self) -> float | None:
        """Seconds for one attempt; None for no limit."""
        return self._timeout

    @property
    def policy(self) -> RetryPolicy:
        """When calls are retried."""
        return self._policy

    @property
    def base_url(self) -> str:
        """The base URL of the calls."""
        return self._base_url

    @property
    def awaits_local_server(self) -> bool:
        """Whether the server is on this machine and has not answered yet."""
        return self._is_local and not self._pool.has_answered

    @property
    def clock(self) -> Clock:
        """The clock of the client."""
        return self._clock

    def per_minute(self, category: str) -> float | None:
        """Return how many calls of a category are allowed per minute; None if unknown."""
        return self._rate_limiter.per_minute(category)

    async def aclose(self) -> None:
        """Close the connections unless they are those of a parent; closing twice is allowed.

        Raises:
            WrongEventLoopError: The client belongs to another event loop.
        """
        if self._lifetime.end() and self._lifetime.parent is None:
            await self._pool.aclose()

    def check_usable(self) -> None:
        """Raise an error if the client is closed or used in another event loop."""
        self._lifetime.check_usable()

    async def sleep(self, seconds: float) -> None:
        """Sleep by the client's clock; closing the client interrupts it.

        Raises:
            ClientClosedError: The client has been closed.
        """
        self.check_usable()
        await self._lifetime.until_closed(lambda: self._clock.sleep(seconds))

    async def send(self, call: Call[T]) -> T:
        """Send one call, with retries, until it succeeds or fails for good.

        Raises:
            CallError: It failed; the class shows why.
            ClientClosedError: The client has been closed.
            WrongEventLoopError: The client belongs to another event loop.
        """
        total = self._policy.total
        deadline = None if total is None else self._clock.monotonic() + total
        state = CallState(call, deadline=deadline)
        with anyio.move_on_after(total) as state.total_timeout:
            return await self._send_with_retries(state, call)
        if state.in_doubt:
            state.record_failure(retry.classify_broken_connection(never_sent=False))
        text = f"no response within the total timeout of {total:g} s"
        raise connection_error(RequestTimeoutError, state, text, "total_timeout")

    async def _send_with_retries(self, state: CallState, call: Call[T]) -> T:
        """Send requests until one succeeds, or the retry policy gives up."""
        while True:
            self.check_usable()
            try:
                response, token = await self._attempt(state)
            except httpx.RequestError as error:
                broken = self._explain(error)
                # A change that was accepted is not repeated for the sake of its response body.
                failure = retry.classify_broken_connection(
                    never_sent=broken.never_sent,
                    transient=broken.transient and not state.is_accepted(),
                )
                state.record_failure(failure)
                timed_out = isinstance(error, httpx.TimeoutException)
                kind = RequestTimeoutError if timed_out else TransportError
                problem: CallError = connection_error(kind, state, broken.text, broken.reason)
                await self._wait_or_raise(state, failure, problem, cause=error)
                continue
            if responses.succeeded(call, response):
                try:
                    return responses.decode(call, response, attempts=state.attempts)
                except DecodeError:  # counts as no response
                    state.record_failure(retry.classify_broken_connection(never_sent=False))
                    raise
            if await self._refresh_token(state, response, token):
                continue
            failure = responses.classify(response, self._clock.time())
            state.record_failure(failure)
            problem = responses.to_error(
                call,
                response,
                failure,
                attempts=state.attempts,
                maybe_applied=state.maybe_applied,
                token=token.value,
            )
            await self._wait_or_raise(state, failure, problem)

    async def _attempt(self, state: CallState) -> tuple[APIResponse, Token]:
        """Send one request when the rate limiter allows it, and parse the response."""
        category = state.call.operation.category
        queued = self._clock.monotonic()
        waiting = _CURRENT_CALL.set(state)
        try:
            await self._rate_limiter.acquire(category)
        except RateLimitExceededError as error:
            raise budget_error(state, error.seconds) from None
        finally:
            _CURRENT_CALL.reset(waiting)  # its body would stay in memory
        if (metrics := current_metrics()) is not None:
            metrics.budget_seconds += self._clock.monotonic() - queued
        try:
            token = await self._get_token(state)
            state.record_attempt()
            request = self._request_event(state)
            started, received, body = await self._send_with_events(state, token, request)
        finally:
            self._rate_limiter.release(category)
        response = responses.parse_response(received.status_code, received.headers, body)
        seconds = self._clock.monotonic() - started
        self._rate_limiter.learn(
            category,
            response.headers,
            unix_time=self._clock.time(),
            success=received.is_success,
            seconds=seconds,
        )
        logger.debug(
            "%s: attempt %d: %d in %.0f ms (request id %s)",
            state.call.operation.name,
            state.attempts,
            response.status,
            seconds * 1000,
            response.request_id,
            extra={
                "operation": state.call.operation.name,
                "attempt": state.attempts,
                "status": response.status,
                "duration_ms": round(seconds * 1000, 1),
                "request_id": response.request_id,
            },
        )
        if metrics is not None and metrics.on_response is not None:
            metrics.on_response(response)
        if self._on_event is not None:
            event = ResponseEvent(
                request=request,
                status=response.status,
                seconds=seconds,
                response_bytes=len(body),
                request_id=response.request_id,
            )
            await self._emit_response(state, event, ok=responses.succeeded(state.call, response))
        return response, token

    def _request_event(self, state: CallState) -> RequestEvent:
        operation = state.call.operation
        return RequestEvent(
            call_id=state.call_id,
            operation=operation.name,
            method=operation.method,
            url=self._base_url + state.call.path,
            path_template=operation.path,
            attempt=state.attempts,
            request_bytes=sum(map(len, state.call.body)),
        )

    async def _send_with_events(
        self, state: CallState, token: Token, request: RequestEvent
    ) -> tuple[float, httpx.Response, bytes | bytearray]:
        """Send one request, with events before it and, if it fails, after it.

        The first result is when it was sent: the time of ``on_event`` does not count.
        """
        started = self._clock.monotonic()
        if self._on_event is None:
            return started, *await self._send_over_pool(state, token)
        try:
            await emit(self._on_event, request)
            started = self._clock.monotonic()
            return started, *await self._send_over_pool(state, token)
        except BaseException as error:
            event = FailureEvent(
                request=request,
                reason=self._failure_reason(state, error),
                seconds=self._clock.monotonic() - started,
                status=state.status,
            )
            cancelled = not isinstance(error, Exception)
            with anyio.move_on_after(
                _CANCELLED_HOOK_SECONDS if cancelled else None, shield=cancelled
            ):
                await emit(self._on_event, event)
            raise

    def _failure_reason(self, state: CallState, error: BaseException) -> str:
        if isinstance(error, httpx.RequestError):
            return self._explain(error).reason
        if isinstance(error, anyio.get_cancelled_exc_class()):
            return "total_timeout" if state.total_timeout.cancel_called else "cancelled"
        return type(error).__name__

    async def _emit_response(self, state: CallState, event: ResponseEvent, *, ok: bool) -> None:
        """Emit an event while the total timeout pauses, which must not lose the response."""
        scope = state.total_timeout
        deadline, scope.deadline = scope.deadline, math.inf
        # It may have fired already, when both became due at once.
        with anyio.CancelScope(shield=scope.cancel_called):
            await emit(self._on_event, event)
        if not ok:
            scope.deadline = deadline

    async def _emit_wait(self, state: CallState | None, reason: WaitReason, seconds: float) -> None:
        """Emit the event of a wait before it begins."""
        if state is not None and _is_reported(reason, seconds):
            name = state.call.operation.name
            event = WaitEvent(call_id=state.call_id, operation=name, reason=reason, seconds=seconds)
            await emit(self._on_event, event)

    async def _send_over_pool(
        self, state: CallState, token: Token
    ) -> tuple[httpx.Response, bytes | bytearray]:
        """Send one request over the pool, or over a new pool if all connections are lost."""
        replaced = False
        while True:
            client = await self._pool.acquire(self._timeout)
            try:
                self.check_usable()  # it may have been closed during the wait
                return await self._send_until_timeout(client, state, token)
            except httpx.PoolTimeout:
                if replaced or not self._pool.replace(client):
                    raise
                replaced = True
            finally:
                await self._pool.release(client)

    async def _send_until_timeout(
        self, client: httpx.AsyncClient, state: CallState, token: Token
    ) -> tuple[httpx.Response, bytes | bytearray]:
        """Send a request and read its whole response within the timeout."""
        timeout = None if self._timeout is None else self._timeout + _GRACE_SECONDS
        with anyio.move_on_after(timeout):
            response = await client.send(self._build_request(state, token), stream=True)
            self._pool.has_answered = True
            state.status = response.status_code
            try:
                body = await read_body(response, self._max_response_bytes)
            except BodyTooLargeError:
                status, headers = response.status_code, response.headers
                state.record_failure(responses.classify_unread(status, headers, self._clock.time()))
                request_id = responses.request_id(headers)
                raise response_too_large(
                    state, status, request_id, self._max_response_bytes
                ) from None
            finally:
                await response.aclose()
                # The stream refers to the response and so to the request's body, which would stay
                # in memory until the next garbage collection.
                response.stream = _NO_STREAM
            state.in_doubt = False
            return response, body
        if state.in_doubt:
            raise httpx.ReadTimeout("no complete response in time")
        raise httpx.ConnectTimeout("no connection in time")

    async def _get_token(self, state: CallState) -> Token:
        if state.call.app is not None:  # no token is sent; the secret is redacted like one
            return Token(state.call.app.app_secret)
        try:
            return await self._lifetime.until_closed(lambda: resolve_token(self._tokens.get()))
        except CallError as error:
            raise with_call_context(state, error) from error

    def _build_request(self, state: CallState, token: Token) -> httpx.Request:
        call = state.call
        url = self._base_url + call.path
        if call.query:
            url += "?" + urlencode(call.query, doseq=True, quote_via=quote, safe="")
        headers = [
            ("Host", self._host),
            ("Authorization", call.authorization(token.value)),
            ("Accept", "application/json"),
            ("Accept-Encoding", "gzip, deflate"),
            ("User-Agent", self._user_agent),
        ]
        if call.body:
            headers.append(("Content-Type", call.content_type))
            headers.append(("Content-Length", str(sum(map(len, call.body)))))
        elif call.operation.changes:
            headers.append(("Content-Length", "0"))  # some gateways require it for every POST
        return httpx.Request(
            call.operation.method,
            url,
            headers=headers,
            stream=_ChunkedBody(state),
            extensions=self._extensions,
        )

    async def _refresh_token(self, state: CallState, response: APIResponse, token: Token) -> bool:
        """Refresh an expired token, once per call; return whether there is a new one."""
        if state.refreshed or state.call.app or not responses.token_expired(response):
            return False
        state.refreshed = True
        try:
            newer = await self._lifetime.until_closed(
                lambda: resolve_token(self._tokens.refresh(token))
            )
        except CallError as error:
            raise with_call_context(state, error) from error
        return newer != token

    async def _wait_or_raise(
        self,
        state: CallState,
        failure: FailedAttempt,
        problem: CallError,
        *,
        cause: Exception | None = None,
    ) -> None:
        wait = retry.next_wait(
            failure,
            idempotent=state.call.operation.idempotent,
            attempts=state.attempts,
            policy=self._policy,
            jitter=self._clock.random(),
        )
        if failure.rate_limited:
            # The next acquire waits for it, for every call of the category and not only this one.
            pause = wait if wait is not None else failure.retry_after
            self._rate_limiter.pause(state.call.operation.category, pause or 0.0)
        if wait is None or state.is_late(self._clock.monotonic() + wait):
            raise problem from cause
        logger.debug(
            "%s: retrying in %.2f s",
            state.call.operation.name,
            wait,
            extra={
                "operation": state.call.operation.name,
                "attempt": state.attempts,
                "wait_seconds": round(wait, 3),
            },
        )
        if (metrics := current_metrics()) is not None:
            metrics.report_wait("retry", wait)
        if not failure.rate_limited:
            await self._emit_wait(state, "retry", wait)
            await self.sleep(wait)

    async def _sleep_for_budget(self, seconds: float) -> None:
        """Sleep until the rate limiter has room again."""
        if (metrics := current_metrics()) is not None:
            metrics.report_wait("budget", seconds)
        await self._emit_wait(_CURRENT_CALL.get(), "budget", seconds)
        await self.sleep(seconds)


def _request_extensions(timeout: float | None) -> dict[str, dict[str, float | None]]:
    """Return the timeouts of a request for httpx; connecting takes a few seconds at most."""
    connect = (
        _CONNECT_TIMEOUT_SECONDS if timeout is None else min(timeout, _CONNECT_TIMEOUT_SECONDS)
    )
    return {"timeout": httpx.Timeout(timeout, connect=connect, pool=connect).as_dict()}


def connection_error(
    kind: type[TransportError], state: CallState, text: str, reason: str
) -> TransportError:
    """Return the error of a call without a complete response."""
    done = "; the change may have been applied" if state.maybe_applied else ""
    return kind(
        f"{state.call.operation.name}: {text} ({state.attempts} attempts){done}",
        reason=reason,
        status=state.status,
        **state.error_context(),
    )


def response_too_large(
    state: CallState, status: int, request_id: str | None, limit: int
) -> ResponseTooLargeError:
    """Return the error of a call whose response exceeds the limit."""
    return ResponseTooLargeError(
        [f"the response is larger than {limit:,} bytes (max_response_bytes)"],
        status=status,
        request_id=request_id,
        **state.error_context(),
    )


def with_call_context(state: CallState, error: CallError) -> CallError:
    """Return a copy of a token source's error with the context of the call."""
    call = state.call
    text = str(error).removeprefix(f"{error.operation or 'call'}: ")
    if not isinstance(error, TokenRefreshError):
        text = f"the access token could not be refreshed: {text}"
    result = copy.copy(error)
    result.args = (f"{call.operation.name}: {text}",)
    for name, value in state.error_context().items():
        setattr(result, name, value)
    return result


def budget_error(state: CallState, seconds: float) -> RateLimitError:
    """Return the error of a call that was not sent because of the rate limiter."""
    category = state.call.operation.category
    error = RateLimitError(
        status=429,
        retry_after=seconds,
        hint=f"not sent: the rate limit of {category} is used up",
        **state.error_context(),
    )
    error.category = category
    return error


def _parse_url(base_url: str) -> httpx.URL:
    try:
        url = httpx.URL(base_url)
        url.host.encode("idna").decode("idna")  # the name resolution encodes it, too
        _ = url.netloc.decode()
    except (httpx.InvalidURL, UnicodeError):
        url = httpx.URL("")
    if not url.host:
        raise ConfigurationError("base_url must have a host name or an IP address")
    return url
