"""Uploads in parts: a file for a customer list, sent to storage and processed from there."""

from __future__ import annotations

# The text of JSON names Sequence, and is read where the model is defined.
from collections.abc import Mapping, Sequence  # noqa: F401  # pyright: ignore[reportUnusedImport]
from datetime import datetime

from attrs import define, field

from pinterest_audiences.models.base import JSON, OpenEnum, no_extra
from pinterest_audiences.models.customer_lists import OperationType

__all__ = [
    "CreatedUpload",
    "CustomerListUpload",
    "ErrorCount",
    "RecordCounts",
    "S3FilePart",
    "S3MultipartUploadData",
    "UploadState",
]


class UploadState(OpenEnum):
    """How far the processing of an upload is; ``SUCCEEDED`` and ``FAILED`` are its ends."""

    NOT_STARTED = "NOT_STARTED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


@define
class RecordCounts:
    """What became of the records of an upload.

    Attributes:
        processed: How many were read so far.
        valid: How many of them were taken.
        invalid: How many of them were not.
        extra: Fields that this version of the package does not know.
    """

    processed: int | None = None
    valid: int | None = None
    invalid: int | None = None
    extra: Mapping[str, JSON] = field(factory=no_extra, repr=False, eq=False)


@define
class ErrorCount:
    """How many records of an upload were rejected for one reason.

    Attributes:
        error_code: Pinterest's code of the reason.
        message: The reason in words. Not in the ``repr``: it may quote records.
        count: How many records.
        extra: Fields that this version of the package does not know.
    """

    error_code: int | None = None
    message: str | None = field(default=None, repr=False)
    count: int | None = None
    extra: Mapping[str, JSON] = field(factory=no_extra, repr=False, eq=False)


@define
class CustomerListUpload:
    """An upload of a file in parts, as Pinterest shows it.

    It is the only place where the API itself tells of records that it rejected.

    Attributes:
        id: The upload's id, a string of digits.
        customer_list_id: The list that it adds to or removes from.
        ad_account_id: The ad account of the list.
        operation: Whether its records are added or removed.
        state: How far its processing is; unknown states are kept as they come.
        creation_time: When it was created (aware, UTC); no ``created_time`` here.
        updated_time: When it was last changed (aware, UTC).
        record_counts: What became of its records; ``None`` until Pinterest tells.
        error_counts: Why records were rejected; ``None`` until Pinterest tells.
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


@define
class S3FilePart:
    """Where one part of a file goes.

    Attributes:
        part_number: Which part, counted from 1.
        presigned_url: Where to PUT it. A secret: whoever knows it may write there. Not in the
            ``repr``.
        extra: Fields that this version of the package does not know.
    """

    part_number: int
    presigned_url: str = field(repr=False)
    extra: Mapping[str, JSON] = field(factory=no_extra, repr=False, eq=False)


@define
class S3MultipartUploadData:
    """Where the parts of a file go.

    Attributes:
        file_parts: One for each part, in the order they came.
        extra: Fields that this version of the package does not know.
    """

    file_parts: list[S3FilePart]
    extra: Mapping[str, JSON] = field(factory=no_extra, repr=False, eq=False)


@define
class CreatedUpload:
    """An upload that was just created, with the addresses for its parts.

    Attributes:
        customer_list_upload: The upload.
        s3_multipart_upload_data: Where its parts go. Pinterest shows this only once.
        extra: Fields that this version of the package does not know.
    """

    customer_list_upload: CustomerListUpload
    s3_multipart_upload_data: S3MultipartUploadData
    extra: Mapping[str, JSON] = field(factory=no_extra, repr=False, eq=False)
