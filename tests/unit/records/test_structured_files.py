"""JSON arrays, Arrow, Feather, ORC and Avro: read in parts, and never as if they were complete."""

from __future__ import annotations

import gzip
import io
import json
import sys
import tracemalloc
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from support.cases import each_case
from support.reading import error_of, read

from pinterest_audiences import (
    ConfigurationError,
    SourceError,
    open_source,
    prepare,
    prepare_rows,
)

PEOPLE = ["ann@shop.de", "bob@shop.de"]
ROWS: list[dict[str, object]] = [
    {"id": 1, "email": PEOPLE[0]},
    {"id": 2, "email": None},
    {"id": 3, "email": PEOPLE[1]},
    {"id": 4, "email": "none"},
]


@each_case(
    "text",
    [
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2),
        json.dumps(ROWS, separators=(",", ":")),
        "\ufeff\r\n " + json.dumps(ROWS).replace("}, {", "}\r\n,\r\n{") + "\r\n",
    ],
)
@each_case("name", ["a.json", "a.ndjson", "a.jsonl", "a", "a.json.gz"])
def test_json_array_is_read_like_ndjson(tmp_path: Path, name: str, text: str) -> None:
    """On one line or many, compressed, in UTF-16, as an open file."""
    lines = tmp_path / "rows"
    lines.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    expected, in_lines = read(lines)
    path = tmp_path / name
    for encoding in ("utf-8", "utf-16"):
        data = text.encode(encoding)
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        records, report = read(path)
        assert (records, report.columns) == (expected, ("email",))
        assert (report.rejects, report.first_rows) == (in_lines.rejects, in_lines.first_rows)
        assert read(path, format="json", column="email")[0] == expected
        assert read(io.BytesIO(data))[0] == expected


def test_json_array_of_strings_is_a_list_of_values(tmp_path: Path) -> None:
    """It has no columns."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps([*PEOPLE, "none", None]))
    records, report = read(path)
    assert (records, report.first_rows) == (PEOPLE, {"no_at_sign": (3,), "empty": (4,)})


def test_empty_json_array_has_no_rows(tmp_path: Path) -> None:
    """It is complete."""
    path = tmp_path / "a.json"
    path.write_text("[ ]\n")
    assert read(path)[1].rows == 0


def test_large_json_array_on_one_line_is_read_with_little_memory(tmp_path: Path) -> None:
    """Items end anywhere in a block."""
    path = tmp_path / "a.json"
    rows = [{"n": number, "email": f"p{number}@shop.de"} for number in range(60_000)]
    path.write_text(json.dumps(rows))
    tracemalloc.start()
    try:
        report = prepare(path).run()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (report.records, report.rejected) == (60_000, 0)
    assert peak < path.stat().st_size * 2


@pytest.mark.parametrize(
    "text",
    [
        '[{"email": "ann@shop.de"}',
        '[{"email": "ann@shop.de"},',
        '[{"email": "ann@shop.de"}, {"email": "bob@sh',
        '[{"email": "ann@shop.de"}, {"email" "bob@shop.de"}]',
        '[{"email": "ann@shop.de"} {"email": "bob@shop.de"}]',
        '[{"email": "ann@shop.de"}]\n[{"email": "bob@shop.de"}]',
        '[{"email": "ann@shop.de"}],',
        '[{"email": "ann@shop.de"}, ' + "[" * 100_000,
    ],
)
def test_malformed_or_truncated_json_array_is_an_error(tmp_path: Path, text: str) -> None:
    """It names the number of rows that were read."""
    path = tmp_path / "a.json"
    path.write_text(text)
    assert error_of(path).row == 1


def test_repeated_key_in_a_json_array_is_a_reject(tmp_path: Path) -> None:
    """As in NDJSON: no person is lost silently."""
    path = tmp_path / "a.json"
    path.write_text('[{"email":"ann@x.de","email":"bob@x.de"},{"email":"last@x.de"}]')
    records, report = read(path)
    assert (records, report.rejects) == (["last@x.de"], {"bad_json": 1})


@each_case(
    ("option", "value"), [("delimiter", ";"), ("header", False), ("skip_rows", 1), ("sheet", 1)]
)
def test_option_without_effect_on_a_json_array_is_an_error(
    tmp_path: Path, option: str, value: object
) -> None:
    """It is named."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps(ROWS))
    with pytest.raises(ConfigurationError, match=option):
        read(path, format="json", **{option: value})


def test_json_array_as_another_format_is_named(tmp_path: Path) -> None:
    """With the format to set; text that is not an array is not read as one."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps(ROWS))
    assert "format='json'" in error_of(path, format="ndjson").reason
    path.write_text(json.dumps(ROWS[0]))
    assert "is not a JSON array" in error_of(path, format="json").reason


def arrow_table() -> Any:
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    return pa.Table.from_pylist(ROWS)


def write_arrow(path: Path) -> None:
    table = arrow_table()
    pa = import_module("pyarrow")
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=2)


def write_stream(path: Path) -> None:
    table = arrow_table()
    pa = import_module("pyarrow")
    with pa.ipc.new_stream(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=2)


def write_feather(path: Path) -> None:
    arrow_table()
    import_module("pyarrow.feather").write_feather(arrow_table(), str(path), compression="zstd")


def write_orc(path: Path) -> None:
    table = arrow_table()
    orc: Any = pytest.importorskip("pyarrow.orc", reason="this pyarrow has no ORC")
    orc.write_table(table, str(path))


def write_parquet(path: Path) -> None:
    table = arrow_table()
    import_module("pyarrow.parquet").write_table(table, str(path))


AVRO_SCHEMA: dict[str, object] = {
    "type": "record",
    "name": "Customer",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "email", "type": ["null", "string"]},
    ],
}


def avro_bytes(
    rows: list[Any], schema: object = AVRO_SCHEMA, codec: str = "null", **options: int
) -> bytes:
    fastavro: Any = pytest.importorskip("fastavro", reason="fastavro is not installed")
    file = io.BytesIO()
    fastavro.writer(file, schema, rows, codec=codec, **options)
    return file.getvalue()


def write_avro(path: Path) -> None:
    path.write_bytes(avro_bytes(ROWS))


WRITERS: dict[str, Callable[[Path], None]] = {
    "arrow": write_arrow,
    "arrow stream": write_stream,
    "avro": write_avro,
    "feather": write_feather,
    "orc": write_orc,
    "parquet": write_parquet,
}
writers = pytest.mark.parametrize("kind", WRITERS)


@writers
@pytest.mark.parametrize("name", ["a.arrow", "a.orc", "a.csv", "a"])
def test_file_of_columns_is_recognized_by_content(tmp_path: Path, kind: str, name: str) -> None:
    """Under any name, from an open file and memory, with the rejects of a CSV file."""
    path = tmp_path / name
    WRITERS[kind](path)
    records, report = read(path)
    assert (records, report.columns) == (PEOPLE, ("email",))
    assert report.first_rows == {"empty": (2,), "no_at_sign": (4,)}
    assert read(path, column=2)[0] == PEOPLE
    assert read(path, column=["email", "id"])[1].columns == ("email", "id")
    with path.open("rb") as file:
        assert read(file)[0] == PEOPLE
    assert read(io.BytesIO(path.read_bytes()))[0] == PEOPLE
    rows = prepare_rows(open_source(path, columns={"email": "email", "external_id": "id"}))
    assert [row.external_id for chunk in rows for row in chunk] == ["1", "2", "3", "4"]


@writers
@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_truncated_file_of_columns_is_an_error(tmp_path: Path, kind: str, share: float) -> None:
    """Also a stream, whose end is marked."""
    path = tmp_path / "a"
    WRITERS[kind](path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert error_of(path).reason


def stream_parts(**options: bool) -> list[bytes]:
    """Return a stored stream as it is after each batch, and the complete one."""
    table = arrow_table()
    pa = import_module("pyarrow")
    file = io.BytesIO()
    parts: list[bytes] = []
    with pa.ipc.new_stream(file, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        for batch in table.to_batches(max_chunksize=2):
            writer.write_batch(batch)
            parts.append(file.getvalue())
    return [*parts, file.getvalue()]


def test_arrow_stream_that_ends_between_two_batches_is_an_error(tmp_path: Path) -> None:
    """Pyarrow reads it as if it were complete."""
    *parts, complete = stream_parts()
    assert len(parts) == 2
    path = tmp_path / "a.arrows"
    for part in parts:
        path.write_bytes(part)
        for source in (path, io.BytesIO(part)):
            assert error_of(source).reason == "the Arrow stream is truncated"
    assert read(io.BytesIO(complete))[0] == PEOPLE


def test_arrow_stream_may_end_with_a_dictionary(tmp_path: Path) -> None:
    """Which no batch uses, before the mark or instead of any batch."""
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    column = pa.array(PEOPLE).dictionary_encode()
    table = pa.table({"email": column})
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    reader = pa.ipc.MessageReader.open_stream(io.BytesIO(stream.getvalue()))
    schema, dictionary, batch = (
        message.serialize().to_pybytes() for message in iter(reader.read_next_message, None)
    )
    mark = stream.getvalue()[-8:]
    for messages, people in (
        ((schema, dictionary, batch, mark), PEOPLE),
        ((schema, dictionary, batch, dictionary, mark), PEOPLE),
        ((schema, dictionary, mark), []),
    ):
        assert read(io.BytesIO(b"".join(messages)))[0] == people
    for cut in ((schema, dictionary, batch, dictionary), (schema, dictionary)):
        data = io.BytesIO(b"".join(cut))
        assert error_of(data).reason == "the Arrow stream is truncated"


def test_arrow_stream_of_before_0_15_is_read_to_its_mark(tmp_path: Path) -> None:
    """Its mark is four NULs, and so are the last bytes of most batches."""
    *parts, complete = stream_parts(use_legacy_format=True)
    path = tmp_path / "a.arrows"
    assert any(part.endswith(bytes(4)) for part in parts)
    for data in (*parts, complete[:-2], complete[:-4] + b"\1"):
        path.write_bytes(data)
        for source in (path, io.BytesIO(data)):
            assert error_of(source, format="arrow").reason
    path.write_bytes(complete)
    assert read(path)[0] == read(io.BytesIO(complete), format="arrow")[0] == PEOPLE


@each_case("legacy", [False, True])
def test_data_after_an_arrow_stream_is_an_error(tmp_path: Path, legacy: bool) -> None:
    """Pyarrow reads the first of several streams only; NULs are padding."""
    *_, complete = stream_parts(use_legacy_format=legacy)
    path = tmp_path / "a.arrows"
    for more, is_read in ((b"", True), (bytes(70_000), True), (complete, False), (b"\0\1", False)):
        path.write_bytes(complete + more)
        for source in (path, io.BytesIO(complete + more)):
            if is_read:
                assert read(source, format="arrow")[0] == PEOPLE
            else:
                assert "data after the end" in error_of(source, format="arrow").reason


def test_last_value_of_an_arrow_stream_that_looks_like_its_mark_is_not_one(tmp_path: Path) -> None:
    pa: Any = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    table = pa.table({"email": PEOPLE, "id": pa.array([1, 0xFFFFFFFF], pa.int64())})
    file = io.BytesIO()
    writer = pa.ipc.new_stream(file, table.schema)
    writer.write_table(table)
    path = tmp_path / "a.arrows"
    path.write_bytes(file.getvalue())
    writer.close()
    assert path.read_bytes().rstrip(b"\0").endswith(b"\xff" * 4)
    assert error_of(path).reason == "the Arrow stream is truncated"


def test_arrow_stream_of_polars_is_complete() -> None:
    polars: Any = pytest.importorskip("polars", reason="polars is not installed")
    file = io.BytesIO()
    polars.DataFrame({"email": PEOPLE}).write_ipc_stream(file)
    assert read(io.BytesIO(file.getvalue()))[0] == PEOPLE


class CountingFile(io.BytesIO):
    """A file that counts the bytes that are read."""

    bytes_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.bytes_read += len(data)
        return data


def test_parquet_of_an_open_file_is_fetched_a_row_group_at_a_time() -> None:
    """The sample that chooses the column reads the first rows only."""
    pa: Any = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    emails = [f"p{number:060}@shop.de" for number in range(20_000)]
    table = pa.table({"email": emails})
    file = io.BytesIO()
    options = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    with import_module("pyarrow.parquet").ParquetWriter(file, table.schema, **options) as writer:
        writer.write_table(table.slice(0, 0))  # an empty row group
        writer.write_table(table, row_group_size=2_000)
    counting = CountingFile(file.getvalue())
    size = len(file.getvalue())
    chunks = iter(prepare(open_source(counting), plain_emails=True))
    first = next(chunks)
    assert counting.bytes_read < size * 0.4
    assert [*first, *(email for chunk in chunks for email in chunk)] == emails
    assert counting.bytes_read < size * 1.3


def test_parquet_that_begins_with_an_empty_column_is_recognized(tmp_path: Path) -> None:
    """By its first bytes, as pyarrow 17 writes them."""
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    for first in (b"PAR1&\0\x1c\x15\x0c", b"PAR1&\x08\x1c\x15\x0c"):
        path = tmp_path / "unload_000"
        path.write_bytes(first + bytes(100))
        assert "ArrowInvalid" in error_of(path).reason


@pytest.mark.parametrize("groups", [[0, 0], [3], [0, 1, 0, 700, 2]])
def test_parquet_with_small_and_empty_row_groups_is_read(tmp_path: Path, groups: list[int]) -> None:
    pa: Any = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    path = tmp_path / "a.parquet"
    emails = [f"p{number}@shop.de" for number in range(sum(groups))]
    table = pa.table({"email": pa.array(emails, pa.string()), "id": list(range(len(emails)))})
    with import_module("pyarrow.parquet").ParquetWriter(str(path), table.schema) as writer:
        start = 0
        for rows in groups:
            writer.write_table(table.slice(start, rows))
            start += rows
    for source in (path, io.BytesIO(path.read_bytes())):
        records, report = read(source)
        assert (records, report.columns) == (emails, ("email",))


@writers
@each_case(
    ("option", "value"),
    [("encoding", "cp1252"), ("delimiter", ";"), ("header", False), ("skip_rows", 1),
     ("sheet", 1), ("format", "csv")],
)  # fmt: skip
def test_option_without_effect_on_a_file_of_columns_is_an_error(
    tmp_path: Path, kind: str, option: str, value: object
) -> None:
    """It is named."""
    path = tmp_path / "a"
    WRITERS[kind](path)
    with pytest.raises((ConfigurationError, SourceError), match=option):
        read(path, **{option: value})


@each_case("codec", ["null", "deflate", "bzip2", "snappy"])
def test_compressed_blocks_of_an_avro_file_are_read(codec: str) -> None:
    """The compression is in the header."""
    if codec == "snappy":
        pytest.importorskip("cramjam", reason="cramjam is not installed")
    rows = [{"id": number, "email": f"p{number}@shop.de"} for number in range(5_000)]
    records, report = read(io.BytesIO(avro_bytes(rows, codec=codec, sync_interval=1_000)))
    assert records == [row["email"] for row in rows]
    assert (report.rows, report.columns) == (5_000, ("email",))


def test_avro_file_is_read_as_a_stream_or_compressed(tmp_path: Path) -> None:
    """By its format, or its name below the suffix of the compression."""
    data = avro_bytes(ROWS)
    path = tmp_path / "a.avro.gz"
    path.write_bytes(gzip.compress(data))
    assert read(path)[0] == PEOPLE

    class Pipe:
        def __init__(self) -> None:
            self.file = io.BytesIO(data)

        def read(self, size: int, /) -> bytes:
            return self.file.read(size)

    assert read(Pipe(), format="avro")[0] == PEOPLE
    assert "is an Avro file; set the format" in error_of(Pipe()).reason


def test_every_truncation_of_an_avro_file_inside_a_block_is_an_error() -> None:
    """Also within the length of a block; at its end the file looks complete."""
    rows = [{"id": number, "email": f"p{number}@shop.de"} for number in range(100)]
    schema_bytes = len(avro_bytes([]))
    data = avro_bytes(rows, sync_interval=1_000)
    mark = data[-16:]
    ends = [end for end in range(len(data) + 1) if data[:end].endswith(mark)]
    assert len(ends) > 2
    assert ends[0] == schema_bytes
    for end in range(4, len(data)):
        if end not in ends:
            error_of(io.BytesIO(data[:end]))
    damaged = bytearray(data)
    damaged[ends[1] - 3] ^= 1
    assert error_of(io.BytesIO(bytes(damaged))).reason
    assert read(io.BytesIO(data))[1].rows == 100


def test_truncated_gzip_of_an_avro_file_is_an_error(tmp_path: Path) -> None:
    """It is named as what it is."""
    rows = [{"id": number, "email": f"p{number}@shop.de"} for number in range(5_000)]
    path = tmp_path / "a.avro.gz"
    path.write_bytes(gzip.compress(avro_bytes(rows))[:-9])
    assert "gzip" in error_of(path).reason


def test_types_of_an_avro_file_are_read_as_those_of_a_table(tmp_path: Path) -> None:
    """UUIDs are text, lists are several values, and dates, decimals and records no identifiers."""
    uuid = "f47ac10b-58cc-4372-a567-0e02b2c3d479"
    fields: list[tuple[str, Any, Any]] = [
        ("device", {"type": "string", "logicalType": "uuid"}, UUID(uuid)),
        ("born", {"type": "int", "logicalType": "date"}, date(1990, 1, 2)),
        ("spent", {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2},
         Decimal("12.50")),
        ("address", {"type": "record", "name": "A", "fields": [{"name": "zip", "type": "string"}]},
         {"zip": "10115"}),
        ("kind", {"type": "enum", "name": "K", "symbols": ["A", "B"]}, "A"),
        ("raw", "bytes", PEOPLE[0].encode()),
        ("several", ["null", {"type": "array", "items": "string"}], PEOPLE),
    ]  # fmt: skip
    schema = {
        "type": "record",
        "name": "Customer",
        "fields": [{"name": name, "type": kind} for name, kind, _ in fields],
    }
    data = avro_bytes([{name: value for name, _, value in fields}], schema)
    pa: Any = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    values = {name: [value] for name, _, value in fields}
    table = pa.table(values | {"device": [uuid]})
    for name, *_ in fields:
        for kind in ("email", "maid"):
            as_avro = prepare(
                open_source(io.BytesIO(data), column=name), kind=kind, plain_emails=True
            )
            as_arrow = prepare(open_source(table, column=name), kind=kind, plain_emails=True)
            assert [*as_avro] == [*as_arrow], name
            assert as_avro.report.rejects == as_arrow.report.rejects, name
    devices = prepare(open_source(io.BytesIO(data), column="device"), kind="maid").run()
    assert (devices.records, devices.rejected) == (1, 0)
    assert read(io.BytesIO(data), column="several")[0] == PEOPLE
    assert read(io.BytesIO(data), column="raw")[0] == PEOPLE[:1]
    assert read(io.BytesIO(data), column="address")[1].rejects == {"not_text": 1}


def test_avro_file_of_strings_is_a_list_of_values() -> None:
    """It has no columns."""
    assert read(io.BytesIO(avro_bytes(PEOPLE, "string")))[0] == PEOPLE


def test_avro_file_without_rows_must_have_the_column() -> None:
    """Its schema shows it."""
    data = avro_bytes([])
    assert read(io.BytesIO(data))[1].rows == 0
    assert "no column is named 'mail'" in error_of(io.BytesIO(data), column="mail").reason


def test_text_of_an_avro_file_that_is_not_utf_8_is_a_reject() -> None:
    """The rows after it are read."""
    rows = [{"id": 1, "email": "xy@shop.de"}, {"id": 2, "email": PEOPLE[1]}]
    data = avro_bytes(rows).replace(b"xy@", b"x\xff@")
    records, report = read(io.BytesIO(data))
    assert (records, report.rejects) == (PEOPLE[1:], {"replacement_character": 1})


def test_missing_library_of_an_avro_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra, and that of a compression."""
    path = tmp_path / "a.avro"
    data = avro_bytes(ROWS)
    path.write_bytes(data.replace(b"\x08null", b"\x06lz4"))
    if find_spec("lz4") is None:
        with pytest.raises(ConfigurationError, match=r"fastavro\[lz4\]"):
            read(path)
    monkeypatch.setitem(sys.modules, "fastavro", None)
    with pytest.raises(ConfigurationError, match=r"pinterest-audiences\[avro\]"):
        read(path)


def test_avro_file_whose_first_read_fails_is_a_source_error() -> None:
    pytest.importorskip("fastavro", reason="fastavro is not installed")

    class Lost:
        def read(self, _: int, /) -> bytes:
            raise OSError("the connection was lost")

    assert error_of(Lost(), format="avro").reason == "the connection was lost"
