"""Token stores: in memory, in a file, in the keyring.

The methods block; they are called in the thread of a refresh or a login.

Next to ``tokens.json`` are ``tokens.json.lock`` and, during an exchange, ``tokens.json.new``. The
latter is filled with blanks *before* the refresh token is sent, so that a full disk or a read-only
folder stops a refresh that would lose the response. The response is then written over the blanks,
flushed to the disk, and renamed. If the process is killed before the rename, the next holder of the
lock completes the save: a response that was written is not lost.
"""

from __future__ import annotations

import logging
import os
import stat
import sys
import threading
from collections.abc import Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

from pinterest_audiences._config import config_folder, expand_home
from pinterest_audiences._credentials import ForeignTokensError, TokenSet, Unpicklable, parse_tokens
from pinterest_audiences._errors import ConfigurationError, TokenStoreError
from pinterest_audiences._file_lock import LockHeldError, LockUnsupportedError, file_lock

__all__ = [
    "FileTokenStore",
    "KeyringTokenStore",
    "MemoryTokenStore",
    "TokenStore",
    "TokenTransaction",
]

_logger = logging.getLogger("pinterest_audiences")
_RESERVED_BYTES = 16 * 1024  # for a response, many times its size
_MAX_FILE_BYTES = 1 << 20
_OPEN_FLAGS = (
    getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)  # refuse a symbolic link
    | getattr(os, "O_NONBLOCK", 0)  # do not wait for a pipe, which is refused later
    | getattr(os, "O_BINARY", 0)
)


class TokenTransaction(Protocol):
    """A locked store, which no other task, thread or process can change."""

    def load(self) -> TokenSet | None:
        """Return the stored tokens, or None.

        Raises:
            TokenStoreError: The store cannot be read.
        """
        ...

    def reserve(self) -> None:
        """Ensure that the next :meth:`save` will succeed, as far as possible.

        Called before a refresh token is sent, which may be valid only once.

        Raises:
            TokenStoreError: A save would fail.
        """
        ...

    def save(self, tokens: TokenSet) -> None:
        """Save tokens durably, so that they survive a power failure.

        Raises:
            TokenStoreError: They could not be saved.
        """
        ...

    def delete(self) -> None:
        """Delete the stored tokens, if any.

        Raises:
            TokenStoreError: They could not be deleted.
        """
        ...


@runtime_checkable
class TokenStore(Protocol):
    """The store for the tokens of one login; its ``repr`` hides them."""

    def load(self) -> TokenSet | None:
        """Return the stored tokens or None, without waiting for a lock.

        Raises:
            TokenStoreError: The store cannot be read.
        """
        ...

    def lock(self) -> AbstractContextManager[TokenTransaction]:
        """Lock the store, waiting for other holders.

        Raises:
            TokenStoreError: It cannot be locked, or not in time.
        """
        ...


class MemoryTokenStore(Unpicklable):
    """Tokens in memory.

    Pinterest may replace the refresh token at each refresh. The new one is lost at the end of the
    process, when the old one may be invalid: a warning is logged then.

    Args:
        tokens: The initial tokens.
    """

    def __init__(self, tokens: TokenSet | None = None) -> None:
        self._tokens = tokens
        self._lock = threading.Lock()

    def load(self) -> TokenSet | None:
        """Return the stored tokens."""
        return self._tokens

    @contextmanager
    def lock(self) -> Generator[TokenTransaction, None, None]:
        """Lock the store against other threads."""
        with self._lock:
            yield self

    def reserve(self) -> None:
        """Do nothing, because memory needs no reservation."""

    def save(self, tokens: TokenSet) -> None:
        """Store tokens until the end of the process."""
        before, self._tokens = self._tokens, tokens
        if before and before.refresh_token and before.refresh_token != tokens.refresh_token:
            _logger.warning(
                "Pinterest has replaced the refresh token, and the new one is only in the memory of"
                " this process; store tokens in a file (PINTEREST_TOKEN_STORE, or FileTokenStore)"
            )

    def delete(self) -> None:
        """Delete the stored tokens."""
        self._tokens = None


class FileTokenStore:
    """Tokens in a file with mode 0600, safe for concurrent processes and threads.

    A file that other users can read, or that belongs to another user, is refused.

    Args:
        path: The file; its folder is created if missing. By default ``tokens.json`` in the user's
            configuration folder (``~/.config/pinterest-audiences`` on Linux). Use a local disk,
            because locks of network file systems are not reliable.
        lock_timeout: Seconds to wait for a refresh by another process.

    Raises:
        ConfigurationError: An argument is invalid.

    Example:
        >>> store = FileTokenStore("tokens.json")
        >>> store.load() is None
        True
    """

    def __init__(
        self, path: str | os.PathLike[str] | None = None, *, lock_timeout: float = 180.0
    ) -> None:
        if path is not None and not os.fspath(path):
            raise ConfigurationError("path must not be empty", param="path")
        file = config_folder() / "tokens.json" if path is None else expand_home(path, "path")
        # A symbolic link stays; its target is replaced.
        self._path = file.parent.resolve() / file.name
        if self._path.is_symlink():
            self._path = self._path.resolve()
        self._lock_timeout = lock_timeout

    def __repr__(self) -> str:
        return f"FileTokenStore({str(self._path)!r})"

    @property
    def path(self) -> Path:
        """The path of the file."""
        return self._path

    def load(self) -> TokenSet | None:
        """Return the tokens in the file; None without a file.

        Raises:
            TokenStoreError: It cannot be read, other users can read it, or it belongs to one.
        """
        result = _tokens(self._path)
        if isinstance(result, ValueError):
            # The file of another program must not be deleted.
            foreign = isinstance(result, ForeignTokensError)
            advice = "use another file and" if foreign else "delete it and"
            raise TokenStoreError(
                f"{self._path}: has no readable tokens ({result}); {advice} log in again"
            )
        return result

    @contextmanager
    def lock(self) -> Generator[TokenTransaction, None, None]:
        """Lock the file against other processes and threads; see :class:`TokenTransaction`.

        Raises:
            TokenStoreError: The folder is not writable, or the lock is held for too long.
        """
        with _hold_lock(self._sibling(".lock"), self._lock_timeout):
            locked = _LockedFile(self, self._path, self._sibling(".new"))
            locked.recover()
            try:
                yield locked
            finally:
                locked.release()

    def _sibling(self, ending: str) -> Path:
        return self._path.with_name(self._path.name + ending)


class KeyringTokenStore:
    """Tokens in the keyring of the desktop: macOS Keychain, Secret Service, Windows.

    Keyrings have no locks, so a file is locked during an exchange. Durability after a power failure
    depends on the keyring.

    Args:
        account: The name of the login, to distinguish several.
        service: The name shown by the keyring.
        lock_path: The lock file; by default in the configuration folder of the user.
        lock_timeout: Seconds to wait for a refresh by another process.

    Raises:
        ConfigurationError: The extra ``[keyring]`` is not installed.
    """

    def __init__(
        self,
        account: str = "default",
        *,
        service: str = "pinterest-audiences",
        lock_path: str | Path | None = None,
        lock_timeout: float = 180.0,
    ) -> None:
        self._keyring = _keyring()
        self._account, self._service = account, service
        name = sha256(f"{service}\0{account}".encode()).hexdigest()[:16]
        self._lock_path = Path(lock_path or config_folder() / f"keyring-{name}.lock")
        self._lock_timeout = lock_timeout

    def __repr__(self) -> str:
        return f"KeyringTokenStore({self._account!r}, service={self._service!r})"

    def load(self) -> TokenSet | None:
        """Return the tokens in the keyring, or None.

        Raises:
            TokenStoreError: The keyring is locked, or the entry has no readable tokens.
        """
        with self._translate_errors():
            text = self._keyring.get_password(self._service, self._account)
        try:
            return None if text is None else TokenSet.from_json(text)
        except ValueError as error:
            raise TokenStoreError(
                f"{self!r}: has no readable tokens ({error}); delete the entry and log in again"
            ) from None

    @contextmanager
    def lock(self) -> Generator[TokenTransaction, None, None]:
        """Lock the store against other processes and threads; see :class:`TokenTransaction`.

        Raises:
            TokenStoreError: The file cannot be locked, or not in time.
        """
        with _hold_lock(self._lock_path, self._lock_timeout):
            yield self

    def reserve(self) -> None:
        """Ensure that the keyring is writable, by saving its current tokens again.

        Raises:
            TokenStoreError: The keyring is locked or not available.
        """
        tokens = self.load()
        if tokens is not None:
            self.save(tokens)

    def save(self, tokens: TokenSet) -> None:
        """Save tokens in the keyring.

        Raises:
            TokenStoreError: They could not be saved.
        """
        with self._translate_errors():
            self._keyring.set_password(self._service, self._account, tokens.to_json())

    def delete(self) -> None:
        """Delete the tokens in the keyring, if any.

        Raises:
            TokenStoreError: They could not be deleted.
        """
        if self.load() is not None:
            with self._translate_errors():
                self._keyring.delete_password(self._service, self._account)

    @contextmanager
    def _translate_errors(self) -> Generator[None, None, None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - keyring backends raise their own classes, whose text may contain secrets
            raise TokenStoreError(
                f"{self!r}: the keyring failed ({type(error).__name__}); unlock it, or store the"
                " tokens in a file"
            ) from None


@contextmanager
def _hold_lock(path: Path, timeout: float) -> Generator[None, None, None]:
    with ExitStack() as stack:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            stack.enter_context(file_lock(path, timeout))
        except LockHeldError as error:
            raise TokenStoreError(
                f"{path}: another process (pid {error.pid or 'unknown'}) has held the lock for"
                f" {timeout:g} s; stop it if it hangs"
            ) from None
        except LockUnsupportedError as error:
            raise TokenStoreError(
                f"{path}: cannot be locked ({error.strerror}); keep the tokens on a local disk"
            ) from None
        except OSError as error:
            raise TokenStoreError(
                f"{path}: cannot be written ({error.strerror}); make its folder writable for this"
                " user, because refreshed tokens are stored there"
            ) from None
        yield


class _LockedFile:
    """The locked file."""

    def __init__(self, store: FileTokenStore, path: Path, new: Path) -> None:
        self._store, self._path, self._new = store, path, new
        self._reserved = False

    def load(self) -> TokenSet | None:
        return self._store.load()

    def recover(self) -> None:
        """Complete an interrupted save if its data was written completely."""
        result = _tokens(self._new)
        if result is None:
            return
        if isinstance(result, ValueError):  # the reservation, or incomplete data
            self._reserved = True
            self.release()
        else:
            with _translate_errors(self._path):
                _sync(self._new)
                self._replace()

    def reserve(self) -> None:
        with _translate_errors(self._path):
            _write(self._new, memoryview(b" " * _RESERVED_BYTES))
            self._reserved = True

    def save(self, tokens: TokenSet) -> None:
        self._reserved = False  # from here on the file must not be removed
        with _translate_errors(self._path):
            _write(self._new, memoryview(tokens.to_json().encode()))
            self._replace()

    def delete(self) -> None:
        with _translate_errors(self._path):
            self._path.unlink(missing_ok=True)
            _sync(self._path.parent)

    def release(self) -> None:
        """Remove a reservation that was not used."""
        if self._reserved:
            with suppress(OSError):  # the next save overwrites it
                self._new.unlink(missing_ok=True)
            self._reserved = False

    def _replace(self) -> None:
        self._new.replace(self._path)
        _sync(self._path.parent)


@contextmanager
def _translate_errors(path: Path) -> Generator[None, None, None]:
    try:
        yield
    except OSError as error:
        raise TokenStoreError(
            f"{path}: cannot be written ({error.strerror}); tokens are not refreshed until its"
            " folder can be written to and has space"
        ) from None


def _read(path: Path) -> str | None:
    """Return the text of a private file; None without a file."""
    try:
        handle = os.open(path, os.O_RDONLY | _OPEN_FLAGS)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TokenStoreError(
            f"{path}: cannot be read ({error.strerror}); it must be a file of this user"
        ) from None
    try:
        _check_private(path, os.fstat(handle))
    except TokenStoreError:
        os.close(handle)
        raise
    with os.fdopen(handle, "rb") as file:
        return file.read(_MAX_FILE_BYTES).decode("utf-8", "replace")


def _tokens(path: Path) -> TokenSet | ValueError | None:
    text = _read(path)
    return None if text is None else parse_tokens(text)


def _check_private(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise TokenStoreError(f"{path}: is not a file; use the path of a file")
    if sys.platform == "win32":  # permissions are not in the mode there
        return
    if status.st_uid != os.geteuid():
        raise TokenStoreError(
            f"{path}: belongs to another user (uid {status.st_uid}, not {os.geteuid()});"
            " log in as the user who runs this program, or chown the file"
        )
    if status.st_mode & 0o077:
        raise TokenStoreError(
            f"{path}: other users can read or write it (mode"
            f" {stat.S_IMODE(status.st_mode):04o}); chmod 600 {path}, and log in again if another"
            " user may have read it"
        )


def _write(path: Path, text: memoryview) -> None:
    """Write a private file durably.

    The text is a memoryview, whose ``repr`` in an error report hides the tokens. The file is not
    truncated first, so that reserved space cannot be lost.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | _OPEN_FLAGS, 0o600)
    try:
        if sys.platform != "win32":
            os.fchmod(handle, 0o600)  # an existing file may have another mode
        left = text
        while left:
            left = left[os.write(handle, left) :]
        os.ftruncate(handle, len(text))
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync(path: Path) -> None:
    if sys.platform == "win32":  # Windows cannot open folders
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class _Keyring(Protocol):
    """The functions of the module ``keyring`` that are used."""

    def get_password(self, service_name: str, username: str) -> str | None: ...
    def set_password(self, service_name: str, username: str, password: str) -> None: ...
    def delete_password(self, service_name: str, username: str) -> None: ...


def _keyring() -> _Keyring:
    try:
        return cast("_Keyring", import_module("keyring"))
    except ImportError:
        raise ConfigurationError(
            "KeyringTokenStore requires keyring; pip install 'pinterest-audiences[keyring]'"
        ) from None
