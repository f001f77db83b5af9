"""Batch sizes: the option, splitting after a refusal, and single refused records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.jobs import (
    ACCOUNT,
    NAME,
    Rig,
    Sent,
    adds_up,
    ask,
    bad_request,
    digest,
    digests,
    make_rig,
    people,
)

from pinterest_audiences import (
    BadRequestError,
    ConfigurationError,
    JobInterruptedError,
    OperationType,
    TransportError,
)

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

Answer = Callable[[], httpx.Response]


def too_large() -> httpx.Response:
    return httpx.Response(413, json={"code": 413, "message": "Too large."})


def reset() -> httpx.Response:
    raise httpx.WriteError("reset")


def above(most: int, answer: Answer) -> Callable[[Sent], httpx.Response | None]:
    """Refuse requests with more records."""
    return lambda sent: answer() if len(sent.records) > most else None


def holding(bad: set[str]) -> Callable[[Sent], httpx.Response | None]:
    """Refuse requests that contain one of these records with 400."""
    return lambda sent: bad_request() if bad.intersection(sent.records) else None


def sizes(rig: Rig, begun: int = 0) -> list[int]:
    return [len(item.records) for item in rig.wire.writes[begun:]]


async def test_default_batch_size_is_1900(rig: Rig) -> None:
    await rig.client.upload(ACCOUNT, people(0, 4_000), name=NAME, state=rig.state)
    assert sizes(rig) == [1_900, 1_900, 200]


async def test_batch_size_is_settable_for_every_job(rig: Rig) -> None:
    await rig.client.upload(ACCOUNT, people(0, 25), name=NAME, state=rig.state, batch_size=10)
    await rig.client.mirror(
        ACCOUNT, people(5, 40), name=NAME, state=rig.state, batch_size=7, allow_removals=True
    )
    plan = await rig.client.plan_mirror(
        ACCOUNT, people(5, 50), name=NAME, state=rig.state, batch_size=5
    )
    assert plan.calls == 2
    await rig.client.apply(plan, state=rig.state, batch_size=4)
    await rig.client.forget(people(5, 10), state=rig.state, batch_size=3)
    assert sizes(rig) == [10, 10, 5, 7, 7, 1, 5, 4, 1, 4, 1, 3, 2]


async def test_resume_keeps_the_batch_size_of_the_job(rig: Rig) -> None:
    rig.emulator.fault("status", status=403, operation="customer_lists_update")
    with pytest.raises(JobInterruptedError):
        await rig.client.upload(
            ACCOUNT, people(0, 4_500), name=NAME, state=rig.state, batch_size=2_000
        )
    begun = len(rig.wire.writes)
    await rig.client.resume(ACCOUNT, state=rig.state)
    assert sizes(rig, begun) == [2_000, 500]


@pytest.mark.parametrize("size", [0, -1, True, 1.5, "10"])
async def test_invalid_batch_size_is_a_configuration_error(rig: Rig, size: Any) -> None:
    with pytest.raises(ConfigurationError, match="batch_size must be"):
        await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state, batch_size=size)
    assert rig.wire.sent == []


@pytest.mark.parametrize("answer", [too_large, bad_request], ids=["413", "400"])
@pytest.mark.parametrize("by", ["name", "id"])
@pytest.mark.parametrize("most", [1, 7, 30, 64, 99])
async def test_refused_batches_are_split_until_accepted(
    rig: Rig, answer: Answer, by: str, most: int
) -> None:
    """No record is lost, and later batches have the accepted size."""
    (there,) = rig.emulator.seed_lists(ACCOUNT, 1, name="There")
    which: dict[str, Any] = {"name": NAME} if by == "name" else {"customer_list_id": there}
    rig.wire.refuse = above(most, answer)
    report = await rig.client.upload(
        ACCOUNT, people(0, 500), state=rig.state, batch_size=100, **which
    )
    assert report.customer_list_id is not None
    assert rig.emulator.members(report.customer_list_id) == digests(people(0, 500))
    assert (report.added, report.refused, report.left) == (500, 0, 0)
    assert adds_up(report)
    assert len([size for size in sizes(rig) if size > most]) <= 8


@pytest.mark.parametrize("answer", [too_large, bad_request, reset], ids=["413", "400", "reset"])
async def test_accepted_batch_size_is_stored_for_the_list(rig: Rig, answer: Answer) -> None:
    rig.wire.refuse = above(1_900, answer)
    setting: dict[str, Any] = {"name": NAME, "state": rig.state, "batch_size": 5_000}
    report = await rig.client.upload(ACCOUNT, people(0, 6_000), **setting)
    assert (report.added, report.refused) == (6_000, 0)
    begun = len(rig.wire.writes)
    await rig.client.mirror(ACCOUNT, people(100, 9_000), **setting)
    assert sizes(rig, begun) == [1_250, 1_250, 500, 100]
    begun = len(rig.wire.writes)
    await rig.client.upload(ACCOUNT, people(0, 250), **{**setting, "batch_size": 100})
    assert sizes(rig, begun) == [100, 100, 50]
    assert await rig.members() == digests(people(0, 9_000))


async def test_small_batch_is_not_split_after_broken_connections(state: Path) -> None:
    """An outage is waited for, and then the batch is sent unchanged."""
    rig = make_rig(state)
    async with rig.client:
        await rig.client.upload(ACCOUNT, people(0, 3), name=NAME, state=state)
        until = rig.clock.elapsed + 600
        rig.wire.refuse = lambda sent: (
            reset() if sent.records and rig.clock.elapsed < until else None
        )
        begun = len(rig.wire.writes)
        await rig.client.upload(ACCOUNT, people(0, 500), name=NAME, state=state)
    assert set(sizes(rig, begun)) == {500}
    assert ask(state, "SELECT batch_size FROM list") == [(None,)]


@pytest.mark.parametrize("operation", ["ADD", "REMOVE"])
@pytest.mark.parametrize(
    "bad", [{0}, {99}, {7, 8}, {0, 1, 2, 3}, {5, 50, 77}, set(range(0, 100, 9))]
)
async def test_single_refused_records_are_left_out_and_counted(
    rig: Rig, bad: set[int], operation: str
) -> None:
    everyone = people(0, 100)
    refused = digests(everyone[number] for number in bad)
    (there,) = rig.emulator.seed_lists(ACCOUNT, 1, name=NAME, records=sorted(digests(everyone)))
    which: dict[str, Any] = {"name": "New"} if operation == "ADD" else {"customer_list_id": there}
    rig.wire.refuse = holding(set(refused))
    report = await rig.client.upload(
        ACCOUNT,
        everyone,
        state=rig.state,
        operation=OperationType(operation),
        batch_size=30,
        **which,
    )
    done = report.added if operation == "ADD" else report.removed
    assert (report.status, done, report.refused) == ("done", 100 - len(bad), len(bad))
    assert any("refused" in finding for finding in report.findings)
    assert adds_up(report)
    assert report.customer_list_id is not None
    members = rig.emulator.members(report.customer_list_id)
    assert members == (digests(everyone) - refused if operation == "ADD" else refused)
    assert not any(record in str(report) + report.to_json() for record in refused)


async def test_refused_record_does_not_reduce_the_batch_size(rig: Rig) -> None:
    """Only a refusal because of the size does."""
    await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    rig.wire.refuse = holding({digest("person17@shop.example")})
    begun = len(rig.wire.writes)
    report = await rig.client.upload(
        ACCOUNT, people(0, 400), name=NAME, state=rig.state, batch_size=100
    )
    assert (report.added, report.refused) == (399, 1)
    assert sizes(rig, begun).count(100) == 4
    assert ask(rig.state, "SELECT batch_size FROM list") == [(None,)]


async def test_refused_addition_is_not_counted_as_a_member(rig: Rig) -> None:
    """A refused removal is."""
    rig.wire.refuse = holding({digest("person3@shop.example")})
    await rig.client.mirror(ACCOUNT, people(0, 200), name=NAME, state=rig.state)
    rig.wire.refuse = None
    report = await rig.client.mirror(ACCOUNT, people(0, 200), name=NAME, state=rig.state)
    assert (report.added, report.refused) == (1, 0)
    rig.wire.refuse = holding({digest("person5@shop.example")})
    report = await rig.client.mirror(ACCOUNT, people(9, 200), name=NAME, state=rig.state)
    assert (report.removed, report.refused) == (8, 1)
    rig.wire.refuse = None
    report = await rig.client.mirror(ACCOUNT, people(9, 200), name=NAME, state=rig.state)
    assert (report.removed, report.refused) == (1, 0)
    assert await rig.members() == digests(people(9, 200))


async def test_erasure_is_not_complete_if_a_removal_was_refused(rig: Rig) -> None:
    await rig.client.upload(ACCOUNT, people(0, 50), name=NAME, state=rig.state)
    rig.wire.refuse = holding({digest("person3@shop.example")})
    receipt = await rig.client.forget(people(0, 10), state=rig.state)
    assert not receipt.complete
    assert "refused" in receipt.lists[0].problem


@pytest.mark.parametrize("count", [1, 2, 3, 10, 1_900, 4_000])
@pytest.mark.parametrize("by", ["name", "id"])
@pytest.mark.parametrize("answer", [bad_request, too_large], ids=["400", "413"])
async def test_requests_refused_whatever_they_contain_end_the_job(
    rig: Rig, count: int, by: str, answer: Answer
) -> None:
    """After a limited number of requests, and every record is still to be sent."""
    (there,) = rig.emulator.seed_lists(ACCOUNT, 1, name="There")
    which: dict[str, Any] = {"name": NAME} if by == "name" else {"customer_list_id": there}
    rig.wire.refuse = above(0, answer)
    with pytest.raises(JobInterruptedError) as stopped:
        await rig.client.upload(ACCOUNT, people(0, count), state=rig.state, **which)
    assert f"{answer().status_code}" in str(stopped.value)
    assert len(rig.wire.writes) <= 20
    so_far = stopped.value.report
    assert so_far is not None
    assert (so_far.left, so_far.refused) == (count, 0)
    rig.wire.refuse = None
    (report,) = await rig.client.resume(ACCOUNT, state=rig.state)
    assert (report.status, report.added) == ("done", count)
    assert adds_up(report)


async def test_many_individually_refused_records_end_the_job(rig: Rig) -> None:
    """If Pinterest refuses every second record, not all of them are tried."""
    everyone = people(0, 3_000)
    rig.wire.refuse = holding(set(digests(everyone[::2])))
    with pytest.raises(JobInterruptedError) as stopped:
        await rig.client.upload(ACCOUNT, everyone, name=NAME, state=rig.state)
    assert isinstance(stopped.value.__cause__, BadRequestError)
    assert len(rig.wire.writes) < 1_000
    assert stopped.value.report is not None
    assert adds_up(stopped.value.report)


async def test_batch_rejected_as_spam_is_not_split(rig: Rig) -> None:
    rig.wire.refuse = above(0, lambda: bad_request("This looks like spam."))
    with pytest.raises(JobInterruptedError, match="spam"):
        await rig.client.upload(ACCOUNT, people(0, 50), name=NAME, state=rig.state)
    assert len(rig.wire.writes) == 1


async def test_interruption_while_splitting_loses_no_record(rig: Rig) -> None:
    """Refused, split, interrupted at each point, and resumed."""
    bad = digest("person17@shop.example")
    for number in range(1, 12):
        rig.wire.sent.clear()
        calls = 0

        def refuse(sent: Sent, number: int = number) -> httpx.Response | None:
            nonlocal calls
            calls += bool(sent.records)
            if sent.records and calls == number:
                return httpx.Response(403, json={"code": 29, "message": "No."})
            return bad_request() if bad in sent.records else None

        rig.wire.refuse = refuse
        name = f"{NAME} {number}"
        try:
            await rig.client.upload(
                ACCOUNT, people(0, 40), name=name, state=rig.state, batch_size=20
            )
        except JobInterruptedError:
            await rig.client.resume(ACCOUNT, state=rig.state)
        (job,) = [
            job
            for item in await rig.client.status(ACCOUNT, state=rig.state)
            if item.name == name
            for job in item.jobs
        ]
        assert (job.status, job.added, job.refused) == ("done", 39, 1), number
        assert await rig.members(name) == digests(people(0, 40)) - {bad}


async def test_repeatedly_broken_connections_split_only_large_bodies(rig: Rig) -> None:
    """Down to 64 kB; below that it is an outage."""
    rig.wire.refuse = above(0, reset)
    (there,) = rig.emulator.seed_lists(ACCOUNT, 1)
    with pytest.raises(JobInterruptedError) as stopped:
        await rig.client.upload(
            ACCOUNT,
            people(0, 4_000),
            customer_list_id=there,
            state=rig.state,
            batch_size=4_000,
            retry_timeout=30,
        )
    assert isinstance(stopped.value.__cause__, TransportError)
    assert min(sizes(rig)) == 1_000
