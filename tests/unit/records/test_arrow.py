"""Parquet, and whatever speaks Arrow, with the real libraries."""

from __future__ import annotations

import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pinterest_audiences import RejectReason, SourceError, SourceLike, prepare, prepare_rows

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed (the extra [arrow])")
parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")

EMAILS = [" Ann@Shop.de", None, "müller@shop.de", "", "a" * 64, "absent", "two\nlines"]
GOOD = ["ann@shop.de", "müller@shop.de", "a" * 64]
REJECTS = {RejectReason.EMPTY: 2, RejectReason.NO_AT_SIGN: 2}
MANY = [f"person{n}@shop.de" for n in range(30_000)]
COLUMNS = {"id": list(range(7)), "email": EMAILS}


def read(source: SourceLike, column: str | None = None) -> list[str]:
    ready = prepare(source, plain_emails=True, column=column)
    records = [record for chunk in ready for record in chunk]
    report = ready.report
    assert report.complete
    assert report.rows == report.records + report.rejected
    if report.rows == len(EMAILS):
        assert report.rejects == REJECTS
        assert report.first_rows[RejectReason.EMPTY] == (2, 4)
    return records


def arrow_tables() -> Iterator[tuple[str, Callable[[], SourceLike]]]:
    for name, kind in (
        ("string", pa.string()),
        ("large_string", pa.large_string()),
        ("dictionary", pa.dictionary(pa.int32(), pa.string())),
    ):
        column = (
            pa.array(EMAILS).cast(kind)
            if name != "dictionary"
            else pa.array(EMAILS).dictionary_encode()
        )
        table = pa.table({"id": COLUMNS["id"], "email": column})
        yield f"table of {name}", lambda table=table: table  # type: ignore[misc]  # bound now
        yield f"reader of {name}", lambda table=table: table.to_reader(max_chunksize=2)  # type: ignore[misc]
        yield f"column of {name}", lambda table=table: table.column("email")  # type: ignore[misc]
    yield "record batch", lambda: pa.record_batch(COLUMNS)


@pytest.mark.parametrize(("name", "make"), list(arrow_tables()), ids=lambda value: str(value)[:30])
def test_pyarrow_objects_are_read(name: str, make: Callable[[], SourceLike]) -> None:
    """Tables, readers, batches and columns, of each kind of text."""
    assert read(make()) == GOOD


def test_polars_frames_and_series_are_read() -> None:
    """Polars has its own kind of string."""
    polars = pytest.importorskip("polars", reason="polars is not installed")
    frame = polars.DataFrame(COLUMNS)
    assert read(frame) == GOOD
    assert read(frame["email"]) == GOOD
    assert read(frame.with_columns(polars.col("email").cast(polars.Categorical))) == GOOD
    assert read(polars.DataFrame({"email": MANY})) == MANY


def test_pandas_frames_and_series_are_read() -> None:
    """Missing values are empty, whatever pandas calls them."""
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame(COLUMNS)
    assert read(frame) == GOOD
    assert read(frame["email"]) == GOOD
    assert read(list(frame["email"])) == GOOD
    assert read(frame.astype({"email": object})) == GOOD
    ready = prepare([pandas.NA, pandas.NaT])
    assert ready.run().rejects == {RejectReason.EMPTY: 2}


def test_duckdb_relations_and_connections_are_read() -> None:
    """A relation goes through Arrow, a connection is a cursor."""
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    with duckdb.connect() as connection:
        connection.register("customers", pa.table(COLUMNS))
        assert read(connection.sql("select * from customers")) == GOOD
        assert read(connection.execute("select * from customers")) == GOOD


def test_adbc_readers_and_cursors_are_read() -> None:
    """The driver's reader goes through Arrow, its cursor through DB-API."""
    sqlite = pytest.importorskip(
        "adbc_driver_sqlite.dbapi", reason="adbc-driver-sqlite is not installed"
    )
    with sqlite.connect() as connection, connection.cursor() as cursor:
        cursor.adbc_ingest("customers", pa.table(COLUMNS))
        cursor.execute("select * from customers")
        assert read(cursor.fetch_record_batch()) == GOOD
        cursor.execute("select * from customers")
        assert read(cursor) == GOOD


@pytest.mark.parametrize("name", ["a.parquet", "a.pq", "a"])
def test_parquet_files_are_read(tmp_path: Path, name: str) -> None:
    """By their ending, or by their first bytes; over many row groups."""
    path = tmp_path / name
    parquet.write_table(pa.table(COLUMNS), path)
    assert read(path) == GOOD
    parquet.write_table(pa.table({"x": MANY, "E-Mail": MANY}), path, row_group_size=1_000)
    assert read(path) == MANY
    assert read(path, column="x") == MANY


def test_rows_of_several_columns_are_read() -> None:
    """Cells stay together, in the order that was asked for."""
    table = pa.table({"id": ["17", "18"], "mail": ["ann@shop.de", None], "city": ["a", "b"]})
    ready = prepare_rows(table, columns={"email": "mail", "external_id": "id"}, plain_emails=True)
    rows = [row for chunk in ready for row in chunk]
    assert [(row.email, row.external_id) for row in rows] == [("ann@shop.de", "17"), (None, "18")]


def test_rows_of_parquet_keep_their_columns(tmp_path: Path) -> None:
    """The file's own order of columns does not move a cell."""
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"id": ["17"], "x": ["y"], "mail": ["ann@shop.de"]}), path)
    ready = prepare_rows(path, columns={"email": "mail", "external_id": "id"}, plain_emails=True)
    [[row]] = list(ready)
    assert (row.email, row.external_id) == ("ann@shop.de", "17")


def test_columns_that_are_not_text_are_rejects() -> None:
    """Numbers and dates are not guessed at."""
    table = pa.table({"email": [1, None, 3]})
    assert prepare(table).run().rejects == {RejectReason.NOT_TEXT: 2, RejectReason.EMPTY: 1}


def test_binary_and_list_columns_hold_emails() -> None:
    """Bytes are UTF-8; each item of a list is an address, and null items are skipped."""
    table = pa.table({"email": pa.array([b"ann@shop.de", b"\xff\xfe@shop.de"])})
    ready = prepare(table, plain_emails=True)
    assert list(ready) == [["ann@shop.de"]]
    assert ready.report.rejects == {RejectReason.NOT_TEXT: 1}
    lists = [["ann@shop.de", "bob@shop.de"], [], [None, "eve@shop.de"], ["kim@shop.de", "kim"]]
    ready = prepare(pa.table({"email": pa.array(lists)}), plain_emails=True)
    assert list(ready) == [["ann@shop.de", "bob@shop.de", "eve@shop.de"]]
    assert ready.report.rejects == {RejectReason.EMPTY: 1, RejectReason.SEVERAL_ADDRESSES: 1}


def test_truncated_parquet_file_is_an_error(tmp_path: Path) -> None:
    """At any byte."""
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"email": MANY}), path)
    whole = path.read_bytes()
    for cut in (0, 4, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(SourceError, match=r"a\.parquet: cannot be read"):
            prepare(path).run()


def test_damaged_page_is_an_error_after_what_was_read(tmp_path: Path) -> None:
    """The footer may be whole and a page not; the report is not complete."""
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"email": MANY}), path, row_group_size=10_000)
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2 : len(whole) // 2 + 2_000] = bytes(2_000)
    path.write_bytes(whole)
    ready = prepare(path)
    with pytest.raises(SourceError, match="cannot be read further"):
        ready.run()
    assert not ready.report.complete


def test_stream_that_fails_half_way_is_an_error() -> None:
    """The error has the row, and not the message of the library."""

    def batches() -> Iterator[object]:
        yield pa.record_batch({"email": MANY[:10]})
        raise ValueError("ann@shop.de")

    ready = prepare(pa.RecordBatchReader.from_batches(pa.schema({"email": pa.string()}), batches()))
    with pytest.raises(SourceError, match="after row 10: cannot be read further") as caught:
        ready.run()
    assert "ann@shop.de" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert not ready.report.complete
    assert ready.report.rows == 10


def test_stream_that_cannot_be_opened_is_an_error() -> None:
    """An object whose Arrow interface raises."""

    class Broken:
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            raise RuntimeError("ann@shop.de")

    with pytest.raises(SourceError, match=r"Broken: cannot be read \(RuntimeError\)"):
        prepare(Broken()).run()


def test_single_column_is_refused_for_rows() -> None:
    """Rows need names."""
    with pytest.raises(SourceError, match="is a single column"):
        prepare_rows(pa.chunked_array([["a"]])).run()


def test_parquet_cannot_be_streamed() -> None:
    """Its index is at its end."""
    import os

    from pinterest_audiences import open_source

    end, other = os.pipe()
    os.close(other)
    with os.fdopen(end, "rb") as pipe, pytest.raises(SourceError, match="read as a stream"):
        prepare(open_source(pipe, format="parquet")).run()


def test_without_pyarrow_the_error_names_the_extra(tmp_path: Path) -> None:
    """Before anything is read; everything else works without pyarrow."""
    code = f"""
import sys
import traceback
sys.modules["pyarrow"] = None
from pinterest_audiences import ConfigurationError, open_source, prepare
assert list(prepare(["ann@shop.de"]))
class Frame:
    def __arrow_c_stream__(self, requested_schema=None): ...
for thing in (Frame(), {str(tmp_path / "a.parquet")!r}):
    try:
        open_source(thing)
    except ConfigurationError as error:
        assert "pinterest-audiences[arrow]" in str(error)
    else:
        raise AssertionError
"""
    (tmp_path / "a.parquet").touch()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("columns", [("email",), ("id", "email")])
def test_text_that_is_not_utf8_is_an_error_without_the_text(columns: tuple[str, ...]) -> None:
    """As a driver may return it: among the first rows, and after them."""
    raw = pa.array([b"ann@shop.de"] * 1_000 + [b"secret\xfc@shop.de"]).cast(pa.binary())
    text = pa.Array.from_buffers(pa.string(), len(raw), raw.buffers())
    for cells in (text, text.slice(1_000)):
        table = pa.table(dict.fromkeys(columns, cells))
        with pytest.raises(SourceError, match="cannot be read") as caught:
            prepare(table, column=columns).run()
        assert "secret" not in "".join(traceback.format_exception(caught.value))
        with pytest.raises(SourceError, match="cannot be read"):
            prepare(table.select(["email"])).run()
