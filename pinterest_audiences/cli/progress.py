"""Progress of sources and jobs: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, cast

from pinterest_audiences._jobs.reports import JobEvent, JobEventType
from pinterest_audiences._text import counted
from pinterest_audiences.cli.output import BrokenPipeSafe, rich_environment, styled_text

if TYPE_CHECKING:
    from typing import TextIO

    from rich.progress import Progress, TaskID

    from pinterest_audiences._records.prepare import ReadProgress
    from pinterest_audiences.cli.output import Console

__all__ = ["ProgressReporter", "progress_display"]

_LINE_INTERVAL_SECONDS = 10.0  # between lines of progress in a log
_MIN_SHOWN_WAIT_SECONDS = 1.0
_SHOWN_AFTER_SECONDS = 1.0  # a source that is read faster has no bar
_UPDATE_INTERVAL_SECONDS = 0.1
_NARROW_COLUMNS = 60  # a narrower terminal shows no bar, only figures
_USUAL_COLUMNS = 80  # a narrower terminal has a short bar
_WIDE_COLUMNS = 100  # a narrower terminal shows short notes


class ProgressReporter(Protocol):
    """Shows progress; called in the client's thread."""

    def __call__(self, event: JobEvent) -> None:
        """Show an event of a job."""
        ...

    def wait(self, text: str) -> None:
        """Show what the command waits for."""
        ...

    def read(self, progress: ReadProgress) -> None:
        """Show how far a source has been read."""
        ...


@contextmanager
def progress_display(
    console: Console, *, plans: bool = False
) -> Generator[ProgressReporter, None, None]:
    """Show the progress of sources and jobs until the block ends.

    Args:
        console: Where to show it.
        plans: Whether a plan is made when the source has been read.
    """
    if console.quiet:
        yield _NoProgress()
    elif (
        console.is_terminal and console.log_format is None and os.environ.get("TERM", "") != "dumb"
    ):
        bar = _BarProgress(console, plans=plans)
        try:
            yield bar
        finally:
            bar.close()
    else:
        yield _LineProgress(console, plans=plans)


class _NoProgress:
    def __call__(self, event: JobEvent) -> None:
        """Do nothing."""

    def wait(self, text: str) -> None:
        """Do nothing."""

    def read(self, progress: ReadProgress) -> None:
        """Do nothing."""


class _LineProgress:
    """One line at the start and end of a job, and one every few seconds between.

    A source that is read has a line every few seconds only.
    """

    def __init__(self, console: Console, *, plans: bool) -> None:
        self._console = console
        self._plans = plans
        self._last_line = time.monotonic()
        self._rates = _Rates()
        self._reading = _Reading()

    def read(self, progress: ReadProgress) -> None:
        """Print how far a source has been read."""
        now = time.monotonic()
        self._reading.update(progress, now)
        if now - self._last_line >= _LINE_INTERVAL_SECONDS:
            self._last_line = now
            if not progress.complete:
                self._console.note(self._reading.line())
            elif self._plans:
                self._console.note(f"planning: {counted(progress.rows, 'row')}")

    def __call__(self, event: JobEvent) -> None:
        """Print an event of a job."""
        if not event.job_id:
            self.wait(_note(event))
            return
        now, rate = time.monotonic(), self._rates.of(event)
        ends = event.kind in (JobEventType.PLANNED, JobEventType.DONE, JobEventType.INTERRUPTED)
        if ends or now - self._last_line >= _LINE_INTERVAL_SECONDS:
            self._last_line = now
            self._console.note(_line(event, rate))

    def wait(self, text: str) -> None:
        """Show what the command waits for."""
        self._console.note(text)


class _BarProgress:
    """One bar for the source, and one for each job; figures only on a narrow terminal.

    The display is created when it is first used, because that is slow.
    """

    def __init__(self, console: Console, *, plans: bool) -> None:
        self._console = console
        self._plans = plans
        self._progress: Progress | None = None
        self._columns = _WIDE_COLUMNS
        self._tasks: dict[int, TaskID] = {}
        self._waiting: TaskID | None = None
        self._source: TaskID | None = None
        self._rates = _Rates()
        self._reading = _Reading()
        self._last_update = time.monotonic()
        self._printer = console.printer

    def __call__(self, event: JobEvent) -> None:
        """Show an event of a job."""
        if not event.job_id:
            self.wait(_note(event))
            return
        self._remove_source()
        if event.job_id not in self._tasks:
            self._tasks[event.job_id] = self._add()
        self._display().update(
            self._tasks[event.job_id],
            description="" if self._narrow else f"job {event.job_id}",
            completed=event.done,
            total=event.total,
            count=self._count(event),
            note=self._note(event) or self._rates.of(event),
        )

    def read(self, progress: ReadProgress) -> None:
        """Show how far a source has been read, if that takes longer than a moment."""
        now = time.monotonic()
        self._reading.update(progress, now)
        if progress.complete:
            self._show_planning(progress.rows)
            return
        shown = self._source is not None
        if now - self._last_update < (_UPDATE_INTERVAL_SECONDS if shown else _SHOWN_AFTER_SECONDS):
            return
        self._last_update = now
        display = self._display()  # which finds out whether the terminal is narrow
        if self._source is None:
            self._source = self._add("" if self._narrow else "reading")
        reading = self._reading
        display.update(
            self._source,
            description="" if self._narrow else "reading",
            completed=reading.done,
            total=reading.total or None,
            count=reading.short_count() if self._narrow else reading.count(),
            note="" if self._narrow else reading.rate(),
            refresh=not shown,
        )

    def _show_planning(self, rows: int) -> None:
        """Show that a plan is made of the rows, if reading them was shown: that takes long, too."""
        shown = self._source is not None
        self._remove_source()
        if shown and self._plans:
            self._source = self._add("planning")
            count = f"{rows:,}" if self._narrow else counted(rows, "row")
            self._display().update(self._source, count=count, refresh=True)

    def _note(self, event: JobEvent) -> str:
        """Return what a job waits for, or how it ended; briefly where a bar leaves little room."""
        is_wait = event.kind == JobEventType.WAITING_FOR_BUDGET
        if is_wait and event.wait >= _MIN_SHOWN_WAIT_SECONDS and self._columns < _WIDE_COLUMNS:
            return f"rate limit: {event.wait:,.0f} s"
        return _note(event)

    def _count(self, event: JobEvent) -> str:
        if self._narrow and event.total:
            return f"{event.done / event.total:.0%}"
        return f"{event.done:,}/{event.total:,}"

    def wait(self, text: str) -> None:
        """Show what the command waits for."""
        # On a separate line, because a sentence leaves no room for the bar.
        self._display().console.print(text, markup=False, highlight=False)
        if self._waiting is None:
            self._waiting = self._add("waiting")

    def close(self) -> None:
        """Keep the bars of jobs on the screen, and remove those for waiting and reading."""
        progress = self._progress
        if progress is None:
            return
        if not self._tasks:
            progress.live.transient = True
        elif self._waiting is not None:
            progress.remove_task(self._waiting)
        self._remove_source()
        if progress.live.is_started:
            progress.stop()
        self._console.printer = self._printer

    @property
    def _narrow(self) -> bool:
        return self._columns < _NARROW_COLUMNS

    def _remove_source(self) -> None:
        if self._source is not None:
            self._display().remove_task(self._source)
            self._source = None

    def _add(self, description: str = "") -> TaskID:
        progress = self._display()
        progress.start()  # only now: rich before 14.3 prints an empty line without a bar
        return progress.add_task(description, total=None, note="", count="")

    def _display(self) -> Progress:
        if self._progress is None:
            self._progress = _make_display(self._console)
            self._columns = self._progress.console.width
            terminal = self._progress.console
            self._console.printer = lambda text, style: terminal.print(styled_text(text, style))
        return self._progress


def _make_display(console: Console) -> Progress:
    """Return the display for a terminal."""
    from rich.console import Console as Terminal  # noqa: PLC0415 - slow
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    stream = cast("TextIO", BrokenPipeSafe(console.stream))
    terminal = Terminal(
        file=stream, _environ=rich_environment(), markup=False, highlight=False, emoji=False
    )
    bar_width = 24 if terminal.width >= _USUAL_COLUMNS else 8
    bar = [] if terminal.width < _NARROW_COLUMNS else [BarColumn(bar_width=bar_width)]
    return Progress(
        TextColumn("{task.description}", markup=False),
        *bar,
        TextColumn("{task.fields[count]}", markup=False),
        TextColumn("{task.fields[note]}", markup=False),
        TimeRemainingColumn(compact=True),
        console=terminal,
        redirect_stdout=False,
        redirect_stderr=False,
    )


def _line(event: JobEvent, rate: str) -> str:
    share = f" ({event.done / event.total:.0%})" if event.total else ""
    note = _note(event) or rate
    left = "" if event.seconds_left is None else f", {event.seconds_left:,.0f} s left"
    line = f"job {event.job_id}: {event.done:,} of {counted(event.total, 'record')}{share}"
    return f"{line}, {note}{left}" if note else f"{line}{left}"


class _Reading:
    """How far a source has been read: bytes of files of known size, otherwise rows."""

    def __init__(self) -> None:
        self._progress: ReadProgress | None = None
        self._started: float | None = None
        self._elapsed = 0.0

    def update(self, progress: ReadProgress, now: float) -> None:
        """Store what was read at a time, in seconds of `time.monotonic`."""
        self._progress = progress
        self._started = now if self._started is None else self._started
        self._elapsed = now - self._started

    @property
    def done(self) -> int:
        """Bytes or rows read."""
        if self._progress is None:
            return 0
        read = self._progress.bytes_read
        return self._progress.rows if read is None else read

    @property
    def total(self) -> int:
        """Bytes of the files, or the limit of rows; 0 if neither is known."""
        if self._progress is None:
            return 0
        return self._progress.bytes_total or self._progress.max_rows or 0

    def count(self) -> str:
        """Return what was read: megabytes of files, or rows."""
        progress = self._progress
        if progress is None:
            return ""
        if progress.bytes_read is None:
            return counted(progress.rows, "row")
        return f"{progress.bytes_read / 1e6:,.1f}/{(progress.bytes_total or 0) / 1e6:,.1f} MB"

    def short_count(self) -> str:
        """Return the share that was read, or the number of rows, for a narrow terminal."""
        return self.share() or f"{self.done:,}"

    def share(self) -> str:
        """Return the share that was read; empty if it is unknown."""
        return f"{self.done / self.total:.0%}" if self.total else ""

    def rate(self) -> str:
        """Return the rows per second; empty if they are unknown."""
        rows = 0 if self._progress is None else self._progress.rows
        return f"{rows / self._elapsed:,.0f} rows/s" if rows and self._elapsed else ""

    def line(self) -> str:
        """Return a line for a log."""
        rows = 0 if self._progress is None else self._progress.rows
        parts = [f"reading: {counted(rows, 'row')}"]
        if self._progress is not None and self._progress.bytes_read is not None:
            parts.append(f"{self.count()} ({self.share()})")
        elif self.total:
            parts[0] += f" of {self.total:,} ({self.share()})"
        if self.rate():
            parts.append(self.rate())
        if self.total and self.done:
            left = self._elapsed * (self.total - self.done) / self.done
            parts.append(f"{left:,.0f} s left")
        return ", ".join(parts)


class _Rates:
    """Records per second of each job, counting only records of this run."""

    def __init__(self) -> None:
        self._before: dict[int, int] = {}

    def of(self, event: JobEvent) -> str:
        """Return the rate as text; empty while it is unknown."""
        sent = event.done - self._before.setdefault(event.job_id, event.done)
        return f"{sent / event.elapsed:,.0f}/s" if sent and event.elapsed else ""


def _note(event: JobEvent) -> str:
    match event.kind:
        case JobEventType.DONE:
            return "done"
        case JobEventType.INTERRUPTED:
            return "interrupted"
        case JobEventType.WAITING_FOR_BUDGET if event.wait >= _MIN_SHOWN_WAIT_SECONDS:
            return f"waiting {event.wait:,.0f} s for the rate limit"
        case JobEventType.RETRY:
            return f"retrying in {event.wait:,.0f} s"
        case _:
            return ""
