"""Masked samples show the structure of values, and no value."""

from __future__ import annotations

import re
import sqlite3
import string
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cases import each_case

from pinterest_audiences import (
    Client,
    ConfigurationError,
    IdentifierType,
    MaskedSample,
    PreparedRecords,
    RecordRow,
    prepare,
    prepare_rows,
)
from pinterest_audiences._records.chunks import RejectReason, RowChunk, UnreadableRow
from pinterest_audiences._records.fast_path import ScalarBuilder, VectorBuilder
from pinterest_audiences._records.identifiers import make_options
from pinterest_audiences._records.report import Counters
from pinterest_audiences._records.samples import SampleCollector, mask

HASH = "4f9a" * 16


def rows_of(prepared: PreparedRecords[Any]) -> dict[str, list[tuple[int, str, str]]]:
    """Return row, column and mask of the samples, by reason."""
    samples: dict[str, list[tuple[int, str, str]]] = {}
    for sample in prepared.samples:
        samples.setdefault(sample.reason, []).append((sample.row, sample.column, sample.masked))
    return samples


@each_case(
    ("value", "masked"),
    [
        ("Ann@@shop,de", "aaa@@aaaa,aa"),
        ("ann.lee+1@shop.de", "aaa.aaa+9@aaaa.aa"),
        ("ann87@shop.de", "xxxxx@aaaa.aa"),
        ("Ann Lee <ann@shop>", "aaa aaa <aaa@aaaa>"),
        ("müller@x", "aéaaaa@a"),
        ("ann\u200b@x", "aaa<invisible>@a"),
        ("ann\uff20x", "aaa<punctuation>a"),
        ("ann\u20ac@x", "aaa<symbol>@a"),
        ("ann\x07@x", "aaa<control>@a"),
        ("ann\xa0@x", "aaa<space>@a"),
        ("ann\ud800@x", "aaa<surrogate>@a"),
        ("ann\ufffd@x", "aaa<replacement>@a"),
        ("٠١٢", "000"),
        ("+49 (0)151", "+99 (9)999"),
        (HASH, "x{64}"),
        (HASH[:-1], "x{63}"),
        ("4f9a-12ab", "xxxx-xxxx"),
        ("1234-abcd", "xxxx-xxxx"),
        ("a" * 13 + "@x", "a" * 12 + "…@a"),
        ("a,1@" * 20, "a,9@" * 12 + "…"),
        ("", ""),
        (None, ""),
        (UnreadableRow(RejectReason.RAGGED_ROW), ""),
        (4711, "9999"),
        (1.5, "9.9"),
        (True, "<bool>"),
        (b"ann", "<bytes>"),
        (date(2026, 1, 2), "<date>"),
        (["ann@shop.de"], "<list>"),
        (UUID(int=0xABC123), "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"),
        (object(), "<object>"),
    ],
)
def test_mask_shows_structure(value: object, masked: str) -> None:
    assert mask(value) == masked


CLASS_WORDS = re.compile(
    r"<(?:control|invisible|punctuation|replacement|space|surrogate|symbol)>|x\{\d+\}"
)
NO_DATA = re.compile("[a9é0x…" + re.escape(string.punctuation + " ") + "]*")


@given(st.text(st.characters(), max_size=300))
def test_mask_contains_only_placeholders_and_ascii_punctuation(value: str) -> None:
    assert NO_DATA.fullmatch(CLASS_WORDS.sub("", mask(value)))


@given(st.text(st.sampled_from("bcdBCD01234.@-_ ,äß"), max_size=60), st.randoms())
def test_mask_is_equal_for_other_letters_and_digits(value: str, random: Any) -> None:
    """Nothing of a value but its structure is in its mask."""
    for alphabet in (string.ascii_letters, string.digits, "äßøжя"):
        value = "".join(
            random.choice(alphabet) if character in alphabet else character for character in value
        )
    assert mask(value) == mask(value.translate(SWAPPED))


SWAPPED = str.maketrans(
    string.ascii_letters + string.digits + "äßøжя",
    string.ascii_letters[::-1] + string.digits[::-1] + "ßøжяä",
)


@given(st.lists(st.sampled_from(string.hexdigits), min_size=64, max_size=64))
def test_masks_of_hashes_do_not_show_which_characters_are_digits(characters: list[str]) -> None:
    value = "a1" + "".join(characters)
    assert mask(value) == "x{66}"
    dashed = "-".join(value[start : start + 6] for start in range(0, 36, 6))
    assert mask(dashed) == "-".join(["xxxxxx"] * 6)


@given(st.text(st.sampled_from("qwzQWZ2345.@-_ ,"), max_size=60))
def test_no_run_of_the_value_is_in_its_mask(value: str) -> None:
    runs = re.findall(r"[A-Za-z0-9]{2,}", value)
    assert not any(run in CLASS_WORDS.sub("", mask(value)) for run in runs)


def test_samples_of_each_reject_reason_with_their_rows() -> None:
    values = ["Ann@@shop,de", "bob@shop.de", "", "Eve", "Joe", "a@@b.de", "None such", "NULL"]
    prepared = prepare(values, samples=2)
    assert not prepared.samples
    prepared.run()
    assert rows_of(prepared) == {
        "no_at_sign": [(4, "", "aaa"), (5, "", "aaa")],
        "several_at_signs": [(1, "", "aaa@@aaaa,aa"), (6, "", "a@@a.aa")],
        "empty": [(3, "", ""), (8, "", "aaaa")],
    }
    assert prepared.samples[0] == MaskedSample(row=4, reason="no_at_sign", masked="aaa")
    assert list(rows_of(prepared)) == ["no_at_sign", "empty", "several_at_signs"]


def test_samples_of_each_finding() -> None:
    plain = [f"ann{number}@shop.de" for number in range(9)]
    values = [*plain, HASH, HASH.upper(), "ab12" * 8, "bob@example.com"]
    prepared = prepare(values, samples=3)
    prepared.run()
    assert rows_of(prepared) == {
        "mixed_plain_and_hashed": [(10, "", "x{64}"), (11, "", "x{64}"), (12, "", "x{32}")],
        "mixed_algorithms": [(12, "", "x{32}")],
        "upper_case_hashes": [(11, "", "x{64}")],
        "reserved_domains": [(13, "", "aaa@aaaaaaa.aaa")],
    }


def test_samples_of_few_plain_values_among_hashes() -> None:
    prepared = prepare([HASH, HASH[::-1], HASH, "ann@shop.de"], samples=3)
    prepared.run()
    assert rows_of(prepared) == {"mixed_plain_and_hashed": [(4, "", "aaa@aaaa.aa")]}


def test_samples_of_undashed_ids() -> None:
    prepared = prepare(["ab12" * 8, "AB12" * 8], "maid", samples=1)
    prepared.run()
    assert rows_of(prepared) == {
        "upper_case_hashes": [(2, "", "x{32}")],
        "maybe_undashed_ids": [(1, "", "x{32}")],
    }


def test_samples_of_rows_are_of_the_cell_with_the_reason() -> None:
    rows = [
        {"email": "ann@shop.de", "maid": "none such", "external_id": "17"},
        {"email": "a@@b.de", "maid": "", "external_id": ""},
        {"email": "", "maid": "", "external_id": ""},
    ]
    prepared = prepare_rows(rows, samples=5)
    prepared.run()
    assert rows_of(prepared) == {
        "several_at_signs": [(2, "email", "a@@a.aa")],
        "cells_left_out": [(1, "maid", "aaaa aaaa")],
        "empty": [(3, "", "")],
    }


def test_row_numbers_of_samples_count_blank_rows(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("id,email\n1,ann@shop.de\n\n,\n4,none\n")
    prepared = prepare(path, samples=1)
    report = prepared.run()
    assert rows_of(prepared) == {"no_at_sign": [(4, "", "aaaa")]}
    assert report.first_rows == {RejectReason.NO_AT_SIGN: (4,)}


@given(
    st.lists(
        st.sampled_from(
            [HASH, HASH.upper(), "ab12" * 8, "AB12" * 8, "ann@shop.de", "x@example.com", "no", ""]
        ),
        max_size=40,
    ),
    st.sampled_from(["email", "maid"]),
    st.integers(1, 3),
)
def test_both_paths_collect_equal_samples(values: list[str], kind: str, limit: int) -> None:
    results: list[object] = []
    for builder in (ScalarBuilder, VectorBuilder):
        collected = SampleCollector(limit)
        counters = Counters(samples=collected)
        builder(IdentifierType(kind), make_options(), counters).build(RowChunk(1, values))
        causes = ["sha256", "md5", "plain", *counters.warnings, *counters.rejects]
        results.append({cause: collected.of("", (cause,)) for cause in causes})
    assert results[0] == results[1]


def test_reports_state_and_logs_have_no_samples(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    values = [*(f"ann{number}@shop.de" for number in range(200)), "q@@w.z"]
    prepared = prepare(values, samples=5)
    state = tmp_path / "state.sqlite"
    with Client.emulated() as client:
        job = client.upload("549755885175", prepared, name="All", state=state)
    assert [sample.masked for sample in prepared.samples] == ["a@@a.a"]
    texts = [prepared.report.to_json(), str(prepared.report), job.to_json(), str(job), caplog.text]
    with sqlite3.connect(state) as database:
        texts += database.iterdump()
    database.close()
    assert not any("a@@a.a" in text or "samples" in text for text in texts)


@each_case("count", [-1, 101, 1.0, True, "3", None])
def test_invalid_number_of_samples_is_a_configuration_error(count: Any) -> None:
    for make in (prepare, prepare_rows):
        with pytest.raises(ConfigurationError, match="samples must be"):
            make(["ann@shop.de"], samples=count)


def test_no_samples_by_default() -> None:
    prepared = prepare(["none"])
    prepared.run()
    rows = prepare_rows([RecordRow(email="none")])
    rows.run()
    assert (prepared.samples, rows.samples) == ((), ())
