"""Jobs against an emulator, on virtual time: people, their digests, and a wire that can be cut."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Awaitable, Callable, Iterable
from contextlib import closing
from pathlib import Path

import anyio
import anyio.lowlevel
import httpx
from attrs import define, field, frozen
from support.clock import FakeClock

from pinterest_audiences import AsyncClient, JobEvent, JobReport, TokenSource
from pinterest_audiences.emulator import Emulator

ACCOUNT = "549755885175"
NAME = "Customers"


def people(start: int, stop: int) -> list[str]:
    """Return e-mail addresses."""
    return [f"person{number}@shop.example" for number in range(start, stop)]


def digest(text: str, algorithm: str = "sha256") -> str:
    """Return the digest of an address, as it is sent."""
    return hashlib.new(algorithm, text.encode()).hexdigest()


def digests(texts: Iterable[str], algorithm: str = "sha256") -> frozenset[str]:
    """Return the digests of addresses."""
    return frozenset(digest(text, algorithm) for text in texts)


@frozen
class Sent:
    """A request as it came to the wire.

    Attributes:
        method: Its method.
        operation: ``ADD`` or ``REMOVE``, of an update.
        records: The records of its body.
    """

    method: str
    operation: str | None = None
    records: tuple[str, ...] = ()

    @classmethod
    def read(cls, request: httpx.Request) -> Sent:
        told = json.loads(request.content) if request.content else {}
        rows = [json.dumps(row, sort_keys=True) for row in told.get("records_v2", [])]
        records = told["records"].split(",") if told.get("records") else rows
        return cls(request.method, told.get("operation_type"), tuple(records))


Cut = Callable[["Wire"], Awaitable[None]]


@define
class Wire(httpx.AsyncBaseTransport):
    """A transport to an emulator that keeps what was sent, and can be cut.

    Attributes:
        inner: The emulator's own transport.
        most: Bodies of more records are refused with 413.
        before: Called before each request reaches the emulator.
        after: Called when it has been carried out, before its answer is handed on.
        sent: What was sent, in order.
    """

    inner: httpx.AsyncBaseTransport
    most: int | None = None
    before: Cut | None = None
    after: Cut | None = None
    sent: list[Sent] = field(factory=list[Sent])

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a request on."""
        await request.aread()
        self.sent.append(Sent.read(request))
        if self.before is not None:
            await self.before(self)
        if self.most is not None and len(self.sent[-1].records) > self.most:
            return httpx.Response(413, json={"code": 413, "message": "Too large."})
        response = await self.inner.handle_async_request(request)
        if self.after is not None:
            await self.after(self)
        return response

    @property
    def updates(self) -> list[Sent]:
        """The updates among what was sent."""
        return [each for each in self.sent if each.method == "PATCH"]

    @property
    def writes(self) -> list[Sent]:
        """Creations and updates."""
        return [each for each in self.sent if each.method in ("POST", "PATCH")]


@frozen
class Rig:
    """A client, the emulator behind it, and their time.

    Attributes:
        client: The client.
        emulator: The emulator.
        clock: The time of both.
        wire: What lies between them.
        state: A state file that does not exist yet.
        events: What jobs have told; give ``events.append`` as ``on_event``.
    """

    client: AsyncClient
    emulator: Emulator
    clock: FakeClock
    wire: Wire
    state: Path
    events: list[JobEvent] = field(factory=list[JobEvent])

    async def lists(self, name: str = NAME) -> list[str]:
        """Return the ids of the lists of a name, oldest first."""
        found = await self.client.customer_lists_list(ACCOUNT).collect()
        return sorted((each.id for each in found if each.name == name), key=int)

    async def members(self, name: str = NAME) -> frozenset[object]:
        """Return who is on the only list of a name."""
        (only,) = await self.lists(name)
        return frozenset(self.emulator.members(only))


def make_rig(
    state: Path,
    emulator: Emulator | None = None,
    *,
    access_token: str | TokenSource = "token",
    base_url: str = "https://api.pinterest.com/v5",
    max_retries: int = 4,
    clock: FakeClock | None = None,
) -> Rig:
    """Make a client on an emulator without budgets, or on one that is there already."""
    clock = clock or FakeClock()
    emulator = emulator or Emulator(clock=clock.time, rate_limits=None)
    wire = Wire(emulator.transport(sleep=clock.sleep))
    client = AsyncClient(
        access_token, base_url=base_url, max_retries=max_retries, transport=wire, clock=clock
    )
    return Rig(client, emulator, clock, wire, state)


def adds_up(report: JobReport) -> bool:
    """Tell whether every record of a job is in one place."""
    kept = report.added + report.removed + report.left + report.dropped
    return report.planned == kept and report.acknowledged == report.added + report.removed


def state_bytes(state: Path) -> bytes:
    """Return all that is on the disk of a state file, its log and its locks too."""
    files = sorted(state.parent.glob(f"{state.name}*"))
    return b"".join(file.read_bytes() for file in files)


def ask(state: Path, query: str) -> list[tuple[object, ...]]:
    """Ask the state file itself."""
    with closing(sqlite3.connect(state)) as sql:
        return sql.execute(query).fetchall()


def cut_off(number: int, scope: anyio.CancelScope) -> Cut:
    """Return what cancels a scope at the request of this number, counted from 1."""

    async def cut(wire: Wire) -> None:
        if len(wire.sent) >= number:
            scope.cancel()
            await anyio.lowlevel.checkpoint()

    return cut


def broken(*numbers: int) -> Cut:
    """Return what breaks the connection at the requests of these numbers, counted from 1."""

    async def cut(wire: Wire) -> None:
        if len(wire.sent) in numbers:
            raise httpx.ReadError("reset")

    return cut
