"""Files of other formats, unusual delimiters and encodings, and options that cannot work."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import sqlite3
import tarfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import pytest
from support.cases import each_case

from pinterest_audiences import (
    ConfigurationError,
    PreparationReport,
    RejectReason,
    SourceError,
    SourceLike,
    open_source,
    prepare,
    prepare_rows,
)

CSV = b"email,id\nann@shop.example,1\nbob@shop.example,2\n"
PEOPLE = ["ann@shop.example", "bob@shop.example"]


def read(source: object, **options: object) -> tuple[list[str], PreparationReport]:
    opened = open_source(source, **options)  # type: ignore[arg-type]  # options of several types
    ready = prepare(opened, plain_emails=True)
    return [record for chunk in ready for record in chunk], ready.report


def error_of(source: object, **options: object) -> str:
    with pytest.raises(SourceError) as caught:
        read(source, **options)
    assert "@" not in str(caught.value)
    return str(caught.value)


DELIMITERS = [*"^~#!=*$%", "\x01", "\x1f", "\xa6"]


@each_case("delimiter", DELIMITERS)
@each_case("name", ["a.csv", "a.txt"])
@each_case("columns", [("id", "email"), ("email", "id"), ("id", "email", "name")])
def test_delimiter_that_is_legal_in_addresses_must_be_named(
    tmp_path: Path, name: str, delimiter: str, columns: tuple[str, ...]
) -> None:
    """With and without a header, also for a single row; once named, the rows are read."""
    path = tmp_path / name
    for people in (PEOPLE, PEOPLE[:1]):
        rows = [
            {"id": str(number), "email": person, "name": "x"}
            for number, person in enumerate(people, 1)
        ]
        lines = [delimiter.join(row[column] for column in columns) for row in rows]
        for header in (True, False):
            text = "\n".join([delimiter.join(columns)] * header + lines) + "\n"
            path.write_text(text, encoding="utf-8")
            assert "delimiter=" in error_of(path, header=header)
            assert read(path, header=header, delimiter=delimiter)[0] == people


@pytest.mark.parametrize(
    "text",
    [
        "Email*\nann*x@shop.example\nbob@shop.example\n",
        "E-mail/Courriel\nann@shop.example\n",
        "email\nann+1@shop.example\nbob+2@shop.example\n",
        "ann+1@shop.example\nbob+2@shop.example\n",
        "#ann@shop.example\n#bob@shop.example\n",
        "mailto:ann@shop.example\nmailto:bob@shop.example\n",
        "Email:\nmailto:ann@shop.example\n",
        "o'neil@shop.example\nann!x@shop.example\nbob@shop.example\n",
    ],
)
def test_unusual_characters_in_addresses_are_not_delimiters(tmp_path: Path, text: str) -> None:
    """A plain list, or a table of one column, stays one."""
    path = tmp_path / "a.txt"
    path.write_text(text)
    assert read(path)[1].records == text.count("@")


def test_delimiter_is_not_ignored_where_the_format_is_guessed(tmp_path: Path) -> None:
    """Nothing in the first line looks like a table without it."""
    path = tmp_path / "people"
    path.write_text("1~ann@shop.example\n2~bob@shop.example\n")
    assert read(path, delimiter="~", header=False)[0] == PEOPLE


def _sqlite() -> bytes:
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("create table t (x)")
        return database.serialize()


def _tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo("people.csv")
        member.size = len(CSV)
        archive.addfile(member, io.BytesIO(CSV))
    return file.getvalue()


FORMATS: list[tuple[str, bytes]] = [
    ("twice, with bzip2", gzip.compress(bz2.compress(CSV), mtime=0)),
    ("twice, with xz", bz2.compress(lzma.compress(CSV))),
    ("LZMA", lzma.compress(CSV, lzma.FORMAT_ALONE)),
    ("twice, with zstd", gzip.compress(b"\x28\xb5\x2f\xfd\x24\x30" + CSV, mtime=0)),
    ("zstd before", b"\x27\xb5\x2f\xfd\x24\x30" + CSV),
    ("twice, with gzip", gzip.compress(gzip.compress(CSV, mtime=0), mtime=0)),
    ("tar archive", _tar()),
    ("tar archive", gzip.compress(_tar(), mtime=0)),
    ("SQLite", _sqlite()),
    ("Parquet", gzip.compress(b"PAR1\x15\x04\x15\x20" + b"\0" * 40 + b"PAR1")),
    ("Arrow", gzip.compress(b"ARROW1\0\0\xff\xff\xff\xff" + b"\0" * 40)),
    ("Feather", b"FEA1\0\0\0\0" + b"\0" * 40),
    ("ORC", gzip.compress(b"ORC\n\x06\x12\x04\x08\x02\x50\0\n\x12")),
    ("Avro", gzip.compress(b"Obj\x01\x04\x14avro.codec")),
    ("PDF", b"%PDF-1.7\n%\xe2\xe3\n"),
    ("RTF", b"{\\rtf1\\ansi ann}"),
    ("HTML", b"<html xmlns:x='urn:schemas-microsoft-com:office:excel'>\n<table><tr>"),
    ("HTML", b"\xef\xbb\xbf\r\n<!DOCTYPE HTML>\n<table><tr>"),
    ("XML", b"<?xml version='1.0'?>\n<Workbook></Workbook>"),
    ("image", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
    ("image", b"\xff\xd8\xff\xe0\0\x10JFIF"),
    ("before Excel 97", b"\x09\x04\x06\0\0\0\x10\0"),
    ("Outlook", b"!BDN\0\0\0\0"),
    ("PGP", b"-----BEGIN PGP MESSAGE-----\n\nhQEM"),
    ("7z", b"7z\xbc\xaf\x27\x1c\0\x04"),
    ("zip", b"PK\x03\x04\x14\0"),
]


if find_spec("python_calamine") is not None:  # else the error names the extra
    FORMATS.append(("workbook", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"))


@each_case("name", ["a.csv", "a.txt", "a.ndjson"])
@each_case(("what", "content"), FORMATS)
def test_file_that_is_not_text_is_named(
    tmp_path: Path, name: str, what: str, content: bytes
) -> None:
    """Compressed, archived or binary, whatever its name, also as a stream."""
    path = tmp_path / name
    path.write_bytes(content)
    assert what in error_of(path)
    assert what in error_of(io.BytesIO(content))


@pytest.mark.parametrize("text", ["ORCID,email\n1,a@b.de\n", "PAR1,email\n1,a@b.de\n",
                                  "BZh,email\n1,a@b.de\n", "Obj,email\n1,a@b.de\n"])  # fmt: skip
def test_text_that_starts_like_a_binary_format_is_read(tmp_path: Path, text: str) -> None:
    """The first letters alone decide nothing."""
    path = tmp_path / "a.csv"
    path.write_text(text)
    assert read(path)[0] == ["a@b.de"]


@pytest.mark.parametrize("padding", [1, 100, 5_000, 300_000])
def test_text_padded_with_nuls_is_read(tmp_path: Path, padding: int) -> None:
    """As of block devices and preallocated files."""
    path = tmp_path / "a.csv"
    path.write_bytes(CSV + bytes(padding))
    assert read(path)[0] == PEOPLE


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_utf_32_and_utf_16_without_byte_order_mark_are_errors(
    tmp_path: Path, encoding: str
) -> None:
    """It names the encodings to try."""
    path = tmp_path / "a.csv"
    path.write_bytes(CSV.decode().encode(encoding))
    assert "encoding='utf-16-le'" in error_of(path)
    assert read(path, encoding=encoding)[0] == PEOPLE
    if encoding.startswith("utf-16"):
        assert "byte order mark" in error_of(path, encoding="utf-16")


CODECS = [
    "utf-16",
    "utf-32",
    "utf-7",
    "punycode",
    "idna",
    "ascii",
    "unicode_escape",
    "raw_unicode_escape",
    "utf-8",
    "big5",
    "cp932",
    "gb18030",
    "iso2022_jp",
    "hz",
    "utf-16-le",
]
BYTES = [
    CSV, b"\xff\xfe\x00", b"email\n\\x\\N{\n", b"+\xff,\n", b"a", b"email\n\x80-\xff-@\xfe\n" * 9
]  # fmt: skip


@each_case("encoding", CODECS)
@each_case("content", BYTES)
def test_bytes_of_another_encoding_are_an_error_of_the_package(
    tmp_path: Path, encoding: str, content: bytes
) -> None:
    """Whatever the codec raises."""
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with suppress(SourceError, ConfigurationError):
        read(path, encoding=encoding)


@pytest.mark.parametrize(
    ("name", "content", "option", "value"),
    [
        ("a.txt", "ann@shop.example\n", "column", 2),
        ("a.parquet", "", "skip_rows", 1),
        ("a.parquet", "", "encoding", "cp1252"),
        ("a.parquet", "", "delimiter", ";"),
        ("a.parquet", "", "header", False),
        ("a.ndjson", '{"email": "ann@shop.example"}\n', "header", False),
        ("a.ndjson", '{"email": "ann@shop.example"}\n', "delimiter", ";"),
        ("people", '{"email": "ann@shop.example"}\n', "header", False),
    ],
)
def test_option_without_effect_on_a_file_is_an_error(
    tmp_path: Path, name: str, content: str, option: str, value: object
) -> None:
    """It is named."""
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises((ConfigurationError, SourceError), match=option):
        read(path, **{option: value})
    if name == "a.txt":
        with pytest.raises(ConfigurationError, match=option):
            read(path, format="lines", **{option: value})


@pytest.mark.parametrize(
    ("option", "value"),
    [("encoding", "cp1252"), ("delimiter", ";"), ("header", False), ("skip_rows", 1),
     ("format", "csv")],
)  # fmt: skip
def test_option_without_effect_on_rows_is_an_error(option: str, value: object) -> None:
    """Lists, cursors and tables are not text."""
    with pytest.raises(ConfigurationError, match=option):
        read(list(PEOPLE), **{option: value})


@each_case(
    ("what", "text"),
    [
        ("object of several lines", json.dumps({"email": PEOPLE[0], "id": 1}, indent=2)),
        ("object of several lines", json.dumps({"people": PEOPLE}, indent=4)),
        ("object of several lines", '{"email":"ann",\n"id":1}\n'),
    ],
)
@each_case("name", ["a.json", "a.ndjson", "a.jsonl", "a"])
def test_one_json_document_is_named(tmp_path: Path, name: str, what: str, text: str) -> None:
    """It is not one object a line."""
    path = tmp_path / name
    path.write_text(text)
    assert f"is a JSON {what}" in error_of(path)


def test_header_in_brackets_is_not_json(tmp_path: Path) -> None:
    """As SQL Server writes names."""
    path = tmp_path / "a"
    path.write_text("[id],[email]\n1,ann@shop.example\n")
    assert read(path)[0] == ["ann@shop.example"]


@pytest.mark.parametrize(
    ("line", "records", "rejects"),
    [
        ('{"email":"ann@x.de","email":"bob@x.de"}', [], {RejectReason.BAD_JSON: 1}),
        ('{"email":"a@x.de","id":"k:1","email":"b@x.de"}', [], {RejectReason.BAD_JSON: 1}),
        ('{"email":"ann@x.de","email":"ann@x.de"}', ["ann@x.de"], {}),
        ('{"email":null,"email":"ann@x.de"}', ["ann@x.de"], {}),
        ('{"email":"ann@x.de","email":null}', ["ann@x.de"], {}),
        ('{"id":1,"id":2,"email":"ann@x.de"}', ["ann@x.de"], {}),
        ('{"u":{"id":1,"id":2},"email":"ann@x.de","t":"10:30"}', ["ann@x.de"], {}),
    ],
)
def test_repeated_json_key_loses_no_person_silently(
    tmp_path: Path, line: str, records: list[str], rejects: dict[RejectReason, int]
) -> None:
    """Different values of a column that is read are a reject."""
    path = tmp_path / "a.ndjson"
    path.write_text(line + '\n{"email":"last@x.de"}\n')
    found, report = read(path)
    assert found == [*records, "last@x.de"]
    assert report.rejects == rejects


class _Customer:
    def __init__(self, **values: object) -> None:
        self.__dict__.update(values)


@pytest.mark.slow
@pytest.mark.parametrize("make", [dict, _Customer])
@pytest.mark.parametrize(
    "names",
    [["EMAIL", "email", "EMAIL"], ["email", "EMAIL", "Email"], ["Email", "e_mail", "E-Mail"],
     ["EMAIL", "email", "EMAIL", "eMail", "Email"], ["Courriél", "courriel", "COURRIÉL"]],
)  # fmt: skip
def test_keys_of_varying_form_count_each_person_once(
    tmp_path: Path, make: Callable[..., object], names: list[str]
) -> None:
    """Mappings, objects and NDJSON; also where a form comes up later only."""
    people = [f"p{number}@shop.example" for number in range(len(names))]
    for many in (1, 3_000):  # the second row is of a later chunk, then
        values = [people[0]] * many + people[1:]
        keys = [names[0]] * many + names[1:]
        rows = [make(**{key: value}) for key, value in zip(keys, values, strict=True)]
        records, report = read(rows)
        assert (records, report.values) == (values, len(values))
        path = tmp_path / "a.ndjson"
        lines = [json.dumps({key: value}) for key, value in zip(keys, values, strict=True)]
        path.write_text("\n".join(lines) + "\n")
        assert read(path)[0] == values


def test_keys_of_two_forms_in_one_row_are_two_values() -> None:
    """They are two columns."""
    assert read([{"EMAIL": PEOPLE[0], "email": PEOPLE[1]}, {"email": PEOPLE[1]}])[0] == [
        *PEOPLE,
        PEOPLE[1],
    ]


@pytest.mark.parametrize("size", [1, 2, 50])
def test_frames_in_chunks_of_pandas_are_read(tmp_path: Path, size: int) -> None:
    """As `read_csv(chunksize=)` returns them."""
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    path = tmp_path / "a.csv"
    path.write_bytes(CSV)
    assert read(cast("object", pandas.read_csv(path, chunksize=size)))[0] == PEOPLE
    assert read(cast("object", pandas.read_csv(path, iterator=True, chunksize=size)))[0] == PEOPLE
    lines = tmp_path / "a.ndjson"
    lines.write_text("".join(json.dumps({"email": person}) + "\n" for person in PEOPLE))
    assert read(cast("object", pandas.read_json(lines, lines=True, chunksize=size)))[0] == PEOPLE


def as_list_and_ndjson(folder: Path, rows: Sequence[Mapping[str, object]]) -> list[SourceLike]:
    """Return mappings as a list, and as an NDJSON file."""
    path = folder / "late.ndjson"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [rows, path]


def test_late_column_of_the_same_series_is_read(tmp_path: Path) -> None:
    """A column that first appears after the first chunk is read like the others."""
    rows = [{"email": f"p{number}@shop.example"} for number in range(3_000)]
    late = {"email": "ann@shop.example", "email 2": "bob@shop.example"}
    for source in as_list_and_ndjson(tmp_path, [*rows, late, {"email 2": "eve@shop.example"}]):
        records, report = read(source)
        assert records[3_000:] == ["ann@shop.example", "bob@shop.example", "eve@shop.example"]
        assert (report.columns, report.rejects) == (("email", "email 2"), {})


def test_late_column_of_a_row_is_read(tmp_path: Path) -> None:
    """Rows of several identifiers too."""
    rows = [{"email": f"p{number}@shop.example"} for number in range(3_000)]
    late = {"email": "ann@shop.example", "external_id": "17"}
    for source in as_list_and_ndjson(tmp_path, [*rows, late]):
        prepared = prepare_rows(source)
        *_, last = [row for chunk in prepared for row in chunk]
        assert (last.external_id, prepared.report.columns) == ("17", ("email", "external_id"))


def test_row_with_a_value_only_in_an_unread_late_column_is_rejected(tmp_path: Path) -> None:
    """It is not counted as empty, because it names a person; a row without a value is empty."""
    rows = [{"email": f"p{number}@shop.example"} for number in range(3_000)]
    late: list[dict[str, str | None]] = [
        {"contact_email": "ann@shop.example"},
        {"contact_email": None},
        {"email": "bob@shop.example", "contact_email": "eve@shop.example"},
    ]
    for source in as_list_and_ndjson(tmp_path, [*rows, *late]):
        records, report = read(source)
        assert records[3_000:] == ["bob@shop.example"]
        assert report.first_rows == {RejectReason.NOT_A_ROW: (3_001,), RejectReason.EMPTY: (3_002,)}
        assert report.reject_share > 0
