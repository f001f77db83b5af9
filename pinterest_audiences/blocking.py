"""The blocking client for scripts: the awaiting client, driven from a thread of its own.

Signatures are written out so that editors and type checkers see them; a test holds them against
:class:`AsyncClient`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pinterest_audiences._wire import bodies
from pinterest_audiences._wire.portal import Portal
from pinterest_audiences.client import AsyncClient
from pinterest_audiences.models import CustomerList, OperationType, Order, RecordRow, UserListType
from pinterest_audiences.pagination import Pager
from pinterest_audiences.records.batches import Batch

if TYPE_CHECKING:
    import httpx

    from pinterest_audiences._wire.clock import Clock
    from pinterest_audiences.auth import TokenSource

__all__ = ["Client"]


class Client:
    """Pinterest's customer lists for scripts: the methods of :class:`AsyncClient`, blocking.

    It works inside a running event loop and in notebooks too (and blocks them meanwhile), and any
    number of threads may share one. Its own event loop runs in a daemon thread, from the first
    call to :meth:`close`. Iterables of records are read in the calling thread, where a generator
    may depend on it. Ctrl-C cancels the call it interrupts and leaves the client usable. After
    ``fork()`` the child process needs a client of its own.

    Args:
        access_token: As for :class:`AsyncClient`, like all arguments here. Without it,
            ``PINTEREST_ACCESS_TOKEN``.
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

    def customer_lists_create(
        self,
        ad_account_id: str | int,
        *,
        name: str,
        records: str | Iterable[str] | Batch | None = None,
        records_v2: Iterable[RecordRow] | None = None,
        list_type: UserListType | str = UserListType.EMAIL,
        is_nca: bool | None = None,
    ) -> CustomerList:
        """Create a customer list from records.

        Arguments, result and errors: :meth:`AsyncClient.customer_lists_create`.
        """
        return self._portal.call(
            partial(
                self._client.customer_lists_create,
                ad_account_id,
                name=name,
                records=records if isinstance(records, Batch) else bodies.gathered(records),
                records_v2=bodies.gathered(records_v2),
                list_type=list_type,
                is_nca=is_nca,
            )
        )

    def customer_lists_get(
        self, ad_account_id: str | int, customer_list_id: str | int
    ) -> CustomerList:
        """Fetch one customer list.

        Arguments, result and errors: :meth:`AsyncClient.customer_lists_get`.
        """
        return self._portal.call(self._client.customer_lists_get, ad_account_id, customer_list_id)

    def customer_lists_update(
        self,
        ad_account_id: str | int,
        customer_list_id: str | int,
        *,
        operation_type: OperationType | str,
        records: str | Iterable[str] | Batch | None = None,
        records_v2: Iterable[RecordRow] | None = None,
    ) -> CustomerList:
        """Add records to a customer list, or remove them.

        Arguments, result and errors: :meth:`AsyncClient.customer_lists_update`.
        """
        return self._portal.call(
            partial(
                self._client.customer_lists_update,
                ad_account_id,
                customer_list_id,
                operation_type=operation_type,
                records=records if isinstance(records, Batch) else bodies.gathered(records),
                records_v2=bodies.gathered(records_v2),
            )
        )

    def customer_lists_list(
        self,
        ad_account_id: str | int,
        *,
        page_size: int | None = None,
        order: Order | str | None = None,
        bookmark: str | None = None,
        exclude_nca: bool | None = None,
    ) -> Pager[CustomerList]:
        """List the customer lists of an ad account, over all pages.

        Arguments, result and errors: :meth:`AsyncClient.customer_lists_list`; iterate the pager
        with ``for``.
        """
        pager = self._client.customer_lists_list(
            ad_account_id,
            page_size=page_size,
            order=order,
            bookmark=bookmark,
            exclude_nca=exclude_nca,
        )
        return Pager(lambda at: self._portal.call(pager.fetch, at), bookmark, pager.operation)
