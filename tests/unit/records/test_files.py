"""Files of every format: what is in them comes out, row by row."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.cases import each_case

from pinterest_audiences import (
    PreparationReport,
    RejectReason,
    Source,
    SourceLike,
    open_source,
    prepare,
    prepare_rows,
)
from pinterest_audiences._records.text_files import InputFile

EMAILS = ["ann@shop.de", "bob@shop.de", "cara@shop.de"]


def read(source: SourceLike, column: str | None = None) -> tuple[list[str], PreparationReport]:
    """Prepare a source plain, and check that its rows add up."""
    ready = prepare(source, plain_emails=True, column=column)
    records = [record for chunk in ready for record in chunk]
    report = ready.report
    assert report.complete
    assert report.records == len(records)
    assert report.values == report.records + report.duplicates + report.rejected
    return records, report


def table(delimiter: str, end: str = "\n") -> str:
    lines = [delimiter.join(("id", "E-Mail", "city"))]
    lines += [delimiter.join((str(n), email, "Köln")) for n, email in enumerate(EMAILS)]
    return "".join(line + end for line in lines)


@each_case("packed", [False, True])
@each_case("end", ["\n", "\r\n", "\r"])
@each_case("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@each_case(
    ("name", "delimiter"),
    [("a.csv", ","), ("a.csv", ";"), ("a.csv", "|"), ("a.csv", "\t"), ("a.tsv", "\t"),
     ("a.psv", "|"), ("a.txt", ","), ("a", ";")],
)  # fmt: skip
def test_delimited_files_are_read(  # noqa: PLR0917 - one a parameter
    tmp_path: Path, name: str, delimiter: str, encoding: str, end: str, packed: bool
) -> None:
    """Every delimiter, encoding, line end, compressed or not: the one e-mail column is taken."""
    data = table(delimiter, end).encode(encoding)
    path = tmp_path / (f"{name}.gz" if packed else name)
    path.write_bytes(gzip.compress(data) if packed else data)
    records, report = read(path)
    assert records == EMAILS
    assert report.columns == ("E-Mail",)
    assert report.source == str(path)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("last", ["", "\n"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_plain_lists_are_read(
    tmp_path: Path, encoding: str, end: str, last: str, packed: bool
) -> None:
    """One address a line; the last line may lack its end."""
    data = (end.join(EMAILS) + last).encode(encoding)
    path = tmp_path / "list.txt"
    path.write_bytes(gzip.compress(data) if packed else data)
    assert read(path)[0] == EMAILS
    assert read(open_source(str(path), format="lines"))[1].columns == ()


def test_plain_list_outside_ascii_is_read(tmp_path: Path) -> None:
    """Letters of other alphabets take the plain path, with the same rows."""
    path = tmp_path / "list.txt"
    path.write_text("ann@shop.de\n\nmüller@shop.de\nabsent\n", encoding="utf-8")
    records, report = read(path)
    assert records == ["ann@shop.de", "müller@shop.de"]
    assert report.first_rows == {RejectReason.NO_AT_SIGN: (4,)}
    assert (report.rows, report.blank) == (3, 1)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", ["a.ndjson", "a.jsonl", "a.txt"])
def test_ndjson_is_read(tmp_path: Path, name: str, encoding: str, packed: bool) -> None:
    """A key may be missing in some rows, and the first."""
    lines = ['{"id": 0}', *(json.dumps({"id": 1, "email": email}) for email in EMAILS), '"x@y.de"']
    data = "\n".join(lines).encode(encoding)
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if packed else data)
    records, report = read(path)
    assert records == [*EMAILS, "x@y.de"]
    assert report.rejects == {RejectReason.EMPTY: 1}


def test_file_in_another_encoding_is_read_with_the_encoding_argument(tmp_path: Path) -> None:
    """An old Windows export needs encoding=."""
    path = tmp_path / "a.csv"
    path.write_bytes("Straße;E-Mail\nAllee;MÜLLER@shop.de\n".encode("cp1252"))
    assert read(open_source(path, encoding="cp1252"))[0] == ["müller@shop.de"]


def test_standard_input_is_read(tmp_path: Path) -> None:
    """The dash is standard input, compressed or not."""
    code = (
        "from pinterest_audiences import prepare\nprint(sum(prepare('-', plain_emails=True), []))"
    )
    for data in (table(";").encode(), gzip.compress("\n".join(EMAILS).encode())):
        done = subprocess.run(
            [sys.executable, "-c", code], input=data, capture_output=True, check=False
        )
        assert done.stdout.decode().strip() == repr(EMAILS), done.stderr


def test_opened_file_is_read() -> None:
    """Anything that reads bytes will do."""
    assert read(open_source(io.BytesIO(table(",").encode()), format="csv"))[0] == EMAILS
    assert read(io.BytesIO(gzip.compress("\n".join(EMAILS).encode())))[0] == EMAILS


@pytest.mark.parametrize("pieces", [(1, 1), (1, 7), (40, 1)])
@pytest.mark.parametrize("packed", [False, True])
def test_pipe_is_read_in_any_pieces(*, packed: bool, pieces: tuple[int, ...]) -> None:
    """Slow writers are waited for; the first bytes of gzip may arrive one by one."""
    data = table(",").encode()
    data = gzip.compress(data) if packed else data

    class Slow(io.RawIOBase):
        sizes = iter(pieces)

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # as typeshed's
            nonlocal data
            come = data[: min(next(self.sizes, len(data)), len(buffer))]
            data = data[len(come) :]
            buffer[: len(come)] = come
            return len(come)

    assert read(open_source(io.BufferedReader(Slow())))[0] == EMAILS


def test_available_bytes_of_a_pipe_are_read_at_once() -> None:
    """Ctrl-C would not be handled between two reads within one call."""
    end, other = os.pipe()
    with os.fdopen(end, "rb") as opened, os.fdopen(other, "wb", 0) as written:
        written.write(b"ada")
        with InputFile("a pipe", opened).open() as file:  # which looks at the first bytes
            assert file.read(3) == b"ada"


def test_named_pipe_is_opened_once(tmp_path: Path) -> None:
    """What can be read only once is opened only once."""
    import threading

    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=(table(","),))
    writer.start()
    assert read(path)[0] == EMAILS
    writer.join()


def test_quoted_fields_may_hold_line_ends_and_delimiters(tmp_path: Path) -> None:
    """A row over several lines is one row, and row numbers count rows."""
    path = tmp_path / "a.csv"
    path.write_bytes(
        b'email,note\r\nann@shop.de,"two\r\nlines, ""quoted"""\r\n"bob@shop.de",x\r\nabsent,"a\n"\n'
    )
    records, report = read(path)
    assert records == EMAILS[:2]
    assert report.first_rows == {RejectReason.NO_AT_SIGN: (3,)}


def test_header_may_hold_quoted_line_ends(tmp_path: Path) -> None:
    """A column name over two lines is one name."""
    path = tmp_path / "a.csv"
    path.write_text('"E-Mail\naddress",x\nann@shop.de,1\n')
    assert read(path)[0] == ["ann@shop.de"]


def test_ragged_rows_are_rejects_and_do_not_stop_the_file(tmp_path: Path) -> None:
    """Too few, too many and no fields: each is a reject with its row."""
    path = tmp_path / "a.csv"
    path.write_text("id,email\n1,ann@shop.de\n2\n3,x@y.de,z\n\n5,bob@shop.de\n")
    records, report = read(path)
    assert records == EMAILS[:2]
    assert report.first_rows == {RejectReason.RAGGED_ROW: (2, 3)}
    assert report.blank == 1


@pytest.mark.parametrize("after", [3, 20_000])
def test_unclosed_quote_rejects_only_its_row(tmp_path: Path, after: int) -> None:
    """Few or many rows after it are read."""
    path = tmp_path / "a.csv"
    rows = [f"{n},person{n}@shop.de\n" for n in range(after)]
    path.write_text('id,email\n0,ann@shop.de\n1,"oops\n' + "".join(rows))
    records, report = read(path)
    assert len(records) == after + 1
    assert report.rejects == {RejectReason.BAD_QUOTING: 1}
    assert report.first_rows == {RejectReason.BAD_QUOTING: (2,)}


def test_stray_quotes_reject_only_their_rows(tmp_path: Path) -> None:
    """Two broken quotes far apart do not swallow what is between them."""
    path = tmp_path / "a.csv"
    good = "".join(f"{n},p{n}@shop.de\n" for n in range(50))
    path.write_text(f'id,email\n"0,ann@shop.de\n{good}"1"x,b@shop.de\n{good}')
    records, report = read(path)
    assert len(records) == 100
    assert report.first_rows == {RejectReason.BAD_QUOTING: (1, 52)}


def test_ragged_row_over_several_lines_rejects_only_one_line(tmp_path: Path) -> None:
    """Two stray quotes make one row of many lines; its lines are read again."""
    path = tmp_path / "a.csv"
    good = "".join(f"{n},p{n}@shop.de\n" for n in range(50))
    path.write_text(f'id,email\n"0,ann@shop.de\n{good}1,x@y.de"\n{good}"2",b@shop.de\n')
    records, report = read(path)
    assert len(records) == 102  # a stray quote behind an address is removed
    assert report.first_rows == {RejectReason.BAD_QUOTING: (1,)}


@pytest.mark.slow
def test_many_stray_quotes_take_linear_time(tmp_path: Path) -> None:
    """Each is a reject; the work does not grow with the square of them."""
    path = tmp_path / "a.csv"
    path.write_text("id,email\n" + '"\n' * 100_000 + "1,ann@shop.de\n")
    records, report = read(path)
    assert records == EMAILS[:1]
    assert report.rejects == {RejectReason.BAD_QUOTING: 100_000}


def test_quotes_inside_a_field_are_literal(tmp_path: Path) -> None:
    """Only a quote at the start of a field opens one."""
    path = tmp_path / "a.csv"
    path.write_text('size,email\n5" pipe,ann@shop.de\n6",bob@shop.de\n')
    assert read(path)[0] == EMAILS[:2]


@pytest.mark.parametrize("mark", ["sep=;\r\n", "SEP=;\n", "\ufeffsep=;\n"])
def test_sep_line_of_excel_is_not_a_header(tmp_path: Path, mark: str) -> None:
    """Excel takes the delimiter from a first line of that kind; rows are counted without it."""
    path = tmp_path / "a.csv"
    path.write_text(f"{mark}City;E-Mail\nKiel;ann@shop.de\nBonn;\n", encoding="utf-8")
    records, report = read(path)
    assert (records, report.columns) == (["ann@shop.de"], ("E-Mail",))
    assert report.first_rows == {RejectReason.EMPTY: (2,)}


@pytest.mark.slow
def test_rows_across_block_boundaries_are_read(tmp_path: Path) -> None:
    """Where a block of the file ends makes no difference, in no format."""
    emails = [f"person{n:06}@shop.de" for n in range(30_000)]
    filler = "é" * 7
    forms = {
        "a.csv": "email,x\n" + "".join(f'{e},"{filler}\n"\n' for e in emails),
        "b.csv": "x,email\n" + "".join(f"{filler},{e}\r\n" for e in emails),
        "a.txt": "".join(f"{e}\n" for e in emails),
        "a.ndjson": "".join(json.dumps({"email": e, "x": filler}) + "\n" for e in emails),
    }
    for name, text in forms.items():
        for encoding in ("utf-8", "utf-16"):
            path = tmp_path / name
            path.write_bytes(text.encode(encoding))
            assert read(path)[0] == emails, name


def test_column_can_be_named(tmp_path: Path) -> None:
    """Exactly, or but for case and punctuation; then no guess is made."""
    path = tmp_path / "a.csv"
    path.write_text("email,email2\nann@shop.de,bob@shop.de\n")
    assert read(path, column="email2")[0] == ["bob@shop.de"]
    assert read(path, column="E-Mail 2")[0] == ["bob@shop.de"]


def test_rows_of_several_columns_are_read_from_files(tmp_path: Path) -> None:
    """CSV and NDJSON give the same rows; columns are mapped, or found by their names."""
    path = tmp_path / "a.csv"
    path.write_text("Mail,external_id,x\nann@shop.de,17,\n,18,\nbob@shop.de\n")
    ready = prepare_rows(path, columns={"external_id": "external_id", "email": "Mail"})
    [rows] = list(ready)
    assert [row.external_id for row in rows] == ["17", "18", None]
    assert [row.email is None for row in rows] == [False, True, False]
    assert ready.report.columns == ("external_id", "Mail")
    assert ready.report.rejects == {}
    lines = tmp_path / "a.ndjson"
    lines.write_text('{"Mail":"ann@shop.de","external_id":"17"}\n{"external_id":"18"}\n3\n')
    named = prepare_rows(lines, columns={"external_id": "external_id", "email": "Mail"})
    assert list(named) == [rows[:2]]
    assert named.report.rejects == {RejectReason.NOT_A_ROW: 1}
    found = prepare_rows(path)
    assert [row.external_id for row in next(iter(found))] == ["17", "18"]
    assert found.report.columns == ("external_id",)


def test_open_source_returns_a_source_unchanged(tmp_path: Path) -> None:
    """Its repr shows only its name."""
    source = open_source(EMAILS)
    assert isinstance(source, Source)
    assert open_source(source) is source
    assert repr(source) == "Source('list')"
    assert not source.is_async
