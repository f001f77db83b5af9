"""Records of one kind of identifier: the builder of the plain path, and that of the fast path.

`ScalarBuilder` (plain) normalizes each value with `identifiers`. `VectorBuilder` (fast) gives the
same results: a regular expression proves for a run of lines that `identifiers` would accept each of
them unchanged except for case and white space; such a run is lower-cased, split and hashed as a
whole. All other lines (unusual, long, placeholder, wrong, or not ASCII) are normalized one by one,
so the fast path has no rules that differ from `identifiers`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import groupby, product
from operator import ne
from typing import cast

from attrs import frozen

from pinterest_audiences._models import IdentifierType
from pinterest_audiences._records.chunks import (
    AsciiChunk,
    Chunk,
    RejectReason,
    RowChunk,
    WarningCode,
    to_ascii_chunk,
)
from pinterest_audiences._records.emails import PLACEHOLDER_LOCAL_PARTS
from pinterest_audiences._records.identifiers import (
    HEX_LENGTHS,
    KIND_NORMALIZERS,
    MOBILE_KINDS,
    HashAlgorithm,
    NormalizationOptions,
    Normalized,
    hash_function,
    normalize,
    normalize_all,
    placeholder_hashes,
)
from pinterest_audiences._records.report import Counters, DataWarning, column_findings

__all__ = ["ScalarBuilder", "VectorBuilder", "email_hasher"]


class ScalarBuilder:
    """Build records value by value; the reference for `VectorBuilder`."""

    def __init__(
        self, kind: IdentifierType, options: NormalizationOptions, counters: Counters
    ) -> None:
        self._normalizer = KIND_NORMALIZERS[kind]
        self._options = options
        self._counters = counters

    def build(self, chunk: Chunk) -> list[str]:
        """Return the records of a chunk, in order, and count its rejects and warnings."""
        records: list[str] = []
        self._counters.begin(chunk)
        self.build_cells(chunk.values, chunk.first, records)
        return records

    def findings(self) -> list[DataWarning]:
        """Return the findings about the column."""
        return column_findings(self._counters.forms, self._counters.warnings)

    def forms(self, _column: str) -> Mapping[str, int]:
        """Return the input forms of the records."""
        return self._counters.forms

    def build_cells(self, values: Sequence[object], first: int, records: list[str]) -> None:
        """Append the records of single cells, the first of which has the position `first`."""
        for position, value in enumerate(values, first):
            outcome = normalize(value, self._normalizer, self._options)
            if isinstance(outcome, Normalized):
                self._add(outcome, records)
                if self._counters.samples is not None:
                    self._add_samples(outcome, position, value)
            elif outcome is RejectReason.SEVERAL_ADDRESSES:  # rare, so it is normalized again
                self._add_all(value, position, records)
            else:
                self._counters.reject(position, outcome, value)

    def _add_all(self, value: object, position: int, records: list[str]) -> None:
        """Append a record for each person in a cell, or reject the cell."""
        outcomes = normalize_all(value, self._normalizer, self._options)
        if isinstance(outcomes, RejectReason):
            self._counters.reject(position, outcomes, value)
            return
        for outcome in outcomes:
            self._add(outcome, records)
            self._add_samples(outcome, position, value)

    def _add_samples(self, outcome: Normalized, position: int, value: object) -> None:
        self._counters.sample(outcome.form, position, value)
        if outcome.warning is not None:
            self._counters.sample(outcome.warning, position, value)

    def _add(self, outcome: Normalized, records: list[str]) -> None:
        records.append(outcome.record)
        self._counters.forms[outcome.form] += 1
        if outcome.warning is not None:
            self._counters.warnings[outcome.warning] += 1


@frozen
class _LinePattern:
    """Lines that need no further normalization, and how to turn them into records."""

    lines: re.Pattern[bytes]
    form: HashAlgorithm | None  # None for plain values
    to_records: Callable[[bytes], list[str]]


class VectorBuilder(ScalarBuilder):
    """Build records of many lines at once, with the results of `ScalarBuilder`.

    Args:
        kind: The kind of identifier in the cells.
        options: The options of the normalization.
        counters: The counters to update.
        trusted: Whether to rely on the regular expressions; ``None`` to test them first.
    """

    def __init__(
        self,
        kind: IdentifierType,
        options: NormalizationOptions,
        counters: Counters,
        *,
        trusted: bool | None = None,
    ) -> None:
        super().__init__(kind, options, counters)
        safe = _paths_agree(kind) if trusted is None else trusted
        self._patterns = _patterns(kind, options) if safe else ()
        self._mobile = kind in MOBILE_KINDS

    def build(self, chunk: Chunk) -> list[str]:
        """Return the records of a chunk, in order, and count its rejects and warnings."""
        records: list[str] = []
        self._counters.begin(chunk)
        if isinstance(chunk, AsciiChunk):
            self._build_lines(chunk.data, chunk.first, records)
        else:
            self._build_values(chunk.values, chunk.first, records)
        return records

    def _build_values(self, values: Sequence[object], first: int, records: list[str]) -> None:
        if not self._patterns:
            self.build_cells(values, first, records)
            return
        ascii_chunk = to_ascii_chunk(first, values)
        if ascii_chunk is not None:
            self._build_lines(ascii_chunk.data, first, records)
            return
        lines = _utf8_lines(values)
        if lines is not None:
            self._build_lines(lines, first, records)
            return
        for simple, run in _runs_of_simple_values(values):
            ascii_chunk = to_ascii_chunk(first, run) if simple else None
            if ascii_chunk is not None:
                self._build_lines(ascii_chunk.data, first, records)
            else:
                self.build_cells(run, first, records)
            first += len(run)

    def _build_lines(self, raw: bytes, first: int, records: list[str]) -> None:
        """Append the records of lines: runs that match a pattern, and other lines one by one."""
        block = raw.lower()
        start = self._build_hashes(raw, block, first, records)
        limit = _find_escape(block, start)
        while start < len(block):
            if limit < start:
                limit = _find_escape(block, start)
            pattern, end = self._match_run(block, start, limit)
            if pattern is None:
                end = block.index(b"\n", start) + 1
                cell = raw[start : end - 1].decode()
                self.build_cells([cell], first, records)
                first += 1
            else:
                first += self._build_run(pattern, raw[start:end], block[start:end], first, records)
            start = end

    def _build_hashes(self, raw: bytes, block: bytes, first: int, records: list[str]) -> int:
        """Build the records of a block of hashes of one length; return its length, or 0."""
        length = block.find(b"\n")
        for pattern in self._patterns:
            if pattern.form is not None and HEX_LENGTHS[pattern.form] == length:
                if not _all_hex(block, length):
                    return 0
                self._build_run(pattern, raw, block, first, records)
                return len(block)
        return 0

    def _match_run(self, block: bytes, start: int, limit: int) -> tuple[_LinePattern | None, int]:
        """Return the pattern that matches lines from `start` on, and the end of those lines."""
        for pattern in self._patterns:
            match = pattern.lines.match(block, start, limit)
            if match is not None and match.end() > start:
                return pattern, match.end()
        return None, start

    def _build_run(
        self, pattern: _LinePattern, raw: bytes, lines: bytes, first: int, records: list[str]
    ) -> int:
        """Append the records of matched lines, and return how many lines these are."""
        new_records = pattern.to_records(lines)
        if pattern.form is not None:
            if not placeholder_hashes().keys().isdisjoint(new_records):
                self.build_cells(_to_strings(raw), first, records)
                return len(new_records)
            self._count_warnings(pattern.form, raw, lines, len(new_records))
        if self._counters.samples is not None:
            self._sample_run(pattern.form, raw, lines, first)
        self._counters.forms[pattern.form or "plain"] += len(new_records)
        records += new_records
        return len(new_records)

    def _count_warnings(self, form: HashAlgorithm, raw: bytes, lines: bytes, count: int) -> None:
        warnings = self._counters.warnings
        upper = 0
        if raw != lines:
            upper = sum(map(ne, raw.split(b"\n"), lines.split(b"\n")))
            warnings[WarningCode.UPPER_CASE_HASH] += upper
        if self._mobile and form == HashAlgorithm.MD5 and count > upper:
            warnings[WarningCode.MAYBE_UNDASHED_ID] += count - upper

    def _sample_run(self, form: HashAlgorithm | None, raw: bytes, lines: bytes, first: int) -> None:
        """Add samples of matched lines, which are split only while samples are missing."""
        counters, samples = self._counters, self._counters.samples
        causes: list[str] = [form or "plain"]
        may_be_id = self._mobile and form == HashAlgorithm.MD5
        if may_be_id:
            causes.append(WarningCode.MAYBE_UNDASHED_ID)
        if form is not None and raw != lines:
            causes.append(WarningCode.UPPER_CASE_HASH)
        if samples is None or not any(map(samples.has_room, causes)):
            return
        for position, cell in enumerate(_to_strings(raw), first):
            counters.sample(form or "plain", position, cell)
            if form is not None and cell != cell.lower():
                counters.sample(WarningCode.UPPER_CASE_HASH, position, cell)
            elif may_be_id:
                counters.sample(WarningCode.MAYBE_UNDASHED_ID, position, cell)


def _patterns(kind: IdentifierType, options: NormalizationOptions) -> tuple[_LinePattern, ...]:
    hashed = tuple(_LinePattern(lines, form, _to_strings) for lines, form in _HEX_LINES)
    if kind == IdentifierType.EMAIL:
        records = _to_trimmed_strings if options.plain_emails else email_hasher(options.algorithm)
        return _LinePattern(_EMAIL_LINES, None, records), *hashed
    if kind in MOBILE_KINDS:
        upper = kind == IdentifierType.IDFA and options.idfa_case == "upper"
        records = _hasher(options.algorithm, _split_upper if upper else _split_lines)
        return _LinePattern(_MOBILE_LINES, None, records), *hashed
    return hashed if kind == IdentifierType.HASHED_PINNER_ID else ()


def _hasher(
    algorithm: HashAlgorithm, split: Callable[[bytes], list[bytes]]
) -> Callable[[bytes], list[str]]:
    function = hash_function(algorithm)
    to_hex = type(function(b"")).hexdigest
    return lambda lines: list(map(to_hex, map(function, split(lines))))


def email_hasher(algorithm: HashAlgorithm) -> Callable[[bytes], list[str]]:
    """Return a function that hashes lower-cased, matched lines of e-mails."""
    return _hasher(algorithm, _split_trimmed)


def _compile_email_lines() -> re.Pattern[bytes]:
    # 64 + 1 + 2 * 64 + 63 bytes are within the limits of `emails`. Domains of more labels, and
    # everything that `emails` may reject or change, do not match.
    # Possessive repeats of single characters only: around a group that can backtrack they match
    # wrongly before CPython 3.11.5 (gh-106052).
    # The apostrophe, the grave accent and "=" do not match either: they may be an escape.
    local = f"(?!{_match_any(PLACEHOLDER_LOCAL_PARTS)}@)" + r"[a-z0-9.!#$&*+/?^_{|}~-]{1,64}+"
    label = r"(?!example\.|xn--)[a-z0-9][a-z0-9-]{0,62}+(?<!-)\."
    top = r"(?!test|example|invalid|localhost)[a-z]{2,62}+"
    line = rf"(?:[ \t\r]*+{local}@{label}(?:{top}|{label}{top})[ \t\r]*+\n)*"
    return re.compile(line.encode())


def _match_any(words: Iterable[str]) -> str:
    """Return an expression for any of the words that reads each letter once (a trie)."""
    rests: dict[str, list[str]] = {}
    for word in words:
        rests.setdefault(word[:1], []).append(word[1:])
    ways = [re.escape(letter) + _match_any(rests[letter]) for letter in sorted(rests) if letter]
    if "" in rests:
        ways.append("")
    return f"(?:{'|'.join(ways)})" if len(ways) > 1 else "".join(ways)


_EMAIL_LINES = _compile_email_lines()
_HEX_LINES = tuple(
    (re.compile(rb"(?:[0-9a-f]{%d}\n)*" % length), algorithm)
    for algorithm, length in HEX_LENGTHS.items()
)
_MOBILE_LINES = re.compile(
    rb"(?:(?!0{8}-)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\n)*"
)
_ESCAPE = re.compile(rb"_x[0-9a-f]{4}_")  # of a workbook; rare, so one search per block finds all


def _find_escape(block: bytes, position: int) -> int:
    """Return the start of the next line with an escape, or the end of the block."""
    escape = _ESCAPE.search(block, position)
    return len(block) if escape is None else block.rfind(b"\n", 0, escape.start()) + 1


def _all_hex(block: bytes, length: int) -> bool:
    """Return whether all lines of a block have `length` hexadecimal digits."""
    count, rest = divmod(len(block), length + 1)
    if rest or block[length :: length + 1] != b"\n" * count:
        return False
    try:
        digests = bytes.fromhex(block.decode("ascii"))  # skips white space, also inside a line
    except ValueError:
        return False
    return 2 * len(digests) == count * length


_WHITE_SPACE = (b" ", b"\t", b"\r")


def _split_lines(lines: bytes) -> list[bytes]:
    cells = lines.split(b"\n")
    cells.pop()  # empty: the text after the last newline
    return cells


def _split_upper(lines: bytes) -> list[bytes]:
    return _split_lines(lines.upper())


def _split_trimmed(lines: bytes) -> list[bytes]:
    return _split_lines(_remove_white_space(lines))


def _remove_white_space(lines: bytes) -> bytes:
    for edge in _WHITE_SPACE:
        if edge in lines:
            lines = lines.replace(edge, b"")  # matched lines have it at the edges only
    return lines


def _to_strings(lines: bytes) -> list[str]:
    return lines.decode("ascii").split("\n")[:-1]


def _to_trimmed_strings(lines: bytes) -> list[str]:
    return _to_strings(_remove_white_space(lines))


def _utf8_lines(values: Sequence[object]) -> bytes | None:
    """Return non-ASCII text as UTF-8 lines; no expression matches a non-ASCII line."""
    if set(map(type, values)) != {str}:
        return None
    try:
        lines = "\n".join(cast("Sequence[str]", values)).encode()
    except UnicodeEncodeError:  # a lone surrogate
        return None
    return lines + b"\n" if lines.count(b"\n") == len(values) - 1 else None


def _runs_of_simple_values(values: Sequence[object]) -> Iterator[tuple[bool, list[object]]]:
    for simple, run in groupby(values, _is_simple):
        yield simple, list(run)


def _is_simple(value: object) -> bool:
    return type(value) is str and value.isascii() and "\n" not in value


_SHA256, _MD5 = "9f86d081" * 8, "c4ca4238" * 4
_MOBILE = "38400000-8cf0-11bd-b23e-10b96e40000d"
_CHECK_LINES = (
    *("ann@shop.de", "Bob@mail.shop.co.uk", " eve@a-b.com\t", "x+y@1.org", "o'neil@sub.shop.io"),
    *("o''neil@shop.de", "`ann@shop.de", "m=c3=bcller@shop.de", "a_x00fc_b@shop.de", "a@xn--a.de"),
    *("a@ab--xn--c.de", "a@shop.xn--c.de"),
    *("noreply@shop.de", "test@test.com", "tester@shop.de", "ann@example.com", "ann@x.test"),
    *("ann", "", "ann@", "@shop.de", "ann@@shop.de", "ann@shop", "ann@shop.d", "ann@-shop.de"),
    *("ann@shop-.de", "ann@sh..de", "an n@shop.de", "a,b@shop.de", "ann@shop.de bob@shop.de"),
    *("'ann@shop.de", "ann%40shop.de@shop.de", "<ann@shop.de>", "l" * 65 + "@shop.de"),
    *("ann@" + "l" * 64 + ".de", "ann@a.b.c.d.de", "ann@1.2.3.4", "ann@shop.xn--p1ai"),
    *(_SHA256, _SHA256.upper(), _SHA256[1:], "e3b0" * 10, _MD5, _MD5 + "0", "0" * 64),
    *(_MOBILE, _MOBILE.upper(), _MOBILE[1:], _MOBILE.replace("-", ""), "0" * 32),
)


@cache
def _paths_agree(kind: IdentifierType) -> bool:
    """Return whether both builders agree on test lines; with a defective `re` they do not."""
    good = ("ann@shop.de", _SHA256, _MOBILE)
    mixed = [line for pair in product(_CHECK_LINES, good) for line in pair]
    try:
        return all(
            _result_of(partial(VectorBuilder, trusted=True), kind, lines)
            == _result_of(ScalarBuilder, kind, lines)
            for lines in (_CHECK_LINES, _CHECK_LINES[::-1], mixed)
        )
    except ValueError:  # a match ended inside a line
        return False


def _result_of(
    make: Callable[[IdentifierType, NormalizationOptions, Counters], ScalarBuilder],
    kind: IdentifierType,
    lines: Sequence[str],
) -> tuple[object, ...]:
    counters = Counters()
    records = make(kind, NormalizationOptions(), counters).build(RowChunk(1, lines))
    return records, counters.rejects, counters.first_rows, +counters.forms, +counters.warnings
