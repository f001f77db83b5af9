"""HTML reports: one page each, with charts, and without scripts, other files and records.

Names of columns are not shown: in a file without a header they may be those of a customer.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from itertools import pairwise
from pathlib import Path
from secrets import token_hex
from string import Template
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from pinterest_audiences._records.chunks import RejectReason
from pinterest_audiences._records.report import (
    MIN_MATCHED_ACCOUNTS,
    DataWarning,
    DataWarningType,
    estimate_matches,
)
from pinterest_audiences._redaction import NOT_SHOWN, looks_like_identifier, redact
from pinterest_audiences._text import counted
from pinterest_audiences._version import __version__
from pinterest_audiences.cli.error_reports import CommandError, ExitCode, usage_error
from pinterest_audiences.cli.job_output import needed_share_text

if TYPE_CHECKING:
    from pinterest_audiences._jobs.reports import ListStatus, RunReport
    from pinterest_audiences._records.report import PreparationReport
    from pinterest_audiences._records.samples import MaskedSample

__all__ = ["CheckedSource", "check_page", "check_path", "last_part", "runs_page", "write_page"]

_FOLDER = Path(__file__).parent
_PAGE_BEGINS = b"<!doctype html"
_MAX_SHOWN_FILES = 50
_MAX_SHOWN_RUNS = 200
_MAX_CHARTS = 12
_MAX_SCALE_MATCHES = 250  # where the scale of the forecast ends: 100 is far from both ends
_MIN_SHOWN_SHARE = 0.001
_OUTCOMES = {
    "done": "good",
    "failed": "bad",
    "interrupted": "warn",
    "running": "other",
    "abandoned": "empty",
    "superseded": "empty",
}
_FORECAST_RATES = (0.1, 0.3, 0.5, 0.7, 0.9)


@frozen
class CheckedSource:
    """What `check` knows about a source.

    Attributes:
        report: The report of its preparation.
        match_rate: The expected share of records that match; ``None`` if it is not known.
        counts_duplicates: Whether duplicates were counted.
        samples: Masked samples.
    """

    report: PreparationReport
    match_rate: float | None = None
    counts_duplicates: bool = False
    samples: Sequence[MaskedSample] = ()


def check_path(path: Path, sources: Iterable[str | Path]) -> None:
    """Check, before a long source is read, that a page can be written to a path.

    Args:
        path: Where the page will be written. A page that exists is replaced.
        sources: Files that must not be replaced.

    Raises:
        CommandError: It is not a file, another kind of file, or cannot be written.
    """
    place = path.resolve()
    if any(Path(source).is_dir() and Path(source).resolve() in place.parents for source in sources):
        raise usage_error(f"--html: {path}: is in a folder that this command reads")
    if path.is_dir() or not os.access(path.absolute().parent, os.W_OK):
        raise usage_error(f"--html: {path}: must be a file in a folder that can be written")
    if not path.exists():
        return
    if any(Path(source).exists() and path.samefile(source) for source in sources):
        raise usage_error(f"--html: {path}: is read by this command; choose another name")
    if not path.is_file():
        raise usage_error(f"--html: {path}: is not a regular file")
    try:
        with path.open("rb") as file:
            is_page = file.read(len(_PAGE_BEGINS)).lower() in (b"", _PAGE_BEGINS)
    except OSError as error:
        raise usage_error(f"--html: {path}: {error.strerror}") from None
    if not is_page:
        raise usage_error(f"--html: {path}: exists and is not an HTML page; choose another name")


def write_page(path: Path, page: str) -> None:
    """Write a page; a reader sees the old or the new one.

    Raises:
        CommandError: It cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{token_hex(4)}")
    try:
        try:
            with temporary.open("x", encoding="utf-8", newline="\n") as file:
                file.write(page)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise CommandError(
            f"--html: {path}: cannot be written: {error.strerror or type(error).__name__}",
            code="html_not_written",
            exit=ExitCode.UNEXPECTED,
        ) from None


def check_page(checked: CheckedSource, problem: str, now: float) -> str:
    """Return the page of `check`.

    Args:
        checked: What is known about the source.
        problem: Why an upload would be refused; empty if it would not.
        now: The time, as Unix seconds.
    """
    report = checked.report
    sections = [
        _section("What was read", _outcome(checked)),
        _section("Rejects by reason", _rejects(report)),
        _section(f"Match forecast against {MIN_MATCHED_ACCOUNTS}", _forecast(checked)),
    ]
    if report.findings:
        items = "".join(f"<li>{_finding(finding)}</li>" for finding in report.findings)
        sections.append(_section("Warnings", f'<ul class="plain">{items}</ul>'))
    if checked.samples:
        sections.append(_section("Masked examples", _samples(checked.samples), wide=True))
    if len(report.files) > 1:
        sections.append(_section("Files", _files(report)))
    files = len(report.files)  # the name of several files has their folder
    name = f"{counted(files, 'file')}" if files > 1 else _name(report.source)
    contents = "counts, row numbers and names of files, and nothing that is in the files"
    if checked.samples:
        contents += ", except masked examples"
    return _page(f"Check of {name}", _summary(checked, problem), sections, contents, now)


def runs_page(runs: Sequence[RunReport], lists: Sequence[ListStatus], now: float) -> str:
    """Return the page of `runs`.

    Args:
        runs: The history, newest first.
        lists: The lists as the state file knows them now.
        now: The time, as Unix seconds.
    """
    sections = [
        _section("Outcomes", _outcomes(runs)),
        *_member_charts(runs, lists),
        _section("Runs", _run_table(runs), wide=True),
    ]
    figures = {
        "runs": len(runs),
        "added": sum(run.added for run in runs),
        "removed": sum(run.removed for run in runs),
        "rejected": sum(run.rejected for run in runs),
    }
    last = next((run for run in runs if run.outcome != "running"), None)
    if last is None:
        verdict = _verdict("warn", "No run has ended yet")
    else:
        style = _OUTCOMES.get(last.outcome, "warn")
        verdict = _verdict(style, f"The last run: {escape(last.outcome)}, {_time(last.started)}")
    contents = "names of lists and files, and no records"
    return _page("Runs", verdict + _figures(figures), sections, contents, now)


def _outcomes(runs: Sequence[RunReport]) -> str:
    counts = Counter(run.outcome for run in runs)
    known = [*_OUTCOMES, *sorted(counts.keys() - _OUTCOMES)]
    parts = [(_OUTCOMES.get(name, "other"), name, counts[name]) for name in known if counts[name]]
    return _stack(parts)


def _member_charts(runs: Sequence[RunReport], lists: Sequence[ListStatus]) -> list[str]:
    """Return a chart for each list, those with the most runs first."""
    by_list: dict[tuple[str, str], list[RunReport]] = {}
    for run in runs:
        if run.customer_list_id is not None:
            by_list.setdefault((run.ad_account_id, run.customer_list_id), []).append(run)
    known = {(item.ad_account_id, item.customer_list_id): item for item in lists}
    charts: list[str] = []
    shown = [item for item in by_list.items() if item[0] in known]
    for key, history in sorted(shown, key=lambda item: -len(item[1]))[:_MAX_CHARTS]:
        name = _list_name(known[key].name, known[key].customer_list_id)
        charts.append(_section(f"Members of {name}", _members(history, known[key].records)))
    return charts


def _members(history: Sequence[RunReport], members: int) -> str:
    """Return the members of a list over time: a step after each run, back from today's number.

    Args:
        history: The runs of the list, newest first.
        members: Its members now.
    """
    points: list[tuple[float, int]] = []  # the time of a run and the members after it
    after = members
    for run in history:
        points.append((run.started, after))
        after = max(after - run.added + run.removed, 0)
    points.append((points[-1][0], after))  # before the first run
    points.reverse()
    begin, end = points[0][0], points[-1][0]
    most = max(count for _, count in points) or 1

    def at(time: float, count: int) -> str:
        x = (time - begin) / (end - begin) * 100 if end > begin else 100.0 * (count == members)
        return f"{x:.2f},{38 - count / most * 36:.2f}"

    steps = [at(*points[0])]
    for (_, before), (time, count) in pairwise(points):
        steps += [at(time, before), at(time, count)]
    line = " ".join(steps)
    return (
        f"<p>{members:,} now; {points[0][1]:,} before the first run shown, {most:,} at most.</p>\n"
        '<svg class="line" viewBox="0 0 100 40" preserveAspectRatio="none" aria-hidden="true">'
        f'<polygon points="0,38 {line} 100,38"/><polyline points="{line}"/></svg>\n'
        f'<p class="ends soft"><span>{_time(begin)}</span><span>{_time(end)}</span></p>'
        '<p class="soft">Computed from the counts of the runs; changes by others are not in it.</p>'
    )


def _run_table(runs: Sequence[RunReport]) -> str:
    if not runs:
        return "<p>The state file has no runs.</p>"
    rows = [
        [
            _time(run.started),
            escape(run.operation),
            _list_name(run.name, run.customer_list_id),
            _name(run.source or ""),
            f"{run.added:,}",
            f"{run.removed:,}",
            f"{run.rejected:,}",
            "" if run.seconds is None else f"{run.seconds:,.0f}&nbsp;s",
            _outcome_cell(run),
        ]
        for run in runs[:_MAX_SHOWN_RUNS]
    ]
    head = ("started", "operation", "list", "source", "added", "removed", "rejected", "took")
    more = len(runs) - len(rows)
    note = f'<p class="soft">And {more:,} earlier runs.</p>' if more else ""
    return _table([*head, "outcome"], rows, folds=True) + note


def _outcome_cell(run: RunReport) -> str:
    style = _OUTCOMES.get(run.outcome, "other")
    error = escape(redact(run.error or "")) or escape(run.error_type or "")
    detail = f'<br><span class="soft">{error}</span>' if error else ""
    return f'<span><span class="outcome {style}">{escape(run.outcome)}</span>{detail}</span>'


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def _page(title: str, summary: str, sections: Iterable[str], contents: str, now: float) -> str:
    style = (_FOLDER / "html_report.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return Template((_FOLDER / "html_report.html").read_text(encoding="utf-8")).substitute(
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'none'",
        style=style,
        title=title,
        summary=summary,
        sections="\n".join(sections),
        footer=f"Created {_time(now)} by pinterest-audiences {__version__}. This page has "
        f"{contents}.",
    )


def _section(title: str, content: str, *, wide: bool = False) -> str:
    style = ' class="wide"' if wide else ""
    return f"<section{style}>\n<h2>{title}</h2>\n{content}\n</section>"


def _name(path: str) -> str:
    """Return the name of a file, without folders, unless it may be personal data."""
    last = last_part(path)
    names = (last, last.partition(".")[0])  # also without the endings, such as those of a phone
    return escape(NOT_SHOWN if any(map(looks_like_identifier, names)) else last)


def _message(message: str, report: PreparationReport) -> str:
    """Return a message about a source, with the names of its files without folders."""
    text = message.removeprefix(f"{report.source}: ")
    for name in report.files:
        text = text.replace(name, last_part(name))
    return escape(redact(text))


def _list_name(name: str | None, list_id: str | None) -> str:
    return escape(redact(name) if name else list_id or "")


def _finding(finding: DataWarning) -> str:
    """Return a finding without the names of files and sheets."""
    if finding.kind in (DataWarningType.EMPTY_FILES, DataWarningType.UNREAD_SHEETS):
        finding = evolve(finding, detail="")
    return escape(str(finding))


def last_part(path: str) -> str:
    """Return the name of a file, a folder or a URL without what precedes it."""
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1] or path


def _summary(checked: CheckedSource, problem: str) -> str:
    report = checked.report
    if problem:
        style, verdict = "bad", f"An upload would be refused: {_message(problem, report)}"
    elif report.records < MIN_MATCHED_ACCOUNTS:
        style, verdict = (
            "warn",
            (f"Fewer than {MIN_MATCHED_ACCOUNTS} records: the list would be TOO_SMALL"),
        )
    elif _is_too_small(checked):
        style, verdict = "warn", "At this match rate the list may be TOO_SMALL"
    else:
        style, verdict = "good", f"{counted(report.records, 'record')} can be sent"
    figures = {"rows": report.rows, "records": report.records, "rejected": report.rejected}
    if checked.counts_duplicates:
        figures["duplicates"] = report.duplicates
    read = f"Identifiers: {escape(report.kind)}"
    limit = (
        ""
        if report.limit is None
        else f"; only the first {counted(report.limit, 'row', 'were')} read"
    )
    return f'{_verdict(style, verdict)}<p class="soft">{read}{limit}</p>\n{_figures(figures)}'


def _verdict(style: str, text: str) -> str:
    return f'<p class="verdict {style}">{text}</p>\n'


def _figures(figures: Mapping[str, int]) -> str:
    shown = "".join(
        f"<div><dt>{name}</dt><dd>{count:,}</dd></div>" for name, count in figures.items()
    )
    return f'<dl class="figures">{shown}</dl>'


def _is_too_small(checked: CheckedSource) -> bool:
    rate = checked.match_rate
    return rate is not None and not checked.report.estimate_matches(rate).reaches_minimum


def _outcome(checked: CheckedSource) -> str:
    report = checked.report
    empty = report.rejects.get(RejectReason.EMPTY, 0)
    parts = [("good", "records", report.records), ("bad", "rejected", report.rejected - empty)]
    if checked.counts_duplicates:
        parts.append(("other", "duplicates", report.duplicates))
    parts.append(("empty", "without a value", empty))
    blank = f'<p class="soft">{report.blank:,} blank rows were skipped.</p>' if report.blank else ""
    forms = ", ".join(f"{count:,} {escape(form)}" for form, count in report.forms.items() if count)
    came = f'<p class="soft">Form of the records in the source: {forms}.</p>' if forms else ""
    return f"{_stack(parts)}{blank}{came}"


def _stack(parts: Sequence[tuple[str, str, int]]) -> str:
    """Return one bar of several parts, each with a style, a name and a count, and its legend."""
    total = max(sum(count for *_, count in parts), 1)
    bars, legend, begin = "", "", 0.0
    for style, name, count in parts:
        share = count / total
        bars += _rectangle(style, begin, share)
        begin += share
        legend += (
            f'<li><svg aria-hidden="true">{_rectangle(style, 0, 1)}</svg>'
            f"{count:,} {escape(name)} ({_percent(share)})</li>"
        )
    return f'<svg class="stack" aria-hidden="true">{bars}</svg>\n<ul class="legend">{legend}</ul>'


def _rejects(report: PreparationReport) -> str:
    if not report.rejects:
        return "<p>No value was rejected.</p>"
    most = max(report.rejects.values())
    rows: list[str] = []
    for reason, count in sorted(report.rejects.items(), key=lambda item: (-item[1], item[0])):
        places = _first_places(report, reason)
        more = ", …" if count > len(places) else ""
        noun = "row" if count == 1 else "rows"
        rows.append(
            _bar(
                f"<code>{escape(reason)}</code>",
                count / most,
                f"{count:,} ({_percent(count / max(report.values, 1))})",
                style="empty" if reason == RejectReason.EMPTY else "bad",
                more=f"{noun} {', '.join(places)}{more}" if places else "",
            )
        )
    return (
        f'<ul class="bars">{"".join(rows)}</ul>\n<p class="soft">Shares are of '
        f"{counted(report.values, 'value')}. Row numbers count below the header.</p>"
    )


def _first_places(report: PreparationReport, reason: RejectReason) -> list[str]:
    rows = report.first_rows.get(reason, ())
    files = report.first_files.get(reason) or [""] * len(rows)
    return [
        f"{row:,} of {_name(file)}" if file else f"{row:,}"
        for row, file in zip(rows, files, strict=True)
    ]


def _forecast(checked: CheckedSource) -> str:
    """Return the expected matches at several match rates, each with a mark at 100."""
    records, given = checked.report.records, checked.match_rate
    rates = sorted({*_FORECAST_RATES} | ({given} if given else set()))
    rows: list[str] = []
    for rate in rates:
        estimate = estimate_matches(records, rate)
        matches = estimate.expected_matches
        name = f"at {rate * 100:.3g}%"
        rows.append(
            _bar(
                f"<strong>{name}, as given</strong>" if rate == given else name,
                min(matches / _MAX_SCALE_MATCHES, 1),
                f"{counted(matches, 'account')}",
                style="good" if estimate.reaches_minimum else "warn",
                mark=MIN_MATCHED_ACCOUNTS / _MAX_SCALE_MATCHES,
            )
        )
    if records < MIN_MATCHED_ACCOUNTS:
        needed = f"{MIN_MATCHED_ACCOUNTS - records:,} more records are required at least."
    else:
        least = needed_share_text(MIN_MATCHED_ACCOUNTS, records)
        needed = f"These records reach it at a match rate of {least} or more."
    duplicates = "" if checked.counts_duplicates else " Duplicates are not counted out."
    return (
        f"<p>A list requires {MIN_MATCHED_ACCOUNTS} matched accounts; with fewer it is TOO_SMALL. "
        f"{needed}</p>\n"
        f'<ul class="bars">{"".join(rows)}</ul>\n<p class="soft">The mark is at '
        f"{MIN_MATCHED_ACCOUNTS}, and the scale ends at {_MAX_SCALE_MATCHES}. Pinterest publishes "
        f"no match rates.{duplicates}</p>"
    )


def _samples(samples: Sequence[MaskedSample]) -> str:
    files = any(sample.file for sample in samples)
    columns = any(sample.column for sample in samples)
    head = [*["file"] * files, "row", "reason", *["column"] * columns, "masked"]
    rows = [
        [
            *[_name(sample.file)] * files,
            f"{sample.row}",
            f"<code>{escape(sample.reason)}</code>",
            *[escape(sample.column)] * columns,
            f"<code>{escape(sample.masked)}</code>",
        ]
        for sample in samples
    ]
    return _table(head, rows, folds=True) + (
        '<p class="soft">Letters are shown as a, digits as 9, and mixtures as x.</p>'
    )


def _files(report: PreparationReport) -> str:
    files = list(report.files.items())
    shown = files[:_MAX_SHOWN_FILES]
    rows = [[_name(name), f"{count:,}"] for name, count in shown]
    more = len(files) - len(shown)
    note = f'<p class="soft">And {counted(more, "more file")}.</p>' if more else ""
    return _table(["file", "rows"], rows) + note


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, folds: bool = False) -> str:
    """Return a table; one that folds has a line for each cell on a narrow screen."""
    names = "".join(f"<th>{name}</th>" for name in head)
    style = ' class="folds"' if folds else ""
    body = ""
    for row in rows:
        cells = (
            f'<td data-name="{name}">{cell}</td>' for name, cell in zip(head, row, strict=True)
        )
        body += f"<tr>{''.join(cells)}</tr>"
    return (
        f'<div class="scroll" tabindex="0"><table{style}><thead><tr>{names}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _bar(
    name: str, share: float, value: str, *, style: str, mark: float | None = None, more: str = ""
) -> str:
    """Return a row of a chart: text in HTML, which has one size at every width, and a bar."""
    drawn = _rectangle("track", 0, 1) + _rectangle(style, 0, share)
    if mark is not None:
        drawn += f'<rect class="mark" x="{mark:.1%}" width="2" height="100%"/>'
    detail = f'<span class="more soft">{more}</span>' if more else ""
    return (
        f'<li><span>{name}</span><svg aria-hidden="true">{drawn}</svg>'
        f'<span class="value">{value}</span>{detail}</li>'
    )


def _rectangle(style: str, begin: float, share: float) -> str:
    return f'<rect class="{style}" x="{begin:.2%}" width="{share:.2%}" height="100%"/>'


def _percent(share: float) -> str:
    return "&lt;0.1%" if 0 < share < _MIN_SHOWN_SHARE else f"{share:.1%}"
