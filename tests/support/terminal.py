"""Programs before a pseudo-terminal: what a person sees, and what a program reads beside it."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from attrs import frozen

PATIENCE = 60.0  # seconds until what should have ended counts as hanging
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@frozen
class Shown:
    """What became of a program.

    Attributes:
        code: Its exit code.
        out: Its standard output, where that was no terminal.
        screen: Everything that the terminal got, escapes included.
    """

    code: int
    out: str
    screen: str

    @property
    def frames(self) -> list[str]:
        """What stood on the screen, line by line and one after the other, without escapes."""
        plain = _CONTROL.sub("", self.screen)
        return [each.rstrip() for each in re.split(r"[\r\n]+", plain) if each.strip()]


def before_terminal(
    *words: str | bytes | Path,
    columns: int = 80,
    stdout: bool = False,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
) -> Shown:
    """Run the command line with standard error on a terminal.

    Args:
        words: Its words.
        columns: How wide the terminal is.
        stdout: Whether standard output is that terminal too.
        stdin: What it can read.
        environment: More variables.
    """
    import fcntl  # there is none on Windows, nor the next two
    import pty
    import termios

    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    surroundings = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    with subprocess.Popen(
        [sys.executable, "-m", "pinterest_audiences", *words],
        stdin=subprocess.PIPE,
        stdout=slave if stdout else subprocess.PIPE,
        stderr=slave,
        env={**surroundings, "TERM": "xterm", **(environment or {})},
    ) as process:
        try:
            os.close(slave)
            assert process.stdin is not None
            process.stdin.write(stdin)
            process.stdin.close()
            screen = _drained(master)
            out = b"" if process.stdout is None else process.stdout.read()
            code = process.wait(PATIENCE)
        finally:
            process.kill()
            os.close(master)
    return Shown(code, out.decode(), screen.decode("utf-8", "backslashreplace"))


def with_closed(stream: Literal["stdout", "stderr"], *words: str | Path) -> tuple[int, bytes]:
    """Run the command line with a stream whose reader has gone.

    Args:
        stream: Which.
        words: Its words.

    Returns:
        Its exit code, and what it wrote to the other of the two.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "pinterest_audiences", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        gone, read = process.stdout, process.stderr
        if stream == "stderr":
            gone, read = read, gone
        gone.close()
        told = read.read()
    return process.returncode, told


def _drained(master: int) -> bytes:
    """Read until the last program has let go of the terminal."""
    read = b""
    while True:
        try:
            some = os.read(master, 65_536)
        except OSError:  # EIO: Linux's way of saying that
            return read
        if not some:
            return read
        read += some


def rendered(screen: str) -> list[str]:
    """Return the lines that are left on a terminal when everything was written."""
    lines, row, column = [""], 0, 0
    for piece in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|.", screen, re.DOTALL):
        if piece == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif piece == "\r":
            column = 0
        elif piece == "\x1b[2K":
            lines[row] = ""
        elif piece[0] == "\x1b":
            row -= int(piece[2:-1]) if piece[-1] == "A" else 0
        else:
            line = lines[row].ljust(column)
            lines[row] = line[:column] + piece + line[column + 1 :]
            column += 1
    return [line.rstrip() for line in lines]
