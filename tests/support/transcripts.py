"""Transcripts in the documentation: commands after a dollar, and what a terminal then shows.

``…`` stands for anything on a line, and alone on a line for any lines. ``^C`` is Ctrl-C.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen
from support.terminal import rendered

from pinterest_audiences.cli import main

COLUMNS = "100"
PROGRAM = "pinterest-audiences"
INTERRUPT = "^C"
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SHELL = frozenset("|<>;&$`*?~#")


@frozen
class Step:
    """One command of a transcript.

    Attributes:
        line: Where it is in its page.
        command: What is typed.
        shown: What the terminal shows then, line by line.
    """

    line: int
    command: str
    shown: tuple[str, ...]

    @property
    def words(self) -> list[str] | None:
        """The words after the program's name; None where a shell is needed."""
        if not self.command.startswith(f"{PROGRAM} ") or _SHELL & set(self.command):
            return None
        return shlex.split(self.command)[1:]


def steps(text: str) -> Iterator[Step]:
    """Read the transcripts of a page, in order."""
    for block in _BLOCK.finditer(text):
        first = text.count("\n", 0, block.start()) + 2
        lines = block[1].splitlines()
        begins = [number for number, line in enumerate(lines) if line.startswith("$ ")]
        if begins[:1] != [0]:
            raise ValueError(f"line {first}: a transcript begins with a dollar and a command")
        for begin, end in zip(begins, [*begins[1:], len(lines)], strict=True):
            said = begin + 1
            while lines[said - 1].endswith("\\"):
                said += 1
            command = " ".join(line.rstrip("\\").strip() for line in lines[begin:said])
            yield Step(first + begin, command[2:], tuple(lines[said:end]))


def fits(expected: tuple[str, ...], shown: list[str]) -> bool:
    """Tell whether what is shown is what was expected."""
    pattern = "".join(
        r"(?:[^\n]*\n)*" if line == "…" else ".*".join(map(re.escape, line.split("…"))) + r"\n"
        for line in expected
    )
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in shown)) is not None


class Session:
    """A person at a terminal: one step after the other, each knowing how the last one ended.

    Args:
        folder: Where the program can be found by a shell.
    """

    def __init__(self, folder: Path) -> None:
        self._code = 0
        folder.mkdir()
        program = folder / PROGRAM
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pinterest_audiences "$@"\n')
        program.chmod(0o755)
        self._path = f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"

    def run(self, step: Step) -> list[str]:
        """Run a command, and return what the terminal shows."""
        if step.command == "echo $?":
            return [str(self._code)]
        if step.shown[-1:] == (INTERRUPT,):
            return self._interrupted(step)
        words = step.words
        if words is not None:
            self._code, lines = _here(words)
            return lines
        done = subprocess.run(
            ["sh", "-c", step.command],
            env={**os.environ, "PATH": self._path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self._code = done.returncode
        return done.stdout.splitlines()

    def _interrupted(self, step: Step) -> list[str]:
        """Run a command that does not end, until it has shown what it should."""
        with subprocess.Popen(
            [sys.executable, "-m", "pinterest_audiences", *(step.words or ())],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline().rstrip("\n") for _ in step.shown[:-1]]
            process.send_signal(signal.SIGINT)
            rest = process.stdout.read().splitlines()
        self._code = process.returncode
        return [*lines, INTERRUPT, *rest]


def _here(words: list[str]) -> tuple[int, list[str]]:
    """Run a command in this process, with both its streams on one terminal."""
    import pty  # there is none on Windows

    master, slave = pty.openpty()
    read: list[bytes] = []
    reader = threading.Thread(target=_read, args=(master, read))
    reader.start()
    before = sys.stdout, sys.stderr
    try:
        with (
            os.fdopen(os.dup(slave), "w", encoding="utf-8") as out,
            os.fdopen(os.dup(slave), "w", encoding="utf-8") as err,
        ):
            sys.stdout, sys.stderr = out, err
            code = main(words)
    finally:
        sys.stdout, sys.stderr = before
        os.close(slave)
        reader.join()
        os.close(master)
    lines = rendered(b"".join(read).decode())
    return code, lines[:-1] if lines[-1] == "" else lines


def _read(master: int, read: list[bytes]) -> None:
    while True:
        try:
            some = os.read(master, 65_536)
        except OSError:  # EIO: nobody writes to it any more
            return
        if not some:
            return
        read.append(some)
