"""Mirror a DataFrame of Spark into a customer list. Requires the extra `[spark]` and Java 17.

The cluster compares the digests with those of the last run; the driver sends only the changes.

For your ad account: log in once with `pinterest-audiences auth login`, and use `Client()`; use your
cluster's session, and a folder for the snapshot that all of its nodes reach.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from pyspark.sql import SparkSession

from pinterest_audiences import Client
from pinterest_audiences.spark import mirror

AD_ACCOUNT = "549755885175"


def main() -> None:
    """Mirror a thousand customers, then the same without the first fifty."""
    os.environ["PYSPARK_PYTHON"] = sys.executable  # local mode: the workers use this Python
    spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    session = spark.getOrCreate()
    with Client.emulated() as client, TemporaryDirectory() as folder:
        for first in (0, 50):
            customers = session.range(first, 1_000).selectExpr(
                "concat('customer', id, '@shop.example') as email"
            )
            report = mirror(
                customers,
                f"file:{Path(folder) / 'snapshot'}",
                client=client,
                ad_account_id=AD_ACCOUNT,
                name="Buyers",
                column="email",
                state_folder=folder,
            )
            print(f"{report.added} added, {report.removed} removed")
    session.stop()


if __name__ == "__main__":
    main()
