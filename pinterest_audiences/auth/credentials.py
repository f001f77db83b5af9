"""What a login needs and what it gives: the app, the answer of ``oauth/token``, the kept tokens."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, cast

from attrs import asdict, evolve, field, frozen

from pinterest_audiences.auth.secret import Secret
from pinterest_audiences.auth.tokens import checked_token
from pinterest_audiences.errors import ConfigurationError
from pinterest_audiences.models import JSON, OpenEnum

__all__ = [
    "AppCredentials",
    "GrantType",
    "OAuthToken",
    "TokenSet",
    "TokenTypeHint",
]

_FORMAT = 1
_END_OF_TIME = 10**11
_TEXTS = ("access_token", "refresh_token", "scope", "app_id", "origin")
_NUMBERS = ("expires_at", "lifetime", "refresh_expires_at")


class GrantType(OpenEnum):
    """What a new access token is given for."""

    AUTHORIZATION_CODE = "authorization_code"
    REFRESH_TOKEN = "refresh_token"  # noqa: S105 - the name of a grant
    CLIENT_CREDENTIALS = "client_credentials"


class TokenTypeHint(OpenEnum):
    """Which kind of token is revoked."""

    ACCESS_TOKEN = "access_token"  # noqa: S105 - the name of a kind
    REFRESH_TOKEN = "refresh_token"  # noqa: S105 - the name of a kind


def _app_id(_app: object, _field: object, value: str) -> None:
    if ":" in checked_token(value, "app_id"):  # HTTP Basic ends the user's name there
        raise ConfigurationError("app_id: it holds no colon")


def _app_secret(_app: object, _field: object, value: str) -> None:
    checked_token(value, "app_secret")


@frozen
class AppCredentials(Secret):
    """An app of https://developers.pinterest.com/apps/. Its ``repr`` does not show the secret.

    Attributes:
        app_id: Its id.
        app_secret: Its secret key.

    Raises:
        ConfigurationError: One of them is empty, or holds something that neither holds.

    Example:
        >>> AppCredentials("1234567", "the-secret")
        AppCredentials(app_id='1234567')
    """

    app_id: str = field(validator=_app_id)
    app_secret: str = field(validator=_app_secret, repr=False)


def _no_extra() -> dict[str, JSON]:
    return {}


@frozen
class OAuthToken(Secret):
    """The answer of ``oauth/token``. Its ``repr`` shows no token, and it cannot be pickled.

    Only the access token is sure to be there. A field of a type that nobody expects is ``None``
    here and as it came in ``extra``: an answer whose refresh token is valid once must not be lost
    to an oddity beside it.

    Attributes:
        access_token: What goes behind ``Bearer``.
        token_type: ``bearer``.
        expires_in: Seconds that the access token lives: 30 days as of 5.23.
        scope: The scopes, separated by commas or spaces.
        refresh_token: The refresh token to use from now on; without it the old one stays.
        refresh_token_expires_in: Seconds that the refresh token lives: 60 days as of 5.23.
        refresh_token_expires_at: The Unix time of its end.
        response_type: The grant, echoed.
        extra: Fields that this version of the package does not know.
    """

    access_token: str = field(repr=False)
    token_type: str | None = None
    expires_in: int | None = None
    scope: str | None = None
    refresh_token: str | None = field(default=None, repr=False)
    refresh_token_expires_in: int | None = None
    refresh_token_expires_at: int | None = None
    response_type: str | None = None
    extra: Mapping[str, JSON] = field(factory=_no_extra, repr=False, eq=False)


@frozen(kw_only=True)
class TokenSet(Secret):
    """What is kept of a login. Its ``repr`` shows no token, and it cannot be pickled.

    Attributes:
        access_token: The access token, where there is one.
        expires_at: The Unix time of its end, where that is known.
        lifetime: How many seconds it lived when it was new.
        refresh_token: What a new access token is had for.
        refresh_expires_at: The Unix time of the refresh token's end, where that is known.
        scope: The scopes that were granted.
        app_id: The app it belongs to: another app cannot use it.
        origin: The fingerprint of the refresh token that all this descends from, if that came
            from the environment.
    """

    access_token: str | None = field(default=None, repr=False)
    expires_at: float | None = None
    lifetime: float | None = None
    refresh_token: str | None = field(default=None, repr=False)
    refresh_expires_at: float | None = None
    scope: str | None = None
    app_id: str | None = None
    origin: str | None = field(default=None, repr=False)

    def renewed(self, answer: OAuthToken, *, now: float) -> TokenSet:
        """Return what is to be kept after an exchange.

        Args:
            answer: What Pinterest answered. Without a refresh token in it the old one stays.
            now: The Unix time.
        """
        lifetime = _seconds(answer.expires_in)
        until = _seconds(answer.refresh_token_expires_at)
        if until is None and (life := _seconds(answer.refresh_token_expires_in)) is not None:
            until = now + life
        if until is None and answer.refresh_token in (None, self.refresh_token):
            until = self.refresh_expires_at
        return evolve(
            self,
            access_token=answer.access_token,
            expires_at=None if lifetime is None else now + lifetime,
            lifetime=lifetime,
            refresh_token=answer.refresh_token or self.refresh_token,
            refresh_expires_at=until,
            scope=answer.scope or self.scope,
        )

    def expired(self, now: float, *, margin: float = 0.0) -> bool:
        """Tell whether the access token is at its end, or within so many seconds of it."""
        return self.expires_at is not None and now >= self.expires_at - margin

    def to_json(self) -> str:
        """Return it as text that holds the tokens, for a place that is safe."""
        told = {name: value for name, value in asdict(self).items() if value is not None}
        return json.dumps({"format": _FORMAT, **told}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> TokenSet:
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError: It is something else, or not all of it; the text quotes nothing.
        """
        try:
            read: object = json.loads(text)
        except (ValueError, RecursionError):
            raise ValueError("it is no JSON, or not all of it") from None
        if not isinstance(read, dict):
            raise ValueError("it is no JSON object")  # noqa: TRY004 - of a text, not of an argument
        data = cast("dict[str, object]", read)
        if data.get("format") != _FORMAT:
            raise ValueError("it was not written by this version of the package")
        kept = {name: data[name] for name in (*_TEXTS, *_NUMBERS) if name in data}
        for name, value in kept.items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (number if name in _NUMBERS else isinstance(value, str)):
                raise ValueError(f"{name} has the wrong type")
        return cls(**cast("dict[str, Any]", kept))


def _seconds(told: int | None) -> float | None:
    """Return a time that can be reckoned with."""
    return float(told) if told is not None and 0 < told < _END_OF_TIME else None


def fingerprint(refresh_token: str) -> str:
    """Return what tells refresh tokens apart without giving one away."""
    return sha256(refresh_token.encode()).hexdigest()
