"""Unusual ids, names, counters and files, and state files edited by hand."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Literal

import pytest
from support.jobs import ACCOUNT, NAME, Rig, digests, people

from pinterest_audiences import (
    ConfigurationError,
    GuardError,
    JobInterruptedError,
    JobNotFoundError,
    JobReport,
    PinterestAudiencesError,
    Plan,
    StateError,
    TooManyRejectsError,
    prepare,
)
from pinterest_audiences._jobs.reports import escaped
from pinterest_audiences._jobs.state import ListRow, State
from pinterest_audiences._models import CustomerList

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SERVICE = "https://api.pinterest.com/v5"
BAD_IDS = ["", "x", "1 ", "-1", "1.0", "²", "٣", "\ud800", "1" * 19, "1\n", 1.5, True, -1, 10**18]


@pytest.mark.parametrize("bad", BAD_IDS)
async def test_invalid_account_id_is_refused_before_sending(rig: Rig, bad: object) -> None:
    """The id of the account; `test_by_name` has the ids and names of lists."""
    client, state = rig.client, rig.state
    await client.upload(ACCOUNT, people(0, 5), name=NAME, state=state)
    before = len(rig.wire.sent)
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: client.resume(bad, state=state),  # type: ignore[arg-type]
        lambda: client.status(bad, state=state),  # type: ignore[arg-type]
        lambda: client.jobs(bad, state=state),  # type: ignore[arg-type]
        lambda: client.forget(people(0, 1), ad_account_id=bad, state=state),  # type: ignore[arg-type]
        lambda: client.forget_list(bad, name=NAME, state=state),  # type: ignore[call-overload]
        lambda: client.upload(bad, people(0, 5), name=NAME, state=state),  # type: ignore[call-overload]
        lambda: client.mirror(bad, people(0, 5), name=NAME, state=state),  # type: ignore[call-overload]
    ]
    for call in calls:
        with pytest.raises(ConfigurationError, match="must be a string of 1 to 18 digits"):
            await call()
    assert len(rig.wire.sent) == before


async def test_resume_of_an_unknown_list_is_an_error(rig: Rig) -> None:
    """A mistyped id is not the same as nothing to do."""
    await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    with pytest.raises(JobNotFoundError, match="list 77 is not in"):
        await rig.client.resume(ACCOUNT, customer_list_id=77, state=rig.state)
    assert await rig.client.resume(ACCOUNT, state=rig.state) == []
    assert await rig.client.resume(999, state=rig.state) == []


@pytest.mark.parametrize("name", ["", "  ", "a\ud800", "\udfff", 5, b"x"])
async def test_name_with_lone_surrogates_is_refused(rig: Rig, name: object) -> None:
    """They come from file names and from wrong decoding."""
    with pytest.raises(ConfigurationError, match="name"):
        await rig.client.upload(ACCOUNT, people(0, 5), name=name, state=rig.state)  # type: ignore[call-overload]
    assert rig.wire.sent == []


@pytest.mark.parametrize("value", [2**63 - 1, 2**63, 2**64, 10**30, -1])
async def test_counters_that_sqlite_cannot_store_are_ignored(rig: Rig, value: int) -> None:
    """They cause neither an error nor drift."""
    with closing(State(rig.state, SERVICE)) as state:
        row = state.get_or_create_list(ACCOUNT, "1", "a\ud800b", "created")
        assert row.name == "a\\ud800b"
        seen = CustomerList(id="1", num_batches=value, num_uploaded_user_records=value)
        state.set_counters(row.key, seen)
        expected = value if value == 2**63 - 1 else None
        assert state.list_row(row.key).batches == expected


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", r"a\nb"),
        ("\x1b[31mred\x9b0m", r"\x1b[31mred\x9b0m"),
        ("\u202egnp.exe\u2066", r"\u202egnp.exe\u2066"),
        ("a\u2028b\u0085c\ud800\u200b", r"a\u2028b\x85c\ud800\u200b"),
        ("Käufer\u3000例", "Käufer\u3000例"),
        ("👩\u200d👧", "👩\u200d👧"),
    ],
)
def test_list_names_are_escaped_in_messages_and_reports(text: str, shown: str) -> None:
    """Letters of any script and emoji stay."""
    assert escaped(text) == shown
    row = ListRow(1, SERVICE, ACCOUNT, "1", text, "created", 0, None, None, None, None, 0)
    report = JobReport(
        job_id=1,
        kind="upload",
        status="done",
        ad_account_id="1",
        customer_list_id="1",
        name=text,
        findings=(text,),
    )
    plan = Plan(job_id=1, ad_account_id="1", customer_list_id="1", name=text, blocked=text)
    for item in (row, report, plan):
        assert shown in str(item)
        assert shown == text or text not in str(item)


@pytest.mark.skipif(os.name != "posix", reason="requires POSIX file modes")
async def test_permissions_of_an_open_state_file_are_restricted(rig: Rig) -> None:
    """Its write-ahead log too."""
    await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    log = rig.state.with_name(f"{rig.state.name}-wal")
    with closing(sqlite3.connect(rig.state)) as sql:
        sql.execute("PRAGMA user_version").fetchone()
        sql.execute("SELECT * FROM list").fetchall()
        for path in (rig.state, log):
            path.touch()
            path.chmod(0o664)
        await rig.client.status(ACCOUNT, state=rig.state)
        assert [stat.S_IMODE(path.stat().st_mode) for path in (rig.state, log)] == [0o600] * 2


@pytest.mark.skipif(os.name != "posix", reason="requires POSIX file modes")
@pytest.mark.parametrize("kind", ["link", "dangling", "fifo", "directory"])
async def test_lock_that_is_not_a_regular_file_is_refused(
    rig: Rig, tmp_path: Path, kind: str
) -> None:
    """The target of a link is neither created nor truncated."""
    await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    (lock,) = rig.state.parent.glob("*.lock")
    lock.unlink()
    target = tmp_path / "target"
    if kind == "fifo":
        os.mkfifo(lock)
    elif kind == "directory":
        lock.mkdir()
    else:
        lock.symlink_to(target)
        if kind == "link":
            target.write_text("mine")
    with pytest.raises(StateError, match=r"\.lock"):
        await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    assert target.exists() == (kind == "link")
    assert kind != "link" or target.read_text() == "mine"


@pytest.mark.skipif(os.name != "posix", reason="requires POSIX file modes")
@pytest.mark.parametrize("kind", ["fifo", "directory", "device", "null", "circle"])
async def test_state_that_is_not_a_regular_file_is_refused(
    rig: Rig, tmp_path: Path, kind: str
) -> None:
    """Without waiting for a writer of a FIFO."""
    path = tmp_path / "odd"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "circle":
        path.symlink_to(path)
    with pytest.raises(StateError):
        await rig.client.jobs(
            state={"device": "/dev/null", "null": "a\0b"}.get(kind, str(path)),
        )


@pytest.mark.skipif(os.name != "posix", reason="requires POSIX file modes")
@pytest.mark.parametrize("values", [True, False])
def test_rejects_file_that_is_a_link_is_refused(tmp_path: Path, values: bool) -> None:
    """The target of the link is not changed."""
    target, link = tmp_path / "target", tmp_path / "rejects.csv"
    target.write_text("mine")
    link.symlink_to(target)
    with pytest.raises(PinterestAudiencesError, match="rejects cannot be written"):
        prepare(["x"], rejects_to=link, reject_values=values).run()
    assert target.read_text() == "mine"
    link.unlink()
    link.write_text("an earlier and longer text of rejects\n" * 9)
    prepare(["x"], rejects_to=link, reject_values=values).run()
    assert link.read_text().splitlines()[0].startswith("row,reason")
    assert "earlier" not in link.read_text()


@pytest.mark.parametrize("operation", ["ADD", "REMOVE"])
@pytest.mark.parametrize("source", [["x", "y"], ["", None], ["x", ""]])
async def test_upload_of_rejects_only_is_an_error(
    rig: Rig, operation: Literal["ADD", "REMOVE"], source: list[str | None]
) -> None:
    """Nothing is sent, and the reasons are in the message."""
    with pytest.raises(TooManyRejectsError, match="2 of 2 values were rejected") as caught:
        await rig.client.upload(
            ACCOUNT,
            prepare(source, max_reject_share=1.0),
            name=NAME,
            operation=operation,
            state=rig.state,
        )
    assert caught.value.rejected == 2
    assert rig.wire.sent == []


async def test_upload_reports_rejected_values_by_reason(rig: Rig) -> None:
    """As a finding."""
    source = prepare([*people(0, 5), "x", ""], max_reject_share=1.0)
    report = await rig.client.upload(ACCOUNT, source, name=NAME, state=rig.state)
    assert report.findings == ("2 of 7 values were rejected: 1 empty, 1 no_at_sign",)
    assert report.rejected == 2
    assert await rig.members() == digests(people(0, 5))


MAIDS = [f"{number:08x}-1234-4abc-8def-0123456789ab" for number in range(1, 40)]


async def test_device_ids_into_a_list_of_emails_are_refused(rig: Rig) -> None:
    """By upload and mirror, unless the option allows it; removals are not refused."""
    client, state = rig.client, rig.state
    await client.upload(ACCOUNT, people(0, 5), name=NAME, state=state)
    before = len(rig.wire.writes)
    with pytest.raises(GuardError, match="allow_other_type=True") as caught:
        await client.upload(ACCOUNT, MAIDS, kind="maid", name=NAME, state=state)
    assert caught.value.guard == "list_type"
    with pytest.raises(GuardError, match="allow_other_type=True"):
        await client.plan_mirror(ACCOUNT, MAIDS, kind="maid", name=NAME, state=state)
    with pytest.raises(GuardError, match="allow_other_type=True"):
        await client.mirror(ACCOUNT, MAIDS, kind="maid", name=NAME, state=state)
    assert len(rig.wire.writes) == before
    await client.upload(ACCOUNT, MAIDS, kind="maid", name=NAME, allow_other_type=True, state=state)
    await client.upload(
        ACCOUNT,
        MAIDS,
        kind="maid",
        name=NAME,
        operation="REMOVE",
        allow_removals=True,
        state=state,
    )
    assert await rig.members() == digests(people(0, 5))
    await client.upload(ACCOUNT, MAIDS, kind="maid", name="Devices", state=state)
    await client.mirror(ACCOUNT, MAIDS, kind="maid", name="Devices", state=state)


TABLES = {
    "list": ["service", "ad_account_id", "customer_list_id", "name", "origin", "version",
             "batches", "uploaded", "removed", "batch_size", "missing"],
    "job": ["list_id", "kind", "status", "version", "created", "finished", "plan", "newest_id",
            "calls", "rate_limited", "budget_seconds", "bytes", "findings"],
    "batch": ["job_id", "list_id", "seq", "operation", "form", "count", "low", "high", "status",
              "sends", "folded", "acknowledged"],
    "content": ["keys"],
    "segment": ["list_id", "form", "first", "last", "sure_count", "maybe_count", "maybe", "sure"],
}  # fmt: skip
ODD: list[object] = ["odd", "[]", 1.5, -1, 2**62, b"\x00\x01", None]


@pytest.fixture
async def worn(rig: Rig, small_batches: int) -> Path:
    """A state file with a segment, a finished, an unfinished and a planned job."""
    await rig.client.upload(ACCOUNT, people(0, 30), name=NAME, state=rig.state)
    await rig.client.mirror(ACCOUNT, people(0, 25), name=NAME, state=rig.state)
    rig.emulator.fault("status", status=403, operation="customer_lists_update", after=1)
    with pytest.raises(JobInterruptedError):
        await rig.client.upload(ACCOUNT, people(25, 60), name=NAME, state=rig.state)
    rig.emulator.faults.clear()
    await rig.client.plan_mirror(ACCOUNT, people(0, 70), name=NAME, state=rig.state)
    with closing(sqlite3.connect(rig.state)) as sql:
        sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return rig.state


async def everything(rig: Rig, state: Path, plan: int) -> None:
    """Run every job on a state file; errors must be the package's own."""
    client = rig.client
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: client.status(ACCOUNT, state=state),
        lambda: client.jobs(state=state),
        lambda: client.plan_mirror(ACCOUNT, people(0, 20), name=NAME, state=state),
        lambda: client.resume(ACCOUNT, state=state),
        lambda: client.upload(ACCOUNT, people(0, 5), name=NAME, state=state, retry_timeout=1),
        lambda: client.mirror(
            ACCOUNT, people(0, 20), name=NAME, adopt=True, allow_removals=True, state=state
        ),
        lambda: client.forget(people(3, 4), state=state),
        lambda: client.abandon(plan, state=state),
        lambda: client.forget_list(ACCOUNT, name=NAME, state=state),
    ]
    for call in calls:
        with suppress(PinterestAudiencesError):
            for item in result if isinstance(result := await call(), list) else [result]:
                str(item)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(("table", "column"), [(t, c) for t in TABLES for c in TABLES[t]])
async def test_edited_state_file_raises_errors_of_this_package(
    rig: Rig, worn: Path, table: str, column: str
) -> None:
    """Whatever a value was changed to, in every column of every table."""
    for number, odd in enumerate(ODD):
        state = worn.with_name(f"odd-{number}.sqlite3")
        shutil.copy(worn, state)
        connection = sqlite3.connect(state, isolation_level=None)
        with closing(connection) as sql, suppress(sqlite3.IntegrityError):
            sql.execute(f"UPDATE {table} SET {column} = ?", (odd,))
        await everything(rig, state, 3)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("table", TABLES)
async def test_missing_rows_in_the_state_file_raise_errors_of_this_package(
    rig: Rig, worn: Path, table: str
) -> None:
    """In any table, or the table itself."""
    for number, statement in enumerate((f"DELETE FROM {table}", f"DROP TABLE {table}")):
        state = worn.with_name(f"missing-{number}.sqlite3")
        shutil.copy(worn, state)
        with closing(sqlite3.connect(state, isolation_level=None)) as sql:
            sql.execute("PRAGMA foreign_keys = OFF")
            sql.execute(statement)
        await everything(rig, state, 3)
