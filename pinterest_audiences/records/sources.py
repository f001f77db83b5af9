"""The one door: from anything that holds customers to rows."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal, TypeAlias, cast

from attrs import frozen

from pinterest_audiences.errors import ConfigurationError, SourceError
from pinterest_audiences.records import arrow, cursors, delimited, iterables, mappings
from pinterest_audiences.records.chunks import Chunk
from pinterest_audiences.records.columns import (
    ColumnChoice,
    check_column,
    check_columns,
    is_a_name,
)
from pinterest_audiences.records.files import ByteFile, Readable, check_path
from pinterest_audiences.records.identifiers import IdentifierKind
from pinterest_audiences.records.lines import LineText, check_encoding, line_texts
from pinterest_audiences.records.plain_lines import line_chunks

__all__ = ["FileFormat", "Source", "open_source"]

FileFormat: TypeAlias = Literal["csv", "tsv", "psv", "lines", "ndjson", "parquet"]

_FORMATS: Mapping[str, FileFormat] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".psv": "psv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_KNOWN: tuple[FileFormat, ...] = ("csv", "tsv", "psv", "lines", "ndjson", "parquet")
_DELIMITERS = {"csv": None, "tsv": "\t", "psv": "|"}
_PARQUET = b"PAR1"

Chunks: TypeAlias = Callable[[ColumnChoice], Iterator[Chunk]]
AsyncChunks: TypeAlias = Callable[[ColumnChoice], AsyncIterator[Chunk]]


@frozen(repr=False)
class Source:
    """Where rows come from; made by :func:`open_source`. Nothing is read before it is prepared.

    Attributes:
        name: What it is called in reports and errors: the path, or the kind of object.
        is_async: Whether it has to be awaited.
    """

    name: str
    _column: str | None
    _columns: Mapping[str, str] | None
    _chunks: Chunks | None = None
    _async_chunks: AsyncChunks | None = None

    @property
    def is_async(self) -> bool:
        """Whether it has to be awaited."""
        return self._async_chunks is not None

    def __repr__(self) -> str:
        return f"Source({self.name!r})"

    def choice(self, kind: IdentifierKind | None) -> ColumnChoice:
        """Return the choice of columns for records of a kind, or for rows.

        Raises:
            ConfigurationError: The source was opened for the other of the two.
        """
        if kind is not None and self._columns is not None:
            raise ConfigurationError("columns: is for rows; a single kind is read from column=")
        if kind is None and self._column is not None:
            raise ConfigurationError("column: is for a single kind; rows are read from columns=")
        return ColumnChoice(kind, self._column, self._columns)

    def chunks(self, choice: ColumnChoice) -> Iterator[Chunk]:
        """Read the rows, some thousands at a time.

        Raises:
            ConfigurationError: The source has to be awaited.
            SourceError: It cannot be read to its end.
        """
        if self._chunks is None:
            raise ConfigurationError(
                f"{self.name}: has to be awaited; use async for, and AsyncClient for a job"
            )
        rows = 0
        try:
            for chunk in self._chunks(choice):
                yield chunk
                rows += chunk.count
        except SourceError as error:
            if error.row is not None or not rows:
                raise
            raise SourceError(
                error.reason, source=error.source, row=rows, offset=error.offset
            ) from error.__cause__

    def async_chunks(self, choice: ColumnChoice) -> AsyncIterator[Chunk] | None:
        """Read the rows of a source that has to be awaited; ``None`` for any other."""
        return None if self._async_chunks is None else self._async_chunks(choice)


def open_source(
    anything: object,
    *,
    column: str | None = None,
    columns: Mapping[str, str] | Iterable[str] | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    format: FileFormat | None = None,  # noqa: A002 - the word that users know
) -> Source:
    """Open anything that holds customers.

    Args:
        anything: One of

            * a path, ``-`` for standard input, or a file opened with ``"rb"``: CSV, TSV, a plain
              list, NDJSON, each also compressed with gzip; or Parquet (extra ``[arrow]``);
            * whatever has ``__arrow_c_stream__``: tables, frames and series of pyarrow, polars and
              pandas, DuckDB relations, ADBC readers (extra ``[arrow]``);
            * a DB-API cursor or SQLAlchemy result, executed, awaited or not;
            * an iterable or async iterable of strings, mappings or :class:`RecordRow`.

        column: The column to read. Without it the only plausible one is taken, and reported.
        columns: For rows of several identifiers: a mapping from columns of :class:`RecordRow` to
            columns of the source, or the names where both are the same.
        encoding: Of a text file that is neither UTF-8 nor UTF-16 with a byte order mark.
        delimiter: Of a delimited file; without it comma, semicolon, tab or pipe are told apart by
            the header.
        format: ``csv``, ``tsv``, ``psv``, ``lines``, ``ndjson`` or ``parquet``; without it the
            name tells, or else the first line.

    Returns:
        A source for :func:`prepare` or :func:`prepare_rows`.

    Raises:
        ConfigurationError: An argument cannot work, or pyarrow is needed and not installed.
        SourceError: There is no such file, or it is a directory.

    Example:
        >>> open_source(["ann@shop.de", "bob@shop.de"])
        Source('list')
    """
    options = _TextOptions(
        check_encoding(encoding), delimited.check_delimiter(delimiter), _check_format(format)
    )
    if isinstance(anything, Source):
        return anything
    name, chunks, async_chunks = _opened(anything, options)
    return Source(name, check_column(column), check_columns(columns), chunks, async_chunks)


@frozen
class _TextOptions:
    encoding: str | None
    delimiter: str | None
    format: FileFormat | None


def _opened(  # noqa: PLR0911 - one line a kind of source
    anything: object, options: _TextOptions
) -> tuple[str, Chunks | None, AsyncChunks | None]:
    if isinstance(anything, str | os.PathLike):
        return _file(cast("str | os.PathLike[str]", anything), options)
    name = type(anything).__name__
    if isinstance(anything, arrow.ArrowStream):
        arrow.need_arrow()
        return name, lambda choice: arrow.stream_chunks(anything, choice, name), None
    if hasattr(anything, "__aiter__"):
        rows = cast("AsyncIterable[object]", anything)
        if cursors.is_described(anything):
            return name, None, lambda choice: cursors.async_cursor_chunks(rows, choice, name)
        return name, None, lambda choice: iterables.async_item_chunks(rows, choice, name)
    if cursors.is_cursor(anything):
        cursor = cast("cursors.Cursor", anything)
        return name, lambda choice: cursors.cursor_chunks(cursor, choice, name), None
    if isinstance(anything, Readable):
        file = ByteFile(name, anything)
        return name, lambda choice: _text_chunks(file, options, options.format, choice), None
    if isinstance(anything, Iterable) and not isinstance(anything, bytes | bytearray | Mapping):
        items = cast("Iterable[object]", anything)
        return name, lambda choice: iterables.item_chunks(items, choice, name), None
    raise ConfigurationError(
        f"source: {name} holds no rows that can be read; a path, an iterable of strings or "
        "mappings, an Arrow table or a database cursor is needed"
    )


def _file(
    path: str | os.PathLike[str], options: _TextOptions
) -> tuple[str, Chunks | None, AsyncChunks | None]:
    if path == "-":
        file = ByteFile("standard input", None)
        return file.name, lambda choice: _text_chunks(file, options, options.format, choice), None
    found = check_path(path)
    name = str(found)
    suffixes = [suffix.lower() for suffix in found.suffixes if suffix.lower() != ".gz"]
    by_name = _FORMATS.get(suffixes[-1]) if suffixes else None
    form = options.format or by_name
    if form == "parquet" or (form is None and _starts_as_parquet(found)):
        arrow.need_arrow()
        return name, lambda choice: arrow.parquet_chunks(found, choice, name), None
    file = ByteFile(name, found)
    return name, lambda choice: _text_chunks(file, options, form, choice), None


def _text_chunks(
    file: ByteFile, options: _TextOptions, form: FileFormat | None, choice: ColumnChoice
) -> Iterator[Chunk]:
    if form == "parquet":
        raise ConfigurationError("format: Parquet is read from a path; it cannot be streamed")
    texts = line_texts(file, options.encoding)
    if form is None:
        first = next(texts, "")
        form = _guess(first, file.name)
        texts = _chain(first, texts)
    if form == "lines":
        if not choice.single:
            raise SourceError("is a plain list; rows need columns", source=file.name)
        return line_chunks(texts)
    if form == "ndjson":
        return mappings.ndjson_chunks(texts, choice, file.name)
    delimiter = options.delimiter or _DELIMITERS[form]
    return delimited.delimited_chunks(texts, choice, delimiter, file.name)


def _guess(first: LineText, source: str) -> FileFormat:
    """Tell the format of a file by its first line, where its name does not."""
    line = first.partition("\n")[0].strip("\ufeff \r") if isinstance(first, str) else ""
    if line == "[" or line.startswith("[{"):
        raise SourceError(
            "is a JSON array; JSON is read with one object a line (NDJSON)", source=source
        )
    if line.startswith("{"):
        return "ndjson"
    if is_a_name(line) or any(delimiter in line for delimiter in delimited.DELIMITERS):
        return "csv"
    return "lines"


def _chain(first: LineText, texts: Iterator[LineText]) -> Iterator[LineText]:
    if first:
        yield first
    yield from texts


def _starts_as_parquet(path: Path) -> bool:
    if not path.is_file():
        return False  # a pipe can be read only once
    try:
        with path.open("rb") as file:
            return file.read(len(_PARQUET)) == _PARQUET
    except OSError as error:
        raise SourceError(error.strerror or "cannot be read", source=str(path)) from None


def _check_format(form: object) -> FileFormat | None:
    if form is None:
        return None
    for known in _KNOWN:
        if form == known:
            return known
    raise ConfigurationError(f"format: one of {', '.join(_KNOWN)} is needed")
