"""Shell completion: its script, its installation, and what the shells complete with it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.cases import each_case
from support.terminal import Terminal
from unit.cli.conftest import Run

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="requires Unix shells"),
    pytest.mark.slow,
]

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
    """A home directory for the test: installing completion changes files there."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME")
    return tmp_path


@pytest.mark.parametrize("shell", INSTALLED)
def test_installed_completion_lists_commands_and_options(run: Run, home: Path, shell: str) -> None:
    assert run("--install-completion", "--shell", shell).code == 0
    script = (home / INSTALLED[shell]).read_text(encoding="utf-8")
    for word in ("mirror", "audience", "plan-file", "max-removal-share"):
        assert word in script


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@each_case(
    ("typed", "offered"),
    [
        (["up"], ["upload"]),
        (["lists", ""], ["create", "forget", "get", "list"]),
        (["mirror", "--plan-"], ["--plan-file"]),
        (["lists", "list", "--output", ""], ["csv", "json", "ndjson", "table"]),
    ],
)
def test_bash_completes_commands_options_and_choices(
    run: Run, home: Path, typed: list[str], offered: list[str]
) -> None:
    """Bash itself requests the completions."""
    script = home / INSTALLED["bash"]
    if not script.exists():
        run("--install-completion", "--shell", "bash")
    words = ["bash", "-c", ASK, "bash", str(script), "pinterest-audiences"]
    done = subprocess.run([*words, *typed], capture_output=True, text=True, check=True)
    assert sorted(done.stdout.split()) == offered


# How a shell starts without the user's configuration, and how it reads the script.
SHELLS = {
    "bash": (("bash", "--norc", "--noprofile", "-i"), "source {}"),
    "zsh": (("zsh", "-f", "-i"), "autoload -U compinit; compinit -D -u; source {}"),
}
FILES = ("my customers.csv", "plan of May.json")
TYPED = (
    ("pinterest-audiences check my\t", ["check", FILES[0]]),
    ("pinterest-audiences upl\tmy\t --name x", ["upload", FILES[0], "--name", "x"]),
    ("pinterest-audiences mirror --plan-f\tpl\t", ["mirror", "--plan-file", FILES[1]]),
)


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder with files whose names have blanks, and a program that prints its arguments."""
    for name in FILES:
        Path(name).write_text("x")
    program = tmp_path / "bin" / "pinterest-audiences"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nprintf '<%s>' \"$@\"; echo\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def script_of(run: Run, folder: Path, shell: str) -> Path:
    """Return a file with the script of a shell, or skip the test where it is not installed."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    done = run("completion", shell)
    assert (done.code, done.err) == (0, "")
    script = folder / f"completion.{shell}"
    script.write_text(done.out, encoding="utf-8")
    return script


@pytest.mark.once
@pytest.mark.parametrize("shell", SHELLS)
def test_tab_completes_commands_options_and_files_with_blanks(
    run: Run, files: Path, shell: str
) -> None:
    """At the prompt of the shell itself: what is typed with tabs becomes these arguments."""
    script = script_of(run, files, shell)
    command, source = SHELLS[shell]
    with Terminal(program=command, environment={"HOME": str(files)}) as terminal:
        terminal.type(f"{source.format(script)}; echo RE''ADY\n")
        terminal.expect("READY")
        for typed, arguments in TYPED:
            terminal.type(f"{typed}\n")
            terminal.expect("".join(f"<{argument}>" for argument in arguments))


@pytest.mark.once
@each_case(
    ("typed", "offered"),
    [
        ("pinterest-audiences upl", ["upload"]),
        ("pinterest-audiences check my", [FILES[0]]),
        ("pinterest-audiences mirror --plan-file pl", [FILES[1]]),
    ],
)
def test_fish_completes_commands_and_files_with_blanks(
    run: Run, files: Path, typed: str, offered: list[str]
) -> None:
    script = str(script_of(run, files, "fish"))
    ask = 'source $argv[1]; complete -C "$argv[2]"'
    words = ["fish", "--no-config", "-c", ask, script, typed]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert [line.partition("\t")[0] for line in done.stdout.splitlines()] == offered


@each_case(("shell", "words"), [(shell, ("mirror", "plan-file")) for shell in INSTALLED])
def test_completion_prints_the_script_of_each_shell(
    run: Run, shell: str, words: tuple[str, ...]
) -> None:
    done = run("completion", shell, "--output", "table")
    assert (done.code, done.err) == (0, "")
    assert [word for word in words if word not in done.out] == []


def test_completion_of_an_unknown_shell_is_refused(run: Run) -> None:
    done = run("completion", "tcsh")
    assert (done.code, done.error["code"]) == (2, "usage")
