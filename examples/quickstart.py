"""From a shop's customer export to a READY customer list, on the embedded emulator.

Reads `customers.csv`, sends hashed e-mails, adds and removes some, waits until the list is ready,
and walks all lists: first with `AsyncClient`, then the same with `Client`. Nothing leaves this
machine: to send to Pinterest, leave out `transport=` and set PINTEREST_ACCESS_TOKEN.
"""

from __future__ import annotations

import csv
import hashlib
import time
from pathlib import Path

import anyio

from pinterest_audiences import AsyncClient, Client, CustomerList, CustomerListStatus
from pinterest_audiences.emulator import Emulator

AD_ACCOUNT = "549755885175"
EXPORT = Path(__file__).with_name("customers.csv")


def hashed_emails(path: Path) -> tuple[list[str], int]:
    """Return the distinct SHA-256 digests of the e-mails in an export, and how many rows had none.

    Pinterest wants e-mails in lower case; spaces around them would make other hashes.
    """
    found: dict[str, None] = {}
    rows_without = 0
    with path.open(newline="", encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            email = row["Email"].strip().lower().removeprefix("mailto:")
            if "@" in email:
                found[hashlib.sha256(email.encode()).hexdigest()] = None
            else:
                rows_without += 1
    return list(found), rows_without


def show(customer_list: CustomerList) -> None:
    """Print one list on one line."""
    print(
        f"  {customer_list.id}  {customer_list.name:<22} {customer_list.status:<10}"
        f" uploaded {customer_list.num_uploaded_user_records},"
        f" removed {customer_list.num_removed_user_records}"
    )


async def awaited(emails: list[str]) -> None:
    """Create, add, remove, wait and list, awaiting."""
    async with AsyncClient("any-token", transport=Emulator().transport()) as client:
        made = await client.customer_lists_create(
            AD_ACCOUNT, name="All customers", records=emails[:1500]
        )
        await client.customer_lists_update(
            AD_ACCOUNT, made.id, operation_type="ADD", records=emails[1500:]
        )
        await client.customer_lists_update(
            AD_ACCOUNT, made.id, operation_type="REMOVE", records=emails[:25]
        )
        await client.customer_lists_create(AD_ACCOUNT, name="A few friends", records=emails[:40])
        while True:
            made = await client.customer_lists_get(AD_ACCOUNT, made.id)
            if made.status != CustomerListStatus.PROCESSING:
                break
            await anyio.sleep(0.5)
        async for customer_list in client.customer_lists_list(AD_ACCOUNT, page_size=1):
            show(customer_list)


def blocking(emails: list[str]) -> None:
    """Do the same from a script."""
    with Client("any-token", transport=Emulator().transport()) as client:
        made = client.customer_lists_create(AD_ACCOUNT, name="All customers", records=emails[:1500])
        client.customer_lists_update(
            AD_ACCOUNT, made.id, operation_type="ADD", records=emails[1500:]
        )
        client.customer_lists_update(
            AD_ACCOUNT, made.id, operation_type="REMOVE", records=emails[:25]
        )
        client.customer_lists_create(AD_ACCOUNT, name="A few friends", records=emails[:40])
        while made.status == CustomerListStatus.PROCESSING:
            time.sleep(0.5)
            made = client.customer_lists_get(AD_ACCOUNT, made.id)
        for customer_list in client.customer_lists_list(AD_ACCOUNT, page_size=1):
            show(customer_list)


def main() -> None:
    """Run both."""
    emails, rows_without = hashed_emails(EXPORT)
    print(f"{EXPORT.name}: {len(emails)} distinct e-mails, {rows_without} rows without one")
    print("AsyncClient:")
    anyio.run(awaited, emails)
    print("Client:")
    blocking(emails)


if __name__ == "__main__":
    main()
