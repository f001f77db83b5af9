"""Where tokens are kept between runs: what a store has to promise, and the one in memory.

The methods block. They are called in a thread of the refresh, never in an event loop.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from pinterest_audiences.auth.secret import Secret

if TYPE_CHECKING:
    from pinterest_audiences.auth.credentials import TokenSet

__all__ = ["LockedTokens", "MemoryTokenStore", "TokenStore"]

_logger = logging.getLogger("pinterest_audiences")


class LockedTokens(Protocol):
    """A store while nobody else, in this process or another, can change it."""

    def load(self) -> TokenSet | None:
        """Return what is kept, or None.

        Raises:
            TokenStoreError: It cannot be read.
        """
        ...

    def reserve(self) -> None:
        """Make sure that the next :meth:`save` will work, as far as that can be known before it.

        It is called before a refresh token is sent, which may be valid once.

        Raises:
            TokenStoreError: It would not work.
        """
        ...

    def save(self, tokens: TokenSet) -> None:
        """Keep these tokens; on return they outlive a power cut.

        Raises:
            TokenStoreError: They could not be kept.
        """
        ...

    def delete(self) -> None:
        """Forget what is kept, if anything is.

        Raises:
            TokenStoreError: It could not be forgotten.
        """
        ...


@runtime_checkable
class TokenStore(Protocol):
    """Where the tokens of one login are kept; its ``repr`` shows none."""

    def load(self) -> TokenSet | None:
        """Return what is kept, or None; without waiting for who changes it.

        Raises:
            TokenStoreError: It cannot be read.
        """
        ...

    def lock(self) -> AbstractContextManager[LockedTokens]:
        """Wait until nobody else holds the store, and hold it.

        Raises:
            TokenStoreError: It cannot be held, or somebody holds it for too long.
        """
        ...


class MemoryTokenStore(Secret):
    """Tokens that live as long as the process.

    Pinterest may replace the refresh token at each refresh. The new one dies with the process,
    and the old one may be worth nothing by then: a warning is logged when that happens.

    Args:
        tokens: What is kept at first.
    """

    def __init__(self, tokens: TokenSet | None = None) -> None:
        self._tokens = tokens
        self._lock = threading.Lock()

    def load(self) -> TokenSet | None:
        """Return what is kept."""
        return self._tokens

    @contextmanager
    def lock(self) -> Generator[LockedTokens, None, None]:
        """Hold the store against other threads."""
        with self._lock:
            yield self

    def reserve(self) -> None:
        """Do nothing: memory is there."""

    def save(self, tokens: TokenSet) -> None:
        """Keep these tokens for the life of the process."""
        before, self._tokens = self._tokens, tokens
        if before and before.refresh_token and before.refresh_token != tokens.refresh_token:
            _logger.warning(
                "Pinterest has replaced the refresh token, and the new one lives in this process"
                " only: keep it in a file (PINTEREST_TOKEN_STORE, or FileTokenStore)"
            )

    def delete(self) -> None:
        """Forget what is kept."""
        self._tokens = None
