"""Connection failures over real sockets and TLS; proxies; trusted certificates."""

from __future__ import annotations

import copy
import errno
import os
import pickle
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.cases import each_case
from support.clock import FakeClock
from support.network import VARIABLES, Certificates, proxy, refusing_proxy
from support.tokens import APP, TokenWorld, kept

from pinterest_audiences import (
    AppCredentials,
    AsyncClient,
    Client,
    ConfigurationError,
    MemoryTokenStore,
    RefreshingToken,
    RequestTimeoutError,
    TransportError,
    token_from_environment,
)
from pinterest_audiences._http import network
from pinterest_audiences._http.network import NoNetwork, explain_failure
from pinterest_audiences._http.retry import is_transient

pytestmark = pytest.mark.anyio

ACCOUNT = "549755885175"
TOKEN = "pina_SENTINELaccess0"


@pytest.fixture(autouse=True)
def _no_network_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    return Certificates()


@pytest.fixture
def ca(certificates: Certificates, tmp_path: Path) -> Path:
    return certificates.pem(tmp_path / "ca.pem")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


async def failure(base_url: str, **options: object) -> TransportError:
    settings: dict[str, object] = {"clock": FakeClock(), "max_retries": 2, "base_url": base_url}
    async with AsyncClient(TOKEN, **(settings | options)) as client:  # type: ignore[arg-type]  # a table
        with pytest.raises(TransportError) as failed:
            await client.customer_lists_list(ACCOUNT).collect()
    error = failed.value
    assert TOKEN not in f"{error!r} {vars(error)}"
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (type(twin), str(twin), twin.reason) == (type(error), str(error), error.reason)
    return error


@pytest.mark.slow
async def test_each_connection_failure_has_a_reason_and_a_message(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On both event loops; failures that require a changed setting are not retried."""
    trusted = certificates.pem(tmp_path / "ca.pem")
    found: dict[str, TransportError] = {
        "refused": await failure(f"https://127.0.0.1:{free_port()}/v5"),
        "name_resolution": await failure("https://unknown-host.invalid/v5"),
    }
    world = TokenWorld()
    with world.served(certificates.server()) as base_url:
        found["certificate"] = await failure(base_url)
    with world.served(certificates.server(ended=True)) as base_url:
        found["expired"] = await failure(base_url, verify=trusted)
    with world.served(certificates.server(not_begun=True)) as base_url:
        found["not begun"] = await failure(base_url, verify=trusted)
    with world.served(certificates.server("other.example")) as base_url:
        found["other host"] = await failure(base_url, verify=trusted)
    with world.served() as plain:
        found["tls"] = await failure(plain.replace("http:", "https:"))
    with silent() as base_url:
        found["connect_timeout"] = await failure(base_url, timeout=0.2)
    for status in (407, 403, 502):
        with refusing_proxy(f"{status} No") as way:
            monkeypatch.setenv("HTTPS_PROXY", way.url)
            found[str(status)] = await failure("https://api.pinterest.com/v5")
            assert set(way.requests) == {"CONNECT api.pinterest.com:443 HTTP/1.1"}
            assert len(way.requests) == (3 if status == 502 else 1)
    gone = f"http://user:SENTINELpassword@127.0.0.1:{free_port()}"
    monkeypatch.setenv("HTTPS_PROXY", gone)
    found["no proxy there"] = await failure("https://api.pinterest.com/v5")
    monkeypatch.setenv("HTTPS_PROXY", "http://unknown-proxy.invalid:3128")
    found["no such proxy"] = await failure("https://api.pinterest.com/v5")

    assert len({str(error) for error in found.values()}) == len(found)
    assert "SENTINEL" not in "".join(map(str, found.values()))
    reasons = {name: error.reason for name, error in found.items()}
    assert reasons == {
        "refused": "refused",
        "name_resolution": "name_resolution",
        "certificate": "certificate",
        "expired": "certificate",
        "not begun": "certificate",
        "other host": "certificate",
        "tls": "tls",
        "connect_timeout": "connect_timeout",
        "407": "proxy_authentication",
        "403": "proxy_refused",
        "502": "proxy",
        "no proxy there": "refused",
        "no such proxy": "name_resolution",
    }
    permanent = {"certificate", "expired", "not begun", "other host", "407", "403"}
    assert {name for name, error in found.items() if error.attempts == 1} == permanent
    assert {name for name, error in found.items() if not is_transient(error)} == permanent
    words = {
        "refused": "the connection was refused",
        "name_resolution": "the name of unknown-host.invalid could not be resolved",
        "certificate": "REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE are not read",
        "expired": "has expired",
        "not begun": "not yet valid",
        "other host": "for another host name than localhost",
        "407": "requires a user and a password (407); add them to HTTPS_PROXY",
        "502": "the proxy of HTTPS_PROXY refused the connection (502)",
        "no proxy there": "to the proxy of HTTPS_PROXY (http://127.0.0.1:",
        "no such proxy": "the name of the proxy of HTTPS_PROXY could not be resolved",
    }
    for name, text in words.items():
        assert text in str(found[name])


@contextmanager
def silent() -> Iterator[str]:
    """Accept connections without sending, so that no TLS handshake completes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/v5"


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (httpx.ConnectTimeout("x"), "connect_timeout"),
        (httpx.PoolTimeout("x"), "pool_timeout"),
        (httpx.WriteTimeout("x"), "write_timeout"),
        (httpx.ReadTimeout("x"), "read_timeout"),
        (httpx.ReadError("x"), "reset"),
        (httpx.WriteError("x"), "reset"),
        (httpx.RemoteProtocolError("x"), "protocol"),
        (httpx.DecodingError("x"), "protocol"),
        (httpx.ConnectError("x"), "network"),
    ],
    ids=repr,
)
async def test_timeout_names_the_phase_of_the_request(
    step: httpx.RequestError, reason: str
) -> None:

    async def handle(_: httpx.Request) -> httpx.Response:
        raise step

    error = await failure("https://api.pinterest.com/v5", transport=httpx.MockTransport(handle))
    assert (error.reason, error.transient) == (reason, True)
    assert isinstance(error, RequestTimeoutError) == isinstance(step, httpx.TimeoutException)


async def lists(client: AsyncClient) -> int:
    return len(await client.customer_lists_list(ACCOUNT).collect())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["path", "str", "folder", "context"])
async def test_verify_accepts_a_file_folder_or_ssl_context(
    certificates: Certificates, ca: Path, kind: str, tmp_path: Path
) -> None:
    """For private certificate authorities, without environment variables."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    hashed(ca, folder)
    forms: dict[str, str | Path | ssl.SSLContext] = {
        "path": ca,
        "str": str(ca),
        "folder": folder,
        "context": ssl.create_default_context(cafile=ca),
    }
    with TokenWorld().served(certificates.server()) as base_url:
        async with AsyncClient(TOKEN, base_url=base_url, verify=forms[kind]) as client:
            assert await lists(client) == 1


def hashed(ca: Path, folder: Path) -> None:
    """Store a certificate under the hash of its subject, where OpenSSL looks for it."""
    import subprocess

    done = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", str(ca)],
        check=True,
        capture_output=True,
        text=True,
    )
    (folder / f"{done.stdout.strip()}.0").write_bytes(ca.read_bytes())


async def test_every_folder_of_ssl_cert_dir_is_trusted(
    certificates: Certificates, ca: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The authority is in the last folder; an empty entry between them is ignored."""
    folders = [tmp_path / name for name in ("first", "second", "third")]
    for folder in folders:
        folder.mkdir()
    hashed(ca, folders[-1])
    first, second, third = map(str, folders)
    monkeypatch.setenv("SSL_CERT_DIR", os.pathsep.join((first, "", second, third)))
    with TokenWorld().served(certificates.server()) as base_url:
        async with AsyncClient(TOKEN, base_url=base_url) as client:
            assert await lists(client) == 1


async def test_new_client_uses_changed_environment_variables(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable and its file; an existing client keeps its settings."""
    other = Certificates()
    path = tmp_path / "ca.pem"
    with TokenWorld().served(certificates.server()) as base_url:
        assert (await failure(base_url)).reason == "certificate"
        monkeypatch.setenv("SSL_CERT_FILE", str(other.pem(path)))
        assert (await failure(base_url)).reason == "certificate"
        certificates.pem(path)
        async with AsyncClient(TOKEN, base_url=base_url) as client:
            assert await lists(client) == 1
        monkeypatch.delenv("SSL_CERT_FILE")
        assert (await failure(base_url)).reason == "certificate"
        folder = tmp_path / "folder"
        folder.mkdir()
        hashed(path, folder)
        monkeypatch.setenv("SSL_CERT_DIR", f"{folder}{os.pathsep}")
        async with AsyncClient(TOKEN, base_url=base_url) as client:
            assert await lists(client) == 1


def test_ssl_context_of_an_unchanged_file_is_cached(
    ca: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading takes longer than many calls."""
    assert network.trusted_context(ca) is network.trusted_context(str(ca))
    assert network.trusted_context(None) is network.trusted_context(None)
    monkeypatch.setenv("SSL_CERT_FILE", str(ca))
    assert network.trusted_context(None) is network.trusted_context(None)


async def test_truststore_context_verifies_certificates(
    certificates: Certificates, ca: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Truststore also works on Linux, where the package does not use it."""
    context = network.native_context()
    assert context is not None
    with TokenWorld().served(certificates.server()) as base_url:
        assert (await failure(base_url, verify=context)).reason == "certificate"
        monkeypatch.setenv("SSL_CERT_FILE", str(ca))
        async with AsyncClient(TOKEN, base_url=base_url, verify=context) as client:
            assert await lists(client) == 1


def test_system_without_certificates_uses_those_of_httpx(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For example a small container."""
    monkeypatch.setattr(network, "_finds_certificates", lambda context: False)
    monkeypatch.setattr(network, "_BUNDLES", ())
    network._load_system_context.cache_clear()
    try:
        assert network.trusted_context(None).cert_store_stats()["x509_ca"] > 50
    finally:
        network._load_system_context.cache_clear()


@pytest.mark.parametrize("given", ["client", "source", "environment"])
def test_proxy_and_verify_apply_to_token_refresh(
    certificates: Certificates, ca: Path, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a source with its own settings, and of one that uses the client's."""
    world = TokenWorld()
    with world.served(certificates.server()) as base_url, proxy() as way:
        source = None
        if given == "environment":
            monkeypatch.setenv("PINTEREST_REFRESH_ACCESS_TOKEN", world.refresh_token)
            monkeypatch.setenv("PINTEREST_APP_ID", APP.app_id)
            monkeypatch.setenv("PINTEREST_APP_SECRET", APP.app_secret)
        elif given == "source":
            store = MemoryTokenStore(kept())
            source = RefreshingToken(store, APP, base_url=base_url, proxy=way.url, verify=ca)
        else:
            source = RefreshingToken(MemoryTokenStore(kept()), APP, base_url=base_url)
        with Client(source, base_url=base_url, proxy=way.url, verify=ca) as client:
            assert len(client.customer_lists_list(ACCOUNT).collect()) == 1
        assert world.refreshes == 1
        assert [f"https://{target}/v5" for target in way.tunnels] == [base_url] * 2


BAD_PROXIES = [
    "[::1]:8080:1",
    "http://[::1",
    "http://",
    "http://:3128",
    "http://host:port",
    "http://host:99999",
    "http://host:0",
    "http://ho st:3128",
    "http://host\n:3128",
    "http://host..example:3128",
    "http://999.1.1.1:3128",
    "http://user:SENTINEL@256.256.256.256:3128",
    "http://user:SENTINEL@host\u00b2.example:3128",
    f"http://{'a' * 64}.example:3128",
    "gopher://127.0.0.1:70",
    "socks4://127.0.0.1:1080",
    "socks5://127.0.0.1:1080",
    "socks5h://127.0.0.1:1080",
    "ftp://host",
    "file:///etc/proxy",
    "http://user:SENTINEL/word@host:3128",
    "http://user:SENTINEL#word@host:3128",
    "http://user:12/SENTINEL@host:3128",
    "http://user:SENTINEL@host:port",
    "user:SENTINEL@host:port",
    "pass:SENTINEL://host",
]


@pytest.mark.parametrize(
    "name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"]
)
@each_case("value", BAD_PROXIES)
def test_invalid_proxy_variable_is_named_without_its_password(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the creation of the client."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=rf"^{name}: ") as refused:
        Client(TOKEN)
    error: BaseException | None = refused.value
    while error is not None:
        assert "SENTINEL" not in f"{error!r}"
        error = error.__cause__ or error.__context__


@each_case("value", BAD_PROXIES)
def test_invalid_proxy_argument_is_refused(value: str) -> None:
    """By both clients and by token refresh."""
    makers: tuple[Callable[[], object], ...] = (
        lambda: Client(TOKEN, proxy=value),
        lambda: AsyncClient(TOKEN, proxy=value),
        lambda: RefreshingToken(MemoryTokenStore(kept()), APP, proxy=value),
        lambda: token_from_environment_with(value),
    )
    for make in makers:
        with pytest.raises(ConfigurationError, match=r"^proxy: ") as refused:
            make()
        assert "SENTINEL" not in str(refused.value)


def token_from_environment_with(value: str) -> object:
    os.environ["PINTEREST_REFRESH_ACCESS_TOKEN"] = "refresh-token"
    try:
        return token_from_environment(app=AppCredentials("1234567", "the-secret"), proxy=value)
    finally:
        del os.environ["PINTEREST_REFRESH_ACCESS_TOKEN"]


@pytest.mark.parametrize("value", ["", 5, b"http://host:1", object(), httpx.Proxy("http://host:1")])
def test_proxy_that_is_not_a_url_is_refused(value: object) -> None:
    """Before the first call."""
    with pytest.raises(ConfigurationError, match=r"^proxy: must be"):
        Client(TOKEN, proxy=value)  # type: ignore[arg-type]  # on purpose


GOOD_PROXIES = [
    "http://host:3128",
    "host:3128",
    "host",
    " http://host:3128 ",
    "http://user:p%40ss@host:3128/",
    "http://[::1]:3128",
    "[::1]:3128",
    "https://host",
    "http://under_score:80",
    "http://müller.example:3128",
]


@pytest.mark.parametrize("value", GOOD_PROXIES)
def test_valid_proxy_is_accepted(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also without a scheme, as in curl."""
    Client(TOKEN, proxy=value).close()
    monkeypatch.setenv("HTTPS_PROXY", value)
    Client(TOKEN).close()


BAD_EXCEPTIONS = [
    "[::1",
    "::1]",
    "[]",
    "[host]",
    "host:port",
    "host:0",
    "host:99999",
    "10.0.0.0/99",
    "host/8",
    "gopher://x",
    "a;b",
    "[::1]:x",
    "::1::2",
]


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
@each_case("value", BAD_EXCEPTIONS)
def test_invalid_no_proxy_entry_is_reported_with_its_position(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:3128")
    monkeypatch.setenv(name, f"localhost, {value}")
    with pytest.raises(ConfigurationError, match=rf"^{name}: entry 2 "):
        Client(TOKEN)


@pytest.mark.parametrize(
    ("no_proxy", "base_url", "direct"),
    [
        ("*", "https://api.pinterest.com/v5", True),
        ("pinterest.com", "https://api.pinterest.com/v5", True),
        (".pinterest.com", "https://api.pinterest.com/v5", True),
        ("*.pinterest.com", "https://api.pinterest.com/v5", True),
        ("API.Pinterest.COM.", "https://api.pinterest.com/v5", True),
        ("https://api.pinterest.com", "https://api.pinterest.com/v5", True),
        ("http://api.pinterest.com", "https://api.pinterest.com/v5", False),
        ("api.pinterest.com:443", "https://api.pinterest.com/v5", True),
        ("api.pinterest.com:8443", "https://api.pinterest.com/v5", False),
        ("interest.com", "https://api.pinterest.com/v5", False),
        ("a b pinterest.com", "https://api.pinterest.com/v5", True),
        ("[::1]", "https://[::1]/v5", True),
        ("::1", "https://[::1]/v5", True),
        ("[::1]:443", "https://[::1]/v5", True),
        ("[::1]:80", "https://[::1]/v5", False),
        ("fd00::/8", "https://[fd12::5]/v5", True),
        ("10.0.0.0/8", "https://10.1.2.3/v5", True),
        ("10.0.0.0/8", "https://11.1.2.3/v5", False),
        ("10.*", "https://10.1.2.3/v5", True),
        ("10.1.2.3", "https://10.1.2.3/v5", True),
        ("10.1.2.3:443", "https://10.1.2.3/v5", True),
        ("<local>", "https://gateway/v5", True),
        ("<local>", "https://api.pinterest.com/v5", False),
        ("", "https://api.pinterest.com/v5", False),
    ],
)
def test_no_proxy_accepts_hosts_ports_and_networks(
    no_proxy: str, base_url: str, direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the formats of curl, Go and Windows."""
    from pinterest_audiences._http.network import Network

    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    Client(TOKEN, base_url=base_url).close()
    assert (Network().proxy_of(httpx.URL(base_url)) is None) is direct


def bad_files(folder: Path) -> dict[str, tuple[str, str]]:
    empty, text, der, folder_of = (folder / n for n in ("empty", "text", "der", "folder"))
    empty.touch()
    text.write_text("not a certificate")
    der.write_bytes(b"\x30\x82\x01\x0a" + b"\x00" * 50)
    folder_of.mkdir()
    return {
        "missing": (str(folder / "missing.pem"), "cannot be read"),
        "a folder": (str(folder_of), "folder"),
        "empty": (str(empty), "PEM"),
        "text": (str(text), "PEM"),
        "DER": (str(der), "PEM"),
        "tilde": ("~/ca.pem", "cannot be read"),
    }


@pytest.mark.parametrize("kind", ["missing", "a folder", "empty", "text", "DER", "tilde"])
def test_invalid_ssl_cert_file_is_refused_with_the_variable(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Instead of a FileNotFoundError without a file name."""
    value, words = bad_files(tmp_path)[kind]
    monkeypatch.setenv("SSL_CERT_FILE", value)
    with pytest.raises(ConfigurationError, match=rf"^SSL_CERT_FILE: .*{words}"):
        Client(TOKEN)
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(ConfigurationError, match=r"^verify: "):
        Client(TOKEN, verify=value)


def test_unreadable_certificate_file_is_refused(ca: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first call; root can read every file, so the error is injected."""
    open_path = Path.open

    def refuse(path: Path, *arguments: Any, **options: Any) -> object:
        if path == ca:
            raise PermissionError(13, "Permission denied")
        return open_path(path, *arguments, **options)

    monkeypatch.setenv("SSL_CERT_FILE", str(ca))
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConfigurationError, match=r"^SSL_CERT_FILE: .*Permission denied"):
        Client(TOKEN)


@pytest.mark.parametrize("kind", ["missing", "empty", "not hashed", "a file"])
def test_invalid_ssl_cert_dir_is_refused_with_the_variable(
    kind: str, ca: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL would silently trust nothing."""
    folder = tmp_path / "folder"
    if kind != "missing":
        folder.mkdir()
    if kind == "not hashed":
        (folder / "ca.pem").write_bytes(ca.read_bytes())
    monkeypatch.setenv("SSL_CERT_DIR", str(ca if kind == "a file" else folder))
    with pytest.raises(ConfigurationError, match=r"^SSL_CERT_DIR: "):
        Client(TOKEN)


@pytest.mark.parametrize("value", [False, "", 5, b"", object()])
def test_invalid_verify_argument_is_refused(value: object) -> None:
    """Verification cannot be disabled, because the connection carries a token."""
    with pytest.raises(ConfigurationError, match=r"^verify: must be"):
        Client(TOKEN, verify=value)  # type: ignore[arg-type]  # on purpose


def test_unwritable_sslkeylogfile_is_refused_with_the_variable(
    ca: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python opens it when it loads certificates."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "missing" / "keys"))
    with pytest.raises(ConfigurationError, match=r"^SSLKEYLOGFILE: "):
        Client(TOKEN)
    with pytest.raises(ConfigurationError, match=r"^SSLKEYLOGFILE: "):
        Client(TOKEN, verify=ca)


def test_invalid_environment_is_ignored_if_unused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a transport, and for plain http on this machine."""
    monkeypatch.setenv("HTTPS_PROXY", "gopher://x")
    monkeypatch.setenv("SSL_CERT_FILE", "/missing")
    Client(TOKEN, base_url="http://127.0.0.1:9/v5").close()
    Client(TOKEN, transport=httpx.MockTransport(lambda _: httpx.Response(200))).close()


TRANSPORTS: list[Callable[[], object]] = [
    httpx.HTTPTransport,
    httpx.Client,
    httpx.AsyncClient,
    lambda: httpx.WSGITransport(app=lambda *_: []),
    lambda: httpx.AsyncHTTPTransport,
    lambda: httpx.AsyncHTTPTransport.__init__,
    lambda: "http://proxy:3128",
    dict,
]


@pytest.mark.parametrize("make", TRANSPORTS)
def test_invalid_transport_is_refused(make: Callable[[], object]) -> None:
    """At the creation of the client, instead of an AttributeError at the first call."""
    transport = make()
    for client in (Client, AsyncClient):
        with pytest.raises(ConfigurationError, match=r"^transport: must be an asynchronous"):
            client(TOKEN, transport=transport)  # type: ignore[arg-type]  # on purpose


def test_proxy_and_verify_are_refused_together_with_transport(ca: Path) -> None:
    """They would have no effect."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    for more in ({"proxy": "http://host:1"}, {"verify": ca}):
        with pytest.raises(ConfigurationError, match="no effect with transport"):
            Client(TOKEN, transport=transport, **more)
        with pytest.raises(ConfigurationError, match="no effect with transport"):
            RefreshingToken(
                MemoryTokenStore(kept()),
                APP,
                transport=lambda: transport,
                **more,
            )


async def test_untrusted_certificate_error_mentions_the_https_proxy(
    certificates: Certificates,
) -> None:
    """The certificate may be the proxy's."""
    with TokenWorld().served(certificates.server()) as url:
        way = url.removesuffix("/v5")
        error = await failure("https://api.pinterest.com/v5", proxy=way)
    assert (error.reason, error.attempts) == ("certificate", 1)
    assert "of api.pinterest.com (or of the proxy of proxy) is not trusted" in str(error)


def chained(length: int, last: BaseException) -> httpx.ConnectError:
    """Return an httpx error with a chain of causes of a given length."""
    error = last
    for number in range(length - 1):
        cause, error = error, OSError(f"step {number}")
        error.__cause__ = cause
    result = httpx.ConnectError("x")
    result.__cause__ = error
    return result


@pytest.mark.parametrize(("length", "reason"), [(1, "reset"), (19, "reset"), (20, "network")])
def test_causes_are_followed_for_20_exceptions(length: int, reason: str) -> None:
    """Counted from the error itself."""
    error = chained(length, ConnectionResetError(errno.ECONNRESET, "x"))
    assert explain_failure(error, host="host", proxy=None).reason == reason


def test_cyclic_causes_terminate() -> None:
    """Two exceptions may be each other's cause."""
    error, other = httpx.ConnectError("x"), OSError("x")
    error.__cause__, other.__cause__ = other, error
    assert explain_failure(error, host="host", proxy=None).reason == "network"


async def test_offline_client_fails_before_sending() -> None:
    """Commands that only read the state of jobs use it."""
    error = await failure("https://api.pinterest.com/v5", transport=NoNetwork())
    assert (error.reason, error.maybe_applied) == ("network", False)
