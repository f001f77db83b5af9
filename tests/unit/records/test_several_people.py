"""Cells that name several people, or one person in an odd way: all of them, or a reject."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cases import each_case

from pinterest_audiences import prepare, prepare_rows

ANN, BOB, EVE = "ann@shop.de", "bob.b@mail.shop.co.uk", "eve@b\u00fccher.de"
DIGEST = hashlib.sha256(b"kim@shop.de").hexdigest()

SEVERAL = {
    "comma": f"{ANN},{BOB}",
    "comma and space": f"{ANN}, {BOB}",
    "semicolon": f"{ANN};{BOB}",
    "semicolons around": f";{ANN};;{BOB};",
    "bar": f"{ANN}|{BOB}",
    "bar with space": f"{ANN}| {BOB}",
    "slash": f"{ANN}/{BOB}",
    "slash with spaces": f"{ANN} / {BOB}",
    "line feed": f"{ANN}\n{BOB}",
    "CRLF": f"{ANN}\r\n{BOB}",
    "tab": f"{ANN}\t{BOB}",
    "space": f"{ANN} {BOB}",
    "no-break space": f"{ANN}\xa0{BOB}",
    "ideographic comma": f"{ANN}\u3001{BOB}",
    "and": f"{ANN} and {BOB}",
    "und": f"{ANN} und {BOB}",
    "ampersand": f"{ANN} & {BOB}",
    "plus": f"{ANN} + {BOB}",
    "names": f"Ann <{ANN}>, Bob <{BOB}>",
    "names without separator": f"Ann <{ANN}> Bob <{BOB}>",
    "quoted names with commas": f'"Lee, Ann" <{ANN}>, "Ray, Bob" <{BOB}>',
    "names with commas": f"Lee, Ann <{ANN}>; Ray, Bob <{BOB}>",
    "name and bare": f"Ann <{ANN}>, {BOB}",
    "bare and name": f"{ANN}, Bob Ray <{BOB}>",
    "brackets": f"<{ANN}>;<{BOB}>",
    "comments": f"{ANN} (work), {BOB} (home)",
    "group": f"Team: {ANN}, {BOB};",
    "group of names": f"My Team: Ann <{ANN}>, Bob <{BOB}>;",
    "quoted": f'"{ANN}", "{BOB}"',
    "single quotes": f"'{ANN}', '{BOB}'",
    "typographic quotes": f"\u201c{ANN}\u201d; \u201c{BOB}\u201d",
    "JSON": f'["{ANN}", "{BOB}"]',
    "PostgreSQL array": f"{{{ANN},{BOB}}}",
    "mailto": f"mailto:{ANN},{BOB}",
    "two mailtos": f"mailto:{ANN} mailto:{BOB}",
    "address as a name": f"{ANN} <{BOB}>",
    "bullets": f"\u2022 {ANN}\n\u2022 {BOB}",
    "one twice": f"{ANN}, {BOB}, {ANN.upper()}",
}

UNUSABLE = {
    "nothing behind the at sign": f"{ANN}, bob@",
    "no dot": f"{ANN} bob@shop",
    "placeholder": f"{ANN}, test@test.com",
    "bare names": f"Ann {ANN}, Bob {BOB}",
    "run together": f"{ANN}{BOB}",
    "copy in a URL": f"mailto:{ANN}?cc={BOB}",
    "escaped line end": f"{ANN}\\n{BOB}",
    "symbol in one": f"{ANN}; b\U0001f600b@shop.de",
    "word at the end": f"{ANN}, {BOB}, Eve",
    "full-width at sign": f"eve\uff20shop.de <{ANN}>, {BOB}",
}


def plain(cells: Sequence[object]) -> tuple[list[str], dict[str, int]]:
    prepared = prepare(cells, plain_emails=True)
    records = [record for chunk in prepared for record in chunk]
    report = prepared.report
    assert report.values == len(records) + report.rejected
    return records, {str(reason): count for reason, count in report.rejects.items()}


@each_case("cell", SEVERAL.values())
def test_each_person_of_a_cell_is_a_record_in_order(cell: str) -> None:
    """Alone, among other rows, and whatever separates them."""
    assert plain([cell]) == ([ANN, BOB], {})
    assert plain([EVE, cell, EVE]) == ([EVE, ANN, BOB, EVE], {})


@pytest.mark.parametrize("cell", UNUSABLE.values(), ids=UNUSABLE)
def test_list_with_an_unusable_part_rejects_the_whole_cell(cell: str) -> None:
    """Never fewer than all of them in silence."""
    assert plain([EVE, cell]) == ([EVE], {"several_addresses": 1})


def test_hashes_in_one_cell_are_records_each() -> None:
    """A list of digests, and a digest next to an address."""
    other = hashlib.sha256(b"bob").hexdigest()
    assert plain([f"{DIGEST};{other}"]) == ([DIGEST, other], {})
    assert plain([f"{ANN}, {DIGEST}"]) == ([ANN, DIGEST], {})


def test_report_counts_values_and_the_reject_share_is_one_of_values() -> None:
    """Two people in a row are two values; rows are rows."""
    prepared = prepare([f"{ANN},{BOB}", "no address", EVE])
    prepared.run()
    report = prepared.report
    assert (report.rows, report.values, report.records, report.rejected) == (3, 4, 3, 1)
    assert report.first_rows == {"no_at_sign": (2,)}
    assert report.reject_share == 0.25


def test_row_of_several_identifiers_leaves_out_a_cell_of_several_people() -> None:
    """One e-mail a row: the other identifiers stay, and the cell is counted."""
    prepared = prepare_rows([{"email": f"{ANN}, {BOB}", "external_id": "7"}], plain_emails=True)
    [[row]] = prepared
    assert (row.email, row.external_id) == (None, "7")
    [finding] = prepared.report.findings
    assert (finding.kind, finding.detail) == ("cells_left_out", "several_addresses")


names = st.sampled_from(["ann", "bob.b", "eve+x", "o'neil", "m\u00fcller", "\u5c71\u7530", "a_b-c"])
domains = st.sampled_from(["shop.de", "mail.shop.co.uk", "b\u00fccher.de", "\u4f8b\u3048.jp"])
people = st.lists(st.builds("{}@{}".format, names, domains), min_size=1, max_size=6, unique=True)
forms: st.SearchStrategy[Callable[[str], str]] = st.sampled_from(
    [
        str,
        str.upper,
        "<{}>".format,
        '"{}"'.format,
        "\u201c{}\u201d".format,
        "Ann <{}>".format,
        '"Lee, Ann" <{}>'.format,
        "mailto:{}".format,
        "{} (work)".format,
        "\u200b{}\ufe0f".format,
    ]
)
separators = st.sampled_from([",", ", ", ";", "; ", "\n", "\r\n", "\t", " | ", " / ", "\u3001"])


@given(people, st.lists(forms, min_size=6, max_size=6), separators)
def test_any_cell_of_several_people_gives_all_of_them(
    addresses: list[str], shapes: list[Callable[[str], str]], separator: str
) -> None:
    """In any notation with any separator, every person of a cell is a record."""
    written = [shape(address) for shape, address in zip(shapes, addresses, strict=False)]
    assert plain([separator.join(written)]) == (addresses, {})
