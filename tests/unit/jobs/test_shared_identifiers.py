"""Rows that share an identifier with a removed row stay, whatever REMOVE means."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.clock import FakeClock
from support.jobs import ACCOUNT, NAME, Rig, Sent, adds_up, digest, make_rig, people

from pinterest_audiences import JobInterruptedError, prepare_rows
from pinterest_audiences.emulator import Assumptions, Emulator

pytestmark = pytest.mark.slow

Row = dict[str, str]
READINGS = ("row", "any_identifier")


def rig_of(state: Path, reading: Any) -> Rig:
    clock = FakeClock()
    assumptions = Assumptions(remove_matches=reading)
    emulator = Emulator(clock=clock.time, rate_limits=None, assumptions=assumptions)
    return make_rig(state, emulator, clock=clock, max_retries=0)


def row(email: int, phone: int) -> Row:
    return {
        "email": f"person{email}@shop.example",
        "hashed_phone_number": digest(f"+{phone}"),
    }


def as_member(given: Row) -> object:
    return (
        ("email", digest(given["email"])),
        ("hashed_phone_number", given["hashed_phone_number"]),
    )


async def mirrored(rig: Rig, rows: list[Row], **options: Any) -> Any:
    return await rig.client.mirror(
        ACCOUNT, prepare_rows(rows), name=NAME, state=rig.state, allow_removals=True, **options
    )


@pytest.mark.anyio
@pytest.mark.parametrize("reading", READINGS)
async def test_person_whose_phone_changes_stays_on_the_list(state: Path, reading: str) -> None:
    """The new row is added before the removal, and again after it."""
    rig = rig_of(state, reading)
    async with rig.client:
        day = [row(number, number) for number in range(150)]
        await mirrored(rig, day)
        day[3] = row(3, 1_003)
        plan = await rig.client.plan_mirror(ACCOUNT, prepare_rows(day), name=NAME, state=rig.state)
        assert (plan.add, plan.remove, plan.resend, plan.keep, plan.calls) == (1, 1, 1, 149, 3)
        report = await rig.client.apply(plan, state=rig.state)
        assert (report.added, report.removed, report.resent) == (1, 1, 1)
        assert adds_up(report)
        assert [item.operation for item in rig.wire.updates[-3:]] == ["ADD", "REMOVE", "ADD"]
        assert await rig.members() == {as_member(item) for item in day}


@pytest.mark.anyio
@pytest.mark.parametrize("reading", READINGS)
async def test_person_who_shares_a_phone_with_a_removed_one_stays(
    state: Path, reading: str
) -> None:
    rig = rig_of(state, reading)
    async with rig.client:
        day = [row(number, number // 2) for number in range(150)]
        await mirrored(rig, day)
        report = await mirrored(rig, day[1:])
        assert (report.added, report.removed, report.resent) == (0, 1, 1)
        assert await rig.members() == {as_member(item) for item in day[1:]}


@pytest.mark.anyio
@pytest.mark.parametrize("reading", READINGS)
async def test_single_identifiers_that_become_rows_stay(state: Path, reading: str) -> None:
    """And rows that become single identifiers."""
    rig = rig_of(state, reading)
    async with rig.client:
        plain = people(0, 150)
        rows = [row(number, number) for number in range(150)]
        await rig.client.mirror(ACCOUNT, plain, name=NAME, state=rig.state)
        report = await mirrored(rig, rows)
        assert (report.added, report.removed, report.resent) == (150, 150, 150)
        assert await rig.members() == {as_member(item) for item in rows}
        report = await rig.client.mirror(
            ACCOUNT, plain, name=NAME, state=rig.state, allow_removals=True
        )
        assert (report.added, report.removed, report.resent) == (150, 150, 150)
        assert await rig.members() == {digest(item) for item in plain}


@pytest.mark.anyio
@pytest.mark.parametrize("interrupted", [False, True])
@pytest.mark.parametrize("how", ["upload", "forget"])
@pytest.mark.parametrize("reading", READINGS)
async def test_explicit_removal_keeps_others_who_share_an_identifier(
    state: Path, reading: str, how: str, interrupted: bool
) -> None:
    """Person 0 is removed; person 1, with the same phone, is added again after the removal."""
    rig = rig_of(state, reading)
    async with rig.client:
        rows = [row(number, number // 2) for number in range(150)]
        await rig.client.upload(ACCOUNT, prepare_rows(rows), name=NAME, state=state)

        def refuse(sent: Sent) -> httpx.Response | None:
            """Refuse the repeated addition, after the removal."""
            is_repeat = interrupted and sent.operation == "ADD"
            return httpx.Response(503, json={}) if is_repeat else None

        rig.wire.refuse = refuse
        if how == "upload":
            gone = prepare_rows(rows[:1])
            try:
                report = await rig.client.upload(
                    ACCOUNT, gone, name=NAME, operation="REMOVE", state=state, retry_timeout=0.5
                )
                assert (report.removed, report.added, report.resent) == (1, 0, 1)
            except JobInterruptedError:
                assert interrupted
        else:
            receipt = await rig.client.forget(rows[0]["email"], state=state, retry_timeout=0.5)
            assert receipt.complete != interrupted
        rig.wire.refuse = None
        await rig.client.resume(ACCOUNT, state=state)
        assert await rig.members() == {as_member(item) for item in rows[1:]}
        (status,) = await rig.client.status(ACCOUNT, state=state)
        assert status.settled
        report = await mirrored(rig, rows[1:])  # sends them once more only while they are in doubt
        assert (report.added, report.removed) == (0, 0)
        assert await rig.members() == {as_member(item) for item in rows[1:]}


@pytest.mark.anyio
async def test_removal_of_rows_does_not_add_removed_rows_again(state: Path) -> None:
    """Two rows with one phone are removed together; one that was removed before stays removed."""
    rig = rig_of(state, "any_identifier")
    async with rig.client:
        rows = [row(number, number // 3) for number in range(150)]
        await rig.client.upload(ACCOUNT, prepare_rows(rows), name=NAME, state=state)
        for gone, resent in (rows[:1], 2), (rows[1:3], 0):
            report = await rig.client.upload(
                ACCOUNT, prepare_rows(gone), name=NAME, operation="REMOVE", state=state
            )
            assert (report.removed, report.resent) == (len(gone), resent)
        assert await rig.members() == {as_member(item) for item in rows[3:]}


@pytest.mark.anyio
async def test_lists_of_single_identifiers_resend_nothing(state: Path) -> None:
    rig = rig_of(state, "row")
    async with rig.client:
        await rig.client.mirror(ACCOUNT, people(0, 150), name=NAME, state=rig.state)
        report = await rig.client.mirror(ACCOUNT, people(20, 170), name=NAME, state=rig.state)
        assert (report.added, report.removed, report.resent) == (20, 20, 0)


@pytest.mark.anyio
@pytest.mark.parametrize("then", ["resume", "mirror", "changed"])
@pytest.mark.parametrize("at", [1, 2, 3, 4, 5, 6])
async def test_interruption_at_any_request_loses_no_record(state: Path, at: int, then: str) -> None:
    """Whether it is resumed, or another mirror supersedes it before the repeated additions."""
    rig = rig_of(state, "any_identifier")
    async with rig.client:
        before = [row(number, number // 2) for number in range(160)]
        await mirrored(rig, before)
        after = [row(number, number // 2 + 1_000 * (number < 15)) for number in range(5, 160)]
        rig.emulator.fault("status", status=403, operation="customer_lists_update", after=at - 1)
        try:
            await mirrored(rig, after, batch_size=10)
        except JobInterruptedError:
            if then == "resume":
                await rig.client.resume(ACCOUNT, state=rig.state)
        rig.emulator.faults.clear()
        if then == "changed":
            after.append(row(999, 999))
        if then != "resume":
            await mirrored(rig, after)
        assert await rig.members() == {as_member(item) for item in after}
        report = await mirrored(rig, after)
        assert report.planned == 0


PEOPLE = st.dictionaries(st.integers(0, 7), st.integers(0, 5), min_size=1)


@pytest.mark.parametrize("reading", READINGS)
@settings(max_examples=25, deadline=None)
@given(days=st.lists(st.tuples(PEOPLE, st.integers(0, 5)), min_size=2, max_size=4))
def test_list_matches_the_source_after_every_mirror(
    reading: str, days: list[tuple[dict[int, int], int]]
) -> None:
    """Random people and phones; mirrors are interrupted at random requests and repeated."""

    async def live(directory: str) -> None:
        rig = rig_of(Path(directory, "jobs.sqlite3"), reading)
        async with rig.client:
            for day, at in days:
                rows = [row(email, phone) for email, phone in day.items()]
                if at:
                    rig.emulator.fault(
                        "status", status=403, operation="customer_lists_update", after=at - 1
                    )
                try:
                    await mirrored(rig, rows, batch_size=2)
                except JobInterruptedError:
                    rig.emulator.faults.clear()
                    await mirrored(rig, rows, batch_size=2)
                rig.emulator.faults.clear()
                assert await rig.members() == {as_member(item) for item in rows}

    run: Callable[..., None] = anyio.run
    with tempfile.TemporaryDirectory() as directory:
        run(live, directory)
