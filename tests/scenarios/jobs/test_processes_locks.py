"""Concurrent processes: on one list, on several, and on a state file that does not exist yet."""

from __future__ import annotations

import logging
import os
import re
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.crashes import Service
from support.programs import ended, heard, program

from pinterest_audiences import Client, JobReport, ListBusyError, StateError
from pinterest_audiences._jobs import database
from pinterest_audiences.emulator import Emulator

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="requires fork()")

ACCOUNT = "549755885175"
HOLDING = """
with new_client() as client:
    report = client.upload(ACCOUNT, people(0, 30), name="VIP", state=STATE, on_event=hold)
say(report.planned, report.acknowledged, report.left)
"""


def people(first: int, last: int) -> list[str]:
    return [f"person{n}@shop.de" for n in range(first, last)]


class Place:
    """A Pinterest that every process can reach, and a state file for all."""

    def __init__(self, emulator: Emulator, base_url: str, folder: Path) -> None:
        self.emulator = emulator
        self.base_url = base_url
        self.state = folder / "state"
        self.client = Client("token", base_url=base_url)

    def upload(self, *, name: str = "VIP") -> JobReport:
        return self.client.upload(ACCOUNT, people(0, 30), name=name, state=self.state)

    def members(self, name: str) -> int:
        """Return how many people are on the only list of a name."""
        (found,) = [item for item in self.client.customer_lists_list(ACCOUNT) if item.name == name]
        return len(self.emulator.members(found.id))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    emulator = Emulator(rate_limits=None)
    with Service(emulator) as service:
        place = Place(emulator, service.base_url, tmp_path)
        with place.client:
            yield place


def test_second_process_on_a_list_gets_the_pid_of_the_first(place: Place) -> None:
    """For every kind of job; the first one finishes undisturbed."""
    with program(HOLDING, place.base_url, place.state) as first:
        assert heard(first) == "holding"
        plan = place.client.plan_mirror
        for attempt in (
            place.upload,
            lambda: plan(ACCOUNT, people(0, 9), name="VIP", state=place.state),
            lambda: place.client.resume(ACCOUNT, state=place.state),
        ):
            with pytest.raises(
                ListBusyError, match=rf"another process \(pid {first.pid}\)"
            ) as busy:
                attempt()
            assert busy.value.pid == first.pid
        receipt = place.client.forget("person1@shop.de", state=place.state)
        assert f"pid {first.pid}" in receipt.lists[0].problem
        assert not receipt.complete
        assert ended(first, says="go on\n") == (["30 30 0"], "")
    assert place.members("VIP") == 30


def test_processes_on_different_lists_do_not_wait_for_each_other(place: Place) -> None:
    """One process waits in the middle of a job, another one runs a job on another list."""
    with program(HOLDING, place.base_url, place.state) as first:
        assert heard(first) == "holding"
        assert place.upload(name="Others").acknowledged == 30
        assert ended(first, says="go on\n") == (["30 30 0"], "")
    assert (place.members("VIP"), place.members("Others")) == (30, 30)


@pytest.mark.parametrize("then", ["upload", "mirror", "resume", "forget"])
def test_lock_of_a_killed_process_is_taken_over_and_logged(
    place: Place, caplog: pytest.LogCaptureFixture, then: str
) -> None:
    with program(HOLDING, place.base_url, place.state) as first:
        assert heard(first) == "holding"
        first.kill()
        first.wait()
    client, state = place.client, place.state
    with caplog.at_level(logging.WARNING, "pinterest_audiences"):
        if then == "upload":
            client.upload(ACCOUNT, people(0, 30), name="VIP", state=state)
        elif then == "mirror":
            client.mirror(ACCOUNT, people(0, 30), name="VIP", state=state)
        elif then == "resume":
            assert [report.left for report in client.resume(ACCOUNT, state=state)] == [0]
        else:
            assert client.forget("stranger@shop.de", state=state).complete
            assert place.members("VIP") == 10  # an erasure does not finish other jobs
            client.resume(ACCOUNT, state=state)
    (record,) = caplog.records
    assert re.fullmatch(
        rf'list "VIP" \d+: process {first.pid} died while working on it', record.getMessage()
    )
    assert place.members("VIP") == 30


@pytest.mark.skipif(os.name != "posix", reason="requires POSIX signals")
def test_sigterm_ends_the_process_and_the_job_can_be_resumed(place: Place) -> None:
    """The package installs no signal handler."""
    with program(HOLDING, place.base_url, place.state) as first:
        assert heard(first) == "holding"
        first.terminate()
        assert first.wait() == -signal.SIGTERM
    (report,) = place.client.resume(ACCOUNT, state=place.state)
    assert (report.planned, report.acknowledged, report.left) == (30, 30, 0)
    assert place.members("VIP") == 30


SIDE_BY_SIDE = """
reading, writing = os.pipe()
pids = []
for number in range(6):
    pid = os.fork()
    if pid == 0:
        os.close(writing)
        os.read(reading, 1)  # until all are let go at once
        try:
            with new_client() as client:
                report = client.upload(ACCOUNT, people(0, 200), name=f"List {number}", state=STATE)
            os.write(1, f"{report.acknowledged} {report.left}\\n".encode())
        except BaseException as error:
            os.write(1, f"{error!r}\\n".encode())
        finally:
            os._exit(0)
    pids.append(pid)
os.close(writing)
for pid in pids:
    os.waitpid(pid, 0)
"""


@needs_fork
@pytest.mark.parametrize("attempt", range(3))
def test_processes_create_one_state_file_and_write_to_it_alternately(
    place: Place, attempt: int
) -> None:
    """Six of them, each with its list and twenty batches."""
    with program(SIDE_BY_SIDE, place.base_url, place.state) as parent:
        assert ended(parent) == (["200 0"] * 6, "")
    assert [place.members(f"List {number}") for number in range(6)] == [200] * 6


FORKING = """
def fork(event):
    global pid
    if event.kind == "batch_acknowledged" and event.done == 10:
        pid = os.fork()
        if pid == 0:
            signal.pause()

try:
    with new_client() as client:
        client.upload(ACCOUNT, people(0, 30), name="VIP", state=STATE, on_event=fork)
        say(client.upload(ACCOUNT, people(20, 50), name="VIP", state=STATE).acknowledged)
finally:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
"""


@needs_fork
def test_child_forked_during_a_job_does_not_keep_the_lock(place: Place) -> None:
    """It inherits the open file, but the lock is released explicitly."""
    with program(FORKING, place.base_url, place.state) as parent:
        assert ended(parent) == (["30"], "")
    assert place.members("VIP") == 50


def test_symlink_to_a_state_file_shares_its_locks(place: Place, tmp_path: Path) -> None:
    link = tmp_path / "linked"
    link.symlink_to(place.state)
    with program(HOLDING, place.base_url, place.state) as first:
        assert heard(first) == "holding"
        with pytest.raises(ListBusyError):
            place.client.upload(ACCOUNT, people(0, 30), name="VIP", state=link)
        assert ended(first, says="go on\n") == (["30 30 0"], "")


def test_state_file_that_stays_locked_raises_and_nothing_is_sent(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it is unlocked, the job can be run."""
    place.upload(name="Others")
    monkeypatch.setattr(database, "_LOCK_TIMEOUT_SECONDS", 0.01)
    other = sqlite3.connect(place.state, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    before = len(place.emulator.requests)
    with pytest.raises(StateError, match="another process has been writing"):
        place.upload()
    methods = [entry.method for entry in place.emulator.requests[before:]]
    assert set(methods) <= {"GET"}
    other.execute("ROLLBACK")
    other.close()
    assert place.upload().acknowledged == 30
    assert place.members("VIP") == 30
