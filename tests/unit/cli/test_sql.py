"""``sql``: only the query on standard output."""

from __future__ import annotations

from support.cases import each_case
from unit.cli.conftest import Run, refused

from pinterest_audiences import HashedKind, SQLDialect, hashing_self_test_sql, hashing_sql
from pinterest_audiences._hashing_sql import DIALECTS

TABLE = ("--table", "shop.customers", "--column", "E-Mail")


@each_case("dialect", DIALECTS)
def test_query_and_self_test_are_those_of_the_functions(run: Run, dialect: SQLDialect) -> None:
    done = run("sql", "--dialect", dialect, *TABLE)
    query = hashing_sql(dialect, table="shop.customers", column="E-Mail")
    assert (done.code, done.out, done.err) == (0, f"{query}\n", "")
    done = run("sql", "--dialect", dialect, "--self-test")
    assert (done.code, done.out, done.err) == (0, f"{hashing_self_test_sql(dialect)}\n", "")


@each_case("kind", ["email", "maid", "idfa"])
def test_kind_selects_the_rules(run: Run, kind: HashedKind) -> None:
    done = run("sql", "--dialect", "trino", *TABLE, "--kind", kind)
    assert (
        done.out == hashing_sql("trino", table="shop.customers", column="E-Mail", kind=kind) + "\n"
    )


@each_case("form", ["table", "json", "ndjson", "csv"])
def test_every_output_format_has_only_the_query(run: Run, form: str) -> None:
    """So that it can be written to a file or passed to the client of a database."""
    done = run("sql", "--dialect", "duckdb", *TABLE, "--output", form)
    assert done.out == hashing_sql("duckdb", table="shop.customers", column="E-Mail") + "\n"


@each_case(
    ("words", "problem"),
    [
        (("--dialect", "duckdb"), "use --table and --column, or --self-test"),
        (("--dialect", "duckdb", "--table", "t"), "use --table and --column, or --self-test"),
        (("--dialect", "duckdb", "--column", "c"), "use --table and --column, or --self-test"),
        (("--dialect", "duckdb", *TABLE, "--self-test"), "--self-test reads no table"),
        (("--dialect", "oracle", *TABLE), "--dialect"),
        (TABLE, "--dialect"),
        (("--dialect", "duckdb", *TABLE, "--kind", "phone"), "--kind"),
    ],
)
def test_incomplete_or_wrong_options_are_a_usage_error(
    run: Run, words: tuple[str, ...], problem: str
) -> None:
    """And no query is printed."""
    refused(run("sql", *words), 2, "usage", problem)


@each_case(
    ("words", "problem"),
    [
        (("--table", "a..b", "--column", "c"), "table must be a name as in SQL"),
        (("--table", "t", "--column", "a."), "column must be a name as in SQL"),
    ],
)
def test_name_that_is_not_sql_is_refused(run: Run, words: tuple[str, ...], problem: str) -> None:
    refused(run("sql", "--dialect", "duckdb", *words), 2, "configuration", problem)
