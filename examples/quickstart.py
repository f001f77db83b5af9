"""From a shop's customer export to a READY customer list, on the embedded emulator.

Reads `customers.csv`, cleans and hashes its e-mails, sends them, removes some again, waits until
the list is ready, and walks all lists: first with `AsyncClient`, then the same with `Client`.
Nothing leaves this machine: to send to Pinterest, leave out `transport=` and set
PINTEREST_ACCESS_TOKEN.
"""

from __future__ import annotations

import time
from pathlib import Path

import anyio

from pinterest_audiences import AsyncClient, Client, CustomerList, CustomerListStatus, prepare
from pinterest_audiences.emulator import Emulator

AD_ACCOUNT = "549755885175"
EXPORT = Path(__file__).with_name("customers.csv")


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
    ready = prepare(EXPORT, deduplicate=True)
    emails = [record for chunk in ready for record in chunk]
    print(ready.report)
    print("AsyncClient:")
    anyio.run(awaited, emails)
    print("Client:")
    blocking(emails)


if __name__ == "__main__":
    main()
