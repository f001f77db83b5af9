"""Network and API failures of every kind: no record is lost or added, and the report adds up."""

from __future__ import annotations

import gzip
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.clock import FakeClock
from support.jobs import ACCOUNT, NAME, Rig, adds_up, broken, digests, make_rig, people

from pinterest_audiences import (
    CallError,
    GuardError,
    JobEventType,
    JobInterruptedError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    Token,
)
from pinterest_audiences.emulator import Emulator, RateLimits, RatePolicy

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_batches")]

Settings = dict[str, Any]

LOST = [
    pytest.param("reset_during", {}, id="reset_during"),
    pytest.param("reset_after", {}, id="reset_after"),
    pytest.param("no_answer", {}, id="no_answer"),
    pytest.param("truncated_json", {}, id="truncated_json"),
    pytest.param("status", {"status": 503, "applied": True}, id="503_applied"),
    pytest.param("html", {"applied": True}, id="html_502_applied"),
    pytest.param("slow", {"seconds": 45.0}, id="answer_too_late"),
]
UNDONE = [
    pytest.param("reset_before", {}, id="reset_before"),
    pytest.param("html", {}, id="html_502"),
    pytest.param("status", {"status": 500}, id="500"),
    pytest.param("status", {"status": 408}, id="408"),
    pytest.param("status", {"status": 429, "code": 8}, id="429"),
    pytest.param("status", {"status": 400, "code": 12, "message": "Retry after 3 s"}, id="400_12"),
]
OPERATIONS = {"update": "customer_lists_update", "create": "customer_lists_create"}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(("kind", "settings"), [*LOST, *UNDONE])
async def test_job_survives_one_failure_of_any_kind(
    rig: Rig, kind: Any, settings: Settings, operation: str
) -> None:
    """Membership is exact, and there is only one list with the name."""
    rig.emulator.fault(kind, operation=OPERATIONS[operation], **settings)
    report = await rig.client.upload(ACCOUNT, people(0, 35), name=NAME, state=rig.state)
    assert len(rig.emulator.faults) == 0
    assert await rig.members() == digests(people(0, 35))
    assert (report.status, report.planned, report.added, report.left) == ("done", 35, 35, 0)
    assert adds_up(report)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [case for case in LOST if case.id not in {"reset_during", "truncated_json"}],  # a 2xx came
)
async def test_batch_without_response_is_counted_as_sent_twice(
    rig: Rig, kind: Any, settings: Settings
) -> None:
    """Exactly the records of that batch; Pinterest's own counter agrees."""
    rig.emulator.fault(kind, operation="customer_lists_update", after=1, **settings)
    report = await rig.client.upload(ACCOUNT, people(0, 35), name=NAME, state=rig.state)
    assert report.sent_twice == 10
    (there,) = await rig.lists()
    assert rig.emulator.customer_list(there)["num_uploaded_user_records"] == 35 + 10


ODD_ANSWERS = {
    "empty": b"",
    "html": b"<html>OK</html>",
    "null": b"null",
    "text": b'"done"',
    "array": b"[]",
    "empty object": b"{}",
    "numeric id": b'{"id": 643}',
    "no id": b'{"name": "Customers", "num_batches": 2}',
    "odd counter": b'{"id": "643", "num_batches": "7"}',
    "cut off": b'{"id": "643", "na',
    "bad utf-8": b'{"id": "\xff"}',
    "deep": b"[" * 100_000,
    "a message": b'{"message": "ok"}',
    "code 0": b'{"code": 0, "message": "Success"}',
    "an error object": b'{"code": 7, "message": "Queued."}',
    "an error of OAuth": b'{"error": "none"}',
}


async def check_odd_answers(rig: Rig, make: Callable[[], httpx.Response]) -> None:
    """Upload with these responses to the updates, and check that each batch was sent once."""
    inner = rig.wire.inner

    class Odd(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            response = await inner.handle_async_request(request)
            return make() if request.method == "PATCH" else response

    rig.wire.inner = Odd()
    report = await rig.client.upload(ACCOUNT, people(0, 35), name=NAME, state=rig.state)
    assert (report.status, report.added, report.left, report.sent_twice) == ("done", 35, 0, 0)
    assert len(rig.wire.updates) == 3
    assert await rig.members() == digests(people(0, 35))
    assert adds_up(report)


@pytest.mark.parametrize("body", ODD_ANSWERS.values(), ids=ODD_ANSWERS)
@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_update_with_2xx_and_unusable_body_is_not_sent_again(
    rig: Rig, status: int, body: bytes
) -> None:
    """The status says that the batch was applied; the body is not used."""
    await check_odd_answers(rig, lambda: httpx.Response(status, content=body))


class BrokenOff(httpx.AsyncByteStream):
    """A body whose connection breaks before its end."""

    def __init__(self, error: httpx.RequestError) -> None:
        self._error = error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b'{"id": "643", '
        raise self._error


@pytest.mark.parametrize(
    ("headers", "stream"),
    [
        ({}, BrokenOff(httpx.ReadError("reset"))),
        ({}, BrokenOff(httpx.ReadTimeout("late"))),
        ({}, BrokenOff(httpx.RemoteProtocolError("incomplete chunked read"))),
        ({"content-encoding": "gzip"}, httpx.ByteStream(gzip.compress(b"{}")[:-4])),
        ({"content-encoding": "deflate"}, httpx.ByteStream(b"damaged")),
    ],
    ids=["reset", "read timeout", "incomplete", "cut gzip", "damaged deflate"],
)
async def test_update_with_2xx_and_truncated_body_is_not_sent_again(
    rig: Rig, headers: dict[str, str], stream: httpx.AsyncByteStream
) -> None:
    """The status line says that the batch was applied."""
    await check_odd_answers(rig, lambda: httpx.Response(200, headers=headers, stream=stream))


@pytest.mark.parametrize(("kind", "settings"), LOST)
async def test_created_list_is_found_by_name_after_a_lost_response(
    rig: Rig, kind: Any, settings: Settings
) -> None:
    """By a higher id than before; older lists with that name were not created by the job."""
    rig.emulator.seed_lists(ACCOUNT, 3, name="Other {}")
    rig.emulator.fault(kind, operation="customer_lists_create", **settings)
    report = await rig.client.upload(
        ACCOUNT, people(0, 35), name=NAME, state=rig.state, on_event=rig.events.append
    )
    (there,) = await rig.lists()
    assert report.customer_list_id == there
    assert report.created
    assert any("was lost; the list was found by its name" in finding for finding in report.findings)
    assert JobEventType.LIST_FOUND in {event.kind for event in rig.events}
    assert [item.method for item in rig.wire.writes].count("POST") == 1


async def test_upload_by_id_to_a_list_with_an_unanswered_create_is_refused(rig: Rig) -> None:
    """The id is visible in Ads Manager, but the interrupted job has to be resumed first."""
    rig.emulator.fault("no_answer", operation="customer_lists_create")
    rig.emulator.fault("status", status=403, operation="customer_lists_list", after=2)
    with pytest.raises(JobInterruptedError):
        await rig.client.upload(ACCOUNT, people(0, 35), name=NAME, state=rig.state)
    (there,) = await rig.lists()
    with pytest.raises(GuardError, match="resume that job first"):
        await rig.client.upload(ACCOUNT, people(40, 50), customer_list_id=there, state=rig.state)
    (other,) = rig.emulator.seed_lists(ACCOUNT, 1, name="Other")
    await rig.client.upload(ACCOUNT, people(40, 50), customer_list_id=other, state=rig.state)
    (report,) = await rig.client.resume(ACCOUNT, state=rig.state)
    assert (report.customer_list_id, report.status) == (there, "done")
    await rig.client.upload(ACCOUNT, people(40, 50), customer_list_id=there, state=rig.state)
    assert await rig.members() == digests([*people(0, 35), *people(40, 50)])


async def test_create_that_was_never_received_is_sent_again(rig: Rig) -> None:
    """After the listing was checked twice, because it may be delayed."""
    rig.emulator.fault("reset_before", operation="customer_lists_create", times=3)
    report = await rig.client.upload(ACCOUNT, people(0, 35), name=NAME, state=rig.state)
    assert len(await rig.lists()) == 1
    assert await rig.members() == digests(people(0, 35))
    assert report.created


async def test_many_429_responses_are_waited_out(rig: Rig) -> None:
    """Refused requests are counted, and nothing is sent twice."""
    rig.emulator.fault("status", status=429, code=8, after=2, times=25)
    report = await rig.client.upload(ACCOUNT, people(0, 95), name=NAME, state=rig.state)
    assert await rig.members() == digests(people(0, 95))
    assert (report.rate_limited, report.sent_twice) == (25, 0)
    assert adds_up(report)


async def test_exhausted_rate_limit_is_waited_for_and_reported(state: Path) -> None:
    """Requests are spread over the minutes."""
    clock = FakeClock()
    first_window_ends = 60 - clock.time() % 60  # windows begin with the clock's minutes
    limits = RateLimits(ads_write=RatePolicy(5, 60))
    rig = make_rig(state, Emulator(clock=clock.time, rate_limits=limits), clock=clock)
    async with rig.client:
        report = await rig.client.upload(
            ACCOUNT, people(0, 200), name=NAME, state=state, on_event=rig.events.append
        )
        assert await rig.members() == digests(people(0, 200))
    waits = [item for item in rig.events if item.kind == JobEventType.WAITING_FOR_BUDGET]
    assert waits
    assert all(item.wait > 0 for item in waits)
    writes = [item for item in rig.emulator.requests if item.category == "ads_write"]
    assert len(writes) == 20  # in four windows of five: the job ends as the fourth one begins
    assert clock.elapsed == pytest.approx(first_window_ends + 2 * 60, abs=0.1)
    assert clock.elapsed >= first_window_ends + 2 * 60
    assert report.budget_seconds == pytest.approx(clock.elapsed, abs=0.1)


@pytest.mark.parametrize("only", [None, "customer_lists_update", "customer_lists_create"])
async def test_outage_of_an_hour_is_survived_with_the_default_retry_timeout(
    rig: Rig, only: str | None
) -> None:
    """Also during the create request."""
    begun = rig.clock.elapsed
    if only is None:  # the list has to be looked up first, which is not retried
        await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    rig.emulator.fault(
        "status",
        status=503,
        operation=only,
        times=None,
        when=lambda request: (
            rig.clock.elapsed < begun + 3_600 and (request.method != "GET" or only is not None)
        ),
    )
    report = await rig.client.upload(ACCOUNT, people(0, 35), name=NAME, state=rig.state)
    assert 3_600 <= rig.clock.elapsed < 3_600 + 300
    assert await rig.members() == digests(people(0, 35))
    assert report.status == "done"
    assert adds_up(report)


async def test_outage_longer_than_the_retry_timeout_interrupts_and_can_be_resumed(rig: Rig) -> None:
    await rig.client.mirror(ACCOUNT, people(0, 200), name=NAME, state=rig.state)
    rig.emulator.fault("status", status=503, operation="customer_lists_update", after=2, times=None)
    with pytest.raises(JobInterruptedError, match=r"20 of 80 records: .*resume it") as stopped:
        await rig.client.mirror(
            ACCOUNT, people(40, 240), name=NAME, retry_timeout=600, state=rig.state
        )
    assert isinstance(stopped.value.__cause__, ServerError)
    so_far = stopped.value.report
    assert (so_far.status, so_far.added, so_far.left) == ("running", 20, 60)
    assert adds_up(so_far)
    rig.emulator.faults.clear()
    (report,) = await rig.client.resume(ACCOUNT, state=rig.state)
    assert (report.added, report.removed, report.left) == (40, 40, 0)
    assert await rig.members() == digests(people(40, 240))


class Tokens:
    """A source of tokens: each is accepted until the next is asked for."""

    def __init__(self) -> None:
        self.generation = 0

    async def get(self) -> Token:
        return Token(f"token{self.generation}", self.generation)

    async def refresh(self, seen: Token) -> Token:
        self.generation = seen.generation + 1
        return await self.get()


async def test_token_that_expires_during_a_job_is_refreshed(state: Path) -> None:
    """401 with code 2 in the middle of a batch, which is sent again with the new token."""
    tokens = Tokens()
    rig = make_rig(state, access_token=tokens)
    rig.emulator.fault(
        "status",
        status=401,
        code=2,
        after=2,
        times=None,
        when=lambda request: request.headers["authorization"] == "Bearer token0",
    )
    async with rig.client:
        report = await rig.client.upload(ACCOUNT, people(0, 55), name=NAME, state=state)
        assert await rig.members() == digests(people(0, 55))
    assert tokens.generation == 1
    assert (report.status, report.sent_twice) == ("done", 0)


async def test_rejected_token_interrupts_the_job(rig: Rig) -> None:
    """With a new token the job can be resumed."""
    rig.emulator.fault("status", status=401, code=2, after=3, times=None)
    with pytest.raises(JobInterruptedError, match="401"):
        await rig.client.upload(ACCOUNT, people(0, 55), name=NAME, state=rig.state)
    rig.emulator.faults.clear()
    other = make_rig(rig.state, rig.emulator, access_token="another")
    async with other.client:
        (report,) = await other.client.resume(ACCOUNT, state=rig.state)
    assert report.status == "done"
    assert await rig.members() == digests(people(0, 55))


@pytest.mark.parametrize("most", [9, 5, 3, 1])
@pytest.mark.parametrize("wanted", ["by name", "by id"])
async def test_batch_that_is_too_large_is_split(rig: Rig, most: int, wanted: str) -> None:
    """Until it is accepted; later batches are split to the same size at once."""
    rig.wire.most = most
    (there,) = rig.emulator.seed_lists(ACCOUNT, 1, name="There")
    which: Settings = {"name": NAME} if wanted == "by name" else {"customer_list_id": there}
    report = await rig.client.upload(ACCOUNT, people(0, 45), state=rig.state, **which)
    assert report.customer_list_id is not None
    assert rig.emulator.members(report.customer_list_id) == digests(people(0, 45))
    refused = [item for item in rig.wire.writes if len(item.records) > most]
    halvings = {9: 1, 5: 1, 3: 2, 1: 3}[most]
    assert len(refused) <= halvings + (wanted == "by name")
    assert (report.planned, report.added, report.sent_twice) == (45, 45, 0)
    assert adds_up(report)


async def test_smaller_last_batch_does_not_reduce_the_batch_size(rig: Rig) -> None:
    """Only a refusal does: five records fit, so removals are sent in batches of five as well."""
    await rig.client.mirror(ACCOUNT, people(0, 100), name=NAME, state=rig.state)
    begun, rig.wire.most = len(rig.wire.updates), 5
    await rig.client.mirror(
        ACCOUNT, people(40, 117), name=NAME, allow_removals=True, state=rig.state
    )
    taken = [item for item in rig.wire.updates[begun:] if len(item.records) <= 5]
    assert [len(item.records) for item in taken if item.operation == "ADD"] == [5, 5, 5, 2]
    assert [len(item.records) for item in taken if item.operation == "REMOVE"] == [5] * 8


async def test_single_record_refused_with_413_interrupts_the_job(rig: Rig) -> None:
    """It cannot be split."""
    (there,) = rig.emulator.seed_lists(ACCOUNT, 1)
    rig.wire.most = 0
    with pytest.raises(JobInterruptedError, match="413"):
        await rig.client.upload(ACCOUNT, people(0, 45), customer_list_id=there, state=rig.state)
    with pytest.raises(JobInterruptedError, match="413"):
        await rig.client.upload(ACCOUNT, people(0, 45), name=NAME, state=rig.state)
    rig.wire.most = None
    for report in await rig.client.resume(ACCOUNT, state=rig.state):
        assert (report.status, report.added) == ("done", 45)
        assert adds_up(report)


async def test_split_parts_of_a_batch_without_response_stay_unconfirmed(rig: Rig) -> None:
    """First the response is lost, then the batch is too large: its records may be on the list."""
    (there,) = rig.emulator.seed_lists(ACCOUNT, 1, name=NAME)
    await rig.client.mirror(
        ACCOUNT, people(0, 150), customer_list_id=there, adopt=True, state=rig.state
    )
    rig.emulator.fault("reset_after", operation="customer_lists_update")
    rig.emulator.fault("status", operation="customer_lists_update", status=413)
    rig.emulator.fault("status", operation="customer_lists_update", status=403)
    with pytest.raises(JobInterruptedError, match="403"):
        await rig.client.upload(ACCOUNT, people(150, 160), name=NAME, state=rig.state)
    assert rig.emulator.members(there) == digests(people(0, 160))
    await rig.client.mirror(ACCOUNT, people(0, 150), name=NAME, state=rig.state)
    assert rig.emulator.members(there) == digests(people(0, 150))


@pytest.mark.parametrize(
    ("status", "cause"),
    [(404, NotFoundError), (403, PermissionDeniedError), (400, CallError)],
)
async def test_permanent_refusal_interrupts_and_can_be_resumed(
    rig: Rig, status: int, cause: type[Exception]
) -> None:
    """The list was deleted, or the account forbidden; when it is back the job is resumed."""
    await rig.client.mirror(ACCOUNT, people(0, 200), name=NAME, state=rig.state)
    fault: Settings = {"status": status, "operation": "customer_lists_update", "times": None}
    rig.emulator.fault("status", after=4, **fault)
    with pytest.raises(JobInterruptedError, match=f"{status}") as stopped:
        await rig.client.mirror(ACCOUNT, people(35, 235), name=NAME, state=rig.state)
    assert isinstance(stopped.value.__cause__, cause)
    assert adds_up(stopped.value.report)
    with pytest.raises(JobInterruptedError):
        await rig.client.resume(ACCOUNT, state=rig.state)
    rig.emulator.faults.clear()
    (report,) = await rig.client.resume(ACCOUNT, state=rig.state)
    assert await rig.members() == digests(people(35, 235))
    assert (report.status, report.sent_twice) == ("done", 0)  # refusals are no sendings
    assert adds_up(report)


async def test_429_about_spam_is_not_retried(rig: Rig) -> None:
    rig.emulator.fault(
        "status",
        status=429,
        code=8,
        message="This looks like spam.",
        operation="customer_lists_update",
        times=None,
    )
    with pytest.raises(JobInterruptedError, match="spam") as stopped:
        await rig.client.upload(ACCOUNT, people(0, 35), name=NAME, state=rig.state)
    assert isinstance(stopped.value.__cause__, RateLimitError)
    assert len(rig.wire.updates) == 1
    rig.emulator.faults.clear()
    await rig.client.resume(ACCOUNT, state=rig.state)
    assert await rig.members() == digests(people(0, 35))


async def test_requests_and_bytes_are_counted_once_over_interruptions(rig: Rig) -> None:
    (there,) = rig.emulator.seed_lists(ACCOUNT, 1)
    rig.emulator.fault("reset_after", operation="customer_lists_update", after=2, times=3)
    with pytest.raises(JobInterruptedError):
        await _upload_without_client_retries(rig, there)
    (report,) = await rig.client.resume(ACCOUNT, state=rig.state)
    assert report.calls == len(rig.wire.updates)
    assert (report.sent_twice, report.added) == (10, 55)
    assert rig.emulator.customer_list(there)["num_uploaded_user_records"] == 55 + 3 * 10


async def _upload_without_client_retries(rig: Rig, customer_list_id: str) -> None:
    """Upload with a client that does not retry calls."""
    other = make_rig(rig.state, rig.emulator, max_retries=0, clock=rig.clock)
    other.wire.sent = rig.wire.sent
    async with other.client:
        await other.client.upload(
            ACCOUNT,
            people(0, 55),
            customer_list_id=customer_list_id,
            retry_timeout=2.0,
            state=rig.state,
        )


async def test_job_survives_a_connection_that_breaks_at_every_second_request(rig: Rig) -> None:
    """Responses of lookups are lost, too."""
    rig.wire.after = broken(*range(2, 200, 2))
    report = await rig.client.upload(ACCOUNT, people(0, 155), name=NAME, state=rig.state)
    rig.wire.after = None
    assert await rig.members() == digests(people(0, 155))
    assert adds_up(report)


async def test_retries_are_logged_with_their_reason(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pinterest_audiences")
    rig.emulator.fault("status", status=503, operation="customer_lists_update", times=6)
    await rig.client.upload(ACCOUNT, people(0, 35), name=NAME, state=rig.state)
    assert "503" in caplog.text
    assert "retrying in 1 s" in caplog.text
