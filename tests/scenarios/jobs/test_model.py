"""Random sequences of jobs against a model of the list: each person is in, out, or unconfirmed.

Jobs are interrupted at any request, before or after it is carried out; responses are lost;
Pinterest is unavailable. The members must match the model, and after a finished job none is
unconfirmed.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import anyio
import pytest
from attrs import define, field, frozen
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from support.clock import FakeClock
from support.jobs import ACCOUNT, NAME, Rig, adds_up, broken, cut_off, digest, make_rig, people
from support.jobs import state_bytes as bytes_of

from pinterest_audiences import JobReport, OperationType, PinterestAudiencesError
from pinterest_audiences._jobs import keys
from pinterest_audiences.emulator import Emulator

PEOPLE = people(0, 12)
BATCH = 3
EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "30"))
# Each example is a handful of jobs on a disk: to make a failing one smaller takes minutes.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)

Kind = Literal["upload", "remove", "mirror", "plan", "forget", "resume"]


@frozen
class Trouble:
    """What goes wrong: at which request of a job, and how.

    Attributes:
        kind: ``cancel_before`` and ``cancel_after`` a request; ``lost`` are answers of some;
            ``away`` is Pinterest from one on; ``forbidden`` is one.
        at: The request, counted from 1.
    """

    kind: Literal["none", "cancel_before", "cancel_after", "lost", "away", "forbidden"]
    at: int


@frozen
class Step:
    """A job, for whom, and what goes wrong with it."""

    kind: Kind
    people: frozenset[int]
    trouble: Trouble


STEPS = st.builds(
    Step,
    st.sampled_from(["upload", "upload", "remove", "mirror", "mirror", "plan", "forget", "resume"]),
    st.frozensets(st.integers(0, len(PEOPLE) - 1), min_size=1),
    st.builds(
        Trouble,
        st.sampled_from(["none", "cancel_before", "cancel_after", "lost", "away", "forbidden"]),
        st.integers(1, 8),
    ),
)

IN, OUT, UNKNOWN = "in", "out", "unknown"


def effect(step: Step, before: str, person: int, *, done: bool) -> str:
    """Return the state of a person after a finished or an interrupted job."""
    named = person in step.people
    match step.kind:
        case "upload":
            target = IN if named else before
        case "remove" | "forget":
            target = OUT if named else before
        case _:
            target = IN if named else OUT
    return target if done or target == before else UNKNOWN


@define
class Life:
    """One list, one state file, and what the model knows of them.

    Attributes:
        rig: The client and the emulator.
        begun: The step of each job in the state.
        forgotten: By unfinished job, where a later erasure left people: it also takes them out of
            what that job had yet to send, and has no job itself if nothing else was to be done.
    """

    rig: Rig
    begun: dict[int, Step] = field(factory=dict[int, Step])
    forgotten: dict[int, dict[int, str]] = field(factory=dict[int, dict[int, str]])

    async def play(self, step: Step) -> None:
        """Run a job with its trouble, and check what came of it."""
        unfinished = [job.job_id for job in await self._jobs() if job.status == "running"]
        completed = await self._run(step)
        jobs = await self._jobs()
        if step.kind == "forget":
            for number in unfinished:
                places = self.forgotten.setdefault(number, {})
                places.update(dict.fromkeys(step.people, OUT if completed else UNKNOWN))
        for job in jobs:
            self.begun.setdefault(job.job_id, step)  # no step begins more than one
        await self._check(jobs)
        if completed and step.kind not in ("plan", "forget"):  # these finish no other job
            assert not any(job.status == "running" for job in jobs)
        if completed and step.kind == "forget":
            held = bytes_of(self.rig.state)
            assert not any(bytes.fromhex(digest(PEOPLE[who])) in held for who in step.people)

    async def _run(self, step: Step) -> bool:
        """Return whether the job came to its end."""
        wire, emulator, trouble = self.rig.wire, self.rig.emulator, step.trouble
        wire.sent.clear()
        completed = False
        with anyio.CancelScope() as scope, suppress(PinterestAudiencesError):
            match trouble.kind:
                case "cancel_before":
                    wire.before = cut_off(trouble.at, scope)
                case "cancel_after":
                    wire.after = cut_off(trouble.at, scope)
                case "lost":
                    wire.after = broken(trouble.at, trouble.at + 1, trouble.at + 4)
                case "away":
                    wire.after = broken(*range(trouble.at, 1_000))
                case "forbidden":
                    emulator.fault("status", status=403, after=trouble.at - 1)
                case _:
                    pass
            completed = await self._job(step)
        wire.before = wire.after = None
        emulator.faults.clear()
        return completed

    async def _job(self, step: Step) -> bool:
        client, state = self.rig.client, self.rig.state
        source = [PEOPLE[number] for number in sorted(step.people)]
        match step.kind:
            case "upload" | "remove":
                operation = OperationType("ADD" if step.kind == "upload" else "REMOVE")
                report = await client.upload(
                    ACCOUNT,
                    source,
                    name=NAME,
                    operation=operation,
                    allow_removals=True,
                    state=state,
                    retry_timeout=30,
                )
                assert report.status == "done"
            case "mirror":
                report = await client.mirror(
                    ACCOUNT, source, name=NAME, allow_removals=True, state=state, retry_timeout=30
                )
                assert report.status == "done"
            case "plan":
                await client.plan_mirror(ACCOUNT, source, name=NAME, state=state)
            case "forget":
                receipt = await client.forget(source, state=state, retry_timeout=30)
                return receipt.complete
            case "resume":
                await client.resume(ACCOUNT, state=state, retry_timeout=30)
        return True

    async def _jobs(self) -> list[JobReport]:
        lists = await self.rig.client.status(ACCOUNT, state=self.rig.state)
        found = [job for item in lists for job in item.jobs]
        assert all(adds_up(job) for job in found)
        return found

    async def _check(self, jobs: list[JobReport]) -> None:
        """Compare the list with the model: what each job has done, or may have."""
        expected = [OUT] * len(PEOPLE)
        for job in jobs:
            if job.status == "planned":
                continue
            step, done = self.begun[job.job_id], job.status == "done"
            expected = [
                effect(step, before, person, done=done) for person, before in enumerate(expected)
            ]
            for person, place in self.forgotten.get(job.job_id, {}).items():
                expected[person] = place if expected[person] != OUT else OUT
        lists = await self.rig.lists()
        assert len(lists) <= 1
        members = self.rig.emulator.members(lists[0]) if lists else frozenset()
        for person, where in enumerate(expected):
            if where != UNKNOWN:
                assert (digest(PEOPLE[person]) in members) == (where == IN), (person, where)


async def live(steps: list[Step], directory: str) -> None:
    """Run the steps on a list, and check it after each."""
    clock = FakeClock()
    emulator = Emulator(clock=clock.time, rate_limits=None)
    rig = make_rig(Path(directory, "jobs.sqlite3"), emulator, max_retries=1, clock=clock)
    async with rig.client:
        life = Life(rig)
        for step in steps:
            await life.play(step)
        whole = frozenset(range(0, len(PEOPLE), 2))
        await life.play(Step("mirror", whole, Trouble("none", 1)))
        assert await rig.members() == {digest(PEOPLE[number]) for number in whole}


EVERYONE = frozenset(range(len(PEOPLE)))
# The erasure finds none of them on the list, and takes them out of an interrupted upload.
ERASED_BEFORE_RESUME = [
    Step("upload", frozenset({2, 3, 4}), Trouble("none", 1)),
    Step("remove", EVERYONE, Trouble("none", 1)),
    Step("upload", EVERYONE, Trouble("forbidden", 2)),
    Step("forget", frozenset({0, 1, 3}), Trouble("none", 1)),
    Step("resume", EVERYONE, Trouble("none", 1)),
]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@example(steps=ERASED_BEFORE_RESUME)
@settings(max_examples=EXAMPLES, phases=PHASES)
@given(steps=st.lists(STEPS, min_size=1, max_size=7))
def test_list_always_matches_the_model(backend: str, steps: list[Step]) -> None:
    """After every step, and exactly the source after the mirror at the end."""
    run: Callable[..., None] = anyio.run
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as directory:
        patch.setattr(keys, "MAX_RECORDS", BATCH)
        run(live, steps, directory, backend=backend)
