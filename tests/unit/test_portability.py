"""The package on a system like Windows: without what only POSIX has.

The suite runs on Linux, so these tests imitate the differences: modules and functions that are
missing, another `os.name`, and open files that can be neither renamed nor deleted.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from support.programs import HANGS_AFTER_SECONDS
from support.sources import MODULES

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="lists open files with /proc"),
    pytest.mark.slow,
    pytest.mark.once,
]

# The libraries are loaded first, on the real system: only this package sees the imitation.
PRELUDE = """
import os, sys, types
import asyncio, fcntl, importlib, pathlib, socket, sqlite3, tempfile

POSIX = ("fork register_at_fork getuid geteuid getgid fchmod fchown chown pread pwrite mkfifo "
         "O_NOFOLLOW O_NONBLOCK O_CLOEXEC O_DIRECTORY O_TMPFILE statvfs uname killpg setsid")

class Sys(types.ModuleType):
    platform = "win32"

    def __getattr__(self, name):
        return getattr(sys, name)

    def __setattr__(self, name, value):
        setattr(sys, name, value)

def open_here(path):
    files = {os.path.realpath(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")}
    return os.path.realpath(path) in files

def refused_while_open(function):
    def call(*paths, **options):
        by_tempfile = sys._getframe(1).f_globals["__name__"] == "tempfile"
        if not by_tempfile and any(open_here(path) for path in paths):
            raise PermissionError(13, "used by another process", str(paths[0]))
        return function(*paths, **options)
    return call

def imitate_windows():
    for name in [name for name in sys.modules if name.startswith("pinterest_audiences")]:
        del sys.modules[name]
    for name in ("replace", "rename", "unlink", "remove"):
        setattr(os, name, refused_while_open(getattr(os, name)))
    imitation = types.ModuleType("os")
    imitation.__dict__.update(
        {name: value for name, value in vars(os).items() if name not in POSIX.split()},
        name="nt",
    )
    def locking(descriptor, mode, count):
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, count)
    msvcrt = types.ModuleType("msvcrt")
    msvcrt.locking, msvcrt.LK_NBLCK = locking, 2
    sys.modules |= {"os": imitation, "msvcrt": msvcrt}
    for name in ("fcntl", "termios", "resource", "pwd", "grp", "pty", "tty"):
        sys.modules[name] = None
    sys.modules["sys"] = Sys("sys")
"""


def run(code: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    folders = {"HOME": "home", "XDG_STATE_HOME": "state", "XDG_CONFIG_HOME": "config"}
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + dedent(code), *arguments],
        env={**os.environ, **{name: str(folder / value) for name, value in folders.items()}},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=HANGS_AFTER_SECONDS,
        check=False,
    )


def test_every_module_imports_without_modules_of_posix(tmp_path: Path) -> None:
    names = [name for name in MODULES if not name.endswith(("__main__", "spark", "_spark_frames"))]
    code = """
    for name in sys.argv[1:]:
        importlib.import_module(name)  # with its libraries
    imitate_windows()
    for name in sys.argv[1:]:
        importlib.import_module(name)
    """
    done = run(code, tmp_path, *names)
    assert done.returncode == 0, done.stderr


def test_commands_work_without_functions_of_posix(tmp_path: Path) -> None:
    """And without renaming or deleting open files."""
    (tmp_path / "customers.csv").write_text("email\nada@shop.example\nben@shop.example\nbad\n")
    (tmp_path / "gone.txt").write_text("ben@shop.example\n")
    code = """
    import io
    from contextlib import redirect_stderr, redirect_stdout

    COMMANDS = (
        "demo --customers 300",
        "auth login --emulator --no-browser --redirect-uri http://localhost:{port}/",
        "auth status --emulator",
        "upload customers.csv --name Buyers --emulator --max-reject-share 1 --audience Buyers",
        "mirror customers.csv --name Buyers --emulator --max-reject-share 1",
        "check customers.csv --max-reject-share 1 --rejects-to rejects.csv --reject-values",
        "lists list --emulator",
        "forget gone.txt --yes --emulator",
        "jobs list --emulator",
        "doctor --emulator",
        "auth logout --emulator",
    )

    def free_port():
        with socket.create_server(("127.0.0.1", 0)) as server:
            return server.getsockname()[1]

    def outcomes():
        from pinterest_audiences.cli import run_command

        result = {}
        for command in COMMANDS:
            text = io.StringIO()
            with redirect_stdout(text), redirect_stderr(text):
                code = run_command(command.format(port=free_port()).split())
            result[command] = code
            if code:
                print(command, code, text.getvalue(), file=sys.stderr)
        return result

    expected = outcomes()
    for name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        os.environ[name] += "-of-windows"
    imitate_windows()
    assert outcomes() == expected, "see above"
    assert set(expected.values()) == {0}
    """
    done = run(code, tmp_path)
    assert done.returncode == 0, done.stderr


def test_emulator_saves_its_state_and_removes_leftovers(tmp_path: Path) -> None:
    code = """
    imitate_windows()
    from pathlib import Path
    from pinterest_audiences.emulator import Emulator
    from pinterest_audiences.emulator._persistence import exclusive_use, remove_leftovers

    state, leftover = Path("state.sqlite3"), Path(".state.sqlite3.killed.tmp")
    leftover.touch()
    with exclusive_use(state):
        remove_leftovers(state)
        emulator = Emulator(state=state)
        emulator.save()
        (spring,) = emulator.seed_lists("549", 1)
        emulator.save()
    assert Emulator(state=state).customer_list(spring)["id"] == spring
    assert not leftover.exists()
    assert sorted(os.listdir()) == [".state.sqlite3.server-lock", "state.sqlite3"]
    """
    done = run(code, tmp_path)
    assert done.returncode == 0, done.stderr
