"""Words for missing values, literals of source code, escapes and marks: never a wrong hash."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cases import each_case

from pinterest_audiences import (
    IdentifierType,
    RecordRow,
    TooManyRejectsError,
    prepare,
    prepare_rows,
)

ANN = "ann@shop.de"
NULL_WORDS = [
    *("NULL", "null", "\\N", "#N/A", "#NULL!", "nan", "NaN", "None", "n/a", "N/A", "<NA>"),
    *("-", "--", "NA", "NaT", "(null)", "[NULL]", " NULL ", '"NULL"', "'N/A", '="#N/A"', "N'NULL'"),
    b"NULL",
]  # fmt: skip
COLUMNS = [
    *("email", "maid", "hashed_phone_number", "hashed_pinner_id", "external_id", "ip_address"),
    *("user_agent", "liveramp_envelope"),
]
KINDS = ["email", "maid", "idfa", "hashed_pinner_id", "lr_id", "dlx_id"]


def outcome(value: object) -> list[str] | dict[str, int]:
    """Return the addresses of a cell, or why there are none."""
    prepared = prepare([{"email": value}], plain_emails=True)
    records = [record for chunk in prepared for record in chunk]
    return records or {str(reason): count for reason, count in prepared.report.rejects.items()}


def row_of(**cells: object) -> tuple[RecordRow, list[str]]:
    prepared = prepare_rows([{"email": ANN, **cells}], columns=["email", *cells])
    [[row]] = prepared
    return row, [str(finding.detail) for finding in prepared.report.findings]


@pytest.mark.parametrize("word", NULL_WORDS, ids=repr)
def test_null_word_is_an_empty_cell_in_every_column(word: str | bytes) -> None:
    """It is neither sent nor counted as a fault."""
    for kind in KINDS:
        assert prepare([{"value": word}], IdentifierType(kind), column="value").run().rejects == {
            "empty": 1
        }
    for column in COLUMNS:
        report = prepare_rows([{column: word}], columns=[column]).run()
        assert (report.records, report.rejects) == (0, {"empty": 1})


def test_null_words_do_not_count_towards_the_reject_limit() -> None:
    """A file of few addresses and many missing ones is read; real faults still stop it."""
    cells = [ANN, *["NULL", "\\N", "#N/A"] * 50]
    report = prepare(cells, max_reject_share=0.01).run()
    assert (report.records, report.rejects, report.reject_share) == (1, {"empty": 150}, 0)
    with pytest.raises(TooManyRejectsError):
        prepare([ANN, "no address"], max_reject_share=0.01).run()


@pytest.mark.parametrize("value", ["undefined", "None.", "null@", "NULLS", "nana", "N/A x"])
def test_words_that_are_not_exactly_null_words_are_counted(value: str) -> None:
    """In a column of addresses they are rejects with a reason."""
    assert outcome(value) in ({"no_at_sign": 1}, {"domain_without_dot": 1}, {"bad_domain": 1})


@pytest.mark.parametrize(
    "value",
    [0, "0", "000", "undefined", "none", "Unknown", "[object Object]", "#REF!", "(not set)"],
)
def test_placeholder_is_not_sent_as_an_id(value: object) -> None:
    """The row keeps its e-mail."""
    row, reasons = row_of(external_id=value)
    assert (row.external_id, reasons) == (None, ["placeholder"])
    for kind in ("lr_id", "dlx_id"):
        report = prepare([{"id": value}], kind, column="id").run()
        assert report.records == 0


def test_ids_that_only_contain_such_words_are_sent() -> None:
    """The whole cell has to be the word."""
    for value in ("10", "A0", "null-17", "nan7", "NULLER"):
        assert row_of(external_id=value)[0].external_id == value


REJECTED = [
    {reason: 1}
    for reason in (
        *("forbidden_character", "escaped_character", "non_ascii_punctuation"),
        *("bad_domain", "symbol"),
    )
]
QUOTES = ["'", '"']
LITERALS = {f"{name}{quote}": (name, quote) for quote in QUOTES for name in "bBuUNnrReE"}


@each_case(("name", "quote"), LITERALS.values())
@each_case("around", ["{}", " {} ", '"{}"', "({},)", "[{}]", "{},", "{};"])
def test_literal_of_source_code_gives_its_address(name: str, quote: str, around: str) -> None:
    """Python's ``str(bytes)``, and strings of SQL."""
    assert outcome(around.format(f"{name}{quote}{ANN}{quote}")) == [ANN]


@pytest.mark.parametrize(
    "cell",
    [
        *(f"x'{ANN}'", f"X'{ANN}'", f"_utf8'{ANN}'", f"U&'{ANN}'", f"q'{ANN}'", f"(x'{ANN}',)"),
        *(f"email='{ANN}'", f'email="{ANN}"', f"``{ANN}''", f"o'neil{ANN}'", f"o'neil{ANN}\""),
        *(f"\u201cx'{ANN}'\u201d", f"\"x'{ANN}'\"", f"N'o''neil{ANN}'", f"b'm\\xc3\\xbc{ANN}'"),
        f"email={ANN}",
    ],
)
def test_quote_at_the_end_whose_partner_is_inside_rejects_the_cell(cell: str) -> None:
    """It is never removed alone: what is left would be another address."""
    assert outcome(cell) in REJECTED


@pytest.mark.parametrize(
    ("cell", "address"),
    [
        (f"'{ANN}'", ANN),
        (f"{ANN}'", ANN),
        (f"'{ANN}", ANN),
        ("o'neil@shop.de", "o'neil@shop.de"),
        ("'o'neil@shop.de", "o'neil@shop.de"),
        ("'o'neil@shop.de'", "o'neil@shop.de"),
        ('"o\'neil@shop.de"', "o'neil@shop.de"),
        ("\u02bcann@shop.de\u02bc", ANN),
        ("\u02c8ann@shop.de\u02c8", ANN),
        (f"`{ANN}`", ANN),
    ],
)
def test_quotes_around_an_address_are_removed(cell: str, address: str) -> None:
    """Apostrophes inside stay."""
    assert outcome(cell) == [address]


@given(
    st.sampled_from(
        ["", "b", "u", "N", "x", "q", "U&", "_utf8", "email=", "mail=", "(b", "=", "f"]
    ),
    st.sampled_from(["'", '"', "`", "''", "\u2019", "\u02bc", "\u201d", "\u00b4"]),
    st.sampled_from(["'", '"', "`", "''", "\u2019", "\u02bc", "\u201d", "\u00b4", "',)", "';"]),
)
def test_any_notation_of_an_address_gives_the_address_or_a_reject(
    before: str, left: str, right: str
) -> None:
    """Never the hash of the notation."""
    assert outcome(f"{before}{left}{ANN}{right}") in ([ANN], *REJECTED)


@pytest.mark.parametrize("value", ["b'55'", 'b"55"', "u'55'", "N'55'", b"55"])
def test_literal_as_an_external_id_gives_its_value(value: object) -> None:
    """The letter and the quotes belong to no id."""
    assert row_of(external_id=value)[0].external_id == "55"


@pytest.mark.parametrize("value", ["x'55'", "(b'55',)", "q'55'"])
def test_literal_that_is_not_decoded_is_not_an_external_id(value: str) -> None:
    """It is left out and counted."""
    row, reasons = row_of(external_id=value)
    assert (row.external_id, reasons) == (None, ["forbidden_character"])


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("mailto:?to=ann@shop.de", "forbidden_character"),
        ("mailto:?subject=x&to=ann@shop.de", "forbidden_character"),
        ("o''neil@shop.de", "escaped_character"),
        ("'ann'@shop.de", "escaped_character"),
        ("m=C3=BCller@shop.de", "escaped_character"),
        ("m_x00FC_ller@shop.de", "escaped_character"),
        ("o\u02bcneil@shop.de", "non_ascii_punctuation"),
        ("o\u02b9neil@shop.de", "non_ascii_punctuation"),
        ("o\u02c8neil@shop.de", "non_ascii_punctuation"),
        ("o\ua78cneil@shop.de", "non_ascii_punctuation"),
        ("m\u951f\u65a4\u62f7ller@shop.de", "replacement_character"),
        ("\u0640@shop.de", "symbol"),
        ("\u0645\u0640\u062d@shop.de", "symbol"),
        ("\u0308ann@shop.de", "symbol"),
        ("\u30fc@shop.de", "symbol"),
        ("\u212aann@shop.de", "compatibility_form"),
        ("ann@xn--a.example", "bad_domain"),
        ("ann@shop.xn--a", "bad_domain"),
        ("ann@xn--.de", "bad_domain"),
    ],
)
def test_characters_and_escapes_that_no_address_has_are_rejects(cell: str, reason: str) -> None:
    """Their hashes would match no one."""
    assert outcome(cell) == {reason: 1}


@pytest.mark.parametrize(
    "address",
    [
        *("mu\u0308ller@shop.de", "\u5c71\u30fc\u3005@shop.de", "\u0e40\u0e46@shop.de"),
        *("ann@xn--bcher-kva.de", "ann@shop.xn--p1ai", "a_x_b@shop.de", "a=b@shop.de"),
        *("a_x00zz_@shop.de", "email@shop.de", "a`b@shop.de"),
    ],
)
def test_letters_of_any_script_and_valid_punycode_stay(address: str) -> None:
    """Neighbours of what is rejected."""
    assert outcome(address) == [address]


@each_case("end", ["", "\n", "\r\n"])
@each_case("value", ["", "0", "\\N", "#N/A", "email", "NULL", "-", "b''", "test@test.com"])
@each_case("algorithm", ["sha256", "sha1", "md5"])
def test_digest_of_a_missing_value_is_a_reject(algorithm: str, value: str, end: str) -> None:
    """Also with the line end that a shell's ``echo`` adds."""
    digest = hashlib.new(algorithm, (value + end).encode()).hexdigest()
    assert outcome(digest) in ({"hash_of_nothing": 1}, {"hash_of_placeholder": 1})


@pytest.mark.parametrize(
    "cell",
    [
        *(f"{ANN}, bob", f"{ANN} / +49 151 12345678", f"{ANN} | bob", f"{ANN},bob", f"bob; {ANN}"),
        *(f"{{{ANN},bob}}", f"{ANN}\nbob", [ANN, "bob"], (ANN, 5), [ANN, ["x"]]),
    ],
)
def test_list_with_a_part_that_is_not_an_address_is_named(cell: object) -> None:
    """Never fewer people than the cell names."""
    assert outcome(cell) == {"several_addresses": 1}


@pytest.mark.parametrize(
    ("cell", "people"),
    [
        (f"{{{ANN},NULL}}", [ANN]),
        (f"{{NULL,{ANN},NULL,bob@shop.de}}", [ANN, "bob@shop.de"]),
        ([ANN], [ANN]),
        ([ANN, None, "NULL", "bob@shop.de"], [ANN, "bob@shop.de"]),
        ([ANN.encode(), "ANN@shop.de"], [ANN]),
        ([f"{ANN}; bob@shop.de", "eve@shop.de"], [ANN, "bob@shop.de", "eve@shop.de"]),
    ],
)
def test_each_address_of_an_array_is_a_record(cell: object, people: list[str]) -> None:
    """Absent elements are skipped."""
    assert outcome(cell) == people


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        *(("a,b@shop.de", "forbidden_character"), ("a;b@shop.de", "forbidden_character")),
        *(("ann@shop,de", "forbidden_character"), ("ann lee@shop.de", "space_inside")),
        *(([], "empty"), ([None], "empty"), (["bob"], "no_at_sign"), ([5], "not_text")),
    ],
)
def test_single_bad_address_keeps_its_own_reason(cell: object, reason: str) -> None:
    """It is not called a list."""
    assert outcome(cell) == {reason: 1}


@pytest.mark.parametrize("word", ["\\N", "NULL"])
def test_missing_value_in_one_of_two_columns_is_not_a_reject(word: str, tmp_path: Path) -> None:
    """The result of the hashing query, exported with a word for a missing value."""
    path = tmp_path / "hashes.csv"
    rows = [f"{'ab12' * 16},{word}", f"{word},b@shop.de", f"{word},{word}"]
    path.write_text("\n".join(["email_sha256,email_to_clean", *rows]) + "\n")
    report = prepare(path).run()
    assert (report.rows, report.records, report.rejects) == (3, 2, {"empty": 1})
