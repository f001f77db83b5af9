"""The status of lists and jobs, drift, resume, and jobs that supersede others."""

from __future__ import annotations

import json
from contextlib import closing

import pytest
from attrs import evolve
from support.jobs import ACCOUNT, NAME, Rig, adds_up, ask, digest, digests, make_rig, people

from pinterest_audiences import JobInterruptedError, OperationType, PlanError, StateError
from pinterest_audiences._jobs.membership import compact, list_status
from pinterest_audiences._jobs.state import State

SERVICE = "https://api.pinterest.com/v5"

pytestmark = [pytest.mark.slow, pytest.mark.anyio, pytest.mark.usefixtures("small_batches")]


async def interrupted(
    rig: Rig, start: int, stop: int, *, after: int = 1, lost: bool = False
) -> None:
    """Upload until the account is forbidden; the failed batch may have been applied."""
    if lost:
        rig.emulator.fault("reset_after", operation="customer_lists_update", after=after, times=1)
    rig.emulator.fault(
        "status", status=403, operation="customer_lists_update", after=after, times=1
    )
    with pytest.raises(JobInterruptedError):
        await rig.client.upload(ACCOUNT, people(start, stop), name=NAME, state=rig.state)
    assert len(rig.emulator.faults) == 0


async def test_status_without_any_jobs_is_empty(rig: Rig) -> None:
    """And sends no request."""
    assert await rig.client.status(ACCOUNT, state=rig.state) == []
    assert rig.wire.sent == []


async def test_status_has_the_number_of_members(rig: Rig) -> None:
    """Before and after compaction."""
    await rig.client.upload(ACCOUNT, people(0, 25), name=NAME, state=rig.state)
    await rig.client.upload(ACCOUNT, people(20, 30), name=NAME, state=rig.state)
    await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, operation="REMOVE", state=rig.state)
    (there,) = await rig.lists()
    for _ in range(2):
        (found,) = await rig.client.status(ACCOUNT, state=rig.state)
        assert (found.records, found.in_doubt, found.settled) == (25, 0, True)
        assert (found.customer_list_id, found.name, found.origin) == (there, NAME, "created")
        await rig.client.mirror(ACCOUNT, people(5, 30), name=NAME, state=rig.state)
    assert [job.kind for job in found.jobs] == ["upload", "upload", "upload", "mirror"]
    assert f'list "{NAME}" {there} of ad account {ACCOUNT} (created): 25 records' in str(found)
    assert json.loads(found.to_json())["jobs"][0]["added"] == 25


async def test_status_has_the_number_of_unconfirmed_members(rig: Rig) -> None:
    """Batches without a response may have been applied."""
    await interrupted(rig, 0, 45, after=1, lost=True)
    (found,) = await rig.client.status(ACCOUNT, state=rig.state)
    assert (found.records, found.in_doubt, found.settled) == (20, 10, False)
    assert "20 records, 10 in doubt; a job is unfinished" in str(found)
    (job,) = found.jobs
    assert (job.status, job.added, job.left) == ("running", 20, 25)


async def test_refused_batch_is_not_unconfirmed(rig: Rig) -> None:
    """A 403 says that nothing was applied."""
    await interrupted(rig, 0, 45)
    (found,) = await rig.client.status(ACCOUNT, state=rig.state)
    assert (found.records, found.in_doubt) == (20, 0)


async def test_status_is_consistent_during_a_concurrent_compaction(rig: Rig) -> None:
    """Compacted keys are neither missing nor counted twice."""
    for start in (0, 100, 200):
        await rig.client.upload(ACCOUNT, people(start, start + 25), name=NAME, state=rig.state)
    before = await rig.client.status(ACCOUNT, state=rig.state)
    with closing(State(rig.state, SERVICE)) as reader, closing(State(rig.state, SERVICE)) as writer:
        (row,) = reader.lists()
        reads = 0

        def compact_concurrently(statement: str) -> None:
            nonlocal reads
            if "SELECT keys FROM content" in statement:
                reads += 1
                if reads == 2:
                    compact(writer.database, row.key)

        with reader.database.reading() as sql:
            sql.set_trace_callback(compact_concurrently)
        found = list_status(reader, row)
        assert reads == 9
        assert ask(rig.state, "SELECT count(*) FROM content") == [(0,)]
        assert [found] == before
        after = list_status(reader, row)
        assert (reads, after) == (9, found)


async def test_failed_status_ends_its_read_transaction(rig: Rig) -> None:
    """The connection can write afterwards."""
    await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    with closing(State(rig.state, SERVICE)) as state:
        (row,) = state.lists()
        with pytest.raises(StateError):
            list_status(state, evolve(row, key=77))
        compact(state.database, row.key)
        assert list_status(state, row).records == 5


async def test_name_without_any_requests_is_not_listed(rig: Rig) -> None:
    """After a plan that was not applied, or an upload without records."""
    plan = await rig.client.plan_mirror(ACCOUNT, people(0, 5), name="Typo", state=rig.state)
    report = await rig.client.upload(ACCOUNT, [], name="Nothing", state=rig.state)
    assert (report.status, report.customer_list_id) == ("done", None)
    assert await rig.client.status(ACCOUNT, state=rig.state) == []
    await rig.client.apply(plan, state=rig.state)
    (found,) = await rig.client.status(ACCOUNT, state=rig.state)
    assert (found.name, found.records) == ("Typo", 5)


async def test_list_with_a_pending_create_is_listed(rig: Rig) -> None:
    """It has no id yet, and a job to resume."""
    rig.emulator.fault("status", status=403, operation="customer_lists_create", times=1)
    with pytest.raises(JobInterruptedError):
        await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    (found,) = await rig.client.status(ACCOUNT, state=rig.state)
    assert (found.customer_list_id, found.name, found.settled) == (None, NAME, False)
    await rig.client.resume(ACCOUNT, state=rig.state)
    (found,) = await rig.client.status(ACCOUNT, state=rig.state)
    assert (found.customer_list_id, found.settled) == ((await rig.lists())[0], True)


async def test_status_can_be_limited_to_one_list_or_account(rig: Rig) -> None:
    one = await rig.client.upload(ACCOUNT, people(0, 5), name="One", state=rig.state)
    await rig.client.upload(ACCOUNT, people(0, 5), name="Two", state=rig.state)
    await rig.client.upload("777", people(0, 5), name="Three", state=rig.state)
    both = await rig.client.status(int(ACCOUNT), state=rig.state)
    assert [item.name for item in both] == ["One", "Two"]
    (only,) = await rig.client.status(
        ACCOUNT, customer_list_id=one.customer_list_id, state=rig.state
    )
    assert only == both[0]


async def test_resume_finishes_all_lists_or_one(rig: Rig) -> None:
    """Without a source; the second time there is nothing to do."""
    for name in ("One", "Two"):
        rig.emulator.fault("status", status=403, operation="customer_lists_update", after=1)
        with pytest.raises(JobInterruptedError):
            await rig.client.upload(ACCOUNT, people(0, 45), name=name, state=rig.state)
    (two,) = await rig.lists("Two")
    (report,) = await rig.client.resume(ACCOUNT, customer_list_id=two, state=rig.state)
    assert (report.name, report.added) == ("Two", 45)
    assert len(await rig.members("One")) == 20
    (report,) = await rig.client.resume(ACCOUNT, state=rig.state)
    assert (report.name, report.added) == ("One", 45)
    assert await rig.members("One") == await rig.members("Two") == digests(people(0, 45))
    assert await rig.client.resume(ACCOUNT, state=rig.state) == []


async def test_failed_resume_of_one_list_finishes_the_others(rig: Rig) -> None:
    """The error is raised at the end."""
    for name in ("One", "Two"):
        rig.emulator.fault("status", status=403, operation="customer_lists_update", after=1)
        with pytest.raises(JobInterruptedError):
            await rig.client.upload(ACCOUNT, people(0, 45), name=name, state=rig.state)
    (one,) = await rig.lists("One")
    rig.emulator.fault("status", status=403, path=f"*/{one}", times=None)
    with pytest.raises(JobInterruptedError, match="One"):
        await rig.client.resume(ACCOUNT, state=rig.state)
    assert await rig.members("Two") == digests(people(0, 45))


@pytest.mark.parametrize("lost", [False, True])
async def test_newer_upload_finishes_an_interrupted_one_first(rig: Rig, lost: bool) -> None:
    """All records of both are on the list, and both reports add up."""
    await interrupted(rig, 0, 45, lost=lost)
    second = await rig.client.upload(ACCOUNT, people(100, 115), name=NAME, state=rig.state)
    assert await rig.members() == digests([*people(0, 45), *people(100, 115)])
    (found,) = await rig.client.status(ACCOUNT, state=rig.state)
    assert [job.status for job in found.jobs] == ["done", "done"]
    assert found.jobs[1] == second
    assert all(adds_up(job) for job in found.jobs)


@pytest.mark.parametrize("lost", [False, True])
async def test_mirror_supersedes_an_interrupted_upload(rig: Rig, lost: bool) -> None:
    """No record of the upload stays that is not in the mirror's source."""
    await interrupted(rig, 0, 45, lost=lost)
    report = await rig.client.mirror(
        ACCOUNT, people(40, 160), name=NAME, allow_removals=True, state=rig.state
    )
    assert await rig.members() == digests(people(40, 160))
    (found,) = await rig.client.status(ACCOUNT, state=rig.state)
    given_up, mirror = found.jobs
    assert (given_up.status, given_up.dropped) == ("superseded", 25)
    assert (mirror, found.records, found.in_doubt) == (report, 120, 0)
    assert adds_up(given_up)
    assert "25 dropped: a mirror took their place" in str(given_up)


async def test_mirror_supersedes_an_interrupted_mirror(rig: Rig) -> None:
    """Unconfirmed removals count as not applied, unconfirmed additions as applied."""
    await rig.client.mirror(ACCOUNT, people(0, 200), name=NAME, state=rig.state)
    for after in (1, 3):  # an addition is never heard of, then a removal
        rig.emulator.fault("reset_after", operation="customer_lists_update", after=after, times=1)
        rig.emulator.fault("status", status=403, operation="customer_lists_update", after=after)
        with pytest.raises(JobInterruptedError):
            await rig.client.mirror(ACCOUNT, people(30, 230), name=NAME, state=rig.state)
        assert len(rig.emulator.faults) == 0
    await rig.client.mirror(ACCOUNT, people(0, 200), name=NAME, state=rig.state)
    assert await rig.members() == digests(people(0, 200))


async def test_external_writes_are_reported_as_drift(rig: Rig) -> None:
    """Only Pinterest's counters show them; the records are unknown."""
    await rig.client.upload(ACCOUNT, people(0, 15), name=NAME, state=rig.state)
    (there,) = await rig.lists()
    foreign = make_rig(rig.state, rig.emulator)
    async with foreign.client:
        for operation, count in (("ADD", 3), ("REMOVE", 2)):
            await foreign.client.customer_lists_update(
                ACCOUNT,
                there,
                operation_type=OperationType(operation),
                records=[digest(text) for text in people(900, 900 + count)],
            )
    plan = await rig.client.plan_mirror(ACCOUNT, people(0, 150), name=NAME, state=rig.state)
    report = await rig.client.upload(ACCOUNT, people(15, 20), name=NAME, state=rig.state)
    for findings in (plan.findings, report.findings):
        assert any("3 records were added outside" in finding for finding in findings)
        assert any("2 records were removed outside" in finding for finding in findings)
    after = await rig.client.upload(ACCOUNT, people(20, 25), name=NAME, state=rig.state)
    assert not any("were added outside" in finding for finding in after.findings)
    assert any("2 records were removed outside" in finding for finding in after.findings)


@pytest.mark.parametrize("retries", [0, 4])
async def test_lost_responses_are_not_reported_as_drift(rig: Rig, retries: int) -> None:
    """However often a batch was sent and applied, and whatever superseded it."""
    await rig.client.upload(ACCOUNT, people(0, 15), name=NAME, state=rig.state)
    impatient = make_rig(rig.state, rig.emulator, max_retries=retries, clock=rig.clock)
    rig.emulator.fault("reset_after", operation="customer_lists_update", times=None)
    async with impatient.client:
        with pytest.raises(JobInterruptedError):
            await impatient.client.upload(
                ACCOUNT, people(0, 45), name=NAME, retry_timeout=5, state=rig.state
            )
    rig.emulator.faults.clear()
    plan = await rig.client.plan_mirror(ACCOUNT, people(0, 15), name=NAME, state=rig.state)
    assert not any("drift" in finding for finding in plan.findings)
    for _ in range(2):
        report = await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
        assert report.findings == ()


async def test_plan_does_not_supersede_an_interrupted_upload(rig: Rig) -> None:
    """The upload can still be resumed, which makes the plan outdated."""
    await interrupted(rig, 0, 45, lost=True)
    plan = await rig.client.plan_mirror(ACCOUNT, people(40, 160), name=NAME, state=rig.state)
    (report,) = await rig.client.resume(ACCOUNT, state=rig.state)
    assert (report.status, report.left) == ("done", 0)
    assert await rig.members() == digests(people(0, 45))
    with pytest.raises(PlanError, match="outdated"):
        await rig.client.apply(plan, allow_removals=True, state=rig.state)
