"""Arrow: Parquet, Arrow and ORC files, and the Arrow PyCapsule interface of other libraries.

Requires the extra ``[arrow]``; pyarrow is imported when it is used.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import BinaryIO, Protocol, cast

from pinterest_audiences._errors import ConfigurationError, SourceError
from pinterest_audiences._records.chunks import CHUNK_ROWS, AsciiChunk, Chunk, RowChunk
from pinterest_audiences._records.columns import ColumnSelection
from pinterest_audiences._records.remote_files import RemoteReadError
from pinterest_audiences._records.text_files import InputFile

__all__ = [
    "ARROW_MAGIC",
    "SAMPLE_ROWS",
    "Batch",
    "Column",
    "Schema",
    "array_chunks",
    "arrow_file_chunks",
    "batches_chunks",
    "check_single_column",
    "has_pyarrow",
    "import_pyarrow",
    "named_batches_chunks",
    "open_batches",
    "orc_chunks",
    "parquet_chunks",
    "parquet_file_chunks",
    "sample_columns",
    "sample_rows",
    "stream_chunks",
    "unreadable_table",
]


ARROW_MAGIC = b"ARROW1\0"
"""The first bytes of an Arrow file; a stream has none."""
_CONTINUATION = b"\xff" * 4  # before the length of each message of a stream
_NO_LENGTH = bytes(4)  # the length of no message, at the end of a stream
_BLOCK_BYTES = 65_536
SAMPLE_ROWS = 500
"""Rows that are sampled to choose the columns of a table."""
_SLICE_ROWS = 2 * CHUNK_ROWS  # each slice costs several calls to pyarrow
_PARQUET_ROWS = 4 * _SLICE_ROWS


class Column(Protocol):
    """The used part of ``pyarrow.Array``."""

    type: object
    null_count: int

    def __len__(self) -> int: ...
    def slice(self, start: int, length: int, /) -> Column:
        """Return consecutive cells."""
        ...

    def cast(self, kind: object, /) -> Column:
        """Return the cells as another type."""
        ...

    def to_pylist(self) -> list[object]:
        """Return the cells as Python objects."""
        ...


class Batch(Protocol):
    """The used part of ``pyarrow.RecordBatch``."""

    num_rows: int

    def column(self, index: int, /) -> Column:
        """Return a column by its index."""
        ...


class Schema(Protocol):
    """The used part of ``pyarrow.Schema``."""

    names: list[str]


def import_pyarrow() -> ModuleType:
    """Import pyarrow.

    Raises:
        ConfigurationError: pyarrow is not installed.
    """
    try:
        return import_module("pyarrow")
    except ImportError:
        raise ConfigurationError(
            "Arrow and Parquet require pyarrow: pip install 'pinterest-audiences[arrow]'"
        ) from None


def has_pyarrow() -> bool:
    """Return whether pyarrow is installed."""
    return find_spec("pyarrow") is not None


def unreadable_table(error: Exception, source: str, row: int | None = None) -> SourceError:
    """Return the error of a table that cannot be read; `row` is the last one that was read."""
    if isinstance(error, RemoteReadError):
        return SourceError(error.reason, source=source, row=row)
    # Without the message of the library, which may quote data.
    return SourceError(
        f"cannot be read{'' if row is None else ' further'} ({type(error).__name__}): damaged, "
        "truncated, or an error of its library",
        source=source,
        row=row,
    )


class _RowGroup(Protocol):
    """The used part of ``pyarrow.parquet.RowGroupMetaData``."""

    num_rows: int


class _ParquetMetadata(Protocol):
    """The used part of ``pyarrow.parquet.FileMetaData``."""

    num_rows: int
    num_row_groups: int

    def row_group(self, index: int, /) -> _RowGroup: ...


class _ParquetFile(Protocol):
    """The used part of ``pyarrow.parquet.ParquetFile``."""

    schema_arrow: Schema
    metadata: _ParquetMetadata

    def iter_batches(
        self, batch_size: int, row_groups: list[int], columns: list[str]
    ) -> Iterator[Batch]: ...


def parquet_chunks(file: InputFile, choice: ColumnSelection) -> Iterator[Chunk]:
    """Read the selected columns of a Parquet file, and no others.

    Raises:
        SourceError: The file is damaged or truncated, or a selected column is missing.
    """
    pa = import_pyarrow()
    parquet = import_module("pyarrow.parquet")

    try:
        with file.random_access() as location:
            is_local = isinstance(location, Path)
            opened = parquet.ParquetFile(location, memory_map=False, pre_buffer=not is_local)
            with opened:
                rows = cast("_ParquetFile", opened).metadata.num_rows
                for chunk in parquet_file_chunks(opened, choice, file.name):
                    file.position.set_share(chunk.last, rows)
                    yield chunk
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, SourceError):
            raise
        raise unreadable_table(error, file.name) from None


def arrow_file_chunks(file: InputFile, choice: ColumnSelection) -> Iterator[Chunk]:
    """Read the selected columns of an Arrow file (Feather version 2) or a stored Arrow stream.

    Raises:
        SourceError: The file is damaged or truncated, or a selected column is missing.
    """
    import_pyarrow()
    ipc = import_module("pyarrow.ipc")
    is_file = file.first_bytes().startswith(ARROW_MAGIC)
    with file.random_access() as location:
        try:
            opened = _arrow_file(location)
            reader = ipc.open_file(opened) if is_file else ipc.open_stream(opened)
            names = cast("list[str]", reader.schema.names)
        except Exception as error:  # noqa: BLE001 - pyarrow raises various errors for a damaged file
            raise unreadable_table(error, file.name) from None
        if not is_file:
            file.position.follow(opened, file.position.size)
            batches = _stream_batches(reader, opened, file.name)
            yield from named_batches_chunks(batches, names, choice, file.name)
            return
        count = cast("int", reader.num_record_batches)
        counted = _CountedBatches(map(reader.get_batch, range(count)), count)
        for chunk in named_batches_chunks(counted, names, choice, file.name):
            file.position.set_share(chunk.last, counted.estimated_rows)
            yield chunk


class _CountedBatches(Iterator[Batch]):
    """The batches of a file; its number of rows is estimated from those that were read."""

    def __init__(self, batches: Iterator[Batch], total: int) -> None:
        self._batches = batches
        self._total = total
        self._read = 0
        self._rows = 0

    def __next__(self) -> Batch:
        batch = next(self._batches)
        self._read += 1
        self._rows += batch.num_rows
        return batch

    @property
    def estimated_rows(self) -> int:
        """The number of rows of the file; exact when all batches have been read."""
        return self._rows * self._total // max(1, self._read)


def _stream_batches(batches: Iterator[Batch], file: _SeekableFile, source: str) -> Iterator[Batch]:
    """Yield the batches of a stored stream up to its end mark.

    pyarrow takes a stream that was cut off between two batches as complete, and reads the first of
    several streams in one file only. The last bytes of a file cannot show this: those of a batch
    may look like the mark.

    Raises:
        SourceError: The mark is missing, or followed by data.
    """
    start = file.tell()
    for batch in batches:
        yield batch
        start = file.tell()
    file.seek(start)
    messages = import_module("pyarrow.ipc").MessageReader.open_stream(file)
    with suppress(StopIteration):  # dictionaries that no batch uses
        while messages.read_next_message() is not None:
            start = file.tell()
    file.seek(start)
    mark = file.read(len(_CONTINUATION))
    if mark == _CONTINUATION:  # not before Arrow 0.15
        mark = file.read(len(_NO_LENGTH))
    if mark != _NO_LENGTH:
        raise SourceError("the Arrow stream is truncated", source=source)
    while block := file.read(_BLOCK_BYTES):
        if block.strip(b"\0"):
            raise SourceError(
                "has data after the end of the Arrow stream; store one stream in each file",
                source=source,
            )


def orc_chunks(file: InputFile, choice: ColumnSelection) -> Iterator[Chunk]:
    """Read the selected columns of an ORC file, a stripe at a time.

    Raises:
        ConfigurationError: This pyarrow does not read ORC.
        SourceError: The file is damaged or truncated, or a selected column is missing.
    """
    import_pyarrow()
    try:
        orc = import_module("pyarrow.orc")
    except ImportError:
        raise ConfigurationError("this build of pyarrow does not read ORC files") from None
    with file.random_access() as location:
        try:
            reader = orc.ORCFile(_arrow_file(location))
            names, rows = cast("list[str]", reader.schema.names), cast("int", reader.nrows)
        except Exception as error:  # noqa: BLE001 - pyarrow raises various errors for a damaged file
            raise unreadable_table(error, file.name) from None
        batches = map(reader.read_stripe, range(reader.nstripes))
        for chunk in named_batches_chunks(batches, names, choice, file.name):
            file.position.set_share(chunk.last, rows)
            yield chunk


class _SeekableFile(Protocol):
    """The used part of ``pyarrow.NativeFile``, and of a file of Python."""

    @property
    def closed(self) -> bool: ...
    def tell(self) -> int: ...
    def seek(self, position: int, /) -> int: ...
    def read(self, size: int, /) -> bytes: ...


def _arrow_file(location: Path | BinaryIO) -> _SeekableFile:
    """Return a file for pyarrow, which would map a path into memory."""
    pa = import_pyarrow()
    return cast(
        "_SeekableFile", pa.OSFile(str(location)) if isinstance(location, Path) else location
    )


def parquet_file_chunks(
    file: object, choice: ColumnSelection, source: str, first: int = 1
) -> Iterator[Chunk]:
    """Read the selected columns of an open `pyarrow.parquet.ParquetFile`, and no others.

    Raises:
        SourceError: As `parquet_chunks`.
    """
    parquet_file = cast("_ParquetFile", file)
    try:
        header = parquet_file.schema_arrow.names
    except Exception as error:  # noqa: BLE001 - pyarrow raises various errors, also for a closed file
        raise unreadable_table(error, source) from None
    candidates = choice.candidates(header)
    sample: list[list[object]] = []
    if candidates:
        read, columns = _read_columns(header, candidates)
        groups = _first_row_groups(parquet_file.metadata)
        try:
            batch = next(parquet_file.iter_batches(SAMPLE_ROWS, groups, columns), None)
            if batch is not None:
                chosen = [(index, batch.column(read.index(index))) for index in candidates]
                sample = sample_columns(chosen, len(header))
        except Exception as error:  # noqa: BLE001 - pyarrow raises various errors for a damaged file
            raise unreadable_table(error, source, first - 1) from None
    complete = parquet_file.metadata.num_rows <= len(sample)
    selected = choice.resolve(header, source, sample, complete=complete)
    read, columns = _read_columns(header, selected)
    indexes = tuple(read.index(index) for index in selected)

    def batches() -> Iterator[Batch]:  # also the errors of its first call are translated
        for group in range(parquet_file.metadata.num_row_groups):
            # A remote file fetches, and keeps, the columns of all row groups that are asked for.
            yield from parquet_file.iter_batches(_PARQUET_ROWS, [group], columns)

    yield from batches_chunks(batches(), indexes, choice, source, first)


def _first_row_groups(metadata: _ParquetMetadata) -> list[int]:
    """Return the first row groups, until one has rows: no others are fetched for a sample."""
    for group in range(metadata.num_row_groups):
        if metadata.row_group(group).num_rows:
            return list(range(group + 1))
    return []


def _read_columns(header: Sequence[str], selected: Sequence[int]) -> tuple[list[int], list[str]]:
    """Return the indexes and names to read for some columns.

    pyarrow returns columns in the order of the file, with all columns of a name.
    """
    names = {header[index] for index in selected}
    read = [index for index, name in enumerate(header) if name in names]
    return read, list(dict.fromkeys(header[index] for index in read))


def stream_chunks(
    stream: object, choice: ColumnSelection, source: str, first: int = 1
) -> Iterator[Chunk]:
    """Read the selected columns of an object of the Arrow PyCapsule interface, from row `first`.

    A stream may also be a single column, such as a polars Series.

    Raises:
        SourceError: The stream fails, or a selected column is missing.
    """
    try:
        reader, names = _open_stream(stream)
    except Exception as error:  # noqa: BLE001 - streams of other libraries may raise anything
        raise unreadable_table(error, source) from None
    if names is None:
        check_single_column(choice, source)
        yield from _column_chunks(
            cast("Sequence[Column]", getattr(reader, "chunks", reader)), first
        )
    else:
        batches = cast("Iterable[Batch]", reader)
        yield from named_batches_chunks(batches, names, choice, source, first)


def _open_stream(stream: object) -> tuple[object, Sequence[str] | None]:
    """Open a table as a reader and its column names, or a single column as its arrays."""
    pa = import_pyarrow()
    if not hasattr(stream, "__arrow_c_stream__"):  # an array, or a struct array of a batch
        array = pa.array(stream)
        if not pa.types.is_struct(array.type):
            return [array], None
        batch = pa.RecordBatch.from_struct_array(array)
        return [batch], batch.schema.names
    try:
        reader = pa.RecordBatchReader.from_stream(stream)
    except pa.ArrowInvalid:
        return pa.chunked_array(stream), None  # one column, not a table
    return reader, reader.schema.names


def check_single_column(choice: ColumnSelection, source: str) -> None:
    """Check that records of one kind are read.

    Raises:
        SourceError: Rows of several identifiers are read.
    """
    if choice.kind is None:
        raise SourceError("is a single column; pass a table for rows", source=source)


def open_batches(stream: object) -> Iterable[Batch]:
    """Open a table of the Arrow PyCapsule interface."""
    return cast("Iterable[Batch]", import_pyarrow().RecordBatchReader.from_stream(stream))


def named_batches_chunks(
    batches: Iterable[Batch],
    names: Sequence[str],
    choice: ColumnSelection,
    source: str,
    first: int = 1,
) -> Iterator[Chunk]:
    """Resolve the columns of record batches by names and first values, and read them.

    Raises:
        SourceError: The stream fails, or a selected column is missing.
    """
    batches_left = iter(batches)
    candidates = choice.candidates(names)
    first_batches: list[Batch] = []
    complete = False
    try:
        while candidates and sum(batch.num_rows for batch in first_batches) < SAMPLE_ROWS:
            first_batches.append(next(batches_left))
    except StopIteration:
        complete = True
    except Exception as error:  # noqa: BLE001 - streams of other libraries may raise anything
        batches_left = _raise_later(error)  # raised after the rows before it
    try:
        sample: list[list[object]] = []
        for batch in first_batches:
            chosen = [(index, batch.column(index)) for index in candidates]
            sample += sample_columns(chosen, len(names))
    except Exception as error:  # noqa: BLE001 - such as text that is not UTF-8, with the text
        raise unreadable_table(error, source, first - 1) from None
    indexes = choice.resolve(names, source, sample, complete=complete)
    yield from batches_chunks(chain(first_batches, batches_left), indexes, choice, source, first)


def _raise_later(error: Exception) -> Iterator[Batch]:
    yield from ()
    raise error


def batches_chunks(
    batches: Iterable[Batch],
    indexes: tuple[int, ...],
    choice: ColumnSelection,
    source: str,
    first: int = 1,
) -> Iterator[Chunk]:
    """Read some columns of record batches.

    Raises:
        SourceError: The library of the batches fails.
    """
    batches_left = iter(batches)
    while True:
        try:
            batch = next(batches_left, None)
        except SourceError:
            raise
        except Exception as error:  # noqa: BLE001 - streams of other libraries may raise anything
            raise unreadable_table(error, source, first - 1) from None
        if batch is None:
            return
        columns = [batch.column(index) for index in indexes]
        try:
            if choice.single:
                yield from _column_chunks(columns, first)
            else:
                yield from _row_chunks(columns, batch.num_rows, first)
        except Exception as error:  # noqa: BLE001 - such as text that is not UTF-8, with the text
            raise unreadable_table(error, source, first - 1) from None
        first += batch.num_rows


def sample_columns(columns: Sequence[tuple[int, Column]], width: int) -> list[list[object]]:
    """Return the first rows of a table, with the cells of some of its columns."""
    cells = [(index, column.slice(0, SAMPLE_ROWS).to_pylist()) for index, column in columns]
    return sample_rows(cells, width)


def sample_rows(columns: Sequence[tuple[int, Sequence[object]]], width: int) -> list[list[object]]:
    """Return rows of a width with the cells of some columns."""
    rows: list[list[object]] = [[None] * width for _ in (columns[0][1] if columns else ())]
    for index, cells in columns:
        for row, cell in zip(rows, cells, strict=True):
            row[index] = cell
    return rows


def array_chunks(pieces: Iterable[object], first: int) -> Iterator[Chunk]:
    """Read consecutive arrays of pyarrow."""
    return _column_chunks(cast("Iterable[Column]", pieces), first)


def _row_chunks(columns: list[Column], rows: int, first: int) -> Iterator[Chunk]:
    for start in range(0, rows, _SLICE_ROWS):
        cells = [column.slice(start, _SLICE_ROWS).to_pylist() for column in columns]
        yield RowChunk(first + start, list(zip(*cells, strict=True)))


def _column_chunks(columns: Iterable[Column], first: int) -> Iterator[Chunk]:
    for column in columns:
        for start in range(0, len(column), _SLICE_ROWS):
            yield _chunk(column.slice(start, _SLICE_ROWS), first + start)
        first += len(column)


def _chunk(cells: Column, first: int) -> Chunk:
    """Return a slice of a column as `AsciiChunk` if possible, without an object for each cell."""
    pa, compute = import_pyarrow(), import_module("pyarrow.compute")
    text = _as_text(cells, pa)
    if text is None:
        return RowChunk(first, cells.to_pylist())
    # Null and "" are both empty cells; one null would make the whole join null.
    filled = compute.coalesce(text, _scalar(pa, b"")) if text.null_count else text
    offsets = pa.Array.from_buffers(pa.int32(), 2, [None, _int_pair(pa, len(text))])
    joined = compute.binary_join(pa.ListArray.from_arrays(offsets, filled), _scalar(pa, b"\n"))
    data = cast("bytes", joined[0].as_buffer().to_pybytes()) + b"\n"
    if data.isascii() and data.count(b"\n") == len(text):
        return AsciiChunk(first, data, len(text))
    return RowChunk(first, cells.to_pylist())


def _scalar(pa: ModuleType, text: bytes) -> object:
    """Return a string for pyarrow, without pa.array() and pa.scalar(), which import pandas."""
    buffers = [None, _int_pair(pa, len(text)), pa.py_buffer(text)]
    return cast("object", pa.Array.from_buffers(pa.string(), 1, buffers)[0])


def _int_pair(pa: ModuleType, end: int) -> object:
    """Return the offsets of one item as a buffer."""
    return cast("object", pa.py_buffer(struct.pack("=ii", 0, end)))


def _as_text(cells: Column, pa: ModuleType) -> Column | None:
    kind = cells.type
    if pa.types.is_dictionary(kind):
        kind = getattr(kind, "value_type", kind)
    if not any(is_kind(kind) for is_kind in _text_kinds(pa)):
        return None
    try:
        return cells.cast(pa.string())
    except pa.ArrowException:  # over 2 GB, not UTF-8, or an unsupported cast
        return None


def _text_kinds(pa: ModuleType) -> list[Callable[[object], bool]]:
    return [pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view]
