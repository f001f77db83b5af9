"""Token sources from environment variables, logins and profiles."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Awaitable, Callable
from functools import cached_property, partial
from typing import TYPE_CHECKING

from pinterest_audiences._auth.refresh import RefreshingToken
from pinterest_audiences._auth.stores import FileTokenStore, MemoryTokenStore
from pinterest_audiences._config import Settings, expand_home
from pinterest_audiences._credentials import (
    AppCredentials,
    CallableToken,
    StaticToken,
    Token,
    TokenSet,
    TokenSource,
    fingerprint,
    validate_token,
)
from pinterest_audiences._errors import ConfigurationError, TokenStoreError

if TYPE_CHECKING:
    from pinterest_audiences._auth.refresh import TransportFactory
    from pinterest_audiences._config import Clock
    from pinterest_audiences._http.network import Network, Verify

__all__ = ["Credentials", "read_secret", "token_from_environment", "token_source"]

_logger = logging.getLogger("pinterest_audiences")
_ACCESS = "PINTEREST_ACCESS_TOKEN"
_REFRESH = "PINTEREST_REFRESH_ACCESS_TOKEN"
_TOKENS = (_ACCESS, f"{_ACCESS}_FILE", _REFRESH, f"{_REFRESH}_FILE")
_APP_ID, _APP_SECRET = "PINTEREST_APP_ID", "PINTEREST_APP_SECRET"
_STORE = "PINTEREST_TOKEN_STORE"
_MAX_SECRET_BYTES = 1 << 16
_EMULATED_APP_ID, _EMULATED_SECRET, _EMULATED_TOKEN = "1234567", "emulated", "emulated"


def token_source(
    value: str | TokenSource | Callable[[], str | Awaitable[str]] | None,
    settings: Settings,
    network: Network,
    transport: TransportFactory | None = None,
) -> TokenSource:
    """Return the token source of a client: its argument, or from environment, login or profile.

    Args:
        value: The argument ``access_token`` of the client.
        settings: The settings of the client.
        network: The proxy and certificates of the client, which a refresh shares; it cannot share
            a transport.
        transport: Creates a transport for each refresh at the local emulator.

    Raises:
        ConfigurationError: The token is missing or invalid.
    """
    for warning in settings.override_warnings():
        _logger.warning(warning)
    if value is None:
        if settings.emulated and transport is None:  # an emulator of the caller, in memory
            return StaticToken(_EMULATED_TOKEN)
        configured = transport is None
        credentials = Credentials(
            settings,
            proxy=network.proxy if configured else None,
            verify=network.verify if configured else None,
            transport=transport,
        )
        if (token_warning := credentials.override_warning()) is not None:
            _logger.warning(token_warning)
        source = credentials.source()
        if configured and network.transport is not None and isinstance(source, RefreshingToken):
            raise ConfigurationError(
                "access_token: a refresh would not use the transport; pass"
                " access_token=token_from_environment(transport=...)",
                param="access_token",
            )
        if isinstance(source, RefreshingToken):
            source.use_network_of(network)
        return source
    if isinstance(value, type):
        raise ConfigurationError(
            "access_token must be an instance of a token source, not a class", param="access_token"
        )
    if isinstance(value, TokenSource):
        if isinstance(value, RefreshingToken):
            value.use_network_of(network)
        return value
    return CallableToken(value) if callable(value) else StaticToken(value)


def token_from_environment(
    *,
    app: AppCredentials | None = None,
    profile: str | None = None,
    base_url: str | None = None,
    timeout: float | None = 30.0,
    proxy: str | None = None,
    verify: Verify | None = None,
    transport: TransportFactory | None = None,
    clock: Clock | None = None,
) -> TokenSource:
    """Return the token source that clients without a token use.

    It is the first of these:

    1. ``PINTEREST_REFRESH_ACCESS_TOKEN`` with ``PINTEREST_APP_ID`` and ``PINTEREST_APP_SECRET``,
       refreshed automatically, or ``PINTEREST_ACCESS_TOKEN``, used until Pinterest refuses it. Each
       can be in a file instead: the same name with the suffix ``_FILE`` contains its path.
    2. The login of the command line (``pinterest-audiences auth login``), or of the file
       ``PINTEREST_TOKEN_STORE``: refreshed automatically if the app is known from ``app``, the
       environment or the profile. All clients and commands of the machine share the refresh.
    3. The profile's ``access_token_file``.

    Pinterest may replace the refresh token at each refresh, and the environment cannot store the
    new one: set ``PINTEREST_TOKEN_STORE`` to a file for it. A login in that file takes precedence
    over the tokens of the environment, if its app is known.

    Args:
        app: The app. By default that of the environment, then that of the profile.
        profile: The profile of the configuration file; as for :class:`AsyncClient`.
        base_url: As for :class:`RefreshingToken`, like all other arguments.
        timeout: Seconds for each attempt of a refresh.
        proxy: The proxy of refreshes; by default that of the environment.
        verify: The trusted certificates of refreshes; by default those of the environment.
        transport: Creates an httpx transport for each refresh.
        clock: A clock for tests.

    Raises:
        ConfigurationError: There are no credentials, or a variable or the profile is invalid; the
            text names it.
        TokenStoreError: The file of the login cannot be read.
    """
    return Credentials(
        Settings(profile=profile, base_url=base_url),
        app=app,
        timeout=timeout,
        proxy=proxy,
        verify=verify,
        transport=transport,
        clock=clock,
    ).source()


class Credentials:
    """The credentials of a client or command, and where they are stored.

    On the emulator the environment and logins at Pinterest are ignored.

    Args:
        settings: The settings of the client or command.
        app: The app; by default that of the environment, then that of the profile.
        timeout: Seconds for each attempt of a refresh.
        proxy: The proxy of refreshes.
        verify: The trusted certificates of refreshes.
        transport: Creates a transport for each refresh.
        clock: A clock for tests.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        app: AppCredentials | None = None,
        timeout: float | None = 30.0,
        proxy: str | None = None,
        verify: Verify | None = None,
        transport: TransportFactory | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings
        self._app = app
        self._make = partial(
            RefreshingToken,
            timeout=timeout,
            proxy=proxy,
            verify=verify,
            transport=transport,
            clock=clock,
        )

    @cached_property
    def store(self) -> FileTokenStore:
        """The store of the login.

        Raises:
            ConfigurationError: The home directory is unknown.
        """
        return FileTokenStore(self._settings.login_file)

    @property
    def from_environment(self) -> bool:
        """Whether the environment has a token."""
        return not self._settings.emulated and (_is_set(_ACCESS) or _is_set(_REFRESH))

    @property
    def environment_first(self) -> bool:
        """Whether the token of the environment takes precedence over the login.

        A login in the file that ``PINTEREST_TOKEN_STORE`` names takes precedence over the token of
        the environment if the app is known.
        """
        if not self.from_environment or not os.environ.get(_STORE):
            return self.from_environment
        stored = self.store.load()
        if stored is None or (_is_set(_REFRESH) and stored.origin is not None):
            return True  # the store was filled from the refresh token of the environment
        return self.app() is None

    def source(self) -> TokenSource:
        """Return the token source.

        Raises:
            ConfigurationError: There are no credentials, or they cannot be used.
            TokenStoreError: The file of the login cannot be read.
        """
        source = self.find()
        if source is None:
            raise ConfigurationError(self.missing_text("pass access_token=, "))
        return source

    def missing_text(self, argument: str = "") -> str:
        """Return the text of the error that there are no credentials.

        Args:
            argument: How to pass them in code, before the other ways.
        """
        store = f", and {_STORE} names a file without a login" if os.environ.get(_STORE) else ""
        return (
            f"no credentials{store}: {argument}log in once with `{self._login_command()}`, or set"
            f" {_ACCESS} (or {_REFRESH} with {_APP_ID} and {_APP_SECRET})"
        )

    def _login_command(self) -> str:
        import shlex  # noqa: PLC0415 - for an error

        name = self._settings.profile_name
        option = "" if name is None else f" --profile {shlex.quote(name)}"
        return f"pinterest-audiences auth login{option}"

    def override_warning(self) -> str | None:
        """Return a warning if a token of the environment is used, not the login of a profile.

        Only for a profile that is an argument.
        """
        if not self._settings.is_profile_argument or not self.from_environment:
            return None
        try:
            if not self.environment_first:
                return None
        except (ConfigurationError, TokenStoreError):  # raised where the credentials are used
            return None
        variable = next(each for each in _TOKENS if os.environ.get(each))
        return (
            f"the token of {variable} is used, not the login of profile"
            f" {self._settings.profile_name!r}; unset it to use the profile"
        )

    def find(self) -> TokenSource | None:
        """Return the token source; ``None`` if there are no credentials.

        Raises:
            ConfigurationError: They cannot be used.
            TokenStoreError: The file of the login cannot be read.
        """
        settings = self._settings
        if not settings.emulated:
            if _is_set(_REFRESH):
                return self._refreshing_from_environment()
            if _is_set(_ACCESS):
                if os.environ.get(_STORE) and _is_set(_APP_ID) != _is_set(_APP_SECRET):
                    self._required_app()
                if self.environment_first:
                    return _access_token_of_environment()
        try:
            store = self.store
        except ConfigurationError as error:  # the home directory is unknown
            raise ConfigurationError(
                f"{_ACCESS} is not set, and no login can be found: {error}"
            ) from None
        stored = store.load()
        if stored is not None:
            return self._login(stored)
        if settings.emulated:
            return StaticToken(_EMULATED_TOKEN)
        path = settings.profile.access_token_file
        if path is None:
            return None
        _read("access_token_file", path)  # reports an invalid file before the first call
        return CallableToken(partial(_read, "access_token_file", path))

    def app_id(self) -> str | None:
        """Return the id of the app from argument, environment or profile."""
        if self._app is not None:
            return self._app.app_id
        return read_secret(_APP_ID) or self._settings.profile.app_id

    def app(self, app_id: str | None = None) -> AppCredentials | None:
        """Return the app; ``None`` if its id or secret is unknown.

        Args:
            app_id: Its id, if it is known from elsewhere.

        Raises:
            ConfigurationError: The id or secret is invalid.
        """
        if self._app is not None:
            return self._app
        app_id = app_id or self.app_id()
        # No local variable contains a secret, because error reports contain local variables.
        if app_id and self._has_app_secret(app_id):
            return AppCredentials(app_id, self._app_secret(app_id) or "")
        if self._settings.emulated:  # the emulator accepts any app
            return AppCredentials(app_id or _EMULATED_APP_ID, _EMULATED_SECRET)
        return None

    def missing_app_variables(self, app_id: str | None = None) -> list[str]:
        """Return the variables of the app whose values are unknown.

        Args:
            app_id: Its id, if it is known from elsewhere.

        Raises:
            ConfigurationError: The id or secret is invalid.
        """
        app_id = app_id or self.app_id()
        missing = [] if app_id else [_APP_ID]
        return missing if self._has_app_secret(app_id) else [*missing, _APP_SECRET]

    def refreshing(self) -> RefreshingToken | None:
        """Return the token source of the login; ``None`` without a refresh token or an app."""
        stored, app = self.store.load(), self.app()
        if stored is None or not stored.refresh_token or app is None:
            return None
        return self._make(self.store, app, base_url=self._settings.base_url)

    def _has_app_secret(self, app_id: str | None) -> bool:
        return self._app_secret(app_id) is not None

    def _app_secret(self, app_id: str | None) -> str | None:
        profile = self._settings.profile
        # The profile's secret is that of the profile's app.
        path = profile.app_secret_file if profile.app_id in (None, app_id) else None
        return read_secret(_APP_SECRET, "app_secret_file", path)

    def _required_app(self) -> AppCredentials:
        app = self.app()
        if app is None:
            missing = " and ".join(self.missing_app_variables())
            raise ConfigurationError(
                f"tokens cannot be refreshed without {missing}: set what is missing,"
                f" or unset {_REFRESH} and {_STORE}"
            )
        return app

    def _refreshing_from_environment(self) -> RefreshingToken:
        # As Tokens, whose repr hides the value, because error reports contain local variables.
        access, refresh = _token(_ACCESS), _token(_REFRESH) or Token("")
        seed = TokenSet(
            access_token=None if access is None else access.value,
            refresh_token=refresh.value,
            origin=fingerprint(refresh.value),
        )
        path = os.environ.get(_STORE)
        store = FileTokenStore(path) if path else MemoryTokenStore(seed)
        app = self._required_app()
        return self._make(store, app, seed=seed, base_url=self._settings.base_url)

    def _login(self, stored: TokenSet) -> TokenSource:
        refreshing = self.refreshing()
        if refreshing is not None:
            return refreshing
        if stored.access_token is None or stored.expired(time.time()):
            if stored.refresh_token:
                raise ConfigurationError(
                    f"the login cannot be refreshed without {_APP_ID} and {_APP_SECRET}, or app_id"
                    " and app_secret_file in the profile"
                )
            raise ConfigurationError(
                f"the token in {self.store.path} has expired; log in again with"
                f" `{self._login_command()}`"
            )
        return StaticToken(stored.access_token)


def _token(name: str) -> Token | None:
    return None if (value := read_secret(name)) is None else Token(value)


def _access_token_of_environment() -> TokenSource:
    path = os.environ.get(f"{_ACCESS}_FILE")
    source = StaticToken(read_secret(_ACCESS) or "")
    # A token in a file may be replaced there, so it is read again after a refusal.
    return CallableToken(partial(_read, f"{_ACCESS}_FILE", path)) if path else source


def _is_set(name: str) -> bool:
    return bool(os.environ.get(name) or os.environ.get(f"{name}_FILE"))


def read_secret(name: str, key: str = "", path: str | None = None) -> str | None:
    """Read a secret from a variable, from the file that ``{name}_FILE`` names, or from a file.

    Args:
        name: The variable.
        key: The key of the profile that names the file.
        path: The file.

    Raises:
        ConfigurationError: Both variables are set, the file cannot be read, or the value is
            invalid.
    """
    # No local variable contains a secret, because error reports contain local variables.
    file = os.environ.get(f"{name}_FILE")
    if file and os.environ.get(name):
        raise ConfigurationError(f"{name} and {name}_FILE are both set; unset one of them")
    if file:
        return _read(f"{name}_FILE", file)
    if os.environ.get(name):
        return validate_token(os.environ[name], name)
    return _read(key, path) if path else None


def _read(name: str, path: str) -> str:
    try:
        with expand_home(path, name).open("rb") as file:
            return validate_token(
                file.read(_MAX_SECRET_BYTES).decode("ascii", "replace").strip(), name
            )
    except OSError as error:
        raise ConfigurationError(f"{name}: {path} cannot be read ({error.strerror})") from None
