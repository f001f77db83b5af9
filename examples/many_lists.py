"""Mirror several lists at once, under one rate limit: one list for each country.

For your ad account: log in once with `pinterest-audiences auth login`, and use `Client()`.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

from pinterest_audiences import Client, JobsFailedError

AD_ACCOUNT = "549755885175"
EXPORT = Path(__file__).with_name("customers.csv")


def main() -> None:
    """Group the customers, and mirror each group; a list that fails does not stop the others."""
    groups: dict[str, list[str]] = defaultdict(list)
    with EXPORT.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            groups[f"Customers in {row['Default Address Country Code']}"].append(row["Email"])
    with Client.emulated() as client:
        try:
            reports = client.mirror_many(AD_ACCOUNT, groups)
        except JobsFailedError as error:
            reports = dict(error.reports)
            for name, cause in error.errors.items():
                print(f"{name}: {cause}")
        for name, report in reports.items():
            print(f"{name}: {report.added} added, {report.removed} removed")


if __name__ == "__main__":
    main()
