"""The rows of the state file, as they are handed about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from pinterest_audiences._wire.trace import Trace
    from pinterest_audiences.jobs.keys import Form
    from pinterest_audiences.models import JSON, CustomerList

__all__ = ["BatchRow", "JobRow", "ListRow", "Receipt"]


@frozen
class ListRow:
    """A customer list; ``batches``, ``uploaded`` and ``removed`` are its counters as last seen."""

    key: int
    service: str
    ad_account_id: str
    customer_list_id: str | None
    name: str | None
    origin: str
    version: int
    batches: int | None
    uploaded: int | None
    removed: int | None

    def __str__(self) -> str:
        name = f'"{self.name}" ' if self.name else ""
        return f"list {name}{self.customer_list_id or '(not created yet)'}"


@frozen
class JobRow:
    """A job; ``plan`` is what was decided when it was planned."""

    key: int
    list_key: int
    kind: str
    status: str
    version: int
    plan: dict[str, JSON]
    newest_id: str | None


@frozen
class BatchRow:
    """A batch, without its keys.

    ``status`` is ``sending`` while nobody has heard what became of its calls; ``sends`` is how
    often it may have been taken.
    """

    key: int
    job_key: int
    seq: int
    operation: str
    form: Form
    count: int
    status: str
    sends: int


@frozen
class Receipt:
    """What is kept of a batch that Pinterest has taken.

    Attributes:
        batch: Which.
        seen: The list in the answer.
        repeats: How many sendings before may have been taken too.
        costs: What it cost.
        time: When, in Unix seconds.
    """

    batch: BatchRow
    seen: CustomerList
    repeats: int
    costs: Trace
    time: float
