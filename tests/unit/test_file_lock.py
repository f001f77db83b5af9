"""The lock on a file: exclusion, forked children, links, and the holder's process id."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pinterest_audiences._file_lock import LockHeldError, LockUnsupportedError, file_lock

posix = pytest.mark.skipif(os.name != "posix", reason="requires POSIX file modes, links and fork()")

TRY = """
import sys
from pathlib import Path
from pinterest_audiences._file_lock import LockHeldError, file_lock
try:
    with file_lock(Path(sys.argv[1]), 0) as previous:
        print("acquired", previous)
except LockHeldError as error:
    print("held by", error.pid)
"""
DIE = """
import os, sys
from pathlib import Path
from pinterest_audiences._file_lock import file_lock
with file_lock(Path(sys.argv[1]), 0):
    print(os.getpid(), flush=True)
    os._exit(1)
"""


def run(code: str, path: Path) -> str:
    """Run code in another process; return its output."""
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A lock file that does not exist yet."""
    return tmp_path / "tokens.json.lock"


def test_lock_excludes_other_processes_and_names_the_holder(path: Path) -> None:
    """Waiting processes do not change the recorded process id."""
    with file_lock(path, 0):
        assert run(TRY, path) == f"held by {os.getpid()}"
        assert run(TRY, path) == f"held by {os.getpid()}"
    assert run(TRY, path) == "acquired None"


def test_lock_excludes_the_same_thread_and_other_threads(path: Path) -> None:
    """Also with a timeout above zero."""
    held: list[int | None] = []

    def contend(timeout: float) -> None:
        with pytest.raises(LockHeldError) as raised, file_lock(path, timeout):
            pass
        held.append(raised.value.pid)

    with file_lock(path, 0):
        contend(0)
        thread = threading.Thread(target=contend, args=(0.05,))
        thread.start()
        thread.join()
    assert held == [os.getpid()] * 2


def test_lock_of_a_killed_process_is_free_and_reports_it(path: Path) -> None:
    """With the killed process's id; after a release there is none."""
    pid = int(run(DIE, path))
    with file_lock(path, 0) as previous:
        assert previous == pid
    with file_lock(path, 0) as previous:
        assert previous is None


@posix
def test_lock_file_has_mode_0600_after_release(path: Path) -> None:
    """With any umask."""
    before = os.umask(0)
    try:
        with file_lock(path, 0):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@posix
@pytest.mark.parametrize("target_exists", [True, False])
def test_symbolic_link_as_lock_file_is_refused(path: Path, *, target_exists: bool) -> None:
    """Its target is neither created nor changed."""
    target = path.with_name("target")
    if target_exists:
        target.write_text("content")
    path.symlink_to(target)
    with pytest.raises(OSError, match="symbolic links"), file_lock(path, 0):
        pass
    assert (target.read_text() if target.exists() else None) == (
        "content" if target_exists else None
    )


@posix
def test_pipe_as_lock_file_is_refused(path: Path) -> None:
    """Without blocking."""
    os.mkfifo(path)
    with pytest.raises(OSError) as raised, file_lock(path, 0):  # noqa: PT011 - filelock's or ours
        pass
    assert not isinstance(raised.value, LockUnsupportedError)


@posix
def test_forked_child_neither_releases_nor_keeps_the_lock(path: Path) -> None:
    """Neither when it leaves the block nor when it outlives the holder."""
    holder = """
import os, subprocess, sys
from pathlib import Path
from pinterest_audiences._file_lock import file_lock
path = Path(sys.argv[1])
attempt = [sys.executable, "-c", {code!r}, sys.argv[1]]
reading, writing = os.pipe()
child = 0
with file_lock(path, 0):
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        subprocess.run(attempt)  # after the child has left the block
if not child:
    os._exit(0)
with file_lock(path, 0):
    child = os.fork()
    if not child:
        os.close(writing)
        os.read(reading, 1)  # until the test has closed the other end, or its parent has ended
        os._exit(0)
subprocess.run(attempt)  # while the child lives
os.close(writing)
os.waitpid(child, 0)
"""
    output = run(holder.format(code=TRY), path).splitlines()
    assert output[0].startswith("held by ")
    assert output[0] != "held by None"
    assert output[1] == "acquired None"


def test_file_system_without_locks_is_reported(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting would not help."""
    if sys.platform == "win32":
        pytest.skip("locks differ there")

    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(LockUnsupportedError, match="No locks available"), file_lock(path, 5):
        pass
