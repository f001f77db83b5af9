"""Golden files: recorded facts that a change must not alter by accident.

After an intended change, write them again and read the difference before it is committed::

    REGENERATE_GOLDEN=1 python -m pytest -k frozen
"""

from __future__ import annotations

import json
import os
from difflib import unified_diff
from pathlib import Path

import pytest

__all__ = ["assert_golden", "assert_golden_text"]


def assert_golden(path: Path, facts: object) -> None:
    """Compare facts with a golden file of JSON, or write the file if that is asked for."""
    current = json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if os.environ.get("REGENERATE_GOLDEN"):
        path.write_text(current, encoding="utf-8")
        pytest.skip(f"{path.name} was written")
    stored = path.read_text(encoding="utf-8")
    if current != stored:
        lines = unified_diff(stored.splitlines(), current.splitlines(), "golden", "now", n=2)
        pytest.fail("\n".join([f"{path.name} differs:", *lines]), pytrace=False)


def assert_golden_text(path: Path, text: str) -> None:
    """Compare a text with a golden file, or write the file if that is asked for."""
    if os.environ.get("REGENERATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        pytest.skip(f"{path.name} was written")
    stored = path.read_text(encoding="utf-8")
    if text != stored:
        lines = unified_diff(stored.splitlines(), text.splitlines(), "golden", "now", n=2)
        pytest.fail("\n".join([f"{path.name} differs:", *lines]), pytrace=False)
