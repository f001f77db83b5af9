"""Options of files in every format: the right records, or an error that names the option."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from support.cases import each_case

from pinterest_audiences import ConfigurationError, SourceError, open_source, prepare

NAMES = ("id", "email", "work")
ROWS: list[tuple[str, str, str]] = [
    ("1", "ann@shop.de", "ann@work.de"),
    ("2", "bob@shop.de", "bob@work.de"),
    ("3", "eve@shop.de", "eve@work.de"),
]
PEOPLE = [row[1] for row in ROWS]
BOTH = [cell for row in ROWS for cell in row[1:]]
TITLE = "Customers of May"


def columns() -> dict[str, list[str]]:
    return {name: [row[at] for row in ROWS] for at, name in enumerate(NAMES)}


def write_delimited(delimiter: str) -> Callable[[Path, list[tuple[str, ...]]], None]:
    def write(path: Path, above: list[tuple[str, ...]]) -> None:
        lines = [delimiter.join(row) for row in (*above, *ROWS)]
        path.write_text("\n".join(lines) + "\n")

    return write


def write_lines(path: Path, above: list[tuple[str, ...]]) -> None:
    titles = [row[0] for row in above if row != NAMES]
    path.write_text("\n".join([*titles, *PEOPLE]) + "\n")


def write_ndjson(path: Path, above: list[tuple[str, ...]]) -> None:
    titles = [row[0] for row in above if row != NAMES]
    rows = [json.dumps(dict(zip(NAMES, row, strict=True))) for row in ROWS]
    path.write_text("\n".join([*titles, *rows]) + "\n")


def write_json(path: Path, above: list[tuple[str, ...]]) -> None:
    path.write_text(json.dumps([dict(zip(NAMES, row, strict=True)) for row in ROWS], indent=1))


def write_parquet(path: Path, above: list[tuple[str, ...]]) -> None:
    pa: Any = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    import_module("pyarrow.parquet").write_table(pa.table(columns()), str(path))


def write_arrow(path: Path, above: list[tuple[str, ...]]) -> None:
    pa: Any = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    table = pa.table(columns())
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)


def write_orc(path: Path, above: list[tuple[str, ...]]) -> None:
    pa: Any = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    orc: Any = pytest.importorskip("pyarrow.orc", reason="this pyarrow has no ORC")
    orc.write_table(pa.table(columns()), str(path))


def write_excel(path: Path, above: list[tuple[str, ...]]) -> None:
    pytest.importorskip("python_calamine", reason="python-calamine is not installed")
    openpyxl: Any = pytest.importorskip("openpyxl", reason="openpyxl is not installed")
    workbook = openpyxl.Workbook()
    for row in (*above, *ROWS):
        workbook.active.append(list(row))
    workbook.save(str(path))


def write_avro(path: Path, above: list[tuple[str, ...]]) -> None:
    fastavro: Any = pytest.importorskip("fastavro", reason="fastavro is not installed")
    fields = [{"name": name, "type": "string"} for name in NAMES]
    schema = {"type": "record", "name": "Customer", "fields": fields}
    file = io.BytesIO()
    fastavro.writer(file, schema, [dict(zip(NAMES, row, strict=True)) for row in ROWS])
    path.write_bytes(file.getvalue())


FORMATS: dict[str, Callable[[Path, list[tuple[str, ...]]], None]] = {
    "csv": write_delimited(","),
    "tsv": write_delimited("\t"),
    "psv": write_delimited("|"),
    "lines": write_lines,
    "ndjson": write_ndjson,
    "json": write_json,
    "parquet": write_parquet,
    "arrow": write_arrow,
    "orc": write_orc,
    "excel": write_excel,
    "avro": write_avro,
}
TABLES = ("csv", "tsv", "psv", "excel")  # with a header that is a row
COLUMNS = tuple(form for form in FORMATS if form != "lines")
SUFFIXES = {"lines": "txt", "excel": "xlsx"}

OPTIONS: list[tuple[dict[str, Any], list[tuple[str, ...]], list[str], tuple[str, ...]]] = [
    # options, rows above the data, records, formats that have the options
    ({"header": False, "column": 2}, [], PEOPLE, TABLES),
    ({"header": False, "column": [2, 3]}, [], BOTH, TABLES),
    ({"skip_rows": 1}, [(TITLE,), NAMES], PEOPLE, (*TABLES, "lines", "ndjson")),
    ({"column": 2}, [NAMES], PEOPLE, COLUMNS),
    ({"column": "2"}, [NAMES], PEOPLE, COLUMNS),
    ({"column": "email"}, [NAMES], PEOPLE, COLUMNS),
    ({"column": "E-Mail"}, [NAMES], PEOPLE, COLUMNS),
    ({"column": ["email", "work"]}, [NAMES], BOTH, COLUMNS),
    ({"column": [2, "work"]}, [NAMES], BOTH, COLUMNS),
]


@each_case("is_named", [True, False])
@each_case("case", range(len(OPTIONS)))
@pytest.mark.parametrize("form", FORMATS)
def test_option_of_a_file_has_its_effect_or_is_refused(
    tmp_path: Path, form: str, case: int, *, is_named: bool
) -> None:
    """With `format` and without, as a path and as an open file."""
    options, above, records, formats = OPTIONS[case]
    path = tmp_path / f"a.{SUFFIXES.get(form, form)}"
    FORMATS[form](path, above)
    refused = set(options) & ({"column"} if form == "lines" else {"header", "skip_rows"})
    given = options | ({"format": form} if is_named else {})
    for source in (path, io.BytesIO(path.read_bytes())):
        if form in formats:
            ready = prepare(open_source(source, **given), plain_emails=True)
            assert [record for chunk in ready for record in chunk] == records
            assert (ready.report.rows, ready.report.rejected) == (len(ROWS), 0)
            continue
        with pytest.raises((ConfigurationError, SourceError)) as caught:
            prepare(open_source(source, **given), plain_emails=True).run()
        assert {caught.value.param} == refused
        assert any(option in str(caught.value) for option in refused)
