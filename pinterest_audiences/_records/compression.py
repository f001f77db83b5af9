"""Compressed files: gzip, bzip2, xz, zstd, and zip archives of one file.

They are recognized by their first bytes and decompressed as a stream, so that memory use does not
grow with the file. A file that is truncated or damaged is an error, also after the first of several
compressed streams that follow each other in one file.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable
from importlib import import_module
from pathlib import PurePosixPath
from typing import BinaryIO, Final, Protocol, cast

from attrs import frozen

from pinterest_audiences._errors import ConfigurationError, SourceError

__all__ = [
    "COMPRESSION_SUFFIXES",
    "decompressed",
    "is_incomplete_magic",
    "is_zip",
    "open_archive",
]


COMPRESSION_SUFFIXES = frozenset({".gz", ".bz2", ".xz", ".zst", ".zip"})
"""Suffixes that follow the suffix of the format, as in ``.csv.gz``."""
_BLOCK_BYTES = 65_536
_MAX_XZ_MEMORY_BYTES = 256 * 1_048_576  # the highest level of xz requires 65 MiB


class _Decompressor(Protocol):
    """A decompressor of one stream, as of bz2, lzma and compression.zstd."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _StreamsReader(io.RawIOBase):
    """Decompress the streams of a file, which NULs may separate.

    `bz2.BZ2File` and `lzma.LZMAFile` ignore what follows the first stream and is not a stream.
    """

    def __init__(self, file: io.BufferedReader, create: Callable[[], _Decompressor]) -> None:
        self._file = file
        self._create = create
        self._decompressor = create()
        self._data = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed: any buffer
        while True:
            if self._decompressor.eof:
                self._data = self._decompressor.unused_data.lstrip(b"\0")
                while not self._data:
                    block = self._file.read1(_BLOCK_BYTES)
                    if not block:
                        return 0
                    self._data = block.lstrip(b"\0")
                self._decompressor = self._create()
            elif self._decompressor.needs_input and not self._data:
                self._data = self._file.read1(_BLOCK_BYTES)
                if not self._data:
                    raise EOFError
            text = self._decompressor.decompress(self._data, len(buffer))
            self._data = b""
            if text:
                buffer[: len(text)] = text
                return len(text)


class _CheckedReader(io.RawIOBase):
    """Read a decompressed file; what goes wrong becomes an `OSError` that names the compression."""

    def __init__(self, file: BinaryIO | io.RawIOBase, what: str) -> None:
        self._file = cast("BinaryIO", file)
        self._what = what

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed: any buffer
        try:
            data = self._file.read(len(buffer))
        except EOFError:
            raise OSError(f"the {self._what} file is truncated") from None
        except Exception as error:  # each library has its own; all but damage is raised again
            if not _is_damage(error):
                raise
            raise OSError(f"the {self._what} file is damaged") from None
        buffer[: len(data)] = data
        return len(data)


def _is_damage(error: Exception) -> bool:
    """Return whether an error is about the compressed data, rather than of its file."""
    if isinstance(error, OSError):
        return error.errno is None
    damage = (zlib.error, lzma.LZMAError, zipfile.BadZipFile)
    return isinstance(error, damage) or type(error).__name__ == "ZstdError"


@frozen
class _Compression:
    """A compression: its name, its first bytes, and how a file is opened."""

    name: str
    magic: re.Pattern[bytes]
    open: Callable[[io.BufferedReader], BinaryIO | io.RawIOBase]


def _open_gzip(file: io.BufferedReader) -> BinaryIO:
    return cast("BinaryIO", gzip.GzipFile(fileobj=file))


def _open_bzip2(file: io.BufferedReader) -> io.RawIOBase:
    return _StreamsReader(file, bz2.BZ2Decompressor)


def _open_xz(file: io.BufferedReader) -> io.RawIOBase:
    def create() -> _Decompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MAX_XZ_MEMORY_BYTES)

    return _StreamsReader(file, create)


def _open_zstd(file: io.BufferedReader) -> io.RawIOBase:
    return _StreamsReader(file, _zstd_decompressor())


def _zstd_decompressor() -> Callable[[], _Decompressor]:
    """Return the decompressor of Python 3.14, or of its backport.

    Raises:
        ConfigurationError: Neither is installed.
    """
    for module in ("compression.zstd", "backports.zstd"):
        try:
            zstd = import_module(module)
        except ImportError:
            continue
        return cast("Callable[[], _Decompressor]", zstd.ZstdDecompressor)
    raise ConfigurationError(
        "files compressed with zstd require Python 3.14 or the extra: "
        "pip install 'pinterest-audiences[zstd]'"
    )


_COMPRESSIONS: Final = tuple(
    _Compression(name, re.compile(magic), open_file)
    for name, magic, open_file in (
        ("gzip", rb"\x1f\x8b", _open_gzip),
        ("bzip2", rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)", _open_bzip2),
        ("xz", rb"\xfd7zXZ\0", _open_xz),
        # The second is a frame with metadata, as pzstd writes first.
        ("zstd", rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18", _open_zstd),
    )
)


_MAGIC_STARTS = (b"\x1f\x8b", b"BZh91AY&SY", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"PK\x03\x04")
_BZIP2_LEVEL = re.compile(rb"\ABZh[1-8]")


def is_incomplete_magic(first: bytes) -> bool:
    """Return whether more bytes are required to recognize a compression, as of a slow pipe."""
    first = _BZIP2_LEVEL.sub(b"BZh9", first)
    return any(start.startswith(first) and start != first for start in _MAGIC_STARTS)


def decompressed(file: io.BufferedReader, first: bytes) -> io.BufferedReader:
    """Return a file that decompresses another one; the same file if it is not compressed.

    Args:
        file: The file, at its start.
        first: Its first bytes.

    Raises:
        ConfigurationError: The compression requires a library that is not installed.
    """
    for compression in _COMPRESSIONS:
        if compression.magic.match(first):
            reader = _CheckedReader(compression.open(file), compression.name)
            return io.BufferedReader(reader, _BLOCK_BYTES)
    return file


_ZIP = re.compile(rb"PK(?:\x03\x04|\x05\x06|\x07\x08)")
_OPEN_DOCUMENT = "application/vnd.oasis.opendocument."
_SPREADSHEET = f"{_OPEN_DOCUMENT}spreadsheet"
_MAX_TYPE_BYTES = 100
_ENCRYPTED = 0x1  # a flag of a member
_OTHER_DOCUMENTS = (
    (re.compile(r"word/"), "a Word document"),
    (re.compile(r"ppt/"), "a PowerPoint presentation"),
    (re.compile(r"(?:.*\.numbers/)?Index(?:/.*\.iwa|\.zip)"), "a Numbers, Pages or Keynote file"),
    (re.compile(r"META-INF/MANIFEST\.MF"), "a Java archive"),
)


def is_zip(first: bytes) -> bool:
    """Return whether a file is a zip archive, by its first bytes; workbooks are archives too."""
    return _ZIP.match(first) is not None


def open_archive(file: BinaryIO, source: str) -> io.BufferedReader | None:
    """Open the only file in a zip archive; return ``None`` if the archive is a workbook.

    Folders and what macOS adds are ignored.

    Raises:
        SourceError: The archive is damaged, encrypted, has not exactly one file, or is a document.
    """
    try:
        archive = zipfile.ZipFile(file)
        names = archive.namelist()
        kind = _document_type(archive)
        if any(name.startswith("xl/") for name in names) or kind.startswith(_SPREADSHEET):
            return None
        if kind.startswith(_OPEN_DOCUMENT):
            raise SourceError(
                "is an OpenDocument file that is not a spreadsheet; save it as CSV or xlsx",
                source=source,
            )
        for pattern, what in _OTHER_DOCUMENTS:
            if any(map(pattern.match, names)):
                raise SourceError(f"is {what}; save it as CSV or xlsx", source=source)
        member = _only_member(archive, source)
        opened = archive.open(member)
    except NotImplementedError:
        raise SourceError(
            "is a zip archive with an unsupported compression; unpack it", source=source
        ) from None
    except zipfile.BadZipFile:
        raise SourceError("the zip file is truncated or damaged", source=source) from None
    return io.BufferedReader(_CheckedReader(cast("BinaryIO", opened), "zip"), _BLOCK_BYTES)


def _document_type(archive: zipfile.ZipFile) -> str:
    """Return the media type of an OpenDocument archive; empty for another one."""
    if "mimetype" not in archive.NameToInfo:
        return ""
    with archive.open("mimetype") as file:
        return file.read(_MAX_TYPE_BYTES).decode("ascii", "replace")


def _only_member(archive: zipfile.ZipFile, source: str) -> zipfile.ZipInfo:
    """Return the only file of an archive.

    Raises:
        SourceError: There is not exactly one, or it is encrypted.
    """
    members = [member for member in archive.infolist() if _is_data(member)]
    if len(members) != 1:
        raise SourceError(
            f"is a zip archive with {len(members) or 'no'} files, and only one can be read; "
            "unpack it and pass the files",
            source=source,
        )
    if members[0].flag_bits & _ENCRYPTED:
        raise SourceError("is a zip archive with a password; unpack it", source=source)
    return members[0]


def _is_data(member: zipfile.ZipInfo) -> bool:
    """Return whether a member is not a folder, and not added by macOS or Windows."""
    path = PurePosixPath(member.filename)
    added = path.name in {".DS_Store", "Thumbs.db", "desktop.ini"} or "__MACOSX" in path.parts
    return not member.is_dir() and not added
