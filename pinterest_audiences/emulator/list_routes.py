"""The operations on customer lists, as Pinterest words them: from a request to an answer.

Where Pinterest's description is silent, this is our guess: of a query key that comes twice the
first counts; ids are checked before existence, existence before the body.
"""

from __future__ import annotations

from pinterest_audiences.emulator.bodies import read_create, read_update
from pinterest_audiences.emulator.messages import Answer
from pinterest_audiences.emulator.routing import Call, Route, flag, following, order, page_size


def _create(call: Call) -> Answer:
    account, state = call.account(), call.context.world.state
    body = read_create(call.request.body)
    created = state.create(
        account,
        name=body.name,
        members=body.members,
        list_type=body.list_type,
        is_nca=body.is_nca,
    )
    return Answer(status=call.context.create_status, payload=state.show(created))


def _list(call: Call) -> Answer:
    account, context, query = call.account(), call.context, call.query()
    size = page_size(query.get("page_size"))
    in_order = order(query.get("order"), context.world.guesses.default_order)
    exclude_nca = flag("exclude_nca", query.get("exclude_nca"))
    after = following(call, account, in_order)
    state = context.world.state
    page = state.page(account, order=in_order, after=after, size=size, exclude_nca=exclude_nca)
    # A page that others follow is never empty, so there is a last list to go on behind.
    last = context.bookmarks.write(account, in_order, page.lists[-1].id) if page.more else None
    return Answer(
        status=200, payload={"items": list(map(state.show, page.lists)), "bookmark": last}
    )


def _get(call: Call) -> Answer:
    return Answer(status=200, payload=call.context.world.state.show(call.customer_list()))


def _update(call: Call) -> Answer:
    customer_list, state = call.customer_list(), call.context.world.state
    body = read_update(call.request.body)
    state.update(customer_list, body.operation_type, body.members)
    return Answer(status=200, payload=state.show(customer_list))


LISTS = "/v5/ad_accounts/{ad_account_id}/customer_lists"
LIST = LISTS + "/{customer_list_id}"

ROUTES = (
    Route("POST", LISTS, _create, "ads_write", scopes=("ads:write",)),
    Route("GET", LISTS, _list, "ads_read", scopes=("ads:read",)),
    Route("GET", LIST, _get, "ads_read", scopes=("ads:read",), for_apps=True),
    Route("PATCH", LIST, _update, "ads_write", scopes=("ads:write",)),
)
