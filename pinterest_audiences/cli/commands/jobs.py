"""``resume``, ``status``, ``wait``, ``forget``, ``jobs list|abandon``: jobs and their lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from pinterest_audiences._errors import CallError, SourceError
from pinterest_audiences._http.operations import is_id
from pinterest_audiences._http.retry import is_transient
from pinterest_audiences._jobs.job_errors import JobsInterruptedError
from pinterest_audiences._text import counted
from pinterest_audiences.cli.context import Context, ContextArg
from pinterest_audiences.cli.error_reports import ExitCode, require_confirmation, usage_error
from pinterest_audiences.cli.job_output import (
    report_without_audience,
    show_report,
    show_reports,
    to_json,
)
from pinterest_audiences.cli.options import (
    DEFAULT_OPTIONS,
    DEFAULT_READ_OPTIONS,
    CommonOptions,
    File,
    Flag,
    ListId,
    ReadOptions,
    RetryTimeout,
    expected_count,
    file_exists,
    open_files,
)
from pinterest_audiences.cli.output import plain, to_row
from pinterest_audiences.cli.progress import progress_display

if TYPE_CHECKING:
    from pinterest_audiences._jobs.erasure import ErasureTargets
    from pinterest_audiences._jobs.reports import ErasureReport, JobReport, ListStatus
    from pinterest_audiences._records.sources import Source
    from pinterest_audiences._sync_client import Client
    from pinterest_audiences.cli.output import Line

__all__ = ["abandon", "forget", "list_jobs", "resume", "status", "wait"]

_STATUS_COLUMNS = (
    "customer_list_id",
    "name",
    "origin",
    "records",
    "in_doubt",
    "settled",
)
_JOB_COLUMNS = (
    "job_id",
    "kind",
    "status",
    "started",
    "customer_list_id",
    "name",
    "planned",
    "left",
    "rejected",
)
_FORGET_COLUMNS = ("ad_account_id", "customer_list_id", "name", "records", "problem")
_ListFlag = Annotated[str | None, Parameter(name="--list")]


def resume(
    *,
    list_id: _ListFlag = None,
    dry_run: Flag = False,
    retry_timeout: RetryTimeout = 7200.0,
    batch_size: int | None = None,
    common: CommonOptions = DEFAULT_OPTIONS,
    context: ContextArg,
) -> None:
    """Resume interrupted jobs; they do not need their source again.

    Args:
        list_id: Only jobs of this list, by id, by name, or by its alias in the profile.
        dry_run: List the unfinished jobs without sending anything.
        retry_timeout: Seconds for which a batch is retried while Pinterest or the network fails.
        batch_size: Maximum records per request. Default: the profile's, then 1,900.
        common: Common options.
        context: Context of the command.
    """
    reference = None if list_id is None else context.list_reference(list_id)
    if dry_run:
        with context.offline_client() as client:
            show_reports(context, _unfinished(_known(context, client, reference)))
        return
    try:
        with (
            report_without_audience(context),
            context.client() as client,
            progress_display(context.console) as progress,
        ):
            reports = client.resume(
                context.ad_account,
                customer_list_id=reference,
                state=context.state,
                on_event=context.with_resume_hint(progress),
                retry_timeout=retry_timeout,
                batch_size=context.batch_size(batch_size),
            )
    except JobsInterruptedError as error:
        show_reports(context, error.reports)
        raise
    if not reports:
        context.console.note("no unfinished jobs")
    show_reports(context, reports)


def status(
    *, list_id: _ListFlag = None, common: CommonOptions = DEFAULT_OPTIONS, context: ContextArg
) -> None:
    """Show lists and their jobs from the state file; makes no request.

    Args:
        list_id: Only this list, by id, by name, or by its alias in the profile.
        common: Common options.
        context: Context of the command.
    """
    reference = None if list_id is None else context.list_reference(list_id)
    with context.offline_client() as client:
        known = _known(context, client, reference)
    context.out.rows((to_json(each.to_dict()) for each in known), _STATUS_COLUMNS)


def list_jobs(
    *,
    unfinished: Flag = False,
    all_accounts: Flag = False,
    common: CommonOptions = DEFAULT_OPTIONS,
    context: ContextArg,
) -> None:
    """List the jobs in the state file, oldest first; makes no request.

    Args:
        unfinished: Only jobs that are running, were interrupted, or lack their audience.
        all_accounts: Jobs of all ad accounts in the state file.
        common: Common options.
        context: Context of the command.
    """
    account = None if all_accounts else context.ad_account
    with context.offline_client() as client:
        reports = client.jobs(account, state=context.state)
    if unfinished:
        reports = [report for report in reports if _is_unfinished(report)]
    context.out.rows((to_json(report.to_dict()) for report in reports), _JOB_COLUMNS)


def abandon(
    job_id: Annotated[str, Parameter(name="JOB")],
    /,
    *,
    yes: Flag = False,
    common: CommonOptions = DEFAULT_OPTIONS,
    context: ContextArg,
) -> None:
    """Abandon an unfinished job: acknowledged records stay on the list, the rest is not sent.

    Args:
        job_id: Id of the job; `jobs list` shows it.
        yes: Confirm.
        common: Common options.
        context: Context of the command.

    Raises:
        CommandError: Without --yes.
    """
    require_confirmation(
        "nothing was changed: an abandoned job cannot be resumed",
        yes=yes,
        code="guard_abandon",
        hint="confirm with --yes, or finish the job with `resume`",
    )
    with context.offline_client() as client:
        report = client.abandon(job_id, state=context.state)
    if report.status != "abandoned":
        context.console.note(f"job {report.job_id} has already ended: {report.status}")
    show_report(context, report)


def wait(
    list_id: ListId,
    /,
    *,
    timeout: float = 172_800.0,
    common: CommonOptions = DEFAULT_OPTIONS,
    context: ContextArg,
) -> None:
    """Wait until a list is READY or TOO_SMALL, and show it.

    Args:
        list_id: Id or name of the list, or its alias in the profile.
        timeout: Maximum seconds to wait; then the exit code is 6.
        common: Common options.
        context: Context of the command.
    """
    interval = 0.5 if context.emulated else 5.0
    reference = context.list_reference(list_id)
    shown = f"list {reference}"
    with context.client(exclusive=False) as client, progress_display(context.console) as progress:
        if not is_id(reference):
            reference, shown = _looked_up(context, client, reference)
        progress.wait(f"waiting until {shown} is ready")
        ready = client.wait_until_ready(
            context.ad_account, reference, timeout=timeout, poll_interval=interval
        )
    if ready.status == "TOO_SMALL":
        context.console.warn(
            "fewer than 100 records match an account; the list cannot be used in ads"
        )
    context.out.row(to_row(ready))


def _looked_up(context: Context, client: Client, name: str) -> tuple[str, str]:
    """Return the id of a list by its name and how to show it; during an outage, the name."""
    try:
        found = client.find_customer_list(context.ad_account, name)
    except CallError as error:
        if not is_transient(error):
            raise
        return name, "the list"  # the wait looks it up again
    return found.id, f'list "{plain(found.name or "")}" ({found.id})'


def forget(
    *files: File,
    source: ReadOptions = DEFAULT_READ_OPTIONS,
    kind: Literal["email", "maid", "idfa", "hashed_pinner_id"] = "email",
    reference: str = "",
    all_accounts: Flag = False,
    yes: Flag = False,
    dry_run: Flag = False,
    retry_timeout: RetryTimeout = 7200.0,
    batch_size: int | None = None,
    expect_rows: str | None = None,
    common: CommonOptions = DEFAULT_OPTIONS,
    context: ContextArg,
) -> ExitCode:
    """Erase people from every list in the state file, and from the state file itself.

    Args:
        files: Files with one identifier per line, or tables; - for standard input.
        source: How the files are read.
        kind: Type of the identifiers.
        reference: Reference number for the receipt, such as a ticket; must not be personal data.
        all_accounts: Lists of all ad accounts in the state file.
        yes: Confirm the erasure.
        dry_run: Count the people and show the lists without sending anything.
        retry_timeout: Seconds for which a batch is retried while Pinterest or the network fails.
        batch_size: Maximum records per request. Default: the profile's, then 1,900.
        expect_rows: Minimum rows of the file, a count. Detects a truncated file, also through a
            pipe.
        common: Common options.
        context: Context of the command.

    Returns:
        7 if a list failed, 5 if an identifier is invalid, 0 otherwise.

    Raises:
        CommandError: Without --yes, or if the file does not exist.
        SourceError: The file cannot be read to its end, or has no identifiers.
        GuardError: The file has fewer rows than expected.
    """
    require_confirmation(
        "nothing was removed: erasing people cannot be undone",
        yes=yes or dry_run,
        code="guard_forget",
        hint="confirm with --yes; --dry-run shows the lists",
    )
    expected = expected_count(expect_rows)
    people = _people(context, files, source)
    if dry_run:
        from pinterest_audiences._jobs.erasure import read_targets  # noqa: PLC0415 - when used

        accounts = _accounts(context) if all_accounts else [context.ad_account]
        targets = read_targets(people, kind, expected)
        receipt = _dry_receipt(context, accounts, targets, reference)
        if not context.out.is_human:  # whose receipt says so
            context.console.note("dry run: nothing was sent")
        _refuse_empty(receipt, people)
        _show_receipt(context, receipt, dry_run=True)
        return _exit_code(context, receipt, kind)
    with context.client() as client, progress_display(context.console) as progress:
        receipt = client.forget(
            people,
            kind=kind,
            ad_account_id=None if all_accounts else context.ad_account,
            reference=reference,
            state=context.state,
            on_event=context.with_resume_hint(progress),
            retry_timeout=retry_timeout,
            batch_size=context.batch_size(batch_size),
            expect_rows=expect_rows,
        )
    _refuse_empty(receipt, people)
    for each in receipt.lists:
        if each.problem:
            context.console.warn(f"list {each.customer_list_id}: {each.problem}")
        if each.gone:
            context.console.warn(
                f"list {each.customer_list_id} no longer exists at Pinterest; its state was erased"
            )
    _show_receipt(context, receipt, dry_run=False)
    return _exit_code(context, receipt, kind)


def _refuse_empty(receipt: ErasureReport, source: Source) -> None:
    """Check that a file has identifiers, so that an empty request does not look successful.

    Raises:
        SourceError: The file has no identifiers.
    """
    if not receipt.people:
        raise SourceError("has no identifiers; nothing was removed", source=source.name)


def _exit_code(context: Context, receipt: ErasureReport, kind: str) -> ExitCode:
    """Return the exit code of a receipt, and warn of invalid identifiers."""
    if any(each.problem for each in receipt.lists):
        return ExitCode.UNFINISHED
    if receipt.unusable:
        context.console.warn(
            f"{counted(receipt.unusable, 'identifier')} cannot be used: not of kind {kind}"
        )
        return ExitCode.INPUT
    return ExitCode.OK


def _people(context: Context, files: Sequence[str], options: ReadOptions) -> Source:
    """Open the files of identifiers to erase.

    Raises:
        CommandError: A file does not exist.
    """
    if not all(map(file_exists, files)):
        # The library accepts a single identifier as a string; a command line must not contain one.
        raise usage_error(
            "FILE: no such file; put the identifiers into a file or on standard input, because "
            "other users can see command lines"
        )
    return open_files(files, options, database=context.database_url(options))


def _accounts(context: Context) -> list[str]:
    """Return the ad accounts with lists in the state file."""
    from pinterest_audiences._config import base_url  # noqa: PLC0415 - when used
    from pinterest_audiences._jobs.state import State  # noqa: PLC0415

    state = State(context.state, base_url(context.base_url).text)
    try:
        return list(dict.fromkeys(row.ad_account_id for row in state.lists()))
    finally:
        state.close()


def _dry_receipt(
    context: Context, accounts: list[str], people: ErasureTargets, reference: str
) -> ErasureReport:
    from time import time  # noqa: PLC0415 - when used

    from pinterest_audiences._config import base_url  # noqa: PLC0415
    from pinterest_audiences._jobs.erasure import count_targets  # noqa: PLC0415
    from pinterest_audiences._jobs.reports import ErasureReport  # noqa: PLC0415
    from pinterest_audiences._jobs.state import State  # noqa: PLC0415

    state = State(context.state, base_url(context.base_url).text)
    try:
        lists = count_targets(state, accounts, people)
    finally:
        state.close()
    return ErasureReport(
        reference=reference,
        people=people.count,
        unusable=people.unusable,
        begun=time(),
        lists=lists,
    )


def _show_receipt(context: Context, receipt: ErasureReport, *, dry_run: bool) -> None:
    if context.out.form in ("json", "ndjson"):
        # Receipts are stored as evidence; mark those of dry runs.
        done = receipt.complete and not dry_run
        context.out.row({**to_json(receipt.to_dict()), "complete": done, "dry_run": dry_run})
        return
    if not context.out.is_human:
        context.console.note(f"identifiers: {receipt.people:,}, invalid: {receipt.unusable:,}")
    else:
        context.out.lines(_receipt_lines(receipt, dry_run=dry_run))
    context.out.rows((to_json(each.to_dict()) for each in receipt.lists), _FORGET_COLUMNS)


def _receipt_lines(receipt: ErasureReport, *, dry_run: bool) -> Iterator[Line]:
    """Yield how many people were erased, and how to keep the receipt."""
    failed = sum(bool(item.problem) for item in receipt.lists)
    people = counted(receipt.people - receipt.unusable, "identifier")
    lists = counted(len(receipt.lists), "list")
    records = counted(sum(item.records for item in receipt.lists), "record")
    reference = f', reference "{plain(receipt.reference)}"' if receipt.reference else ""
    if dry_run:
        yield (
            ("Dry run, nothing was sent: the command would erase", "bold yellow"),
            f" {people} from {lists}: {records}{reference}",
        )
    else:
        done = (f"Erased {people} from {lists}", "bold yellow" if failed else "bold green")
        yield (done, f": {records} removed{reference}")
    if failed:
        yield ((f"{counted(failed, 'list')} failed; run the same command again", "red"),)
    elif not dry_run:
        yield ("The receipt as JSON, for your records: add -o json",)
    yield ()


def _known(context: Context, client: Client, reference: str | None) -> list[ListStatus]:
    return client.status(context.ad_account, customer_list_id=reference, state=context.state)


def _unfinished(known: list[ListStatus]) -> list[JobReport]:
    return [job for each in known for job in each.jobs if _is_unfinished(job)]


def _is_unfinished(report: JobReport) -> bool:
    """Return whether `resume` has something to do for a job."""
    return report.status == "running" or report.audience_pending
