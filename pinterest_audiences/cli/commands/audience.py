"""``audience create|list|get|remove``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from pinterest_audiences._models import Audience, AudienceType
from pinterest_audiences.cli.context import ContextArg
from pinterest_audiences.cli.error_reports import require_confirmation
from pinterest_audiences.cli.options import (
    DEFAULT_OPTIONS,
    CommonOptions,
    Flag,
    ListId,
    OrderChoice,
    order_value,
    page_size,
)
from pinterest_audiences.cli.output import to_row

if TYPE_CHECKING:
    from pinterest_audiences._models import JSON

__all__ = ["create", "get", "list_all", "remove"]

_COLUMNS = ("id", "name", "audience_type", "status", "size", "created_timestamp")
_AudienceId = Annotated[str, Parameter(name="AUDIENCE")]


def create(
    list_id: ListId,
    /,
    *,
    name: str,
    description: str | None = None,
    dry_run: Flag = False,
    common: CommonOptions = DEFAULT_OPTIONS,
    context: ContextArg,
) -> None:
    """Create an audience from a customer list.

    Args:
        list_id: Id or name of the list, or its alias in the profile.
        name: Name of the audience.
        description: Description of the audience.
        dry_run: Check that the list exists without creating anything.
        common: Common options.
        context: Context of the command.
    """
    with context.client() as client:
        # Pinterest answers a missing list with 400; this makes it a 404.
        customer_list = client.find_customer_list(
            context.ad_account, context.list_reference(list_id)
        )
        if dry_run:
            audience = Audience(
                id="",
                ad_account_id=context.ad_account,
                name=name,
                description=description,
                type="audience",
                audience_type=AudienceType.CUSTOMER_LIST,
                rule={"customer_list_id": customer_list.id},
            )
            context.console.note("dry run: nothing was created")
        else:
            audience = client.create_customer_list_audience(
                context.ad_account, customer_list.id, name, description=description
            )
    context.out.row(to_row(audience))
    if context.out.is_human and audience.id:
        context.out.command("Next", context.next_command("audience", "get", audience.id))


def list_all(
    *,
    limit: int | None = None,
    order: OrderChoice | None = None,
    received: Flag = False,
    common: CommonOptions = DEFAULT_OPTIONS,
    context: ContextArg,
) -> None:
    """List the audiences of the ad account.

    Args:
        limit: Maximum number of results. Default: all.
        order: Order by id, which is the order of creation.
        received: List audiences that others share with the ad account, instead of those it owns.
        common: Common options.
        context: Context of the command.
    """
    size = page_size(limit)

    def rows() -> Iterator[dict[str, JSON]]:
        pager = client.audiences_list(
            context.ad_account,
            page_size=size,
            order=order_value(order),
            ownership_type="RECEIVED" if received else None,
        )
        return (to_row(audience) for audience in islice(pager, limit))

    with context.client() as client:
        context.out.rows(rows(), _COLUMNS)


def get(
    audience_id: _AudienceId, /, *, common: CommonOptions = DEFAULT_OPTIONS, context: ContextArg
) -> None:
    """Show one audience.

    Args:
        audience_id: Id or name of the audience.
        common: Common options.
        context: Context of the command.
    """
    with context.client() as client:
        audience = client.find_audience(context.ad_account, audience_id)
    context.out.row(to_row(audience))


def remove(
    audience_id: _AudienceId,
    /,
    *,
    yes: Flag = False,
    dry_run: Flag = False,
    common: CommonOptions = DEFAULT_OPTIONS,
    context: ContextArg,
) -> None:
    """Remove an audience; its customer list stays.

    Args:
        audience_id: Id or name of the audience.
        yes: Confirm the removal.
        dry_run: Show the audience without removing it.
        common: Common options.
        context: Context of the command.

    Raises:
        CommandError: Without --yes.
    """
    require_confirmation(
        "nothing was removed: an audience cannot be restored",
        yes=yes or dry_run,
        code="guard_remove",
        hint="confirm with --yes; --dry-run shows the audience",
    )
    with context.client() as client:
        audience = client.find_audience(context.ad_account, audience_id)
        if dry_run:
            context.console.note("dry run: nothing was removed")
        else:
            audience = client.audiences_update(
                context.ad_account, audience.id, operation_type="REMOVE"
            )
    context.out.row(to_row(audience))
