"""Concurrent jobs in one process: on one list, on several, and on a name being created."""

from __future__ import annotations

import os
from collections import Counter

import anyio
import anyio.lowlevel
import httpx
import pytest
from attrs import define, field
from support.jobs import ACCOUNT, Rig, Wire, adds_up, digests, make_rig, people
from support.programs import HANGS_AFTER_SECONDS

from pinterest_audiences import (
    AsyncClient,
    GuardError,
    JobInterruptedError,
    JobReport,
    ListBusyError,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_batches")]

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


async def test_second_task_on_a_list_is_refused(rig: Rig) -> None:
    """The error names this process; the first task continues."""
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


async def test_jobs_of_one_client_run_concurrently(rig: Rig) -> None:
    """Three lists in a task group are written to concurrently, each by one request at a time."""
    client, crowd = crowded(rig, wanted=3)
    reports: dict[str, JobReport] = {}

    async def one(name: str) -> None:
        reports[name] = await client.upload(ACCOUNT, people(0, 45), name=name, state=rig.state)

    with anyio.fail_after(HANGS_AFTER_SECONDS):
        async with client, anyio.create_task_group() as tasks:
            for name in NAMES:
                tasks.start_soon(one, name)
    assert all(adds_up(report) and report.acknowledged == 45 for report in reports.values())
    for name in NAMES:
        assert await rig.members(name) == digests(people(0, 45))
    updates = {path: most for path, most in crowd.most.items() if path[-1].isdigit()}
    assert list(updates.values()) == [1, 1, 1]


async def interrupt(rig: Rig, *names: str) -> None:
    """Start an upload that is refused at the second batch."""
    for name in names:
        rig.emulator.fault("status", operation="customer_lists_update", status=403)
        with pytest.raises(JobInterruptedError):
            await upload(rig, name)


async def test_resume_finishes_lists_concurrently(rig: Rig) -> None:
    """Three interrupted uploads are continued concurrently, each by one request at a time."""
    await interrupt(rig, *NAMES)
    client, crowd = crowded(rig, wanted=3)
    with anyio.fail_after(HANGS_AFTER_SECONDS):
        async with client:
            reports = await client.resume(ACCOUNT, state=rig.state)
    assert [(report.name, report.acknowledged, report.left) for report in reports] == [
        (name, 45, 0) for name in NAMES
    ]
    assert list(crowd.most.values()) == [1, 1, 1]


async def test_resume_finishes_the_other_lists_when_one_fails(rig: Rig) -> None:
    """The error is raised at the end; the failed list can be resumed later."""
    await interrupt(rig, *NAMES)
    (second,) = await rig.lists("Second")
    rig.emulator.fault("status", path=f"*/{second}", status=403)
    with pytest.raises(JobInterruptedError, match=second):
        await rig.client.resume(ACCOUNT, state=rig.state)
    for name, members in (("First", 45), ("Second", 10), ("Third", 45)):
        assert len(await rig.members(name)) == members
    (report,) = await rig.client.resume(ACCOUNT, state=rig.state)
    assert (report.name, report.left) == ("Second", 0)


async def test_concurrent_tasks_with_one_name_create_one_list(rig: Rig) -> None:
    """One of them creates it; the other gets a ListBusyError."""
    outcomes: list[JobReport | ListBusyError] = []
    refused = anyio.Event()

    async def create_late(wire: Wire) -> None:
        if wire.sent[-1].method == "POST":
            with anyio.fail_after(HANGS_AFTER_SECONDS):
                await refused.wait()

    async def one() -> None:
        try:
            outcomes.append(await upload(rig, "First"))
        except ListBusyError as error:
            outcomes.append(error)
            refused.set()

    rig.wire.before = create_late
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one)
        tasks.start_soon(one)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["JobReport", "ListBusyError"]
    assert await rig.members("First") == digests(people(0, 45))


async def test_list_created_during_the_lookup_is_used(rig: Rig) -> None:
    """Another job began and ended between the lookup at Pinterest and the create."""
    other = make_rig(rig.state, rig.emulator, clock=rig.clock)

    async def create_meanwhile(wire: Wire) -> None:
        rig.wire.after = None  # the response without such a list is being sent already
        await upload(other, "First", 20)

    rig.wire.after = create_meanwhile
    async with other.client:
        report = await upload(rig, "First")
    assert not report.created
    assert await rig.members("First") == digests(people(0, 45))


async def test_list_that_another_task_is_creating_is_not_treated_as_foreign(rig: Rig) -> None:
    """It is in the listing before its creator has received the response; the creator continues."""
    other = make_rig(rig.state, rig.emulator, clock=rig.clock)
    errors: list[Exception] = []
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
            errors.append(error)
        ended.set()

    ended = anyio.Event()
    other.wire.before, rig.wire.after = look_late, hear_late
    async with other.client, anyio.create_task_group() as tasks:
        tasks.start_soon(intrude)
        await looked.wait()
        report = await upload(rig, "First")
    assert [type(error) for error in errors] == [ListBusyError]
    assert (report.created, report.acknowledged, report.left) == (True, 45, 0)
    assert await rig.members("First") == digests(people(0, 45))
    (status,) = await rig.client.status(ACCOUNT, state=rig.state)
    assert (status.origin, status.settled) == ("created", True)
