"""What became of jobs, on standard output; and what would become of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinterest_audiences.cli.problems import in_words_of_the_command_line
from pinterest_audiences.jobs.keys import BUCKETS
from pinterest_audiences.jobs.report import JobReport
from pinterest_audiences.jobs.source import SourceKeys

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pinterest_audiences.cli.context import Context
    from pinterest_audiences.jobs.plan import Plan
    from pinterest_audiences.jobs.report import ListStatus
    from pinterest_audiences.models import JSON, RecordRow
    from pinterest_audiences.records.prepare import Preparation

__all__ = [
    "dry_report",
    "in_our_words",
    "joined",
    "show_dry_plan",
    "show_report",
    "show_reports",
    "warn_of",
]

_DRY = "dry run: nothing was sent"
_WORDS = ("blocked", "findings", "problem", "jobs", "lists")  # in sentences, or what has some
_COLUMNS = (
    "job_id",
    "kind",
    "status",
    "customer_list_id",
    "name",
    "planned",
    "added",
    "removed",
    "left",
)


def show_report(context: Context, report: JobReport, plan: Plan | None = None) -> None:
    """Write the report of a job, and warn of what it found.

    Args:
        context: What the command works with.
        report: The report.
        plan: The plan of a mirror, which tells what there was to add and to remove.
    """
    warn_of(context, report.findings)
    told = _row(context, report)
    if plan is not None:
        told |= {"to_add": plan.add, "to_remove": plan.remove}
    context.out.row(told)


def show_reports(context: Context, reports: Iterable[JobReport]) -> None:
    """Write the reports of several jobs."""
    kept = list(reports)
    for report in kept:
        warn_of(context, report.findings)
    context.out.rows((in_our_words(report.to_dict()) for report in kept), _COLUMNS)


def in_our_words(told: dict[str, JSON]) -> dict[str, JSON]:
    """Return what the library tells of something, with flags in the place of its arguments."""
    return {name: _in_our_words(value) if name in _WORDS else value for name, value in told.items()}


def _in_our_words(value: JSON) -> JSON:
    if isinstance(value, str):
        return in_words_of_the_command_line(value)
    if isinstance(value, dict):
        return in_our_words(value)
    if isinstance(value, list | tuple):
        return [_in_our_words(each) for each in value]
    return value


def joined(findings: JSON) -> str:
    """Return findings on one line, for a table."""
    return "; ".join(map(str, findings)) if isinstance(findings, list | tuple) else ""


def warn_of(context: Context, findings: Iterable[str]) -> None:
    """Warn of findings."""
    for finding in findings:
        if finding != _DRY:
            context.screen.warn(in_words_of_the_command_line(finding))


def dry_report(
    context: Context,
    ready: Preparation[str] | Preparation[RecordRow],
    customer_list_id: str | None,
    name: str | None,
    *,
    known: Sequence[ListStatus],
    keep_unhashed: bool,
) -> JobReport:
    """Read a source to its end, and say what would be sent.

    Args:
        context: What the command works with.
        ready: The source.
        customer_list_id: The list's id, if it is said.
        name: The list's name, if it is said.
        known: The lists that may be meant, as the state file knows them.
        keep_unhashed: Whether columns of rows that go unhashed may be kept.
    """
    if len(known) == 1:
        customer_list_id = customer_list_id or known[0].customer_list_id
        name = name or known[0].name
    account = context.ad_account
    with SourceKeys(
        ready, kind="", column=None, keep_unhashed=keep_unhashed, state=context.state
    ) as keys:
        keys.read()
        # Equal records are sent once, and a form's come in batches of their own.
        counts = [
            (spool.form, sum(len(spool.keys(bucket)) for bucket in range(BUCKETS)))
            for spool in keys.spools.values()
        ]
        source = keys.report
    planned = sum(count for _, count in counts)
    return JobReport(
        job_id=0,
        kind="upload",
        status="dry_run",
        ad_account_id=account,
        customer_list_id=customer_list_id,
        name=name,
        planned=planned,
        left=planned,
        source=source,
        findings=(_DRY,),
    )


def show_dry_plan(context: Context, plan: Plan) -> None:
    """Write what applying a plan would come to, as the report of a job and what it would do."""
    report = JobReport(
        job_id=plan.job_id,
        kind="mirror",
        status="dry_run",
        ad_account_id=plan.ad_account_id,
        customer_list_id=plan.customer_list_id,
        name=plan.name,
        planned=plan.add + plan.remove,
        left=plan.add + plan.remove,
        batches=plan.calls,
        source=plan.source,
        findings=(*plan.findings, *([plan.blocked] if plan.blocked else []), _DRY),
    )
    show_report(context, report, plan)


def _row(context: Context, report: JobReport) -> dict[str, JSON]:
    """Return a report; for a person without what is nested in it."""
    told = in_our_words(report.to_dict())
    if context.out.form in ("json", "ndjson"):
        return told
    source = told.pop("source")
    told["findings"] = joined(told["findings"])
    if isinstance(source, dict):
        told["source_rows"], told["source_rejected"] = source["rows"], source["rejected"]
    return told
