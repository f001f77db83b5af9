"""The operations on customer lists, as Pinterest words them: from a request to an answer.

Where Pinterest's description is silent, this is our guess: lists come in DESCENDING order when no
order is asked for; a list or an account that is not there is a 404 with code 404; of a query key
that comes twice the first counts; ids are checked before existence, existence before the body.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

import attrs

from pinterest_audiences.emulator.bodies import read_create, read_update
from pinterest_audiences.emulator.messages import Answer, ApiError, Request, invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pinterest_audiences.emulator.bookmarks import Bookmarks
    from pinterest_audiences.emulator.limits import Category
    from pinterest_audiences.emulator.state import CustomerListState, Order, State

MAX_PAGE_SIZE = 250
DEFAULT_PAGE_SIZE = 25
DEFAULT_ORDER: Order = "DESCENDING"

IDENTIFIER = re.compile(r"[0-9]{1,18}")
"""What the description asks of every id in a path."""

# Pinterest repeats the offending id in its message; a longer word is cut.
_LONGEST_ECHO = 40


@attrs.frozen(kw_only=True)
class Context:
    """What every operation may use.

    Attributes:
        state: The lists.
        bookmarks: Writes and reads bookmarks.
        create_status: The status of a successful create: 200, or 201 as version 5.28 allows.
    """

    state: State
    bookmarks: Bookmarks
    create_status: int


@attrs.frozen
class Call:
    """A request that has found its route.

    Attributes:
        context: What the operation may use.
        request: The request.
        parameters: The parameters in its path, by name.
    """

    context: Context
    request: Request
    parameters: Mapping[str, str]

    def query(self) -> dict[str, str]:
        """Return the parameters in the query; of one that comes twice, the first.

        Returns:
            Decoded values by decoded name.
        """
        pairs = parse_qsl(self.request.query, keep_blank_values=True, errors="replace")
        return dict(reversed(pairs))


@attrs.frozen
class Route:
    """One operation of the API.

    Attributes:
        method: Its HTTP method.
        template: Its path, with the names of parameters in braces.
        answer: Carries it out; raises ApiError to refuse.
        category: The rate category it draws on, or None for the safety net alone.
        needs_token: Whether it asks for a bearer token.
    """

    method: str
    template: str
    answer: Callable[[Call], Answer]
    category: Category | None
    needs_token: bool = True

    def match(self, path: str) -> dict[str, str] | None:
        """Return the parameters that a path carries, or None when it is another's path.

        Args:
            path: A path, percent-encoded.

        Returns:
            Decoded values by name.
        """
        names, pieces = self.template.split("/"), path.split("/")
        if len(names) != len(pieces):
            return None
        parameters: dict[str, str] = {}
        for name, piece in zip(names, pieces, strict=True):
            value = unquote(piece, errors="replace")
            if name.startswith("{") and value:
                parameters[name.strip("{}")] = value
            elif name != value:
                return None
        return parameters


def find_route(method: str, path: str) -> tuple[Route, Mapping[str, str]]:
    """Find what a request asks for.

    Args:
        method: The request's method.
        path: Its path, percent-encoded.

    Returns:
        The route and the parameters in the path. For an unknown path, or a method that its path
        does not have, it is a route that refuses with 404 or with 405.
    """
    found = {
        route.method: (route, parameters)
        for route in ROUTES
        if (parameters := route.match(path)) is not None
    }
    if method in found:
        return found[method]
    answer = partial(_not_allowed, tuple(sorted(found))) if found else _not_found
    return Route(method, path, answer, category=None, needs_token=False), {}


def _not_found(_: Call) -> Answer:
    raise ApiError(404, 404, "Not found.")


def _not_allowed(methods: tuple[str, ...], _: Call) -> Answer:
    raise ApiError(405, 5, "Method not allowed", (("allow", ", ".join(methods)),))


def _create(call: Call) -> Answer:
    account = _account(call)
    body = read_create(call.request.body)
    created = call.context.state.create(
        account,
        name=body.name,
        members=body.members,
        list_type=body.list_type,
        is_nca=body.is_nca,
    )
    return Answer(status=call.context.create_status, payload=call.context.state.show(created))


def _list(call: Call) -> Answer:
    account, context, query = _account(call), call.context, call.query()
    size = _page_size(query.get("page_size"))
    order = _order(query.get("order"))
    exclude_nca = _flag("exclude_nca", query.get("exclude_nca"))
    bookmark, after = query.get("bookmark"), None
    if bookmark is not None:
        after = context.bookmarks.read(bookmark, account, order)
        if after is None:
            raise invalid("'bookmark' is not one of this account and this order.")
    page = context.state.page(account, order=order, after=after, size=size, exclude_nca=exclude_nca)
    # A page that others follow is never empty, so there is a last list to go on behind.
    following = context.bookmarks.write(account, order, page.lists[-1].id) if page.more else None
    items = [context.state.show(customer_list) for customer_list in page.lists]
    return Answer(status=200, payload={"items": items, "bookmark": following})


def _get(call: Call) -> Answer:
    return Answer(status=200, payload=call.context.state.show(_customer_list(call)))


def _update(call: Call) -> Answer:
    customer_list = _customer_list(call)
    body = read_update(call.request.body)
    call.context.state.update(customer_list, body.operation_type, body.members)
    return Answer(status=200, payload=call.context.state.show(customer_list))


def _account(call: Call) -> str:
    for name, value in call.parameters.items():
        if not IDENTIFIER.fullmatch(value):
            raise ApiError(400, 1, _misshapen(name, value))
    account = call.parameters["ad_account_id"]
    if not call.context.state.has_account(account):
        raise ApiError(404, 404, "Ad account not found.")
    return account


def _customer_list(call: Call) -> CustomerListState:
    account = _account(call)
    found = call.context.state.find(call.parameters["customer_list_id"])
    if found is None or found.ad_account_id != account:
        raise ApiError(404, 404, "Customer list not found.")
    return found


def _misshapen(name: str, value: str) -> str:
    if value.isascii() and value.isdigit():
        return f"'{name}' value must be at most 18 characters long"
    return f"'{name}' value '{value[:_LONGEST_ECHO]}' must match the pattern: ^\\d+$"


def _page_size(text: str | None) -> int:
    if text is None:
        return DEFAULT_PAGE_SIZE
    if not (text.isascii() and text.isdigit()):
        raise ApiError(400, 1, "Parameter 'page_size' was not numeric.")
    digits = text.lstrip("0")  # without leading zeros, more than three digits are too many
    if len(digits) > len(str(MAX_PAGE_SIZE)) or not 1 <= int(digits or "0") <= MAX_PAGE_SIZE:
        raise invalid(f"Parameter 'page_size' must be between 1 and {MAX_PAGE_SIZE}.")
    return int(digits)


def _order(text: str | None) -> Order:
    choices: dict[str | None, Order] = {
        None: DEFAULT_ORDER,
        "ASCENDING": "ASCENDING",
        "DESCENDING": "DESCENDING",
    }
    chosen = choices.get(text)
    if chosen is None:
        raise invalid("Parameter 'order' must be one of: ASCENDING, DESCENDING.")
    return chosen


def _flag(name: str, text: str | None) -> bool:
    # Generated clients of several languages write True and False.
    choices = {None: False, "false": False, "true": True}
    chosen = choices.get(text if text is None else text.lower())
    if chosen is None:
        raise invalid(f"Parameter '{name}' must be one of: true, false.")
    return chosen


_LISTS = "/v5/ad_accounts/{ad_account_id}/customer_lists"
_LIST = _LISTS + "/{customer_list_id}"

ROUTES = (
    Route("POST", _LISTS, _create, "ads_write"),
    Route("GET", _LISTS, _list, "ads_read"),
    Route("GET", _LIST, _get, "ads_read"),
    Route("PATCH", _LIST, _update, "ads_write"),
)
