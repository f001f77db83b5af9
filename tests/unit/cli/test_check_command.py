"""What `check` shows of a source: counts, masked samples, and nothing of a person."""

from __future__ import annotations

import csv
import io
import os
import re
from pathlib import Path
from typing import Any

import pytest
from support.cases import each_case
from support.terminal import here_on_terminal
from unit.cli.conftest import Run

CELLS = ("Ann@@shop,de", "bob@shop.de", "Eve", "Joe", "Zoe")
SAMPLES = [
    {"row": 3, "file": "", "reason": "no_at_sign", "column": "", "masked": "aaa"},
    {"row": 4, "file": "", "reason": "no_at_sign", "column": "", "masked": "aaa"},
    {"row": 1, "file": "", "reason": "several_at_signs", "column": "", "masked": "aaa@@aaaa,aa"},
]


def table_of(output: str, column: str) -> list[str]:
    """Return the lines of the table that begins with a column."""
    lines = output.splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith(f"{column} "))
    return lines[begin : lines.index("", begin) if "" in lines[begin:] else None]


@pytest.fixture
def cells() -> Path:
    """A file with one good address and four rejects."""
    path = Path("cells.csv")
    path.write_text("email\n" + "".join(f'"{cell}"\n' for cell in CELLS))
    return path


def test_sample_shows_masked_values_of_each_reason(run: Run, cells: Path) -> None:
    done = run("check", cells, "--sample", 2, "--max-reject-share", 1, "-o", "json")
    assert (done.code, done.data["samples"]) == (0, SAMPLES)
    assert not any(cell in done.out + done.err for cell in CELLS)


def test_sample_is_a_second_table_of_a_table(run: Run, cells: Path) -> None:
    done = run("check", cells, "--sample", 2, "--max-reject-share", 1, "-o", "table")
    head, *lines = table_of(done.out, "ROW")
    assert head.split() == ["ROW", "REASON", "MASKED"]  # a single column has no name
    assert [line.split() for line in lines] == [
        ["3", "no_at_sign", "aaa"],
        ["4", "no_at_sign", "aaa"],
        ["1", "several_at_signs", "aaa@@aaaa,aa"],
    ]


def test_sample_is_one_cell_of_csv(run: Run, cells: Path) -> None:
    done = run("check", cells, "--sample", 1, "--max-reject-share", 1, "-o", "csv")
    (row,) = csv.DictReader(io.StringIO(done.out))
    assert "aaa@@aaaa,aa" in row["samples"]


def test_sample_shows_the_column_of_rows(run: Run) -> None:
    Path("rows.csv").write_text("email,maid\nann@shop.de,none such\n")
    words = ("check", "rows.csv", "--columns", "email=email,maid=maid", "--sample", 1)
    assert run(*words, "-o", "json").data["samples"] == [
        {"row": 1, "file": "", "reason": "cells_left_out", "column": "maid", "masked": "aaaa aaaa"}
    ]
    _, line = table_of(run(*words, "-o", "table").out, "ROW")
    assert line.split()[:3] == ["1", "cells_left_out", "maid"]


def test_sample_shows_the_file_if_several_are_read(run: Run, cells: Path) -> None:
    Path("more.csv").write_text("email\n\nnone\n")
    words = ("check", cells, "more.csv", "--sample", 9, "--max-reject-share", 1)
    samples = run(*words, "-o", "json").data["samples"]
    assert {(sample["file"], sample["row"]) for sample in samples} == {
        *(("cells.csv", row) for row in (1, 3, 4, 5)),
        ("more.csv", 2),
    }
    assert table_of(run(*words, "-o", "table").out, "FILE")[1].startswith("cells.csv")


def test_samples_are_shown_if_too_many_values_are_rejected(run: Run, cells: Path) -> None:
    done = run("check", cells, "--sample", 2, "-o", "json")
    assert (done.code, done.data["samples"]) == (5, SAMPLES)


SUMMARY = [
    ["REASON", "VALUES", "SHARE", "FIRST ROWS"],
    ["no_at_sign", "3", "1.0%", "301, 302, 303"],
    ["empty", "1", "0.3%", "304"],
]


@pytest.fixture
def mixed() -> Path:
    """A file with 300 good addresses and four rejects."""
    path = Path("mixed.csv")
    good = "".join(f"{number},person{number}@shop.de\n" for number in range(300))
    path.write_text(f"id,email\n{good}1,a\n2,b\n3,c\n4,\n")
    return path


@each_case("command", ["check", "plan --name All --emulator"])
def test_check_and_plan_show_a_table_of_rejects_by_reason(
    run: Run, mixed: Path, command: str
) -> None:
    name, *options = command.split()
    done = run(name, mixed, *options, "-o", "table")
    assert done.code == 0
    assert [re.split(r"  +", line) for line in table_of(done.out, "REASON")] == SUMMARY


@each_case("command", ["upload", "mirror", "remove --yes", "upload --dry-run"])
def test_jobs_name_the_rejects_by_reason_in_a_line(run: Run, mixed: Path, command: str) -> None:
    name, *options = command.split()
    done = run(name, mixed, *options, "--name", "All", "--emulator", "-o", "table")
    assert done.code == 0
    assert "Rejected 4 of 304 values (1.3%): 3 no_at_sign, 1 empty" in done.out.splitlines()
    assert "warning" not in done.err


@each_case(("count", "warns"), [(99, True), (100, False)])
def test_upload_warns_of_a_new_list_that_cannot_match_100_accounts(
    run: Run, count: int, *, warns: bool
) -> None:
    Path("some.csv").write_text("email\n" + "".join(f"p{n}@shop.de\n" for n in range(count)))
    words = ("upload", "some.csv", "--name", f"List of {count}", "--emulator", "-o", "table")
    line = "TOO_SMALL: 99 records cannot match 100 accounts, which an audience needs"
    assert (line in run(*words).out.splitlines()) is warns


@each_case("form", ["json", "ndjson", "csv"])
@each_case("command", ["check", "upload --name All --emulator"])
def test_other_forms_have_no_second_table(run: Run, mixed: Path, command: str, form: str) -> None:
    name, *options = command.split()
    done = run(name, mixed, *options, "-o", form)
    assert len(done.out.splitlines()) == (2 if form == "csv" else 1)
    if name == "check" and form == "csv":
        (row,) = csv.DictReader(io.StringIO(done.out))
        assert (row["rejected_no_at_sign"], row["rejected_empty"]) == ("3", "1")
    elif name == "check":
        assert done.data["rejects"] == {"no_at_sign": 3, "empty": 1}


def test_table_of_a_source_without_rejects_has_no_summary(run: Run) -> None:
    Path("good.csv").write_text("email\na@shop.de\n")
    assert "REASON" not in run("check", "good.csv", "-o", "table").out


def test_small_share_is_not_shown_as_zero(run: Run) -> None:
    good = "".join(f"person{number}@shop.de\n" for number in range(2_000))
    Path("good.csv").write_text(f"email\n{good}none\n")
    out = run("check", "good.csv", "-o", "table").out
    assert re.search(r"no_at_sign +1 +<0\.1% +2001", out)
    assert "1 rejected (<0.1% of the values)" in out


def test_summary_names_files_and_further_rows(run: Run) -> None:
    good = "".join(f"person{number}@shop.de\n" for number in range(200))
    Path("a.csv").write_text(f"email\n{good}")
    Path("b.csv").write_text("email\n" + "none\n" * 6)
    done = run("check", "a.csv", "b.csv", "-o", "table")
    assert table_of(done.out, "REASON")[-1].endswith(
        "1 of b.csv, 2 of b.csv, 3 of b.csv, 4 of b.csv, 5 of b.csv, …"
    )


def test_samples_by_default_in_a_table_only(run: Run, cells: Path) -> None:
    words = ("check", cells, "--max-reject-share", 1, "-o")
    assert run(*words, "json").data["samples"] == []
    assert "samples" not in run(*words, "csv").out
    assert "aaa@@aaaa,aa" in run(*words, "table").out
    assert "MASKED" not in run(*words, "table", "--sample", 0).out


FORECASTS = {
    (99, ""): "TOO_SMALL: 99 records cannot match 100 accounts; 1 more at least",
    (100, ""): "100 records reach that if 100% of them or more match",
    (3_000, ""): "3,000 records reach that if 3.4% of them or more match",
    (300, "--match-rate=0.5"): "At 50% about 150 match: enough",
    (180, "--match-rate=0.5"): "At 50% about 90 match: TOO_SMALL, 200 records are required",
}


@each_case(("source", "forecast"), FORECASTS.items())
def test_forecast_compares_the_records_with_100_accounts(
    run: Run, source: tuple[int, str], forecast: str
) -> None:
    count, option = source
    Path("some.csv").write_text("email\n" + "".join(f"p{n}@shop.de\n" for n in range(count)))
    done = run("check", "some.csv", *option.split(), "-o", "table")
    assert done.code == 0
    assert f"  {forecast}" in done.out.splitlines()


@each_case("count", [-1, 101, "x"])
def test_invalid_number_of_samples_is_a_usage_error(run: Run, cells: Path, count: Any) -> None:
    done = run("check", cells, f"--sample={count}", "-o", "json")
    assert (done.code, done.out) == (2, "")
    assert "--sample" in done.error["message"]


def test_file_of_rejects_among_the_sources_is_named(run: Run) -> None:
    """A pattern such as *.csv also matches what an earlier check has written."""
    Path("a.csv").write_text("email\nann@shop.de\nno address\n")
    assert run("check", "a.csv", "--rejects-to", "rejects.csv", "--max-reject-share", "1").code == 0
    done = run("check", "*.csv")
    assert done.code == 5
    assert "rejects.csv" in done.error["message"]
    assert "it looks like a list of rejects: leave the file out" in done.error["message"]


@each_case(
    ("content", "options", "columns"),
    [
        ("email\na@shop.de\n", (), "column email"),
        ("a@shop.de,x\nb@shop.de,y\n", ("--no-header", "--column", "1"), "column 1"),
    ],
)
@pytest.mark.skipif(os.name != "posix", reason="requires pseudo-terminals")
def test_check_names_its_column_once(
    run: Run, content: str, options: tuple[str, ...], columns: str
) -> None:
    del run  # its folder and configuration
    Path("a.csv").write_text(content)
    shown = here_on_terminal("check", "a.csv", *options, stdout=True)
    assert shown.screen.splitlines()[0].split(", ")[1].strip() == columns
