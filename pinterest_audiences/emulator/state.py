"""The customer lists of the emulated Pinterest, and how they live: pure, without any I/O.

What the API says of a list is kept as it is said there: counters count what was sent, members are
a set. What it does not say (how long processing takes, whom Pinterest knows) comes from settings
and a seed, so that the same requests always lead to the same state.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, Literal

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Member = str | tuple[tuple[str, str], ...]
"""A record as it was sent, or a row as its sorted (field, value) pairs."""

Order = Literal["ASCENDING", "DESCENDING"]
OperationType = Literal["ADD", "REMOVE"]

MINIMUM_MATCHED = 100
"""A list with fewer Pinterest accounts than this is TOO_SMALL."""

# Ids have gaps, so that nobody comes to count on neighbours.
_FIRST_ID = 2_542_620_000_000
_ID_STEP = 7

_HASH_BYTES = 8
_HASH_RANGE = 2 ** (8 * _HASH_BYTES)


def seeded_key(seed: int, purpose: str) -> bytes:
    """Derive a key for one purpose from the emulator's seed.

    Args:
        seed: The emulator's seed.
        purpose: What the key is for; different purposes get unrelated keys.

    Returns:
        32 bytes.
    """
    return blake2b(f"{purpose}:{seed}".encode(), digest_size=32).digest()


class Matcher:
    """Decides which members Pinterest knows: the same ones for the same seed.

    Args:
        seed: Chooses whom Pinterest knows.
        match_rate: The share of members that are known, from 0.0 to 1.0.
    """

    def __init__(self, seed: int, match_rate: float) -> None:
        # A keyed hash, ready to be copied: half the price of keying one for each member.
        self._keyed = blake2b(key=seeded_key(seed, "match"), digest_size=_HASH_BYTES)
        self._below = round(match_rate * _HASH_RANGE)

    def count(self, members: Iterable[Member]) -> int:
        """Return how many of these members are Pinterest accounts.

        Args:
            members: Records or rows, each counted once for every time it comes.

        Returns:
            The number of matches.
        """
        matches = 0
        for member in members:
            digest = self._keyed.copy()
            # JSON may carry half a surrogate pair, which plain UTF-8 refuses.
            digest.update(str(member).encode("utf-8", "surrogatepass"))
            matches += int.from_bytes(digest.digest(), "big") < self._below
        return matches


@attrs.define(kw_only=True)
class CustomerListState:
    """One customer list.

    Attributes:
        id: Its id; a newer list has a higher one.
        ad_account_id: The account it belongs to.
        name: Its name; names need not differ.
        list_type: What it was said to hold; in no answer of the API.
        is_nca: Whether it was uploaded for new customer acquisition.
        created_at: When it was created, in Unix seconds.
        updated_at: When records were last added or removed.
        processed_at: When Pinterest will be, or was, done with it.
        num_batches: 1 for the creation and 1 for each update.
        num_uploaded: Records sent to be added, whether or not they were there already.
        num_removed: Records sent to be removed, whether or not they were there.
        members: Who is in it.
        matched: How many of the members Pinterest knows.
    """

    id: int
    ad_account_id: str
    name: str = attrs.field(repr=False)
    list_type: str = "EMAIL"
    is_nca: bool = False
    created_at: float
    updated_at: float
    processed_at: float
    num_batches: int = 1
    num_uploaded: int = 0
    num_removed: int = 0
    members: set[Member] = attrs.field(repr=False)
    matched: int = 0


@attrs.frozen
class Page:
    """A part of an account's lists.

    Attributes:
        lists: The lists, in the order asked for.
        more: Whether others follow.
    """

    lists: tuple[CustomerListState, ...]
    more: bool


class _Shelf:
    """Lists by rising id. Ids only grow and nothing is deleted, so that adding is appending."""

    def __init__(self) -> None:
        self._ids: list[int] = []
        self._lists: list[CustomerListState] = []

    def add(self, customer_list: CustomerListState) -> None:
        self._ids.append(customer_list.id)
        self._lists.append(customer_list)

    def page(self, *, order: Order, after: int | None, size: int) -> Page:
        if order == "ASCENDING":
            start = 0 if after is None else bisect_right(self._ids, after)
            end = min(start + size, len(self._ids))
            return Page(tuple(self._lists[start:end]), more=end < len(self._ids))
        end = len(self._ids) if after is None else bisect_left(self._ids, after)
        start = max(0, end - size)
        return Page(tuple(reversed(self._lists[start:end])), more=start > 0)


class State:
    """All ad accounts with their customer lists.

    Args:
        clock: Returns Unix seconds.
        seed: Chooses whom Pinterest knows.
        match_rate: The share of members that Pinterest knows, from 0.0 to 1.0.
        processing_seconds: How long a list stays PROCESSING after a change.
        ad_accounts: The accounts there are; None for any.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        seed: int,
        match_rate: float,
        processing_seconds: float,
        ad_accounts: frozenset[str] | None,
    ) -> None:
        self._clock = clock
        self._matcher = Matcher(seed, match_rate)
        self._processing_seconds = processing_seconds
        self._ad_accounts = ad_accounts
        self._lists: dict[str, CustomerListState] = {}
        # With and without the lists for new customer acquisition: a filter over one shelf would
        # make a page of few such lists cost as much as the whole account.
        self._shelves: dict[str, tuple[_Shelf, _Shelf]] = {}

    def has_account(self, ad_account_id: str) -> bool:
        """Return whether there is such an ad account.

        Args:
            ad_account_id: The id to look for.

        Returns:
            True when it is there.
        """
        return self._ad_accounts is None or ad_account_id in self._ad_accounts

    def find(self, customer_list_id: str) -> CustomerListState | None:
        """Return a list, whichever account it belongs to.

        Args:
            customer_list_id: The id to look for.

        Returns:
            The list, or None when there is none with that id.
        """
        return self._lists.get(customer_list_id)

    def create(
        self,
        ad_account_id: str,
        *,
        name: str,
        members: Sequence[Member],
        list_type: str = "EMAIL",
        is_nca: bool = False,
    ) -> CustomerListState:
        """Create a list.

        Args:
            ad_account_id: The account it will belong to.
            name: Its name.
            members: What was sent, with repeats.
            list_type: What it is said to hold.
            is_nca: Whether it is for new customer acquisition.

        Returns:
            The new list, which is being processed.
        """
        return self.create_many(
            ad_account_id, [name], members=members, list_type=list_type, is_nca=is_nca
        )[0]

    def create_many(
        self,
        ad_account_id: str,
        names: Iterable[str],
        *,
        members: Sequence[Member],
        list_type: str = "EMAIL",
        is_nca: bool = False,
    ) -> list[CustomerListState]:
        """Create several lists with the same members.

        Args:
            ad_account_id: The account they will belong to.
            names: A name for each.
            members: What was sent for each, with repeats.
            list_type: What they are said to hold.
            is_nca: Whether they are for new customer acquisition.

        Returns:
            The new lists, in the order of their names and ids.
        """
        now = self._clock()
        distinct = set(members)
        matched = self._matcher.count(distinct)
        created: list[CustomerListState] = []
        for name in names:
            customer_list = CustomerListState(
                id=_FIRST_ID + _ID_STEP * len(self._lists),
                ad_account_id=ad_account_id,
                name=name,
                list_type=list_type,
                is_nca=is_nca,
                created_at=now,
                updated_at=now,
                processed_at=now + self._processing_seconds,
                num_uploaded=len(members),
                members=set(distinct),
                matched=matched,
            )
            self._keep(customer_list)
            created.append(customer_list)
        return created

    def update(
        self,
        customer_list: CustomerListState,
        operation_type: OperationType,
        members: Sequence[Member],
    ) -> None:
        """Add members to a list or remove them; it is being processed again.

        Args:
            customer_list: The list to change.
            operation_type: What to do with the members.
            members: What was sent, with repeats.
        """
        # Only members that come or go are hashed again: the matched count never needs a recount.
        if operation_type == "ADD":
            new = set(members) - customer_list.members
            customer_list.members |= new
            customer_list.matched += self._matcher.count(new)
            customer_list.num_uploaded += len(members)
        else:
            gone = customer_list.members.intersection(members)
            customer_list.members -= gone
            customer_list.matched -= self._matcher.count(gone)
            customer_list.num_removed += len(members)
        now = self._clock()
        customer_list.num_batches += 1
        customer_list.updated_at = now
        customer_list.processed_at = now + self._processing_seconds

    def page(
        self,
        ad_account_id: str,
        *,
        order: Order,
        after: int | None,
        size: int,
        exclude_nca: bool = False,
    ) -> Page:
        """Return a part of an account's lists, at a cost that does not grow with the account.

        Args:
            ad_account_id: Whose lists.
            order: By rising or by falling id.
            after: The id to go on behind, in that order; None for the beginning.
            size: How many at most.
            exclude_nca: Whether to leave out those for new customer acquisition.

        Returns:
            The lists, and whether more follow.
        """
        shelves = self._shelves.get(ad_account_id)
        if shelves is None:
            return Page((), more=False)
        return shelves[exclude_nca].page(order=order, after=after, size=size)

    def show(self, customer_list: CustomerListState) -> dict[str, object]:
        """Return a list as the API shows it, fields as of version 5.28.

        Args:
            customer_list: The list to show.

        Returns:
            The fields of a CustomerList, ready for JSON.
        """
        return {
            "ad_account_id": customer_list.ad_account_id,
            "created_time": int(customer_list.created_at),
            "exceptions": {},
            "id": str(customer_list.id),
            "is_nca": customer_list.is_nca,
            "name": customer_list.name,
            "num_batches": customer_list.num_batches,
            "num_removed_user_records": customer_list.num_removed,
            "num_uploaded_user_records": customer_list.num_uploaded,
            "status": self._status(customer_list),
            "type": "customerlist",
            "updated_time": int(customer_list.updated_at),
        }

    def newest(self, count: int) -> list[CustomerListState]:
        """Return the newest lists of all accounts.

        Args:
            count: How many at most.

        Returns:
            The lists, newest first.
        """
        return list(islice(reversed(self._lists.values()), count))

    def clear(self) -> None:
        """Forget all lists."""
        self._lists.clear()
        self._shelves.clear()

    def counts(self) -> dict[str, int]:
        """Return how much there is of everything.

        Returns:
            Counts by the name of what is counted.
        """
        return {
            "ad_accounts": len(self._shelves),
            "customer_lists": len(self._lists),
            "members": sum(len(each.members) for each in self._lists.values()),
        }

    def _keep(self, customer_list: CustomerListState) -> None:
        self._lists[str(customer_list.id)] = customer_list
        everything, without_nca = self._shelves.setdefault(
            customer_list.ad_account_id, (_Shelf(), _Shelf())
        )
        everything.add(customer_list)
        if not customer_list.is_nca:
            without_nca.add(customer_list)

    def _status(self, customer_list: CustomerListState) -> str:
        if self._clock() < customer_list.processed_at:
            return "PROCESSING"
        return "READY" if customer_list.matched >= MINIMUM_MATCHED else "TOO_SMALL"
