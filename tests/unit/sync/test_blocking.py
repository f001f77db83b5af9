"""The synchronous client: threads, event loops, closing, errors."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sqlite3
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

import httpx
import pytest
from support.programs import HANGS_AFTER_SECONDS

from pinterest_audiences import (
    Client,
    ClientClosedError,
    NotFoundError,
    RequestTimeoutError,
    TransportError,
    WrongEventLoopError,
)
from pinterest_audiences.emulator import Emulator

T = TypeVar("T")
Handler = Callable[[httpx.Request], httpx.Response]
ACCOUNT = "549755885175"
LIST = {"id": "643", "name": "Spring"}


def loop_threads() -> list[threading.Thread]:
    """Return the event-loop threads of synchronous clients."""
    return [thread for thread in threading.enumerate() if thread.name == "pinterest_audiences"]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    """Assert after each test that all loop threads have ended."""
    assert loop_threads() == []
    yield
    assert loop_threads() == []


def answering(handler: Handler) -> Client:
    """Create a client whose requests are answered by a function in its loop."""
    return Client("token", transport=httpx.MockTransport(handler), max_retries=0)


class Hanging(httpx.AsyncBaseTransport):
    """Never responds; sets events when it is called, cancelled and closed."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self.cancelled = threading.Semaphore(0)
        self.closed = threading.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.release()
        try:
            await asyncio.Event().wait()  # never ends
        finally:
            self.cancelled.release()
        raise AssertionError("unreachable")

    async def aclose(self) -> None:
        self.closed.set()


def outcome(call: Callable[[], T]) -> T | Exception:
    """Return the result of a call, or its exception."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is looked at
        return error


@pytest.mark.anyio
async def test_sync_client_works_inside_a_running_event_loop() -> None:
    """For example in a notebook."""
    with Client("token", transport=Emulator(rate_limits=None).transport()) as client:
        made = client.customer_lists_create(ACCOUNT, name="x", records="a")
        assert client.customer_lists_get(ACCOUNT, made.id) == made
        assert [each.id for each in client.customer_lists_list(ACCOUNT)] == [made.id]


def test_sixteen_threads_share_one_client_and_loop_thread() -> None:
    """Each gets its own responses."""
    emulator = Emulator(rate_limits=None)
    together = threading.Barrier(16, timeout=HANGS_AFTER_SECONDS)

    def work(number: int) -> list[str]:
        together.wait()
        made = client.customer_lists_create(ACCOUNT, name=f"List {number}", records=f"r{number}")
        for step in range(5):
            client.customer_lists_update(
                ACCOUNT, made.id, operation_type="ADD", records=f"r{number}.{step}"
            )
        assert client.customer_lists_get(ACCOUNT, made.id).num_batches == 6
        return [made.id, *(each.id for each in client.customer_lists_list(ACCOUNT, page_size=3))]

    with Client("token", transport=emulator.transport()) as client, ThreadPoolExecutor(16) as pool:
        found = list(pool.map(work, range(16)))
        assert len(loop_threads()) == 1
    ids = [made for made, *_ in found]
    assert len(set(ids)) == 16
    for number, (made, *seen) in enumerate(found):
        wanted = {f"r{number}", *(f"r{number}.{step}" for step in range(5))}
        assert emulator.members(made) == wanted
        assert made in seen
        assert len(set(seen)) == len(seen)


def test_loop_thread_starts_at_the_first_call_and_ends_at_close() -> None:
    """An unused client has no thread."""
    transport = Emulator(rate_limits=None).transport()
    with Client("token", transport=transport) as client, Client("token", transport=transport):
        pager = client.customer_lists_list(ACCOUNT)
        assert loop_threads() == []
        assert pager.collect() == []
        (thread,) = loop_threads()
        assert thread.daemon
        client.customer_lists_list(ACCOUNT).collect()
        assert loop_threads() == [thread]
        with Client("token", transport=transport) as third:
            third.customer_lists_list(ACCOUNT).collect()
            assert len(loop_threads()) == 2
        assert loop_threads() == [thread]
    assert not thread.is_alive()


def test_close_closes_the_transport_once_in_the_loop() -> None:
    closed: list[threading.Thread] = []

    class Closing(httpx.MockTransport):
        async def aclose(self) -> None:
            closed.append(threading.current_thread())

    with Client("token", transport=Closing(lambda _: httpx.Response(200, json=LIST))) as client:
        client.customer_lists_get(ACCOUNT, "643")
        threads = loop_threads()
        assert closed == []
    client.close()
    assert closed == threads


@pytest.mark.parametrize("used", [True, False], ids=["used", "never used"])
def test_closed_client_raises_and_starts_no_thread(used: bool) -> None:
    """A second close does nothing."""
    client = Client("token", transport=Emulator(rate_limits=None).transport())
    pager = client.customer_lists_list(ACCOUNT)
    if used:
        pager.collect()
    for _ in range(3):
        client.close()
    attempts: list[Callable[[], object]] = [
        lambda: client.customer_lists_create(ACCOUNT, name="x", records="a"),
        lambda: client.customer_lists_get(ACCOUNT, "1"),
        lambda: client.customer_lists_update(ACCOUNT, "1", operation_type="ADD", records="a"),
        lambda: list(pager),
        client.__enter__,
    ]
    for attempt in attempts:
        with pytest.raises(ClientClosedError, match="create a new one"):
            attempt()
    assert loop_threads() == []


def test_exception_in_the_with_block_closes_the_client() -> None:
    """The exception propagates."""
    client = Client("token", transport=Emulator(rate_limits=None).transport())

    def work() -> None:
        with client:
            client.customer_lists_list(ACCOUNT).collect()
            raise LookupError("the caller's")

    with pytest.raises(LookupError, match="the caller's"):
        work()
    with pytest.raises(ClientClosedError):
        client.customer_lists_get(ACCOUNT, "1")


def test_close_cancels_the_calls_of_other_threads() -> None:
    """They raise ClientClosedError."""
    transport = Hanging()
    client = Client("token", transport=transport)
    with ThreadPoolExecutor(4) as pool:
        calls = [
            pool.submit(outcome, lambda: client.customer_lists_get(ACCOUNT, "1")) for _ in range(4)
        ]
        for _ in calls:
            assert transport.asked.acquire(timeout=HANGS_AFTER_SECONDS)
        client.close()
        results = [call.result(HANGS_AFTER_SECONDS) for call in calls]
    assert [type(result) for result in results] == [ClientClosedError] * 4
    for _ in calls:
        assert transport.cancelled.acquire(timeout=0)
    assert transport.closed.is_set()


def test_call_cancelled_by_its_transport_raises_and_keeps_the_client_usable() -> None:

    class Cancelling(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith("/1"):
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
                await asyncio.sleep(0)
            return httpx.Response(200, json={"id": "2"})

    with Client("token", transport=Cancelling()) as client:
        with pytest.raises(CancelledError):
            client.customer_lists_get(ACCOUNT, "1")
        assert client.customer_lists_get(ACCOUNT, "2").id == "2"


def test_concurrent_close_calls_do_not_fail() -> None:
    for _ in range(20):
        client = Client("token", transport=Emulator(rate_limits=None).transport())
        client.customer_lists_list(ACCOUNT).collect()
        together = threading.Barrier(8, timeout=HANGS_AFTER_SECONDS)

        def close(client: Client = client, together: threading.Barrier = together) -> None:
            together.wait()
            client.close()

        with ThreadPoolExecutor(8) as pool:
            assert [call.result() for call in [pool.submit(close) for _ in range(8)]] == [None] * 8
        for thread in loop_threads():
            thread.join(HANGS_AFTER_SECONDS)


def test_calls_during_close_succeed_or_raise_client_closed_error() -> None:
    """None hangs or fails in another way."""
    emulator = Emulator(rate_limits=None)
    (only,) = emulator.seed_lists(ACCOUNT, 1)
    for _ in range(20):
        client = Client("token", transport=emulator.transport())
        together = threading.Barrier(5, timeout=HANGS_AFTER_SECONDS)

        def work(client: Client = client, together: threading.Barrier = together) -> list[object]:
            together.wait()
            return [outcome(lambda: client.customer_lists_get(ACCOUNT, only)) for _ in range(5)]

        with ThreadPoolExecutor(4) as pool:
            calls = [pool.submit(work) for _ in range(4)]
            together.wait()
            client.close()
            results = [result for call in calls for result in call.result(HANGS_AFTER_SECONDS)]
        wrong = [
            r for r in results if isinstance(r, Exception) and type(r) is not ClientClosedError
        ]
        assert wrong == []


@pytest.mark.parametrize(
    ("raised", "caught"),
    [
        (TimeoutError("of another origin"), TimeoutError),
        (LookupError("unheard of"), LookupError),
        (httpx.ReadTimeout("slow"), RequestTimeoutError),
        (httpx.ConnectError("refused"), TransportError),
    ],
    ids=lambda value: getattr(value, "__name__", repr(value)),
)
def test_exception_in_the_loop_propagates_to_the_caller(
    raised: Exception, caught: type[Exception]
) -> None:
    """Also a TimeoutError, which waiting for the thread could have raised itself."""

    def fail(_: httpx.Request) -> httpx.Response:
        raise raised

    with answering(fail) as client:
        for _ in range(2):  # and the client goes on
            with pytest.raises(caught, match=str(raised) if caught is type(raised) else None):
                client.customer_lists_get(ACCOUNT, "1")


def test_api_error_propagates_with_its_attributes() -> None:
    client = Client("token", transport=Emulator(rate_limits=None).transport())
    with client, pytest.raises(NotFoundError) as caught:
        client.customer_lists_get(ACCOUNT, "1")
    assert caught.value.operation == "customer_lists_get"


def test_call_from_the_clients_own_loop_is_refused() -> None:
    """It would deadlock."""

    def again(_: httpx.Request) -> httpx.Response:
        client.customer_lists_get(ACCOUNT, "1")
        raise AssertionError("unreachable")

    def close(_: httpx.Request) -> httpx.Response:
        client.close()
        raise AssertionError("unreachable")

    for handler in (again, close):
        with answering(handler) as client:
            for _ in range(2):
                with pytest.raises(WrongEventLoopError, match="would never return"):
                    client.customer_lists_get(ACCOUNT, "1")


def test_client_can_be_used_inside_the_loop_of_another_client() -> None:

    def ask_the_other(_: httpx.Request) -> httpx.Response:
        (found,) = inner.customer_lists_list(ACCOUNT)
        return httpx.Response(200, json={"id": found.id})

    emulator = Emulator(rate_limits=None)
    (only,) = emulator.seed_lists(ACCOUNT, 1)
    with (
        Client("token", transport=emulator.transport()) as inner,
        answering(ask_the_other) as outer,
    ):
        assert outer.customer_lists_get(ACCOUNT, "1").id == only


shop: contextvars.ContextVar[str] = contextvars.ContextVar("shop", default="none")


@pytest.mark.anyio
async def test_context_variables_of_the_caller_are_visible_in_each_call() -> None:
    """For logging and tracing."""
    seen: list[str] = []

    def look(_: httpx.Request) -> httpx.Response:
        seen.append(shop.get())
        shop.set("changed inside")
        return httpx.Response(200, json=LIST)

    with answering(look) as client:
        for name in ("Rome", "Oslo"):
            contextvars.copy_context().run(
                lambda name=name: (shop.set(name), client.customer_lists_get(ACCOUNT, "1"))  # type: ignore[misc]
            )
        client.customer_lists_get(ACCOUNT, "1")
    assert seen == ["Rome", "Oslo", "none"]
    assert shop.get() == "none"


def test_pager_switches_threads_once_per_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """A switch takes longer than an item."""
    emulator = Emulator(rate_limits=None)
    ids = emulator.seed_lists(ACCOUNT, 500)
    crossings: list[object] = []
    with Client("token", transport=emulator.transport()) as client:
        call = client._runner.call

        def counting(function: Callable[..., object], /, *args: object) -> object:
            crossings.append(function)
            return call(function, *args)  # type: ignore[arg-type]  # whatever it was given

        monkeypatch.setattr(client._runner, "call", counting)
        items = client.customer_lists_list(ACCOUNT, page_size=100, order="ASCENDING")
        assert [each.id for each in items] == list(ids)
        assert len(crossings) == len(emulator.requests) == 5
        assert len(items.collect(150)) == 150
        assert len(crossings) == len(emulator.requests) == 7


def test_records_are_read_in_the_calling_thread() -> None:
    """A generator may depend on its thread, like a cursor of sqlite3."""
    emulator = Emulator(rate_limits=None)
    client = Client("token", transport=emulator.transport())
    with client, closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE customer (email TEXT)")
        database.executemany("INSERT INTO customer VALUES (?)", [("a@b.co",), ("c@d.co",)])
        rows = database.execute("SELECT email FROM customer")
        made = client.customer_lists_create(ACCOUNT, name="x", records=(email for (email,) in rows))
        assert emulator.members(made.id) == {"a@b.co", "c@d.co"}
        rows = database.execute("SELECT email FROM customer WHERE email LIKE 'c%'")
        client.customer_lists_update(
            ACCOUNT, made.id, operation_type="REMOVE", records=(email for (email,) in rows)
        )
        assert emulator.members(made.id) == {"a@b.co"}


def test_record_generator_may_call_the_same_client() -> None:
    """It does not deadlock."""
    emulator = Emulator(rate_limits=None)
    (only,) = emulator.seed_lists(ACCOUNT, 1)
    with Client("token", transport=emulator.transport()) as client:
        names = (str(each.name) for each in client.customer_lists_list(ACCOUNT))
        client.customer_lists_update(
            ACCOUNT, only, operation_type="ADD", records=(name.replace(" ", "") for name in names)
        )
    assert emulator.members(only) == {"List1"}


def test_garbage_collected_client_warns_and_ends_its_thread() -> None:
    """A pager keeps its client alive."""
    emulator = Emulator(rate_limits=None)
    ids = emulator.seed_lists(ACCOUNT, 3)
    client = Client("token", transport=emulator.transport())
    walks = [iter(client.customer_lists_list(ACCOUNT, page_size=1, order="ASCENDING"))]
    assert next(walks[0]).id == ids[0]
    (thread,) = loop_threads()
    del client
    gc.collect()
    assert [each.id for each in walks[0]] == list(ids[1:])
    with pytest.warns(ResourceWarning, match="a Client was not closed; use it in a with block"):
        walks.clear()
    thread.join(HANGS_AFTER_SECONDS)
    assert not thread.is_alive()


def test_closed_or_unused_client_is_collected_without_warning() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Client("token", transport=Emulator(rate_limits=None).transport())
        with Client("token", transport=Emulator(rate_limits=None).transport()) as client:
            client.customer_lists_list(ACCOUNT).collect()
        del client
        gc.collect()
    assert caught == []


def test_client_can_be_collected_in_its_loop_thread() -> None:
    """The loop ends without waiting for itself."""
    loops: list[asyncio.AbstractEventLoop] = []

    def answer(_: httpx.Request) -> httpx.Response:
        loops.append(asyncio.get_running_loop())
        return httpx.Response(200, json=LIST)

    def collect_in_the_loop() -> None:
        loops[0].call_soon_threadsafe(gc.collect)
        thread.join(HANGS_AFTER_SECONDS)

    client = answering(answer)
    client.customer_lists_get(ACCOUNT, "1")
    (thread,) = loop_threads()
    circle: list[object] = [client]
    circle.append(circle)
    gc.disable()
    del client, circle
    try:
        with pytest.warns(ResourceWarning, match="a Client was not closed"):
            collect_in_the_loop()
    finally:
        gc.enable()
    assert not thread.is_alive()
