"""Programs on a pseudo-terminal: the screen, and the output to other streams."""

from __future__ import annotations

import io
import os
import re
import select
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Literal, Self
from unittest import mock

from attrs import frozen
from support.programs import HANGS_AFTER_SECONDS

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@frozen
class Shown:
    """The outcome of a program.

    Attributes:
        code: Its exit code.
        out: Its standard output, if that was not the terminal.
        screen: Everything written to the terminal, including escapes.
    """

    code: int
    out: str
    screen: str

    @property
    def frames(self) -> list[str]:
        """The lines of the screen, one after the other, without escapes."""
        plain = _CONTROL.sub("", self.screen)
        return [each.rstrip() for each in re.split(r"[\r\n]+", plain) if each.strip()]


class Terminal:
    """The command line at a terminal: for input, output and errors.

    Every wait has a limit and reports what the terminal showed; the program ends with the block.

    Args:
        words: Its words.
        environment: More variables.
        program: The program, if it is another one.
    """

    def __init__(
        self,
        *words: str | bytes | Path,
        environment: Mapping[str, str] | None = None,
        program: Sequence[str] = (sys.executable, "-m", "pinterest_audiences"),
    ) -> None:
        self._master, slave = _open_terminal(columns=200)
        self._shown = b""
        try:
            self._process = subprocess.Popen(
                [*program, *words],
                stdin=slave,
                stdout=slave,
                stderr=slave,
                env={**os.environ, "TERM": "xterm", **(environment or {})},
                start_new_session=True,  # it has no other terminal to ask at
            )
        finally:
            os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(HANGS_AFTER_SECONDS)
        os.close(self._master)

    @property
    def output(self) -> str:
        """Everything that the terminal got, including escapes."""
        return self._shown.decode("utf-8", "backslashreplace")

    @property
    def screen(self) -> str:
        """Everything that the terminal got, without escapes."""
        return _CONTROL.sub("", self.output)

    @property
    def pid(self) -> int:
        """The id of the program."""
        return self._process.pid

    def expect(self, text: str, *, times: int = 1) -> str:
        """Read until a text is shown, or so many times; return the screen.

        Raises:
            AssertionError: The program ended without showing it, or hangs.
        """
        return self.expect_match("(?:.*?" + re.escape(text) + ")" + f"{{{times}}}")[0]

    def expect_match(self, pattern: str) -> re.Match[str]:
        """Read until the beginning of the screen matches a pattern.

        Raises:
            AssertionError: The program ended without showing it, or hangs.
        """
        deadline = time.monotonic() + HANGS_AFTER_SECONDS
        while (match := re.match(pattern, self.screen, re.DOTALL)) is None:
            some = _read(self._master, deadline)
            assert some, f"{pattern!r} was not shown:\n{self.screen}"
            self._shown += some
        return match

    def type(self, text: str) -> None:
        """Type a text; what is read of it before it is asked for is shown."""
        os.write(self._master, text.encode())

    def end(self) -> int:
        """Read until the program ends; return its exit code."""
        deadline = time.monotonic() + HANGS_AFTER_SECONDS
        while some := _read(self._master, deadline):
            self._shown += some
        assert time.monotonic() < deadline, f"it does not end:\n{self.screen}"
        return self._process.wait(max(0.0, deadline - time.monotonic()))


def before_terminal(
    *words: str | bytes | Path,
    columns: int = 80,
    stdout: bool = False,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
) -> Shown:
    """Run the command line with standard error on a terminal.

    Args:
        words: Its arguments.
        columns: The width of the terminal.
        stdout: Whether standard output is the terminal, too.
        stdin: Its standard input.
        environment: Additional environment variables.
    """
    master, slave = _open_terminal(columns)
    surroundings = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    screen, deadline = b"", time.monotonic() + HANGS_AFTER_SECONDS
    # Standard output goes to a file and input comes from a thread: a full pipe blocks neither side.
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "pinterest_audiences", *words],
            stdin=subprocess.PIPE,
            stdout=slave if stdout else out,
            stderr=slave,
            env={**surroundings, "TERM": "xterm", **(environment or {})},
        )
        try:
            os.close(slave)
            threading.Thread(target=_feed, args=(process.stdin, stdin), daemon=True).start()
            while some := _read(master, deadline):
                screen += some
            code = process.wait(max(0.0, deadline - time.monotonic()))
        finally:
            process.kill()
            process.wait(HANGS_AFTER_SECONDS)
            os.close(master)
        out.seek(0)
        return Shown(code, out.read().decode(), screen.decode("utf-8", "backslashreplace"))


def here_on_terminal(
    *words: str | Path,
    stdout: bool = False,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
) -> Shown:
    """Run the command line in this process, with `sys.stderr` on a terminal of 80 columns.

    Much faster than `before_terminal`, for what does not depend on the process.

    Args:
        words: Its arguments.
        stdout: Whether `sys.stdout` is the terminal, too.
        stdin: Its standard input.
        environment: Additional environment variables.
    """
    from pinterest_audiences.cli import run_command

    master, slave = _open_terminal(columns=80)
    screen: list[bytes] = []
    reader = threading.Thread(target=_read_all, args=(master, screen))
    reader.start()
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    # Rich asks the descriptors 0 to 2 for the width, which are not this terminal.
    variables = {"TERM": "xterm", "COLUMNS": "80", **(environment or {})}
    try:
        with (
            os.fdopen(os.dup(slave), "w", encoding="utf-8") as err,
            os.fdopen(os.dup(slave), "w", encoding="utf-8") if stdout else out as stream,
            mock.patch.dict(os.environ, variables),
            mock.patch("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin))),
            mock.patch("sys.stdout", stream),
            mock.patch("sys.stderr", err),
        ):
            code = run_command([str(word) for word in words])
            stream.flush()
            text = "" if stdout else out.buffer.getvalue().decode()
    finally:
        os.close(slave)
        reader.join(HANGS_AFTER_SECONDS)
        os.close(master)
    return Shown(code, text, b"".join(screen).decode("utf-8", "backslashreplace"))


def with_closed(stream: Literal["stdout", "stderr"], *words: str | Path) -> tuple[int, bytes]:
    """Run the command line with a stream whose reader is closed.

    Args:
        stream: The closed stream.
        words: Its arguments.

    Returns:
        Its exit code, and its output to the other stream.
    """
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pinterest_audiences", *words],
            stdout=writer if stream == "stdout" else subprocess.PIPE,
            stderr=writer if stream == "stderr" else subprocess.PIPE,
            timeout=HANGS_AFTER_SECONDS,
            check=False,
        )
    finally:
        os.close(writer)
    return done.returncode, done.stderr if stream == "stdout" else done.stdout


def _open_terminal(columns: int) -> tuple[int, int]:
    import fcntl  # there is none on Windows, nor the next two
    import pty
    import termios

    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    return master, slave


def _feed(stream: IO[bytes] | None, data: bytes) -> None:
    with suppress(BrokenPipeError):  # the program ended before it read everything
        assert stream is not None
        with stream:
            stream.write(data)


def _read(master: int, deadline: float) -> bytes:
    """Read what the terminal got; nothing after the deadline (in seconds of `time.monotonic`).

    Also nothing when the last program has let go of it.
    """
    ready, _, _ = select.select([master], [], [], max(0.0, deadline - time.monotonic()))
    if not ready:
        return b""
    try:
        return os.read(master, 65_536)
    except OSError:  # EIO: Linux's way of saying that
        return b""


def _read_all(master: int, screen: list[bytes]) -> None:
    deadline = time.monotonic() + HANGS_AFTER_SECONDS
    while some := _read(master, deadline):
        screen.append(some)


def rendered(screen: str) -> list[str]:
    """Return the lines that remain on a terminal after all output."""
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
