"""What one call cost, told while it runs: for whoever has to account for it.

A job sets a trace around its call; the session, which knows nothing of jobs, notes there what it
does. Without a trace nothing is noted.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, TypeAlias

from attrs import define

__all__ = ["Listener", "Trace", "Waiting", "current", "tracing"]

Waiting: TypeAlias = Literal["budget", "retry"]
Listener: TypeAlias = Callable[[Waiting, float], None]

_BRIEF = 0.5  # seconds; the ordinary spacing of calls is not worth an event


@define
class Trace:
    """The cost of the calls made inside :func:`tracing`.

    Attributes:
        listener: Told of every wait before it begins: its reason, and its seconds.
        calls: Requests sent, or tried.
        rate_limited: How many were refused with 429.
        maybe_done: How many failed and may have been done all the same.
        budget_seconds: Waited for the rate budget.
        bytes: Bytes of bodies sent.
    """

    listener: Listener | None = None
    calls: int = 0
    rate_limited: int = 0
    maybe_done: int = 0
    budget_seconds: float = 0.0
    bytes: int = 0

    def sent(self, size: int) -> None:
        """Note a request."""
        self.calls += 1
        self.bytes += size

    def failed(self, *, rate_limited: bool, maybe_done: bool) -> None:
        """Note how a request failed."""
        self.rate_limited += rate_limited
        self.maybe_done += maybe_done

    def waits(self, reason: Waiting, seconds: float) -> None:
        """Tell that nothing is sent for so long."""
        if self.listener is not None and (reason == "retry" or seconds >= _BRIEF):
            self.listener(reason, seconds)


_CURRENT: ContextVar[Trace | None] = ContextVar("pinterest_audiences_trace", default=None)


def current() -> Trace | None:
    """Return the trace that the running call is to be noted in."""
    return _CURRENT.get()


@contextmanager
def tracing(trace: Trace) -> Generator[Trace, None, None]:
    """Note the calls made inside, by this task, in a trace."""
    before = _CURRENT.set(trace)
    try:
        yield trace
    finally:
        _CURRENT.reset(before)
