"""The customer lists: their members, matches, counters and status, without any I/O.

The counters count what was sent, as in the API; members are a set. What the API does not say (how
long processing takes, which members match) comes from settings and a seed, so that the same
requests always lead to the same state.

A hashed record is stored as the bytes of its hexadecimal digits: half the memory of the string, of
which a list may have millions. Reading it returns what was sent.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from itertools import chain, islice
from typing import TYPE_CHECKING, Literal

import attrs

from pinterest_audiences.emulator._paging import IdIndex, Order, id_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pinterest_audiences.emulator._assumptions import Assumptions

Member = str | tuple[tuple[str, str], ...]
"""A record as it was sent, or a row as its sorted (field, value) pairs."""

Match = float | Callable[[Member], bool]
"""Which members match: a share from 0.0 to 1.0, or a function that is called for each member."""

Packed = str | bytes | tuple[str | bytes, ...]
"""A stored member: a string, the bytes of a digest, or a row as names and packed values."""

_DIGITS_OF_DIGESTS = frozenset({32, 40, 64})  # MD5, SHA1, SHA256

# Fields of a row that are shared by many people.
_NOT_IDENTIFYING = frozenset({"ip_address", "user_agent"})

_DIGEST = re.compile(r"(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{64})")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_FREE_TYPES = frozenset({"LR_ID", "DLX_ID"})

_NO_EXCEPTIONS: Mapping[str, Callable[[], object]] = {
    "object": dict,
    "list": list,
    "null": lambda: None,
}

_HASH_BYTES = 8
_HASH_RANGE = 2 ** (8 * _HASH_BYTES)
OperationType = Literal["ADD", "REMOVE"]

MINIMUM_MATCHED = 100
"""A list with fewer Pinterest accounts than this is TOO_SMALL."""

# The ad account in the examples of the documentation.
_EXAMPLE_AD_ACCOUNT = "549755885175"

# Ids of lists have 7 digits and those of audiences 13, so that mixing them up is noticed. They have
# gaps, so that no test relies on consecutive ids; a million lists still have 7 digits.
_FIRST_ID = 2_542_620
_ID_STEP = 7


def pack(member: Member) -> Packed:
    """Return a member as it is stored.

    Args:
        member: A record, or a row.

    Returns:
        The member in less memory; equal for equal members.
    """
    if isinstance(member, str):
        return _pack_text(member)
    return tuple(chain.from_iterable((sys.intern(n), _pack_text(value)) for n, value in member))


def unpack(packed: Packed) -> Member:
    """Return a member as it was sent.

    Args:
        packed: What `pack` returned.

    Returns:
        The member.
    """
    if not isinstance(packed, tuple):
        return _unpack_text(packed)
    texts = [_unpack_text(item) for item in packed]
    return tuple(zip(texts[::2], texts[1::2], strict=True))


def sharing_an_identifier(members: Iterable[Packed], others: Iterable[Packed]) -> set[Packed]:
    """Return the members that have an identifier in common with one of others.

    Args:
        members: The members of a list.
        others: Records, each of which is one identifier, and rows.

    Returns:
        Some of `members`.
    """
    shared = {identifier for packed in others for identifier in _identifiers(packed)}
    return {packed for packed in members if not shared.isdisjoint(_identifiers(packed))}


def record_validator(list_type: str) -> Callable[[str], bool]:
    """Return a function that decides whether a record is valid.

    Args:
        list_type: The declared type of the list.

    Returns:
        The function; for types whose records have no known form it accepts any.
    """
    if list_type in _FREE_TYPES:
        return bool
    return lambda record: bool(_DIGEST.fullmatch(record) or _EMAIL.fullmatch(record))


def _identifiers(packed: Packed) -> list[str | bytes]:
    if not isinstance(packed, tuple):
        return [packed]
    pairs = zip(packed[::2], packed[1::2], strict=True)
    return [value for name, value in pairs if name not in _NOT_IDENTIFYING]


def _pack_text(text: str) -> str | bytes:
    if len(text) in _DIGITS_OF_DIGESTS:
        try:
            packed = bytes.fromhex(text)
        except ValueError:
            return text
        # Upper-case digits and spaces between them would be lost.
        if packed.hex() == text:
            return packed
    return text


def _unpack_text(packed: str | bytes) -> str:
    return packed if isinstance(packed, str) else packed.hex()


class Matcher:
    """Decides which members match a Pinterest account: the same ones for the same key.

    Args:
        key: Chooses the matching members, when `match` is a share.
        match: The share of members that match, or a function that decides for each.
    """

    def __init__(self, key: bytes, match: Match) -> None:
        self._predicate = match if callable(match) else None
        # Copying a keyed hash takes half the time of creating one for each member.
        self._keyed = blake2b(key=key, digest_size=_HASH_BYTES)
        self._threshold = 0 if callable(match) else round(match * _HASH_RANGE)

    def count(self, members: Iterable[Member]) -> int:
        """Return how many of these members match.

        Args:
            members: Records or rows; repeated ones are counted again.

        Returns:
            The number of matches.
        """
        if self._predicate is not None:
            return sum(map(bool, map(self._predicate, members)))
        matches = 0
        for member in members:
            digest = self._keyed.copy()
            # JSON may contain half a surrogate pair, which strict UTF-8 refuses.
            digest.update(str(member).encode("utf-8", "surrogatepass"))
            matches += int.from_bytes(digest.digest(), "big") < self._threshold
        return matches


@attrs.define(kw_only=True)
class CustomerListState:
    """One customer list.

    Attributes:
        id: Its id; a newer list has a higher one.
        ad_account_id: The account it belongs to.
        name: Its name; names need not differ.
        list_type: Its declared type; not in any answer of the API.
        is_nca: Whether it was uploaded for new customer acquisition.
        created_at: When it was created, in Unix seconds.
        updated_at: When records were last added or removed.
        uploading_until: When the last of its multipart uploads ends, or ended.
        processed_at: When its processing ends, or ended.
        num_batches: 1 for the creation and 1 for each update.
        num_uploaded: Records sent to be added, including those that were members already.
        num_removed: Records sent to be removed, including those that were not members.
        members: Its members, packed.
        members_shared: Whether the set is shared with other lists or copies, and must be copied
            before a change.
        matched: How many of the members match.
        matched_at_last_processing: How many matched when processing last ended, before the last
            change.
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
    matched_at_last_processing: int | None = None


@attrs.frozen
class CustomerListPage:
    """A page of an account's lists.

    Attributes:
        lists: The lists, in the requested order.
        more: Whether others follow.
    """

    lists: tuple[CustomerListState, ...]
    more: bool


class CustomerLists:
    """All ad accounts with their customer lists.

    Args:
        clock: Returns Unix seconds.
        key: Chooses the matching members.
        match: Which members match: a share, or a function that is called for each member.
        processing_seconds: How long a list stays PROCESSING after a change.
        ad_accounts: The ids of the accounts that exist; None for any.
        assumptions: What is not published.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        key: bytes,
        match: Match,
        processing_seconds: float,
        ad_accounts: frozenset[str] | None,
        assumptions: Assumptions,
    ) -> None:
        self._clock = clock
        self._matcher = Matcher(key, match)
        self._processing_seconds = processing_seconds
        self._ad_accounts = ad_accounts
        self._assumptions = assumptions
        self._lists: dict[int, CustomerListState] = {}
        self._index = IdIndex()

    def has_account(self, ad_account_id: str) -> bool:
        """Return whether an ad account exists.

        Args:
            ad_account_id: The id to look for.

        Returns:
            True when it exists.
        """
        return self._ad_accounts is None or ad_account_id in self._ad_accounts

    def accounts(self) -> list[str]:
        """Return the ad accounts to list.

        Returns:
            The ids of those that exist; if any id exists, of those with lists, or the example
            account when there are no lists. Ascending.
        """
        accounts = self._index.accounts() or (_EXAMPLE_AD_ACCOUNT,)
        if self._ad_accounts is not None:
            accounts = tuple(self._ad_accounts)
        return sorted(accounts, key=lambda account: (int(account), account))

    def find(self, customer_list_id: str) -> CustomerListState | None:
        """Return a list of any account.

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
            members: What was sent, with repetitions.
            list_type: Its declared type.
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
            members: What was sent for each, with repetitions; iterated once.
            list_type: Their declared type.
            is_nca: Whether they are for new customer acquisition.

        Returns:
            The new lists, in the order of their names and ids.
        """
        now = self._clock()
        distinct: set[Packed] = set()
        sent = 0
        weighed = self._assumptions.rows_count_as == "identifiers"
        for member in members:
            distinct.add(pack(member))
            sent += self._weight(member) if weighed else 1
        if self._assumptions.counters == "changed":
            sent = sum(map(self._weight, map(unpack, distinct)))
        matched = self._matcher.count(map(unpack, distinct))
        created: list[CustomerListState] = []
        for name in names:
            customer_list = CustomerListState(
                id=self._next_id(),
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
            self._add(customer_list)
            created.append(customer_list)
        return created

    def update(
        self,
        customer_list: CustomerListState,
        operation_type: OperationType,
        members: Sequence[Member],
    ) -> None:
        """Add members to a list or remove them, which starts its processing again.

        Args:
            customer_list: The list to change.
            operation_type: What to do with the members.
            members: What was sent, with repetitions.
        """
        self.start_batch(customer_list, self._clock())
        self.change_members(customer_list, operation_type, members)

    def start_batch(self, customer_list: CustomerListState, now: float) -> None:
        """Count a new batch of a list and start its processing.

        Args:
            customer_list: The list to change.
            now: When that happens.
        """
        # Audiences keep the size of the last complete processing until this one is complete.
        processed = now >= customer_list.processed_at
        if processed:
            customer_list.matched_at_last_processing = customer_list.matched
        customer_list.num_batches += self._assumptions.batches_per_update
        customer_list.updated_at = now
        if not processed or self._assumptions.status_after_update == "PROCESSING":
            customer_list.processed_at = now + self._processing_seconds

    def change_members(
        self,
        customer_list: CustomerListState,
        operation_type: OperationType,
        members: Sequence[Member],
    ) -> None:
        """Add members to a list or remove them, as a part of the batch that was started last.

        Args:
            customer_list: The list to change.
            operation_type: What to do with the members.
            members: What was sent, with repetitions.
        """
        if customer_list.members_shared:
            customer_list.members = set(customer_list.members)
            customer_list.members_shared = False
        packed = {pack(member): member for member in members}
        # Only the members that change are matched, so that a batch costs the same on any list.
        if operation_type == "ADD":
            new = packed.keys() - customer_list.members
            customer_list.members |= new
            customer_list.matched += self._matcher.count(packed[member] for member in new)
            customer_list.num_uploaded += self._counted(members, new)
        else:
            removed = packed.keys() & customer_list.members
            if self._assumptions.remove_matches == "any_identifier":
                removed |= sharing_an_identifier(customer_list.members, packed)
            customer_list.members -= removed
            customer_list.matched -= self._matcher.count(map(unpack, removed))
            customer_list.num_removed += self._counted(members, removed)

    def _counted(self, sent: Sequence[Member], changed: Iterable[Packed]) -> int:
        """Return by how much a counter rises."""
        if self._assumptions.counters == "changed":
            return sum(map(self._weight, map(unpack, changed)))
        if self._assumptions.rows_count_as == "one":
            return len(sent)
        return sum(map(self._weight, sent))

    def _weight(self, member: Member) -> int:
        if isinstance(member, str) or self._assumptions.rows_count_as == "one":
            return 1
        return sum(name not in _NOT_IDENTIFYING for name, _ in member)

    def page(
        self,
        ad_account_id: str,
        *,
        order: Order,
        after: int | None,
        size: int,
        exclude_nca: bool = False,
    ) -> CustomerListPage:
        """Return a page of an account's lists, in a time that does not depend on their number.

        Args:
            ad_account_id: The account.
            order: By ascending or descending id.
            after: The id to continue after, in that order; None for the first page.
            size: How many at most.
            exclude_nca: Whether to leave out those for new customer acquisition.

        Returns:
            The lists, and whether more follow.
        """
        page = self._index.page(
            ad_account_id, order=order, after=after, size=size, exclude_nca=exclude_nca
        )
        return CustomerListPage(tuple(map(self._lists.__getitem__, page.ids)), page.more)

    def show(
        self, customer_list: CustomerListState, *, in_listing: bool = False
    ) -> dict[str, object]:
        """Return a list as the API shows it, fields as of version 5.28.

        Args:
            customer_list: The list to show.
            in_listing: Whether it is an item of a page; only those have `is_nca`.

        Returns:
            The fields of a CustomerList, ready for JSON.
        """
        shown: dict[str, object] = {
            "ad_account_id": customer_list.ad_account_id,
            "created_time": int(customer_list.created_at),
            "exceptions": _NO_EXCEPTIONS[self._assumptions.exceptions](),
            "id": str(customer_list.id),
            "name": customer_list.name,
            "num_batches": customer_list.num_batches,
            "num_removed_user_records": customer_list.num_removed,
            "num_uploaded_user_records": customer_list.num_uploaded,
            "status": self._status(customer_list),
            "type": "customerlist",
            "updated_time": int(self._updated_at(customer_list)),
        }
        return {**shown, "is_nca": customer_list.is_nca} if in_listing else shown

    def matched_size(self, customer_list: CustomerListState) -> int | None:
        """Return how many members match, as of the last completed processing.

        Args:
            customer_list: The list.

        Returns:
            The number; the previous one during processing; None before the first one is complete.
        """
        if self._clock() < customer_list.processed_at:
            return customer_list.matched_at_last_processing
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
        """Return the number of ad accounts with lists, of lists and of members.

        Returns:
            Counts by the name of what is counted.
        """
        return {
            "ad_accounts": len(self._index.accounts()),
            "customer_lists": len(self._lists),
            "members": sum(len(customer_list.members) for customer_list in self._lists.values()),
        }

    def dump(self) -> tuple[CustomerListState, ...]:
        """Return copies of all lists, which share the sets of members until one is changed.

        Returns:
            The lists, oldest first.
        """
        for customer_list in self._lists.values():
            customer_list.members_shared = True
        return tuple(map(_copy, self._lists.values()))

    def load(self, lists: Iterable[CustomerListState], *, recount: bool = False) -> None:
        """Replace all lists.

        Args:
            lists: What `dump` returned; they are copied.
            recount: Whether to match all members again, for another seed or share.
        """
        self._lists, self._index = {}, IdIndex()
        for customer_list in map(_copy, lists):
            if recount:
                customer_list.matched = self._matcher.count(map(unpack, customer_list.members))
            self._add(customer_list)

    def _add(self, customer_list: CustomerListState) -> None:
        self._lists[customer_list.id] = customer_list
        self._index.add(customer_list.ad_account_id, customer_list.id, is_nca=customer_list.is_nca)

    def _next_id(self) -> int:
        # Not from their number: a file of an earlier version has ids of 13 digits.
        newest = next(reversed(self._lists), None)
        return _FIRST_ID if newest is None else newest + _ID_STEP

    def _updated_at(self, customer_list: CustomerListState) -> float:
        # The end of processing changes it as well: it was seen to change without a call.
        ended = customer_list.processed_at
        return (
            max(customer_list.updated_at, ended)
            if self._clock() >= ended
            else customer_list.updated_at
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
