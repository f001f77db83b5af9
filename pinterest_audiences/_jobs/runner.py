"""Run jobs: upload, mirror, plan, apply and resume."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from os import PathLike
from typing import TYPE_CHECKING, Literal, Self, TypeVar

from attrs import define, evolve, field

from pinterest_audiences import _config
from pinterest_audiences._errors import CallError, ConfigurationError, SourceError, suggest
from pinterest_audiences._http.operations import validate_id
from pinterest_audiences._http.retry import is_transient
from pinterest_audiences._jobs.audiences import (
    AUDIENCE_OF_REMOVAL,
    AudienceOptions,
    add_audience,
    pending_audience,
    wait_for_audience,
)
from pinterest_audiences._jobs.delivery import send_batches
from pinterest_audiences._jobs.history import Run, record_failure
from pinterest_audiences._jobs.job_context import (
    MAX_LISTS_AT_ONCE,
    JobContext,
    Retries,
    in_thread,
    run_concurrently,
)
from pinterest_audiences._jobs.job_errors import (
    AudienceError,
    GuardError,
    JobsFailedError,
    PlanError,
    combined_error,
    summary_of,
)
from pinterest_audiences._jobs.lookup import (
    LOST_CREATE_FINDING,
    ListSelector,
    UnansweredCreation,
    created_since,
    find_row,
    find_unanswered_creation,
    is_name_taken,
    refuse_existing,
    resolve_creation,
    resolve_list,
    select_list,
)
from pinterest_audiences._jobs.membership import UnfinishedJobs, check_drift, compact
from pinterest_audiences._jobs.plan import (
    FINGERPRINT_KEY,
    ExpectedRows,
    MirrorOptions,
    Plan,
    PlanCounts,
    SourceFigures,
    UploadOptions,
    check_guards,
    count_in_source,
    fingerprint,
    list_warnings,
    make_plan,
    matches,
    must_adopt,
    plan_mirror_batches,
    plan_upload_batches,
    refuse_blocked,
    refuse_empty_source,
    source_findings_of,
)
from pinterest_audiences._jobs.reports import escaped, retry_event
from pinterest_audiences._jobs.unfinished import (
    created_type,
    end_jobs,
    not_sent,
    pending_removals,
    removal_jobs,
    unanswered_jobs,
)
from pinterest_audiences._text import counted

if TYPE_CHECKING:
    from pinterest_audiences._jobs.keys import KeyedSource
    from pinterest_audiences._jobs.reports import JobReport, OnEvent
    from pinterest_audiences._jobs.state import JobRow, ListRow, State
    from pinterest_audiences._models import JSON
__all__ = [
    "JobOptions",
    "MirrorPlans",
    "allowed_guards",
    "apply",
    "mirror",
    "plan_mirror",
    "plan_upload",
    "resume",
    "upload",
]

StatePath = str | PathLike[str] | None
Item = TypeVar("Item")
_NO_RETRY_SECONDS = 0.001  # less than any delay before an attempt
_logger = logging.getLogger("pinterest_audiences")


@define
class JobOptions:
    """The options that all jobs share, and the client that runs them.

    Attributes:
        context: The client.
        state_path: The state file.
        on_event: Called with each event.
        retry_timeout: Seconds for which a failing batch is retried.
        batch_size: Maximum number of records of a batch; ``None`` for the default.
        expect_rows: The minimum number of rows of the source.
        audience: The audience that the list gets after the job.
        current_run: The run in the history that the job of these options belongs to.
    """

    context: JobContext
    state_path: StatePath = None
    on_event: OnEvent | None = None
    retry_timeout: float = 7200.0
    batch_size: int | None = None
    expect_rows: ExpectedRows | None = None
    audience: AudienceOptions | None = None
    current_run: Run | None = None

    @classmethod
    def checked(
        cls,
        context: JobContext,
        *,
        state_path: StatePath,
        on_event: OnEvent | None,
        retry_timeout: float,
        batch_size: object,
        expect_rows: float | str | None,
        audience: AudienceOptions | None = None,
    ) -> Self:
        """Create options from the arguments of a client's method.

        Raises:
            ConfigurationError: ``retry_timeout`` is not a number above 0, ``batch_size`` not
                a whole number above 0, or ``expect_rows`` neither a count nor a share.
        """
        seconds = _config.validate_number("retry_timeout", retry_timeout, above=0.0)
        expected = ExpectedRows.parse(expect_rows)
        if batch_size is not None and (
            isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1
        ):
            raise ConfigurationError(
                "batch_size must be a whole number of at least 1", param="batch_size"
            )
        return cls(context, state_path, on_event, seconds, batch_size, expected, audience)

    def retries(self, account: str, report: JobReport | None = None) -> Retries:
        """Return how calls before and after a job are retried: like those of a batch.

        Args:
            account: The ad account.
            report: The report of the job, after it.
        """
        clock = self.context.clock
        started = clock.monotonic()

        def on_retry(error: CallError, wait: float) -> None:
            _logger.info("%s; retrying in %.0f s", error, wait)
            if self.on_event is not None:
                elapsed = clock.monotonic() - started
                self.on_event(retry_event(account, report, wait, elapsed))

        return Retries(self.context, self.retry_timeout, on_retry)

    async def add_audience(
        self, state: State, report: JobReport, audience: AudienceOptions
    ) -> JobReport:
        """Give the list of a finished job its audience; the list must be locked."""
        retries = self.retries(report.ad_account_id, report)
        return await add_audience(self.context, state, report, audience.name, retries)

    async def wait_for_audience(
        self, report: JobReport, audience: AudienceOptions | None
    ) -> JobReport:
        """Wait for the list of a finished job, and give it its audience, if that is an option."""
        if audience is None or not audience.wait:
            return report
        if report.customer_list_id is None:
            async with self.context.state(self.state_path) as state:
                return await self.add_audience(state, report, audience)  # only adds a finding
        return await wait_for_audience(
            self.context,
            self.state_path,
            report,
            audience,
            self.retries(report.ad_account_id, report),
        )

    @asynccontextmanager
    async def recorded(
        self, operation: str, selector: ListSelector, source: JSON
    ) -> AsyncGenerator[JobOptions, None]:
        """Record a run that fails before its job is started; yields the options for the job.

        Args:
            operation: The operation of the run.
            selector: The list.
            source: The report of the source, as in a stored plan.
        """
        run = Run.now(self.context)
        try:
            yield evolve(self, current_run=run)
        except Exception as error:  # whatever failed the run, it is recorded and raised again
            # A wrong argument is not a run.
            if run.key is None and not isinstance(error, ConfigurationError):
                await record_failure(
                    run,
                    self.state_path,
                    operation=operation,
                    selector=selector,
                    source=source,
                    error=error,
                )
            raise

    async def run(self, state: State, job: JobRow, run: Run | None = None) -> JobReport:
        """Send what is left of a job, whose list must be locked."""
        async with (run or Run.now(self.context)).recorded(state, job):
            report = await send_batches(
                self.context,
                state,
                job,
                on_event=self.on_event,
                retry_timeout=self.retry_timeout,
                batch_size=self.batch_size,
            )
            if job.plan.get("repairs"):
                await in_thread(state.clear_missing, job.list_key)
            if job.kind == "forget":  # its batches contain the erased identifiers
                await in_thread(compact, state.database, job.list_key)
                await in_thread(state.database.erase_traces)
        return report


def allowed_guards(*, allow_removals: bool, allow_unreadable: bool = False) -> frozenset[str]:
    """Return the guards that the caller has allowed to be ignored."""
    flags = {"removals": allow_removals, "unreadable_rows": allow_unreadable}
    return frozenset(guard for guard, allowed in flags.items() if allowed)


async def upload(
    options: JobOptions,
    selector: ListSelector,
    source: KeyedSource,
    upload_options: UploadOptions,
    *,
    allowed: frozenset[str],
) -> JobReport:
    """Plan and apply at once; ``allowed`` are guards to ignore."""
    must_be_new = upload_options.must_be_new
    async with options.recorded(upload_options.run_operation, selector, source.summary) as recorded:
        source.check_read()
        findings = _source_findings(source, upload_options)
        async with _open_session(recorded, selector, must_be_new=must_be_new) as session:
            session.findings += findings
            row, _ = await session.finish_running_jobs()
            plan = await _plan_upload(session, row, selector, source, upload_options)
            source.close()  # its records are in the plan, and sending may take hours
            report = await _apply_plan(session, plan.job_id, allowed)
    return await options.wait_for_audience(report, options.audience)


async def plan_upload(
    options: JobOptions,
    selector: ListSelector,
    source: KeyedSource,
    upload_options: UploadOptions,
    *,
    store: bool,
) -> Plan:
    """Plan to add or remove every record of a source.

    Without ``store`` the records are only counted: the list is not locked, and is looked up only
    if the plan depends on what Pinterest has.
    """
    must_be_new = upload_options.must_be_new
    if store:
        async with options.recorded(upload_options.run_operation, selector, source.summary):
            source.check_read()
            findings = _source_findings(source, upload_options)
            async with _open_session(options, selector, must_be_new=must_be_new) as session:
                session.findings += findings
                row = await session.row()
                return await _plan_upload(session, row, selector, source, upload_options)
    source.check_read()
    findings = _source_findings(source, upload_options)
    lookup = must_be_new or upload_options.operation == "REMOVE"
    async with options.context.state(options.state_path) as state:
        row = await options.retries(str(selector.ad_account_id)).call(
            lambda: find_row(
                options.context, state, selector, lookup=lookup, must_be_new=must_be_new
            ),
        )
        session = ListSession(options, state, row.key, findings)
        return await _plan_upload(session, row, selector, source, upload_options, store=False)


def _source_findings(source: KeyedSource, upload_options: UploadOptions) -> list[str]:
    """Return the findings about a source, before its list is looked up.

    Raises:
        TooManyRejectsError: All values were rejected.
        ConfigurationError: Rows cannot be sent as a file.
    """
    findings = source.check_rejects()
    if upload_options.via == "multipart" and "row" in source.keys_by_codec:
        raise ConfigurationError(
            "via must be 'calls' for rows, which cannot be sent as a file", param="via"
        )
    return findings


async def plan_mirror(
    options: JobOptions, selector: ListSelector, source: KeyedSource, mirror_options: MirrorOptions
) -> Plan:
    """Plan the changes that make a list equal to a source."""
    async with options.recorded("mirror", selector, source.summary):
        source.check_read()
        async with _open_session(options, selector) as session:
            return await _plan_changes(session, selector, source, mirror_options)


async def mirror(
    options: JobOptions,
    selector: ListSelector,
    source: KeyedSource,
    mirror_options: MirrorOptions,
    *,
    allowed: frozenset[str],
) -> JobReport:
    """Plan and apply at once; ``allowed`` are guards to ignore."""
    async with options.recorded("mirror", selector, source.summary) as recorded:
        source.check_read()
        async with _open_session(recorded, selector) as session:
            plan = await _plan_changes(session, selector, source, mirror_options)
            source.close()  # its records are in the plan, and sending may take hours
            report = await _apply_plan(session, plan.job_id, allowed)
    return await options.wait_for_audience(report, options.audience)


async def apply(options: JobOptions, plan: Plan, *, allowed: frozenset[str]) -> JobReport:
    """Apply a stored plan; ``allowed`` are guards to ignore.

    Raises:
        PlanError: The plan is not in the state file, belongs to another one, or is outdated.
        ConfigurationError: The plan removes records, and an audience is to be created.
    """
    async with options.context.state(options.state_path) as state:
        job = await in_thread(state.job, plan.job_id)
        row = None if job is None else await in_thread(state.list_row, job.list_key)
        owner = None if row is None else (row.service, row.ad_account_id)
        if row is None or owner != (state.service, plan.ad_account_id):
            raise PlanError(
                f"plan {plan.job_id} is not in the state file: a newer plan or job replaced it;"
                " plan again"
            )
        # Other state files have jobs with the same numbers.
        if job is None or not matches(plan, job.plan.get(FINGERPRINT_KEY)):
            raise PlanError(
                f"plan {plan.job_id} was created with another state file; in {state.path} that "
                "number belongs to another job; use that file, or plan again"
            )
        if options.audience is not None and job.plan.get("operation") == "REMOVE":
            raise ConfigurationError(AUDIENCE_OF_REMOVAL, param="audience")
        selector = ListSelector(row.ad_account_id, row.customer_list_id, row.name)
        async with options.recorded(job.operation, selector, job.plan.get("source")) as recorded:
            with state.locked(row):
                session = ListSession(recorded, state, row.key)
                report = await _apply_plan(session, plan.job_id, allowed, is_stored=True)
    return await options.wait_for_audience(report, options.audience)


@define
class MirrorPlans:
    """The plans of several lists, each made from its source, and then applied concurrently.

    Only one source is read at a time: its records are in the state file when the next one is read.

    Attributes:
        options: The options of the jobs.
        plans: The plan of each list, by its key.
        errors: The error of each list that failed, by its key.
    """

    options: JobOptions
    plans: dict[str, Plan] = field(factory=dict[str, Plan])
    errors: dict[str, Exception] = field(factory=dict[str, Exception])
    _retry_timeout: float | None = None

    @contextmanager
    def catch_errors(self, key: str) -> Generator[JobOptions, None, None]:
        """Store an error of a list, so that the others continue; yields the options of its plan."""
        try:
            yield evolve(
                self.options, retry_timeout=self._retry_timeout or self.options.retry_timeout
            )
        except Exception as error:  # noqa: BLE001 - raised with those of the other lists
            self.errors[key] = error
            if isinstance(error, CallError) and is_transient(error):
                # The outage has been waited for once; the lookup of each other list is tried once.
                self._retry_timeout = _NO_RETRY_SECONDS

    async def apply(self, allowed: frozenset[str], limit: int) -> dict[str, JobReport]:
        """Apply the plans, at most ``limit`` at once; ``allowed`` are guards to ignore.

        Raises:
            JobsFailedError: Some lists failed.
        """
        reports: dict[str, JobReport] = {}

        async def apply_one(key: str) -> None:
            reports[key] = await apply(self.options, self.plans[key], allowed=allowed)

        refused = self._errors_of_repeated_lists()
        applied = [key for key in self.plans if key not in refused]
        failed = refused | await run_concurrently(apply_one, applied, limit)
        reports = {key: reports[key] for key in self.plans if key in reports}
        errors = self.errors | {key: failed[key] for key in self.plans if key in failed}
        if errors:
            count = len(errors)
            raise JobsFailedError(
                f"{count} of {count + len(reports)} lists failed: "
                + "; ".join(
                    f"{escaped(key)}: {summary_of(error)}" for key, error in errors.items()
                ),
                reports=reports,
                errors=errors,
            ) from next(iter(errors.values()))
        return reports

    def _errors_of_repeated_lists(self) -> dict[str, Exception]:
        """Return an error for each key of a list that has several; which one counts is unknown."""
        keys_of: dict[str, list[str]] = {}
        for key, plan in self.plans.items():
            if plan.customer_list_id is not None:
                keys_of.setdefault(plan.customer_list_id, []).append(key)
        return {
            key: ConfigurationError(
                f"sources has {len(keys)} keys for list {customer_list_id}, and nothing was sent "
                "to it; pass one source for each list",
                param="sources",
            )
            for customer_list_id, keys in keys_of.items()
            if len(keys) > 1
            for key in keys
        }


@define
class ListSession:
    """An operation on one list, while its lock is held.

    Attributes:
        options: The options of the job.
        state: The state file.
        list_key: The list in the state file.
        findings: The findings so far.
    """

    options: JobOptions
    state: State
    list_key: int
    findings: list[str] = field(factory=list[str])

    async def row(self) -> ListRow:
        """Return the current row of the list."""
        return await in_thread(self.state.list_row, self.list_key)

    async def finish_running_jobs(self) -> tuple[ListRow, int]:
        """Finish the interrupted jobs of the list, and return its row and their number."""
        running = await in_thread(self.state.jobs, self.list_key, "running")
        for job in running:
            await self.options.run(self.state, job)
        return await self.row(), len(running)

    async def finish_removal_jobs(self) -> None:
        """Finish the interrupted explicit removals, which a mirror must not supersede."""
        for job in await in_thread(removal_jobs, self.state, self.list_key):
            await self.options.run(self.state, job)

    async def supersede_jobs(self) -> None:
        """Mark the unfinished jobs as superseded by a mirror; removals must be finished before."""
        jobs = await in_thread(self.state.jobs, self.list_key, "running")
        await in_thread(end_jobs, self.state, self.list_key, jobs, "superseded")

    async def check_type(self, row: ListRow, selector: ListSelector, source: KeyedSource) -> None:
        """Refuse records of another type than the list was created with.

        Raises:
            GuardError: They have another type.
        """
        if row.customer_list_id is None or selector.allow_other_type or not source.has_type:
            return
        created = await in_thread(created_type, self.state, row.key)
        if created is not None and created != str(source.list_type):
            raise GuardError(
                f"{row} was created for records of type {created}, and the source has "
                f"{source.list_type}",
                guard="list_type",
                suggestion=suggest(
                    "use a separate list, or pass {allow_other_type}", allow_other_type=True
                ),
            )

    async def draft(self, kind: str) -> int:
        """Insert a draft of a job."""
        row = await self.row()
        return await in_thread(self.state.begin_draft, row, kind, self.options.context.clock.time())

    async def deliver(self, job_key: int) -> JobReport:
        """Run a job that has been planned."""
        job = await in_thread(self.state.job, job_key)
        if job is None:
            raise PlanError(f"job {job_key} is not in the state file any more")
        return await self.options.run(self.state, job, self.options.current_run)

    async def add_audience(self, report: JobReport) -> JobReport:
        """Give the list the audience of a finished job, or of an earlier one that has none yet.

        One for which the list has to be processed first is left out.

        Raises:
            AudienceError: The audience of the job could not be looked up or created.
        """
        pending = await in_thread(pending_audience, self.state, self.list_key)
        if pending is None:
            return report
        job_key, audience = pending
        if job_key == report.job_id:
            return (
                report
                if audience.wait
                else await self.options.add_audience(self.state, report, audience)
            )
        earlier = await in_thread(self.state.report, job_key)
        finding = f"{earlier.kind} {job_key} is done, but its audience is not"
        if not audience.wait:
            try:
                await self.options.add_audience(self.state, earlier, audience)
            except AudienceError as error:  # the job itself has no audience
                finding = summary_of(error)
            else:
                return report
        await in_thread(self.state.add_finding, report.job_id, f"no_audience: {finding}; resume it")
        return await in_thread(self.state.report, report.job_id)

    async def figures(
        self, source: KeyedSource, kind: str, operation: str = "ADD"
    ) -> tuple[SourceFigures | None, SourceFigures | None]:
        """Return the row counts of a source, and those of the last job of a kind."""
        last = await in_thread(self.state.last_source, self.list_key, kind, operation)
        return SourceFigures.of(source.report), SourceFigures.of(last)

    def check_expected_rows(
        self, row: ListRow, source: KeyedSource, last: SourceFigures | None
    ) -> None:
        """Check the ``expect_rows`` option.

        Raises:
            GuardError: The source has fewer rows than expected.
        """
        now = SourceFigures.of(source.report)
        if self.options.expect_rows is not None and now is not None:
            self.findings += self.options.expect_rows.check(str(row), now.rows, last)

    async def note_running_jobs(self) -> None:
        """Add a finding for each interrupted job, which is finished before a plan is applied."""
        for job in await in_thread(self.state.jobs, self.list_key, "running"):
            done, total = await in_thread(self.state.count_records, job.key)
            left = counted(total - done, "record", "are")
            self.findings.append(f"{job.kind} {job.key} is finished first: {left} left of it")

    def make_plan(
        self,
        kind: Literal["upload", "mirror"],
        row: ListRow,
        job_key: int | None,
        counts: PlanCounts,
        source: KeyedSource,
        *,
        guards: dict[str, str],
    ) -> Plan:
        """Create a plan from its counts and guards, and the findings so far."""
        return make_plan(
            kind,
            row,
            job_key or 0,
            counts,
            source,
            calls_a_minute=self.options.context.calls_per_minute(),
            findings=self.findings,
            guards=guards,
        )

    def plan_values(
        self, row: ListRow, selector: ListSelector, source: KeyedSource, plan: Plan
    ) -> dict[str, JSON]:
        """Return the values that every job stores when it is planned."""
        return {
            "creates": row.customer_list_id is None,
            "list_type": str(source.list_type),
            "is_nca": selector.is_nca,
            "source": source.report,
            "findings": self.findings,
            "batch_size": self.options.batch_size,
            "blocked": plan.blocked,
            "guards": dict(plan.guards),
            FINGERPRINT_KEY: fingerprint(plan),
        }


@asynccontextmanager
async def _open_session(
    options: JobOptions, selector: ListSelector, *, must_be_new: bool = False
) -> AsyncGenerator[ListSession, None]:
    """Open the state file, resolve the list, hold its lock, and check for drift."""
    async with options.context.state(options.state_path) as state:
        account = str(selector.ad_account_id)
        resolved = await options.retries(account).call(
            lambda: resolve_list(
                options.context,
                state,
                account,
                selector.customer_list_id,
                selector.name,
                must_be_new=must_be_new,
            ),
        )
        with state.locked(resolved.row):
            session = ListSession(options, state, resolved.row.key)
            row = await session.row()
            if must_be_new:
                await in_thread(refuse_existing, state, row)
            if resolved.current is not None and row.version == resolved.row.version:
                session.findings += await in_thread(check_drift, state, row, resolved.current)
            yield session


async def _plan_upload(
    session: ListSession,
    row: ListRow,
    selector: ListSelector,
    source: KeyedSource,
    upload_options: UploadOptions,
    *,
    store: bool = True,
) -> Plan:
    """Count what an upload sends; with ``store``, write its batches to the state file.

    Raises:
        GuardError: The list to remove from does not exist.
        SourceError: A new list would be empty.
    """
    operation = str(upload_options.operation)
    if operation == "ADD":
        await session.check_type(row, selector, source)
    elif row.customer_list_id is None:
        raise GuardError(f"{row}: nothing can be removed from it", guard="no_list")
    _, last = await session.figures(source, "upload", operation)
    session.check_expected_rows(row, source, last)
    await session.note_running_jobs()
    job_key = await session.draft("upload") if store else None
    size = session.options.batch_size
    counts = await in_thread(
        lambda: plan_upload_batches(session.state, row, job_key, source, operation, batch_size=size)
    )
    if not counts.batches:
        if upload_options.must_be_new:
            raise SourceError(
                "has no customer that can be sent; no list was created",
                source=str(source.report.get("source")),
            )
        session.findings.append("the source has no records; nothing was sent")
    guards = check_guards(counts, upload_options.max_removal_share)
    plan = session.make_plan("upload", row, job_key, counts, source, guards=guards)
    if job_key is not None:
        plan_values = {
            **session.plan_values(row, selector, source, plan),
            "via": upload_options.via,
            "operation": operation,
        }
        await in_thread(session.state.finish_draft, job_key, "planned", plan_values)
    return plan


async def _plan_changes(
    session: ListSession, selector: ListSelector, source: KeyedSource, mirror_options: MirrorOptions
) -> Plan:
    """Compare a source with a list, and store the plan."""
    row = await session.row()
    now, last = await session.figures(source, "mirror")
    session.check_expected_rows(row, source, last)
    refuse_empty_source(row, source)
    adopted = must_adopt(row, mirror_options)
    unanswered = await session.options.retries(row.ad_account_id).call(
        lambda: find_unanswered_creation(session.options.context, session.state, row),
    )
    unfinished, findings = await assume_unfinished(session.state, row, source, unanswered)
    session.findings += findings
    if row.customer_list_id is not None:
        await in_thread(compact, session.state.database, row.key)
    elif unanswered.lists:
        row = evolve(row, customer_list_id=unanswered.lists[0])
    await session.check_type(row, selector, source)
    job_key = await session.draft("mirror")
    size = session.options.batch_size
    counts: PlanCounts = await in_thread(
        lambda: plan_mirror_batches(
            session.state, row, job_key, source, unfinished, batch_size=size
        )
    )
    session.findings += source_findings_of(counts, now, last)
    session.findings += list_warnings(counts, mirror_options)
    guards = check_guards(counts, mirror_options.max_removal_share, now, last)
    plan = session.make_plan("mirror", row, job_key, counts, source, guards=guards)
    # The list is adopted only when the plan is applied, so that planning bypasses no guard.
    plan_values = {
        **session.plan_values(row, selector, source, plan),
        "adopts": adopted,
        "unanswered": list(unanswered.lists),
        "repairs": row.missing > 0,
    }
    await in_thread(session.state.finish_draft, job_key, "planned", plan_values)
    return plan


async def assume_unfinished(
    state: State, row: ListRow, source: KeyedSource, unanswered: UnansweredCreation
) -> tuple[UnfinishedJobs, list[str]]:
    """Return what a plan assumes about unfinished jobs, which are not changed, and findings."""
    findings: list[str] = []
    if unanswered.lists:
        findings.append(LOST_CREATE_FINDING.format(unanswered.lists[0]))
    if len(unanswered.lists) > 1:
        findings.append(
            f"{len(unanswered.lists)} lists have that name and are newer than the lost answer "
            f"({', '.join(unanswered.lists)}); the newest is used"
        )
    removals = await in_thread(removal_jobs, state, row.key)
    for job in removals:
        pending = await in_thread(pending_removals, state, job.key)
        count = sum(batch.count for batch in pending)
        text = (
            f"{job.kind} {job.key} is finished first: {counted(count, 'removal', 'are')} left of it"
        )
        in_source = await in_thread(count_in_source, state, pending, source)
        if in_source:
            text += f"; those in the source ({in_source:,}) are added again afterwards"
        findings.append(text)
    not_received = () if unanswered.lists else unanswered.jobs
    unfinished = UnfinishedJobs(
        frozenset(job.key for job in removals), frozenset(job.key for job in not_received)
    )
    return unfinished, findings


async def _apply_plan(
    session: ListSession, job_key: int, allowed: frozenset[str], *, is_stored: bool = False
) -> JobReport:
    """Run a planned job, after the unfinished jobs of its list that it does not supersede.

    Args:
        session: The list.
        job_key: The job.
        allowed: Guards to ignore.
        is_stored: Whether the job was planned earlier, so that its list may have been created
            since by others.

    Raises:
        GuardError: A guard blocks the plan.
        PlanError: The plan is outdated.
    """
    job, row = await in_thread(session.state.job, job_key), await session.row()
    if job is None or job.status != "planned" or job.version != row.version:
        raise PlanError(f"plan {job_key} is outdated: {row} has changed since; plan again")
    refuse_blocked(row, job, allowed)
    if job.kind == "mirror":
        if is_stored:
            await _refuse_created(session, row, job)
        await _supersede(session, row, job)
    else:
        row, finished = await session.finish_running_jobs()
        if finished and job.plan.get("creates"):
            # The list was created for another job, perhaps for records of another type.
            raise created_since(job, row)
        if finished and job.plan.get("operation") == "REMOVE":
            # Its counts, and the records that are added again, depend on the members.
            raise PlanError(
                f"plan {job_key} is outdated: an interrupted job of {row} was finished first; plan "
                "again"
            )
        if is_stored:
            await _refuse_created(session, row, job)
    audience = session.options.audience
    await in_thread(session.state.start, job, None if audience is None else audience.to_plan())
    return await session.add_audience(await session.deliver(job_key))


async def _refuse_created(session: ListSession, row: ListRow, job: JobRow) -> None:
    """Refuse a plan that would create a second list of a name.

    Raises:
        PlanError: A list of that name has been created since the plan was made.
        CallError: A call to Pinterest failed.
    """
    if row.customer_list_id is not None or not job.plan.get("creates"):
        return
    unanswered = await in_thread(unanswered_jobs, session.state, row.key)
    if job.kind == "mirror" and unanswered:
        return  # `resolve_creation` looks for the list
    if not await session.options.retries(row.ad_account_id).call(
        lambda: is_name_taken(session.options.context, row)
    ):
        return
    running = await in_thread(session.state.jobs, row.key, "running")
    first = "".join(f"abandon {other.kind} {other.key} and " for other in running)
    raise PlanError(
        f"plan {job.key} is outdated: a list of that name has been created since; {first}plan again"
    )


async def _supersede(session: ListSession, row: ListRow, job: JobRow) -> None:
    """End the unfinished jobs that a mirror supersedes, and finish the others.

    Only now, because a plan that is never applied must not supersede an unfinished upload.
    """
    not_received = await session.options.retries(row.ad_account_id).call(
        lambda: resolve_creation(session.options.context, session.state, row, job),
    )
    await session.finish_removal_jobs()
    await session.supersede_jobs()
    await in_thread(not_sent, session.state, not_received)


async def resume(
    options: JobOptions, ad_account_id: str | int, customer_list_id: str | int | None
) -> list[JobReport]:
    """Finish the interrupted jobs, several lists concurrently."""
    account = validate_id("ad_account_id", ad_account_id)
    reports: dict[int, JobReport] = {}
    async with options.context.state(options.state_path) as state:
        rows = await in_thread(state.lists, account)
        if customer_list_id is not None:
            rows = [select_list(state, rows, customer_list_id)]

        async def finish(row: ListRow) -> None:
            async with options.context.state(options.state_path) as list_state:
                with list_state.locked(row):
                    for job in await in_thread(list_state.jobs, row.key, "running"):
                        reports[job.key] = await options.run(list_state, job)
                    pending = await in_thread(pending_audience, list_state, row.key)
                    if pending is None:
                        return
                    job_key, audience = pending
                    reports.pop(job_key, None)  # until it has its audience
                    report = await in_thread(list_state.report, job_key)
                    if not audience.wait:
                        report = await options.add_audience(list_state, report, audience)
            reports[job_key] = await options.wait_for_audience(report, audience)

        rows = [row for row in rows if await in_thread(_is_unfinished, state, row)]
        errors = await run_concurrently(finish, rows, MAX_LISTS_AT_ONCE)
        for key, report in reports.items():
            if report.audience_pending:  # the audience of a later job
                reports[key] = await in_thread(state.report, key)
    finished = [reports[key] for key in sorted(reports)]
    if errors:
        raise combined_error(list(errors.values()), finished)
    return finished


def _is_unfinished(state: State, row: ListRow) -> bool:
    """Return whether a job of a list was interrupted, or has no audience yet."""
    return bool(state.jobs(row.key, "running")) or pending_audience(state, row.key) is not None
