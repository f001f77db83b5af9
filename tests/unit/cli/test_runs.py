"""``runs``: the history of jobs on the command line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.cases import each_case
from support.terminal import here_on_terminal
from unit.cli.conftest import Run, refused

from pinterest_audiences.pytest_plugin import PinterestServer

posix = pytest.mark.skipif(os.name != "posix", reason="requires pseudo-terminals")


def fill(run: Run, people: Path) -> None:
    """Run an upload, a mirror that is refused, and an upload to another list."""
    assert run("upload", people, "--name", "Buyers", "--emulator").code == 0
    few = people.with_name("few.csv")
    few.write_text("email\nperson1@shop.example\n")
    assert run("mirror", few, "--name", "Buyers", "--emulator").code == 8
    assert run("upload", few, "--name", "Other", "--emulator").code == 0


def test_runs_lists_the_history_newest_first(run: Run, people: Path) -> None:
    fill(run, people)
    last, refusal, first = run("runs", "--emulator", "-o", "json").data
    assert (last["operation"], last["name"], last["added"]) == ("upload", "Other", 1)
    assert (refusal["operation"], refusal["outcome"]) == ("mirror", "failed")
    assert refusal["error_type"] == "GuardError"
    assert (first["outcome"], first["added"], first["rejected"]) == ("done", 300, 2)
    assert first["source"] == str(people)
    assert first["started"].endswith("Z")
    assert first["seconds"] >= 0


@each_case(
    "words",
    [
        ("mirror", "--name", "Buyers"),
        ("mirror", "--name", "Buyers", "--expect-rows", "90"),
        ("plan", "--name", "Buyers", "--expect-rows", "90"),
        ("upload", "--name", "Buyers", "--expect-rows", "90"),
        ("mirror", "--name", "Buyers", "--max-reject-share", "0"),
        ("remove", "--name", "Unknown"),
        ("upload", "--list", "1"),
        ("mirror", "--plan-file", "plan.json"),
    ],
)
def test_refused_run_has_the_counts_of_its_source(
    run: Run, people: Path, words: tuple[str, ...]
) -> None:
    """The source was read, and nothing was sent."""
    few = people.with_name("few.csv")
    few.write_text(
        "\n".join(["email", "none", *(f"p{number}@shop.example" for number in range(19))])
    )
    assert run("upload", people, "--name", "Buyers", "--emulator").code == 0
    if words[1] == "--plan-file":
        planned = run("plan", few, "--name", "Buyers", "--emulator", "-o", "json")
        Path(words[2]).write_text(planned.out)
        done = run(*words, "--emulator")
    else:
        done = run(words[0], few, *words[1:], "--emulator")
    assert done.code not in {0, 2}, done.err
    shown = run("runs", "--emulator", "-o", "json").data[0]
    assert (shown["outcome"], shown["added"], shown["removed"]) == ("failed", 0, 0)
    assert (shown["source"], shown["rows"], shown["rejected"]) == (str(few), 20, 1)


def test_source_is_shown_with_the_name_of_its_file(run: Run, people: Path) -> None:
    """No token: those are longer."""
    few = people.with_name("pins.csv")
    few.write_text("email\nperson1@shop.example\n")
    assert run("upload", few, "--name", "Buyers", "--emulator").code == 0
    (shown,) = run("runs", "--emulator", "-o", "json").data
    assert shown["source"] == str(few)


def test_runs_are_selected_by_list_and_number(run: Run, people: Path) -> None:
    fill(run, people)

    def names(*words: str) -> list[str]:
        return [item["name"] for item in run("runs", *words, "--emulator", "-o", "json").data]

    assert names("--name", "Other") == ["Other"]
    assert names("--list", "Buyers") == ["Buyers", "Buyers"]
    assert names("--limit", "2") == ["Other", "Buyers"]
    assert names("--all-accounts", "--limit", "1") == ["Other"]


def test_runs_is_written_in_every_form(run: Run, people: Path) -> None:
    fill(run, people)
    table = run("runs", "--emulator", "-o", "table").out.splitlines()
    assert table[0].split()[:3] == ["JOB", "STARTED", "KIND"]
    assert table[0].split()[-1] == "ERROR"
    assert len(table) == 4
    header, *lines = run("runs", "--emulator", "-o", "csv").out.splitlines()
    assert header == (
        "run_id,started,operation,source,customer_list_id,name,added,removed,rejected,seconds,"
        "outcome"
    )
    assert [line.rpartition(",")[2] for line in lines] == ["done", "failed", "done"]
    assert len(run("runs", "--emulator", "-o", "ndjson").out.splitlines()) == 3


def test_runs_of_an_empty_state_file_are_an_empty_list(run: Run) -> None:
    assert run("runs", "--emulator", "-o", "json").data == []


def test_options_of_runs_that_cannot_be_used_are_usage_errors(run: Run) -> None:
    refused(run("runs", "--limit", "-1", "--emulator"), 2, "usage", "--limit must be 0 or more")
    refused(run("runs", "--name", "A", "--list", "B", "--emulator"), 2, "usage", "--name or --list")
    refused(run("runs", "--name", "Unknown", "--emulator"), 4, "job_not_found")


@posix
@each_case(
    ("columns", "head"),
    [
        (100, "JOB  STARTED  KIND  SOURCE  LIST  ADDED  REJECTED  SECONDS  OUTCOME"),
        (80, "JOB  STARTED  KIND  SOURCE  LIST  ADDED  REJECTED  SECONDS  OUTCOME"),
        (68, "JOB  STARTED  KIND  SOURCE  LIST  ADDED  REJECTED  OUTCOME"),
    ],
)
def test_runs_on_a_terminal_are_a_table_with_reasons_below(
    run: Run, people: Path, columns: int, head: str
) -> None:
    """Without a column of zeros only, and with the seconds left out first."""
    if not Path("few.csv").exists():
        fill(run, people)
    shown = here_on_terminal(
        "runs", "--emulator", stdout=True, environment={"COLUMNS": str(columns), "NO_COLOR": "1"}
    )
    lines = shown.screen.replace("\r", "").splitlines()
    assert lines[0].split() == head.split()
    assert max(map(len, lines)) <= columns
    first, second = lines[1].split(), lines[2].split()
    assert (first[0], first[-1]) == ("3", "done")
    # No job was started; the first word may be a number of seconds.
    assert (lines[2][:3].strip(), second[-1]) == ("", "failed")
    assert "few.csv" in first
    reason = " ".join(" ".join(lines[3:-1]).split())
    assert reason.startswith('error: list "Buyers" ')
    assert reason.endswith("would be removed, more than 20%")
    assert lines[-1].split()[0] == "1"


@posix
def test_full_history_of_removals_and_rejects_fits_on_80_columns(run: Run) -> None:
    """With the job in front of the reason where its column is left out."""
    path = Path("customers.csv")
    for numbers in (range(300), range(10, 305)):
        rows = "".join(f"person{number}@shop.example\n" for number in numbers)
        path.write_text(f"email\n{rows}none\n")
        done = run("mirror", path, "--name", "All customers", "--emulator", "--yes")
        assert done.code == 0, done.err
    shown = here_on_terminal("runs", "--emulator", stdout=True, environment={"NO_COLOR": "1"})
    head, *lines = shown.screen.replace("\r", "").splitlines()
    names = "STARTED  KIND  SOURCE  LIST  ADDED  REMOVED  REJECTED  OUTCOME"
    assert head.split() == names.split()
    assert max(map(len, [head, *lines])) <= 80
    assert lines[0].split()[-4:] == ["5", "10", "1", "done"]


@posix
def test_seconds_of_a_run_are_rounded_for_people_only(run: Run, people: Path) -> None:
    fill(run, people)
    screen = here_on_terminal("runs", "--emulator", stdout=True).screen
    exact = [item["seconds"] for item in run("runs", "--emulator", "-o", "json").data]
    assert exact != [round(each, 1) for each in exact]
    for each in exact:
        assert f" {each:.1f} " in screen
        assert f"{each:g}" not in screen


@posix
def test_job_without_a_column_is_named_before_the_reason(
    run: Run, server: PinterestServer, people: Path
) -> None:
    server.emulator.fault("status", operation="customer_lists_create", status=403)
    assert run("upload", people, "--name", "Buyers").code != 0
    shown = here_on_terminal(
        "runs", stdout=True, environment={"COLUMNS": "63", "NO_COLOR": "1"}
    ).screen
    assert "\n    job 1, error: upload 1 to list " in shown.replace("\r", ""), shown
