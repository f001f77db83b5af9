"""From the keys of a source, and what is known of a list, to batches in the state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from attrs import define

from pinterest_audiences.jobs.keys import BUCKETS, FORMS, Form
from pinterest_audiences.jobs.snapshot import Known, known_buckets, known_forms

if TYPE_CHECKING:
    from pinterest_audiences.jobs.rows import ListRow
    from pinterest_audiences.jobs.source import SourceKeys
    from pinterest_audiences.jobs.state import State

__all__ = ["Counts", "plan_all", "plan_difference", "plan_keys"]

_WRITTEN_AT_ONCE = 8  # batches a transaction: short ones let other processes in
_REMOVALS = 1 << 32  # their place in the row of batches: behind every addition


@define
class Counts:
    """What a plan comes to.

    Attributes:
        add: Records to add.
        remove: Records to remove.
        keep: Records that stay.
        known: Records that may be on the list now.
        batches: Calls.
        new_forms: Forms in the source that the list has none of, though it has others.
    """

    add: int = 0
    remove: int = 0
    keep: int = 0
    known: int = 0
    batches: int = 0
    new_forms: tuple[str, ...] = ()


def plan_all(
    state: State, row: ListRow, job_key: int, source: SourceKeys, operation: str
) -> Counts:
    """Plan to add, or to remove, every record of a source once."""
    counts = Counts()
    writer = _Writer(state, row, job_key, counts)
    for spool in source.spools.values():
        for bucket in range(BUCKETS):
            writer.put(operation, spool.form, spool.keys(bucket))
        writer.end(operation, spool.form)
    writer.flush()
    return counts


def plan_keys(
    state: State, row: ListRow, job_key: int, keys: Iterable[tuple[Form, set[bytes]]]
) -> Counts:
    """Plan to remove these keys."""
    counts = Counts()
    writer = _Writer(state, row, job_key, counts)
    for form, some in keys:
        writer.put("REMOVE", form, sorted(some, key=form.bucket))
        writer.end("REMOVE", form)
    writer.flush()
    return counts


def plan_difference(state: State, row: ListRow, job_key: int, source: SourceKeys) -> Counts:
    """Plan to make a list hold what a source holds.

    What surely is there is not added, and what may be there and should not is removed.
    """
    counts = Counts()
    writer = _Writer(state, row, job_key, counts)
    with state.database.reading() as sql:
        known = {form.name for form in known_forms(sql, row.key)}
    new = tuple(sorted(source.spools.keys() - known)) if known else ()
    counts.new_forms = new
    for name in sorted(known | source.spools.keys()):
        form, spool = FORMS[name], source.spools.get(name)
        for bucket, present in enumerate(_buckets(state, row, form, known=name in known)):
            wanted = spool.keys(bucket) if spool is not None else set[bytes]()
            added = wanted - present.sure
            possible = present.possible
            counts.keep += len(wanted) - len(added)
            counts.known += len(possible)
            writer.put("ADD", form, added)
            writer.put("REMOVE", form, possible - wanted)
        writer.end("ADD", form)
        writer.end("REMOVE", form)
    writer.flush()
    return counts


def _buckets(state: State, row: ListRow, form: Form, *, known: bool) -> Iterator[Known]:
    if not known:
        yield from (Known() for _ in range(BUCKETS))
        return
    with state.database.reading() as sql:
        yield from known_buckets(sql, row.key, form)


class _Writer:
    """Puts keys into batches, and batches into the state, some at a time."""

    def __init__(self, state: State, row: ListRow, job_key: int, counts: Counts) -> None:
        self._state = state
        self._list_key = row.key
        self._job_key = job_key
        self._counts = counts
        self._keys: dict[tuple[str, str], list[bytes]] = {}
        self._seq = {"ADD": 0, "REMOVE": _REMOVALS}
        self._ready: dict[str, list[tuple[str, Form, Sequence[bytes]]]] = {"ADD": [], "REMOVE": []}

    def put(self, operation: str, form: Form, keys: Iterable[bytes]) -> None:
        """Take keys of the next bucket."""
        waiting = self._keys.setdefault((operation, form.name), [])
        waiting += keys
        parts = list(form.parts(waiting))
        if len(parts) > 1:
            self._add(operation, form, parts[:-1])
            self._keys[operation, form.name] = list(parts[-1])

    def end(self, operation: str, form: Form) -> None:
        """Take what is left as the last batch of its form."""
        waiting = self._keys.pop((operation, form.name), [])
        self._add(operation, form, list(form.parts(waiting)))

    def flush(self) -> None:
        """Write what is waiting."""
        for operation, batches in self._ready.items():
            if batches:
                self._state.add_batches(
                    self._job_key, self._list_key, self._seq[operation], batches
                )
                self._seq[operation] += len(batches)
                batches.clear()

    def _add(self, operation: str, form: Form, parts: list[Sequence[bytes]]) -> None:
        count = sum(len(part) for part in parts)
        if operation == "ADD":
            self._counts.add += count
        else:
            self._counts.remove += count
        self._counts.batches += len(parts)
        self._ready[operation] += [(operation, form, part) for part in parts]
        if sum(map(len, self._ready.values())) >= _WRITTEN_AT_ONCE:
            self.flush()
