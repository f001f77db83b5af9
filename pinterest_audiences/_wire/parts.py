"""A file cut into the parts of an upload, without reading it into memory.

Pinterest takes 1 to 10 parts; each but the last must hold 5 MB, which is a rule of the storage
behind it and means 5 MiB there. Whether the parts are joined before their lines are read is not
documented, so they are cut between lines, which is right either way.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, TypeAlias

from attrs import frozen

from pinterest_audiences._wire import settings
from pinterest_audiences._wire.json_bodies import MOST_PARTS
from pinterest_audiences.errors import ConfigurationError, SourceError

__all__ = ["SMALLEST_PART", "CutFile", "Part", "UploadFile", "cut"]

UploadFile: TypeAlias = "str | os.PathLike[str] | bytes"
"""What can be uploaded: the path of a file, or its bytes."""

SMALLEST_PART = 5 * 1024 * 1024
_USUAL_PART = 16 * 1024 * 1024  # what has to be sent again when a connection breaks
_LONGEST_LINE = 65_536  # a longer one is cut through


@frozen
class Part:
    """One part of a file.

    Attributes:
        number: Counted from 1.
        start: Where it begins, in bytes.
        size: How long it is.
    """

    number: int
    start: int
    size: int


@frozen
class CutFile:
    """A file and its parts.

    Attributes:
        name: What to call it in an error.
        parts: Its parts, in order.
    """

    name: str
    parts: tuple[Part, ...]
    _reopen: Callable[[], BinaryIO]
    _state: tuple[int, int]

    def open_at(self, part: Part) -> BinaryIO:
        """Open the file where a part begins.

        Raises:
            SourceError: It cannot be opened, or is not what was cut.
        """
        opened = _opened(self.name, self._reopen)
        try:
            if _state(opened) != self._state:
                raise SourceError("was changed while it was uploaded", source=self.name)
            opened.seek(part.start)
        except BaseException:
            opened.close()
            raise
        return opened


def cut(file: UploadFile, total_parts: int | None) -> CutFile:
    """Cut a file into parts; it reads no more than the ends of lines.

    Args:
        file: A path, or bytes.
        total_parts: How many parts; ``None`` leaves it to the size of the file.

    Raises:
        ConfigurationError: What is given is no file, or there are too many parts for it.
        SourceError: The file cannot be read, or is empty.
    """
    name, reopen = _source(file)
    with _opened(name, reopen) as opened:
        state = _state(opened)
        size = opened.seek(0, os.SEEK_END)
        if size == 0:
            raise SourceError("is empty; there is nothing to upload", source=name)
        count = _count(size, total_parts)
        share = -(-size // count)
        starts = [0]
        for _ in range(count - 1):  # from where the last one ended, so that none is too small
            starts.append(_next_line(opened, starts[-1] + share))
    parts = (
        Part(number, start, end - start)
        for number, (start, end) in enumerate(pairwise([*starts, size]), 1)
    )
    return CutFile(name, tuple(parts), reopen, state)


def _source(file: UploadFile) -> tuple[str, Callable[[], BinaryIO]]:
    if isinstance(file, bytes):
        return "bytes", lambda: io.BytesIO(file)
    try:
        path = Path(file)
    except TypeError:
        raise ConfigurationError("file: a path or bytes are needed") from None
    return str(path), lambda: path.open("rb")


def _opened(name: str, reopen: Callable[[], BinaryIO]) -> BinaryIO:
    try:
        return reopen()
    except (OSError, ValueError) as error:  # ValueError: a path with a null in it
        reason = getattr(error, "strerror", None) or "cannot be opened"
        raise SourceError(reason, source=name) from None


def _state(opened: BinaryIO) -> tuple[int, int]:
    """Return what changes when somebody writes to the file."""
    try:
        found = os.fstat(opened.fileno())
    except io.UnsupportedOperation:  # bytes stay as they are
        return 0, 0
    return found.st_size, found.st_mtime_ns


def _count(size: int, wanted: int | None) -> int:
    most = max(1, min(MOST_PARTS, size // SMALLEST_PART))
    if wanted is None:
        return min(most, -(-size // _USUAL_PART))
    count = settings.whole_number("total_parts", wanted, 1, MOST_PARTS)
    if count > most:
        raise ConfigurationError(
            f"total_parts: {most} at most for {size} bytes, as each part needs {SMALLEST_PART}"
        )
    return count


def _next_line(opened: BinaryIO, offset: int) -> int:
    """Return where the line begins that is the first at or after an offset."""
    opened.seek(offset - 1)
    rest = opened.readline(_LONGEST_LINE)
    return offset - 1 + len(rest) if rest.endswith(b"\n") else offset
