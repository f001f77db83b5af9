"""Mirror the customers of a PostgreSQL table who gave consent. Requires `[sql]` and psycopg.

    POSTGRES_URL=postgresql+psycopg://reader@db.internal/shop python postgres_mirror.py

For your ad account: log in once with `pinterest-audiences auth login`, and use `Client()`.
"""

from __future__ import annotations

import os
import sys

from pinterest_audiences import Client, sql_source

AD_ACCOUNT = "549755885175"
QUERY = "select email from customers where consent"


def main(url: str) -> None:
    """Show what would change, then change it."""
    with Client.emulated() as client:
        plan = client.plan_mirror(
            AD_ACCOUNT, sql_source(url, QUERY), name="Buyers", max_removal_share=0.1
        )
        print(plan)
        report = client.apply(plan, audience="Buyers")
    print(f"{report.added} added, {report.removed} removed")


if __name__ == "__main__":
    if "POSTGRES_URL" not in os.environ:
        sys.exit("set POSTGRES_URL to the URL of a database with a table of customers")
    main(os.environ["POSTGRES_URL"])
