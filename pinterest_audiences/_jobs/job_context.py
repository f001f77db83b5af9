"""What a job needs of a client: its calls, clock and state file; blocking work in threads."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from os import PathLike
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Protocol, TypeVar, TypeVarTuple

import anyio
from attrs import frozen

from pinterest_audiences import _threads
from pinterest_audiences._errors import CallError, TransportError
from pinterest_audiences._http.retry import Backoff, is_transient, retry_after
from pinterest_audiences._jobs.state import State

if TYPE_CHECKING:
    from pinterest_audiences._config import Clock
    from pinterest_audiences._models import (
        Audience,
        AudienceType,
        CustomerList,
        CustomerListUpload,
        CustomerSegment,
        OperationType,
        Order,
        OwnershipTypeLike,
        UserListType,
    )
    from pinterest_audiences._pagination import AsyncPager
    from pinterest_audiences._records.batches import Batch
__all__ = [
    "MAX_LISTS_AT_ONCE",
    "APICalls",
    "JobContext",
    "Retries",
    "in_thread",
    "run_concurrently",
]

MAX_LISTS_AT_ONCE = 16
"""Lists processed concurrently; each has the state file, a lock and a connection open."""
_POLL_SECONDS = 0.005
_DEFAULT_TIMEOUTS = (60.0, 7200.0)  # for which a server that was not started is not waited for
T = TypeVar("T")
Item = TypeVar("Item")
Args = TypeVarTuple("Args")


class APICalls(Protocol):
    """The methods of `AsyncClient` that jobs use."""

    def customer_lists_create(
        self,
        ad_account_id: str | int,
        *,
        name: str,
        records: Batch,
        list_type: UserListType,
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
        operation_type: OperationType,
        records: Batch,
    ) -> Awaitable[CustomerList]:
        """Add records to a list, or remove them."""
        ...

    def upload_file_in_parts(
        self,
        ad_account_id: str | int,
        customer_list_id: str | int,
        file: Path,
        *,
        operation: OperationType,
    ) -> Awaitable[CustomerListUpload]:
        """Upload a file of records in parts."""
        ...

    def customer_lists_list(
        self,
        ad_account_id: str | int,
        *,
        page_size: int | None = None,
        order: Order | None = None,
    ) -> AsyncPager[CustomerList]:
        """Iterate over the lists."""
        ...

    def audiences_create(
        self,
        ad_account_id: str | int,
        *,
        name: str,
        audience_type: AudienceType,
        rule: Mapping[str, object],
        description: str | None = None,
    ) -> Awaitable[Audience]:
        """Create an audience."""
        ...

    def audiences_get(
        self, ad_account_id: str | int, audience_id: str | int
    ) -> Awaitable[Audience]:
        """Fetch an audience."""
        ...

    def audiences_list(
        self,
        ad_account_id: str | int,
        *,
        ownership_type: OwnershipTypeLike | None = None,
        page_size: int | None = None,
    ) -> AsyncPager[Audience]:
        """Iterate over the audiences."""
        ...

    def customer_segments_list(
        self, ad_account_id: str | int, *, page_size: int | None = None
    ) -> AsyncPager[CustomerSegment]:
        """Iterate over the customer segments."""
        ...


@frozen
class JobContext:
    """The client that runs a job.

    Attributes:
        calls: The client's methods.
        clock: The client's clock.
        sleep: Sleeps by that clock; raises when the client is closed.
        service: The client's base URL.
        calls_per_minute: Returns how many writes the rate limit allows; ``None`` for no limit.
        awaits_local_server: Returns whether the server is on this machine and has not answered yet.
    """

    calls: APICalls
    clock: Clock
    sleep: Callable[[float], Awaitable[None]]
    service: str
    calls_per_minute: Callable[[], float | None]
    awaits_local_server: Callable[[], bool]

    def nothing_listens(self, error: CallError) -> bool:
        """Return whether the server is to be on this machine and was not started: no outage."""
        refused = isinstance(error, TransportError) and error.reason == "refused"
        return refused and self.awaits_local_server()

    @asynccontextmanager
    async def state(self, path: str | PathLike[str] | None) -> AsyncGenerator[State, None]:
        """Open the state file, and close it at the end.

        Raises:
            StateError: It cannot be used.
        """
        opened: list[State] = []  # also holds a state whose opening was cancelled

        def open_state() -> None:
            opened.append(State(path, self.service))

        try:
            await in_thread(open_state)
            yield opened[0]
        finally:
            with anyio.CancelScope(shield=True):
                for state in opened:
                    await in_thread(state.close)


@frozen
class Retries:
    """How the calls of a job are retried while Pinterest or the network fails.

    Attributes:
        context: The client.
        timeout: Seconds after the first attempt in which others may begin.
        on_retry: Called with the error and the seconds until the next attempt.
    """

    context: JobContext
    timeout: float
    on_retry: Callable[[CallError, float], None]

    async def call(
        self,
        call: Callable[[], Awaitable[T]],
        may_retry: Callable[[CallError], bool] = is_transient,
    ) -> T:
        """Call, and retry what ``may_retry`` returns true for.

        Raises:
            CallError: The call failed with an error that may not be retried, or for too long.
        """
        backoff = self.backoff()
        while True:
            try:
                return await call()
            except CallError as error:
                if not may_retry(error) or not await self.wait(backoff, error):
                    raise

    def backoff(self) -> Backoff:
        """Return the delays between the attempts of a call that begins now."""
        return Backoff(self.context.clock, self.timeout)

    async def wait(self, backoff: Backoff, error: CallError) -> bool:
        """Wait for the next attempt after an error; return False if there is none."""
        delay = backoff.next_delay(retry_after(error))
        if self.timeout in _DEFAULT_TIMEOUTS and self.context.nothing_listens(error):
            return False
        if delay is None:
            return False
        self.on_retry(error, delay)
        await self.context.sleep(delay)
        return True


async def in_thread(function: Callable[[*Args], T], *args: *Args) -> T:
    """Run a blocking function in a thread, and wait for it even when cancelled.

    asyncio's native cancellation (``task.cancel()``, ``asyncio.timeout()``) ignores shielded
    scopes. A thread that is not waited for would continue with a connection that is being closed,
    and on a list that another job may have locked by then.
    """
    running, abandoned = Lock(), False

    def run() -> T:
        with running:
            if abandoned:
                raise RuntimeError("the caller was cancelled")
            return function(*args)

    try:
        return await _threads.run_in_thread(run)
    except anyio.get_cancelled_exc_class():
        await _acquire(running)
        abandoned = True
        running.release()
        raise


async def _acquire(lock: Lock) -> None:
    while not lock.acquire(blocking=False):
        with suppress(anyio.get_cancelled_exc_class()), anyio.CancelScope(shield=True):
            await anyio.sleep(_POLL_SECONDS)  # a second cancellation does not end the wait


async def run_concurrently(
    run: Callable[[Item], Awaitable[None]], items: Iterable[Item], limit: int
) -> dict[Item, Exception]:
    """Run something for each item, at most ``limit`` at once, and return the errors."""
    errors: dict[Item, Exception] = {}
    limiter = anyio.CapacityLimiter(limit)

    async def run_one(item: Item) -> None:
        try:
            async with limiter:
                await run(item)
        except Exception as error:  # noqa: BLE001 - the others continue
            errors[item] = error

    async with anyio.create_task_group() as tasks:
        for item in items:
            tasks.start_soon(run_one, item)
    return errors
