"""The fast path gives byte for byte what the plain path gives."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinterest_audiences.records.blocks import BlockWorker, PlainWorker
from pinterest_audiences.records.chunks import Block, Values, block_of
from pinterest_audiences.records.emails import RUBBISH_WORDS
from pinterest_audiences.records.identifiers import IdentifierKind, Rules, make_rules
from pinterest_audiences.records.reasons import Fault, RejectReason
from pinterest_audiences.records.report import Tally

DIGESTS = [
    function(text.encode()).hexdigest()
    for function in (hashlib.sha256, hashlib.sha1, hashlib.md5, hashlib.sha512)
    for text in ("ann@shop.de", "", "test@test.com", "00000000-0000-0000-0000-000000000000")
]
IDS = ["38400000-8cf0-11bd-b23e-10b96e40000d", "00000000-0000-0000-0000-000000000000", "0" * 32]
DOMAINS = [
    "shop.de", "a.b.co.uk", "example.com", "mail.example.org", "x.test", "-a.de", "a-.de", "a..de",
    "a.d", "a.invalid", "test.com", "tests.de", "b" * 63 + ".de", "b" * 64 + ".de", "1.2.3.4",
    "gmail.com", "localhost", "a.localhosts", "9-x.xn--p1ai",
]  # fmt: skip
LOCALS = [*sorted(RUBBISH_WORDS), "ann", "testing", "x" * 64, "x" * 65, "a+b", "o'neil", "a,b", ""]

cells = st.one_of(
    st.text(),
    st.text(st.characters(codec="ascii"), max_size=20),
    st.builds("{}@{}".format, st.sampled_from(LOCALS), st.sampled_from(DOMAINS)),
    st.builds("{}@{}".format, st.text(max_size=5), st.sampled_from(DOMAINS)),
    st.sampled_from([*DIGESTS, *IDS, "ann@shop.de"]),
    st.text("0123456789abcdefABCDEF-", min_size=30, max_size=66),
    st.emails(),
)
edges = st.sampled_from(["", "", "", " ", "\t", "\r", "\xa0", "\ufeff", "\u200b", "\x1c", "\x0b"])
changes = st.sampled_from([str, str, str.upper, str.title, str.swapcase])
texts = st.builds(
    lambda cell, change, left, right: left + change(cell) + right, cells, changes, edges, edges
)
surrogates = st.text(st.characters(categories=["Cs", "Lu", "Nd"]), max_size=4)
values = st.one_of(
    texts,
    texts,
    surrogates,
    st.sampled_from([None, 1, 2.5, float("nan"), b"ann@shop.de", Fault(RejectReason.RAGGED_ROW)]),
)
rules = st.builds(
    make_rules,
    algorithm=st.sampled_from(["sha256", "sha1", "md5"]),
    plain_emails=st.booleans(),
    idfa_case=st.sampled_from(["lower", "upper"]),
)
kinds = st.sampled_from(list(IdentifierKind))


def both(
    chunk: Block | Values, kind: IdentifierKind, chosen: Rules
) -> tuple[tuple[list[str], dict[str, object]], tuple[list[str], dict[str, object]]]:
    results: list[tuple[list[str], dict[str, object]]] = []
    for worker in (BlockWorker, PlainWorker):
        told: list[tuple[int, str, str]] = []

        def on_reject(
            row: int, reason: str, value: object, told: list[tuple[int, str, str]] = told
        ) -> None:
            told.append((row, reason, repr(value)))

        tally = Tally(on_reject)
        records = worker(kind, chosen, tally).work(chunk)
        counts = {key: dict(getattr(tally, key)) for key in ("rejects", "first_rows", "forms")}
        # A counter may hold a zero that the other path never touched.
        notes = {note: count for note, count in tally.notes.items() if count}
        results.append((records, {**counts, "notes": notes, "rows": tally.rows, "told": told}))
    return results[0], results[1]


@given(st.lists(values, min_size=1), kinds, rules)
def test_any_cells_give_the_same_as_one_by_one(
    cells: list[object], kind: IdentifierKind, chosen: Rules
) -> None:
    """Records, counts, notes, row numbers and rejected values are equal, and add up."""
    fast, plain = both(Values(7, cells), kind, chosen)
    assert fast == plain
    rejected = sum(plain[1]["rejects"].values())  # type: ignore[attr-defined]  # a dict of counts
    assert len(fast[0]) + rejected == len(cells)


@given(st.lists(texts.filter(lambda text: text.isascii() and "\n" not in text), min_size=1))
def test_a_block_gives_the_same_as_its_cells(cells: list[str]) -> None:
    """A block of lines and a list of the same strings are one and the same."""
    block = block_of(1, cells)
    assert block is not None
    for kind in IdentifierKind:
        fast, plain = both(block, kind, Rules())
        assert fast == plain
        assert fast == both(Values(1, cells), kind, Rules())[0]


@given(st.lists(st.sampled_from([*DIGESTS, *(d.upper() for d in DIGESTS)]), min_size=1), kinds)
def test_any_mix_of_hashes_gives_the_same(cells: list[str], kind: IdentifierKind) -> None:
    """Hashed columns, in either case and of several algorithms, take no other way."""
    fast, plain = both(Values(1, cells), kind, Rules())
    assert fast == plain


@pytest.mark.parametrize("wrong", range(10))
def test_a_wrong_row_is_told_by_its_own_number(wrong: int) -> None:
    """The row number of a reject is right wherever in a block it stands."""
    cells = [f"ann{n}@shop.de" for n in range(10)]
    cells[wrong] = "nobody"
    tally = Tally()
    records = BlockWorker(IdentifierKind.EMAIL, Rules(), tally).work(Values(100, cells))
    assert tally.first_rows == {RejectReason.NO_AT_SIGN: [100 + wrong]}
    assert len(records) == 9


def test_a_string_class_that_writes_itself_otherwise_is_read_as_its_text() -> None:
    """What counts is the text that a string holds, on both paths."""

    class Loud(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "LOUD"

    fast, plain = both(
        Values(1, [Loud("ann@shop.de"), None]), IdentifierKind.EMAIL, make_rules(plain_emails=True)
    )
    assert fast == plain
    assert fast[0] == ["ann@shop.de"]
