"""The commands, Python and YAML of the page on schedulers run as shown."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from unit.cli.conftest import Run

PAGE = Path(__file__).parents[3] / "docs" / "scheduling.md"
if not PAGE.exists():
    pytest.skip("the documentation is not beside an installed wheel", allow_module_level=True)
TEXT = PAGE.read_text(encoding="utf-8")


def block(language: str) -> str:
    """Return the only code block of a language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    return str(found)


def test_cron_command_runs_twice(run: Run, people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second run has nothing to send."""
    monkeypatch.setenv("PINTEREST_API_URI", "emulator:")
    *_, line = block("cron").splitlines()
    schedule, _, command = line.partition(" /opt/audiences/bin/pinterest-audiences ")
    assert len(schedule.split()) == 5
    words = shlex.split(command.partition(" >>")[0])
    words[words.index("/var/exports/customers.csv")] = str(people)
    first, second = run(*words), run(*words)
    assert (first.code, first.err, first.data["added"]) == (0, "", 300)
    assert (second.code, second.err, second.data["planned"]) == (0, "", 0)


def test_airflow_function_distinguishes_retries_from_failures(
    people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the exit code; it raises with the error's message."""
    monkeypatch.setenv("PINTEREST_API_URI", "emulator:")
    names: dict[str, Any] = {}
    exec(block("python"), names)  # a block of our own page
    monkeypatch.setattr(names["subprocess"], "run", _as_module(names["subprocess"].run))
    assert '"added": 300' in names["mirror"](str(people), "All")
    people.write_text("email\nnone\nnone\nnone\n")
    with pytest.raises(ValueError, match="too_many_rejects"):
        names["mirror"](str(people), "All")


def _as_module(run: Callable[..., Any]) -> Callable[..., Any]:
    """Run the module, because the script may not be on the PATH of the tests."""

    def run_module(command: list[str], **options: Any) -> Any:
        return run([sys.executable, "-m", "pinterest_audiences", *command[1:]], **options)

    return run_module


def test_workflow_calls_the_action_with_its_inputs() -> None:
    """One run at a time; the token is in the environment, not an input."""
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    workflow = yaml.safe_load(block("yaml"))
    assert workflow["concurrency"]
    [step] = [each for each in workflow["jobs"]["mirror"]["steps"] if "audiences" in each["uses"]]
    assert set(step["env"]) == {"PINTEREST_ACCESS_TOKEN"}
    assert "secrets.PINTEREST_ACCESS_TOKEN" in step["env"]["PINTEREST_ACCESS_TOKEN"]
    action = Path(__file__).parents[3] / "action.yml"
    if not action.exists():
        pytest.skip("the action is in a checkout only")
    inputs = yaml.safe_load(action.read_text(encoding="utf-8"))["inputs"]
    required = {name for name, values in inputs.items() if values.get("required")}
    assert required <= set(step["with"]) <= set(inputs)
