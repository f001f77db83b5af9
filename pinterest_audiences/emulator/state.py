"""The customer lists of the emulated Pinterest, and how they live: pure, without any I/O.

What the API says of a list is kept as it is said there: counters count what was sent, members are
a set. What it does not say (how long processing takes, whom Pinterest knows) comes from settings
and a seed, so that the same requests always lead to the same state.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Literal

import attrs

from pinterest_audiences.emulator.members import Match, Matcher, Member, Packed, pack, unpack
from pinterest_audiences.emulator.shelves import Order, Shelves, id_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

OperationType = Literal["ADD", "REMOVE"]

MINIMUM_MATCHED = 100
"""A list with fewer Pinterest accounts than this is TOO_SMALL."""

# Ids have gaps, so that nobody comes to count on neighbours.
_FIRST_ID = 2_542_620_000_000
_ID_STEP = 7


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
        uploading_until: When the last of its multipart uploads ends, or ended.
        processed_at: When Pinterest will be, or was, done with it.
        num_batches: 1 for the creation and 1 for each update.
        num_uploaded: Records sent to be added, whether or not they were there already.
        num_removed: Records sent to be removed, whether or not they were there.
        members: Who is in it, packed.
        members_shared: Whether others hold the same set, which must not be changed then.
        matched: How many of the members Pinterest knows.
        settled: How many it knew when processing last came to an end, before the last change.
    """

    id: int
    ad_account_id: str
    name: str = attrs.field(repr=False)
    list_type: str = "EMAIL"
    is_nca: bool = False
    created_at: float
    updated_at: float
    uploading_until: float = 0.0
    processed_at: float
    num_batches: int = 1
    num_uploaded: int = 0
    num_removed: int = 0
    members: set[Packed] = attrs.field(repr=False)
    members_shared: bool = False
    matched: int = 0
    settled: int | None = None


@attrs.frozen
class Page:
    """A part of an account's lists.

    Attributes:
        lists: The lists, in the order asked for.
        more: Whether others follow.
    """

    lists: tuple[CustomerListState, ...]
    more: bool


class State:
    """All ad accounts with their customer lists.

    Args:
        clock: Returns Unix seconds.
        seed: Chooses whom Pinterest knows.
        match_rate: Whom Pinterest knows: a share, or a function that is asked for each member.
        processing_seconds: How long a list stays PROCESSING after a change.
        ad_accounts: The accounts there are; None for any.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        seed: int,
        match_rate: Match,
        processing_seconds: float,
        ad_accounts: frozenset[str] | None,
    ) -> None:
        self._clock = clock
        self._matcher = Matcher(seed, match_rate)
        self._processing_seconds = processing_seconds
        self._ad_accounts = ad_accounts
        self._lists: dict[int, CustomerListState] = {}
        self._shelves = Shelves()

    def has_account(self, ad_account_id: str) -> bool:
        """Return whether there is such an ad account.

        Args:
            ad_account_id: The id to look for.

        Returns:
            True when it is there.
        """
        return self._ad_accounts is None or ad_account_id in self._ad_accounts

    def accounts(self) -> list[str]:
        """Return the ad accounts that can be told by name.

        Returns:
            Those there are, or, when any is there, those that have lists; by rising id.
        """
        named = self._shelves.accounts() if self._ad_accounts is None else self._ad_accounts
        return sorted(named, key=lambda account: (int(account), account))

    def find(self, customer_list_id: str) -> CustomerListState | None:
        """Return a list, whichever account it belongs to.

        Args:
            customer_list_id: The id to look for.

        Returns:
            The list, or None when there is none with that id.
        """
        key = id_number(customer_list_id)
        return None if key is None else self._lists.get(key)

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
        names: Sequence[str],
        *,
        members: Iterable[Member],
        list_type: str = "EMAIL",
        is_nca: bool = False,
    ) -> list[CustomerListState]:
        """Create several lists with the same members.

        Args:
            ad_account_id: The account they will belong to.
            names: A name for each.
            members: What was sent for each, with repeats; taken one by one.
            list_type: What they are said to hold.
            is_nca: Whether they are for new customer acquisition.

        Returns:
            The new lists, in the order of their names and ids.
        """
        now = self._clock()
        distinct: set[Packed] = set()
        sent = 0
        for member in members:
            distinct.add(pack(member))
            sent += 1
        matched = self._matcher.count(map(unpack, distinct))
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
                num_uploaded=sent,
                members=distinct,
                members_shared=len(names) > 1,
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
        self.begin_batch(customer_list, self._clock())
        self.merge(customer_list, operation_type, members)

    def begin_batch(self, customer_list: CustomerListState, now: float) -> None:
        """Count one more batch of a list, which is being processed from now on.

        Args:
            customer_list: The list to change.
            now: When that happens.
        """
        if now >= customer_list.processed_at:
            customer_list.settled = customer_list.matched
        customer_list.num_batches += 1
        customer_list.updated_at = now
        customer_list.processed_at = now + self._processing_seconds

    def merge(
        self,
        customer_list: CustomerListState,
        operation_type: OperationType,
        members: Sequence[Member],
    ) -> None:
        """Add members or remove them, as a part of a batch.

        Args:
            customer_list: The list to change.
            operation_type: What to do with the members.
            members: What was sent, with repeats.
        """
        if customer_list.members_shared:
            customer_list.members = set(customer_list.members)
            customer_list.members_shared = False
        packed = {pack(member): member for member in members}
        # Only members that come or go are hashed again: the matched count never needs a recount.
        if operation_type == "ADD":
            new = packed.keys() - customer_list.members
            customer_list.members |= new
            customer_list.matched += self._matcher.count(packed[each] for each in new)
            customer_list.num_uploaded += len(members)
        else:
            gone = packed.keys() & customer_list.members
            customer_list.members -= gone
            customer_list.matched -= self._matcher.count(packed[each] for each in gone)
            customer_list.num_removed += len(members)

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
        cut = self._shelves.cut(
            ad_account_id, order=order, after=after, size=size, exclude_nca=exclude_nca
        )
        return Page(tuple(map(self._lists.__getitem__, cut.ids)), cut.more)

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

    def matched_size(self, customer_list: CustomerListState) -> int | None:
        """Return how many members Pinterest knows, as far as processing has come.

        Args:
            customer_list: The list.

        Returns:
            The number; that from before while it is being processed; None when it never was.
        """
        if self._clock() < customer_list.processed_at:
            return customer_list.settled
        return customer_list.matched

    def newest(self, count: int) -> list[CustomerListState]:
        """Return the newest lists of all accounts.

        Args:
            count: How many at most.

        Returns:
            The lists, newest first.
        """
        return list(islice(reversed(self._lists.values()), count))

    def counts(self) -> dict[str, int]:
        """Return how much there is of everything.

        Returns:
            Counts by the name of what is counted.
        """
        return {
            "ad_accounts": len(self._shelves.accounts()),
            "customer_lists": len(self._lists),
            "members": sum(len(each.members) for each in self._lists.values()),
        }

    def export(self) -> tuple[CustomerListState, ...]:
        """Return copies of all lists, which share the sets of members until one is changed.

        Returns:
            The lists, oldest first.
        """
        for customer_list in self._lists.values():
            customer_list.members_shared = True
        return tuple(map(_copy, self._lists.values()))

    def take(self, lists: Iterable[CustomerListState], *, recount: bool = False) -> None:
        """Put other lists in the place of all there are.

        Args:
            lists: What `export` returned; they are copied, and stay as they are.
            recount: Whether to match all members again, for another seed or share.
        """
        self._lists, self._shelves = {}, Shelves()
        for customer_list in map(_copy, lists):
            if recount:
                customer_list.matched = self._matcher.count(map(unpack, customer_list.members))
            self._keep(customer_list)

    def _keep(self, customer_list: CustomerListState) -> None:
        self._lists[customer_list.id] = customer_list
        self._shelves.add(
            customer_list.ad_account_id, customer_list.id, is_nca=customer_list.is_nca
        )

    def _status(self, customer_list: CustomerListState) -> str:
        now = self._clock()
        if now < customer_list.uploading_until:
            return "UPLOADING"
        if now < customer_list.processed_at:
            return "PROCESSING"
        return "READY" if customer_list.matched >= MINIMUM_MATCHED else "TOO_SMALL"


def _copy(customer_list: CustomerListState) -> CustomerListState:
    return attrs.evolve(customer_list)
