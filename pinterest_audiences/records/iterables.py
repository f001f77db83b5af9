"""Anything that hands out rows one by one, awaited or not."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from typing import TypeVar

from pinterest_audiences.errors import SourceError
from pinterest_audiences.records.chunks import CHUNK_ROWS, Chunk, Values, block_of
from pinterest_audiences.records.columns import ColumnChoice
from pinterest_audiences.records.mappings import pick

__all__ = ["async_item_chunks", "async_lists", "item_chunks", "iterating"]

T = TypeVar("T")


@asynccontextmanager
async def iterating(items: AsyncIterable[T]) -> AsyncGenerator[AsyncIterator[T], None]:
    """Iterate what may be left half-way: a generator is closed then, which trio asks for."""
    iterator = aiter(items)
    try:
        yield iterator
    finally:
        if isinstance(iterator, AsyncGenerator):
            await iterator.aclose()


def item_chunks(items: Iterable[object], choice: ColumnChoice, source: str) -> Iterator[Chunk]:
    """Read strings, mappings or `RecordRow` objects.

    Raises:
        SourceError: What hands them out raises, or they have not the column asked for.
    """
    first = 1
    for chunk in _lists(items, source):
        yield _chunk(first, chunk, choice, source)
        first += len(chunk)


async def async_item_chunks(
    items: AsyncIterable[object], choice: ColumnChoice, source: str
) -> AsyncIterator[Chunk]:
    """Read strings, mappings or `RecordRow` objects, awaited.

    Raises:
        SourceError: As `item_chunks`.
    """
    first = 1
    async with iterating(async_lists(items, source)) as chunks:
        async for chunk in chunks:
            yield _chunk(first, chunk, choice, source)
            first += len(chunk)


async def async_lists(items: AsyncIterable[object], source: str) -> AsyncIterator[list[object]]:
    """Collect what is awaited into lists; what came before a failure is handed out before it.

    Raises:
        SourceError: What hands it out raises.
    """
    chunk: list[object] = []
    rows = 0
    failed: SourceError | None = None
    try:
        async with iterating(items) as iterator:
            async for item in iterator:
                chunk.append(item)
                if len(chunk) == CHUNK_ROWS:
                    rows += len(chunk)
                    yield chunk
                    chunk = []
    except Exception as error:  # noqa: BLE001 - it is the caller's own
        failed = _failed(error, source, rows + len(chunk))
    if chunk:
        yield chunk
    if failed is not None:
        raise failed


def _lists(items: Iterable[object], source: str) -> Iterator[list[object]]:
    rows = 0
    failed: SourceError | None = None
    iterator: Iterator[object] = iter(())
    try:
        iterator = iter(items)
    except Exception as error:  # noqa: BLE001 - it is the caller's own
        failed = _failed(error, source, 0)
    while failed is None:
        chunk: list[object] = []
        try:
            chunk.extend(islice(iterator, CHUNK_ROWS))
        except Exception as error:  # noqa: BLE001 - it is the caller's own
            failed = _failed(error, source, rows + len(chunk))
        if chunk:
            rows += len(chunk)
            yield chunk
        elif failed is None:
            return
    raise failed


def _failed(error: Exception, source: str, row: int) -> SourceError:
    told = SourceError(
        f"it raised {type(error).__name__}; what came after is missing", source=source, row=row
    )
    told.__cause__ = error
    return told


def _chunk(first: int, items: list[object], choice: ColumnChoice, source: str) -> Chunk:
    block = block_of(first, items) if choice.single else None
    return block or Values(first, pick(items, choice, source))
