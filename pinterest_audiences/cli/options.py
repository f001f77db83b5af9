"""Options that several commands share, and the sources that they describe."""

from __future__ import annotations

from collections.abc import Sequence
from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from attrs import frozen
from cyclopts import Group, Parameter

from pinterest_audiences._redaction import looks_like_identifier
from pinterest_audiences.cli.error_reports import usage_error
from pinterest_audiences.cli.help import COMMON_OPTIONS
from pinterest_audiences.cli.output import Format, LogFormat

if TYPE_CHECKING:
    from pinterest_audiences._jobs.plan import ExpectedRows
    from pinterest_audiences._models import RecordRow
    from pinterest_audiences._records.prepare import OnProgress, PreparedRecords
    from pinterest_audiences._records.sources import Source

__all__ = [
    "DEFAULT_OPTIONS",
    "DEFAULT_READ_OPTIONS",
    "DEFAULT_SOURCE",
    "NO_AUDIENCE",
    "NO_LIST",
    "AudienceOptions",
    "CommonOptions",
    "File",
    "Flag",
    "ListId",
    "ListSelector",
    "OrderChoice",
    "PathText",
    "ReadOptions",
    "RetryTimeout",
    "SourceOptions",
    "common_options",
    "expected_count",
    "file_exists",
    "is_missing",
    "open_files",
    "order_value",
    "page_size",
    "preparation",
]

_MAX_PAGE_SIZE = 250
_SOURCE = Group("Source", sort_key=4)

Flag: TypeAlias = Annotated[bool, Parameter(negative="", show_default=False)]
"""An option without a value."""


def _no_option(_kind: object, value: str | None) -> None:
    if value is not None and value.startswith("-") and value != "-":
        raise ValueError(f"unknown option {value}; a file of that name is ./{value}")


# The parser takes "-" for an option; any other value that begins with a dash is a mistyped option.
_FILE = Parameter(name="FILE", allow_leading_hyphen=True, validator=_no_option)
if TYPE_CHECKING:
    PathText: TypeAlias = str
    File: TypeAlias = str
else:
    # Shells complete file names where the type has a Path; the value is text, as the first type
    # of the union that fits: "https://..." is not a valid Path.
    PathText = str | Path
    File = Annotated[PathText, _FILE]
"""A path, a URL, or ``-`` for standard input."""

RetryTimeout: TypeAlias = Annotated[float, Parameter(show_default=lambda _: "7200, two hours")]
"""Seconds for which a batch is retried."""

ListId: TypeAlias = Annotated[str, Parameter(name="LIST")]
"""The id or the name of a list, or its alias in the profile."""

_FileFormat: TypeAlias = Literal[
    "csv", "tsv", "psv", "lines", "ndjson", "json", "parquet", "excel", "arrow", "orc", "avro"
]
OrderChoice: TypeAlias = Literal["ascending", "descending"]
"""The order of a listing."""


@Parameter(name="*", group=Group(COMMON_OPTIONS, sort_key=9))
@frozen(kw_only=True)
class CommonOptions:
    """Options of every command.

    Attributes:
        emulator: Use the local emulator instead of Pinterest; needs no account and no network.
        ad_account: Ad account id. Default: PINTEREST_AD_ACCOUNT_ID, then the profile's.
        profile: Profile of the configuration file. Default: PINTEREST_AUDIENCES_PROFILE, then
            "default".
        output: Output format. Default: PINTEREST_AUDIENCES_OUTPUT, then the profile's, then a table
            on a terminal and JSON otherwise.
        state: State file of the jobs. Default: PINTEREST_AUDIENCES_STATE, then the profile's.
        quiet: Print warnings and errors only, without progress and notes.
        verbose: Print log messages; -vv prints more.
        log_format: Print time, level and job id with everything on standard error, as text or as
            one JSON object for each message; without progress bars.
    """

    emulator: Annotated[bool | None, Parameter(negative="--no-emulator")] = None
    ad_account: str | None = None
    profile: str | None = None
    output: Annotated[Format | None, Parameter(alias="-o")] = None
    state: Path | None = None
    quiet: Annotated[Flag, Parameter(alias="-q")] = False
    verbose: Annotated[int, Parameter(alias="-v", count=True, show_default=False)] = 0
    log_format: LogFormat | None = None


@Parameter(name="*", group=_SOURCE)
@frozen(kw_only=True)
class SourceOptions:
    """How a source of customers is read and cleaned.

    Attributes:
        kind: Type of identifier in the source.
        database: URL of a database to read instead of FILE, such as sqlite:///shop.db. Use the
            variable or the profile for a URL with a password. Default:
            PINTEREST_AUDIENCES_DATABASE, then the profile's.
        query: SELECT to run on the database, or @ and the file that contains it.
        column: Column to read, by name or by number counted from 1; can be repeated. Default:
            columns are detected by name and content, and reported.
        columns: For rows with several identifiers: pairs of Pinterest's and the source's column,
            such as email=Email,maid=Device.
        format: File format; excel is any workbook, json an array. Default: detected from content
            and file name.
        encoding: Text encoding. Default: UTF-8, or UTF-16 with a byte order mark.
        delimiter: Delimiter of the columns. Default: detected.
        no_header: The file has no header row; name columns by number.
        skip_rows: Lines to skip before the header, such as a title.
        sheet: Sheet of a workbook, by name or by number counted from 1. Default: the first with
            content.
        limit: Read the first rows only, for a trial; not for `plan` and `mirror`, which would
            remove all other customers.
        algorithm: Hash algorithm for values that are not hashed yet.
        idfa_case: Letter case of an IDFA before hashing.
        phone_form: Format of a phone number before hashing.
        phone_region: Country of phone numbers without a country code, such as DE.
        max_reject_share: Send nothing if more than this share of values, 0 to 1, is rejected.
            Default: the profile's, then 0.1. Empty values do not count.
        rejects_to: Write row number and reason of each rejected value to this file.
        reject_values: Write the rejected values to that file too.
    """

    kind: Literal["email", "maid", "idfa", "hashed_pinner_id"] = "email"
    database: str | None = None
    query: str | None = None
    column: Annotated[list[str] | None, Parameter(negative="")] = None
    columns: str | None = None
    format: _FileFormat | None = None
    encoding: str | None = None
    delimiter: str | None = None
    no_header: Flag = False
    skip_rows: int = 0
    sheet: str | None = None
    limit: int | None = None
    algorithm: Literal["sha256", "sha1", "md5"] = "sha256"
    idfa_case: Literal["lower", "upper"] = "lower"
    phone_form: Literal["e164", "digits"] = "digits"
    phone_region: str | None = None
    max_reject_share: float | None = None
    rejects_to: Path | None = None
    reject_values: Flag = False


@Parameter(name="*", group=_SOURCE)
@frozen(kw_only=True)
class ReadOptions:
    """How a source is read, without options for cleaning and hashing.

    Attributes:
        database: URL of a database to read instead of FILE, such as sqlite:///shop.db. Use the
            variable or the profile for a URL with a password. Default:
            PINTEREST_AUDIENCES_DATABASE, then the profile's.
        query: SELECT to run on the database, or @ and the file that contains it.
        column: Column to read, by name or by number counted from 1; can be repeated. Default:
            columns are detected by name and content, and reported.
        format: File format; excel is any workbook, json an array. Default: detected from content
            and file name.
        encoding: Text encoding. Default: UTF-8, or UTF-16 with a byte order mark.
        delimiter: Delimiter of the columns. Default: detected.
        no_header: The file has no header row; name columns by number.
        skip_rows: Lines to skip before the header, such as a title.
        sheet: Sheet of a workbook, by name or by number counted from 1. Default: the first with
            content.
    """

    database: str | None = None
    query: str | None = None
    column: Annotated[list[str] | None, Parameter(negative="")] = None
    format: _FileFormat | None = None
    encoding: str | None = None
    delimiter: str | None = None
    no_header: Flag = False
    skip_rows: int = 0
    sheet: str | None = None


@Parameter(name="*", group=Group("List", sort_key=1))
@frozen(kw_only=True)
class ListSelector:
    """Which list a command works on.

    Attributes:
        name: Name of the list.
        list_id: Id or name of a list that exists, or its alias in the profile.
    """

    name: str | None = None
    list_id: Annotated[str | None, Parameter(name="--list")] = None

    def check(self, *, source_is_missing: bool = False) -> None:
        """Check that exactly one option is set.

        Args:
            source_is_missing: Whether the command has no source either, for the message.

        Raises:
            CommandError: None or both are set.
        """
        if (self.name is None) != (self.list_id is None):
            return
        if self.name is not None:
            raise usage_error("use either --name or --list", "see --help")
        missing = "--name or --list is missing"
        if source_is_missing:
            missing = "FILE is missing, and --name or --list"
        raise usage_error(missing, "see --help")


@Parameter(name="*", group=Group("Audience", sort_key=2))
@frozen(kw_only=True)
class AudienceOptions:
    """Which audience a list gets.

    Attributes:
        audience: Create an audience of this name afterwards, unless the list has one.
        wait: Seconds to wait until the list, and then its audience, is ready. Default: do not wait.
    """

    audience: str | None = None
    wait: Annotated[float, Parameter(show_default=False)] = 0.0

    def check(self) -> None:
        """Check the options, before a long source is read.

        Raises:
            ConfigurationError: The name is empty, or the wait is not possible.
        """
        from pinterest_audiences._jobs import audiences  # noqa: PLC0415 - heavy

        audiences.AudienceOptions.checked(self.audience, self.wait)


DEFAULT_OPTIONS = CommonOptions()


def common_options(*, common: CommonOptions = DEFAULT_OPTIONS) -> None:
    """Upload customer lists to Pinterest and keep them in sync."""


DEFAULT_SOURCE = SourceOptions()
DEFAULT_READ_OPTIONS = ReadOptions()
NO_LIST = ListSelector()
NO_AUDIENCE = AudienceOptions()


def is_missing(files: Sequence[str], source: SourceOptions) -> bool:
    """Return whether neither a file nor a query is given."""
    return not files and source.database is None and source.query is None


def page_size(limit: int | None) -> int:
    """Return the number of items per page for a number of results; ``None`` for all results.

    Raises:
        CommandError: The limit is below 0.
    """
    if limit is not None and limit < 0:
        raise usage_error("--limit must be 0 or more")
    return _MAX_PAGE_SIZE if limit is None else min(max(limit, 1), _MAX_PAGE_SIZE)


def order_value(order: OrderChoice | None) -> Literal["ASCENDING", "DESCENDING"] | None:
    """Return the order of a listing as clients expect it."""
    if order is None:
        return None
    return "ASCENDING" if order == "ascending" else "DESCENDING"


def preparation(
    files: Sequence[str],
    options: SourceOptions,
    *,
    database: str | None,
    share: float | None,
    deduplicate: bool = False,
    samples: int = 0,
    on_progress: OnProgress | None = None,
) -> PreparedRecords[str] | PreparedRecords[RecordRow]:
    """Open a source and prepare its records.

    Args:
        files: Paths, or ``-`` for standard input.
        options: How to read them.
        database: URL of the database, if the options have a query.
        share: Maximum share of rejects; ``None`` for no limit.
        deduplicate: Whether to count duplicates.
        samples: Number of masked samples for each reject reason and finding.
        on_progress: Called while the source is read.

    Raises:
        CommandError: The source is missing, or a file does not exist.
        ConfigurationError: An option is invalid.
        SourceError: A file cannot be opened.
    """
    from pinterest_audiences._records.prepare import prepare, prepare_rows  # noqa: PLC0415 - heavy

    opened = open_files(files, options, database=database, columns=options.columns)
    if options.limit is not None:
        opened = opened.limit(options.limit)
    if options.columns is not None:
        return prepare_rows(
            opened,
            algorithm=options.algorithm,
            phone_form=options.phone_form,
            phone_region=options.phone_region,
            deduplicate=deduplicate,
            max_reject_share=share,
            rejects_to=options.rejects_to,
            reject_values=options.reject_values,
            samples=samples,
            on_progress=on_progress,
        )
    return prepare(
        opened,
        options.kind,
        algorithm=options.algorithm,
        idfa_case=options.idfa_case,
        deduplicate=deduplicate,
        max_reject_share=share,
        rejects_to=options.rejects_to,
        reject_values=options.reject_values,
        samples=samples,
        on_progress=on_progress,
    )


def open_files(
    files: Sequence[str],
    options: SourceOptions | ReadOptions,
    *,
    database: str | None,
    columns: str | None = None,
) -> Source:
    """Open files as one source, or a query on a database.

    Args:
        files: Paths, or ``-`` for standard input.
        options: How to read them.
        database: URL of the database, if the options have a query.
        columns: For rows with several identifiers: pairs of Pinterest's and the source's column.

    Raises:
        CommandError: The source is missing, or a file does not exist.
        ConfigurationError: An option is invalid.
        SourceError: A file cannot be opened.
    """
    from pinterest_audiences._records.sources import file_source  # noqa: PLC0415 - heavy

    if options.query is not None or options.database is not None:
        return _open_query(files, options, database, columns)
    if not files:
        raise usage_error("FILE is missing; or use --database and --query", "see --help")
    for file in files:
        if not file_exists(file):
            if looks_like_identifier(file):
                raise usage_error(
                    "FILE: no such file; customers are read from a file, or from - (standard input)"
                )
            raise usage_error(f"{file}: no such file")
    if options.skip_rows < 0:
        raise usage_error("--skip-rows must be 0 or more")
    return file_source(
        files,
        column=tuple(options.column) if options.column else None,
        columns=None if columns is None else _pairs(columns),
        encoding=options.encoding,
        delimiter=options.delimiter,
        format=options.format,
        header=not options.no_header,
        skip_rows=options.skip_rows,
        sheet=options.sheet,
    )


def _open_query(
    files: Sequence[str],
    options: SourceOptions | ReadOptions,
    database: str | None,
    columns: str | None,
) -> Source:
    """Open a query on a database.

    Raises:
        CommandError: The URL or the query is missing, there is a FILE too, or an option for files.
        ConfigurationError: An option is invalid.
    """
    from pinterest_audiences._records.databases import sql_source  # noqa: PLC0415 - heavy

    if files:
        raise usage_error("use either FILE, or --database and --query")
    if options.query is None:
        raise usage_error("--database requires --query")
    if not database:
        raise usage_error(
            "--query requires --database",
            "or set PINTEREST_AUDIENCES_DATABASE, or database in the profile",
        )
    for name in ("format", "encoding", "delimiter", "no_header", "skip_rows", "sheet"):
        if getattr(options, name):
            flag = name.replace("_", "-")
            raise usage_error(f"--{flag} is for files, and has no effect on a database")
    return sql_source(
        database,
        _query_text(options.query),
        column=tuple(options.column) if options.column else None,
        columns=None if columns is None else _pairs(columns),
    )


def _query_text(query: str) -> str:
    """Return a query, or the content of the file that it names.

    Raises:
        CommandError: The file cannot be read.
    """
    if not query.startswith("@"):
        return query
    try:
        return Path(query[1:]).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise usage_error(f"--query: {query[1:]}: {reason}") from None


def expected_count(expect_rows: str | None) -> ExpectedRows | None:
    """Return the number of rows that a command without a last run expects.

    Raises:
        CommandError: It is a share.
        ConfigurationError: It is not a number of rows.
    """
    from pinterest_audiences._jobs.plan import ExpectedRows  # noqa: PLC0415 - heavy

    expected = ExpectedRows.parse(expect_rows)
    if expected is not None and expected.count is None:
        raise usage_error(
            "--expect-rows must be a number of rows here: a share is of the last run of a list",
            "use a number such as 300",
        )
    return expected


def file_exists(file: str) -> bool:
    """Return whether a file exists, or may: standard input, a URL, a pattern."""
    try:
        return file == "-" or "://" in file or has_magic(file) or Path(file).exists()
    except (OSError, ValueError):
        return False


def _pairs(text: str) -> dict[str, str | int]:
    pairs = [pair.strip().partition("=") for pair in text.split(",")]
    return {row: source if sign else row for row, sign, source in pairs}
