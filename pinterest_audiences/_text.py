"""Wording of messages: numbers with their nouns."""

from __future__ import annotations

from typing import Literal

__all__ = ["counted"]

_SINGULAR = {"are": "is", "were": "was", "have": "has"}


def counted(
    number: int, noun: str, verb: Literal["", "are", "were", "have"] = "", *, width: int = 0
) -> str:
    """Return a number with its noun and verb, such as ``1,900 records were``.

    Args:
        number: The number.
        noun: The noun, in the singular.
        verb: The verb, in the plural.
        width: Columns of the number, for lines below each other.
    """
    one = number == 1
    words = (
        f"{number:>{width},}",
        noun if one else f"{noun}s",
        _SINGULAR.get(verb, verb) if one else verb,
    )
    return " ".join(filter(None, words))
