"""Measure jobs: comparing and uploading millions of records, latency, and use of the rate limit.

``python benchmarks/jobs.py`` takes some minutes; ``--full`` also compares and uploads ten million
records. ``--comparing`` measures only the comparison, of one and of ten million records.
"""

from __future__ import annotations

import gc
import json
import math
import random
import resource
import stat
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import anyio
import httpx
from harness import Row, canned_server, json_response, median_row, show

from pinterest_audiences import AsyncClient, Clock, prepare
from pinterest_audiences._jobs import keys
from pinterest_audiences._jobs.keys import KeyedSource
from pinterest_audiences._jobs.membership import compact
from pinterest_audiences._jobs.plan import plan_mirror_batches, plan_upload_batches
from pinterest_audiences._jobs.state import State
from pinterest_audiences.emulator import Emulator

ACCOUNT = "549755885175"
CHUNK = 2_048
CHANGED = 100  # one record in a hundred
MEGABYTE = 1024  # ru_maxrss counts kilobytes on Linux
LATENCY = 0.2  # seconds a call
ROUNDS = 5  # where one takes seconds and not minutes
FULL_ROUNDS = 3  # of a comparison of ten million records
DISK_POLL = 0.02  # seconds
SPEED = 5  # virtual seconds in a real one


class Digests:
    """SHA-256 digests in hexadecimal, the same for the same seed; can be iterated repeatedly."""

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


def empty_source(state: Path) -> KeyedSource:
    return KeyedSource(["ann@shop.de"], kind="email", column=None, keep_unhashed=False, state=state)


def filled(source: KeyedSource, digests: Digests) -> KeyedSource:
    """Put digests into a source without reading and cleaning, which `records.py` measures."""
    for chunk in digests.chunks():
        source._add(chunk)
    return source


class Disk:
    """The most that the open files of this process take on the disk; files without names too."""

    def __init__(self) -> None:
        self.peak = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """Return the peak in bytes."""
        self._stopped.set()
        self._thread.join()
        return self.peak

    def _poll(self) -> None:
        while not self._stopped.wait(DISK_POLL):
            self.peak = max(self.peak, self._used())

    @staticmethod
    def _used() -> int:
        used: dict[int, int] = {}
        for path in Path("/proc/self/fd").iterdir():
            with suppress(OSError):  # it was closed
                found = path.stat()
                if stat.S_ISREG(found.st_mode):
                    used[found.st_ino] = 512 * found.st_blocks
        return sum(used.values())


def compare(count: int, path: Path) -> None:
    """Create a list of digests, plan a mirror with one in a hundred changed, and print figures."""
    state, disk = State(path, "https://benchmark"), Disk()
    row = state.get_or_create_list(ACCOUNT, "1", "Buyers", "created")
    with filled(empty_source(path), Digests(count, changed=False)) as source:
        job = state.begin_draft(row, "upload", 0.0)
        plan_upload_batches(state, row, job, source, "ADD")
        state.finish_draft(job, "done")
    with state.database.transaction() as sql:
        sql.execute("UPDATE batch SET status = 'acknowledged', sends = 1")
    upload_disk, disk = disk.stop(), Disk()
    gc.collect()
    making = time.process_time()
    for _ in Digests(count, changed=True).chunks():
        pass
    making = time.process_time() - making
    wall, cpu = time.perf_counter() + making, time.process_time() + making
    with filled(empty_source(path), Digests(count, changed=True)) as source:
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        compact(state.database, row.key)  # of the upload; as a mirror does after it has read
        plan_wall, plan_cpu = time.perf_counter(), time.process_time()
        job = state.begin_draft(row, "mirror", 0.0)
        counts = plan_mirror_batches(state, row, job, source)
    wall, cpu = wall + time.perf_counter() - plan_wall, cpu + time.process_time() - plan_cpu
    mirror_disk = disk.stop()
    with state.database.reading() as sql:
        (size,) = sql.execute("SELECT sum(length(sure) + length(maybe)) FROM segment").fetchone()
        (pages,) = sql.execute(
            "SELECT sum(pgsize) FROM dbstat WHERE name IN ('segment', 'segment_of_list')"
        ).fetchone()
    state.close()
    assert counts.add == counts.remove, counts
    assert counts.add + counts.keep == count, counts
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE
    figures = {
        "wall": wall,
        "cpu": cpu,
        "peak": peak,
        "bytes": pages / count,
        "raw": size / count,
        "upload_disk": upload_disk / count,
        "mirror_disk": mirror_disk / count,
        "file": path.stat().st_size / count,
    }
    path.unlink()
    print(json.dumps({**figures, "changed": counts.add}))


def anti_join(count: int) -> None:
    """Do the same with DuckDB: two anti-joins of the digests."""
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
    start, cpu = time.perf_counter(), time.process_time()
    database.register("fresh", fresh)
    database.execute("CREATE TABLE wanted AS SELECT DISTINCT unhex(key) AS key FROM fresh")
    added = database.execute("SELECT * FROM wanted ANTI JOIN known USING (key)").fetchall()
    gone = database.execute("SELECT * FROM known ANTI JOIN wanted USING (key)").fetchall()
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE
    changed = len(added) + len(gone)
    print(json.dumps({"wall": seconds, "cpu": cpu, "peak": peak, "changed": changed}))


def respond_list(_head: bytes) -> bytes:
    return json_response(
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


def respond_late(head: bytes) -> bytes:
    time.sleep(LATENCY)
    return respond_list(head)


def prepare_only(path: str) -> None:
    """Prepare a file, and print the CPU seconds."""
    start = time.process_time()
    for _ in prepare(path).batches():
        pass
    print(json.dumps({"cpu": time.process_time() - start}))


def send_only(path: str, url: str) -> None:
    """Send prepared batches as large as those of a file, and print the CPU seconds."""
    records = Path(path).read_bytes().count(b"\n") - 1
    batch = next(iter(prepare(Digests(10_000, changed=False)).batches()))

    async def main() -> float:
        async with AsyncClient("token", base_url=url) as client:
            await client.customer_lists_get(ACCOUNT, "1")
            start = time.process_time()
            for _ in range(-(-records // batch.count)):
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
    """Run a part of this file in a separate process and return its figures."""
    command = [sys.executable, __file__, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def comparing(counts: list[int], folder: Path) -> list[Row]:
    """Measure the plan of a mirror, and compare it with DuckDB where that is installed."""
    rows: list[Row] = []
    fastest: dict[int, float] = {}
    rounds = range(FULL_ROUNDS if max(counts) > 1_000_000 else ROUNDS)
    # Each round measures all sizes, so that a drift of the machine affects all of them.
    measurements = [
        {
            count: (measured("--compare", count, folder / "compare.sqlite3"), peer(count))
            for count in counts
        }
        for _ in rounds
    ]
    for count in counts:
        ours = [measurement[count][0] for measurement in measurements]
        peers = [found for measurement in measurements if (found := measurement[count][1])]
        fastest[count] = min(figures["cpu"] for figures in ours)
        rows += _comparison_rows(count, ours, peers)
    if len(counts) > 1:
        small, large = min(counts), max(counts)
        growth = math.log(fastest[large] / fastest[small]) / math.log(large / small)
        rows.append(
            Row("comparison: CPU grows as n to the power of", "fastest rounds", growth, "", 1.1)
        )
    return rows


def _comparison_rows(
    count: int, ours: list[dict[str, float]], peers: list[dict[str, float]]
) -> list[Row]:
    figure = f"{count:,} against {count:,}, 1 % changed"
    goal = 8.4 * count / 10_000_000  # 1.2 times what DuckDB takes on a machine without other load
    rows = [
        median_row(f"{figure}: wall time", "-", [run["wall"] for run in ours], "s", goal),
        median_row(f"{figure}: CPU", "-", [run["cpu"] for run in ours], "s", goal),
    ]
    if len(peers) == len(ours):
        seconds = statistics.median(run["wall"] for run in peers)
        baseline = f"DuckDB: {seconds:.3g} s, {max(run['peak'] for run in peers):,.0f} MB"
        for name, label in (("wall", "wall time"), ("cpu", "CPU")):
            ratios = [mine[name] / other[name] for mine, other in zip(ours, peers, strict=True)]
            rows.append(median_row(f"{figure}: {label}", baseline, ratios, "x", 1.2))
    else:
        print("DuckDB or pyarrow is not installed: no peer for the comparison")
    for name, label, unit, most in (
        ("peak", f"{figure}: memory", "MB", 100),
        ("bytes", "snapshot in the file, per record", "bytes", 36),
        ("file", "state file afterwards, per record", "bytes", 66),
        ("upload_disk", "peak on disk, first upload, per record", "bytes", 70),
        ("mirror_disk", "peak on disk, mirror, per record", "bytes", 135),
    ):
        rows.append(median_row(label, "-", [run[name] for run in ours], unit, most))
    return rows


def peer(count: int) -> dict[str, float]:
    """Measure the comparison with DuckDB; return nothing where it is not installed."""
    try:
        return measured("--anti-join", count)
    except subprocess.CalledProcessError:
        return {}


def uploading(count: int, folder: Path) -> list[Row]:
    """Compare an upload of a CSV file with preparing it and sending it separately."""
    path = folder / "customers.csv"
    with path.open("w") as file:
        file.write("id,email,city\n")
        file.writelines(f"{n},person.{n * 7919}@shop-{n % 97}.de,Berlin\n" for n in range(count))
    with canned_server(respond_list) as url:
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
    baseline = "preparing + sending, each alone"
    return [
        Row(f"upload of {count:,} rows of CSV: CPU", baseline, ratio, "x", 1.5),
        Row(f"upload of {count:,} rows of CSV: memory", "-", peak, "MB", 100),
    ]


async def busy_wire(folder: Path) -> Row:
    """Measure the share of time in which a request is running, with 200 ms for each."""
    sent: list[float] = []

    def note(event: object) -> None:
        if str(getattr(event, "kind", "")) == "batch_acknowledged":
            sent.append(time.perf_counter())

    with canned_server(respond_late) as url:
        async with AsyncClient("token", base_url=url) as client:
            await client.upload(
                ACCOUNT,
                Digests(300_000, changed=False),
                customer_list_id="1",
                state=folder / "busy.sqlite3",
                on_event=note,
            )
    share = 100 * (len(sent) - 1) * LATENCY / (sent[-1] - sent[0])
    return Row(
        "time in requests, one list, 200 ms each", "1 / latency", share, "%", 95, at_least=True
    )


class FastClock(Clock):
    """Real time, accelerated."""

    def monotonic(self) -> float:
        return time.monotonic() * SPEED

    def time(self) -> float:
        return time.time() * SPEED

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds / SPEED)


class Distant(httpx.AsyncBaseTransport):
    """The emulator with latency; records the time and status of each write."""

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
    """Upload to several lists concurrently, for ten virtual minutes from the first write on."""
    quota, minutes, lists, small = 400, 10, 8, 10
    setattr(keys, "MAX_RECORDS", small)  # noqa: B010 - a constant elsewhere
    clock = FastClock()
    transport = Distant(Emulator(clock=clock.time), clock)
    state = folder / "budget.sqlite3"
    async with AsyncClient("token", transport=transport, clock=clock) as client:

        async def one(number: int) -> None:
            people = Digests(small * quota * minutes // 2, changed=False, seed=number)
            await client.upload(ACCOUNT, people, name=f"List {number}", state=state)

        async with anyio.create_task_group() as tasks:
            for number in range(lists):
                tasks.start_soon(one, number)
            await transport.begun.wait()
            await anyio.sleep(60 * minutes / SPEED)
            tasks.cancel_scope.cancel()
    begun = transport.writes[0][0]
    statuses = [status for at, status in transport.writes if at - begun < 60 * minutes]
    used = 100 * statuses.count(200) / (quota * minutes)
    baseline = f"{quota} writes a minute, {minutes} virtual minutes"
    return [
        Row(f"rate budget used over {lists} lists", baseline, used, "%", 97, at_least=True),
        Row("refused with 429", baseline, statuses.count(429), "calls", 1),
    ]


def main() -> None:
    count = 10_000_000 if "--full" in sys.argv else 1_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = comparing(sorted({1_000_000, count}), folder)
        rows += uploading(count, folder)
        rows.append(anyio.run(busy_wire, folder))
        rows += anyio.run(spend_a_budget, folder)
    show(rows)


def part(name: str, *arguments: str) -> None:
    """Run the part that was started in a separate process."""
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
    elif sys.argv[1:] == ["--comparing"]:
        with tempfile.TemporaryDirectory() as name:
            show(comparing([1_000_000, 10_000_000], Path(name)))
    else:
        part(*sys.argv[1:])
