"""The rejects as a file: row number and reason, and the value only where that was asked for."""

from __future__ import annotations

import csv
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from pinterest_audiences.errors import SourceError
from pinterest_audiences.records.reasons import Fault, RejectReason

__all__ = ["RejectFile"]

_OWNER_ONLY = 0o600


class RejectFile:
    """A CSV file of rejects, open while a source is read.

    Args:
        path: Where to write it; what is there is replaced. ``None`` writes nothing.
        values: Whether to write the rejected values too. The file is then readable by its owner
            only.
    """

    def __init__(self, path: str | os.PathLike[str] | None, *, values: bool) -> None:
        self._path = None if path is None else Path(path)
        self._values = values
        self._file: TextIO | None = None
        self._rows: list[tuple[object, ...]] = []

    @contextmanager
    def open(self) -> Generator[None, None, None]:
        """Keep the file open.

        Raises:
            SourceError: It cannot be written.
        """
        if self._path is None:
            yield
            return
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _OWNER_ONLY)
            if self._values:
                self._path.chmod(_OWNER_ONLY)  # it may have been there, open to others
            self._file = os.fdopen(descriptor, "w", encoding="utf-8", newline="")
        except OSError as error:
            raise SourceError(
                f"the rejects cannot be written: {error.strerror}", source=str(self._path)
            ) from None
        with self._file:
            self._rows.append(("row", "reason", "value") if self._values else ("row", "reason"))
            try:
                yield
            finally:
                self.flush()

    def add(self, row: int, reason: RejectReason, value: object) -> None:
        """Take a reject; it is written with the next flush."""
        self._rows.append((row, reason, _shown(value)) if self._values else (row, reason))

    def flush(self) -> None:
        """Write what was taken.

        Raises:
            SourceError: It cannot be written.
        """
        if self._file is None or not self._rows:
            return
        try:
            csv.writer(self._file).writerows(self._rows)
            self._file.flush()
        except OSError as error:
            raise SourceError(
                f"the rejects cannot be written: {error.strerror}", source=str(self._path)
            ) from None
        self._rows.clear()


def _shown(value: object) -> str:
    if value is None or isinstance(value, Fault):
        return ""
    text = value if isinstance(value, str) else repr(value)
    return text.encode("utf-8", "backslashreplace").decode()  # a lone surrogate cannot be written
