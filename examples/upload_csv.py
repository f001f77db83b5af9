"""Upload a CSV file to a customer list, and report why rows were left out.

    python upload_csv.py customers.csv Buyers

For your ad account: log in once with `pinterest-audiences auth login`, and use `Client()`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pinterest_audiences import Client, prepare

AD_ACCOUNT = "549755885175"


def main(path: str, name: str) -> None:
    """Create the list if there is none of that name, and add the customers of the file."""
    records = prepare(path)
    with Client.emulated() as client:
        report = client.upload(AD_ACCOUNT, records, name=name)
    print(f"{report.added} records were added to list {report.customer_list_id}")
    for reason, number in records.report.rejects.items():
        rows = ", ".join(map(str, records.report.first_rows.get(reason, ())))
        print(f"{number} rows were left out: {reason}, first in rows {rows}")


if __name__ == "__main__":
    main(*(sys.argv[1:] or (str(Path(__file__).with_name("customers.csv")), "Buyers")))
