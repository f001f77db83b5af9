"""What type checkers must make of the public names; checked, never run."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

from pinterest_audiences import (
    AppCredentials,
    AsyncClient,
    Audience,
    AudienceStatus,
    Client,
    CreatedUpload,
    CustomerList,
    CustomerListStatus,
    CustomerListUpload,
    NoToken,
    OAuthToken,
    Page,
    RecordRow,
    RefreshingToken,
    Token,
)


async def awaiting(client: AsyncClient) -> None:
    made = await client.customer_lists_create(549, name="x", records=["a@b.co"])
    assert_type(made, CustomerList)
    assert_type(made.status, CustomerListStatus | None)
    await client.customer_lists_update(
        "549", made.id, operation_type="ADD", records_v2=(RecordRow(email="a@b.co"),)
    )
    pager = client.customer_lists_list("549", order="ASCENDING")
    async for item in pager:
        assert_type(item, CustomerList)
    async for page in pager.by_page():
        assert_type(page, Page[CustomerList])
    assert_type(await pager.collect(limit=3), list[CustomerList])


def blocking(client: Client) -> None:
    app = AppCredentials("1", "secret")
    got = client.oauth_token(app, grant_type="refresh_token", refresh_token="r")
    assert_type(got, OAuthToken)
    assert_type(got.refresh_token, str | None)
    assert_type(client.customer_lists_get("549", "643"), CustomerList)
    for item in client.customer_lists_list("549"):
        assert_type(item, CustomerList)
    for page in client.customer_lists_list("549").by_page():
        assert_type(page, Page[CustomerList])


async def audiences(client: AsyncClient, path: Path) -> None:
    made = await client.create_customer_list_audience("549", 643, "Buyers", description="x")
    assert_type(made, Audience)
    assert_type(made.status, AudienceStatus | None)
    rule = {"seed_id": [made.id], "country": "US", "percentage": 5}
    await client.audiences_create("549", name="x", audience_type="ACTALIKE", rule=rule)
    async for audience in client.audiences_list("549", ownership_type="RECEIVED"):
        assert_type(audience, Audience)
    upload = await client.customer_list_uploads_create("549", "643", operation="ADD", total_parts=1)
    assert_type(upload, CreatedUpload)
    await client.put_file_parts(upload, path)
    done = await client.upload_file_in_parts("549", "643", b"a@b.co", wait=60)
    assert_type(done, CustomerListUpload)


def audiences_of_a_script(client: Client, path: str) -> None:
    assert_type(client.audiences_update("549", "1", operation_type="REMOVE"), Audience)
    for audience in client.audiences_list("549"):
        assert_type(audience, Audience)
    assert_type(client.upload_file_in_parts("549", "643", path), CustomerListUpload)


class Vault:
    async def get(self) -> Token:
        return Token("a")

    async def refresh(self, seen: Token) -> Token:
        return Token("b", seen.generation + 1)


async def soon() -> str:
    return "token"


def makes() -> None:
    AsyncClient(Vault())
    AsyncClient(soon)
    AsyncClient(RefreshingToken("tokens.json", AppCredentials("1", "secret")))
    Client(NoToken())
    Client(lambda: "token", timeout=None)
    AsyncClient(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - no token
