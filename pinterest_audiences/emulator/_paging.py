"""Pagination: sorted ids, pages of them, and the bookmarks that continue a listing.

A bookmark holds the last id of its page, not a position. So a list that is created in the middle of
a listing shifts nothing: no list is returned twice and none is left out.
"""

from __future__ import annotations

from array import array
from base64 import b64decode, b64encode
from bisect import bisect_left, bisect_right
from hashlib import blake2b
from typing import Literal

import attrs

Order = Literal["ASCENDING", "DESCENDING"]

_MAX_ID_LENGTH = 18

# Pinterest's bookmarks may contain "=" and "&". These always do, so that a client that does not
# percent-encode them fails in its first test instead of in production.
_PREFIX = "P2&c="
_MAC_BYTES = 8


def id_number(identifier: str) -> int | None:
    """Return an id as a number.

    Args:
        identifier: Any string.

    Returns:
        Its number, or None when it cannot be an id, such as one with a leading zero.
    """
    if not (identifier.isascii() and identifier.isdigit() and len(identifier) <= _MAX_ID_LENGTH):
        return None
    return int(identifier) if str(int(identifier)) == identifier else None


@attrs.frozen
class IdPage:
    """A page of ids.

    Attributes:
        ids: The ids, in the requested order.
        more: Whether others follow.
    """

    ids: tuple[int, ...]
    more: bool


class SortedIds:
    """Ids in ascending order; a new id is always the highest, so that it can be appended."""

    def __init__(self) -> None:
        self._ids: array[int] = array("q")

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, identifier: int) -> None:
        """Append an id.

        Args:
            identifier: An id that is higher than all others.
        """
        self._ids.append(identifier)

    def remove(self, identifier: int) -> None:
        """Remove an id, if it exists.

        Args:
            identifier: The id.
        """
        at = bisect_left(self._ids, identifier)
        if at < len(self._ids) and self._ids[at] == identifier:
            self._ids.pop(at)

    def page(self, *, order: Order, after: int | None, size: int) -> IdPage:
        """Return a page of the ids.

        Args:
            order: By ascending or descending id.
            after: The id to continue after, in that order; None for the first page.
            size: How many at most.

        Returns:
            The ids, and whether more follow.
        """
        ids = self._ids
        if order == "ASCENDING":
            start = 0 if after is None else bisect_right(ids, after)
            end = min(start + size, len(ids))
            return IdPage(tuple(ids[start:end]), more=end < len(ids))
        end = len(ids) if after is None else bisect_left(ids, after)
        start = max(0, end - size)
        return IdPage(tuple(reversed(ids[start:end])), more=start > 0)


class IdIndex:
    """The sorted ids of each ad account, with and without those for new customer acquisition.

    Filtering one sequence would make a page with few matches cost as much as the whole account.
    """

    def __init__(self) -> None:
        self._index: dict[str, tuple[SortedIds, SortedIds]] = {}

    def accounts(self) -> tuple[str, ...]:
        """Return the ad accounts that an id was added for.

        Returns:
            Their ids, in the order of their first additions.
        """
        return tuple(self._index)

    def add(self, ad_account_id: str, identifier: int, *, is_nca: bool) -> None:
        """Append an id.

        Args:
            ad_account_id: The account.
            identifier: An id that is higher than all others.
            is_nca: Whether it is for new customer acquisition.
        """
        everything, without_nca = self._index.setdefault(ad_account_id, (SortedIds(), SortedIds()))
        everything.add(identifier)
        if not is_nca:
            without_nca.add(identifier)

    def remove(self, ad_account_id: str, identifier: int) -> None:
        """Remove an id, if it exists.

        Args:
            ad_account_id: The account.
            identifier: The id.
        """
        for ids in self._index.get(ad_account_id, ()):
            ids.remove(identifier)

    def page(
        self,
        ad_account_id: str,
        *,
        order: Order,
        after: int | None,
        size: int,
        exclude_nca: bool = False,
    ) -> IdPage:
        """Return a page of an account's ids.

        Args:
            ad_account_id: The account.
            order: By ascending or descending id.
            after: The id to continue after, in that order; None for the first page.
            size: How many at most.
            exclude_nca: Whether to leave out ids for new customer acquisition.

        Returns:
            The ids, and whether more follow.
        """
        indexes = self._index.get(ad_account_id)
        if indexes is None:
            return IdPage((), more=False)
        return indexes[exclude_nca].page(order=order, after=after, size=size)


class Bookmarks:
    """Encodes and decodes bookmarks; those of another key are rejected.

    Args:
        key: Signs the bookmarks.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def encode(self, listing: str, order: Order, last_id: int) -> str:
        """Return the bookmark of the page after an id.

        Args:
            listing: What is listed: the id of an account for its lists. Without a colon.
            order: The order of the listing.
            last_id: The last id of the page before.

        Returns:
            The bookmark.
        """
        position = f"{listing}:{order}:{last_id}"
        # Spaces up to one byte over a multiple of three, which base64 pads with "==".
        padding = " " * ((1 - _MAC_BYTES - len(position)) % 3)
        payload = (position + padding).encode()
        return _PREFIX + b64encode(self._mac(payload) + payload).decode()

    def decode(self, bookmark: str, listing: str, order: Order) -> int | None:
        """Return the id that a bookmark continues after.

        Args:
            bookmark: What a client sent.
            listing: What is listed.
            order: The order of the listing.

        Returns:
            The id, or None when it is not a bookmark of this listing.
        """
        if not bookmark.startswith(_PREFIX):
            return None
        try:
            decoded = b64decode(bookmark.removeprefix(_PREFIX), validate=True)
        except ValueError:
            return None
        mac, payload = decoded[:_MAC_BYTES], decoded[_MAC_BYTES:]
        if mac != self._mac(payload):
            return None
        encoded_listing, encoded_order, last_id = payload.decode().split(":")
        return int(last_id) if (encoded_listing, encoded_order) == (listing, order) else None

    def _mac(self, payload: bytes) -> bytes:
        return blake2b(payload, key=self._key, digest_size=_MAC_BYTES).digest()
