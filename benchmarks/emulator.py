"""Measure the emulator: connections, requests a second, pagination, and fixtures in tests."""

from __future__ import annotations

import functools
import itertools
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import anyio
import anyio.abc
from harness import Row, in_turns, median_row, show

from pinterest_audiences import AsyncClient
from pinterest_audiences.emulator import Emulator, serve

ACCOUNT = "549755885175"
CONNECTIONS, PER_SECOND, SECONDS = 1_000, 500, 20
LISTS, PAGE = 100_000, 250
FEW, MANY, ROUNDS = 50, 550, 5


@contextmanager
def served(lists: int) -> Iterator[tuple[str, int]]:
    """Serve an emulator without rate limits from a separate process.

    Yields:
        Its base URL and the id of its process.
    """
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")  # a fork would inherit the event loop
    process = context.Process(target=_serve, args=(theirs, lists), daemon=True)
    process.start()
    try:
        if not ours.poll(60):
            raise AssertionError("the server did not start")
        yield ours.recv(), process.pid or 0
    finally:
        process.terminate()
        process.join()


def _serve(sender: Connection, lists: int) -> None:
    emulator = Emulator(rate_limits=None)
    emulator.seed_lists(ACCOUNT, lists)

    async def run() -> None:
        async with serve(emulator) as base_url:
            sender.send(base_url)
            await anyio.sleep_forever()

    anyio.run(run)


def cpu_seconds(process: int) -> float:
    """Return the CPU seconds of a process so far, as Linux counts them."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def load() -> list[Row]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    with served(100) as (base_url, process):
        address = base_url.removeprefix("http://").partition(":")
        port = int(address[2].removesuffix("/v5"))
        streams = [await anyio.connect_tcp("127.0.0.1", port) for _ in range(CONNECTIONS)]
        before, started = cpu_seconds(process), time.monotonic()
        waits, errors = await _send_all(streams)
        took = time.monotonic() - started
        used = (cpu_seconds(process) - before) / took * 100
        for stream in streams:
            await stream.aclose()
    baseline = f"{CONNECTIONS:,} keep-alive connections"
    slowest = statistics.quantiles(waits, n=100)[98] * 1000
    return [
        Row(
            "responses a second",
            baseline,
            len(waits) / took,
            "/s",
            PER_SECOND * 0.99,
            at_least=True,
        ),
        Row("errors", baseline, errors, "", 0),
        Row("99 % of responses within", baseline, slowest, "ms", 100),
        Row("CPU of the server, of one core", baseline, used, "%", 100),
    ]


async def _send_all(streams: list[anyio.abc.SocketStream]) -> tuple[list[float], int]:
    request = (
        f"GET /v5/ad_accounts/{ACCOUNT}/customer_lists?page_size=25 HTTP/1.1\r\n"
        "Host: localhost\r\nAuthorization: Bearer x\r\n\r\n"
    ).encode()
    waits: list[float] = []
    errors = 0
    # On a busy machine the next request of a connection may be due before its last response has
    # come: then it waits, as in a client with as many connections, and the wait counts.
    locks = {stream: anyio.Lock() for stream in streams}

    async def ask(stream: anyio.abc.SocketStream) -> None:
        nonlocal errors
        start = time.monotonic()
        try:
            async with locks[stream]:
                await stream.send(request)
                response = await _read_response(stream)
        except (anyio.BrokenResourceError, anyio.EndOfStream):
            errors += 1
            return
        waits.append(time.monotonic() - start)
        errors += not response.startswith(b"HTTP/1.1 200 ")

    async with anyio.create_task_group() as group:
        start = time.monotonic()
        turns = itertools.cycle(streams)
        for number in range(PER_SECOND * SECONDS):
            await anyio.sleep(max(0.0, start + number / PER_SECOND - time.monotonic()))
            group.start_soon(ask, next(turns))
    return waits, errors


async def _read_response(stream: anyio.abc.SocketStream) -> bytes:
    received = await stream.receive()
    while b"\r\n\r\n" not in received:
        received += await stream.receive()
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += await stream.receive()
    return head + body


async def walk() -> Row:
    """Page through many lists; the CPU time of each side is counted."""
    with served(LISTS) as (base_url, process):
        ratios: list[float] = []
        for _ in range(3):
            async with AsyncClient("token", base_url=base_url) as client:
                theirs, ours = cpu_seconds(process), time.process_time()
                count = 0
                async for _ in client.customer_lists_list(ACCOUNT, page_size=PAGE):
                    count += 1
                if count != LISTS:
                    raise AssertionError("every list must be returned")
                ours = time.process_time() - ours
                ratios.append((cpu_seconds(process) - theirs) / ours)
    baseline = "the client's CPU for the same walk"
    return median_row(f"walk {LISTS:,} lists, CPU", baseline, ratios, "x", 1.0)


BARE = """
import pytest

@pytest.mark.parametrize("number", range({count}))
def test_one(number):
    assert number >= 0
"""
WITH_EMULATOR = BARE.replace("(number)", "(number, pinterest_emulator)")
WITH_CLIENT = BARE.replace("(number)", "(number, pinterest_client, pinterest_emulator)")
WITH_SERVER = BARE.replace("(number)", "(number, pinterest_server)")
WITH_CALL = WITH_CLIENT + '    pinterest_client.customer_lists_create("1", name="A", records="b")\n'


def fixtures() -> list[Row]:
    """Measure many tests minus few tests, so that loading is not counted."""
    kinds = {
        "pinterest_emulator": (WITH_EMULATOR, 2.0),
        "pinterest_client": (WITH_CLIENT, 2.0),
        "pinterest_client and a create": (WITH_CALL, 4.0),
        "pinterest_server": (WITH_SERVER, 4.0),
    }
    with tempfile.TemporaryDirectory() as folder:
        a_test = functools.partial(_seconds_per_test, Path(folder))
        return [
            in_turns(
                functools.partial(a_test, BARE), functools.partial(a_test, code), ROUNDS
            ).difference(f"test with {name}", "a bare test", units=1e3, unit="ms", goal=goal)
            for name, (code, goal) in kinds.items()
        ]


def _seconds_per_test(folder: Path, code: str) -> float:
    many, few = (_run(folder, code.format(count=count)) for count in (MANY, FEW))
    return (many - few) / (MANY - FEW)


def _run(folder: Path, code: str) -> float:
    test = folder / "test_cost.py"
    test.write_text(code)
    plugin = ("-p", "pinterest_audiences.pytest_plugin", "-p", "no:cacheprovider")
    command = [sys.executable, "-m", "pytest", "-q", *plugin, "--rootdir", str(folder), str(test)]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    start = time.monotonic()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return time.monotonic() - start


def main() -> None:
    show([*anyio.run(load), anyio.run(walk), *fixtures()])


if __name__ == "__main__":
    main()
