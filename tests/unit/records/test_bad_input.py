"""Bad input: each ends in a reject, or in an error that names the place."""

from __future__ import annotations

import datetime as dt
import decimal
import gzip
import io
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pinterest_audiences import (
    ConfigurationError,
    RejectReason,
    SourceError,
    open_source,
    prepare,
    prepare_rows,
)
from pinterest_audiences._records.text_files import MAX_LINE_CHARACTERS

EMAIL = "ann@shop.de"


def counts(source: object, **options: str) -> dict[str, int]:
    """Read a source to its end and return its counts."""
    ready = prepare(open_source(source, **options))  # type: ignore[arg-type]  # options are strings
    records = sum(map(len, ready))
    report = ready.report
    assert report.complete
    assert records == report.records
    assert report.values == report.records + report.rejected
    return {"records": records, **{str(reason): n for reason, n in report.rejects.items()}}


def fails(source: object, match: str, **options: str) -> SourceError:
    """Read a source that fails, and check that its report is not complete."""
    ready = prepare(open_source(source, **options))  # type: ignore[arg-type]  # options are strings
    with pytest.raises(SourceError, match=match) as caught:
        ready.run()
    assert not ready.report.complete
    assert EMAIL not in str(caught.value)
    assert caught.value.source
    return caught.value


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
@pytest.mark.parametrize("packed", [False, True])
def test_empty_table_is_an_error(tmp_path: Path, name: str, packed: bool) -> None:
    """A table has a header."""
    path = tmp_path / name
    path.write_bytes(gzip.compress(b"") if packed else b"")
    assert fails(path, "is empty; it must have a header").source == str(path)
    path.write_text("\n\nann@shop.de\n")
    fails(path, "first row looks like data")


@pytest.mark.parametrize("name", ["a.txt", "a.ndjson", "a"])
def test_empty_list_has_no_rows(tmp_path: Path, name: str) -> None:
    """A list without a header may be empty; the report says 0 rows."""
    path = tmp_path / name
    path.write_bytes(b"")
    assert counts(path) == {"records": 0}


def test_header_alone_has_no_rows(tmp_path: Path) -> None:
    """With or without a line end."""
    path = tmp_path / "a.csv"
    for text in ("email", "id,email\n", "id,email\r\n"):
        path.write_text(text)
        assert counts(path) == {"records": 0}


def test_file_without_the_column_lists_its_columns(tmp_path: Path) -> None:
    """None, several, or not the one that was asked for."""
    path = tmp_path / "a.csv"
    path.write_text("id,city\n1,Berlin\n")
    fails(path, "no column is clearly of kind email.*columns: 'id', 'city'")
    fails(path, "no column is named 'mail'; columns: 'id', 'city'", column="mail")
    path.write_text("id,shop_mail,bill_mail\n1,2,3\n")
    fails(path, "no column is clearly of kind email.*columns: 'id', 'shop_mail'")
    path.write_text("id,shop_mail,bill_mail\n1,a@b.co,c@d.co\n")
    fails(path, "2 columns may be of kind email.*columns: 'shop_mail', 'bill_mail', 'id'")
    path.write_text("id\n1\n")
    with pytest.raises(SourceError, match="no column has the name of a row column"):
        prepare_rows(path).run()
    path.write_text(",".join(f"c{n}" for n in range(30)) + "\n")
    fails(path, "'c19' and 10 more")


@pytest.mark.parametrize("first", [EMAIL, "a" * 64, "38400000-8cf0-11bd-b23e-10b96e40000d"])
def test_header_that_is_data_is_not_shown(tmp_path: Path, first: str) -> None:
    """A file without a header must not have its first customer in the error."""
    path = tmp_path / "a.csv"
    path.write_text(f"{first},Lee\nbob@shop.de,Ray\n")
    error = fails(path, "looks like data, not like a header.*format='lines'")
    assert first not in str(error)
    assert "Lee" not in str(error)


def test_binary_junk_is_an_error_that_names_the_byte(tmp_path: Path) -> None:
    """Binary data is not read as text."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"ann@shop.de\n" + b"\xff\xfe\x80" + random.Random(1).randbytes(1000))
    error = fails(path, "at byte 12: is not valid utf-8.*encoding=")
    assert error.offset == 12
    path.write_bytes(bytes(100))
    fails(path, "not text, or UTF-16 without")


def test_undecodable_byte_is_located_in_any_block(tmp_path: Path) -> None:
    """The error has the offset from the start of the file, and the number of rows before it."""
    path = tmp_path / "a.csv"
    good = b"email\n" + b"ann@shop.de\n" * 100_000
    path.write_bytes(good + b"m\xfcller@shop.de\n")
    error = fails(path, "encoding='cp1252'")
    assert error.offset == len(good) + 1
    assert error.row is not None
    assert error.row > 50_000


@pytest.mark.parametrize(
    ("data", "offset"),
    [
        (b"ann@shop.de\n\xc3", 12),
        (b"\xef\xbb\xbfann@shop.de\n\xff", 15),
        ("ann@shop.de\n".encode("utf-16") + b"\n", 26),
    ],
)
def test_truncated_character_is_an_error(tmp_path: Path, data: bytes, offset: int) -> None:
    """A file that ends inside a character did not end there."""
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    assert fails(path, "is not valid").offset == offset


@pytest.mark.parametrize("name", ["export.xlsx", "export.csv", "export"])
def test_damaged_workbook_is_named(tmp_path: Path, name: str) -> None:
    """Whatever it is called."""
    pytest.importorskip("python_calamine", reason="python-calamine is not installed")
    path = tmp_path / name
    with zipfile.ZipFile(path, "w") as workbook:
        workbook.writestr("xl/worksheets/sheet1.xml", EMAIL)
    fails(path, "cannot be read as a workbook")
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504))
    fails(path, "cannot be read as a workbook")


def test_empty_path_is_refused() -> None:
    """An unset variable must not be read as the current directory."""
    with pytest.raises(ConfigurationError, match="source: the path is empty"):
        open_source("")


def test_utf_16_without_byte_order_mark_must_be_named(tmp_path: Path) -> None:
    """It is not read as letters with NULs between them; named, it is read."""
    path = tmp_path / "a.csv"
    path.write_bytes("email\nann@shop.de\n".encode("utf-16-le"))
    fails(path, "encoding='utf-16-le'")
    assert counts(path, encoding="utf-16-le") == {"records": 1}
    path.write_bytes("email\n".encode("utf-32"))
    fails(path, "utf-32")


@pytest.mark.slow
def test_truncated_gzip_file_is_an_error(tmp_path: Path) -> None:
    """At whatever byte it is cut, and when it is damaged."""
    whole = gzip.compress(b"email\n" + b"".join(b"p%d@shop.de\n" % n for n in range(200_000)))
    path = tmp_path / "a.csv.gz"
    for cut in (3, 12, len(whole) // 2, len(whole) - 9, len(whole) - 1):
        path.write_bytes(whole[:cut])
        fails(path, "gzip file is truncated")
    broken = bytearray(whole)
    broken[len(whole) // 2] ^= 0xFF
    path.write_bytes(broken)
    fails(path, "gzip file is (damaged|truncated)|is not valid")
    broken = bytearray(whole)
    broken[-6] ^= 0xFF
    path.write_bytes(broken)
    fails(path, "gzip file is damaged")


def test_empty_folder_or_missing_file_is_named_before_preparation(tmp_path: Path) -> None:
    """Before anything is prepared."""
    with pytest.raises(SourceError, match="has no files to read") as caught:
        open_source(tmp_path)
    assert caught.value.source == str(tmp_path)
    with pytest.raises(SourceError, match="no such file"):
        open_source(tmp_path / "a.csv")


def test_file_that_vanishes_is_an_error(tmp_path: Path) -> None:
    """Between opening and reading."""
    path = tmp_path / "a.csv"
    path.write_text("email\n")
    source = open_source(path)
    path.unlink()
    with pytest.raises(SourceError, match="No such file"):
        prepare(source).run()


def test_file_opened_in_text_mode_is_refused() -> None:
    """The encoding is detected from bytes."""
    fails(io.StringIO("email\n"), "open it with 'rb'")


def test_generator_that_raises_is_an_error_after_its_items() -> None:
    """Items before the error are returned first; the error has its cause."""

    def rows() -> Iterator[str]:
        for number in range(5_000):
            yield f"p{number}@shop.de"
        raise KeyError("secret")

    ready = prepare(rows())
    chunks: list[list[str]] = []
    with pytest.raises(
        SourceError, match="generator, after row 5000: the iterator raised Key"
    ) as caught:
        chunks.extend(ready)
    assert sum(map(len, chunks)) == 5_000 == ready.report.rows
    assert not ready.report.complete
    assert caught.value.row == 5_000
    assert isinstance(caught.value.__cause__, KeyError)


def test_iterable_whose_iter_raises_is_an_error() -> None:
    """The error of iter() becomes a SourceError."""

    class Broken:
        def __iter__(self) -> Iterator[str]:
            raise RuntimeError

    fails(Broken(), "after row 0: the iterator raised RuntimeError")


def test_keyboard_interrupt_in_a_source_propagates() -> None:
    """KeyboardInterrupt is not handled as an error of the source."""

    def rows() -> Iterator[str]:
        yield EMAIL
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(rows()).run()


def test_row_of_ten_megabytes_is_a_reject(tmp_path: Path) -> None:
    """In every format it is one reject, and the rows around it are read."""
    long = "x" * 10_000_000
    texts = {
        "a.txt": (f"{EMAIL}\n{long}\nbob@shop.de\n", "line_too_long"),
        "a.csv": (f"email,x\n{EMAIL},1\n{long},1\nbob@shop.de,1\n", "line_too_long"),
        "b.csv": (f'email,x\n{EMAIL},1\n"a@b.de","{long}"\nbob@shop.de,1\n', "line_too_long"),
        "a.ndjson": (f'"{EMAIL}"\n{{"email":"{long}"}}\n"bob@shop.de"\n', "line_too_long"),
    }
    for name, (text, reason) in texts.items():
        path = tmp_path / name
        path.write_text(text)
        assert counts(path) == {"records": 2, reason: 1}, name
        path.write_text(text.rpartition("bob")[0])
        assert counts(path)["records"] == 1, name
    assert counts([EMAIL, long, "bob@shop.de"]) == {"records": 2, "too_long": 1}


def test_long_line_between_the_cap_and_the_field_limit_is_a_reject(tmp_path: Path) -> None:
    """A field that Python's csv refuses, and one it takes, are both rejects."""
    path = tmp_path / "a.csv"
    for size in (20_000, 140_000, MAX_LINE_CHARACTERS - 100, MAX_LINE_CHARACTERS + 300_000):
        path.write_text(f"email\n{EMAIL}\n{'x' * size}\nbob@shop.de\n")
        found = counts(path)
        assert found.pop("records") == 2
        assert found in ({"too_long": 1}, {"line_too_long": 1})


def test_header_of_ten_megabytes_is_an_error(tmp_path: Path) -> None:
    """A table must have a header."""
    path = tmp_path / "a.csv"
    path.write_text("x" * 10_000_000)
    fails(path, "header is too long")


@pytest.mark.slow
@pytest.mark.parametrize("delimiter", list(",;|\t"))
def test_million_delimiters_are_one_blank_row(tmp_path: Path, delimiter: str) -> None:
    """They are neither columns nor rejects."""
    path = tmp_path / "a.csv"
    path.write_text(f"id{delimiter}email\n1{delimiter}{EMAIL}\n{delimiter * 1_000_000}\n")
    assert counts(path) == {"records": 1}


def test_million_distinct_characters_are_one_cell(tmp_path: Path) -> None:
    """Characters that are not delimiters belong to the cell."""
    path = tmp_path / "a.csv"
    letters = "".join(map(chr, [*range(0xA1, 0xD800), *range(0xE000, 0x10_0000)]))
    path.write_text(f"email\n{letters[:900_000]}\n{EMAIL}\n", encoding="utf-8")
    found = counts(path)
    assert found.pop("records") == 1
    assert sum(found.values()) == 1


def test_header_with_ambiguous_delimiter_is_an_error(tmp_path: Path) -> None:
    """The delimiter must be set with delimiter=."""
    path = tmp_path / "a.csv"
    path.write_text("email;x,y\nann@shop.de;1,2\n")
    fails(path, "split by comma and semicolon; set delimiter=")
    assert counts(path, delimiter=";") == {"records": 1}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "empty"),
        (float("nan"), "empty"),
        ("", "empty"),
        (1, "not_text"),
        (1.5, "not_text"),
        (True, "not_text"),
        (decimal.Decimal(1), "not_text"),
        (b"ann\xff@shop.de", "not_text"),
        (dt.date(2024, 1, 1), "not_text"),
        (dt.datetime(2024, 1, 1), "not_text"),  # noqa: DTZ001 - as a database gives it
        ({"ann@shop.de"}, "not_text"),
        (object(), "not_text"),
        ("ann\ud800@shop.de", "lone_surrogate"),
        ("ann\0@shop.de", "control_character"),
    ],
)
def test_values_that_are_not_text_are_rejects(value: object, reason: str) -> None:
    """Among others, in mappings and in rows; a source of nothing else is not one of rows."""
    if reason == "not_text":
        with pytest.raises(SourceError, match=f"has items of type {type(value).__name__};"):
            counts([value])
    else:
        assert counts([value]) == {"records": 0, reason: 1}
    assert counts([EMAIL, value, EMAIL]) == {"records": 2, reason: 1}
    assert counts([{"email": value}]) == {"records": 0, reason: 1}
    ready = prepare_rows([{"email": value, "maid": None}, {"email": EMAIL, "maid": value}])
    assert ready.run().rejects == {RejectReason(reason): 1}
    assert ready.report.records == 1


def test_bad_json_is_a_reject(tmp_path: Path) -> None:
    """Each wrong line by its row; a deep one and a surrogate too."""
    path = tmp_path / "a.ndjson"
    deep = "[" * 200_000
    path.write_text(
        f'{{"email":"{EMAIL}"}}\n{{"email":\n\n{{"email":"a\\ud800@b.de"}}\n{{"email":NaN}}\n'
        f'{{"email":{"1" * 5000}}}\n{{"a":{deep}\n[1]\n"bob@shop.de"\n'
    )
    assert counts(path) == {
        "records": 2, "bad_json": 3, "empty": 1, "lone_surrogate": 1, "not_text": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    "thing", [None, 7, b"email", {"email": EMAIL}, object()], ids=lambda thing: type(thing).__name__
)
def test_object_without_rows_is_refused(thing: object) -> None:
    """Before anything is read."""
    with pytest.raises(ConfigurationError, match="cannot be read as rows"):
        open_source(thing)  # type: ignore[arg-type]  # on purpose


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"encoding": "klingon"}, "encoding"),
        ({"encoding": "base64"}, "encoding"),
        ({"delimiter": ""}, "delimiter"),
        ({"delimiter": ",,"}, "delimiter"),
        ({"delimiter": '"'}, "delimiter"),
        ({"delimiter": "\n"}, "delimiter"),
        ({"format": "xlsx"}, "format"),
        ({"column": 0}, "column"),
        ({"column": True}, "column"),
        ({"column": []}, "column"),
        ({"column": ["email", None]}, "column"),
        ({"header": 1}, "header"),
        ({"skip_rows": -1}, "skip_rows"),
        ({"skip_rows": True}, "skip_rows"),
        ({"columns": "email"}, "columns"),
        ({"columns": {}}, "columns"),
        ({"columns": {"mail": "email"}}, "columns.*not 'mail'"),
        ({"columns": {"email": 0}}, "columns"),
        ({"columns": 3}, "columns"),
    ],
)
def test_options_without_effect_are_refused(options: dict[str, str], match: str) -> None:
    """By the name of the option."""
    with pytest.raises(ConfigurationError, match=match):
        open_source([EMAIL], **options)  # type: ignore[arg-type]  # on purpose


def test_column_argument_of_the_other_mode_is_refused(tmp_path: Path) -> None:
    """column= is for one kind, columns= for rows, and neither for a plain list."""
    with pytest.raises(ConfigurationError, match="columns is for rows"):
        prepare(open_source([EMAIL], columns=["email"]))
    with pytest.raises(ConfigurationError, match="column is for a single kind"):
        prepare_rows(open_source([EMAIL], column="email"))
    with pytest.raises(ConfigurationError, match="pass them to open_source"):
        prepare(open_source([EMAIL]), column="email")
    path = tmp_path / "a.txt"
    path.write_text(EMAIL)
    with pytest.raises(SourceError, match="plain list"):
        prepare_rows(path).run()
