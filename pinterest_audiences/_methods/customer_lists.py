"""Customer lists: create, get, update, list."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from pinterest_audiences._methods.base import AsyncMethods, Methods
from pinterest_audiences._wire import bodies, operations, queries
from pinterest_audiences.models import (
    CustomerList,
    OperationType,
    Order,
    RecordRow,
    UserListType,
)
from pinterest_audiences.pagination import AsyncPager, Pager
from pinterest_audiences.records.batches import Batch

__all__ = ["AsyncCustomerLists", "CustomerLists"]


class AsyncCustomerLists(AsyncMethods):
    """The customer-list calls of :class:`AsyncClient`."""

    async def customer_lists_create(
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

        Pinterest matches the records with its accounts and then forgets them; the list becomes
        READY with at least 100 matched accounts and TOO_SMALL with fewer. There is no way to
        delete or rename it, and names are not unique. When the answer is lost the call is *not*
        repeated, for that could make a second list: the error's ``maybe_applied`` says so.

        Source: customer_lists/create of Pinterest's API description, 5.23; ``records_v2`` and
        ``is_nca`` are of 5.28.

        Args:
            ad_account_id: 1 to 18 digits.
            name: Its name, not empty.
            records: E-mails (lower case, plain or hashed), or hashed mobile ids: a comma-joined
                string or any iterable of strings. No record may hold a comma, white space or a
                control character. Or a :class:`Batch`, which is sent as it is.
            records_v2: Rows with several identifiers a person. Exactly one of the two is needed.
            list_type: What the records are.
            is_nca: Whether it is for new customer acquisition; cannot be changed later.

        Returns:
            The list, mostly PROCESSING.

        Raises:
            ConfigurationError: An argument is wrong; nothing was sent.
            RecordError: A record cannot be sent; nothing was sent.
            CallError: The call failed; which kind tells why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.
        """
        body = bodies.create_body(
            name=name,
            list_type=list_type,
            is_nca=is_nca,
            records=records,
            records_v2=records_v2,
        )
        return await self._session.send(
            operations.CUSTOMER_LISTS_CREATE.call({"ad_account_id": ad_account_id}, body=body)
        )

    async def customer_lists_get(
        self, ad_account_id: str | int, customer_list_id: str | int
    ) -> CustomerList:
        """Fetch one customer list.

        Source: customer_lists/get of Pinterest's API description.

        Args:
            ad_account_id: 1 to 18 digits.
            customer_list_id: 1 to 18 digits.

        Returns:
            The list. Its counters count what was sent, not who is on it.

        Raises:
            ConfigurationError: An id is wrong; nothing was sent.
            NotFoundError: There is no such list for this token.
            CallError: The call failed; which kind tells why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.
        """
        ids = {"ad_account_id": ad_account_id, "customer_list_id": customer_list_id}
        return await self._session.send(operations.CUSTOMER_LISTS_GET.call(ids))

    async def customer_lists_update(
        self,
        ad_account_id: str | int,
        customer_list_id: str | int,
        *,
        operation_type: OperationType | str,
        records: str | Iterable[str] | Batch | None = None,
        records_v2: Iterable[RecordRow] | None = None,
    ) -> CustomerList:
        """Add records to a customer list, or remove them.

        Adding who is there and removing who is not changes no membership, so a call whose answer
        was lost is repeated; only the list's counters count twice then.

        Source: customer_lists/update of Pinterest's API description, 5.23; ``records_v2`` is of
        5.28.

        Args:
            ad_account_id: 1 to 18 digits.
            customer_list_id: 1 to 18 digits.
            operation_type: ``ADD`` or ``REMOVE``.
            records: As for :meth:`customer_lists_create`.
            records_v2: Rows; exactly one of the two is needed.

        Returns:
            The list after the change was taken in.

        Raises:
            ConfigurationError: An argument is wrong; nothing was sent.
            RecordError: A record cannot be sent; nothing was sent.
            NotFoundError: There is no such list for this token.
            CallError: The call failed; which kind tells why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.
        """
        ids = {"ad_account_id": ad_account_id, "customer_list_id": customer_list_id}
        body = bodies.update_body(
            operation_type=operation_type, records=records, records_v2=records_v2
        )
        return await self._session.send(operations.CUSTOMER_LISTS_UPDATE.call(ids, body=body))

    def customer_lists_list(
        self,
        ad_account_id: str | int,
        *,
        page_size: int | None = None,
        order: Order | str | None = None,
        bookmark: str | None = None,
        exclude_nca: bool | None = None,
    ) -> AsyncPager[CustomerList]:
        """List the customer lists of an ad account, over all pages.

        Nothing is fetched until the pager is iterated. A list made during the walk may or may not
        be seen.

        Source: customer_lists/list of Pinterest's API description; ``exclude_nca`` is of 5.28.

        Args:
            ad_account_id: 1 to 18 digits.
            page_size: Lists a page, 1 to 250; without it Pinterest takes 25.
            order: ``ASCENDING`` or ``DESCENDING`` by id.
            bookmark: Where to resume: an iterator's ``bookmark`` of an earlier walk with the same
                page size and order.
            exclude_nca: Leave out lists for new customer acquisition.

        Returns:
            A pager: iterate it with ``async for``, or see :class:`AsyncPager`. Iterating raises
            :class:`CallError`, :class:`ClientClosedError` or :class:`WrongEventLoopError`.

        Raises:
            ConfigurationError: An argument is wrong.
        """
        query = queries.listing(page_size=page_size, order=order, exclude_nca=exclude_nca)
        first = operations.CUSTOMER_LISTS_LIST.call({"ad_account_id": ad_account_id}, query=query)
        return self._pager(first, bookmark)


class CustomerLists(Methods):
    """The customer-list calls of :class:`Client`."""

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
        return self._blocking(pager, bookmark)
