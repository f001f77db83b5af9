"""Arrow: Parquet files, and whatever has ``__arrow_c_stream__`` (pyarrow, polars, pandas, DuckDB).

Needs the extra ``[arrow]``; pyarrow is imported when it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Protocol, cast, runtime_checkable

from pinterest_audiences.errors import ConfigurationError, SourceError
from pinterest_audiences.records.chunks import CHUNK_ROWS, Block, Chunk, Values
from pinterest_audiences.records.columns import ColumnChoice

__all__ = ["ArrowStream", "need_arrow", "parquet_chunks", "stream_chunks"]

_ROWS = 2 * CHUNK_ROWS  # each piece costs some calls of pyarrow
_PARQUET_ROWS = 4 * _ROWS


@runtime_checkable
class ArrowStream(Protocol):
    """What the Arrow PyCapsule interface asks for."""

    def __arrow_c_stream__(self, requested_schema: object = None, /) -> object:
        """Return a capsule of an Arrow stream."""
        ...


class _Column(Protocol):
    """What is used of ``pyarrow.Array``."""

    type: object
    null_count: int

    def __len__(self) -> int: ...
    def slice(self, start: int, length: int, /) -> _Column: ...
    def cast(self, kind: object, /) -> _Column: ...
    def fill_null(self, value: str, /) -> _Column: ...
    def to_pylist(self) -> list[object]: ...


class _Batch(Protocol):
    """What is used of ``pyarrow.RecordBatch``."""

    num_rows: int

    def column(self, place: int, /) -> _Column: ...


def need_arrow() -> ModuleType:
    """Import pyarrow.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        return import_module("pyarrow")
    except ImportError:
        raise ConfigurationError(
            "Arrow and Parquet need pyarrow: pip install 'pinterest-audiences[arrow]'"
        ) from None


def stream_chunks(stream: object, choice: ColumnChoice, source: str) -> Iterator[Chunk]:
    """Read the chosen columns of an Arrow stream.

    A stream of a single column, such as a polars Series, needs no choice.

    Raises:
        SourceError: The stream breaks, or has not the column asked for.
    """
    pa = need_arrow()
    try:
        try:
            reader = pa.RecordBatchReader.from_stream(stream)
            names = cast("Sequence[str]", reader.schema.names)
        except pa.ArrowInvalid:
            reader, names = pa.chunked_array(stream), None  # one column, not a table
    except Exception as error:  # noqa: BLE001 - any library may stand behind the stream
        raise _broken(error, source) from None
    if names is None:
        if not choice.single:
            raise SourceError("is one column; a table is needed for rows", source=source)
        yield from _column_chunks(reader.chunks, 1)
    else:
        yield from _table_chunks(reader, choice.settle(names, source), choice, source)


def parquet_chunks(path: Path, choice: ColumnChoice, source: str) -> Iterator[Chunk]:
    """Read the chosen columns of a Parquet file, and no others.

    Raises:
        SourceError: The file is damaged or cut short, or has not the column asked for.
    """
    pa = need_arrow()
    parquet = import_module("pyarrow.parquet")

    try:
        file = parquet.ParquetFile(path, memory_map=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _broken(error, source) from None
    with file:
        choice.settle(file.schema_arrow.names, source)
        # Asked for in the order of the file, they come in it, whatever pyarrow makes of another.
        order = [name for name in file.schema_arrow.names if name in choice.names]
        batches = file.iter_batches(batch_size=_PARQUET_ROWS, columns=order)
        places = tuple(order.index(name) for name in choice.names)
        yield from _table_chunks(batches, places, choice, source)


def _table_chunks(
    batches: Iterable[_Batch], places: tuple[int, ...], choice: ColumnChoice, source: str
) -> Iterator[Chunk]:
    first = 1
    waiting = iter(batches)
    while True:
        try:
            batch = next(waiting, None)
        except Exception as error:  # noqa: BLE001 - any library may stand behind the stream
            raise _broken(error, source, first - 1) from None
        if batch is None:
            return
        columns = [batch.column(place) for place in places]
        if choice.single:
            yield from _column_chunks(columns, first)
        else:
            yield from _row_chunks(columns, batch.num_rows, first)
        first += batch.num_rows


def _broken(error: Exception, source: str, row: int | None = None) -> SourceError:
    # Its own words are left out: they may quote what was read.
    return SourceError(
        f"cannot be read{'' if row is None else ' further'} ({type(error).__name__}): damaged, cut "
        "short, or the library behind it failed",
        source=source,
        row=row,
    )


def _row_chunks(columns: list[_Column], rows: int, first: int) -> Iterator[Chunk]:
    for start in range(0, rows, _ROWS):
        cells = [column.slice(start, _ROWS).to_pylist() for column in columns]
        yield Values(first + start, list(zip(*cells, strict=True)))


def _column_chunks(columns: Iterable[_Column], first: int) -> Iterator[Chunk]:
    for column in columns:
        for start in range(0, len(column), _ROWS):
            yield _chunk(column.slice(start, _ROWS), first + start)
        first += len(column)


def _chunk(cells: _Column, first: int) -> Chunk:
    """Make a block of a piece of a column where that can be, without an object for each cell."""
    pa, compute = need_arrow(), import_module("pyarrow.compute")
    text = _as_text(cells, pa)
    if text is None:
        return Values(first, cells.to_pylist())
    offsets = pa.array([0, len(text)], pa.int32())
    joined = compute.binary_join(pa.ListArray.from_arrays(offsets, text), "\n")
    data = cast("bytes", joined[0].as_buffer().to_pybytes()) + b"\n"
    if data.isascii() and data.count(b"\n") == len(text):
        return Block(first, data, len(text))
    return Values(first, cells.to_pylist())


def _as_text(cells: _Column, pa: ModuleType) -> _Column | None:
    kind = cells.type
    if pa.types.is_dictionary(kind):
        kind = getattr(kind, "value_type", kind)
    if not any(is_kind(kind) for is_kind in _text_kinds(pa)):
        return None
    try:
        text = cells.cast(pa.string())
    except pa.ArrowException:  # over two gigabytes, not UTF-8, or a cast that pyarrow lacks
        return None
    # Null and "" are both empty cells; a null would make the whole join null.
    return text.fill_null("") if text.null_count else text


def _text_kinds(pa: ModuleType) -> list[Callable[[object], bool]]:
    names = ("is_string", "is_large_string", "is_string_view")  # the last one since pyarrow 16
    return [getattr(pa.types, name) for name in names if hasattr(pa.types, name)]
