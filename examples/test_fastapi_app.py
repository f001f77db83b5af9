"""Tests of the two endpoints, with the fixtures of pinterest_audiences and no network."""

from __future__ import annotations

from hashlib import sha256

import httpx
import pytest
from fastapi_app import ACCOUNT, app, pinterest

from pinterest_audiences import AsyncClient
from pinterest_audiences.emulator import Emulator

pytestmark = pytest.mark.anyio


@pytest.fixture
def browser(pinterest_async_client: AsyncClient) -> httpx.AsyncClient:
    """Return an HTTP client of the application, which uses the emulator."""
    app.dependency_overrides[pinterest] = lambda: pinterest_async_client
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


async def test_lists_are_returned_as_json(
    browser: httpx.AsyncClient, pinterest_async_client: AsyncClient
) -> None:
    created = await pinterest_async_client.customer_lists_create(
        ACCOUNT, name="Buyers", records=["ada@example.com"]
    )
    (item,) = (await browser.get("/lists")).json()
    assert (item["id"], item["name"]) == (created.id, "Buyers")


async def test_customers_are_hashed_and_rejects_counted(
    browser: httpx.AsyncClient, pinterest_emulator: Emulator
) -> None:
    (list_id,) = pinterest_emulator.seed_lists(ACCOUNT, 1)
    before = pinterest_emulator.members(list_id)
    emails = [" Ada@Example.com ", "ben at example.com"]
    response = await browser.post(f"/lists/{list_id}/customers", json=emails)
    assert response.json() == {"sent": 1, "rejected": 1}
    added = pinterest_emulator.members(list_id) - before
    assert added == {sha256(b"ada@example.com").hexdigest()}


async def test_unknown_list_is_404(browser: httpx.AsyncClient) -> None:
    response = await browser.post("/lists/1/customers", json=["ada@example.com"])
    assert response.status_code == 404
