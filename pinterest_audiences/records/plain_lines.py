"""Plain lists: one identifier a line, without a header."""

from __future__ import annotations

from collections.abc import Iterator

from pinterest_audiences.records.chunks import Block, Chunk, Values
from pinterest_audiences.records.lines import LineText
from pinterest_audiences.records.reasons import Fault, RejectReason

__all__ = ["line_chunks"]

_TOO_LONG = Fault(RejectReason.LINE_TOO_LONG)


def line_chunks(texts: Iterator[LineText]) -> Iterator[Chunk]:
    """Hand out the lines of a file; an empty line is a row that is rejected as empty."""
    first = 1
    for text in texts:
        chunk = _chunk(text, first)
        yield chunk
        first += chunk.count


def _chunk(text: LineText, first: int) -> Chunk:
    if not isinstance(text, str):
        return Values(first, [_TOO_LONG])
    if text.isascii():
        return Block(first, text.encode(), text.count("\n"))
    return Values(first, text.split("\n")[:-1])
