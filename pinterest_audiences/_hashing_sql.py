"""SQL that cleans and hashes identifiers in a database, with the results of the package.

A value of the simple form is hashed by the query; every other value is returned as it is in a
second column, to be cleaned and hashed by the package. Values of the simple form are ASCII, are
not changed by the rules of `_records` except for blanks and case, and get no warning: the form is
narrower than that of `_records/fast_path.py`, so that it can be tested in every dialect.

The expressions are written by hand, because the same function name means different things:
``SHA2`` returns bytes or digits, ``TRIM`` removes one or all kinds of blanks, ``LOWER`` depends on
a collation. They use no backslashes and no quotes inside literals, and rely on nothing that a
collation, a locale or a mode of the server changes:

- A test for other characters comes first. It excludes line breaks, before which ``$`` matches in
  some engines, and the long s and the Kelvin sign, whose lower or upper case is ASCII.
- Everything else is tested after lower-casing. If ``LOWER`` follows Turkish rules, the result is
  not ASCII, and the value is left to the package.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Literal, TypeAlias, get_args

from attrs import frozen

from pinterest_audiences._errors import ConfigurationError
from pinterest_audiences._models import IdentifierType
from pinterest_audiences._records.emails import PLACEHOLDER_LOCAL_PARTS
from pinterest_audiences._records.identifiers import (
    KIND_NORMALIZERS,
    MOBILE_KINDS,
    NormalizationOptions,
    Normalized,
    normalize,
)

__all__ = [
    "DIALECTS",
    "HASHED_KINDS",
    "HashedKind",
    "SQLDialect",
    "difference_query",
    "hash_expression",
    "hashing_self_test_sql",
    "hashing_sql",
]

SQLDialect: TypeAlias = Literal[
    "bigquery",
    "clickhouse",
    "databricks",
    "duckdb",
    "mysql",
    "postgres",
    "redshift",
    "snowflake",
    "spark",
    "sqlserver",
    "trino",
]
"""A database whose SQL `hashing_sql` writes."""
DIALECTS: tuple[SQLDialect, ...] = get_args(SQLDialect)
HashedKind: TypeAlias = Literal["email", "maid", "idfa"]
"""A kind of identifier that SQL can hash."""
HASHED_KINDS: tuple[HashedKind, ...] = get_args(HashedKind)

# Blanks around a value are trimmed, and a cell of more than 16,384 characters is not an identifier.
_MAX_CELL_CHARACTERS = 1_000
# Within all limits of an address: 254 bytes, 64 of the local part, 63 of a label of the domain.
_MAX_VALUE_CHARACTERS = 64
_PLACEHOLDERS = sorted(PLACEHOLDER_LOCAL_PARTS)
_RESERVED_TOP_LEVELS = ("test", "example", "invalid", "localhost")
_HEX = "[0-9a-f]"


@frozen
class _Form:
    """Regular expressions of the simple form, as understood by all engines.

    Attributes:
        other: A character that the form does not have, before lower-casing.
        form: The whole value, in lower case.
        excluded: Parts of a value, in lower case, that need more rules.
    """

    other: str
    form: str
    excluded: tuple[str, ...]


_EMAIL = _Form(
    other="[^A-Za-z0-9@._+-]",
    form="^[a-z0-9._+-]+@([a-z0-9]([a-z0-9-]*[a-z0-9])?[.])+[a-z][a-z]+$",
    excluded=(
        f"^({'|'.join(word.replace('.', '[.]') for word in _PLACEHOLDERS)})@",
        f"(@|[.])example[.]|[.]({'|'.join(_RESERVED_TOP_LEVELS)})$|xn-[-]|_x{_HEX * 4}_",
    ),
)
_MOBILE_ID = _Form(
    other="[^A-Fa-f0-9-]",
    form=f"^{'-'.join(f'{_HEX}{{{digits}}}' for digits in (8, 4, 4, 4, 12))}$",
    excluded=("^00000000-",),
)


def _matches_regex(pattern: str) -> Callable[[IdentifierType, str, str], list[str]]:
    """Return a function that tests the simple form with the regular expressions of a dialect."""

    def conditions(kind: IdentifierType, value: str, lowered: str) -> list[str]:
        form = _MOBILE_ID if kind in MOBILE_KINDS else _EMAIL
        return [
            f"NOT ({pattern.format(value, form.other)})",
            pattern.format(lowered, form.form),
            *(f"NOT ({pattern.format(lowered, part)})" for part in form.excluded),
        ]

    return conditions


def _matches_like(kind: IdentifierType, value: str, lowered: str) -> list[str]:
    """Test the simple form with LIKE of SQL Server, for a binary collation."""
    # A dash between brackets may mean a range, so it is not between them.
    without_dash = f"REPLACE({value}, N'-', N'')"
    if kind in MOBILE_KINDS:
        digits = "-".join(_HEX * count for count in (8, 4, 4, 4, 12))
        return [
            f"{without_dash} NOT LIKE N'%[^A-Fa-f0-9]%'",
            f"{lowered} LIKE N'{digits}'",
            f"{lowered} NOT LIKE N'00000000-%'",
        ]
    end = f"LEFT(REVERSE({lowered}), CHARINDEX(N'.', REVERSE({lowered})))"  # "moc."
    placeholders = ", ".join(f"N'{word}@'" for word in _PLACEHOLDERS)
    excluded = (
        *("%@%@%", "%@%[_+]%", "%@.%", "%@-%", "%..%", "%.-%", "%-.%"),
        *("%[@.]example.%", *(f"%.{top}" for top in _RESERVED_TOP_LEVELS)),
        *("%xn-[-]%", f"%[_]x{_HEX * 4}[_]%"),
    )
    return [
        f"{without_dash} NOT LIKE N'%[^A-Za-z0-9@._+]%'",
        f"{lowered} LIKE N'[^@]%@[^@]%'",
        f"{end} LIKE N'[a-z][a-z]%.'",
        f"{end} NOT LIKE N'%[^a-z.]%'",
        *(f"{lowered} NOT LIKE N'{pattern}'" for pattern in excluded),
        f"LEFT({lowered}, CHARINDEX(N'@', {lowered})) NOT IN ({placeholders})",
    ]


def _chr(code: int) -> str:
    return f"chr({code})"


@frozen
class _Dialect:
    """The SQL of one database; ``{0}`` stands for the argument of an expression.

    Attributes:
        text: Convert a column to text, with a binary collation where collations exist.
        trim: Remove blanks from both ends: at least spaces, at most blanks that `trim` removes.
        length: Number of characters, or of bytes or code units.
        sha256: SHA-256 of ASCII text as hexadecimal digits in lower case.
        character: One character by its Unicode code point, for any that a literal must not hold.
        conditions: Tests of the simple form of a value.
        ascii_test: One more test that a value is ASCII, where a collation may affect the others.
        quotes: Opening and closing quotation mark of names.
        literal: A string literal of printable ASCII characters without quotes and backslashes.
        concat: How string expressions are joined.
        no_backslash: Whether a backslash in a quoted name is an escape.
    """

    text: str
    trim: str
    length: str
    sha256: str
    character: Callable[[int], str]
    conditions: Callable[[IdentifierType, str, str], list[str]]
    ascii_test: str = ""
    quotes: tuple[str, str] = ('"', '"')
    literal: str = "'{0}'"
    concat: Callable[[list[str]], str] = " || ".join
    no_backslash: bool = False


def _utf8_hex(code: int) -> str:
    return chr(code).encode().hex().upper()


def _utf16_units(code: int) -> str:
    raw = chr(code).encode("utf-16-be")
    units = (int.from_bytes(raw[start : start + 2]) for start in range(0, len(raw), 2))
    return " + ".join(f"NCHAR({unit})" for unit in units)


_BLANKS = "' ' || chr(9) || chr(10) || chr(13)"
_SPARK = _Dialect(
    text="CAST({0} AS STRING)",
    trim="btrim({0}, concat(' ', char(9), char(10), char(13)))",
    length="char_length({0})",
    sha256="sha2({0}, 256)",
    character=lambda code: f"decode(unhex('{_utf8_hex(code)}'), 'UTF-8')",
    conditions=_matches_regex("{0} RLIKE '{1}'"),
    ascii_test="octet_length({0}) = char_length({0})",
    quotes=("`", "`"),
)
_SQL: dict[str, _Dialect] = {
    "bigquery": _Dialect(
        text="CAST({0} AS STRING)",
        trim="TRIM({0}, CODE_POINTS_TO_STRING([9, 10, 13, 32]))",
        length="CHAR_LENGTH({0})",
        sha256="TO_HEX(SHA256({0}))",
        character=lambda code: f"CODE_POINTS_TO_STRING([{code}])",
        conditions=_matches_regex("REGEXP_CONTAINS({0}, '{1}')"),
        quotes=("`", "`"),
        no_backslash=True,
    ),
    "clickhouse": _Dialect(
        text="toString({0})",
        trim=r"trim(BOTH ' \t\n\r' FROM {0})",  # escapes are always decoded
        length="length({0})",
        sha256="lower(hex(SHA256({0})))",
        character=lambda code: f"unhex('{_utf8_hex(code)}')",
        conditions=_matches_regex("match({0}, '{1}')"),
        no_backslash=True,
    ),
    "databricks": _SPARK,
    "duckdb": _Dialect(
        text="CAST({0} AS VARCHAR)",
        trim=f"trim({{0}}, {_BLANKS})",
        length="length({0})",
        sha256="sha256({0})",
        character=_chr,
        conditions=_matches_regex("regexp_matches({0}, '{1}')"),
    ),
    "mysql": _Dialect(
        text="CONVERT({0} USING utf8mb4) COLLATE utf8mb4_bin",
        trim="TRIM({0})",  # spaces only
        length="CHAR_LENGTH({0})",
        sha256="SHA2({0}, 256)",
        character=lambda code: f"CONVERT(X'{_utf8_hex(code)}' USING utf8mb4)",
        conditions=_matches_regex("{0} RLIKE '{1}'"),
        ascii_test="LENGTH({0}) = CHAR_LENGTH({0})",
        quotes=("`", "`"),
        concat=lambda parts: f"CONCAT({', '.join(parts)})",
    ),
    "postgres": _Dialect(
        text='CAST({0} AS text) COLLATE "C"',
        trim=f"btrim({{0}}, {_BLANKS})",
        length="char_length({0})",
        sha256="encode(sha256(convert_to({0}, 'UTF8')), 'hex')",
        character=_chr,
        conditions=_matches_regex("{0} ~ '{1}'"),
    ),
    "redshift": _Dialect(
        text="CAST({0} AS VARCHAR(65535))",  # VARCHAR without a length cuts at 256 bytes
        trim=f"BTRIM({{0}}, {_BLANKS})",
        length="LEN({0})",
        sha256="SHA2({0}, 256)",
        character=lambda code: f"FROM_VARBYTE(TO_VARBYTE('{_utf8_hex(code)}', 'hex'), 'utf-8')",
        conditions=_matches_regex("{0} ~ '{1}'"),
        ascii_test="OCTET_LENGTH({0}) = LEN({0})",
    ),
    "snowflake": _Dialect(
        text="COLLATE(CAST({0} AS VARCHAR), '')",  # removes a collation
        trim=r"TRIM({0}, ' \t\n\r')",  # escapes are always decoded
        length="LENGTH({0})",
        sha256="SHA2({0}, 256)",
        character=lambda code: f"CHR({code})",
        # REGEXP_LIKE would match the whole value only.
        conditions=_matches_regex("REGEXP_INSTR({0}, '{1}') > 0"),
    ),
    "spark": _SPARK,
    "sqlserver": _Dialect(
        # NVARCHAR, because VARCHAR replaces what its code page lacks by similar letters.
        text="CAST({0} AS NVARCHAR(MAX)) COLLATE Latin1_General_BIN2",
        trim="TRIM(CONCAT(N' ', NCHAR(9), NCHAR(10), NCHAR(13)) FROM {0})",
        length="DATALENGTH({0}) / 2",  # LEN does not count spaces at the end
        # As VARCHAR, because the hash of NVARCHAR is that of UTF-16.
        sha256="LOWER(CONVERT(VARCHAR(64), HASHBYTES('SHA2_256', CAST({0} AS VARCHAR(64))), 2))",
        character=_utf16_units,
        conditions=_matches_like,
        quotes=("[", "]"),
        literal="N'{0}'",
        concat=" + ".join,
    ),
    "trino": _Dialect(
        text="CAST({0} AS VARCHAR)",
        trim=f"trim(BOTH {_BLANKS} FROM {{0}})",
        length="length({0})",
        sha256="lower(to_hex(sha256(to_utf8({0}))))",
        character=_chr,
        conditions=_matches_regex("regexp_like({0}, '{1}')"),
    ),
}


def hashing_sql(dialect: SQLDialect, *, table: str, column: str, kind: HashedKind = "email") -> str:
    """Return a query that cleans and hashes a column where it is, with the package's results.

    The query has one row for each row of the table, and two columns. For e-mails:

    - ``email_sha256``: the SHA-256 of the cleaned address, if the address is plain ASCII and of a
      simple form. It is the same hash that :func:`prepare` returns.
    - ``email_to_clean``: otherwise the value as it is in the table, such as an address with
      umlauts, a display name or several addresses, a hash, or one to reject.

    Pass the result to `prepare`, `upload` or `mirror`: they read both columns, keep the hashes,
    and clean and hash the rest. The list gets the same members as from the table itself.

    Mobile ids are hashed in lower case, the default of ``idfa_case``.

    Args:
        dialect: The database.
        table: The table or view, with schema and database where necessary, as in SQL: ``customers``
            or ``shop.customers``. A name that is not a plain word is quoted; use double quotes for
            a reserved word, upper and lower case, or a dot in a name: ``shop."Order"``.
        column: The column with the identifiers, as text; written like `table`.
        kind: What the column has: ``email``, ``maid`` or ``idfa``.

    Returns:
        A SELECT statement without a semicolon, so that it can be part of another statement.

    Raises:
        ConfigurationError: An argument is invalid, or a name cannot be quoted.

    Example:
        >>> print(hashing_sql("duckdb", table="shop.customers", column="email")[:60])
        SELECT
          email_sha256,
          CASE WHEN email_sha256 IS NULL THEN

    Source: the rules of `prepare`, which the tests compare on the databases themselves.
    """
    sql, identifier_type = _check(dialect, kind)
    name = _quote_name(sql, column, "column")
    *_, (word, _) = _name_parts(column)
    # In ClickHouse a name is that of an alias, rather than that of a column.
    prefix = "value_" if word.lower() in ("cell_length", "trimmed") else ""
    case = _case(sql, identifier_type, "    ", f"{prefix}cell_length", f"{prefix}trimmed")
    return "\n".join(
        [
            "SELECT",
            f"  {kind}_sha256,",
            f"  CASE WHEN {kind}_sha256 IS NULL THEN original END AS {kind}_to_clean",
            "FROM (",
            "  SELECT original,",
            f"    {case} AS {kind}_sha256",
            "  FROM (",
            f"    SELECT {name} AS original,",
            f"      {_measure(sql, name, prefix)}",
            f"    FROM {_quote_name(sql, table, 'table')}",
            "  ) AS source",
            ") AS hashed",
        ]
    )


def hashing_self_test_sql(dialect: SQLDialect, *, kind: HashedKind = "email") -> str:
    """Return a query that tests in a database whether it hashes as the package does.

    It has test values and the package's results, and reads no table. Its result is one row that
    begins with ``OK``, or the test values whose hash differs.

    Args:
        dialect: The database.
        kind: The kind of identifier to test: ``email``, ``maid`` or ``idfa``.

    Raises:
        ConfigurationError: An argument is invalid.

    Example:
        >>> hashing_self_test_sql("postgres").startswith("WITH differing AS (")
        True

    Source: the rules of `prepare`, by which the expected hashes are computed.
    """
    return "\n".join(
        [
            "WITH differing AS (",
            difference_query(dialect, kind),
            ")",
            "SELECT 'OK' AS result, 0 AS test_number, '' AS expected, '' AS actual",
            "FROM differing HAVING COUNT(*) = 0",
            "UNION ALL",
            "SELECT 'differs', test_number, expected, COALESCE(actual, '') FROM differing",
        ]
    )


def hash_expression(dialect: SQLDialect, kind: HashedKind, column: str) -> str:
    """Return an expression: the hash of a column's value, or NULL if it is not simple."""
    sql, identifier_type = _check(dialect, kind)
    text = sql.text.format(column)
    return _case(sql, identifier_type, "", sql.length.format(text), sql.trim.format(text))


def difference_query(dialect: SQLDialect, kind: HashedKind) -> str:
    """Return a query of the test values that a database hashes in another way."""
    sql, identifier_type = _check(dialect, kind)
    rows = [
        f"      SELECT {number} AS test_number, {_literal(sql, value)} AS original, "
        f"'{expected}' AS expected, {int(simple)} AS simple"
        for number, (value, expected, simple) in enumerate(_test_values(identifier_type), 1)
    ]
    return "\n".join(
        [
            "SELECT test_number, expected, actual FROM (",
            "  SELECT test_number, expected, simple,",
            f"    {_case(sql, identifier_type, '    ')} AS actual",
            "  FROM (",
            "    SELECT test_number, expected, simple,",
            f"      {_measure(sql, 'original')}",
            "    FROM (",
            " UNION ALL\n".join(rows),
            "    ) AS test_values",
            "  ) AS source",
            ") AS hashed",
            "WHERE actual <> expected OR (actual IS NULL AND simple = 1)",
        ]
    )


def _check(dialect: str, kind: str) -> tuple[_Dialect, IdentifierType]:
    sql = _SQL.get(dialect)
    if sql is None:
        raise ConfigurationError(f"dialect must be one of {', '.join(DIALECTS)}", param="dialect")
    if kind not in HASHED_KINDS:
        raise ConfigurationError(f"kind must be one of {', '.join(HASHED_KINDS)}", param="kind")
    return sql, IdentifierType(kind)


def _measure(sql: _Dialect, column: str, prefix: str = "") -> str:
    text = sql.text.format(column)
    return (
        f"{sql.length.format(text)} AS {prefix}cell_length,\n"
        f"      {sql.trim.format(text)} AS {prefix}trimmed"
    )


def _case(
    sql: _Dialect,
    kind: IdentifierType,
    indent: str,
    cell_length: str = "cell_length",
    trimmed: str = "trimmed",
) -> str:
    """Return the expression of the hash of a value, or of NULL if it is not of the simple form."""
    lowered = f"LOWER({trimmed})"
    conditions = [
        f"{cell_length} <= {_MAX_CELL_CHARACTERS}",
        f"{sql.length.format(trimmed)} <= {_MAX_VALUE_CHARACTERS}",
        *([sql.ascii_test.format(trimmed)] if sql.ascii_test else []),
        *sql.conditions(kind, trimmed, lowered),
    ]
    between = f"\n{indent}    AND "
    return (
        f"CASE\n{indent}  WHEN {between.join(conditions)}\n"
        f"{indent}  THEN {sql.sha256.format(lowered)}\n{indent}END"
    )


_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NAME_PART = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')
_MAX_NAME_CHARACTERS = 255
# Words that are a value of their own in some dialects; such as a column `user` without quotes.
_VALUE_WORDS = frozenset(
    {
        *("user", "current_user", "session_user", "system_user", "current_role"),
        *("current_catalog", "current_schema", "current_date", "current_time"),
        *("current_timestamp", "localtime", "localtimestamp", "sysdate"),
        *("null", "true", "false", "default"),
    }
)


def _quote_name(sql: _Dialect, name: object, param: str) -> str:
    """Return a name with the quotes of a dialect; parts that are plain words stay as they are.

    Raises:
        ConfigurationError: The name is not written as in SQL, or cannot be quoted.
    """
    parts = list(_name_parts(name)) if isinstance(name, str) else []
    if not parts:
        raise ConfigurationError(
            f'{param} must be a name as in SQL: customers, shop.customers or shop."Order"',
            param=param,
        )
    if len(parts) == 1 and parts[0][1] and parts[0][0].lower() in _VALUE_WORDS:
        raise ConfigurationError(
            f"{param} is a word that SQL reads as a value; write it in double quotes: "
            f'"{parts[0][0]}"',
            param=param,
        )
    if any(
        not part.isprintable()
        or len(part) > _MAX_NAME_CHARACTERS
        or (sql.no_backslash and re.search(r"[\\`\"]", part))
        for part, _ in parts
    ):
        raise ConfigurationError(
            f"{param} has a character that a name cannot have in this dialect, or is too long",
            param=param,
        )
    first, last = sql.quotes
    return ".".join(
        part if plain else f"{first}{part.replace(last, last * 2)}{last}" for part, plain in parts
    )


def _name_parts(name: str) -> Iterator[tuple[str, bool]]:
    """Yield the parts between dots, and whether each is a plain word; nothing if one is invalid."""
    parts: list[tuple[str, bool]] = []
    position = 0
    while True:
        match = _NAME_PART.match(name, position)
        if match is None:
            return
        quoted, word = match.groups()
        text = word if quoted is None else quoted.replace('""', '"')
        parts.append((text, quoted is None and _PLAIN_NAME.fullmatch(text) is not None))
        position = match.end()
        if position == len(name):
            yield from parts
            return
        if name[position] != ".":
            return
        position += 1


_UNSAFE_IN_LITERAL = re.compile(r"([^ -~]|['\"`\\{}%:;?])")


def _literal(sql: _Dialect, text: str) -> str:
    """Return an expression of a text; other than plain characters are written by number."""
    parts = [
        sql.character(ord(part)) if _UNSAFE_IN_LITERAL.fullmatch(part) else sql.literal.format(part)
        for part in _UNSAFE_IN_LITERAL.split(text)
        if part
    ]
    return sql.concat(parts) if len(parts) > 1 else "".join(parts) or sql.literal.format("")


# Values that every dialect must hash.
_SIMPLE_EMAILS = (
    *("ann@shop.de", "Ann.Lee@Shop.DE", "  ann@shop.de ", "ANN+NEWS@MAIL.SHOP.CO.UK"),
    *("a_b-c.1@1.org", "IVAN@ISTANBUL.INFO", "a" * 55 + "@shop.de", "tester@shop.de"),
)
# Values that a dialect may leave to the package, but must not hash in another way.
_UNUSUAL_EMAILS = (
    *("", "   ", "ann", "NULL", "N/A", "ann@", "@shop.de", "ann@shop", "ann@@shop.de"),
    *(
        "\tann@shop.de\r\n",
        "ann@shop.de\n",
        "ann@shop.de\n\n",
        "ann@shop.de\x0b",
        "\x1cann@shop.de",
    ),
    *("\xa0ann@shop.de", "ann@shop.de\u2003", "\u200bann@shop.de", "\ufeffann@shop.de"),
    *("ann@shop.de\u2028", "ann@shop.de\x85", "ann@shop.de\x01", "an\tn@shop.de", "an n@shop.de"),
    *("\u212aate@shop.de", "\u017fue@shop.de", "\u0130van@shop.de", "\u0131van@shop.de"),
    *("m\u00fcller@shop.de", "ann@m\u00fcller.de", "\uff41nn@shop.de", "ann@shop.\u0441om"),
    *("Ann <ann@shop.de>", '"Lee, Ann" <Ann@shop.de>', "mailto:ann@shop.de", "'ann@shop.de'"),
    *("ann@shop.de,ben@shop.de", "ann@shop.de; ben@shop.de", "ann@shop.de ben@shop.de"),
    *("ann@shop.de.", "ann@shop.de,", '"ann@shop.de"', "<ann@shop.de>", "{ann@shop.de}"),
    *("o'neil@shop.de", "o\\'neil@shop.de", "ann%40shop.de@shop.de", "m=c3=bcller@shop.de"),
    *("a_x00fc_b@shop.de", "A_X00FC_B@shop.de", "ann@xn--mller-kva.de", "ann@ab--xn--c.de"),
    *("noreply@shop.de", "No-Reply@shop.de", "no.mail@shop.de", "test@test.com", "none@none.org"),
    *("ann@example.com", "ann@a.example.org", "ann@shop.test", "ann@localhost.localhost"),
    *("ann@-shop.de", "ann@shop-.de", "ann@sh..de", "ann@.shop.de", "ann@shop.d", "ann@1.2.3.4"),
    *("ann@sh_op.de", "ann@sh+op.de", "ann@shop.de2", ".ann.@shop.de", "-ann@shop.de"),
    *("a..b@shop.de", "a.-b@shop.de", "a" * 56 + "@shop.de", "a" * 65 + "@shop.de"),
    *("ann@" + "b" * 64 + ".de", " " * 1_000 + "ann@shop.de"),
    *("9f86d081" * 8, "9F86D081" * 8, "0" * 64, "9f86d081" * 5, "9f86d081" * 4),
)
_SIMPLE_MOBILE_IDS = (
    *("38400000-8cf0-11bd-b23e-10b96e40000d", " 38400000-8CF0-11BD-B23E-10B96E40000D "),
    "ABCDEFab-0123-4567-89cd-efABCDEF0123",
)
_UNUSUAL_MOBILE_IDS = (
    *("", "  ", "NULL", "0" * 8 + "-0000-0000-0000-" + "0" * 12, "0" * 32, "38400000-8cf0"),
    *("\t38400000-8cf0-11bd-b23e-10b96e40000d\n", "38400000-8cf0-11bd-b23e-10b96e40000d\n"),
    *("384000008cf011bdb23e10b96e40000d", "{38400000-8cf0-11bd-b23e-10b96e40000d}"),
    *("'38400000-8cf0-11bd-b23e-10b96e40000d'", "38400000-8cf0-11bd-b23e-10b96e40000g"),
    *("38400000\u20108cf0-11bd-b23e-10b96e40000d", "3840000-08cf0-11bd-b23e-10b96e40000d"),
    *("38400000-8cf0-11bd-b23e-10b96e40000\uff44", "9f86d081" * 8),
)


def _test_values(kind: IdentifierType) -> Iterator[tuple[str, str, bool]]:
    """Yield test values, their hashes or an empty text, and whether all dialects hash them."""
    mobile = kind in MOBILE_KINDS
    simple = _SIMPLE_MOBILE_IDS if mobile else _SIMPLE_EMAILS
    unusual = _UNUSUAL_MOBILE_IDS if mobile else _UNUSUAL_EMAILS
    for value in (*simple, *unusual):
        outcome = normalize(value, KIND_NORMALIZERS[kind], NormalizationOptions())
        record = outcome.record if isinstance(outcome, Normalized) else ""
        yield value, record, value in simple
