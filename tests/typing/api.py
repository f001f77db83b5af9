"""What type checkers must make of the public names; checked, never run."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, assert_type

from pinterest_audiences import (
    JSON,
    AccountClient,
    AppCredentials,
    AsyncAccountClient,
    AsyncClient,
    AsyncPager,
    Audience,
    AudienceStatus,
    Client,
    CreatedUpload,
    CustomerList,
    CustomerListStatus,
    CustomerListUpload,
    IdentifierType,
    JobReport,
    NoAuth,
    OAuthToken,
    OperationType,
    Page,
    Pager,
    Plan,
    RawResponse,
    RecordRow,
    RefreshingToken,
    ResponseInfo,
    Token,
    open_source,
    prepare,
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
    assert_type(await pager.first(), CustomerList | None)
    assert_type(await pager.fetch(), Page[CustomerList])


def blocking(client: Client) -> None:
    app = AppCredentials("1", "secret")
    got = client.oauth_token(app, grant_type="refresh_token", refresh_token="r")
    assert_type(got, OAuthToken)
    assert_type(got.refresh_token, str | None)
    assert_type(client.customer_lists_get("549", "643"), CustomerList)
    for item in client.customer_lists_list("549"):
        assert_type(item, CustomerList)
    pager = client.customer_lists_list("549")
    for page in pager.by_page():
        assert_type(page, Page[CustomerList])
    assert_type(pager.first(), CustomerList | None)
    assert_type(pager.fetch(), Page[CustomerList])


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
    Client(NoAuth())
    Client(lambda: "token", timeout=None)
    AsyncClient(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - no token


if TYPE_CHECKING:
    import duckdb
    import numpy as np
    import polars as pl
    import sqlalchemy


async def files_and_iterables(client: AsyncClient, path: Path) -> None:
    async def rows() -> AsyncIterator[dict[str, str]]:
        yield {"email": "ann@shop.example"}

    def emails() -> Iterator[str]:
        yield "ann@shop.example"

    await client.upload("549", "buyers.csv", name="x")
    await client.upload("549", path, customer_list_id=643, name=None)
    await client.upload("549", emails(), name="x", customer_list_id=None)
    await client.upload("549", prepare("buyers.csv"), name="x")
    await client.upload("549", open_source("buyers.csv", column=2), name="x")
    await client.mirror("549", rows(), name="x")
    with path.open("rb") as file:
        await client.plan_mirror("549", file, name="x")
    assert_type(await client.plan_upload("549", path, name="x", store=False), Plan)
    several = {"x": ["a"], "y": ["b"]}
    assert_type(await client.mirror_many("549", several), dict[str, JobReport])
    await client.mirror_many("549", {"x": path, "y": rows(), "643": prepare("buyers.csv")})
    await client.upload("549", path, name="x", audience="x", wait=60)
    await client.forget("ann@shop.example")


def tables_and_cursors(
    client: Client,
    frames: tuple[pl.DataFrame, pl.LazyFrame],
    column: pl.Series | np.ndarray[tuple[int], np.dtype[np.str_]],
    cursor: sqlite3.Cursor,
    results: tuple[sqlalchemy.CursorResult[str], duckdb.DuckDBPyRelation],
) -> None:
    client.upload("549", frames[0], name="x")
    client.upload("549", frames[1], name="x")
    client.upload("549", column, name="x")
    client.upload("549", cursor, name="x")
    client.upload("549", results[0], name="x")
    client.upload("549", results[1], name="x")


async def results_and_requests(client: AsyncClient, account: AsyncAccountClient) -> None:
    made = await account.customer_lists_create(name="x", records="a")
    assert_type(made.last_response, ResponseInfo | None)
    assert_type(made.to_dict(), dict[str, JSON])
    shown: Mapping[str, object] = made.to_dict()
    response = await client.request("POST", "/pins", json={"a": [1, None]}, params={"b": ["c", 1]})
    assert_type(response, RawResponse)
    assert_type(response.data, JSON)
    await client.request("GET", "/pins", params=shown)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await client.request("get", "/pins")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await client.request("POST", "/pins", json=object())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def bound_account(client: AsyncClient, sync: Client) -> None:
    account = client.account("549")
    assert_type(account, AsyncAccountClient)
    assert_type(await account.customer_lists_get("1"), CustomerList)
    assert_type(account.customer_lists_list(), AsyncPager[CustomerList])
    await account.upload("buyers.csv", name="x")
    assert_type(sync.account(), AccountClient)
    assert_type(sync.account(549).customer_lists_list(), Pager[CustomerList])
    assert_type(client.with_options(timeout=None, max_retries=0), AsyncClient)
    assert_type(account.with_options(max_wait=1.0), AsyncAccountClient)
    await account.upload("buyers.csv")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await account.upload("549", "buyers.csv", name="x")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    client.with_options(max_retries=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def words_as_strings(client: Client) -> None:
    client.customer_lists_create("549", name="x", records="a", list_type="MAID")
    client.customer_lists_update("549", 1, operation_type="REMOVE", records="a", records_v2=None)
    client.upload("549", ["a"], name="x", operation="REMOVE", kind="maid")
    client.upload("549", ["a"], name="x", operation=OperationType.ADD, kind=IdentifierType.MAID)
    client.audiences_create("549", name="x", audience_type="VISITOR", rule={"a": "b"})
    prepare(["a"], "idfa", algorithm="md5")
