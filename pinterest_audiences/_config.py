"""Settings: arguments, environment variables, profiles, folders, the base URL and the clock."""

from __future__ import annotations

import ipaddress
import logging
import math
import os
import random
import shutil
import stat
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol, TypeVar, cast
from urllib.parse import urlsplit

from attrs import field, fields, frozen

from pinterest_audiences._errors import ConfigurationError

__all__ = [
    "DEFAULT_BASE_URL",
    "EMULATED_ACCOUNT",
    "EMULATOR_BASE_URL",
    "EMULATOR_URI",
    "BaseURL",
    "Clock",
    "ConfigFileError",
    "Profile",
    "Settings",
    "SystemClock",
    "base_url",
    "config_file",
    "config_folder",
    "current_job",
    "enable_logging",
    "expand_home",
    "is_loopback",
    "log_level",
    "read_profile",
    "state_file",
    "validate_flag",
    "validate_function",
    "validate_integer",
    "validate_mapping",
    "validate_number",
    "validate_text",
    "validate_timeout",
]

_Function = TypeVar("_Function", bound=Callable[..., object])

AD_ACCOUNT_VARIABLE = "PINTEREST_AD_ACCOUNT_ID"
API_URI_VARIABLE = "PINTEREST_API_URI"
DATABASE_VARIABLE = "PINTEREST_AUDIENCES_DATABASE"
CONFIG_VARIABLE = "PINTEREST_AUDIENCES_CONFIG"
LOG_VARIABLE = "PINTEREST_AUDIENCES_LOG"
current_job: ContextVar[int | None] = ContextVar("current_job", default=None)
"""The job in the state file that the current task works on; lines of the log have it."""
PROFILE_VARIABLE = "PINTEREST_AUDIENCES_PROFILE"
STATE_VARIABLE = "PINTEREST_AUDIENCES_STATE"
STORE_VARIABLE = "PINTEREST_TOKEN_STORE"
# Variables that override a key of the profile.
_OVERRIDES = (
    (AD_ACCOUNT_VARIABLE, "ad_account"),
    (API_URI_VARIABLE, "api_uri"),
    (DATABASE_VARIABLE, "database"),
    ("PINTEREST_APP_ID", "app_id"),
    (STORE_VARIABLE, "token_store"),
    (STATE_VARIABLE, "state"),
)

DEFAULT_BASE_URL = "https://api.pinterest.com/v5"
EMULATOR_URI = "emulator:"
"""In place of a base URL: the emulator, without a server."""
EMULATOR_BASE_URL = "https://emulator.invalid/v5"
"""Base URL of jobs on the emulator, which must not be mistaken for jobs at Pinterest."""
EMULATED_ACCOUNT = "549755885175"
"""Default ad account of the emulator, which accepts any other too."""
_INVALID_BASE_URL = "base_url must be a URL such as https://host/v5"


@frozen
class BaseURL:
    """The address of the API.

    Attributes:
        text: The URL without a slash at the end.
        secure: Whether its scheme is https.
    """

    text: str
    secure: bool


def base_url(value: object) -> BaseURL:
    """Return the base URL: the argument, ``PINTEREST_API_URI``, or Pinterest's own.

    ``emulator:`` is a URL that no server has.

    Raises:
        ConfigurationError: It is not an http or https URL, has more than host, port and path, or
            would send the token over plain http to another machine.
    """
    text = value or os.environ.get(API_URI_VARIABLE) or DEFAULT_BASE_URL
    if not isinstance(text, str):
        raise ConfigurationError(_INVALID_BASE_URL, param="base_url")
    text = text.strip().rstrip("/")
    if text == EMULATOR_URI:
        text = EMULATOR_BASE_URL
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port  # reading the port validates it
    except ValueError:
        raise ConfigurationError(_INVALID_BASE_URL, param="base_url") from None
    if not host or not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigurationError(_INVALID_BASE_URL, param="base_url")
    if any(sign in text for sign in "@?#"):  # also of a password that is taken as port and path
        raise ConfigurationError(
            "base_url must have a host, port and path only, without user, query or fragment",
            param="base_url",
        )
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise ConfigurationError(
            "base_url must use https; http is for loopback hosts only", param="base_url"
        )
    return BaseURL(text, secure=parts.scheme == "https")


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_FOLDER = "pinterest-audiences"
_UNKNOWN_HOME = "the home directory is unknown"


def config_file() -> Path:
    """Return the file with the profiles: ``PINTEREST_AUDIENCES_CONFIG``, or the user's own.

    Raises:
        ConfigurationError: The home directory is unknown.
    """
    value = os.environ.get(CONFIG_VARIABLE)
    return expand_home(value, CONFIG_VARIABLE) if value else config_folder() / "config.toml"


def state_file(path: str | os.PathLike[str] | None) -> Path:
    """Return the state file of jobs: the argument, ``PINTEREST_AUDIENCES_STATE``, or the user's.

    A ``~`` is expanded in the variable, not in the argument.

    Raises:
        ConfigurationError: The home directory is unknown.
    """
    if path:
        return Path(path)
    value = os.environ.get(STATE_VARIABLE)
    return expand_home(value, STATE_VARIABLE) if value else _user_folder("state") / "state.sqlite3"


def config_folder() -> Path:
    """Return the user's folder for profiles and tokens.

    Raises:
        ConfigurationError: The home directory is unknown.
    """
    return _user_folder("config")


def _user_folder(kind: Literal["config", "state"]) -> Path:
    """Return the platform's folder, or the one of earlier versions if that exists.

    Earlier versions used the folders of Linux on macOS and Windows too.
    """
    from platformdirs import PlatformDirs  # noqa: PLC0415 - only where no file is given

    variable = f"XDG_{kind.upper()}_HOME"
    try:
        folders = PlatformDirs(_FOLDER, appauthor=False)
        usual = Path(folders.user_config_dir if kind == "config" else folders.user_state_dir)
        base = Path(os.environ.get(variable) or "")
        if not base.is_absolute():  # the XDG specification says to ignore relative paths
            base = Path.home() / (".config" if kind == "config" else ".local/state")
    except RuntimeError:
        raise ConfigurationError(
            f"no {kind} folder: {_UNKNOWN_HOME}; set HOME, {variable}, or"
            f" {CONFIG_VARIABLE if kind == 'config' else STATE_VARIABLE} to an absolute path"
        ) from None
    earlier = base / _FOLDER
    return earlier if earlier.is_dir() else usual


def expand_home(path: str | os.PathLike[str], name: str) -> Path:
    """Return a path with its ``~`` expanded.

    Args:
        path: The path.
        name: The argument or variable that holds it, for the error.

    Raises:
        ConfigurationError: The home directory is unknown.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:  # HOME is not set and the user has no account, or ~unknown
        raise ConfigurationError(
            f"{name}: {_UNKNOWN_HOME}; set HOME, or use an absolute path", param=name
        ) from None


_DEFAULT_PROFILE = "default"
_SECRETS = frozenset({"access_token", "refresh_token", "app_secret", "token", "secret", "password"})


@frozen(kw_only=True)
class Profile:
    """One profile of the configuration file; all keys are optional.

    Attributes:
        name: Name of the profile.
        ad_account: Ad account id.
        app_id: Id of the app for logins.
        app_secret_file: File with the secret of the app.
        access_token_file: File with an access token.
        token_store: File for the tokens of a login.
        api_uri: Base URL of the API; ``emulator:`` for the local emulator.
        state: State file of the jobs.
        output: Output format of the command line.
        database: URL of the database that queries of the command line are for.
        max_reject_share: Maximum share of rejected values.
        batch_size: Maximum records per request.
        lists: Aliases of customer lists, with their ids.
    """

    name: str = _DEFAULT_PROFILE
    ad_account: str | None = None
    app_id: str | None = None
    app_secret_file: str | None = None
    access_token_file: str | None = None
    token_store: str | None = None
    api_uri: str | None = None
    state: str | None = None
    output: str | None = None
    database: str | None = field(default=None, repr=False)  # it may contain a password
    max_reject_share: float | None = None
    batch_size: int | None = None
    lists: Mapping[str, str] = {}


class ConfigFileError(ConfigurationError):
    """A configuration file that cannot be used."""


PROFILE_KEYS = tuple(each.name for each in fields(Profile) if each.name != "name")


def read_profile(name: str | None, *, may_be_missing: bool = False) -> Profile:
    """Read a profile of the configuration file.

    Args:
        name: Its name; ``None`` for ``default``, which may be missing.
        may_be_missing: Whether a missing profile or file is the same as an empty profile.

    Raises:
        ConfigurationError: The file cannot be read, has an invalid key or value, or lacks the
            profile.
    """
    missing = Profile(name=name or _DEFAULT_PROFILE)
    path = _config_file_if_known() if name is None else config_file()
    if path is None:
        return missing
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        if may_be_missing:
            return missing
        if os.environ.get(CONFIG_VARIABLE):
            raise _wrong(path, f"no such file; {CONFIG_VARIABLE} names it") from None
        if name is None:
            return missing
        raise _wrong(path, "no such file; without it there is only the default profile") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise _wrong(path, f"cannot be read: {reason}") from None
    profiles = _profiles(path, text)
    if name is not None and name not in profiles and not may_be_missing:
        raise _wrong(path, f"no such profile; profiles: {', '.join(profiles) or 'none'}")
    return profiles.get(missing.name, missing)


def _validate_profile_name(name: str | None, param: str) -> None:
    """Check that files can be named after a profile.

    Raises:
        ConfigurationError: The name contains a path separator.
    """
    if name is not None and ("/" in name or "\\" in name):
        raise ConfigurationError(
            f"{param} must not contain a path separator, because files are named after the profile",
            param=param,
        )


def _config_file_if_known() -> Path | None:
    try:
        return config_file()
    except ConfigurationError:  # the home directory is unknown
        if os.environ.get(CONFIG_VARIABLE):
            raise
        return None


def _profiles(path: Path, text: str) -> dict[str, Profile]:
    import tomllib  # noqa: PLC0415 - only if the file exists

    try:
        data: dict[str, object] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _wrong(path, f"not valid TOML: {error}") from None
    profiles = data.pop("profiles", {})
    for key in data:
        raise _unknown(path, key, ["profiles"], "move it below [profiles.default]")
    if not isinstance(profiles, dict):
        raise _wrong(path, "profiles must be tables, such as [profiles.default]")
    tables = cast("dict[str, object]", profiles)
    return {name: _profile(path, name, values) for name, values in tables.items()}


def _profile(path: Path, name: str, given: object) -> Profile:
    where = f"profiles.{name}"
    if not isinstance(given, dict):
        raise _wrong(path, f"{where} must be a table, [{where}]")
    values = dict(cast("dict[str, object]", given))
    for key in values:
        if key not in PROFILE_KEYS:
            hint = "secrets do not belong here: log in, or name a file that contains it"
            raise _unknown(path, f"{where}.{key}", PROFILE_KEYS, hint if key in _SECRETS else "")
    share, lists = values.pop("max_reject_share", None), values.pop("lists", {})
    batch_size = values.pop("batch_size", None)
    for key, value in values.items():
        # An id without quotes is a number in TOML, which is a common mistake.
        if (
            isinstance(value, int)
            and not isinstance(value, bool)
            and key in ("ad_account", "app_id")
        ):
            values[key] = str(value)
        elif not isinstance(value, str):
            raise _wrong(path, f"{where}.{key} must be a string")
    if share is not None and not _is_share(share):
        raise _wrong(path, f"{where}.max_reject_share must be a number from 0 to 1")
    if batch_size is not None and not _is_count(batch_size):
        raise _wrong(path, f"{where}.batch_size must be a whole number of at least 1")
    return Profile(
        name=name,
        batch_size=cast("int | None", batch_size),
        max_reject_share=None if share is None else float(cast("float", share)),
        lists=_aliases(path, where, lists),
        **cast("dict[str, str]", values),
    )


def _is_share(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 <= cast("float", value) <= 1


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _aliases(path: Path, where: str, given: object) -> dict[str, str]:
    aliases = cast("dict[str, object]", given) if isinstance(given, dict) else {"": None}
    for alias, value in aliases.items():
        if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).isdigit():
            key = f"{where}.lists{f'.{alias}' if alias else ''}"
            raise _wrong(path, f'{key} must be the id of a list, such as name = "2542620"')
    return {alias: str(value) for alias, value in aliases.items()}


def _unknown(path: Path, key: str, known: Sequence[str], hint: str) -> ConfigFileError:
    import difflib  # noqa: PLC0415 - when used

    close = difflib.get_close_matches(key.rpartition(".")[2], known, n=1)
    hint = hint or (f"did you mean {close[0]}?" if close else f"valid keys: {', '.join(known)}")
    return _wrong(path, f"unknown key {key}; {hint}")


def _wrong(path: Path, text: str) -> ConfigFileError:
    return ConfigFileError(f"{path}: {text}")


class Settings:
    """The settings of a client or command: argument, environment, profile, in this order.

    The configuration file is read when a setting is used that is neither an argument nor in the
    environment.

    Args:
        profile: Name of the profile. Without it ``PINTEREST_AUDIENCES_PROFILE``, then ``default``.
        base_url: Base URL of the API, or ``emulator:``.
        ad_account: Ad account id.
        state: State file of the jobs.
        emulated: Whether the emulator is used; ``None`` if the base URL says so.
        has_transport: Whether the emulator is one of the caller, in memory.
        may_be_new: Whether the profile may be missing from the configuration file.

    Raises:
        ConfigurationError: The profile does not exist, or is invalid.
    """

    def __init__(
        self,
        *,
        profile: str | None = None,
        base_url: str | None = None,
        ad_account: str | None = None,
        state: str | os.PathLike[str] | None = None,
        emulated: bool | None = None,
        has_transport: bool = False,
        may_be_new: bool = False,
    ) -> None:
        if profile is not None:
            validate_text("profile", profile)
        self.profile_name: str | None = profile or os.environ.get(PROFILE_VARIABLE) or None
        _validate_profile_name(self.profile_name, "profile" if profile else PROFILE_VARIABLE)
        self._may_be_new = may_be_new
        self.is_profile_argument: bool = profile is not None
        self._base_url = base_url
        self._ad_account = ad_account
        self._state = state
        self._emulated = emulated
        self.has_transport = has_transport
        self._remove_temporary: Callable[[], object] | None = None
        self._temporary_state: Path | None = None
        if profile is not None:
            _ = self.profile  # reports an unknown one

    @cached_property
    def profile(self) -> Profile:
        """The profile.

        Raises:
            ConfigurationError: It does not exist, or is invalid.
        """
        return read_profile(self.profile_name, may_be_missing=self._may_be_new)

    def reload_profile(self) -> None:
        """Read the profile again when it is used next."""
        self.__dict__.pop("profile", None)

    @property
    def _explicit_api_uri(self) -> str | None:
        """The base URL as an argument or the environment sets it; ``None`` if they do not."""
        return self._base_url or os.environ.get(API_URI_VARIABLE) or None

    def use_emulator(self) -> None:
        """Use the emulator regardless of the base URL."""
        self._emulated = True

    @property
    def emulated(self) -> bool:
        """Whether the emulator is used."""
        return self._api_uri == EMULATOR_URI if self._emulated is None else self._emulated

    @property
    def _in_memory(self) -> bool:
        return self.has_transport and self.emulated

    @property
    def base_url(self) -> str | None:
        """Base URL of the API, not checked; ``None`` for Pinterest."""
        if self.emulated:
            return EMULATOR_BASE_URL
        url = self._api_uri
        return DEFAULT_BASE_URL if url == EMULATOR_URI else url  # with emulated=False

    @property
    def _api_uri(self) -> str | None:
        value = self._explicit_api_uri or self.profile.api_uri
        return value.strip().rstrip("/") if isinstance(value, str) else value

    @property
    def ad_account(self) -> str | None:
        """The ad account; ``None`` if it is not set, except on the emulator."""
        if self._in_memory:
            return self._ad_account or EMULATED_ACCOUNT
        account = self._ad_account or os.environ.get(AD_ACCOUNT_VARIABLE) or self.profile.ad_account
        return EMULATED_ACCOUNT if account is None and self.emulated else account

    @property
    def database(self) -> str | None:
        """URL of the database that queries of the command line are for; ``None`` if not set."""
        return os.environ.get(DATABASE_VARIABLE) or self.profile.database

    def require_ad_account(self) -> str:
        """Return the ad account.

        Raises:
            ConfigurationError: It is not set.
        """
        if (account := self.ad_account) is not None:
            return account
        raise ConfigurationError(
            "ad_account_id is missing",
            param="ad_account_id",
            suggestion=f'pass it to account("...") or as ad_account_id= to the client, or set'
            f" {AD_ACCOUNT_VARIABLE}, or ad_account in the profile; ad_accounts_list() shows"
            " the ids",
        )

    @property
    def explicit_state(self) -> str | None:
        """The state file as it is set; ``None`` for the default."""
        if self._state is not None:
            return os.fspath(self._state)
        return os.environ.get(STATE_VARIABLE) or self.profile.state

    @property
    def state(self) -> Path:
        """State file of the jobs; jobs on the emulator have a separate one.

        Raises:
            ConfigurationError: The home directory is unknown.
        """
        if self.explicit_state:
            by_variable = self._state is None and os.environ.get(STATE_VARIABLE)
            return expand_home(self.explicit_state, STATE_VARIABLE if by_variable else "state")
        folder = _user_folder("state")
        return (folder / "emulator" if self.emulated else folder) / "state.sqlite3"

    def job_state(self, path: str | os.PathLike[str] | None) -> str | os.PathLike[str]:
        """Return the state file of a job: the argument, or that of the settings.

        Jobs on an emulator in memory have a temporary one, which :meth:`close` removes.

        Args:
            path: The argument of the job.

        Raises:
            ConfigurationError: The home directory is unknown.
        """
        if path:
            return path
        if not self._in_memory:
            return self.state
        if self._temporary_state is None:
            folder = tempfile.mkdtemp(prefix="pinterest-audiences-")
            self._remove_temporary = weakref.finalize(self, shutil.rmtree, folder, True)  # noqa: FBT003 - its ignore_errors
            self._temporary_state = Path(folder) / "state.sqlite3"
        return self._temporary_state

    def close(self) -> None:
        """Remove the temporary state file."""
        if self._remove_temporary is not None:
            self._remove_temporary()

    @property
    def emulator_file(self) -> Path:
        """State file of the local emulator, next to the state file of the jobs.

        Raises:
            ConfigurationError: The home directory is unknown.
        """
        # The folder of a state file that was set may hold several.
        explicit = bool(self.explicit_state)
        return self.state.with_name(
            f"{self.state.name}.emulator" if explicit else "pinterest.sqlite3"
        )

    @property
    def login_file(self) -> Path:
        """File with the tokens of the login; the emulator has a separate one.

        Raises:
            ConfigurationError: The home directory is unknown.
        """
        name = self.profile_name or _DEFAULT_PROFILE
        name = "tokens.json" if name == _DEFAULT_PROFILE else f"tokens-{name}.json"
        if self.emulated:
            file = self.emulator_file
            return file.with_name(f"{file.name}.{name}" if self.explicit_state else name)
        path = os.environ.get(STORE_VARIABLE) or self.profile.token_store
        return expand_home(path, STORE_VARIABLE) if path else config_folder() / name

    def warnings(self) -> list[str]:
        """Return a warning if others can write the file, which names files of tokens and state."""
        path = _config_file_if_known()
        if os.name != "posix" or path is None or not path.exists():
            return []
        if not path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return []
        return [f"{path} is writable by others; run chmod 600 {path}"]

    def override_warnings(self) -> list[str]:
        """Return warnings about variables that override keys of the profile that is an argument."""
        if not self.is_profile_argument or self.emulated:
            return []
        name, warnings = self.profile.name, list[str]()
        arguments = {
            "ad_account": self._ad_account,
            "api_uri": self._base_url,
            "state": self._state,
        }
        for variable, key in _OVERRIDES:
            value, stored = os.environ.get(variable), getattr(self.profile, key)
            if value and stored and value != stored and arguments.get(key) is None:
                warnings.append(f"{variable} overrides {key} of profile {name!r}")
        return warnings


def validate_timeout(seconds: float | None, name: str = "timeout") -> float | None:
    """Return a timeout in seconds, or None for no limit.

    Raises:
        ConfigurationError: It is neither None nor a number above 0.
    """
    if seconds is None:
        return None
    return validate_number(name, seconds, above=0.0, hint=", or None for no limit")


def validate_number(name: str, value: object, *, above: float, hint: str = "") -> float:
    """Return a finite number.

    Raises:
        ConfigurationError: It is not a finite number above the bound.
    """
    if (
        not isinstance(value, int | float)
        or isinstance(value, bool)
        or not math.isfinite(value)
        or value <= above
    ):
        raise ConfigurationError(f"{name} must be a number above {above:g}{hint}", param=name)
    return value


def validate_integer(name: str, value: object, minimum: int, maximum: int) -> int:
    """Return an integer.

    Raises:
        ConfigurationError: It is not an integer, or out of bounds.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
        raise ConfigurationError(
            f"{name} must be an integer from {minimum} to {maximum}", param=name
        )
    return value


def validate_text(name: str, value: object) -> str:
    """Return a string that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f"{name} must be a non-empty string", param=name)
    return value


def validate_mapping(name: str, value: object, hint: str) -> None:
    """Check a mapping.

    Raises:
        ConfigurationError: It is not a mapping.
    """
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{name} must be a mapping {hint}", param=name)


def validate_flag(name: str, value: object) -> bool:
    """Return a boolean.

    Raises:
        ConfigurationError: It is neither True nor False.
    """
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be True or False", param=name)
    return value


def validate_function(name: str, value: _Function | None) -> _Function | None:
    """Return a function, or None.

    Raises:
        ConfigurationError: It is neither.
    """
    if value is not None and not callable(value):
        raise ConfigurationError(f"{name} must be a function", param=name)
    return value


def log_level() -> int | None:
    """Return the level that ``PINTEREST_AUDIENCES_LOG`` names; ``None`` if it is not set.

    Raises:
        ConfigurationError: It is neither debug nor info.
    """
    text = os.environ.get(LOG_VARIABLE, "").strip()
    if not text:
        return None
    levels = {"debug": logging.DEBUG, "info": logging.INFO}
    if text.lower() not in levels:
        raise ConfigurationError(f"{LOG_VARIABLE} must be debug or info", param=LOG_VARIABLE)
    return levels[text.lower()]


def enable_logging() -> None:
    """Print log messages to standard error as ``PINTEREST_AUDIENCES_LOG`` says.

    A logger with handlers is left as it is.

    Raises:
        ConfigurationError: The variable is neither debug nor info.
    """
    level, logger = log_level(), logging.getLogger("pinterest_audiences")
    if level is None or logger.handlers:
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(level)


class Clock(Protocol):
    """Time, sleep and random numbers as the client uses them; subclass it to simulate time.

    The clock of an emulator, ``emulator.clock``, is one, too.

    Example:
        >>> class Frozen(Clock):
        ...     def monotonic(self) -> float:
        ...         return 0.0
        >>> Frozen().monotonic()
        0.0
    """

    def monotonic(self) -> float:
        """Return seconds of a clock that never goes back, from an arbitrary start."""
        return time.monotonic()

    def time(self) -> float:
        """Return Unix seconds."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Sleep without blocking the event loop."""
        import anyio  # noqa: PLC0415 - `--help` of the command line does not need it

        await anyio.sleep(seconds)

    def random(self) -> float:
        """Return a random number from 0 to 1, excluding 1."""
        return random.random()  # noqa: S311 - spreads retries; not a secret


class SystemClock(Clock):
    """The system's time and random numbers."""
