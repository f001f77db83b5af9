"""Standard error: progress, warnings and errors; never data."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

from pinterest_audiences.cli.output import plain

if TYPE_CHECKING:
    from pinterest_audiences.cli.output import Format
    from pinterest_audiences.cli.problems import Problem

__all__ = ["Screen"]


class Screen:
    """What a person sees beside the results.

    Whoever reads it may go away at any time; that stops no job.

    Args:
        stream: Where to.
        form: The form of the results; errors are JSON where those are.
        quiet: Whether only warnings and errors are shown.
        verbose: 1 shows what the package logs, 2 its details too.
    """

    def __init__(self, stream: TextIO, form: Format, *, quiet: bool, verbose: int) -> None:
        self.stream = stream
        self.quiet = quiet
        self.verbose = verbose
        self.printer: Callable[[str], None] | None = None  # what shares the screen with a bar
        self._json = form in ("json", "ndjson")

    @property
    def is_terminal(self) -> bool:
        """Whether somebody sits in front of it."""
        return self.stream.isatty()

    def note(self, text: str) -> None:
        """Say something, unless quiet is wanted."""
        if not self.quiet:
            self.write(text)

    def warn(self, text: str) -> None:
        """Warn."""
        self.write(f"warning: {text}")

    def problem(self, problem: Problem) -> None:
        """Tell of an error."""
        if self._json:
            self.write(json.dumps(problem.to_dict()))
            return
        self.write(f"error: {problem.message}")
        if problem.hint and problem.hint not in problem.message:
            self.write(f"  {problem.hint}")

    def write(self, text: str) -> None:
        """Write lines, whatever the stream can take."""
        shown = "\n".join(map(plain, text.split("\n")))
        with suppress(OSError, ValueError):  # it is closed, or nobody reads it any more
            encoding = self.stream.encoding or "utf-8"
            shown = shown.encode(encoding, "backslashreplace").decode(encoding)
            if self.printer is not None:
                self.printer(shown)
                return
            self.stream.write(f"{shown}\n")
            self.stream.flush()

    @contextmanager
    def showing_log(self) -> Generator[None, None, None]:
        """Show what the package logs until the block ends: warnings always, more with ``-v``."""
        logger = logging.getLogger("pinterest_audiences")
        level = logger.level
        handler = _Shown(self)
        handler.setLevel((logging.WARNING, logging.INFO, logging.DEBUG)[min(self.verbose, 2)])
        logger.addHandler(handler)
        if self.verbose:
            logger.setLevel(handler.level)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)


class _Shown(logging.Handler):
    """Writes what is logged to a screen."""

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        self._screen.write(f"{record.levelname.lower()}: {record.getMessage()}")
