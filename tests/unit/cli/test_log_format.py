"""``--log-format``: lines on standard error with time, level and job id."""

from __future__ import annotations

import io
import json
import os
import re
import warnings
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.terminal import here_on_terminal
from unit.cli.conftest import PEOPLE, Run

from pinterest_audiences.cli.output import Console

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def upload(run: Run, people: Path, *words: str) -> str:
    """Upload to the emulator, and return standard error."""
    done = run("upload", people, "--name", "Buyers", "--emulator", "-o", "json", *words)
    assert (done.code, done.data["added"]) == (0, PEOPLE)
    return done.err


def objects(text: str) -> list[dict[str, Any]]:
    """Return the JSON object on each line."""
    return [json.loads(line) for line in text.splitlines()]


def test_json_lines_have_time_level_job_id_and_message(run: Run, people: Path) -> None:
    lines = objects(upload(run, people, "--log-format", "json", "-v"))
    for line in lines:
        assert list(line) == ["time", "level", "job_id", "message"]
        assert re.fullmatch(TIME, line["time"])
        assert datetime.fromisoformat(line["time"]).utcoffset() == timedelta(0)
    (warning,) = [line for line in lines if line["level"] == "warning"]
    assert warning["message"].startswith("2 of 302 values were rejected")
    assert warning["job_id"] == 1
    assert {line["job_id"] for line in lines} <= {None, 1}


def test_log_messages_of_a_job_have_its_id(run: Run, people: Path) -> None:
    lines = objects(upload(run, people, "--log-format", "json", "-vv"))
    requests = [line for line in lines if "customer_lists_create" in line["message"]]
    assert requests
    assert {line["job_id"] for line in requests} == {1}
    assert {line["level"] for line in lines} >= {"debug", "warning"}


def test_text_lines_have_time_level_and_job_id(run: Run, people: Path) -> None:
    lines = upload(run, people, "--log-format", "text").splitlines()
    assert [
        line for line in lines if not re.match(rf"{TIME} (info|warning)( job 1)?: ", line)
    ] == []
    assert re.search(r"Z warning job 1: 2 of 302 values were rejected", "\n".join(lines))


def test_quiet_prints_warnings_only_in_the_log_format(run: Run, people: Path) -> None:
    lines = objects(upload(run, people, "--log-format", "json", "--quiet"))
    assert {line["level"] for line in lines} == {"warning"}


def test_log_has_no_personal_data(run: Run, people: Path) -> None:
    """Neither a row of the file nor its hash, also with -vv."""
    text = upload(run, people, "--log-format", "json", "-vv")
    assert "@shop.example" not in text
    assert re.search(r"[0-9a-f]{64}", text) is None


@pytest.mark.parametrize("place", ["before", "after"])
def test_errors_are_lines_of_the_log_format(run: Run, people: Path, place: str) -> None:
    """A usage error, and an error of a command; the fields of the error are kept."""
    form = ("--log-format", "json")
    for words in (("upload", people, "--emulator"), ("lists", "get", "7", "--emulator")):
        done = run(*form, *words) if place == "before" else run(*words, *form)
        (line,) = objects(done.err)
        assert list(line) == ["time", "level", "job_id", "message", "error"]
        assert (line["level"], line["error"]["exit"]) == ("error", done.code)
        assert line["message"] == line["error"]["message"]
    done = run("lists", "get", "7", "--emulator", "-o", "json", "--log-format", "text")
    assert re.match(rf"{TIME} error: ", done.err)


def test_unknown_log_format_is_a_usage_error(run: Run) -> None:
    done = run("status", "--emulator", "--log-format", "xml")
    assert (done.code, done.error["code"]) == (2, "usage")


def test_lines_are_unchanged_without_a_log_format(run: Run, people: Path) -> None:
    assert "warning: 2 of 302 values were rejected" in upload(run, people).splitlines()[-1]


@pytest.mark.skipif(os.name != "posix", reason="requires pseudo-terminals")
def test_log_format_replaces_progress_bars_on_a_terminal(people: Path) -> None:
    shown = here_on_terminal(
        *("upload", people, "--name", "Buyers", "--emulator", "--log-format", "json")
    )
    assert shown.code == 0
    assert {line["level"] for line in objects("\n".join(shown.frames))} == {"info", "warning"}


def test_warning_of_another_package_is_a_line_without_its_text() -> None:
    """It may contain a password, as that of a database driver about its URL."""
    stream = io.StringIO()
    console = Console(stream, "json", quiet=False, verbose=0, log_format="json")
    before = warnings.showwarning
    with console.show_log(), warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn_explicit("the password is secret123", UserWarning, "lib/driver.py", 7)
    assert warnings.showwarning is before
    [line] = objects(stream.getvalue())
    assert (line["level"], line["message"]) == ("warning", "UserWarning in driver.py")
