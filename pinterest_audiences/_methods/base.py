"""What the methods of a client stand on."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pinterest_audiences._wire import queries
from pinterest_audiences.models import Page
from pinterest_audiences.pagination import AsyncPager, Pager

if TYPE_CHECKING:
    from pinterest_audiences._wire.clock import Clock
    from pinterest_audiences._wire.operations import Call
    from pinterest_audiences._wire.portal import Portal
    from pinterest_audiences._wire.session import Session
    from pinterest_audiences._wire.storage import Storage
    from pinterest_audiences.client import AsyncClient

__all__ = ["AsyncMethods", "Methods"]

T = TypeVar("T")


class AsyncMethods:
    """Awaited methods: they make a call of the table and send it through the session."""

    _session: Session
    _storage: Storage
    _clock: Clock

    def _pager(self, first: Call[Page[T]], bookmark: str | None) -> AsyncPager[T]:
        """Make the pager of a listing from the call of its first page."""
        queries.check_bookmark(bookmark)

        async def fetch(at: str | None) -> Page[T]:
            return await self._session.send(first if at is None else first.with_query(bookmark=at))

        return AsyncPager(fetch, bookmark, first.operation.name)


class Methods:
    """Blocking methods: each runs its awaited twin in the client's own thread."""

    _client: AsyncClient
    _portal: Portal

    def _blocking(self, pager: AsyncPager[T], bookmark: str | None) -> Pager[T]:
        """Make the blocking form of a pager, which crosses the thread once a page."""
        return Pager(lambda at: self._portal.call(pager.fetch, at), bookmark, pager.operation)
