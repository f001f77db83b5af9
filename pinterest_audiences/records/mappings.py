"""Rows that carry their own names: mappings and `RecordRow`, and NDJSON, which is made of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import cast

from pinterest_audiences.errors import SourceError
from pinterest_audiences.models import RecordRow
from pinterest_audiences.records.chunks import CHUNK_ROWS, Values
from pinterest_audiences.records.columns import ROW_COLUMNS, ColumnChoice
from pinterest_audiences.records.lines import LineText
from pinterest_audiences.records.reasons import Fault, RejectReason

__all__ = ["ndjson_chunks", "pick"]

_NOT_A_ROW = Fault(RejectReason.NOT_A_ROW)
_BAD_JSON = Fault(RejectReason.BAD_JSON)
_TOO_LONG = Fault(RejectReason.LINE_TOO_LONG)
_EMPTY = Fault(RejectReason.EMPTY)


def pick(items: Sequence[object], choice: ColumnChoice, source: str) -> list[object]:
    """Take the chosen columns out of rows; a single column may also come as bare values.

    Which columns are read is settled by the first rows that have names, all of them together,
    because a row may leave out what it has no value for.

    Raises:
        SourceError: The column asked for is not there, or none or several are plausible.
    """
    named = [_named(item) for item in items]
    if not choice.settled:
        header = dict.fromkeys(chain.from_iterable(item for item in named if item is not None))
        if header:
            choice.settle(header, source)
    return [_pick(item, row, choice) for item, row in zip(items, named, strict=True)]


def ndjson_chunks(texts: Iterator[LineText], choice: ColumnChoice, source: str) -> Iterator[Values]:
    """Read a file of one JSON value a line.

    Raises:
        SourceError: It is one JSON array, or has not the column asked for.
    """
    first = 1
    for text in texts:
        if not isinstance(text, str):
            yield Values(first, [_TOO_LONG])
            first += 1
            continue
        lines = text.split("\n")
        lines.pop()
        if first == 1 and lines[0].lstrip("\ufeff \t")[:1] == "[":
            raise SourceError(
                "is a JSON array; one JSON object a line is needed (NDJSON)", source=source
            )
        for start in range(0, len(lines), CHUNK_ROWS):
            items = [_loads(line) for line in lines[start : start + CHUNK_ROWS]]
            yield Values(first, pick(items, choice, source))
            first += len(items)


def _loads(line: str) -> object:
    line = line.strip("\ufeff \t\r")
    if not line:
        return _EMPTY
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return _BAD_JSON


def _named(item: object) -> Mapping[object, object] | None:
    if isinstance(item, RecordRow):
        return {column: getattr(item, column) for column in ROW_COLUMNS}
    return cast("Mapping[object, object]", item) if isinstance(item, Mapping) else None


def _pick(item: object, row: Mapping[object, object] | None, choice: ColumnChoice) -> object:
    if row is not None and choice.settled:
        cells = tuple(row.get(name) for name in choice.names)
        return cells[0] if choice.single else cells
    if isinstance(item, Fault) or (choice.single and row is None):
        return item
    return _NOT_A_ROW
