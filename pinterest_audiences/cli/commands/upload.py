"""``upload``, ``remove``, ``lists create``: send all records of a source once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal, Required, TypedDict, Unpack

from pinterest_audiences.cli.context import Context, ContextArg
from pinterest_audiences.cli.job_output import (
    report_without_audience,
    show_dry_plan,
    show_report,
)
from pinterest_audiences.cli.options import (
    DEFAULT_OPTIONS,
    DEFAULT_SOURCE,
    NO_AUDIENCE,
    NO_LIST,
    AudienceOptions,
    CommonOptions,
    File,
    Flag,
    ListSelector,
    RetryTimeout,
    SourceOptions,
    expected_count,
    is_missing,
    preparation,
)
from pinterest_audiences.cli.progress import progress_display

if TYPE_CHECKING:
    from pinterest_audiences._jobs.plan import Plan
    from pinterest_audiences._models import RecordRow
    from pinterest_audiences._records.prepare import PreparedRecords

__all__ = ["create", "remove", "upload"]


def upload(
    *files: File,
    which: ListSelector = NO_LIST,
    source: SourceOptions = DEFAULT_SOURCE,
    after: AudienceOptions = NO_AUDIENCE,
    dry_run: Flag = False,
    new_customers: Flag | None = None,
    keep_unhashed: Flag = False,
    allow_other_type: Flag = False,
    retry_timeout: RetryTimeout = 7200.0,
    batch_size: int | None = None,
    expect_rows: str | None = None,
    common: CommonOptions = DEFAULT_OPTIONS,
    context: ContextArg,
) -> None:
    """Add all customers in a source to a list; with --name, create the list if it does not exist.

    Args:
        files: Files, folders, patterns or URLs of CSV, TSV, NDJSON, Parquet or plain lists, read as
            one source; - for standard input.
        which: The list.
        source: How the source is read.
        after: The audience of the list.
        dry_run: Read and check the source without sending anything.
        new_customers: Create the list for new customer acquisition.
        keep_unhashed: Allow columns that Pinterest takes unhashed; the state file stores them.
        allow_other_type: Allow records of another type than the list was created with.
        retry_timeout: Seconds for which a batch is retried while Pinterest or the network fails.
        batch_size: Maximum records per request. Default: the profile's, then 1,900.
        expect_rows: Minimum rows of the source: a count, or a share of the last run's rows such as
            90%. Detects a truncated export, also through a pipe.
        common: Common options.
        context: Context of the command.
    """
    which.check(source_is_missing=is_missing(files, source))
    _send(
        context,
        files,
        which,
        source,
        operation="ADD",
        after=after,
        dry_run=dry_run,
        is_nca=new_customers,
        keep_unhashed=keep_unhashed,
        allow_other_type=allow_other_type,
        retry_timeout=retry_timeout,
        batch_size=batch_size,
        expect_rows=expect_rows,
    )


def remove(
    *files: File,
    which: ListSelector = NO_LIST,
    source: SourceOptions = DEFAULT_SOURCE,
    yes: Flag = False,
    dry_run: Flag = False,
    keep_unhashed: Flag = False,
    retry_timeout: RetryTimeout = 7200.0,
    batch_size: int | None = None,
    expect_rows: str | None = None,
    common: CommonOptions = DEFAULT_OPTIONS,
    context: ContextArg,
) -> None:
    """Remove all customers in a source from a list.

    Args:
        files: Files, folders, patterns or URLs of CSV, TSV, NDJSON, Parquet or plain lists, read as
            one source; - for standard input.
        which: The list.
        source: How the source is read.
        yes: Confirm a removal of more than 20% of the list's records in the state file.
        dry_run: Look up the list and check the source without removing anything.
        keep_unhashed: Allow columns that Pinterest takes unhashed; the state file stores them.
        retry_timeout: Seconds for which a batch is retried while Pinterest or the network fails.
        batch_size: Maximum records per request. Default: the profile's, then 1,900.
        expect_rows: Minimum rows of the source: a count, or a share of the last run's rows such as
            90%. Detects a truncated export, also through a pipe.
        common: Common options.
        context: Context of the command.
    """
    which.check(source_is_missing=is_missing(files, source))
    _send(
        context,
        files,
        which,
        source,
        operation="REMOVE",
        yes=yes,
        dry_run=dry_run,
        keep_unhashed=keep_unhashed,
        retry_timeout=retry_timeout,
        batch_size=batch_size,
        expect_rows=expect_rows,
    )


def create(
    *files: File,
    name: str,
    source: SourceOptions = DEFAULT_SOURCE,
    after: AudienceOptions = NO_AUDIENCE,
    dry_run: Flag = False,
    new_customers: Flag | None = None,
    keep_unhashed: Flag = False,
    retry_timeout: RetryTimeout = 7200.0,
    batch_size: int | None = None,
    expect_rows: str | None = None,
    common: CommonOptions = DEFAULT_OPTIONS,
    context: ContextArg,
) -> None:
    """Create a list from a source; refused with exit code 8 if a list of that name exists.

    Args:
        files: Files, folders, patterns or URLs of CSV, TSV, NDJSON, Parquet or plain lists, read as
            one source; - for standard input.
        name: Name of the list.
        source: How the source is read.
        after: The audience of the list.
        dry_run: Check that no list has the name, and check the source, without creating the list.
        new_customers: Create the list for new customer acquisition; cannot be changed later.
        keep_unhashed: Allow columns that Pinterest takes unhashed; the state file stores them.
        retry_timeout: Seconds for which a batch is retried while Pinterest or the network fails.
        batch_size: Maximum records per request. Default: the profile's, then 1,900.
        expect_rows: Minimum rows of the source, a count. Detects a truncated export, also through a
            pipe.
        common: Common options.
        context: Context of the command.
    """
    expected_count(expect_rows)
    _send(
        context,
        files,
        ListSelector(name=name),
        source,
        operation="ADD",
        after=after,
        dry_run=dry_run,
        is_nca=new_customers,
        keep_unhashed=keep_unhashed,
        retry_timeout=retry_timeout,
        batch_size=batch_size,
        must_be_new=True,
        expect_rows=expect_rows,
    )


class _UploadOptions(TypedDict, total=False):
    """Arguments of `Client.upload` and `Client.plan_upload`."""

    operation: Required[Literal["ADD", "REMOVE"]]
    is_nca: bool | None
    keep_unhashed: bool
    allow_other_type: bool
    must_be_new: bool
    expect_rows: str | None


def _send(
    context: Context,
    files: Sequence[str],
    which: ListSelector,
    source: SourceOptions,
    *,
    after: AudienceOptions = NO_AUDIENCE,
    yes: bool = False,
    dry_run: bool,
    retry_timeout: float,
    batch_size: int | None,
    **options: Unpack[_UploadOptions],
) -> None:
    after.check()
    with progress_display(context.console, plans=True) as progress:
        prepared = preparation(
            files,
            source,
            database=context.database_url(source),
            share=context.max_reject_share(source.max_reject_share),
            on_progress=progress.read,
        )
        list_id = None if which.list_id is None else context.list_reference(which.list_id)
        size = context.batch_size(batch_size)
        plan, report = None, None
        if dry_run:
            plan = _plan(context, prepared, which, size, options)
        else:
            with context.client() as client, report_without_audience(context):
                upload = partial(
                    client.upload,
                    context.ad_account,
                    prepared,
                    allow_removals=yes,
                    audience=after.audience,
                    wait=after.wait,
                    state=context.state,
                    on_event=context.with_resume_hint(progress),
                    retry_timeout=retry_timeout,
                    batch_size=size,
                    **options,
                )
                report = (
                    upload(name=which.name or "")
                    if list_id is None
                    else upload(customer_list_id=list_id)
                )
    prepared.report.check_has_values()
    if plan is not None:
        allowed = frozenset({"removals"} if yes else ())
        show_dry_plan(context, plan, allowed=allowed, audience=after.audience)
    elif report is not None:
        show_report(context, report)


def _plan(
    context: Context,
    prepared: PreparedRecords[str] | PreparedRecords[RecordRow],
    which: ListSelector,
    batch_size: int | None,
    options: _UploadOptions,
) -> Plan:
    """Count what an upload would send."""
    # Only these depend on what Pinterest has.
    online = options["operation"] == "REMOVE" or options.get("must_be_new")
    with context.client() if online else context.offline_client() as client:
        plan = partial(
            client.plan_upload,
            context.ad_account,
            prepared,
            store=False,
            state=context.state,
            batch_size=batch_size,
            **options,
        )
        if which.list_id is None:
            return plan(name=which.name or "")
        return plan(customer_list_id=context.list_reference(which.list_id))
