"""Compare preparing records with plain loops that check nothing, in time and memory.

``python benchmarks/records.py`` takes some minutes; ``--full`` is 5 million rows for time and
1, 5 and 20 million for memory; ``--files`` measures files only.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from harness import Rounds, Row, in_turns, median_row, show

from pinterest_audiences import (
    HashAlgorithm,
    IdentifierType,
    SourceLike,
    open_source,
    prepare,
    sql_source,
)
from pinterest_audiences._records.batches import BatchMaker
from pinterest_audiences._records.chunks import CHUNK_ROWS, AsciiChunk
from pinterest_audiences._records.columns import ColumnSelection
from pinterest_audiences._records.fast_path import email_hasher
from pinterest_audiences._records.sources import item_chunks

ROUNDS = 5
BASELINE = "bare strip, lower, SHA-256"
MEGABYTE = 1024  # ru_maxrss counts kilobytes on Linux
DOMAINS = (
    "gmail.com", "yahoo.co.uk", "hotmail.com", "web.de", "outlook.com", "mail.company-name.com"
)  # fmt: skip
ODD = ("{0}; bob@shop.de", "Ann <{0}>", "\u201c{0}\u201d", "m\u00fcller.{0}", "'{0}", "{0}\u00a0")
NAMES = ["anna", "bob", "carla", "dieter", "emma", "fritz", "noemi", "tess", "nina", "umberto"]


def addresses(count: int, *, wrong: bool = False, odd: bool = False) -> Iterator[str]:
    """Yield e-mails: one in ten with capitals, one in fifty with a space.

    Args:
        count: How many.
        wrong: Make one in a hundred invalid.
        odd: Make one in a hundred unusual: two addresses, names and quotes around it, letters
            outside ASCII.
    """
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
        if odd and number % 100 == 0:
            address = chance.choice(ODD).format(address)
        yield address


def against(run_baseline: Callable[[], object], *runs: Callable[[], object]) -> Iterator[Rounds]:
    """Run all in turns and yield the CPU seconds of each; the first round is a warm-up."""
    spent: list[list[float]] = [[] for _ in (run_baseline, *runs)]
    for turn in range(ROUNDS + 1):
        for seconds, run in zip(spent, (run_baseline, *runs), strict=True):
            start = time.process_time()
            run()
            if turn:
                seconds.append(time.process_time() - start)
    for seconds in spent[1:]:
        yield Rounds(spent[0], seconds)


def bare(emails: list[str]) -> list[str]:
    """Strip, lower and hash, and nothing else."""
    sha256 = hashlib.sha256
    return [sha256(x.strip().lower().encode()).hexdigest() for x in emails]


def to_bodies(source: SourceLike) -> int:
    """Read, check, normalize, hash, reject and join."""
    ready = prepare(source)
    return sum(len(batch.fragment) for batch in ready.batches())


def without_checks(emails: list[str]) -> int:
    """Do the same without checking addresses: chunks, lower, hash, join."""
    choice, maker = ColumnSelection(IdentifierType.EMAIL), BatchMaker("records", trusted=True)
    size = 0
    for chunk in item_chunks(emails, choice, "list"):
        assert isinstance(chunk, AsciiChunk)
        records = email_hasher(HashAlgorithm.SHA256)(chunk.data.lower())
        size += sum(len(batch.fragment) for batch in maker.add(records))
    return size + sum(len(batch.fragment) for batch in maker.finish())


def preparing(count: int) -> list[Row]:
    """Measure strings in memory, including batches and bodies."""
    good, mixed = list(addresses(count)), list(addresses(count, wrong=True))
    wrapped = list(addresses(count, odd=True))
    unchecked, clean, rejecting, unwrapping = against(
        functools.partial(bare, good),
        functools.partial(without_checks, good),
        functools.partial(to_bodies, good),
        functools.partial(to_bodies, mixed),
        functools.partial(to_bodies, wrapped),
    )
    figure = f"{count:,} e-mails to bodies"
    return [
        unchecked.ratio(f"{figure}, unchecked", BASELINE, 1.25),
        clean.ratio(f"{figure}, checked", BASELINE, 1.5),
        rejecting.ratio(f"{figure}, checked, 1 % rejects", BASELINE, 1.5),
        unwrapping.ratio(f"{figure}, checked, 1 % odd", BASELINE, 2.5),
    ]


def joining(count: int) -> Row:
    """Measure joining and encoding as a share of the whole."""
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
    return median_row("join and encode", "the whole of preparing", shares, "%", 3)


def from_parquet(count: int, folder: Path) -> Row:
    """Measure a Parquet file through Arrow, including reading."""
    import pyarrow as pa
    from pyarrow import parquet

    emails = list(addresses(count))
    path = folder / "customers.parquet"
    parquet.write_table(pa.table({"id": list(range(count)), "email": emails}), path)
    [rounds] = against(functools.partial(bare, emails), functools.partial(to_bodies, path))
    return rounds.ratio("Parquet, to bodies", BASELINE, 1.3)


def from_workbook(count: int, folder: Path) -> Row:
    """Measure an xlsx workbook against reading its rows with calamine alone."""
    import python_calamine as calamine

    openpyxl: Any = import_module("openpyxl")  # has no types
    path = folder / "customers.xlsx"
    workbook = openpyxl.Workbook(write_only=True)
    sheet = workbook.create_sheet()
    sheet.append(list(HEADER))
    for number, address in enumerate(addresses(count)):
        sheet.append([number, address, "Berlin"])
    workbook.save(path)

    def drain() -> int:
        opened = calamine.CalamineWorkbook.from_path(path)
        return sum(1 for _ in opened.get_sheet_by_index(0).iter_rows())

    [rounds] = against(drain, functools.partial(to_bodies, path))
    return rounds.ratio(f"{count:,} rows of xlsx, to bodies", "calamine alone", 1.3)


def from_postgres(count: int) -> list[Row]:
    """Measure a cursor of PostgreSQL, whose URL is in ``BENCHMARK_POSTGRES``; by the clock."""
    url = os.environ.get("BENCHMARK_POSTGRES", "")
    if not url:
        return []
    import psycopg

    query = f"select 'Person.' || n || '@gmail.com' as email from generate_series(1, {count}) as n"

    def seconds(run: Callable[[], object]) -> float:
        start = time.perf_counter()
        run()
        return time.perf_counter() - start

    def drain(use: Callable[[list[str]], object]) -> None:
        with psycopg.connect(url) as connection, connection.cursor(name="bench") as cursor:
            cursor.execute(query)
            while rows := cursor.fetchmany(CHUNK_ROWS):
                use([email for (email,) in rows])

    def ours() -> None:
        to_bodies(sql_source(url.replace("postgresql:", "postgresql+psycopg:", 1), query))

    figure, same = f"{count:,} rows of PostgreSQL to bodies", "the same cursor"
    drained = in_turns(lambda: seconds(lambda: drain(len)), lambda: seconds(ours))
    hashed = in_turns(lambda: seconds(lambda: drain(bare)), lambda: seconds(ours))
    return [
        drained.ratio(figure, f"{same}, drained", 1.3),
        hashed.ratio(figure, f"{same}, strip, lower, SHA-256", 1.3),
    ]


def from_many_files(count: int, folder: Path) -> Row:
    """Measure a pattern of 100 Parquet files against one file with the same rows."""
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.table({"id": list(range(count)), "email": list(addresses(count))})
    rows = count // 100
    single = folder / "all.parquet"
    parquet.write_table(table, single, row_group_size=rows)
    for number in range(100):
        part = table.slice(number * rows, rows)
        parquet.write_table(part, folder / f"part-{number:03}.parquet")

    def seconds(path: Path) -> float:
        start = time.process_time()
        prepare(path).run()
        return time.process_time() - start

    measured = in_turns(
        functools.partial(seconds, single), functools.partial(seconds, folder / "part-*.parquet")
    )
    return measured.ratio("100 Parquet files, CPU", "one Parquet file", 1.1)


BODY_RECORDS = 16_384
LOOP, UNHASHED_LOOP = "csv.reader, strip, lower, hashlib", "csv.reader, strip, lower"
HEADER = ("id", "email", "city")


def write_files(count: int, folder: Path) -> dict[str, Path]:
    """Write a file of each kind with the same addresses."""
    paths = {name: folder / f"{name}.csv" for name in ("plain", "quoted", "hashes")}
    paths |= {name: folder / f"{name}.txt" for name in ("lines", "hash lines")}
    files = {name: path.open("w", newline="") for name, path in paths.items()}
    plain, quoted, hashes = (files[name] for name in ("plain", "quoted", "hashes"))
    quoting = csv.writer(quoted, quoting=csv.QUOTE_ALL, lineterminator="\n")
    quoting.writerow(HEADER)
    plain.write(",".join(HEADER) + "\n")
    hashes.write(",".join(HEADER) + "\n")
    for number, address in enumerate(addresses(count)):
        digest = hashlib.sha256(address.strip().lower().encode()).hexdigest()
        plain.write(f"{number},{address},Berlin\n")
        quoting.writerow((number, address, "Berlin"))
        hashes.write(f"{number},{digest},Berlin\n")
        files["lines"].write(f"{address}\n")
        files["hash lines"].write(f"{digest}\n")
    for file in files.values():
        file.close()
    return paths


def loop(path: str, *, hashing: bool) -> int:
    """Read the e-mails of a CSV file, or its only column, to bodies, and check nothing."""
    sha256, size = hashlib.sha256, 0
    column = 1 if path.endswith(".csv") else 0
    records: list[str] = []
    with Path(path).open(newline="") as file:
        rows = csv.reader(file)
        if column:
            next(rows)
        for row in rows:
            value = row[column].strip().lower()
            records.append(sha256(value.encode()).hexdigest() if hashing else value)
            if len(records) == BODY_RECORDS:
                size += len(",".join(records).encode())
                records = []
    return size + len(",".join(records).encode())


def one(reader: str, path: str) -> None:
    """Read a file to bodies, and print the seconds that took and the peak size of the process."""
    start = time.process_time()
    if reader == "ours":
        to_bodies(open_source(path))
    else:
        loop(path, hashing=reader == "loop")
    seconds = time.process_time() - start
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE)


def in_process(reader: str, path: Path) -> tuple[float, float]:
    """Read a file in a new process; return CPU seconds without imports, and megabytes."""
    command = [sys.executable, __file__, "--one", reader, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, size = map(float, done.stdout.split())
    return seconds, size


def reading(count: int, folder: Path, *, plain_only: bool = False) -> list[Row]:
    """Measure files, from the bytes to bodies, each run in its own process."""
    paths = write_files(count, folder)
    sizes: list[float] = []

    def seconds(reader: str, path: Path) -> float:
        spent, size = in_process(reader, path)
        if reader == "ours":
            sizes.append(size)
        return spent

    figures = [
        ("plain", "CSV", "loop", LOOP, 0.8 if count < 5_000_000 else 0.7),
        ("quoted", "CSV, quoted", "loop", LOOP, 1.0),
        ("hashes", "CSV of hashes", "loop", LOOP, 0.5),
        ("hashes", "CSV of hashes", "unhashed loop", UNHASHED_LOOP, 1.0),
        ("lines", "lines", "loop", LOOP, 0.8),
        ("hash lines", "lines of hashes", "loop", LOOP, 0.5),
        ("hash lines", "lines of hashes", "unhashed loop", UNHASHED_LOOP, 1.0),
    ]
    rows = [
        in_turns(
            functools.partial(seconds, reader, paths[kind]),
            functools.partial(seconds, "ours", paths[kind]),
            rounds=ROUNDS,
        ).ratio(f"{count:,} rows of {name}, CPU", baseline, goal)
        for kind, name, reader, baseline, goal in figures[: 1 if plain_only else None]
    ]
    spread = (min(sizes), max(sizes))
    rows.append(Row(f"{count:,} rows, memory", "-", max(sizes), "MB", 40, spread=spread))
    for path in paths.values():
        path.unlink()
    return rows


def memory(counts: list[int], folder: Path) -> list[Row]:
    """Measure the largest resident size of a process that prepares a CSV file."""
    rows: list[Row] = []
    for count in counts:
        path = folder / f"{count}.csv"
        with path.open("w") as file:
            file.write("id,email,city\n")
            file.writelines(f"{n},{a},Berlin\n" for n, a in enumerate(addresses(count)))
        seconds, size = in_process("ours", path)
        path.unlink()
        rows.append(Row(f"memory, CSV of {count:,} rows ({seconds:.0f} s)", "-", size, "MB", 40))
    return rows


def main() -> None:
    full = "--full" in sys.argv
    count = 5_000_000 if full else 500_000
    counts = [1_000_000, 5_000_000, 20_000_000] if full else [200_000, 1_000_000]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = reading(1_000_000, folder)
        if full:
            rows += reading(5_000_000, folder, plain_only=True)
        if "--files" not in sys.argv:
            rows += memory(counts, folder)
            rows += preparing(count)
            rows.append(joining(count))
            rows.append(from_parquet(count, folder))
            rows.append(from_workbook(count // 5, folder))
            rows += from_postgres(count)
            rows.append(from_many_files(count, folder))
    show(rows)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(sys.argv[2], sys.argv[3])
    else:
        main()
