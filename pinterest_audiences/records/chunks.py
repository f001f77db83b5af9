"""What travels from a source to `prepare`: rows in order, some thousands at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, cast

from attrs import frozen

__all__ = ["CHUNK_ROWS", "Block", "Chunk", "Values", "block_of"]

CHUNK_ROWS = 2_048
"""Rows taken at a time from what hands out single rows; so many stay in a processor's cache."""


@frozen(repr=False)
class Values:
    """Rows as Python objects: one cell each, or a tuple of cells where columns were chosen.

    A row that its source could not read is a `Fault` in its place.
    """

    first: int
    values: Sequence[object]

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self.values)


@frozen(repr=False)
class Block:
    """Rows of one cell each as ASCII text, each ended by a newline and none holding one."""

    first: int
    data: bytes
    count: int

    def values(self) -> list[str]:
        """Return the rows as strings."""
        return self.data.decode("ascii").split("\n")[:-1]


Chunk: TypeAlias = Values | Block


def block_of(first: int, values: Sequence[object]) -> Block | None:
    """Return cells as a block, or ``None`` where one is not ASCII text of one line."""
    try:
        text = "\n".join(cast("Sequence[str]", values))  # one that is no string is found by this
    except TypeError:
        return None
    if not values or not text.isascii() or text.count("\n") != len(values) - 1:
        return None
    return Block(first, (text + "\n").encode(), len(values))
