"""Only one list is created for a name, whatever happens to the create request."""

from __future__ import annotations

import pytest
from support.jobs import ACCOUNT, NAME, Rig, Wire, adds_up, digest, digests, people

from pinterest_audiences import JobInterruptedError

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_batches")]


async def test_created_list_missing_from_the_first_listing_is_found_by_the_second(rig: Rig) -> None:
    """The listing may be delayed: it is fetched twice before another create is sent."""
    rig.emulator.fault("reset_before", operation="customer_lists_create")

    async def lands_late(wire: Wire) -> None:
        looks = [item.method for item in wire.sent]
        if looks[-3:] == ["POST", "GET", "GET"]:
            rig.emulator.seed_lists(ACCOUNT, 1, name=NAME, records=wire.writes[0].records)

    rig.wire.before = lands_late
    report = await rig.client.upload(ACCOUNT, people(0, 35), name=NAME, state=rig.state)
    assert [item.method for item in rig.wire.writes].count("POST") == 1
    assert await rig.members() == digests(people(0, 35))
    assert adds_up(report)


async def test_older_list_with_the_same_name_is_not_used_as_the_created_one(rig: Rig) -> None:
    """It was created outside this tool just before, and is not changed."""

    async def create_externally(wire: Wire) -> None:
        if len(wire.sent) == 2:  # the name was looked for, and what is newest is asked next
            theirs = [digest("old@shop.example")]
            rig.emulator.seed_lists(ACCOUNT, 1, name=NAME, records=theirs)

    rig.wire.before = create_externally
    rig.emulator.fault("reset_before", operation="customer_lists_create")
    report = await rig.client.upload(ACCOUNT, people(0, 35), name=NAME, state=rig.state)
    theirs, ours = await rig.lists()
    assert rig.emulator.members(theirs) == {digest("old@shop.example")}
    assert report.customer_list_id == ours
    assert rig.emulator.members(ours) == digests(people(0, 35))


async def test_create_without_response_is_attempted_five_times(rig: Rig) -> None:
    """Each attempt might create a list that is not in the listing yet."""
    rig.emulator.fault("reset_before", operation="customer_lists_create", times=None)
    with pytest.raises(JobInterruptedError, match="customer_lists_create"):
        await rig.client.upload(ACCOUNT, people(0, 35), name=NAME, state=rig.state)
    assert len(rig.wire.writes) == 5
    rig.emulator.faults.clear()
    (report,) = await rig.client.resume(ACCOUNT, state=rig.state)
    assert (report.created, report.added, report.left) == (True, 35, 0)
    assert await rig.members() == digests(people(0, 35))


@pytest.mark.parametrize("halved", ["before", "after"])
async def test_split_create_whose_response_is_lost_is_found(rig: Rig, halved: str) -> None:
    """The half that created the list is sent again, and the other half once."""
    rig.wire.most = 6
    rig.emulator.fault("no_answer", operation="customer_lists_create")
    if halved == "after":  # the whole batch is lost first, then refused for its size
        rig.wire.most = None
        rig.emulator.faults.clear()
        rig.emulator.fault("reset_before", operation="customer_lists_create")
        rig.emulator.fault("status", status=413, operation="customer_lists_create")
    report = await rig.client.upload(ACCOUNT, people(0, 35), name=NAME, state=rig.state)
    assert len(rig.emulator.faults) == 0
    assert await rig.members() == digests(people(0, 35))
    assert (report.status, report.added) == ("done", 35)
    assert adds_up(report)
