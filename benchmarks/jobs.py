"""Jobs: comparing ten millions, uploading them, keeping the wire busy, spending the budget.

``python benchmarks/jobs.py`` takes some minutes; ``--full`` is ten million records instead of one.
"""

from __future__ import annotations

import gc
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx
from harness import Row, canned_server, json_answer, show

from pinterest_audiences import AsyncClient, Clock, prepare
from pinterest_audiences.emulator import Emulator
from pinterest_audiences.jobs import keys
from pinterest_audiences.jobs.planning import plan_all, plan_difference
from pinterest_audiences.jobs.snapshot import fold
from pinterest_audiences.jobs.source import SourceKeys
from pinterest_audiences.jobs.state import State

ACCOUNT = "549755885175"
CHUNK = 2_048
CHANGED = 100  # one record in so many
MEGABYTE = 1024  # ru_maxrss counts kilobytes on Linux
LATENCY = 0.2  # seconds a call
ROUNDS = 5  # of an upload, where it takes seconds and not minutes
SPEED = 5  # virtual seconds in a real one


class Digests:
    """So many SHA-256 digests in hexadecimal, the same ones for the same seed; iterable anew."""

    def __init__(self, count: int, *, changed: bool, seed: int = 0) -> None:
        self.count = count
        self.changed = changed
        self.seed = seed

    def __iter__(self) -> Iterator[str]:
        for chunk in self.chunks():
            yield from chunk

    def chunks(self) -> Iterator[list[str]]:
        chance, other = random.Random(self.seed), random.Random(-1 - self.seed)
        for start in range(0, self.count, CHUNK):
            size = min(CHUNK, self.count - start)
            chunk = chance.randbytes(32 * size).hex(",", 32).split(",")
            if self.changed:
                for at in range(0, size, CHANGED):
                    chunk[at] = other.randbytes(32).hex()
            yield chunk


def empty_source(state: Path) -> SourceKeys:
    return SourceKeys(["ann@shop.de"], kind="email", column=None, keep_unhashed=False, state=state)


def filled(source: SourceKeys, digests: Digests) -> SourceKeys:
    """Put digests into a source, past the reading and cleaning, which is measured elsewhere."""
    for chunk in digests.chunks():
        source._take(chunk)
    return source


def compare(count: int, path: Path) -> None:
    """Make a list of digests, then plan its mirror with one in a hundred changed; print figures."""
    state = State(path, "https://benchmark")
    row = state.enter_list(ACCOUNT, "1", "Buyers", "created")
    with filled(empty_source(path), Digests(count, changed=False)) as source:
        job = state.begin_draft(row, "upload", 0.0)
        plan_all(state, row, job, source, "ADD")
        state.finish_draft(job, "done")
    with state.database.transaction() as sql:
        sql.execute("UPDATE batch SET status = 'acknowledged', sends = 1")
    fold(state.database, row.key)
    with state.database.reading() as sql:
        (size,) = sql.execute("SELECT sum(length(sure) + length(maybe)) FROM segment").fetchone()
        (pages,) = sql.execute(
            "SELECT sum(pgsize) FROM dbstat WHERE name IN ('segment', 'segment_of_list')"
        ).fetchone()
    gc.collect()
    making = time.process_time()
    for _ in Digests(count, changed=True).chunks():
        pass
    making = time.process_time() - making
    wall, cpu = time.perf_counter(), time.process_time()
    with filled(empty_source(path), Digests(count, changed=True)) as source:
        job = state.begin_draft(row, "mirror", 0.0)
        counts = plan_difference(state, row, job, source)
    wall, cpu = time.perf_counter() - wall - making, time.process_time() - cpu - making
    state.close()
    assert counts.add == counts.remove, counts
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE
    told = {"wall": wall, "cpu": cpu, "peak": peak, "bytes": pages / count, "raw": size / count}
    print(json.dumps({**told, "changed": counts.add}))


def anti_join(count: int) -> None:
    """Do the same with DuckDB: the digests as they come, two anti-joins."""
    import duckdb
    import pyarrow as pa

    def table(*, changed: bool) -> pa.Table:
        parts = (pa.array(chunk) for chunk in Digests(count, changed=changed).chunks())
        hexed = pa.chunked_array(list(parts))
        return pa.table({"key": hexed})

    database = duckdb.connect()
    database.register("given", table(changed=False))
    database.execute("CREATE TABLE known AS SELECT unhex(key) AS key FROM given")
    fresh = table(changed=True)
    start = time.perf_counter()
    database.register("fresh", fresh)
    database.execute("CREATE TABLE wanted AS SELECT DISTINCT unhex(key) AS key FROM fresh")
    added = database.execute("SELECT * FROM wanted ANTI JOIN known USING (key)").fetchall()
    gone = database.execute("SELECT * FROM known ANTI JOIN wanted USING (key)").fetchall()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE
    print(json.dumps({"wall": seconds, "peak": peak, "changed": len(added) + len(gone)}))


def answer_list(_head: bytes) -> bytes:
    return json_answer(
        json.dumps(
            {
                "id": "1",
                "name": "Buyers",
                "ad_account_id": ACCOUNT,
                "status": "PROCESSING",
                "num_batches": 1,
                "num_uploaded_user_records": 1,
                "num_removed_user_records": 0,
            }
        ).encode()
    )


def answer_late(head: bytes) -> bytes:
    time.sleep(LATENCY)
    return answer_list(head)


def prepare_only(path: str) -> None:
    """Prepare a file, and print the CPU seconds."""
    start = time.process_time()
    for _ in prepare(path).batches():
        pass
    print(json.dumps({"cpu": time.process_time() - start}))


def send_only(path: str, url: str) -> None:
    """Send ready batches as large as those of a file, and print the CPU seconds."""
    records = Path(path).read_bytes().count(b"\n") - 1
    batch = next(iter(prepare(Digests(10_000, changed=False)).batches()))

    async def main() -> float:
        async with AsyncClient("token", base_url=url) as client:
            await client.customer_lists_get(ACCOUNT, "1")
            start = time.process_time()
            for _ in range(-(-records // 10_000)):
                await client.customer_lists_update(
                    ACCOUNT, "1", operation_type="ADD", records=batch
                )
            return time.process_time() - start

    print(json.dumps({"cpu": anyio.run(main)}))


def upload_all(path: str, url: str, state: str) -> None:
    """Upload a file, and print what it cost."""

    async def main() -> None:
        async with AsyncClient("token", base_url=url) as client:
            await client.upload(ACCOUNT, path, customer_list_id="1", state=state)

    start = time.process_time()
    anyio.run(main)
    cpu = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE
    print(json.dumps({"cpu": cpu, "peak": peak}))


def measured(*arguments: object) -> dict[str, float]:
    """Run a part of this file as a process of its own and return its figures."""
    command = [sys.executable, __file__, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def comparing(count: int, folder: Path) -> list[Row]:
    """Measure a mirror's plan, against DuckDB where it is installed."""
    ours = measured("--compare", count, folder / "compare.sqlite3")
    figure = f"{count:,} against {count:,}, 1 % changed"
    share = count / 10_000_000
    rows = [
        Row(f"{figure}: wall time", "-", ours["wall"], "s", 20 * share),
        Row("the same, for the goal with DuckDB", "-", ours["wall"], "s", 6 * share),
        Row(f"{figure}: memory", "-", ours["peak"], "MB", 100),
        Row("snapshot, in the file", "32 bytes of a digest", ours["bytes"], "bytes", 36),
    ]
    try:
        peer = measured("--anti-join", count)
    except subprocess.CalledProcessError:
        print("DuckDB or pyarrow is not installed: no peer for the comparison")
    else:
        floor = f"DuckDB anti-joins, {peer['peak']:.0f} MB"
        rows.append(Row(f"{figure}: wall time", floor, ours["wall"] / peer["wall"], "x", 1.5))
    return rows


def uploading(count: int, folder: Path) -> list[Row]:
    """Measure an upload of a CSV file against preparing it and sending it, each alone."""
    path = folder / "customers.csv"
    with path.open("w") as file:
        file.write("id,email,city\n")
        file.writelines(f"{n},person.{n * 7919}@shop-{n % 97}.de,Berlin\n" for n in range(count))
    with canned_server(answer_list) as url:
        rounds = [
            (
                measured("--prepare", path)["cpu"] + measured("--send", path, url)["cpu"],
                measured("--upload", path, url, folder / f"upload-{turn}.sqlite3"),
            )
            for turn in range(ROUNDS if count <= 1_000_000 else 1)
        ]
    path.unlink()
    ratio = statistics.median(whole["cpu"] / alone for alone, whole in rounds)
    peak = max(whole["peak"] for _, whole in rounds)
    floor = "preparing + sending, each alone"
    return [
        Row(f"upload of {count:,} rows of CSV: CPU", floor, ratio, "x", 1.5),
        Row(f"upload of {count:,} rows of CSV: memory", "-", peak, "MB", 100),
    ]


async def busy_wire(folder: Path) -> Row:
    """Measure how many calls of 200 ms one list gets in a second."""
    sent: list[float] = []

    def note(event: object) -> None:
        if str(getattr(event, "kind", "")) == "batch_acknowledged":
            sent.append(time.perf_counter())

    with canned_server(answer_late) as url:
        async with AsyncClient("token", base_url=url) as client:
            await client.upload(
                ACCOUNT,
                Digests(300_000, changed=False),
                customer_list_id="1",
                state=folder / "busy.sqlite3",
                on_event=note,
            )
    share = 100 * (len(sent) - 1) * LATENCY / (sent[-1] - sent[0])
    return Row("wire busy, one list, 200 ms a call", "1 / latency", share, "%", 95, at_least=True)


class FastClock(Clock):
    """Real time, only faster."""

    def monotonic(self) -> float:
        return time.monotonic() * SPEED

    def time(self) -> float:
        return time.time() * SPEED

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds / SPEED)


class Distant(httpx.AsyncBaseTransport):
    """The emulator, some way off; keeps when each write was answered, and how."""

    def __init__(self, emulator: Emulator, clock: Clock) -> None:
        self._inner = emulator.transport()
        self._clock = clock
        self.begun = anyio.Event()
        self.writes: list[tuple[float, int]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await anyio.sleep(LATENCY / SPEED / 2)
        response = await self._inner.handle_async_request(request)
        await anyio.sleep(LATENCY / SPEED / 2)
        if request.method != "GET":
            self.begun.set()
            self.writes.append((self._clock.monotonic(), response.status_code))
        return response


async def spend_a_budget(folder: Path) -> list[Row]:
    """Upload to several lists side by side, for ten virtual minutes from the first call on."""
    quota, minutes, lists, small = 400, 10, 8, 10
    setattr(keys, "MAX_RECORDS", small)  # noqa: B010 - a constant to everybody else
    clock = FastClock()
    far = Distant(Emulator(clock=clock.time), clock)
    state = folder / "budget.sqlite3"
    async with AsyncClient("token", transport=far, clock=clock) as client:

        async def one(number: int) -> None:
            people = Digests(small * quota * minutes // 2, changed=False, seed=number)
            await client.upload(ACCOUNT, people, name=f"List {number}", state=state)

        async with anyio.create_task_group() as tasks:
            for number in range(lists):
                tasks.start_soon(one, number)
            await far.begun.wait()
            await anyio.sleep(60 * minutes / SPEED)
            tasks.cancel_scope.cancel()
    begun = far.writes[0][0]
    statuses = [status for at, status in far.writes if at - begun < 60 * minutes]
    used = 100 * statuses.count(200) / (quota * minutes)
    floor = f"{quota} writes a minute, {minutes} virtual minutes"
    return [
        Row(f"rate budget used over {lists} lists", floor, used, "%", 97, at_least=True),
        Row("refused with 429", floor, statuses.count(429), "calls", 1),
    ]


def main() -> None:
    count = 10_000_000 if "--full" in sys.argv else 1_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = comparing(count, folder)
        rows += uploading(count, folder)
        rows.append(anyio.run(busy_wire, folder))
        rows += anyio.run(spend_a_budget, folder)
    show(rows)


def part(name: str, *arguments: str) -> None:
    """Run what has to be a process of its own."""
    match name:
        case "--compare":
            compare(int(arguments[0]), Path(arguments[1]))
        case "--anti-join":
            anti_join(int(arguments[0]))
        case "--prepare":
            prepare_only(arguments[0])
        case "--send":
            send_only(arguments[0], arguments[1])
        case _:
            upload_all(*arguments)


if __name__ == "__main__":
    if sys.argv[1:] in ([], ["--full"]):
        main()
    else:
        part(*sys.argv[1:])
