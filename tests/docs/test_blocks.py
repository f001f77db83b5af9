"""Every Python block of README and docs runs, each by itself, against the emulator."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from _pytest.mark import ParameterSet

import pinterest_audiences
from pinterest_audiences.emulator import FaultKind
from pinterest_audiences.emulator.admin import _DOORS

pytest.importorskip("sybil", reason="the code blocks are run by the docs session, which has sybil")

from sybil.document import Document
from sybil.example import Example
from sybil.parsers.markdown import PythonCodeBlockParser

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks() -> Iterator[ParameterSet]:
    for page in PAGES:
        for example in Document.parse(str(page), PythonCodeBlockParser()).examples():
            yield pytest.param(example, id=f"{page.name}:{example.line}")


@pytest.fixture
def _emulator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)  # a block may write small files of its own
    command = [sys.executable, "-m", "pinterest_audiences.emulator", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        monkeypatch.setenv("PINTEREST_API_URI", server.stdout.readline().strip())
        monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", "any-token")
        yield
        server.terminate()


@pytest.mark.usefixtures("_emulator")
@pytest.mark.parametrize("example", list(blocks()))
def test_a_block_runs_by_itself(example: Example) -> None:
    """What a reader copies works as it stands."""
    example.document.namespace.clear()
    example.evaluate()


def test_the_readme_names_every_error_and_operation() -> None:
    """The tables are complete."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    told = set(re.findall(r"\w+", readme))
    errors = {
        name
        for name in pinterest_audiences.__all__
        if name.endswith("Error") and name not in {"APIError", "CallError"}
    }
    operations = {n for n in dir(pinterest_audiences.AsyncClient) if not n.startswith("_")}
    assert errors | operations <= told


def test_the_page_on_testing_names_every_fault_and_door() -> None:
    """The tables are complete."""
    told = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    assert [kind for kind in get_args(FaultKind) if f"`{kind}`" not in told] == []
    assert [door for door in _DOORS if f"/_emulator/{door}" not in told] == []
