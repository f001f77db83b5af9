"""Processes that refresh one single-use refresh token concurrently: one exchange, no lost token."""

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

# Each round: wait for a line, create a source, get its token and print it.
CHILD = """
import sys, anyio
from support.tokens import APP
from pinterest_audiences import RefreshingToken

for line in sys.stdin:
    source = RefreshingToken(sys.argv[1], APP, base_url=sys.argv[2])
    token = anyio.run(source.get, backend=sys.argv[3])
    print(token.value, flush=True)
"""

# Each round: wait for a line, list the lists without any argument, and print how many there are.
CLIENT = """
import sys
from pinterest_audiences import Client

for line in sys.stdin:
    with Client() as client:
        print(len(client.customer_lists_list("549755885175").collect()), flush=True)
"""
COMMAND = """
import io, json, sys
from contextlib import redirect_stdout
from pinterest_audiences.cli import run_command

for line in sys.stdin:
    with redirect_stdout(io.StringIO()) as out:
        code = run_command(["lists", "list", "--ad-account", "549755885175", "--output", "json"])
    print(f"exit {code}" if code else len(json.loads(out.getvalue())), flush=True)
"""

QUIET = ("-W", "ignore::DeprecationWarning")  # from 3.12 on, for a fork with threads


@contextmanager
def child(path: Path, base_url: str, backend: str) -> Iterator[subprocess.Popen[str]]:
    with program(CHILD, str(path), base_url, backend) as process:
        yield process


@contextmanager
def program(code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=env,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ask(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_two_processes_share_fifty_refreshes_of_a_single_use_token(
    tmp_path: Path,
) -> None:
    """In each round the token has expired for both; one exchanges, the other uses the result."""
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
            assert [read_line(process) for process in children] == [
                f"pina_SENTINELaccess{number}"
            ] * 2
            assert world.refreshes == len(world.forms) == number
            now = store.load()
            assert now is not None
            assert now.refresh_token == world.refresh_token
            refresh_token = world.refresh_token


def test_client_and_command_share_the_refreshes_of_a_login() -> None:
    """The login of the command line, whose refresh token is valid once, in ten rounds."""
    pytest.importorskip("cyclopts", reason="the command line needs the extra [cli]")
    world, store = TokenWorld(), FileTokenStore()
    store.path.parent.mkdir()
    secret = store.path.with_name("app-secret")
    secret.write_text(APP.app_secret)
    with world.served() as base_url, program(CLIENT) as client, program(COMMAND) as command:
        store.path.with_name("config.toml").write_text(
            f"[profiles.default]\napi_uri = '{base_url}'\napp_id = '{APP.app_id}'\n"
            f"app_secret_file = '{secret}'\n"
        )
        for number in range(1, 11):
            with store.lock() as locked:
                locked.save(kept(refresh_token=world.refresh_token))
            for process in (client, command):
                ask(process)
            assert [read_line(process) for process in (client, command)] == ["1", "1"]
            assert world.refreshes == len(world.forms) == number


@pytest.mark.skipif(not hasattr(os, "fork"), reason="requires fork()")
def test_forked_child_refreshes_independently_of_its_parent(tmp_path: Path) -> None:
    """A fork during a refresh waits for the parent's lock, not for a missing thread."""
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


def test_process_exit_waits_for_a_running_refresh(tmp_path: Path) -> None:
    """Its tokens are stored, although the event loop has ended."""
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
        assert read_line(processes[0]) == "out"

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
