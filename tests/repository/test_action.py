"""The GitHub Action: its steps run with bash, against the emulator."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.programs import HANGS_AFTER_SECONDS

from pinterest_audiences import Client
from pinterest_audiences.pytest_plugin import PinterestServer

yaml = pytest.importorskip("yaml")

ACTION = Path(__file__).parents[2] / "action.yml"
ACCOUNT = "549755885175"
SECRET = "a-secret-token"

pytestmark = [
    pytest.mark.skipif(not ACTION.exists(), reason="the action is in a checkout only"),
    pytest.mark.skipif(shutil.which("bash") is None, reason="requires bash"),
    pytest.mark.skipif(os.name != "posix", reason="bash on Windows has other paths"),
    pytest.mark.slow,
    pytest.mark.once,
]


class Runner:
    """Run the bash steps of the action as GitHub does: expressions, then the script in a file."""

    def __init__(self, folder: Path) -> None:
        self.action: dict[str, Any] = yaml.safe_load(ACTION.read_text(encoding="utf-8"))
        self.folder = folder
        self.values = {
            f"inputs.{name}": str(content.get("default", ""))
            for name, content in self.action["inputs"].items()
        }
        self.values["github.event.repository.visibility"] = "private"
        self.values["github.token"] = "token of the workflow"
        self.values["steps.python.outputs.python-path"] = sys.executable
        self.values["steps.install.outputs.python"] = sys.executable
        self.values["steps.install.outputs.list"] = "0123456789abcdef"
        self.environment: dict[str, str] = {}
        self.outputs: dict[str, str] = {}
        self.summary = ""

    def step(self, name: str) -> dict[str, Any]:
        step: dict[str, Any] = next(s for s in self.action["runs"]["steps"] if s["name"] == name)
        return step

    def evaluated(self, text: str) -> str:
        return re.sub(r"\$\{\{ ([\w.-]+) \}\}", lambda match: self.values[match[1]], text)

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        """Run a step, and read the files for outputs and the summary."""
        step = self.step(name)
        script = self.folder / "step.sh"
        script.write_text(step["run"], encoding="utf-8")
        output, summary = self.folder / "output", self.folder / "summary"
        output.write_text("")
        summary.write_text("")
        completed = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            env={
                **os.environ,
                "RUNNER_TEMP": str(self.folder),
                "GITHUB_ACTION_PATH": str(ACTION.parent),
                "GITHUB_OUTPUT": str(output),
                "GITHUB_STEP_SUMMARY": str(summary),
                "PINTEREST_ACCESS_TOKEN": SECRET,
                **self.environment,
                **{key: self.evaluated(value) for key, value in step["env"].items()},
            },
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=HANGS_AFTER_SECONDS,
            check=False,
        )
        lines = output.read_text(encoding="utf-8").splitlines()
        self.outputs = dict(line.split("=", 1) for line in lines)
        self.summary = summary.read_text(encoding="utf-8")
        assert SECRET not in completed.stdout + completed.stderr
        return completed


@pytest.fixture
def runner(tmp_path: Path, pinterest_server: PinterestServer) -> Runner:
    runner = Runner(tmp_path)
    runner.environment["PINTEREST_API_URI"] = pinterest_server.base_url
    runner.values |= {
        "inputs.file": "customers.csv\n",
        "inputs.name": "Buyers",
        "inputs.ad-account": ACCOUNT,
    }
    (tmp_path / "customers.csv").write_text("email\nada@shop.example\nben@shop.example\n")
    return runner


def sizes(server: PinterestServer) -> dict[str, int]:
    """Return the number of members of each list, by name."""
    with Client("any-token", base_url=server.base_url) as client:
        lists = client.customer_lists_list(ACCOUNT).collect()
    return {str(item.name): len(server.emulator.members(item.id)) for item in lists}


def test_step_mirrors_the_file_and_writes_outputs_and_summary(
    runner: Runner, pinterest_server: PinterestServer
) -> None:
    runner.values["inputs.audience"] = "Buyers of the shop"
    first = runner.run("Mirror the list")
    report = json.loads(runner.outputs["report"])
    assert (first.returncode, runner.outputs["exit-code"]) == (0, "0"), first.stderr
    assert report["added"] == 2
    assert report["audience_id"]
    assert {"| to_add | 2 |", "| added | 2 |", "| rejected | 0 |"} <= set(
        runner.summary.splitlines()
    )
    state = runner.folder / "pinterest-audiences-state" / "0123456789abcdef" / "state.sqlite3"
    assert state.exists()

    (runner.folder / "customers.csv").write_text("email\nada@shop.example\n")
    runner.values["inputs.arguments"] = "--yes\n--column=email\n"
    assert runner.run("Mirror the list").returncode == 0
    assert json.loads(runner.outputs["report"])["removed"] == 1
    assert sizes(pinterest_server) == {"Buyers": 1}


def test_step_reads_every_line_of_file_as_one_file(
    runner: Runner, pinterest_server: PinterestServer
) -> None:
    (runner.folder / "more customers.csv").write_text("email\ncem@shop.example\n")
    runner.values["inputs.file"] = "customers.csv\nmore customers.csv\n\n"
    completed = runner.run("Mirror the list")
    assert completed.returncode == 0, completed.stderr
    assert sizes(pinterest_server) == {"Buyers": 3}


def test_file_that_looks_like_an_option_is_not_one(
    runner: Runner, pinterest_server: PinterestServer
) -> None:
    """It is written as ``./--yes``."""
    (runner.folder / "--yes").write_text("email\ndora@shop.example\n")
    runner.values["inputs.file"] = "--yes"
    assert runner.run("Mirror the list").returncode == 2
    assert sizes(pinterest_server) == {}
    runner.values["inputs.file"] = "./--yes"
    assert runner.run("Mirror the list").returncode == 0
    assert sizes(pinterest_server) == {"Buyers": 1}


def test_dry_run_reports_and_changes_nothing(
    runner: Runner, pinterest_server: PinterestServer
) -> None:
    runner.values["inputs.dry-run"] = "true"
    completed = runner.run("Mirror the list")
    assert completed.returncode == 0, completed.stderr
    assert json.loads(runner.outputs["report"])["to_add"] == 2
    assert sizes(pinterest_server) == {}
    assert "inputs.dry-run != 'true'" in runner.step("Save the state")["if"]


def test_failed_command_fails_the_step_with_its_exit_code(
    runner: Runner, pinterest_server: PinterestServer
) -> None:
    runner.values["inputs.expect-rows"] = "3"
    completed = runner.run("Mirror the list")
    assert (completed.returncode, runner.outputs["exit-code"]) == (8, "8")
    assert runner.outputs["report"] == ""
    assert sizes(pinterest_server) == {}


def test_values_with_shell_syntax_are_not_run(
    runner: Runner, pinterest_server: PinterestServer
) -> None:
    name = "--yes $(touch pwned) `touch pwned` \"; touch pwned; '"
    runner.values["inputs.name"] = name
    assert runner.run("Mirror the list").returncode == 0
    assert sizes(pinterest_server) == {name: 2}
    assert not (runner.folder / "pwned").exists()


def test_state_of_the_caller_is_used_without_the_cache(runner: Runner) -> None:
    runner.values["inputs.cache-state"] = "false"
    runner.environment["PINTEREST_AUDIENCES_STATE"] = str(runner.folder / "my.sqlite3")
    assert runner.run("Mirror the list").returncode == 0
    assert (runner.folder / "my.sqlite3").exists()
    assert not (runner.folder / "pinterest-audiences-state").exists()


@pytest.mark.parametrize(
    ("visibility", "cache", "code"),
    [
        ("public", "true", 2),
        ("public", "false", 0),
        ("private", "true", 0),
        ("internal", "true", 0),
        ("", "true", 2),  # not every event names it
    ],
)
def test_state_is_not_stored_in_the_cache_of_a_public_repository(
    runner: Runner, visibility: str, cache: str, code: int
) -> None:
    runner.values["github.event.repository.visibility"] = visibility
    runner.values["inputs.cache-state"] = cache
    completed = runner.run("Check the inputs")
    assert completed.returncode == code
    assert ("::error::" in completed.stdout) == bool(code)


@pytest.mark.parametrize("name", ["cache-state", "dry-run"])
@pytest.mark.parametrize("value", ["True", "TRUE", "yes", "1", ""])
def test_switch_that_is_neither_true_nor_false_is_refused(
    runner: Runner, name: str, value: str
) -> None:
    """GitHub's expressions ignore case and bash does not: no other spelling may mean either."""
    runner.values[f"inputs.{name}"] = value
    completed = runner.run("Check the inputs")
    assert completed.returncode == 2
    assert "must be true or false" in completed.stdout


def test_visibility_that_the_event_lacks_is_requested(runner: Runner) -> None:
    runner.values["github.event.repository.visibility"] = ""
    runner.environment["GITHUB_REPOSITORY"] = "shop/lists"
    gh = runner.folder / "bin" / "gh"
    gh.parent.mkdir()
    runner.environment["PATH"] = f"{gh.parent}{os.pathsep}{os.environ['PATH']}"
    for script, code in (
        ('test "$*" = "api repos/shop/lists --jq .visibility" && echo private', 0),
        ("echo public", 2),
        ("exit 1", 2),
    ):
        gh.write_text(f"#!/bin/sh\n{script}\n")
        gh.chmod(0o755)
        completed = runner.run("Check the inputs")
        assert (completed.returncode, "::error::" in completed.stdout) == (code, bool(code))


def test_modules_of_the_caller_replace_no_others(
    runner: Runner, pinterest_server: PinterestServer
) -> None:
    (runner.folder / "json.py").write_text("raise SystemExit(3)\n")
    assert runner.run("Mirror the list").returncode == 0
    assert sizes(pinterest_server) == {"Buyers": 2}


def test_package_of_the_action_is_installed_with_its_extras(runner: Runner) -> None:
    """Into a separate environment; each list has its own state."""
    python = runner.folder / "python"
    log = runner.folder / "installed"
    # Makes an environment whose Python writes down what pip would install.
    python.write_text(
        f"""#!/bin/bash
        if [ "$2" = venv ]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; exit; fi
        if [ "$2" = pip ]; then echo "$0 $*" > "{log}"; exit; fi
        exec "{sys.executable}" "$@"
        """
    )
    python.chmod(0o755)
    runner.values["steps.python.outputs.python-path"] = str(python)
    runner.values["inputs.extras"] = "arrow,phone"
    assert runner.run("Install pinterest-audiences").returncode == 0
    created = str(runner.folder / "pinterest-audiences" / "bin" / "python")
    assert log.read_text() == (
        f"{created} -m pip install --quiet {ACTION.parent}[cli,arrow,phone]\n"
    )
    assert runner.outputs["python"] == created
    first = runner.outputs["list"]
    assert re.fullmatch("[0-9a-f]{16}", first)

    runner.values |= {"inputs.name": "Others", "inputs.extras": ""}
    assert runner.run("Install pinterest-audiences").returncode == 0
    assert log.read_text().endswith(f" {ACTION.parent}[cli]\n")
    assert runner.outputs["list"] != first


def test_state_is_saved_after_a_failure_under_the_key_that_is_restored() -> None:
    steps = {step["name"]: step for step in Runner(Path()).action["runs"]["steps"]}
    restore, save = steps["Restore the state"]["with"], steps["Save the state"]["with"]
    assert (restore["path"], restore["key"]) == (save["path"], save["key"])
    assert restore["key"].startswith(restore["restore-keys"])
    assert steps["Save the state"]["if"].startswith("always() && ")
