"""``demo``: all of it, on the embedded emulator."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pinterest_audiences.cli.context import usage
from pinterest_audiences.cli.options import COMMON, Common, Given
from pinterest_audiences.cli.people import made_up_customers
from pinterest_audiences.cli.progress import following

if TYPE_CHECKING:
    from pinterest_audiences.blocking import Client
    from pinterest_audiences.models import Audience

__all__ = ["demo"]

_NAME = "Demo customers"
_MOST, _FEWEST = 1_000_000, 1
_LOOK_AGAIN = 0.25  # seconds; the emulator is quicker than Pinterest's 48 hours


def demo(
    *,
    customers: int = 25_000,
    common: Common = COMMON,
    context: Given,
) -> None:
    """Make a list of made-up customers, wait until it is READY, and make its audience.

    Args:
        customers: How many are made up.
        common: Options of every command.
        context: What the command works with.
    """
    if not _FEWEST <= customers <= _MOST:
        raise usage(f"--customers: a number from {_FEWEST} to {_MOST:,} is needed")
    context.use_emulator()
    account = context.ad_account
    with context.client() as client, following(context.screen) as teller:
        context.screen.note(f"1. {customers:,} made-up customers, cleaned, hashed and uploaded")
        report = client.upload(
            account,
            made_up_customers(customers),
            name=_NAME,
            column="email",
            state=context.state,
            on_event=context.watching(teller),
        )
        context.screen.note(
            "2. waiting until the list is ready; Pinterest itself takes a day or two"
        )
        teller.wait("waiting until the list is ready")
        ready = client.wait_until_ready(
            account, report.customer_list_id or "", timeout=600, first_gap=_LOOK_AGAIN
        )
        context.screen.note("3. the audience that ads are shown to")
        audience = _settled(client, account, _audience(client, account, ready.id))
    source = report.source if isinstance(report.source, dict) else {}
    context.out.row(
        {
            "customers": customers,
            "rejected": source.get("rejected"),
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
        time.sleep(_LOOK_AGAIN)
        audience = client.audiences_get(account, audience.id)
    return audience
