"""Customers in, a Pinterest audience out: an async-first client for Pinterest's customer lists.

Importing the package loads nothing else; each name is loaded when it is first touched (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from pinterest_audiences._version import __version__

if TYPE_CHECKING:
    from pinterest_audiences._wire.clock import Clock
    from pinterest_audiences.auth import CallableToken, StaticToken, Token, TokenSource
    from pinterest_audiences.blocking import Client
    from pinterest_audiences.client import AsyncClient
    from pinterest_audiences.errors import (
        APIError,
        AuthenticationError,
        BadRequestError,
        CallError,
        ClientClosedError,
        ConfigurationError,
        ConflictError,
        DecodeError,
        NotFoundError,
        PaginationError,
        PermissionDeniedError,
        PinterestAudiencesError,
        RateLimitError,
        RecordError,
        RequestTimeoutError,
        ServerError,
        TokenRefreshError,
        TransportError,
        WrongEventLoopError,
    )
    from pinterest_audiences.models import (
        JSON,
        CustomerList,
        CustomerListStatus,
        OpenEnum,
        OperationType,
        Order,
        Page,
        RecordRow,
        UserListType,
    )
    from pinterest_audiences.pagination import (
        AsyncItems,
        AsyncPager,
        AsyncPages,
        Items,
        Pager,
        Pages,
    )

__all__ = [
    "JSON",
    "APIError",
    "AsyncClient",
    "AsyncItems",
    "AsyncPager",
    "AsyncPages",
    "AuthenticationError",
    "BadRequestError",
    "CallError",
    "CallableToken",
    "Client",
    "ClientClosedError",
    "Clock",
    "ConfigurationError",
    "ConflictError",
    "CustomerList",
    "CustomerListStatus",
    "DecodeError",
    "Items",
    "NotFoundError",
    "OpenEnum",
    "OperationType",
    "Order",
    "Page",
    "Pager",
    "Pages",
    "PaginationError",
    "PermissionDeniedError",
    "PinterestAudiencesError",
    "RateLimitError",
    "RecordError",
    "RecordRow",
    "RequestTimeoutError",
    "ServerError",
    "StaticToken",
    "Token",
    "TokenRefreshError",
    "TokenSource",
    "TransportError",
    "UserListType",
    "WrongEventLoopError",
    "__version__",
]

_HOMES = {
    "_wire.clock": ("Clock",),
    "auth": ("CallableToken", "StaticToken", "Token", "TokenSource"),
    "blocking": ("Client",),
    "client": ("AsyncClient",),
    "models": (
        "JSON",
        "CustomerList",
        "CustomerListStatus",
        "OpenEnum",
        "OperationType",
        "Order",
        "Page",
        "RecordRow",
        "UserListType",
    ),
    "pagination": ("AsyncItems", "AsyncPager", "AsyncPages", "Items", "Pager", "Pages"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOME_OF.get(name, "errors")
    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
