"""Async-first SDK for Pinterest customer lists and audiences, with a synchronous client.

Importing the package loads nothing else: each public name is loaded from its module when it is
first used (PEP 562). Type checkers read `__init__.pyi`, which ``scripts/generate_stub.py``
generates from the table below.
"""

from __future__ import annotations

from importlib import import_module

from pinterest_audiences._version import __version__ as __version__

_PUBLIC_NAMES = {
    "_account_client": ("AccountClient", "AsyncAccountClient"),
    "_auth.environment": ("token_from_environment",),
    "_auth.login": ("authorization_url", "login", "parse_redirect"),
    "_auth.refresh": ("RefreshingToken",),
    "_auth.stores": (
        "FileTokenStore",
        "KeyringTokenStore",
        "TokenTransaction",
        "MemoryTokenStore",
        "TokenStore",
    ),
    "_client": ("AsyncClient",),
    "_config": ("Clock",),
    "_credentials": (
        "AppCredentials",
        "CallableToken",
        "GrantType",
        "NoAuth",
        "OAuthToken",
        "StaticToken",
        "Token",
        "TokenSet",
        "TokenSource",
        "TokenTypeHint",
    ),
    "_errors": (
        "APIError",
        "AuthenticationError",
        "BadRequestError",
        "CallError",
        "ClientClosedError",
        "ConfigurationError",
        "ConflictError",
        "DecodeError",
        "LoginError",
        "NotFoundError",
        "PaginationError",
        "PermissionDeniedError",
        "PinterestAudiencesError",
        "RateLimitError",
        "RecordError",
        "RequestTimeoutError",
        "ResponseTooLargeError",
        "ServerError",
        "SourceError",
        "TokenRefreshError",
        "TokenStoreError",
        "TooManyRejectsError",
        "TransportError",
        "UploadError",
        "UploadTimeoutError",
        "UploadsUnavailableError",
        "WrongEventLoopError",
    ),
    "_hashing_sql": ("HashedKind", "SQLDialect", "hashing_self_test_sql", "hashing_sql"),
    "_http.events": (
        "CallEvent",
        "FailureEvent",
        "OnCallEvent",
        "RequestEvent",
        "ResponseEvent",
        "WaitEvent",
    ),
    "_http.telemetry": ("OpenTelemetryHook",),
    "_jobs.job_errors": (
        "AudienceError",
        "GuardError",
        "JobInterruptedError",
        "JobNotFoundError",
        "JobsFailedError",
        "JobsInterruptedError",
        "ListBusyError",
        "PlanError",
        "StateError",
        "WaitTimeoutError",
    ),
    "_jobs.plan": ("Plan",),
    "_jobs.reports": (
        "ErasureReport",
        "ListErasure",
        "JobEvent",
        "JobEventType",
        "JobReport",
        "ListStatus",
        "RunReport",
    ),
    "_live_check.verification": ("ProbeResult", "VerificationReport"),
    "_models": (
        "AdAccount",
        "AdAccountOwner",
        "Audience",
        "AudienceOperationType",
        "AudienceStatus",
        "AudienceType",
        "CreatedUpload",
        "CustomerList",
        "CustomerListStatus",
        "CustomerListUpload",
        "CustomerSegment",
        "CustomerSegmentStatus",
        "ErrorCount",
        "IdentifierType",
        "JSON",
        "OpenEnum",
        "OperationType",
        "Order",
        "OwnershipType",
        "Page",
        "RawResponse",
        "RecordCounts",
        "RecordRow",
        "ResponseInfo",
        "S3FilePart",
        "S3MultipartUploadData",
        "UploadState",
        "UserAccount",
        "UserAccountType",
        "UserListType",
    ),
    "_pagination": ("AsyncItems", "AsyncPager", "AsyncPages", "Items", "Pager", "Pages"),
    "_records.batches": ("Batch", "Batches", "make_batches"),
    "_records.chunks": ("RejectReason",),
    "_records.databases": ("sql_source",),
    "_records.identifiers": ("HashAlgorithm",),
    "_records.prepare": ("PreparedRecords", "ReadProgress", "prepare", "prepare_rows"),
    "_records.report": (
        "DataWarning",
        "DataWarningType",
        "MatchEstimate",
        "PreparationReport",
        "estimate_matches",
    ),
    "_records.samples": ("MaskedSample",),
    "_records.sources": ("Source", "SourceLike", "file_source", "open_source"),
    "_sync_client": ("Client",),
}
_MODULES = {name: module for module, names in _PUBLIC_NAMES.items() for name in names}

# Constants, classes and functions, each sorted.
__all__ = [  # noqa: PLE0604  # pyright: ignore[reportUnsupportedDunderAll] - the stub lists them
    *sorted(
        (*_MODULES, "__version__"),
        key=lambda name: (not name.isupper(), not name[0].isupper(), name),
    )
]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
