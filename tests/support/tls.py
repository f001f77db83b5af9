"""A certificate authority of our own, and a proxy that only tunnels."""

from __future__ import annotations

import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from attrs import define, field

_CONFIG = """
[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
[host]
basicConstraints = CA:false
subjectAltName = DNS:localhost,IP:127.0.0.1
authorityKeyIdentifier = keyid
"""


@define
class Authority:
    """Signs certificates for localhost.

    Attributes:
        path: Its own certificate, for who is to trust it.
    """

    path: Path
    _chain: Path

    def server_context(self) -> ssl.SSLContext:
        """Return a context for a server at localhost."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._chain)
        return context


def make_authority(folder: Path) -> Authority:
    """Make a CA and a certificate of its with the openssl command, or skip the test."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("the openssl command is not here, which makes the certificates")
    config = folder / "openssl.cnf"
    config.write_text(_CONFIG)

    def run(*arguments: str) -> None:
        subprocess.run([openssl, *arguments], check=True, capture_output=True, cwd=folder)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config", str(config))
    run(
        "req",
        "-x509",
        *key,
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
        "-subj",
        "/CN=our CA",
        "-days",
        "2",
        "-extensions",
        "ca",
    )
    run("req", *key, "-keyout", "host.key", "-out", "host.csr", "-subj", "/CN=localhost")
    run(
        "x509",
        "-req",
        "-in",
        "host.csr",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-out",
        "host.pem",
        "-days",
        "2",
        "-extfile",
        str(config),
        "-extensions",
        "host",
        "-CAcreateserial",
    )
    chain = folder / "chain.pem"
    chain.write_text((folder / "host.key").read_text() + (folder / "host.pem").read_text())
    return Authority(folder / "ca.pem", chain)


@define
class Proxy:
    """An http proxy that tunnels.

    Attributes:
        url: Where it is.
        tunnels: Where its clients wanted to be led.
    """

    url: str
    tunnels: list[str] = field(factory=list[str])


@contextmanager
def proxy() -> Iterator[Proxy]:
    """Run an http proxy on a loopback socket."""
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

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Tunnel) as server:
        found.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # one of them has gone
