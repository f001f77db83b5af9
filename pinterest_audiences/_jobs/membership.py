"""Confirmed and possible members of a list, and its counters.

A key is *confirmed* when an ADD of it was acknowledged and no REMOVE was sent since. It is
*unconfirmed* when Pinterest may have it or not: after an ADD without a response, or a REMOVE
without one. Additions are decided against the confirmed members, and removals against the possible
ones (confirmed or unconfirmed), so that every record that should be removed is removed.

Segments hold the members at the last compaction; the batches since then are a log. Compaction can
be repeated: each step sets the membership of its keys, whatever it was before.

It is not documented whether a REMOVE of a row removes that row alone, or everyone who matches one
of its identifiers. So a record that stays and shares an identifier with a removed one is added
again after the removal.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Literal

from attrs import define, field, frozen

from pinterest_audiences._jobs.database import Database
from pinterest_audiences._jobs.keys import BUCKETS, CODECS, KeyCodec, parts_per_bucket
from pinterest_audiences._jobs.reports import ListStatus
from pinterest_audiences._jobs.state import RESENDS, to_blob, to_counts
from pinterest_audiences._text import counted

if TYPE_CHECKING:
    from pinterest_audiences._jobs.state import ListRow, State
    from pinterest_audiences._models import CustomerList
__all__ = [
    "NO_UNFINISHED_JOBS",
    "Membership",
    "SharedIdentifiers",
    "UnfinishedJobs",
    "check_drift",
    "compact",
    "count_members",
    "count_parts",
    "count_pending",
    "iter_buckets",
    "list_status",
    "mark_all_unconfirmed",
    "member_codecs",
]

_MIN_SEGMENT_BYTES = 65_536  # neighboring buckets are joined up to this size
_FILTER_BITS = 1 << 27  # 16 MB; a collision only repeats an addition needlessly
# Repeated additions that are not acknowledged: their records may be missing from the list.
_OPEN_RESEND = (
    f"(seq >= {RESENDS} AND status != 'acknowledged' AND job_id IN "  # noqa: S608 - a literal
    "(SELECT id FROM job WHERE status NOT IN ('draft', 'planned')) "
    "AND EXISTS (SELECT 1 FROM content WHERE batch_id = batch.id))"
)
Effect = Literal["confirmed", "unconfirmed", "added", "added?", "removed", "removed?"]


@define
class Membership:
    """The members of a list in one bucket.

    Attributes:
        confirmed: Keys that are on the list.
        unconfirmed: Other keys, which may be on the list or not.
    """

    confirmed: set[bytes] = field(factory=set[bytes])
    unconfirmed: set[bytes] = field(factory=set[bytes])

    @property
    def possible(self) -> set[bytes]:
        """All keys that may be on the list."""
        return self.confirmed | self.unconfirmed if self.unconfirmed else self.confirmed

    def apply(self, effect: Effect, keys: set[bytes]) -> None:
        """Apply a change of some keys; a question mark stands for a missing response.

        The set of keys must not be used afterwards.
        """
        match effect:
            case "confirmed":
                self._confirm(keys)
            case "unconfirmed":
                self.unconfirmed |= keys
            case "added":
                self._confirm(keys)
                self.unconfirmed -= keys
            case "added?":
                self.unconfirmed |= keys - self.confirmed
            case "removed":
                self.confirmed -= keys
                self.unconfirmed -= keys
            case "removed?":
                self.unconfirmed |= self.confirmed & keys
                self.confirmed -= keys

    def compare(self, keys: set[bytes]) -> tuple[set[bytes], set[bytes]]:
        """Return the keys of a source that are not confirmed, and the other possible members.

        Changes the set of keys.
        """
        if self.unconfirmed:
            return keys - self.confirmed, self.possible - keys
        # One pass over the keys that both have, which are most.
        keys ^= self.confirmed
        added = keys - self.confirmed
        return added, keys - added

    def _confirm(self, keys: set[bytes]) -> None:
        if self.confirmed:
            self.confirmed |= keys
        else:  # not copied: most buckets have a segment and nothing else
            self.confirmed = keys


@frozen
class UnfinishedJobs:
    """What a plan assumes about the unfinished jobs of a list.

    Attributes:
        removed: Jobs whose removals are finished before the plan is applied.
        not_sent: Jobs of which Pinterest received nothing.
    """

    removed: frozenset[int] = frozenset()
    not_sent: frozenset[int] = frozenset()


NO_UNFINISHED_JOBS = UnfinishedJobs()
"""Assumes nothing."""


def member_codecs(sql: sqlite3.Connection, list_key: int) -> list[KeyCodec]:
    """Return the codecs of the members of a list."""
    rows = sql.execute(
        "SELECT form FROM segment WHERE list_id = ? UNION "
        "SELECT form FROM batch WHERE list_id = ? AND NOT folded "
        "AND (status = 'acknowledged' OR sends > 0)",
        (list_key, list_key),
    ).fetchall()
    return [CODECS[name] for (name,) in rows]


def count_parts(sql: sqlite3.Connection, list_key: int, codec: KeyCodec, keys: int = 0) -> int:
    """Return into how many parts the buckets of a list are split.

    Args:
        sql: The state file.
        list_key: The list.
        codec: The codec of its keys.
        keys: The number of keys of a source that the list is compared with.
    """
    (members,) = sql.execute(
        "SELECT coalesce((SELECT sum(sure_count + maybe_count) FROM segment WHERE list_id = :list "
        "AND form = :form), 0) + coalesce((SELECT sum(count) FROM batch WHERE list_id = :list "
        "AND form = :form AND NOT folded AND operation = 'ADD'), 0)",
        {"list": list_key, "form": codec.name},
    ).fetchone()
    return parts_per_bucket(max(members, keys))


def iter_buckets(
    sql: sqlite3.Connection,
    list_key: int,
    codec: KeyCodec,
    unfinished: UnfinishedJobs = NO_UNFINISHED_JOBS,
    *,
    parts: int = 1,
) -> Iterator[Membership]:
    """Yield the membership in each part of each of the 256 buckets of a list, in order."""
    reader = _BucketReader(sql, codec, _key_ranges(sql, list_key, codec, unfinished), parts)
    for number in range(BUCKETS):
        yield from reader.bucket(number)


@frozen
class _KeyRange:
    """A stored blob with keys of a range of buckets: a segment's column, or a batch."""

    table: Literal["segment", "content"]
    row: int
    column: Literal["sure", "maybe", "keys"]
    effect: Effect
    low: int
    high: int


@define
class _BucketReader:
    """Reads the buckets in order; keeps only the blobs that reach into the current one."""

    sql: sqlite3.Connection
    codec: KeyCodec
    ranges: list[_KeyRange]
    parts: int
    _loaded: dict[_KeyRange, dict[int, bytes]] = field(
        init=False, factory=dict[_KeyRange, dict[int, bytes]]
    )

    def bucket(self, number: int) -> Iterator[Membership]:
        changes: list[tuple[Effect, Iterator[Sequence[bytes]]]] = []
        for key_range in self.ranges:
            if key_range.low <= number <= key_range.high:
                blob = self._blob(key_range, number)
                if blob:
                    changes.append((key_range.effect, self.codec.split_bucket(blob, self.parts)))
        for _ in range(self.parts):
            members = Membership()
            for effect, parts in changes:
                keys = next(parts)
                if keys:
                    members.apply(effect, set(keys))
            yield members

    def _blob(self, key_range: _KeyRange, number: int) -> bytes:
        """Return the keys of a bucket in a range, joined; each is returned once."""
        if key_range.low == key_range.high:
            return self._read(key_range)
        if key_range not in self._loaded:
            self._loaded[key_range] = self.codec.split_buckets(self._read(key_range))
        blob = self._loaded[key_range].pop(number, b"")
        if key_range.high == number:
            del self._loaded[key_range]
        return blob

    def _read(self, key_range: _KeyRange) -> bytes:
        query = f"SELECT {key_range.column} FROM {key_range.table} WHERE rowid = ?"  # noqa: S608 - literals
        (blob,) = self.sql.execute(query, (key_range.row,)).fetchone()
        return to_blob(blob)


def _segment_ranges(sql: sqlite3.Connection, list_key: int, codec: KeyCodec) -> list[_KeyRange]:
    rows = sql.execute(
        "SELECT id, first, last, maybe_count FROM segment WHERE list_id = ? AND form = ? "
        "ORDER BY first",
        (list_key, codec.name),
    ).fetchall()
    ranges: list[_KeyRange] = []
    for row, first, last, unconfirmed in rows:
        ranges.append(_KeyRange("segment", row, "sure", "confirmed", first, last))
        if unconfirmed:
            ranges.append(_KeyRange("segment", row, "maybe", "unconfirmed", first, last))
    return ranges


def _key_ranges(
    sql: sqlite3.Connection, list_key: int, codec: KeyCodec, unfinished: UnfinishedJobs
) -> list[_KeyRange]:
    """Return the segments, and then the batches of the log in the order of sending."""
    removed = json.dumps(sorted(unfinished.removed))
    rows = sql.execute(
        "SELECT id, operation, status = 'acknowledged' OR job_id IN "  # noqa: S608 - literals
        f"(SELECT value FROM json_each(?)), {_OPEN_RESEND}, low, high FROM batch "
        "WHERE list_id = ? AND form = ? AND NOT folded "
        f"AND (status = 'acknowledged' OR sends > 0 OR {_OPEN_RESEND} OR job_id IN "
        "(SELECT value FROM json_each(?))) AND job_id NOT IN (SELECT value FROM json_each(?)) "
        "ORDER BY job_id, seq, id",
        (removed, list_key, codec.name, removed, json.dumps(sorted(unfinished.not_sent))),
    ).fetchall()
    effects: dict[tuple[str, bool], Effect] = {
        ("ADD", True): "added",
        ("ADD", False): "added?",
        ("REMOVE", True): "removed",
        ("REMOVE", False): "removed?",
    }
    return _segment_ranges(sql, list_key, codec) + [
        _KeyRange(
            "content",
            row,
            "keys",
            # The removals before it may have removed these records as well.
            "removed?" if resend else effects[operation, bool(done)],
            low,
            high,
        )
        for row, operation, done, resend, low, high in rows
    ]


def count_pending(sql: sqlite3.Connection, list_key: int) -> int:
    """Return how many batches were sent since the last compaction."""
    (count,) = sql.execute(
        "SELECT count(*) FROM batch WHERE list_id = ? AND NOT folded "  # noqa: S608 - literals
        f"AND (status = 'acknowledged' OR sends > 0 OR {_OPEN_RESEND})",
        (list_key,),
    ).fetchone()
    return int(count)


def compact(database: Database, list_key: int) -> None:
    """Write the log into the segments, and delete the keys of its batches.

    Requires the list's lock. Batches of unfinished jobs stay in the log. The segments and the
    deletions are two transactions, which halves the size of SQLite's write-ahead log: deleted keys
    are overwritten, so that their pages are written too.

    Raises:
        StateError: The state cannot be written.
    """
    with database.transaction() as sql:
        if count_pending(sql, list_key):
            _write_segments(sql, list_key)
        sql.execute(  # also batches that were dropped before they were sent
            "UPDATE batch SET folded = 1 WHERE list_id = ? "
            "AND NOT folded AND status IN ('acknowledged', 'dropped', 'rejected')",
            (list_key,),
        )
    with database.transaction() as sql:
        # Also those that a process which died between the transactions has left.
        sql.execute(
            "DELETE FROM content WHERE batch_id IN "
            "(SELECT id FROM batch WHERE list_id = ? AND folded)",
            (list_key,),
        )


def _write_segments(sql: sqlite3.Connection, list_key: int) -> None:
    for codec in member_codecs(sql, list_key):
        old = [key_range.row for key_range in _segment_ranges(sql, list_key, codec)]
        segment = _Segment(list_key, codec)
        parts = count_parts(sql, list_key, codec)
        for at, members in enumerate(iter_buckets(sql, list_key, codec, parts=parts)):
            number, part = divmod(at, parts)
            segment.add(number, members)
            if part < parts - 1:
                continue
            if segment.size >= _MIN_SEGMENT_BYTES or number == BUCKETS - 1:
                segment.write(sql)
                segment = _Segment(list_key, codec, first=number + 1)
        sql.executemany("DELETE FROM segment WHERE id = ?", {(row,) for row in old})


class _Segment:
    """A segment in memory: the members of neighboring buckets, each with its parts in order."""

    def __init__(self, list_key: int, codec: KeyCodec, *, first: int = 0) -> None:
        self._list_key = list_key
        self._codec = codec
        self._first = self._last = first
        self._confirmed: list[bytes] = []
        self._unconfirmed: list[bytes] = []
        self._counts = [0, 0]
        self.size = 0

    def add(self, number: int, members: Membership) -> None:
        self._last = number
        for index, (pieces, keys) in enumerate(
            ((self._confirmed, members.confirmed), (self._unconfirmed, members.unconfirmed))
        ):
            pieces.append(self._codec.join(keys))
            self._counts[index] += len(keys)
            self.size += len(pieces[-1])

    def write(self, sql: sqlite3.Connection) -> None:
        sql.execute(
            "INSERT INTO segment (list_id, form, first, last, sure_count, maybe_count, maybe, sure)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self._list_key,
                self._codec.name,
                self._first,
                self._last,
                *self._counts,
                b"".join(self._unconfirmed),
                b"".join(self._confirmed),
            ),
        )


def mark_all_unconfirmed(
    database: Database, list_key: int, missing: int, counter: int | None
) -> None:
    """Make every member of a list unconfirmed: some were removed outside this tool.

    Args:
        database: The state file.
        list_key: The list, whose lock is held.
        missing: How many records were removed.
        counter: Pinterest's current counter of removed records.

    Raises:
        StateError: The state cannot be written.
    """
    compact(database, list_key)
    with database.transaction() as sql:
        keys = [
            key for (key,) in sql.execute("SELECT id FROM segment WHERE list_id = ?", (list_key,))
        ]
        for key in keys:
            unconfirmed, confirmed = sql.execute(
                "SELECT maybe, sure FROM segment WHERE id = ?", (key,)
            ).fetchone()
            sql.execute(
                "UPDATE segment SET maybe = ?, sure = x'', sure_count = 0, "
                "maybe_count = maybe_count + sure_count WHERE id = ?",
                (to_blob(unconfirmed) + to_blob(confirmed), key),
            )
        sql.execute(
            "UPDATE list SET missing = missing + ?, removed = ?, version = version + 1 "
            "WHERE id = ?",
            (missing, counter, list_key),
        )


def check_drift(state: State, row: ListRow, current: CustomerList) -> list[str]:
    """Compare the counters of a list with the stored ones, and return findings.

    After removals outside this tool all members are unconfirmed, so that the next mirror adds its
    whole source again. Requires the list's lock.
    """
    unconfirmed_adds, unconfirmed_removes = state.count_unconfirmed(row.key)
    added = _external_changes(row.uploaded, current.num_uploaded_user_records, unconfirmed_adds)
    removed = _external_changes(row.removed, current.num_removed_user_records, unconfirmed_removes)
    if removed > 0:
        mark_all_unconfirmed(state.database, row.key, removed, current.num_removed_user_records)
    findings: list[str] = []
    if added:
        findings.append(
            f"drift: {counted(added, 'record', 'were')} added outside this tool since the last "
            "job; they are "
            "unknown to it, and a mirror does not remove them"
            if added > 0
            else "drift: Pinterest's counter of added records went back since the last job"
        )
    if removed < 0:
        findings.append("drift: Pinterest's counter of removed records went back")
    missing = row.missing + max(removed, 0)
    if missing:
        findings.append(
            f"drift: {counted(missing, 'record', 'were')} removed outside this tool; the next "
            "mirror adds its "
            "whole source again"
        )
    if not added and not removed:
        # The counters are explained; store them, because ended jobs are not counted next time.
        state.set_counters(row.key, current)
    return findings


def _external_changes(before: int | None, now: int | None, unconfirmed: int) -> int:
    """Return the change of a counter that the writes of this tool do not explain."""
    if before is None or now is None or before <= now <= before + unconfirmed:
        return 0
    return now - before if now < before else now - before - unconfirmed


def count_members(state: State, list_key: int) -> tuple[int, int]:
    """Return how many members of a list are confirmed, and how many are not; compacts nothing."""
    # The lock may not be held: another process may send or compact batches in the meantime.
    with state.database.snapshot() as sql:
        return _count_members(sql, list_key)


def _count_members(sql: sqlite3.Connection, list_key: int) -> tuple[int, int]:
    if count_pending(sql, list_key):
        confirmed = unconfirmed = 0
        for codec in member_codecs(sql, list_key):
            parts = count_parts(sql, list_key, codec)
            for members in iter_buckets(sql, list_key, codec, parts=parts):
                confirmed += len(members.confirmed)
                unconfirmed += len(members.unconfirmed)
        return confirmed, unconfirmed
    counts = sql.execute(
        "SELECT coalesce(sum(sure_count), 0), coalesce(sum(maybe_count), 0) "
        "FROM segment WHERE list_id = ?",
        (list_key,),
    ).fetchone()
    confirmed, unconfirmed = to_counts(counts)
    return confirmed, unconfirmed


def list_status(state: State, row: ListRow) -> ListStatus:
    """Return the status of a list."""
    with state.database.snapshot() as sql:
        row = state.list_row(row.key)
        jobs = tuple(state.report(job.key) for job in state.jobs(row.key))
        confirmed, unconfirmed = _count_members(sql, row.key)
    return ListStatus(
        ad_account_id=row.ad_account_id,
        customer_list_id=row.customer_list_id,
        name=row.name,
        origin=row.origin,
        records=confirmed,
        in_doubt=unconfirmed,
        settled=not any(job.status == "running" or job.audience_pending for job in jobs),
        jobs=jobs,
    )


class SharedIdentifiers:
    """A filter of the identifiers of removed records; its size is fixed."""

    def __init__(self) -> None:
        self._bits: bytearray | None = None

    def __bool__(self) -> bool:
        return self._bits is not None

    def add(self, codec: KeyCodec, keys: Iterable[bytes]) -> None:
        """Add the identifiers of removed keys."""
        for key in keys:
            if self._bits is None:
                self._bits = bytearray(_FILTER_BITS // 8)
            for identifier in codec.identifiers(key):
                at = zlib.crc32(identifier) & (_FILTER_BITS - 1)
                self._bits[at >> 3] |= 1 << (at & 7)

    def among(self, codec: KeyCodec, keys: AbstractSet[bytes]) -> set[bytes]:
        """Return the keys that share an identifier with a removed one."""
        return {key for key in keys if any(map(self._has, codec.identifiers(key)))}

    def _has(self, identifier: bytes) -> bool:
        at = zlib.crc32(identifier) & (_FILTER_BITS - 1)
        return self._bits is not None and bool(self._bits[at >> 3] >> (at & 7) & 1)
