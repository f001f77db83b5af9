"""State files that cannot be used: nothing is sent; the error has the file and a solution."""

from __future__ import annotations

import codecs
import errno
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from support.jobs import ACCOUNT, NAME, Rig, Wire, adds_up, ask, digests, people

from pinterest_audiences import ListBusyError, StateError
from pinterest_audiences._config import state_file
from pinterest_audiences._jobs import keys
from pinterest_audiences._jobs.database import MIN_SCHEMA_VERSION, SCHEMA_VERSION, Database
from pinterest_audiences._jobs.state import list_lock

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_batches")]

_UNPRIVILEGED_UID = 65_534
# Imported lazily otherwise, by then as a user who may not be allowed to read Python's library.
codecs.lookup("punycode")


@contextmanager
def unprivileged() -> Iterator[None]:
    """Run as a user who is not root, so that file modes are enforced."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(_UNPRIVILEGED_UID)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory of that user, in a path that is accessible to them."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        if os.geteuid() == 0:
            os.chown(path, _UNPRIVILEGED_UID, _UNPRIVILEGED_UID)
        yield path


async def refuses(rig: Rig, state: Path, words: str, *, named: Path | None = None) -> StateError:
    """Expect each kind of job to refuse a state file before anything is written to Pinterest."""
    with pytest.raises(StateError, match=words) as refused:
        await rig.client.upload(ACCOUNT, people(0, 25), name=NAME, state=state)
    assert str(named or state) in str(refused.value)
    assert refused.value.reason in str(refused.value)
    assert "\n" not in str(refused.value)
    for job in (
        rig.client.mirror(ACCOUNT, people(0, 25), name=NAME, state=state),
        rig.client.resume(ACCOUNT, state=state),
        rig.client.status(ACCOUNT, state=state),
        rig.client.forget(people(0, 1), state=state),
    ):
        with pytest.raises(StateError):
            await job
    assert rig.wire.writes == []
    return refused.value


async def test_read_only_state_file_is_refused(rig: Rig, home: Path) -> None:
    """In a directory that is writable."""
    state = home / "jobs.sqlite3"
    with unprivileged():
        await rig.client.status(ACCOUNT, state=state)
        state.chmod(0o400)
        await refuses(rig, state, "check its owner, its mode")


async def test_read_only_directory_of_the_state_file_is_refused(rig: Rig, home: Path) -> None:
    """With an existing state file, and without one."""
    state = home / "jobs.sqlite3"
    with unprivileged():
        await rig.client.status(ACCOUNT, state=state)
        home.chmod(0o500)  # noqa: ASYNC240 - at once
        await refuses(rig, home / "new.sqlite3", "check its owner, its mode")
        with pytest.raises(StateError, match="check its owner, its mode"):
            await rig.client.upload(ACCOUNT, people(0, 25), name=NAME, state=state)
        await refuses(rig, home / "deep" / "jobs.sqlite3", "check its", named=home / "deep")
        home.chmod(0o700)  # noqa: ASYNC240 - at once


@pytest.mark.skipif(sys.platform == "win32", reason="flock requires POSIX")
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EIO])
async def test_file_system_without_locks_raises_state_error_and_not_list_busy(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Waiting, or stopping a process, would not help."""

    def refused(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", refused)
    with pytest.raises(StateError, match=r"local disk") as caught:
        await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    assert f"cannot be locked ({os.strerror(number)})" in caught.value.reason
    assert caught.value.path.endswith(".lock")
    assert rig.wire.writes == []


async def test_locked_list_raises_list_busy_error_with_the_pid(rig: Rig) -> None:
    await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    (key,) = ask(rig.state, "SELECT id FROM list")[0]
    with list_lock(rig.state, int(str(key)), "a list"), pytest.raises(ListBusyError) as caught:
        await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    assert caught.value.pid == os.getpid()


async def test_state_path_that_is_not_a_file_is_refused(rig: Rig, tmp_path: Path) -> None:
    """A directory, or a path below a file."""
    (tmp_path / "file").write_text("x")
    await refuses(rig, tmp_path, "use another file")
    await refuses(rig, tmp_path / "file" / "jobs.sqlite3", "use another", named=tmp_path / "file")


async def test_state_file_of_a_newer_version_is_refused_and_left_unchanged(rig: Rig) -> None:
    """It may contain what this version cannot read."""
    await rig.client.status(ACCOUNT, state=rig.state)
    with closing(sqlite3.connect(rig.state)) as sql:
        sql.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = rig.state.read_bytes()
    await refuses(
        rig, rig.state, f"newer version .*schema {SCHEMA_VERSION + 1}.*upgrade the package"
    )
    assert rig.state.read_bytes() == before


@pytest.mark.parametrize("version", range(MIN_SCHEMA_VERSION))
async def test_state_file_of_a_pre_release_is_refused_and_left_unchanged(
    rig: Rig, version: int
) -> None:
    await rig.client.status(ACCOUNT, state=rig.state)
    with closing(sqlite3.connect(rig.state)) as sql:
        sql.execute(f"PRAGMA user_version = {version}")
    before = rig.state.read_bytes()
    await refuses(rig, rig.state, f"pre-release .*schema {version}.*move it away")
    assert rig.state.read_bytes() == before


async def test_new_plan_deletes_the_keys_of_the_previous_plan(rig: Rig) -> None:
    """Batches and keys of a plan that was never applied are deleted with it."""
    await rig.client.plan_mirror(ACCOUNT, people(0, 40), name=NAME, state=rig.state)
    await rig.client.plan_mirror(ACCOUNT, people(0, 10), name=NAME, state=rig.state)
    assert ask(rig.state, "SELECT count(*), sum(length(keys)) FROM content") == [(1, 320)]
    assert ask(rig.state, "PRAGMA foreign_key_check") == []
    (sequence,) = ask(rig.state, "SELECT seq FROM sqlite_sequence WHERE name = 'batch'")
    assert sequence == (5,)


async def test_database_of_another_program_is_refused_and_left_unchanged(rig: Rig) -> None:
    rig.state.parent.mkdir()
    with closing(sqlite3.connect(rig.state)) as sql:
        sql.executescript("CREATE TABLE places (url TEXT); INSERT INTO places VALUES ('x');")
    before = rig.state.read_bytes()
    await refuses(rig, rig.state, "database of another program; use another file")
    assert rig.state.read_bytes() == before


@pytest.mark.parametrize(
    "damage",
    [
        b"no database at all, but long enough to be looked at " * 40,
        b"\x00" * 8_192,
        b"SQLite format 3\x00" + b"\xff" * 5_000,
    ],
    ids=["text", "zeros", "header"],
)
async def test_file_that_is_not_a_database_is_refused_and_left_unchanged(
    rig: Rig, damage: bytes
) -> None:
    """It may be a damaged copy, or any other file."""
    rig.state.parent.mkdir()
    rig.state.write_bytes(damage)
    await refuses(rig, rig.state, "restore a copy, or move it away")
    assert rig.state.read_bytes() == damage


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
async def test_truncated_state_file_is_refused(rig: Rig, share: float) -> None:
    """After a full disk, or an incomplete copy."""
    await rig.client.mirror(ACCOUNT, people(0, 900), name=NAME, state=rig.state)
    await rig.client.mirror(ACCOUNT, people(1, 900), name=NAME, state=rig.state)
    whole = rig.state.read_bytes()
    rig.state.write_bytes(whole[: int(len(whole) * share)])
    begun = len(rig.wire.writes)
    with pytest.raises(StateError, match="restore a copy, or move it away"):
        await rig.client.mirror(ACCOUNT, people(2, 900), name=NAME, state=rig.state)
    assert len(rig.wire.writes) == begun
    rig.state.write_bytes(whole)
    await rig.client.mirror(ACCOUNT, people(2, 900), name=NAME, state=rig.state)
    assert await rig.members() == digests(people(2, 900))


async def test_empty_file_becomes_a_state_file(rig: Rig) -> None:
    """As `mktemp` creates one."""
    rig.state.parent.mkdir()
    rig.state.touch(0o600)
    await rig.client.upload(ACCOUNT, people(0, 25), name=NAME, state=rig.state)
    assert await rig.members() == digests(people(0, 25))


@contextmanager
def full_after(pages: int, state: Path) -> Iterator[None]:
    """Limit the growth of the file to some pages; then SQLite reports a full disk."""
    original = Database.__init__

    def limited(self: Database, path: Path) -> None:
        original(self, path)
        if path == state:
            (count,) = self._sql.execute("PRAGMA page_count").fetchone()
            self._sql.execute(f"PRAGMA max_page_count = {count + pages}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "__init__", limited)
        yield


@pytest.mark.parametrize("pages", [0, 1, 2])
async def test_full_disk_interrupts_a_job_without_loss(rig: Rig, pages: int) -> None:
    """While it is planned or sent; with free space it is resumed, or started again."""
    await rig.client.mirror(ACCOUNT, people(0, 300), name=NAME, state=rig.state)
    wanted = people(150, 900)
    with (
        full_after(pages, rig.state),
        pytest.raises(StateError, match="disk is full; free some space"),
    ):
        await rig.client.mirror(ACCOUNT, wanted, name=NAME, allow_removals=True, state=rig.state)
    await rig.client.resume(ACCOUNT, state=rig.state)
    (found,) = await rig.client.status(ACCOUNT, state=rig.state)
    assert found.settled
    await rig.client.mirror(ACCOUNT, wanted, name=NAME, allow_removals=True, state=rig.state)
    assert await rig.members() == digests(wanted)
    assert all(adds_up(job) for job in found.jobs)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few hundred kilobytes."""
    mount, place = shutil.which("mount"), tmp_path / "disk"
    place.mkdir()
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(place)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def fill(ballast: Path) -> None:
    """Write until the disk is full."""
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4_096)):
            pass


def make_room(place: Path) -> None:
    """Enlarge the file system."""
    subprocess.run(["mount", "-o", "remount,size=32m", str(place)], check=True)


async def test_job_on_a_full_file_system_can_be_resumed(rig: Rig, tiny_disk: Path) -> None:
    """Filled to its last byte between two jobs, or by a job itself."""
    state, ballast = tiny_disk / "jobs.sqlite3", tiny_disk / "ballast"
    await rig.client.mirror(ACCOUNT, people(0, 150), name=NAME, state=state)
    writes = len(rig.wire.writes)
    with pytest.raises(StateError, match="disk is full"):
        await rig.client.mirror(ACCOUNT, people(0, 30_000), name=NAME, state=state)
    fill(ballast)
    with pytest.raises(StateError, match="free some space"):
        await rig.client.upload(ACCOUNT, people(150, 300), name=NAME, state=state)
    assert len(rig.wire.writes) == writes
    make_room(tiny_disk)
    await rig.client.mirror(ACCOUNT, people(5, 155), name=NAME, state=state)
    assert await rig.members() == digests(people(5, 155))


async def test_temporary_file_that_fills_the_disk_is_deleted(
    rig: Rig, tiny_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source does not fit next to the state file; nothing is sent, and the space is free."""
    monkeypatch.setattr(keys, "_IN_MEMORY", 5_000)
    state = tiny_disk / "jobs.sqlite3"
    await rig.client.mirror(ACCOUNT, people(0, 150), name=NAME, state=state)
    writes, free = len(rig.wire.writes), shutil.disk_usage(tiny_disk).free
    with pytest.raises(StateError, match=r"No space left.*; free some space for a temp"):
        await rig.client.mirror(ACCOUNT, people(0, 60_000), name=NAME, state=state)
    assert len(rig.wire.writes) == writes
    assert shutil.disk_usage(tiny_disk).free >= free - 65_536  # of the log of the state file
    await rig.client.mirror(ACCOUNT, people(5, 155), name=NAME, state=state)
    assert await rig.members() == digests(people(5, 155))


async def test_disk_that_becomes_full_leaves_only_one_batch_unconfirmed(
    rig: Rig, tiny_disk: Path
) -> None:
    """The one whose acknowledgement could not be written."""
    state, ballast = tiny_disk / "jobs.sqlite3", tiny_disk / "ballast"
    await rig.client.mirror(ACCOUNT, people(0, 150), name=NAME, state=state)
    begun = len(rig.wire.sent)

    async def fills(wire: Wire) -> None:
        if len(wire.sent) == begun + 5:
            fill(ballast)

    rig.wire.before = fills
    with pytest.raises(StateError, match="disk is full; free some space and resume"):
        await rig.client.mirror(ACCOUNT, people(30, 230), name=NAME, state=state)
    ballast.unlink()
    (report,) = await rig.client.resume(ACCOUNT, state=state)
    assert await rig.members() == digests(people(30, 230))
    assert (report.status, report.added, report.removed) == ("done", 80, 30)
    assert report.sent_twice == 10
    assert adds_up(report)


def test_state_path_is_argument_then_variable_then_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("PINTEREST_AUDIENCES_STATE", str(tmp_path / "var.sqlite3"))
    assert state_file(tmp_path / "arg.sqlite3") == tmp_path / "arg.sqlite3"
    assert state_file(None) == tmp_path / "var.sqlite3"
    monkeypatch.delenv("PINTEREST_AUDIENCES_STATE")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_file(None) == tmp_path / "pinterest-audiences" / "state.sqlite3"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "ann"))
    home = tmp_path / "ann" / ".local" / "state"
    assert state_file(None) == home / "pinterest-audiences" / "state.sqlite3"


async def test_default_state_file_and_its_directories_are_created_private(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PINTEREST_AUDIENCES_STATE", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    await rig.client.upload(ACCOUNT, people(0, 5), name=NAME)
    made = tmp_path / "xdg" / "pinterest-audiences" / "state.sqlite3"
    assert made.stat().st_mode & 0o777 == 0o600
    assert made.parent.stat().st_mode & 0o777 == 0o700
