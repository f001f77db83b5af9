"""Several jobs at once in one process: on one list, on many, and on a name that is being taken."""

from __future__ import annotations

import os
from collections import Counter

import anyio
import anyio.lowlevel
import httpx
import pytest
from attrs import define, field
from support.jobs import ACCOUNT, Rig, Wire, adds_up, digests, make_rig, people

from pinterest_audiences import (
    AsyncClient,
    GuardError,
    JobInterruptedError,
    JobReport,
    ListBusyError,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_batches")]

PATIENCE = 20.0
NAMES = ("First", "Second", "Third")


@define
class Crowd(httpx.AsyncBaseTransport):
    """Holds writes back until so many are on their way at once, and counts them.

    Attributes:
        inner: Where they go.
        wanted: How many have to come together before the first is let through.
        most: How many were on their way at once to one list, at most.
    """

    inner: httpx.AsyncBaseTransport
    wanted: int
    most: Counter[str] = field(factory=Counter[str])
    _there: Counter[str] = field(factory=Counter[str])
    _all_there: anyio.Event = field(factory=anyio.Event)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Let a request through when its time has come."""
        if request.method == "GET":
            return await self.inner.handle_async_request(request)
        path = request.url.path
        self._there[path] += 1
        self.most[path] = max(self.most[path], self._there[path])
        if sum(self._there.values()) == self.wanted:
            self._all_there.set()
        try:
            await self._all_there.wait()
            for _ in range(20):  # time enough for others to overtake
                await anyio.lowlevel.checkpoint()
            return await self.inner.handle_async_request(request)
        finally:
            self._there[path] -= 1


def crowded(rig: Rig, wanted: int) -> tuple[AsyncClient, Crowd]:
    crowd = Crowd(rig.emulator.transport(), wanted)
    return AsyncClient("token", transport=crowd, clock=rig.clock), crowd


async def upload(rig: Rig, name: str, stop: int = 45) -> JobReport:
    return await rig.client.upload(ACCOUNT, people(0, stop), name=name, state=rig.state)


async def test_a_second_task_on_a_list_is_refused(rig: Rig) -> None:
    """It is told that it is this very process; the first one goes on."""
    refused: list[ListBusyError] = []

    async def intrude(wire: Wire) -> None:
        if len(wire.updates) == 1:
            rig.wire.before = None
            with pytest.raises(ListBusyError, match="another task of this process") as busy:
                await upload(rig, "First")
            refused.append(busy.value)

    rig.wire.before = intrude
    report = await upload(rig, "First")
    assert [error.pid for error in refused] == [os.getpid()]
    assert (report.planned, report.acknowledged) == (45, 45)
    assert await rig.members("First") == digests(people(0, 45))


async def test_jobs_of_one_client_go_side_by_side(rig: Rig) -> None:
    """Three lists in a task group are written to at once, and each by one call at a time."""
    client, crowd = crowded(rig, wanted=3)
    reports: dict[str, JobReport] = {}

    async def one(name: str) -> None:
        reports[name] = await client.upload(ACCOUNT, people(0, 45), name=name, state=rig.state)

    with anyio.fail_after(PATIENCE):
        async with client, anyio.create_task_group() as tasks:
            for name in NAMES:
                tasks.start_soon(one, name)
    assert all(adds_up(report) and report.acknowledged == 45 for report in reports.values())
    for name in NAMES:
        assert await rig.members(name) == digests(people(0, 45))
    updates = {path: most for path, most in crowd.most.items() if path[-1].isdigit()}
    assert list(updates.values()) == [1, 1, 1]


async def interrupt(rig: Rig, *names: str) -> None:
    """Begin to upload, and be refused at the second batch."""
    for name in names:
        rig.emulator.fault("status", operation="customer_lists_update", status=403)
        with pytest.raises(JobInterruptedError):
            await upload(rig, name)


async def test_resume_finishes_the_lists_side_by_side(rig: Rig) -> None:
    """Three interrupted uploads are written to at once, and each by one call at a time."""
    await interrupt(rig, *NAMES)
    client, crowd = crowded(rig, wanted=3)
    with anyio.fail_after(PATIENCE):
        async with client:
            reports = await client.resume(ACCOUNT, state=rig.state)
    assert [(report.name, report.acknowledged, report.left) for report in reports] == [
        (name, 45, 0) for name in NAMES
    ]
    assert list(crowd.most.values()) == [1, 1, 1]


async def test_one_list_that_fails_does_not_keep_the_others_from_their_end(rig: Rig) -> None:
    """The error is raised when all have ended; the list is resumed another time."""
    await interrupt(rig, *NAMES)
    (second,) = await rig.lists("Second")
    rig.emulator.fault("status", path=f"*/{second}", status=403)
    with pytest.raises(JobInterruptedError, match=second):
        await rig.client.resume(ACCOUNT, state=rig.state)
    for name, members in (("First", 45), ("Second", 10), ("Third", 45)):
        assert len(await rig.members(name)) == members
    (report,) = await rig.client.resume(ACCOUNT, state=rig.state)
    assert (report.name, report.left) == ("Second", 0)


async def test_tasks_that_create_one_name_at_once_create_it_once(rig: Rig) -> None:
    """One of them does it; the other is told that somebody does."""
    outcomes: list[JobReport | ListBusyError] = []
    told = anyio.Event()

    async def create_late(wire: Wire) -> None:
        if wire.sent[-1].method == "POST":
            with anyio.fail_after(PATIENCE):
                await told.wait()

    async def one() -> None:
        try:
            outcomes.append(await upload(rig, "First"))
        except ListBusyError as error:
            outcomes.append(error)
            told.set()

    rig.wire.before = create_late
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one)
        tasks.start_soon(one)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["JobReport", "ListBusyError"]
    assert await rig.members("First") == digests(people(0, 45))


async def test_a_name_taken_while_it_was_looked_for_is_used(rig: Rig) -> None:
    """Somebody else's job began and ended between the look at Pinterest and the creation."""
    other = make_rig(rig.state, rig.emulator, clock=rig.clock)

    async def create_meanwhile(wire: Wire) -> None:
        rig.wire.after = None  # the answer, that there is no such list, is on its way already
        await upload(other, "First", 20)

    rig.wire.after = create_meanwhile
    async with other.client:
        report = await upload(rig, "First")
    assert not report.created
    assert await rig.members("First") == digests(people(0, 45))


async def test_a_name_that_is_being_created_is_not_taken_for_a_strangers(rig: Rig) -> None:
    """It is seen at Pinterest before its creator has heard of it; the creator goes on."""
    other = make_rig(rig.state, rig.emulator, clock=rig.clock)
    told: list[Exception] = []
    looked, created = anyio.Event(), anyio.Event()

    async def look_late(_: Wire) -> None:
        other.wire.before = None
        looked.set()
        await created.wait()

    async def hear_late(wire: Wire) -> None:
        if wire.sent[-1].method == "POST":
            rig.wire.after = None
            created.set()
            await ended.wait()

    async def intrude() -> None:
        try:
            await upload(other, "First")
        except (ListBusyError, GuardError) as error:
            told.append(error)
        ended.set()

    ended = anyio.Event()
    other.wire.before, rig.wire.after = look_late, hear_late
    async with other.client, anyio.create_task_group() as tasks:
        tasks.start_soon(intrude)
        await looked.wait()
        report = await upload(rig, "First")
    assert [type(error) for error in told] == [ListBusyError]
    assert (report.created, report.acknowledged, report.left) == (True, 45, 0)
    assert await rig.members("First") == digests(people(0, 45))
    (status,) = await rig.client.status(ACCOUNT, state=rig.state)
    assert (status.origin, status.settled) == ("created", True)
