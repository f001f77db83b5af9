"""The seam between clients and tokens, and the sources that need nothing else.

A :class:`TokenSource` gives the token of the moment and, when Pinterest has refused it as expired,
a new one. The session asks for a new one at most once a call.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable
from typing import Protocol, runtime_checkable

import anyio
from attrs import field, frozen

from pinterest_audiences.auth.secret import Secret
from pinterest_audiences.errors import ConfigurationError, TokenRefreshError

__all__ = ["CallableToken", "NoToken", "StaticToken", "Token", "TokenSource", "checked_token"]

_TOKEN = re.compile(r"[\x21-\x7e]+")


@frozen
class Token(Secret):
    """An access token. Its ``repr`` does not show the value, and it cannot be pickled.

    Attributes:
        value: What goes behind ``Bearer``.
        generation: Counts up with every refresh, so that of many calls whose token expired
            together only the first fetches a new one.
    """

    value: str = field(repr=False)
    generation: int = 0


@runtime_checkable
class TokenSource(Protocol):
    """Anything that gives access tokens; hand one to a client as its ``access_token``."""

    async def get(self) -> Token:
        """Return the token of the moment.

        Raises:
            TokenRefreshError: There is none.
        """
        ...

    async def refresh(self, seen: Token) -> Token:
        """Return a newer token than the one that was refused, or that same one if there is none.

        Args:
            seen: The token that Pinterest refused.

        Raises:
            TokenRefreshError: A new one could not be had.
        """
        ...


class StaticToken(Secret):
    """One token that never changes.

    Args:
        value: The access token: printable ASCII without spaces or line breaks.

    Raises:
        ConfigurationError: It is empty, or holds something that no token holds.
    """

    def __init__(self, value: str) -> None:
        self._token = Token(checked_token(value))

    async def get(self) -> Token:
        """Return it."""
        return self._token

    async def refresh(self, seen: Token) -> Token:  # noqa: ARG002 - the protocol's
        """Return the same token: there is no other."""
        return self._token


class NoToken:
    """For a client that only logs in: its OAuth calls need no access token, all others fail.

    Example:
        >>> from pinterest_audiences import Client
        >>> with Client(NoToken()) as client:
        ...     client.customer_lists_get("549755885175", "643")
        Traceback (most recent call last):
        ...
        pinterest_audiences.errors.TokenRefreshError: customer_lists_get: 401 Unauthorized; this \
client has no access token, by choice: NoToken()
    """

    async def get(self) -> Token:
        """Refuse.

        Raises:
            TokenRefreshError: Always.
        """
        raise TokenRefreshError(
            status=401,
            operation="access_token",
            hint="this client has no access token, by choice: NoToken()",
        )

    async def refresh(self, seen: Token) -> Token:
        """Return the same token."""
        return seen


class CallableToken(Secret):
    """Tokens from a function, called at first use and whenever Pinterest refuses the last one.

    Args:
        fetch: Returns an access token, or an awaitable of one. It runs in the event loop, so
            what takes time should be awaitable.

    Example:
        >>> source = CallableToken(lambda: "pina_from_a_vault")
        >>> import anyio
        >>> anyio.run(source.get)
        Token(generation=1)
    """

    def __init__(self, fetch: Callable[[], str | Awaitable[str]]) -> None:
        self._fetch = fetch
        self._token: Token | None = None
        self._lock = anyio.Lock()

    async def get(self) -> Token:
        """Return the last token, or fetch the first.

        Raises:
            TokenRefreshError: The function failed, or returned something that is no token.
        """
        return self._token or await self.refresh(Token("", 0))

    async def refresh(self, seen: Token) -> Token:
        """Fetch a new token, once for all who saw the same one refused.

        Raises:
            TokenRefreshError: The function failed, or returned something that is no token.
        """
        async with self._lock:
            if self._token is None or self._token.generation <= seen.generation:
                self._token = Token(await self._fetched(), seen.generation + 1)
            return self._token

    async def _fetched(self) -> str:
        try:
            value = self._fetch()
            return checked_token(await value if inspect.isawaitable(value) else value)
        except Exception as error:  # the function is the caller's and may raise anything
            raise TokenRefreshError(
                status=401,
                operation="access_token",
                hint=f"the function that gives the token failed with {type(error).__name__}",
            ) from error


def checked_token(value: object, name: str = "access_token") -> str:
    """Return the token if it can be one.

    Args:
        value: What may be a token, or another secret that is sent in a header or form.
        name: What to call it in the error.

    Raises:
        ConfigurationError: It cannot; the text does not show it.
    """
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise ConfigurationError(f"{name}: printable ASCII without spaces or line breaks is needed")
    return value
