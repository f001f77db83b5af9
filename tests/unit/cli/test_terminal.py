"""Output on a terminal: progress bars, tables, widths, locales, and closed streams."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from unittest import mock

import pytest
from support.programs import HANGS_AFTER_SECONDS
from support.terminal import Shown, before_terminal, here_on_terminal, rendered, with_closed
from unit.cli.conftest import PEOPLE, Run

from pinterest_audiences._jobs.reports import JobEvent, JobEventType
from pinterest_audiences.cli.output import Console
from pinterest_audiences.cli.progress import progress_display
from pinterest_audiences.emulator import RateLimits, RatePolicy
from pinterest_audiences.pytest_plugin import PinterestServer

pytest.importorskip("rich", reason="the extra [cli] is not installed")
pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(os.name != "posix", reason="requires pseudo-terminals"),
]

COMMAND = [sys.executable, "-m", "pinterest_audiences"]
MANY = 5_700  # three calls
LATE = 2.0  # seconds; a bar is drawn ten times in each
ASCII = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
NAME = "Bücher ☃"


@pytest.fixture
def crowd() -> Path:
    """A file with enough customers for several batches."""
    path = Path("crowd.txt")
    path.write_text("".join(f"person{number}@shop.example\n" for number in range(MANY)))
    return path


def upload(crowd: Path, *words: str, environment: Mapping[str, str] | None = None) -> Shown:
    """Run an upload in this process, with `sys.stderr` on a terminal and `sys.stdout` piped."""
    all_words: tuple[str | Path, ...] = ("upload", crowd, "--name", "All", "--emulator", *words)
    return here_on_terminal(*all_words, environment=environment)


def test_progress_bar_is_on_stderr_and_stdout_is_json(crowd: Path) -> None:
    done = before_terminal("upload", crowd, "--name", "All", "--emulator")
    assert (done.code, json.loads(done.out)["added"]) == (0, MANY)
    assert re.fullmatch(r"job 1 ━{24} 5,700/5,700 done 00:00", done.frames[-1])
    assert "\x1b[?25h" in done.screen  # the cursor is there again
    assert "\x1b" not in done.out


def test_bar_shows_rate_and_time_left_during_a_slow_call(
    crowd: Path, server: PinterestServer
) -> None:
    """Two of three calls are done, and the last response is delayed."""
    server.emulator.fault("slow", operation="customer_lists_update", after=1, seconds=LATE)
    done = here_on_terminal("upload", crowd, "--name", "All")
    assert done.code == 0
    shown = r"job 1 [━╸╺]{24} 3,800/5,700 [\d,]+/s \d\d:\d\d"
    assert any(re.fullmatch(shown, frame) for frame in done.frames), done.frames
    assert done.frames[-1].endswith("5,700/5,700 done 00:00")


@pytest.mark.pinterest_emulator(rate_limits=RateLimits(ads_write=RatePolicy(1, 4)))
def test_bar_shows_a_wait_for_the_rate_limit(crowd: Path, server: PinterestServer) -> None:
    """Three writes, with one allowed every four seconds."""
    done = here_on_terminal("upload", crowd, "--name", "All")
    assert done.code == 0
    shown = r"job 1 [━╸╺]+ (1,900|3,800)/5,700 rate limit: \d s (--:--|\d\d:\d\d)"
    assert any(re.fullmatch(shown, frame) for frame in done.frames), done.frames
    number = json.loads(done.out)["customer_list_id"]
    assert len(server.emulator.members(number)) == MANY


def test_default_format_is_table_on_a_terminal_and_json_otherwise(run: Run, people: Path) -> None:
    run("upload", people, "--name", NAME, "--emulator")
    seen = here_on_terminal("lists", "list", "--emulator", stdout=True)
    assert seen.code == 0
    head, line = seen.frames
    assert head.split()[:3] == ["ID", "NAME", "STATUS"]
    assert line[head.index("NAME") :].startswith(NAME)
    piped = here_on_terminal("lists", "list", "--emulator")
    assert (json.loads(piped.out)[0]["name"], piped.screen) == (NAME, "")


def test_errors_are_text_if_stdout_is_a_terminal() -> None:
    seen = here_on_terminal("lists", "get", "643", "--emulator", stdout=True)
    assert seen.code == 4
    assert seen.frames[0].startswith("error: customer_lists_get: 404 Not Found")
    assert "{" not in seen.screen


@pytest.mark.parametrize("how", ["the terminal", "COLUMNS"])
def test_bar_on_20_columns_shows_percentage_rate_and_time_left(crowd: Path, how: str) -> None:
    """On one line."""
    if how == "COLUMNS":
        done = upload(crowd, environment={"COLUMNS": "20"})
    else:
        words = ("upload", crowd, "--name", "All", "--emulator")
        done = before_terminal(*words, columns=20)
    assert (done.code, json.loads(done.out)["added"]) == (0, MANY)
    assert done.frames[-1].split() == ["100%", "done", "00:00"]
    assert max(map(len, done.frames)) <= 20
    assert not any("…" in frame for frame in done.frames)


def test_no_color_shows_a_bar_without_colors(crowd: Path) -> None:
    """Cursor movements are allowed."""
    done = upload(crowd, environment={"NO_COLOR": "1"})
    assert done.frames[-1].endswith("5,700/5,700 done 00:00")
    assert not re.search(r"\x1b\[[0-9;]*m", done.screen)
    assert re.search(r"\x1b\[[0-9;]*m", upload(crowd).screen)


def test_dumb_terminal_shows_log_lines_instead_of_a_bar(crowd: Path) -> None:
    done = upload(crowd, environment={"TERM": "dumb"})
    assert "\x1b" not in done.screen
    assert done.frames[0] == "job 1: 0 of 5,700 records (0%)"


def test_quiet_writes_no_bar_and_no_escapes(crowd: Path) -> None:
    done = upload(crowd, "--quiet")
    assert (done.code, done.screen) == (0, "")
    assert json.loads(done.out)["added"] == MANY


def test_verbose_messages_are_printed_above_the_bar(crowd: Path) -> None:
    """Calls with -vv; one line each, without customer data or tokens."""
    done = upload(crowd, "-vv", environment={"COLUMNS": "200"})
    calls = [each for each in done.frames if each.startswith("debug: customer_lists_")]
    assert len(calls) >= 3
    assert done.frames[-1].endswith("5,700/5,700 done 00:00")
    assert "shop.example" not in done.screen
    assert "debug:" not in upload(crowd, "-v").screen


def test_ascii_terminal_shows_an_ascii_bar(crowd: Path) -> None:
    """The list's name is sent as typed."""
    done = before_terminal("upload", crowd, "--name", NAME, "--emulator", environment=ASCII)
    assert done.code == 0
    assert done.screen.isascii()
    assert done.frames[-1].endswith("5,700/5,700 done 00:00")
    assert json.loads(done.out)["name"] == NAME


@pytest.mark.parametrize("words", [("--name", NAME), (f"--name={NAME}",)], ids=["word", "equals"])
def test_list_names_are_utf_8_in_every_locale(
    run: Run, people: Path, words: tuple[str, ...]
) -> None:
    """A list created by cron is found in a shell with another locale."""
    done = subprocess.run(
        [*COMMAND, "upload", people, *words, "--emulator"],
        env={**os.environ, **ASCII},
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout)["created"] is True
    assert run("upload", people, "--name", NAME, "--emulator").data["created"] is False
    (listed,) = run("lists", "list", "--emulator").data
    assert listed["name"] == NAME


@pytest.mark.parametrize("environment", [{}, ASCII], ids=["utf-8", "ascii"])
def test_list_name_that_is_not_utf_8_is_refused(people: Path, environment: dict[str, str]) -> None:
    """The error names the option."""
    done = subprocess.run(
        [*COMMAND, "upload", people, "--name", b"\xff", "--emulator"],
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert json.loads(done.stderr)["error"]["message"] == "--name must be UTF-8"


@pytest.mark.skipif(sys.platform == "darwin", reason="file names on macOS are always valid UTF-8")
@pytest.mark.parametrize("environment", [{"LC_ALL": "C.UTF-8"}, ASCII], ids=["utf-8", "ascii"])
def test_file_name_that_is_not_utf_8_is_escaped_in_json(
    environment: dict[str, str],
) -> None:
    Path(os.fsdecode(b"\xff.csv")).write_text("email\nada@shop.example\n")
    done = subprocess.run(
        [*COMMAND, "check", b"\xff.csv"],
        env={**os.environ, **environment},
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout.decode("utf-8"))["source"] == "\udcff.csv"


def test_dash_reads_a_pipe_while_the_bar_is_on_the_terminal() -> None:
    lines = "".join(f"person{number}@shop.example\n" for number in range(PEOPLE)).encode()
    done = here_on_terminal("upload", "-", "--name", "Piped", "--emulator", stdin=lines)
    assert (done.code, json.loads(done.out)["added"]) == (0, PEOPLE)
    assert done.frames[-1].endswith(f"{PEOPLE}/{PEOPLE} done 00:00")


READERS = {
    "check": (),
    "hash": (),
    "plan": ("--name", "All", "--emulator"),
    "upload": ("--name", "All", "--emulator"),
    "mirror": ("--name", "All", "--emulator"),
    "lists create": ("--name", "All", "--emulator"),
}


PLANNING = r"planning .{24} 5,700 rows.*"


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show the progress of reading from the first rows on."""
    from pinterest_audiences.cli import progress

    monkeypatch.setattr(progress, "_SHOWN_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(progress, "_LINE_INTERVAL_SECONDS", 0.0)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("command", READERS)
def test_bar_shows_bytes_while_a_file_is_read(crowd: Path, command: str) -> None:
    """And is removed at the end; the bars of jobs stay."""
    done = here_on_terminal(*command.split(), crowd, *READERS[command])
    assert done.code == 0
    shown = r"reading [━╸╺]{24} 0\.1/0\.1 MB .*(--:--|\d\d?:\d\d)"
    assert any(re.fullmatch(shown, frame) for frame in done.frames), done.frames
    left = [line for line in rendered(done.screen) if line]
    assert not any("reading" in line or "planning" in line for line in left)
    plans = command not in ("check", "hash")
    assert any(re.fullmatch(PLANNING, frame) for frame in done.frames) is plans, done.frames
    assert [line for line in left if "━" in line] == [line for line in left if "job " in line]
    assert any("job " in line for line in left) == (command in ("upload", "mirror", "lists create"))


@pytest.mark.usefixtures("at_once")
def test_progress_of_a_folder_shows_the_bytes_of_all_files(
    run: Run, crowd: Path, tmp_path: Path
) -> None:
    """On a terminal and in a log; each file has half of the bytes."""
    folder = tmp_path / "exports"
    for day in ("1", "2"):
        (folder / f"day={day}").mkdir(parents=True)
        (folder / f"day={day}" / "a.txt").write_bytes(crowd.read_bytes())
    done = here_on_terminal("check", folder)
    shown = r"reading [━╸╺]{24} 0\.[123]/0\.3 MB .*(--:--|\d\d?:\d\d)"
    frames = [frame for frame in done.frames if frame.startswith("reading")]
    assert any(re.fullmatch(shown, frame) for frame in frames), done.frames
    lines = [line for line in run("check", folder).err.splitlines() if line.startswith("reading")]
    shares = [int(share) for line in lines for share in re.findall(r"\((\d+)%\).* s left", line)]
    assert (shares, len(shares)) == (sorted(shares), len(lines))
    assert 0 < shares[0] < 50 < shares[-1]


@pytest.mark.usefixtures("at_once")
def test_bar_shows_rows_while_a_pipe_is_read() -> None:
    lines = "".join(f"person{number}@shop.example\n" for number in range(MANY)).encode()
    done = here_on_terminal("check", "-", stdin=lines)
    assert done.code == 0
    frames = [frame for frame in done.frames if frame.startswith("reading")]
    assert frames
    assert any(re.search(r" [\d,]+ rows", frame) for frame in frames), frames


@pytest.mark.usefixtures("at_once")
def test_no_bar_between_the_hashes_on_a_terminal(crowd: Path) -> None:
    done = here_on_terminal("hash", crowd, "-o", "ndjson", stdout=True)
    assert (done.code, "reading" in done.screen) == (0, False)


@pytest.mark.usefixtures("at_once")
def test_quiet_shows_no_progress_of_reading(crowd: Path) -> None:
    done = here_on_terminal("check", crowd, "--quiet", "--max-reject-share", "1")
    assert (done.code, "reading" in done.screen) == (0, False)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("command", READERS)
def test_pipe_gets_lines_while_a_file_is_read(run: Run, crowd: Path, command: str) -> None:
    done = run(*command.split(), crowd, *READERS[command])
    assert done.code == 0
    line = r"reading: [\d,]+ rows, 0\.1/0\.1 MB \(\d+%\)(, [\d,]+ rows/s)?, [\d,]+ s left"
    lines = [each for each in done.err.splitlines() if each.startswith("reading")]
    assert lines
    assert all(re.fullmatch(line, each) for each in lines), lines
    plans = command not in ("check", "hash")
    assert ("planning: 5,700 rows" in done.err.splitlines()) is plans


@pytest.mark.parametrize("columns", [60, 80, 100])
def test_bar_cuts_no_figure_of_a_large_job_at_any_width(columns: int) -> None:
    """While it waits for the rate limit."""
    stream = io.StringIO()
    stream.isatty = lambda: True  # type: ignore[method-assign]
    event = JobEvent(
        kind=JobEventType.WAITING_FOR_BUDGET,
        job_id=12,
        ad_account_id="549755885175",
        done=1_900_000,
        total=12_000_000,
        wait=42.0,
    )
    with mock.patch.dict(os.environ, COLUMNS=str(columns), TERM="xterm", NO_COLOR="1"):
        console = Console(stream, "table", quiet=False, verbose=0)
        with progress_display(console) as progress:
            progress(event)
    last = [line for line in rendered(stream.getvalue()) if line][-1]
    wait = "waiting 42 s for the rate limit" if columns >= 100 else "rate limit: 42 s"
    assert f"1,900,000/12,000,000 {wait}" in last
    assert len(last) <= columns


@pytest.mark.parametrize(
    "columns", ["1", "2", "3", "0", "-1", "abc", "²", "9" * 30, "a terminal of 1"]
)
def test_bars_tables_and_help_end_at_any_width(crowd: Path, columns: str) -> None:
    environment = {"COLUMNS": columns, "LINES": columns}
    if columns.startswith("a "):
        environment = {}
    for words in (
        ("upload", crowd, "--name", "All"),
        ("runs",),
        ("status",),
        ("lists", "list"),
        ("runs", "--help"),
    ):
        more = () if "--help" in words else ("--emulator",)
        done = before_terminal(*words, *more, stdout=True, columns=1, environment=environment)
        assert done.code == 0, done.screen
        assert done.frames


@pytest.mark.parametrize("command", READERS)
def test_fast_reading_shows_no_progress(
    crowd: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pinterest_audiences.cli import progress

    monkeypatch.setattr(progress, "_SHOWN_AFTER_SECONDS", HANGS_AFTER_SECONDS)
    done = here_on_terminal(*command.split(), crowd, *READERS[command])
    assert (done.code, "reading" in done.screen) == (0, False)


@pytest.mark.usefixtures("at_once")
def test_reading_on_a_narrow_terminal_shows_the_percentage(crowd: Path) -> None:
    done = here_on_terminal("check", crowd, environment={"COLUMNS": "20"})
    bars = [frame for frame in done.frames if re.fullmatch(r"\s*\d+% .*", frame)]
    assert bars
    assert max(map(len, bars)) <= 20
    assert not any("…" in frame for frame in done.frames)


def test_closed_stdout_does_not_stop_the_upload(run: Run, people: Path) -> None:
    """The report cannot be written; standard error has only the warning about rejects."""
    code, errors = with_closed("stdout", "upload", people, "--name", "All", "--emulator", "-q")
    assert (code, errors.count(b"\n")) == (141, 1)
    assert errors.startswith(b"warning: 2 of ")
    (known,) = run("status", "--emulator").data
    assert (known["records"], known["settled"]) == (PEOPLE, True)


def test_closed_stderr_does_not_stop_the_job(people: Path) -> None:
    """The results are printed."""
    words = ("upload", people, "--name", "All", "--emulator", "-vv")
    code, out = with_closed("stderr", *words)
    assert (code, json.loads(out)["added"]) == (0, PEOPLE)


class FailingTerminal(io.StringIO):
    """A terminal that accepts some writes and then fails, as after its window is closed."""

    def __init__(self, writes: int, error: Exception) -> None:
        super().__init__()
        self.left = writes
        self.error = error

    def isatty(self) -> bool:
        """Report a terminal."""
        return True

    def write(self, text: str) -> int:
        """Accept the text, or fail."""
        if not self.left:
            raise self.error
        self.left -= 1
        return super().write(text)

    def flush(self) -> None:
        """Fail once the writes are used up."""
        if not self.left:
            raise self.error


@pytest.mark.parametrize("writes", [0, 1, 2])
@pytest.mark.parametrize(
    "error",
    [OSError(errno.EIO, "Input/output error"), BrokenPipeError(), ValueError("closed file")],
    ids=lambda error: type(error).__name__,
)
def test_closed_terminal_does_not_stop_the_job(
    run: Run, crowd: Path, monkeypatch: pytest.MonkeyPatch, writes: int, error: Exception
) -> None:
    """Closed before its bar, or during it; the results are printed."""
    monkeypatch.setenv("TERM", "xterm")
    screen = FailingTerminal(writes, error)
    with monkeypatch.context() as patch:
        patch.setattr("sys.stderr", screen)
        done = run("upload", crowd, "--name", "All", "--emulator", "-o", "json")
        waited = run("wait", done.data["customer_list_id"], "--emulator", "-o", "json")
    assert (done.code, done.data["added"], screen.left) == (0, MANY, 0)
    assert (waited.code, waited.data["status"]) == (0, "READY")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_missing_standard_streams_do_not_stop_the_job(run: Run, people: Path, closed: str) -> None:
    """Some daemons start without them. Nothing is printed into the state file instead."""
    command = f'exec "$0" -m pinterest_audiences upload people.csv --name All --emulator {closed}'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable], stderr=subprocess.PIPE, text=True, check=False
    )
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    (known,) = run("status", "--emulator").data
    assert (known["records"], known["settled"]) == (PEOPLE, True)


@pytest.mark.parametrize("words", ["upload - --name x --emulator", "auth login --token-stdin"])
def test_missing_stdin_is_treated_as_empty(words: str) -> None:
    runs = [
        subprocess.run(
            ["sh", "-c", f'exec "$0" -m pinterest_audiences {words} {how}', sys.executable],
            capture_output=True,
            text=True,
            check=False,
        )
        for how in ("<&-", "</dev/null")
    ]
    assert runs[0].returncode == runs[1].returncode
    assert runs[0].stderr.splitlines()[-1] == runs[1].stderr.splitlines()[-1]
    assert "unexpected" not in runs[0].stderr
