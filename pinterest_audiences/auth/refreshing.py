"""A token source that refreshes: ahead of time and when refused, once, whoever asks."""

from __future__ import annotations

import copy
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from attrs import frozen

from pinterest_audiences._wire import oauth, settings
from pinterest_audiences._wire.clock import Clock
from pinterest_audiences.auth import flights
from pinterest_audiences.auth.credentials import AppCredentials, GrantType, TokenSet
from pinterest_audiences.auth.files import FileTokenStore
from pinterest_audiences.auth.secret import Secret
from pinterest_audiences.auth.stores import LockedTokens, TokenStore
from pinterest_audiences.auth.tokens import Token
from pinterest_audiences.errors import (
    APIError,
    ConfigurationError,
    PinterestAudiencesError,
    TokenRefreshError,
)

if TYPE_CHECKING:
    import httpx

__all__ = ["RefreshingToken"]

_logger = logging.getLogger("pinterest_audiences")

_AHEAD = 300.0  # seconds before the end that a token is refreshed; up to twice that, by chance
_SHARE = 0.1  # of its life at most, for tokens that live shortly
_PAUSE = 10.0  # seconds that a failure is remembered: long enough for all who wait at once
_PAUSE_WHEN_REFUSED = 60.0  # a second time will be refused too
_REFUSED = frozenset({400, 401, 403})

TransportFactory: TypeAlias = "Callable[[], httpx.AsyncBaseTransport]"


@frozen
class _Flight:
    """A refresh under way, and the token that its first asker saw refused."""

    refused: str | None
    outcome: Future[Token]


class RefreshingToken(Secret):
    """Access tokens from a store, refreshed before they end and when Pinterest refuses them.

    One refresh serves every task, thread and process that shares the store: who comes later finds
    the new token there. It runs in a thread of its own, so that no cancellation stops it, and the
    new refresh token is safe in the store before the new access token is used. While the old
    access token is still good, a failure to refresh it early is only logged.

    Args:
        store: Where the tokens of the login are kept: a path, or a :class:`TokenStore`.
        app: The app that the login was made for.
        seed: Tokens to begin with where the store is empty, or was begun with other ones.
        base_url: Where the API is; as for :class:`AsyncClient`.
        timeout: Seconds for each attempt; as for :class:`AsyncClient`.
        transport: Makes an httpx transport for each refresh: the place for a proxy or a CA of
            your own. It is a function, for a refresh has an event loop of its own. Without it the
            environment counts, as in httpx (``HTTPS_PROXY``, ``SSL_CERT_FILE``).
        clock: Where time and chance come from; for tests.

    Raises:
        ConfigurationError: An argument cannot work.

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
        transport: TransportFactory | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._store = store if isinstance(store, TokenStore) else FileTokenStore(store)
        if transport is not None and not callable(transport):
            raise ConfigurationError("transport: a function that makes a transport is needed here")
        self._app = app
        self._seed = seed
        self._clock = clock or Clock()
        self._exchange = partial(
            oauth.exchange,
            base_url=settings.base_url(base_url),
            timeout=settings.timeout(timeout),
            transport=transport,
            clock=self._clock,
        )
        self._ahead = _AHEAD * (1 + self._clock.random())
        self._unsaved: tuple[TokenSet, TokenSet] | None = None  # what it replaces, and what it is
        self._forget()

    def __repr__(self) -> str:
        return f"RefreshingToken({self._store!r}, {self._app!r})"

    def _forget(self) -> None:
        """Begin anew, as after fork(): there the thread of a refresh does not exist."""
        self._pid = os.getpid()
        self._guard = threading.Lock()  # held for moments, never while something is awaited
        self._token: Token | None = None
        self._kept: TokenSet | None = None
        self._flight: _Flight | None = None
        self._failure: tuple[float, TokenRefreshError] | None = None

    async def get(self) -> Token:
        """Return the token of the moment, and a new one shortly before its end.

        Raises:
            TokenRefreshError: There is none, and none could be had.
        """
        if self._pid != os.getpid():
            self._forget()
        token, kept = self._token, self._kept
        if token is not None and kept is not None and not self._due(kept):
            return token
        return await self._renewed(None)

    async def refresh(self, seen: Token) -> Token:
        """Return a newer token than the one that was refused, once for all who saw it refused.

        Raises:
            TokenRefreshError: None could be had; the text says whether to log in again.
        """
        if self._pid != os.getpid():
            self._forget()
        token = self._token
        if token is not None and token.value != seen.value:
            return token
        return await self._renewed(seen.value)

    async def _renewed(self, refused: str | None) -> Token:
        while True:
            flight = self._join(refused)
            try:
                token = await flights.landed(flight.outcome)
            except TokenRefreshError as error:
                raise copy.copy(error) from error  # each who waits raises one of his own
            # A flight that set out for another reason may come back with what was refused here.
            if refused in (None, flight.refused) or token.value != refused:
                return token

    def _join(self, refused: str | None) -> _Flight:
        """Return the refresh that is under way, or begin one."""
        with self._guard:
            if self._flight is not None:
                return self._flight
            if self._failure is not None and self._clock.monotonic() < self._failure[0]:
                return _Flight(refused, self._after(self._failure[1], refused))
            self._flight = _Flight(
                refused, flights.start(partial(self._fly, refused), done=self._land)
            )
            return self._flight

    def _after(self, error: TokenRefreshError, refused: str | None) -> Future[Token]:
        """Answer from what is known: the old token while it is good, or the failure."""
        outcome: Future[Token] = Future()
        kept, token = self._kept, self._token
        good = kept is not None and not kept.expired(self._clock.time())
        if good and token is not None and token.value != refused:
            outcome.set_result(token)
        else:
            outcome.set_exception(error)
        return outcome

    def _fly(self, refused: str | None) -> Token:
        """Find or make a newer token; in a thread of its own.

        Raises:
            TokenRefreshError: There is none.
        """
        try:
            return self._publish(self._find(refused))
        except Exception as error:  # noqa: BLE001 - a store or transport of the caller's may raise anything
            problem = _refresh_error(error)
            self._remember(problem)
            outcome = self._after(problem, refused)
            if outcome.exception() is None:
                _logger.warning(
                    "the access token could not be refreshed ahead of time: %s", problem
                )
            return outcome.result()

    def _land(self, _outcome: Future[Token]) -> None:
        with self._guard:
            self._flight = None

    def _remember(self, error: TokenRefreshError) -> None:
        refused = isinstance(error.__cause__, APIError) and error.status in _REFUSED
        pause = _PAUSE_WHEN_REFUSED if refused else _PAUSE
        with self._guard:
            self._failure = (self._clock.monotonic() + pause, error)

    def _publish(self, tokens: TokenSet) -> Token:
        with self._guard:
            value = tokens.access_token or ""
            if self._token is None or self._token.value != value:
                generation = 1 if self._token is None else self._token.generation + 1
                self._token = Token(value, generation)
            self._kept = tokens
            self._failure = None
            return self._token

    def _find(self, refused: str | None) -> TokenSet:
        kept = self._load(self._store)
        if self._usable(kept, refused):
            return kept  # at the start, or another process was first
        if not kept.expired(self._clock.time()) and kept.access_token not in (None, refused):
            self._publish(kept)  # to be gone on with if the refresh fails
        with self._store.lock() as locked:
            kept = self._load(locked)
            if self._unsaved is not None:
                kept = self._save_at_last(locked, kept, *self._unsaved)
            if self._usable(kept, refused):
                return kept
            return self._exchanged(locked, kept)

    def _exchanged(self, locked: LockedTokens, kept: TokenSet) -> TokenSet:
        if not kept.refresh_token:
            raise _hinted("no refresh token is kept: log in again")
        if kept.app_id not in (None, self._app.app_id):
            raise _hinted("the tokens kept are another app's: log in again with this one")
        locked.reserve()
        call = oauth.token_call(
            self._app, GrantType.REFRESH_TOKEN, {"refresh_token": kept.refresh_token}
        )

        def keep(answer: oauth.OAuthToken) -> TokenSet:
            tokens = kept.renewed(answer, now=self._clock.time())
            self._unsaved = (kept, tokens)
            locked.save(tokens)
            self._unsaved = None
            return tokens

        return self._exchange(call, keep=keep)

    def _save_at_last(
        self, locked: LockedTokens, kept: TokenSet, old: TokenSet, new: TokenSet
    ) -> TokenSet:
        """Save what could not be saved before, unless somebody has logged in since."""
        if kept.refresh_token == old.refresh_token:
            locked.save(new)
            kept = new
        self._unsaved = None
        return kept

    def _load(self, store: TokenStore | LockedTokens) -> TokenSet:
        kept, seed = store.load(), self._seed
        # What was logged in to has no origin, and goes before what the environment says.
        if seed is not None and (kept is None or kept.origin not in (None, seed.origin)):
            return seed
        if kept is None:
            raise _hinted(f"no tokens are kept in {self._store!r}: log in first")
        return kept

    def _usable(self, kept: TokenSet, refused: str | None) -> bool:
        return kept.access_token not in (None, refused) and not self._due(kept)

    def _due(self, kept: TokenSet) -> bool:
        ahead = self._ahead if kept.lifetime is None else min(self._ahead, kept.lifetime * _SHARE)
        return kept.expired(self._clock.time(), margin=ahead)


def _hinted(hint: str) -> TokenRefreshError:
    return TokenRefreshError(status=401, operation="oauth_token", hint=hint)


def _refresh_error(error: Exception) -> TokenRefreshError:
    if isinstance(error, TokenRefreshError):
        return error
    if not isinstance(error, APIError):
        known = isinstance(error, PinterestAudiencesError)
        problem = _hinted(str(error) if known else f"it failed with {type(error).__name__}")
    else:
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
    problem.__cause__ = error
    return problem
