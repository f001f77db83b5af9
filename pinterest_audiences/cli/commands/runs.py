"""``runs``: the history of jobs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pinterest_audiences.cli.context import ContextArg
from pinterest_audiences.cli.error_reports import usage_error
from pinterest_audiences.cli.html_report import check_path, last_part, runs_page, write_page
from pinterest_audiences.cli.job_output import to_json
from pinterest_audiences.cli.options import (
    DEFAULT_OPTIONS,
    NO_LIST,
    CommonOptions,
    Flag,
    ListSelector,
)

if TYPE_CHECKING:
    from pinterest_audiences._jobs.reports import RunReport
    from pinterest_audiences._models import JSON

__all__ = ["runs"]

_COLUMNS = (
    "run_id",
    "started",
    "operation",
    "source",
    "customer_list_id",
    "name",
    "added",
    "removed",
    "rejected",
    "seconds",
    "outcome",
)
_SHOWN = (  # to people
    "job",
    "started",
    "kind",
    "source",
    "list",
    "added",
    "removed",
    "rejected",
    "seconds",
    "outcome",
    "error",
)


def runs(
    *,
    which: ListSelector = NO_LIST,
    limit: int | None = None,
    all_accounts: Flag = False,
    html: Path | None = None,
    common: CommonOptions = DEFAULT_OPTIONS,
    context: ContextArg,
) -> None:
    """Show the history of jobs from the state file, newest first; makes no request.

    Args:
        which: Only runs of this list.
        limit: Maximum number of runs. Default: all.
        all_accounts: Runs of all ad accounts in the state file.
        html: Write an HTML page with charts, too: outcomes, and members over time. It has names of
            lists and files, and no records.
        common: Common options.
        context: Context of the command.

    Raises:
        CommandError: The limit is below 0, both --name and --list are used, or the page cannot be
            written.
    """
    if which.name is not None and which.list_id is not None:
        raise usage_error("use either --name or --list")
    if limit is not None and limit < 0:
        raise usage_error("--limit must be 0 or more")
    if html is not None:
        check_path(html, [context.state])
    with context.offline_client() as client:
        reports = client.runs(
            None if all_accounts else context.ad_account,
            customer_list_id=None
            if which.list_id is None
            else context.list_reference(which.list_id),
            name=which.name,
            limit=limit,
            state=context.state,
        )
        accounts = {report.ad_account_id for report in reports} if html is not None else set[str]()
        lists = [
            item for account in accounts for item in client.status(account, state=context.state)
        ]
    if html is not None:
        write_page(html, runs_page(reports, lists, time.time()))
        context.console.note(f"the report is in {html}")
    if context.out.is_human:
        context.out.rows(_for_people(reports), _SHOWN, optional=("seconds", "job"), below="error")
    else:
        context.out.rows((to_json(report.to_dict()) for report in reports), _COLUMNS)


def _for_people(reports: Sequence[RunReport]) -> list[dict[str, JSON]]:
    """Return runs with fewer values: short names, and no column of zeros only."""
    rows = [to_json(report.to_dict()) for report in reports]
    zero = [name for name in ("removed", "rejected") if not any(row[name] for row in rows)]
    return [
        {
            **row,
            **dict.fromkeys(zero),
            "job": None if report.job_id is None else f"{report.job_id}",
            "kind": report.operation,
            "source": last_part(report.source or ""),
            "list": report.name or report.customer_list_id,
            "seconds": None if report.seconds is None else f"{report.seconds:,.1f}",
            "error": report.error or report.error_type,
        }
        for row, report in zip(rows, reports, strict=True)
    ]
