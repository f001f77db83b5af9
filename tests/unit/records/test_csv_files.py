"""Splitting a block of rows at once gives the cells that `csv` and the tolerant reader give."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pinterest_audiences import IdentifierType
from pinterest_audiences._records import csv_files, text_files
from pinterest_audiences._records.chunks import AsciiChunk, RowChunk
from pinterest_audiences._records.columns import ColumnSelection
from pinterest_audiences._records.csv_files import (
    _ColumnCells,  # pyright: ignore[reportPrivateUsage]
    _RowParser,  # pyright: ignore[reportPrivateUsage]
    delimited_chunks,
)
from pinterest_audiences._records.text_files import InputFile, line_texts

LIMIT = csv.field_size_limit()
# In UTF-8, \xa0\xe6 has the bytes of the delimiter \xa6, with others between them.
cell = st.text(st.sampled_from("ab@ \t\x00\u2028\ud800\xfc\xa0\xe6,;|"), max_size=4)


@given(
    st.lists(st.lists(cell, min_size=1, max_size=4), max_size=6),
    st.sampled_from(",;\t| \xa6"),
    st.integers(1, 3),
    st.data(),
)
def test_columns_of_a_block_equal_those_of_csv(
    rows: list[list[str]], delimiter: str, width: int, data: st.DataObject
) -> None:
    places = data.draw(st.permutations(range(width)))[: data.draw(st.integers(1, width))]
    text = "".join(delimiter.join(row) + "\n" for row in rows)

    found = _RowParser(delimiter, width, places).split_columns(text)

    expected = list(
        csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=delimiter != " ")
    )
    if found is not None:
        assert all(len(row) == width for row in expected)
        assert found.columns == [[row[place] for row in expected] for place in places]
    elif delimiter.isascii() and expected and all(len(row) == width for row in expected):
        assert not all(row[places[0]].strip() for row in expected)


@pytest.mark.parametrize(
    "text",
    [
        "1,a\n2\n3,b,c\n",  # as many delimiters as two columns have, on other lines
        "1,a,b\n2\n",
        "1,a\n\n2,b\n",
        "\n",
        "1,a\n2, \n",
        '1,a\n2,"b"\n',
        '1,"a"\n"2","b"\n"3",c\n',
        '1,a"b"\n',
        '1,"a""b"\n',
        '1,"a" \n',
        '1,"a\nb"\n',
        '1,"a\n2,"b"\n',
        "1,a\n2,b",
        "1," + "a" * LIMIT + "\n",
    ],
    ids=[
        "ragged",
        "moved delimiter",
        "blank row",
        "only a line end",
        "blank cell",
        "column with and without quotes",
        "columns quoted in different rows",
        "quote inside a cell",
        "doubled quote",
        "space after a quote",
        "line break in quotes",
        "open quote",
        "open end",
        "long",
    ],
)
def test_irregular_blocks_are_parsed_by_csv(text: str) -> None:
    assert _RowParser(",", 2, (1,)).split_columns(text) is None


def test_bytes_of_a_delimiter_in_other_letters_separate_no_cells() -> None:
    assert _RowParser("\xa6", 2, (0,)).split_columns("\xa0\xe6ann@shop.de\n") is None


def test_rows_of_one_width_are_split_at_once() -> None:
    found = _RowParser(",", 3, (2, 1)).split_columns("1,a,x\n2, b,y\n")

    assert found == _ColumnCells([["x", "y"], ["a", "b"]])


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ('"1","a","x"\n"2"," b,c",""\n', [["a", " b,c"], ["x", ""]]),
        ('1,"a",x\n 2, "b", y\n', [["a", "b"], ["x", "y"]]),
        ('1,a,x\n"2,3",b,x\n', [["a", "b"], ["x", "x"]]),
    ],
    ids=["all", "one column", "where needed"],
)
def test_quoted_cells_are_split_at_once(text: str, columns: list[list[str]]) -> None:
    assert _RowParser(",", 3, (1, 2)).split_columns(text) == _ColumnCells(columns)


ADDRESSES = [
    "ann@shop.de",
    "Bob@Shop.de",
    " eve@a-b.com",
    "m\xfcller@shop.de",
    "none",
    "",
    " ",
    "\t",
]
OTHERS = [
    "Berlin",
    "",
    " ",
    "1",
    "a,b",
    " a",
    "b ",
    'the "x"',
    'y"',
    '"',
    "two\nlines",
    "\xfc",
    "zero\0 inside a cell",
]
LINE_ENDS = ["\n", "\r\n", "\r", "\r\r\n"]


def written(cell: str, style: str) -> str:
    """Return a cell as a program writes it, or as a wrong one does."""
    quoted = '"' + cell.replace('"', '""') + '"'
    if style == "minimal":
        return quoted if set(cell) & set('",\n\r') else cell
    return {"all": quoted, "none": cell, "spaces": f" {quoted}  ", "open": f'"{cell}'}[style]


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """Draw the bytes of a table: mostly regular rows, with one style of quotes and of line ends."""
    usual = draw(st.sampled_from(["minimal", "all", "none"]))
    styles = st.sampled_from([*[usual] * 12, "minimal", "all", "none", "spaces", "open"])
    end = draw(st.sampled_from(LINE_ENDS))
    ends = st.sampled_from([*[end] * 12, *LINE_ENDS, end * 2, ", \t," + end, "   " + end])
    widths = st.sampled_from([*[3] * 12, 1, 2, 4])
    lines = ["id,email,city" + end]
    for number in range(draw(st.integers(0, 12))):
        others = [draw(st.sampled_from([OTHERS[0]] * 8 + OTHERS)) for _ in range(2)]
        row = [str(number), draw(st.sampled_from(ADDRESSES[:2] * 6 + ADDRESSES)), *others]
        cells = [written(cell, draw(styles)) for cell in row[: draw(widths)]]
        lines.append(",".join(cells) + draw(ends))
    return "".join(lines).encode()


def read_table(data: bytes, columns: list[str]) -> tuple[list[tuple[int, object]], int]:
    """Return the cells of a table with their row numbers, and the number of blank rows."""
    cells: list[tuple[int, object]] = []
    blank = 0
    texts = line_texts(InputFile("table", io.BytesIO(data)), None)
    first = 1
    for chunk in delimited_chunks(
        texts, ColumnSelection(IdentifierType.EMAIL, columns), ",", "table"
    ):
        assert chunk.first == first
        numbers: Sequence[int] = range(first, first + len(chunk.values))
        if isinstance(chunk, RowChunk):
            numbers = chunk.row_numbers or numbers
            blank += chunk.blank
            first += chunk.blank
        cells += zip(numbers, chunk.values, strict=True)
        first += len(chunk.values)
    return cells, blank


@given(tables(), st.integers(2, 80), st.sampled_from([["email"], ["email", "city"], ["city"]]))
@example(b'id,email,city\n1,ann@a.de,"x\n2,bob@a.de,y\n3,eve@a.de,z\n', 20, ["email"])
@example(b'id,email,city\r1,"ann@a.de",x\r\n2,"bob@a.de",y\r', 3, ["email"])
def test_blocks_of_any_size_give_the_rows_that_the_tolerant_reader_gives(
    data: bytes, size: int, columns: list[str]
) -> None:
    def unread(*_: object) -> None:
        return None

    with mock.patch.object(csv_files, "_SAMPLE_LINES", 2):
        with (
            mock.patch.object(_RowParser, "split_columns", unread),
            mock.patch.object(_RowParser, "read_simple_rows", unread),
        ):
            expected = read_table(data, columns)
        with mock.patch.object(text_files, "_BLOCK_BYTES", size):
            assert read_table(data, columns) == expected


def test_single_ascii_column_is_read_as_lines() -> None:
    texts = iter(["id,email\n1,ann@shop.de\n2,bob@shop.de\n"])

    chunks = list(delimited_chunks(texts, ColumnSelection(IdentifierType.EMAIL), None, "table"))

    assert chunks == [AsciiChunk(1, b"ann@shop.de\nbob@shop.de\n", 2)]
