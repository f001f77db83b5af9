"""What is sure to be on a list, and what may be: against all that Pinterest may hold."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from support.jobs import ask

from pinterest_audiences import CustomerList
from pinterest_audiences._wire.trace import Trace
from pinterest_audiences.jobs import row_keys
from pinterest_audiences.jobs.keys import FORMS, Form
from pinterest_audiences.jobs.rows import ListRow, Receipt
from pinterest_audiences.jobs.snapshot import fold, known_buckets, known_forms, unfolded
from pinterest_audiences.jobs.state import State
from pinterest_audiences.models import RecordRow

# Few keys, so that batches meet; some share a bucket, the first and the last bucket among them.
DIGESTS = [bytes([first, second]) + bytes(30) for first in (0, 7, 255) for second in (1, 2)]
ROWS = [row_keys.encode(RecordRow(external_id=str(n)), keep_unhashed=True) for n in range(6)]
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
    """Return all that a server may hold: an unheard batch may have been taken or not."""
    keys = frozenset(universe[number] for number in step.keys)
    done = {world | keys if step.operation == "ADD" else world - keys for world in worlds}
    return done if step.heard else worlds | done


def play(state: State, row: ListRow, form: Form, step: Step, universe: Sequence[bytes]) -> None:
    """Let one job of one batch happen to the state."""
    keys = sorted((universe[number] for number in step.keys), key=form.bucket)
    job = state.begin_draft(row, "upload", 0.0)
    state.add_batches(job, row.key, 0, [(step.operation, form, keys)])
    state.finish_draft(job, "running")
    (batch,) = state.pending(job)
    for _ in range(step.sends):
        state.mark_sending(batch)
    if step.heard:
        answer = CustomerList(id="1")
        receipt = Receipt(batch, answer, repeats=0, costs=Trace(), time=0.0)
        state.acknowledge(receipt, following=None)
        state.finish(job, 0.0)
    else:
        state.supersede(row.key, ("upload",))


def known(state: State, row: ListRow, form: Form) -> tuple[set[bytes], set[bytes]]:
    """Return the sure keys, and those that may be there."""
    sure: set[bytes] = set()
    maybe: set[bytes] = set()
    with state.database.reading() as sql:
        for bucket in known_buckets(sql, row.key, form):
            assert not bucket.sure & bucket.maybe
            sure |= bucket.sure
            maybe |= bucket.maybe
    return sure, maybe


@settings(max_examples=60)
@given(st.lists(STEPS, max_size=7), st.sampled_from(["sha256", "row"]))
def test_the_snapshot_knows_what_must_be_there_and_what_may(steps: list[Step], name: str) -> None:
    """Sure is what every possible server holds; sure or maybe is what any possible one holds."""
    form, universe = FORMS[name], UNIVERSES[name]
    worlds: set[World] = {frozenset()}
    with tempfile.TemporaryDirectory() as directory:
        state = State(Path(directory, "jobs.sqlite3"), "service")
        row = state.enter_list("549", "1", "x", "created")
        for step in steps:
            worlds = worlds_after(worlds, step, universe)
            play(state, row, form, step, universe)
            must, may = frozenset.intersection(*worlds), frozenset.union(*worlds)
            before = known(state, row, form)
            assert before[0] == must
            assert before[0] | before[1] == may
            for _ in range(step.folds):
                fold(state.database, row.key)
                assert known(state, row, form) == before
        state.close()


@settings(max_examples=40)
@given(st.lists(STEPS, max_size=5), st.sets(st.integers(0, 4)))
def test_what_may_be_there_is_never_taken_for_absent_while_a_job_is_unfinished(
    steps: list[Step], doubtful: set[int]
) -> None:
    """A batch on its way counts as its operation may have been done, or not."""
    form = FORMS["sha256"]
    with tempfile.TemporaryDirectory() as directory:
        state = State(Path(directory, "jobs.sqlite3"), "service")
        row = state.enter_list("549", "1", "x", "created")
        worlds: set[World] = {frozenset()}
        for step in steps:
            worlds = worlds_after(worlds, step, DIGESTS)
            play(state, row, form, step, DIGESTS)
        job = state.begin_draft(row, "upload", 0.0)
        keys = [DIGESTS[number] for number in sorted(doubtful)]
        if keys:
            state.add_batches(job, row.key, 0, [("ADD", form, keys), ("REMOVE", form, DIGESTS)])
        state.finish_draft(job, "running")
        for batch in state.pending(job, 1):  # the second was never sent
            state.mark_sending(batch)
        worlds |= {world | frozenset(keys) for world in worlds}
        sure, maybe = known(state, row, form)
        assert sure == frozenset.intersection(*worlds)
        assert sure | maybe == frozenset.union(*worlds)
        state.close()


def test_a_fold_forgets_the_keys_of_batches_and_keeps_their_receipts(state: Path) -> None:
    """The log does not grow for ever."""
    opened = State(state, "service")
    row = opened.enter_list("549", "1", "x", "created")
    play(opened, row, FORMS["sha256"], Step("ADD", frozenset({1, 2}), True, 1, 0), DIGESTS)
    with opened.database.reading() as sql:
        assert unfolded(sql, row.key) == 1
    fold(opened.database, row.key)
    with opened.database.reading() as sql:
        assert unfolded(sql, row.key) == 0
        assert [form.name for form in known_forms(sql, row.key)] == ["sha256"]
    assert ask(state, "SELECT status, count FROM batch") == [("acknowledged", 2)]
    assert ask(state, "SELECT count(*) FROM content") == [(0,)]
    opened.close()


def test_lists_do_not_see_each_others_keys(state: Path) -> None:
    """Nor does one form see another's."""
    opened = State(state, "service")
    one = opened.enter_list("549", "1", "x", "created")
    other = opened.enter_list("549", "2", "y", "created")
    step = Step("ADD", frozenset({0, 1}), True, 1, 0)
    play(opened, one, FORMS["sha256"], step, DIGESTS)
    play(opened, other, FORMS["row"], step, ROWS)
    for folded in (False, True):
        assert known(opened, one, FORMS["sha256"]) == (set(DIGESTS[:2]), set())
        assert known(opened, one, FORMS["row"]) == (set(), set())
        assert known(opened, other, FORMS["row"]) == (set(ROWS[:2]), set())
        if not folded:
            fold(opened.database, one.key)
            fold(opened.database, other.key)
    opened.close()


def test_a_snapshot_takes_at_most_36_bytes_a_digest(state: Path) -> None:
    """A SHA-256 is 32 of them; the rest is SQLite's own, its pages half full among it."""
    opened, form, count = State(state, "service"), FORMS["sha256"], 100_000
    row = opened.enter_list("549", "1", "x", "created")
    keys = sorted(os.urandom(32) for _ in range(count))
    job = opened.begin_draft(row, "upload", 0.0)
    parts = [("ADD", form, part) for part in form.parts(keys)]
    opened.add_batches(job, row.key, 0, parts)
    opened.finish_draft(job, "running")
    for batch in opened.pending(job, len(parts)):
        opened.mark_sending(batch)
        receipt = Receipt(batch, CustomerList(id="1"), repeats=0, costs=Trace(), time=0.0)
        opened.acknowledge(receipt, following=None)
    fold(opened.database, row.key)
    opened.close()
    ((blobs, records),) = ask(
        state,
        "SELECT sum(length(sure) + length(maybe)), sum(sure_count + maybe_count) FROM segment",
    )
    assert (blobs, records) == (32 * count, count)
    ((pages,),) = ask(state, "SELECT sum(pgsize) FROM dbstat WHERE name LIKE 'segment%'")
    assert isinstance(pages, int)
    assert pages <= 36 * count
