"""Remove people from every list, and from the state, for requests of erasure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import anyio
from attrs import define, field

from pinterest_audiences.errors import ConfigurationError
from pinterest_audiences.jobs import row_keys
from pinterest_audiences.jobs.desk import in_thread
from pinterest_audiences.jobs.keys import FORMS, Form
from pinterest_audiences.jobs.planning import plan_keys
from pinterest_audiences.jobs.report import ForgetReceipt, ForgottenIn
from pinterest_audiences.jobs.snapshot import fold, known_buckets, known_forms
from pinterest_audiences.jobs.source import OPAQUE_KINDS
from pinterest_audiences.records.chunks import Block
from pinterest_audiences.records.hashing import HashAlgorithm
from pinterest_audiences.records.identifiers import (
    KIND_RULES,
    Identified,
    IdentifierKind,
    identify,
    known_kind,
    make_rules,
)
from pinterest_audiences.records.iterables import iterating
from pinterest_audiences.records.reasons import Fault, RejectReason
from pinterest_audiences.records.sources import Source, open_source

if TYPE_CHECKING:
    from pinterest_audiences.jobs.rows import ListRow
    from pinterest_audiences.jobs.run import Work
    from pinterest_audiences.jobs.state import State
    from pinterest_audiences.records.chunks import Chunk

__all__ = ["People", "aread_people", "forget", "read_people"]

_WIDTHS = {32: "sha256", 20: "sha1", 16: "md5"}


@define
class People:
    """The digests of identifiers in every form that may be on a list.

    Attributes:
        count: How many identifiers were given.
        unusable: How many of them are none.
        digests: Their digests.
    """

    count: int = 0
    unusable: int = 0
    digests: set[bytes] = field(factory=set[bytes], repr=False)


class _Reader:
    """Makes the digests of identifiers by every algorithm; a hash stands for itself."""

    def __init__(self, kind: IdentifierKind | str) -> None:
        self.kind = known_kind(kind)
        if self.kind in OPAQUE_KINDS:
            raise ConfigurationError(
                f"kind: {self.kind} is not hashed, and no job keeps such records"
            )
        self.people = People()
        self._rules = [
            make_rules(algorithm=algorithm, idfa_case=case)
            for algorithm in HashAlgorithm
            for case in ("lower", "upper")
        ]

    def take(self, chunk: Chunk, *, in_table: bool) -> None:
        for value in chunk.values() if isinstance(chunk, Block) else chunk.values:
            if _is_blank_line(value, in_table=in_table):
                continue
            self.people.count += 1
            outcomes = [identify(value, KIND_RULES[self.kind], rules) for rules in self._rules]
            records = {each.record for each in outcomes if isinstance(each, Identified)}
            self.people.unusable += not records
            self.people.digests.update(bytes.fromhex(record) for record in records)


def _is_blank_line(value: object, *, in_table: bool) -> bool:
    """Tell whether a value is a line without anybody, as editors leave them."""
    if isinstance(value, Fault):
        return value.reason == RejectReason.EMPTY
    # An empty cell in a row of a table is somebody who cannot be found by it.
    return not in_table and isinstance(value, str) and not value.strip()


def read_people(people: object, kind: IdentifierKind | str) -> People:
    """Read whom to forget; blank lines are nobody.

    Args:
        people: One identifier as a string, or what `open_source` takes.
        kind: What they are.

    Raises:
        ConfigurationError: There is no such kind, or records of it are kept by no job.
        SourceError: They cannot be read to the end.
    """
    reader = _Reader(kind)
    source = _source(people)
    choice = source.choice(reader.kind)
    for chunk in source.chunks(choice):
        reader.take(chunk, in_table=choice.settled)
    return reader.people


async def aread_people(people: object, kind: IdentifierKind | str) -> People:
    """Read whom to forget, from a source that may have to be awaited; else :func:`read_people`."""
    source = _source(people)
    reader = _Reader(kind)
    choice = source.choice(reader.kind)
    chunks = source.async_chunks(choice)
    if chunks is None:
        return read_people(source, kind)
    async with iterating(chunks) as each:
        async for chunk in each:
            reader.take(chunk, in_table=choice.settled)
    return reader.people


def _source(people: object) -> Source:
    return open_source([people] if isinstance(people, str) else people)


async def forget(
    work: Work, people: People, ad_account_id: str | int | None, reference: str
) -> ForgetReceipt:
    """Remove people from every list in the state; the lists side by side.

    What goes wrong with a list is told in the receipt, so that the others are not kept waiting.
    """
    begun = work.desk.clock.time()
    done: dict[int, ForgottenIn] = {}

    async def one(row: ListRow) -> None:
        try:
            async with work.desk.state(work.state_path) as own:
                done[row.key] = await _forget_in(work, own, row, people)
        except Exception as error:  # noqa: BLE001 - told in the receipt
            done[row.key] = _told(row, problem=str(error))

    async with work.desk.state(work.state_path) as state:
        account = None if ad_account_id is None else str(ad_account_id)
        rows = await in_thread(state.lists, account) if people.count else []
        async with anyio.create_task_group() as tasks:
            for row in rows:
                tasks.start_soon(one, row)
        await in_thread(state.database.erase_traces)
    return ForgetReceipt(
        reference=reference,
        people=people.count,
        unusable=people.unusable,
        begun=begun,
        lists=tuple(
            each for _, each in sorted(done.items()) if each.customer_list_id or each.problem
        ),
    )


async def _forget_in(work: Work, state: State, row: ListRow, people: People) -> ForgottenIn:
    with state.locked(row):
        for job in await in_thread(state.jobs, row.key, "running"):
            await work.finish(state, job)  # what it adds has to be removed after it
        row = await in_thread(state.list_row, row.key)
        await in_thread(state.drop_plans, row)  # an old plan must not bring anybody back
        await in_thread(fold, state.database, row.key)
        if row.customer_list_id is None:
            return _told(row)
        keys = await in_thread(_keys_on, state, row, people.digests)
        if not keys:
            return _told(row)
        job_key = await in_thread(state.begin_draft, row, "forget", work.desk.clock.time())
        await in_thread(plan_keys, state, row, job_key, keys)
        await in_thread(state.finish_draft, job_key, "running")
        report = None
        for job in await in_thread(state.jobs, row.key, "running"):
            report = await work.finish(state, job)
        return _told(row, records=0 if report is None else report.removed)


def _keys_on(state: State, row: ListRow, digests: set[bytes]) -> list[tuple[Form, set[bytes]]]:
    """Return the keys of these people that may be on a list.

    Where somebody else has written to the list, nobody knows: all forms are removed.
    """
    found: dict[str, set[bytes]] = {}
    if row.origin != "created":
        for digest in digests:
            found.setdefault(_WIDTHS[len(digest)], set()).add(digest)
    with state.database.reading() as sql:
        for form in known_forms(sql, row.key):
            mine = found.setdefault(form.name, set())
            for known in known_buckets(sql, row.key, form):
                mine.update(_of(known.possible, digests, rows=form.name == "row"))
    return [(FORMS[name], keys) for name, keys in found.items() if keys]


def _of(keys: set[bytes], digests: set[bytes], *, rows: bool) -> Iterator[bytes]:
    if not rows:
        return iter(keys & digests)
    return (key for key in keys if not digests.isdisjoint(row_keys.digests(key)))


def _told(row: ListRow, *, records: int = 0, problem: str = "") -> ForgottenIn:
    return ForgottenIn(
        ad_account_id=row.ad_account_id,
        customer_list_id=row.customer_list_id or "",
        name=row.name,
        records=records,
        content_known=row.origin == "created",
        problem=problem,
    )
