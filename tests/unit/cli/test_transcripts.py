"""The transcripts in README and docs match what a terminal shows."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

pytest.importorskip("cyclopts", reason="the extra [cli] is not installed")
pytest.importorskip("rich", reason="the extra [cli] is not installed")

from support.transcripts import COLUMNS, Session, Step, fits, steps

from pinterest_audiences.cli.app import COMMANDS

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="requires pseudo-terminals"),
    pytest.mark.slow,
]

ROOT = Path(__file__).parents[3]
if not (ROOT / "docs").exists():
    pytest.skip("the documentation is not beside an installed wheel", allow_module_level=True)
PAGES = {
    page.relative_to(ROOT).as_posix(): list(steps(page.read_text(encoding="utf-8")))
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
}


@pytest.mark.parametrize("page", [name for name, found in PAGES.items() if found])
def test_transcripts_of_each_page_match_the_output(
    page: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With an empty home and the example's customers, in the order of the page."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", COLUMNS)
    shutil.copytree(ROOT / "examples", "examples")
    shutil.copy(ROOT / "examples" / "customers.csv", "customers.csv")
    session = Session(tmp_path / "bin")
    for step in PAGES[page]:
        shown = session.run(step)
        assert fits(step.shown, shown), "\n".join([f"{page}:{step.line} $ {step.command}", *shown])


def test_every_command_has_a_transcript() -> None:
    typed = [step.command for found in PAGES.values() for step in found]
    missing = [
        each.name
        for each in COMMANDS
        if not any(f"pinterest-audiences {each.name}" in command for command in typed)
    ]
    assert missing == []


def test_transcript_is_parsed_into_commands_and_output() -> None:
    """With continued lines and line numbers."""
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
def test_ellipsis_matches_any_text(expected: str, shown: str, *, fit: bool) -> None:
    """Within its line, or over several lines if it is alone on one."""
    assert fits(tuple(expected.splitlines()), shown.splitlines()) is fit
