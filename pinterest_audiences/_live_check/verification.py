"""A check of the live API against the assumptions of the emulator, and its report.

A check works on a customer list and audiences with its name. A report can be published: what it
contains of a response comes from closed sets (statuses, codes, counts, sizes, field names without
digits). Ids, messages, URLs and the name of the account are left out.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TypeAlias, TypeVar, cast

from attrs import fields, frozen

from pinterest_audiences._config import DEFAULT_BASE_URL
from pinterest_audiences._http import operations, requests
from pinterest_audiences._http.operations import Operation
from pinterest_audiences._http.session import Session
from pinterest_audiences._live_check.observer import (
    BATCH_SIZES,
    COUNTED,
    INVALID,
    MARKER,
    MAX_REQUESTS,
    MAX_RETRIES,
    MD5,
    NAMES,
    PAGE_SIZE,
    ROWS,
    SHA256,
    TWO_LINES,
    Observer,
    Records,
    RecordSet,
    UnansweredError,
    items_of,
    text_of,
    update_body,
)
from pinterest_audiences._live_check.probes import PROBES, UNASKED, Probe
from pinterest_audiences._models import JSON, Page, UserListType
from pinterest_audiences._version import __version__
from pinterest_audiences.emulator import Assumptions

__all__ = ["OnProbe", "ProbeResult", "VerificationReport", "verify_api"]

T = TypeVar("T")

_MAX_PAGES = 4  # of a listing, in which the list and audiences of an earlier check are looked for
_MAX_LEFTOVERS = 4


@frozen
class ProbeResult:
    """The result of one question of a check.

    Attributes:
        name: The name of the question, which never changes.
        question: The question.
        switch: The switch of the emulator for it: an attribute of `Assumptions`, or an argument of
            `Emulator`; empty if the API is documented there.
        assumed: What the emulator does.
        observed: What Pinterest did; ``None`` without an answer.
        verdict: ``agrees``, ``differs`` or ``unanswered``.
        reason: Why the question is unanswered; empty otherwise.
    """

    name: str
    question: str
    switch: str
    assumed: str
    observed: str | None
    verdict: str
    reason: str = ""

    def to_dict(self) -> dict[str, JSON]:
        """Return the result as JSON values."""
        return {name.name: getattr(self, name.name) for name in fields(type(self))}


OnProbe: TypeAlias = Callable[[ProbeResult], None]


@frozen
class VerificationReport:
    """What a check of the live API found; see :meth:`AsyncClient.verify_api`.

    It contains no id, token, name of the account, or message of Pinterest.

    Attributes:
        version: The version of this package.
        python: The version of Python.
        api: ``Pinterest``, or ``another server``.
        date: The day of the check, in UTC.
        requests: The number of requests.
        results: One for each question.
        remains: What is left at Pinterest, also what every check leaves.
        unremoved: What of it the check tried to remove; the next check tries it again.
        unasked: Open questions that a check cannot answer, each with the reason.
    """

    version: str
    python: str
    api: str
    date: str
    requests: int
    results: tuple[ProbeResult, ...]
    remains: tuple[str, ...]
    unremoved: tuple[str, ...]
    unasked: tuple[tuple[str, str], ...]

    @property
    def differences(self) -> tuple[ProbeResult, ...]:
        """The questions to which Pinterest's answer differs from the emulator's."""
        return tuple(result for result in self.results if result.verdict == "differs")

    def to_dict(self) -> dict[str, JSON]:
        """Return the report as JSON values."""
        return {
            "version": self.version,
            "python": self.python,
            "api": self.api,
            "date": self.date,
            "requests": self.requests,
            "differences": len(self.differences),
            "results": [result.to_dict() for result in self.results],
            "remains": list(self.remains),
            "unremoved": list(self.unremoved),
            "unasked": [{"question": text, "reason": reason} for text, reason in self.unasked],
        }

    def to_markdown(self) -> str:
        """Return the report as Markdown, for an issue."""
        titles = {"differs": "Differences", "agrees": "Agreements", "unanswered": "No answer"}
        groups = {
            verdict: [result for result in self.results if result.verdict == verdict]
            for verdict in titles
        }
        counts = ", ".join(f"{title.lower()}: {len(groups[key])}" for key, title in titles.items())
        lines = [
            "# Check of Pinterest's API",
            "",
            f"pinterest-audiences {self.version}, Python {self.python}, {self.api}, {self.date}.",
            f"Requests: {self.requests}, {counts}.",
            "",
            "This report contains no id, token, customer, or name of the account.",
        ]
        for verdict, title in titles.items():
            lines += _table(title, groups[verdict], observed=verdict != "unanswered")
        lines += _section("Not asked", [f"{text}: {reason}." for text, reason in self.unasked])
        lines += _section("What remains at Pinterest", [f"{item}." for item in self.remains])
        return "\n".join([*lines, ""])


def _table(title: str, results: Sequence[ProbeResult], *, observed: bool) -> list[str]:
    """Return a section with one row for each result; empty without results."""
    if not results:
        return []
    heads = ("question", "switch", "assumed", "observed" if observed else "reason")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for result in results:
        switch = f"`{result.switch}`" if result.switch else ""
        last = result.observed if observed else result.reason
        lines.append(f"| {result.question} | {switch} | {result.assumed} | {last} |")
    return ["", f"## {title}", "", *lines]


def _section(title: str, items: Sequence[str]) -> list[str]:
    return ["", f"## {title}", "", *(f"- {item}" for item in items)] if items else []


async def verify_api(
    session: Session,
    ad_account_id: str,
    *,
    is_replaced: bool = False,
    on_probe: OnProbe | None = None,
) -> VerificationReport:
    """Ask all questions, remove what can be removed, and return the report.

    Args:
        session: Sends the calls.
        ad_account_id: The ad account.
        is_replaced: Whether a transport of the caller answers the calls.
        on_probe: Called with each result.

    Raises:
        CallError: The lists or audiences cannot be read, or the list of the check cannot be created
            or updated. Nothing was changed.
        Exception: An error of `on_probe` or of the token source, after the cleanup.
    """
    clock, policy = session.clock, session.policy
    policy = policy.with_limits(min(policy.max_retries, MAX_RETRIES), ..., ...)
    limited = session.with_options(timeout=session.timeout, policy=policy)
    check = Observer(limited.send, clock, ad_account_id)
    is_pinterest = session.base_url == DEFAULT_BASE_URL and not is_replaced
    await _prepare(check)
    results: list[ProbeResult] = []
    try:
        for probe in PROBES:
            results.append(await _ask(check, probe))
            if on_probe is not None:
                on_probe(results[-1])
    except Exception:  # whatever it is, what the check has created is removed; it is raised again
        with suppress(Exception):  # the first error is the one to report
            await _clean_up(check)
        raise
    unremoved = await _clean_up(check)
    return VerificationReport(
        version=__version__,
        python=platform.python_version(),
        api="Pinterest" if is_pinterest else "another server",
        date=datetime.fromtimestamp(clock.time(), UTC).date().isoformat(),
        results=tuple(results),
        remains=(*_kept(check), *unremoved),
        unremoved=unremoved,
        requests=check.requests,
        unasked=UNASKED,
    )


async def _ask(check: Observer, probe: Probe) -> ProbeResult:
    expected = probe.expected(Assumptions())
    observed, reason = None, ""
    try:
        observed = await probe.ask(check)
        verdict = "agrees" if observed in expected else "differs"
    except UnansweredError as error:
        verdict, reason = "unanswered", str(error)
    return ProbeResult(
        name=probe.name,
        question=probe.question,
        switch=probe.switch,
        assumed=" or ".join(expected),
        observed=observed,
        verdict=verdict,
        reason=reason,
    )


async def _prepare(check: Observer) -> None:
    """Find the list and audiences of an earlier check; update that list, or create one.

    Raises:
        CallError: It cannot be done; nothing was changed.
    """
    lists = await _find(check, operations.CUSTOMER_LISTS_LIST)
    audiences = await _find(check, operations.AUDIENCES_LIST)
    records = cast("Sequence[str]", SHA256.records(range(SHA256.count)))
    check.added[SHA256] = SHA256.count
    if lists:
        check.is_new, check.status_before = False, text_of(lists[0], "status")
        ids = {"customer_list_id": str(lists[0]["id"])}
        body = update_body("ADD", records)
        shown = await check.require(operations.CUSTOMER_LISTS_UPDATE, ids, body=body)
        check.status_after = text_of(shown, "status")
    else:
        body = requests.customer_list_create(
            name=MARKER, list_type=UserListType.EMAIL, is_nca=None, records=records, records_v2=None
        )
        shown = await check.require(operations.CUSTOMER_LISTS_CREATE, body=body)
        ids = {"customer_list_id": str(shown["id"])}
    check.customer_list_id = ids["customer_list_id"]
    # Those of a check that was interrupted.
    check.audience_ids += [str(audience["id"]) for audience in audiences[:_MAX_LEFTOVERS]]
    await _remove_audiences(check)


async def _find(check: Observer, operation: Operation[Page[T]]) -> list[Mapping[str, JSON]]:
    """Return the lists or audiences of earlier checks, newest first.

    Raises:
        CallError: They cannot be read.
    """
    result: list[Mapping[str, JSON]] = []
    query = {"page_size": str(PAGE_SIZE), "order": "DESCENDING"}
    check.last_page = None
    for _ in range(_MAX_PAGES):
        page = await check.require(operation, query=query)
        result += [item for item in items_of(page) if text_of(item, "name") in NAMES]
        bookmark = text_of(page, "bookmark")
        if not bookmark:
            check.last_page = page
            break
        query["bookmark"] = bookmark
    return result


def _kept(check: Observer) -> Iterator[str]:
    """Yield what the API cannot remove."""
    yield f'the customer list "{MARKER}": the API cannot delete lists; the next check uses it again'
    if check.has_upload:
        yield "an upload of that list, which was never run"


async def _clean_up(check: Observer) -> tuple[str, ...]:
    """Remove everything that can be removed; return what of it remains."""
    check.max_requests = MAX_REQUESTS
    remains: list[str] = []
    try:
        # Also an audience whose creation got no response.
        page = await check.list_page(
            operations.AUDIENCES_LIST, page_size=str(PAGE_SIZE), order="DESCENDING"
        )
        found = [text_of(item, "id") for item in items_of(page) if text_of(item, "name") in NAMES]
        check.audience_ids += [each for each in found if each and each not in check.audience_ids]
    except UnansweredError:
        pass  # those that are known are removed
    await _remove_audiences(check)
    if check.audience_ids:
        remains.append(f'audiences of the name "{MARKER}": the next check removes them')
    if not await _remove_records(check):
        remains.append("made-up records on that list: the next check removes them")
    return tuple(remains)


async def _remove_audiences(check: Observer) -> None:
    """Remove the audiences of the check, as far as possible."""
    for audience_id in tuple(check.audience_ids):
        try:
            await check.remove_audience(audience_id)
        except UnansweredError:
            continue


async def _remove_records(check: Observer) -> bool:
    """Remove all records from the list; return whether none of this check may remain."""
    complete = True
    for record_set in (SHA256, MD5, COUNTED, ROWS, TWO_LINES, INVALID):
        count = check.added.get(record_set, 0)
        if not check.is_new:  # an earlier check may have added more
            most = BATCH_SIZES[-1] if record_set in (SHA256, MD5) else record_set.count
            # A refusal would have ended that check at the same size.
            is_limited = record_set in (SHA256, MD5) and check.refused_batch is not None
            count = count if is_limited else max(count, most)
        if count and not await _remove_set(check, record_set, count):
            # Where adding records was refused, removing them may be refused as well.
            complete = complete and not check.added.get(record_set)
    return complete


async def _remove_set(check: Observer, record_set: RecordSet, count: int) -> bool:
    """Remove the first records of a set, in smaller requests if necessary.

    Returns:
        Whether all were removed.
    """
    smaller = (size for size in (SHA256.count, *BATCH_SIZES) if size < count)
    sizes = [count, *sorted(smaller, reverse=True)]
    removed = 0
    while removed < count and sizes:
        numbers = range(removed, min(removed + sizes[0], count))
        if await _remove(check, record_set.records(numbers)):
            removed = numbers.stop
        else:
            sizes.pop(0)
    return removed == count


async def _remove(check: Observer, records: Records) -> bool:
    """Remove records; return whether the request was accepted."""
    try:
        response = await check.remove(records)
    except UnansweredError:
        return False
    return response.ok
