"""What jobs need of a client: its four calls, its clock, and where it calls."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from os import PathLike
from typing import TYPE_CHECKING, Protocol, TypeVar, TypeVarTuple

import anyio
import anyio.to_thread
from attrs import frozen

from pinterest_audiences.jobs.state import State

if TYPE_CHECKING:
    from pinterest_audiences._wire.clock import Clock
    from pinterest_audiences.models import CustomerList, OperationType, Order, UserListType
    from pinterest_audiences.pagination import AsyncPager
    from pinterest_audiences.records.batches import Batch

__all__ = ["Calls", "Desk", "in_thread"]

T = TypeVar("T")
Args = TypeVarTuple("Args")


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
        state = await in_thread(State, path, self.service)
        try:
            yield state
        finally:
            with anyio.CancelScope(shield=True):
                await in_thread(state.close)


async def in_thread(function: Callable[[*Args], T], *args: *Args) -> T:
    """Run what reads or writes the disk without holding up the event loop."""
    return await anyio.to_thread.run_sync(function, *args)
