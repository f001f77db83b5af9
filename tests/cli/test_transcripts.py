"""The transcripts in README and docs are what a terminal shows, command by command."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

pytest.importorskip("cyclopts", reason="the command line needs the extra [cli]")
pytest.importorskip("rich", reason="the command line needs the extra [cli]")

from support.transcripts import COLUMNS, Session, Step, fits, steps

from pinterest_audiences.cli.app import COMMANDS

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals are a matter of Unix")

ROOT = Path(__file__).parents[2]
if not (ROOT / "docs").exists():
    pytest.skip("the documentation is not beside an installed wheel", allow_module_level=True)
PAGES = {
    page.name: list(steps(page.read_text(encoding="utf-8")))
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
}


@pytest.mark.parametrize("page", [name for name, found in PAGES.items() if found])
def test_a_page_shows_what_a_terminal_shows(
    page: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """From an empty home and the example's customers, in the order of the page."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", COLUMNS)
    shutil.copytree(ROOT / "examples", "examples")
    shutil.copy(ROOT / "examples" / "customers.csv", "customers.csv")
    session = Session(tmp_path / "bin")
    for step in PAGES[page]:
        shown = session.run(step)
        assert fits(step.shown, shown), "\n".join([f"{page}:{step.line} $ {step.command}", *shown])


def test_every_command_has_its_transcript() -> None:
    """Whoever adds a command shows it."""
    typed = [step.command for found in PAGES.values() for step in found]
    missing = [
        each.name
        for each in COMMANDS
        if not any(f"pinterest-audiences {each.name}" in command for command in typed)
    ]
    assert missing == []


def test_a_transcript_is_commands_and_what_they_show() -> None:
    """With continued lines, and numbers of lines for whoever mends one."""
    page = "# A\n\n```console\n$ a --b \\\n    c\none\ntwo\n$ d\n```\n```\n$ no\n```\n"
    assert list(steps(page)) == [Step(4, "a --b c", ("one", "two")), Step(8, "d", ())]
    with pytest.raises(ValueError, match="line 2: a transcript begins with a dollar"):
        list(steps("```console\na\n```\n"))


@pytest.mark.parametrize(
    ("expected", "shown", "fit"),
    [
        ("a…c\n…\nd", "abc\nx\ny\nd", True),
        ("a\n…\nd", "a\nd", True),
        ("a…c", "a\nc", False),
        ("a.c", "abc", False),
        ("a", "a\nb", False),
        ("a\n…", "b\na", False),
    ],
)
def test_an_ellipsis_is_anything_and_all_else_is_itself(
    expected: str, shown: str, *, fit: bool
) -> None:
    """On its line, or for lines where it is alone."""
    assert fits(tuple(expected.splitlines()), shown.splitlines()) is fit
