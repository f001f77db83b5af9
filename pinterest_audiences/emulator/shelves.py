"""Ids in order, from which pages are cut at a cost that does not grow with their number."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import Literal

import attrs

Order = Literal["ASCENDING", "DESCENDING"]


_LONGEST_ID = 18


def id_number(identifier: str) -> int | None:
    """Return the number that an id stands for.

    Args:
        identifier: Any string.

    Returns:
        Its number, or None when it is no id that was ever given: one with a leading zero is none.
    """
    if not (identifier.isascii() and identifier.isdigit() and len(identifier) <= _LONGEST_ID):
        return None
    return int(identifier) if str(int(identifier)) == identifier else None


@attrs.frozen
class Cut:
    """A part of a shelf.

    Attributes:
        ids: The ids, in the order asked for.
        more: Whether others follow.
    """

    ids: tuple[int, ...]
    more: bool


class Shelf:
    """Ids that only grow, so that adding one is appending it."""

    def __init__(self) -> None:
        self._ids: array[int] = array("q")

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, identifier: int) -> None:
        """Put an id at the end.

        Args:
            identifier: An id that is higher than all before.
        """
        self._ids.append(identifier)

    def remove(self, identifier: int) -> None:
        """Take an id away, if it is there.

        Args:
            identifier: The id.
        """
        at = bisect_left(self._ids, identifier)
        if at < len(self._ids) and self._ids[at] == identifier:
            self._ids.pop(at)

    def cut(self, *, order: Order, after: int | None, size: int) -> Cut:
        """Return a part of the ids.

        Args:
            order: By rising or by falling id.
            after: The id to go on behind, in that order; None for the beginning.
            size: How many at most.

        Returns:
            The ids, and whether more follow.
        """
        ids = self._ids
        if order == "ASCENDING":
            start = 0 if after is None else bisect_right(ids, after)
            end = min(start + size, len(ids))
            return Cut(tuple(ids[start:end]), more=end < len(ids))
        end = len(ids) if after is None else bisect_left(ids, after)
        start = max(0, end - size)
        return Cut(tuple(reversed(ids[start:end])), more=start > 0)


class Shelves:
    """For each ad account two shelves: with and without what is for new customer acquisition.

    A filter over one shelf would make a page of few such things cost as much as the whole account.
    """

    def __init__(self) -> None:
        self._shelves: dict[str, tuple[Shelf, Shelf]] = {}

    def accounts(self) -> tuple[str, ...]:
        """Return the ad accounts that something was put up for.

        Returns:
            Their ids, in the order of their first things.
        """
        return tuple(self._shelves)

    def add(self, ad_account_id: str, identifier: int, *, is_nca: bool) -> None:
        """Put an id at the end.

        Args:
            ad_account_id: Whose it is.
            identifier: An id that is higher than all before.
            is_nca: Whether it is for new customer acquisition.
        """
        everything, without_nca = self._shelves.setdefault(ad_account_id, (Shelf(), Shelf()))
        everything.add(identifier)
        if not is_nca:
            without_nca.add(identifier)

    def remove(self, ad_account_id: str, identifier: int) -> None:
        """Take an id away, if it is there.

        Args:
            ad_account_id: Whose it is.
            identifier: The id.
        """
        for shelf in self._shelves.get(ad_account_id, ()):
            shelf.remove(identifier)

    def cut(
        self,
        ad_account_id: str,
        *,
        order: Order,
        after: int | None,
        size: int,
        exclude_nca: bool = False,
    ) -> Cut:
        """Return a part of an account's ids.

        Args:
            ad_account_id: Whose.
            order: By rising or by falling id.
            after: The id to go on behind, in that order; None for the beginning.
            size: How many at most.
            exclude_nca: Whether to leave out what is for new customer acquisition.

        Returns:
            The ids, and whether more follow.
        """
        shelves = self._shelves.get(ad_account_id)
        if shelves is None:
            return Cut((), more=False)
        return shelves[exclude_nca].cut(order=order, after=after, size=size)
