"""The log of the embedded emulator: requests that its file does not know of yet."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from pinterest_audiences.emulator.messages import Request

__all__ = ["Log", "LoggedRequest"]

_LENGTHS = struct.Struct(">II")  # of the head, and of the body behind it
_KEPT = ("authorization", "content-type", "host")


@frozen(repr=False)
class LoggedRequest:
    """A request that was answered once.

    Attributes:
        number: How many had been answered before it.
        time: When, in Unix seconds.
        request: The request.
    """

    number: int
    time: float
    request: Request


class Log:
    """A file of requests; only its owner may read it, for it holds records and tokens.

    Args:
        path: Where it is; made with the first request.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def used(self) -> bool:
        """Whether there is anything in it."""
        return self._path.exists()

    def add(self, number: int, time: float, request: Request) -> None:
        """Keep a request before it is answered.

        Args:
            number: How many were answered before it.
            time: When, in Unix seconds.
            request: The request.
        """
        headers = {name: request.headers[name] for name in _KEPT if name in request.headers}
        told = [number, time, request.method, request.path, request.query, headers]
        head = json.dumps(told).encode()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        with os.fdopen(os.open(self._path, flags, 0o600), "ab") as file:
            file.write(_LENGTHS.pack(len(head), len(request.body)) + head + request.body)

    def read(self) -> Iterator[LoggedRequest]:
        """Return the requests, oldest first; one that was cut off by a crash was not answered."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            while len(lengths := file.read(_LENGTHS.size)) == _LENGTHS.size:
                head_length, body_length = _LENGTHS.unpack(lengths)
                head, body = file.read(head_length), file.read(body_length)
                if len(head) + len(body) < head_length + body_length:
                    return
                number, time, method, path, query, headers = json.loads(head)
                request = Request(method=method, path=path, query=query, headers=headers, body=body)
                yield LoggedRequest(number, time, request)

    def clear(self) -> None:
        """Begin anew."""
        self._path.unlink(missing_ok=True)
