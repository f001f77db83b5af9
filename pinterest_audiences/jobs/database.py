"""The one SQLite file: where it is, how it is opened, and what its errors mean."""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from pinterest_audiences.errors import ConfigurationError
from pinterest_audiences.jobs.errors import StateError, disk_error
from pinterest_audiences.jobs.schema import APPLICATION_ID, MIGRATIONS, VERSION

__all__ = ["Database", "state_path"]

_PATIENCE = 60.0  # seconds for another process to end its transaction
_LOOK_AGAIN = 0.02  # seconds, where SQLite does not wait by itself
_LOOKS = 500
_FILE_NAME = "state.sqlite3"
_PAGE = 8_192  # bytes: keys come some hundred thousand bytes at a time


def state_path(given: str | os.PathLike[str] | None) -> Path:
    """Choose the state file: the argument, ``PINTEREST_AUDIENCES_STATE``, or the user's own.

    The last is ``$XDG_STATE_HOME/pinterest-audiences`` (``~/.local/state`` without it; on Windows
    ``%LOCALAPPDATA%``). A ``~`` is expanded in the variable, not in the argument.

    Raises:
        ConfigurationError: The home directory is needed, and not known.
    """
    if given:
        return Path(given)
    try:
        chosen = os.environ.get("PINTEREST_AUDIENCES_STATE")
        return Path(chosen).expanduser() if chosen else _users_own()
    except RuntimeError:  # a user without HOME whom the system does not know, or ~somebody
        raise ConfigurationError(
            "no home directory for the state file: set HOME, XDG_STATE_HOME, or "
            "PINTEREST_AUDIENCES_STATE to its full path"
        ) from None


def _users_own() -> Path:
    if sys.platform == "win32":
        home = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    else:
        home = os.environ.get("XDG_STATE_HOME") or ""
        if not Path(home).is_absolute():  # to be ignored then, says the XDG specification
            home = str(Path.home() / ".local" / "state")
    return Path(home) / "pinterest-audiences" / _FILE_NAME


class Database:
    """A connection to the state file; made if it is not there, mode 0600.

    Args:
        path: Where it is.

    Raises:
        StateError: It cannot be opened, is no state file, or is of a newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._told():
            _make_private(path)
            # Threads take turns: each job uses its connection from one thread at a time.
            self._sql = sqlite3.connect(
                path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare()
            except BaseException:
                self._sql.close()
                raise

    def close(self) -> None:
        """Close the connection."""
        self._sql.close()

    @contextmanager
    def transaction(self) -> Generator[sqlite3.Connection, None, None]:
        """Do all of it, durably, or nothing.

        Raises:
            StateError: The file cannot be read or written.
        """
        with self._told(), self._within("BEGIN IMMEDIATE"):
            yield self._sql

    @contextmanager
    def snapshot(self) -> Generator[sqlite3.Connection, None, None]:
        """Read the file as it is at this moment, whatever others write meanwhile.

        For who does not hold the lock of what it reads. Until it ends, this connection cannot
        write.

        Raises:
            StateError: The file cannot be read.
        """
        with self._told(), self._within("BEGIN"):
            yield self._sql

    @contextmanager
    def reading(self) -> Generator[sqlite3.Connection, None, None]:
        """Read, step by step; between two steps something may be written, here too.

        Raises:
            StateError: The file cannot be read.
        """
        with self._told():
            yield self._sql

    def erase_traces(self) -> None:
        """Take what was deleted off the disk: freed pages are zeroed, and the log is emptied.

        Raises:
            StateError: The file cannot be written.
        """
        deadline = time.monotonic() + _PATIENCE
        while self._log_is_busy():
            if time.monotonic() > deadline:
                raise StateError(
                    "what was deleted may still be in its log, which another process is reading; "
                    "forget again when it has ended",
                    path=self._name,
                )
            time.sleep(_LOOK_AGAIN)  # in a worker thread, as all that is done with the file

    def _log_is_busy(self) -> bool:
        # Where somebody else empties the log at the same time, SQLite does not wait by itself.
        with self._told():
            (busy, *_) = self._sql.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return bool(busy)

    def _prepare(self) -> None:
        sql = self._sql
        sql.execute("PRAGMA foreign_keys = ON")
        sql.execute("PRAGMA secure_delete = ON")  # a forgotten person leaves no digest behind
        with self._within("BEGIN"):
            version = self._version()
        if version != VERSION:
            sql.execute(f"PRAGMA page_size = {_PAGE}")  # of a new file
            self._use_log()
            with self._within("BEGIN IMMEDIATE"):
                self._migrate()
        # A batch that may have been sent must be known to be, after a power cut too.
        sql.execute("PRAGMA synchronous = FULL")

    def _migrate(self) -> None:
        for migration in MIGRATIONS[self._version() :]:  # another process may have been faster
            for statement in migration.split(";\n"):
                self._sql.execute(statement)
        self._sql.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        self._sql.execute(f"PRAGMA user_version = {VERSION}")

    def _use_log(self) -> None:
        """Switch to a write-ahead log; SQLite does not wait for others who do so at this moment."""
        for tries_left in reversed(range(_LOOKS)):
            try:
                self._sql.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if not tries_left or error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    raise
                time.sleep(_LOOK_AGAIN)  # where a file is opened, in a worker thread
            else:
                return

    @contextmanager
    def _within(self, begin: str) -> Generator[None, None, None]:
        self._sql.execute(begin)
        try:
            yield
            self._sql.execute("COMMIT")
        except BaseException:
            if self._sql.in_transaction:
                self._sql.execute("ROLLBACK")
            raise

    def _version(self) -> int:
        (version,) = self._sql.execute("PRAGMA user_version").fetchone()
        (application,) = self._sql.execute("PRAGMA application_id").fetchone()
        (tables,) = self._sql.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if tables and application != APPLICATION_ID:
            raise StateError("is some other program's database; name another file", path=self._name)
        if version > VERSION:
            raise StateError(
                f"was written by a newer version of this package (schema {version}, known: "
                f"{VERSION}); upgrade it, or name another file",
                path=self._name,
            )
        return int(version)

    @property
    def _name(self) -> str:
        return str(self.path)

    @contextmanager
    def _told(self) -> Generator[None, None, None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StateError(_reason(error), path=self._name) from error
        except OSError as error:
            raise disk_error(error, self.path) from error


def _make_private(path: Path) -> None:
    """Make the file before SQLite does, which would make it readable for everybody."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # SQLite's own companions (-wal, -shm) take the mode of the file.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _reason(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    match code:
        case sqlite3.SQLITE_FULL:
            return "the disk is full; make room and resume"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return "cannot be written; check its owner, its mode and its directory's"
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"another process has been writing for {_PATIENCE:.0f} s; try again later"
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return (
                "is damaged, or no SQLite file; restore a copy, or move it away: without it a "
                "mirror has to adopt its list anew"
            )
        case sqlite3.SQLITE_IOERR:
            return "the disk failed while it was read or written"
        case _:
            return f"SQLite says {getattr(error, 'sqlite_errorname', type(error).__name__)}"
