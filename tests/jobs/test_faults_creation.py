"""One list of a name, whatever happens to the request that creates it."""

from __future__ import annotations

import pytest
from support.jobs import ACCOUNT, NAME, Rig, Wire, adds_up, digest, digests, people

from pinterest_audiences import JobInterruptedError

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_batches")]


async def test_a_list_that_shows_up_late_is_found_by_the_second_look(rig: Rig) -> None:
    """A listing may be a little behind: it is asked twice before another list is made."""
    rig.emulator.fault("reset_before", operation="customer_lists_create")

    async def lands_late(wire: Wire) -> None:
        looks = [each.method for each in wire.sent]
        if looks[-3:] == ["POST", "GET", "GET"]:
            rig.emulator.seed_lists(ACCOUNT, 1, name=NAME, records=wire.writes[0].records)

    rig.wire.before = lands_late
    report = await rig.client.upload(ACCOUNT, people(0, 35), name=NAME, state=rig.state)
    assert [each.method for each in rig.wire.writes].count("POST") == 1
    assert await rig.members() == digests(people(0, 35))
    assert adds_up(report)


async def test_an_older_list_of_the_name_is_not_taken_for_the_new_one(rig: Rig) -> None:
    """Somebody made it a moment before: it is theirs, and stays as it is."""

    async def somebody(wire: Wire) -> None:
        if len(wire.sent) == 2:  # the name was looked for, and what is newest is asked next
            theirs = [digest("old@shop.example")]
            rig.emulator.seed_lists(ACCOUNT, 1, name=NAME, records=theirs)

    rig.wire.before = somebody
    rig.emulator.fault("reset_before", operation="customer_lists_create")
    report = await rig.client.upload(ACCOUNT, people(0, 35), name=NAME, state=rig.state)
    theirs, ours = await rig.lists()
    assert rig.emulator.members(theirs) == {digest("old@shop.example")}
    assert report.customer_list_id == ours
    assert rig.emulator.members(ours) == digests(people(0, 35))


async def test_tries_that_nobody_answers_come_to_an_end(rig: Rig) -> None:
    """Each might have made a list that is not shown yet: five of them are enough."""
    rig.emulator.fault("reset_before", operation="customer_lists_create", times=None)
    with pytest.raises(JobInterruptedError, match="customer_lists_create"):
        await rig.client.upload(ACCOUNT, people(0, 35), name=NAME, state=rig.state)
    assert len(rig.wire.writes) == 5
    rig.emulator.faults.clear()
    (report,) = await rig.client.resume(ACCOUNT, state=rig.state)
    assert (report.created, report.added, report.left) == (True, 35, 0)
    assert await rig.members() == digests(people(0, 35))


@pytest.mark.parametrize("halved", ["before", "after"])
async def test_a_creation_that_is_halved_and_lost_is_found(rig: Rig, halved: str) -> None:
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
