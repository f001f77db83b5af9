"""The audience of an interrupted job: `resume`, or the next job, creates exactly one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.clock import FakeClock
from support.jobs import ACCOUNT, NAME, Rig, Wire, digests, make_rig, people

from pinterest_audiences import (
    Audience,
    AudienceError,
    CallError,
    JobEvent,
    JobEventType,
    JobInterruptedError,
    JobReport,
    JobsInterruptedError,
    PermissionDeniedError,
    PlanError,
    ServerError,
    TransportError,
    WaitTimeoutError,
)
from pinterest_audiences.emulator import Emulator

pytestmark = pytest.mark.anyio

BUYERS = "Buyers"
PEOPLE = people(0, 25)  # the create and two updates, in batches of ten
REQUESTS = 7  # of an upload to a new list with an audience
LOOKUPS = 2  # the list by its name and the newest list: nothing has been sent after the first


async def audiences(rig: Rig) -> list[Audience]:
    return await rig.client.audiences_list(ACCOUNT).collect()


async def run(rig: Rig, method: str = "upload", **options: Any) -> JobReport:
    """Run a job with an audience."""
    options = {"audience": BUYERS, "state": rig.state, "retry_timeout": 1, **options}
    if method.startswith("apply"):
        plan_job = getattr(rig.client, f"plan_{method.partition(' ')[2]}")
        plan = await plan_job(ACCOUNT, PEOPLE, name=NAME, state=rig.state)
        report: JobReport = await rig.client.apply(plan, **options)
    else:
        report = await getattr(rig.client, method)(ACCOUNT, PEOPLE, name=NAME, **options)
    return report


async def interrupt(rig: Rig, how: str, number: int, job: Any) -> None:
    """Run a job that is interrupted at a request, counted from 1, before or after it is applied."""
    last, applied = len(rig.wire.sent) + number, how.endswith("after")
    if how.startswith("error"):
        with (
            rig.wire.broken_from(number, applied=applied),
            pytest.raises((JobInterruptedError, AudienceError, CallError)),
        ):
            await job
        return

    async def crash(wire: Wire) -> None:
        if len(wire.sent) >= last:
            raise MemoryError

    setattr(rig.wire, "after" if applied else "before", crash)
    with pytest.raises(MemoryError):
        await job
    rig.wire.after = rig.wire.before = None


@contextmanager
def failing_creates(rig: Rig, kind: Any = "status", **settings: Any) -> Iterator[None]:
    """Let every create of an audience fail."""
    rig.emulator.fault(kind, operation="audiences_create", times=None, **settings)
    try:
        yield
    finally:
        rig.emulator.faults.clear()


async def check_one_audience(rig: Rig) -> None:
    """Check that the list is complete, and that it and its jobs have one audience."""
    assert await rig.members() == digests(PEOPLE)
    (list_id,) = await rig.lists()
    (audience,) = await audiences(rig)
    assert (audience.name, audience.rule) == (BUYERS, {"customer_list_id": list_id})
    reports = await rig.client.jobs(state=rig.state)
    assert {report.audience_id for report in reports} == {audience.id}
    assert not any(report.audience_pending for report in reports)
    assert await rig.client.resume(ACCOUNT, state=rig.state) == []


INTERRUPTIONS = ["error before", "error after", "crash before", "crash after"]


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, REQUESTS + 1))
@pytest.mark.parametrize("how", INTERRUPTIONS)
@pytest.mark.parametrize("end", ["resume", "repeat"])
async def test_upload_interrupted_at_any_request_gets_exactly_one_audience(
    rig: Rig, small_batches: int, end: str, how: str, number: int
) -> None:
    await interrupt(rig, how, number, run(rig))
    if end == "resume" and number >= LOOKUPS:
        (report,) = await rig.client.resume(ACCOUNT, state=rig.state)
        assert report.status == "done"
        assert report.audience_id is not None
    else:
        await run(rig)
    await check_one_audience(rig)


async def test_number_of_requests_in_the_table_is_that_of_an_upload(
    rig: Rig, small_batches: int
) -> None:
    await run(rig)
    assert len(rig.wire.sent) == REQUESTS


@pytest.mark.parametrize("method", ["upload", "mirror", "apply upload", "apply mirror"])
@pytest.mark.parametrize("kind", [JobEventType.BATCH_ACKNOWLEDGED, JobEventType.DONE])
async def test_crash_before_the_audience_is_looked_up_loses_no_audience(
    rig: Rig, method: str, kind: JobEventType
) -> None:
    """Also after the job is stored as done."""

    def crash(event: JobEvent) -> None:
        if event.kind == kind:
            raise MemoryError

    with pytest.raises(MemoryError):
        await run(rig, method, on_event=crash)
    (before,) = await rig.client.jobs(state=rig.state)
    assert before.audience_pending == (before.status == "done") == (kind == JobEventType.DONE)
    assert ("audience" in str(before)) == before.audience_pending
    (status,) = await rig.client.status(ACCOUNT, state=rig.state)
    assert not status.settled
    (report,) = await rig.client.resume(ACCOUNT, state=rig.state)
    (audience,) = await audiences(rig)
    assert report.audience_id == audience.id
    await check_one_audience(rig)


WAIT_REQUESTS = 13  # of an upload that waits for the list and its audience


def waiting_rig(state: Path) -> Rig:
    clock = FakeClock()
    return make_rig(
        state,
        Emulator(clock=clock.time, rate_limits=None, match_rate=1.0, processing_seconds=20),
        clock=clock,
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, WAIT_REQUESTS + 1))
@pytest.mark.parametrize("how", INTERRUPTIONS[2:])
async def test_upload_interrupted_while_it_waits_gets_exactly_one_audience(
    state: Path, how: str, number: int
) -> None:
    """Its audience is created when the list is processed, also by `resume`."""
    rig = waiting_rig(state)
    async with rig.client:
        await interrupt(rig, how, number, run(rig, wait=3600))
        if number < LOOKUPS:
            await run(rig, wait=3600)
        else:
            for report in await rig.client.resume(ACCOUNT, state=state):
                assert report.audience_id is not None
                assert rig.emulator.customer_list(str(report.customer_list_id))["status"] != (
                    "PROCESSING"
                )
        await check_one_audience(rig)


async def test_number_of_requests_of_the_wait_is_that_of_the_table(state: Path) -> None:
    rig = waiting_rig(state)
    async with rig.client:
        await run(rig, wait=3600)
    assert len(rig.wire.sent) == WAIT_REQUESTS


async def test_list_that_was_not_ready_in_time_gets_its_audience_by_resume(state: Path) -> None:
    rig = waiting_rig(state)
    async with rig.client:
        rig.emulator.fault(
            "unknown_enum", value="PROCESSING", operation="customer_lists_get", times=None
        )
        with pytest.raises(AudienceError, match="resume") as caught:
            await run(rig, wait=60)
        assert isinstance(caught.value.__cause__, WaitTimeoutError)
        assert caught.value.report.audience_pending
        rig.emulator.faults.clear()
        (report,) = await rig.client.resume(ACCOUNT, state=rig.state)
        assert report.audience_status == "TOO_SMALL"
        await check_one_audience(rig)


@pytest.mark.parametrize("fault", ["status", "reset_before"])
async def test_audience_that_failed_in_an_outage_is_created_by_resume(rig: Rig, fault: Any) -> None:
    with failing_creates(rig, fault):
        with pytest.raises(AudienceError, match="resume") as caught:
            await run(rig)
        assert isinstance(caught.value.__cause__, ServerError | TransportError)
        with pytest.raises(AudienceError):
            await rig.client.resume(ACCOUNT, state=rig.state, retry_timeout=1)
    (report,) = await rig.client.resume(ACCOUNT, state=rig.state)
    assert report.status == "done"
    await check_one_audience(rig)


async def test_audience_without_permission_is_created_once_it_is_granted(rig: Rig) -> None:
    rig.emulator.fault("status", status=403, operation="audiences_create")
    with pytest.raises(AudienceError, match="resume") as caught:
        await run(rig)
    assert isinstance(caught.value.__cause__, PermissionDeniedError)
    await rig.client.resume(ACCOUNT, state=rig.state)
    await check_one_audience(rig)


async def test_abandoned_job_gets_no_audience(rig: Rig) -> None:
    """Also when it is done except for its audience; otherwise `resume` would fail each time."""
    rig.emulator.fault("status", status=403, operation="audiences_create")
    with pytest.raises(AudienceError) as caught:
        await run(rig)
    report = await rig.client.abandon(caught.value.report.job_id, state=rig.state)
    assert (report.status, report.audience_pending) == ("done", False)
    assert "audience" in report.findings[-1]
    assert await rig.client.resume(ACCOUNT, state=rig.state) == []
    assert await audiences(rig) == []


@pytest.mark.parametrize("wait", [0, 3600])
@pytest.mark.parametrize("method", ["upload", "mirror"])
async def test_job_without_audience_finishes_that_of_an_interrupted_job(
    rig: Rig, small_batches: int, method: str, wait: int
) -> None:
    """One that waits for the list is left to `resume`, and a finding reports it."""
    await interrupt(rig, "crash before", 4, run(rig, wait=wait))
    report = await run(rig, method, audience=None)
    assert (report.status, report.audience_id) == ("done", None)
    assert ("no_audience" in report.finding_codes) == bool(wait)
    if wait:
        await rig.client.resume(ACCOUNT, state=rig.state)
    (audience,) = await audiences(rig)
    first, _ = await rig.client.jobs(state=rig.state)
    assert first.audience_id == audience.id
    assert await rig.client.resume(ACCOUNT, state=rig.state) == []


async def test_failure_of_the_audience_of_an_interrupted_job_fails_no_other_job(
    rig: Rig, small_batches: int
) -> None:
    await interrupt(rig, "crash before", 4, run(rig))
    with failing_creates(rig, status=403):
        report = await run(rig, audience=None)
    assert report.status == "done"
    assert "no_audience" in report.finding_codes
    await rig.client.resume(ACCOUNT, state=rig.state)
    assert len(await audiences(rig)) == 1


async def test_job_that_is_abandoned_during_its_wait_creates_no_audience(state: Path) -> None:
    rig = waiting_rig(state)
    abandoned: list[JobReport] = []

    async def abandon(_wire: Wire) -> None:
        if rig.clock.sleeps and not abandoned:
            abandoned.append(await rig.client.abandon(1, state=state))

    async with rig.client:
        rig.wire.after = abandon
        with pytest.raises(PlanError, match="was abandoned"):
            await run(rig, wait=3600)
        assert [report.status for report in abandoned] == ["done"]
        assert await audiences(rig) == []
        assert await rig.client.resume(ACCOUNT, state=state) == []


async def test_audience_that_another_job_creates_during_the_wait_is_used(state: Path) -> None:
    """It is not looked up again: it may be missing from the listing for a while."""
    rig = waiting_rig(state)
    reports: list[JobReport] = []
    listings: list[int] = []

    async def upload(wire: Wire) -> None:
        if rig.clock.sleeps and not reports:
            rig.wire.after = None
            reports.append(await run(rig))
            listings.append(count_listings())

    def count_listings() -> int:
        requests = [(item.method, item.path.partition("?")[0]) for item in rig.emulator.requests]
        return requests.count(("GET", f"/v5/ad_accounts/{ACCOUNT}/audiences"))

    async with rig.client:
        rig.wire.after = upload
        report = await run(rig, wait=3600)
        assert report.audience_id == reports[0].audience_id
        assert [count_listings()] == listings != [0]
        assert len(await audiences(rig)) == 1


async def test_resume_reports_each_audience_that_fails(rig: Rig) -> None:
    with failing_creates(rig, status=403):
        for name in ("First", "Second"):
            with pytest.raises(AudienceError):
                await rig.client.upload(
                    ACCOUNT, PEOPLE, name=name, audience=BUYERS, state=rig.state
                )
        with pytest.raises(JobsInterruptedError) as caught:
            await rig.client.resume(ACCOUNT, state=rig.state)
    assert [type(error) for error in caught.value.errors] == [AudienceError] * 2
    assert caught.value.report.audience_pending
    assert len(await rig.client.resume(ACCOUNT, state=rig.state)) == 2


async def test_resume_of_other_lists_goes_on_when_an_audience_fails(rig: Rig) -> None:
    for name in ("First", "Second"):
        with failing_creates(rig, status=403), pytest.raises(AudienceError):
            await rig.client.upload(
                ACCOUNT, PEOPLE, name=name, audience=f"{name} buyers", state=rig.state
            )
    rig.emulator.fault("status", status=403, operation="audiences_create", times=1)
    with pytest.raises(JobsInterruptedError) as caught:
        await rig.client.resume(ACCOUNT, state=rig.state)
    (error,) = caught.value.errors
    (report,) = caught.value.reports
    assert isinstance(error, AudienceError)
    assert report.audience_id is not None
    assert len(await audiences(rig)) == 1
