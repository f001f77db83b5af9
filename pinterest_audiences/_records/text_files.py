"""Text files: bytes, decompression, encoding, line ends and plain lines.

A file is read in this order: `InputFile` opens and decompresses it, `line_texts` decodes blocks
into whole lines, and `line_chunks` makes chunks of plain lines. Delimited lines and NDJSON are
parsed elsewhere.
"""

from __future__ import annotations

import codecs
import io
import os
import re
import stat
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import BinaryIO, Final, Protocol, TypeAlias, cast, runtime_checkable

from attrs import define, field, frozen

from pinterest_audiences._errors import ConfigurationError, SourceError, suggest
from pinterest_audiences._records.chunks import (
    AsciiChunk,
    Chunk,
    RejectReason,
    RowChunk,
    UnreadableRow,
    drop_blank_rows,
)
from pinterest_audiences._records.compression import (
    decompressed,
    is_incomplete_magic,
    is_zip,
    open_archive,
)
from pinterest_audiences._records.remote_files import RemoteFile
from pinterest_audiences._records.signatures import MAGIC_BYTES, describe_format
from pinterest_audiences._redaction import NOT_SHOWN, looks_like_identifier, show_argument

__all__ = [
    "MAX_LINE_CHARACTERS",
    "FilePosition",
    "InputFile",
    "Readable",
    "WholeLines",
    "check_encoding",
    "check_path",
    "decoded_texts",
    "file_size",
    "line_chunks",
    "line_texts",
    "path_error",
]


_BLOCK_BYTES = 65_536  # the cells of a block then fit the processor cache
_MAX_SHOWN_PATH_CHARACTERS = 1_024
_URL_START = re.compile(r"[A-Za-z][\w+.\-]+:+[/\\]")  # pathlib makes one slash of two


@runtime_checkable
class Readable(Protocol):
    """A file opened for reading bytes."""

    def read(self, size: int, /) -> bytes:
        """Read up to `size` bytes; none at the end."""
        ...


FileLocation: TypeAlias = Path | RemoteFile | Readable | None
"""Location of a file; ``None`` is standard input."""


def check_path(path: str | os.PathLike[str]) -> Path:
    """Return the path of an existing file.

    Raises:
        ConfigurationError: The path is empty, as that of an unset variable.
        SourceError: The file does not exist, or is a directory.
    """
    if not os.fspath(path):
        raise ConfigurationError("source: the path is empty", param="source")
    checked = Path(path)
    try:
        exists, is_directory = checked.exists(), checked.is_dir()
        problem = "no such file"
    except (OSError, ValueError):
        exists = is_directory = False
        problem = "not a valid file name"
    if is_directory:
        raise SourceError("is a directory; pass the path of a file", source=str(checked))
    if exists:
        return checked
    raise path_error(problem, str(checked))


def path_error(problem: str, name: str) -> SourceError:
    """Return the error of a path without a file; one that may be a record or a URL is not shown."""
    if _URL_START.search(name):
        return SourceError(
            f"{problem}: this is taken as the path of a file; pass a URL as a string that begins "
            "with its scheme, such as https:// or s3://",
            source=NOT_SHOWN,
        )
    if (
        len(name) > _MAX_SHOWN_PATH_CHARACTERS
        or not name.isprintable()
        or looks_like_identifier(name)
    ):
        return SourceError(
            f"{problem}: a string is taken as the path of a file; pass identifiers as a list",
            source=NOT_SHOWN,
        )
    return SourceError(problem, source=name)


class Positioned(Protocol):
    """An open file that has a position."""

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        ...

    def tell(self) -> int:
        """Return the position in bytes."""
        ...


@define
class FilePosition:
    """How far a file has been read, before decompression.

    Attributes:
        size: Its size in bytes; ``None`` if it is unknown, as that of a pipe.
        finished: Whether it has been read to its end.
    """

    size: int | None = None
    finished: bool = False
    _file: Positioned | None = field(default=None, repr=False)
    _last: int | None = None

    def follow(self, file: Positioned, size: int | None) -> None:
        """Follow an open file, unless its size is unknown."""
        self.size = size
        if size is not None:
            self._file, self._last = file, 0

    def set_share(self, done: int, total: int) -> None:
        """Set how much of a file has been read whose format is not read from start to end.

        Args:
            done: Number of its rows that have been read.
            total: Number of its rows.
        """
        if self.size is not None and total:
            self._last = self.size * min(done, total) // total

    def get(self) -> int | None:
        """Return the number of bytes read; ``None`` if it is unknown."""
        if self._file is not None and self.size is not None and not self._file.closed:
            self._last = min(self._file.tell(), self.size)
        return self._last


def file_size(file: int | Path) -> int | None:
    """Return the size of a file or file descriptor; ``None`` for a pipe or a device."""
    try:
        status = os.stat(file)  # noqa: PTH116 - also of a file descriptor
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


@frozen
class InputFile:
    """A file to be read once, from its start.

    Attributes:
        name: The name for errors.
        location: The path, an open file, or ``None`` for standard input.
        position: How far it has been read, if it is a path or a URL.
    """

    name: str
    location: FileLocation
    position: FilePosition = field(factory=FilePosition, eq=False, repr=False)

    @contextmanager
    def open(self) -> Generator[BinaryIO, None, None]:
        """Open the file; a compression is recognized by the first bytes and decompressed.

        Raises:
            ConfigurationError: The compression requires a library that is not installed.
            SourceError: The file cannot be opened.
        """
        try:
            raw = self._raw()
        except OSError as error:
            raise SourceError(_describe_error(error), source=self.name) from None
        try:
            is_seekable = _is_at_start(raw)
            buffered: io.BufferedReader = io.BufferedReader(_RawReader(raw), _BLOCK_BYTES)
            first = buffered.peek()
            opened = None
            if is_zip(first) and is_seekable:
                opened = open_archive(cast("BinaryIO", raw), self.name)
            yield cast("BinaryIO", opened or decompressed(buffered, first))
        finally:
            if isinstance(self.location, Path | RemoteFile):
                cast("BinaryIO", raw).close()

    @contextmanager
    def random_access(self) -> Generator[Path | BinaryIO, None, None]:
        """Open the file as it is, to be read in any order; a path is not opened.

        Raises:
            SourceError: The file is a stream.
        """
        if isinstance(self.location, Path) and self.location.is_file():
            yield self.location
            return
        if isinstance(self.location, RemoteFile):
            with self.location.open(seekable=True) as remote:
                self.position.size = self.position.size or self.location.size_of(remote)
                yield remote
            return
        raw = None if isinstance(self.location, Path) else self._raw()
        if raw is None or not _is_at_start(raw):
            raise SourceError(
                "cannot be read as a stream in this format; pass the path of the file",
                source=self.name,
            )
        yield cast("BinaryIO", raw)

    def first_bytes(self) -> bytes:
        """Return the first bytes of a file that can be read in any order; none of a stream.

        Raises:
            SourceError: The file cannot be read.
        """
        try:
            if isinstance(self.location, Path):
                if not self.location.is_file():
                    return b""
                with self.location.open("rb") as file:
                    return file.read(MAGIC_BYTES)
            if isinstance(self.location, RemoteFile):
                with self.location.open() as remote:
                    return remote.read(MAGIC_BYTES)
            raw = self._raw()
            if not _is_at_start(raw):
                return b""
            first = raw.read(MAGIC_BYTES)
            cast("BinaryIO", raw).seek(0)
        except OSError as error:
            raise SourceError(_describe_error(error), source=self.name) from None
        return first if isinstance(cast("object", first), bytes) else b""

    def is_workbook(self) -> bool:
        """Return whether a zip archive that can be read in any order is a workbook.

        Raises:
            SourceError: As `open_archive`.
        """
        with self.random_access() as location, ExitStack() as stack:
            file = location
            if isinstance(file, Path):
                file = stack.enter_context(file.open("rb"))
            opened = open_archive(file, self.name)
            file.seek(0)
            return opened is None

    def _raw(self) -> Readable:
        if self.location is None:
            return sys.stdin.buffer
        if isinstance(self.location, RemoteFile):
            remote = self.location.open()
            self.position.follow(remote, self.location.size_of(remote))
            return remote
        if not isinstance(self.location, Path):
            return self.location
        opened = self.location.open("rb")
        self.position.follow(opened, file_size(opened.fileno()))
        return opened


def _is_at_start(file: Readable) -> bool:
    """Return whether a file can be read in any order, and nothing of it has been read."""
    seekable, tell = getattr(file, "seekable", None), getattr(file, "tell", None)
    return callable(seekable) and callable(tell) and bool(seekable()) and tell() == 0


class _RawReader(io.RawIOBase):
    """Adapt an object with a ``read`` method for `io.BufferedReader`."""

    def __init__(self, file: Readable) -> None:
        # read1 returns the available bytes of a pipe. read waits for all of them, and Ctrl-C would
        # be handled only when the writer writes more.
        self._read = file.read1 if isinstance(file, io.BufferedReader) else file.read
        self._started = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed: any buffer
        data = self._read_bytes(len(buffer))
        while data and not self._started and is_incomplete_magic(data):
            more = self._read_bytes(1)
            data += more
            self._started = not more
        self._started = True
        buffer[: len(data)] = data
        return len(data)

    def _read_bytes(self, size: int) -> bytes:
        data = self._read(size)
        if not isinstance(cast("object", data), bytes):
            raise OSError("the file is open in text mode; open it with 'rb'")
        return data


def _read_blocks(file: InputFile) -> Generator[bytes, None, None]:
    """Read a file in blocks.

    Raises:
        SourceError: The file cannot be read to its end.
    """
    offset = 0
    try:
        with file.open() as opened:
            while block := opened.read(_BLOCK_BYTES):
                yield block
                offset += len(block)
    except OSError as error:
        raise SourceError(_describe_error(error), source=file.name, offset=offset) from None


def _describe_error(error: OSError) -> str:
    """Return why reading failed, without any data of the file."""
    return error.strerror or str(error)


_NULS = re.compile(rb"\0+")
_CONTROL_BYTE = re.compile(rb"[\x01-\x08\x0e-\x19\x1b-\x1f]")
_MAX_BYTES_PER_NUL = 8  # more than one NUL in 8 bytes is not padding


def _is_binary(first: bytes) -> bool:
    """Return whether bytes have too many NULs for padded text.

    UTF-16 and UTF-32 have NULs next to each letter; padding is a few long runs.
    """
    if first.count(0) * _MAX_BYTES_PER_NUL <= len(first):
        return False
    runs = len(_NULS.findall(first))
    letters = len(first) - first.count(0)
    return runs * 3 > letters or _CONTROL_BYTE.search(first) is not None


_UTF32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_SET_UTF_16 = suggest("set {encoding} or 'utf-16-be'", encoding="utf-16-le")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def check_encoding(encoding: str | None) -> str | None:
    """Return Python's name of an encoding.

    Raises:
        ConfigurationError: The text encoding does not exist.
    """
    if encoding is None:
        return None
    try:
        name = codecs.lookup(encoding).name
        "".encode(name)
    except (LookupError, TypeError, ValueError):
        raise ConfigurationError(
            f"encoding: {show_argument(str(encoding))} is not a text encoding", param="encoding"
        ) from None
    return name


def decoded_texts(file: InputFile, encoding: str | None) -> Generator[str, None, None]:
    """Decode the blocks of a file.

    Raises:
        SourceError: The file is not text, or a byte is not of the encoding.
    """
    with closing(_read_blocks(file)) as blocks:
        first = next(blocks, b"")
        name, skip = (encoding, 0) if encoding else _detect_encoding(first, file.name)
        if name == "utf-16" and first and not first.startswith(_UTF16):
            raise SourceError(
                "has no byte order mark",
                source=file.name,
                param="encoding",
                suggestion=_SET_UTF_16,
            )
        decoder = codecs.getincrementaldecoder(name)()
        offset = skip
        block: bytes | None = first[skip:]
        while block is not None:
            undecoded = len(decoder.getstate()[0])
            try:
                text = decoder.decode(block)
            except ValueError as error:  # some codecs raise other errors than UnicodeDecodeError
                position = offset - undecoded + getattr(error, "start", 0)
                raise _undecodable_byte(
                    file.name, name, position, likely=_suggest_encoding(block)
                ) from None
            if text:
                yield text
            offset += len(block)
            block = next(blocks, None)
        undecoded = len(decoder.getstate()[0])
        try:
            rest = decoder.decode(b"", final=True)
        except ValueError:
            raise _undecodable_byte(file.name, name, offset - undecoded) from None
        if rest:
            yield rest


def _detect_encoding(first: bytes, name: str) -> tuple[str, int]:
    what = describe_format(first)
    if what is not None:
        raise SourceError(f"is {what}", source=name)
    if first.startswith(_UTF32):
        raise SourceError(
            "is UTF-32, which is not detected",
            source=name,
            param="encoding",
            suggestion=suggest("set {encoding}", encoding="utf-32"),
        )
    for mark, encoding in _BYTE_ORDER_MARKS:
        if first.startswith(mark):
            return encoding, len(mark)
    if _is_binary(first):
        raise SourceError(
            "is not text, or UTF-16 without a byte order mark",
            source=name,
            param="encoding",
            suggestion=_SET_UTF_16,
            offset=first.index(0),
        )
    return "utf-8", 0


def _suggest_encoding(block: bytes) -> str:
    """Return an encoding to suggest: Mac OS Roman for files with CR only, as of old Macs."""
    return "mac_roman" if b"\r" in block and b"\n" not in block else "cp1252"


def _undecodable_byte(
    source: str, encoding: str, offset: int, *, likely: str = "cp1252"
) -> SourceError:
    return SourceError(
        f"is not valid {encoding}",
        source=source,
        offset=offset,
        param="encoding",
        suggestion=suggest(
            "if the file is text, set its encoding, for example {encoding}", encoding=likely
        ),
    )


MAX_LINE_CHARACTERS = 1_048_576
"""A longer line is skipped, so that one line cannot use all memory."""


class _LongLine:
    """Takes the place of a line that was too long."""


_TOO_LONG_LINE: Final = _LongLine()
WholeLines: TypeAlias = str | _LongLine
"""Whole lines in one string, each with a newline at its end; or a line that was too long."""
_BYTE_ORDER_MARK = "\ufeff"
_BYTE_ORDER_MARK_AT_LINE_START = re.compile(r"(?<=\n)\ufeff+")
_LINE_END = re.compile(r"\r\n?")
_DOS_END_OF_FILE = "\x1a"
_DOS_END_OF_FILE_LINE = re.compile(r"^[\x1a\0]+$", re.MULTILINE)
_PADDING = "\x1a\0"


def line_texts(file: InputFile, encoding: str | None) -> Iterator[WholeLines]:
    """Read a file as text, split at line ends.

    Raises:
        SourceError: The file cannot be read, or a byte is not of the encoding.
    """
    return whole_lines(decoded_texts(file, encoding))


def whole_lines(texts: Iterator[str]) -> Iterator[WholeLines]:
    """Split the text of a file at line ends.

    UTF-8 with or without a byte order mark, and UTF-16 with one, are detected; other encodings
    must be named. Lines end with LF, CRLF, CR or CR CR LF, also mixed; other characters (U+0085,
    U+2028) do not end a line. A DOS end-of-file character and NULs at the end are removed.

    Raises:
        SourceError: The file cannot be read, or a byte is not of the encoding.
    """
    pending: list[str] = []
    size = 0
    skipping = False
    for text in _normalize_newlines(texts):
        cut = text.rfind("\n") + 1
        if not cut:
            size += len(text)
            if not skipping:
                pending.append(text)
            if size > MAX_LINE_CHARACTERS:
                skipping = True
                pending.clear()
            continue
        if skipping:
            first = text.index("\n") + 1
            yield _TOO_LONG_LINE
            whole = text[first:cut]
        else:
            whole = "".join((*pending, text[:cut]))
        if whole:
            yield whole
        skipping = False
        pending = [text[cut:]] if cut < len(text) else []
        size = len(text) - cut
    if skipping:
        yield _TOO_LONG_LINE
    elif last := "".join(pending).rstrip(_PADDING):
        yield last + "\n"


def _normalize_newlines(texts: Iterator[str]) -> Iterator[str]:
    """Replace every line end by a newline: LF, CRLF, CR, and CR CR LF.

    Byte order marks at the start of lines are removed; concatenated files have them.
    """
    held = ""  # carriage returns at the end of a text; their newline may follow
    start = True  # whether the next text starts a line
    for text in texts:
        if held:
            text = held + text  # noqa: PLW2901 - normalized text
            held = ""
        if "\r" in text:
            whole = text.rstrip("\r")
            held = text[len(whole) :]
            if len(held) > MAX_LINE_CHARACTERS:
                held = "\r"  # so many blank lines are equivalent to one
            text = _replace_line_ends(whole)  # noqa: PLW2901 - normalized text
        if _BYTE_ORDER_MARK in text:
            text = _BYTE_ORDER_MARK_AT_LINE_START.sub("", text)  # noqa: PLW2901 - normalized text
            if start:
                text = text.lstrip(_BYTE_ORDER_MARK)  # noqa: PLW2901 - normalized text
        if _DOS_END_OF_FILE in text:
            text = _DOS_END_OF_FILE_LINE.sub("", text)  # noqa: PLW2901 - normalized text
        if text:
            start = text.endswith("\n")
            yield text
    if held:
        yield _replace_line_ends(held)


def _replace_line_ends(text: str) -> str:
    if "\r\r\n" not in text:
        return io.IncrementalNewlineDecoder(None, translate=True).decode(text, final=True)
    text = text.replace("\r\n", "\n")  # the rest of CR CR LF is CR LF
    return _LINE_END.sub("\n", text) if "\r" in text else text


_BLANK_LINE = re.compile(r"\n[ \t\x1a]*\n")
TOO_LONG_ROW = UnreadableRow(RejectReason.LINE_TOO_LONG)


def line_chunks(texts: Iterator[WholeLines]) -> Iterator[Chunk]:
    """Yield the lines of a file as chunks; blank lines are counted and skipped."""
    first = 1
    for text in texts:
        chunk, lines = _chunk(text, first)
        yield chunk
        first += lines


def _chunk(text: WholeLines, first: int) -> tuple[Chunk, int]:
    """Return the chunk of some lines, and the number of lines."""
    if not isinstance(text, str):
        return RowChunk(first, [TOO_LONG_ROW]), 1
    count = text.count("\n")
    if text.isascii() and not _has_blank_line(text):
        return AsciiChunk(first, text.encode(), count), count
    return drop_blank_rows(first, text.split("\n")[:-1]), count


def _has_blank_line(text: str) -> bool:
    return text.lstrip(" \t\x1a").startswith("\n") or _BLANK_LINE.search(text) is not None
