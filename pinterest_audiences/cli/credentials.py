"""Where the token of a command comes from: environment, profile, or a login."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pinterest_audiences.auth.environment import token_from_environment
from pinterest_audiences.auth.files import FileTokenStore
from pinterest_audiences.auth.locks import config_folder
from pinterest_audiences.auth.refreshing import RefreshingToken
from pinterest_audiences.auth.tokens import CallableToken, StaticToken, checked_token
from pinterest_audiences.cli.context import login_file
from pinterest_audiences.cli.exits import Exit
from pinterest_audiences.cli.refusals import CommandError
from pinterest_audiences.errors import ConfigurationError

if TYPE_CHECKING:
    import httpx

    from pinterest_audiences.auth.credentials import AppCredentials, TokenSet
    from pinterest_audiences.auth.tokens import TokenSource
    from pinterest_audiences.cli.profiles import Profile

__all__ = ["Credentials", "no_credentials", "read_secret"]

_ACCESS = ("PINTEREST_ACCESS_TOKEN", "PINTEREST_ACCESS_TOKEN_FILE")
_REFRESH = ("PINTEREST_REFRESH_ACCESS_TOKEN", "PINTEREST_REFRESH_ACCESS_TOKEN_FILE")
_LARGEST = 1 << 16


class Credentials:
    """What a command has to show, and where it is kept.

    Args:
        profile: The user's profile.
        emulated_login: The file of the login at the embedded emulator, where that is used; no
            other login, and nothing of the environment's, is used with it.
        base_url: Where the API is; None for the environment's.
        transport: Makes a transport for refreshes.
    """

    def __init__(
        self,
        profile: Profile,
        *,
        emulated_login: Path | None = None,
        base_url: str | None = None,
        transport: Callable[[], httpx.AsyncBaseTransport] | None = None,
    ) -> None:
        self._profile = profile
        self._emulated = emulated_login is not None
        self._base_url = base_url
        self._transport = transport
        self.store: FileTokenStore = FileTokenStore(
            emulated_login
            or os.environ.get("PINTEREST_TOKEN_STORE")
            or profile.token_store
            or config_folder() / login_file(profile.name)
        )

    @property
    def from_environment(self) -> bool:
        """Whether the environment holds a token."""
        return not self._emulated and _set((*_ACCESS, *_REFRESH))

    @property
    def environment_first(self) -> bool:
        """Whether a token of the environment is used, and not a login.

        A login in the file that the environment itself names goes before the environment, if its
        app is known.
        """
        if not self.from_environment or not os.environ.get("PINTEREST_TOKEN_STORE"):
            return self.from_environment
        kept = self.store.load()
        if kept is None or (_set(_REFRESH) and kept.origin is not None):
            return True  # what is kept came of the environment's own refresh token
        return self.app() is None

    def source(self) -> TokenSource:
        """Return where tokens come from.

        Raises:
            CommandError: There are none, or what there is cannot be used.
            TokenStoreError: The file of a login cannot be read.
        """
        try:
            found = self._found()
        except ConfigurationError as error:
            raise CommandError(
                str(error), code="credentials", exit=Exit.CREDENTIALS, hint="see `auth status`"
            ) from None
        if found is None:
            raise no_credentials()
        return found

    def app(self, app_id: str | None = None) -> AppCredentials | None:
        """Return the app, where its id and its secret are known.

        Args:
            app_id: Its id, where the command line says it.

        Raises:
            ConfigurationError: They cannot be used.
        """
        from pinterest_audiences.auth.credentials import AppCredentials  # noqa: PLC0415 - when used

        app_id = self.app_id(app_id)
        secret = read_secret("PINTEREST_APP_SECRET", self._profile.app_secret_file)
        if self._emulated:  # any app does
            app_id, secret = app_id or "1234567", secret or "emulated"
        return AppCredentials(app_id, secret) if app_id and secret else None

    def app_id(self, given: str | None = None) -> str | None:
        """Return the id of the app: the command line's, the environment's, or the profile's."""
        return given or read_secret("PINTEREST_APP_ID", None) or self._profile.app_id

    def refreshing(self) -> RefreshingToken | None:
        """Return the source that refreshes, where there is a login and an app to do it with."""
        kept, app = self.store.load(), self.app()
        if kept is None or not kept.refresh_token or app is None:
            return None
        return RefreshingToken(self.store, app, base_url=self._base_url, transport=self._transport)

    def _found(self) -> TokenSource | None:
        if self.environment_first:
            app = self.app() if _set(_REFRESH) else None
            return token_from_environment(app=app, base_url=self._base_url)
        kept = self.store.load()
        if kept is not None:
            return self._login(kept)
        path = self._profile.access_token_file
        if path is not None and not self._emulated:
            _read("access_token_file", path)  # so that what it lacks is told before a call
            return CallableToken(partial(_read, "access_token_file", path))
        return StaticToken("emulated") if self._emulated else None

    def _login(self, kept: TokenSet) -> TokenSource:
        refreshing = self.refreshing()
        if refreshing is not None:
            return refreshing
        if kept.refresh_token and (kept.access_token is None or kept.expired(time.time())):
            raise ConfigurationError(
                "the login cannot be refreshed without PINTEREST_APP_ID and PINTEREST_APP_SECRET"
            )
        if kept.access_token is None or kept.expired(time.time()):
            raise ConfigurationError(f"the token kept in {self.store.path} has ended; log in again")
        return StaticToken(kept.access_token)


def _set(names: tuple[str, ...]) -> bool:
    return any(os.environ.get(name) for name in names)


def no_credentials() -> CommandError:
    """Return the error of a command that has no token."""
    return CommandError(
        "no credentials: set PINTEREST_ACCESS_TOKEN, or run `pinterest-audiences auth login`",
        code="no_credentials",
        exit=Exit.CREDENTIALS,
        hint="without an account: add --emulator, and it runs on the embedded emulator",
    )


def read_secret(name: str, path: str | None) -> str | None:
    """Return a secret: of the environment, of the file it leads to, or of another file.

    Args:
        name: The variable.
        path: The file of the profile.

    Raises:
        ConfigurationError: It cannot be read, or cannot be one.
    """
    value, led_to = os.environ.get(name), os.environ.get(f"{name}_FILE")
    if value:
        return checked_token(value, name)
    if led_to:
        return _read(f"{name}_FILE", led_to)
    return _read(name.lower(), path) if path else None


def _read(name: str, path: str) -> str:
    try:
        with Path(path).expanduser().open("rb") as file:
            text = file.read(_LARGEST).decode("ascii", "replace").strip()
    except OSError as error:
        raise ConfigurationError(f"{name}: {path} cannot be read ({error.strerror})") from None
    return checked_token(text, name)
