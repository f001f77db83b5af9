"""``sql``: print the query that hashes identifiers in a database."""

from __future__ import annotations

from pinterest_audiences._hashing_sql import (
    HashedKind,
    SQLDialect,
    hashing_self_test_sql,
    hashing_sql,
)
from pinterest_audiences.cli.context import ContextArg
from pinterest_audiences.cli.error_reports import usage_error
from pinterest_audiences.cli.options import DEFAULT_OPTIONS, CommonOptions, Flag

__all__ = ["sql"]


def sql(
    *,
    dialect: SQLDialect,
    table: str | None = None,
    column: str | None = None,
    kind: HashedKind = "email",
    self_test: Flag = False,
    common: CommonOptions = DEFAULT_OPTIONS,
    context: ContextArg,
) -> None:
    """Print a query that cleans and hashes a column in a database, as an upload would.

    Args:
        dialect: Database that runs the query.
        table: Table or view, as in SQL, such as shop.customers; a name that is not a plain word is
            quoted.
        column: Column with the identifiers, as text.
        kind: Type of identifier in the column.
        self_test: Print a query that tests the database with known values instead; its result is
            OK, or the values that differ.
        common: Common options.
        context: Context of the command.
    """
    if self_test:
        if table is not None or column is not None:
            raise usage_error("--self-test reads no table: leave out --table and --column")
        context.out.text(hashing_self_test_sql(dialect, kind=kind))
        return
    if table is None or column is None:
        raise usage_error("use --table and --column, or --self-test")
    context.out.text(hashing_sql(dialect, table=table, column=column, kind=kind))
