"""Send the batches of a job, create its list, upload files in parts, and split refused batches.

A batch is marked as sending before it is sent, and acknowledged when the response arrives. A batch
that is marked and not acknowledged may be at Pinterest, so it is sent again, which is safe because
ADD and REMOVE act on a set. Batches of one list are sent one at a time, because Pinterest responds
with 429 "if multiple write operations are applied to an object within a short time window" (API
description); the next batch is prepared meanwhile.

A list is created with its first batch. The newest list id of the account is stored before, so that
a list can be found whose creation got no response (see `lookup`).

A refused batch is halved until its parts are accepted. A 413, or a connection that breaks
repeatedly while a large body is sent, means that the batch is too large. A 400 can mean either: if
both halves are accepted, the batch was too large; if a single record is refused, that record is
left out once another batch has been accepted after it. A request that is refused whatever its
records are ends the job after a limited number of refusals in a row.

The format of an uploaded file is not documented; one record per line is an assumption. All batches
are marked before the file is sent, and acknowledged when Pinterest has processed it.
"""

from __future__ import annotations

import logging
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Generic, Literal, TypeAlias, TypeVar

import anyio
from attrs import define, evolve, field

from pinterest_audiences._errors import (
    APIError,
    BadRequestError,
    CallError,
    NotFoundError,
    RequestTimeoutError,
    ServerError,
    TransportError,
    UploadsUnavailableError,
)
from pinterest_audiences._http.retry import is_transient, was_accepted
from pinterest_audiences._http.session import CallMetrics, collect_metrics
from pinterest_audiences._jobs.database import open_private, upload_path
from pinterest_audiences._jobs.job_context import (
    JobContext,
    Retries,
    in_thread,
)
from pinterest_audiences._jobs.job_errors import (
    JobInterruptedError,
    StateError,
)
from pinterest_audiences._jobs.keys import max_batch_records
from pinterest_audiences._jobs.lookup import (
    LISTING_DELAY_SECONDS,
    LOST_CREATE_FINDING,
    newer_lists_of_name,
    newest_list_id,
)
from pinterest_audiences._jobs.reports import JobEvent, JobEventType, OnEvent
from pinterest_audiences._jobs.state import Ack, BatchRow, JobRow, ListRow, State
from pinterest_audiences._models import CustomerList, OperationType, UserListType
from pinterest_audiences._text import counted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pinterest_audiences._http.session import WaitReason
    from pinterest_audiences._jobs.reports import JobReport
    from pinterest_audiences._models import CustomerListUpload
    from pinterest_audiences._records.batches import Batch
__all__ = ["BatchSender", "send_batches"]

_MAX_BROKEN_UPLOADS = 2  # in a row; more mean that a large body is too large
_MAX_CREATE_ATTEMPTS = 5  # without a response and without a list in the listing
_DESCRIPTOR_DIR = Path("/proc/self/fd")  # opens the file of a descriptor again, at its start
_WAIT_EVENTS: dict[str, JobEventType] = {
    "budget": JobEventType.WAITING_FOR_BUDGET,
    "retry": JobEventType.RETRY,
}
_DEBUG_EVENTS = (
    JobEventType.BATCH_SENT,
    JobEventType.BATCH_ACKNOWLEDGED,
    JobEventType.WAITING_FOR_BUDGET,
)
_TOO_LARGE = 413
_LARGE_BODY_BYTES = 65_536
# In a row, in addition to those that halving a batch down to one record takes.
_MAX_FURTHER_REFUSALS = 8
_MAX_ISOLATED_RECORDS = 100  # left out in one run; more mean that the job itself is wrong
Cause: TypeAlias = Literal["size", "content"]
T = TypeVar("T")
_logger = logging.getLogger("pinterest_audiences")


async def send_batches(
    context: JobContext,
    state: State,
    job: JobRow,
    *,
    on_event: OnEvent | None,
    retry_timeout: float,
    batch_size: int | None = None,
) -> JobReport:
    """Send everything that is left of a job, whose list must be locked.

    Args:
        context: The client.
        state: The state file.
        job: The job.
        on_event: Called with each event.
        retry_timeout: Seconds for which a batch is retried while Pinterest or the network fails.
        batch_size: Maximum number of records of a batch, if set.

    Raises:
        JobInterruptedError: A batch could not be sent.
        StateError: The state file could not be read or written.
    """
    row = await in_thread(state.list_row, job.list_key)
    refused_batches = RefusedBatches(_batch_size_limit(batch_size, job, row))
    return await BatchSender(
        context, state, job, row, on_event, retry_timeout, refused_batches
    ).run()


def _batch_size_limit(batch_size: int | None, job: JobRow, row: ListRow) -> int | None:
    """Return the maximum number of records of a batch; ``None`` to send batches as planned."""
    setting = batch_size or job.plan.get("batch_size")
    if isinstance(setting, int):
        return max_batch_records(setting, row.batch_size)
    return row.batch_size


def cause_of(error: CallError, body_bytes: int) -> Cause | None:
    """Return why a batch may have been refused, or None if smaller batches do not help.

    Args:
        error: How it failed.
        body_bytes: The length of the request body.
    """
    if isinstance(error, APIError) and error.status == _TOO_LARGE:
        return "size"
    if isinstance(error, BadRequestError):
        other_cause = is_transient(error) or "spam" in error.message.lower()
        return None if other_cause else "content"
    return "size" if is_broken_upload(error, body_bytes) else None


def is_broken_upload(error: CallError, body_bytes: int) -> bool:
    """Return whether a connection broke (no timeout) while a large body was being sent."""
    return (
        body_bytes > _LARGE_BODY_BYTES
        and isinstance(error, TransportError)
        and not isinstance(error, RequestTimeoutError)
        and bool(error.maybe_applied)
    )


@define
class _SplitBatch:
    """A batch that was refused with 400 and split, while neither half has been refused."""

    seq: int
    size: int
    left: int = 2


@define
class RefusedBatches:
    """The refusals of one run of a job.

    Attributes:
        max_records: The maximum number of records of a batch; ``None`` for no limit.
        suspects: Refused batches of a single record, with no batch accepted since.
        error: The last refusal.
    """

    max_records: int | None = None
    suspects: list[BatchRow] = field(factory=list["BatchRow"])
    error: CallError | None = None
    _isolated: int = 0
    _in_a_row: int = 0
    _allowed: int = 0
    _unproven: bool = False
    _halves: _SplitBatch | None = None

    def record_refusal(self, batch: BatchRow, cause: Cause, error: CallError) -> bool:
        """Record a refusal; return whether to continue with smaller batches."""
        if not self._in_a_row:
            self._allowed = batch.count.bit_length() + _MAX_FURTHER_REFUSALS
        self._in_a_row += 1
        self._halves, self.error = None, error
        if self._in_a_row > self._allowed or self._isolated >= _MAX_ISOLATED_RECORDS:
            return False
        half = (batch.count + 1) // 2
        if batch.count == 1:
            self.suspects.append(batch)
        elif cause == "content":
            self._halves = _SplitBatch(batch.seq, half)
        else:
            self._lower(batch.count // 2)
            self._unproven = True
        return True

    def record_acceptance(self, batch: BatchRow) -> int | None:
        """Record an accepted batch; return a batch size to store for the list, if it changed."""
        self._in_a_row = 0
        self._isolated += len(self.suspects)
        self.suspects.clear()
        halves = self._halves
        if halves is not None and halves.seq == batch.seq:
            halves.left -= 1
            if not halves.left:
                self._halves, self._unproven = None, True
                self._lower(halves.size)
        if not self._unproven:
            return None
        self._unproven = False
        return self.max_records

    def _lower(self, size: int) -> None:
        self.max_records = min(size, self.max_records or size)


@define
class BatchSender:
    """One run of a job: sends the batches that are not acknowledged.

    Attributes:
        context: The client.
        state: The state file.
        job: The job.
        row: Its list.
        on_event: Called with each event.
        retry_timeout: Seconds for which a batch is retried while Pinterest or the network fails.
        refused_batches: Batches that Pinterest refused, and the size that it accepts.
        costs: Calls, bytes and waits since the last acknowledgement.
        done: Records of the job that are acknowledged or refused.
        total: Records of the job.
    """

    context: JobContext
    state: State
    job: JobRow
    row: ListRow
    on_event: OnEvent | None
    retry_timeout: float
    refused_batches: RefusedBatches = field(factory=RefusedBatches)
    costs: CallMetrics = field(factory=CallMetrics)
    done: int = 0
    total: int = 0
    _started: float = 0.0
    _done_before: int = 0

    async def run(self) -> JobReport:
        """Send what is left.

        Raises:
            JobInterruptedError: A batch could not be sent.
            StateError: The state file could not be read or written.
        """
        self._started = self.context.clock.monotonic()
        self.done, self.total = await in_thread(self.state.count_records, self.job.key)
        self._done_before = self.done
        self.emit(JobEventType.PLANNED)
        try:
            await self._send_all()
        except CallError as error:
            await in_thread(self._store_costs)
            self.emit(JobEventType.INTERRUPTED)
            so_far = await in_thread(self.state.report, self.job.key)
            raise JobInterruptedError(
                f"{self.job.kind} {self.job.key} to {self.row} stopped after {self.done:,} of "
                f"{counted(self.total, 'record')}: {error}; nothing is lost",
                report=so_far,
                suggestion=f"resume it{self._how_to_end(error)}",
            ) from error
        await in_thread(self.state.finish, self.job.key, self.context.clock.time())
        self.emit(JobEventType.DONE)
        return await in_thread(self.state.report, self.job.key)

    def _how_to_end(self, error: CallError) -> str:
        """Return how to end a job that will probably never succeed."""
        if not isinstance(error, NotFoundError) or self.row.customer_list_id is None:
            return ""
        return (
            f", or, if the list is gone at Pinterest, end the job with abandon({self.job.key}) or "
            "erase all state of the list with forget_list()"
        )

    async def _send_all(self) -> None:
        batch = await self._first()
        while batch is not None and self.row.customer_list_id is None:
            batch = await create_list(self, batch)
        if (
            batch is not None
            and self.job.plan.get("via") == "multipart"
            and await send_multipart(self, batch)
        ):
            return
        batch, body = await self._mark_and_prepare(await self._split_if_too_large(batch))
        while batch is not None and body is not None:
            batch, body = await self._send_one(batch, body)
        await self._leave_out_suspects()

    async def _send_one(self, batch: BatchRow, body: Batch) -> tuple[BatchRow | None, Batch | None]:
        """Send a batch, and return the next one, which is prepared meanwhile."""
        self.emit(JobEventType.BATCH_SENT, batch)
        before = self.costs.maybe_applied
        sending = _Outcome(lambda: self._update(batch, body))
        preparing = _Outcome(lambda: in_thread(self._load_next))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(preparing.run)
            await sending.run()
        following, next_body = preparing.result()
        try:
            current = sending.result()
        except CallError as error:
            maybe_applied = self.costs.maybe_applied - before
            return await self._mark_and_prepare(
                await self.handle_refusal(batch, error, maybe_applied, len(body.fragment))
            )
        ack = Ack(
            batch,
            current,
            maybe_applied=self.costs.maybe_applied - before,
            costs=self.costs,
            time=self.context.clock.time(),
        )
        await self.acknowledge(ack, following)
        if following is not None and self._is_too_large(following):
            return await self._mark_and_prepare(await self._split_if_too_large(following))
        return following, next_body

    async def acknowledge(self, ack: Ack, following: BatchRow | None) -> None:
        """Store the acknowledgement of a batch, shielded from cancellation."""
        rejected = list(self.refused_batches.suspects)
        size = self.refused_batches.record_acceptance(ack.batch)

        def write() -> None:
            self.state.acknowledge(ack, following=following, rejected=rejected, batch_size=size)

        with anyio.CancelScope(shield=True):
            await in_thread(write)
        self.costs = CallMetrics()
        self.done += ack.batch.count + len(rejected)
        self.emit(JobEventType.BATCH_ACKNOWLEDGED, ack.batch)

    async def call_with_retries(self, call: Callable[[], Awaitable[T]], body_bytes: int = 0) -> T:
        """Call, and retry while Pinterest or the network fails.

        Raises:
            CallError: The call failed for longer than ``retry_timeout`` or with an error that
                is not transient, or the connection broke repeatedly while a large body was sent.
        """
        broken = 0

        async def attempt() -> T:
            with collect_metrics(self.costs):
                return await call()

        def may_retry(error: CallError) -> bool:
            nonlocal broken
            if is_broken_upload(error, body_bytes):
                broken += error.attempts
            return broken < _MAX_BROKEN_UPLOADS and is_transient(error)

        return await self.retries.call(attempt, may_retry)

    @property
    def retries(self) -> Retries:
        """How calls are retried."""
        return Retries(self.context, self.retry_timeout, self._on_retry)

    def _on_retry(self, error: CallError, wait: float) -> None:
        _logger.info("job %d: %s; retrying in %.0f s", self.job.key, error, wait)
        self._emit_wait("retry", wait)

    def emit(self, kind: JobEventType, batch: BatchRow | None = None, wait: float = 0.0) -> None:
        """Log an event, and pass it to ``on_event``."""
        _logger.log(
            logging.DEBUG if kind in _DEBUG_EVENTS else logging.INFO,
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
        elapsed = self.context.clock.monotonic() - self._started
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
        """Return the first batch that is not acknowledged, and begin to count calls."""
        self.costs = CallMetrics(self._emit_wait)
        batch = await self.pending()
        if batch is not None and batch.status == "sending":
            self.costs.calls += 1  # at least one: a killed process did not store its calls
        return batch

    async def pending(self) -> BatchRow | None:
        """Return the next batch that is not acknowledged."""
        batches = await in_thread(self._pending, 1)
        return batches[0] if batches else None

    def _pending(self, count: int) -> list[BatchRow]:
        suspects = {batch.key for batch in self.refused_batches.suspects}
        batches = self.state.pending(self.job.key, count + len(suspects))
        return [batch for batch in batches if batch.key not in suspects][:count]

    async def _update(self, batch: BatchRow, body: Batch) -> CustomerList:
        self.costs.listener, self.costs.needs_status_only = self._emit_wait, True
        size = len(body.fragment) if batch.count > 1 else 0
        return await self.call_with_retries(lambda: self._update_once(batch, body), size)

    async def _update_once(self, batch: BatchRow, body: Batch) -> CustomerList:
        """Send a batch; a 2xx acknowledges it even if the body of the response is unusable."""
        customer_list_id = self.row.customer_list_id or ""
        try:
            return await self.context.calls.customer_lists_update(
                self.row.ad_account_id,
                customer_list_id,
                operation_type=OperationType(batch.operation),
                records=body,
            )
        except CallError as error:
            if not was_accepted(error):
                raise
            _logger.warning("job %d: the batch was accepted, but %s", self.job.key, error)
            self.costs.maybe_applied -= 1  # this request was certainly applied
            return CustomerList(id=customer_list_id)  # its counters are unknown

    def _load_next(self) -> tuple[BatchRow | None, Batch | None]:
        """Return the batch after the one that is being sent, with its part of a body."""
        pending = self._pending(2)
        return (pending[1], self._body(pending[1])) if pending[1:] else (None, None)

    def _body(self, batch: BatchRow) -> Batch:
        return batch.codec.batch(self.state.keys(batch))

    async def handle_refusal(
        self, batch: BatchRow, error: CallError, maybe_applied: int, body_bytes: int
    ) -> BatchRow | None:
        """Continue after a batch was refused: with its parts, or without its only record.

        Args:
            batch: The batch.
            error: How it failed.
            maybe_applied: How many of its requests may have been applied.
            body_bytes: The length of the request body.

        Returns:
            The next batch, if there is one.

        Raises:
            CallError: The refusal, if smaller batches do not help.
        """
        cause = cause_of(error, body_bytes)
        if cause is None or not self.refused_batches.record_refusal(batch, cause, error):
            await self.unmark(batch, maybe_applied)
            raise error
        if batch.count == 1:
            await self.unmark(batch, maybe_applied)
            return await self._split_if_too_large(await self.pending())
        half = (batch.count + 1) // 2
        size = half if cause == "content" else self.refused_batches.max_records or half
        return await self._split_if_too_large(
            await self._split(batch, batch.sends + maybe_applied, size)
        )

    async def _split_if_too_large(self, batch: BatchRow | None) -> BatchRow | None:
        """Return a batch, or its first part if it is larger than Pinterest accepts."""
        while batch is not None and self._is_too_large(batch):
            batch = await self._split(
                batch, batch.sends, self.refused_batches.max_records or batch.count
            )
        return batch

    def _is_too_large(self, batch: BatchRow) -> bool:
        return (
            self.refused_batches.max_records is not None
            and batch.count > self.refused_batches.max_records
        )

    async def _split(self, batch: BatchRow, sends: int, size: int) -> BatchRow | None:
        self.emit(JobEventType.BATCH_SPLIT, batch)
        await in_thread(self._write_parts, batch, sends, size)
        return await self.pending()

    def _write_parts(self, batch: BatchRow, sends: int, size: int) -> None:
        keys = batch.codec.split(self.state.keys(batch))
        parts = [keys[start : start + size] for start in range(0, len(keys), size)]
        self.state.split(batch, self.row.key, parts, sends)

    async def _leave_out_suspects(self) -> None:
        """Leave out the last refused records if other parts of their batches were accepted.

        Raises:
            CallError: The refusal, if no other part was accepted: the whole job may be refused.
        """
        suspects, error = self.refused_batches.suspects, self.refused_batches.error
        if not suspects or error is None:
            return
        for batch in suspects:
            if not await in_thread(self.state.partly_acknowledged, batch):
                raise error
        await in_thread(self.state.reject, suspects)
        self.done += len(suspects)

    async def _mark_and_prepare(
        self, batch: BatchRow | None
    ) -> tuple[BatchRow | None, Batch | None]:
        if batch is None:
            return None, None
        await in_thread(self.state.mark_sending, batch)
        return batch, await in_thread(self._body, batch)

    async def unmark(self, batch: BatchRow, maybe_applied: int) -> None:
        """Mark a failed batch as planned; some of its requests may have been applied."""
        with anyio.CancelScope(shield=True):
            # `batch` was read before it was marked as sending, which counted one request.
            await in_thread(self.state.unmark, batch, batch.sends + maybe_applied)

    def _store_costs(self) -> None:
        self.state.add_costs(self.job.key, self.costs)
        self.costs = CallMetrics()

    def _emit_wait(self, reason: WaitReason, seconds: float) -> None:
        self.emit(_WAIT_EVENTS[reason], wait=seconds)


class _Outcome(Generic[T]):
    """The result or error of a call in a task group; raised outside, not in an exception group."""

    def __init__(self, call: Callable[[], Awaitable[T]]) -> None:
        self._call = call
        self._results: list[T] = []
        self._error: Exception | None = None

    async def run(self) -> None:
        try:
            self._results.append(await self._call())
        except Exception as error:  # noqa: BLE001 - stored; `result` raises it
            self._error = error

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._results[0]


async def create_list(sender: BatchSender, batch: BatchRow) -> BatchRow | None:
    """Create the list of a job with its first batch, or find the list that was created.

    Returns:
        The next batch, which is a part of this one if it was refused; ``None`` if none is left.

    Raises:
        CallError: The list could not be created; the next run checks whether it exists.
    """
    before = sender.costs.maybe_applied
    newest_id = sender.job.newest_id
    if newest_id is None:
        newest_id = await sender.call_with_retries(
            lambda: newest_list_id(sender.context, sender.row.ad_account_id)
        )
        await in_thread(sender.state.set_newest_id, sender.job.key, newest_id)
        sender.job = evolve(sender.job, newest_id=newest_id)
    elif batch.sends:
        created = await _find_created(sender, newest_id)
        if created is not None:
            return await _on_found(sender, batch, created)
    try:
        return await _create_or_find(sender, batch, newest_id)
    except CallError as error:
        maybe_applied = sender.costs.maybe_applied - before
        size = await in_thread(lambda: len(sender.state.keys(batch)) * 2)
        return await sender.handle_refusal(batch, error, maybe_applied, size)


async def _create_or_find(sender: BatchSender, batch: BatchRow, newest_id: str) -> BatchRow | None:
    state = sender.state
    body: Batch = await in_thread(lambda: batch.codec.batch(state.keys(batch)))
    retries, unanswered = sender.retries, 0
    backoff = retries.backoff()
    while True:
        await in_thread(state.mark_sending, batch)
        sender.emit(JobEventType.BATCH_SENT, batch)
        result = await _create(sender, body)
        if not isinstance(result, CallError):
            return await _on_created(sender, batch, result)
        created = await _find_created(sender, newest_id)
        if created is not None:
            return await _on_found(sender, batch, created)
        # After a 5xx, wait until Pinterest recovers. Without a response, limit the attempts: each
        # one may create another list.
        unanswered += not isinstance(result, ServerError)
        if unanswered == _MAX_CREATE_ATTEMPTS or not await retries.wait(backoff, result):
            raise result


async def _create(sender: BatchSender, body: Batch) -> CustomerList | CallError:
    """Create the list; return the error if the list may have been created nevertheless."""
    plan = sender.job.plan
    is_nca = plan.get("is_nca")

    async def create() -> CustomerList | CallError:
        try:
            return await sender.context.calls.customer_lists_create(
                sender.row.ad_account_id,
                name=sender.row.name or "",
                records=body,
                list_type=UserListType(str(plan.get("list_type") or UserListType.EMAIL)),
                is_nca=is_nca if isinstance(is_nca, bool) else None,
            )
        except CallError as error:
            if error.maybe_applied:
                return error  # the caller looks for the list first
            raise

    return await sender.call_with_retries(create)


async def _on_created(
    sender: BatchSender, batch: BatchRow, created: CustomerList
) -> BatchRow | None:
    """Store a created list, and acknowledge the batch that it was created with."""
    with anyio.CancelScope(shield=True):
        await _store_id(sender, created)
        ack = Ack(
            batch,
            created,
            maybe_applied=0,
            costs=sender.costs,
            time=sender.context.clock.time(),
        )
        await sender.acknowledge(ack, None)
    sender.emit(JobEventType.LIST_CREATED)
    return await sender.pending()


async def _on_found(sender: BatchSender, batch: BatchRow, created: CustomerList) -> BatchRow | None:
    """Continue with a list that was found after its creation got no response.

    The batch of the create is not acknowledged, so that it is sent again.
    """
    finding = LOST_CREATE_FINDING.format(created.id)
    with anyio.CancelScope(shield=True):
        await _store_id(sender, created)
        await in_thread(sender.state.add_finding, sender.job.key, finding)
    sender.emit(JobEventType.LIST_FOUND, batch)
    return await sender.pending()


async def _store_id(sender: BatchSender, created: CustomerList) -> None:
    await in_thread(lambda: sender.state.set_customer_list_id(sender.row.key, created.id))
    sender.row = await in_thread(sender.state.list_row, sender.row.key)


async def _find_created(sender: BatchSender, newest_id: str) -> CustomerList | None:
    """Return the list that a create without a response has created, if any."""

    async def find() -> CustomerList | None:
        lists = await newer_lists_of_name(sender.context, sender.row, int(newest_id))
        return lists[0] if lists else None

    created = await sender.call_with_retries(find)
    if created is None:
        await sender.context.sleep(LISTING_DELAY_SECONDS)
        created = await sender.call_with_retries(find)
    return created


async def send_multipart(sender: BatchSender, first: BatchRow) -> bool:
    """Upload what is left of a job as one file.

    Returns:
        ``False`` if the account has no access to file uploads, so that the batches have to be sent
        as requests.

    Raises:
        UploadError: Pinterest did not process the file in time, or refused it.
        CallError: A call failed.
        StateError: The file could not be written.
    """
    file = _RecordFile(upload_path(sender.state.path, sender.row.key))
    try:
        await in_thread(_write_records, sender, file)
        await in_thread(sender.state.mark_all, sender.job.key)
        sender.emit(JobEventType.BATCH_SENT, first)
        with collect_metrics(sender.costs):
            done = await sender.context.calls.upload_file_in_parts(
                sender.row.ad_account_id,
                sender.row.customer_list_id or "",
                file.path,
                operation=OperationType(first.operation),
            )
    except UploadsUnavailableError as error:
        await in_thread(_fall_back_to_requests, sender, error)
        return False
    finally:
        with anyio.CancelScope(shield=True):
            await in_thread(file.close)
    await _acknowledge_upload(sender, done)
    return True


class _RecordFile:
    """A private temporary file for an upload, next to the state file; removed after a crash too.

    If the system can open a descriptor by a path, the file has no name and disappears with the
    process. Otherwise the next holder of the list's lock deletes it.

    Args:
        path: The path of the file if it needs a name.

    Attributes:
        path: The path by which the open file can be opened again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._name: Path | None = None
        self._file: IO[bytes] | None = None

    def open(self) -> IO[bytes]:
        """Create the file.

        Raises:
            OSError: It cannot be created.
        """
        if _DESCRIPTOR_DIR.is_dir():
            self._file = tempfile.TemporaryFile(dir=self.path.parent)  # noqa: SIM115 - see close
            self.path = _DESCRIPTOR_DIR / str(self._file.fileno())
        else:
            self._name = self.path
            self._name.unlink(missing_ok=True)
            descriptor = open_private(self._name, os.O_RDWR | os.O_CREAT | os.O_EXCL)
            self._file = os.fdopen(descriptor, "w+b")
        return self._file

    def close(self) -> None:
        """Delete the file."""
        if self._file is not None:
            with suppress(OSError):  # unflushed data is not needed
                self._file.close()
        if self._name is not None:
            self._name.unlink(missing_ok=True)


def _write_records(sender: BatchSender, record_file: _RecordFile) -> None:
    """Write the records that are left, one per line."""
    state = sender.state
    try:
        file = record_file.open()
        for batch in state.pending(sender.job.key):
            for key in batch.codec.split(state.keys(batch)):
                file.write(key.hex().encode() + b"\n")
        file.flush()
        sender.costs.bytes += file.tell()
    except OSError as error:
        reason = f"{error.strerror or 'failed'}; free some space next to it for a temporary file"
        raise StateError(reason, path=str(state.path)) from error


async def _acknowledge_upload(sender: BatchSender, done: CustomerListUpload) -> None:
    """Acknowledge all batches of a job whose file Pinterest has processed."""
    with anyio.CancelScope(shield=True):
        now = sender.context.clock.time()
        await in_thread(sender.state.acknowledge_all, sender.job.key, sender.costs, now)
        for item in done.error_counts or ():
            await in_thread(
                sender.state.add_finding,
                sender.job.key,
                f"Pinterest rejected {counted(item.count or 0, 'record')} of the file (code "
                f"{item.error_code})",
            )
    sender.done = sender.total
    sender.emit(JobEventType.BATCH_ACKNOWLEDGED)
    # Store the new counters, so that they are not reported as drift.
    current = await sender.call_with_retries(
        lambda: sender.context.calls.customer_lists_get(
            sender.row.ad_account_id, sender.row.customer_list_id or ""
        )
    )
    await in_thread(sender.state.set_counters, sender.row.key, current)


def _fall_back_to_requests(sender: BatchSender, error: UploadsUnavailableError) -> None:
    """Add a finding that the batches are sent as requests, without access to uploads."""
    sender.state.unmark_all(sender.job.key)
    sender.state.add_finding(
        sender.job.key, f"sent by calls: no access to uploads in parts ({error.status})"
    )
