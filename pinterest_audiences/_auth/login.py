"""The authorization-code flow with a loopback redirect."""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qs, urlencode, urlsplit

import anyio
import anyio.to_thread
from anyio.abc import Listener, SocketStream
from attrs import define, field

from pinterest_audiences import _config, _threads
from pinterest_audiences._auth import oauth, refresh
from pinterest_audiences._auth.stores import FileTokenStore, TokenStore
from pinterest_audiences._config import Clock, SystemClock
from pinterest_audiences._credentials import (
    AppCredentials,
    GrantType,
    OAuthToken,
    TokenSet,
    validate_token,
)
from pinterest_audiences._errors import ConfigurationError, LoginError
from pinterest_audiences._http.network import Network
from pinterest_audiences._redaction import redact

if TYPE_CHECKING:
    from pinterest_audiences._auth.refresh import TransportFactory
    from pinterest_audiences._config import BaseURL
    from pinterest_audiences._http.network import Verify

__all__ = [
    "StrayRedirectError",
    "authorization_url",
    "login",
    "loopback_address",
    "new_state",
    "parse_redirect",
    "wait_for_code",
]

_PAGE = "https://www.pinterest.com/oauth/"
_SCOPES = ("ads:read", "ads:write")  # for customer lists and audiences
_LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1"})
_MAX_HEAD_BYTES = 16 * 1024
_HEAD_END = b"\r\n\r\n"
_HEADERS = (
    "Content-Type: text/html; charset=utf-8\r\n"
    "Cache-Control: no-store\r\n"
    "Referrer-Policy: no-referrer\r\n"  # the URL of the page contains the code
    "Content-Security-Policy: default-src 'none'\r\n"
    "Connection: close\r\n"
)


class StrayRedirectError(LoginError):
    """A redirect of another login; the wait for the right one continues."""


async def login(
    app: AppCredentials,
    store: str | os.PathLike[str] | TokenStore,
    *,
    show: Callable[[str], object],
    redirect_uri: str = "http://localhost:8085/",
    scopes: Iterable[str] = _SCOPES,
    timeout: float = 300.0,  # noqa: ASYNC109 - its own error names it
    page: str | None = None,
    base_url: str | None = None,
    proxy: str | None = None,
    verify: Verify | None = None,
    transport: TransportFactory | None = None,
    clock: Clock | None = None,
) -> TokenSet:
    """Log in with a browser (authorization-code flow), and save the tokens.

    Args:
        app: The app that gets access.
        store: The store for the tokens: a path, or a :class:`TokenStore`.
        show: Called in a thread with the URL to open: ``webbrowser.open``, or ``print``.
        redirect_uri: The loopback URL that Pinterest redirects the browser to, exactly as
            registered with the app.
        scopes: The scopes to request.
        timeout: Seconds to wait for the browser.
        page: The authorization page. By default Pinterest's, or that of the emulator that a
            loopback ``base_url`` belongs to.
        base_url: The base URL of the API; as for :class:`AsyncClient`.
        proxy: The URL of a proxy for the exchange; by default that of the environment.
        verify: The trusted certificates; as for :class:`AsyncClient`.
        transport: Creates an httpx transport for the exchange, as for :class:`RefreshingToken`.
        clock: A clock for tests.

    Returns:
        The saved tokens.

    Raises:
        ConfigurationError: An argument is invalid.
        LoginError: The access was refused, or the browser did not return in time.
        TokenStoreError: The tokens cannot be saved; nothing was exchanged.
        CallError: The exchange of the code failed; the class shows why.
    """
    state, address, api = new_state(), loopback_address(redirect_uri), _config.base_url(base_url)
    url = authorization_url(
        app.app_id,
        redirect_uri=redirect_uri,
        state=state,
        scopes=scopes,
        page=page or _authorization_page(api),
    )
    wait = _config.validate_number("timeout", timeout, above=0.0)
    kept = store if isinstance(store, TokenStore) else FileTokenStore(store)
    send = partial(
        oauth.exchange,
        base_url=api,
        timeout=30.0,
        transport=transport,
        network=Network(proxy=proxy, verify=verify),
        clock=clock or SystemClock(),
    )
    parse = partial(parse_redirect, state=state)
    show_url = partial(show, url)
    call = oauth.token_call(
        app,
        GrantType.AUTHORIZATION_CODE,
        {
            "code": await wait_for_code(address, show=show_url, parse=parse, timeout=wait),
            "redirect_uri": redirect_uri,
        },
    )

    def exchange() -> TokenSet:
        with kept.lock() as locked:
            locked.reserve()

            def save(response: OAuthToken) -> TokenSet:
                now = (clock or SystemClock()).time()
                tokens = TokenSet(app_id=app.app_id).renewed(response, now=now)
                locked.save(tokens)
                return tokens

            tokens: TokenSet = _threads.run(partial(send, call, keep=save))
            return tokens

    return await refresh.wait_for(refresh.start_in_thread(exchange))


def _authorization_page(api: BaseURL) -> str:
    """Return Pinterest's authorization page, or that of an emulator on this machine."""
    parts = urlsplit(api.text)
    if not _config.is_loopback(parts.hostname or ""):
        return _PAGE
    return f"{parts.scheme}://{parts.netloc}/oauth/"


def authorization_url(
    app_id: str,
    *,
    redirect_uri: str,
    state: str,
    scopes: Iterable[str] = _SCOPES,
    page: str = _PAGE,
) -> str:
    """Return the URL of the authorization page for an app.

    Args:
        app_id: The id of the app.
        redirect_uri: The URL that Pinterest redirects the browser to, exactly as registered with
            the app.
        state: A new secret for each login, such as ``secrets.token_urlsafe(32)``;
            :func:`parse_redirect` checks it.
        scopes: The scopes to request. By default those for customer lists and audiences.
        page: Pinterest's authorization page; an emulator has another one.

    Raises:
        ConfigurationError: An argument is empty or contains white space.

    Example:
        >>> authorization_url("12", redirect_uri="http://localhost:8085/", state="s3cret")
        'https://www.pinterest.com/oauth/?client_id=12&redirect_uri=http%3A%2F%2Flocalhost%3A8085\
%2F&response_type=code&scope=ads%3Aread%2Cads%3Awrite&state=s3cret'
    """
    query = {
        "client_id": validate_token(app_id, "app_id"),
        "redirect_uri": validate_token(redirect_uri, "redirect_uri"),
        "response_type": "code",
        "scope": validate_token(",".join(scopes), "scopes"),
        "state": validate_token(state, "state"),
    }
    return f"{page}?{urlencode(query)}"


def new_state() -> str:
    """Return a new ``state``, a secret that protects a login against forged redirects."""
    return secrets.token_urlsafe(32)


def parse_redirect(url: str, *, state: str) -> str:
    """Return the authorization code in the URL that the browser was redirected to.

    Args:
        url: The whole URL, as shown by the browser.
        state: The ``state`` of the login.

    Raises:
        StrayRedirectError: It belongs to another login; a :class:`LoginError`.
        LoginError: It reports an error, or has no code.

    Example:
        >>> parse_redirect("http://localhost:8085/?code=c0de&state=s3cret", state="s3cret")
        'c0de'
    """
    try:
        query = parse_qs(urlsplit(url).query)
    except ValueError:
        raise LoginError("login: the redirect URL is invalid") from None
    values = {name: items[0] for name, items in query.items() if len(items) == 1}
    returned_state = values.get("state", "")
    # Checked first, because a redirect with another state may be forged.
    if not hmac.compare_digest(returned_state.encode(), validate_token(state, "state").encode()):
        raise StrayRedirectError(
            "login: the redirect belongs to another login (its state differs) and was ignored;"
            " log in again in one browser window"
        )
    if "error" in values:
        reason = redact(f"{values['error']} {values.get('error_description', '')}")
        raise LoginError(f"login: Pinterest refused: {reason}; log in again and allow access")
    code = values.get("code", "")
    if not code or not code.isascii() or not code.isprintable() or " " in code:
        raise LoginError("login: the redirect has no code; log in again")
    return code


def loopback_address(redirect_uri: str) -> SplitResult:
    """Return the parts of a loopback redirect URI.

    Raises:
        ConfigurationError: It is not a loopback URL.
    """
    try:
        parts = urlsplit(redirect_uri)
        valid = parts.scheme == "http" and parts.hostname in _LOOPBACK_HOSTS and parts.port != 0
    except ValueError:
        valid = False
        parts = urlsplit("")
    if not valid or parts.query or parts.fragment or parts.username is not None:
        raise ConfigurationError(
            "redirect_uri must be a loopback URL such as http://localhost:8085/; for other URLs use"
            " authorization_url() and parse_redirect()",
            param="redirect_uri",
        )
    return parts


async def wait_for_code(
    address: SplitResult,
    *,
    show: Callable[[], object],
    parse: Callable[[str], str],
    timeout: float,  # noqa: ASYNC109 - its own error names it
) -> str:
    """Wait for the redirect of the browser; return the authorization code.

    Args:
        address: The redirect URI.
        show: Called in a thread when the server listens.
        parse: Returns the code of a redirect URL, or raises a LoginError; a StrayRedirectError
            for a redirect of another login.
        timeout: Seconds to wait.

    Raises:
        LoginError: The port is in use, the redirect has an error, or the timeout expired.
    """
    listener = await _listen(address.port or 80)
    pending = _PendingCallback(parse)
    problem: Exception | None = None

    async def serve(stream: SocketStream) -> None:
        try:
            async with stream:
                await _answer(stream, address, pending)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass  # browsers open spare connections

    async with listener, anyio.create_task_group() as tasks:
        # Connections are served concurrently: a silent one must not block the redirect.
        tasks.start_soon(listener.serve, serve)
        try:
            await anyio.to_thread.run_sync(show, abandon_on_cancel=True)
        except Exception as error:  # noqa: BLE001 - a user's function may raise anything; raised below, outside the task group
            problem = error
        else:
            with anyio.move_on_after(timeout):
                await pending.arrived.wait()
        tasks.cancel_scope.cancel()
    if problem is not None:
        raise problem
    if pending.outcome is None:
        raise LoginError(
            f"login: no redirect within {timeout:g} s{_stray(pending)}; log in again, and check"
            " that the redirect URI is registered with the app at developers.pinterest.com/apps"
        )
    if isinstance(pending.outcome, LoginError):
        raise pending.outcome
    return pending.outcome


@define
class _PendingCallback:
    """A login that waits for its redirect."""

    parse: Callable[[str], str]
    arrived: anyio.Event = field(factory=anyio.Event)
    outcome: str | LoginError | None = None
    stray: StrayRedirectError | None = None

    def resolve(self, url: str) -> bool:
        """Accept a redirect URL; return whether it has a code."""
        if self.outcome is None:  # only the first one is accepted
            try:
                self.outcome = self.parse(url)
            except StrayRedirectError as error:
                self.stray = error
                return False
            except LoginError as error:
                self.outcome = error
        return isinstance(self.outcome, str)


def _stray(pending: _PendingCallback) -> str:
    return " (only the redirect of another login was received)" if pending.stray is not None else ""


async def _listen(port: int) -> Listener[SocketStream]:
    try:
        return await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port)
    except OSError as error:
        raise LoginError(
            f"login: cannot listen on 127.0.0.1:{port} ({error.strerror or type(error).__name__});"
            " stop the program that uses the port, or register a redirect URI with another port"
        ) from None


async def _answer(stream: SocketStream, address: SplitResult, pending: _PendingCallback) -> None:
    head = await _head(stream)
    method, _, rest = head.partition(" ")
    target = rest.partition(" ")[0]
    host = next(
        (line[5:].strip() for line in head.split("\r\n") if line[:5].lower() == "host:"), ""
    )
    # A different host name may be a DNS rebinding attack by another page.
    if method != "GET" or host.lower() != address.netloc.lower():
        await _send(stream, "400 Bad Request", "This is not the redirect of a login.")
    elif (path := _path(target)) is None:
        await _send(stream, "400 Bad Request", "The URL is invalid.")
    elif path != (address.path or "/"):
        await _send(stream, "404 Not Found", "Not found.")
    else:
        succeeded = pending.resolve(target)
        if pending.outcome is None:
            await _send(stream, "400 Bad Request", "This redirect belongs to another login.")
            return
        try:
            if succeeded:
                await _send(stream, "200 OK", "You may close this window.")
            else:
                await _send(
                    stream, "400 Bad Request", "The login failed; see the program that started it."
                )
        finally:
            pending.arrived.set()


def _path(target: str) -> str | None:
    try:
        return urlsplit(target).path
    except ValueError:  # brackets without an IPv6 address
        return None


async def _head(stream: SocketStream) -> str:
    data = b""
    while _HEAD_END not in data:
        if len(data) > _MAX_HEAD_BYTES:
            raise anyio.EndOfStream
        data += await stream.receive()
    return data.partition(_HEAD_END)[0].decode("latin-1")


async def _send(stream: SocketStream, status: str, text: str) -> None:
    page = f"<!doctype html><title>pinterest-audiences</title><p>{text}</p>"
    head = f"HTTP/1.1 {status}\r\n{_HEADERS}Content-Length: {len(page)}\r\n\r\n"
    await stream.send((head + page).encode())
