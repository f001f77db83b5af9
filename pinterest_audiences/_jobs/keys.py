"""Keys: the compact form in which jobs compare and store records.

The key of a hashed identifier is the raw digest (SHA-256, SHA-1 or MD5), half as long as what is
sent. The key of a row is all its columns, because a row has to be sent again unchanged to be
removed; each column has a tag with its name and hash algorithm. Unhashed values never become keys,
except for columns that the caller has allowed (`keep_unhashed`).

Keys are spread over 256 buckets, so that a source and a list can be compared bucket by bucket. Up
to some hundred thousand keys are held in memory; more go to an unnamed temporary file, which
disappears with the process. A large bucket is read in parts, whose keys fit into the cache of a
processor: sets of tens of thousands of keys take twice as long per key.
"""

from __future__ import annotations

import json
import os
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from struct import Struct, unpack_from
from threading import Lock
from typing import IO, TYPE_CHECKING, Protocol, Self, cast

from attrs import fields

from pinterest_audiences._config import state_file
from pinterest_audiences._errors import ConfigurationError, TooManyRejectsError
from pinterest_audiences._jobs.job_errors import StateError, disk_error
from pinterest_audiences._models import IdentifierType, RecordRow, UserListType
from pinterest_audiences._records.batches import (
    MAX_BYTES,
    MAX_RECORDS,
    RESERVED_BYTES,
    Batch,
    make_batches,
)
from pinterest_audiences._records.chunks import aclosing_iter
from pinterest_audiences._records.identifiers import check_kind
from pinterest_audiences._records.prepare import PreparedRecords, prepare
from pinterest_audiences._records.sources import SourceLike
from pinterest_audiences._text import counted

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    from pinterest_audiences._models import JSON
    from pinterest_audiences._records.columns import Columns
__all__ = [
    "BUCKETS",
    "CODECS",
    "DIGEST_CODECS",
    "OPAQUE_KINDS",
    "BucketedKeys",
    "DigestCodec",
    "KeyCodec",
    "KeyedSource",
    "RowCodec",
    "check_stored_kind",
    "decode_row",
    "encode_records",
    "encode_row",
    "json_size",
    "max_batch_records",
    "parts_per_bucket",
    "row_digests",
    "row_identifiers",
]

BUCKETS = 256
OPAQUE_KINDS = (IdentifierType.LR_ID, IdentifierType.DLX_ID)
_IN_MEMORY = 200_000  # keys, about 20 MB
_DIVIDED_KEYS = 4_096  # keys of a bucket divided into parts at a time
_PART_KEYS = 2_500  # keys of a part of a bucket, about 0.3 MB as a set
_STRIDE = 1_024  # keys unpacked at a time
_SHA256_HEX_CHARS = 64
_COLUMNS = tuple(column.name for column in fields(RecordRow))
# "email" and "maid" are hashed by `prepare_rows`; the other two accept only hashes.
_HASHED = frozenset({"email", "maid", "hashed_phone_number", "hashed_pinner_id"})
_WIDTHS = (16, 20, 32)  # MD5, SHA-1, SHA-256
_UNHASHED = 3
_LENGTH = Struct(">H")
# The part of each second byte of a digest, by the number of parts.
_PART_NUMBERS = {1 << bits: bytes(byte >> (8 - bits) for byte in range(256)) for bits in range(9)}
_MAX_COLUMN_BYTES = 4_096  # of an unhashed column, so that the length of a row fits `_LENGTH`
_UNHASHED_MESSAGE = (
    "a record is not hashed, and the state file must not contain plain identifiers; prepare the "
    "records without plain_emails"
)


class KeyCodec(Protocol):
    """How one type of keys is stored, assigned to buckets, and sent.

    Attributes:
        name: Its name in the state file.
    """

    name: str

    def bucket(self, key: bytes) -> int:
        """Return the bucket of a key, from 0 to 255."""
        ...

    def join(self, keys: Iterable[bytes]) -> bytes:
        """Join keys into one blob."""
        ...

    def split(self, blob: bytes) -> Sequence[bytes]:
        """Return the keys of a blob.

        Raises:
            ValueError: The blob does not consist of joined keys.
        """
        ...

    def split_bucket(self, blob: bytes, parts: int) -> Iterator[Sequence[bytes]]:
        """Yield the keys of each part of a bucket, in order.

        Args:
            blob: Joined keys of one bucket.
            parts: The number of parts: a power of two, at most 256.

        Raises:
            ValueError: The blob does not consist of joined keys.
        """
        ...

    def split_buckets(self, blob: bytes) -> dict[int, bytes]:
        """Return the keys of each bucket in a blob, joined.

        Raises:
            ValueError: The blob does not consist of joined keys.
        """
        ...

    def identifiers(self, key: bytes) -> Iterable[bytes]:
        """Return the identifiers in a key."""
        ...

    def parts(
        self, keys: Sequence[bytes], max_keys: int | None = None
    ) -> Iterator[Sequence[bytes]]:
        """Split keys into parts of ``max_keys`` that fit into one request each."""
        ...

    def batch(self, blob: bytes) -> Batch:
        """Return the part of a request body for joined keys."""
        ...


class DigestCodec:
    """Digests of one hash algorithm.

    Args:
        name: The algorithm.
        width: Bytes of a digest.
    """

    def __init__(self, name: str, width: int) -> None:
        self.name = name
        self.width = width
        self._stride = Struct(f"{width}s" * _STRIDE)

    def bucket(self, key: bytes) -> int:
        """Return the bucket of a key: its first byte, which is evenly distributed."""
        return key[0]

    def join(self, keys: Iterable[bytes]) -> bytes:
        """Join keys into one blob."""
        return b"".join(keys)

    def split(self, blob: bytes) -> Sequence[bytes]:
        """Return the keys of a blob.

        Raises:
            ValueError: The blob does not consist of joined keys.
        """
        self._check_length(blob)
        whole = len(blob) // self._stride.size * self._stride.size
        keys: list[bytes] = []
        for group in self._stride.iter_unpack(memoryview(blob)[:whole]):
            keys += group
        keys += unpack_from(f"{self.width}s" * ((len(blob) - whole) // self.width), blob, whole)
        return keys

    def split_bucket(self, blob: bytes, parts: int) -> Iterator[Sequence[bytes]]:
        """Yield the keys of each part of a bucket, in order; the second byte decides.

        Raises:
            ValueError: The blob does not consist of joined keys.
        """
        if parts == 1:
            yield self.split(blob)
            return
        self._check_length(blob)
        numbers = blob[1 :: self.width].translate(_PART_NUMBERS[parts])
        runs = _runs(numbers)
        if runs is not None:  # as segments are written: one part after the other
            for number in range(parts):
                start, end = runs.get(number, (0, 0))
                yield self.split(blob[start * self.width : end * self.width])
            return
        for part in self._divide(blob, numbers, parts):
            yield self.split(part)

    def split_buckets(self, blob: bytes) -> dict[int, bytes]:
        """Return the keys of each bucket in a blob, joined.

        Raises:
            ValueError: The blob does not consist of joined keys.
        """
        self._check_length(blob)
        runs = _runs(blob[:: self.width])
        if runs is None:
            return _split_buckets(self, blob)
        return {
            number: blob[start * self.width : end * self.width]
            for number, (start, end) in runs.items()
        }

    def identifiers(self, key: bytes) -> Iterable[bytes]:
        """Return the identifiers in a key: the key itself."""
        return (key,)

    def parts(
        self, keys: Sequence[bytes], max_keys: int | None = None
    ) -> Iterator[Sequence[bytes]]:
        """Split keys into parts of ``max_keys`` that fit into one request each."""
        max_keys = min(
            max_keys or MAX_RECORDS, (MAX_BYTES - RESERVED_BYTES) // (2 * self.width + 1)
        )
        for start in range(0, len(keys), max_keys):
            yield keys[start : start + max_keys]

    def batch(self, blob: bytes) -> Batch:
        """Return the part of a request body for joined keys: hexadecimal, comma-separated."""
        text = blob.hex(",", self.width).encode()
        return Batch(b'"records":"' + text + b'"', len(blob) // self.width)

    def _check_length(self, blob: bytes) -> None:
        if len(blob) % self.width:
            raise ValueError("length")

    def _divide(self, blob: bytes, numbers: bytes, parts: int) -> Iterator[bytes]:
        """Return the joined keys of each part; ``numbers`` has the part of each key."""
        divided = [bytearray() for _ in range(parts)]
        keys: list[list[bytes]] = [[] for _ in range(parts)]
        appends = [part.append for part in keys]
        size = _DIVIDED_KEYS * self.width
        for start in range(0, len(blob), size):  # the keys of a step stay in the cache
            first = start // self.width
            step = self.split(blob[start : start + size])
            for number, key in zip(numbers[first : first + len(step)], step, strict=True):
                appends[number](key)
            for data, part in zip(divided, keys, strict=True):
                data.extend(self.join(part))
                part.clear()
        return map(bytes, divided)


class RowCodec:
    """Rows of several identifiers, each prefixed with its length."""

    name = "row"

    def bucket(self, key: bytes) -> int:
        """Return the bucket of a key, from 0 to 255."""
        return zlib.crc32(key) & 0xFF

    def join(self, keys: Iterable[bytes]) -> bytes:
        """Join keys into one blob."""
        return b"".join(_LENGTH.pack(len(key)) + key for key in keys)

    def split(self, blob: bytes) -> Sequence[bytes]:
        """Return the keys of a blob.

        Raises:
            ValueError: The blob does not consist of joined keys.
        """
        keys: list[bytes] = []
        at = 0
        while at < len(blob):
            (length,) = _LENGTH.unpack_from(blob, at)
            at += _LENGTH.size
            keys.append(blob[at : at + length])
            if len(keys[-1]) != length:
                raise ValueError("length")
            at += length
        return keys

    def split_bucket(self, blob: bytes, parts: int) -> Iterator[Sequence[bytes]]:
        """Yield all keys of a bucket as the first part: decoding rows takes longer than sets do.

        Raises:
            ValueError: The blob does not consist of joined keys.
        """
        yield self.split(blob)
        yield from ((),) * (parts - 1)

    def split_buckets(self, blob: bytes) -> dict[int, bytes]:
        """Return the keys of each bucket in a blob, joined.

        Raises:
            ValueError: The blob does not consist of joined keys.
        """
        return _split_buckets(self, blob)

    def identifiers(self, key: bytes) -> Iterable[bytes]:
        """Return the identifiers in a key: its columns."""
        return row_identifiers(key)

    def parts(
        self, keys: Sequence[bytes], max_keys: int | None = None
    ) -> Iterator[Sequence[bytes]]:
        """Split keys into parts of ``max_keys`` whose JSON fits into one request."""
        max_keys = max_keys or MAX_RECORDS
        start = size = 0
        for at, key in enumerate(keys):
            needed = json_size(key) + 1
            if size and (size + needed > MAX_BYTES - RESERVED_BYTES or at - start == max_keys):
                yield keys[start:at]
                start, size = at, 0
            size += needed
        if size:
            yield keys[start:]

    def batch(self, blob: bytes) -> Batch:
        """Return the part of a request body for joined keys."""
        rows = [decode_row(key) for key in self.split(blob)]
        # `parts` has limited the size already.
        (batch,) = make_batches(rows, max_records=len(rows), max_bytes=1 << 40)
        return batch


def _runs(numbers: bytes) -> dict[int, tuple[int, int]] | None:
    """Return the start and end of each number; None if some number has more than one run."""
    runs: dict[int, tuple[int, int]] = {}
    start = 0
    while start < len(numbers):
        number = numbers[start]
        end = numbers.rindex(number) + 1
        if numbers[start:end] != numbers[start : start + 1] * (end - start):
            return None
        runs[number] = start, end
        start = end
    return runs


def _split_buckets(codec: KeyCodec, blob: bytes) -> dict[int, bytes]:
    buckets: dict[int, list[bytes]] = {}
    for key in codec.split(blob):
        buckets.setdefault(codec.bucket(key), []).append(key)
    return {number: codec.join(keys) for number, keys in buckets.items()}


def parts_per_bucket(keys: int) -> int:
    """Return into how many parts each bucket of this many keys is split: a power of two."""
    parts = 1
    while keys > parts * BUCKETS * _PART_KEYS and parts < max(_PART_NUMBERS):
        parts *= 2
    return parts


DIGEST_CODECS: Mapping[int, DigestCodec] = {
    codec.width: codec
    for codec in (DigestCodec("sha256", 32), DigestCodec("sha1", 20), DigestCodec("md5", 16))
}
"""The codecs of digests by the bytes of a digest."""

CODECS: Mapping[str, KeyCodec] = {
    **{codec.name: codec for codec in DIGEST_CODECS.values()},
    "row": RowCodec(),
}
"""The codecs by their names in the state file."""
_CODECS_BY_HEX_LENGTH = {2 * width: codec for width, codec in DIGEST_CODECS.items()}


def max_batch_records(setting: int | None, accepted: int | None) -> int:
    """Return the maximum number of records of a batch.

    Args:
        setting: The size that the caller has set.
        accepted: The size that Pinterest accepts, if it has refused a larger batch.
    """
    size = setting or MAX_RECORDS
    return min(size, accepted or size)


def encode_records(
    records: Sequence[str | RecordRow], *, keep_unhashed: bool
) -> Iterator[tuple[KeyCodec, Sequence[bytes]]]:
    """Encode prepared records as keys, grouped by codec.

    Args:
        records: Records of `prepare` or `prepare_rows`; at least one.
        keep_unhashed: Whether unhashed columns may be stored.

    Yields:
        Codecs, each with keys.

    Raises:
        ConfigurationError: A record is not hashed, and so must not be stored.
    """
    if isinstance(records[0], str):  # a source yields either strings or rows
        yield from _encode_digests(cast("Sequence[str]", records))
    else:
        rows = cast("Sequence[RecordRow]", records)
        yield CODECS["row"], [encode_row(row, keep_unhashed=keep_unhashed) for row in rows]


def _encode_digests(texts: Sequence[str]) -> Iterator[tuple[KeyCodec, Sequence[bytes]]]:
    joined = "".join(texts)
    # A fast path: SHA-256 is the longest digest, so all are SHA-256 if the total length matches. A
    # plain e-mail address contains an "@", which is not hexadecimal.
    if len(joined) == _SHA256_HEX_CHARS * len(texts):
        yield CODECS["sha256"], CODECS["sha256"].split(_from_hex(joined))
        return
    for length, group in groupby(sorted((len(text), text) for text in texts), key=itemgetter(0)):
        codec = _CODECS_BY_HEX_LENGTH.get(length)
        if codec is None:
            raise ConfigurationError(_UNHASHED_MESSAGE)
        yield codec, codec.split(_from_hex("".join(text for _, text in group)))


def _from_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise ConfigurationError(_UNHASHED_MESSAGE) from None


def encode_row(row: RecordRow, *, keep_unhashed: bool) -> bytes:
    """Encode a row as a key.

    Args:
        row: The row.
        keep_unhashed: Whether unhashed columns may be stored.

    Raises:
        ConfigurationError: A column is not hashed and must not be stored, or is too long.
    """
    pieces: list[bytes] = []
    for index, column in enumerate(_COLUMNS):
        value: str | None = getattr(row, column)
        if value is None:
            continue
        if column in _HASHED:
            digest = _column_digest(column, value)
            pieces.append(bytes([index << 2 | _WIDTHS.index(len(digest))]) + digest)
            continue
        if not keep_unhashed:
            raise ConfigurationError(
                f"{column} is not hashed, and would be stored in the state file; leave the column "
                "out, or set keep_unhashed=True",
                param=column,
            )
        text = value.encode()
        if len(text) > _MAX_COLUMN_BYTES:
            raise ConfigurationError(
                f"{column} is longer than {_MAX_COLUMN_BYTES:,} bytes", param=column
            )
        pieces.append(bytes([index << 2 | _UNHASHED]) + _LENGTH.pack(len(text)) + text)
    return b"".join(pieces)


def _column_digest(column: str, value: str) -> bytes:
    try:
        digest = bytes.fromhex(value)
    except ValueError:
        digest = b""
    if len(digest) not in _WIDTHS or digest.hex() != value:
        raise ConfigurationError(
            f"{column} is not hashed, and the state file must not contain plain identifiers; "
            "prepare the records without plain_emails",
            param=column,
        )
    return digest


def decode_row(key: bytes) -> RecordRow:
    """Decode a key as a row."""
    return RecordRow(
        **{column: _text(piece, hashed=hashed) for column, piece, hashed in _pieces(key)}
    )


def row_digests(key: bytes) -> Iterator[bytes]:
    """Return the hashed columns of a row."""
    return (piece for _, piece, hashed in _pieces(key) if hashed)


def row_identifiers(key: bytes) -> Iterator[bytes]:
    """Return the values of all columns of a row, hashed or not."""
    return (piece for _, piece, _ in _pieces(key))


def json_size(key: bytes) -> int:
    """Return the maximum number of bytes of a row as JSON."""
    size = 2
    for column, piece, hashed in _pieces(key):
        # An unhashed byte may be escaped with six bytes; a digest takes two digits per byte.
        size += len(column) + 6 + len(piece) * (2 if hashed else 6)
    return size


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


class BucketedKeys:
    """Keys of one codec, by bucket.

    Args:
        codec: Their codec.
        directory: The directory for a temporary file, if there are too many for memory.
    """

    def __init__(self, codec: KeyCodec, directory: str) -> None:
        self.codec: KeyCodec = codec
        self.count: int = 0
        self._directory = directory
        self._file: IO[bytes] | None = None
        self._parts: list[list[tuple[int, int]]] = [[] for _ in range(BUCKETS)]
        self._unflushed: list[list[bytes]] = [[] for _ in range(BUCKETS)]
        self._appends = [bucket.append for bucket in self._unflushed]
        self._unflushed_count = 0
        self._lock = Lock()

    def add(self, keys: Sequence[bytes]) -> None:
        """Add keys.

        Raises:
            StateError: The temporary file cannot be written.
        """
        appends = self._appends
        if self.codec.name == "row":
            bucket = self.codec.bucket
            for key in keys:
                appends[bucket(key)](key)
        else:
            for key in keys:  # a fast path: the bucket of a digest is its first byte
                appends[key[0]](key)
        self.count += len(keys)
        self._unflushed_count += len(keys)
        if self._unflushed_count >= _IN_MEMORY:
            self._flush()

    def keys(self, bucket: int) -> set[bytes]:
        """Return the distinct keys of a bucket.

        Raises:
            StateError: The temporary file cannot be read.
        """
        return set(self.codec.split(self._blob(bucket)))

    def split_bucket(self, bucket: int, parts: int) -> Iterator[Sequence[bytes]]:
        """Yield the keys of each part of a bucket, duplicates included.

        Raises:
            StateError: The temporary file cannot be read.
        """
        return self.codec.split_bucket(self._blob(bucket), parts)

    def close(self) -> None:
        """Delete all keys."""
        if self._file is not None:
            self._file.close()
            self._file = None
        for bucket in self._unflushed:
            bucket.clear()

    def _blob(self, bucket: int) -> bytes:
        pieces: list[bytes] = []
        if self._parts[bucket] and self._file is not None:
            try:
                pieces = self._read(self._file, self._parts[bucket])
            except OSError as error:
                raise _temporary_file_error(self._directory, error) from error
        return b"".join((*pieces, self.codec.join(self._unflushed[bucket])))

    def _read(self, file: IO[bytes], parts: Sequence[tuple[int, int]]) -> list[bytes]:
        if hasattr(os, "pread"):  # reads at an offset, so threads need not lock the file
            descriptor = file.fileno()
            return [os.pread(descriptor, size, at) for at, size in parts]
        pieces: list[bytes] = []
        with self._lock:  # Windows has no `pread`, and the file position is shared
            for at, size in parts:
                file.seek(at)
                pieces.append(file.read(size))
        return pieces

    def _flush(self) -> None:
        with self._lock:
            try:
                self._write()
            except OSError as error:
                raise _temporary_file_error(self._directory, error) from error
        self._unflushed_count = 0

    def _write(self) -> None:
        if self._file is None:
            # Without a buffer, which `close` would write again after the disk was full.
            self._file = tempfile.TemporaryFile(  # noqa: SIM115 - closed in `close`
                dir=self._directory, buffering=0
            )
        at = self._file.seek(0, os.SEEK_END)  # reading may have moved the position
        for bucket, parts in zip(self._unflushed, self._parts, strict=True):
            if bucket:
                data = self.codec.join(bucket)
                _write_all(self._file, data)
                parts.append((at, len(data)))
                at += len(data)
                bucket.clear()


def _write_all(file: IO[bytes], data: bytes) -> None:
    written = file.write(data)
    while written < len(data):  # the file system is nearly full, and the next write fails
        written += file.write(memoryview(data)[written:])


def _temporary_file_error(directory: str, error: OSError) -> StateError:
    description = error.strerror or type(error).__name__
    return StateError(f"{description}; free some space for a temporary file", path=directory)


def check_stored_kind(kind: object) -> IdentifierType:
    """Return the kind that an argument names, whose records jobs store.

    Raises:
        ConfigurationError: The kind does not exist, or its records must not be stored.
    """
    checked = check_kind(kind)
    _refuse_opaque(checked)
    return checked


def _refuse_opaque(kind: str) -> None:
    if kind in OPAQUE_KINDS:
        raise ConfigurationError(
            f"kind {kind} is sent unhashed, and jobs store only hashes in their state file; send "
            "such records with customer_lists_update",
            param="kind",
        )


class KeyedSource:
    """The keys of all records of a source; a context manager.

    Args:
        source: A preparation, or any source that `open_source` accepts.
        kind: The identifier type of the source, if it is not a preparation.
        column: The column of the source, if it is not a preparation.
        keep_unhashed: Whether unhashed columns of rows may be stored in the state file.
        state: The state file; large sources need a temporary file next to it.
        whole: Whether a source that is limited to its first rows is refused.

    Raises:
        ConfigurationError: Records of this kind must not be stored, or the source is limited.
    """

    def __init__(
        self,
        source: SourceLike,
        *,
        kind: IdentifierType | str,
        column: Columns | None,
        keep_unhashed: bool,
        state: str | os.PathLike[str] | None,
        whole: bool = False,
    ) -> None:
        if isinstance(source, PreparedRecords):
            self._preparation: PreparedRecords[str] | PreparedRecords[RecordRow] = source
        else:
            self._preparation = prepare(source, check_stored_kind(kind), column=column)
        self.kind: str = self._preparation.report.kind
        _refuse_opaque(self.kind)
        if whole:
            self._refuse_limit()
        self._keep_unhashed = keep_unhashed
        self._directory = state_file(state).absolute().parent
        self.keys_by_codec: dict[str, BucketedKeys] = {}
        self._failure: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Delete the keys, and their temporary file."""
        for bucketed in self.keys_by_codec.values():
            bucketed.close()

    def _refuse_limit(self) -> None:
        report = self._preparation.report
        if report.limit is not None:
            raise ConfigurationError(
                f"source: {report.source} is limited to its first {counted(report.limit, 'row')}, "
                "and a mirror of them would remove all other customers from the list",
                param="source",
                suggestion="remove the limit, or upload the limited source to a separate list",
            )

    @property
    def count(self) -> int:
        """Number of records read, including duplicates."""
        return sum(bucketed.count for bucketed in self.keys_by_codec.values())

    @property
    def name(self) -> str:
        """The name of the source."""
        return self._preparation.report.source

    @property
    def report(self) -> dict[str, JSON]:
        """The report of the preparation, as JSON values."""
        report: dict[str, JSON] = json.loads(self._preparation.report.to_json())
        return report

    @property
    def summary(self) -> dict[str, JSON]:
        """The report of the preparation; only the name of a source that cannot be read."""
        return self.report if self._failure is None else {"source": self.name}

    @property
    def list_type(self) -> UserListType:
        """Pinterest's type of a list of these records."""
        list_type = UserListType(self.kind.upper())
        return list_type if list_type.is_known else UserListType.EMAIL  # for rows

    @property
    def has_type(self) -> bool:
        """Whether all records have one type; rows of several columns do not."""
        return UserListType(self.kind.upper()).is_known

    def check_rejects(self) -> list[str]:
        """Return findings about a limit and about rejected values.

        Raises:
            TooManyRejectsError: All values were rejected.
        """
        report = self._preparation.report
        findings = (
            []
            if report.limit is None
            else [f"limited: only the first {counted(report.limit, 'row', 'were')} read"]
        )
        if not report.rejected:
            return findings
        reasons = sorted(report.rejects.items(), key=lambda item: (-item[1], item[0]))
        shown = ", ".join(f"{count:,} {reason}" for reason, count in reasons if count)
        text = f"{report.rejected:,} of {report.values:,} values were rejected: {shown}"
        if not self.count:
            raise TooManyRejectsError(
                f"{report.source}: {text}; not one became a record, and nothing was sent",
                rows=report.rows,
                rejected=report.rejected,
            )
        return [*findings, text]

    def read(self) -> None:
        """Read the source to its end; :meth:`check_read` raises what failed.

        Its thread is that of the caller, on which a cursor may depend, and the run that records a
        failure in the history is another's.
        """
        try:
            for records in self._preparation:
                self._add(records)
        except Exception as error:  # noqa: BLE001 - raised by check_read
            self._failure = error

    async def aread(self) -> None:
        """Read a synchronous or asynchronous source to its end, like :meth:`read`."""
        preparation: AsyncIterable[Sequence[str | RecordRow]] = self._preparation
        try:
            async with aclosing_iter(preparation) as chunks:
                async for records in chunks:
                    self._add(records)
        except Exception as error:  # noqa: BLE001 - raised by check_read
            self._failure = error

    def check_read(self) -> None:
        """Check that the source was read to its end.

        Raises:
            SourceError: It could not be read to its end.
            TooManyRejectsError: It has more rejected values than the preparation allows.
            ConfigurationError: A record must not be stored.
            StateError: The temporary file could not be written.
        """
        if self._failure is not None:
            failure, self._failure = self._failure, None  # which refers to this frame then
            raise failure

    def _add(self, records: Sequence[str | RecordRow]) -> None:
        for codec, keys in encode_records(records, keep_unhashed=self._keep_unhashed):
            if codec.name not in self.keys_by_codec:
                self._make_directory()
                self.keys_by_codec[codec.name] = BucketedKeys(codec, str(self._directory))
            self.keys_by_codec[codec.name].add(keys)

    def _make_directory(self) -> None:
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error, self._directory) from error
