"""`last_response`: request id, status and headers of a success, with each result."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Awaitable
from typing import TypeVar

import anyio
import httpx
import pytest
from support.wire import LIST, PAGE, Reply, ScriptedTransport

from pinterest_audiences import AsyncClient, Client, CustomerList, ResponseInfo
from pinterest_audiences.emulator import Emulator

pytestmark = pytest.mark.anyio

ACCOUNT = "549755885175"
T = TypeVar("T")
AnyClient = AsyncClient | Client
KINDS: list[type[AnyClient]] = [AsyncClient, Client]
clients = pytest.mark.parametrize("kind", KINDS, ids=["async", "sync"])


async def done(result: T | Awaitable[T]) -> T:
    """Return the result of a call of either client."""
    return await result if isinstance(result, Awaitable) else result


async def close(client: AnyClient) -> None:
    await done(client.aclose() if isinstance(client, AsyncClient) else client.close())  # type: ignore[func-returns-value]


def info(result: object) -> ResponseInfo:
    response: object = getattr(result, "last_response", None)
    assert isinstance(response, ResponseInfo)
    return response


@clients
async def test_result_has_request_id_status_headers_and_attempts_of_its_response(
    kind: type[AnyClient],
) -> None:
    """Of the last attempt."""
    rid = {"X-Pinterest-Rid": "4711", "X-Other": "1"}
    transport = ScriptedTransport(
        Reply(503, headers={"x-pinterest-rid": "1"}), Reply(201, LIST, headers=rid)
    )
    client = kind("token", transport=transport)
    response = info(await done(client.customer_lists_get(ACCOUNT, "643")))
    assert (response.status, response.request_id, response.attempts) == (201, "4711", 2)
    assert response.headers["x-pinterest-rid"] == response.headers["X-Pinterest-RID"] == "4711"
    assert response.headers["x-other"] == "1"
    await close(client)


@clients
async def test_page_has_the_response_and_its_items_have_none(kind: type[AnyClient]) -> None:
    transport = ScriptedTransport(
        Reply(200, {**PAGE, "bookmark": "b"}, {"x-pinterest-rid": "1"}),
        Reply(200, PAGE, {"x-pinterest-rid": "2"}),
    )
    client = kind("token", transport=transport)
    pager = client.customer_lists_list(ACCOUNT)
    first = await done(pager.fetch())
    second = await done(pager.fetch(first.bookmark))
    assert [info(first).request_id, info(second).request_id] == ["1", "2"]
    assert first.items[0].last_response is None
    await close(client)


@clients
async def test_every_call_that_returns_a_model_has_a_response(kind: type[AnyClient]) -> None:
    client = kind.emulated(Emulator(processing_seconds=0))
    created = await done(client.customer_lists_create(ACCOUNT, name="x", records="a@b.co"))
    upload = await done(
        client.customer_list_uploads_create(ACCOUNT, created.id, operation="ADD", total_parts=1)
    )
    audience = await done(client.create_customer_list_audience(ACCOUNT, created.id, "x"))
    results = [
        created,
        upload,
        audience,
        await done(client.audiences_get(ACCOUNT, audience.id)),
        await done(client.user_account_get()),
        await done(client.ad_accounts_get(ACCOUNT)),
        await done(client.ad_accounts_list().fetch()),
    ]
    ids = [info(result).request_id for result in results]
    assert None not in ids
    assert len(set(ids)) == len(ids)
    await close(client)


async def test_concurrent_calls_have_their_own_responses() -> None:
    """An attribute of the client would be that of whichever call ended last."""

    async def respond(request: httpx.Request) -> httpx.Response:
        list_id = request.url.path.rpartition("/")[2]
        await anyio.lowlevel.checkpoint()
        headers = {"x-pinterest-rid": f"rid-{list_id}", "content-type": "application/json"}
        return httpx.Response(200, json={**LIST, "id": list_id}, headers=headers)

    results: list[CustomerList] = []

    async def fetch(client: AsyncClient, number: int) -> None:
        results.append(await client.customer_lists_get(ACCOUNT, number))

    transport = httpx.MockTransport(respond)
    async with (
        AsyncClient("token", transport=transport) as client,
        anyio.create_task_group() as tasks,
    ):
        for number in range(20):
            tasks.start_soon(fetch, client, number)
    assert len(results) == 20
    assert all(info(each).request_id == f"rid-{each.id}" for each in results)


def test_response_is_not_part_of_the_value() -> None:
    """Not compared, not shown, not in the JSON; copies have none."""
    with Client.emulated() as client:
        created = client.customer_lists_create(ACCOUNT, name="x", records="a@b.co")
    copies = [copy.copy(created), copy.deepcopy(created), pickle.loads(pickle.dumps(created))]
    for each in copies:
        assert each.last_response is None
        assert each == created
        assert each.to_dict() == created.to_dict()
        assert repr(each) == repr(created)
    assert "response" not in repr(created) + created.to_json()
    assert CustomerList(id="1").last_response is None


def test_repr_of_a_response_omits_its_headers() -> None:
    """A proxy may add cookies."""
    response = ResponseInfo(200, "4711", 1, {"set-cookie": "SENTINEL"})
    assert repr(response) == "ResponseInfo(status=200, request_id='4711', attempts=1)"
