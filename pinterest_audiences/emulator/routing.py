"""How an operation is declared, and what all of them need to read from a request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qsl, unquote

import attrs

from pinterest_audiences.emulator.messages import Answer, ApiError, Request, invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pinterest_audiences.emulator.access import Principal
    from pinterest_audiences.emulator.bookmarks import Bookmarks
    from pinterest_audiences.emulator.limits import Category
    from pinterest_audiences.emulator.shelves import Order
    from pinterest_audiences.emulator.state import CustomerListState
    from pinterest_audiences.emulator.world import World

MAX_PAGE_SIZE = 250
DEFAULT_PAGE_SIZE = 25

IDENTIFIER = re.compile(r"[0-9]{1,18}")
"""What the description asks of every id in a path."""

Auth = Literal["bearer", "basic", "optional", "none"]
"""Who may ask: a user or app by its token, an app by its secret, anybody who then pays from the
budget of a token if there is one, or anybody at all."""

# Pinterest repeats the offending id in its message; a longer word is cut.
_LONGEST_ECHO = 40


@attrs.frozen(kw_only=True)
class Context:
    """What every operation may use.

    Attributes:
        world: All there is: lists, audiences, uploads, tokens.
        bookmarks: Writes and reads bookmarks.
        create_status: The status of a successful create: 200, or 201 as version 5.28 allows.
        uploads: Whether the account has access to uploads, and how it is told that it has not.
    """

    world: World
    bookmarks: Bookmarks
    create_status: int
    uploads: Literal["open", "restricted", "forbidden"]


@attrs.frozen
class Call:
    """A request that has found its route.

    Attributes:
        context: What the operation may use.
        request: The request.
        parameters: The parameters in its path, by name.
        principal: Who asks; None when the route asks nobody.
    """

    context: Context
    request: Request
    parameters: Mapping[str, str]
    principal: Principal | None = None

    def query(self) -> dict[str, str]:
        """Return the parameters in the query; of one that comes twice, the first.

        Returns:
            Decoded values by decoded name.
        """
        return first_pairs(self.request.query)

    def not_found(self, what: str) -> ApiError:
        """Return the refusal of something that is not there.

        Args:
            what: What it is, such as "Customer list".

        Returns:
            The refusal, to be raised.
        """
        return ApiError(404, self.context.world.guesses.not_found_code, f"{what} not found.")

    def account(self) -> str:
        """Return the ad account in the path.

        Returns:
            Its id.

        Raises:
            ApiError: 400 for an id of the wrong form, here or anywhere in the path; 404 for an
                account that is not there.
        """
        for name, value in self.parameters.items():
            if not IDENTIFIER.fullmatch(value):
                raise ApiError(400, 1, _misshapen(name, value))
        account = self.parameters["ad_account_id"]
        if not self.context.world.state.has_account(account):
            raise self.not_found("Ad account")
        return account

    def customer_list(self) -> CustomerListState:
        """Return the customer list in the path.

        Returns:
            The list.

        Raises:
            ApiError: 400 for an id of the wrong form; 404 for a list that this account has not.
        """
        account = self.account()
        found = self.context.world.state.find(self.parameters["customer_list_id"])
        if found is None or found.ad_account_id != account:
            raise self.not_found("Customer list")
        return found


@attrs.frozen
class Route:
    """One operation of the API.

    Attributes:
        method: Its HTTP method.
        template: Its path, with the names of parameters in braces.
        answer: Carries it out; raises ApiError to refuse.
        category: The rate category it draws on, or None for the safety net alone.
        auth: Who may ask.
        scopes: What its token must be allowed.
        for_apps: Whether a token of the app itself (client_credentials) will do.
    """

    method: str
    template: str
    answer: Callable[[Call], Answer]
    category: Category | None
    auth: Auth = "bearer"
    scopes: tuple[str, ...] = ()
    for_apps: bool = False
    pieces: tuple[str, ...] = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "pieces", tuple(self.template.split("/")))

    def match(self, pieces: tuple[str, ...]) -> dict[str, str] | None:
        """Return the parameters that a path carries, or None when it is another's path.

        Args:
            pieces: What stands between the slashes of a path, decoded.

        Returns:
            Values by name.
        """
        if len(self.pieces) != len(pieces):
            return None
        parameters: dict[str, str] = {}
        for name, value in zip(self.pieces, pieces, strict=True):
            if name.startswith("{") and value:
                parameters[name.strip("{}")] = value
            elif name != value:
                return None
        return parameters


def first_pairs(encoded: str) -> dict[str, str]:
    """Read a query or a form.

    Args:
        encoded: Names and values, percent-encoded.

    Returns:
        Decoded values by decoded name; of a name that comes twice, the first.
    """
    pairs = parse_qsl(encoded, keep_blank_values=True, errors="replace")
    return dict(reversed(pairs))


def split_path(path: str) -> tuple[str, ...]:
    """Take a path apart.

    Args:
        path: A path, percent-encoded.

    Returns:
        What stands between its slashes, decoded.
    """
    return tuple(unquote(piece, errors="replace") for piece in path.split("/"))


def page_size(text: str | None) -> int:
    """Read the parameter `page_size`.

    Args:
        text: What was sent; None for nothing.

    Returns:
        A number from 1 to 250.

    Raises:
        ApiError: 400 for anything else.
    """
    if text is None:
        return DEFAULT_PAGE_SIZE
    if not (text.isascii() and text.isdigit()):
        raise ApiError(400, 1, "Parameter 'page_size' was not numeric.")
    digits = text.lstrip("0")  # without leading zeros, more than three digits are too many
    if len(digits) > len(str(MAX_PAGE_SIZE)) or not 1 <= int(digits or "0") <= MAX_PAGE_SIZE:
        raise invalid(f"Parameter 'page_size' must be between 1 and {MAX_PAGE_SIZE}.")
    return int(digits)


def order(text: str | None, default: Order) -> Order:
    """Read the parameter `order`.

    Args:
        text: What was sent; None for nothing.
        default: The order when none is asked for.

    Returns:
        The order.

    Raises:
        ApiError: 400 for anything that is no order.
    """
    choices: dict[str | None, Order] = {
        None: default,
        "ASCENDING": "ASCENDING",
        "DESCENDING": "DESCENDING",
    }
    chosen = choices.get(text)
    if chosen is None:
        raise invalid("Parameter 'order' must be one of: ASCENDING, DESCENDING.")
    return chosen


def flag(name: str, text: str | None, *, default: bool = False) -> bool:
    """Read a parameter that is true or false.

    Args:
        name: Its name.
        text: What was sent; None for nothing.
        default: What nothing means.

    Returns:
        What was meant.

    Raises:
        ApiError: 400 for anything else.
    """
    # Generated clients of several languages write True and False.
    choices = {None: default, "false": False, "true": True}
    chosen = choices.get(text if text is None else text.lower())
    if chosen is None:
        raise invalid(f"Parameter '{name}' must be one of: true, false.")
    return chosen


def following(call: Call, walk: str, in_order: Order) -> int | None:
    """Return what the asked-for page goes on behind.

    Args:
        call: The call, whose query may hold a bookmark.
        walk: What is walked over.
        in_order: The order of the walk.

    Returns:
        The number that the bookmark stands for; None without a bookmark.

    Raises:
        ApiError: 400 for a bookmark of another walk, or for none at all.
    """
    bookmark = call.query().get("bookmark")
    if bookmark is None:
        return None
    after = call.context.bookmarks.read(bookmark, walk, in_order)
    if after is None:
        raise invalid("'bookmark' is not one of this account and this order.")
    return after


def _misshapen(name: str, value: str) -> str:
    if value.isascii() and value.isdigit():
        return f"'{name}' value must be at most 18 characters long"
    return f"'{name}' value '{value[:_LONGEST_ECHO]}' must match the pattern: ^\\d+$"
