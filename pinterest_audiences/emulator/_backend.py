"""The state of one emulated Pinterest, and how all of it is copied out and put back."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Literal

import attrs

from pinterest_audiences.emulator._audiences import Audiences, AudienceState, Segments, SegmentState
from pinterest_audiences.emulator._customer_lists import CustomerLists, CustomerListState, Match
from pinterest_audiences.emulator._paging import Bookmarks
from pinterest_audiences.emulator._tokens import Grant, Tokens
from pinterest_audiences.emulator._uploads import Uploads, UploadState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pinterest_audiences.emulator._assumptions import Assumptions
    from pinterest_audiences.emulator._clock import VirtualClock

UploadsAccess = Literal["open", "restricted", "forbidden"]


def seeded_key(seed: int, purpose: str) -> bytes:
    """Derive a key for one purpose from the emulator's seed.

    Args:
        seed: The emulator's seed.
        purpose: The use of the key; different purposes get unrelated keys.

    Returns:
        32 bytes.
    """
    return blake2b(f"{purpose}:{seed}".encode(), digest_size=32).digest()


@attrs.frozen(kw_only=True)
class BackendState:
    """Everything at one moment, as copies that later requests do not change.

    Attributes:
        ahead: How many seconds the clock was ahead.
        lists: The customer lists, oldest first.
        audiences: The audiences, oldest first.
        shared: For each sharing of an audience its number, the receiver, and the audience's id.
        audiences_made: How many audiences were ever created.
        segments: The customer segments, oldest first.
        segments_made: How many segments were ever created.
        uploads: The uploads, oldest first.
        codes: The grant of each authorization code.
        access: The grant of each access token.
        refresh: The grant of each refresh token.
        taken: The refresh tokens that were passed to the emulator, spent or not.
        tokens_made: How many codes and tokens were ever created.
    """

    ahead: float
    lists: tuple[CustomerListState, ...] = attrs.field(repr=False)
    audiences: tuple[AudienceState, ...] = attrs.field(repr=False)
    shared: tuple[tuple[int, str, int], ...] = attrs.field(repr=False)
    audiences_made: int
    segments: tuple[SegmentState, ...] = attrs.field(repr=False)
    segments_made: int
    uploads: tuple[UploadState, ...] = attrs.field(repr=False)
    codes: Mapping[str, Grant] = attrs.field(repr=False)
    access: Mapping[str, Grant] = attrs.field(repr=False)
    refresh: Mapping[str, Grant] = attrs.field(repr=False)
    taken: tuple[str, ...] = attrs.field(repr=False)
    tokens_made: int


class Backend:
    """The state of one emulated Pinterest, with the settings that its handlers need.

    Args:
        clock: Its time.
        seed: Chooses which records match, the tokens, the bookmarks and the URLs of parts.
        match: Which members match: a share, or a function that is called for each member.
        processing_seconds: How long a list, an audience and an upload take.
        ad_accounts: The ids of the accounts that exist; None for any.
        roles: The roles of the user on every ad account.
        assumptions: What is not published.
        apps: The secret of each app by its id; None for any app.
        access_tokens: Access tokens that never expire; None for any.
        refresh_tokens: Refresh tokens that apps have from before.
        create_status: The status of a successful create: 200, or 201 as version 5.28 allows.
        uploads_access: Whether the account has access to uploads, and how it is refused otherwise.

    Attributes:
        clock: Its time.
        assumptions: What is not published.
        create_status: The status of a successful create.
        roles: The roles of the user on every ad account.
        uploads_access: Whether the account has access to uploads.
        customer_lists: The customer lists.
        audiences: The audiences.
        segments: The customer segments.
        uploads: The uploads.
        tokens: The apps and tokens.
        bookmarks: Encodes and decodes bookmarks.
        storage_key: The key that the URLs of parts are signed with.
    """

    def __init__(
        self,
        *,
        clock: VirtualClock,
        seed: int,
        match: Match,
        processing_seconds: float,
        ad_accounts: frozenset[str] | None,
        roles: tuple[str, ...],
        assumptions: Assumptions,
        apps: Mapping[str, str] | None,
        access_tokens: frozenset[str] | None,
        refresh_tokens: Iterable[str],
        create_status: int,
        uploads_access: UploadsAccess,
    ) -> None:
        self.clock: VirtualClock = clock
        self.assumptions: Assumptions = assumptions
        self.create_status: int = create_status
        self.roles: tuple[str, ...] = roles
        self.uploads_access: UploadsAccess = uploads_access
        self.bookmarks: Bookmarks = Bookmarks(seeded_key(seed, "bookmark"))
        self.storage_key: bytes = seeded_key(seed, "storage")
        self.customer_lists: CustomerLists = CustomerLists(
            clock=clock,
            key=seeded_key(seed, "match"),
            match=match,
            processing_seconds=processing_seconds,
            ad_accounts=ad_accounts,
            assumptions=assumptions,
        )
        self.audiences: Audiences = Audiences(
            clock=clock,
            customer_lists=self.customer_lists,
            processing_seconds=processing_seconds,
            assumptions=assumptions,
        )
        self.segments: Segments = Segments(clock)
        self.uploads: Uploads = Uploads(
            clock=clock,
            customer_lists=self.customer_lists,
            processing_seconds=processing_seconds,
            assumptions=assumptions,
        )
        self.tokens: Tokens = Tokens(
            clock=clock,
            key=seeded_key(seed, "tokens"),
            assumptions=assumptions,
            apps=apps,
            access_tokens=access_tokens,
            refresh_tokens=refresh_tokens,
        )
        self._initial = self.dump()

    def counts(self) -> dict[str, int]:
        """Return the number of ad accounts, customer lists, members, audiences and uploads.

        Returns:
            Counts by the name of what is counted.
        """
        created = {"audiences": len(self.audiences), "uploads": len(self.uploads)}
        return {**self.customer_lists.counts(), **created}

    def clear(self) -> None:
        """Restore the initial state, without what was read from a file."""
        self.load(self._initial)

    def dump(self) -> BackendState:
        """Return a copy of the whole state.

        Returns:
            Copies, cheap even of long lists: sets of members are shared until one is changed.
        """
        audiences, shared, audiences_made = self.audiences.dump()
        segments, segments_made = self.segments.dump()
        codes, access, refresh, taken, tokens_made = self.tokens.dump()
        return BackendState(
            ahead=self.clock.ahead,
            lists=self.customer_lists.dump(),
            audiences=audiences,
            shared=shared,
            audiences_made=audiences_made,
            segments=segments,
            segments_made=segments_made,
            uploads=self.uploads.dump(),
            codes=codes,
            access=access,
            refresh=refresh,
            taken=taken,
            tokens_made=tokens_made,
        )

    def load(self, state: BackendState, *, recount: bool = False) -> None:
        """Replace the whole state.

        Args:
            state: What `dump` returned; it is copied.
            recount: Whether to match all members again, for another seed or share.
        """
        self.clock.ahead = state.ahead
        self.customer_lists.load(state.lists, recount=recount)
        self.audiences.load(state.audiences, state.shared, state.audiences_made)
        self.segments.load(state.segments, state.segments_made)
        self.uploads.load(state.uploads)
        self.tokens.load(state.codes, state.access, state.refresh, state.taken, state.tokens_made)
