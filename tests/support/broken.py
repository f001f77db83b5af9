"""Malformed requests, as bytes on a socket, reproducible by seed."""

from __future__ import annotations

import random
import re
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS_TO_ANSWER = 20.0
_STATUS_LINE = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_LISTS = "/v5/ad_accounts/549/customer_lists"
_FORM = "grant_type=refresh_token&refresh_token=x"


def _whole(method: str, target: str, body: str = "", *more: str) -> bytes:
    lines = [
        f"{method} {target} HTTP/1.1",
        "Host: localhost:8765",
        "Authorization: Bearer pina_test",
        *more,
    ]
    if body and not any(line.startswith("Transfer-Encoding") for line in more):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", body]).encode()


_GOOD = [
    _whole("GET", f"{_LISTS}?page_size=25&order=ASCENDING&bookmark=P2%26c%3Dx"),
    _whole("POST", _LISTS, '{"name": "Spring", "records": "a@example.com", "is_nca": false}'),
    _whole("POST", _LISTS, '{"name": "Spring", "records_v2": [{"email": "a"}, {"maid": "b"}]}'),
    _whole("GET", f"{_LISTS}/2542620"),
    _whole("PATCH", f"{_LISTS}/2542620", '{"operation_type": "ADD", "records": "a,b"}'),
    _whole("POST", f"{_LISTS}/2542620/uploads", '{"operation": "ADD", "total_parts": 2}'),
    _whole("POST", f"{_LISTS}/2542620/uploads/1/run"),
    _whole("PUT", "/_s3/customer-list-uploads/1/1?X-Amz-Signature=00", "a\nb\n"),
    _whole("GET", "/v5/ad_accounts/549/audiences?ownership_type=OWNED"),
    _whole("POST", "/v5/ad_accounts/549/audiences", '{"name": "A", "rule": {"a": 1}}'),
    _whole("POST", "/v5/oauth/token", _FORM, "Content-Type: application/x-www-form-urlencoded"),
    _whole("POST", "/v5/oauth/token/revoke", "token=x"),
    _whole("POST", _LISTS, "5\r\n{}   \r\n0\r\n\r\n", "Transfer-Encoding: chunked"),
    _whole("POST", _LISTS, "{}", "Expect: 100-continue"),
    _whole("GET", "/_emulator/journal?limit=5"),
    _whole("POST", "/_emulator/clock", '{"seconds": 1}'),
    _whole("POST", "/_emulator/faults", '{"kind": "flood"}'),
    _whole("GET", "/"),
    _whole("BREW", "http://localhost/v5/teapot"),
    _whole("OPTIONS", "*"),
]
_SPLICES = [
    b"\x00",
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b" ",
    b":",
    b"%",
    b"%ff",
    b"\xff\xfe",
    b"{",
    b"[" * 1000,
    b'"',
    b",",
    b"9" * 40,
    b"-1",
    b"1e999",
    b"NaN",
    b"null",
    b"../..",
    b"a" * 70_000,
    b"Content-Length: 99999999999\r\n",
    b"Content-Length: 5\r\nContent-Length: 6\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Connection: upgrade\r\nUpgrade: h2c\r\n",
    b"\\ud800",
    b"\xed\xa0\x80",
]


def broken_requests(seed: int, count: int) -> Iterator[bytes]:
    """Generate requests that are malformed in one to four places, and some random bytes.

    Yields:
        The bytes of each.
    """
    chance = random.Random(seed)
    for _ in range(count):
        if chance.random() < 0.03:
            yield chance.randbytes(chance.randrange(1, 300))
            continue
        request = bytearray(chance.choice(_GOOD))
        for _ in range(chance.choice((1, 1, 2, 4))):
            chance.choice(_WAYS)(request, chance)
        # With its right length a broken body is read, and not only waited for.
        yield _measured(bytes(request)) if chance.random() < 0.6 else bytes(request)


def _measured(request: bytes) -> bytes:
    head, end, body = request.partition(b"\r\n\r\n")
    length = b"Content-Length: %d" % len(body)
    return re.sub(rb"Content-Length: \d+", length, head, count=1) + end + body


def _flip(request: bytearray, chance: random.Random) -> None:
    if request:
        request[chance.randrange(len(request))] = chance.randrange(256)


def _cut(request: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(request) + 1)
    del request[start : start + chance.randrange(1, 30)]


def _end(request: bytearray, chance: random.Random) -> None:
    del request[chance.randrange(len(request) + 1) :]


def _splice(request: bytearray, chance: random.Random) -> None:
    where = chance.randrange(len(request) + 1)
    request[where:where] = chance.choice(_SPLICES)


def _repeat(request: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(request) + 1)
    piece = request[start : start + chance.randrange(1, 60)]
    request[start:start] = piece * chance.randrange(1, 4)


_WAYS: list[Callable[[bytearray, random.Random], None]] = [
    _flip,
    _flip,
    _cut,
    _end,
    _splice,
    _repeat,
]


def answers_to(base_url: str, request: bytes) -> list[int]:
    """Send bytes, shut down the sending side, and return the statuses of all responses.

    Raises:
        TimeoutError: The server neither completed its response nor closed the connection.
    """
    url = urlsplit(base_url)
    address = (str(url.hostname), url.port or 0)
    received = b""
    with socket.create_connection(address, timeout=SECONDS_TO_ANSWER) as connection:
        try:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(1 << 16):
                received += piece
        except (ConnectionResetError, BrokenPipeError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
    return [int(status) for status in _STATUS_LINE.findall(received)]
