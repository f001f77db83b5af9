"""Jobs that are interrupted: by Ctrl-C, by a kill, by a second run of the same command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cli.conftest import Run

from pinterest_audiences.pytest_plugin import PinterestServer

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(os.name != "posix", reason="signals are a matter of Unix"),
]

PEOPLE = 100_000  # ten calls; the first four go at once
UPLOAD = ("upload", "people.txt", "--name", "All")


@contextmanager
def uploading(*words: str) -> Iterator[subprocess.Popen[str]]:
    """Run an upload, and go on when its job has begun."""
    Path("people.txt").write_text("".join(f"person{n}@shop.example\n" for n in range(PEOPLE)))
    process = subprocess.Popen(
        [sys.executable, "-m", "pinterest_audiences", *UPLOAD, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        assert process.stderr.readline() == f"job 1: 0 of {PEOPLE:,} records (0%)\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_ctrl_c_leaves_a_job_and_says_what_finishes_it(run: Run) -> None:
    """No traceback, nothing on standard output; and what it says does it."""
    with uploading("--emulator") as process:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    told = json.loads(err.splitlines()[-1])["error"]
    assert (process.returncode, out, told["code"]) == (130, "", "interrupted")
    assert told["hint"] == "finish it with: pinterest-audiences resume --emulator"
    assert "Traceback" not in err
    (job,) = run("resume", "--emulator", "--dry-run").data
    assert job["status"] == "running"
    (report,) = run("resume", "--emulator").data
    assert (report["added"], report["left"]) == (PEOPLE, 0)
    (listed,) = run("lists", "list", "--emulator").data
    assert listed["num_uploaded_user_records"] >= PEOPLE


def test_a_killed_command_loses_nothing_that_was_acknowledged(run: Run) -> None:
    """Neither the jobs' state nor the embedded emulator's: what one knows, the other has."""
    with uploading("--emulator") as process:
        process.kill()
        process.communicate()
    (before,) = run("status", "--emulator").data
    (report,) = run("resume", "--emulator").data
    assert before["settled"] is False
    assert (report["added"], report["left"], report["status"]) == (PEOPLE, 0, "done")
    (listed,) = run("lists", "list", "--emulator").data
    assert listed["num_uploaded_user_records"] >= PEOPLE
    assert run("resume", "--emulator").data == []


def test_a_second_run_of_the_same_command_does_not_disturb_the_first(
    run: Run, server: PinterestServer
) -> None:
    """It ends at once with 7, and the first goes on to its end."""
    over = threading.Event()
    # The first waits for Pinterest until the second is over.
    server.emulator.fault(
        "slow", operation="customer_lists_create", when=lambda _: over.wait(60), seconds=0.01
    )
    with uploading() as process:
        second = run(*UPLOAD)
        over.set()
        out, _ = process.communicate(timeout=60)
    assert (second.code, second.out, second.error["code"]) == (7, "", "list_busy")
    assert (process.returncode, json.loads(out)["added"]) == (0, PEOPLE)
    (listed,) = run("lists", "list").data
    assert listed["num_uploaded_user_records"] == PEOPLE
