"""Listings that follow their bookmarks: nothing is fetched until somebody iterates.

The rules for following are in one place (:class:`_Walk`), which does no I/O; the awaiting and the
blocking iterators only fetch.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from operator import length_hint
from typing import Generic, Self, TypeVar

from pinterest_audiences.errors import ConfigurationError, PaginationError
from pinterest_audiences.models import Page

__all__ = ["AsyncItems", "AsyncPager", "AsyncPages", "Items", "Pager", "Pages"]

T = TypeVar("T")

# Pinterest does not say whether a page may be empty before the end, so empty ones are followed,
# but not for ever.
_MOST_EMPTY_PAGES = 100
# A sign for the end in older versions of Pinterest's API; no bookmark of v5 looks like it.
_END = "-end-"


class _Walk(Generic[T]):
    """Where a walk stands: which page comes next, and whether it may go on."""

    def __init__(self, bookmark: str | None, operation: str) -> None:
        self.next: str | None = bookmark
        self._operation = operation
        self.finished = False
        self._seen = {bookmark}
        self._empty = 0
        self._fault = ""

    def check(self) -> None:
        if self._fault:
            raise PaginationError(
                f"{self._operation}: the listing was ended here: {self._fault}",
                operation=self._operation,
            )

    def accept(self, page: Page[T]) -> Page[T]:
        """Take in the page that :attr:`next` fetched, and decide how to go on."""
        _complete(page, self.next)
        self.next = page.bookmark
        self.finished = page.bookmark is None
        if not self.finished:
            self._look_for_loops(page)
        return page

    def _look_for_loops(self, page: Page[T]) -> None:
        self._empty = 0 if page.items else self._empty + 1
        if page.bookmark in self._seen:
            self._fault = "a bookmark came that was followed before"
        elif self._empty >= _MOST_EMPTY_PAGES:
            self._fault = f"{self._empty} pages in a row were empty"
        self._seen.add(page.bookmark)


def _complete(page: Page[T], request_bookmark: str | None) -> Page[T]:
    """Tell a page how it was fetched, and give every sign of the end one form."""
    page.request_bookmark = request_bookmark
    if not page.bookmark or page.bookmark == _END:
        page.bookmark = None
    return page


class _PagesBase(Generic[T]):
    """What both page iterators know of their place."""

    def __init__(self, bookmark: str | None, operation: str) -> None:
        self._walk = _Walk[T](bookmark, operation)

    @property
    def bookmark(self) -> str | None:
        """Fetches the page that comes next; ``None`` before the first and after the last."""
        return self._walk.next

    @property
    def finished(self) -> bool:
        """Whether the last page has been given out."""
        return self._walk.finished


class _ItemsBase(Generic[T]):
    """What both item iterators know of their place."""

    def __init__(self, pages: _PagesBase[T]) -> None:
        self._place = pages
        self._page_bookmark = pages.bookmark
        self._left: Iterator[T] = iter(())

    @property
    def bookmark(self) -> str | None:
        """Where to resume without missing anything: pass it as ``bookmark=`` to the listing.

        It fetches the page in hand until that page's last item has been given out, then the next
        one: after a crash, items of one page may come twice and none is missed. ``None`` is the
        beginning, or the end: :attr:`finished` tells. Bookmarks mean nothing else, and Pinterest
        does not say how long they last.
        """
        return self._page_bookmark if length_hint(self._left) else self._place.bookmark

    @property
    def finished(self) -> bool:
        """Whether the last item has been given out."""
        return self._place.finished and not length_hint(self._left)

    def _turn_to(self, page: Page[T]) -> None:
        self._page_bookmark = page.request_bookmark
        self._left = iter(page.items)


class AsyncPages(_PagesBase[T]):
    """An asynchronous iterator over pages; :meth:`AsyncPager.by_page` makes it."""

    def __init__(
        self,
        fetch: Callable[[str | None], Awaitable[Page[T]]],
        bookmark: str | None = None,
        operation: str = "listing",
    ) -> None:
        super().__init__(bookmark, operation)
        self._fetch = fetch

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Page[T]:
        if self._walk.finished:
            raise StopAsyncIteration
        self._walk.check()
        return self._walk.accept(await self._fetch(self._walk.next))

    async def aclose(self) -> None:
        """Do nothing: nothing is held open between pages. For `contextlib.aclosing`."""


class AsyncItems(_ItemsBase[T]):
    """An asynchronous iterator over the items of all pages.

    After an error it may be asked again and goes on where it stood.
    """

    def __init__(self, pages: AsyncPages[T]) -> None:
        super().__init__(pages)
        self._pages = pages

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while True:
            for item in self._left:
                return item
            self._turn_to(await self._pages.__anext__())

    async def aclose(self) -> None:
        """Do nothing: nothing is held open between pages. For `contextlib.aclosing`."""


class AsyncPager(Generic[T]):
    """A listing to be iterated with ``async for``, as often as wanted, each time from the start.

    Example:
        >>> import anyio
        >>> from pinterest_audiences import AsyncClient
        >>> from pinterest_audiences.emulator import Emulator
        >>> async def main() -> None:
        ...     async with AsyncClient("token", transport=Emulator().transport()) as client:
        ...         await client.customer_lists_create("549", name="A", records="a@b.co")
        ...         async for customer_list in client.customer_lists_list("549"):
        ...             print(customer_list.name)
        >>> anyio.run(main)
        A
    """

    def __init__(
        self,
        fetch: Callable[[str | None], Awaitable[Page[T]]],
        bookmark: str | None = None,
        operation: str = "listing",
    ) -> None:
        """Wrap a function that fetches the page behind a bookmark (``None``: the first)."""
        self._fetch = fetch
        self._bookmark = bookmark
        self.operation = operation

    def __aiter__(self) -> AsyncItems[T]:
        return AsyncItems(self.by_page())

    def by_page(self) -> AsyncPages[T]:
        """Iterate over whole pages.

        Returns:
            An iterator of :class:`Page`; each carries the bookmark that fetched it and the one
            that fetches the next.
        """
        return AsyncPages(self._fetch, self._bookmark, self.operation)

    async def fetch(self, bookmark: str | None) -> Page[T]:
        """Fetch one page by itself.

        Args:
            bookmark: Which one; ``None`` is the first.

        Raises:
            CallError: It could not be fetched.
        """
        return _complete(await self._fetch(bookmark), bookmark)

    async def collect(self, limit: int | None = None) -> list[T]:
        """Gather the items in a list.

        Args:
            limit: Stop at so many items, 0 or more; ``None`` gathers all.

        Raises:
            ConfigurationError: The limit is not a whole number of 0 or more.
            PaginationError: The pages do not come to an end.
            CallError: A page could not be fetched.
        """
        found: list[T] = []
        if _checked_limit(limit) == 0:
            return found
        async for page in self.by_page():
            found += page.items
            if limit is not None and len(found) >= limit:
                return found[:limit]
        return found


class Pages(_PagesBase[T]):
    """An iterator over pages; :meth:`Pager.by_page` makes it."""

    def __init__(
        self,
        fetch: Callable[[str | None], Page[T]],
        bookmark: str | None = None,
        operation: str = "listing",
    ) -> None:
        super().__init__(bookmark, operation)
        self._fetch = fetch

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Page[T]:
        if self._walk.finished:
            raise StopIteration
        self._walk.check()
        return self._walk.accept(self._fetch(self._walk.next))


class Items(_ItemsBase[T]):
    """An iterator over the items of all pages; after an error it may be asked again."""

    def __init__(self, pages: Pages[T]) -> None:
        super().__init__(pages)
        self._pages = pages

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        while True:
            for item in self._left:
                return item
            self._turn_to(next(self._pages))


class Pager(Generic[T]):
    """A listing to be iterated with ``for``, as often as wanted, each time from the start.

    It crosses into the client's event loop once a page, not once an item.
    """

    def __init__(
        self,
        fetch: Callable[[str | None], Page[T]],
        bookmark: str | None = None,
        operation: str = "listing",
    ) -> None:
        """Wrap a function that fetches the page behind a bookmark (``None``: the first)."""
        self._fetch = fetch
        self._bookmark = bookmark
        self.operation = operation

    def __iter__(self) -> Items[T]:
        return Items(self.by_page())

    def by_page(self) -> Pages[T]:
        """Iterate over whole pages.

        Returns:
            An iterator of :class:`Page`; each carries the bookmark that fetched it and the one
            that fetches the next.
        """
        return Pages(self._fetch, self._bookmark, self.operation)

    def collect(self, limit: int | None = None) -> list[T]:
        """Gather the items in a list.

        Args:
            limit: Stop at so many items, 0 or more; ``None`` gathers all.

        Raises:
            ConfigurationError: The limit is not a whole number of 0 or more.
            PaginationError: The pages do not come to an end.
            CallError: A page could not be fetched.
        """
        found: list[T] = []
        if _checked_limit(limit) == 0:
            return found
        for page in self.by_page():
            found += page.items
            if limit is not None and len(found) >= limit:
                return found[:limit]
        return found


def _checked_limit(limit: object) -> int | None:
    if limit is None:
        return None
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
        raise ConfigurationError("limit: a whole number of 0 or more is needed, or None")
    return limit
