"""Partitions: the columns that the folders of a file have, such as ``country=DE`` (Hive).

Spark, DuckDB and others write a dataset so, and leave the columns out of its files. The value of
such a column is the same in all rows of a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from urllib.parse import unquote

from pinterest_audiences._records.chunks import Chunk, RowChunk, closing_iter
from pinterest_audiences._records.columns import ColumnSelection

__all__ = ["partition_chunks", "partition_values"]

_NULL = "__HIVE_DEFAULT_PARTITION__"
_WEB = ("http://", "https://")


def partition_values(path: str) -> dict[str, str]:
    """Return the columns of the folders in a path or URL, each with its value as text.

    Names and values are percent-decoded, as Spark and DuckDB encode them. A missing value is empty.
    """
    decode_url = unquote if path.lower().startswith(_WEB) else str
    values: dict[str, str] = {}
    for folder in path.split("/")[:-1]:
        key, sign, value = decode_url(folder).partition("=")
        if sign and key:
            values[unquote(key)] = "" if value == _NULL else unquote(value)
    return values


def partition_chunks(
    read: Callable[[ColumnSelection], Iterator[Chunk]],
    values: Mapping[str, str],
    choice: ColumnSelection,
) -> Iterator[Chunk]:
    """Read a file with the columns of its folders.

    Args:
        read: Reads the columns of the file.
        values: The columns of its folders, each with its value.
        choice: The columns to read, of both.

    Raises:
        SourceError: As `read`.
    """
    own = choice.copy(values)
    with closing_iter(read(own)) as chunks:
        for chunk in chunks:
            choice.adopt_partition(own)
            yield _with_constants(chunk, own) if own.constants else chunk
    choice.adopt_partition(own)


def _with_constants(chunk: Chunk, choice: ColumnSelection) -> Chunk:
    values = [choice.with_constants(value) for value in chunk.values]
    if isinstance(chunk, RowChunk):
        return RowChunk(chunk.first, values, chunk.row_numbers, chunk.blank)
    return RowChunk(chunk.first, values)
