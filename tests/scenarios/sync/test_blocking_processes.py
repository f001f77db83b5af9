"""The synchronous client at the end of a process, after fork(), and on Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from textwrap import dedent

import pytest
from support.programs import HANGS_AFTER_SECONDS

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="requires fork()")
needs_signals = pytest.mark.skipif(os.name != "posix", reason="requires POSIX signals")

PRELUDE = """
import gc, multiprocessing, os, sys, threading, time
from pinterest_audiences import Client, ClientClosedError, WrongEventLoopError
from pinterest_audiences.emulator import Emulator

emulator = Emulator(rate_limits=None)
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
    """Run a separate program, which must not hang; return its printed lines and stderr."""
    ran = subprocess.run(
        [sys.executable, "-P", *options, "-c", PRELUDE + dedent(code)],
        capture_output=True,
        text=True,
        timeout=HANGS_AFTER_SECONDS,
        check=False,
    )
    assert ran.returncode == exit_code, ran.stderr
    return ran.stdout.splitlines(), ran.stderr


QUIET = ("-W", "ignore::DeprecationWarning", "-W", "ignore::ResourceWarning")  # fork with threads
WARNING = "ResourceWarning: a Client was not closed; use it in a with block, or call its close()"


def test_open_client_does_not_block_exit_and_warns() -> None:
    """The exit code is 0, and the warning names what was not closed."""
    printed, stderr = script("client = new_client(); say(use(client))", "-W", "default")
    assert printed == ["x"]
    assert stderr.count(WARNING) == 1
    assert stderr.count("Warning") == 1  # no socket and no loop is left over
    assert script("client = new_client(); use(client)")[1] == ""  # as Python does by default


def test_open_client_in_a_call_does_not_block_exit() -> None:
    """A daemon thread of the program still waits for a response."""
    printed, stderr = script(
        """
        import asyncio, contextlib, httpx
        asked = threading.Event()

        class Hanging(httpx.AsyncBaseTransport):
            async def handle_async_request(self, request):
                asked.set()
                await asyncio.Event().wait()

        def call():
            # Python aborts if a daemon thread prints a traceback in the moment of shutdown.
            with contextlib.suppress(Exception):
                client.customer_lists_get(ACCOUNT, "1")

        client = Client("token", transport=Hanging())
        threading.Thread(target=call, daemon=True).start()
        asked.wait()
        say("leaving")
        """
    )
    assert printed == ["leaving"]
    assert "Fatal" not in stderr


@pytest.mark.parametrize("block", ["with new_client() as client:", "client = new_client()\nif 1:"])
def test_sys_exit_with_an_open_client_does_not_hang(block: str) -> None:
    """Inside a with block or not; the exit code is the program's."""
    script(f"{block}\n    use(client)\n    sys.exit(3)", exit_code=3)


@pytest.mark.parametrize("block", ["with new_client() as client:", "client = new_client()\nif 1:"])
def test_exception_with_an_open_client_does_not_hang(block: str) -> None:
    """The traceback is the program's."""
    _, stderr = script(f"{block}\n    use(client)\n    raise LookupError('mine')", exit_code=1)
    assert stderr.endswith("LookupError: mine\n")


@pytest.mark.parametrize("closing", ["", "client.close()"], ids=["left open", "closed"])
def test_sys_exit_in_a_token_function_ends_the_program(closing: str) -> None:
    """With its exit code."""
    printed, stderr = script(
        f"""
        exits = [7, 8]

        def token():
            if exits:
                sys.exit(exits.pop())
            return "token"

        client = Client(token, transport=emulator.transport())
        try:
            use(client)
        except SystemExit as error:
            say(error.code)
        try:
            use(client)
        finally:
            say(use(client))  # its loop goes on
            {closing or "pass"}
        """,
        exit_code=7,
    )
    assert (printed, stderr) == (["8", "x"], "")


def test_collected_client_ends_its_thread_with_warnings_as_errors() -> None:
    """The warning cannot be raised, and must not keep the thread running."""
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


def test_closed_client_causes_no_warning_in_development_mode() -> None:
    code = "with new_client() as client: say(use(client))"
    assert script(code, "-X", "dev", "-W", "error") == (["x"], "")


def test_thread_that_cannot_start_raises_an_explaining_error() -> None:
    """The event loop requires a file descriptor; a later call works."""
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
            "this client was used before fork(); create a new one in the child process",
            "5 x",
        ],
    ),
    "the child leaves a client open": (
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
def test_fork_leaves_the_parents_client_usable_and_the_child_an_error(
    code: str, wanted: list[str]
) -> None:
    """The child can create a client, and does not hang."""
    printed, stderr = script(code, *QUIET)
    assert printed == wanted
    assert stderr == ""


@needs_fork
def test_only_the_parent_warns_of_an_open_client() -> None:
    """The child has nothing to close."""
    code, _ = FORKS["the child leaves a client open"]
    _, stderr = script(code, "-W", "default", "-W", "ignore::DeprecationWarning")
    assert stderr.count(WARNING) == 1


class Server:
    """A server with one connection at a time, controlled by the test."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(HANGS_AFTER_SECONDS)
        self.port: int = self._listener.getsockname()[1]

    def request(self) -> tuple[socket.socket, bytes]:
        """Accept a connection and read the head of a request."""
        connection, _ = self._listener.accept()
        connection.settimeout(HANGS_AFTER_SECONDS)
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
    """The call raises KeyboardInterrupt, its connection is closed, the next call works."""
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
        printed, stderr = program.communicate(timeout=HANGS_AFTER_SECONDS)
        connection.close()
    finally:
        program.kill()
        program.wait()
    assert (printed, stderr, program.returncode) == ("interrupted\n643\n", "", 0)


@needs_signals
def test_uncaught_ctrl_c_ends_the_program(server: Server) -> None:
    """Without waiting for the response."""
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
        printed, stderr = program.communicate(timeout=HANGS_AFTER_SECONDS)
    finally:
        program.kill()
        program.wait()
    assert printed == ""
    assert stderr.splitlines()[-1] == "KeyboardInterrupt"
    assert program.returncode == -signal.SIGINT
