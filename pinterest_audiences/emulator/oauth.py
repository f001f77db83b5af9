"""The apps and tokens of the emulated Pinterest: who was let in, for what, and until when.

Tokens come from a keyed hash of the seed and a count: nobody can guess one, and the same seed and
the same requests give the same ones.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import attrs

from pinterest_audiences.emulator.access import Principal
from pinterest_audiences.emulator.members import seeded_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pinterest_audiences.emulator.guesses import Guesses

SCOPES = frozenset(
    {
        "ads:read",
        "ads:write",
        "billing:read",
        "billing:write",
        "biz_access:read",
        "biz_access:write",
        "boards:read",
        "boards:read_secret",
        "boards:write",
        "boards:write_secret",
        "catalogs:read",
        "catalogs:write",
        "msot:write",
        "pins:read",
        "pins:read_secret",
        "pins:write",
        "pins:write_secret",
        "user_accounts:read",
        "user_accounts:write",
    }
)
"""Every scope that the description knows."""

# So many of each kind are remembered; then the oldest are forgotten.
_MOST = 10_000


@attrs.frozen(kw_only=True)
class Grant:
    """What an app was allowed, by whom, and until when.

    Attributes:
        app_id: The app; empty for any.
        scopes: What it was allowed; None for everything.
        is_app: Whether it acts for itself, without a user (client_credentials).
        is_system_user: Whether the user is a system user, whose tokens can be revoked.
        redirect_uri: Of a code: where the user was sent with it.
        expires_at: When it ends, in Unix seconds; None for never.
    """

    app_id: str
    scopes: frozenset[str] | None
    is_app: bool = False
    is_system_user: bool = False
    redirect_uri: str = attrs.field(default="", repr=False)
    expires_at: float | None = None


@attrs.frozen
class Issued:
    """What the token endpoint gives out.

    Attributes:
        access_token: The access token.
        access: What it allows.
        refresh_token: The refresh token, if there is one.
        refresh: What that one allows.
    """

    access_token: str = attrs.field(repr=False)
    access: Grant
    refresh_token: str | None = attrs.field(default=None, repr=False)
    refresh: Grant | None = None


class Tokens:
    """All apps, codes and tokens.

    Args:
        clock: Returns Unix seconds.
        seed: Chooses the tokens.
        guesses: How long tokens live, and whether refresh tokens rotate.
        apps: The secret of each app by its id; None for any app with any secret.
        access_tokens: Access tokens that work for ever; None accepts any, unless there are apps.
        refresh_tokens: Refresh tokens that were given out before.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        seed: int,
        guesses: Guesses,
        apps: Mapping[str, str] | None = None,
        access_tokens: frozenset[str] | None = None,
        refresh_tokens: Iterable[str] = (),
    ) -> None:
        self._clock = clock
        self._guesses = guesses
        self._apps = None if apps is None else dict(apps)
        self._for_ever = access_tokens
        self._takes_any = access_tokens is None and apps is None
        self._key = seeded_key(seed, "tokens")
        self._made = 0
        self._codes: dict[str, Grant] = {}
        self._access: dict[str, Grant] = {}
        self._refresh: dict[str, Grant] = {}
        # Tokens from outside that were taken in once: a spent one must not come back with a file.
        self._taken: set[str] = set()
        self._given = tuple(refresh_tokens)
        self._take_given()

    def app(self, app_id: str, secret: str) -> bool:
        """Return whether an app knows its secret.

        Args:
            app_id: The app's id.
            secret: What it says its secret is.

        Returns:
            True when it does.
        """
        if self._apps is None:
            return bool(app_id and secret)
        return self._apps.get(app_id) == secret

    def has_app(self, app_id: str) -> bool:
        """Return whether there is such an app.

        Args:
            app_id: The app's id.

        Returns:
            True when there is.
        """
        return bool(app_id) if self._apps is None else app_id in self._apps

    def only_app(self) -> str:
        """Return the id of the only app.

        Returns:
            Its id; empty when there are several, or any.
        """
        return next(iter(self._apps)) if self._apps is not None and len(self._apps) == 1 else ""

    def principal(self, access_token: str) -> Principal | None:
        """Return who an access token speaks for.

        Args:
            access_token: The token.

        Returns:
            Who it is; None when the token is unknown, expired or revoked.
        """
        grant = self._access.get(access_token)
        if grant is not None:
            if self._has_ended(grant):
                return None
            # The budgets belong to a user of an app, not to the token of this month.
            user = "app" if grant.is_app else "user"
            budget = f"{grant.app_id} {user}"
            return Principal(
                app_id=grant.app_id, budget=budget, scopes=grant.scopes, is_app=grant.is_app
            )
        if self._takes_any or (self._for_ever is not None and access_token in self._for_ever):
            return Principal(app_id="", budget=access_token)
        return None

    def authorize(
        self, app_id: str, redirect_uri: str, scopes: frozenset[str], *, is_system_user: bool
    ) -> str:
        """Let an app in, as a user does on the login page.

        Args:
            app_id: The app.
            redirect_uri: Where the user goes with the code.
            scopes: What the app is allowed.
            is_system_user: Whether it is a system user, whose tokens can be revoked.

        Returns:
            The authorization code.
        """
        code = self._new("code", "")
        grant = Grant(
            app_id=app_id,
            scopes=scopes,
            is_system_user=is_system_user,
            redirect_uri=redirect_uri,
            expires_at=self._clock() + self._guesses.code_seconds,
        )
        _remember(self._codes, code, grant)
        return code

    def exchange(self, app_id: str, code: str, redirect_uri: str) -> Issued | None:
        """Exchange an authorization code, once.

        Args:
            app_id: The app that asks.
            code: The code.
            redirect_uri: Where the app says that the user was sent.

        Returns:
            The tokens; None when the code is not valid for this app and address.
        """
        grant = self._codes.get(code)
        if grant is None or grant.app_id not in ("", app_id) or self._has_ended(grant):
            return None
        if grant.redirect_uri != redirect_uri:
            return None
        del self._codes[code]
        # The code may have been given out for any app; now it is this one's.
        return self._issue(attrs.evolve(grant, app_id=app_id, redirect_uri=""))

    def refresh(
        self, app_id: str, refresh_token: str, scopes: frozenset[str] | None
    ) -> Issued | None:
        """Exchange a refresh token.

        Args:
            app_id: The app that asks.
            refresh_token: The refresh token.
            scopes: What the access token is to be allowed; None for all that was granted.

        Returns:
            The tokens; None when the refresh token is not valid for this app and these scopes.
        """
        grant = self._refresh.get(refresh_token)
        if grant is None or grant.app_id not in ("", app_id) or self._has_ended(grant):
            return None
        if scopes is not None and grant.scopes is not None and not scopes <= grant.scopes:
            return None
        del self._refresh[refresh_token]
        keep = None if self._guesses.refresh_tokens_rotate else refresh_token
        return self._issue(attrs.evolve(grant, app_id=app_id), scopes=scopes, refresh_token=keep)

    def client(self, app_id: str, scopes: frozenset[str]) -> Issued:
        """Give an app a token for itself.

        Args:
            app_id: The app.
            scopes: What it is to be allowed.

        Returns:
            An access token, without a refresh token.
        """
        access = Grant(
            app_id=app_id,
            scopes=scopes,
            is_app=True,
            expires_at=self._clock() + self._guesses.access_token_seconds,
        )
        access_token = self._new("access", "pina_")
        _remember(self._access, access_token, access)
        return Issued(access_token, access)

    def revoke(self, app_id: str, token: str) -> bool:
        """Make a token worth nothing.

        Args:
            app_id: The app that asks.
            token: An access token or a refresh token.

        Returns:
            False when it may not be revoked; an unknown one needs nothing to be done.
        """
        if self._for_ever is not None and token in self._for_ever:
            return False
        grant = self._access.get(token) or self._refresh.get(token)
        if grant is None:
            return True
        if grant.app_id not in ("", app_id):
            return False
        if not (grant.is_system_user or self._guesses.revocable == "any"):
            return False
        if token in self._access:  # kept, so that it is known to be worth nothing
            self._access[token] = attrs.evolve(grant, expires_at=self._clock())
        self._refresh.pop(token, None)
        return True

    def export(
        self,
    ) -> tuple[dict[str, Grant], dict[str, Grant], dict[str, Grant], tuple[str, ...], int]:
        """Return a copy of everything, which nothing changes.

        Returns:
            The arguments of `take`.
        """
        taken = tuple(sorted(self._taken))
        return dict(self._codes), dict(self._access), dict(self._refresh), taken, self._made

    def take(
        self,
        codes: Mapping[str, Grant],
        access: Mapping[str, Grant],
        refresh: Mapping[str, Grant],
        taken: Iterable[str],
        made: int,
    ) -> None:
        """Put others in the place of all there are.

        Args:
            codes: Authorization codes and what they stand for.
            access: Access tokens.
            refresh: Refresh tokens.
            taken: Refresh tokens that once came from outside.
            made: How many codes and tokens were ever made.
        """
        self._codes, self._access, self._refresh = dict(codes), dict(access), dict(refresh)
        self._taken, self._made = set(taken), made
        self._take_given()

    def _take_given(self) -> None:
        ends = self._clock() + self._guesses.refresh_token_seconds
        for token in self._given:
            if token not in self._taken:
                self._taken.add(token)
                self._refresh[token] = Grant(app_id="", scopes=None, expires_at=ends)

    def _issue(
        self,
        grant: Grant,
        *,
        scopes: frozenset[str] | None = None,
        refresh_token: str | None = None,
    ) -> Issued:
        now = self._clock()
        access = attrs.evolve(
            grant,
            scopes=grant.scopes if scopes is None else scopes,
            expires_at=now + self._guesses.access_token_seconds,
        )
        refresh = attrs.evolve(grant, expires_at=now + self._guesses.refresh_token_seconds)
        access_token = self._new("access", "pina_")
        new_refresh_token = refresh_token or self._new("refresh", "pinr.")
        _remember(self._access, access_token, access)
        _remember(self._refresh, new_refresh_token, refresh)
        return Issued(access_token, access, new_refresh_token, refresh)

    def _has_ended(self, grant: Grant) -> bool:
        return grant.expires_at is not None and self._clock() >= grant.expires_at

    def _new(self, kind: str, prefix: str) -> str:
        self._made += 1
        word = f"{kind} {self._made}".encode()
        return prefix + blake2b(word, key=self._key, digest_size=24).hexdigest()


def _remember(grants: dict[str, Grant], word: str, grant: Grant) -> None:
    grants[word] = grant
    if len(grants) > _MOST:
        del grants[next(iter(grants))]
