"""The blocking client for scripts: the awaiting client, driven from a thread of its own.

Signatures are written out so that editors and type checkers see them; a test holds them against
:class:`AsyncClient`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pinterest_audiences._methods.accounts import Accounts
from pinterest_audiences._methods.audiences import Audiences
from pinterest_audiences._methods.blocking_jobs import Jobs
from pinterest_audiences._methods.customer_lists import CustomerLists
from pinterest_audiences._methods.oauth import OAuth
from pinterest_audiences._methods.uploads import Uploads
from pinterest_audiences._wire.portal import Portal
from pinterest_audiences.client import AsyncClient

if TYPE_CHECKING:
    import httpx

    from pinterest_audiences._wire.clock import Clock
    from pinterest_audiences.auth.tokens import TokenSource

__all__ = ["Client"]


class Client(CustomerLists, Uploads, Audiences, Accounts, OAuth, Jobs):
    """Pinterest's customer lists and audiences for scripts: :class:`AsyncClient`, blocking.

    It works inside a running event loop and in notebooks too (and blocks them meanwhile), and any
    number of threads may share one. Its own event loop runs in a daemon thread, from the first
    call to :meth:`close`. Iterables of records are read in the calling thread, where a generator
    may depend on it. Ctrl-C cancels the call it interrupts and leaves the client usable. After
    ``fork()`` the child process needs a client of its own.

    Args:
        access_token: As for :class:`AsyncClient`, like all arguments here. Without it, what
            :func:`token_from_environment` finds.
        base_url: Without it, ``PINTEREST_API_URI``, then Pinterest's own.
        timeout: Seconds for each attempt to connect (5 at most), write and read.
        max_retries: How often a call is sent again after the first time.
        max_wait: The longest wait in seconds that Pinterest may ask for.
        transport: An *asynchronous* httpx transport.
        clock: Where time, sleep and chance come from; for tests.

    Raises:
        ConfigurationError: An argument or environment variable cannot work.

    Example:
        >>> from pinterest_audiences.emulator import Emulator
        >>> with Client("token", transport=Emulator().transport()) as client:
        ...     made = client.customer_lists_create("549755885175", name="Spring", records="a@b.co")
        ...     for customer_list in client.customer_lists_list("549755885175"):
        ...         print(customer_list.name, customer_list.id == made.id)
        Spring True
    """

    def __init__(
        self,
        access_token: str | TokenSource | Callable[[], str | Awaitable[str]] | None = None,
        *,
        base_url: str | None = None,
        timeout: float | None = 30.0,
        max_retries: int = 4,
        max_wait: float = 120.0,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._client = AsyncClient(
            access_token,
            base_url=base_url,
            timeout=timeout,
            max_retries=max_retries,
            max_wait=max_wait,
            transport=transport,
            clock=clock,
        )
        self._portal = Portal(self._client.aclose)

    def __enter__(self) -> Self:
        self._portal.check_usable()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; a second time does nothing.

        Calls that other threads are waiting for end with :class:`ClientClosedError`.

        Raises:
            WrongEventLoopError: The client was used before ``fork()``, in the parent process.
        """
        self._portal.close()
