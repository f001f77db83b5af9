"""The rules, as vectors: input, options, and the expected record or reason."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from pinterest_audiences.records.blocks import BlockWorker
from pinterest_audiences.records.chunks import Values, block_of
from pinterest_audiences.records.identifiers import (
    COLUMN_RULES,
    KIND_RULES,
    Identified,
    IdentifierKind,
    Rules,
    identify,
    make_rules,
)
from pinterest_audiences.records.reasons import RejectReason
from pinterest_audiences.records.report import Tally

GOLDEN = Path(__file__).parent / "golden"


def vectors() -> list[tuple[str, str, Rules, str]]:
    found: list[tuple[str, str, Rules, str]] = []
    for path in sorted(GOLDEN.glob("*.csv")):
        with path.open(newline="", encoding="ascii") as file:
            for row in csv.DictReader(file):
                value = text(row["input"])
                found.append((row["column"], value, options(row["options"]), text(row["expected"])))
    return found


def text(escaped: str) -> str:
    return escaped.encode("ascii").decode("unicode_escape")


def options(words: str) -> Rules:
    pairs = dict(option.partition("=")[::2] for option in words.split())
    return make_rules(
        plain_emails="plain_emails" in pairs,
        algorithm=pairs.get("algorithm", "sha256"),
        idfa_case=pairs.get("idfa_case", "lower"),
        phone_form=pairs.get("phone_form"),
    )


@pytest.mark.parametrize(("column", "value", "rules", "expected"), vectors())
def test_each_vector_gives_its_record_or_its_reason(
    column: str, value: str, rules: Rules, expected: str
) -> None:
    """A rule does what its golden vector says."""
    rule = COLUMN_RULES.get(column) or KIND_RULES[IdentifierKind(column)]
    outcome = identify(value, rule, rules)
    told = outcome.record if isinstance(outcome, Identified) else f"!{outcome}"
    assert told == expected


@pytest.mark.parametrize(
    ("column", "value", "rules", "expected"),
    [vector for vector in vectors() if vector[0] in {*IdentifierKind}],
)
def test_the_fast_path_gives_the_same(column: str, value: str, rules: Rules, expected: str) -> None:
    """A vector among good rows of a block gives the same as alone."""
    tally = Tally()
    worker = BlockWorker(IdentifierKind(column), rules, tally)
    rows = ["ann@shop.de", value, "f" * 64]
    alone = BlockWorker(IdentifierKind(column), rules, Tally()).work(Values(1, rows[::2]))
    records = worker.work(block_of(1, rows) or Values(1, rows))
    if expected.startswith("!"):
        assert records == alone
        assert tally.rejects[RejectReason(expected[1:])] >= 1
        assert 2 in tally.first_rows[RejectReason(expected[1:])]
    else:
        assert expected in records
        assert len(records) == len(alone) + 1


def test_the_vectors_cover_every_reason_of_a_value() -> None:
    """No reason is without a vector."""
    of_sources = {"ragged_row", "bad_quoting", "line_too_long", "bad_json", "not_a_row", "not_text"}
    covered = {expected[1:] for *_, expected in vectors() if expected.startswith("!")}
    assert covered == {str(reason) for reason in RejectReason} - of_sources
