"""Sources with unreadable rows or that ended early: guards and findings of mirrors."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from support.jobs import ACCOUNT, NAME, Rig, digests, people

from pinterest_audiences import ConfigurationError, GuardError, Plan

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

UNREADABLE = "ann(at)shop.example"


def table(path: Path, rows: list[str]) -> Path:
    path.write_text("Email,Name\n" + "".join(f"{row},x\n" for row in rows))
    return path


async def mirrored(rig: Rig, rows: list[str], **options: Any) -> Any:
    return await rig.client.mirror(
        ACCOUNT,
        table(rig.state.parent.parent / "people.csv", rows),
        name=NAME,
        state=rig.state,
        **options,
    )


@pytest.mark.parametrize("broken", [1, 4, 30])
async def test_unreadable_rows_block_removals(rig: Rig, broken: int) -> None:
    everyone = people(0, 200)
    await mirrored(rig, everyone)
    rows = [UNREADABLE] * broken + everyone[broken:]
    with pytest.raises(GuardError, match=f"{broken} rows? could not be read") as refused:
        await mirrored(rig, rows)
    assert refused.value.guard == "unreadable_rows"
    assert await rig.members() == digests(everyone)
    with pytest.raises(GuardError):  # the other guard's option does not pass it
        await mirrored(rig, rows, allow_removals=True)
    report = await mirrored(rig, rows, allow_unreadable=True)
    assert report.removed == broken
    assert any("could not be read" in finding for finding in report.findings)


async def test_short_rows_block_removals(rig: Rig) -> None:
    path = rig.state.parent.parent / "people.csv"
    lines = [f"x,{text}" for text in people(0, 200)]
    path.write_text("\n".join(["name,email", *lines]) + "\n")
    await rig.client.mirror(ACCOUNT, path, name=NAME, state=rig.state)
    lines[7:11] = ["x"] * 4
    path.write_text("\n".join(["name,email", *lines]) + "\n")
    with pytest.raises(GuardError) as refused:
        await rig.client.mirror(ACCOUNT, path, name=NAME, state=rig.state)
    assert refused.value.guard == "unreadable_rows"


async def test_plan_with_unreadable_rows_has_a_finding_and_is_blocked(rig: Rig) -> None:
    everyone = people(0, 200)
    await mirrored(rig, everyone)
    path = table(rig.state.parent.parent / "people.csv", [UNREADABLE] * 3 + everyone[3:])
    plan = await rig.client.plan_mirror(ACCOUNT, path, name=NAME, state=rig.state)
    assert "3 rows could not be read" in plan.blocked
    assert "3 rows could not be read" in str(plan)
    plan = Plan.from_json(plan.to_json())
    with pytest.raises(GuardError):
        await rig.client.apply(plan, state=rig.state)
    report = await rig.client.apply(plan, allow_unreadable=True, state=rig.state)
    assert report.removed == 3


async def test_rows_unreadable_in_the_last_mirror_do_not_block(rig: Rig) -> None:
    """They were not on the list; a finding says how many removals they may explain."""
    await mirrored(rig, [*people(0, 200), *[UNREADABLE] * 9])
    report = await mirrored(rig, [*people(2, 200), *[UNREADABLE] * 9])
    assert report.removed == 2
    assert any("up to 2 removals" in finding for finding in report.findings)
    with pytest.raises(GuardError):
        await mirrored(rig, [*people(3, 200), *[UNREADABLE] * 10])


@pytest.mark.parametrize("value", ["", "test@test.com"])
async def test_customers_without_an_address_do_not_block(rig: Rig, value: str) -> None:
    everyone = people(0, 200)
    await mirrored(rig, everyone)
    report = await mirrored(rig, [value, value, *everyone[2:]])
    assert report.removed == 2
    assert value or any("empty_rows: 2" in finding for finding in report.findings)


async def test_unreadable_rows_without_removals_do_not_block(rig: Rig) -> None:
    await mirrored(rig, people(0, 200))
    report = await mirrored(rig, [*people(0, 210), UNREADABLE])
    assert (report.added, report.removed) == (10, 0)


@pytest.mark.parametrize(
    ("expected", "rows", "passes"),
    [
        (270, 270, True),
        (271, 270, False),
        ("271", 270, False),
        (0.9, 270, True),
        ("90%", 270, True),
        ("90%", 269, False),
        (0.9, 269, False),
        ("99.5%", 298, False),
        (1.0, 300, True),
        (1.0, 299, False),
        ("81%", 243, True),  # the product of floats is more than 243
        ("81%", 242, False),
    ],
)
@pytest.mark.parametrize("job", ["mirror", "plan_mirror", "upload"])
async def test_source_with_fewer_rows_than_expected_is_refused(
    rig: Rig, job: str, expected: float | str, rows: int, passes: bool
) -> None:
    first = "upload" if job == "upload" else "mirror"
    await getattr(rig.client, first)(ACCOUNT, people(0, 300), name=NAME, state=rig.state)
    begun = len(rig.wire.writes)
    call = getattr(rig.client, job)
    source = people(0, rows)
    if passes:
        await call(ACCOUNT, source, name=NAME, state=rig.state, expect_rows=expected)
        return
    with pytest.raises(GuardError, match=f"has {rows} rows") as refused:
        await call(ACCOUNT, source, name=NAME, state=rig.state, expect_rows=expected)
    assert refused.value.guard == "expected_rows"
    assert len(rig.wire.writes) == begun
    assert await rig.members() == digests(people(0, 300))


async def test_expected_share_refers_to_the_last_job_of_the_same_kind(rig: Rig) -> None:
    """A small removal does not lower the expectation for a mirror."""
    await rig.client.mirror(ACCOUNT, people(0, 300), name=NAME, state=rig.state)
    await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state, operation="REMOVE")
    with pytest.raises(GuardError):
        await rig.client.mirror(
            ACCOUNT, people(0, 260), name=NAME, state=rig.state, expect_rows="90%"
        )


async def test_expected_share_without_an_earlier_run_is_a_finding(rig: Rig) -> None:
    report = await rig.client.mirror(
        ACCOUNT, people(0, 200), name=NAME, state=rig.state, expect_rows="90%"
    )
    assert any("no_last_run" in finding for finding in report.findings)


@pytest.mark.parametrize("expected", [0, -1, 0.0, 1.5, "110%", "0%", "many", "", True, [1]])
async def test_invalid_expect_rows_is_a_configuration_error(rig: Rig, expected: Any) -> None:
    with pytest.raises(ConfigurationError, match="expect_rows must be"):
        await rig.client.mirror(
            ACCOUNT, people(0, 5), name=NAME, state=rig.state, expect_rows=expected
        )
    assert rig.wire.sent == []


async def test_source_with_markedly_fewer_rows_is_a_finding_of_a_mirror(rig: Rig) -> None:
    await mirrored(rig, people(0, 300))
    report = await mirrored(rig, people(0, 265))
    assert any("has 265 rows, the last mirror's had 300" in item for item in report.findings)
    report = await mirrored(rig, people(0, 260))
    assert report.findings == ()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="requires named pipes")
async def test_pipe_with_fewer_rows_is_always_a_finding(rig: Rig, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    async def through(count: int) -> Any:
        text = "email\n" + "\n".join(people(0, count)) + "\n"
        writer = threading.Thread(target=pipe.write_text, args=(text,))
        writer.start()
        try:
            return await rig.client.mirror(ACCOUNT, pipe, name=NAME, state=rig.state)
        finally:
            writer.join()

    await through(300)
    report = await through(299)
    assert any("has 299 rows, the last mirror's had 300" in item for item in report.findings)
