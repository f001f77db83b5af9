"""A refresh where the network is a company's: a proxy, and a certificate authority of its own."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from support.tls import Authority, make_authority, proxy
from support.tokens import APP, TokenWorld, kept

from pinterest_audiences import (
    FileTokenStore,
    MemoryTokenStore,
    RefreshingToken,
    TokenRefreshError,
)

pytestmark = pytest.mark.anyio

# In a process of its own, for the certificates of the environment are read once.
CHILD = """
import sys, anyio
from support.tokens import APP
from pinterest_audiences import RefreshingToken, TokenRefreshError
try:
    print(anyio.run(RefreshingToken(sys.argv[1], APP, base_url=sys.argv[2]).get).value)
except TokenRefreshError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("ca"))


def refresh(path: Path, base_url: str, **environment: str) -> str:
    store = FileTokenStore(path / "tokens.json")
    with store.lock() as locked:
        locked.save(kept())
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
    clean = {k: v for k, v in os.environ.items() if k.upper() not in names}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(store.path), base_url],
        capture_output=True,
        text=True,
        check=True,
        env={**clean, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )
    assert done.stderr == ""
    return done.stdout.strip()


def test_a_refresh_goes_through_the_proxy_of_the_environment_and_trusts_its_authority(
    tmp_path: Path, authority: Authority
) -> None:
    """As every other call does, with no setting of ours."""
    world = TokenWorld()
    with world.served(authority.server_context()) as base_url, proxy() as way:
        token = refresh(tmp_path, base_url, HTTPS_PROXY=way.url, SSL_CERT_FILE=str(authority.path))
        assert token == "pina_SENTINELaccess1"
        assert [f"https://{target}/v5" for target in way.tunnels] == [base_url]


def test_an_authority_that_nobody_trusts_is_told_and_no_token_is_sent(
    tmp_path: Path, authority: Authority
) -> None:
    """The certificates are what to check."""
    world = TokenWorld()
    with world.served(authority.server_context()) as base_url:
        told = refresh(tmp_path, base_url)
    assert "check base_url, the network and the certificates" in told
    assert world.forms == []


def test_a_proxy_that_is_not_there_is_told_and_not_passed_by(
    tmp_path: Path, authority: Authority
) -> None:
    """What must go through a proxy does not go without one."""
    world = TokenWorld()
    with world.served(authority.server_context()) as base_url:
        told = refresh(
            tmp_path,
            base_url,
            HTTPS_PROXY="http://127.0.0.1:9",
            SSL_CERT_FILE=str(authority.path),
        )
    assert "no connection" in told
    assert world.forms == []


async def test_a_transport_of_the_callers_own_may_bring_both(authority: Authority) -> None:
    """It is made anew for each refresh, and closed after it."""
    world, made = TokenWorld(), list[httpx.AsyncHTTPTransport]()
    context = ssl.create_default_context(cafile=authority.path)
    with world.served(authority.server_context()) as base_url, proxy() as way:

        def transport() -> httpx.AsyncHTTPTransport:
            made.append(httpx.AsyncHTTPTransport(verify=context, proxy=way.url))
            return made[-1]

        source = RefreshingToken(
            MemoryTokenStore(kept()), APP, base_url=base_url, transport=transport
        )
        token = await source.get()
        assert (await source.refresh(token)).value == "pina_SENTINELaccess2"
        assert len(made) == len(way.tunnels) == 2


async def test_a_redirect_is_not_followed() -> None:
    """It could lead the app's secret to another host."""
    from support.wire import Reply

    world = TokenWorld(instead=[Reply(307, headers={"location": "https://evil.example/"})])
    source = RefreshingToken(MemoryTokenStore(kept()), APP, transport=world.transport)
    with pytest.raises(TokenRefreshError, match="redirects are not followed"):
        await source.get()
    assert len(world.forms) == 1
