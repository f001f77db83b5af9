"""The fast path: whole blocks of cells at once, with the results of the plain path.

One regular expression per shape proves, for a run of lines, that the plain path would take each of
them as it stands; such a run is lowered, split and hashed without looking at single cells. What it
does not prove (odd, long, rubbish, wrong, or not ASCII) goes to `identifiers`, line by line. So the
fast path knows no rule of its own: it only knows lines about which the rules have nothing to say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import ne

from attrs import frozen

from pinterest_audiences.records.chunks import Block, Chunk, block_of
from pinterest_audiences.records.emails import RUBBISH_WORDS
from pinterest_audiences.records.hashing import HashAlgorithm, hash_function
from pinterest_audiences.records.identifiers import (
    KIND_RULES,
    Identified,
    IdentifierKind,
    Rules,
    identify,
    worthless,
)
from pinterest_audiences.records.reasons import Note
from pinterest_audiences.records.report import Finding, Tally, column_findings

__all__ = ["BlockWorker", "PlainWorker", "email_hasher"]

_EDGES = (b" ", b"\t", b"\r")
_HEX_LINES = tuple(
    (re.compile(rb"(?:[0-9a-f]{%d}\n)*+" % length), algorithm)
    for length, algorithm in (
        (64, HashAlgorithm.SHA256),
        (40, HashAlgorithm.SHA1),
        (32, HashAlgorithm.MD5),
    )
)
_MOBILE_LINES = re.compile(
    rb"(?:(?!0{8}-)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\n)*+"
)
_MOBILE_KINDS = frozenset({IdentifierKind.MAID, IdentifierKind.IDFA})


def _email_lines() -> re.Pattern[bytes]:
    # Bounds as in `emails`: 64 + 1 + 2 * 64 + 63 octets are less than what it allows at most.
    # Domains of more labels, and all that it may want to look at, are left to it.
    local = f"(?!{_any_of(RUBBISH_WORDS)}@)" + r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}+"
    label = r"(?!example\.)[a-z0-9][a-z0-9-]{0,62}+(?<!-)\."
    top = r"(?!test|example|invalid|localhost)[a-z]{2,62}+"
    line = rf"(?:[ \t\r]*+{local}@(?:{label}){{1,2}}+{top}[ \t\r]*+\n)*+"
    return re.compile(line.encode())


def _any_of(words: Iterable[str]) -> str:
    """Return an expression for any of the words that looks at each letter once."""
    rests: dict[str, list[str]] = {}
    for word in words:
        rests.setdefault(word[:1], []).append(word[1:])
    ways = [re.escape(letter) + _any_of(rests[letter]) for letter in sorted(rests) if letter]
    if "" in rests:
        ways.append("")
    return f"(?:{'|'.join(ways)})" if len(ways) > 1 else "".join(ways)


_EMAIL_LINES = _email_lines()


class PlainWorker:
    """Make records of chunks, cell by cell: the path that shows what is meant."""

    def __init__(self, kind: IdentifierKind, rules: Rules, tally: Tally) -> None:
        self._rule = KIND_RULES[kind]
        self._rules = rules
        self._tally = tally

    def work(self, chunk: Chunk) -> list[str]:
        """Return the records of a chunk, in order, and count everything else."""
        records: list[str] = []
        values = chunk.values() if isinstance(chunk, Block) else chunk.values
        self._tally.rows += chunk.count
        self.cells(values, chunk.first, records)
        return records

    def findings(self) -> list[Finding]:
        """Tell what is odd about the column."""
        return column_findings(self._tally.forms, self._tally.notes)

    def cells(self, values: Sequence[object], first: int, records: list[str]) -> None:
        """Append the records of single cells."""
        tally = self._tally
        for row, value in enumerate(values, first):
            outcome = identify(value, self._rule, self._rules)
            if isinstance(outcome, Identified):
                records.append(outcome.record)
                tally.forms[outcome.form] += 1
                if outcome.note is not None:
                    tally.notes[outcome.note] += 1
            else:
                tally.reject(row, outcome, value)


@frozen
class _Shape:
    """Lines that the rules take as they stand, and what becomes of them."""

    lines: re.Pattern[bytes]
    form: HashAlgorithm | None  # None: they are plain
    records: Callable[[bytes], list[str]]


class BlockWorker(PlainWorker):
    """Make records of chunks, block by block: the same results as those of the plain path."""

    def __init__(self, kind: IdentifierKind, rules: Rules, tally: Tally) -> None:
        super().__init__(kind, rules, tally)
        self._shapes = _shapes(kind, rules)
        self._mobile = kind in _MOBILE_KINDS

    def work(self, chunk: Chunk) -> list[str]:
        """Return the records of a chunk, in order, and count everything else."""
        records: list[str] = []
        self._tally.rows += chunk.count
        if isinstance(chunk, Block):
            self._block(chunk.data, chunk.first, records)
        else:
            self._values(chunk.values, chunk.first, records)
        return records

    def _values(self, values: Sequence[object], first: int, records: list[str]) -> None:
        if not self._shapes:
            self.cells(values, first, records)
            return
        whole = block_of(first, values)
        if whole is not None:
            self._block(whole.data, first, records)
            return
        for simple, run in _runs(values):
            block = block_of(first, run) if simple else None
            if block is not None:
                self._block(block.data, first, records)
            else:
                self.cells(run, first, records)
            first += len(run)

    def _block(self, raw: bytes, row: int, records: list[str]) -> None:
        block = raw.lower()
        position = 0
        while position < len(block):
            shape, end = self._longest_run(block, position)
            if shape is None:
                end = block.index(b"\n", position) + 1
                cell = raw[position : end - 1].decode("ascii")
                self.cells([cell], row, records)
                row += 1
            else:
                row += self._run(shape, raw[position:end], block[position:end], row, records)
            position = end

    def _longest_run(self, block: bytes, position: int) -> tuple[_Shape | None, int]:
        for shape in self._shapes:
            found = shape.lines.match(block, position)
            if found is not None and found.end() > position:
                return shape, found.end()
        return None, position

    def _run(self, shape: _Shape, raw: bytes, lines: bytes, row: int, records: list[str]) -> int:
        made = shape.records(lines)
        if shape.form is not None:
            if not worthless().keys().isdisjoint(made):
                self.cells(raw.decode("ascii").split("\n")[:-1], row, records)
                return len(made)
            self._note(shape.form, raw, lines)
        self._tally.forms[shape.form or "plain"] += len(made)
        records += made
        return len(made)

    def _note(self, form: HashAlgorithm, raw: bytes, lines: bytes) -> None:
        notes = self._tally.notes
        count = lines.count(b"\n")
        upper = 0
        if raw != lines:
            upper = sum(map(ne, raw.split(b"\n"), lines.split(b"\n")))
            notes[Note.UPPER_CASE_HASH] += upper
        if self._mobile and form == HashAlgorithm.MD5 and count > upper:
            notes[Note.MAYBE_UNDASHED_ID] += count - upper


def _shapes(kind: IdentifierKind, rules: Rules) -> tuple[_Shape, ...]:
    hashed = tuple(_Shape(lines, form, _strings) for lines, form in _HEX_LINES)
    if kind == IdentifierKind.EMAIL:
        records = _trimmed_strings if rules.plain_emails else email_hasher(rules.algorithm)
        return _Shape(_EMAIL_LINES, None, records), *hashed
    if kind in _MOBILE_KINDS:
        upper = kind == IdentifierKind.IDFA and rules.idfa_case == "upper"
        records = _hasher(rules.algorithm, _upper if upper else _lines)
        return _Shape(_MOBILE_LINES, None, records), *hashed
    return hashed if kind == IdentifierKind.HASHED_PINNER_ID else ()


def _hasher(
    algorithm: HashAlgorithm, cells: Callable[[bytes], list[bytes]]
) -> Callable[[bytes], list[str]]:
    function = hash_function(algorithm)
    return lambda lines: [digest.hexdigest() for digest in map(function, cells(lines))]


def email_hasher(algorithm: HashAlgorithm) -> Callable[[bytes], list[str]]:
    """Return what hashes proven, lowered lines of e-mails."""
    return _hasher(algorithm, _trimmed)


def _lines(lines: bytes) -> list[bytes]:
    cells = lines.split(b"\n")
    cells.pop()  # what follows the last newline: nothing
    return cells


def _upper(lines: bytes) -> list[bytes]:
    return _lines(lines.upper())


def _trimmed(lines: bytes) -> list[bytes]:
    return _lines(_without_edges(lines))


def _without_edges(lines: bytes) -> bytes:
    for edge in _EDGES:
        if edge in lines:
            lines = lines.replace(edge, b"")  # proven: they stand at the edges only
    return lines


def _strings(lines: bytes) -> list[str]:
    return lines.decode("ascii").split("\n")[:-1]


def _trimmed_strings(lines: bytes) -> list[str]:
    return _strings(_without_edges(lines))


def _runs(values: Sequence[object]) -> Iterator[tuple[bool, list[object]]]:
    for simple, run in groupby(values, _is_simple):
        yield simple, list(run)


def _is_simple(value: object) -> bool:
    return type(value) is str and value.isascii() and "\n" not in value
