"""The keys of a whole source, spread over buckets, so that millions are compared in little room.

Keys are kept in memory up to some hundred thousand and then go to a temporary file without a name,
which vanishes with the process. Each bucket is read back by itself, as a set.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from threading import Lock
from typing import IO

from pinterest_audiences.jobs.errors import StateError
from pinterest_audiences.jobs.keys import BUCKETS, Form

__all__ = ["Spool"]

_IN_MEMORY = 200_000  # keys; some 20 MB


class Spool:
    """Keys of one form, by bucket.

    Args:
        form: Their form.
        directory: Where the temporary file is made, if one is needed.
    """

    def __init__(self, form: Form, directory: str) -> None:
        self.form: Form = form
        self.count: int = 0
        self._directory = directory
        self._file: IO[bytes] | None = None
        self._parts: list[list[tuple[int, int]]] = [[] for _ in range(BUCKETS)]
        self._fresh: list[list[bytes]] = [[] for _ in range(BUCKETS)]
        self._puts = [bucket.append for bucket in self._fresh]
        self._waiting = 0
        self._seeking = Lock()

    def add(self, keys: Sequence[bytes]) -> None:
        """Take keys.

        Raises:
            StateError: The disk is full, or cannot be written.
        """
        puts = self._puts
        if self.form.name == "row":
            bucket = self.form.bucket
            for key in keys:
                puts[bucket(key)](key)
        else:
            for key in keys:  # ten million times: the bucket of a digest is its first byte
                puts[key[0]](key)
        self.count += len(keys)
        self._waiting += len(keys)
        if self._waiting >= _IN_MEMORY:
            self._flush()

    def keys(self, bucket: int) -> set[bytes]:
        """Return the keys of a bucket, each once.

        Raises:
            StateError: The temporary file cannot be read.
        """
        found = set(self._fresh[bucket])
        if self._parts[bucket] and self._file is not None:
            try:
                pieces = self._read(self._file, self._parts[bucket])
            except OSError as error:
                raise _failed(self._directory, error) from error
            found.update(self.form.split(b"".join(pieces)))
        return found

    def close(self) -> None:
        """Forget everything."""
        if self._file is not None:
            self._file.close()
            self._file = None
        for bucket in self._fresh:
            bucket.clear()

    def _read(self, file: IO[bytes], parts: Sequence[tuple[int, int]]) -> list[bytes]:
        if hasattr(os, "pread"):  # reads at a place of its own, so that threads need no lock
            descriptor = file.fileno()
            return [os.pread(descriptor, size, at) for at, size in parts]
        pieces: list[bytes] = []
        with self._seeking:  # Windows has no such call, and a file has only one place
            for at, size in parts:
                file.seek(at)
                pieces.append(file.read(size))
        return pieces

    def _flush(self) -> None:
        with self._seeking:
            self._write()

    def _write(self) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(  # noqa: SIM115 - closed with the spool
                    dir=self._directory, buffering=1 << 20
                )
            at = self._file.seek(0, os.SEEK_END)  # it may have been read
            for bucket, parts in zip(self._fresh, self._parts, strict=True):
                if bucket:
                    data = self.form.join(bucket)
                    self._file.write(data)
                    parts.append((at, len(data)))
                    at += len(data)
                    bucket.clear()
            self._file.flush()
        except OSError as error:
            raise _failed(self._directory, error) from error
        self._waiting = 0


def _failed(directory: str, error: OSError) -> StateError:
    what = error.strerror or type(error).__name__
    return StateError(f"{what}; room for a temporary file is needed there", path=directory)
