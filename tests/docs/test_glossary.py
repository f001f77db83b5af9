"""The glossary explains the terms and abbreviations of docs and commands."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GLOSSARY = ROOT / "docs" / "glossary.md"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
ENTRY = re.compile(r"^- \*\*(.+)\*\*: (.+)$", re.MULTILINE)
NOT_PROSE = re.compile(
    r"^( *)```.*?^\1```$|`[^`\n]+`|\]\([^)]*\)|<!--.*?-->|https?://\S+", re.DOTALL | re.MULTILINE
)
ABBREVIATION = re.compile(r"\b[A-Z][A-Z0-9_+-]*[A-Z0-9]\b")
# What readers know who write programs, or see at once: files, placeholders, methods, units.
KNOWN_WORDS = """
    API ASCII AWS BLOB CPU CR CRLF CSV DNS DOS GB HTML HTTP IP ISO JSON KB LF MB PDF RFC S3 SDK SQL
    TLS URI URL UTC UTF-8 UTF-16 VPN XML MD5 SHA SHA-1 SHA-224 SHA-256 SHA-384 SHA-512 SIGTERM
    DELETE GET HEAD OPTIONS PATCH POST PUT REMOVE SELECT UPDATE
    CONTRIBUTING DE FILE LIST OK
"""
KNOWN = frozenset(KNOWN_WORDS.split())


def entries() -> list[tuple[str, str]]:
    return ENTRY.findall(GLOSSARY.read_text(encoding="utf-8"))


def abbreviations(text: str) -> set[str]:
    """Return the abbreviations outside of code, other than characters and variables."""
    found = ABBREVIATION.findall(NOT_PROSE.sub(" ", text))
    return {word for word in found if not word.startswith(("U+", "PINTEREST_"))}


def explained() -> set[str]:
    return {word for term, _ in entries() for word in ABBREVIATION.findall(term)}


def test_entries_are_in_alphabetical_order_and_each_line_is_one() -> None:
    terms = [term.replace("`", "").lower() for term, _ in entries()]
    assert terms == sorted(terms)
    assert len(terms) == len(set(terms)) > 50
    text = GLOSSARY.read_text(encoding="utf-8")
    assert len(terms) == sum(line.startswith("- ") for line in text.splitlines())


def test_abbreviations_are_found_in_prose_only() -> None:
    text = "The NCA and UTF-8, not `THIS`, [a](THAT.md), U+00FF.\n```\nNOR THIS\n```\n"
    assert abbreviations(text) == {"NCA", "UTF-8"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_abbreviation_of_a_page_is_known_or_in_the_glossary(page: Path) -> None:
    assert abbreviations(page.read_text(encoding="utf-8")) - KNOWN - explained() == set()


def test_every_abbreviation_in_the_help_of_commands_is_known_or_in_the_glossary(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("cyclopts", reason="the extra [cli] is missing")
    monkeypatch.syspath_prepend(ROOT / "scripts")
    found = abbreviations(import_module("cli_reference").reference())
    assert "NDJSON" in found
    assert found - KNOWN - explained() == set()


def test_values_of_the_api_that_are_only_names_are_in_the_glossary() -> None:
    """Types of lists and audiences, and roles."""
    from pinterest_audiences import AudienceType, UserListType

    text = GLOSSARY.read_text(encoding="utf-8")
    names = {str(value) for value in (*AudienceType, *UserListType)} - {"EMAIL"}
    assert [name for name in sorted(names) if name not in text] == []
    assert "new customer acquisition" in text.lower()
