"""The calls around tokens: made from an app's credentials, and sent without any access token."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlencode

import anyio
from attrs import evolve

from pinterest_audiences._wire import operations
from pinterest_audiences._wire.operations import Call, Operation
from pinterest_audiences._wire.retry import RetryPolicy
from pinterest_audiences._wire.session import Session
from pinterest_audiences.auth.credentials import AppCredentials, GrantType, OAuthToken
from pinterest_audiences.auth.tokens import NoToken
from pinterest_audiences.errors import RequestTimeoutError

if TYPE_CHECKING:
    import httpx

    from pinterest_audiences._wire.clock import Clock
    from pinterest_audiences._wire.settings import BaseURL

__all__ = ["OAuthToken", "exchange", "revoke_call", "token_call"]

T = TypeVar("T")

_POLICY = RetryPolicy(max_retries=2, max_wait=10.0)
_PATIENCE = 90.0  # seconds for all attempts together; others wait for the lock meanwhile


def token_call(
    app: AppCredentials, grant_type: GrantType, fields: Mapping[str, str]
) -> Call[OAuthToken]:
    """Make the call that gives tokens."""
    operation = operations.OAUTH_TOKEN
    sent = {"grant_type": str(grant_type), **fields}
    if grant_type == GrantType.AUTHORIZATION_CODE:
        # Apps from before 2025-09-25 get a refresh token without end only if they ask for it.
        sent["continuous_refresh"] = "true"
    else:
        # If the answer to a refresh was lost, its token is used up or it is not: nothing to lose.
        operation = evolve(operation, repeatable=True)
    return _call(operation, app, sent)


def revoke_call(app: AppCredentials, fields: Mapping[str, str]) -> Call[None]:
    """Make the call that revokes a token."""
    return _call(operations.TOKEN_REVOKE, app, fields)


def _call(operation: Operation[T], app: AppCredentials, fields: Mapping[str, str]) -> Call[T]:
    # Every value is encoded: a refresh token may hold "=" and "+".
    return evolve(operation.call({}, body=(urlencode(fields).encode(),)), app=app)


def exchange(
    call: Call[OAuthToken],
    *,
    base_url: BaseURL,
    timeout: float | None,
    transport: Callable[[], httpx.AsyncBaseTransport] | None,
    clock: Clock,
    keep: Callable[[OAuthToken], T],
) -> T:
    """Send a call that gives tokens over connections of its own; blocks.

    Args:
        call: Made by :func:`token_call`.
        base_url: Where the API is.
        timeout: Seconds for each attempt.
        transport: Makes the transport; without it the proxy and CA of the environment count.
        clock: Where time and chance come from.
        keep: Called with the answer the moment it is there.

    Returns:
        What ``keep`` returns.

    Raises:
        CallError: Pinterest refused, or could not be reached.
    """

    async def send() -> T:
        session = Session(
            base_url=base_url,
            tokens=NoToken(),
            timeout=timeout,
            policy=_POLICY,
            transport=None if transport is None else transport(),
            clock=clock,
        )
        try:
            with anyio.fail_after(_PATIENCE):
                answer = await session.send(call)
            return keep(answer)
        except TimeoutError as error:
            if isinstance(error, RequestTimeoutError):
                raise
            raise RequestTimeoutError(
                f"{call.operation.name}: no answer in {_PATIENCE:g} s",
                operation=call.operation.name,
                method=call.operation.method,
                path=call.path,
            ) from None
        finally:
            await session.aclose()

    return anyio.run(send)
