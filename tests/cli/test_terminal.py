"""What a person sees: bars, tables, narrow terminals, odd locales, and readers that go away."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cli.conftest import PEOPLE, Run
from support.terminal import Shown, before_terminal, with_closed

from pinterest_audiences.emulator import RateLimits, RatePolicy
from pinterest_audiences.pytest_plugin import PinterestServer

pytest.importorskip("rich", reason="the command line needs the extra [cli]")
pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals are a matter of Unix"),
]

COMMAND = [sys.executable, "-m", "pinterest_audiences"]
MANY = 30_000  # three calls
LATE = 2.0  # seconds; a bar is drawn ten times in each
ASCII = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
NAME = "Bücher ☃"


@pytest.fixture
def crowd() -> Path:
    """Enough customers for several batches."""
    path = Path("crowd.txt")
    path.write_text("".join(f"person{number}@shop.example\n" for number in range(MANY)))
    return path


def upload(crowd: Path, *words: str, **more: object) -> Shown:
    """Upload before a terminal, with the results going elsewhere."""
    all_words = ("upload", crowd, "--name", "All", "--emulator", *words)
    return before_terminal(*all_words, **more)  # type: ignore[arg-type]  # settings of the terminal


def test_a_terminal_has_a_bar_and_stdout_is_data(crowd: Path) -> None:
    """The bar is on standard error alone; what is piped on is one JSON object."""
    done = upload(crowd)
    assert (done.code, json.loads(done.out)["added"]) == (0, MANY)
    assert re.fullmatch(r"job 1 ━{24} 30,000/30,000 done 00:00", done.frames[-1])
    assert "\x1b[?25h" in done.screen  # the cursor is there again
    assert "\x1b" not in done.out


def test_the_bar_shows_rate_and_time_left_while_a_call_is_awaited(
    crowd: Path, server: PinterestServer
) -> None:
    """Two of three calls are done, and the last is answered late."""
    server.emulator.fault("slow", operation="customer_lists_update", after=1, seconds=LATE)
    done = before_terminal("upload", crowd, "--name", "All")
    assert done.code == 0
    shown = r"job 1 [━╸╺]{24} 20,000/30,000 [\d,]+/s \d\d:\d\d"
    assert any(re.fullmatch(shown, frame) for frame in done.frames), done.frames
    assert done.frames[-1].endswith("30,000/30,000 done 00:00")


@pytest.mark.pinterest_emulator(rate_limits=RateLimits(ads_write=RatePolicy(20, 60)))
def test_the_bar_shows_that_the_budget_is_waited_for(crowd: Path, server: PinterestServer) -> None:
    """Three writes, of which twenty a minute are allowed: each waits some three seconds."""
    done = before_terminal("upload", crowd, "--name", "All")
    assert done.code == 0
    shown = r"job 1 [━╸╺]+ [12]0,000/30,000 waiting \d s for the rate budget.*"
    assert any(re.fullmatch(shown, frame) for frame in done.frames), done.frames
    assert json.loads(done.out)["rate_limited"] == 0
    number = json.loads(done.out)["customer_list_id"]
    assert len(server.emulator.members(number)) == MANY


def test_results_are_a_table_on_a_terminal_and_json_elsewhere(run: Run, people: Path) -> None:
    """Nobody has to say which."""
    run("upload", people, "--name", NAME, "--emulator")
    seen = before_terminal("lists", "list", "--emulator", stdout=True)
    assert seen.code == 0
    head, line = seen.frames
    assert head.split()[:3] == ["ID", "NAME", "STATUS"]
    assert line[head.index("NAME") :].startswith(NAME)
    piped = before_terminal("lists", "list", "--emulator")
    assert (json.loads(piped.out)[0]["name"], piped.screen) == (NAME, "")


def test_errors_are_words_where_a_person_reads_the_results() -> None:
    """And no JSON."""
    seen = before_terminal("lists", "get", "643", "--emulator", stdout=True)
    assert seen.code == 4
    assert seen.frames[0].startswith("error: customer_lists_get: 404 Not Found")
    assert "{" not in seen.screen


@pytest.mark.parametrize("how", ["the terminal", "COLUMNS"])
def test_a_terminal_of_20_columns_shows_share_rate_and_time_left(crowd: Path, how: str) -> None:
    """Whole, and on one line."""
    if how == "COLUMNS":
        done = upload(crowd, environment={"COLUMNS": "20"})
    else:
        done = upload(crowd, columns=20)
    assert (done.code, json.loads(done.out)["added"]) == (0, MANY)
    assert done.frames[-1].split() == ["100%", "done", "00:00"]
    assert max(map(len, done.frames)) <= 20
    assert not any("…" in frame for frame in done.frames)


def test_no_color_has_a_bar_without_colours(crowd: Path) -> None:
    """Moving the cursor is no colour."""
    done = upload(crowd, environment={"NO_COLOR": "1"})
    assert done.frames[-1].endswith("30,000/30,000 done 00:00")
    assert not re.search(r"\x1b\[[0-9;]*m", done.screen)
    assert re.search(r"\x1b\[[0-9;]*m", upload(crowd).screen)


def test_a_dumb_terminal_gets_plain_lines(crowd: Path) -> None:
    """As those of editors are."""
    done = upload(crowd, environment={"TERM": "dumb"})
    assert "\x1b" not in done.screen
    assert done.frames[0] == "job 1: 0 of 30,000 records (0%)"


def test_quiet_leaves_a_terminal_empty(crowd: Path) -> None:
    """No bar, no escape."""
    done = upload(crowd, "--quiet")
    assert (done.code, done.screen) == (0, "")
    assert json.loads(done.out)["added"] == MANY


def test_verbose_tells_above_the_bar_and_keeps_it_whole(crowd: Path) -> None:
    """Calls with -vv; each on a line of its own, with no person and no token."""
    done = upload(crowd, "-vv", environment={"COLUMNS": "200"})
    calls = [each for each in done.frames if each.startswith("debug: customer_lists_")]
    assert len(calls) >= 3
    assert done.frames[-1].endswith("30,000/30,000 done 00:00")
    assert "shop.example" not in done.screen
    assert "debug:" not in upload(crowd, "-v").screen


def test_a_terminal_of_another_locale_gets_a_bar_of_its_characters(crowd: Path) -> None:
    """ASCII in all of it; the name that is sent is the one that was typed."""
    done = before_terminal("upload", crowd, "--name", NAME, "--emulator", environment=ASCII)
    assert done.code == 0
    assert done.screen.isascii()
    assert done.frames[-1].endswith("30,000/30,000 done 00:00")
    assert json.loads(done.out)["name"] == NAME


@pytest.mark.parametrize("words", [("--name", NAME), (f"--name={NAME}",)], ids=["word", "equals"])
def test_names_are_utf_8_in_every_locale(run: Run, people: Path, words: tuple[str, ...]) -> None:
    """A list that a night's run made is the one that a person finds by day."""
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
def test_a_name_that_is_no_text_is_refused(people: Path, environment: dict[str, str]) -> None:
    """In one line that says which."""
    done = subprocess.run(
        [*COMMAND, "upload", people, "--name", b"\xff", "--emulator"],
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert json.loads(done.stderr)["error"]["message"] == "--name: its value is not UTF-8"


@pytest.mark.skipif(sys.platform == "darwin", reason="file names are text there")
@pytest.mark.parametrize("environment", [{"LC_ALL": "C.UTF-8"}, ASCII], ids=["utf-8", "ascii"])
def test_a_file_whose_name_is_no_text_is_read_and_json_stays_json(
    environment: dict[str, str],
) -> None:
    """The odd bytes are escaped."""
    Path(os.fsdecode(b"\xff.csv")).write_text("email\nada@shop.example\n")
    done = subprocess.run(
        [*COMMAND, "check", b"\xff.csv"],
        env={**os.environ, **environment},
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout.decode("utf-8"))["source"] == "\udcff.csv"


def test_a_dash_reads_a_pipe_while_the_terminal_has_the_bar() -> None:
    """So that exports need no file."""
    lines = "".join(f"person{number}@shop.example\n" for number in range(PEOPLE)).encode()
    done = before_terminal("upload", "-", "--name", "Piped", "--emulator", stdin=lines)
    assert (done.code, json.loads(done.out)["added"]) == (0, PEOPLE)
    assert done.frames[-1].endswith(f"{PEOPLE}/{PEOPLE} done 00:00")


def test_a_reader_that_has_gone_leaves_the_upload_done(run: Run, people: Path) -> None:
    """Nobody reads the report; the job is over all the same, and there is no word of it."""
    done = with_closed("stdout", "upload", people, "--name", "All", "--emulator", "-q")
    assert done == (141, b"")
    (known,) = run("status", "--emulator").data
    assert (known["records"], known["settled"]) == (PEOPLE, True)


def test_a_closed_standard_error_stops_no_job(people: Path) -> None:
    """Whoever watched has gone; the results come."""
    words = ("upload", people, "--name", "All", "--emulator", "-vv")
    code, out = with_closed("stderr", *words)
    assert (code, json.loads(out)["added"]) == (0, PEOPLE)


class GoneTerminal(io.StringIO):
    """A terminal that takes some writes, and then fails as one whose window was closed."""

    def __init__(self, writes: int, error: Exception) -> None:
        super().__init__()
        self.left = writes
        self.error = error

    def isatty(self) -> bool:
        """It was one."""
        return True

    def write(self, text: str) -> int:
        """Take it, or fail."""
        if not self.left:
            raise self.error
        self.left -= 1
        return super().write(text)

    def flush(self) -> None:
        """Fail, once nobody reads it."""
        if not self.left:
            raise self.error


@pytest.mark.parametrize("writes", [0, 1, 2])
@pytest.mark.parametrize(
    "error",
    [OSError(errno.EIO, "Input/output error"), BrokenPipeError(), ValueError("closed file")],
    ids=lambda error: type(error).__name__,
)
def test_a_terminal_that_goes_away_stops_no_job(
    run: Run, crowd: Path, monkeypatch: pytest.MonkeyPatch, writes: int, error: Exception
) -> None:
    """Before its bar, or under it; the results come."""
    monkeypatch.setenv("TERM", "xterm")
    screen = GoneTerminal(writes, error)
    with monkeypatch.context() as patch:
        patch.setattr("sys.stderr", screen)
        done = run("upload", crowd, "--name", "All", "--emulator", "-o", "json")
        waited = run("wait", done.data["customer_list_id"], "--emulator", "-o", "json")
    assert (done.code, done.data["added"], screen.left) == (0, MANY, 0)
    assert (waited.code, waited.data["status"]) == (0, "READY")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_streams_that_were_never_there_stop_no_job(run: Run, people: Path, closed: str) -> None:
    """As some daemons are started; and nothing is printed into the state file instead."""
    command = f'exec "$0" -m pinterest_audiences upload people.csv --name All --emulator {closed}'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable], stderr=subprocess.PIPE, text=True, check=False
    )
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    (known,) = run("status", "--emulator").data
    assert (known["records"], known["settled"]) == (PEOPLE, True)


@pytest.mark.parametrize("words", ["upload - --name x --emulator", "auth login --token-stdin"])
def test_standard_input_that_was_never_there_is_empty(words: str) -> None:
    """Which is what each command makes of an empty one."""
    told = [
        subprocess.run(
            ["sh", "-c", f'exec "$0" -m pinterest_audiences {words} {how}', sys.executable],
            capture_output=True,
            text=True,
            check=False,
        )
        for how in ("<&-", "</dev/null")
    ]
    assert told[0].returncode == told[1].returncode
    assert told[0].stderr.splitlines()[-1] == told[1].stderr.splitlines()[-1]
    assert "unexpected" not in told[0].stderr
