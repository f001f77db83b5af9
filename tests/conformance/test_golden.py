"""The rules, as vectors: input, options, and the expected record or reason."""

from __future__ import annotations

from support.golden_vectors import vectors
from support.sources import for_each

from pinterest_audiences._models import IdentifierType
from pinterest_audiences._records.chunks import RejectReason, RowChunk, to_ascii_chunk
from pinterest_audiences._records.fast_path import VectorBuilder
from pinterest_audiences._records.identifiers import (
    COLUMN_NORMALIZERS,
    KIND_NORMALIZERS,
    NormalizationOptions,
    Normalized,
    normalize,
)
from pinterest_audiences._records.report import Counters


@for_each(vectors())
def test_golden_vectors_give_their_record_or_reason(
    vector: tuple[str, str, NormalizationOptions, str],
) -> None:
    """A rule does what its golden vector says."""
    column, value, rules, expected = vector
    rule = COLUMN_NORMALIZERS.get(column) or KIND_NORMALIZERS[IdentifierType(column)]
    outcome = normalize(value, rule, rules)
    result = outcome.record if isinstance(outcome, Normalized) else f"!{outcome}"
    assert result == expected


@for_each(vector for vector in vectors() if vector[0] in {*IdentifierType})
def test_vectorized_path_gives_the_same_result(
    vector: tuple[str, str, NormalizationOptions, str],
) -> None:
    """A vector among good rows of a block gives the same as alone."""
    column, value, rules, expected = vector
    counters = Counters()
    worker = VectorBuilder(IdentifierType(column), rules, counters)
    rows = ["ann@shop.de", value, "f" * 64]
    alone = VectorBuilder(IdentifierType(column), rules, Counters()).build(RowChunk(1, rows[::2]))
    records = worker.build(to_ascii_chunk(1, rows) or RowChunk(1, rows))
    if expected.startswith("!"):
        assert records == alone
        assert counters.rejects[RejectReason(expected[1:])] >= 1
        assert 2 in counters.first_rows[RejectReason(expected[1:])]
    else:
        assert expected in records
        assert len(records) == len(alone) + 1


def test_golden_vectors_cover_every_reason_of_a_value() -> None:
    """No reason is without a vector."""
    of_sources = {"ragged_row", "bad_quoting", "line_too_long", "bad_json", "not_a_row", "not_text"}
    covered = {expected[1:] for *_, expected in vectors() if expected.startswith("!")}
    assert covered == {str(reason) for reason in RejectReason} - of_sources
