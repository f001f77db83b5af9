"""Line ends: LF, CRLF, CR, CR CR LF, mixed, and wherever a block of the file ends."""

from __future__ import annotations

import io
import itertools
import json
import random
from pathlib import Path

import pytest
from support.cases import each_case

from pinterest_audiences import SourceError, open_source, prepare

ENDS = ["\n", "\r\n", "\r", "\r\r\n"]
PEOPLE = [f"person{n}@shop.de" for n in range(7)]


class Pieces(io.RawIOBase):
    """A file that gives its bytes in pieces of the given sizes, one a read."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self._data = data
        self._sizes = itertools.chain(sizes, itertools.repeat(sizes[-1]))

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        piece = self._data[: min(next(self._sizes), size)]
        self._data = self._data[len(piece) :]
        return piece


def records(source: object, **options: str) -> list[str]:
    """Read a source plain; every value is a record."""
    ready = prepare(open_source(source, **options), plain_emails=True)  # type: ignore[arg-type]
    found = [record for chunk in ready for record in chunk]
    assert ready.report.rejects == {}
    return found


def table(ends: list[str]) -> str:
    lines = ["id,Email,note", *(f'{n},{p},"a{ends[0]}b"' for n, p in enumerate(PEOPLE))]
    return "".join(map("".join, zip(lines, itertools.cycle(ends), strict=False)))


@each_case("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@each_case("last", [True, False])
@each_case("ends", [*([end] for end in ENDS), ["\r", "\n"], ["\n", "\r\n", "\r"]])
@each_case("form", ["csv", "lines", "ndjson"])
def test_every_line_end_ends_a_line(
    tmp_path: Path, form: str, ends: list[str], last: bool, encoding: str
) -> None:
    """In every format and encoding, with or without an end of the last line."""
    lines = [f'{{"email": "{p}"}}' if form == "ndjson" else p for p in PEOPLE]
    text = table(ends)
    if form != "csv":
        text = "".join(map("".join, zip(lines, itertools.cycle(ends), strict=False)))
    path = tmp_path / "people"
    path.write_bytes((text if last else text.rstrip("\r\n")).encode(encoding))
    assert records(path, format=form) == PEOPLE


@each_case("size", [1, 2, 3, 5, 7])
@each_case("encoding", ["utf-8", "utf-16"])
@each_case("ends", [*([end] for end in ENDS), ENDS])
def test_line_end_may_be_split_between_two_reads(ends: list[str], encoding: str, size: int) -> None:
    """A carriage return at the end of a read waits for its newline."""
    data = table(ends).encode(encoding)
    assert records(Pieces(data, [2, size]), format="csv") == PEOPLE


@pytest.mark.parametrize("end", ENDS)
def test_line_ends_are_detected_across_block_boundaries(tmp_path: Path, end: str) -> None:
    """Blocks of the file end anywhere; a single LF in a file of CRs changes nothing."""
    people = [f"p{n:06}@shop.de" for n in range(40_000)]
    filler = random.Random(1)
    rows = [f"{'x' * filler.randrange(9)},{p}" for p in people]
    path = tmp_path / "a.csv"
    path.write_bytes((end.join(["id,email", *rows]) + "\n").encode())
    assert records(path) == people


def test_lf_inside_quotes_does_not_end_a_row_of_a_cr_file(tmp_path: Path) -> None:
    """Nor does a CR inside quotes in a file of LFs."""
    path = tmp_path / "a.csv"
    for end, inner in itertools.product(ENDS, ENDS):
        path.write_bytes(
            f'Email,Place{end}ann@shop.de,"Dock 4{inner}Kiel"{end}bob@shop.de,Ulm{end}'.encode()
        )
        assert records(path) == ["ann@shop.de", "bob@shop.de"]


def test_blank_lines_between_rows_do_not_change_them(tmp_path: Path) -> None:
    """Before the header, after it, and between rows."""
    path = tmp_path / "a.csv"
    for end in ENDS:
        path.write_bytes(
            end.join(["", "", "email,x", "", "ann@shop.de,1", "", "", "b@shop.de,2"]).encode()
        )
        assert records(path) == ["ann@shop.de", "b@shop.de"]


@pytest.mark.parametrize("rest", ["\x1a", "\n\x1a", "\r\n\x1a\r\n", "\0\0\0", "\n\0\0", "\x1a\0\0"])
@pytest.mark.parametrize("name", ["a.csv", "a.txt"])
def test_dos_end_of_file_and_padding_are_removed(tmp_path: Path, name: str, rest: str) -> None:
    """DOS ends files with Ctrl-Z; others fill up a block with NULs."""
    path = tmp_path / name
    head = "email\n" if name == "a.csv" else ""
    path.write_bytes((head + "ann@shop.de\n" * 9 + "bob@shop.de" + rest).encode())
    assert records(path)[-1] == "bob@shop.de"


def test_byte_order_marks_of_joined_files_are_dropped(tmp_path: Path) -> None:
    """Also before a quote, which opens a cell only at its start."""
    path = tmp_path / "a.csv"
    path.write_text('\ufeff"Email",Name\nann@shop.de,A\n\ufeff"bob@shop.de","B, C"\n', "utf-8")
    assert records(path) == ["ann@shop.de", "bob@shop.de"]
    assert records(path, encoding="utf-8") == ["ann@shop.de", "bob@shop.de"]
    path.write_bytes(b"".join(f"{p}\r\n".encode("utf-16") for p in PEOPLE))
    assert records(path, format="lines") == PEOPLE


def test_unicode_line_separators_do_not_end_a_line(tmp_path: Path) -> None:
    """As in Python's universal newlines and in JSON strings."""
    path = tmp_path / "a.ndjson"
    row = json.dumps({"x": "a\u2028b\x85c\x0bd", "email": "ann@shop.de"}, ensure_ascii=False)
    path.write_text(row.replace("\\u000b", "\\t") + "\n", "utf-8")
    assert records(path) == ["ann@shop.de"]


def test_error_about_a_mac_roman_file_names_the_encoding(tmp_path: Path) -> None:
    """Excel for Mac writes CRs and MacRoman."""
    path = tmp_path / "a.csv"
    path.write_bytes("Email;Straße\rmüller@shop.de;x\r".encode("mac_roman"))
    with pytest.raises(SourceError, match="encoding='mac_roman'"):
        prepare(path).run()
    assert records(path, encoding="mac_roman") == ["müller@shop.de"]


@pytest.mark.parametrize("end", ENDS)
def test_blank_lines_are_counted_with_every_line_end(tmp_path: Path, end: str) -> None:
    """Only CR CR LF is one line end, for files that were written as text twice."""
    path = tmp_path / "a.txt"
    path.write_bytes(f"ann@shop.de{end}{end}{end}bob@shop.de{end}{end}wrong".encode())
    report = prepare(path).run()
    assert (report.rows, report.blank, report.first_rows) == (3, 3, {"no_at_sign": (6,)})
