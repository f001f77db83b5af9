"""What people see of the main commands: recorded screens at three widths, and without a terminal.

After an intended change, write the screens again, and read the difference::

    REGENERATE_GOLDEN=1 python -m pytest tests/unit/cli/test_terminal_snapshots.py
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cases import each_case
from support.golden import assert_golden_text
from support.programs import HANGS_AFTER_SECONDS
from support.terminal import Shown, here_on_terminal, rendered
from unit.cli.conftest import Run

from pinterest_audiences._local_emulator import LocalEmulator
from pinterest_audiences._models import JSON
from pinterest_audiences.cli.context import make_context
from pinterest_audiences.cli.error_reports import ErrorReport, ExitCode
from pinterest_audiences.cli.options import CommonOptions
from pinterest_audiences.cli.output import Console, Output

cells = pytest.importorskip("rich.cells", reason="the extra [cli] is not installed")
pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(os.name != "posix", reason="requires pseudo-terminals"),
]

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
SNAPSHOTS = Path(__file__).parent / "snapshots"
NAME = "Customers of the shop in Freiburg"
SESSION = (
    "check customers.csv",
    "check few.csv --match-rate 0.5 --sample 0",
    f'upload customers.csv --name "{NAME}" --dry-run --emulator',
    f'upload customers.csv --name "{NAME}" --audience Buyers --emulator',
    f'plan changed.csv --name "{NAME}" --emulator',
    f'mirror changed.csv --name "{NAME}" --yes --allow-unreadable --emulator',
    f'mirror changed.csv --name "{NAME}" --emulator',
    f'remove few.csv --name "{NAME}" --emulator',
    "wait 2542620 --emulator",
    "lists list --emulator",
    "audience list --emulator",
    "status --emulator",
    "jobs list --emulator",
    'forget few.csv --yes --reference "request 17" --emulator',
    "accounts list --emulator",
    f'remove customers.csv --name "{NAME}" --emulator',
    "upload twice.csv --name Twice --emulator",
    "lists list",
    "uplod twice.csv",
    "upload twice.csv",
)
SHORT_SESSION = (SESSION[0], SESSION[3], SESSION[4], "lists list --emulator", SESSION[15])
COLOR = re.compile(r"\x1b\[([0-9;]*)m")


@pytest.fixture(autouse=True)
def _files(_isolated_configuration: None) -> None:
    """Write sources with rejects: many customers, other customers, and too few."""
    people = [f"person{number}@shop.de" for number in range(2_400)]
    Path("customers.csv").write_text(
        "\n".join(["email", *people, "none@", "ann at home", ""]) + "\n"
    )
    changed = ["email", *people[600:], *(f"new{number}@shop.de" for number in range(25)), "none@"]
    Path("changed.csv").write_text("\n".join(changed) + "\n")
    Path("twice.csv").write_text("\n".join(["email", *people[:150], *people[100:200], "none@"]))
    Path("few.csv").write_text("\n".join(["email", *people[700:740]]) + "\n")


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, for the emulator, jobs and relative times; each command sets it three hours on."""
    now = [time.time()]
    monkeypatch.setattr(LocalEmulator, "_time", lambda _: now[0])
    monkeypatch.setattr("time.time", lambda: now[0])
    return now


def session(
    now: list[float], commands: tuple[str, ...], environment: Mapping[str, str]
) -> list[tuple[str, Shown]]:
    """Run commands on a terminal."""
    now[0] = 1_800_000_000.0
    shown: list[tuple[str, Shown]] = []
    for command in commands:
        now[0] += 10_800
        words = shlex.split(command)
        shown.append((command, here_on_terminal(*words, stdout=True, environment=environment)))
    return shown


def as_text(outputs: Iterable[tuple[str, str]]) -> str:
    """Return commands and their output as text."""
    return "".join(f"$ {command}\n{output.rstrip()}\n\n" for command, output in outputs)


def screens(shown: list[tuple[str, Shown]]) -> str:
    """Return commands and what remains on the screen."""
    return as_text((command, "\n".join(rendered(done.screen))) for command, done in shown)


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_screen_at_three_widths_matches_its_snapshot(now: list[float], columns: int) -> None:
    shown = session(now, SESSION, {"COLUMNS": str(columns)})
    assert_golden_text(SNAPSHOTS / f"terminal-{columns}.txt", screens(shown))


def test_colors_match_their_snapshot(now: list[float]) -> None:
    """As {codes}; without NO_COLOR on a terminal."""
    shown = session(now, SHORT_SESSION, {"COLUMNS": "80"})
    lines = (
        (command, "\n".join(line for line in done.screen.splitlines() if "━" not in line))
        for command, done in shown
    )
    text = COLOR.sub(lambda match: f"{{{match[1]}}}", as_text(lines))
    assert_golden_text(SNAPSHOTS / "colors.txt", re.sub(r"\x1b\[\?\d+[hl]", "", text))


@pytest.mark.parametrize("how", ["NO_COLOR", "TERM"])
def test_no_color_and_dumb_terminals_show_the_same_text_without_escapes(
    now: list[float], how: str
) -> None:
    """Apart from the progress bar, which a dumb terminal shows as lines."""
    colored = session(now, SHORT_SESSION, {"COLUMNS": "80"})
    Path(os.environ["XDG_STATE_HOME"]).rename("before")
    plain = session(now, SHORT_SESSION, {"COLUMNS": "80", how: "dumb"})
    for (command, before), (_, done) in zip(colored, plain, strict=True):
        assert COLOR.search(before.screen), command
        assert not COLOR.search(done.screen)
        assert how != "TERM" or "\x1b" not in done.screen
        kept = [
            [line for line in rendered(each.screen) if line and not line.startswith("job ")]
            for each in (before, done)
        ]
        assert kept[0] == kept[1], command


def test_pipe_gets_the_table_without_colors_and_folds(
    now: list[float], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    now[0] = 1_800_000_000.0
    outputs = [
        (f"{command} -o table", run(*shlex.split(command), "-o", "table", "-q"))
        for command in SHORT_SESSION
    ]
    text = as_text((command, done.out + done.err) for command, done in outputs)
    assert "\x1b" not in text
    assert_golden_text(SNAPSHOTS / "pipe.txt", text)


def test_force_color_colors_a_pipe_but_not_json(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    colored = run("check", "customers.csv", "-o", "table").out
    data = run("check", "customers.csv").out
    monkeypatch.delenv("FORCE_COLOR")
    plain = run("check", "customers.csv", "-o", "table").out
    assert COLOR.search(colored)
    assert COLOR.sub("", colored).split() == plain.split()
    assert data == run("check", "customers.csv").out
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    assert run("check", "customers.csv", "-o", "table").out == plain


ROWS: list[dict[str, JSON]] = [
    {"id": "2542620", "name": "Käufer der 雑貨店 in Freiburg im Breisgau", "status": "READY"},
    {"id": "2542627", "name": "/exports/of-ada/customers-of-the-shop.csv", "status": "TOO_SMALL"},
    {"id": "2542634", "name": "", "status": None},
]


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        """Report a terminal."""
        return True


@each_case("columns", [*range(20, 100)])
def test_tables_fold_between_words_and_cut_nothing_at_any_width(columns: int) -> None:
    """Only a word that is wider than the terminal makes a line that is."""
    with mock.patch.dict(os.environ, COLUMNS=str(columns), NO_COLOR="1"):
        streams = Terminal(), Terminal()
        Output(streams[0], "table").rows(ROWS, ["id", "name", "status"])
        Output(streams[1], "table").row({"id": "7", "rule": "a rule of words", "store": "/a/" * 20})
    values = (item for row in ROWS for item in row.values())
    for stream, texts in zip(streams, (values, ["a rule of words"]), strict=True):
        shown = stream.getvalue()
        for text in texts:
            assert set(str(text or "").split()) <= set(shown.split())
        for line in shown.splitlines():
            assert (
                cells.cell_len(line) <= columns
                or max(map(cells.cell_len, line.split())) + 6 > columns
            )


def test_long_word_is_written_below_its_row() -> None:
    with mock.patch.dict(os.environ, COLUMNS="60", NO_COLOR="1"):
        stream = Terminal()
        Output(stream, "table").rows(ROWS, ["id", "name", "status"])
    assert stream.getvalue().splitlines() == [
        f"ID       NAME{' ' * 38}STATUS",
        f"2542620  Käufer der 雑貨店 in Freiburg im{' ' * 10}READY",
        "         Breisgau",
        f"2542627{' ' * 44}TOO_SMALL",
        "    name: /exports/of-ada/customers-of-the-shop.csv",
        "2542634",
    ]


MOMENTS = {
    0: "now",
    1: "1 s ago",
    59: "59 s ago",
    60: "1 min ago",
    7_199: "1 h ago",
    86_400: "1 day ago",
    29 * 86_400: "29 days ago",
    30 * 86_400: "2026-12-16",
    -90: "in 1 min",
}


@each_case(("age", "shown"), MOMENTS.items())
def test_times_are_relative_for_a_month(now: list[float], age: int, shown: str) -> None:
    now[0] = 1_800_000_000.0
    moment = datetime.fromtimestamp(now[0] - age, UTC).isoformat().replace("+00:00", "Z")
    with mock.patch.dict(os.environ, COLUMNS="80", NO_COLOR="1"):
        stream, single = Terminal(), Terminal()
        Output(stream, "table").rows([{"updated_time": moment}], ["updated_time"])
        Output(single, "table").row({"updated_time": moment})
    assert stream.getvalue().splitlines() == ["UPDATED", shown]
    exact = f"{moment[:10]} {moment[11:19]} UTC"
    expected = exact if shown.startswith("2026") else f"{exact} ({shown})"
    assert single.getvalue().split(maxsplit=1)[1].strip() == expected


COMMANDS = {
    40: ["Next:", "  pinterest-audiences mirror a.csv \\", "    --name 'All customers' --emulator"],
    200: ["Next: pinterest-audiences mirror a.csv --name 'All customers' --emulator"],
}


@each_case(("columns", "shown"), COMMANDS.items())
def test_commands_are_continued_with_backslashes(columns: int, shown: list[str]) -> None:
    """So that a shell runs the copied lines as one command."""
    words = ["pinterest-audiences", "mirror", "a.csv", "--name", "'All customers'", "--emulator"]
    with mock.patch.dict(os.environ, COLUMNS=str(columns), NO_COLOR="1"):
        stream = Terminal()
        Output(stream, "table").command("Next", words)
    assert stream.getvalue().splitlines() == shown
    copied = stream.getvalue().removeprefix("Next:").replace("\\\n", "")
    assert shlex.split(copied) == shlex.split(" ".join(words))


SECRET_WORDS = [
    ("--query", "select email from people", "--database", "postgres://reader:secret@db/shop"),
    ("--query", "select 1", "--database", "postgres://db/shop?user=reader&password=secret"),
    ("https://account.blob.example/customers.csv?sv=1&sig=AbCd%2Fsecret%3D",),
    ("ada@shop.example",),
    ("--name", "ada@shop.example  and\nothers"),
    ("--name=ada@shop.example",),
    ("--query", "select 1 -- " + "long " * 99 + " ada@shop.example"),
    ("--name", "pina_SENTINELTOKEN"),
]


@each_case("words", SECRET_WORDS)
def test_next_command_is_left_out_if_it_has_a_secret(words: tuple[str, ...]) -> None:
    options = CommonOptions()
    context = make_context(options, Terminal(), Terminal())
    context.command, context.arguments = ("check",), words
    stream = Terminal()
    Output(stream, "table").command("Next", context.same_command("upload"))
    assert stream.getvalue() == ""
    context.arguments = ("a file.csv", "--sample", "3", "--duplicates", "--sample=4")
    assert context.same_command(
        "upload", add=("--name", "X"), leave_out={"--sample": True, "--duplicates": False}
    ) == ["pinterest-audiences", "upload", "'a file.csv'", "--name", "X"]
    context.arguments = ("--", "-a.csv")
    assert context.same_command("upload", add=("--name", "X"))[2:] == [
        *("--name", "X", "--", "-a.csv")
    ]


NAMES = [
    "two  blanks",
    " blanks at the ends ",
    "a\ttab",
    "two\nlines",
    "\n",
    "a\r\nb",
    "long " * 60,
    "it's",
    "it's\n\\n'",
    '$HOME `id` $(id) "x" !x \\ *',
    '$HOME `id` $(id) "x" !x \\ *\n',
    "Bücher ☃",
    "Bücher ☃\x1b[31m7",
    "\u2028 \u200b \u202e",
    "not-utf-8\udcff7.csv",
    "",
    "-x=1\n2",
]


def words_of_bash(command: str) -> list[str]:
    """Return the words that bash passes to the program."""
    script = f"pinterest-audiences() {{ printf '%s\\0' \"$@\"; }}\n{command}"
    done = subprocess.run(
        ["bash", "-c", script],
        env={"LC_ALL": "C.UTF-8"},
        stdout=subprocess.PIPE,
        check=True,
        timeout=HANGS_AFTER_SECONDS,
    )
    return done.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]


@needs_bash
@each_case("columns", ["30", "80"])
@each_case("name", NAMES)
def test_next_command_has_any_name_as_it_was_typed(name: str, columns: str) -> None:
    """On lines without control characters, for bash and zsh."""
    with mock.patch.dict(os.environ, COLUMNS=columns, NO_COLOR="1"):
        stream = Terminal()
        context = make_context(CommonOptions(), stream, Terminal())
        context.command = ("mirror",)
        context.arguments = ("a.csv", "--name", name, f"--query={name}", "--emulator")
        context.out.command("Next", context.same_command())
    shown = stream.getvalue()
    assert all(line.isprintable() for line in shown.split("\n"))
    assert words_of_bash(shown.removeprefix("Next:")) == ["mirror", *context.arguments]


@pytest.mark.slow
@needs_bash
@given(
    st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=5)
)
@settings(max_examples=30)
def test_next_command_has_all_words_as_they_were_typed(words: list[str]) -> None:
    context = make_context(CommonOptions(), Terminal(), Terminal())
    context.command, context.arguments = ("mirror",), tuple(words)
    command = context.same_command()
    if command:
        assert all(word.isprintable() for word in command)
        assert words_of_bash(" ".join(command)) == ["mirror", *words]


def test_command_is_not_folded_inside_a_quoted_word() -> None:
    """The break would become a part of the name."""
    name = "All customers of the shops in Germany, Austria and Switzerland"
    words = ["pinterest-audiences", "mirror", "--name", shlex.quote(name)]
    with mock.patch.dict(os.environ, COLUMNS="40", NO_COLOR="1"):
        stream = Terminal()
        Output(stream, "table").command("Next", words)
    copied = stream.getvalue().removeprefix("Next:").replace("\\\n", "")
    assert shlex.split(copied)[-1] == name


def test_messages_fold_between_words_but_not_in_commands() -> None:
    """A command is copied as one line."""
    command = "finish it with: pinterest-audiences resume --emulator --state 'my jobs.sqlite3'"
    with mock.patch.dict(os.environ, COLUMNS="40", NO_COLOR="1"):
        stream = Terminal()
        console = Console(stream, "table", quiet=False, verbose=0)
        console.warn("the list may be TOO_SMALL: 80 records cannot match 100 accounts")
        console.note(f"interrupted; nothing is lost, and it goes on\n  {command}")
        stream_of_json = Terminal()
        Console(stream_of_json, "json", quiet=False, verbose=0).problem(
            ErrorReport(exit=ExitCode.USAGE, code="usage", message="a long message " * 9)
        )
    assert json.loads(stream_of_json.getvalue())["error"]["code"] == "usage"
    assert stream_of_json.getvalue().count("\n") == 1
    assert stream.getvalue().splitlines() == [
        "warning: the list may be TOO_SMALL: 80",
        "         records cannot match 100",
        "         accounts",
        "interrupted; nothing is lost, and it",
        "  goes on",
        f"  {command}",
    ]
