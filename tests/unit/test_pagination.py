"""Listings of both clients: completeness, termination, bookmarks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Generic, Protocol, TypeVar, cast

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinterest_audiences import (
    AsyncClient,
    AsyncPager,
    Client,
    ConfigurationError,
    Page,
    Pager,
    PaginationError,
    ServerError,
)
from pinterest_audiences.emulator import Emulator

pytestmark = pytest.mark.anyio

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
ACCOUNT = "549755885175"


class Listing:
    """A listing as data: the page of each bookmark. It counts fetches, and fails on demand."""

    def __init__(self, *pages: Page[int]) -> None:
        self.pages: dict[str | None, Page[int]] = dict(
            zip([None, *(page.bookmark for page in pages)], pages, strict=False)
        )
        self.fetched: list[str | None] = []
        self.failures = 0

    def fetch(self, bookmark: str | None) -> Page[int]:
        if self.failures:
            self.failures -= 1
            raise ServerError(status=503)
        self.fetched.append(bookmark)
        page = self.pages[bookmark]
        return Page(list(page.items), page.bookmark)  # a fresh one, as every answer is

    async def fetch_later(self, bookmark: str | None) -> Page[int]:
        await anyio.lowlevel.checkpoint()
        return self.fetch(bookmark)


def listing(*sizes: int) -> Listing:
    """Create pages of the given sizes; bookmarks are b1, b2 and so on."""
    ends = [sum(sizes[: index + 1]) for index in range(len(sizes))]
    return Listing(
        *(
            Page(
                list(range(end - size, end)),
                None if index == len(sizes) - 1 else f"b{index + 1}",
            )
            for index, (size, end) in enumerate(zip(sizes, ends, strict=True))
        )
    )


class Placed(Protocol[T_co]):
    """An iterator with a bookmark."""

    @property
    @abstractmethod
    def bookmark(self) -> str | None: ...

    @property
    @abstractmethod
    def finished(self) -> bool: ...


class Walker(Generic[T]):
    """A pager of either client behind one interface."""

    def __init__(self, pager: AsyncPager[T] | Pager[T]) -> None:
        self.pager = pager

    def items(self) -> Placed[T]:
        pager = self.pager
        return pager.__aiter__() if isinstance(pager, AsyncPager) else iter(pager)

    def pages(self) -> Placed[Page[T]]:
        return self.pager.by_page()

    async def collect(self, limit: int | None = None) -> list[T]:
        found = self.pager.collect(limit)
        return found if isinstance(found, list) else await found

    async def fetch(self, *bookmark: str | None) -> Page[T]:
        page = self.pager.fetch(*bookmark)
        return page if isinstance(page, Page) else await page

    async def first(self) -> T | None:
        pager = self.pager
        return await pager.first() if isinstance(pager, AsyncPager) else pager.first()


END = object()


async def ask(iterator: Placed[T]) -> T:
    """Return the next item, or END."""
    try:
        if hasattr(iterator, "__anext__"):
            return await cast("AsyncIterator[T]", iterator).__anext__()
        return next(cast("Iterator[T]", iterator))
    except (StopAsyncIteration, StopIteration):
        return cast("T", END)


async def rest(iterator: Placed[T]) -> list[T]:
    """Return all remaining items."""
    found: list[T] = []
    while (item := await ask(iterator)) is not END:
        found.append(item)
    return found


Kind = type[AsyncPager[int]] | type[Pager[int]]


def walker(kind: Kind, source: Listing, bookmark: str | None = None) -> Walker[int]:
    """Create a pager of one client over a listing."""
    if issubclass(kind, AsyncPager):
        return Walker(AsyncPager(source.fetch_later, bookmark))
    return Walker(Pager(source.fetch, bookmark))


kinds = pytest.mark.parametrize("kind", [AsyncPager, Pager], ids=["awaiting", "blocking"])


@kinds
async def test_iteration_returns_all_items_in_order(kind: Kind) -> None:
    """Each page is fetched once, and not before its first item."""
    source = listing(2, 3, 1)
    items = walker(kind, source).items()
    assert source.fetched == []
    assert [await ask(items), await ask(items)] == [0, 1]
    assert source.fetched == [None]
    assert await rest(items) == [2, 3, 4, 5]
    assert source.fetched == [None, "b1", "b2"]
    assert await rest(items) == []
    assert source.fetched == [None, "b1", "b2"]


@kinds
async def test_nothing_is_fetched_before_iteration(kind: Kind) -> None:
    """Creating pager and iterators, and reading their bookmarks, sends nothing."""
    source = listing(1)
    walk = walker(kind, source)
    for iterator in (walk.items(), walk.pages()):
        assert (iterator.bookmark, iterator.finished) == (None, False)
    assert source.fetched == []


@kinds
async def test_pager_can_be_iterated_repeatedly(kind: Kind) -> None:
    """From the start each time, also during another iteration."""
    source = listing(2, 2)
    walk = walker(kind, source)
    first = walk.items()
    assert [await ask(first) for _ in range(3)] == [0, 1, 2]
    assert await rest(walk.items()) == [0, 1, 2, 3]
    assert await rest(walk.items()) == [0, 1, 2, 3]
    assert await rest(first) == [3]


@kinds
async def test_for_loop_over_a_started_iterator_continues(kind: Kind) -> None:
    for iterator in (walker(kind, listing(1)).items(), walker(kind, listing(1)).pages()):
        again = iterator.__aiter__() if hasattr(iterator, "__aiter__") else iter(iterator)  # type: ignore[call-overload]  # one of the two
        assert again is iterator


@kinds
async def test_page_has_its_own_and_the_next_bookmark(kind: Kind) -> None:
    pages = await rest(walker(kind, listing(2, 1, 1)).pages())
    assert [(p.request_bookmark, p.items, p.bookmark) for p in pages] == [
        (None, [0, 1], "b1"),
        ("b1", [2], "b2"),
        ("b2", [3], None),
    ]


@kinds
async def test_iteration_starts_at_a_bookmark(kind: Kind) -> None:
    source = listing(2, 1, 1)
    walk = walker(kind, source, "b1")
    assert walk.pages().bookmark == walk.items().bookmark == "b1"
    pages = await rest(walk.pages())
    assert [(p.request_bookmark, p.items, p.bookmark) for p in pages] == [
        ("b1", [2], "b2"),
        ("b2", [3], None),
    ]
    assert await rest(walk.items()) == await walk.collect() == [2, 3]


@kinds
async def test_page_iterator_has_the_bookmark_of_the_next_page(kind: Kind) -> None:
    """At the end it has none and is finished."""
    pages = walker(kind, listing(2, 0, 1)).pages()
    places = [(pages.bookmark, pages.finished)]
    while await ask(pages) is not END:
        places.append((pages.bookmark, pages.finished))
    assert places == [(None, False), ("b1", False), ("b2", False), (None, True)]


@kinds
async def test_bookmark_of_an_item_iterator_is_that_of_the_current_page(kind: Kind) -> None:
    """It changes with the last item of a page."""
    items = walker(kind, listing(2, 0, 1, 2)).items()
    places = [(items.bookmark, items.finished)]
    while await ask(items) is not END:
        places.append((items.bookmark, items.finished))
    assert places == [
        (None, False),  # nothing given out yet
        (None, False),  # 0: 1 is left on the first page
        ("b1", False),  # 1
        ("b3", False),  # 2, behind an empty page
        ("b3", False),  # 3: 4 is left on the last page
        (None, True),  # 4
    ]


sizes = st.lists(st.integers(min_value=0, max_value=4), min_size=1, max_size=8)


def run(function: object, *args: object) -> None:
    """Run a coroutine function on both event loops."""
    for backend in ("asyncio", "trio"):
        anyio.run(function, *args, backend=backend)  # type: ignore[arg-type]


@pytest.mark.slow
@kinds
@given(sizes=sizes, data=st.data())
def test_iteration_resumed_at_a_bookmark_misses_no_item(
    kind: Kind, sizes: list[int], data: st.DataObject
) -> None:
    """After any item; only items of one page repeat."""
    total = sum(sizes)
    stop = data.draw(st.integers(min_value=0, max_value=total))

    async def main() -> None:
        source = listing(*sizes)
        items = walker(kind, source).items()
        before = [await ask(items) for _ in range(stop)]
        if items.finished:
            assert before == list(range(total))
            return
        after = await rest(walker(kind, source, items.bookmark).items())
        repeated = stop - (total - len(after))
        assert after == list(range(stop - repeated, total))
        assert 0 <= repeated < max(sizes, default=1) or repeated == 0

    run(main)


@pytest.mark.slow
@kinds
@given(sizes=sizes, data=st.data())
def test_iterator_continues_after_errors(kind: Kind, sizes: list[int], data: st.DataObject) -> None:
    """It neither misses nor repeats an item, however often a page fails."""
    fails = data.draw(st.lists(st.booleans(), max_size=2 * len(sizes)))

    async def main() -> None:
        source = listing(*sizes)
        moods = iter(fails)
        items = walker(kind, source).items()
        found: list[int] = []
        while True:
            source.failures = int(next(moods, False))
            place = (items.bookmark, items.finished)
            try:
                item = await ask(items)
            except ServerError:
                assert (items.bookmark, items.finished) == place
                continue
            if item is END:
                break
            found.append(item)
        assert found == list(range(sum(sizes)))
        assert source.fetched == list(source.pages)

    run(main)


@kinds
async def test_page_iterator_requests_the_failed_page_again(kind: Kind) -> None:
    source = listing(1, 1, 1)
    pages = walker(kind, source).pages()
    await ask(pages)
    source.failures = 2
    for _ in range(2):
        with pytest.raises(ServerError):
            await ask(pages)
        assert pages.bookmark == "b1"
        assert not pages.finished
    assert [page.items for page in await rest(pages)] == [[1], [2]]
    assert source.fetched == [None, "b1", "b2"]


async def test_iterator_continues_after_a_cancellation() -> None:
    """It fetches the interrupted page again."""
    source = listing(2, 2)
    hang = anyio.Event()
    started: list[str | None] = []

    async def fetch(bookmark: str | None) -> Page[int]:
        started.append(bookmark)
        if bookmark is not None and not hang.is_set():
            scope.cancel()
            await hang.wait()
        return source.fetch(bookmark)

    items = AsyncPager(fetch).__aiter__()
    found: list[int] = []
    with anyio.CancelScope() as scope:
        async for item in items:
            found.append(item)  # noqa: PERF401 - what was found before the cancellation counts
    assert scope.cancelled_caught
    assert (found, items.bookmark, items.finished) == ([0, 1], "b1", False)
    hang.set()
    assert [item async for item in items] == [2, 3]
    assert started == [None, "b1", "b1"]


@kinds
@pytest.mark.parametrize("end", [None, "", "-end-"], ids=repr)
async def test_missing_empty_or_legacy_end_bookmark_ends_the_listing(
    kind: Kind, end: str | None
) -> None:
    source = Listing(Page([0], "b1"), Page([1], end))
    pages = await rest(walker(kind, source).pages())
    assert [(page.items, page.bookmark) for page in pages] == [([0], "b1"), ([1], None)]
    items = walker(kind, source).items()
    assert await rest(items) == [0, 1]
    assert (items.bookmark, items.finished) == (None, True)
    assert await walker(kind, source).collect() == [0, 1]
    assert source.fetched == [None, "b1"] * 3


@kinds
async def test_empty_listing_is_one_page_without_items(kind: Kind) -> None:
    source = listing(0)
    items = walker(kind, source).items()
    assert await rest(items) == []
    assert items.finished
    assert source.fetched == [None]


@kinds
async def test_empty_page_with_bookmark_is_followed(kind: Kind) -> None:
    source = listing(0, 1, 0, 0, 1, 0)
    assert await rest(walker(kind, source).items()) == [0, 1]
    assert len(await rest(walker(kind, source).pages())) == 6
    assert await walker(kind, source).collect() == [0, 1]


@kinds
async def test_99_empty_pages_are_followed(kind: Kind) -> None:
    """The limit is on consecutive empty pages; a page with an item resets the count."""
    source = listing(*[0] * 99, 1, *[0] * 99, 1)
    assert await rest(walker(kind, source).items()) == [0, 1]
    assert len(source.fetched) == 200


@kinds
async def test_100_consecutive_empty_pages_are_an_error(kind: Kind) -> None:
    source = listing(1, *[0] * 150)
    items = walker(kind, source).items()
    assert await ask(items) == 0
    for _ in range(3):
        with pytest.raises(PaginationError, match="100 pages in a row were empty"):
            await ask(items)
    assert not items.finished
    assert items.bookmark == "b101"
    assert len(source.fetched) == 101
    with pytest.raises(PaginationError):
        await walker(kind, source).collect()


@kinds
async def test_100th_empty_page_without_bookmark_is_the_end(kind: Kind) -> None:
    source = listing(*[0] * 100)
    assert await rest(walker(kind, source).items()) == []


LOOPS = {
    "of the page before": [Page([0], "b1"), Page([1], "b1")],
    "of an earlier page": [Page([0], "b1"), Page([1], "b2"), Page([2], "b1")],
    "through an empty page": [Page([0], "b1"), Page([1], "b2"), Page([], "b1")],
}


@kinds
@pytest.mark.parametrize("pages", LOOPS.values(), ids=LOOPS)
async def test_repeated_bookmark_raises_after_its_page(kind: Kind, pages: list[Page[int]]) -> None:
    """At each further request."""
    source = Listing(*pages)
    source.pages = dict(zip([None, "b1", "b2"], pages, strict=False))
    wanted = [item for page in pages for item in page.items]
    items = walker(kind, source).items()
    assert [await ask(items) for _ in wanted] == wanted
    for _ in range(3):
        with pytest.raises(PaginationError, match="a bookmark was repeated"):
            await ask(items)
    assert not items.finished
    assert len(source.fetched) == len(pages)
    by_page = walker(kind, source).pages()
    assert [(await ask(by_page)).items for _ in pages] == [page.items for page in pages]
    for _ in range(3):
        with pytest.raises(PaginationError):
            await ask(by_page)
    assert len(source.fetched) == 2 * len(pages)
    with pytest.raises(PaginationError):
        await walker(kind, source).collect()


@kinds
async def test_start_bookmark_counts_as_seen(kind: Kind) -> None:
    """Returning to the start is a loop, too."""
    source = Listing()
    source.pages = {"b1": Page([1], "b2"), "b2": Page([2], "b1")}
    items = walker(kind, source, "b1").items()
    assert [await ask(items), await ask(items)] == [1, 2]
    with pytest.raises(PaginationError):
        await ask(items)
    assert source.fetched == ["b1", "b2"]


@kinds
async def test_new_iteration_has_no_seen_bookmarks(kind: Kind) -> None:
    """A second iteration is not a loop."""
    walk = walker(kind, listing(1, 1, 1))
    assert await walk.collect() == await walk.collect() == [0, 1, 2]


@kinds
@pytest.mark.parametrize(
    ("limit", "pages"),
    [(None, 3), (0, 0), (1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (6, 3), (100, 3)],
)
async def test_collect_with_limit_fetches_no_surplus_page(
    kind: Kind, limit: int | None, pages: int
) -> None:
    source = listing(2, 2, 2)
    assert await walker(kind, source).collect(limit) == list(range(6))[:limit]
    assert len(source.fetched) == pages


@kinds
@pytest.mark.parametrize("limit", [-1, True, False, 1.0, "1", float("nan")])
async def test_invalid_limit_is_refused_before_fetching(kind: Kind, limit: int) -> None:
    source = listing(1)
    with pytest.raises(ConfigurationError, match="limit must be an integer of 0 or more") as caught:
        await walker(kind, source).collect(limit)
    assert caught.value.param == "limit"
    assert source.fetched == []


@kinds
async def test_collect_raises_the_error_of_a_page(kind: Kind) -> None:
    """It never returns an incomplete list."""
    source = listing(1, 1)
    source.failures = 1
    with pytest.raises(ServerError):
        await walker(kind, source).collect()


@kinds
async def test_collected_lists_are_independent(kind: Kind) -> None:
    """Changing one does not change a later one."""
    walk = walker(kind, listing(2))
    (await walk.collect()).clear()
    assert await walk.collect() == [0, 1]


@kinds
async def test_fetch_returns_one_page_with_both_bookmarks(kind: Kind) -> None:
    """The first page of the listing, or the page of a bookmark."""
    source = Listing(Page([0], "b1"), Page([1], ""))
    pager = walker(kind, source)
    assert await pager.fetch() == Page([0], bookmark="b1", request_bookmark=None)
    assert await pager.fetch(None) == Page([0], bookmark="b1", request_bookmark=None)
    assert await pager.fetch("b1") == Page([1], bookmark=None, request_bookmark="b1")
    assert source.fetched == [None, None, "b1"]


@kinds
async def test_fetch_of_a_listing_with_a_bookmark_returns_its_page(
    kind: Kind,
) -> None:
    """Not the first page of all."""
    source = Listing(Page([0], "b1"), Page([1]))
    assert (await walker(kind, source, "b1").fetch()).items == [1]
    assert source.fetched == ["b1"]


@kinds
@pytest.mark.parametrize(
    ("sizes", "item", "pages"),
    [((2, 1), 0, 1), ((0, 0, 2, 1), 0, 3), ((0,), None, 1), ((0, 0), None, 2)],
)
async def test_first_returns_the_first_item_or_none(
    kind: Kind, sizes: tuple[int, ...], item: int | None, pages: int
) -> None:
    """Without surplus pages; empty pages with a bookmark are followed."""
    source = listing(*sizes)
    assert await walker(kind, source).first() == item
    assert len(source.fetched) == pages


@kinds
async def test_first_of_a_listing_that_repeats_a_bookmark_raises(kind: Kind) -> None:
    """The checks of an iteration apply."""
    source = Listing(Page([], "b1"), Page([], "b1"))
    with pytest.raises(PaginationError, match="a bookmark was repeated"):
        await walker(kind, source).first()


@kinds
def test_repr_of_a_pager_names_its_listing_and_no_bookmark(kind: Kind) -> None:
    """Without fetching."""
    source = listing(1)
    pager = (
        AsyncPager(source.fetch_later, "opaque", "audiences_list")
        if issubclass(kind, AsyncPager)
        else Pager(source.fetch, "opaque", "audiences_list")
    )
    assert repr(pager) == f"<{kind.__name__} of audiences_list>"
    assert source.fetched == []


async def test_aclosing_accepts_iterators() -> None:
    """Like asynchronous generators; closing has no effect."""
    pager = AsyncPager(listing(2, 2).fetch_later)
    async with aclosing(pager.__aiter__()) as items:
        async for item in items:
            if item == 1:
                break
    assert [item async for item in items] == [2, 3]
    async with aclosing(pager.by_page()) as pages:
        async for page in pages:
            assert page.items == [0, 1]
            break
    assert [page.items async for page in pages] == [[2, 3]]


def asked(emulator: Emulator) -> int:
    return len(emulator.requests)


async def test_pager_of_a_client_sends_one_request_per_page_on_iteration() -> None:
    """Counted by the emulator."""
    emulator = Emulator(rate_limits=None)
    ids = emulator.seed_lists(ACCOUNT, 5)
    async with AsyncClient("t", transport=emulator.transport()) as client:
        pager = client.customer_lists_list(ACCOUNT, page_size=2, order="ASCENDING")
        items, pages = pager.__aiter__(), pager.by_page()
        assert asked(emulator) == 0
        assert [each.id async for each in items] == list(ids)
        assert asked(emulator) == 3
        assert [len(page.items) async for page in pages] == [2, 2, 1]
        assert asked(emulator) == 6
        assert [each.id for each in await pager.collect(3)] == list(ids[:3])
        assert asked(emulator) == 8


def test_pager_of_the_sync_client_sends_requests_on_iteration() -> None:
    """Counted by the emulator."""
    emulator = Emulator(rate_limits=None)
    ids = emulator.seed_lists(ACCOUNT, 5)
    with Client("t", transport=emulator.transport()) as client:
        pager = client.customer_lists_list(ACCOUNT, page_size=2, order="ASCENDING")
        items, pages = iter(pager), pager.by_page()
        assert asked(emulator) == 0
        assert [each.id for each in items] == list(ids)
        assert asked(emulator) == 3
        assert [len(page.items) for page in pages] == [2, 2, 1]
        assert [each.id for each in pager.collect(3)] == list(ids[:3])
        assert asked(emulator) == 8


async def test_iteration_is_resumed_by_another_client() -> None:
    """The bookmark suffices; it is sent unchanged."""
    emulator = Emulator(rate_limits=None)
    ids = emulator.seed_lists(ACCOUNT, 7)
    async with AsyncClient("t", transport=emulator.transport()) as client:
        items = client.customer_lists_list(ACCOUNT, page_size=3, order="ASCENDING").__aiter__()
        async for each in items:
            if each.id == ids[4]:
                break
    saved = items.bookmark
    assert saved is not None
    async with AsyncClient("t", transport=emulator.transport()) as client:
        pager = client.customer_lists_list(ACCOUNT, page_size=3, order="ASCENDING", bookmark=saved)
        assert [each.id for each in await pager.collect()] == list(ids[3:])


async def test_lists_created_during_iteration_cause_no_gap_or_repeat() -> None:
    """Each earlier list is returned exactly once."""
    emulator = Emulator(rate_limits=None)
    ids = emulator.seed_lists(ACCOUNT, 6)
    async with AsyncClient("t", transport=emulator.transport()) as client:
        found: list[str] = []
        async for each in client.customer_lists_list(ACCOUNT, page_size=2, order="DESCENDING"):
            emulator.seed_lists(ACCOUNT, 1)
            found.append(each.id)
    assert found == list(reversed(ids))
