"""Database cursors: DB-API 2.0 (PEP 249) and SQLAlchemy results, fetched some thousands at a time.

Whether the rows stay in the database until they are fetched is the driver's business: psycopg needs
a named cursor for it, SQLAlchemy ``stream_results``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Protocol, cast

from pinterest_audiences.errors import SourceError
from pinterest_audiences.records.chunks import CHUNK_ROWS, Values
from pinterest_audiences.records.columns import ColumnChoice
from pinterest_audiences.records.iterables import async_lists, iterating

__all__ = ["Cursor", "async_cursor_chunks", "cursor_chunks", "is_cursor", "is_described"]


class Cursor(Protocol):
    """What is needed of a cursor or result; its columns are in ``description`` or ``keys()``."""

    def fetchmany(self, size: int, /) -> Sequence[object]:
        """Fetch at most so many rows; none at the end."""
        ...


def is_cursor(thing: object) -> bool:
    """Tell whether a thing is a cursor or a result with named columns."""
    return is_described(thing) and hasattr(thing, "fetchmany")


def is_described(thing: object) -> bool:
    """Tell whether a thing names its columns as a cursor or a result does."""
    if isinstance(thing, Mapping):
        return False
    return hasattr(thing, "description") or callable(getattr(thing, "keys", None))


def cursor_chunks(cursor: Cursor, choice: ColumnChoice, source: str) -> Iterator[Values]:
    """Read the chosen columns of a cursor to its end.

    Raises:
        SourceError: Nothing was executed, the database fails, or the column is not there.
    """
    places = choice.settle(_header(cursor, source), source)
    first = 1
    while True:
        try:
            rows = cursor.fetchmany(CHUNK_ROWS)
        except Exception as error:  # every driver has errors of its own
            raise _failed(error, source, first - 1) from error
        if not rows:
            return
        yield Values(first, _cells(rows, places, choice))
        first += len(rows)


async def async_cursor_chunks(
    cursor: object, choice: ColumnChoice, source: str
) -> AsyncIterator[Values]:
    """Read the chosen columns of an awaited cursor or result.

    Raises:
        SourceError: As `cursor_chunks`.
    """
    places = choice.settle(_header(cursor, source), source)
    first = 1
    async with iterating(async_lists(cast("AsyncIterator[object]", cursor), source)) as lists:
        async for rows in lists:
            yield Values(first, _cells(rows, places, choice))
            first += len(rows)


def _header(cursor: object, source: str) -> list[object]:
    keys = getattr(cursor, "keys", None)
    try:
        if callable(keys):
            return list(cast("Sequence[object]", keys()))
        description = cast(
            "Sequence[Sequence[object]] | None", getattr(cursor, "description", None)
        )
    except Exception as error:  # every driver has errors of its own
        raise _failed(error, source, 0) from error
    if not description:
        raise SourceError("no rows: execute a SELECT first", source=source)
    return [column[0] for column in description]


def _failed(error: Exception, source: str, row: int) -> SourceError:
    return SourceError(f"the database failed ({type(error).__name__})", source=source, row=row)


def _cells(rows: Sequence[object], places: tuple[int, ...], choice: ColumnChoice) -> list[object]:
    if rows and isinstance(rows[0], Mapping):  # a cursor of dictionaries
        named = cast("Sequence[Mapping[str, object]]", rows)
        if choice.single:
            return [row.get(choice.names[0]) for row in named]
        return [tuple(row.get(name) for name in choice.names) for row in named]
    placed = cast("Sequence[Sequence[object]]", rows)
    if choice.single:
        return [row[places[0]] for row in placed]
    return [tuple(row[place] for place in places) for row in placed]
