"""Create a READY customer list from the customer export of a shop, on the built-in emulator.

Reads `customers.csv`, cleans and hashes its e-mails, sends them, removes some again, waits until
the list is ready, and lists all lists: first with `AsyncClient`, then the same with `Client`.
Nothing leaves this machine. To send to Pinterest, log in with `pinterest-audiences auth login`,
and create the clients with `AsyncClient()` and `Client()`.
"""

from __future__ import annotations

import time
from pathlib import Path

import anyio

from pinterest_audiences import AsyncClient, Client, CustomerList, CustomerListStatus, prepare

AD_ACCOUNT = "549755885175"
EXPORT = Path(__file__).with_name("customers.csv")


def show(customer_list: CustomerList) -> None:
    """Print one list on one line."""
    print(
        f"  {customer_list.id}  {customer_list.name:<22} {customer_list.status:<10}"
        f" uploaded {customer_list.num_uploaded_user_records},"
        f" removed {customer_list.num_removed_user_records}"
    )


async def run_async(emails: list[str]) -> None:
    """Create, add, remove, wait and list with the async client."""
    async with AsyncClient.emulated() as client:
        created = await client.customer_lists_create(
            AD_ACCOUNT, name="All customers", records=emails[:1500]
        )
        await client.customer_lists_update(
            AD_ACCOUNT, created.id, operation_type="ADD", records=emails[1500:]
        )
        await client.customer_lists_update(
            AD_ACCOUNT, created.id, operation_type="REMOVE", records=emails[:25]
        )
        await client.customer_lists_create(AD_ACCOUNT, name="A few friends", records=emails[:40])
        while True:
            created = await client.customer_lists_get(AD_ACCOUNT, created.id)
            if created.status != CustomerListStatus.PROCESSING:
                break
            await anyio.sleep(0.5)
        async for customer_list in client.customer_lists_list(AD_ACCOUNT, page_size=1):
            show(customer_list)


def run_sync(emails: list[str]) -> None:
    """Do the same with the sync client."""
    with Client.emulated() as client:
        created = client.customer_lists_create(
            AD_ACCOUNT, name="All customers", records=emails[:1500]
        )
        client.customer_lists_update(
            AD_ACCOUNT, created.id, operation_type="ADD", records=emails[1500:]
        )
        client.customer_lists_update(
            AD_ACCOUNT, created.id, operation_type="REMOVE", records=emails[:25]
        )
        client.customer_lists_create(AD_ACCOUNT, name="A few friends", records=emails[:40])
        while created.status == CustomerListStatus.PROCESSING:
            time.sleep(0.5)
            created = client.customer_lists_get(AD_ACCOUNT, created.id)
        for customer_list in client.customer_lists_list(AD_ACCOUNT, page_size=1):
            show(customer_list)


def main() -> None:
    """Prepare the records, and run both."""
    records = prepare(EXPORT, deduplicate=True)
    emails = [record for chunk in records for record in chunk]
    print(records.report)
    print("AsyncClient:")
    anyio.run(run_async, emails)
    print("Client:")
    run_sync(emails)


if __name__ == "__main__":
    main()
