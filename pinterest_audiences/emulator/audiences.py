"""The audiences of the emulated Pinterest: what they are made of, their size and their status.

The size of a list's audience follows its list: it is unknown (INITIALIZING) until the list has
been processed for the first time, and stays what it was while the list is processed again. That an
audience takes as long as a list to get ready is our guess; so are the sizes of other audiences.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Literal

import attrs

from pinterest_audiences.emulator.shelves import Cut, Order, Shelves, id_number
from pinterest_audiences.emulator.state import MINIMUM_MATCHED, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pinterest_audiences.emulator.guesses import Guesses

AudienceType = Literal["CUSTOMER_LIST", "VISITOR", "ENGAGEMENT", "ACTALIKE", "PERSONA"]
OwnershipType = Literal["OWNED", "RECEIVED"]

_FIRST_ID = 2_542_621_000_000
_ID_STEP = 11


@attrs.define(kw_only=True)
class AudienceState:
    """One audience.

    Attributes:
        id: Its id; a newer audience has a higher one.
        ad_account_id: The account it belongs to.
        name: Its name; names need not differ.
        audience_type: What it is made of.
        rule: The rule it was made by.
        description: What its owner says of it.
        is_nca: Whether its list was uploaded for new customer acquisition.
        created_at: When it was created, in Unix seconds.
        updated_at: When it was last changed.
        ready_at: When it is ready at the earliest.
        size: How many Pinterest accounts are in it, unless it follows a customer list.
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
    """A part of an account's audiences.

    Attributes:
        audiences: The audiences, in the order asked for.
        last: What the next page goes on behind; None for an empty page.
        more: Whether others follow.
    """

    audiences: tuple[AudienceState, ...]
    last: int | None
    more: bool


class Audiences:
    """All audiences.

    Args:
        clock: Returns Unix seconds.
        state: The customer lists that audiences are made of.
        processing_seconds: How long an audience takes once its list is ready.
        guesses: What is not published.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        state: State,
        processing_seconds: float,
        guesses: Guesses,
    ) -> None:
        self._clock = clock
        self._state = state
        self._processing_seconds = processing_seconds
        self._guesses = guesses
        self.take((), (), 0)

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
            audience_type: What it is made of.
            rule: The rule it is made by.
            description: What its owner says of it.
            size: How many accounts are in it; None for what its list or a guess says.

        Returns:
            The new audience.
        """
        now = self._clock()
        customer_list = self._state.find(str(rule.get("customer_list_id", "")))
        if audience_type == "CUSTOMER_LIST" and customer_list is not None and size is None:
            begins = max(now, customer_list.processed_at)
        else:
            customer_list, begins = None, now
            size = self._guesses.other_audience_size if size is None else size
        audience = AudienceState(
            id=_FIRST_ID + _ID_STEP * self._made,
            ad_account_id=ad_account_id,
            name=name,
            audience_type=audience_type,
            rule=rule,
            description=description,
            is_nca=customer_list is not None and customer_list.is_nca,
            created_at=now,
            updated_at=now,
            ready_at=begins + self._processing_seconds,
            size=size,
        )
        self._made += 1
        self._keep(audience)
        return audience

    def find(self, audience_id: str) -> AudienceState | None:
        """Return an audience, whichever account it belongs to.

        Args:
            audience_id: The id to look for.

        Returns:
            The audience, or None when there is none with that id.
        """
        key = id_number(audience_id)
        return None if key is None else self._audiences.get(key)

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
        """Change what is not None.

        Args:
            audience: The audience to change.
            name: Its new name.
            rule: Its new rule, by which it is made anew.
            description: What its owner says of it now.
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
        """Remove an audience, for its owner and for whom it was shared with.

        Args:
            audience: The audience.
        """
        del self._audiences[audience.id]
        self._owned.remove(audience.ad_account_id, audience.id)
        for number, (receiver, shared) in tuple(self._shared.items()):
            if shared == audience.id:
                del self._shared[number]
                self._received.remove(receiver, number)

    def share(self, audience: AudienceState, receiver: str) -> None:
        """Let another account receive an audience.

        Args:
            audience: The audience.
            receiver: The account that will list it among what it RECEIVED.
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
            ad_account_id: Whose audiences.
            ownership_type: Those it owns, or those it has received.
            order: By rising or falling id, or time of sharing.
            after: What the last page's `last` was; None for the beginning.
            size: How many at most.
            exclude_nca: Whether to leave out those for new customer acquisition.

        Returns:
            The audiences, and whether more follow.
        """
        owned = ownership_type == "OWNED"
        cut: Cut = (self._owned if owned else self._received).cut(
            ad_account_id, order=order, after=after, size=size, exclude_nca=exclude_nca
        )
        ids = cut.ids if owned else [self._shared[number][1] for number in cut.ids]
        return AudiencePage(
            tuple(map(self._audiences.__getitem__, ids)),
            cut.ids[-1] if cut.ids else None,
            cut.more,
        )

    def show(self, audience: AudienceState) -> dict[str, object]:
        """Return an audience as the API shows it, fields as of version 5.28.

        Args:
            audience: The audience to show.

        Returns:
            The fields of an Audience, ready for JSON.
        """
        size = self._size(audience)
        if size is None:
            status = "INITIALIZING"
        else:
            status = "READY" if size >= MINIMUM_MATCHED else "TOO_SMALL"
        return {
            "ad_account_id": audience.ad_account_id,
            "audience_type": audience.audience_type,
            "created_by_company_name": None,
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

    def newest(self, count: int) -> list[AudienceState]:
        """Return the newest audiences of all accounts.

        Args:
            count: How many at most.

        Returns:
            The audiences, newest first.
        """
        return list(islice(reversed(self._audiences.values()), count))

    def export(
        self,
    ) -> tuple[tuple[AudienceState, ...], tuple[tuple[int, str, int], ...], int]:
        """Return a copy of everything, which nothing changes.

        Returns:
            The arguments of `take`.
        """
        shared = tuple((number, *pair) for number, pair in self._shared.items())
        return tuple(map(_copy, self._audiences.values())), shared, self._made

    def take(
        self,
        audiences: Iterable[AudienceState],
        shared: Iterable[tuple[int, str, int]],
        made: int,
    ) -> None:
        """Put others in the place of all there are.

        Args:
            audiences: The audiences; they are copied, and stay as they are.
            shared: For each sharing its number, who received, and the audience's id.
            made: How many were ever made.
        """
        self._audiences: dict[int, AudienceState] = {}
        self._owned = Shelves()
        # Received ones come in the order of their sharing: under a number for each, which grows.
        self._received = Shelves()
        self._shared: dict[int, tuple[str, int]] = {}
        for audience in map(_copy, audiences):
            self._keep(audience)
        for number, receiver, identifier in shared:
            self._shared[number] = (receiver, identifier)
            self._received.add(receiver, number, is_nca=self._audiences[identifier].is_nca)
        self._made = made

    def _keep(self, audience: AudienceState) -> None:
        self._audiences[audience.id] = audience
        self._owned.add(audience.ad_account_id, audience.id, is_nca=audience.is_nca)

    def _size(self, audience: AudienceState) -> int | None:
        if self._clock() < audience.ready_at:
            return None
        if audience.size is not None:
            return audience.size
        customer_list = self._state.find(str(audience.rule.get("customer_list_id", "")))
        return None if customer_list is None else self._state.matched_size(customer_list)


def _copy(audience: AudienceState) -> AudienceState:
    return attrs.evolve(audience)
