"""Upload, mirror, apply, resume, status: from a source to a report."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from os import PathLike
from typing import TYPE_CHECKING, cast

import anyio
from attrs import define, field, frozen

from pinterest_audiences.errors import ConfigurationError
from pinterest_audiences.jobs.apply import deliver
from pinterest_audiences.jobs.creation import Target, find_target
from pinterest_audiences.jobs.desk import Desk, in_thread
from pinterest_audiences.jobs.errors import GuardError, PlanError
from pinterest_audiences.jobs.figures import list_status
from pinterest_audiences.jobs.mirror import Choices, adopts, check_source, make_plan
from pinterest_audiences.jobs.plan import Plan, contents, is_of
from pinterest_audiences.jobs.planning import Counts, plan_all, plan_difference
from pinterest_audiences.jobs.snapshot import fold

if TYPE_CHECKING:
    from pinterest_audiences.jobs.events import OnEvent
    from pinterest_audiences.jobs.report import JobReport, ListStatus
    from pinterest_audiences.jobs.rows import JobRow, ListRow
    from pinterest_audiences.jobs.source import SourceKeys
    from pinterest_audiences.jobs.state import State
    from pinterest_audiences.models import JSON, OperationType

__all__ = [
    "Wanted",
    "Work",
    "apply",
    "check_via",
    "mirror",
    "plan_mirror",
    "resume",
    "status",
    "upload",
]

# What a mirror takes the place of: it decides anew about everybody.
_NEEDLESS = ("upload", "mirror")

StatePath = str | PathLike[str] | None


@frozen
class Wanted:
    """Which list is meant, by id or by name; and what it is to be, should it be created.

    Attributes:
        ad_account_id: Whose list.
        customer_list_id: Its id.
        name: Its name.
        is_nca: Whether it is for new customer acquisition, when it is created.
    """

    ad_account_id: str | int
    customer_list_id: str | int | None = None
    name: str | None = None
    is_nca: bool | None = None

    def check(self) -> None:
        """Refuse what cannot work, before a long source is read.

        Raises:
            ConfigurationError: Not exactly one of id and name is given, or the name is empty.
        """
        if (self.customer_list_id is None) == (self.name is None):
            raise ConfigurationError("exactly one of customer_list_id and name is needed")
        name = cast("object", self.name)
        if name is not None and (not isinstance(name, str) or not name.strip()):
            raise ConfigurationError("name: a string that is not empty is needed")


@define
class Work:
    """One piece of work on the state.

    Attributes:
        desk: Where it is done.
        state_path: The state file.
        on_event: Told what happens.
        patience: Seconds for which a failing batch is tried.
    """

    desk: Desk
    state_path: StatePath = None
    on_event: OnEvent | None = None
    patience: float = 7200.0

    async def finish(self, state: State, job: JobRow) -> JobReport:
        """Deliver a job whose list is locked."""
        report = await deliver(
            self.desk, state, job, on_event=self.on_event, patience=self.patience
        )
        if job.kind == "forget":  # whoever finishes it: its own batches hold who was forgotten
            await in_thread(fold, state.database, job.list_key)
            await in_thread(state.database.erase_traces)
        return report


def check_via(via: object) -> None:
    """Refuse a way that there is not.

    Raises:
        ConfigurationError: It is none of the two.
    """
    if via not in ("calls", "multipart"):
        raise ConfigurationError("via: 'calls' or 'multipart' is needed")


async def upload(
    work: Work, wanted: Wanted, source: SourceKeys, operation: OperationType, via: str
) -> JobReport:
    """Add, or remove, every record of a source that has been read.

    Raises:
        GuardError: There is no list to remove from.
        ConfigurationError: Rows cannot be sent as a file.
    """
    if via == "multipart" and "row" in source.spools:
        raise ConfigurationError("via: rows cannot be sent as a file; use 'calls'")
    async with _locked(work, wanted) as task:
        row = await task.finish_earlier()
        if operation == "REMOVE" and row.customer_list_id is None:
            raise GuardError(f"{row}: there is nothing to remove from", guard="no_list")
        job_key = await task.draft("upload")
        counts = await in_thread(plan_all, task.state, row, job_key, source, str(operation))
        if not counts.batches:
            task.findings.append("the source has no records; nothing was sent")
        decided = {**task.decided(row, wanted, source), "via": via}
        await in_thread(task.state.finish_draft, job_key, "running", decided)
        return await task.deliver(job_key)


async def plan_mirror(work: Work, wanted: Wanted, source: SourceKeys, choices: Choices) -> Plan:
    """Say what would make a list hold what a source holds."""
    async with _locked(work, wanted) as task:
        return await _planned(task, wanted, source, choices)


async def mirror(
    work: Work, wanted: Wanted, source: SourceKeys, choices: Choices, *, allow_removals: bool
) -> JobReport:
    """Plan, and apply the plan."""
    async with _locked(work, wanted) as task:
        plan = await _planned(task, wanted, source, choices)
        return await _applied(task, plan.job_id, allow_removals=allow_removals)


async def apply(work: Work, plan: Plan, *, allow_removals: bool) -> JobReport:
    """Apply a plan that was made before.

    Raises:
        PlanError: It is not in the state file any more, of another state file, or outdated.
    """
    async with work.desk.state(work.state_path) as state:
        job = await in_thread(state.job, plan.job_id)
        row = None if job is None else await in_thread(state.list_row, job.list_key)
        place = None if row is None else (row.service, row.ad_account_id)
        if row is None or place != (state.service, plan.ad_account_id):
            raise PlanError(
                f"plan {plan.job_id} is not in the state file: a newer plan or job took its place;"
                " plan again"
            )
        # Jobs are numbered from 1 in each state file.
        if job is None or not is_of(plan, job.plan.get("told")):
            raise PlanError(
                f"plan {plan.job_id} is of another state file, where it was made; in "
                f"{state.path} that number is something else; name that file, or plan again"
            )
        with state.locked(row):
            task = _Task(work, state, row.key)
            return await _applied(task, plan.job_id, allow_removals=allow_removals)


async def resume(
    work: Work, ad_account_id: str | int, customer_list_id: str | int | None
) -> list[JobReport]:
    """Finish what was interrupted: list by list, the lists side by side."""
    reports: dict[int, JobReport] = {}
    problems: list[Exception] = []
    async with work.desk.state(work.state_path) as state:
        rows = await in_thread(state.lists, str(ad_account_id))
        if customer_list_id is not None:
            rows = [row for row in rows if row.customer_list_id == str(customer_list_id)]

        async def one(row: ListRow) -> None:
            try:
                async with work.desk.state(work.state_path) as own:
                    with own.locked(row):
                        for job in await in_thread(own.jobs, row.key, "running"):
                            reports[job.key] = await work.finish(own, job)
            except Exception as error:  # noqa: BLE001 - raised when the other lists are done
                problems.append(error)

        async with anyio.create_task_group() as tasks:
            for row in rows:
                if await in_thread(state.jobs, row.key, "running"):
                    tasks.start_soon(one, row)
    if problems:
        raise problems[0]
    return [reports[key] for key in sorted(reports)]


async def status(
    work: Work, ad_account_id: str | int, customer_list_id: str | int | None
) -> list[ListStatus]:
    """Tell what is known, without asking Pinterest."""
    async with work.desk.state(work.state_path) as state:
        rows = await in_thread(state.lists, str(ad_account_id))
        if customer_list_id is not None:
            rows = [row for row in rows if row.customer_list_id == str(customer_list_id)]
        told = [await in_thread(list_status, state, row) for row in rows]
    # A name that was looked up or planned for, and of which nothing was sent, is no list.
    return [each for each in told if each.customer_list_id is not None or _is_begun(each)]


def _is_begun(told: ListStatus) -> bool:
    """Tell whether a list without an id is being created, or may have been."""
    return any(
        job.status == "running" or (job.status == "done" and job.batches) for job in told.jobs
    )


@define
class _Task:
    """Work on one list whose lock is held.

    Attributes:
        work: What is to be done.
        state: The state file.
        list_key: The list in it.
        findings: What is worth knowing so far.
    """

    work: Work
    state: State
    list_key: int
    findings: list[str] = field(factory=list[str])

    async def row(self) -> ListRow:
        """Return what is known of the list now."""
        return await in_thread(self.state.list_row, self.list_key)

    async def finish_earlier(self, *, needless: tuple[str, ...] = ()) -> ListRow:
        """Finish the interrupted jobs of the list, but for kinds that a mirror makes needless."""
        for job in await in_thread(self.state.jobs, self.list_key, "running"):
            if job.kind not in needless:
                await self.work.finish(self.state, job)
        return await self.row()

    async def draft(self, kind: str) -> int:
        """Begin a plan."""
        row = await self.row()
        return await in_thread(self.state.begin_draft, row, kind, self.work.desk.clock.time())

    async def deliver(self, job_key: int) -> JobReport:
        """Deliver a job."""
        job = await in_thread(self.state.job, job_key)
        if job is None:
            raise PlanError(f"job {job_key} has vanished from the state file")
        return await self.work.finish(self.state, job)

    def decided(self, row: ListRow, wanted: Wanted, source: SourceKeys) -> dict[str, JSON]:
        """Return what the state keeps of a plan."""
        return {
            "creates": row.customer_list_id is None,
            "list_type": str(source.list_type),
            "is_nca": wanted.is_nca,
            "source": source.report,
            "findings": self.findings,
        }


@asynccontextmanager
async def _locked(work: Work, wanted: Wanted) -> AsyncGenerator[_Task, None]:
    """Open the state, find the list, and hold its lock."""
    async with work.desk.state(work.state_path) as state:
        target = await find_target(
            work.desk, state, str(wanted.ad_account_id), wanted.customer_list_id, wanted.name
        )
        with state.locked(target.row):
            task = _Task(work, state, target.row.key)
            if (await task.row()).version == target.row.version:
                task.findings += await in_thread(_drift, state, target)
                if target.seen is not None and not task.findings:
                    # Explained as they are; a batch that is given up is in no later comparison.
                    await in_thread(state.see_counters, target.row.key, target.seen)
            yield task


async def _planned(task: _Task, wanted: Wanted, source: SourceKeys, choices: Choices) -> Plan:
    row = await task.row()
    check_source(row, source)
    adopted = adopts(row, choices)
    # A list that is being created has to be found first: what was sent may be on it.
    row = await task.finish_earlier(needless=_NEEDLESS if row.customer_list_id else ())
    await in_thread(fold, task.state.database, row.key)
    job_key = await task.draft("mirror")
    counts: Counts = await in_thread(plan_difference, task.state, row, job_key, source)
    plan = make_plan(
        row,
        job_key,
        counts,
        source,
        choices,
        calls_a_minute=task.work.desk.calls_a_minute(),
        findings=task.findings,
    )
    task.findings = list(plan.findings)
    # Not adopted before it is applied: planning must not open the guard for a later mirror.
    decided = {
        **task.decided(row, wanted, source),
        "adopts": adopted,
        "blocked": plan.blocked,
        "told": contents(plan),
    }
    await in_thread(task.state.finish_draft, job_key, "planned", decided)
    return plan


async def _applied(task: _Task, job_key: int, *, allow_removals: bool) -> JobReport:
    job, row = await in_thread(task.state.job, job_key), await task.row()
    if job is None or job.status != "planned" or job.version != row.version:
        raise PlanError(f"plan {job_key} is outdated: {row} has changed since; plan again")
    blocked = job.plan.get("blocked")
    if blocked and not allow_removals:
        raise GuardError(f"{row}: {blocked}", guard="removals")
    # Not before now: a plan that is never applied must not cost an unfinished upload.
    await in_thread(task.state.supersede, row.key, _NEEDLESS)
    await in_thread(task.state.start, job)
    return await task.deliver(job_key)


def _drift(state: State, target: Target) -> list[str]:
    """Compare Pinterest's counters with those that were last seen by a job."""
    row, seen = target.row, target.seen
    if seen is None:
        return []
    added, removed = state.doubts(row.key)
    found: list[str] = []
    for what, before, now, doubt in (
        ("added", row.uploaded, seen.num_uploaded_user_records, added),
        ("removed", row.removed, seen.num_removed_user_records, removed),
    ):
        if before is not None and now is not None and not before <= now <= before + doubt:
            found.append(
                f"drift: somebody else has {what} {now - before:,} records since the last job; "
                "they are not in the snapshot, and no mirror removes what it does not know"
            )
    if not found:  # what was in doubt is in them now; what is drift is told again next time
        state.see_counters(row.key, seen)
    return found
