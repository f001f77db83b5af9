"""Columns of Arrow tables, Parquet files and frames: checked by their values, as those of text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

import pytest
from support.cases import each_case

from pinterest_audiences import PreparationReport, SourceError, SourceLike, prepare

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed (the extra [arrow])")
parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
dataset = pytest.importorskip("pyarrow.dataset", reason="pyarrow is not installed")

Columns = Mapping[str, Sequence[object]]
Make = Callable[[Columns, Path], SourceLike]


def read(source: SourceLike) -> PreparationReport:
    return prepare(source).run()


def _parquet(columns: Columns, folder: Path) -> Path:
    parquet.write_table(pa.table(columns), folder / "a.parquet", row_group_size=700)
    return folder / "a.parquet"


def _ipc(columns: Columns, folder: Path) -> SourceLike:
    table = pa.table(columns)
    with pa.ipc.new_file(str(folder / "a.arrow"), table.schema) as file:
        file.write_table(table, max_chunksize=100)
    return cast("SourceLike", pa.ipc.open_file((folder / "a.arrow").read_bytes()))


def _pandas(columns: Columns, folder: Path) -> SourceLike:
    del folder
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    return cast("SourceLike", pandas.DataFrame(columns))


def _polars(columns: Columns, folder: Path) -> SourceLike:
    del folder
    polars = pytest.importorskip("polars", reason="polars is not installed")
    return cast("SourceLike", polars.DataFrame(columns))


def _lazy(columns: Columns, folder: Path) -> SourceLike:
    del folder
    polars = pytest.importorskip("polars", reason="polars is not installed")
    return cast("SourceLike", polars.LazyFrame(columns))


TABLES: dict[str, Make] = {
    "table": lambda columns, _: pa.table(columns),
    "reader": lambda columns, _: pa.table(columns).to_reader(max_chunksize=100),
    "batch": lambda columns, _: pa.record_batch(columns),
    "parquet": _parquet,
    "parquet file": lambda columns, folder: parquet.ParquetFile(_parquet(columns, folder)),
    "dataset": lambda columns, folder: dataset.dataset(_parquet(columns, folder)),
    "scanner": lambda columns, folder: dataset.dataset(_parquet(columns, folder)).scanner(),
    "ipc": _ipc,
    "pandas": _pandas,
    "polars": _polars,
    "lazy": _lazy,
    "tables": lambda columns, _: iter([pa.table(columns)]),
}


@pytest.fixture(params=list(TABLES.values()), ids=list(TABLES))
def make(request: pytest.FixtureRequest) -> Make:
    return cast("Make", request.param)


ANN = ["ann@shop.example", None, "bob@shop.example"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("columns", "chosen"),
    [
        ({"invoice_email": ANN}, "invoice_email"),
        ({"invoice_email": [True, False, None], "work_email": ANN}, "work_email"),
        ({"email_consent": ["yes", "no", None], "work_email": ANN}, "work_email"),
        ({"mail_ok": [1, 0, 1], "work_email": ANN}, "work_email"),
        ({"mail_street": ["Kai 2", "Dock 4", ""], "work_email": ANN}, "work_email"),
        ({"id": [1, 2, 3], "email": ANN, "work_email": ANN}, "email"),
        ({"home_email": [None, None, ""], "work_email": ANN}, "work_email"),
    ],
)
def test_columns_of_tables_are_confirmed_by_their_values(
    make: Make, tmp_path: Path, columns: Columns, chosen: str
) -> None:
    """Columns about consent and streets are passed over."""
    report = read(make(columns, tmp_path))
    assert (report.columns, report.records, report.rows) == ((chosen,), 2, 3)


@each_case(
    "columns",
    [
        {"to_email": ANN, "from_email": ANN},
        {"email_consent": ["yes", "no", None], "id": [1, 2, 3]},
        {"mail_street": ["Kai 2", "Dock 4", ""], "id": [1, 2, 3]},
    ],
)
def test_tables_without_one_plain_column_are_an_error(
    make: Make, tmp_path: Path, columns: Columns
) -> None:
    """None is taken silently."""
    with pytest.raises(SourceError, match=r"columns may be|no column is clearly"):
        read(make(columns, tmp_path))


@pytest.mark.parametrize("empty", [499, 500, 3_000])
def test_second_column_empty_in_the_first_rows_of_a_table_is_an_error(
    make: Make, tmp_path: Path, empty: int
) -> None:
    """Its later values are not left out silently."""
    rows = empty + 5
    columns: Columns = {
        "Home Email": [f"ann{n}@shop.example" for n in range(rows)],
        "Work Email": [None] * empty + ["bob@shop.example"] * 5,
    }
    with pytest.raises(SourceError, match="2 columns may be"):
        read(make(columns, tmp_path))


def test_parquet_columns_of_one_name_are_all_read(tmp_path: Path) -> None:
    """Each cell that is not empty is a value."""
    table = pa.Table.from_arrays(
        [pa.array(ANN), pa.array([1, 2, 3]), pa.array(["eve@shop.example", None, None])],
        names=["email", "id", "email"],
    )
    parquet.write_table(table, tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet").records == 3
    assert read(table).records == 3
