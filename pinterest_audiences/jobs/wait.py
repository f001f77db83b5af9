"""Until a list is READY or TOO_SMALL, or time is up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinterest_audiences.jobs.errors import WaitTimeoutError
from pinterest_audiences.models import CustomerList, CustomerListStatus

if TYPE_CHECKING:
    from pinterest_audiences.jobs.desk import Desk

__all__ = ["wait_until_ready"]

_GROWTH = 1.5
# READY and TOO_SMALL are the ends; whatever else a later API may say is taken for work in progress.
_ENDS = (CustomerListStatus.READY, CustomerListStatus.TOO_SMALL)


async def wait_until_ready(
    desk: Desk,
    ad_account_id: str | int,
    customer_list_id: str | int,
    *,
    timeout: float,  # noqa: ASYNC109 - told apart from a cancellation: it returns what was last seen
    first_gap: float,
    longest_gap: float,
) -> CustomerList:
    """Poll a list until it is done.

    Raises:
        WaitTimeoutError: It was not done in time.
        CallError: It could not be fetched.
    """
    begun, gap = desk.clock.monotonic(), first_gap
    while True:
        seen = await desk.calls.customer_lists_get(ad_account_id, customer_list_id)
        if seen.status in _ENDS:
            return seen
        left = timeout - (desk.clock.monotonic() - begun)
        if left <= 0:
            raise WaitTimeoutError(
                f"list {seen.id} is still {seen.status or 'without a status'} after {timeout:,.0f} "
                "s; Pinterest may take up to 48 hours: wait again, with a longer timeout",
                customer_list=seen,
            )
        # Spread by chance, so that many waiters do not ask in one instant.
        await desk.clock.sleep(min(left, gap * (0.9 + 0.2 * desk.clock.random())))
        gap = min(gap * _GROWTH, longest_gap)
