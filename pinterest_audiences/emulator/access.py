"""Who may ask for what: tokens, scopes, and the budgets of Trial and Standard access."""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, Literal

import attrs

from pinterest_audiences.emulator.limits import (
    STANDARD_LIMITS,
    TRIAL_LIMITS,
    Limiter,
    RateLimits,
)
from pinterest_audiences.emulator.messages import ApiError, Headers, Request

if TYPE_CHECKING:
    from pinterest_audiences.emulator.oauth import Tokens
    from pinterest_audiences.emulator.routing import Route

Access = Literal["standard", "trial"]

LIMITS_OF: dict[Access, RateLimits] = {"standard": STANDARD_LIMITS, "trial": TRIAL_LIMITS}
"""What an app may spend, by the access that Pinterest has granted it."""

# Pinterest's words; the second is published with a line break in the middle, told here on one line.
_NO_SCOPE = (
    "Your token does not have sufficient permissions to perform this operation. Please ensure "
    "your token is authorized with the correct set of scopes."
)
_RATE_LIMITED = (
    "This request exceeded a rate limit. This can happen if the client exceeds one of the "
    "published rate limits within a short time window."
)


@attrs.frozen(kw_only=True)
class Principal:
    """Who asks.

    Attributes:
        app_id: Which app; empty when that is not known.
        budget: Whose budgets are drawn on.
        scopes: What is allowed; None for everything.
        is_app: Whether it is the app itself, without a user (client_credentials).
    """

    app_id: str
    budget: str = attrs.field(repr=False)
    scopes: frozenset[str] | None = None
    is_app: bool = False


@attrs.frozen
class Admission:
    """What became of a request at the door.

    Attributes:
        headers: The rate headers for the answer.
        principal: Who asks; None when that does not matter.
        refusal: What to answer instead of going on.
    """

    headers: Headers = ()
    principal: Principal | None = None
    refusal: ApiError | None = None


def admit(request: Request, route: Route, tokens: Tokens, limiter: Limiter | None) -> Admission:
    """Decide whether a request may go on.

    Args:
        request: The request.
        route: What it asks for.
        tokens: The tokens there are.
        limiter: The budgets, if there are any.

    Returns:
        That it may, or the refusal: 401 for nobody, 429 for a budget that is used up, 401 for a
        token that is not allowed this.
    """
    if route.auth == "none":
        return Admission()
    principal = _app(request, tokens) if route.auth == "basic" else _user(request, tokens)
    if principal is None:
        if route.auth == "optional":
            return Admission()
        return Admission(refusal=ApiError(401, 2, "Authentication failed."))
    headers: Headers = ()
    if limiter is not None:
        whose = principal.app_id if limiter.per_app else ""
        standing = limiter.spend(whose or principal.budget, route.category)
        headers = standing.headers
        if not standing.allowed:
            return Admission(headers, principal, ApiError(429, 8, _RATE_LIMITED))
    if not _is_allowed(principal, route):
        return Admission(headers, principal, ApiError(401, 3, _NO_SCOPE))
    return Admission(headers, principal)


def _is_allowed(principal: Principal, route: Route) -> bool:
    if principal.is_app and route.auth == "bearer" and not route.for_apps:
        return False
    return principal.scopes is None or principal.scopes.issuperset(route.scopes)


def _user(request: Request, tokens: Tokens) -> Principal | None:
    words = request.headers.get("authorization", "").split()
    if len(words) != 2 or words[0].lower() != "bearer":  # noqa: PLR2004 - a scheme and a token
        return None
    return tokens.principal(words[1])


def _app(request: Request, tokens: Tokens) -> Principal | None:
    words = request.headers.get("authorization", "").split()
    if len(words) != 2 or words[0].lower() != "basic":  # noqa: PLR2004 - a scheme and a word
        return None
    try:
        app_id, _, secret = b64decode(words[1], validate=True).decode().partition(":")
    except ValueError:
        return None
    if not tokens.app(app_id, secret):
        return None
    return Principal(app_id=app_id, budget=f"{app_id} app")
