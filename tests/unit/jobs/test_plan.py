"""Plans: show changes before they are made, and are applied exactly as shown or refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.jobs import ACCOUNT, NAME, Rig, adds_up, ask, digests, make_rig, people

from pinterest_audiences import (
    GuardError,
    JobInterruptedError,
    NotFoundError,
    Plan,
    PlanError,
)
from pinterest_audiences._jobs.state import ListRow, State
from pinterest_audiences.emulator import Emulator, RateLimits, RatePolicy

pytestmark = pytest.mark.anyio


async def test_plan_changes_nothing_until_it_is_applied(rig: Rig, small_batches: int) -> None:
    """No write is sent, and the stored members are unchanged."""
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


async def test_plan_for_a_new_list_creates_it_when_applied(rig: Rig) -> None:
    plan = await rig.client.plan_mirror(ACCOUNT, people(0, 150), name=NAME, state=rig.state)
    assert (plan.customer_list_id, plan.name, plan.add) == (None, NAME, 150)
    assert "to be created" in str(plan)
    assert await rig.lists() == []
    report = await rig.client.apply(plan, state=rig.state)
    assert report.created
    assert await rig.members() == digests(people(0, 150))


async def test_plan_as_text_shows_changes_and_cost(rig: Rig) -> None:
    clock = rig.clock
    limits = RateLimits(ads_write=RatePolicy(2, 60))
    other = make_rig(rig.state, Emulator(clock=clock.time, rate_limits=limits), clock=clock)
    async with other.client:
        await other.client.mirror(ACCOUNT, people(0, 200), name=NAME, state=rig.state)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("pinterest_audiences._jobs.keys.MAX_RECORDS", 10)
            plan = await other.client.plan_mirror(
                ACCOUNT, people(100, 250), name=NAME, state=rig.state
            )
    assert plan.blocked
    text = str(plan)
    for line in (
        f'customer list "{NAME}" ({plan.customer_list_id}), ad account {ACCOUNT}',
        "  +           50 to add",
        "  -          100 to remove (50.0% of the list)",
        "  =          100 kept",
        "pass allow_removals=True if that is right",
        "Plan: 50 to add, 100 to remove, 100 kept; 15 calls, about 8 minutes at 2 calls a minute.",
    ):
        assert line in text


async def test_plan_without_changes_says_so(rig: Rig) -> None:
    """It can be applied nevertheless."""
    await rig.client.mirror(ACCOUNT, people(0, 150), name=NAME, state=rig.state)
    plan = await rig.client.plan_mirror(ACCOUNT, people(0, 150), name=NAME, state=rig.state)
    assert not plan.changes
    assert str(plan).endswith("No changes. The list holds what the source holds.")
    report = await rig.client.apply(plan, state=rig.state)
    assert (report.status, report.planned) == ("done", 0)


async def test_plan_round_trips_through_json(rig: Rig) -> None:
    """It can be applied, in another process too."""
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
def test_json_that_is_not_a_plan_is_refused(text: str) -> None:
    with pytest.raises(PlanError, match=r"as written by Plan"):
        Plan.from_json(text)


async def test_plan_is_refused_after_its_list_has_changed(rig: Rig) -> None:
    """Nothing is sent."""
    await rig.client.mirror(ACCOUNT, people(0, 150), name=NAME, state=rig.state)
    plan = await rig.client.plan_mirror(ACCOUNT, people(0, 160), name=NAME, state=rig.state)
    await rig.client.upload(ACCOUNT, people(155, 170), name=NAME, state=rig.state)
    writes = len(rig.wire.writes)
    with pytest.raises(PlanError, match="plan again"):
        await rig.client.apply(plan, state=rig.state)
    assert len(rig.wire.writes) == writes
    assert await rig.members() == digests([*people(0, 150), *people(155, 170)])


async def test_plan_that_was_replaced_is_refused(rig: Rig) -> None:
    """The newer one can be applied."""
    await rig.client.mirror(ACCOUNT, people(0, 150), name=NAME, state=rig.state)
    older = await rig.client.plan_mirror(ACCOUNT, people(0, 160), name=NAME, state=rig.state)
    newer = await rig.client.plan_mirror(ACCOUNT, people(5, 150), name=NAME, state=rig.state)
    with pytest.raises(PlanError, match="a newer plan or job replaced it"):
        await rig.client.apply(older, state=rig.state)
    await rig.client.apply(newer, state=rig.state)
    assert await rig.members() == digests(people(5, 150))


async def test_plan_can_be_applied_only_once(rig: Rig) -> None:
    plan = await rig.client.plan_mirror(ACCOUNT, people(0, 150), name=NAME, state=rig.state)
    await rig.client.apply(plan, state=rig.state)
    with pytest.raises(PlanError, match="outdated"):
        await rig.client.apply(plan, state=rig.state)


async def test_plan_is_refused_after_an_erasure(rig: Rig) -> None:
    """It was deleted with its digests."""
    await rig.client.mirror(ACCOUNT, people(0, 150), name=NAME, state=rig.state)
    plan = await rig.client.plan_mirror(ACCOUNT, people(0, 160), name=NAME, state=rig.state)
    await rig.client.forget(people(155, 156)[0], state=rig.state)
    with pytest.raises(PlanError):
        await rig.client.apply(plan, state=rig.state)


async def test_plan_with_too_many_removals_requires_allow_removals(rig: Rig) -> None:
    """The plan itself can be made and read."""
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


async def test_plan_for_another_service_is_refused(rig: Rig) -> None:
    """For example a plan for an emulator."""
    plan = await rig.client.plan_mirror(ACCOUNT, people(0, 150), name=NAME, state=rig.state)
    other = make_rig(rig.state, base_url="http://127.0.0.1:8765/v5")
    async with other.client:
        with pytest.raises(PlanError, match="not in the state file"):
            await other.client.apply(plan, state=rig.state)
        assert await other.client.status(ACCOUNT, state=rig.state) == []
    assert other.wire.sent == []
    await rig.client.apply(plan, state=rig.state)
    assert await rig.members() == digests(people(0, 150))


async def test_plan_of_another_account_or_state_file_is_refused(rig: Rig) -> None:
    """Job ids are unique only within a state file."""
    plan = await rig.client.plan_mirror(ACCOUNT, people(0, 150), name=NAME, state=rig.state)
    wrong = Plan.from_json(json.dumps({**plan.to_dict(), "ad_account_id": "777"}))
    with pytest.raises(PlanError):
        await rig.client.apply(wrong, state=rig.state)
    with pytest.raises(PlanError):
        await rig.client.apply(plan, state=rig.state.with_name("other.sqlite3"))
    assert rig.wire.writes == []


async def test_plan_is_not_confused_with_another_plan_of_the_same_number(rig: Rig) -> None:
    """Of another list, or of the same list with other records."""
    elsewhere = rig.state.with_name("other.sqlite3")
    plans = [
        await rig.client.plan_mirror(ACCOUNT, source, name=name, state=state)
        for source, name, state in (
            (people(0, 150), NAME, rig.state),
            (people(0, 150), "Others", elsewhere),
        )
    ]
    assert [plan.job_id for plan in plans] == [1, 1]
    with pytest.raises(PlanError, match="was created with another state file"):
        await rig.client.apply(plans[0], state=elsewhere)
    other = await rig.client.plan_mirror(
        ACCOUNT, people(0, 140), name=NAME, state=rig.state.with_name("third.sqlite3")
    )
    with pytest.raises(PlanError, match="was created with another state file"):
        await rig.client.apply(Plan.from_json(other.to_json()), state=rig.state)
    assert rig.wire.writes == []
    await rig.client.apply(Plan.from_json(plans[0].to_json()), state=rig.state)
    assert await rig.members() == digests(people(0, 150))


@pytest.mark.slow
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
async def test_plan_that_differs_from_the_stored_one_is_refused(
    rig: Rig, changed: dict[str, object]
) -> None:
    await rig.client.mirror(ACCOUNT, people(0, 150), name=NAME, state=rig.state)
    plan = await rig.client.plan_mirror(ACCOUNT, people(5, 160), name=NAME, state=rig.state)
    writes = len(rig.wire.writes)
    with pytest.raises(PlanError, match="was created with another state file"):
        await rig.client.apply(
            Plan.from_json(json.dumps({**plan.to_dict(), **changed})), state=rig.state
        )
    assert len(rig.wire.writes) == writes


async def test_plan_is_not_confused_with_an_upload_of_the_same_number(rig: Rig) -> None:
    plan = await rig.client.plan_mirror(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    elsewhere = rig.state.with_name("other.sqlite3")
    await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=elsewhere)
    with pytest.raises(PlanError, match="was created with another state file"):
        await rig.client.apply(plan, state=elsewhere)


async def test_plans_that_are_not_applied_are_replaced(rig: Rig) -> None:
    """With their keys."""
    for number in range(4):
        await rig.client.plan_mirror(ACCOUNT, people(number, 150), name=NAME, state=rig.state)
    assert ask(rig.state, "SELECT count(*), sum(count) FROM batch") == [(1, 147)]


async def test_plan_of_an_upload_sends_nothing_until_it_is_applied(
    rig: Rig, small_batches: int
) -> None:
    """A generator is read once: the records are in the state file."""
    await rig.client.upload(ACCOUNT, people(0, 15), name=NAME, state=rig.state)
    writes = len(rig.wire.writes)
    plan = await rig.client.plan_upload(
        ACCOUNT, (text for text in people(5, 30)), name=NAME, state=rig.state
    )
    assert (plan.kind, plan.add, plan.remove, plan.keep, plan.calls) == ("upload", 25, 0, 0, 3)
    assert plan.customer_list_id == (await rig.lists())[0]
    assert str(plan).endswith("Plan: 25 to add, 0 to remove; 3 calls, under a minute.")
    assert len(rig.wire.writes) == writes
    back = Plan.from_json(plan.to_json())
    assert back == plan
    report = await rig.client.apply(back, state=rig.state)
    assert (report.job_id, report.kind, report.added) == (plan.job_id, "upload", 25)
    assert await rig.members() == digests(people(0, 30))
    assert adds_up(report)
    with pytest.raises(PlanError, match="outdated"):
        await rig.client.apply(plan, state=rig.state)


async def test_plan_of_an_upload_creates_its_list_when_applied(rig: Rig) -> None:
    plan = await rig.client.plan_upload(ACCOUNT, people(0, 9), name=NAME, state=rig.state)
    assert (plan.customer_list_id, await rig.lists()) == (None, [])
    report = await rig.client.apply(plan, state=rig.state)
    assert report.created
    assert await rig.members() == digests(people(0, 9))


async def test_plan_of_an_empty_upload_says_so(rig: Rig) -> None:
    plan = await rig.client.plan_upload(ACCOUNT, [], name=NAME, state=rig.state)
    assert plan.finding_codes == ("no_records",)
    assert str(plan).endswith("No changes. The source has no records.")
    assert (await rig.client.apply(plan, state=rig.state)).planned == 0
    assert await rig.lists() == []


@pytest.mark.parametrize("operation", ["ADD", "REMOVE"])
async def test_plan_of_an_upload_finishes_an_interrupted_job_first(
    rig: Rig, small_batches: int, operation: str
) -> None:
    """When it is applied; a removal must be planned again, since its counts have changed."""
    rig.emulator.fault("status", status=403, operation="customer_lists_update", after=2)
    with pytest.raises(JobInterruptedError):
        await rig.client.upload(ACCOUNT, people(0, 50), name=NAME, state=rig.state)
    writes = len(rig.wire.writes)
    arguments: dict[str, Any] = {"name": NAME, "operation": operation, "state": rig.state}
    plan = await rig.client.plan_upload(ACCOUNT, people(48, 53), **arguments)
    assert "upload 1 is finished first: 20 records are left of it" in plan.findings
    assert len(rig.wire.writes) == writes
    if operation == "REMOVE":
        with pytest.raises(
            PlanError, match=r"an interrupted job .* was finished first; plan again"
        ):
            await rig.client.apply(plan, state=rig.state)
        assert await rig.members() == digests(people(0, 50))
        plan = await rig.client.plan_upload(ACCOUNT, people(48, 53), **arguments)
    await rig.client.apply(plan, state=rig.state)
    expected = people(0, 53) if operation == "ADD" else people(0, 48)
    assert await rig.members() == digests(expected)


async def interrupt_creation(rig: Rig, **options: Any) -> None:
    """Interrupt an upload to a new list before Pinterest creates it."""
    rig.emulator.fault("status", status=403, operation="customer_lists_create", times=1)
    with pytest.raises(JobInterruptedError):
        await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state, **options)


async def test_plan_that_creates_a_list_is_refused_after_an_interrupted_job_has_created_it(
    rig: Rig,
) -> None:
    """Its records may be of another type than those that the list was created with."""
    await interrupt_creation(rig)
    devices = ["00000001-0000-4000-8000-000000000001"]
    arguments: dict[str, Any] = {"kind": "maid", "name": NAME, "state": rig.state}
    plan = await rig.client.plan_upload(ACCOUNT, devices, **arguments)
    with pytest.raises(PlanError, match="has been created since; plan again"):
        await rig.client.apply(plan, state=rig.state)
    assert await rig.members() == digests(people(0, 5))
    with pytest.raises(GuardError) as caught:
        await rig.client.plan_upload(ACCOUNT, devices, **arguments)
    assert caught.value.guard == "list_type"
    again = await rig.client.plan_upload(ACCOUNT, people(5, 9), name=NAME, state=rig.state)
    report = await rig.client.apply(again, state=rig.state)
    assert (report.added, report.created) == (4, False)


@pytest.mark.parametrize("method", ["upload", "plan_upload", "dry run"])
async def test_list_that_must_be_new_is_refused_while_an_interrupted_job_creates_it(
    rig: Rig, method: str
) -> None:
    """The interrupted job is not finished, so that nothing is sent."""
    await interrupt_creation(rig)
    arguments: dict[str, Any] = {"name": NAME, "must_be_new": True, "state": rig.state}
    if method == "dry run":
        arguments["store"] = False
    call = rig.client.upload if method == "upload" else rig.client.plan_upload
    with pytest.raises(GuardError, match=r"being created by upload 1.*resume that job") as caught:
        await call(ACCOUNT, people(50, 60), **arguments)
    assert caught.value.guard == "being_created"
    assert await rig.lists() == []
    await rig.client.abandon(1, state=rig.state)
    report = await rig.client.upload(
        ACCOUNT, people(50, 60), name=NAME, must_be_new=True, state=rig.state
    )
    assert report.created
    assert await rig.members() == digests(people(50, 60))


async def test_list_that_must_be_new_is_refused_if_another_process_stores_it_after_the_lookup(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the last lookup and the insertion of its row."""
    insert = State.get_or_create_list

    def insert_second(
        state: State, account: str, number: str | None, name: str | None, origin: Any
    ) -> ListRow:
        insert(state, account, "77", name, "created")
        return insert(state, account, number, name, origin)

    monkeypatch.setattr(State, "get_or_create_list", insert_second)
    with pytest.raises(GuardError, match="already exists: 77") as caught:
        await rig.client.upload(
            ACCOUNT, people(50, 60), name=NAME, must_be_new=True, state=rig.state
        )
    assert caught.value.guard == "name_taken"
    assert rig.wire.writes == []


@pytest.mark.parametrize(
    ("method", "interrupted"),
    [("plan_upload", False), ("plan_mirror", False), ("plan_mirror", True)],
)
async def test_plan_that_creates_a_list_is_refused_after_the_name_was_used(
    rig: Rig, method: str, interrupted: bool
) -> None:
    """By a list that no job in the state file creates; there is never a second list."""
    if interrupted:
        await interrupt_creation(rig)
    plan_job = getattr(rig.client, method)
    plan = await plan_job(ACCOUNT, people(50, 60), name=NAME, state=rig.state)
    (number,) = rig.emulator.seed_lists(ACCOUNT, 1, name=NAME)
    first = "abandon upload 1 and plan" if interrupted else "since; plan"
    with pytest.raises(PlanError, match=rf"{first} again"):
        await rig.client.apply(plan, state=rig.state)
    assert (await rig.lists(), rig.wire.writes[interrupted:]) == ([number], [])
    if interrupted:
        await rig.client.abandon(1, state=rig.state)
    options = {"adopt": True} if method == "plan_mirror" else {}
    plan = await plan_job(ACCOUNT, people(50, 60), name=NAME, state=rig.state, **options)
    await rig.client.apply(plan, state=rig.state)
    assert await rig.members() == digests(people(50, 60))


async def test_plan_without_store_changes_nothing_and_makes_no_request(rig: Rig) -> None:
    """It needs no lock, replaces no plan, and cannot be applied."""
    await rig.client.mirror(ACCOUNT, people(0, 50), name=NAME, state=rig.state)
    earlier = await rig.client.plan_mirror(ACCOUNT, people(0, 60), name=NAME, state=rig.state)
    stored, sent = ask(rig.state, "SELECT * FROM job"), len(rig.wire.sent)
    for name, number in ((NAME, earlier.customer_list_id), ("Unknown", None)):
        plan = await rig.client.plan_upload(
            ACCOUNT, people(0, 70), name=name, store=False, state=rig.state
        )
        assert (plan.job_id, plan.add, plan.customer_list_id) == (0, 70, number)
        with pytest.raises(PlanError):
            await rig.client.apply(plan, state=rig.state)
    assert ask(rig.state, "SELECT * FROM job") == stored
    assert len(ask(rig.state, "SELECT * FROM list")) == 1
    assert len(rig.wire.sent) == sent
    await rig.client.apply(earlier, state=rig.state)


async def test_plan_without_store_looks_up_the_list_to_remove_from(rig: Rig) -> None:
    """With GET requests only; a list that no job created is found too."""
    (number,) = rig.emulator.seed_lists(ACCOUNT, 1, name="Foreign")
    selectors: tuple[dict[str, Any], ...] = ({"name": "Foreign"}, {"customer_list_id": number})
    for selector in selectors:
        plan = await rig.client.plan_upload(
            ACCOUNT, people(0, 7), operation="REMOVE", store=False, state=rig.state, **selector
        )
        assert (plan.customer_list_id, plan.name, plan.remove) == (number, "Foreign", 7)
    with pytest.raises(NotFoundError):
        await rig.client.plan_upload(
            ACCOUNT,
            people(0, 7),
            customer_list_id="1",
            operation="REMOVE",
            store=False,
            state=rig.state,
        )
    assert rig.wire.writes == []
    assert ask(rig.state, "SELECT * FROM list") == []


async def lose_response_of_create(rig: Rig) -> str:
    """Lose the response to the create of a list of 50, and return the id of the list."""
    with rig.wire.broken_from(3, applied=True), pytest.raises(JobInterruptedError):
        await rig.client.upload(ACCOUNT, people(0, 50), name=NAME, retry_timeout=1, state=rig.state)
    (number,) = await rig.lists()
    return number


@pytest.mark.parametrize("store", [False, True])
async def test_plan_is_refused_for_a_list_that_an_interrupted_job_may_have_created(
    rig: Rig, store: bool
) -> None:
    number = await lose_response_of_create(rig)
    with pytest.raises(GuardError, match="resume that job first") as caught:
        await rig.client.plan_upload(
            ACCOUNT,
            people(0, 50),
            customer_list_id=number,
            operation="REMOVE",
            store=store,
            state=rig.state,
        )
    assert caught.value.guard == "being_created"


@pytest.mark.parametrize("by", ["id", "name"])
async def test_plan_without_store_counts_the_records_of_an_abandoned_create(
    rig: Rig, by: str
) -> None:
    """As the removal itself does: they may be on the list. The state file does not change."""
    number = await lose_response_of_create(rig)
    await rig.client.abandon(1, state=rig.state)
    arguments: dict[str, Any] = {"operation": "REMOVE", "state": rig.state}
    arguments |= {"customer_list_id": number} if by == "id" else {"name": NAME}
    before = ask(rig.state, "SELECT * FROM list")
    plan = await rig.client.plan_upload(ACCOUNT, people(0, 50), store=False, **arguments)
    assert ask(rig.state, "SELECT * FROM list") == before
    assert (plan.removal_share, plan.customer_list_id, set(plan.guards)) == (
        1,
        number,
        {"removals"},
    )
    stored = await rig.client.plan_upload(ACCOUNT, people(0, 50), **arguments)
    assert (stored.removal_share, stored.customer_list_id) == (1, number)


async def test_plan_without_store_checks_the_guards_of_the_upload(rig: Rig) -> None:
    await rig.client.upload(ACCOUNT, people(0, 50), name=NAME, state=rig.state)
    arguments: dict[str, Any] = {"store": False, "state": rig.state}
    cases: tuple[tuple[str, dict[str, Any]], ...] = (
        ("no_list", {"name": "Unknown", "operation": "REMOVE"}),
        ("name_taken", {"name": NAME, "must_be_new": True}),
        ("expected_rows", {"name": NAME, "expect_rows": 10}),
    )
    for guard, options in cases:
        with pytest.raises(GuardError) as caught:
            await rig.client.plan_upload(ACCOUNT, people(0, 9), **options, **arguments)
        assert caught.value.guard == guard
    plan = await rig.client.plan_upload(
        ACCOUNT, people(0, 20), name=NAME, operation="REMOVE", **arguments
    )
    assert set(plan.guards) == {"removals"}
