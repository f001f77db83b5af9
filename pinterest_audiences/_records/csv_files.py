"""Delimited files (CSV, TSV): delimiter, lines above the header, header and rows.

Reading has two steps. `_read_layout` finds the header and the delimiter in the first lines. Titles
and comments above the header, as in templates and shop exports, are skipped only if what follows is
clearly a header; a file whose delimiter or header is ambiguous is an error that names the options
to set. `_RowParser` then reads the rows.

A row that cannot be read becomes an `UnreadableRow` and does not stop the file. The hard case is a
quote that is never closed, because it includes all rows that follow: a malformed row of several
lines is therefore rejected as one wrong line, and the lines after it are read again.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Protocol, TypeAlias, cast

from attrs import frozen

from pinterest_audiences._errors import ConfigurationError, SourceError, suggest
from pinterest_audiences._records.chunks import (
    CHUNK_ROWS,
    AsciiChunk,
    Chunk,
    EmptyFileError,
    RejectReason,
    RowChunk,
    UnreadableRow,
    is_blank,
    to_ascii_chunk,
    trim,
)
from pinterest_audiences._records.columns import (
    ColumnSelection,
    is_address,
    is_column_name,
    is_identifier,
    looks_like_data,
)
from pinterest_audiences._records.text_files import MAX_LINE_CHARACTERS, TOO_LONG_ROW, WholeLines

__all__ = [
    "DELIMITERS",
    "chain_texts",
    "check_delimiter",
    "check_no_delimiter",
    "delimited_chunks",
    "sheet_chunks",
    "skip_lines",
    "split_line",
]


DELIMITERS = (",", ";", "\t", "|")
Row: TypeAlias = list[str] | UnreadableRow
_RAGGED = UnreadableRow(RejectReason.RAGGED_ROW)
_BAD_QUOTING = UnreadableRow(RejectReason.BAD_QUOTING)


def check_delimiter(delimiter: object) -> str | None:
    """Validate the argument ``delimiter``.

    Raises:
        ConfigurationError: It is not one character, or a quote or line end.
    """
    if delimiter is None:
        return None
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n\0':
        raise ConfigurationError(
            "delimiter must be one character other than a quote or line end", param="delimiter"
        )
    return delimiter


def delimited_chunks(
    texts: Iterator[WholeLines],
    choice: ColumnSelection,
    delimiter: str | None,
    source: str,
    *,
    header: bool = True,
    skip_rows: int = 0,
) -> Iterator[Chunk]:
    """Read the selected columns of a delimited file.

    Args:
        texts: The lines of the file.
        choice: The columns to read.
        delimiter: The delimiter; ``None`` to detect it by the header.
        source: The name of the file for errors.
        header: Whether the file has a header.
        skip_rows: Number of lines to skip at the start.

    Raises:
        SourceError: The header or a selected column is missing.
    """
    layout = _read_layout(
        texts, choice, delimiter=delimiter, header=header, skip_rows=skip_rows, source=source
    )
    indexes = choice.resolve(
        layout.names, source, layout.sample, has_names=header, complete=layout.complete
    )
    width = layout.width
    parser = _RowParser(layout.delimiter, width, indexes)
    first = 1
    for rows in _read_rows(layout.rest, parser):
        if isinstance(rows, _ColumnCells):
            yield rows.to_chunk(first, single=choice.single)
            first += len(rows.columns[0])
        elif rows:
            yield _select_cells(first, rows, indexes, width, single=choice.single)
            first += len(rows)


def sheet_chunks(
    rows: Iterator[Sequence[object]],
    choice: ColumnSelection,
    source: str,
    to_text: Callable[[object], str],
    *,
    header: bool,
    skip_rows: int,
) -> Iterator[Chunk]:
    """Read the selected columns of rows of equal width, by the rules of a delimited file.

    Args:
        rows: The rows of cells.
        choice: The columns to read.
        source: The name of the file for errors.
        to_text: Returns the text of a cell.
        header: Whether there is a header, which may be below titles and comments.
        skip_rows: Number of rows to skip at the start.

    Raises:
        SourceError: The header or a selected column is missing.
    """
    rows = islice(rows, skip_rows, None)
    top = list(islice(rows, _SAMPLE_LINES))
    complete = len(top) < _SAMPLE_LINES
    lines = [_to_line(map(to_text, row)) for row in top]
    head = _FileHead(lines, choice, ",", source, complete=complete)
    used = 0
    names = [f"column {number}" for number in range(1, max(map(len, top), default=1) + 1)]
    if header:
        used, names, _ = head.header()
    sample = head.sample(used, ",", len(names))
    indexes = choice.resolve(names, source, sample, has_names=header, complete=complete)
    rows = chain(top[used:], rows)
    first = 1
    while some := list(islice(rows, CHUNK_ROWS)):
        yield _sheet_chunk(first, some, indexes, to_text, single=choice.single)
        first += len(some)


def _to_line(cells: Iterable[str]) -> str:
    """Return a row as a line with commas; a line break in a cell becomes a space."""
    texts = (_LINE_BREAK.sub(" ", cell) for cell in cells)
    quoted = ('"' + text.replace('"', '""') + '"' if "," in text or '"' in text else text
              for text in texts)  # fmt: skip
    return ",".join(quoted) + "\n"


_LINE_BREAK = re.compile(r"[\r\n]+")


def _sheet_chunk(
    first: int,
    rows: Sequence[Sequence[object]],
    indexes: tuple[int, ...],
    to_text: Callable[[object], str],
    *,
    single: bool,
) -> Chunk:
    """Return the selected cells of rows, without blank rows."""
    if single:
        cells = [row[indexes[0]] for row in rows]
        if set(map(type, cells)) == {str} and all(map(str.strip, cast("list[str]", cells))):
            return to_ascii_chunk(first, cells) or RowChunk(first, cells)
    filled = [
        (number, row)
        for number, row in enumerate(rows, first)
        if not all(isinstance(cell, str) and is_blank(cell) for cell in row)
    ]
    texts = [tuple(to_text(row[index]) for index in indexes) for _, row in filled]
    values: list[object] = [text[0] for text in texts] if single else list(texts)
    if len(filled) == len(rows):
        return RowChunk(first, values)
    return RowChunk(first, values, [number for number, _ in filled], len(rows) - len(filled))


@frozen
class _Layout:
    """The structure of a delimited file, found in its first lines.

    Attributes:
        delimiter: The delimiter.
        names: The column names; their numbers if the file has no header.
        sample: The first rows.
        rest: All rows, as text.
        complete: Whether the sample has all rows.
    """

    delimiter: str
    names: Sequence[str]
    sample: Sequence[Sequence[str]]
    rest: Iterator[WholeLines]
    complete: bool = False

    @property
    def width(self) -> int:
        """Number of cells of a row."""
        return len(self.names)


_EXCEL_SEP_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_SAMPLE_LINES = 500
_MAX_LINES_ABOVE_HEADER = 40  # titles and comments
_MAX_HEADER_LINES = 12  # names with line breaks in quotes
_DELIMITER_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}


def _read_layout(
    texts: Iterator[WholeLines],
    choice: ColumnSelection,
    *,
    delimiter: str | None,
    header: bool,
    skip_rows: int,
    source: str,
) -> _Layout:
    """Find the header and the delimiter of a file.

    Raises:
        SourceError: The header is missing, or its delimiter is ambiguous.
    """
    text, texts = _look_ahead(texts, source)
    sep = _EXCEL_SEP_LINE.fullmatch(text.partition("\n")[0].strip("\ufeff "))
    if sep is not None:  # a line for Excel
        delimiter = delimiter or sep[1]
        text = text.partition("\n")[2]
        skip_rows = max(skip_rows - 1, 0)
    if skip_rows:
        text, texts = _look_ahead(skip_lines(chain_texts(text, texts), skip_rows), source)
    lines = text.split("\n", _SAMPLE_LINES)
    rest = lines.pop()
    following = None if rest else next(texts, None)
    complete = not rest and following is None
    if following is not None:
        texts = chain_texts(following, texts)
    top = _FileHead([line + "\n" for line in lines], choice, delimiter, source, complete=complete)
    if not header:
        return top.without_header(chain_texts(text, texts))
    used, names, delimiter = top.header()
    sample = top.sample(used, delimiter, len(names))
    below = "".join(top.lines[used:])
    return _Layout(delimiter, names, sample, chain_texts(below + rest, texts), complete)


def skip_lines(texts: Iterator[WholeLines], count: int) -> Iterator[WholeLines]:
    """Skip the first lines of a file."""
    for text in texts:
        if not count:
            yield text
        elif not isinstance(text, str):
            count -= 1
        else:
            parts = text.split("\n", count)
            count -= len(parts) - 1
            if not count and parts[-1]:
                yield parts[-1]


def _look_ahead(texts: Iterator[WholeLines], source: str) -> tuple[str, Iterator[WholeLines]]:
    """Return enough text for the header and a sample, and the remaining texts.

    Raises:
        SourceError: The first line is too long.
    """
    parts: list[str] = []
    lines = size = 0
    while lines < _SAMPLE_LINES and size < MAX_LINE_CHARACTERS:
        text = next(texts, None)
        if text is None:
            break
        if not isinstance(text, str):
            if not parts:
                raise SourceError("the header is too long", source=source)
            texts = chain_texts(text, texts)
            break
        parts.append(text)
        lines += text.count("\n")
        size += len(text)
    return "".join(parts), texts


def chain_texts(first: WholeLines, rest: Iterator[WholeLines]) -> Iterator[WholeLines]:
    """Yield a text before the rest, unless it is empty."""
    if first:
        yield first
    yield from rest


class _FileHead:
    """The first lines of a file, searched for a header."""

    def __init__(
        self,
        lines: list[str],
        choice: ColumnSelection,
        delimiter: str | None,
        source: str,
        *,
        complete: bool,
    ) -> None:
        self.lines = lines
        self._choice = choice
        self._delimiter = delimiter
        self._source = source
        self._complete = complete

    def sample(self, start: int, delimiter: str, width: int | None) -> list[list[str]]:
        """Return the rows that start at a line, without blank ones."""
        rows = _sample_rows(self.lines[start:], delimiter, width, complete=self._complete)
        return [row for row in rows if any(row)]

    def header(self) -> tuple[int, list[str], str]:
        """Return the number of lines up to the end of the header, its names, and the delimiter.

        Raises:
            SourceError: The file is empty, or the delimiter is ambiguous.
        """
        at = self._next_line(0)
        if at is None:
            raise EmptyFileError("is empty; it must have a header", source=self._source)
        line, end = self._row(at)
        if not self._is_header(line) or line.lstrip('"').startswith("#"):
            below = self._below_comments(at) or self._below_title(at)
            if below is not None:
                at = below
                line, end = self._row(at)
        delimiter = self._delimiter or _guess_delimiter(line, self._choice, self._source)
        names = split_line(line, delimiter)
        if self._delimiter is None and len(names) == 1:
            check_no_delimiter(self.lines[end:], self._source, names[0])
        return end, names, delimiter

    def without_header(self, texts: Iterator[WholeLines]) -> _Layout:
        """Return the layout of a file without a header."""
        rows = {
            delimiter: self.sample(0, delimiter, None)
            for delimiter in ([self._delimiter] if self._delimiter else DELIMITERS)
        }
        widths = {delimiter: _common_width(some) for delimiter, some in rows.items()}
        delimiter = max(widths, key=lambda candidate: widths[candidate])
        width, _ = widths[delimiter]
        if self._delimiter is None and width <= 1:
            check_no_delimiter(self.lines, self._source)
        names = [f"column {number}" for number in range(1, max(width, 1) + 1)]
        return _Layout(delimiter, names, rows[delimiter], texts, self._complete)

    def _below_comments(self, first: int) -> int | None:
        """Return the index of the header below comments (``#``), if there is one."""
        at: int | None = first
        last = None
        while at is not None and self.lines[at].lstrip(' "').startswith("#"):
            last = at
            at = self._next_line(at + 1)
        if last is None:
            return None
        if at is not None and self._is_header(self._row(at)[0]):
            return at
        return last if self._is_header(self._row(last)[0]) else None

    def _below_title(self, first: int) -> int | None:
        """Return the index of the header below a title without identifiers, if there is one."""
        at: int | None = first
        most = 0
        for _ in range(_MAX_LINES_ABOVE_HEADER):
            line = self.lines[at] if at is not None else ""
            if at is None or is_address(line):
                return None
            if at > first and self._is_header(self._row(at)[0]):
                header, end = self._row(at)
                apart = is_blank(self.lines[at - 1].strip(' ,;|\t"\n'))
                if (apart or _count_cells(header) > most) and self._is_confirmed(header, end):
                    return at
            most = max(most, _count_cells(line))
            at = self._next_line(at + 1)
        return None

    def _is_header(self, line: str) -> bool:
        """Return whether a line names a column to read and has no data."""
        delimiters = [self._delimiter] if self._delimiter else DELIMITERS
        splits = [split_line(line, delimiter) for delimiter in delimiters]
        return any(
            self._choice.matches_header(names) and not looks_like_data(names)
            for names in splits
            if len(names) > 1 or not any(delimiter in line for delimiter in delimiters)
        )

    def _is_confirmed(self, header: str, end: int) -> bool:
        """Return whether the values below a header match its names."""
        delimiter = self._delimiter or _guess_delimiter(header, self._choice, self._source)
        names = split_line(header, delimiter)
        sample = self.sample(end, delimiter, len(names))
        return not sample or self._choice.confirmed_by(names, sample)

    def _next_line(self, start: int) -> int | None:
        """Return the index of the next line with a cell that is not empty."""
        for at in range(start, len(self.lines)):
            if not is_blank(self.lines[at].strip(' ,;|\t"\n')):
                return at
        return None

    def _row(self, at: int) -> tuple[str, int]:
        """Return the row that starts at a line, and the index of the line after it.

        A quote that is not closed within some lines, or only after an address, is a literal quote.
        """
        row = self.lines[at]
        end = at + 1
        while row.count('"') % 2:
            if end >= min(len(self.lines), at + _MAX_HEADER_LINES) or is_address(self.lines[end]):
                return self.lines[at], at + 1
            row += self.lines[end]
            end += 1
        return row, end


def _guess_delimiter(header: str, choice: ColumnSelection, source: str) -> str:
    """Return the delimiter that gives the most columns of a header.

    Raises:
        SourceError: Two delimiters give the same number.
    """
    splits = {delimiter: split_line(header, delimiter) for delimiter in DELIMITERS}
    most = max(map(len, splits.values()))
    best = [delimiter for delimiter, names in splits.items() if len(names) == most]
    if most == 1:
        return ","
    if len(best) > 1:
        names = " and ".join(_DELIMITER_NAMES[delimiter] for delimiter in best)
        raise SourceError(
            f"the header can be split by {names}",
            source=source,
            param="delimiter",
            suggestion=suggest("set {delimiter}", delimiter=...),
        )
    # A name may contain another delimiter more often than the table has columns.
    whole = {d: [name for name in names if not _is_split(name)] for d, names in splits.items()}
    if not choice.matches_header(whole[best[0]]):
        fitting = [d for d, names in whole.items() if d != best[0] and choice.matches_header(names)]
        if len(fitting) == 1:
            return fitting[0]
    return best[0]


def _is_split(name: str) -> bool:
    return any(delimiter in name for delimiter in DELIMITERS)


def _common_width(rows: Sequence[Sequence[str]]) -> tuple[int, int]:
    """Return the most common number of cells above one, and the number of rows that have it."""
    widths = Counter(map(len, rows))
    wide = {width: count for width, count in widths.items() if width > 1}
    if not wide or sum(wide.values()) * 2 < len(rows):
        return (1, len(rows))
    width = max(wide, key=lambda candidate: (wide[candidate], candidate))
    return (width, wide[width])


def _count_cells(line: str) -> int:
    """Return the number of cells that are not empty, with the delimiter that gives most."""
    return max(sum(map(bool, split_line(line, delimiter))) for delimiter in DELIMITERS)


_DELIMITERS_BELOW_HEADER = "^~#!=*$%&+?:/\\`{}\x01\x02\x07\x1e\x1f\xa6\xa7\xac\xb6\xb7"
_DELIMITERS_WITHOUT_HEADER = "^~#!=*$%\x01\x02\x07\x1e\x1f\xa6\xa7\xac\xb6\xb7"
_MIN_ROW_RATIO = 0.75


def check_no_delimiter(lines: Sequence[str], source: str, header: str | None = None) -> None:
    """Check that lines of one cell are not rows with an unusual delimiter.

    Without this check, a whole line would be read as one address.

    Args:
        lines: The first rows.
        source: The name of the file for errors.
        header: The header, if there is one.

    Raises:
        SourceError: The lines may have a delimiter.
    """
    filled = [stripped for line in lines if (stripped := line.strip(" \t\r\n"))]
    for character in _DELIMITERS_WITHOUT_HEADER if header is None else _DELIMITERS_BELOW_HEADER:
        if header is None:
            likely = bool(filled) and _separates(character, filled, filled[0].count(character))
        else:
            names = header.split(character)
            likely = (
                len(names) > 1
                and all(map(str.strip, names))
                and any(map(is_column_name, map(str.strip, names)))
                and _separates(character, filled, len(names) - 1)
            )
        if likely:
            raise SourceError(
                f"the delimiter may be {character!a}",
                source=source,
                param="delimiter",
                suggestion=suggest(
                    "set {delimiter}, or ',' if each line is one value", delimiter=character
                ),
            )


def _separates(character: str, lines: Sequence[str], count: int) -> bool:
    """Return whether most lines have a character `count` times, next to a whole identifier."""
    rows = [line.split(character) for line in lines if line.count(character) == count]
    if not count or len(rows) < _MIN_ROW_RATIO * len(lines):
        return False
    return any(all(row) and any(map(is_identifier, row)) for row in rows)


def _sample_rows(
    lines: Sequence[str], delimiter: str, width: int | None, *, complete: bool
) -> Iterator[list[str]]:
    """Yield rows of trimmed cells; a row may have several lines.

    If a quote is not closed, or joins lines that are rows themselves, each line is a row.
    `complete` says whether the file ends with these lines.
    """
    at = 0
    while at < len(lines):
        row, used = _first_row(lines[at:], delimiter)
        joined = lines[at : at + used]
        cut_off = row is None and at + used >= len(lines) and not complete
        if cut_off and not _look_like_rows(joined, delimiter, width):
            return  # the last row continues after these lines
        if row is not None and used > 1:
            fits = width is None or all(map(is_blank, row[width:]))
            if not fits or _look_like_rows(joined, delimiter, width or len(row)):
                row = None
        if row is None:
            yield split_line(lines[at], delimiter)
            at += 1
        else:
            yield [trim(cell) for cell in row]
            at += used


def _first_row(lines: Sequence[str], delimiter: str) -> tuple[list[str] | None, int]:
    """Return the first row and its number of lines; ``None`` for a malformed row."""
    reader = _csv_reader(lines, delimiter)
    try:
        return next(reader), reader.line_num
    except csv.Error:
        return None, reader.line_num


def _look_like_rows(lines: Sequence[str], delimiter: str, width: int | None) -> bool:
    """Return whether most lines look like rows, and several contain an identifier."""
    if width == 1:
        return False
    rows = [line for line in lines if (cells := line.count(delimiter) + 1) > 1
            and cells == (width or cells)]  # fmt: skip
    return sum(map(is_identifier, rows)) > 1 and len(rows) >= _MIN_ROW_RATIO * len(lines)


class _CsvReader(Iterator[list[str]], Protocol):
    line_num: int


def _csv_reader(lines: Iterable[str], delimiter: str) -> _CsvReader:
    return csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=delimiter != " ")


def split_line(line: str, delimiter: str) -> list[str]:
    """Return the trimmed cells of one row; quoted cells may have line breaks."""
    reader = _csv_reader(io.StringIO(line, newline="\n"), delimiter)
    cells: list[str] = []
    try:
        cells = next(reader, cells)
        is_malformed = next(reader, None) is not None
    except csv.Error:
        is_malformed = True
    if is_malformed:
        cells = line.rstrip("\n").split(delimiter)
    return [trim(cell) for cell in cells]


def _read_rows(
    texts: Iterator[WholeLines], parser: _RowParser
) -> Iterator[Sequence[Row] | _ColumnCells]:
    waiting: list[str] = []  # lines of a row that continues in the next text
    for text in texts:
        if not isinstance(text, str):
            rows, _ = parser.read_rows(waiting, last=True)
            yield [*rows, TOO_LONG_ROW]
            waiting = []
            continue
        if not waiting:
            simple = parser.split_columns(text) or parser.read_simple_rows(text)
            if simple is not None:
                yield simple
                continue
        rows, waiting = parser.read_rows([*waiting, *io.StringIO(text, newline="\n")], last=False)
        yield rows
    yield parser.read_rows(waiting, last=True)[0]


@frozen
class _ColumnCells:
    """The selected columns of rows of one line that all have the width of the header."""

    columns: list[list[str]]

    def to_chunk(self, first: int, *, single: bool) -> Chunk:
        """Return the rows as a chunk."""
        if not single:
            return RowChunk(first, list(zip(*self.columns, strict=True)))
        [cells] = self.columns
        lines = "\n".join(cells)
        if not lines.isascii():
            return RowChunk(first, cells)
        return AsciiChunk(first, f"{lines}\n".encode(), len(cells))


_IDENTIFIER = re.compile(r"[^\s@]+@[^\s@]+|[0-9a-fA-F]{32,128}|[0-9a-fA-F-]{36}")


class _RowParser:
    """Parse lines into the rows of one table, in three ways from the fastest to the most tolerant.

    Args:
        delimiter: The delimiter.
        width: Number of cells of a row.
        indexes: Indexes of the selected columns.
    """

    def __init__(self, delimiter: str, width: int, indexes: Sequence[int]) -> None:
        self._delimiter = delimiter
        self._width = width
        self._indexes = indexes
        self._row_ends = (delimiter * (width - 1) + "\n").encode()  # what ends the cells of a row
        self._inside_cells = bytes(set(range(256)) - set(f"{delimiter}\n".encode()))
        self._space_after_quote = re.compile(rf'"[ \t]+(?={re.escape(delimiter)}|\n)')

    def split_columns(self, text: str) -> _ColumnCells | None:
        """Read the columns of rows of one line each by splitting the text at once.

        Returns:
            The same cells as `read_simple_rows`; ``None`` if rows differ in width, if one may be
            blank or has several lines, if quotes do not enclose whole cells, or if a cell may
            exceed the limit of `csv`.
        """
        if len(text) > csv.field_size_limit():
            return None
        if '"' in text:
            columns = self._split_quoted(text)
        else:
            columns = self._split_unquoted(text, self._indexes)
        return _ColumnCells(columns) if columns and all(map(str.strip, columns[0])) else None

    def _split_unquoted(self, text: str, indexes: Iterable[int]) -> list[list[str]] | None:
        """Return columns of text without quotes; ``None`` if rows differ in width."""
        last, delimiter = self._width - 1, self._delimiter
        if text[-1:] != "\n" or not delimiter.isascii():  # bytes of other delimiters are ambiguous
            return None
        # With all other bytes removed, rows of one width are equal.
        ends = text.encode(errors="surrogatepass").translate(None, self._inside_cells)
        if ends != self._row_ends * (len(ends) // self._width):
            return None
        if not last:
            return [self._skip_spaces(text.split("\n")[:-1])]
        cells = text.split(delimiter)
        columns: list[list[str]] = []
        for index in indexes:
            if 0 < index < last:
                column = cells[index::last]
            else:  # between the rows are cells that hold the last of a row and the next first one
                outer = "\n".join(cells[::last]).split("\n")
                column = outer[1::2] if index else outer[:-1:2]
            columns.append(self._skip_spaces(column))
        return columns

    def _split_quoted(self, text: str) -> list[list[str]] | None:
        """Return the selected columns of text with quotes.

        Returns:
            ``None`` if rows differ in width or have several lines, if a quote is part of a cell, or
            if some cells of a selected column are quoted and others are not.
        """
        parts = text.split('"')
        outside, quoted = parts[::2], parts[1::2]
        count, width = text.count("\n"), self._width
        if (
            len(outside) == count * width + 1
            and outside[width::width].count("\n") == count
            and outside.count(self._delimiter) == count * (width - 1)
            and not outside[0]
        ):  # every cell is quoted
            return [quoted[index::width] for index in self._indexes]
        columns = self._split_unquoted('"'.join(outside), range(width))  # a quote for each cell
        if columns is None or len(columns[0]) != count:
            return None
        counts = [column.count('"') for column in columns]
        if sum(counts) != len(quoted):
            return None
        for index in self._indexes:
            if counts[index]:
                if not set(counts) <= {0, count}:
                    return None
                position = sum(map(bool, counts[:index]))
                columns[index] = quoted[position :: len(quoted) // count]
        return [columns[index] for index in self._indexes]

    def _skip_spaces(self, cells: list[str]) -> list[str]:
        """Remove the spaces that `csv` skips at the start of cells without quotes."""
        return cells if self._delimiter == " " else [cell.lstrip(" ") for cell in cells]

    def read_simple_rows(self, text: str) -> list[list[str]] | None:
        """Read rows of one line each; ``None`` if one is malformed or has several lines."""
        reader = _csv_reader(io.StringIO(text, newline="\n"), self._delimiter)
        try:
            rows = list(reader)
        except csv.Error:
            return None
        return rows if len(rows) == reader.line_num else None

    def read_rows(self, lines: list[str], *, last: bool) -> tuple[list[Row], list[str]]:
        """Read rows from lines; return them and the lines of a last row that may continue."""
        rows: list[Row] = []
        at = 0
        while at < len(lines):
            reader = _csv_reader(map(lines.__getitem__, range(at, len(lines))), self._delimiter)
            used, good = self._read_until_error(reader, rows, lines, at)
            at += used
            if good:
                break
            read = reader.line_num - used
            open_ended = at + read >= len(lines)
            if open_ended and not last and sum(map(len, lines[at:])) <= MAX_LINE_CHARACTERS:
                return rows, lines[at:]
            if self._repair(lines, at, at + read):
                continue
            too_long = len(lines[at]) > csv.field_size_limit()
            rows.append(TOO_LONG_ROW if too_long else _BAD_QUOTING)
            at += 1
        return rows, []

    def _read_until_error(
        self, reader: _CsvReader, rows: list[Row], lines: list[str], at: int
    ) -> tuple[int, bool]:
        """Append rows up to a malformed one; return the lines read, and whether all were good."""
        used = 0
        try:
            for row in reader:
                if reader.line_num - used > 1 and (
                    not self._fits(row) or self._holds_rows(lines[at + used : at + reader.line_num])
                ):
                    return used, False
                rows.append(row)
                used = reader.line_num
        except csv.Error:
            return used, False
        return used, True

    def _fits(self, row: Sequence[str]) -> bool:
        """Return whether a row has the selected columns, and no extra cells with content."""
        return len(row) > max(self._indexes) and all(map(is_blank, row[self._width :]))

    def _holds_rows(self, lines: Sequence[str]) -> bool:
        """Return whether a stray quote joined lines that are rows themselves.

        A note of several lines may mention an address, but its lines do not all have the same
        number of cells.
        """
        if self._width == 1:
            return False
        ends = f"\n{self._delimiter}"  # rows may lack empty cells at their end
        split = [line.rstrip(ends).split(self._delimiter) for line in lines]
        [(width, _)] = Counter(map(len, split)).most_common(1)
        rows = [
            count
            for cells in split
            if len(cells) == width and (count := self._count_identifiers(cells)) is not None
        ]
        return sum(map(bool, rows)) > 1 and len(rows) >= _MIN_ROW_RATIO * len(lines)

    def _count_identifiers(self, cells: Sequence[str]) -> int | None:
        """Return the number of identifiers in the selected cells; ``None`` if this is not a row."""
        if not self._fits(cells) or len(cells) == 1:
            return None
        values = [value for index in self._indexes if (value := cells[index].strip(' "'))]
        count = sum(_IDENTIFIER.fullmatch(value) is not None for value in values)
        return count if count or not values else None

    def _repair(self, lines: list[str], start: int, end: int) -> bool:
        """Remove spaces between a closing quote and the delimiter; return whether any existed."""
        repaired = [self._space_after_quote.sub('"', line) for line in lines[start:end]]
        if repaired == lines[start:end]:
            return False
        lines[start:end] = repaired
        return True


def _select_cells(
    first: int, rows: Sequence[Row], indexes: tuple[int, ...], width: int, *, single: bool
) -> RowChunk:
    """Return the selected cells of rows, without blank rows."""
    if single and set(map(_row_width, rows)) == {width}:
        index = indexes[0]
        cells = [row[index] for row in cast("Sequence[list[str]]", rows)]
        if all(map(str.strip, cells)):  # no row is blank
            return RowChunk(first, cells)
    filled = [(number, row) for number, row in enumerate(rows, first) if not _is_blank(row)]
    values = [_select_cell(row, indexes, width, single=single) for _, row in filled]
    if len(filled) == len(rows):
        return RowChunk(first, values)
    return RowChunk(first, values, [number for number, _ in filled], len(rows) - len(filled))


def _row_width(row: Row) -> int:
    return len(row) if type(row) is list else -1


def _is_blank(row: Row) -> bool:
    return not isinstance(row, UnreadableRow) and all(map(is_blank, row))


def _select_cell(row: Row, indexes: tuple[int, ...], width: int, *, single: bool) -> object:
    """Return the selected cell or cells; missing cells at the end of a row are empty."""
    if isinstance(row, UnreadableRow):
        return row
    if len(row) != width:
        if len(row) <= min(indexes) or not all(map(is_blank, row[width:])):
            return _RAGGED
        row = [*row, *[""] * (width - len(row))]
    return row[indexes[0]] if single else tuple(row[index] for index in indexes)
