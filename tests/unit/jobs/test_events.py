"""Events of jobs."""

from __future__ import annotations

from itertools import pairwise

import pytest
from support.jobs import ACCOUNT, NAME, Rig, people

from pinterest_audiences import JobEventType, JobInterruptedError

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_batches")]

SENT, TAKEN = JobEventType.BATCH_SENT, JobEventType.BATCH_ACKNOWLEDGED


async def test_upload_emits_events_from_plan_to_end(rig: Rig) -> None:
    """For each batch when it is sent and when it is acknowledged."""
    await rig.client.upload(
        ACCOUNT, people(0, 25), name=NAME, state=rig.state, on_event=rig.events.append
    )
    assert [(event.kind, event.records, event.done) for event in rig.events] == [
        (JobEventType.PLANNED, 0, 0),
        (SENT, 10, 0),
        (TAKEN, 10, 10),
        (JobEventType.LIST_CREATED, 0, 10),
        (SENT, 10, 10),
        (TAKEN, 10, 20),
        (SENT, 5, 20),
        (TAKEN, 5, 25),
        (JobEventType.DONE, 0, 25),
    ]
    (there,) = await rig.lists()
    assert {event.total for event in rig.events} == {25}
    assert {(event.job_id, event.ad_account_id) for event in rig.events} == {(1, ACCOUNT)}
    assert [event.customer_list_id for event in rig.events[:3]] == [None, None, there]
    assert {event.operation for event in rig.events if event.kind in (SENT, TAKEN)} == {"ADD"}


async def test_events_of_a_mirror_have_the_operation(rig: Rig) -> None:
    await rig.client.mirror(ACCOUNT, people(0, 100), name=NAME, state=rig.state)
    await rig.client.mirror(
        ACCOUNT, people(20, 110), name=NAME, state=rig.state, on_event=rig.events.append
    )
    taken = [(item.operation, item.done) for item in rig.events if item.kind == TAKEN]
    assert taken == [("ADD", 10), ("REMOVE", 20), ("REMOVE", 30)]


async def test_seconds_left_is_estimated_from_the_rate(rig: Rig) -> None:
    """None until something was acknowledged; zero at the end."""
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


async def test_resume_estimates_seconds_left_from_its_own_rate(rig: Rig) -> None:
    """Records of an earlier run count as done, but not for the rate."""
    rig.emulator.fault("status", status=403, operation="customer_lists_update", after=4)
    with pytest.raises(JobInterruptedError):
        await rig.client.upload(
            ACCOUNT, people(0, 100), name=NAME, state=rig.state, on_event=rig.events.append
        )
    assert rig.events[-1].kind == JobEventType.INTERRUPTED
    assert (rig.events[-1].done, rig.events[-1].total) == (50, 100)
    rig.events.clear()
    rig.emulator.fault("slow", seconds=2.0, times=None)
    await rig.client.resume(ACCOUNT, state=rig.state, on_event=rig.events.append)
    assert (rig.events[0].kind, rig.events[0].done) == (JobEventType.PLANNED, 50)
    assert rig.events[0].seconds_left is None
    first = next(event for event in rig.events if event.kind == TAKEN)
    assert (first.done, first.elapsed) == (60, 2.0)
    assert first.seconds_left == pytest.approx(40 / 5)


async def test_retries_emit_events_with_their_waits(rig: Rig) -> None:
    """Retries of the client, and then those of the job."""
    rig.emulator.fault("status", status=503, operation="customer_lists_update", times=12)
    begun = len(rig.clock.sleeps)
    await rig.client.upload(
        ACCOUNT, people(0, 25), name=NAME, state=rig.state, on_event=rig.events.append
    )
    waits = [event.wait for event in rig.events if event.kind == JobEventType.RETRY]
    assert len(waits) == 12
    assert waits == rig.clock.sleeps[begun:]
    assert {1.0, 2.0} <= set(waits)  # the job's own


async def test_list_found_after_a_lost_create_emits_list_found(rig: Rig) -> None:
    """And not list_created."""
    rig.emulator.fault("no_answer", operation="customer_lists_create")
    await rig.client.upload(
        ACCOUNT, people(0, 25), name=NAME, state=rig.state, on_event=rig.events.append
    )
    kinds = [event.kind for event in rig.events]
    assert JobEventType.LIST_FOUND in kinds
    assert JobEventType.LIST_CREATED not in kinds
    assert [event.done for event in rig.events if event.kind == TAKEN] == [10, 20, 25]


async def test_split_batch_emits_an_event(rig: Rig) -> None:
    """With its size; the total is unchanged."""
    rig.wire.most = 6
    await rig.client.upload(
        ACCOUNT, people(0, 20), name=NAME, state=rig.state, on_event=rig.events.append
    )
    assert [item.records for item in rig.events if item.kind == JobEventType.BATCH_SPLIT] == [
        10,
        10,
    ]
    assert [item.done for item in rig.events if item.kind == TAKEN] == [5, 10, 15, 20]
    assert {event.total for event in rig.events} == {20}


async def test_events_of_jobs_finished_first_have_their_own_job_id(rig: Rig) -> None:
    rig.emulator.fault("status", status=403, operation="customer_lists_update")
    with pytest.raises(JobInterruptedError):
        await rig.client.upload(ACCOUNT, people(0, 25), name=NAME, state=rig.state)
    await rig.client.upload(
        ACCOUNT, people(30, 40), name=NAME, state=rig.state, on_event=rig.events.append
    )
    done = [event.job_id for event in rig.events if event.kind == JobEventType.DONE]
    assert done == [1, 2]
