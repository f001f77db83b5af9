"""Exit codes: each one is caused once, and the documentation's table matches."""

from __future__ import annotations

import re
import signal
import threading
from pathlib import Path

import pytest
from unit.cli.conftest import ACCOUNT, PEOPLE, Run

from pinterest_audiences._config import EMULATED_ACCOUNT, EMULATOR_BASE_URL
from pinterest_audiences._jobs.state import State
from pinterest_audiences.cli.error_reports import MEANINGS, ExitCode
from pinterest_audiences.pytest_plugin import PinterestServer

DOCS = Path(__file__).parents[3] / "docs" / "cli.md"


def test_documented_exit_codes_match_the_code() -> None:
    """Every code with its meaning, in order."""
    if not DOCS.exists():
        pytest.skip("the documentation is not beside an installed wheel")
    documented = re.findall(
        r"^\| (\d+) \| (.+?) \|$", DOCS.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert [(int(code), words) for code, words in documented] == [
        (int(code), words) for code, words in MEANINGS.items()
    ]
    assert set(MEANINGS) == set(ExitCode)


def test_exit_code_0_on_success(run: Run) -> None:
    """An empty listing is a success."""
    done = run("lists", "list", "--emulator")
    assert (done.code, done.out, done.err) == (0, "[]\n", "")


def test_exit_code_1_on_unexpected_error(run: Run, people: Path) -> None:
    """For example a state file that is not a database."""
    Path("state").write_text("not a database " * 100)
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
def test_exit_code_2_on_usage_error(run: Run, words: tuple[str, ...]) -> None:
    """Nothing is written to standard output, and nothing is sent."""
    done = run(*words)
    assert (done.code, done.out) == (2, "")
    assert done.error["exit"] == 2
    assert not done.error["retryable"]


def test_exit_code_3_without_credentials(run: Run, people: Path) -> None:
    """Every command that requires them suggests the emulator."""
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
def test_exit_code_3_when_pinterest_refuses_the_token(
    run: Run, server: PinterestServer, status: int, code: int
) -> None:
    """The error has Pinterest's message and the request id."""
    server.emulator.fault("status", status=status, code=code)
    done = run("lists", "list")
    assert done.code == 3
    assert done.error["request_id"].isdigit()


def test_exit_code_4_when_list_or_audience_is_not_found(run: Run) -> None:
    assert run("lists", "get", "643", "--emulator").code == 4
    done = run("audience", "get", "643", "--emulator")
    assert (done.code, done.error["code"]) == (4, "not_found")


def test_exit_code_5_when_rejects_exceed_the_limit(run: Run, people: Path) -> None:
    """In every command that reads a source; `check` prints its report anyway."""
    few = ("--max-reject-share", "0.001")
    done = run("upload", people, "--name", "x", *few, "--emulator")
    assert (done.code, done.out, done.error["code"]) == (5, "", "too_many_rejects")
    done = run("check", people, *few)
    assert (done.code, done.data["rejected"]) == (5, 2)
    done = run("hash", people, *few)
    assert (done.code, len(done.data)) == (5, PEOPLE)
    assert run("lists", "list", "--emulator").data == []


def test_exit_code_6_on_rate_limit_or_timeout(run: Run, server: PinterestServer) -> None:
    """The error is marked as retryable."""
    server.emulator.fault("status", status=429, code=8, headers={"retry-after": "9999"}, times=None)
    done = run("lists", "list")
    assert (done.code, done.error["code"], done.error["retryable"]) == (6, "rate_limit", True)
    number = server.emulator.seed_lists(ACCOUNT, 1)[0]
    server.emulator.faults.clear()
    assert run("wait", number, "--timeout", "0.01").code == 6


@pytest.mark.slow
def test_exit_code_6_when_connection_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINTEREST_API_URI", "http://127.0.0.1:9/v5")
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", "pina_test")
    done = run("lists", "get", "1", "--ad-account", "1")
    assert (done.code, done.error["code"]) == (6, "transport")


def test_exit_code_7_when_job_is_interrupted_names_resume_command(
    run: Run, server: PinterestServer, people: Path
) -> None:
    """The command that it names finishes the job."""
    server.emulator.fault("status", operation="customer_lists_create", status=403, code=29)
    done = run("upload", people, "--name", "All", "--state", "jobs.sqlite3")
    assert (done.code, done.out, done.error["code"]) == (7, "", "job_interrupted")
    first, hint = done.error["hint"].split(", then ")
    assert hint == "finish it with: pinterest-audiences resume --state jobs.sqlite3"
    assert first.startswith("log in, or use another token")  # which no retry does
    assert done.error["retryable"] is False
    assert done.error["request_id"].isdigit()
    (report,) = run("resume", "--state", "jobs.sqlite3").data
    assert (report["status"], report["added"]) == ("done", PEOPLE)


def test_exit_code_7_when_list_is_locked(run: Run, people: Path, tmp_path: Path) -> None:
    """The second run of a cron job sends nothing and names the first."""
    assert run("upload", people, "--name", "All", "--emulator").code == 0
    state = State(tmp_path / "state/pinterest-audiences/emulator/state.sqlite3", EMULATOR_BASE_URL)
    (row,) = state.lists(EMULATED_ACCOUNT)
    with state.locked(row):
        done = run("upload", people, "--name", "All", "--emulator")
    state.close()
    assert (done.code, done.error["code"], done.error["retryable"]) == (7, "list_busy", True)
    assert "pid" in done.error["message"]
    assert run("upload", people, "--name", "All", "--emulator").code == 0


def test_exit_code_8_when_a_guard_refuses(run: Run, people: Path) -> None:
    """The hint is the flag that allows it."""
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


def test_exit_code_8_when_list_name_exists(run: Run, people: Path) -> None:
    """`lists create` never adds to an existing list."""
    run("lists", "create", people, "--name", "All", "--emulator")
    done = run("lists", "create", people, "--name", "All", "--emulator")
    assert (done.code, done.error["code"]) == (8, "guard_name_taken")
    assert len(run("lists", "list", "--emulator").data) == 1


def test_exit_code_130_on_ctrl_c(run: Run, server: PinterestServer) -> None:
    """In the middle of a call, without a traceback."""
    main_thread = threading.get_ident()

    def interrupt(_request: object) -> bool:
        signal.pthread_kill(main_thread, signal.SIGINT)  # which wakes it, as a terminal's does
        return True

    server.emulator.fault("slow", seconds=30, when=interrupt)
    assert threading.current_thread() is threading.main_thread()
    done = run("lists", "list")
    assert (done.code, done.out, done.error["code"]) == (130, "", "interrupted")
    assert "Traceback" not in done.err


def test_resume_prints_finished_jobs_and_all_failures(
    run: Run, server: PinterestServer, people: Path
) -> None:
    """One list fails again, the other is finished: exit code 7."""
    for name in ("One", "Two"):
        server.emulator.fault("status", status=403, operation="customer_lists_update")
        done = run("upload", people, "--name", name, "--batch-size", 100)
        assert done.code == 7
    lists = {each["name"]: each["id"] for each in run("lists", "list").data}
    server.emulator.fault("status", status=403, path=f"*/{lists['One']}", times=None)
    done = run("resume")
    assert (done.code, done.error["code"]) == (7, "jobs_interrupted")
    assert [report["name"] for report in done.data] == ["Two"]
    assert '"One"' in done.error["message"]
