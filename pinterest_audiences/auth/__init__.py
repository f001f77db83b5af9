"""Where access tokens come from, how they are kept, and how they stay alive.

Importing it loads nothing else; each name is loaded when it is first touched (PEP 562), so that a
client with a token at hand does not pay for files, locks and logins.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pinterest_audiences.auth.credentials import (
        AppCredentials,
        GrantType,
        OAuthToken,
        TokenSet,
        TokenTypeHint,
    )
    from pinterest_audiences.auth.environment import token_from_environment
    from pinterest_audiences.auth.files import FileTokenStore
    from pinterest_audiences.auth.keyring import KeyringTokenStore
    from pinterest_audiences.auth.login import authorization_url, login, read_redirect
    from pinterest_audiences.auth.refreshing import RefreshingToken
    from pinterest_audiences.auth.stores import LockedTokens, MemoryTokenStore, TokenStore
    from pinterest_audiences.auth.tokens import (
        CallableToken,
        NoToken,
        StaticToken,
        Token,
        TokenSource,
    )

__all__ = [
    "AppCredentials",
    "CallableToken",
    "FileTokenStore",
    "GrantType",
    "KeyringTokenStore",
    "LockedTokens",
    "MemoryTokenStore",
    "NoToken",
    "OAuthToken",
    "RefreshingToken",
    "StaticToken",
    "Token",
    "TokenSet",
    "TokenSource",
    "TokenStore",
    "TokenTypeHint",
    "authorization_url",
    "login",
    "read_redirect",
    "token_from_environment",
]

_HOMES = {
    "credentials": ("AppCredentials", "GrantType", "OAuthToken", "TokenSet", "TokenTypeHint"),
    "environment": ("token_from_environment",),
    "files": ("FileTokenStore",),
    "keyring": ("KeyringTokenStore",),
    "login": ("authorization_url", "login", "read_redirect"),
    "refreshing": ("RefreshingToken",),
    "stores": ("LockedTokens", "MemoryTokenStore", "TokenStore"),
    "tokens": ("CallableToken", "NoToken", "StaticToken", "Token", "TokenSource"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
