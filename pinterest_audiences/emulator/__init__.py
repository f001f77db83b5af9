"""Pinterest's Customer Lists API, offline.

`Emulator` keeps ad accounts and customer lists in memory and answers as Pinterest does: the same
validation, errors, counters, life cycle, bookmarks and rate budgets. It has two doors:

- `Emulator.transport()` is an httpx transport, for clients in the same process;
- `python -m pinterest_audiences.emulator --port 8765` is a server on the loopback interface;
  `pinterest_audiences.emulator.server.serve` is the same for an async test.

A `Fault` lets something go wrong, at both doors alike: see `Emulator.fault`.

Nothing here knows the clients, so that the two can disagree and a test can find it out.
"""

from __future__ import annotations

from pinterest_audiences.emulator.engine import Emulator, JournalEntry
from pinterest_audiences.emulator.faults import Fault, FaultKind, Faults, read_faults
from pinterest_audiences.emulator.limits import RateLimits, RatePolicy
from pinterest_audiences.emulator.messages import Request, Response

__all__ = [
    "Emulator",
    "Fault",
    "FaultKind",
    "Faults",
    "JournalEntry",
    "RateLimits",
    "RatePolicy",
    "Request",
    "Response",
    "read_faults",
]
