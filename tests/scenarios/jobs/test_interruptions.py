"""Every pair of jobs: one is interrupted at each of its requests, then the other runs.

In every case a plan sends no writes, a person who was removed or erased is not added again, and a
mirror leaves exactly its source.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from attrs import define
from support.jobs import ACCOUNT, NAME, Rig, digest, digests, people, state_bytes

from pinterest_audiences import CallError, JobInterruptedError

pytestmark = [pytest.mark.anyio, pytest.mark.once]

BASE, WRONG, SOURCE = people(0, 24), people(40, 64), people(0, 30)
OUT = people(5, 6)[0]  # on the list, in the interrupted job, and in no later source
LATER = [item for item in SOURCE if item != OUT]
MOST_CALLS = 12


@define
class Case:
    """A list in the making, and the jobs on it."""

    rig: Rig
    fresh: bool  # whether the first job creates the list
    adopted: bool  # whether others made it

    async def prepare(self) -> None:
        rig = self.rig
        if self.adopted:
            rig.emulator.seed_lists(ACCOUNT, 1, name=NAME, records=sorted(digests([OUT])))
            await rig.client.mirror(ACCOUNT, people(0, 5), name=NAME, adopt=True, state=rig.state)
        elif not self.fresh:
            await rig.client.upload(ACCOUNT, BASE, name=NAME, state=rig.state)

    async def run(self, job: str) -> None:  # noqa: C901 - a table
        client, state = self.rig.client, self.rig.state
        match job:
            case "add":
                await client.upload(ACCOUNT, [*WRONG, OUT], name=NAME, state=state, retry_timeout=1)
            case "remove":
                await client.upload(
                    ACCOUNT,
                    [OUT, *WRONG],
                    name=NAME,
                    operation="REMOVE",
                    allow_removals=True,
                    state=state,
                    retry_timeout=1,
                )
            case "mirror":
                await client.mirror(
                    ACCOUNT, LATER, name=NAME, allow_removals=True, state=state, retry_timeout=1
                )
            case "mirror wrong":
                await client.mirror(
                    ACCOUNT,
                    [*WRONG, OUT],
                    name=NAME,
                    allow_removals=True,
                    state=state,
                    retry_timeout=1,
                )
            case "plan":
                await client.plan_mirror(ACCOUNT, LATER, name=NAME, state=state)
            case "forget":
                receipt = await client.forget(OUT, state=state, retry_timeout=1)
                if not receipt.complete:
                    raise CallError(str(receipt))
            case "resume":
                await client.resume(ACCOUNT, state=state, retry_timeout=1)
            case _:
                for item in await client.jobs(state=state):
                    if item.status == "running":
                        await client.abandon(item.job_id, state=state)

    async def interrupted(self, job: str, number: int, *, applied: bool) -> bool:
        """Run a job whose connection breaks at a call; return whether it came that far."""
        wire = self.rig.wire
        last = len(wire.sent) + number
        with wire.broken_from(number, applied=applied), suppress(CallError, JobInterruptedError):
            await self.run(job)
        return len(wire.sent) >= last

    async def members(self) -> frozenset[object]:
        ids = await self.rig.lists()
        assert len(ids) <= 1, "a second list was created"
        return frozenset[object]().union(*(self.rig.emulator.members(item) for item in ids))

    async def check(self, first: str, second: str, writes: int, *, recorded: bool) -> None:
        """Compare the end with what the pair of jobs has to leave."""
        rig, out = self.rig, digest(OUT)
        members = await self.members()
        match second:
            case "plan":
                assert len(rig.wire.writes) == writes, "a plan has sent something"
            case "mirror":
                assert members - ({out} if self.adopted else set()) == digests(LATER)
            case "remove" | "forget":
                assert out not in members
        if second == "forget":
            assert bytes.fromhex(out) not in state_bytes(rig.state)
        removed = first in {"remove", "forget"} and recorded and second != "abandon"
        if removed or second in {"remove", "forget"}:
            await rig.client.resume(ACCOUNT, state=rig.state)
            assert second == "add" or out not in await self.members(), "a person came back"
        report = await rig.client.mirror(
            ACCOUNT, LATER, name=NAME, adopt=True, allow_removals=True, state=rig.state
        )
        assert report.status == "done"
        members = await self.members()
        assert members >= digests(LATER), "a mirror has left a person out"
        # A list of others holds a person whom no mirror knows.
        if removed or second in {"remove", "forget"} or not self.adopted:
            assert members == digests(LATER)
        assert await rig.client.resume(ACCOUNT, state=rig.state) == []


SECOND = ("plan", "mirror", "add", "remove", "forget", "abandon", "resume")
STARTS = [
    ("add", True, False),
    ("mirror wrong", True, False),
    ("add", False, False),
    ("remove", False, False),
    ("mirror wrong", False, False),
    ("forget", False, False),
    ("remove", False, True),
    ("forget", False, True),
]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("applied", [True, False], ids=["answer-lost", "request-lost"])
@pytest.mark.parametrize("second", SECOND)
@pytest.mark.parametrize(("first", "fresh", "adopted"), STARTS)
async def test_every_pair_of_jobs_leaves_the_right_members(  # noqa: PLR0917 - a table
    rig: Rig, small_batches: int, first: str, fresh: bool, adopted: bool, second: str, applied: bool
) -> None:
    """Interrupted at each request of the first job."""
    for number in range(1, MOST_CALLS):
        rig.emulator.reset()
        state = rig.state.with_name(f"{number}.sqlite3")
        case = Case(
            Rig(rig.client, rig.emulator, rig.clock, rig.wire, state), fresh=fresh, adopted=adopted
        )
        await case.prepare()
        begun = await case.interrupted(first, number, applied=applied)
        writes, jobs = len(rig.wire.writes), await rig.client.jobs(state=state)
        recorded = any(item.status in {"running", "done"} for item in jobs[1:])
        run: Callable[[str], Awaitable[None]] = case.run
        if second == "remove":
            with suppress(Exception):  # there may be no list to remove from
                await run(second)
        else:
            await run(second)
        await case.check(first, second, writes, recorded=recorded)
        if not begun:
            return
