"""Write a profile to the configuration file, and the secret of its app to a file next to it."""

from __future__ import annotations

import json
import os
import re
import tempfile
import tomllib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from pinterest_audiences._config import config_file
from pinterest_audiences._file_lock import LockHeldError, file_lock
from pinterest_audiences.cli.error_reports import CommandError, ExitCode

__all__ = ["save_secret", "secret_file", "write_profile"]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_LOCK_TIMEOUT_SECONDS = 30.0


def write_profile(name: str, values: Mapping[str, str | None]) -> Path | None:
    """Set keys of a profile; comments and everything else in the file stay as they are.

    Args:
        name: The profile; created if missing.
        values: The values by key; ``None`` deletes the key.

    Returns:
        The file; ``None`` if it had these values already and was not written.

    Raises:
        CommandError: Another process holds the lock of the file, or the file cannot be edited in
            its form; the message lists the lines to change.
        OSError: The file cannot be read or written.
    """
    path = config_file().resolve()  # a symbolic link stays
    if not _update(tomllib.loads(_text(path)), name, values):
        return None  # the file may be read-only
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _lock(path):
        text = _text(path)
        expected = tomllib.loads(text)
        if not _update(expected, name, values):
            return None
        new = _with_values(text, name, values)
        if not _is_toml_of(new, expected):
            raise _not_editable(path, name, values)
        _replace(path, new.encode(), path.stat().st_mode & 0o777 if path.exists() else 0o600)
    return path


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8-sig") if path.exists() else ""


@contextmanager
def _lock(path: Path) -> Generator[None, None, None]:
    try:
        with file_lock(path.with_name(f"{path.name}.lock"), _LOCK_TIMEOUT_SECONDS):
            yield
    except LockHeldError:
        raise CommandError(
            f"{path} is locked by another process", code="config", exit=ExitCode.USAGE
        ) from None


def _update(document: dict[str, object], name: str, values: Mapping[str, str | None]) -> bool:
    """Set keys of a profile in a parsed file; return whether that changes anything."""
    profiles = cast("dict[str, dict[str, object]]", document.setdefault("profiles", {}))
    before = profiles.get(name)
    table = {**(before or {}), **values}
    table = {key: value for key, value in table.items() if value is not None}
    profiles[name] = table
    return table != before


def _not_editable(path: Path, name: str, values: Mapping[str, str | None]) -> CommandError:
    lines = [f"{key} = {_quoted(value)}" for key, value in values.items() if value is not None]
    deleted = [key for key, value in values.items() if value is None]
    removal = f"delete {' and '.join(deleted)} from it, and " if deleted else ""
    return CommandError(
        f"{path}: profile {name!r} cannot be edited in this form; {removal}add these lines to it:\n"
        + "\n".join(lines),
        code="config",
        exit=ExitCode.USAGE,
    )


def secret_file(name: str) -> Path:
    """Return the file for the secret of a profile's app, next to the configuration file."""
    return config_file().with_name("app-secret" if name == "default" else f"app-secret-{name}")


def save_secret(path: Path, secret: str) -> None:
    """Write a secret to a file with mode 0600; its folder is created if missing.

    Raises:
        OSError: It cannot be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _replace(path, f"{secret}\n".encode(), 0o600)


def _replace(path: Path, content: bytes, mode: int) -> None:
    """Write a file; a reader sees the old or the new content."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _is_toml_of(text: str, expected: Mapping[str, object]) -> bool:
    try:
        return tomllib.loads(text) == expected
    except tomllib.TOMLDecodeError:
        return False


def _with_values(text: str, name: str, values: Mapping[str, str | None]) -> str:
    """Return a configuration file with the keys of one profile set or deleted."""
    lines = text.splitlines(keepends=True)
    end = "\r\n" if text.count("\r\n") else "\n"
    begin = next((number for number, line in enumerate(lines) if _is_header(line, name)), None)
    if begin is None:
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += end
        lines += [end] * bool(lines)
        begin = len(lines)
        lines.append(f"[profiles.{name if _BARE_KEY.fullmatch(name) else _quoted(name)}]{end}")
    last = _end_of_table(lines, begin)
    for key, value in values.items():
        numbers = range(begin + 1, last)
        number = next((each for each in numbers if _sets(lines[each], key)), None)
        if value is None:
            if number is not None:
                del lines[number]
                last -= 1
            continue
        line = f"{key} = {_quoted(value)}{end}"
        if number is None:
            if not lines[last - 1].endswith("\n"):
                lines[last - 1] += end
            lines.insert(last, line)
            last += 1
        elif _value_of(lines[number], key) != value:
            lines[number] = line
    return "".join(lines)


def _end_of_table(lines: list[str], begin: int) -> int:
    """Return the number of the line after the last one of a table that is not blank."""
    following = range(begin + 1, len(lines))
    end = next((each for each in following if lines[each].lstrip().startswith("[")), len(lines))
    while not lines[end - 1].strip():
        end -= 1
    return end


def _is_header(line: str, name: str) -> bool:
    return line.lstrip().startswith("[") and _is_toml_of(line, {"profiles": {name: {}}})


def _sets(line: str, key: str) -> bool:
    return re.match(rf"""\s*(["']?){key}\1\s*=""", line) is not None


def _value_of(line: str, key: str) -> object:
    try:
        return cast("object", tomllib.loads(line).get(key))
    except tomllib.TOMLDecodeError:  # the first line of a value on several lines
        return None


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
