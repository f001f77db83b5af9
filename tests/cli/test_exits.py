"""The exit codes: each is provoked once, and the table is the documentation's."""

from __future__ import annotations

import re
import signal
import threading
from pathlib import Path

import pytest
from cli.conftest import ACCOUNT, PEOPLE, Run

from pinterest_audiences.cli.context import EMULATED_ACCOUNT
from pinterest_audiences.cli.embedded import BASE_URL
from pinterest_audiences.cli.exits import MEANINGS, Exit
from pinterest_audiences.jobs.state import State
from pinterest_audiences.pytest_plugin import PinterestServer

DOCS = Path(__file__).parents[2] / "docs" / "cli.md"


def test_the_table_of_the_documentation_is_that_of_the_code() -> None:
    """Every code with its meaning, in order."""
    if not DOCS.exists():
        pytest.skip("the documentation is not beside an installed wheel")
    told = re.findall(r"^\| (\d+) \| (.+?) \|$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert [(int(code), words) for code, words in told] == [
        (int(code), words) for code, words in MEANINGS.items()
    ]
    assert set(MEANINGS) == set(Exit)


def test_0_is_done(run: Run) -> None:
    """An empty listing is a result too."""
    done = run("lists", "list", "--emulator")
    assert (done.code, done.out, done.err) == (0, "[]\n", "")


def test_1_is_what_nobody_expected(run: Run, people: Path) -> None:
    """A state file that is none, for one."""
    Path("state").write_text("this is no database, however long it is read " * 100)
    done = run("status", "--emulator", "--state", "state")
    assert (done.code, done.error["code"]) == (1, "state")


@pytest.mark.parametrize(
    "words",
    [
        ("lists", "lst"),
        ("lists", "list", "--colour"),
        ("lists", "get"),
        ("upload", "nowhere.csv", "--name", "x", "--emulator"),
        ("upload", "people.csv", "--emulator"),
        ("upload", "people.csv", "--name", "x", "--list", "1", "--emulator"),
        ("lists", "get", "buyers", "--emulator"),
        ("lists", "list", "--emulator", "--ad-account", "shop"),
        ("lists", "list", "--emulator", "--output", "xml"),
        ("lists", "list", "--emulator", "--limit", "-1"),
        ("mirror", "--emulator"),
        ("forget", "ada@shop.example", "--yes", "--emulator"),
        ("demo", "--customers", "0"),
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("people")
def test_2_is_usage(run: Run, words: tuple[str, ...]) -> None:
    """Nothing is written to standard output, and nothing was sent."""
    done = run(*words)
    assert (done.code, done.out) == (2, "")
    assert done.error["exit"] == 2
    assert not done.error["retryable"]


def test_3_is_credentials(run: Run, people: Path) -> None:
    """Every command that needs some says so, and offers the emulator."""
    for words in (
        ("lists", "list"),
        ("whoami",),
        ("upload", people, "--name", "x"),
        ("audience", "list"),
        ("resume",),
        ("auth", "refresh"),
    ):
        done = run(*words, "--ad-account", ACCOUNT)
        assert (done.code, done.out) == (3, ""), words
        assert done.error["code"] == "no_credentials"
        assert "--emulator" in done.error["hint"]


@pytest.mark.parametrize(("status", "code"), [(401, 2), (403, 29)])
def test_3_is_a_token_that_pinterest_refuses_too(
    run: Run, server: PinterestServer, status: int, code: int
) -> None:
    """With its words, and the id that its support asks for."""
    server.emulator.fault("status", status=status, code=code)
    done = run("lists", "list")
    assert done.code == 3
    assert done.error["request_id"].isdigit()


def test_4_is_not_there(run: Run) -> None:
    """A list, or an audience."""
    assert run("lists", "get", "643", "--emulator").code == 4
    done = run("audience", "get", "643", "--emulator")
    assert (done.code, done.error["code"]) == (4, "not_found")


def test_5_is_more_rejects_than_allowed(run: Run, people: Path) -> None:
    """Of any command that reads a source; what check found is written all the same."""
    few = ("--max-reject-share", "0.001")
    done = run("upload", people, "--name", "x", *few, "--emulator")
    assert (done.code, done.out, done.error["code"]) == (5, "", "too_many_rejects")
    done = run("check", people, *few)
    assert (done.code, done.data["rejected"]) == (5, 2)
    done = run("hash", people, *few)
    assert (done.code, len(done.data)) == (5, PEOPLE)
    assert run("lists", "list", "--emulator").data == []


def test_6_is_later(run: Run, server: PinterestServer) -> None:
    """Rate limits and time-outs; the error says that the same command may work."""
    server.emulator.fault("status", status=429, code=8, headers={"retry-after": "9999"}, times=None)
    done = run("lists", "list")
    assert (done.code, done.error["code"], done.error["retryable"]) == (6, "rate_limit", True)
    number = server.emulator.seed_lists(ACCOUNT, 1)[0]
    server.emulator.faults.clear()
    assert run("wait", number, "--timeout", "0.01").code == 6


def test_6_is_nobody_there_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is refused."""
    monkeypatch.setenv("PINTEREST_API_URI", "http://127.0.0.1:9/v5")
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", "pina_test")
    done = run("lists", "get", "1", "--ad-account", "1")
    assert (done.code, done.error["code"]) == (6, "transport")


def test_7_is_interrupted_and_says_what_finishes_it(
    run: Run, server: PinterestServer, people: Path
) -> None:
    """And that does."""
    server.emulator.fault("status", operation="customer_lists_create", status=403, code=29)
    done = run("upload", people, "--name", "All", "--state", "jobs.sqlite3")
    assert (done.code, done.out, done.error["code"]) == (7, "", "job_interrupted")
    first, hint = done.error["hint"].split(", then ")
    assert hint == "finish it with: pinterest-audiences resume --state jobs.sqlite3"
    assert first.startswith("log in, or give the token the right")  # which no retry does
    assert done.error["retryable"] is False
    assert done.error["request_id"].isdigit()
    (report,) = run("resume", "--state", "jobs.sqlite3").data
    assert (report["status"], report["added"]) == ("done", PEOPLE)


def test_7_is_a_list_that_another_run_works_on(run: Run, people: Path, tmp_path: Path) -> None:
    """The second of two runs of one cron job sends nothing, and says who is at work."""
    assert run("upload", people, "--name", "All", "--emulator").code == 0
    state = State(tmp_path / "state/pinterest-audiences/emulator/state.sqlite3", BASE_URL)
    (row,) = state.lists(EMULATED_ACCOUNT)
    with state.locked(row):
        done = run("upload", people, "--name", "All", "--emulator")
    state.close()
    assert (done.code, done.error["code"], done.error["retryable"]) == (7, "list_busy", True)
    assert "pid" in done.error["message"]
    assert run("upload", people, "--name", "All", "--emulator").code == 0


def test_8_is_refused_by_a_guard(run: Run, people: Path) -> None:
    """And the hint is the flag that says yes."""
    run("upload", people, "--name", "All", "--emulator")
    Path("few.csv").write_text("email\nperson1@shop.example\n")
    mirror = ("mirror", "few.csv", "--name", "All", "--emulator")
    for words in (
        mirror,
        ("remove", people, "--name", "All", "--emulator"),
        ("forget", "few.csv", "--emulator"),
    ):
        done = run(*words)
        assert (done.code, done.out) == (8, ""), words
        assert "--yes" in done.error["message"] + done.error["hint"]
        assert "allow_removals" not in done.err
    assert run(*mirror, "--yes").data["removed"] == PEOPLE - 1


def test_8_is_a_name_that_is_taken(run: Run, people: Path) -> None:
    """`lists create` makes lists, and never adds to one."""
    run("lists", "create", people, "--name", "All", "--emulator")
    done = run("lists", "create", people, "--name", "All", "--emulator")
    assert (done.code, done.error["code"]) == (8, "guard_name_taken")
    assert len(run("lists", "list", "--emulator").data) == 1


def test_130_is_ctrl_c(run: Run, server: PinterestServer) -> None:
    """In the middle of a call; there is no traceback."""
    main_thread = threading.get_ident()

    def interrupt(_request: object) -> bool:
        signal.pthread_kill(main_thread, signal.SIGINT)  # which wakes it, as a terminal's does
        return True

    server.emulator.fault("slow", seconds=30, when=interrupt)
    assert threading.current_thread() is threading.main_thread()
    done = run("lists", "list")
    assert (done.code, done.out, done.error["code"]) == (130, "", "interrupted")
    assert "Traceback" not in done.err
