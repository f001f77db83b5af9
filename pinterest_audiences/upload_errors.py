"""What can go wrong with an upload in parts, beside what can go wrong with every call.

::

    CallError
    ├── UploadError                        the file did not become part of the list
    │   └── UploadTimeoutError (TimeoutError)  it is not known yet whether it will
    └── APIError
        └── UploadsUnavailableError        this app or token has no access to uploads in parts

None of them holds a record or an address of the storage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinterest_audiences.errors import APIError, CallError

if TYPE_CHECKING:
    from pinterest_audiences.models import CustomerListUpload

__all__ = ["UploadError", "UploadTimeoutError", "UploadsUnavailableError"]


class UploadError(CallError):
    """A file sent in parts did not become part of its list.

    Attributes:
        upload: The upload as Pinterest showed it last; its ``error_counts`` may tell why.
            ``None`` where a part could not even be stored.
        part_number: The part that the storage refused, counted from 1.
        status: The HTTP status that the storage refused it with.
    """

    def __init__(
        self,
        message: str,
        *,
        upload: CustomerListUpload | None = None,
        part_number: int | None = None,
        status: int | None = None,
        operation: str = "",
        method: str = "",
        path: str = "",
        attempts: int = 0,
        maybe_applied: bool = False,
    ) -> None:
        super().__init__(
            message,
            operation=operation,
            method=method,
            path=path,
            attempts=attempts,
            maybe_applied=maybe_applied,
        )
        self.upload = upload
        self.part_number = part_number
        self.status = status


class UploadTimeoutError(UploadError, TimeoutError):
    """Pinterest was still at work on an upload when the time to wait was over."""


class UploadsUnavailableError(APIError):
    """Pinterest does not let this app or token upload in parts; ``customer_lists_update`` does."""
