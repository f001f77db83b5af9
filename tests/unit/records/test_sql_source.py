"""`sql_source`: databases by URL, with real drivers and a real PostgreSQL."""

from __future__ import annotations

import csv
import importlib.util
import re
import sqlite3
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import cast
from urllib.parse import quote

import pytest
from support.cases import each_case

from pinterest_audiences import (
    ConfigurationError,
    IdentifierType,
    Source,
    SourceError,
    SourceLike,
    TooManyRejectsError,
    open_source,
    prepare,
    prepare_rows,
    sql_source,
)
from pinterest_audiences._records import arrow, databases

pytestmark = pytest.mark.slow

HEADER = ("id", "email", "phone", "device")
UUIDS = ("38400000-8cf0-11bd-b23e-10b96e40000d", "6d92078a-8246-4ba4-ae5b-76104861e7dc")
EMAILS = (
    *(
        "ann@shop.de",
        " Bob@Shop.DE ",
        "m\u00fcller@stra\u00dfe.de",
        "'carla'@shop.de",
        "100%@shop.de",
    ),
    *(
        "no address",
        "",
        None,
        "d,e@shop.de",
        '"quoted"@shop.de',
        "two\nlines@shop.de",
        "x@shop.de\t",
    ),
)
ROWS = [
    (number, email, f"4917{number:08}", UUIDS[number % 2]) for number, email in enumerate(EMAILS, 1)
]
EVERY = "select id, email, phone, device from customers order by id"
MANY = 30_000
NUMBERS = "with recursive numbers(n) as (select 1 union all select n + 1 from numbers{}) "
FILLER = ", repeat('x', 2000) as filler"  # ADBC fetches 16 MB at a time
PASSWORD = "hunter2-Geheim"

# A name for each way to read a database; `url` makes the URL, or the engine.
SERVER = ("adbc", "psycopg", "psycopg2", "engine")
READERS = ("sqlite", "sqlite with SQLAlchemy", "duckdb", "duckdb without pyarrow", *SERVER)
every_reader = pytest.mark.parametrize("reader", READERS)
every_server = pytest.mark.parametrize("reader", SERVER)


def load_csv(folder: Path) -> Path:
    """Write the rows as a CSV file."""
    path = folder / "customers.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEADER, *ROWS])
    return path


def require(module: str) -> ModuleType:
    """Import a library, or skip the test."""
    return cast("ModuleType", pytest.importorskip(module, reason=f"{module} is not installed"))


Opener = Callable[..., Source]


@pytest.fixture
def opener(reader: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Opener]:
    """Create the table in a database of one kind, and yield a function that opens a query."""
    if reader in SERVER:
        with ExitStack() as stack:
            yield _server(reader, request.getfixturevalue("postgres"), stack)
        return
    if reader.startswith("sqlite"):
        path = tmp_path / "shop.sqlite"
        with sqlite3.connect(path) as connection:
            connection.execute("create table customers (id integer, email, phone, device)")
            connection.executemany("insert into customers values (?, ?, ?, ?)", ROWS)
        connection.close()
        scheme = "sqlite"
        if "SQLAlchemy" in reader:
            require("sqlalchemy")
            scheme = "sqlite+pysqlite"
    else:
        duckdb = require("duckdb")
        path, scheme = tmp_path / "shop.duckdb", "duckdb"
        connection = duckdb.connect(str(path))
        connection.execute(
            "create table customers (id bigint, email text, phone text, device uuid)"
        )
        connection.executemany("insert into customers values (?, ?, ?, ?)", ROWS)
        connection.close()
        if "without" in reader:
            request.getfixturevalue("monkeypatch").setattr(arrow, "has_pyarrow", lambda: False)
        else:
            require("pyarrow")
    yield lambda query, **options: sql_source(f"{scheme}:///{path}", query, **options)


def _server(reader: str, dsn: str, stack: ExitStack) -> Opener:
    """Create the table in PostgreSQL, and return a function that opens a query."""
    with require("psycopg").connect(dsn) as connection:
        connection.execute("drop table if exists customers")
        connection.execute("create table customers (id int8, email text, phone text, device uuid)")
        with connection.cursor() as cursor:
            cursor.executemany("insert into customers values (%s, %s, %s, %s)", ROWS)
    if reader == "adbc":
        require("pyarrow")
        require("adbc_driver_postgresql")
        return lambda query, **options: sql_source(server_url(dsn), query, **options)
    sqlalchemy = require("sqlalchemy")
    driver = "psycopg2" if reader == "psycopg2" else "psycopg"
    require(driver)
    url = server_url(dsn, f"postgresql+{driver}")
    if reader != "engine":
        return lambda query, **options: sql_source(url, query, **options)
    engine = sqlalchemy.create_engine(url, pool_size=1, max_overflow=0)
    stack.callback(engine.dispose)
    return lambda query, **options: sql_source(engine, query, **options)


def server_url(dsn: str, scheme: str = "postgresql", options: str = "") -> str:
    """Return the URL of the server of the tests."""
    host = dsn.split(maxsplit=1)[0].removeprefix("host=")
    given = f"&options={quote(options)}" if options else ""
    return f"{scheme}://test:{PASSWORD}@/postgres?host={host}{given}"


def sessions(dsn: str) -> int:
    """Return the number of other sessions of the server."""
    with require("psycopg").connect(dsn) as connection:
        [count] = connection.execute(
            "select count(*) from pg_stat_activity where backend_type = 'client backend' "
            "and pid != pg_backend_pid() and state != 'idle'"
        ).fetchone()
    return int(count)


def outcome(source: SourceLike) -> tuple[object, ...]:
    """Return everything that preparing e-mails gives."""
    ready = prepare(source, plain_emails=True)
    records = [record for chunk in ready for record in chunk]
    report = ready.report
    return records, report.rows, report.rejects, report.first_rows, report.columns


@every_reader
def test_records_equal_those_of_the_same_table_as_csv(opener: Opener, tmp_path: Path) -> None:
    """Values, rejects with their rows, and the column that was detected."""
    expected = outcome(open_source(load_csv(tmp_path)))
    assert outcome(opener(EVERY)) == expected
    assert outcome(opener(f"{EVERY};", column="email")) == expected
    assert expected[1] == len(ROWS)


@every_reader
def test_rows_equal_those_of_the_same_table_as_csv(opener: Opener, tmp_path: Path) -> None:
    """Numbers and UUIDs become the text that they have in the file."""
    columns = {
        "external_id": "id",
        "maid": "device",
        "email": "email",
        "hashed_phone_number": "phone",
    }
    source = open_source(load_csv(tmp_path), columns=columns)
    expected = [row for rows in prepare_rows(source, plain_emails=True) for row in rows]
    prepared = prepare_rows(opener(EVERY, columns=columns), plain_emails=True)
    assert [row for rows in prepared for row in rows] == expected
    assert len(expected) == len(ROWS)


@every_reader
def test_percent_signs_colons_and_comments_are_part_of_the_query(opener: Opener) -> None:
    """No driver takes them for parameters."""
    query = "select email, '12:30' as t from customers where email like '100%@shop.de' -- end"
    prepared = prepare(opener(query + "\n"), plain_emails=True)
    assert list(prepared) == [["100%@shop.de"]]


@every_reader
def test_result_is_read_in_parts_and_can_be_left_early(opener: Opener, reader: str) -> None:
    """A result without an end: its first rows arrive, and the query is canceled."""
    text = "n::text" if reader in SERVER or reader.startswith("duckdb") else "n"
    filler = FILLER if reader in SERVER else ""
    query = f"{NUMBERS.format('')}select {text} || '@shop.de' as email{filler} from numbers"
    if reader.startswith("duckdb"):  # which evaluates all of a recursive query first
        query = "select n::text || '@shop.de' as email from range(1000000000000) as r(n)"
    prepared = prepare(opener(query))
    assert next(iter(prepared))
    assert 0 < prepared.report.rows < 1_000_000


@every_reader
def test_result_without_rows_reads_nothing(opener: Opener) -> None:
    """And a column that the result lacks is an error nevertheless."""
    assert prepare(opener("select email from customers where 1 = 0")).run().rows == 0
    with pytest.raises(SourceError, match="no column is named 'mail'"):
        prepare(opener("select email from customers where 1 = 0", column="mail")).run()


def failing(reader: str) -> str:
    """Return a query that fails after many rows, in a value that must not be shown."""
    if reader.startswith("sqlite"):
        numbers, end = NUMBERS.format(f" where n < {MANY}"), " from numbers"
        value = f"case when n = {MANY} then json('ann@shop.de') else n || '@shop.de' end"
    elif reader.startswith("duckdb"):
        numbers, end = "", " from range(1, 1000001) as r(n)"
        value = "case when n = 900000 then error('ann@shop.de') else n::text || '@shop.de' end"
    else:
        numbers, end = NUMBERS.format(f" where n < {MANY}"), f"{FILLER} from numbers"
        value = (
            f"case when n = {MANY} then ('ann@shop.de' || n)::int::text else n || '@shop.de' end"
        )
    return f"{numbers}select {value} as email{end}"


@every_reader
def test_query_that_fails_after_rows_is_an_error_without_values(
    opener: Opener, reader: str
) -> None:
    """It is not taken for the end of the rows."""
    prepared = prepare(opener(failing(reader)))
    with pytest.raises(SourceError, match=r", after row \d+: the query failed") as caught:
        prepared.run()
    assert caught.value.row == prepared.report.rows > 0
    assert not prepared.report.complete
    check_private(caught.value)


def check_private(error: BaseException, *others: str) -> None:
    """Check that neither the error nor its traceback shows rows, values or the password."""
    shown = "".join(traceback.format_exception(error)) + repr(error)
    # The lines of the code of this test are in the traceback.
    shown = "\n".join(line for line in shown.splitlines() if not line.startswith("    "))
    for secret in ("ann@", "Smith", "49170", PASSWORD, *others):
        assert secret not in shown


QUERY_ERRORS = (
    (
        "select email form customers where name = 'Smith'",
        r'near "customers"|near "where"|near "\w+"',
    ),
    ("select email from custmers where name = 'Smith'", r"custmers"),
    ("select emial from customers where email = 'Smith 4917012345'", r"emial"),
    ("select 1 from customers where 'Smith", r"unterminated|unrecognized|OperationalError"),
)


@every_reader
def test_error_of_the_query_names_what_is_wrong_without_its_values(opener: Opener) -> None:
    """A syntax error, a table and a column that do not exist."""
    for query, expected in QUERY_ERRORS:
        with pytest.raises(SourceError, match="the query failed") as caught:
            prepare(opener(query)).run()
        text = str(caught.value)
        assert any(word in text for word in expected.split("|")) or "near" in text, text
        check_private(caught.value)


# Errors that quote a value of a row, and what is shown instead.
QUOTED_VALUES = {
    "(email || '%s')::tsquery": r"\(\w+, SQLSTATE 42601\)",
    "(email || '%s')::regclass": "SQLSTATE 3F000",
    "'%s'::regclass": "no such table",
    "('smi' || 'th')::regclass": "no such table",
    "'%s'::regtype": "SQLSTATE 42",
    "'%s'::regoper": "SQLSTATE 42",
    "'%s'::regnamespace": "SQLSTATE 3F000",
    "(email || '%s')::regrole": "SQLSTATE 42",
    "('smi' || left(coalesce(email, 'x'), 0) || 'th')::regrole": "SQLSTATE 42",
    "current_setting('%s')": "SQLSTATE 42704",
    "jsonb_path_query('{}', ('$.%s %s')::jsonpath)": "SQLSTATE 42601",
}


@every_server
def test_error_of_a_conversion_to_a_name_does_not_quote_the_value(opener: Opener) -> None:
    """A message about names and syntax may be about a value, and not about the query."""
    for expression, expected in QUOTED_VALUES.items():
        sql = expression.replace("%s", "smith lee" if "tsquery" in expression else "smith")
        with pytest.raises(SourceError, match="the query failed") as caught:
            prepare(
                opener(f"select ({sql})::text as email from customers where id = 1"),
                plain_emails=True,
            ).run()
        text = str(caught.value)
        # ADBC has no SQLSTATE for an error in a row.
        assert re.search(f"{expected}|ArrowInvalid|OSError", text), (expression, text)
        check_private(caught.value, "smith", "lee")


@every_server
def test_error_of_postgres_shows_names_of_the_query(opener: Opener) -> None:
    for query, expected in {
        "select Emial from customers": 'column "emial" does not exist',
        "select c.emial from customers c": "column c.emial does not exist",
        "select email from shop.custmers": 'relation "shop.custmers" does not exist',
        "select email form customers": 'syntax error at or near "customers"',
        "select lowr(email) from customers": r"function lowr\(text\) does not exist",
        "select email from customers where": "syntax error|SQLSTATE 42601",
        "select email + 1 from customers": "operator does not exist",
    }.items():
        with pytest.raises(SourceError, match=expected):
            prepare(opener(query)).run()


class _ODBCError(Exception):
    """An error as pyodbc raises it."""


ODBC_ERRORS = {
    "42S02": ("Invalid object name 'custmers'. (208)", "Invalid object name …"),
    "42S22": ("Invalid column name 'emial'. (207)", "Invalid column name …"),
    "42000": ("Incorrect syntax near 'Smith'. (102)", ""),
    "28000": ("Login failed for user 'Smith'. (18456)", "access denied"),
    "22018": (
        "Conversion failed when converting 'ann@shop.de'",
        "a value cannot be converted or calculated with",
    ),
}


@each_case("state", ODBC_ERRORS)
def test_error_of_odbc_has_the_message_about_a_table_or_column(state: str) -> None:
    message, expected = ODBC_ERRORS[state]

    class Failing:
        dialect = SimpleNamespace(name="mssql", driver="pyodbc")

        def connect(self) -> object:
            raise _ODBCError(state, f"[{state}] [Vendor][ODBC Driver 18][SQL Server]{message}")

    with pytest.raises(SourceError, match=state) as caught:
        prepare(sql_source(Failing(), EVERY)).run()
    details = f"(_ODBCError, SQLSTATE {state})"
    shown = f": {expected} {details}" if expected else f" {details}"
    assert str(caught.value).endswith(f"the connection failed{shown}")


@pytest.mark.parametrize("reader", ["adbc", "psycopg"])
def test_text_of_a_database_in_another_encoding_is_read(reader: str, postgres: str) -> None:
    """Arrow takes the bytes of the connection for UTF-8."""
    with require("psycopg").connect(postgres, autocommit=True) as connection:
        connection.execute("drop database if exists latin")
        connection.execute("create database latin encoding 'LATIN1' template template0 locale 'C'")
    require("adbc_driver_postgresql" if reader == "adbc" else "psycopg")
    require("pyarrow" if reader == "adbc" else "psycopg")
    dsn = postgres.replace("dbname=postgres", "dbname=latin")
    url = server_url(dsn, "postgresql" if reader == "adbc" else "postgresql+psycopg")
    query = "select 'm' || chr(252) || 'ller@shop.de' as email"
    source = sql_source(url.replace("/postgres", "/latin"), query)
    assert list(prepare(source, plain_emails=True)) == [["m\u00fcller@shop.de"]]


def test_error_of_a_pool_of_sqlite_is_not_replaced_at_the_end() -> None:
    """A connection that cannot be made writable again leaves the pool."""
    sqlalchemy = require("sqlalchemy")
    engine = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.pool.StaticPool)
    invalidated: list[object] = []
    sqlalchemy.event.listen(engine, "invalidate", lambda *_: invalidated.append(1))

    def fail(*arguments: object) -> None:
        if arguments[2] == "pragma query_only = 0":
            raise ValueError("ann@shop.de")

    sqlalchemy.event.listen(engine, "before_cursor_execute", fail)
    with pytest.raises(SourceError, match="no such column: emial") as caught:
        prepare(sql_source(engine, "select emial from (select 1)")).run()
    check_private(caught.value)
    assert invalidated
    engine.dispose()


@every_reader
def test_statement_that_changes_the_database_is_refused(opener: Opener) -> None:
    """The transaction is read-only, or rolled back."""
    for statement in (
        "delete from customers",
        "insert into customers (id) values (99)",
        "delete from customers returning email",
        "drop table customers",
    ):
        with pytest.raises(SourceError):
            prepare(opener(statement, column=1)).run()
    assert prepare(opener(EVERY)).run().rows == len(ROWS)


@every_reader
def test_error_of_an_unreachable_database_says_so_without_the_password(
    reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that does not exist, which is not created, or a port where nothing listens."""
    if reader in SERVER:
        driver = {"adbc": "", "psycopg2": "+psycopg2"}.get(reader, "+psycopg")
        require("adbc_driver_postgresql" if reader == "adbc" else driver[1:])
        database = f"postgresql{driver}://buyer:{PASSWORD}@127.0.0.1:9/shop"
        expected = "postgresql://127.0.0.1/shop: the connection failed: [Cc]onnection refused"
    else:
        if "without" in reader:
            monkeypatch.setattr(arrow, "has_pyarrow", lambda: False)
        require(reader.split(maxsplit=1)[0].replace("sqlite", "sqlite3"))
        if "SQLAlchemy" in reader:
            pytest.skip("SQLite creates the file, unless its URL has mode=ro")
        database = f"{reader.split(maxsplit=1)[0]}:///{tmp_path}/none.db"
        expected = r"none\.db: the query failed: (unable to open database file|Cannot open)"
    source = sql_source(database, EVERY)
    with pytest.raises(SourceError, match=expected) as caught:
        prepare(source).run()
    check_private(caught.value)
    assert not list(tmp_path.iterdir())


@every_server
def test_connection_is_closed_after_the_last_row_and_after_any_error(
    opener: Opener, postgres: str
) -> None:
    """It is opened when the source is prepared, and not before."""
    endless = f"{NUMBERS.format('')}select n || ' no address' as email{FILLER} from numbers"
    source = opener(endless)
    assert sessions(postgres) == 0
    chunks = source.chunks(source.choice(IdentifierType.EMAIL))
    next(chunks)
    assert sessions(postgres) == 1
    cast("Iterator[object]", chunks).close()  # type: ignore[attr-defined]
    assert sessions(postgres) == 0
    with pytest.raises(TooManyRejectsError):
        prepare(opener(endless), max_reject_share=0.1).run()
    assert sessions(postgres) == 0
    with pytest.raises(SourceError):
        prepare(opener(failing("psycopg"))).run()
    prepare(opener(EVERY)).run()
    assert sessions(postgres) == 0


@every_server
def test_lost_connection_is_an_error(opener: Opener, postgres: str) -> None:
    """The server ends the session while rows are read."""
    psycopg = require("psycopg")
    endless = f"{NUMBERS.format('')}select n || '@shop.de' as email{FILLER} from numbers"
    prepared = prepare(opener(endless))
    records = iter(prepared)
    next(records)
    with psycopg.connect(postgres) as other:
        other.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where pid != pg_backend_pid()"
            " and backend_type = 'client backend'"
        )
    with pytest.raises(
        SourceError, match=r"after row \d+: the query failed: .*(terminat|closed|lost)"
    ):
        for _ in records:
            pass


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_statement_timeout_is_an_error(postgres: str, scheme: str) -> None:
    """After rows, or before the first one."""
    require("adbc_driver_postgresql" if scheme == "postgresql" else scheme.partition("+")[2])
    url = server_url(postgres, scheme, "-c statement_timeout=100")
    for query in (
        "select pg_sleep(60)::text as email",
        f"{NUMBERS.format('')}select case n when 5000 then pg_sleep(60)::text end from numbers",
    ):
        with pytest.raises(SourceError, match="due to statement timeout") as caught:
            prepare(sql_source(url, query, column=1)).run()
        check_private(caught.value)


def test_types_that_arrow_represents_in_another_way_have_the_same_records(postgres: str) -> None:
    """Text of an extension, an enum, and a number that is not an integer."""
    require("adbc_driver_postgresql")
    with require("psycopg").connect(postgres) as connection:
        connection.execute("create extension if not exists citext")
        connection.execute("drop type if exists address")
        connection.execute("create type address as enum ('ann@shop.de', 'bob@shop.de')")
    query = "select {} as email, {} as id, {} as ip"
    for email, number, address in (
        ("'Ann@Shop.de'::citext", "1", "'::1'"),
        ("'bob@shop.de'::address", "2.0::numeric", "'2001:db8::1'::inet"),
        ("'carla@shop.de'", "491701234567::numeric", "null::text"),
        ("'dora@shop.de'", "1.5::float4", "'1.2.3.4'::inet"),
    ):
        columns = {"email": "email", "external_id": "id", "ip_address": "ip"}
        results = [
            [row for rows in prepare_rows(source, plain_emails=True) for row in rows]
            for scheme in ("postgresql", "postgresql+psycopg")
            for source in [
                sql_source(
                    server_url(postgres, scheme),
                    query.format(email, number, address),
                    columns=columns,
                )
            ]
        ]
        assert results[0] == results[1]
        assert len(results[0]) == 1


def test_adbc_alone_asks_for_a_cast_of_such_a_type(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without SQLAlchemy it cannot be read as rows."""
    require("adbc_driver_postgresql")
    hide(monkeypatch, "sqlalchemy")
    url = server_url(postgres)
    assert prepare(sql_source(url, "select 'ann@shop.de' as email")).run().records == 1
    with pytest.raises(ConfigurationError, match="cast the columns that are not text"):
        prepare(sql_source(url, "select 'ann@shop.de'::name as email, 1.5 as total")).run()


def hide(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    """Make imports of a library fail."""

    def without(name: str) -> ModuleType:
        if name.split(".", maxsplit=1)[0] in modules:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return import_module(name)

    monkeypatch.setattr(databases, "import_module", without)
    spec = importlib.util.find_spec
    monkeypatch.setattr(databases, "find_spec", lambda n: None if n in modules else spec(n))


@every_reader
def test_parameters_are_values_of_the_query(opener: Opener) -> None:
    """They are never shown, also if the query fails."""
    prepared = prepare(
        opener("select email from customers where email = :email and 1 = :one",
               parameters={"email": "ann@shop.de", "one": 1}),
        plain_emails=True,
    )  # fmt: skip
    assert list(prepared) == [["ann@shop.de"]]
    source = opener("select emial from customers where email = :e", parameters={"e": "ann@shop.de"})
    with pytest.raises(SourceError, match="emial") as caught:
        prepare(source).run()
    check_private(caught.value)


INVALID = {
    "no URL": ("shop.db", "database must be a URL such as"),
    "no database": ("", "database must be a non-empty string"),
    "not a URL": (17, "database must be a URL such as .*, or an Engine"),
    "several @": (f"postgresql://u:{PASSWORD}@x@host/db", "database has several @"),
    "unknown system": (f"sybase://u:{PASSWORD}@host/db", "SQLAlchemy does not know sybase://"),
    "unknown driver": ("postgresql+nothing://u@host/db", "does not know postgresql.nothing://"),
    "missing driver": (f"mysql+pymysql://u:{PASSWORD}@host/db", "driver pymysql is not installed"),
    "wrong port": (f"postgresql+psycopg://u:{PASSWORD}@host:x/db", "the URL is not valid"),
}


@each_case("case", INVALID)
def test_invalid_database_is_an_error_without_the_password(case: str) -> None:
    require("sqlalchemy")
    require("psycopg")
    database, expected = INVALID[case]
    with pytest.raises(ConfigurationError, match=expected) as caught:
        sql_source(cast("str", database), EVERY)
    assert caught.value.param == "database"
    check_private(caught.value)


def test_missing_package_is_an_error_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLAlchemy, DuckDB, and no package for SQLite."""
    hide(monkeypatch, "sqlalchemy", "duckdb", "adbc_driver_postgresql")
    for url in ("postgresql://host/shop", "mysql://host/shop", "sqlite+pysqlite:///shop.db"):
        with pytest.raises(ConfigurationError, match=r"pip install 'pinterest-audiences\[sql\]'"):
            sql_source(url, EVERY)
    with pytest.raises(ConfigurationError, match="pip install duckdb"):
        sql_source("duckdb:///shop.duckdb", EVERY)
    assert prepare(sql_source("sqlite://", "select 'ann@shop.de' as email")).run().records == 1
    assert sys.modules  # the interpreter itself is unchanged


def test_async_engine_is_refused() -> None:
    require("sqlalchemy")
    asyncio = require("sqlalchemy.ext.asyncio")
    require("psycopg")
    engine = asyncio.create_async_engine("postgresql+psycopg_async://host/shop")
    with pytest.raises(ConfigurationError, match="AsyncEngine; pass its sync_engine"):
        sql_source(engine, EVERY)


NAMES = {
    f"postgresql+psycopg://u:{PASSWORD}@db.internal:5432/shop?sslpassword={PASSWORD}": (
        "postgresql://db.internal/shop"
    ),
    f"postgresql+psycopg://host/a:{PASSWORD}": "postgresql://…",
    f"postgresql+psycopg://u:a/{PASSWORD}@host/shop": "postgresql://host/shop",
    f"postgresql+psycopg://host/{PASSWORD}%40x": "postgresql://…",
    f"oracle+oracledb://scott:{PASSWORD}/word": "oracle://…",
    f"oracle+oracledb://scott:1234/{PASSWORD}@host/shop": "oracle://host/shop",
    f"oracle+oracledb://scott:1234?{PASSWORD}@host/shop": "oracle://host/shop",
    "postgresql+psycopg://host:5432/shop": "postgresql://host/shop",
    f"sqlite+pysqlcipher://:s3cret/{PASSWORD}@/shop.db": "sqlite:///shop.db",
    f"sqlite+pysqlite://:s3cret/{PASSWORD}@/shop.db": "sqlite:///shop.db",
    f"duckdb://u:{PASSWORD}/shop.db": "duckdb://…",
    "sqlite:///folder/shop.db": "sqlite:///folder/shop.db",
    "sqlite:////folder/shop.db": "sqlite:////folder/shop.db",
}


@each_case("url", NAMES)
def test_name_of_the_source_has_no_user_password_or_option(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlalchemy = require("sqlalchemy")
    # The drivers of some of these databases are not installed.
    monkeypatch.setattr(sqlalchemy, "create_engine", lambda *_, **__: None)
    source = sql_source(url, EVERY)
    assert source.name == NAMES[url]
    assert repr(source) == f"Source({NAMES[url]!r})"


PASSWORDS = {
    "postgresql://u:secret@host/db": True,
    "postgresql://u:p?x@host/db": True,
    "postgresql://host/db?user=u&password=secret": True,
    "postgresql://host/db?sslpassword=secret": True,
    "postgresql://u@host:5432/db": False,
    "postgresql://u:@host/db": False,
    "postgresql://host/db?password=": False,
    "sqlite:///shop.db": False,
    "snowflake://u@account/db?token=secret": True,
    "snowflake://u@account/db?private_key_file_PWD=secret": True,
    "bigquery://project?credentials_base64=secret": True,
    "mssql+pyodbc://?odbc_connect=DRIVER%3D%7BODBC%7D%3BUID%3Du%3BPWD%3Dsecret": True,
    "mssql+pyodbc://?odbc_connect=DRIVER%3D%7BODBC%7D%3BPassword+%3D+secret": True,
    "mssql+pyodbc://?odbc_connect=DRIVER%3D%7BODBC%7D%3BTrusted_Connection%3Dyes": False,
    "postgresql://host/db?application_name=export": False,
}


@each_case("url", PASSWORDS)
def test_password_in_a_url_is_detected(url: str) -> None:
    assert databases.has_password(url) is PASSWORDS[url]
