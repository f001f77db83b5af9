"""Customers in Spark: cleaned, hashed and deduplicated by the cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from attrs import frozen

from pinterest_audiences._errors import ConfigurationError
from pinterest_audiences._models import IdentifierType
from pinterest_audiences._records.arrow import import_pyarrow
from pinterest_audiences._records.chunks import RejectReason
from pinterest_audiences._records.emails import PLACEHOLDER_LOCAL_PARTS
from pinterest_audiences._records.identifiers import (
    KIND_NORMALIZERS,
    NormalizationOptions,
    normalize_all,
)
from pinterest_audiences._records.report import reject_share

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from pinterest_audiences._models import JSON

__all__ = [
    "FrameReport",
    "PreparedFrame",
    "SparkKind",
    "prepare",
    "spark_functions",
    "text_column",
]

SparkKind: TypeAlias = Literal["email", "maid", "idfa"]
"""A kind of identifier that Spark prepares."""
_KINDS = ("email", "maid", "idfa")
_REJECT = "reject:"  # before the reason, in the column `outcome`
_OUTCOMES = {"outcome": "string", "rows": "bigint", "occurrences": "bigint"}

# The simple form of values that need no rules but for spaces and case. It is narrower than the
# rules: any other value is cleaned by the package.
_MAX_CELL_CHARACTERS = 1_000
_MAX_VALUE_CHARACTERS = 64
_EMAIL = r"^[a-z0-9._+-]++@(?:[a-z0-9]++(?:-++[a-z0-9]++)*+\.)++[a-z]{2,}\z"
_NOT_IN_AN_EMAIL = ("example.", "xn--", "_x")  # a reserved domain, IDNA, an escape of workbooks
_RESERVED_TOP_LEVELS = (".test", ".example", ".invalid", ".localhost")
_MOBILE_ID = r"^(?!00000000-)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\z"


@frozen(kw_only=True)
class FrameReport:
    """The result of every row of a DataFrame.

    Attributes:
        rows: Number of rows.
        records: Number of distinct records.
        duplicates: Values that gave a record for the second time.
        rejects: Rejected values, by reason. ``empty`` is a row without a value, which does not
            count towards a limit on rejects.
    """

    rows: int
    records: int
    duplicates: int
    rejects: Mapping[RejectReason, int]

    @property
    def rejected(self) -> int:
        """Number of rejected values, including rows without a value."""
        return sum(self.rejects.values())

    @property
    def values(self) -> int:
        """Number of values: records, duplicates and rejects; a cell may have several."""
        return self.records + self.duplicates + self.rejected

    @property
    def reject_share(self) -> float:
        """The share of rejects among the values, from 0 to 1, both without empty rows."""
        return reject_share(self.rejects, self.values)

    def to_dict(self) -> dict[str, JSON]:
        """Return the report as JSON values; later versions only add keys."""
        return {
            "rows": self.rows,
            "records": self.records,
            "duplicates": self.duplicates,
            "rejects": {str(reason): count for reason, count in self.rejects.items()},
        }

    def __str__(self) -> str:
        lines = [
            f"{self.rows:>14,} rows",
            f"{self.records:>14,} records",
            f"{self.duplicates:>14,} duplicates",
            f"{self.rejected:>14,} rejects",
        ]
        for reason, count in sorted(self.rejects.items(), key=lambda item: (-item[1], item[0])):
            lines.append(f"{count:>18,} {reason}")
        return "\n".join(lines)


class PreparedFrame:
    """The outcome of every row of a DataFrame; created by :func:`prepare`.

    It is lazy, like the DataFrame itself: each action on `digests` and each `report` computes it.
    Use :meth:`write` to compute it once.

    Args:
        outcomes: One row for each distinct digest and for each reject reason, with the numbers of
            rows and values.
    """

    def __init__(self, outcomes: DataFrame) -> None:
        self._outcomes = outcomes

    def __repr__(self) -> str:
        return "PreparedFrame()"

    @property
    def outcomes(self) -> DataFrame:
        """One row for each distinct digest, and for each reject reason.

        The columns are ``outcome`` (a digest, or ``reject:`` and a reason), ``rows`` (rows of which
        it is the first outcome) and ``occurrences``.
        """
        return self._outcomes

    @property
    def digests(self) -> DataFrame:
        """The distinct records: one column, ``digest``, hexadecimal digits in lower case."""
        functions = spark_functions()
        outcome = functions.col("outcome")
        is_digest = ~outcome.startswith(_REJECT)
        return self._outcomes.where(is_digest).select(outcome.alias("digest"))

    def write(self, path: str) -> PreparedFrame:
        """Compute the outcomes once, and store them as Parquet, without any plain identifier.

        Args:
            path: A folder that does not exist, on any file system that Spark can write.

        Returns:
            A prepared frame that reads the folder.
        """
        self._outcomes.write.option("compression", "zstd").parquet(path)
        return PreparedFrame.read(self._outcomes, path)

    @classmethod
    def read(cls, df: DataFrame, path: str) -> PreparedFrame:
        """Read what :meth:`write` stored.

        Args:
            df: Any DataFrame of the Spark session.
            path: The folder.
        """
        schema = ", ".join(f"{name} {kind}" for name, kind in _OUTCOMES.items())
        return cls(df.sparkSession.read.schema(schema).parquet(path))

    def report(self) -> FrameReport:
        """Count the rows, records, duplicates and rejects; runs a Spark job."""
        f = spark_functions()
        outcome = f.col("outcome")
        reason = f.when(outcome.startswith(_REJECT), outcome)
        groups = self._outcomes.groupBy(reason.alias("reason")).agg(
            f.sum("rows").alias("rows"),
            f.sum("occurrences").alias("occurrences"),
            f.count("*").alias("distinct"),
        )
        rows = records = duplicates = 0
        rejects: dict[RejectReason, int] = {}
        for group in groups.collect():
            rows += group["rows"]
            if group["reason"] is None:
                records = group["distinct"]
                duplicates = group["occurrences"] - records
            else:
                name = str(group["reason"]).removeprefix(_REJECT)
                rejects[RejectReason(name)] = group["occurrences"]
        return FrameReport(rows=rows, records=records, duplicates=duplicates, rejects=rejects)


def prepare(
    df: DataFrame, *, column: str | None = None, kind: SparkKind = "email"
) -> PreparedFrame:
    """Clean, hash and deduplicate a column of a DataFrame, with the results of `prepare`.

    Spark's own functions hash plain ASCII values. Only values that need more, such as an address
    with umlauts, a display name or several addresses, are passed to Python, in Arrow columns; there
    the package cleans or rejects them. The DataFrame is read once.

    Args:
        df: The customers; it is not changed.
        column: The column with the identifiers, a string column; it may be left out if there is
            only one.
        kind: What the column has: ``email``, ``maid`` or ``idfa``. Values that are hashes already
            stay as they are.

    Returns:
        The distinct SHA-256 digests, and the counts.

    Raises:
        ConfigurationError: An argument is invalid, the column is not text, or PySpark is missing
            or older than 4.1.

    Example:
        A DataFrame ``customers`` with a column ``email``::

            prepared = prepare(customers, column="email").write("s3a://bucket/prepared")
            print(prepared.report())
            prepared.digests.count()

    Source: the rules of :func:`pinterest_audiences.prepare`, which tests compare value by value.
    """
    f = spark_functions()
    if kind not in _KINDS:
        raise ConfigurationError(f"kind must be one of {', '.join(_KINDS)}", param="kind")
    identifier_type = IdentifierType(kind)
    text = text_column(df, column)
    simple = df.select(text.alias("value"), f.lower(f.trim(text)).alias("lowered")).select(
        "value",
        f.when(_is_simple(identifier_type), f.sha2("lowered", 256)).alias("digest"),
    )
    clean = _cleaning_udf(identifier_type)
    rest = f.when(f.col("digest").isNull(), f.coalesce(f.col("value"), f.lit("")))
    outcomes = (
        simple.select("digest", clean(rest).alias("cleaned"))
        .select("digest", f.posexplode_outer("cleaned").alias("position", "cleaned"))
        .groupBy(f.coalesce("cleaned", "digest").alias("outcome"))
        .agg(
            f.count_if(f.coalesce("position", f.lit(0)) == 0).alias("rows"),
            f.count("*").alias("occurrences"),
        )
    )
    return PreparedFrame(outcomes)


def spark_functions() -> Any:  # noqa: ANN401 - the module has no complete types
    """Return the functions of Spark's SQL.

    Raises:
        ConfigurationError: PySpark is not installed, or is too old.
    """
    functions: Any = None
    with suppress(ImportError):
        from pyspark.sql import functions  # noqa: PLC0415 - the extra [spark]
    if not hasattr(functions, "arrow_udf"):
        raise ConfigurationError(
            "Spark requires PySpark 4.1 or later: pip install 'pinterest-audiences[spark]'"
        )
    return functions


def text_column(df: DataFrame, column: object) -> Column:
    """Return a column as text.

    Raises:
        ConfigurationError: The column does not exist, or is not text.
    """
    names = df.columns
    if column is None and len(names) == 1:
        column = names[0]
    if column not in names:
        raise ConfigurationError(
            f"column must be one of the columns of the DataFrame: {', '.join(names)}",
            param="column",
        )
    quoted = "`{}`".format(str(column).replace("`", "``"))
    from pyspark.sql.types import StringType  # noqa: PLC0415 - the extra [spark]

    selected = df.select(quoted)
    if not isinstance(selected.schema[0].dataType, StringType):
        raise ConfigurationError(
            "column must have text: cast it to string, or convert bytes of hashes with hex()",
            param="column",
        )
    functions = spark_functions()
    return cast("Column", functions.col(quoted).cast("string"))  # without its collation


def _is_simple(kind: IdentifierType) -> Column:
    """Return the condition of values that Spark hashes, on `value` and `lowered`."""
    f = spark_functions()
    value, lowered = f.col("value"), f.col("lowered")
    condition = (
        (f.char_length(value) <= _MAX_CELL_CHARACTERS)
        & (f.octet_length(value) == f.char_length(value))  # before the case of letters changes
        & (f.char_length(lowered) <= _MAX_VALUE_CHARACTERS)
    )
    if kind != IdentifierType.EMAIL:
        return cast("Column", condition & lowered.rlike(_MOBILE_ID))
    condition &= lowered.rlike(_EMAIL)
    for part in _NOT_IN_AN_EMAIL:
        condition &= ~lowered.contains(part)
    for end in _RESERVED_TOP_LEVELS:
        condition &= ~lowered.endswith(end)
    local = f.substring_index(lowered, "@", 1)
    return cast("Column", condition & ~local.isin(*sorted(PLACEHOLDER_LOCAL_PARTS)))


def _cleaning_udf(kind: IdentifierType) -> Callable[[Column], Column]:
    """Return a function of Arrow columns that cleans values in a Python worker.

    Raises:
        ConfigurationError: pyarrow is not installed.
    """
    pyarrow = import_pyarrow()

    def clean(values):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - set below
        return _clean(values, kind)

    # Spark reads the types, which must not be strings.
    clean.__annotations__ = {"values": pyarrow.Array, "return": pyarrow.Array}
    return cast("Callable[[Column], Column]", spark_functions().arrow_udf(clean, "array<string>"))


def _clean(values: Any, kind: IdentifierType) -> Any:  # noqa: ANN401 - Arrow arrays
    """Return the records of each value, or its reject reason; a null stays a null."""
    pyarrow = import_pyarrow()
    list_type = pyarrow.list_(pyarrow.string())
    if values.null_count == len(values):
        return pyarrow.nulls(len(values), list_type)
    normalizer, options = KIND_NORMALIZERS[kind], NormalizationOptions()

    def outcomes(value: str) -> list[str]:
        records = normalize_all(value, normalizer, options)
        if isinstance(records, RejectReason):
            return [f"{_REJECT}{records}"]
        return [item.record for item in records]

    cleaned = [None if value is None else outcomes(value) for value in _texts(values)]
    return pyarrow.array(cleaned, list_type)


def _texts(values: Any) -> list[str | None]:  # noqa: ANN401 - an Arrow array
    """Return text columns as strings, with U+FFFD in those that are not UTF-8."""
    try:
        return cast("list[str | None]", values.to_pylist())
    except UnicodeDecodeError:
        pyarrow = import_pyarrow()
        is_large = pyarrow.types.is_large_string(values.type)
        cells = values.cast(pyarrow.large_binary() if is_large else pyarrow.binary()).to_pylist()
        return [None if cell is None else cell.decode(errors="replace") for cell in cells]
