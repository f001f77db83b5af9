"""Mirrors make a list equal to a source; guards prevent mistakes."""

from __future__ import annotations

import pytest
from support.jobs import ACCOUNT, NAME, Rig, adds_up, digest, digests, people

from pinterest_audiences import (
    ConfigurationError,
    GuardError,
    JobInterruptedError,
    Plan,
    prepare,
    prepare_rows,
)

pytestmark = pytest.mark.anyio


async def test_mirror_adds_new_and_removes_missing_records(rig: Rig, small_batches: int) -> None:
    """Unchanged records are not sent again."""
    first = await rig.client.mirror(ACCOUNT, people(0, 200), name=NAME, state=rig.state)
    assert (first.created, first.added, first.removed) == (True, 200, 0)
    begun = len(rig.wire.sent)
    second = await rig.client.mirror(ACCOUNT, people(25, 215), name=NAME, state=rig.state)
    assert (second.added, second.removed, second.planned) == (15, 25, 40)
    sent = {record for item in rig.wire.sent[begun:] for record in item.records}
    assert sent == digests([*people(0, 25), *people(200, 215)])
    assert await rig.members() == digests(people(25, 215))
    assert adds_up(first)
    assert adds_up(second)


async def test_removals_are_sent_after_all_additions(rig: Rig, small_batches: int) -> None:
    """So that the list does not drop below its minimum in between."""
    await rig.client.mirror(ACCOUNT, people(0, 100), name=NAME, state=rig.state)
    begun = len(rig.wire.updates)
    await rig.client.mirror(
        ACCOUNT, people(50, 150), name=NAME, allow_removals=True, state=rig.state
    )
    operations = [item.operation for item in rig.wire.updates[begun:]]
    assert operations == ["ADD"] * 5 + ["REMOVE"] * 5


async def test_removals_of_one_hash_are_sent_after_additions_of_another(
    rig: Rig, small_batches: int
) -> None:
    """After a change of the algorithm all records are first added with the new one."""
    await rig.client.mirror(ACCOUNT, people(0, 30), name=NAME, state=rig.state)
    begun = len(rig.wire.updates)
    report = await rig.client.mirror(
        ACCOUNT,
        prepare(people(0, 30), algorithm="md5"),
        name=NAME,
        allow_removals=True,
        state=rig.state,
    )
    operations = [item.operation for item in rig.wire.updates[begun:]]
    assert operations == ["ADD"] * 3 + ["REMOVE"] * 3
    assert await rig.members() == digests(people(0, 30), "md5")
    assert any("hashed as md5" in finding for finding in report.findings)


async def test_mirror_without_changes_sends_nothing(rig: Rig) -> None:
    """And is done."""
    await rig.client.mirror(ACCOUNT, people(0, 150), name=NAME, state=rig.state)
    begun = len(rig.wire.writes)
    report = await rig.client.mirror(ACCOUNT, people(0, 150)[::-1], name=NAME, state=rig.state)
    assert (report.status, report.planned, len(rig.wire.writes)) == ("done", 0, begun)


async def test_mirror_uses_the_members_that_uploads_added(rig: Rig) -> None:
    await rig.client.upload(ACCOUNT, people(0, 150), name=NAME, state=rig.state)
    await rig.client.upload(ACCOUNT, people(0, 10), name=NAME, operation="REMOVE", state=rig.state)
    report = await rig.client.mirror(ACCOUNT, people(5, 145), name=NAME, state=rig.state)
    assert (report.added, report.removed) == (5, 5)
    assert await rig.members() == digests(people(5, 145))


async def test_rows_are_mirrored(rig: Rig, small_batches: int) -> None:
    """A changed row is removed as it was sent, and added as it is now."""

    def customers(start: int, stop: int, city: str) -> list[dict[str, str]]:
        return [{"email": text, "external_id": city + text} for text in people(start, stop)]

    before = prepare_rows([*customers(0, 5, "a"), *customers(5, 40, "b")])
    await rig.client.mirror(ACCOUNT, before, name=NAME, keep_unhashed=True, state=rig.state)
    after = prepare_rows([*customers(0, 5, "c"), *customers(5, 40, "b")])
    report = await rig.client.mirror(ACCOUNT, after, name=NAME, keep_unhashed=True, state=rig.state)
    assert (report.added, report.removed) == (5, 5)
    assert await rig.members() == {
        (("email", digest(row["email"])), ("external_id", row["external_id"]))
        for row in [*customers(0, 5, "c"), *customers(5, 40, "b")]
    }


async def test_digests_of_several_algorithms_are_mirrored(rig: Rig, small_batches: int) -> None:
    """Each algorithm is compared separately."""

    def mixed(start: int, stop: int) -> set[str]:
        return {
            digest(f"person{number}@shop.example", ("sha256", "sha1", "md5")[number % 3])
            for number in range(start, stop)
        }

    await rig.client.mirror(ACCOUNT, sorted(mixed(0, 150)), name=NAME, state=rig.state)
    report = await rig.client.mirror(ACCOUNT, sorted(mixed(20, 160)), name=NAME, state=rig.state)
    assert (report.added, report.removed) == (10, 20)
    assert await rig.members() == mixed(20, 160)


async def test_empty_source_never_empties_a_list(rig: Rig) -> None:
    """Not even with allow_removals."""
    await rig.client.mirror(ACCOUNT, people(0, 30), name=NAME, state=rig.state)
    with pytest.raises(GuardError, match="the source has no records") as refused:
        await rig.client.mirror(ACCOUNT, [], name=NAME, allow_removals=True, state=rig.state)
    assert refused.value.guard == "empty_source"
    with pytest.raises(GuardError):
        await rig.client.mirror(ACCOUNT, ["no e-mail"] * 9, name=NAME, state=rig.state)
    assert await rig.members() == digests(people(0, 30))


async def test_more_removals_than_max_removal_share_require_allow_removals(rig: Rig) -> None:
    """Exactly a fifth does not."""
    await rig.client.mirror(ACCOUNT, people(0, 200), name=NAME, state=rig.state)
    with pytest.raises(GuardError, match=r"41 of 200 records \(20\.5%\)") as refused:
        await rig.client.mirror(ACCOUNT, people(41, 200), name=NAME, state=rig.state)
    assert refused.value.guard == "removals"
    assert await rig.members() == digests(people(0, 200))
    await rig.client.mirror(ACCOUNT, people(40, 200), name=NAME, state=rig.state)
    assert await rig.members() == digests(people(40, 200))


async def test_max_removal_share_can_be_set(rig: Rig) -> None:
    """Down to zero; allow_removals overrides it."""
    await rig.client.mirror(ACCOUNT, people(0, 200), name=NAME, state=rig.state)
    with pytest.raises(GuardError, match="more than 0%"):
        await rig.client.mirror(
            ACCOUNT, people(1, 200), name=NAME, max_removal_share=0, state=rig.state
        )
    await rig.client.mirror(
        ACCOUNT,
        people(1, 200),
        name=NAME,
        max_removal_share=0,
        allow_removals=True,
        state=rig.state,
    )
    await rig.client.mirror(ACCOUNT, people(1, 50), name=NAME, max_removal_share=1, state=rig.state)
    assert await rig.members() == digests(people(1, 50))


@pytest.mark.parametrize("share", [-0.1, 1.1, "half", True])
async def test_invalid_max_removal_share_is_refused(rig: Rig, share: float) -> None:
    """Before anything is read."""
    with pytest.raises(ConfigurationError, match="max_removal_share"):
        await rig.client.mirror(
            ACCOUNT, people(0, 5), name=NAME, max_removal_share=share, state=rig.state
        )
    assert rig.wire.sent == []


async def test_foreign_list_is_mirrored_only_with_adopt(rig: Rig) -> None:
    """Its members are unknown and stay on it."""
    (there,) = rig.emulator.seed_lists(ACCOUNT, 1, name=NAME, records=[digest("old@shop.example")])
    for wanted in ({"name": NAME}, {"customer_list_id": there}):
        with pytest.raises(GuardError, match="adopt=True") as refused:
            await rig.client.mirror(ACCOUNT, people(0, 150), state=rig.state, **wanted)  # type: ignore[call-overload]  # one of two
        assert refused.value.guard == "unknown_content"
    assert rig.wire.writes == []
    await rig.client.mirror(
        ACCOUNT, people(0, 150), customer_list_id=there, adopt=True, state=rig.state
    )
    # once adopted it stays so
    await rig.client.mirror(ACCOUNT, people(9, 150), customer_list_id=there, state=rig.state)
    assert await rig.members() == digests([*people(9, 150), "old@shop.example"])


async def test_plan_with_adopt_adopts_the_list_only_when_applied(rig: Rig) -> None:
    """A later mirror without adopt is refused as before."""
    (there,) = rig.emulator.seed_lists(ACCOUNT, 1, name=NAME, records=[digest("old@shop.example")])
    for _ in range(2):
        plan = await rig.client.plan_mirror(
            ACCOUNT, people(0, 150), name=NAME, adopt=True, state=rig.state
        )
        (found,) = await rig.client.status(ACCOUNT, state=rig.state)
        assert found.origin == "foreign"
        with pytest.raises(GuardError, match="adopt=True"):
            await rig.client.mirror(ACCOUNT, people(0, 150), name=NAME, state=rig.state)
    assert rig.wire.writes == []
    await rig.client.apply(Plan.from_json(plan.to_json()), state=rig.state)
    (found,) = await rig.client.status(ACCOUNT, state=rig.state)
    assert found.origin == "adopted"
    await rig.client.mirror(ACCOUNT, people(9, 150), customer_list_id=there, state=rig.state)
    assert await rig.members() == digests([*people(9, 150), "old@shop.example"])


async def test_refused_mirror_does_not_adopt_the_list(rig: Rig) -> None:
    """The guard against removals prevents the adoption too."""
    rig.emulator.seed_lists(ACCOUNT, 1, name=NAME)
    await rig.client.upload(ACCOUNT, people(0, 20), name=NAME, state=rig.state)
    with pytest.raises(GuardError, match="allow_removals=True"):
        await rig.client.mirror(ACCOUNT, people(15, 20), name=NAME, adopt=True, state=rig.state)
    with pytest.raises(GuardError, match="adopt=True"):
        await rig.client.mirror(ACCOUNT, people(0, 20), name=NAME, state=rig.state)


async def test_interrupted_mirror_with_adopt_can_be_resumed(rig: Rig, small_batches: int) -> None:
    """The list is adopted when the first batch is sent; resume requires no permission."""
    rig.emulator.seed_lists(ACCOUNT, 1, name=NAME)
    rig.emulator.fault("status", status=403, operation="customer_lists_update", after=1)
    with pytest.raises(JobInterruptedError):
        await rig.client.mirror(ACCOUNT, people(0, 40), name=NAME, adopt=True, state=rig.state)
    (report,) = await rig.client.resume(ACCOUNT, state=rig.state)
    assert (report.status, report.left) == ("done", 0)
    await rig.client.mirror(ACCOUNT, people(2, 40), name=NAME, state=rig.state)
    assert await rig.members() == digests(people(2, 40))


async def test_refused_mirror_does_not_supersede_an_upload(rig: Rig, small_batches: int) -> None:
    """The interrupted upload can still be resumed."""
    (there,) = rig.emulator.seed_lists(ACCOUNT, 1, name=NAME)
    rig.emulator.fault("status", status=403, operation="customer_lists_update", after=1)
    with pytest.raises(Exception, match="resume it"):
        await rig.client.upload(ACCOUNT, people(0, 40), name=NAME, state=rig.state)
    with pytest.raises(GuardError, match="adopt=True"):
        await rig.client.mirror(ACCOUNT, people(0, 150), name=NAME, state=rig.state)
    (report,) = await rig.client.resume(ACCOUNT, state=rig.state)
    assert (report.status, report.added) == ("done", 40)
    assert rig.emulator.members(there) == digests(people(0, 40))


async def test_list_below_the_minimum_is_a_finding(rig: Rig) -> None:
    """With the estimate, if a match rate was given."""
    small = await rig.client.plan_mirror(ACCOUNT, people(0, 99), name=NAME, state=rig.state)
    assert any("TOO_SMALL: 99 records cannot match 100" in text for text in small.findings)
    assert small.finding_codes == ("too_small",)
    enough = await rig.client.plan_mirror(ACCOUNT, people(0, 100), name=NAME, state=rig.state)
    assert enough.findings == ()
    unlikely = await rig.client.plan_mirror(
        ACCOUNT, people(0, 150), name=NAME, match_rate=0.5, state=rig.state
    )
    assert any("may be TOO_SMALL" in finding for finding in unlikely.findings)


async def test_mirror_that_shrinks_below_the_minimum_is_applied_with_a_finding(rig: Rig) -> None:
    await rig.client.mirror(ACCOUNT, people(0, 110), name=NAME, state=rig.state)
    report = await rig.client.mirror(ACCOUNT, people(0, 95), name=NAME, state=rig.state)
    assert report.status == "done"
    assert any("TOO_SMALL" in finding for finding in report.findings)
    assert await rig.members() == digests(people(0, 95))


async def test_mirror_works_after_the_clock_was_set_back(rig: Rig) -> None:
    """No decision depends on the time of day."""
    await rig.client.mirror(ACCOUNT, people(0, 150), name=NAME, state=rig.state)
    rig.clock._start -= 3 * 86_400
    report = await rig.client.mirror(ACCOUNT, people(10, 160), name=NAME, state=rig.state)
    assert (report.added, report.removed) == (10, 10)
    assert await rig.members() == digests(people(10, 160))
