"""A web server with files on the loopback interface, and with requests that fail."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["Server", "running_server"]


class Server(ThreadingHTTPServer):
    """A web server with files, and requests that fail."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """Serves files by path; the first folder of a path is how the request ends."""

    server: Server

    def do_HEAD(self) -> None:
        self.answer(head=True)

    def do_GET(self) -> None:
        self.answer(head=False)

    def answer(self, *, head: bool) -> None:
        """Send a file, a part of it, or an error."""
        self.server.requests.append(f"{self.command} {self.path}")
        path, _, query = self.path.partition("?")
        how, name = path.strip("/").split("/", 1)
        if how.isdigit():
            return self.send_error(int(how))
        if how == "redirect":
            self.send_response(302)
            self.send_header("Location", f"/files/{name}?{query}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        data = self.server.files[name]
        start, end = 0, len(data)
        ranged = self.headers.get("Range") if how != "noranges" else None
        if ranged:
            first, _, last = ranged.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last or len(data)) + 1, len(data))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
        else:
            self.send_response(200)
        if how != "noranges":
            self.send_header("Accept-Ranges", "bytes")
        if how == "encoded":
            data = gzip.compress(data)
            end = len(data)
            self.send_header("Content-Encoding", "gzip")
        if how != "nolength":
            self.send_header("Content-Length", str(end - start))
        self.end_headers()
        if head:
            return None
        body = data[start:end]
        if how in ("files", "noranges", "nolength", "encoded"):
            self.wfile.write(body)
            return None
        self.wfile.write(body[: len(body) // 2])
        self.wfile.flush()
        if how == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.close_connection = True
        return None

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def running_server() -> Iterator[Server]:
    """Run a server until the block ends."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
