"""Tokens from the environment, in the variables that Pinterest's own SDK reads."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pinterest_audiences.auth.credentials import AppCredentials, TokenSet, fingerprint
from pinterest_audiences.auth.files import FileTokenStore
from pinterest_audiences.auth.refreshing import RefreshingToken
from pinterest_audiences.auth.stores import MemoryTokenStore
from pinterest_audiences.auth.tokens import (
    CallableToken,
    StaticToken,
    TokenSource,
    checked_token,
)
from pinterest_audiences.errors import ConfigurationError

if TYPE_CHECKING:
    from pinterest_audiences._wire.clock import Clock
    from pinterest_audiences.auth.refreshing import TransportFactory

__all__ = ["token_from_environment"]

_ACCESS = "PINTEREST_ACCESS_TOKEN"
_REFRESH = "PINTEREST_REFRESH_ACCESS_TOKEN"
_APP_ID, _APP_SECRET = "PINTEREST_APP_ID", "PINTEREST_APP_SECRET"
_STORE = "PINTEREST_TOKEN_STORE"
_LARGEST = 1 << 16


def token_from_environment(
    *,
    app: AppCredentials | None = None,
    base_url: str | None = None,
    timeout: float | None = 30.0,
    transport: TransportFactory | None = None,
    clock: Clock | None = None,
) -> TokenSource:
    """Make a token source of the environment, as clients do that are given no token.

    ``PINTEREST_ACCESS_TOKEN`` alone is used until Pinterest refuses it. With
    ``PINTEREST_REFRESH_ACCESS_TOKEN`` (or a login in the file ``PINTEREST_TOKEN_STORE``),
    ``PINTEREST_APP_ID`` and ``PINTEREST_APP_SECRET`` it is refreshed. Each of the four may be in
    a file instead, which the same name with ``_FILE`` behind it leads to.

    Pinterest may replace the refresh token at each refresh, and the environment cannot keep the
    new one: set ``PINTEREST_TOKEN_STORE`` to a file that can. While that file holds no login, or
    no app is known, an access token of the environment is used as it is.

    Args:
        app: The app, where the environment does not name one.
        base_url: As for :class:`RefreshingToken`, like all further arguments.
        timeout: Seconds for each attempt to refresh.
        transport: Makes an httpx transport for each refresh.
        clock: Where time and chance come from; for tests.

    Raises:
        ConfigurationError: A variable is missing, or cannot work; the text names it.
        TokenStoreError: The file that it leads to cannot be read.
    """
    access, refresh = _value(_ACCESS), _value(_REFRESH)
    store = os.environ.get(_STORE)
    if not refresh and (not store or (access and not _has_login(store, app))):
        return _fixed(access)
    seed = None
    if refresh:
        seed = TokenSet(access_token=access, refresh_token=refresh, origin=fingerprint(refresh))
    return RefreshingToken(
        FileTokenStore(store) if store else MemoryTokenStore(seed),
        _app(app),
        seed=seed,
        base_url=base_url,
        timeout=timeout,
        transport=transport,
        clock=clock,
    )


def _fixed(access: str | None) -> TokenSource:
    if access is None:
        raise ConfigurationError(
            f"no access token: pass access_token=, or set {_ACCESS} (or {_REFRESH} with"
            f" {_APP_ID} and {_APP_SECRET})"
        )
    path = os.environ.get(f"{_ACCESS}_FILE")
    # Who keeps secrets in files replaces them there: a token that is refused is read again.
    return CallableToken(partial(_read, f"{_ACCESS}_FILE", path)) if path else StaticToken(access)


def _has_login(store: str, app: AppCredentials | None) -> bool:
    """Tell whether a file holds a login, and anything to refresh it with is there.

    Half of an app is a mistake, and told as one.
    """
    if app is None and _value(_APP_ID) is None and _value(_APP_SECRET) is None:
        return False
    _app(app)
    return FileTokenStore(store).load() is not None


def _app(given: AppCredentials | None) -> AppCredentials:
    app_id, app_secret = _value(_APP_ID), _value(_APP_SECRET)
    if app_id is None or app_secret is None:
        if given is not None:
            return given
        found = {_APP_ID: app_id, _APP_SECRET: app_secret}
        missing = [name for name, value in found.items() if value is None]
        raise ConfigurationError(
            f"tokens cannot be refreshed without {' and '.join(missing)}: set what is missing, or"
            f" unset {_REFRESH} and {_STORE}"
        )
    return AppCredentials(app_id, app_secret)


def _value(name: str) -> str | None:
    """Return a secret of the environment, or of the file that it leads to."""
    value, path = os.environ.get(name), os.environ.get(f"{name}_FILE")
    if value and path:
        raise ConfigurationError(f"{name} and {name}_FILE are both set: unset one of them")
    if path:
        return _read(f"{name}_FILE", path)
    return checked_token(value, name) if value else None


def _read(name: str, path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            text = file.read(_LARGEST).decode("ascii", "replace").strip()
    except OSError as error:
        raise ConfigurationError(f"{name}: cannot be read ({error.strerror})") from None
    return checked_token(text, name)
