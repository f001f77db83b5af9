"""The synchronous client during interpreter shutdown, and with replaced or missing threads."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest
from support.programs import HANGS_AFTER_SECONDS

from pinterest_audiences import ConfigurationError, RefreshingToken
from pinterest_audiences._credentials import AppCredentials
from pinterest_audiences.pytest_plugin import PinterestServer

PRELUDE = """
import atexit, gc, os, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from pinterest_audiences import *

BASE_URL = sys.argv[1]
ACCOUNT = "549755885175"

def new_client(token="token"):
    return Client(token, base_url=BASE_URL)

def lists(client):
    return client.customer_lists_list(ACCOUNT).collect()

def say(*words):
    print(*words, flush=True)

def wait_for_main():
    threading.main_thread().join()
    time.sleep(0.2)  # the interpreter is waiting for this thread now
"""


def run(server: PinterestServer, code: str) -> tuple[list[str], str]:
    """Run a program that reaches the emulator by a host name; return its lines and stderr."""
    base_url = server.base_url.replace("127.0.0.1", "localhost")
    ran = subprocess.run(
        [sys.executable, "-P", "-c", PRELUDE + dedent(code), base_url],
        capture_output=True,
        text=True,
        timeout=HANGS_AFTER_SECONDS,
        check=False,
    )
    return ran.stdout.splitlines(), ran.stderr


PROGRAMS = {
    "first call in a thread that outlives the main thread": """
        def work():
            wait_for_main()
            with new_client() as client:
                say(lists(client))

        threading.Thread(target=work).start()
        """,
    "later call in a thread that outlives the main thread": """
        client = new_client()
        client.check = lists(client)

        def work():
            wait_for_main()
            say(lists(client))
            client.close()

        threading.Thread(target=work).start()
        """,
    "call in a pool that outlives the main thread": """
        import concurrent.futures.thread as pools

        def work():
            while not pools._shutdown:  # set when the main thread has ended
                time.sleep(0.01)
            with new_client() as client:
                say(lists(client))

        ThreadPoolExecutor().submit(work)
        """,
    "atexit handler, client used before": """
        client = new_client()
        lists(client)
        atexit.register(lambda: say(lists(client)))
        """,
    "atexit handler, first call": """
        client = new_client()

        @atexit.register
        def report():
            say(lists(client))
            client.close()
        """,
    "client made in an atexit handler and left open": """
        @atexit.register
        def report():
            client = new_client()
            say(lists(client))
        """,
    "nested pages and threads in a thread that outlives the main thread": """
        def work():
            wait_for_main()
            with new_client() as client:
                found = []
                for _ in range(3):
                    thread = threading.Thread(target=lambda: found.append(lists(client)))
                    try:
                        thread.start()
                        thread.join()
                    except RuntimeError:  # CPython 3.12.0 and 3.12.1 start no thread now
                        found.append(lists(client))
                say([] if found == [[], [], []] else found)

        threading.Thread(target=work).start()
        """,
}


@pytest.mark.parametrize("code", PROGRAMS.values(), ids=PROGRAMS)
def test_sync_client_works_during_interpreter_shutdown(
    pinterest_server: PinterestServer, code: str
) -> None:
    """Names are resolved and calls complete after the end of the main thread."""
    printed, errors = run(pinterest_server, code)
    assert printed == ["[]"], errors
    assert errors == ""


def test_job_runs_in_a_thread_that_outlives_the_main_thread(
    pinterest_server: PinterestServer, tmp_path: object
) -> None:
    """Reading and writing the state file requires worker threads, too."""
    printed, errors = run(
        pinterest_server,
        f"""
        def work():
            wait_for_main()
            with new_client() as client:
                report = client.upload(
                    ACCOUNT, ["ann@shop.de"], name="Late", state={str(tmp_path) + "/s.db"!r}
                )
                say(report.added)

        threading.Thread(target=work).start()
        """,
    )
    assert printed == ["1"], errors
    assert errors == ""


@pytest.mark.pinterest_emulator(
    apps={"1234567": "the-secret"}, access_tokens=["old"], refresh_tokens=["pinr.first"]
)
@pytest.mark.parametrize("threads", [True, False], ids=["threads", "no threads"])
def test_token_is_refreshed_in_a_thread_that_outlives_the_main_thread(
    pinterest_server: PinterestServer, threads: bool
) -> None:
    """A refresh runs in a separate event loop; if no thread starts, in the caller's thread."""
    printed, errors = run(
        pinterest_server,
        f"""
        def refuse(_):  # as CPython 3.12.0 and 3.12.1 do by themselves
            raise RuntimeError("can't create new thread at interpreter shutdown")

        store = MemoryTokenStore(TokenSet(access_token=None, refresh_token="pinr.first"))
        tokens = RefreshingToken(store, AppCredentials("1234567", "the-secret"), base_url=BASE_URL)

        def work():
            wait_for_main()
            if not {threads}:
                threading.Thread.start = refuse
            with new_client(tokens) as client:
                say(lists(client), lists(client))

        threading.Thread(target=work).start()
        """,
    )
    assert printed == ["[] []"], errors


FINALIZERS = {
    "call": "say(lists(self.client))",
    "close": "self.client.close(); say('closed')",
}


@pytest.mark.parametrize("action", FINALIZERS.values(), ids=FINALIZERS)
@pytest.mark.parametrize("used", [True, False], ids=["used before", "unused"])
def test_del_method_during_module_teardown_does_not_hang(
    pinterest_server: PinterestServer, action: str, used: bool
) -> None:
    """A call raises ClientClosedError, and a close does nothing."""
    printed, errors = run(
        pinterest_server,
        f"""
        class Owner:
            def __init__(self):
                self.client = new_client()
                if {used}:
                    lists(self.client)

            def __del__(self, say=say, lists=lists, error=ClientClosedError):
                try:
                    {action}
                except error as problem:
                    say(type(problem).__name__)

        owner = Owner()  # lives until the module is torn down
        """,
    )
    assert printed in (["ClientClosedError"], ["closed"], ["[]"]), errors
    assert errors == ""


def test_del_method_that_closes_the_client_during_a_call_does_not_deadlock(
    pinterest_server: PinterestServer,
) -> None:
    """It runs while the client holds its internal lock."""
    printed, errors = run(
        pinterest_server,
        """
        client = new_client()
        lists(client)

        class Closer:
            def __del__(self):
                client.close()
                say("closed")

        from pinterest_audiences import _portal
        submit = _portal.LoopThread.submit

        def collecting(self, call):
            Closer()  # collected at once, in the middle of the hand-over
            return submit(self, call)

        _portal.LoopThread.submit = collecting
        try:
            say(lists(client))
        except ClientClosedError:
            say("ClientClosedError")
        """,
    )
    assert printed == ["closed", "ClientClosedError"], errors


def test_fork_during_the_first_call_leaves_the_child_an_error(
    pinterest_server: PinterestServer,
) -> None:
    """The child does not wait for a lock of a thread that it does not have."""
    if not hasattr(__import__("os"), "fork"):
        pytest.skip("no fork() on this platform")
    printed, errors = run(
        pinterest_server,
        """
        import warnings
        warnings.simplefilter("ignore")
        from pinterest_audiences import _sync_runner
        inside, forked = threading.Event(), threading.Event()
        start = _sync_runner.SyncRunner._start

        def slow(self):
            inside.set()
            forked.wait()
            return start(self)

        _sync_runner.SyncRunner._start = slow
        client = new_client()
        thread = threading.Thread(target=lists, args=(client,))
        thread.start()
        inside.wait()  # the lock is held now
        pid = os.fork()
        if pid == 0:
            for use in (lists, Client.close):
                try:
                    use(client)
                except WrongEventLoopError:
                    say("WrongEventLoopError")
            os._exit(0)
        os.waitpid(pid, 0)
        forked.set()
        thread.join()
        say(lists(client))
        client.close()
        """,
    )
    assert printed == ["WrongEventLoopError", "WrongEventLoopError", "[]"], errors


def test_one_async_token_function_serves_clients_in_several_threads(
    pinterest_server: PinterestServer,
) -> None:
    """Each client has a separate event loop, and a lock of one does not wait in another."""
    printed, errors = run(
        pinterest_server,
        """
        import anyio
        from pinterest_audiences import CallableToken

        async def fetch():
            await anyio.sleep(0.05)
            return "token"

        for _ in range(6):
            source, done = CallableToken(fetch), []
            barrier = threading.Barrier(4)

            def work():
                with Client(source, base_url=BASE_URL) as client:
                    barrier.wait()
                    done.append(lists(client))

            threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(10)
            say(len(done))
        """,
    )
    assert printed == ["4"] * 6, errors


def test_gevent_patched_threads_are_refused(
    pinterest_server: PinterestServer,
) -> None:
    """With `thread=False` the client works."""
    pytest.importorskip("gevent", reason="gevent is not installed")
    code = """
        try:
            with new_client() as one, new_client() as two:
                say(lists(one), lists(two))
        except ConfigurationError as error:
            say(error)
        """
    before = "from gevent import monkey\nmonkey.patch_all({})\n"
    for options, expected in (("", "monkey.patch_all(thread=False)"), ("thread=False", "[] []")):
        base_url = pinterest_server.base_url
        ran = subprocess.run(
            [sys.executable, "-P", "-c", before.format(options) + PRELUDE + dedent(code), base_url],
            capture_output=True,
            text=True,
            timeout=HANGS_AFTER_SECONDS,
            check=False,
        )
        assert expected in ran.stdout, ran.stderr
        assert ran.stdout.count("\n") == 1


@pytest.mark.parametrize(
    ("module", "check"),
    [("gevent.monkey", "is_module_patched"), ("eventlet.patcher", "is_monkey_patched")],
)
def test_refreshing_token_refuses_patched_threads(
    monkeypatch: pytest.MonkeyPatch, module: str, check: str
) -> None:
    """A refresh runs in a thread, which a greenlet cannot replace."""
    patched = type(sys)(module)
    setattr(patched, check, lambda _name: True)
    monkeypatch.setitem(sys.modules, module, patched)
    with pytest.raises(ConfigurationError, match=module.partition(".")[0]):
        RefreshingToken("tokens.json", AppCredentials("1234567", "the-secret"))
