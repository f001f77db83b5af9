"""``plan`` and ``mirror``: make a list hold exactly the customers in a source."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from attrs import fields
from cyclopts import Parameter

from pinterest_audiences._jobs.job_errors import PlanError
from pinterest_audiences._jobs.plan import MAX_REMOVAL_SHARE, Plan
from pinterest_audiences._text import counted
from pinterest_audiences.cli.context import Context, ContextArg
from pinterest_audiences.cli.error_reports import usage_error
from pinterest_audiences.cli.job_output import (
    report_without_audience,
    show_dry_plan,
    show_plan,
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
    PathText,
    RetryTimeout,
    SourceOptions,
    is_missing,
    preparation,
)
from pinterest_audiences.cli.progress import ProgressReporter, progress_display

if TYPE_CHECKING:
    from pinterest_audiences._sync_client import Client

__all__ = ["mirror", "plan"]


def plan(
    *files: File,
    which: ListSelector = NO_LIST,
    source: SourceOptions = DEFAULT_SOURCE,
    adopt: Flag = False,
    max_removal_share: float = MAX_REMOVAL_SHARE,
    match_rate: float | None = None,
    keep_unhashed: Flag = False,
    allow_other_type: Flag = False,
    batch_size: int | None = None,
    expect_rows: str | None = None,
    common: CommonOptions = DEFAULT_OPTIONS,
    context: ContextArg,
) -> None:
    """Show what a mirror would add, remove and keep.

    Args:
        files: Files, folders, patterns or URLs of CSV, TSV, NDJSON, Parquet or plain lists, read as
            one source; - for standard input.
        which: The list.
        source: How the source is read.
        adopt: Treat a list that was not created by this tool as empty.
        max_removal_share: Share of the list above which a removal needs --yes.
        match_rate: Expected share of records that match an account; warns if the list stays too
            small to become READY.
        keep_unhashed: Allow columns that Pinterest takes unhashed; the state file stores them.
        allow_other_type: Allow records of another type than the list was created with.
        batch_size: Maximum records per request. Default: the profile's, then 1,900.
        expect_rows: Minimum rows of the source: a count, or a share of the last run's rows such as
            90%. Detects a truncated export, also through a pipe.
        common: Common options.
        context: Context of the command.
    """
    which.check(source_is_missing=is_missing(files, source))
    _refuse_limit(source)
    with progress_display(context.console, plans=True) as progress, context.client() as client:
        result = _make_plan(
            context,
            client,
            files,
            which,
            source,
            progress=progress,
            adopt=adopt,
            max_removal_share=max_removal_share,
            match_rate=match_rate,
            keep_unhashed=keep_unhashed,
            allow_other_type=allow_other_type,
            batch_size=batch_size,
            expect_rows=expect_rows,
        )
    show_plan(context, result)


def mirror(
    *files: File,
    which: ListSelector = NO_LIST,
    source: SourceOptions = DEFAULT_SOURCE,
    after: AudienceOptions = NO_AUDIENCE,
    plan_file: Annotated[PathText | None, Parameter(allow_leading_hyphen=True)] = None,
    adopt: Flag = False,
    max_removal_share: float | None = None,
    match_rate: float | None = None,
    yes: Flag = False,
    allow_unreadable: Flag = False,
    dry_run: Flag = False,
    keep_unhashed: Flag = False,
    allow_other_type: Flag = False,
    retry_timeout: RetryTimeout = 7200.0,
    batch_size: int | None = None,
    expect_rows: str | None = None,
    common: CommonOptions = DEFAULT_OPTIONS,
    context: ContextArg,
) -> None:
    """Make a list hold exactly the customers in a source, or apply an approved plan.

    Args:
        files: Files, folders, patterns or URLs of CSV, TSV, NDJSON, Parquet or plain lists, read as
            one source; - for standard input.
        which: The list.
        source: How the source is read.
        after: The audience of the list.
        plan_file: Apply this plan, the JSON output of `plan`, instead of reading a source; - for
            standard input.
        adopt: Treat a list that was not created by this tool as empty.
        max_removal_share: Share of the list above which a removal needs --yes. Default: 0.2.
        match_rate: Expected share of records that match an account; warns if the list stays too
            small to become READY.
        yes: Confirm removing more than --max-removal-share.
        allow_unreadable: Confirm removals although more rows are unreadable than in the last run.
        dry_run: Plan without applying the plan.
        keep_unhashed: Allow columns that Pinterest takes unhashed; the state file stores them.
        allow_other_type: Allow records of another type than the list was created with.
        retry_timeout: Seconds for which a batch is retried while Pinterest or the network fails.
        batch_size: Maximum records per request. Default: the profile's, then 1,900.
        expect_rows: Minimum rows of the source: a count, or a share of the last run's rows such as
            90%. Detects a truncated export, also through a pipe.
        common: Common options.
        context: Context of the command.
    """
    if is_missing(files, source) == (plan_file is None):
        raise usage_error("use exactly one of FILE, --query and --plan-file")
    after.check()
    _refuse_limit(source)
    approved = None
    if plan_file is None:
        which.check()
    else:
        set_options = {
            "--adopt": adopt,
            "--max-removal-share": max_removal_share is not None,
            "--match-rate": match_rate is not None,
            "--keep-unhashed": keep_unhashed,
            "--allow-other-type": allow_other_type,
            "--expect-rows": expect_rows is not None,
        }
        _refuse_planning_options(
            which, source, [name for name, is_set in set_options.items() if is_set]
        )
        approved = _read_plan(context, plan_file)
    with (
        context.client() as client,
        progress_display(context.console, plans=True) as progress,
        report_without_audience(context),
    ):
        result = approved or _make_plan(
            context,
            client,
            files,
            which,
            source,
            progress=progress,
            adopt=adopt,
            max_removal_share=MAX_REMOVAL_SHARE if max_removal_share is None else max_removal_share,
            match_rate=match_rate,
            keep_unhashed=keep_unhashed,
            allow_other_type=allow_other_type,
            retry_timeout=retry_timeout,
            batch_size=batch_size,
            expect_rows=expect_rows,
        )
        if dry_run:
            show_dry_plan(context, result, audience=after.audience)
            return
        report = client.apply(
            result,
            allow_removals=yes,
            allow_unreadable=allow_unreadable,
            audience=after.audience,
            wait=after.wait,
            state=context.state,
            on_event=context.with_resume_hint(progress),
            retry_timeout=retry_timeout,
            batch_size=context.batch_size(batch_size),
        )
    show_report(context, report, result)


def _make_plan(
    context: Context,
    client: Client,
    files: Sequence[str],
    which: ListSelector,
    source: SourceOptions,
    *,
    progress: ProgressReporter,
    adopt: bool,
    max_removal_share: float,
    match_rate: float | None,
    keep_unhashed: bool,
    allow_other_type: bool,
    retry_timeout: float = 60.0,
    batch_size: int | None,
    expect_rows: str | None,
) -> Plan:
    plan = partial(
        client.plan_mirror,
        context.ad_account,
        preparation(
            files,
            source,
            database=context.database_url(source),
            share=context.max_reject_share(source.max_reject_share),
            on_progress=progress.read,
        ),
        keep_unhashed=keep_unhashed,
        allow_other_type=allow_other_type,
        adopt=adopt,
        max_removal_share=max_removal_share,
        match_rate=match_rate,
        state=context.state,
        retry_timeout=retry_timeout,
        batch_size=context.batch_size(batch_size),
        expect_rows=expect_rows,
    )
    if which.list_id is None:
        return plan(name=which.name or "")
    return plan(customer_list_id=context.list_reference(which.list_id))


def _refuse_limit(source: SourceOptions) -> None:
    """Refuse a source of the first rows only, before credentials are looked up.

    Raises:
        CommandError: --limit is set.
    """
    if source.limit is not None:
        raise usage_error(
            f"--limit: a mirror of the first {counted(source.limit, 'row')} would remove all other "
            "customers from the list",
            "try the rows with `check --limit`, or send them to a separate list with "
            "`upload --limit`",
        )


def _refuse_planning_options(which: ListSelector, source: SourceOptions, others: list[str]) -> None:
    """Refuse options of planning next to an approved plan, on which they have no effect."""
    selected = {"--name": which.name, "--list": which.list_id}
    names = [
        *(name for name, value in selected.items() if value is not None),
        *(
            f"--{field.name.replace('_', '-')}"
            for field in fields(SourceOptions)
            if getattr(source, field.name) != getattr(DEFAULT_SOURCE, field.name)
        ),
        *others,
    ]
    if names:
        raise usage_error(
            f"--plan-file cannot be used with {', '.join(names)}: the plan already contains them",
            "make a new plan with these options, or leave them out",
        )


def _read_plan(context: Context, file: str) -> Plan:
    """Read an approved plan.

    Raises:
        CommandError: It is not a plan, or is for another ad account than --ad-account.
    """
    try:
        approved = Plan.from_json(_read_bytes(file).decode("utf-8-sig"))
        if approved.source is None:
            raise PlanError("the plan has no source")
    except (PlanError, UnicodeDecodeError):
        source = "standard input" if file == "-" else file
        raise usage_error(
            f"{source}: not a plan; it must be the JSON output of `plan -o json`"
        ) from None
    account = context.options.ad_account
    if account is not None and account != approved.ad_account_id:
        raise usage_error(
            f"--ad-account {account} differs from the plan's, {approved.ad_account_id}",
            "leave --ad-account out",
        )
    return approved


def _read_bytes(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read() if sys.stdin else b""
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise usage_error(f"{file}: cannot be read: {error.strerror}") from None
