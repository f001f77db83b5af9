"""What a progress bar is told."""

from __future__ import annotations

from itertools import pairwise

import pytest
from support.jobs import ACCOUNT, NAME, Rig, people

from pinterest_audiences import JobEventKind, JobInterruptedError

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_batches")]

SENT, TAKEN = JobEventKind.BATCH_SENT, JobEventKind.BATCH_ACKNOWLEDGED


async def test_an_upload_is_told_from_its_plan_to_its_end(rig: Rig) -> None:
    """Each batch when it is sent and when it is taken."""
    await rig.client.upload(
        ACCOUNT, people(0, 25), name=NAME, state=rig.state, on_event=rig.events.append
    )
    assert [(event.kind, event.records, event.done) for event in rig.events] == [
        (JobEventKind.PLANNED, 0, 0),
        (SENT, 10, 0),
        (TAKEN, 10, 10),
        (JobEventKind.LIST_CREATED, 0, 10),
        (SENT, 10, 10),
        (TAKEN, 10, 20),
        (SENT, 5, 20),
        (TAKEN, 5, 25),
        (JobEventKind.DONE, 0, 25),
    ]
    (there,) = await rig.lists()
    assert {event.total for event in rig.events} == {25}
    assert {(event.job_id, event.ad_account_id) for event in rig.events} == {(1, ACCOUNT)}
    assert [event.customer_list_id for event in rig.events[:3]] == [None, None, there]
    assert {event.operation for event in rig.events if event.kind in (SENT, TAKEN)} == {"ADD"}


async def test_additions_and_removals_are_told_apart(rig: Rig) -> None:
    """A mirror says what each batch does."""
    await rig.client.mirror(ACCOUNT, people(0, 100), name=NAME, state=rig.state)
    await rig.client.mirror(
        ACCOUNT, people(20, 110), name=NAME, state=rig.state, on_event=rig.events.append
    )
    taken = [(each.operation, each.done) for each in rig.events if each.kind == TAKEN]
    assert taken == [("ADD", 10), ("REMOVE", 20), ("REMOVE", 30)]


async def test_the_time_left_is_reckoned_from_the_rate(rig: Rig) -> None:
    """Nothing is said before something was taken; at the end nothing is left."""
    rig.emulator.fault("slow", seconds=2.0, times=None)
    await rig.client.upload(
        ACCOUNT, people(0, 100), name=NAME, state=rig.state, on_event=rig.events.append
    )
    assert {event.seconds_left for event in rig.events if not event.done} == {None}
    taken = [event for event in rig.events if event.kind == TAKEN]
    for event in taken:
        rate = event.done / event.elapsed
        assert event.seconds_left == pytest.approx((100 - event.done) / rate)
    assert taken[4].seconds_left == pytest.approx(taken[4].elapsed)  # half of it is done
    assert rig.events[-1].seconds_left == 0
    assert all(later.elapsed >= sooner.elapsed for sooner, later in pairwise(rig.events))


async def test_a_resume_reckons_with_its_own_rate_only(rig: Rig) -> None:
    """What was done in an earlier run counts as done, and not as speed."""
    rig.emulator.fault("status", status=403, operation="customer_lists_update", after=4)
    with pytest.raises(JobInterruptedError):
        await rig.client.upload(
            ACCOUNT, people(0, 100), name=NAME, state=rig.state, on_event=rig.events.append
        )
    assert rig.events[-1].kind == JobEventKind.INTERRUPTED
    assert (rig.events[-1].done, rig.events[-1].total) == (50, 100)
    rig.events.clear()
    rig.emulator.fault("slow", seconds=2.0, times=None)
    await rig.client.resume(ACCOUNT, state=rig.state, on_event=rig.events.append)
    assert (rig.events[0].kind, rig.events[0].done) == (JobEventKind.PLANNED, 50)
    assert rig.events[0].seconds_left is None
    first = next(event for event in rig.events if event.kind == TAKEN)
    assert (first.done, first.elapsed) == (60, 2.0)
    assert first.seconds_left == pytest.approx(40 / 5)


async def test_retries_are_told_with_their_waits(rig: Rig) -> None:
    """Those of the client, and those of the job once the client has given up."""
    rig.emulator.fault("status", status=503, operation="customer_lists_update", times=12)
    begun = len(rig.clock.sleeps)
    await rig.client.upload(
        ACCOUNT, people(0, 25), name=NAME, state=rig.state, on_event=rig.events.append
    )
    waits = [event.wait for event in rig.events if event.kind == JobEventKind.RETRY]
    assert len(waits) == 12
    assert waits == rig.clock.sleeps[begun:]
    assert {1.0, 2.0} <= set(waits)  # the job's own


async def test_a_creation_that_is_looked_for_is_told(rig: Rig) -> None:
    """As found, and not as created."""
    rig.emulator.fault("no_answer", operation="customer_lists_create")
    await rig.client.upload(
        ACCOUNT, people(0, 25), name=NAME, state=rig.state, on_event=rig.events.append
    )
    kinds = [event.kind for event in rig.events]
    assert JobEventKind.LIST_FOUND in kinds
    assert JobEventKind.LIST_CREATED not in kinds
    assert [event.done for event in rig.events if event.kind == TAKEN] == [10, 20, 25]


async def test_a_halved_batch_is_told(rig: Rig) -> None:
    """With its size; the sum stays what it was."""
    rig.wire.most = 6
    await rig.client.upload(
        ACCOUNT, people(0, 20), name=NAME, state=rig.state, on_event=rig.events.append
    )
    assert [each.records for each in rig.events if each.kind == JobEventKind.BATCH_SPLIT] == [
        10,
        10,
    ]
    assert [each.done for each in rig.events if each.kind == TAKEN] == [5, 10, 15, 20]
    assert {event.total for event in rig.events} == {20}


async def test_jobs_that_are_finished_first_tell_of_themselves(rig: Rig) -> None:
    """Each event says which job it is of."""
    rig.emulator.fault("status", status=403, operation="customer_lists_update")
    with pytest.raises(JobInterruptedError):
        await rig.client.upload(ACCOUNT, people(0, 25), name=NAME, state=rig.state)
    await rig.client.upload(
        ACCOUNT, people(30, 40), name=NAME, state=rig.state, on_event=rig.events.append
    )
    done = [event.job_id for event in rig.events if event.kind == JobEventKind.DONE]
    assert done == [1, 2]
