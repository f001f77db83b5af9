"""What a listing promises, awaited and blocking: nothing missing, nothing endless, nothing open."""

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
    """A listing as data: what each bookmark fetches. It counts, and fails when told to."""

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
    """Make pages of so many numbers each; bookmarks are b1, b2 and so on."""
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
    """An iterator that knows its place."""

    @property
    @abstractmethod
    def bookmark(self) -> str | None: ...

    @property
    @abstractmethod
    def finished(self) -> bool: ...


class Walker(Generic[T]):
    """A pager of either kind, asked in one way."""

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


END = object()


async def ask(iterator: Placed[T]) -> T:
    """Ask for the next; at the end it is END."""
    try:
        if hasattr(iterator, "__anext__"):
            return await cast("AsyncIterator[T]", iterator).__anext__()
        return next(cast("Iterator[T]", iterator))
    except (StopAsyncIteration, StopIteration):
        return cast("T", END)


async def rest(iterator: Placed[T]) -> list[T]:
    """Ask until the end."""
    found: list[T] = []
    while (item := await ask(iterator)) is not END:
        found.append(item)
    return found


Kind = type[AsyncPager[int]] | type[Pager[int]]


def walker(kind: Kind, source: Listing, bookmark: str | None = None) -> Walker[int]:
    """Make a pager of one kind over a listing."""
    if issubclass(kind, AsyncPager):
        return Walker(AsyncPager(source.fetch_later, bookmark))
    return Walker(Pager(source.fetch, bookmark))


kinds = pytest.mark.parametrize("kind", [AsyncPager, Pager], ids=["awaiting", "blocking"])


@kinds
async def test_all_items_come_in_order_over_all_pages(kind: Kind) -> None:
    """One item after the other, each page fetched once, and not before it is needed."""
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
async def test_nothing_is_fetched_until_somebody_iterates(kind: Kind) -> None:
    """Making the pager and its iterators, and asking for their places, is free."""
    source = listing(1)
    walk = walker(kind, source)
    for iterator in (walk.items(), walk.pages()):
        assert (iterator.bookmark, iterator.finished) == (None, False)
    assert source.fetched == []


@kinds
async def test_a_pager_can_be_iterated_again(kind: Kind) -> None:
    """Each time from the start, even while another walk is under way."""
    source = listing(2, 2)
    walk = walker(kind, source)
    first = walk.items()
    assert [await ask(first) for _ in range(3)] == [0, 1, 2]
    assert await rest(walk.items()) == [0, 1, 2, 3]
    assert await rest(walk.items()) == [0, 1, 2, 3]
    assert await rest(first) == [3]


@kinds
async def test_an_iterator_is_its_own_iterator(kind: Kind) -> None:
    """`for` over a begun iterator goes on where it stands."""
    for iterator in (walker(kind, listing(1)).items(), walker(kind, listing(1)).pages()):
        again = iterator.__aiter__() if hasattr(iterator, "__aiter__") else iter(iterator)  # type: ignore[call-overload]  # one of the two
        assert again is iterator


@kinds
async def test_a_page_carries_what_fetched_it_and_what_fetches_the_next(kind: Kind) -> None:
    """The two bookmarks differ by one page."""
    pages = await rest(walker(kind, listing(2, 1, 1)).pages())
    assert [(p.request_bookmark, p.items, p.bookmark) for p in pages] == [
        (None, [0, 1], "b1"),
        ("b1", [2], "b2"),
        ("b2", [3], None),
    ]


@kinds
async def test_a_walk_may_start_at_a_bookmark(kind: Kind) -> None:
    """That page is the first, and knows what fetched it."""
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
async def test_the_page_iterator_tells_what_comes_next(kind: Kind) -> None:
    """Its bookmark fetches the next page; at the end there is none and it is finished."""
    pages = walker(kind, listing(2, 0, 1)).pages()
    places = [(pages.bookmark, pages.finished)]
    while await ask(pages) is not END:
        places.append((pages.bookmark, pages.finished))
    assert places == [(None, False), ("b1", False), ("b2", False), (None, True)]


@kinds
async def test_the_bookmark_of_an_item_iterator_is_of_the_page_in_hand(kind: Kind) -> None:
    """It moves on with the last item of a page, not with the first of the next."""
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


@kinds
@given(sizes=sizes, data=st.data())
def test_a_walk_can_be_resumed_from_anywhere(
    kind: Kind, sizes: list[int], data: st.DataObject
) -> None:
    """Stop after any item and resume at the bookmark: none is missing, only a page's come twice."""
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


@kinds
@given(sizes=sizes, data=st.data())
def test_after_errors_an_iterator_goes_on(
    kind: Kind, sizes: list[int], data: st.DataObject
) -> None:
    """However often a page fails: asked again, the same iterator misses and repeats nothing."""
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
async def test_a_page_iterator_goes_on_after_an_error(kind: Kind) -> None:
    """It asks for the page that failed, again."""
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


async def test_after_a_cancellation_an_iterator_goes_on() -> None:
    """Cancelled in the middle of fetching a page: asked again, it fetches that page again."""
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
async def test_a_listing_ends(kind: Kind, end: str | None) -> None:
    """No bookmark, an empty one and the sign of older APIs: all mean the end."""
    source = Listing(Page([0], "b1"), Page([1], end))
    pages = await rest(walker(kind, source).pages())
    assert [(page.items, page.bookmark) for page in pages] == [([0], "b1"), ([1], None)]
    items = walker(kind, source).items()
    assert await rest(items) == [0, 1]
    assert (items.bookmark, items.finished) == (None, True)
    assert await walker(kind, source).collect() == [0, 1]
    assert source.fetched == [None, "b1"] * 3


@kinds
async def test_an_empty_listing_ends_at_once(kind: Kind) -> None:
    """One page, no items."""
    source = listing(0)
    items = walker(kind, source).items()
    assert await rest(items) == []
    assert items.finished
    assert source.fetched == [None]


@kinds
async def test_an_empty_page_with_a_bookmark_is_followed(kind: Kind) -> None:
    """Nothing on a page does not mean nothing behind it."""
    source = listing(0, 1, 0, 0, 1, 0)
    assert await rest(walker(kind, source).items()) == [0, 1]
    assert len(await rest(walker(kind, source).pages())) == 6
    assert await walker(kind, source).collect() == [0, 1]


@kinds
async def test_99_empty_pages_are_followed(kind: Kind) -> None:
    """The cap is on empty pages in a row; every page with an item starts the count anew."""
    source = listing(*[0] * 99, 1, *[0] * 99, 1)
    assert await rest(walker(kind, source).items()) == [0, 1]
    assert len(source.fetched) == 200


@kinds
async def test_100_empty_pages_in_a_row_are_enough(kind: Kind) -> None:
    """A listing that never comes to anything ends in an error, and costs no more than that."""
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
async def test_the_100th_empty_page_may_be_the_last(kind: Kind) -> None:
    """Where there is no bookmark there is nothing to complain of."""
    source = listing(*[0] * 100)
    assert await rest(walker(kind, source).items()) == []


LOOPS = {
    "of the page before": [Page([0], "b1"), Page([1], "b1")],
    "of an earlier page": [Page([0], "b1"), Page([1], "b2"), Page([2], "b1")],
    "through an empty page": [Page([0], "b1"), Page([1], "b2"), Page([], "b1")],
}


@kinds
@pytest.mark.parametrize("pages", LOOPS.values(), ids=LOOPS)
async def test_a_repeated_bookmark_ends_the_walk(kind: Kind, pages: list[Page[int]]) -> None:
    """The items of that page are given out; then it is an error, however often one asks."""
    source = Listing(*pages)
    source.pages = dict(zip([None, "b1", "b2"], pages, strict=False))
    wanted = [item for page in pages for item in page.items]
    items = walker(kind, source).items()
    assert [await ask(items) for _ in wanted] == wanted
    for _ in range(3):
        with pytest.raises(PaginationError, match="a bookmark came that was followed before"):
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
async def test_the_bookmark_that_a_walk_starts_at_counts_as_seen(kind: Kind) -> None:
    """Coming back to the start is a loop too."""
    source = Listing()
    source.pages = {"b1": Page([1], "b2"), "b2": Page([2], "b1")}
    items = walker(kind, source, "b1").items()
    assert [await ask(items), await ask(items)] == [1, 2]
    with pytest.raises(PaginationError):
        await ask(items)
    assert source.fetched == ["b1", "b2"]


@kinds
async def test_a_new_walk_has_seen_nothing(kind: Kind) -> None:
    """The memory of bookmarks is the iterator's, so a second walk is no loop."""
    walk = walker(kind, listing(1, 1, 1))
    assert await walk.collect() == await walk.collect() == [0, 1, 2]


@kinds
@pytest.mark.parametrize(
    ("limit", "pages"),
    [(None, 3), (0, 0), (1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (6, 3), (100, 3)],
)
async def test_collect_fetches_no_more_than_it_needs(
    kind: Kind, limit: int | None, pages: int
) -> None:
    """So many items, from as few pages as hold them."""
    source = listing(2, 2, 2)
    assert await walker(kind, source).collect(limit) == list(range(6))[:limit]
    assert len(source.fetched) == pages


@kinds
@pytest.mark.parametrize("limit", [-1, True, False, 1.0, "1", float("nan")])
async def test_a_bad_limit_is_refused(kind: Kind, limit: int) -> None:
    """Before anything is fetched."""
    source = listing(1)
    with pytest.raises(ConfigurationError, match="limit: a whole number of 0 or more"):
        await walker(kind, source).collect(limit)
    assert source.fetched == []


@kinds
async def test_collect_hands_on_what_fails(kind: Kind) -> None:
    """A list that lacks a page is never returned."""
    source = listing(1, 1)
    source.failures = 1
    with pytest.raises(ServerError):
        await walker(kind, source).collect()


@kinds
async def test_a_collected_list_is_the_callers(kind: Kind) -> None:
    """To change it changes no later one."""
    walk = walker(kind, listing(2))
    (await walk.collect()).clear()
    assert await walk.collect() == [0, 1]


async def test_a_single_page_can_be_fetched() -> None:
    """The first, or the one behind a bookmark; it knows both of its own."""
    source = Listing(Page([0], "b1"), Page([1], ""))
    pager = AsyncPager(source.fetch_later)
    assert await pager.fetch(None) == Page([0], bookmark="b1", request_bookmark=None)
    assert await pager.fetch("b1") == Page([1], bookmark=None, request_bookmark="b1")
    assert source.fetched == [None, "b1"]


async def test_aclosing_works() -> None:
    """The iterators fit where an asynchronous generator would, and closing ends nothing."""
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


async def test_no_request_is_made_until_the_clients_pager_is_iterated() -> None:
    """Seen from the other side: the emulator is asked once a page, and not before."""
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


def test_no_request_is_made_until_the_blocking_pager_is_iterated() -> None:
    """The same of the blocking client."""
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


async def test_a_walk_is_resumed_by_a_later_client() -> None:
    """The bookmark is all that has to be kept; it goes through the URL as it is."""
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


async def test_lists_made_during_a_walk_neither_repeat_nor_hide_others() -> None:
    """Each list that was there before is given out exactly once."""
    emulator = Emulator(rate_limits=None)
    ids = emulator.seed_lists(ACCOUNT, 6)
    async with AsyncClient("t", transport=emulator.transport()) as client:
        found: list[str] = []
        async for each in client.customer_lists_list(ACCOUNT, page_size=2, order="DESCENDING"):
            emulator.seed_lists(ACCOUNT, 1)
            found.append(each.id)
    assert found == list(reversed(ids))
