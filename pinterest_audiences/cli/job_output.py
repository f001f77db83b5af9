"""Reports of jobs and dry runs, as output."""

from __future__ import annotations

import math
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from pinterest_audiences._jobs.job_errors import AudienceError
from pinterest_audiences._jobs.reports import JobReport, escaped, finding_code, finding_text
from pinterest_audiences._records.report import MIN_MATCHED_ACCOUNTS
from pinterest_audiences._text import counted
from pinterest_audiences.cli.error_reports import GUARD_OPTIONS
from pinterest_audiences.cli.output import plain

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

    from pinterest_audiences._jobs.plan import Plan
    from pinterest_audiences._models import JSON
    from pinterest_audiences.cli.context import Context
    from pinterest_audiences.cli.output import Line

__all__ = [
    "duplicates_of",
    "needed_share_text",
    "report_without_audience",
    "share_text",
    "show_dry_plan",
    "show_plan",
    "show_rejects",
    "show_report",
    "show_reports",
    "to_json",
]

_REJECT_COLUMNS = ("reason", "values", "share", "first_rows")
_MIN_SHOWN_SHARE = 0.001
_MIN_SHOWN_MEGABYTES = 0.1
_DRY_RUN = "dry run: nothing was sent"
_REJECTS = " values were rejected: "  # in the finding about them
_TIMES = ("begun", "started", "finished")
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


def show_report(
    context: Context,
    report: JobReport,
    plan: Plan | None = None,
    *,
    allowed: frozenset[str] = frozenset(),
) -> None:
    """Write the report of a job: what was sent and what comes next, or its values for programs.

    The findings are warnings on standard error, except in a report for people, which has them.

    Args:
        context: Context of the command.
        report: The report.
        plan: The plan of a mirror or a dry run, for its additions and removals.
        allowed: Guards of the plan that were confirmed.
    """
    if context.out.is_human:
        context.out.lines(_report_lines(report, plan, context.begun))
        _show_next(context, report, plan, allowed)
        return
    _warn_of(context, report.findings)
    row = _row(context, report)
    if plan is not None and plan.kind == "mirror":
        row |= {"to_add": plan.add, "to_remove": plan.remove}
    context.out.row(row)


def _report_lines(report: JobReport, plan: Plan | None, begun: float) -> Iterator[Line]:
    """Yield what was sent and rejected, how long it took, and the findings."""
    yield _outcome(report, plan)
    yield from _reject_line(report.source)
    # Of a job that another command began, records may have been forgotten since.
    duplicates = duplicates_of(report) if report.started >= begun else 0
    if duplicates:
        yield (f"{counted(duplicates, 'duplicate')} in the source: each record is sent once",)
    if report.calls:
        yield (_effort(report, begun),)
    for count, text in (
        (report.refused, "refused by Pinterest and left out"),
        (report.sent_twice, "sent twice, because a response was lost"),
        (report.dropped, "not sent: the job was abandoned, or a later mirror replaced it"),
    ):
        if count:
            yield ((f"{counted(count, 'record')} {text}", "yellow"),)
    if report.created and report.kind == "upload" and report.added < MIN_MATCHED_ACCOUNTS:
        few = f"TOO_SMALL: {counted(report.added, 'record')} cannot match {MIN_MATCHED_ACCOUNTS}"
        yield ((f"{few} accounts, which an audience needs", "yellow"),)
    if report.audience_id is not None:
        yield (f"Audience {report.audience_id} is ", _state(report.audience_status))
    elif report.audience_pending:
        yield (("The audience was not created yet; resume creates it", "yellow"),)
    for finding in report.findings:
        if finding != _DRY_RUN and _REJECTS not in finding:  # which are shown already
            yield ((f"! {plain(finding_text(finding))}", "yellow"),)


def duplicates_of(report: JobReport) -> int:
    """Return how many records of the source of an upload were duplicates, which are not sent."""
    if report.kind != "upload" or not isinstance(report.source, dict):
        return 0
    return max(cast("int", report.source.get("records") or 0) - report.planned, 0)


def _effort(report: JobReport, begun: float) -> str:
    """Return the requests of a job, and how long it took unless it was begun by another command."""
    text = f"{counted(report.calls, 'request')}, {_size(report.bytes)}"
    if report.started >= begun:
        seconds = (report.finished or report.started) - report.started
        text = f"Took {'under a second' if seconds < 1 else f'{seconds:,.0f} s'}: {text}"
    if report.budget_seconds < 1:
        return text
    return f"{text}; {report.budget_seconds:,.0f} s were spent waiting for the rate limit"


def _size(count: int) -> str:
    """Return a number of bytes in kB, or in MB from 0.1 of them."""
    return (
        f"{count / 1e6:,.1f} MB"
        if count >= _MIN_SHOWN_MEGABYTES * 1e6
        else f"{count / 1e3:,.1f} kB"
    )


def _outcome(report: JobReport, plan: Plan | None) -> Line:
    """Return what a job has done, or would do, to its list."""
    dry = report.status == "dry_run"
    name = f' "{plain(report.name)}"' if report.name else ""
    where = f"list{name} ({report.customer_list_id or 'to be created'})"
    added, removed = (plan.add, plan.remove) if dry and plan else (report.added, report.removed)
    changes = [
        f"{verb} {counted(count, 'record')}"
        for count, verb in (
            (added, "add" if dry else "added"),
            (removed, "remove" if dry else "removed"),
        )
        if count
    ]
    kept = f"; {plan.keep:,} kept" if plan is not None and plan.keep else ""
    left = f"; {report.left:,} are left" if report.left and not dry else ""
    made = ", which it created" if report.created else ""
    text = " and ".join(changes) or ("change nothing" if dry else "changed nothing")
    begin = "Dry run, nothing was sent: the job would" if dry else f"Job {report.job_id}"
    style = "green" if report.status == "done" else "yellow"
    state = "" if report.status in ("done", "dry_run") else f" ({report.status})"
    return ((f"{begin}{state} {text}", f"bold {style}"), f": {where}{made}{kept}{left}")


def _reject_line(source: JSON) -> Iterator[Line]:
    """Yield how many values of a source were rejected, and why."""
    if isinstance(source, dict) and source.get("rejected"):
        rejected, values = cast("int", source["rejected"]), cast("int", source.get("values") or 0)
        reasons = ", ".join(f"{row['values']:,} {row['reason']}" for row in _reject_rows(source))
        yield (
            (f"Rejected {rejected:,} of {values:,} values", "yellow"),
            f" ({share_text(rejected, values)}): {reasons}",
        )


def _show_next(
    context: Context, report: JobReport, plan: Plan | None, allowed: frozenset[str]
) -> None:
    """Write what comes next, as a command to copy."""
    list_id = report.customer_list_id
    if report.status == "dry_run":
        label, words = "Next", context.same_command(leave_out={"--dry-run": False})
        if plan is not None:
            label, words = _applying_command(context, plan, allowed)
    elif report.status == "running" or report.audience_pending:
        label, words = "Next", context.next_command("resume")
    elif report.audience_id is not None and report.audience_status != "READY":
        label = "Next, in a day or two"
        words = context.next_command("audience", "get", report.audience_id)
    elif report.audience_id is not None:
        label, words = "Next", context.next_command("audience", "get", report.audience_id)
    elif list_id is None or report.status != "done":
        return
    else:
        command = ("wait",) if report.added else ("lists", "get")
        label, words = "Next", context.next_command(*command, list_id)
    if words:
        context.out.command(label, words)


def _state(status: str | None) -> tuple[str, str]:
    return str(status), "green" if status == "READY" else "yellow"


def show_plan(context: Context, plan: Plan) -> None:
    """Write a plan: for people its changes, guards, time and rejects, otherwise its values.

    Args:
        context: Context of the command.
        plan: The plan.
    """
    if not context.out.is_human:
        _warn_of(context, plan.findings)
        if plan.blocked:
            context.console.warn(_blocked_text(plan))
        context.out.row(_plan_row(context, plan))
        return
    context.out.lines(_plan_lines(plan))
    show_rejects(context, plan.source)
    label, words = _applying_command(context, plan, frozenset(), "mirror")
    if words and plan.changes:
        context.out.lines([()])
        context.out.command(label, words)


def _applying_command(
    context: Context, plan: Plan, allowed: frozenset[str], *command: str
) -> tuple[str, list[str]]:
    """Return the command that applies a plan, and its label; it confirms what was shown, not more.

    Args:
        context: Context of the command.
        plan: The plan.
        allowed: Guards that were confirmed.
        command: The words of the command; none for the one that was typed.

    Returns:
        The label, and the words; no words for a blocked plan from a file, which has no guards.
    """
    guards = [guard for guard in plan.guards if guard not in allowed]
    options = [GUARD_OPTIONS[guard] for guard in guards]
    leave_out = {"--dry-run": False}
    if plan.kind == "mirror" and "removals" in guards:
        # The source is read again: if it is truncated by then, the guard must refuse it.
        options.remove(GUARD_OPTIONS["removals"])
        options += ["--max-removal-share", f"{math.ceil(plan.removal_share * 1000) / 1000:g}"]
        leave_out["--max-removal-share"] = True
    label = "Next, if these changes are right" if guards else "Next"
    if plan.blocked and not plan.guards:
        return label, []
    return label, context.same_command(*command, add=options, leave_out=leave_out)


def _plan_lines(plan: Plan) -> Iterator[Line]:
    name = f' "{plain(plan.name)}"' if plan.name else ""
    where = plan.customer_list_id or "to be created"
    yield ((f"Plan {plan.job_id}", "bold"), f" for list{name} ({where})")
    yield ()
    yield (("  +", "green"), f" {plan.add:>11,} to add")
    share = f" ({plan.removal_share:.1%} of the list)" if plan.remove else ""
    yield (("  -", "red"), f" {plan.remove:>11,} to remove{share}")
    yield ("  =", f" {plan.keep:>11,} kept")
    if plan.resend:
        yield (
            ("  +", "green"),
            f" {plan.resend:>11,} to add again: they share an identifier with a removed record",
        )
    yield ()
    for finding in plan.findings:
        if _REJECTS not in finding and finding_code(finding) not in plan.guards:
            yield ((f"! {plain(finding_text(finding))}", "yellow"),)
    for blocked in _guard_texts(plan, frozenset()):
        yield ((f"! {plain(blocked)}", "bold red"),)
    if plan.changes:
        minutes = "under a minute" if plan.minutes < 1 else f"about {plan.minutes:,.0f} minutes"
        pace = f" at {plan.calls_a_minute:,.0f} a minute" if plan.calls_a_minute else ""
        yield (f"Sending takes {counted(plan.calls, 'request')}{pace}: {minutes}",)
    else:
        yield (("No changes", "bold green"), ": the list has what the source has")
    if isinstance(plan.source, dict) and plan.source.get("rejected"):
        rejected, values = (cast("int", plan.source.get(name)) for name in ("rejected", "values"))
        yield (
            (f"Rejected {rejected:,} of {values:,} values", "yellow"),
            f" ({share_text(rejected, values)}): these customers will not be on the list",
        )


def _plan_row(context: Context, plan: Plan) -> dict[str, JSON]:
    """Return a plan as a row of output; without nested values for CSV."""
    row = {**to_json(plan.to_dict()), "blocked": _blocked_text(plan)}
    if context.out.form in ("json", "ndjson"):
        return row
    del row["source"]
    row["findings"] = _joined(row["findings"])
    return row


def show_rejects(context: Context, source: JSON) -> None:
    """Write a table of the rejects of a source by reason, below a result in the form ``table``.

    Args:
        context: Context of the command.
        source: The report of the source, as ``PreparationReport.to_dict`` returns it.
    """
    if isinstance(source, dict):
        context.out.details(_reject_rows(source), _REJECT_COLUMNS)


def _reject_rows(source: Mapping[str, JSON]) -> list[dict[str, JSON]]:
    """Return count, share of the values and first rows of each reason, the most frequent first."""
    rejects, rows, files = (
        cast("dict[str, JSON]", source.get(name) or {})
        for name in ("rejects", "first_rows", "first_files")
    )
    counts = cast("dict[str, int]", rejects)
    values = cast("int", source.get("values") or 0)
    summary: list[dict[str, JSON]] = []
    for reason, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        numbers = cast("Sequence[int]", rows.get(reason) or ())
        names = cast("Sequence[str]", files.get(reason) or ("",) * len(numbers))
        places = [
            f"{number} of {name}" if name else f"{number}"
            for number, name in zip(numbers, names, strict=False)
        ]
        summary.append(
            {
                "reason": reason,
                "values": count,
                "share": share_text(count, values),
                "first_rows": ", ".join(places) + (", …" if count > len(places) else ""),
            }
        )
    return summary


def share_text(count: int, total: int) -> str:
    """Return a share in percent; one that is not 0 is not shown as 0."""
    if not count:
        return "0%"
    share = count / max(total, 1)
    return f"{share:.1%}" if share >= _MIN_SHOWN_SHARE else "<0.1%"


def needed_share_text(needed: int, total: int) -> str:
    """Return the least share of a total with a number, in percent, rounded up."""
    return f"{-(-1000 * needed // total) / 10:g}%"


@contextmanager
def report_without_audience(context: Context) -> Generator[None, None, None]:
    """Write the report of a job that is done, before the error about its audience is raised."""
    try:
        yield
    except AudienceError as error:
        show_report(context, error.report)
        raise


def show_reports(context: Context, reports: Iterable[JobReport]) -> None:
    """Write the reports of several jobs."""
    reports = list(reports)
    for report in reports:
        _warn_of(context, report.findings)
    context.out.rows((to_json(report.to_dict()) for report in reports), _COLUMNS)


def to_json(values: dict[str, JSON]) -> dict[str, JSON]:
    """Return a report with times in ISO 8601, also in nested reports."""
    return {
        name: _utc(value) if name in _TIMES else _nested(value) for name, value in values.items()
    }


def _utc(value: JSON) -> JSON:
    """Return Unix seconds as ISO 8601 in UTC; ``None`` for 0 and for what is out of range."""
    if not isinstance(value, int | float) or not value:
        return None
    try:
        time = datetime.fromtimestamp(value, UTC)
    except (OverflowError, ValueError, OSError):  # of a plan that was edited
        return None
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")


def _nested(value: JSON) -> JSON:
    if isinstance(value, dict):
        return to_json(value)
    if isinstance(value, list | tuple):
        return [_nested(item) for item in value]
    return value


def _joined(findings: JSON) -> str:
    """Return findings on one line, for tables."""
    return "; ".join(map(str, findings)) if isinstance(findings, list | tuple) else ""


def _warn_of(context: Context, findings: Iterable[str]) -> None:
    """Print findings as warnings."""
    for finding in findings:
        if finding != _DRY_RUN:
            context.console.warn(finding)


def _blocked_text(plan: Plan, allowed: frozenset[str] = frozenset()) -> str:
    """Return why a plan is blocked and which options confirm it; empty if it is not blocked."""
    return "; ".join(_guard_texts(plan, allowed))


def _guard_texts(plan: Plan, allowed: frozenset[str]) -> list[str]:
    """Return why each guard blocks a plan, and which option confirms it."""
    if not plan.guards:  # also of a plan from a file
        return [plan.blocked] if plan.blocked else []
    return [
        f"{text}; confirm with {GUARD_OPTIONS[guard]}"
        for guard, text in plan.guards.items()
        if guard not in allowed
    ]


def show_dry_plan(
    context: Context,
    plan: Plan,
    *,
    allowed: frozenset[str] = frozenset(),
    audience: str | None = None,
) -> None:
    """Write the report of a dry run of a plan.

    Args:
        context: Context of the command.
        plan: The plan.
        allowed: Guards that were confirmed.
        audience: Name of the audience that the list would get.
    """
    blocked = _blocked_text(plan, allowed)
    findings = list(plan.findings)
    if audience is not None:
        findings.append(f'audience: "{escaped(audience)}" would be created if the list has none')
    report = JobReport(
        job_id=plan.job_id,
        kind=plan.kind,
        status="dry_run",
        ad_account_id=plan.ad_account_id,
        customer_list_id=plan.customer_list_id,
        name=plan.name,
        planned=plan.add + plan.remove,
        left=plan.add + plan.remove,
        batches=plan.calls,
        source=plan.source,
        findings=(*([blocked] if blocked else []), *findings, _DRY_RUN),
    )
    show_report(context, report, plan, allowed=allowed)


def _row(context: Context, report: JobReport) -> dict[str, JSON]:
    """Return a report; without nested values for CSV."""
    values = to_json(report.to_dict())
    if context.out.form in ("json", "ndjson"):
        return values
    source = values.pop("source")
    del values["rejected"]  # shown as source_rejected
    if report.audience_id is None:
        del values["audience_id"], values["audience_status"]
    values["findings"] = _joined(values["findings"])
    if isinstance(source, dict):
        values["source_rows"], values["source_rejected"] = source["rows"], source["rejected"]
    return values
