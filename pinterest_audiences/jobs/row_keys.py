"""Rows of ``records_v2`` as bytes: each column with a tag before it.

To remove a row it has to be sent again as it was, so all its columns are kept; digests as their
raw bytes. A tag tells the column, and by which algorithm it is hashed, or that it is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

from attrs import fields

from pinterest_audiences.errors import ConfigurationError
from pinterest_audiences.models import RecordRow

__all__ = ["decode", "digests", "encode", "wire_size"]

_COLUMNS = tuple(column.name for column in fields(RecordRow))
# "hashed_phone_number", "hashed_pinner_id": hashes only; "email", "maid": hashed by `prepare_rows`
_HASHED = frozenset({"email", "maid", "hashed_phone_number", "hashed_pinner_id"})
_WIDTHS = (16, 20, 32)  # MD5, SHA-1, SHA-256
_UNHASHED = 3
_LENGTH = Struct(">H")
_LONGEST = 4_096  # bytes of an unhashed column; with it no row is longer than its length can tell


def encode(row: RecordRow, *, keep_unhashed: bool) -> bytes:
    """Make a key of a row.

    Args:
        row: What is sent.
        keep_unhashed: Whether columns that go unhashed may be kept.

    Raises:
        ConfigurationError: A column is not hashed and must not be kept, or is too long.
    """
    pieces: list[bytes] = []
    for index, column in enumerate(_COLUMNS):
        value: str | None = getattr(row, column)
        if value is None:
            continue
        if column in _HASHED:
            digest = _digest(column, value)
            pieces.append(bytes([index << 2 | _WIDTHS.index(len(digest))]) + digest)
            continue
        if not keep_unhashed:
            raise ConfigurationError(
                f"{column}: is not hashed, and jobs keep what they send in their state file; leave "
                "the column out, or say keep_unhashed=True"
            )
        text = value.encode()
        if len(text) > _LONGEST:
            raise ConfigurationError(f"{column}: is longer than {_LONGEST:,} bytes")
        pieces.append(bytes([index << 2 | _UNHASHED]) + _LENGTH.pack(len(text)) + text)
    return b"".join(pieces)


def decode(key: bytes) -> RecordRow:
    """Make the row again."""
    return RecordRow(
        **{column: _text(piece, hashed=hashed) for column, piece, hashed in _pieces(key)}
    )


def digests(key: bytes) -> Iterator[bytes]:
    """Tell the hashed columns of a row."""
    return (piece for _, piece, hashed in _pieces(key) if hashed)


def wire_size(key: bytes) -> int:
    """Return how many bytes of JSON a row is, at most."""
    size = 2
    for column, piece, hashed in _pieces(key):
        # An unhashed byte may be escaped to six; a digest is written in two digits a byte.
        size += len(column) + 6 + len(piece) * (2 if hashed else 6)
    return size


def _digest(column: str, value: str) -> bytes:
    try:
        digest = bytes.fromhex(value)
    except ValueError:
        digest = b""
    if len(digest) not in _WIDTHS or digest.hex() != value:
        raise ConfigurationError(
            f"{column}: is not hashed; jobs keep what they send in their state file, which holds "
            "no plain identifier: prepare it without plain_emails"
        )
    return digest


def _pieces(key: bytes) -> Iterator[tuple[str, bytes, bool]]:
    at = 0
    while at < len(key):
        column, kind = _COLUMNS[key[at] >> 2], key[at] & 3
        at += 1
        if kind == _UNHASHED:
            (width,) = _LENGTH.unpack_from(key, at)
            at += _LENGTH.size
        else:
            width = _WIDTHS[kind]
        yield column, key[at : at + width], kind != _UNHASHED
        at += width


def _text(piece: bytes, *, hashed: bool) -> str:
    return piece.hex() if hashed else piece.decode()
