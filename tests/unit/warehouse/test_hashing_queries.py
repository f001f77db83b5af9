"""The text of the hashing queries, which is the same without a database."""

from __future__ import annotations

import re

import pytest
from support.cases import each_case

from pinterest_audiences import (
    ConfigurationError,
    HashedKind,
    SQLDialect,
    hashing_self_test_sql,
    hashing_sql,
)
from pinterest_audiences._hashing_sql import DIALECTS, HASHED_KINDS, hash_expression


@each_case("dialect", DIALECTS)
@each_case("kind", HASHED_KINDS)
def test_queries_are_plain_ascii_and_a_single_statement(
    dialect: SQLDialect, kind: HashedKind
) -> None:
    """A driver does not find parameters, an escape or a second statement in them."""
    for sql in (
        hashing_sql(dialect, table="customers", column="id", kind=kind),
        hashing_self_test_sql(dialect, kind=kind),
    ):
        assert sql.isascii()
        literals = re.findall(r"'([^']*)'", sql)
        assert not any(character in text for text in literals for character in ';:"`')
        assert "\\" not in sql.replace(r"' \t\n\r'", "")
        assert sql.count("(") - sql.count(")") == sum(
            text.count("(") - text.count(")") for text in literals
        )
        assert ";" not in sql


@each_case("dialect", DIALECTS)
def test_expression_is_that_of_the_query(dialect: SQLDialect) -> None:
    """With the trimmed value written out, for an engine that is given expressions."""
    expression = hash_expression(dialect, "email", "contact")
    assert expression.startswith("CASE\n  WHEN ")
    assert expression.endswith("\nEND")
    assert "trimmed" not in expression
    assert "contact" in expression


@each_case(
    ("dialect", "name", "quoted"),
    [
        ("postgres", "customers", "customers"),
        ("postgres", "shop.Customers", "shop.Customers"),
        ("postgres", 'shop."Order"', 'shop."Order"'),
        ("postgres", "Kunden 1", '"Kunden 1"'),
        ("postgres", '"a""b"', '"a""b"'),
        ("postgres", "1st", '"1st"'),
        ("snowflake", "DB.PUBLIC.E-Mails", 'DB.PUBLIC."E-Mails"'),
        ("bigquery", "my-project.shop.customers", "`my-project`.shop.customers"),
        ("databricks", 'main."a`b"', "main.`a``b`"),
        ("mysql", '"order"', "`order`"),
        ("mysql", '"user"', "`user`"),
        ("spark", "default.user", "default.user"),
        ("sqlserver", 'dbo."a]b"', "dbo.[a]]b]"),
        ("sqlserver", "dbo.Kunden 1", "dbo.[Kunden 1]"),
        ("trino", "x;drop table y", '"x;drop table y"'),
        ("duckdb", "m\u00fcller", '"m\u00fcller"'),
    ],
)
def test_table_and_column_are_quoted_in_the_way_of_the_dialect(
    dialect: SQLDialect, name: str, quoted: str
) -> None:
    """Unless each part is a plain word."""
    sql = hashing_sql(dialect, table=name, column=name)
    assert f"SELECT {quoted} AS original," in sql
    assert f"FROM {quoted}\n" in sql


@each_case(
    ("dialect", "arguments", "param"),
    [
        ("oracle", {}, "dialect"),
        ("", {}, "dialect"),
        ("postgres", {"kind": "phone"}, "kind"),
        ("postgres", {"table": ""}, "table"),
        ("postgres", {"table": "a..b"}, "table"),
        ("postgres", {"table": "a."}, "table"),
        ("postgres", {"table": '"a'}, "table"),
        ("postgres", {"table": '"a"b'}, "table"),
        ("postgres", {"table": "a\0b"}, "table"),
        ("postgres", {"table": "a\nb"}, "table"),
        ("postgres", {"table": "a" * 256}, "table"),
        ("postgres", {"table": "current_date"}, "table"),
        ("postgres", {"column": "User"}, "column"),
        ("snowflake", {"column": "current_timestamp"}, "column"),
        ("duckdb", {"column": "NULL"}, "column"),
        ("postgres", {"column": ""}, "column"),
        ("postgres", {"column": 3}, "column"),
        ("bigquery", {"column": "a`b"}, "column"),
        ("clickhouse", {"column": "a\\b"}, "column"),
    ],
)
def test_argument_that_cannot_be_written_in_sql_is_refused(
    dialect: str, arguments: dict[str, object], param: str
) -> None:
    values: dict[str, object] = {"table": "customers", "column": "email", "kind": "email"}
    with pytest.raises(ConfigurationError) as caught:
        hashing_sql(dialect, **(values | arguments))  # type: ignore[arg-type]
    assert caught.value.param == param


def test_self_test_of_an_unknown_dialect_or_kind_is_refused() -> None:
    for arguments in (("oracle", "email"), ("duckdb", "phone")):
        with pytest.raises(ConfigurationError):
            hashing_self_test_sql(arguments[0], kind=arguments[1])  # type: ignore[arg-type]
