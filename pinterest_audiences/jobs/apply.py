"""Send the batches of a job, one after the other, each with a receipt.

A batch is marked before it is sent and its receipt is written when it was answered; what is marked
and has no receipt may be at Pinterest, and is sent again: ADD and REMOVE act on a set. Writes to
one list go one at a time, because Pinterest answers 429 "if multiple write operations are applied
to an object within a short time window" (its description); the next batch is made ready meanwhile.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Generic, TypeVar

import anyio
from attrs import define, field

from pinterest_audiences._wire.trace import Trace, tracing
from pinterest_audiences.errors import (
    APIError,
    CallError,
)
from pinterest_audiences.jobs import creation
from pinterest_audiences.jobs.desk import Desk, in_thread
from pinterest_audiences.jobs.errors import JobInterruptedError
from pinterest_audiences.jobs.events import JobEvent, JobEventKind, OnEvent
from pinterest_audiences.jobs.figures import report, totals
from pinterest_audiences.jobs.multipart import deliver_in_parts
from pinterest_audiences.jobs.patience import Patience, may_pass, too_large
from pinterest_audiences.jobs.rows import BatchRow, JobRow, ListRow, Receipt
from pinterest_audiences.jobs.state import State

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pinterest_audiences._wire.trace import Waiting
    from pinterest_audiences.jobs.report import JobReport
    from pinterest_audiences.models import CustomerList
    from pinterest_audiences.records.batches import Batch

__all__ = ["Delivery", "deliver"]

T = TypeVar("T")
_logger = logging.getLogger("pinterest_audiences")

_WAITS: dict[str, JobEventKind] = {
    "budget": JobEventKind.WAITING_FOR_BUDGET,
    "retry": JobEventKind.RETRY,
}
_FREQUENT = (
    JobEventKind.BATCH_SENT,
    JobEventKind.BATCH_ACKNOWLEDGED,
    JobEventKind.WAITING_FOR_BUDGET,
)


@define
class Delivery:
    """One run of a job.

    Attributes:
        desk: Where it is worked on.
        state: The state file.
        job: Which job.
        row: Its list.
        on_event: Told what happens.
        patience: For how many seconds in a row a batch is tried while Pinterest or the network
            fails.
    """

    desk: Desk
    state: State
    job: JobRow
    row: ListRow
    on_event: OnEvent | None
    patience: float
    costs: Trace = field(factory=Trace)
    done: int = 0
    total: int = 0
    _begun: float = 0.0
    _done_before: int = 0
    _largest: int | None = None  # records of a batch, where a larger one was refused

    async def run(self) -> JobReport:
        """Send what is left.

        Raises:
            JobInterruptedError: It could not be sent to its end.
            StateError: The state file failed.
        """
        self._begun = self.desk.clock.monotonic()
        self.done, self.total = await in_thread(totals, self.state, self.job.key)
        self._done_before = self.done
        self.emit(JobEventKind.PLANNED)
        try:
            await self._send_all()
        except CallError as error:
            await in_thread(self._keep_costs)
            self.emit(JobEventKind.INTERRUPTED)
            so_far = await in_thread(report, self.state, self.job.key)
            raise JobInterruptedError(
                f"{self.job.kind} {self.job.key} to {self.row} stopped after {self.done:,} of "
                f"{self.total:,} records: {error}; nothing is lost: resume it",
                report=so_far,
            ) from error
        await in_thread(self.state.finish, self.job.key, self.desk.clock.time())
        self.emit(JobEventKind.DONE)
        return await in_thread(report, self.state, self.job.key)

    async def _send_all(self) -> None:
        batch = await self._first()
        while batch is not None and self.row.customer_list_id is None:
            batch = await creation.create_with(self, batch)
        if batch is None:
            return
        if self.job.plan.get("via") == "multipart" and await deliver_in_parts(self, batch):
            return
        body: Batch | None
        batch, body = await self._marked(batch)
        while batch is not None and body is not None:
            batch, body = await self._send_one(batch, body)

    async def _send_one(self, batch: BatchRow, body: Batch) -> tuple[BatchRow | None, Batch | None]:
        """Send a batch and return the next one, which was made ready meanwhile."""
        self.emit(JobEventKind.BATCH_SENT, batch)
        before = self.costs.maybe_done
        sending, preparing = _Later(lambda: self._update(batch, body)), _Later(self._following)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(preparing.run)
            await sending.run()
        following, next_body = preparing.outcome()
        try:
            seen = sending.outcome()
        except CallError as error:
            lost = self.costs.maybe_done - before
            if not too_large(error, batch.count):
                await self.unmark(batch, lost)
                raise
            return await self._marked(await self.split(batch, lost))
        receipt = Receipt(
            batch,
            seen,
            repeats=self.costs.maybe_done - before,
            costs=self.costs,
            time=self.desk.clock.time(),
        )
        await self.acknowledge(receipt, following)
        if following is not None and self._largest and following.count > self._largest:
            return await self._marked(await self._cut(following, following.sends))
        return following, next_body

    async def acknowledge(self, receipt: Receipt, following: BatchRow | None) -> None:
        """Write a receipt, whatever comes in between."""
        with anyio.CancelScope(shield=True):
            await in_thread(lambda: self.state.acknowledge(receipt, following=following))
        self.costs = Trace()
        self.done += receipt.batch.count
        self.emit(JobEventKind.BATCH_ACKNOWLEDGED, receipt.batch)

    async def persist(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call, again and again while Pinterest or the network fails.

        Raises:
            CallError: It failed for longer than ``patience``, or for good.
        """
        patience = Patience(self.desk.clock, self.patience)
        while True:
            try:
                with tracing(self.costs):
                    return await call()
            except CallError as error:
                if not may_pass(error) or not await self.wait(patience, error):
                    raise

    async def wait(self, patience: Patience, error: CallError) -> bool:
        """Wait for the next try after an error; tell whether there is to be one."""
        wait = patience.wait(error.retry_after if isinstance(error, APIError) else None)
        if wait is None:
            return False
        _logger.info("job %d: %s; trying again in %.0f s", self.job.key, error, wait)
        self._waits("retry", wait)
        await self.desk.clock.sleep(wait)
        return True

    def emit(self, kind: JobEventKind, batch: BatchRow | None = None, wait: float = 0.0) -> None:
        """Tell what happened."""
        _logger.log(
            logging.DEBUG if kind in _FREQUENT else logging.INFO,
            "job %d: %s, %d of %d records",
            self.job.key,
            kind,
            self.done,
            self.total,
            extra={
                "job_id": self.job.key,
                "job_event": str(kind),
                "ad_account_id": self.row.ad_account_id,
                "customer_list_id": self.row.customer_list_id,
                "done": self.done,
                "total": self.total,
            },
        )
        if self.on_event is None:
            return
        elapsed = self.desk.clock.monotonic() - self._begun
        sent = self.done - self._done_before
        self.on_event(
            JobEvent(
                kind=kind,
                job_id=self.job.key,
                ad_account_id=self.row.ad_account_id,
                customer_list_id=self.row.customer_list_id,
                operation=None if batch is None else batch.operation,
                records=0 if batch is None else batch.count,
                done=self.done,
                total=self.total,
                wait=wait,
                elapsed=elapsed,
                seconds_left=(self.total - self.done) * elapsed / sent if sent else None,
            )
        )

    async def _first(self) -> BatchRow | None:
        """Return the first batch that has no receipt."""
        self.costs = Trace(self._waits)
        batch = await self.pending()
        if batch is not None and batch.status == "sending":
            self.costs.calls += 1  # at least one; a killed process told nobody of its calls
        return batch

    async def pending(self) -> BatchRow | None:
        """Return the next batch that has no receipt."""
        found = await in_thread(self.state.pending, self.job.key, 1)
        return found[0] if found else None

    async def _update(self, batch: BatchRow, body: Batch) -> CustomerList:
        self.costs.listener = self._waits
        return await self.persist(
            lambda: self.desk.calls.customer_lists_update(
                self.row.ad_account_id,
                self.row.customer_list_id or "",
                operation_type=batch.operation,
                records=body,
            )
        )

    async def _following(self) -> tuple[BatchRow | None, Batch | None]:
        return await in_thread(self._load_following)

    def _load_following(self) -> tuple[BatchRow | None, Batch | None]:
        pending = self.state.pending(self.job.key)
        return (pending[1], self._body(pending[1])) if pending[1:] else (None, None)

    def _body(self, batch: BatchRow) -> Batch:
        return batch.form.batch(self.state.keys(batch))

    async def split(self, batch: BatchRow, lost: int) -> BatchRow:
        """Put smaller batches in the place of one that was too large, and return the next."""
        self._largest = min(batch.count // 2, self._largest or batch.count)
        return await self._cut(batch, batch.sends + lost)

    async def _cut(self, batch: BatchRow, sends: int) -> BatchRow:
        self.emit(JobEventKind.BATCH_SPLIT, batch)
        following = await in_thread(self._cut_into, batch, sends, self._largest or batch.count)
        large = following.count > (self._largest or following.count)
        return await self._cut(following, following.sends) if large else following

    def _cut_into(self, batch: BatchRow, sends: int, most: int) -> BatchRow:
        keys = batch.form.split(self.state.keys(batch))
        parts = [keys[start : start + most] for start in range(0, len(keys), most)]
        self.state.split(batch, self.row.key, parts, sends)
        (following,) = self.state.pending(self.job.key, 1)
        return following

    async def _marked(self, batch: BatchRow) -> tuple[BatchRow, Batch]:
        await in_thread(self.state.mark_sending, batch)
        return batch, await in_thread(self._body, batch)

    async def unmark(self, batch: BatchRow, lost: int) -> None:
        """Take back the mark of a batch that failed: all its sendings were heard of, or lost."""
        with anyio.CancelScope(shield=True):
            await in_thread(self.state.unmark, batch, batch.sends + lost)

    def _keep_costs(self) -> None:
        self.state.add_costs(self.job.key, self.costs)
        self.costs = Trace()

    def _waits(self, reason: Waiting, seconds: float) -> None:
        self.emit(_WAITS[reason], wait=seconds)


async def deliver(
    desk: Desk,
    state: State,
    job: JobRow,
    *,
    on_event: OnEvent | None,
    patience: float,
) -> JobReport:
    """Run a job whose list is locked, to its end.

    Raises:
        JobInterruptedError: It could not be sent to its end.
        StateError: The state file failed.
    """
    row = await in_thread(state.list_row, job.list_key)
    return await Delivery(desk, state, job, row, on_event, patience).run()


class _Later(Generic[T]):
    """A call whose outcome is looked at when it is wanted; so that one error stays one error."""

    def __init__(self, call: Callable[[], Awaitable[T]]) -> None:
        self._call = call
        self._results: list[T] = []
        self._error: Exception | None = None

    async def run(self) -> None:
        try:
            self._results.append(await self._call())
        except Exception as error:  # noqa: BLE001 - raised again when it is looked at
            self._error = error

    def outcome(self) -> T:
        if self._error is not None:
            raise self._error
        return self._results[0]
