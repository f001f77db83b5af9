"""Databases that run the hashing queries: real ones, and an emulation of Snowflake."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeAlias
from warnings import catch_warnings

import pytest

from pinterest_audiences import SQLDialect

Row: TypeAlias = tuple[object, ...]


class Warehouse(Protocol):
    """A database with tables of one text column."""

    dialect: SQLDialect

    def load(self, table: str, values: Sequence[str | None]) -> None:
        """Create a table with a column ``email``."""
        ...

    def query(self, sql: str) -> list[Row]:
        """Return the rows of a query."""
        ...


def arrow_table(values: Iterable[str | None]) -> Any:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    return pyarrow.table({"email": pyarrow.array(list(values), pyarrow.string())})


def write_parquet(path: Path, values: Iterable[str | None]) -> None:
    table = arrow_table(values)
    from pyarrow.parquet import write_table

    write_table(table, path)


class Postgres:
    """A real server; it has no text with a NUL character."""

    dialect: SQLDialect = "postgres"

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def load(self, table: str, values: Sequence[str | None]) -> None:
        cursor = self._connection.cursor()
        cursor.execute(f"create table {table} (email text)")
        with cursor.copy(f"copy {table} from stdin") as copy:
            for value in values:
                copy.write_row([value])

    def query(self, sql: str) -> list[Row]:
        cursor = self._connection.execute(sql)
        return [] if cursor.description is None else list(cursor.fetchall())


@contextmanager
def open_postgres(address: str) -> Generator[Postgres, None, None]:
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")
    with psycopg.connect(address, autocommit=True) as connection:
        yield Postgres(connection)


class DuckDB:
    """In this process."""

    dialect: SQLDialect = "duckdb"

    def __init__(self, path: Path | None = None) -> None:
        duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed")
        self.connection = duckdb.connect(str(path or ":memory:"))

    def load(self, table: str, values: Sequence[str | None]) -> None:
        self.connection.register("loaded", arrow_table(values))
        self.connection.execute(f"create table {table} as select * from loaded")

    def query(self, sql: str) -> list[Row]:
        return list(self.connection.execute(sql).fetchall())

    def close(self) -> None:
        self.connection.close()


class ClickHouse:
    """ClickHouse in this process, by chdb."""

    dialect: SQLDialect = "clickhouse"

    def __init__(self, folder: Path) -> None:
        session = pytest.importorskip("chdb.session", reason="chdb (ClickHouse) is not installed")
        self._folder = folder
        self._session = session.Session(str(folder / "clickhouse"))

    def load(self, table: str, values: Sequence[str | None]) -> None:
        path = self._folder / f"{table}.parquet"
        write_parquet(path, values)
        self._session.query(
            f"create table {table} (email Nullable(String)) engine = Memory as "
            f"select email from file('{path}', Parquet)"
        )

    def query(self, sql: str) -> list[Row]:
        result = self._session.query(sql, "JSONCompactEachRow")
        return [tuple(json.loads(line)) for line in str(result).split("\n") if line]

    def close(self) -> None:
        self._session.close()


class Spark:
    """Local Spark; Databricks has the same functions."""

    dialect: SQLDialect = "spark"

    def __init__(self, folder: Path) -> None:
        spark_sql = pytest.importorskip("pyspark.sql", reason="pyspark is not installed")
        if not _has_java():
            pytest.skip("Java is not installed")
        self._folder = folder
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        builder = spark_sql.SparkSession.builder
        settings = {
            "spark.ui.enabled": "false",
            "spark.sql.shuffle.partitions": "2",
            "spark.sql.warehouse.dir": str(folder / "spark"),
            "spark.driver.host": "127.0.0.1",
        }
        for name, value in settings.items():
            builder = builder.config(name, value)
        self.session = builder.master("local[2]").getOrCreate()

    def load(self, table: str, values: Sequence[str | None]) -> None:
        path = self._folder / f"{table}.parquet"
        write_parquet(path, values)
        self.session.read.parquet(str(path)).createOrReplaceTempView(table)

    def query(self, sql: str) -> list[Row]:
        return [tuple(row) for row in self.session.sql(sql).collect()]

    def close(self) -> None:
        self.session.stop()


def _has_java() -> bool:
    return shutil.which("java") is not None or "JAVA_HOME" in os.environ


class Snowflake:
    """An emulation of Snowflake by fakesnow, which translates to DuckDB."""

    dialect: SQLDialect = "snowflake"

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def load(self, table: str, values: Sequence[str | None]) -> None:
        pandas_tools = pytest.importorskip("snowflake.connector.pandas_tools")
        self.query(f"create table {table} (email varchar)")
        frame = arrow_table(values).rename_columns(["EMAIL"]).to_pandas()
        with catch_warnings(action="ignore"):
            pandas_tools.write_pandas(self._connection, frame, table.upper())

    def query(self, sql: str) -> list[Row]:
        with catch_warnings(action="ignore"):  # the emulation uses what DuckDB advises against
            return list(self._connection.cursor().execute(sql).fetchall())


@contextmanager
def open_snowflake() -> Generator[Snowflake, None, None]:
    fakesnow = pytest.importorskip("fakesnow", reason="fakesnow (Snowflake) is not installed")
    connector = pytest.importorskip("snowflake.connector")
    with ExitStack() as stack:
        with catch_warnings(action="ignore"):
            stack.enter_context(fakesnow.patch())
            connection = connector.connect(database="shop", schema="public")
            stack.enter_context(connection)
        yield Snowflake(connection)
