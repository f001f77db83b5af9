"""Rows to records: normalize, hash, deduplicate and count."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Generic, Protocol, TypeAlias, TypeVar, cast

import anyio.lowlevel
from attrs import frozen

from pinterest_audiences._config import validate_flag, validate_function
from pinterest_audiences._errors import ConfigurationError, TooManyRejectsError, suggest
from pinterest_audiences._models import IdentifierType, IdentifierTypeLike, RecordRow
from pinterest_audiences._records.batches import (
    MAX_BYTES,
    MAX_RECORDS,
    RESERVED_BYTES,
    Batches,
    BatchMaker,
    FieldName,
)
from pinterest_audiences._records.chunks import (
    Chunk,
    RejectReason,
    RowChunk,
    UnreadableRow,
    WarningCode,
    aclosing_iter,
    closing_iter,
)
from pinterest_audiences._records.columns import ColumnSelection, is_hashing_result
from pinterest_audiences._records.fast_path import VectorBuilder
from pinterest_audiences._records.identifiers import (
    COLUMN_NORMALIZERS,
    HashAlgorithm,
    HashAlgorithmLike,
    NormalizationOptions,
    Normalized,
    PhoneForm,
    check_kind,
    make_options,
    normalize,
)
from pinterest_audiences._records.report import (
    Counters,
    DataWarning,
    DataWarningType,
    PreparationReport,
    RejectFile,
    column_findings,
    first_places,
    left_out_cause,
    samples_of,
)
from pinterest_audiences._records.samples import MaskedSample, SampleCollector, check_samples
from pinterest_audiences._records.sources import (
    Source,
    SourceLike,
    open_source,
)

__all__ = [
    "OnProgress",
    "PreparedRecords",
    "ReadProgress",
    "RowBuilder",
    "check_ratio",
    "check_reject_share",
    "prepare",
    "prepare_rows",
]


T = TypeVar("T", bound="str | RecordRow")
# Before so many values, a ratio of rejects says little, unless the source has ended.
_MIN_VALUES_TO_CHECK_RATIO = 1_000
_MAX_FILES_SHOWN = 3


def prepare(
    source: SourceLike,
    kind: IdentifierTypeLike = IdentifierType.EMAIL,
    *,
    column: str | int | Sequence[str | int] | None = None,
    algorithm: HashAlgorithmLike = HashAlgorithm.SHA256,
    plain_emails: bool = False,
    idfa_case: str = "lower",
    deduplicate: bool = False,
    max_reject_share: float | None = None,
    rejects_to: str | os.PathLike[str] | None = None,
    reject_values: bool = False,
    samples: int = 0,
    on_progress: OnProgress | None = None,
) -> PreparedRecords[str]:
    """Normalize and hash identifiers of one kind.

    Every value becomes exactly one of three things: a record, a duplicate, or a reject with a
    reason. A row without a value is a reject, too (``empty``). The source is read when the
    preparation is iterated.

    Args:
        source: A :class:`Source`, or anything that :func:`open_source` accepts.
        kind: The kind of identifier in the rows.
        column: The column or columns to read, as for :func:`open_source`; only if ``source`` is
            not a :class:`Source`.
        algorithm: The hash algorithm for plain values; hashes are only lower-cased.
        plain_emails: Send plain e-mails normalized but not hashed.
        idfa_case: The case of an IDFA before hashing, ``lower`` or ``upper``; Pinterest does not
            document it.
        deduplicate: Leave out repeated records, and count them. Every record stays in memory, at
            about 150 bytes each.
        max_reject_share: Raise an error above this share of rejects among the values, from 0 to 1.
            Rows without a value (``empty``) count neither as rejects nor as values. The share is
            checked at the end, and after each chunk from 1,000 values on; records of earlier
            chunks have been returned by then.
        rejects_to: The path of a CSV file for rejects: row number and reason.
        reject_values: Write the rejected values to that file too.
        samples: Number of masked samples to collect for each reject reason and finding, 0 to 100;
            ``PreparedRecords.samples`` returns them. The report never contains them.
        on_progress: Called with a :class:`ReadProgress` after each chunk, which has up to a few
            thousand rows, and at the end; in the thread that reads the source.

    Returns:
        A preparation: iterate it for lists of records, or its ``batches()``; then read ``report``.

    Raises:
        ConfigurationError: An argument is not valid.
        SourceError: The file does not exist. Iterating raises it too, if the source cannot be read
            to its end, and :class:`TooManyRejectsError`.

    Example:
        >>> ready = prepare(["Ann@Shop.de ", "bob@shop.de", "none"], plain_emails=True)
        >>> list(ready)
        [['ann@shop.de', 'bob@shop.de']]
        >>> ready.report.rejects
        {<RejectReason.NO_AT_SIGN: 'no_at_sign'>: 1}
    """
    checked_kind = check_kind(kind)
    options = make_options(algorithm=algorithm, plain_emails=plain_emails, idfa_case=idfa_case)
    opened = _open(source, column=column)
    choice = opened.choice(checked_kind)
    rejects = RejectFile(
        rejects_to,
        values=validate_flag("reject_values", reject_values),
        files=opened.has_files,
    )
    counters = Counters(rejects.add, _sample_collector(samples))
    return PreparedRecords(
        opened,
        choice,
        VectorBuilder(checked_kind, options, counters),
        counters=counters,
        rejects=rejects,
        deduplicate=validate_flag("deduplicate", deduplicate),
        max_reject_share=check_ratio(max_reject_share),
        on_progress=validate_function("on_progress", on_progress),
    )


def prepare_rows(
    source: SourceLike,
    *,
    columns: Mapping[str, str | int] | Sequence[str] | None = None,
    algorithm: HashAlgorithmLike = HashAlgorithm.SHA256,
    plain_emails: bool = False,
    phone_form: PhoneForm = "digits",
    phone_region: str | None = None,
    whole_rows: bool = False,
    deduplicate: bool = False,
    max_reject_share: float | None = None,
    rejects_to: str | os.PathLike[str] | None = None,
    reject_values: bool = False,
    samples: int = 0,
    on_progress: OnProgress | None = None,
) -> PreparedRecords[RecordRow]:
    """Normalize and hash rows of several identifiers per customer, for ``records_v2``.

    A cell that cannot be sent is left out and counted as a finding; the row is sent with its other
    cells. A row without any other cell is a reject. Empty cells are not counted.

    Args:
        source: A :class:`Source`, or anything that :func:`open_source` accepts.
        columns: The source column of each row column, as for :func:`open_source`; only if
            ``source`` is not a :class:`Source`.
        algorithm: As for :func:`prepare`.
        plain_emails: As for :func:`prepare`.
        phone_form: The form of a phone number before hashing: ``digits`` (country code and number,
            as Pinterest's conversions API requires) or ``e164`` (with the ``+``).
        phone_region: The country of phone numbers without a country code, ISO 3166 ("DE");
            requires the extra ``[phone]``. Without it such numbers are left out.
        whole_rows: Reject a row if any of its cells is wrong.
        deduplicate: As for :func:`prepare`; rows are duplicates when all their columns are equal.
        max_reject_share: As for :func:`prepare`.
        rejects_to: As for :func:`prepare`.
        reject_values: As for :func:`prepare`.
        samples: As for :func:`prepare`; a sample is of the cell that has the reason.
        on_progress: As for :func:`prepare`.

    Returns:
        A preparation: iterate it for lists of rows, or its ``batches()``; then read ``report``.

    Raises:
        ConfigurationError: An argument is not valid.
        SourceError: As for :func:`prepare`.

    Example:
        >>> customers = [{"email": "ann@shop.de", "external_id": "17"}]
        >>> [batch] = prepare_rows(customers).batches()
        >>> batch.count
        1
    """
    options = make_options(
        algorithm=algorithm,
        plain_emails=plain_emails,
        phone_form=phone_form,
        phone_region=phone_region,
    )
    opened = _open(source, columns=columns)
    choice = opened.choice(None)
    rejects = RejectFile(
        rejects_to,
        values=validate_flag("reject_values", reject_values),
        files=opened.has_files,
    )
    counters = Counters(rejects.add, _sample_collector(samples))
    builder = RowBuilder(
        choice, options, counters, whole_rows=validate_flag("whole_rows", whole_rows)
    )
    return PreparedRecords(
        opened,
        choice,
        builder,
        counters=counters,
        rejects=rejects,
        deduplicate=validate_flag("deduplicate", deduplicate),
        max_reject_share=check_ratio(max_reject_share),
        on_progress=validate_function("on_progress", on_progress),
    )


def _open(
    source: SourceLike,
    *,
    column: str | int | Sequence[str | int] | None = None,
    columns: Mapping[str, str | int] | Sequence[str] | None = None,
) -> Source:
    if not isinstance(source, Source):
        return open_source(source, column=column, columns=columns)
    if column is not None or columns is not None:
        raise ConfigurationError(
            "column and columns: the source is open already; pass them to open_source"
        )
    return source


def _sample_collector(count: object) -> SampleCollector | None:
    checked = check_samples(count)
    return SampleCollector(checked) if checked else None


def check_ratio(value: object) -> float | None:
    """Return a maximum share of rejects.

    Raises:
        ConfigurationError: It is not a number from 0 to 1.
    """
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise ConfigurationError(
        "max_reject_share must be a number from 0 to 1, or None", param="max_reject_share"
    )


@frozen(kw_only=True)
class ReadProgress:
    """How far a source has been read, passed to ``on_progress``.

    Attributes:
        rows: Rows read so far.
        bytes_read: Bytes read of the files, before decompression; of Parquet, Arrow and ORC files
            the share of their rows. ``None`` if the size of the source is unknown: pipes, web
            servers that do not send it, several files on web servers, workbooks, open files,
            tables, databases and iterables.
        bytes_total: Size of the files.
        max_rows: The number of rows at which reading stops, if the source is limited.
        complete: Whether the source was read to its end.
    """

    rows: int
    bytes_read: int | None = None
    bytes_total: int | None = None
    max_rows: int | None = None
    complete: bool = False


OnProgress: TypeAlias = Callable[[ReadProgress], None]


class RecordBuilder(Protocol[T]):
    """Builds records from chunks, and counts rejects and warnings."""

    def build(self, chunk: Chunk) -> list[T]:
        """Return the records of a chunk."""
        ...

    def findings(self) -> Sequence[DataWarning]:
        """Return the findings about the columns."""
        ...

    def forms(self, column: str, /) -> Mapping[str, int]:
        """Return the input forms of the records, or of a column of rows."""
        ...


class PreparedRecords(Generic[T]):
    """Records in chunks, and the report; created by :func:`prepare` or :func:`prepare_rows`.

    Iterate it once, with ``for`` or ``async for``. ``async for`` accepts any source; a sync source
    is read in the event loop, about a thousand rows at a time, without a thread.
    """

    def __init__(
        self,
        source: Source,
        choice: ColumnSelection,
        builder: RecordBuilder[T],
        *,
        counters: Counters,
        rejects: RejectFile,
        deduplicate: bool,
        max_reject_share: float | None,
        on_progress: OnProgress | None,
    ) -> None:
        self._source = source
        self._choice = choice
        self._builder = builder
        self._counters = counters
        self._rejects = rejects
        self._seen: set[object] | None = set() if deduplicate else None
        self._max_reject_share = max_reject_share
        self._on_progress = on_progress
        self._started = False
        self._complete = False

    def __repr__(self) -> str:
        return f"PreparedRecords({self._source.name!r}, rows={self._counters.rows})"

    @property
    def report(self) -> PreparationReport:
        """The report of the rows read so far; final once it is ``complete``."""
        counters = self._counters
        return PreparationReport(
            source=self._source.name,
            kind=str(self._choice.kind or "row"),
            columns=self._choice.names,
            complete=self._complete,
            rows=counters.rows,
            blank=counters.blank,
            records=counters.records,
            duplicates=counters.duplicates,
            rejects=dict(counters.rejects),
            first_rows={reason: tuple(rows) for reason, rows in counters.first_rows.items()},
            forms=dict(counters.forms),
            limit=self._source.max_rows,
            findings=(*self._findings(), *self._empty_files(), *self._unread_sheets()),
            files=dict(counters.files),
            first_files={reason: tuple(names) for reason, names in counters.first_files.items()},
        )

    def _unread_sheets(self) -> list[DataWarning]:
        names = self._choice.unread_sheets
        detail = ", ".join(names[:_MAX_FILES_SHOWN]) + (", …" * (len(names) > _MAX_FILES_SHOWN))
        return (
            [DataWarning(DataWarningType.UNREAD_SHEETS, len(names), detail=detail)] if names else []
        )

    def _empty_files(self) -> list[DataWarning]:
        names = [name for name, rows in self._counters.files.items() if not rows]
        if not self._complete or not names:  # the file that is read may have rows further down
            return []
        more = "" if len(names) <= _MAX_FILES_SHOWN else ", …"
        detail = ", ".join(names[:_MAX_FILES_SHOWN]) + more
        return [DataWarning(DataWarningType.EMPTY_FILES, len(names), detail=detail)]

    @property
    def samples(self) -> tuple[MaskedSample, ...]:
        """Masked samples of the rows read so far: rejects by frequency, then findings.

        Empty unless ``prepare`` or ``prepare_rows`` has the argument ``samples``. A mask shows the
        structure of a value, and the row where to find it. Samples are in no report, state file or
        log.
        """
        collected = self._counters.samples
        if collected is None:
            return ()
        return tuple(
            samples_of(
                collected,
                self._counters.rejects,
                self._findings(),
                self._builder.forms,
                self._choice.targets,
            )
        )

    def _findings(self) -> Sequence[DataWarning]:
        findings = self._builder.findings()
        if not is_hashing_result(self._choice.kind, self._choice.names):
            return findings
        mixed = DataWarningType.MIXED_PLAIN_AND_HASHED
        return [finding for finding in findings if finding.kind != mixed]  # it has both

    def batches(
        self,
        *,
        max_records: int = MAX_RECORDS,
        max_bytes: int = MAX_BYTES,
        reserve: int = RESERVED_BYTES,
    ) -> Batches:
        """Return batches of the records, for ``for`` or ``async for``.

        Args:
            max_records: Maximum number of records or rows in a batch.
            max_bytes: Maximum size of a request body in bytes.
            reserve: Bytes of it that are reserved for the rest of the body.

        Raises:
            ConfigurationError: A limit is too small.
        """
        field: FieldName = "records" if self._choice.kind is not None else "records_v2"
        maker = BatchMaker(
            field, max_records=max_records, max_bytes=max_bytes, reserve=reserve, trusted=True
        )
        return Batches(self, maker)

    def run(self) -> PreparationReport:
        """Read the source to its end, discard the records, and return the report."""
        for _ in self:
            pass
        return self.report

    def __iter__(self) -> Iterator[list[T]]:
        self._mark_started()
        return self._records()

    def __aiter__(self) -> AsyncIterator[list[T]]:
        self._mark_started()
        return self._async_records()

    def _mark_started(self) -> None:
        if self._started:
            raise ConfigurationError(
                "PreparedRecords can be iterated only once; prepare the source again"
            )
        self._started = True

    def _records(self) -> Iterator[list[T]]:
        with self._rejects.open():
            with closing_iter(self._source.chunks(self._choice)) as chunks:
                for chunk in chunks:
                    records = self._build(chunk)
                    if records:
                        yield records
            self._finish()

    async def _async_records(self) -> AsyncIterator[list[T]]:
        chunks = self._source.async_chunks(self._choice)
        if chunks is None:
            with closing_iter(self._records()) as lists:
                for records in lists:
                    await anyio.lowlevel.checkpoint()
                    yield records
            return
        with self._rejects.open():
            async with aclosing_iter(chunks) as opened:
                async for chunk in opened:
                    records = self._build(chunk)
                    if records:
                        yield records
            self._finish()

    def _build(self, chunk: Chunk) -> list[T]:
        records = self._builder.build(chunk)
        if self._seen is not None:
            records = self._without_duplicates(records, self._seen)
        self._counters.records += len(records)
        self._rejects.flush()
        self._report_progress()
        if self._counters.values >= _MIN_VALUES_TO_CHECK_RATIO:
            self._check_share()
        return records

    def _finish(self) -> None:
        self._complete = True
        self._report_progress()
        self._check_share()

    def _report_progress(self) -> None:
        if self._on_progress is None:
            return
        limit, position = self._source.max_rows, self._source.position
        read = None if position is None or limit is not None else position.get()
        self._on_progress(
            ReadProgress(
                rows=self._counters.rows,
                bytes_read=read,
                bytes_total=None if position is None or read is None else position.size,
                max_rows=limit,
                complete=self._complete,
            )
        )

    def _without_duplicates(self, records: list[T], seen: set[object]) -> list[T]:
        unique: list[T] = []
        for record in records:
            key = _dedup_key(record)
            if key not in seen:
                seen.add(key)
                unique.append(record)
        self._counters.duplicates += len(records) - len(unique)
        return unique

    def _check_share(self) -> None:
        if self._max_reject_share is not None:
            check_reject_share(self.report, self._max_reject_share)


def _dedup_key(record: str | RecordRow) -> object:
    if isinstance(record, RecordRow):
        return record
    try:
        digest = bytes.fromhex(record)  # half the size of its text
    except ValueError:
        return record
    return digest if digest.hex() == record else record


def check_reject_share(report: PreparationReport, allowed: float) -> None:
    """Check the share of rejects; rows without a value are ignored.

    Raises:
        TooManyRejectsError: The share is larger than ``allowed``.
    """
    if report.reject_share <= allowed:
        return
    rejects = {reason: n for reason, n in report.rejects.items() if reason != RejectReason.EMPTY}
    rejected = sum(rejects.values())
    values = report.values - report.rejects.get(RejectReason.EMPTY, 0)
    worst = max(rejects, key=rejects.__getitem__)
    raise TooManyRejectsError(
        f"{report.source}: {rejected:,} of {values:,} values rejected, above the allowed share "
        f"of {allowed:g}; the most frequent reason is {worst}, first in row "
        f"{first_places(report, worst)[0]}",
        rows=report.rows,
        rejected=rejected,
        allowed=allowed,
        suggestion=suggest(
            "fix the source, or accept more with {max_reject_share}", max_reject_share=...
        ),
    )


class RowBuilder:
    """Build rows of several identifiers from chunks of tuples.

    A row is rejected if none of its cells can be sent or, with ``whole_rows``, if any cell is
    wrong. Otherwise wrong cells are left out and counted. Empty cells are not wrong.
    """

    def __init__(
        self,
        choice: ColumnSelection,
        options: NormalizationOptions,
        counters: Counters,
        *,
        whole_rows: bool,
    ) -> None:
        self._choice = choice
        self._options = options
        self._counters = counters
        self._whole_rows = whole_rows
        self._forms: dict[str, Counter[str]] = {}
        self._warnings: dict[str, Counter[WarningCode]] = {}
        self._left_out: Counter[tuple[str, RejectReason]] = Counter()

    def build(self, chunk: Chunk) -> list[RecordRow]:
        """Return the rows of a chunk, in order, and count its rejects and warnings."""
        self._counters.begin(chunk)
        row_chunk = cast("RowChunk", chunk)  # an AsciiChunk has one column only
        rows: list[RecordRow] = []
        for number, value in enumerate(row_chunk.values, row_chunk.first):
            outcome = self._build_row(cast("Sequence[object] | UnreadableRow", value), number)
            if isinstance(outcome, RecordRow):
                rows.append(outcome)
            else:
                reason, cell = outcome
                self._counters.reject(number, reason, value, cell)
        return rows

    def findings(self) -> list[DataWarning]:
        """Return the findings about each column."""
        findings: list[DataWarning] = []
        for column in self._choice.targets:
            forms = self._forms.get(column, Counter())
            findings += column_findings(forms, self._warnings.get(column, Counter()), column)
        for (column, reason), count in sorted(self._left_out.items()):
            findings.append(DataWarning(DataWarningType.CELLS_LEFT_OUT, count, column, reason))
        return findings

    def forms(self, column: str) -> Mapping[str, int]:
        """Return the input forms of a column."""
        return self._forms.get(column, {})

    def _build_row(
        self, cells: Sequence[object] | UnreadableRow, number: int
    ) -> RecordRow | tuple[RejectReason, tuple[str, object]]:
        """Return a row, or the reason to reject it with the column and value that has it."""
        if isinstance(cells, UnreadableRow):
            return cells.reason, ("", None)
        accepted: dict[str, Normalized] = {}
        rejected: dict[str, RejectReason] = {}
        values = dict(zip(self._choice.targets, cells, strict=True))
        for column, cell in values.items():
            outcome = normalize(cell, COLUMN_NORMALIZERS[column], self._options)
            if isinstance(outcome, Normalized):
                accepted[column] = outcome
            elif outcome != RejectReason.EMPTY:
                rejected[column] = outcome
        if rejected and (self._whole_rows or not accepted):
            column, reason = next(iter(rejected.items()))
            return reason, (column, values[column])
        if not accepted:
            return RejectReason.EMPTY, ("", None)
        self._count(accepted, rejected)
        if self._counters.samples is not None:
            self._add_samples(number, values, accepted, rejected)
        return RecordRow(**{column: outcome.record for column, outcome in accepted.items()})

    def _add_samples(
        self,
        number: int,
        values: Mapping[str, object],
        accepted: Mapping[str, Normalized],
        rejected: Mapping[str, RejectReason],
    ) -> None:
        for column, outcome in accepted.items():
            self._counters.sample(outcome.form, number, values[column], column)
            if outcome.warning is not None:
                self._counters.sample(outcome.warning, number, values[column], column)
        for column, reason in rejected.items():
            self._counters.sample(left_out_cause(reason), number, values[column], column)

    def _count(
        self, accepted: Mapping[str, Normalized], rejected: Mapping[str, RejectReason]
    ) -> None:
        for column, outcome in accepted.items():
            self._counters.forms[outcome.form] += 1
            self._forms.setdefault(column, Counter())[outcome.form] += 1
            if outcome.warning is not None:
                self._warnings.setdefault(column, Counter())[outcome.warning] += 1
        self._left_out.update(rejected.items())
