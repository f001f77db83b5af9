"""Who is on a list, as far as can be known.

A key is *sure* when an ADD of it was acknowledged and no REMOVE was sent since, and *maybe* when it
may be there: an ADD that was never heard of makes a key maybe and not sure, and so does a REMOVE.
Additions are decided against the sure ones, removals against the maybe ones, so that nobody who
should have gone can stay behind. Every sure key is maybe too; it is stored once.

The snapshot is what was folded last; the batches after it are a log. Folding twice changes nothing:
each step sets what it touches without looking at what was there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Literal

from attrs import define, field, frozen

from pinterest_audiences.jobs.database import Database
from pinterest_audiences.jobs.keys import BUCKETS, FORMS, Form

__all__ = ["Known", "fold", "known_buckets", "known_forms", "unfolded"]

_SEGMENT_BYTES = 65_536  # buckets are put together until a segment has so much

Effect = Literal["sure", "maybe", "added", "added?", "removed", "removed?"]


@define
class Known:
    """The keys of one bucket.

    Attributes:
        sure: At Pinterest.
        maybe: At Pinterest or not, nobody knows; none of the sure ones.
    """

    sure: set[bytes] = field(factory=set[bytes])
    maybe: set[bytes] = field(factory=set[bytes])

    @property
    def possible(self) -> set[bytes]:
        """All that may be at Pinterest."""
        return self.sure | self.maybe if self.maybe else self.sure

    def apply(self, effect: Effect, keys: set[bytes]) -> None:
        """Take in what happened to some keys."""
        match effect:
            case "sure":
                self.sure |= keys
            case "maybe":
                self.maybe |= keys
            case "added":
                self.sure |= keys
                self.maybe -= keys
            case "added?":
                self.maybe |= keys - self.sure
            case "removed":
                self.sure -= keys
                self.maybe -= keys
            case "removed?":
                self.maybe |= self.sure & keys
                self.sure -= keys


@frozen
class _Run:
    """Something that holds keys of a few buckets: a segment's column, or a batch."""

    table: Literal["segment", "content"]
    row: int
    column: Literal["sure", "maybe", "keys"]
    effect: Effect
    low: int
    high: int


@define
class _Sweep:
    """Goes through the buckets in order; holds only the runs that reach into the present one."""

    sql: sqlite3.Connection
    form: Form
    runs: list[_Run]
    _open: dict[_Run, dict[int, set[bytes]]] = field(
        init=False, factory=dict[_Run, dict[int, set[bytes]]]
    )

    def bucket(self, number: int) -> Known:
        known = Known()
        for run in self.runs:
            if run.low <= number <= run.high:
                keys = self._buckets(run).pop(number, None)
                if keys:
                    known.apply(run.effect, keys)
                if run.high == number:
                    self._open.pop(run, None)
        return known

    def _buckets(self, run: _Run) -> dict[int, set[bytes]]:
        if run not in self._open:
            query = f"SELECT {run.column} FROM {run.table} WHERE rowid = ?"  # noqa: S608 - literals
            (blob,) = self.sql.execute(query, (run.row,)).fetchone()
            keys = self.form.split(blob)
            if run.low == run.high:
                self._open[run] = {run.low: set(keys)}
            else:
                spread: dict[int, set[bytes]] = {}
                for key in keys:
                    spread.setdefault(self.form.bucket(key), set()).add(key)
                self._open[run] = spread
        return self._open[run]


def known_forms(sql: sqlite3.Connection, list_key: int) -> list[Form]:
    """Return the forms in which a list has keys."""
    rows = sql.execute(
        "SELECT form FROM segment WHERE list_id = ? UNION "
        "SELECT form FROM batch WHERE list_id = ? AND NOT folded "
        "AND (status = 'acknowledged' OR sends > 0)",
        (list_key, list_key),
    )
    return [FORMS[name] for (name,) in rows]


def known_buckets(sql: sqlite3.Connection, list_key: int, form: Form) -> Iterator[Known]:
    """Yield what is known of each of the 256 buckets of a list, in order."""
    sweep = _Sweep(sql, form, _runs(sql, list_key, form))
    for number in range(BUCKETS):
        yield sweep.bucket(number)


def unfolded(sql: sqlite3.Connection, list_key: int) -> int:
    """Return how many batches have happened since the last fold."""
    (count,) = sql.execute(
        "SELECT count(*) FROM batch WHERE list_id = ? AND NOT folded "
        "AND (status = 'acknowledged' OR sends > 0)",
        (list_key,),
    ).fetchone()
    return int(count)


def fold(database: Database, list_key: int) -> None:
    """Take the log into the snapshot, and forget the keys of its batches; receipts stay.

    To be called by the holder of the list's lock while no job of the list is unfinished.

    Raises:
        StateError: The state cannot be written.
    """
    with database.transaction() as sql:
        if unfolded(sql, list_key):
            _write_segments(sql, list_key)
        sql.execute(  # dropped before they were sent as well, which are in no segment
            "DELETE FROM content WHERE batch_id IN (SELECT id FROM batch WHERE list_id = ? "
            "AND NOT folded AND status IN ('acknowledged', 'dropped'))",
            (list_key,),
        )
        sql.execute(
            "UPDATE batch SET folded = 1 WHERE list_id = ? "
            "AND NOT folded AND status IN ('acknowledged', 'dropped')",
            (list_key,),
        )


def _write_segments(sql: sqlite3.Connection, list_key: int) -> None:
    for form in known_forms(sql, list_key):
        old = [run.row for run in _segments(sql, list_key, form)]
        segment = _Segment(list_key, form)
        for number, known in enumerate(known_buckets(sql, list_key, form)):
            segment.add(number, known)
            if segment.size >= _SEGMENT_BYTES or number == BUCKETS - 1:
                segment.write(sql)
                segment = _Segment(list_key, form, first=number + 1)
        sql.executemany("DELETE FROM segment WHERE id = ?", {(row,) for row in old})


class _Segment:
    """Neighbouring buckets in the making."""

    def __init__(self, list_key: int, form: Form, *, first: int = 0) -> None:
        self._list_key = list_key
        self._form = form
        self._first = self._last = first
        self._sure: list[bytes] = []
        self._maybe: list[bytes] = []
        self._counts = [0, 0]
        self.size = 0

    def add(self, number: int, known: Known) -> None:
        self._last = number
        for index, (pieces, keys) in enumerate(
            ((self._sure, known.sure), (self._maybe, known.maybe))
        ):
            pieces.append(self._form.join(keys))
            self._counts[index] += len(keys)
            self.size += len(pieces[-1])

    def write(self, sql: sqlite3.Connection) -> None:
        sql.execute(
            "INSERT INTO segment (list_id, form, first, last, sure_count, maybe_count, maybe, sure)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self._list_key,
                self._form.name,
                self._first,
                self._last,
                *self._counts,
                b"".join(self._maybe),
                b"".join(self._sure),
            ),
        )


def _segments(sql: sqlite3.Connection, list_key: int, form: Form) -> list[_Run]:
    rows = sql.execute(
        "SELECT id, first, last, maybe_count FROM segment WHERE list_id = ? AND form = ? "
        "ORDER BY first",
        (list_key, form.name),
    )
    runs: list[_Run] = []
    for row, first, last, doubtful in rows:
        runs.append(_Run("segment", row, "sure", "sure", first, last))
        if doubtful:
            runs.append(_Run("segment", row, "maybe", "maybe", first, last))
    return runs


def _runs(sql: sqlite3.Connection, list_key: int, form: Form) -> list[_Run]:
    """Return the segments and then the log, in the order in which it happened."""
    rows = sql.execute(
        "SELECT id, operation, status, low, high FROM batch WHERE list_id = ? AND form = ? "
        "AND NOT folded AND (status = 'acknowledged' OR sends > 0) ORDER BY job_id, seq, id",
        (list_key, form.name),
    )
    effects: dict[tuple[str, bool], Effect] = {
        ("ADD", True): "added",
        ("ADD", False): "added?",
        ("REMOVE", True): "removed",
        ("REMOVE", False): "removed?",
    }
    return _segments(sql, list_key, form) + [
        _Run("content", row, "keys", effects[operation, status == "acknowledged"], low, high)
        for row, operation, status, low, high in rows
    ]
