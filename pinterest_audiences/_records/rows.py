"""Rows as Python objects: tuples, mappings, named rows, objects with attributes, NDJSON.

`RowReader` resolves the columns by the first rows and takes the selected cells out of all rows;
`normalize_row` reduces the many types of rows of databases and data frames to a few.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, islice
from numbers import Number
from types import MemberDescriptorType
from typing import cast

from attrs import evolve, frozen

from pinterest_audiences._errors import SourceError, suggest
from pinterest_audiences._models import RecordRow
from pinterest_audiences._records.chunks import (
    CHUNK_ROWS,
    Chunk,
    RejectReason,
    RowChunk,
    UnreadableRow,
    cell_to_text,
    drop_blank_rows,
    to_ascii_chunk,
)
from pinterest_audiences._records.columns import (
    DIGEST_BYTES,
    ROW_COLUMNS,
    ColumnSelection,
    is_column_name,
    match_columns,
    normalize_name,
)
from pinterest_audiences._records.text_files import MAX_LINE_CHARACTERS, TOO_LONG_ROW, WholeLines

__all__ = [
    "RowReader",
    "base_modules",
    "check_json_lines",
    "json_array_chunks",
    "may_be_json_array",
    "names_as_text",
    "ndjson_chunks",
]


_RAGGED = UnreadableRow(RejectReason.RAGGED_ROW)
_EMPTY = UnreadableRow(RejectReason.EMPTY)
_NOT_A_ROW = UnreadableRow(RejectReason.NOT_A_ROW)
_SAMPLE_ROWS = 200  # looked at to find the column of rows without names
_MAX_TYPES_SHOWN = 8


class RowReader:
    """Select cells from rows; the first rows show their layout.

    Args:
        choice: The columns to read; resolved by the first rows.
        source: The name of the source for errors.
        header: The column names of a cursor; without it, names come from the rows.
    """

    def __init__(
        self, choice: ColumnSelection, source: str, header: tuple[str, ...] | None = None
    ) -> None:
        self._choice = choice
        self._single_kind = choice.kind is not None
        self._source = source
        self._header = header
        self._indexes: tuple[int, ...] | None = None  # of rows without names
        self._width = 0  # of rows without names
        self._indexes_by_names: dict[tuple[str, ...], tuple[int, ...]] = {}
        self._usable = False  # whether any row was usable

    def read(self, first: int, items: Sequence[object]) -> Chunk:
        """Return the selected cells of the next rows.

        Args:
            first: The number of the first row.
            items: The rows.

        Raises:
            SourceError: The items are not rows, or a selected column is missing.
        """
        try:
            return self._read(first, items)
        except SourceError:
            raise
        except Exception as error:  # properties and keys of a row may run any code of the caller
            raise SourceError(
                f"reading a row raised {type(error).__name__}",
                source=self._source,
                row=first - 1,
            ) from error

    def _read(self, first: int, items: Sequence[object]) -> Chunk:
        if self._single_kind and (self._header is None or len(self._header) == 1):
            block = to_ascii_chunk(first, items)
            if block is not None:
                self._usable = True
                return block
            if set(map(type, items)) == {str}:  # non-ASCII text; rows without names
                self._usable = True
                return RowChunk(first, items)
        if set(map(type, items)) <= {tuple, list}:
            rows = cast("Sequence[Sequence[object]]", items)
            if self._indexes is None:
                rows = self._resolve_indexes(rows)
            cells = self._select_unnamed(rows)
            if not self._usable:
                self._check_usable(rows, cells)
            return RowChunk(first, cells)
        normal = [normalize_row(item, self._source) for item in items]
        self._resolve_names(normal)
        if self._indexes is None and any(map(is_unnamed, normal)):
            normal = self._resolve_mixed(normal)
        cells = [self._select(row) for row in normal]
        if not self._usable:
            self._check_usable(normal, cells)
        return RowChunk(first, cells)

    def _resolve_names(self, rows: Sequence[object]) -> None:
        """Resolve the columns by the names of all rows of the first chunk."""
        if self._choice.resolved:
            self._choice.add_names(
                chain.from_iterable(
                    cast("Mapping[object, object]", row) for row in rows if isinstance(row, Mapping)
                )
            )
            return
        names = dict.fromkeys(chain.from_iterable(map(_names_of, rows)))
        if not names:
            return
        for name in self._header or ():
            if name not in names and any(hasattr(row, name) for row in rows[:1]):
                names[name] = None
        first = next(row for row in rows if _names_of(row))
        ordered = _names_of(first) if isinstance(first, NamedCells) else tuple(names)
        header = ordered if set(ordered) == set(names) else tuple(names)  # preserves repeated names
        sample = [_sample_row(row, header) for row in rows[:_SAMPLE_ROWS]]
        indexes = self._choice.resolve(header, self._source, sample)
        self._indexes_by_names[cast("tuple[str, ...]", header)] = indexes

    def _resolve_mixed(self, rows: list[object]) -> list[object]:
        """Resolve rows without names, unless rows with names show that they are exceptions."""
        if self._header is None and not all(is_unnamed(row) or row is None for row in rows):
            return rows
        unnamed = [cast("Sequence[object]", row) for row in rows if is_unnamed(row)]
        below = self._resolve_indexes(unnamed)
        return list(below) if len(below) < len(unnamed) else rows

    def _resolve_indexes(self, rows: Sequence[Sequence[object]]) -> Sequence[Sequence[object]]:
        """Resolve the columns of rows without names; return the rows without their header."""
        sample = rows[:_SAMPLE_ROWS]
        if self._header is not None:
            self._indexes = self._choice.resolve(self._header, self._source, sample)
            self._width = len(self._header)
            return rows
        top = next((index for index, row in enumerate(rows) if row), 0)
        head = rows[top]
        if head and all(isinstance(cell, str) for cell in head):
            names = cast("Sequence[str]", head)
            if self._choice.matches_header(names):
                below = rows[top + 1 :]
                self._indexes = self._choice.resolve(names, self._source, below[:_SAMPLE_ROWS])
                self._width = len(names)
                return below
        self._width = max(1, *map(len, sample))
        self._indexes = self._resolve_by_number(sample)
        cells = [head[index] for index in self._indexes if index < len(head)]
        named = any(isinstance(cell, str) and is_column_name(cell) for cell in cells)
        return rows[top + 1 :] if named else rows

    def _resolve_by_number(self, sample: Sequence[Sequence[object]]) -> tuple[int, ...]:
        """Resolve by number or by the first values; a single cell is always the value."""
        if self._single_kind and self._width == 1:
            self._choice.names = self._choice.names or ("1",)
            return (0,)
        try:
            indexes = self._choice.resolve(
                [""] * self._width, self._source, sample, has_names=False
            )
        except SourceError as error:
            row = next(filter(None, sample), sample[0])
            types = ", ".join(type(cell).__name__ for cell in row[:_MAX_TYPES_SHOWN])
            raise SourceError(
                f"the rows are {type(row).__name__}s of {len(row)} cells ({types}) without column "
                f"names: {error.reason}; or pass rows with names (dictionaries, named tuples)",
                source=self._source,
            ) from None
        self._choice.names = tuple(str(index + 1) for index in indexes)
        return indexes

    def _select_unnamed(self, rows: Sequence[Sequence[object]]) -> list[object]:
        indexes = self._indexes
        if indexes and rows and max(map(len, rows)) <= self._width:
            try:
                if self._choice.single:
                    index = indexes[0]
                    return [row[index] for row in rows]
                return [tuple(row[index] for index in indexes) for row in rows]
            except IndexError:
                pass  # some rows are too short
        return [self._select_unnamed_row(row) for row in rows]

    def _select_unnamed_row(self, row: Sequence[object]) -> object:
        if not row:
            return _EMPTY
        if self._indexes is None:  # among rows of another type
            return row[0] if len(row) == 1 and self._single_kind else _NOT_A_ROW
        if min(self._indexes) < len(row) <= self._width:
            return self._select_at(row, self._indexes)
        return _RAGGED

    def _select_at(self, cells: Sequence[object], indexes: tuple[int, ...]) -> object:
        chosen = tuple(cells[index] if index < len(cells) else None for index in indexes)
        return chosen[0] if self._choice.single else chosen

    def _select(self, row: object) -> object:
        if isinstance(row, UnreadableRow):
            return row
        if isinstance(row, NamedCells):
            return self._select_at(row.cells, self._indexes_of(row.names))
        if isinstance(row, Mapping):
            return self._select_mapping(cast("Mapping[object, object]", row))
        if is_unnamed(row):
            return self._select_unnamed_row(cast("Sequence[object]", row))
        if not is_cell_value(row) and attribute_names(row):
            return self._select_named(lambda names: attributes_by_name(row, names))
        return self._check_value(row)

    def _select_mapping(self, row: Mapping[object, object]) -> object:
        if not row:
            return _EMPTY
        cells = self._select_named(lambda names: cells_by_name(row, names))
        if self._choice.unread and _has_only_unread(row, cells, self._choice):
            return _NOT_A_ROW
        return cells

    def _check_value(self, row: object) -> object:
        if not self._single_kind:
            return _NOT_A_ROW
        if self._header is not None and len(self._header) != 1:
            raise SourceError(
                f"each row is a single value ({type(row).__name__}), but the query has "
                f"{len(self._header)} columns; use a row factory that returns whole rows, or "
                "select one column",
                source=self._source,
            )
        return row

    def _indexes_of(self, names: tuple[str, ...]) -> tuple[int, ...]:
        indexes = self._indexes_by_names.get(names)
        if indexes is None:
            matches = [match_columns(name, names) for name in dict.fromkeys(self._choice.names)]
            if not matches or not all(matches):
                indexes = self._choice.resolve(names, self._source)
            elif self._single_kind:
                indexes = tuple(dict.fromkeys(chain.from_iterable(matches)))
            else:
                indexes = tuple(index for index, *_ in matches)
            self._indexes_by_names[names] = indexes
        return indexes

    def _select_named(
        self, cells_of_names: Callable[[Sequence[str]], tuple[object, ...]]
    ) -> object:
        if not self._choice.resolved:
            return _NOT_A_ROW
        names = self._choice.names
        cells = cells_of_names(tuple(dict.fromkeys(names)) if self._single_kind else names)
        if all(isinstance(cell, UnreadableRow) for cell in cells):
            return cells[0]
        if self._single_kind:  # as for a mapping, a missing attribute is an empty cell
            cells = tuple(None if isinstance(cell, UnreadableRow) else cell for cell in cells)
        return cells[0] if self._choice.single else cells

    def _check_usable(self, rows: Sequence[object], cells: Sequence[object]) -> None:
        """Raise if no row was usable so far and some items are not rows at all.

        A single such item among rows is a reject instead.
        """
        invalid = [row for row, cell in zip(rows, cells, strict=True) if _is_not_a_row(row, cell)]
        self._usable = any(
            not _is_not_a_row(row, cell) and not _is_empty(cell)
            for row, cell in zip(rows, cells, strict=True)
        )
        if invalid and not self._usable:
            shown = next((row for row in invalid if row is not None), None)
            raise SourceError(
                f"has items of type {type_name(shown)}; rows must be strings, mappings, tuples, "
                "or objects with named attributes",
                source=self._source,
            )


def _names_of(row: object) -> tuple[object, ...]:
    if isinstance(row, NamedCells):
        return row.names
    if isinstance(row, Mapping):
        return tuple(cast("Mapping[object, object]", row))
    if is_unnamed(row) or isinstance(row, UnreadableRow | str) or row is None:
        return ()
    return attribute_names(row)


def _sample_row(row: object, names: Sequence[object]) -> list[object]:
    """Return the cells of a row in the order of names, without running its properties."""
    if isinstance(row, NamedCells):
        if row.names == names:
            return list(row.cells)
        row = dict(zip(row.names, row.cells, strict=True))
    values = cast(
        "Mapping[object, object]",
        row if isinstance(row, Mapping) else getattr(row, "__dict__", {}),
    )
    return [values.get(name) for name in names]


def _is_not_a_row(row: object, cell: object) -> bool:
    if isinstance(cell, UnreadableRow):
        return cell == _NOT_A_ROW
    return (
        (cell is row or is_unnamed(row)) and not isinstance(cell, tuple) and not is_cell_value(cell)
    )


def _is_empty(cell: object) -> bool:
    cells = cast("tuple[object, ...]", cell) if isinstance(cell, tuple) else (cell,)
    return all(cell_to_text(item) == RejectReason.EMPTY for item in cells)


def _has_only_unread(row: Mapping[object, object], cell: object, choice: ColumnSelection) -> bool:
    """Return whether the only values of a row are in late columns that are not read."""
    return _is_empty(cell) and not all(_is_empty(row.get(name)) for name in choice.unread)


def type_name(item: object) -> str:
    """Return the type of an item for an error, with the type of its first cell."""
    name = type(item).__name__
    if is_unnamed(item):
        cells = cast("Sequence[object]", item)
        return f"{name} of {type(cells[0]).__name__}" if cells else f"empty {name}"
    return name


_FIELD_NAME_ATTRIBUTES = ("_fields", "__fields__")  # named tuples and SQLAlchemy; pyspark
_VALUE_TYPES = (Number, bytes, bytearray, memoryview, set, frozenset, type, Iterator)
_PLAIN_MODULES = frozenset({"builtins", "datetime", "decimal", "fractions"})


@frozen
class NamedCells:
    """A row whose cells have names and an order; names may be repeated."""

    names: tuple[str, ...]
    cells: tuple[object, ...]


def normalize_row(item: object, source: str) -> object:
    """Return a row as a mapping, `NamedCells`, a tuple, a list, an object or a value.

    Raises:
        SourceError: The item is a whole table.
    """
    kind = type(item)
    if kind in (str, dict, tuple, list) or item is None:
        return item
    if isinstance(item, RecordRow):
        return {column: getattr(item, column) for column in ROW_COLUMNS}
    if isinstance(item, Mapping | UnreadableRow | str):
        return cast("object", item)
    modules = base_modules(kind)
    if modules & {"pandas", "polars", "numpy", "pyarrow"}:
        return _normalize_frame_row(item, source)
    if any(hasattr(item, name) for name in ("__arrow_c_stream__", "__arrow_c_array__")):
        raise _table_among_rows(item, source)
    names = _ordered_names(item)
    if names is not None:
        return NamedCells(names, _ordered_cells(item, names))
    return item


def base_modules(kind: type) -> frozenset[str]:
    """Return the top-level packages that define a class and its bases."""
    return frozenset(str(base.__module__).partition(".")[0] for base in kind.__mro__)


def is_unnamed(row: object) -> bool:
    """Return whether a normalized row has cells but no names."""
    return isinstance(row, Sequence) and not isinstance(row, str | bytes | bytearray | memoryview)


def is_cell_value(item: object) -> bool:
    """Return whether an item can be the value of a cell rather than a row."""
    if isinstance(item, bytes | bytearray | memoryview):
        return len(cast("bytes", item)) in DIGEST_BYTES
    return cell_to_text(item) != RejectReason.NOT_TEXT


def _ordered_names(item: object) -> tuple[str, ...] | None:
    keys = cast("object", getattr(item, "keys", None))
    if callable(keys):
        return names_as_text(tuple(cast("Callable[[], Sequence[object]]", keys)()))
    if hasattr(item, "__getitem__"):
        for attribute_name in _FIELD_NAME_ATTRIBUTES:
            names = cast("object", getattr(item, attribute_name, None))
            if isinstance(names, tuple | list):
                return names_as_text(cast("Sequence[object]", names))
        described = cast("object", getattr(item, "cursor_description", None))  # pyodbc
        if isinstance(described, tuple | list):
            columns = cast("Sequence[Sequence[object]]", described)
            return names_as_text([column[0] for column in columns])
    return None


def names_as_text(names: object) -> tuple[str, ...]:
    """Return names of columns as text, in order."""
    return tuple(
        name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
        for name in cast("Sequence[object]", names)
    )


def _ordered_cells(item: object, names: tuple[str, ...]) -> tuple[object, ...]:
    if not hasattr(item, "keys") or isinstance(item, sqlite3.Row | tuple | list):
        return tuple(cast("Sequence[object]", item))
    values = cast("object", getattr(item, "values", None))
    if callable(values):
        return tuple(cast("Callable[[], Sequence[object]]", values)())
    keyed = cast("Mapping[str, object]", item)
    return tuple(keyed[name] for name in names)


def _normalize_frame_row(item: object, source: str) -> object:
    """Return a row of pandas, polars or numpy, or the value of a scalar of pyarrow."""
    as_py = cast("object", getattr(item, "as_py", None))  # a scalar of pyarrow
    if callable(as_py):
        return as_py()
    labels = cast("object", getattr(item, "index", None))
    if type(item).__name__ == "Series" and not callable(labels):
        names = tuple(cast("Sequence[object]", labels))
        if names and all(isinstance(name, str) for name in names):
            return NamedCells(names_as_text(names), tuple(cast("Sequence[object]", item)))
    dtype = cast("object", getattr(item, "dtype", None))
    fields = cast("tuple[str, ...] | None", getattr(dtype, "names", None))
    to_list = cast("Callable[[], object] | None", getattr(item, "tolist", None))
    if fields and to_list is not None and getattr(item, "ndim", 0) == 0:
        return NamedCells(fields, tuple(cast("Sequence[object]", to_list())))
    if to_list is not None and getattr(item, "ndim", 0) == 1 and type(item).__name__ == "ndarray":
        return to_list()
    if any(hasattr(item, name) for name in ("columns", "to_batches", "__arrow_c_stream__")):
        raise _table_among_rows(item, source)
    names_of = _ordered_names(item)  # a named tuple of DataFrame.itertuples()
    return item if names_of is None else NamedCells(names_of, _ordered_cells(item, names_of))


def _table_among_rows(item: object, source: str) -> SourceError:
    return SourceError(
        f"has a table ({type(item).__name__}) among rows; pass either rows or tables",
        source=source,
    )


def attribute_names(item: object) -> tuple[str, ...]:
    """Return the names of the public data attributes of an object; none for a plain value."""
    kind = type(item)
    if is_cell_value(item) or isinstance(item, _VALUE_TYPES) or kind.__module__ in _PLAIN_MODULES:
        return ()
    own = cast("Mapping[str, object]", getattr(item, "__dict__", {}))
    names = dict.fromkeys(name for name in own if not name.startswith("_"))
    return tuple(names | dict.fromkeys(_class_names(cast("Hashable", kind))))


@lru_cache(maxsize=256)
def _class_names(hashable: Hashable) -> tuple[str, ...]:
    kind = cast("type", hashable)
    names: dict[str, None] = {}
    for base in reversed(kind.__mro__[:-1]):
        for name in getattr(base, "__annotations__", {}):
            names[name] = None
        for name, value in vars(base).items():
            is_slot = isinstance(value, MemberDescriptorType)
            if is_slot or not (callable(value) or isinstance(value, classmethod | staticmethod)):
                names[name] = None
    return tuple(name for name in names if not name.startswith("_"))


def attributes_by_name(item: object, names: Sequence[str]) -> tuple[object, ...]:
    """Return attributes by name in any form, each once; `UnreadableRow` for a missing one."""
    available = attribute_names(item)
    keys = _match_keys(names, available, lambda name: hasattr(item, name))
    missing = UnreadableRow(RejectReason.NOT_A_ROW)
    return tuple(
        missing if key is None else cast("object", getattr(item, cast("str", key), None))
        for key in keys
    )


def cells_by_name(row: Mapping[object, object], names: Sequence[str]) -> tuple[object, ...]:
    """Return cells of a mapping by name in any form, each once; ``None`` for a missing one."""
    if all(name in row for name in names):
        return tuple(row[name] for name in names)
    keys = _match_keys(names, tuple(row), row.__contains__)
    return tuple(None if key is None else row[key] for key in keys)


def _match_keys(
    names: Sequence[str], available: Sequence[object], has: Callable[[str], bool]
) -> list[object]:
    """Return the key of each name: the same, or an unused key of another form."""
    keys: dict[str, object] = {name: name for name in names if has(name)}
    for name in names:
        if name not in keys:
            free = (key for key in available if isinstance(key, str) and key not in keys.values())
            keys[name] = next(
                (key for key in free if normalize_name(key) == normalize_name(name)), None
            )
    return [keys[name] for name in names]


_SAMPLE_OBJECTS = 500
_JSON_ARRAY = re.compile(r'\[(?:\s*$|\s*["{\[\]]|\s*-?[0-9.]+\s*[,\]])')
_ARRAY_OF_OBJECTS = re.compile(r"\[\s*\{")
_BAD_JSON = UnreadableRow(RejectReason.BAD_JSON)


def ndjson_chunks(
    texts: Iterator[WholeLines], choice: ColumnSelection, source: str
) -> Iterator[RowChunk]:
    """Read a file with one JSON value per line.

    Raises:
        SourceError: The file is one JSON array, or a selected column is missing.
    """
    first = 1
    for text in texts:
        if not isinstance(text, str):
            yield RowChunk(first, [TOO_LONG_ROW])
            first += 1
            continue
        lines = text.split("\n")
        lines.pop()
        if first == 1:
            check_json_lines(lines, source)
        for start in range(0, len(lines), CHUNK_ROWS):
            some = lines[start : start + CHUNK_ROWS]
            items = drop_blank_rows(first, some)
            rows = [_parse_json(cast("str", line)) for line in items.values]
            yield evolve(items, values=select_columns(rows, choice, source))
            first += len(some)


def may_be_json_array(text: str, *, objects_only: bool = False) -> bool:
    """Return whether the text at the start of a file begins a JSON array, or one of objects."""
    pattern = _ARRAY_OF_OBJECTS if objects_only else _JSON_ARRAY
    return pattern.match(text.lstrip("\ufeff \t\r\n")) is not None


def json_array_chunks(
    texts: Iterator[str], choice: ColumnSelection, source: str
) -> Iterator[RowChunk]:
    """Read a file that is one JSON array, a part at a time.

    Raises:
        SourceError: The array is malformed or truncated, or a selected column is missing.
    """
    items = _ArrayParser(texts, source).items()
    first = 1
    while some := list(islice(items, CHUNK_ROWS)):
        yield RowChunk(first, select_columns(some, choice, source))
        first += len(some)


_JSON_SPACE = re.compile(r"[ \t\r\n\ufeff]*")


class _ArrayParser:
    """Parse the items of a JSON array from consecutive texts."""

    def __init__(self, texts: Iterator[str], source: str) -> None:
        self._texts = texts
        self._source = source
        self._decode = json.JSONDecoder().raw_decode
        self._text = ""
        self._at = 0
        self._count = 0

    def items(self) -> Iterator[object]:
        """Yield the items.

        Raises:
            SourceError: The array is malformed or truncated, or something follows it.
        """
        if self._next_mark() != "[":
            raise self._error("is not a JSON array")
        self._at += 1
        mark = self._next_mark()
        if mark == "]":
            self._at += 1
        while mark != "]":
            yield self._item()
            self._count += 1
            mark = self._next_mark()
            if mark not in (",", "]"):
                raise self._error("is truncated" if not mark else "is malformed JSON")
            self._at += 1
        if self._next_mark().strip("\0\x1a"):
            raise self._error("has text after the JSON array; it must be the only one")

    def _next_mark(self) -> str:
        """Return the next character that is not white space, without reading it; "" at the end."""
        while True:
            space = _JSON_SPACE.match(self._text, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._fill():
                return ""

    def _fill(self) -> bool:
        text = next(self._texts, None)
        self._text = self._text[self._at :] + (text or "")
        self._at = 0
        return text is not None

    def _item(self) -> object:
        self._next_mark()
        item: object = _BAD_JSON
        while True:
            is_whole = True
            try:
                item, end = self._decode(self._text, self._at)
            except RecursionError:
                raise self._error("is JSON that is nested too deeply") from None
            except ValueError:
                is_whole, end = False, len(self._text)
            if end < len(self._text):
                break
            if end - self._at > MAX_LINE_CHARACTERS:
                raise self._error("is malformed JSON, or an item is too long")
            if not self._fill():  # else the next text may continue the item
                end = len(self._text)
                break
        if not is_whole:
            raise self._error("is truncated, or malformed JSON")
        if self._text.count(":", self._at, end) > _count_names(item):
            item = json.loads(self._text[self._at : end], object_pairs_hook=_build_object)
        self._at = end
        return item

    def _error(self, reason: str) -> SourceError:
        return SourceError(reason, source=self._source, row=self._count)


def select_columns(items: Sequence[object], choice: ColumnSelection, source: str) -> list[object]:
    """Return the selected cells of parsed lines; a single column may also be bare values.

    The columns are resolved by the names of all rows of the first chunk, because a row may omit
    what it has no value for.

    Raises:
        SourceError: A selected column is missing, or not exactly one is plausible.
    """
    rows = [_as_mapping(item) for item in items]
    names = dict.fromkeys(chain.from_iterable(row for row in rows if row is not None))
    if choice.resolved:
        choice.add_names(names)
    elif names:
        objects = [row for row in rows if row is not None][:_SAMPLE_OBJECTS]
        sample = [[row.get(name) for name in names] for row in objects]
        choice.resolve(names, source, sample)
    return [_select_item(item, row, choice) for item, row in zip(items, rows, strict=True)]


def _as_mapping(item: object) -> Mapping[object, object] | None:
    if isinstance(item, RecordRow):
        return {column: getattr(item, column) for column in ROW_COLUMNS}
    return cast("Mapping[object, object]", item) if isinstance(item, Mapping) else None


def _select_item(
    item: object, row: Mapping[object, object] | None, choice: ColumnSelection
) -> object:
    if row is not None and choice.resolved:
        cells = cells_by_name(row, choice.names)
        if choice.unread and _has_only_unread(row, cells, choice):
            return _NOT_A_ROW
        return cells[0] if choice.single else cells
    if isinstance(item, UnreadableRow) or (choice.kind is not None and row is None):
        return item
    return _NOT_A_ROW


def check_json_lines(lines: Sequence[str], source: str) -> None:
    """Check that the first lines of a file are not one JSON document.

    Raises:
        SourceError: The file starts with an array, or an object of several lines.
    """
    line = next(filter(None, (line.strip("\ufeff \t\r") for line in lines)), "")
    what = "array" if _JSON_ARRAY.match(line) else ""
    if line[:1] == "{" and _parse_json(line) is _BAD_JSON and line[-1] in "{[,":
        what = "object of several lines"
    if what == "array":
        raise SourceError(
            "is a JSON array",
            source=source,
            param="format",
            suggestion=suggest("set {format}", format="json"),
        )
    if what:
        raise SourceError(
            f"is a JSON {what}; convert it to one JSON object per line (NDJSON), as `jq -c` does",
            source=source,
        )


def _parse_json(line: str) -> object:
    line = line.strip("\ufeff \t\r")
    try:
        item: object = json.loads(line)
        # Each name is followed by a colon: with more colons than names, one may be repeated.
        if line.count(":") > _count_names(item):
            item = json.loads(line, object_pairs_hook=_build_object)
    except (ValueError, RecursionError):
        return _BAD_JSON
    return item


def _count_names(item: object) -> int:
    return (
        len(cast("dict[object, object]", item)) if isinstance(item, dict) else MAX_LINE_CHARACTERS
    )


def _build_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return an object, with `UnreadableRow` as the value of a name with conflicting values."""
    values: dict[str, object] = {}
    for name, value in pairs:
        previous = values.setdefault(name, value)
        if previous is None:
            values[name] = value
        elif value is not None and value != previous:
            values[name] = _BAD_JSON
    return values
