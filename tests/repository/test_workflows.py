"""Workflows, the action and the forms of GitHub: pinned, with the least rights, and complete."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"))
USES = re.compile(r"uses: (\S+?)@(\S+)(?: # v(\d+\.\d+\.\d+))?$", re.MULTILINE)

pytestmark = pytest.mark.skipif(not WORKFLOWS, reason="the workflows are in a checkout only")


def read(path: Path) -> dict[Any, Any]:
    content: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in WORKFLOWS:
        for name, job in read(path)["jobs"].items():
            yield f"{path.name}: {name}", job


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, job in jobs():
        for step in job["steps"]:
            yield name, step
    for step in read(ROOT / "action.yml")["runs"]["steps"]:
        yield "action.yml", step


def test_actions_are_pinned_by_commit_with_their_version() -> None:
    """And each action by the same commit everywhere."""
    pins: dict[str, set[tuple[str, str]]] = {}
    for path in (*WORKFLOWS, ROOT / "action.yml"):
        for action, commit, version in USES.findall(path.read_text(encoding="utf-8")):
            pins.setdefault(action, set()).add((commit, version))
    assert len(pins) >= 7
    for action, (pin, *others) in pins.items():
        assert others == [], action
        assert re.fullmatch(r"[0-9a-f]{40}", pin[0]), action
        assert pin[1], action


def test_jobs_have_a_time_limit_and_only_the_rights_of_their_steps() -> None:
    for path in WORKFLOWS:
        assert read(path)["permissions"] == {}, path.name
    rights = {name: job["permissions"] for name, job in jobs()}
    assert {name: right for name, right in rights.items() if right != {"contents": "read"}} == {
        "release.yml: pypi": {"id-token": "write"},
        "release.yml: github": {"contents": "write"},
    }
    assert [name for name, job in jobs() if "timeout-minutes" not in job] == []


def test_checkouts_keep_no_token() -> None:
    checkouts = [step for _, step in steps() if "actions/checkout@" in step.get("uses", "")]
    assert len(checkouts) >= 4
    assert [step for step in checkouts if step["with"]["persist-credentials"] is not False] == []


def test_values_reach_commands_through_the_environment_only() -> None:
    """A value that is pasted into a command can contain commands, and is seen in process lists."""
    assert [name for name, step in steps() if "${{" in step.get("run", "")] == []


def test_action_is_run_without_the_cache_by_the_public_repository() -> None:
    """With the cache it would refuse to."""
    (used,) = (step for _, step in steps() if step.get("uses") == "./")
    inputs = read(ROOT / "action.yml")["inputs"]
    assert used["with"]["cache-state"] == "false"
    assert set(used["with"]) <= set(inputs)
    assert {name for name, content in inputs.items() if content.get("required")} <= set(
        used["with"]
    )


def test_secrets_are_not_used_in_the_action() -> None:
    """Credentials are variables of the step that uses it."""
    action = read(ROOT / "action.yml")
    words = re.compile("token|secret", re.IGNORECASE)
    assert [name for name in action["inputs"] if words.search(name)] == []
    assert "secrets." not in (ROOT / "action.yml").read_text(encoding="utf-8")


def test_suite_runs_on_three_systems_and_every_python_of_the_classifiers() -> None:
    matrix = read(ROOT / ".github" / "workflows" / "tests.yml")["jobs"]["tests"]["strategy"][
        "matrix"
    ]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    minors = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    assert matrix["python"] == minors
    assert [name.partition("-")[0] for name in matrix["system"]] == ["ubuntu", "macos", "windows"]


def test_sessions_of_the_workflow_are_those_of_nox() -> None:
    matrix = read(ROOT / ".github" / "workflows" / "tests.yml")["jobs"]["checks"]["strategy"][
        "matrix"
    ]
    default = (ROOT / "noxfile.py").read_text(encoding="utf-8").partition("sessions = [")[2]
    names = set(re.findall(r'"(\w+)"', default.partition("]")[0]))
    assert set(matrix["session"]) == names


def test_release_publishes_what_was_built_and_checked() -> None:
    release = read(ROOT / ".github" / "workflows" / "release.yml")
    build, pypi, github = (release["jobs"][name] for name in ("build", "pypi", "github"))
    assert release[True] == {"push": {"tags": ["v*"]}}  # YAML reads `on` as true
    assert (pypi["needs"], github["needs"]) == ("build", "pypi")
    assert any("twine check --strict" in step.get("run", "") for step in build["steps"])
    assert pypi["environment"]["name"] == "pypi"
    publish = pypi["steps"][-1]
    assert publish["uses"].startswith("pypa/gh-action-pypi-publish@")
    assert publish["with"] == {"attestations": True}  # and no password


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_issue_form_has_required_fields_with_labels(path: Path) -> None:
    """GitHub shows no form at all if one field is wrong."""
    form = read(path)
    assert {"name", "description", "body"} <= set(form)
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert {field["type"] for field in fields} <= {"input", "textarea", "dropdown", "checkboxes"}
    ids = [field["id"] for field in fields]
    assert len(set(ids)) == len(ids)
    assert [field for field in fields if not field["attributes"]["label"]] == []
    assert [field for field in fields if field.get("validations", {}).get("required")]


def test_there_is_a_form_for_each_kind_of_issue() -> None:
    assert [path.stem for path in FORMS] == ["bug", "emulator", "feature"]
