"""Database cursors and results, with real drivers and a real PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import anyio
import pytest

from pinterest_audiences import RejectReason, SourceError, SourceLike, prepare, prepare_rows

pytestmark = pytest.mark.slow

MANY = 10_000
QUERY = (
    "select n as id, case when n % 1000 = 0 then null when n % 1000 = 1 then 'absent' "
    "else ' Person' || n || '@Shop.de' end as email from numbers order by n"
)
NUMBERS = (
    f"with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < {MANY}) "
)


def check(source: SourceLike) -> None:
    """Read a source of the query to its end."""
    ready = prepare(source, plain_emails=True)
    records = [record for chunk in ready for record in chunk]
    report = ready.report
    assert records[0] == "person2@shop.de"
    assert records[-1] == f"person{MANY - 1}@shop.de"
    assert report.complete
    assert report.columns == ("email",)
    assert report.rows == MANY == report.records + report.rejected
    assert report.rejects == {RejectReason.EMPTY: 10, RejectReason.NO_AT_SIGN: 10}
    assert report.first_rows[RejectReason.EMPTY][:2] == (1000, 2000)


@pytest.fixture
def sqlite() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    yield connection
    connection.close()


def test_cursor_of_the_standard_library_is_read(sqlite: sqlite3.Connection) -> None:
    """DB-API 2.0, with rows as tuples and as mappings by name."""
    check(sqlite.execute(NUMBERS + QUERY))
    sqlite.row_factory = sqlite3.Row
    check(sqlite.execute(NUMBERS + QUERY))


def test_cursor_is_fetched_in_chunks(sqlite: sqlite3.Connection) -> None:
    """When the first chunk is out, most rows are still in the database."""
    fetched: list[int] = []
    sqlite.create_function("seen", 1, lambda n: fetched.append(n) or n)  # type: ignore[func-returns-value]
    chunks = iter(
        prepare(sqlite.execute(f"{NUMBERS} select seen(n) || '@shop.de' as email from numbers"))
    )
    next(chunks)
    assert len(fetched) < MANY / 2


def test_rows_of_a_cursor_keep_their_columns(sqlite: sqlite3.Connection) -> None:
    """Columns are found by name, whatever their order."""
    cursor = sqlite.execute("select '17' as id, 1 as x, 'ann@shop.de' as mail")
    columns = {"email": "mail", "external_id": "id"}
    [[row]] = list(prepare_rows(cursor, columns=columns, plain_emails=True))
    assert (row.email, row.external_id) == ("ann@shop.de", "17")


def test_cursor_without_rows_says_what_to_do(sqlite: sqlite3.Connection) -> None:
    """Nothing was executed, or no SELECT."""
    with pytest.raises(SourceError, match="execute a SELECT first"):
        prepare(sqlite.cursor()).run()


def test_cursor_that_fails_half_way_is_an_error(sqlite: sqlite3.Connection) -> None:
    """The error has the number of rows before it, and the error of the driver as its cause."""

    def fail(n: int) -> str:
        if n == 7_000:
            raise ValueError
        return f"p{n}@shop.de"

    sqlite.create_function("fail", 1, fail)
    ready = prepare(sqlite.execute(f"{NUMBERS} select fail(n) as email from numbers"))
    with pytest.raises(SourceError, match=r"Cursor, after row \d+: the database failed") as caught:
        ready.run()
    assert isinstance(caught.value.__cause__, sqlite3.Error)
    assert not ready.report.complete
    assert caught.value.row == ready.report.rows < 7_000


def test_result_without_rows_is_an_error() -> None:
    """A statement of SQLAlchemy that returns no rows."""
    sqlalchemy = pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed")
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.connect() as connection:
        result = connection.execute(sqlalchemy.text("create table customers (email)"))
        with pytest.raises(SourceError, match=r"the database failed \(ResourceClosedError\)"):
            prepare(result).run()
    engine.dispose()


def test_results_of_sqlalchemy_are_read() -> None:
    """Rows, mappings and scalars; streamed."""
    sqlalchemy = pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed")
    engine = sqlalchemy.create_engine("sqlite://")
    query = sqlalchemy.text(NUMBERS + QUERY)
    with engine.connect() as connection:
        streaming = connection.execution_options(stream_results=True, yield_per=500)
        check(streaming.execute(query))
        check(connection.execute(query).mappings())
        check(dict(row) for row in connection.execute(query).mappings())
        scalars = connection.execute(sqlalchemy.text("select 'ann@shop.de' as email")).scalars()
        assert list(prepare(scalars, plain_emails=True)) == [["ann@shop.de"]]
    engine.dispose()


def test_cursors_of_psycopg_are_read(postgres: str) -> None:
    """A client cursor, a server cursor that streams, and rows as dictionaries."""
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")
    query = f"with numbers as (select generate_series(1, {MANY}) as n) {QUERY}"
    with psycopg.connect(postgres) as connection:
        check(connection.execute(query))
        with connection.cursor(name="streaming") as cursor:
            check(cursor.execute(query))
        with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
            check(cursor.execute(query))
            cursor.execute("select 'ann@shop.de' as mail, '17' as id")
            named = prepare_rows(cursor, columns={"external_id": "id", "email": "mail"})
            assert [row.external_id for rows in named for row in rows] == ["17"]


def test_types_of_postgres_that_are_identifiers_are_read(postgres: str) -> None:
    """The driver makes objects of uuid and inet; they are written out."""
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")
    with psycopg.connect(postgres) as connection:
        cursor = connection.execute(
            "select '38400000-8cf0-11bd-b23e-10b96e40000d'::uuid as maid, "
            "'2001:db8::1'::inet as ip_address, now() as external_id"
        )
        ready = prepare_rows(cursor)
        [[row]] = list(ready)
    assert row.ip_address == "2001:db8::1"
    assert row.maid is not None
    assert len(row.maid) == 64
    assert "1 cell left out" in str(ready.report)


def test_lost_connection_is_an_error(postgres: str) -> None:
    """It is not taken as the end of the rows."""
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")
    query = "select 'p' || n || '@shop.de' as email from generate_series(1, 100000) n"
    other, connection = psycopg.connect(postgres), psycopg.connect(postgres)
    with other, connection.cursor(name="streaming") as cursor:
        cursor.execute(query)
        ready = prepare(cursor)
        seen = 0
        with pytest.raises(SourceError, match="the database failed"):  # noqa: PT012 - in between
            for chunk in ready:
                if not seen:
                    other.execute("select pg_terminate_backend(%s)", [connection.info.backend_pid])
                seen += len(chunk)
        assert 0 < seen < 100_000
        assert not ready.report.complete
    other.close()
    connection.close()


def test_sqlalchemy_streams_from_postgres(postgres: str) -> None:
    """With stream_results the rows stay in the server until they are fetched."""
    sqlalchemy = pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed")
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(postgres)
    )
    query = f"with numbers as (select generate_series(1, {MANY}) as n) {QUERY}"
    with engine.connect().execution_options(stream_results=True) as connection:
        check(connection.execute(sqlalchemy.text(query)))
    engine.dispose()


def test_adbc_reads_from_postgres(postgres: str) -> None:
    """ADBC hands out Arrow straight from the server."""
    pytest.importorskip("pyarrow", reason="pyarrow is not installed (the extra [arrow])")
    adbc = pytest.importorskip(
        "adbc_driver_postgresql.dbapi", reason="adbc-driver-postgresql is not installed"
    )
    query = f"with numbers as (select generate_series(1, {MANY}) as n) {QUERY}"
    host = postgres.split(maxsplit=1)[0].removeprefix("host=")
    address = f"postgresql:///postgres?host={host}&user=test"
    with adbc.connect(address) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        check(cursor.fetch_record_batch())


def test_async_cursor_of_psycopg_is_read(postgres: str) -> None:
    """Psycopg's own asynchronous cursor, on asyncio, which is all it knows."""
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")
    query = f"with numbers as (select generate_series(1, {MANY}) as n) {QUERY}"

    async def main() -> tuple[int, int]:
        connection = await psycopg.AsyncConnection.connect(postgres)
        async with connection, connection.cursor(name="streaming") as cursor:
            await cursor.execute(query)
            ready = prepare(cursor)
            records = 0
            async for chunk in ready:
                records += len(chunk)
        assert ready.report.complete
        return records, ready.report.rejected

    assert anyio.run(main) == (MANY - 20, 20)
