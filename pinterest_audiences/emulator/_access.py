"""Authentication, scopes, and the rate limits of Trial and Standard access."""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, Literal

import attrs

from pinterest_audiences.emulator._http import ApiError, Headers, Principal, Request
from pinterest_audiences.emulator._rate_limits import (
    STANDARD_LIMITS,
    TRIAL_LIMITS,
    Limiter,
    RateLimits,
)

if TYPE_CHECKING:
    from pinterest_audiences.emulator._routing import Route
    from pinterest_audiences.emulator._tokens import Tokens

Access = Literal["standard", "trial"]

LIMITS_BY_ACCESS: dict[Access, RateLimits] = {"standard": STANDARD_LIMITS, "trial": TRIAL_LIMITS}
"""The rate limits of an app, by the access that Pinterest has granted it."""

# Pinterest's wording; the second is published with a line break, which is left out here.
_NO_SCOPE = (
    "Your token does not have sufficient permissions to perform this operation. Please ensure "
    "your token is authorized with the correct set of scopes."
)
# The roles that create and edit audiences, on Pinterest's page about Business Access.
_AUDIENCE_ROLES = frozenset({"OWNER", "ADMIN", "AUDIENCE_MANAGER"})
_RATE_LIMITED = (
    "This request exceeded a rate limit. This can happen if the client exceeds one of the "
    "published rate limits within a short time window."
)


@attrs.frozen
class AuthResult:
    """Whether a request may be carried out.

    Attributes:
        headers: The rate headers for the answer.
        principal: Whose token it carries; None when the operation asks for none.
        refusal: The answer when it may not be carried out.
    """

    headers: Headers = ()
    principal: Principal | None = None
    refusal: ApiError | None = None


def authorize(
    request: Request,
    route: Route,
    tokens: Tokens,
    limiter: Limiter | None,
    roles: tuple[str, ...],
) -> AuthResult:
    """Decide whether a request may be carried out.

    Args:
        request: The request.
        route: The operation it asks for.
        tokens: The tokens that exist.
        limiter: The rate limits, if there are any.
        roles: The roles of the user on every ad account.

    Returns:
        The principal, or the refusal: 401 without a valid token, 429 for a rate limit that is used
        up, 401 for a token without the scopes, 403 for a user without the role.
    """
    if route.auth == "none":
        return AuthResult()
    principal = _app(request, tokens) if route.auth == "basic" else _user(request, tokens)
    if principal is None:
        if route.auth == "optional":
            return AuthResult()
        return AuthResult(refusal=ApiError(401, 2, "Authentication failed."))
    headers: Headers = ()
    if limiter is not None:
        shared_by = principal.app_id if limiter.per_app else ""
        status = limiter.spend(shared_by or principal.budget, route.category)
        headers = status.headers
        if not status.allowed:
            return AuthResult(headers, principal, ApiError(429, 8, _RATE_LIMITED))
    refusal = None
    if not _is_allowed(principal, route):
        refusal = ApiError(401, 3, _NO_SCOPE)
    elif not _AUDIENCE_ROLES.intersection(roles) and _needs_role(route):
        refusal = ApiError(403, 29, "You are not permitted to access that resource.")
    return AuthResult(headers, principal, refusal)


def _needs_role(route: Route) -> bool:
    changes_audiences = route.method != "GET" and route.name.startswith(("audiences", "customer_"))
    return changes_audiences or route.name.startswith("customer_list")


def _is_allowed(principal: Principal, route: Route) -> bool:
    if principal.is_app and route.auth == "bearer" and not route.for_apps:
        return False
    return principal.scopes is None or principal.scopes.issuperset(route.scopes)


def _user(request: Request, tokens: Tokens) -> Principal | None:
    token = _credentials(request, "bearer")
    return None if token is None else tokens.principal(token)


def _app(request: Request, tokens: Tokens) -> Principal | None:
    credentials = _credentials(request, "basic")
    if credentials is None:
        return None
    try:
        app_id, _, secret = b64decode(credentials, validate=True).decode().partition(":")
    except ValueError:
        return None
    if not tokens.app(app_id, secret):
        return None
    return Principal(app_id=app_id, budget=f"{app_id} app")


def _credentials(request: Request, scheme: str) -> str | None:
    match request.headers.get("authorization", "").split():
        case [sent_scheme, credentials] if sent_scheme.lower() == scheme:
            return credentials
        case _:
            return None
