"""Tables of other libraries: pandas, polars, numpy, pyarrow, and the Arrow PyCapsule interface.

Only the selected columns are converted, so the others may hold anything. Objects are recognized by
the names of their classes; only pyarrow is imported.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import lru_cache
from importlib import import_module
from typing import Protocol, TypeAlias, cast

from pinterest_audiences._errors import ConfigurationError, SourceError
from pinterest_audiences._records import arrow
from pinterest_audiences._records.chunks import CHUNK_ROWS, Chunk, RowChunk
from pinterest_audiences._records.columns import ColumnSelection
from pinterest_audiences._records.rows import RowReader, base_modules

__all__ = [
    "TablesReader",
    "check_table",
    "is_frame_reader",
    "is_table",
    "is_table_item",
    "table_chunks",
]


_PIECE_ROWS = 32 * CHUNK_ROWS
_BATCH_ROWS = 16 * CHUNK_ROWS
_UNSUPPORTED_TABLE_METHODS = ("to_arrow", "toArrow", "to_pandas", "toPandas", "compute")

_ReadTable: TypeAlias = Callable[[object, ColumnSelection, str, int], Iterator[Chunk]]


class TablesReader:
    """Read a series of tables as one; tables without rows are ignored."""

    def __init__(self, choice: ColumnSelection, source: str) -> None:
        self._choice = choice
        self._source = source
        self._first = 1
        self._empty: SourceError | None = None  # the error of a table without rows

    def read(self, table: object) -> Iterator[Chunk]:
        """Read the selected columns of the next table.

        Raises:
            SourceError: The item is not a table, or a selected column is missing.
        """
        if not is_table_item(table):
            raise SourceError(
                f"has an item of type {type(table).__name__} among tables",
                source=self._source,
                row=self._first - 1,
            )
        rows = 0
        try:
            for chunk in table_chunks(table, self._choice, self._source, self._first):
                yield chunk
                rows += chunk.count
        except SourceError as error:
            if rows or _row_count(table) != 0:
                raise
            self._empty = error  # connectors may return a first table without rows or columns
        self._first += rows

    def end(self) -> None:
        """Raise the error of a table without rows if there were no others.

        Raises:
            SourceError: No table had rows, and a selected column is missing.
        """
        if self._first == 1 and self._empty is not None and not self._choice.resolved:
            raise self._empty


def is_table(item: object) -> bool:
    """Return whether an object is a table or a column of a data frame library."""
    return _reader_for(item) is not None


def is_table_item(item: object) -> bool:
    """Return whether an item of an iterable is a table rather than a row."""
    return is_table(item) and not _is_row(item)


def is_frame_reader(item: object) -> bool:
    """Return whether an object is an iterator of pandas frames, as of `read_csv(chunksize=)`."""
    return isinstance(item, Iterator) and "pandas" in base_modules(
        cast("type", type(cast("object", item)))
    )


def table_chunks(
    table: object, choice: ColumnSelection, source: str, first: int = 1
) -> Iterator[Chunk]:
    """Read the selected columns of a table, or a single column; rows are counted from `first`.

    Raises:
        SourceError: The table cannot be read, or a selected column is missing.
    """
    reader = _reader_for(table)
    if reader is None:
        raise SourceError(f"{type(table).__name__} is not a table", source=source)
    row = first - 1
    try:
        for chunk in reader(table, choice, source, first):
            yield chunk
            row += chunk.count
    except (SourceError, ConfigurationError):
        raise
    except Exception as error:  # noqa: BLE001 - tables of other libraries may raise anything
        raise arrow.unreadable_table(error, source, row or None) from None


def check_table(table: object) -> None:
    """Check that pyarrow is installed if a table requires it.

    Raises:
        ConfigurationError: pyarrow is not installed.
    """
    if _reader_for(table) is _stream_chunks:
        arrow.import_pyarrow()


def _reader_for(item: object) -> _ReadTable | None:
    return _reader_for_class(cast("Hashable", type(item)))


@lru_cache(maxsize=256)
def _reader_for_class(hashable: Hashable) -> _ReadTable | None:
    kind = cast("type", hashable)
    modules = base_modules(kind)
    names = {base.__name__ for base in kind.__mro__}
    if "pandas" in modules and names & {"DataFrame", "Series", "Index"}:
        return _pandas_frame_chunks if "DataFrame" in names else _pandas_column_chunks
    if "numpy" in modules and "ndarray" in names:
        return _array_chunks
    if "polars" in modules and names & {"DataFrame", "LazyFrame", "Series"}:
        return _polars_column_chunks if "Series" in names else _polars_frame_chunks
    for method, reader in (
        ("__arrow_c_stream__", _stream_chunks),
        ("__arrow_c_array__", _stream_chunks),
        ("iter_batches", _parquet_chunks),
        ("scanner", _dataset_chunks),
        ("projected_schema", _scanner_chunks),
        ("get_batch", _ipc_file_chunks),
    ):
        if hasattr(kind, method) and ("pyarrow" in modules or method.startswith("__")):
            return reader
    if any(hasattr(kind, method) for method in _UNSUPPORTED_TABLE_METHODS) and hasattr(
        kind, "columns"
    ):
        return _raise_unsupported
    return None


def _is_row(item: object) -> bool:
    """Return whether an item is a row, as of `DataFrame.iterrows` or a loop over an array."""
    if _reader_for(item) is _array_chunks:
        array = cast("_Array", item)
        return array.ndim == 1 and array.dtype.names is None
    labels = cast("object", getattr(item, "index", None))
    if _reader_for(item) is not _pandas_column_chunks or callable(labels) or labels is None:
        return False
    names = cast("_PandasIndex", labels)
    return str(names.dtype) in ("object", "str", "string") and all(
        isinstance(name, str) for name in names.tolist()
    )


def _row_count(table: object) -> int | None:
    for count in ("num_rows", "height"):
        rows = cast("object", getattr(table, count, None))
        if isinstance(rows, int):
            return rows
    try:
        return len(cast("Sequence[object]", table))
    except Exception:  # noqa: BLE001 - readers and lazy frames raise various errors for len()
        return None


# --- pyarrow -------------------------------------------------------------------------------------


def _stream_chunks(
    table: object, choice: ColumnSelection, source: str, first: int
) -> Iterator[Chunk]:
    return arrow.stream_chunks(table, choice, source, first)


def _parquet_chunks(
    table: object, choice: ColumnSelection, source: str, first: int
) -> Iterator[Chunk]:
    return arrow.parquet_file_chunks(table, choice, source, first)


class _Scans(Protocol):
    """The used part of ``pyarrow.dataset.Dataset`` and ``Scanner``."""

    schema: arrow.Schema
    projected_schema: arrow.Schema

    def to_batches(self, **options: object) -> Iterator[arrow.Batch]: ...
    def head(self, rows: int, *, columns: list[str]) -> arrow.Batch: ...


def _dataset_chunks(
    table: object, choice: ColumnSelection, source: str, first: int
) -> Iterator[Chunk]:
    dataset = cast("_Scans", table)
    header = dataset.schema.names
    sample: list[list[object]] = []
    candidates = choice.candidates(header)
    if candidates:
        columns = list(dict.fromkeys(header[index] for index in candidates))
        head = dataset.head(arrow.SAMPLE_ROWS, columns=columns)
        cells = [(p, head.column(columns.index(header[p]))) for p in candidates]
        sample = arrow.sample_columns(cells, len(header))
    complete = 0 < len(sample) < arrow.SAMPLE_ROWS
    indexes = choice.resolve(header, source, sample, complete=complete)
    names = [dataset.schema.names[index] for index in indexes]

    def batches() -> Iterator[arrow.Batch]:
        yield from dataset.to_batches(
            columns=list(dict.fromkeys(names)),
            batch_size=_BATCH_ROWS,
            batch_readahead=2,
            fragment_readahead=1,
        )

    order = list(dict.fromkeys(names))
    chosen = tuple(order.index(name) for name in names)
    yield from arrow.batches_chunks(batches(), chosen, choice, source, first)


def _scanner_chunks(
    table: object, choice: ColumnSelection, source: str, first: int
) -> Iterator[Chunk]:
    scanner = cast("_Scans", table)

    def batches() -> Iterator[arrow.Batch]:
        yield from scanner.to_batches()

    names = scanner.projected_schema.names
    yield from arrow.named_batches_chunks(batches(), names, choice, source, first)


class _BatchFile(Protocol):
    """The used part of ``pyarrow.ipc.RecordBatchFileReader``."""

    schema: arrow.Schema
    num_record_batches: int

    def get_batch(self, number: int, /) -> arrow.Batch: ...


def _ipc_file_chunks(
    table: object, choice: ColumnSelection, source: str, first: int
) -> Iterator[Chunk]:
    file = cast("_BatchFile", table)
    batches = (file.get_batch(number) for number in range(file.num_record_batches))
    yield from arrow.named_batches_chunks(batches, file.schema.names, choice, source, first)


# --- pandas --------------------------------------------------------------------------------------


class _PandasIndex(Protocol):
    """The used part of ``pandas.Index``."""

    dtype: object
    nlevels: int
    names: Sequence[object]

    def tolist(self) -> list[object]: ...
    def get_level_values(self, level: int, /) -> _PandasColumn: ...


class _PandasColumn(Protocol):
    """The used part of ``pandas.Series`` and ``pandas.Index``."""

    def __len__(self) -> int: ...
    def __getitem__(self, rows: slice, /) -> _PandasColumn: ...
    def tolist(self) -> list[object]: ...


class _PandasFrame(Protocol):
    """The used part of ``pandas.DataFrame``."""

    columns: _PandasIndex
    index: _PandasIndex
    iloc: _PandasIloc

    def __len__(self) -> int: ...


class _PandasIloc(Protocol):
    """The used part of ``DataFrame.iloc``."""

    def __getitem__(self, index: tuple[slice, int], /) -> _PandasColumn: ...


def _pandas_frame_chunks(
    table: object, choice: ColumnSelection, source: str, first: int
) -> Iterator[Chunk]:
    frame = cast("_PandasFrame", table)
    if frame.columns.nlevels > 1:
        raise SourceError(
            "has a MultiIndex of columns; give each column one name (frame.columns = [...])",
            source=source,
        )
    header = frame.columns.tolist()
    width = len(header)
    levels = [level for level, name in enumerate(frame.index.names) if isinstance(name, str)]
    header += [frame.index.names[level] for level in levels]

    def column(index: int) -> _PandasColumn:
        if index < width:
            return frame.iloc[:, index]
        return frame.index.get_level_values(levels[index - width])

    if header and not any(isinstance(name, str) for name in header):  # a frame without column names
        rows = _zip_columns([column(index) for index in range(width)])
        yield from _row_chunks(rows, choice, source, first)
        return
    some = [
        (p, _slice(column(p), 0, arrow.SAMPLE_ROWS).tolist()) for p in choice.candidates(header)
    ]
    sample = arrow.sample_rows(some, len(header))
    complete = len(frame) <= arrow.SAMPLE_ROWS
    columns = [column(p) for p in choice.resolve(header, source, sample, complete=complete)]
    if choice.single:
        yield from _pandas_column_chunks(columns[0], choice, source, first)
        return
    for cells in _zip_columns(columns):
        yield RowChunk(first, cells)
        first += len(cells)


def _zip_columns(columns: list[_PandasColumn]) -> Iterator[list[tuple[object, ...]]]:
    """Yield lists of rows of columns of equal length."""
    for start in range(0, len(columns[0]), CHUNK_ROWS):
        cells = [_slice(column, start, CHUNK_ROWS).tolist() for column in columns]
        yield list(zip(*cells, strict=True))


def _pandas_column_chunks(
    table: object, choice: ColumnSelection, source: str, first: int
) -> Iterator[Chunk]:
    arrow.check_single_column(choice, source)
    column = cast("_PandasColumn", table)
    for start in range(0, len(column), _PIECE_ROWS):
        yield from _piece_chunks(_slice(column, start, _PIECE_ROWS), first + start)


def _piece_chunks(piece: _PandasColumn, first: int) -> Iterator[Chunk]:
    """Read a part of a pandas column, with Arrow if it has only text."""
    if arrow.has_pyarrow():
        pa = import_module("pyarrow")
        try:
            array = pa.array(piece, from_pandas=True)
        except Exception:  # noqa: BLE001, S110 - mixed cells, or an unsupported pandas: read as objects
            pass
        else:
            chunks = getattr(array, "chunks", [array])
            yield from arrow.array_chunks(chunks, first)
            return
    cells = piece.tolist()
    for start in range(0, len(cells), CHUNK_ROWS):
        yield RowChunk(first + start, cells[start : start + CHUNK_ROWS])


def _slice(column: _PandasColumn, start: int, length: int) -> _PandasColumn:
    rows = cast("_PandasColumn", getattr(column, "iloc", column))  # an Index has no iloc
    return rows[start : start + length]


# --- polars --------------------------------------------------------------------------------------


class _PolarsColumn(Protocol):
    """The used part of ``polars.Series``."""

    dtype: object

    def __len__(self) -> int: ...
    def slice(self, start: int, length: int, /) -> _PolarsColumn: ...
    def to_list(self) -> list[object]: ...


class _PolarsFrame(Protocol):
    """The used part of ``polars.DataFrame`` and ``LazyFrame``."""

    columns: Sequence[str]

    def __len__(self) -> int: ...
    def select(self, names: list[str], /) -> _PolarsFrame: ...
    def head(self, rows: int, /) -> _PolarsFrame: ...
    def get_column(self, name: str, /) -> _PolarsColumn: ...


def _polars_frame_chunks(
    table: object, choice: ColumnSelection, source: str, first: int
) -> Iterator[Chunk]:
    frame = cast("_PolarsFrame", table)
    schema = cast("object", getattr(frame, "collect_schema", None))
    header = (
        cast("Callable[[], _PolarsSchema]", schema)().names() if schema else list(frame.columns)
    )
    candidates = list(dict.fromkeys(header[index] for index in choice.candidates(header)))
    sample: list[list[object]] = []
    if candidates:
        (head,) = _collect(frame.select(candidates).head(arrow.SAMPLE_ROWS), whole=True)
        cells = [(header.index(name), head.get_column(name).to_list()) for name in candidates]
        sample = arrow.sample_rows(cells, len(header))
    complete = 0 < len(sample) < arrow.SAMPLE_ROWS
    indexes = choice.resolve(header, source, sample, complete=complete)
    names = [header[index] for index in indexes]
    chosen = frame.select(list(dict.fromkeys(names)))
    for piece in _collect(chosen):
        yield from _polars_piece_chunks(piece, names, choice, source, first)
        first += len(piece)


class _PolarsSchema(Protocol):
    """The used part of ``polars.Schema``."""

    def names(self) -> list[str]: ...


def _collect(frame: _PolarsFrame, *, whole: bool = False) -> Iterable[_PolarsFrame]:
    """Collect a lazy frame, in batches if this version of polars supports it."""
    collect = cast("Callable[..., _PolarsFrame] | None", getattr(frame, "collect", None))
    if collect is None:
        return [frame]
    batches = cast("object", getattr(frame, "collect_batches", None))
    if batches is not None and not whole:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # polars marks it as unstable
            return cast("Callable[..., Iterable[_PolarsFrame]]", batches)(chunk_size=_BATCH_ROWS)
    try:
        return [collect(engine="streaming")]
    except TypeError:  # before polars 1.23
        return [collect()]


def _polars_piece_chunks(
    frame: _PolarsFrame, names: list[str], choice: ColumnSelection, source: str, first: int
) -> Iterator[Chunk]:
    columns = [frame.get_column(name) for name in names]
    plain = all(str(column.dtype) != "Object" for column in columns)
    if plain and arrow.has_pyarrow() and hasattr(frame, "__arrow_c_stream__"):
        order = list(dict.fromkeys(names))
        indexes = tuple(order.index(name) for name in names)
        batches = arrow.open_batches(frame)
        yield from arrow.batches_chunks(batches, indexes, choice, source, first)
    elif choice.single:
        yield from _polars_column_chunks(columns[0], choice, source, first)
    else:
        for start in range(0, len(frame), CHUNK_ROWS):
            cells = [column.slice(start, CHUNK_ROWS).to_list() for column in columns]
            yield RowChunk(first + start, list(zip(*cells, strict=True)))


def _polars_column_chunks(
    table: object, choice: ColumnSelection, source: str, first: int
) -> Iterator[Chunk]:
    column = cast("_PolarsColumn", table)
    dtype = str(column.dtype)
    if dtype != "Object" and arrow.has_pyarrow() and hasattr(column, "__arrow_c_stream__"):
        yield from arrow.stream_chunks(column, choice, source, first)
        return
    arrow.check_single_column(choice, source)
    for start in range(0, len(column), CHUNK_ROWS):
        yield RowChunk(first + start, column.slice(start, CHUNK_ROWS).to_list())


# --- numpy, and others ---------------------------------------------------------------------------


class _Array(Protocol):
    """The used part of ``numpy.ndarray``."""

    ndim: int
    dtype: _Dtype

    def __len__(self) -> int: ...
    def __getitem__(self, rows: slice, /) -> _Array: ...
    def tolist(self) -> list[object]: ...


class _Dtype(Protocol):
    """The used part of ``numpy.dtype``."""

    names: tuple[str, ...] | None


def _array_chunks(
    table: object, choice: ColumnSelection, source: str, first: int
) -> Iterator[Chunk]:
    array = cast("_Array", table)
    if array.ndim not in (1, 2):
        raise SourceError(
            f"is an array of {array.ndim} dimensions; pass one with one or two", source=source
        )
    pieces = (
        array[start : start + CHUNK_ROWS].tolist() for start in range(0, len(array), CHUNK_ROWS)
    )
    yield from _row_chunks(pieces, choice, source, first, array.dtype.names)


def _row_chunks(
    pieces: Iterable[Sequence[object]],
    choice: ColumnSelection,
    source: str,
    first: int,
    header: tuple[str, ...] | None = None,
) -> Iterator[Chunk]:
    """Read consecutive lists of rows."""
    reader = RowReader(choice, source, header)
    for rows in pieces:
        chunk = reader.read(first, rows)
        yield chunk
        first += chunk.count


def _raise_unsupported(
    table: object, choice: ColumnSelection, source: str, first: int
) -> Iterator[Chunk]:  # the signature of `_ReadTable`
    del choice, first
    raise SourceError(
        f"{type(table).__module__}.{type(table).__qualname__} is not a supported table; "
        "convert it with its to_arrow(), to_pandas() or compute() method, or upgrade "
        "the library to a version with __arrow_c_stream__",
        source=source,
    )
