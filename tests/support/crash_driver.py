"""A program that forks children which run jobs and are killed at a given event.

It has no threads and has imported everything, so that a child takes a few milliseconds. It reads
one order per line from standard input and answers each with one line; see `support.crashes`.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import select
import signal
import sqlite3
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, cast

from pinterest_audiences import Client, Clock, JobEvent
from pinterest_audiences._http import session
from pinterest_audiences._jobs import keys

WARM = (
    "anyio._backends._asyncio",
    "httpcore",
    "pinterest_audiences._jobs.runner",
    "pinterest_audiences._jobs.keys",
)
RECORDS_OF_A_BATCH = 20
STEPS_OF_SQLITE = 40  # between two looks of the progress handler


class BriefSleepClock(Clock):
    """A clock whose sleeps are so short that they only yield."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(min(seconds, 0.002))


class Fate:
    """Counts events, and sends a signal to the process at the given one."""

    def __init__(self, order: dict[str, Any]) -> None:
        kill: dict[str, Any] = order.get("kill") or {}
        self.kind, self.at = kill.get("kind"), kill.get("at")
        self.signal = signal.Signals[kill.get("signal", "SIGKILL")]
        self.account: str = order["account"]
        self.armed = False
        self.counts: Counter[str] = Counter()

    @property
    def token(self) -> str:
        """The token that makes the server kill this process at a request."""
        if not self.armed:
            return "idle"
        at = self.at if self.kind in {"asked", "answered"} else 0
        return f"{self.account}.{os.getpid()}.{at}.{self.kind}"

    def tick(self, kind: str) -> None:
        if self.armed:
            self.counts[kind] += 1
            if kind == self.kind and self.counts[kind] == self.at:
                os.kill(os.getpid(), self.signal)

    def event(self, _event: JobEvent) -> None:
        self.tick("event")

    def watch_sqlite(self) -> None:
        """Count each statement, and its progress callbacks."""
        connect = sqlite3.connect

        def watched(*args: Any, **options: Any) -> sqlite3.Connection:
            made: sqlite3.Connection = connect(*args, **options)
            made.set_trace_callback(lambda _statement: self.tick("statement"))
            made.set_progress_handler(lambda: self.tick("progress"), STEPS_OF_SQLITE)
            return made

        vars(sqlite3)["connect"] = watched

    def watch_bodies(self) -> None:
        """Count each piece of a request's body."""
        following = session._ChunkedBody.__anext__

        async def watched(pieces: session._ChunkedBody) -> bytes:
            self.tick("piece")
            return await following(pieces)

        setattr(session._ChunkedBody, "__anext__", watched)  # noqa: B010 - in this child only


def people(ranges: list[list[int]]) -> list[str]:
    return [f"person{n}@shop.de" for low, high in ranges for n in range(low, high)]


def work(order: dict[str, Any], answers: int) -> dict[str, Any]:
    """Run an order's steps one after the other; the signal comes in the last one."""
    fate = Fate(order)
    fate.watch_sqlite()
    fate.watch_bodies()
    account, state, steps = order["account"], order["state"], order["steps"]
    interrupted = 0
    for number, step in enumerate(steps, start=1):
        fate.armed = number == len(steps)
        with Client(fate.token, base_url=order["base_url"], clock=BriefSleepClock()) as client:
            if fate.armed:
                os.write(answers, b"\n")  # the delay begins
            try:
                take(step, client, order, fate)
            except KeyboardInterrupt:
                interrupted += 1
                client.resume(account, state=state)  # the same client, at once
    fate.armed = False
    with Client("idle", base_url=order["base_url"]) as client:
        lists = [each.to_dict() for each in client.status(account, state=state)]
    return {"lists": lists, "counts": fate.counts, "interrupted": interrupted}


def take(step: list[Any], client: Client, order: dict[str, Any], fate: Fate) -> None:
    """Run one step."""
    account, state = order["account"], order["state"]
    match step:
        case ["upload", ranges]:
            source = people(ranges)
            client.upload(account, source, name="VIP", state=state, on_event=fate.event)
        case ["mirror", ranges]:
            client.mirror(
                account,
                people(ranges),
                name="VIP",
                allow_removals=True,
                state=state,
                on_event=fate.event,
            )
        case _:
            client.resume(account, state=state, on_event=fate.event)


def child(order: dict[str, Any], answers: int) -> None:
    logging.basicConfig(filename=Path(order["state"]).with_name("log"), level=logging.WARNING)
    vars(keys)["MAX_RECORDS"] = RECORDS_OF_A_BATCH
    try:
        answer: dict[str, Any] = work(order, answers)
    except Exception as error:  # noqa: BLE001 - reported to the test
        answer = {"error": repr(error)}
    with os.fdopen(answers, "w") as pipe:
        json.dump(answer, pipe)


def carry_out(order: dict[str, Any]) -> dict[str, Any]:
    """Fork a child for an order, and wait for its end."""
    reading, writing = os.pipe()
    begun = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        try:
            child(order, writing)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        kill = order.get("kill") or {}
        pipe.readline()
        if kill.get("kind") == "delay" and not select.select([pipe], [], [], kill["at"])[0]:
            os.kill(pid, signal.SIGKILL)
        text = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    answer: dict[str, Any] = json.loads(text) if text else {}
    return {"exit": code, "seconds": time.monotonic() - begun, **answer}


if __name__ == "__main__":
    for module in WARM:
        importlib.import_module(module)
    for line in sys.stdin:
        result = carry_out(cast("dict[str, Any]", json.loads(line)))
        sys.stdout.write(json.dumps(result) + "\n")
        sys.stdout.flush()
