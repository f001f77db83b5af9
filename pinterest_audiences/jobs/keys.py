"""Records as keys: the bytes by which a job knows them, and how they are stored and sent.

A record is a digest (SHA-256, SHA-1 or MD5), so its key is the raw digest, half as long as what is
sent. A row of several identifiers is its columns one after the other. Nothing that is not hashed
becomes a key, but for columns that the caller has agreed to (`keep_unhashed`).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from struct import Struct, unpack_from
from typing import Protocol, cast

from pinterest_audiences.errors import ConfigurationError
from pinterest_audiences.jobs import row_keys
from pinterest_audiences.models import RecordRow
from pinterest_audiences.records.batches import MAX_BYTES, MAX_RECORDS, RESERVE, Batch, make_batches

__all__ = ["BUCKETS", "FORMS", "DigestForm", "Form", "RowForm", "keys_of"]

BUCKETS = 256
_STRIDE = 1_024  # keys unpacked at a time
_LENGTH = Struct(">H")


class Form(Protocol):
    """How keys of one kind are stored, spread and sent.

    Attributes:
        name: Its name in the state.
    """

    name: str

    def bucket(self, key: bytes) -> int:
        """Tell in which of the 256 buckets a key belongs."""
        ...

    def join(self, keys: Iterable[bytes]) -> bytes:
        """Put keys into one piece."""
        ...

    def split(self, blob: bytes) -> Sequence[bytes]:
        """Take them apart again."""
        ...

    def parts(self, keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
        """Cut keys into parts that fit into one request each."""
        ...

    def batch(self, blob: bytes) -> Batch:
        """Make a piece of a request body of joined keys."""
        ...


class DigestForm:
    """Digests of one algorithm.

    Args:
        name: The algorithm.
        width: Bytes of a digest.
    """

    def __init__(self, name: str, width: int) -> None:
        self.name = name
        self.width = width
        self._stride = Struct(f"{width}s" * _STRIDE)

    def bucket(self, key: bytes) -> int:
        """Tell in which of the 256 buckets a key belongs: digests are spread evenly by nature."""
        return key[0]

    def join(self, keys: Iterable[bytes]) -> bytes:
        """Put keys into one piece."""
        return b"".join(keys)

    def split(self, blob: bytes) -> Sequence[bytes]:
        """Take them apart again."""
        whole = len(blob) // self._stride.size * self._stride.size
        keys: list[bytes] = []
        for group in self._stride.iter_unpack(memoryview(blob)[:whole]):
            keys += group
        keys += unpack_from(f"{self.width}s" * ((len(blob) - whole) // self.width), blob, whole)
        return keys

    def parts(self, keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
        """Cut keys into parts that fit into one request each."""
        for start in range(0, len(keys), MAX_RECORDS):
            yield keys[start : start + MAX_RECORDS]

    def batch(self, blob: bytes) -> Batch:
        """Make a piece of a request body of joined keys: hexadecimal, with commas between."""
        text = blob.hex(",", self.width).encode()
        return Batch(b'"records":"' + text + b'"', len(blob) // self.width)


class RowForm:
    """Rows of several identifiers, each with its length before it."""

    name = "row"

    def bucket(self, key: bytes) -> int:
        """Tell in which of the 256 buckets a key belongs."""
        return zlib.crc32(key) & 0xFF

    def join(self, keys: Iterable[bytes]) -> bytes:
        """Put keys into one piece."""
        return b"".join(_LENGTH.pack(len(key)) + key for key in keys)

    def split(self, blob: bytes) -> Sequence[bytes]:
        """Take them apart again."""
        keys: list[bytes] = []
        at = 0
        while at < len(blob):
            (length,) = _LENGTH.unpack_from(blob, at)
            at += _LENGTH.size
            keys.append(blob[at : at + length])
            at += length
        return keys

    def parts(self, keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
        """Cut keys into parts that fit into one request each, by the bytes of their JSON."""
        start = size = 0
        for at, key in enumerate(keys):
            needed = row_keys.wire_size(key) + 1
            if size and (size + needed > MAX_BYTES - RESERVE or at - start == MAX_RECORDS):
                yield keys[start:at]
                start, size = at, 0
            size += needed
        if size:
            yield keys[start:]

    def batch(self, blob: bytes) -> Batch:
        """Make a piece of a request body of joined keys."""
        rows = [row_keys.decode(key) for key in self.split(blob)]
        # The keys were cut by their size before; here they stay together.
        (batch,) = make_batches(rows, max_records=len(rows), max_bytes=1 << 40)
        return batch


FORMS: Mapping[str, Form] = {
    "sha256": DigestForm("sha256", 32),
    "sha1": DigestForm("sha1", 20),
    "md5": DigestForm("md5", 16),
    "row": RowForm(),
}
"""Every form by its name."""

_BY_LENGTH = {64: "sha256", 40: "sha1", 32: "md5"}
_LONGEST = 64
_PLAIN = (
    "a record is not hashed; jobs keep what they send in their state file, which holds no plain "
    "identifier: prepare it without plain_emails"
)


def keys_of(
    records: Sequence[str | RecordRow], *, keep_unhashed: bool
) -> Iterator[tuple[Form, Sequence[bytes]]]:
    """Make keys of prepared records, group by group of one form.

    Args:
        records: What `prepare` or `prepare_rows` makes; at least one.
        keep_unhashed: Whether columns that go unhashed may be kept.

    Yields:
        Forms, each with keys.

    Raises:
        ConfigurationError: A record is not hashed, and so cannot be kept.
    """
    if isinstance(records[0], str):  # a preparation makes strings, or rows, and never both
        yield from _digests(cast("Sequence[str]", records))
    else:
        rows = cast("Sequence[RecordRow]", records)
        yield FORMS["row"], [row_keys.encode(row, keep_unhashed=keep_unhashed) for row in rows]


def _digests(texts: Sequence[str]) -> Iterator[tuple[Form, Sequence[bytes]]]:
    joined = "".join(texts)
    # No digest is longer than a SHA-256, so that all of them are when their sum says so; and what
    # is none, a plain e-mail, has an "@" that is not hexadecimal.
    if len(joined) == _LONGEST * len(texts):
        yield FORMS["sha256"], FORMS["sha256"].split(_from_hex(joined))
        return
    for length, group in groupby(sorted((len(text), text) for text in texts), key=itemgetter(0)):
        form = FORMS.get(_BY_LENGTH.get(length, ""))
        if form is None:
            raise ConfigurationError(_PLAIN)
        yield form, form.split(_from_hex("".join(text for _, text in group)))


def _from_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise ConfigurationError(_PLAIN) from None
