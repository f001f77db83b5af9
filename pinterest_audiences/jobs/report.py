"""What became of a job, for people and for machines; never a record."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

from attrs import AttrsInstance, asdict, frozen

if TYPE_CHECKING:
    from pinterest_audiences.models import JSON

__all__ = ["ForgetReceipt", "ForgottenIn", "JobReport", "ListStatus"]


class _Told:
    """Can be written as JSON."""

    def to_dict(self) -> dict[str, JSON]:
        """Return it as JSON values; names are only ever added."""
        return cast("dict[str, JSON]", asdict(cast("AttrsInstance", self)))

    def to_json(self) -> str:
        """Return it as one line of JSON."""
        return json.dumps(self.to_dict(), separators=(",", ":"))


@frozen(kw_only=True)
class JobReport(_Told):
    """Exact figures of a job, over all its runs: ``planned == acknowledged + left + dropped``.

    Attributes:
        job_id: The job in the state file.
        kind: ``upload``, ``mirror`` or ``forget``.
        status: ``done``, ``running`` (interrupted, can be resumed) or ``superseded`` by a mirror.
        ad_account_id: Whose list.
        customer_list_id: Which list; ``None`` where none was created yet.
        name: The list's name, where it is known.
        created: Whether the list was created by this job.
        planned: Records to add and to remove.
        added: Records whose addition was acknowledged.
        removed: Records whose removal was acknowledged.
        left: Records not acknowledged yet.
        dropped: Records that a later mirror made needless.
        sent_twice: Records that were sent more than once, because an answer was lost.
        batches: How many batches there are.
        calls: Requests sent for them, at least: those of a killed process count once.
        rate_limited: How many of those were refused with 429.
        budget_seconds: Seconds waited for the rate budget.
        bytes: Bytes of request bodies sent.
        source: What became of the rows of the source, as ``PreparationReport.to_dict`` tells it.
        findings: What is worth knowing.
    """

    job_id: int
    kind: str
    status: str
    ad_account_id: str
    customer_list_id: str | None
    name: str | None
    created: bool = False
    planned: int = 0
    added: int = 0
    removed: int = 0
    left: int = 0
    dropped: int = 0
    sent_twice: int = 0
    batches: int = 0
    calls: int = 0
    rate_limited: int = 0
    budget_seconds: float = 0.0
    bytes: int = 0
    source: JSON = None
    findings: tuple[str, ...] = ()

    @property
    def acknowledged(self) -> int:
        """Records that Pinterest has taken."""
        return self.added + self.removed

    def __str__(self) -> str:
        where = f'"{self.name}" ' if self.name else ""
        which = f"list {where}{self.customer_list_id or '(not created)'}"
        lines = [
            f"{self.kind} {self.job_id} to {which}: {self.status}",
            f"{self.planned:>12,} records planned",
            f"{self.added:>12,} added",
            f"{self.removed:>12,} removed",
            f"{self.left:>12,} left",
        ]
        if self.dropped:
            lines.append(f"{self.dropped:>12,} dropped: a mirror took their place")
        if self.sent_twice:
            lines.append(f"{self.sent_twice:>12,} sent twice: an answer was lost")
        lines.append(
            f"{self.batches:>12,} batches, {self.calls:,} calls, {self.bytes / 1e6:,.1f} MB, "
            f"{self.rate_limited:,} refused (429), {self.budget_seconds:,.0f} s waiting for the "
            "budget"
        )
        lines += (f"  finding: {finding}" for finding in self.findings)
        return "\n".join(lines)


@frozen(kw_only=True)
class ListStatus(_Told):
    """What is known of a list.

    Attributes:
        ad_account_id: Whose list.
        customer_list_id: Which list; ``None`` where its creation was never answered.
        name: Its name, where it is known.
        origin: ``created`` by a job; ``foreign``: not by one, so its content is unknown;
            ``adopted``: taken for empty when its mirror began.
        records: Records that are on it, as far as is known.
        in_doubt: Records that may be on it.
        settled: Whether no job of it is unfinished.
        jobs: Its jobs, oldest first.
    """

    ad_account_id: str
    customer_list_id: str | None
    name: str | None
    origin: str
    records: int
    in_doubt: int
    settled: bool
    jobs: tuple[JobReport, ...] = ()

    def __str__(self) -> str:
        where = f'"{self.name}" ' if self.name else ""
        doubt = f", {self.in_doubt:,} in doubt" if self.in_doubt else ""
        which = f"list {where}{self.customer_list_id or '(not created)'}"
        account = f"of ad account {self.ad_account_id} ({self.origin})"
        unfinished = "" if self.settled else "; a job is unfinished"
        lines = [f"{which} {account}: {self.records:,} records{doubt}{unfinished}"]
        lines += (
            f"  {job.kind} {job.job_id}: {job.status}, {job.acknowledged:,} of {job.planned:,}"
            for job in self.jobs
        )
        return "\n".join(lines)


@frozen(kw_only=True)
class ForgottenIn(_Told):
    """What was done about one list.

    Attributes:
        ad_account_id: Whose list.
        customer_list_id: Which list; empty where a job that creates it could not be finished.
        name: Its name, where it is known.
        records: Records whose removal Pinterest has acknowledged.
        content_known: Whether all that is on the list was written by jobs. Where it was not, every
            form of the identifiers was removed; rows of several identifiers that somebody else
            wrote cannot be.
        problem: Why it could not be done; empty where it was.
    """

    ad_account_id: str
    customer_list_id: str
    name: str | None
    records: int = 0
    content_known: bool = True
    problem: str = ""


@frozen(kw_only=True)
class ForgetReceipt(_Told):
    """For the file: who asked is yours to note, by a reference; no identifier is in here.

    Attributes:
        reference: Yours, e.g. the number of the request.
        people: How many identifiers were given.
        unusable: How many of them cannot be identifiers of that kind.
        begun: When, in Unix seconds.
        lists: What was done about each list in the state.
    """

    reference: str
    people: int
    unusable: int
    begun: float
    lists: tuple[ForgottenIn, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether nothing went wrong with any list."""
        return not self.unusable and not any(each.problem for each in self.lists)

    def __str__(self) -> str:
        head = f"forget {self.reference or '(no reference)'}: {self.people:,} identifiers"
        lines = [head + (f", {self.unusable:,} unusable" if self.unusable else "")]
        for each in self.lists:
            where = f'"{each.name}" ' if each.name else ""
            done = each.problem or f"{each.records:,} records removed"
            which = each.customer_list_id or "(not created)"
            lines.append(f"  list {where}{which}: {done}")
        return "\n".join(lines)
