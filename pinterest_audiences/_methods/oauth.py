"""OAuth: get tokens, revoke one. The app's credentials go with each call, no access token does."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from pinterest_audiences._methods.base import AsyncMethods, Methods
from pinterest_audiences._wire import bodies, oauth
from pinterest_audiences.auth.credentials import (
    AppCredentials,
    GrantType,
    OAuthToken,
    TokenTypeHint,
)
from pinterest_audiences.auth.tokens import checked_token
from pinterest_audiences.errors import ConfigurationError

__all__ = ["AsyncOAuth", "OAuth"]

# The fields of each grant: those that it must have, and those that it may have.
_FIELDS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    GrantType.AUTHORIZATION_CODE: (frozenset({"code", "redirect_uri"}), frozenset()),
    GrantType.REFRESH_TOKEN: (frozenset({"refresh_token"}), frozenset({"scope"})),
    GrantType.CLIENT_CREDENTIALS: (frozenset({"scope"}), frozenset()),
}


class AsyncOAuth(AsyncMethods):
    """The OAuth calls of :class:`AsyncClient`."""

    async def oauth_token(
        self,
        app: AppCredentials,
        *,
        grant_type: GrantType | str,
        code: str | None = None,
        redirect_uri: str | None = None,
        refresh_token: str | None = None,
        scope: str | Iterable[str] | None = None,
    ) -> OAuthToken:
        """Get an access token for a code, a refresh token, or the app itself.

        The client's own access token is not sent; a client for this alone is
        ``AsyncClient(NoToken())``. Whoever refreshes must keep the refresh token of the answer,
        where there is one, before the old one is forgotten: :class:`RefreshingToken` does.

        Source: oauth/token of Pinterest's API description, 5.23.

        Args:
            app: Sent as HTTP Basic.
            grant_type: ``authorization_code`` (with ``code`` and ``redirect_uri``),
                ``refresh_token`` (with ``refresh_token``, and ``scope`` to narrow it) or
                ``client_credentials`` (with ``scope``).
            code: What the login gave; valid once, so it is not sent again when its answer is lost.
            redirect_uri: The one that the login was begun with.
            refresh_token: The latest one.
            scope: Scopes like ``ads:read``: joined by commas, or any iterable of them.

        Returns:
            The tokens.

        Raises:
            ConfigurationError: An argument is wrong, missing, or not of this grant; nothing was
                sent.
            BadRequestError: The code or refresh token is not valid (any more).
            AuthenticationError: The app's id or secret is wrong.
            CallError: The call failed; which kind tells why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.
        """
        grant = bodies.known_value("grant_type", grant_type, GrantType)
        given = {
            "code": code,
            "redirect_uri": redirect_uri,
            "refresh_token": refresh_token,
            "scope": scope if scope is None or isinstance(scope, str) else ",".join(scope),
        }
        fields = {name: value for name, value in given.items() if value is not None}
        needed, allowed = _FIELDS[grant]
        if not needed <= fields.keys() <= needed | allowed:
            raise ConfigurationError(
                f"grant_type {grant}: needs {' and '.join(sorted(needed))}, and nothing else"
                f"{''.join(f' but {name}' for name in allowed)}"
            )
        for name, value in fields.items():
            checked_token(value, name)
        return await self._session.send(oauth.token_call(_checked_app(app), grant, fields))

    async def token_revoke(
        self,
        app: AppCredentials,
        *,
        token: str,
        token_type_hint: TokenTypeHint | str | None = None,
    ) -> None:
        """Revoke an access token or refresh token; it ends at once.

        Pinterest does so for tokens of system users only, and refuses others with code 29. The
        client's own access token is not sent.

        Source: token/revoke of Pinterest's API description, 5.23.

        Args:
            app: The app that the token was made for; sent as HTTP Basic.
            token: The token that is to end.
            token_type_hint: ``access_token`` or ``refresh_token``.

        Raises:
            ConfigurationError: An argument is wrong; nothing was sent.
            AuthenticationError: The app's id or secret is wrong.
            PermissionDeniedError: It is no system user's token.
            CallError: The call failed; which kind tells why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.
        """
        fields = {"token": checked_token(token, "token")}
        if token_type_hint is not None:
            hint = bodies.known_value("token_type_hint", token_type_hint, TokenTypeHint)
            fields["token_type_hint"] = str(hint)
        await self._session.send(oauth.revoke_call(_checked_app(app), fields))


class OAuth(Methods):
    """The OAuth calls of :class:`Client`."""

    def oauth_token(
        self,
        app: AppCredentials,
        *,
        grant_type: GrantType | str,
        code: str | None = None,
        redirect_uri: str | None = None,
        refresh_token: str | None = None,
        scope: str | Iterable[str] | None = None,
    ) -> OAuthToken:
        """Get an access token for a code, a refresh token, or the app itself.

        Arguments, result and errors: :meth:`AsyncClient.oauth_token`.

        Example:
            >>> from pinterest_audiences import AppCredentials, Client, NoToken
            >>> from pinterest_audiences.emulator import Emulator
            >>> app = AppCredentials("1234567", "the-secret")
            >>> emulator = Emulator(apps={app.app_id: "the-secret"})
            >>> with Client(NoToken(), transport=emulator.transport()) as client:
            ...     got = client.oauth_token(app, grant_type="client_credentials", scope="ads:read")
            ...     got.scope
            'ads:read'
        """
        return self._portal.call(
            partial(
                self._client.oauth_token,
                app,
                grant_type=grant_type,
                code=code,
                redirect_uri=redirect_uri,
                refresh_token=refresh_token,
                scope=scope,
            )
        )

    def token_revoke(
        self,
        app: AppCredentials,
        *,
        token: str,
        token_type_hint: TokenTypeHint | str | None = None,
    ) -> None:
        """Revoke an access token or refresh token; it ends at once.

        Arguments, result and errors: :meth:`AsyncClient.token_revoke`.
        """
        self._portal.call(
            partial(self._client.token_revoke, app, token=token, token_type_hint=token_type_hint)
        )


def _checked_app(app: object) -> AppCredentials:
    if not isinstance(app, AppCredentials):
        raise ConfigurationError("app: AppCredentials are needed")
    return app
