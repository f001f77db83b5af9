"""What is trimmed."""

from __future__ import annotations

import sys

from pinterest_audiences.records.text import INVISIBLE, WHITE_SPACE, trim


def test_all_white_space_of_unicode_is_trimmed() -> None:
    """The list is the one that Python itself goes by."""
    assert set(WHITE_SPACE) == {c for c in map(chr, range(sys.maxunicode + 1)) if c.isspace()}


def test_invisible_characters_are_trimmed_and_no_letter_is() -> None:
    """No character with a shape is taken off."""
    assert trim(f"{INVISIBLE}a{INVISIBLE}") == "a"
    assert not any(c.isprintable() for c in INVISIBLE)
