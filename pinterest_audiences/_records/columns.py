"""Selection of the columns to read: names, values, and the choice between candidates.

A column is selected by its name or number, or found: its name must match the kind of identifier,
and the values of the first rows must confirm it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from functools import lru_cache
from typing import TypeAlias, cast

from attrs import fields, frozen

from pinterest_audiences._errors import ConfigurationError, SourceError, Suggestion, suggest
from pinterest_audiences._models import IdentifierType, RecordRow
from pinterest_audiences._records.chunks import RejectReason, UnreadableRow, cell_to_text, trim
from pinterest_audiences._records.identifiers import MOBILE_KINDS
from pinterest_audiences._redaction import show_argument

__all__ = [
    "DIGEST_BYTES",
    "ROW_COLUMNS",
    "ColumnSelection",
    "Columns",
    "Evidence",
    "NameMatch",
    "check_column",
    "check_columns",
    "column_evidence",
    "display_name",
    "is_address",
    "is_column_name",
    "is_hashing_result",
    "is_identifier",
    "looks_like_data",
    "match_columns",
    "match_name",
    "name_series",
    "normalize_name",
]


ROW_COLUMNS = tuple(column.name for column in fields(RecordRow))
Columns: TypeAlias = "str | int | Sequence[str | int]"
"""A column by its name or its number, counted from 1; or several."""
_EMAIL_NAMES = (
    "email emails emailaddress emailaddresses mail mailaddress useremail customeremail "
    "contactemail subscriberemail primaryemail emailhash hashedemail emailhashed emailsha256 "
    "sha256email emailsha1 emailmd5 hem emailid emailrequired"
)
_MOBILE_NAMES = "mobileadid mobileadvertisingid advertisingid mobileid deviceid adid"
_NAMES_BY_KIND: Mapping[IdentifierType, frozenset[str]] = {
    kind: frozenset(names.split())
    for kind, names in {
        IdentifierType.EMAIL: _EMAIL_NAMES,
        IdentifierType.MAID: f"maid maids madid gaid aaid hashedmaid maidsha256 {_MOBILE_NAMES}",
        IdentifierType.IDFA: f"idfa idfas hashedidfa idfasha256 {_MOBILE_NAMES}",
        IdentifierType.HASHED_PINNER_ID: "hashedpinnerid hashedpinnerids",
        IdentifierType.LR_ID: "lrid lrids liverampid rampid",
        IdentifierType.DLX_ID: "dlxid dlxids dataaxleid",
    }.items()
}
_EMAIL_WORDS = (
    "mail", "メール", "邮箱", "邮件", "郵件", "郵箱", "電郵", "电邮", "信箱",
    "이메일", "메일", "전자우편", "почта", "почты", "пошта", "имейл", "имэйл", "мейл",
    "электронный адрес", "эл. адрес", "e-posta", "e-post", "sähköposti", "correo", "courriel",
    "adresse électronique", "correio eletrônico", "correio eletrónico", "endereço eletrônico",
    "posta elettronica", "poczta elektroniczna", "elektronická pošta", "e-pošta", "netfang",
    "tölvupóst", "el. paštas", "elektroninis paštas", "e-pasts", "thư điện tử", "drótposta",
    "ηλεκτρονικό ταχυδρομείο", "ηλ. ταχυδρομείο", "אימייל", 'דוא"ל', "דואר אלקטרוני",
    "البريد", "بريد", "ایمیل", "پست الکترونیک", "อีเมล", "ईमेल", "ইমেইল", "மின்னஞ்சல்",
)  # fmt: skip
_WHOLE_EMAIL_WORDS = ("mél", "surel", "emel", "poczta")  # parts of other words in other languages
# Words in the names of columns with data about an address, such as "email_opt_in".
_EMAIL_METADATA = re.compile(
    "opt|consent|status|subscri|valid|verif|bounc|count|date|time|sent|open|click|templat|subject|"
    "type|permission|accept|allow|mailing|chimp|domain|provider|einwillig|erlaub"
)


class NameMatch(IntEnum):
    """How well the name of a column matches a kind of identifier."""

    NONE = 0
    ABOUT = 1  # such as "email_opt_in"
    LIKELY = 2  # such as "billing_email"
    PLAIN = 3  # such as "E-Mail"


@lru_cache(maxsize=4096)
def normalize_name(name: str) -> str:
    """Return the letters and digits of a name, without case and accents."""
    text = unicodedata.normalize("NFKD", name.casefold())
    text = "".join(letter for letter in text if not unicodedata.combining(letter))
    return re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", text))


_NORMALIZED_EMAIL_WORDS = tuple(map(normalize_name, _EMAIL_WORDS))
_NORMALIZED_WHOLE_WORDS = frozenset(map(normalize_name, _WHOLE_EMAIL_WORDS))


def match_name(kind: IdentifierType, name: str) -> NameMatch:
    """Return how well the name of a column matches a kind."""
    if is_address(name):
        return NameMatch.NONE
    text = normalize_name(name)
    if name_series(kind, name) in _NAMES_BY_KIND[kind]:
        return NameMatch.PLAIN
    if kind != IdentifierType.EMAIL:
        return NameMatch.NONE
    if text in _NORMALIZED_WHOLE_WORDS or any(word in text for word in _NORMALIZED_EMAIL_WORDS):
        return NameMatch.ABOUT if _EMAIL_METADATA.search(text) else NameMatch.LIKELY
    return NameMatch.NONE


def name_series(kind: IdentifierType, name: str) -> str:
    """Return the common part of the names of a series, such as "Email 1" and "Email 2".

    The two columns of the query of `_hashing_sql` are a series, so that both are read.
    """
    text = normalize_name(name)
    if text == f"{kind}toclean":
        return f"{kind}sha256"
    return text if text in _NAMES_BY_KIND[kind] else re.sub(r"[0-9]+", "", text)


def is_hashing_result(kind: IdentifierType | None, names: Sequence[str]) -> bool:
    """Return whether the columns are those of the query of `_hashing_sql`."""
    return kind is not None and {f"{kind}sha256", f"{kind}toclean"} == set(
        map(normalize_name, names)
    )


def is_column_name(text: str) -> bool:
    """Return whether a single cell is the name of a column."""
    return text in ROW_COLUMNS or any(
        match_name(kind, text) >= NameMatch.LIKELY for kind in IdentifierType
    )


def match_columns(selector: str, names: Sequence[str]) -> tuple[int, ...]:
    """Return the indexes of a name: all exact matches, else all that differ in form only."""
    exact = tuple(index for index, name in enumerate(names) if name == selector)
    key = normalize_name(selector)
    if exact or not key:
        return exact
    return tuple(index for index, name in enumerate(names) if normalize_name(name) == key)


_ADDRESS = re.compile(r"[^\s@\uff20][@\uff20][^\s@\uff20]")
_DIGEST_OR_ID = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-")
_NUMBER = re.compile(r"[\s+()./\-:]*[0-9][0-9\s+()./,\-:]*")
_NOT_SHOWN = re.compile(r"@|[0-9]{6}|[\x00-\x1f\x7f]")
_MAX_NAME_CHARACTERS = 60


def is_address(text: str) -> bool:
    """Return whether a text is or contains something like an e-mail address."""
    return _ADDRESS.search(text) is not None


def is_identifier(text: str) -> bool:
    """Return whether a text contains an e-mail address, a hash or a mobile id."""
    return is_address(text) or _DIGEST_OR_ID.search(text) is not None


def looks_like_data(names: Iterable[str]) -> bool:
    """Return whether a header is a row of data, whose cells must not appear in an error."""
    return any(is_identifier(name) or _NUMBER.fullmatch(name.strip() or "-") for name in names)


def display_name(name: str, number: int) -> str:
    """Return a name for an error: shortened, or the column number if the name may be data."""
    if _NOT_SHOWN.search(name) and match_name(IdentifierType.EMAIL, name) < NameMatch.PLAIN:
        return f"column {number}"
    return repr(name if len(name) <= _MAX_NAME_CHARACTERS else name[:_MAX_NAME_CHARACTERS] + "…")


_DIGEST = re.compile(
    r"(?:(?:0x|(?:sha-?256|sha-?1|md5)[:=-])?[0-9a-f]{32,128}|[a-z0-9+/_-]{22,64}={0,2})",
    re.IGNORECASE,
)
_MOBILE_ID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.I)
DIGEST_BYTES = frozenset({16, 20, 32})
"""Lengths of raw MD5, SHA-1 and SHA-256 digests."""
# Kinds whose values can be recognized by their form.
_RECOGNIZABLE_KINDS = frozenset(
    {IdentifierType.EMAIL, IdentifierType.HASHED_PINNER_ID, *MOBILE_KINDS}
)


class Evidence(IntEnum):
    """What the first values of a column show about its kind."""

    NO_VALUE_OF_KIND = 0  # none of its values is an identifier of the kind
    UNKNOWN = 1  # no values, or the kind cannot be recognized
    DIGESTS = 2  # some of its values are hashes
    PLAIN = 3  # some of its values are plain identifiers of the kind


def column_evidence(
    kind: IdentifierType, columns: int, sample: Sequence[Sequence[object]]
) -> list[Evidence]:
    """Return the evidence for each column in a sample of rows."""
    if kind not in _RECOGNIZABLE_KINDS:
        return [Evidence.UNKNOWN] * columns
    cells = [[row[index] for row in sample if index < len(row)] for index in range(columns)]
    return [_evidence(kind, column) for column in cells]


def _evidence(kind: IdentifierType, cells: Sequence[object]) -> Evidence:
    filled = [cell for cell in _flatten_cells(cells) if cell_to_text(cell) != RejectReason.EMPTY]
    texts = [text for cell in filled if isinstance(cell, str) and (text := trim(cell))]
    if any(_is_plain(kind, text) for text in texts):
        return Evidence.PLAIN
    if any(_DIGEST.fullmatch(text) for text in texts):
        return Evidence.DIGESTS
    has_values = bool(texts) or not all(isinstance(cell, str) for cell in filled)
    return Evidence.NO_VALUE_OF_KIND if has_values else Evidence.UNKNOWN


def _flatten_cells(cells: Iterable[object]) -> Iterator[object]:
    """Yield cells with bytes as text, and the items of lists one by one."""
    for cell in cells:
        if isinstance(cell, bytes):
            is_digest = len(cell) in DIGEST_BYTES
            yield cell.hex() if is_digest and b"@" not in cell else cell.decode("utf-8", "replace")
        elif isinstance(cell, list | tuple):
            yield from _flatten_cells(cast("Sequence[object]", cell))
        else:
            yield cell


def _is_plain(kind: IdentifierType, text: str) -> bool:
    if kind == IdentifierType.EMAIL:
        return is_address(text)
    return kind in MOBILE_KINDS and _MOBILE_ID.fullmatch(text) is not None


_MAX_NAMES_SHOWN = 20
_SELECT_COLUMN = suggest("select one with {column}", column=...)
_LEAVE_OUT = suggest("it looks like a list of rejects: leave the file out")


@frozen
class Constant:
    """A column of the folders of a file, which has the same value in all its rows.

    Attributes:
        name: Its name.
        target: The row column that it becomes; empty for a single kind.
        value: The value.
    """

    name: str
    target: str
    value: str


class ColumnSelection:
    """The columns to read; resolved when the header of the source is available.

    Args:
        kind: The kind of identifier in the columns; ``None`` for rows of several identifiers.
        column: The columns to read for a kind; without it, the only plausible one.
        columns: For rows: the source column of each row column; without it, those of equal name.

    Attributes:
        names: The names of the resolved columns in the source.
        targets: The row columns that they become, in the same order; empty for a single kind.
        unread: Names of the kind that first appear after the columns were resolved and are not
            read. A row with a value in one of them only is not an empty row.
        unread_sheets: Names of the sheets of workbooks that have content and are not read.
        constants: The columns of folders that are read for a file in a partition.
    """

    def __init__(
        self,
        kind: IdentifierType | None,
        column: Columns | None = None,
        columns: Mapping[str, str | int] | None = None,
    ) -> None:
        self.kind = kind
        self._selected = _to_tuple(column)
        self._columns = columns
        self.names: tuple[str, ...] = ()
        self.targets: tuple[str, ...] = ()
        self.unread: set[str] = set()
        self.unread_sheets: list[str] = []
        self._header: set[object] = set()  # all names so far
        self._confirmed: tuple[tuple[object, ...], tuple[int, ...]] | None = None
        self._partition: Mapping[str, str] = {}
        self.constants: tuple[Constant, ...] = ()
        self._only_constants = False  # then a column of the file is read to count its rows

    def copy(self, partition: Mapping[str, str] | None = None) -> ColumnSelection:
        """Return the same selection, not resolved yet, for the next file of several.

        Args:
            partition: The columns of the folders of a file, each with its value.
        """
        copied = ColumnSelection(self.kind, self._selected or None, self._columns)
        copied.unread = self.unread
        copied.unread_sheets = self.unread_sheets
        copied._confirmed = self._confirmed
        copied._partition = partition or {}
        return copied

    def adopt_partition(self, read: ColumnSelection) -> None:
        """Take over the columns of a file in a partition, and those of its folders."""
        self._confirmed = read._confirmed
        names, targets = ((), ()) if read._only_constants else (read.names, read.targets)
        # The file's column comes first, also if it first appears after the first rows.
        constants = tuple(one for one in read.constants if one.target not in targets)
        read.constants = constants
        self.names = (*names, *(one.name for one in constants))
        self.targets = (*targets, *(one.target for one in constants if one.target))

    def with_constants(self, cell: object) -> object:
        """Return what was read from a row of the file with the cells of its folders.

        Args:
            cell: The cell, the tuple of cells, or why there is none.
        """
        if isinstance(cell, UnreadableRow):
            return cell
        values = tuple(one.value for one in self.constants)
        if self._only_constants:
            return values[0] if self.kind is not None and len(values) == 1 else values
        return (cell, *values) if self.single else (*cast("tuple[object, ...]", cell), *values)

    def adopt(self, resolved: ColumnSelection, *, source: str, first: str) -> None:
        """Take over the columns of a file, one of several.

        Args:
            resolved: The selection that was resolved for the file.
            source: The name of the file.
            first: The name of the first file with columns; empty for that file.

        Raises:
            SourceError: Its columns were found by name and values, and are not those of `first`.
        """
        self._confirmed = resolved._confirmed
        is_same = resolved.names == self.names and resolved.targets == self.targets
        if is_same or not resolved.resolved:  # the latter is a plain list
            return
        if first and not self._selected and self._columns is None:
            known, names = self._name_keys(), resolved._name_keys()
            if known != names:
                raise SourceError(
                    f"has other columns than {first}: {resolved._describe()}, not "
                    f"{self._describe()}",
                    source=source,
                    param="column",
                    suggestion=_SELECT_COLUMN if self.kind is not None else None,
                )
        if self.kind is None:
            self.names, self.targets = resolved.names, resolved.targets
        else:
            self.names = tuple(dict.fromkeys((*self.names, *resolved.names)))

    def _name_keys(self) -> set[str]:
        """Return the columns in the form in which those of several files are compared."""
        kind = self.kind
        if kind is None:
            return set(self.targets)
        return {name_series(kind, name) if match_name(kind, name) else name for name in self.names}

    def _describe(self) -> str:
        names = self.targets or self.names
        return ", ".join(display_name(name, index) for index, name in enumerate(names, 1))

    @property
    def single(self) -> bool:
        """Whether one cell is read from each row, rather than a tuple of several."""
        return self.kind is not None and len(self.names) <= 1

    @property
    def selected(self) -> tuple[str | int, ...]:
        """The explicitly selected columns; empty if they are found by name and values."""
        return self._selected

    @property
    def resolved(self) -> bool:
        """Whether the columns have been resolved."""
        return bool(self.names)

    def resolve(
        self,
        header: Iterable[object],
        source: str,
        sample: Sequence[Sequence[object]] = (),
        *,
        has_names: bool = True,
        complete: bool = False,
    ) -> tuple[int, ...]:
        """Select among the columns of a source.

        Args:
            header: The column names.
            source: The name of the source for errors.
            sample: The first rows, to confirm the choice by their values.
            has_names: Whether the source has a header; without one, columns have only numbers.
            complete: Whether the sample has all rows, so that an empty column stays empty.

        Returns:
            The indexes of the selected columns, counted from 0.

        Raises:
            SourceError: A selected column does not exist, or not exactly one is plausible. The
                error lists the columns, unless they look like data.
        """
        table = _NamedColumns(
            [name if isinstance(name, str) else "" for name in header],
            source,
            sample,
            has_names,
            complete,
            tuple(self._partition),
        )
        if self._partition and not self.resolved:
            self._select_constants(table.names)
        if self.kind is None:
            indexes = self._resolve_row_columns(table)
        elif self._selected:
            indexes = tuple(
                dict.fromkeys(p for selector in self._selected for p in table.find(selector))
            )
        else:
            indexes = self._find_columns(self.kind, table)
        self._header.update(table.names)
        names = tuple(table.names[index] for index in indexes)
        # The first row is data then: a person would be skipped, and shown in reports.
        if has_names and any(map(is_identifier, names)):
            raise table.error("the chosen column has no name")
        self.names = names
        return indexes

    def _select_constants(self, names: Sequence[str]) -> None:
        """Move what the folders of the file have from the selection to `constants`.

        A column of the file comes first. Without a selection, only columns of rows are taken from
        folders: an identifier that is the same in a whole file is not one of a customer.
        """
        pairs: list[tuple[str, str | int]] = [("", selector) for selector in self._selected]
        left: list[tuple[str, str | int]] = []
        constants: list[Constant] = []
        if self._columns is not None:
            pairs = list(self._columns.items())
        elif self.kind is None:  # by the exact name, as the columns of a file
            constants = [
                Constant(name, name, self._partition[name])
                for name in ROW_COLUMNS
                if name in self._partition and name not in names
            ]
        for target, selector in pairs:
            key = self._find_key(selector, names)
            if key is None:
                left.append((target, selector))
            else:
                constants.append(Constant(key, target, self._partition[key]))
        self.constants = tuple(dict.fromkeys(constants))
        self._only_constants = not left and bool(self._selected or self._columns)
        if self._columns is not None:
            self._columns = dict(left) or {ROW_COLUMNS[0]: 1}
        elif self._selected:
            self._selected = tuple(selector for _, selector in left) or (1,)

    def _find_key(self, selector: str | int, names: Sequence[str]) -> str | None:
        """Return the column of the folders that is selected, unless the file has it."""
        if isinstance(selector, int) or match_columns(selector, names):
            return None
        keys = tuple(self._partition)
        matches = match_columns(selector, keys)
        return keys[matches[0]] if matches else None

    def _find_columns(self, kind: IdentifierType, table: _NamedColumns) -> tuple[int, ...]:
        """Find the columns of a kind; those of the last file if there are no values to choose by.

        That file must have the same header, and values that confirmed its columns.
        """
        evidence = column_evidence(kind, len(table.names), table.sample)
        is_empty = table.complete or not table.sample
        confirmed = self._confirmed_columns(table.names) if table.has_names and is_empty else ()
        if confirmed and max(evidence) <= Evidence.UNKNOWN:
            return confirmed
        indexes = table.plausible(kind)
        if table.has_names and any(evidence[index] > Evidence.UNKNOWN for index in indexes):
            self._confirmed = tuple(table.names), indexes
        return indexes

    def add_names(self, names: Iterable[object]) -> None:
        """Read columns that first appear after the columns were resolved, if they belong to them.

        That is, row columns by name, and columns of the same series as the resolved ones. Other
        columns of the kind are added to `unread`.
        """
        distinct = dict.fromkeys(names)
        if distinct.keys() <= self._header:  # nearly always
            return
        for name in [name for name in distinct if name not in self._header]:
            self._header.add(name)
            if self._selected or self._columns is not None or not isinstance(name, str):
                continue
            if self.kind is None:
                if name in ROW_COLUMNS:
                    self.names += (name,)
                    self.targets += (name,)
            elif not match_columns(name, self.names):
                self._add_name_of_kind(self.kind, name)

    def _add_name_of_kind(self, kind: IdentifierType, name: str) -> None:
        if name_series(kind, name) in {name_series(kind, other) for other in self.names}:
            self.names += (name,)
        elif match_name(kind, name) >= NameMatch.LIKELY:
            self.unread.add(name)

    def candidates(self, header: Sequence[object]) -> tuple[int, ...]:
        """Return the indexes of the columns to sample; none if values are not needed to choose."""
        kind = self.kind
        if kind is None or self._selected:
            return ()
        indexes = tuple(
            index
            for index, name in enumerate(header)
            if isinstance(name, str) and match_name(kind, name) > NameMatch.NONE
        )
        return () if indexes == self._confirmed_columns(header) else indexes

    def _confirmed_columns(self, header: Sequence[object]) -> tuple[int, ...]:
        """Return the columns of this header that values of another file have confirmed."""
        if self._confirmed is None or self._confirmed[0] != tuple(header):
            return ()
        return self._confirmed[1]

    def matches_header(self, names: Sequence[str]) -> bool:
        """Return whether a line can be the header: one of its cells names a column to read."""
        selectors = self._selected if self._columns is None else tuple(self._columns.values())
        named = [item for item in selectors if isinstance(item, str)]
        if any(match_columns(item, names) for item in named):
            return True
        folders = tuple(self._partition)
        if len([item for item in named if match_columns(item, folders)]) < len(selectors):
            return False  # a column of the file is selected
        if self.kind is None:
            return any(name in ROW_COLUMNS for name in names)
        kind = self.kind
        return any(match_name(kind, name) >= NameMatch.LIKELY for name in names)

    def confirmed_by(self, names: Sequence[str], sample: Sequence[Sequence[object]]) -> bool:
        """Return whether the values below a matching header are of the kind that it names."""
        if self.kind is None or self._selected:
            return True
        kind = self.kind
        evidence = column_evidence(kind, len(names), sample)
        return any(
            shown != Evidence.NO_VALUE_OF_KIND and match_name(kind, name) >= NameMatch.LIKELY
            for name, shown in zip(names, evidence, strict=True)
        )

    def _resolve_row_columns(self, table: _NamedColumns) -> tuple[int, ...]:
        if self._columns is not None:
            self.targets = tuple(self._columns)
            return tuple(table.find_one(name) for name in self._columns.values())
        self.targets = tuple(dict.fromkeys(name for name in table.names if name in ROW_COLUMNS))
        if not self.targets:
            raise table.error(
                f"no column has the name of a row column ({', '.join(ROW_COLUMNS)})",
                suggest("select columns with {columns}", columns=...),
            )
        return tuple(table.find_one(name) for name in self.targets)


@frozen
class _NamedColumns:
    """The columns of one source, by name and number."""

    names: Sequence[str]
    source: str
    sample: Sequence[Sequence[object]]
    has_names: bool
    complete: bool
    folders: Sequence[str] = ()  # columns of the folders of the file

    def find(self, selector: str | int) -> tuple[int, ...]:
        """Return the indexes of a name, or the index of a number."""
        if isinstance(selector, str):
            indexes = match_columns(selector, self.names) if self.has_names else ()
            if indexes:
                return indexes
        if isinstance(selector, int) or (selector.isascii() and selector.isdigit()):
            if 1 <= int(selector) <= len(self.names):
                return (int(selector) - 1,)
            raise self.error(
                f"column {show_argument(selector)} does not exist: the table has {len(self.names)}"
            )
        if not self.has_names:
            raise self.error("a table without a header has only column numbers, counted from 1")
        raise self.error(f"no column is named {show_argument(selector)}")

    def find_one(self, selector: str | int) -> int:
        """Return the only index of a name, or the index of a number."""
        indexes = self.find(selector)
        if len(indexes) != 1:
            raise self.error(
                f"{len(indexes)} columns are named {show_argument(selector)}",
                suggest("select one by number in {columns}", columns=...),
            )
        return indexes[0]

    def plausible(self, kind: IdentifierType) -> tuple[int, ...]:
        """Return the columns that are clearly of a kind, by their names and values."""
        evidence = column_evidence(kind, len(self.names), self.sample)
        holders = [p for p, shown in enumerate(evidence) if shown == Evidence.PLAIN]
        if not self.has_names:
            digests = [p for p, shown in enumerate(evidence) if shown == Evidence.DIGESTS]
            matches = holders or (digests if len(self.names) == 1 else [])
            if len(matches) == 1:
                return (matches[0],)
            raise self.error(
                f"{len(matches) or 'no'} columns have values of kind {kind}",
                suggest("select one by number with {column}", column=...),
                first=holders,
            )
        for level in (NameMatch.PLAIN, NameMatch.LIKELY, NameMatch.ABOUT):
            series = self._series(kind, level)
            if not series:
                continue
            chosen = self._choose(kind, level, series, evidence, holders)
            if chosen:
                return chosen
        suggestion = _LEAVE_OUT if {"row", "reason"} <= set(self.names) else _SELECT_COLUMN
        raise self.error(f"no column is clearly of kind {kind}", suggestion, first=holders)

    def _series(self, kind: IdentifierType, level: NameMatch) -> dict[str, tuple[int, ...]]:
        """Return the columns whose names match at a level, grouped by series."""
        series: dict[str, tuple[int, ...]] = {}
        for index, name in enumerate(self.names):
            if match_name(kind, name) == level:
                key = name_series(kind, name)
                series[key] = (*series.get(key, ()), index)
        return series

    def _choose(
        self,
        kind: IdentifierType,
        level: NameMatch,
        series: Mapping[str, tuple[int, ...]],
        evidence: Sequence[Evidence],
        holders: Sequence[int],
    ) -> tuple[int, ...]:
        """Return the only plausible series; empty if the values rule out all of them.

        Raises:
            SourceError: Several are plausible, or another column has the values.
        """
        best = {key: max(evidence[index] for index in indexes) for key, indexes in series.items()}
        confirmed_by = [key for key in series if best[key] > Evidence.UNKNOWN]
        # A column that is empty in the sample may have values further down.
        least = Evidence.DIGESTS if confirmed_by and self.complete else Evidence.UNKNOWN
        possible = [key for key in series if best[key] >= least]
        if level == NameMatch.ABOUT:
            possible = [key for key in series if best[key] == Evidence.PLAIN]
        first = [index for key in possible or series for index in series[key]]
        if not confirmed_by and holders and (level == NameMatch.PLAIN or possible):
            values = ", ".join(map(self._display, holders))
            raise self.error(
                f"{self._display(first[0])} has no value of kind {kind} in the first "
                f"{len(self.sample):,} rows, but {values} does",
                _SELECT_COLUMN,
                first=[*holders, *first],
            )
        if not possible and level == NameMatch.PLAIN:
            possible = list(series)  # all of its values will be counted as rejects
        plain = [key for key in possible if key == normalize_name(kind)]
        if len(plain or possible) > 1:
            raise self.error(
                f"{len(first)} columns may be of kind {kind}",
                _SELECT_COLUMN,
                first=first,
            )
        return series[(plain or possible)[0]] if possible else ()

    def error(
        self, problem: str, suggestion: Suggestion | None = None, *, first: Sequence[int] = ()
    ) -> SourceError:
        """Return an error that lists the columns, the likely ones first."""
        if self.has_names and looks_like_data(self.names):
            suggestion = suggest(
                "for a table without a header use {header} and {column}, for a plain list with one "
                "record per line {format}, for lines above the header {skip_rows}",
                header=False,
                column=_address_column(self.names),
                format="lines",
                skip_rows=...,
            )
        return SourceError(
            f"{problem}; {self._list_columns(first)}", source=self.source, suggestion=suggestion
        )

    def _display(self, index: int) -> str:
        return display_name(self.names[index], index + 1)

    def _list_columns(self, first: Sequence[int]) -> str:
        if not self.has_names:
            numbers = ", ".join(str(index + 1) for index in first)
            likely = f"; likely: {numbers}" if first else ""
            return f"the table has {len(self.names)} columns{likely}"
        if looks_like_data(self.names):
            return "the first row looks like data, not like a header (it is not shown)"
        order = list(dict.fromkeys([*first, *range(len(self.names))]))
        folders = ", ".join(display_name(name, at) for at, name in enumerate(self.folders, 1))
        shown = ", ".join(map(self._display, order[:_MAX_NAMES_SHOWN]))
        more = f" and {len(order) - _MAX_NAMES_SHOWN} more" if len(order) > _MAX_NAMES_SHOWN else ""
        return f"columns: {shown}{more}" + (f"; of its folders: {folders}" if folders else "")


def _address_column(names: Sequence[str]) -> object:
    """Return the number of the only column with an address; ``...`` if there is not one."""
    numbers = [number for number, name in enumerate(names, 1) if is_address(name)]
    return numbers[0] if len(numbers) == 1 else ...


def check_column(column: object) -> Columns | None:
    """Validate the argument ``column``.

    Raises:
        ConfigurationError: It is not a name, a number from 1, or a sequence of those.
    """
    if column is None:
        return None
    items: tuple[object, ...] = (column,)
    if isinstance(column, Sequence) and not isinstance(column, str | bytes):
        items = tuple(cast("Sequence[object]", column))
    if not items or not all(map(_is_selector, items)):
        raise ConfigurationError(
            "column must be a name, a number counted from 1, or a sequence of those", param="column"
        )
    return cast("tuple[str | int, ...]", items)


def check_columns(columns: object) -> dict[str, str | int] | None:
    """Validate the argument ``columns``: the source column of each row column.

    Raises:
        ConfigurationError: It is not a mapping, empty, or names a column that rows do not have.
    """
    if columns is None:
        return None
    if isinstance(columns, str) or not isinstance(columns, Iterable):
        raise ConfigurationError(
            "columns must be a mapping of row columns to source columns", param="columns"
        )
    pairs = (
        dict(cast("Mapping[str, object]", columns))
        if isinstance(columns, Mapping)
        else {name: cast("object", name) for name in cast("Iterable[str]", columns)}
    )
    unknown = [show_argument(str(name)) for name in pairs if name not in ROW_COLUMNS]
    if unknown or not pairs:
        raise ConfigurationError(
            f"columns must map row columns ({', '.join(ROW_COLUMNS)}) to source columns"
            f"{', not ' + ', '.join(unknown) if unknown else ''}",
            param="columns",
        )
    if not all(map(_is_selector, pairs.values())):
        raise ConfigurationError(
            "columns: a source column must be a name, or a number counted from 1", param="columns"
        )
    return cast("dict[str, str | int]", pairs)


def _to_tuple(column: Columns | None) -> tuple[str | int, ...]:
    if column is None:
        return ()
    return (column,) if isinstance(column, str | int) else tuple(column)


def _is_selector(item: object) -> bool:
    if isinstance(item, str):
        return True
    return isinstance(item, int) and not isinstance(item, bool) and item >= 1
