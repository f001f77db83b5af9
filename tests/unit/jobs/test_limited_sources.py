"""Jobs with a source that is limited to its first rows."""

from __future__ import annotations

from typing import Any

import pytest
from support.cases import each_case
from support.jobs import ACCOUNT, NAME, Rig, digests, people

from pinterest_audiences import (
    ConfigurationError,
    GuardError,
    JobsFailedError,
    open_source,
    prepare,
)


async def test_limited_upload_sends_the_first_rows_and_says_so(rig: Rig) -> None:
    source = open_source(people(0, 300)).limit(120)
    report = await rig.client.upload(ACCOUNT, source, name=NAME, state=rig.state)
    assert await rig.members() == digests(people(0, 120))
    assert report.findings == ("limited: only the first 120 rows were read",)
    assert report.finding_codes == ("limited",)
    (status,) = await rig.client.status(ACCOUNT, state=rig.state)
    source_report: Any = status.jobs[0].source
    assert source_report["limit"] == 120


async def test_limited_upload_is_not_the_last_run(rig: Rig) -> None:
    """A truncated export is compared with the last complete one."""
    everyone = people(0, 300)
    await rig.client.upload(ACCOUNT, everyone, name=NAME, state=rig.state)
    limited = open_source(everyone).limit(10)
    await rig.client.upload(ACCOUNT, limited, name=NAME, state=rig.state)
    with pytest.raises(GuardError, match="has 200 rows"):
        await rig.client.upload(
            ACCOUNT, people(0, 200), name=NAME, state=rig.state, expect_rows="90%"
        )


async def test_first_run_after_a_limited_upload_has_no_last_run(rig: Rig) -> None:
    limited = open_source(people(0, 300)).limit(10)
    await rig.client.upload(ACCOUNT, limited, name=NAME, state=rig.state)
    report = await rig.client.upload(
        ACCOUNT, people(0, 300), name=NAME, state=rig.state, expect_rows="90%"
    )
    assert report.finding_codes == ("no_last_run",)


@each_case("job", ["mirror", "plan_mirror"])
@each_case("prepared", [True, False])
async def test_mirror_refuses_a_limited_source(rig: Rig, job: str, prepared: bool) -> None:
    """It would remove the others; nothing is read or sent."""
    source: Any = open_source(people(0, 300)).limit(100)
    call = getattr(rig.client, job)
    with pytest.raises(ConfigurationError, match="would remove all other customers") as refused:
        await call(ACCOUNT, prepare(source) if prepared else source, name=NAME, state=rig.state)
    assert refused.value.param == "source"
    assert not rig.wire.writes


async def test_mirror_many_refuses_a_limited_source(rig: Rig) -> None:
    sources: Any = {"A": open_source(people(0, 300)).limit(100), "B": people(0, 200)}
    with pytest.raises(JobsFailedError) as failed:
        await rig.client.mirror_many(ACCOUNT, sources, state=rig.state)
    assert isinstance(failed.value.errors["A"], ConfigurationError)
    assert await rig.lists("A") == []
    assert await rig.members("B") == digests(people(0, 200))


async def test_erasure_refuses_a_limited_source(rig: Rig) -> None:
    with pytest.raises(ConfigurationError, match="would not be erased") as refused:
        await rig.client.forget(open_source(people(0, 9)).limit(5), state=rig.state)
    assert refused.value.param == "people"


@each_case(
    ("expected", "rows", "passes"),
    [(3, 3, True), (4, 3, False), ("3", 3, True), ("4", 3, False), (1, 0, False)],
)
async def test_erasure_with_fewer_rows_than_expected_is_refused(
    rig: Rig, expected: int | str, rows: int, passes: bool
) -> None:
    await rig.client.mirror(ACCOUNT, people(0, 200), name=NAME, state=rig.state)
    source = people(0, rows)
    if passes:
        receipt = await rig.client.forget(source, state=rig.state, expect_rows=expected)
        assert receipt.people == rows
        assert await rig.members() == digests(people(rows, 200))
        return
    with pytest.raises(GuardError, match=f"has {rows} rows, but at least") as refused:
        await rig.client.forget(source, state=rig.state, expect_rows=expected)
    assert refused.value.guard == "expected_rows"
    assert await rig.members() == digests(people(0, 200))


async def test_blank_lines_are_not_counted_as_rows_of_an_erasure(rig: Rig) -> None:
    await rig.client.mirror(ACCOUNT, people(0, 200), name=NAME, state=rig.state)
    source = [*people(0, 2), *["", "  "] * 200]
    with pytest.raises(GuardError, match="has 2 rows, but at least"):
        await rig.client.forget(source, state=rig.state, expect_rows=3)
    assert await rig.members() == digests(people(0, 200))
    receipt = await rig.client.forget(source, state=rig.state, expect_rows=2)
    assert receipt.people == 2


@each_case("expected", ["90%", 0.9, "many", 0])
async def test_erasure_refuses_a_share_of_rows(rig: Rig, expected: Any) -> None:
    with pytest.raises(ConfigurationError, match="expect_rows must be a number of rows"):
        await rig.client.forget(people(0, 3), state=rig.state, expect_rows=expected)
