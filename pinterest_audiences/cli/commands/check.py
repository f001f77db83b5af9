"""``check`` and ``hash``: clean and hash a source without sending it."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

from attrs import AttrsInstance, asdict
from cyclopts import Parameter

from pinterest_audiences._errors import PinterestAudiencesError
from pinterest_audiences._records.prepare import check_reject_share
from pinterest_audiences._records.report import MIN_MATCHED_ACCOUNTS
from pinterest_audiences._text import counted
from pinterest_audiences.cli.context import Context, ContextArg
from pinterest_audiences.cli.error_reports import error_report
from pinterest_audiences.cli.html_report import CheckedSource, check_page, check_path, write_page
from pinterest_audiences.cli.job_output import needed_share_text, share_text, show_rejects
from pinterest_audiences.cli.options import (
    DEFAULT_OPTIONS,
    DEFAULT_SOURCE,
    CommonOptions,
    File,
    Flag,
    SourceOptions,
    expected_count,
    preparation,
)
from pinterest_audiences.cli.output import plain
from pinterest_audiences.cli.progress import progress_display

if TYPE_CHECKING:
    from pinterest_audiences._jobs.plan import ExpectedRows
    from pinterest_audiences._models import JSON, RecordRow
    from pinterest_audiences._records.prepare import PreparedRecords
    from pinterest_audiences._records.report import PreparationReport
    from pinterest_audiences._records.samples import MaskedSample
    from pinterest_audiences.cli.output import Line

__all__ = ["check", "hash_records"]

_SHOWN_SAMPLES = 2  # for each reason, in a table
_ONLY_OF_CHECK = {"--sample": True, "--match-rate": True, "--duplicates": False, "--html": True}
_SAMPLE_COLUMNS = ("file", "row", "reason", "column", "masked")
_ROW_COLUMNS = (
    "email",
    "maid",
    "hashed_phone_number",
    "hashed_pinner_id",
    "external_id",
    "ip_address",
    "user_agent",
    "liveramp_envelope",
)


def check(
    *files: File,
    source: SourceOptions = DEFAULT_SOURCE,
    match_rate: float | None = None,
    duplicates: Flag = False,
    samples: Annotated[int | None, Parameter(name="--sample")] = None,
    expect_rows: str | None = None,
    html: Path | None = None,
    common: CommonOptions = DEFAULT_OPTIONS,
    context: ContextArg,
) -> None:
    """Clean and hash a source without sending it, and report on its rows.

    Args:
        files: Files, folders, patterns or URLs of CSV, TSV, NDJSON, Parquet or plain lists, read as
            one source; - for standard input.
        source: How the source is read.
        match_rate: Expected share of records that match an account; warns if the list stays too
            small to become READY.
        duplicates: Count duplicate records; keeps all records in memory.
        samples: Show this many masked values, 0 to 100, for each reject reason and warning: row
            number and structure, such as aaa@@aaaa,aa, without letters and digits. Default: 2 in
            a table, otherwise 0.
        expect_rows: Minimum rows of the source, a count. Detects a truncated export, also through a
            pipe.
        html: Write an HTML page with charts, too. It has counts, row numbers and names of files,
            and nothing that is in the files.
        common: Common options.
        context: Context of the command.
    """
    expected = expected_count(expect_rows)
    share = context.max_reject_share(source.max_reject_share)
    if samples is None:
        samples = _SHOWN_SAMPLES if context.out.is_human else 0
    if html is not None:
        check_path(html, [*files, *filter(None, [source.rejects_to])])
    # Rejects are checked after the whole source is read, so that the report is complete.
    with progress_display(context.console) as progress:
        ready = preparation(
            files,
            source,
            database=context.database_url(source),
            share=None,
            deduplicate=duplicates,
            samples=samples,
            on_progress=progress.read,
        )
        report = ready.run()
    if match_rate is not None:
        report.estimate_matches(match_rate)  # checks the rate
    checked = CheckedSource(report, match_rate, duplicates, ready.samples)
    with _html_page(context, html, checked):
        if context.out.is_human:
            _show_report(context, report, ready.samples, match_rate, counts_duplicates=duplicates)
        else:
            _write_report(context, checked, shows_samples=samples > 0)
        _check(context, report, share, expected)
    if context.out.is_human:
        _show_next(context)


@contextmanager
def _html_page(
    context: Context, path: Path | None, checked: CheckedSource
) -> Generator[None, None, None]:
    """Write the page of a check after a block, also if the block finds a problem.

    Raises:
        CommandError: It cannot be written.
    """

    def write(problem: str) -> None:
        if path is not None:
            write_page(path, check_page(checked, problem, time.time()))
            context.console.note(f"the report is in {path}")

    try:
        yield
    except PinterestAudiencesError as error:
        write(error_report(error).message)
        raise
    write("")


def _write_report(context: Context, checked: CheckedSource, *, shows_samples: bool) -> None:
    """Write the report of a source for programs."""
    report, match_rate = checked.report, checked.match_rate
    if match_rate is not None and not report.estimate_matches(match_rate).reaches_minimum:
        context.console.warn(f"the list may be TOO_SMALL: {report.estimate_matches(match_rate)}")
    for finding in report.findings:
        context.console.warn(str(finding))
    # Duplicates that were not counted are not 0.
    counted = {} if checked.counts_duplicates else {"duplicates": None}
    masked = [each.to_dict() for each in checked.samples]
    match context.out.form:
        case "json" | "ndjson":
            context.out.row({**report.to_dict(), **counted, "samples": masked})
        case _:
            shown = {"samples": masked} if shows_samples else {}
            context.out.row({**_flat(report), **_rejects(report), **counted, **shown})


def _show_report(
    context: Context,
    report: PreparationReport,
    samples: Sequence[MaskedSample],
    match_rate: float | None,
    *,
    counts_duplicates: bool,
) -> None:
    """Write what a source has for people: counts, rejects, masked examples and the forecast."""
    context.out.lines(_count_lines(report, counts_duplicates=counts_duplicates))
    show_rejects(context, report.to_dict())
    context.out.details([sample.to_dict() for sample in samples], _SAMPLE_COLUMNS)
    context.out.lines([(), *_forecast_lines(report, match_rate)])


def _count_lines(report: PreparationReport, *, counts_duplicates: bool) -> Iterator[Line]:
    """Yield the counts of a source and its findings."""
    columns = ", ".join(map(plain, report.columns))
    noun = "column " if len(report.columns) == 1 else "columns "
    if all(name.startswith("column ") for name in report.columns):  # of a table without a header
        noun = ""
    column = f", {noun}{columns}" if columns else ""
    yield (
        (plain(report.source), "bold"),
        f": {counted(report.rows, 'row')} of {report.kind}{column}",
    )
    yield ()
    included = "" if counts_duplicates else ", duplicates included"
    yield (("  +", "green"), f" {counted(report.records, 'valid record', width=11)}{included}")
    share = share_text(report.rejected, report.values)
    yield (("  -", "red"), f" {report.rejected:>11,} rejected ({share} of the values)")
    if counts_duplicates:
        yield ("  =", f" {counted(report.duplicates, 'duplicate', width=11)}")
    if report.blank:
        yield ("   ", f" {counted(report.blank, 'blank row', width=11)}, skipped")
    if report.findings:
        yield ()
    for finding in report.findings:
        yield ((f"! {plain(str(finding))}", "yellow"),)


def _forecast_lines(report: PreparationReport, match_rate: float | None) -> Iterator[Line]:
    """Yield what share of the records must match for an audience, or an estimate at a rate."""
    records, minimum = report.records, MIN_MATCHED_ACCOUNTS
    yield (("Match forecast", "bold"), f": an audience needs {minimum} matched accounts")
    if records < minimum:
        yield (
            (f"  TOO_SMALL: {counted(records, 'record')} cannot match {minimum} accounts", "red"),
            f"; {minimum - records:,} more at least",
        )
        return
    share = needed_share_text(minimum, records)
    yield (f"  {records:,} records reach that if {share} of them or more match",)
    if match_rate is None:
        yield ("  Pinterest publishes no match rates; --match-rate 0.3 calculates with 30%",)
        return
    estimate = report.estimate_matches(match_rate)
    enough = estimate.reaches_minimum
    verdict = "enough" if enough else f"TOO_SMALL, {estimate.records_needed:,} records are required"
    yield (
        f"  At {match_rate:.0%} about {estimate.expected_matches:,} match: ",
        (verdict, "green" if enough else "red"),
    )


def _show_next(context: Context) -> None:
    """Write the command that sends the source."""
    words = context.same_command("upload", add=("--name", "NAME"), leave_out=_ONLY_OF_CHECK)
    if words:
        context.out.lines([()])
        context.out.command("Next", words)


def hash_records(
    *files: File,
    source: SourceOptions = DEFAULT_SOURCE,
    expect_rows: str | None = None,
    common: CommonOptions = DEFAULT_OPTIONS,
    context: ContextArg,
) -> None:
    """Print the hashes that an upload would send, one for each row that is sent.

    Args:
        files: Files, folders, patterns or URLs of CSV, TSV, NDJSON, Parquet or plain lists, read as
            one source; - for standard input.
        source: How the source is read.
        expect_rows: Minimum rows of the source, a count. Detects a truncated export, also through a
            pipe.
        common: Common options.
        context: Context of the command.
    """
    expected = expected_count(expect_rows)
    share = context.max_reject_share(source.max_reject_share)
    columns = (source.kind,) if source.columns is None else _ROW_COLUMNS
    with progress_display(context.console) as progress:
        # A bar would be drawn between the hashes.
        on_progress = None if context.out.is_terminal else progress.read
        ready = preparation(
            files,
            source,
            database=context.database_url(source),
            share=None,
            on_progress=on_progress,
        )
        context.out.rows(_hashes(ready, source.kind), columns)
    report = ready.report
    context.console.note(f"{counted(report.records, 'record')} of {counted(report.rows, 'row')}")
    _check(context, report, share, expected)


def _check(
    context: Context, report: PreparationReport, share: float, expected: ExpectedRows | None
) -> None:
    """Check a source after it was read to its end.

    Raises:
        TooManyRejectsError: Too many values were rejected.
        GuardError: The source has fewer rows than expected.
        SourceError: No row has a value.
    """
    if report.limit is not None:
        context.console.warn(f"only the first {counted(report.limit, 'row', 'were')} read")
    check_reject_share(report, share)
    if expected is not None:
        expected.check(report.source, report.rows, None)
    report.check_has_values()


def _hashes(
    ready: PreparedRecords[str] | PreparedRecords[RecordRow], kind: str
) -> Iterator[dict[str, JSON]]:
    for chunk in ready:
        for record in chunk:
            if isinstance(record, str):
                yield {kind: record}
            else:
                values = asdict(cast("AttrsInstance", record))
                yield {name: value for name, value in values.items() if value is not None}


def _flat(report: PreparationReport) -> dict[str, JSON]:
    return {
        "source": report.source,
        "kind": report.kind,
        "columns": ", ".join(report.columns),
        "rows": report.rows,
        "blank": report.blank,
        "values": report.values,
        "records": report.records,
        "duplicates": report.duplicates,
        "rejected": report.rejected,
    }


def _rejects(report: PreparationReport) -> dict[str, JSON]:
    return {f"rejected_{reason}": count for reason, count in report.rejects.items()}
