"""Which token source a client has: the one that it was given, or what the environment says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pinterest_audiences import auth  # what the environment needs is loaded if it is asked
from pinterest_audiences.auth.tokens import CallableToken, StaticToken, TokenSource
from pinterest_audiences.errors import ConfigurationError

__all__ = ["token_source"]


def token_source(
    given: str | TokenSource | Callable[[], str | Awaitable[str]] | None,
    base_url: str | None = None,
    *,
    own_transport: bool = False,
) -> TokenSource:
    """Choose where the tokens of a client come from: the argument, or the environment.

    Args:
        given: What the client was given.
        base_url: Where its API is.
        own_transport: Whether it was given a transport, which a refresh cannot share.

    Raises:
        ConfigurationError: There is none, or it cannot be a token.
    """
    if given is None:
        found = auth.token_from_environment(base_url=base_url)
        if own_transport and not isinstance(found, StaticToken | CallableToken):
            raise ConfigurationError(
                "access_token: a refresh would not go through transport=; pass"
                " access_token=token_from_environment(transport=...)"
            )
        return found
    if isinstance(given, TokenSource):
        return given
    return CallableToken(given) if callable(given) else StaticToken(given)
