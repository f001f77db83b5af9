"""Customers in, a Pinterest audience out: an async-first client for Pinterest's customer lists.

Importing the package loads nothing else; each name is loaded when it is first touched (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from pinterest_audiences._version import __version__

if TYPE_CHECKING:
    from pinterest_audiences._wire.clock import Clock
    from pinterest_audiences.auth.credentials import (
        AppCredentials,
        GrantType,
        OAuthToken,
        TokenSet,
        TokenTypeHint,
    )
    from pinterest_audiences.auth.environment import (
        token_from_environment,
    )
    from pinterest_audiences.auth.files import (
        FileTokenStore,
    )
    from pinterest_audiences.auth.keyring import (
        KeyringTokenStore,
    )
    from pinterest_audiences.auth.login import (
        authorization_url,
        login,
        read_redirect,
    )
    from pinterest_audiences.auth.refreshing import (
        RefreshingToken,
    )
    from pinterest_audiences.auth.stores import (
        LockedTokens,
        MemoryTokenStore,
        TokenStore,
    )
    from pinterest_audiences.auth.tokens import (
        CallableToken,
        NoToken,
        StaticToken,
        Token,
        TokenSource,
    )
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
        LoginError,
        NotFoundError,
        PaginationError,
        PermissionDeniedError,
        PinterestAudiencesError,
        RateLimitError,
        RecordError,
        RequestTimeoutError,
        ServerError,
        SourceError,
        TokenRefreshError,
        TokenStoreError,
        TooManyRejectsError,
        TransportError,
        WrongEventLoopError,
    )
    from pinterest_audiences.jobs.errors import (
        GuardError,
        JobInterruptedError,
        ListBusyError,
        PlanError,
        StateError,
        WaitTimeoutError,
    )
    from pinterest_audiences.jobs.events import JobEvent, JobEventKind
    from pinterest_audiences.jobs.plan import Plan
    from pinterest_audiences.jobs.report import ForgetReceipt, ForgottenIn, JobReport, ListStatus
    from pinterest_audiences.models import (
        JSON,
        Audience,
        AudienceOperationType,
        AudienceStatus,
        AudienceType,
        CreatedUpload,
        CustomerList,
        CustomerListStatus,
        CustomerListUpload,
        ErrorCount,
        OpenEnum,
        OperationType,
        Order,
        OwnershipType,
        Page,
        RecordCounts,
        RecordRow,
        S3FilePart,
        S3MultipartUploadData,
        UploadState,
        UserAccount,
        UserAccountType,
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
    from pinterest_audiences.records.batches import Batch, Batches, make_batches
    from pinterest_audiences.records.forecast import Forecast, forecast
    from pinterest_audiences.records.hashing import HashAlgorithm
    from pinterest_audiences.records.identifiers import IdentifierKind
    from pinterest_audiences.records.prepare import Preparation, prepare, prepare_rows
    from pinterest_audiences.records.reasons import RejectReason
    from pinterest_audiences.records.report import Finding, FindingKind, PreparationReport
    from pinterest_audiences.records.sources import Source, open_source
    from pinterest_audiences.upload_errors import (
        UploadError,
        UploadsUnavailableError,
        UploadTimeoutError,
    )

__all__ = [
    "JSON",
    "APIError",
    "AppCredentials",
    "AsyncClient",
    "AsyncItems",
    "AsyncPager",
    "AsyncPages",
    "Audience",
    "AudienceOperationType",
    "AudienceStatus",
    "AudienceType",
    "AuthenticationError",
    "BadRequestError",
    "Batch",
    "Batches",
    "CallError",
    "CallableToken",
    "Client",
    "ClientClosedError",
    "Clock",
    "ConfigurationError",
    "ConflictError",
    "CreatedUpload",
    "CustomerList",
    "CustomerListStatus",
    "CustomerListUpload",
    "DecodeError",
    "ErrorCount",
    "FileTokenStore",
    "Finding",
    "FindingKind",
    "Forecast",
    "ForgetReceipt",
    "ForgottenIn",
    "GrantType",
    "GuardError",
    "HashAlgorithm",
    "IdentifierKind",
    "Items",
    "JobEvent",
    "JobEventKind",
    "JobInterruptedError",
    "JobReport",
    "KeyringTokenStore",
    "ListBusyError",
    "ListStatus",
    "LockedTokens",
    "LoginError",
    "MemoryTokenStore",
    "NoToken",
    "NotFoundError",
    "OAuthToken",
    "OpenEnum",
    "OperationType",
    "Order",
    "OwnershipType",
    "Page",
    "Pager",
    "Pages",
    "PaginationError",
    "PermissionDeniedError",
    "PinterestAudiencesError",
    "Plan",
    "PlanError",
    "Preparation",
    "PreparationReport",
    "RateLimitError",
    "RecordCounts",
    "RecordError",
    "RecordRow",
    "RefreshingToken",
    "RejectReason",
    "RequestTimeoutError",
    "S3FilePart",
    "S3MultipartUploadData",
    "ServerError",
    "Source",
    "SourceError",
    "StateError",
    "StaticToken",
    "Token",
    "TokenRefreshError",
    "TokenSet",
    "TokenSource",
    "TokenStore",
    "TokenStoreError",
    "TokenTypeHint",
    "TooManyRejectsError",
    "TransportError",
    "UploadError",
    "UploadState",
    "UploadTimeoutError",
    "UploadsUnavailableError",
    "UserAccount",
    "UserAccountType",
    "UserListType",
    "WaitTimeoutError",
    "WrongEventLoopError",
    "__version__",
    "authorization_url",
    "forecast",
    "login",
    "make_batches",
    "open_source",
    "prepare",
    "prepare_rows",
    "read_redirect",
    "token_from_environment",
]

_HOMES = {
    "_wire.clock": ("Clock",),
    "auth.credentials": ("AppCredentials", "GrantType", "OAuthToken", "TokenSet", "TokenTypeHint"),
    "auth.environment": ("token_from_environment",),
    "auth.files": ("FileTokenStore",),
    "auth.keyring": ("KeyringTokenStore",),
    "auth.login": ("authorization_url", "login", "read_redirect"),
    "auth.refreshing": ("RefreshingToken",),
    "auth.stores": ("LockedTokens", "MemoryTokenStore", "TokenStore"),
    "auth.tokens": ("CallableToken", "NoToken", "StaticToken", "Token", "TokenSource"),
    "blocking": ("Client",),
    "client": ("AsyncClient",),
    "jobs.errors": (
        "GuardError",
        "JobInterruptedError",
        "ListBusyError",
        "PlanError",
        "StateError",
        "WaitTimeoutError",
    ),
    "jobs.events": ("JobEvent", "JobEventKind"),
    "jobs.plan": ("Plan",),
    "jobs.report": ("ForgetReceipt", "ForgottenIn", "JobReport", "ListStatus"),
    "models": (
        "JSON",
        "Audience",
        "AudienceOperationType",
        "AudienceStatus",
        "AudienceType",
        "CreatedUpload",
        "CustomerList",
        "CustomerListStatus",
        "CustomerListUpload",
        "ErrorCount",
        "OpenEnum",
        "OperationType",
        "Order",
        "OwnershipType",
        "Page",
        "RecordCounts",
        "RecordRow",
        "S3FilePart",
        "S3MultipartUploadData",
        "UploadState",
        "UserAccount",
        "UserAccountType",
        "UserListType",
    ),
    "pagination": ("AsyncItems", "AsyncPager", "AsyncPages", "Items", "Pager", "Pages"),
    "records.batches": ("Batch", "Batches", "make_batches"),
    "records.forecast": ("Forecast", "forecast"),
    "records.hashing": ("HashAlgorithm",),
    "records.identifiers": ("IdentifierKind",),
    "records.prepare": ("Preparation", "prepare", "prepare_rows"),
    "records.reasons": ("RejectReason",),
    "records.report": ("Finding", "FindingKind", "PreparationReport"),
    "records.sources": ("Source", "open_source"),
    "upload_errors": ("UploadError", "UploadTimeoutError", "UploadsUnavailableError"),
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
