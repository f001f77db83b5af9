"""Tokens, app credentials and the simple token sources.

A :class:`TokenSource` returns the current token and, when Pinterest has refused it as expired, a
new one. The session asks for a new one at most once per call.
"""

from __future__ import annotations

import errno
import inspect
import json
import re
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from hashlib import sha256
from typing import (
    Any,
    Literal,
    NoReturn,
    Protocol,
    Self,
    TypeAlias,
    TypeGuard,
    cast,
    runtime_checkable,
)

from attrs import asdict, evolve, field, frozen

from pinterest_audiences import _threads
from pinterest_audiences._errors import (
    APIError,
    CallError,
    ConfigurationError,
    DecodeError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    TokenRefreshError,
    TransportError,
    is_transient_status,
)
from pinterest_audiences._models import JSON, OpenEnum, no_extra

__all__ = [
    "AppCredentials",
    "CallableToken",
    "GrantType",
    "GrantTypeLike",
    "NoAuth",
    "OAuthToken",
    "StaticToken",
    "Token",
    "TokenSet",
    "TokenSource",
    "TokenTypeHint",
    "TokenTypeHintLike",
    "Unpicklable",
    "is_token",
    "outage_of",
    "resolve_token",
    "validate_token",
]

_QUOTES = "\"'`\u2018\u2019\u201c\u201d"
_TOKEN = re.compile(r"[\x21-\x7e]+")
_FUNCTION = "the function for the token"
_FILE_FORMAT = 1
_MAX_UNIX_TIME = 10**11
_TEXT_FIELDS = ("access_token", "refresh_token", "scope", "app_id", "origin")
_NUMBER_FIELDS = ("expires_at", "lifetime", "refresh_expires_at")
_MAX_CAUSES = 10
_NETWORK_ERRNOS = frozenset(
    getattr(errno, name)
    for name in (
        "ECONNABORTED",
        "ECONNREFUSED",
        "ECONNRESET",
        "EHOSTDOWN",
        "EHOSTUNREACH",
        "ENETDOWN",
        "ENETRESET",
        "ENETUNREACH",
        "ETIMEDOUT",
    )
    if hasattr(errno, name)
)
# Network errors of libraries that token functions may use: (package, class).
_TIMEOUTS = frozenset(
    {
        ("aiohttp", "ServerTimeoutError"),
        ("botocore", "ConnectTimeoutError"),
        ("botocore", "ReadTimeoutError"),
        ("httpx", "TimeoutException"),
        ("httpx2", "TimeoutException"),
        ("requests", "Timeout"),
        ("urllib3", "TimeoutError"),
    }
)
_FAILURES = frozenset(
    {
        ("aiohttp", "ClientConnectionError"),
        ("anyio", "BrokenResourceError"),
        ("anyio", "EndOfStream"),
        ("botocore", "HTTPClientError"),
        ("grpc", "AioRpcError"),
        ("httpcore", "NetworkError"),
        ("httpcore2", "NetworkError"),
        ("httpx", "TransportError"),
        ("httpx2", "TransportError"),
        ("requests", "ConnectionError"),
        ("urllib3", "HTTPError"),
    }
)


class Unpicklable:
    """A mixin for secrets: pickling fails, and copying returns the same object.

    Pickles end up in caches, queues and on other machines unnoticed.

    Raises:
        TypeError: On pickling.
    """

    __slots__ = ()

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} contains a secret and cannot be pickled;"
            " create a new one where you use it"
        )

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self


@frozen
class Token(Unpicklable):
    """An access token. Its ``repr`` does not show the value, and it cannot be pickled.

    Attributes:
        value: The token, as sent after ``Bearer``.
        generation: Increases with every refresh, so that of many calls with an expired token only
            the first one fetches a new token.
    """

    value: str = field(repr=False)
    generation: int = 0


@runtime_checkable
class TokenSource(Protocol):
    """A source of access tokens for the ``access_token`` of a client."""

    async def get(self) -> Token:
        """Return the current token.

        Raises:
            TokenRefreshError: No token is available.
            CallError: A transient failure, such as a TransportError.
        """
        ...

    async def refresh(self, seen: Token) -> Token:
        """Return a newer token than the refused one, or the refused one if none is newer.

        Args:
            seen: The token that Pinterest refused.

        Raises:
            TokenRefreshError: No token is available.
            CallError: A transient failure, such as a TransportError.
        """
        ...


class StaticToken(Unpicklable):
    """One token that never changes.

    Args:
        value: The access token: printable ASCII without spaces or line breaks.

    Raises:
        ConfigurationError: It is empty, or contains other characters.
    """

    def __init__(self, value: str) -> None:
        self._token = Token(validate_token(value))

    async def get(self) -> Token:
        """Return the token."""
        return self._token

    async def refresh(self, seen: Token) -> Token:  # noqa: ARG002 - part of the protocol
        """Return the same token, the only one."""
        return self._token


class CallableToken(Unpicklable):
    """Tokens from a function, called on first use and when Pinterest refuses the last token.

    Args:
        fetch: Returns an access token, or an awaitable of one. It runs in the event loop, so a
            slow function should be asynchronous.

    Example:
        >>> source = CallableToken(lambda: "pina_from_a_vault")
        >>> import anyio
        >>> anyio.run(source.get)
        Token(generation=1)
    """

    def __init__(self, fetch: Callable[[], str | Awaitable[str]]) -> None:
        self._fetch = fetch
        self._token: Token | None = None

    async def get(self) -> Token:
        """Return the last token, or fetch the first.

        Raises:
            TokenRefreshError: The function failed, or returned something that is not a token.
            TransportError: The function failed with a network error.
        """
        return self._token or await self.refresh(Token("", 0))

    async def refresh(self, seen: Token) -> Token:
        """Fetch a new token, once for all callers with the same refused token.

        Raises:
            TokenRefreshError: The function failed, or returned something that is not a token.
            TransportError: The function failed with a network error.
        """
        async with _threads.lock_for(self):  # several clients in several loops may share it
            if self._token is None or self._token.generation <= seen.generation:
                self._token = Token(await self._fetch_token(), seen.generation + 1)
            return self._token

    async def _fetch_token(self) -> str:
        try:
            value = self._fetch()
            return validate_token(await value if inspect.isawaitable(value) else value)
        except TokenRefreshError:
            raise
        except Exception as error:  # a function of the user may raise anything; translated below
            outage = outage_of(error, operation="access_token", what=_FUNCTION)
            if outage is not None:
                raise outage from outage.__cause__
            raise TokenRefreshError(
                status=0,
                operation="access_token",
                hint=f"{_FUNCTION} failed with {type(error).__name__}",
            ) from error


class NoAuth:
    """No access token, for a client that makes OAuth calls only; all other calls fail.

    Example:
        >>> from pinterest_audiences import Client
        >>> with Client(NoAuth()) as client:
        ...     client.customer_lists_get("549755885175", "643")
        Traceback (most recent call last):
        ...
        pinterest_audiences._errors.TokenRefreshError: customer_lists_get: no access token; this \
client was created without one (NoAuth)
    """

    async def get(self) -> Token:
        """Raise an error.

        Raises:
            TokenRefreshError: Always.
        """
        raise TokenRefreshError(
            status=0,
            operation="access_token",
            hint="this client was created without one (NoAuth)",
        )

    async def refresh(self, seen: Token) -> Token:
        """Return the same token."""
        return seen


async def resolve_token(result: object) -> Token:
    """Return the token of a token source.

    Args:
        result: The return value of its method: an awaitable of a token, or the token.

    Raises:
        ConfigurationError: It is something else.
    """
    token: object = await result if inspect.isawaitable(result) else result
    if not isinstance(token, Token):
        raise ConfigurationError(
            "access_token: get() and refresh() of a token source must return a Token, not"
            f" {type(token).__name__}; to return a str, pass a function as access_token"
        )
    validate_token(token.value)
    return token


def validate_token(value: object, name: str = "access_token") -> str:
    """Return a token, or another secret that is sent in a header or form.

    Args:
        value: The token.
        name: The argument or variable that contains it, for the error.

    Raises:
        ConfigurationError: It cannot be sent; the text does not show it.
    """
    if is_token(value):
        return value
    problem = _describe_invalid_token(value)
    del value  # frames in error reports must not contain it
    raise ConfigurationError(f"{name} must be {problem}")


def is_token(value: object) -> TypeGuard[str]:
    """Return whether a value can be sent as a token: printable ASCII without spaces or quotes."""
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        return False
    return value[0] not in _QUOTES and value[-1] not in _QUOTES


def _describe_invalid_token(value: object) -> str:
    """Return what a token must be, with a hint at the mistake; the text does not show it."""
    if not isinstance(value, str):
        advice = f", and a str, not {type(value).__name__}"
    elif not (text := value.strip()):
        advice = "; it is empty"
    elif text[0] in _QUOTES or text[-1] in _QUOTES:
        advice = "; remove the quotes around it"
    elif text.lower().startswith(("bearer", "basic ")):
        advice = f"; remove the word {text[:6].strip()} before it"
    elif text.startswith("{"):
        advice = "; this is JSON: use the token alone, or set PINTEREST_TOKEN_STORE to the file"
    elif text != value and _TOKEN.fullmatch(text):
        advice = "; remove the white space or line break around it"
    else:
        advice = ""
    return f"printable ASCII without spaces or line breaks{advice}"


class GrantType(OpenEnum):
    """The OAuth grant for a new access token."""

    AUTHORIZATION_CODE = "authorization_code"
    REFRESH_TOKEN = "refresh_token"  # noqa: S105 - the name of a grant
    CLIENT_CREDENTIALS = "client_credentials"


GrantTypeLike: TypeAlias = (
    GrantType | Literal["authorization_code", "refresh_token", "client_credentials"]
)


class TokenTypeHint(OpenEnum):
    """The type of a token to revoke."""

    ACCESS_TOKEN = "access_token"  # noqa: S105 - the name of a type
    REFRESH_TOKEN = "refresh_token"  # noqa: S105 - the name of a type


TokenTypeHintLike: TypeAlias = TokenTypeHint | Literal["access_token", "refresh_token"]


def _validate_app_id(_app: object, _field: object, value: str) -> None:
    if ":" in validate_token(value, "app_id"):  # it ends the user name of HTTP Basic
        raise ConfigurationError("app_id must not contain a colon", param="app_id")


def _validate_app_secret(_app: object, _field: object, value: str) -> None:
    validate_token(value, "app_secret")


@frozen
class AppCredentials(Unpicklable):
    """An app of https://developers.pinterest.com/apps/. Its ``repr`` hides the secret.

    Attributes:
        app_id: The id of the app.
        app_secret: Its secret key.

    Raises:
        ConfigurationError: One of them is empty, or contains invalid characters.

    Example:
        >>> AppCredentials("1234567", "the-secret")
        AppCredentials(app_id='1234567')
    """

    app_id: str = field(validator=_validate_app_id)
    app_secret: str = field(validator=_validate_app_secret, repr=False)


@frozen
class OAuthToken(Unpicklable):
    """The response of ``oauth/token``. Its ``repr`` hides the tokens, and it cannot be pickled.

    Only the access token is required. A field of an unexpected type is ``None``, and its value is
    in ``extra``: a refresh token that is valid once must not be lost because of another field.

    Attributes:
        access_token: The token, as sent after ``Bearer``.
        token_type: ``bearer``.
        expires_in: The lifetime of the access token in seconds: 30 days as of 5.23.
        scope: The scopes, separated by commas or spaces.
        refresh_token: The new refresh token; if ``None``, the old one stays valid.
        refresh_token_expires_in: The lifetime of the refresh token in seconds: 60 days as of 5.23.
        refresh_token_expires_at: The Unix time of its expiry.
        response_type: The grant type of the request.
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
    extra: Mapping[str, JSON] = field(factory=no_extra, repr=False, eq=False)


@frozen(kw_only=True)
class TokenSet(Unpicklable):
    """The stored tokens of a login. Its ``repr`` hides them, and it cannot be pickled.

    Attributes:
        access_token: The access token, if any.
        expires_at: The Unix time of its expiry, if known.
        lifetime: Its lifetime in seconds when it was new.
        refresh_token: The refresh token, if any.
        refresh_expires_at: The Unix time of the refresh token's expiry, if known.
        scope: The granted scopes.
        app_id: The app of the tokens; another app cannot use them.
        origin: The fingerprint of the refresh token that these tokens were derived from, if that
            came from the environment.
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
        """Return the tokens to store after an exchange.

        Args:
            answer: The response. Without a refresh token in it, the old one stays.
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
        """Return whether the access token is expired, or expires within ``margin`` seconds."""
        return self.expires_at is not None and now >= self.expires_at - margin

    def to_json(self) -> str:
        """Return JSON that contains the tokens, for a safe place."""
        values = {name: value for name, value in asdict(self).items() if value is not None}
        return json.dumps({"format": _FILE_FORMAT, **values}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> TokenSet:
        """Parse the output of :meth:`to_json`, or a file of Pinterest's api-quickstart.

        The latter has ``access_token``, ``refresh_token`` and ``scopes``. A saved response of
        ``oauth/token`` can be parsed as well.

        Raises:
            ValueError: It is something else, or incomplete; the text does not quote it.
        """
        result = parse_tokens(text)
        del text  # frames in error reports must not contain it
        if isinstance(result, ValueError):
            raise result
        return result


class ForeignTokensError(ValueError):
    """The file of another program, which may still need it."""


def parse_tokens(text: str) -> TokenSet | ValueError:
    """Return the tokens of a text, or an error; the frames of a raised one would show tokens."""
    try:
        read: object = json.loads(text)
    except (ValueError, RecursionError):
        return ValueError("it is not JSON, or incomplete")
    if not isinstance(read, dict):
        return ValueError("it is not a JSON object")
    data = cast("dict[str, object]", read)
    if "format" not in data:
        return _parse_foreign_tokens(data)
    if data["format"] != _FILE_FORMAT:
        return ValueError("it was written by another version of this package")
    stored = {name: data[name] for name in (*_TEXT_FIELDS, *_NUMBER_FIELDS) if name in data}
    for name, value in stored.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number if name in _NUMBER_FIELDS else isinstance(value, str)):
            return ValueError(f"{name} has the wrong type")
    return TokenSet(**cast("dict[str, Any]", stored))


def _parse_foreign_tokens(data: Mapping[str, object]) -> TokenSet | ValueError:
    """Return the tokens of a file with the field names of Pinterest."""
    access, refresh = data.get("access_token"), data.get("refresh_token")
    if not (is_token(access) or access is None) or not (is_token(refresh) or refresh is None):
        return ForeignTokensError(
            "it was written by another program, and its tokens have invalid characters"
        )
    if access is None and refresh is None:
        kind = ForeignTokensError if data else ValueError
        return kind("it has neither an access_token nor a refresh_token")
    scopes = data.get("scope") or data.get("scopes")
    if isinstance(scopes, list):
        scopes = ",".join(str(scope) for scope in cast("list[object]", scopes))
    until = data.get("refresh_token_expires_at")
    return TokenSet(
        access_token=access,
        refresh_token=refresh,
        refresh_expires_at=_seconds(until) if isinstance(until, int) else None,
        scope=scopes if isinstance(scopes, str) else None,
    )


def _seconds(value: int | None) -> float | None:
    """Return a plausible time or duration; None for others."""
    return float(value) if value is not None and 0 < value < _MAX_UNIX_TIME else None


def fingerprint(refresh_token: str) -> str:
    """Return a hash that identifies a refresh token without revealing it."""
    return sha256(refresh_token.encode()).hexdigest()


def outage_of(error: Exception, *, operation: str, what: str) -> CallError | None:
    """Return the error to raise for an outage; None for other errors.

    Args:
        error: The exception from fetching a token.
        operation: The operation for the error.
        what: What failed, for the text.
    """
    if isinstance(error, CallError):
        return error if _is_transient(error) else None
    for cause in _causes(error):
        if _is_any(cause, _TIMEOUTS) or isinstance(cause, TimeoutError):
            kind: type[TransportError] = RequestTimeoutError
        elif _is_network(cause):
            kind = TransportError
        else:
            continue
        # Only the class is named, because the text of other libraries may contain secrets.
        outage = kind(
            f"{operation}: {what} failed with {type(error).__name__}", operation=operation
        )
        outage.__cause__ = error
        return outage
    return None


def _is_transient(error: CallError) -> bool:
    if isinstance(error, APIError) and is_transient_status(error.status, error.code):
        return True
    # A wrong certificate or proxy setting is permanent, but a new login would not help.
    return isinstance(error, TransportError | RateLimitError | ServerError | DecodeError)


def _is_network(error: BaseException) -> bool:
    if isinstance(error, ConnectionError | socket.gaierror) or _is_any(error, _FAILURES):
        return True
    reason = getattr(error, "reason", None)  # of urllib.error.URLError
    if isinstance(reason, OSError) and isinstance(error, OSError):
        return _is_network(reason) or isinstance(reason, TimeoutError)
    return isinstance(error, OSError) and error.errno in _NETWORK_ERRNOS


def _is_any(error: BaseException, names: frozenset[tuple[str, str]]) -> bool:
    return any(
        (kind.__module__.partition(".")[0], kind.__name__) in names for kind in type(error).__mro__
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes."""
    cause: BaseException | None = error
    for _ in range(_MAX_CAUSES):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__
