"""``segments create|list|get|update|remove``."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from pinterest_audiences.cli.context import Context, ContextArg
from pinterest_audiences.cli.error_reports import require_confirmation
from pinterest_audiences.cli.options import (
    DEFAULT_OPTIONS,
    CommonOptions,
    Flag,
    OrderChoice,
    order_value,
    page_size,
)
from pinterest_audiences.cli.output import to_row

if TYPE_CHECKING:
    from pinterest_audiences._sync_client import Client

__all__ = ["create", "get", "list_all", "remove", "update"]

_COLUMNS = ("id", "name", "audience_ids", "status", "updated_time")
_SegmentId = Annotated[str, Parameter(name="SEGMENT")]
_Audiences = Annotated[list[str], Parameter(name="--audience", negative="")]


def create(
    *,
    name: str,
    audience_id: _Audiences,
    common: CommonOptions = DEFAULT_OPTIONS,
    context: ContextArg,
) -> None:
    """Create a customer segment from audiences.

    Args:
        name: Name of the segment.
        audience_id: Id or name of an audience; can be repeated.
        common: Common options.
        context: Context of the command.
    """
    with context.client() as client:
        segment = client.customer_segments_create(
            context.ad_account, name=name, audience_ids=_audience_ids(context, client, audience_id)
        )
    context.out.row(to_row(segment))


def list_all(
    *,
    limit: int | None = None,
    order: OrderChoice | None = None,
    common: CommonOptions = DEFAULT_OPTIONS,
    context: ContextArg,
) -> None:
    """List the customer segments of the ad account.

    Args:
        limit: Maximum number of results. Default: all.
        order: Order by id, which is the order of creation.
        common: Common options.
        context: Context of the command.
    """
    size = page_size(limit)
    with context.client() as client:
        pager = client.customer_segments_list(
            context.ad_account,
            page_size=size,
            order=order_value(order),
        )
        context.out.rows((to_row(segment) for segment in islice(pager, limit)), _COLUMNS)


def get(
    segment_id: _SegmentId, /, *, common: CommonOptions = DEFAULT_OPTIONS, context: ContextArg
) -> None:
    """Show one customer segment.

    Args:
        segment_id: Id or name of the segment.
        common: Common options.
        context: Context of the command.
    """
    with context.client() as client:
        segment = client.find_customer_segment(context.ad_account, segment_id)
    context.out.row(to_row(segment))


def update(
    segment_id: _SegmentId,
    /,
    *,
    audience_id: _Audiences,
    common: CommonOptions = DEFAULT_OPTIONS,
    context: ContextArg,
) -> None:
    """Replace the audiences of a customer segment, and show it.

    Args:
        segment_id: Id or name of the segment.
        audience_id: Id or name of an audience; can be repeated. The segment has no others
            afterwards.
        common: Common options.
        context: Context of the command.
    """
    with context.client() as client:
        segment = client.find_customer_segment(context.ad_account, segment_id)
        audience_ids = _audience_ids(context, client, audience_id)
        client.customer_segments_update(context.ad_account, segment.id, audience_ids=audience_ids)
        # Pinterest returns nothing for an update.
        segment = client.find_customer_segment(context.ad_account, segment.id)
    context.out.row(to_row(segment))


def remove(
    segment_id: _SegmentId,
    /,
    *,
    yes: Flag = False,
    dry_run: Flag = False,
    common: CommonOptions = DEFAULT_OPTIONS,
    context: ContextArg,
) -> None:
    """Remove a customer segment, and show it as it was; its audiences stay.

    Args:
        segment_id: Id or name of the segment.
        yes: Confirm the removal.
        dry_run: Show the segment without removing it.
        common: Common options.
        context: Context of the command.

    Raises:
        CommandError: Without --yes.
    """
    require_confirmation(
        "nothing was removed: a customer segment cannot be restored",
        yes=yes or dry_run,
        code="guard_remove",
        hint="confirm with --yes; --dry-run shows the segment",
    )
    with context.client() as client:
        segment = client.find_customer_segment(context.ad_account, segment_id)
        if dry_run:
            context.console.note("dry run: nothing was removed")
        else:
            client.customer_segments_update(context.ad_account, segment.id, operation_type="REMOVE")
    context.out.row(to_row(segment))


def _audience_ids(context: Context, client: Client, references: list[str]) -> list[str]:
    """Return the ids of audiences that are given by id or name, each once."""
    audiences = [client.find_audience(context.ad_account, item) for item in references]
    return list(dict.fromkeys(audience.id for audience in audiences))
