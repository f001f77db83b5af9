"""Standard output: data and nothing else, as a table, JSON, NDJSON or CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TextIO, TypeAlias
from unicodedata import category, east_asian_width

if TYPE_CHECKING:
    from pinterest_audiences.models import JSON

__all__ = ["FORMATS", "Format", "Output", "plain"]

Format: TypeAlias = Literal["table", "json", "ndjson", "csv"]
FORMATS: tuple[Format, ...] = ("table", "json", "ndjson", "csv")
Row: TypeAlias = "Mapping[str, JSON]"


class Output:
    """Writes results. Each is one row, or many; a row always has the same names.

    Args:
        stream: Where to.
        form: In which form.
    """

    def __init__(self, stream: TextIO, form: Format) -> None:
        self._stream = stream
        self.form = form

    def row(self, row: Row) -> None:
        """Write one result: an object, or in a table one line for each name."""
        if self.form == "table":
            width = max(map(len, row), default=0)
            for name, value in row.items():
                self._line(f"{name:<{width}}  {_cell(value)}".rstrip())
        elif self.form == "csv":
            self._csv([list(row), list(map(_cell, row.values()))])
        else:
            self._line(self._json(row))
        self._stream.flush()

    def rows(self, rows: Iterable[Row], columns: Sequence[str]) -> None:
        """Write many results as they come; a table and CSV show these columns.

        Args:
            rows: The results.
            columns: Names that each of them has; none of them is needed for JSON.
        """
        if self.form == "table":
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

    def _table(self, cells: list[list[str]], columns: Sequence[str]) -> None:
        lines = [[name.replace("_", " ").upper() for name in columns], *cells]
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
        # The name of a file may hold bytes that are no text; in JSON they are escaped.
        return (
            json.dumps(value)
            if utf8 and any("\ud800" <= each <= "\udfff" for each in text)
            else text
        )

    def _line(self, text: str) -> None:
        self._stream.write(f"{text}\n")


def plain(text: str) -> str:
    """Return text that cannot steer a terminal, nor break its line: names come from elsewhere."""
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


def _width(text: str) -> int:
    return sum(2 if east_asian_width(each) in "WF" else 1 for each in text)
