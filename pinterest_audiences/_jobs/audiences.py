"""Wait until Pinterest has processed a list, and find or create its audience.

The audience of a list is one whose rule names the list. Names of audiences are not unique and a
create cannot be repeated safely, so it is looked for before it is created, and again after a
response was lost. A new audience may be missing from the listing for a while. So the state file
stores that a create is sent before it is: after that, the listing is read a second time, later.

The plan of a job has its audience from the start of the job. A job that is done and has no audience
yet is finished by the next job of the list, or by a resume.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Container
from os import PathLike
from typing import TYPE_CHECKING, Self, TypeVar

from attrs import define, frozen

from pinterest_audiences import _config
from pinterest_audiences._errors import (
    BadRequestError,
    CallError,
    ConfigurationError,
    NotFoundError,
    ServerError,
    suggest,
)
from pinterest_audiences._http.retry import is_transient, poll_delay, retry_after
from pinterest_audiences._jobs.job_context import JobContext, Retries, in_thread
from pinterest_audiences._jobs.job_errors import (
    AudienceError,
    ListBusyError,
    PlanError,
    WaitTimeoutError,
    summary_of,
)
from pinterest_audiences._jobs.lookup import LISTING_DELAY_SECONDS, find_list
from pinterest_audiences._jobs.reports import escaped
from pinterest_audiences._models import (
    Audience,
    AudienceStatus,
    AudienceType,
    CustomerList,
    CustomerListStatus,
)

if TYPE_CHECKING:
    from pinterest_audiences._jobs.reports import JobReport
    from pinterest_audiences._jobs.state import State
    from pinterest_audiences._models import JSON

__all__ = [
    "AUDIENCE_OF_REMOVAL",
    "AudienceOptions",
    "add_audience",
    "drop_audience",
    "get_or_create_audience",
    "pending_audience",
    "wait_for_audience",
    "wait_until_ready",
]

Polled = TypeVar("Polled", CustomerList, Audience)
AUDIENCE_OF_REMOVAL = "audience can be used only to add records"
# A job that has ended, whose list is to have an audience, and has none yet.
_PENDING = (
    "status IN ('done', 'superseded') AND json_extract(plan, '$.audience') IS NOT NULL "
    "AND json_extract(plan, '$.audience.id') IS NULL"
)
_PAGE_SIZE = 250
_MAX_CREATE_ATTEMPTS = 5  # without a response and without an audience in the listing
_POLL_SECONDS, _MAX_POLL_SECONDS = 5.0, 300.0
# Any other status, also one of a later version of the API, counts as work in progress.
_LIST_STATUSES = frozenset({CustomerListStatus.READY, CustomerListStatus.TOO_SMALL})
_AUDIENCE_STATUSES = frozenset(
    {
        AudienceStatus.READY,
        AudienceStatus.TOO_SMALL,
        AudienceStatus.ELIGIBLE,
        AudienceStatus.PERSONAS_INELIGIBLE_SIZE,
    }
)


@frozen
class AudienceOptions:
    """The audience that a list gets after a job.

    Attributes:
        name: Its name, if the list has no audience yet.
        wait: Seconds to wait until the list, and then its audience, is processed; 0 for none.
    """

    name: str
    wait: float = 0.0

    @classmethod
    def checked(
        cls, audience: object, wait: float, *, removes: bool = False
    ) -> AudienceOptions | None:
        """Create options from the arguments of a client's method; ``None`` without an audience.

        Raises:
            ConfigurationError: The name is not a non-empty string, ``wait`` is below 0 or not a
                number, or there is nothing to wait for.
        """
        if isinstance(wait, bool) or wait != 0:
            _config.validate_number("wait", wait, above=0.0)
        if audience is None:
            if wait:
                raise ConfigurationError(
                    "wait is set without an audience",
                    param="wait",
                    suggestion=suggest("set {audience} too", audience=...),
                )
            return None
        name = _config.validate_text("audience", audience)
        if removes:
            raise ConfigurationError(AUDIENCE_OF_REMOVAL, param="audience")
        return cls(name, float(wait))

    @classmethod
    def of_plan(cls, values: object) -> Self:
        """Read options from the plan of a job.

        Raises:
            TypeError: This package does not write such values.
        """
        match values:
            case {"name": str(name), "wait": int() | float() as wait}:
                return cls(name, float(wait))
            case {"name": str(name)}:
                return cls(name)
            case _:
                raise TypeError("audience")

    def to_plan(self) -> dict[str, JSON]:
        """Return the values that the plan of a job stores until the list has the audience."""
        return {"name": self.name, "wait": self.wait, "sent": False}


def pending_audience(state: State, list_key: int) -> tuple[int, AudienceOptions] | None:
    """Return the newest ended job of a list without its audience, and the options of that."""
    with state.database.reading() as sql:
        row = sql.execute(
            f"SELECT id, json_extract(plan, '$.audience') FROM job WHERE list_id = ? AND {_PENDING}"  # noqa: S608 - literals
            " ORDER BY id DESC LIMIT 1",
            (list_key,),
        ).fetchone()
        return None if row is None else (row[0], AudienceOptions.of_plan(json.loads(row[1])))


def drop_audience(state: State, job_key: int) -> None:
    """Forget the audience that a job was to create."""
    with state.database.transaction() as sql:
        sql.execute(
            "UPDATE job SET plan = json_remove(plan, '$.audience') WHERE id = ?", (job_key,)
        )


def _may_have_audience(state: State, job_key: int) -> bool:
    """Return whether a job of the list of a job has, or may have, created an audience."""
    with state.database.reading() as sql:
        (count,) = sql.execute(
            "SELECT count(*) FROM job WHERE list_id = (SELECT list_id FROM job WHERE id = ?) "
            "AND json_extract(plan, '$.audience') IS NOT NULL "
            "AND coalesce(json_extract(plan, '$.audience.sent'), 1)",
            (job_key,),
        ).fetchone()
        return bool(count)


def _set_sent(state: State, job_key: int, *, sent: bool) -> None:
    """Store whether the create of an audience of a job may have been applied."""
    with state.database.transaction() as sql:
        sql.execute(
            "UPDATE job SET plan = json_set(plan, '$.audience.sent', json(?)) WHERE id = ?",
            (json.dumps(sent), job_key),
        )


def _set_audience(state: State, job_key: int, audience: Audience) -> None:
    """Store the audience of a job, and of the ended jobs of its list that have none yet."""
    status = None if audience.status is None else str(audience.status)
    values: dict[str, JSON] = {"name": audience.name, "id": audience.id, "status": status}
    with state.database.transaction() as sql:
        sql.execute(
            "UPDATE job SET plan = json_set(plan, '$.audience', json(?)) WHERE id = ? "  # noqa: S608 - literals
            f"OR list_id = (SELECT list_id FROM job WHERE id = ?) AND {_PENDING}",
            (json.dumps(values), job_key, job_key),
        )


async def add_audience(
    context: JobContext, state: State, report: JobReport, name: str, retries: Retries
) -> JobReport:
    """Find or create the audience of the list of a finished job; the list must be locked.

    Returns:
        The report, with the audience.

    Raises:
        AudienceError: The audience could not be looked up or created.
    """
    number = report.customer_list_id
    if number is None:
        finding = "no_audience: the list was not created, so it has no audience"
        await in_thread(state.add_finding, report.job_id, finding)
        await in_thread(drop_audience, state, report.job_id)
        return await in_thread(state.report, report.job_id)
    search = _AudienceSearch(
        context, report.ad_account_id, number, name, retries=retries, any_name=True
    )
    in_doubt = await in_thread(_may_have_audience, state, report.job_id)
    try:
        audience = await search.find(in_doubt=in_doubt)
        if audience is None:
            await in_thread(lambda: _set_sent(state, report.job_id, sent=True))
            audience = await search.create()
    except CallError as error:
        if search.is_refused(error):
            await in_thread(drop_audience, state, report.job_id)
        elif not search.maybe_created:
            await in_thread(lambda: _set_sent(state, report.job_id, sent=False))
        raise _audience_error(await in_thread(state.report, report.job_id), error) from error
    await in_thread(_set_audience, state, report.job_id, audience)
    return await in_thread(state.report, report.job_id)


async def wait_for_audience(
    context: JobContext,
    path: str | PathLike[str] | None,
    report: JobReport,
    options: AudienceOptions,
    retries: Retries,
) -> JobReport:
    """Wait until the list of a finished job is processed, and then its audience.

    The list is locked only while the audience is created.

    Raises:
        AudienceError: The list or its audience was not processed in time, or a call failed.
    """
    account, number = report.ad_account_id, report.customer_list_id or ""
    deadline = context.clock.monotonic() + options.wait
    try:
        await wait_until_ready(context, account, number, timeout=options.wait)
        async with context.state(path) as state:
            report = await _add_when_free(context, state, report, options, retries)
            audience = await _poll(
                context,
                lambda: context.calls.audiences_get(account, report.audience_id or ""),
                _AUDIENCE_STATUSES,
                timeout=max(deadline - context.clock.monotonic(), 0.0),
            )
            await in_thread(_set_audience, state, report.job_id, audience)
            return await in_thread(state.report, report.job_id)
    except (CallError, WaitTimeoutError, ListBusyError) as error:
        raise _audience_error(report, error) from error


async def _add_when_free(
    context: JobContext,
    state: State,
    report: JobReport,
    options: AudienceOptions,
    retries: Retries,
) -> JobReport:
    """Add the audience as soon as no job is running on the list, unless another job has.

    Raises:
        PlanError: The job, or its audience, was abandoned meanwhile.
    """
    job = await in_thread(state.job, report.job_id)
    if job is None:
        raise PlanError(f"job {report.job_id} is not in the state file any more")
    row = await in_thread(state.list_row, job.list_key)
    backoff = retries.backoff()
    while True:
        try:
            with state.locked(row):
                report = await in_thread(state.report, report.job_id)
                if report.audience_id is not None:
                    return report
                if not report.audience_pending:
                    raise PlanError(f"the audience of job {report.job_id} was abandoned")
                return await add_audience(context, state, report, options.name, retries)
        except ListBusyError:
            delay = backoff.next_delay()
            if delay is None:
                raise
            await context.sleep(delay)


def _audience_error(report: JobReport, error: Exception) -> AudienceError:
    name = escaped(report.name or report.customer_list_id or "")
    first = "resume creates it" if report.audience_pending else "repeat the job"
    return AudienceError(
        f"{report.kind} {report.job_id} to list {name} is done, but its audience is not: "
        f"{summary_of(error)}",
        report=report,
        suggestion=f"{first}, or create the audience with create_customer_list_audience()",
    )


async def get_or_create_audience(
    context: JobContext,
    ad_account_id: str | int,
    customer_list_id: str,
    name: str,
    *,
    description: str | None = None,
    retries: Retries,
) -> Audience:
    """Return the audience of a list that has a name; create it if there is none.

    Raises:
        CallError: A call failed.
    """
    search = _AudienceSearch(
        context, ad_account_id, customer_list_id, name, description=description, retries=retries
    )
    return await search.find() or await search.create()


@define
class _AudienceSearch:
    """The calls that find the audience of a list, or create it.

    Attributes:
        context: The client.
        ad_account_id: The ad account.
        customer_list_id: The list.
        name: The name of the audience.
        retries: How calls are retried.
        description: The description of a created audience.
        any_name: Whether an audience of the list with another name is returned too.
        maybe_created: Whether an audience may have been created that is not listed yet.
    """

    context: JobContext
    ad_account_id: str | int
    customer_list_id: str
    name: str
    retries: Retries
    description: str | None = None
    any_name: bool = False
    maybe_created: bool = False
    _attempted: bool = False
    _unanswered: int = 0

    async def find(self, *, in_doubt: bool = False) -> Audience | None:
        """Look for the audience; twice if one may have been created that is not listed yet."""
        self.maybe_created = in_doubt
        audience = await self.retries.call(self._find)
        if audience is None and in_doubt:
            await self.context.sleep(LISTING_DELAY_SECONDS)
            audience = await self.retries.call(self._find)
        self.maybe_created = False
        return audience

    async def create(self) -> Audience:
        """Create the audience, which is looked for again after a response was lost."""
        return await self.retries.call(self._find_or_create, self._may_retry)

    def is_refused(self, error: CallError) -> bool:
        """Return whether Pinterest refuses an audience of this list."""
        refused = isinstance(error, BadRequestError | NotFoundError) and not is_transient(error)
        return refused and self._attempted and not self.maybe_created

    async def _find(self) -> Audience | None:
        pager = self.context.calls.audiences_list(self.ad_account_id, page_size=_PAGE_SIZE)
        matches = [item async for item in pager if _list_of(item) == self.customer_list_id]
        named = next((item for item in matches if item.name == self.name), None)
        return matches[0] if named is None and matches and self.any_name else named

    async def _find_or_create(self) -> Audience:
        if self.maybe_created and (audience := await self._find()) is not None:
            return audience
        self._attempted = True
        try:
            return await self.context.calls.audiences_create(
                self.ad_account_id,
                name=self.name,
                audience_type=AudienceType.CUSTOMER_LIST,
                rule={"customer_list_id": self.customer_list_id},
                description=self.description,
            )
        except CallError as error:
            if not error.maybe_applied:
                raise
            self.maybe_created = True
            # After a 5xx, wait until Pinterest recovers. Without a response, limit the attempts:
            # each one may create another audience.
            self._unanswered += not isinstance(error, ServerError)
            await self.context.sleep(LISTING_DELAY_SECONDS)
            audience = await self._find()
            if audience is None:
                raise
            return audience

    def _may_retry(self, error: CallError) -> bool:
        return self._unanswered < _MAX_CREATE_ATTEMPTS and is_transient(error)


def _list_of(audience: Audience) -> str | None:
    """Return the id of the list that the rule of an audience names."""
    number = (audience.rule or {}).get("customer_list_id")
    return None if number is None else str(number)


async def wait_until_ready(
    context: JobContext,
    ad_account_id: str | int,
    customer_list_id: str | int,
    *,
    timeout: float,  # noqa: ASYNC109 - not a cancellation: the error has the list at the last poll
    poll_interval: float = _POLL_SECONDS,
    max_poll_interval: float = _MAX_POLL_SECONDS,
) -> CustomerList:
    """Poll a list until it is processed; a poll that fails with a transient error is repeated.

    Raises:
        GuardError: No list or several lists have the name.
        WaitTimeoutError: The list was not ready in time.
        CallError: The list could not be fetched.
    """
    reference = customer_list_id

    async def fetch() -> CustomerList:
        nonlocal reference
        current = await find_list(context, ad_account_id, reference)
        reference = current.id
        return current

    return await _poll(
        context,
        fetch,
        _LIST_STATUSES,
        timeout=timeout,
        poll_interval=poll_interval,
        max_poll_interval=max_poll_interval,
    )


async def _poll(
    context: JobContext,
    fetch: Callable[[], Awaitable[Polled]],
    statuses: Container[object],
    *,
    timeout: float,  # noqa: ASYNC109 - as for `wait_until_ready`
    poll_interval: float = _POLL_SECONDS,
    max_poll_interval: float = _MAX_POLL_SECONDS,
) -> Polled:
    """Fetch something until it has one of these statuses."""
    deadline, polls = context.clock.monotonic() + timeout, 0
    current: Polled | None = None
    while True:
        failure, min_delay = None, 0.0
        try:
            current = await fetch()
        except CallError as error:
            if not is_transient(error) or context.nothing_listens(error):
                raise
            failure, min_delay = error, retry_after(error) or 0.0
        if current is not None and current.status in statuses:
            return current
        left = deadline - context.clock.monotonic()
        if left <= 0:
            raise _timeout_error(current, timeout, failure) from failure
        polls += 1
        interval = poll_delay(polls, poll_interval, max_poll_interval)
        jitter = 0.9 + 0.2 * context.clock.random()  # so that many clients do not poll at once
        await context.sleep(min(left, max(interval * jitter, min_delay)))


def _timeout_error(
    current: CustomerList | Audience | None, timeout: float, failure: CallError | None
) -> WaitTimeoutError | CallError:
    if current is None and failure is not None:
        return failure
    assert current is not None  # noqa: S101 - the last poll has either failed or returned it
    last_error = f"; the last poll failed: {failure}" if failure is not None else ""
    customer_list = current if isinstance(current, CustomerList) else None
    kind = "audience" if customer_list is None else "list"
    return WaitTimeoutError(
        f"{kind} {current.id} is still {current.status or 'without a status'} after "
        f"{timeout:,.0f} s{last_error}; Pinterest may take up to 48 hours: wait again with a "
        "longer timeout",
        customer_list=customer_list,
    )
