"""Upload, mirror, apply, resume, status: from a source to a report."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from os import PathLike
from typing import TYPE_CHECKING

import anyio
from attrs import define, frozen

from pinterest_audiences.jobs.apply import Delivery, deliver
from pinterest_audiences.jobs.creation import Target, find_target
from pinterest_audiences.jobs.desk import Desk, in_thread
from pinterest_audiences.jobs.errors import GuardError, PlanError
from pinterest_audiences.jobs.figures import list_status, report
from pinterest_audiences.jobs.mirror import Choices, check_content, check_source, make_plan
from pinterest_audiences.jobs.plan import Plan
from pinterest_audiences.jobs.planning import Counts, plan_all, plan_difference
from pinterest_audiences.jobs.snapshot import fold

if TYPE_CHECKING:
    from pinterest_audiences.jobs.events import OnEvent
    from pinterest_audiences.jobs.report import JobReport, ListStatus
    from pinterest_audiences.jobs.source import SourceKeys
    from pinterest_audiences.jobs.state import JobRow, ListRow, State
    from pinterest_audiences.models import JSON, OperationType

__all__ = ["Wanted", "Work", "apply", "mirror", "plan_mirror", "resume", "status", "upload"]

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
        return await deliver(self.desk, state, job, on_event=self.on_event, patience=self.patience)


async def upload(
    work: Work, wanted: Wanted, source: SourceKeys, operation: OperationType
) -> JobReport:
    """Add, or remove, every record of a source that has been read."""
    async with _locked(work, wanted) as (state, target):
        await _finish_earlier(work, state, target.row)
        findings = await _drift(work, state, target)
        if operation == "REMOVE" and target.seen is None:
            raise GuardError(f"{target.row}: there is nothing to remove from", guard="no_list")
        job_key = await _draft(work, state, target.row, "upload")
        counts = await in_thread(plan_all, state, target.row, job_key, source, str(operation))
        if not counts.batches:
            findings.append("the source has no records; nothing was sent")
        plan = _decided(target, source, wanted, findings)
        await in_thread(state.finish_draft, job_key, "running", plan)
        return await work.finish(state, await _job(state, job_key))


async def plan_mirror(work: Work, wanted: Wanted, source: SourceKeys, choices: Choices) -> Plan:
    """Say what would make a list hold what a source holds."""
    async with _locked(work, wanted) as (state, target):
        return await _planned(work, state, target, wanted, source, choices)


async def mirror(
    work: Work, wanted: Wanted, source: SourceKeys, choices: Choices, *, allow_removals: bool
) -> JobReport:
    """Plan, and apply the plan."""
    async with _locked(work, wanted) as (state, target):
        plan = await _planned(work, state, target, wanted, source, choices)
        return await _applied(work, state, target.row, plan, allow_removals=allow_removals)


async def apply(work: Work, plan: Plan, *, allow_removals: bool) -> JobReport:
    """Apply a plan that was made before."""
    async with work.desk.state(work.state_path) as state:
        job = await in_thread(state.job, plan.job_id)
        row = None if job is None else await in_thread(state.list_row, job.list_key)
        if row is None or row.ad_account_id != plan.ad_account_id:
            raise PlanError(
                f"plan {plan.job_id} is not in the state file: a newer plan or job took its place;"
                " plan again"
            )
        with state.locked(row):
            return await _applied(work, state, row, plan, allow_removals=allow_removals)


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
        return [
            await in_thread(list_status, state, row)
            for row in rows
            if customer_list_id is None or row.customer_list_id == str(customer_list_id)
        ]


@asynccontextmanager
async def _locked(work: Work, wanted: Wanted) -> AsyncIterator[tuple[State, Target]]:
    """Open the state, find the list, and hold its lock."""
    async with work.desk.state(work.state_path) as state:
        target = await find_target(
            work.desk, state, wanted.ad_account_id, wanted.customer_list_id, wanted.name
        )
        with state.locked(target.row):
            # It may have been created, or changed, before the lock was ours.
            row = await in_thread(state.list_row, target.row.key)
            yield state, Target(row, target.seen)


async def _planned(
    work: Work,
    state: State,
    target: Target,
    wanted: Wanted,
    source: SourceKeys,
    choices: Choices,
) -> Plan:
    check_source(target.row, source)
    await _finish_earlier(work, state, target.row, superseded=("upload", "mirror"))
    row = await in_thread(state.list_row, target.row.key)
    await in_thread(check_content, state, row, choices)
    target = Target(await in_thread(state.list_row, row.key), target.seen)
    findings = await _drift(work, state, target)
    await in_thread(fold, state.database, row.key)
    job_key = await _draft(work, state, target.row, "mirror")
    counts: Counts = await in_thread(plan_difference, state, target.row, job_key, source)
    plan = make_plan(
        target.row,
        job_key,
        counts,
        source,
        choices,
        calls_a_minute=work.desk.calls_a_minute(),
        findings=findings,
    )
    decided = _decided(target, source, wanted, list(plan.findings))
    decided["blocked"] = plan.blocked
    await in_thread(state.finish_draft, job_key, "planned", decided)
    return plan


async def _applied(
    work: Work, state: State, row: ListRow, plan: Plan, *, allow_removals: bool
) -> JobReport:
    job = await in_thread(state.job, plan.job_id)
    row = await in_thread(state.list_row, row.key)
    if job is None or job.status != "planned" or job.version != row.version:
        raise PlanError(f"plan {plan.job_id} is outdated: {row} has changed since; plan again")
    blocked = job.plan.get("blocked")
    if blocked and not allow_removals:
        raise GuardError(f"{row}: {blocked}", guard="removals")
    await in_thread(state.start, job.key)
    return await work.finish(state, job)


async def _finish_earlier(
    work: Work, state: State, row: ListRow, superseded: tuple[str, ...] = ()
) -> None:
    """Finish the jobs of a list that were interrupted, but for those that a mirror makes needless."""
    if superseded:
        await in_thread(state.supersede, row.key, superseded)
    for job in await in_thread(state.jobs, row.key, "running"):
        await work.finish(state, job)


async def _drift(work: Work, state: State, target: Target) -> list[str]:
    """Compare Pinterest's counters with what was last seen of them, and keep the new ones."""
    row, known = target.row, target.seen
    if known is None or row.uploaded is None:
        return []
    seen = await work.desk.calls.customer_lists_get(row.ad_account_id, known.id)
    added, removed = await in_thread(state.doubts, row.key)
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
    return found


async def _draft(work: Work, state: State, row: ListRow, kind: str) -> int:
    return await in_thread(state.begin_draft, row, kind, work.desk.clock.time())


async def _job(state: State, job_key: int) -> JobRow:
    job = await in_thread(state.job, job_key)
    if job is None:
        raise PlanError(f"job {job_key} has vanished from the state file")
    return job


def _decided(
    target: Target, source: SourceKeys, wanted: Wanted, findings: list[str]
) -> dict[str, JSON]:
    return {
        "creates": target.row.customer_list_id is None,
        "list_type": str(source.list_type),
        "is_nca": wanted.is_nca,
        "source": source.report,
        "findings": findings,
    }
