"""Faults in the transport and the server, as httpx and the clients see them."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, get_args

import anyio.lowlevel
import httpx
import pytest
from support.clock import FakeClock as SleepingClock

from pinterest_audiences import AsyncClient, Client, CustomerList, ServerError, TransportError
from pinterest_audiences.emulator import Emulator, FaultKind, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from unit.emulator.conftest import Caller

pytestmark = pytest.mark.slow

TOKEN = {"Authorization": "Bearer pina_test"}
LISTS = "/ad_accounts/549/customer_lists"
NEW_LIST = b'{"name": "Spring", "records": "a@example.com"}'
SECONDS = 0.01

# A reset is a ReadError; older versions treat it as an early end, on asyncio.
RESET = (httpx.ReadError, httpx.RemoteProtocolError)

both_frontends = pytest.mark.parametrize("frontend", ["transport", "server"])


@asynccontextmanager
async def opened(emulator: Emulator, frontend: str) -> AsyncIterator[httpx.AsyncClient]:
    """An httpx client of the transport or the server."""
    async with AsyncExitStack() as closing:
        transport, base_url = None, "http://any.host/v5"
        if frontend == "server":
            base_url = await closing.enter_async_context(serve(emulator))
        else:
            transport = emulator.transport()
        client = httpx.AsyncClient(base_url=base_url, transport=transport, headers=TOKEN)
        yield await closing.enter_async_context(client)


async def outcome(client: httpx.AsyncClient, query: str) -> object:
    try:
        answer = await client.get(LISTS + query)
    except httpx.TransportError as error:
        return RESET if isinstance(error, RESET) else type(error)
    return answer.status_code, answer.headers["content-type"], answer.content


@pytest.mark.anyio
@pytest.mark.parametrize("kind", get_args(FaultKind))
async def test_fault_has_the_same_effect_in_transport_and_server(
    new_emulator: Callable[..., Emulator], kind: FaultKind
) -> None:
    """The same answer, or the same error of httpx; and the next request is answered."""
    outcomes: list[list[object]] = []
    for frontend in ("transport", "server"):
        emulator = new_emulator()
        emulator.seed_lists("549", 3)
        async with opened(emulator, frontend) as client:
            bookmark = (await client.get(LISTS + "?page_size=1")).json()["bookmark"]
            query = "?" + str(httpx.QueryParams({"page_size": 1, "bookmark": bookmark}))
            emulator.fault(kind, seconds=SECONDS)
            outcomes.append([await outcome(client, query) for _ in range(2)])
    assert outcomes[0] == outcomes[1]
    assert isinstance(outcomes[0][1], tuple)
    assert outcomes[0][1][0] == 200


@pytest.mark.anyio
@both_frontends
@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("reset_before", RESET),
        ("reset_during", RESET),
        ("reset_after", RESET),
        ("no_answer", httpx.RemoteProtocolError),
    ],
)
async def test_broken_connection_raises_the_httpx_error(
    call: Caller, frontend: str, kind: FaultKind, error: tuple[type[httpx.TransportError], ...]
) -> None:
    """Each with its request."""
    call.emulator.fault(kind)
    async with opened(call.emulator, frontend) as client:
        with pytest.raises(error) as raised:
            await client.post(LISTS, content=NEW_LIST)
        assert raised.value.request.method == "POST"


@pytest.mark.anyio
@both_frontends
async def test_reset_during_sends_headers_and_half_the_body(call: Caller, frontend: str) -> None:
    """Then the connection is reset."""
    call.emulator.fault("reset_during")
    async with opened(call.emulator, frontend) as client, client.stream("GET", LISTS) as answer:
        assert answer.status_code == 200
        assert int(answer.headers["content-length"]) > 0
        with pytest.raises(RESET):
            await answer.aread()


def test_sync_client_sees_the_same_faults(call: Caller) -> None:
    """Late answers, broken connections and half bodies."""
    slept: list[float] = []
    transport = call.emulator.transport(sleep=slept.append)
    with httpx.Client(transport=transport, base_url="http://any/v5", headers=TOKEN) as client:
        call.emulator.fault("slow", seconds=3.0)
        assert client.get(LISTS).status_code == 200
        for kind in ("reset_before", "reset_during", "reset_after"):
            call.emulator.fault(kind)
            with pytest.raises(httpx.ReadError):
                client.get(LISTS)
        call.emulator.fault("slow", seconds=60.0)
        with pytest.raises(httpx.ReadTimeout):
            client.get(LISTS, timeout=5.0)
        call.emulator.fault("slow", seconds=60.0)
        assert client.get(LISTS, timeout=None).status_code == 200
    assert slept == [3.0, 5.0, 60.0]


@pytest.mark.anyio
@both_frontends
async def test_slow_answer_raises_read_timeout(call: Caller, frontend: str) -> None:
    """The request has been carried out."""
    call.emulator.fault("slow", seconds=20.0)
    only_reading = httpx.Timeout(None, read=SECONDS)  # a connection may take longer than that
    async with opened(call.emulator, frontend) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post(LISTS, content=NEW_LIST, timeout=only_reading)
        while not call.emulator.requests:  # the server may come to it later than the time-out
            await anyio.lowlevel.checkpoint()
        assert len((await client.get(LISTS)).json()["items"]) == 1


@pytest.mark.anyio
async def test_slow_answer_waits_with_the_given_sleep(
    new_emulator: Callable[..., Emulator],
) -> None:
    """In the same process the time may be virtual."""
    clock = SleepingClock()
    emulator = new_emulator(clock=clock.time)
    emulator.fault("slow", seconds=25.0)
    transport = emulator.transport(sleep=clock.sleep)
    async with AsyncClient("pina_test", transport=transport, clock=clock) as client:
        await client.customer_lists_create("549", name="Spring", records="a@example.com")
    assert clock.elapsed == 25.0


@pytest.mark.anyio
async def test_client_retries_through_transient_faults(
    new_emulator: Callable[..., Emulator],
) -> None:
    """Pagination completes, with every list once."""
    clock = SleepingClock()
    emulator = new_emulator(clock=clock.time)
    expected = emulator.seed_lists("549", 40)
    kinds: list[FaultKind] = ["html", "reset_after", "reset_during", "no_answer", "status"]
    for number, kind in enumerate(kinds):
        emulator.fault(kind, after=2 * number)
    emulator.fault("empty_page", after=1)
    emulator.fault("unknown_field", times=None)
    async with AsyncClient("token", transport=emulator.transport(), clock=clock) as client:
        walked = await client.customer_lists_list("549", page_size=4, order="ASCENDING").collect()
    assert [each.id for each in walked] == list(expected)
    struck = [entry.fault for entry in emulator.requests if entry.fault != "unknown_field"]
    assert sorted(filter(None, struck)) == sorted([*kinds, "empty_page"])


def test_create_without_answer_is_maybe_applied_and_not_repeated(
    call: Caller,
) -> None:
    """The list exists once, and the error says that it may."""
    call.emulator.fault("no_answer", operation="customer_lists_create")
    with Client("token", transport=call.emulator.transport()) as client:
        with pytest.raises(TransportError) as failed:
            client.customer_lists_create("549", name="Spring", records="a@example.com")
        lists: list[CustomerList] = list(client.customer_lists_list("549"))
    assert failed.value.maybe_applied
    assert [each.name for each in lists] == ["Spring"]


def test_server_error_after_success_is_maybe_applied(call: Caller) -> None:
    """A 500 does not prove that nothing was done."""
    call.emulator.fault("status", operation="customer_lists_create", applied=True)
    client = Client("token", transport=call.emulator.transport())
    with client, pytest.raises(ServerError) as failed:
        client.customer_lists_create("549", name="Spring", records="a@example.com")
    assert failed.value.maybe_applied


@pytest.mark.anyio
async def test_status_without_reason_phrase_can_be_served(call: Caller) -> None:
    """As proxies of some vendors send them."""
    call.emulator.fault("status", status=529)
    async with opened(call.emulator, "server") as client:
        assert (await client.get(LISTS)).status_code == 529
