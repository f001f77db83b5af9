"""Databases: the result of a query as chunks of rows.

The URL decides the reader. SQLite and DuckDB are opened with their own modules, read-only.
PostgreSQL without a driver in the URL is read with ADBC if it is installed, and everything else
with SQLAlchemy (extra ``[sql]``). Rows stay in the database until they are read.

Messages of drivers may quote rows, values of the query and passwords. An error therefore shows the
class and the SQLSTATE, and only those messages that consist of names and syntax.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol, TypeAlias, cast
from urllib.parse import parse_qsl, quote, unquote

from attrs import frozen

from pinterest_audiences._config import validate_mapping, validate_text
from pinterest_audiences._errors import ConfigurationError, SourceError
from pinterest_audiences._records import arrow
from pinterest_audiences._records.chunks import CHUNK_ROWS, Chunk
from pinterest_audiences._records.columns import ColumnSelection, check_column, check_columns
from pinterest_audiences._records.sources import Cursor, Source, cursor_chunks
from pinterest_audiences._redaction import redact

__all__ = ["SQLEngine", "has_password", "sql_source"]


class SQLEngine(Protocol):
    """An `Engine` of SQLAlchemy."""

    @property
    def dialect(self) -> object:
        """The dialect."""
        ...

    def connect(self) -> object:
        """Open a connection."""
        ...


def sql_source(
    database: str | SQLEngine,
    query: str,
    *,
    parameters: Mapping[str, object] | None = None,
    column: str | int | Sequence[str | int] | None = None,
    columns: Mapping[str, str | int] | Iterable[str] | None = None,
) -> Source:
    """Read customers from a database with a query.

    The database is opened when the source is prepared, and closed when it has been read, also if
    that ends early. Rows are fetched in parts, so that memory does not grow with their number.
    Nothing is changed: SQLite, DuckDB and PostgreSQL are opened read-only, and any other
    transaction is rolled back.

    Args:
        database: A URL as SQLAlchemy takes it, or an `Engine` of SQLAlchemy. ``sqlite:///file``
            requires no other package, ``duckdb:///file`` requires ``duckdb``. Any other database
            requires the extra ``[sql]`` and a driver; ``postgresql://`` without a driver in the
            URL can also be read by ``adbc-driver-postgresql`` with the extra ``[arrow]``, which is
            faster and has the same result.
        query: One ``SELECT``. Without ``parameters``, it is passed to the database as it is.
        parameters: Values for ``:name`` in the query.
        column: The column or columns to read, as for :func:`open_source`.
        columns: For rows of several identifiers, as for :func:`open_source`.

    Returns:
        A source for :func:`prepare` or :func:`prepare_rows`. Preparing it raises
        :class:`SourceError` if the database cannot be reached, or the query fails at its start or
        after any row.

    Raises:
        ConfigurationError: An argument is not valid, or a package is not installed.

    Example:
        >>> from pinterest_audiences import prepare
        >>> customers = sql_source("sqlite:///:memory:", "select 'ann@shop.de' as email")
        >>> prepare(customers).run().records
        1
    """
    statement = validate_text("query", query).strip().rstrip(";").rstrip()
    if parameters is not None:
        validate_mapping("parameters", parameters, "from names in the query to values")
    given: object = database
    if isinstance(given, str):
        url = _parse(validate_text("database", given).strip())
        name, secret = url.name, url.password
        read = _reader_of(url, has_parameters=bool(parameters))
    elif hasattr(given, "connect") and hasattr(given, "dialect"):
        if hasattr(given, "sync_engine"):
            raise ConfigurationError(
                "database is an AsyncEngine; pass its sync_engine with a driver that is not async,"
                " or its URL",
                param="database",
            )
        engine = cast("_Engine", given)
        name, secret, read = f"{engine.dialect.name} database", "", _engine_reader(engine)
    else:
        raise ConfigurationError(
            "database must be a URL such as postgresql://user@host/shop, or an Engine of"
            " SQLAlchemy",
            param="database",
        )
    opened = _Query(name, statement, dict(parameters or {}), secret)
    return Source(
        name,
        check_column(column),
        check_columns(columns),
        lambda choice: read(opened, choice),
    )


def has_password(url: str) -> bool:
    """Return whether a URL contains a password, before the host or as an option."""
    rest = url.partition("://")[2]
    user = _USER.match(rest)
    options = rest[user.end() if user else 0 :].partition("?")[2]
    return bool(user and user["password"]) or any(
        value and (_SECRET_OPTION.search(key) or (key == "odbc_connect" and _SECRET.search(value)))
        for key, value in parse_qsl(options)
    )


@frozen(repr=False)
class _Query:
    """A query, and what its errors may show.

    Attributes:
        source: The name of the database in errors and reports.
        text: The query.
        parameters: The values of its parameters.
        secret: The password in the URL.
    """

    source: str
    text: str
    parameters: Mapping[str, object]
    secret: str

    def failure(self, error: Exception, *, is_connection: bool = False) -> SourceError:
        """Return the error of a query without rows, values and passwords."""
        if isinstance(error, SourceError):
            return error
        described = _describe(error, self.secret, "" if is_connection else self.text)
        what = "the connection failed" if is_connection else "the query failed"
        return SourceError(f"{what}{described}", source=self.source)

    def no_rows(self) -> SourceError:
        """Return the error of a statement that returns no rows."""
        return SourceError("the query returns no rows; use one SELECT", source=self.source)


_Read: TypeAlias = Callable[[_Query, ColumnSelection], Iterator[Chunk]]


# --- URLs ----------------------------------------------------------------------------------------

# User and password, as SQLAlchemy finds them.
_USER = re.compile(r"[^:/]*(?::(?P<password>[^@]*))?@")
_SECRET_OPTION = re.compile("pass|pwd|token|secret|credential|private_key", re.IGNORECASE)
_SECRET = re.compile("(?:pwd|password) *= *[^ ;]", re.IGNORECASE)  # of a connection string of ODBC
_PLAIN_NAME = re.compile(r"[\w.-]*")
_PSYCOPG_DRIVERS = ("psycopg", "psycopg2")


@frozen(repr=False)
class _DatabaseURL:
    """A URL of a database.

    Attributes:
        text: The URL.
        backend: The database system.
        driver: The driver that the URL names; empty if it names none.
        path: What comes after the host: the file of SQLite and DuckDB.
        options: What comes after the question mark.
        name: The URL without user, password and options.
        password: The password.
    """

    text: str
    backend: str
    driver: str
    path: str
    options: str
    name: str
    password: str


def _parse(text: str) -> _DatabaseURL:
    scheme, separator, rest = text.partition("://")
    if not separator or re.fullmatch(r"\w+(\+\w+)?", scheme) is None:
        raise ConfigurationError(
            "database must be a URL such as postgresql://user@host/shop or sqlite:///shop.db",
            param="database",
        )
    backend, _, driver = scheme.lower().partition("+")
    backend = "postgresql" if backend == "postgres" else backend
    # A URL of a file has no host; an encrypted one may have a password there.
    is_file = (
        backend in ("sqlite", "duckdb")
        and driver != "pysqlcipher"
        and re.search("[@:]", rest.partition("/")[0]) is None
    )
    user = None if is_file else _USER.match(rest)
    address, _, options = rest[user.end() if user else 0 :].partition("?")
    host, slash, path = address.partition("/")
    host, _, port = host.partition(":")
    if "@" in address and not is_file:
        raise ConfigurationError(
            "database has several @; write one in the user or the password as %40",
            param="database",
        )
    # A password that is not percent-encoded may end up in the host or the path.
    # Without an @, the port may be a password: scott:tiger/word.
    shown = is_file or (
        (user or re.fullmatch("[0-9]*", port))
        and _PLAIN_NAME.fullmatch(host)
        and _PLAIN_NAME.fullmatch(path)
    )
    return _DatabaseURL(
        text=f"{backend}{'+' if driver else ''}{driver}://{rest}",
        backend=backend,
        driver=driver,
        path=path,
        options=options,
        name=f"{backend}://{host}{slash}{path}" if shown else f"{backend}://…",
        password=unquote(user["password"] or "") if user else "",
    )


def _reader_of(url: _DatabaseURL, *, has_parameters: bool) -> _Read:
    """Return how to read a database.

    Raises:
        ConfigurationError: A package is not installed, or the database system is unknown.
    """
    if url.backend == "sqlite" and not url.driver and not url.options:
        return _sqlite_reader(url.path)
    if url.backend == "duckdb" and not url.driver:
        return _duckdb_reader(url)
    if url.backend == "postgresql" and not url.driver:
        if _has_adbc(url.options) and not has_parameters:  # its parameters have no names
            return _adbc_reader(url)
        return _engine_reader(_create_engine(_with_driver(url)))
    return _engine_reader(_create_engine(url.text))


# --- Cursors -------------------------------------------------------------------------------------


class _SafeCursor:
    """A cursor whose errors contain neither rows nor passwords, and whose rows are tuples."""

    def __init__(self, cursor: Cursor, query: _Query, *, as_tuples: bool = False) -> None:
        self._cursor = cursor
        self._query = query
        self._as_tuples = as_tuples

    @property
    def description(self) -> object:
        return getattr(self._cursor, "description", None)

    def fetchmany(self, size: int, /) -> Sequence[object]:
        """Fetch up to `size` rows.

        Raises:
            SourceError: The query fails.
        """
        try:
            rows = self._cursor.fetchmany(size)
        except Exception as error:  # noqa: BLE001 - drivers have no common base class of errors
            raise self._query.failure(error) from None
        if self._as_tuples:
            return [tuple(row) for row in cast("Sequence[Iterable[object]]", rows)]
        return rows


def _close_quietly(stack: ExitStack, thing: object) -> None:
    """Close something at the end; all rows are read, or another error is raised already."""

    def close() -> None:
        with suppress(Exception):
            cast("_Closable", thing).close()

    stack.callback(close)


class _Closable(Protocol):
    def close(self) -> object: ...


class _Executable(Cursor, Protocol):
    description: object

    def execute(self, query: str, parameters: Mapping[str, object] = ..., /) -> object: ...


class _SQLiteConnection(_Closable, Protocol):
    def execute(self, query: str, parameters: Mapping[str, object], /) -> _Executable: ...


def _sqlite_reader(path: str) -> _Read:
    def read(query: _Query, choice: ColumnSelection) -> Iterator[Chunk]:
        sqlite3 = import_module("sqlite3")
        in_memory = path in ("", ":memory:")
        uri = "file::memory:" if in_memory else f"file:{quote(path)}?mode=ro"
        with ExitStack() as stack:
            try:
                # Chunks may be read by several threads, one after the other.
                connection: _SQLiteConnection = sqlite3.connect(
                    uri, uri=True, check_same_thread=False
                )
                _close_quietly(stack, connection)
                cursor = connection.execute(query.text, query.parameters)
            except Exception as error:  # noqa: BLE001 - of SQLite, or of converting a parameter
                raise query.failure(error) from None
            if cursor.description is None:
                raise query.no_rows()
            yield from cursor_chunks(_SafeCursor(cursor, query), choice, query.source)

    return read


# --- SQLAlchemy ----------------------------------------------------------------------------------


class _Dialect(Protocol):
    name: str
    driver: str


class _Engine(Protocol):
    dialect: _Dialect

    def connect(self) -> _Connection: ...


class _RawConnection(Protocol):
    def cursor(self, name: str) -> _Executable: ...


class _Connection(_Closable, Protocol):
    connection: _RawConnection

    def execution_options(self, **options: object) -> _Connection: ...
    def execute(self, query: object, parameters: Mapping[str, object], /) -> _Result: ...
    def exec_driver_sql(self, query: str, /) -> _Result: ...
    def invalidate(self) -> None: ...


class _Result(Cursor, Protocol):
    returns_rows: bool

    def keys(self) -> Iterable[str]: ...


def _create_engine(url: str) -> _Engine:
    """Create an engine without connecting.

    Raises:
        ConfigurationError: SQLAlchemy, the dialect or the driver is not installed, or the URL is
            not valid.
    """
    try:
        sqlalchemy = import_module("sqlalchemy")
    except ImportError:
        raise ConfigurationError(
            "database: this URL requires SQLAlchemy and the driver of the database: pip install "
            "'pinterest-audiences[sql]'",
            param="database",
        ) from None
    try:
        return cast("_Engine", sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool))
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"database: the driver {error.name} is not installed; install it, or name another "
            "driver in the URL, such as postgresql+psycopg://",
            param="database",
        ) from None
    except sqlalchemy.exc.NoSuchModuleError:
        scheme = url.partition("://")[0]
        raise ConfigurationError(
            f"database: SQLAlchemy does not know {scheme}://; check the spelling, or install the "
            "package with its dialect",
            param="database",
        ) from None
    except Exception as error:  # noqa: BLE001 - dialects raise anything for a URL they cannot use
        raise ConfigurationError(
            f"database: the URL is not valid ({type(error).__name__})", param="database"
        ) from None


def _with_driver(url: _DatabaseURL) -> str:
    """Return a URL with the first driver that is installed; SQLAlchemy's default if none is."""
    rest = url.text.partition("://")[2]
    for driver in _PSYCOPG_DRIVERS:
        if find_spec(driver) is not None:
            return f"{url.backend}+{driver}://{rest}"
    return url.text


def _engine_reader(engine: _Engine) -> _Read:
    def read(query: _Query, choice: ColumnSelection) -> Iterator[Chunk]:
        with ExitStack() as stack:
            try:
                connection = engine.connect()
            except Exception as error:  # noqa: BLE001 - drivers have no common base class of errors
                raise query.failure(error, is_connection=True) from None
            _close_quietly(stack, connection)  # also rolls back
            try:
                cursor = _execute(engine.dialect, connection, query, stack)
            except Exception as error:  # noqa: BLE001 - drivers have no common base class of errors
                raise query.failure(error) from None
            yield from cursor_chunks(cursor, choice, query.source)

    return read


def _execute(
    dialect: _Dialect, connection: _Connection, query: _Query, stack: ExitStack
) -> _SafeCursor:
    """Run a query, read-only where that is possible, with a cursor in the server."""
    options = {"postgresql_readonly": True} if dialect.name == "postgresql" else {}
    if dialect.name == "sqlite":
        connection.exec_driver_sql("pragma query_only = 1")
        stack.callback(_allow_changes, connection)
    streaming = connection.execution_options(
        stream_results=True,
        yield_per=CHUNK_ROWS,
        no_parameters=True,  # otherwise some drivers take a % in the query for a parameter
        **options,
    )
    if query.parameters:
        text = cast("Callable[[str], object]", import_module("sqlalchemy").text)
        result = streaming.execute(text(query.text), query.parameters)
    elif dialect.name == "postgresql" and dialect.driver in _PSYCOPG_DRIVERS:
        # The driver's own cursor reads rows three times as fast as a result of SQLAlchemy.
        cursor = streaming.connection.cursor(name="pinterest_audiences")
        _close_quietly(stack, cursor)
        cursor.execute(query.text)
        return _SafeCursor(cursor, query)
    else:
        result = streaming.exec_driver_sql(query.text)
    if not result.returns_rows:
        raise query.no_rows()
    return _SafeResult(result, query)


def _allow_changes(connection: _Connection) -> None:
    """Undo the pragma of a connection, which may be one of a pool, or remove it from the pool."""
    try:
        connection.exec_driver_sql("pragma query_only = 0")
    except Exception:  # noqa: BLE001 - an error that is already raised must not be replaced
        with suppress(Exception):
            connection.invalidate()


class _SafeResult(_SafeCursor):
    """A result of SQLAlchemy."""

    def __init__(self, result: _Result, query: _Query) -> None:
        super().__init__(result, query, as_tuples=True)
        self._names = tuple(result.keys())

    def keys(self) -> tuple[str, ...]:
        """Return the names of the columns."""
        return self._names


# --- Arrow ---------------------------------------------------------------------------------------


class _Reader(_Closable, Iterable[arrow.Batch], Protocol):
    schema: _ArrowSchema


class _ArrowSchema(Iterable["_Field"], Protocol):
    names: list[str]


class _Field(Protocol):
    type: object
    metadata: Mapping[bytes, bytes] | None


def _reader_chunks(reader: _Reader, query: _Query, choice: ColumnSelection) -> Iterator[Chunk]:
    def batches() -> Iterator[arrow.Batch]:
        try:
            yield from reader
        except Exception as error:  # noqa: BLE001 - errors of a stream have no common base class
            raise query.failure(error) from None

    names = reader.schema.names
    yield from arrow.named_batches_chunks(batches(), names, choice, query.source)


class _DuckDBConnection(_Closable, Protocol):
    def execute(self, query: str, parameters: Mapping[str, object], /) -> object: ...
    def sql(self, query: str, /, *, params: object) -> object: ...


_DUCKDB_BATCH_ROWS = 32 * CHUNK_ROWS


def _duckdb_reader(url: _DatabaseURL) -> _Read:
    try:
        duckdb = import_module("duckdb")
    except ImportError:
        raise ConfigurationError(
            "database: DuckDB requires its package: pip install duckdb", param="database"
        ) from None
    in_memory = url.path in ("", ":memory:")
    options = dict(parse_qsl(url.options))

    def read(query: _Query, choice: ColumnSelection) -> Iterator[Chunk]:
        with ExitStack() as stack:
            try:
                connection: _DuckDBConnection = duckdb.connect(
                    url.path or ":memory:", read_only=not in_memory, config=options
                )
                _close_quietly(stack, connection)
                opened = _duckdb_result(connection, query)
            except Exception as error:  # noqa: BLE001 - of DuckDB, or of converting a parameter
                raise query.failure(error) from None
            if isinstance(opened, _SafeCursor):
                yield from cursor_chunks(opened, choice, query.source)
            else:
                _close_quietly(stack, opened)
                yield from _reader_chunks(opened, query, choice)

    return read


def _duckdb_result(connection: _DuckDBConnection, query: _Query) -> _Reader | _SafeCursor:
    """Run a query on DuckDB; as Arrow if pyarrow is installed, which is faster."""
    text = query.text
    for name in query.parameters:
        text = re.sub(rf"(?<![:\w\\]):{re.escape(name)}(?![:\w])", f"${name}", text)
    if not arrow.has_pyarrow():
        cursor = cast("_Executable", connection.execute(text, query.parameters))
        if cursor.description is None:
            raise query.no_rows()
        return _SafeCursor(cursor, query)
    relation = connection.sql(text, params=query.parameters or None)
    if relation is None:
        raise query.no_rows()
    # The method had another name in older versions of DuckDB.
    open_reader = cast(
        "Callable[[int], _Reader]",
        getattr(relation, "to_arrow_reader", None) or getattr(relation, "fetch_arrow_reader"),  # noqa: B009 - of older versions
    )
    return open_reader(_DUCKDB_BATCH_ROWS)


_ADBC_MODULE = "adbc_driver_postgresql.dbapi"
# Other types have another form in Arrow than the drivers for rows return.
_SAME_TYPES = frozenset(
    b"text varchar bpchar name int2 int4 int8 float8 bool date timestamp timestamptz".split()
)


class _ADBCCursor(_Closable, Protocol):
    def execute(self, query: str, /) -> object: ...
    def adbc_execute_schema(self, query: str, /) -> _ArrowSchema: ...
    def fetch_record_batch(self) -> _Reader: ...


class _ADBCConnection(_Closable, Protocol):
    def cursor(self) -> _ADBCCursor: ...


def _has_adbc(options: str) -> bool:
    """Return whether ADBC is installed and takes the options of a URL as SQLAlchemy does."""
    given = parse_qsl(options)
    repeated = len(given) != len({key for key, _ in given})
    if repeated or any(key == "host" and ":" in value for key, value in given):
        return False
    return arrow.has_pyarrow() and find_spec("adbc_driver_postgresql") is not None


def _adbc_reader(url: _DatabaseURL) -> _Read:
    def read(query: _Query, choice: ColumnSelection) -> Iterator[Chunk]:
        with ExitStack() as stack:
            connect = import_module(_ADBC_MODULE).connect
            try:
                connection: _ADBCConnection = connect(url.text)
            except Exception as error:  # noqa: BLE001 - of the driver, or of its driver manager
                raise query.failure(error, is_connection=True) from None
            _close_quietly(stack, connection)
            try:
                reader = _adbc_result(connection, query, stack)
            except Exception as error:  # noqa: BLE001 - of the driver, or of its driver manager
                raise query.failure(error) from None
            if reader is not None:
                yield from _reader_chunks(reader, query, choice)
                return
        yield from _rows_instead(url)(query, choice)

    return read


def _adbc_result(connection: _ADBCConnection, query: _Query, stack: ExitStack) -> _Reader | None:
    """Run a query; ``None`` if a column has a type that Arrow represents in another way."""
    cursor = connection.cursor()
    _close_quietly(stack, cursor)
    cursor.execute("set transaction read only")
    cursor.execute("set client_encoding to 'UTF8'")  # Arrow takes the bytes as they are
    if not all(map(_is_same, cursor.adbc_execute_schema(query.text))):
        return None
    cursor.execute(f"{query.text}\n")  # it becomes part of a COPY; the line may be a comment
    reader = cursor.fetch_record_batch()
    _close_quietly(stack, reader)
    return reader


def _is_same(field: _Field) -> bool:
    name = (field.metadata or {}).get(b"POSTGRESQL:type")
    return name in _SAME_TYPES or (name == b"uuid" and "uuid" in str(field.type))


def _rows_instead(url: _DatabaseURL) -> _Read:
    try:
        return _engine_reader(_create_engine(_with_driver(url)))
    except ConfigurationError:
        raise ConfigurationError(
            "database: ADBC cannot read a column of this query as it is; cast the columns that are "
            "not text to text in the query (column::text), or install SQLAlchemy and psycopg",
            param="query",
        ) from None


# --- Errors --------------------------------------------------------------------------------------

# Classes of SQLSTATE whose messages are about the connection or the server.
_SAFE_CLASSES = frozenset(("25", "28", "53", "57"))
# Classes about names and syntax. A name may be a value: 'Ann Lee'::regclass, to_tsquery('Ann Lee').
_NAME_CLASSES = frozenset(("0A", "3D", "3F", "42"))
_SAFE_ODBC_STATES = frozenset(("42S01", "42S02", "42S22"))  # a table or a column
_SAFE_SYNTAX_ERRORS = re.compile(
    "(?:syntax error|unterminated quoted (?:string|identifier)) at (?:or near|end of input)"
)
_MEANING_BY_CLASS = {
    "08": "the connection failed",
    "22": "a value cannot be converted or calculated with",
    "28": "access denied",
    "40": "the server ended the transaction",
    "55": "an object is in use",
    "58": "the server has a system error",
    "P0": "an error that the query or a function raised",
    "XX": "the server has an internal error",
}
_MEANING_BY_CODE = {
    "22012": "division by zero",
    "22P02": "a value cannot be converted",
    "3D000": "no such database",
    "42501": "access denied",
    "42601": "syntax error",
    "42703": "no such column",
    "42883": "no such function or operator",
    "42P01": "no such table",
}
_MEANING_BY_NUMBER = {  # of MySQL and MariaDB
    1040: "too many connections",
    1044: "access to the database denied",
    1045: "access denied",
    1049: "no such database",
    1054: "no such column",
    1064: "syntax error",
    1142: "access to the table denied",
    1146: "no such table",
    1317: "the query was canceled",
    1792: "the transaction is read-only",
    1969: "the query was canceled by a timeout",
    2002: "cannot connect to the server",
    2003: "cannot connect to the server",
    2005: "unknown host",
    2006: "the server closed the connection",
    2013: "the server closed the connection",
    3024: "the query was canceled by a timeout",
}
# Messages without a SQLSTATE that contain names, but no values.
_SAFE_TEXTS = re.compile(
    "|".join(
        (
            # SQLite
            r"no such (?:table|column|function|module|collation sequence): [\w.]+",
            r'near "\w+": syntax error',
            r"incomplete input",
            r"unable to open database file",
            r"file is not a database",
            r"database (?:table )?is locked",
            r"database disk image is malformed",
            r"attempt to write a readonly database",
            r"[Yy]ou can only execute one statement at a time",
            r"Could not decode to UTF-8 column '\w+'",
            r"interrupted",
            # PostgreSQL, in the middle of a result of ADBC
            r"division by zero",
            r"terminating connection due to [a-z -]+",
            r"canceling statement due to [a-z -]+",
            r"could not serialize access",
            # libpq and sockets
            r"[Cc]onnection refused",
            r"[Cc]onnection timed out",
            r"[Cc]onnection reset by peer",
            r"No such file or directory",
            r"could not translate host name",
            r"[Nn]ame or service not known",
            r"failed to resolve host",
            r"timeout expired",
            r"no password supplied",
            r"password authentication failed",
            r"no pg_hba\.conf entry",
            r"(?:database|role) \"[\w.-]+\" does not exist",
            r"server closed the connection unexpectedly",
            r"the connection is (?:closed|lost)",
            r"connection (?:is|was) (?:closed|lost)",
            r"connection already closed",
            r"too many (?:clients|connections)[a-z ]*",
            r"the database system is [a-z ]+",
            r"server does not support SSL",
            r"certificate verify failed",
            # Oracle
            r"ORA-\d{5}",
        )
    )
)
_SAFE_DUCKDB_CLASSES = ("BinderException", "CatalogException", "ParserException", "SyntaxException")
_SAFE_DUCKDB_TEXTS = re.compile(
    r"database does not exist|Could not set lock on file|not a valid DuckDB database file|"
    r"read-only mode|different configuration than existing connections|"
    r"Cannot open (?:file|database)",
)
_QUOTED_VALUE = re.compile(r"'.*", re.DOTALL)  # quotes inside of values make their end unsure
_NUMBER = re.compile(r"\d{4,}")
_PREFIX = re.compile(r"(?:ERROR|FATAL):\s+")
_ODBC_PREFIX = re.compile(r"(?:\[[^\]]*\]\s*)+")
_LITERAL = re.compile(r"'[^']*'")
_SHOWN_NAME = re.compile(r"[\w.…]*|[^\w\s]")


def _describe(error: Exception, secret: str, query: str) -> str:
    """Return a safe description of an error: message, class and SQLSTATE.

    Args:
        error: The error of a driver, or of SQLAlchemy.
        secret: The password.
        query: The query, whose words may be shown; empty if the connection failed.
    """
    original = cast("object", getattr(error, "orig", None))  # SQLAlchemy wraps errors of drivers
    error = original if isinstance(original, Exception) else error
    text, state = str(error), _sqlstate(error)
    kind = type(error)
    number = error.args[0] if error.args else None
    is_odbc = bool(state) and number == state
    shown = ""
    if kind.__name__ in _SAFE_DUCKDB_CLASSES and "duckdb" in kind.__module__:
        shown = _names_only(text)
    elif is_odbc:
        if state in _SAFE_ODBC_STATES:
            shown = _names_only(_ODBC_PREFIX.sub("", str(error.args[-1])))
    elif state[:2] in _SAFE_CLASSES:
        shown = _names_only(_PREFIX.split(text)[-1])
    elif state[:2] in _NAME_CLASSES and not isinstance(number, int):
        shown = _words_of_query(_PREFIX.split(text)[-1], state, query)
    if not shown:
        shown = _MEANING_BY_CODE.get(state) or _MEANING_BY_CLASS.get(state[:2]) or ""
        if not shown and isinstance(number, int):
            shown = _MEANING_BY_NUMBER.get(number, f"error {number}")
        if not shown and not is_odbc and state[:2] not in _NAME_CLASSES:
            found = _SAFE_DUCKDB_TEXTS if "duckdb" in kind.__module__ else _SAFE_TEXTS
            texts = list(dict.fromkeys(match[0] for match in found.finditer(text)))
            if query:  # a value may be the name of a role or a database: 'Smith'::regrole
                texts = [text for text in texts if not text.startswith(("role ", 'database "'))]
            shown = "; ".join(texts)
    details = f"{kind.__name__}, SQLSTATE {state}" if state else kind.__name__
    shown = redact(shown, token=secret)
    return f": {shown} ({details})" if shown else f" ({details})"


def _sqlstate(error: Exception) -> str:
    first = error.args[0] if error.args else None  # of ODBC
    for value in (getattr(error, "sqlstate", None), getattr(error, "pgcode", None), first):
        if isinstance(value, str) and re.fullmatch(r"[0-9A-Z]{5}", value):
            return value
    return ""


def _words_of_query(text: str, state: str, query: str) -> str:
    """Return a message of PostgreSQL about a name or the syntax; empty if it may have a value.

    What it quotes must be a word of the query outside of literals.
    """
    message = _names_only(text).partition(": ")[0]
    if not text.partition("\n")[0].isascii():  # other languages have other quotation marks
        return ""
    is_syntax = state in ("42601", "42602")
    if is_syntax and (not _SAFE_SYNTAX_ERRORS.match(message) or "jsonpath" in text):
        return ""
    words = set(_words(_LITERAL.sub(" ", query)))
    parts = message.split('"')
    # A quotation mark inside of a name is not known from the one at its end.
    if any(part and part[:1] != " " for part in parts[2::2]) or any(
        part[-1:] != " " for part in parts[0:-1:2]
    ):
        return ""
    for name in parts[1::2]:
        if _SHOWN_NAME.fullmatch(name) is None or not words.issuperset(_words(name)):
            return ""
    return message


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _names_only(text: str) -> str:
    """Return the first line of a message up to its first value."""
    lines = text.strip().splitlines() or [""]
    line = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    return _NUMBER.sub("…", _QUOTED_VALUE.sub("…", line))
