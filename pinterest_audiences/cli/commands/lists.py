"""``lists list|get|forget``; ``lists create`` is in `upload`."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from pinterest_audiences.cli.context import ContextArg
from pinterest_audiences.cli.error_reports import require_confirmation
from pinterest_audiences.cli.job_output import to_json
from pinterest_audiences.cli.options import (
    DEFAULT_OPTIONS,
    NO_LIST,
    CommonOptions,
    Flag,
    ListId,
    ListSelector,
    OrderChoice,
    order_value,
    page_size,
)
from pinterest_audiences.cli.output import to_row

if TYPE_CHECKING:
    pass

__all__ = ["forget", "get", "list_all"]

_COLUMNS = (
    "id",
    "name",
    "status",
    "num_uploaded_user_records",
    "num_removed_user_records",
    "updated_time",
)
_FORGOTTEN_COLUMNS = ("customer_list_id", "name", "origin", "records", "in_doubt", "settled")


def list_all(
    *,
    limit: int | None = None,
    order: OrderChoice | None = None,
    common: CommonOptions = DEFAULT_OPTIONS,
    context: ContextArg,
) -> None:
    """List the customer lists of the ad account.

    Args:
        limit: Maximum number of results. Default: all.
        order: Order by id, which is the order of creation.
        common: Common options.
        context: Context of the command.
    """
    size = page_size(limit)
    with context.client() as client:
        pager = client.customer_lists_list(
            context.ad_account, page_size=size, order=order_value(order)
        )
        context.out.rows((to_row(item) for item in islice(pager, limit)), _COLUMNS)


def get(
    list_id: ListId,
    /,
    *,
    common: CommonOptions = DEFAULT_OPTIONS,
    context: ContextArg,
) -> None:
    """Show one customer list.

    Args:
        list_id: Id or name of the list, or its alias in the profile.
        common: Common options.
        context: Context of the command.
    """
    with context.client() as client:
        customer_list = client.find_customer_list(
            context.ad_account, context.list_reference(list_id)
        )
    context.out.row(to_row(customer_list))


def forget(
    *,
    which: ListSelector = NO_LIST,
    yes: Flag = False,
    common: CommonOptions = DEFAULT_OPTIONS,
    context: ContextArg,
) -> None:
    """Erase the state of a list that no longer exists at Pinterest.

    Args:
        which: Which list.
        yes: Confirm the erasure.
        common: Common options.
        context: Context of the command.

    Raises:
        CommandError: Without --yes.
    """
    which.check()
    list_id = None if which.list_id is None else context.list_reference(which.list_id)
    require_confirmation(
        "nothing was erased: without its state a mirror does not know the members of the list",
        yes=yes,
        code="guard_forget_list",
        hint="confirm with --yes if Pinterest has deleted the list; `status` shows its state",
    )
    with context.offline_client() as client:
        forget_list = partial(client.forget_list, context.ad_account, state=context.state)
        erased = (
            forget_list(name=which.name or "")
            if list_id is None
            else forget_list(customer_list_id=list_id)
        )
    context.console.note("erased from the state file; nothing was sent")
    context.out.rows([to_json(erased.to_dict())], _FORGOTTEN_COLUMNS)
