"""What every benchmark shares: rows of a table, medians of interleaved runs, a canned server.

A figure is always a ratio or a difference against a floor measured in the same run, because
machines are noisy and only what ran side by side can be compared.
"""

from __future__ import annotations

import gc
import multiprocessing
import socket
import statistics
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from attrs import frozen

ROUNDS = 7


@frozen
class Row:
    """One line of the table; ``value`` is held against ``goal``."""

    figure: str
    floor: str
    value: float
    unit: str
    goal: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the goal is met."""
        return self.value >= self.goal if self.at_least else self.value <= self.goal


def show(rows: list[Row]) -> None:
    """Print the table."""
    print(f"{'figure':<44} {'floor':<34} {'measured':>12} {'goal':>12}  met")
    for row in rows:
        sign = ">=" if row.at_least else "<="
        goal = f"{sign} {row.goal:g} {row.unit}"
        measured = f"{row.value:.3g} {row.unit}"
        verdict = "yes" if row.met else "NO"
        print(f"{row.figure:<44} {row.floor:<34} {measured:>12} {goal:>12}  {verdict}")


async def side_by_side(
    floor: Callable[[], Awaitable[object]],
    ours: Callable[[], Awaitable[object]],
    clock: Callable[[], float] = time.process_time,
) -> tuple[float, float]:
    """Run both in turn and return the median seconds of each; the first round warms up."""
    spent: tuple[list[float], list[float]] = ([], [])
    for turn in range(ROUNDS + 1):
        for seconds, run in zip(spent, (floor, ours), strict=True):
            gc.collect()
            start = clock()
            await run()
            if turn:
                seconds.append(clock() - start)
    return statistics.median(spent[0]), statistics.median(spent[1])


@contextmanager
def canned_server(answer: Callable[[bytes], bytes]) -> Iterator[str]:
    """Serve ``answer(request head)`` from a process of its own, so that its time is not counted.

    Yields:
        The base URL.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_serve, args=(listener, answer), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v5"
    finally:
        process.terminate()
        process.join()
        listener.close()


def json_answer(body: bytes) -> bytes:
    """Make a whole HTTP answer around a JSON body."""
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _serve(listener: socket.socket, answer: Callable[[bytes], bytes]) -> None:
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_serve_connection, args=(connection, answer), daemon=True).start()


def _serve_connection(connection: socket.socket, answer: Callable[[bytes], bytes]) -> None:
    buffer = b""
    while True:
        while b"\r\n\r\n" not in buffer:
            received = connection.recv(1 << 20)
            if not received:
                return
            buffer += received
        head, _, rest = buffer.partition(b"\r\n\r\n")
        left = _content_length(head) - len(rest)
        while left > 0:
            left -= len(connection.recv(1 << 20))
        connection.sendall(answer(head))
        buffer = b""


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.split(b":")[1])
    return 0
