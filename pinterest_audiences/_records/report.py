"""The report of a preparation: counts, findings, the match estimate and the file of rejects."""

from __future__ import annotations

import csv
import json
import math
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO, cast

from attrs import asdict, field, frozen

from pinterest_audiences._errors import ConfigurationError, SourceError, suggest
from pinterest_audiences._models import JSON, OpenEnum
from pinterest_audiences._records.chunks import (
    Chunk,
    RejectReason,
    RowChunk,
    UnreadableRow,
    WarningCode,
)
from pinterest_audiences._records.samples import MaskedSample, SampleCollector
from pinterest_audiences._text import counted

__all__ = [
    "MIN_MATCHED_ACCOUNTS",
    "Counters",
    "DataWarning",
    "DataWarningType",
    "MatchEstimate",
    "PreparationReport",
    "RejectFile",
    "column_findings",
    "estimate_matches",
    "first_places",
    "left_out_cause",
    "reject_share",
    "samples_of",
]


class DataWarningType(OpenEnum):
    """The kind of a finding."""

    MIXED_PLAIN_AND_HASHED = "mixed_plain_and_hashed"
    MIXED_ALGORITHMS = "mixed_algorithms"
    UPPER_CASE_HASHES = "upper_case_hashes"
    RESERVED_DOMAINS = "reserved_domains"
    MAYBE_UNDASHED_IDS = "maybe_undashed_ids"
    CELLS_LEFT_OUT = "cells_left_out"
    EMPTY_FILES = "empty_files"
    UNREAD_SHEETS = "unread_sheets"


_DESCRIPTIONS: Mapping[DataWarningType, str] = {
    DataWarningType.MIXED_PLAIN_AND_HASHED: "hashed value{s} among plain ones: is this one column?",
    DataWarningType.MIXED_ALGORITHMS: "hashed by another algorithm than most: is this one column?",
    DataWarningType.UPPER_CASE_HASHES: "hash{es} in upper case, converted to lower case to match",
    DataWarningType.RESERVED_DOMAINS: "address{es} at reserved domains (example.com): test data?",
    DataWarningType.MAYBE_UNDASHED_IDS: "value{s} of 32 digits, sent as MD5; ids must have dashes",
    DataWarningType.CELLS_LEFT_OUT: "cell{s} left out of rows with other identifiers",
    DataWarningType.EMPTY_FILES: "file{s} without rows: incomplete?",
    DataWarningType.UNREAD_SHEETS: "other sheet{s} with content: not read, select one by name",
}
_PLURAL = re.compile(r"\{(\w+)\}")  # the ending of a noun
_KIND_BY_WARNING: Mapping[WarningCode, DataWarningType] = {
    WarningCode.UPPER_CASE_HASH: DataWarningType.UPPER_CASE_HASHES,
    WarningCode.RESERVED_DOMAIN: DataWarningType.RESERVED_DOMAINS,
    WarningCode.MAYBE_UNDASHED_ID: DataWarningType.MAYBE_UNDASHED_IDS,
}


@frozen
class DataWarning:
    """A problem of a whole column, or of files.

    Attributes:
        kind: The kind of the problem.
        count: The number of values, or files, that have it.
        column: The column of rows that has it; empty for a single column.
        detail: Details, for example the reason why cells were left out.
    """

    kind: DataWarningType
    count: int
    column: str = ""
    detail: str = ""

    def __str__(self) -> str:
        where = f"{self.column}: " if self.column else ""
        detail = f" ({self.detail})" if self.detail else ""
        text = _PLURAL.sub(
            "" if self.count == 1 else r"\1", _DESCRIPTIONS.get(self.kind, self.kind)
        )
        return f"{where}{self.count:,} {text}{detail}"


def column_findings(
    forms: Mapping[str, int], warnings: Mapping[WarningCode, int], column: str = ""
) -> list[DataWarning]:
    """Return the findings about one column."""
    findings: list[DataWarning] = []
    hashed = {form: count for form, count in forms.items() if form != "plain" and count}
    total = sum(hashed.values())
    if total and forms.get("plain"):
        findings.append(DataWarning(DataWarningType.MIXED_PLAIN_AND_HASHED, total, column))
    if len(hashed) > 1:
        minority = total - max(hashed.values())
        findings.append(
            DataWarning(
                DataWarningType.MIXED_ALGORITHMS, minority, column, ", ".join(sorted(hashed))
            )
        )
    findings += (
        DataWarning(kind, warnings[warning], column)
        for warning, kind in _KIND_BY_WARNING.items()
        if warnings.get(warning)
    )
    return findings


def samples_of(
    collected: SampleCollector,
    rejects: Mapping[RejectReason, int],
    findings: Iterable[DataWarning],
    forms_of: Callable[[str], Mapping[str, int]],
    columns: Sequence[str] = (),
) -> list[MaskedSample]:
    """Return the masked samples of each reject reason, the most frequent first, and finding.

    Args:
        collected: What was collected.
        rejects: The rejects, by reason.
        findings: The findings about the columns.
        forms_of: Returns the input forms of a column.
        columns: The columns of rows of several identifiers.
    """
    samples: list[MaskedSample] = []
    for reason, _ in sorted(rejects.items(), key=lambda item: (-item[1], item[0])):
        for column in ("", *columns):
            samples += collected.of(reason, (reason,), column)
    for finding in findings:
        causes = _causes_of(finding, forms_of(finding.column))
        samples += collected.of(finding.kind, causes, finding.column)
    return samples


def left_out_cause(reason: RejectReason) -> str:
    """Return the cause of samples of cells that were left out of rows."""
    return f"left_out:{reason}"


def _causes_of(finding: DataWarning, forms: Mapping[str, int]) -> Sequence[str]:
    """Return the causes under which the samples of a finding were collected."""
    hashed = [form for form in sorted(forms, key=lambda form: -forms[form]) if form != "plain"]
    match finding.kind:
        case DataWarningType.MIXED_PLAIN_AND_HASHED:  # of the fewer ones
            return ("plain",) if forms.get("plain", 0) < finding.count else hashed
        case DataWarningType.MIXED_ALGORITHMS:
            return hashed[1:]
        case DataWarningType.CELLS_LEFT_OUT:
            return (left_out_cause(RejectReason(finding.detail)),)
        case _:
            return [code for code, kind in _KIND_BY_WARNING.items() if kind == finding.kind]


_MAX_FIRST_ROWS = 5  # for each reason


class Counters:
    """The counts while rows are read.

    Args:
        on_reject: Called for each reject with row number, reason, value and file.
        samples: Collects masked samples; ``None`` for no samples.
    """

    def __init__(
        self,
        on_reject: Callable[[int, RejectReason, object, str], None] | None = None,
        samples: SampleCollector | None = None,
    ) -> None:
        self.rows: int = 0
        self.blank: int = 0
        self.records: int = 0
        self.duplicates: int = 0
        self.rejects: Counter[RejectReason] = Counter()
        self.first_rows: dict[RejectReason, list[int]] = {}
        self.first_files: dict[RejectReason, list[str]] = {}
        self.files: dict[str, int] = {}
        self.forms: Counter[str] = Counter()
        self.warnings: Counter[WarningCode] = Counter()
        self.samples = samples
        self._on_reject = on_reject
        self._first: int = 1
        self._row_numbers: Sequence[int] | None = None
        self._file: str = ""

    @property
    def values(self) -> int:
        """Number of values: records, duplicates and rejects."""
        return self.records + self.duplicates + self.rejects.total()

    def begin(self, chunk: Chunk) -> None:
        """Count the rows of a chunk before its values are built."""
        self.rows += chunk.count
        self._first = chunk.first
        self._row_numbers = None
        self._file = chunk.file
        if chunk.file:
            self.files[chunk.file] = self.files.get(chunk.file, 0) + chunk.count
        if isinstance(chunk, RowChunk):
            self.blank += chunk.blank
            self._row_numbers = chunk.row_numbers

    def reject(
        self,
        position: int,
        reason: RejectReason,
        value: object,
        cell: tuple[str, object] | None = None,
    ) -> None:
        """Count a reject.

        Args:
            position: The first row number of the chunk, plus the index of the value in it.
            reason: The reason.
            value: The value; it is passed to ``on_reject`` only.
            cell: Column and value of the cell of a row that has the reason; it is masked for a
                sample. Default: the value.
        """
        row = self._row(position)
        self.rejects[reason] += 1
        first_rows = self.first_rows.setdefault(reason, [])
        if len(first_rows) < _MAX_FIRST_ROWS:
            first_rows.append(row)
            if self._file:
                self.first_files.setdefault(reason, []).append(self._file)
        if self._on_reject is not None:
            self._on_reject(row, reason, value, self._file)
        if self.samples is not None:
            column, sample = ("", value) if cell is None else cell
            self.samples.add(reason, row, sample, column, self._file)

    def sample(self, cause: str, position: int, value: object, column: str = "") -> None:
        """Add a masked sample of an accepted value, if samples are collected."""
        if self.samples is not None:
            self.samples.add(cause, self._row(position), value, column, self._file)

    def _row(self, position: int) -> int:
        if self._row_numbers is None:
            return position
        return self._row_numbers[position - self._first]


def reject_share(rejects: Mapping[RejectReason, int], values: int) -> float:
    """Return the share of rejects among values, from 0 to 1, both without empty ones."""
    empty = rejects.get(RejectReason.EMPTY, 0)
    return (sum(rejects.values()) - empty) / max(values - empty, 1)


@frozen(kw_only=True)
class PreparationReport:
    """The result of every row of a source.

    ``values == records + duplicates + rejected`` at any time. There is one value per row, unless
    several columns were read or a cell had several addresses. The report has no values of rows: it
    can be logged, mailed and stored.

    Attributes:
        source: The name of the source: a path, or the type of the object.
        kind: The kind of the records; ``row`` for rows of several columns.
        columns: The names of the columns that were read; empty if the source has none.
        complete: Whether the source was read to its end.
        rows: Rows read, without header and blank rows.
        blank: Blank lines, and table rows with only empty cells. They are counted here only: not
            in ``rows``, and not as rejects.
        records: Number of records.
        duplicates: Values that gave a record for the second time; counted only with
            ``deduplicate``.
        rejects: Rejected values, by reason. ``empty`` is a row without a value, such as a customer
            without an address; it does not count towards a limit on rejects.
        first_rows: The first five row numbers for each reason, counted from 1 below the header,
            including blank rows.
        forms: The input forms of the records: ``plain``, ``sha256``, ``sha1``, ``md5``.
        findings: Problems of whole columns, and files without rows.
        files: Rows of each file, if several are read; row numbers count within a file.
        limit: Maximum number of rows that were to be read, for a trial; ``None`` for all. Then
            ``complete`` means that the source was read up to it.
        first_files: The file of each number in ``first_rows``, if several are read.
    """

    source: str
    kind: str
    columns: tuple[str, ...] = ()
    complete: bool = False
    rows: int = 0
    blank: int = 0
    records: int = 0
    duplicates: int = 0
    rejects: Mapping[RejectReason, int]
    first_rows: Mapping[RejectReason, tuple[int, ...]]
    forms: Mapping[str, int]
    findings: tuple[DataWarning, ...] = ()
    limit: int | None = None
    files: Mapping[str, int] = field(factory=dict[str, int])
    first_files: Mapping[RejectReason, tuple[str, ...]] = field(
        factory=dict[RejectReason, tuple[str, ...]]
    )

    @property
    def rejected(self) -> int:
        """Number of rejected values, including rows without a value."""
        return sum(self.rejects.values())

    @property
    def values(self) -> int:
        """Number of values: records, duplicates and rejects."""
        return self.records + self.duplicates + self.rejected

    @property
    def reject_share(self) -> float:
        """The share of rejects that ``max_reject_share`` limits, from 0 to 1.

        Rows without a value (``empty``) count neither as rejects nor as values.
        """
        return reject_share(self.rejects, self.values)

    def check_has_values(self) -> None:
        """Check that the source, which was read to its end, has a value to send or to reject.

        Raises:
            SourceError: The source has no rows, or no row has a value.
        """
        if not self.rows:
            empty = not self.columns and not self.blank
            raise SourceError(
                "is empty" if empty else "has no rows below its header", source=self.source
            )
        if self.rejects.get(RejectReason.EMPTY) == self.values:
            raise SourceError(
                f"no value in the column that was read, in {counted(self.rows, 'row')}",
                source=self.source,
                param="column",
                suggestion=suggest("choose another with {column}", column=...),
            )

    def estimate_matches(self, match_rate: float) -> MatchEstimate:
        """Estimate whether a list of these records can reach 100 matched accounts.

        Args:
            match_rate: The share of records expected to match an account, above 0 and up to 1.

        Raises:
            ConfigurationError: The rate is out of range.
        """
        return estimate_matches(self.records, match_rate)

    def to_dict(self) -> dict[str, JSON]:
        """Return the report as JSON values; new versions only add names."""
        report = cast("dict[str, JSON]", asdict(self, value_serializer=_to_json_value))
        report["rejected"] = self.rejected
        report["values"] = self.values
        return report

    def to_json(self) -> str:
        """Return the report as one line of JSON."""
        return json.dumps(self.to_dict(), separators=(",", ":"))

    def __str__(self) -> str:
        columns = f", column {', '.join(map(repr, self.columns))}" if self.columns else ""
        unread = "" if self.complete else " so far; not read to the end"
        limit = "" if self.limit is None else f"; limited to the first {self.limit:,}"
        lines = [
            f"{self.source}{columns}: {self.kind}",
            f"{counted(self.rows, 'row', width=12)}{unread}{limit}",
            *([f"{counted(self.blank, 'blank row', width=12)}, skipped"] if self.blank else ()),
            *([counted(self.values, "value", width=12)] if self.values != self.rows else ()),
            f"{counted(self.records, 'record', width=12)}{_format_forms(self.forms)}",
            counted(self.duplicates, "duplicate", width=12),
            counted(self.rejected, "reject", width=12),
        ]
        for reason, count in sorted(self.rejects.items(), key=lambda item: (-item[1], item[0])):
            rows = ", ".join(first_places(self, reason))
            more = ", …" if count > _MAX_FIRST_ROWS else ""
            lines.append(f"{count:>16,} {reason} (row {rows}{more})")
        lines += (f"  finding: {finding}" for finding in self.findings)
        return "\n".join(lines)


def first_places(report: PreparationReport, reason: RejectReason) -> list[str]:
    """Return the first rows with a reason as text: the number and, for several files, the file."""
    rows = report.first_rows.get(reason, ())
    files = report.first_files.get(reason) or [""] * len(rows)
    return [f"{row} of {file}" if file else f"{row}" for row, file in zip(rows, files, strict=True)]


def _to_json_value(_owner: object, _field: object, value: object) -> object:
    """Convert enum members and keys to strings for JSON."""
    if isinstance(value, OpenEnum):
        return str(value)
    if isinstance(value, dict):
        return {str(key): item for key, item in cast("dict[object, object]", value).items()}
    return value


def _format_forms(forms: Mapping[str, int]) -> str:
    if not forms:
        return ""
    return " (" + ", ".join(f"{count:,} came {form}" for form, count in forms.items()) + ")"


MIN_MATCHED_ACCOUNTS = 100
"""Source: "the list must include at least 100 Pinterest accounts" (Pinterest's description)."""


@frozen
class MatchEstimate:
    """The estimated number of matched accounts of a list.

    Attributes:
        records: Records to send.
        match_rate: The share of them expected to match an account.
        expected_matches: The expected number of matched accounts.
        records_needed: Records required at this rate for 100 accounts.
    """

    records: int
    match_rate: float
    expected_matches: int
    records_needed: int

    @property
    def reaches_minimum(self) -> bool:
        """Whether at least 100 matched accounts are expected; with fewer, a list is TOO_SMALL."""
        return self.records >= self.records_needed

    def __str__(self) -> str:
        verdict = "enough" if self.reaches_minimum else f"{self.records_needed:,} records needed"
        return (
            f"{counted(self.records, 'record')} at a match rate of {self.match_rate:.0%}: about "
            f"{self.expected_matches:,} of the "
            f"{MIN_MATCHED_ACCOUNTS} matched accounts needed; {verdict}"
        )


def estimate_matches(records: int, match_rate: float) -> MatchEstimate:
    """Estimate whether a number of records can reach 100 matched accounts.

    Pinterest publishes no match rates, so the rate must be given. A record matches at most one
    account, so fewer than 100 records are not enough at any rate.

    Args:
        records: Number of records to send, without duplicates.
        match_rate: The share expected to match, above 0 and up to 1.

    Raises:
        ConfigurationError: The rate or the number is out of range.

    Example:
        >>> estimate_matches(180, 0.5).reaches_minimum
        False
        >>> estimate_matches(180, 0.5).records_needed
        200
    """
    if not _is_rate(match_rate):
        raise ConfigurationError(
            "match_rate must be a number above 0 and up to 1", param="match_rate"
        )
    if records < 0:
        raise ConfigurationError("records must not be negative", param="records")
    return MatchEstimate(
        records=records,
        match_rate=match_rate,
        expected_matches=math.floor(records * match_rate),
        records_needed=math.ceil(MIN_MATCHED_ACCOUNTS / match_rate),
    )


def _is_rate(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1


_OWNER_ONLY_MODE = 0o600


class RejectFile:
    """A CSV file of rejects, written while a source is read.

    Args:
        path: The path of the file, which is overwritten; ``None`` to write nothing.
        values: Whether to write the rejected values too. The file is then readable by its owner
            only.
        files: Whether to write the name of the file too, as for several files.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None, *, values: bool, files: bool = False
    ) -> None:
        self._path = None if path is None else Path(path)
        self._header = ("file",) * files + ("row", "reason") + ("value",) * values
        self._values = values
        self._files = files
        self._file: TextIO | None = None
        self._rows: list[tuple[object, ...]] = []

    @contextmanager
    def open(self) -> Generator[None, None, None]:
        """Open the file, and flush and close it at the end.

        Raises:
            SourceError: The file cannot be written.
        """
        if self._path is None:
            yield
            return
        try:
            descriptor = _open_for_writing(self._path)
            if self._values and os.name == "posix":
                os.fchmod(
                    descriptor, _OWNER_ONLY_MODE
                )  # an existing file may be readable by others
            self._file = os.fdopen(descriptor, "w", encoding="utf-8", newline="")
        except OSError as error:
            raise SourceError(
                f"the rejects cannot be written: {error.strerror}", source=str(self._path)
            ) from None
        with self._file:
            self._rows.append(self._header)
            try:
                yield
            finally:
                self.flush()

    def add(self, row: int, reason: RejectReason, value: object, file: str) -> None:
        """Add a reject, to be written by the next flush."""
        if self._path is None:
            return
        reject = (file, row, reason) if self._files else (row, reason)
        self._rows.append((*reject, _reject_value(value)) if self._values else reject)

    def flush(self) -> None:
        """Write the added rejects.

        Raises:
            SourceError: The file cannot be written.
        """
        if self._file is None or not self._rows:
            return
        try:
            csv.writer(self._file).writerows(self._rows)
            self._file.flush()
        except OSError as error:
            raise SourceError(
                f"the rejects cannot be written: {error.strerror}", source=str(self._path)
            ) from None
        self._rows.clear()


def _open_for_writing(path: Path) -> int:
    """Open and truncate a regular file; symbolic links are not followed.

    Raises:
        OSError: The file cannot be opened, is a link, or is not a regular file.
    """
    flags = os.O_WRONLY | os.O_CREAT
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):  # O_BINARY: csv writes "\r\n" itself
        flags |= getattr(os, name, 0)
    descriptor = os.open(path, flags, _OWNER_ONLY_MODE)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISREG(mode):
            os.ftruncate(descriptor, 0)
        elif not stat.S_ISCHR(mode):  # such as /dev/null
            raise OSError(0, "not a regular file")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _reject_value(value: object) -> str:
    if value is None or isinstance(value, UnreadableRow):
        return ""
    text = value if isinstance(value, str) else repr(value)
    return text.encode("utf-8", "backslashreplace").decode()  # UTF-8 has no lone surrogates
