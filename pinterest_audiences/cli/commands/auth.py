"""``auth login|status|refresh|logout``."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import anyio
from cyclopts import Parameter

from pinterest_audiences._auth.refresh import RefreshingToken
from pinterest_audiences._config import DEFAULT_BASE_URL
from pinterest_audiences._credentials import AppCredentials, TokenSet, validate_token
from pinterest_audiences._errors import CallError, ConfigurationError
from pinterest_audiences._local_emulator import LocalEmulator, open_local_emulator
from pinterest_audiences.cli.context import Context, ContextArg
from pinterest_audiences.cli.error_reports import (
    CommandError,
    ExitCode,
    error_report,
    no_credentials,
    usage_error,
)
from pinterest_audiences.cli.options import DEFAULT_OPTIONS, CommonOptions, Flag

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from pinterest_audiences._auth.environment import Credentials
    from pinterest_audiences._models import JSON, AdAccount

__all__ = ["login", "logout", "refresh", "status"]

_APPS_PAGE = "https://developers.pinterest.com/apps/"
_MAX_PAGE_SIZE = 250
_ALTERNATIVES = {
    "PINTEREST_APP_ID": "or --app-id",
    "PINTEREST_APP_SECRET": "or PINTEREST_APP_SECRET_FILE",
}
_SCOPES = "ads:read,ads:write,user_accounts:read"


def login(
    *,
    app_id: str | None = None,
    redirect_uri: str = "http://localhost:8085/",
    scopes: str = _SCOPES,
    timeout: float = 300.0,
    browser: Annotated[bool, Parameter(negative="--no-browser")] = True,
    token_stdin: Flag = False,
    common: CommonOptions = DEFAULT_OPTIONS,
    context: ContextArg,
) -> None:
    """Log in with the browser, choose the ad account and write the profile.

    On a terminal it asks for what it needs: the app's id and secret (hidden), which
    https://developers.pinterest.com/apps/ shows, and the ad account if there are several.
    Elsewhere set PINTEREST_APP_ID and PINTEREST_APP_SECRET, or PINTEREST_APP_SECRET_FILE.

    Args:
        app_id: Id of the app. Default: PINTEREST_APP_ID, then the profile's.
        redirect_uri: Redirect URI, as registered with the app.
        scopes: Scopes to request.
        timeout: Seconds to wait for the browser.
        browser: Open a browser; otherwise only print the URL.
        token_stdin: Store an access token from standard input instead of logging in.
        common: Common options.
        context: Context of the command.
    """
    account = context.ad_account_or_none
    app, was_typed = None, False
    with _local_emulator(context) as emulator:
        credentials = context.credentials(emulator, warn_of_token=False)  # a warning follows
        if token_stdin:
            token = _token_from_stdin()
            with credentials.store.lock() as store:
                store.reserve()
                store.save(TokenSet(access_token=token))
        else:
            scope_list = scopes.replace(",", " ").split()
            if not scope_list:
                raise usage_error("--scopes must not be empty")
            app, was_typed = _app(context, credentials, app_id, redirect_uri)
            _log_in(
                context,
                credentials,
                app,
                emulator,
                redirect_uri=redirect_uri,
                scopes=scope_list,
                timeout=timeout,
                browser=browser,
            )
            context.done = "logged in; the profile was not written"
            if emulator is None:
                account = _choose_account(context, credentials)
        _try_to_write_profile(
            context, app if emulator is None else None, account, was_typed=was_typed
        )
    context.done = ""
    if credentials.environment_first:
        context.console.warn("the environment also has a token, which is used instead of the login")
    context.out.row(_summary(context, credentials) | {"ad_account_id": account})
    if context.out.is_human:
        context.out.command("Next", context.next_command("doctor"))


def status(*, common: CommonOptions = DEFAULT_OPTIONS, context: ContextArg) -> ExitCode:
    """Show which credentials commands would use and when they expire; makes no request.

    Args:
        common: Common options.
        context: Context of the command.
    """
    credentials = context.credentials()
    summary = _summary(context, credentials)
    context.out.row(summary)
    if summary["source"] is None:
        raise no_credentials(credentials.missing_text())
    context.token_source()  # raises the error of other commands if they cannot be used
    usable = summary["refreshable"] or not summary["expired"]
    return ExitCode.OK if usable else ExitCode.CREDENTIALS


def refresh(*, common: CommonOptions = DEFAULT_OPTIONS, context: ContextArg) -> None:
    """Refresh the access token now; commands also refresh it when necessary.

    Args:
        common: Common options.
        context: Context of the command.

    Raises:
        CommandError: The refresh token or the app is missing.
    """
    with _local_emulator(context) as emulator:
        credentials, source = context.credentials(emulator), context.token_source(emulator)
        if not isinstance(source, RefreshingToken):
            raise CommandError(
                "the token cannot be refreshed: this requires a login and its app",
                code="not_refreshable",
                exit=ExitCode.CREDENTIALS,
                hint="run `auth login` with PINTEREST_APP_ID and PINTEREST_APP_SECRET set",
            )
        anyio.run(_refresh, source)
    context.out.row(_summary(context, credentials))


def logout(*, common: CommonOptions = DEFAULT_OPTIONS, context: ContextArg) -> None:
    """Delete the stored tokens of a login; they stay valid at Pinterest.

    Args:
        common: Common options.
        context: Context of the command.
    """
    credentials = context.credentials(warn_of_token=False)  # a warning follows
    with credentials.store.lock() as store:
        existed = store.load() is not None
        store.delete()
    if credentials.from_environment:
        context.console.warn("the environment still has a token")
    context.out.row({"store": str(credentials.store.path), "deleted": existed})


async def _refresh(source: RefreshingToken) -> None:
    await source.refresh(await source.get())


def _log_in(
    context: Context,
    credentials: Credentials,
    app: AppCredentials,
    emulator: LocalEmulator | None,
    *,
    redirect_uri: str,
    scopes: list[str],
    timeout: float,
    browser: bool,
) -> None:
    from pinterest_audiences._auth.login import login as log_in  # noqa: PLC0415 - when used

    show = _show(context, browser=browser) if emulator is None else emulator.allow

    async def run() -> None:
        await log_in(
            app,
            credentials.store,
            show=show,
            redirect_uri=redirect_uri,
            scopes=scopes,
            timeout=timeout,
            base_url=context.base_url,
            transport=None if emulator is None else emulator.transport,
        )

    anyio.run(run)


def _local_emulator(context: Context) -> AbstractContextManager[LocalEmulator | None]:
    return open_local_emulator(context.emulator_file) if context.emulated else nullcontext()


def _app(
    context: Context, credentials: Credentials, app_id: str | None, redirect_uri: str
) -> tuple[AppCredentials, bool]:
    """Return the app, and whether its secret was typed.

    Raises:
        CommandError: It is unknown, without a terminal or an answer to the prompts.
        ConfigurationError: A value is invalid.
    """
    app = credentials.app(app_id)
    if app is not None:
        return app, False
    was_given = app_id is not None
    app_id = app_id or credentials.app_id()
    if sys.stdin.isatty():
        context.console.write(
            f"Log in with an app of {_APPS_PAGE}, where you can create one.\n"
            "Its page shows the app id and the app secret key. Its redirect URIs must include"
            f" {redirect_uri}"
        )
        if app_id and not was_given:
            variables = ("PINTEREST_APP_ID", "PINTEREST_APP_ID_FILE")
            source = next(filter(os.environ.get, variables), "the profile")
            context.console.write(f"App id: {app_id} (from {source})")
        app_id = app_id or context.console.ask("App id: ")
        app = credentials.app(app_id) if app_id else None
        if app is not None:  # only the id was missing
            return app, False
        secret = _ask_hidden(context, "App secret key (hidden): ") if app_id else None
        if app_id and secret:
            return AppCredentials(app_id, secret), True
    missing = credentials.missing_app_variables(app_id)
    raise CommandError(
        f"no app: set {' and '.join(f'{name} ({_ALTERNATIVES[name]})' for name in missing)}",
        code="no_app",
        exit=ExitCode.USAGE,
        hint=f"{_APPS_PAGE} shows both; on a terminal, `auth login` asks for them",
    )


def _ask_hidden(context: Context, prompt: str) -> str | None:
    """Return a secret from the terminal without showing it; ``None`` without an answer.

    Raises:
        ConfigurationError: The value is invalid.
    """
    from getpass import getpass  # noqa: PLC0415 - only on a terminal

    try:
        return validate_token(getpass(prompt, context.console.stream), "the app secret")
    except EOFError:
        context.console.write("")
        return None


def _choose_account(context: Context, credentials: Credentials) -> str | None:
    """Return the ad account for the profile: the one that is set, the only one, or a choice."""
    from pinterest_audiences._sync_client import Client  # noqa: PLC0415 - heavy

    stored = credentials.store.load()
    account = context.ad_account_or_none
    try:
        token = "" if stored is None else stored.access_token or ""
        with Client(token, base_url=context.base_url) as client:
            del token  # error reports contain local variables
            accounts = client.ad_accounts_list(page_size=_MAX_PAGE_SIZE).collect()
    except CallError as error:
        context.console.warn(f"the ad accounts cannot be listed: {error}")
        return account
    if account is not None:
        if account not in [each.id for each in accounts]:
            context.console.warn(f"the login has no access to ad account {account}")
        return account
    if not accounts:
        context.console.warn("the login has no access to any ad account")
        return None
    if len(accounts) == 1:
        return accounts[0].id
    if sys.stdin.isatty():
        return _ask_for_account(context, accounts)
    context.console.warn(
        f"the login has {len(accounts)} ad accounts: set PINTEREST_AD_ACCOUNT_ID, or run"
        " `auth login --ad-account ID`"
    )
    return None


def _ask_for_account(context: Context, accounts: list[AdAccount]) -> str | None:
    context.console.write("Ad accounts:")
    for number, account in enumerate(accounts, 1):
        roles = ", ".join(account.permissions or ["no role"])
        roles += "" if account.allows_customer_lists is not False else ": no customer lists"
        context.console.write(f"  {number}  {account.id}  {account.name or ''} ({roles})")
    by_answer = {str(number): account.id for number, account in enumerate(accounts, 1)}
    by_answer |= {account.id: account.id for account in accounts}
    while answer := context.console.ask(f"Ad account (1 to {len(accounts)}): "):
        if answer in by_answer:
            return by_answer[answer]
    context.console.warn("no ad account was chosen; run `auth login` again to choose one")
    return None


def _try_to_write_profile(
    context: Context, app: AppCredentials | None, account: str | None, *, was_typed: bool
) -> None:
    """Write the profile; only warn if that fails, because the login itself is stored.

    Without an app a new profile is created empty, so that other commands can use the login.
    """
    try:
        if app is not None:
            _write_profile(context, app, account, was_typed=was_typed)
        elif context.settings.profile_name is not None:
            _create_profile(context, context.settings.profile_name)
    except (CommandError, ConfigurationError, OSError) as error:
        reason = error_report(error).message
        context.console.warn(f"the login is stored, but the profile is not complete: {reason}")


def _write_profile(
    context: Context, app: AppCredentials, account: str | None, *, was_typed: bool
) -> None:
    """Write what other commands and clients need to use the login without variables.

    Args:
        context: Context of the command.
        app: The app of the login.
        account: The ad account of the profile; ``None`` keeps it.
        was_typed: Whether the secret of the app was typed, and can be saved.

    Raises:
        CommandError: The configuration file cannot be edited in its form, or is locked.
        ConfigurationError: The home directory is unknown.
        OSError: A file cannot be written.
    """
    from pinterest_audiences.cli import profiles  # noqa: PLC0415 - when used

    name = context.settings.profile_name or "default"
    values: dict[str, str | None] = {"app_id": app.app_id}
    if account is not None:
        values["ad_account"] = account
    if context.base_url != DEFAULT_BASE_URL or context.profile.api_uri:
        values["api_uri"] = context.base_url  # the login is one of that API
    if not _has_secret_of(context, app, was_typed=was_typed):
        values["app_secret_file"] = None
    # The id is written first: no failure in between may pair it with the secret of another app.
    written = profiles.write_profile(name, values)
    if was_typed:
        context.done = "logged in; the app secret was not saved"
        path = profiles.secret_file(name)
        question = f"Save the app secret in {path}, to refresh the login?"
        if context.console.confirm(question, default=True):
            profiles.save_secret(path, app.app_secret)
            written = profiles.write_profile(name, {"app_secret_file": str(path)}) or written
        else:
            context.console.note(
                "logged in; the app secret was not saved: set PINTEREST_APP_SECRET when the login "
                "has to be refreshed, in about 30 days"
            )
    _note_written(context, name, written)


def _create_profile(context: Context, name: str) -> None:
    from pinterest_audiences.cli.profiles import write_profile  # noqa: PLC0415 - when used

    _note_written(context, name, write_profile(name, {}))


def _note_written(context: Context, name: str, path: Path | None) -> None:
    if path is not None:
        context.settings.reload_profile()
        context.console.note(f"profile {name!r} written to {path}")


def _has_secret_of(context: Context, app: AppCredentials, *, was_typed: bool) -> bool:
    """Return whether the secret file of the profile, if any, is that of an app."""
    if context.profile.app_id is not None:
        return context.profile.app_id == app.app_id
    # Without an id in the profile the file has the secret of this app only if it was used.
    names = ("PINTEREST_APP_SECRET", "PINTEREST_APP_SECRET_FILE")
    return not was_typed and not any(os.environ.get(name) for name in names)


def _token_from_stdin() -> str:
    """Read an access token from the first line of standard input.

    Raises:
        CommandError: The line is empty, or not text.
        ConfigurationError: The value is invalid.
    """
    try:
        line = sys.stdin.readline().strip()
    except UnicodeDecodeError:
        raise usage_error("standard input is not text") from None
    if not line:
        raise usage_error("the first line of standard input is empty; it must be an access token")
    return validate_token(line, "standard input")


def _show(context: Context, *, browser: bool) -> Callable[[str], object]:
    def show(url: str) -> None:
        context.console.write(f"Open this URL to log in:\n{url}")
        if browser:
            import webbrowser  # noqa: PLC0415 - only on a terminal

            webbrowser.open(url)

    return show


def _summary(context: Context, credentials: Credentials) -> dict[str, JSON]:
    """Return the state of the credentials, without tokens and secrets."""
    stored = None if credentials.environment_first else credentials.store.load()
    now = time.time()
    return {
        "source": _source(context, credentials, stored),
        "store": str(credentials.store.path) if stored is not None else None,
        "app_id": credentials.app_id() if stored is None else stored.app_id or credentials.app_id(),
        "expires_at": _time(None if stored is None else stored.expires_at),
        "expired": stored is not None and stored.expired(now),
        "refreshable": _refreshable(credentials, stored),
        "refresh_expires_at": _time(None if stored is None else stored.refresh_expires_at),
        "scope": None if stored is None else stored.scope,
        "profile": context.settings.profile_name or "default",
        "ad_account_id": context.ad_account_or_none,
    }


def _source(context: Context, credentials: Credentials, stored: TokenSet | None) -> str | None:
    if credentials.environment_first:
        return "environment"
    if stored is not None:
        return "login"
    if context.emulated:
        return "emulator"
    return "profile" if context.profile.access_token_file else None


def _refreshable(credentials: Credentials, stored: TokenSet | None) -> bool:
    if credentials.environment_first:
        names = ("PINTEREST_REFRESH_ACCESS_TOKEN", "PINTEREST_REFRESH_ACCESS_TOKEN_FILE")
        return any(os.environ.get(name) for name in names)
    return stored is not None and bool(stored.refresh_token) and credentials.app() is not None


def _time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")
