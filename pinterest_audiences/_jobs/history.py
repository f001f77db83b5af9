"""The history of runs in the state file: what a job sent each time it ran, and how that ended."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from os import PathLike
from typing import TYPE_CHECKING, cast

import anyio
from attrs import define

from pinterest_audiences._config import current_job
from pinterest_audiences._errors import PinterestAudiencesError, TooManyRejectsError
from pinterest_audiences._jobs.job_context import in_thread
from pinterest_audiences._jobs.job_errors import StateError, summary_of
from pinterest_audiences._jobs.lookup import select_list
from pinterest_audiences._jobs.reports import RunReport
from pinterest_audiences._jobs.state import count_batches, is_in_use, to_counts
from pinterest_audiences._redaction import redact

if TYPE_CHECKING:
    from pinterest_audiences._jobs.job_context import JobContext
    from pinterest_audiences._jobs.lookup import ListSelector
    from pinterest_audiences._jobs.state import JobRow, State
    from pinterest_audiences._models import JSON

__all__ = ["Run", "record_failure", "stored_runs"]

_COUNTED = ("added", "removed", "left")
_OUTCOMES = frozenset({"running", "done", "failed", "interrupted"})
_ENDED_BY_ANOTHER = ("superseded", "abandoned")  # statuses of jobs
_QUERY = """
SELECT run.id, run.job_id, operation, outcome, run.ad_account_id, customer_list_id, name, source,
    started, run.finished, error_type, error, rows, rejected, added, run.removed, unsent,
    added_before, removed_before, run.list_id, job.status,
    NOT EXISTS (SELECT 1 FROM run AS later WHERE later.job_id = run.job_id AND later.id > run.id),
    EXISTS (SELECT 1 FROM run AS earlier WHERE earlier.job_id = run.job_id AND earlier.id < run.id)
FROM run LEFT JOIN list ON list.id = run.list_id LEFT JOIN job ON job.id = run.job_id
WHERE run.service = ? AND (? IS NULL OR run.ad_account_id = ?) AND (? IS NULL OR run.list_id = ?)
ORDER BY run.id DESC LIMIT ?
"""


@define
class Run:
    """One run: a job that sends what is left of it, or an attempt that failed before it could.

    Attributes:
        context: The client.
        started: When it started, in Unix seconds.
        key: Its primary key; ``None`` until its job is started.
    """

    context: JobContext
    started: float
    key: int | None = None

    @classmethod
    def now(cls, context: JobContext) -> Run:
        """Create a run that starts now."""
        return cls(context, context.clock.time())

    @asynccontextmanager
    async def recorded(self, state: State, job: JobRow) -> AsyncGenerator[None, None]:
        """Store the start of a run of a job, whose list must be locked, and how it ends."""
        self.key = await in_thread(_begin, state, job, self.started)
        outer = current_job.get()
        current_job.set(job.key)
        try:
            yield
        except BaseException as error:
            # The state file may be what fails, and that error is raised already.
            with suppress(StateError), anyio.CancelScope(shield=True):
                await in_thread(self._end, state, job, error)
            raise
        finally:
            current_job.set(outer)
        with anyio.CancelScope(shield=True):  # the job is done
            await in_thread(self._end, state, job, None)

    def _end(self, state: State, job: JobRow, error: BaseException | None) -> None:
        failure = error if isinstance(error, Exception) else None
        outcome = "done" if error is None else "failed" if failure else "interrupted"
        with state.database.transaction() as sql:
            _store_end(sql, job.key, outcome, self.context.clock.time(), failure)


async def record_failure(
    run: Run,
    state_path: str | PathLike[str] | None,
    *,
    operation: str,
    selector: ListSelector,
    source: JSON,
    error: Exception,
) -> None:
    """Store a run that failed before its job was started; an error of the state file is ignored.

    Args:
        run: The run.
        state_path: The state file.
        operation: The operation of the run.
        selector: The list.
        source: The report of the source.
        error: The error.
    """
    source_name, rows, rejected = _source_values(source)
    if isinstance(error, TooManyRejectsError):  # perhaps before the end of the source
        rows, rejected = error.rows, error.rejected

    def insert(state: State) -> None:
        list_key = None  # a name that is not in the state file may be a mistyped argument
        account = str(selector.ad_account_id)
        with suppress(PinterestAudiencesError):
            known = state.lists(account)
            list_key = select_list(state, known, selector.customer_list_id, selector.name).key
        with state.database.transaction() as sql:
            sql.execute(
                "INSERT INTO run (service, ad_account_id, list_id, operation, source, started, "
                "finished, rows, rejected, error_type, error, outcome) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'failed')",
                (
                    state.service,
                    account,
                    list_key,
                    operation,
                    source_name,
                    run.started,
                    run.context.clock.time(),
                    rows,
                    rejected,
                    *_described(error),
                ),
            )

    with suppress(StateError):
        async with run.context.state(state_path) as state:
            await in_thread(insert, state)


def _begin(state: State, job: JobRow, started: float) -> int:
    """Insert a run of a job; an earlier one that has not ended was killed."""
    row = state.list_row(job.list_key)
    source_name, *counts_of_source = _source_values(job.plan.get("source"))
    with state.database.transaction() as sql:
        _store_end(sql, job.key, "interrupted", None, None)
        counts = count_batches(sql, job.key)
        (is_first,) = sql.execute(
            "SELECT NOT EXISTS (SELECT 1 FROM run WHERE job_id = ?)", (job.key,)
        ).fetchone()
        inserted = sql.execute(
            "INSERT INTO run (service, ad_account_id, list_id, job_id, operation, source, started, "
            "outcome, rows, rejected, added_before, removed_before) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, 'running', ?, ?, ?, ?)",
            (
                row.service,
                row.ad_account_id,
                row.key,
                job.key,
                job.operation,
                source_name,
                started,
                *(counts_of_source if is_first else (0, 0)),
                counts["added"],
                counts["removed"],
            ),
        )
        return int(inserted.lastrowid or 0)


def _store_end(
    sql: sqlite3.Connection,
    job_key: int,
    outcome: str,
    finished: float | None,
    error: Exception | None,
) -> None:
    """End the run of a job that has not ended."""
    counts = count_batches(sql, job_key)
    sql.execute(
        "UPDATE run SET outcome = ?, finished = ?, added = ? - added_before, "
        "removed = ? - removed_before, unsent = ?, error_type = ?, error = ? "
        "WHERE job_id = ? AND outcome = 'running'",
        (
            outcome,
            finished,
            *(counts[name] for name in _COUNTED),
            *(_described(error) if error is not None else (None, None)),
            job_key,
        ),
    )


def stored_runs(
    state: State, account: str | None, list_key: int | None, limit: int
) -> list[RunReport]:
    """Return the newest runs in the state file, newest first."""
    with state.database.reading() as sql:
        rows = sql.execute(
            _QUERY, (state.service, account, account, list_key, list_key, limit)
        ).fetchall()
        return [_to_report(state, sql, row) for row in rows]


def _to_report(state: State, sql: sqlite3.Connection, row: Sequence[object]) -> RunReport:
    """Convert a row of `_QUERY`.

    Raises:
        TypeError: A value has a type that this package does not write.
        ValueError: This package does not write such a value.
    """
    key, job_key, operation, outcome, account, list_id, name, source, started, finished, *error = (
        row[:12]
    )
    rows, rejected, added, removed, left, added_before, removed_before = to_counts(row[12:19])
    list_key, job_status, is_last, resumed = row[19:]
    if outcome not in _OUTCOMES:
        raise ValueError("outcome")
    if outcome == "running":
        counts = count_batches(sql, cast("int", job_key))
        added, removed = counts["added"] - added_before, counts["removed"] - removed_before
        left = counts["left"]
        if is_last and job_status == "done":  # its process was killed just before it stored this
            outcome = "done"
        elif not is_in_use(state.path, cast("int", list_key)):
            outcome = "interrupted"  # its process was killed
    if outcome != "done" and is_last and job_status in _ENDED_BY_ANOTHER:
        outcome = job_status
    begin, end = cast("float", started), cast("float | None", finished)
    error_type, message = cast("list[str | None]", error)
    return RunReport(
        run_id=cast("int", key),
        job_id=cast("int | None", job_key),
        operation=str(operation),
        outcome=str(outcome),
        ad_account_id=str(account),
        customer_list_id=cast("str | None", list_id),
        name=cast("str | None", name),
        source=cast("str | None", source),
        started=float(begin),
        finished=None if end is None else float(end),
        seconds=None if end is None else max(float(end) - float(begin), 0.0),
        rows=rows,
        rejected=rejected,
        added=added,
        removed=removed,
        left=left,
        resumed=bool(resumed),
        error_type=error_type,
        error=message,
    )


def _described(error: Exception) -> tuple[str, str | None]:
    """Return the class of an error, and its message if it is known to contain no record."""
    is_own = isinstance(error, PinterestAudiencesError)
    return type(error).__name__, redact(summary_of(error)) if is_own else None


def _source_values(report: JSON) -> tuple[str | None, int, int]:
    """Return the name of a source without secrets, its rows, and how many were rejected."""
    values = report if isinstance(report, dict) else {}
    name = values.get("source")
    shown = redact(name) if isinstance(name, str) else None
    return shown, _count(values.get("rows")), _count(values.get("rejected"))


def _count(value: JSON) -> int:
    return value if isinstance(value, int) else 0
