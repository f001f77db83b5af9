"""List and abandon jobs, and erase the state of deleted lists."""

from __future__ import annotations

from functools import partial

import pytest
from support.jobs import ACCOUNT, NAME, Rig, digest, digests, people, state_bytes

from pinterest_audiences import (
    ConfigurationError,
    GuardError,
    JobInterruptedError,
    JobNotFoundError,
    JobReport,
)
from pinterest_audiences.cli.error_reports import error_report

pytestmark = pytest.mark.anyio


async def interrupted(rig: Rig, source: list[str]) -> JobReport:
    """Return the report of an upload that was refused after its first batch."""
    rig.emulator.fault("status", status=403, operation="customer_lists_update", after=1)
    with pytest.raises(JobInterruptedError) as caught:
        await rig.client.upload(ACCOUNT, source, name=NAME, state=rig.state)
    rig.emulator.faults.clear()
    assert caught.value.report is not None
    return caught.value.report


async def test_abandoned_job_is_not_resumed(rig: Rig, small_batches: int) -> None:
    """Acknowledged records stay members; the rest is neither sent nor stored."""
    report = await interrupted(rig, people(0, 50))
    assert (report.added, report.left) == (20, 30)
    ended = await rig.client.abandon(report.job_id, state=rig.state)
    assert (ended.status, ended.added, ended.left, ended.dropped) == ("abandoned", 20, 0, 30)
    assert "abandoned: 30 records were not sent" in ended.findings
    assert "30 dropped: the job was abandoned" in str(ended)
    assert await rig.client.resume(ACCOUNT, state=rig.state) == []
    (status,) = await rig.client.status(ACCOUNT, state=rig.state)
    assert (status.settled, status.records, status.in_doubt) == (True, 20, 0)
    held = state_bytes(rig.state)
    kept = {text for text in people(0, 50) if bytes.fromhex(digest(text)) in held}
    assert digests(kept) == await rig.members()
    assert await rig.client.abandon(str(report.job_id), state=rig.state) == ended


async def test_abandoned_batch_without_response_is_unconfirmed(
    rig: Rig, small_batches: int
) -> None:
    """It may be on the list, so the next mirror removes it."""
    await rig.client.upload(ACCOUNT, people(100, 200), name=NAME, state=rig.state)
    rig.emulator.fault("reset_after", operation="customer_lists_update", after=1, times=None)
    with pytest.raises(JobInterruptedError) as caught:
        await rig.client.upload(ACCOUNT, people(0, 50), name=NAME, state=rig.state, retry_timeout=1)
    rig.emulator.faults.clear()
    assert caught.value.report is not None
    ended = await rig.client.abandon(caught.value.report.job_id, state=rig.state)
    assert any("for 10 no response was received" in item for item in ended.findings)
    (status,) = await rig.client.status(ACCOUNT, state=rig.state)
    assert (status.records, status.in_doubt) == (110, 10)
    await rig.client.mirror(
        ACCOUNT, people(100, 200), name=NAME, allow_removals=True, state=rig.state
    )
    assert await rig.members() == digests(people(100, 200))


async def test_abandoned_job_does_not_block_the_list(rig: Rig, small_batches: int) -> None:
    """A later removal is carried out."""
    report = await interrupted(rig, people(0, 50))
    rig.emulator.fault("status", status=403, operation="customer_lists_update", times=1)
    with pytest.raises(JobInterruptedError):
        await rig.client.upload(
            ACCOUNT, people(0, 5), name=NAME, operation="REMOVE", state=rig.state
        )
    await rig.client.abandon(report.job_id, state=rig.state)
    await rig.client.upload(
        ACCOUNT,
        people(0, 50),
        name=NAME,
        operation="REMOVE",
        allow_removals=True,
        state=rig.state,
    )
    assert await rig.members() == set()


@pytest.mark.parametrize(
    "job_id", ["", "x", "1.0", "-1", -1, 0, True, 1.5, None, 2**63, "9" * 99, "²"]
)
async def test_bad_job_id_is_a_configuration_error(rig: Rig, job_id: object) -> None:
    """Before the state file is opened."""
    with pytest.raises(ConfigurationError, match="job_id must be"):
        await rig.client.abandon(job_id, state=rig.state)  # type: ignore[arg-type]  # as callers may
    assert not rig.state.exists()


async def test_unknown_job_and_list_are_not_found(rig: Rig) -> None:
    """Another number, another account, another service."""
    report = await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    with pytest.raises(JobNotFoundError, match="job 77 is not in"):
        await rig.client.abandon(77, state=rig.state)
    for account, number in ((ACCOUNT, 77), (1, report.customer_list_id)):
        with pytest.raises(JobNotFoundError):
            await rig.client.forget_list(account, customer_list_id=number or 0, state=rig.state)
    with pytest.raises(ConfigurationError):
        await rig.client.forget_list(ACCOUNT, state=rig.state)  # type: ignore[call-overload]


@pytest.mark.parametrize("by_name", [True, False])
async def test_forget_list_erases_digests_and_jobs(rig: Rig, by_name: bool) -> None:
    """Other lists are not changed."""
    report = await rig.client.upload(ACCOUNT, people(0, 20), name=NAME, state=rig.state)
    await rig.client.upload(ACCOUNT, people(20, 40), name="Other", state=rig.state)
    rig.emulator.reset()
    before = len(rig.wire.sent)
    forget_list = partial(rig.client.forget_list, ACCOUNT, state=rig.state)
    list_id = report.customer_list_id or ""
    erased = await (forget_list(name=NAME) if by_name else forget_list(customer_list_id=list_id))
    assert (erased.customer_list_id, erased.records) == (report.customer_list_id, 20)
    assert len(rig.wire.sent) == before
    held = state_bytes(rig.state)
    assert not [text for text in people(0, 20) if bytes.fromhex(digest(text)) in held]
    assert all(bytes.fromhex(digest(text)) in held for text in people(20, 40))
    assert [item.name for item in await rig.client.status(ACCOUNT, state=rig.state)] == ["Other"]
    assert [item.name for item in await rig.client.jobs(state=rig.state)] == ["Other"]
    again = await rig.client.mirror(ACCOUNT, people(0, 20), name=NAME, state=rig.state)
    assert again.created
    assert await rig.members() == digests(people(0, 20))


async def test_forget_list_of_an_ambiguous_name_is_refused(rig: Rig) -> None:
    """The error has the ids."""
    for item in rig.emulator.seed_lists(ACCOUNT, 2, name=NAME):
        await rig.client.upload(ACCOUNT, people(0, 5), customer_list_id=item, state=rig.state)
    with pytest.raises(GuardError, match="2 lists are called 'Customers'"):
        await rig.client.forget_list(ACCOUNT, name=NAME, state=rig.state)


async def test_jobs_lists_every_job_with_its_state(rig: Rig, small_batches: int) -> None:
    """When it began, what is left, and how many rows were rejected."""
    await rig.client.upload(1, people(0, 20), name="Other", state=rig.state)
    await interrupted(rig, [*people(0, 50), "nothing", "@"])
    await rig.client.plan_mirror(1, people(0, 20), name="Other", state=rig.state)
    jobs = await rig.client.jobs(state=rig.state)
    assert [(item.kind, item.status, item.left) for item in jobs] == [
        ("upload", "done", 0),
        ("upload", "running", 30),
        ("mirror", "planned", 0),
    ]
    assert [item.rejected for item in jobs] == [0, 2, 0]
    assert all(item.started > 0 for item in jobs)
    assert [item.finished is not None for item in jobs] == [True, False, False]
    assert await rig.client.jobs(ACCOUNT, state=rig.state) == [jobs[1]]
    assert await rig.client.jobs(999, state=rig.state) == []
    with pytest.raises(ConfigurationError, match="ad_account_id"):
        await rig.client.jobs("x", state=rig.state)


async def test_job_on_a_deleted_list_suggests_abandon_and_forget_list(
    rig: Rig, small_batches: int
) -> None:
    """The 404 alone would lead to a resume that always fails."""
    report = await interrupted(rig, people(0, 50))
    rig.emulator.reset()
    with pytest.raises(JobInterruptedError, match="404") as caught:
        await rig.client.resume(ACCOUNT, state=rig.state)
    assert f"abandon({report.job_id})" in str(caught.value)
    assert "forget_list()" in str(caught.value)
    shown = error_report(caught.value).hint
    assert f"`jobs abandon {report.job_id}`" in shown
    assert "`lists forget`" in shown
    await rig.client.forget_list(
        ACCOUNT, customer_list_id=str(report.customer_list_id), state=rig.state
    )
    assert await rig.client.resume(ACCOUNT, state=rig.state) == []


@pytest.mark.once
async def test_resume_on_many_lists_with_few_file_descriptors(rig: Rig) -> None:
    """As many lists at a time as descriptors allow; all are finished."""
    resource = pytest.importorskip("resource")
    rig.emulator.fault("status", status=403, operation="customer_lists_update", times=None)
    for number, item in enumerate(rig.emulator.seed_lists(ACCOUNT, 120, records=["x"])):
        with pytest.raises(JobInterruptedError):
            await rig.client.upload(
                ACCOUNT, [f"m{number}@shop.example"], customer_list_id=item, state=rig.state
            )
    rig.emulator.faults.clear()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
    try:
        reports = await rig.client.resume(ACCOUNT, state=rig.state)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert [item.added for item in reports] == [1] * 120
