"""A mirror's guards, and how its plan is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from attrs import frozen

from pinterest_audiences.errors import ConfigurationError
from pinterest_audiences.jobs.errors import GuardError
from pinterest_audiences.jobs.plan import Plan
from pinterest_audiences.records.forecast import MINIMUM_MATCHED, forecast

if TYPE_CHECKING:
    from pinterest_audiences.jobs.planning import Counts
    from pinterest_audiences.jobs.rows import ListRow
    from pinterest_audiences.jobs.source import SourceKeys

__all__ = ["Choices", "adopts", "check_source", "make_plan"]


@frozen
class Choices:
    """What the caller has decided.

    Attributes:
        adopt: Take a list whose content no job wrote for empty.
        max_removal_share: Above this share of removals an explicit yes is needed.
        match_rate: For the forecast.
    """

    adopt: bool = False
    max_removal_share: float = 0.2
    match_rate: float | None = None

    def check(self) -> None:
        """Refuse what cannot work, before a long source is read.

        Raises:
            ConfigurationError: A share or rate is out of its range.
        """
        share = cast("object", self.max_removal_share)
        if not isinstance(share, int | float) or isinstance(share, bool) or not 0 <= share <= 1:
            raise ConfigurationError("max_removal_share: a number from 0 to 1 is needed")
        if self.match_rate is not None:
            forecast(0, self.match_rate)


def check_source(row: ListRow, source: SourceKeys) -> None:
    """Refuse a source without records: it is broken more often than meant.

    Raises:
        GuardError: It has none.
    """
    if not source.count:
        raise GuardError(
            f"{row}: the source has no records, and a mirror of it would empty the list; to empty "
            "it, upload what is to go with operation='REMOVE'",
            guard="empty_source",
        )


def adopts(row: ListRow, choices: Choices) -> bool:
    """Tell whether a mirror adopts a list as empty; one whose content no job wrote has to be.

    Raises:
        GuardError: It is such a list, and is not to be adopted.
    """
    if row.origin != "foreign":
        return False
    if not choices.adopt:
        raise GuardError(
            f"{row}: was not created by a job, so what is on it is not known and would stay; say "
            "adopt=True to take it for empty, or mirror into a new list by its name",
            guard="unknown_content",
        )
    return True


def make_plan(
    row: ListRow,
    job_key: int,
    counts: Counts,
    source: SourceKeys,
    choices: Choices,
    *,
    calls_a_minute: float | None,
    findings: list[str],
) -> Plan:
    """Put a plan into numbers and words."""
    share = counts.remove / counts.known if counts.known else 0.0
    blocked = ""
    if share > choices.max_removal_share:
        blocked = (
            f"{counts.remove:,} of {counts.known:,} records ({share:.1%}) would be removed, more "
            f"than {choices.max_removal_share:.0%}; say allow_removals=True if that is right"
        )
    return Plan(
        job_id=job_key,
        ad_account_id=row.ad_account_id,
        customer_list_id=row.customer_list_id,
        name=row.name,
        add=counts.add,
        remove=counts.remove,
        keep=counts.keep,
        calls=counts.batches,
        calls_a_minute=calls_a_minute,
        removal_share=share,
        blocked=blocked,
        source=source.report,
        findings=(*findings, *_warnings(counts, choices)),
    )


def _warnings(counts: Counts, choices: Choices) -> list[str]:
    size = counts.add + counts.keep
    told: list[str] = []
    if choices.match_rate is not None:
        expected = forecast(size, choices.match_rate)
        if not expected.reaches_minimum:
            told.append(f"the list may be TOO_SMALL: {expected}")
    elif size < MINIMUM_MATCHED:
        told.append(
            f"the list will be TOO_SMALL: {size:,} records cannot match {MINIMUM_MATCHED} accounts"
        )
    if counts.new_forms and counts.remove:
        told.append(
            f"the source is hashed as {', '.join(counts.new_forms)}, the list was not: the same "
            "people may be added in one form and then removed in the other"
        )
    return told
