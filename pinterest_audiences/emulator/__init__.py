"""An offline emulator of Pinterest's audience API.

`Emulator` keeps customer lists, audiences, uploads and tokens in memory and answers as Pinterest
does: the same validation, errors, counters, life cycles, pagination, logins and rate limits. What
Pinterest has not published is a switch of `Assumptions`. Clients reach it in two ways:

- `Emulator.transport()` is an httpx transport, for clients in the same process;
- `python -m pinterest_audiences.emulator --port 8765` is a server on the loopback interface;
  `serve` is the same for an async test.

`Emulator.fault` injects faults, with the same effect in both.

Nothing here imports the clients, so that emulator and client can disagree and a test can find it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinterest_audiences.emulator._assumptions import Assumptions, read_assumptions
from pinterest_audiences.emulator._clock import VirtualClock
from pinterest_audiences.emulator._emulator import Emulator, JournalEntry, Snapshot
from pinterest_audiences.emulator._faults import Fault, FaultKind, Faults, read_faults
from pinterest_audiences.emulator._http import Request, Response
from pinterest_audiences.emulator._rate_limits import RateLimits, RatePolicy

if TYPE_CHECKING:
    from pinterest_audiences.emulator._server import serve

__all__ = [
    "Assumptions",
    "Emulator",
    "Fault",
    "FaultKind",
    "Faults",
    "JournalEntry",
    "RateLimits",
    "RatePolicy",
    "Request",
    "Response",
    "Snapshot",
    "VirtualClock",
    "read_assumptions",
    "read_faults",
    "serve",
]


def __getattr__(name: str) -> object:
    if name != "serve":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # The server needs anyio and h11, which a transport in the same process does not.
    from pinterest_audiences.emulator._server import serve  # noqa: PLC0415

    return serve
