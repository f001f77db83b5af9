"""``auth login|status|refresh|logout``."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import anyio
from cyclopts import Parameter

from pinterest_audiences.auth.credentials import AppCredentials, TokenSet
from pinterest_audiences.auth.refreshing import RefreshingToken
from pinterest_audiences.auth.tokens import checked_token
from pinterest_audiences.cli.context import Context
from pinterest_audiences.cli.credentials import Credentials, no_credentials
from pinterest_audiences.cli.embedded import Embedded, embedded
from pinterest_audiences.cli.exits import Exit
from pinterest_audiences.cli.options import COMMON, Common, Flag, Given
from pinterest_audiences.cli.refusals import CommandError, usage

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from pinterest_audiences.models import JSON

__all__ = ["login", "logout", "refresh", "status"]

_SCOPES = "ads:read,ads:write,user_accounts:read"


def login(
    *,
    app_id: str | None = None,
    redirect_uri: str = "http://localhost:8085/",
    scopes: str = _SCOPES,
    timeout: float = 300.0,
    browser: Annotated[bool, Parameter(negative="--no-browser")] = True,
    token_stdin: Flag = False,
    common: Common = COMMON,
    context: Given,
) -> None:
    """Let an app in with the browser, and keep its tokens; or keep a token of your own.

    The app's secret is asked for, or read from PINTEREST_APP_SECRET or PINTEREST_APP_SECRET_FILE,
    or from the profile's app_secret_file.

    Args:
        app_id: The app's id; else PINTEREST_APP_ID, or the profile's.
        redirect_uri: Where the browser comes back to: one of those registered with the app.
        scopes: What the app may do.
        timeout: How many seconds you may take.
        browser: Open a browser; without it the address is only shown.
        token_stdin: Keep an access token that is read from standard input, instead.
        common: Options of every command.
        context: What the command works with.
    """
    with _place(context) as place:
        credentials = context.credentials(place)
        if token_stdin:
            token = _token_on_stdin()
            with credentials.store.lock() as store:
                store.reserve()
                store.save(TokenSet(access_token=token))
        else:
            app = _app(context, credentials, app_id)
            wanted = [each for each in scopes.replace(",", " ").split() if each]
            if not wanted:
                raise usage("--scopes: at least one is needed")
            _log_in(
                context,
                credentials,
                app,
                place,
                redirect_uri=redirect_uri,
                scopes=wanted,
                timeout=timeout,
                browser=browser,
            )
    if credentials.environment_first:
        context.screen.warn("the environment holds a token too, and it goes before the login")
    context.out.row(_told(context, credentials))


def status(*, common: Common = COMMON, context: Given) -> Exit:
    """Tell which credentials a command would use, and until when they are good; asks nobody.

    Args:
        common: Options of every command.
        context: What the command works with.
    """
    credentials = context.credentials()
    told = _told(context, credentials)
    context.out.row(told)
    if told["source"] is None:
        raise no_credentials()
    credentials.source()  # what cannot be used is told, as the commands would
    return Exit.CREDENTIALS if told["expired"] and not told["refreshable"] else Exit.OK


def refresh(*, common: Common = COMMON, context: Given) -> None:
    """Get a new access token now; it happens by itself where it is needed.

    Args:
        common: Options of every command.
        context: What the command works with.

    Raises:
        CommandError: There is nothing to refresh with.
    """
    with _place(context) as place:
        credentials = context.credentials(place)
        source = credentials.source()
        if not isinstance(source, RefreshingToken):
            raise CommandError(
                "there is nothing to refresh with: a login and its app are needed",
                code="not_refreshable",
                exit=Exit.CREDENTIALS,
                hint="`auth login`, with PINTEREST_APP_ID and PINTEREST_APP_SECRET set",
            )
        anyio.run(_refreshed, source)
    context.out.row(_told(context, credentials))


def logout(*, common: Common = COMMON, context: Given) -> None:
    """Forget the tokens of a login; Pinterest is not told.

    Args:
        common: Options of every command.
        context: What the command works with.
    """
    credentials = context.credentials()
    with credentials.store.lock() as store:
        there = store.load() is not None
        store.delete()
    if credentials.from_environment:
        context.screen.warn("the environment still holds a token")
    context.out.row({"store": str(credentials.store.path), "deleted": there})


async def _refreshed(source: RefreshingToken) -> None:
    seen = await source.get()
    await source.refresh(seen)


def _log_in(
    context: Context,
    credentials: Credentials,
    app: AppCredentials,
    place: Embedded | None,
    *,
    redirect_uri: str,
    scopes: list[str],
    timeout: float,
    browser: bool,
) -> None:
    from pinterest_audiences.auth.login import login as log_in  # noqa: PLC0415 - when used

    show = _show(context, browser=browser) if place is None else place.allow

    async def run() -> None:
        await log_in(
            app,
            credentials.store,
            show=show,
            redirect_uri=redirect_uri,
            scopes=scopes,
            timeout=timeout,
            base_url=context.base_url,
            transport=None if place is None else place.transport,
        )

    anyio.run(run)


def _place(context: Context) -> AbstractContextManager[Embedded | None]:
    return embedded(context.emulator_file) if context.emulated else nullcontext()


def _token_on_stdin() -> str:
    try:
        line = sys.stdin.readline().strip()
    except UnicodeDecodeError:
        raise usage("standard input: it is not text") from None
    if not line:
        raise usage("standard input: it is empty, or its first line is; a token is needed")
    return checked_token(line, "standard input")


def _app(context: Context, credentials: Credentials, app_id: str | None) -> AppCredentials:
    app = credentials.app(app_id)
    if app is not None:
        return app
    known = credentials.app_id(app_id)
    if known is None:
        raise CommandError(
            "no app: say --app-id, or set PINTEREST_APP_ID, or write app_id in the profile",
            code="no_app",
            exit=Exit.CREDENTIALS,
            hint="apps are made at https://developers.pinterest.com/apps/",
        )
    if not sys.stdin.isatty():
        raise CommandError(
            "no app secret: set PINTEREST_APP_SECRET or PINTEREST_APP_SECRET_FILE",
            code="no_app",
            exit=Exit.CREDENTIALS,
        )
    from getpass import getpass  # noqa: PLC0415 - for a person

    try:
        secret = getpass("The app's secret (it is not shown): ", context.screen.stream)
    except EOFError:
        raise CommandError(
            "no app secret: nothing was typed", code="no_app", exit=Exit.CREDENTIALS
        ) from None
    return AppCredentials(known, secret)


def _show(context: Context, *, browser: bool) -> Callable[[str], object]:
    def show(url: str) -> None:
        context.screen.write(f"Allow the access at:\n{url}")
        if browser:
            import webbrowser  # noqa: PLC0415 - for a person

            webbrowser.open(url)

    return show


def _told(context: Context, credentials: Credentials) -> dict[str, JSON]:
    """Say what is known of credentials; no token and no secret is in it."""
    kept = None if credentials.environment_first else credentials.store.load()
    now = time.time()
    return {
        "source": _source(context, credentials, kept),
        "store": str(credentials.store.path) if kept is not None else None,
        "app_id": credentials.app_id() if kept is None else kept.app_id or credentials.app_id(),
        "expires_at": _time(None if kept is None else kept.expires_at),
        "expired": kept is not None and kept.expired(now),
        "refreshable": _refreshable(credentials, kept),
        "refresh_expires_at": _time(None if kept is None else kept.refresh_expires_at),
        "scope": None if kept is None else kept.scope,
    }


def _source(context: Context, credentials: Credentials, kept: TokenSet | None) -> str | None:
    if credentials.environment_first:
        return "environment"
    if kept is not None:
        return "login"
    if context.emulated:
        return "emulator"
    return "profile" if context.profile.access_token_file else None


def _refreshable(credentials: Credentials, kept: TokenSet | None) -> bool:
    if credentials.environment_first:
        names = ("PINTEREST_REFRESH_ACCESS_TOKEN", "PINTEREST_REFRESH_ACCESS_TOKEN_FILE")
        return any(os.environ.get(name) for name in names)
    return kept is not None and bool(kept.refresh_token) and credentials.app() is not None


def _time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")
