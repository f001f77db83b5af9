"""Multipart uploads into customer lists: their parts, states and results.

What is published: the states, the counts, 1 to 10 parts of at least 5 MB but for the last, which
must not be empty. The format of the file is not; here its records are separated by line breaks or
commas, and spaces around them are ignored. A run takes as long as the processing of a list; then
the list has its members, and is processed itself.
"""

from __future__ import annotations

import re
from hashlib import md5
from itertools import islice
from typing import TYPE_CHECKING, Literal

import attrs

from pinterest_audiences.emulator._customer_lists import (
    CustomerLists,
    CustomerListState,
    OperationType,
    record_validator,
)
from pinterest_audiences.emulator._paging import id_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pinterest_audiences.emulator._assumptions import Assumptions


UploadStatus = Literal["NOT_STARTED", "RUNNING", "SUCCEEDED", "FAILED"]

MAX_PENDING_BYTES = 500_000_000
"""The size of all parts that are waiting for a run; the limit protects the memory."""

_FIRST_ID = 2_542_622_000_000
_ID_STEP = 13

# The only error in the description, as an example.
_INVALID_CODE = 42
_INVALID_MESSAGE = "Invalid email"

_SEPARATORS = re.compile(rb"[\r\n,]+")
_CHUNK_BYTES = 1 << 20


@attrs.define(kw_only=True)
class UploadState:
    """One upload.

    Attributes:
        id: Its id; a newer upload has a higher one.
        ad_account_id: The account of its list.
        customer_list_id: The list that it changes.
        operation: Whether its records are added or removed.
        total_parts: Its number of parts.
        created_at: When it was created, in Unix seconds.
        run_at: When its run started; None until then.
        ends_at: When its run ends, or ended.
        status: Its state.
        parts: The received parts, by number; empty once it has ended.
        processed: How many records it had.
        invalid: How many of them were invalid.
    """

    id: int
    ad_account_id: str
    customer_list_id: str
    operation: OperationType
    total_parts: int
    created_at: float
    run_at: float | None = None
    ends_at: float = 0.0
    status: UploadStatus = "NOT_STARTED"
    parts: dict[int, bytes] = attrs.field(factory=dict[int, bytes], repr=False)
    processed: int | None = None
    invalid: int | None = None


class Uploads:
    """All uploads.

    Args:
        clock: Returns Unix seconds.
        customer_lists: The customer lists.
        processing_seconds: How long a run takes.
        assumptions: What is not published.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        customer_lists: CustomerLists,
        processing_seconds: float,
        assumptions: Assumptions,
    ) -> None:
        self._clock = clock
        self._customer_lists = customer_lists
        self._processing_seconds = processing_seconds
        self._assumptions = assumptions
        self._uploads: dict[int, UploadState] = {}
        self._running: list[UploadState] = []
        self._pending = 0

    def __len__(self) -> int:
        return len(self._uploads)

    def create(
        self, customer_list: CustomerListState, operation: OperationType, total_parts: int
    ) -> UploadState:
        """Create an upload without parts.

        Args:
            customer_list: The list that it will change.
            operation: Whether its records are added or removed.
            total_parts: Its number of parts.

        Returns:
            The new upload.
        """
        upload = UploadState(
            id=_FIRST_ID + _ID_STEP * len(self._uploads),
            ad_account_id=customer_list.ad_account_id,
            customer_list_id=str(customer_list.id),
            operation=operation,
            total_parts=total_parts,
            created_at=self._clock(),
        )
        self._uploads[upload.id] = upload
        return upload

    def find(self, upload_id: str) -> UploadState | None:
        """Return an upload of any list.

        Args:
            upload_id: The id to look for.

        Returns:
            The upload, or None when there is none with that id.
        """
        key = id_number(upload_id)
        return None if key is None else self._uploads.get(key)

    def put(self, upload: UploadState, number: int, content: bytes) -> str | None:
        """Store a part, or replace it.

        Args:
            upload: The upload, which must not have been run.
            number: The number of the part.
            content: All its bytes.

        Returns:
            Its ETag, as S3 computes it; None when too much is waiting.
        """
        pending = self._pending + len(content) - len(upload.parts.get(number, b""))
        if pending > MAX_PENDING_BYTES:
            return None
        upload.parts[number] = content
        self._pending = pending
        return md5(content, usedforsecurity=False).hexdigest()

    def problem_of(self, upload: UploadState) -> str | None:
        """Return why the parts of an upload are not a complete file.

        Args:
            upload: The upload.

        Returns:
            The problem; None when they are.
        """
        minimum = self._assumptions.smallest_part_bytes
        for number in range(1, upload.total_parts + 1):
            size = len(upload.parts.get(number, b""))
            if number not in upload.parts:
                return f"Part {number} has not been uploaded."
            if size == 0:
                return f"Part {number} is empty."
            if number < upload.total_parts and size < minimum:
                return f"Part {number} is smaller than {minimum:,} bytes."
        return None

    def run(self, upload: UploadState) -> None:
        """Start the run of an upload; its list is UPLOADING until it ends.

        Args:
            upload: The upload, which must not have been run.
        """
        now = self._clock()
        upload.run_at, upload.status = now, "RUNNING"
        upload.ends_at = now + self._processing_seconds
        self._running.append(upload)
        customer_list = self._customer_lists.find(upload.customer_list_id)
        if customer_list is not None:
            customer_list.uploading_until = max(customer_list.uploading_until, upload.ends_at)
        self.process_due()

    def process_due(self) -> None:
        """Finish every upload whose run has ended."""
        if not self._running:
            return
        now = self._clock()
        ended = [upload for upload in self._running if upload.ends_at <= now]
        for upload in sorted(ended, key=lambda upload: (upload.ends_at, upload.id)):
            self._running.remove(upload)
            self._finish(upload)

    def show(self, upload: UploadState) -> dict[str, object]:
        """Return an upload as the API shows it.

        Args:
            upload: The upload to show.

        Returns:
            The fields of a CustomerListUpload, ready for JSON.
        """
        if upload.status in ("SUCCEEDED", "FAILED"):
            updated_at = upload.ends_at
        else:
            updated_at = upload.created_at if upload.run_at is None else upload.run_at
        return {
            "ad_account_id": upload.ad_account_id,
            "creation_time": int(upload.created_at),
            "customer_list_id": upload.customer_list_id,
            "error_counts": _error_counts(upload.invalid),
            "id": str(upload.id),
            "operation": upload.operation,
            "record_counts": _record_counts(upload.processed, upload.invalid),
            "state": upload.status,
            "updated_time": int(updated_at),
        }

    def newest(self, count: int) -> list[UploadState]:
        """Return the newest uploads of all accounts.

        Args:
            count: How many at most.

        Returns:
            The uploads, newest first.
        """
        return list(islice(reversed(self._uploads.values()), count))

    def dump(self) -> tuple[UploadState, ...]:
        """Return copies of all uploads.

        Returns:
            The uploads, oldest first.
        """
        return tuple(map(_copy, self._uploads.values()))

    def load(self, uploads: Iterable[UploadState]) -> None:
        """Replace all uploads.

        Args:
            uploads: What `dump` returned; they are copied.
        """
        self._uploads = {upload.id: upload for upload in map(_copy, uploads)}
        self._running = [each for each in self._uploads.values() if each.status == "RUNNING"]
        self._pending = sum(
            len(part) for each in self._uploads.values() for part in each.parts.values()
        )

    def _finish(self, upload: UploadState) -> None:
        customer_list = self._customer_lists.find(upload.customer_list_id)
        if customer_list is not None and self.problem_of(upload) is None:
            self._process(upload, customer_list)
        else:
            upload.status = "FAILED"
        self._pending -= sum(map(len, upload.parts.values()))
        upload.parts = {}

    def _process(self, upload: UploadState, customer_list: CustomerListState) -> None:
        is_valid = self._assumptions.is_valid_record or record_validator(customer_list.list_type)
        processed = valid = 0
        started = False
        for records in _records(upload.parts):
            accepted = [record for record in records if is_valid(record)]
            processed, valid = processed + len(records), valid + len(accepted)
            if accepted and not started:
                self._customer_lists.start_batch(customer_list, upload.ends_at)
                started = True
            self._customer_lists.change_members(customer_list, upload.operation, accepted)
        upload.processed, upload.invalid = processed, processed - valid
        # A file without any valid record has not been uploaded.
        upload.status = "SUCCEEDED" if valid else "FAILED"


def _records(parts: Mapping[int, bytes]) -> Iterator[list[str]]:
    """Yield the records of a file in chunks; a record may continue in the next part."""
    rest = b""
    for number in sorted(parts):
        part = parts[number]
        for start in range(0, len(part), _CHUNK_BYTES):
            *complete, rest = _SEPARATORS.split(rest + part[start : start + _CHUNK_BYTES])
            yield _texts(complete)
    yield _texts([rest])


def _texts(pieces: Iterable[bytes]) -> list[str]:
    texts = (piece.decode("utf-8", "surrogateescape").strip() for piece in pieces)
    return [text for text in texts if text]


def _record_counts(processed: int | None, invalid: int | None) -> dict[str, int] | None:
    if processed is None or invalid is None:
        return None
    return {"processed": processed, "valid": processed - invalid, "invalid": invalid}


def _error_counts(invalid: int | None) -> list[dict[str, object]] | None:
    if invalid is None:
        return None
    if not invalid:
        return []
    return [{"error_code": _INVALID_CODE, "message": _INVALID_MESSAGE, "count": invalid}]


def _copy(upload: UploadState) -> UploadState:
    return attrs.evolve(upload, parts=dict(upload.parts))
