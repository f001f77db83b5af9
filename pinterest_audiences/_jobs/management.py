"""Show and end jobs and lists of the state file, without calling Pinterest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinterest_audiences._config import validate_integer
from pinterest_audiences._errors import ConfigurationError
from pinterest_audiences._http.operations import is_id, validate_id
from pinterest_audiences._jobs.audiences import drop_audience
from pinterest_audiences._jobs.history import stored_runs
from pinterest_audiences._jobs.job_context import in_thread
from pinterest_audiences._jobs.job_errors import JobNotFoundError
from pinterest_audiences._jobs.lookup import ListSelector, check_reference, select_list
from pinterest_audiences._jobs.membership import compact, list_status
from pinterest_audiences._jobs.unfinished import end_jobs, erase_list
from pinterest_audiences._text import counted

if TYPE_CHECKING:
    from pinterest_audiences._jobs.reports import JobReport, ListStatus, RunReport
    from pinterest_audiences._jobs.runner import JobOptions
    from pinterest_audiences._jobs.state import JobRow, ListRow, State

__all__ = ["abandon", "forget_list", "jobs", "runs", "status"]

_MAX_RUNS = 1_000_000
_MAX_JOB_ID = (1 << 63) - 1
_MAX_JOB_ID_DIGITS = len(str(_MAX_JOB_ID))


async def status(
    options: JobOptions, ad_account_id: str | int, customer_list_id: str | int | None
) -> list[ListStatus]:
    """Return the status of lists from the state file, without calling Pinterest."""
    async with options.context.state(options.state_path) as state:
        rows = await in_thread(state.lists, validate_id("ad_account_id", ad_account_id))
        if customer_list_id is not None:
            check_reference("customer_list_id", customer_list_id)
            number = str(customer_list_id)
            rows = (
                [row for row in rows if row.customer_list_id == number]
                if is_id(customer_list_id)
                else [select_list(state, rows, name=number)]
            )
        statuses = [await in_thread(list_status, state, row) for row in rows]
    # A row without an id is not a list while nothing was sent, for example if only planned.
    return [item for item in statuses if item.customer_list_id is not None or _may_exist(item)]


def _may_exist(item: ListStatus) -> bool:
    """Return whether a list without an id is being created, or may have been."""
    return any(
        job.status == "running" or (job.status == "done" and job.batches) for job in item.jobs
    )


async def jobs(options: JobOptions, ad_account_id: str | int | None) -> list[JobReport]:
    """Return every job in the state file, or those of one account, oldest first.

    Raises:
        ConfigurationError: The ad account id is not valid.
    """
    account = None if ad_account_id is None else validate_id("ad_account_id", ad_account_id)
    async with options.context.state(options.state_path) as state:
        return await in_thread(_job_reports, state, account)


def _job_reports(state: State, account: str | None) -> list[JobReport]:
    stored: list[JobRow] = []
    for row in state.lists(account):
        stored += state.jobs(row.key)
    return [state.report(job.key) for job in sorted(stored, key=lambda job: job.key)]


async def runs(
    options: JobOptions,
    ad_account_id: str | int | None,
    customer_list_id: str | int | None,
    name: str | None,
    limit: int | None,
) -> list[RunReport]:
    """Return the runs in the state file, or those of one account or list, newest first.

    Raises:
        ConfigurationError: An id or the limit is not valid, or id and name are given.
        JobNotFoundError: The state file has no such list.
        GuardError: It has several lists with that name.
    """
    account = None if ad_account_id is None else validate_id("ad_account_id", ad_account_id)
    number = _MAX_RUNS if limit is None else validate_integer("limit", limit, 0, _MAX_RUNS)
    if customer_list_id is not None and name is not None:
        raise ConfigurationError("pass either customer_list_id or name, not both")
    async with options.context.state(options.state_path) as state:
        key = None
        if customer_list_id is not None or name is not None:
            rows = await in_thread(state.lists, account)
            key = select_list(state, rows, customer_list_id, name).key
        return await in_thread(stored_runs, state, account, key, number)


async def abandon(options: JobOptions, job_id: str | int) -> JobReport:
    """End an unfinished job without finishing it; one that is done may lack only its audience.

    Raises:
        ConfigurationError: The job id is not valid.
        JobNotFoundError: The state file has no such job.
        ListBusyError: The job is running.
    """
    number = _checked_job_id(job_id)
    async with options.context.state(options.state_path) as state:
        job = await in_thread(state.job, number)
        row = None if job is None else await in_thread(state.list_row, job.list_key)
        if row is None or row.service != state.service:
            raise JobNotFoundError(f"job {number} is not in {state.path}")
        with state.locked(row):
            await in_thread(_abandon, state, row.key, number)
        return await in_thread(state.report, number)


def _abandon(state: State, list_key: int, number: int) -> None:
    """End a job, and add a finding about what was not sent."""
    row, job = state.list_row(list_key), state.job(number)
    if state.report(number).audience_pending:
        drop_audience(state, number)
        state.add_finding(number, "abandoned: its audience was not created")
    if job is None or job.status not in ("running", "planned"):
        return
    pending = state.pending(number)
    unsent = sum(batch.count for batch in pending if not batch.sends)
    unconfirmed = sum(batch.count for batch in pending if batch.sends)
    end_jobs(state, row.key, [job], "abandoned")
    finding = f"abandoned: {counted(unsent, 'record', 'were')} not sent"
    if unconfirmed:
        finding += f", and for {unconfirmed:,} no response was received"
        if row.customer_list_id is None:
            finding += "; the list may have been created: look for its name at Pinterest"
    state.add_finding(number, finding)
    if row.customer_list_id is not None:
        compact(state.database, row.key)


def _checked_job_id(value: object) -> int:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if (
        not isinstance(text, str)
        or not (text.isascii() and text.isdigit() and len(text) <= _MAX_JOB_ID_DIGITS)
        or not 0 < int(text) <= _MAX_JOB_ID
    ):
        raise ConfigurationError(
            "job_id must be a positive integer, as listed by jobs()", param="job_id"
        )
    return int(text)


async def forget_list(options: JobOptions, selector: ListSelector) -> ListStatus:
    """Erase the state of a list: its digests and jobs.

    Raises:
        ConfigurationError: An id is not valid, or not exactly one of id and name is given.
        JobNotFoundError: The state file has no such list.
        GuardError: It has several lists with that name.
        ListBusyError: A job of the list is running.
    """
    async with options.context.state(options.state_path) as state:
        row = await in_thread(_select_row, state, selector)
        with state.locked(row):
            status = await in_thread(list_status, state, row)
            await in_thread(erase_list, state, row.key)
        await in_thread(state.database.erase_traces)
    return status


def _select_row(state: State, selector: ListSelector) -> ListRow:
    selector.check()
    rows = state.lists(validate_id("ad_account_id", selector.ad_account_id))
    return select_list(state, rows, selector.customer_list_id, selector.name)
