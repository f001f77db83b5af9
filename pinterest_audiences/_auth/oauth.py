"""OAuth calls for tokens, authorized by the credentials of an app."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlencode

import anyio
from attrs import evolve

from pinterest_audiences._credentials import (
    AppCredentials,
    GrantType,
    NoAuth,
    OAuthToken,
    TokenTypeHint,
    is_token,
    validate_token,
)
from pinterest_audiences._errors import ConfigurationError, DecodeError, RequestTimeoutError
from pinterest_audiences._http import operations
from pinterest_audiences._http.network import Network
from pinterest_audiences._http.operations import Call, Operation
from pinterest_audiences._http.requests import parse_enum
from pinterest_audiences._http.retry import RetryPolicy
from pinterest_audiences._http.session import Session

if TYPE_CHECKING:
    from pinterest_audiences._config import BaseURL, Clock
    from pinterest_audiences._httpx import httpx

__all__ = ["OAuthToken", "check_usable", "exchange", "grant_call", "revoke_call", "token_call"]


T = TypeVar("T")

# The required and the optional fields of each grant.
_FIELDS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    GrantType.AUTHORIZATION_CODE: (frozenset({"code", "redirect_uri"}), frozenset()),
    GrantType.REFRESH_TOKEN: (frozenset({"refresh_token"}), frozenset({"scope"})),
    GrantType.CLIENT_CREDENTIALS: (frozenset({"scope"}), frozenset()),
}
_POLICY = RetryPolicy(max_retries=2, max_wait=10.0)
_TOTAL_TIMEOUT_SECONDS = 90.0  # for all attempts; other processes wait for the lock


def token_call(
    app: AppCredentials, grant_type: GrantType, fields: Mapping[str, str]
) -> Call[OAuthToken]:
    """Return the call that requests tokens."""
    operation = operations.OAUTH_TOKEN
    sent = {"grant_type": str(grant_type), **fields}
    if grant_type == GrantType.AUTHORIZATION_CODE:
        # Apps created before 2025-09-25 must request a continuously refreshable token.
        sent["continuous_refresh"] = "true"
    else:
        # If the response to a refresh is lost, a retry cannot make it worse.
        operation = evolve(operation, idempotent=True)
    return _call(operation, app, sent)


def grant_call(
    app: object,
    grant_type: GrantType | str,
    *,
    code: str | None,
    redirect_uri: str | None,
    refresh_token: str | None,
    scope: str | Iterable[str] | None,
) -> Call[OAuthToken]:
    """Return the call for the arguments of :meth:`AsyncClient.oauth_token`.

    Raises:
        ConfigurationError: An argument is invalid, missing, or not allowed for this grant.
    """
    grant = parse_enum("grant_type", grant_type, GrantType)
    given = {
        "code": code,
        "redirect_uri": redirect_uri,
        "refresh_token": refresh_token,
        "scope": scope if scope is None or isinstance(scope, str) else ",".join(scope),
    }
    fields = {name: value for name, value in given.items() if value is not None}
    required, allowed = _FIELDS[grant]
    if not required <= fields.keys() <= required | allowed:
        raise ConfigurationError(
            f"grant_type {grant} requires {' and '.join(sorted(required))}, and allows nothing else"
            f"{''.join(f' except {name}' for name in allowed)}",
            param="grant_type",
        )
    for name, value in fields.items():
        validate_token(value, name)
    return token_call(_validate_app(app), grant, fields)


def revoke_call(app: object, token: str, token_type_hint: TokenTypeHint | str | None) -> Call[None]:
    """Return the call that revokes a token.

    Raises:
        ConfigurationError: An argument is invalid.
    """
    fields = {"token": validate_token(token, "token")}
    if token_type_hint is not None:
        hint = parse_enum("token_type_hint", token_type_hint, TokenTypeHint)
        fields["token_type_hint"] = str(hint)
    return _call(operations.TOKEN_REVOKE, _validate_app(app), fields)


def _validate_app(app: object) -> AppCredentials:
    if not isinstance(app, AppCredentials):
        raise ConfigurationError("app must be an AppCredentials", param="app")
    return app


def _call(operation: Operation[T], app: AppCredentials, fields: Mapping[str, str]) -> Call[T]:
    # Every value is encoded, because a refresh token may contain "=" and "+".
    return evolve(operation.call({}, body=(urlencode(fields).encode(),)), app=app)


def check_usable(response: OAuthToken) -> OAuthToken:
    """Return the response of the token endpoint if its tokens are usable.

    Raises:
        DecodeError: A token is empty, or contains invalid characters.
    """
    # An empty refresh token counts as a missing one: the old one stays.
    name = "access_token" if not is_token(response.access_token) else ""
    if response.refresh_token and not is_token(response.refresh_token):
        name = name or "refresh_token"
    if not name:
        return response
    operation = operations.OAUTH_TOKEN
    raise DecodeError(
        [f"the response has no usable token, and nothing was saved @ $.{name}"],
        status=200,
        operation=operation.name,
        method=operation.method,
        path=operation.path,
        maybe_applied=True,
    )


async def exchange(
    call: Call[OAuthToken],
    *,
    base_url: BaseURL,
    timeout: float | None,  # noqa: ASYNC109 - of each attempt
    transport: Callable[[], httpx.AsyncBaseTransport] | None,
    network: Network,
    clock: Clock,
    keep: Callable[[OAuthToken], T],
) -> T:
    """Send a call that requests tokens, over a separate session.

    Args:
        call: The call from :func:`token_call`.
        base_url: The base URL of the API.
        timeout: Seconds for each attempt.
        transport: Creates the transport, instead of the proxy and certificates of the network.
        network: The proxy and the certificates.
        clock: The clock.
        keep: Called with the response as soon as it was received.

    Returns:
        What ``keep`` returns.

    Raises:
        CallError: Pinterest refused the call, or could not be reached.
    """
    session = Session(
        base_url=base_url,
        tokens=NoAuth(),
        timeout=timeout,
        policy=_POLICY,
        network=network
        if transport is None
        else Network(transport=transport(), app_info=network.app_info),
        clock=clock,
    )
    try:
        with anyio.fail_after(_TOTAL_TIMEOUT_SECONDS):
            response = check_usable(await session.send(call))
        return keep(response)
    except TimeoutError as error:
        if isinstance(error, RequestTimeoutError):
            raise
        raise RequestTimeoutError(
            f"{call.operation.name}: no response in {_TOTAL_TIMEOUT_SECONDS:g} s",
            operation=call.operation.name,
            method=call.operation.method,
            path=call.path,
        ) from None
    finally:
        await session.aclose()
