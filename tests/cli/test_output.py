"""Standard output is data, in four forms; standard error is everything else."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest
from cli.conftest import PEOPLE, Run
from support.terminal import with_closed

from pinterest_audiences.cli.output import FORMATS, Format, Output, plain

COMMAND = [sys.executable, "-m", "pinterest_audiences"]
EMAIL = "sentinel.person@secret-shop.example"


def program(
    *words: str, stdout: int | BinaryIO = subprocess.PIPE, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    done: subprocess.CompletedProcess[bytes] = subprocess.run(
        [*COMMAND, *words],
        env={**os.environ, **environment},
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
    )
    return done


def test_many_results_in_each_form(run: Run, people: Path) -> None:
    """The same lists each time."""
    for name in ("One", "Two, and more"):
        run("upload", people, "--name", name, "--emulator")
    names = ["Two, and more", "One"]
    told = {form: run("lists", "list", "--emulator", "-o", form).out for form in FORMATS}
    assert [each["name"] for each in json.loads(told["json"])] == names
    assert [json.loads(line)["name"] for line in told["ndjson"].splitlines()] == names
    assert [row["name"] for row in csv.DictReader(io.StringIO(told["csv"]))] == names
    head, *lines = told["table"].splitlines()
    assert head.startswith("ID ")
    assert [line[head.index("NAME") : head.index("STATUS")].strip() for line in lines] == names


def test_one_result_in_each_form(run: Run, people: Path) -> None:
    """An object, a row, or a line for each name."""
    run("upload", people, "--name", "One", "--emulator")
    told = {
        form: run("lists", "get", "2542620000000", "--emulator", "-o", form).out for form in FORMATS
    }
    assert json.loads(told["json"]) == json.loads(told["ndjson"])
    assert json.loads(told["json"])["created_time"].endswith("Z")
    (row,) = csv.DictReader(io.StringIO(told["csv"]))
    assert (row["name"], row["num_uploaded_user_records"]) == ("One", str(PEOPLE))
    assert "name                       One" in told["table"].splitlines()


def test_no_result_is_an_empty_one_and_no_error(run: Run) -> None:
    """Which jq and friends can read."""
    told = {form: run("lists", "list", "--emulator", "-o", form) for form in FORMATS}
    assert {form: done.out for form, done in told.items() if form in ("json", "ndjson")} == {
        "json": "[]\n",
        "ndjson": "",
    }
    assert {done.code for done in told.values()} == {0}


def test_errors_are_json_where_results_are(run: Run) -> None:
    """And words where those are for people."""
    for form in ("json", "ndjson"):
        done = run("lists", "get", "643", "--emulator", "-o", form)
        assert set(done.error) == {"code", "message", "hint", "retryable", "request_id", "exit"}
        assert len(done.err.splitlines()) == 1
    for form in ("table", "csv"):
        done = run("lists", "get", "643", "--emulator", "-o", form)
        assert done.err.startswith("error: customer_lists_get: 404 Not Found")
        assert done.out == ""


def test_a_dry_run_has_the_shape_of_the_real_one(run: Run, people: Path) -> None:
    """Of every command that writes; and nothing is written."""
    upload = ("upload", people, "--name", "All", "--emulator")
    dry = run(*upload, "--dry-run").data
    assert run("lists", "list", "--emulator").data == []
    real = run(*upload).data
    assert list(dry) == list(real)
    assert (dry["planned"], dry["status"], real["planned"]) == (PEOPLE, "dry_run", PEOPLE)
    half = Path("half.csv")
    half.write_text("".join(people.read_text().splitlines(keepends=True)[: PEOPLE // 2 + 1]))
    before = run("lists", "get", "2542620000000", "--emulator").data
    for words in (
        ("mirror", half, "--name", "All", "--yes"),
        ("remove", half, "--name", "All", "--yes"),
        ("forget", half, "--yes"),
        ("audience", "create", "2542620000000", "--name", "All"),
        ("lists", "create", half, "--name", "Half"),
    ):
        dry = run(*words, "--dry-run", "--emulator").data
        assert run("lists", "get", "2542620000000", "--emulator").data == before, words
        real = run(*words, "--emulator").data
        assert list(dry) == list(real), words
        before = run("lists", "get", "2542620000000", "--emulator").data
    audience = run("audience", "list", "--emulator").data[0]
    assert run("audience", "remove", audience["id"], "--dry-run", "--emulator").code == 0
    assert len(run("audience", "list", "--emulator").data) == 1


def test_quiet_says_nothing_but_results(run: Run, people: Path) -> None:
    """Warnings and errors are said all the same."""
    done = run("upload", people, "--name", "All", "--emulator", "-q")
    assert (done.code, done.err) == (0, "")
    assert run("lists", "get", "643", "--emulator", "-q").err != ""


def test_progress_without_a_terminal_is_plain_lines(run: Run, people: Path) -> None:
    """At the beginning and the end, for a log."""
    done = run("upload", people, "--name", "All", "--emulator")
    assert done.err.splitlines() == [
        f"job 1: 0 of {PEOPLE} records (0%)",
        f"job 1: {PEOPLE} of {PEOPLE} records (100%), done, 0 s left",
    ]


def test_no_output_holds_a_person_or_a_token(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """In any form, however much is told; only `hash` prints hashes, which is what it is for."""
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", "pina_SENTINEL")
    people = Path("sentinel.csv")
    people.write_text(f"email\n{EMAIL}\n{EMAIL} x\nnone\n")
    allowed = ("--max-reject-share", "1", "--emulator")
    everything = ""
    for form in FORMATS:
        for words in (
            ("check", people, *allowed),
            ("upload", people, "--name", "All", *allowed),
            ("plan", people, "--name", "All", *allowed),
            ("status", "--emulator"),
            ("lists", "list", "--emulator"),
            ("upload", people, "--name", "All", "--max-reject-share", "0", "--emulator"),
            ("remove", people, "--name", "All", *allowed),
            ("forget", people, "--yes", "--emulator"),
            ("auth", "status"),
            ("doctor", "--emulator"),
        ):
            done = run(*words, "-vv", "-o", form)
            everything += done.out + done.err
    assert "sentinel.csv" in everything
    assert "sentinel.person" not in everything
    assert "SENTINEL" not in everything
    assert EMAIL not in run("hash", people, *allowed).out


def test_a_closed_pipe_ends_it_without_a_word(people: Path) -> None:
    """As `| head` closes it; the exit code is that of other programs."""
    people.write_text("email\n" + "".join(f"person{n}@shop.example\n" for n in range(50_000)))
    with subprocess.Popen(
        [*COMMAND, "hash", str(people), "-q"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"[\n"
        process.stdout.close()
        told = process.stderr.read()
    assert (process.returncode, told) == (141, b"")


def test_a_closed_pipe_ends_help_too() -> None:
    """Which is printed by another hand."""
    assert with_closed("stdout", "--help") == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full disk to write to")
def test_a_full_disk_is_an_error() -> None:
    """And not a success with nothing behind it."""
    with Path("/dev/full").open("wb") as full:
        done = program("lists", "list", "--emulator", stdout=full)
    assert done.returncode == 1
    assert b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("form", FORMATS)
def test_a_locale_that_knows_no_umlauts_shows_what_it_can(
    run: Run, people: Path, form: Format
) -> None:
    """JSON stays JSON; nothing crashes."""
    run("upload", people, "--name", "Bücher ☃", "--emulator")
    done = program(
        "lists", "list", "--emulator", "-o", form, LC_ALL="C", PYTHONIOENCODING="ascii",
        COLUMNS="20",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    if form == "json":
        assert json.loads(done.stdout)[0]["name"] == "Bücher ☃"
    else:
        assert b"B\\xfccher" in done.stdout or b"B\\u00fccher" in done.stdout


def test_help_fits_a_terminal_of_20_columns() -> None:
    """In any locale."""
    done = program("upload", "--help", LC_ALL="C", PYTHONIOENCODING="ascii", COLUMNS="20")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"--max-reject-share" in done.stdout


def test_names_cannot_steer_a_terminal() -> None:
    """They come from whoever may make lists."""
    assert plain("a\x1b[31mb\nc\u202e\u2028d e") == "a\\x1b[31mb\\nc\\u202e\\u2028d e"
    stream = io.StringIO()
    Output(stream, "table").rows([{"name": "\x1b]0;x\x07"}, {"name": "日本"}], ["name"])
    assert "\x1b" not in stream.getvalue()
    assert "\x07" not in stream.getvalue()


def test_duplicates_that_nobody_counted_are_not_called_none(run: Run) -> None:
    """Counting them takes memory, and so a flag."""
    Path("twice.txt").write_text("ada@shop.de\nada@shop.de\n")
    assert run("check", "twice.txt").data["duplicates"] is None
    assert run("check", "twice.txt", "--duplicates").data["duplicates"] == 1
    header, row = run("check", "twice.txt", "-o", "csv").out.splitlines()
    assert row.split(",")[header.split(",").index("duplicates")] == ""
