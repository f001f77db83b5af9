"""Transcripts in the documentation: commands after a dollar sign, and their terminal output.

``…`` matches any text within a line, and any lines if it is alone. ``^C`` is Ctrl-C.
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
from support.programs import HANGS_AFTER_SECONDS
from support.terminal import here_on_terminal, rendered

COLUMNS = "100"
PROGRAM = "pinterest-audiences"
INTERRUPT = "^C"
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SHELL = frozenset("|<>;&$`*?~#")


@frozen
class Step:
    """One command of a transcript.

    Attributes:
        line: Its line in the page.
        command: The command as typed.
        shown: The expected output, line by line.
    """

    line: int
    command: str
    shown: tuple[str, ...]

    @property
    def words(self) -> list[str] | None:
        """The arguments after the program's name; None if a shell is required."""
        if not self.command.startswith(f"{PROGRAM} ") or _SHELL & set(self.command):
            return None
        return shlex.split(self.command)[1:]


def steps(text: str) -> Iterator[Step]:
    """Yield the commands of a page, in order."""
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
    """Return whether the output matches the expected one."""
    pattern = "".join(
        r"(?:[^\n]*\n)*" if line == "…" else ".*".join(map(re.escape, line.split("…"))) + r"\n"
        for line in expected
    )
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in shown)) is not None


class Session:
    """A terminal session: one step after the other, with the exit code of the last.

    Args:
        folder: The folder of the program, for a shell.
    """

    def __init__(self, folder: Path) -> None:
        self._code = 0
        folder.mkdir()
        program = folder / PROGRAM
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pinterest_audiences "$@"\n')
        program.chmod(0o755)
        self._path = f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"

    def run(self, step: Step) -> list[str]:
        """Run a command, and return the terminal's output."""
        if step.command == "echo $?":
            return [str(self._code)]
        if step.shown[-1:] == (INTERRUPT,):
            return self._interrupted(step)
        words = step.words
        if words is not None:
            shown = here_on_terminal(*words, stdout=True)
            self._code, lines = shown.code, rendered(shown.screen)
            return lines[:-1] if lines[-1] == "" else lines
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
        """Run a command that does not end, until it has printed the expected output."""
        with subprocess.Popen(
            [sys.executable, "-m", "pinterest_audiences", *(step.words or ())],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            hangs = threading.Timer(HANGS_AFTER_SECONDS, process.kill)
            hangs.start()
            lines = [process.stdout.readline().rstrip("\n") for _ in step.shown[:-1]]
            process.send_signal(signal.SIGINT)
            rest = process.stdout.read().splitlines()
            hangs.cancel()
        self._code = process.returncode
        return [*lines, INTERRUPT, *rest]
