"""Workbooks made by real libraries: sheets, headers, cells, and files that only look like one."""

from __future__ import annotations

import csv
import io
import os
import zipfile
from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.cases import each_case
from support.reading import error_of, read

from pinterest_audiences import (
    ConfigurationError,
    DataWarningType,
    SourceError,
    open_source,
    prepare_rows,
)

pytest.importorskip("python_calamine", reason="python-calamine is not installed")

PEOPLE = ["ann@shop.de", "bob@shop.de"]
ROWS: list[list[object]] = [["id", "E-Mail"], [1, PEOPLE[0]], [2, PEOPLE[1]]]
Sheets = dict[str, Sequence[Sequence[object]]]


def library(name: str) -> ModuleType:
    module: ModuleType = pytest.importorskip(name, reason=f"{name} is not installed")
    return module


def xlsx(sheets: Sheets, hidden: Sequence[str] = ()) -> bytes:
    book: Any = library("openpyxl").Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
        if name in hidden:
            sheet.sheet_state = "hidden"
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def xls(sheets: Sheets, hidden: Sequence[str] = ()) -> bytes:
    book: Any = library("xlwt").Workbook()
    for name, rows in sheets.items():
        sheet = book.add_sheet(name)
        for y, row in enumerate(rows):
            for x, cell in enumerate(row):
                sheet.write(y, x, cell)
        sheet.visibility = int(name in hidden)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def ods(sheets: Sheets, hidden: Sequence[str] = ()) -> bytes:
    document: Any = library("odf.opendocument").OpenDocumentSpreadsheet()
    table, style = import_module("odf.table"), import_module("odf.style")
    paragraph: Any = import_module("odf.text").P
    invisible = style.Style(name="hidden", family="table")
    invisible.addElement(style.TableProperties(display="false"))
    document.automaticstyles.addElement(invisible)
    for name, rows in sheets.items():
        options = {"stylename": invisible} if name in hidden else {}
        sheet = table.Table(name=name, **options)
        for row in rows:
            line = table.TableRow()
            for cell in row:
                if isinstance(cell, int | float):
                    one = table.TableCell(valuetype="float", value=str(cell))
                else:
                    one = table.TableCell(valuetype="string")
                    for part in ("" if cell is None else str(cell)).split("\n"):
                        one.addElement(paragraph(text=part))
                line.addElement(one)
            sheet.addElement(line)
        document.spreadsheet.addElement(sheet)
    file = io.BytesIO()
    document.write(file)
    return file.getvalue()


MAKERS: dict[str, Callable[..., bytes]] = {"xlsx": xlsx, "xls": xls, "ods": ods}
makers = pytest.mark.parametrize("kind", MAKERS)


@makers
@pytest.mark.parametrize("name", ["a.xlsx", "a.xls", "a.ods", "a.csv", "a.txt", "a"])
def test_workbook_is_recognized_by_content_under_any_name(
    tmp_path: Path, kind: str, name: str
) -> None:
    """As a path, an open file, and bytes in memory."""
    path = tmp_path / name
    path.write_bytes(MAKERS[kind]({"Sheet1": ROWS}))
    records, report = read(path)
    assert (records, report.columns, report.findings) == (PEOPLE, ("E-Mail",), ())
    with path.open("rb") as file:
        assert read(file)[0] == PEOPLE
    assert read(io.BytesIO(path.read_bytes()), format="excel")[0] == PEOPLE


SHEETS: Sheets = {
    "Hidden": [["email"], ["hidden@shop.de"]],
    "Empty": [],
    "Buyers": ROWS,
    "2024": [["email"], ["last@shop.de"]],
}


@makers
def test_sheet_is_selected_by_name_or_number(tmp_path: Path, kind: str) -> None:
    """Without one, the first visible sheet with content is read and the others are reported."""
    path = tmp_path / "a"
    path.write_bytes(MAKERS[kind](SHEETS, hidden=["Hidden"]))
    records, report = read(path)
    assert records == PEOPLE
    [finding] = report.findings
    assert (finding.kind, finding.count) == (DataWarningType.UNREAD_SHEETS, 1)
    assert "'2024'" in str(finding)
    for sheet, people in (
        ("Buyers", PEOPLE),
        (" buyers", PEOPLE),
        (3, PEOPLE),
        ("3", PEOPLE),
        ("2024", ["last@shop.de"]),
        ("Hidden", ["hidden@shop.de"]),
        (1, ["hidden@shop.de"]),
    ):
        records, report = read(path, sheet=sheet)
        assert (records, report.findings) == (people, ())
    assert "is empty" in error_of(path, sheet="Empty").reason
    for missing in ("Sellers", 5, "99"):
        reason = error_of(path, sheet=missing).reason
        assert "'Buyers'" in reason
        assert "sheet=" in reason


def test_hidden_sheet_is_read_if_all_are_hidden_in_effect(tmp_path: Path) -> None:
    """A workbook whose visible sheets are empty has no rows to read."""
    path = tmp_path / "a.xlsx"
    path.write_bytes(xlsx({"Hidden": ROWS, "Visible": []}, hidden=["Hidden"]))
    assert "is empty" in error_of(path).reason
    assert read(path, sheet="Hidden")[0] == PEOPLE


@makers
def test_header_is_found_as_in_a_csv_file(tmp_path: Path, kind: str) -> None:
    """Below a title and blank rows; without one, by number; rows can be skipped."""
    path = tmp_path / "a"
    title: list[list[object]] = [["Customers of spring", ""], ["", ""], *ROWS]
    path.write_bytes(MAKERS[kind]({"Sheet1": title}))
    assert read(path)[0] == PEOPLE
    assert read(path, skip_rows=2)[0] == PEOPLE
    assert read(path, skip_rows=3, header=False, column=2)[0] == PEOPLE
    assert read(path, skip_rows=3, header=False)[0] == PEOPLE
    assert read(path, column="E-Mail")[0] == PEOPLE
    assert "no column is named" in error_of(path, column="Mail").reason


@makers
def test_several_columns_and_rows_of_identifiers_are_read(tmp_path: Path, kind: str) -> None:
    """Numbers that are ids keep their digits."""
    path = tmp_path / "a"
    rows: list[list[object]] = [
        ["email 1", "phone", "email 2", "number"],
        [PEOPLE[0], 491701234567, "", 123456789012345],
        ["", "", PEOPLE[1], 17],
    ]
    path.write_bytes(MAKERS[kind]({"Sheet1": rows}))
    assert read(path)[0] == PEOPLE
    assert read(path, column=["email 1", 3])[0] == PEOPLE
    columns = {"email": "email 1", "hashed_phone_number": "phone", "external_id": "number"}
    prepared = prepare_rows(open_source(path, columns=columns), phone_region="DE")
    first, second = [row for chunk in prepared for row in chunk]
    assert (first.external_id, second.external_id) == ("123456789012345", "17")
    plain = prepare_rows(
        [{"email": PEOPLE[0], "phone": "491701234567"}],
        columns={"email": "email", "hashed_phone_number": "phone"},
        phone_region="DE",
    )
    assert [row.hashed_phone_number for chunk in plain for row in chunk] == [
        first.hashed_phone_number
    ]


@each_case(
    ("cell", "text"),
    [
        (491701234567.0, "491701234567"),
        (17, "17"),
        (0.5, "0.5"),
        (True, "TRUE"),
        (False, "FALSE"),
        (datetime(2024, 5, 1, 13, 30), "2024-05-01 13:30:00"),  # noqa: DTZ001 - workbooks have none
        (date(2024, 5, 1), "2024-05-01"),
        (time(13, 30), "13:30:00"),
        (10**17, "1E+17"),
        ("007", "007"),
    ],
)
def test_cells_that_are_not_text_have_the_text_of_a_csv_file(
    tmp_path: Path, cell: object, text: str
) -> None:
    """External ids show it."""
    path = tmp_path / "a.xlsx"
    path.write_bytes(xlsx({"Sheet1": [["email", "external_id"], [PEOPLE[0], cell]]}))
    table = tmp_path / "a.csv"
    table.write_text(f"email,external_id\n{PEOPLE[0]},{text}\n")
    in_both = [[row for chunk in prepare_rows(source) for row in chunk] for source in (path, table)]
    assert in_both[0] == in_both[1]


def test_error_value_of_a_formula_is_not_a_crash(tmp_path: Path) -> None:
    """It is an empty cell."""
    library("openpyxl")
    path = tmp_path / "a.xlsx"
    path.write_bytes(xlsx({"Sheet1": [["email"], ["#REF!"], [PEOPLE[0]]]}))
    changed = path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(changed)) as old:
        members = {name: old.read(name) for name in old.namelist()}
    sheet = members["xl/worksheets/sheet1.xml"]
    assert b't="e"' in sheet  # openpyxl writes such text as the error
    records, report = read(path)
    assert (records, report.rejected) == ([PEOPLE[0]], 0)


@makers
def test_columns_are_counted_from_column_a_if_it_is_empty(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    rows: list[list[object]] = [
        [None, "id", "E-Mail"],
        [None, "1", PEOPLE[0]],
        [None, "x@shop.de", PEOPLE[1]],
    ]
    path.write_bytes(MAKERS[kind]({"People": [[], [], *rows]}))
    assert read(path)[0] == PEOPLE
    assert read(path, column=3)[0] == PEOPLE
    assert read(path, column=2)[0] == ["x@shop.de"]
    assert read(path, header=False, skip_rows=3, column=3)[0] == PEOPLE
    with pytest.raises(SourceError, match="column"):
        read(path, column=4)


def test_row_numbers_count_rows_below_the_header_also_blank_ones(tmp_path: Path) -> None:
    """As in a CSV file."""
    path = tmp_path / "a.xlsx"
    rows: list[list[object]] = [
        ["email", "id"],
        [PEOPLE[0], 1],
        ["", ""],
        [" ", None],
        ["none", 4],
        ["", 5],
    ]
    path.write_bytes(xlsx({"Sheet1": rows}))
    report = read(path)[1]
    assert (report.rows, report.blank) == (3, 2)
    assert report.first_rows == {"no_at_sign": (4,), "empty": (5,)}


CELLS = st.text(alphabet="ab@. ,;\"'\nü<>", max_size=12) | st.sampled_from(
    [*PEOPLE, "a@b.de, c@d.de", "a@b.de\nc@d.de", "", " ", "NULL", "@", "x" * 300, "a" * 64]
)


@pytest.mark.slow
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=8))
@makers
def test_same_rows_give_the_same_records_and_rejects_as_csv(
    tmp_path: Path, kind: str, rows: list[tuple[str, str]]
) -> None:
    """Whatever is in the cells; white space in ODS is that of its paragraphs."""
    if kind == "ods":
        rows = [tuple(" ".join(cell.split()) for cell in row) for row in rows]  # type: ignore[misc]
    header = ("email", "note")
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([header, *rows])
    table, book = tmp_path / "a.csv", tmp_path / "a.book"
    table.write_text(text.getvalue(), encoding="utf-8", newline="")
    book.write_bytes(MAKERS[kind]({"Sheet1": [header, *rows]}))
    expected, in_csv = read(table, column=1)
    if "bad_quoting" in in_csv.rejects:
        return  # a line break in a cell of a CSV file may be a quote that is not closed
    records, report = read(book, column=1)
    assert records == expected
    assert report.rejects == in_csv.rejects
    assert report.first_rows == in_csv.first_rows


@pytest.mark.parametrize("name", ["a.xls", "a.xlsx"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_csv_file_with_the_suffix_of_a_workbook_is_read(
    tmp_path: Path, name: str, encoding: str
) -> None:
    """As web sites export it; an HTML page is named."""
    path = tmp_path / name
    path.write_bytes(f"id\tE-Mail\n1\t{PEOPLE[0]}\n2\t{PEOPLE[1]}\n".encode(encoding))
    assert read(path)[0] == PEOPLE
    with pytest.raises(ConfigurationError, match="sheet has no effect"):
        read(path, sheet=1)
    path.write_text("<html><table><tr><td>x</td></tr></table></html>")
    assert "HTML" in error_of(path).reason


def test_workbook_with_a_password_is_named(tmp_path: Path) -> None:
    """An encrypted ods has a key in its manifest."""
    with zipfile.ZipFile(io.BytesIO(ods({"Sheet1": ROWS}))) as old:
        members = {name: old.read(name) for name in old.namelist()}
    namespace = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
    members["META-INF/manifest.xml"] = (
        f'<?xml version="1.0"?><manifest:manifest xmlns:manifest="{namespace}">'
        '<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml">'
        "<manifest:encryption-data></manifest:encryption-data></manifest:file-entry>"
        "</manifest:manifest>"
    ).encode()
    path = tmp_path / "a.ods"
    with zipfile.ZipFile(path, "w") as new:
        for name, content in members.items():
            new.writestr(name, content)
    assert "workbook with a password" in error_of(path).reason
    encrypted = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(4_000)
    path.write_bytes(encrypted + "EncryptedPackage".encode("utf-16-le") + bytes(400))
    assert "workbook with a password" in error_of(path).reason


@makers
@pytest.mark.parametrize("share", [0.3, 0.8, 0.99])
def test_truncated_workbook_is_an_error(tmp_path: Path, kind: str, share: float) -> None:
    """It never ends as if it were complete."""
    data = MAKERS[kind]({"Sheet1": [["email"], *([f"p{n}@x.de"] for n in range(500))]})
    path = tmp_path / "a"
    path.write_bytes(data[: int(len(data) * share)])
    assert error_of(path).reason


def test_other_documents_of_office_are_named(tmp_path: Path) -> None:
    """An OLE container without a workbook, such as a Word document or a message."""
    path = tmp_path / "a.xls"
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    assert "another document of Office" in error_of(path).reason


def test_workbook_cannot_be_read_as_a_stream_or_inside_a_compressed_file(tmp_path: Path) -> None:
    """The error tells to pass the path."""
    import gzip

    data = xlsx({"Sheet1": ROWS})
    path = tmp_path / "a.xlsx.gz"
    path.write_bytes(gzip.compress(data))
    assert "pass the path" in error_of(path).reason
    end, other = os.pipe()
    with os.fdopen(other, "wb") as writer:
        writer.write(data[:4_000])
    with os.fdopen(end, "rb") as pipe:
        assert "stream" in error_of(pipe).reason


@each_case(
    ("option", "value"),
    [("encoding", "cp1252"), ("delimiter", ";"), ("format", "csv"), ("format", "ndjson")],
)
def test_option_without_effect_on_a_workbook_is_an_error(
    tmp_path: Path, option: str, value: object
) -> None:
    """It is named; so is a text format."""
    path = tmp_path / "a.xlsx"
    path.write_bytes(xlsx({"Sheet1": ROWS}))
    with pytest.raises((ConfigurationError, SourceError), match=option):
        read(path, **{option: value})


@each_case("name", ["a.csv", "a.tsv", "a.psv", "a.ndjson", "a.txt", "a.parquet"])
@each_case("sheet", ["Buyers", 1])
def test_sheet_has_no_effect_on_other_files(tmp_path: Path, name: str, sheet: object) -> None:
    """It is refused by name."""
    path = tmp_path / name
    path.write_text("ann@shop.de\n")
    with pytest.raises(ConfigurationError, match="sheet"):
        read(path, sheet=sheet)


@each_case("sheet", ["", 0, -1, True, 1.5])
def test_sheet_must_be_a_name_or_a_number(sheet: object) -> None:
    """Numbers are counted from 1."""
    with pytest.raises(ConfigurationError, match="sheet must be"):
        open_source("a.xlsx", sheet=sheet)  # type: ignore[arg-type]  # wrong on purpose


def test_workbook_without_its_library_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is read."""
    path = tmp_path / "a.xlsx"
    path.write_bytes(xlsx({"Sheet1": ROWS}))
    monkeypatch.setitem(__import__("sys").modules, "python_calamine", None)
    with pytest.raises(ConfigurationError, match=r"pinterest-audiences\[excel\]"):
        open_source(path)
