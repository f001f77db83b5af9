"""Columns of the folders of a partition, such as ``country=DE``."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.cases import each_case

from pinterest_audiences import (
    RecordRow,
    SourceError,
    file_source,
    open_source,
    prepare,
    prepare_rows,
)
from pinterest_audiences._records.partitions import partition_values


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(path: str, text: str = "email\nann@shop.de\n") -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def rows_of(paths: object, **columns: str | int) -> list[tuple[str | None, str | None]]:
    """Return the e-mail and the id of each row."""
    source = open_source(paths, columns=columns or None)  # type: ignore[arg-type]  # paths
    ready = prepare_rows(source, plain_emails=True)
    return [(row.email, row.external_id) for chunk in ready for row in chunk]


VALUES: dict[str, dict[str, str]] = {
    "a.csv": {},
    "exports/a.csv": {},
    "exports/country=DE/a.csv": {"country": "DE"},
    "exports/country=DE/day=2026-01-31/a.csv": {"country": "DE", "day": "2026-01-31"},
    "/data/country=DE/a=b.csv": {"country": "DE"},
    "x/name=A%2FB%3DC%25/a.csv": {"name": "A/B=C%"},
    "x/name=a=b/a.csv": {"name": "a=b"},
    "x/name=a+b c/a.csv": {"name": "a+b c"},
    "x/my%20key=1/a.csv": {"my key": "1"},
    "x/city=M%C3%BCnchen/a.csv": {"city": "München"},
    "x/city=München/a.csv": {"city": "München"},
    "x/city=__HIVE_DEFAULT_PARTITION__/a.csv": {"city": ""},
    "x/city=/a.csv": {"city": ""},
    "x/=DE/a.csv": {},
    "s3://bucket/name=A%252FB/a.csv": {"name": "A%2FB"},
    "s3://bucket/name=A%2FB/a.csv": {"name": "A/B"},
    "https://host/name=A%252FB/a.csv": {"name": "A/B"},
    "https://host/country%3DDE/a.csv": {"country": "DE"},
}


@each_case("path", VALUES)
def test_columns_of_folders_are_decoded_as_spark_writes_them(path: str) -> None:
    assert partition_values(path) == VALUES[path]


def arrow_writer(module: str, function: str) -> Callable[[Path], None]:
    def write_table(path: Path) -> None:
        pa: Any = pytest.importorskip("pyarrow", reason="the extra [arrow] is not installed")
        writer = getattr(pytest.importorskip(module), function)
        writer(pa.table({"id": [1, 2], "email": ["ann@shop.de", "bob@shop.de"]}), str(path))

    return write_table


def write_ipc_stream(path: Path) -> None:
    pa: Any = pytest.importorskip("pyarrow", reason="the extra [arrow] is not installed")
    table = pa.table({"id": [1, 2], "email": ["ann@shop.de", "bob@shop.de"]})
    with pa.ipc.new_stream(str(path), table.schema) as writer:
        writer.write_table(table)


def write_avro(path: Path) -> None:
    fastavro: Any = pytest.importorskip("fastavro", reason="the extra [avro] is not installed")
    fields = [{"name": "id", "type": "long"}, {"name": "email", "type": "string"}]
    people = [{"id": 1, "email": "ann@shop.de"}, {"id": 2, "email": "bob@shop.de"}]
    with path.open("wb") as file:
        fastavro.writer(file, {"type": "record", "name": "Person", "fields": fields}, people)


def write_workbook(path: Path) -> None:
    pytest.importorskip("python_calamine", reason="the extra [excel] is not installed")
    openpyxl: Any = pytest.importorskip("openpyxl", reason="openpyxl is not installed")
    workbook = openpyxl.Workbook()
    for row in (["id", "email"], [1, "ann@shop.de"], [2, "bob@shop.de"]):
        workbook.active.append(row)
    workbook.save(path)


CSV = "id,email\n1,ann@shop.de\n2,bob@shop.de\n"
OBJECTS = [{"id": 1, "email": "ann@shop.de"}, {"id": 2, "email": "bob@shop.de"}]
WRITERS: dict[str, Callable[[Path], object]] = {
    "a.csv": lambda path: path.write_text(CSV),
    "a.csv.gz": lambda path: path.write_bytes(gzip.compress(CSV.encode())),
    "a.tsv": lambda path: path.write_text(CSV.replace(",", "\t")),
    "quoted.csv": lambda path: path.write_text('"id","email"\n"1","ann@shop.de"\n2,bob@shop.de\n'),
    "a.ndjson": lambda path: path.write_text("\n".join(map(json.dumps, OBJECTS))),
    "a.json": lambda path: path.write_text(json.dumps(OBJECTS)),
    "a.parquet": arrow_writer("pyarrow.parquet", "write_table"),
    "a.feather": arrow_writer("pyarrow.feather", "write_feather"),
    "a.orc": arrow_writer("pyarrow.orc", "write_table"),
    "a.arrows": write_ipc_stream,
    "a.avro": write_avro,
    "a.xlsx": write_workbook,
}


@pytest.mark.parametrize("name", WRITERS)
def test_column_of_a_folder_is_read_in_every_format(name: str) -> None:
    """With columns of the file, without any of them, and for a single kind."""
    for shop in ("7", "8"):
        Path(f"out/shop={shop}").mkdir(parents=True)
        WRITERS[name](Path(f"out/shop={shop}/{name}"))
    people = [(email, shop) for shop in "78" for email in ("ann@shop.de", "bob@shop.de")]
    assert rows_of("out", email="email", external_id="shop") == people
    assert rows_of("out", external_id="Shop", email="email") == people
    assert rows_of("out", external_id="shop") == [(None, shop) for _, shop in people]
    assert rows_of(f"out/shop=7/{name}", email="email", external_id="shop") == people[:2]
    assert rows_of("out/shop=*/*", email="email", external_id="shop") == people
    for column, columns in (("shop", ("shop",)), (["id", "shop"], ("id", "shop"))):
        ready = prepare(open_source("out", column=column), "lr_id")
        ids = [record for chunk in ready for record in chunk]
        own = ["1", "7", "2", "7", "1", "8", "2", "8"]
        assert ids == ([*"7788"] if columns == ("shop",) else own)
        assert ready.report.columns == columns
    assert prepare("out").run().columns == ("email",)


def test_column_of_a_folder_is_detected_for_rows() -> None:
    """By the name of a row column. A record of a single kind is never taken from a folder."""
    write("out/external_id=17/a.csv")
    assert rows_of("out") == [("ann@shop.de", "17")]
    write("out/external_id=17/email=bob%40shop.de/a.csv", "id,mail_x\n1,ann@shop.de\n")
    assert prepare("out/external_id=17/email=bob%40shop.de").run().columns == ("mail_x",)


def test_missing_value_of_a_folder_is_an_empty_cell() -> None:
    write("out/shop=__HIVE_DEFAULT_PARTITION__/a.csv")
    write("out/shop=7/a.csv")
    assert rows_of("out", email="email", external_id="shop") == [
        ("ann@shop.de", "7"),
        ("ann@shop.de", None),
    ]
    report = prepare(open_source("out", column="shop"), "lr_id").run()
    assert (report.records, report.rejects) == (1, {"empty": 1})


def test_column_of_the_file_comes_before_that_of_its_folder() -> None:
    write("out/shop=7/a.csv", "email,shop\nann@shop.de,1\n")
    write("out/shop=8/a.csv", "email\nbob@shop.de\n")
    assert rows_of("out", email="email", external_id="shop") == [
        ("ann@shop.de", "1"),
        ("bob@shop.de", "8"),
    ]


def test_file_without_the_folder_of_the_others_is_an_error_only_if_it_is_read() -> None:
    """Outside of the scheme, or below a folder of another name: nothing is guessed or lost."""
    write("out/shop=7/a.csv")
    for path in ("out/z.csv", "out/store=9/a.csv"):
        write(path)
        with pytest.raises(SourceError, match="no column is named 'shop'") as caught:
            rows_of("out", email="email", external_id="shop")
        assert caught.value.source == path
        assert prepare("out").run().records == 2
        Path(path).unlink()


def test_error_of_a_column_that_does_not_exist_lists_those_of_folders() -> None:
    write("out/shop=7/day=1/a.csv")
    with pytest.raises(SourceError, match="columns: 'email'; of its folders: 'shop', 'day'"):
        rows_of("out", email="email", external_id="store")


def test_plain_list_in_a_folder_of_a_partition_is_read() -> None:
    write("out/shop=7/part-0", "ann@shop.de\n")
    assert prepare("out").run().records == 1
    with pytest.raises(SourceError, match="looks like a plain list, which has no columns"):
        prepare(open_source("out", column="shop")).run()


def test_table_without_a_header_has_the_columns_of_its_folders_by_name() -> None:
    write("out/shop=7/a.csv", "1,ann@shop.de\n")
    source = file_source("out", header=False, columns={"email": 2, "external_id": "shop"})
    [[row]] = prepare_rows(source, plain_emails=True)
    assert row == RecordRow(email="ann@shop.de", external_id="7")


def test_rows_that_cannot_be_read_keep_their_number_and_reason() -> None:
    write("out/shop=7/a.csv", "email,id\nann@shop.de,1\n\nbob@shop.de,2,3\nwrong,4\n")
    source = open_source("out", columns={"email": "email", "external_id": "shop"})
    report = prepare_rows(source).run()
    assert (report.rows, report.blank, report.records) == (3, 1, 2)
    assert report.first_rows == {"ragged_row": (3,)}
    source = open_source("out", column=["email", "shop"])
    report = prepare(source).run()
    assert report.first_rows == {"no_at_sign": (1, 4, 4), "ragged_row": (3,)}


def test_late_column_of_the_file_replaces_that_of_its_folder() -> None:
    lines = [{"email": "ann@shop.de"}] * 3_000 + [{"email": "bob@shop.de", "external_id": "1"}]
    write("out/external_id=7/a.ndjson", "\n".join(map(json.dumps, lines)))
    rows = rows_of("out")
    assert (rows[0], rows[-1]) == (("ann@shop.de", "7"), ("bob@shop.de", "1"))


def test_several_columns_of_a_kind_may_include_that_of_a_folder() -> None:
    write("out/owner=eve%40shop.de/a.csv", "email,x\nann@shop.de,\n,1\n")
    source = open_source("out", column=["email", "owner"])
    records = [email for chunk in prepare(source, plain_emails=True) for email in chunk]
    assert records == ["ann@shop.de", "eve@shop.de", "eve@shop.de"]


@each_case("name", ["External_ID", "External ID", "external-id"])
def test_column_of_the_file_that_is_not_read_hides_none_of_a_folder(name: str) -> None:
    """Without a selection, columns of rows are taken by their exact names."""
    write("exact/external_id=17/a.csv", f"email,{name}\nann@shop.de,5\n")
    ready = prepare_rows(open_source("exact"), plain_emails=True)
    assert [(row.email, row.external_id) for chunk in ready for row in chunk] == [
        ("ann@shop.de", "17")
    ]


def test_title_lines_are_skipped_if_only_a_folder_is_selected() -> None:
    write("titles/shop=7/a.csv", "Export of 2026\n\nid,email\n1,ann@shop.de\n2,bob@shop.de\n")
    assert rows_of("titles", external_id="shop") == [(None, "7")] * 2
