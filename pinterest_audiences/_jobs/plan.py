"""Plans: what an upload or a mirror changes, the guards, and the plan as text.

To a mirror, a source that ended early and rows that cannot be read both look like removals. The
guards and findings about the source are there to detect these cases.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, cast

from attrs import asdict, define, field, fields, frozen

from pinterest_audiences._errors import ConfigurationError, Suggestion, suggest
from pinterest_audiences._jobs.job_errors import GuardError, PlanError
from pinterest_audiences._jobs.keys import (
    BUCKETS,
    CODECS,
    KeyCodec,
    max_batch_records,
    parts_per_bucket,
)
from pinterest_audiences._jobs.membership import (
    NO_UNFINISHED_JOBS,
    Membership,
    SharedIdentifiers,
    UnfinishedJobs,
    count_members,
    count_parts,
    iter_buckets,
    member_codecs,
)
from pinterest_audiences._jobs.plan_types import check_types
from pinterest_audiences._jobs.reports import escaped, finding_codes_of
from pinterest_audiences._jobs.state import REMOVALS, RESENDS
from pinterest_audiences._records.report import MIN_MATCHED_ACCOUNTS, estimate_matches
from pinterest_audiences._text import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pinterest_audiences._jobs.keys import BucketedKeys, KeyedSource
    from pinterest_audiences._jobs.lookup import ListSelector
    from pinterest_audiences._jobs.state import BatchRow, JobRow, ListRow, State
    from pinterest_audiences._models import JSON, OperationType
__all__ = [
    "FINGERPRINT_KEY",
    "MAX_REMOVAL_SHARE",
    "ExpectedRows",
    "MirrorOptions",
    "Plan",
    "PlanCounts",
    "SourceFigures",
    "UploadOptions",
    "check_guards",
    "count_in_source",
    "fingerprint",
    "list_warnings",
    "make_plan",
    "matches",
    "must_adopt",
    "plan_erasure",
    "plan_mirror_batches",
    "plan_upload_batches",
    "refuse_blocked",
    "refuse_empty_source",
    "source_findings",
    "source_findings_of",
    "unreadable_guard",
]

MAX_REMOVAL_SHARE = 0.2
"""The default share of a list's records above which a plan that removes them is blocked."""
_FEWER_ROWS_RATIO = 0.9  # of the rows of the last run; for a pipe any fewer rows are reported
GUARD_SUGGESTIONS: Mapping[str, Suggestion] = {
    "removals": suggest("pass {allow_removals} if that is right", allow_removals=True),
    "unreadable_rows": suggest(
        "pass {allow_unreadable} if the removals are right", allow_unreadable=True
    ),
}
_BATCHES_PER_TRANSACTION = 8  # short transactions let other processes write
# Reject reasons of values that are not identifiers, so that their rows were never on the list.
_NOT_IDENTIFIERS = frozenset(
    {"empty", "placeholder", "hash_of_nothing", "hash_of_placeholder", "all_zero_id"}
)
_PIPE_NAMES = ("standard input", "-")
FINGERPRINT_KEY = "told"  # in the stored plan
_NUMBER = re.compile(r"\d+")
_SHARE = re.compile(r"(\d+(?:\.\d+)?)%|(0?\.\d+|1\.0*)")


@frozen(kw_only=True)
class Plan:
    """What will be added, removed and kept. The records themselves are in the state file.

    Attributes:
        job_id: The plan in the state file; 0 for a plan that was not stored, which cannot be
            applied.
        ad_account_id: The ad account of the list.
        customer_list_id: The list; ``None`` if applying the plan creates it.
        name: Its name, if known.
        add: Records to add.
        remove: Records to remove.
        resend: Records to add again after the removals, because they share an identifier with a
            removed row.
        keep: Records that stay.
        calls: Minimum number of requests.
        calls_a_minute: Requests per minute that the rate limit allows; ``None`` for no limit.
        removal_share: Share of removals among the records that may be on the list, as far as the
            state file has them; 0 or more.
        blocked: Why the plan is not applied without explicit permission; empty if it is not
            blocked.
        source: Counts of the source's rows, as ``PreparationReport.to_dict`` returns them.
        findings: Warnings and notes, in plain text.
        guards: Why each guard blocks the plan, without a suggestion; empty in a plan that was read
            from JSON.
        kind: ``mirror``, or ``upload`` for a plan that only adds or only removes.
    """

    job_id: int
    ad_account_id: str
    customer_list_id: str | None
    name: str | None = None
    add: int = 0
    remove: int = 0
    resend: int = 0
    keep: int = 0
    calls: int = 0
    calls_a_minute: float | None = None
    removal_share: float = 0.0
    blocked: str = ""
    source: JSON = None
    findings: tuple[str, ...] = ()
    guards: Mapping[str, str] = field(factory=dict[str, str], eq=False, repr=False)
    kind: str = "mirror"

    @property
    def finding_codes(self) -> tuple[str, ...]:
        """The code of each finding, such as ``drift``; ``other`` if it has none."""
        return finding_codes_of(self.findings)

    @property
    def minutes(self) -> float:
        """Minutes that the requests take at the current rate limit."""
        return self.calls / self.calls_a_minute if self.calls_a_minute else 0.0

    @property
    def changes(self) -> bool:
        """Whether the plan adds or removes anything."""
        return bool(self.add or self.remove)

    def to_dict(self) -> dict[str, JSON]:
        """Return the plan as JSON values; later versions only add keys."""
        return {**_values(self), "minutes": self.minutes}

    def to_json(self) -> str:
        """Return the plan as one line of JSON."""
        return json.dumps(self.to_dict(), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read a plan that :meth:`to_json` wrote.

        Raises:
            PlanError: The text is not a plan.
        """
        try:
            data = cast("Mapping[str, JSON]", json.loads(text))
            names = {field.name for field in fields(cls)} - {"guards"}
            values = {name: value for name, value in data.items() if name in names}
            check_types(values)
            findings = cast("list[str]", values.pop("findings", []))
            return cls(**values, findings=tuple(findings))  # type: ignore[arg-type]  # are checked
        except (ValueError, TypeError, AttributeError, RecursionError):
            raise PlanError("text must be a plan as JSON, as written by Plan.to_json()") from None

    def __str__(self) -> str:
        where = f'"{escaped(self.name)}"' if self.name else ""
        which = self.customer_list_id or "to be created"
        minutes = "under a minute" if self.minutes < 1 else f"about {self.minutes:,.0f} minutes"
        pace = f" at {self.calls_a_minute:,.0f} calls a minute" if self.calls_a_minute else ""
        lines = [
            f"customer list {where} ({which}), ad account {self.ad_account_id}".replace("  ", " ")
        ]
        lines += [
            "",
            f"  + {self.add:>12,} to add",
            f"  - {self.remove:>12,} to remove ({self.removal_share:.1%} of the list)",
        ]
        if self.kind == "mirror":
            lines.append(f"  = {self.keep:>12,} kept")
        if self.resend:
            lines.append(
                f"  + {self.resend:>12,} to add again: they share an identifier with a removed row"
            )
        lines.append("")
        lines += (f"  ! {escaped(finding)}" for finding in self.findings)
        if self.blocked:
            lines.append(f"  ! {escaped(self.blocked)}")
        if not self.changes:
            reason = (
                "The list holds what the source holds."
                if self.kind == "mirror"
                else "The source has no records."
            )
            return "\n".join([*lines, f"No changes. {reason}"])
        kept = f", {self.keep:,} kept" if self.kind == "mirror" else ""
        lines.append(
            f"Plan: {self.add:,} to add, {self.remove:,} to remove{kept}; "
            f"{counted(self.calls, 'call')}, {minutes}{pace}."
        )
        return "\n".join(lines)


def _values(plan: Plan) -> dict[str, JSON]:
    return cast("dict[str, JSON]", asdict(plan, filter=lambda item, _: item.name != "guards"))


def fingerprint(plan: Plan) -> dict[str, JSON]:
    """Return the values of a plan that identify it in the state file.

    Without ``blocked``: the state file alone decides whether a plan is blocked.
    """
    values = cast("dict[str, JSON]", json.loads(json.dumps(_values(plan))))
    del values["blocked"]
    return values


def matches(plan: Plan, stored: JSON) -> bool:
    """Return whether a plan has a stored fingerprint; attributes that it lacks are ignored."""
    if not isinstance(stored, dict):
        return False
    values = fingerprint(plan)
    return all(values.get(name) == value for name, value in stored.items())


@frozen
class MirrorOptions:
    """The options of a mirror.

    Attributes:
        adopt: Whether to treat a list that was not created by a job as empty.
        max_removal_share: The share of removals above which a plan is blocked.
        match_rate: The expected match rate, to estimate the size of the audience.
    """

    adopt: bool = False
    max_removal_share: float = MAX_REMOVAL_SHARE
    match_rate: float | None = None

    def check(self) -> None:
        """Check the arguments, before a long source is read.

        Raises:
            ConfigurationError: A share or rate is out of range.
        """
        _check_removal_share(self.max_removal_share)
        if self.match_rate is not None:
            estimate_matches(0, self.match_rate)


@frozen
class UploadOptions:
    """The options of an upload.

    Attributes:
        operation: Whether the records are added or removed.
        via: ``calls`` to send them as requests, ``multipart`` to send them as a file.
        must_be_new: Whether to refuse a list that exists.
        max_removal_share: The share of removals above which a plan is blocked.
    """

    operation: OperationType
    via: str = "calls"
    must_be_new: bool = False
    max_removal_share: float = MAX_REMOVAL_SHARE

    @property
    def run_operation(self) -> str:
        """``upload`` or ``remove``, as in the history."""
        return "remove" if self.operation == "REMOVE" else "upload"

    def check(self, selector: ListSelector) -> None:
        """Check the arguments, before a long source is read.

        Raises:
            ConfigurationError: The share is out of range, ``via`` is unknown, or a list that must
                be new has an id or is to lose records.
        """
        _check_removal_share(self.max_removal_share)
        if self.via not in ("calls", "multipart"):
            raise ConfigurationError("via must be 'calls' or 'multipart'", param="via")
        if self.must_be_new and (selector.name is None or self.operation != "ADD"):
            raise ConfigurationError(
                "must_be_new can be used only with a name, and only to add records",
                param="must_be_new",
            )


def _check_removal_share(share: object) -> None:
    if not isinstance(share, int | float) or isinstance(share, bool) or not 0 <= share <= 1:
        raise ConfigurationError(
            "max_removal_share must be a number from 0 to 1", param="max_removal_share"
        )


@frozen
class ExpectedRows:
    """The minimum number of rows of a source: a count, or a share of the last run's rows.

    Attributes:
        count: The number of rows.
        share: The share of the last run's rows, above 0 and at most 1.
    """

    count: int | None = None
    share: float | None = None

    @classmethod
    def parse(cls, value: object) -> ExpectedRows | None:
        """Parse 300 or "300" as a count, 0.9 or "90%" as a share.

        Raises:
            ConfigurationError: The value is neither.
        """
        if value is None:
            return None
        if isinstance(value, str):
            text = value.strip()
            if _NUMBER.fullmatch(text):
                value = int(text)
            elif match := _SHARE.fullmatch(text):
                value = float(match[1]) / 100 if match[1] else float(match[2])
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return cls(count=value)
        if isinstance(value, float) and 0 < value <= 1:
            return cls(share=value)
        raise ConfigurationError(
            "expect_rows must be a number of rows such as 300, or a share of the last run's rows "
            "such as 0.9 or '90%'",
            param="expect_rows",
        )

    def check(self, where: str, rows: int, last: SourceFigures | None) -> list[str]:
        """Check the number of rows of a source, and return findings.

        Raises:
            GuardError: The source has fewer rows.
        """
        if self.share is not None and last is None:
            return [
                "no_last_run: a share of rows is expected, but no earlier run exists to compare"
            ]
        earlier = last.rows if last is not None else 0
        if self.count is not None:
            minimum, too_few = float(self.count), rows < self.count
        else:
            share = self.share or 0.0
            # A division, because 0.07 * 100 is more than 7.
            minimum, too_few = share * earlier, earlier > 0 and rows / earlier < share
        if too_few:
            compared = "" if self.count is not None else f" ({self.share:.0%} of {earlier:,})"
            raise GuardError(
                f"{where}: the source has {counted(rows, 'row')}, but at least "
                f"{minimum:,.0f}{compared} are "
                "expected; it may be truncated, and nothing was sent",
                guard="expected_rows",
            )
        return []


@frozen
class SourceFigures:
    """The row counts of a source.

    Attributes:
        name: The name of the source.
        rows: Rows read.
        unreadable: Rejected values that may have been identifiers.
        empty: Rows without a value.
    """

    name: str
    rows: int
    unreadable: int
    empty: int

    @classmethod
    def of(cls, report: JSON) -> SourceFigures | None:
        """Return the counts in a report of `PreparationReport.to_dict`; None for anything else."""
        if not isinstance(report, dict):
            return None
        rejects = report.get("rejects")
        counts = cast("dict[str, int]", rejects) if isinstance(rejects, dict) else {}
        rows = report.get("rows")
        return cls(
            name=str(report.get("source")),
            rows=rows if isinstance(rows, int) else 0,
            unreadable=sum(
                count for reason, count in counts.items() if reason not in _NOT_IDENTIFIERS
            ),
            empty=counts.get("empty", 0),
        )

    @property
    def is_pipe(self) -> bool:
        """Whether the source is a pipe; a pipe does not report that its producer failed."""
        if self.name in _PIPE_NAMES:
            return True
        try:
            return Path(self.name).exists() and not Path(self.name).is_file()
        except (OSError, ValueError):
            return False


def refuse_empty_source(row: ListRow, source: KeyedSource) -> None:
    """Refuse a source without records, which is usually a mistake.

    Raises:
        GuardError: The source has no records.
    """
    if not source.count:
        raise GuardError(
            f"{row}: the source has no records, and a mirror of it would empty the list",
            guard="empty_source",
            suggestion=suggest(
                "to empty it, upload the records to remove with {operation}", operation="REMOVE"
            ),
        )


def must_adopt(row: ListRow, mirror_options: MirrorOptions) -> bool:
    """Return whether a mirror adopts a list, which treats a list of unknown content as empty.

    Raises:
        GuardError: The content is unknown, and ``adopt`` is not set.
    """
    if row.origin != "foreign":
        return False
    if not mirror_options.adopt:
        raise GuardError(
            f"{row}: was not created by a job, so its content is unknown and would stay",
            guard="unknown_content",
            suggestion=suggest(
                "pass {adopt} to treat it as empty, or mirror into a new list by its name",
                adopt=True,
            ),
        )
    return True


@define
class PlanCounts:
    """The number of records in each part of a plan.

    Attributes:
        add: Records to add.
        remove: Records to remove.
        resend: Records that are added again after the removals, because they share an identifier
            with a removed one.
        keep: Records that stay.
        possible: Records that may be on the list now.
        removed_members: Records to remove that may be on the list now; ``None`` if that is not
            known, so that each record to remove may be one of them.
        batches: Batches to send.
        new_codecs: Hash algorithms of the source that no member of the list has.
    """

    add: int = 0
    remove: int = 0
    resend: int = 0
    keep: int = 0
    possible: int = 0
    removed_members: int | None = None
    batches: int = 0
    new_codecs: tuple[str, ...] = ()

    @property
    def removal_share(self) -> float:
        """The share of the records on the list that are removed, 0 to 1."""
        removed = self.remove if self.removed_members is None else self.removed_members
        return removed / self.possible if self.possible else 0.0


def make_plan(
    kind: str,
    row: ListRow,
    job_key: int,
    counts: PlanCounts,
    source: KeyedSource,
    *,
    calls_a_minute: float | None,
    findings: list[str],
    guards: dict[str, str],
) -> Plan:
    """Create a plan from its counts, findings and guards."""
    return Plan(
        kind=kind,
        job_id=job_key,
        ad_account_id=row.ad_account_id,
        customer_list_id=row.customer_list_id,
        name=row.name,
        add=counts.add,
        remove=counts.remove,
        resend=counts.resend,
        keep=counts.keep,
        calls=counts.batches,
        calls_a_minute=calls_a_minute,
        removal_share=counts.removal_share,
        blocked="; ".join(f"{text}; {GUARD_SUGGESTIONS[guard]}" for guard, text in guards.items()),
        guards=guards,
        source=source.report,
        findings=tuple(findings),
    )


def list_warnings(counts: PlanCounts, mirror_options: MirrorOptions) -> list[str]:
    """Return the findings about the list that a mirror leaves."""
    size = counts.add + counts.keep
    findings: list[str] = []
    if mirror_options.match_rate is not None:
        expected = estimate_matches(size, mirror_options.match_rate)
        if not expected.reaches_minimum:
            findings.append(f"the list may be TOO_SMALL: {expected}")
    elif size < MIN_MATCHED_ACCOUNTS:
        findings.append(
            f"the list will be TOO_SMALL: {counted(size, 'record')} cannot match "
            f"{MIN_MATCHED_ACCOUNTS} accounts"
        )
    if counts.new_codecs and counts.remove:
        findings.append(
            f"the source is hashed as {', '.join(counts.new_codecs)}, the list was not: the same "
            "people may be added with one hash and then removed with the other"
        )
    return findings


def source_findings_of(
    counts: PlanCounts, now: SourceFigures | None, last: SourceFigures | None
) -> list[str]:
    """Return the findings about a source, if its counts are known."""
    return [] if now is None else source_findings(now, last, counts.remove)


def source_findings(now: SourceFigures, last: SourceFigures | None, removals: int) -> list[str]:
    """Return the findings about a source that may explain the removals of a mirror."""
    findings: list[str] = []
    if now.unreadable and removals:
        findings.append(
            f"unreadable_rows: {counted(now.unreadable, 'row')} could not be read; up to "
            f"{counted(min(now.unreadable, removals), 'removal')} may be of these people"
        )
    if last is None or not removals:
        return findings
    if now.empty > last.empty:
        findings.append(
            f"empty_rows: {counted(now.empty, 'row', 'have')} no value, {last.empty:,} had none "
            "in the last mirror"
        )
    if now.rows < (last.rows if now.is_pipe else _FEWER_ROWS_RATIO * last.rows):
        findings.append(
            f"fewer_rows: the source has {counted(now.rows, 'row')}, the last mirror's had "
            f"{last.rows:,}; to detect a truncated source, set the number of rows to expect"
        )
    return findings


def check_guards(
    counts: PlanCounts,
    max_removal_share: float,
    now: SourceFigures | None = None,
    last: SourceFigures | None = None,
) -> dict[str, str]:
    """Return why a plan is not applied without explicit permission, by guard.

    Args:
        counts: The counts of the plan.
        max_removal_share: The share of removals above which the plan is blocked.
        now: The row counts of the source, if unreadable rows may explain removals.
        last: The row counts of the last mirror, if there was one.
    """
    share = counts.removal_share
    guards: dict[str, str] = {}
    if share > max_removal_share:
        guards["removals"] = (
            f"{counted(counts.remove, 'record')} of the source would be removed, more than "
            f"{max_removal_share:.0%} of the {counts.possible:,} that the state file has of the "
            "list"
            if counts.removed_members is None
            else f"{counts.removed_members:,} of {counts.possible:,} records ({share:.1%}) would "
            f"be removed, more than {max_removal_share:.0%}"
        )
    unreadable = "" if now is None else unreadable_guard(now, last, counts.remove)
    if unreadable:
        guards["unreadable_rows"] = unreadable
    return guards


def unreadable_guard(now: SourceFigures, last: SourceFigures | None, removals: int) -> str:
    """Return why unreadable rows block a mirror; empty if they do not.

    Only additional ones count: rows that the last mirror could not read were not on the list.
    """
    more = now.unreadable - (last.unreadable if last is not None else 0)
    if not removals or more <= 0:
        return ""
    compared = "" if last is None else f", {more:,} more than in the last mirror"
    return (
        f"{counted(now.unreadable, 'row')} could not be read{compared}: up to "
        f"{min(more, removals):,} of the {counted(removals, 'removal')} may be of these people"
    )


def refuse_blocked(row: ListRow, job: JobRow, allowed: frozenset[str]) -> None:
    """Refuse a plan that is blocked by a guard which the caller has not allowed.

    Raises:
        GuardError: The plan is blocked.
        PlanError: The state file has no guards for the plan.
    """
    guards = job.plan.get("guards")
    if not isinstance(guards, dict):
        raise PlanError(f"plan {job.key} is incomplete in the state file; plan again")
    for guard, text in guards.items():
        if guard not in allowed:
            raise GuardError(f"{row}: {text}", guard=guard, suggestion=GUARD_SUGGESTIONS.get(guard))


def plan_upload_batches(
    state: State,
    row: ListRow,
    job_key: int | None,
    source: KeyedSource,
    operation: str,
    *,
    batch_size: int | None = None,
) -> PlanCounts:
    """Plan to add or remove every record of a source once; without a job, only count."""
    counts = PlanCounts()
    if operation == "REMOVE":
        counts.possible, counts.removed_members = _count_removals(state, row, source)
    writer = _Writer(state, row, job_key, counts, batch_size)
    removed = SharedIdentifiers()
    removes_rows = operation == "REMOVE" and "row" in source.keys_by_codec
    for bucketed in source.keys_by_codec.values():
        for keys in _source_keys(bucketed, parts_per_bucket(bucketed.count)):
            writer.put(operation, bucketed.codec, keys)
            if removes_rows:
                removed.add(bucketed.codec, keys)
        writer.end(operation, bucketed.codec)
    if removed:

        def removed_keys(codec: KeyCodec, bucket: int) -> set[bytes]:
            bucketed = source.keys_by_codec.get(codec.name)
            return bucketed.keys(bucket) if bucketed is not None else set()

        _plan_resends_of_members(writer, state, row, removed, removed_keys)
    writer.flush()
    return counts


def _count_removals(state: State, row: ListRow, source: KeyedSource) -> tuple[int, int | None]:
    """Return how many records may be on a list, and how many of those a source removes.

    The second count is ``None`` unless all members are known and comparable with the source: a
    digest of another algorithm, or a row, may stand for the same person as a different key.
    """
    sources = list(source.keys_by_codec.values())
    if row.origin == "created" and len(sources) == 1 and sources[0].codec.name != "row":
        codec, possible, removed = sources[0].codec, 0, 0
        with state.database.snapshot() as sql:
            if member_codecs(sql, row.key) == [codec]:
                parts = count_parts(sql, row.key, codec, sources[0].count)
                for members, keys in zip(
                    iter_buckets(sql, row.key, codec, parts=parts),
                    _source_keys(sources[0], parts),
                    strict=True,
                ):
                    possible += len(members.possible)
                    removed += len(members.possible & keys)
                return possible, removed
    return sum(count_members(state, row.key)), None


def plan_erasure(
    state: State,
    row: ListRow,
    job_key: int,
    keys: Iterable[tuple[KeyCodec, set[bytes]]],
    batch_size: int | None = None,
) -> PlanCounts:
    """Plan to remove these keys."""
    counts = PlanCounts()
    writer = _Writer(state, row, job_key, counts, batch_size)
    removals = {codec.name: codec_keys for codec, codec_keys in keys}
    removed = SharedIdentifiers()
    for name, codec_keys in removals.items():
        codec = CODECS[name]
        writer.put("REMOVE", codec, sorted(codec_keys, key=codec.bucket))
        writer.end("REMOVE", codec)
        if "row" in removals:
            removed.add(codec, codec_keys)
    if removed:
        _plan_resends_of_members(
            writer, state, row, removed, lambda codec, _: removals.get(codec.name, set[bytes]())
        )
    writer.flush()
    return counts


def plan_mirror_batches(
    state: State,
    row: ListRow,
    job_key: int,
    source: KeyedSource,
    unfinished: UnfinishedJobs = NO_UNFINISHED_JOBS,
    *,
    batch_size: int | None = None,
) -> PlanCounts:
    """Plan to make a list equal to a source.

    Records that are not confirmed members are added, and possible members that are not in the
    source are removed.
    """
    counts = PlanCounts()
    writer = _Writer(state, row, job_key, counts, batch_size)
    with state.database.reading() as sql:
        used = {codec.name for codec in member_codecs(sql, row.key)}
    if used:
        counts.new_codecs = tuple(sorted(source.keys_by_codec.keys() - used))
    removed = SharedIdentifiers()
    has_rows = "row" in used | source.keys_by_codec.keys()  # digests share no identifiers
    for name in sorted(used | source.keys_by_codec.keys()):
        codec, bucketed = CODECS[name], source.keys_by_codec.get(name)
        count = 0 if bucketed is None else bucketed.count
        with state.database.reading() as sql:
            parts = count_parts(sql, row.key, codec, count)
        for members, in_source in zip(
            _members(state, row, codec, unfinished, parts, used=name in used),
            _source_keys(bucketed, parts),
            strict=True,
        ):
            in_source_count = len(in_source)
            counts.possible += len(members.confirmed) + len(members.unconfirmed)
            added, surplus = members.compare(in_source)
            counts.keep += in_source_count - len(added)
            writer.put("ADD", codec, added)
            writer.put("REMOVE", codec, surplus)
            if has_rows:
                removed.add(codec, surplus)
        writer.end("ADD", codec)
        writer.end("REMOVE", codec)
    if removed:
        _plan_resends(writer, source, removed)
    writer.flush()
    counts.removed_members = counts.remove
    return counts


def _plan_resends(writer: _Writer, source: KeyedSource, removed: SharedIdentifiers) -> None:
    """Plan to add again the records of a source that share an identifier with a removed one."""
    for bucketed in source.keys_by_codec.values():
        for bucket in range(BUCKETS):
            writer.put(
                "RESEND", bucketed.codec, removed.among(bucketed.codec, bucketed.keys(bucket))
            )
        writer.end("RESEND", bucketed.codec)


def _plan_resends_of_members(
    writer: _Writer,
    state: State,
    row: ListRow,
    removed: SharedIdentifiers,
    removals: Callable[[KeyCodec, int], set[bytes]],
) -> None:
    """Plan to add again the members of a list that share an identifier with a removed record.

    ``removals`` returns the removed keys of a codec, at least those of a bucket.
    """
    with state.database.reading() as sql:
        for codec in member_codecs(sql, row.key):
            for bucket, members in enumerate(iter_buckets(sql, row.key, codec)):
                others = members.confirmed - removals(codec, bucket)
                writer.put("RESEND", codec, removed.among(codec, others))
            writer.end("RESEND", codec)


def _members(
    state: State,
    row: ListRow,
    codec: KeyCodec,
    unfinished: UnfinishedJobs,
    parts: int,
    *,
    used: bool,
) -> Iterator[Membership]:
    """Yield the membership of a list in each part; empty if it has no members of the codec."""
    if not used:
        yield from (Membership() for _ in range(BUCKETS * parts))
        return
    with state.database.reading() as sql:
        yield from iter_buckets(sql, row.key, codec, unfinished, parts=parts)


def _source_keys(bucketed: BucketedKeys | None, parts: int) -> Iterator[set[bytes]]:
    """Yield the distinct keys of a source in each part of each bucket."""
    for bucket in range(BUCKETS):
        if bucketed is None:
            yield from (set[bytes]() for _ in range(parts))
        else:
            yield from map(set, bucketed.split_bucket(bucket, parts))


def count_in_source(state: State, batches: Iterable[BatchRow], source: KeyedSource) -> int:
    """Return how many keys of some batches are in a source; the batches are in bucket order."""
    count = 0
    for batch in batches:
        bucketed = source.keys_by_codec.get(batch.codec.name)
        if bucketed is None:
            continue
        by_bucket = groupby(batch.codec.split(state.keys(batch)), key=batch.codec.bucket)
        count += sum(len(bucketed.keys(bucket).intersection(keys)) for bucket, keys in by_bucket)
    return count


class _Writer:
    """Groups keys into batches, and writes those of a job to the state file, several at a time."""

    def __init__(
        self,
        state: State,
        row: ListRow,
        job_key: int | None,
        counts: PlanCounts,
        batch_size: int | None,
    ) -> None:
        self._state = state
        self._max_keys = max_batch_records(batch_size, row.batch_size)
        self._list_key = row.key
        self._job_key = job_key
        self._counts = counts
        self._keys: dict[tuple[str, str], list[bytes]] = {}
        self._seq = {"ADD": 0, "REMOVE": REMOVALS, "RESEND": RESENDS}
        self._ready: dict[str, list[tuple[str, KeyCodec, Sequence[bytes]]]] = {
            phase: [] for phase in self._seq
        }

    def put(self, operation: str, codec: KeyCodec, keys: Iterable[bytes]) -> None:
        """Add keys of the next bucket."""
        waiting = self._keys.setdefault((operation, codec.name), [])
        waiting += keys
        parts = list(codec.parts(waiting, self._max_keys))
        if len(parts) > 1:
            self._add(operation, codec, parts[:-1])
            self._keys[operation, codec.name] = list(parts[-1])

    def end(self, operation: str, codec: KeyCodec) -> None:
        """Write the remaining keys of a codec as its last batch."""
        waiting = self._keys.pop((operation, codec.name), [])
        self._add(operation, codec, list(codec.parts(waiting, self._max_keys)))

    def flush(self) -> None:
        """Write the batches that are ready."""
        for operation, batches in self._ready.items():
            if batches and self._job_key is not None:
                self._state.add_batches(
                    self._job_key, self._list_key, self._seq[operation], batches
                )
                self._seq[operation] += len(batches)
                batches.clear()

    def _add(self, operation: str, codec: KeyCodec, parts: list[Sequence[bytes]]) -> None:
        count = sum(len(part) for part in parts)
        sent_as = "ADD" if operation == "RESEND" else operation
        match operation:
            case "ADD":
                self._counts.add += count
            case "RESEND":
                self._counts.resend += count
            case _:
                self._counts.remove += count
        self._counts.batches += len(parts)
        if self._job_key is None:
            return
        self._ready[operation] += [(sent_as, codec, part) for part in parts]
        if sum(map(len, self._ready.values())) >= _BATCHES_PER_TRANSACTION:
            self.flush()
