"""Send broken requests to the emulator's server: ``python benchmarks/fuzz.py --count 100000``.

It exits with 1 at the first response of 500 or more, at the first request that gets neither a
response nor a closed connection, and when the server ended early or printed anything.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from support.broken import answers_to, broken_requests

COMMAND = [sys.executable, "-m", "pinterest_audiences.emulator", "--port", "0"]
THREADS = 4
SHARE = 2_500  # requests of one seed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    seeds = range(options.seed, options.seed + -(-options.count // SHARE))
    start = time.monotonic()
    with subprocess.Popen(
        COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        base_url = server.stdout.readline().strip()
        try:
            with ThreadPoolExecutor(THREADS) as threads:
                counted = sum(threads.map(lambda seed: share(base_url, seed), seeds), Counter())
        finally:
            server.send_signal(signal.SIGTERM)
            output = server.communicate(timeout=30)
    print(f"{len(seeds) * SHARE:,} requests in {time.monotonic() - start:.0f} s")
    print("responses:", dict(sorted(counted.items())))
    if (server.returncode, output) != (0, ("", "")):
        print("the server ended with", server.returncode, *output)
        return 1
    return 0


def share(base_url: str, seed: int) -> Counter[str]:
    counted: Counter[str] = Counter()
    for number, request in enumerate(broken_requests(seed, SHARE)):
        statuses = answers_to(base_url, request)
        if any(status >= 500 for status in statuses):
            raise AssertionError(f"seed {seed}, request {number}: {statuses} to {request[:500]!r}")
        counted.update(map(str, statuses))
        counted["none"] += not statuses
    return counted


if __name__ == "__main__":
    sys.exit(main())
