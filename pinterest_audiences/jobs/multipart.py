"""What is left of an upload as one file, in parts: experimental; without access it is given up.

The form of the file is not documented; one record a line is the guess. All batches are marked
before anything is sent and acknowledged when Pinterest has processed the file, so that in between
they are in doubt, as any batch on its way is.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from pinterest_audiences._wire.trace import tracing
from pinterest_audiences.jobs.desk import in_thread
from pinterest_audiences.jobs.errors import StateError
from pinterest_audiences.jobs.events import JobEventKind
from pinterest_audiences.upload_errors import UploadsUnavailableError

if TYPE_CHECKING:
    from pinterest_audiences.jobs.apply import Delivery
    from pinterest_audiences.jobs.rows import BatchRow
    from pinterest_audiences.models import CustomerListUpload

__all__ = ["deliver_in_parts"]

_EVERYTHING = 1 << 31


async def deliver_in_parts(delivery: Delivery, first: BatchRow) -> bool:
    """Send what is left of a job as a file.

    Returns:
        Whether that could be done; ``False`` where the account has no access to it, so that the
        calls are to be made after all.

    Raises:
        UploadError: Pinterest did not process it in time, or refused it.
        CallError: A call failed.
        StateError: There is no room for the file.
    """
    path = await in_thread(_write, delivery)
    await in_thread(delivery.state.mark_all, delivery.job.key)
    delivery.emit(JobEventKind.BATCH_SENT, first)
    try:
        with tracing(delivery.costs):
            done = await delivery.desk.calls.upload_file_in_parts(
                delivery.row.ad_account_id,
                delivery.row.customer_list_id or "",
                path,
                operation=first.operation,
            )
    except UploadsUnavailableError as error:
        await in_thread(_give_up, delivery, error)
        return False
    finally:
        with anyio.CancelScope(shield=True):
            await in_thread(os.unlink, path)
    await _acknowledge(delivery, done)
    return True


async def _acknowledge(delivery: Delivery, done: CustomerListUpload) -> None:
    with anyio.CancelScope(shield=True):
        now = delivery.desk.clock.time()
        await in_thread(delivery.state.acknowledge_all, delivery.job.key, delivery.costs, now)
        for each in done.error_counts or ():
            await in_thread(
                delivery.state.add_finding,
                delivery.job.key,
                f"Pinterest rejected {each.count:,} records of the file (code {each.error_code})",
            )
    delivery.done = delivery.total
    delivery.emit(JobEventKind.BATCH_ACKNOWLEDGED)
    # The counters have moved, by nobody else's hand.
    seen = await delivery.desk.calls.customer_lists_get(
        delivery.row.ad_account_id, delivery.row.customer_list_id or ""
    )
    await in_thread(delivery.state.see_counters, delivery.row.key, seen)


def _give_up(delivery: Delivery, error: UploadsUnavailableError) -> None:
    delivery.state.unmark_all(delivery.job.key)
    delivery.state.add_finding(
        delivery.job.key, f"sent by calls: no access to uploads in parts ({error.status})"
    )


def _write(delivery: Delivery) -> Path:
    """Write the records that are left, one a line, into a private file beside the state."""
    state = delivery.state
    try:
        descriptor, name = tempfile.mkstemp(".txt", "upload-", state.path.absolute().parent)
        with os.fdopen(descriptor, "wb") as file:
            for batch in state.pending(delivery.job.key, _EVERYTHING):
                for key in batch.form.split(state.keys(batch)):
                    file.write(key.hex().encode() + b"\n")
            delivery.costs.bytes += file.tell()
    except OSError as error:
        reason = f"{error.strerror or 'failed'}; room for the file is needed beside it"
        raise StateError(reason, path=str(state.path)) from error
    return Path(name)
