"""Who asks, and for which ad accounts: from a request to an answer.

The emulated Pinterest has one user, who owns every ad account. Names and numbers are made up.
"""

from __future__ import annotations

from bisect import bisect_right

from pinterest_audiences.emulator.messages import Answer, ApiError
from pinterest_audiences.emulator.routing import (
    IDENTIFIER,
    Call,
    Route,
    flag,
    following,
    page_size,
)

_USER_ID = "549755885175000001"
_USERNAME = "emulator"


def _user_account(call: Call) -> Answer:
    account = call.query().get("ad_account_id")
    if account is not None:
        if not IDENTIFIER.fullmatch(account):
            raise ApiError(400, 1, "'ad_account_id' value must match the pattern: ^\\d+$")
        if not call.context.world.state.has_account(account):
            raise ApiError(403, 403, "Not authorized to access the user account.")
    payload = {
        "about": "",
        "account_type": "BUSINESS",
        "board_count": 0,
        "business_name": "Emulator",
        "follower_count": 0,
        "following_count": 0,
        "id": _USER_ID,
        "monthly_views": 0,
        "pin_count": 0,
        "profile_image": "",
        "username": _USERNAME,
        "website_url": "",
    }
    return Answer(status=200, payload=payload)


def _list(call: Call) -> Answer:
    query, context = call.query(), call.context
    size = page_size(query.get("page_size"))
    flag("include_shared_accounts", query.get("include_shared_accounts"), default=True)
    after = following(call, "ad_accounts", "ASCENDING")
    accounts = context.world.state.accounts()
    numbers = list(map(int, accounts))
    start = 0 if after is None else bisect_right(numbers, after)
    shown = accounts[start : start + size]
    more = start + size < len(accounts)
    last = context.bookmarks.write("ad_accounts", "ASCENDING", int(shown[-1])) if more else None
    return Answer(status=200, payload={"items": list(map(_show, shown)), "bookmark": last})


def _get(call: Call) -> Answer:
    return Answer(status=200, payload=_show(call.account()))


def _show(account: str) -> dict[str, object]:
    return {
        "country": "US",
        "created_time": None,
        "currency": "USD",
        "id": account,
        "name": f"Ad account {account}",
        "owner": {"id": _USER_ID, "username": _USERNAME},
        "permissions": ["OWNER"],
        "updated_time": None,
    }


ROUTES = (
    Route(
        "GET",
        "/v5/user_account",
        _user_account,
        "org_read",
        scopes=("user_accounts:read",),
        for_apps=True,
    ),
    Route("GET", "/v5/ad_accounts", _list, "ads_read", scopes=("ads:read",), for_apps=True),
    Route(
        "GET",
        "/v5/ad_accounts/{ad_account_id}",
        _get,
        "ads_read",
        scopes=("ads:read",),
        for_apps=True,
    ),
)
