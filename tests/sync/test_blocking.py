"""What the blocking client promises: from any thread, in any situation, and clean to the end."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent
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

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork() here")
needs_signals = pytest.mark.skipif(os.name != "posix", reason="there are no POSIX signals here")


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


# --- in one process ---------------------------------------------------------------------------


@pytest.mark.anyio
async def test_it_works_inside_a_running_event_loop() -> None:
    """A notebook runs its cells in a loop; the client brings its own and does not mind."""
    with Client("token", transport=Emulator().transport()) as client:
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
    transport = Emulator().transport()
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
    """The client owns it, so it is closed with it, in the loop; even if no call was made."""
    used, unused = Hanging(), Hanging()
    with Client("token", transport=used, max_retries=0) as client:
        watcher = threading.Thread(target=lambda: (used.asked.acquire(), client.close()))
        watcher.start()
        with pytest.raises(ClientClosedError):
            client.customer_lists_get(ACCOUNT, "1")
        watcher.join(PATIENCE)
    assert used.closed.is_set()
    Client("token", transport=unused).close()
    assert loop_threads() == []


@pytest.mark.parametrize("used", [True, False], ids=["used", "never used"])
def test_a_closed_client_says_so(used: bool) -> None:
    """Every call does; closing again does nothing, and no thread starts anew."""
    client = Client("token", transport=Emulator().transport())
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
    with pytest.raises(LookupError), Client("token", transport=Emulator().transport()) as client:
        client.customer_lists_list(ACCOUNT).collect()
        raise LookupError
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


def test_many_threads_may_close_at_once() -> None:
    """Only one of them does it, and none of them fails."""
    for _ in range(20):
        client = Client("token", transport=Emulator().transport())
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
        wrong = [r for r in results if isinstance(r, Exception) and type(r) != ClientClosedError]
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
    with Client("token", transport=Emulator().transport()) as client:
        with pytest.raises(NotFoundError) as caught:
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

    emulator = Emulator()
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
    emulator = Emulator()
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
    emulator = Emulator()
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE customer (email TEXT)")
    database.executemany("INSERT INTO customer VALUES (?)", [("a@b.co",), ("c@d.co",)])
    with Client("token", transport=emulator.transport()) as client:
        rows = database.execute("SELECT email FROM customer")
        made = client.customer_lists_create(ACCOUNT, name="x", records=(email for (email,) in rows))
        assert emulator.members(made.id) == {"a@b.co", "c@d.co"}
        rows = database.execute("SELECT email FROM customer WHERE email LIKE 'c%'")
        client.customer_lists_update(
            ACCOUNT, made.id, operation_type="REMOVE", records=(email for (email,) in rows)
        )
        assert emulator.members(made.id) == {"a@b.co"}
    database.close()


def test_a_record_may_be_found_by_asking_the_client() -> None:
    """A generator of records that uses the same client does not wait for itself."""
    emulator = Emulator()
    (only,) = emulator.seed_lists(ACCOUNT, 1)
    with Client("token", transport=emulator.transport()) as client:
        names = (str(each.name) for each in client.customer_lists_list(ACCOUNT))
        client.customer_lists_update(
            ACCOUNT, only, operation_type="ADD", records=(name.replace(" ", "") for name in names)
        )
    assert emulator.members(only) == {"List1"}


def test_a_collected_client_ends_its_thread() -> None:
    """With a warning that says how to do better; a pager keeps its client alive."""
    transport = Hanging()
    emulator = Emulator()
    ids = emulator.seed_lists(ACCOUNT, 3)
    client = Client("token", transport=emulator.transport())
    items = iter(client.customer_lists_list(ACCOUNT, page_size=1, order="ASCENDING"))
    assert next(items).id == ids[0]
    (thread,) = loop_threads()
    del client
    gc.collect()
    assert [each.id for each in items] == list(ids[1:])
    with pytest.warns(ResourceWarning, match="a Client was not closed; use it in a with block"):
        del items
        gc.collect()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert not transport.closed.is_set()


def test_a_client_that_was_closed_or_never_used_is_collected_in_silence() -> None:
    """There is nothing to warn of."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        Client("token", transport=Emulator().transport())
        with Client("token", transport=Emulator().transport()) as client:
            client.customer_lists_list(ACCOUNT).collect()
        del client
        gc.collect()
    assert told == []


class Collecting(httpx.AsyncBaseTransport):
    """Answers, and collects garbage in the loop's thread when told to."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.loop = asyncio.get_running_loop()
        return httpx.Response(200, json=LIST)


def test_a_client_may_be_collected_in_its_own_thread() -> None:
    """Garbage is collected in any thread; the loop ends itself without waiting for itself."""
    transport = Collecting()
    client = Client("token", transport=transport)
    client.customer_lists_get(ACCOUNT, "1")
    (thread,) = loop_threads()
    circle: list[object] = [client]
    circle.append(circle)
    gc.disable()
    try:
        with pytest.warns(ResourceWarning, match="a Client was not closed"):
            del client, circle
            transport.loop.call_soon_threadsafe(gc.collect)
            thread.join(PATIENCE)
    finally:
        gc.enable()
    assert not thread.is_alive()


# --- in a process of its own --------------------------------------------------------------------

PRELUDE = """
import gc, multiprocessing, os, sys, threading, time
from pinterest_audiences import Client, ClientClosedError, WrongEventLoopError
from pinterest_audiences.emulator import Emulator

emulator = Emulator()
ACCOUNT = "549755885175"

def new_client():
    return Client("token", transport=emulator.transport())

def use(client):
    return client.customer_lists_create(ACCOUNT, name="x", records="a").name

def threads():
    return sum(thread.name == "pinterest_audiences" for thread in threading.enumerate())

def child_exit_code(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def say(*words):
    print(*words, flush=True)
"""


def script(code: str, *options: str, exit_code: int = 0) -> tuple[list[str], str]:
    """Run a program of its own, which must not hang; return the lines it printed, and stderr."""
    ran = subprocess.run(
        [sys.executable, "-P", *options, "-c", PRELUDE + dedent(code)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ran.returncode == exit_code, ran.stderr
    return ran.stdout.splitlines(), ran.stderr


QUIET = ("-W", "ignore::DeprecationWarning", "-W", "ignore::ResourceWarning")  # fork with threads
WARNING = "ResourceWarning: a Client was not closed; use it in a with block, or call its close()"


def test_a_client_left_open_does_not_hang_the_interpreter() -> None:
    """The program ends by itself, with exit code 0, and says what was forgotten."""
    printed, told = script("client = new_client(); say(use(client))", "-W", "default")
    assert printed == ["x"]
    assert told.count(WARNING) == 1
    assert told.count("Warning") == 1  # no socket and no loop is left over
    assert script("client = new_client(); use(client)")[1] == ""  # as Python does by default


def test_a_client_left_open_during_a_call_does_not_hang_the_interpreter() -> None:
    """A daemon thread of the caller's may still wait for an answer."""
    printed, told = script(
        """
        import asyncio, httpx
        asked = threading.Event()

        class Hanging(httpx.AsyncBaseTransport):
            async def handle_async_request(self, request):
                asked.set()
                await asyncio.Event().wait()

        client = Client("token", transport=Hanging())
        threading.Thread(target=client.customer_lists_get, args=(ACCOUNT, "1"), daemon=True).start()
        asked.wait()
        say("leaving")
        """
    )
    assert printed == ["leaving"]
    assert "Fatal" not in told


@pytest.mark.parametrize("block", ["with new_client() as client:", "client = new_client()\nif 1:"])
def test_a_client_left_by_sys_exit_does_not_hang(block: str) -> None:
    """Inside a with block or not: the exit code is the program's."""
    script(f"{block}\n    use(client)\n    sys.exit(3)", exit_code=3)


@pytest.mark.parametrize("block", ["with new_client() as client:", "client = new_client()\nif 1:"])
def test_a_client_left_by_an_exception_does_not_hang(block: str) -> None:
    """The traceback is the program's own."""
    _, told = script(f"{block}\n    use(client)\n    raise LookupError('mine')", exit_code=1)
    assert told.endswith("LookupError: mine\n")


@pytest.mark.parametrize("closing", ["", "client.close()"], ids=["left open", "closed"])
def test_an_exit_from_inside_arrives_outside(closing: str) -> None:
    """A token function may give up with sys.exit(): the program ends with its code."""
    _, told = script(
        f"""
        def no_token():
            sys.exit(7)

        client = Client(no_token, transport=emulator.transport())
        try:
            use(client)
        finally:
            {closing or "pass"}
        """,
        exit_code=7,
    )
    assert told == ""


def test_a_collected_client_ends_its_thread_where_warnings_are_errors() -> None:
    """The warning cannot be raised, and must not keep the thread from its end."""
    printed, _ = script(
        """
        client = new_client()
        use(client)
        (thread,) = [t for t in threading.enumerate() if t.name == "pinterest_audiences"]
        del client
        gc.collect()
        thread.join(5)
        say(thread.is_alive())
        """,
        "-W",
        "error",
    )
    assert printed == ["False"]


def test_a_closed_client_leaves_nothing_for_the_interpreter_to_complain_of() -> None:
    """In Python's development mode every warning is shown: there is none."""
    code = "with new_client() as client: say(use(client))"
    assert script(code, "-X", "dev", "-W", "error") == (["x"], "")


def test_a_thread_that_cannot_start_says_why() -> None:
    """Without a file descriptor there is no event loop; the call fails, a later one works."""
    pytest.importorskip("resource")
    printed, _ = script(
        """
        import resource
        import anyio._backends._asyncio
        client = new_client()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        free = os.open(os.devnull, os.O_RDONLY)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
        os.close(free)
        try:
            use(client)
        except OSError as error:
            say(type(error).__name__, error.errno)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        say(use(client))
        client.close()
        """
    )
    assert printed == ["OSError 24", "x"]


FORKS = {
    "the child calls the old client and leaves by sys.exit": (
        """
        client = new_client()
        use(client)
        pid = os.fork()
        if pid == 0:
            try:
                use(client)
            except WrongEventLoopError as error:
                say(error)
            sys.exit(5)
        say(child_exit_code(pid), use(client))
        client.close()
        """,
        [
            "this client was used before fork(); make a new one in the child process",
            "5 x",
        ],
    ),
    "the child leaves a client that nobody closed": (
        """
        client = new_client()
        use(client)
        pid = os.fork()
        if pid == 0:
            sys.exit(5)
        say(child_exit_code(pid), use(client))
        """,
        ["5 x"],
    ),
    "the child makes a new client": (
        """
        with new_client() as client:
            use(client)
            pid = os.fork()
            if pid == 0:
                with new_client() as mine:
                    say(use(mine), threads())
                os._exit(5)
            say(child_exit_code(pid), use(client))
        """,
        ["x 1", "5 x"],
    ),
    "the client is first used after the fork": (
        """
        client = new_client()
        pid = os.fork()
        if pid == 0:
            use(client)
            running = threads()
            client.close()
            sys.exit(5 + running + threads())
        say(child_exit_code(pid), use(client), threads())
        client.close()
        """,
        ["6 x 1"],
    ),
    "the child closes the old client": (
        """
        client = new_client()
        use(client)
        pid = os.fork()
        if pid == 0:
            try:
                client.close()
            except WrongEventLoopError:
                say("refused")
            sys.exit(5)
        say(child_exit_code(pid), use(client))
        client.close()
        """,
        ["refused", "5 x"],
    ),
    "a client that was closed before stays closed": (
        """
        client = new_client()
        use(client)
        client.close()
        pid = os.fork()
        if pid == 0:
            client.close()
            try:
                use(client)
            except ClientClosedError:
                sys.exit(5)
        say(child_exit_code(pid))
        """,
        ["5"],
    ),
    "multiprocessing forks": (
        """
        context = multiprocessing.get_context("fork")
        client = new_client()
        use(client)

        def work(queue):
            try:
                use(client)
            except WrongEventLoopError:
                with new_client() as mine:
                    queue.put(use(mine))

        queue = context.SimpleQueue()
        process = context.Process(target=work, args=(queue,))
        process.start()
        say(queue.get())
        process.join()
        say(process.exitcode, use(client))
        client.close()
        """,
        ["x", "0 x"],
    ),
}


@needs_fork
@pytest.mark.parametrize(("code", "wanted"), FORKS.values(), ids=FORKS)
def test_fork(code: str, wanted: list[str]) -> None:
    """The parent's client goes on; the child is told, may make its own, and does not hang."""
    printed, told = script(code, *QUIET)
    assert printed == wanted
    assert told == ""


@needs_fork
def test_only_the_parent_warns_of_a_client_left_open() -> None:
    """It is the parent's client; the child has nothing to close."""
    code, _ = FORKS["the child leaves a client that nobody closed"]
    _, told = script(code, "-W", "default", "-W", "ignore::DeprecationWarning")
    assert told.count(WARNING) == 1


class Server:
    """A server with one connection at a time, in the hands of the test."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE)
        self.port: int = self._listener.getsockname()[1]

    def request(self) -> tuple[socket.socket, bytes]:
        """Take a connection and read the head of a request."""
        connection, _ = self._listener.accept()
        connection.settimeout(PATIENCE)
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65536)
        return connection, head

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


INTERRUPTED = """
import sys
from pinterest_audiences import Client, ClientClosedError

with Client("token", base_url=f"http://127.0.0.1:{sys.argv[1]}/v5") as client:
    try:
        client.customer_lists_get("549", "1")
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    print(client.customer_lists_get("549", "643").id, flush=True)
"""


def _answer(connection: socket.socket) -> None:
    body = b'{"id": "643"}'
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    connection.sendall(head % len(body) + body)


@needs_signals
def test_ctrl_c_cancels_the_request_and_leaves_the_client_usable(server: Server) -> None:
    """KeyboardInterrupt comes out of the call, the connection is given up, the next call works."""
    program = subprocess.Popen(
        [sys.executable, "-P", "-X", "dev", "-c", INTERRUPTED, str(server.port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        hanging, head = server.request()
        assert head.startswith(b"GET /v5/ad_accounts/549/customer_lists/1 ")
        program.send_signal(signal.SIGINT)
        assert hanging.recv(1) == b""  # the other side has hung up, and does not wait for us
        hanging.close()
        connection, head = server.request()
        assert head.startswith(b"GET /v5/ad_accounts/549/customer_lists/643 ")
        _answer(connection)
        printed, told = program.communicate(timeout=PATIENCE)
        connection.close()
    finally:
        program.kill()
        program.wait()
    assert (printed, told, program.returncode) == ("interrupted\n643\n", "", 0)


@needs_signals
def test_ctrl_c_that_nobody_catches_ends_the_program(server: Server) -> None:
    """As of any program, without waiting for the answer."""
    code = INTERRUPTED.replace("except KeyboardInterrupt", "except LookupError")
    program = subprocess.Popen(
        [sys.executable, "-P", "-c", code, str(server.port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        hanging, _ = server.request()
        program.send_signal(signal.SIGINT)
        assert hanging.recv(1) == b""
        hanging.close()
        printed, told = program.communicate(timeout=PATIENCE)
    finally:
        program.kill()
        program.wait()
    assert printed == ""
    assert told.splitlines()[-1] == "KeyboardInterrupt"
    assert program.returncode == -signal.SIGINT
