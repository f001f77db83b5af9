"""Rows of several identifiers: each cell by the rule of its column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import cast

from pinterest_audiences.models import RecordRow
from pinterest_audiences.records.chunks import Chunk, Values
from pinterest_audiences.records.columns import ColumnChoice
from pinterest_audiences.records.identifiers import (
    COLUMN_RULES,
    Identified,
    Rules,
    identify,
)
from pinterest_audiences.records.reasons import Fault, Note, RejectReason
from pinterest_audiences.records.report import Finding, FindingKind, Tally, column_findings

__all__ = ["RowWorker"]


class RowWorker:
    """Make rows of chunks of tuples.

    A row is rejected when no cell of it can be sent; or, where ``whole_rows`` is asked for, when
    any cell is wrong. Otherwise the wrong cell is left out and counted. Empty cells are no fault.
    """

    def __init__(
        self, choice: ColumnChoice, rules: Rules, tally: Tally, *, whole_rows: bool
    ) -> None:
        self._choice = choice
        self._rules = rules
        self._tally = tally
        self._whole_rows = whole_rows
        self._forms: dict[str, Counter[str]] = {}
        self._notes: dict[str, Counter[Note]] = {}
        self._left_out: Counter[tuple[str, RejectReason]] = Counter()

    def work(self, chunk: Chunk) -> list[RecordRow]:
        """Return the rows of a chunk, in order, and count everything else.

        Raises:
            TypeError: The chunk is a block of one column.
        """
        self._tally.rows += chunk.count
        rows = cast("Values", chunk)  # blocks are of one column
        made: list[RecordRow] = []
        for number, value in enumerate(rows.values, rows.first):
            outcome = self._row(cast("Sequence[object] | Fault", value))
            if isinstance(outcome, RecordRow):
                made.append(outcome)
            else:
                self._tally.reject(number, outcome, value)
        return made

    def findings(self) -> list[Finding]:
        """Tell what is odd about each column."""
        found: list[Finding] = []
        for column in self._choice.targets:
            forms = self._forms.get(column, Counter())
            found += column_findings(forms, self._notes.get(column, Counter()), column)
        for (column, reason), count in sorted(self._left_out.items()):
            found.append(Finding(FindingKind.CELLS_LEFT_OUT, count, column, reason))
        return found

    def _row(self, cells: Sequence[object] | Fault) -> RecordRow | RejectReason:
        if isinstance(cells, Fault):
            return cells.reason
        good: dict[str, Identified] = {}
        faults: dict[str, RejectReason] = {}
        for column, cell in zip(self._choice.targets, cells, strict=True):
            outcome = identify(cell, COLUMN_RULES[column], self._rules)
            if isinstance(outcome, Identified):
                good[column] = outcome
            elif outcome != RejectReason.EMPTY:
                faults[column] = outcome
        if faults and (self._whole_rows or not good):
            return next(iter(faults.values()))
        if not good:
            return RejectReason.EMPTY
        self._count(good, faults)
        return RecordRow(**{column: outcome.record for column, outcome in good.items()})

    def _count(self, good: Mapping[str, Identified], faults: Mapping[str, RejectReason]) -> None:
        for column, outcome in good.items():
            self._tally.forms[outcome.form] += 1
            self._forms.setdefault(column, Counter())[outcome.form] += 1
            if outcome.note is not None:
                self._notes.setdefault(column, Counter())[outcome.note] += 1
        self._left_out.update(faults.items())
