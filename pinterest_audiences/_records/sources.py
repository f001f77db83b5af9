"""Sources: files, tables, iterables and database cursors as chunks of rows.

Cursors are read in parts, but the driver decides whether rows stay in the database until then:
psycopg requires a named cursor, SQLAlchemy ``stream_results``.
"""

from __future__ import annotations

import os
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeAlias, cast

from attrs import evolve, frozen

from pinterest_audiences._config import validate_integer
from pinterest_audiences._errors import ConfigurationError, SourceError, suggest
from pinterest_audiences._models import IdentifierType
from pinterest_audiences._records import tables
from pinterest_audiences._records.chunks import (
    CHUNK_ROWS,
    Chunk,
    aclosing_iter,
    closing_iter,
    first_rows,
    flatten,
    limit_rows,
)
from pinterest_audiences._records.columns import (
    Columns,
    ColumnSelection,
    check_column,
    check_columns,
)
from pinterest_audiences._records.file_formats import (
    FILE_OPTIONS,
    FileFormat,
    FileOptions,
    check_options,
    open_path,
    stream_chunks,
)
from pinterest_audiences._records.file_sets import (
    FilePath,
    MemberFile,
    SetPosition,
    find_files,
    read_files,
    set_name,
    unique_names,
)
from pinterest_audiences._records.partitions import partition_chunks, partition_values
from pinterest_audiences._records.remote_files import RemoteFile
from pinterest_audiences._records.rows import (
    RowReader,
    names_as_text,
)
from pinterest_audiences._records.tables import TablesReader, is_table_item
from pinterest_audiences._records.text_files import (
    FilePosition,
    InputFile,
    Readable,
    file_size,
)

__all__ = [
    "FileFormat",
    "Source",
    "SourceLike",
    "cursor_chunks",
    "file_source",
    "item_chunks",
    "open_source",
]


_MAX_LIMIT = 10**12


class ArrowTable(Protocol):
    """A table with the Arrow PyCapsule interface."""

    def __arrow_c_stream__(self, requested_schema: object | None = None, /) -> object:
        """Return the table as a stream of Arrow record batches."""
        ...


class LazyTable(Protocol):
    """A query that becomes a table, such as a `LazyFrame` of polars."""

    def collect(self) -> object:
        """Run the query."""
        ...


class Cursor(Protocol):
    """A cursor or result of a database; its columns are in ``description`` or ``keys()``."""

    def fetchmany(self, size: int, /) -> Sequence[object]:
        """Fetch up to `size` rows; none at the end."""
        ...


_ReadChunks: TypeAlias = Callable[[ColumnSelection], Iterator[Chunk]]
_AsyncReadChunks: TypeAlias = Callable[[ColumnSelection], AsyncIterator[Chunk]]


@frozen(repr=False)
class Source:
    """A source of rows, created by :func:`open_source`; it is read only when it is prepared.

    Attributes:
        name: Its name in reports and errors: the path, or the type of the object.
        is_async: Whether it must be read with ``async for``.
        has_files: Whether it is several files, whose rows are counted for each file.
        max_rows: Maximum number of rows to read, set by :meth:`limit`; ``None`` for all.
        position: How far files have been read; ``None`` for other sources.
    """

    name: str
    _column: Columns | None
    _columns: Mapping[str, str | int] | None
    _chunks: _ReadChunks | None = None
    _async_chunks: _AsyncReadChunks | None = None
    has_files: bool = False
    max_rows: int | None = None
    position: FilePosition | SetPosition | None = None

    @property
    def is_async(self) -> bool:
        """Whether it must be read with ``async for``."""
        return self._async_chunks is not None

    def __repr__(self) -> str:
        return f"Source({self.name!r})"

    def limit(self, rows: int) -> Source:
        """Return a source of the first rows of this one, for a trial.

        The rest is not read, so that an error in it is not noticed. A mirror and an erasure refuse
        such a source; an upload of it is not the last run for ``expect_rows``.

        Args:
            rows: Maximum number of rows, at least 1; blank rows do not count.

        Raises:
            ConfigurationError: The number is not a whole number of at least 1.

        Example:
            >>> source = open_source(["ann@shop.de", "bob@shop.de", "eve@shop.de"])
            >>> sum(chunk.count for chunk in source.limit(2).chunks(source.choice("email")))
            2
        """
        count = validate_integer("limit", rows, 1, _MAX_LIMIT)
        return evolve(self, max_rows=count if self.max_rows is None else min(count, self.max_rows))

    def choice(self, kind: IdentifierType | None) -> ColumnSelection:
        """Return the column selection for records of a kind, or for rows.

        Raises:
            ConfigurationError: The source was opened with the argument of the other.
        """
        if kind is not None and self._columns is not None:
            raise ConfigurationError(
                "columns is for rows",
                param="columns",
                suggestion=suggest("select the columns of a single kind with {column}", column=...),
            )
        if kind is None and self._column is not None:
            raise ConfigurationError(
                "column is for a single kind",
                param="column",
                suggestion=suggest("select the columns of rows with {columns}", columns=...),
            )
        return ColumnSelection(kind, self._column, self._columns)

    def chunks(self, choice: ColumnSelection) -> Iterator[Chunk]:
        """Yield chunks of rows.

        Raises:
            ConfigurationError: The source is async.
            SourceError: The source cannot be read to its end.
        """
        if self._chunks is None:
            raise ConfigurationError(
                f"{self.name}: is an async source; use async for, and AsyncClient for a job"
            )
        rows = 0
        try:
            with closing_iter(self._chunks(choice)) as chunks:
                for chunk in limit_rows(chunks, self.max_rows):
                    yield _flatten_kind(chunk, choice)
                    rows = max(rows, chunk.last)
        except SourceError as error:
            if error.row is None and rows and not self.has_files:  # a file has set its row
                error.row = rows
                error.args = (error.reason, error.source, rows, error.offset)
            raise

    def async_chunks(self, choice: ColumnSelection) -> AsyncIterator[Chunk] | None:
        """Return the chunks of an async source; ``None`` for any other."""
        if self._async_chunks is None:
            return None
        return _async_flatten_kind(self._async_chunks(choice), choice, self.max_rows)


SourceLike: TypeAlias = (
    str
    | os.PathLike[str]
    | Readable
    | ArrowTable
    | LazyTable
    | Cursor
    | Iterable[object]
    | AsyncIterable[object]
    | Source
)
"""What :func:`open_source` accepts; a :class:`PreparedRecords` is iterable."""


def _flatten_kind(chunk: Chunk, choice: ColumnSelection) -> Chunk:
    """Return a value for each cell if several columns of one kind are read."""
    return chunk if choice.kind is None or choice.single else flatten(chunk)


async def _async_flatten_kind(
    chunks: AsyncIterator[Chunk], choice: ColumnSelection, limit: int | None
) -> AsyncIterator[Chunk]:
    left = limit
    async with aclosing_iter(chunks) as opened:
        async for chunk in opened:
            yield _flatten_kind(chunk if left is None else first_rows(chunk, left), choice)
            left = None if left is None else left - chunk.count
            if left is not None and left <= 0:
                return


def open_source(
    anything: SourceLike,
    *,
    column: str | int | Sequence[str | int] | None = None,
    columns: Mapping[str, str | int] | Iterable[str] | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    header: bool = True,
    skip_rows: int = 0,
    format: FileFormat | None = None,  # noqa: A002 - the word that users know
    sheet: str | int | None = None,
) -> Source:
    """Open a file, table, cursor or iterable of customers.

    Args:
        anything: One of

            * a path, a folder, a pattern such as ``exports/2026-*.csv`` or a URL (extra
              ``[remote]``), as for :func:`file_source`; ``-`` for standard input; or a file opened
              with ``"rb"``: CSV, TSV, a plain list, NDJSON or a JSON array, each also compressed
              (gzip, bzip2, xz, zstd, or zip of one file); Parquet, Arrow or ORC (extra
              ``[arrow]``); Avro (extra ``[avro]``); or an Excel or OpenDocument workbook (extra
              ``[excel]``);
            * a table with ``__arrow_c_stream__``: tables, frames and series of pyarrow, polars and
              pandas, DuckDB relations, ADBC readers (extra ``[arrow]``);
            * an executed DB-API cursor or SQLAlchemy result, sync or async; for a URL and a query
              see :func:`sql_source`;
            * an iterable or async iterable of strings, mappings or :class:`RecordRow`.

        column: The column to read: its name, which stands for all columns of that name, or its
            number, counted from 1; or several of those, whose cells that are not empty become a
            record each. Without it, the columns are detected by names and values, and reported.
        columns: For rows of several identifiers: a mapping from columns of :class:`RecordRow` to
            columns of the source (names or numbers), or the names if both are equal.
        encoding: The encoding of a text file other than UTF-8 and UTF-16 with a byte order mark.
        delimiter: The delimiter of a delimited file; without it, comma, semicolon, tab or pipe is
            detected by the header.
        header: Whether a delimited file or a sheet has a header; without one, ``column`` is a
            number.
        skip_rows: Number of lines to skip at the start of a text file or sheet, such as a title.
        format: ``csv``, ``tsv``, ``psv``, ``lines``, ``ndjson``, ``json`` (an array), ``parquet``,
            ``excel`` (any workbook), ``arrow`` (also Feather), ``orc`` or ``avro``; without it,
            detected by the first bytes of the file, then by its name, then by its first lines.
        sheet: The sheet of a workbook: its name, or its number counted from 1. Without it, the
            first visible sheet with content is read, and others are reported as a finding.

    Returns:
        A source for :func:`prepare` or :func:`prepare_rows`.

    Raises:
        ConfigurationError: An argument is not valid, or pyarrow is required and not installed.
        SourceError: A file does not exist, or a folder has none.

    Example:
        >>> open_source(["ann@shop.de", "bob@shop.de"])
        Source('list')
    """
    options = check_options(encoding, delimiter, format, sheet, header=header, skip_rows=skip_rows)
    if isinstance(anything, Source):
        return anything
    given: object = anything
    selected = _check_column(column, options)
    if isinstance(anything, str | os.PathLike):
        return _open_files(anything, options, selected, check_columns(columns))
    if not isinstance(anything, Readable):
        kind = type(given).__name__
        options.reject(f"a {kind}, which is not a file", *FILE_OPTIONS, "format")
    name, chunks, async_chunks = _open(given, options)
    return Source(name, selected, check_columns(columns), chunks, async_chunks)


def file_source(
    paths: FilePath | Iterable[FilePath],
    *,
    column: str | int | Sequence[str | int] | None = None,
    columns: Mapping[str, str | int] | Iterable[str] | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    header: bool = True,
    skip_rows: int = 0,
    format: FileFormat | None = None,  # noqa: A002 - the word that users know
    sheet: str | int | None = None,
) -> Source:
    """Open several files as one source.

    They are read one after another. Each has its own header, encoding, delimiter and compression,
    and must have the columns that are read. If one of them cannot be read to its end, the source
    cannot, and a mirror changes nothing.

    Args:
        paths: One or several of

            * a file, or ``-`` for standard input;
            * a folder, for all files in it, at any depth. Those whose names begin with ``_`` or
              ``.``, checksums and files of desktops (``~$*``, ``Thumbs.db``, ``desktop.ini``) are
              left out. A Delta, Iceberg or Hudi table is refused, because its files contain
              deleted rows;
            * a pattern with ``*``, ``?``, ``[...]`` or ``**``, unless a file has that name;
            * a URL: ``https://``, or ``s3://``, ``gs://``, ``az://`` with their fsspec libraries
              (extra ``[remote]``). Object stores have folders and patterns too. User, password and
              query are not shown anywhere.

            They are read in this order, the files of a folder or a pattern in sorted order.
        column: As for :func:`open_source`, in each file.
        columns: As for :func:`open_source`, in each file.
        encoding: The encoding of text files, as for :func:`open_source`.
        delimiter: The delimiter of delimited files; without it, detected for each file.
        header: Whether each delimited file has a header.
        skip_rows: Number of lines to skip at the start of each text file.
        format: The format of all files; without it, detected for each file.
        sheet: The sheet of each workbook, as for :func:`open_source`.

    Returns:
        A source for :func:`prepare` or :func:`prepare_rows`. Its report counts the rows of each
        file, and its row numbers start again in each.

    Raises:
        ConfigurationError: An argument is not valid, a file is given twice, or a library is
            required and not installed.
        SourceError: A file does not exist, a folder or a pattern has no files, or a folder is a
            table of another format.

    Example:
        >>> file_source(["january.csv", "february.csv"])  # doctest: +SKIP
        Source('2 files')
    """
    options = check_options(encoding, delimiter, format, sheet, header=header, skip_rows=skip_rows)
    return _open_files(paths, options, _check_column(column, options), check_columns(columns))


def _check_column(column: object, options: FileOptions) -> Columns | None:
    selected = check_column(column)
    if options.format == "lines" and selected not in (None, (1,), ("1",)):
        raise ConfigurationError(
            "column has no effect on a plain list, which has no columns",
            param="column",
            suggestion="leave it out",
        )
    return selected


def _open(
    anything: object, options: FileOptions
) -> tuple[str, _ReadChunks | None, _AsyncReadChunks | None]:
    name = type(anything).__name__
    if tables.is_table(anything):
        tables.check_table(anything)
        return name, lambda choice: tables.table_chunks(anything, choice, name), None
    if hasattr(anything, "__aiter__"):
        rows = cast("AsyncIterable[object]", anything)
        if _has_column_names(anything):
            return name, None, lambda choice: _async_cursor_chunks(rows, choice, name)
        return name, None, lambda choice: _async_item_chunks(rows, choice, name)
    if _is_cursor(anything):
        cursor = cast("Cursor", anything)
        return name, lambda choice: cursor_chunks(cursor, choice, name), None
    if isinstance(anything, Readable) and not tables.is_frame_reader(anything):
        file = InputFile(name, anything)
        return name, lambda choice: stream_chunks(file, options, choice), None
    if isinstance(anything, Iterable) and not isinstance(anything, bytes | bytearray | Mapping):
        items = cast("Iterable[object]", anything)
        return name, lambda choice: item_chunks(items, choice, name), None
    advice = "it must be awaited first; " if isinstance(anything, Awaitable) else ""
    raise ConfigurationError(
        f"source: {name} cannot be read as rows; {advice}pass a path, an iterable of strings, "
        "mappings or tuples, a table (pandas, polars, Arrow) or a database cursor",
        param="source",
    )


def _open_files(
    paths: FilePath | Iterable[FilePath],
    options: FileOptions,
    column: Columns | None,
    columns: Mapping[str, str | int] | None,
) -> Source:
    files: list[Source] = []
    positions: list[FilePosition] = []
    for path in find_files(paths):
        position = FilePosition()
        file = InputFile("standard input", None)
        location = str(path)
        if isinstance(path, RemoteFile):
            position.size, location = path.size, path.location
            file = InputFile(path.name, path, position)
        elif path != "-":
            position.size = file_size(Path(path))
            file = InputFile(str(path), Path(path), position)
        chunks = open_path(file, options)
        values = partition_values(location.replace(os.sep, "/"))
        if values:
            chunks = partial(partition_chunks, chunks, values)
        files.append(Source(file.name, column, columns, chunks, position=position))
        positions.append(position)
    if len(files) == 1:
        return files[0]
    names = unique_names([file.name for file in files])
    members = [
        MemberFile(name, file.chunks, position)
        for name, file, position in zip(names, files, positions, strict=True)
    ]
    return Source(
        set_name([file.name for file in files]),
        column,
        columns,
        lambda choice: read_files(members, choice),
        has_files=True,
        position=SetPosition(positions),
    )


def item_chunks(items: Iterable[object], choice: ColumnSelection, source: str) -> Iterator[Chunk]:
    """Read an iterable of rows, or of tables.

    Raises:
        SourceError: The iterator raises, its items are not rows, or a selected column is missing.
    """
    reader = _ItemReader(choice, source)
    for chunk in _batch_items(items, source):
        yield from reader.read(chunk)
    reader.end()


async def _async_item_chunks(
    items: AsyncIterable[object], choice: ColumnSelection, source: str
) -> AsyncIterator[Chunk]:
    """Read an async iterable of rows, or of tables.

    Raises:
        SourceError: As `item_chunks`.
    """
    reader = _ItemReader(choice, source)
    async with aclosing_iter(_async_batch_items(items, source)) as chunks:
        async for items_read in chunks:
            for chunk in reader.read(items_read):
                yield chunk
    reader.end()


class _ItemReader:
    """Read items as rows or as tables; the first item decides."""

    def __init__(self, choice: ColumnSelection, source: str) -> None:
        self._source = source
        self._rows = RowReader(choice, source)
        self._tables = TablesReader(choice, source)
        self._holds_tables: bool | None = None
        self._first = 1

    def read(self, items: list[object]) -> Iterator[Chunk]:
        """Return the selected cells of the next items.

        Raises:
            SourceError: The items are not rows, or a selected column is missing.
        """
        if self._holds_tables is None:
            self._holds_tables = is_table_item(items[0])
        if self._holds_tables:
            for item in items:
                yield from self._tables.read(item)
            return
        chunk = self._rows.read(self._first, items)
        self._first += chunk.count
        yield chunk

    def end(self) -> None:
        """Check the columns if all tables were empty.

        Raises:
            SourceError: A selected column is missing.
        """
        self._tables.end()


def _batch_items(items: Iterable[object], source: str) -> Iterator[list[object]]:
    rows = 0
    size = 1  # until the first item shows whether these are tables
    failed: SourceError | None = None
    iterator: Iterator[object] = iter(())
    try:
        iterator = iter(items)
    except Exception as error:  # noqa: BLE001 - iterators of the caller may raise anything
        failed = _iterator_error(error, source, 0)
    while failed is None:
        chunk: list[object] = []
        try:
            chunk.extend(islice(iterator, size))
            if size == 1 and chunk and (size := _batch_size(chunk[0])) > 1:
                chunk.extend(islice(iterator, size - 1))
        except Exception as error:  # noqa: BLE001 - iterators of the caller may raise anything
            failed = _iterator_error(error, source, rows + len(chunk))
        if chunk:
            rows += len(chunk)
            yield chunk
        elif failed is None:
            return
    raise failed


async def _async_batch_items(
    items: AsyncIterable[object], source: str
) -> AsyncIterator[list[object]]:
    """Yield lists of items, tables one by one; items before an error are yielded first.

    Raises:
        SourceError: The iterator raises.
    """
    chunk: list[object] = []
    rows = size = 0
    failed: SourceError | None = None
    try:
        async with aclosing_iter(items) as iterator:
            async for item in iterator:
                chunk.append(item)
                if size == 0:
                    size = _batch_size(item)
                if len(chunk) == size:
                    rows += len(chunk)
                    yield chunk
                    chunk = []
    except Exception as error:  # noqa: BLE001 - iterators of the caller may raise anything
        failed = _iterator_error(error, source, rows + len(chunk))
    if chunk:
        yield chunk
    if failed is not None:
        raise failed


def _batch_size(item: object) -> int:
    return 1 if is_table_item(item) else CHUNK_ROWS


def _iterator_error(error: Exception, source: str, row: int) -> SourceError:
    failure = SourceError(
        f"the iterator raised {type(error).__name__}; the items after that are missing",
        source=source,
        row=row,
    )
    failure.__cause__ = error
    return failure


def _is_cursor(thing: object) -> bool:
    """Return whether an object is a cursor or a result."""
    return _has_column_names(thing) and hasattr(thing, "fetchmany")


def _has_column_names(thing: object) -> bool:
    """Return whether an object names its columns like a cursor or a result."""
    if isinstance(thing, Mapping):
        return False
    return hasattr(thing, "description") or callable(getattr(thing, "keys", None))


def cursor_chunks(cursor: Cursor, choice: ColumnSelection, source: str) -> Iterator[Chunk]:
    """Read the selected columns of a cursor.

    Raises:
        SourceError: No query was executed, the database fails, or a selected column is missing.
    """
    _check_open(cursor, source)
    first = 1
    reader: RowReader | None = None
    while True:
        try:
            rows = cursor.fetchmany(CHUNK_ROWS)
        except SourceError:
            raise
        except Exception as error:  # database drivers have no common base class of errors
            raise _database_error(error, source, first - 1) from error
        if reader is None:  # some cursors have column names only after the first fetch
            reader = _reader_for(cursor, choice, source, has_rows=bool(rows))
        if not rows:
            return
        chunk = reader.read(first, rows)
        yield chunk
        first += chunk.count


async def _async_cursor_chunks(
    cursor: object, choice: ColumnSelection, source: str
) -> AsyncIterator[Chunk]:
    """Read the selected columns of an async cursor or result.

    Raises:
        SourceError: As `cursor_chunks`.
    """
    _check_open(cursor, source)
    first = 1
    reader: RowReader | None = None
    async with aclosing_iter(
        _async_batch_items(cast("AsyncIterator[object]", cursor), source)
    ) as lists:
        async for rows in lists:
            reader = reader or _reader_for(cursor, choice, source, has_rows=True)
            chunk = reader.read(first, rows)
            yield chunk
            first += chunk.count
    if reader is None:
        _reader_for(cursor, choice, source, has_rows=False)


def _check_open(cursor: object, source: str) -> None:
    """Raise the error of a closed result before it is read."""
    _header(cursor, source)


def _reader_for(
    cursor: object, choice: ColumnSelection, source: str, *, has_rows: bool
) -> RowReader:
    header = _header(cursor, source)
    if not has_rows:
        if header is None:
            raise SourceError("has no rows; execute a SELECT first", source=source)
        choice.resolve(header, source)
    return RowReader(choice, source, header)


def _header(cursor: object, source: str) -> tuple[str, ...] | None:
    keys = getattr(cursor, "keys", None)
    try:
        if callable(keys):
            return names_as_text(tuple(cast("Callable[[], Iterable[object]]", keys)()))
        columns = cast("Sequence[object] | None", getattr(cursor, "description", None))
        return names_as_text([_column_name(column) for column in columns]) if columns else None
    except SourceError:
        raise
    except Exception as error:  # database drivers have no common base class of errors
        raise _database_error(error, source, 0) from error


def _column_name(column: object) -> object:
    """Return the name of a column of `description`: a tuple (PEP 249) or an object."""
    if isinstance(column, str | bytes):
        return column
    name = cast("object", getattr(column, "name", None))
    return cast("Sequence[object]", column)[0] if name is None else name


def _database_error(error: Exception, source: str, row: int) -> SourceError:
    return SourceError(f"the database failed ({type(error).__name__})", source=source, row=row)
