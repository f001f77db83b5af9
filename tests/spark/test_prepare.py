"""`prepare` of a Spark DataFrame gives the results of `prepare` on the same values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.nasty_values import random_emails, random_mobile_ids

import pinterest_audiences
from pinterest_audiences import ConfigurationError, RejectReason
from pinterest_audiences.spark import FrameReport, PreparedFrame, SparkKind, prepare

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def frame(spark: SparkSession, values: Sequence[str | None]) -> DataFrame:
    return spark.createDataFrame([(value,) for value in values], "email string")


def digests(prepared: PreparedFrame) -> list[str]:
    return sorted(row["digest"] for row in prepared.digests.collect())


CHOSEN: tuple[str | None, ...] = (
    *(None, "", "  ", "NULL", "ann@shop.de", " Ann@Shop.DE ", "ann@shop.de\n", "ann@shop.de\n\n"),
    *("\u212aate@shop.de", "\u017fue@shop.de", "\u0130van@shop.de", "m\u00fcller@shop.de"),
    *("ann@shop.de, ben@shop.de", "Ann <ann@shop.de>", "mailto:ann@shop.de", "ann@shop.de."),
    *("noreply@shop.de", "ann@example.com", "ann@a.example.org", "ann@shop.test", "xx@shop.de"),
    *("a_x00fc_b@shop.de", "ann@xn--mller-kva.de", "ann@-shop.de", "ann@shop-.de", "ann@s--p.de"),
    *("9f86d081" * 8, "9F86D081" * 8, "9f86d081" * 5, "9f86d081" * 4, "0" * 64, "a" * 65 + "@b.de"),
    *(" " * 1_000 + "ann@shop.de", " " * 10_000 + "ann@shop.de", "ann@" + "b" * 64 + ".de"),
)
VALUES: dict[SparkKind, list[str | None]] = {
    "email": [*CHOSEN, *random_emails(15, 4_000)],
    "maid": [None, "", *random_mobile_ids(15, 1_000)],
    "idfa": [None, "", *random_mobile_ids(16, 1_000)],
}


@pytest.mark.parametrize("kind", ["email", "maid", "idfa"])
def test_equal_to_prepare_on_nasty_values(spark: SparkSession, kind: SparkKind) -> None:
    """The distinct records, and the counts of rows, duplicates and each reject reason."""
    values = VALUES[kind]
    here = pinterest_audiences.prepare(values, kind, deduplicate=True)
    expected = sorted(record for records in here for record in records)
    prepared = prepare(frame(spark, values), kind=kind)
    assert digests(prepared) == expected
    report = prepared.report()
    assert (report.rows, report.records, report.duplicates, dict(report.rejects)) == (
        here.report.rows,
        here.report.records,
        here.report.duplicates,
        dict(here.report.rejects),
    )
    assert report.reject_share == pytest.approx(here.report.reject_share)


def test_simple_values_are_hashed_without_python(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What replaces the function in Python rejects all that it gets."""

    def refusing_udf(_kind: object) -> object:
        from pyspark.sql import functions

        return lambda column: functions.when(
            column.isNotNull(), functions.array(functions.lit("reject:symbol"))
        )

    monkeypatch.setattr("pinterest_audiences._spark_frames._cleaning_udf", refusing_udf)
    simple = [f"  Person.{number}@Mail-{number}.Shop.co.uk " for number in range(50)]
    report = prepare(frame(spark, [*simple, "Ann <ann@shop.de>"])).report()
    assert (report.records, report.rejects) == (50, {RejectReason.SYMBOL: 1})


def test_write_stores_digests_and_no_plain_value(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "prepared"
    values = ["ann@shop.de", "Ann@Shop.de", "Ben <ben@shop.de>", "ben at shop.de", None]
    prepared = prepare(frame(spark, values)).write(str(path))
    assert prepared.report() == FrameReport(
        rows=5,
        records=2,
        duplicates=1,
        rejects={RejectReason.NO_AT_SIGN: 1, RejectReason.EMPTY: 1},
    )
    columns = prepared.outcomes.toArrow().to_pydict()
    assert "shop" not in str(columns)
    reread = PreparedFrame.read(prepared.digests, str(path))
    assert digests(reread) == digests(prepared)
    assert str(prepared.report()).splitlines()[0].strip() == "5 rows"


def test_column_with_a_dot_and_a_quote_in_its_name(spark: SparkSession) -> None:
    df = spark.createDataFrame([("1", "ann@shop.de")], "id string, `e.m``ail` string")
    assert prepare(df, column="e.m`ail").report().records == 1


@pytest.mark.parametrize(
    ("schema", "column", "kind", "param"),
    [
        ("email string, id string", None, "email", "column"),
        ("email string, id string", "mail", "email", "column"),
        ("email string, id int", "id", "email", "column"),
        ("email string, id string", "email", "phone", "kind"),
    ],
)
def test_wrong_arguments_are_refused(
    spark: SparkSession, schema: str, column: str | None, kind: SparkKind, param: str
) -> None:
    df = spark.createDataFrame([], schema)
    with pytest.raises(ConfigurationError) as caught:
        prepare(df, column=column, kind=kind)
    assert caught.value.param == param


def test_no_rows_give_an_empty_report(spark: SparkSession) -> None:
    report = prepare(frame(spark, [])).report()
    assert (report.rows, report.values, report.reject_share) == (0, 0, 0)
