"""From a cell to trimmed text, and the characters that no identifier may hold."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from uuid import UUID

from pinterest_audiences.records.reasons import Fault, RejectReason

__all__ = ["INVISIBLE", "LONGEST_VALUE", "WHITE_SPACE", "as_text", "fault_inside", "trim"]

LONGEST_VALUE = 16_384
"""Characters; a longer cell is no identifier and is not looked at."""

WHITE_SPACE = (
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""All that Unicode calls white space."""

INVISIBLE = (
    "\ufeff\u200b\u200c\u200d\u2060\u180e\xad"  # byte order mark, zero widths, soft hyphen
    "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # writing direction
)
"""What spreadsheets and address books leave at the edges of a cell without showing it."""

_EDGES = WHITE_SPACE + INVISIBLE
_SPACE_INSIDE = re.compile(f"[{WHITE_SPACE}]")
_INVISIBLE_INSIDE = re.compile(f"[{INVISIBLE}]")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")  # those that are no white space
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_MISSING_TYPES = frozenset({"NAType", "NaTType"})  # pandas' own, known by name: it is not imported


def as_text(value: object) -> str | RejectReason:
    """Return a cell as text.

    ``None`` and NaN, which stand for a cell without a value, are empty; UUIDs and IP addresses, as
    databases return them, are written out; other numbers, dates and bytes are no text, for their
    written form would be a guess.
    """
    if isinstance(value, str):
        text = str.__str__(value)  # a subclass may write itself otherwise
        return text if len(text) <= LONGEST_VALUE else RejectReason.TOO_LONG
    if isinstance(value, Fault):
        return value.reason
    if value is None or (isinstance(value, float) and value != value):  # noqa: PLR0124 - NaN
        return RejectReason.EMPTY
    if isinstance(value, UUID | IPv4Address | IPv6Address):
        return str(value)
    missing = type(value).__name__ in _MISSING_TYPES
    return RejectReason.EMPTY if missing else RejectReason.NOT_TEXT


def trim(text: str) -> str:
    """Take white space and invisible characters from both ends."""
    return text.strip(_EDGES)


def fault_inside(text: str, *, spaces: bool = False) -> RejectReason | None:
    """Tell which character keeps a trimmed text from being sent.

    Args:
        text: Trimmed text.
        spaces: Whether plain spaces may stand inside.
    """
    if text.isascii() and text.isprintable() and (spaces or " " not in text):
        return None
    if _SURROGATE.search(text):
        return RejectReason.LONE_SURROGATE
    if _CONTROL.search(text):
        return RejectReason.CONTROL_CHARACTER
    if _INVISIBLE_INSIDE.search(text):
        return RejectReason.INVISIBLE_CHARACTER
    if _SPACE_INSIDE.search(text.replace(" ", "") if spaces else text):
        return RejectReason.SPACE_INSIDE
    return None
