"""One call of each operation, with a record that no output may contain."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest

from pinterest_audiences import AsyncClient, CallError

ACCOUNT = "549755885175"
LIST_ID = "643"
RECORD = "customer@example.com"

Operate: TypeAlias = Callable[[AsyncClient], Awaitable[object]]


async def create(client: AsyncClient) -> object:
    """Create a list: the only call that is not idempotent."""
    return await client.customer_lists_create(ACCOUNT, name="Spring", records=[RECORD])


async def get(client: AsyncClient) -> object:
    """Fetch a list."""
    return await client.customer_lists_get(ACCOUNT, LIST_ID)


async def update(client: AsyncClient) -> object:
    """Add a record to a list."""
    return await client.customer_lists_update(
        ACCOUNT, LIST_ID, operation_type="ADD", records=[RECORD]
    )


async def walk(client: AsyncClient) -> object:
    """Fetch all lists."""
    return await client.customer_lists_list(ACCOUNT).collect()


LISTS_PATH = f"/ad_accounts/{ACCOUNT}/customer_lists"
LIST_PATH = f"{LISTS_PATH}/{LIST_ID}"


async def fails(operate: Operate, client: AsyncClient) -> CallError:
    """Call, and return the expected error."""
    with pytest.raises(CallError) as failed:
        await operate(client)
    return failed.value
