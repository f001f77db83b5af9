"""The SQLite state file: location, permissions, schema and errors.

``list`` has a row for each customer list. A ``job`` has batches; ``content`` has the keys of a
``batch`` until it is compacted. ``segment`` holds the members of a list at the last compaction.
``run`` is the history: a row each time a job ran, or failed before it could.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import struct
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from pinterest_audiences._errors import PinterestAudiencesError
from pinterest_audiences._jobs.job_errors import StateError, disk_error

__all__ = [
    "APPLICATION_ID",
    "MIN_SCHEMA_VERSION",
    "SCHEMA_VERSION",
    "Database",
    "open_private",
    "real_path",
    "restrict_to_owner",
    "upload_path",
]

_OWNER_ONLY = 0o600
_OPEN_FLAGS = (
    getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)  # opening a FIFO must not block
    | getattr(os, "O_BINARY", 0)
)
_LOCK_TIMEOUT_SECONDS = 60.0  # for another process to end its transaction
_LOCK_POLL_SECONDS = 0.02  # where SQLite does not wait by itself
_MAX_WAL_ATTEMPTS = 500
_MAX_IDLE_LOG_BYTES = 16 << 20  # a longer write-ahead log is cut after it was checkpointed
_PAGE_BYTES = 8_192  # keys are written some hundred thousand bytes at a time
# Raised by values that this package never writes: wrong type or length, missing, invalid JSON.
_DAMAGE_ERRORS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, struct.error)
_DAMAGED = (
    "is damaged: it contains values that this package does not write; restore a copy, or move it "
    "away and adopt its lists again"
)
APPLICATION_ID = 0x50415544  # "PAUD": identifies state files of this package
SCHEMA_VERSION = 5
MIN_SCHEMA_VERSION = 4  # earlier ones were never released
_RUN_TABLE = """
CREATE TABLE run (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    service TEXT NOT NULL,
    ad_account_id TEXT NOT NULL,
    list_id INTEGER,                -- NULL if it failed before its list was known
    job_id INTEGER,                 -- NULL if it failed before its job was started
    operation TEXT NOT NULL,        -- upload | remove | mirror | forget
    source TEXT,
    started REAL NOT NULL,
    finished REAL,                  -- NULL while it is running, and after it was killed
    outcome TEXT NOT NULL,          -- running | done | failed | interrupted
    rows INTEGER NOT NULL DEFAULT 0,
    rejected INTEGER NOT NULL DEFAULT 0,
    added_before INTEGER NOT NULL DEFAULT 0,    -- by earlier runs of the job
    removed_before INTEGER NOT NULL DEFAULT 0,
    added INTEGER NOT NULL DEFAULT 0,           -- by this run, after it has ended
    removed INTEGER NOT NULL DEFAULT 0,
    unsent INTEGER NOT NULL DEFAULT 0,
    error_type TEXT,
    error TEXT
);
CREATE INDEX run_of_job ON run (job_id);
"""
_SCHEMA = """
CREATE TABLE list (
    id INTEGER PRIMARY KEY,
    service TEXT NOT NULL,          -- base URL: the same id elsewhere is another list
    ad_account_id TEXT NOT NULL,
    customer_list_id TEXT,          -- NULL until the response to the create was received
    name TEXT,
    origin TEXT NOT NULL,           -- created | foreign | adopted
    version INTEGER NOT NULL DEFAULT 0,  -- incremented whenever the membership changes
    batches INTEGER,                -- Pinterest's counters, as last seen
    uploaded INTEGER,
    removed INTEGER,
    batch_size INTEGER,             -- the largest that was accepted after a larger one was refused
    missing INTEGER NOT NULL DEFAULT 0,  -- removed outside this tool, until a mirror repairs it
    UNIQUE (service, ad_account_id, customer_list_id)
);
CREATE TABLE job (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    list_id INTEGER NOT NULL REFERENCES list (id),
    kind TEXT NOT NULL,             -- upload | mirror | forget
    status TEXT NOT NULL,           -- draft | planned | running | done | superseded | abandoned
    version INTEGER NOT NULL,       -- of the list, when the job was planned
    created REAL NOT NULL,
    finished REAL,
    plan TEXT NOT NULL DEFAULT '{}',
    newest_id TEXT,                 -- the account's newest list before a create was sent
    calls INTEGER NOT NULL DEFAULT 0,
    rate_limited INTEGER NOT NULL DEFAULT 0,
    budget_seconds REAL NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    findings TEXT NOT NULL DEFAULT '[]'
);
CREATE INDEX job_of_list ON job (list_id, status);
CREATE TABLE batch (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    list_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,           -- shared by the parts of a split batch
    operation TEXT NOT NULL,        -- ADD | REMOVE
    form TEXT NOT NULL,             -- the codec of its keys: sha256 | sha1 | md5 | row
    count INTEGER NOT NULL,
    low INTEGER NOT NULL,           -- its first bucket
    high INTEGER NOT NULL,          -- its last bucket
    status TEXT NOT NULL,           -- planned | sending | acknowledged | dropped | rejected
    sends INTEGER NOT NULL DEFAULT 0,
    folded INTEGER NOT NULL DEFAULT 0,  -- whether it was compacted into the segments
    acknowledged REAL
);
CREATE INDEX batch_of_job ON batch (job_id);
CREATE INDEX batch_to_send ON batch (job_id, seq, id) WHERE status IN ('planned', 'sending');
CREATE INDEX batch_of_list ON batch (list_id, folded, status);
-- The keys of a batch until it is compacted. In a table of their own, because SQLite rewrites the
-- whole row of a batch when it is acknowledged.
CREATE TABLE content (
    batch_id INTEGER PRIMARY KEY REFERENCES batch (id) ON DELETE CASCADE,
    keys BLOB NOT NULL
);
CREATE TABLE segment (
    id INTEGER PRIMARY KEY,
    list_id INTEGER NOT NULL,
    form TEXT NOT NULL,             -- the codec of its keys
    first INTEGER NOT NULL,         -- its first bucket
    last INTEGER NOT NULL,          -- its last bucket
    sure_count INTEGER NOT NULL,
    maybe_count INTEGER NOT NULL,
    maybe BLOB NOT NULL,            -- unconfirmed members: they may be on the list or not
    sure BLOB NOT NULL              -- confirmed members
);
CREATE INDEX segment_of_list ON segment (list_id, form, first);
"""
_MIGRATIONS = {4: _RUN_TABLE}  # by the version that they start from


def upload_path(state: Path, list_key: int) -> Path:
    """Return the path of a job's upload file, on systems where it needs a name."""
    state = real_path(state)
    return state.with_name(f"{state.name}-{list_key}.upload")


def real_path(path: Path) -> Path:
    """Return a path with links resolved; a loop of links fails when the file is opened."""
    # `Path.resolve` raises RuntimeError on loops before Python 3.13.
    return Path(os.path.realpath(path))


def open_private(path: Path, flags: int) -> int:
    """Open a regular file, created with mode 0600 if it does not exist.

    Args:
        path: The file; the last part of the path must not be a link.
        flags: Flags for `os.open`.

    Returns:
        The descriptor.

    Raises:
        OSError: The file cannot be opened, is a link, or is not a regular file.
    """
    descriptor = os.open(path, flags | _OPEN_FLAGS, _OWNER_ONLY)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "is not a regular file", str(path))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def restrict_to_owner(descriptor: int) -> None:
    """Remove the permissions of group and others from a file.

    Raises:
        OSError: The file belongs to another user.
    """
    if os.name == "posix" and stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
        os.fchmod(descriptor, _OWNER_ONLY)


class Database:
    """A connection to the state file, which is created with mode 0600 if it does not exist.

    Args:
        path: The path of the file.

    Raises:
        StateError: The file cannot be opened, is not a state file, or has another schema version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._translate_errors():
            _create_private(path)
            # Several threads use the connection, but never at the same time.
            self._sql = sqlite3.connect(
                path.absolute(),
                timeout=_LOCK_TIMEOUT_SECONDS,
                isolation_level=None,
                check_same_thread=False,
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
        """Run a write transaction: everything is committed durably, or nothing.

        Raises:
            StateError: The file cannot be read or written.
        """
        with self._translate_errors(), self._transaction("BEGIN IMMEDIATE"):
            yield self._sql

    @contextmanager
    def snapshot(self) -> Generator[sqlite3.Connection, None, None]:
        """Run a read transaction, which does not see concurrent writes of other connections.

        For callers that do not hold the lock of the list. This connection cannot write until the
        transaction ends.

        Raises:
            StateError: The file cannot be read.
        """
        with self._translate_errors(), self._transaction("BEGIN"):
            yield self._sql

    @contextmanager
    def reading(self) -> Generator[sqlite3.Connection, None, None]:
        """Read without a transaction; writes between two queries are seen.

        Raises:
            StateError: The file cannot be read.
        """
        with self._translate_errors():
            yield self._sql

    def erase_traces(self) -> None:
        """Remove deleted data from the disk: freed pages are zeroed, and the log is emptied.

        Raises:
            StateError: The file cannot be written.
        """
        deadline = time.monotonic() + _LOCK_TIMEOUT_SECONDS
        while self._log_is_busy():
            if time.monotonic() > deadline:
                raise StateError(
                    "deleted data may still be in its log, which another process is reading; "
                    "run the erasure again after that process has ended",
                    path=self._name,
                )
            time.sleep(_LOCK_POLL_SECONDS)  # runs in a worker thread

    def _log_is_busy(self) -> bool:
        # SQLite does not wait for another connection that empties the log at the same time.
        with self._translate_errors():
            (busy, *_) = self._sql.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return bool(busy)

    def _prepare(self) -> None:
        sql = self._sql
        sql.execute("PRAGMA foreign_keys = ON")
        sql.execute("PRAGMA secure_delete = ON")  # deleted digests are overwritten with zeros
        sql.execute("PRAGMA temp_store = MEMORY")
        sql.execute(f"PRAGMA journal_size_limit = {_MAX_IDLE_LOG_BYTES}")
        with self._transaction("BEGIN"):
            version = self._version()
        if version == 0:
            sql.execute(f"PRAGMA page_size = {_PAGE_BYTES}")  # applies to a new file
            self._enable_wal()
        if version < SCHEMA_VERSION:
            with self._transaction("BEGIN IMMEDIATE"):
                self._create_tables()
        # The mark of a batch that is sent must survive a power failure.
        sql.execute("PRAGMA synchronous = FULL")

    def _create_tables(self) -> None:
        """Create the tables, or those that a file of an earlier version does not have."""
        version = self._version()  # another process may have created them meanwhile
        if not version:
            self._run_script(_SCHEMA)
            self._sql.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        for earlier, script in _MIGRATIONS.items():
            if version <= earlier:
                self._run_script(script)
        self._sql.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _run_script(self, script: str) -> None:
        for statement in script.split(";\n"):  # `executescript` would end the transaction
            self._sql.execute(statement)

    def _enable_wal(self) -> None:
        """Enable the write-ahead log; SQLite does not wait for a process that does the same."""
        for tries_left in reversed(range(_MAX_WAL_ATTEMPTS)):
            try:
                self._sql.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if not tries_left or error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    raise
                time.sleep(_LOCK_POLL_SECONDS)  # runs in a worker thread
            else:
                return

    @contextmanager
    def _transaction(self, begin: str) -> Generator[None, None, None]:
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
            raise StateError(
                "is the database of another program; use another file", path=self._name
            )
        if version > SCHEMA_VERSION:
            raise StateError(
                f"was written by a newer version of this package (schema {version}, supported: "
                f"{SCHEMA_VERSION}); upgrade the package, or use another file",
                path=self._name,
            )
        if (tables or version) and version < MIN_SCHEMA_VERSION:
            raise StateError(
                f"was written by a pre-release of this package (schema {version}, supported: "
                f"{MIN_SCHEMA_VERSION} and later); move it away and adopt its lists again",
                path=self._name,
            )
        return int(version)

    @property
    def _name(self) -> str:
        return str(self.path)

    @contextmanager
    def _translate_errors(self) -> Generator[None, None, None]:
        try:
            yield
        except PinterestAudiencesError:
            raise
        except sqlite3.Error as error:
            raise StateError(_error_reason(error), path=self._name) from error
        except _DAMAGE_ERRORS as error:
            raise StateError(_DAMAGED, path=self._name) from error
        except OSError as error:
            raise disk_error(error, self.path) from error


def _create_private(path: Path) -> None:
    """Create the file, because SQLite would make it readable for every user.

    The permissions of group and others are removed from an existing file and from the files that
    SQLite keeps next to it, which get the mode of the file when they are created.

    Raises:
        StateError: The file has such permissions and belongs to another user.
    """
    if "\0" in str(path):
        raise StateError("must be a path without null characters")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = real_path(path)  # the state file itself may be reached through a link
    for name in (path.name, *(f"{path.name}{suffix}" for suffix in ("-wal", "-shm"))):
        flags = os.O_RDWR | (os.O_CREAT if name == path.name else 0)
        try:
            descriptor = open_private(path.with_name(name), flags)
        except FileNotFoundError:
            continue
        try:
            restrict_to_owner(descriptor)
        except PermissionError:
            raise StateError(
                "is accessible to other users and belongs to another user; use another file",
                path=str(path),
            ) from None
        finally:
            os.close(descriptor)


def _error_reason(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    match code:
        case sqlite3.SQLITE_FULL:
            return "the disk is full; free some space and resume"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return "cannot be written; check its owner, its mode and its directory's"
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            seconds = _LOCK_TIMEOUT_SECONDS
            return f"another process has been writing for {seconds:.0f} s; try again later"
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return (
                "is damaged, or not an SQLite file; restore a copy, or move it away and adopt its "
                "lists again"
            )
        case sqlite3.SQLITE_IOERR:
            return "an I/O error occurred while it was read or written"
        case _:
            return f"SQLite error {getattr(error, 'sqlite_errorname', type(error).__name__)}"
