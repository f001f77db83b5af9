"""``demo``: the whole workflow with sample data, on the local emulator."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pinterest_audiences._errors import SourceError
from pinterest_audiences._records.prepare import prepare
from pinterest_audiences.cli.context import ContextArg
from pinterest_audiences.cli.error_reports import usage_error
from pinterest_audiences.cli.job_output import duplicates_of
from pinterest_audiences.cli.options import (
    DEFAULT_OPTIONS,
    DEFAULT_SOURCE,
    CommonOptions,
    File,
    preparation,
)
from pinterest_audiences.cli.progress import progress_display

if TYPE_CHECKING:
    from pinterest_audiences._models import Audience
    from pinterest_audiences._sync_client import Client

__all__ = ["demo", "sample_customers"]

_FIRST = (
    "Ada",
    "Ben",
    "Cleo",
    "Dan",
    "Eva",
    "Finn",
    "Gia",
    "Hal",
    "Ida",
    "Jon",
    "Kim",
    "Lea",
    "Max",
)
_LAST = ("Abel", "Berg", "Cruz", "Diaz", "Endo", "Frost", "Gray", "Holm", "Ito", "Jung", "Kroll")
# Reserved by RFC 2606: these domains have no mailboxes.
_DOMAINS = ("example.com", "example.org", "shop.example.net")


def sample_customers(count: int) -> Iterator[dict[str, str]]:
    """Return sample customers as in a real export: untidy, some without a usable address.

    Args:
        count: Number of customers; the same count gives the same customers.
    """
    rng = random.Random(count)  # noqa: S311 - must be reproducible, not secret
    for number in range(count):
        first, last = rng.choice(_FIRST), rng.choice(_LAST)
        email = f"{first}.{last}{number}@{rng.choice(_DOMAINS)}".lower()
        defect = rng.random()
        if defect < 0.02:  # noqa: PLR2004 - as in real exports
            email = ""
        elif defect < 0.04:  # noqa: PLR2004
            email = email.replace("@", " at ")
        elif defect < 0.2:  # noqa: PLR2004
            email = f" {email.title()}"
        yield {"name": f"{first} {last}", "email": email}


_NAME = "Demo customers"
_MAX_CUSTOMERS, _DEFAULT_CUSTOMERS, _MIN_CUSTOMERS = 1_000_000, 25_000, 1
_POLL_SECONDS = 0.25  # the emulator takes seconds, Pinterest up to 48 hours


def demo(
    file: File | None = None,
    /,
    *,
    customers: int | None = None,
    common: CommonOptions = DEFAULT_OPTIONS,
    context: ContextArg,
) -> None:
    """Upload customers, wait until the list is READY and create its audience, offline.

    Args:
        file: Your own customers, which stay on this machine. Default: sample customers.
        customers: Number of sample customers. Default: 25,000.
        common: Common options.
        context: Context of the command.

    Raises:
        CommandError: The options cannot be used together.
        SourceError: No customer can be sent.
    """
    if file is not None and customers is not None:
        raise usage_error(
            "--customers cannot be used with FILE: it is the number of sample customers"
        )
    customers = _DEFAULT_CUSTOMERS if customers is None else customers
    if not _MIN_CUSTOMERS <= customers <= _MAX_CUSTOMERS:
        raise usage_error(f"--customers must be from {_MIN_CUSTOMERS} to {_MAX_CUSTOMERS:,}")
    context.use_emulator()
    source = (
        prepare(sample_customers(customers), column="email")
        if file is None
        else preparation((file,), DEFAULT_SOURCE, database=None, share=None)
    )
    account = context.ad_account
    with context.client() as client, progress_display(context.console) as progress:
        source_name = file or f"{customers:,} sample customers"
        context.console.note(f"1. Clean, hash and upload {source_name}")
        report = client.upload(
            account,
            source,
            name=_NAME,
            state=context.state,
            on_event=context.with_resume_hint(progress),
        )
        if not report.planned:
            raise SourceError("has no customer that can be sent", source=source_name)
        progress.wait("2. Wait until the list is ready; at Pinterest this takes a day or two")
        ready = client.wait_until_ready(
            account, report.customer_list_id or "", timeout=600, poll_interval=_POLL_SECONDS
        )
        context.console.note("3. Create the audience")
        audience = client.create_customer_list_audience(account, ready.id, _NAME)
        audience = _wait_for_audience(client, account, audience)
    source_report = report.source if isinstance(report.source, dict) else {}
    context.out.row(
        {
            "customers": source_report.get("rows"),
            "rejected": source_report.get("rejected"),
            "duplicates": duplicates_of(report),
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
    context.console.note(
        "Nothing left this machine. Next: pinterest-audiences lists list --emulator"
    )


def _wait_for_audience(client: Client, account: str, audience: Audience) -> Audience:
    while audience.status == "INITIALIZING":
        time.sleep(_POLL_SECONDS)  # the command is synchronous
        audience = client.audiences_get(account, audience.id)
    return audience
