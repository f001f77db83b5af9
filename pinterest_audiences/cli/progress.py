"""How far a job is: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol, cast

from pinterest_audiences.jobs.events import JobEvent, JobEventKind

if TYPE_CHECKING:
    from typing import TextIO

    from rich.progress import Progress, TaskID

    from pinterest_audiences.cli.screen import Screen

__all__ = ["Teller", "following"]

_BETWEEN_LINES = 10.0  # seconds: what is read later, in a log, need not be told more often
_WORTH_TELLING = 1.0  # seconds of waiting
_NARROW = 60  # columns; below them the figures have no room beside a bar


class Teller(Protocol):
    """Tells how far something is; called in the client's thread."""

    def __call__(self, event: JobEvent) -> None:
        """Tell of what happened to a job."""
        ...

    def wait(self, text: str) -> None:
        """Tell that something is waited for."""
        ...


@contextmanager
def following(screen: Screen) -> Generator[Teller, None, None]:
    """Follow jobs on a screen until the block ends."""
    if screen.quiet:
        yield _Silent()
    elif screen.is_terminal and os.environ.get("TERM", "") != "dumb":
        with _bar(screen) as teller:
            yield teller
    else:
        yield _Lines(screen)


class _Silent:
    def __call__(self, event: JobEvent) -> None:
        """Say nothing."""

    def wait(self, text: str) -> None:
        """Say nothing."""


class _Lines:
    """One line at the beginning and the end of a job, and one from time to time between."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._told = time.monotonic()
        self._rates = _Rates()

    def __call__(self, event: JobEvent) -> None:
        """Tell of what happened to a job."""
        now, rate = time.monotonic(), self._rates.of(event)
        ends = event.kind in (JobEventKind.PLANNED, JobEventKind.DONE, JobEventKind.INTERRUPTED)
        if ends or now - self._told >= _BETWEEN_LINES:
            self._told = now
            self._screen.note(_line(event, rate))

    def wait(self, text: str) -> None:
        """Tell that something is waited for."""
        self._screen.note(text)


class _Bar:
    """A bar for each job; on a narrow terminal only its figures."""

    def __init__(self, progress: Progress, *, narrow: bool) -> None:
        self._progress = progress
        self._narrow = narrow
        self._tasks: dict[int, TaskID] = {}
        self._waiting: TaskID | None = None
        self._rates = _Rates()

    def __call__(self, event: JobEvent) -> None:
        """Tell of what happened to a job."""
        if event.job_id not in self._tasks:
            self._tasks[event.job_id] = self._add()
        self._progress.update(
            self._tasks[event.job_id],
            description="" if self._narrow else f"job {event.job_id}",
            completed=event.done,
            total=event.total,
            count=self._count(event),
            note=_note(event) or self._rates.of(event),
        )

    def _count(self, event: JobEvent) -> str:
        if self._narrow and event.total:
            return f"{event.done / event.total:.0%}"
        return f"{event.done:,}/{event.total:,}"

    def wait(self, text: str) -> None:
        """Tell that something is waited for."""
        # A line of its own: beside a bar a sentence would leave no room for it.
        self._progress.console.print(text, markup=False, highlight=False)
        if self._waiting is None:
            self._waiting = self._add("waiting")

    def close(self) -> None:
        """Leave the bars of jobs on the screen, and nothing of what is waited for no more."""
        if not self._tasks:
            self._progress.live.transient = True
        elif self._waiting is not None:
            self._progress.remove_task(self._waiting)
        if self._progress.live.is_started:
            self._progress.stop()

    def _add(self, description: str = "") -> TaskID:
        self._progress.start()  # no earlier: rich before 14.3 ends with a line, bar or no bar
        return self._progress.add_task(description, total=None, note="", count="")


class _Lasting:
    """A stream that whoever reads it may leave: a terminal that has gone stops no job.

    Bars are drawn by a thread of their own, too, so that it is here that they must not fail.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write what still can be written."""
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what still can be flushed."""
        with suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


@contextmanager
def _bar(screen: Screen) -> Generator[Teller, None, None]:
    # Only who sits before a terminal pays for the import.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    stream = cast("TextIO", _Lasting(screen.stream))
    console = Console(file=stream, markup=False, highlight=False, emoji=False)
    narrow = console.width < _NARROW
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        *([] if narrow else [BarColumn(bar_width=24)]),
        TextColumn("{task.fields[count]}", markup=False),
        TextColumn("{task.fields[note]}", markup=False),
        TimeRemainingColumn(compact=True),
        console=console,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    before = screen.printer
    screen.printer = lambda text: console.print(text, markup=False, highlight=False)
    bar = _Bar(progress, narrow=narrow)
    try:
        yield bar
    finally:
        bar.close()
        screen.printer = before


def _line(event: JobEvent, rate: str) -> str:
    share = f" ({event.done / event.total:.0%})" if event.total else ""
    note = _note(event) or rate
    left = "" if event.seconds_left is None else f", {event.seconds_left:,.0f} s left"
    told = f"job {event.job_id}: {event.done:,} of {event.total:,} records{share}"
    return f"{told}, {note}{left}" if note else f"{told}{left}"


class _Rates:
    """Records a second, of this run of each job: what was there before it is no speed."""

    def __init__(self) -> None:
        self._before: dict[int, int] = {}

    def of(self, event: JobEvent) -> str:
        """Return the rate in words; empty while nothing is known."""
        sent = event.done - self._before.setdefault(event.job_id, event.done)
        return f"{sent / event.elapsed:,.0f}/s" if sent and event.elapsed else ""


def _note(event: JobEvent) -> str:
    match event.kind:
        case JobEventKind.DONE:
            return "done"
        case JobEventKind.INTERRUPTED:
            return "interrupted"
        case JobEventKind.WAITING_FOR_BUDGET if event.wait >= _WORTH_TELLING:
            return f"waiting {event.wait:,.0f} s for the rate budget"
        case JobEventKind.RETRY:
            return f"trying again in {event.wait:,.0f} s"
        case _:
            return ""
