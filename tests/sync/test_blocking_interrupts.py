"""Ctrl-C in the blocking client: what was interrupted has ended when it comes out."""

from __future__ import annotations

import os
import signal
import threading

import anyio
import anyio.lowlevel
import httpx
import pytest

from pinterest_audiences import Client
from pinterest_audiences._wire.portal import Portal

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there are no POSIX signals here")

ACCOUNT = "549755885175"
PATIENCE = 10.0


class Tidy(httpx.AsyncBaseTransport):
    """Has Ctrl-C pressed during its first request, and takes its time to clean up after it."""

    def __init__(self) -> None:
        self.requests = 0
        self.tidied = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        if self.requests > 1:
            return httpx.Response(200, json={"id": "643"})
        try:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                for _ in range(1000):
                    await anyio.lowlevel.checkpoint()
            self.tidied = True
        raise AssertionError


def test_ctrl_c_comes_out_when_the_call_has_cleaned_up() -> None:
    """What the call held, such as a lock, is free for the next call."""
    transport = Tidy()
    with Client("token", transport=transport) as client:
        with pytest.raises(KeyboardInterrupt):
            client.customer_lists_get(ACCOUNT, "643")
        assert transport.tidied
        assert client.customer_lists_get(ACCOUNT, "643").id == "643"


def test_a_call_that_has_ended_already_is_not_waited_for() -> None:
    """Ctrl-C may come in the moment of its end."""

    async def nothing() -> None:
        pass

    portal = Portal(nothing)
    portal.call(nothing)
    assert portal._loop is not None
    ended = nothing()
    ended.close()
    waiting = threading.Thread(target=portal._loop.wait_for_end, args=(ended,), daemon=True)
    waiting.start()
    waiting.join(PATIENCE / 2)  # it would wait for ten seconds
    assert not waiting.is_alive()
    portal.close()
    portal._loop.wait_for_end(ended)  # the loop has ended too
