"""Rows in, records out, and a report of what became of every row."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

import anyio.lowlevel

from pinterest_audiences.errors import ConfigurationError, TooManyRejectsError
from pinterest_audiences.models import RecordRow
from pinterest_audiences.records.batches import (
    MAX_BYTES,
    MAX_RECORDS,
    RESERVE,
    Batches,
    BatchMaker,
    FieldName,
)
from pinterest_audiences.records.blocks import BlockWorker
from pinterest_audiences.records.chunks import Chunk
from pinterest_audiences.records.columns import ColumnChoice
from pinterest_audiences.records.hashing import HashAlgorithm
from pinterest_audiences.records.identifiers import (
    IdentifierKind,
    PhoneForm,
    known_kind,
    make_rules,
)
from pinterest_audiences.records.iterables import iterating
from pinterest_audiences.records.rejects import RejectFile
from pinterest_audiences.records.report import Finding, PreparationReport, Tally
from pinterest_audiences.records.rows import RowWorker
from pinterest_audiences.records.sources import Source, open_source

__all__ = ["Preparation", "prepare", "prepare_rows"]

T = TypeVar("T", bound="str | RecordRow")

_ENOUGH_ROWS = 1_000  # before so many, a share of rejects says little, unless the source has ended


class Worker(Protocol[T]):
    """Makes records of chunks and counts what becomes of each row."""

    def work(self, chunk: Chunk) -> list[T]:
        """Return the records of a chunk."""
        ...

    def findings(self) -> Sequence[Finding]:
        """Tell what is odd about the columns."""
        ...


class Preparation(Generic[T]):
    """Records in chunks, and the report; made by :func:`prepare` or :func:`prepare_rows`.

    Iterate it once, with ``for``, or with ``async for``, which takes any source: one that does not
    have to be awaited is read in between, some thousand rows at a time, without a thread.
    """

    def __init__(
        self,
        source: Source,
        choice: ColumnChoice,
        worker: Worker[T],
        *,
        tally: Tally,
        rejects: RejectFile,
        deduplicate: bool,
        max_reject_share: float | None,
    ) -> None:
        self._source = source
        self._choice = choice
        self._worker = worker
        self._tally = tally
        self._rejects = rejects
        self._seen: set[object] | None = set() if deduplicate else None
        self._max_reject_share = max_reject_share
        self._started = False
        self._complete = False

    def __repr__(self) -> str:
        return f"Preparation({self._source.name!r}, rows={self._tally.rows})"

    @property
    def report(self) -> PreparationReport:
        """What became of the rows read so far; of all of them once it is ``complete``."""
        tally = self._tally
        return PreparationReport(
            source=self._source.name,
            kind=str(self._choice.kind or "row"),
            columns=self._choice.names,
            complete=self._complete,
            rows=tally.rows,
            records=tally.records,
            duplicates=tally.duplicates,
            rejects=dict(tally.rejects),
            first_rows={reason: tuple(rows) for reason, rows in tally.first_rows.items()},
            forms=dict(tally.forms),
            findings=tuple(self._worker.findings()),
        )

    def batches(
        self,
        *,
        max_records: int = MAX_RECORDS,
        max_bytes: int = MAX_BYTES,
        reserve: int = RESERVE,
    ) -> Batches:
        """Read the source and make batches, with ``for`` or ``async for``.

        Args:
            max_records: Records or rows in a batch at most.
            max_bytes: Bytes of a request body at most.
            reserve: Bytes of those that are left for the rest of the body.

        Raises:
            ConfigurationError: A number is too small.
        """
        field: FieldName = "records" if self._choice.single else "records_v2"
        maker = BatchMaker(
            field, max_records=max_records, max_bytes=max_bytes, reserve=reserve, trusted=True
        )
        return Batches(self, maker)

    def run(self) -> PreparationReport:
        """Read the source to its end without keeping a record, and return the report."""
        for _ in self:
            pass
        return self.report

    def __iter__(self) -> Iterator[list[T]]:
        self._start()
        return self._records()

    def __aiter__(self) -> AsyncIterator[list[T]]:
        self._start()
        return self._async_records()

    def _start(self) -> None:
        if self._started:
            raise ConfigurationError("a preparation is iterated once; prepare the source again")
        self._started = True

    def _records(self) -> Iterator[list[T]]:
        with self._rejects.open():
            for chunk in self._source.chunks(self._choice):
                records = self._work(chunk)
                if records:
                    yield records
            self._end()

    async def _async_records(self) -> AsyncIterator[list[T]]:
        chunks = self._source.async_chunks(self._choice)
        if chunks is None:
            for records in self._records():
                await anyio.lowlevel.checkpoint()
                yield records
            return
        with self._rejects.open():
            async with iterating(chunks) as each:
                async for chunk in each:
                    records = self._work(chunk)
                    if records:
                        yield records
            self._end()

    def _work(self, chunk: Chunk) -> list[T]:
        records = self._worker.work(chunk)
        if self._seen is not None:
            records = self._without_duplicates(records, self._seen)
        self._tally.records += len(records)
        self._rejects.flush()
        if self._tally.rows >= _ENOUGH_ROWS:
            self._check_share()
        return records

    def _end(self) -> None:
        self._complete = True
        self._check_share()

    def _without_duplicates(self, records: list[T], seen: set[object]) -> list[T]:
        fresh: list[T] = []
        for record in records:
            key = _key(record)
            if key not in seen:
                seen.add(key)
                fresh.append(record)
        self._tally.duplicates += len(records) - len(fresh)
        return fresh

    def _check_share(self) -> None:
        allowed, tally = self._max_reject_share, self._tally
        rejected = tally.rejects.total()
        if allowed is None or rejected <= allowed * tally.rows:
            return
        worst, _ = tally.rejects.most_common(1)[0]
        raise TooManyRejectsError(
            f"{self._source.name}: {rejected} of {tally.rows} rows rejected, more than the share "
            f"of {allowed:g} that is allowed; most often for {worst}, first in row "
            f"{tally.first_rows[worst][0]}",
            rows=tally.rows,
            rejected=rejected,
            allowed=allowed,
        )


def prepare(
    source: object,
    kind: IdentifierKind | str = IdentifierKind.EMAIL,
    *,
    column: str | None = None,
    algorithm: HashAlgorithm | str = HashAlgorithm.SHA256,
    plain_emails: bool = False,
    idfa_case: str = "lower",
    deduplicate: bool = False,
    max_reject_share: float | None = None,
    rejects_to: str | os.PathLike[str] | None = None,
    reject_values: bool = False,
) -> Preparation[str]:
    """Make records of one kind of identifier.

    Every row ends in exactly one of three places: a record, a duplicate, or a reject with a
    reason. Nothing is read before the preparation is iterated.

    Args:
        source: A :class:`Source`, or anything that :func:`open_source` takes.
        kind: What the rows hold.
        column: The column to read, where ``source`` is not yet a :class:`Source`.
        algorithm: By which plain values are hashed; hashes are kept as they are, lower-cased.
        plain_emails: Send plain e-mails plain, normalised but not hashed.
        idfa_case: How an IDFA is written before hashing, ``lower`` or ``upper``; Pinterest does
            not say which.
        deduplicate: Leave out records that were there before, and count them. Keeps every record
            in memory, about 150 bytes each.
        max_reject_share: Raise past this share of rejects among the rows read, from 0 to 1. It is
            looked at after each chunk from 1,000 rows on, and at the end; what was handed out by
            then is handed out.
        rejects_to: A path to write rejects to as CSV: row number and reason.
        reject_values: Write the rejected values into that file too.

    Returns:
        A preparation: iterate it for lists of records, or its ``batches()``; then see ``report``.

    Raises:
        ConfigurationError: An argument cannot work.
        SourceError: There is no such file. Iterating raises it too, when the source cannot be read
            to its end, and :class:`TooManyRejectsError`.

    Example:
        >>> ready = prepare(["Ann@Shop.de ", "bob@shop.de", "none"], plain_emails=True)
        >>> list(ready)
        [['ann@shop.de', 'bob@shop.de']]
        >>> ready.report.rejects
        {<RejectReason.NO_AT_SIGN: 'no_at_sign'>: 1}
    """
    known = known_kind(kind)
    rules = make_rules(algorithm=algorithm, plain_emails=plain_emails, idfa_case=idfa_case)
    opened = _opened(source, column=column)
    choice = opened.choice(known)
    rejects = RejectFile(rejects_to, values=_flag("reject_values", reject_values))
    tally = Tally(None if rejects_to is None else rejects.add)
    return Preparation(
        opened,
        choice,
        BlockWorker(known, rules, tally),
        tally=tally,
        rejects=rejects,
        deduplicate=_flag("deduplicate", deduplicate),
        max_reject_share=_share(max_reject_share),
    )


def prepare_rows(
    source: object,
    *,
    columns: Mapping[str, str] | Sequence[str] | None = None,
    algorithm: HashAlgorithm | str = HashAlgorithm.SHA256,
    plain_emails: bool = False,
    phone_form: PhoneForm | None = None,
    whole_rows: bool = False,
    deduplicate: bool = False,
    max_reject_share: float | None = None,
    rejects_to: str | os.PathLike[str] | None = None,
    reject_values: bool = False,
) -> Preparation[RecordRow]:
    """Make rows of several identifiers a customer, for ``records_v2``.

    A cell that cannot be sent is left out and counted as a finding, and the row is kept by its
    other cells; a row with none left is a reject. Empty cells are no fault.

    Args:
        source: A :class:`Source`, or anything that :func:`open_source` takes.
        columns: Which column of the source becomes which column of a row, where ``source`` is not
            yet a :class:`Source`.
        algorithm: As for :func:`prepare`.
        plain_emails: As for :func:`prepare`.
        phone_form: How a phone number is written before hashing: ``e164`` (with the ``+``) or
            ``digits`` (without it). Pinterest does not say which; without a choice only hashed
            numbers are taken.
        whole_rows: Reject a row when any of its cells is wrong.
        deduplicate: As for :func:`prepare`; rows are duplicates when all their columns are equal.
        max_reject_share: As for :func:`prepare`.
        rejects_to: As for :func:`prepare`.
        reject_values: As for :func:`prepare`.

    Returns:
        A preparation: iterate it for lists of rows, or its ``batches()``; then see ``report``.

    Raises:
        ConfigurationError: An argument cannot work.
        SourceError: As for :func:`prepare`.

    Example:
        >>> customers = [{"email": "ann@shop.de", "external_id": "17"}]
        >>> [batch] = prepare_rows(customers).batches()
        >>> batch.count
        1
    """
    rules = make_rules(algorithm=algorithm, plain_emails=plain_emails, phone_form=phone_form)
    opened = _opened(source, columns=columns)
    choice = opened.choice(None)
    rejects = RejectFile(rejects_to, values=_flag("reject_values", reject_values))
    tally = Tally(None if rejects_to is None else rejects.add)
    worker = RowWorker(choice, rules, tally, whole_rows=_flag("whole_rows", whole_rows))
    return Preparation(
        opened,
        choice,
        worker,
        tally=tally,
        rejects=rejects,
        deduplicate=_flag("deduplicate", deduplicate),
        max_reject_share=_share(max_reject_share),
    )


def _opened(
    source: object,
    *,
    column: str | None = None,
    columns: Mapping[str, str] | Sequence[str] | None = None,
) -> Source:
    if not isinstance(source, Source):
        return open_source(source, column=column, columns=columns)
    if column is not None or columns is not None:
        raise ConfigurationError("column, columns: say which in open_source")
    return source


def _key(record: str | RecordRow) -> object:
    if isinstance(record, RecordRow):
        return record
    try:
        digest = bytes.fromhex(record)  # half as long as its text
    except ValueError:
        return record
    return digest if digest.hex() == record else record


def _flag(name: str, value: object) -> bool:
    if value is True or value is False:
        return value
    raise ConfigurationError(f"{name}: True or False is needed")


def _share(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise ConfigurationError("max_reject_share: a number from 0 to 1 is needed, or None")
