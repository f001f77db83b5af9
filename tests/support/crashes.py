"""Jobs that are killed: the Pinterest that survives, and the children that do not."""

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

from pinterest_audiences.emulator import Emulator, Request, Response
from pinterest_audiences.emulator.server import serve

DRIVER = Path(__file__).with_name("crash_driver.py")
PATIENCE = 30.0

Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""Numbers of people, from one up to the other."""

Step: TypeAlias = tuple[str] | tuple[str, Ranges]
"""``("upload", people)``, ``("mirror", people)`` or ``("resume",)``."""


def digests(people: Ranges) -> frozenset[str]:
    """Return the records that these people are on a list."""
    return frozenset(
        sha256(f"person{n}@shop.de".encode()).hexdigest()
        for low, high in people
        for n in range(low, high)
    )


class LethalEmulator(Emulator):
    """Kills the client whose token says so, before or after it carries out a certain request.

    Attributes:
        asked: How many requests came with each token.
    """

    def __init__(self) -> None:
        super().__init__(rate_limits=None)
        self.asked: Counter[str] = Counter()

    def handle(self, request: Request) -> Response:
        """Answer a request that the client may never hear the answer of."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        told = re.fullmatch(r"\d+\.(\d+)\.(\d+)\.(\w+)", token)
        if told is None:
            return super().handle(request)
        self.asked[token] += 1
        due = self.asked[token] == int(told[2])
        if due and told[3] == "asked":
            os.kill(int(told[1]), signal.SIGKILL)
        answer = super().handle(request)
        if due and told[3] == "answered":
            os.kill(int(told[1]), signal.SIGKILL)
        return answer

    def lists(self, account: str) -> list[str]:
        """Return the ids of an account's lists, with no help of the client."""
        path = f"/v5/ad_accounts/{account}/customer_lists"
        request = Request(method="GET", path=path, headers={"Authorization": "Bearer test"})
        return [each["id"] for each in json.loads(super().handle(request).body)["items"]]

    def writes(self, account: str) -> int:
        """Return how many changes an account's lists have seen."""
        shown = (self.customer_list(each) for each in self.lists(account))
        return sum(int(str(each["num_batches"])) for each in shown)


class Service:
    """A Pinterest on the loopback interface, in a thread of the test; it outlives every child."""

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
        assert self._ready.wait(PATIENCE)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        anyio.from_thread.run_sync(self._stop.set, token=self._token)
        self._thread.join(PATIENCE)


@frozen
class Kill:
    """When a child gets a signal.

    Attributes:
        kind: Of what.
        at: At which of them, counted from 1; or after how many seconds, where the kind is a delay.
        signal: Which signal.
    """

    kind: str
    at: float
    signal: str = "SIGKILL"


@frozen
class Outcome:
    """What became of a child.

    Attributes:
        killed: Whether it was.
        interrupted: How often Ctrl-C came out of a call.
        error: What it raised, if anything.
        lists: What it found in the state at its end.
        counts: How much there was of everything that a child can be killed at.
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
    """The program that forks children; one order at a time."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(DRIVER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, account: str, state: Path, *steps: Step, kill: Kill | None = None) -> Outcome:
        """Let a child carry out steps; it is killed in the last of them."""
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
        told: dict[str, Any] = json.loads(self._process.stdout.readline())
        counts = {**told.get("counts", {}), "delay": told["seconds"]}
        assert told["exit"] in {0, -signal.SIGKILL}, told
        killed = told["exit"] == -signal.SIGKILL
        return Outcome(
            killed, told.get("interrupted", 0), told.get("error"), told.get("lists", []), counts
        )

    def close(self) -> None:
        """End the program."""
        self._process.communicate(timeout=PATIENCE)


def choose(
    chance: random.Random, counts: dict[str, float], kinds: Iterable[str], sent: str
) -> Kill:
    """Choose where a child gets a signal, as much as there was in a life that was not cut short."""
    kind = chance.choice(sorted(kinds))
    if kind == "delay":
        return Kill(kind, chance.uniform(0.0, counts[kind] * 0.8), sent)
    return Kill(kind, chance.randint(1, int(counts[kind])), sent)
