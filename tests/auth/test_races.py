"""Processes that refresh one single-use refresh token at once: one does, and it is never lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from support.tokens import APP, TokenWorld, kept

from pinterest_audiences import FileTokenStore, RefreshingToken

# Each round: wait for a line, make a new source and get its token, tell it.
CHILD = """
import sys, anyio
from support.tokens import APP
from pinterest_audiences import RefreshingToken

for line in sys.stdin:
    source = RefreshingToken(sys.argv[1], APP, base_url=sys.argv[2])
    token = anyio.run(source.get, backend=sys.argv[3])
    print(token.value, flush=True)
"""

QUIET = ("-W", "ignore::DeprecationWarning")  # from 3.12 on, for a fork with threads


@contextmanager
def child(path: Path, base_url: str, backend: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", CHILD, str(path), base_url, backend]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
    ) as process:
        yield process


def ask(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def told(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_two_processes_refresh_one_single_use_token_fifty_times_and_never_lose_it(
    tmp_path: Path,
) -> None:
    """Each round the access token has ended for both; one exchanges, the other takes its result."""
    world = TokenWorld()
    store = FileTokenStore(tmp_path / "tokens.json")
    with world.served() as base_url, ExitStack() as stack:
        children = [
            stack.enter_context(child(store.path, base_url, backend))
            for backend in ("asyncio", "trio")
        ]
        refresh_token = world.refresh_token
        for number in range(1, 51):
            with store.lock() as locked:
                locked.save(kept(refresh_token=refresh_token))
            for process in children:
                ask(process)
            assert [told(process) for process in children] == [f"pina_SENTINELaccess{number}"] * 2
            assert world.refreshes == len(world.forms) == number
            now = store.load()
            assert now is not None
            assert now.refresh_token == world.refresh_token
            refresh_token = world.refresh_token


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_has_a_source_of_its_own(tmp_path: Path) -> None:
    """One that was forked in the middle of a refresh waits for its parent, not for a ghost."""
    script = """
import os, sys, threading, anyio
from support.tokens import APP, TokenWorld, kept
from pinterest_audiences import FileTokenStore, RefreshingToken

store = FileTokenStore(sys.argv[1])
with store.lock() as locked:
    locked.save(kept())
came, go = threading.Event(), threading.Event()
world = TokenWorld(after=lambda: (came.set(), go.wait()))
source = RefreshingToken(store, APP, transport=world.transport)
thread = threading.Thread(target=anyio.run, args=(source.get,))
thread.start()
came.wait()
child = os.fork()
if child:
    go.set()
    thread.join()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), world.refreshes)
else:
    token = anyio.run(source.get)
    os._exit(0 if token.value == "pina_SENTINELaccess1" else 1)
"""
    done = subprocess.run(
        [sys.executable, *QUIET, "-c", script, str(tmp_path / "tokens.json")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (done.stdout.strip(), done.stderr) == ("0 1", "")


def test_the_end_of_the_process_waits_for_a_refresh_that_nobody_waits_for(tmp_path: Path) -> None:
    """Its answer is kept, though the event loop has long ended."""
    script = """
import sys, threading, anyio, anyio.to_thread
from support.tokens import APP
from pinterest_audiences import RefreshingToken

async def main():
    source = RefreshingToken(sys.argv[1], APP, base_url=sys.argv[2])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(source.get)
        await anyio.to_thread.run_sync(sys.stdin.readline)
        tasks.cancel_scope.cancel()
    print("out", flush=True)

anyio.run(main, backend="trio")
"""
    store = FileTokenStore(tmp_path / "tokens.json")
    with store.lock() as locked:
        locked.save(kept())
    processes = list[subprocess.Popen[str]]()

    def leave() -> None:
        ask(processes[0])
        assert told(processes[0]) == "out"

    world = TokenWorld(after=leave)
    with world.served() as base_url:
        command = [sys.executable, "-c", script, str(store.path), base_url]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
        ) as process:
            processes.append(process)
            assert process.wait(30) == 0
        assert process.returncode == 0
    now = store.load()
    assert now is not None
    assert now.refresh_token == world.refresh_token
    assert RefreshingToken(store, APP)
