"""What jobs need of a client: its four calls, its clock, and where it calls."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from os import PathLike
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Protocol, TypeVar, TypeVarTuple

import anyio
import anyio.to_thread
from attrs import frozen

from pinterest_audiences.jobs.state import State

if TYPE_CHECKING:
    from pinterest_audiences._wire.clock import Clock
    from pinterest_audiences.models import (
        CustomerList,
        CustomerListUpload,
        OperationType,
        Order,
        UserListType,
    )
    from pinterest_audiences.pagination import AsyncPager
    from pinterest_audiences.records.batches import Batch

__all__ = ["Calls", "Desk", "in_thread"]

T = TypeVar("T")
Args = TypeVarTuple("Args")

_GAP = 0.005  # seconds between two looks at a thread that is waited for


class Calls(Protocol):
    """The calls of `AsyncClient` that jobs make."""

    def customer_lists_create(
        self,
        ad_account_id: str | int,
        *,
        name: str,
        records: Batch,
        list_type: UserListType | str,
        is_nca: bool | None,
    ) -> Awaitable[CustomerList]:
        """Create a list."""
        ...

    def customer_lists_get(
        self, ad_account_id: str | int, customer_list_id: str | int
    ) -> Awaitable[CustomerList]:
        """Fetch a list."""
        ...

    def customer_lists_update(
        self,
        ad_account_id: str | int,
        customer_list_id: str | int,
        *,
        operation_type: OperationType | str,
        records: Batch,
    ) -> Awaitable[CustomerList]:
        """Add to a list, or remove from it."""
        ...

    def upload_file_in_parts(
        self,
        ad_account_id: str | int,
        customer_list_id: str | int,
        file: Path,
        *,
        operation: OperationType | str,
    ) -> Awaitable[CustomerListUpload]:
        """Send a file of records."""
        ...

    def customer_lists_list(
        self,
        ad_account_id: str | int,
        *,
        page_size: int | None = None,
        order: Order | str | None = None,
    ) -> AsyncPager[CustomerList]:
        """Walk the lists."""
        ...


@frozen
class Desk:
    """Where jobs are worked on.

    Attributes:
        calls: The client.
        clock: Its clock.
        service: Its base URL.
        calls_a_minute: How many writes a minute has room for; ``None`` for no limit.
    """

    calls: Calls
    clock: Clock
    service: str
    calls_a_minute: Callable[[], float | None]

    @asynccontextmanager
    async def state(self, path: str | PathLike[str] | None) -> AsyncGenerator[State, None]:
        """Open the state file.

        Raises:
            StateError: It cannot be used.
        """
        opened: list[State] = []  # so that one is closed whose opening was cancelled

        def open_state() -> None:
            opened.append(State(path, self.service))

        try:
            await in_thread(open_state)
            yield opened[0]
        finally:
            with anyio.CancelScope(shield=True):
                for state in opened:
                    await in_thread(state.close)


async def in_thread(function: Callable[[*Args], T], *args: *Args) -> T:
    """Run what reads or writes the disk without holding up the event loop.

    Does not end before the function has, not even by asyncio's own cancellation (``task.cancel()``,
    ``asyncio.timeout()``), which no shield keeps off: a thread that is left alone would go on with
    a connection that is being closed, and on a list that somebody else may have locked.
    """
    running, given_up = Lock(), False

    def run() -> T:
        with running:
            if given_up:
                raise RuntimeError("nobody waits for this")
            return function(*args)

    try:
        return await anyio.to_thread.run_sync(run)
    except anyio.get_cancelled_exc_class():
        await _taken(running)
        given_up = True
        running.release()
        raise


async def _taken(lock: Lock) -> None:
    while not lock.acquire(blocking=False):
        with suppress(anyio.get_cancelled_exc_class()), anyio.CancelScope(shield=True):
            await anyio.sleep(_GAP)  # once more cancelled is cancelled all the same
