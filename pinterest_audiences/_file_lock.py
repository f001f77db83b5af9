"""A lock on a file, held against other processes, threads and tasks of this process.

The operating system holds the lock, so it ends with its process. The file stays when the lock is
released: removing it would let two processes hold one lock. It contains the process id of its
holder, from the second byte on, because Windows does not let other processes read the first.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["LockHeldError", "LockUnsupportedError", "file_lock", "is_locked"]

_OWNER_ONLY = 0o600
_POLL_SECONDS = 0.02
_PID_OFFSET = 1
_MAX_PID_BYTES = 32
_READ_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class LockHeldError(Exception):
    """The lock was not released in time.

    Attributes:
        pid: The process that holds it; None if unknown.
    """

    def __init__(self, pid: int | None) -> None:
        super().__init__(pid)
        self.pid = pid


class LockUnsupportedError(OSError):
    """The lock file can be opened but not locked, as on some network file systems."""


@contextmanager
def file_lock(path: Path, timeout: float) -> Generator[int | None, None, None]:
    """Hold the lock of a file, created with mode 0600 if missing.

    Args:
        path: The lock file. Its last part must not be a symbolic link.
        timeout: How many seconds to wait for another holder; 0 for one attempt.

    Yields:
        The id of the process that ended while it held the lock; None if the last one released it.

    Raises:
        LockHeldError: Another holder has not released it in time.
        LockUnsupportedError: The file system cannot lock.
        OSError: The file cannot be opened.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415 - loads 48 modules

    owner = os.getpid()
    descriptor, previous = -1, None

    def record_holder(opened: int) -> None:
        nonlocal descriptor, previous
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            raise OSError(0, "is not a regular file", str(path))
        descriptor, previous = opened, _read_pid(opened)
        _write_pid(opened, str(owner))

    lock = FileLock(
        path,
        mode=_OWNER_ONLY,
        thread_local=False,  # the thread that releases may be another one
        fallback_to_soft=False,  # a lock that is only a file would outlive a killed process
        preserve_lock_file=True,
        on_acquired=record_holder,
    )
    try:
        lock.acquire(timeout=timeout, poll_interval=_POLL_SECONDS)
    except Timeout:
        raise LockHeldError(_holder(path)) from None
    except OSError as error:
        if error.filename is None:  # from locking, not from opening
            raise LockUnsupportedError(error.errno, error.strerror, str(path)) from error
        raise
    try:
        yield previous
    finally:
        if os.getpid() == owner:  # in a forked child the descriptor is closed or another file
            _write_pid(descriptor, "")
        lock.release()


def is_locked(path: Path) -> bool:
    """Return whether a running process holds a lock, by the process id in its file.

    Unlike an attempt to lock, it is never in the way of a process that needs the lock.
    """
    pid = _holder(path)
    if pid is None or os.name == "nt":  # where a signal, even 0, ends a process
        return pid is not None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is that of another user
        return True
    return True


def _holder(path: Path) -> int | None:
    with suppress(OSError):
        descriptor = os.open(path, _READ_FLAGS)
        try:
            return _read_pid(descriptor)
        finally:
            os.close(descriptor)
    return None  # never locked, or removed by hand just now


def _read_pid(descriptor: int) -> int | None:
    os.lseek(descriptor, _PID_OFFSET, os.SEEK_SET)
    text = os.read(descriptor, _MAX_PID_BYTES).decode("ascii", "replace").strip()
    return int(text) if text.isdigit() else None


def _write_pid(descriptor: int, text: str) -> None:
    with suppress(OSError):  # on a full disk the lock still holds, without the id in errors
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, f" {text}".encode())
