"""Compare the command line with hand-written commands: whole processes, wall time."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import in_turns, show

OURS = [sys.executable, "-m", "pinterest_audiences"]
BY_HAND = Path(__file__).parent / "by_hand"
ROUNDS = 15


def seconds(command: list[str], environment: dict[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


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
        figure = "lists list on the emulator, wall"
        help_figure = "pinterest-audiences --help, wall"
        rows = [
            (help_figure, [*OURS, "--help"], by_help, "cyclopts by hand", 1.5),
            (figure, listing, by_client, "cyclopts, this client by hand", 1.2),
            (figure, listing, by_list, "cyclopts, httpx, cattrs by hand", 1.2),
        ]
        show(
            [
                in_turns(
                    functools.partial(seconds, baseline, environment),
                    functools.partial(seconds, ours, environment),
                    rounds=ROUNDS,
                ).ratio(figure, text, goal)
                for figure, ours, baseline, text, goal in rows
            ]
        )


if __name__ == "__main__":
    main()
