"""Help: the overview, the page of each command, and the common options in one place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from support.programs import HANGS_AFTER_SECONDS
from support.terminal import here_on_terminal
from unit.cli.conftest import Run

from pinterest_audiences.cli.app import COMMANDS, OVERVIEW, PAGES

ROOT = Path(__file__).parents[3]
WORDS = [name for names in OVERVIEW.values() for name in names]


def test_overview_has_every_command_once_in_a_group() -> None:
    assert sorted(WORDS) == sorted({command.name.partition(" ")[0] for command in COMMANDS})
    assert list(OVERVIEW) == ["Start", "Lists and audiences", "Send", "Look after", "Develop"]


def test_bare_command_fits_on_a_screen_of_24_rows_and_80_columns(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a row for the next prompt."""
    monkeypatch.setenv("COLUMNS", "80")
    done = run()
    lines = done.out.splitlines()
    assert (done.code, len(lines) <= 23, max(map(len, lines)) <= 80) == (0, True, True)
    assert [line for line in lines if line in OVERVIEW] == list(OVERVIEW)
    for names in OVERVIEW.values():
        for name, text in names.items():
            assert any(name in line and text in line for line in lines)
    assert any(line.startswith("Example  pinterest-audiences ") for line in lines)
    assert any(line.startswith("Docs  https://") for line in lines)


def test_overview_has_one_column_on_a_narrow_terminal(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    shown = [line.split()[0] for line in run().out.splitlines() if line.startswith("  ")]
    assert shown == WORDS


def test_commands_of_an_error_are_in_the_order_of_the_overview(run: Run) -> None:
    assert run("qqqqq").error["message"].endswith(f"; commands: {', '.join(WORDS)}")


def test_help_of_the_program_explains_the_common_options(run: Run) -> None:
    """The bare command does not, nor does the help of a command."""
    text = "Use the local emulator instead of Pinterest"
    assert text in " ".join(run("--help").out.split())
    assert text in " ".join(run("-h").out.split())
    assert text not in " ".join(run().out.split())
    assert text not in " ".join(run("upload", "--help").out.split())


@pytest.mark.parametrize("name", [command.name for command in COMMANDS])
def test_help_of_a_command_ends_with_common_options_example_and_link(run: Run, name: str) -> None:
    """The link stays on one line, so that it can be copied."""
    example = next(command.example for command in COMMANDS if command.name == name)
    title = "\nCommon options (pinterest-audiences --help)\n"
    _, _, end = run(*name.split(), "--help").out.partition(title)
    names, _, rest = end.partition("\n\n")
    shown = {word.strip(",") for word in names.split()}
    assert {"--emulator", "--output", "--state", "--log-format"} <= shown
    first, line, docs, link = rest.splitlines()
    assert (first, line) == ("Example", f"  pinterest-audiences {example}")
    page = PAGES.get(name.partition(" ")[0], "cli.md")
    assert docs == "Docs"
    assert link.startswith("  https://")
    assert link.endswith(f"/{page}")


def test_help_of_a_group_lists_its_commands_without_an_example(run: Run) -> None:
    lines = run("lists").out.splitlines()
    shown = [line.split()[0] for line in lines if line.startswith("  ")]
    assert shown == ["create", "forget", "get", "list"]
    assert not [line for line in lines if "mirror" in line]


@pytest.mark.skipif(not (ROOT / "docs").exists(), reason="runs without the documentation")
def test_pages_that_help_links_to_exist(run: Run) -> None:
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    address = metadata["project"]["urls"]["Documentation"]
    assert f"Docs  {address}\n" in run().out
    for page in {*PAGES.values(), "cli.md"}:
        assert (ROOT / "docs" / page).is_file()


@pytest.mark.skipif(os.name != "posix", reason="requires pseudo-terminals")
def test_help_is_colored_on_terminals_only(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    shown = here_on_terminal(stdout=True)
    assert "\x1b[1mStart\x1b[0m" in shown.screen
    assert "\x1b[36m  demo" in shown.screen
    assert "\x1b[1mOptions" not in shown.screen
    assert "\x1b[3" not in here_on_terminal(stdout=True, environment={"NO_COLOR": "1"}).screen
    assert "\x1b" not in here_on_terminal(stdout=True, environment={"TERM": "dumb"}).screen
    assert "\x1b" not in run().out + run("upload", "--help").out


def test_options_are_not_broken_on_a_very_narrow_terminal(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    lines = [line.strip() for line in run("upload", "--help").out.splitlines()]
    assert "--max-reject-share" in lines
    assert "Send nothing if" in lines


@pytest.mark.parametrize("name", [command.name for command in COMMANDS])
def test_usage_of_a_command_names_its_arguments(run: Run, name: str) -> None:
    """As the table of arguments below does, and not as ARGS."""
    help_text = run(*name.split(), "--help").out
    usage, _, rest = help_text.partition("\n")
    assert usage.startswith(f"Usage: pinterest-audiences {name}")
    assert "ARGS" not in help_text
    _, title, arguments = rest.partition("\nArguments\n")
    if title:
        named = arguments.split("\n\n")[0].split()[0]
        assert f" {named}" in usage.replace("[", "")


def test_help_of_upload_has_the_list_before_other_options(run: Run) -> None:
    titles = ["Arguments", "List", "Audience", "Options", "Source"]
    lines = run("upload", "--help").out.splitlines()
    assert [line for line in lines if line in titles] == titles


@pytest.mark.parametrize("name", ["upload", "mirror", "remove", "forget", "resume"])
def test_help_says_how_long_two_hours_of_retries_are(run: Run, name: str) -> None:
    text = " ".join(run(name, "--help").out.split())
    assert "[default: 7200, two hours]" in text
    assert "[default: 0.0]" not in text


WIDTHS = ["0", "1", "2", "3", "4", "9", "10", "19", "39", "5000", "9" * 30]
NO_WIDTHS = ["", "-1", "abc", "1e3", "8 0", "²", "٣", "9" * 5000]
# In one process, which can be killed: for each width, print the width and the exit codes.
HELP_OF_ALL = """
import json, os, sys
from pinterest_audiences.cli import run_command
for width in json.loads(sys.argv[1]):
    os.environ["COLUMNS"] = os.environ["LINES"] = width
    codes = {run_command([*words.split(), "--help"]) for words in json.loads(sys.argv[2])}
    print(json.dumps([width, list(codes)]), file=sys.stderr)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("widths", "commands"),
    [
        ([*WIDTHS, *NO_WIDTHS], ["", "mirror", "runs", "lists"]),
        (["1", "3"], ["", *(command.name for command in COMMANDS)]),
    ],
    ids=["all widths", "all commands"],
)
def test_help_ends_at_any_width(widths: list[str], commands: list[str]) -> None:
    """Also if variables for the size of the terminal have no number."""
    done = subprocess.run(
        [sys.executable, "-c", HELP_OF_ALL, json.dumps(widths), json.dumps(commands)],
        capture_output=True,
        check=False,
        text=True,
        timeout=HANGS_AFTER_SECONDS,
    )
    assert [json.loads(line) for line in done.stderr.splitlines()] == [
        [width, [0]] for width in widths
    ]
    assert done.stdout.count("Usage: ") == len(widths) * len(commands)
