"""The authorization-code flow: a person says yes in a browser, and the tokens are kept."""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

from pinterest_audiences._wire import oauth, settings
from pinterest_audiences._wire.clock import Clock
from pinterest_audiences._wire.redact import redact
from pinterest_audiences.auth import flights, loopback
from pinterest_audiences.auth.credentials import AppCredentials, GrantType, OAuthToken, TokenSet
from pinterest_audiences.auth.files import FileTokenStore
from pinterest_audiences.auth.stores import TokenStore
from pinterest_audiences.auth.tokens import checked_token
from pinterest_audiences.errors import LoginError

if TYPE_CHECKING:
    from pinterest_audiences.auth.refreshing import TransportFactory

__all__ = ["authorization_url", "login", "new_state", "read_redirect"]

_PAGE = "https://www.pinterest.com/oauth/"
_SCOPES = ("ads:read", "ads:write")  # what customer lists and audiences need


def new_state() -> str:
    """Return a new state: nobody can guess it, so nobody can answer in Pinterest's place."""
    return secrets.token_urlsafe(32)


def authorization_url(
    app_id: str,
    *,
    redirect_uri: str,
    state: str,
    scopes: Iterable[str] = _SCOPES,
    page: str = _PAGE,
) -> str:
    """Return the address where a person lets an app in.

    Args:
        app_id: The app's id.
        redirect_uri: Where the browser comes back to: one of those registered with the app,
            letter by letter.
        state: A new secret for each login, like ``secrets.token_urlsafe(32)``;
            :func:`read_redirect` looks for it.
        scopes: What the app may do. Without it, what customer lists and audiences need.
        page: Pinterest's page for it; an emulator has its own.

    Raises:
        ConfigurationError: An argument is empty or holds white space.

    Example:
        >>> authorization_url("12", redirect_uri="http://localhost:8085/", state="s3cret")
        'https://www.pinterest.com/oauth/?client_id=12&redirect_uri=http%3A%2F%2Flocalhost%3A8085\
%2F&response_type=code&scope=ads%3Aread%2Cads%3Awrite&state=s3cret'
    """
    query = {
        "client_id": checked_token(app_id, "app_id"),
        "redirect_uri": checked_token(redirect_uri, "redirect_uri"),
        "response_type": "code",
        "scope": checked_token(",".join(scopes), "scopes"),
        "state": checked_token(state, "state"),
    }
    return f"{page}?{urlencode(query)}"


def read_redirect(url: str, *, state: str) -> str:
    """Return the code in the address that the browser came back to.

    Args:
        url: The whole address, as the browser shows it.
        state: The one that the login was begun with.

    Raises:
        LoginError: It answers another login, tells an error, or holds no code.

    Example:
        >>> read_redirect("http://localhost:8085/?code=c0de&state=s3cret", state="s3cret")
        'c0de'
    """
    try:
        query = parse_qs(urlsplit(url).query)
    except ValueError:
        raise LoginError("login: the address that the browser came back to is none") from None
    values = {name: found[0] for name, found in query.items() if len(found) == 1}
    came = values.get("state", "")
    # Before all else: what comes with another state may be of anybody's making.
    if not hmac.compare_digest(came.encode(), checked_token(state, "state").encode()):
        raise LoginError(
            "login: the answer belongs to another login (its state is not the one that was sent);"
            " nothing was taken from it; log in again, in one browser window"
        )
    if "error" in values:
        told = redact(f"{values['error']} {values.get('error_description', '')}")
        raise LoginError(f"login: Pinterest refused: {told}; log in again, and allow the access")
    code = values.get("code", "")
    if not code or not code.isascii() or not code.isprintable() or " " in code:
        raise LoginError("login: the browser came back without a code; log in again")
    return code


async def login(
    app: AppCredentials,
    store: str | os.PathLike[str] | TokenStore,
    *,
    show: Callable[[str], object],
    redirect_uri: str = "http://localhost:8085/",
    scopes: Iterable[str] = _SCOPES,
    timeout: float = 300.0,  # noqa: ASYNC109 - said in the error's words
    page: str = _PAGE,
    base_url: str | None = None,
    transport: TransportFactory | None = None,
    clock: Clock | None = None,
) -> TokenSet:
    """Log in: wait for a person's browser to come back, and keep the tokens.

    Args:
        app: The app that is let in.
        store: Where the tokens are kept: a path, or a :class:`TokenStore`.
        show: Called with the address to visit, in a thread: ``webbrowser.open``, or ``print``.
        redirect_uri: Where the browser comes back to on this machine: one of those registered
            with the app, letter by letter.
        scopes: What the app may do.
        timeout: How many seconds the person may take.
        page: Pinterest's page where access is allowed; an emulator has its own.
        base_url: Where the API is; as for :class:`AsyncClient`.
        transport: Makes an httpx transport for the exchange, as for :class:`RefreshingToken`.
        clock: Where time and chance come from; for tests.

    Returns:
        What is kept now.

    Raises:
        ConfigurationError: An argument cannot work.
        LoginError: The person refused or did not come back, or another login's answer came.
        TokenStoreError: The tokens cannot be kept; nothing was exchanged.
        CallError: Pinterest did not exchange the code; which kind tells why.
    """
    state, place = new_state(), loopback.loopback_address(redirect_uri)
    url = authorization_url(
        app.app_id, redirect_uri=redirect_uri, state=state, scopes=scopes, page=page
    )
    wait = settings.number("timeout", timeout, above=0.0)
    kept = store if isinstance(store, TokenStore) else FileTokenStore(store)
    send = partial(
        oauth.exchange,
        base_url=settings.base_url(base_url),
        timeout=30.0,
        transport=transport,
        clock=clock or Clock(),
    )
    code = await loopback.returned_code(
        place, show=partial(show, url), judge=partial(read_redirect, state=state), patience=wait
    )
    call = oauth.token_call(
        app, GrantType.AUTHORIZATION_CODE, {"code": code, "redirect_uri": redirect_uri}
    )

    def exchange() -> TokenSet:
        with kept.lock() as locked:
            locked.reserve()

            def keep(answer: OAuthToken) -> TokenSet:
                now = (clock or Clock()).time()
                tokens = TokenSet(app_id=app.app_id).renewed(answer, now=now)
                locked.save(tokens)
                return tokens

            return send(call, keep=keep)

    return await flights.landed(flights.start(exchange))
