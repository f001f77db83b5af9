"""The operations on audiences: from a request to an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinterest_audiences.emulator.audience_bodies import (
    invalid_audience,
    read_audience,
    read_audience_update,
)
from pinterest_audiences.emulator.messages import Answer, invalid
from pinterest_audiences.emulator.routing import Call, Route, flag, following, order, page_size
from pinterest_audiences.emulator.state import MINIMUM_MATCHED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pinterest_audiences.emulator.audiences import AudienceState, OwnershipType


def _create(call: Call) -> Answer:
    account, audiences = call.account(), call.context.world.audiences
    body = read_audience(call.request.body)
    if body.audience_type == "CUSTOMER_LIST":
        _check_list(call, account, body.rule)
    created = audiences.create(
        account,
        name=body.name,
        audience_type=body.audience_type,
        rule=body.rule,
        description=body.description,
    )
    return Answer(status=call.context.create_status, payload=audiences.show(created))


def _list(call: Call) -> Answer:
    account, context, query = call.account(), call.context, call.query()
    size = page_size(query.get("page_size"))
    in_order = order(query.get("order"), context.world.guesses.default_order)
    ownership_type = _ownership_type(query.get("ownership_type"))
    exclude_nca = flag("exclude_nca", query.get("exclude_nca"))
    walk = f"{ownership_type} {account}"
    after = following(call, walk, in_order)
    audiences = context.world.audiences
    page = audiences.page(
        account,
        ownership_type=ownership_type,
        order=in_order,
        after=after,
        size=size,
        exclude_nca=exclude_nca,
    )
    more = page.more and page.last is not None
    last = context.bookmarks.write(walk, in_order, page.last or 0) if more else None
    items = list(map(audiences.show, page.audiences))
    return Answer(status=200, payload={"items": items, "bookmark": last})


def _get(call: Call) -> Answer:
    return Answer(status=200, payload=call.context.world.audiences.show(_audience(call)))


def _update(call: Call) -> Answer:
    audience, audiences = _audience(call), call.context.world.audiences
    # Whoever has received an audience may use it, not change it.
    if audience.ad_account_id != call.parameters["ad_account_id"]:
        raise call.not_found("Audience")
    body = read_audience_update(call.request.body, audience.audience_type)
    if body.rule is not None and audience.audience_type == "CUSTOMER_LIST":
        _check_list(call, audience.ad_account_id, body.rule)
    audiences.update(audience, name=body.name, rule=body.rule, description=body.description)
    payload = audiences.show(audience)
    if body.operation_type == "REMOVE":
        audiences.remove(audience)
    return Answer(status=200, payload=payload)


def _audience(call: Call) -> AudienceState:
    account, audiences = call.account(), call.context.world.audiences
    found = audiences.find(call.parameters["audience_id"])
    if found is None or not audiences.can_see(account, found):
        raise call.not_found("Audience")
    return found


def _check_list(call: Call, account: str, rule: Mapping[str, object]) -> None:
    world = call.context.world
    customer_list = world.state.find(str(rule["customer_list_id"]))
    if customer_list is None or customer_list.ad_account_id != account:
        raise invalid_audience("There is no such customer list.")
    if world.guesses.refuse_small_audiences and customer_list.matched < MINIMUM_MATCHED:
        raise invalid_audience(f"The customer list has fewer than {MINIMUM_MATCHED} members.")


def _ownership_type(text: str | None) -> OwnershipType:
    choices: dict[str | None, OwnershipType] = {
        None: "OWNED",
        "OWNED": "OWNED",
        "RECEIVED": "RECEIVED",
    }
    chosen = choices.get(text)
    if chosen is None:
        raise invalid("Parameter 'ownership_type' must be one of: OWNED, RECEIVED.")
    return chosen


AUDIENCES = "/v5/ad_accounts/{ad_account_id}/audiences"
AUDIENCE = AUDIENCES + "/{audience_id}"

ROUTES = (
    Route("POST", AUDIENCES, _create, "ads_write", scopes=("ads:write",)),
    Route("GET", AUDIENCES, _list, "ads_read", scopes=("ads:read",), for_apps=True),
    Route("GET", AUDIENCE, _get, "ads_read", scopes=("ads:read",), for_apps=True),
    Route("PATCH", AUDIENCE, _update, "ads_write", scopes=("ads:write",)),
)
