"""Tokens in the keyring of the desktop; needs the extra ``[keyring]``.

keyring is imported when it is used.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from pinterest_audiences.auth.credentials import TokenSet
from pinterest_audiences.auth.locks import config_folder, exclusive
from pinterest_audiences.auth.stores import LockedTokens
from pinterest_audiences.errors import ConfigurationError, TokenStoreError

__all__ = ["KeyringTokenStore"]


class _Keyring(Protocol):
    """What is used of the module ``keyring``."""

    def get_password(self, service_name: str, username: str) -> str | None: ...
    def set_password(self, service_name: str, username: str, password: str) -> None: ...
    def delete_password(self, service_name: str, username: str) -> None: ...


def _keyring() -> _Keyring:
    try:
        return cast("_Keyring", import_module("keyring"))
    except ImportError:
        raise ConfigurationError(
            "KeyringTokenStore: keyring is needed; pip install 'pinterest-audiences[keyring]'"
        ) from None


class KeyringTokenStore:
    """Tokens in the keyring of the desktop: macOS Keychain, Secret Service, Windows.

    Keyrings have no locks, so a file is locked while tokens are exchanged; and whether what a
    keyring has taken outlives a power cut is the keyring's own affair.

    Args:
        account: Tells several logins apart.
        service: The name that the keyring shows.
        lock_path: The file to lock; without it, one in ``~/.config/pinterest-audiences``.
        patience: How many seconds to wait for another process that refreshes.

    Raises:
        ConfigurationError: The extra ``[keyring]`` is not installed.
    """

    def __init__(
        self,
        account: str = "default",
        *,
        service: str = "pinterest-audiences",
        lock_path: str | Path | None = None,
        patience: float = 180.0,
    ) -> None:
        self._keyring = _keyring()
        self._account, self._service = account, service
        name = sha256(f"{service}\0{account}".encode()).hexdigest()[:16]
        self._lock_path = Path(lock_path or config_folder() / f"keyring-{name}.lock")
        self._patience = patience

    def __repr__(self) -> str:
        return f"KeyringTokenStore({self._account!r}, service={self._service!r})"

    def load(self) -> TokenSet | None:
        """Return what the keyring holds, or None.

        Raises:
            TokenStoreError: It is locked, or holds something else.
        """
        with self._told():
            text = self._keyring.get_password(self._service, self._account)
        try:
            return None if text is None else TokenSet.from_json(text)
        except ValueError as error:
            raise TokenStoreError(
                f"{self!r}: holds no tokens that can be read ({error}); delete them and log in"
                " again"
            ) from None

    @contextmanager
    def lock(self) -> Generator[LockedTokens, None, None]:
        """Hold the store against every other process and thread; see :class:`LockedTokens`.

        Raises:
            TokenStoreError: The file cannot be locked, or somebody holds it for too long.
        """
        with exclusive(self._lock_path, self._patience):
            yield self

    def reserve(self) -> None:
        """Make sure that the keyring is open and takes what it is given: write back what is there.

        Raises:
            TokenStoreError: It is locked, or there is none.
        """
        tokens = self.load()
        if tokens is not None:
            self.save(tokens)

    def save(self, tokens: TokenSet) -> None:
        """Put these tokens into the keyring.

        Raises:
            TokenStoreError: It takes them not.
        """
        with self._told():
            self._keyring.set_password(self._service, self._account, tokens.to_json())

    def delete(self) -> None:
        """Forget what the keyring holds, if anything.

        Raises:
            TokenStoreError: It cannot be forgotten.
        """
        if self.load() is not None:
            with self._told():
                self._keyring.delete_password(self._service, self._account)

    @contextmanager
    def _told(self) -> Generator[None, None, None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - each backend raises its own; their words may hold anything
            raise TokenStoreError(
                f"{self!r}: the keyring failed ({type(error).__name__}); unlock it, or keep the"
                " tokens in a file"
            ) from None
