"""Avro: object container files, read a block at a time.

Requires the extra ``[avro]``; fastavro is imported when it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from importlib import import_module
from itertools import islice
from operator import itemgetter
from types import ModuleType
from typing import BinaryIO, Protocol, TypeAlias, cast

from pinterest_audiences._errors import ConfigurationError, SourceError
from pinterest_audiences._records.chunks import CHUNK_ROWS, Chunk, RowChunk, to_ascii_chunk
from pinterest_audiences._records.columns import ColumnSelection
from pinterest_audiences._records.rows import RowReader
from pinterest_audiences._records.text_files import InputFile

__all__ = ["AVRO_MAGIC", "avro_chunks", "import_fastavro"]


AVRO_MAGIC = b"Obj\x01"
"""The first bytes of an Avro file."""
_MARK_BYTES = 16  # each block, and the header, ends with the same random mark
_SAMPLE_ROWS = 500
_MAX_READ_BYTES = 1 << 30  # a damaged length may be any number
_CODECS = frozenset({"null", "deflate", "bzip2", "snappy", "zstandard", "lz4", "xz"})


def import_fastavro() -> ModuleType:
    """Import fastavro.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        return import_module("fastavro")
    except ImportError:
        raise ConfigurationError(
            "Avro files require fastavro: pip install 'pinterest-audiences[avro]'"
        ) from None


class _Reader(Protocol):
    """The used part of ``fastavro.reader``."""

    codec: str
    writer_schema: object

    def __iter__(self) -> Iterator[object]: ...


class _MarkedFile:
    """A file that keeps the last bytes that were read from it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.last = b""

    def read(self, size: int) -> bytes:
        """Read bytes; fewer only at the end."""
        data = self._file.read(max(0, min(size, _MAX_READ_BYTES)))
        self.last = (self.last + data[-_MARK_BYTES:])[-_MARK_BYTES:]
        return data


def avro_chunks(file: InputFile, choice: ColumnSelection) -> Iterator[Chunk]:
    """Read the selected fields of the records of an Avro file.

    A file that ends exactly between two blocks cannot be distinguished from a complete one.

    Raises:
        ConfigurationError: Its compression requires a library that is not installed.
        SourceError: The file is damaged or truncated, or a selected field is missing.
    """
    fastavro = import_fastavro()
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(file.open())
        except OSError as error:  # of the first bytes
            raise _unreadable(error, file.name, 0) from None
        marked = _MarkedFile(opened)
        try:
            # Text that is not UTF-8 is then a reject, and not the end of the file.
            reader = cast("_Reader", fastavro.reader(marked, handle_unicode_errors="replace"))
        except Exception as error:  # noqa: BLE001 - fastavro raises various errors for a damaged file
            raise _unreadable(error, file.name, 0) from None
        names = _field_names(reader.writer_schema)
        mark = marked.last
        items = iter(reader)
        some = _next_items(items, reader.codec, file.name, 0)
        read = _value_reader(choice, file.name)
        if names is not None:
            read = _record_reader(names, some, choice, file.name)
        first = 1
        while some:
            yield read(first, some)
            first += len(some)
            some = _next_items(items, reader.codec, file.name, first - 1)
        if marked.last != mark:
            raise SourceError("the Avro file is truncated", source=file.name, row=first - 1)


def _field_names(schema: object) -> tuple[str, ...] | None:
    """Return the fields of the records of a schema; ``None`` if it has other values."""
    fields: object = None
    if isinstance(schema, Mapping):
        fields = cast("Mapping[str, object]", schema).get("fields")
    if not isinstance(fields, list):
        return None
    return tuple(str(one["name"]) for one in cast("list[Mapping[str, object]]", fields))


_ReadItems: TypeAlias = Callable[[int, list[object]], Chunk]


def _value_reader(choice: ColumnSelection, source: str) -> _ReadItems:
    """Return how values of a schema without fields are read."""
    return RowReader(choice, source).read


def _record_reader(
    names: Sequence[str], first_items: list[object], choice: ColumnSelection, source: str
) -> _ReadItems:
    """Return how records are read; the columns are resolved by names and first values.

    Raises:
        SourceError: A selected field is missing, or not exactly one is plausible.
    """
    some = cast("list[Mapping[str, object]]", first_items[:_SAMPLE_ROWS])
    sample = [[row[name] for name in names] for row in some]
    is_complete = len(some) == len(first_items)
    indexes = choice.resolve(names, source, sample, complete=is_complete)
    pick = itemgetter(*(names[index] for index in indexes))
    is_tuple = len(indexes) > 1

    def read(first: int, items: list[object]) -> Chunk:
        cells = list(map(pick, cast("list[Mapping[str, object]]", items)))
        if choice.single:
            return to_ascii_chunk(first, cells) or RowChunk(first, cells)
        return RowChunk(first, cells if is_tuple else [(cell,) for cell in cells])

    return read


def _next_items(items: Iterator[object], codec: str, source: str, row: int) -> list[object]:
    some: list[object] = []
    try:
        some.extend(islice(items, CHUNK_ROWS))
    except Exception as error:  # noqa: BLE001 - fastavro raises various errors for a damaged file
        message = str(error)
        if row == 0 and codec in _CODECS and "need to install" in message:
            raise ConfigurationError(
                f"the compression {codec} of an Avro file requires another library: "
                f"pip install 'fastavro[{codec}]'"
            ) from None
        raise _unreadable(error, source, row + len(some)) from None
    return some


def _unreadable(error: Exception, source: str, row: int) -> SourceError:
    """Return the error of a file, without the message of the library, which may quote data."""
    if isinstance(error, SourceError):
        return error
    if isinstance(error, OSError):
        return SourceError(error.strerror or str(error), source=source, row=row)
    return SourceError(
        f"cannot be read as Avro ({type(error).__name__}): damaged or truncated",
        source=source,
        row=row,
    )
