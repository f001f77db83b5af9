"""Pagination of lists: complete, in order, and not affected by new lists."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pinterest_audiences.emulator import Emulator
from pinterest_audiences.emulator._paging import Bookmarks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unit.emulator.conftest import Caller

    from pinterest_audiences.emulator import Response
    from pinterest_audiences.emulator._paging import Order

ACCOUNT = "549"
ORDERS = ["ASCENDING", "DESCENDING"]


def page(call: Caller, **query: object) -> Response:
    return call("GET", f"{ACCOUNT}/customer_lists", query=urlencode(query))


def walk(call: Caller, **query: object) -> Iterator[list[str]]:
    """Yield the ids of each page, following bookmarks to the end."""
    bookmark: object = ""
    seen: set[object] = set()
    while bookmark is not None:
        assert bookmark not in seen, "this walk would never end"
        seen.add(bookmark)
        answer = page(call, **query, **({"bookmark": bookmark} if bookmark else {}))
        assert answer.status == 200
        fields = call.fields(answer)
        items = fields["items"]
        assert isinstance(items, list)
        yield [item["id"] for item in items]
        bookmark = fields["bookmark"]


@given(
    before=st.integers(0, 30),
    page_size=st.one_of(st.integers(1, 8), st.just(250)),
    order=st.sampled_from(["ASCENDING", "DESCENDING"]),
    arrivals=st.lists(st.integers(0, 4), max_size=10),
)
# The fixture may be shared by all examples: each sets another emulator.
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_pagination_returns_each_list_once_while_lists_are_created(
    call: Caller, before: int, page_size: int, order: str, arrivals: list[int]
) -> None:
    """No list twice, none left out, in order, on full pages."""
    emulator = call.emulator = Emulator(rate_limits=None)
    old = emulator.seed_lists(ACCOUNT, before)
    new: list[str] = []
    pages = []
    for ids in walk(call, page_size=page_size, order=order):
        pages.append(ids)
        if len(pages) <= len(arrivals):
            new += emulator.seed_lists(ACCOUNT, arrivals[len(pages) - 1])
    walked = [each for ids in pages for each in ids]
    assert len(set(walked)) == len(walked)
    assert set(old) <= set(walked) <= {*old, *new}
    assert walked == sorted(walked, key=int, reverse=order == "DESCENDING")
    assert all(len(ids) == page_size for ids in pages[:-1])


@pytest.mark.parametrize("order", ORDERS)
def test_last_page_has_null_bookmark(call: Caller, order: str) -> None:
    """Null, not missing and not empty; an account without lists has one such page."""
    assert page(call, order=order).json() == {"items": [], "bookmark": None}
    call.emulator.seed_lists(ACCOUNT, 4)
    assert [len(ids) for ids in walk(call, order=order, page_size=2)] == [2, 2]


def test_default_page_has_25_lists_oldest_first(call: Caller) -> None:
    """The size is published, the order was recorded."""
    ids = call.emulator.seed_lists(ACCOUNT, 60)
    first, *others = walk(call)
    assert first == list(ids)[:25]
    newest_first = next(iter(walk(call, order="DESCENDING")))
    assert newest_first == list(reversed(ids))[:25]
    assert [len(other) for other in others] == [25, 10]


def test_exclude_nca_paginates_other_lists_on_full_pages(call: Caller) -> None:
    """Each of the other lists is returned once."""
    for _ in range(5):
        plain = call.emulator.seed_lists(ACCOUNT, 1)
        call.emulator.seed_lists(ACCOUNT, 3, is_nca=True)
    walked = list(walk(call, exclude_nca="true", page_size=2, order="DESCENDING"))
    assert [len(ids) for ids in walked] == [2, 2, 1]
    assert walked[0][0] == plain[0]
    assert sum(len(ids) for ids in walk(call, exclude_nca="false", page_size=7)) == 20


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("account", ["1", "22", "333", "4444"])
def test_bookmark_contains_characters_that_need_encoding(account: str, order: Order) -> None:
    """A client that does not encode them fails at once, for any ids."""
    bookmark = Bookmarks(b"key").encode(account, order, 2_542_620_000_000)
    assert "&" in bookmark
    assert bookmark.endswith("==")


def test_unencoded_bookmark_is_refused(call: Caller) -> None:
    """Unencoded it breaks at its ampersand; encoded it works."""
    call.emulator.seed_lists(ACCOUNT, 3)
    bookmark = str(call.fields(page(call, page_size=1))["bookmark"])
    path = f"{ACCOUNT}/customer_lists"
    assert call("GET", path, query=f"page_size=1&bookmark={bookmark}").status == 400
    assert call("GET", path, query=f"page_size=1&bookmark={quote(bookmark)}").status == 200


def test_page_may_be_requested_again_with_another_size(call: Caller) -> None:
    """A bookmark is a position and can be used repeatedly."""
    ids = call.emulator.seed_lists(ACCOUNT, 6)
    bookmark = call.fields(page(call, page_size=2, order="ASCENDING"))["bookmark"]
    for size in (1, 3, 1):
        fields = call.fields(page(call, bookmark=bookmark, page_size=size, order="ASCENDING"))
        items = fields["items"]
        assert isinstance(items, list)
        assert [item["id"] for item in items] == list(ids[2 : 2 + size])


def test_bookmark_of_another_order_account_or_seed_is_refused(call: Caller) -> None:
    """For another order, another account and another seed."""
    call.emulator.seed_lists(ACCOUNT, 3)
    call.emulator.seed_lists("1", 3)
    bookmark = call.fields(page(call, page_size=1, order="ASCENDING"))["bookmark"]
    query = urlencode({"bookmark": bookmark, "order": "ASCENDING"})
    assert call("GET", f"{ACCOUNT}/customer_lists", query=query).status == 200
    assert call("GET", "1/customer_lists", query=query).status == 400
    assert page(call, bookmark=bookmark, order="DESCENDING").status == 400
    assert page(call, bookmark=bookmark).status == 200  # the default is the same order
    call.emulator = Emulator(seed=1)
    assert call("GET", f"{ACCOUNT}/customer_lists", query=query).status == 400


@pytest.mark.parametrize(
    "bookmark",
    [
        "",
        "-end-",
        "P2&c=",
        "P2&c=====",
        "P2&c=é",
        "P2&c=" + b64encode(b"no seal").decode(),
        "P2&c=" + b64encode(b"8 bytes.549:DESCENDING:1").decode(),
        "x" * 10_000,
    ],
)
def test_invalid_bookmark_is_refused(call: Caller, bookmark: str) -> None:
    """Also one that is nearly correct."""
    call.emulator.seed_lists(ACCOUNT, 3)
    answer = page(call, bookmark=bookmark)
    assert answer.status == 400
    assert call.fields(answer)["code"] == 1


@given(st.text() | st.binary().map(lambda junk: "P2&c=" + b64encode(junk).decode()))
def test_decoding_a_bookmark_never_raises(junk: str) -> None:
    """Any string is either a bookmark or rejected."""
    assert Bookmarks(b"key").decode(junk, ACCOUNT, "ASCENDING") is None
