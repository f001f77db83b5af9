"""Apps, authorization codes and tokens: their scopes and expiry.

Tokens come from a keyed hash of a counter: they cannot be guessed, and the same key and the same
requests lead to the same ones.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import attrs

from pinterest_audiences.emulator._http import Principal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pinterest_audiences.emulator._assumptions import Assumptions


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
"""Every scope in the description."""

# Of each kind the newest are stored.
_MAX_GRANTS = 10_000


@attrs.frozen(kw_only=True)
class Grant:
    """The authorization behind a code or token.

    Attributes:
        app_id: The app; empty for any.
        scopes: The granted scopes; None for all.
        is_app: Whether it is for the app itself, without a user (client_credentials).
        is_system_user: Whether the user is a system user, whose tokens can be revoked.
        redirect_uri: For a code: where the user was redirected with it.
        expires_at: When it expires, in Unix seconds; None for never.
    """

    app_id: str
    scopes: frozenset[str] | None
    is_app: bool = False
    is_system_user: bool = False
    redirect_uri: str = attrs.field(default="", repr=False)
    expires_at: float | None = None


@attrs.frozen
class IssuedTokens:
    """What the token endpoint issues.

    Attributes:
        access_token: The access token.
        access: Its grant.
        refresh_token: The refresh token, if there is one.
        refresh: The grant of the refresh token.
    """

    access_token: str = attrs.field(repr=False)
    access: Grant
    refresh_token: str | None = attrs.field(default=None, repr=False)
    refresh: Grant | None = None


class Tokens:
    """All apps, codes and tokens.

    Args:
        clock: Returns Unix seconds.
        key: Chooses the tokens.
        assumptions: How long tokens live, and whether refresh tokens rotate.
        apps: The secret of each app by its id; None for any app with any secret.
        access_tokens: Access tokens that never expire; None accepts any, unless there are apps.
        refresh_tokens: Refresh tokens that apps have from before.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        key: bytes,
        assumptions: Assumptions,
        apps: Mapping[str, str] | None = None,
        access_tokens: frozenset[str] | None = None,
        refresh_tokens: Iterable[str] = (),
    ) -> None:
        self._clock = clock
        self._assumptions = assumptions
        self._apps = None if apps is None else dict(apps)
        self._permanent = access_tokens
        self._accepts_any = access_tokens is None and apps is None
        self._key = key
        self._created_count = 0
        self._codes: dict[str, Grant] = {}
        self._access: dict[str, Grant] = {}
        self._refresh: dict[str, Grant] = {}
        # The initial refresh tokens, spent or not: reading a file must not make a spent one valid.
        self._imported: set[str] = set()
        self._initial = tuple(refresh_tokens)
        self._import_initial()

    def app(self, app_id: str, secret: str) -> bool:
        """Return whether this is the secret of an app.

        Args:
            app_id: The app's id.
            secret: The secret it sent.

        Returns:
            True when it is.
        """
        if self._apps is None:
            return bool(app_id and secret)
        return self._apps.get(app_id) == secret

    def has_app(self, app_id: str) -> bool:
        """Return whether an app exists.

        Args:
            app_id: The app's id.

        Returns:
            True when it exists.
        """
        return bool(app_id) if self._apps is None else app_id in self._apps

    def only_app(self) -> str:
        """Return the id of the only app.

        Returns:
            Its id; empty when there are several, or any.
        """
        return next(iter(self._apps)) if self._apps is not None and len(self._apps) == 1 else ""

    def principal(self, access_token: str) -> Principal | None:
        """Return the principal of an access token.

        Args:
            access_token: The token.

        Returns:
            The principal; None when the token is unknown, expired or revoked.
        """
        grant = self._access.get(access_token)
        if grant is not None:
            if self._is_expired(grant):
                return None
            # Rate limits belong to a user of an app, not to one token.
            user = "app" if grant.is_app else "user"
            budget = f"{grant.app_id} {user}"
            return Principal(
                app_id=grant.app_id, budget=budget, scopes=grant.scopes, is_app=grant.is_app
            )
        if self._accepts_any or (self._permanent is not None and access_token in self._permanent):
            return Principal(app_id="", budget=access_token)
        return None

    def authorize(
        self, app_id: str, redirect_uri: str, scopes: frozenset[str], *, is_system_user: bool
    ) -> str:
        """Authorize an app, as a user does on the login page.

        Args:
            app_id: The app.
            redirect_uri: Where the user is redirected with the code.
            scopes: The granted scopes.
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
            expires_at=self._clock() + self._assumptions.code_seconds,
        )
        _store(self._codes, code, grant)
        return code

    def exchange(self, app_id: str, code: str, redirect_uri: str) -> IssuedTokens | None:
        """Exchange an authorization code, once.

        Args:
            app_id: The requesting app.
            code: The code.
            redirect_uri: Where the user was redirected, according to the app.

        Returns:
            The tokens; None when the code is not valid for this app and address.
        """
        grant = self._codes.get(code)
        if grant is None or grant.app_id not in ("", app_id) or self._is_expired(grant):
            return None
        if grant.redirect_uri != redirect_uri:
            return None
        del self._codes[code]
        # The code may have been issued for any app; now it belongs to this one.
        return self._issue(attrs.evolve(grant, app_id=app_id, redirect_uri=""))

    def refresh(
        self, app_id: str, refresh_token: str, scopes: frozenset[str] | None
    ) -> IssuedTokens | None:
        """Exchange a refresh token.

        Args:
            app_id: The requesting app.
            refresh_token: The refresh token.
            scopes: The scopes of the access token; None for all granted ones.

        Returns:
            The tokens; None when the refresh token is not valid for this app and these scopes.
        """
        grant = self._refresh.get(refresh_token)
        if grant is None or grant.app_id not in ("", app_id) or self._is_expired(grant):
            return None
        if scopes is not None and grant.scopes is not None and not scopes <= grant.scopes:
            return None
        del self._refresh[refresh_token]
        unchanged = None if self._assumptions.refresh_tokens_rotate else refresh_token
        return self._issue(
            attrs.evolve(grant, app_id=app_id), scopes=scopes, refresh_token=unchanged
        )

    def client(self, app_id: str, scopes: frozenset[str]) -> IssuedTokens:
        """Issue a token for an app itself.

        Args:
            app_id: The app.
            scopes: Its scopes.

        Returns:
            An access token, without a refresh token.
        """
        access = Grant(
            app_id=app_id,
            scopes=scopes,
            is_app=True,
            expires_at=self._clock() + self._assumptions.access_token_seconds,
        )
        access_token = self._new("access", "pina_")
        _store(self._access, access_token, access)
        return IssuedTokens(access_token, access)

    def revoke(self, app_id: str, token: str) -> bool:
        """Revoke a token.

        Args:
            app_id: The requesting app.
            token: An access token or a refresh token.

        Returns:
            False when it may not be revoked; True for an unknown one, which is ignored.
        """
        if self._permanent is not None and token in self._permanent:
            return False
        grant = self._access.get(token) or self._refresh.get(token)
        if grant is None:
            return True
        if grant.app_id not in ("", app_id):
            return False
        if not (grant.is_system_user or self._assumptions.revocable == "any"):
            return False
        if token in self._access:  # stored, so that it is refused even where any token is accepted
            self._access[token] = attrs.evolve(grant, expires_at=self._clock())
        self._refresh.pop(token, None)
        return True

    def dump(
        self,
    ) -> tuple[dict[str, Grant], dict[str, Grant], dict[str, Grant], tuple[str, ...], int]:
        """Return copies of everything.

        Returns:
            The arguments of `load`.
        """
        imported = tuple(sorted(self._imported))
        return (
            dict(self._codes),
            dict(self._access),
            dict(self._refresh),
            imported,
            self._created_count,
        )

    def load(
        self,
        codes: Mapping[str, Grant],
        access: Mapping[str, Grant],
        refresh: Mapping[str, Grant],
        imported: Iterable[str],
        created_count: int,
    ) -> None:
        """Replace everything.

        Args:
            codes: The grant of each authorization code.
            access: The grant of each access token.
            refresh: The grant of each refresh token.
            imported: The initial refresh tokens that were ever imported, spent or not.
            created_count: How many codes and tokens were ever created.
        """
        self._codes, self._access, self._refresh = dict(codes), dict(access), dict(refresh)
        self._imported, self._created_count = set(imported), created_count
        self._import_initial()

    def _import_initial(self) -> None:
        expires_at = self._clock() + self._assumptions.refresh_token_seconds
        for token in self._initial:
            if token not in self._imported:
                self._imported.add(token)
                self._refresh[token] = Grant(app_id="", scopes=None, expires_at=expires_at)

    def _issue(
        self,
        grant: Grant,
        *,
        scopes: frozenset[str] | None = None,
        refresh_token: str | None = None,
    ) -> IssuedTokens:
        now = self._clock()
        access = attrs.evolve(
            grant,
            scopes=grant.scopes if scopes is None else scopes,
            expires_at=now + self._assumptions.access_token_seconds,
        )
        refresh = attrs.evolve(grant, expires_at=now + self._assumptions.refresh_token_seconds)
        access_token = self._new("access", "pina_")
        new_refresh_token = refresh_token or self._new("refresh", "pinr.")
        _store(self._access, access_token, access)
        _store(self._refresh, new_refresh_token, refresh)
        return IssuedTokens(access_token, access, new_refresh_token, refresh)

    def _is_expired(self, grant: Grant) -> bool:
        return grant.expires_at is not None and self._clock() >= grant.expires_at

    def _new(self, kind: str, prefix: str) -> str:
        self._created_count += 1
        message = f"{kind} {self._created_count}".encode()
        return prefix + blake2b(message, key=self._key, digest_size=24).hexdigest()


def _store(grants: dict[str, Grant], token: str, grant: Grant) -> None:
    grants[token] = grant
    if len(grants) > _MAX_GRANTS:
        del grants[next(iter(grants))]
