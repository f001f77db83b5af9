"""``check`` and ``hash``: a source, cleaned here and sent nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from attrs import AttrsInstance, asdict

from pinterest_audiences.cli.options import (
    AS_USUAL,
    COMMON,
    Common,
    File,
    Flag,
    Given,
    SourceOptions,
)
from pinterest_audiences.cli.sources import allowed_rejects, check_rejects, preparation

if TYPE_CHECKING:
    from pinterest_audiences.models import JSON, RecordRow
    from pinterest_audiences.records.prepare import Preparation
    from pinterest_audiences.records.report import PreparationReport

__all__ = ["check", "hash_records"]

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
    file: File,
    /,
    *,
    source: SourceOptions = AS_USUAL,
    match_rate: float | None = None,
    duplicates: Flag = False,
    common: Common = COMMON,
    context: Given,
) -> None:
    """Clean and hash a source without sending it, and tell what became of its rows.

    Args:
        file: CSV, TSV, NDJSON, a plain list, Parquet; - for standard input.
        source: How the source is read.
        match_rate: The share of records you expect to match; tells whether the list gets READY.
        duplicates: Count equal records too; it keeps all of them in memory.
        common: Options of every command.
        context: What the command works with.
    """
    share = allowed_rejects(context, source)
    # Read to its end, so that the report tells of all of it; judged afterwards.
    ready = preparation(file, source, share=None, deduplicate=duplicates)
    report = ready.run()
    if match_rate is not None and not report.forecast(match_rate).reaches_minimum:
        context.screen.warn(f"the list may be TOO_SMALL: {report.forecast(match_rate)}")
    for finding in report.findings:
        context.screen.warn(str(finding))
    counted = {} if duplicates else {"duplicates": None}  # else 0 would be a claim
    if context.out.form in ("json", "ndjson"):
        context.out.row({**report.to_dict(), **counted})
    else:
        context.out.row({**_flat(report), **counted})
    check_rejects(report, share)


def hash_records(
    file: File,
    /,
    *,
    source: SourceOptions = AS_USUAL,
    common: Common = COMMON,
    context: Given,
) -> None:
    """Print the hashes that an upload would send, one for each row that can be sent.

    Args:
        file: CSV, TSV, NDJSON, a plain list, Parquet; - for standard input.
        source: How the source is read.
        common: Options of every command.
        context: What the command works with.
    """
    share = allowed_rejects(context, source)
    ready = preparation(file, source, share=None)
    columns = (source.kind,) if source.columns is None else _ROW_COLUMNS
    context.out.rows(_hashes(ready, source.kind), columns)
    report = ready.report
    context.screen.note(f"{report.records:,} records of {report.rows:,} rows")
    check_rejects(report, share)


def _hashes(
    ready: Preparation[str] | Preparation[RecordRow], kind: str
) -> Iterator[dict[str, JSON]]:
    for chunk in ready:
        for record in chunk:
            if isinstance(record, str):
                yield {kind: record}
            else:
                told = asdict(cast("AttrsInstance", record))
                yield {name: value for name, value in told.items() if value is not None}


def _flat(report: PreparationReport) -> dict[str, JSON]:
    rejects = {f"rejected_{reason}": count for reason, count in report.rejects.items()}
    return {
        "source": report.source,
        "kind": report.kind,
        "columns": ", ".join(report.columns),
        "rows": report.rows,
        "records": report.records,
        "duplicates": report.duplicates,
        "rejected": report.rejected,
        **rejects,
    }
