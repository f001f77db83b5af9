"""Query strings of the listings."""

from __future__ import annotations

from pinterest_audiences._wire import settings
from pinterest_audiences._wire.bodies import known_value
from pinterest_audiences.errors import ConfigurationError
from pinterest_audiences.models import Order

__all__ = ["check_bookmark", "listing"]

_LARGEST_PAGE = 250  # "page_size: 1..250" of the API's description


def listing(
    *, page_size: int | None, order: Order | str | None, exclude_nca: bool | None
) -> dict[str, str]:
    """Make the query that the listings have in common; what is not given is left out.

    Raises:
        ConfigurationError: An argument is wrong.
    """
    query: dict[str, str] = {}
    if page_size is not None:
        size = settings.whole_number("page_size", page_size, 1, _LARGEST_PAGE)
        query["page_size"] = str(size)
    if order is not None:
        query["order"] = str(known_value("order", order, Order))
    if exclude_nca is not None:
        query["exclude_nca"] = "true" if settings.flag("exclude_nca", exclude_nca) else "false"
    return query


def check_bookmark(bookmark: object) -> None:
    """Refuse a bookmark that can be none.

    Raises:
        ConfigurationError: It is neither None nor a string with something in it.
    """
    if bookmark is not None and (not isinstance(bookmark, str) or not bookmark):
        raise ConfigurationError("bookmark: a string that is not empty is needed, or None")
