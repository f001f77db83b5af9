"""Tokens: the login page that a user is led to, the token endpoint, and revocation.

What is published: the forms, the fields of the answers, the life of refresh tokens. In which words
a code or refresh token is refused is our guess, and a switch.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from pinterest_audiences.emulator.messages import Answer, ApiError, invalid
from pinterest_audiences.emulator.oauth import SCOPES
from pinterest_audiences.emulator.routing import Call, Route, first_pairs, flag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pinterest_audiences.emulator.oauth import Issued

# Printable and without blanks, or it could not stand in a header.
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:[!-~]+")


def is_redirect_uri(text: str) -> bool:
    """Return whether a user can be sent to an address with a code.

    Args:
        text: The address.

    Returns:
        True when it is absolute, in ASCII, and without a fragment.
    """
    if _URL.fullmatch(text) is None or "#" in text:
        return False
    try:
        return bool(urlsplit(text).scheme)
    except ValueError:
        return False


def _authorize(call: Call) -> Answer:
    query, world = call.query(), call.context.world
    client_id, redirect_uri = query.get("client_id", ""), query.get("redirect_uri", "")
    # Without a known app and address there is nobody to send the user back to.
    if not world.tokens.has_app(client_id):
        raise invalid("'client_id' is not an app.")
    if not is_redirect_uri(redirect_uri):
        raise invalid("'redirect_uri' must be an absolute URL.")
    if query.get("response_type") != "code":
        raise invalid("'response_type' must be: code.")
    scopes = _scopes(query.get("scope"))
    told: dict[str, str] = {}
    if world.guesses.users_consent:
        told["code"] = world.tokens.authorize(client_id, redirect_uri, scopes, is_system_user=False)
    else:
        told["error"] = "access_denied"
    if "state" in query:
        told["state"] = query["state"]
    joint = "&" if urlsplit(redirect_uri).query else "?"
    where = f"{redirect_uri.removesuffix('?')}{joint}{urlencode(told, errors='replace')}"
    return Answer(status=302, content=b"", headers=(("location", where),))


def _token(call: Call) -> Answer:
    form = _form(call)
    grant_type = form.get("grant_type")
    if grant_type == "authorization_code":
        issued = _exchange(call, form)
    elif grant_type == "refresh_token":
        issued = _refresh(call, form)
    elif grant_type == "client_credentials":
        issued = call.context.world.tokens.client(_app_id(call), _scopes(form.get("scope")))
    else:
        raise invalid(
            "'grant_type' must be one of: authorization_code, client_credentials, refresh_token."
        )
    payload = _show(call, issued, grant_type)
    return Answer(status=call.context.create_status, payload=payload)


def _exchange(call: Call, form: Mapping[str, str]) -> Issued:
    code, redirect_uri = _needed(form, "code"), _needed(form, "redirect_uri")
    flag("continuous_refresh", form.get("continuous_refresh"))
    issued = call.context.world.tokens.exchange(_app_id(call), code, redirect_uri)
    if issued is None:
        raise _invalid_grant(call, "The authorization code is not valid.")
    return issued


def _refresh(call: Call, form: Mapping[str, str]) -> Issued:
    refresh_token = _needed(form, "refresh_token")
    scopes = _scopes(form["scope"]) if form.get("scope") else None
    issued = call.context.world.tokens.refresh(_app_id(call), refresh_token, scopes)
    if issued is None:
        raise _invalid_grant(call, "The refresh token is not valid.")
    return issued


def _revoke(call: Call) -> Answer:
    form = _form(call)
    token = _needed(form, "token")
    if form.get("token_type_hint", "access_token") not in ("access_token", "refresh_token"):
        raise invalid("'token_type_hint' must be one of: access_token, refresh_token.")
    if not call.context.world.tokens.revoke(_app_id(call), token):
        raise ApiError(403, 29, "You are not permitted to access that resource.")
    return Answer(status=200, content=b"")


def _show(call: Call, issued: Issued, grant_type: str) -> dict[str, object]:
    now = call.context.world.clock()
    shown: dict[str, object] = {
        "access_token": issued.access_token,
        "expires_in": round((issued.access.expires_at or now) - now),
        "response_type": grant_type,
        "scope": ",".join(sorted(SCOPES if issued.access.scopes is None else issued.access.scopes)),
        "token_type": "bearer",
    }
    if issued.refresh_token is not None and issued.refresh is not None:
        ends = issued.refresh.expires_at or now
        shown["refresh_token"] = issued.refresh_token
        shown["refresh_token_expires_at"] = int(ends)
        shown["refresh_token_expires_in"] = round(ends - now)
    return shown


def _form(call: Call) -> Mapping[str, str]:
    return first_pairs(call.request.body.decode("utf-8", "replace"))


def _needed(form: Mapping[str, str], name: str) -> str:
    value = form.get(name)
    if not value:
        raise invalid(f"'{name}' is required.")
    return value


def _scopes(text: str | None) -> frozenset[str]:
    # Joined by commas in Pinterest's examples, by blanks in the standard (RFC 6749, section 3.3).
    asked = frozenset((text or "").replace(",", " ").split())
    if not asked:
        raise invalid("'scope' is required.")
    if not asked <= SCOPES:
        raise invalid("'scope' holds one that is not known.")
    return asked


def _app_id(call: Call) -> str:
    return "" if call.principal is None else call.principal.app_id


def _invalid_grant(call: Call, message: str) -> ApiError:
    if call.context.world.guesses.invalid_grant_status == 401:  # noqa: PLR2004 - the status
        return ApiError(401, 2, f"Authentication failed. {message}")
    return invalid(message)


ROUTES = (
    Route("GET", "/oauth/", _authorize, None, auth="none"),
    Route("POST", "/v5/oauth/token", _token, "org_read", auth="basic"),
    Route("POST", "/v5/oauth/token/revoke", _revoke, "org_write", auth="basic"),
)
