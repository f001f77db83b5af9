"""Spark: `prepare` against the same job with a bare SHA-256 that checks nothing.

Run it with ``python benchmarks/spark.py [--rows 10000000]``; it requires the extra ``[spark]`` and
Java 17. Both jobs read the same Parquet files, hash, count each digest and discard the result.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from harness import Row, in_turns, show
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

from pinterest_audiences.spark import prepare

_ROUNDS = 3
_OTHER_SHARE_PERCENT = 1  # of addresses that need more than Spark's own functions


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000_000)
    rows: int = parser.parse_args().rows
    os.environ["PYSPARK_PYTHON"] = sys.executable
    with TemporaryDirectory() as folder:
        spark = (
            SparkSession.builder.master("local[2]")
            .config("spark.ui.enabled", "false")
            .config("spark.driver.memory", "2g")
            .config("spark.sql.shuffle.partitions", "8")
            .config("spark.local.dir", folder)
            .getOrCreate()
        )
        spark.sparkContext.setLogLevel("ERROR")
        source = str(Path(folder) / "source")
        _customers(spark, rows).write.parquet(source)
        df = spark.read.parquet(source)
        show([_compare(df)])
        spark.stop()


def _customers(spark: SparkSession, rows: int) -> DataFrame:
    number = f.col("id").cast("string")
    other = f.concat(f.lit("Käthe <kaethe."), number, f.lit("@Shop.de>"))
    plain = f.concat(f.lit(" Person."), number, f.lit("@Shop.de"))
    email = f.when(f.col("id") % 100 < _OTHER_SHARE_PERCENT, other).otherwise(plain)
    return spark.range(rows).select(email.alias("email"))


def _compare(df: DataFrame) -> Row:
    def bare() -> DataFrame:
        digest = f.sha2(f.lower(f.trim("email")), 256)
        return df.select(digest.alias("digest")).groupBy("digest").agg(f.count("*"))

    def ours() -> DataFrame:
        return prepare(df, column="email").outcomes

    rounds = in_turns(lambda: _seconds(bare), lambda: _seconds(ours), _ROUNDS)
    print("seconds of the baseline:", *(f"{seconds:.1f}" for seconds in rounds.baseline))
    print("seconds of prepare:", *(f"{seconds:.1f}" for seconds in rounds.ours))
    return rounds.ratio("prepare in Spark", "sha2(lower(trim(email)), 256)", 1.5)


def _seconds(job: Callable[[], DataFrame]) -> float:
    begun = time.perf_counter()
    job().write.format("noop").mode("overwrite").save()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
