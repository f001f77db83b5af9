"""A lock on a file, held against other processes and other threads of this one."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from pinterest_audiences.errors import TokenStoreError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["config_folder", "exclusive"]

_FIRST_NAP, _LONGEST_NAP = 0.005, 0.1


def config_folder() -> Path:
    """Return the user's folder for this package."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "pinterest-audiences"


@contextmanager
def exclusive(path: Path, patience: float) -> Generator[None, None, None]:
    """Hold a lock file. It stays when the lock goes: to remove it would let two hold one lock.

    Args:
        path: The lock file; it and its folder are made where they are missing.
        patience: How many seconds to wait for who holds it.

    Raises:
        TokenStoreError: It cannot be locked, or not in time.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Not inherited by programs that are started meanwhile, and never through a link.
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        handle = os.open(path, flags, 0o600)
    except OSError as error:
        raise TokenStoreError(
            f"{path}: cannot be written ({error.strerror}); make its folder writable for this"
            " user, for refreshed tokens are kept there"
        ) from None
    try:
        _acquire(handle, path, patience)
        try:
            yield
        finally:
            _release(handle)
    finally:
        os.close(handle)


def _acquire(handle: int, path: Path, patience: float) -> None:
    deadline, nap = time.monotonic() + patience, _FIRST_NAP
    # Trying again and again instead of waiting in the system: that could not be given up.
    while True:
        try:
            _try(handle)
        except (BlockingIOError, PermissionError):  # held by another; Windows says the latter
            if time.monotonic() >= deadline:
                raise TokenStoreError(
                    f"{path}: another process has held the lock for {patience:g} s; see what"
                    " hangs there"
                ) from None
            time.sleep(nap)  # in a thread of the refresh's own, or of the caller's
            nap = min(2 * nap, _LONGEST_NAP)
        except OSError as error:
            raise TokenStoreError(
                f"{path}: cannot be locked ({error.strerror}); keep the tokens on a local disk"
            ) from None
        else:
            return


# flock, not lockf: the latter's locks are the process's, not the handle's, so that threads would
# not see each other, and any close of the file would drop them.
def _try(handle: int) -> None:
    if sys.platform == "win32":
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _release(handle: int) -> None:
    # Said aloud, for a forked child may have the handle too, and closing would not do then.
    if sys.platform == "win32":
        os.lseek(handle, 0, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)
    else:
        fcntl.flock(handle, fcntl.LOCK_UN)
