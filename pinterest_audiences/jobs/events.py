"""What happens while a job runs, told to a callback: enough for a progress bar."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from attrs import frozen

from pinterest_audiences.models import OpenEnum

__all__ = ["JobEvent", "JobEventKind", "OnEvent"]


class JobEventKind(OpenEnum):
    """What happened."""

    PLANNED = "planned"
    LIST_CREATED = "list_created"
    LIST_FOUND = "list_found"
    BATCH_SENT = "batch_sent"
    BATCH_ACKNOWLEDGED = "batch_acknowledged"
    BATCH_SPLIT = "batch_split"
    RETRY = "retry"
    WAITING_FOR_BUDGET = "waiting_for_budget"
    DONE = "done"
    INTERRUPTED = "interrupted"


@frozen(kw_only=True)
class JobEvent:
    """One thing that happened to a job.

    Attributes:
        kind: What.
        job_id: Which job, in the state file.
        ad_account_id: Whose list.
        customer_list_id: Which list; ``None`` before it is created.
        operation: ``ADD`` or ``REMOVE``, where it is about a batch.
        records: Records it is about: of the batch.
        done: Records acknowledged so far, by this job.
        total: Records of the whole job.
        wait: Seconds until the next attempt, where it waits.
        elapsed: Seconds since this run of the job began.
        seconds_left: Seconds to go at the present rate; ``None`` while nothing was acknowledged.
    """

    kind: JobEventKind
    job_id: int
    ad_account_id: str
    customer_list_id: str | None = None
    operation: str | None = None
    records: int = 0
    done: int = 0
    total: int = 0
    wait: float = 0.0
    elapsed: float = 0.0
    seconds_left: float | None = None


OnEvent: TypeAlias = Callable[[JobEvent], None]
