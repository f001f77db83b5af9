"""Jobs against an emulator on a fake clock: people, their digests, and faulty connections."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import closing, contextmanager
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
    """A request as received.

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
        body = json.loads(request.content) if request.content else {}
        rows = [json.dumps(row, sort_keys=True) for row in body.get("records_v2", [])]
        records = body["records"].split(",") if body.get("records") else rows
        return cls(request.method, body.get("operation_type"), tuple(records))


Cut = Callable[["Wire"], Awaitable[None]]
Refuse = Callable[[Sent], httpx.Response | None]


def bad_request(message: str = "Invalid.", code: int = 1) -> httpx.Response:
    """Return a 400."""
    return httpx.Response(400, json={"code": code, "message": message})


@define
class Wire(httpx.AsyncBaseTransport):
    """A transport to an emulator that records requests, and can be broken.

    Attributes:
        inner: The emulator's transport.
        most: Bodies with more records are refused with 413.
        refuse: Replaces the emulator's response if it returns one.
        before: Called before each request reaches the emulator.
        after: Called after it was applied, before the response is returned.
        sent: The requests in order.
    """

    inner: httpx.AsyncBaseTransport
    most: int | None = None
    refuse: Refuse | None = None
    before: Cut | None = None
    after: Cut | None = None
    sent: list[Sent] = field(factory=list[Sent])

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Forward a request."""
        await request.aread()
        self.sent.append(Sent.read(request))
        if self.before is not None:
            await self.before(self)
        if self.most is not None and len(self.sent[-1].records) > self.most:
            return httpx.Response(413, json={"code": 413, "message": "Too large."})
        refusal = self.refuse(self.sent[-1]) if self.refuse is not None else None
        if refusal is not None:
            return refusal
        response = await self.inner.handle_async_request(request)
        if self.after is not None:
            await self.after(self)
        return response

    @contextmanager
    def broken_from(self, number: int, *, applied: bool) -> Iterator[None]:
        """Break the connection at a request, counted from 1, and at all later ones.

        Args:
            number: The request.
            applied: Whether the emulator applies it, so that only its response is lost.
        """
        last = len(self.sent) + number

        async def before(wire: Wire) -> None:
            if len(wire.sent) >= last + applied:
                raise httpx.ReadError("reset")

        async def after(wire: Wire) -> None:
            if len(wire.sent) >= last:
                raise httpx.ReadError("reset")

        self.before, self.after = before, after
        try:
            yield
        finally:
            self.before = self.after = None

    @property
    def updates(self) -> list[Sent]:
        """The updates among the requests."""
        return [each for each in self.sent if each.method == "PATCH"]

    @property
    def writes(self) -> list[Sent]:
        """The creations and updates among the requests."""
        return [each for each in self.sent if each.method in ("POST", "PATCH")]


@frozen
class Rig:
    """A client, its emulator, and their clock.

    Attributes:
        client: The client.
        emulator: The emulator.
        clock: The clock of both.
        wire: The transport between them.
        state: A state file that does not exist yet.
        events: Events of jobs; pass ``events.append`` as ``on_event``.
    """

    client: AsyncClient
    emulator: Emulator
    clock: FakeClock
    wire: Wire
    state: Path
    events: list[JobEvent] = field(factory=list[JobEvent])

    async def lists(self, name: str = NAME) -> list[str]:
        """Return the ids of the lists with a name, oldest first."""
        found = await self.client.customer_lists_list(ACCOUNT).collect()
        return sorted((each.id for each in found if each.name == name), key=int)

    async def members(self, name: str = NAME) -> frozenset[object]:
        """Return the members of the only list with a name."""
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
    """Create a client on an emulator without rate limits, or on a given one."""
    clock = clock or FakeClock()
    emulator = emulator or Emulator(clock=clock.time, rate_limits=None)
    wire = Wire(emulator.transport(sleep=clock.sleep))
    client = AsyncClient(
        access_token, base_url=base_url, max_retries=max_retries, transport=wire, clock=clock
    )
    return Rig(client, emulator, clock, wire, state)


def adds_up(report: JobReport) -> bool:
    """Return whether every record of a job is counted once."""
    acknowledged = report.added + report.removed + report.resent
    rest = report.left + report.dropped + report.refused
    return (report.planned, report.acknowledged) == (acknowledged + rest, acknowledged)


def state_bytes(state: Path) -> bytes:
    """Return the bytes of a state file, its write-ahead log and its locks."""
    files = sorted(state.parent.glob(f"{state.name}*"))
    return b"".join(file.read_bytes() for file in files)


def ask(state: Path, query: str) -> list[tuple[object, ...]]:
    """Query the state file."""
    with closing(sqlite3.connect(state)) as sql:
        return sql.execute(query).fetchall()


def cut_off(number: int, scope: anyio.CancelScope) -> Cut:
    """Return a function that cancels a scope at the request with this number, counted from 1."""

    async def cut(wire: Wire) -> None:
        if len(wire.sent) >= number:
            scope.cancel()
            await anyio.lowlevel.checkpoint()

    return cut


def broken(*numbers: int) -> Cut:
    """Return a function that breaks the connection at the requests with these numbers."""

    async def cut(wire: Wire) -> None:
        if len(wire.sent) in numbers:
            raise httpx.ReadError("reset")

    return cut
