"""The audiences and customer segments: their rules, size and status.

The size of a list's audience follows its list: the audience is INITIALIZING until the list has
been processed for the first time, and keeps its size while the list is processed again. That an
audience takes as long as a list to become ready is assumed; so are the sizes of other audiences.
A customer segment is a named combination of audiences.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Literal

import attrs

from pinterest_audiences.emulator._customer_lists import MINIMUM_MATCHED, CustomerLists
from pinterest_audiences.emulator._paging import IdIndex, IdPage, Order, id_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pinterest_audiences.emulator._assumptions import Assumptions
    from pinterest_audiences.emulator._customer_lists import CustomerListState

AudienceType = Literal["CUSTOMER_LIST", "VISITOR", "ENGAGEMENT", "ACTALIKE", "PERSONA"]
OwnershipType = Literal["OWNED", "RECEIVED"]
AnswerTo = Literal["change", "get", "list"]

COMPANY_NAME = "Emulator"
"""The company whose user created every audience."""

_FIRST_ID = 2_542_621_000_000
_ID_STEP = 11
_FIRST_SEGMENT_ID = 5_841_155_000_000
_SEGMENT_ID_STEP = 3


@attrs.define(kw_only=True)
class AudienceState:
    """One audience.

    Attributes:
        id: Its id; a newer audience has a higher one.
        ad_account_id: The account it belongs to.
        name: Its name; names need not differ.
        audience_type: Its type.
        rule: Its rule.
        description: Its description by its owner.
        is_nca: Whether its list was uploaded for new customer acquisition.
        created_at: When it was created, in Unix seconds.
        updated_at: When it was last changed.
        ready_at: When it is ready at the earliest.
        size: How many Pinterest accounts are in it; None when it follows a customer list.
    """

    id: int
    ad_account_id: str
    name: str = attrs.field(repr=False)
    audience_type: AudienceType
    rule: Mapping[str, object] = attrs.field(repr=False)
    description: str | None = attrs.field(default=None, repr=False)
    is_nca: bool = False
    created_at: float
    updated_at: float
    ready_at: float
    size: int | None = None


@attrs.frozen
class AudiencePage:
    """A page of an account's audiences.

    Attributes:
        audiences: The audiences, in the requested order.
        last: The number that the next page continues after; None for an empty page.
        more: Whether others follow.
    """

    audiences: tuple[AudienceState, ...]
    last: int | None
    more: bool


class Audiences:
    """All audiences.

    Args:
        clock: Returns Unix seconds.
        customer_lists: The customer lists that audiences are created from.
        processing_seconds: How long an audience takes once its list is ready.
        assumptions: What is not published.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        customer_lists: CustomerLists,
        processing_seconds: float,
        assumptions: Assumptions,
    ) -> None:
        self._clock = clock
        self._customer_lists = customer_lists
        self._processing_seconds = processing_seconds
        self._assumptions = assumptions
        self.load((), (), 0)

    def __len__(self) -> int:
        return len(self._audiences)

    def create(
        self,
        ad_account_id: str,
        *,
        name: str,
        audience_type: AudienceType,
        rule: Mapping[str, object],
        description: str | None = None,
        size: int | None = None,
    ) -> AudienceState:
        """Create an audience.

        Args:
            ad_account_id: The account it will belong to.
            name: Its name.
            audience_type: Its type.
            rule: Its rule.
            description: Its description by its owner.
            size: How many accounts are in it; None for the size of its list, or an assumption.

        Returns:
            The new audience.
        """
        now = self._clock()
        customer_list = self._find_list(rule)
        if audience_type == "CUSTOMER_LIST" and customer_list is not None and size is None:
            starts_at = max(now, customer_list.processed_at)
        else:
            customer_list, starts_at = None, now
            size = self._assumptions.other_audience_size if size is None else size
        audience = AudienceState(
            id=_FIRST_ID + _ID_STEP * self._created_count,
            ad_account_id=ad_account_id,
            name=name,
            audience_type=audience_type,
            rule=rule,
            description=description,
            is_nca=customer_list is not None and customer_list.is_nca,
            created_at=now,
            updated_at=now,
            ready_at=starts_at + self._processing_seconds,
            size=size,
        )
        self._created_count += 1
        self._add(audience)
        return audience

    def find(self, audience_id: str) -> AudienceState | None:
        """Return an audience of any account.

        Args:
            audience_id: The id to look for.

        Returns:
            The audience, or None when there is none with that id.
        """
        key = id_number(audience_id)
        if key is None:
            return None
        return self._audiences.get(key) or self._removed.get(key)

    def has_name(self, ad_account_id: str, name: str) -> bool:
        """Return whether an account owns an audience of a name.

        Args:
            ad_account_id: The account.
            name: The name.

        Returns:
            True when it does.
        """
        return any(
            (audience.ad_account_id, audience.name) == (ad_account_id, name)
            for audience in self._audiences.values()
        )

    def can_see(self, ad_account_id: str, audience: AudienceState) -> bool:
        """Return whether an account owns an audience or has received it.

        Args:
            ad_account_id: The account.
            audience: The audience.

        Returns:
            True when it may read it.
        """
        if audience.ad_account_id == ad_account_id:
            return True
        return (ad_account_id, audience.id) in self._shared.values()

    def update(
        self,
        audience: AudienceState,
        *,
        name: str | None = None,
        rule: Mapping[str, object] | None = None,
        description: str | None = None,
    ) -> None:
        """Change the fields that are not None.

        Args:
            audience: The audience to change.
            name: Its new name.
            rule: Its new rule, for which it is processed again.
            description: Its new description.
        """
        now = audience.updated_at = self._clock()
        if name is not None:
            audience.name = name
        if description is not None:
            audience.description = description
        if rule is not None:
            audience.rule = rule
            audience.ready_at = now + self._processing_seconds

    def remove(self, audience: AudienceState) -> None:
        """Remove an audience for its owner and its receivers.

        Args:
            audience: The audience.
        """
        self._audiences.pop(audience.id, None)
        if self._assumptions.removed_audiences == "readable":
            self._removed[audience.id] = audience
        self._owned.remove(audience.ad_account_id, audience.id)
        for number, (receiver, shared) in tuple(self._shared.items()):
            if shared == audience.id:
                del self._shared[number]
                self._received.remove(receiver, number)

    def share(self, audience: AudienceState, receiver: str) -> None:
        """Share an audience with another account.

        Args:
            audience: The audience.
            receiver: The account that will list it as RECEIVED.
        """
        number = max(self._shared, default=0) + 1
        self._shared[number] = (receiver, audience.id)
        self._received.add(receiver, number, is_nca=audience.is_nca)

    def page(
        self,
        ad_account_id: str,
        *,
        ownership_type: OwnershipType,
        order: Order,
        after: int | None,
        size: int,
        exclude_nca: bool,
    ) -> AudiencePage:
        """Return a part of an account's audiences.

        Args:
            ad_account_id: The account.
            ownership_type: Those it owns, or those it has received.
            order: By ascending or descending id, or time of sharing.
            after: The `last` of the page before; None for the first page.
            size: How many at most.
            exclude_nca: Whether to leave out those for new customer acquisition.

        Returns:
            The audiences, and whether more follow.
        """
        owned = ownership_type == "OWNED"
        page: IdPage = (self._owned if owned else self._received).page(
            ad_account_id, order=order, after=after, size=size, exclude_nca=exclude_nca
        )
        ids = page.ids if owned else [self._shared[number][1] for number in page.ids]
        return AudiencePage(
            tuple(map(self._audiences.__getitem__, ids)),
            page.ids[-1] if page.ids else None,
            page.more,
        )

    def show(self, audience: AudienceState, answer_to: AnswerTo = "get") -> dict[str, object]:
        """Return an audience as the API shows it, fields as of version 5.28.

        Args:
            audience: The audience to show.
            answer_to: The kind of request: the answer to a create or an update has no company, and
                only an item of a page has `is_ctv_enabled`.

        Returns:
            The fields of an Audience, ready for JSON.
        """
        size = self._size(audience)
        if size is None:
            status, size = "INITIALIZING", self._assumptions.size_while_initializing
        else:
            status = "READY" if size >= MINIMUM_MATCHED else "TOO_SMALL"
        shown: dict[str, object] = {
            "ad_account_id": audience.ad_account_id,
            "audience_type": audience.audience_type,
            "created_by_company_name": None if answer_to == "change" else COMPANY_NAME,
            "created_timestamp": int(audience.created_at),
            "description": audience.description,
            "id": str(audience.id),
            "is_nca": audience.is_nca,
            "name": audience.name,
            "rule": audience.rule,
            "size": size,
            "status": status,
            "type": "audience",
            "updated_timestamp": int(audience.updated_at),
        }
        return {**shown, "is_ctv_enabled": False} if answer_to == "list" else shown

    def newest(self, count: int) -> list[AudienceState]:
        """Return the newest audiences of all accounts.

        Args:
            count: How many at most.

        Returns:
            The audiences, newest first.
        """
        return list(islice(reversed(self._audiences.values()), count))

    def dump(
        self,
    ) -> tuple[tuple[AudienceState, ...], tuple[tuple[int, str, int], ...], int]:
        """Return copies of everything.

        Returns:
            The arguments of `load`.
        """
        shared = tuple((number, *pair) for number, pair in self._shared.items())
        return tuple(map(_copy, self._audiences.values())), shared, self._created_count

    def load(
        self,
        audiences: Iterable[AudienceState],
        shared: Iterable[tuple[int, str, int]],
        created_count: int,
    ) -> None:
        """Replace everything.

        Args:
            audiences: The audiences; they are copied.
            shared: For each sharing its number, the receiver, and the audience's id.
            created_count: How many were ever created.
        """
        self._audiences: dict[int, AudienceState] = {}
        # Removed ones that can still be read; they are not part of a snapshot or a file.
        self._removed: dict[int, AudienceState] = {}
        self._owned = IdIndex()
        # Received ones are listed in the order of their sharing, each under an ascending number.
        self._received = IdIndex()
        self._shared: dict[int, tuple[str, int]] = {}
        for audience in map(_copy, audiences):
            self._add(audience)
        for number, receiver, identifier in shared:
            self._shared[number] = (receiver, identifier)
            self._received.add(receiver, number, is_nca=self._audiences[identifier].is_nca)
        self._created_count = created_count

    def _add(self, audience: AudienceState) -> None:
        self._audiences[audience.id] = audience
        self._owned.add(audience.ad_account_id, audience.id, is_nca=audience.is_nca)

    def _find_list(self, rule: Mapping[str, object]) -> CustomerListState | None:
        return self._customer_lists.find(str(rule.get("customer_list_id", "")))

    def _size(self, audience: AudienceState) -> int | None:
        """Return how many accounts are in an audience; None while it is initializing."""
        if self._clock() < audience.ready_at:
            return None
        if audience.size is not None:
            return audience.size
        customer_list = self._find_list(audience.rule)
        return None if customer_list is None else self._customer_lists.matched_size(customer_list)


def _copy(audience: AudienceState) -> AudienceState:
    return attrs.evolve(audience)


@attrs.define(kw_only=True)
class SegmentState:
    """One customer segment.

    Attributes:
        id: Its id; a newer segment has a higher one.
        ad_account_id: The account it belongs to.
        name: Its name; names need not differ.
        audience_ids: The audiences in it.
        created_at: When it was created, in Unix seconds.
        updated_at: When it was last changed.
    """

    id: int
    ad_account_id: str
    name: str = attrs.field(repr=False)
    audience_ids: tuple[str, ...] = attrs.field(converter=tuple[str, ...])
    created_at: float
    updated_at: float


class Segments:
    """All customer segments.

    Args:
        clock: Returns Unix seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.load((), 0)

    def create(self, ad_account_id: str, name: str, audience_ids: Sequence[str]) -> SegmentState:
        """Create a segment.

        Args:
            ad_account_id: The account it will belong to.
            name: Its name.
            audience_ids: The audiences in it.

        Returns:
            The new segment.
        """
        now = self._clock()
        segment = SegmentState(
            id=_FIRST_SEGMENT_ID + _SEGMENT_ID_STEP * self._created_count,
            ad_account_id=ad_account_id,
            name=name,
            audience_ids=audience_ids,
            created_at=now,
            updated_at=now,
        )
        self._created_count += 1
        self._add(segment)
        return segment

    def find(self, segment_id: str) -> SegmentState | None:
        """Return a segment of any account.

        Args:
            segment_id: The id to look for.

        Returns:
            The segment, or None when there is none with that id.
        """
        key = id_number(segment_id)
        return None if key is None else self._segments.get(key)

    def update(self, segment: SegmentState, audience_ids: Sequence[str] | None) -> None:
        """Change the audiences of a segment.

        Args:
            segment: The segment to change.
            audience_ids: The new audiences; None for no change.
        """
        segment.updated_at = self._clock()
        if audience_ids is not None:
            segment.audience_ids = tuple(audience_ids)

    def remove(self, segment: SegmentState) -> None:
        """Remove a segment.

        Args:
            segment: The segment.
        """
        del self._segments[segment.id]
        self._index.remove(segment.ad_account_id, segment.id)

    def page(
        self, ad_account_id: str, *, order: Order, after: int | None, size: int
    ) -> tuple[list[SegmentState], bool]:
        """Return a page of an account's segments.

        Args:
            ad_account_id: The account.
            order: By ascending or descending id.
            after: The id to continue after, in that order; None for the first page.
            size: How many at most.

        Returns:
            The segments, and whether more follow.
        """
        page: IdPage = self._index.page(ad_account_id, order=order, after=after, size=size)
        return [self._segments[identifier] for identifier in page.ids], page.more

    def show(self, segment: SegmentState) -> dict[str, object]:
        """Return a segment as the API shows it.

        Args:
            segment: The segment to show.

        Returns:
            The fields of a CustomerSegment, ready for JSON.
        """
        return {
            "id": str(segment.id),
            "name": segment.name,
            "ad_account_id": segment.ad_account_id,
            "audience_ids": list(segment.audience_ids),
            "created_time": int(segment.created_at),
            "updated_time": int(segment.updated_at),
            "status": "ACTIVE",
        }

    def dump(self) -> tuple[tuple[SegmentState, ...], int]:
        """Return copies of everything.

        Returns:
            The arguments of `load`.
        """
        return tuple(map(_copy_segment, self._segments.values())), self._created_count

    def load(self, segments: Iterable[SegmentState], created_count: int) -> None:
        """Replace everything.

        Args:
            segments: The segments; they are copied.
            created_count: How many were ever created.
        """
        self._segments: dict[int, SegmentState] = {}
        self._index = IdIndex()
        self._created_count = created_count
        for segment in map(_copy_segment, segments):
            self._add(segment)

    def _add(self, segment: SegmentState) -> None:
        self._segments[segment.id] = segment
        self._index.add(segment.ad_account_id, segment.id, is_nca=False)


def _copy_segment(segment: SegmentState) -> SegmentState:
    return attrs.evolve(segment)
