"""Completion of the shell: installed by the command itself, and what it offers in bash."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cli.conftest import Run

pytestmark = pytest.mark.skipif(os.name != "posix", reason="these shells are of Unix")

INSTALLED = {
    "bash": ".local/share/bash-completion/completions/pinterest-audiences",
    "zsh": ".zsh/completions/_cyclopts_pinterest-audiences",
    "fish": ".config/fish/completions/pinterest-audiences.fish",
}
ASK = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
asked=$(complete -p pinterest-audiences | sed 's/.*-F \\([^ ]*\\).*/\\1/')
"$asked" pinterest-audiences "${COMP_WORDS[$COMP_CWORD]}" "${COMP_WORDS[$(($COMP_CWORD - 1))]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home of the test's own: shells are told of completion in files there."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME")
    return tmp_path


@pytest.mark.parametrize("shell", INSTALLED)
def test_completion_is_installed_for_a_shell(run: Run, home: Path, shell: str) -> None:
    """It knows the commands and the options."""
    assert run("--install-completion", "--shell", shell).code == 0
    script = (home / INSTALLED[shell]).read_text(encoding="utf-8")
    for word in ("mirror", "audience", "plan-file", "max-removal-share"):
        assert word in script


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["up"], ["upload"]),
        (["lists", ""], ["create", "get", "list"]),
        (["mirror", "--plan-"], ["--plan-file"]),
        (["lists", "list", "--output", ""], ["csv", "json", "ndjson", "table"]),
    ],
    ids=str,
)
def test_bash_completes_commands_options_and_choices(
    run: Run, home: Path, typed: list[str], offered: list[str]
) -> None:
    """As bash itself asks for them."""
    run("--install-completion", "--shell", "bash")
    words = ["bash", "-c", ASK, "bash", str(home / INSTALLED["bash"]), "pinterest-audiences"]
    done = subprocess.run([*words, *typed], capture_output=True, text=True, check=True)
    assert sorted(done.stdout.split()) == offered
