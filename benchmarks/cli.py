"""The command line against the same by hand: whole processes, by the clock on the wall."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import Row, show

OURS = [sys.executable, "-m", "pinterest_audiences"]
BY_HAND = Path(__file__).parent / "by_hand"
ROUNDS = 15


def seconds(command: list[str], environment: dict[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def ratio(ours: list[str], floor: list[str], environment: dict[str, str]) -> float:
    """Run both in turn; the first round warms up the disk."""
    spent: tuple[list[float], list[float]] = ([], [])
    for turn in range(ROUNDS + 1):
        for kept, command in zip(spent, (ours, floor), strict=True):
            took = seconds(command, environment)
            if turn:
                kept.append(took)
    return statistics.median(spent[0]) / statistics.median(spent[1])


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "XDG_STATE_HOME": folder, "XDG_CONFIG_HOME": folder}
        people = Path(folder) / "people.txt"
        people.write_text("".join(f"person{number}@shop.example\n" for number in range(1_000)))
        upload = [*OURS, "upload", str(people), "--emulator", "-q", "--name"]
        for number in range(5):
            seconds([*upload, f"List {number}"], environment)
        state = Path(folder) / "pinterest-audiences" / "emulator" / "pinterest.sqlite3"
        environment["EMULATOR_STATE"] = str(state)
        by_help = [sys.executable, str(BY_HAND / "help.py"), "--help"]
        by_list = [sys.executable, str(BY_HAND / "lists.py"), "lists", "list"]
        by_client = [sys.executable, str(BY_HAND / "lists_sdk.py"), "lists", "list"]
        listing = [*OURS, "lists", "list", "--emulator"]
        show(
            [
                Row(
                    "pinterest-audiences --help, wall",
                    "cyclopts by hand",
                    ratio([*OURS, "--help"], by_help, environment),
                    "x",
                    1.5,
                ),
                Row(
                    "lists list on the emulator, wall",
                    "cyclopts, this client by hand",
                    ratio(listing, by_client, environment),
                    "x",
                    1.2,
                ),
                Row(
                    "lists list on the emulator, wall",
                    "cyclopts, httpx, cattrs by hand",
                    ratio(listing, by_list, environment),
                    "x",
                    1.2,
                ),
            ]
        )


if __name__ == "__main__":
    main()
