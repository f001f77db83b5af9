"""The hashing queries, run by databases: the result of the package, or left to the package."""

from __future__ import annotations

import re
import secrets
from collections import Counter
from functools import cache

import pytest
from support.golden_vectors import vectors
from support.nasty_values import random_emails, random_mobile_ids
from support.warehouses import Row, Warehouse

from pinterest_audiences import HashedKind, IdentifierType, hashing_self_test_sql, hashing_sql
from pinterest_audiences._hashing_sql import hash_expression
from pinterest_audiences._records.emails import PLACEHOLDER_LOCAL_PARTS
from pinterest_audiences._records.identifiers import (
    KIND_NORMALIZERS,
    NormalizationOptions,
    Normalized,
    normalize,
)

pytestmark = [pytest.mark.slow, pytest.mark.once, pytest.mark.timeout(300)]

SEED = secrets.randbelow(10**9)
VALUES = {"email": 100_000, "maid": 20_000}
# Values that every dialect must hash: nothing but letters, digits and a few characters, with spaces
# around them. Everything else may be left to the package.
SIMPLE = {
    "email": re.compile(r" {0,50}[A-Za-z0-9._+]{1,20}@[A-Za-z0-9]{1,12}(\.[A-Za-z]{2,6}){1,2} *"),
    "maid": re.compile(r" *[1-9a-fA-F][0-9a-fA-F]{7}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12} *"),
}
SPECIAL = re.compile(
    rf" *({'|'.join(map(re.escape, PLACEHOLDER_LOCAL_PARTS))})@|[@.]example\.|xn--|_x"
    r"|\.(test|example|invalid|localhost) *$",
    re.IGNORECASE,
)


@cache
def values(kind: HashedKind) -> tuple[str, ...]:
    """Return the golden vectors of a kind, and random values."""
    make = random_emails if kind == "email" else random_mobile_ids
    golden = [value for column, value, *_ in vectors() if column == kind]
    # Text of PostgreSQL has no NUL character, and text of databases no surrogates.
    possible = [v.replace("\0", "\x01") for v in golden if not re.search("[\ud800-\udfff]", v)]
    return (*possible, *make(SEED, VALUES[kind]))


@cache
def record(kind: HashedKind, value: str) -> str | None:
    """Return what the package makes of a value."""
    rule = KIND_NORMALIZERS[IdentifierType(kind)]
    outcome = normalize(value, rule, NormalizationOptions())
    return outcome.record if isinstance(outcome, Normalized) else None


def is_simple(kind: HashedKind, value: str) -> bool:
    return SIMPLE[kind].fullmatch(value) is not None and SPECIAL.search(value) is None


@pytest.mark.parametrize("kind", ["email", "maid"])
def test_hash_is_that_of_the_package_or_the_value_is_left_to_it(
    warehouse: Warehouse, kind: HashedKind
) -> None:
    """For all golden vectors and many random values; the result is never another one."""
    print(f"seed {SEED}")  # noqa: T201 - to reproduce a failure
    table = f"random_{kind}"
    warehouse.load(table, values(kind))
    rows = warehouse.query(hashing_sql(warehouse.dialect, table=table, column="email", kind=kind))
    assert len(rows) == len(values(kind))
    assert all((digest is None) != (left is None) for digest, left in rows)
    left = Counter[object](value for digest, value in rows if digest is None)
    given = Counter[object](values(kind))
    assert not left - given
    hashed = given - left
    expected = Counter[object]()
    for value, count in hashed.items():
        expected[record(kind, str(value))] += count
    assert Counter(digest for digest, _ in rows if digest is not None) == expected
    assert sum(hashed.values()) > len(rows) / 4
    not_hashed = [value for value in left if isinstance(value, str) and is_simple(kind, value)]
    assert not_hashed == []


@pytest.mark.parametrize("kind", ["email", "maid"])
def test_expression_has_the_result_of_the_query(warehouse: Warehouse, kind: HashedKind) -> None:
    """Macros and engines use it alone, with the trimmed value written out."""
    table = f"expression_{kind}"
    warehouse.load(table, values(kind)[:10_000])
    expression = hash_expression(warehouse.dialect, kind, "email")
    query = hashing_sql(warehouse.dialect, table=table, column="email", kind=kind)
    rows = warehouse.query(f"SELECT {expression} AS digest, email FROM {table}")
    expected = Counter(
        (digest, value if digest is None else None) for digest, value in warehouse.query(query)
    )
    assert Counter((d, value if d is None else None) for d, value in rows) == expected


@pytest.mark.parametrize("kind", ["email", "maid", "idfa"])
def test_self_test_is_ok(warehouse: Warehouse, kind: HashedKind) -> None:
    rows = warehouse.query(hashing_self_test_sql(warehouse.dialect, kind=kind))
    assert rows == [("OK", 0, "", "")]


def test_self_test_lists_values_that_are_hashed_in_another_way(warehouse: Warehouse) -> None:
    """As if the database did not lower-case, and as if it hashed every value as it is."""
    sql = hashing_self_test_sql(warehouse.dialect)
    rows = sorted(warehouse.query(sql.replace("LOWER(trimmed)", "trimmed")))
    assert [row[:2] for row in rows] == [("differs", 2), ("differs", 4), ("differs", 6)]
    assert all(row[3] == "" for row in rows), "they are left to the package"
    everything = re.sub(r"WHEN cell_length.*?THEN", "WHEN 1 = 1 THEN", sql, flags=re.DOTALL)
    rows = warehouse.query(everything)
    assert len(rows) > 20
    assert all(row[0] == "differs" and row[2] != row[3] for row in rows)


def test_empty_cells_stay_empty(warehouse: Warehouse) -> None:
    """The result has a row for each row of the table, so that reports count the same rows."""
    warehouse.load("with_nulls", [None, "ann@shop.de", "", None])
    sql = hashing_sql(warehouse.dialect, table="with_nulls", column="email")
    rows = Counter(warehouse.query(sql))
    digest = record("email", "ann@shop.de")
    assert rows == Counter[Row]({(None, None): 2, (digest, None): 1, (None, ""): 1})


@pytest.mark.parametrize("column", ["cell_length", "Trimmed", "original", "email_sha256"])
def test_column_may_have_a_name_that_the_query_uses(warehouse: Warehouse, column: str) -> None:
    warehouse.load(f"named_{column}", ["ann@shop.de", "no address"])
    source = f"(select email as {column} from named_{column}) as t"
    sql = hashing_sql(warehouse.dialect, table=f"named_{column}", column=column)
    sql = sql.replace(f"FROM named_{column}", f"FROM {source}")
    rows = Counter(warehouse.query(sql))
    assert rows == Counter[Row](
        {(record("email", "ann@shop.de"), None): 1, (None, "no address"): 1}
    )


def test_names_with_quotes_are_found(warehouse: Warehouse) -> None:
    """Quoted in the way of the dialect."""
    warehouse.load("plainly_named", ["ann@shop.de"])
    quote = "`" if warehouse.dialect == "spark" else '"'
    table, column = f"{quote}Kunden 1{quote}", f"{quote}E-Mail{quote}"
    view = "create temporary view" if warehouse.dialect == "spark" else "create view"
    warehouse.query(f"{view} {table} as select email as {column} from plainly_named")
    sql = hashing_sql(warehouse.dialect, table="Kunden 1", column="E-Mail")
    assert warehouse.query(sql) == [(record("email", "ann@shop.de"), None)]
