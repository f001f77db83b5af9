"""Find lists and audiences by id or by name, in the state file and at Pinterest.

Where an id is accepted, a name is too: digits are an id, any other string is a name, which must be
that of exactly one list or audience.

Before a list is created, the newest list id of the account is stored. If the response is lost, a
list of that name with a higher id is the created one; only if there is none, it is created again.
Ids rise with time, so no clock is compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve, frozen

from pinterest_audiences._config import validate_text
from pinterest_audiences._errors import ConfigurationError, DecodeError, suggest
from pinterest_audiences._http.operations import is_id, validate_id
from pinterest_audiences._jobs.job_context import JobContext, in_thread
from pinterest_audiences._jobs.job_errors import GuardError, JobNotFoundError, PlanError
from pinterest_audiences._jobs.state import JobRow, ListRow, State
from pinterest_audiences._jobs.unfinished import unanswered_jobs
from pinterest_audiences._models import (
    Audience,
    CustomerList,
    CustomerSegment,
    Order,
    OwnershipType,
)
from pinterest_audiences._redaction import redact

if TYPE_CHECKING:
    from pinterest_audiences._pagination import AsyncPager

__all__ = [
    "LISTING_DELAY_SECONDS",
    "LOST_CREATE_FINDING",
    "ListSelector",
    "ResolvedList",
    "UnansweredCreation",
    "check_reference",
    "created_since",
    "find_audience",
    "find_list",
    "find_row",
    "find_segment",
    "find_unanswered_creation",
    "is_name_taken",
    "newer_lists_of_name",
    "newest_list_id",
    "refuse_existing",
    "resolve_creation",
    "resolve_list",
    "select_list",
]

_PAGE_SIZE = 250
_MAX_ID_DIGITS = 18
LISTING_DELAY_SECONDS = 5.0  # a new list may be missing from the listing for that long
LOST_CREATE_FINDING = (
    "the answer to the creation of list {} was lost; the list was found by its name"
)


def check_reference(param: str, reference: object) -> None:
    """Check an id or a name.

    Raises:
        ConfigurationError: It is neither.
    """
    if isinstance(reference, str) and not is_id(reference) and reference.strip():
        return
    try:
        validate_id(param, reference)
    except ConfigurationError:
        raise ConfigurationError(
            f"{param} must be an id of 1 to 18 digits, or a non-empty name", param=param
        ) from None


async def find_list(
    context: JobContext, ad_account_id: str | int, reference: str | int
) -> CustomerList:
    """Fetch a list by its id, or find it by its name.

    Raises:
        ConfigurationError: An id is not valid, or the name is empty.
        GuardError: No list or several lists have that name.
        NotFoundError: No list has that id.
        CallError: A call to Pinterest failed.
    """
    check_reference("customer_list_id", reference)
    if is_id(reference):
        return await context.calls.customer_lists_get(ad_account_id, reference)
    names: list[str | None] = []
    match = await _list_of_name(context, str(ad_account_id), str(reference), names=names)
    if match is None:
        raise _no_list(ad_account_id, str(reference), names)
    return match


async def find_audience(
    context: JobContext, ad_account_id: str | int, reference: str | int
) -> Audience:
    """Fetch an audience by its id, or find it by its name; own audiences come first.

    Raises:
        ConfigurationError: An id is not valid, or the name is empty.
        GuardError: No audience or several audiences have that name.
        NotFoundError: No audience has that id.
        CallError: A call to Pinterest failed.
    """
    check_reference("audience_id", reference)
    if is_id(reference):
        return await context.calls.audiences_get(ad_account_id, reference)
    names: list[str | None] = []
    for ownership in (OwnershipType.OWNED, OwnershipType.RECEIVED):
        pager = context.calls.audiences_list(
            ad_account_id, ownership_type=ownership, page_size=_PAGE_SIZE
        )
        matches: list[Audience] = []
        async for item in pager:
            names.append(item.name)
            if item.name == reference:
                matches.append(item)
        if len(matches) > 1:
            ids = [item.id for item in matches]
            raise _ambiguous(str(reference), ids, "audiences", "audience_id")
        if matches:
            return matches[0]
    what = f"audience with that name{_did_you_mean(str(reference), names)}"
    raise _missing(ad_account_id, what, "audiences_list", "no_audience")


async def find_segment(
    context: JobContext, ad_account_id: str | int, reference: str | int
) -> CustomerSegment:
    """Find a customer segment by its id or its name; Pinterest cannot return a single one.

    Raises:
        ConfigurationError: An id is not valid, or the name is empty.
        GuardError: No segment has that id or name, or several have that name.
        CallError: A call to Pinterest failed.
    """
    check_reference("customer_segment_id", reference)
    text = str(reference)
    pager = context.calls.customer_segments_list(ad_account_id, page_size=_PAGE_SIZE)
    names: list[str | None] = []
    matches: list[CustomerSegment] = []
    async for item in pager:
        names.append(item.name)
        if (item.id if is_id(reference) else item.name) == text:
            matches.append(item)
    if len(matches) > 1:
        ids = [item.id for item in matches]
        raise _ambiguous(text, ids, "customer segments", "customer_segment_id")
    if not matches:
        what = "customer segment with that " + (
            "id" if is_id(reference) else f"name{_did_you_mean(text, names)}"
        )
        raise _missing(ad_account_id, what, "customer_segments_list", "no_segment")
    return matches[0]


@frozen
class ListSelector:
    """A list, selected by its id or its name, and the options for its creation.

    Attributes:
        ad_account_id: The ad account of the list.
        customer_list_id: The id of the list, or the name of a list that exists.
        name: The name of the list, which is created if there is none.
        is_nca: Whether a created list is for new customer acquisition.
        allow_other_type: Whether to allow records of another type than the list was created with.
    """

    ad_account_id: str | int
    customer_list_id: str | int | None = None
    name: str | None = None
    is_nca: bool | None = None
    allow_other_type: bool = False

    @classmethod
    def of(
        cls, ad_account_id: str, key: str, *, is_nca: bool | None, allow_other_type: bool
    ) -> ListSelector:
        """Select a list by digits, which are its id, or by its name, which is created."""
        number, name = (key, None) if is_id(key) else (None, key)
        return cls(ad_account_id, number, name, is_nca, allow_other_type)

    def check(self) -> None:
        """Check the arguments, before a long source is read.

        Raises:
            ConfigurationError: Not exactly one of id and name is given, or the name is empty.
        """
        if (self.customer_list_id is None) == (self.name is None):
            raise ConfigurationError("pass exactly one of customer_list_id and name")
        validate_id("ad_account_id", self.ad_account_id)
        if self.customer_list_id is not None:
            check_reference("customer_list_id", self.customer_list_id)
        if self.name is None:
            return
        if any("\ud800" <= char <= "\udfff" for char in validate_text("name", self.name)):
            raise ConfigurationError(
                "name must not contain surrogates, which cannot be sent", param="name"
            )


@frozen
class ResolvedList:
    """The list of a job.

    Attributes:
        row: Its row in the state.
        current: The list at Pinterest; ``None`` if it has to be created.
    """

    row: ListRow
    current: CustomerList | None


async def resolve_list(
    context: JobContext,
    state: State,
    account: str,
    customer_list_id: str | int | None,
    name: str | None,
    *,
    must_be_new: bool = False,
) -> ResolvedList:
    """Find a list by its id or its name: in the state first, then at Pinterest.

    Args:
        context: The client.
        state: The state file.
        account: The ad account.
        customer_list_id: The id, or the name of a list that must exist.
        name: The name of a list that is created if there is none.
        must_be_new: Whether to refuse a list that exists.

    Raises:
        GuardError: Several lists have that name, none has the name that must exist, or one that
            must be new exists.
        NotFoundError: Pinterest has no list with that id.
        CallError: A call to Pinterest failed.
    """
    must_exist, names = customer_list_id is not None, list[str | None]()
    if customer_list_id is not None:
        if is_id(customer_list_id):
            return await _resolve_by_id(context, state, account, customer_list_id)
        name = str(customer_list_id)
    resolved = await _resolve_stored(context, state, account, name)
    if resolved is None:
        match = await _list_of_name(context, account, name, must_be_new=must_be_new, names=names)
        # Another process may have begun to create the list since the state was first read.
        resolved = await _resolve_stored(context, state, account, name)
        if resolved is None and match is not None:
            return await _resolve_by_id(context, state, account, match.id)
    if resolved is not None:
        if must_be_new and resolved.current is not None:
            raise _name_taken(resolved.current.id)
        return resolved
    if must_exist:
        raise _no_list(account, name, names)
    return ResolvedList(
        await in_thread(state.get_or_create_list, account, None, name, "created"), None
    )


async def find_row(
    context: JobContext, state: State, selector: ListSelector, *, lookup: bool, must_be_new: bool
) -> ListRow:
    """Return the row of a list, found as by `resolve_list`, without a change of the state file.

    Args:
        context: The client.
        state: The state file.
        selector: The list.
        lookup: Whether to look it up at Pinterest too; without, no request is made.
        must_be_new: Whether to refuse a list that exists.

    Returns:
        The row; its key is 0, which no list has, if the state file does not have the list.

    Raises:
        GuardError: Several lists have that name, none has the name that must exist, or one that
            must be new exists.
        NotFoundError: Pinterest has no list with that id.
        CallError: A call to Pinterest failed.
    """
    account, reference = str(selector.ad_account_id), selector.customer_list_id
    number = str(reference) if reference is not None and is_id(reference) else None
    name = selector.name if reference is None else str(reference)
    row = None if number is not None else await in_thread(_stored_list, state, account, name)
    if row is None and number is None and lookup:
        names: list[str | None] = []
        match = await _list_of_name(context, account, name, must_be_new=must_be_new, names=names)
        if match is None and reference is not None:
            raise _no_list(account, name, names)
        number = None if match is None else match.id
    if row is None:
        unknown = ListRow(0, state.service, account, number, None if number else name, "foreign")
        rows = await in_thread(state.lists, account)
        row = next((item for item in rows if number and item.customer_list_id == number), unknown)
    if must_be_new:
        await in_thread(refuse_existing, state, row)
    if lookup and row.customer_list_id is not None:
        current = await context.calls.customer_lists_get(account, row.customer_list_id)
        await in_thread(_refuse_unanswered_creation, state, account, current)
        abandoned = await in_thread(_abandoned_creation, state, account, current)
        row = evolve(abandoned or row, customer_list_id=current.id, name=current.name)
    return row


async def _list_of_name(
    context: JobContext,
    account: str,
    name: str | None,
    *,
    must_be_new: bool = False,
    names: list[str | None] | None = None,
) -> CustomerList | None:
    """Return the only list of a name at Pinterest, if there is one.

    Args:
        context: Context of the jobs.
        account: The ad account.
        name: The name.
        must_be_new: Whether there must be none.
        names: Receives the names of all lists.
    """
    matches: list[CustomerList] = []
    async for item in _newest_first(context, account):
        if names is not None:
            names.append(item.name)
        if item.name == name:
            matches.append(item)
    if matches and must_be_new:
        raise _name_taken(matches[0].id)
    if len(matches) > 1:
        raise _ambiguous(name, [item.id for item in matches])
    return matches[0] if matches else None


async def is_name_taken(context: JobContext, row: ListRow) -> bool:
    """Return whether Pinterest has a list with the name of a row.

    Raises:
        CallError: A call to Pinterest failed.
    """
    async for item in _newest_first(context, row.ad_account_id):
        if item.name == row.name:
            return True
    return False


def refuse_existing(state: State, row: ListRow) -> None:
    """Refuse a list that exists or that an interrupted job creates; for one that must be new.

    Raises:
        GuardError: The list is not new.
    """
    if row.customer_list_id is not None:
        raise _name_taken(row.customer_list_id)
    for job in state.jobs(row.key, "running"):
        raise GuardError(
            f"a list of that name is being created by {job.kind} {job.key}, which was interrupted",
            guard="being_created",
            suggestion="resume that job, or choose another name",
        )


async def _resolve_stored(
    context: JobContext, state: State, account: str, name: str | None
) -> ResolvedList | None:
    row = await in_thread(_stored_list, state, account, name)
    if row is None:
        return None
    if row.customer_list_id is None:
        return ResolvedList(row, None)
    return await _resolve_by_id(context, state, account, row.customer_list_id)


def _stored_list(state: State, account: str, name: str | None) -> ListRow | None:
    """Return the only stored list of a name, if there is one."""
    stored = _stored_lists(state, account, name)
    if len(stored) > 1:
        raise _ambiguous(name, [row.customer_list_id or "being created" for row in stored])
    return stored[0] if stored else None


def _stored_lists(state: State, account: str, name: str | None) -> list[ListRow]:
    """Return the stored lists with a name; those without an id only if a job is creating them."""
    rows = [row for row in state.lists(account) if row.name == name]
    return _created_or_being_created(state, rows)


def _created_or_being_created(state: State, rows: list[ListRow]) -> list[ListRow]:
    """Return the rows that are not only of plans or of jobs that have ended."""
    return [row for row in rows if row.customer_list_id or state.jobs(row.key, "running")]


async def _resolve_by_id(
    context: JobContext, state: State, account: str, customer_list_id: str | int
) -> ResolvedList:
    current = await context.calls.customer_lists_get(account, customer_list_id)
    await in_thread(_refuse_unanswered_creation, state, account, current)
    await in_thread(_claim_abandoned_creation, state, account, current)
    return ResolvedList(
        await in_thread(state.get_or_create_list, account, current.id, current.name, "foreign"),
        current,
    )


def _refuse_unanswered_creation(state: State, account: str, current: CustomerList) -> None:
    """Refuse a list that an interrupted job may have created; it would be stored twice."""
    for row in _stored_lists(state, account, current.name):
        if row.customer_list_id is not None:
            continue
        for job in state.jobs(row.key, "running"):
            if job.newest_id is not None and int(job.newest_id) < _numeric_id(current):
                raise GuardError(
                    f"list {current.id} may have been created by {job.kind} {job.key}, which "
                    "received no response; resume that job first",
                    guard="being_created",
                )


def _claim_abandoned_creation(state: State, account: str, current: CustomerList) -> None:
    """Assume that a list is the one that an abandoned job may have created.

    The records of that job may then be on it.
    """
    row = _abandoned_creation(state, account, current)
    if row is not None:
        state.set_customer_list_id(row.key, current.id)


def _abandoned_creation(state: State, account: str, current: CustomerList) -> ListRow | None:
    """Return the row without an id whose abandoned job may have created a list."""
    rows = state.lists(account)
    if any(row.customer_list_id == current.id for row in rows):
        return None
    for row in rows:
        if row.customer_list_id is None and row.name == current.name:
            jobs = unanswered_jobs(state, row.key)
            if any(int(job.newest_id or 0) < _numeric_id(current) for job in jobs):
                return row
    return None


def _ambiguous(
    name: str | None, ids: list[str], what: str = "lists", param: str = "customer_list_id"
) -> GuardError:
    return GuardError(
        f"{len(ids)} {what} are called {name!r} ({', '.join(ids)})",
        guard="ambiguous_name",
        suggestion=suggest(f"choose one by its id with {{{param}}}", **{param: ...}),
    )


def _name_taken(customer_list_id: str) -> GuardError:
    return GuardError(
        f"a list of that name already exists: {customer_list_id}",
        guard="name_taken",
        suggestion=suggest(
            "add to it with {customer_list_id}, or choose another name",
            customer_list_id=customer_list_id,
        ),
    )


def _no_list(ad_account_id: str | int, name: str | None, names: list[str | None]) -> GuardError:
    what = f"customer list with that name{_did_you_mean(name, names)}"
    return _missing(ad_account_id, what, "customer_lists_list", "no_list")


def _did_you_mean(name: str | None, names: list[str | None]) -> str:
    """Return the existing name that is closest to a mistyped one, as a question in brackets."""
    import difflib  # noqa: PLC0415 - when used

    known = {each.casefold(): each for each in names if each and redact(each) == each}
    close = difflib.get_close_matches((name or "").casefold(), list(known), n=1)
    return f' (did you mean "{known[close[0]]}"?)' if close else ""


def _missing(ad_account_id: str | int, what: str, listing: str, guard: str) -> GuardError:
    return GuardError(
        # The name is not quoted: it may be a mistyped argument, such as a customer.
        f"ad account {ad_account_id} has no {what}",
        guard=guard,
        suggestion=f"{listing}() lists them",
    )


def select_list(
    state: State,
    rows: list[ListRow],
    customer_list_id: str | int | None = None,
    name: str | None = None,
) -> ListRow:
    """Return the row of one list, by its id or its name.

    Raises:
        ConfigurationError: The id is not valid, or the name is empty.
        JobNotFoundError: The state file has no such list.
        GuardError: It has several lists with that name.
    """
    if customer_list_id is not None:
        check_reference("customer_list_id", customer_list_id)
        if is_id(customer_list_id):
            number = str(customer_list_id)
            for row in rows:
                if row.customer_list_id == number:
                    return row
            raise JobNotFoundError(f"list {number} is not in {state.path}")
        name = str(customer_list_id)
    named = [row for row in rows if row.name == name]
    # The row of a plan that was never applied does not make the name ambiguous.
    selected = _created_or_being_created(state, named) or named
    if len(selected) > 1:
        raise _ambiguous(name, [row.customer_list_id or "not created" for row in selected])
    for row in selected:
        return row
    raise JobNotFoundError(f"{state.path} has no list with that name")


@frozen
class UnansweredCreation:
    """The creation of a list whose response was lost.

    Attributes:
        jobs: The jobs that may have created the list.
        lists: The ids of the lists that may have been created, newest first.
    """

    jobs: tuple[JobRow, ...] = ()
    lists: tuple[str, ...] = ()


async def find_unanswered_creation(
    context: JobContext, state: State, row: ListRow, *, attempts: int = 2
) -> UnansweredCreation:
    """Return which lists a creation without a response may have created; sends only GETs.

    Args:
        context: The client.
        state: The state file.
        row: The list; one that has an id is not looked for.
        attempts: How often to fetch the listing while it has no such list, because new lists
            appear in it with a delay.

    Raises:
        CallError: A call to Pinterest failed.
    """
    if row.customer_list_id is not None:
        return UnansweredCreation()
    jobs = await in_thread(unanswered_jobs, state, row.key)
    lists: list[CustomerList] = []
    if jobs:
        newest_id = min(int(job.newest_id or 0) for job in jobs)
        for attempt in range(attempts):
            if attempt:
                await context.sleep(LISTING_DELAY_SECONDS)
            lists = await newer_lists_of_name(context, row, newest_id)
            if lists:
                break
    return UnansweredCreation(tuple(jobs), tuple(item.id for item in lists))


async def resolve_creation(
    context: JobContext, state: State, row: ListRow, job: JobRow
) -> list[int]:
    """Use the list that a create without a response has created, if there is one.

    Args:
        context: The client.
        state: The state file.
        row: The list.
        job: The planned mirror, which is about to be applied.

    Returns:
        The jobs whose create was not received, if the list does not exist.

    Raises:
        PlanError: The list has appeared since the plan was made.
    """
    unanswered = await find_unanswered_creation(context, state, row, attempts=1)
    if list(unanswered.lists) != (job.plan.get("unanswered") or []):
        raise created_since(job, row)
    if unanswered.lists:
        await in_thread(state.set_customer_list_id, row.key, unanswered.lists[0])
        return []
    if unanswered.jobs:  # the list is looked for again if the next create gets no response
        newest_id = min(int(creating.newest_id or 0) for creating in unanswered.jobs)
        await in_thread(state.set_newest_id, job.key, str(newest_id))
    return [creating.key for creating in unanswered.jobs]


def created_since(job: JobRow, row: ListRow) -> PlanError:
    """Return the error of a plan whose list has been created since."""
    return PlanError(f"plan {job.key} is outdated: {row} has been created since; plan again")


async def newer_lists_of_name(
    context: JobContext, row: ListRow, newest_id: int
) -> list[CustomerList]:
    """Return the lists with the name of a row whose ids are higher, newest first."""
    lists: list[CustomerList] = []
    async for item in _newest_first(context, row.ad_account_id):
        if _numeric_id(item) <= newest_id:
            break
        if item.name == row.name:
            lists.append(item)
    return lists


async def newest_list_id(context: JobContext, ad_account_id: str) -> str:
    """Return the highest id of the lists of an ad account; "0" if it has none."""
    async for item in _newest_first(context, ad_account_id, page_size=1):
        return str(_numeric_id(item))
    return "0"


def _newest_first(
    context: JobContext, ad_account_id: str | int, page_size: int = _PAGE_SIZE
) -> AsyncPager[CustomerList]:
    return context.calls.customer_lists_list(
        ad_account_id, page_size=page_size, order=Order.DESCENDING
    )


def _numeric_id(customer_list: CustomerList) -> int:
    """Return the id of a list as a number; ids rise with time.

    Raises:
        DecodeError: It is not a number.
    """
    number = customer_list.id
    if not (number.isascii() and number.isdigit() and len(number) <= _MAX_ID_DIGITS):
        raise DecodeError(
            ["expected a number as the id of a customer list @ $.items[].id"],
            operation="customer_lists_list",
        )
    return int(number)
