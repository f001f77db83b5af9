"""The awaiting client: one method for each operation of the API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pinterest_audiences._methods.accounts import AsyncAccounts
from pinterest_audiences._methods.audiences import AsyncAudiences
from pinterest_audiences._methods.jobs import AsyncJobs
from pinterest_audiences._methods.oauth import AsyncOAuth
from pinterest_audiences._methods.uploads import AsyncUploads
from pinterest_audiences._wire import settings
from pinterest_audiences._wire.clock import Clock
from pinterest_audiences._wire.retry import RetryPolicy
from pinterest_audiences._wire.session import Session
from pinterest_audiences._wire.storage import Storage
from pinterest_audiences.auth.sources import token_source

if TYPE_CHECKING:
    import httpx

    from pinterest_audiences.auth.tokens import TokenSource

__all__ = ["AsyncClient"]


class AsyncClient(AsyncJobs, AsyncUploads, AsyncAudiences, AsyncAccounts, AsyncOAuth):
    """Pinterest's customer lists and audiences, awaited. Runs on asyncio and on trio.

    Args:
        access_token: An access token, a function that returns one (or an awaitable of one), or a
            :class:`TokenSource`. Without it, what :func:`token_from_environment` finds.
        base_url: Where the API is; plain http for loopback hosts only. Without it,
            ``PINTEREST_API_URI``, then ``https://api.pinterest.com/v5``.
        timeout: Seconds for each attempt to connect (5 at most), write, and read between two
            pieces of the answer. ``None`` waits for ever. To limit a whole call, use
            ``anyio.fail_after``.
        max_retries: How often a call is sent again after the first time, 0 or more.
        max_wait: The longest single wait in seconds that Pinterest may ask for; a longer one
            raises :class:`RateLimitError` at once.
        transport: An httpx transport: the place for a proxy, a CA of your own, a mock, or the
            emulator. The client closes it.
        clock: Where time, sleep and chance come from; for tests.

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
        base_url: str | None = None,
        timeout: float | None = 30.0,
        max_retries: int = 4,
        max_wait: float = 120.0,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        policy = RetryPolicy(
            max_retries=settings.whole_number("max_retries", max_retries, 0, 100),
            max_wait=settings.number("max_wait", max_wait, above=0.0),
        )
        self._clock = clock or Clock()
        self._session = Session(
            base_url=settings.base_url(base_url),
            tokens=token_source(access_token, base_url, own_transport=transport is not None),
            timeout=settings.timeout(timeout),
            policy=policy,
            transport=transport,
            clock=self._clock,
        )
        self._storage = Storage(
            check_usable=self._session.check_usable,
            timeout=timeout,
            policy=policy,
            transport=transport,
            clock=self._clock,
        )

    async def __aenter__(self) -> Self:
        self._session.check_usable()
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
        await self._session.aclose()
        await self._storage.aclose()
