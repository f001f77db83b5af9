"""The databases that run the hashing queries; each is skipped where it is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from support.postgres import postgres
from support.warehouses import (
    ClickHouse,
    DuckDB,
    Spark,
    Warehouse,
    open_postgres,
    open_snowflake,
)

__all__ = ["postgres", "warehouse"]

EXECUTED = ("postgres", "duckdb", "clickhouse", "spark", "snowflake")
"""The dialects whose database runs here."""


@pytest.fixture(scope="session", params=EXECUTED)
def warehouse(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Warehouse]:
    """Each database in turn."""
    folder = tmp_path_factory.mktemp(request.param)
    with ExitStack() as stack:
        yield open_warehouse(request, folder, stack)


def open_warehouse(request: pytest.FixtureRequest, folder: Path, stack: ExitStack) -> Warehouse:
    match request.param:
        case "postgres":
            address: str = request.getfixturevalue("postgres")
            return stack.enter_context(open_postgres(address))
        case "duckdb":
            return DuckDB()
        case "clickhouse":
            return stack.enter_context(closing(ClickHouse(folder)))
        case "spark":
            return stack.enter_context(closing(Spark(folder)))
        case _:
            return stack.enter_context(open_snowflake())
