"""Which list is meant, and how one is created once, though Pinterest has no idempotency key.

Before a list is created, the newest one of the account is noted. When the answer is lost, any list
of that name that is newer is the one; only if there is none, it is created again. Ids rise with
time, so no clock is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
from attrs import evolve, frozen

from pinterest_audiences.errors import CallError, ServerError
from pinterest_audiences.jobs.desk import Desk, in_thread
from pinterest_audiences.jobs.errors import GuardError
from pinterest_audiences.jobs.events import JobEventKind
from pinterest_audiences.jobs.patience import Patience, too_large
from pinterest_audiences.jobs.rows import BatchRow, ListRow, Receipt
from pinterest_audiences.jobs.state import State
from pinterest_audiences.models import Order, UserListType

if TYPE_CHECKING:
    from pinterest_audiences.jobs.apply import Delivery
    from pinterest_audiences.models import CustomerList
    from pinterest_audiences.pagination import AsyncPager
    from pinterest_audiences.records.batches import Batch

__all__ = ["Target", "create_with", "find_target"]

_PAGE = 250
_CREATIONS = 5  # in a row that are neither heard of nor found
_SECOND_LOOK = 5.0  # seconds; a listing may be a little behind


@frozen
class Target:
    """The list that a job is about.

    Attributes:
        row: Its row in the state.
        seen: As Pinterest shows it now; ``None`` where it has to be created.
    """

    row: ListRow
    seen: CustomerList | None


async def find_target(
    desk: Desk,
    state: State,
    account: str,
    customer_list_id: str | int | None,
    name: str | None,
) -> Target:
    """Find the list by its id, or by its name: in the state first, then at Pinterest.

    Raises:
        GuardError: Several lists have that name.
        NotFoundError: There is no list of that id.
        CallError: Pinterest could not be asked.
    """
    if customer_list_id is not None:
        return await _entered(desk, state, account, customer_list_id)
    target = await _known_target(desk, state, account, name)
    if target is not None:
        return target
    found = [each async for each in _newest_first(desk, account) if each.name == name]
    # What was found may be what another process has begun to create since the first look.
    target = await _known_target(desk, state, account, name)
    if target is not None:
        return target
    if len(found) > 1:
        raise _ambiguous(name, [each.id for each in found])
    if found:
        return await _entered(desk, state, account, found[0].id)
    return Target(await in_thread(state.enter_list, account, None, name, "created"), None)


async def _known_target(desk: Desk, state: State, account: str, name: str | None) -> Target | None:
    known = await in_thread(_known, state, account, name)
    if len(known) > 1:
        raise _ambiguous(name, [row.customer_list_id or "being created" for row in known])
    for row in known:
        if row.customer_list_id is None:
            return Target(row, None)
        return await _entered(desk, state, account, row.customer_list_id)
    return None


def _known(state: State, account: str, name: str | None) -> list[ListRow]:
    """Return the lists of a name; one without an id is none unless a job is creating it."""
    return [
        row
        for row in state.lists(account)
        if row.name == name and (row.customer_list_id or state.jobs(row.key, "running"))
    ]


async def _entered(desk: Desk, state: State, account: str, customer_list_id: str | int) -> Target:
    seen = await desk.calls.customer_lists_get(account, customer_list_id)
    return Target(await in_thread(state.enter_list, account, seen.id, seen.name, "foreign"), seen)


async def create_with(delivery: Delivery, batch: BatchRow) -> BatchRow | None:
    """Create the list of a job with its first batch, or find the one that was created.

    Returns:
        The batch to go on with: the first of several smaller ones where it was too large to create
        the list with; ``None`` where none is left.

    Raises:
        CallError: It could not be created; whether it was is looked up the next time.
    """
    before = delivery.costs.maybe_done
    newest = delivery.job.newest_id
    if newest is None:
        newest = await delivery.persist(lambda: _newest(delivery.desk, delivery.row.ad_account_id))
        await in_thread(delivery.state.note_newest, delivery.job.key, newest)
        delivery.job = evolve(delivery.job, newest_id=newest)
    elif batch.sends:
        found = await _find_created(delivery, newest)
        if found is not None:
            return await _go_on_with(delivery, batch, found)
    try:
        return await _create_or_find(delivery, batch, newest)
    except CallError as error:
        lost = delivery.costs.maybe_done - before
        if too_large(error, batch.count):
            return await delivery.split(batch, lost)
        await delivery.unmark(batch, lost)
        raise


async def _create_or_find(delivery: Delivery, batch: BatchRow, newest: str) -> BatchRow | None:
    state = delivery.state
    body: Batch = await in_thread(lambda: batch.form.batch(state.keys(batch)))
    patience, unheard = Patience(delivery.desk.clock, delivery.patience), 0
    while True:
        await in_thread(state.mark_sending, batch)
        delivery.emit(JobEventKind.BATCH_SENT, batch)
        made = await _create(delivery, body)
        if not isinstance(made, CallError):
            return await _created(delivery, batch, made)
        found = await _find_created(delivery, newest)
        if found is not None:
            return await _go_on_with(delivery, batch, found)
        # Where Pinterest answers that it cannot, it is waited for; where nobody answers and no
        # list is found, each further try might make another.
        unheard += not isinstance(made, ServerError)
        if unheard == _CREATIONS or not await delivery.wait(patience, made):
            raise made


async def _create(delivery: Delivery, body: Batch) -> CustomerList | CallError:
    """Create the list, or return the error after which nobody knows whether it was."""
    plan = delivery.job.plan
    is_nca = plan.get("is_nca")

    async def create() -> CustomerList | CallError:
        try:
            return await delivery.desk.calls.customer_lists_create(
                delivery.row.ad_account_id,
                name=delivery.row.name or "",
                records=body,
                list_type=str(plan.get("list_type") or UserListType.EMAIL),
                is_nca=is_nca if isinstance(is_nca, bool) else None,
            )
        except CallError as error:
            if error.maybe_applied:
                return error  # is looked for first
            raise

    return await delivery.persist(create)


async def _created(delivery: Delivery, batch: BatchRow, made: CustomerList) -> BatchRow | None:
    with anyio.CancelScope(shield=True):
        await _note(delivery, made)
        receipt = Receipt(batch, made, 0, delivery.costs, delivery.desk.clock.time())
        await delivery.acknowledge(receipt, None)
    delivery.emit(JobEventKind.LIST_CREATED)
    return await delivery.pending()


async def _go_on_with(delivery: Delivery, batch: BatchRow, found: CustomerList) -> BatchRow | None:
    """Go on with a list whose creation was not heard of: its first batch is sent again."""
    with anyio.CancelScope(shield=True):
        await _note(delivery, found)
        await in_thread(
            delivery.state.add_finding,
            delivery.job.key,
            f"the answer to the creation of list {found.id} was lost; it was found by its name",
        )
    delivery.emit(JobEventKind.LIST_FOUND, batch)
    return await delivery.pending()


async def _note(delivery: Delivery, seen: CustomerList) -> None:
    await in_thread(lambda: delivery.state.note_created(delivery.row.key, seen.id))
    delivery.row = await in_thread(delivery.state.list_row, delivery.row.key)


async def _find_created(delivery: Delivery, newest: str) -> CustomerList | None:
    async def look() -> CustomerList | None:
        return await _newer_of_name(delivery.desk, delivery.row, int(newest))

    found = await delivery.persist(look)
    if found is None:
        await delivery.desk.clock.sleep(_SECOND_LOOK)
        found = await delivery.persist(look)
    return found


async def _newer_of_name(desk: Desk, row: ListRow, newest: int) -> CustomerList | None:
    async for each in _newest_first(desk, row.ad_account_id):
        if int(each.id) <= newest:
            break
        if each.name == row.name:
            return each
    return None


async def _newest(desk: Desk, ad_account_id: str) -> str:
    async for each in _newest_first(desk, ad_account_id, page_size=1):
        return each.id
    return "0"


def _newest_first(
    desk: Desk, ad_account_id: str, page_size: int = _PAGE
) -> AsyncPager[CustomerList]:
    return desk.calls.customer_lists_list(
        ad_account_id, page_size=page_size, order=Order.DESCENDING
    )


def _ambiguous(name: str | None, ids: list[str]) -> GuardError:
    return GuardError(
        f"{len(ids)} lists are called {name!r} ({', '.join(ids)}); say which by customer_list_id",
        guard="ambiguous_name",
    )
