"""The state of an emulator in a file: one SQLite database, written as a whole or not at all.

Locks on files end with their process, also when it is killed.
"""

from __future__ import annotations

import glob
import json
import os
import sqlite3
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import attrs

from pinterest_audiences.emulator._audiences import AudienceState, SegmentState
from pinterest_audiences.emulator._backend import BackendState
from pinterest_audiences.emulator._customer_lists import CustomerListState, Packed, pack, unpack
from pinterest_audiences.emulator._tokens import Grant
from pinterest_audiences.emulator._uploads import UploadState

if TYPE_CHECKING:
    from collections.abc import Generator

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


_T = TypeVar("_T")

VERSION = 1
"""The version of the file format; another one is refused."""

_APPLICATION_ID = 0x50414531  # "PAE1"

_TABLES = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE things (kind TEXT, fields TEXT);
CREATE TABLE members (list_set INTEGER, kind INTEGER, member BLOB);
CREATE TABLE parts (upload_id INTEGER, number INTEGER, content BLOB);
"""
# The kind of a stored member; digests are many to a row, and their kind is their width in bytes.
_TEXT, _ROW = 0, 1
_DIGESTS_PER_ROW = 4096

# One attribute of a list has another name in the file.
_LAST_MATCHED, _STORED_LAST_MATCHED = "matched_at_last_processing", "settled"

_Fields = dict[str, object]

_TEMPORARY = ".tmp"
# The errors of reading a file that `write` did not write, or that is damaged.
_READ_ERRORS = (
    sqlite3.Error,
    TypeError,
    KeyError,
    ValueError,
    AttributeError,
    IndexError,
    OverflowError,
    RecursionError,
)
# The JSON types of a field, by its annotation; other fields are checked where they are read.
_JSON_TYPES: Mapping[str, tuple[type, ...]] = {
    "int": (int,),
    "int | None": (int, type(None)),
    "float": (int, float),
    "float | None": (int, float, type(None)),
    "str": (str,),
    "str | None": (str, type(None)),
    "bool": (bool,),
    "AudienceType": (str,),
    "OperationType": (str,),
    "UploadStatus": (str,),
    "Mapping[str, object]": (dict,),
    "tuple[str, ...]": (list,),
}


@attrs.frozen(kw_only=True)
class SavedState:
    """The contents of a file.

    Attributes:
        state: The state of the backend.
        handled: The number of answered requests.
        seed: The seed of the emulator.
        match_rate: The share of members that match; None for a function.
    """

    state: BackendState
    handled: int
    seed: int
    match_rate: float | None


def write(path: Path, saved: SavedState) -> None:
    """Write a state; a reader of the file sees the old one or the new one.

    Args:
        path: The file. Only its owner may read it, because it holds tokens and personal data.
        saved: The state.

    Raises:
        OSError: When it cannot be written.
    """
    path = path.resolve()  # a symbolic link is not replaced
    # Only its owner may read the temporary file, from its creation on.
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=_TEMPORARY, dir=path.parent)
    # The lock shows that a process is still writing; SQLite does not need another one. On Windows
    # it would lock SQLite out, and an open file can be neither renamed nor removed.
    if sys.platform == "win32":
        os.close(handle)
    else:
        try_lock(handle)
    try:
        uri = f"{Path(name).as_uri()}?nolock=1"
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as database:
            database.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
            database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            database.execute(f"PRAGMA user_version = {VERSION}")
            database.executescript(f"BEGIN; {_TABLES}")
            _insert_all(database, saved)
            database.execute("COMMIT")
        _sync(Path(name))
        Path(name).replace(path)
    except sqlite3.Error as error:
        raise OSError(f"cannot write {path}: {error}") from error
    finally:
        if sys.platform != "win32":
            os.close(handle)
        with suppress(FileNotFoundError):
            Path(name).unlink()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(path: Path) -> None:
    """Remove temporary files of processes that were killed while they wrote a state.

    Args:
        path: The file of that state.

    Raises:
        OSError: When one cannot be removed.
    """
    path = path.resolve()
    for leftover in path.parent.glob(f"{glob.escape(f'.{path.name}.')}*{_TEMPORARY}"):
        with suppress(FileNotFoundError):  # its writer has just finished
            if sys.platform == "win32":
                with suppress(PermissionError):  # its writer has opened it
                    leftover.unlink()
                continue
            descriptor = os.open(leftover, os.O_RDWR)
            try:
                if try_lock(descriptor):
                    leftover.unlink()
            finally:
                os.close(descriptor)


def read(path: Path) -> SavedState:
    """Read a state.

    Args:
        path: The file.

    Returns:
        Its contents.

    Raises:
        OSError: When it cannot be read.
        ValueError: When it is not the state of an emulator, or one of another version.
    """
    with path.open("rb"):
        pass  # SQLite's errors do not say why a file cannot be opened
    invalid = ValueError(
        f"{path} is not the state of an emulator of version {VERSION}, or is damaged; "
        "remove it, or use another file"
    )
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            (application_id,) = database.execute("PRAGMA application_id").fetchone()
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if (application_id, version) != (_APPLICATION_ID, VERSION):
                raise invalid
            if database.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise invalid
            return _read_all(database)
    except _READ_ERRORS as error:
        raise invalid from error


def _insert_all(database: sqlite3.Connection, saved: SavedState) -> None:
    state = saved.state
    facts: _Fields = {
        "ahead": state.ahead,
        "handled": saved.handled,
        "seed": saved.seed,
        "match_rate": saved.match_rate,
        "shared": state.shared,
        "audiences_made": state.audiences_made,
        "segments_made": state.segments_made,
        "taken": state.taken,
        "tokens_made": state.tokens_made,
    }
    _insert(database, "facts", ((name, json.dumps(value)) for name, value in facts.items()))
    # Lists that were created together share one set of members, in the file as in memory.
    sets = {id(each.members): each.members for each in state.lists}
    numbers = {key: number for number, key in enumerate(sets)}
    lists = (_list_fields(each) | {"members": numbers[id(each.members)]} for each in state.lists)
    _insert(database, "things", (("list", json.dumps(fields)) for fields in lists))
    members = ((numbers[key], *coded) for key, stored in sets.items() for coded in _encode(stored))
    _insert(database, "members", members)
    audiences = (("audience", json.dumps(_fields(each))) for each in state.audiences)
    _insert(database, "things", audiences)
    segments = (("segment", json.dumps(_fields(each))) for each in state.segments)
    _insert(database, "things", segments)
    uploads = (("upload", json.dumps(_fields(each) | {"parts": {}})) for each in state.uploads)
    _insert(database, "things", uploads)
    parts = ((each.id, n, part) for each in state.uploads for n, part in each.parts.items())
    _insert(database, "parts", parts)
    for kind, grants in _grants(state).items():
        rows = (json.dumps([token, _grant_fields(grant)]) for token, grant in grants.items())
        _insert(database, "things", ((kind, row) for row in rows))


def _read_all(database: sqlite3.Connection) -> SavedState:
    facts: dict[str, object] = {
        name: json.loads(value) for name, value in database.execute("SELECT * FROM facts")
    }
    sets: dict[int, set[Packed]] = {}
    for number, kind, member in database.execute("SELECT * FROM members"):
        sets.setdefault(number, set()).update(_decode(kind, member))
    lists: list[CustomerListState] = []
    for fields in _things(database, "list"):
        members = sets.setdefault(cast("int", fields["members"]), set())
        fields[_LAST_MATCHED] = fields.pop(_STORED_LAST_MATCHED)
        shared = fields | {"members": members, "members_shared": True}
        lists.append(_build(CustomerListState, shared))
    uploads = {
        upload.id: upload
        for fields in _things(database, "upload")
        for upload in (_build(UploadState, fields | {"parts": dict[int, bytes]()}),)
    }
    for upload_id, number, content in database.execute("SELECT * FROM parts"):
        uploads[upload_id].parts[number] = content
    audiences = [_build(AudienceState, fields) for fields in _things(database, "audience")]
    state = BackendState(
        ahead=cast("float", facts["ahead"]),
        lists=tuple(lists),
        audiences=tuple(audiences),
        shared=tuple(
            (number, receiver, identifier)
            for number, receiver, identifier in cast("list[tuple[int, str, int]]", facts["shared"])
        ),
        audiences_made=cast("int", facts["audiences_made"]),
        segments=tuple(_build(SegmentState, fields) for fields in _things(database, "segment")),
        # A file of an earlier version does not have it.
        segments_made=cast("int", facts.get("segments_made", 0)),
        uploads=tuple(uploads.values()),
        codes=_read_grants(database, "code"),
        access=_read_grants(database, "access"),
        refresh=_read_grants(database, "refresh"),
        taken=tuple(cast("list[str]", facts["taken"])),
        tokens_made=cast("int", facts["tokens_made"]),
    )
    return SavedState(
        state=state,
        handled=cast("int", facts["handled"]),
        seed=cast("int", facts["seed"]),
        match_rate=cast("float | None", facts["match_rate"]),
    )


def _build(kind: type[_T], fields: _Fields) -> _T:
    for name, annotation in kind.__annotations__.items():
        types = _JSON_TYPES.get(annotation)
        if types is not None and type(fields[name]) not in types:
            raise TypeError(name)
    return kind(**fields)


def _insert(database: sqlite3.Connection, table: str, rows: Iterable[tuple[object, ...]]) -> None:
    # The table name is a constant, and the values are bound.
    columns = {"facts": 2, "things": 2, "members": 3, "parts": 3}[table]
    marks = ", ".join("?" * columns)
    database.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608


def _things(database: sqlite3.Connection, kind: str) -> Iterator[_Fields]:
    for (fields,) in database.execute("SELECT fields FROM things WHERE kind = ?", (kind,)):
        yield cast("_Fields", json.loads(fields))


def _fields(thing: attrs.AttrsInstance) -> _Fields:
    return attrs.asdict(thing, recurse=False)


def _list_fields(customer_list: CustomerListState) -> _Fields:
    fields = _fields(customer_list)
    fields[_STORED_LAST_MATCHED] = fields.pop(_LAST_MATCHED)
    return fields


def _grants(state: BackendState) -> Mapping[str, Mapping[str, Grant]]:
    return {"code": state.codes, "access": state.access, "refresh": state.refresh}


def _grant_fields(grant: Grant) -> _Fields:
    scopes = None if grant.scopes is None else sorted(grant.scopes)
    return _fields(grant) | {"scopes": scopes}


def _read_grants(database: sqlite3.Connection, kind: str) -> dict[str, Grant]:
    read: dict[str, Grant] = {}
    for (text,) in database.execute("SELECT fields FROM things WHERE kind = ?", (kind,)):
        token, fields = json.loads(text)
        scopes = fields["scopes"]
        read[token] = Grant(**fields | {"scopes": None if scopes is None else frozenset(scopes)})
    return read


def _encode(members: Iterable[Packed]) -> Iterator[tuple[int, bytes]]:
    digests: dict[int, list[bytes]] = {}
    for packed in members:
        if isinstance(packed, str):
            yield _TEXT, packed.encode("utf-8", "surrogatepass")
        elif isinstance(packed, tuple):
            yield _ROW, json.dumps(unpack(packed)).encode()
        else:
            waiting = digests.setdefault(len(packed), [])
            waiting.append(packed)
            if len(waiting) == _DIGESTS_PER_ROW:
                yield len(packed), b"".join(waiting)
                waiting.clear()
    for width, waiting in digests.items():
        yield width, b"".join(waiting)


def _decode(kind: int, coded: bytes) -> Iterator[Packed]:
    if kind == _TEXT:
        yield coded.decode("utf-8", "surrogatepass")
    elif kind == _ROW:
        yield pack(tuple((name, value) for name, value in json.loads(coded)))
    else:
        yield from (coded[start : start + kind] for start in range(0, len(coded), kind))


def try_lock(descriptor: int) -> bool:
    """Lock an open file for this process, unless another process has locked it.

    Args:
        descriptor: The descriptor of the file; closing it ends the lock.

    Returns:
        Whether the lock is held now.

    Raises:
        OSError: The file cannot be locked.
    """
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # held by another; Windows says the latter
        return False
    return True


class StateInUseError(Exception):
    """Another server uses the same state file."""


@contextmanager
def exclusive_use(path: Path) -> Generator[None]:
    """Lock a state file against other servers until the block or this process ends.

    Args:
        path: The state file, whether or not it exists. Its lock is a hidden file next to it.

    Raises:
        StateInUseError: Another process has locked it.
        OSError: The lock file cannot be created.
    """
    path = path.resolve()
    lock = path.with_name(f".{path.name}.server-lock")
    descriptor = _open_locked(lock)
    if descriptor is None:
        raise StateInUseError(
            f"{path} is in use by another emulator; stop that one, or use another --state file"
        )
    try:
        yield
    finally:
        if sys.platform != "win32":  # an open file cannot be removed on Windows
            lock.unlink(missing_ok=True)
        os.close(descriptor)


def _open_locked(lock: Path) -> int | None:
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
        if not try_lock(descriptor):
            os.close(descriptor)
            return None
        # Its last holder may have removed it in the meantime: then the name refers to another file.
        try:
            current = os.path.samestat(os.fstat(descriptor), lock.stat())
        except FileNotFoundError:
            current = False
        if current:
            return descriptor
        os.close(descriptor)
