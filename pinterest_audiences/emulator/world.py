"""All there is in one emulated Pinterest, and how all of it is taken out and put back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from pinterest_audiences.emulator.audiences import Audiences, AudienceState
from pinterest_audiences.emulator.members import Match, seeded_key
from pinterest_audiences.emulator.oauth import Grant, Tokens
from pinterest_audiences.emulator.state import CustomerListState, State
from pinterest_audiences.emulator.uploads import Uploads, UploadState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pinterest_audiences.emulator.clock import VirtualClock
    from pinterest_audiences.emulator.guesses import Guesses


@attrs.frozen(kw_only=True)
class Contents:
    """All there is at one moment, as copies that nothing changes.

    Attributes:
        ahead: How many seconds the clock had been moved ahead.
        lists: The customer lists, oldest first.
        audiences: The audiences, oldest first.
        shared: For each sharing of an audience its number, who received, and the audience's id.
        audiences_made: How many audiences were ever made.
        uploads: The uploads, oldest first.
        codes: What each authorization code stands for.
        access: What each access token stands for.
        refresh: What each refresh token stands for.
        taken: The refresh tokens that once came from outside.
        tokens_made: How many codes and tokens were ever made.
    """

    ahead: float
    lists: tuple[CustomerListState, ...] = attrs.field(repr=False)
    audiences: tuple[AudienceState, ...] = attrs.field(repr=False)
    shared: tuple[tuple[int, str, int], ...] = attrs.field(repr=False)
    audiences_made: int
    uploads: tuple[UploadState, ...] = attrs.field(repr=False)
    codes: Mapping[str, Grant] = attrs.field(repr=False)
    access: Mapping[str, Grant] = attrs.field(repr=False)
    refresh: Mapping[str, Grant] = attrs.field(repr=False)
    taken: tuple[str, ...] = attrs.field(repr=False)
    tokens_made: int


class World:
    """All there is in one emulated Pinterest.

    Args:
        clock: Its time.
        seed: Chooses whom Pinterest knows, the tokens and the addresses of parts.
        match: Whom Pinterest knows: a share, or a function that is asked for each member.
        processing_seconds: How long a list, an audience and an upload take.
        ad_accounts: The accounts there are; None for any.
        guesses: What is not published.
        apps: The secret of each app by its id; None for any app.
        access_tokens: Access tokens that work for ever; None for any.
        refresh_tokens: Refresh tokens that were given out before.

    Attributes:
        clock: Its time.
        guesses: What is not published.
        state: The customer lists.
        audiences: The audiences.
        uploads: The uploads.
        tokens: The apps and tokens.
        storage_key: What the addresses of parts are signed with.
    """

    def __init__(
        self,
        *,
        clock: VirtualClock,
        seed: int,
        match: Match,
        processing_seconds: float,
        ad_accounts: frozenset[str] | None,
        guesses: Guesses,
        apps: Mapping[str, str] | None,
        access_tokens: frozenset[str] | None,
        refresh_tokens: Iterable[str],
    ) -> None:
        self.clock: VirtualClock = clock
        self.guesses: Guesses = guesses
        self.storage_key: bytes = seeded_key(seed, "storage")
        self.state: State = State(
            clock=clock,
            seed=seed,
            match_rate=match,
            processing_seconds=processing_seconds,
            ad_accounts=ad_accounts,
        )
        self.audiences: Audiences = Audiences(
            clock=clock, state=self.state, processing_seconds=processing_seconds, guesses=guesses
        )
        self.uploads: Uploads = Uploads(
            clock=clock, state=self.state, processing_seconds=processing_seconds, guesses=guesses
        )
        self.tokens: Tokens = Tokens(
            clock=clock,
            seed=seed,
            guesses=guesses,
            apps=apps,
            access_tokens=access_tokens,
            refresh_tokens=refresh_tokens,
        )
        self._beginning = self.export()

    def counts(self) -> dict[str, int]:
        """Return how much there is of everything.

        Returns:
            Counts by the name of what is counted.
        """
        made = {"audiences": len(self.audiences), "uploads": len(self.uploads)}
        return {**self.state.counts(), **made}

    def clear(self) -> None:
        """Put everything back to how it was in the beginning, before any file was read."""
        self.take(self._beginning)

    def export(self) -> Contents:
        """Take everything out, and leave it there.

        Returns:
            Copies, cheap even of long lists: sets of members are shared until one is changed.
        """
        audiences, shared, audiences_made = self.audiences.export()
        codes, access, refresh, taken, tokens_made = self.tokens.export()
        return Contents(
            ahead=self.clock.ahead,
            lists=self.state.export(),
            audiences=audiences,
            shared=shared,
            audiences_made=audiences_made,
            uploads=self.uploads.export(),
            codes=codes,
            access=access,
            refresh=refresh,
            taken=taken,
            tokens_made=tokens_made,
        )

    def take(self, contents: Contents, *, recount: bool = False) -> None:
        """Put everything in the place of all there is.

        Args:
            contents: What `export` returned; it stays as it is.
            recount: Whether to match all members again, for another seed or share.
        """
        self.clock.ahead = contents.ahead
        self.state.take(contents.lists, recount=recount)
        self.audiences.take(contents.audiences, contents.shared, contents.audiences_made)
        self.uploads.take(contents.uploads)
        self.tokens.take(
            contents.codes, contents.access, contents.refresh, contents.taken, contents.tokens_made
        )
