"""What a job needs of a client."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pinterest_audiences._methods.customer_lists import AsyncCustomerLists
from pinterest_audiences._methods.uploads import AsyncUploads
from pinterest_audiences._wire import settings

if TYPE_CHECKING:
    from pinterest_audiences.jobs.events import OnEvent
    from pinterest_audiences.jobs.run import Work

__all__ = ["JobCalls", "work_for"]


class JobCalls(AsyncCustomerLists, AsyncUploads):
    """The calls that jobs are made of."""


def work_for(
    client: JobCalls,
    state: str | os.PathLike[str] | None = None,
    on_event: OnEvent | None = None,
    patience: float = 1.0,
) -> Work:
    """Put together what a job needs of a client.

    Raises:
        ConfigurationError: ``patience`` is no number above 0.
    """
    from pinterest_audiences.jobs import desk, run  # noqa: PLC0415 - when used

    # The methods of a client are one class in several files.
    session = client._session  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    place = desk.Desk(
        client, session.clock, session.base_url, lambda: session.per_minute("ads_write")
    )
    return run.Work(place, state, on_event, settings.number("patience", patience, above=0.0))
