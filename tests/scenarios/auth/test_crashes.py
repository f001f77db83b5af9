"""SIGKILL at every step of a refresh: the old or the new tokens work afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from support.tokens import APP, FIRST, TokenWorld, kept

from pinterest_audiences import FileTokenStore, RefreshingToken, Token, TokenRefreshError

# The child counts its calls that change files, and kills itself at one of them: before it,
# after it, or in the middle of a write.
CHILD = """
import os, signal, sys, anyio
from support.tokens import APP
from pinterest_audiences import RefreshingToken

path, base_url, deadly, where = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
calls, out = 0, os.dup(1)
write = os.write

def watched(name):
    real = getattr(os, name)
    def call(*args, **more):
        global calls
        calls += 1
        now = calls == deadly
        write(out, f"{calls} {name}\\n".encode())
        if now and where == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        if now and where == "amid" and name == "write":
            real(args[0], bytes(args[1])[:100])
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args, **more)
        if now:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(os, name, call)

for name in ("write", "ftruncate", "fsync", "replace", "fchmod", "unlink"):
    watched(name)
print_token = anyio.run(RefreshingToken(path, APP, base_url=base_url).get)
write(out, b"done\\n")
"""
NONE = 1000


def run(path: Path, base_url: str, deadly: int, where: str = "before") -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path), base_url, str(deadly), where],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def or_login(source: RefreshingToken) -> Token | None:
    """Return the token, or None if the error suggests a login."""
    try:
        return anyio.run(source.get)
    except TokenRefreshError as error:
        if "log in again" not in str(error):
            raise
        return None


def begin(folder: Path) -> FileTokenStore:
    store = FileTokenStore(folder / "tokens.json")
    with store.lock() as locked:
        locked.save(kept())
    return store


@pytest.mark.once
def test_refresh_survives_a_kill_at_every_step(tmp_path: Path) -> None:
    """Except between the arrival of the response and its writing.

    The server's refresh tokens are valid once. After a kill before the exchange the old one works.
    Once the new one is written, it works, flushed and renamed or not.
    """
    world = TokenWorld()
    with world.served() as base_url:
        store = begin(tmp_path)
        code, steps = run(store.path, base_url, NONE)
        assert (code, steps[-1]) == (0, "done")
        names = [step.split()[1] for step in steps[:-1]]
        # Blanks are written, extended and flushed, then the tokens; rename and sync follow.
        save = ["fchmod", "write", "ftruncate", "fsync"]
        holder = ["ftruncate", "write"]  # the process id in the lock file
        assert names == [*holder, *save, *save, "replace", "fsync", *holder]
        lost = list[tuple[int, str]]()
        for deadly in range(1, len(names) + 1):
            for where in ("before", "after", *(["amid"] if names[deadly - 1] == "write" else [])):
                world.refresh_token, world.refreshes = FIRST, 0
                store = begin(tmp_path)
                assert run(store.path, base_url, deadly, where)[0] == -signal.SIGKILL
                token = or_login(RefreshingToken(store, APP, base_url=base_url))
                if token is None:
                    lost.append((deadly, where))
                else:
                    assert (token.value, world.refreshes) == (world.access_token, 1)
        # From the exchange (between calls 6 and 7) to the end of the write of call 8.
        assert lost == [(7, "before"), (7, "after"), (8, "before"), (8, "amid")]


def test_refresh_survives_every_kill_if_old_refresh_tokens_stay_valid(tmp_path: Path) -> None:
    """Pinterest's do, as far as is known."""
    world = TokenWorld(rotates=False)
    with world.served() as base_url:
        store = begin(tmp_path)
        assert run(store.path, base_url, 8)[0] == -signal.SIGKILL
        token = anyio.run(RefreshingToken(store, APP, base_url=base_url).get)
        assert (token.value, world.refreshes) == ("pina_SENTINELaccess2", 2)


def test_process_killed_during_the_exchange_releases_its_lock(tmp_path: Path) -> None:
    """The next process finds that the old refresh token is used up."""
    children = list[subprocess.Popen[str]]()

    def kill() -> None:
        if world.refreshes == 1:
            children[0].kill()
            children[0].wait()

    world = TokenWorld(after=kill)
    with world.served() as base_url:
        store = begin(tmp_path)
        children.append(
            subprocess.Popen(
                [sys.executable, "-c", CHILD, str(store.path), base_url, str(NONE), "before"],
                text=True,
                stdout=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
        )
        with children[0]:
            pass
        world.after = lambda: None
        with pytest.raises(TokenRefreshError, match="log in again"):
            anyio.run(RefreshingToken(store, APP, base_url=base_url).get)
        world.refresh_token = FIRST
        anyio.run(RefreshingToken(store, APP, base_url=base_url).get)
