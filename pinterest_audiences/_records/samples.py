"""Masked examples of values: their structure, without the letters and digits of a person."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING
from unicodedata import category
from uuid import UUID

from attrs import frozen

from pinterest_audiences._errors import ConfigurationError
from pinterest_audiences._records.chunks import INVISIBLE, UnreadableRow

if TYPE_CHECKING:
    from pinterest_audiences._models import JSON

__all__ = ["MAX_SAMPLES", "MaskedSample", "SampleCollector", "check_samples", "mask"]

MAX_SAMPLES = 100
"""Maximum number of samples for each reason: enough to see what is wrong, too few to profile."""
_MAX_RUN_CHARACTERS = 12  # of letters and digits; longer names are rare enough to be recognized
_MIN_COUNTED_RUN = 30  # a mixed run of this length is a hash, and its length shows what is wrong
_MAX_MASK_CHARACTERS = 48
_MAX_READ_CHARACTERS = 256

_LETTER, _DIGIT, _OTHER_LETTER, _OTHER_DIGIT, _MIXED = "a", "9", "é", "0", "x"
_LETTERS = frozenset(_LETTER + _OTHER_LETTER)
_DIGITS = frozenset(_DIGIT + _OTHER_DIGIT)
_RUN = _LETTERS | _DIGITS
_CLASS_NAMES = {"Z": "space", "P": "punctuation", "S": "symbol"}
_INVISIBLE = frozenset(INVISIBLE)
_SHOWN_TYPES = frozenset({"bool", "bytes", "bytearray", "date", "datetime", "dict", "list", "time"})


@frozen(kw_only=True)
class MaskedSample:
    """An example of a rejected value, or of a value that a finding is about, without the value.

    A mask shows the structure of a value: ``Ann@@shop,de`` is ``aaa@@aaaa,aa``. ASCII letters are
    ``a``, digits are ``9``, and both are ``x`` where they are mixed, because the pattern of letters
    and digits of a hash or device id identifies it. Other letters are ``é``, other digits ``0``;
    ASCII punctuation is shown, and the rest by its class, such as ``<invisible>``. Runs and values
    are cut at a maximum length.

    Attributes:
        row: The row number, counted from 1 below the header, including blank rows.
        file: The file of the row, if several are read.
        reason: The reject reason, or the kind of the finding.
        column: The column of rows of several identifiers; empty for a single column.
        masked: The mask; empty if the row could not be read or has no value.
    """

    row: int
    file: str = ""
    reason: str
    column: str = ""
    masked: str

    def to_dict(self) -> dict[str, JSON]:
        """Return the sample as JSON values."""
        return {
            "row": self.row,
            "file": self.file,
            "reason": self.reason,
            "column": self.column,
            "masked": self.masked,
        }


def check_samples(count: object) -> int:
    """Return the number of samples for each reason.

    Raises:
        ConfigurationError: It is not a whole number from 0 to `MAX_SAMPLES`.
    """
    if isinstance(count, int) and not isinstance(count, bool) and 0 <= count <= MAX_SAMPLES:
        return count
    raise ConfigurationError(
        f"samples must be a whole number from 0 to {MAX_SAMPLES}", param="samples"
    )


class SampleCollector:
    """The first masked values for each cause: a reject reason, a warning code, or an input form.

    Values are masked when they are added, so that no plain value is stored.

    Args:
        limit: Number of samples for each cause.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._samples: dict[tuple[str, str], list[tuple[str, int, str]]] = {}

    def has_room(self, cause: str, column: str = "") -> bool:
        """Return whether more samples of a cause are collected."""
        return len(self._samples.get((cause, column), ())) < self._limit

    def add(self, cause: str, row: int, value: object, column: str = "", file: str = "") -> None:
        """Add a value, unless the cause has enough."""
        if self.has_room(cause, column):
            self._samples.setdefault((cause, column), []).append((file, row, mask(value)))

    def of(self, reason: str, causes: Sequence[str], column: str = "") -> list[MaskedSample]:
        """Return the samples of some causes, by row, for a reason."""
        rows = [item for cause in causes for item in self._samples.get((cause, column), ())]
        return [
            MaskedSample(row=row, file=file, reason=str(reason), column=column, masked=masked)
            for file, row, masked in sorted(rows)[: self._limit]
        ]


def mask(value: object) -> str:
    """Return the structure of a value, from which the value cannot be derived."""
    if value is None or isinstance(value, UnreadableRow):
        return ""
    if isinstance(value, int | float | Decimal | UUID) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        name = type(value).__name__
        return f"<{name if name in _SHOWN_TYPES else 'object'}>"
    classes = [_class_of(character) for character in value[:_MAX_READ_CHARACTERS]]
    # Without an at sign, mixed letters and digits are probably a hash or an id, also if it has
    # dashes or spaces: then no part shows which characters are digits.
    mixed = "@" not in classes and _is_mixed(classes)
    masked = ""
    for is_run, run in groupby(classes, _RUN.__contains__):
        for part in (_mask_run(list(run), mixed=mixed),) if is_run else run:
            if len(masked) + len(part) > _MAX_MASK_CHARACTERS:
                return f"{masked}…"
            masked += part
    return masked


def _class_of(character: str) -> str:
    """Return the placeholder of a character; ASCII punctuation and spaces stand for themselves."""
    kind = category(character)
    ascii_only = character.isascii()
    if character == "\ufffd":
        return "<replacement>"
    if character in _INVISIBLE:
        return "<invisible>"
    match kind[0]:
        case "L" | "M":
            return _LETTER if ascii_only else _OTHER_LETTER
        case "N":
            return _DIGIT if ascii_only else _OTHER_DIGIT
        case "C":
            return "<surrogate>" if kind == "Cs" else "<control>"
        case _:
            return character if ascii_only else f"<{_CLASS_NAMES[kind[0]]}>"


def _is_mixed(classes: Sequence[str]) -> bool:
    return not (_LETTERS.isdisjoint(classes) or _DIGITS.isdisjoint(classes))


def _mask_run(run: Sequence[str], *, mixed: bool) -> str:
    """Return the mask of a run of letters and digits."""
    length = len(run)
    if mixed or _is_mixed(run):
        if length >= _MIN_COUNTED_RUN:
            return f"{_MIXED}{{{length}}}"
        run = _MIXED * length
    shown = "".join(run[:_MAX_RUN_CHARACTERS])
    return shown if length <= _MAX_RUN_CHARACTERS else f"{shown}…"
