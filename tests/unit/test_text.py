"""Wording of messages: numbers with their nouns."""

from __future__ import annotations

from typing import Literal

import pytest

from pinterest_audiences._jobs.reports import finding_text
from pinterest_audiences._records.report import DataWarning, DataWarningType
from pinterest_audiences._text import counted


@pytest.mark.parametrize(
    ("number", "noun", "verb", "text"),
    [
        (0, "record", "", "0 records"),
        (1, "record", "", "1 record"),
        (1_900, "record", "", "1,900 records"),
        (1, "row", "were", "1 row was"),
        (2, "row", "were", "2 rows were"),
        (1, "list", "have", "1 list has"),
        (1, "identifier", "are", "1 identifier is"),
        (-1, "record", "are", "-1 records are"),
    ],
)
def test_noun_and_verb_agree_with_their_number(
    number: int, noun: str, verb: Literal["", "are", "were", "have"], text: str
) -> None:
    assert counted(number, noun, verb) == text
    assert counted(number, noun, verb, width=12).lstrip() == text
    assert counted(number, noun, width=12)[:13].rstrip() == f"{number:,}".rjust(12)


@pytest.mark.parametrize("kind", DataWarningType)
def test_finding_about_data_has_a_singular_and_a_plural(kind: DataWarningType) -> None:
    one, several = (str(DataWarning(kind, count)) for count in (1, 1_200))
    assert (one.split()[0], several.split()[0]) == ("1", "1,200")
    assert not set("{}") & set(one + several)
    if kind != DataWarningType.MIXED_ALGORITHMS:  # has no noun
        assert one.removeprefix("1 ") != several.removeprefix("1,200 ")


@pytest.mark.parametrize(
    ("finding", "text"),
    [
        ("drift: 3 records were added", "3 records were added"),
        ("no_last_run: the list was not filled", "the list was not filled"),
        ('audience: "Buyers" would be created', 'audience: "Buyers" would be created'),
        ("the list may be TOO_SMALL", "the list may be TOO_SMALL"),
        ("drift: ", "drift: "),
    ],
)
def test_finding_for_people_has_no_code(finding: str, text: str) -> None:
    assert finding_text(finding) == text
