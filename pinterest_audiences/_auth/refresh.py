"""A token source that refreshes its token, once for all callers.

A refresh runs in a thread: asyncio's own cancellation, such as ``asyncio.timeout()``, ignores
shielded cancel scopes, and a refresh token that is valid once must not be lost. Where no thread can
be started, it runs in the event loop of the caller.
"""

from __future__ import annotations

import copy
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import anyio
from attrs import evolve, frozen

from pinterest_audiences import _config, _threads
from pinterest_audiences._auth import oauth
from pinterest_audiences._auth.stores import FileTokenStore, TokenStore, TokenTransaction
from pinterest_audiences._config import Clock, SystemClock
from pinterest_audiences._credentials import (
    AppCredentials,
    GrantType,
    Token,
    TokenSet,
    Unpicklable,
    outage_of,
)
from pinterest_audiences._errors import (
    APIError,
    CallError,
    ConfigurationError,
    PinterestAudiencesError,
    TokenRefreshError,
)
from pinterest_audiences._http.network import Network

if TYPE_CHECKING:
    from pinterest_audiences._http.network import Verify
    from pinterest_audiences._httpx import httpx

__all__ = ["RefreshingToken", "running_refreshes", "start_in_thread", "wait_for"]

T = TypeVar("T")
_logger = logging.getLogger("pinterest_audiences")
Exchange: TypeAlias = Callable[[], Awaitable[TokenSet]]
TransportFactory: TypeAlias = "Callable[[], httpx.AsyncBaseTransport]"
_THREAD_NAME = "pinterest_audiences refresh"
_REFRESH_AHEAD_SECONDS = 300.0  # before a token expires; a random factor of 1 to 2 is applied
_REFRESH_AHEAD_RATIO = 0.1  # of the lifetime at most, for short-lived tokens
_FAILURE_PAUSE_SECONDS = 10.0  # concurrent callers share one failure
_REFUSED_PAUSE_SECONDS = 60.0  # an immediate retry would be refused again
_REFUSED_STATUSES = frozenset({400, 401, 403})


@frozen
class _RefreshInFlight:
    """A running refresh, and the refused token of the caller that started it."""

    refused: str | None
    future: Future[Token]


class RefreshingToken(Unpicklable):
    """Access tokens from a store, refreshed before they expire and when Pinterest refuses them.

    One refresh serves all tasks, threads and processes that share the store. It runs in a separate
    thread, so that cancellation does not stop it, and the new refresh token is saved before the new
    access token is used. If an early refresh fails while the access token is valid, the failure is
    only logged. If Pinterest refuses the access token of a refresh as well, the next refresh is at
    least a minute later.

    Args:
        store: The store of the tokens: a path, or a :class:`TokenStore`.
        app: The app of the login.
        seed: Initial tokens, if the store is empty or was started with other ones.
        base_url: The base URL of the API; as for :class:`AsyncClient`.
        timeout: Seconds for each attempt; as for :class:`AsyncClient`.
        proxy: The URL of a proxy; by default the proxy of the client, then of the environment.
        verify: A CA file or folder, or an ``ssl.SSLContext``; as for :class:`AsyncClient`. By
            default that of the client, then of the environment.
        transport: A function that creates an httpx transport for each refresh, instead of both. It
            is a function because each refresh runs in a separate event loop.
        clock: A clock for tests.

    Raises:
        ConfigurationError: An argument is invalid.

    Example:
        >>> from pinterest_audiences import AppCredentials, AsyncClient
        >>> source = RefreshingToken("tokens.json", AppCredentials("1234567", "the-secret"))
        >>> client = AsyncClient(source)
    """

    def __init__(
        self,
        store: str | os.PathLike[str] | TokenStore,
        app: AppCredentials,
        *,
        seed: TokenSet | None = None,
        base_url: str | None = None,
        timeout: float | None = 30.0,
        proxy: str | None = None,
        verify: Verify | None = None,
        transport: TransportFactory | None = None,
        clock: Clock | None = None,
    ) -> None:
        _threads.check_threads()
        self._store = store if isinstance(store, TokenStore) else FileTokenStore(store)
        if transport is not None and not callable(transport):
            raise ConfigurationError(
                "transport must be a function that creates a transport", param="transport"
            )
        if transport is not None and (proxy is not None or verify is not None):
            raise ConfigurationError("proxy and verify have no effect with transport")
        self._network = Network(proxy=proxy, verify=verify)
        self._own_transport = transport is not None
        self._app = app
        self._seed = seed
        self._clock = clock or SystemClock()
        self._exchange = partial(
            oauth.exchange,
            base_url=_config.base_url(base_url),
            timeout=_config.validate_timeout(timeout),
            transport=transport,
            clock=self._clock,
        )
        self._ahead = _REFRESH_AHEAD_SECONDS * (1 + self._clock.random())
        self._unsaved: tuple[TokenSet, TokenSet] | None = None  # the replaced and the new tokens
        self._reset()

    def use_network_of(self, network: Network) -> None:
        """Use the proxy and the certificates of a client, unless others were given.

        The client's transport is not used, because it belongs to an event loop; its ``app_info``
        always is.

        Args:
            network: The network of the client.
        """
        others = self._own_transport or self._network != Network(app_info=self._network.app_info)
        if network.transport is None and not others:
            self._network = network
        elif network.app_info is not None:
            self._network = evolve(self._network, app_info=network.app_info)

    def __repr__(self) -> str:
        return f"RefreshingToken({self._store!r}, {self._app!r})"

    def _reset(self) -> None:
        """Reset the state, also after a fork, where the thread of a refresh does not exist."""
        self._pid = os.getpid()
        self._lock = threading.Lock()  # never held across an await
        self._token: Token | None = None
        self._stored: TokenSet | None = None
        self._in_flight: _RefreshInFlight | None = None
        self._failure: tuple[float, CallError] | None = None
        self._replacement: tuple[float, str | None] | None = None

    async def get(self) -> Token:
        """Return the current token, or a new one shortly before it expires.

        Raises:
            TokenRefreshError: No token can be returned until a new login.
            CallError: The refresh failed; the class shows why, as for other calls.
        """
        if self._pid != os.getpid():
            self._reset()
        token, stored = self._token, self._stored
        if token is not None and stored is not None and not self._needs_refresh(stored):
            return token
        return await self._await_refresh(None)

    async def refresh(self, seen: Token) -> Token:
        """Return a newer token than the refused one, with one refresh for all callers.

        Raises:
            TokenRefreshError: A new login is required.
            CallError: The refresh failed; the class shows why, as for other calls.
        """
        if self._pid != os.getpid():
            self._reset()
        token = self._token
        if token is not None and token.value != seen.value:
            return token
        return await self._await_refresh(seen.value)

    async def _await_refresh(self, refused: str | None) -> Token:
        """Join or start refreshes until one returns another token than the refused one."""
        while True:
            running = self._start_or_join(refused)
            try:
                if running is None:
                    return await self._run_refresh_in_loop(refused)
                token = await wait_for(running.future)
            except CallError as error:
                raise copy.copy(error) from error  # each caller raises a separate exception object
            # A refresh that was started for another reason may return the token refused here.
            if refused in (None, running.refused) or token.value != refused:
                return token

    def _start_or_join(self, refused: str | None) -> _RefreshInFlight | None:
        """Return the running refresh or start one; None if no thread can be started."""
        with self._lock:
            if self._in_flight is not None:
                return self._in_flight
            failed = self._recent_failure(refused)
            if failed is not None:
                return _RefreshInFlight(refused, failed)
            try:
                future = start_in_thread(partial(self._run_refresh, refused), done=self._on_done)
            except RuntimeError as error:  # as in Python 3.12 after the end of the main thread
                if not _threads.no_thread_started(error):
                    raise
                return None
            self._in_flight = _RefreshInFlight(refused, future)
            return self._in_flight

    def _recent_failure(self, refused: str | None) -> Future[Token] | None:
        """Return the result of a refresh that failed recently."""
        if self._failure is None or self._clock.monotonic() >= self._failure[0]:
            return None
        return self._fallback(self._failure[1], refused)

    def _fallback(self, error: CallError, refused: str | None) -> Future[Token]:
        """Return the old token while it is valid, else the failure."""
        future: Future[Token] = Future()
        stored, token = self._stored, self._token
        valid = stored is not None and not stored.expired(self._clock.time())
        if valid and token is not None and token.value != refused:
            future.set_result(token)
        else:
            future.set_exception(error)
        return future

    def _run_refresh(self, refused: str | None) -> Token:
        """Load a newer token or refresh it, in the thread of a refresh.

        Raises:
            CallError: The refresh failed and the old token is not valid.
        """
        try:
            with self._tokens_or_exchange(refused) as newer:
                tokens = newer if isinstance(newer, TokenSet) else _threads.run(newer)
            return self._set_token(tokens)
        except Exception as error:  # noqa: BLE001 - a user's store or transport may raise anything
            return self._handle_failure(error, refused)

    async def _run_refresh_in_loop(self, refused: str | None) -> Token:
        """Load a newer token or refresh it, in the running event loop, one at a time.

        Raises:
            CallError: The refresh failed and the old token is not valid.
        """
        async with _threads.lock_for(RefreshingToken):
            failed = self._recent_failure(refused)
            if failed is not None:
                return failed.result()
            try:
                with self._tokens_or_exchange(refused) as newer:
                    tokens = newer if isinstance(newer, TokenSet) else await _shielded(newer)
                return self._set_token(tokens)
            except Exception as error:  # noqa: BLE001 - as in _run_refresh
                return self._handle_failure(error, refused)

    def _handle_failure(self, error: Exception, refused: str | None) -> Token:
        """Record a failed refresh; return the old token while it is valid.

        Raises:
            CallError: The old token is not valid.
        """
        problem = _refresh_error(error)
        self._record_failure(problem)
        future = self._fallback(problem, refused)
        if future.exception() is None:
            _logger.warning("the access token could not be refreshed ahead of time: %s", problem)
        return future.result()

    def _on_done(self, _outcome: Future[Token]) -> None:
        with self._lock:
            self._in_flight = None

    def _record_failure(self, error: CallError) -> None:
        refused = isinstance(error, TokenRefreshError) and error.status in _REFUSED_STATUSES
        pause = _REFUSED_PAUSE_SECONDS if refused else _FAILURE_PAUSE_SECONDS
        with self._lock:
            self._failure = (self._clock.monotonic() + pause, error)

    def _set_token(self, tokens: TokenSet) -> Token:
        with self._lock:
            value = tokens.access_token or ""
            if self._token is None or self._token.value != value:
                generation = 1 if self._token is None else self._token.generation + 1
                self._token = Token(value, generation)
            self._stored = tokens
            self._failure = None
            return self._token

    @contextmanager
    def _tokens_or_exchange(
        self, refused: str | None
    ) -> Generator[TokenSet | Exchange, None, None]:
        """Yield newer stored tokens, or the function that exchanges for them, under the lock."""
        stored = self._load(self._store)
        if self._is_usable(stored, refused):
            yield stored  # on first use, or after a refresh by another process
            return
        if not stored.expired(self._clock.time()) and stored.access_token not in (None, refused):
            self._set_token(stored)  # the fallback if the refresh fails
        with self._store.lock() as locked:
            stored = self._load(locked)
            if self._unsaved is not None:
                stored = self._flush_unsaved(locked, stored, *self._unsaved)
            if self._is_usable(stored, refused) or self._just_replaced(refused):
                yield stored
            else:
                yield self._prepare_exchange(locked, stored, refused)

    def _just_replaced(self, refused: str | None) -> bool:
        """Return whether the refused token is the result of a recent refresh after a refusal."""
        if refused is None or self._replacement is None or self._replacement[1] != refused:
            return False
        if self._clock.monotonic() >= self._replacement[0]:
            return False
        _logger.warning(
            "Pinterest refuses an access token right after its refresh; the next refresh is"
            " possible in at most a minute"
        )
        return True

    def _prepare_exchange(
        self, locked: TokenTransaction, stored: TokenSet, refused: str | None
    ) -> Exchange:
        if not stored.refresh_token:
            raise _login_required("no refresh token is stored; log in again")
        if stored.app_id not in (None, self._app.app_id):
            raise _login_required(
                "the stored tokens belong to another app; log in again with this one"
            )
        locked.reserve()
        call = oauth.token_call(
            self._app, GrantType.REFRESH_TOKEN, {"refresh_token": stored.refresh_token}
        )

        def save(response: oauth.OAuthToken) -> TokenSet:
            tokens = stored.renewed(response, now=self._clock.time())
            self._unsaved = (stored, tokens)
            locked.save(tokens)
            self._unsaved = None
            if refused is not None:
                until = self._clock.monotonic() + _REFUSED_PAUSE_SECONDS
                self._replacement = (until, tokens.access_token)
            return tokens

        return partial(self._exchange, call, network=self._network, keep=save)

    def _flush_unsaved(
        self, locked: TokenTransaction, stored: TokenSet, old: TokenSet, new: TokenSet
    ) -> TokenSet:
        """Save tokens that could not be saved before, unless there was a login since."""
        if stored.refresh_token == old.refresh_token:
            locked.save(new)
            stored = new
        self._unsaved = None
        return stored

    def _load(self, store: TokenStore | TokenTransaction) -> TokenSet:
        stored, seed = store.load(), self._seed
        # Tokens of a login have no origin and take precedence over the environment.
        if seed is not None and (stored is None or stored.origin not in (None, seed.origin)):
            return seed
        if stored is None:
            raise _login_required(f"no tokens are stored in {self._store!r}; log in first")
        return stored

    def _is_usable(self, stored: TokenSet, refused: str | None) -> bool:
        return stored.access_token not in (None, refused) and not self._needs_refresh(stored)

    def _needs_refresh(self, stored: TokenSet) -> bool:
        ahead = self._ahead
        if stored.lifetime is not None:
            ahead = min(ahead, stored.lifetime * _REFRESH_AHEAD_RATIO)
        return stored.expired(self._clock.time(), margin=ahead)


async def _shielded(function: Callable[[], Awaitable[T]]) -> T:
    with anyio.CancelScope(shield=True):
        return await function()
    raise AssertionError  # nothing cancels the scope


def _login_required(hint: str) -> TokenRefreshError:
    """Return the error of a refresh that was not attempted, or that cannot succeed."""
    return TokenRefreshError(status=0, operation="oauth_token", hint=hint)


def _refresh_error(error: Exception) -> CallError:
    """Return the error of a refresh: an outage keeps its class, others require a new login."""
    if isinstance(error, TokenRefreshError):
        return error
    outage = outage_of(error, operation="oauth_token", what="the refresh")
    if outage is not None:
        return outage
    if isinstance(error, APIError):
        problem = TokenRefreshError(
            status=error.status,
            code=error.code,
            message=error.message,
            request_id=error.request_id,
            retry_after=error.retry_after,
            hint=error.hint,
            operation=error.operation,
            method=error.method,
            path=error.path,
            attempts=error.attempts,
        )
    elif isinstance(error, PinterestAudiencesError):
        problem = _login_required(str(error))
    else:
        problem = _login_required(f"it failed with {type(error).__name__}")
    problem.__cause__ = error
    return problem


def start_in_thread(
    work: Callable[[], T], done: Callable[[Future[T]], None] | None = None
) -> Future[T]:
    """Run a function in a non-daemon thread, immune to task cancellation.

    Args:
        work: A function that may block.
        done: Called in that thread with the result, before the returned future has it.
    """
    future: Future[T] = Future()

    def run() -> None:
        result: Future[T] = Future()
        try:
            result.set_result(work())
        except BaseException as error:  # noqa: BLE001 - passed to the future
            result.set_exception(error)
        if done is not None:
            done(result)
        problem = result.exception()
        if problem is None:
            future.set_result(result.result())
        else:
            future.set_exception(problem)

    threading.Thread(target=run, name=_THREAD_NAME, daemon=False).start()
    return future


async def wait_for(running: Future[T]) -> T:
    """Wait for a future; cancelling the wait does not cancel the work.

    Only one task of an event loop waits in a worker thread; the others wait for a lock.
    """
    if not running.done():
        async with _threads.lock_for(running):
            if not running.done():
                return await _threads.run_in_thread(running.result, abandon_on_cancel=True)
    return running.result()


def running_refreshes() -> list[threading.Thread]:
    """Return the threads of running refreshes, which the interpreter joins on exit."""
    return [thread for thread in threading.enumerate() if thread.name == _THREAD_NAME]
