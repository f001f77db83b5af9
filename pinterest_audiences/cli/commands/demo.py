"""``demo``: all of it, on the embedded emulator."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pinterest_audiences.cli.options import AS_USUAL, COMMON, Common, File, Given
from pinterest_audiences.cli.people import made_up_customers
from pinterest_audiences.cli.progress import following
from pinterest_audiences.cli.refusals import usage
from pinterest_audiences.cli.sources import preparation
from pinterest_audiences.errors import SourceError
from pinterest_audiences.records.prepare import prepare

if TYPE_CHECKING:
    from pinterest_audiences.blocking import Client
    from pinterest_audiences.models import Audience

__all__ = ["demo"]

_NAME = "Demo customers"
_MOST, _USUAL, _FEWEST = 1_000_000, 25_000, 1
_LOOK_AGAIN = 0.25  # seconds; the emulator is quicker than Pinterest's 48 hours


def demo(
    file: File | None = None,
    /,
    *,
    customers: int | None = None,
    common: Common = COMMON,
    context: Given,
) -> None:
    """Make a list of customers, wait until it is READY, and make its audience.

    Args:
        file: Customers of your own; they do not leave this machine. Without it some are made up.
        customers: How many are made up; 25,000 without it.
        common: Options of every command.
        context: What the command works with.

    Raises:
        CommandError: The words cannot work.
        SourceError: There is no customer that can be sent.
    """
    if file is not None and customers is not None:
        raise usage("--customers is of those that are made up; with FILE there are none")
    customers = _USUAL if customers is None else customers
    if not _FEWEST <= customers <= _MOST:
        raise usage(f"--customers: a number from {_FEWEST} to {_MOST:,} is needed")
    context.use_emulator()
    source = (
        prepare(made_up_customers(customers), column="email")
        if file is None
        else preparation(file, AS_USUAL, share=None)
    )
    account = context.ad_account
    with context.client() as client, following(context.screen) as teller:
        told = file or f"{customers:,} made-up customers"
        context.screen.note(f"1. {told}: cleaned, hashed and uploaded")
        report = client.upload(
            account,
            source,
            name=_NAME,
            state=context.state,
            on_event=context.watching(teller),
        )
        if not report.planned:
            raise SourceError("has no customer that can be sent", source=told)
        teller.wait("2. waiting until the list is ready; at Pinterest that takes a day or two")
        ready = client.wait_until_ready(
            account, report.customer_list_id or "", timeout=600, first_gap=_LOOK_AGAIN
        )
        context.screen.note("3. the audience that ads are shown to")
        audience = _settled(client, account, _audience(client, account, ready.id))
    counted = report.source if isinstance(report.source, dict) else {}
    context.out.row(
        {
            "customers": counted.get("rows"),
            "rejected": counted.get("rejected"),
            "added": report.added,
            "customer_list_id": ready.id,
            "customer_list_name": ready.name,
            "customer_list_status": None if ready.status is None else str(ready.status),
            "audience_id": audience.id,
            "audience_name": audience.name,
            "audience_status": None if audience.status is None else str(audience.status),
            "audience_size": audience.size,
        }
    )
    context.screen.note(
        "Nothing has left this machine. Look around: pinterest-audiences lists list --emulator"
    )


def _audience(client: Client, account: str, customer_list_id: str) -> Audience:
    """Return the audience of the list, made if an earlier demonstration has not."""
    for each in client.audiences_list(account, page_size=250):
        if each.rule is not None and each.rule.get("customer_list_id") == customer_list_id:
            return each
    return client.create_customer_list_audience(account, customer_list_id, _NAME)


def _settled(client: Client, account: str, audience: Audience) -> Audience:
    while audience.status == "INITIALIZING":
        time.sleep(_LOOK_AGAIN)  # nothing else is to be done meanwhile
        audience = client.audiences_get(account, audience.id)
    return audience
