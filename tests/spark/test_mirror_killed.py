"""`mirror` of a Spark DataFrame whose processes are killed at any time.

By default with few rows and kills. For the run of docs/spark.md:
``SPARK_MIRROR_ROWS=20000000 SPARK_MIRROR_KILLS=10 nox -s spark -- -k killed -s``.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest
from support.crashes import Service

from pinterest_audiences import Client
from pinterest_audiences.emulator import Emulator

ROWS = int(os.environ.get("SPARK_MIRROR_ROWS", "20000"))
KILLS = int(os.environ.get("SPARK_MIRROR_KILLS", "2"))
ACCOUNT = "549755885175"
CHANGED_SHARE = 0.005  # of the rows, between one source and the next
ROWS_PER_SECOND = 100_000  # of a first run: only the moments of the kills depend on it
DRIVER = """
import json, sys
from pathlib import Path
from pyspark.sql import SparkSession, functions as f
from pinterest_audiences import Client
from pinterest_audiences.spark import mirror

url, folder, first, last = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.ui.enabled", "false")
    .config("spark.driver.memory", "1g")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.sql.shuffle.partitions", str(max(2, (last - first) // 1_000_000)))
    .config("spark.local.dir", f"{folder}/spark")
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")
people = spark.range(first, last).select(f.format_string("Person%d@Shop.de", "id").alias("email"))
print("ready", flush=True)
with Client("token", base_url=url) as client:
    report = mirror(
        people,
        f"file:{folder}/snapshot",
        client=client,
        ad_account_id="549755885175",
        name="Buyers",
        state_folder=f"{folder}/states",
    )
# Not ru_maxrss, which includes what the process that started this one had in memory.
peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
changes = {"added": report.added, "removed": report.removed}
print(json.dumps({**changes, "peak_mb": int(peak) // 1024}), flush=True)
"""

pytestmark = [
    pytest.mark.once,
    pytest.mark.slow,
    pytest.mark.timeout(7200, func_only=True),
    pytest.mark.usefixtures("spark"),  # which skips without Spark or Java
]


class Run:
    """A process that mirrors the people from one number up to another."""

    def __init__(self, url: str, folder: Path, first: int) -> None:
        arguments = (url, str(folder), str(first), str(first + ROWS))
        with (folder / "stderr.txt").open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-c", DRIVER, *arguments],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,  # so that its processes of Java and workers die with it
                env={**os.environ, "PYSPARK_PYTHON": sys.executable},
            )
        assert self._process.stdout is not None
        self._output = self._process.stdout
        assert self._output.readline() == "ready\n", (folder / "stderr.txt").read_text()

    def kill_after(self, seconds: float) -> bool:
        """Kill all its processes, unless they end before."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._output.close()
            return True
        return False

    def result(self) -> dict[str, int]:
        """Wait for its end, and return its report."""
        lines = self._output.read().splitlines()
        self._output.close()
        assert self._process.wait() == 0
        report: dict[str, int] = json.loads(lines[-1])
        return report


def log(text: str) -> None:
    sys.stdout.write(text + "\n")


def assert_members(emulator: Emulator, list_id: str, first: int) -> None:
    """Compare a list with its source, one digest at a time: both may have millions."""
    members = emulator.members(list_id)
    assert len(members) == ROWS
    for number in range(first, first + ROWS):
        assert sha256(b"person%d@shop.de" % number).hexdigest() in members


def test_mirror_killed_at_random_times_makes_the_list_equal_to_its_source(tmp_path: Path) -> None:
    seed = int(os.environ.get("SPARK_MIRROR_SEED", random.randrange(10**6)))
    log(f"seed {seed}")
    moments = random.Random(seed)
    folder = tmp_path
    emulator = Emulator(processing_seconds=0, rate_limits=None)
    longest_seconds = 8 + ROWS / ROWS_PER_SECOND
    step = int(ROWS * CHANGED_SHARE)
    first = kills = 0
    with Service(emulator) as service, Client("token", base_url=service.base_url) as client:
        for limit in (KILLS // 2, KILLS):  # of the first run, then of one with changes only
            while True:
                begun = time.monotonic()
                run = Run(service.base_url, folder, first)
                if kills < limit and run.kill_after(moments.uniform(0, longest_seconds)):
                    kills += 1
                    log(f"killed after {time.monotonic() - begun:.0f} s")
                    first += moments.choice((0, step))
                    continue
                report = run.result()
                longest_seconds = time.monotonic() - begun
                (buyers,) = client.customer_lists_list(ACCOUNT).collect()
                writes = buyers.num_batches
                log(f"finished after {longest_seconds:.0f} s with {writes} writes: {report}")
                assert_members(emulator, buyers.id, first)
                first += step
                if kills == limit:
                    break
    assert list((folder / "states").iterdir()) == []
