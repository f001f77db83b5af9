"""What the page on schedulers shows works: its commands, its Python, its YAML."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli.conftest import Run

PAGE = Path(__file__).parents[2] / "docs" / "scheduling.md"
if not PAGE.exists():
    pytest.skip("the documentation is not beside an installed wheel", allow_module_level=True)
TEXT = PAGE.read_text(encoding="utf-8")


def block(language: str) -> str:
    """The one block of a language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    return str(found)


def test_the_command_of_cron_runs(run: Run, people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice: the second night has nothing to do."""
    monkeypatch.setenv("PINTEREST_API_URI", "emulator:")
    *_, line = block("cron").splitlines()
    schedule, _, command = line.partition(" /opt/audiences/bin/pinterest-audiences ")
    assert len(schedule.split()) == 5
    words = shlex.split(command.partition(" >>")[0])
    words[words.index("/var/exports/customers.csv")] = str(people)
    first, second = run(*words), run(*words)
    assert (first.code, first.err, first.data["added"]) == (0, "", 300)
    assert (second.code, second.err, second.data["planned"]) == (0, "", 0)


def test_the_function_for_airflow_tells_retries_from_failures(
    people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the exit code, with the error's words."""
    monkeypatch.setenv("PINTEREST_API_URI", "emulator:")
    names: dict[str, Any] = {}
    exec(block("python"), names)  # a block of our own page
    monkeypatch.setattr(names["subprocess"], "run", _as_module(names["subprocess"].run))
    assert '"added": 300' in names["mirror"](str(people), "All")
    people.write_text("email\nnone\nnone\nnone\n")
    with pytest.raises(ValueError, match="too_many_rejects"):
        names["mirror"](str(people), "All")


def _as_module(run: Callable[..., Any]) -> Callable[..., Any]:
    """Run the module, for the script may not be on the PATH of the tests."""

    def run_module(command: list[str], **options: Any) -> Any:
        return run([sys.executable, "-m", "pinterest_audiences", *command[1:]], **options)

    return run_module


def test_the_workflow_is_yaml_and_its_commands_run(
    run: Run, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step that runs this command line, on the emulator."""
    yaml = pytest.importorskip("yaml", reason="PyYAML is in the group for tests")
    workflow = yaml.safe_load(block("yaml"))
    job = workflow["jobs"]["mirror"]
    assert workflow["concurrency"]  # GitHub runs no two of them at once
    assert set(job["env"]) >= {"PINTEREST_ACCESS_TOKEN", "PINTEREST_AUDIENCES_STATE"}
    restored, saved = (each for each in job["steps"] if "cache" in each.get("uses", ""))
    assert job["steps"][-1] is saved
    assert saved["if"] == "always()"  # what a failed run has sent is not forgotten
    assert restored["with"].items() >= saved["with"].items()
    state = Path(job["env"]["PINTEREST_AUDIENCES_STATE"])
    assert Path(saved["with"]["path"]) in state.parents
    monkeypatch.setenv("PINTEREST_API_URI", "emulator:")
    monkeypatch.setenv("PINTEREST_AUDIENCES_STATE", job["env"]["PINTEREST_AUDIENCES_STATE"])
    people.rename("customers.csv")
    steps = [step["run"] for step in job["steps"] if "run" in step]
    commands = [shlex.split(each) for each in steps if each.startswith("pinterest-audiences ")]
    assert [words[1] for words in commands] == ["doctor", "mirror"]
    for words in commands:
        assert run(*words[1:]).code == 0
    assert Path("state/jobs.sqlite3").exists()
