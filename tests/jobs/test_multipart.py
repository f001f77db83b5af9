"""What is left of an upload as one file: acknowledged at its end, and by calls without access."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from support.clock import FakeClock
from support.jobs import ACCOUNT, NAME, adds_up, digests, people

from pinterest_audiences import (
    AsyncClient,
    ConfigurationError,
    JobInterruptedError,
    RecordRow,
    prepare_rows,
)
from pinterest_audiences.emulator import Emulator

pytestmark = pytest.mark.anyio

Access = Literal["open", "restricted", "forbidden"]


def emulated(clock: FakeClock, access: Access = "open") -> Emulator:
    return Emulator(clock=clock.time, uploads=access, rate_limits=None)


async def test_the_rest_of_an_upload_goes_as_one_file(state: Path, small_batches: int) -> None:
    """The list is created by a call; everything else is on it when the file was processed."""
    clock = FakeClock()
    emulator = emulated(clock)
    async with AsyncClient("token", transport=emulator.transport(), clock=clock) as client:
        report = await client.upload(
            ACCOUNT, people(0, 45), name=NAME, via="multipart", state=state
        )
        (known,) = await client.status(ACCOUNT, state=state)
    assert emulator.members(str(report.customer_list_id)) == digests(people(0, 45))
    assert (report.status, report.added, report.left, report.sent_twice) == ("done", 45, 0, 0)
    assert (known.records, known.in_doubt) == (45, 0)
    assert adds_up(report)
    writes = [entry.path.split("/")[-1] for entry in emulator.requests if entry.method != "GET"]
    assert writes[:2] == ["customer_lists", "uploads"]
    assert writes[-1] == "run"
    assert not list(state.parent.glob("upload-*"))


async def test_records_are_removed_as_a_file_too(state: Path, small_batches: int) -> None:
    """A removal creates nothing, so all of it is in the file."""
    clock = FakeClock()
    emulator = emulated(clock)
    async with AsyncClient("token", transport=emulator.transport(), clock=clock) as client:
        await client.upload(ACCOUNT, people(0, 45), name=NAME, state=state)
        report = await client.upload(
            ACCOUNT,
            people(10, 45),
            name=NAME,
            operation="REMOVE",
            via="multipart",
            state=state,
        )
        mirrored = await client.plan_mirror(ACCOUNT, people(0, 10), name=NAME, state=state)
    assert emulator.members(str(report.customer_list_id)) == digests(people(0, 10))
    assert not mirrored.changes
    assert not [finding for finding in mirrored.findings if "drift" in finding]


@pytest.mark.parametrize("access", ["restricted", "forbidden"])
async def test_without_access_the_calls_are_made_after_all(
    state: Path, small_batches: int, access: Access
) -> None:
    """The report says so; nothing is in doubt, nothing was sent twice."""
    clock = FakeClock()
    emulator = emulated(clock, access)
    async with AsyncClient("token", transport=emulator.transport(), clock=clock) as client:
        report = await client.upload(
            ACCOUNT, people(0, 45), name=NAME, via="multipart", state=state
        )
    assert emulator.members(str(report.customer_list_id)) == digests(people(0, 45))
    assert (report.added, report.left, report.sent_twice) == (45, 0, 0)
    (finding,) = report.findings
    assert finding.startswith("sent by calls: no access to uploads in parts (40")
    assert not list(state.parent.glob("upload-*"))


async def test_a_file_whose_end_was_not_heard_of_is_in_doubt(
    state: Path, small_batches: int
) -> None:
    """A resume sends it again, and the report counts it as sent twice."""
    clock = FakeClock()
    emulator = emulated(clock)
    async with AsyncClient("token", transport=emulator.transport(), clock=clock) as client:
        emulator.fault("status", status=403, code=7, operation="customer_list_uploads_get")
        with pytest.raises(JobInterruptedError) as caught:
            await client.upload(ACCOUNT, people(0, 45), name=NAME, via="multipart", state=state)
        assert caught.value.report.left == 35
        (known,) = await client.status(ACCOUNT, state=state)
        assert (known.records, known.in_doubt) == (10, 35)
        (report,) = await client.resume(ACCOUNT, state=state)
    assert emulator.members(str(report.customer_list_id)) == digests(people(0, 45))
    assert (report.added, report.left, report.sent_twice) == (45, 0, 35)


async def test_rows_and_unknown_ways_are_refused(state: Path) -> None:
    """A file holds one record a line; nothing is sent."""
    clock = FakeClock()
    emulator = emulated(clock)
    rows = prepare_rows([RecordRow(email="ann@shop.de")])
    async with AsyncClient("token", transport=emulator.transport(), clock=clock) as client:
        with pytest.raises(ConfigurationError, match="rows cannot be sent as a file"):
            await client.upload(ACCOUNT, rows, name=NAME, via="multipart", state=state)
        with pytest.raises(ConfigurationError, match="'calls' or 'multipart'"):
            await client.upload(ACCOUNT, [], name=NAME, via="ftp", state=state)  # type: ignore[arg-type]  # what is refused here
    assert not [entry for entry in emulator.requests if entry.method != "GET"]
