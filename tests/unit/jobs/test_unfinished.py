"""Unfinished jobs: plans only read them, and explicit removals are always finished."""

from __future__ import annotations

import pytest
from support.jobs import ACCOUNT, NAME, Rig, digests, people

from pinterest_audiences import CallError, GuardError, JobInterruptedError, JobReport, PlanError

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

WRONG = people(900, 920)


async def interrupt(rig: Rig, job: object, number: int, *, applied: bool) -> None:
    """Run a job whose connection breaks at a request, counted from 1, and stays broken."""
    with (
        rig.wire.broken_from(number, applied=applied),
        pytest.raises((JobInterruptedError, CallError)),
    ):
        await job  # type: ignore[misc]  # any of the jobs


@pytest.mark.parametrize("applied", [True, False])
async def test_plan_after_a_create_without_response_sends_only_gets(
    rig: Rig, applied: bool
) -> None:
    """Its records are unconfirmed; applying creates no second list."""
    await interrupt(
        rig,
        rig.client.upload(ACCOUNT, WRONG, name=NAME, state=rig.state, retry_timeout=1),
        3,
        applied=applied,
    )
    made = await rig.lists()
    assert len(made) == applied
    before = len(rig.wire.sent)
    plan = await rig.client.plan_mirror(ACCOUNT, people(0, 200), name=NAME, state=rig.state)
    assert {item.method for item in rig.wire.sent[before:]} == {"GET"}
    assert (plan.add, plan.remove) == (200, 20 * applied)
    assert plan.customer_list_id == (made[0] if applied else None)
    assert bool(plan.blocked) == applied
    report = await rig.client.apply(plan, allow_removals=applied, state=rig.state)
    assert report.status == "done"
    assert await rig.members() == digests(people(0, 200))
    assert await rig.client.resume(ACCOUNT, state=rig.state) == []
    sent = {record for item in rig.wire.writes[applied:] for record in item.records}
    wrong_sent = [item for item in rig.wire.updates if item.operation == "ADD"]
    assert not digests(WRONG) & {record for item in wrong_sent for record in item.records}
    assert digests(people(0, 200)) <= sent


async def test_list_that_appears_after_the_plan_makes_it_outdated(rig: Rig) -> None:
    upload = rig.client.upload(ACCOUNT, WRONG, name=NAME, state=rig.state, retry_timeout=1)
    await interrupt(rig, upload, 3, applied=False)
    plan = await rig.client.plan_mirror(ACCOUNT, people(0, 200), name=NAME, state=rig.state)
    rig.emulator.seed_lists(ACCOUNT, 1, name=NAME, records=sorted(digests(WRONG)))
    with pytest.raises(PlanError, match="has been created since; plan again"):
        await rig.client.apply(plan, state=rig.state)
    with pytest.raises(GuardError):
        await rig.client.mirror(ACCOUNT, people(0, 200), name=NAME, state=rig.state)
    await rig.client.mirror(
        ACCOUNT, people(0, 200), name=NAME, allow_removals=True, state=rig.state
    )
    assert await rig.members() == digests(people(0, 200))


async def test_several_lists_of_the_name_are_a_finding(rig: Rig) -> None:
    """Names are not unique; the finding says which one is used."""
    upload = rig.client.upload(ACCOUNT, WRONG, name=NAME, state=rig.state, retry_timeout=1)
    await interrupt(rig, upload, 3, applied=True)
    (other,) = rig.emulator.seed_lists(ACCOUNT, 1, name=NAME, records=["0" * 64])
    plan = await rig.client.plan_mirror(ACCOUNT, people(0, 200), name=NAME, state=rig.state)
    assert plan.customer_list_id == other
    assert any("2 lists have that name" in finding for finding in plan.findings)


async def adopted(rig: Rig, *extra: str) -> str:
    """Return a foreign list that a mirror has adopted."""
    (there,) = rig.emulator.seed_lists(ACCOUNT, 1, name=NAME, records=sorted(digests(extra)))
    await rig.client.mirror(
        ACCOUNT, people(0, 150), customer_list_id=there, adopt=True, state=rig.state
    )
    return there


@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize("in_source", [True, False])
async def test_mirror_finishes_an_explicit_removal_first(
    rig: Rig, applied: bool, in_source: bool
) -> None:
    """Also on a foreign list, whose members a mirror does not know."""
    out = "optout@shop.example"
    there = await adopted(rig, out)
    source = [*people(0, 150), *([out] if in_source else [])]
    upload = rig.client.upload(
        ACCOUNT, [out], customer_list_id=there, operation="REMOVE", state=rig.state, retry_timeout=1
    )
    await interrupt(rig, upload, 2, applied=applied)
    before = len(rig.wire.writes)
    plan = await rig.client.plan_mirror(ACCOUNT, source, customer_list_id=there, state=rig.state)
    assert len(rig.wire.writes) == before
    (finding,) = (item for item in plan.findings if "is finished first" in item)
    assert "1 removal is left of it" in finding
    assert ("are added again afterwards" in finding) == in_source
    assert (plan.add, plan.remove) == (int(in_source), 0)
    await rig.client.apply(plan, state=rig.state)
    assert rig.emulator.members(there) == digests(source)
    assert await rig.client.resume(ACCOUNT, state=rig.state) == []


async def test_mirror_fails_while_an_explicit_removal_cannot_be_finished(rig: Rig) -> None:
    """The removal is not dropped, and the error names its job."""
    there = await adopted(rig)
    rig.emulator.fault("status", status=403, operation="customer_lists_update", times=2)
    with pytest.raises(JobInterruptedError):
        await rig.client.upload(
            ACCOUNT, people(0, 5), customer_list_id=there, operation="REMOVE", state=rig.state
        )
    with pytest.raises(JobInterruptedError, match="upload 2"):
        await rig.client.mirror(ACCOUNT, people(0, 150), customer_list_id=there, state=rig.state)
    assert digests(people(0, 150)) == rig.emulator.members(there)
    await rig.client.mirror(ACCOUNT, people(5, 150), customer_list_id=there, state=rig.state)
    assert digests(people(5, 150)) == rig.emulator.members(there)


async def test_removals_of_a_superseded_mirror_are_planned_again(
    rig: Rig, small_batches: int
) -> None:
    """They follow from the membership, which the next mirror compares as well."""
    await rig.client.upload(ACCOUNT, people(0, 100), name=NAME, state=rig.state)
    mirror = rig.client.mirror(
        ACCOUNT, people(0, 60), name=NAME, allow_removals=True, state=rig.state, retry_timeout=1
    )
    await interrupt(rig, mirror, 3, applied=True)
    report: JobReport = await rig.client.mirror(
        ACCOUNT, people(0, 60), name=NAME, allow_removals=True, state=rig.state
    )
    assert report.status == "done"
    assert await rig.members() == digests(people(0, 60))


async def test_plan_leaves_an_unfinished_erasure_and_apply_finishes_it(rig: Rig) -> None:
    await rig.client.upload(ACCOUNT, people(0, 150), name=NAME, state=rig.state)
    rig.emulator.fault("status", status=403, operation="customer_lists_update", times=1)
    assert not (await rig.client.forget(people(0, 1)[0], state=rig.state)).complete
    before = len(rig.wire.writes)
    plan = await rig.client.plan_mirror(ACCOUNT, people(1, 150), name=NAME, state=rig.state)
    assert len(rig.wire.writes) == before
    assert (plan.add, plan.remove) == (0, 0)
    await rig.client.apply(plan, state=rig.state)
    assert await rig.members() == digests(people(1, 150))
