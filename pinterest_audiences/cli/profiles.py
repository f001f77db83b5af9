"""Profiles: what a user does not want to say every time. They hold no secret."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from attrs import fields, frozen

from pinterest_audiences.auth.locks import config_folder
from pinterest_audiences.cli.exits import Exit
from pinterest_audiences.cli.refusals import CommandError

__all__ = ["Profile", "config_path", "read_profile"]

_DEFAULT = "default"
_SECRETS = frozenset({"access_token", "refresh_token", "app_secret", "token", "secret", "password"})


@frozen(kw_only=True)
class Profile:
    """One profile of the configuration; each of its keys is optional.

    Attributes:
        name: What it is called.
        ad_account: The ad account.
        app_id: The app to log in with.
        app_secret_file: A file that holds the app's secret.
        access_token_file: A file that holds an access token.
        token_store: The file that keeps the tokens of a login.
        api_uri: Where the API is; ``emulator:`` for the embedded emulator.
        state: The state file of the jobs.
        output: The form of results.
        max_reject_share: Above this share of rejects nothing is sent.
        lists: Names of your own for the ids of customer lists.
    """

    name: str = _DEFAULT
    ad_account: str | None = None
    app_id: str | None = None
    app_secret_file: str | None = None
    access_token_file: str | None = None
    token_store: str | None = None
    api_uri: str | None = None
    state: str | None = None
    output: str | None = None
    max_reject_share: float | None = None
    lists: Mapping[str, str] = {}


KEYS = tuple(field.name for field in fields(Profile) if field.name != "name")


def config_path() -> Path:
    """Return where the configuration is: ``PINTEREST_AUDIENCES_CONFIG``, or the user's own."""
    given = os.environ.get("PINTEREST_AUDIENCES_CONFIG")
    return Path(given).expanduser() if given else config_folder() / "config.toml"


def read_profile(wanted: str | None) -> tuple[Profile, list[str]]:
    """Read a profile.

    Args:
        wanted: Its name; None for ``default``, which need not be there.

    Returns:
        The profile, and what to warn of.

    Raises:
        CommandError: The file cannot be read or holds something unknown, or there is no such
            profile.
    """
    path = config_path()
    try:
        text, warnings = path.read_text(encoding="utf-8-sig"), _open_to_others(path)
    except FileNotFoundError:
        if os.environ.get("PINTEREST_AUDIENCES_CONFIG"):
            raise _wrong(
                path, "there is no such file, and PINTEREST_AUDIENCES_CONFIG names it"
            ) from None
        if wanted is None:
            return Profile(), []
        raise _wrong(path, "there is no such file, and so no profile but default") from None
    except (OSError, UnicodeDecodeError) as error:
        told = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise _wrong(path, f"cannot be read: {told}") from None
    import tomllib  # noqa: PLC0415 - where there is a file

    try:
        data: dict[str, object] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _wrong(path, f"is no TOML: {error}") from None
    profiles = data.pop("profiles", {})
    for key in data:
        raise _unknown(path, key, ["profiles"], "write it below [profiles.default]")
    if not isinstance(profiles, dict):
        raise _wrong(path, "profiles: a table for each profile is needed, [profiles.default]")
    found = cast("dict[str, object]", profiles)
    read = {name: _profile(path, name, values) for name, values in found.items()}
    if wanted is not None and wanted not in read:
        raise _wrong(
            path, f"there is no profile of that name; there are: {', '.join(read) or 'none'}"
        )
    return read.get(wanted or _DEFAULT, Profile()), warnings


def _profile(path: Path, name: str, given: object) -> Profile:
    where = f"profiles.{name}"
    if not isinstance(given, dict):
        raise _wrong(path, f"{where}: a table is needed, [{where}]")
    values = dict(cast("dict[str, object]", given))
    for key in values:
        if key not in KEYS:
            hint = "secrets do not belong here: log in, or name a file that holds it"
            raise _unknown(path, f"{where}.{key}", KEYS, hint if key in _SECRETS else "")
    share, lists = values.pop("max_reject_share", None), values.pop("lists", {})
    for key, value in values.items():
        # An id without quotes is a number in TOML; it is the mistake that everybody makes once.
        if (
            isinstance(value, int)
            and not isinstance(value, bool)
            and key in ("ad_account", "app_id")
        ):
            values[key] = str(value)
        elif not isinstance(value, str):
            raise _wrong(path, f"{where}.{key}: a string is needed")
    if share is not None and not _is_share(share):
        raise _wrong(path, f"{where}.max_reject_share: a number from 0 to 1 is needed")
    return Profile(
        name=name,
        max_reject_share=None if share is None else float(cast("float", share)),
        lists=_aliases(path, where, lists),
        **cast("dict[str, str]", values),
    )


def _is_share(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 <= cast("float", value) <= 1


def _aliases(path: Path, where: str, given: object) -> dict[str, str]:
    aliases = cast("dict[str, object]", given) if isinstance(given, dict) else {"": None}
    for alias, value in aliases.items():
        if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).isdigit():
            told = f"{where}.lists{f'.{alias}' if alias else ''}"
            raise _wrong(path, f'{told}: the id of a list is needed, as name = "2542620000000"')
    return {alias: str(value) for alias, value in aliases.items()}


def _open_to_others(path: Path) -> list[str]:
    """Warn of a file that others may write: it says where tokens and state are kept."""
    if os.name != "posix" or not path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return []
    return [f"{path}: others may write to it; chmod 600 {path}"]


def _unknown(path: Path, key: str, known: tuple[str, ...] | list[str], hint: str) -> CommandError:
    import difflib  # noqa: PLC0415 - when used

    close = difflib.get_close_matches(key.rpartition(".")[2], known, n=1)
    hint = hint or (f"did you mean {close[0]}?" if close else f"known are: {', '.join(known)}")
    return _wrong(path, f"unknown key {key}; {hint}")


def _wrong(path: Path, text: str) -> CommandError:
    return CommandError(f"{path}: {text}", code="config", exit=Exit.USAGE)
