"""The emulator under load: connections, requests a second, long walks, and fixtures in tests."""

from __future__ import annotations

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
from harness import Row, show

from pinterest_audiences import AsyncClient
from pinterest_audiences.emulator import Emulator
from pinterest_audiences.emulator.server import serve

ACCOUNT = "549755885175"
CONNECTIONS, PER_SECOND, SECONDS = 1_000, 500, 20
LISTS, PAGE = 100_000, 250
FEW, MANY, ROUNDS = 50, 550, 5


@contextmanager
def served(lists: int) -> Iterator[tuple[str, int]]:
    """Serve an emulator without budgets from a process of its own.

    Yields:
        Its base URL and the id of its process.
    """
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")  # a fork would have this one's event loop
    process = context.Process(target=_serve, args=(theirs, lists), daemon=True)
    process.start()
    try:
        if not ours.poll(60):
            raise AssertionError("the server did not start")
        yield ours.recv(), process.pid or 0
    finally:
        process.terminate()
        process.join()


def _serve(told: Connection, lists: int) -> None:
    emulator = Emulator(rate_limits=None)
    emulator.seed_lists(ACCOUNT, lists)

    async def run() -> None:
        async with serve(emulator) as base_url:
            told.send(base_url)
            await anyio.sleep_forever()

    anyio.run(run)


def cpu_seconds(process: int) -> float:
    """Return what a process has used so far, by Linux's own account."""
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
    floor = f"{CONNECTIONS:,} keep-alive connections"
    slowest = statistics.quantiles(waits, n=100)[98] * 1000
    return [
        Row("answers a second", floor, len(waits) / took, "/s", PER_SECOND * 0.99, at_least=True),
        Row("errors", floor, errors, "", 0),
        Row("99 % of answers within", floor, slowest, "ms", 100),
        Row("CPU of the server, of one core", floor, used, "%", 100),
    ]


async def _send_all(streams: list[anyio.abc.SocketStream]) -> tuple[list[float], int]:
    request = (
        f"GET /v5/ad_accounts/{ACCOUNT}/customer_lists?page_size=25 HTTP/1.1\r\n"
        "Host: localhost\r\nAuthorization: Bearer x\r\n\r\n"
    ).encode()
    waits: list[float] = []
    errors = 0

    async def ask(stream: anyio.abc.SocketStream) -> None:
        nonlocal errors
        start = time.monotonic()
        try:
            await stream.send(request)
            whole = await _answer(stream)
        except (anyio.BrokenResourceError, anyio.EndOfStream):
            errors += 1
            return
        waits.append(time.monotonic() - start)
        errors += not whole.startswith(b"HTTP/1.1 200 ")

    async with anyio.create_task_group() as group:
        start = time.monotonic()
        turns = itertools.cycle(streams)
        for number in range(PER_SECOND * SECONDS):
            await anyio.sleep(max(0.0, start + number / PER_SECOND - time.monotonic()))
            group.start_soon(ask, next(turns))
    return waits, errors


async def _answer(stream: anyio.abc.SocketStream) -> bytes:
    received = await stream.receive()
    while b"\r\n\r\n" not in received:
        received += await stream.receive()
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += await stream.receive()
    return head + body


async def walk() -> Row:
    """Walk over many lists; each side's own CPU time is counted."""
    with served(LISTS) as (base_url, process):
        ratios: list[float] = []
        for _ in range(3):
            async with AsyncClient("token", base_url=base_url) as client:
                theirs, ours = cpu_seconds(process), time.process_time()
                count = 0
                async for _ in client.customer_lists_list(ACCOUNT, page_size=PAGE):
                    count += 1
                if count != LISTS:
                    raise AssertionError("every list must be seen")
                ours = time.process_time() - ours
                ratios.append((cpu_seconds(process) - theirs) / ours)
    floor = "the client's CPU for the same walk"
    return Row(f"walk {LISTS:,} lists, CPU", floor, statistics.median(ratios), "x", 1.0)


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
    """Take the time of many tests and of few, so that loading is not counted."""
    kinds = {
        "pinterest_emulator": (WITH_EMULATOR, 2.0),
        "pinterest_client": (WITH_CLIENT, 2.0),
        "pinterest_client and a create": (WITH_CALL, 4.0),
        "pinterest_server": (WITH_SERVER, 4.0),
    }
    bare = _milliseconds(BARE)
    return [
        Row(
            f"test with {name}",
            "a bare test",
            _milliseconds(code) - bare,
            "ms",
            goal,
        )
        for name, (code, goal) in kinds.items()
    ]


def _milliseconds(code: str) -> float:
    each: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(ROUNDS):
            many, few = (_run(Path(folder), code.format(count=count)) for count in (MANY, FEW))
            each.append((many - few) / (MANY - FEW) * 1000)
    return statistics.median(each)


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
