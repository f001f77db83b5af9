"""Bytes into text, and text into whole lines."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Final, TypeAlias

from pinterest_audiences.errors import ConfigurationError, SourceError
from pinterest_audiences.records.files import ByteFile, byte_blocks

__all__ = ["LONGEST_LINE", "LONG_LINE", "LineText", "check_encoding", "line_texts"]

LONGEST_LINE = 1_048_576
"""Characters; a longer line is skipped, so that one line cannot take all memory."""


class _LongLine:
    """Stands for one line that was too long."""


LONG_LINE: Final = _LongLine()
LineText: TypeAlias = str | _LongLine
"""Whole lines in one string, each ended by a newline; or a line that was too long."""

_UTF32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_NO_TEXT = (
    (b"PK\x03\x04", "is an Excel workbook or another zip file; save it as CSV, or unpack it"),
    (b"\xd0\xcf\x11\xe0", "is an Excel workbook; save it as CSV"),
)
_BYTES_OF_NOTHING = 8  # so many NULs to one other byte in eight: UTF-16 without its mark


def check_encoding(encoding: str | None) -> str | None:
    """Return the encoding under Python's own name.

    Raises:
        ConfigurationError: Python knows no such text encoding.
    """
    if encoding is None:
        return None
    try:
        name = codecs.lookup(encoding).name
        "".encode(name)
    except (LookupError, TypeError, ValueError):
        raise ConfigurationError(f"encoding: {encoding!r} is no text encoding") from None
    return name


def line_texts(file: ByteFile, encoding: str | None) -> Iterator[LineText]:
    """Read a file as text, cut at line ends.

    UTF-8 with or without a byte order mark, and UTF-16 with one, are recognised; anything else
    has to be named. A file that knows only carriage returns is read by those.

    Raises:
        SourceError: The file cannot be read, or a byte is not of the encoding.
    """
    pending: list[str] = []
    size = 0
    skipping = False
    for text in _unix_lines(_texts(file, encoding)):
        cut = text.rfind("\n") + 1
        if not cut:
            size += len(text)
            if not skipping:
                pending.append(text)
            if size > LONGEST_LINE:
                skipping = True
                pending.clear()
            continue
        if skipping:
            first = text.index("\n") + 1
            yield LONG_LINE
            whole = text[first:cut]
        else:
            whole = "".join((*pending, text[:cut]))
        if whole:
            yield whole
        skipping = False
        pending = [text[cut:]] if cut < len(text) else []
        size = len(text) - cut
    if skipping:
        yield LONG_LINE
    elif pending:
        yield "".join((*pending, "\n"))


def _unix_lines(texts: Iterator[str]) -> Iterator[str]:
    old_mac: bool | None = None
    for text in texts:
        if old_mac is None and ("\n" in text or "\r" in text[:-1]):
            old_mac = "\n" not in text  # a "\r" at the very end may be half of "\r\n"
        yield text.replace("\r", "\n") if old_mac else text


def _texts(file: ByteFile, encoding: str | None) -> Iterator[str]:
    blocks = byte_blocks(file)
    first = next(blocks, b"")
    name, skip = (encoding, 0) if encoding else _recognise(first, file.name)
    decoder = codecs.getincrementaldecoder(name)()
    offset = skip
    block: bytes | None = first[skip:]
    while block is not None:
        waiting = len(decoder.getstate()[0])
        try:
            text = decoder.decode(block)
        except UnicodeDecodeError as error:
            raise _wrong_byte(file, name, offset - waiting + error.start) from None
        if text:
            yield text
        offset += len(block)
        block = next(blocks, None)
    waiting = len(decoder.getstate()[0])
    try:
        rest = decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise _wrong_byte(file, name, offset - waiting) from None
    if rest:
        yield rest


def _recognise(first: bytes, name: str) -> tuple[str, int]:
    for mark, what in _NO_TEXT:
        if first.startswith(mark):
            raise SourceError(what, source=name)
    if first.startswith(_UTF32):
        raise SourceError("UTF-32 is not recognised; name it with encoding='utf-32'", source=name)
    for mark, encoding in _MARKS:
        if first.startswith(mark):
            return encoding, len(mark)
    if first.count(0) * _BYTES_OF_NOTHING > len(first):
        raise SourceError(
            "not text, or UTF-16 without a byte order mark: name it with encoding='utf-16-le' or "
            "'utf-16-be'",
            source=name,
            offset=first.index(0),
        )
    return "utf-8", 0


def _wrong_byte(file: ByteFile, encoding: str, offset: int) -> SourceError:
    return SourceError(
        f"this byte is not {encoding}; if the file is text, name its encoding with encoding=, e.g. "
        "encoding='cp1252'",
        source=file.name,
        offset=offset,
    )
