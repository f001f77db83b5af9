"""Where the state file is, and who may read it."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest
from support.jobs import ACCOUNT, NAME, Rig, make_rig, people

from pinterest_audiences import ConfigurationError
from pinterest_audiences.jobs.database import state_path

pytestmark = pytest.mark.anyio

posix = pytest.mark.skipif(os.name != "posix", reason="there are no POSIX modes here")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without settings."""
    for name in ("PINTEREST_AUDIENCES_STATE", "XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    return tmp_path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@posix
async def test_nobody_else_may_read_the_state(rig: Rig) -> None:
    """Whatever the umask: the file, SQLite's companions during a job, the locks, the directory."""
    modes: dict[str, int] = {}

    async def look() -> None:
        for path in rig.state.parent.iterdir():
            modes[path.name.removeprefix(rig.state.name)] = mode(path)

    rig.wire.before = lambda _: look()
    before = os.umask(0)
    try:
        await rig.client.upload(ACCOUNT, people(0, 50), name=NAME, state=rig.state)
    finally:
        os.umask(before)
    await look()
    assert modes == {"": 0o600, "-wal": 0o600, "-shm": 0o600, "-1.lock": 0o600}
    assert mode(rig.state.parent) == 0o700


@posix
async def test_a_directory_that_is_there_keeps_its_mode(rig: Rig) -> None:
    """It is somebody's own; the file in it is private all the same."""
    rig.state.parent.mkdir(mode=0o755)
    await rig.client.upload(ACCOUNT, people(0, 50), name=NAME, state=rig.state)
    assert (mode(rig.state.parent), mode(rig.state)) == (0o755, 0o600)


async def test_jobs_find_the_state_by_the_environment(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one job has kept in the user's own file, the next one finds; an argument goes first."""
    rig = make_rig(home / "unused")
    async with rig.client:
        await rig.client.upload(ACCOUNT, people(0, 5), name=NAME)
        assert [each.records for each in await rig.client.status(ACCOUNT)] == [5]
        monkeypatch.setenv("PINTEREST_AUDIENCES_STATE", str(home / "mine"))
        assert await rig.client.status(ACCOUNT) == []
        assert await rig.client.status(ACCOUNT, state=home / "other") == []
    assert state_path(None) == home / "mine"
    assert (home / "mine").exists()
    assert (home / "other").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has a place of its own")
def test_the_user_has_a_state_of_its_own(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the XDG base directory specification says, which wants relative paths to be ignored."""
    usual = home / ".local" / "state" / "pinterest-audiences" / "state.sqlite3"
    assert state_path(None) == usual
    monkeypatch.setenv("XDG_STATE_HOME", "somewhere/relative")
    assert state_path(None) == usual
    monkeypatch.setenv("XDG_STATE_HOME", "")
    assert state_path(None) == usual
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    assert state_path(None) == home / "state" / "pinterest-audiences" / "state.sqlite3"
    monkeypatch.setenv("PINTEREST_AUDIENCES_STATE", "relative.sqlite3")
    assert state_path(None) == Path("relative.sqlite3")
    assert state_path("given") == Path("given")


def test_a_tilde_in_the_environment_is_the_users_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No shell has expanded it in a unit file or a container's settings."""
    monkeypatch.setenv("USERPROFILE" if sys.platform == "win32" else "HOME", str(tmp_path))
    monkeypatch.setenv("PINTEREST_AUDIENCES_STATE", "~/jobs/state.sqlite3")
    assert state_path(None) == tmp_path / "jobs" / "state.sqlite3"


@posix
@pytest.mark.parametrize("said", [None, "~/state.sqlite3", "~nosuchuser/state.sqlite3"])
async def test_a_user_without_a_home_is_told_what_to_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str | None
) -> None:
    """As in a container that runs under some number; before anything is read or sent."""

    def unknown(who: object) -> None:
        raise KeyError(who)

    for name in ("HOME", "XDG_STATE_HOME", "PINTEREST_AUDIENCES_STATE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    if said is not None:
        monkeypatch.setenv("PINTEREST_AUDIENCES_STATE", said)
    rig = make_rig(tmp_path / "unused")
    async with rig.client:
        for work in (
            rig.client.upload(ACCOUNT, people(0, 5), name=NAME),
            rig.client.status(ACCOUNT),
        ):
            with pytest.raises(ConfigurationError, match="set HOME, XDG_STATE_HOME, or PINTEREST"):
                await work
    assert rig.wire.sent == []
    monkeypatch.setenv("PINTEREST_AUDIENCES_STATE", str(tmp_path / "given"))
    assert state_path(None) == tmp_path / "given"


@posix
async def test_the_temporary_file_of_a_large_source_has_no_name(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its keys lie beside the state while the job runs, and nobody finds them there."""
    monkeypatch.setattr("pinterest_audiences.jobs.spool._IN_MEMORY", 100)
    seen: set[str] = set()

    async def look() -> None:
        seen.update(path.name for path in rig.state.parent.iterdir())

    rig.wire.before = lambda _: look()
    await rig.client.upload(ACCOUNT, people(0, 5000), name=NAME, state=rig.state)
    assert {name.removeprefix(rig.state.name) for name in seen} == {"", "-wal", "-shm", "-1.lock"}
