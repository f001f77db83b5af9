"""Jobs interrupted by Ctrl-C, by a kill, or by a second run of the same command."""

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
from unit.cli.conftest import Run

from pinterest_audiences.pytest_plugin import PinterestServer

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(os.name != "posix", reason="requires POSIX signals"),
]

PEOPLE = 19_000  # ten calls; the first four go at once
UPLOAD = ("upload", "people.txt", "--name", "All")


@contextmanager
def uploading(*words: str) -> Iterator[subprocess.Popen[str]]:
    """Start an upload, and yield once its job has started."""
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


def test_ctrl_c_leaves_a_resumable_job_and_names_the_command(run: Run) -> None:
    """Without a traceback or standard output; the command finishes the job."""
    with uploading("--emulator") as process:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    error = json.loads(err.splitlines()[-1])["error"]
    assert (process.returncode, out, error["code"]) == (130, "", "interrupted")
    assert error["hint"] == "finish it with: pinterest-audiences resume --emulator"
    assert "Traceback" not in err
    (job,) = run("resume", "--emulator", "--dry-run").data
    assert job["status"] == "running"
    (report,) = run("resume", "--emulator").data
    assert (report["added"], report["left"]) == (PEOPLE, 0)
    (listed,) = run("lists", "list", "--emulator").data
    assert listed["num_uploaded_user_records"] >= PEOPLE


def test_killed_command_keeps_acknowledged_batches(run: Run) -> None:
    """In the job's state and in the embedded emulator's."""
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


def test_second_run_exits_with_7_and_first_run_finishes(run: Run, server: PinterestServer) -> None:
    over = threading.Event()
    # The first waits for a response until the second has ended.
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
