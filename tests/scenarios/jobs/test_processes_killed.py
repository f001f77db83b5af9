"""A job whose process is killed at any point is finished by `resume` without loss."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from attrs import field, frozen
from support.crashes import (
    Driver,
    Kill,
    LethalEmulator,
    Outcome,
    Ranges,
    Service,
    Step,
    choose,
    digests,
)

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="requires fork()"),
]

POINTS = 100  # of each operation
WORKERS = 2
BEFORE: Ranges = ((0, 50),)  # three batches
WANTED: Ranges = ((30, 95),)  # three batches to add, one to remove
OTHERS: Ranges = ((10, 40), (90, 130))
KINDS = ("asked", "answered", "event", "statement", "progress", "piece", "delay")
INSIDE = ("event", "statement", "progress", "piece")  # where a process can send itself a signal
SETUPS: dict[str, tuple[Step, ...]] = {"upload": (), "mirror": (("mirror", BEFORE),)}


@frozen
class Stage:
    """Everything that survives, and what a life that is not cut short consists of.

    Attributes:
        emulator: Pinterest.
        drivers: Programs that fork children, to be taken and put back.
        folder: Where state files go.
        accounts: The next ad account.
        counts: By the operation, how much there is of everything that a child can be killed at.
    """

    emulator: LethalEmulator
    drivers: SimpleQueue[Driver]
    folder: Path
    accounts: Iterator[int]
    counts: dict[str, dict[str, float]]

    def state(self, account: str) -> Path:
        """Return where an account's state file is to be."""
        folder = self.folder / account
        folder.mkdir()
        return folder / "state"


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    emulator = LethalEmulator()
    # A killed process loses nothing of what it has written, so that a disk has nothing to add.
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with Service(emulator) as service, TemporaryDirectory(dir=memory) as folder:
        drivers = [Driver(service.base_url) for _ in range(WORKERS)]
        made = Stage(emulator, SimpleQueue(), Path(folder), count(1), {})
        for operation, setup in SETUPS.items():
            account = str(next(made.accounts))
            state = made.state(account)
            outcome = drivers[0].run(account, state, *setup, (operation, WANTED))
            assert outcome.error is None
            (asked,) = (n for token, n in emulator.asked.items() if token.startswith(f"{account}."))
            made.counts[operation] = {**outcome.counts, "asked": asked, "answered": asked}
        for driver in drivers:
            made.drivers.put(driver)
        yield made
        for driver in drivers:
            driver.close()


@frozen
class Life:
    """One account, whose jobs are killed until nothing kills them any more.

    Attributes:
        stage: Where it takes place.
        driver: What forks its children.
        account: The account.
        state: Its state file.
        chance: Decides when it is killed.
        kills: Where it was.
    """

    stage: Stage
    driver: Driver
    account: str
    state: Path
    chance: random.Random
    kills: list[Kill] = field(factory=list[Kill])

    def kill(self, operation: str, *steps: Step) -> bool:
        """Kill a child in its last step; False where it had ended before."""
        kill = choose(self.chance, self.stage.counts[operation], KINDS, "SIGKILL")
        outcome = self.driver.run(self.account, self.state, *steps, kill=kill)
        assert outcome.error is None, outcome
        if outcome.killed:
            self.kills.append(kill)
        return outcome.killed

    def interrupt(self, operation: str, *steps: Step) -> None:
        """Press Ctrl-C in a child's last step; what follows it is done by the same client."""
        kill = choose(self.chance, self.stage.counts[operation], INSIDE, "SIGINT")
        outcome = self.driver.run(self.account, self.state, *steps, kill=kill)
        assert (outcome.error, outcome.killed) == (None, False), outcome
        self.kills.extend([kill] * outcome.interrupted)

    def run(self, *steps: Step) -> Outcome:
        """Let a child live."""
        outcome = self.driver.run(self.account, self.state, *steps)
        assert outcome.error is None, outcome
        return outcome

    def resume(self, step: Step, *, earlier: int) -> Outcome:
        """Resume; a job that had not been recorded has sent nothing, and is begun again."""
        before = self.stage.emulator.writes(self.account)
        outcome = self.run(("resume",))
        if not [job for job in outcome.jobs if job["status"] == "done"][earlier:]:
            assert self.stage.emulator.writes(self.account) == before
            outcome = self.run(step)
        return outcome

    def check(self, outcome: Outcome, people: Ranges) -> None:
        """Hold Pinterest against what was wanted, and the reports against each other."""
        (list_id,) = self.stage.emulator.lists(self.account)
        assert self.stage.emulator.members(list_id) == digests(people)
        (status,) = outcome.lists
        assert status["customer_list_id"] == list_id
        assert status["settled"]
        assert status["in_doubt"] == 0
        assert status["records"] == len(digests(people))
        for job in outcome.jobs:
            check_report(job)


def check_report(job: dict[str, Any]) -> None:
    assert job["left"] == 0
    assert job["planned"] == job["added"] + job["removed"] + job["dropped"]
    assert not [item for item in job["findings"] if "drift" in item]  # there were no other writers
    if job["status"] == "done":
        assert job["dropped"] == 0
        assert job["calls"] >= job["batches"]
    else:
        assert job["status"] == "superseded"


def many(stage: Stage, points: int, live: Callable[[Life], None]) -> int:
    """Run many lives, some at a time, and return how often a process was killed."""

    def one(seed: int) -> int:
        driver, account = stage.drivers.get(), str(next(stage.accounts))
        life = Life(stage, driver, account, stage.state(account), random.Random(seed))
        try:
            live(life)
        except BaseException as error:
            error.add_note(f"seed {seed}, killed at {life.kills}")
            raise
        finally:
            stage.drivers.put(driver)
        return len(life.kills)

    with ThreadPoolExecutor(WORKERS) as pool:
        return sum(pool.map(one, range(points)))


@pytest.mark.parametrize("operation", SETUPS)
def test_killed_job_is_finished_by_resume(stage: Stage, operation: str) -> None:
    """At any point, once or again during resume: no record is lost, and none stays by mistake."""
    setup, step = SETUPS[operation], (operation, WANTED)

    def live(life: Life) -> None:
        killed = life.kill(operation, *setup, step)
        while killed and life.chance.random() < 0.3:
            killed = life.kill(operation, ("resume",))
        life.check(life.resume(step, earlier=len(setup)), WANTED)

    assert many(stage, POINTS, live) >= POINTS


@pytest.mark.parametrize("operation", SETUPS)
def test_mirror_supersedes_a_killed_job(stage: Stage, operation: str) -> None:
    """Records of the killed job or of the list that are not in the new source are removed."""
    setup, step = SETUPS[operation], (operation, WANTED)

    def live(life: Life) -> None:
        killed = life.kill(operation, *setup, step)
        while killed and life.chance.random() < 0.3:
            killed = life.kill(operation, ("mirror", OTHERS))
        life.check(life.run(("mirror", OTHERS)), OTHERS)

    assert many(stage, POINTS // 4, live) >= POINTS // 4


@pytest.mark.parametrize("operation", SETUPS)
def test_ctrl_c_leaves_a_usable_client_and_a_resumable_job(stage: Stage, operation: str) -> None:
    """At any point: the lock is released, and the client can resume at once."""
    setup, step = SETUPS[operation], (operation, WANTED)

    def live(life: Life) -> None:
        life.interrupt(operation, *setup, step)
        life.check(life.resume(step, earlier=len(setup)), WANTED)

    assert many(stage, POINTS // 2, live) >= POINTS // 3
