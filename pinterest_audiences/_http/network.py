"""Connections: proxies, trusted certificates, connection pools, and the reasons of failures.

httpx reads the same environment variables, but reports mistakes in them as its own errors without
the name of the variable, and does not support networks or bracketed addresses in ``NO_PROXY``.

Loading certificates takes longer than many calls, so TLS contexts are cached by the state of their
files: a client that is created after a file or variable has changed reads it again.

A call that is cancelled while httpx opens or closes its connection does not return its slot to the
pool of httpx. After enough of them the pool is full of connections without a call, and every other
call waits in vain. A session never has more calls in progress than its pool has slots, so a call
that waits for a slot proves that some are lost.
"""

from __future__ import annotations

import errno
import functools
import ipaddress
import os
import platform
import re
import socket
import ssl
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias, cast
from urllib.parse import SplitResult, urlsplit

import anyio
from attrs import field, frozen

from pinterest_audiences._config import is_loopback
from pinterest_audiences._errors import ConfigurationError
from pinterest_audiences._httpx import httpx
from pinterest_audiences._version import __version__

__all__ = [
    "MAX_CALLS",
    "ConnectionFailure",
    "ConnectionPool",
    "Network",
    "NoNetwork",
    "Proxy",
    "Verify",
    "check_transport",
    "drop_location_header",
    "empty_ssl_context",
    "environment_proxy",
    "explain_failure",
    "explicit_proxy",
    "trust_source",
    "trusted_context",
]

Verify: TypeAlias = "str | os.PathLike[str] | ssl.SSLContext"
"""A CA file (PEM), a folder of hashed certificates, or an ``ssl.SSLContext``."""
_IPNetwork: TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"
MAX_CALLS = 100
"""The concurrent calls of a session, and the slots of its pool."""
_USER_AGENT = (
    f"pinterest-audiences/{__version__} python/{platform.python_version()}"
    f" httpx/{httpx.__version__}"
)
# Products and comments of RFC 9110, section 10.1.5, without nested comments and quoted pairs.
_PRODUCT = r"[!#$%&'*+.^_`|~\w-]+(?:/[!#$%&'*+.^_`|~\w-]+)?"
_APP_INFO = re.compile(rf"{_PRODUCT}(?: (?:{_PRODUCT}|\([ -'*-\[\]-~]*\)))*", re.ASCII)
_MAX_APP_INFO_CHARS = 200
_HTTPS_PORT = 443
_MAX_PORT = 65535
_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")
_NAME = re.compile(r"[\w.-]+")
_HOST_AND_PORT = re.compile(r"(?:\[([^\]]+)\]|([\w.*-]+|<local>))(?::(.*))?")
_HASHED_NAME = re.compile(r"[0-9a-fA-F]{8}\.[0-9]+")  # as `openssl rehash` names them
# Certificate bundles of Linux distributions, for a Python whose OpenSSL uses other paths.
_BUNDLES = (
    "/etc/ssl/cert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/cert.pem",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/ca-bundle.pem",
)
_MAX_CAUSES = 20
# Raised before a byte of the request was sent.
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_UNREACHABLE = ("unreachable", "the network or the host is unreachable")
_RESET = ("reset", "the connection was reset")
_LOCAL_HINT = (
    "; start it, as `pinterest-audiences emulator serve` does, or use another profile or base URL"
)
_ERRNOS = {
    errno.ECONNREFUSED: ("refused", "the connection was refused; no server listens there"),
    errno.EHOSTUNREACH: _UNREACHABLE,
    errno.ENETUNREACH: _UNREACHABLE,
    errno.ENETDOWN: _UNREACHABLE,
    errno.EADDRNOTAVAIL: _UNREACHABLE,
    errno.ECONNRESET: _RESET,
    errno.ECONNABORTED: _RESET,
    errno.EPIPE: _RESET,
    errno.ETIMEDOUT: ("connect_timeout", "timeout"),
    errno.EACCES: ("forbidden", "this machine forbids the connection; check its firewall"),
    errno.EPERM: ("forbidden", "this machine forbids the connection; check its firewall"),
    errno.EMFILE: ("network", "this process has too many open files"),
}
# The first match applies.
_TEXTS: dict[type[httpx.RequestError], tuple[str, str]] = {
    httpx.ConnectTimeout: ("connect_timeout", "no connection{way} in time"),
    httpx.PoolTimeout: (
        "pool_timeout",
        "no free connection in time; too many calls of this client are in progress",
    ),
    httpx.WriteTimeout: ("write_timeout", "timeout: the request could not be sent"),
    httpx.TimeoutException: ("read_timeout", "timeout: no response"),
    httpx.DecodingError: ("protocol", "the compression of the response is damaged"),
    httpx.NetworkError: ("reset", "the connection broke ({kind})"),
}
_STATUS = re.compile(r"(\d{3})\b")
_PROXY_AUTH_REQUIRED = 407
_TRANSIENT_4XX = frozenset({408, 425, 429})
_EXPIRED, _NOT_YET_VALID, _HOST_MISMATCH, _IP_MISMATCH = 10, 9, 62, 64  # X509_V_ERR_...
_CA_HINT = (
    "set SSL_CERT_FILE to a PEM file with its certificate authority, or give that file to the"
    " client (REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE are not read)"
)


@frozen
class Network:
    """The network arguments of a client.

    Attributes:
        proxy: The URL of a proxy; None for the proxy of the environment.
        verify: The trusted certificates; None for those of the environment or the system.
        transport: Replaces both.
        app_info: The application that uses the package, for the User-Agent; None for none.
    """

    proxy: str | None = field(default=None, repr=False)
    verify: Verify | None = None
    transport: httpx.AsyncBaseTransport | None = None
    app_info: str | None = None

    def __attrs_post_init__(self) -> None:
        """Validate the arguments.

        Raises:
            ConfigurationError: An argument is invalid, or has no effect with another.
        """
        check_transport(self.transport)
        if self.transport is not None and (self.proxy is not None or self.verify is not None):
            raise ConfigurationError(
                "proxy and verify have no effect with transport; give them to the transport"
            )
        if self.proxy is not None:
            explicit_proxy(self.proxy)
        if self.verify is not None:
            trusted_context(self.verify)
        if self.app_info is not None and not _is_app_info(self.app_info):
            raise ConfigurationError(
                "app_info must be a name such as my-app/1.2, which may be followed by a comment in"
                f" parentheses, with at most {_MAX_APP_INFO_CHARS} ASCII characters",
                param="app_info",
            )

    @property
    def user_agent(self) -> str:
        """The User-Agent of the requests."""
        return _USER_AGENT if self.app_info is None else f"{_USER_AGENT} {self.app_info}"

    def proxy_of(self, url: httpx.URL) -> Proxy | None:
        """Return the proxy on the way to a host.

        Raises:
            ConfigurationError: The proxy of the environment is invalid.
        """
        if self.transport is not None:
            return None
        if self.proxy is not None:
            return explicit_proxy(self.proxy)
        # http is for loopback hosts only, which a proxy cannot reach.
        if url.scheme != "https":
            return None
        return environment_proxy(url.host, url.port or _HTTPS_PORT)

    def client_factory(
        self, url: httpx.URL, limits: httpx.Limits
    ) -> Callable[[], httpx.AsyncClient]:
        """Read the environment; return a function that creates HTTP clients for a host.

        Raises:
            ConfigurationError: A variable of the environment is invalid.
        """
        proxy = self.proxy_of(url)
        context = empty_ssl_context()
        if self.transport is None and url.scheme == "https":
            context = trusted_context(self.verify)
        return partial(
            httpx.AsyncClient,
            transport=self.transport,
            verify=context,
            proxy=None if proxy is None else self._httpx_proxy(proxy),
            trust_env=False,  # read here, so that errors name the variable
            limits=limits,
            follow_redirects=False,  # a redirect could carry the token to another host
            event_hooks={"response": [drop_location_header]},
        )

    def describe(self, base_url: str) -> str:
        """Return a description of the route to a host, without a password.

        Raises:
            ConfigurationError: A variable of the environment is invalid.
        """
        url = httpx.URL(base_url)
        self.client_factory(url, httpx.Limits())
        proxy = self.proxy_of(url)
        words = "no proxy" if proxy is None else f"the proxy of {proxy.source} ({proxy.address})"
        if url.scheme != "https":
            return words
        return f"{words}; trusted certificates: {trust_source(self.verify)}"

    def _httpx_proxy(self, proxy: Proxy) -> httpx.Proxy:
        context: ssl.SSLContext | None = None
        if proxy.url.startswith("https:"):
            context = trusted_context(self.verify)
        return httpx.Proxy(proxy.url, ssl_context=context)


async def drop_location_header(response: httpx.Response) -> None:
    """Remove the Location header, because httpx parses it and fails if it is malformed."""
    response.headers.pop("location", None)


def _is_app_info(value: object) -> bool:
    return (
        isinstance(value, str)
        and len(value) <= _MAX_APP_INFO_CHARS
        and _APP_INFO.fullmatch(value) is not None
    )


def check_transport(transport: object) -> None:
    """Validate that an object is an asynchronous transport.

    Raises:
        ConfigurationError: It is not.
    """
    if transport is None:
        return
    if isinstance(transport, httpx.Client | httpx.AsyncClient):
        raise ConfigurationError(
            "transport: must be an asynchronous httpx transport, not a client; for a proxy or a CA"
            " use proxy= and verify="
        )
    if isinstance(transport, type) or not callable(
        getattr(transport, "handle_async_request", None)
    ):
        raise ConfigurationError(
            "transport: must be an asynchronous httpx transport (an instance), such as"
            " httpx.AsyncHTTPTransport(), also for Client"
        )


class NoNetwork(httpx.AsyncBaseTransport):
    """A transport that refuses every request, for a client that only reads the state of jobs."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Fail.

        Raises:
            httpx.ConnectError: Always.
        """
        raise httpx.ConnectError("this client has no network", request=request)


class ConnectionPool:
    """An httpx client for a limited number of concurrent calls.

    Args:
        make: Creates an httpx client.
        replaceable: Whether a new client can replace it; not with a custom transport.
    """

    def __init__(self, make: Callable[[], httpx.AsyncClient], *, replaceable: bool) -> None:
        self._make = make
        self._replaceable = replaceable
        self._client = make()
        self._slots = anyio.Semaphore(MAX_CALLS)
        self._active_calls: Counter[httpx.AsyncClient] = Counter()  # in progress, by client
        self._replaced: list[httpx.AsyncClient] = []
        self.has_answered = False  # whether a response was received

    async def acquire(self, timeout: float | None) -> httpx.AsyncClient:  # noqa: ASYNC109 - of httpx
        """Return the client for one call; `release` must follow.

        Args:
            timeout: Seconds to wait for a slot; ``None`` for no limit.

        Raises:
            httpx.PoolTimeout: All slots are in use for the whole timeout.
        """
        try:
            self._slots.acquire_nowait()
        except anyio.WouldBlock:
            with anyio.move_on_after(timeout) as waiting:
                await self._slots.acquire()
            if waiting.cancelled_caught:
                raise httpx.PoolTimeout(f"{MAX_CALLS} calls are in progress") from None
        client = self._client
        self._active_calls[client] += 1
        return client

    async def release(self, client: httpx.AsyncClient) -> None:
        """End a call; the last call on a replaced client closes it."""
        self._slots.release()
        self._active_calls[client] -= 1
        if not self._active_calls[client]:
            del self._active_calls[client]
            if client in self._replaced:
                self._replaced.remove(client)
                with anyio.CancelScope(shield=True):
                    await client.aclose()

    def replace(self, client: httpx.AsyncClient) -> bool:
        """Replace a client whose connections are lost.

        Returns:
            Whether there is another client to try.
        """
        if not self._replaceable:
            return False
        if client is self._client:
            self._replaced.append(client)
            self._client = self._make()
        return True

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()
        for client in self._replaced:
            await client.aclose()


@frozen
class Proxy:
    """A proxy, and the variable or argument that names it. Its ``repr`` hides the password."""

    url: str = field(repr=False)
    source: str

    @property
    def address(self) -> str:
        """Scheme, host and port, without user and password."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


@frozen
class _NoProxyEntry:
    """One entry of ``NO_PROXY``; fields that are None match anything."""

    network: _IPNetwork | None = None
    name: str | None = None
    port: int | None = None

    def matches(self, host: str, port: int) -> bool:
        if self.port not in (None, port):
            return False
        if self.network is not None:
            address = _ip_address(host)
            return address is not None and address in self.network
        name = self.name or ""
        if name == "<local>":
            return "." not in host and ":" not in host
        return host == name or host.endswith(f".{name}") or fnmatchcase(host, name)


def explicit_proxy(value: object) -> Proxy:
    """Return the proxy of an argument ``proxy``.

    Raises:
        ConfigurationError: It is not the URL of a proxy.
    """
    if not isinstance(value, str):
        raise ConfigurationError("proxy: must be a URL such as http://proxy.example:3128")
    result = _parse_proxy(value, "proxy")
    del value  # frames in error reports must not contain its password
    if isinstance(result, str):
        raise ConfigurationError(result)
    return result


def environment_proxy(host: str, port: int) -> Proxy | None:
    """Return the proxy of the environment or the system for an https host.

    Raises:
        ConfigurationError: A variable is invalid; the text names it, without a password.
    """
    proxies, exceptions = _environment()
    if any(entry.matches(host.lower().strip("[]").rstrip("."), port) for entry in exceptions):
        return None
    return proxies.get("https") or proxies.get("all")


def _environment() -> tuple[dict[str, Proxy], list[_NoProxyEntry]]:
    result = _read_environment()
    if isinstance(result, str):
        raise ConfigurationError(result)
    return result


def _read_environment() -> tuple[dict[str, Proxy], list[_NoProxyEntry]] | str:
    """Return the proxies and exceptions of the environment, or the text of an error.

    Nothing is raised here, because the frames in error reports would contain passwords.
    """
    from urllib.request import getproxies  # noqa: PLC0415 - heavy; httpx has loaded it

    settings = getproxies()  # case-insensitive; the settings of the system if no variable is set
    exceptions = _no_proxy_entries(settings.get("no") or "", _variable("no"))
    if isinstance(exceptions, str):
        return exceptions
    if any(entry.name == "*" for entry in exceptions):
        return {}, exceptions
    proxies: dict[str, Proxy] = {}
    for kind in ("http", "https", "all"):
        if settings.get(kind):
            proxy = _parse_proxy(settings[kind], _variable(kind))
            if isinstance(proxy, str):
                return proxy
            proxies[kind] = proxy
    return proxies, exceptions


def _variable(kind: str) -> str:
    """Return the name of the variable that contains a proxy, as it is written there."""
    lower = f"{kind}_proxy"
    names = [lower, lower.upper(), *(name for name in os.environ if name.lower() == lower)]
    return next((name for name in names if os.environ.get(name)), "the system's proxy settings")


def _parse_proxy(value: str, name: str) -> Proxy | str:
    """Return the proxy of a URL, or the text of an error without a password."""
    text = value.strip()
    if "://" not in text:
        text = f"http://{text}"
    parts = _split_url(text)
    if parts is None or not _is_host(parts.hostname or "") or parts.port == 0:
        return (
            f"{name}: must be a proxy URL such as http://host:3128; check host, port and the"
            " brackets of an IPv6 address, and percent-encode special characters of a password"
        )
    if parts.scheme not in _PROXY_SCHEMES:
        return f"{name}: the scheme of the proxy must be one of {', '.join(_PROXY_SCHEMES)}"
    if "@" in f"{parts.path}{parts.query}{parts.fragment}":
        return f"{name}: its user or password contains / ? or #; percent-encode them (%2F %3F %23)"
    if parts.scheme.startswith("socks") and find_spec("socksio") is None:
        return f"{name}: a SOCKS proxy needs the package socksio; pip install 'httpx[socks]'"
    url = f"{parts.scheme}://{parts.netloc}"
    if not _is_usable(url):
        return f"{name}: must be a proxy URL that httpx accepts; check the host"
    return Proxy(url, name)


def _is_usable(url: str) -> bool:
    """Return whether httpx accepts a proxy: it checks IPv4 addresses and IDNs more strictly."""
    try:
        httpx.Proxy(url)
    except (httpx.InvalidURL, ValueError):
        return False
    return True


def _split_url(text: str) -> SplitResult | None:
    """Return the parts of a URL or None; the library's error would quote the password."""
    if not text.isprintable() or " " in text:
        return None
    try:
        parts = urlsplit(text)
        _ = parts.port  # reading the port validates it
    except ValueError:
        return None
    return parts


def _is_host(host: str) -> bool:
    if _ip_address(host) is not None:
        return True
    if not _NAME.fullmatch(host):
        return False
    try:
        host.rstrip(".").encode("idna")  # the name resolution does the same
    except UnicodeError:
        return False
    return True


def _no_proxy_entries(text: str, name: str) -> list[_NoProxyEntry] | str:
    """Return the entries of ``NO_PROXY``, or the text of an error."""
    result: list[_NoProxyEntry] = []
    for number, entry in enumerate((e for e in re.split(r"[,\s]+", text) if e), 1):
        parsed = _no_proxy_entry(entry)
        if parsed is None:
            return (
                f"{name}: entry {number} is not a host, host:port, IP address or network; write"
                " e.g. localhost,.example.com,10.0.0.0/8,[::1]"
            )
        if parsed.port != 0:  # 0 means another scheme
            result.append(parsed)
    return result


def _no_proxy_entry(entry: str) -> _NoProxyEntry | None:
    """Return one entry; None if it is invalid."""
    scheme, sign, rest = entry.lower().rpartition("://")
    if sign and scheme not in ("http", "https", "all"):
        return None
    if sign:
        rest = rest.rstrip("/")
    if scheme == "http":
        return _NoProxyEntry(port=0)
    network = _ip_network(rest)
    if network is not None:
        return _NoProxyEntry(network)
    match = _HOST_AND_PORT.fullmatch(rest)
    port = None if match is None or match[3] is None else _port(match[3])
    if match is None or (match[3] is not None and port is None):
        return None
    network = _ip_network(match[1] or match[2])
    if network is not None:
        return _NoProxyEntry(network, port=port)
    name = match[2]
    if name not in ("*", "<local>", None):
        name = name.removeprefix("*").strip(".")
    return _NoProxyEntry(name=name, port=port) if name else None


def _port(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and 0 < int(text) <= _MAX_PORT else None


def _ip_network(text: str) -> _IPNetwork | None:
    try:
        return ipaddress.ip_network(text.strip("[]") if "/" in text else text, strict=False)
    except ValueError:
        return None


def _ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def trusted_context(verify: Verify | None) -> ssl.SSLContext:
    """Return the TLS context of a client.

    Args:
        verify: The argument of the client. None for ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``, then
            for the trust store of the operating system.

    Raises:
        ConfigurationError: A file cannot be read or has no certificate; the text names the
            argument or variable.
    """
    if isinstance(verify, ssl.SSLContext):
        return verify
    if verify is not None:
        path = _path(verify)
        if path.is_dir():
            return _context((None, ""), _check_folders(str(path), "verify"), "verify")
        return _context(_check_file(path, "verify"), "", "verify")
    file, folders = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if not file and not folders:
        return _system_context(os.environ.get("SSLKEYLOGFILE"))
    name = "SSL_CERT_FILE" if file else "SSL_CERT_DIR"
    checked = _check_file(Path(file), "SSL_CERT_FILE") if file else (None, "")
    return _context(checked, _check_folders(folders, "SSL_CERT_DIR") if folders else "", name)


def trust_source(verify: Verify | None) -> str:
    """Return a description of the source of the trusted certificates."""
    if verify is not None:
        return "verify"
    names = [name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)]
    return " and ".join(names) or "the operating system"


@functools.cache
def empty_ssl_context() -> ssl.SSLContext:
    """Return a context without trusted certificates, for clients that do not use TLS."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _path(verify: object) -> Path:
    if not isinstance(verify, str | os.PathLike) or not os.fspath(verify):
        raise ConfigurationError(
            "verify: must be the path of a CA file or folder, or an ssl.SSLContext; verification"
            " cannot be turned off"
        )
    return Path(os.fsdecode(cast("str | os.PathLike[str]", verify)))


def _check_file(path: Path, name: str) -> tuple[str | None, str]:
    """Return a file of certificates, and a mark that changes with the file."""
    try:
        if path.is_dir():
            raise ConfigurationError(f"{name}: {path} is a folder; it must be a file in PEM format")
        with path.open("rb") as file:
            stat = os.fstat(file.fileno())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise ConfigurationError(f"{name}: {path} cannot be read ({reason})") from None
    return str(path), f"{stat.st_ino} {stat.st_size} {stat.st_mtime_ns}"


def _check_folders(text: str, name: str) -> str:
    """Return folders of certificates, if they contain a certificate."""
    try:
        names = [
            entry for folder in text.split(os.pathsep) if folder for entry in _file_names(folder)
        ]
    except (OSError, ValueError) as error:
        where = getattr(error, "filename", None) or "a folder"
        reason = getattr(error, "strerror", None) or "not a path"
        raise ConfigurationError(f"{name}: {where} cannot be read ({reason})") from None
    if not any(_HASHED_NAME.fullmatch(entry) for entry in names):
        raise ConfigurationError(
            f"{name}: contains no certificate that OpenSSL finds; run `openssl rehash` on the"
            " folder, or set SSL_CERT_FILE"
        )
    return os.pathsep.join(filter(None, text.split(os.pathsep)))


def _file_names(folder: str) -> list[str]:
    return [entry.name for entry in Path(folder).iterdir()]


def _context(file: tuple[str | None, str], folders: str, name: str) -> ssl.SSLContext:
    try:
        return _load_context(*file, folders, os.environ.get("SSLKEYLOGFILE"))
    except ssl.SSLError:
        raise ConfigurationError(
            f"{name}: {file[0]} contains no certificate in PEM format (-----BEGIN CERTIFICATE-----)"
        ) from None
    except OSError as error:
        raise _key_log_error(error) from None


@functools.lru_cache(maxsize=16)
def _load_context(
    file: str | None,
    mark: str,  # noqa: ARG001 - part of the cache key
    folders: str,
    key_log: str | None,  # noqa: ARG001 - part of the cache key; Python reads it itself
) -> ssl.SSLContext:
    first, *rest = folders.split(os.pathsep)
    context = ssl.create_default_context(cafile=file, capath=first or None)
    for folder in filter(None, rest):
        context.load_verify_locations(capath=folder)
    return context


def _key_log_error(error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"SSLKEYLOGFILE: cannot be written ({error.strerror}); unset it, or use another file"
    )


def _system_context(key_log: str | None) -> ssl.SSLContext:
    try:
        return _load_system_context(key_log)
    except ssl.SSLError as error:
        raise ConfigurationError(
            f"the certificates of the operating system cannot be loaded ({error.reason}); set"
            " SSL_CERT_FILE to a PEM file, or pass verify="
        ) from None
    except OSError as error:
        raise _key_log_error(error) from None


@functools.lru_cache(maxsize=4)
def _load_system_context(key_log: str | None) -> ssl.SSLContext:  # noqa: ARG001 - part of the cache key
    """Return a context with the certificates of the operating system, else those of httpx."""
    if sys.platform in ("darwin", "win32"):
        context = native_context()
        if context is not None:
            return context
    context = ssl.create_default_context()
    if not _finds_certificates(context):
        bundle = next((path for path in _BUNDLES if Path(path).is_file()), None)
        context.load_verify_locations(cafile=bundle or _certifi())
    return context


def native_context() -> ssl.SSLContext | None:
    """Return a context that uses the trust store of macOS or Windows; None if unavailable.

    Not for Linux: its trust store is a file that OpenSSL reads itself, and truststore would read
    it again for each connection, which takes about 50 ms of CPU.
    """
    try:
        import truststore  # noqa: PLC0415 - only when used

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    except Exception:  # noqa: BLE001 - truststore may raise anything here; OpenSSL's certificates remain
        return None


def _finds_certificates(context: ssl.SSLContext) -> bool:
    if context.cert_store_stats()["x509_ca"]:
        return True
    folders = (ssl.get_default_verify_paths().capath or "").split(os.pathsep)
    there = [folder for folder in folders if folder and Path(folder).is_dir()]
    return any(_HASHED_NAME.fullmatch(name) for folder in there for name in _file_names(folder))


def _certifi() -> str:
    import certifi  # noqa: PLC0415 - a dependency of httpx, for systems without certificates

    return certifi.where()


@frozen
class ConnectionFailure:
    """Why there was no response.

    Attributes:
        reason: A code for programs.
        text: A description, without addresses, headers or bodies.
        never_sent: Whether no byte of the request was sent.
        transient: Whether another attempt may succeed.
    """

    reason: str
    text: str
    never_sent: bool
    transient: bool = True


def explain_failure(
    error: httpx.RequestError, *, host: str, proxy: Proxy | None
) -> ConnectionFailure:
    """Return why a request had no response.

    Args:
        error: The exception of httpx.
        host: The host of the request.
        proxy: The proxy on the way to it.
    """
    reason, text, transient = _describe(error, host, proxy)
    return ConnectionFailure(reason, text, isinstance(error, _NEVER_SENT), transient)


def _describe(error: httpx.RequestError, host: str, proxy: Proxy | None) -> tuple[str, str, bool]:
    way = "" if proxy is None else f" to the proxy of {proxy.source} ({proxy.address})"
    if isinstance(error, httpx.ProxyError):
        return _proxy_refused(error, proxy)
    if isinstance(error, httpx.ConnectError):
        return _not_connected(error, host, proxy, way)
    kind = type(error).__name__
    reason, text = next(
        (reason for kind_, reason in _TEXTS.items() if isinstance(error, kind_)),
        ("protocol", f"the connection broke ({kind})"),
    )
    return reason, text.format(kind=kind, way=way), True


def _proxy_refused(error: httpx.ProxyError, proxy: Proxy | None) -> tuple[str, str, bool]:
    of = "" if proxy is None else f" of {proxy.source}"
    match = _STATUS.match(str(error))
    if match is None:  # a SOCKS proxy has no status
        return "proxy", f"the proxy{of} refused the connection", True
    status = int(match[1])
    if status == _PROXY_AUTH_REQUIRED:
        name = "the URL of the proxy" if proxy is None else proxy.source
        text = (
            f"the proxy{of} requires a user and a password (407); add them to {name}, as"
            " http://USER:PASSWORD@HOST:PORT"
        )
        return "proxy_authentication", text, False
    transient = status in _TRANSIENT_4XX or status >= 500  # noqa: PLR2004 - HTTP statuses read best
    reason = "proxy" if transient else "proxy_refused"
    return reason, f"the proxy{of} refused the connection ({status})", transient


def _not_connected(
    error: httpx.ConnectError, host: str, proxy: Proxy | None, way: str
) -> tuple[str, str, bool]:
    to = way or f" to {host}"
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "certificate", _certificate(cause, host, proxy), False
        if isinstance(cause, ssl.SSLError):
            word = cause.reason or type(cause).__name__
            return (
                "tls",
                f"no TLS connection to {host} ({word}); check the port of the base URL",
                True,
            )
        if isinstance(cause, socket.gaierror | socket.herror | UnicodeError):
            name = host if proxy is None else f"the proxy of {proxy.source}"
            text = f"no connection: the name of {name} could not be resolved"
            return "name_resolution", text, True
        if isinstance(cause, OSError) and cause.errno in _ERRNOS:
            reason, words = _ERRNOS[cause.errno]
            if reason == "refused" and proxy is None and is_loopback(host):
                words += _LOCAL_HINT
            return reason, f"no connection{to}: {words}", True
    return (
        "network",
        f"no connection{way}; check the base URL, the network and the certificates",
        True,
    )


def _certificate(error: ssl.SSLCertVerificationError, host: str, proxy: Proxy | None) -> str:
    if proxy is not None and proxy.url.startswith("https:"):
        host = f"{host} (or of the proxy of {proxy.source})"
    code = getattr(error, "verify_code", 0)
    if code == _EXPIRED:
        return f"the certificate of {host} has expired; check the server and this machine's clock"
    if code == _NOT_YET_VALID:
        return f"the certificate of {host} is not yet valid; check the clock of this machine"
    if code in (_HOST_MISMATCH, _IP_MISMATCH):
        return f"the certificate is for another host name than {host}; check base_url"
    detail = getattr(error, "verify_message", "") or "unknown authority"
    return f"the certificate of {host} is not trusted ({detail}); {_CA_HINT}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes, including members of exception groups."""
    left: list[BaseException | None] = [error]
    for _ in range(_MAX_CAUSES):
        if not left:
            return
        cause = left.pop(0)
        if cause is None:
            continue
        yield cause
        if isinstance(cause, BaseExceptionGroup):
            left += cast("BaseExceptionGroup[BaseException]", cause).exceptions
        left += [cause.__cause__ or cause.__context__]
