"""`app_info`: the application in the User-Agent, of calls and of refreshes."""

from __future__ import annotations

import re

import httpx
import pytest
from support.clock import FakeClock
from support.tokens import APP, kept
from support.wire import PAGE, Reply, ScriptedTransport

from pinterest_audiences import (
    AsyncClient,
    Client,
    ConfigurationError,
    MemoryTokenStore,
    RefreshingToken,
)

pytestmark = pytest.mark.anyio

ACCOUNT = "549755885175"
OWN = r"pinterest-audiences/\S+ python/\S+ httpx/\S+"
VALID = [
    "my-app",
    "my-app/1.2",
    "my-app/1.2 (+https://shop.example; nightly)",
    "my-app/1.2 plugin/3 (a) (b)",
    "a" * 200,
]
INVALID = [
    "",
    " ",
    "my app/1 ",
    "my-app/1.2\r\nX-Evil: 1",
    "my-app/1.2\n",
    "my-app/",
    "/1.2",
    "(only a comment)",
    "my-app/1.2 (open",
    "my-app/1.2 (a (nested) one)",
    "my-app  two",
    "mÿ-app",
    "my-app\x00",
    "a" * 201,
    5,
    b"my-app",
]


@pytest.mark.parametrize("app_info", VALID)
async def test_app_info_ends_the_user_agent_of_the_async_client(app_info: str) -> None:
    transport = ScriptedTransport(Reply(data=PAGE))
    async with AsyncClient("token", app_info=app_info, transport=transport) as client:
        await client.customer_lists_list(ACCOUNT).collect()
    (sent,) = transport.sent
    assert re.fullmatch(f"{OWN} {re.escape(app_info)}", sent.headers["user-agent"])


def test_app_info_ends_the_user_agent_of_the_sync_client() -> None:
    """Also of a client from `with_options`."""
    transport = ScriptedTransport(Reply(data=PAGE))
    with Client("token", app_info="my-app/1.2", transport=transport) as client:
        client.with_options(timeout=5).customer_lists_list(ACCOUNT).collect()
    assert transport.sent[0].headers["user-agent"].endswith(" my-app/1.2")


async def test_user_agent_without_app_info_names_the_package_only() -> None:
    transport = ScriptedTransport(Reply(data=PAGE))
    async with AsyncClient("token", transport=transport) as client:
        await client.customer_lists_list(ACCOUNT).collect()
    assert re.fullmatch(OWN, transport.sent[0].headers["user-agent"])


@pytest.mark.parametrize("kind", [AsyncClient, Client])
@pytest.mark.parametrize("app_info", INVALID)
def test_invalid_app_info_is_a_configuration_error(
    kind: type[AsyncClient | Client], app_info: object
) -> None:
    """It cannot end the header or start another one."""
    with pytest.raises(ConfigurationError, match=r"^app_info must be a name") as caught:
        kind("token", app_info=app_info)  # type: ignore[arg-type]
    assert caught.value.param == "app_info"


async def test_refreshes_of_the_client_send_app_info() -> None:
    refresh = {"access_token": "pina_new", "expires_in": 86400, "token_type": "bearer"}
    exchange = ScriptedTransport(Reply(data=refresh))
    store, clock = MemoryTokenStore(), FakeClock()
    with store.lock() as locked:
        locked.save(kept())
    tokens = RefreshingToken(store, APP, transport=lambda: exchange, clock=clock)
    calls = httpx.MockTransport(lambda request: Reply(data=PAGE).response())
    async with AsyncClient(tokens, app_info="my-app/1.2", transport=calls, clock=clock) as client:
        await client.customer_lists_list(ACCOUNT).collect()
    (sent,) = exchange.sent
    assert sent.url.endswith("/oauth/token")
    assert sent.headers["user-agent"].endswith(" my-app/1.2")
