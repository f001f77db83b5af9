"""Every row is counted once: as a record, a duplicate, a reject, or as blank."""

from __future__ import annotations

from pathlib import Path

import pytest

from pinterest_audiences import (
    PreparationReport,
    RejectReason,
    TooManyRejectsError,
    prepare,
    prepare_rows,
)


def report_of(path: Path, text: str, **options: float) -> PreparationReport:
    path.write_bytes(text.encode())
    return prepare(path, **options).run()  # type: ignore[arg-type]  # a share


@pytest.mark.parametrize("blank", ["", " ", "\t ", ",", " , ", ",,,,", '"",""', "\xa0,\u200b"])
@pytest.mark.parametrize("place", ["start", "middle", "end"])
def test_blank_rows_of_a_table_are_counted_apart(tmp_path: Path, blank: str, place: str) -> None:
    """They are neither rows nor rejects; the row numbers after them still count lines."""
    rows = ["ann@shop.de,1", "wrong,2", ",3", "bob@shop.de,4"]
    at = {"start": 0, "middle": 2, "end": 4}[place]
    rows[at:at] = [blank, blank]
    report = report_of(tmp_path / "a.csv", "email,id\n" + "\n".join(rows) + "\n")
    assert (report.rows, report.blank, report.values, report.records) == (4, 2, 4, 2)
    assert report.rejects == {RejectReason.NO_AT_SIGN: 1, RejectReason.EMPTY: 1}
    assert report.first_rows == {
        RejectReason.NO_AT_SIGN: (rows.index("wrong,2") + 1,),
        RejectReason.EMPTY: (rows.index(",3") + 1,),
    }


@pytest.mark.parametrize("name", ["a.txt", "a.ndjson"])
@pytest.mark.parametrize("letter", ["", "ü"])
@pytest.mark.parametrize("blank", ["", "  ", "\t", "\r", "\x1a"])
def test_blank_lines_are_counted_apart(tmp_path: Path, name: str, letter: str, blank: str) -> None:
    """In plain lists and NDJSON, ASCII or not."""
    lines = [blank, "ann@shop.de", blank, blank, f"wrong{letter}", blank]
    if name == "a.ndjson":
        lines = [f'"{line}"' if line.strip("\x1a \t\r") else line for line in lines]
    report = report_of(tmp_path / name, "\n".join(lines) + "\n")
    assert (report.rows, report.blank, report.records) == (2, 4, 1)
    assert report.first_rows == {RejectReason.NO_AT_SIGN: (5,)}


def test_blank_rows_are_not_rows_of_several_columns(tmp_path: Path) -> None:
    """A row without any identifier is a reject; one without any cell is blank."""
    path = tmp_path / "a.csv"
    path.write_text("email,external_id,x\nann@shop.de,1,\n,,\n,,x\n")
    report = prepare_rows(path).run()
    assert (report.rows, report.blank, report.records) == (2, 1, 1)
    assert report.first_rows == {RejectReason.EMPTY: (3,)}


def test_values_without_text_in_an_iterable_are_empty() -> None:
    """An iterable has no blank lines: each item stands for a person."""
    report = prepare(["ann@shop.de", "", None, {"email": ""}, {"email": None}]).run()
    assert (report.rows, report.blank, report.rejects) == (5, 0, {RejectReason.EMPTY: 4})


def test_customers_without_an_address_do_not_count_towards_the_limit(tmp_path: Path) -> None:
    """They are rejects that are reported; only wrong values are limited."""
    path = tmp_path / "a.csv"
    empty = ",1\n" * 90
    report = report_of(path, "email,id\n" + empty + "ann@shop.de,1\n" * 9, max_reject_share=0.0)
    assert (report.rejects, report.reject_share) == ({RejectReason.EMPTY: 90}, 0)
    with pytest.raises(
        TooManyRejectsError,
        match=r"1 of 10 values rejected.*; .* is no_at_sign, first in row 100;.*max_reject_share=",
    ):
        report_of(
            path, "email,id\n" + empty + "ann@shop.de,1\n" * 9 + "x,1\n", max_reject_share=0.09
        )


def test_report_shows_blank_rows_and_values(tmp_path: Path) -> None:
    """As text and as JSON."""
    report = report_of(tmp_path / "a.csv", "email,id\nann@shop.de,1\n,\n")
    assert "1 blank row, skipped" in str(report)
    assert (report.to_dict()["blank"], report.to_dict()["values"]) == (1, 1)


def test_rows_with_missing_or_empty_extra_cells_are_read(tmp_path: Path) -> None:
    """The wanted cell has to be there; extra cells have to be empty."""
    rows = ["1,ann@shop.de", "2,bob@shop.de,x,,", "3", "4,cy@shop.de,x,y", "5,dee@shop.de,x"]
    report = report_of(tmp_path / "a.csv", "id,email,note\n" + "\n".join(rows))
    assert report.records == 3
    assert report.first_rows == {RejectReason.RAGGED_ROW: (3, 4)}
