"""Shared code of the benchmarks: table rows, medians of interleaved runs, a server for tests.

Every figure is a ratio to, or a difference from, a baseline measured in the same run: machines are
noisy, and only figures that were measured together can be compared.
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
    """One line of the table: ``value`` is compared with ``goal``.

    Attributes:
        spread: The lowest and the highest value of the rounds that `value` is the median of.
    """

    figure: str
    baseline: str
    value: float
    unit: str
    goal: float
    at_least: bool = False
    spread: tuple[float, float] | None = None

    @property
    def verdict(self) -> str:
        """Whether the goal is met; a negative figure is noise, which meets nothing."""
        if self.value < 0:
            return "NOISE"
        met = self.value >= self.goal if self.at_least else self.value <= self.goal
        return "yes" if met else "NO"


def show(rows: list[Row]) -> None:
    """Print the table."""
    print(f"{'figure':<46} {'baseline':<34} {'median [lowest..highest]':>26} {'goal':>12}  met")
    for row in rows:
        sign = ">=" if row.at_least else "<="
        goal = f"{sign} {row.goal:g} {row.unit}"
        measured = f"{row.value:.3g} {row.unit}"
        if row.spread is not None:
            measured += f" [{row.spread[0]:.3g}..{row.spread[1]:.3g}]"
        print(f"{row.figure:<46} {row.baseline:<34} {measured:>26} {goal:>12}  {row.verdict}")


def median_row(figure: str, baseline: str, values: list[float], unit: str, goal: float) -> Row:
    """Return the row of the median of some rounds, with their spread."""
    spread = (min(values), max(values))
    return Row(figure, baseline, statistics.median(values), unit, goal, spread=spread)


@frozen
class Rounds:
    """Seconds of a baseline and of our code, which ran in turns."""

    baseline: list[float]
    ours: list[float]

    def ratio(self, figure: str, baseline: str, goal: float) -> Row:
        """Return the row of the ratio of each round."""
        ratios = [ours / base for base, ours in zip(self.baseline, self.ours, strict=True)]
        return median_row(figure, baseline, ratios, "x", goal)

    def difference(
        self, figure: str, baseline: str, *, units: float, unit: str, goal: float
    ) -> Row:
        """Return the row of the difference of each round.

        Args:
            figure: What is measured.
            baseline: What it is compared with.
            units: How many of the unit a second is.
            unit: The unit.
            goal: The highest difference in that unit.
        """
        pairs = zip(self.baseline, self.ours, strict=True)
        return median_row(figure, baseline, [units * (o - b) for b, o in pairs], unit, goal)


def in_turns(
    run_baseline: Callable[[], float], run_ours: Callable[[], float], rounds: int = ROUNDS
) -> Rounds:
    """Run both, which return seconds, in turns; the first round is a warm-up.

    The order changes from round to round, so that a drift of the machine affects both.
    """
    measured = Rounds([], [])
    pairs = [(measured.baseline, run_baseline), (measured.ours, run_ours)]
    for turn in range(rounds + 1):
        for seconds, run in pairs if turn % 2 else pairs[::-1]:
            took = run()
            if turn:
                seconds.append(took)
    return measured


async def side_by_side(
    baseline: Callable[[], Awaitable[object]],
    ours: Callable[[], Awaitable[object]],
    clock: Callable[[], float] = time.process_time,
) -> Rounds:
    """Await both in turns and measure them; otherwise like `in_turns`."""
    measured = Rounds([], [])
    pairs = [(measured.baseline, baseline), (measured.ours, ours)]
    for turn in range(ROUNDS + 1):
        for seconds, run in pairs if turn % 2 else pairs[::-1]:
            gc.collect()
            start = clock()
            await run()
            if turn:
                seconds.append(clock() - start)
    return measured


@contextmanager
def canned_server(respond: Callable[[bytes], bytes]) -> Iterator[str]:
    """Serve ``respond(request head)`` from a separate process, so that its time is not counted.

    Yields:
        The base URL.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_serve, args=(listener, respond), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v5"
    finally:
        process.terminate()
        process.join()
        listener.close()


def json_response(body: bytes) -> bytes:
    """Return a complete HTTP response with a JSON body."""
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _serve(listener: socket.socket, respond: Callable[[bytes], bytes]) -> None:
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_serve_connection, args=(connection, respond), daemon=True).start()


def _serve_connection(connection: socket.socket, respond: Callable[[bytes], bytes]) -> None:
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
        connection.sendall(respond(head))
        buffer = b""


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.split(b":")[1])
    return 0
