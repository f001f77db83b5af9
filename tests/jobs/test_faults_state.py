"""State files that cannot be used: nothing is sent; the error says which file and what to do."""

from __future__ import annotations

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
from pinterest_audiences.jobs.database import Database, state_path
from pinterest_audiences.jobs.locks import list_lock
from pinterest_audiences.jobs.schema import VERSION

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_batches")]

NOBODY = 65_534


@contextmanager
def somebody() -> Iterator[None]:
    """Be a user whom modes of files mean something to."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory of that user's, in a place that he can reach."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)
        yield path


async def refuses(rig: Rig, state: Path, words: str, *, told: Path | None = None) -> StateError:
    """Expect each kind of job to refuse a state file before anything is written to Pinterest."""
    with pytest.raises(StateError, match=words) as refused:
        await rig.client.upload(ACCOUNT, people(0, 25), name=NAME, state=state)
    assert str(told or state) in str(refused.value)
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


async def test_a_state_file_that_cannot_be_written(rig: Rig, home: Path) -> None:
    """Read-only, in a directory that is not."""
    state = home / "jobs.sqlite3"
    with somebody():
        await rig.client.status(ACCOUNT, state=state)
        state.chmod(0o400)
        await refuses(rig, state, "check its owner, its mode")


async def test_a_directory_that_cannot_be_written(rig: Rig, home: Path) -> None:
    """With a state file in it, or with none yet."""
    state = home / "jobs.sqlite3"
    with somebody():
        await rig.client.status(ACCOUNT, state=state)
        home.chmod(0o500)  # noqa: ASYNC240 - at once
        await refuses(rig, home / "new.sqlite3", "check its owner, its mode")
        with pytest.raises(StateError, match="check its owner, its mode"):
            await rig.client.upload(ACCOUNT, people(0, 25), name=NAME, state=state)
        await refuses(rig, home / "deep" / "jobs.sqlite3", "check its", told=home / "deep")
        home.chmod(0o700)  # noqa: ASYNC240 - at once


@pytest.mark.skipif(sys.platform == "win32", reason="flock is of POSIX")
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EIO])
async def test_a_disk_without_locks_is_not_taken_for_a_busy_list(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Nobody works on it: waiting, or stopping a process, would not help."""

    def refused(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", refused)
    with pytest.raises(StateError, match=r"local disk") as told:
        await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    assert f"cannot be locked ({os.strerror(number)})" in told.value.reason
    assert told.value.path.endswith(".lock")
    assert rig.wire.writes == []


async def test_a_list_that_is_locked_is_busy(rig: Rig) -> None:
    """Whose process works on it is told."""
    await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    (key,) = ask(rig.state, "SELECT id FROM list")[0]
    with list_lock(rig.state, int(str(key)), "a list"), pytest.raises(ListBusyError) as told:
        await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    assert told.value.pid == os.getpid()


async def test_a_path_that_is_no_file(rig: Rig, tmp_path: Path) -> None:
    """A directory, or something below a file."""
    (tmp_path / "file").write_text("x")
    await refuses(rig, tmp_path, "name another file")
    await refuses(rig, tmp_path / "file" / "jobs.sqlite3", "name another", told=tmp_path / "file")


async def test_a_state_file_of_a_newer_version(rig: Rig) -> None:
    """It may hold what this version does not understand; it is left as it is."""
    await rig.client.status(ACCOUNT, state=rig.state)
    with closing(sqlite3.connect(rig.state)) as sql:
        sql.execute(f"PRAGMA user_version = {VERSION + 1}")
    before = rig.state.read_bytes()
    await refuses(rig, rig.state, f"newer version .*schema {VERSION + 1}.*upgrade it")
    assert rig.state.read_bytes() == before


async def test_another_programs_database(rig: Rig) -> None:
    """It is not written to."""
    rig.state.parent.mkdir()
    with closing(sqlite3.connect(rig.state)) as sql:
        sql.executescript("CREATE TABLE places (url TEXT); INSERT INTO places VALUES ('x');")
    before = rig.state.read_bytes()
    await refuses(rig, rig.state, "some other program's database; name another file")
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
async def test_a_file_that_is_no_database(rig: Rig, damage: bytes) -> None:
    """It is not overwritten: it may be a copy that went wrong, or somebody's letter."""
    rig.state.parent.mkdir()
    rig.state.write_bytes(damage)
    await refuses(rig, rig.state, "restore a copy, or move it away")
    assert rig.state.read_bytes() == damage


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
async def test_a_truncated_state_file(rig: Rig, share: float) -> None:
    """A disk that was full, or a copy that was made half-way."""
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


async def test_an_empty_file_becomes_a_state_file(rig: Rig) -> None:
    """As `mktemp` makes one."""
    rig.state.parent.mkdir()
    rig.state.touch(0o600)
    await rig.client.upload(ACCOUNT, people(0, 25), name=NAME, state=rig.state)
    assert await rig.members() == digests(people(0, 25))


@contextmanager
def full_after(pages: int, state: Path) -> Iterator[None]:
    """Let the file grow by so many pages, and no more; SQLite says then that the disk is full."""
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
async def test_a_full_disk_stops_a_job_and_loses_nothing(rig: Rig, pages: int) -> None:
    """While it is planned or while it is sent; with room it goes on, or is begun again."""
    await rig.client.mirror(ACCOUNT, people(0, 300), name=NAME, state=rig.state)
    wanted = people(150, 900)
    with full_after(pages, rig.state), pytest.raises(StateError, match="disk is full; make room"):
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
    """Write until nothing more fits."""
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4_096)):
            pass


def make_room(place: Path) -> None:
    """Let the file system be larger."""
    subprocess.run(["mount", "-o", "remount,size=32m", str(place)], check=True)


async def test_a_disk_that_is_really_full(rig: Rig, tiny_disk: Path) -> None:
    """Filled to its last byte between two jobs, or by a job itself."""
    state, ballast = tiny_disk / "jobs.sqlite3", tiny_disk / "ballast"
    await rig.client.mirror(ACCOUNT, people(0, 150), name=NAME, state=state)
    writes = len(rig.wire.writes)
    with pytest.raises(StateError, match="disk is full"):
        await rig.client.mirror(ACCOUNT, people(0, 30_000), name=NAME, state=state)
    fill(ballast)
    with pytest.raises(StateError, match="make room"):
        await rig.client.upload(ACCOUNT, people(150, 300), name=NAME, state=state)
    assert len(rig.wire.writes) == writes
    make_room(tiny_disk)
    await rig.client.mirror(ACCOUNT, people(5, 155), name=NAME, state=state)
    assert await rig.members() == digests(people(5, 155))


async def test_a_disk_that_fills_up_while_batches_are_sent(rig: Rig, tiny_disk: Path) -> None:
    """The batch whose receipt could not be written is in doubt; nothing else is."""
    state, ballast = tiny_disk / "jobs.sqlite3", tiny_disk / "ballast"
    await rig.client.mirror(ACCOUNT, people(0, 150), name=NAME, state=state)
    begun = len(rig.wire.sent)

    async def fills(wire: Wire) -> None:
        if len(wire.sent) == begun + 5:
            fill(ballast)

    rig.wire.before = fills
    with pytest.raises(StateError, match="disk is full; make room and resume"):
        await rig.client.mirror(ACCOUNT, people(30, 230), name=NAME, state=state)
    ballast.unlink()
    (report,) = await rig.client.resume(ACCOUNT, state=state)
    assert await rig.members() == digests(people(30, 230))
    assert (report.status, report.added, report.removed) == ("done", 80, 30)
    assert report.sent_twice == 10
    assert adds_up(report)


def test_the_place_of_the_state_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The argument, a variable, then the user's own directory for such things."""
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("PINTEREST_AUDIENCES_STATE", str(tmp_path / "var.sqlite3"))
    assert state_path(tmp_path / "arg.sqlite3") == tmp_path / "arg.sqlite3"
    assert state_path(None) == tmp_path / "var.sqlite3"
    monkeypatch.delenv("PINTEREST_AUDIENCES_STATE")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_path(None) == tmp_path / "pinterest-audiences" / "state.sqlite3"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "ann"))
    home = tmp_path / "ann" / ".local" / "state"
    assert state_path(None) == home / "pinterest-audiences" / "state.sqlite3"


async def test_the_state_file_of_the_user_is_made_where_it_belongs(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With its directories, readable by nobody else."""
    monkeypatch.delenv("PINTEREST_AUDIENCES_STATE", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    await rig.client.upload(ACCOUNT, people(0, 5), name=NAME)
    made = tmp_path / "xdg" / "pinterest-audiences" / "state.sqlite3"
    assert made.stat().st_mode & 0o777 == 0o600
    assert made.parent.stat().st_mode & 0o777 == 0o700
