"""Models of the API: customer lists, uploads, audiences, accounts, pages and their enums."""

from __future__ import annotations

import enum
import json
from collections.abc import (
    Mapping,  # pyright: ignore[reportUnusedImport]
    Sequence,  # pyright: ignore[reportUnusedImport]
)
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Generic, Literal, Self, TypeAlias, TypeVar, cast

from attrs import AttrsInstance, define, field, fields, frozen

__all__ = [
    "CUSTOMER_LIST_ROLES",
    "JSON",
    "AdAccount",
    "AdAccountOwner",
    "Audience",
    "AudienceOperationType",
    "AudienceOperationTypeLike",
    "AudienceStatus",
    "AudienceType",
    "AudienceTypeLike",
    "CreatedUpload",
    "CustomerList",
    "CustomerListStatus",
    "CustomerListUpload",
    "CustomerSegment",
    "CustomerSegmentStatus",
    "ErrorCount",
    "IdentifierType",
    "IdentifierTypeLike",
    "Model",
    "OpenEnum",
    "OperationType",
    "OperationTypeLike",
    "Order",
    "OrderLike",
    "OwnershipType",
    "OwnershipTypeLike",
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
    "UserListTypeLike",
    "no_extra",
    "set_last_response",
]


T = TypeVar("T")
_MAX_SHOWN_ITEMS = 3
_MAX_SHOWN_CHARS = 100

JSON: TypeAlias = "Mapping[str, JSON] | Sequence[JSON] | str | int | float | bool | None"
"""Any JSON value, as Python's `json` reads it."""


class OpenEnum(enum.StrEnum):
    """A string enum that accepts unknown values.

    A new value of the API must not break an old client: an unknown string becomes a new member that
    compares, hashes, pickles and serializes as that string. Compare with ``==``, not
    ``is``, and give ``match`` a ``case _``.

    Example:
        >>> from pinterest_audiences import CustomerListStatus
        >>> CustomerListStatus("READY") is CustomerListStatus.READY
        True
        >>> CustomerListStatus("ARCHIVED") == "ARCHIVED"
        True
        >>> CustomerListStatus("ARCHIVED").is_known
        False
    """

    def __reduce_ex__(self, _protocol: object) -> tuple[type[Self], tuple[str]]:
        return type(self), (self.value,)

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = "UNKNOWN"
        member._value_ = value
        return member

    @property
    def is_known(self) -> bool:
        """Whether this version of the package knows the value."""
        return self._value_ in type(self)._value2member_map_


@frozen
class ResponseInfo:
    """What a successful response contained besides its data.

    Attributes:
        status: The HTTP status.
        request_id: Pinterest's ``x-pinterest-rid``, for its support.
        attempts: The number of requests that were sent or attempted for the call.
        headers: The headers, by case-insensitive names. Not in the ``repr``.
    """

    status: int
    request_id: str | None
    attempts: int
    headers: Mapping[str, str] = field(repr=False)


@frozen
class RawResponse(ResponseInfo):
    """The response of a request that no method of the clients makes.

    Attributes:
        data: The JSON of the body; ``None`` if the body is empty. Not in the ``repr``.
    """

    data: JSON = field(repr=False)


class Model:
    """The base of response models: conversion to JSON, a short ``repr``, and the response.

    Models are equal if all their fields but ``extra`` are.
    """

    __slots__ = ("_last_response",)

    if TYPE_CHECKING:  # no annotation at run time, where annotations are the fields of the API
        _last_response: ResponseInfo

    @property
    def last_response(self) -> ResponseInfo | None:
        """The response that this object was read from.

        ``None`` for objects inside of others, such as the items of a page, and for copies.

        Example:
            >>> from pinterest_audiences import Client
            >>> with Client.emulated() as client:
            ...     account = client.ad_accounts_get("549755885175")
            ...     print(account.last_response.status, account.last_response.attempts)
            200 1
        """
        response: ResponseInfo | None = getattr(self, "_last_response", None)
        return response

    def __repr__(self) -> str:
        values = (
            (field.name, getattr(self, field.name))
            for field in fields(cast("type[AttrsInstance]", type(self)))
            if field.repr
        )
        shown = [f"{name}={_short_repr(value)}" for name, value in values if value is not None]
        return f"{type(self).__name__}({', '.join(shown)})"

    def to_dict(self) -> dict[str, JSON]:
        """Return the model as JSON values, for a web framework, a log or a file.

        Times are ISO 8601 in UTC (``2026-07-09T08:30:00Z``), enums are their strings. Fields that
        this version of the package does not know, or whose value has an unexpected type, appear
        under their own names, as Pinterest sent them.

        Example:
            >>> from pinterest_audiences import CustomerList
            >>> CustomerList(id="4189755", name="Spring", extra={"color": "red"}).to_dict()["color"]
            'red'
        """
        known = {
            field.name: _to_json_value(getattr(self, field.name))
            for field in fields(cast("type[AttrsInstance]", type(self)))
            if field.name != "extra"
        }
        extra: Mapping[str, JSON] = getattr(self, "extra", {})
        return known | {name: _to_json_value(value) for name, value in extra.items()}

    def to_json(self) -> str:
        """Return the model as one line of JSON; as :meth:`to_dict`."""
        return json.dumps(self.to_dict(), separators=(",", ":"))


def _to_json_value(value: object) -> JSON:
    match value:
        case Model():
            return value.to_dict()
        case OpenEnum():
            return value.value
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case list():
            return [_to_json_value(item) for item in cast("list[object]", value)]
        case _:
            return cast("JSON", value)


def _short_repr(value: object) -> str:
    """Return the value as in the ``repr`` of a model, without most of what is long."""
    match value:
        case Model():
            return repr(value)
        case list():
            items = cast("list[object]", value)
            if len(items) > _MAX_SHOWN_ITEMS:
                return f"[{len(items)} items]"
            return f"[{', '.join(map(_short_repr, items))}]"
        case _:
            shown = repr(_to_json_value(value))
            cut = len(shown) > _MAX_SHOWN_CHARS
            return f"{shown[:_MAX_SHOWN_CHARS]}..." if cut else shown


def set_last_response(model: object, response: ResponseInfo) -> None:
    """Set the `last_response` of a model; other objects have none."""
    if isinstance(model, Model):
        object.__setattr__(model, "_last_response", response)  # which its users cannot set


class Order(OpenEnum):
    """The order of a listing, by id; a higher id is newer."""

    ASCENDING = "ASCENDING"
    DESCENDING = "DESCENDING"


OrderLike: TypeAlias = Order | Literal["ASCENDING", "DESCENDING"]


@define(repr=False)
class Page(Model, Generic[T]):
    """One page of a listing.

    Attributes:
        items: The items of the page, in the order of the response.
        bookmark: The bookmark of the next page; ``None`` on the last page.
        request_bookmark: The bookmark of this page; ``None`` on the first page.
    """

    items: list[T]
    bookmark: str | None = None
    request_bookmark: str | None = None


def no_extra() -> dict[str, JSON]:
    """Return an empty ``extra``."""
    return {}


class CustomerListStatus(OpenEnum):
    """The status of a customer list.

    ``TOO_SMALL`` means that fewer than 100 Pinterest accounts matched.
    """

    PROCESSING = "PROCESSING"
    READY = "READY"
    TOO_SMALL = "TOO_SMALL"
    UPLOADING = "UPLOADING"


class UserListType(OpenEnum):
    """The type of the records of a list. Set at creation; the API does not return it."""

    EMAIL = "EMAIL"
    IDFA = "IDFA"
    MAID = "MAID"
    LR_ID = "LR_ID"
    DLX_ID = "DLX_ID"
    HASHED_PINNER_ID = "HASHED_PINNER_ID"


UserListTypeLike: TypeAlias = (
    UserListType | Literal["EMAIL", "IDFA", "MAID", "LR_ID", "DLX_ID", "HASHED_PINNER_ID"]
)


class OperationType(OpenEnum):
    """The effect of an update on its records."""

    ADD = "ADD"
    REMOVE = "REMOVE"


OperationTypeLike: TypeAlias = OperationType | Literal["ADD", "REMOVE"]


@define(repr=False)
class CustomerList(Model):
    """A customer list.

    The counters count records that were sent, not members: adding a record twice counts twice, and
    removing one that is not a member counts too. The API does not return the members.

    Attributes:
        id: The list's id, a string of digits.
        ad_account_id: The ad account it belongs to.
        name: Its name; not unique.
        type: Always ``customerlist``.
        status: Its status; unknown values are allowed.
        created_time: When it was created (aware, UTC).
        updated_time: When it was last changed (aware, UTC).
        num_batches: The number of creations and updates.
        num_uploaded_user_records: Records sent to it, including duplicates.
        num_removed_user_records: Records sent for removal, members or not.
        is_nca: Whether it is for new customer acquisition (5.28).
        exceptions: Pinterest's list of errors, unchanged. Not in the ``repr``, because it may quote
            records.
        extra: Fields that this version of the package does not know.
    """

    id: str
    ad_account_id: str | None = None
    name: str | None = None
    type: str | None = None
    status: CustomerListStatus | None = None
    created_time: datetime | None = None
    updated_time: datetime | None = None
    num_batches: int | None = None
    num_uploaded_user_records: int | None = None
    num_removed_user_records: int | None = None
    is_nca: bool | None = None
    exceptions: JSON = field(default=None, repr=False)
    extra: Mapping[str, JSON] = field(factory=no_extra, repr=False, eq=False)


class IdentifierType(OpenEnum):
    """The identifier that the records of a list are made from."""

    EMAIL = "email"
    MAID = "maid"
    IDFA = "idfa"
    HASHED_PINNER_ID = "hashed_pinner_id"
    LR_ID = "lr_id"
    DLX_ID = "dlx_id"


IdentifierTypeLike: TypeAlias = (
    IdentifierType | Literal["email", "maid", "idfa", "hashed_pinner_id", "lr_id", "dlx_id"]
)


@frozen(kw_only=True)
class RecordRow:
    """One customer with all known identifiers: a row of ``records_v2`` (5.28).

    At least one column is required. The values are sent unchanged, so hash those of hashed columns
    first. The ``repr`` shows the names of the columns that are set, never their values.

    Attributes:
        email: In lower case, or hashed (SHA-256, SHA-1 or MD5).
        maid: Mobile advertising id, plain or hashed (SHA-256, SHA-1 or MD5).
        hashed_phone_number: Hashed (SHA-256, SHA-1 or MD5).
        hashed_pinner_id: Hashed (SHA-256, SHA-1 or MD5).
        external_id: Your id of the customer; not hashed.
        ip_address: Not hashed.
        user_agent: Not hashed.
        liveramp_envelope: A LiveRamp envelope in Base64; not hashed.
    """

    email: str | None = None
    maid: str | None = None
    hashed_phone_number: str | None = None
    hashed_pinner_id: str | None = None
    external_id: str | None = None
    ip_address: str | None = None
    user_agent: str | None = None
    liveramp_envelope: str | None = None

    def __repr__(self) -> str:
        columns = (column.name for column in fields(type(self)))
        return f"RecordRow({', '.join(c for c in columns if getattr(self, c) is not None)})"


class UploadState(OpenEnum):
    """The state of an upload; ``SUCCEEDED`` and ``FAILED`` are terminal."""

    NOT_STARTED = "NOT_STARTED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


@define(repr=False)
class RecordCounts(Model):
    """The counts of the records of an upload.

    Attributes:
        processed: Records that were processed so far.
        valid: Accepted records.
        invalid: Rejected records.
        extra: Fields that this version of the package does not know.
    """

    processed: int | None = None
    valid: int | None = None
    invalid: int | None = None
    extra: Mapping[str, JSON] = field(factory=no_extra, repr=False, eq=False)


@define(repr=False)
class ErrorCount(Model):
    """The number of records of an upload that were rejected for one reason.

    Attributes:
        error_code: Pinterest's code of the reason.
        message: The reason. Not in the ``repr``, because it may quote records.
        count: The number of records.
        extra: Fields that this version of the package does not know.
    """

    error_code: int | None = None
    message: str | None = field(default=None, repr=False)
    count: int | None = None
    extra: Mapping[str, JSON] = field(factory=no_extra, repr=False, eq=False)


@define(repr=False)
class CustomerListUpload(Model):
    """A multipart upload of a file.

    It is the only resource of the API that reports rejected records.

    Attributes:
        id: The upload's id, a string of digits.
        customer_list_id: The list that it changes.
        ad_account_id: The ad account of the list.
        operation: Whether its records are added or removed.
        state: Its state; unknown values are allowed.
        creation_time: When it was created (aware, UTC); lists have ``created_time``.
        updated_time: When it was last changed (aware, UTC).
        record_counts: The counts of its records; ``None`` if not yet available.
        error_counts: Why records were rejected; ``None`` if not yet available.
        extra: Fields that this version of the package does not know.
    """

    id: str
    customer_list_id: str | None = None
    ad_account_id: str | None = None
    operation: OperationType | None = None
    state: UploadState | None = None
    creation_time: datetime | None = None
    updated_time: datetime | None = None
    record_counts: RecordCounts | None = None
    error_counts: list[ErrorCount] | None = None
    extra: Mapping[str, JSON] = field(factory=no_extra, repr=False, eq=False)


@define(repr=False)
class S3FilePart(Model):
    """The destination of one part of a file.

    Attributes:
        part_number: The number of the part, counted from 1.
        presigned_url: The URL to PUT it to. A secret, because it grants write access. Not in the
            ``repr``.
        extra: Fields that this version of the package does not know.
    """

    part_number: int
    presigned_url: str = field(repr=False)
    extra: Mapping[str, JSON] = field(factory=no_extra, repr=False, eq=False)


@define(repr=False)
class S3MultipartUploadData(Model):
    """The destinations of the parts of a file.

    Attributes:
        file_parts: One for each part, in the order of the response.
        extra: Fields that this version of the package does not know.
    """

    file_parts: list[S3FilePart]
    extra: Mapping[str, JSON] = field(factory=no_extra, repr=False, eq=False)


@define(repr=False)
class CreatedUpload(Model):
    """A new upload with the presigned URLs for its parts.

    Attributes:
        customer_list_upload: The upload.
        s3_multipart_upload_data: The destinations of its parts. Pinterest returns them only once.
        extra: Fields that this version of the package does not know.
    """

    customer_list_upload: CustomerListUpload
    s3_multipart_upload_data: S3MultipartUploadData
    extra: Mapping[str, JSON] = field(factory=no_extra, repr=False, eq=False)


class AudienceType(OpenEnum):
    """The source of an audience."""

    CUSTOMER_LIST = "CUSTOMER_LIST"
    VISITOR = "VISITOR"
    ENGAGEMENT = "ENGAGEMENT"
    ACTALIKE = "ACTALIKE"
    PERSONA = "PERSONA"


AudienceTypeLike: TypeAlias = (
    AudienceType | Literal["CUSTOMER_LIST", "VISITOR", "ENGAGEMENT", "ACTALIKE", "PERSONA"]
)


class AudienceStatus(OpenEnum):
    """The status of an audience; only the first three are documented before 5.28.

    ``TOO_SMALL`` means that it has fewer than 100 Pinterest accounts.
    """

    INITIALIZING = "INITIALIZING"
    READY = "READY"
    TOO_SMALL = "TOO_SMALL"
    ELIGIBLE = "ELIGIBLE"
    PERSONAS_INELIGIBLE_SIZE = "PERSONAS_INELIGIBLE_SIZE"
    PERSONAS_INITIALIZING = "PERSONAS_INITIALIZING"


class OwnershipType(OpenEnum):
    """Which audiences are listed: those of the ad account, or those shared with it."""

    OWNED = "OWNED"
    RECEIVED = "RECEIVED"


OwnershipTypeLike: TypeAlias = OwnershipType | Literal["OWNED", "RECEIVED"]


class AudienceOperationType(OpenEnum):
    """The effect of an update on an audience."""

    UPDATE = "UPDATE"
    REMOVE = "REMOVE"


AudienceOperationTypeLike: TypeAlias = AudienceOperationType | Literal["UPDATE", "REMOVE"]


@define(repr=False)
class Audience(Model):
    """An audience.

    Attributes:
        id: The audience's id, a string of digits.
        ad_account_id: The ad account it belongs to.
        name: Its name.
        description: Its description.
        type: Always ``audience``.
        audience_type: Its source; unknown values are allowed.
        rule: Its definition, unchanged; of a customer list ``{"customer_list_id": ...}``.
        size: The number of people in it, if known.
        status: Its status; unknown values are allowed.
        created_timestamp: When it was created (aware, UTC). Customer lists have
            ``created_time``.
        updated_timestamp: When it was last changed (aware, UTC).
        created_by_company_name: The company that created it.
        is_nca: Whether it is for new customer acquisition (5.28).
        extra: Fields that this version of the package does not know.
    """

    id: str
    ad_account_id: str | None = None
    name: str | None = None
    description: str | None = None
    type: str | None = None
    audience_type: AudienceType | None = None
    rule: Mapping[str, JSON] | None = None
    size: int | None = None
    status: AudienceStatus | None = None
    created_timestamp: datetime | None = None
    updated_timestamp: datetime | None = None
    created_by_company_name: str | None = None
    is_nca: bool | None = None
    extra: Mapping[str, JSON] = field(factory=no_extra, repr=False, eq=False)


class CustomerSegmentStatus(OpenEnum):
    """The status of a customer segment (5.28)."""

    ACTIVE = "ACTIVE"
    DELETED = "DELETED"


@define(repr=False)
class CustomerSegment(Model):
    """A customer segment: the existing customers of an ad account, made up of audiences (5.28).

    Attributes:
        id: The segment's id, a string of digits.
        ad_account_id: The ad account it belongs to.
        name: Its name; not unique.
        audience_ids: The ids of its audiences.
        status: Its status; unknown values are allowed.
        created_time: When it was created (aware, UTC).
        updated_time: When it was last changed (aware, UTC).
        extra: Fields that this version of the package does not know.
    """

    id: str
    ad_account_id: str | None = None
    name: str | None = None
    audience_ids: list[str] | None = None
    status: CustomerSegmentStatus | None = None
    created_time: datetime | None = None
    updated_time: datetime | None = None
    extra: Mapping[str, JSON] = field(factory=no_extra, repr=False, eq=False)


class UserAccountType(OpenEnum):
    """The type of a user account."""

    PINNER = "PINNER"
    BUSINESS = "BUSINESS"


@define(repr=False)
class UserAccount(Model):
    """The account of an access token.

    Attributes:
        id: The account's id, a string of digits.
        username: Its name at Pinterest.
        account_type: Its type; unknown values are allowed.
        business_name: The name of the business, if it is one.
        extra: All other fields, such as counts of boards and pins.
    """

    id: str | None = None
    username: str | None = None
    account_type: UserAccountType | None = None
    business_name: str | None = None
    extra: Mapping[str, JSON] = field(factory=no_extra, repr=False, eq=False)


CUSTOMER_LIST_ROLES = ("OWNER", "ADMIN", "AUDIENCE_MANAGER")
"""The roles on an ad account that allow customer lists: each of them is enough.

Pinterest's page about Business Access says that Admin and Audience create and edit audiences; that
customer lists need the same roles is reported by third parties.
"""


@define(repr=False)
class AdAccountOwner(Model):
    """The owner of an ad account.

    Attributes:
        id: The id of the owner's user account, a string of digits.
        username: The name of the owner at Pinterest.
        extra: Fields that this version of the package does not know.
    """

    id: str | None = None
    username: str | None = None
    extra: Mapping[str, JSON] = field(factory=no_extra, repr=False, eq=False)


@define(repr=False)
class AdAccount(Model):
    """An ad account.

    Attributes:
        id: The id of the ad account, a string of digits.
        name: Its name.
        owner: The user account that owns it.
        country: Its country (ISO 3166-1 alpha-2).
        currency: Its currency (ISO 4217).
        permissions: The roles of the token's user on it, such as ``OWNER``.
        created_time: When it was created (aware, UTC).
        updated_time: When it was last changed (aware, UTC).
        time_zone: Its time zone, if Pinterest returns it.
        extra: Fields that this version of the package does not know.
    """

    id: str
    name: str | None = None
    owner: AdAccountOwner | None = None
    country: str | None = None
    currency: str | None = None
    permissions: list[str] | None = None
    created_time: datetime | None = None
    updated_time: datetime | None = None
    time_zone: str | None = None
    extra: Mapping[str, JSON] = field(factory=no_extra, repr=False, eq=False)

    @property
    def allows_customer_lists(self) -> bool | None:
        """Whether a role of the token's user allows customer lists.

        ``OWNER``, ``ADMIN`` and ``AUDIENCE_MANAGER`` do. ``None`` if Pinterest returned no roles.

        Example:
            >>> from pinterest_audiences import AdAccount
            >>> AdAccount(id="549", permissions=["ANALYST"]).allows_customer_lists
            False
        """
        if self.permissions is None:
            return None
        return any(role in CUSTOMER_LIST_ROLES for role in self.permissions)
