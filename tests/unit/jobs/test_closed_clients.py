"""Jobs and waits end when their client is closed, however long they would wait."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import httpx
import pytest
from support.jobs import ACCOUNT, NAME, people

from pinterest_audiences import AsyncClient, ClientClosedError, Clock, PinterestAudiencesError
from pinterest_audiences.emulator import Emulator

pytestmark = pytest.mark.anyio

Operate = Callable[[AsyncClient, str, Path], Awaitable[object]]


class EndlessSleep(Clock):
    """A clock on which no long wait ends by itself."""

    def __init__(self) -> None:
        self.asleep = anyio.Event()

    async def sleep(self, seconds: float) -> None:
        if seconds < 0.9:  # a retry of the client, in front of those of the job
            return
        self.asleep.set()
        await anyio.sleep_forever()


async def wait_for_list(client: AsyncClient, list_id: str, _state: Path) -> object:
    return await client.wait_until_ready(ACCOUNT, list_id)


async def upload_during_outage(client: AsyncClient, list_id: str, state: Path) -> object:
    return await client.upload(ACCOUNT, people(0, 5), customer_list_id=list_id, state=state)


async def create_during_outage(client: AsyncClient, _list_id: str, state: Path) -> object:
    return await client.upload(ACCOUNT, people(0, 5), name=NAME, state=state)


async def upload_in_parts(client: AsyncClient, list_id: str, state: Path) -> object:
    file = state.with_name("file.csv")
    file.write_text("a@shop.example\n", encoding="utf-8")
    return await client.upload_file_in_parts(ACCOUNT, list_id, file, operation="ADD")


@pytest.mark.parametrize(
    ("operate", "outage"),
    [
        (wait_for_list, False),
        (wait_for_list, True),
        (upload_during_outage, True),
        (create_during_outage, True),
        (upload_in_parts, False),
    ],
)
async def test_waits_of_jobs_end_with_client_closed_error_when_client_is_closed(
    operate: Operate, outage: bool, tmp_path: Path
) -> None:
    """Even if the clock of the wait never advances."""
    emulator, clock = Emulator(processing_seconds=1e6), EndlessSleep()
    (list_id,) = emulator.seed_lists(ACCOUNT, 1)
    errors: list[PinterestAudiencesError] = []
    inner = emulator.transport()

    async def handle(request: httpx.Request) -> httpx.Response:
        if outage:
            raise httpx.ConnectError("the network is away")
        return await inner.handle_async_request(request)

    client = AsyncClient("token", transport=httpx.MockTransport(handle), clock=clock, max_retries=0)

    async def run() -> None:
        with pytest.raises(PinterestAudiencesError) as caught:
            await operate(client, list_id, tmp_path / "state.db")
        errors.append(caught.value)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await clock.asleep.wait()
            await client.aclose()
    assert [type(error) for error in errors] == [ClientClosedError]
