"""A request that has found its operation, and what handlers read from its path and query."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qsl

import attrs

from pinterest_audiences.emulator._http import ApiError, Request, invalid
from pinterest_audiences.emulator._schemas import (
    DEFAULT_PAGE_SIZE,
    IDENTIFIER,
    MAX_PAGE_SIZE,
    ORDER,
    Schema,
    expectation,
    matches,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pinterest_audiences.emulator._backend import Backend
    from pinterest_audiences.emulator._customer_lists import CustomerListState
    from pinterest_audiences.emulator._http import Principal
    from pinterest_audiences.emulator._paging import Order

# Pinterest repeats the offending id in its message; a longer value is cut.
_MAX_ECHO_LENGTH = 40


@attrs.frozen
class Call:
    """A request that has found its operation.

    Attributes:
        backend: The state that the handler works on.
        request: The request.
        parameters: The parameters in its path, by name.
        principal: Whose token it carries; None when the operation asks for none.
    """

    backend: Backend
    request: Request
    parameters: Mapping[str, str]
    principal: Principal | None = None

    def query(self) -> dict[str, str]:
        """Return the parameters in the query; of one that comes twice, the first.

        Returns:
            Decoded values by decoded name.
        """
        return parse_query(self.request.query)

    def not_found(self, what: str) -> ApiError:
        """Return the refusal of something that does not exist.

        Args:
            what: What it is, such as "Customer list".

        Returns:
            The refusal, to be raised.
        """
        return ApiError(404, self.backend.assumptions.not_found_code, f"{what} not found.")

    def account(self) -> str:
        """Return the ad account in the path.

        Returns:
            Its id.

        Raises:
            ApiError: 400 for an id of the wrong form, here or anywhere in the path; 404 for an
                account that does not exist.
        """
        for name, value in self.parameters.items():
            if not is_identifier(value):
                raise ApiError(400, 1, _malformed_id(name, value))
        account = self.parameters["ad_account_id"]
        if not self.backend.customer_lists.has_account(account):
            raise self.not_found("Ad account")
        return account

    def customer_list(self) -> CustomerListState:
        """Return the customer list in the path.

        Returns:
            The list.

        Raises:
            ApiError: 400 for an id of the wrong form; 404 when this account has no such list.
        """
        account = self.account()
        customer_list = self.backend.customer_lists.find(self.parameters["customer_list_id"])
        if customer_list is None or customer_list.ad_account_id != account:
            raise self.not_found("Customer list")
        return customer_list


def is_identifier(text: str) -> bool:
    """Return whether a string has the form of an id in a path.

    Args:
        text: The string.

    Returns:
        True for 1 to 18 digits.
    """
    return matches(text, IDENTIFIER)


def parse_query(encoded: str) -> dict[str, str]:
    """Parse a query or a form.

    Args:
        encoded: Names and values, percent-encoded.

    Returns:
        Decoded values by decoded name; of a name that comes twice, the first.
    """
    pairs = parse_qsl(encoded, keep_blank_values=True, errors="replace")
    return dict(reversed(pairs))


def page_size(text: str | None) -> int:
    """Parse the parameter `page_size`.

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


def choice(name: str, text: str | None, schema: Schema) -> str:
    """Parse a parameter that has one of several values.

    Args:
        name: Its name.
        text: What was sent, or a default.
        schema: Its schema, with the values.

    Returns:
        The value.

    Raises:
        ApiError: 400 for another value.
    """
    if text is None or not matches(text, schema):
        raise invalid(f"Parameter '{name}' must be {expectation(schema)}.")
    return text


def order(text: str | None, default: Order) -> Order:
    """Parse the parameter `order`.

    Args:
        text: What was sent; None for nothing.
        default: The order that nothing means.

    Returns:
        The order.

    Raises:
        ApiError: 400 for anything else.
    """
    return default if text is None else cast("Order", choice("order", text, ORDER))


def flag(name: str, text: str | None, *, default: bool = False) -> bool:
    """Parse a parameter that is true or false.

    Args:
        name: Its name.
        text: What was sent; None for nothing.
        default: What nothing means.

    Returns:
        The value.

    Raises:
        ApiError: 400 for anything else.
    """
    # Generated clients of several languages write True and False.
    values = {None: default, "false": False, "true": True}
    value = values.get(text if text is None else text.lower())
    if value is None:
        raise invalid(f"Parameter '{name}' must be one of: true, false.")
    return value


def decode_bookmark(call: Call, listing: str, in_order: Order) -> int | None:
    """Return the number that the requested page continues after.

    Args:
        call: The call, whose query may hold a bookmark.
        listing: What is listed.
        in_order: In which order.

    Returns:
        The number in the bookmark; None without a bookmark.

    Raises:
        ApiError: 400 for a bookmark of another listing, or for anything that is not a bookmark.
    """
    bookmark = call.query().get("bookmark")
    if bookmark is None:
        return None
    bookmarks = call.backend.bookmarks
    after = bookmarks.decode(bookmark, listing, in_order)
    if after is None and call.backend.assumptions.foreign_bookmarks == "accept":
        opposite: Order = "DESCENDING" if in_order == "ASCENDING" else "ASCENDING"
        after = bookmarks.decode(bookmark, listing, opposite)
    if after is None:
        raise invalid("'bookmark' is not one of this account and this order.")
    return after


def _malformed_id(name: str, value: str) -> str:
    if value.isascii() and value.isdigit():
        return f"'{name}' value must be at most 18 characters long"
    return f"'{name}' value '{value[:_MAX_ECHO_LENGTH]}' must match the pattern: ^\\d+$"
