"""Plans of mirrors, compared with the differences of plain sets."""

from __future__ import annotations

import random
import sqlite3
import sys
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from pinterest_audiences._jobs import keys
from pinterest_audiences._jobs.database import Database
from pinterest_audiences._jobs.keys import CODECS, BucketedKeys, KeyedSource, parts_per_bucket
from pinterest_audiences._jobs.membership import compact, count_members, iter_buckets, member_codecs
from pinterest_audiences._jobs.plan import PlanCounts, plan_mirror_batches
from pinterest_audiences._jobs.state import ListRow, State
from pinterest_audiences._jobs.unfinished import end_jobs

WIDTHS = {16: "md5", 20: "sha1", 32: "sha256"}
Digests = Callable[[random.Random, int], list[bytes]]


def even(chance: random.Random, count: int) -> list[bytes]:
    """SHA-256 digests."""
    return [chance.randbytes(32) for _ in range(count)]


def one_bucket(chance: random.Random, count: int) -> list[bytes]:
    """Digests with the same first byte."""
    return [b"\x07" + chance.randbytes(31) for _ in range(count)]


def one_part(chance: random.Random, count: int) -> list[bytes]:
    """Digests that differ only in their last bytes."""
    return [bytes(28) + chance.randbytes(4) for _ in range(count)]


def edges(chance: random.Random, count: int) -> list[bytes]:
    """Digests in the first and the last bucket, and in their first and last parts."""
    edge = (0, 255)
    return [
        bytes([chance.choice(edge), chance.choice(edge)]) + chance.randbytes(30)
        for _ in range(count)
    ]


def all_widths(chance: random.Random, count: int) -> list[bytes]:
    """Digests of all three algorithms."""
    return [chance.randbytes(chance.choice(list(WIDTHS))) for _ in range(count)]


def with_duplicates(chance: random.Random, count: int) -> list[bytes]:
    """SHA-256 digests, each several times."""
    return chance.choices(even(chance, count // 4 + 1), k=count)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Split buckets of a few keys into parts, and use the temporary file for a few hundred."""
    monkeypatch.setattr(keys, "_PART_KEYS", 1)
    monkeypatch.setattr(keys, "_IN_MEMORY", 500)
    monkeypatch.setattr(keys, "MAX_RECORDS", 100)


def plan(state: State, row: ListRow, digests: list[bytes]) -> tuple[int, PlanCounts]:
    """Plan a mirror of a source of these digests."""
    with KeyedSource(
        [], kind="email", column=None, keep_unhashed=False, state=state.path
    ) as source:
        for start in range(0, len(digests), 150):
            source._add([digest.hex() for digest in digests[start : start + 150]])
        job = state.begin_draft(row, "mirror", 0.0)
        counts = plan_mirror_batches(state, row, job, source)
    state.finish_draft(job, "running")
    return job, counts


def acknowledge(state: State, chance: random.Random, job: int, answered: float) -> set[int]:
    """Mark the batches of a job as sent, a share of them as acknowledged; return the others."""
    batches = [batch.key for batch in state.pending(job)]
    lost = {key for key in batches if chance.random() >= answered}
    with state.database.transaction() as sql:
        sql.execute("UPDATE batch SET status = 'sending', sends = 1 WHERE job_id = ?", (job,))
        sql.executemany(
            "UPDATE batch SET status = 'acknowledged' WHERE id = ?",
            [(key,) for key in batches if key not in lost],
        )
    return lost


def changes(state: State, job: int, operation: str) -> dict[int, list[bytes]]:
    """Return the keys of each batch of an operation."""
    return {
        batch.key: list(batch.codec.split(state.keys(batch)))
        for batch in state.pending(job)
        if batch.operation == operation
    }


def joined(batches: dict[int, list[bytes]], but: AbstractSet[int] = frozenset()) -> list[bytes]:
    return [key for batch, batch_keys in batches.items() if batch not in but for key in batch_keys]


@pytest.mark.slow
@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("answered", [1.0, 0.6], ids=["all acknowledged", "some without response"])
@pytest.mark.parametrize(
    "draw",
    [even, one_bucket, one_part, edges, all_widths, with_duplicates],
    ids=lambda f: f.__name__,
)
def test_plans_add_and_remove_the_differences_of_sets(
    tmp_path: Path, draw: Digests, answered: float
) -> None:
    """A list that grows and shrinks, so that its buckets have 1 to 16 parts."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    chance = random.Random(seed)
    pool = draw(chance, 4_500)
    state = State(tmp_path / "jobs.sqlite3", "service")
    row = state.get_or_create_list("549", "1", "x", "created")
    confirmed: set[bytes] = set()
    possible: set[bytes] = set()
    for size in (0, 1, 30, 900, 4_200, 2_000, 4_500, 7, 0):
        wanted = chance.sample(pool, size)
        job, counts = plan(state, row, wanted)
        source = set(wanted)
        adds, removes = changes(state, job, "ADD"), changes(state, job, "REMOVE")
        assert sorted(joined(adds)) == sorted(source - confirmed)
        assert sorted(joined(removes)) == sorted(possible - source)
        assert (counts.add, counts.remove) == (len(source - confirmed), len(possible - source))
        assert (counts.keep, counts.possible) == (len(source & confirmed), len(possible))
        lost = acknowledge(state, chance, job, answered)
        possible |= source
        possible -= set(joined(removes, but=lost))
        confirmed |= set(joined(adds, but=lost))
        confirmed -= set(joined(removes))
        end_jobs(state, row.key, state.jobs(row.key, "running"), "superseded")
        assert count_members(state, row.key) == (len(confirmed), len(possible - confirmed))
        compact(state.database, row.key)
        assert count_members(state, row.key) == (len(confirmed), len(possible - confirmed))
    state.close()


@pytest.mark.usefixtures("small_parts")
def test_segments_have_their_parts_in_order(tmp_path: Path) -> None:
    """So that a plan need not sort the keys of a list, only those of its source."""
    state = State(tmp_path / "jobs.sqlite3", "service")
    row = state.get_or_create_list("549", "1", "x", "created")
    job, _ = plan(state, row, even(random.Random(5), 3_000))
    acknowledge(state, random.Random(5), job, answered=1.0)
    compact(state.database, row.key)
    parts = parts_per_bucket(3_000)
    with state.database.reading() as sql:
        (codec,) = member_codecs(sql, row.key)
        blobs = [blob for (blob,) in sql.execute("SELECT sure FROM segment ORDER BY first")]
        members = list(iter_buckets(sql, row.key, codec, parts=parts))
    state.close()
    stored = [key for blob in blobs for key in codec.split(blob)]
    numbers = [key[0] * parts + key[1] * parts // 256 for key in stored]
    assert len(stored) == 3_000
    assert all(before <= after for before, after in pairwise(numbers))
    assert [len(part.confirmed) for part in members] == [
        numbers.count(number) for number in range(256 * parts)
    ]


@pytest.mark.usefixtures("small_parts")
def test_compaction_that_was_killed_between_its_transactions_is_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The members are the same, and the next compaction deletes the keys of the batches."""
    state = State(tmp_path / "jobs.sqlite3", "service")
    row = state.get_or_create_list("549", "1", "x", "created")
    digests = even(random.Random(6), 700)
    job, _ = plan(state, row, digests)
    acknowledge(state, random.Random(6), job, answered=1.0)
    transaction, begun = Database.transaction, [0]

    @contextmanager
    def killed(self: Database) -> Iterator[sqlite3.Connection]:
        begun[0] += 1
        if begun[0] > 1:
            raise KeyboardInterrupt
        with transaction(self) as sql:
            yield sql

    with monkeypatch.context() as patch:
        patch.setattr(Database, "transaction", killed)
        with pytest.raises(KeyboardInterrupt):
            compact(state.database, row.key)
    assert count_contents(state) > 0
    for _ in range(2):
        assert count_members(state, row.key) == (700, 0)
        compact(state.database, row.key)
        assert count_contents(state) == 0
    _, counts = plan(state, row, digests[1:])
    assert (counts.add, counts.remove, counts.keep) == (0, 1, 699)
    state.close()


def count_contents(state: State) -> int:
    with state.database.reading() as sql:
        (count,) = sql.execute("SELECT count(*) FROM content").fetchone()
    return int(count)


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("count", [0, 1, 2_500])
def test_bucket_of_digests_is_split_by_the_second_byte(
    width: int, count: int, *, ordered: bool
) -> None:
    chance = random.Random(count)
    bucket = [b"\xff" + chance.randbytes(width - 1) for _ in range(count)]
    if ordered:
        bucket.sort()
    codec = CODECS[WIDTHS[width]]
    for parts in (1, 2, 16, 256):
        split = list(codec.split_bucket(codec.join(bucket), parts))
        assert [sorted(part) for part in split] == [
            sorted(key for key in bucket if key[1] * parts // 256 == number)
            for number in range(parts)
        ]


@pytest.mark.parametrize("parts", [1, 2, 256])
@pytest.mark.parametrize("name", [*WIDTHS.values(), "row"])
def test_blob_of_another_length_is_refused(name: str, parts: int) -> None:
    """As in a damaged state file."""
    codec = CODECS[name]
    blob = codec.join([bytes(getattr(codec, "width", 40))] * 3)
    for damaged in (blob[:-1], blob + b"\1\1\1"):
        with pytest.raises(ValueError, match="length"):
            list(codec.split_bucket(damaged, parts))
        with pytest.raises(ValueError, match="length"):
            codec.split_buckets(damaged)


@pytest.mark.parametrize(
    ("count", "parts"),
    [(0, 1), (640_000, 1), (640_001, 2), (10_000_000, 16), (1 << 30, 256), (1 << 40, 256)],
)
def test_number_of_parts_follows_the_number_of_records(count: int, parts: int) -> None:
    """About 2,500 keys in each part of the 256 buckets; never more than a byte can name."""
    assert parts_per_bucket(count) == parts


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc")
def test_source_of_any_size_uses_one_file_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One unnamed file, however often it is written; none is left when it is closed."""
    monkeypatch.setattr(keys, "_IN_MEMORY", 10)
    chance = random.Random(1)
    before = open_descriptors()
    bucketed = BucketedKeys(CODECS["sha256"], str(tmp_path))
    for _ in range(100):
        bucketed.add(even(chance, 20))
    assert open_descriptors() == before + 1
    assert list(tmp_path.iterdir()) == []
    bucketed.close()
    assert open_descriptors() == before
