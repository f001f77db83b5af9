"""All operations in one table, and how a request finds its own."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pinterest_audiences.emulator import (
    account_routes,
    audience_routes,
    list_routes,
    oauth_routes,
    upload_routes,
)
from pinterest_audiences.emulator.messages import Answer, ApiError
from pinterest_audiences.emulator.routing import IDENTIFIER, Call, Context, Route, split_path

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["IDENTIFIER", "ROUTES", "Call", "Context", "Route", "find_route"]

ROUTES = (
    *list_routes.ROUTES,
    *audience_routes.ROUTES,
    *upload_routes.ROUTES,
    *oauth_routes.ROUTES,
    *account_routes.ROUTES,
)


def find_route(method: str, path: str) -> tuple[Route, Mapping[str, str]]:
    """Find what a request asks for.

    Args:
        method: The request's method.
        path: Its path, percent-encoded.

    Returns:
        The route and the parameters in the path. For an unknown path, or a method that its path
        does not have, it is a route that refuses with 404 or with 405.
    """
    pieces = split_path(path)
    found = {
        route.method: (route, parameters)
        for route in ROUTES
        if (parameters := route.match(pieces)) is not None
    }
    if method in found:
        return found[method]
    answer = partial(_not_allowed, tuple(sorted(found))) if found else _not_found
    return Route(method, path, answer, category=None, auth="optional"), {}


def _not_found(_: Call) -> Answer:
    raise ApiError(404, 404, "Not found.")


def _not_allowed(methods: tuple[str, ...], _: Call) -> Answer:
    raise ApiError(405, 5, "Method not allowed", (("allow", ", ".join(methods)),))
