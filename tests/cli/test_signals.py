"""Ctrl-C, kills and two runs at once, against a Pinterest that answers slowly."""

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
from cli.conftest import ACCOUNT, Run

from pinterest_audiences.emulator import Emulator
from pinterest_audiences.emulator.messages import Request
from pinterest_audiences.pytest_plugin import PinterestServer

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are a matter of Unix")

PEOPLE = 60_000  # six calls
PATIENCE = 60.0  # seconds until what should have ended counts as hanging
LONG = 600.0  # seconds: the answer never comes
COMMAND = [sys.executable, "-m", "pinterest_audiences"]
ADDRESSES = [f"person{number}@shop.example" for number in range(PEOPLE)]
EVERYBODY = frozenset(sha256(each.encode()).hexdigest() for each in ADDRESSES)


@pytest.fixture(autouse=True)
def _customers(_nothing_of_the_users: None) -> None:
    """A file of them, in the folder of the test."""
    Path("people.txt").write_text("\n".join(ADDRESSES) + "\n")


@contextmanager
def started(*words: str) -> Iterator[subprocess.Popen[str]]:
    """Start a command that ends with the block at the latest."""
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


def stuck(emulator: Emulator, operation: str, *, after: int = 0) -> threading.Event:
    """Let an operation hang for ever after some calls; tells when the first one does."""
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


def the_list(run: Run) -> str:
    """The id of the only list there is: nothing was created twice."""
    (listed,) = run("lists", "list").data
    return str(listed["id"])


def said(command: str) -> list[str]:
    """The words of a command as a shell reads it, without the program."""
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
def test_ctrl_c_while_pinterest_is_slow_says_the_command_that_finishes_it(
    run: Run, server: PinterestServer, flags: tuple[str, ...]
) -> None:
    """Exactly that command does, and the list then holds what the file holds."""
    config = Path(os.environ["XDG_CONFIG_HOME"], "pinterest-audiences", "config.toml")
    config.parent.mkdir(parents=True)
    config.write_text("[profiles.shop]\nstate = 'shop.sqlite3'\n")
    hangs = stuck(server.emulator, "customer_lists_update", after=2)
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
    words = said(error["hint"].removeprefix("finish it with: "))
    assert words == ["resume", *flags]
    (report,) = run(*words).data
    assert (report["status"], report["left"]) == ("done", 0)
    assert members(server.emulator, number) == EVERYBODY
    assert run(*words).data == []


def test_ctrl_c_keeps_what_was_said_against_the_emulator_of_the_environment(
    run: Run, server: PinterestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job at a real place is not looked for on the embedded emulator."""
    monkeypatch.setattr("pinterest_audiences._wire.settings.DEFAULT_BASE_URL", server.base_url)
    monkeypatch.setenv("PINTEREST_API_URI", "emulator:")
    server.emulator.fault("status", operation="customer_lists_create", status=403, code=29)
    done = run("upload", "people.txt", "--name", "All", "--no-emulator")
    _, _, command = done.error["hint"].partition("finish it with: ")
    assert (done.code, command) == (7, "pinterest-audiences resume --no-emulator")
    (report,) = run(*said(command)).data
    assert members(server.emulator, report["customer_list_id"]) == EVERYBODY


@pytest.mark.parametrize(
    ("operation", "after", "how"),
    [
        ("customer_lists_create", 0, signal.SIGKILL),
        ("customer_lists_update", 0, signal.SIGTERM),
        ("customer_lists_update", 3, signal.SIGKILL),
    ],
    ids=["killed at the create", "ended at the first update", "killed at the fourth update"],
)
def test_a_kill_at_any_call_leaves_what_resume_finishes(
    run: Run, server: PinterestServer, operation: str, after: int, how: signal.Signals
) -> None:
    """The call that was under way had been carried out; it is not repeated to harm."""
    hangs = stuck(server.emulator, operation, after=after)
    with started("upload", "people.txt", "--name", "All") as process:
        assert hangs.wait(PATIENCE)
        process.send_signal(how)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (-how, "")
    assert "Traceback" not in err
    server.emulator.faults.clear()
    (report,) = run("resume").data
    assert (report["status"], report["left"]) == ("done", 0)
    assert members(server.emulator, the_list(run)) == EVERYBODY


def test_two_nightly_mirrors_at_once_do_not_collide(run: Run, server: PinterestServer) -> None:
    """The second ends at once with 7 and names the first, which finishes."""
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
    assert members(server.emulator, the_list(run)) == EVERYBODY
    assert run(*nightly).data["planned"] == 0


def test_two_runs_at_once_on_the_embedded_emulator_take_turns(run: Run) -> None:
    """The second waits for the first, and adds nothing twice."""
    Path("people.txt").write_text("\n".join(ADDRESSES) + "\n")
    words = ("upload", "people.txt", "--name", "All", "--emulator")
    with started(*words) as first, started(*words) as second:
        told = [each.communicate(timeout=PATIENCE) for each in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], told
    assert sorted(json.loads(out)["created"] for out, _ in told) == [False, True]
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
def test_ctrl_c_ends_whatever_is_waited_for(server: PinterestServer, waiting: Waiting) -> None:
    """In one line, with 130; it does not claim that nothing has reached Pinterest."""
    words = waiting(server)
    with started(*words) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        if words[1] == "-":
            process.stdin.write("ada@shop.example\n" * 100_000)  # more than any pipe holds
            process.stdin.flush()
        else:
            _called(server.emulator)
        _pressed(process)
        told = process.stderr.read()
    assert process.returncode == 130, told
    *_, last = told.splitlines()
    assert json.loads(last)["error"]["message"] == "interrupted; no job had begun"
    assert "Traceback" not in told


def _pressed(process: subprocess.Popen[str]) -> None:
    """Press Ctrl-C; again where it came between Python's last look and a call of the system."""
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE / 6)
            return


def _called(emulator: Emulator) -> None:
    """Wait until a request has come."""
    never, end = threading.Event(), time.monotonic() + PATIENCE
    while not emulator.handled and time.monotonic() < end:
        never.wait(0.01)
    assert emulator.handled


def test_ctrl_c_again_and_again_is_no_more_than_once(run: Run, server: PinterestServer) -> None:
    """People press it until something happens; nothing is lost, and nobody reads a traceback."""
    hangs = stuck(server.emulator, "customer_lists_update")
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
    assert members(server.emulator, the_list(run)) == EVERYBODY


def test_ctrl_c_while_the_program_is_loaded_is_no_traceback() -> None:
    """Importing takes a moment, and people are quick."""
    code = (
        "import sys\n"
        "class Impatient:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'cyclopts': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Impatient())\n"
        "from pinterest_audiences.cli import main\nsys.exit(main(['--help']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_ctrl_c_again_ends_a_refresh_that_hangs(
    server: PinterestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is waited for, because the old token may be over; but not against a person's will."""
    monkeypatch.delenv("PINTEREST_ACCESS_TOKEN")
    for name in ("PINTEREST_REFRESH_ACCESS_TOKEN", "PINTEREST_APP_ID", "PINTEREST_APP_SECRET"):
        monkeypatch.setenv(name, "1234567")
    hangs = stuck(server.emulator, "oauth_token")
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
