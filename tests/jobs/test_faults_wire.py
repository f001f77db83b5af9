"""A wire that fails in every way: nothing is lost, nothing is left behind, and it adds up."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from support.clock import FakeClock
from support.jobs import ACCOUNT, NAME, Rig, adds_up, broken, digests, make_rig, people

from pinterest_audiences import (
    CallError,
    GuardError,
    JobEventKind,
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
async def test_one_failure_of_any_kind_is_survived(
    rig: Rig, kind: Any, settings: Settings, operation: str
) -> None:
    """Membership is exact, and there is one list of the name, not two."""
    rig.emulator.fault(kind, operation=OPERATIONS[operation], **settings)
    report = await rig.client.upload(ACCOUNT, people(0, 35), name=NAME, state=rig.state)
    assert len(rig.emulator.faults) == 0
    assert await rig.members() == digests(people(0, 35))
    assert (report.status, report.planned, report.added, report.left) == ("done", 35, 35, 0)
    assert adds_up(report)


@pytest.mark.parametrize(("kind", "settings"), LOST)
async def test_what_was_applied_and_not_answered_counts_as_sent_twice(
    rig: Rig, kind: Any, settings: Settings
) -> None:
    """Exactly the records of that batch; Pinterest's own counter agrees."""
    rig.emulator.fault(kind, operation="customer_lists_update", after=1, **settings)
    report = await rig.client.upload(ACCOUNT, people(0, 35), name=NAME, state=rig.state)
    assert report.sent_twice == 10
    (there,) = await rig.lists()
    assert rig.emulator.customer_list(there)["num_uploaded_user_records"] == 35 + 10


@pytest.mark.parametrize(("kind", "settings"), LOST)
async def test_a_creation_whose_answer_was_lost_is_found(
    rig: Rig, kind: Any, settings: Settings
) -> None:
    """Newer than what was there before, by its name; older lists of that name are another's."""
    rig.emulator.seed_lists(ACCOUNT, 3, name="Other {}")
    rig.emulator.fault(kind, operation="customer_lists_create", **settings)
    report = await rig.client.upload(
        ACCOUNT, people(0, 35), name=NAME, state=rig.state, on_event=rig.events.append
    )
    (there,) = await rig.lists()
    assert report.customer_list_id == there
    assert report.created
    assert any("was lost; it was found by its name" in finding for finding in report.findings)
    assert JobEventKind.LIST_FOUND in {event.kind for event in rig.events}
    assert [each.method for each in rig.wire.writes].count("POST") == 1


async def test_a_list_whose_creation_was_not_heard_of_is_not_taken_for_anothers(rig: Rig) -> None:
    """Somebody sees it in Ads Manager and uploads to it by its id: first things first."""
    rig.emulator.fault("no_answer", operation="customer_lists_create")
    rig.emulator.fault("status", status=403, operation="customer_lists_list", after=2)
    with pytest.raises(JobInterruptedError):
        await rig.client.upload(ACCOUNT, people(0, 35), name=NAME, state=rig.state)
    (there,) = await rig.lists()
    with pytest.raises(GuardError, match="resume that first"):
        await rig.client.upload(ACCOUNT, people(40, 50), customer_list_id=there, state=rig.state)
    (other,) = rig.emulator.seed_lists(ACCOUNT, 1, name="Other")
    await rig.client.upload(ACCOUNT, people(40, 50), customer_list_id=other, state=rig.state)
    (report,) = await rig.client.resume(ACCOUNT, state=rig.state)
    assert (report.customer_list_id, report.status) == (there, "done")
    await rig.client.upload(ACCOUNT, people(40, 50), customer_list_id=there, state=rig.state)
    assert await rig.members() == digests([*people(0, 35), *people(40, 50)])


async def test_a_creation_that_never_arrived_is_made_again(rig: Rig) -> None:
    """After it was looked for, twice: a listing may be behind."""
    rig.emulator.fault("reset_before", operation="customer_lists_create", times=3)
    report = await rig.client.upload(ACCOUNT, people(0, 35), name=NAME, state=rig.state)
    assert len(await rig.lists()) == 1
    assert await rig.members() == digests(people(0, 35))
    assert report.created


async def test_a_storm_of_429_is_sat_out(rig: Rig) -> None:
    """Refused calls are counted, and nothing is sent twice."""
    rig.emulator.fault("status", status=429, code=8, after=2, times=25)
    report = await rig.client.upload(ACCOUNT, people(0, 95), name=NAME, state=rig.state)
    assert await rig.members() == digests(people(0, 95))
    assert (report.rate_limited, report.sent_twice) == (25, 0)
    assert adds_up(report)


async def test_a_budget_that_is_used_up_is_waited_for(state: Path) -> None:
    """Calls are spread over the minutes; what was waited is told."""
    clock = FakeClock()
    limits = RateLimits(ads_write=RatePolicy(5, 60))
    rig = make_rig(state, Emulator(clock=clock.time, rate_limits=limits), clock=clock)
    async with rig.client:
        report = await rig.client.upload(
            ACCOUNT, people(0, 200), name=NAME, state=state, on_event=rig.events.append
        )
        assert await rig.members() == digests(people(0, 200))
    waits = [each for each in rig.events if each.kind == JobEventKind.WAITING_FOR_BUDGET]
    assert waits
    assert all(each.wait > 0 for each in waits)
    assert clock.elapsed >= 180
    assert report.budget_seconds == pytest.approx(clock.elapsed, rel=0.1)


@pytest.mark.parametrize("only", [None, "customer_lists_update", "customer_lists_create"])
async def test_a_virtual_hour_of_503_is_survived_by_default(rig: Rig, only: str | None) -> None:
    """The default patience is longer than that; the creation has it, too."""
    begun = rig.clock.elapsed
    if only is None:  # the list has to be looked up first, which nobody waits for
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


async def test_a_longer_outage_interrupts_and_is_resumed(rig: Rig) -> None:
    """Patience is the caller's; nothing is lost when it is over."""
    await rig.client.mirror(ACCOUNT, people(0, 200), name=NAME, state=rig.state)
    rig.emulator.fault("status", status=503, operation="customer_lists_update", after=2, times=None)
    with pytest.raises(JobInterruptedError, match=r"20 of 80 records: .*resume it") as stopped:
        await rig.client.mirror(ACCOUNT, people(40, 240), name=NAME, patience=600, state=rig.state)
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


async def test_a_token_that_expires_half_way_is_refreshed(state: Path) -> None:
    """401 with code 2, in the middle of a batch; it is sent again with the new token."""
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


async def test_a_token_that_is_refused_for_good_interrupts(rig: Rig) -> None:
    """With a new token the job goes on."""
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
async def test_a_batch_that_is_too_large_is_halved(rig: Rig, most: int, wanted: str) -> None:
    """Until it is taken; what follows is cut to the same size without asking first."""
    rig.wire.most = most
    (there,) = rig.emulator.seed_lists(ACCOUNT, 1, name="There")
    which: Settings = {"name": NAME} if wanted == "by name" else {"customer_list_id": there}
    report = await rig.client.upload(ACCOUNT, people(0, 45), state=rig.state, **which)
    assert report.customer_list_id is not None
    assert rig.emulator.members(report.customer_list_id) == digests(people(0, 45))
    refused = [each for each in rig.wire.writes if len(each.records) > most]
    halvings = {9: 1, 5: 1, 3: 2, 1: 3}[most]
    assert len(refused) <= halvings + (wanted == "by name")
    assert (report.planned, report.added, report.sent_twice) == (45, 45, 0)
    assert adds_up(report)


async def test_a_remainder_does_not_make_later_batches_smaller(rig: Rig) -> None:
    """Only a refusal does: five fit, so removals are sent by fives as well."""
    await rig.client.mirror(ACCOUNT, people(0, 100), name=NAME, state=rig.state)
    begun, rig.wire.most = len(rig.wire.updates), 5
    await rig.client.mirror(
        ACCOUNT, people(40, 117), name=NAME, allow_removals=True, state=rig.state
    )
    taken = [each for each in rig.wire.updates[begun:] if len(each.records) <= 5]
    assert [len(each.records) for each in taken if each.operation == "ADD"] == [5, 5, 5, 2]
    assert [len(each.records) for each in taken if each.operation == "REMOVE"] == [5] * 8


async def test_a_single_record_that_is_too_large_interrupts(rig: Rig) -> None:
    """It cannot be halved."""
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


async def test_halves_of_a_batch_that_may_have_been_taken_stay_in_doubt(rig: Rig) -> None:
    """First the answer is lost, then it is too large: its records may be there all the same."""
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
async def test_a_refusal_half_way_interrupts_and_can_be_resumed(
    rig: Rig, status: int, cause: type[Exception]
) -> None:
    """The list was deleted, or the account forbidden; when it is back the job goes on."""
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


async def test_a_429_that_speaks_of_spam_is_not_repeated(rig: Rig) -> None:
    """It is a judgement, and asking again makes it worse."""
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


async def test_calls_are_counted_once_over_interruptions(rig: Rig) -> None:
    """As many as were sent for the job, and not one more; so are their bytes."""
    (there,) = rig.emulator.seed_lists(ACCOUNT, 1)
    rig.emulator.fault("reset_after", operation="customer_lists_update", after=2, times=3)
    with pytest.raises(JobInterruptedError):
        await _impatient(rig, there)
    (report,) = await rig.client.resume(ACCOUNT, state=rig.state)
    assert report.calls == len(rig.wire.updates)
    assert (report.sent_twice, report.added) == (10, 55)
    assert rig.emulator.customer_list(there)["num_uploaded_user_records"] == 55 + 3 * 10


async def _impatient(rig: Rig, customer_list_id: str) -> None:
    """Upload with a client that never sends twice by itself."""
    other = make_rig(rig.state, rig.emulator, max_retries=0, clock=rig.clock)
    other.wire.sent = rig.wire.sent
    async with other.client:
        await other.client.upload(
            ACCOUNT,
            people(0, 55),
            customer_list_id=customer_list_id,
            patience=2.0,
            state=rig.state,
        )


async def test_a_connection_that_breaks_at_every_second_request_is_survived(rig: Rig) -> None:
    """Answers are lost all the way, of lookups too."""
    rig.wire.after = broken(*range(2, 200, 2))
    report = await rig.client.upload(ACCOUNT, people(0, 155), name=NAME, state=rig.state)
    rig.wire.after = None
    assert await rig.members() == digests(people(0, 155))
    assert adds_up(report)


async def test_failures_are_told_in_the_log(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """A job that waits for minutes says why."""
    caplog.set_level(logging.INFO, "pinterest_audiences")
    rig.emulator.fault("status", status=503, operation="customer_lists_update", times=6)
    await rig.client.upload(ACCOUNT, people(0, 35), name=NAME, state=rig.state)
    assert "503" in caplog.text
    assert "trying again in 1 s" in caplog.text
