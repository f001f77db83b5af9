"""Drift: external writes are detected by the counters, reported, and repaired by a mirror."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from support.jobs import ACCOUNT, NAME, Rig, digests, people

from pinterest_audiences import JobInterruptedError

pytestmark = pytest.mark.anyio


async def outside(rig: Rig, operation: Literal["ADD", "REMOVE"], start: int, stop: int) -> None:
    (there,) = await rig.lists()
    await rig.client.customer_lists_update(
        ACCOUNT, there, operation_type=operation, records=sorted(digests(people(start, stop)))
    )


async def mirrored(rig: Rig, stop: int, **options: Any) -> Any:
    return await rig.client.mirror(ACCOUNT, people(0, stop), name=NAME, state=rig.state, **options)


def removed_outside(report: Any) -> list[str]:
    return [item for item in report.findings if "removed outside this tool" in item]


async def test_mirror_adds_its_source_again_after_external_removals(rig: Rig) -> None:
    await mirrored(rig, 150)
    await outside(rig, "REMOVE", 0, 20)
    report = await mirrored(rig, 151)
    (finding,) = removed_outside(report)
    assert finding.startswith("drift: 20 records were removed outside this tool")
    assert report.finding_codes == ("drift",)
    assert report.added == 151
    assert await rig.members() == digests(people(0, 151))
    report = await mirrored(rig, 152)
    assert (report.added, report.findings) == (1, ())


async def test_external_removals_are_reported_until_a_mirror_repairs_them(rig: Rig) -> None:
    """By plans and uploads; also after an upload has changed the counters."""
    await mirrored(rig, 150)
    await outside(rig, "REMOVE", 0, 20)
    for _ in range(2):
        plan = await rig.client.plan_mirror(ACCOUNT, people(0, 150), name=NAME, state=rig.state)
        assert (plan.add >= 149, plan.remove) == (True, 0)
        assert removed_outside(plan)
        report = await rig.client.upload(ACCOUNT, people(149, 150), name=NAME, state=rig.state)
        assert removed_outside(report)
    await outside(rig, "REMOVE", 20, 25)
    report = await mirrored(rig, 150)
    assert "25 records" in removed_outside(report)[0]
    assert await rig.members() == digests(people(0, 150))
    assert not removed_outside(await mirrored(rig, 151))


async def test_interrupted_repair_is_finished(rig: Rig) -> None:
    await mirrored(rig, 150)
    await outside(rig, "REMOVE", 0, 20)
    rig.emulator.fault("status", status=403, operation="customer_lists_update", after=1)
    with pytest.raises(JobInterruptedError):
        await mirrored(rig, 150, batch_size=50)
    report = await mirrored(rig, 150, batch_size=50)
    assert removed_outside(report)
    assert report.added >= 100
    assert await rig.members() == digests(people(0, 150))
    assert not removed_outside(await mirrored(rig, 150))


async def test_records_not_in_the_source_are_removed_after_drift(rig: Rig) -> None:
    """Those that may still be on the list."""
    await mirrored(rig, 150)
    await outside(rig, "REMOVE", 0, 20)
    await outside(rig, "ADD", 0, 5)
    report = await rig.client.mirror(ACCOUNT, people(3, 150), name=NAME, state=rig.state)
    assert report.removed == 3
    assert await rig.members() == digests(people(3, 150))


async def test_external_additions_are_a_finding(rig: Rig) -> None:
    await mirrored(rig, 150)
    await outside(rig, "ADD", 900, 903)
    report = await mirrored(rig, 151)
    assert (report.added, len(report.findings)) == (1, 1)
    assert "3 records were added outside this tool" in report.findings[0]
    assert (await mirrored(rig, 152)).findings == ()
