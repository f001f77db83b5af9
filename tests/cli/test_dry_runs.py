"""Plans and dry runs: what they tell is what the command itself would do, in its words."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.conftest import PEOPLE, Run


@pytest.fixture
def few(run: Run, people: Path) -> Path:
    """A file of one customer; the list All has all of them."""
    run("upload", people, "--name", "All", "--emulator", "-q")
    path = Path("few.csv")
    path.write_text("email\nperson1@shop.example\n")
    return path


@pytest.mark.parametrize("form", ["table", "csv", "json", "ndjson"])
def test_what_blocks_a_plan_is_said_in_flags_in_every_form(run: Run, few: Path, form: str) -> None:
    """Whoever approves a plan types flags; and the plan is still one that can be applied."""
    for words in (("plan",), ("mirror", "--dry-run")):
        done = run(*words, few, "--name", "All", "--emulator", "-o", form)
        assert done.code == 0
        assert "say --yes if that is right" in done.out
        assert "allow_removals" not in done.out + done.err
    plan = run("plan", few, "--name", "All", "--emulator", "-o", "json").out
    mirror = ("mirror", "--plan-file", "-", "--emulator")
    assert run(*mirror, stdin=plan).code == 8
    assert run(*mirror, "--yes", stdin=plan).data["removed"] == PEOPLE - 1
