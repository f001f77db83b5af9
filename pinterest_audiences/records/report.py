"""What became of every row: counts, reasons, findings; never a value."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

from attrs import asdict, frozen

from pinterest_audiences.models import OpenEnum
from pinterest_audiences.records.forecast import Forecast, forecast
from pinterest_audiences.records.reasons import Note, RejectReason

if TYPE_CHECKING:
    from pinterest_audiences.models import JSON

__all__ = ["Finding", "FindingKind", "PreparationReport", "Tally", "column_findings"]

_ROWS_KEPT = 5  # first row numbers for each reason


class FindingKind(OpenEnum):
    """What is odd about a whole column."""

    MIXED_PLAIN_AND_HASHED = "mixed_plain_and_hashed"
    MIXED_ALGORITHMS = "mixed_algorithms"
    UPPER_CASE_HASHES = "upper_case_hashes"
    RESERVED_DOMAINS = "reserved_domains"
    MAYBE_UNDASHED_IDS = "maybe_undashed_ids"
    CELLS_LEFT_OUT = "cells_left_out"


_WORDS: Mapping[FindingKind, str] = {
    FindingKind.MIXED_PLAIN_AND_HASHED: "hashed already, among plain ones: is this one column?",
    FindingKind.MIXED_ALGORITHMS: "not hashed as most are: is this one column?",
    FindingKind.UPPER_CASE_HASHES: "hashes in upper case; lower-cased, or they would match nobody",
    FindingKind.RESERVED_DOMAINS: "addresses without a mailbox (example.com, .test): test data?",
    FindingKind.MAYBE_UNDASHED_IDS: "32 digits without dashes, taken as MD5; ids would need dashes",
    FindingKind.CELLS_LEFT_OUT: "cells left out of rows that have other identifiers",
}
_BY_NOTE: Mapping[Note, FindingKind] = {
    Note.UPPER_CASE_HASH: FindingKind.UPPER_CASE_HASHES,
    Note.RESERVED_DOMAIN: FindingKind.RESERVED_DOMAINS,
    Note.MAYBE_UNDASHED_ID: FindingKind.MAYBE_UNDASHED_IDS,
}


@frozen
class Finding:
    """Something odd about a whole column.

    Attributes:
        kind: What it is.
        count: How many values it concerns.
        column: The column of the rows it concerns; empty where there is only one.
        detail: More on it, e.g. the reason why cells were left out.
    """

    kind: FindingKind
    count: int
    column: str = ""
    detail: str = ""

    def __str__(self) -> str:
        where = f"{self.column}: " if self.column else ""
        detail = f" ({self.detail})" if self.detail else ""
        return f"{where}{self.count:,} {_WORDS.get(self.kind, self.kind)}{detail}"


@frozen(kw_only=True)
class PreparationReport:
    """What became of every row of a source.

    ``rows == records + duplicates + rejected`` holds at any time. Nothing in it is a value of a
    row: it can be logged, mailed and kept.

    Attributes:
        source: Where the rows came from: a path, or the kind of object.
        kind: What the records are; ``row`` for rows of several columns.
        columns: The columns that were read, as the source names them; empty where it has none.
        complete: Whether the source was read to its end.
        rows: Rows read, without a header.
        records: Records made.
        duplicates: Rows that gave a record which was there already; counted only when asked for.
        rejects: Rows left out, by reason.
        first_rows: The first five row numbers for each reason, counted from 1 below the header.
        forms: How the values of the records came: ``plain``, ``sha256``, ``sha1``, ``md5``.
        findings: What is odd about whole columns.
    """

    source: str
    kind: str
    columns: tuple[str, ...] = ()
    complete: bool = False
    rows: int = 0
    records: int = 0
    duplicates: int = 0
    rejects: Mapping[RejectReason, int]
    first_rows: Mapping[RejectReason, tuple[int, ...]]
    forms: Mapping[str, int]
    findings: tuple[Finding, ...] = ()

    @property
    def rejected(self) -> int:
        """How many rows were left out."""
        return sum(self.rejects.values())

    def forecast(self, match_rate: float) -> Forecast:
        """Tell whether a list of these records can reach 100 matched accounts.

        Args:
            match_rate: The share of records expected to match an account, above 0 and up to 1.

        Raises:
            ConfigurationError: The rate is not in that range.
        """
        return forecast(self.records, match_rate)

    def to_dict(self) -> dict[str, JSON]:
        """Return the report as JSON values; names are only ever added."""
        told = cast("dict[str, JSON]", asdict(self, value_serializer=_plain))
        told["rejected"] = self.rejected
        return told

    def to_json(self) -> str:
        """Return the report as one line of JSON."""
        return json.dumps(self.to_dict(), separators=(",", ":"))

    def __str__(self) -> str:
        columns = f", column {', '.join(map(repr, self.columns))}" if self.columns else ""
        lines = [
            f"{self.source}{columns}: {self.kind}",
            f"{self.rows:>12,} rows{'' if self.complete else ' so far; not read to the end'}",
            f"{self.records:>12,} records{_list_of(self.forms)}",
            f"{self.duplicates:>12,} duplicates",
            f"{self.rejected:>12,} rejects",
        ]
        for reason, count in sorted(self.rejects.items(), key=lambda item: (-item[1], item[0])):
            rows = ", ".join(str(row) for row in self.first_rows.get(reason, ()))
            more = ", …" if count > _ROWS_KEPT else ""
            lines.append(f"{count:>16,} {reason} (row {rows}{more})")
        lines += (f"  finding: {finding}" for finding in self.findings)
        return "\n".join(lines)


class Tally:
    """The counts while rows are read.

    Args:
        on_reject: Told of each reject: row number, reason, value.
    """

    def __init__(
        self, on_reject: Callable[[int, RejectReason, object], None] | None = None
    ) -> None:
        self.rows = 0
        self.records = 0
        self.duplicates = 0
        self.rejects: Counter[RejectReason] = Counter()
        self.first_rows: dict[RejectReason, list[int]] = {}
        self.forms: Counter[str] = Counter()
        self.notes: Counter[Note] = Counter()
        self._on_reject = on_reject

    def reject(self, row: int, reason: RejectReason, value: object) -> None:
        """Count a row that is left out; the value goes to ``on_reject`` and nowhere else."""
        self.rejects[reason] += 1
        first = self.first_rows.setdefault(reason, [])
        if len(first) < _ROWS_KEPT:
            first.append(row)
        if self._on_reject is not None:
            self._on_reject(row, reason, value)


def column_findings(
    forms: Mapping[str, int], notes: Mapping[Note, int], column: str = ""
) -> list[Finding]:
    """Tell what is odd about one column."""
    found: list[Finding] = []
    hashed = {form: count for form, count in forms.items() if form != "plain" and count}
    total = sum(hashed.values())
    if total and forms.get("plain"):
        found.append(Finding(FindingKind.MIXED_PLAIN_AND_HASHED, total, column))
    if len(hashed) > 1:
        odd = total - max(hashed.values())
        found.append(Finding(FindingKind.MIXED_ALGORITHMS, odd, column, ", ".join(sorted(hashed))))
    found += (
        Finding(kind, notes[note], column) for note, kind in _BY_NOTE.items() if notes.get(note)
    )
    return found


def _list_of(forms: Mapping[str, int]) -> str:
    if not forms:
        return ""
    return " (" + ", ".join(f"{count:,} came {form}" for form, count in forms.items()) + ")"


def _plain(_owner: object, _field: object, value: object) -> object:
    """Turn what JSON does not know into what it knows: enum keys into strings."""
    if isinstance(value, OpenEnum):
        return str(value)
    if isinstance(value, dict):
        return {str(key): item for key, item in cast("dict[object, object]", value).items()}
    return value
