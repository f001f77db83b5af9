"""The fast path gives byte for byte what the plain path gives."""

from __future__ import annotations

import hashlib
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinterest_audiences._models import IdentifierType
from pinterest_audiences._records import fast_path
from pinterest_audiences._records.chunks import (
    AsciiChunk,
    RejectReason,
    RowChunk,
    UnreadableRow,
    to_ascii_chunk,
    trim,
)
from pinterest_audiences._records.emails import PLACEHOLDER_LOCAL_PARTS
from pinterest_audiences._records.fast_path import ScalarBuilder, VectorBuilder
from pinterest_audiences._records.identifiers import NormalizationOptions, make_options
from pinterest_audiences._records.report import Counters

pytestmark = pytest.mark.slow

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
    "xn--a.de", "xn--bcher-kva.de", "a.xn--a.de",
]  # fmt: skip
LOCALS = [
    *sorted(PLACEHOLDER_LOCAL_PARTS),
    "ann",
    "testing",
    "x" * 64,
    "x" * 65,
    "a+b",
    "o'neil",
    "a,b",
    "",
]

cells = st.one_of(
    st.text(),
    st.text(st.characters(codec="ascii"), max_size=20),
    st.builds("{}@{}".format, st.sampled_from(LOCALS), st.sampled_from(DOMAINS)),
    st.builds("{}@{}".format, st.text(max_size=5), st.sampled_from(DOMAINS)),
    st.sampled_from([*DIGESTS, *IDS, "ann@shop.de"]),
    st.text("0123456789abcdefABCDEF-", min_size=30, max_size=66),
    st.emails(),
    # The characters that the rules know, in addresses of every other form.
    st.text(
        "ann@shop.de'\"%40,;:<>(){}|/ \t\\\u2019\u2013\xfc\xc3\xbc\uff41\u0130\u1e9e\u03a3",
        max_size=24,
    ),
    st.lists(
        st.builds("{}@{}".format, st.sampled_from(LOCALS), st.sampled_from(DOMAINS)),
        min_size=2,
        max_size=3,
    ).map(", ".join),
)
edges = st.sampled_from(
    [
        *(
            "",
            "",
            "",
            " ",
            "\t",
            "\r",
            "\xa0",
            "\ufeff",
            "\u200b",
            "\x1c",
            "\x0b",
            "\x00",
            "\ufe0f",
        ),
        *(
            "'",
            '"',
            "\u201c",
            "\u201d",
            "\u300c",
            "(",
            ")",
            "<",
            ">",
            "{",
            "}",
            "`",
            ",",
            ";",
            ".",
            "%",
        ),
        *(
            "mailto:",
            "mailto:?to=",
            "mailto://",
            "b'",
            "email='",
            "o''",
            "``",
            "''",
            "m=C3=BC",
            "_x00fc_",
            "_X000D_",
            "email=",
            "Ann <",
            '="',
            "\xc2\xa0",
            "\xef\xbb\xbf",
            "0x",
            "sha256:",
            "\\x",
            "%20",
        ),
    ]
)
changes = st.sampled_from([str, str, str.upper, str.title, str.swapcase])
texts = st.builds(
    lambda cell, change, left, right: left + change(cell) + right, cells, changes, edges, edges
)
surrogates = st.text(st.characters(categories=["Cs", "Lu", "Nd"]), max_size=4)
values = st.one_of(
    texts,
    texts,
    surrogates,
    st.sampled_from(
        [None, 1, 2.5, float("nan"), b"ann@shop.de", UnreadableRow(RejectReason.RAGGED_ROW)]
    ),
)
rules = st.builds(
    make_options,
    algorithm=st.sampled_from(["sha256", "sha1", "md5"]),
    plain_emails=st.booleans(),
    idfa_case=st.sampled_from(["lower", "upper"]),
)
kinds = st.sampled_from(list(IdentifierType))


def both(
    chunk: AsciiChunk | RowChunk, kind: IdentifierType, chosen: NormalizationOptions
) -> tuple[tuple[list[str], dict[str, object]], tuple[list[str], dict[str, object]]]:
    results: list[tuple[list[str], dict[str, object]]] = []
    for worker in (VectorBuilder, ScalarBuilder):
        reported: list[tuple[int, str, str]] = []

        def on_reject(
            row: int,
            reason: str,
            value: object,
            _file: str,
            reported: list[tuple[int, str, str]] = reported,
        ) -> None:
            reported.append((row, reason, repr(value)))

        counters = Counters(on_reject)
        records = worker(kind, chosen, counters).build(chunk)
        counts = {key: dict(getattr(counters, key)) for key in ("rejects", "first_rows", "forms")}
        # A counter may hold a zero that the other path never touched.
        notes = {note: count for note, count in counters.warnings.items() if count}
        results.append(
            (records, {**counts, "warnings": notes, "rows": counters.rows, "reported": reported})
        )
    return results[0], results[1]


@given(st.lists(values, min_size=1), kinds, rules)
def test_vector_builder_equals_scalar_builder_for_any_cells(
    cells: list[object], kind: IdentifierType, chosen: NormalizationOptions
) -> None:
    """Records, counts, warnings, row numbers and rejected values are equal, and add up."""
    fast, plain = both(RowChunk(7, cells), kind, chosen)
    assert fast == plain
    rejected = sum(plain[1]["rejects"].values())  # type: ignore[attr-defined]  # a dict of counts
    assert len(fast[0]) + rejected >= len(cells)  # a cell may name several people


@given(st.lists(texts.filter(lambda text: text.isascii() and "\n" not in text), min_size=1))
def test_ascii_chunk_equals_row_chunk_of_its_cells(cells: list[str]) -> None:
    """For the same strings."""
    block = to_ascii_chunk(1, cells)
    assert block is not None
    for kind in IdentifierType:
        fast, plain = both(block, kind, NormalizationOptions())
        assert fast == plain
        assert fast == both(RowChunk(1, cells), kind, NormalizationOptions())[0]


BLANKS = st.builds(
    lambda character, count: character * count,
    st.sampled_from([" ", "\t", "\r", " \t", "\u3000", "\ufeff"]),
    st.sampled_from([0, 1, 8_000, 16_383, 16_384, 20_000]),
)


@given(
    st.lists(
        st.tuples(
            BLANKS,
            st.sampled_from(["", "ann@shop.de", "Ann@shop.de", "ann", "NULL", DIGESTS[0], IDS[0]]),
            BLANKS,
        ).map("".join),
        min_size=1,
        max_size=5,
    ),
    kinds,
)
def test_cells_of_mostly_blanks_are_equal_in_both_builders(
    cells: list[str], kind: IdentifierType
) -> None:
    """Blanks at the ends do not count: a column of a fixed width may have thousands."""
    fast, plain = both(RowChunk(1, cells), kind, NormalizationOptions())
    assert fast == plain
    trimmed, _ = both(RowChunk(1, list(map(trim, cells))), kind, NormalizationOptions())
    assert (fast[0], fast[1]["rejects"]) == (trimmed[0], trimmed[1]["rejects"])


@given(st.lists(st.sampled_from([*DIGESTS, *(d.upper() for d in DIGESTS)]), min_size=1), kinds)
def test_vector_builder_equals_scalar_builder_for_any_hashes(
    cells: list[str], kind: IdentifierType
) -> None:
    """In either case, and of several algorithms."""
    fast, plain = both(RowChunk(1, cells), kind, NormalizationOptions())
    assert fast == plain


@pytest.mark.parametrize("wrong", range(10))
def test_reject_has_its_own_row_number(wrong: int) -> None:
    """At any position in a block."""
    cells = [f"ann{n}@shop.de" for n in range(10)]
    cells[wrong] = "absent"
    counters = Counters()
    records = VectorBuilder(IdentifierType.EMAIL, NormalizationOptions(), counters).build(
        RowChunk(100, cells)
    )
    assert counters.first_rows == {RejectReason.NO_AT_SIGN: [100 + wrong]}
    assert len(records) == 9


def test_str_subclass_with_its_own_str_is_read_as_text() -> None:
    """What counts is the text that a string holds, on both paths."""

    class Loud(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "LOUD"

    fast, plain = both(
        RowChunk(1, [Loud("ann@shop.de"), None]),
        IdentifierType.EMAIL,
        make_options(plain_emails=True),
    )
    assert fast == plain
    assert fast[0] == ["ann@shop.de"]


BROKEN = {
    "takes the first label of a line for the whole": rb"(?:[a-z]+@[a-z]+\.)*",
    "ends inside a line": rb"(?:[a-z]+@[a-z.]+\n)*[a-z]*",
    "takes what has no domain": rb"(?:[^\n]*@[^\n]*\n)*",
    "takes placeholders": rb"(?:[a-z0-9.]+@[a-z0-9]+\.[a-z]{2,}\n)*",
    "takes everything": rb"(?:[^\n]*\n)*",
    "steps over a line end": rb"(?:[^@]+@[a-z.]+\n)*",
}


@pytest.mark.parametrize("pattern", BROKEN.values(), ids=BROKEN)
def test_defective_regular_expressions_fall_back_to_the_plain_path(
    pattern: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records, rejects and row numbers stay right when a pattern matches what it must not."""
    cells = [
        "ann@shop.de",
        "Bob@mail.shop.co.uk",
        "ann",
        "test@test.com",
        "ann@shop",
        "a b",
        "x@y.de",
    ]
    monkeypatch.setattr(fast_path, "_EMAIL_LINES", re.compile(pattern))
    fast_path._paths_agree.cache_clear()
    try:
        fast, plain = both(RowChunk(1, cells), IdentifierType.EMAIL, NormalizationOptions())
    finally:
        fast_path._paths_agree.cache_clear()
    assert fast == plain
    assert len(fast[0]) == 3


@pytest.mark.parametrize("kind", list(IdentifierType))
def test_vectorized_path_is_used_on_this_interpreter(kind: IdentifierType) -> None:
    """The proof does not fail for another reason than a defect of the engine."""
    assert fast_path._paths_agree(kind)


def test_no_expression_repeats_a_group_possessively() -> None:
    """Possessive and atomic groups match wrongly before CPython 3.11.5 (gh-106052)."""
    patterns = [
        fast_path._EMAIL_LINES,
        fast_path._MOBILE_LINES,
        *(p for p, _ in fast_path._HEX_LINES),
    ]
    assert not any(re.search(rb"\)(?:[*+?]|\{[0-9,]+\})\+|\(\?>", p.pattern) for p in patterns)


@given(st.lists(texts, min_size=1, max_size=8))
def test_no_record_of_an_address_has_a_character_that_no_address_has(cells: list[str]) -> None:
    """Whatever stands around or inside, what is sent is an address or a digest."""
    records = VectorBuilder(
        IdentifierType.EMAIL, make_options(plain_emails=True), Counters()
    ).build(RowChunk(1, cells))
    for record in records:
        local, at, domain = record.partition("@")
        if not at:
            assert re.fullmatch("[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}", record)
            continue
        assert not re.search(r"""[\s"(),:;<>@\[\\\]]|^'|%[0-9a-f]{2}""", local)
        assert not re.search(r"[\x00-,/:-`{-\x7f]", domain)
        outside = {unicodedata.category(c) for c in record if not c.isascii()}
        assert outside <= {"Ll", "Lo", "Lm", "Lu", "Lt", "Mn", "Mc", "Nd", "Po"}
        assert "\ufffd" not in record


@pytest.mark.parametrize("length", [32, 40, 64])
@pytest.mark.parametrize("odd", [" ", "  ", "\t", "\x0b", "\r", "g", "-", "\xe4", "\n"])
def test_line_of_hexadecimal_digits_and_others_is_not_a_hash(length: int, odd: str) -> None:
    good = "0123456789abcdef" * 4
    wrong = (good[:8] + odd + good)[:length]

    fast, plain = both(
        RowChunk(1, [good[:length], wrong, good[:length]]),
        IdentifierType.EMAIL,
        NormalizationOptions(),
    )

    assert fast == plain
