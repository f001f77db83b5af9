"""Chunks of rows, the text of their cells, and the reasons to reject a row.

Every source becomes a stream of `Chunk`: `RowChunk` holds any Python objects, `AsciiChunk` holds
one ASCII cell per line for the fast path.
"""

from __future__ import annotations

import re
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Generator,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from numbers import Integral, Real
from typing import TypeAlias, TypeVar, cast
from uuid import UUID

from attrs import frozen

from pinterest_audiences._errors import SourceError
from pinterest_audiences._models import OpenEnum

__all__ = [
    "CHUNK_ROWS",
    "CONTROL",
    "INVISIBLE",
    "LITERAL",
    "WHITE_SPACE",
    "AsciiChunk",
    "Chunk",
    "EmptyFileError",
    "RejectReason",
    "RowChunk",
    "UnreadableRow",
    "WarningCode",
    "aclosing_iter",
    "bytes_to_text",
    "cell_to_text",
    "closing_iter",
    "drop_blank_rows",
    "find_forbidden_character",
    "first_rows",
    "flatten",
    "is_blank",
    "is_null_word",
    "limit_rows",
    "list_items",
    "number_to_text",
    "to_ascii_chunk",
    "trim",
    "unquote_cell",
]


class RejectReason(OpenEnum):
    """Why a row, or a cell of it, was rejected.

    An open enum: a reason written by a newer version of the package is preserved as it is.
    """

    # The source
    RAGGED_ROW = "ragged_row"
    BAD_QUOTING = "bad_quoting"
    LINE_TOO_LONG = "line_too_long"
    BAD_JSON = "bad_json"
    NOT_A_ROW = "not_a_row"
    # Any value
    EMPTY = "empty"
    NOT_TEXT = "not_text"
    TOO_LONG = "too_long"
    LONE_SURROGATE = "lone_surrogate"
    CONTROL_CHARACTER = "control_character"
    INVISIBLE_CHARACTER = "invisible_character"
    SPACE_INSIDE = "space_inside"
    FORBIDDEN_CHARACTER = "forbidden_character"
    REPLACEMENT_CHARACTER = "replacement_character"
    MISREAD_ENCODING = "misread_encoding"
    NON_ASCII_PUNCTUATION = "non_ascii_punctuation"
    SYMBOL = "symbol"
    COMPATIBILITY_FORM = "compatibility_form"
    DECIMAL_NUMBER = "decimal_number"
    PLACEHOLDER = "placeholder"
    # Hashes
    HASH_OF_NOTHING = "hash_of_nothing"
    HASH_OF_PLACEHOLDER = "hash_of_placeholder"
    UNSUPPORTED_HASH = "unsupported_hash"
    ENCODED_HASH = "encoded_hash"
    DAMAGED_HASH = "damaged_hash"
    NOT_A_HASH = "not_a_hash"
    # E-mails
    NO_AT_SIGN = "no_at_sign"
    SEVERAL_AT_SIGNS = "several_at_signs"
    SEVERAL_ADDRESSES = "several_addresses"
    PERCENT_ENCODED = "percent_encoded"
    ESCAPED_CHARACTER = "escaped_character"
    NO_LOCAL_PART = "no_local_part"
    LOCAL_PART_TOO_LONG = "local_part_too_long"
    DOMAIN_WITHOUT_DOT = "domain_without_dot"
    BAD_DOMAIN = "bad_domain"
    # Other identifiers
    NOT_A_MOBILE_ID = "not_a_mobile_id"
    ALL_ZERO_ID = "all_zero_id"
    PHONE_WITHOUT_COUNTRY_CODE = "phone_without_country_code"
    AMBIGUOUS_COUNTRY_CODE = "ambiguous_country_code"
    PHONE_TRUNK_PREFIX = "phone_trunk_prefix"
    PHONE_EXTENSION = "phone_extension"
    SEVERAL_PHONE_NUMBERS = "several_phone_numbers"
    NOT_A_PHONE_NUMBER = "not_a_phone_number"
    NOT_AN_IP_ADDRESS = "not_an_ip_address"
    NOT_BASE64 = "not_base64"


class WarningCode(OpenEnum):
    """A problem of a value that became a record nevertheless."""

    UPPER_CASE_HASH = "upper_case_hash"
    RESERVED_DOMAIN = "reserved_domain"
    MAYBE_UNDASHED_ID = "maybe_undashed_id"


@frozen
class UnreadableRow:
    """Takes the place of a row, or of one cell, that its source could not read."""

    reason: RejectReason


class EmptyFileError(SourceError):
    """A file that is empty and must have a header; next to other files it is only counted."""


CHUNK_ROWS = 2_048
"""Rows per chunk of a row-by-row source; a chunk of this size fits the processor cache."""


@frozen(repr=False)
class RowChunk:
    """Rows as Python objects: one cell each, or a tuple of the selected cells.

    Attributes:
        first: Row number at the start of the chunk, counted from 1 below the header.
        values: The rows, with `UnreadableRow` in place of one that could not be read.
        row_numbers: Row number of each value; ``None`` where they count up from `first`. Set when
            blank rows were dropped, or when a row has several values.
        blank: Number of blank rows that were dropped.
        file: Name of the file, if several are read.
    """

    first: int
    values: Sequence[object]
    row_numbers: Sequence[int] | None = None
    blank: int = 0
    file: str = ""

    @property
    def count(self) -> int:
        """Number of rows that the values came from."""
        return len(self.values) if self.row_numbers is None else len(set(self.row_numbers))

    @property
    def last(self) -> int:
        """Row number of the last value."""
        if self.row_numbers is None:
            return self.first + len(self.values) - 1
        return self.row_numbers[-1] if self.row_numbers else self.first - 1


@frozen(repr=False)
class AsciiChunk:
    """Rows of one cell each as ASCII text; every cell ends with a newline and contains none."""

    first: int
    data: bytes
    count: int
    file: str = ""

    @property
    def last(self) -> int:
        """Row number of the last line."""
        return self.first + self.count - 1

    @property
    def values(self) -> list[str]:
        """The cells as strings, decoded at each use."""
        return self.data.decode("ascii").split("\n")[:-1]


Chunk: TypeAlias = RowChunk | AsciiChunk


def first_rows(chunk: Chunk, count: int) -> Chunk:
    """Return the first rows of a chunk."""
    if chunk.count <= count:
        return chunk
    if isinstance(chunk, AsciiChunk):
        lines = chunk.data.split(b"\n", count)[:count]
        return AsciiChunk(chunk.first, b"\n".join(lines) + b"\n", count, chunk.file)
    if chunk.row_numbers is None:
        return RowChunk(chunk.first, chunk.values[:count], None, chunk.blank, chunk.file)
    kept = list(dict.fromkeys(chunk.row_numbers))[:count]
    kept_numbers = set(kept)
    length = sum(number in kept_numbers for number in chunk.row_numbers)
    blank = min(kept[-1] - chunk.first + 1 - count, chunk.blank)
    numbers = chunk.row_numbers[:length]
    return RowChunk(chunk.first, chunk.values[:length], numbers, blank, chunk.file)


def limit_rows(chunks: Iterator[Chunk], limit: int | None) -> Iterator[Chunk]:
    """Yield chunks until they have the number of rows; the next chunk is then not read."""
    left = limit
    for chunk in chunks:
        if left is None:
            yield chunk
            continue
        yield first_rows(chunk, left)
        left -= chunk.count
        if left <= 0:
            return


def to_ascii_chunk(first: int, values: Sequence[object]) -> AsciiChunk | None:
    """Return cells as an `AsciiChunk`, or ``None`` if one is not ASCII text of a single line."""
    try:
        text = "\n".join(cast("Sequence[str]", values))  # raises TypeError for anything but str
    except TypeError:
        return None
    if not values or not text.isascii() or text.count("\n") != len(values) - 1:
        return None
    return AsciiChunk(first, (text + "\n").encode(), len(values))


def drop_blank_rows(first: int, values: Sequence[object]) -> RowChunk:
    """Return single values as a chunk without those that are blank text."""
    filled = [
        (row, value)
        for row, value in enumerate(values, first)
        if not (isinstance(value, str) and is_blank(value))
    ]
    if len(filled) == len(values):
        return RowChunk(first, values)
    row_numbers = [row for row, _ in filled]
    return RowChunk(first, [value for _, value in filled], row_numbers, len(values) - len(filled))


def flatten(chunk: Chunk) -> Chunk:
    """Return the non-empty cells of each row as single values; one empty cell for an empty row."""
    if isinstance(chunk, AsciiChunk) or not any(isinstance(value, tuple) for value in chunk.values):
        return chunk
    numbers = chunk.row_numbers or range(chunk.first, chunk.first + len(chunk.values))
    values: list[object] = []
    row_numbers: list[int] = []
    for row, value in zip(numbers, chunk.values, strict=True):
        cells = cast("tuple[object, ...]", value) if isinstance(value, tuple) else (value,)
        filled = [cell for cell in cells if not _is_empty(cell)] or cells[:1]
        values += filled
        row_numbers += [row] * len(filled)
    return RowChunk(chunk.first, values, row_numbers, chunk.blank, chunk.file)


def _is_empty(cell: object) -> bool:
    if not isinstance(cell, str):
        return cell_to_text(cell) == RejectReason.EMPTY
    return "@" not in cell and (is_blank(cell) or is_null_word(cell))


_MAX_CELL_CHARACTERS = 16_384
"""A longer cell, without blanks at its ends, cannot be an identifier and is rejected unread."""
_MAX_INTEGER_ID = 10**64
_ARRAY_TYPES = frozenset({"ndarray"})  # of numpy; pandas uses it for list columns
_MISSING_TYPES = frozenset({"NAType", "NaTType"})  # of pandas, matched by name to avoid the import


def cell_to_text(value: object) -> str | RejectReason:
    """Return a cell as text.

    ``None`` and NaN are empty. UUIDs and IP addresses, as databases return them, are converted to
    text. Other numbers, dates and bytes are rejected, because their text form would be a guess.
    """
    if isinstance(value, str):
        text = str.__str__(value)  # a subclass may override __str__
        if len(text) > _MAX_CELL_CHARACTERS:
            text = trim(text)  # blanks at its ends do not count, as of a column of fixed width
        return text if len(text) <= _MAX_CELL_CHARACTERS else RejectReason.TOO_LONG
    if isinstance(value, UnreadableRow):
        return value.reason
    if value is None or (isinstance(value, Real | Decimal) and value != value):  # noqa: PLR0124 - NaN
        return RejectReason.EMPTY
    if isinstance(value, UUID | IPv4Address | IPv6Address):
        return str(value)
    missing = type(value).__name__ in _MISSING_TYPES
    return RejectReason.EMPTY if missing else RejectReason.NOT_TEXT


def number_to_text(value: object) -> str | RejectReason:
    """Return the digits of a number that is an id; fractions and floats are rejected.

    Whole floats are rejected too: beyond 15 digits they no longer hold the original number.
    """
    if isinstance(value, bool):
        return RejectReason.NOT_TEXT
    if isinstance(value, Integral):
        return str(int(value)) if abs(int(value)) < _MAX_INTEGER_ID else RejectReason.TOO_LONG
    if isinstance(value, Decimal) and value.is_finite():
        whole = value == value.to_integral_value() and abs(value) < _MAX_INTEGER_ID
        return str(int(value)) if whole else RejectReason.DECIMAL_NUMBER
    return RejectReason.DECIMAL_NUMBER if isinstance(value, Real) else RejectReason.NOT_TEXT


def bytes_to_text(value: bytes) -> str | RejectReason:
    """Decode a cell of a binary column as UTF-8."""
    try:
        return cell_to_text(value.decode())
    except UnicodeDecodeError:
        return RejectReason.NOT_TEXT


def list_items(value: object) -> Sequence[object] | None:
    """Return the items of a cell of a list column; ``None`` for any other cell."""
    if isinstance(value, list | tuple):
        return cast("Sequence[object]", value)
    to_list = getattr(value, "tolist", None) if type(value).__name__ in _ARRAY_TYPES else None
    items: object = to_list() if callable(to_list) else None
    return cast("Sequence[object]", items) if isinstance(items, list) else None


WHITE_SPACE = (
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""All white space of Unicode."""

_INVISIBLE_RANGES = (
    *((0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5)),
    *((0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x2800, 0x2800)),
    *((0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF9, 0xFFFC)),
    *((0x13430, 0x1343F), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0001, 0xE0001)),
    *((0xE0020, 0xE007F), (0xE0100, 0xE01EF)),
)
INVISIBLE = "".join(
    chr(code) for first, last in _INVISIBLE_RANGES for code in range(first, last + 1)
)
"""Invisible characters that spreadsheets and address books leave in cells.

Format characters (Unicode category Cf, except the visible Arabic and Kaithi signs), variation
selectors, and fillers and blanks that Unicode classifies as letters or symbols.
"""

CONTROL = "".join(map(chr, (*range(9), *range(0x0E, 0x1C), *range(0x7F, 0x85), *range(0x86, 0xA0))))
"""Control characters that are not white space."""

_EDGES = WHITE_SPACE + INVISIBLE + CONTROL
_ASCII_EDGES = "".join(character for character in _EDGES if character.isascii())
LITERAL = re.compile(r"""(?:[BbEeNnRrUu]|[Bb][Rr]|[Rr][Bb])(['"])([^'"\\\\]*)\1""")
"""A string literal of Python or SQL: ``b'…'``, ``u'…'``, ``N'…'``."""

_FORMULA = re.compile(r'="([^"]*)"')
# Missing values as written by databases, pandas, R, spreadsheets and their viewers.
_NULL_WORDS = frozenset(
    {
        "NULL", "Null", "null", "(null)", "(NULL)", "[NULL]", "<null>", "<NULL>", "\\N", "None",
        "nan", "NaN", "NAN", "-nan", "-NaN", "NaT", "<NA>", "NA", "N/A", "n/a", "#N/A", "#N/A N/A",
        "#NA", "#NULL!", "-", "--",
    }
)  # fmt: skip
_MAX_NULL_WORD_CHARACTERS = 32  # including quotes around it


def trim(text: str) -> str:
    """Remove white space, control and invisible characters from both ends."""
    return text.strip(_ASCII_EDGES if text.isascii() else _EDGES)


def is_blank(text: str) -> bool:
    """Return whether a line or cell has no visible characters."""
    return not trim(text)


def unquote_cell(text: str) -> str:
    """Trim a cell and remove a leading apostrophe, ``="…"`` or straight quotes around the whole.

    Spreadsheets add these to text that looks like a number. Quotes may have the prefix of a string
    literal (``b'…'``).
    """
    value = trim(text)
    literal = LITERAL.fullmatch(value)
    if literal is not None:
        return trim(literal[2])
    formula = _FORMULA.fullmatch(value)
    if formula is not None:
        return trim(formula[1])
    for quote in ("'", '"'):
        if len(value) > 1 and value[0] == value[-1] == quote and value.count(quote) == 2:  # noqa: PLR2004 - one at each end
            return trim(value[1:-1])
    return trim(value[1:]) if value[:1] == "'" and value.count("'") == 1 else value


def is_null_word(text: str) -> bool:
    """Return whether a cell is exactly a word for a missing value, such as ``NULL``."""
    if len(text) > _MAX_NULL_WORD_CHARACTERS:
        text = trim(text)
    return len(text) <= _MAX_NULL_WORD_CHARACTERS and unquote_cell(text) in _NULL_WORDS


_SURROGATE = re.compile(r"[\ud800-\udfff]")
_CONTROL = re.compile(f"[{re.escape(CONTROL)}]")
_INVISIBLE_INSIDE = re.compile(
    "[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in _INVISIBLE_RANGES) + "]"
)
_SPACE_INSIDE = re.compile(f"[{WHITE_SPACE}]")
_FORBIDDEN_CHARACTERS = (
    (_SURROGATE, RejectReason.LONE_SURROGATE),
    (re.compile("\ufffd"), RejectReason.REPLACEMENT_CHARACTER),
    (_CONTROL, RejectReason.CONTROL_CHARACTER),
    (_INVISIBLE_INSIDE, RejectReason.INVISIBLE_CHARACTER),
)


def find_forbidden_character(text: str, *, spaces: bool = False) -> RejectReason | None:
    """Return the reason why a character of a trimmed text cannot be sent, if any.

    Args:
        text: Trimmed text.
        spaces: Whether spaces are allowed inside.
    """
    if text.isascii() and text.isprintable() and (spaces or " " not in text):
        return None
    for characters, reason in _FORBIDDEN_CHARACTERS:
        if characters.search(text):
            return reason
    outside = text.replace(" ", "") if spaces else text
    return RejectReason.SPACE_INSIDE if _SPACE_INSIDE.search(outside) else None


T = TypeVar("T")


@contextmanager
def closing_iter(items: Iterable[T]) -> Generator[Iterator[T], None, None]:
    """Iterate an iterable and close it on exit if it is a generator, which closes its files."""
    iterator = iter(items)
    try:
        yield iterator
    finally:
        if isinstance(iterator, Generator):
            iterator.close()


@asynccontextmanager
async def aclosing_iter(items: AsyncIterable[T]) -> AsyncGenerator[AsyncIterator[T], None]:
    """Iterate an async iterable and close it on exit if it is a generator, as trio requires."""
    iterator = aiter(items)
    try:
        yield iterator
    finally:
        if isinstance(iterator, AsyncGenerator):
            await iterator.aclose()
