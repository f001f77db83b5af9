"""Preparing records against the bare comprehension, in time and in memory.

``python benchmarks/records.py`` takes some minutes; ``--full`` is 5 million rows for time and
1, 5 and 20 million for memory.
"""

from __future__ import annotations

import functools
import hashlib
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from harness import Row, show

from pinterest_audiences import HashAlgorithm, IdentifierKind, open_source, prepare
from pinterest_audiences.records.batches import BatchMaker
from pinterest_audiences.records.blocks import email_hasher
from pinterest_audiences.records.chunks import Block
from pinterest_audiences.records.columns import ColumnChoice
from pinterest_audiences.records.iterables import item_chunks

ROUNDS = 5
FLOOR = "bare strip, lower, SHA-256"
MEGABYTE = 1024  # ru_maxrss counts kilobytes on Linux
DOMAINS = (
    "gmail.com", "yahoo.co.uk", "hotmail.com", "web.de", "outlook.com", "mail.company-name.com"
)  # fmt: skip
NAMES = ["anna", "bob", "carla", "dieter", "emma", "fritz", "noemi", "tess", "nina", "umberto"]


def addresses(count: int, *, wrong: bool = False) -> Iterator[str]:
    """Make e-mails: one in ten with capitals, one in fifty with a space; one in a hundred wrong."""
    chance = random.Random(7)
    for number in range(count):
        name = f"{chance.choice(NAMES)}.{chance.randrange(10**7)}"
        address = f"{name}@{chance.choice(DOMAINS)}"
        if number % 10 == 0:
            address = address.title()
        if number % 50 == 0:
            address = f" {address}"
        if wrong and number % 100 == 0:
            address = name
        yield address


def medians(*runs: Callable[[], object]) -> list[float]:
    """Run each in turn and return the median seconds of each; the first round warms up."""
    spent: list[list[float]] = [[] for _ in runs]
    for turn in range(ROUNDS + 1):
        for seconds, run in zip(spent, runs, strict=True):
            start = time.process_time()
            run()
            if turn:
                seconds.append(time.process_time() - start)
    return [statistics.median(seconds) for seconds in spent]


def bare(emails: list[str]) -> list[str]:
    """Do what must be done, and nothing else."""
    sha256 = hashlib.sha256
    return [sha256(x.strip().lower().encode()).hexdigest() for x in emails]


def to_bodies(source: object) -> int:
    """Do all of it: read, check, normalise, hash, reject, join."""
    ready = prepare(source)
    return sum(len(batch.fragment) for batch in ready.batches())


def without_checks(emails: list[str]) -> int:
    """Do the same by the same parts, but look at no address: chunks, lower, hash, join."""
    choice, maker = ColumnChoice(IdentifierKind.EMAIL), BatchMaker("records", trusted=True)
    size = 0
    for chunk in item_chunks(emails, choice, "list"):
        assert isinstance(chunk, Block)
        records = email_hasher(HashAlgorithm.SHA256)(chunk.data.lower())
        size += sum(len(batch.fragment) for batch in maker.add(records))
    return size + sum(len(batch.fragment) for batch in maker.finish())


def preparing(count: int) -> list[Row]:
    """Measure strings in memory, batches and bodies included."""
    good, mixed = list(addresses(count)), list(addresses(count, wrong=True))
    floor, unchecked, clean, rejecting = medians(
        functools.partial(bare, good),
        functools.partial(without_checks, good),
        functools.partial(to_bodies, good),
        functools.partial(to_bodies, mixed),
    )
    figure = f"{count:,} e-mails to bodies"
    return [
        Row(f"{figure}, unchecked", FLOOR, unchecked / floor, "x", 1.25),
        Row(f"{figure}, checked", FLOOR, clean / floor, "x", 1.5),
        Row(f"{figure}, checked, 1 % rejects", FLOOR, rejecting / floor, "x", 1.5),
    ]


def joining(count: int) -> Row:
    """Measure joining and encoding where it happens, as a share of the whole."""
    emails = list(addresses(count))
    shares: list[float] = []
    for _ in range(ROUNDS):
        maker, joining = BatchMaker("records", trusted=True), 0.0
        start = time.perf_counter()
        for chunk in prepare(emails):
            before = time.perf_counter()
            for _ in maker.add(chunk):
                pass
            joining += time.perf_counter() - before
        shares.append(100 * joining / (time.perf_counter() - start))
    return Row("join and encode", "the whole of preparing", statistics.median(shares), "%", 3)


def from_parquet(count: int, folder: Path) -> Row:
    """Measure a Parquet file through Arrow, reading included."""
    import pyarrow as pa
    from pyarrow import parquet

    emails = list(addresses(count))
    path = folder / "customers.parquet"
    parquet.write_table(pa.table({"id": list(range(count)), "email": emails}), path)
    floor, ours = medians(functools.partial(bare, emails), functools.partial(to_bodies, path))
    return Row("Parquet, to bodies", FLOOR, ours / floor, "x", 1.3)


def memory(counts: list[int], folder: Path) -> list[Row]:
    """Measure the largest resident size of a process that prepares a CSV file."""
    rows: list[Row] = []
    for count in counts:
        path = folder / f"{count}.csv"
        with path.open("w") as file:
            file.write("id,email,city\n")
            file.writelines(f"{n},{a},Berlin\n" for n, a in enumerate(addresses(count)))
        command = [sys.executable, __file__, "--one", str(path)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        path.unlink()
        size, seconds = map(float, done.stdout.split())
        rows.append(Row(f"memory, CSV of {count:,} rows ({seconds:.0f} s)", "-", size, "MB", 64))
    return rows


def one(path: str) -> None:
    """Prepare one file and print the largest size of this process, and its seconds."""
    to_bodies(open_source(path))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(usage.ru_maxrss / MEGABYTE, time.process_time())


def main() -> None:
    full = "--full" in sys.argv
    count = 5_000_000 if full else 500_000
    counts = [1_000_000, 5_000_000, 20_000_000] if full else [200_000, 1_000_000]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = memory(counts, folder)
        rows += preparing(count)
        rows.append(joining(count))
        rows.append(from_parquet(count, folder))
    show(rows)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(sys.argv[2])
    else:
        main()
