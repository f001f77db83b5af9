"""Retries of first lookups and polls, and the combined errors of resume."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.clock import FakeClock
from support.jobs import ACCOUNT, NAME, Rig, Wire, digests, make_rig, people

from pinterest_audiences import (
    AsyncClient,
    CallError,
    JobEventType,
    JobInterruptedError,
    JobsInterruptedError,
    ListBusyError,
    NotFoundError,
    PermissionDeniedError,
    ServerError,
    TransportError,
    WaitTimeoutError,
)
from pinterest_audiences._jobs.state import State
from pinterest_audiences.emulator import Emulator

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


class RefusingServer(httpx.AsyncBaseTransport):
    """A server that is not started at first, and later answers as the emulator.

    Attributes:
        refusals: How many connections are refused.
    """

    def __init__(self, emulator: Emulator, refusals: float) -> None:
        self.refusals = refusals
        self._transport = emulator.transport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.refusals > 0:
            self.refusals -= 1
            problem = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
            raise httpx.ConnectError("refused") from problem
        return await self._transport.handle_async_request(request)


LOCAL = "http://127.0.0.1:8080/v5"
ALWAYS = float("inf")


@pytest.fixture
async def local(state: Path, anyio_backend: str) -> AsyncIterator[Rig]:
    """A client of a server on this machine that is not started."""
    clock = FakeClock()
    emulator = Emulator(clock=clock.time, rate_limits=None)
    server = RefusingServer(emulator, ALWAYS)
    client = AsyncClient("token", base_url=LOCAL, transport=server, clock=clock)
    rig = Rig(client, emulator, clock, Wire(server), state)
    async with client:
        yield rig


def server_of(rig: Rig) -> RefusingServer:
    server = rig.wire.inner
    assert isinstance(server, RefusingServer)
    return server


LOCAL_CALLS: dict[str, Callable[[Rig], Awaitable[object]]] = {
    "call": lambda rig: rig.client.customer_lists_get(ACCOUNT, "7"),
    "upload": lambda rig: rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state),
    "mirror": lambda rig: rig.client.mirror(ACCOUNT, people(0, 5), name=NAME, state=rig.state),
    "plan": lambda rig: rig.client.plan_mirror(ACCOUNT, people(0, 5), name=NAME, state=rig.state),
    "wait": lambda rig: rig.client.wait_until_ready(ACCOUNT, "7"),
}


@pytest.mark.parametrize("name", LOCAL_CALLS)
async def test_server_that_was_not_started_on_this_machine_is_not_waited_for(
    local: Rig, name: str
) -> None:
    """Only the ordinary retries of a call are made, and the error says what to do."""
    begin = local.clock.monotonic()
    with pytest.raises(TransportError) as caught:
        await LOCAL_CALLS[name](local)
    assert caught.value.reason == "refused"
    assert "no server listens there; start it, as `pinterest-audiences emulator" in str(
        caught.value
    )
    assert local.clock.monotonic() - begin < 10


@pytest.mark.parametrize("patience", [600.0, 3600.0])
async def test_server_that_was_not_started_is_waited_for_as_long_as_asked(
    local: Rig, patience: float
) -> None:
    server_of(local).refusals = 30
    report = await local.client.upload(
        ACCOUNT, people(0, 5), name=NAME, state=local.state, retry_timeout=patience
    )
    assert report.added == 5


async def test_restart_of_a_server_on_this_machine_is_an_outage(local: Rig) -> None:
    """It had answered before."""
    server_of(local).refusals = 0
    assert await local.client.customer_lists_list(ACCOUNT).collect() == []
    server_of(local).refusals = 30
    report = await local.client.upload(ACCOUNT, people(0, 5), name=NAME, state=local.state)
    assert report.added == 5
    server_of(local).refusals = 30
    assert report.customer_list_id is not None
    found = await local.client.wait_until_ready(ACCOUNT, report.customer_list_id)
    assert found.id == report.customer_list_id


async def test_refused_connection_to_another_machine_is_an_outage(state: Path) -> None:
    clock = FakeClock()
    server = RefusingServer(Emulator(clock=clock.time, rate_limits=None), 30)
    async with AsyncClient("token", transport=server, clock=clock) as client:
        report = await client.upload(ACCOUNT, people(0, 5), name=NAME, state=state)
    assert report.added == 5
