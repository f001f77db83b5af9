"""Jobs cancelled at every request, before or after it is carried out, and then resumed."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from support.jobs import ACCOUNT, NAME, Rig, adds_up, cut_off, digests, people

from pinterest_audiences import JobReport

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_batches")]

whence = pytest.mark.parametrize("when", ["before", "after"])


async def cancelled(rig: Rig, number: int, when: str, job: Any, *args: Any, **options: Any) -> bool:
    """Run a job that is cancelled at a request; return whether it reached that request."""
    rig.wire.sent.clear()
    with anyio.CancelScope() as scope:
        setattr(rig.wire, when, cut_off(number, scope))
        await job(ACCOUNT, *args, name=NAME, state=rig.state, **options)
    setattr(rig.wire, when, None)
    return scope.cancelled_caught


async def finished(rig: Rig) -> list[JobReport]:
    """Resume, and return the reports of all jobs of the list."""
    await rig.client.resume(ACCOUNT, state=rig.state)
    lists = await rig.client.status(ACCOUNT, state=rig.state)
    jobs = [job for item in lists for job in item.jobs]
    assert all(item.settled for item in lists)
    assert all(adds_up(job) for job in jobs)
    return jobs


@whence
@pytest.mark.parametrize("number", range(1, 9))
async def test_upload_cancelled_at_any_request_is_finished_by_resume(
    rig: Rig, number: int, when: str
) -> None:
    """One list has all records; a job that had not begun is started again."""
    assert await cancelled(rig, number, when, rig.client.upload, people(0, 45)) == (number <= 7)
    jobs = await finished(rig)
    if not jobs:  # it had only looked for the list
        assert number == 1
        await rig.client.upload(ACCOUNT, people(0, 45), name=NAME, state=rig.state)
        jobs = await finished(rig)
    assert await rig.members() == digests(people(0, 45))
    (job,) = jobs
    assert (job.status, job.added, job.left) == ("done", 45, 0)
    assert job.sent_twice in (0, 5, 10)
    assert job.calls >= 5


@whence
@pytest.mark.parametrize("number", range(1, 12))
async def test_mirror_cancelled_at_any_request_is_finished_by_resume(
    rig: Rig, number: int, when: str
) -> None:
    """Additions and removals alike."""
    await rig.client.mirror(ACCOUNT, people(0, 200), name=NAME, state=rig.state)
    came_so_far = await cancelled(rig, number, when, rig.client.mirror, people(35, 245))
    assert came_so_far == (number <= 10)
    jobs = await finished(rig)
    if len(jobs) == 1:
        assert number == 1
        assert await rig.members() == digests(people(0, 200))
        return
    assert await rig.members() == digests(people(35, 245))
    assert (jobs[1].added, jobs[1].removed) == (45, 35)


@whence
@pytest.mark.parametrize("number", range(1, 12))
async def test_mirror_cancelled_at_any_request_is_superseded_by_a_newer_mirror(
    rig: Rig, number: int, when: str
) -> None:
    """No record of the first mirror stays, whether its response was received or not."""
    await rig.client.mirror(ACCOUNT, people(0, 200), name=NAME, state=rig.state)
    await cancelled(rig, number, when, rig.client.mirror, people(35, 245))
    await rig.client.mirror(
        ACCOUNT, people(10, 210), name=NAME, allow_removals=True, state=rig.state
    )
    assert await rig.members() == digests(people(10, 210))
    assert all(adds_up(job) for job in await finished(rig))


@whence
@pytest.mark.parametrize("number", range(1, 6))
async def test_resume_cancelled_at_any_request_can_be_resumed(
    rig: Rig, number: int, when: str
) -> None:
    """Any number of times."""
    await cancelled(rig, 3, "after", rig.client.upload, people(0, 45))
    for _ in range(2):
        rig.wire.sent.clear()
        with anyio.CancelScope() as scope:
            setattr(rig.wire, when, cut_off(number, scope))
            await rig.client.resume(ACCOUNT, state=rig.state)
        setattr(rig.wire, when, None)
    (job,) = await finished(rig)
    assert (job.status, job.added) == ("done", 45)
    assert await rig.members() == digests(people(0, 45))


@whence
@pytest.mark.parametrize("number", range(1, 5))
async def test_erasure_cancelled_at_any_request_is_complete_after_a_second_call(
    rig: Rig, number: int, when: str
) -> None:
    """Two lists concurrently; the second receipt is complete."""
    for name in (NAME, "Other"):
        await rig.client.upload(ACCOUNT, people(0, 25), name=name, state=rig.state)
    rig.wire.sent.clear()
    with anyio.CancelScope() as scope:
        setattr(rig.wire, when, cut_off(number, scope))
        await rig.client.forget(people(3, 4)[0], state=rig.state)
    setattr(rig.wire, when, None)
    receipt = await rig.client.forget(people(3, 4)[0], state=rig.state)
    assert receipt.complete
    remaining = digests([*people(0, 3), *people(4, 25)])
    assert await rig.members() == await rig.members("Other") == remaining


async def test_cancelled_job_releases_the_lock(rig: Rig) -> None:
    """The next job does not get a ListBusyError."""
    await cancelled(rig, 4, "before", rig.client.upload, people(0, 45))
    await rig.client.upload(ACCOUNT, people(0, 45), name=NAME, state=rig.state)
    assert await rig.members() == digests(people(0, 45))


async def test_exception_in_on_event_interrupts_the_job_without_loss(rig: Rig) -> None:
    """The job can be resumed."""

    def raises(event: object) -> None:
        rig.events.append(event)  # type: ignore[arg-type]  # an event it is
        if len(rig.events) == 6:
            raise RuntimeError("no terminal")

    with pytest.raises(RuntimeError, match="no terminal"):
        await rig.client.upload(ACCOUNT, people(0, 45), name=NAME, state=rig.state, on_event=raises)
    (job,) = await finished(rig)
    assert (job.status, job.added) == ("done", 45)
    assert await rig.members() == digests(people(0, 45))
