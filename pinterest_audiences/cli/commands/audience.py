"""``audience create|list|get|remove``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from pinterest_audiences.cli.exits import Exit
from pinterest_audiences.cli.options import COMMON, Common, Flag, Given, ListId
from pinterest_audiences.cli.refusals import CommandError, usage
from pinterest_audiences.cli.rows import row_of
from pinterest_audiences.models import Audience, AudienceType

if TYPE_CHECKING:
    from pinterest_audiences.models import JSON

__all__ = ["create", "get", "list_all", "remove"]

_COLUMNS = ("id", "name", "audience_type", "status", "size", "created_timestamp")
_PAGE = 250
_AudienceId = Annotated[str, Parameter(name="AUDIENCE")]


def create(
    list_id: ListId,
    /,
    *,
    name: str,
    description: str | None = None,
    dry_run: Flag = False,
    common: Common = COMMON,
    context: Given,
) -> None:
    """Make the audience of a customer list.

    Args:
        list_id: The list's id, or a name of your own for it in the profile.
        name: What the audience is called.
        description: What it is described as.
        dry_run: Look whether there is such a list, and make nothing.
        common: Options of every command.
        context: What the command works with.
    """
    number = context.list_id(list_id)
    with context.client() as client:
        # Pinterest calls it a bad request when there is no such list.
        client.customer_lists_get(context.ad_account, number)
        if dry_run:
            made = Audience(
                id="",
                ad_account_id=context.ad_account,
                name=name,
                description=description,
                type="audience",
                audience_type=AudienceType.CUSTOMER_LIST,
                rule={"customer_list_id": number},
            )
            context.screen.note("dry run: nothing was made")
        else:
            made = client.create_customer_list_audience(
                context.ad_account, number, name, description=description
            )
    context.out.row(row_of(made))


def list_all(
    *,
    limit: int | None = None,
    order: Literal["ascending", "descending"] | None = None,
    received: Flag = False,
    common: Common = COMMON,
    context: Given,
) -> None:
    """List the audiences of the ad account.

    Args:
        limit: So many at most; all without it.
        order: By id, which is by age.
        received: Those that others share with the ad account, instead of its own.
        common: Options of every command.
        context: What the command works with.
    """
    if limit is not None and limit < 0:
        raise usage("--limit: a number from 0 is needed")

    def rows() -> Iterator[dict[str, JSON]]:
        pager = client.audiences_list(
            context.ad_account,
            page_size=_PAGE if limit is None else min(max(limit, 1), _PAGE),
            order=None if order is None else order.upper(),
            ownership_type="RECEIVED" if received else None,
        )
        return (row_of(each) for each in islice(pager, limit))

    with context.client() as client:
        context.out.rows(rows(), _COLUMNS)


def get(audience_id: _AudienceId, /, *, common: Common = COMMON, context: Given) -> None:
    """Show one audience.

    Args:
        audience_id: Its id.
        common: Options of every command.
        context: What the command works with.
    """
    with context.client() as client:
        found = client.audiences_get(context.ad_account, audience_id)
    context.out.row(row_of(found))


def remove(
    audience_id: _AudienceId,
    /,
    *,
    yes: Flag = False,
    dry_run: Flag = False,
    common: Common = COMMON,
    context: Given,
) -> None:
    """Remove an audience; its customer list stays.

    Args:
        audience_id: Its id.
        yes: Yes, remove it; without it nothing is done.
        dry_run: Show which one it is, and remove nothing.
        common: Options of every command.
        context: What the command works with.

    Raises:
        CommandError: Nobody said yes.
    """
    if not yes and not dry_run:
        raise CommandError(
            "nothing was removed: an audience that is removed does not come back",
            code="guard_remove",
            exit=Exit.REFUSED,
            hint="say --yes, or look with --dry-run first",
        )
    with context.client() as client:
        if dry_run:
            found = client.audiences_get(context.ad_account, audience_id)
            context.screen.note("dry run: nothing was removed")
        else:
            found = client.audiences_update(
                context.ad_account, audience_id, operation_type="REMOVE"
            )
    context.out.row(row_of(found))
