"""What an upload in parts means on its way: its addresses, its ends, and its errors. No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pinterest_audiences._wire.json_bodies import MOST_PARTS
from pinterest_audiences.errors import APIError, DecodeError
from pinterest_audiences.models import CreatedUpload, CustomerListUpload, S3FilePart, UploadState
from pinterest_audiences.upload_errors import (
    UploadError,
    UploadsUnavailableError,
    UploadTimeoutError,
)

if TYPE_CHECKING:
    from pinterest_audiences._wire.parts import CutFile, Part

__all__ = [
    "ENDS",
    "FIRST_GAP",
    "GROWTH",
    "LONGEST_GAP",
    "addresses",
    "failed",
    "matched",
    "no_access",
    "out_of_time",
    "unavailable",
]

ENDS = frozenset({UploadState.SUCCEEDED, UploadState.FAILED})
FIRST_GAP = 2.0  # seconds before an upload is first looked at
GROWTH = 1.5  # of each gap over the one before
LONGEST_GAP = 60.0

_OPERATION = "upload_file_in_parts"
# "Your token does not have sufficient permissions", "Your application does not have access to
# this restricted feature", "You are not permitted to access that resource".
_NO_ACCESS = {(401, 3), (401, 29), (403, 3), (403, 29), (403, None)}
_SHOWN_REASONS = 5


def addresses(upload: CreatedUpload) -> list[S3FilePart]:
    """Return where the parts go, in their order.

    Raises:
        DecodeError: They are not numbered from 1, or are not 1 to 10.
    """
    parts = sorted(upload.s3_multipart_upload_data.file_parts, key=lambda part: part.part_number)
    numbers = [part.part_number for part in parts]
    if numbers != list(range(1, len(parts) + 1)) or not 1 <= len(parts) <= MOST_PARTS:
        raise DecodeError(
            [f"the addresses are not those of parts 1 to {MOST_PARTS} at most @ $.file_parts"],
            operation="put_file_parts",
        )
    return parts


def matched(upload: CreatedUpload, file: CutFile) -> Iterator[tuple[str, Part]]:
    """Pair each part of a file with its address.

    Raises:
        DecodeError: There are not as many addresses as parts.
    """
    found = addresses(upload)
    if len(found) != len(file.parts):
        raise DecodeError(
            [f"{len(found)} addresses came for {len(file.parts)} parts @ $.file_parts"],
            operation="put_file_parts",
        )
    return zip((each.presigned_url for each in found), file.parts, strict=True)


def no_access(error: APIError) -> bool:
    """Tell whether a refusal is about uploads in parts as such: access or scope, not arguments."""
    return (error.status, error.code) in _NO_ACCESS


def unavailable(error: APIError) -> UploadsUnavailableError:
    """Say of such a refusal what can be done instead."""
    return UploadsUnavailableError(
        status=error.status,
        code=error.code,
        message=error.message,
        request_id=error.request_id,
        hint="uploads in parts are experimental and this app or token has no access to them;"
        " customer_lists_update sends the same records without it",
        operation=error.operation,
        method=error.method,
        path=error.path,
        attempts=error.attempts,
    )


def failed(upload: CustomerListUpload) -> UploadError:
    """Make the error of an upload that FAILED; its text holds counts and codes, no messages."""
    counts = upload.record_counts
    told = f"; {counts.invalid} of {counts.processed} records invalid" if counts else ""
    reasons = upload.error_counts or []
    codes = ", ".join(f"{each.error_code} x {each.count}" for each in reasons[:_SHOWN_REASONS])
    more = f"; error codes {codes}" if codes else ""
    return UploadError(
        f"{_OPERATION}: upload {upload.id} FAILED{told}{more}; see the error's upload",
        upload=upload,
        operation=_OPERATION,
        maybe_applied=True,
    )


def out_of_time(upload: CustomerListUpload, wait: float) -> UploadTimeoutError:
    """Make the error of an upload that is not at its end."""
    return UploadTimeoutError(
        f"{_OPERATION}: upload {upload.id} is {upload.state} after {wait:g} s;"
        " look after it with customer_list_uploads_get",
        upload=upload,
        operation=_OPERATION,
        maybe_applied=True,
    )
