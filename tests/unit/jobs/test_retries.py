"""Retries of first lookups and polls, and the combined errors of resume."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.jobs import ACCOUNT, NAME, Rig, digests, make_rig, people

from pinterest_audiences import (
    CallError,
    JobEventType,
    JobInterruptedError,
    JobsInterruptedError,
    ListBusyError,
    NotFoundError,
    PermissionDeniedError,
    ServerError,
    WaitTimeoutError,
)
from pinterest_audiences._jobs.state import State

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

OUTAGES: list[Any] = [
    pytest.param("status", {"status": 500}, id="500"),
    pytest.param("status", {"status": 503}, id="503"),
    pytest.param("status", {"status": 408}, id="408"),
    pytest.param("status", {"status": 429, "code": 8}, id="429"),
    pytest.param("status", {"status": 400, "code": 12, "message": "Retry after 3 s"}, id="400_12"),
    pytest.param("html", {}, id="html_502"),
    pytest.param("truncated_json", {}, id="cut_answer"),
    pytest.param("reset_before", {}, id="reset_before"),
    pytest.param("reset_during", {}, id="reset_during"),
    pytest.param("no_answer", {}, id="no_answer"),
]
REFUSALS = [(403, PermissionDeniedError), (404, NotFoundError), (400, CallError)]


@pytest.fixture
async def impatient(state: Path, anyio_backend: str) -> AsyncIterator[Rig]:
    """A client that does not retry calls."""
    made = make_rig(state, max_retries=0)
    async with made.client:
        yield made


@pytest.mark.parametrize(("kind", "settings"), OUTAGES)
async def test_wait_until_ready_continues_after_outages(
    impatient: Rig, kind: Any, settings: dict[str, Any]
) -> None:
    rig = impatient
    (there,) = rig.emulator.seed_lists(ACCOUNT, 1, records=digests(people(0, 300)))
    rig.emulator.fault(kind, operation="customer_lists_get", times=5, **settings)
    found = await rig.client.wait_until_ready(ACCOUNT, there)
    assert found.status == "READY"
    assert len(rig.emulator.faults) == 0


async def test_wait_until_ready_ends_in_time_during_an_outage(impatient: Rig) -> None:
    """With the list at the last poll, or with the error if no poll succeeded."""
    rig = impatient
    (there,) = rig.emulator.seed_lists(ACCOUNT, 1, records=digests(people(0, 300)))
    rig.emulator.fault("status", status=503, after=1, times=None)
    with pytest.raises(WaitTimeoutError, match="503") as late:
        await rig.client.wait_until_ready(ACCOUNT, there, timeout=600)
    assert late.value.customer_list.id == there
    assert rig.clock.elapsed == pytest.approx(600, abs=1)
    with pytest.raises(ServerError):
        await rig.client.wait_until_ready(ACCOUNT, there, timeout=600)
    assert rig.clock.elapsed == pytest.approx(1_200, abs=2)


@pytest.mark.parametrize(("status", "error"), REFUSALS)
async def test_wait_until_ready_ends_at_once_on_a_refusal(
    impatient: Rig, status: int, error: type[Exception]
) -> None:
    (there,) = impatient.emulator.seed_lists(ACCOUNT, 1)
    impatient.emulator.fault("status", status=status)
    with pytest.raises(error):
        await impatient.client.wait_until_ready(ACCOUNT, there)
    assert len(impatient.wire.sent) == 1


@pytest.mark.parametrize("by", ["name", "id"])
@pytest.mark.parametrize(("kind", "settings"), OUTAGES)
async def test_first_lookup_of_a_job_is_retried(
    impatient: Rig, kind: Any, settings: dict[str, Any], by: str
) -> None:
    """With an event before the job exists."""
    rig = impatient
    (there,) = rig.emulator.seed_lists(ACCOUNT, 1, name=NAME)
    which: dict[str, Any] = {"name": NAME} if by == "name" else {"customer_list_id": there}
    rig.emulator.fault(kind, times=6, **settings)
    report = await rig.client.upload(
        ACCOUNT, people(0, 5), state=rig.state, on_event=rig.events.append, **which
    )
    assert (report.status, report.customer_list_id) == ("done", there)
    assert await rig.members() == digests(people(0, 5))
    retries = [event for event in rig.events if event.kind == JobEventType.RETRY]
    assert len(retries) == 6
    assert {event.job_id for event in retries} == {0}


@pytest.mark.parametrize("job", ["upload", "mirror", "plan_mirror"])
async def test_first_lookup_ends_after_the_retry_timeout_of_the_job(
    impatient: Rig, job: str
) -> None:
    rig = impatient
    rig.emulator.fault("status", status=503, times=None)
    with pytest.raises(ServerError):
        await getattr(rig.client, job)(
            ACCOUNT, people(0, 200), name=NAME, state=rig.state, retry_timeout=300
        )
    assert 200 < rig.clock.elapsed <= 300


@pytest.mark.parametrize(("status", "error"), REFUSALS)
async def test_first_lookup_is_not_retried_after_a_refusal(
    impatient: Rig, status: int, error: type[Exception]
) -> None:
    impatient.emulator.fault("status", status=status, times=None)
    with pytest.raises(error):
        await impatient.client.upload(ACCOUNT, people(0, 5), name=NAME, state=impatient.state)
    assert len(impatient.wire.sent) == 1


async def interrupted(rig: Rig, *names: str) -> dict[str, str]:
    """Interrupt an upload to a new list of each name; return their ids by name."""
    for name in names:
        rig.emulator.fault("status", status=403, operation="customer_lists_update")
        with pytest.raises(JobInterruptedError):
            await rig.client.upload(
                ACCOUNT, people(0, 25), name=name, state=rig.state, batch_size=10
            )
    return {name: (await rig.lists(name))[0] for name in names}


async def test_resume_returns_the_reports_of_finished_lists_with_all_errors(rig: Rig) -> None:
    lists = await interrupted(rig, "One", "Two", "Three", "Four")
    for name in ("One", "Three"):
        rig.emulator.fault("status", status=403, path=f"*/{lists[name]}", times=None)
    with pytest.raises(JobsInterruptedError) as stopped:
        await rig.client.resume(ACCOUNT, state=rig.state)
    error = stopped.value
    assert {report.name for report in error.reports} == {"Two", "Four"}
    assert {report.status for report in error.reports} == {"done"}
    assert [type(item) for item in error.errors] == [JobInterruptedError, JobInterruptedError]
    assert all(f'"{name}"' in str(error) for name in ("One", "Three"))
    assert error.report is not None
    assert error.report.left > 0
    rig.emulator.faults.clear()
    reports = await rig.client.resume(ACCOUNT, state=rig.state)
    assert {report.name for report in reports} == {"One", "Three"}


async def test_resume_reports_a_busy_list_and_the_finished_ones(rig: Rig) -> None:
    lists = await interrupted(rig, "One", "Two")
    state = State(rig.state, "https://api.pinterest.com/v5")
    (row,) = [item for item in state.lists() if item.customer_list_id == lists["One"]]
    with state.locked(row), pytest.raises(JobsInterruptedError) as stopped:
        await rig.client.resume(ACCOUNT, state=rig.state)
    state.close()
    assert [report.name for report in stopped.value.reports] == ["Two"]
    assert [type(item) for item in stopped.value.errors] == [ListBusyError]


async def test_resume_raises_a_single_error_unchanged(rig: Rig) -> None:
    lists = await interrupted(rig, "One")
    rig.emulator.fault("status", status=404, path=f"*/{lists['One']}", times=None)
    with pytest.raises(JobInterruptedError) as stopped:
        await rig.client.resume(ACCOUNT, state=rig.state)
    assert type(stopped.value) is JobInterruptedError
    assert isinstance(stopped.value.__cause__, NotFoundError)
