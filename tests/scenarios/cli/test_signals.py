"""Ctrl-C, kills and concurrent runs, against a server that responds slowly."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import pytest
from support.terminal import Terminal, rendered
from unit.cli.conftest import ACCOUNT, Run

from pinterest_audiences.emulator import Emulator, Request
from pinterest_audiences.pytest_plugin import PinterestServer

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(os.name != "posix", reason="requires POSIX signals"),
]

PEOPLE = 11_400  # six calls
PATIENCE = 60.0  # seconds until what should have ended counts as hanging
LONG = 600.0  # seconds: the answer never comes
COMMAND = [sys.executable, "-m", "pinterest_audiences"]
ADDRESSES = [f"person{number}@shop.example" for number in range(PEOPLE)]
EVERYBODY = frozenset(sha256(each.encode()).hexdigest() for each in ADDRESSES)


@pytest.fixture(autouse=True)
def _customers(_isolated_configuration: None) -> None:
    """Write a file of customers in the working directory."""
    Path("people.txt").write_text("\n".join(ADDRESSES) + "\n")


@contextmanager
def started(*words: str) -> Iterator[subprocess.Popen[str]]:
    """Start a command, and kill it at the end of the block."""
    with subprocess.Popen(
        [*COMMAND, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def block_operation(emulator: Emulator, operation: str, *, after: int = 0) -> threading.Event:
    """Block an operation after a number of calls; return an event set at the first blocked call."""
    hangs, seen = threading.Event(), iter(range(1_000_000))

    def strikes(_request: Request) -> bool:
        if next(seen) >= after:
            hangs.set()
            return True
        return False

    emulator.fault("slow", operation=operation, when=strikes, seconds=LONG, times=None)
    return hangs


def members(emulator: Emulator, number: str) -> frozenset[str]:
    return frozenset(str(each) for each in emulator.members(number))


def only_list_id(run: Run) -> str:
    """Return the id of the only list, and assert that there is one."""
    (listed,) = run("lists", "list").data
    return str(listed["id"])


def split_command(command: str) -> list[str]:
    """Split a command as a shell does, without the program."""
    program, *words = shlex.split(command)
    assert program == "pinterest-audiences"
    return words


PLACES: list[tuple[str, ...]] = [
    (),
    ("--state", "my jobs.sqlite3"),
    ("--ad-account", "549755885176"),
    ("--profile", "shop"),
]


@pytest.mark.parametrize("flags", PLACES, ids=["plain", "state", "account", "profile"])
def test_ctrl_c_during_a_slow_call_names_the_command_that_finishes(
    run: Run, server: PinterestServer, flags: tuple[str, ...]
) -> None:
    """The command then brings the list to the file's content."""
    config = Path(os.environ["XDG_CONFIG_HOME"], "pinterest-audiences", "config.toml")
    config.parent.mkdir(parents=True)
    config.write_text("[profiles.shop]\nstate = 'shop.sqlite3'\n")
    hangs = block_operation(server.emulator, "customer_lists_update", after=2)
    with started("upload", "people.txt", "--name", "All", *flags) as process:
        assert hangs.wait(PATIENCE)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    error = json.loads(err.splitlines()[-1])["error"]
    assert (process.returncode, out) == (130, "")
    assert (error["code"], error["retryable"], error["exit"]) == ("interrupted", True, 130)
    assert "Traceback" not in err
    assert "SENTINEL" not in err
    server.emulator.faults.clear()
    account = flags[-1] if "--ad-account" in flags else ACCOUNT
    (number,) = (each["id"] for each in run("lists", "list", "--ad-account", account).data)
    assert 0 < len(members(server.emulator, number)) < PEOPLE
    words = split_command(error["hint"].removeprefix("finish it with: "))
    assert words == ["resume", *flags]
    (report,) = run(*words).data
    assert (report["status"], report["left"]) == ("done", 0)
    assert members(server.emulator, number) == EVERYBODY
    assert run(*words).data == []


def test_sigterm_ends_a_job_and_names_the_command_that_finishes(
    run: Run, server: PinterestServer
) -> None:
    hangs = block_operation(server.emulator, "customer_lists_update", after=2)
    with started("upload", "people.txt", "--name", "All") as process:
        assert hangs.wait(PATIENCE)
        process.terminate()
        out, err = process.communicate(timeout=PATIENCE)
    error = json.loads(err.splitlines()[-1])["error"]
    assert (process.returncode, out, error["exit"]) == (143, "", 143)
    assert (error["code"], error["retryable"]) == ("interrupted", True)
    assert error["hint"] == "finish it with: pinterest-audiences resume"
    server.emulator.faults.clear()
    (report,) = run("resume").data
    assert (report["status"], report["left"]) == ("done", 0)


@pytest.mark.parametrize(("how", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_interrupted_terminal_keeps_the_bar_and_shows_the_command_that_finishes(
    run: Run, server: PinterestServer, how: str, code: int
) -> None:
    """Without a traceback; the cursor is there again."""
    pytest.importorskip("rich", reason="the extra [cli] is not installed")
    hangs = block_operation(server.emulator, "customer_lists_update", after=1)
    with Terminal("upload", "people.txt", "--name", "All") as terminal:
        terminal.expect("3,800/11,400")
        assert hangs.wait(PATIENCE)
        os.kill(terminal.pid, signal.Signals[how])
        assert terminal.end() == code
        lines = [line for line in rendered(terminal.output) if line]
    assert terminal.output.rpartition("\x1b[?25l")[2].count("\x1b[?25h") == 1
    assert lines[-3].startswith("job 1 ")
    assert lines[-2:] == [
        "error: interrupted; nothing is lost",
        "  finish it with: pinterest-audiences resume",
    ]
    server.emulator.faults.clear()
    (report,) = run("resume").data
    assert (report["status"], report["left"]) == ("done", 0)


def test_resume_hint_keeps_the_no_emulator_flag(
    run: Run, server: PinterestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job at a real server is not searched for on the embedded emulator."""
    monkeypatch.setattr("pinterest_audiences._config.DEFAULT_BASE_URL", server.base_url)
    monkeypatch.setenv("PINTEREST_API_URI", "emulator:")
    server.emulator.fault("status", operation="customer_lists_create", status=403, code=29)
    done = run("upload", "people.txt", "--name", "All", "--no-emulator")
    _, _, command = done.error["hint"].partition("finish it with: ")
    assert (done.code, command) == (7, "pinterest-audiences resume --no-emulator")
    (report,) = run(*split_command(command)).data
    assert members(server.emulator, report["customer_list_id"]) == EVERYBODY


@pytest.mark.parametrize(
    ("operation", "after", "how"),
    [
        ("customer_lists_create", 0, "SIGKILL"),
        ("customer_lists_update", 0, "SIGTERM"),
        ("customer_lists_update", 3, "SIGKILL"),
    ],
    ids=["killed at the create", "ended at the first update", "killed at the fourth update"],
)
def test_resume_finishes_after_a_kill_at_any_call(
    run: Run, server: PinterestServer, operation: str, after: int, how: str
) -> None:
    """The interrupted call had been applied; repeating it does no harm."""
    hangs = block_operation(server.emulator, operation, after=after)
    with started("upload", "people.txt", "--name", "All") as process:
        assert hangs.wait(PATIENCE)
        process.send_signal(signal.Signals[how])
        out, err = process.communicate(timeout=PATIENCE)
    code = 143 if how == "SIGTERM" else -signal.Signals[how]
    assert (process.returncode, out) == (code, "")
    assert "Traceback" not in err
    server.emulator.faults.clear()
    (report,) = run("resume").data
    assert (report["status"], report["left"]) == ("done", 0)
    assert members(server.emulator, only_list_id(run)) == EVERYBODY


def test_second_concurrent_mirror_exits_with_7(run: Run, server: PinterestServer) -> None:
    """It names the first, which finishes."""
    arrived, over = threading.Event(), threading.Event()

    def hold(_request: Request) -> bool:
        arrived.set()
        return over.wait(PATIENCE)

    server.emulator.fault("slow", operation="customer_lists_create", when=hold, seconds=0.01)
    nightly = ("mirror", "people.txt", "--name", "All")
    with started(*nightly) as first:
        assert arrived.wait(PATIENCE)
        second = run(*nightly)
        over.set()
        out, err = first.communicate(timeout=PATIENCE)
    assert (second.code, second.out, second.error["code"]) == (7, "", "list_busy")
    assert str(first.pid) in second.error["message"]
    assert second.error["retryable"] is True
    assert (first.returncode, json.loads(out)["added"]) == (0, PEOPLE), err
    assert members(server.emulator, only_list_id(run)) == EVERYBODY
    assert run(*nightly).data["planned"] == 0


def test_concurrent_runs_on_the_embedded_emulator_wait_for_each_other(run: Run) -> None:
    """The second adds nothing twice."""
    Path("people.txt").write_text("\n".join(ADDRESSES) + "\n")
    words = ("upload", "people.txt", "--name", "All", "--emulator")
    with started(*words) as first, started(*words) as second:
        outputs = [each.communicate(timeout=PATIENCE) for each in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], outputs
    assert sorted(json.loads(out)["created"] for out, _ in outputs) == [False, True]
    assert len(run("lists", "list", "--emulator").data) == 1


Waiting = Callable[[PinterestServer], tuple[str, ...]]


def _slow_listing(server: PinterestServer) -> tuple[str, ...]:
    server.emulator.fault("slow", operation="customer_lists_list", seconds=LONG)
    return ("lists", "list")


def _rate_limited(server: PinterestServer) -> tuple[str, ...]:
    server.emulator.fault("status", status=429, code=8, headers={"retry-after": "50"}, times=None)
    return ("lists", "list", "-v")


def _processing(server: PinterestServer) -> tuple[str, ...]:
    return ("wait", server.emulator.seed_lists(ACCOUNT, 1)[0])


def _creating_an_audience(server: PinterestServer) -> tuple[str, ...]:
    server.emulator.fault("slow", operation="audiences_create", seconds=LONG)
    number = server.emulator.seed_lists(ACCOUNT, 1)[0]
    return ("audience", "create", number, "--name", "All")


def _reading(_server: PinterestServer) -> tuple[str, ...]:
    return ("upload", "-", "--name", "All")


WAITINGS: list[Waiting] = [
    _slow_listing,
    _rate_limited,
    _processing,
    _creating_an_audience,
    _reading,
]


@pytest.mark.pinterest_emulator(processing_seconds=1e6)
@pytest.mark.parametrize("waiting", WAITINGS, ids=[each.__name__[1:] for each in WAITINGS])
def test_ctrl_c_ends_any_wait_with_130(server: PinterestServer, waiting: Waiting) -> None:
    """In one line, which does not claim that nothing has reached Pinterest."""
    words = waiting(server)
    with started(*words) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        if words[1] == "-":
            process.stdin.write("ada@shop.example\n" * 100_000)  # more than any pipe holds
            process.stdin.flush()
        else:
            _wait_for_request(server.emulator)
        _press_ctrl_c(process)
        stderr = process.stderr.read()
    assert process.returncode == 130, stderr
    *_, last = stderr.splitlines()
    assert json.loads(last)["error"]["message"] == "interrupted; no job had started"
    assert "Traceback" not in stderr


def _press_ctrl_c(process: subprocess.Popen[str]) -> None:
    """Send SIGINT, and repeat it if it arrived between Python's check and a system call."""
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE / 6)
            return


def _wait_for_request(emulator: Emulator) -> None:
    """Wait until a request has arrived."""
    never, end = threading.Event(), time.monotonic() + PATIENCE
    while not emulator.handled and time.monotonic() < end:
        never.wait(0.01)
    assert emulator.handled


def test_repeated_ctrl_c_loses_nothing_and_shows_no_traceback(
    run: Run, server: PinterestServer
) -> None:
    hangs = block_operation(server.emulator, "customer_lists_update")
    with started("upload", "people.txt", "--name", "All") as process:
        assert hangs.wait(PATIENCE)
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.005)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode in (130, -signal.SIGINT)
    assert out == ""
    assert "Traceback" not in err
    server.emulator.faults.clear()
    (report,) = run("resume").data
    assert report["left"] == 0
    assert members(server.emulator, only_list_id(run)) == EVERYBODY


def test_ctrl_c_during_import_shows_no_traceback() -> None:
    code = (
        "import sys\n"
        "class Impatient:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'cyclopts': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Impatient())\n"
        "from pinterest_audiences.cli import run_command\nsys.exit(run_command(['--help']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_second_ctrl_c_ends_a_blocked_refresh(
    server: PinterestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one waits for the refresh, because the old token may have expired."""
    monkeypatch.delenv("PINTEREST_ACCESS_TOKEN")
    for name in ("PINTEREST_REFRESH_ACCESS_TOKEN", "PINTEREST_APP_ID", "PINTEREST_APP_SECRET"):
        monkeypatch.setenv(name, "1234567")
    hangs = block_operation(server.emulator, "oauth_token")
    with started("lists", "list") as process:
        assert hangs.wait(PATIENCE)
        end = time.monotonic() + PATIENCE / 3  # less than a refresh waits for an answer
        while process.poll() is None and time.monotonic() < end:
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
        assert process.poll() in (130, -signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert "Traceback" not in err
    assert json.loads(err.splitlines()[-1])["error"]["code"] == "interrupted"
