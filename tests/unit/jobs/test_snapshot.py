"""Confirmed and possible members, compared with all states that Pinterest may have."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from support.jobs import ask

from pinterest_audiences import CustomerList
from pinterest_audiences._http.session import CallMetrics
from pinterest_audiences._jobs import keys
from pinterest_audiences._jobs.keys import CODECS, KeyCodec
from pinterest_audiences._jobs.membership import compact, count_pending, iter_buckets, member_codecs
from pinterest_audiences._jobs.state import Ack, ListRow, State
from pinterest_audiences._jobs.unfinished import end_jobs
from pinterest_audiences._models import RecordRow

pytestmark = pytest.mark.slow

# Few keys, so that batches meet; some share a bucket, the first and the last bucket among them.
DIGESTS = [bytes([first, second]) + bytes(30) for first in (0, 7, 255) for second in (1, 2)]
ROWS = [keys.encode_row(RecordRow(external_id=str(n)), keep_unhashed=True) for n in range(6)]
UNIVERSES = {"sha256": DIGESTS, "row": ROWS}


@frozen
class Step:
    """A batch: what it does to which keys, and whether an answer came; or a fold."""

    operation: str
    keys: frozenset[int]
    heard: bool
    sends: int
    folds: int


STEPS = st.builds(
    Step,
    st.sampled_from(["ADD", "REMOVE"]),
    st.frozensets(st.integers(0, 5), min_size=1),
    st.booleans(),
    st.integers(1, 3),
    st.sampled_from([0, 0, 0, 1, 2]),
)

World = frozenset[bytes]


def worlds_after(worlds: set[World], step: Step, universe: Sequence[bytes]) -> set[World]:
    """Return all possible states of a server: a batch without response was applied or not."""
    keys = frozenset(universe[number] for number in step.keys)
    done = {world | keys if step.operation == "ADD" else world - keys for world in worlds}
    return done if step.heard else worlds | done


def play(
    state: State, row: ListRow, codec: KeyCodec, step: Step, universe: Sequence[bytes]
) -> None:
    """Run a job of one batch on the state file."""
    keys = sorted((universe[number] for number in step.keys), key=codec.bucket)
    job = state.begin_draft(row, "upload", 0.0)
    state.add_batches(job, row.key, 0, [(step.operation, codec, keys)])
    state.finish_draft(job, "running")
    (batch,) = state.pending(job)
    for _ in range(step.sends):
        state.mark_sending(batch)
    if step.heard:
        answer = CustomerList(id="1")
        receipt = Ack(batch, answer, maybe_applied=0, costs=CallMetrics(), time=0.0)
        state.acknowledge(receipt, following=None)
        state.finish(job, 0.0)
    else:
        end_jobs(state, row.key, state.jobs(row.key, "running"), "superseded")


def known(state: State, row: ListRow, codec: KeyCodec) -> tuple[set[bytes], set[bytes]]:
    """Return the confirmed and the unconfirmed members."""
    sure: set[bytes] = set()
    maybe: set[bytes] = set()
    with state.database.reading() as sql:
        for bucket in iter_buckets(sql, row.key, codec):
            assert not bucket.confirmed & bucket.unconfirmed
            sure |= bucket.confirmed
            maybe |= bucket.unconfirmed
    return sure, maybe


@settings(max_examples=60)
@given(st.lists(STEPS, max_size=7), st.sampled_from(["sha256", "row"]))
def test_membership_is_what_all_or_some_possible_servers_have(steps: list[Step], name: str) -> None:
    """Confirmed keys are on every possible server; confirmed or unconfirmed ones on some."""
    codec, universe = CODECS[name], UNIVERSES[name]
    worlds: set[World] = {frozenset()}
    with tempfile.TemporaryDirectory() as directory:
        state = State(Path(directory, "jobs.sqlite3"), "service")
        row = state.get_or_create_list("549", "1", "x", "created")
        for step in steps:
            worlds = worlds_after(worlds, step, universe)
            play(state, row, codec, step, universe)
            must, may = frozenset.intersection(*worlds), frozenset.union(*worlds)
            before = known(state, row, codec)
            assert before[0] == must
            assert before[0] | before[1] == may
            for _ in range(step.folds):
                compact(state.database, row.key)
                assert known(state, row, codec) == before
        state.close()


@settings(max_examples=40)
@given(st.lists(STEPS, max_size=5), st.sets(st.integers(0, 4)))
def test_possible_members_are_never_absent_while_a_job_is_unfinished(
    steps: list[Step], doubtful: set[int]
) -> None:
    """A batch that is being sent may have been applied or not."""
    codec = CODECS["sha256"]
    with tempfile.TemporaryDirectory() as directory:
        state = State(Path(directory, "jobs.sqlite3"), "service")
        row = state.get_or_create_list("549", "1", "x", "created")
        worlds: set[World] = {frozenset()}
        for step in steps:
            worlds = worlds_after(worlds, step, DIGESTS)
            play(state, row, codec, step, DIGESTS)
        job = state.begin_draft(row, "upload", 0.0)
        keys = [DIGESTS[number] for number in sorted(doubtful)]
        if keys:
            state.add_batches(job, row.key, 0, [("ADD", codec, keys), ("REMOVE", codec, DIGESTS)])
        state.finish_draft(job, "running")
        for batch in state.pending(job, 1):  # the second was never sent
            state.mark_sending(batch)
        worlds |= {world | frozenset(keys) for world in worlds}
        sure, maybe = known(state, row, codec)
        assert sure == frozenset.intersection(*worlds)
        assert sure | maybe == frozenset.union(*worlds)
        state.close()


def test_compaction_deletes_the_keys_of_batches_and_keeps_their_counts(state: Path) -> None:
    """The log does not grow without limit."""
    opened = State(state, "service")
    row = opened.get_or_create_list("549", "1", "x", "created")
    play(opened, row, CODECS["sha256"], Step("ADD", frozenset({1, 2}), True, 1, 0), DIGESTS)
    with opened.database.reading() as sql:
        assert count_pending(sql, row.key) == 1
    compact(opened.database, row.key)
    with opened.database.reading() as sql:
        assert count_pending(sql, row.key) == 0
        assert [codec.name for codec in member_codecs(sql, row.key)] == ["sha256"]
    assert ask(state, "SELECT status, count FROM batch") == [("acknowledged", 2)]
    assert ask(state, "SELECT count(*) FROM content") == [(0,)]
    opened.close()


def test_members_of_lists_are_separate(state: Path) -> None:
    """So are those of different hashes."""
    opened = State(state, "service")
    one = opened.get_or_create_list("549", "1", "x", "created")
    other = opened.get_or_create_list("549", "2", "y", "created")
    step = Step("ADD", frozenset({0, 1}), True, 1, 0)
    play(opened, one, CODECS["sha256"], step, DIGESTS)
    play(opened, other, CODECS["row"], step, ROWS)
    for folded in (False, True):
        assert known(opened, one, CODECS["sha256"]) == (set(DIGESTS[:2]), set())
        assert known(opened, one, CODECS["row"]) == (set(), set())
        assert known(opened, other, CODECS["row"]) == (set(ROWS[:2]), set())
        if not folded:
            compact(opened.database, one.key)
            compact(opened.database, other.key)
    opened.close()


def test_segments_take_at_most_36_bytes_per_digest(state: Path) -> None:
    """A SHA-256 digest has 32; the rest is SQLite's overhead."""
    opened, codec, count = State(state, "service"), CODECS["sha256"], 100_000
    row = opened.get_or_create_list("549", "1", "x", "created")
    keys = sorted(os.urandom(32) for _ in range(count))
    job = opened.begin_draft(row, "upload", 0.0)
    parts = [("ADD", codec, part) for part in codec.parts(keys)]
    opened.add_batches(job, row.key, 0, parts)
    opened.finish_draft(job, "running")
    for batch in opened.pending(job, len(parts)):
        opened.mark_sending(batch)
        receipt = Ack(batch, CustomerList(id="1"), maybe_applied=0, costs=CallMetrics(), time=0.0)
        opened.acknowledge(receipt, following=None)
    compact(opened.database, row.key)
    opened.close()
    ((blobs, records),) = ask(
        state,
        "SELECT sum(length(sure) + length(maybe)), sum(sure_count + maybe_count) FROM segment",
    )
    assert (blobs, records) == (32 * count, count)
    ((pages,),) = ask(state, "SELECT sum(pgsize) FROM dbstat WHERE name LIKE 'segment%'")
    assert isinstance(pages, int)
    assert pages <= 36 * count
