"""Batches: records as parts of request bodies, with a limit of records and of bytes.

Pinterest documents neither limit. 1,900 records per request is the only number that a partner of
Pinterest states; 1,000,000 bytes is the size that a production connector sends. Records are joined
and encoded without a JSON encoder, because `prepare` rejects all characters that JSON escapes.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import accumulate, chain, islice
from typing import Literal, Protocol, TypeAlias, cast

from attrs import fields, frozen

from pinterest_audiences._errors import ConfigurationError, RecordError
from pinterest_audiences._models import RecordRow
from pinterest_audiences._records.chunks import aclosing_iter, closing_iter

__all__ = ["NOT_IN_CELLS", "Batch", "BatchMaker", "Batches", "Chunks", "make_batches"]


FieldName: TypeAlias = Literal["records", "records_v2"]
MAX_RECORDS = 1_900
MAX_BYTES = 1_000_000
RESERVED_BYTES = 256  # for the rest of the body: operation type, or list type and a typical name


@frozen(repr=False)
class Batch:
    """Encoded records, as a part of a request body.

    Pass it to ``customer_lists_create`` or ``customer_lists_update`` as ``records``. The same
    records in the same order give the same bytes. The ``repr`` has no records.

    Attributes:
        fragment: ``"records":"…"`` or ``"records_v2":[…]``, as UTF-8.
        count: Number of records or rows.
        number: Number of the batch in its source, counted from 1.
    """

    fragment: bytes
    count: int
    number: int = 1

    @property
    def field(self) -> FieldName:
        """The field of the request body."""
        return "records_v2" if self.fragment.startswith(b'"records_v2"') else "records"

    def __repr__(self) -> str:
        return f"Batch(number={self.number}, {self.field}={self.count}, bytes={len(self.fragment)})"


class Chunks(Protocol):
    """Chunks of records, for ``for`` and ``async for``, such as a `PreparedRecords`."""

    def __iter__(self) -> Iterator[Sequence[str | RecordRow]]:
        """Iterate over the chunks."""
        ...

    def __aiter__(self) -> AsyncIterator[Sequence[str | RecordRow]]:
        """Iterate over the chunks, also of an async source."""
        ...


class Batches:
    """The batches of a preparation; can be iterated once, with ``for`` or ``async for``."""

    def __init__(self, chunks: Chunks, maker: BatchMaker) -> None:
        self._chunks = chunks
        self._maker = maker

    def __iter__(self) -> Iterator[Batch]:
        with closing_iter(self._chunks) as chunks:
            for chunk in chunks:
                yield from self._maker.add(chunk)
        yield from self._maker.finish()

    async def __aiter__(self) -> AsyncIterator[Batch]:
        async with aclosing_iter(self._chunks) as chunks:
            async for chunk in chunks:
                for batch in self._maker.add(chunk):
                    yield batch
        for batch in self._maker.finish():
            yield batch


def make_batches(
    records: Iterable[str] | Iterable[RecordRow],
    *,
    max_records: int = MAX_RECORDS,
    max_bytes: int = MAX_BYTES,
    reserve: int = RESERVED_BYTES,
) -> Iterator[Batch]:
    """Yield batches of records that are normalized already, without `prepare`.

    Args:
        records: Strings or rows, not both.
        max_records: Maximum number of records or rows in a batch.
        max_bytes: Maximum size of a request body in bytes.
        reserve: Bytes of it that are reserved for the rest of the body.

    Yields:
        Batches, in the order of the records.

    Raises:
        ConfigurationError: A limit is too small.
        RecordError: A record cannot be sent, or is too long for a batch.

    Example:
        >>> [batch.count for batch in make_batches(["a@b.co"] * 5, max_records=2)]
        [2, 2, 1]
    """
    remaining = iter(records)
    for first in islice(remaining, 1):
        field: FieldName = "records_v2" if isinstance(first, RecordRow) else "records"
        maker = BatchMaker(field, max_records=max_records, max_bytes=max_bytes, reserve=reserve)
        all_records = chain((first,), remaining)
        while chunk := list(islice(all_records, MAX_RECORDS)):
            yield from maker.add(cast("Sequence[str | RecordRow]", chunk))
        yield from maker.finish()


_RECORDS_PER_JOIN = 1_024  # larger strings cost more to allocate than to join


class BatchMaker:
    """Collect records into batches, each as large as both limits allow.

    The batches depend on the records and the limits only, not on the size of the chunks.

    Args:
        field: ``records`` for strings, ``records_v2`` for rows.
        max_records: Maximum number of records or rows in a batch.
        max_bytes: Maximum size of a request body in bytes.
        reserve: Bytes of it that are reserved for the rest of the body.
        trusted: Whether the records come from `prepare` and are not checked again.

    Raises:
        ConfigurationError: A limit is too small.
    """

    def __init__(
        self,
        field: FieldName,
        *,
        max_records: int = MAX_RECORDS,
        max_bytes: int = MAX_BYTES,
        reserve: int = RESERVED_BYTES,
        trusted: bool = False,
    ) -> None:
        start, end = (b'"records":"', b'"') if field == "records" else (b'"records_v2":[', b"]")
        self._field = field
        self._start, self._end = start, end
        self._max_records = _check_integer("max_records", max_records, 1)
        available = max_bytes - _check_integer("reserve", reserve, 0) - len(start) - len(end)
        _check_integer("max_bytes", max_bytes, max_bytes - available + 1)
        self._available_bytes = available
        self._trusted = trusted
        self._pieces: list[bytes] = []  # of the current batch, joined and encoded
        self._size = 0
        self._count = 0
        self._batches = 0
        self._seen = 0  # number of records, for errors

    def add(self, records: Sequence[str | RecordRow]) -> Iterator[Batch]:
        """Add records and yield the batches that are full.

        Raises:
            RecordError: A record cannot be sent, or is too long for a batch.
        """
        texts = self._to_texts(records)
        at = 0
        while at < len(texts):
            part = texts[at : at + min(_RECORDS_PER_JOIN, self._max_records - self._count)]
            data = ",".join(part).encode()
            fits = self._has_space(len(data))
            if not fits:
                part = part[: self._count_fitting(part)]
                data = ",".join(part).encode()
            if part:
                self._append(data, len(part))
                at += len(part)
            if not fits or self._count == self._max_records:
                yield self._flush()

    def finish(self) -> Iterator[Batch]:
        """Yield the last batch."""
        if self._count:
            yield self._flush()

    def _to_texts(self, records: Sequence[str | RecordRow]) -> Sequence[str]:
        rows = self._field == "records_v2"
        if self._trusted and not rows:
            return cast("Sequence[str]", records)
        check = _row_to_json if rows else _check_record
        return [check(record, index) for index, record in enumerate(records, self._seen)]

    def _has_space(self, size: int) -> bool:
        return self._size + size + bool(self._count) <= self._available_bytes

    def _count_fitting(self, texts: Sequence[str]) -> int:
        """Return how many of the texts fit into the current batch."""
        sizes = accumulate(len(text.encode()) + 1 for text in texts)
        count = sum(1 for size in sizes if self._has_space(size - 1))
        if not count and not self._count:
            raise RecordError("is longer than max_bytes allows", index=self._seen)
        return count

    def _append(self, data: bytes, count: int) -> None:
        self._size += len(data) + bool(self._count)
        self._pieces.append(data)
        self._count += count
        self._seen += count

    def _flush(self) -> Batch:
        self._batches += 1
        self._pieces[0] = self._start + self._pieces[0]
        self._pieces[-1] += self._end
        batch = Batch(fragment=b",".join(self._pieces), count=self._count, number=self._batches)
        self._pieces, self._size, self._count = [], 0, 0
        return batch


def _check_integer(name: str, value: object, minimum: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ConfigurationError(f"{name} must be an integer of at least {minimum}", param=name)
    return value


# Characters that JSON escapes, that separate records, or that no record has.
_NOT_IN_RECORDS = re.compile(r'[\s\x00-\x20\x7f-\x9f"\\,\ud800-\udfff]')
NOT_IN_CELLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_TO_ESCAPE = re.compile(r'["\\]')
_COLUMNS = tuple(column.name for column in fields(RecordRow))


def _check_record(record: object, index: int) -> str:
    if not isinstance(record, str):
        raise RecordError("is not a string", index=index)
    if not record:
        raise RecordError("is empty", index=index)
    if _NOT_IN_RECORDS.search(record):
        raise RecordError(
            "has white space, a comma, a control character, a quote or a backslash", index=index
        )
    return record


def _row_to_json(row: object, index: int) -> str:
    if not isinstance(row, RecordRow):
        raise RecordError("is not a RecordRow", index=index)
    cells = [(column, getattr(row, column)) for column in _COLUMNS]
    texts = [f'"{column}":{_quote(value, column, index)}' for column, value in cells if value]
    if not texts:
        raise RecordError("has no column set", index=index)
    return "{" + ",".join(texts) + "}"


def _quote(value: object, column: str, index: int) -> str:
    if not isinstance(value, str) or NOT_IN_CELLS.search(value):
        raise RecordError(f"{column} cannot be sent", index=index)
    if _TO_ESCAPE.search(value):
        return json.dumps(value, ensure_ascii=False)
    return f'"{value}"'
