"""A web application with two endpoints: list the customer lists, and add customers to one.

    PINTEREST_API_URI=emulator: uvicorn fastapi_app:app

For your ad account: log in once with `pinterest-audiences auth login`, and leave out the variable.
`test_fastapi_app.py` shows how it is tested.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException

from pinterest_audiences import AsyncClient, NotFoundError, prepare

ACCOUNT = os.environ.get("PINTEREST_AD_ACCOUNT_ID", "549755885175")


async def pinterest() -> AsyncClient:
    """Return the client of the application; tests replace this dependency."""
    client: AsyncClient = app.state.pinterest
    return client


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """Open one client for all requests, so that they share connections and rate limits."""
    async with AsyncClient() as client:
        app.state.pinterest = client
        yield


app = FastAPI(lifespan=lifespan)
Pinterest = Annotated[AsyncClient, Depends(pinterest)]


@app.get("/lists")
async def lists(client: Pinterest) -> list[Mapping[str, object]]:
    """Return all customer lists of the ad account."""
    return [item.to_dict() async for item in client.customer_lists_list(ACCOUNT)]


@app.post("/lists/{list_id}/customers")
async def add_customers(list_id: str, emails: list[str], client: Pinterest) -> Mapping[str, object]:
    """Clean, hash and add e-mail addresses; return how many were sent and how many rejected."""
    records = prepare(emails)
    try:
        for chunk in records:
            await client.customer_lists_update(
                ACCOUNT, list_id, operation_type="ADD", records=chunk
            )
    except NotFoundError:
        raise HTTPException(404, "the customer list does not exist") from None
    return {"sent": records.report.records, "rejected": records.report.rejected}
