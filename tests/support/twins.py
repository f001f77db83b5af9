"""Either client on a scripted transport, with one interface."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Literal, TypeAlias

from attrs import frozen
from support.clock import FakeClock
from support.wire import ScriptedTransport, Sent, Step

from pinterest_audiences import AsyncClient, Client

Kind: TypeAlias = Literal["awaiting", "blocking"]
TOKEN = "pina_SENTINELTOKEN"


@frozen
class Twin:
    """One of the two clients, on a fake clock.

    Attributes:
        client: The client.
        transport: Its transport.
        clock: Its clock.
    """

    client: AsyncClient | Client
    transport: ScriptedTransport
    clock: FakeClock

    @property
    def sent(self) -> list[Sent]:
        """The requests so far."""
        return self.transport.sent

    async def call(self, method: str, /, *args: Any, **arguments: Any) -> Any:
        """Call a method by its name, and await its result if necessary."""
        result = getattr(self.client, method)(*args, **arguments)
        return await result if inspect.isawaitable(result) else result

    async def walk(self, method: str, /, *args: Any, **arguments: Any) -> list[Any]:
        """Collect a listing."""
        found = getattr(self.client, method)(*args, **arguments).collect()
        return list(await found if inspect.isawaitable(found) else found)


Twins: TypeAlias = Callable[..., AbstractAsyncContextManager[Twin]]


def twins(kind: Kind) -> Twins:
    """Return a function that creates a client of one kind from the responses that it will get."""

    @asynccontextmanager
    async def make(*script: Step, max_retries: int = 4) -> AsyncIterator[Twin]:
        transport, clock = ScriptedTransport(*script), FakeClock()
        if kind == "awaiting":
            async with AsyncClient(
                TOKEN, transport=transport, clock=clock, max_retries=max_retries
            ) as awaiting:
                yield Twin(awaiting, transport, clock)
        else:
            with Client(
                TOKEN, transport=transport, clock=clock, max_retries=max_retries
            ) as blocking:
                yield Twin(blocking, transport, clock)

    return make
