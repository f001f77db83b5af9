"""Tables of every library, and iterators of them, as connectors of warehouses return them."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from pinterest_audiences import RejectReason, SourceError, SourceLike, prepare, prepare_rows

pytestmark = pytest.mark.slow

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed (the extra [arrow])")
parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
dataset = pytest.importorskip("pyarrow.dataset", reason="pyarrow is not installed")

ROSA, TOM = "rosa@shop.example", "tom@shop.example"
COLUMNS: dict[str, list[Any]] = {"id": [1, 2], "email": [ROSA, TOM]}
TABLE = pa.table(COLUMNS)


def read(source: SourceLike, **options: Any) -> list[str]:
    ready = prepare(source, plain_emails=True, **options)
    records = [record for chunk in ready for record in chunk]
    assert ready.report.complete
    return records


def pandas() -> Any:
    return pytest.importorskip("pandas", reason="pandas is not installed")


def polars() -> Any:
    return pytest.importorskip("polars", reason="polars is not installed")


def numpy() -> Any:
    return pytest.importorskip("numpy", reason="numpy is not installed")


def parquet_file(folder: Path) -> Path:
    path = folder / "customers.parquet"
    parquet.write_table(TABLE, path)
    return path


def arrow_file(folder: Path) -> SourceLike:
    path = folder / "customers.arrow"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, TABLE.schema) as writer:
        writer.write_table(TABLE)
    return cast("SourceLike", pa.ipc.open_file(path.read_bytes()))


TABLES: dict[str, Callable[[Path], SourceLike]] = {
    "pandas frame": lambda _: pandas().DataFrame(COLUMNS),
    "pandas frame of objects": lambda _: pandas().DataFrame(COLUMNS, dtype=object),
    "pandas frame with an index": lambda _: pandas().DataFrame(COLUMNS).set_index("email"),
    "pandas frame backed by Arrow": lambda _: TABLE.to_pandas(types_mapper=pandas().ArrowDtype),
    "pandas records": lambda _: pandas().DataFrame(COLUMNS).to_records(),
    "polars frame": lambda _: polars().DataFrame(COLUMNS),
    "polars lazy frame": lambda _: polars().DataFrame(COLUMNS).lazy(),
    "pyarrow table": lambda _: TABLE,
    "pyarrow batch": lambda _: TABLE.to_batches()[0],
    "pyarrow reader": lambda _: TABLE.to_reader(),
    "pyarrow struct array": lambda _: TABLE.to_struct_array().combine_chunks(),
    "pyarrow Parquet file": lambda folder: parquet.ParquetFile(parquet_file(folder)),
    "pyarrow dataset": lambda folder: dataset.dataset(parquet_file(folder)),
    "pyarrow dataset in memory": lambda _: dataset.dataset(TABLE),
    "pyarrow scanner": lambda folder: dataset.dataset(parquet_file(folder)).scanner(),
    "pyarrow file of batches": arrow_file,
}
SERIES: dict[str, Callable[[], SourceLike]] = {
    "pandas series": lambda: pandas().Series([ROSA, TOM]),
    "pandas series with labels": lambda: pandas().Series([ROSA, TOM], index=["a", "b"]),
    "pandas series with decimal labels": lambda: pandas().Series([ROSA, TOM], index=[0.5, 1.5]),
    "pandas categories": lambda: pandas().Series([ROSA, TOM], dtype="category"),
    "pandas index": lambda: pandas().Index([ROSA, TOM]),
    "polars series": lambda: polars().Series([ROSA, TOM]),
    "numpy text": lambda: numpy().array([ROSA, TOM]),
    "numpy objects": lambda: numpy().array([ROSA, TOM], dtype=object),
    "pyarrow array": lambda: pa.array([ROSA, TOM]),
    "pyarrow large text": lambda: pa.array([ROSA, TOM], pa.large_string()),
    "pyarrow dictionary": lambda: pa.array([ROSA, TOM]).dictionary_encode(),
    "pyarrow chunked array": lambda: pa.chunked_array([[ROSA], [TOM]]),
    "pyarrow scalars": lambda: list(pa.array([ROSA, TOM])),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_every_library_are_read(name: str, tmp_path: Path) -> None:
    """For records of one kind, and for rows of several."""
    assert read(TABLES[name](tmp_path)) == [ROSA, TOM]
    [rows] = list(prepare_rows(TABLES[name](tmp_path), columns=["email"], plain_emails=True))
    assert [row.email for row in rows] == [ROSA, TOM]
    with pytest.raises(SourceError, match="no column is named 'city'"):
        read(TABLES[name](tmp_path), column="city")


@pytest.mark.parametrize("name", SERIES)
def test_single_columns_of_every_library_are_read(name: str) -> None:
    """They need no name."""
    assert read(SERIES[name]()) == [ROSA, TOM]
    with pytest.raises(SourceError):
        prepare_rows(SERIES[name]()).run()


@pytest.mark.parametrize("name", TABLES)
def test_iterators_of_tables_are_read(name: str, tmp_path: Path) -> None:
    """As Snowflake, BigQuery and Databricks return them; awaited too."""
    make = TABLES[name]

    async def tables() -> AsyncIterator[object]:
        for _ in range(3):
            yield make(tmp_path)

    async def collect() -> list[str]:
        return [email async for chunk in prepare(tables(), plain_emails=True) for email in chunk]

    assert read(make(tmp_path) for _ in range(3)) == [ROSA, TOM] * 3
    assert read([make(tmp_path)]) == [ROSA, TOM]
    assert anyio.run(collect) == [ROSA, TOM] * 3
    assert anyio.run(collect, backend="trio") == [ROSA, TOM] * 3


def test_iterators_of_different_tables_are_read_as_one() -> None:
    """Columns are found again in each; tables without rows or columns count for nothing."""
    batches = [pa.table({"EMAIL": [ROSA], "id": [1]}), *TABLE.to_batches(max_chunksize=1)]
    empty = [TABLE.slice(0, 0), pa.table({}), pa.table({"x": []})]
    report = prepare(iter([*empty, *batches, *empty])).run()
    assert (report.records, report.rows) == (3, 3)
    frames = [pandas().DataFrame(), pandas().DataFrame(COLUMNS), polars().DataFrame(COLUMNS)]
    assert read(frames) == [ROSA, TOM] * 2
    assert read(iter([TABLE.slice(0, 0)])) == []


def test_iterators_of_tables_hold_one_table_at_a_time() -> None:
    """Two thousand of them would not fit into memory."""
    made = 0

    def tables() -> Iterator[object]:
        nonlocal made
        while True:
            made += 1
            yield TABLE

    next(iter(prepare(tables())))
    assert made == 1


@pytest.mark.parametrize(
    ("items", "match"),
    [
        ([TABLE, None], "after row 2: has an item of type NoneType among tables"),
        ([TABLE, ROSA], "after row 2: has an item of type str among tables"),
        ([ROSA, TABLE], r"has a table \(Table\) among rows"),
        ([None, TABLE], r"has a table \(Table\) among rows"),
        ([{"email": ROSA}, TABLE.to_batches()[0]], r"has a table \(RecordBatch\) among rows"),
        ([TABLE, pa.table({"x": [1]})], "after row 2: no column"),
        ([pa.table({"x": pa.array([], pa.string())})], "no column is clearly"),
    ],
)
def test_tables_among_other_items_are_an_error(items: list[Any], match: str) -> None:
    """No person of them is skipped in silence, or shown."""
    for source in (items, iter(items)):
        with pytest.raises(SourceError, match=match) as caught:
            read(source)
        assert ROSA not in str(caught.value)


def test_iterator_of_tables_that_fails_is_an_error() -> None:
    """What came before is read."""

    def tables() -> Iterator[object]:
        yield TABLE
        raise OSError(ROSA)

    ready = prepare(tables())
    with pytest.raises(
        SourceError, match="the iterator raised OSError; the items after that are missing"
    ) as error:
        ready.run()
    assert ROSA not in str(error.value)
    assert ready.report.rows == 2


MIXED: list[object] = [42, "XL", None, {}, [1], 1.5]


def test_unread_columns_of_pandas_may_have_any_type() -> None:
    """The wanted one is taken before anything is converted."""
    emails = [ROSA, None, float("nan"), pandas().NA, 7, TOM]
    frame = pandas().DataFrame({"size": MIXED, "email": emails})
    report = prepare(frame).run()
    assert report.records == 2
    assert report.rejects == {RejectReason.EMPTY: 3, RejectReason.NOT_TEXT: 1}
    [rows] = list(prepare_rows(frame, columns=["email"], plain_emails=True))
    assert [row.email for row in rows] == [ROSA, TOM]


def test_unread_columns_of_polars_may_have_any_type() -> None:
    """Its Object columns have no form in Arrow; a wanted one is read as well."""
    objects = polars().Series("size", [object(), object()], dtype=polars().Object)
    assert read(polars().DataFrame([polars().Series("email", [ROSA, TOM]), objects])) == [ROSA, TOM]
    emails = polars().Series("email", [ROSA, TOM], dtype=polars().Object)
    assert read(polars().DataFrame([emails, objects])) == [ROSA, TOM]
    assert read(emails) == [ROSA, TOM]


def test_rows_and_columns_without_names_are_found_by_their_values() -> None:
    """A frame read without a header, and an array of two dimensions."""
    rows = [[1, ROSA], [2, TOM]]
    assert read(pandas().DataFrame(rows)) == [ROSA, TOM]
    assert read(numpy().array(rows, dtype=object)) == [ROSA, TOM]
    assert read(list(numpy().array(rows, dtype=object))) == [ROSA, TOM]
    assert read(pandas().DataFrame([[1, None]] * 5_000 + rows).iloc[4_990:]) == [ROSA, TOM]
    with pytest.raises(
        SourceError, match=r"2 columns have values of kind email; .*; select one by number"
    ):
        read(pandas().DataFrame([[ROSA, TOM]]))


def test_rows_of_iterated_frames_are_read() -> None:
    """Named tuples, labelled rows, dictionaries, tuples."""
    frame = pandas().DataFrame(COLUMNS)
    assert read(frame.itertuples()) == [ROSA, TOM]
    assert read(row for _, row in frame.iterrows()) == [ROSA, TOM]
    assert read(frame.to_dict("records")) == [ROSA, TOM]
    assert read(frame.values.tolist()) == [ROSA, TOM]
    with pytest.raises(SourceError, match=r"tuples of 2 cells \(int, Series\)"):
        read(frame.iterrows())
    assert read(polars().DataFrame(COLUMNS).iter_rows()) == [ROSA, TOM]
    assert read(polars().DataFrame(COLUMNS).iter_rows(named=True)) == [ROSA, TOM]
    assert read(polars().DataFrame(COLUMNS).iter_slices(1)) == [ROSA, TOM]


def test_unreadable_frames_raise_an_error_with_a_suggestion() -> None:
    """Columns of several levels, arrays of other dimensions, other libraries, no text at all."""
    levels = pandas().MultiIndex.from_tuples([("a", "email"), ("b", "id")])
    with pytest.raises(SourceError, match="MultiIndex of columns; give each column one name"):
        read(pandas().DataFrame([[ROSA, 1]], columns=levels))
    with pytest.raises(SourceError, match="is an array of 3 dimensions"):
        read(numpy().zeros((2, 2, 2)))
    with pytest.raises(SourceError, match="has items of type int"):
        read(numpy().array([1, 2]))

    class Distributed:
        columns = ("email",)

        def compute(self) -> object:
            return TABLE

        def __iter__(self) -> Iterator[str]:
            return iter(self.columns)

    with pytest.raises(SourceError, match=r"Distributed is not a supported table"):
        read(Distributed())


def test_lazy_frame_that_fails_is_an_error(tmp_path: Path) -> None:
    """When its file is missing, and when a row of it cannot be computed."""
    with pytest.raises(SourceError, match=r"LazyFrame: cannot be read \("):
        read(polars().scan_csv(tmp_path / "missing.csv"))
    frame = polars().DataFrame({"email": [ROSA, "x"]}).lazy()
    broken = frame.with_columns(polars().col("email").str.to_integer(strict=True))
    with pytest.raises(SourceError, match="LazyFrame: cannot be read"):
        read(broken)


def test_closed_parquet_file_is_an_error(tmp_path: Path) -> None:
    """Its footer is known, its rows are gone."""
    file = parquet.ParquetFile(parquet_file(tmp_path))
    file.close()
    with pytest.raises(SourceError, match=r"ParquetFile.*: cannot be read"):
        read(file)


def test_repeated_names_in_parquet_do_not_move_columns(tmp_path: Path) -> None:
    """The wanted column may stand before, between or behind those that share a name."""
    path = tmp_path / "a.parquet"
    for place in range(3):
        arrays = [pa.array(["x"]), pa.array(["y"])]
        arrays.insert(place, pa.array([ROSA]))
        names = ["note", "note"]
        names.insert(place, "email")
        parquet.write_table(pa.Table.from_arrays(arrays, names=names), path)
        assert read(path) == [ROSA]


def test_old_pandas_is_read_without_the_arrow_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where pyarrow refuses that version, or is not installed."""
    frame = pandas().DataFrame({"size": ["XL", 42], "email": [ROSA, TOM]}, dtype=object)
    for kind in (pandas().DataFrame, pandas().Series):
        monkeypatch.delattr(kind, "__arrow_c_stream__", raising=False)
    assert read(frame) == [ROSA, TOM]
    assert read(iter([frame, frame["email"]])) == [ROSA, TOM] * 2

    def refuse(*args: object, **options: object) -> object:
        raise ImportError

    monkeypatch.setattr(pa, "array", refuse)
    assert read(frame) == [ROSA, TOM]


def test_old_polars_is_read_without_the_arrow_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames, series, and lazy frames of before their newer methods."""
    for kind in (polars().DataFrame, polars().Series):
        monkeypatch.delattr(kind, "__arrow_c_stream__", raising=False)
    for name in ("collect_batches", "collect_schema"):
        monkeypatch.delattr(polars().LazyFrame, name, raising=False)
    monkeypatch.delattr(polars().DataFrame, "collect_schema", raising=False)
    frame = polars().DataFrame(COLUMNS)
    assert read(frame) == [ROSA, TOM]
    assert read(frame["email"]) == [ROSA, TOM]
    [rows] = list(prepare_rows(frame, columns=["email"], plain_emails=True))
    assert [row.email for row in rows] == [ROSA, TOM]


@pytest.mark.parametrize(
    "source",
    [
        "path",
        "table",
        "table.to_reader()",
        "iter(table.to_batches())",
        "table.column('email')",
        "table.column('email').chunk(0)",
        "table.column('email').dictionary_encode()",
        "table.column('email').cast(pa.large_string())",
        "Stream()",
    ],
)
def test_reading_arrow_does_not_import_pandas(tmp_path: Path, source: str) -> None:
    """Importing it takes longer than reading; the columns have a null."""
    pandas()
    path = tmp_path / "customers.parquet"
    parquet.write_table(pa.table({"id": [1, 2, 3], "email": [ROSA, None, TOM]}), path)
    code = f"""
import sys
import pyarrow as pa
from pyarrow import parquet
from pinterest_audiences import prepare
path = {str(path)!r}
table = parquet.ParquetFile(path).read()
class Stream:
    def __arrow_c_stream__(self, requested_schema=None):
        return table.__arrow_c_stream__(requested_schema)
assert "pandas" not in sys.modules, "the preparation of the test imports it"
report = prepare({source}).run()
assert (report.records, report.rejected) == (2, 1)
assert "pandas" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_frames_are_read_without_pyarrow() -> None:
    """Pandas, polars and numpy can return lists."""
    pandas()
    polars()
    code = """
import sys
import pandas, polars, numpy
sys.modules["pyarrow"] = None
from pinterest_audiences import prepare
columns = {"id": [1, 2], "email": ["rosa@shop.example", "tom@shop.example"]}
for frame in (pandas.DataFrame(columns, dtype=object), polars.DataFrame(columns)):
    for source in (frame, frame["email"], iter([frame])):
        assert prepare(source).run().records == 2
assert prepare(polars.DataFrame(columns).lazy()).run().records == 2
assert prepare(numpy.array(columns["email"])).run().records == 2
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_large_frames_are_converted_in_chunks() -> None:
    """When the first chunk is out, most of the frame is not converted yet."""
    emails = [f"person{n}@shop.example" for n in range(400_000)]
    frame = pandas().DataFrame({"email": pandas().Series(emails, dtype=object)})
    read(frame.head(10))
    tracemalloc.start()
    arrow_before = pa.total_allocated_bytes()
    next(iter(prepare(frame)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000  # a list of all of them has 3 MB and their bytes 10 MB
    assert pa.total_allocated_bytes() - arrow_before < 5_000_000


BOTH = {"id": [1, 2], "email": [ROSA, None], "second": ["", TOM]}


@pytest.mark.parametrize("column", [["email", "second"], [2, 3], ["email", 3]], ids=str)
def test_several_columns_of_tables_are_read(column: list[str | int], tmp_path: Path) -> None:
    """By their names and by their numbers, counted from 1; each cell is a record."""
    table = pa.table(BOTH)
    path = tmp_path / "a.parquet"
    parquet.write_table(table, path)
    frames = [pandas().DataFrame(BOTH), polars().DataFrame(BOTH), polars().DataFrame(BOTH).lazy()]
    files = [path, parquet.ParquetFile(path), dataset.dataset(path)]
    for source in (
        table,
        *frames,
        *files,
        iter(frames),
        pandas().DataFrame(BOTH).to_records(False),
    ):
        assert read(source, column=column)[:2] == [ROSA, TOM]


def test_columns_of_one_name_in_tables_are_all_read() -> None:
    """As advertisers' templates have them."""
    arrays = [pa.array([ROSA]), pa.array([1]), pa.array([TOM])]
    table = pa.Table.from_arrays(arrays, names=["email", "id", "email"])
    assert read(table) == [ROSA, TOM]
    assert read(iter(table.to_batches())) == [ROSA, TOM]
    frame = pandas().DataFrame([[ROSA, 1, TOM]], columns=["email", "id", "email"])
    assert read(frame) == [ROSA, TOM]
    assert read(frame, column=3) == [TOM]
