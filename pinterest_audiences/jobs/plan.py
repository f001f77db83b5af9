"""What a mirror would do, before it does it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

from attrs import asdict, fields, frozen

from pinterest_audiences.jobs.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pinterest_audiences.models import JSON

__all__ = ["Plan", "contents", "is_of"]


@frozen(kw_only=True)
class Plan:
    """What will be added, removed and kept. The records themselves are in the state file.

    Attributes:
        job_id: The plan in the state file.
        ad_account_id: Whose list.
        customer_list_id: Which list; ``None`` where applying the plan creates it.
        name: Its name, where it is known.
        add: Records to add.
        remove: Records to remove.
        keep: Records that stay.
        calls: Calls that takes, at least.
        calls_a_minute: What the rate budget has room for at present; ``None`` for no limit.
        removal_share: Removals among what may be on the list now, from 0 to 1.
        blocked: Why it is not applied without an explicit yes; empty where nothing is against it.
        source: What became of the rows of the source, as ``PreparationReport.to_dict`` tells it.
        findings: What is worth knowing.
    """

    job_id: int
    ad_account_id: str
    customer_list_id: str | None
    name: str | None = None
    add: int = 0
    remove: int = 0
    keep: int = 0
    calls: int = 0
    calls_a_minute: float | None = None
    removal_share: float = 0.0
    blocked: str = ""
    source: JSON = None
    findings: tuple[str, ...] = ()

    @property
    def minutes(self) -> float:
        """Minutes that the calls take at the present rate budget."""
        return self.calls / self.calls_a_minute if self.calls_a_minute else 0.0

    @property
    def changes(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.add or self.remove)

    def to_dict(self) -> dict[str, JSON]:
        """Return the plan as JSON values; names are only ever added."""
        return {**cast("dict[str, JSON]", asdict(self)), "minutes": self.minutes}

    def to_json(self) -> str:
        """Return the plan as one line of JSON."""
        return json.dumps(self.to_dict(), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read a plan that :meth:`to_json` wrote.

        Raises:
            PlanError: It is none.
        """
        try:
            told = cast("Mapping[str, JSON]", json.loads(text))
            known = {field.name for field in fields(cls)}
            values = {name: value for name, value in told.items() if name in known}
            findings = cast("list[str]", values.pop("findings", []))
            return cls(**values, findings=tuple(findings))  # type: ignore[arg-type]  # what cannot be a plan fails when it is looked up
        except (ValueError, TypeError, AttributeError):
            raise PlanError("this is no plan: JSON as Plan.to_json writes it is needed") from None

    def __str__(self) -> str:
        where = f'"{self.name}"' if self.name else ""
        which = self.customer_list_id or "to be created"
        minutes = "under a minute" if self.minutes < 1 else f"about {self.minutes:,.0f} minutes"
        pace = f" at {self.calls_a_minute:,.0f} calls a minute" if self.calls_a_minute else ""
        lines = [
            f"customer list {where} ({which}), ad account {self.ad_account_id}".replace("  ", " ")
        ]
        lines += [
            "",
            f"  + {self.add:>12,} to add",
            f"  - {self.remove:>12,} to remove ({self.removal_share:.1%} of what is there)",
            f"  = {self.keep:>12,} kept",
            "",
        ]
        lines += (f"  ! {finding}" for finding in self.findings)
        if self.blocked:
            lines.append(f"  ! {self.blocked}")
        if not self.changes:
            return "\n".join([*lines, "No changes. The list holds what the source holds."])
        lines.append(
            f"Plan: {self.add:,} to add, {self.remove:,} to remove, {self.keep:,} kept; "
            f"{self.calls:,} calls, {minutes}{pace}."
        )
        return "\n".join(lines)


def contents(plan: Plan) -> dict[str, JSON]:
    """Return what the state file keeps of a plan, to know it by when it comes back.

    All but ``blocked``: whether a plan needs a yes is decided by the state file alone.
    """
    told = cast("dict[str, JSON]", json.loads(json.dumps(asdict(plan))))
    del told["blocked"]
    return told


def is_of(plan: Plan, kept: JSON) -> bool:
    """Tell whether a plan is the one of which this was kept; what came later is not compared."""
    if not isinstance(kept, dict):
        return False
    told = contents(plan)
    return all(told.get(name) == value for name, value in kept.items())
