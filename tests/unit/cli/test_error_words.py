"""Errors name the command's options, never the library's arguments."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from unit.cli.conftest import Run

from pinterest_audiences._errors import ConfigurationError, SourceError, suggest
from pinterest_audiences._jobs.job_errors import GuardError
from pinterest_audiences.cli.error_reports import error_report

_PYTHON_SYNTAX = re.compile(r"\b[a-z]+(?:_[a-z]+)*=|\b[a-z]+_[a-z_]+\(|\bTrue\b|\bFalse\b|\bNone\b")
_CSV = "email\na@b.co\nc@d.co\n"
_NO_HEADER = "".join(f"Person {n},person{n}@shop.de\n" for n in range(120))

# Content of c.csv, the command, and what its error names.
CASES: dict[str, tuple[str | bytes, str, str]] = {
    "kind and columns": (_CSV, "check c.csv --columns email=email --column email", "--column"),
    "columns of no row": (_CSV, "check c.csv --columns name=email", "--columns"),
    "column missing": (_CSV, "check c.csv --column mail", "no column is named"),
    "column of a plain list": (
        "a@b.co\n",
        "check c.csv --format lines --column x",
        "--column",
    ),
    "delimiter of a plain list": (
        "a@b.co\n",
        "check c.csv --format lines --delimiter ;",
        "--delimiter",
    ),
    "encoding of Parquet": (
        _CSV,
        "check c.csv --format parquet --encoding utf-8",
        "--encoding",
    ),
    "encoding unknown": (_CSV, "check c.csv --encoding klingon", "--encoding"),
    "encoding needed": (bytes(range(256)), "check c.csv", "--encoding cp1252"),
    "encoding UTF-16": ("email\na@b.co\n".encode("utf-16-le"), "check c.csv", "--encoding"),
    "encoding UTF-32": (_CSV.encode("utf-32"), "check c.csv", "--encoding utf-32"),
    "delimiter too long": (_CSV, "check c.csv --delimiter ;;", "--delimiter"),
    "delimiter ambiguous": ("a,b;c\na@b.co,x;y\n", "check c.csv --column a", "c.csv"),
    "header missing": (_NO_HEADER, "check c.csv", "--no-header and --column 2"),
    "columns alike": ("shop mail,my mail\na@b.co,c@d.co\n", "check c.csv", "--column"),
    "column without values": ("email,x\n,1\n,2\n", "check c.csv", "--column"),
    "rows of no column": ("x,y\n1,2\n", "check c.csv --columns email=z", "no column"),
    "phone region": (
        _CSV,
        "check c.csv --columns hashed_phone_number=email --phone-region XXX",
        "--phone-region",
    ),
    "share": (_CSV, "check c.csv --max-reject-share 2", "--max-reject-share"),
    "match rate": (_CSV, "check c.csv --match-rate 2", "--match-rate"),
    "rejects": ("email\nx\na@b.co\n", "upload c.csv --name A", "--max-reject-share"),
    "expected rows": (_CSV, "upload c.csv --name A --expect-rows many", "--expect-rows"),
    "fewer rows": (_CSV, "upload c.csv --name A --expect-rows 300", "--expect-rows"),
    "removal share": (
        _CSV,
        "plan c.csv --name A --max-removal-share 2",
        "--max-removal-share",
    ),
    "batch size": (_CSV, "upload c.csv --name A --batch-size 0", "--batch-size"),
    "retry time": (_CSV, "upload c.csv --name A --retry-timeout -1", "--retry-timeout"),
    "list id": (_CSV, "upload c.csv --list 1234567890123456789", "--list"),
    "list name": (_CSV, "upload c.csv --list x", "lists list"),
    "ad account": (_CSV, "upload c.csv --name A --ad-account x", "--ad-account"),
    "name": (_CSV, "upload c.csv --name=", "--name"),
    "wait time": (_CSV, "wait 1 --timeout -1", "--timeout"),
    "job id": (_CSV, "jobs abandon x --yes", "JOB"),
    "empty source": ("email\n\n", "mirror c.csv --name A", "`remove`"),
    "no such list": (_CSV, "remove c.csv --name A --yes", "lists list"),
}


@pytest.mark.parametrize("case", CASES)
def test_error_names_options_and_no_python_argument(run: Run, case: str) -> None:
    """In the message and in the hint."""
    content, words, named = CASES[case]
    Path("c.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    done = run(*words.split(), "--emulator", "-q")
    assert done.code in (2, 4, 5, 8)
    text = f"{done.error['message']}\n{done.error['hint'] or ''}"
    assert named in text
    assert not _PYTHON_SYNTAX.search(text.replace("email=", "")), text


def test_api_address_is_named_by_its_variable(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no option."""
    monkeypatch.setenv("PINTEREST_API_URI", "ftp://shop.example")
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", "any")
    done = run("lists", "list", "--ad-account", "549")
    assert done.code == 2
    assert done.error["message"].startswith("PINTEREST_API_URI must use https")


def test_suggestion_that_names_an_argument_without_an_option_is_left_out() -> None:
    """A command without the option cannot follow the advice."""
    error = SourceError("is empty", suggestion=suggest("choose with {column}", column="a"))
    assert error_report(error).message == "source: is empty"
    assert error_report(error, options={"column": "--column"}).message == (
        "source: is empty; choose with --column a"
    )


def test_param_is_replaced_by_the_option_of_the_command() -> None:
    """Also if the option has another name than the argument."""
    error = ConfigurationError("customer_list_id must be digits", param="customer_list_id")
    assert error_report(error, options={"list_id": "--list"}).message == "--list must be digits"
    assert error_report(error).message == "customer_list_id must be digits"


def test_guard_errors_have_hints_with_flags_of_the_command_line() -> None:
    """The library's suggestions name arguments instead."""
    suggestion = suggest("say {allow_removals}", allow_removals=True)
    report = error_report(GuardError("too many", guard="removals", suggestion=suggestion))
    assert report.message == "too many"
    assert "--yes" in report.hint
