"""One worker a list: a lock that dies with its process.

The operating system holds it, on a small file beside the state, so that no lock outlives a killed
process. The file tells who holds it; what it tells after a crash is who died.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from pinterest_audiences.jobs.errors import ListBusyError, StateError, disk_error

__all__ = ["list_lock"]

# What the operating systems say of a lock that somebody else holds; Windows says EACCES.
_HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)

if sys.platform == "win32":
    import msvcrt

    def _take(descriptor: int) -> None:
        os.lseek(descriptor, 1 << 20, os.SEEK_SET)  # behind what the file tells
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _give_back(descriptor: int) -> None:
        os.lseek(descriptor, 1 << 20, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _take(descriptor: int) -> None:
        # flock and not lockf: it belongs to this opening of the file, so that two tasks of one
        # process exclude each other too.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _give_back(descriptor: int) -> None:
        # A child that was forked meanwhile has the file open too, so that closing it is not enough.
        fcntl.flock(descriptor, fcntl.LOCK_UN)


@contextmanager
def list_lock(state: Path, list_key: int, told: str) -> Generator[int | None, None, None]:
    """Hold the lock of a list.

    Args:
        state: The state file.
        list_key: The list's key in it.
        told: How the list is called in errors.

    Yields:
        The process that died while it held the lock, if one did.

    Raises:
        ListBusyError: Somebody else holds it.
        StateError: The lock file cannot be made, or not be locked.
    """
    state = state.resolve()  # one file has one lock, by whatever name it goes
    path = state.with_name(f"{state.name}-{list_key}.lock")
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise disk_error(error, path) from error
    try:
        try:
            _take(descriptor)
        except OSError as error:
            if error.errno not in _HELD:
                raise _unlockable(error, path) from error
            holder = _holder(descriptor)
            who = "another task of this process" if holder == os.getpid() else "another process"
            raise ListBusyError(
                f"{told}: {who} (pid {holder or 'unknown'}) is working on it; wait until it has "
                "ended, or stop it",
                pid=holder,
            ) from None
        try:
            died = _holder(descriptor)
            _write(descriptor, str(os.getpid()))
        except OSError as error:
            raise disk_error(error, path) from error
        try:
            yield died
        finally:
            _write(descriptor, "")
            _give_back(descriptor)
    finally:
        os.close(descriptor)


def _unlockable(error: OSError, path: Path) -> StateError:
    what = error.strerror or type(error).__name__
    return StateError(
        f"cannot be locked ({what}); put the state file on a local disk, not on a network file "
        "system",
        path=str(path),
    )


def _holder(descriptor: int) -> int | None:
    os.lseek(descriptor, 0, os.SEEK_SET)
    text = os.read(descriptor, 32).decode("ascii", "replace").strip()
    return int(text) if text.isdigit() else None


def _write(descriptor: int, text: str) -> None:
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, text.encode())
