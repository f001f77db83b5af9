"""Audiences: create, get, update (which is also how to remove one), list."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from pinterest_audiences._methods.base import AsyncMethods, Methods
from pinterest_audiences._wire import bodies, json_bodies, operations, queries
from pinterest_audiences.models import (
    Audience,
    AudienceOperationType,
    AudienceType,
    Order,
    OwnershipType,
)
from pinterest_audiences.pagination import AsyncPager, Pager

__all__ = ["AsyncAudiences", "Audiences"]


class AsyncAudiences(AsyncMethods):
    """The audience calls of :class:`AsyncClient`."""

    async def audiences_create(
        self,
        ad_account_id: str | int,
        *,
        name: str,
        audience_type: AudienceType | str,
        rule: Mapping[str, object],
        description: str | None = None,
    ) -> Audience:
        """Create an audience from a rule.

        An audience that holds fewer than 100 people with Pinterest accounts is TOO_SMALL. When
        the answer is lost the call is *not* repeated, for that could make a second audience: the
        error's ``maybe_applied`` says so.

        Source: audiences/create of Pinterest's API description.

        Args:
            ad_account_id: 1 to 18 digits.
            name: Its name, not empty.
            audience_type: What it is made of.
            rule: Who is in it, by type: ``{"customer_list_id": "643"}`` for CUSTOMER_LIST;
                ``{"seed_id": ["<audience id>"], "country": "US", "percentage": 5}`` for ACTALIKE,
                people who are like an audience; Pinterest judges the rest.
            description: Its description.

        Returns:
            The audience, mostly INITIALIZING.

        Raises:
            ConfigurationError: An argument is wrong; nothing was sent.
            CallError: The call failed; which kind tells why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.
        """
        body = json_bodies.audience_create(
            name=name, audience_type=audience_type, rule=rule, description=description
        )
        return await self._session.send(
            operations.AUDIENCES_CREATE.call({"ad_account_id": ad_account_id}, body=body)
        )

    async def create_customer_list_audience(
        self,
        ad_account_id: str | int,
        customer_list_id: str | int,
        name: str,
        *,
        description: str | None = None,
    ) -> Audience:
        """Create the audience of a customer list, which ads can then be shown to.

        It is :meth:`audiences_create` with the type and the rule of a customer list. Pinterest
        may refuse a list that has not matched 100 accounts yet.

        Args:
            ad_account_id: 1 to 18 digits.
            customer_list_id: 1 to 18 digits.
            name: The audience's name, not empty; it may be the list's.
            description: Its description.

        Returns:
            The audience, mostly INITIALIZING.

        Raises:
            ConfigurationError: An argument is wrong; nothing was sent.
            CallError: The call failed; which kind tells why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.
        """
        list_id = operations.checked_id("customer_list_id", customer_list_id)
        return await self.audiences_create(
            ad_account_id,
            name=name,
            audience_type=AudienceType.CUSTOMER_LIST,
            rule={"customer_list_id": list_id},
            description=description,
        )

    async def audiences_get(self, ad_account_id: str | int, audience_id: str | int) -> Audience:
        """Fetch one audience.

        Source: audiences/get of Pinterest's API description.

        Args:
            ad_account_id: 1 to 18 digits.
            audience_id: 1 to 18 digits.

        Returns:
            The audience; its ``size`` tells how many people it holds.

        Raises:
            ConfigurationError: An id is wrong; nothing was sent.
            NotFoundError: There is no such audience for this token.
            CallError: The call failed; which kind tells why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.
        """
        ids = {"ad_account_id": ad_account_id, "audience_id": audience_id}
        return await self._session.send(operations.AUDIENCES_GET.call(ids))

    async def audiences_update(
        self,
        ad_account_id: str | int,
        audience_id: str | int,
        *,
        name: str | None = None,
        description: str | None = None,
        rule: Mapping[str, object] | None = None,
        operation_type: AudienceOperationType | str = AudienceOperationType.UPDATE,
    ) -> Audience:
        """Change an audience, or remove it.

        ``operation_type="REMOVE"`` is the only thing in this part of the API that deletes; the
        customer list behind an audience stays. What is not given stays as it is.

        A call whose answer was lost is repeated. The repetition of a removal may find nothing
        left to remove: a :class:`NotFoundError` with ``maybe_applied`` set says just that.

        Source: audiences/update of Pinterest's API description.

        Args:
            ad_account_id: 1 to 18 digits.
            audience_id: 1 to 18 digits.
            name: A new name, not empty.
            description: A new description.
            rule: A new rule.
            operation_type: ``UPDATE``, or ``REMOVE``, which takes no other change.

        Returns:
            The audience after the change; of a removal what Pinterest shows last.

        Raises:
            ConfigurationError: An argument is wrong; nothing was sent.
            NotFoundError: There is no such audience for this token.
            CallError: The call failed; which kind tells why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.
        """
        ids = {"ad_account_id": ad_account_id, "audience_id": audience_id}
        body = json_bodies.audience_update(
            operation_type=operation_type, name=name, description=description, rule=rule
        )
        return await self._session.send(operations.AUDIENCES_UPDATE.call(ids, body=body))

    def audiences_list(
        self,
        ad_account_id: str | int,
        *,
        ownership_type: OwnershipType | str | None = None,
        page_size: int | None = None,
        order: Order | str | None = None,
        bookmark: str | None = None,
        exclude_nca: bool | None = None,
    ) -> AsyncPager[Audience]:
        """List the audiences of an ad account, over all pages.

        Nothing is fetched until the pager is iterated. An audience made during the walk may or
        may not be seen.

        Source: audiences/list of Pinterest's API description; ``exclude_nca`` is of 5.28.

        Args:
            ad_account_id: 1 to 18 digits.
            ownership_type: ``OWNED``, which Pinterest takes without it, or ``RECEIVED``: those
                that others share with the ad account.
            page_size: Audiences a page, 1 to 250; without it Pinterest takes 25.
            order: ``ASCENDING`` or ``DESCENDING`` by id; by time of sharing for RECEIVED.
            bookmark: Where to resume: an iterator's ``bookmark`` of an earlier walk with the same
                arguments.
            exclude_nca: Leave out audiences for new customer acquisition.

        Returns:
            A pager: iterate it with ``async for``, or see :class:`AsyncPager`. Iterating raises
            :class:`CallError`, :class:`ClientClosedError` or :class:`WrongEventLoopError`.

        Raises:
            ConfigurationError: An argument is wrong.
        """
        query = queries.listing(page_size=page_size, order=order, exclude_nca=exclude_nca)
        if ownership_type is not None:
            owner = bodies.known_value("ownership_type", ownership_type, OwnershipType)
            query["ownership_type"] = str(owner)
        first = operations.AUDIENCES_LIST.call({"ad_account_id": ad_account_id}, query=query)
        return self._pager(first, bookmark)


class Audiences(Methods):
    """The audience calls of :class:`Client`."""

    def audiences_create(
        self,
        ad_account_id: str | int,
        *,
        name: str,
        audience_type: AudienceType | str,
        rule: Mapping[str, object],
        description: str | None = None,
    ) -> Audience:
        """Create an audience from a rule.

        Arguments, result and errors: :meth:`AsyncClient.audiences_create`.

        Example:
            >>> from pinterest_audiences import Client
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator()
            >>> with Client("token", transport=emulator.transport()) as client:
            ...     rule = {"engagement_domain": ["shop.example"]}
            ...     made = client.audiences_create(
            ...         "549", name="Engaged", audience_type="ENGAGEMENT", rule=rule
            ...     )
            ...     made.status
            <AudienceStatus.INITIALIZING: 'INITIALIZING'>
        """
        return self._portal.call(
            partial(
                self._client.audiences_create,
                ad_account_id,
                name=name,
                audience_type=audience_type,
                rule=rule,
                description=description,
            )
        )

    def create_customer_list_audience(
        self,
        ad_account_id: str | int,
        customer_list_id: str | int,
        name: str,
        *,
        description: str | None = None,
    ) -> Audience:
        """Create the audience of a customer list, which ads can then be shown to.

        Arguments, result and errors: :meth:`AsyncClient.create_customer_list_audience`.

        Example:
            >>> from pinterest_audiences import Client
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator()
            >>> (list_id,) = emulator.seed_lists("549", 1)
            >>> with Client("token", transport=emulator.transport()) as client:
            ...     client.create_customer_list_audience("549", list_id, "Buyers").name
            'Buyers'
        """
        return self._portal.call(
            partial(
                self._client.create_customer_list_audience,
                ad_account_id,
                customer_list_id,
                name,
                description=description,
            )
        )

    def audiences_get(self, ad_account_id: str | int, audience_id: str | int) -> Audience:
        """Fetch one audience.

        Arguments, result and errors: :meth:`AsyncClient.audiences_get`.

        Example:
            >>> from pinterest_audiences import Client
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator(processing_seconds=0)
            >>> (audience_id,) = emulator.seed_audiences("549", 1, size=5000)
            >>> with Client("token", transport=emulator.transport()) as client:
            ...     client.audiences_get("549", audience_id).size
            5000
        """
        return self._portal.call(self._client.audiences_get, ad_account_id, audience_id)

    def audiences_update(
        self,
        ad_account_id: str | int,
        audience_id: str | int,
        *,
        name: str | None = None,
        description: str | None = None,
        rule: Mapping[str, object] | None = None,
        operation_type: AudienceOperationType | str = AudienceOperationType.UPDATE,
    ) -> Audience:
        """Change an audience, or remove it.

        Arguments, result and errors: :meth:`AsyncClient.audiences_update`.

        Example:
            >>> from pinterest_audiences import Client
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator()
            >>> (audience_id,) = emulator.seed_audiences("549", 1)
            >>> with Client("token", transport=emulator.transport()) as client:
            ...     removed = client.audiences_update("549", audience_id, operation_type="REMOVE")
            ...     client.audiences_list("549").collect()
            []
        """
        return self._portal.call(
            partial(
                self._client.audiences_update,
                ad_account_id,
                audience_id,
                name=name,
                description=description,
                rule=rule,
                operation_type=operation_type,
            )
        )

    def audiences_list(
        self,
        ad_account_id: str | int,
        *,
        ownership_type: OwnershipType | str | None = None,
        page_size: int | None = None,
        order: Order | str | None = None,
        bookmark: str | None = None,
        exclude_nca: bool | None = None,
    ) -> Pager[Audience]:
        """List the audiences of an ad account, over all pages.

        Arguments, result and errors: :meth:`AsyncClient.audiences_list`; iterate the pager with
        ``for``.

        Example:
            >>> from pinterest_audiences import Client
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator()
            >>> ids = emulator.seed_audiences("549", 2)
            >>> with Client("token", transport=emulator.transport()) as client:
            ...     [each.name for each in client.audiences_list("549")]
            ['Audience 2', 'Audience 1']
        """
        pager = self._client.audiences_list(
            ad_account_id,
            ownership_type=ownership_type,
            page_size=page_size,
            order=order,
            bookmark=bookmark,
            exclude_nca=exclude_nca,
        )
        return self._blocking(pager, bookmark)
