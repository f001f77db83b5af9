"""Jobs that are killed: a server that survives, and the children that do not."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

import anyio
from attrs import asdict, frozen
from support.programs import HANGS_AFTER_SECONDS

from pinterest_audiences.emulator import Emulator, Request, Response, serve

DRIVER = Path(__file__).with_name("crash_driver.py")

Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""Numbers of people, from one up to the other."""

Step: TypeAlias = tuple[str] | tuple[str, Ranges]
"""``("upload", people)``, ``("mirror", people)`` or ``("resume",)``."""


def digests(people: Ranges) -> frozenset[str]:
    """Return the records of these people on a list."""
    return frozenset(
        sha256(f"person{n}@shop.de".encode()).hexdigest()
        for low, high in people
        for n in range(low, high)
    )


class LethalEmulator(Emulator):
    """Kills the client whose token requests it, before or after a certain request.

    Attributes:
        asked: The number of requests per token.
    """

    def __init__(self) -> None:
        super().__init__(rate_limits=None)
        self.asked: Counter[str] = Counter()

    def handle(self, request: Request) -> Response:
        """Respond to a request, whose client may be killed before or after it."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        match = re.fullmatch(r"\d+\.(\d+)\.(\d+)\.(\w+)", token)
        if match is None:
            return super().handle(request)
        self.asked[token] += 1
        due = self.asked[token] == int(match[2])
        if due and match[3] == "asked":
            os.kill(int(match[1]), signal.SIGKILL)
        answer = super().handle(request)
        if due and match[3] == "answered":
            os.kill(int(match[1]), signal.SIGKILL)
        return answer

    def lists(self, account: str) -> list[str]:
        """Return the ids of an account's lists, without the client."""
        path = f"/v5/ad_accounts/{account}/customer_lists"
        request = Request(method="GET", path=path, headers={"Authorization": "Bearer test"})
        return [each["id"] for each in json.loads(super().handle(request).body)["items"]]

    def writes(self, account: str) -> int:
        """Return the number of changes of an account's lists."""
        shown = (self.customer_list(each) for each in self.lists(account))
        return sum(int(str(each["num_batches"])) for each in shown)


class Service:
    """An emulator on the loopback interface, in a thread of the test; it survives every child."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._ready = threading.Event()
        self._thread = threading.Thread(target=anyio.run, args=(self._serve,))
        self.base_url = ""

    async def _serve(self) -> None:
        self._stop = anyio.Event()
        self._token = anyio.lowlevel.current_token()
        async with serve(self._emulator) as self.base_url:
            self._ready.set()
            await self._stop.wait()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(HANGS_AFTER_SECONDS)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        anyio.from_thread.run_sync(self._stop.set, token=self._token)
        self._thread.join(HANGS_AFTER_SECONDS)


@frozen
class Kill:
    """When a child receives a signal.

    Attributes:
        kind: The kind of event.
        at: The number of the event, counted from 1; for the kind ``delay`` the seconds.
        signal: The signal.
    """

    kind: str
    at: float
    signal: str = "SIGKILL"


@frozen
class Outcome:
    """The outcome of a child.

    Attributes:
        killed: Whether it was killed.
        interrupted: How often a call raised KeyboardInterrupt.
        error: The exception it raised, if any.
        lists: The lists in the state at its end.
        counts: The number of events of each kind.
    """

    killed: bool
    interrupted: int
    error: str | None
    lists: list[dict[str, Any]]
    counts: dict[str, float]

    @property
    def jobs(self) -> list[dict[str, Any]]:
        """The reports of all jobs."""
        return [job for each in self.lists for job in each["jobs"]]


class Driver:
    """The program that forks children; it runs one order at a time."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(DRIVER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, account: str, state: Path, *steps: Step, kill: Kill | None = None) -> Outcome:
        """Let a child run steps; it is killed in the last one."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {
            "account": account,
            "state": str(state),
            "base_url": self._base_url,
            "steps": steps,
            "kill": None if kill is None else asdict(kill),
        }
        print(json.dumps(order), file=self._process.stdin, flush=True)
        result: dict[str, Any] = json.loads(self._process.stdout.readline())
        counts = {**result.get("counts", {}), "delay": result["seconds"]}
        assert result["exit"] in {0, -signal.SIGKILL}, result
        killed = result["exit"] == -signal.SIGKILL
        return Outcome(
            killed,
            result.get("interrupted", 0),
            result.get("error"),
            result.get("lists", []),
            counts,
        )

    def close(self) -> None:
        """End the program."""
        self._process.communicate(timeout=HANGS_AFTER_SECONDS)


def choose(
    chance: random.Random, counts: dict[str, float], kinds: Iterable[str], sent: str
) -> Kill:
    """Choose an event for a signal, among those of an uninterrupted run."""
    kind = chance.choice(sorted(kinds))
    if kind == "delay":
        return Kill(kind, chance.uniform(0.0, counts[kind] * 0.8), sent)
    return Kill(kind, chance.randint(1, int(counts[kind])), sent)
