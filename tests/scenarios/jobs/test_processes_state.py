"""The location of the state file, and its permissions."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.jobs import ACCOUNT, NAME, Rig, Wire, make_rig, people

from pinterest_audiences import ConfigurationError
from pinterest_audiences._config import state_file

pytestmark = pytest.mark.anyio

posix = pytest.mark.skipif(os.name != "posix", reason="requires POSIX file modes")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory without settings."""
    for name in ("PINTEREST_AUDIENCES_STATE", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "USERPROFILE", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path))
    return tmp_path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@posix
async def test_state_file_is_private_whatever_the_umask(rig: Rig) -> None:
    """The file, SQLite's companions during a job, the locks, and the directory."""
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
async def test_existing_directory_keeps_its_mode(rig: Rig) -> None:
    """The file in it is private nevertheless."""
    rig.state.parent.mkdir(mode=0o755)
    await rig.client.upload(ACCOUNT, people(0, 50), name=NAME, state=rig.state)
    assert (mode(rig.state.parent), mode(rig.state)) == (0o755, 0o600)


async def test_jobs_use_the_state_file_of_the_environment_variable(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job sees what the previous one stored there; an argument has priority."""
    rig = make_rig(home / "unused")
    async with rig.client:
        await rig.client.upload(ACCOUNT, people(0, 5), name=NAME)
        assert [item.records for item in await rig.client.status(ACCOUNT)] == [5]
        monkeypatch.setenv("PINTEREST_AUDIENCES_STATE", str(home / "mine"))
        assert await rig.client.status(ACCOUNT) == []
        assert await rig.client.status(ACCOUNT, state=home / "other") == []
    assert state_file(None) == home / "mine"
    assert (home / "mine").exists()
    assert (home / "other").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="the default differs on Windows")
def test_default_state_path_follows_the_xdg_specification(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It requires that relative paths are ignored."""
    usual = home / ".local" / "state" / "pinterest-audiences" / "state.sqlite3"
    assert state_file(None) == usual
    monkeypatch.setenv("XDG_STATE_HOME", "somewhere/relative")
    assert state_file(None) == usual
    monkeypatch.setenv("XDG_STATE_HOME", "")
    assert state_file(None) == usual
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    assert state_file(None) == home / "state" / "pinterest-audiences" / "state.sqlite3"
    monkeypatch.setenv("PINTEREST_AUDIENCES_STATE", "relative.sqlite3")
    assert state_file(None) == Path("relative.sqlite3")
    assert state_file("given") == Path("given")


def test_tilde_in_the_environment_variable_is_expanded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A unit file or the settings of a container are not expanded by a shell."""
    monkeypatch.setenv("USERPROFILE" if sys.platform == "win32" else "HOME", str(tmp_path))
    monkeypatch.setenv("PINTEREST_AUDIENCES_STATE", "~/jobs/state.sqlite3")
    assert state_file(None) == tmp_path / "jobs" / "state.sqlite3"


@posix
@pytest.mark.parametrize("said", [None, "~/state.sqlite3", "~nosuchuser/state.sqlite3"])
async def test_user_without_home_directory_gets_an_error_that_names_the_variables(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str | None
) -> None:
    """As in a container that runs with an arbitrary user id; before anything is read or sent."""

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
            with pytest.raises(ConfigurationError, match="PINTEREST_AUDIENCES_STATE") as raised:
                await work
            assert "set HOME" in str(raised.value)
    assert rig.wire.sent == []
    monkeypatch.setenv("PINTEREST_AUDIENCES_STATE", str(tmp_path / "given"))
    assert state_file(None) == tmp_path / "given"


@posix
async def test_temporary_file_of_a_large_source_has_no_name(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No directory entry appears next to the state file while the job runs."""
    monkeypatch.setattr("pinterest_audiences._jobs.keys._IN_MEMORY", 100)
    seen: set[str] = set()

    async def look() -> None:
        seen.update(path.name for path in rig.state.parent.iterdir())

    rig.wire.before = lambda _: look()
    await rig.client.upload(ACCOUNT, people(0, 5000), name=NAME, state=rig.state)
    assert {name.removeprefix(rig.state.name) for name in seen} == {"", "-wal", "-shm", "-1.lock"}


@pytest.mark.skipif(sys.platform != "linux", reason="finds files without names in /proc")
@pytest.mark.parametrize("operation", ["upload", "mirror"])
async def test_temporary_file_of_a_large_source_is_deleted_before_records_are_sent(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    """Sending takes hours for millions of records, and needs the disk space no more."""
    monkeypatch.setattr("pinterest_audiences._jobs.keys._IN_MEMORY", 100)
    planning, sending = set[str](), set[str]()

    def unnamed() -> set[str]:
        links = (path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink())
        return {link.name for link in links if link.parent == rig.state.parent} - named

    def source() -> Iterator[str]:
        yield from people(0, 5_000)
        planning.update(unnamed())

    named = {f"{rig.state.name}{suffix}" for suffix in ("", "-wal", "-shm", "-1.lock")}

    async def look(wire: Wire) -> None:
        if wire.sent[-1].records:
            sending.update(unnamed())

    rig.wire.before = look
    await getattr(rig.client, operation)(ACCOUNT, source(), name=NAME, state=rig.state)
    assert len(planning) == 1
    assert sending == set()
    assert len(await rig.members()) == 5_000
