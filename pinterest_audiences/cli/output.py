"""Results on standard output as table, JSON, NDJSON or CSV; all else on standard error."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import re
import sys
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO, TypeAlias, cast
from unicodedata import category, east_asian_width

from attrs import Attribute, AttrsInstance, asdict

from pinterest_audiences._config import current_job, log_level

if TYPE_CHECKING:
    from rich.text import Text

    from pinterest_audiences._models import JSON
    from pinterest_audiences.cli.error_reports import ErrorReport

__all__ = [
    "FORMATS",
    "LOG_FORMATS",
    "BrokenPipeSafe",
    "Console",
    "Format",
    "Line",
    "LogFormat",
    "Output",
    "has_colors",
    "plain",
    "rich_environment",
    "styled_text",
    "terminal_width",
    "to_row",
]

Format: TypeAlias = Literal["table", "json", "ndjson", "csv"]
LogFormat: TypeAlias = Literal["text", "json"]
LOG_FORMATS: tuple[LogFormat, ...] = ("text", "json")
FORMATS: tuple[Format, ...] = ("table", "json", "ndjson", "csv")
Row: TypeAlias = "Mapping[str, JSON]"
Line: TypeAlias = "Sequence[str | tuple[str, str]]"
"""Parts of a line: texts, or texts with a style of rich, such as ``green``."""
_Cell: TypeAlias = tuple[str, str]  # a text and its style

_DEFAULT_COLUMNS = 80
_UNLIMITED_COLUMNS = 10_000  # of a pipe that gets colors
_MIN_RICH_COLUMNS = 20  # of help and bars
_MIN_FOLDED_COLUMNS = 10  # a column of a table that is narrower does not fold its values
_LONG_WORD_COLUMNS = 30  # such as a path
_GAP = "  "  # between columns
_INDENT = "  "
_SECONDS_BY_UNIT = (("day", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_MAX_RELATIVE_DAYS = 30  # older times are shown as a date
_COMMAND = "pinterest-audiences "  # in a message; copied with its options
_QUOTED_COMMAND = re.compile("`[^`]*`")
_UNBREAKABLE = "\ue000"  # stands for a blank of a quoted command while a message is folded
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S*")
_NUMERIC = re.compile(r"<?-?[\d,.]+%?")
_ID = re.compile(r"(.*_)?ids?|row|first_rows")  # keys of numbers without separators
_NEEDLESS_IN_HEADS = re.compile(
    r"^num_|^customer_(?=list_id)|^allows_|_user_records$|_(time|timestamp)$"
)
_STATE = re.compile(r"(.*_)?(status|verdict|outcome)")
_STYLES = {
    **dict.fromkeys(("READY", "ELIGIBLE", "ACTIVE", "done", "ok"), "green"),
    **dict.fromkeys(
        ("TOO_SMALL", "PROCESSING", "UPLOADING", "INITIALIZING", "running", "warning"), "yellow"
    ),
    **dict.fromkeys(("FAILED", "ARCHIVED", "failed", "error"), "red"),
}


class Output:
    """Writer of results: one row or many. A row of a command always has the same keys.

    Args:
        stream: Where to write.
        form: Output format.
    """

    def __init__(self, stream: TextIO, form: Format) -> None:
        self._stream = stream
        self.form = form

    @property
    def is_terminal(self) -> bool:
        """Whether the stream is a terminal."""
        return self._stream.isatty()

    @property
    def is_human(self) -> bool:
        """Whether the output is for people: a table, not a format for programs."""
        return self.form == "table"

    @cached_property
    def _screen(self) -> _Screen | None:
        """The terminal that folds and colors text; ``None`` for a pipe and for other formats."""
        draws = self.form == "table" and (self.is_terminal or has_colors(self._stream))
        return _Screen(self._stream) if draws else None

    def row(self, row: Row) -> None:
        """Write one result: an object, or one line for each key in a table."""
        if self._screen is not None:
            self._screen.fields({name: _shown(name, value) for name, value in row.items()})
        elif self.form == "table":
            width = max(map(len, row), default=0)
            for name, value in row.items():
                self._line(f"{name:<{width}}  {_cell(value)}".rstrip())
        elif self.form == "csv":
            self._csv([list(row), list(map(_cell, row.values()))])
        else:
            self._line(self._json(row))
        self._stream.flush()

    def text(self, text: str) -> None:
        """Write text that is the same in every output format, such as a query."""
        self._line(text)
        self._stream.flush()

    def lines(self, lines: Iterable[Line]) -> None:
        """Write lines for people, folded between words on a terminal."""
        for line in lines:
            if self._screen is not None:
                self._screen.line(line)
            else:
                self._line(_unstyled(line).rstrip())
        self._stream.flush()

    def command(self, label: str, words: Sequence[str]) -> None:
        """Write a command to copy, continued with backslashes where it does not fit on a line.

        Args:
            label: What the command is for.
            words: Its words, quoted for a shell. Without words, or with characters that a terminal
                does not show, nothing is written.
        """
        if not words or not all(word.isprintable() for word in words):
            return
        width = _UNLIMITED_COLUMNS if self._screen is None else self._screen.width
        command = " ".join(words)
        if len(label) + 2 + _width(command) <= width or os.name == "nt":  # whose shells differ
            self._unfolded([(f"{label}: ", (command, "bold"))])
            return
        lines = [_INDENT + words[0]]
        for word in words[1:]:
            if _width(lines[-1]) + _width(word) + len("  \\") <= width:
                lines[-1] += f" {word}"
            else:
                lines.append(2 * _INDENT + word)
        continued = [[(f"{line} \\", "bold")] for line in lines[:-1]]
        self._unfolded([(f"{label}:",), *continued, [(lines[-1], "bold")]])

    def _unfolded(self, lines: Iterable[Line]) -> None:
        """Write lines to copy: a break inside a quoted word would become part of it."""
        for line in lines:
            if self._screen is not None:
                self._screen.unfolded(line)
            else:
                self._line(_unstyled(line).rstrip())
        self._stream.flush()

    def rows(
        self,
        rows: Iterable[Row],
        columns: Sequence[str],
        *,
        optional: Sequence[str] = (),
        below: str = "",
    ) -> None:
        """Write many results as they arrive.

        Args:
            rows: The results.
            columns: Keys that a table and CSV show; JSON has all keys.
            optional: Columns that a terminal leaves out, in this order, until its table fits.
            below: The column that a terminal shows below each row that has a value.
        """
        if self._screen is not None:
            cells = [[_shown(name, row.get(name), brief=True) for name in columns] for row in rows]
            self._screen.table(columns, cells, optional, below)
        elif self.form == "table":
            self._table([[_cell(row.get(name)) for name in columns] for row in rows], columns)
        elif self.form == "csv":
            self._csv([columns])
            for row in rows:
                self._csv([[_cell(row.get(name)) for name in columns]])
        elif self.form == "ndjson":
            for row in rows:
                self._line(self._json(row))
        else:
            before = "["
            for row in rows:
                self._stream.write(f"{before}\n {self._json(row)}")
                before = ","
            self._line("[]" if before == "[" else "\n]")
        self._stream.flush()

    def details(self, rows: Sequence[Row], columns: Sequence[str]) -> None:
        """Write a table below a result, in the form ``table`` only.

        Args:
            rows: The lines of the table; nothing is written without any.
            columns: Keys that are columns; those without any value are left out.
        """
        shown = [name for name in columns if any(row.get(name) for row in rows)]
        if self.form == "table" and shown:
            self._line("")
            self.rows(rows, shown)

    def _table(self, cells: list[list[str]], columns: Sequence[str]) -> None:
        lines = [[*map(_head, columns)], *cells]
        widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            padded = (
                cell + " " * (width - _width(cell))
                for cell, width in zip(line, widths, strict=True)
            )
            self._line("  ".join(padded).rstrip())

    def _csv(self, rows: Iterable[Sequence[str]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        self._stream.write(text.getvalue())

    def _json(self, value: Row) -> str:
        utf8 = (self._stream.encoding or "").lower().replace("-", "") == "utf8"
        text = json.dumps(value, ensure_ascii=not utf8)
        # A file name may hold bytes that are not UTF-8; JSON escapes them.
        return (
            json.dumps(value)
            if utf8 and any("\ud800" <= each <= "\udfff" for each in text)
            else text
        )

    def _line(self, text: str) -> None:
        self._stream.write(f"{text}\n")


class _Screen:
    """A terminal: text that folds between words, tables and colors, drawn by rich.

    A table that does not fit is shown as one block of fields for each row. No word is broken and no
    value is cut: a word that is longer than a line is left to the terminal.

    Args:
        stream: The terminal, or a pipe that gets colors and is never too narrow.
    """

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console as Terminal  # noqa: PLC0415 - slow
        from rich.text import Text  # noqa: PLC0415

        self.width = terminal_width(stream) or _UNLIMITED_COLUMNS
        self._text = Text
        system: Literal["auto", "standard"] = "auto" if os.name == "nt" else "standard"
        self._terminal = Terminal(
            file=stream,
            width=self.width,
            _environ=rich_environment(),
            color_system=system if has_colors(stream) else None,
            markup=False,
            highlight=False,
            emoji=False,
        )

    def line(self, line: Line) -> None:
        """Write a line, folded between words."""
        self._folded(self._text.assemble(*line))

    def unfolded(self, line: Line) -> None:
        """Write a line that the terminal itself breaks."""
        self._write(self._text.assemble(*line))

    def message(self, text: str, style: str) -> None:
        """Write a message with its first word in a style, folded, but not inside of a command."""
        for line in styled_text(text, style).split("\n", allow_blank=True):
            if _COMMAND in _QUOTED_COMMAND.sub("", line.plain):
                self._write(line)
            else:
                line.plain = _QUOTED_COMMAND.sub(_without_blanks, line.plain)
                first, sign, _ = line.plain.partition(": ")
                self._folded(line, len(first + sign) if sign and style else 0)
                style = ""

    def _folded(self, text: Text, label: int = 0) -> None:
        """Write a line; what follows a fold is indented, by the width of a label if it has one."""
        text.rstrip()
        if text.cell_len <= self.width:
            self._write(text)
            return
        indent = label or len(text.plain) - len(text.plain.lstrip(" "))
        hang = label or indent + len(_INDENT)
        for number, folded in enumerate(self._fold(text[indent:], self.width - hang)):
            before = self._text(" " * hang) if number else text[:indent]
            self._write(before.append_text(folded))

    def fields(self, cells: Mapping[str, _Cell]) -> None:
        """Write one line for each field: its name and its value."""
        label_width = max(map(len, cells), default=0) + len(_GAP)
        room = self.width - label_width
        for name, (text, style) in cells.items():
            label = self._text(name.ljust(label_width), "dim" if text else "")
            if _longest_word(text) > room:  # such as a path
                self._write(label)
                self._write(self._text.assemble(_INDENT, (text, style)))
                continue
            for number, folded in enumerate(self._fold(self._text(text, style), room)):
                before = self._text(" " * label_width) if number else label
                self._write(before.append_text(folded))

    def table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[_Cell]],
        optional: Sequence[str] = (),
        below: str = "",
    ) -> None:
        """Write a table, or a block of fields for each row where a table does not fit.

        Columns without any value are left out, then optional ones until the table fits. A few long
        words, such as paths, are written below their rows.

        Args:
            columns: The names of the columns.
            rows: The cells.
            optional: Columns that can be left out, in this order.
            below: The column that is written below its row, after the last of those that can be
                left out, if it was.
        """
        used = [n for n in range(len(columns)) if not rows or any(row[n][0] for row in rows)]
        columns, rows = [columns[n] for n in used], [[row[n] for n in used] for row in rows]
        for count in range(len(optional) + 1):
            left_out = {below, *optional[:count]}
            kept = [n for n, name in enumerate(columns) if name not in left_out]
            inside, widths = self._fitted(
                [columns[n] for n in kept], [[row[n] for n in kept] for row in rows]
            )
            if widths is not None:
                break
        else:
            self._blocks(columns, rows)
            return
        right = [
            _ID.fullmatch(columns[n]) is None
            and all(_NUMERIC.fullmatch(row[n][0]) for row in rows if row[n][0])
            for n in kept
        ]
        self._table_line([(_head(columns[n]), "bold") for n in kept], widths, right)
        for row, line in zip(rows, inside, strict=True):
            self._table_line(line, widths, right)
            for n, shown in zip(kept, line, strict=True):
                if row[n] != shown:
                    self.line((f"{2 * _INDENT}{columns[n]}: ", row[n]))
            cells = dict(zip(columns, row, strict=True))
            if below in cells and cells[below][0]:
                last = optional[-1] if count and count == len(optional) else below
                named = last != below and cells[last][0]
                before = f"{last} {cells[last][0]}, " if named else ""
                self.line((f"{2 * _INDENT}{before}{below}: ", cells[below]))

    def _fitted(
        self, columns: Sequence[str], rows: Sequence[Sequence[_Cell]]
    ) -> tuple[Sequence[Sequence[_Cell]], list[int] | None]:
        """Return the cells of a table, without a few long ones if it fits only so, and its widths.

        The widths are ``None`` if the table does not fit.
        """
        widths = self._column_widths(columns, rows)
        few = sum(any(map(_is_long, row)) for row in rows) <= len(rows) / 2
        if widths is not None or not few:
            return rows, widths
        inside = [[("", "") if _is_long(cell) else cell for cell in row] for row in rows]
        return inside, self._column_widths(columns, inside)

    def _blocks(self, columns: Sequence[str], rows: Iterable[Sequence[_Cell]]) -> None:
        """Write a block of fields for each row, without those that have no value."""
        for number, row in enumerate(rows):
            if number:
                self._write(self._text())
            self.fields({name: cell for name, cell in zip(columns, row, strict=True) if cell[0]})

    def _column_widths(
        self, columns: Sequence[str], rows: Sequence[Sequence[_Cell]]
    ) -> list[int] | None:
        """Return the widths of the columns of a table; ``None`` if it does not fit.

        The heads fold first, then the widest values.
        """
        heads = [*map(_head, columns)]
        texts = [[row[number][0] for row in rows] for number in range(len(heads))]
        values = [max(map(_width, column), default=0) for column in texts]
        words = [max(map(_longest_word, column), default=0) for column in texts]
        room = self.width - len(_GAP) * (len(heads) - 1)
        widths = [max(size) for size in zip(map(_width, heads), values, strict=True)]
        if sum(widths) <= room:
            return widths
        head_words = [*map(_longest_word, heads)]
        widths = [max(size) for size in zip(head_words, values, strict=True)]
        least = [
            max(head, word, min(value, _MIN_FOLDED_COLUMNS))
            for head, word, value in zip(head_words, words, values, strict=True)
        ]
        if sum(least) > room:
            return None
        while sum(widths) > room:
            wider = (number for number in range(len(widths)) if widths[number] > least[number])
            widths[max(wider, key=widths.__getitem__)] -= 1
        return widths

    def _table_line(
        self, cells: Sequence[_Cell], widths: Sequence[int], right: Sequence[bool]
    ) -> None:
        """Write the cells of a table, which may fold into several lines."""
        folded = [
            self._fold(self._text(text, style), width)
            for (text, style), width in zip(cells, widths, strict=True)
        ]
        for number in range(max(map(len, folded))):
            line = self._text()
            for lines, width, is_right in zip(folded, widths, right, strict=True):
                part = lines[number] if number < len(lines) else self._text()
                space = " " * (width - part.cell_len)
                line.append(space if is_right else "").append_text(part)
                line.append(("" if is_right else space) + _GAP)
            self._write(line)

    def _fold(self, text: Text, width: int) -> list[Text]:
        """Fold a text between its words; a longer word makes its line longer."""
        if text.cell_len <= width:
            return [text]
        lines = text.wrap(self._terminal, max(width, _longest_word(text.plain)), overflow="fold")
        for line in lines:
            line.rstrip()
        return list(lines)

    def _write(self, text: Text) -> None:
        text.plain = text.plain.replace(_UNBREAKABLE, " ")
        text.rstrip()
        self._terminal.print(text, soft_wrap=True)


def _without_blanks(command: re.Match[str]) -> str:
    return command[0].replace(" ", _UNBREAKABLE)


def has_colors(stream: TextIO) -> bool:
    """Return whether a stream gets colors: a terminal that is not dumb, unless variables differ.

    Source: https://no-color.org and https://force-color.org.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def terminal_width(stream: TextIO) -> int | None:
    """Return the columns of a terminal; ``None`` if the stream is not one."""
    if not stream.isatty():
        return None
    columns = _size_variable("COLUMNS")
    if columns is not None:
        return columns
    try:
        return os.get_terminal_size(stream.fileno()).columns or _DEFAULT_COLUMNS
    except (OSError, ValueError):  # not a real terminal
        return _DEFAULT_COLUMNS


def rich_environment() -> dict[str, str]:
    """Return the environment for a console of rich, whose layouts need some columns to end."""
    environment = dict(os.environ)
    for name in ("COLUMNS", "LINES"):
        environment.pop(name, None)
        size = _size_variable(name)
        if size is not None:
            environment[name] = str(size)
    columns = _size_variable("COLUMNS")
    for descriptor in (0, 1, 2):  # as rich does
        if columns is None:
            with suppress(OSError):
                columns = os.get_terminal_size(descriptor).columns or None
    if columns is not None and columns < _MIN_RICH_COLUMNS:
        environment["COLUMNS"] = str(_MIN_RICH_COLUMNS)
    return environment


def _size_variable(name: str) -> int | None:
    """Return the size of the terminal in a variable; ``None`` unless it is a positive number."""
    value = os.environ.get(name, "")
    if not (value.isascii() and value.isdigit()):
        return None
    digits = value.lstrip("0")
    if len(digits) > len(str(_UNLIMITED_COLUMNS)):
        return _UNLIMITED_COLUMNS
    return min(int(digits or 0), _UNLIMITED_COLUMNS) or None


def styled_text(text: str, style: str) -> Text:
    """Return a message with its first word in a style, such as ``error:``."""
    from rich.text import Text  # noqa: PLC0415 - slow

    first, sign, rest = text.partition(":")
    return Text.assemble((first + sign, style), rest)


def plain(text: str) -> str:
    """Return text with control characters and line breaks escaped; names are untrusted input."""
    if text.isprintable():
        return text
    return "".join(
        each if category(each)[0] not in "CZ" or each == " " else _escaped(each) for each in text
    )


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _cell(value: JSON) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, float):
        return f"{value:g}"
    return (
        plain(json.dumps(value, ensure_ascii=False)) if not isinstance(value, int) else f"{value}"
    )


def _unstyled(line: Line) -> str:
    return "".join(part if isinstance(part, str) else part[0] for part in line)


def _head(key: str) -> str:
    """Return the head of a column: its key without what the table does not need to distinguish."""
    return _NEEDLESS_IN_HEADS.sub("", key).replace("_", " ").upper()


def _shown(name: str, value: JSON, *, brief: bool = False) -> _Cell:
    """Return a value for people and its style: with separators and relative times.

    Args:
        name: Its key.
        value: The value.
        brief: Whether to leave out the exact time.
    """
    if isinstance(value, int) and not isinstance(value, bool) and _ID.fullmatch(name) is None:
        return f"{value:,}", ""
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return ", ".join(map(_cell, value)), ""
    text = _cell(value)
    if _TIME.fullmatch(text):
        return _relative_time(text, brief=brief), ""
    if _STATE.fullmatch(name):
        return text, _STYLES.get(text, "")
    return text, "red" if name == "problem" else ""


def _relative_time(text: str, *, brief: bool) -> str:
    """Return a time of ISO 8601 relative to now, unless it is long ago."""
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return text
    seconds = int(time.time() - moment.timestamp())
    unit, size = next(
        (item for item in _SECONDS_BY_UNIT if abs(seconds) >= item[1]), _SECONDS_BY_UNIT[-1]
    )
    count = abs(seconds) // size
    amount = f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''}"
    relative = f"{amount} ago" if seconds > 0 else f"in {amount}" if seconds else "now"
    if unit == "day" and count >= _MAX_RELATIVE_DAYS:
        relative = ""
    if brief:
        return relative or f"{moment:%Y-%m-%d}"
    exact = f"{moment:%Y-%m-%d %H:%M:%S} UTC"
    return f"{exact} ({relative})" if relative else exact


def _is_long(cell: _Cell) -> bool:
    return _longest_word(cell[0]) > _LONG_WORD_COLUMNS


def _longest_word(text: str) -> int:
    return max(map(_width, text.split()), default=0)


def _width(text: str) -> int:
    return sum(2 if east_asian_width(each) in "WF" else 1 for each in text)


def to_row(model: object) -> dict[str, JSON]:
    """Return a response model as JSON values, without fields that this version does not know.

    Times are ISO 8601 in UTC. Existing keys never change.

    Args:
        model: A customer list, an audience or an account.
    """
    return asdict(cast("AttrsInstance", model), filter=_is_shown, value_serializer=_plain)


def _is_shown(attribute: Attribute[object], _value: object) -> bool:
    # `exceptions` may quote records, and `extra` may hold anything.
    return attribute.name not in ("extra", "exceptions")


def _plain(_owner: object, _field: object, value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value) if isinstance(value, str) else value


class Console:
    """Standard error: notes, warnings, errors and questions, with answers from standard input.

    Write errors are ignored, so that a closed terminal does not stop a job.

    Args:
        stream: Where to write.
        form: Output format of the results; errors are JSON where results are.
        quiet: Whether to print warnings and errors only.
        verbose: 1 prints log messages, 2 also debug messages.
        log_format: Prints everything as lines with time, level and job id; ``None`` without them.

    Attributes:
        job_id: The job of the last event, for lines that do not come from a job.
    """

    def __init__(
        self,
        stream: TextIO,
        form: Format,
        *,
        quiet: bool,
        verbose: int,
        log_format: LogFormat | None = None,
    ) -> None:
        self.stream = stream
        self.quiet = quiet
        self.verbose = verbose
        self.log_format = log_format
        self.job_id: int | None = None
        # Set while a progress bar is shown; prints a text, with its first word in a style.
        self.printer: Callable[[str, str], None] | None = None
        self._json = form in ("json", "ndjson")

    @property
    def is_terminal(self) -> bool:
        """Whether the stream is a terminal."""
        return self.stream.isatty()

    def note(self, text: str) -> None:
        """Print a note, unless quiet."""
        if not self.quiet:
            self.write(text)

    def warn(self, text: str) -> None:
        """Print a warning."""
        self.log("warning", text, "yellow")

    def log(self, level: str, text: str, style: str = "") -> None:
        """Print a message with its level."""
        if self.log_format is None:
            self.write(f"{level}: {text}", style)
        else:
            self.write(text, level=level)

    def problem(self, problem: ErrorReport) -> None:
        """Print an error."""
        if self.log_format == "json":
            self.write(problem.message, level="error", fields=problem.to_dict())
            return
        if self._json and self.log_format is None:
            self.write(json.dumps(problem.to_dict()))
            return
        self.log("error", problem.message, "bold red")
        if problem.hint and problem.hint not in problem.message:
            self.write(f"  {problem.hint}")

    def write(
        self, text: str, style: str = "", *, level: str = "info", fields: Row | None = None
    ) -> None:
        """Print lines; escape what the encoding of the stream lacks.

        Args:
            text: The lines.
            style: Style of the first word.
            level: The level of the lines, for the log format.
            fields: More fields of the log format ``json``.
        """
        shown = "\n".join(map(plain, text.split("\n")))
        if self.log_format is not None and text:
            shown = self._log_line(level, shown, fields or {})
        with suppress(OSError, ValueError):  # the stream is closed
            encoding = self.stream.encoding or "utf-8"
            shown = shown.encode(encoding, "backslashreplace").decode(encoding)
            if self.printer is not None:
                self.printer(shown, style)
                return
            if self._needs_screen(shown, style):
                _Screen(cast("TextIO", BrokenPipeSafe(self.stream))).message(shown, style)
                return
            self.stream.write(f"{shown}\n")
            self.stream.flush()

    def _log_line(self, level: str, text: str, fields: Row) -> str:
        time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        job_id = current_job.get() or self.job_id
        if self.log_format == "json":
            line = {"time": time, "level": level, "job_id": job_id, "message": text, **fields}
            return json.dumps(line)
        job = "" if job_id is None else f" job {job_id}"
        return "\n".join(f"{time} {level}{job}: {line}" for line in text.split("\n"))

    def _needs_screen(self, text: str, style: str) -> bool:
        """Return whether a message is folded or colored; rich is slow to import."""
        width = terminal_width(self.stream)
        if width is None or self.log_format is not None or text.startswith("{"):
            return False  # a pipe, or for programs
        return (bool(style) and has_colors(self.stream)) or any(
            _width(line) > width for line in text.split("\n")
        )

    def ask(self, prompt: str) -> str | None:
        """Return an answer from standard input; ``None`` at its end, as after Ctrl-D."""
        with suppress(OSError, ValueError):  # the stream is closed
            self.stream.write(prompt)
            self.stream.flush()
        try:
            line = sys.stdin.readline()
        except KeyboardInterrupt:
            self.write("")  # what follows begins on a new line, not after ^C
            raise
        if not line:
            self.write("")
            return None
        return line.strip()

    def confirm(self, question: str, *, default: bool) -> bool:
        """Ask a question on a terminal; without one, or without an answer, return ``False``.

        Args:
            question: The question.
            default: The meaning of an empty line.
        """
        if not sys.stdin.isatty():
            return False
        answer = self.ask(f"{question} {'[Y/n]' if default else '[y/N]'} ")
        if answer is None:
            return False
        return answer.lower() in ("y", "yes") if answer else default

    @contextmanager
    def show_log(self) -> Generator[None, None, None]:
        """Print log messages of the package until the block ends.

        Warnings, or more with ``-v`` or ``PINTEREST_AUDIENCES_LOG``.
        """
        logger = logging.getLogger("pinterest_audiences")
        level = logger.level
        handler = _ConsoleHandler(self)
        shown = (logging.WARNING, logging.INFO, logging.DEBUG)[min(self.verbose, 2)]
        configured = log_level()
        handler.setLevel(shown if configured is None else min(shown, configured))
        logger.addHandler(handler)
        if self.verbose or configured is not None:
            logger.setLevel(handler.level)
        shown_by_python = warnings.showwarning
        if self.log_format is not None:
            warnings.showwarning = self._show_warning
        try:
            yield
        finally:
            warnings.showwarning = shown_by_python
            logger.removeHandler(handler)
            logger.setLevel(level)

    def _show_warning(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        *_place: object,
        **_options: object,
    ) -> None:
        del message  # of another package: it is not known to be free of secrets
        self.warn(f"{category.__name__} in {Path(filename).name}")


class BrokenPipeSafe:
    """A stream that ignores write errors, so that a closed terminal does not stop a job.

    Needed in the stream itself, because rich also draws bars in a thread.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, unless the stream is closed."""
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, unless the stream is closed."""
        with suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


class _ConsoleHandler(logging.Handler):
    """Log handler that prints to the console."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.log(record.levelname.lower(), record.getMessage())
