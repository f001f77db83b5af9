"""The hashing queries of every dialect, parsed: the only test of some that do not run here."""

from __future__ import annotations

from typing import Any

import pytest
from support.cases import each_case

from pinterest_audiences import HashedKind, SQLDialect, hashing_self_test_sql, hashing_sql
from pinterest_audiences._hashing_sql import DIALECTS, HASHED_KINDS, hash_expression

sqlglot: Any = pytest.importorskip(
    "sqlglot", reason="sqlglot is not installed: see the session `warehouse`"
)
NAMES = {"sqlserver": "tsql"}


def parse(dialect: SQLDialect, sql: str) -> Any:
    """Return the only statement; a parser that does not know one keeps it as a command."""
    (statement,) = sqlglot.parse(sql, read=NAMES.get(dialect, dialect))
    assert not list(statement.find_all(sqlglot.exp.Command))
    return statement


@each_case("dialect", DIALECTS)
@each_case("kind", HASHED_KINDS)
def test_queries_are_a_select_in_the_syntax_of_the_dialect(
    dialect: SQLDialect, kind: HashedKind
) -> None:
    """With the columns that sources are read by, from the given table only."""
    sql = hashing_sql(dialect, table='shop."Order"', column='"E-Mail"', kind=kind)
    query = parse(dialect, sql)
    assert query.named_selects == [f"{kind}_sha256", f"{kind}_to_clean"]
    (table,) = query.find_all(sqlglot.exp.Table)
    assert (table.db, table.name) == ("shop", "Order")
    columns = {column.name for column in query.find_all(sqlglot.exp.Column)}
    assert columns == {"E-Mail", "original", "cell_length", "trimmed", f"{kind}_sha256"}
    test = parse(dialect, hashing_self_test_sql(dialect, kind=kind))
    assert {table.name for table in test.find_all(sqlglot.exp.Table)} == {"differing"}
    expression = parse(dialect, f"SELECT {hash_expression(dialect, kind, 'contact')} AS digest")
    assert {column.name for column in expression.find_all(sqlglot.exp.Column)} == {"contact"}


@each_case("dialect", DIALECTS)
def test_syntax_error_is_noticed(dialect: SQLDialect) -> None:
    """By the parser that the other test relies on."""
    sql = hashing_sql(dialect, table="customers", column="email")
    with pytest.raises(sqlglot.errors.ParseError):
        parse(dialect, sql.replace("END AS email_sha256", "AS email_sha256"))
