"""Reports and events of jobs; they contain no records or identifiers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias, cast
from unicodedata import category

from attrs import AttrsInstance, asdict, evolve, frozen

from pinterest_audiences._models import OpenEnum
from pinterest_audiences._text import counted

if TYPE_CHECKING:
    from pinterest_audiences._models import JSON

__all__ = [
    "ErasureReport",
    "JobEvent",
    "JobEventType",
    "JobReport",
    "ListErasure",
    "ListStatus",
    "OnEvent",
    "RunReport",
    "escaped",
    "finding_code",
    "finding_codes_of",
    "finding_text",
    "retry_event",
]


_CODE_PREFIX = re.compile(r"([a-z_]+): ")
# Findings that do not begin with their code.
_CODES_BY_BEGINNING = (
    ("the list may be TOO_SMALL", "too_small"),
    ("the list will be TOO_SMALL", "too_small"),
    ("the source is hashed as", "other_hash"),
    ("the source has no records", "no_records"),
    ("the answer to the creation", "lost_answer"),
    ("sent by calls", "no_upload_access"),
    ("Pinterest refused", "records_refused"),
    ("Pinterest rejected", "records_rejected"),
)


def finding_codes_of(findings: Iterable[str]) -> tuple[str, ...]:
    """Return the code of each finding; ``other`` if it has none."""
    return tuple(map(finding_code, findings))


def finding_text(finding: str) -> str:
    """Return a finding for people, without its code unless it says what a name is of."""
    text = _CODE_PREFIX.sub("", finding, count=1)
    return finding if not text or text.startswith('"') else text


def finding_code(finding: str) -> str:
    """Return the code of a finding; ``other`` if it has none."""
    match = _CODE_PREFIX.match(finding)
    if match is not None:
        return match[1]
    return next((code for text, code in _CODES_BY_BEGINNING if finding.startswith(text)), "other")


_JOINERS = "\u200c\u200d"  # used by emoji and some scripts; they do not change the direction


def escaped(text: str) -> str:
    r"""Return a text with its control, format and unassigned characters escaped.

    Args:
        text: A name or a message; line breaks, ANSI sequences, bidirectional controls and lone
            surrogates in it are shown as ``\n``, ``\x1b``, ``\u202e``.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        item.encode("unicode_escape").decode("ascii") if _is_unsafe(item) else item for item in text
    )


def _is_unsafe(character: str) -> bool:
    kind = category(character)
    return (kind[0] == "C" and character not in _JOINERS) or kind in ("Zl", "Zp")


class JobEventType(OpenEnum):
    """The kind of a job event."""

    PLANNED = "planned"
    LIST_CREATED = "list_created"
    LIST_FOUND = "list_found"
    BATCH_SENT = "batch_sent"
    BATCH_ACKNOWLEDGED = "batch_acknowledged"
    BATCH_SPLIT = "batch_split"
    RETRY = "retry"
    WAITING_FOR_BUDGET = "waiting_for_budget"
    DONE = "done"
    INTERRUPTED = "interrupted"


@frozen(kw_only=True)
class JobEvent:
    """An event of a job, passed to ``on_event``.

    Attributes:
        kind: What happened.
        job_id: The job in the state file; 0 for a ``retry`` before the job was created.
        ad_account_id: The ad account of the list.
        customer_list_id: The list; ``None`` before it is created.
        operation: ``ADD`` or ``REMOVE``, if the event is about a batch.
        records: Number of records in that batch.
        done: Records of the job acknowledged so far.
        total: Records of the whole job.
        wait: Seconds until the next attempt, if the job is waiting.
        elapsed: Seconds since this run of the job began.
        seconds_left: Estimated seconds until the job is done; ``None`` until a batch was
            acknowledged.
    """

    kind: JobEventType
    job_id: int
    ad_account_id: str
    customer_list_id: str | None = None
    operation: str | None = None
    records: int = 0
    done: int = 0
    total: int = 0
    wait: float = 0.0
    elapsed: float = 0.0
    seconds_left: float | None = None


OnEvent: TypeAlias = Callable[[JobEvent], None]


class _JSONReport:
    """A report that can be written as JSON."""

    def to_dict(self) -> dict[str, JSON]:
        """Return the report as JSON values; later versions only add keys."""
        return cast("dict[str, JSON]", asdict(cast("AttrsInstance", self)))

    def to_json(self) -> str:
        """Return the report as one line of JSON."""
        return json.dumps(self.to_dict(), separators=(",", ":"))


@frozen(kw_only=True)
class JobReport(_JSONReport):
    """Exact counts of a job, over all its runs.

    ``planned == acknowledged + left + dropped + refused``.

    Attributes:
        job_id: The job in the state file.
        kind: ``upload``, ``mirror`` or ``forget``.
        status: ``done``, ``running`` (interrupted, can be resumed), ``superseded`` by a mirror, or
            ``abandoned``; ``planned`` for a plan that was not applied.
        ad_account_id: The ad account of the list.
        customer_list_id: The list; ``None`` if it was not created yet.
        name: The list's name, if known.
        created: Whether this job created the list.
        planned: Records to add and to remove.
        added: Records whose addition was acknowledged.
        removed: Records whose removal was acknowledged.
        resent: Records added again after the removals, because they share an identifier with a
            removed row.
        left: Records not acknowledged yet.
        dropped: Records that were not sent: a later mirror superseded the job, or it was
            abandoned.
        refused: Records that Pinterest refused individually and that were left out.
        sent_twice: Records that were sent more than once, because a response was lost.
        batches: Number of batches.
        calls: Requests sent for them, at least: the requests of a killed process count as one.
        rate_limited: Requests that were refused with 429.
        budget_seconds: Seconds spent waiting for the rate limit.
        bytes: Bytes of request bodies sent.
        source: Counts of the source's rows, as ``PreparationReport.to_dict`` returns them.
        findings: Warnings and notes, in plain text.
        started: When it was planned, in Unix seconds.
        finished: When it was done, in Unix seconds; ``None`` if it is not.
        rejected: Rows of the source that were rejected.
        audience_id: The audience that the job found or created for the list; ``None`` without the
            argument ``audience``.
        audience_status: Its status when the job found or created it, or at the end of the wait.
        audience_pending: Whether the job has ended before its audience was created; ``resume``
            creates it.
    """

    job_id: int
    kind: str
    status: str
    ad_account_id: str
    customer_list_id: str | None
    name: str | None
    created: bool = False
    planned: int = 0
    added: int = 0
    removed: int = 0
    resent: int = 0
    left: int = 0
    dropped: int = 0
    refused: int = 0
    sent_twice: int = 0
    batches: int = 0
    calls: int = 0
    rate_limited: int = 0
    budget_seconds: float = 0.0
    bytes: int = 0
    source: JSON = None
    findings: tuple[str, ...] = ()
    started: float = 0.0
    finished: float | None = None
    rejected: int = 0
    audience_id: str | None = None
    audience_status: str | None = None
    audience_pending: bool = False

    @property
    def finding_codes(self) -> tuple[str, ...]:
        """The code of each finding, such as ``drift``; ``other`` if it has none."""
        return finding_codes_of(self.findings)

    @property
    def acknowledged(self) -> int:
        """Records that Pinterest has acknowledged."""
        return self.added + self.removed + self.resent

    def __str__(self) -> str:
        where = f'"{escaped(self.name)}" ' if self.name else ""
        which = f"list {where}{self.customer_list_id or '(not created)'}"
        lines = [
            f"{self.kind} {self.job_id} to {which}: {self.status}",
            f"{self.planned:>12,} records planned",
            f"{self.added:>12,} added",
            f"{self.removed:>12,} removed",
            f"{self.left:>12,} left",
        ]
        if self.resent:
            lines.append(f"{self.resent:>12,} added again: they share an identifier")
        if self.dropped:
            lines.append(f"{self.dropped:>12,} dropped: {self._drop_reason()}")
        if self.refused:
            lines.append(f"{self.refused:>12,} refused by Pinterest, and left out")
        if self.sent_twice:
            lines.append(f"{self.sent_twice:>12,} sent twice: a response was lost")
        lines.append(
            f"{self.batches:>12,} batches, {counted(self.calls, 'call')}, "
            f"{self.bytes / 1e6:,.1f} MB, {self.rate_limited:,} refused (429), "
            f"{self.budget_seconds:,.0f} s waiting for the budget"
        )
        if self.audience_id is not None:
            lines.append(f"  audience {self.audience_id}: {self.audience_status}")
        elif self.audience_pending:
            lines.append("  audience: not created yet; resume creates it")
        lines += (f"  finding: {escaped(finding)}" for finding in self.findings)
        return "\n".join(lines)

    def _drop_reason(self) -> str:
        abandoned = self.status == "abandoned"
        return "the job was abandoned" if abandoned else "a mirror took their place"


def retry_event(
    ad_account_id: str, report: JobReport | None, wait: float, elapsed: float
) -> JobEvent:
    """Return the event of a retry after a job, or before it."""
    event = JobEvent(
        kind=JobEventType.RETRY,
        job_id=0,
        ad_account_id=ad_account_id,
        wait=wait,
        elapsed=elapsed,
    )
    if report is None:
        return event
    return evolve(
        event,
        job_id=report.job_id,
        customer_list_id=report.customer_list_id,
        done=report.acknowledged + report.refused,
        total=report.planned,
    )


@frozen(kw_only=True)
class ListStatus(_JSONReport):
    """What the state file records about a list.

    Attributes:
        ad_account_id: The ad account of the list.
        customer_list_id: The list; ``None`` if no response to its creation was received.
        name: Its name, if known.
        origin: ``created`` by a job; ``foreign``: not created by a job, so its content is unknown;
            ``adopted``: treated as empty when its mirror began.
        records: Records that are on the list, as far as the state file knows.
        in_doubt: Records that may be on the list or not.
        settled: Whether all jobs of the list are finished.
        jobs: Its jobs, oldest first.
    """

    ad_account_id: str
    customer_list_id: str | None
    name: str | None
    origin: str
    records: int
    in_doubt: int
    settled: bool
    jobs: tuple[JobReport, ...] = ()

    def __str__(self) -> str:
        where = f'"{escaped(self.name)}" ' if self.name else ""
        doubt = f", {self.in_doubt:,} in doubt" if self.in_doubt else ""
        which = f"list {where}{self.customer_list_id or '(not created)'}"
        account = f"of ad account {self.ad_account_id} ({self.origin})"
        unfinished = "" if self.settled else "; a job is unfinished"
        lines = [f"{which} {account}: {counted(self.records, 'record')}{doubt}{unfinished}"]
        lines += (
            f"  {job.kind} {job.job_id}: {job.status}, {job.acknowledged:,} of {job.planned:,}"
            for job in self.jobs
        )
        return "\n".join(lines)


@frozen(kw_only=True)
class RunReport(_JSONReport):
    """One run in the history: a job that was started or resumed, or that failed before.

    Attributes:
        run_id: The run in the state file; later runs have larger ids.
        job_id: Its job; ``None`` if it failed before the job was started.
        operation: ``upload``, ``remove``, ``mirror`` or ``forget``.
        outcome: ``done``; ``running``; ``failed`` with an error; ``interrupted``: cancelled, or its
            process was killed. If the job was ended later without being finished: ``abandoned``, or
            ``superseded`` by a mirror.
        ad_account_id: The ad account.
        customer_list_id: The list; ``None`` if it was not created, or is not in the state file.
        name: The list's name, if known.
        source: The name of the source, such as a file or a URL without credentials and query.
        started: When it was started, in Unix seconds.
        finished: When it ended; ``None`` if it is running or its process was killed.
        seconds: How long it took; ``None`` without ``finished``.
        rows: Rows of the source; 0 if it was not read to its end, or by an earlier run of the job.
        rejected: Rows of the source that were rejected, as ``rows``.
        added: Records whose addition was acknowledged in this run.
        removed: Records whose removal was acknowledged in this run.
        left: Records of the job that were not acknowledged at its end.
        resumed: Whether an earlier run had started the job.
        error_type: The class of the error that ended it.
        error: Its message, without records; ``None`` for an error of another package.
    """

    run_id: int
    job_id: int | None
    operation: str
    outcome: str
    ad_account_id: str
    customer_list_id: str | None
    name: str | None
    source: str | None
    started: float
    finished: float | None = None
    seconds: float | None = None
    rows: int = 0
    rejected: int = 0
    added: int = 0
    removed: int = 0
    left: int = 0
    resumed: bool = False
    error_type: str | None = None
    error: str | None = None

    def __str__(self) -> str:
        where = f'"{escaped(self.name)}" ' if self.name else ""
        job = f" (job {self.job_id})" if self.job_id else ""
        error = f": {escaped(self.error or self.error_type)}" if self.error_type else ""
        return (
            f"run {self.run_id}{job}: {self.operation} to list {where}"
            f"{self.customer_list_id or '(not created)'}: {self.outcome}, {self.added:,} added, "
            f"{self.removed:,} removed{error}"
        )


@frozen(kw_only=True)
class ListErasure(_JSONReport):
    """The result of an erasure in one list.

    Attributes:
        ad_account_id: The ad account of the list.
        customer_list_id: The list; empty if a job that creates it could not be finished.
        name: Its name, if known.
        records: Records whose removal Pinterest has acknowledged.
        content_known: Whether only jobs wrote to the list. If not, every hash of the identifiers
            was removed, but rows of several identifiers that were added outside this tool cannot
            be.
        problem: Why the erasure failed; empty if it did not.
        gone: Whether the list no longer exists at Pinterest; its state was deleted.
    """

    ad_account_id: str
    customer_list_id: str
    name: str | None
    records: int = 0
    content_known: bool = True
    problem: str = ""
    gone: bool = False


@frozen(kw_only=True)
class ErasureReport(_JSONReport):
    """The result of an erasure, for your records; contains no identifiers.

    Attributes:
        reference: Your reference, e.g. the number of the request.
        people: Number of identifiers given.
        unusable: Number of them that are not valid identifiers of that kind.
        begun: When the erasure began, in Unix seconds.
        lists: The result for each list in the state file.
    """

    reference: str
    people: int
    unusable: int
    begun: float
    lists: tuple[ListErasure, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether the erasure succeeded in every list."""
        return not self.unusable and not any(item.problem for item in self.lists)

    def to_dict(self) -> dict[str, JSON]:
        """Return the report as JSON values, and whether it is complete; later versions add keys."""
        return {**super().to_dict(), "complete": self.complete}

    def __str__(self) -> str:
        people = counted(self.people, "identifier")
        head = f"forget {escaped(self.reference) or '(no reference)'}: {people}"
        lines = [head + (f", {self.unusable:,} unusable" if self.unusable else "")]
        for item in self.lists:
            where = f'"{escaped(item.name)}" ' if item.name else ""
            done = escaped(item.problem) or f"{counted(item.records, 'record')} removed"
            if item.gone:
                done = "gone at Pinterest; its state was erased"
            which = item.customer_list_id or "(not created)"
            lines.append(f"  list {where}{which}: {done}")
        return "\n".join(lines)
