"""The nouns of the API: customer lists, uploads, audiences, pages, and the enums they use.

Every model tolerates what it does not know: an unknown enum value is kept as itself, an unknown
field is kept in ``extra``, and a field that an older or newer version of the API leaves out is
``None``. Source: Pinterest's API description, 5.23 and 5.28.
"""

from __future__ import annotations

from pinterest_audiences.models.accounts import UserAccount, UserAccountType
from pinterest_audiences.models.audiences import (
    Audience,
    AudienceOperationType,
    AudienceStatus,
    AudienceType,
    OwnershipType,
)
from pinterest_audiences.models.base import JSON, OpenEnum, Order, Page
from pinterest_audiences.models.customer_lists import (
    CustomerList,
    CustomerListStatus,
    OperationType,
    RecordRow,
    UserListType,
)
from pinterest_audiences.models.uploads import (
    CreatedUpload,
    CustomerListUpload,
    ErrorCount,
    RecordCounts,
    S3FilePart,
    S3MultipartUploadData,
    UploadState,
)

__all__ = [
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
]
