"""Bytes of a file, a pipe or standard input, decompressed, some hundred thousand at a time."""

from __future__ import annotations

import gzip
import io
import os
import sys
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol, TypeAlias, cast, runtime_checkable

from attrs import frozen

from pinterest_audiences.errors import ConfigurationError, SourceError

__all__ = ["ByteFile", "Readable", "check_path", "failure"]

_BLOCK = 262_144
_GZIP = b"\x1f\x8b"


@runtime_checkable
class Readable(Protocol):
    """A file opened for reading bytes."""

    def read(self, size: int, /) -> bytes:
        """Read at most so many bytes; none at the end."""
        ...


Opened: TypeAlias = Path | Readable | None
"""Where bytes come from; ``None`` is standard input."""


@frozen
class ByteFile:
    """A file to be read once, from its start.

    Attributes:
        name: What to call it in an error.
        where: The path, the opened file, or ``None`` for standard input.
    """

    name: str
    where: Opened

    @contextmanager
    def open(self) -> Generator[BinaryIO, None, None]:
        """Open it, decompressed where its first bytes are those of gzip.

        Raises:
            SourceError: It cannot be opened.
        """
        try:
            raw = self._raw()
        except OSError as error:
            raise SourceError(failure(error), source=self.name) from None
        try:
            buffered = io.BufferedReader(_Raw(raw), _BLOCK)
            packed = buffered.peek(2)[:2] == _GZIP
            yield cast("BinaryIO", gzip.GzipFile(fileobj=buffered) if packed else buffered)
        finally:
            if isinstance(self.where, Path):
                cast("BinaryIO", raw).close()

    def _raw(self) -> Readable:
        if self.where is None:
            return sys.stdin.buffer
        return self.where.open("rb") if isinstance(self.where, Path) else self.where


class _Raw(io.RawIOBase):
    """What `io.BufferedReader` needs around anything that has ``read``."""

    def __init__(self, file: Readable) -> None:
        # What has come of a pipe, not all that is asked for: Ctrl-C between two reads within one
        # call would be noticed no earlier than the writer writes more.
        self._read = file.read1 if isinstance(file, io.BufferedReader) else file.read
        self._begun = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed: any buffer
        data = self._some(len(buffer))
        if len(data) == 1 and not self._begun:  # gzip is recognised by two
            data += self._some(1)
        self._begun = True
        buffer[: len(data)] = data
        return len(data)

    def _some(self, size: int) -> bytes:
        data = self._read(size)
        if not _is_bytes(data):
            raise OSError("the file was opened for text; open it with 'rb'")
        return data


def byte_blocks(file: ByteFile) -> Iterator[bytes]:
    """Read a file block by block.

    Raises:
        SourceError: It cannot be read to its end.
    """
    offset = 0
    try:
        with file.open() as opened:
            while block := opened.read(_BLOCK):
                yield block
                offset += len(block)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(failure(error), source=file.name, offset=offset) from None


def check_path(path: str | os.PathLike[str]) -> Path:
    """Return a path that can be read.

    Raises:
        ConfigurationError: The path is empty, as that of a variable that is not set.
        SourceError: There is nothing, or a directory.
    """
    if not os.fspath(path):
        raise ConfigurationError("source: the path is empty")
    found = Path(path)
    if found.is_dir():
        raise SourceError("is a directory; a file is needed", source=str(found))
    if not found.exists():
        raise SourceError("there is no such file", source=str(found))
    return found


def failure(error: OSError | EOFError | zlib.error) -> str:
    """Tell why reading failed, in words that hold nothing of what was read."""
    if isinstance(error, EOFError):
        return "the gzip file is cut short"
    if isinstance(error, gzip.BadGzipFile | zlib.error):
        return "the gzip file is damaged"
    return error.strerror or str(error)


def _is_bytes(data: object) -> bool:
    return isinstance(data, bytes)
