"""``lists list`` and ``lists get``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Literal

from pinterest_audiences.cli.context import Context
from pinterest_audiences.cli.options import COMMON, Common, Given, ListId
from pinterest_audiences.cli.refusals import usage
from pinterest_audiences.cli.rows import row_of

if TYPE_CHECKING:
    from pinterest_audiences.blocking import Client
    from pinterest_audiences.models import JSON

__all__ = ["get", "list_all"]

_COLUMNS = (
    "id",
    "name",
    "status",
    "num_uploaded_user_records",
    "num_removed_user_records",
    "updated_time",
)
_PAGE = 250


def list_all(
    *,
    limit: int | None = None,
    order: Literal["ascending", "descending"] | None = None,
    common: Common = COMMON,
    context: Given,
) -> None:
    """List the customer lists of the ad account.

    Args:
        limit: So many at most; all without it.
        order: By id, which is by age.
        common: Options of every command.
        context: What the command works with.
    """
    if limit is not None and limit < 0:
        raise usage("--limit: a number from 0 is needed")
    with context.client() as client:
        context.out.rows(_rows(context, client, limit, order), _COLUMNS)


def get(
    list_id: ListId,
    /,
    *,
    common: Common = COMMON,
    context: Given,
) -> None:
    """Show one customer list.

    Args:
        list_id: Its id, or a name of your own for it in the profile.
        common: Options of every command.
        context: What the command works with.
    """
    number = context.list_id(list_id)
    with context.client() as client:
        found = client.customer_lists_get(context.ad_account, number)
    context.out.row(row_of(found))


def _rows(
    context: Context, client: Client, limit: int | None, order: str | None
) -> Iterator[dict[str, JSON]]:
    size = _PAGE if limit is None else min(max(limit, 1), _PAGE)
    wanted = None if order is None else order.upper()
    pager = client.customer_lists_list(context.ad_account, page_size=size, order=wanted)
    return (row_of(each) for each in islice(pager, limit))
