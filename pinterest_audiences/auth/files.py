"""Tokens in a file: private, locked, and whole whenever the power goes.

Beside ``tokens.json`` lie ``tokens.json.lock`` and, while tokens are exchanged,
``tokens.json.new``. The latter is written full of blanks *before* the refresh token is sent, so
that a full disk or a read-only folder stops a refresh that would lose the answer. The answer is
then written over the blanks, flushed to the disk, and renamed. Whoever next takes the lock finishes
a save that was killed between writing and renaming: once the answer is written, it is not lost.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from pinterest_audiences.auth.credentials import TokenSet
from pinterest_audiences.auth.locks import config_folder, exclusive
from pinterest_audiences.auth.stores import LockedTokens
from pinterest_audiences.errors import ConfigurationError, TokenStoreError

__all__ = ["FileTokenStore"]

_SPACE = 16 * 1024  # bytes set aside for an answer: many times what one takes
_LARGEST = 1 << 20
_OPEN = (
    getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)  # a link at its place was not put there by us
    | getattr(os, "O_NONBLOCK", 0)  # a pipe at its place is refused, not waited for
    | getattr(os, "O_BINARY", 0)
)


class FileTokenStore:
    """Tokens in a file that only its owner may read, safe among processes and threads.

    A file that others may read, or that belongs to another user, is refused: what is in it may be
    known, or may not be ours.

    Args:
        path: The file; its folder is made where it is missing. Without it, ``tokens.json`` in
            ``~/.config/pinterest-audiences`` (or below ``XDG_CONFIG_HOME``). Keep it on a local
            disk: locks of network file systems are not to be relied on.
        patience: How many seconds to wait for another process that refreshes.

    Raises:
        ConfigurationError: An argument cannot work.

    Example:
        >>> store = FileTokenStore("tokens.json")
        >>> store.load() is None
        True
    """

    def __init__(
        self, path: str | os.PathLike[str] | None = None, *, patience: float = 180.0
    ) -> None:
        if path is not None and not os.fspath(path):
            raise ConfigurationError("path: the name of a file is needed")
        given = config_folder() / "tokens.json" if path is None else Path(path).expanduser()
        # A link to the file stays one: the file behind it is what is replaced.
        self._path = given.parent.resolve() / given.name
        if self._path.is_symlink():
            self._path = self._path.resolve()
        self._patience = patience

    def __repr__(self) -> str:
        return f"FileTokenStore({str(self._path)!r})"

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    def load(self) -> TokenSet | None:
        """Return what is in the file, or None where there is none.

        Raises:
            TokenStoreError: Others may read it, it is another user's, or it cannot be read.
        """
        text = _read(self._path)
        if text is None:
            return None
        try:
            return TokenSet.from_json(text)
        except ValueError as error:
            raise TokenStoreError(
                f"{self._path}: holds no tokens that can be read ({error}); delete it and log in"
                " again"
            ) from None

    @contextmanager
    def lock(self) -> Generator[LockedTokens, None, None]:
        """Hold the file against every other process and thread; see :class:`LockedTokens`.

        Raises:
            TokenStoreError: The folder cannot be written to, or somebody holds it for too long.
        """
        with exclusive(self._beside(".lock"), self._patience):
            locked = _LockedFile(self, self._path, self._beside(".new"))
            locked.recover()
            try:
                yield locked
            finally:
                locked.release()

    def _beside(self, ending: str) -> Path:
        return self._path.with_name(self._path.name + ending)


class _LockedFile:
    """The file while its lock is held."""

    def __init__(self, store: FileTokenStore, path: Path, new: Path) -> None:
        self._store, self._path, self._new = store, path, new
        self._blank = False

    def load(self) -> TokenSet | None:
        return self._store.load()

    def recover(self) -> None:
        """Finish a save that did not come to its end, if all of it had been written."""
        text = _read(self._new)
        if text is None:
            return
        try:
            TokenSet.from_json(text)
        except ValueError:  # blanks, or a part: nothing that anybody could use
            self._blank = True
            self.release()
        else:
            with _told(self._path):
                _sync(self._new)
                self._put_in_place()

    def reserve(self) -> None:
        with _told(self._path):
            _write(self._new, b" " * _SPACE)
            self._blank = True

    def save(self, tokens: TokenSet) -> None:
        self._blank = False  # from here on it holds what nobody may remove
        with _told(self._path):
            _write(self._new, tokens.to_json().encode())
            self._put_in_place()

    def delete(self) -> None:
        with _told(self._path):
            self._path.unlink(missing_ok=True)
            _sync(self._path.parent)

    def release(self) -> None:
        """Give back the space that was set aside and not needed."""
        if self._blank:
            with suppress(OSError):  # the next who saves writes over it
                self._new.unlink(missing_ok=True)
            self._blank = False

    def _put_in_place(self) -> None:
        self._new.replace(self._path)
        _sync(self._path.parent)


@contextmanager
def _told(path: Path) -> Generator[None, None, None]:
    try:
        yield
    except OSError as error:
        raise TokenStoreError(
            f"{path}: cannot be written ({error.strerror}); tokens are not refreshed until its"
            " folder can be written to and has space"
        ) from None


def _read(path: Path) -> str | None:
    """Return a private file's text; what is no text comes as something that is no JSON."""
    try:
        handle = os.open(path, os.O_RDONLY | _OPEN)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TokenStoreError(
            f"{path}: cannot be read ({error.strerror}); it must be a file of this user's"
        ) from None
    try:
        _check_private(path, os.fstat(handle))
    except TokenStoreError:
        os.close(handle)
        raise
    with os.fdopen(handle, "rb") as file:
        return file.read(_LARGEST).decode("utf-8", "replace")


def _check_private(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise TokenStoreError(f"{path}: is no file; give the path of one")
    if sys.platform == "win32":  # who may read is no matter of the mode there
        return
    if found.st_uid != os.geteuid():
        raise TokenStoreError(
            f"{path}: belongs to another user (uid {found.st_uid}, and this is {os.geteuid()});"
            " log in as the user who runs this, or chown it"
        )
    if found.st_mode & 0o077:
        raise TokenStoreError(
            f"{path}: others may read or write it (mode {stat.S_IMODE(found.st_mode):04o});"
            f" chmod 600 {path}, and log in again if somebody may have read it"
        )


def _write(path: Path, text: bytes) -> None:
    """Write a private file from its beginning, and wait until the disk has it.

    It is not emptied first: where it was as long before, no space can be missing.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | _OPEN, 0o600)
    try:
        if sys.platform != "win32":
            os.fchmod(handle, 0o600)  # one left behind may have another mode
        left = memoryview(text)
        while left:
            left = left[os.write(handle, left) :]
        os.ftruncate(handle, len(text))
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync(path: Path) -> None:
    if sys.platform == "win32":  # folders cannot be opened there
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
