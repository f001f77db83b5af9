"""Pinterest's audience API, offline.

`Emulator` keeps customer lists, audiences, uploads and tokens in memory and answers as Pinterest
does: the same validation, errors, counters, life cycles, bookmarks, logins and rate budgets. What
Pinterest has not published is a switch of `Guesses`. It has two doors:

- `Emulator.transport()` is an httpx transport, for clients in the same process;
- `python -m pinterest_audiences.emulator --port 8765` is a server on the loopback interface;
  `pinterest_audiences.emulator.server.serve` is the same for an async test.

A `Fault` lets something go wrong, at both doors alike: see `Emulator.fault`.

Nothing here knows the clients, so that the two can disagree and a test can find it out.
"""

from __future__ import annotations

from pinterest_audiences.emulator.engine import Emulator, JournalEntry, Snapshot
from pinterest_audiences.emulator.faults import Fault, FaultKind, Faults, read_faults
from pinterest_audiences.emulator.guesses import Guesses
from pinterest_audiences.emulator.limits import RateLimits, RatePolicy
from pinterest_audiences.emulator.messages import Request, Response

__all__ = [
    "Emulator",
    "Fault",
    "FaultKind",
    "Faults",
    "Guesses",
    "JournalEntry",
    "RateLimits",
    "RatePolicy",
    "Request",
    "Response",
    "Snapshot",
    "read_faults",
]
