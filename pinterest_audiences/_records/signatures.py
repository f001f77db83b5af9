"""Formats recognized by the first bytes of a file, and advice for those that are not read."""

from __future__ import annotations

import re

__all__ = ["MAGIC_BYTES", "describe_format", "is_ole"]


MAGIC_BYTES = 16
"""Number of first bytes by which a format that is read is recognized."""
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_UNPACK = "unpack it, or pass an open file that decompresses it"
_AS_PATH = "pass the path of the file, unpacked if it is compressed"
_TO_CSV = "save it as CSV"
_TO_XLSX = "save it as xlsx or CSV"
_TO_TABLE = "pass a table of the customers, such as CSV"
_BINARY_FORMATS = tuple(
    (re.compile(magic, re.DOTALL), f"{name}; {advice}")
    for magic, name, advice in (
        (
            rb"PK(?:\x03\x04|\x05\x06|\x07\x08)",
            "a workbook or a zip archive, which cannot be read as a stream",
            _AS_PATH,
        ),
        (
            rb"\xd0\xcf\x11\xe0",
            "an Excel workbook, which cannot be read as a stream",
            _AS_PATH,
        ),
        (rb"\x09[\0\x02\x04\x08][\x04-\x10]\0", "a workbook of before Excel 97", _TO_XLSX),
        (rb"\x1f\x8b", "compressed twice, with gzip inside", _UNPACK),
        (rb"BZh[1-9]1AY&SY", "compressed twice, with bzip2 inside", _UNPACK),
        (rb"\xfd7zXZ\0", "compressed twice, with xz inside", _UNPACK),
        (rb"\x28\xb5\x2f\xfd", "compressed twice, with zstd inside", _UNPACK),
        (rb"[\x22-\x27]\xb5\x2f\xfd", "compressed with zstd before version 0.8", _UNPACK),
        (rb"\x04\x22\x4d\x18", "compressed with LZ4", _UNPACK),
        (rb"\xff\x06\0\0sNaPpY", "compressed with Snappy", _UNPACK),
        (rb"\x1f[\x9d\xa0]", "compressed with compress", _UNPACK),
        (rb"\x5d\0\0", "compressed with LZMA", _UNPACK),
        (rb"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it"),
        (rb"Rar!\x1a\x07", "a RAR archive", "unpack it"),
        (rb".{257}ustar[\0 ]", "a tar archive", "unpack it"),
        (
            rb"PAR1(?:[\0-\x08\x0e-\x1f]|&[\0-\x08]\x1c)",
            "a Parquet file, which cannot be read as a stream",
            _AS_PATH,
        ),
        (rb"ARROW1\0", "an Arrow file, which cannot be read as a stream", _AS_PATH),
        (rb"FEA1", "a Feather file of version 1", "open it with pyarrow and pass the table"),
        (
            rb"ORC(?:[^\t\n\r -~]|\n[\0-\x08])",
            "an ORC file, which cannot be read as a stream",
            _AS_PATH,
        ),
        (rb"Obj\x01", "an Avro file", "set the format to avro"),
        (rb"\x89HDF\r\n", "an HDF5 file", "save it as CSV or Parquet"),
        (rb"SQLite format 3\0", "a SQLite database", "pass a cursor of sqlite3"),
        (rb"\0\x01\0\0Standard (?:Jet|ACE) DB", "an Access database", _TO_CSV),
        (rb"\x80[\x02-\x05](?:\x95|[\]}(c])", "a pickle", "save it as CSV or Parquet"),
        (rb"%PDF-", "a PDF file", _TO_CSV),
        (
            rb"(?i)(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html|head|meta|style|body|table)\b",
            "an HTML page, as some web sites export with the suffix xls",
            "open it in Excel or LibreOffice and save it as xlsx or CSV",
        ),
        (
            rb"(?:\xef\xbb\xbf)?\s*<\?xml",
            "an XML document",
            "if it is an XML spreadsheet, save it as xlsx or CSV",
        ),
        (rb"\x89PNG\r\n|\xff\xd8\xff|GIF8[79]a|RIFF.{4}WEBP|II\*\0|MM\0\*", "an image", _TO_TABLE),
        (rb"!BDN", "an Outlook mailbox", "export its contacts as CSV"),
        (rb"-----BEGIN PGP MESSAGE-----", "encrypted with PGP", "decrypt it"),
        (rb"age-encryption\.org/", "encrypted with age", "decrypt it"),
        (rb"\{\\rtf", "an RTF document", _TO_CSV),
    )
)


def describe_format(first: bytes) -> str | None:
    """Return the name of a binary format and what to do, or ``None`` if none is recognized."""
    return next((what for magic, what in _BINARY_FORMATS if magic.match(first)), None)


def is_ole(first: bytes) -> bool:
    """Return whether a file is a document of Microsoft Office before 2007, or an encrypted one."""
    return first.startswith(_OLE)
