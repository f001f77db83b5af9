"""Erasure: remove identifiers from every list and from the state file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import anyio
from attrs import define, field

from pinterest_audiences._errors import ConfigurationError, NotFoundError
from pinterest_audiences._http.operations import validate_id
from pinterest_audiences._jobs.job_context import MAX_LISTS_AT_ONCE, in_thread
from pinterest_audiences._jobs.job_errors import JobInterruptedError, summary_of
from pinterest_audiences._jobs.keys import (
    CODECS,
    DIGEST_CODECS,
    OPAQUE_KINDS,
    KeyCodec,
    row_digests,
)
from pinterest_audiences._jobs.lookup import find_unanswered_creation
from pinterest_audiences._jobs.membership import compact, iter_buckets, member_codecs
from pinterest_audiences._jobs.plan import ExpectedRows, plan_erasure
from pinterest_audiences._jobs.reports import ErasureReport, ListErasure
from pinterest_audiences._jobs.unfinished import erase_list, remove_keys
from pinterest_audiences._models import IdentifierType
from pinterest_audiences._records.chunks import RejectReason, UnreadableRow, aclosing_iter
from pinterest_audiences._records.identifiers import (
    KIND_NORMALIZERS,
    HashAlgorithm,
    check_kind,
    make_options,
    normalize_all,
)
from pinterest_audiences._records.sources import Source, SourceLike, open_source
from pinterest_audiences._text import counted

if TYPE_CHECKING:
    from pinterest_audiences._jobs.runner import JobOptions
    from pinterest_audiences._jobs.state import ListRow, State
    from pinterest_audiences._records.chunks import Chunk

__all__ = ["ErasureTargets", "aread_targets", "forget", "read_targets"]


@define
class ErasureTargets:
    """The identifiers to erase, hashed in every way in which they may be on a list.

    Attributes:
        count: Number of identifiers given.
        unusable: Number of them that are not valid.
        rows: Rows of the source, without blank lines.
        digests: The hashes.
    """

    count: int = 0
    unusable: int = 0
    rows: int = 0
    digests: set[bytes] = field(factory=set[bytes], repr=False)


class _Reader:
    """Hashes identifiers with every algorithm; identifiers that are hashes stay as they are."""

    def __init__(self, kind: IdentifierType | str, expected: ExpectedRows | None) -> None:
        self.kind = check_kind(kind)
        self._expected = expected
        if expected is not None and expected.count is None:
            raise ConfigurationError(
                "expect_rows must be a number of rows for an erasure, which has no last run to "
                "compare with",
                param="expect_rows",
            )
        if self.kind in OPAQUE_KINDS:
            raise ConfigurationError(
                f"kind must be a hashed type; jobs do not store records of type {self.kind}",
                param="kind",
            )
        self.targets = ErasureTargets()
        self._options = [
            make_options(algorithm=algorithm, idfa_case=case)
            for algorithm in HashAlgorithm
            for case in ("lower", "upper")
        ]

    def add(self, chunk: Chunk, *, in_table: bool) -> None:
        blank = 0
        for value in chunk.values:
            if _is_blank_line(value, in_table=in_table):
                blank += 1
                continue
            normalizer = KIND_NORMALIZERS[self.kind]
            # A cell may contain several identifiers; if one of them is invalid, all are unusable.
            outcomes = [normalize_all(value, normalizer, options) for options in self._options]
            valid = [outcome for outcome in outcomes if not isinstance(outcome, RejectReason)]
            self.targets.count += len(valid[0]) if valid else 1
            self.targets.unusable += not valid
            self.targets.digests.update(
                bytes.fromhex(identifier.record) for group in valid for identifier in group
            )
        # Only a source of single values has blank lines, so that each is a row.
        self.targets.rows += max(chunk.count - blank, 0)

    def end(self, source: str) -> ErasureTargets:
        """Check the number of rows, and return the targets."""
        if self._expected is not None:
            self._expected.check(source, self.targets.rows, None)
        return self.targets


def _is_blank_line(value: object, *, in_table: bool) -> bool:
    """Return whether a value is a blank line, which editors leave at the end of files."""
    if isinstance(value, UnreadableRow):
        return value.reason == RejectReason.EMPTY
    # An empty cell in a row of a table stands for a person, who cannot be found by it.
    return not in_table and isinstance(value, str) and not value.strip()


def read_targets(
    people: SourceLike, kind: IdentifierType | str, expected: ExpectedRows | None = None
) -> ErasureTargets:
    """Read the identifiers to erase; blank lines are skipped.

    Args:
        people: One identifier as a string, or any source that `open_source` accepts.
        kind: The type of the identifiers.
        expected: The minimum number of rows.

    Raises:
        ConfigurationError: The kind is not valid, jobs do not store records of it, the source is
            limited, or a share of rows is expected.
        SourceError: The source cannot be read to its end.
        GuardError: The source has fewer rows than expected.
    """
    reader = _Reader(kind, expected)
    source = _source(people)
    choice = source.choice(reader.kind)
    for chunk in source.chunks(choice):
        reader.add(chunk, in_table=choice.resolved)
    return reader.end(source.name)


async def aread_targets(
    people: SourceLike, kind: IdentifierType | str, expected: ExpectedRows | None = None
) -> ErasureTargets:
    """Read the identifiers to erase like `read_targets`, also from an asynchronous source."""
    reader = _Reader(kind, expected)
    source = _source(people)
    choice = source.choice(reader.kind)
    chunks = source.async_chunks(choice)
    if chunks is None:
        return read_targets(source, kind, expected)
    async with aclosing_iter(chunks) as item:
        async for chunk in item:
            reader.add(chunk, in_table=choice.resolved)
    return reader.end(source.name)


def _source(people: SourceLike) -> Source:
    source = open_source([people] if isinstance(people, str) else people)
    if source.max_rows is not None:
        raise ConfigurationError(
            f"people: {source.name} is limited to its first {counted(source.max_rows, 'row')}, "
            "and the people in the others would not be erased",
            param="people",
            suggestion="remove the limit",
        )
    return source


async def forget(
    options: JobOptions, targets: ErasureTargets, ad_account_id: str | int | None, reference: str
) -> ErasureReport:
    """Remove identifiers from every list in the state file, several lists concurrently.

    An error in one list is reported in the result, and does not stop the other lists.

    Raises:
        ConfigurationError: The ad account id is not valid.
    """
    account = None if ad_account_id is None else validate_id("ad_account_id", ad_account_id)
    begun = options.context.clock.time()
    results: dict[int, list[ListErasure]] = {}
    limiter = anyio.CapacityLimiter(MAX_LISTS_AT_ONCE)

    async def erase(row: ListRow) -> None:
        try:
            async with limiter, options.context.state(options.state_path) as list_state:
                results[row.key] = await _erase_from_list(options, list_state, row, targets.digests)
        except Exception as error:  # noqa: BLE001 - reported in the result; the other lists continue
            results[row.key] = [_list_result(row, problem=summary_of(error))]

    async with options.context.state(options.state_path) as state:
        rows = await in_thread(state.lists, account) if targets.count else []
        async with anyio.create_task_group() as tasks:
            for row in rows:
                tasks.start_soon(erase, row)
        await in_thread(state.database.erase_traces)
    return ErasureReport(
        reference=reference,
        people=targets.count,
        unusable=targets.unusable,
        begun=begun,
        lists=tuple(
            item
            for _, erased in sorted(results.items())
            for item in erased
            if item.customer_list_id or item.problem
        ),
    )


def count_targets(
    state: State, accounts: Iterable[str], targets: ErasureTargets
) -> tuple[ListErasure, ...]:
    """Return how many records an erasure would remove from each list of the state file.

    Args:
        state: The state file.
        accounts: The ad accounts of the lists.
        targets: The people to erase.
    """
    return tuple(
        _list_result(
            row, records=sum(len(keys) for _, keys in _possible_keys(state, row, targets.digests))
        )
        for account in accounts
        for row in state.lists(account)
    )


async def _erase_from_list(
    options: JobOptions, state: State, row: ListRow, digests: set[bytes]
) -> list[ListErasure]:
    """Remove identifiers from one list; its unfinished jobs continue without them."""
    with state.locked(row):
        await in_thread(state.drop_plans, row)  # a stored plan would add the identifiers again
        row = await in_thread(state.list_row, row.key)
        others: list[ListErasure] = []
        if row.customer_list_id is None:
            row, other_rows = await _find_created(options, state, row, digests)
            for other in other_rows:
                others += await _erase_from_list(options, state, other, digests)
        return [await _remove(options, state, row, digests), *others]


async def _find_created(
    options: JobOptions, state: State, row: ListRow, digests: set[bytes]
) -> tuple[ListRow, list[ListRow]]:
    """Find the lists that a create without a response may have created with these identifiers.

    Returns:
        The row, with an id if an unfinished job continues with such a list, and the rows of the
        other lists that may have been created.
    """
    if not await in_thread(_possible_keys, state, row, digests):
        return row, []
    unanswered = await options.retries(row.ad_account_id).call(
        lambda: find_unanswered_creation(options.context, state, row)
    )
    rows = await in_thread(state.lists, row.ad_account_id)
    stored_ids = {stored.customer_list_id for stored in rows}
    ids = [list_id for list_id in unanswered.lists if list_id not in stored_ids]
    if ids and any(job.status == "running" for job in unanswered.jobs):
        await in_thread(state.set_customer_list_id, row.key, ids.pop(0))
    others = [
        await in_thread(state.get_or_create_list, row.ad_account_id, list_id, row.name, "foreign")
        for list_id in ids
    ]
    return await in_thread(state.list_row, row.key), others


async def _remove(
    options: JobOptions, state: State, row: ListRow, digests: set[bytes]
) -> ListErasure:
    """Remove identifiers from a list at Pinterest and from its unfinished jobs."""
    now = options.context.clock.time()

    def matching(codec: KeyCodec, keys: Sequence[bytes]) -> set[bytes]:
        return set(_matching_keys(set(keys), digests, rows=codec.name == "row"))

    if row.customer_list_id is None:
        await in_thread(lambda: remove_keys(state, row.key, matching, now))
        return _list_result(row)
    await in_thread(compact, state.database, row.key)
    keys = await in_thread(_possible_keys, state, row, digests)
    if not keys:
        await in_thread(lambda: remove_keys(state, row.key, matching, now))
        return _list_result(row)
    job_key = await in_thread(state.begin_draft, row, "forget", now)
    await in_thread(plan_erasure, state, row, job_key, keys, options.batch_size)
    # Unfinished jobs continue without these keys, so they need not be finished first.
    await in_thread(lambda: remove_keys(state, row.key, matching, now, erasure=job_key))
    (job,) = [job for job in await in_thread(state.jobs, row.key) if job.key == job_key]
    try:
        report = await options.run(state, job)
    except JobInterruptedError as error:
        if not isinstance(error.__cause__, NotFoundError):
            raise
        if not await options.retries(row.ad_account_id).call(lambda: _is_gone(options, row)):
            raise
        await in_thread(erase_list, state, row.key)
        return _list_result(row, gone=True)
    problem = (
        f"Pinterest refused to remove {counted(report.refused, 'record')}" if report.refused else ""
    )
    return _list_result(row, records=report.removed, problem=problem)


async def _is_gone(options: JobOptions, row: ListRow) -> bool:
    """Return whether Pinterest has no such list, in an ad account whose lists can be read."""
    calls = options.context.calls
    try:
        await calls.customer_lists_get(row.ad_account_id, row.customer_list_id or "")
    except NotFoundError:
        async for item in calls.customer_lists_list(row.ad_account_id, page_size=1):
            return item.id != row.customer_list_id
        return True
    return False


def _possible_keys(
    state: State, row: ListRow, digests: set[bytes]
) -> list[tuple[KeyCodec, set[bytes]]]:
    """Return the keys of these identifiers that may be on a list.

    The members of a list that was not created by a job are unknown: all hashes are returned.
    """
    keys_by_codec: dict[str, set[bytes]] = {}
    if row.origin != "created":
        for digest in digests:
            keys_by_codec.setdefault(DIGEST_CODECS[len(digest)].name, set()).add(digest)
    with state.database.reading() as sql:
        for codec in member_codecs(sql, row.key):
            keys = keys_by_codec.setdefault(codec.name, set())
            for bucket in iter_buckets(sql, row.key, codec):
                keys.update(_matching_keys(bucket.possible, digests, rows=codec.name == "row"))
    return [(CODECS[name], keys) for name, keys in keys_by_codec.items() if keys]


def _matching_keys(members: set[bytes], digests: set[bytes], *, rows: bool) -> Iterator[bytes]:
    """Return the keys that are one of these digests, or rows that contain one."""
    if not rows:
        return iter(members & digests)
    return (key for key in members if not digests.isdisjoint(row_digests(key)))


def _list_result(
    row: ListRow, *, records: int = 0, problem: str = "", gone: bool = False
) -> ListErasure:
    return ListErasure(
        ad_account_id=row.ad_account_id,
        customer_list_id=row.customer_list_id or "",
        name=row.name,
        records=records,
        content_known=row.origin == "created",
        problem=problem,
        gone=gone,
    )
