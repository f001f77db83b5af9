"""The golden vectors: inputs, options, and the expected record or reason."""

from __future__ import annotations

import csv
from pathlib import Path

from pinterest_audiences._records.identifiers import NormalizationOptions, make_options

__all__ = ["vectors"]

GOLDEN = Path(__file__).parents[1] / "conformance" / "golden"


def vectors() -> list[tuple[str, str, NormalizationOptions, str]]:
    """Return column, input, options and expected result of each vector."""
    found: list[tuple[str, str, NormalizationOptions, str]] = []
    for path in sorted(GOLDEN.glob("*.csv")):
        with path.open(newline="", encoding="ascii") as file:
            for row in csv.DictReader(file):
                value = text(row["input"])
                found.append((row["column"], value, options(row["options"]), text(row["expected"])))
    return found


def text(escaped: str) -> str:
    return escaped.encode("ascii").decode("unicode_escape")


def options(words: str) -> NormalizationOptions:
    pairs = dict(option.partition("=")[::2] for option in words.split())
    return make_options(
        plain_emails="plain_emails" in pairs,
        algorithm=pairs.get("algorithm", "sha256"),
        idfa_case=pairs.get("idfa_case", "lower"),
        phone_form=pairs.get("phone_form", "digits"),
        phone_region=pairs.get("phone_region"),
    )
