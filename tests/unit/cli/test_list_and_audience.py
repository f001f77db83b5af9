"""``upload``, ``mirror`` and ``lists create`` with --audience: list and audience in one command."""

from __future__ import annotations

from pathlib import Path

import pytest
from unit.cli.conftest import PEOPLE, Run

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("command", ["upload", "mirror"])
def test_repeated_command_makes_one_list_and_one_audience(
    run: Run, people: Path, command: str
) -> None:
    words = (command, people, "--name", "All", "--audience", "Buyers", "--emulator")
    first, second = run(*words), run(*words)
    assert (first.code, second.code) == (0, 0)
    (customer_list,) = run("lists", "list", "--emulator").data
    (audience,) = run("audience", "list", "--emulator").data
    assert audience["name"] == "Buyers"
    assert audience["rule"] == {"customer_list_id": customer_list["id"]}
    for done in (first, second):
        assert done.data["audience_id"] == audience["id"]
        assert done.data["audience_status"] in {"INITIALIZING", "READY"}
    table = run(*words, "-o", "table").out
    assert f"Audience {audience['id']} is {second.data['audience_status']}" in table.splitlines()
    assert "Audience" not in run(*words[:4], "--emulator", "-o", "table").out


def test_created_list_gets_its_audience(run: Run, people: Path) -> None:
    report = run("lists", "create", people, "--name", "All", "--audience", "All", "--emulator").data
    (audience,) = run("audience", "list", "--emulator").data
    assert (report["audience_id"], report["created"]) == (audience["id"], True)


def test_plan_file_is_applied_with_an_audience(run: Run, people: Path) -> None:
    plan = run("plan", people, "--name", "All", "--emulator", "-o", "json").out
    words = ("mirror", "--plan-file", "-", "--audience", "Buyers", "--emulator")
    report = run(*words, stdin=plan).data
    assert (report["added"], report["audience_id"] is None) == (PEOPLE, False)


@pytest.mark.parametrize("command", ["upload", "mirror"])
def test_dry_run_names_the_audience_and_creates_none(run: Run, people: Path, command: str) -> None:
    words = (command, people, "--name", "All", "--audience", "Buyers", "--emulator", "--dry-run")
    findings = run(*words).data["findings"]
    assert 'audience: "Buyers" would be created if the list has none' in findings
    assert run("audience", "list", "--emulator").data == []


def test_report_is_printed_when_the_wait_ends_too_early(run: Run, people: Path) -> None:
    """The customers have been sent; the exit code is that of a wait."""
    words = ("upload", people, "--name", "All", "--audience", "Buyers", "--emulator")
    done = run(*words, "--wait", "0.001")
    assert (done.code, done.data["status"], done.data["added"]) == (6, "done", PEOPLE)
    assert done.data["audience_id"] is None
    assert (done.error["code"], done.error["retryable"]) == ("audience", True)
    assert "is still PROCESSING after" in done.error["message"]
    assert done.error["hint"] == "repeat the command, or use `audience create`"


def test_job_without_its_audience_is_listed_as_unfinished(run: Run, people: Path) -> None:
    """`resume` waits as long as the job, and prints the report too."""
    words = ("upload", people, "--name", "All", "--audience", "Buyers", "--emulator")
    run(*words, "--wait", "0.001")
    for command in (("resume", "--dry-run"), ("jobs", "list", "--unfinished")):
        (report,) = run(*command, "--emulator").data
        assert (report["status"], report["audience_id"]) == ("done", None)
    done = run("resume", "--emulator")
    assert (done.code, done.data["added"], done.error["code"]) == (6, PEOPLE, "audience")
    assert run(*words[:-1], "--emulator").code == 0
    assert run("jobs", "list", "--unfinished", "--emulator").data == []
    assert run("resume", "--emulator").data == []


@pytest.mark.parametrize("command", ["upload", "mirror"])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--audience", ""), "--audience must be a non-empty string"),
        (("--wait", "5"), "--wait is set without an audience; set --audience too"),
        (("--audience", "A", "--wait", "-1"), "--wait must be"),
    ],
    ids=str,
)
def test_wrong_audience_option_is_a_usage_error(
    run: Run, people: Path, command: str, words: tuple[str, ...], message: str
) -> None:
    done = run(command, people, "--name", "All", *words, "--emulator")
    assert (done.code, done.out) == (2, "")
    assert done.error["message"].startswith(message)
    assert run("lists", "list", "--emulator").data == []


def test_audience_create_twice_makes_one(run: Run, people: Path) -> None:
    """With another name it makes another."""
    number = run("upload", people, "--name", "All", "--emulator").data["customer_list_id"]
    create = ("audience", "create", number, "--emulator", "--name")
    first, second = run(*create, "Buyers").data, run(*create, "Buyers").data
    assert first["id"] == second["id"]
    assert run(*create, "Spring").data["id"] != first["id"]
    assert len(run("audience", "list", "--emulator").data) == 2
