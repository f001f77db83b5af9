"""The audience of a list after a job: found or created once, with a wait only if requested."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.clock import FakeClock
from support.jobs import ACCOUNT, NAME, Rig, Wire, digests, make_rig, people

from pinterest_audiences import (
    Audience,
    AudienceError,
    BadRequestError,
    Client,
    ConfigurationError,
    JobEventType,
    WaitTimeoutError,
)
from pinterest_audiences.emulator import Assumptions, Emulator

pytestmark = pytest.mark.anyio

BUYERS = "Buyers"


async def audiences(rig: Rig) -> list[Audience]:
    return await rig.client.audiences_list(ACCOUNT).collect()


async def upload(rig: Rig, count: int = 200, **options: Any) -> Any:
    options = {"audience": BUYERS, "name": NAME, "state": rig.state, **options}
    return await rig.client.upload(ACCOUNT, people(0, count), **options)


def audience_creates(rig: Rig) -> int:
    """Return how many audiences the client has tried to create; lists are created by uploads."""
    return sum(sent.method == "POST" for sent in rig.wire.sent) - 1


async def test_second_upload_finds_the_audience_of_the_first(rig: Rig) -> None:
    report = await upload(rig)
    (audience,) = await audiences(rig)
    assert (audience.name, audience.rule) == (
        BUYERS,
        {"customer_list_id": report.customer_list_id},
    )
    assert (report.audience_id, report.audience_status) == (audience.id, "INITIALIZING")
    assert f"audience {audience.id}: INITIALIZING" in str(report)
    assert rig.clock.sleeps == []
    again = await upload(rig)
    assert again.audience_id == audience.id
    assert await audiences(rig) == [audience]
    (status,) = await rig.client.status(ACCOUNT, state=rig.state)
    assert [job.audience_id for job in status.jobs] == [audience.id] * 2


@pytest.mark.parametrize("method", ["mirror", "apply", "apply upload"])
async def test_mirrors_and_plans_make_one_audience(rig: Rig, method: str) -> None:
    for stop in (150, 151):
        source, options = people(0, stop), {"name": NAME, "state": rig.state}
        if method == "mirror":
            report = await rig.client.mirror(
                ACCOUNT, source, name=NAME, audience=BUYERS, state=rig.state
            )
        else:
            plan_job = getattr(rig.client, "plan_upload" if "upload" in method else "plan_mirror")
            plan = await plan_job(ACCOUNT, source, **options)
            report = await rig.client.apply(plan, audience=BUYERS, state=rig.state)
        (audience,) = await audiences(rig)
        assert report.audience_id == audience.id


async def test_synchronous_client_makes_one_audience(state: Path) -> None:
    emulator = Emulator(rate_limits=None)
    with Client("token", transport=emulator.transport()) as client:
        reports = [
            client.upload(ACCOUNT, people(0, 9), name=NAME, audience=BUYERS, state=state),
            client.mirror(ACCOUNT, people(0, 9), name=NAME, audience=BUYERS, state=state),
        ]
        ids = [audience.id for audience in client.audiences_list(ACCOUNT)]
    assert [report.audience_id for report in reports] == ids * 2


async def test_audience_of_the_list_with_another_name_is_used(rig: Rig) -> None:
    """One with the name comes first."""
    report = await rig.client.upload(ACCOUNT, people(0, 9), name=NAME, state=rig.state)
    list_id = str(report.customer_list_id)
    other = await rig.client.create_customer_list_audience(ACCOUNT, list_id, "Other")
    assert (await upload(rig)).audience_id == other.id
    named = await rig.client.create_customer_list_audience(ACCOUNT, list_id, BUYERS)
    assert (await upload(rig)).audience_id == named.id
    assert len(await audiences(rig)) == 2


async def test_audience_of_another_list_is_not_used(rig: Rig) -> None:
    (number,) = rig.emulator.seed_lists(ACCOUNT, 1)
    other = await rig.client.create_customer_list_audience(ACCOUNT, number, BUYERS)
    assert (await upload(rig)).audience_id not in {None, other.id}


@pytest.mark.parametrize("fault", ["no_answer", "reset_after", "truncated_json"])
async def test_lost_response_creates_no_second_audience(rig: Rig, fault: Any) -> None:
    rig.emulator.fault(fault, operation="audiences_create", times=2)
    report = await upload(rig)
    (audience,) = await audiences(rig)
    assert report.audience_id == audience.id
    assert audience_creates(rig) == 1


@pytest.mark.parametrize("fault", ["reset_before", "status"])
async def test_create_that_was_not_received_is_repeated(rig: Rig, fault: Any) -> None:
    """Also after the retries of the client."""
    rig.emulator.fault(fault, operation="audiences_create", times=3)
    report = await upload(rig)
    (audience,) = await audiences(rig)
    assert report.audience_id == audience.id


async def test_create_without_response_is_sent_five_times_at_most(rig: Rig) -> None:
    """Each one may create an audience that is not listed yet."""
    rig.wire.refuse = lambda sent: _without_audiences(rig, sent.method)
    rig.emulator.fault("no_answer", operation="audiences_create", times=None)
    with pytest.raises(AudienceError):
        await upload(rig)
    assert audience_creates(rig) == 5


def _without_audiences(rig: Rig, method: str) -> httpx.Response | None:
    """Return an empty page for what is read after the list was created."""
    created = any(sent.method == "POST" for sent in rig.wire.sent)
    return httpx.Response(200, json={"items": []}) if created and method == "GET" else None


@pytest.mark.parametrize("listed", [True, False], ids=["listed", "not listed yet"])
async def test_crash_after_the_create_leads_to_no_second_audience(rig: Rig, listed: bool) -> None:
    """Where the new audience is missing from the listing, it is read again after a delay."""

    async def crash(wire: Wire) -> None:
        if audience_creates(rig) == 1:
            raise MemoryError

    rig.wire.after = crash
    with pytest.raises(MemoryError):
        await upload(rig)
    rig.wire.after = None
    pages = [] if listed else [httpx.Response(200, json={"items": []})]
    begun = len(rig.wire.sent)

    def refuse(sent: object) -> httpx.Response | None:
        # The first GET is that of the list, the second that of the audiences.
        gets = [item for item in rig.wire.sent[begun:] if item.method == "GET"]
        return pages.pop() if pages and len(gets) == 2 else None

    rig.wire.refuse = refuse
    report = await upload(rig)
    (audience,) = await audiences(rig)
    assert report.audience_id == audience.id
    assert sum(rig.clock.sleeps) == (0 if listed else 5)


async def test_wait_ends_when_list_and_audience_are_ready(state: Path) -> None:
    clock = FakeClock()
    emulator = Emulator(clock=clock.time, rate_limits=None, match_rate=1.0, processing_seconds=3600)
    rig = make_rig(state, emulator, clock=clock)
    async with rig.client:
        report = await upload(rig, wait=86_400)
        assert report.audience_status == "READY"
        assert emulator.customer_list(str(report.customer_list_id))["status"] == "READY"
        assert sum(clock.sleeps) >= 7200
        again = await upload(rig, wait=86_400)
    assert again.audience_id == report.audience_id


async def test_other_jobs_run_while_a_job_waits(rig: Rig) -> None:
    """The list is locked only while its audience is created."""
    other = make_rig(rig.state, rig.emulator, clock=rig.clock)
    added: list[int] = []

    async def upload_more(wire: Wire) -> None:
        if rig.clock.sleeps and not added:
            added.append(0)
            report = await other.client.upload(ACCOUNT, people(0, 300), name=NAME, state=rig.state)
            added[0] = report.added

    rig.wire.before = upload_more
    async with other.client:
        report = await upload(rig, wait=86_400)
    assert (added, report.added) == ([300], 200)
    assert await rig.members() == digests(people(0, 300))


@pytest.mark.parametrize("seconds", [1, 1800])
async def test_timeout_of_the_wait_is_an_error_with_the_report(state: Path, seconds: int) -> None:
    clock = FakeClock()
    emulator = Emulator(clock=clock.time, rate_limits=None, processing_seconds=1000)
    rig = make_rig(state, emulator, clock=clock)
    async with rig.client:
        with pytest.raises(AudienceError, match="is done, but its audience is not") as caught:
            await upload(rig, wait=seconds)
        assert isinstance(caught.value.__cause__, WaitTimeoutError)
        report = caught.value.report
        assert (report.status, report.added) == ("done", 200)
        assert len(await audiences(rig)) == (0 if seconds == 1 else 1)
        assert (report.audience_id is None) is (seconds == 1)


async def test_refused_audience_is_an_error_and_blocks_no_later_job(state: Path) -> None:
    """Pinterest may refuse an audience of a list that is too small."""
    clock = FakeClock()
    emulator = Emulator(
        clock=clock.time,
        rate_limits=None,
        match_rate=1.0,
        assumptions=Assumptions(refuse_small_audiences=True),
    )
    rig = make_rig(state, emulator, clock=clock)
    async with rig.client:
        with pytest.raises(AudienceError, match="create_customer_list_audience") as caught:
            await upload(rig, count=9)
        assert isinstance(caught.value.__cause__, BadRequestError)
        assert (caught.value.report.status, caught.value.report.added) == ("done", 9)
        assert await rig.members() == digests(people(0, 9))
        assert await rig.client.resume(ACCOUNT, state=state) == []
        report = await upload(rig, count=200, wait=86_400)
        assert report.audience_id is not None


@pytest.mark.parametrize("wait", [0, 60])
async def test_empty_source_makes_no_list_and_no_audience(rig: Rig, wait: int) -> None:
    """Nothing is waited for, and nothing is left to do."""
    report = await upload(rig, count=0, wait=wait)
    assert report.finding_codes == ("no_records", "no_audience")
    assert (report.audience_id, report.audience_pending) == (None, False)
    assert await audiences(rig) == []
    assert rig.clock.sleeps == []
    assert await rig.client.resume(ACCOUNT, state=rig.state) == []


@pytest.mark.parametrize("status", [400, 403, 404])
async def test_create_that_was_not_applied_delays_no_later_job(rig: Rig, status: int) -> None:
    """The listing is read twice only if an audience may have been created."""
    rig.emulator.fault("status", status=status, operation="audiences_create")
    with pytest.raises(AudienceError):
        await upload(rig)
    begun = len(rig.wire.sent)
    report = await upload(rig)
    (audience,) = await audiences(rig)
    assert report.audience_id == audience.id
    assert rig.clock.sleeps == []
    # The list, its update, the audiences, the create; then those of this test.
    assert [sent.method for sent in rig.wire.sent[begun:]] == ["GET", "PATCH", "GET", "POST", "GET"]


async def test_outage_at_the_create_is_waited_for_until_the_retry_timeout(rig: Rig) -> None:
    """Its responses do not count as lost, of which five end the job."""
    rig.emulator.fault("status", status=503, operation="audiences_create", times=60)
    report = await upload(rig)
    assert len(await audiences(rig)) == 1
    assert report.audience_id is not None


async def test_retries_of_the_create_have_the_id_of_the_job_and_its_list(rig: Rig) -> None:
    rig.emulator.fault("status", status=503, operation="audiences_create", times=6)
    report = await upload(rig, on_event=rig.events.append)
    retries = [event for event in rig.events if event.kind == JobEventType.RETRY]
    assert retries
    for event in retries:
        assert (event.job_id, event.customer_list_id) == (report.job_id, report.customer_list_id)
        assert (event.done, event.total) == (200, 200)
        assert event.wait > 0


async def test_name_of_the_list_is_escaped_in_the_error(rig: Rig) -> None:
    rig.emulator.fault("status", status=400, operation="audiences_create")
    with pytest.raises(AudienceError) as caught:
        await upload(rig, name="Red\x1b[31m\nlist")
    assert "to list Red\\x1b[31m\\nlist is done" in str(caught.value)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"audience": ""}, "audience must be a non-empty string"),
    ({"audience": 5}, "audience must be a non-empty string"),
    ({"audience": None, "wait": 5}, "wait is set without an audience; set audience= too"),
    ({"wait": -1}, "wait must be"),
    ({"wait": float("nan")}, "wait must be"),
    ({"wait": True}, "wait must be"),
    ({"wait": None}, "wait must be a number"),
    ({"wait": ""}, "wait must be a number"),
    ({"wait": []}, "wait must be a number"),
    ({"wait": "5"}, "wait must be a number"),
    ({"wait": None, "audience": None}, "wait must be a number"),
    ({"wait": "", "audience": None}, "wait must be a number"),
    ({"operation": "REMOVE"}, "audience can be used only to add records"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=str)
async def test_wrong_audience_arguments_are_refused_before_the_source_is_read(
    rig: Rig, options: dict[str, Any], message: str
) -> None:
    read: list[str] = []

    def source() -> Iterator[str]:
        for text in people(0, 3):
            read.append(text)
            yield text

    arguments = {"name": NAME, "audience": BUYERS, "state": rig.state, **options}
    with pytest.raises(ConfigurationError, match=message):
        await rig.client.upload(ACCOUNT, source(), **arguments)
    assert (read, rig.wire.sent) == ([], [])


async def test_audience_is_refused_where_a_plan_removes_records(rig: Rig) -> None:
    """The plan can be applied without it afterwards."""
    await rig.client.upload(ACCOUNT, people(0, 50), name=NAME, state=rig.state)
    plan = await rig.client.plan_upload(
        ACCOUNT, people(0, 5), name=NAME, operation="REMOVE", state=rig.state
    )
    with pytest.raises(ConfigurationError, match="only to add records") as caught:
        await rig.client.apply(plan, audience=BUYERS, state=rig.state)
    assert caught.value.param == "audience"
    assert await audiences(rig) == []
    assert await rig.members() == digests(people(0, 50))
    assert (await rig.client.apply(plan, state=rig.state)).removed == 5


async def test_create_customer_list_audience_twice_makes_one(rig: Rig) -> None:
    """Another name, or another list, makes another audience."""
    first, second = rig.emulator.seed_lists(ACCOUNT, 2)
    create = rig.client.create_customer_list_audience
    made = await create(ACCOUNT, first, BUYERS)
    assert (await create(ACCOUNT, first, BUYERS)).id == made.id
    await create(ACCOUNT, first, "Spring")
    await create(ACCOUNT, second, BUYERS)
    assert len(await audiences(rig)) == 3
