"""Token refresh in a company's network: a proxy and a private certificate authority."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from support.network import Certificates, proxy
from support.tokens import APP, TokenWorld, kept

from pinterest_audiences import (
    FileTokenStore,
    MemoryTokenStore,
    RefreshingToken,
    TokenRefreshError,
)

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

# In a separate process, because certificates of the environment are read once.
CHILD = """
import sys, anyio
from support.tokens import APP
from pinterest_audiences import RefreshingToken, TransportError
try:
    print(anyio.run(RefreshingToken(sys.argv[1], APP, base_url=sys.argv[2]).get).value)
except TransportError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    return Certificates()


@pytest.fixture
def ca(certificates: Certificates, tmp_path: Path) -> Path:
    """The certificate of the authority."""
    return certificates.pem(tmp_path / "ca.pem")


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


def test_refresh_uses_environment_proxy_and_certificate_authority(
    tmp_path: Path, certificates: Certificates, ca: Path
) -> None:
    """Like every other call."""
    world = TokenWorld()
    with world.served(certificates.server()) as base_url, proxy() as way:
        token = refresh(tmp_path, base_url, HTTPS_PROXY=way.url, SSL_CERT_FILE=str(ca))
        assert token == "pina_SENTINELaccess1"
        assert [f"https://{target}/v5" for target in way.tunnels] == [base_url]


def test_untrusted_authority_is_reported_and_no_token_is_sent(
    tmp_path: Path, certificates: Certificates
) -> None:
    """The error suggests to check the certificates."""
    world = TokenWorld()
    with world.served(certificates.server()) as base_url:
        printed = refresh(tmp_path, base_url)
    assert "the certificate of localhost is not trusted" in printed
    assert "SSL_CERT_FILE" in printed
    assert "REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE are not read" in printed
    assert "(1 attempts)" in printed
    assert world.forms == []


def test_unreachable_proxy_is_reported_and_not_bypassed(
    tmp_path: Path, certificates: Certificates, ca: Path
) -> None:
    world = TokenWorld()
    with world.served(certificates.server()) as base_url:
        printed = refresh(
            tmp_path,
            base_url,
            HTTPS_PROXY="http://127.0.0.1:9",
            SSL_CERT_FILE=str(ca),
        )
    assert (
        "no connection to the proxy of HTTPS_PROXY (http://127.0.0.1:9): the connection was refused"
        in printed
    )
    assert world.forms == []


async def test_transport_factory_may_configure_proxy_and_certificates(
    certificates: Certificates, ca: Path
) -> None:
    """It is called for each refresh, and the transport is closed after it."""
    world, made = TokenWorld(), list[httpx.AsyncHTTPTransport]()
    context = ssl.create_default_context(cafile=ca)
    with world.served(certificates.server()) as base_url, proxy() as way:

        def transport() -> httpx.AsyncHTTPTransport:
            made.append(httpx.AsyncHTTPTransport(verify=context, proxy=way.url))
            return made[-1]

        source = RefreshingToken(
            MemoryTokenStore(kept()), APP, base_url=base_url, transport=transport
        )
        token = await source.get()
        assert (await source.refresh(token)).value == "pina_SENTINELaccess2"
        assert len(made) == len(way.tunnels) == 2


async def test_refresh_does_not_follow_redirects() -> None:
    """A redirect could send the app's secret to another host."""
    from support.wire import Reply

    world = TokenWorld(instead=[Reply(307, headers={"location": "https://evil.example/"})])
    source = RefreshingToken(MemoryTokenStore(kept()), APP, transport=world.transport)
    with pytest.raises(TokenRefreshError, match="redirects are not followed"):
        await source.get()
    assert len(world.forms) == 1
