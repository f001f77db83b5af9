"""Pagination: listings that follow bookmarks, fetched lazily during iteration.

The state and its rules are in :class:`_PageCursor`, which does no I/O. The asynchronous and the
synchronous iterators only fetch. A state changes only after a page was decoded.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from operator import length_hint
from typing import Generic, Self, TypeVar

from pinterest_audiences._errors import ConfigurationError, PaginationError
from pinterest_audiences._models import Page

__all__ = ["AsyncItems", "AsyncPager", "AsyncPages", "Items", "Pager", "Pages"]

T = TypeVar("T")
# Whether a page before the last can be empty is not documented, so empty pages are followed, up to
# a limit.
_MAX_EMPTY_PAGES = 100
# The end marker of older versions of the API; bookmarks of v5 differ.
_END_BOOKMARK = "-end-"


class AsyncPager(Generic[T]):
    """A listing for ``async for``; each iteration starts from the beginning.

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
        """Wrap a function that fetches the page of a bookmark (``None``: the first)."""
        self._fetch = fetch
        self._bookmark = bookmark
        self.operation = operation

    def __repr__(self) -> str:
        return _pager_repr(self)

    def __aiter__(self) -> AsyncItems[T]:
        return AsyncItems(self.by_page())

    def by_page(self) -> AsyncPages[T]:
        """Iterate over whole pages.

        Returns:
            An iterator of :class:`Page`; each carries the bookmark that fetched it and the one
            that fetches the next.
        """
        return AsyncPages(self._fetch, self._bookmark, self.operation)

    async def fetch(self, bookmark: str | None = None) -> Page[T]:
        """Fetch one page.

        Args:
            bookmark: The bookmark of the page; without it, or with the ``None`` that the last page
                has, the page at which the listing begins.

        Raises:
            ConfigurationError: The bookmark is empty, or not a string.
            CallError: The page could not be fetched.

        Example:
            >>> import anyio
            >>> from pinterest_audiences import AsyncClient
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator()
            >>> ids = emulator.seed_lists("549", 3)
            >>> async def main() -> None:
            ...     async with AsyncClient("token", transport=emulator.transport()) as client:
            ...         pager = client.customer_lists_list("549", page_size=2)
            ...         page = await pager.fetch()
            ...         following = await pager.fetch(page.bookmark)
            ...         print(len(page.items), len(following.items))
            >>> anyio.run(main)
            2 1
        """
        bookmark = self._bookmark if bookmark is None else bookmark
        return _complete(await self._fetch(bookmark), bookmark)

    async def first(self) -> T | None:
        """Return the first item; ``None`` if the listing is empty.

        Raises:
            PaginationError: The listing does not end.
            CallError: A page could not be fetched.
        """
        async for page in self.by_page():
            for item in page.items:
                return item
        return None

    async def collect(self, limit: int | None = None) -> list[T]:
        """Return the items as a list.

        Args:
            limit: The maximum number of items, 0 or more; ``None`` for all.

        Raises:
            ConfigurationError: The limit is not an integer of 0 or more.
            PaginationError: The listing does not end.
            CallError: A page could not be fetched.
        """
        items: list[T] = []
        if _validate_limit(limit) == 0:
            return items
        async for page in self.by_page():
            items += page.items
            if limit is not None and len(items) >= limit:
                return items[:limit]
        return items


class Pager(Generic[T]):
    """A listing for ``for``; each iteration starts from the beginning.

    It calls into the event loop of the client once per page, not once per item.
    """

    def __init__(
        self,
        fetch: Callable[[str | None], Page[T]],
        bookmark: str | None = None,
        operation: str = "listing",
    ) -> None:
        """Wrap a function that fetches the page of a bookmark (``None``: the first)."""
        self._fetch = fetch
        self._bookmark = bookmark
        self.operation = operation

    def __repr__(self) -> str:
        return _pager_repr(self)

    def __iter__(self) -> Items[T]:
        return Items(self.by_page())

    def by_page(self) -> Pages[T]:
        """Iterate over whole pages.

        Returns:
            An iterator of :class:`Page`; each carries the bookmark that fetched it and the one
            that fetches the next.
        """
        return Pages(self._fetch, self._bookmark, self.operation)

    def fetch(self, bookmark: str | None = None) -> Page[T]:
        """Fetch one page.

        Args:
            bookmark: The bookmark of the page; without it, or with the ``None`` that the last page
                has, the page at which the listing begins.

        Raises:
            ConfigurationError: The bookmark is empty, or not a string.
            CallError: The page could not be fetched.

        Example:
            >>> from pinterest_audiences import Client
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator()
            >>> ids = emulator.seed_lists("549", 3)
            >>> with Client("token", transport=emulator.transport()) as client:
            ...     pager = client.customer_lists_list("549", page_size=2)
            ...     page = pager.fetch()
            ...     following = pager.fetch(page.bookmark)
            ...     print(len(page.items), len(following.items))
            2 1
        """
        bookmark = self._bookmark if bookmark is None else bookmark
        return _complete(self._fetch(bookmark), bookmark)

    def first(self) -> T | None:
        """Return the first item; ``None`` if the listing is empty.

        Raises:
            PaginationError: The listing does not end.
            CallError: A page could not be fetched.
        """
        for page in self.by_page():
            for item in page.items:
                return item
        return None

    def collect(self, limit: int | None = None) -> list[T]:
        """Return the items as a list.

        Args:
            limit: The maximum number of items, 0 or more; ``None`` for all.

        Raises:
            ConfigurationError: The limit is not an integer of 0 or more.
            PaginationError: The listing does not end.
            CallError: A page could not be fetched.
        """
        items: list[T] = []
        if _validate_limit(limit) == 0:
            return items
        for page in self.by_page():
            items += page.items
            if limit is not None and len(items) >= limit:
                return items[:limit]
        return items


def _pager_repr(pager: AsyncPager[T] | Pager[T]) -> str:
    """Name the listing; bookmarks are not shown, because they are opaque."""
    return f"<{type(pager).__name__} of {pager.operation}>"


class _PagesBase(Generic[T]):
    """The position of both page iterators."""

    def __init__(self, bookmark: str | None, operation: str) -> None:
        self._cursor: _PageCursor[T] = _PageCursor(bookmark, operation)

    @property
    def bookmark(self) -> str | None:
        """The bookmark of the next page; ``None`` before the first and after the last."""
        return self._cursor.next_bookmark

    @property
    def finished(self) -> bool:
        """Whether the last page was returned."""
        return self._cursor.finished


class _ItemsBase(Generic[T]):
    """The position of both item iterators."""

    def __init__(self, pages: _PagesBase[T]) -> None:
        self._position = pages  # the `_pages` of the subclasses
        self._page_bookmark = pages.bookmark
        self._left: Iterator[T] = iter(())

    @property
    def bookmark(self) -> str | None:
        """The bookmark to resume from: pass it as ``bookmark=`` to the listing.

        It is the bookmark of the current page until the last item of that page was returned, then
        of the next page. After a crash, items of one page may repeat and none is missed. ``None``
        is the beginning, or the end if :attr:`finished`. How long bookmarks stay valid is not
        documented.
        """
        return self._page_bookmark if length_hint(self._left) else self._position.bookmark

    @property
    def finished(self) -> bool:
        """Whether the last item was returned."""
        return self._position.finished and not length_hint(self._left)

    def _begin_page(self, page: Page[T]) -> None:
        self._page_bookmark = page.request_bookmark
        self._left = iter(page.items)


class AsyncPages(_PagesBase[T]):
    """An asynchronous iterator over pages, from :meth:`AsyncPager.by_page`."""

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
        if self._cursor.finished:
            raise StopAsyncIteration
        with self._cursor.fetching():
            return self._cursor.accept(await self._fetch(self._cursor.next_bookmark))

    async def aclose(self) -> None:
        """Do nothing, because no resource is open between pages. For `contextlib.aclosing`."""


class AsyncItems(_ItemsBase[T]):
    """An asynchronous iterator over the items of all pages.

    After an error, iteration can continue from the same position.
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
            self._begin_page(await self._pages.__anext__())

    async def aclose(self) -> None:
        """Do nothing, because no resource is open between pages. For `contextlib.aclosing`."""


class Pages(_PagesBase[T]):
    """An iterator over pages, from :meth:`Pager.by_page`."""

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
        if self._cursor.finished:
            raise StopIteration
        with self._cursor.fetching():
            return self._cursor.accept(self._fetch(self._cursor.next_bookmark))


class Items(_ItemsBase[T]):
    """An iterator over the items of all pages; it can continue after an error."""

    def __init__(self, pages: Pages[T]) -> None:
        super().__init__(pages)
        self._pages = pages

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        while True:
            for item in self._left:
                return item
            self._begin_page(next(self._pages))


class _PageCursor(Generic[T]):
    """The position in a listing: the next page, and whether it can continue."""

    def __init__(self, bookmark: str | None, operation: str) -> None:
        self.next_bookmark: str | None = bookmark
        self._operation = operation
        self.finished = False
        self._seen = {bookmark}
        self._empty = 0
        self._problem = ""
        self._busy = False

    @contextmanager
    def fetching(self) -> Generator[None, None, None]:
        """Hold the position while a page is fetched, because two at once would get the same page.

        Raises:
            PaginationError: Another task or thread is fetching, or the listing does not end.
        """
        if self._busy:
            raise PaginationError(
                f"{self._operation}: another task or thread is waiting for the next page of this"
                " iterator; use one iterator per task (iterate over the listing again), or a lock",
                operation=self._operation,
            )
        if self._problem:
            raise PaginationError(
                f"{self._operation}: the listing does not end: {self._problem}",
                operation=self._operation,
            )
        self._busy = True
        try:
            yield
        finally:
            self._busy = False

    def accept(self, page: Page[T]) -> Page[T]:
        """Accept the page of :attr:`next_bookmark`, and find the next one."""
        _complete(page, self.next_bookmark)
        self.next_bookmark = page.bookmark
        self.finished = page.bookmark is None
        if not self.finished:
            self._check_progress(page)
        return page

    def _check_progress(self, page: Page[T]) -> None:
        self._empty = 0 if page.items else self._empty + 1
        if page.bookmark in self._seen:
            self._problem = "a bookmark was repeated"
        elif self._empty >= _MAX_EMPTY_PAGES:
            self._problem = f"{self._empty} pages in a row were empty"
        self._seen.add(page.bookmark)


def _complete(page: Page[T], request_bookmark: str | None) -> Page[T]:
    """Add the request bookmark to a page, and replace every end marker by None."""
    page.request_bookmark = request_bookmark
    if not page.bookmark or page.bookmark == _END_BOOKMARK:
        page.bookmark = None
    return page


def _validate_limit(limit: object) -> int | None:
    if limit is None:
        return None
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
        raise ConfigurationError("limit must be an integer of 0 or more, or None", param="limit")
    return limit
