"""The transport: an emulator behind httpx, without a network."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from unit.emulator.conftest import Caller

TOKEN = {"Authorization": "Bearer pina_test"}
URL = "https://any.host.example/v5/ad_accounts/549/customer_lists"
NEW_LIST = b'{"name": "Spring", "records": "a@example.com"}'


def test_sync_client_gets_answers(call: Caller) -> None:
    """For any host, with the headers and the bytes of the emulator."""
    with httpx.Client(transport=call.emulator.transport(), headers=TOKEN) as client:
        answer = client.post(URL, content=NEW_LIST)
    assert answer.status_code == 200
    assert answer.http_version == "HTTP/1.1"
    assert answer.json() == call.emulator.customer_list(answer.json()["id"])
    assert answer.headers["content-length"] == str(len(answer.content))


def test_sync_client_may_stream_its_body(call: Caller) -> None:
    """The chunks are joined."""

    def pieces() -> Iterator[bytes]:
        yield NEW_LIST[:10]
        yield NEW_LIST[10:]

    with httpx.Client(transport=call.emulator.transport(), headers=TOKEN) as client:
        assert client.post(URL, content=pieces()).status_code == 200


@pytest.mark.anyio
async def test_async_client_gets_answers_and_may_stream(call: Caller) -> None:
    """The same transport serves it, on either event loop."""

    async def pieces() -> AsyncIterator[bytes]:
        yield NEW_LIST[:10]
        yield NEW_LIST[10:]

    async with httpx.AsyncClient(transport=call.emulator.transport(), headers=TOKEN) as client:
        assert (await client.post(URL, content=NEW_LIST)).status_code == 200
        assert (await client.post(URL, content=pieces())).status_code == 200
        async with client.stream("GET", URL, params={"page_size": 1}) as answer:
            body = b"".join([piece async for piece in answer.aiter_bytes()])
    assert body.endswith(b'=="}')


@pytest.mark.anyio
async def test_request_lets_other_tasks_run(call: Caller) -> None:
    """Between any two requests."""
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count_turns)
        async with httpx.AsyncClient(transport=call.emulator.transport()) as client:
            for _ in range(10):
                await client.get(URL)
        tasks.cancel_scope.cancel()
    assert turns >= 9


@pytest.mark.anyio
async def test_cancelled_request_is_not_carried_out(call: Caller) -> None:
    """A request that is cancelled before its answer has no effect."""
    async with httpx.AsyncClient(transport=call.emulator.transport(), headers=TOKEN) as client:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await client.post(URL, content=NEW_LIST)
    assert scope.cancelled_caught
    assert call.emulator.requests == ()


def test_emulator_import_loads_neither_httpx_nor_anyio() -> None:
    """They are slow to import, and `handle` needs neither."""
    code = (
        "import sys, pinterest_audiences.emulator as emulator; "
        "before = {'httpx', 'anyio', 'h11', 'cattrs'} & set(sys.modules); "
        "emulator.Emulator().transport(); "
        "print(sorted(before), 'httpx' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[] True\n"
