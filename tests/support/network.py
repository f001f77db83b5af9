"""Certificates for TLS servers of tests, a proxy that tunnels, and a proxy that refuses."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from attrs import define, field

PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
VARIABLES = (
    *PROXY_VARIABLES,
    *(name.lower() for name in PROXY_VARIABLES),
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SSLKEYLOGFILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "REQUEST_METHOD",
)


@define
class Certificates:
    """A certificate authority, and server contexts with certificates that it signed."""

    authority: trustme.CA = field(factory=trustme.CA)

    def pem(self, path: Path) -> Path:
        """Write the authority's certificate to a file."""
        self.authority.cert_pem.write_to_path(str(path))
        return path

    def server(self, *names: str, ended: bool = False, not_begun: bool = False) -> ssl.SSLContext:
        """Return the context of a server with these names; without any, localhost."""
        now = datetime.now(UTC)
        day = timedelta(days=1)
        begin = now + day if not_begun else now - 2 * day
        end = now - day if ended else now + 2 * day
        names = names or ("localhost", "127.0.0.1", "::1")
        leaf = self.authority.issue_cert(*names, not_before=begin, not_after=end)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        leaf.configure_cert(context)
        return context


@define
class RefusingProxy:
    """A proxy that refuses every request.

    Attributes:
        url: Its address.
        requests: The first line of each request.
    """

    url: str
    requests: list[str] = field(factory=list[str])


@contextmanager
def loopback_server(handler: type[socketserver.StreamRequestHandler]) -> Iterator[str]:
    """Run a server in threads on a loopback socket; yield its URL."""

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def refusing_proxy(status: str) -> Iterator[RefusingProxy]:
    """Run a proxy that responds with one status, e.g. ``502 Bad Gateway``."""
    found = RefusingProxy("")

    class Refuse(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            found.requests.append(self.rfile.readline().decode().strip())
            while self.rfile.readline().strip():
                pass
            self.wfile.write(f"HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n".encode())

    with loopback_server(Refuse) as found.url:
        yield found


@define
class Proxy:
    """An HTTP proxy that tunnels.

    Attributes:
        url: Its address.
        tunnels: The targets that its clients asked for.
    """

    url: str
    tunnels: list[str] = field(factory=list[str])


@contextmanager
def proxy() -> Iterator[Proxy]:
    """Run an HTTP proxy on a loopback socket."""
    found = Proxy("")

    class Tunnel(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            _, target, _ = self.rfile.readline().decode().split(" ")
            while self.rfile.readline().strip():
                pass
            found.tunnels.append(target)
            host, _, port = target.partition(":")
            with socket.create_connection((host, int(port))) as other:
                self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
                back = threading.Thread(target=_pump, args=(other, self.connection))
                back.start()
                _pump(self.connection, other)
                back.join()

    with loopback_server(Tunnel) as found.url:
        yield found


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # one of them has gone
