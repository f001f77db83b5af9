"""Plans: what would be done, told before it is; applied as it was told, or not at all."""

from __future__ import annotations

import json

import pytest
from support.jobs import ACCOUNT, NAME, Rig, adds_up, ask, digests, make_rig, people

from pinterest_audiences import GuardError, Plan, PlanError
from pinterest_audiences.emulator import Emulator, RateLimits, RatePolicy

pytestmark = pytest.mark.anyio


async def test_a_plan_changes_nothing_until_it_is_applied(rig: Rig, small_batches: int) -> None:
    """No write is sent, and the list and what is known of it stay as they are."""
    await rig.client.mirror(ACCOUNT, people(0, 200), name=NAME, state=rig.state)
    writes, before = len(rig.wire.writes), await rig.client.status(ACCOUNT, state=rig.state)
    plan = await rig.client.plan_mirror(ACCOUNT, people(25, 215), name=NAME, state=rig.state)
    assert (plan.add, plan.remove, plan.keep, plan.calls) == (15, 25, 175, 5)
    assert len(rig.wire.writes) == writes
    (after,) = await rig.client.status(ACCOUNT, state=rig.state)
    assert (after.records, after.in_doubt, after.settled) == (200, 0, True)
    assert after.records == before[0].records
    report = await rig.client.apply(plan, state=rig.state)
    assert (report.job_id, report.added, report.removed) == (plan.job_id, 15, 25)
    assert await rig.members() == digests(people(25, 215))
    assert adds_up(report)


async def test_a_plan_for_a_new_list_creates_it_when_applied(rig: Rig) -> None:
    """Not before."""
    plan = await rig.client.plan_mirror(ACCOUNT, people(0, 150), name=NAME, state=rig.state)
    assert (plan.customer_list_id, plan.name, plan.add) == (None, NAME, 150)
    assert "to be created" in str(plan)
    assert await rig.lists() == []
    report = await rig.client.apply(plan, state=rig.state)
    assert report.created
    assert await rig.members() == digests(people(0, 150))


async def test_a_plan_prints_what_it_will_do(rig: Rig) -> None:
    """As people know plans: what is added, removed and kept, and what that costs."""
    clock = rig.clock
    limits = RateLimits(ads_write=RatePolicy(2, 60))
    other = make_rig(rig.state, Emulator(clock=clock.time, rate_limits=limits), clock=clock)
    async with other.client:
        await other.client.mirror(ACCOUNT, people(0, 200), name=NAME, state=rig.state)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("pinterest_audiences.jobs.keys.MAX_RECORDS", 10)
            plan = await other.client.plan_mirror(
                ACCOUNT, people(100, 250), name=NAME, state=rig.state
            )
    assert plan.blocked
    told = str(plan)
    for line in (
        f'customer list "{NAME}" ({plan.customer_list_id}), ad account {ACCOUNT}',
        "  +           50 to add",
        "  -          100 to remove (50.0% of what is there)",
        "  =          100 kept",
        "say allow_removals=True if that is right",
        "Plan: 50 to add, 100 to remove, 100 kept; 15 calls, about 8 minutes at 2 calls a minute.",
    ):
        assert line in told


async def test_a_plan_without_changes_says_so(rig: Rig) -> None:
    """And can be applied all the same."""
    await rig.client.mirror(ACCOUNT, people(0, 150), name=NAME, state=rig.state)
    plan = await rig.client.plan_mirror(ACCOUNT, people(0, 150), name=NAME, state=rig.state)
    assert not plan.changes
    assert str(plan).endswith("No changes. The list holds what the source holds.")
    report = await rig.client.apply(plan, state=rig.state)
    assert (report.status, report.planned) == ("done", 0)


async def test_a_plan_comes_back_from_json(rig: Rig) -> None:
    """Equal to itself, and as good for applying; in another process too."""
    await rig.client.mirror(ACCOUNT, people(0, 150), name=NAME, state=rig.state)
    plan = await rig.client.plan_mirror(
        ACCOUNT, people(100, 190), name=NAME, match_rate=0.5, state=rig.state
    )
    assert plan.findings
    back = Plan.from_json(plan.to_json())
    assert back == plan
    assert json.loads(plan.to_json())["minutes"] == plan.minutes
    assert Plan.from_json(json.dumps({**plan.to_dict(), "name_of_tomorrow": 1})) == plan
    other = make_rig(rig.state, rig.emulator)
    async with other.client:
        await other.client.apply(back, allow_removals=True, state=rig.state)
    assert await rig.members() == digests(people(100, 190))


@pytest.mark.parametrize("text", ["", "no JSON", "null", "[]", "{}", '{"job_id": 1}', "7"])
def test_json_that_is_no_plan_is_refused(text: str) -> None:
    """With what is needed."""
    with pytest.raises(PlanError, match=r"JSON as Plan\.to_json writes it"):
        Plan.from_json(text)


async def test_a_plan_whose_list_has_changed_since_is_refused(rig: Rig) -> None:
    """What it was compared with is no longer there; nothing is sent."""
    await rig.client.mirror(ACCOUNT, people(0, 150), name=NAME, state=rig.state)
    plan = await rig.client.plan_mirror(ACCOUNT, people(0, 160), name=NAME, state=rig.state)
    await rig.client.upload(ACCOUNT, people(155, 170), name=NAME, state=rig.state)
    writes = len(rig.wire.writes)
    with pytest.raises(PlanError, match="plan again"):
        await rig.client.apply(plan, state=rig.state)
    assert len(rig.wire.writes) == writes
    assert await rig.members() == digests([*people(0, 150), *people(155, 170)])


async def test_a_plan_that_was_replaced_is_refused(rig: Rig) -> None:
    """The newer one holds."""
    await rig.client.mirror(ACCOUNT, people(0, 150), name=NAME, state=rig.state)
    older = await rig.client.plan_mirror(ACCOUNT, people(0, 160), name=NAME, state=rig.state)
    newer = await rig.client.plan_mirror(ACCOUNT, people(5, 150), name=NAME, state=rig.state)
    with pytest.raises(PlanError, match="a newer plan or job took its place"):
        await rig.client.apply(older, state=rig.state)
    await rig.client.apply(newer, state=rig.state)
    assert await rig.members() == digests(people(5, 150))


async def test_a_plan_is_applied_once(rig: Rig) -> None:
    """The second time it is outdated."""
    plan = await rig.client.plan_mirror(ACCOUNT, people(0, 150), name=NAME, state=rig.state)
    await rig.client.apply(plan, state=rig.state)
    with pytest.raises(PlanError, match="outdated"):
        await rig.client.apply(plan, state=rig.state)


async def test_a_plan_after_a_forget_brings_nobody_back(rig: Rig) -> None:
    """It is gone with the digests that were in it."""
    await rig.client.mirror(ACCOUNT, people(0, 150), name=NAME, state=rig.state)
    plan = await rig.client.plan_mirror(ACCOUNT, people(0, 160), name=NAME, state=rig.state)
    await rig.client.forget(people(155, 156)[0], state=rig.state)
    with pytest.raises(PlanError):
        await rig.client.apply(plan, state=rig.state)


async def test_a_plan_that_removes_too_much_needs_a_yes_when_applied(rig: Rig) -> None:
    """The plan itself is made, to be looked at."""
    await rig.client.mirror(ACCOUNT, people(0, 150), name=NAME, state=rig.state)
    plan = await rig.client.plan_mirror(ACCOUNT, people(100, 150), name=NAME, state=rig.state)
    assert plan.removal_share == pytest.approx(2 / 3)
    with pytest.raises(GuardError) as refused:
        await rig.client.apply(plan, state=rig.state)
    assert refused.value.guard == "removals"
    # what the caller says of the plan does not count, but what was planned
    forged = Plan.from_json(json.dumps({**plan.to_dict(), "blocked": ""}))
    with pytest.raises(GuardError):
        await rig.client.apply(forged, state=rig.state)
    await rig.client.apply(plan, allow_removals=True, state=rig.state)
    assert await rig.members() == digests(people(100, 150))


async def test_a_plan_for_another_service_is_refused(rig: Rig) -> None:
    """A plan for Pinterest must not be applied to an emulator elsewhere, and be thought done."""
    plan = await rig.client.plan_mirror(ACCOUNT, people(0, 150), name=NAME, state=rig.state)
    other = make_rig(rig.state, base_url="http://127.0.0.1:8765/v5")
    async with other.client:
        with pytest.raises(PlanError, match="not in the state file"):
            await other.client.apply(plan, state=rig.state)
        assert await other.client.status(ACCOUNT, state=rig.state) == []
    assert other.wire.sent == []
    await rig.client.apply(plan, state=rig.state)
    assert await rig.members() == digests(people(0, 150))


async def test_a_plan_of_another_account_or_state_is_refused(rig: Rig) -> None:
    """Numbers of jobs are the state file's own."""
    plan = await rig.client.plan_mirror(ACCOUNT, people(0, 150), name=NAME, state=rig.state)
    wrong = Plan.from_json(json.dumps({**plan.to_dict(), "ad_account_id": "777"}))
    with pytest.raises(PlanError):
        await rig.client.apply(wrong, state=rig.state)
    with pytest.raises(PlanError):
        await rig.client.apply(plan, state=rig.state.with_name("other.sqlite3"))
    assert rig.wire.writes == []


async def test_a_plan_is_not_taken_for_another_of_its_number(rig: Rig) -> None:
    """Neither for one of another list, nor of the same list with other people."""
    elsewhere = rig.state.with_name("other.sqlite3")
    plans = [
        await rig.client.plan_mirror(ACCOUNT, source, name=name, state=state)
        for source, name, state in (
            (people(0, 150), NAME, rig.state),
            (people(0, 150), "Others", elsewhere),
        )
    ]
    assert [plan.job_id for plan in plans] == [1, 1]
    with pytest.raises(PlanError, match="is of another state file"):
        await rig.client.apply(plans[0], state=elsewhere)
    other = await rig.client.plan_mirror(
        ACCOUNT, people(0, 140), name=NAME, state=rig.state.with_name("third.sqlite3")
    )
    with pytest.raises(PlanError, match="is of another state file"):
        await rig.client.apply(Plan.from_json(other.to_json()), state=rig.state)
    assert rig.wire.writes == []
    await rig.client.apply(Plan.from_json(plans[0].to_json()), state=rig.state)
    assert await rig.members() == digests(people(0, 150))


@pytest.mark.parametrize(
    "changed",
    [
        {"customer_list_id": "7"},
        {"name": "Others"},
        {"add": 9},
        {"remove": 9},
        {"keep": 9},
        {"calls": 9},
        {"removal_share": 0.5},
        {"source": None},
    ],
)
async def test_a_plan_that_tells_something_else_than_was_planned_is_refused(
    rig: Rig, changed: dict[str, object]
) -> None:
    """What was approved is what is done."""
    await rig.client.mirror(ACCOUNT, people(0, 150), name=NAME, state=rig.state)
    plan = await rig.client.plan_mirror(ACCOUNT, people(5, 160), name=NAME, state=rig.state)
    writes = len(rig.wire.writes)
    with pytest.raises(PlanError, match="is of another state file"):
        await rig.client.apply(
            Plan.from_json(json.dumps({**plan.to_dict(), **changed})), state=rig.state
        )
    assert len(rig.wire.writes) == writes


async def test_a_plan_is_not_taken_for_an_upload_of_its_number(rig: Rig) -> None:
    """A job that was no plan is none of which a plan can be known."""
    plan = await rig.client.plan_mirror(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    elsewhere = rig.state.with_name("other.sqlite3")
    await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=elsewhere)
    with pytest.raises(PlanError, match="is of another state file"):
        await rig.client.apply(plan, state=elsewhere)


async def test_plans_that_are_never_applied_do_not_pile_up(rig: Rig) -> None:
    """Each takes the place of the one before, with its keys."""
    for number in range(4):
        await rig.client.plan_mirror(ACCOUNT, people(number, 150), name=NAME, state=rig.state)
    assert ask(rig.state, "SELECT count(*), sum(count) FROM batch") == [(1, 147)]
