"""Cursors and iterables of rows, in every shape that drivers and libraries return."""

from __future__ import annotations

import csv
import dataclasses
import io
import sqlite3
from collections import UserDict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import anyio
import attrs
import pytest

from pinterest_audiences import RejectReason, SourceError, SourceLike, prepare, prepare_rows

pytestmark = pytest.mark.slow

ROSA, TOM = "rosa@shop.example", "tom@shop.example"
ROWS = [(1, ROSA), (2, TOM)]


def read(source: SourceLike, **options: Any) -> list[str]:
    ready = prepare(source, plain_emails=True, **options)
    records = [record for chunk in ready for record in chunk]
    assert ready.report.complete
    return records


class Cursor:
    """A cursor of a driver: rows as they are given, with a description of some kind."""

    def __init__(self, rows: list[Any], description: Any = None, *, late: bool = False) -> None:
        self._rows = rows
        self._late = description
        self.description = None if late else description

    def fetchmany(self, size: int) -> list[Any]:
        self.description = self._late
        rows, self._rows = self._rows[:size], self._rows[size:]
        return rows


class KeyedRow:
    """A row as asyncpg and BigQuery return it: keys and values, but not a Mapping."""

    def __init__(self, **cells: object) -> None:
        self._cells = cells

    def keys(self) -> Iterator[str]:
        return iter(self._cells)

    def values(self) -> Iterator[object]:
        return iter(self._cells.values())

    def __getitem__(self, key: int | str) -> object:
        return list(self._cells.values())[key] if isinstance(key, int) else self._cells[key]

    def __len__(self) -> int:
        return len(self._cells)

    def __iter__(self) -> Iterator[object]:
        return iter(self._cells.values())


class NamedRow(NamedTuple):
    id: int
    email: str


@dataclasses.dataclass
class DataRow:
    id: int
    email: str


@dataclasses.dataclass(slots=True)
class SlottedRow:
    id: int
    email: str


@attrs.define
class AttrsRow:
    id: int
    email: str


class PropertyRow:
    def __init__(self, key: int, email: str) -> None:
        self._email = email

    @property
    def email(self) -> str:
        return self._email


class ListWithKeys(list[Any]):
    """A row as psycopg2's DictCursor returns it."""

    def keys(self) -> list[str]:
        return ["id", "email"]


class RenamedTuple(NamedTuple):
    ID: int
    E_MAIL: str


def class_row(key: int, email: str) -> object:
    return type("Row", (), {"id": key, "email": email})()


ROW_SHAPES: list[tuple[str, Callable[[int, str], object]]] = [
    ("dict", lambda key, email: {"id": key, "email": email}),
    ("upper case keys", lambda key, email: {"ID": key, "EMAIL": email}),
    ("user mapping", lambda key, email: UserDict(id=key, Email=email)),
    ("keys and values", lambda key, email: KeyedRow(id=key, email=email)),
    ("list with keys", lambda key, email: ListWithKeys([key, email])),
    ("named tuple", NamedRow),
    ("renamed tuple", RenamedTuple),
    ("data class", DataRow),
    ("slotted data class", SlottedRow),
    ("attrs", AttrsRow),
    ("property", PropertyRow),
    ("class attributes", class_row),
    ("namespace", lambda key, email: SimpleNamespace(id=key, E_Mail=email)),
]
SHAPES = pytest.mark.parametrize(
    "make", [make for _, make in ROW_SHAPES], ids=[name for name, _ in ROW_SHAPES]
)
DESCRIPTIONS: list[tuple[str, Any]] = [
    ("tuples", [("id", 23, None), ("email", 25, None)]),
    ("bytes", [(b"id",), (b"email",)]),
    ("upper case", [("ID",), ("EMAIL",)]),
    ("objects", (SimpleNamespace(name="id"), SimpleNamespace(name="email"))),
    ("strings", ["id", "email"]),
]


@pytest.mark.parametrize("late", [False, True], ids=["at once", "after the first fetch"])
@pytest.mark.parametrize(
    "description", [each for _, each in DESCRIPTIONS], ids=[name for name, _ in DESCRIPTIONS]
)
@pytest.mark.parametrize("shape", [tuple, list])
def test_cursor_descriptions_of_every_kind_are_read(
    shape: Callable[[Any], Any], description: Any, late: bool
) -> None:
    """Known before the first fetch or only after it, as with psycopg2's named cursors."""
    rows = [shape(row) for row in ROWS]
    assert read(Cursor(rows, description, late=late)) == [ROSA, TOM]
    assert read(Cursor(rows * 3_000, description, late=late)) == [ROSA, TOM] * 3_000


@SHAPES
def test_row_factories_of_cursors_are_read(make: Callable[[int, str], object]) -> None:
    """Rows as mappings of any case, as objects, and as sequences with names."""
    cursor = Cursor([make(*row) for row in ROWS], [("id",), ("email",)])
    assert read(cursor) == [ROSA, TOM]


@SHAPES
def test_iterables_of_named_rows_are_read(make: Callable[[int, str], object]) -> None:
    """Lists, generators, and async generators, of what fetchall() returns."""

    async def rows() -> AsyncIterator[object]:
        for row in ROWS:
            yield make(*row)

    async def collect() -> list[str]:
        return [email async for chunk in prepare(rows(), plain_emails=True) for email in chunk]

    assert read([make(*row) for row in ROWS]) == [ROSA, TOM]
    assert read(make(*row) for row in ROWS * 3_000) == [ROSA, TOM] * 3_000
    assert anyio.run(collect) == [ROSA, TOM]


@SHAPES
def test_rows_of_several_identifiers_come_from_any_shape(
    make: Callable[[int, str], object],
) -> None:
    """Cells stay in their columns."""
    [rows] = list(prepare_rows([make(*row) for row in ROWS], columns=["email"], plain_emails=True))
    assert [row.email for row in rows] == [ROSA, TOM]


def test_row_factories_that_return_the_only_value_are_read() -> None:
    """As psycopg's scalar_row does; whatever the column is called."""
    assert read(Cursor([ROSA, TOM], [("email",)])) == [ROSA, TOM]
    assert read(Cursor([ROSA, TOM], [("lower",)])) == [ROSA, TOM]
    assert read(Cursor([ROSA, "müller@shop.example"], [("email",)])) == [
        ROSA,
        "müller@shop.example",
    ]


def test_row_factories_that_drop_columns_are_an_error() -> None:
    """A value of a query of several columns is not known to be the right one."""
    for rows in ([ROSA, TOM], [1, 2], [ROSA.encode()]):
        with pytest.raises(SourceError, match="each row is a single value") as caught:
            read(Cursor(rows, [("id",), ("email",)]))
        assert ROSA not in str(caught.value)


def test_fetched_row_of_sqlite_is_read() -> None:
    """As rows of a list and of a cursor, and as tuples that have no names."""
    connection = sqlite3.connect(":memory:")
    query = "select 1 as ID, 'rosa@shop.example' as EMail"
    assert read(connection.execute(query).fetchall()) == [ROSA]
    connection.row_factory = sqlite3.Row
    assert read(connection.execute(query)) == [ROSA]
    assert read(connection.execute(query).fetchall()) == [ROSA]
    connection.row_factory = lambda cursor, row: row[1]
    with pytest.raises(SourceError, match="each row is a single value"):
        read(connection.execute(query))
    connection.close()


def test_tuples_of_one_cell_are_the_value() -> None:
    """As fetchall() returns them; also among values."""
    assert read([(ROSA,), (TOM,)]) == [ROSA, TOM]
    assert read([[ROSA], [TOM]]) == [ROSA, TOM]
    assert read([ROSA, (TOM,)]) == [ROSA, TOM]
    assert read([(ROSA,), (None,), (TOM,)]) == [ROSA, TOM]


def test_only_column_of_addresses_in_tuples_is_detected() -> None:
    """It is proved by the values of the first rows."""
    ready = prepare([(1, ROSA, "Kiel"), (2, None, "Bonn"), (3, TOM, "Jena"), (4,)])
    assert ready.run().records == 2
    assert ready.report.columns == ("2",)
    assert ready.report.rejects == {RejectReason.EMPTY: 1, RejectReason.RAGGED_ROW: 1}


@pytest.mark.parametrize(
    "rows",
    [
        [(ROSA, TOM)],
        [(1, 2), (3, 4)],
        [("Rosa", "Voss")],
        [[ROSA, TOM, "third@shop.example"]],
        [[(ROSA,), (TOM,)]],
        [[[ROSA]], [[TOM]]],
    ],
    ids=str,
)
def test_tuples_without_a_clear_column_are_an_error(rows: list[Any]) -> None:
    """Never a guess, and never the values in the error."""
    with pytest.raises(SourceError, match=r"list: (the rows are|has items of type)") as caught:
        read(rows)
    assert ROSA not in str(caught.value)
    assert "Rosa" not in str(caught.value)


def test_rows_of_several_identifiers_need_names_or_numbers() -> None:
    """Tuples do not say which cell is which."""
    with pytest.raises(SourceError, match=r"tuples of 2 cells \(str, str\) without column names"):
        prepare_rows([("17", ROSA)]).run()
    columns: dict[str, str | int] = {"email": 2, "external_id": 1}
    [[row]] = list(prepare_rows([("17", ROSA)], columns=columns, plain_emails=True))
    assert (row.email, row.external_id) == (ROSA, "17")


BOTH = [(1, ROSA, None), (2, "", TOM), (3, None, None)]


@pytest.mark.parametrize("column", [["email", "second"], [2, 3], ["E-Mail", "3"]], ids=str)
def test_several_columns_of_rows_are_read(column: list[str | int]) -> None:
    """By their names and by their numbers, counted from 1; each cell is a record."""
    names = ("id", "email", "second")
    cursor = Cursor(list(BOTH), [(name,) for name in names])
    rows = [dict(zip(names, row, strict=True)) for row in BOTH]
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    connection.execute("create table customers (id, email, second)")
    connection.executemany("insert into customers values (?, ?, ?)", BOTH)
    fetched = connection.execute("select * from customers").fetchall()
    text = [list(names), *([str(cell or "") for cell in row] for row in BOTH)]
    objects = [SimpleNamespace(**row) for row in rows]
    for source in (cursor, rows, fetched, text, objects):
        ready = prepare(source, column=column, plain_emails=True)
        assert [record for chunk in ready for record in chunk] == [ROSA, TOM]
        assert ready.report.rejects == {RejectReason.EMPTY: 1}
    connection.close()


def test_numbered_columns_of_tuples_are_read() -> None:
    """Where values do not show which cell is meant."""
    rows = [(ROSA, TOM), (TOM, ROSA)]
    with pytest.raises(SourceError, match="select one by number with column="):
        read(rows)
    assert read(rows, column=2) == [TOM, ROSA]
    assert read(iter(rows), column="1") == [ROSA, TOM]
    assert prepare([*rows, (ROSA,)], column=2).run().rejects == {RejectReason.RAGGED_ROW: 1}
    with pytest.raises(SourceError, match="column 3 does not exist"):
        read(rows, column=3)


def test_columns_of_one_name_in_a_cursor_are_all_read() -> None:
    """A join returns two columns of one name."""
    connection = sqlite3.connect(":memory:")
    query = "select 'rosa@shop.example' as email, 1 as id, 'tom@shop.example' as email"
    assert read(connection.execute(query)) == [ROSA, TOM]
    connection.row_factory = sqlite3.Row
    assert read(connection.execute(query)) == [ROSA, TOM]
    assert read(connection.execute(query).fetchall()) == [ROSA, TOM]
    connection.close()


@pytest.mark.parametrize(
    "text",
    [
        "id,E-Mail\n1,rosa@shop.example\n2,tom@shop.example\n",
        "email\nrosa@shop.example\ntom@shop.example\n",
        "\nemail,city\nrosa@shop.example,Kiel\ntom@shop.example\n",
        "1,rosa@shop.example\n2,tom@shop.example\n",
    ],
)
def test_rows_of_csv_reader_are_read(text: str) -> None:
    """With their header, which is not a row, or without one."""
    assert read(csv.reader(io.StringIO(text))) == [ROSA, TOM]
    assert prepare(csv.reader(io.StringIO(text))).run().rejected == 0
    if "," in text and "mail" in text:
        assert read(csv.DictReader(io.StringIO(text.lstrip()))) == [ROSA, TOM]
        columns = {"email": "E-Mail" if "E-Mail" in text else "email"}
        [rows] = list(prepare_rows(csv.reader(io.StringIO(text)), columns=columns))
        assert len(rows) == 2


@pytest.mark.parametrize(
    "item",
    [1, 1.5, b"bytes", {1, 2}, object(), print, [[ROSA]], frozenset({ROSA}), int],
    ids=lambda item: type(item).__name__,
)
def test_items_that_are_not_rows_are_an_error_with_their_type(item: object) -> None:
    """For records and for rows; among rows they are rejects."""
    for make in (prepare, prepare_rows):
        for source in ([item, item], [None, item], iter([item] * 5_000)):
            with pytest.raises(SourceError, match=r"has items of type|the rows are") as caught:
                make(source).run()
            assert ROSA not in str(caught.value)
            assert type(item).__name__ in str(caught.value)
    mixed = prepare([ROSA, item, TOM]).run()
    # A list within a row is a cell of several addresses.
    assert (mixed.records, mixed.rejected) == ((3, 0) if isinstance(item, list) else (2, 1))
    named = prepare_rows([{"email": ROSA}, item, {"email": TOM}]).run()
    assert (named.records, named.rejected) == (2, 1)


def test_no_row_is_lost_when_rows_of_several_kinds_are_mixed() -> None:
    """Strings, mappings, tuples of one, objects, and missing ones."""
    rows = [ROSA, {"email": TOM}, None, (ROSA,), NamedRow(1, TOM), {"other": 1}, {"EMAIL": ROSA}]
    report = prepare(rows, column="email").run()
    assert report.records == 5
    assert report.rejects == {RejectReason.EMPTY: 2}


def test_digests_as_bytes_are_read_as_values() -> None:
    """Whatever becomes of them, they are rows."""
    assert prepare([bytes(range(32))]).run().rows == 1


def test_cursor_that_fails_after_some_rows_is_an_error() -> None:
    """Its rows before that are read."""

    class Broken(Cursor):
        def fetchmany(self, size: int) -> list[Any]:
            rows = super().fetchmany(size)
            if not rows:
                raise OSError(ROSA)
            return rows

    ready = prepare(Broken(ROWS, [("id",), ("email",)]))
    with pytest.raises(
        SourceError, match=r"after row 2: the database failed \(OSError\)"
    ) as caught:
        ready.run()
    assert ROSA not in str(caught.value)
    assert not ready.report.complete


def test_attribute_that_raises_is_an_error() -> None:
    """As detached objects of an ORM do."""

    class Detached:
        @property
        def email(self) -> str:
            raise LookupError(ROSA)

    with pytest.raises(SourceError, match=r"reading a row raised LookupError") as caught:
        read([Detached()])
    assert ROSA not in str(caught.value)


def test_cursors_without_rows_check_their_columns() -> None:
    """An empty result of a wrong query is still an error."""
    assert read(Cursor([], [("email",)], late=True)) == []
    with pytest.raises(SourceError, match="'city'"):
        read(Cursor([], [("city",)]))
    with pytest.raises(SourceError, match="execute a SELECT first"):
        read(Cursor([]))


def test_coroutine_that_was_not_awaited_is_an_error() -> None:
    """A coroutine is the most frequent slip with asynchronous drivers."""
    from pinterest_audiences import ConfigurationError

    async def fetch() -> list[str]:
        return [ROSA]

    waiting = fetch()
    with pytest.raises(
        ConfigurationError, match=r"coroutine cannot be read.*must be awaited first"
    ):
        prepare(waiting)  # type: ignore[arg-type]  # on purpose
    waiting.close()


class AsyncCursor:
    """A cursor that is awaited, as those of psycopg and aiosqlite."""

    def __init__(self, rows: list[Any], *, late: bool) -> None:
        self._rows = iter(rows)
        self.description: Any = None if late else [("id",), ("email",)]

    def __aiter__(self) -> AsyncCursor:
        return self

    async def __anext__(self) -> Any:
        await anyio.lowlevel.checkpoint()
        self.description = [("id",), ("email",)]
        for row in self._rows:
            return row
        raise StopAsyncIteration


async def count(source: SourceLike) -> int:
    return sum([len(chunk) async for chunk in prepare(source)])


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("late", [False, True], ids=["at once", "after the first fetch"])
def test_async_cursors_are_read(backend: str, late: bool) -> None:
    """With a description before or after the first row, and records of any shape."""

    async def main() -> None:
        assert await count(AsyncCursor(ROWS, late=late)) == 2
        for _, make in ROW_SHAPES:
            assert await count(AsyncCursor([make(*row) for row in ROWS], late=late)) == 2
        assert await count(AsyncCursor([], late=late)) == 0
        with pytest.raises(SourceError, match="single value"):
            await count(AsyncCursor([ROSA], late=late))

    anyio.run(main, backend=backend)


def test_named_cursors_of_psycopg2_are_read(postgres: str) -> None:
    """They know their columns only after the first fetch; with each of its row factories."""
    psycopg2 = pytest.importorskip("psycopg2", reason="psycopg2 is not installed")
    extras = pytest.importorskip("psycopg2.extras", reason="psycopg2 is not installed")
    query = "select n as id, 'p' || n || '@shop.de' as email from generate_series(1, 5000) n"
    connection = psycopg2.connect(postgres)
    for number, factory in enumerate(
        (None, extras.DictCursor, extras.RealDictCursor, extras.NamedTupleCursor)
    ):
        for name in (None, f"cursor{number}"):
            with connection.cursor(name, cursor_factory=factory) as cursor:
                cursor.execute(query)
                records = read(cursor)
            assert (len(records), records[-1]) == (5000, "p5000@shop.de")
            with connection.cursor(name and f"{name}b", cursor_factory=factory) as cursor:
                cursor.execute(query)
                assert len(read(cursor.fetchall())) == 5000
    last = connection.cursor()
    last.execute(query)
    connection.close()
    with pytest.raises(SourceError, match="the database failed"):
        read(last)


def test_row_factories_of_psycopg_are_read(postgres: str) -> None:
    """Tuples, dictionaries, named tuples, objects, and the first value."""
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")
    rows = psycopg.rows
    with psycopg.connect(postgres) as connection:
        query = "select 1 as id, 'rosa@shop.example' as email"
        for factory in (
            rows.tuple_row, rows.dict_row, rows.namedtuple_row, rows.class_row(DataRow)
        ):  # fmt: skip
            for name in (None, "streaming"):
                with connection.cursor(*[name] * bool(name), row_factory=factory) as cursor:
                    cursor.execute(query)
                    assert read(cursor) == [ROSA]
            assert read(connection.cursor(row_factory=factory).execute(query).fetchall()) == [ROSA]
        with connection.cursor(row_factory=rows.scalar_row) as cursor:
            assert read(cursor.execute("select 'rosa@shop.example' as lower")) == [ROSA]
            with pytest.raises(SourceError, match="single value"):
                read(cursor.execute(query))
            cursor.execute("create temporary table t (email text)")
            with pytest.raises(SourceError, match="ProgrammingError"):
                read(cursor)


def test_rows_and_objects_of_sqlalchemy_are_read() -> None:
    """Fetched rows, mappings, scalars and entities; awaited too."""
    sqlalchemy = pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed")
    orm = pytest.importorskip("sqlalchemy.orm", reason="SQLAlchemy is not installed")

    base = orm.declarative_base()
    columns = {
        "id": sqlalchemy.Column(sqlalchemy.Integer, primary_key=True),
        "email": sqlalchemy.Column(sqlalchemy.String),
    }
    customer: Any = type("Customer", (base,), {"__tablename__": "customers", **columns})
    engine = sqlalchemy.create_engine("sqlite://")
    base.metadata.create_all(engine)
    with orm.Session(engine) as session:
        session.add_all([customer(id=1, email=ROSA), customer(id=2, email=TOM)])
        session.commit()
        table = sqlalchemy.select(customer.id, customer.email).order_by(customer.id)
        assert read(session.execute(table)) == [ROSA, TOM]
        assert read(session.execute(table).all()) == [ROSA, TOM]
        assert read(session.execute(table).mappings().all()) == [ROSA, TOM]
        entities = sqlalchemy.select(customer).order_by(customer.id)
        assert read(session.scalars(entities)) == [ROSA, TOM]
        assert read(session.scalars(entities).all()) == [ROSA, TOM]
    engine.dispose()


def test_mapping_protocol_is_not_called_for_values() -> None:
    """A mapping of columns is not a source of rows."""
    from pinterest_audiences import ConfigurationError

    columns: Mapping[str, list[str]] = {"email": [ROSA]}
    with pytest.raises(ConfigurationError, match="dict cannot be read as rows"):
        prepare(columns)
