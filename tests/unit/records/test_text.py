"""What is trimmed."""

from __future__ import annotations

import sys
import unicodedata

from pinterest_audiences._records.chunks import CONTROL, INVISIBLE, WHITE_SPACE, trim

# Format characters that have a shape: signs of Arabic, Syriac and Kaithi.
VISIBLE_FORMATS = {
    *map(chr, range(0x600, 0x606)), "\u06dd", "\u070f", "\u0890", "\u0891", "\u08e2", "\U000110bd",
    "\U000110cd",
}  # fmt: skip


def of_category(*names: str) -> set[str]:
    return {c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c) in names}


def test_all_white_space_of_unicode_is_trimmed() -> None:
    """The list is the one that Python itself goes by."""
    assert set(WHITE_SPACE) == {c for c in map(chr, range(sys.maxunicode + 1)) if c.isspace()}


def test_all_format_control_and_separator_characters_are_trimmed() -> None:
    """Every character of these categories, by the Unicode version of the interpreter."""
    wanted = of_category("Cf", "Cc", "Zs", "Zl", "Zp") - VISIBLE_FORMATS
    assert wanted <= {*WHITE_SPACE, *INVISIBLE, *CONTROL}


def test_invisible_characters_are_trimmed_and_no_letter_is() -> None:
    """No character with a shape is removed: only marks and fillers without one."""
    assert trim(f"{INVISIBLE}{CONTROL}a{CONTROL}{INVISIBLE}") == "a"
    shapeless = {*map(chr, range(0xFE00, 0xFE10)), *map(chr, range(0xE0100, 0xE01F0))}
    shapeless |= {*"\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0\ufffc"}
    assert {c for c in INVISIBLE if c.isprintable()} == shapeless


def test_printable_ascii_is_not_trimmed() -> None:
    """Trimming changes nothing else."""
    printed = "".join(map(chr, range(0x21, 0x7F)))
    assert trim(f" {printed}\n") == printed
