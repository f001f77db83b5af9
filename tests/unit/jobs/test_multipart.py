"""Multipart uploads: acknowledged after processing, and requests without access."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Literal

import anyio
import pytest
from support.clock import FakeClock
from support.jobs import ACCOUNT, NAME, Rig, adds_up, digest, digests, people

from pinterest_audiences import (
    AsyncClient,
    ConfigurationError,
    JobInterruptedError,
    RecordRow,
    StateError,
    prepare_rows,
)
from pinterest_audiences._jobs import database, delivery
from pinterest_audiences.emulator import Emulator

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

Access = Literal["open", "restricted", "forbidden"]


def emulated(clock: FakeClock, access: Access = "open") -> Emulator:
    return Emulator(clock=clock.time, uploads=access, rate_limits=None)


async def test_multipart_upload_sends_everything_after_the_create_as_one_file(
    state: Path, small_batches: int
) -> None:
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


async def test_multipart_removal_sends_everything_as_one_file(
    state: Path, small_batches: int
) -> None:
    """Without a create request."""
    clock = FakeClock()
    emulator = emulated(clock)
    async with AsyncClient("token", transport=emulator.transport(), clock=clock) as client:
        await client.upload(ACCOUNT, people(0, 45), name=NAME, state=state)
        report = await client.upload(
            ACCOUNT,
            people(10, 45),
            name=NAME,
            operation="REMOVE",
            allow_removals=True,
            via="multipart",
            state=state,
        )
        mirrored = await client.plan_mirror(ACCOUNT, people(0, 10), name=NAME, state=state)
    assert emulator.members(str(report.customer_list_id)) == digests(people(0, 10))
    assert not mirrored.changes
    assert not [finding for finding in mirrored.findings if "drift" in finding]


@pytest.mark.parametrize("access", ["restricted", "forbidden"])
async def test_multipart_without_access_falls_back_to_requests(
    state: Path, small_batches: int, access: Access
) -> None:
    """With a finding; nothing is unconfirmed or sent twice."""
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


async def test_file_without_final_status_is_unconfirmed(state: Path, small_batches: int) -> None:
    """Resume sends it again, and the report counts it as sent twice."""
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


async def test_multipart_of_rows_and_unknown_via_are_refused(state: Path) -> None:
    """Nothing is sent."""
    clock = FakeClock()
    emulator = emulated(clock)
    rows = prepare_rows([RecordRow(email="ann@shop.de")])
    async with AsyncClient("token", transport=emulator.transport(), clock=clock) as client:
        with pytest.raises(ConfigurationError, match="for rows, which cannot be sent as a file"):
            await client.upload(ACCOUNT, rows, name=NAME, via="multipart", state=state)
        with pytest.raises(ConfigurationError, match="'calls' or 'multipart'"):
            await client.upload(ACCOUNT, [], name=NAME, via="ftp", state=state)  # type: ignore[call-overload]  # what is refused here
    assert not [entry for entry in emulator.requests if entry.method != "GET"]


KILLED = """
import os, signal, sys
from pathlib import Path
from pinterest_audiences import Client
from pinterest_audiences.emulator import Emulator
from pinterest_audiences._jobs import delivery as multipart

if sys.argv[2] == "named":
    multipart._DESCRIPTOR_DIR = Path("/nowhere")
emulator = Emulator(rate_limits=None)
inner = emulator.transport()


class Lethal(type(inner)):
    async def handle_async_request(self, request):
        if request.method == "PUT":
            os.kill(os.getpid(), signal.SIGKILL)
        return await super().handle_async_request(request)


inner.__class__ = Lethal
with Client("token", transport=inner) as client:
    client.upload("549", ["ann@shop.example"], name="All", state=sys.argv[1])
    client.upload("549", ["bob@shop.example"], name="All", via="multipart", state=sys.argv[1])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="requires POSIX signals")
@pytest.mark.parametrize("named", ["named", "unnamed"])
async def test_killed_upload_leaves_no_digest_after_forget(
    rig: Rig, tmp_path: Path, named: str
) -> None:
    """Neither in a temporary file nor in the state file, raw or hexadecimal."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    done = await anyio.run_process(
        [sys.executable, "-c", KILLED, str(rig.state), named],
        env={**os.environ, "TMPDIR": str(temporary)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    record = digest("bob@shop.example")

    def files_with(text: bytes) -> list[str]:
        return [
            path.name
            for path in tmp_path.rglob("*")
            if path.is_file() and text in path.read_bytes()
        ]

    assert files_with(record.encode()) == (
        [f"{rig.state.name}-1.upload"] if named == "named" else []
    )
    receipt = await rig.client.forget("bob@shop.example", state=rig.state)
    assert receipt.complete
    assert files_with(record.encode()) == []
    assert files_with(bytes.fromhex(record)) == []


async def test_file_that_does_not_fit_on_the_disk_is_deleted(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if it has a name."""
    await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    monkeypatch.setattr(delivery, "_DESCRIPTOR_DIR", rig.state / "nowhere")
    make = database.open_private

    def on_a_full_disk(path: Path, flags: int) -> int:
        os.close(make(path, flags))
        return os.open("/dev/full", os.O_RDWR)

    monkeypatch.setattr(delivery, "open_private", on_a_full_disk)
    with pytest.raises(StateError, match="No space left"):
        await rig.client.upload(ACCOUNT, people(5, 9), name=NAME, via="multipart", state=rig.state)
    assert not list(rig.state.parent.glob("*.upload"))
