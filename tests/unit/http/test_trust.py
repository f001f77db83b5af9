"""Trusted certificates on each platform, and their description."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import truststore
from support.network import VARIABLES, Certificates

from pinterest_audiences import Client, ConfigurationError
from pinterest_audiences._http import network
from pinterest_audiences._http.network import Network

TOKEN = "pina_SENTINELaccess0"
HTTPS = "https://api.pinterest.com/v5"


@pytest.fixture(autouse=True)
def _no_network_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Unset all network variables and cached contexts."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    network._load_system_context.cache_clear()
    yield
    network._load_system_context.cache_clear()


@pytest.fixture
def openssl_finds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let OpenSSL look for certificates in an empty folder only."""
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda *_: None)
    monkeypatch.setattr(ssl.SSLContext, "set_default_verify_paths", lambda _: None)
    paths = ssl.get_default_verify_paths()._replace(capath=str(tmp_path))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    return tmp_path


def authorities(context: ssl.SSLContext) -> int:
    return context.cert_store_stats()["x509_ca"]


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_macos_and_windows_use_truststore(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux uses OpenSSL."""
    assert not isinstance(network.trusted_context(None), truststore.SSLContext)
    network._load_system_context.cache_clear()
    monkeypatch.setattr(sys, "platform", platform)
    assert isinstance(network.trusted_context(None), truststore.SSLContext)


def test_macos_without_truststore_uses_openssl(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or httpx's certificates if OpenSSL finds none."""
    monkeypatch.setitem(sys.modules, "truststore", None)  # its import fails
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(network, "_BUNDLES", ())
    context = network.trusted_context(None)
    assert type(context) is ssl.SSLContext
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert network._finds_certificates(context)


def test_certificates_of_a_hashed_folder_are_used(openssl_finds: Path) -> None:
    """OpenSSL reads them on demand; no others are added."""
    Certificates().pem(openssl_finds / "5c2c9d6b.0")
    assert authorities(network.trusted_context(None)) == 0


@pytest.mark.parametrize("content", [None, "README", "ca.pem"])
def test_distribution_bundle_is_used_if_openssl_finds_none(
    openssl_finds: Path, content: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an empty folder or one without hashed names."""
    if content is not None:
        (openssl_finds / content).touch()
    bundle = Certificates().pem(openssl_finds / "bundle.crt")
    monkeypatch.setattr(network, "_BUNDLES", (str(openssl_finds / "missing.crt"), str(bundle)))
    assert authorities(network.trusted_context(None)) == 1


def test_certificates_of_httpx_are_used_without_openssl_folder(
    openssl_finds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example in a small container."""
    openssl_finds.rmdir()
    monkeypatch.setattr(network, "_BUNDLES", ())
    assert authorities(network.trusted_context(None)) > 50


def test_invalid_distribution_bundle_is_refused_with_a_suggestion(
    openssl_finds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not with an ssl.SSLError, nor with the name of another variable."""
    bundle = openssl_finds / "bundle.crt"
    bundle.write_text("no certificate")
    monkeypatch.setattr(network, "_BUNDLES", (str(bundle),))
    with pytest.raises(ConfigurationError, match=r"^the certificates .* set SSL_CERT_FILE"):
        Client(TOKEN)


def test_description_of_trusted_certificates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An argument, variables, or the operating system."""
    ca = Certificates().pem(tmp_path / "ca.pem")
    Certificates().pem(tmp_path / "5c2c9d6b.0")
    assert Network().describe("http://127.0.0.1:9/v5") == "no proxy"
    words = "no proxy; trusted certificates: "
    assert Network().describe(HTTPS) == f"{words}the operating system"
    monkeypatch.setenv("SSL_CERT_FILE", str(ca))
    assert Network().describe(HTTPS) == f"{words}SSL_CERT_FILE"
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert Network().describe(HTTPS) == f"{words}SSL_CERT_FILE and SSL_CERT_DIR"
    assert Network(verify=ca).describe(HTTPS) == f"{words}verify"
    proxied = Network(proxy="http://user:SENTINEL@host:3128").describe(HTTPS)
    assert proxied.startswith("the proxy of proxy (http://host:3128); trusted")
