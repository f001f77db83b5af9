"""Standard output has data in four formats; standard error has everything else."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO
from unittest import mock

import pytest
from support.terminal import with_closed
from unit.cli.conftest import PEOPLE, Run

from pinterest_audiences._local_emulator import LocalEmulator
from pinterest_audiences.cli import run_command
from pinterest_audiences.cli.output import FORMATS, Format, Output, plain

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "pinterest_audiences"]
EMAIL = "sentinel.person@secret-shop.example"


def program(
    *words: str,
    stdout: int | BinaryIO = subprocess.PIPE,
    stderr: int | BinaryIO = subprocess.PIPE,
    **environment: str,
) -> subprocess.CompletedProcess[bytes]:
    done: subprocess.CompletedProcess[bytes] = subprocess.run(
        [*COMMAND, *words],
        env={**os.environ, **environment},
        stdout=stdout,
        stderr=stderr,
        check=False,
    )
    return done


def test_listing_has_the_same_rows_in_every_format(run: Run, people: Path) -> None:
    for name in ("One", "Two, and more"):
        run("upload", people, "--name", name, "--emulator")
    names = ["One", "Two, and more"]
    outputs = {form: run("lists", "list", "--emulator", "-o", form).out for form in FORMATS}
    assert [each["name"] for each in json.loads(outputs["json"])] == names
    assert [json.loads(line)["name"] for line in outputs["ndjson"].splitlines()] == names
    assert [row["name"] for row in csv.DictReader(io.StringIO(outputs["csv"]))] == names
    head, *lines = outputs["table"].splitlines()
    assert head.startswith("ID ")
    assert [line[head.index("NAME") : head.index("STATUS")].strip() for line in lines] == names


def test_single_result_in_every_format(run: Run, people: Path) -> None:
    """An object, a row, or one line for each field."""
    run("upload", people, "--name", "One", "--emulator")
    output = {
        form: run("lists", "get", "2542620", "--emulator", "-o", form).out for form in FORMATS
    }
    assert json.loads(output["json"]) == json.loads(output["ndjson"])
    assert json.loads(output["json"])["created_time"].endswith("Z")
    (row,) = csv.DictReader(io.StringIO(output["csv"]))
    assert (row["name"], row["num_uploaded_user_records"]) == ("One", str(PEOPLE))
    assert "name                       One" in output["table"].splitlines()


def test_empty_listing_is_valid_output_in_every_format(run: Run) -> None:
    """Tools such as jq can parse it."""
    results = {form: run("lists", "list", "--emulator", "-o", form) for form in FORMATS}
    assert {form: done.out for form, done in results.items() if form in ("json", "ndjson")} == {
        "json": "[]\n",
        "ndjson": "",
    }
    assert {done.code for done in results.values()} == {0}


def test_errors_are_json_with_json_output_and_text_otherwise(run: Run) -> None:
    for form in ("json", "ndjson"):
        done = run("lists", "get", "643", "--emulator", "-o", form)
        assert set(done.error) == {"code", "message", "hint", "retryable", "request_id", "exit"}
        assert len(done.err.splitlines()) == 1
    for form in ("table", "csv"):
        done = run("lists", "get", "643", "--emulator", "-o", form)
        assert done.err.startswith("error: customer_lists_get: 404 Not Found")
        assert done.out == ""


def test_dry_run_has_the_same_keys_and_writes_nothing(
    run: Run, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For every command that writes."""
    # Stop the clock, so that no list becomes READY between two calls.
    monkeypatch.setattr(LocalEmulator, "_time", lambda _: 1_800_000_000.0)
    upload = ("upload", people, "--name", "All", "--emulator")
    dry = run(*upload, "--dry-run").data
    assert run("lists", "list", "--emulator").data == []
    real = run(*upload).data
    assert list(dry) == list(real)
    assert (dry["planned"], dry["status"], real["planned"]) == (PEOPLE, "dry_run", PEOPLE)
    half = Path("half.csv")
    half.write_text("".join(people.read_text().splitlines(keepends=True)[: PEOPLE // 2 + 1]))
    before = run("lists", "get", "2542620", "--emulator").data
    for words in (
        ("mirror", half, "--name", "All", "--yes"),
        ("remove", half, "--name", "All", "--yes"),
        ("forget", half, "--yes"),
        ("audience", "create", "2542620", "--name", "All"),
        ("lists", "create", half, "--name", "Half"),
    ):
        dry = run(*words, "--dry-run", "--emulator").data
        assert run("lists", "get", "2542620", "--emulator").data == before, words
        real = run(*words, "--emulator").data
        assert list(dry) == list(real), words
        before = run("lists", "get", "2542620", "--emulator").data
    audience = run("audience", "list", "--emulator").data[0]
    assert run("audience", "remove", audience["id"], "--dry-run", "--emulator").code == 0
    assert len(run("audience", "list", "--emulator").data) == 1


REJECTS = f"warning: 2 of {PEOPLE + 2} values were rejected: 1 empty, 1 no_at_sign"


def test_quiet_hides_progress_but_not_warnings_and_errors(run: Run, people: Path) -> None:
    done = run("upload", people, "--name", "All", "--emulator", "-q")
    assert (done.code, done.err.splitlines()) == (0, [REJECTS])
    assert run("lists", "get", "643", "--emulator", "-q").err != ""


def test_progress_without_a_terminal_is_two_log_lines(run: Run, people: Path) -> None:
    """At the start and at the end."""
    done = run("upload", people, "--name", "All", "--emulator")
    assert done.err.splitlines() == [
        f"job 1: 0 of {PEOPLE} records (0%)",
        f"job 1: {PEOPLE} of {PEOPLE} records (100%), done, 0 s left",
        REJECTS,
    ]


def test_no_output_contains_customer_data_or_tokens(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every format with -vv; only `hash` prints hashes."""
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


def test_closed_stdout_pipe_exits_with_141_silently(people: Path) -> None:
    """`| head` closes it; the exit code is the usual one for SIGPIPE."""
    people.write_text("email\n" + "".join(f"person{n}@shop.example\n" for n in range(50_000)))
    with subprocess.Popen(
        [*COMMAND, "hash", str(people), "-q"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"[\n"
        process.stdout.close()
        stderr = process.stderr.read()
    assert (process.returncode, stderr) == (141, b"")


def test_closed_stdout_pipe_ends_help() -> None:
    """Cyclopts prints the help, not this project's output code."""
    assert with_closed("stdout", "--help") == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is required")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "words",
    [
        ("lists", "list", "--emulator"),
        ("lists", "list", "--emulator", "-o", "csv"),
        ("--help",),
    ],
    ids=" ".join,
)
def test_full_disk_is_an_error_without_traceback(words: tuple[str, ...], unbuffered: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = program(*words, stdout=full, PYTHONUNBUFFERED=unbuffered)
        both_full = program(*words, stdout=full, stderr=full, PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 1
    assert b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr
    assert both_full.returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is required")
def test_full_disk_keeps_the_exit_code_of_an_error() -> None:
    with Path("/dev/full").open("wb") as full:
        done = program("lists", "get", "1", "--emulator", stdout=full, stderr=full)
    assert done.returncode == 4


def test_ascii_locale_escapes_other_characters(run: Run, people: Path) -> None:
    """JSON stays valid, and nothing crashes."""
    run("upload", people, "--name", "Bücher ☃", "--emulator")
    done = program(
        *("lists", "list", "--emulator", "-o", "json"), LC_ALL="C", PYTHONIOENCODING="ascii"
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)[0]["name"] == "Bücher ☃"


def in_ascii(*words: str) -> tuple[int, bytes, bytes]:
    """Run a command with streams in ASCII and 20 columns; return exit code, output and errors."""
    buffers = io.BytesIO(), io.BytesIO()
    out, err = (io.TextIOWrapper(buffer, encoding="ascii") for buffer in buffers)
    with (
        mock.patch("sys.stdout", out),
        mock.patch("sys.stderr", err),
        mock.patch.dict(os.environ, COLUMNS="20"),
    ):
        code = run_command(list(words))
        err.flush()
        return code, buffers[0].getvalue(), buffers[1].getvalue()


@pytest.mark.parametrize("form", FORMATS)
def test_ascii_output_escapes_other_characters(run: Run, people: Path, form: Format) -> None:
    run("upload", people, "--name", "Bücher ☃", "--emulator")
    code, output, errors = in_ascii("lists", "list", "--emulator", "-o", form)
    assert (code, errors) == (0, b"")
    if form == "json":
        assert json.loads(output)[0]["name"] == "Bücher ☃"
    else:
        assert b"B\\xfccher" in output or b"B\\u00fccher" in output


def test_help_prints_on_20_columns_in_ascii() -> None:
    code, output, errors = in_ascii("upload", "--help")
    assert (code, errors) == (0, b"")
    assert b"--max-reject-share" in output


def test_control_characters_in_names_are_escaped() -> None:
    """Everyone who may create lists chooses their names."""
    assert plain("a\x1b[31mb\nc\u202e\u2028d e") == "a\\x1b[31mb\\nc\\u202e\\u2028d e"
    stream = io.StringIO()
    Output(stream, "table").rows([{"name": "\x1b]0;x\x07"}, {"name": "日本"}], ["name"])
    assert "\x1b" not in stream.getvalue()
    assert "\x07" not in stream.getvalue()


def test_duplicates_are_null_unless_counted(run: Run) -> None:
    """Counting them takes memory, so it requires a flag."""
    Path("twice.txt").write_text("ada@shop.de\nada@shop.de\n")
    assert run("check", "twice.txt").data["duplicates"] is None
    assert run("check", "twice.txt", "--duplicates").data["duplicates"] == 1
    header, row = run("check", "twice.txt", "-o", "csv").out.splitlines()
    assert row.split(",")[header.split(",").index("duplicates")] == ""


@pytest.mark.parametrize(("level", "shown"), [("debug", True), ("info", False)])
def test_log_variable_prints_log_messages_once(
    run: Run, monkeypatch: pytest.MonkeyPatch, level: str, shown: bool
) -> None:
    """Like ``-vv`` and ``-v``."""
    monkeypatch.setenv("PINTEREST_AUDIENCES_LOG", level)
    done = run("lists", "list", "--emulator")
    assert done.code == 0
    assert done.err.count("debug: customer_lists_list: attempt 1: 200") == shown
    assert "pinterest_audiences DEBUG" not in done.err


def test_invalid_log_variable_is_a_configuration_error(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PINTEREST_AUDIENCES_LOG", "loud")
    done = run("lists", "list", "--emulator", "-o", "json")
    assert "PINTEREST_AUDIENCES_LOG must be debug or info" in done.error["message"]
