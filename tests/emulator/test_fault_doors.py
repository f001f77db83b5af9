"""Faults at both doors: what a client of httpx, and ours, comes to see."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, get_args

import httpx
import pytest
from support.clock import FakeClock as SleepingClock

from pinterest_audiences import AsyncClient, Client, CustomerList, ServerError, TransportError
from pinterest_audiences.emulator import Emulator, FaultKind
from pinterest_audiences.emulator.server import serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from emulator.conftest import Caller

TOKEN = {"Authorization": "Bearer pina_test"}
LISTS = "/ad_accounts/549/customer_lists"
NEW_LIST = b'{"name": "Spring", "records": "a@example.com"}'
SECONDS = 0.01

# A reset is an error of reading; older versions take it for an early end, on asyncio.
RESET = (httpx.ReadError, httpx.RemoteProtocolError)

both_doors = pytest.mark.parametrize("door", ["transport", "server"])


@asynccontextmanager
async def opened(emulator: Emulator, door: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of httpx at one of the doors."""
    async with AsyncExitStack() as closing:
        transport, base_url = None, "http://any.host/v5"
        if door == "server":
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
async def test_a_fault_is_the_same_at_both_doors(
    new_emulator: Callable[..., Emulator], kind: FaultKind
) -> None:
    """The same answer, or the same error of httpx; and the next request is served again."""
    outcomes: list[list[object]] = []
    for door in ("transport", "server"):
        emulator = new_emulator()
        emulator.seed_lists("549", 3)
        async with opened(emulator, door) as client:
            bookmark = (await client.get(LISTS + "?page_size=1")).json()["bookmark"]
            query = "?" + str(httpx.QueryParams({"page_size": 1, "bookmark": bookmark}))
            emulator.fault(kind, seconds=SECONDS)
            outcomes.append([await outcome(client, query) for _ in range(2)])
    assert outcomes[0] == outcomes[1]
    assert isinstance(outcomes[0][1], tuple)
    assert outcomes[0][1][0] == 200


@pytest.mark.anyio
@both_doors
@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("reset_before", RESET),
        ("reset_during", RESET),
        ("reset_after", RESET),
        ("no_answer", httpx.RemoteProtocolError),
    ],
)
async def test_a_broken_connection_is_the_error_that_httpx_has_for_it(
    call: Caller, door: str, kind: FaultKind, error: tuple[type[httpx.TransportError], ...]
) -> None:
    """Each with the request it belongs to."""
    call.emulator.fault(kind)
    async with opened(call.emulator, door) as client:
        with pytest.raises(error) as raised:
            await client.post(LISTS, content=NEW_LIST)
        assert raised.value.request.method == "POST"


@pytest.mark.anyio
@both_doors
async def test_a_reset_during_the_answer_lets_its_head_and_some_bytes_through(
    call: Caller, door: str
) -> None:
    """Status and headers have come; the body breaks off."""
    call.emulator.fault("reset_during")
    async with opened(call.emulator, door) as client, client.stream("GET", LISTS) as answer:
        assert answer.status_code == 200
        assert int(answer.headers["content-length"]) > 0
        with pytest.raises(RESET):
            await answer.aread()


def test_a_blocking_client_sees_the_same(call: Caller) -> None:
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
@both_doors
async def test_an_answer_later_than_the_read_timeout_is_a_read_timeout(
    call: Caller, door: str
) -> None:
    """The request was carried out all the same."""
    call.emulator.fault("slow", seconds=20.0)
    async with opened(call.emulator, door) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post(LISTS, content=NEW_LIST, timeout=SECONDS)
        assert len((await client.get(LISTS)).json()["items"]) == 1


@pytest.mark.anyio
async def test_a_slow_answer_takes_the_time_of_the_doors_clock(
    new_emulator: Callable[..., Emulator],
) -> None:
    """In process that clock may be a virtual one."""
    clock = SleepingClock()
    emulator = new_emulator(clock=clock.time)
    emulator.fault("slow", seconds=25.0)
    transport = emulator.transport(sleep=clock.sleep)
    async with AsyncClient("pina_test", transport=transport, clock=clock) as client:
        await client.customer_lists_create("549", name="Spring", records="a@example.com")
    assert clock.elapsed == 25.0


@pytest.mark.anyio
async def test_our_client_lives_through_faults_that_may_be_repeated(
    new_emulator: Callable[..., Emulator],
) -> None:
    """A walk comes to its end, with every list once, over everything that passes."""
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


def test_a_create_without_an_answer_is_told_as_maybe_applied_and_not_repeated(
    call: Caller,
) -> None:
    """The list is there once, and the caller knows that it may be."""
    call.emulator.fault("no_answer", operation="customer_lists_create")
    with Client("token", transport=call.emulator.transport()) as client:
        with pytest.raises(TransportError) as failed:
            client.customer_lists_create("549", name="Spring", records="a@example.com")
        lists: list[CustomerList] = list(client.customer_lists_list("549"))
    assert failed.value.maybe_applied
    assert [each.name for each in lists] == ["Spring"]


def test_a_server_error_that_hides_success_is_told_as_maybe_applied(call: Caller) -> None:
    """A 500 is no proof that nothing was done."""
    call.emulator.fault("status", operation="customer_lists_create", applied=True)
    client = Client("token", transport=call.emulator.transport())
    with client, pytest.raises(ServerError) as failed:
        client.customer_lists_create("549", name="Spring", records="a@example.com")
    assert failed.value.maybe_applied


@pytest.mark.anyio
async def test_a_status_without_a_name_can_be_served(call: Caller) -> None:
    """As proxies of some vendors send them."""
    call.emulator.fault("status", status=529)
    async with opened(call.emulator, "server") as client:
        assert (await client.get(LISTS)).status_code == 529
