"""Arrow: Parquet files, and whatever has ``__arrow_c_stream__`` (pyarrow, polars, pandas, DuckDB).

Needs the extra ``[arrow]``; pyarrow is imported when it is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from pinterest_audiences.errors import ConfigurationError, SourceError
from pinterest_audiences.records.chunks import CHUNK_ROWS, Block, Chunk, Values
from pinterest_audiences.records.columns import ColumnChoice

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ArrowStream", "need_arrow", "parquet_chunks", "stream_chunks"]


@runtime_checkable
class ArrowStream(Protocol):
    """What the Arrow PyCapsule interface asks for."""

    def __arrow_c_stream__(self, requested_schema: object = None, /) -> object:
        """Return a capsule of an Arrow stream."""
        ...


def need_arrow() -> None:
    """Import pyarrow.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        import_module("pyarrow")
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
    import pyarrow as pa  # noqa: PLC0415 - the extra is imported where it is used

    reader = _reader(stream, source)
    if isinstance(reader, pa.ChunkedArray):
        yield from _array_chunks(reader, choice, source)
        return
    places = choice.settle(reader.schema.names, source)
    first = 1
    for batch in _batches(reader, source):
        for chunk in _batch_chunks(batch, places, first, single=choice.single):
            yield chunk
        first += batch.num_rows


def parquet_chunks(path: Path, choice: ColumnChoice, source: str) -> Iterator[Chunk]:
    """Read the chosen columns of a Parquet file, and no others.

    Raises:
        SourceError: The file is damaged or cut short, or has not the column asked for.
    """
    import pyarrow as pa  # noqa: PLC0415 - the extra is imported where it is used
    from pyarrow import parquet  # noqa: PLC0415

    try:
        file = parquet.ParquetFile(path, memory_map=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _broken(error, source) from None
    with file:
        choice.settle(file.schema_arrow.names, source)
        first = 1
        wanted = file.iter_batches(batch_size=8 * CHUNK_ROWS, columns=list(choice.names))
        for batch in _batches(wanted, source):
            places = tuple(batch.schema.get_field_index(name) for name in choice.names)
            yield from _batch_chunks(batch, places, first, single=choice.single)
            first += batch.num_rows


def _reader(stream: object, source: str) -> pa.RecordBatchReader | pa.ChunkedArray:
    import pyarrow as pa  # noqa: PLC0415 - the extra is imported where it is used

    try:
        try:
            return pa.RecordBatchReader.from_stream(stream)
        except pa.ArrowInvalid:
            return pa.chunked_array(stream)  # a stream of one column, not of a table
    except Exception as error:  # noqa: BLE001 - it comes from the library whose object it is
        raise _broken(error, source) from None


def _batches(batches: Iterator[pa.RecordBatch], source: str) -> Iterator[pa.RecordBatch]:
    rows = 0
    try:
        for batch in batches:
            yield batch
            rows += batch.num_rows
    except GeneratorExit:
        raise
    except Exception as error:  # noqa: BLE001 - any library may stand behind the stream
        raise _broken(error, source, rows) from None


def _broken(error: Exception, source: str, row: int | None = None) -> SourceError:
    # Its own words are left out: they may quote what was read.
    return SourceError(
        f"cannot be read{'' if row is None else ' further'} ({type(error).__name__}): damaged, cut "
        "short, or the library behind it failed",
        source=source,
        row=row,
    )


def _batch_chunks(
    batch: pa.RecordBatch, places: tuple[int, ...], first: int, *, single: bool
) -> Iterator[Chunk]:
    columns = [batch.column(place) for place in places]
    for start in range(0, batch.num_rows, CHUNK_ROWS):
        pieces = [column.slice(start, CHUNK_ROWS) for column in columns]
        if single:
            yield _chunk(pieces[0], first + start)
        else:
            cells = [piece.to_pylist() for piece in pieces]
            yield Values(first + start, list(zip(*cells, strict=True)))


def _array_chunks(
    array: pa.ChunkedArray, choice: ColumnChoice, source: str
) -> Iterator[Chunk]:
    if not choice.single:
        raise SourceError("is one column; a table is needed for rows", source=source)
    first = 1
    for piece in array.chunks:
        for start in range(0, len(piece), CHUNK_ROWS):
            yield _chunk(piece.slice(start, CHUNK_ROWS), first + start)
        first += len(piece)


def _chunk(cells: pa.Array, first: int) -> Chunk:
    """Make a block of a piece of a column where that can be: its text is then never copied apart."""
    import pyarrow as pa  # noqa: PLC0415 - the extra is imported where it is used
    from pyarrow import compute  # noqa: PLC0415

    kind = cells.type.value_type if pa.types.is_dictionary(cells.type) else cells.type
    if not _is_text(kind):
        return Values(first, cells.to_pylist())
    try:
        text = cells.cast(pa.string())
    except pa.ArrowInvalid:  # more than two gigabytes, or not UTF-8
        return Values(first, cells.to_pylist())
    if text.null_count:
        text = text.fill_null("")  # both are empty cells, and the join below would lose a null
    offsets = pa.array([0, len(text)], pa.int32())
    joined = compute.binary_join(pa.ListArray.from_arrays(offsets, text), "\n")
    data = joined[0].as_buffer().to_pybytes() + b"\n"
    if data.isascii() and data.count(b"\n") == len(text):
        return Block(first, data, len(text))
    return Values(first, cells.to_pylist())


def _is_text(kind: pa.DataType) -> bool:
    from pyarrow import types  # noqa: PLC0415 - the extra is imported where it is used

    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
