"""The asynchronous client: one method for each operation of the API, and the jobs.

`_sync_client.py` is generated from this module by ``scripts/generate_sync.py``.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import EllipsisType, TracebackType
from typing import TYPE_CHECKING, Literal, Self, TypeVar, overload

from pinterest_audiences import _config, _threads
from pinterest_audiences._auth import oauth
from pinterest_audiences._auth.environment import token_source
from pinterest_audiences._config import EMULATOR_URI, Clock, Settings, SystemClock
from pinterest_audiences._credentials import (
    AppCredentials,
    GrantTypeLike,
    OAuthToken,
    TokenTypeHintLike,
)
from pinterest_audiences._errors import (
    APIError,
    CallError,
    ConfigurationError,
    WrongEventLoopError,
)
from pinterest_audiences._http import multipart, operations, requests
from pinterest_audiences._http.multipart import PartUploader, UploadFile, split_file
from pinterest_audiences._http.network import Network
from pinterest_audiences._http.operations import validate_id
from pinterest_audiences._http.retry import RetryPolicy, is_transient, retry_after
from pinterest_audiences._http.session import Session
from pinterest_audiences._models import (
    JSON,
    AdAccount,
    Audience,
    AudienceOperationType,
    AudienceOperationTypeLike,
    AudienceType,
    AudienceTypeLike,
    CreatedUpload,
    CustomerList,
    CustomerListUpload,
    CustomerSegment,
    IdentifierType,
    IdentifierTypeLike,
    OperationType,
    OperationTypeLike,
    OrderLike,
    OwnershipType,
    OwnershipTypeLike,
    Page,
    RawResponse,
    RecordRow,
    UploadState,
    UserAccount,
    UserListType,
    UserListTypeLike,
)
from pinterest_audiences._pagination import AsyncPager
from pinterest_audiences._records.batches import Batch

if TYPE_CHECKING:
    from pinterest_audiences._account_client import AsyncAccountClient
    from pinterest_audiences._credentials import TokenSource
    from pinterest_audiences._http.events import OnCallEvent
    from pinterest_audiences._http.network import Verify
    from pinterest_audiences._http.operations import Call
    from pinterest_audiences._http.requests import QueryValue
    from pinterest_audiences._httpx import httpx
    from pinterest_audiences._jobs.audiences import AudienceOptions
    from pinterest_audiences._jobs.job_context import JobContext
    from pinterest_audiences._jobs.plan import Plan
    from pinterest_audiences._jobs.reports import (
        ErasureReport,
        JobReport,
        ListStatus,
        OnEvent,
        RunReport,
    )
    from pinterest_audiences._jobs.runner import JobOptions
    from pinterest_audiences._live_check.verification import OnProbe, VerificationReport
    from pinterest_audiences._records.columns import Columns
    from pinterest_audiences._records.sources import SourceLike
    from pinterest_audiences.emulator import Emulator

__all__ = ["AsyncClient"]

T = TypeVar("T")


class AsyncClient:
    """Asynchronous client for Pinterest's customer lists and audiences, on asyncio and trio.

    Args:
        access_token: An access token, a function that returns one (or an awaitable of one), or a
            :class:`TokenSource`. Without it the environment's, then the login of
            ``pinterest-audiences auth login``; see :func:`token_from_environment`.
        ad_account_id: The ad account of :meth:`account`. Without it ``PINTEREST_AD_ACCOUNT_ID``,
            then the profile's ``ad_account``. Other methods take the account as an argument.
        profile: The profile of the configuration file, for what neither an argument nor the
            environment sets: base URL, login, app, ad account, state file. Without it
            ``PINTEREST_AUDIENCES_PROFILE``, then ``default``, which may be missing.
        base_url: Where the API is; plain http for loopback hosts only. ``emulator:`` is the
            emulator that the command line uses with ``--emulator``, without a server. Without it
            ``PINTEREST_API_URI``, the profile's ``api_uri``, then
            ``https://api.pinterest.com/v5``.
        timeout: Seconds for one attempt as a whole, from the connection (5 at most) to the last
            byte of the answer; then :class:`RequestTimeoutError`, or another attempt. ``None``
            for no limit. Parts of uploads may take so long for each 256 KiB.
        max_retries: How often a call is sent again after the first time, 0 or more.
        max_wait: The longest single wait in seconds, for a retry or for the rate budget; a longer
            one raises :class:`RateLimitError` at once.
        total_timeout: Seconds for one call with all its attempts, the waits between them, and a
            token refresh. ``None`` for no limit.
        max_response_bytes: The largest answer in bytes after decompression; a larger one raises
            :class:`ResponseTooLargeError`.
        proxy: The URL of a proxy, ``http://user:password@host:port``. Without it ``HTTPS_PROXY``,
            ``ALL_PROXY`` and ``NO_PROXY`` count, then the system's settings. Refreshes use it too.
        verify: Which certificates are trusted: a CA file (PEM), a folder of hashed ones, or an
            ``ssl.SSLContext``. Without it ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` count, then the
            operating system's trust store. Refreshes use it too.
        app_info: Your application, for the User-Agent header: ``my-app/1.2``, also with a comment,
            ``my-app/1.2 (+https://shop.example)``. Refreshes send it too.
        transport: An asynchronous httpx transport that replaces ``proxy`` and ``verify``: a mock,
            or the emulator. The client closes it.
        clock: Where time, sleep and chance come from; for tests.
        on_event: Receives a :class:`CallEvent` for each request, response, failure and wait: a
            function, or a coroutine function, which is awaited. Its exceptions are logged, and do
            not affect the call. Uploads of parts and token refreshes have no events.

    Raises:
        ConfigurationError: An argument or environment variable cannot work.

    Example:
        >>> import anyio
        >>> from pinterest_audiences.emulator import Emulator
        >>> async def main() -> None:
        ...     async with AsyncClient("token", transport=Emulator().transport()) as client:
        ...         made = await client.customer_lists_create(
        ...             "549755885175", name="Spring", records=["a@example.com", "b@example.com"]
        ...         )
        ...         print(made.name, made.num_uploaded_user_records)
        >>> anyio.run(main)
        Spring 2
    """

    def __init__(
        self,
        access_token: str | TokenSource | Callable[[], str | Awaitable[str]] | None = None,
        *,
        ad_account_id: str | int | None = None,
        profile: str | None = None,
        base_url: str | None = None,
        timeout: float | None = 30.0,
        max_retries: int = 4,
        max_wait: float = 120.0,
        total_timeout: float | None = None,
        max_response_bytes: int = 67_108_864,
        proxy: str | None = None,
        verify: Verify | None = None,
        app_info: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock | None = None,
        on_event: OnCallEvent | None = None,
    ) -> None:
        _config.enable_logging()
        account = None if ad_account_id is None else validate_id("ad_account_id", ad_account_id)
        self._settings = Settings(
            profile=profile,
            base_url=base_url,
            ad_account=account,
            has_transport=transport is not None,
        )
        network = Network(proxy=proxy, verify=verify, transport=transport, app_info=app_info)
        transport_factory = None
        if transport is None and self._settings.emulated:
            from pinterest_audiences._local_emulator import SharedEmulator  # noqa: PLC0415 - heavy

            transport_factory = SharedEmulator(self._settings.emulator_file).transport
            network = Network(transport=transport_factory(), app_info=app_info)
        policy = RetryPolicy().with_limits(max_retries, max_wait, total_timeout)
        self._is_shared = False  # the connections are those of another client
        self._clock = clock or SystemClock()
        self._session = Session(
            base_url=_config.base_url(self._settings.base_url),
            tokens=token_source(access_token, self._settings, network, transport_factory),
            timeout=_config.validate_timeout(timeout),
            policy=policy,
            network=network,
            clock=self._clock,
            max_response_bytes=_config.validate_integer(
                "max_response_bytes", max_response_bytes, 1, 2**40
            ),
            on_event=_config.validate_function("on_event", on_event),
        )
        self._part_uploader = PartUploader(
            check_usable=self._session.check_usable,
            timeout=timeout,
            policy=policy,
            network=network,
            clock=self._clock,
        )

    @classmethod
    def emulated(
        cls,
        emulator: Emulator | None = None,
        *,
        access_token: str | TokenSource | Callable[[], str | Awaitable[str]] | None = None,
        clock: Clock | None = None,
        on_event: OnCallEvent | None = None,
    ) -> Self:
        """Create a client for an emulator in memory, without account, server and files.

        Nothing is read from the environment or the configuration file, and nothing is left behind:
        the state of jobs is in a temporary folder until the client is closed. To use the emulator
        of the command line, which keeps its lists, pass ``base_url="emulator:"`` instead.

        Args:
            emulator: The emulator; without it a new one.
            access_token: As for the constructor; only an emulator with its own tokens needs one.
            clock: As for the constructor; slow answers of the emulator wait by it, too. With
                ``emulator.clock`` the client shares the emulator's time, and waits take no time.
            on_event: As for the constructor.

        Example:
            >>> import anyio
            >>> async def main() -> None:
            ...     async with AsyncClient.emulated() as client:
            ...         created = await client.customer_lists_create(
            ...             "549755885175", name="Spring", records=["a@example.com"]
            ...         )
            ...         print(created.name, created.num_uploaded_user_records)
            >>> anyio.run(main)
            Spring 1
        """
        if emulator is None:
            from pinterest_audiences.emulator import Emulator  # noqa: PLC0415 - heavy

            emulator = Emulator()
        transport = emulator.transport(sleep=None if clock is None else clock.sleep)
        return cls(
            access_token,
            base_url=EMULATOR_URI,
            transport=transport,
            clock=clock,
            on_event=on_event,
        )

    def account(self, ad_account_id: str | int | None = None) -> AsyncAccountClient:
        """Return a client for one ad account, whose methods do not take the account's id.

        It uses the connections of this client, and ends with it. Nothing is sent.

        Args:
            ad_account_id: 1 to 18 digits. Without it the constructor's, then
                ``PINTEREST_AD_ACCOUNT_ID``, then the profile's ``ad_account``.

        Raises:
            ConfigurationError: No ad account is given, or it is not an id.

        Example:
            >>> import anyio
            >>> from pinterest_audiences import AsyncClient
            >>> async def main() -> None:
            ...     async with AsyncClient.emulated() as client:
            ...         account = client.account("549755885175")
            ...         report = await account.upload(["ada@example.com"], name="Buyers")
            ...         print(report.added, len(await account.customer_lists_list().collect()))
            >>> anyio.run(main)
            1 1
        """
        from pinterest_audiences._account_client import AsyncAccountClient  # noqa: PLC0415 - large

        if ad_account_id is not None:
            return AsyncAccountClient(self, validate_id("ad_account_id", ad_account_id))
        account = self._settings.require_ad_account()
        try:
            return AsyncAccountClient(self, validate_id("ad_account_id", account))
        except ConfigurationError as error:
            raise ConfigurationError(
                str(error),
                param="ad_account_id",
                suggestion=f"correct {_config.AD_ACCOUNT_VARIABLE}, or ad_account in the profile",
            ) from None

    def with_options(
        self,
        *,
        timeout: float | EllipsisType | None = ...,
        total_timeout: float | EllipsisType | None = ...,
        max_retries: int | EllipsisType = ...,
        max_wait: float | EllipsisType = ...,
    ) -> Self:
        """Return a client with other options that shares everything else with this one.

        The two share connections, token and rate limits. Use it for one call, as in the example,
        or keep it. It ends with the client that owns the connections, which is the first one;
        closing it ends its waits and refuses further calls, and leaves that client open.

        Args:
            timeout: As for the constructor; ``...`` for that of this client, like the others.
            total_timeout: As for the constructor.
            max_retries: As for the constructor.
            max_wait: As for the constructor.

        Raises:
            ConfigurationError: An argument is wrong.

        Example:
            >>> import anyio
            >>> from pinterest_audiences import AsyncClient
            >>> async def main() -> None:
            ...     async with AsyncClient.emulated() as client:
            ...         patient = client.with_options(total_timeout=600, max_retries=10)
            ...         pager = patient.customer_lists_list("549755885175")
            ...         print(await pager.collect())
            >>> anyio.run(main)
            []
        """
        session = self._session
        policy = session.policy.with_limits(max_retries, max_wait, total_timeout)
        seconds = session.timeout if timeout is ... else _config.validate_timeout(timeout)
        client = copy.copy(self)
        client._share(session.with_options(timeout=seconds, policy=policy))  # noqa: SLF001 - of this class
        return client

    def _share(self, session: Session) -> None:
        """Use a session that shares the connections of another client."""
        self._session, self._is_shared = session, True
        self._part_uploader = self._part_uploader.with_options(
            check_usable=session.check_usable, timeout=session.timeout, policy=session.policy
        )

    async def __aenter__(self) -> Self:
        self._check_usable()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; a second time does nothing.

        Raises:
            WrongEventLoopError: The client was used in another event loop.
        """
        try:
            await self._session.aclose()
        except WrongEventLoopError:  # it stays open
            raise
        except BaseException:  # such as an error of the transport
            await self._close_uploads_and_state()
            raise
        await self._close_uploads_and_state()

    async def _close_uploads_and_state(self) -> None:
        if not self._is_shared:
            try:
                await self._part_uploader.aclose()
            finally:
                self._settings.close()

    def _check_usable(self) -> None:
        """Refuse a client that is closed or used in another event loop."""
        self._session.check_usable()

    @overload
    async def customer_lists_create(
        self,
        ad_account_id: str | int,
        *,
        name: str,
        records: str | Iterable[str] | Batch,
        records_v2: None = None,
        list_type: UserListTypeLike = UserListType.EMAIL,
        is_nca: bool | None = None,
    ) -> CustomerList: ...

    @overload
    async def customer_lists_create(
        self,
        ad_account_id: str | int,
        *,
        name: str,
        records: None = None,
        records_v2: Iterable[RecordRow],
        list_type: UserListTypeLike = UserListType.EMAIL,
        is_nca: bool | None = None,
    ) -> CustomerList: ...

    async def customer_lists_create(
        self,
        ad_account_id: str | int,
        *,
        name: str,
        records: str | Iterable[str] | Batch | None = None,
        records_v2: Iterable[RecordRow] | None = None,
        list_type: UserListTypeLike = UserListType.EMAIL,
        is_nca: bool | None = None,
    ) -> CustomerList:
        """Create a customer list from records.

        Pinterest matches the records with its accounts and then forgets them; the list becomes
        READY with at least 100 matched accounts and TOO_SMALL with fewer. It cannot be
        deleted or renamed, and names are not unique. When the response is lost, the call is *not*
        repeated, because that could create a second list; ``maybe_applied`` of the error is set.

        Source: customer_lists/create of Pinterest's API description, 5.23; ``records_v2`` and
        ``is_nca`` are of 5.28.

        Args:
            ad_account_id: 1 to 18 digits.
            name: Its name, not empty.
            records: E-mails (lower case, plain or hashed), or hashed mobile ids: a comma-joined
                string or any iterable of strings. No record may hold a comma, white space or a
                control character. Or a :class:`Batch`, which is sent as it is.
            records_v2: Rows with several identifiers a person. Give exactly one of the two.
            list_type: What the records are.
            is_nca: Whether it is for new customer acquisition; cannot be changed later.

        Returns:
            The list, mostly PROCESSING.

        Raises:
            ConfigurationError: An argument is wrong; nothing was sent.
            RecordError: A record cannot be sent; nothing was sent.
            CallError: The call failed; its class says why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.
        """
        call = operations.CUSTOMER_LISTS_CREATE.call(
            {"ad_account_id": ad_account_id},
            body=requests.customer_list_create(
                name=name,
                list_type=list_type,
                is_nca=is_nca,
                records=records,
                records_v2=records_v2,
            ),
        )
        del records, records_v2  # error reporters collect the variables of every frame
        return await self._session.send(call)

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
            NotFoundError: The list does not exist, or not for this token.
            CallError: The call failed; its class says why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.
        """
        ids = {"ad_account_id": ad_account_id, "customer_list_id": customer_list_id}
        return await self._session.send(operations.CUSTOMER_LISTS_GET.call(ids))

    @overload
    async def customer_lists_update(
        self,
        ad_account_id: str | int,
        customer_list_id: str | int,
        *,
        operation_type: OperationTypeLike,
        records: str | Iterable[str] | Batch,
        records_v2: None = None,
    ) -> CustomerList: ...

    @overload
    async def customer_lists_update(
        self,
        ad_account_id: str | int,
        customer_list_id: str | int,
        *,
        operation_type: OperationTypeLike,
        records: None = None,
        records_v2: Iterable[RecordRow],
    ) -> CustomerList: ...

    async def customer_lists_update(
        self,
        ad_account_id: str | int,
        customer_list_id: str | int,
        *,
        operation_type: OperationTypeLike,
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
            records_v2: Rows; give exactly one of the two.

        Returns:
            The list after the change was taken in.

        Raises:
            ConfigurationError: An argument is wrong; nothing was sent.
            RecordError: A record cannot be sent; nothing was sent.
            NotFoundError: The list does not exist, or not for this token.
            CallError: The call failed; its class says why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.
        """
        ids = {"ad_account_id": ad_account_id, "customer_list_id": customer_list_id}
        call = operations.CUSTOMER_LISTS_UPDATE.call(
            ids,
            body=requests.customer_list_update(
                operation_type=operation_type, records=records, records_v2=records_v2
            ),
        )
        del records, records_v2  # error reporters collect the variables of every frame
        return await self._session.send(call)

    def customer_lists_list(
        self,
        ad_account_id: str | int,
        *,
        page_size: int | None = None,
        order: OrderLike | None = None,
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

        Example:
            >>> import anyio
            >>> from pinterest_audiences import AsyncClient
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator()
            >>> ids = emulator.seed_lists("549", 2)
            >>> async def main() -> None:
            ...     async with AsyncClient("token", transport=emulator.transport()) as client:
            ...         async for customer_list in client.customer_lists_list("549"):
            ...             print(customer_list.name)
            >>> anyio.run(main)
            List 1
            List 2
        """
        query = requests.listing(page_size=page_size, order=order, exclude_nca=exclude_nca)
        first = operations.CUSTOMER_LISTS_LIST.call({"ad_account_id": ad_account_id}, query=query)
        return self._pager(first, bookmark)

    async def audiences_create(
        self,
        ad_account_id: str | int,
        *,
        name: str,
        audience_type: AudienceTypeLike,
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
            CallError: The call failed; its class says why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.

        Example:
            >>> import anyio
            >>> from pinterest_audiences import AsyncClient
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator()
            >>> async def main() -> None:
            ...     async with AsyncClient("token", transport=emulator.transport()) as client:
            ...         audience = await client.audiences_create(
            ...             "549",
            ...             name="Engaged",
            ...             audience_type="ENGAGEMENT",
            ...             rule={"engagement_domain": ["shop.example"]},
            ...         )
            ...         print(audience.status)
            >>> anyio.run(main)
            INITIALIZING
        """
        body = requests.audience_create(
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

        If the list has an audience of that name, it is returned, and none is created; it is looked
        for again when the response to the create was lost. :meth:`audiences_create` always creates
        one. Pinterest may refuse a list that has not matched 100 accounts yet.

        Args:
            ad_account_id: 1 to 18 digits.
            customer_list_id: Its id or its name.
            name: The audience's name, not empty; it may be the list's.
            description: Its description.

        Returns:
            The audience; a new one is INITIALIZING in most cases.

        Raises:
            ConfigurationError: An argument is wrong; nothing was sent.
            GuardError: No list or several lists have that name.
            CallError: The call failed; its class says why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.

        Example:
            >>> import anyio
            >>> from pinterest_audiences import AsyncClient
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator()
            >>> (list_id,) = emulator.seed_lists("549", 1)
            >>> async def main() -> None:
            ...     async with AsyncClient("token", transport=emulator.transport()) as client:
            ...         audience = await client.create_customer_list_audience(
            ...             "549", list_id, "Buyers"
            ...         )
            ...         print(audience.name)
            >>> anyio.run(main)
            Buyers
        """
        from pinterest_audiences._jobs import audiences, runner  # noqa: PLC0415 - when used

        self._check_usable()
        requests.audience_create(  # refuses wrong arguments before anything is sent
            name=name,
            audience_type=AudienceType.CUSTOMER_LIST,
            rule={"customer_list_id": ""},
            description=description,
        )
        options = runner.JobOptions(self._job_context(), retry_timeout=1.0)
        list_id = await self._list_id(ad_account_id, customer_list_id)
        return await audiences.get_or_create_audience(
            options.context,
            ad_account_id,
            list_id,
            name,
            description=description,
            retries=options.retries(str(ad_account_id)),
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
            NotFoundError: The audience does not exist, or not for this token.
            CallError: The call failed; its class says why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.

        Example:
            >>> import anyio
            >>> from pinterest_audiences import AsyncClient
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator(processing_seconds=0)
            >>> (audience_id,) = emulator.seed_audiences("549", 1, size=5000)
            >>> async def main() -> None:
            ...     async with AsyncClient("token", transport=emulator.transport()) as client:
            ...         audience = await client.audiences_get("549", audience_id)
            ...         print(audience.size)
            >>> anyio.run(main)
            5000
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
        operation_type: AudienceOperationTypeLike = AudienceOperationType.UPDATE,
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
            NotFoundError: The audience does not exist, or not for this token.
            CallError: The call failed; its class says why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.

        Example:
            >>> import anyio
            >>> from pinterest_audiences import AsyncClient
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator()
            >>> (audience_id,) = emulator.seed_audiences("549", 1)
            >>> async def main() -> None:
            ...     async with AsyncClient("token", transport=emulator.transport()) as client:
            ...         removed = await client.audiences_update(
            ...             "549", audience_id, operation_type="REMOVE"
            ...         )
            ...         print(await client.audiences_list("549").collect())
            >>> anyio.run(main)
            []
        """
        ids = {"ad_account_id": ad_account_id, "audience_id": audience_id}
        body = requests.audience_update(
            operation_type=operation_type, name=name, description=description, rule=rule
        )
        return await self._session.send(operations.AUDIENCES_UPDATE.call(ids, body=body))

    def audiences_list(
        self,
        ad_account_id: str | int,
        *,
        ownership_type: OwnershipTypeLike | None = None,
        page_size: int | None = None,
        order: OrderLike | None = None,
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

        Example:
            >>> import anyio
            >>> from pinterest_audiences import AsyncClient
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator()
            >>> ids = emulator.seed_audiences("549", 2)
            >>> async def main() -> None:
            ...     async with AsyncClient("token", transport=emulator.transport()) as client:
            ...         async for audience in client.audiences_list("549"):
            ...             print(audience.name)
            >>> anyio.run(main)
            Audience 1
            Audience 2
        """
        query = requests.listing(page_size=page_size, order=order, exclude_nca=exclude_nca)
        if ownership_type is not None:
            owner = requests.parse_enum("ownership_type", ownership_type, OwnershipType)
            query["ownership_type"] = str(owner)
        first = operations.AUDIENCES_LIST.call({"ad_account_id": ad_account_id}, query=query)
        return self._pager(first, bookmark)

    async def find_customer_list(
        self, ad_account_id: str | int, customer_list_id: str | int
    ) -> CustomerList:
        """Fetch a customer list by its id, or find it by its name.

        A string of digits is an id; any other string is a name, which is looked for in the
        listing, because Pinterest has no search. Names are not unique at Pinterest.

        Args:
            ad_account_id: 1 to 18 digits.
            customer_list_id: Its id or its name.

        Returns:
            The list.

        Raises:
            ConfigurationError: An id is wrong, or the name is empty; nothing was sent.
            GuardError: No list has that name (``no_list``), or several have it
                (``ambiguous_name``); the text names their ids.
            NotFoundError: No list has that id, or none that this token can see.
            CallError: The call failed; its class says why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.

        Example:
            >>> import anyio
            >>> from pinterest_audiences import AsyncClient
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator()
            >>> ids = emulator.seed_lists("549", 2)
            >>> async def main() -> None:
            ...     async with AsyncClient("token", transport=emulator.transport()) as client:
            ...         found = await client.find_customer_list("549", "List 2")
            ...         print(found.id == ids[1])
            >>> anyio.run(main)
            True
        """
        from pinterest_audiences._jobs import lookup  # noqa: PLC0415 - when used

        self._check_usable()
        return await lookup.find_list(self._job_context(), ad_account_id, customer_list_id)

    async def find_audience(self, ad_account_id: str | int, audience_id: str | int) -> Audience:
        """Fetch an audience by its id, or find it by its name.

        A string of digits is an id; any other string is a name, which is looked for among the
        audiences of the ad account, then among those that others share with it.

        Args:
            ad_account_id: 1 to 18 digits.
            audience_id: Its id or its name.

        Returns:
            The audience.

        Raises:
            ConfigurationError: An id is wrong, or the name is empty; nothing was sent.
            GuardError: No audience has that name (``no_audience``), or several have it
                (``ambiguous_name``); the text names their ids.
            NotFoundError: No audience has that id, or none that this token can see.
            CallError: The call failed; its class says why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.

        Example:
            >>> import anyio
            >>> from pinterest_audiences import AsyncClient
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator()
            >>> ids = emulator.seed_audiences("549", 2)
            >>> async def main() -> None:
            ...     async with AsyncClient("token", transport=emulator.transport()) as client:
            ...         found = await client.find_audience("549", "Audience 2")
            ...         print(found.id == ids[1])
            >>> anyio.run(main)
            True
        """
        from pinterest_audiences._jobs import lookup  # noqa: PLC0415 - when used

        self._check_usable()
        return await lookup.find_audience(self._job_context(), ad_account_id, audience_id)

    async def customer_segments_create(
        self, ad_account_id: str | int, *, name: str, audience_ids: Iterable[str | int]
    ) -> CustomerSegment:
        """Create a customer segment: the existing customers of an ad account.

        Campaigns of Pinterest Performance+ use it to tell existing customers from new ones. When
        the response is lost, the call is *not* repeated, because that could create a second
        segment; ``maybe_applied`` of the error is set.

        Source: version 5.28 of Pinterest's API, as a generated client shows it, and recorded
        responses.

        Args:
            ad_account_id: 1 to 18 digits.
            name: Its name, not empty; need not be unique.
            audience_ids: The ids of the audiences that it is made up of; at least one.

        Returns:
            The segment.

        Raises:
            ConfigurationError: An argument is wrong; nothing was sent.
            CallError: The call failed; its class says why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.

        Example:
            >>> import anyio
            >>> from pinterest_audiences import AsyncClient
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator()
            >>> audience_ids = emulator.seed_audiences("549", 2)
            >>> async def main() -> None:
            ...     async with AsyncClient("token", transport=emulator.transport()) as client:
            ...         segment = await client.customer_segments_create(
            ...             "549", name="Existing customers", audience_ids=audience_ids
            ...         )
            ...         print(segment.name, segment.status, len(segment.audience_ids))
            >>> anyio.run(main)
            Existing customers ACTIVE 2
        """
        body = requests.segment_create(name=name, audience_ids=audience_ids)
        return await self._session.send(
            operations.CUSTOMER_SEGMENTS_CREATE.call({"ad_account_id": ad_account_id}, body=body)
        )

    def customer_segments_list(
        self,
        ad_account_id: str | int,
        *,
        page_size: int | None = None,
        order: OrderLike | None = None,
        bookmark: str | None = None,
    ) -> AsyncPager[CustomerSegment]:
        """List the customer segments of an ad account, over all pages.

        Nothing is fetched until the pager is iterated. Pinterest has no operation that returns one
        segment; :meth:`find_customer_segment` looks for it in this listing.

        Source: version 5.28 of Pinterest's API, as a generated client shows it, and recorded
        responses.

        Args:
            ad_account_id: 1 to 18 digits.
            page_size: Segments per page, 1 to 250; Pinterest's default is 25.
            order: ``ASCENDING`` or ``DESCENDING`` by id.
            bookmark: Where to resume: the ``bookmark`` of an earlier iterator with the same
                arguments.

        Returns:
            A pager: iterate it with ``async for``, or see :class:`AsyncPager`. Iterating raises
            :class:`CallError`, :class:`ClientClosedError` or :class:`WrongEventLoopError`.

        Raises:
            ConfigurationError: An argument is wrong.
        """
        query = requests.listing(page_size=page_size, order=order)
        first = operations.CUSTOMER_SEGMENTS_LIST.call(
            {"ad_account_id": ad_account_id}, query=query
        )
        return self._pager(first, bookmark)

    async def customer_segments_update(
        self,
        ad_account_id: str | int,
        customer_segment_id: str | int,
        *,
        operation_type: AudienceOperationTypeLike = AudienceOperationType.UPDATE,
        audience_ids: Iterable[str | int] | None = None,
    ) -> None:
        """Replace the audiences of a customer segment, or remove the segment.

        Pinterest returns nothing; :meth:`find_customer_segment` shows the segment. Its audiences
        stay when it is removed. A call whose response was lost is repeated.

        Source: version 5.28 of Pinterest's API, as a generated client shows it, and recorded
        responses.

        Args:
            ad_account_id: 1 to 18 digits.
            customer_segment_id: 1 to 18 digits.
            operation_type: ``UPDATE``, which requires ``audience_ids``, or ``REMOVE``, which does
                not allow them.
            audience_ids: The ids of all its audiences from now on; at least one.

        Raises:
            ConfigurationError: An argument is wrong; nothing was sent.
            NotFoundError: The segment does not exist, or not for this token.
            CallError: The call failed; its class says why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.

        Example:
            >>> import anyio
            >>> from pinterest_audiences import AsyncClient
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator()
            >>> one, other = emulator.seed_audiences("549", 2)
            >>> async def main() -> None:
            ...     async with AsyncClient("token", transport=emulator.transport()) as client:
            ...         segment = await client.customer_segments_create(
            ...             "549", name="Existing customers", audience_ids=[one]
            ...         )
            ...         await client.customer_segments_update(
            ...             "549", segment.id, audience_ids=[one, other]
            ...         )
            ...         segment = await client.find_customer_segment("549", segment.id)
            ...         print(segment.audience_ids == [one, other])
            >>> anyio.run(main)
            True
        """
        body = requests.segment_update(
            customer_segment_id=customer_segment_id,
            operation_type=operation_type,
            audience_ids=audience_ids,
        )
        await self._session.send(
            operations.CUSTOMER_SEGMENTS_UPDATE.call({"ad_account_id": ad_account_id}, body=body)
        )

    async def find_customer_segment(
        self, ad_account_id: str | int, customer_segment_id: str | int
    ) -> CustomerSegment:
        """Find a customer segment by its id or its name, in the listing.

        A string of digits is an id; any other string is a name.

        Args:
            ad_account_id: 1 to 18 digits.
            customer_segment_id: Its id or its name.

        Returns:
            The segment.

        Raises:
            ConfigurationError: An id is wrong, or the name is empty; nothing was sent.
            GuardError: No segment has that id or name (``no_segment``), or several have that name
                (``ambiguous_name``); the text names their ids.
            CallError: The call failed; its class says why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.
        """
        from pinterest_audiences._jobs import lookup  # noqa: PLC0415 - when used

        self._check_usable()
        return await lookup.find_segment(self._job_context(), ad_account_id, customer_segment_id)

    async def customer_list_uploads_create(
        self,
        ad_account_id: str | int,
        customer_list_id: str | int,
        *,
        operation: OperationTypeLike,
        total_parts: int,
    ) -> CreatedUpload:
        """Create an upload, and return the addresses for its parts.

        Experimental. An upload that is never run changes nothing. Each call makes an upload of
        its own, so one whose answer was lost is *not* repeated.

        Source: customer_list_uploads/create of Pinterest's API description, 5.23.

        Args:
            ad_account_id: 1 to 18 digits.
            customer_list_id: 1 to 18 digits.
            operation: ``ADD`` or ``REMOVE``: what is done with the records of the file.
            total_parts: 1 to 10; each part but the last must hold 5 MB.

        Returns:
            The upload, and where its parts go. The addresses are secrets.

        Raises:
            ConfigurationError: An argument is wrong; nothing was sent.
            NotFoundError: The list does not exist, or not for this token.
            CallError: The call failed; its class says why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.

        Example:
            >>> import anyio
            >>> from pinterest_audiences import AsyncClient
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator(processing_seconds=0)
            >>> (list_id,) = emulator.seed_lists("549", 1)
            >>> async def main() -> None:
            ...     async with AsyncClient("token", transport=emulator.transport()) as client:
            ...         created = await client.customer_list_uploads_create(
            ...             "549", list_id, operation="ADD", total_parts=1
            ...         )
            ...         print(len(created.s3_multipart_upload_data.file_parts))
            >>> anyio.run(main)
            1
        """
        ids = {"ad_account_id": ad_account_id, "customer_list_id": customer_list_id}
        body = requests.upload_create(operation=operation, total_parts=total_parts)
        return await self._session.send(
            operations.CUSTOMER_LIST_UPLOADS_CREATE.call(ids, body=body)
        )

    async def customer_list_uploads_run(
        self,
        ad_account_id: str | int,
        customer_list_id: str | int,
        customer_list_upload_id: str | int,
    ) -> CustomerListUpload:
        """Start the processing of an upload whose parts are all in place.

        Experimental. What a second run does is not documented, so a call whose answer was lost is
        *not* repeated; :meth:`customer_list_uploads_get` tells whether it runs.

        Source: customer_list_uploads/run of Pinterest's API description, 5.23.

        Args:
            ad_account_id: 1 to 18 digits.
            customer_list_id: 1 to 18 digits.
            customer_list_upload_id: 1 to 18 digits.

        Returns:
            The upload, mostly RUNNING.

        Raises:
            ConfigurationError: An id is wrong; nothing was sent.
            NotFoundError: The upload does not exist, or not for this token.
            CallError: The call failed; its class says why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.
        """
        ids = {
            "ad_account_id": ad_account_id,
            "customer_list_id": customer_list_id,
            "customer_list_upload_id": customer_list_upload_id,
        }
        return await self._session.send(operations.CUSTOMER_LIST_UPLOADS_RUN.call(ids))

    async def customer_list_uploads_get(
        self,
        ad_account_id: str | int,
        customer_list_id: str | int,
        customer_list_upload_id: str | int,
    ) -> CustomerListUpload:
        """Fetch one upload: how far it is, and what became of its records.

        Source: customer_list_uploads/get of Pinterest's API description, 5.23.

        Args:
            ad_account_id: 1 to 18 digits.
            customer_list_id: 1 to 18 digits.
            customer_list_upload_id: 1 to 18 digits.

        Returns:
            The upload.

        Raises:
            ConfigurationError: An id is wrong; nothing was sent.
            NotFoundError: The upload does not exist, or not for this token.
            CallError: The call failed; its class says why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.
        """
        ids = {
            "ad_account_id": ad_account_id,
            "customer_list_id": customer_list_id,
            "customer_list_upload_id": customer_list_upload_id,
        }
        return await self._session.send(operations.CUSTOMER_LIST_UPLOADS_GET.call(ids))

    async def put_file_parts(self, upload: CreatedUpload, file: UploadFile) -> None:
        """Send a file to the addresses of an upload that was just created.

        The file is cut between lines into as many parts as the upload has addresses, and read
        from disk while it is sent. A part is sent again when its connection breaks or the storage
        fails. The access token is not sent there, redirects are not followed, and plain http is
        for loopback hosts only.

        Args:
            upload: What :meth:`customer_list_uploads_create` returned.
            file: The path of a file, or bytes. Pinterest does not document its form: one record a
                line is the likely one. It is sent as it is: clean and hash it before.

        Raises:
            ConfigurationError: The file is too small for so many parts; nothing was sent.
            SourceError: The file cannot be read, is empty, or was changed meanwhile.
            UploadError: The storage refused a part; its address may have expired.
            TransportError: A connection to the storage failed.
            DecodeError: The upload's addresses are not what the API describes.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.

        Example:
            >>> import anyio
            >>> from pinterest_audiences import AsyncClient
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator(processing_seconds=0)
            >>> (list_id,) = emulator.seed_lists("549", 1)
            >>> async def main() -> None:
            ...     async with AsyncClient("token", transport=emulator.transport()) as client:
            ...         created = await client.customer_list_uploads_create(
            ...             "549", list_id, operation="ADD", total_parts=1
            ...         )
            ...         await client.put_file_parts(created, b"ada@example.com")
            ...         upload_id = created.customer_list_upload.id
            ...         running = await client.customer_list_uploads_run("549", list_id, upload_id)
            ...         upload = await client.customer_list_uploads_get("549", list_id, upload_id)
            ...         print(upload.record_counts.valid)
            >>> anyio.run(main)
            1
        """
        self._check_usable()
        count = len(multipart.presigned_parts(upload))
        await self._put_parts(upload, file, count)

    async def upload_file_in_parts(
        self,
        ad_account_id: str | int,
        customer_list_id: str | int,
        file: UploadFile,
        *,
        operation: OperationTypeLike = OperationType.ADD,
        total_parts: int | None = None,
        wait: float = 3600.0,
    ) -> CustomerListUpload:
        """Upload a file of records to a list, and wait until Pinterest has processed it.

        Experimental: it needs access that Pinterest may not have given to your app, and the form
        of the file is not documented. It creates an upload, puts the parts in place, runs it, and
        looks after it at growing intervals.

        Args:
            ad_account_id: 1 to 18 digits.
            customer_list_id: Its id or its name.
            file: As for :meth:`put_file_parts`.
            operation: ``ADD`` or ``REMOVE``: what is done with the records of the file.
            total_parts: 1 to 10; ``None`` makes parts of some 16 MB, ten at most.
            wait: Seconds to wait for the end after the upload was started.

        Returns:
            The upload, SUCCEEDED; its ``record_counts`` and ``error_counts`` tell of the records.

        Raises:
            ConfigurationError: An argument is wrong; nothing was sent.
            GuardError: No list or several lists have that name.
            SourceError: The file cannot be read, is empty, or was changed meanwhile.
            UploadsUnavailableError: No access to uploads in parts; ``customer_lists_update``
                does the same without them.
            UploadError: The upload FAILED, or the storage refused a part.
            UploadTimeoutError: It was not at its end in time; ``upload.id`` tells which one to
                look after with :meth:`customer_list_uploads_get`.
            CallError: A call failed; its class says why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.

        Example:
            >>> import anyio
            >>> from pinterest_audiences import AsyncClient
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator(processing_seconds=0)
            >>> (list_id,) = emulator.seed_lists("549", 1)
            >>> async def main() -> None:
            ...     async with AsyncClient("token", transport=emulator.transport()) as client:
            ...         upload = await client.upload_file_in_parts(
            ...             "549", list_id, b"ada@example.com,not-an-email"
            ...         )
            ...         print(upload.record_counts.valid, upload.record_counts.invalid)
            >>> anyio.run(main)
            1 1
        """
        self._check_usable()
        _config.validate_number("wait", wait, above=0.0)
        return await self._upload_in_parts(
            ad_account_id,
            customer_list_id,
            file,
            operation=operation,
            total_parts=total_parts,
            wait=wait,
        )

    async def ad_accounts_get(self, ad_account_id: str | int) -> AdAccount:
        """Fetch one ad account.

        Source: ad_accounts/get of Pinterest's API description.

        Args:
            ad_account_id: 1 to 18 digits.

        Returns:
            The ad account; its ``permissions`` are the roles of the token's user on it.

        Raises:
            ConfigurationError: The id is wrong; nothing was sent.
            NotFoundError: The ad account does not exist, or not for this token.
            CallError: The call failed; its class says why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.

        Example:
            >>> import anyio
            >>> from pinterest_audiences import AsyncClient
            >>> from pinterest_audiences.emulator import Emulator
            >>> async def main() -> None:
            ...     async with AsyncClient("token", transport=Emulator().transport()) as client:
            ...         account = await client.ad_accounts_get("549755885175")
            ...         print(account.name, account.permissions)
            >>> anyio.run(main)
            Ad account 549755885175 ['OWNER']
        """
        return await self._session.send(
            operations.AD_ACCOUNTS_GET.call({"ad_account_id": ad_account_id})
        )

    def ad_accounts_list(
        self,
        *,
        include_shared_accounts: bool | None = None,
        page_size: int | None = None,
        bookmark: str | None = None,
    ) -> AsyncPager[AdAccount]:
        """List the ad accounts that the token's user has access to, over all pages.

        Nothing is fetched until the pager is iterated.

        Source: ad_accounts/list of Pinterest's API description.

        Args:
            include_shared_accounts: Whether to include the ad accounts of others to which the
                user has Business Access. If omitted, Pinterest includes them.
            page_size: Ad accounts per page, 1 to 250; Pinterest's default is 25.
            bookmark: Where to resume: the ``bookmark`` of an earlier iterator with the same
                arguments.

        Returns:
            A pager: iterate it with ``async for``, or see :class:`AsyncPager`. Iterating raises
            :class:`CallError`, :class:`ClientClosedError` or :class:`WrongEventLoopError`.

        Raises:
            ConfigurationError: An argument is wrong.

        Example:
            >>> import anyio
            >>> from pinterest_audiences import AsyncClient
            >>> from pinterest_audiences.emulator import Emulator
            >>> async def main() -> None:
            ...     async with AsyncClient("token", transport=Emulator().transport()) as client:
            ...         async for account in client.ad_accounts_list():
            ...             print(account.id, account.name)
            >>> anyio.run(main)
            549755885175 Ad account 549755885175
        """
        query = requests.listing(
            page_size=page_size, include_shared_accounts=include_shared_accounts
        )
        return self._pager(operations.AD_ACCOUNTS_LIST.call({}, query=query), bookmark)

    async def user_account_get(self, *, ad_account_id: str | int | None = None) -> UserAccount:
        """Fetch the account that the access token acts for.

        Source: user_account/get of Pinterest's API description. It needs the scope
        ``user_accounts:read``.

        Args:
            ad_account_id: With business access: the owner of this ad account instead.

        Returns:
            The account.

        Raises:
            ConfigurationError: The id is wrong; nothing was sent.
            CallError: The call failed; its class says why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.
        """
        query: dict[str, str] = {}
        if ad_account_id is not None:
            query["ad_account_id"] = validate_id("ad_account_id", ad_account_id)
        return await self._session.send(operations.USER_ACCOUNT_GET.call({}, query=query))

    async def verify_api(
        self, ad_account_id: str | int, *, on_probe: OnProbe | None = None
    ) -> VerificationReport:
        """Compare the API with what the emulator assumes where Pinterest publishes nothing.

        It changes the ad account: it creates a customer list named ``pinterest-audiences API
        check``, or uses the one of an earlier check, and audiences of that name. At the end it
        removes the audiences and all records; the empty list remains, because the API cannot delete
        lists, and an upload that is never run. Other lists and audiences are not changed. Records
        are hashes of made-up addresses of ``example.com``. It sends at most 90 requests, one after
        the other, and about 5 MB. Each call is retried at most 4 times, even if ``max_retries``
        of the client is larger.

        What a check that was interrupted has left is removed by the next one. Questions about a
        processed list are answered by a second check, a day or two after the first.

        Args:
            ad_account_id: 1 to 18 digits.
            on_probe: Called with each :class:`ProbeResult`, as soon as it is known.

        Returns:
            The report. It contains no id, token, message or name of Pinterest, and can be
            published.

        Raises:
            ConfigurationError: The id is wrong; nothing was sent.
            CallError: The lists or audiences cannot be read, or the list of the check cannot be
                created; nothing was changed, unless ``maybe_applied`` is set.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.

        Example:
            >>> import anyio
            >>> from pinterest_audiences import AsyncClient
            >>> from pinterest_audiences.emulator import Assumptions, Emulator
            >>> emulator = Emulator(assumptions=Assumptions(not_found_code=50))
            >>> async def main() -> None:
            ...     async with AsyncClient("token", transport=emulator.transport()) as client:
            ...         report = await client.verify_api("549755885175")
            ...         for result in report.differences:
            ...             print(result.name, "is", result.observed)
            >>> anyio.run(main)
            list_not_found is 404, code 50
            audience_not_found is 404, code 50
        """
        from pinterest_audiences._live_check import verification  # noqa: PLC0415 - when used

        account = validate_id("ad_account_id", ad_account_id)
        self._check_usable()
        return await verification.verify_api(
            self._session, account, is_replaced=self._settings.has_transport, on_probe=on_probe
        )

    async def request(
        self,
        method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"],
        path: str,
        *,
        params: Mapping[str, QueryValue] | None = None,
        json: JSON = None,
        idempotent: bool | None = None,
        category: str | None = None,
    ) -> RawResponse:
        """Send a request that has no method here, such as those for campaigns.

        It uses the same token, rate limits, retries and errors as the methods. The token is only
        sent to the base URL, and redirects are not followed.

        Source: the paths and their categories are in Pinterest's API description.

        Args:
            method: The HTTP method.
            path: The path below the base URL, beginning with ``/``, without query.
            params: The query; a list repeats its parameter, and a boolean is ``true`` or
                ``false``.
            json: The body; ``None`` for none.
            idempotent: Whether the request is sent again when it may have been applied. Without
                it, GET, PUT and DELETE are.
            category: The rate limit category, ``x-ratelimit-category`` of the description. Without
                it ``ads_read`` for GET, else ``ads_write``.

        Returns:
            Status, headers and JSON. Whether it is a success is decided by the status alone.

        Raises:
            ConfigurationError: An argument is wrong; nothing was sent.
            CallError: The call failed; its class says why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.

        Example:
            >>> import anyio
            >>> from pinterest_audiences import AsyncClient
            >>> async def main() -> None:
            ...     async with AsyncClient.emulated() as client:
            ...         response = await client.request("GET", "/user_account")
            ...         print(response.status, response.data["username"])
            >>> anyio.run(main)
            200 emulator
        """
        call = requests.raw(
            method=method,
            path=path,
            params=params,
            data=json,
            idempotent=idempotent,
            category=category,
        )
        del json, params  # error reporters collect the variables of every frame
        return await self._session.send(call)

    async def oauth_token(
        self,
        app: AppCredentials,
        *,
        grant_type: GrantTypeLike,
        code: str | None = None,
        redirect_uri: str | None = None,
        refresh_token: str | None = None,
        scope: str | Iterable[str] | None = None,
    ) -> OAuthToken:
        """Get an access token for a code, a refresh token, or the app itself.

        The client's own access token is not sent; a client for this alone is
        ``AsyncClient(NoAuth())``. A response may hold a new refresh token; store it before
        the old one is dropped, as :class:`RefreshingToken` does.

        Source: oauth/token of Pinterest's API description, 5.23.

        Args:
            app: Sent as HTTP Basic.
            grant_type: ``authorization_code`` (with ``code`` and ``redirect_uri``),
                ``refresh_token`` (with ``refresh_token``, and ``scope`` to narrow it) or
                ``client_credentials`` (with ``scope``).
            code: What the login gave; valid once, so it is not sent again when its answer is lost.
            redirect_uri: The one that the login was begun with.
            refresh_token: The latest one.
            scope: Scopes like ``ads:read``: joined by commas, or any iterable of them.

        Returns:
            The tokens.

        Raises:
            ConfigurationError: An argument is wrong, missing, or not of this grant; nothing was
                sent.
            BadRequestError: The code or refresh token is not valid (any more).
            AuthenticationError: The app's id or secret is wrong.
            CallError: The call failed; its class says why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.

        Example:
            >>> import anyio
            >>> from pinterest_audiences import AppCredentials, AsyncClient, NoAuth
            >>> from pinterest_audiences.emulator import Emulator
            >>> app = AppCredentials("1234567", "the-secret")
            >>> emulator = Emulator(apps={app.app_id: "the-secret"})
            >>> async def main() -> None:
            ...     async with AsyncClient(NoAuth(), transport=emulator.transport()) as client:
            ...         token = await client.oauth_token(
            ...             app, grant_type="client_credentials", scope="ads:read"
            ...         )
            ...         print(token.scope)
            >>> anyio.run(main)
            ads:read
        """
        call = oauth.grant_call(
            app,
            grant_type,
            code=code,
            redirect_uri=redirect_uri,
            refresh_token=refresh_token,
            scope=scope,
        )
        return oauth.check_usable(await self._session.send(call))

    async def token_revoke(
        self,
        app: AppCredentials,
        *,
        token: str,
        token_type_hint: TokenTypeHintLike | None = None,
    ) -> None:
        """Revoke an access token or refresh token; it ends at once.

        Pinterest does so for tokens of system users only, and refuses others with code 29. The
        client's own access token is not sent.

        Source: token/revoke of Pinterest's API description, 5.23.

        Args:
            app: The app that the token was made for; sent as HTTP Basic.
            token: The token that is to end.
            token_type_hint: ``access_token`` or ``refresh_token``.

        Raises:
            ConfigurationError: An argument is wrong; nothing was sent.
            AuthenticationError: The app's id or secret is wrong.
            PermissionDeniedError: It is not the token of a system user.
            CallError: The call failed; its class says why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.
        """
        await self._session.send(oauth.revoke_call(app, token, token_type_hint))

    @overload
    async def upload(
        self,
        ad_account_id: str | int,
        source: SourceLike,
        *,
        customer_list_id: str | int,
        name: None = None,
        operation: OperationTypeLike = OperationType.ADD,
        kind: IdentifierTypeLike = IdentifierType.EMAIL,
        column: Columns | None = None,
        keep_unhashed: bool = False,
        is_nca: bool | None = None,
        allow_other_type: bool = False,
        via: Literal["calls", "multipart"] = "calls",
        must_be_new: bool = False,
        max_removal_share: float = 0.2,
        allow_removals: bool = False,
        audience: str | None = None,
        wait: float = 0.0,
        state: str | os.PathLike[str] | None = None,
        on_event: OnEvent | None = None,
        retry_timeout: float = 7200.0,
        batch_size: int | None = None,
        expect_rows: float | str | None = None,
    ) -> JobReport: ...

    @overload
    async def upload(
        self,
        ad_account_id: str | int,
        source: SourceLike,
        *,
        customer_list_id: None = None,
        name: str,
        operation: OperationTypeLike = OperationType.ADD,
        kind: IdentifierTypeLike = IdentifierType.EMAIL,
        column: Columns | None = None,
        keep_unhashed: bool = False,
        is_nca: bool | None = None,
        allow_other_type: bool = False,
        via: Literal["calls", "multipart"] = "calls",
        must_be_new: bool = False,
        max_removal_share: float = 0.2,
        allow_removals: bool = False,
        audience: str | None = None,
        wait: float = 0.0,
        state: str | os.PathLike[str] | None = None,
        on_event: OnEvent | None = None,
        retry_timeout: float = 7200.0,
        batch_size: int | None = None,
        expect_rows: float | str | None = None,
    ) -> JobReport: ...

    async def upload(
        self,
        ad_account_id: str | int,
        source: SourceLike,
        *,
        customer_list_id: str | int | None = None,
        name: str | None = None,
        operation: OperationTypeLike = OperationType.ADD,
        kind: IdentifierTypeLike = IdentifierType.EMAIL,
        column: Columns | None = None,
        keep_unhashed: bool = False,
        is_nca: bool | None = None,
        allow_other_type: bool = False,
        via: Literal["calls", "multipart"] = "calls",
        must_be_new: bool = False,
        max_removal_share: float = 0.2,
        allow_removals: bool = False,
        audience: str | None = None,
        wait: float = 0.0,
        state: str | os.PathLike[str] | None = None,
        on_event: OnEvent | None = None,
        retry_timeout: float = 7200.0,
        batch_size: int | None = None,
        expect_rows: float | str | None = None,
    ) -> JobReport:
        """Add everything in a source to a list, or remove it; survives crashes.

        Plans and applies at once: see :meth:`plan_upload` and :meth:`apply`. The source is read to
        its end before anything is sent, so that a broken one changes nothing. What is sent is
        stored in the state file first, as hashes; an interrupted upload is finished by
        :meth:`resume`, or by the next job on the list. Every record is sent once, whether it is on
        the list or not.

        Args:
            ad_account_id: 1 to 18 digits.
            source: A :class:`PreparedRecords` (for all choices of cleaning), or anything that
                :func:`open_source` takes.
            customer_list_id: The list, by its id or its name; it must exist.
            name: The name of a list, which is created if there is none. Names in the state file
                come first, then those at Pinterest.
            operation: ``ADD`` or ``REMOVE``.
            kind: What the source holds, unless it is a :class:`PreparedRecords`.
            column: The column or columns to read, by name or number, unless the source is a
                :class:`PreparedRecords`.
            keep_unhashed: Keep columns of rows that go unhashed (``external_id``, ``ip_address``,
                ``user_agent``, ``liveramp_envelope``) in the state file; refused without.
            is_nca: For a list that is created.
            allow_other_type: Add records of another type than the list was created with, such as
                device ids to a list of e-mail addresses.
            via: ``multipart`` sends what is left after a creation as one file; experimental, see
                :meth:`upload_file_in_parts`. Without access to it the calls are made after all.
            must_be_new: Refuse a list that exists; only with ``name``.
            max_removal_share: Refuse to remove more than this share (0 to 1) of the records that
                the state file has for the list, without ``allow_removals``.
            allow_removals: Remove records whatever their share is.
            audience: Afterwards create an audience of this name, unless the list has one. The
                report has its id and status. After an interruption :meth:`resume` creates it.
            wait: Seconds to wait at most until the list is processed, before its audience is
                created, and then until the audience is; 0 does not wait.
            state: The state file; without it ``PINTEREST_AUDIENCES_STATE``, the profile's
                ``state``, then the user's own.
            on_event: Receives a :class:`JobEvent` for each step, for a progress bar; called in the
                client's event loop.
            retry_timeout: Seconds for which the first lookup, and then each batch, is tried while
                Pinterest or the network fails.
            batch_size: Records of a batch at most, else 1,900. What Pinterest refuses as too large
                is sent in smaller batches, and the size that it accepts is remembered for the list.
            expect_rows: The fewest rows that the source may have: a count (300), or a share of the
                last such job's on the list (0.9, ``"90%"``). A pipe does not report that its
                producer failed.

        Returns:
            Exact figures.

        Raises:
            ConfigurationError: An argument or a record cannot be used; nothing was sent.
            SourceError: The source cannot be read to its end, or a list that must be new would be
                empty; nothing was sent.
            TooManyRejectsError: As the preparation says; nothing was sent.
            StateError: The state file cannot be used.
            ListBusyError: Another process works on the list.
            GuardError: Several lists have that name, no list has the name given as
                ``customer_list_id``, the source has fewer rows than expected or another type of
                records, the list to remove from does not exist, too many records would be removed,
                or a list that must be new exists; nothing was sent.
            JobInterruptedError: It stopped before its end, and can be resumed.
            AudienceError: The job is done, but the audience could not be created, or was not ready
                in time; ``report`` has the figures.
            CallError: The list could not be looked up.

        Example:
            >>> from tempfile import TemporaryDirectory
            >>> import anyio
            >>> from pinterest_audiences import AsyncClient
            >>> from pinterest_audiences.emulator import Emulator
            >>> emails = (f"person{n}@shop.de" for n in range(25_000))
            >>> async def main() -> None:
            ...     async with AsyncClient("token", transport=Emulator().transport()) as client:
            ...         with TemporaryDirectory() as folder:
            ...             state = f"{folder}/state.sqlite3"
            ...             report = await client.upload("549", emails, name="All", state=state)
            ...         print(report.created, report.planned, report.added, report.batches)
            >>> anyio.run(main)
            True 25000 25000 14
        """
        from pinterest_audiences._jobs import audiences, lookup, plan, runner  # noqa: PLC0415 - when used
        from pinterest_audiences._jobs.keys import KeyedSource  # noqa: PLC0415

        self._check_usable()
        known = requests.parse_enum("operation", operation, OperationType)
        with KeyedSource(
            source,
            kind=kind,
            column=column,
            keep_unhashed=keep_unhashed,
            state=self._settings.job_state(state),
        ) as keys:
            after = audiences.AudienceOptions.checked(
                audience, wait, removes=known == OperationType.REMOVE
            )
            options = self._job_options(
                state, on_event, retry_timeout, batch_size, expect_rows, audience=after
            )
            selector = lookup.ListSelector(
                ad_account_id, customer_list_id, name, is_nca, allow_other_type
            )
            selector.check()
            upload_options = plan.UploadOptions(known, via, must_be_new, max_removal_share)
            upload_options.check(selector)
            allowed = runner.allowed_guards(allow_removals=allow_removals)
            await keys.aread()
            return await runner.upload(options, selector, keys, upload_options, allowed=allowed)

    @overload
    async def plan_upload(
        self,
        ad_account_id: str | int,
        source: SourceLike,
        *,
        customer_list_id: str | int,
        name: None = None,
        operation: OperationTypeLike = OperationType.ADD,
        kind: IdentifierTypeLike = IdentifierType.EMAIL,
        column: Columns | None = None,
        keep_unhashed: bool = False,
        is_nca: bool | None = None,
        allow_other_type: bool = False,
        via: Literal["calls", "multipart"] = "calls",
        must_be_new: bool = False,
        max_removal_share: float = 0.2,
        store: bool = True,
        state: str | os.PathLike[str] | None = None,
        retry_timeout: float = 60.0,
        batch_size: int | None = None,
        expect_rows: float | str | None = None,
    ) -> Plan: ...

    @overload
    async def plan_upload(
        self,
        ad_account_id: str | int,
        source: SourceLike,
        *,
        customer_list_id: None = None,
        name: str,
        operation: OperationTypeLike = OperationType.ADD,
        kind: IdentifierTypeLike = IdentifierType.EMAIL,
        column: Columns | None = None,
        keep_unhashed: bool = False,
        is_nca: bool | None = None,
        allow_other_type: bool = False,
        via: Literal["calls", "multipart"] = "calls",
        must_be_new: bool = False,
        max_removal_share: float = 0.2,
        store: bool = True,
        state: str | os.PathLike[str] | None = None,
        retry_timeout: float = 60.0,
        batch_size: int | None = None,
        expect_rows: float | str | None = None,
    ) -> Plan: ...

    async def plan_upload(
        self,
        ad_account_id: str | int,
        source: SourceLike,
        *,
        customer_list_id: str | int | None = None,
        name: str | None = None,
        operation: OperationTypeLike = OperationType.ADD,
        kind: IdentifierTypeLike = IdentifierType.EMAIL,
        column: Columns | None = None,
        keep_unhashed: bool = False,
        is_nca: bool | None = None,
        allow_other_type: bool = False,
        via: Literal["calls", "multipart"] = "calls",
        must_be_new: bool = False,
        max_removal_share: float = 0.2,
        store: bool = True,
        state: str | os.PathLike[str] | None = None,
        retry_timeout: float = 60.0,
        batch_size: int | None = None,
        expect_rows: float | str | None = None,
    ) -> Plan:
        """Plan to add everything in a source to a list, or to remove it, and send nothing.

        The source is read once. Its records are stored in the state file, so that :meth:`apply`
        needs no source; a newer plan or job on the list replaces the plan. With ``store=False``
        they are only counted, for a dry run that changes nothing.

        Args:
            ad_account_id: 1 to 18 digits.
            source: As for :meth:`upload`.
            customer_list_id: The list, by its id or its name; it must exist.
            name: The name of a list; applying the plan creates it if there is none.
            operation: ``ADD`` or ``REMOVE``.
            kind: As for :meth:`upload`.
            column: As for :meth:`upload`.
            keep_unhashed: As for :meth:`upload`.
            is_nca: For a list that is created.
            allow_other_type: As for :meth:`upload`.
            via: As for :meth:`upload`.
            must_be_new: As for :meth:`upload`.
            max_removal_share: A plan that removes more than this share (0 to 1) of the records that
                the state file has for the list is applied only with ``allow_removals``.
            store: Store the plan. Without, a job may run on the list meanwhile, earlier plans stay,
                and the list is looked up at Pinterest only to remove from it, or if it must be new;
                otherwise only the state file is read, and no request is made.
            state: As for :meth:`upload`.
            retry_timeout: Seconds for which the lookup of the list is retried.
            batch_size: As for :meth:`upload`.
            expect_rows: As for :meth:`upload`.

        Returns:
            The plan; its ``kind`` is ``upload``. If it is ``blocked``, :meth:`apply` requires
            permission.

        Raises:
            ConfigurationError: As for :meth:`upload`, like all that follow.
            SourceError: The source cannot be read to its end, or a list that must be new would be
                empty.
            TooManyRejectsError: The source has more rejects than its preparation allows.
            GuardError: As for :meth:`upload`, except for the share of removals.
            StateError: The state file cannot be used.
            ListBusyError: Another process works on the list.
            CallError: The list could not be looked up.

        Example:
            >>> from tempfile import TemporaryDirectory
            >>> import anyio
            >>> from pinterest_audiences import AsyncClient
            >>> from pinterest_audiences.emulator import Emulator
            >>> people = ["ada@shop.example", "ben@shop.example"]
            >>> async def main() -> None:
            ...     async with AsyncClient("token", transport=Emulator().transport()) as client:
            ...         with TemporaryDirectory() as folder:
            ...             state = f"{folder}/state.sqlite3"
            ...             plan = await client.plan_upload("549", people, name="All", state=state)
            ...             print(plan.add, plan.calls, plan.customer_list_id)
            ...             report = await client.apply(plan, state=state)
            ...             print(report.created, report.added)
            >>> anyio.run(main)
            2 1 None
            True 2
        """
        from pinterest_audiences._jobs import lookup, plan, runner  # noqa: PLC0415 - when used
        from pinterest_audiences._jobs.keys import KeyedSource  # noqa: PLC0415

        self._check_usable()
        known = requests.parse_enum("operation", operation, OperationType)
        with KeyedSource(
            source,
            kind=kind,
            column=column,
            keep_unhashed=keep_unhashed,
            state=self._settings.job_state(state),
        ) as keys:
            options = self._job_options(state, None, retry_timeout, batch_size, expect_rows)
            selector = lookup.ListSelector(
                ad_account_id, customer_list_id, name, is_nca, allow_other_type
            )
            selector.check()
            upload_options = plan.UploadOptions(known, via, must_be_new, max_removal_share)
            upload_options.check(selector)
            await keys.aread()
            return await runner.plan_upload(options, selector, keys, upload_options, store=store)

    @overload
    async def plan_mirror(
        self,
        ad_account_id: str | int,
        source: SourceLike,
        *,
        customer_list_id: str | int,
        name: None = None,
        kind: IdentifierTypeLike = IdentifierType.EMAIL,
        column: Columns | None = None,
        keep_unhashed: bool = False,
        is_nca: bool | None = None,
        allow_other_type: bool = False,
        adopt: bool = False,
        max_removal_share: float = 0.2,
        match_rate: float | None = None,
        state: str | os.PathLike[str] | None = None,
        retry_timeout: float = 60.0,
        batch_size: int | None = None,
        expect_rows: float | str | None = None,
    ) -> Plan: ...

    @overload
    async def plan_mirror(
        self,
        ad_account_id: str | int,
        source: SourceLike,
        *,
        customer_list_id: None = None,
        name: str,
        kind: IdentifierTypeLike = IdentifierType.EMAIL,
        column: Columns | None = None,
        keep_unhashed: bool = False,
        is_nca: bool | None = None,
        allow_other_type: bool = False,
        adopt: bool = False,
        max_removal_share: float = 0.2,
        match_rate: float | None = None,
        state: str | os.PathLike[str] | None = None,
        retry_timeout: float = 60.0,
        batch_size: int | None = None,
        expect_rows: float | str | None = None,
    ) -> Plan: ...

    async def plan_mirror(
        self,
        ad_account_id: str | int,
        source: SourceLike,
        *,
        customer_list_id: str | int | None = None,
        name: str | None = None,
        kind: IdentifierTypeLike = IdentifierType.EMAIL,
        column: Columns | None = None,
        keep_unhashed: bool = False,
        is_nca: bool | None = None,
        allow_other_type: bool = False,
        adopt: bool = False,
        max_removal_share: float = 0.2,
        match_rate: float | None = None,
        state: str | os.PathLike[str] | None = None,
        retry_timeout: float = 60.0,
        batch_size: int | None = None,
        expect_rows: float | str | None = None,
    ) -> Plan:
        """Plan the changes that make a list hold exactly what a source holds, and apply none.

        Pinterest does not return who is on a list, so the source is compared with what the state
        file has of earlier jobs. Print the plan, store it as JSON, and pass it to :meth:`apply`. A
        newer plan or job of the list replaces it. Applying it supersedes the interrupted jobs of
        the list, except removals, which are finished first.

        Args:
            ad_account_id: 1 to 18 digits.
            source: As for :meth:`upload`.
            customer_list_id: The list, by its id or its name; it must exist.
            name: The name of a list; applying the plan creates it if there is none.
            kind: As for :meth:`upload`.
            column: As for :meth:`upload`.
            keep_unhashed: As for :meth:`upload`.
            is_nca: For a list that is created.
            allow_other_type: Add records of another type than the list was created with, such as
                device ids to a list of e-mail addresses.
            adopt: Treat a list that was not created by a job as empty. Members that it has already
                and that are not in the source stay on it.
            max_removal_share: A plan that removes more than this share (0 to 1) of the list is
                applied only with ``allow_removals``.
            match_rate: The share of records that you expect to match, for a warning if the list
                may be too small.
            state: As for :meth:`upload`.
            retry_timeout: Seconds for which the lookup of the list is retried.
            batch_size: As for :meth:`upload`.
            expect_rows: As for :meth:`upload`; a share is of the last mirror's rows.

        Returns:
            The plan.

        Raises:
            GuardError: The source has no records or fewer rows than expected, the list was not
                created by a job and is not adopted, or several lists have that name.
            ConfigurationError: An argument or a record cannot be used.
            SourceError: The source cannot be read to its end.
            TooManyRejectsError: The source has more rejected values than allowed.
            StateError: The state file cannot be used.
            ListBusyError: Another process is working on the list.
            CallError: The list could not be looked up.
        """
        from pinterest_audiences._jobs import lookup, plan, runner  # noqa: PLC0415 - when used
        from pinterest_audiences._jobs.keys import KeyedSource  # noqa: PLC0415

        self._check_usable()
        with KeyedSource(
            source,
            kind=kind,
            column=column,
            keep_unhashed=keep_unhashed,
            state=self._settings.job_state(state),
            whole=True,
        ) as keys:
            options = self._job_options(state, None, retry_timeout, batch_size, expect_rows)
            selector = lookup.ListSelector(
                ad_account_id, customer_list_id, name, is_nca, allow_other_type
            )
            selector.check()
            mirror_options = plan.MirrorOptions(adopt, max_removal_share, match_rate)
            mirror_options.check()
            await keys.aread()
            return await runner.plan_mirror(options, selector, keys, mirror_options)

    async def apply(
        self,
        plan: Plan,
        *,
        allow_removals: bool = False,
        allow_unreadable: bool = False,
        audience: str | None = None,
        wait: float = 0.0,
        state: str | os.PathLike[str] | None = None,
        on_event: OnEvent | None = None,
        retry_timeout: float = 7200.0,
        batch_size: int | None = None,
    ) -> JobReport:
        """Apply a plan: additions first, then removals.

        Args:
            plan: A plan of :meth:`plan_mirror` or :meth:`plan_upload`, or one that
                ``Plan.from_json`` has read.
            allow_removals: Allow a plan that removes more than its ``max_removal_share``.
            allow_unreadable: Allow removals although more rows could not be read than in the last
                mirror.
            audience: As for :meth:`upload`.
            wait: As for :meth:`upload`.
            state: The state file that the plan is in.
            on_event: As for :meth:`upload`.
            retry_timeout: As for :meth:`upload`.
            batch_size: As for :meth:`upload`.

        Returns:
            The report of the job.

        Raises:
            PlanError: The list has changed since the plan was made, or a newer plan replaced it.
            GuardError: It removes too much, or rows that could not be read may explain removals.
            StateError: The state file cannot be used.
            ListBusyError: Another process is working on the list.
            AudienceError: The job is done, but the audience could not be created, or was not ready
                in time; ``report`` has the figures.
            JobInterruptedError: The job stopped before it was done; it can be resumed.
        """
        from pinterest_audiences._jobs import audiences, runner  # noqa: PLC0415 - when used

        self._check_usable()
        allowed = runner.allowed_guards(
            allow_removals=allow_removals, allow_unreadable=allow_unreadable
        )
        after = audiences.AudienceOptions.checked(audience, wait)
        options = self._job_options(state, on_event, retry_timeout, batch_size, audience=after)
        return await runner.apply(options, plan, allowed=allowed)

    @overload
    async def mirror(
        self,
        ad_account_id: str | int,
        source: SourceLike,
        *,
        customer_list_id: str | int,
        name: None = None,
        kind: IdentifierTypeLike = IdentifierType.EMAIL,
        column: Columns | None = None,
        keep_unhashed: bool = False,
        is_nca: bool | None = None,
        allow_other_type: bool = False,
        adopt: bool = False,
        max_removal_share: float = 0.2,
        match_rate: float | None = None,
        allow_removals: bool = False,
        allow_unreadable: bool = False,
        audience: str | None = None,
        wait: float = 0.0,
        state: str | os.PathLike[str] | None = None,
        on_event: OnEvent | None = None,
        retry_timeout: float = 7200.0,
        batch_size: int | None = None,
        expect_rows: float | str | None = None,
    ) -> JobReport: ...

    @overload
    async def mirror(
        self,
        ad_account_id: str | int,
        source: SourceLike,
        *,
        customer_list_id: None = None,
        name: str,
        kind: IdentifierTypeLike = IdentifierType.EMAIL,
        column: Columns | None = None,
        keep_unhashed: bool = False,
        is_nca: bool | None = None,
        allow_other_type: bool = False,
        adopt: bool = False,
        max_removal_share: float = 0.2,
        match_rate: float | None = None,
        allow_removals: bool = False,
        allow_unreadable: bool = False,
        audience: str | None = None,
        wait: float = 0.0,
        state: str | os.PathLike[str] | None = None,
        on_event: OnEvent | None = None,
        retry_timeout: float = 7200.0,
        batch_size: int | None = None,
        expect_rows: float | str | None = None,
    ) -> JobReport: ...

    async def mirror(
        self,
        ad_account_id: str | int,
        source: SourceLike,
        *,
        customer_list_id: str | int | None = None,
        name: str | None = None,
        kind: IdentifierTypeLike = IdentifierType.EMAIL,
        column: Columns | None = None,
        keep_unhashed: bool = False,
        is_nca: bool | None = None,
        allow_other_type: bool = False,
        adopt: bool = False,
        max_removal_share: float = 0.2,
        match_rate: float | None = None,
        allow_removals: bool = False,
        allow_unreadable: bool = False,
        audience: str | None = None,
        wait: float = 0.0,
        state: str | os.PathLike[str] | None = None,
        on_event: OnEvent | None = None,
        retry_timeout: float = 7200.0,
        batch_size: int | None = None,
        expect_rows: float | str | None = None,
    ) -> JobReport:
        """Make a list hold exactly what a source holds: :meth:`plan_mirror`, then :meth:`apply`.

        The plan is applied at once, without being shown. Arguments, result and errors are those of
        :meth:`plan_mirror` and :meth:`apply`; ``retry_timeout`` is that of :meth:`apply`.
        """
        from pinterest_audiences._jobs import audiences, lookup, plan, runner  # noqa: PLC0415 - when used
        from pinterest_audiences._jobs.keys import KeyedSource  # noqa: PLC0415

        self._check_usable()
        with KeyedSource(
            source,
            kind=kind,
            column=column,
            keep_unhashed=keep_unhashed,
            state=self._settings.job_state(state),
            whole=True,
        ) as keys:
            after = audiences.AudienceOptions.checked(audience, wait)
            options = self._job_options(
                state, on_event, retry_timeout, batch_size, expect_rows, audience=after
            )
            allowed = runner.allowed_guards(
                allow_removals=allow_removals, allow_unreadable=allow_unreadable
            )
            selector = lookup.ListSelector(
                ad_account_id, customer_list_id, name, is_nca, allow_other_type
            )
            selector.check()
            mirror_options = plan.MirrorOptions(adopt, max_removal_share, match_rate)
            mirror_options.check()
            await keys.aread()
            return await runner.mirror(options, selector, keys, mirror_options, allowed=allowed)

    async def mirror_many(
        self,
        ad_account_id: str | int,
        sources: Mapping[str, SourceLike],
        *,
        max_at_once: int = 4,
        kind: IdentifierTypeLike = IdentifierType.EMAIL,
        column: Columns | None = None,
        keep_unhashed: bool = False,
        is_nca: bool | None = None,
        allow_other_type: bool = False,
        adopt: bool = False,
        max_removal_share: float = 0.2,
        match_rate: float | None = None,
        allow_removals: bool = False,
        allow_unreadable: bool = False,
        state: str | os.PathLike[str] | None = None,
        on_event: OnEvent | None = None,
        retry_timeout: float = 7200.0,
        batch_size: int | None = None,
        expect_rows: float | str | None = None,
    ) -> dict[str, JobReport]:
        """Make several lists hold exactly what their sources hold, under one rate limit.

        The sources are read one after another, and planned as by :meth:`plan_mirror`. Then the
        plans are applied concurrently. A list that fails does not stop the others. Writes to one
        list are sequential, so several lists take less time together than one after another.

        Args:
            ad_account_id: 1 to 18 digits.
            sources: The source of each list, by the name of the list, which is created if there is
                none, or by its id (digits). Sources are those of :meth:`upload`.
            max_at_once: The number of lists that are sent concurrently, 1 to 16.
            kind: As for :meth:`upload`; of all sources, like all that follow.
            column: As for :meth:`upload`.
            keep_unhashed: As for :meth:`upload`.
            is_nca: As for :meth:`upload`.
            allow_other_type: As for :meth:`upload`.
            adopt: As for :meth:`plan_mirror`.
            max_removal_share: As for :meth:`plan_mirror`.
            match_rate: As for :meth:`plan_mirror`.
            allow_removals: As for :meth:`apply`.
            allow_unreadable: As for :meth:`apply`.
            state: As for :meth:`upload`.
            on_event: As for :meth:`upload`; an event has the ``job_id`` and the list.
            retry_timeout: As for :meth:`upload`. After an outage of that length in one lookup, the
                lookups of the other lists are tried once.
            batch_size: As for :meth:`upload`.
            expect_rows: As for :meth:`plan_mirror`.

        Returns:
            The report of each list, by its key in ``sources``.

        Raises:
            ConfigurationError: An argument other than a source cannot be used; nothing was read.
            JobsFailedError: Some lists failed. It has their ``errors``, and the ``reports`` of the
                other lists, which are done. Interrupted jobs can be resumed.

        Example:
            >>> from tempfile import TemporaryDirectory
            >>> import anyio
            >>> from pinterest_audiences import AsyncClient
            >>> from pinterest_audiences.emulator import Emulator
            >>> lists = {"Kiel": ["ada@shop.example"], "Bonn": ["ben@shop.example"]}
            >>> async def main() -> None:
            ...     async with AsyncClient("token", transport=Emulator().transport()) as client:
            ...         with TemporaryDirectory() as folder:
            ...             state = f"{folder}/state.sqlite3"
            ...             reports = await client.mirror_many("549", lists, state=state)
            ...         print({name: report.added for name, report in reports.items()})
            >>> anyio.run(main)
            {'Kiel': 1, 'Bonn': 1}
        """
        from pinterest_audiences._jobs import lookup, plan, runner  # noqa: PLC0415 - when used
        from pinterest_audiences._jobs.job_context import MAX_LISTS_AT_ONCE  # noqa: PLC0415
        from pinterest_audiences._jobs.keys import KeyedSource, check_stored_kind  # noqa: PLC0415

        self._check_usable()
        account = operations.validate_id("ad_account_id", ad_account_id)
        _config.validate_mapping("sources", sources, "with the source of each list")
        check_stored_kind(kind)
        limit = _config.validate_integer("max_at_once", max_at_once, 1, MAX_LISTS_AT_ONCE)
        many = runner.MirrorPlans(
            self._job_options(state, on_event, retry_timeout, batch_size, expect_rows)
        )
        allowed = runner.allowed_guards(
            allow_removals=allow_removals, allow_unreadable=allow_unreadable
        )
        mirror_options = plan.MirrorOptions(adopt, max_removal_share, match_rate)
        mirror_options.check()
        for key, source in sources.items():
            with (
                many.catch_errors(key) as options,
                KeyedSource(
                    source,
                    kind=kind,
                    column=column,
                    keep_unhashed=keep_unhashed,
                    state=self._settings.job_state(state),
                    whole=True,
                ) as keys,
            ):
                selector = lookup.ListSelector.of(
                    account, key, is_nca=is_nca, allow_other_type=allow_other_type
                )
                selector.check()
                await keys.aread()
                many.plans[key] = await runner.plan_mirror(options, selector, keys, mirror_options)
        return await many.apply(allowed, limit)

    async def resume(
        self,
        ad_account_id: str | int,
        *,
        customer_list_id: str | int | None = None,
        state: str | os.PathLike[str] | None = None,
        on_event: OnEvent | None = None,
        retry_timeout: float = 7200.0,
        batch_size: int | None = None,
    ) -> list[JobReport]:
        """Finish the jobs that were interrupted; several lists side by side.

        Needs no source: what is left is in the state file. A batch whose answer was never heard is
        sent again, which changes no membership. A job with an ``audience`` gets it, after the
        ``wait`` it was started with; also one that is done except for its audience.

        Args:
            ad_account_id: 1 to 18 digits.
            customer_list_id: Only this list, by its id or its name.
            state: As for :meth:`upload`.
            on_event: As for :meth:`upload`.
            retry_timeout: As for :meth:`upload`.
            batch_size: As for :meth:`upload`.

        Returns:
            The reports of the jobs that were finished; none if there was nothing to do.

        Raises:
            JobNotFoundError: The state file has no such list.
            GuardError: It has several lists with that name.
            StateError: The state file cannot be used.
            ListBusyError: Another process works on one of the lists.
            JobInterruptedError: The only job stopped again.
            AudienceError: The only job is done, but its audience could not be created, or was not
                ready in time.
            JobsInterruptedError: Some lists failed, all their ``errors`` together with the
                ``reports`` of the jobs that were finished.
        """
        from pinterest_audiences._jobs import runner  # noqa: PLC0415 - when used

        self._check_usable()
        options = self._job_options(state, on_event, retry_timeout, batch_size)
        return await runner.resume(options, ad_account_id, customer_list_id)

    async def wait_until_ready(
        self,
        ad_account_id: str | int,
        customer_list_id: str | int,
        *,
        timeout: float = 172_800.0,  # noqa: ASYNC109 - it returns what was last seen
        poll_interval: float = 5.0,
        max_poll_interval: float = 300.0,
    ) -> CustomerList:
        """Wait until a list is READY or TOO_SMALL.

        Polls with growing gaps, and goes on over outages of Pinterest or the network. A state that
        this version does not know counts as work in progress. Pinterest is said to take up to 48
        hours.

        Args:
            ad_account_id: 1 to 18 digits.
            customer_list_id: Its id or its name.
            timeout: Seconds to wait at most.
            poll_interval: Seconds between the first two looks.
            max_poll_interval: Seconds between two looks at most.

        Returns:
            The list; see its ``status``.

        Raises:
            WaitTimeoutError: It was not done in time; holds the list as last seen.
            ConfigurationError: An argument is wrong.
            GuardError: No list or several lists have that name.
            CallError: It cannot be fetched, or could not be fetched once in that time.
        """
        from pinterest_audiences._jobs import audiences  # noqa: PLC0415 - when used

        self._check_usable()
        return await audiences.wait_until_ready(
            self._job_context(),
            ad_account_id,
            customer_list_id,
            timeout=_config.validate_number("timeout", timeout, above=0.0),
            poll_interval=_config.validate_number("poll_interval", poll_interval, above=0.0),
            max_poll_interval=_config.validate_number(
                "max_poll_interval", max_poll_interval, above=0.0
            ),
        )

    async def status(
        self,
        ad_account_id: str | int,
        *,
        customer_list_id: str | int | None = None,
        state: str | os.PathLike[str] | None = None,
    ) -> list[ListStatus]:
        """Return what the state file knows of lists and their jobs, without asking Pinterest.

        Args:
            ad_account_id: 1 to 18 digits.
            customer_list_id: Only this list, by its id or its name.
            state: As for :meth:`upload`.

        Returns:
            One for each list that jobs have worked on.

        Raises:
            JobNotFoundError: The state file has no list with that name.
            GuardError: It has several lists with that name.
            StateError: The state file cannot be used.
        """
        from pinterest_audiences._jobs import management  # noqa: PLC0415 - when used

        self._check_usable()
        return await management.status(self._job_options(state), ad_account_id, customer_list_id)

    async def forget(
        self,
        people: SourceLike,
        *,
        kind: IdentifierTypeLike = IdentifierType.EMAIL,
        ad_account_id: str | int | None = None,
        reference: str = "",
        state: str | os.PathLike[str] | None = None,
        on_event: OnEvent | None = None,
        retry_timeout: float = 7200.0,
        batch_size: int | None = None,
        expect_rows: int | str | None = None,
    ) -> ErasureReport:
        """Remove people from every list in the state file, and from the file itself.

        A plain identifier is looked for by all its hashes, a hash by itself. Rows are removed that
        hold one of them in any column. From lists that no job created all forms are removed,
        known to be there or not. Unfinished jobs are not waited for: they go on without these
        people. Of a list that is gone at Pinterest all that is known is erased.

        Args:
            people: One identifier (a string), or a list, a path object or anything else that
                :func:`open_source` takes; blank lines are ignored.
            kind: What they are.
            ad_account_id: Only lists of this account.
            reference: Yours, for the receipt; no personal data.
            state: As for :meth:`upload`.
            on_event: As for :meth:`upload`.
            retry_timeout: As for :meth:`upload`.
            batch_size: As for :meth:`upload`.
            expect_rows: The fewest rows that the source of people may have, a count; with fewer,
                nothing is sent.

        Returns:
            A receipt; see whether it is ``complete``.

        Raises:
            ConfigurationError: An argument cannot be used, or the source is limited.
            GuardError: The source has fewer rows than expected.
            SourceError: The source of people cannot be read to its end; nothing was sent.
            StateError: The state file cannot be used.
        """
        from pinterest_audiences._jobs import erasure  # noqa: PLC0415 - when used

        self._check_usable()
        options = self._job_options(state, on_event, retry_timeout, batch_size, expect_rows)
        targets = await erasure.aread_targets(people, kind, options.expect_rows)
        return await erasure.forget(options, targets, ad_account_id, reference)

    async def jobs(
        self,
        ad_account_id: str | int | None = None,
        *,
        state: str | os.PathLike[str] | None = None,
    ) -> list[JobReport]:
        """Return the reports of all jobs in the state file, oldest first, without asking Pinterest.

        Args:
            ad_account_id: Only jobs of this account, 1 to 18 digits.
            state: As for :meth:`upload`.

        Returns:
            A report for each job: its ``status``, when it ``started``, what is ``left`` of it and
            how many rows were ``rejected``.

        Raises:
            ConfigurationError: The account's id cannot be one.
            StateError: The state file cannot be used.
        """
        from pinterest_audiences._jobs import management  # noqa: PLC0415 - when used

        self._check_usable()
        return await management.jobs(self._job_options(state), ad_account_id)

    async def runs(
        self,
        ad_account_id: str | int | None = None,
        *,
        customer_list_id: str | int | None = None,
        name: str | None = None,
        limit: int | None = None,
        state: str | os.PathLike[str] | None = None,
    ) -> list[RunReport]:
        """Return the history of runs in the state file, newest first, without asking Pinterest.

        A run is a job that was started or resumed, or an upload or mirror that failed before its
        job could start, also while it was only planned. Dry runs that succeed are not in the
        history. It holds no records.

        Args:
            ad_account_id: Only runs of this account, 1 to 18 digits.
            customer_list_id: Only runs of this list, by its id or its name.
            name: Only runs of the list with this name.
            limit: The number of runs at most, 0 or more.
            state: As for :meth:`upload`.

        Returns:
            A report for each run: when it ``started``, its ``operation``, ``source`` and list, what
            was ``added``, ``removed`` and ``rejected``, the ``seconds`` it took, and its
            ``outcome``.

        Raises:
            ConfigurationError: An argument cannot be used.
            JobNotFoundError: The state file has no such list.
            GuardError: It has several lists with that name.
            StateError: The state file cannot be used.

        Example:
            >>> from tempfile import TemporaryDirectory
            >>> import anyio
            >>> from pinterest_audiences import AsyncClient
            >>> from pinterest_audiences.emulator import Emulator
            >>> async def main() -> None:
            ...     async with AsyncClient("token", transport=Emulator().transport()) as client:
            ...         with TemporaryDirectory() as folder:
            ...             state = f"{folder}/state.sqlite3"
            ...             _ = await client.upload("549", ["ann@shop.de"], name="All", state=state)
            ...             for run in await client.runs("549", state=state):
            ...                 print(run.operation, run.name, run.outcome, run.added)
            >>> anyio.run(main)
            upload All done 1
        """
        from pinterest_audiences._jobs import management  # noqa: PLC0415 - when used

        self._check_usable()
        return await management.runs(
            self._job_options(state), ad_account_id, customer_list_id, name, limit
        )

    async def abandon(
        self, job_id: str | int, *, state: str | os.PathLike[str] | None = None
    ) -> JobReport:
        """End an unfinished job for good, without asking Pinterest.

        What was acknowledged stays at Pinterest and in the state file. Records of a batch without
        an answer are in doubt: a later mirror removes them where they are not in its source. A
        removal that is abandoned is not made. A job that has ended stays as it is, but an audience
        that it lacks is not created by :meth:`resume` any more.

        Args:
            job_id: The job, as in ``JobReport.job_id`` and :meth:`jobs`.
            state: As for :meth:`upload`.

        Returns:
            The report, with the status ``abandoned``.

        Raises:
            ConfigurationError: It cannot be the id of a job.
            JobNotFoundError: The state file has no such job.
            ListBusyError: A process is working on its list.
            StateError: The state file cannot be used.

        Example:
            >>> from tempfile import TemporaryDirectory
            >>> import anyio
            >>> from pinterest_audiences import AsyncClient, JobInterruptedError
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator()
            >>> _ = emulator.fault("status", status=403, operation="customer_lists_create")
            >>> folder = TemporaryDirectory()
            >>> state = f"{folder.name}/state.sqlite3"
            >>> async def main() -> None:
            ...     async with AsyncClient("token", transport=emulator.transport()) as client:
            ...         try:
            ...             await client.upload("549", ["ann@shop.de"], name="All", state=state)
            ...         except JobInterruptedError as error:
            ...             report = await client.abandon(error.report.job_id, state=state)
            ...             print(report.status, report.dropped)
            >>> anyio.run(main)
            abandoned 1
            >>> folder.cleanup()
        """
        from pinterest_audiences._jobs import management  # noqa: PLC0415 - when used

        self._check_usable()
        return await management.abandon(self._job_options(state), job_id)

    @overload
    async def forget_list(
        self,
        ad_account_id: str | int,
        *,
        customer_list_id: str | int,
        name: None = None,
        state: str | os.PathLike[str] | None = None,
    ) -> ListStatus: ...

    @overload
    async def forget_list(
        self,
        ad_account_id: str | int,
        *,
        customer_list_id: None = None,
        name: str,
        state: str | os.PathLike[str] | None = None,
    ) -> ListStatus: ...

    async def forget_list(
        self,
        ad_account_id: str | int,
        *,
        customer_list_id: str | int | None = None,
        name: str | None = None,
        state: str | os.PathLike[str] | None = None,
    ) -> ListStatus:
        """Erase what the state file knows of a list that is gone at Pinterest.

        Digests, jobs and receipts are erased; Pinterest is asked nothing. Where the list is still
        there, its content is unknown afterwards, and a mirror has to adopt it.

        Args:
            ad_account_id: 1 to 18 digits.
            customer_list_id: The list, by its id or its name.
            name: Its name in the state file instead.
            state: As for :meth:`upload`.

        Returns:
            What was known of it.

        Raises:
            ConfigurationError: An id cannot be one, or not exactly one of id and name is given.
            JobNotFoundError: The state file has no such list.
            GuardError: It has several of that name.
            ListBusyError: A process is working on it.
            StateError: The state file cannot be used.
        """
        from pinterest_audiences._jobs import lookup, management  # noqa: PLC0415 - when used

        self._check_usable()
        selector = lookup.ListSelector(ad_account_id, customer_list_id, name)
        return await management.forget_list(self._job_options(state), selector)

    async def _list_id(self, ad_account_id: str | int, reference: str | int) -> str:
        """Return the id of a customer list that is given by its id or its name."""
        if operations.is_id(reference):
            return validate_id("customer_list_id", reference)
        return (await self.find_customer_list(ad_account_id, reference)).id

    def _pager(self, first: Call[Page[T]], bookmark: str | None) -> AsyncPager[T]:
        """Make the pager of a listing from the call of its first page."""
        requests.check_bookmark(bookmark)

        async def fetch(at: str | None) -> Page[T]:
            requests.check_bookmark(at)
            return await self._session.send(first if at is None else first.with_query(bookmark=at))

        return AsyncPager(fetch, bookmark, first.operation.name)

    def _job_context(self) -> JobContext:
        """Return what jobs need from this client."""
        from pinterest_audiences._jobs.job_context import JobContext  # noqa: PLC0415 - when used

        session = self._session
        return JobContext(
            self,
            session.clock,
            session.sleep,
            session.base_url,
            lambda: session.per_minute("ads_write"),
            lambda: session.awaits_local_server,
        )

    def _job_options(
        self,
        state: str | os.PathLike[str] | None = None,
        on_event: OnEvent | None = None,
        retry_timeout: float = 1.0,
        batch_size: int | None = None,
        expect_rows: float | str | None = None,
        *,
        audience: AudienceOptions | None = None,
    ) -> JobOptions:
        """Return the options of a job, with what it needs from this client."""
        from pinterest_audiences._jobs.runner import JobOptions  # noqa: PLC0415 - when used

        return JobOptions.checked(
            self._job_context(),
            state_path=self._settings.job_state(state),
            on_event=on_event,
            retry_timeout=retry_timeout,
            batch_size=batch_size,
            expect_rows=expect_rows,
            audience=audience,
        )

    async def _put_parts(self, upload: CreatedUpload, file: UploadFile, count: int) -> None:
        """Cut a file and send its parts to the addresses of an upload."""
        parts = await _threads.run_in_thread(split_file, file, count)
        for address, part in multipart.pair_parts(upload, parts):
            await self._part_uploader.put(address, parts, part)

    async def _upload_in_parts(
        self,
        ad_account_id: str | int,
        customer_list_id: str | int,
        file: UploadFile,
        *,
        operation: OperationTypeLike,
        total_parts: int | None,
        wait: float,
    ) -> CustomerListUpload:
        """Create an upload, send its parts, run it and wait until it has ended."""
        parts = await _threads.run_in_thread(split_file, file, total_parts)
        customer_list_id = await self._list_id(ad_account_id, customer_list_id)
        try:
            created = await self.customer_list_uploads_create(
                ad_account_id,
                customer_list_id,
                operation=operation,
                total_parts=len(parts.parts),
            )
        except APIError as error:
            if not multipart.is_access_denied(error):
                raise
            raise multipart.uploads_unavailable_error(error) from error
        for address, part in multipart.pair_parts(created, parts):
            await self._part_uploader.put(address, parts, part)
        ids = (ad_account_id, customer_list_id, created.customer_list_upload.id)
        deadline = self._clock.monotonic() + wait
        upload = await self._run_upload(ids, deadline)
        return await self._wait_for_upload(ids, upload, wait, deadline)

    async def _run_upload(self, ids: tuple[str | int, ...], deadline: float) -> CustomerListUpload:
        """Run an upload; where the response is lost, look up whether it runs."""
        try:
            return await self.customer_list_uploads_run(*ids)
        except CallError as error:
            if not error.maybe_applied:
                raise
            upload = await self._fetch_upload(ids, deadline)
            if upload.state == UploadState.NOT_STARTED:
                raise
            return upload

    async def _wait_for_upload(
        self, ids: tuple[str | int, ...], upload: CustomerListUpload, wait: float, deadline: float
    ) -> CustomerListUpload:
        """Poll an upload until it has ended; an unknown state is not an end."""
        polls = 0
        while upload.state not in multipart.TERMINAL_STATES:
            left = deadline - self._clock.monotonic()
            if left <= 0:
                raise multipart.upload_timeout_error(upload, wait)
            polls += 1
            await self._session.sleep(min(multipart.poll_interval(polls), left))
            try:
                upload = await self._fetch_upload(ids, deadline)
            except CallError as error:
                if not is_transient(error):
                    raise
                raise multipart.upload_timeout_error(upload, wait) from error
        if upload.state == UploadState.FAILED:
            raise multipart.upload_failed_error(upload)
        return upload

    async def _fetch_upload(
        self, ids: tuple[str | int, ...], deadline: float
    ) -> CustomerListUpload:
        """Fetch an upload, and retry through outages until the deadline."""
        polls = 0
        while True:
            try:
                return await self.customer_list_uploads_get(*ids)
            except CallError as error:
                left = deadline - self._clock.monotonic()
                if not is_transient(error) or left <= 0:
                    raise
                polls += 1
                interval = max(multipart.poll_interval(polls), retry_after(error) or 0.0)
                await self._session.sleep(min(left, interval))
