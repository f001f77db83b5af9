"""The one request loop: budget, token, request, decision. Only it and `storage` know httpx."""

from __future__ import annotations

import functools
import logging
import os
import platform
import ssl
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import quote, urlencode

import httpx
from anyio.lowlevel import current_token

from pinterest_audiences._version import __version__
from pinterest_audiences._wire import answers, retry, trace
from pinterest_audiences._wire.progress import Progress, placed, unsent
from pinterest_audiences._wire.ratelimit import BudgetSpentError, RateBudget
from pinterest_audiences.auth.tokens import Token, checked_token
from pinterest_audiences.errors import (
    CallError,
    ClientClosedError,
    ConfigurationError,
    DecodeError,
    RequestTimeoutError,
    TokenRefreshError,
    TransportError,
    WrongEventLoopError,
)

if TYPE_CHECKING:
    from pinterest_audiences._wire.answers import Answer
    from pinterest_audiences._wire.clock import Clock
    from pinterest_audiences._wire.operations import Call
    from pinterest_audiences._wire.retry import Failure, RetryPolicy
    from pinterest_audiences._wire.settings import BaseURL
    from pinterest_audiences.auth.tokens import TokenSource

__all__ = ["Session", "forget_location", "no_context", "trusted_context"]

T = TypeVar("T")
logger = logging.getLogger("pinterest_audiences")

_CONNECT_TIMEOUT = 5.0
_POOL = httpx.Limits(max_connections=100, max_keepalive_connections=20)
# These end before a byte of the request has left.
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_USER_AGENT = (
    f"pinterest-audiences/{__version__} python/{platform.python_version()}"
    f" httpx/{httpx.__version__}"
)


class _Pieces(httpx.AsyncByteStream):
    """A request body that is sent piece by piece.

    No generator: one that is left half-way, as when the connection breaks, wants to be closed.
    """

    def __init__(self, pieces: tuple[bytes, ...]) -> None:
        self._left = iter(pieces)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        for piece in self._left:
            return piece
        raise StopAsyncIteration


class Session:
    """Sends calls, each until it has an answer or an error."""

    def __init__(
        self,
        *,
        base_url: BaseURL,
        tokens: TokenSource,
        timeout: float | None,
        policy: RetryPolicy,
        transport: httpx.AsyncBaseTransport | None,
        clock: Clock,
    ) -> None:
        self._base_url, self._host = base_url.text, _host(base_url.text)
        self._tokens = tokens
        self._policy = policy
        self._clock = clock
        self._budget = RateBudget(clock.monotonic, self._sit_out, policy.max_wait)
        connect = _CONNECT_TIMEOUT if timeout is None else min(timeout, _CONNECT_TIMEOUT)
        self._extensions = {"timeout": httpx.Timeout(timeout, connect=connect).as_dict()}
        self._http = httpx.AsyncClient(
            transport=transport,
            verify=trusted_context() if base_url.secure and transport is None else no_context(),
            # Plain http is for this machine only; a proxy of the environment would miss it.
            trust_env=base_url.secure,
            limits=_POOL,
            follow_redirects=False,  # a redirect could carry the token to another host
            event_hooks={"response": [forget_location]},
        )
        self._closed = False
        self._loop: object = None

    @property
    def base_url(self) -> str:
        """Where the calls go."""
        return self._base_url

    @property
    def clock(self) -> Clock:
        """Where time, sleep and chance come from."""
        return self._clock

    def per_minute(self, category: str) -> float | None:
        """Return how many calls of a category a minute has room for, as far as is known."""
        return self._budget.per_minute(category)

    async def aclose(self) -> None:
        """Close the connections; a second time does nothing.

        Raises:
            WrongEventLoopError: They belong to another event loop.
        """
        if not self._closed:
            self._check_loop()
            self._closed = True
            await self._http.aclose()

    def check_usable(self) -> None:
        """Refuse a client that is closed or away from its event loop."""
        if self._closed:
            raise ClientClosedError("this client is closed; make a new one")
        self._check_loop()

    async def send(self, call: Call[T]) -> T:
        """Send one call until it succeeds or there is no sense in trying again.

        Raises:
            CallError: It failed; which kind tells why.
            ClientClosedError: The client has been closed.
            WrongEventLoopError: The client belongs to another event loop.
        """
        progress = Progress(call)
        while True:
            self.check_usable()
            try:
                answer, token = await self._exchange(progress)
            except httpx.RequestError as error:
                failure = retry.after_broken_connection(never_sent=isinstance(error, _NEVER_SENT))
                progress.note(failure)
                problem: CallError = _transport_error(progress, error)
                await self._wait_or_raise(progress, failure, problem, cause=error)
                continue
            if answer.ok:
                try:
                    return answers.decode(call, answer, attempts=progress.attempts)
                except DecodeError:  # as good as no answer
                    progress.note(retry.after_broken_connection(never_sent=False))
                    raise
            if await self._refreshed(progress, answer, token):
                continue
            failure = answers.judge(answer, self._clock.time())
            progress.note(failure)
            problem = answers.error(
                call,
                answer,
                failure,
                attempts=progress.attempts,
                maybe_applied=progress.maybe_applied,
                token=token.value,
            )
            await self._wait_or_raise(progress, failure, problem)

    async def _exchange(self, progress: Progress) -> tuple[Answer, Token]:
        """Send one request when the budget has room, and read its answer."""
        category = progress.call.operation.category
        asked = self._clock.monotonic()
        try:
            await self._budget.acquire(category)
        except BudgetSpentError as spent:
            raise unsent(progress, spent.seconds) from None
        if (noted := trace.current()) is not None:
            noted.budget_seconds += self._clock.monotonic() - asked
        try:
            token = await self._token(progress)
            progress.sent()
            started = self._clock.monotonic()
            response = await self._http.send(self._request(progress.call, token))
        finally:
            self._budget.release(category)
        answer = answers.read(response.status_code, response.headers, response.content)
        self._budget.learn(
            category, answer.headers, now=self._clock.time(), success=response.is_success
        )
        logger.debug(
            "%s: attempt %d: %d in %.0f ms (request id %s)",
            progress.call.operation.name,
            progress.attempts,
            answer.status,
            (self._clock.monotonic() - started) * 1000,
            answer.request_id,
        )
        return answer, token

    async def _token(self, progress: Progress) -> Token:
        if progress.call.app is not None:  # such a call needs no token; its secret is the app's
            return Token(progress.call.app.app_secret)
        try:
            token = await self._tokens.get()
        except TokenRefreshError as error:
            raise placed(progress, error) from error
        checked_token(token.value)
        return token

    def _request(self, call: Call[T], token: Token) -> httpx.Request:
        url = self._base_url + call.path
        if call.query:
            url += "?" + urlencode(call.query, quote_via=quote, safe="")
        headers = [
            ("Host", self._host),
            ("Authorization", call.authorization(token.value)),
            ("Accept", "application/json"),
            ("Accept-Encoding", "gzip, deflate"),
            ("User-Agent", _USER_AGENT),
        ]
        if call.body:
            headers.append(("Content-Type", call.content_type))
            headers.append(("Content-Length", str(sum(map(len, call.body)))))
        elif call.operation.changes:
            headers.append(("Content-Length", "0"))  # some gateways want it of every POST
        return httpx.Request(
            call.operation.method,
            url,
            headers=headers,
            stream=_Pieces(call.body),
            extensions=self._extensions,
        )

    async def _refreshed(self, progress: Progress, answer: Answer, token: Token) -> bool:
        """Get a new token if the old one was refused, once a call; tell whether there is one."""
        if progress.refreshed or progress.call.app or not answers.token_expired(answer):
            return False
        progress.refreshed = True
        try:
            return await self._tokens.refresh(token) != token
        except TokenRefreshError as error:
            raise placed(progress, error) from error

    async def _wait_or_raise(
        self,
        progress: Progress,
        failure: Failure,
        problem: CallError,
        *,
        cause: Exception | None = None,
    ) -> None:
        wait = retry.next_wait(
            failure,
            repeatable=progress.call.operation.repeatable,
            attempts=progress.attempts,
            policy=self._policy,
            chance=self._clock.random(),
        )
        if failure.rate_limited:
            # The next acquire sits it out, for every call of the category and not only this one.
            pause = wait if wait is not None else failure.told_wait
            self._budget.pause(progress.call.operation.category, pause or 0.0)
        if wait is None:
            raise problem from cause
        logger.debug("%s: trying again in %.2f s", progress.call.operation.name, wait)
        if (noted := trace.current()) is not None:
            noted.waits("retry", wait)
        if not failure.rate_limited:
            await self._clock.sleep(wait)

    async def _sit_out(self, seconds: float) -> None:
        """Sleep until the budget has room again."""
        if (noted := trace.current()) is not None:
            noted.waits("budget", seconds)
        await self._clock.sleep(seconds)

    def _check_loop(self) -> None:
        loop = (os.getpid(), current_token())
        if self._loop is None:
            self._loop = loop
        elif self._loop != loop:
            raise WrongEventLoopError(
                "this client was first used in another event loop or process, which its"
                " connections belong to; make one client in each"
            )


def _transport_error(progress: Progress, error: httpx.RequestError) -> TransportError:
    timed_out = isinstance(error, httpx.TimeoutException)
    done = "; it may have been done all the same" if progress.maybe_applied else ""
    call = progress.call
    return (RequestTimeoutError if timed_out else TransportError)(
        f"{call.operation.name}: {_what_failed(error)} ({progress.attempts} attempts){done}",
        operation=call.operation.name,
        method=call.operation.method,
        path=call.path,
        attempts=progress.attempts,
        maybe_applied=progress.maybe_applied,
    )


def _what_failed(error: httpx.RequestError) -> str:
    """Say it in our words: a transport's own may quote anything."""
    match error:
        case httpx.ConnectTimeout() | httpx.PoolTimeout():
            return "no connection in time"
        case httpx.TimeoutException():
            return "no answer in time"
        case httpx.ProxyError():
            return "the proxy refused"
        case httpx.ConnectError():
            return "no connection; check base_url, the network and the certificates"
        case httpx.DecodingError():
            return "the answer's compression is broken"
        case _:
            return f"the connection broke ({type(error).__name__})"


def _host(base_url: str) -> str:
    try:
        url = httpx.URL(base_url)
        return url.netloc.decode() if url.host else ""
    except (httpx.InvalidURL, UnicodeError):
        raise ConfigurationError("base_url: the host is no name or address") from None


async def forget_location(response: httpx.Response) -> None:
    """Drop where a redirect leads: httpx would read it even so, and stumble over a bad one."""
    response.headers.pop("location", None)


@functools.cache
def trusted_context() -> ssl.SSLContext:
    """Load the certificates once a process: it takes longer than many calls."""
    return httpx.create_ssl_context()


@functools.cache
def no_context() -> ssl.SSLContext:
    """Return a context that trusts nobody, for clients that never speak TLS themselves."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
