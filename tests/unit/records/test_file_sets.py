"""Several files that are read as one source."""

from __future__ import annotations

import gc
import gzip
import json
import os
import sys
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import BinaryIO, cast

import anyio
import anyio.lowlevel
import pytest
from support.cases import each_case

from pinterest_audiences import (
    ConfigurationError,
    DataWarningType,
    IdentifierType,
    PreparedRecords,
    Source,
    SourceError,
    TooManyRejectsError,
    file_source,
    open_source,
    prepare,
    prepare_rows,
)
from pinterest_audiences._records import file_sets
from pinterest_audiences._records.chunks import RowChunk
from pinterest_audiences._records.columns import ColumnSelection
from pinterest_audiences._records.text_files import FilePosition


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(**files: str) -> list[str]:
    """Write CSV files, and return their paths."""
    paths: list[str] = []
    for name, text in files.items():
        path = Path(f"{name}.csv")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        paths.append(str(path))
    return paths


def emails(paths: list[str], **options: object) -> list[str]:
    """Return the plain e-mails of files."""
    source = file_source(paths, **options)  # type: ignore[arg-type]  # options of the test
    return [email for chunk in prepare(source, plain_emails=True) for email in chunk]


def test_each_file_has_its_own_header_delimiter_encoding_and_compression() -> None:
    paths = write(a="email,id\na@shop.de,1\n", b="id;E-Mail\n2;b@shop.de\n")
    Path("c.csv").write_bytes("Name\tEmail\nÄnne\tc@shop.de\n".encode("utf-16"))
    Path("d.csv.gz").write_bytes(gzip.compress(b"email|id\nd@shop.de|1\n"))
    Path("e.ndjson").write_text('{"email": "e@shop.de"}\n')
    read = emails([*paths, "c.csv", "d.csv.gz", "e.ndjson"])
    assert read == [f"{letter}@shop.de" for letter in "abcde"]


@pytest.mark.parametrize("table", ["email\na@shop.de\n", "email,id\na@shop.de,1\n", "email\n"])
@pytest.mark.parametrize("stray", ["0_README.txt", "z_README.txt"])
def test_text_file_among_tables_is_an_error_that_names_it(table: str, stray: str) -> None:
    """Before or after the table: its lines must not become records."""
    Path("exports").mkdir()
    write(**{"exports/a": table})
    Path("exports", stray).write_text("Contact: it@shop.de\nexported daily\n")
    with pytest.raises(SourceError, match=r"has no columns, but exports/a\.csv has") as caught:
        prepare(file_source("exports"), max_reject_share=1).run()
    assert (caught.value.source, caught.value.param) == (f"exports/{stray}", "format")


def test_plain_lists_are_read_together_and_next_to_empty_files() -> None:
    write(a="", b="email\n")
    Path("c.txt").write_text("c@shop.de\n")
    Path("d.txt").write_text("d@shop.de\n")
    assert emails(["a.csv", "c.txt", "d.txt"]) == ["c@shop.de", "d@shop.de"]
    Path("d.txt").write_text("\n \n")
    assert prepare(file_source(["b.csv", "d.txt"])).run().records == 0
    report = prepare(file_source(["b.csv", "c.txt"], format="lines"), max_reject_share=1).run()
    assert (report.records, report.rejected) == (1, 1)


def test_report_counts_rows_and_rejects_of_each_file() -> None:
    """A row number counts within its file, also in the file of rejects."""
    paths = write(a="email\na@shop.de\nwrong\n", b="email\nwrong\nb@shop.de\n", c="email\n")
    prepared = prepare(file_source(paths), rejects_to="rejects.csv")
    report = prepared.run()
    assert (report.source, report.rows, report.records) == ("3 files", 4, 2)
    assert report.files == {"a.csv": 2, "b.csv": 2, "c.csv": 0}
    assert report.first_rows == {"no_at_sign": (2, 1)}
    assert report.first_files == {"no_at_sign": ("a.csv", "b.csv")}
    assert "no_at_sign (row 2 of a.csv, 1 of b.csv)" in str(report)
    rows = Path("rejects.csv").read_text().splitlines()
    assert rows == ["file,row,reason", "a.csv,2,no_at_sign", "b.csv,1,no_at_sign"]
    (finding,) = report.findings
    assert (finding.kind, finding.count, finding.detail) == (
        *(DataWarningType.EMPTY_FILES, 1),
        "c.csv",
    )


def test_single_file_is_reported_as_before() -> None:
    """Without a column for the file, and without counts for each file."""
    paths = write(a="email\nwrong\n")
    report = prepare(file_source(paths), rejects_to="rejects.csv").run()
    assert (report.source, report.files, report.first_files) == ("a.csv", {}, {})
    assert Path("rejects.csv").read_text().splitlines() == ["row,reason", "1,no_at_sign"]
    assert prepare(file_source(paths[0])).run().source == "a.csv"


def test_reject_limit_counts_all_files_and_names_the_first_row() -> None:
    paths = write(a="email\na@shop.de\n", b="email\nwrong\n")
    with pytest.raises(TooManyRejectsError, match=r"^2 files: 1 of 2 .* first in row 1 of b\.csv"):
        prepare(file_source(paths), max_reject_share=0.1).run()


def test_empty_files_are_counted_and_only_empty_files_are_refused() -> None:
    paths = write(a="", b="email\nb@shop.de\n", c="")
    prepared = prepare(file_source(paths))
    report = prepared.run()
    report.check_has_values()
    assert report.files == {"a.csv": 0, "b.csv": 1, "c.csv": 0}
    assert [finding.detail for finding in report.findings] == ["a.csv, c.csv"]
    report = prepare(file_source(["a.csv", "c.csv"])).run()
    with pytest.raises(SourceError, match="2 files: is empty"):
        report.check_has_values()


@pytest.mark.parametrize(
    ("second", "problem"),
    [
        ("id,name\n1,x\n", "no column is clearly of kind email"),
        ("mail_address\nb@shop.de\n", r"other columns than a\.csv: 'mail_address', not 'email'"),
    ],
)
def test_file_without_the_column_of_the_others_is_an_error(second: str, problem: str) -> None:
    """It names the file; nothing is guessed."""
    paths = write(a="email\na@shop.de\n", b=second)
    with pytest.raises(SourceError, match=problem) as caught:
        prepare(file_source(paths)).run()
    assert caught.value.source == "b.csv"


def test_selected_column_is_read_in_each_file_by_name_or_number() -> None:
    paths = write(
        a="work,home\na@shop.de,x@shop.de\n",
        b="id,home,work\n2,y@shop.de,b@shop.de\n",
        c="home\nz@shop.de\n",
    )
    assert emails(paths[:2], column="work") == ["a@shop.de", "b@shop.de"]
    assert emails(paths[:2], column=2) == ["x@shop.de", "y@shop.de"]
    with pytest.raises(SourceError, match=r"^c\.csv: no column is named 'work'"):
        emails(paths, column="work")


def test_series_of_columns_may_differ_in_length_between_files() -> None:
    paths = write(
        a="Email 1\na@shop.de\n", b="Email 1,Email 2\nb@shop.de,c@shop.de\n", c="Email 1\nd@x.de\n"
    )
    assert emails(paths) == ["a@shop.de", "b@shop.de", "c@shop.de", "d@x.de"]


def test_rows_are_read_from_files_with_another_order_of_columns() -> None:
    paths = write(a="email,external_id\na@shop.de,1\n", b="external_id,email\n2,b@shop.de\n")
    for columns in (None, ("email", "external_id")):
        prepared = prepare_rows(file_source(paths, columns=columns), plain_emails=True)
        rows = [(row.email, row.external_id) for chunk in prepared for row in chunk]
        assert rows == [("a@shop.de", "1"), ("b@shop.de", "2")]
    paths += write(c="email\nc@shop.de\n")
    with pytest.raises(SourceError, match=r"^c\.csv: has other columns than a\.csv"):
        prepare_rows(file_source(paths)).run()


def test_error_in_a_file_names_it_and_its_byte() -> None:
    paths = write(a="email\na@shop.de\nb@shop.de\n", b="email\n" + "c@shop.de\n" * 2_000)
    with Path("b.csv").open("ab") as file:
        file.write(b"\xff\n")
    with pytest.raises(SourceError) as caught:
        prepare(file_source(paths)).run()
    assert (caught.value.source, caught.value.offset) == ("b.csv", 20_006)
    assert caught.value.row is None  # no row of this file was read before


def test_file_that_disappears_before_its_turn_is_an_error() -> None:
    paths = write(a="email\na@shop.de\n", b="email\nb@shop.de\n")
    prepared = prepare(file_source(paths))
    Path("b.csv").unlink()
    with pytest.raises(SourceError, match=r"^b\.csv: No such file"):
        prepared.run()


def test_file_given_twice_is_refused() -> None:
    """Also by another path."""
    (path,) = write(a="email\na@shop.de\n")
    Path("link.csv").symlink_to(path)
    for again in (path, f"./{path}", Path(path).resolve(), "link.csv"):
        with pytest.raises(ConfigurationError, match="is given twice"):
            file_source([path, again])
    with pytest.raises(ConfigurationError, match="standard input: is given twice"):
        file_source(["-", path, "-"])


def test_invalid_paths_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="paths must not be empty"):
        file_source([])
    with pytest.raises(ConfigurationError, match="must be strings or paths, not int"):
        file_source([1])  # type: ignore[list-item]  # refused
    with pytest.raises(SourceError, match=r"^missing\.csv: no such file"):
        file_source([*write(a="email\n"), "missing.csv"])


def test_name_of_several_files_is_their_number_and_folder() -> None:
    paths = write(**{"exports/a": "email\n", "exports/b": "email\n", "other/c": "email\n"})
    assert file_source(paths[:2]).name == "2 files in exports"
    assert file_source(paths).name == "3 files"


def write_lists(*paths: str) -> None:
    """Write plain lists, each with the address of a name that no other has."""
    for number, path in enumerate(paths):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(f"person{number}@shop.de\n")


def names_read(paths: str | list[str]) -> list[str]:
    """Return the names of the files of several, in the order in which they are read."""
    report = prepare(file_source(paths)).run()
    return list(report.files) or [report.source]


def test_folder_is_read_recursively_without_files_that_are_not_data() -> None:
    write_lists(
        "exports/2026/b.txt", "exports/2026/a.txt", "exports/c", "exports/0000_part_00", "other.txt"
    )
    write_lists(
        "exports/_SUCCESS", "exports/.hidden", "exports/.c.crc", "exports/c.crc", "exports/_tmp/d",
        "exports/.git/e", "exports/desktop.ini", "exports/2026/Thumbs.db", "exports/~$people.xlsx",
    )  # fmt: skip
    data = ["0000_part_00", "2026/a.txt", "2026/b.txt", "c"]
    assert names_read("exports") == [f"exports/{name}" for name in data]
    assert names_read("exports/") == [f"exports/{name}" for name in data]
    assert names_read("exports/**") == [f"exports/{name}" for name in data]
    assert names_read("exp*/desktop.ini") == ["exports/desktop.ini"]
    assert open_source(Path("exports")).name == "4 files in exports"
    Path("exports/_tmp/d").unlink()
    with pytest.raises(SourceError, match=r"^exports/_tmp: has no files to read"):
        file_source("exports/_tmp")


def test_folder_with_one_file_is_that_file() -> None:
    write_lists("exports/a.txt")
    report = prepare(open_source("exports")).run()
    assert (report.source, report.files) == ("exports/a.txt", {})


def test_folders_of_partitions_are_read() -> None:
    """Also those whose name begins like a name that is left out."""
    write_lists("out/country=DE/part-0", "out/country=AT/part-0", "out/_year=2026/part-0")
    assert names_read("out") == [
        f"out/{name}/part-0" for name in ("_year=2026", "country=AT", "country=DE")
    ]


@pytest.mark.parametrize(
    ("pattern", "files"),
    [
        ("exports/2026-*.txt", ["exports/2026-01.txt", "exports/2026-02.txt"]),
        ("exports/2026-0?.txt", ["exports/2026-01.txt", "exports/2026-02.txt"]),
        ("exports/2026-0[2-9].txt", ["exports/2026-02.txt"]),
        ("exports/**/*.txt", ["exports/2026-01.txt", "exports/2026-02.txt", "exports/old/1.txt"]),
        ("exp*/old", ["exports/old/1.txt"]),
        ("exports/*2*", ["exports/2026-01.txt", "exports/2026-02.txt"]),
        ("exports/_S*", ["exports/_S2"]),
    ],
)
def test_pattern_is_expanded_in_sorted_order(pattern: str, files: list[str]) -> None:
    write_lists("exports/2026-02.txt", "exports/2026-01.txt", "exports/old/1.txt", "exports/_S2")
    assert names_read(pattern) == files
    assert names_read(str(Path.cwd() / pattern)) == [str(Path.cwd() / file) for file in files]


@pytest.mark.parametrize(
    ("pattern", "files"),
    [
        ("ex/**/2026-*", ["ex/2026-01.txt", "ex/fr/2026-02/part-0", "ex/fr/2026-02/x/part-1"]),
        ("ex/**/fr", ["ex/fr/2026-02/part-0", "ex/fr/2026-02/x/part-1", "ex/fr/old/2.txt"]),
        ("**/fr/2026-*", ["ex/fr/2026-02/part-0", "ex/fr/2026-02/x/part-1"]),
        ("ex/**/x", ["ex/fr/2026-02/x/part-1"]),
    ],
)
def test_folders_that_match_below_any_folder_are_read(pattern: str, files: list[str]) -> None:
    write_lists(
        "ex/2026-01.txt", "ex/fr/2026-02/part-0", "ex/fr/2026-02/x/part-1", "ex/fr/old/2.txt"
    )
    Path("ex/fr/empty").mkdir()
    assert names_read(pattern) == files
    everything = ["ex/2026-01.txt", *files_below("ex/fr")]
    assert sorted(names_read("ex/**/*")) == names_read("ex/**") == everything
    with pytest.raises(SourceError, match=r"^ex/fr/empty: has no files to read"):
        file_source("ex/fr/emp*")


def files_below(folder: str) -> list[str]:
    """Return the paths of the files below a folder, sorted."""
    return sorted(str(path) for path in Path(folder).rglob("*") if path.is_file())


@pytest.mark.parametrize("pattern", ["s//*.txt", "s///*.txt", ".//s//*.txt", "s//**//*.txt"])
def test_pattern_with_two_slashes_leaves_out_what_is_not_data(pattern: str) -> None:
    write_lists("s/a.txt", "s/_x.txt", "s/.y.txt")
    assert [Path(name).name for name in names_read(pattern)] == ["a.txt"]
    assert [Path(name).name for name in names_read(str(Path.cwd() / pattern))] == ["a.txt"]


def test_pattern_with_backslashes_leaves_out_what_is_not_data(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on Windows, with a folder whose name is left out in the fixed part."""
    monkeypatch.setattr(os, "sep", "\\")
    for pattern, name, is_unwanted in (
        (r"s\*.csv", r"s\_x.csv", True),
        (r"_tmp\*.csv", r"_tmp\a.csv", False),
        (r"\\host\_share\*.csv", r"\\host\_share\a.csv", False),
        (r"\\host\_share\**\*.csv", r"\\host\_share\_tmp\a.csv", True),
        (r"s\_*.csv", r"s\_x.csv", False),
    ):
        assert file_sets._is_unwanted_match(name, pattern) is is_unwanted
    assert file_sets._matches_all_inside(r"s\**")


def test_pattern_leaves_out_what_is_not_data() -> None:
    write_lists("out/a.txt", "out/_SUCCESS", "out/_tmp/b.txt", "out/x/c.txt", "out/x/_d.txt")
    everything = ["out/a.txt", "out/x/c.txt"]
    assert names_read("out/*") == names_read("out/**") == names_read("out/**/*.txt") == everything
    assert names_read("out/_*") == ["out/_SUCCESS", "out/_tmp/b.txt"]


def test_file_whose_name_is_a_pattern_is_that_file() -> None:
    write_lists("a[1].txt", "a1.txt")
    assert names_read("a[1].txt") == ["a[1].txt"]
    assert names_read("a[0-9].txt") == ["a1.txt"]


def test_pattern_without_matches_is_an_error_that_names_it() -> None:
    for pattern in ("exports/*.csv", "exports/2026-0[1-9].csv"):
        with pytest.raises(SourceError) as caught:
            file_source(pattern)
        assert str(caught.value) == f"{pattern}: no file matches this pattern"
    with pytest.raises(SourceError) as caught:
        file_source("*ann@shop.de")
    assert "ann@shop.de" not in str(caught.value)


def test_overlapping_patterns_read_a_file_once() -> None:
    write_lists("exports/a.txt", "exports/b.txt")
    Path("exports/latest.txt").symlink_to("b.txt")
    both = ["exports/a.txt", "exports/b.txt"]
    assert names_read(["exports/a.txt", "exports/*.txt", "exports"]) == both


def test_link_of_a_folder_to_itself_is_an_error() -> None:
    write_lists("exports/a.txt")
    Path("exports/again").symlink_to(Path.cwd() / "exports")
    with pytest.raises(SourceError, match="is a link to a folder that contains it"):
        file_source("exports")
    Path("exports/again").unlink()
    Path("exports/gone.txt").symlink_to("nowhere")
    with pytest.raises(SourceError, match=r"^exports/gone\.txt: no such file"):
        file_source("exports")


@pytest.mark.parametrize(
    ("marker", "data", "what"),
    [
        ("_delta_log/00000000000000000000.json", "part-0.parquet", "a Delta table"),
        ("_delta_log/00000000000000000000.json", "country=DE/part-0.parquet", "a Delta table"),
        ("metadata/v1.metadata.json", "data/part-0.parquet", "an Iceberg table"),
        ("metadata/v1.metadata.json", "data/country=DE/part-0.parquet", "an Iceberg table"),
        (".hoodie/hoodie.properties", "part-0.parquet", "a Hudi table"),
    ],
)
def test_table_with_deleted_rows_is_refused(marker: str, data: str, what: str) -> None:
    """As a folder, as a pattern and as files: its files are not what the table contains."""
    write_lists(f"lake/table/{marker}", f"lake/table/{data}", "lake/other.txt")
    folder = Path("lake/table", data).parent
    for path in ("lake/table", "lake", f"{folder}/*.parquet", f"lake/table/{data}"):
        with pytest.raises(SourceError, match=f"is {what}, whose files contain deleted rows"):
            file_source(path)


HEADERS_WITH_TWO_COLUMNS = {
    "first file without values": (
        "id,email,contact_email\n" + "0,,\n" * 3,
        "id,email,contact_email\n" + "0,,p0@shop.de\n" * 3,
    ),
    "values in the other column": (
        "id,email,other_email\n1,ann@shop.de,\n",
        "id,email,other_email\n" + "1,no value,bob@shop.de\n" * 2,
    ),
    "only values in the other column": (
        "email,mail 2,id\na@shop.de,,1\n",
        "email,mail 2,id\n,x@shop.de,1\n",
    ),
}


@each_case("case", HEADERS_WITH_TWO_COLUMNS)
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_file_with_the_same_header_and_values_in_another_column_is_an_error(
    case: str, form: str
) -> None:
    """Its values are examined too, so that they are not read from an empty column."""
    first, second = HEADERS_WITH_TWO_COLUMNS[case]
    paths = write(a=first, b=second)
    if form == "parquet":
        paths = [_to_parquet(path) for path in paths]
    with pytest.raises(SourceError) as caught:
        prepare(file_source(paths)).run()
    assert caught.value.source == paths[1]


def _to_parquet(path: str) -> str:
    """Write a CSV file as Parquet; an empty cell becomes null."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    csv = pytest.importorskip("pyarrow.csv", reason="pyarrow is not installed")
    target = str(Path(path).with_suffix(".parquet"))
    options = csv.ConvertOptions(strings_can_be_null=True)
    parquet.write_table(csv.read_csv(path, convert_options=options), target)
    return target


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_file_without_values_has_the_columns_of_the_file_before_with_the_same_header(
    form: str,
) -> None:
    """By itself, it has two columns to choose from; another header is examined by its values."""
    paths = write(
        a="billing_email,work_email,id\na@shop.de,x,1\n",
        b="billing_email,work_email,id\n,,1\n",
        c="id,billing_email,work_email\n3,c@shop.de,x\n",
    )
    if form == "parquet":
        paths = [_to_parquet(path) for path in paths]
    report = prepare(file_source(paths)).run()
    assert report.columns == ("billing_email",)
    assert (report.records, report.rejects) == (2, {"empty": 1})
    with pytest.raises(SourceError, match="2 columns may be of kind email"):
        prepare(paths[1]).run()


_ROWS = 12_000  # several blocks


def _rows(form: str) -> bytes:
    """Return the rows of a file, without a header."""
    emails = [f"person{number}@shop.de" for number in range(_ROWS)]
    if form == "ndjson":
        emails = [json.dumps({"email": email}) for email in emails]
    return "".join(f"{email}\n" for email in emails).encode()


def _write_file_with_error(form: str) -> tuple[list[str], int]:
    """Write a good file and one with a wrong byte; return their paths and the row before it."""
    header = b"email\n" if form.startswith("csv") else b""
    good = header + _rows(form)
    for name, data in (("a", good), ("b", good + b"\xff\n" + _rows(form))):
        Path(f"{name}.{form}").write_bytes(gzip.compress(data) if form == "csv.gz" else data)
    return [f"a.{form}", f"b.{form}"], good.count(b"\n")


@pytest.fixture
def _unclosed_files_are_errors(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    problems: list[object] = []

    def record(caught: sys.UnraisableHookArgs) -> None:
        problems.append(caught.exc_value)

    monkeypatch.setattr(sys, "unraisablehook", record)
    gc.collect()  # files of other tests
    problems.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        yield
        gc.collect()
    assert problems == []


@pytest.mark.usefixtures("_unclosed_files_are_errors")
@pytest.mark.parametrize("form", ["csv", "csv.gz", "ndjson", "txt"])
def test_error_in_the_middle_of_a_file_closes_it_and_has_its_row(form: str) -> None:
    """The row number counts within the file, also if another file was read before."""
    paths, rows = _write_file_with_error(form)
    errors: list[SourceError] = []
    for files in (paths, paths[1:]):
        with pytest.raises(SourceError, match="is not valid utf-8") as caught:
            prepare(file_source(files)).run()
        errors.append(caught.value)
    several, single = errors
    assert (several.source, several.row) == (f"b.{form}", single.row)
    assert several.row is not None
    assert 0 < several.row <= rows


@pytest.mark.usefixtures("_unclosed_files_are_errors")
@pytest.mark.parametrize("form", ["csv", "csv.gz", "ndjson", "txt"])
def test_reader_that_stops_early_closes_the_file(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while the iterator, or the error that stopped it, is kept."""
    opened: list[object] = []
    follow = FilePosition.follow

    def record(position: FilePosition, file: BinaryIO, size: int | None) -> None:
        opened.append(file)
        follow(position, file, size)

    monkeypatch.setattr(FilePosition, "follow", record)
    paths, _ = _write_file_with_error(form)
    report = prepare(file_source(paths).limit(_ROWS + 10)).run()
    assert report.files == {f"a.{form}": _ROWS, f"b.{form}": 10}
    source = file_source(paths)
    chunks = source.limit(10).chunks(source.choice(IdentifierType.EMAIL))
    assert sum(chunk.count for chunk in chunks) == 10
    iterator = iter(prepare(file_source(paths)))
    next(iterator)
    assert isinstance(iterator, Generator)
    iterator.close()
    Path("x=1").mkdir()
    partition = Path("x=1", paths[0])
    partition.write_bytes(Path(paths[0]).read_bytes())
    iterator = iter(prepare(partition))
    next(iterator)
    assert isinstance(iterator, Generator)
    iterator.close()
    assert len(opened) >= 5
    assert [file for file in opened if not cast("BinaryIO", file).closed] == []


@pytest.mark.parametrize("reading", ["limit", "rejects", "stopped", "async"])
def test_reader_of_a_source_is_closed_even_if_it_is_referenced(reading: str) -> None:
    """As by the frames of an error, which would keep its file open."""
    events: list[str] = []

    def read(_: ColumnSelection) -> Iterator[RowChunk]:
        try:
            for first in range(1, 10_000, 1_000):
                yield RowChunk(first, ["wrong"] * 1_000)
            events.append("end")
        finally:
            events.append("closed")

    kept: list[Iterator[RowChunk]] = []

    def chunks(choice: ColumnSelection) -> Iterator[RowChunk]:
        kept.append(read(choice))
        return kept[0]

    async def read_async(prepared: PreparedRecords[str]) -> None:
        async for _ in prepared:
            pass

    source = Source("kept", None, None, chunks)
    if reading == "limit":
        assert prepare(source.limit(10)).run().rows == 10
    elif reading == "rejects":
        with pytest.raises(TooManyRejectsError):
            prepare(source, max_reject_share=0.1).run()
    elif reading == "async":
        with pytest.raises(TooManyRejectsError):
            anyio.run(read_async, prepare(source, max_reject_share=0.1))
    else:
        iterator = source.chunks(source.choice(IdentifierType.EMAIL))
        next(iterator)
        assert isinstance(iterator, Generator)
        iterator.close()
    assert events == ["closed"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_async_source_is_closed_when_its_batches_are_closed(backend: str) -> None:
    """Before the batches are closed, as trio requires, not by the garbage collector."""
    events: list[str] = []

    async def emails() -> AsyncIterator[str]:
        try:
            for number in range(10_000):
                yield f"person{number}@shop.de"
        finally:
            await anyio.lowlevel.checkpoint()
            events.append("closed")

    async def read_batch() -> None:
        batches = aiter(prepare(emails()).batches(max_records=1))
        assert (await anext(batches)).count == 1
        assert isinstance(batches, AsyncGenerator)
        await batches.aclose()
        assert events == ["closed"]

    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        anyio.run(read_batch, backend=backend)
