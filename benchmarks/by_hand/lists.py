"""The baseline of `lists list`: cyclopts, httpx and cattrs on the emulator, written by hand."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import anyio
import httpx
from attrs import asdict, frozen
from cattrs import Converter
from cyclopts import App

from pinterest_audiences.emulator import Emulator

app = App(name="by-hand", version="1", help_format="plaintext", help_formatter="plain")
lists = App(name="lists", help="Customer lists.")
app.command(lists)


@frozen
class CustomerList:
    """What is shown of a list."""

    id: str
    name: str
    status: str
    created_time: int
    updated_time: int
    num_uploaded_user_records: int
    num_removed_user_records: int


async def fetch(account: str) -> list[CustomerList]:
    emulator = Emulator(state=Path(os.environ["EMULATOR_STATE"]))
    converter, lists, query = Converter(), list[CustomerList](), {"page_size": "250"}
    async with httpx.AsyncClient(
        transport=emulator.transport(), headers={"Authorization": "Bearer emulated"}
    ) as client:
        while True:
            address = f"https://emulator.invalid/v5/ad_accounts/{account}/customer_lists"
            answer = await client.get(address, params=query)
            answer.raise_for_status()
            page = answer.json()
            lists += converter.structure(page["items"], list[CustomerList])
            if not page["bookmark"]:
                return lists
            query["bookmark"] = page["bookmark"]


@lists.command(name="list")
def list_all(*, ad_account: str = "549755885175", output: str = "json") -> None:
    """List the customer lists.

    Args:
        ad_account: The ad account.
        output: The form of the results.
    """
    lists = anyio.run(fetch, ad_account)
    if output == "json":
        sys.stdout.write(json.dumps([asdict(item) for item in lists]) + "\n")


if __name__ == "__main__":
    app()
