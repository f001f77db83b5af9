"""Records into pieces of request bodies, under a cap of records and a cap of bytes.

Neither cap is Pinterest's, which states none: 10,000 records and 1,000,000 bytes are what a
production connector sends. The record string is joined and encoded, never run through a JSON
encoder: `prepare` lets nothing into it that JSON would have to escape.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import accumulate, chain, islice
from typing import Literal, Protocol, TypeAlias, cast

from attrs import fields, frozen

from pinterest_audiences.errors import ConfigurationError, RecordError
from pinterest_audiences.models import RecordRow

__all__ = ["Batch", "BatchMaker", "Batches", "Chunks", "make_batches"]

FieldName: TypeAlias = Literal["records", "records_v2"]

MAX_RECORDS = 10_000
MAX_BYTES = 1_000_000
_PIECE = 1_024  # records joined at a time: larger strings cost the allocator more than the joining
RESERVE = 256  # for the rest of a body: operation type, or list type and a name of usual length

# What JSON would escape, what the API splits at, and what no record holds.
_NOT_IN_RECORDS = re.compile(r'[\s\x00-\x20\x7f-\x9f"\\,\ud800-\udfff]')
_NOT_IN_CELLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_TO_ESCAPE = re.compile(r'["\\]')
_COLUMNS = tuple(column.name for column in fields(RecordRow))


@frozen(repr=False)
class Batch:
    """Records ready to be sent: a piece of a request body.

    Give it to ``customer_lists_create`` or ``customer_lists_update`` as ``records``. The same
    records in the same order make the same bytes. The ``repr`` holds no record.

    Attributes:
        fragment: ``"records":"…"`` or ``"records_v2":[…]``, as UTF-8.
        count: How many records or rows it holds.
        number: Its place among the batches of its source, counted from 1.
    """

    fragment: bytes
    count: int
    number: int = 1

    @property
    def field(self) -> FieldName:
        """Which field of the request it is."""
        return "records_v2" if self.fragment.startswith(b'"records_v2"') else "records"

    def __repr__(self) -> str:
        return f"Batch(number={self.number}, {self.field}={self.count}, bytes={len(self.fragment)})"


class Chunks(Protocol):
    """Records some thousands at a time, for ``for`` and ``async for``: a `Preparation`."""

    def __iter__(self) -> Iterator[Sequence[str | RecordRow]]:
        """Hand out chunks."""
        ...

    def __aiter__(self) -> AsyncIterator[Sequence[str | RecordRow]]:
        """Hand out chunks, awaited."""
        ...


class Batches:
    """The batches of a preparation; iterate once, with ``for`` or ``async for``."""

    def __init__(self, chunks: Chunks, maker: BatchMaker) -> None:
        self._chunks = chunks
        self._maker = maker

    def __iter__(self) -> Iterator[Batch]:
        for chunk in self._chunks:
            yield from self._maker.add(chunk)
        yield from self._maker.finish()

    async def __aiter__(self) -> AsyncIterator[Batch]:
        async for chunk in self._chunks:
            for batch in self._maker.add(chunk):
                yield batch
        for batch in self._maker.finish():
            yield batch


class BatchMaker:
    """Collect records and hand out batches, each as long as both caps allow.

    Where a batch ends depends on the records and the caps only, not on how they are handed in.

    Args:
        field: ``records`` for strings, ``records_v2`` for rows.
        max_records: Records or rows in a batch at most.
        max_bytes: Bytes of a request body at most.
        reserve: Bytes of those that are left for the rest of the body.
        trusted: Whether the records come from `prepare` and need no second look.

    Raises:
        ConfigurationError: A number is too small.
    """

    def __init__(
        self,
        field: FieldName,
        *,
        max_records: int = MAX_RECORDS,
        max_bytes: int = MAX_BYTES,
        reserve: int = RESERVE,
        trusted: bool = False,
    ) -> None:
        start, end = (b'"records":"', b'"') if field == "records" else (b'"records_v2":[', b"]")
        self._start, self._end = start, end
        self._max_records = _whole("max_records", max_records, 1)
        room = max_bytes - _whole("reserve", reserve, 0) - len(start) - len(end)
        _whole("max_bytes", max_bytes, max_bytes - room + 1)
        self._room = room
        self._trusted = trusted
        self._pieces: list[bytes] = []  # the batch in the making, joined as far as it goes
        self._size = 0
        self._count = 0
        self._batches = 0
        self._taken = 0  # records seen, to name a wrong one

    def add(self, records: Sequence[str | RecordRow]) -> Iterator[Batch]:
        """Take records and yield the batches that are full.

        Raises:
            RecordError: A record cannot be sent, or is alone too long for a batch.
        """
        texts = self._texts(records)
        at = 0
        while at < len(texts):
            part = texts[at : at + min(_PIECE, self._max_records - self._count)]
            data = ",".join(part).encode()
            fits = self._fits(len(data))
            if not fits:
                part = part[: self._fitting(part)]
                data = ",".join(part).encode()
            if part:
                self._put(data, len(part))
                at += len(part)
            if not fits or self._count == self._max_records:
                yield self._batch()

    def finish(self) -> Iterator[Batch]:
        """Yield what is left."""
        if self._count:
            yield self._batch()

    def _texts(self, records: Sequence[str | RecordRow]) -> Sequence[str]:
        rows = self._start.startswith(b'"records_v2"')
        if self._trusted and not rows:
            return cast("Sequence[str]", records)
        check = _checked_row if rows else _checked_record
        return [check(record, index) for index, record in enumerate(records, self._taken)]

    def _fits(self, size: int) -> bool:
        return self._size + size + bool(self._count) <= self._room

    def _fitting(self, texts: Sequence[str]) -> int:
        """Return how many of the texts still fit; none only where another batch is begun."""
        sizes = accumulate(len(text.encode()) + 1 for text in texts)
        count = sum(1 for size in sizes if self._fits(size - 1))
        if not count and not self._count:
            raise RecordError("is alone longer than max_bytes allows", index=self._taken)
        return count

    def _put(self, data: bytes, count: int) -> None:
        self._size += len(data) + bool(self._count)
        self._pieces.append(data)
        self._count += count
        self._taken += count

    def _batch(self) -> Batch:
        self._batches += 1
        self._pieces[0] = self._start + self._pieces[0]
        self._pieces[-1] += self._end
        batch = Batch(fragment=b",".join(self._pieces), count=self._count, number=self._batches)
        self._pieces, self._size, self._count = [], 0, 0
        return batch


def make_batches(
    records: Iterable[str] | Iterable[RecordRow],
    *,
    max_records: int = MAX_RECORDS,
    max_bytes: int = MAX_BYTES,
    reserve: int = RESERVE,
) -> Iterator[Batch]:
    """Make batches of records that are clean already; `prepare(…).batches()` makes its own.

    Args:
        records: Strings, or rows; not both.
        max_records: Records or rows in a batch at most.
        max_bytes: Bytes of a request body at most.
        reserve: Bytes of those that are left for the rest of the body.

    Yields:
        Batches, in the order of the records.

    Raises:
        ConfigurationError: A number is too small.
        RecordError: A record cannot be sent, or is alone too long for a batch.

    Example:
        >>> [batch.count for batch in make_batches(["a@b.co"] * 5, max_records=2)]
        [2, 2, 1]
    """
    waiting = iter(records)
    for first in islice(waiting, 1):
        field: FieldName = "records_v2" if isinstance(first, RecordRow) else "records"
        maker = BatchMaker(field, max_records=max_records, max_bytes=max_bytes, reserve=reserve)
        everything = chain((first,), waiting)
        while chunk := list(islice(everything, MAX_RECORDS)):
            yield from maker.add(cast("Sequence[str | RecordRow]", chunk))
        yield from maker.finish()


def _whole(name: str, value: object, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigurationError(f"{name}: a whole number of at least {least} is needed")
    return value


def _checked_record(record: object, index: int) -> str:
    if not isinstance(record, str):
        raise RecordError("not a string", index=index)
    if not record:
        raise RecordError("is empty", index=index)
    if _NOT_IN_RECORDS.search(record):
        raise RecordError(
            "holds white space, a comma, a control character, a quote or a backslash", index=index
        )
    return record


def _checked_row(row: object, index: int) -> str:
    if not isinstance(row, RecordRow):
        raise RecordError("not a RecordRow", index=index)
    cells = [(column, getattr(row, column)) for column in _COLUMNS]
    texts = [f'"{column}":{_quoted(value, column, index)}' for column, value in cells if value]
    if not texts:
        raise RecordError("has no column set", index=index)
    return "{" + ",".join(texts) + "}"


def _quoted(value: object, column: str, index: int) -> str:
    if not isinstance(value, str) or _NOT_IN_CELLS.search(value):
        raise RecordError(f"{column} cannot be sent", index=index)
    if _TO_ESCAPE.search(value):
        return json.dumps(value, ensure_ascii=False)
    return f'"{value}"'
