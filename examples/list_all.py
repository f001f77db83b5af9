"""List the customer lists and audiences of an ad account.

For your ad account: log in once with `pinterest-audiences auth login`, and use `AsyncClient()`.
"""

from __future__ import annotations

import anyio

from pinterest_audiences import AsyncClient
from pinterest_audiences.emulator import Emulator

AD_ACCOUNT = "549755885175"


async def main() -> None:
    """Print one line for each list and audience, over all pages."""
    emulator = Emulator()
    emulator.seed_audiences(AD_ACCOUNT, 3)  # something to list
    async with AsyncClient.emulated(emulator) as client:
        async for item in client.customer_lists_list(AD_ACCOUNT, page_size=100):
            sent = item.num_uploaded_user_records
            print(f"list      {item.id}  {item.name}  {item.status}  {sent} sent")
        async for audience in client.audiences_list(AD_ACCOUNT, page_size=100):
            print(f"audience  {audience.id}  {audience.name}  {audience.status}  {audience.size}")


if __name__ == "__main__":
    anyio.run(main)
