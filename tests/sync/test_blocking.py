"""What the blocking client promises: from any thread and any event loop, and clean to the end."""

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
PATIENCE = 30.0  # seconds until what should have ended counts as hanging


def loop_threads() -> list[threading.Thread]:
    """The event-loop threads of blocking clients."""
    return [thread for thread in threading.enumerate() if thread.name == "pinterest_audiences"]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    """After every test all loop threads have ended."""
    assert loop_threads() == []
    yield
    assert loop_threads() == []


def answering(handler: Handler) -> Client:
    """Make a client whose requests are answered by a function in its loop."""
    return Client("token", transport=httpx.MockTransport(handler), max_retries=0)


class Hanging(httpx.AsyncBaseTransport):
    """Never answers; tells when it was asked, when it was cancelled and when it was closed."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self.cancelled = threading.Semaphore(0)
        self.closed = threading.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.release()
        try:
            await asyncio.Event().wait()  # for ever
        finally:
            self.cancelled.release()
        raise AssertionError("unreachable")

    async def aclose(self) -> None:
        self.closed.set()


def outcome(call: Callable[[], T]) -> T | Exception:
    """Return what a call returns, or the exception it raises."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is looked at
        return error


@pytest.mark.anyio
async def test_it_works_inside_a_running_event_loop() -> None:
    """A notebook runs its cells in a loop; the client brings its own and does not mind."""
    with Client("token", transport=Emulator(rate_limits=None).transport()) as client:
        made = client.customer_lists_create(ACCOUNT, name="x", records="a")
        assert client.customer_lists_get(ACCOUNT, made.id) == made
        assert [each.id for each in client.customer_lists_list(ACCOUNT)] == [made.id]


def test_many_threads_share_a_client() -> None:
    """Sixteen threads at once: each gets its own answers, over one loop thread."""
    emulator = Emulator(rate_limits=None)
    together = threading.Barrier(16, timeout=PATIENCE)

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


def test_the_thread_starts_with_the_first_call_and_ends_with_close() -> None:
    """A client that is only made costs no thread; each used one has its own."""
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


def test_close_closes_the_transport() -> None:
    """The client owns it, so it is closed with it, in the loop, and only once."""
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
def test_a_closed_client_says_so(used: bool) -> None:
    """Every call does; closing again does nothing, and no thread starts anew."""
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
        with pytest.raises(ClientClosedError, match="make a new one"):
            attempt()
    assert loop_threads() == []


def test_leaving_the_block_by_an_exception_closes() -> None:
    """The exception is the caller's, and nothing is left behind."""
    client = Client("token", transport=Emulator(rate_limits=None).transport())

    def work() -> None:
        with client:
            client.customer_lists_list(ACCOUNT).collect()
            raise LookupError("the caller's")

    with pytest.raises(LookupError, match="the caller's"):
        work()
    with pytest.raises(ClientClosedError):
        client.customer_lists_get(ACCOUNT, "1")


def test_closing_ends_the_calls_of_other_threads() -> None:
    """Who waits learns that the client was closed; the requests are cancelled first."""
    transport = Hanging()
    client = Client("token", transport=transport)
    with ThreadPoolExecutor(4) as pool:
        calls = [
            pool.submit(outcome, lambda: client.customer_lists_get(ACCOUNT, "1")) for _ in range(4)
        ]
        for _ in calls:
            assert transport.asked.acquire(timeout=PATIENCE)
        client.close()
        results = [call.result(PATIENCE) for call in calls]
    assert [type(result) for result in results] == [ClientClosedError] * 4
    for _ in calls:
        assert transport.cancelled.acquire(timeout=0)
    assert transport.closed.is_set()


def test_a_call_that_cancels_itself_comes_out_as_cancelled() -> None:
    """As a transport may; the client is open, and stays usable."""

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


def test_many_threads_may_close_at_once() -> None:
    """Only one of them does it, and none of them fails."""
    for _ in range(20):
        client = Client("token", transport=Emulator(rate_limits=None).transport())
        client.customer_lists_list(ACCOUNT).collect()
        together = threading.Barrier(8, timeout=PATIENCE)

        def close(client: Client = client, together: threading.Barrier = together) -> None:
            together.wait()
            client.close()

        with ThreadPoolExecutor(8) as pool:
            assert [call.result() for call in [pool.submit(close) for _ in range(8)]] == [None] * 8
        for thread in loop_threads():
            thread.join(PATIENCE)


def test_calls_that_race_with_close_succeed_or_say_closed() -> None:
    """A call is either made or refused; none hangs, and none fails in another way."""
    emulator = Emulator(rate_limits=None)
    (only,) = emulator.seed_lists(ACCOUNT, 1)
    for _ in range(20):
        client = Client("token", transport=emulator.transport())
        together = threading.Barrier(5, timeout=PATIENCE)

        def work(client: Client = client, together: threading.Barrier = together) -> list[object]:
            together.wait()
            return [outcome(lambda: client.customer_lists_get(ACCOUNT, only)) for _ in range(5)]

        with ThreadPoolExecutor(4) as pool:
            calls = [pool.submit(work) for _ in range(4)]
            together.wait()
            client.close()
            results = [result for call in calls for result in call.result(PATIENCE)]
        wrong = [
            r for r in results if isinstance(r, Exception) and type(r) is not ClientClosedError
        ]
        assert wrong == []


@pytest.mark.parametrize(
    ("raised", "caught"),
    [
        (TimeoutError("of somebody else's"), TimeoutError),
        (LookupError("unheard of"), LookupError),
        (httpx.ReadTimeout("slow"), RequestTimeoutError),
        (httpx.ConnectError("refused"), TransportError),
    ],
    ids=lambda value: getattr(value, "__name__", repr(value)),
)
def test_an_exception_from_inside_arrives_outside(
    raised: Exception, caught: type[Exception]
) -> None:
    """A TimeoutError too, which waiting for the thread could have raised itself."""

    def fail(_: httpx.Request) -> httpx.Response:
        raise raised

    with answering(fail) as client:
        for _ in range(2):  # and the client goes on
            with pytest.raises(caught, match=str(raised) if caught is type(raised) else None):
                client.customer_lists_get(ACCOUNT, "1")


def test_errors_of_the_api_arrive_outside() -> None:
    """With everything that they carry."""
    client = Client("token", transport=Emulator(rate_limits=None).transport())
    with client, pytest.raises(NotFoundError) as caught:
        client.customer_lists_get(ACCOUNT, "1")
    assert caught.value.operation == "customer_lists_get"


def test_a_call_from_the_clients_own_loop_is_refused() -> None:
    """It would wait for itself for ever, so it says so instead."""

    def again(_: httpx.Request) -> httpx.Response:
        client.customer_lists_get(ACCOUNT, "1")
        raise AssertionError("unreachable")

    def close(_: httpx.Request) -> httpx.Response:
        client.close()
        raise AssertionError("unreachable")

    for handler in (again, close):
        with answering(handler) as client:
            for _ in range(2):
                with pytest.raises(WrongEventLoopError, match="would wait for itself"):
                    client.customer_lists_get(ACCOUNT, "1")


def test_a_client_may_be_used_inside_another_clients_loop() -> None:
    """Only its own loop is closed to it."""

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
async def test_context_variables_of_the_caller_are_visible() -> None:
    """What logs and traces hang on to is that of the calling thread, call by call."""
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


def test_a_pager_crosses_the_thread_once_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once an item: a crossing costs more than an item."""
    emulator = Emulator(rate_limits=None)
    ids = emulator.seed_lists(ACCOUNT, 500)
    crossings: list[object] = []
    with Client("token", transport=emulator.transport()) as client:
        call = client._portal.call

        def counting(function: Callable[..., object], /, *args: object) -> object:
            crossings.append(function)
            return call(function, *args)  # type: ignore[arg-type]  # whatever it was given

        monkeypatch.setattr(client._portal, "call", counting)
        items = client.customer_lists_list(ACCOUNT, page_size=100, order="ASCENDING")
        assert [each.id for each in items] == list(ids)
        assert len(crossings) == len(emulator.requests) == 5
        assert len(items.collect(150)) == 150
        assert len(crossings) == len(emulator.requests) == 7


def test_records_are_read_in_the_calling_thread() -> None:
    """A generator may hang on to its thread, as a cursor of sqlite3 does."""
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


def test_a_record_may_be_found_by_asking_the_client() -> None:
    """A generator of records that uses the same client does not wait for itself."""
    emulator = Emulator(rate_limits=None)
    (only,) = emulator.seed_lists(ACCOUNT, 1)
    with Client("token", transport=emulator.transport()) as client:
        names = (str(each.name) for each in client.customer_lists_list(ACCOUNT))
        client.customer_lists_update(
            ACCOUNT, only, operation_type="ADD", records=(name.replace(" ", "") for name in names)
        )
    assert emulator.members(only) == {"List1"}


def test_a_collected_client_ends_its_thread() -> None:
    """With a warning that says how to do better; a pager keeps its client alive."""
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
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_client_that_was_closed_or_never_used_is_collected_in_silence() -> None:
    """There is nothing to warn of."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        Client("token", transport=Emulator(rate_limits=None).transport())
        with Client("token", transport=Emulator(rate_limits=None).transport()) as client:
            client.customer_lists_list(ACCOUNT).collect()
        del client
        gc.collect()
    assert told == []


def test_a_client_may_be_collected_in_its_own_thread() -> None:
    """Garbage is collected in any thread; the loop ends itself without waiting for itself."""
    loops: list[asyncio.AbstractEventLoop] = []

    def answer(_: httpx.Request) -> httpx.Response:
        loops.append(asyncio.get_running_loop())
        return httpx.Response(200, json=LIST)

    def collect_in_the_loop() -> None:
        loops[0].call_soon_threadsafe(gc.collect)
        thread.join(PATIENCE)

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
