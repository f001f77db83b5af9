"""A real PostgreSQL server for tests, where its programs are installed."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


def _programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else found[-1].parent if found else None


def _unprivileged_command() -> tuple[list[str], str]:
    """Return how to run PostgreSQL as another user, because it refuses to run as root."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return [], getpass.getuser()
    import pwd

    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        if shutil.which("setpriv"):
            groups = ["--clear-groups", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}"]
            return ["setpriv", *groups], name
    pytest.skip("PostgreSQL does not run as root, and another user or setpriv is missing")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Start a server on a socket in a temporary directory, and yield its connection string."""
    programs = _programs()
    if programs is None:
        pytest.skip("no PostgreSQL server programs (initdb) are installed")
    prefix, user = _unprivileged_command()
    # Not pytest's own directory: other users cannot enter it, and a socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as name:
        home = Path(name)
        if prefix:
            shutil.chown(home, user)
        data = home / "data"
        options: list[str | Path] = [
            "-D",
            data,
            "-U",
            "test",
            "-A",
            "trust",
            "--no-sync",
            "-E",
            "UTF8",
        ]
        _run([*prefix, programs / "initdb", *options])
        server = f"-k {home} -c listen_addresses='' -c fsync=off"
        control: list[str | Path] = [
            *prefix,
            programs / "pg_ctl",
            "-D",
            data,
            "-w",
            "-l",
            home / "log",
        ]
        _run([*control, "-o", server, "start"])
        try:
            yield f"host={home} user=test dbname=postgres"
        finally:
            _run([*control, "-m", "immediate", "stop"])


def _run(command: list[str | Path]) -> None:
    # The server inherits what it is started with: it would hold a pipe open until it ends.
    with tempfile.TemporaryFile() as output:
        subprocess.run(command, check=True, stdout=output, stderr=output, cwd="/", timeout=60)
