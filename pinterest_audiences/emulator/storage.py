"""The state of an emulator in a file: one SQLite database, written as a whole or not at all."""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import cast

import attrs

from pinterest_audiences.emulator.audiences import AudienceState
from pinterest_audiences.emulator.members import Packed, pack, unpack
from pinterest_audiences.emulator.oauth import Grant
from pinterest_audiences.emulator.state import CustomerListState
from pinterest_audiences.emulator.uploads import UploadState
from pinterest_audiences.emulator.world import Contents

VERSION = 1
"""The form of the file; another one is refused."""

_APPLICATION_ID = 0x50414531  # "PAE1"

_TABLES = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE things (kind TEXT, fields TEXT);
CREATE TABLE members (list_set INTEGER, kind INTEGER, member BLOB);
CREATE TABLE parts (upload_id INTEGER, number INTEGER, content BLOB);
"""
# What a member is; digests come many to a row, under their width in bytes.
_TEXT, _ROW = 0, 1
_DIGESTS_IN_A_ROW = 4096

_Fields = dict[str, object]


@attrs.frozen(kw_only=True)
class Saved:
    """What a file holds.

    Attributes:
        contents: All there is.
        handled: How many requests were answered.
        seed: The seed that it came from.
        match_rate: The share of members that Pinterest knew; None for a function.
    """

    contents: Contents
    handled: int
    seed: int
    match_rate: float | None


def write(path: Path, saved: Saved) -> None:
    """Write a state; whoever reads the file finds the old one or the new one.

    Args:
        path: Where. Only its owner may read it, because it holds tokens and people.
        saved: What.

    Raises:
        OSError: When it cannot be written.
    """
    # A temporary file belongs to its owner alone from its first moment.
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with closing(sqlite3.connect(name, isolation_level=None)) as database:
            database.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
            database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            database.execute(f"PRAGMA user_version = {VERSION}")
            database.executescript(f"BEGIN; {_TABLES}")
            _fill(database, saved)
            database.execute("COMMIT")
        os.fsync(handle)
        Path(name).replace(path)
    except sqlite3.Error as error:
        raise OSError(f"cannot write {path}: {error}") from error
    finally:
        os.close(handle)
        with suppress(FileNotFoundError):
            Path(name).unlink()


def read(path: Path) -> Saved:
    """Read a state.

    Args:
        path: Where.

    Returns:
        What is there.

    Raises:
        OSError: When it cannot be read.
        ValueError: When it is not the state of an emulator, or that of another version.
    """
    with path.open("rb"):
        pass  # SQLite's own errors do not say what is wrong with a file
    wrong = ValueError(f"{path} is not the state of an emulator of version {VERSION}")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            (application_id,) = database.execute("PRAGMA application_id").fetchone()
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if (application_id, version) != (_APPLICATION_ID, VERSION):
                raise wrong
            return _gather(database)
    except (sqlite3.Error, TypeError, KeyError, ValueError) as error:
        raise wrong from error


def _fill(database: sqlite3.Connection, saved: Saved) -> None:
    contents = saved.contents
    facts: _Fields = {
        "ahead": contents.ahead,
        "handled": saved.handled,
        "seed": saved.seed,
        "match_rate": saved.match_rate,
        "shared": contents.shared,
        "audiences_made": contents.audiences_made,
        "taken": contents.taken,
        "tokens_made": contents.tokens_made,
    }
    _insert(database, "facts", ((name, json.dumps(value)) for name, value in facts.items()))
    # Lists that were made alike share one set of members, in the file as in the memory.
    sets = {id(each.members): each.members for each in contents.lists}
    numbers = {key: number for number, key in enumerate(sets)}
    lists = (_fields(each) | {"members": numbers[id(each.members)]} for each in contents.lists)
    _insert(database, "things", (("list", json.dumps(fields)) for fields in lists))
    members = ((numbers[key], *coded) for key, kept in sets.items() for coded in _encode(kept))
    _insert(database, "members", members)
    audiences = (("audience", json.dumps(_fields(each))) for each in contents.audiences)
    _insert(database, "things", audiences)
    uploads = (("upload", json.dumps(_fields(each) | {"parts": {}})) for each in contents.uploads)
    _insert(database, "things", uploads)
    parts = ((each.id, n, part) for each in contents.uploads for n, part in each.parts.items())
    _insert(database, "parts", parts)
    for kind, grants in _grants(contents).items():
        words = (json.dumps([word, _grant_fields(grant)]) for word, grant in grants.items())
        _insert(database, "things", ((kind, word) for word in words))


def _gather(database: sqlite3.Connection) -> Saved:
    facts: dict[str, object] = {
        name: json.loads(value) for name, value in database.execute("SELECT * FROM facts")
    }
    sets: dict[int, set[Packed]] = {}
    for number, kind, member in database.execute("SELECT * FROM members"):
        sets.setdefault(number, set()).update(_decode(kind, member))
    lists: list[CustomerListState] = []
    for fields in _things(database, "list"):
        kept = sets.setdefault(cast("int", fields["members"]), set())
        shared = fields | {"members": kept, "members_shared": True}
        lists.append(CustomerListState(**shared))  # type: ignore[arg-type]  # as it was written
    uploads = {
        upload.id: upload
        for fields in _things(database, "upload")
        for upload in (UploadState(**(fields | {"parts": {}})),)  # type: ignore[arg-type]
    }
    for upload_id, number, content in database.execute("SELECT * FROM parts"):
        uploads[upload_id].parts[number] = content
    audiences = [
        AudienceState(**fields)  # type: ignore[arg-type]  # as it was written
        for fields in _things(database, "audience")
    ]
    contents = Contents(
        ahead=cast("float", facts["ahead"]),
        lists=tuple(lists),
        audiences=tuple(audiences),
        shared=tuple(
            (number, receiver, identifier)
            for number, receiver, identifier in cast("list[tuple[int, str, int]]", facts["shared"])
        ),
        audiences_made=cast("int", facts["audiences_made"]),
        uploads=tuple(uploads.values()),
        codes=_read_grants(database, "code"),
        access=_read_grants(database, "access"),
        refresh=_read_grants(database, "refresh"),
        taken=tuple(cast("list[str]", facts["taken"])),
        tokens_made=cast("int", facts["tokens_made"]),
    )
    return Saved(
        contents=contents,
        handled=cast("int", facts["handled"]),
        seed=cast("int", facts["seed"]),
        match_rate=cast("float | None", facts["match_rate"]),
    )


def _insert(database: sqlite3.Connection, table: str, rows: Iterable[tuple[object, ...]]) -> None:
    # The name of the table is one of ours, and the values are bound.
    columns = {"facts": 2, "things": 2, "members": 3, "parts": 3}[table]
    marks = ", ".join("?" * columns)
    database.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608


def _things(database: sqlite3.Connection, kind: str) -> Iterator[_Fields]:
    for (fields,) in database.execute("SELECT fields FROM things WHERE kind = ?", (kind,)):
        yield cast("_Fields", json.loads(fields))


def _fields(thing: attrs.AttrsInstance) -> _Fields:
    return attrs.asdict(thing, recurse=False)


def _grants(contents: Contents) -> Mapping[str, Mapping[str, Grant]]:
    return {"code": contents.codes, "access": contents.access, "refresh": contents.refresh}


def _grant_fields(grant: Grant) -> _Fields:
    scopes = None if grant.scopes is None else sorted(grant.scopes)
    return _fields(grant) | {"scopes": scopes}


def _read_grants(database: sqlite3.Connection, kind: str) -> dict[str, Grant]:
    read: dict[str, Grant] = {}
    for (text,) in database.execute("SELECT fields FROM things WHERE kind = ?", (kind,)):
        word, fields = json.loads(text)
        scopes = fields["scopes"]
        read[word] = Grant(**fields | {"scopes": None if scopes is None else frozenset(scopes)})
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
            if len(waiting) == _DIGESTS_IN_A_ROW:
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
