"""CSV and its kin: a header, then rows, separated by commas, semicolons, tabs or pipes.

A row that cannot be read is a fault in its place and does not stop the file. The difficult one is
a quote that is never closed, for it swallows all that follows: a row over several lines that is not
right is therefore taken as one wrong line, and the lines after it are read anew.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import Protocol, TypeAlias, cast

from pinterest_audiences.errors import ConfigurationError, SourceError
from pinterest_audiences.records.chunks import Values
from pinterest_audiences.records.columns import ColumnChoice
from pinterest_audiences.records.lines import LONGEST_LINE, LineText
from pinterest_audiences.records.reasons import Fault, RejectReason
from pinterest_audiences.records.text import trim

__all__ = ["DELIMITERS", "check_delimiter", "delimited_chunks", "guess_delimiter"]

DELIMITERS = (",", ";", "\t", "|")
_SEP = re.compile(r"sep=.?\r?\n", re.IGNORECASE)
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
_RAGGED = Fault(RejectReason.RAGGED_ROW)
_BAD_QUOTING = Fault(RejectReason.BAD_QUOTING)
_TOO_LONG = Fault(RejectReason.LINE_TOO_LONG)
_EMPTY = Fault(RejectReason.EMPTY)

Row: TypeAlias = list[str] | Fault


class _Reader(Protocol):
    line_num: int

    def __iter__(self) -> Iterator[list[str]]: ...


def check_delimiter(delimiter: object) -> str | None:
    """Check a delimiter.

    Raises:
        ConfigurationError: It is not one character, or one that delimits nothing.
    """
    if delimiter is None:
        return None
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n\0':
        raise ConfigurationError("delimiter: one character is needed, no quote and no line end")
    return delimiter


def guess_delimiter(header: str, source: str) -> str:
    """Return the delimiter of a header: the one that makes the most columns of it.

    Raises:
        SourceError: Two of them make as many.
    """
    columns = {delimiter: len(_split(header, delimiter)) for delimiter in DELIMITERS}
    most = max(columns.values())
    best = [delimiter for delimiter, count in columns.items() if count == most]
    if most == 1:
        return ","
    if len(best) > 1:
        names = " and ".join(_NAMES[delimiter] for delimiter in best)
        raise SourceError(
            f"the header can be split by {names} alike; say which with delimiter=", source=source
        )
    return best[0]


def delimited_chunks(
    texts: Iterator[LineText], choice: ColumnChoice, delimiter: str | None, source: str
) -> Iterator[Values]:
    """Read the chosen columns of a file with a header.

    Raises:
        SourceError: There is no header, or not the column asked for.
    """
    header, rest = _header(texts, source)
    delimiter = delimiter or guess_delimiter(header, source)
    names = [trim(name) for name in _split(header, delimiter)]
    places = choice.settle(names, source)
    first = 1
    for rows in _rows(rest, delimiter, len(names)):
        if rows:
            yield Values(first, _cells(rows, places, len(names), single=choice.single))
            first += len(rows)


def _header(texts: Iterator[LineText], source: str) -> tuple[str, Iterator[LineText]]:
    first = next(texts, None)
    if first is None:
        raise SourceError("is empty; a header is needed", source=source)
    if not isinstance(first, str):
        raise SourceError("the header is too long", source=source)
    lines = list(io.StringIO(first, newline="\n"))
    if len(lines) > 1 and _SEP.fullmatch(lines[0]):
        del lines[0]  # a word to Excel, which the header says by itself
    used = 1
    while '"' in lines[0] and lines[0].count('"') % 2 and used < len(lines):
        lines[0] += lines[used]  # a name with a line end in it
        used += 1
    if not lines[0].strip():
        raise SourceError("the first line is empty; a header is needed", source=source)
    rest = "".join(lines[used:])
    return lines[0], _chain(rest, texts)


def _chain(rest: str, texts: Iterator[LineText]) -> Iterator[LineText]:
    if rest:
        yield rest
    yield from texts


def _split(header: str, delimiter: str) -> list[str]:
    lines = io.StringIO(header, newline="\n")
    try:
        return next(csv.reader(lines, delimiter=delimiter, strict=True))
    except (csv.Error, StopIteration):
        return header.rstrip("\r\n").split(delimiter)


def _rows(texts: Iterator[LineText], delimiter: str, width: int) -> Iterator[Sequence[Row]]:
    waiting: list[str] = []  # lines of a row that goes on in the next text
    for text in texts:
        if not isinstance(text, str):
            rows, _ = _parse(waiting, delimiter, width, last=True)
            yield [*rows, _TOO_LONG]
            waiting = []
            continue
        if not waiting and '"' not in text:
            simple = _simple_rows(text, delimiter)
            if simple is not None:
                yield simple
                continue
        rows, waiting = _parse(
            [*waiting, *io.StringIO(text, newline="\n")], delimiter, width, last=False
        )
        yield rows
    yield _parse(waiting, delimiter, width, last=True)[0]


def _simple_rows(text: str, delimiter: str) -> list[list[str]] | None:
    """Read rows from text where no row can go over several lines; ``None`` where one fails."""
    try:
        return list(csv.reader(io.StringIO(text, newline="\n"), delimiter=delimiter, strict=True))
    except csv.Error:
        return None


def _parse(
    lines: list[str], delimiter: str, width: int, *, last: bool
) -> tuple[list[Row], list[str]]:
    """Read rows from lines.

    Returns:
        The rows, and the lines of a row that may go on after the last of them.
    """
    rows: list[Row] = []
    at = 0
    while at < len(lines):
        reader = csv.reader(
            map(lines.__getitem__, range(at, len(lines))), delimiter=delimiter, strict=True
        )
        used, good = _read(reader, rows, width)
        at += used
        if good:
            break
        open_ended = at + reader.line_num - used >= len(lines)
        if open_ended and not last and sum(map(len, lines[at:])) <= LONGEST_LINE:
            return rows, lines[at:]
        too_long = len(lines[at]) > csv.field_size_limit()
        rows.append(_TOO_LONG if too_long else _BAD_QUOTING)
        at += 1
    return rows, []


def _read(reader: _Reader, rows: list[Row], width: int) -> tuple[int, bool]:
    """Append rows until one is wrong; return the lines of good ones, and whether all were."""
    used = 0
    try:
        for row in reader:
            if reader.line_num - used > 1 and len(row) != width:
                return used, False
            rows.append(row)
            used = reader.line_num
    except csv.Error:
        return used, False
    return used, True


def _cells(
    rows: Sequence[Row], places: tuple[int, ...], width: int, *, single: bool
) -> list[object]:
    place = places[0]
    if single and set(map(_width, rows)) == {width}:
        return [row[place] for row in cast("Sequence[list[str]]", rows)]
    return [_cell(row, places, width, single=single) for row in rows]


def _width(row: Row) -> int:
    return len(row) if type(row) is list else -1


def _cell(row: Row, places: tuple[int, ...], width: int, *, single: bool) -> object:
    if isinstance(row, Fault):
        return row
    if len(row) != width:
        return _RAGGED if row else _EMPTY
    return row[places[0]] if single else tuple(row[place] for place in places)
