"""The questions of a check: how each is asked, and what the emulator assumes.

An answer that is observed has the words of the switch of `Assumptions`, where the switch has words.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar
from urllib.parse import parse_qs

from attrs import field, frozen

from pinterest_audiences._http import operations, requests
from pinterest_audiences._http.operations import Operation
from pinterest_audiences._http.rate_limit import parse_policies
from pinterest_audiences._http.responses import APIResponse
from pinterest_audiences._live_check.observer import (
    ABSENT,
    BATCH_SIZES,
    COUNTED,
    INVALID,
    MARKER,
    MD5,
    NAMES,
    ROWS,
    SHA256,
    TWO_LINES,
    Observer,
    UnansweredError,
    accepted,
    counter_rise,
    describe_status,
    field_names,
    fields_of,
    items_of,
    text_of,
)
from pinterest_audiences._models import JSON, AudienceStatus, AudienceType, CustomerListStatus
from pinterest_audiences.emulator import Assumptions
from pinterest_audiences.emulator._rate_limits import STANDARD_LIMITS, TRIAL_LIMITS, Category

__all__ = ["PROBES", "UNASKED", "Probe"]

T = TypeVar("T")

_REPEATED_RECORDS = 10
_UPLOADED = "num_uploaded_user_records"
_REMOVED = "num_removed_user_records"
_SIZE_STATUSES = (400, 413, 414, 422)  # of a request that is too large
_UNKNOWN_ID = "999999999999999999"
_MIN_UNIX_TIME = 10**9
_SECONDS_PER_MINUTE = 60
_MAX_DIGITS = 18
_POLICY_NAME = re.compile(r"([a-z_]+?)(?:_app_id)?(?:_user_id)?")


async def _order(check: Observer, operation: Operation[T], what: str) -> str:
    """Compare the first item of a listing without an order with those of both orders."""
    first: dict[str, str | None] = {}
    for order in ("", "ASCENDING", "DESCENDING"):
        query = {"order": order} if order else {}
        page = await check.list_page(operation, page_size="1", **query)
        first[order] = next((text_of(item, "id") for item in items_of(page)), None)
    if first["ASCENDING"] == first["DESCENDING"]:
        raise UnansweredError(f"the ad account must have two {what}")
    return next((order for order in first if order and first[order] == first[""]), "another")


async def _order_of_lists(check: Observer) -> str:
    return await _order(check, operations.CUSTOMER_LISTS_LIST, "customer lists")


async def _order_of_audiences(check: Observer) -> str:
    return await _order(check, operations.AUDIENCES_LIST, "audiences")


async def _not_found(check: Observer, operation: Operation[T], name: str) -> str:
    response = await check.ask(operation, {name: _UNKNOWN_ID})
    if response.ok:
        raise UnansweredError("the id that was taken for unknown exists")
    return describe_status(response)


async def _list_not_found(check: Observer) -> str:
    return await _not_found(check, operations.CUSTOMER_LISTS_GET, "customer_list_id")


async def _audience_not_found(check: Observer) -> str:
    return await _not_found(check, operations.AUDIENCES_GET, "audience_id")


async def _status_after_update(check: Observer) -> str:
    if check.is_new:
        raise UnansweredError(
            "the list is new; a second check can answer it when the list is processed, in two days"
        )
    before, after = check.status_before, check.status_after
    if before not in (CustomerListStatus.READY, CustomerListStatus.TOO_SMALL):
        raise UnansweredError(
            "the list is not processed yet; another check in two days can answer it"
        )
    if after in (None, before):  # there is none if the first response of the update was lost
        after = text_of(await check.get_list(), "status")
    if after == before:
        return "unchanged"
    return after if after is not None and CustomerListStatus(after).is_known else "another"


async def _require_counters(check: Observer) -> None:
    """Add and remove records which every counter counts, to see whether it rises at once.

    Raises:
        UnansweredError: It does not, so that no counter shows what an update changed.
    """
    if check.counts_at_once is None:
        records = COUNTED.records(range(COUNTED.count))
        if not check.is_new or check.added.get(COUNTED):
            accepted(await check.remove(records))  # of an attempt that was interrupted
        rises = [
            await check.count_rise(_UPLOADED, lambda: check.add(COUNTED)),
            await check.count_rise(_REMOVED, lambda: check.remove(records)),
        ]
        check.counts_at_once = rises == [COUNTED.count] * 2
    if not check.counts_at_once:
        raise UnansweredError("the counters of the list change later")


def _counted(rise: int, sent: int) -> str:
    return {sent: "sent", 0: "changed"}.get(rise, f"{rise} for {sent} sent")


async def _uploaded_counter(check: Observer) -> str:
    async def add() -> APIResponse:
        return await check.add(SHA256, _REPEATED_RECORDS)

    await _require_counters(check)
    accepted(await add())
    return _counted(await check.count_rise(_UPLOADED, add), _REPEATED_RECORDS)


async def _removed_counter(check: Observer) -> str:
    await _require_counters(check)
    rise = await check.count_rise(_REMOVED, lambda: check.remove(ABSENT))
    return _counted(rise, len(ABSENT))


async def _batches_per_update(check: Observer) -> str:
    await _require_counters(check)
    if check.batches_per_update is None:
        raise UnansweredError("the updates of the other questions were refused")
    return str(check.batches_per_update)


async def _rows_count_as(check: Observer) -> str:
    await _require_counters(check)
    rise = await check.count_rise(_UPLOADED, lambda: check.add(ROWS))
    counts = {ROWS.count: "one", 2 * ROWS.count: "identifiers"}
    return counts.get(rise, f"{rise} for {ROWS.count} rows of 2 identifiers")


async def _line_breaks(check: Observer) -> str:
    await _require_counters(check)
    before = await check.get_list()
    response = await check.add(TWO_LINES)
    if response.status == 400:  # noqa: PLR2004
        return "refuse"
    after = accepted(response)
    if not counter_rise(_UPLOADED, before, after):
        after = await check.get_list()
    rise = counter_rise(_UPLOADED, before, after)
    return {1: "record", 2: "separator"}.get(rise, f"{rise} for 2 lines")


async def _invalid_records(check: Observer) -> str:
    response = await check.add(INVALID)
    return "accept" if response.ok else _refusal(response)


def _refusal(response: APIResponse) -> str:
    return "refuse" if response.status == 400 else describe_status(response)  # noqa: PLR2004


async def _exceptions(check: Observer) -> str:
    return ", ".join(sorted(check.exceptions))


async def _small_audiences(check: Observer) -> str:
    """Create the audience of the list; if it is refused, one that needs no list.

    Raises:
        UnansweredError: Both were refused, so that the list is not the reason.
    """
    response = await _create_audience(check, MARKER)
    if response.ok:
        return "accept"
    check.audience_type = AudienceType.ENGAGEMENT
    accepted(await _create_audience(check, MARKER))
    return _refusal(response)


async def _create_audience(check: Observer, name: str) -> APIResponse:
    rule: Mapping[str, object] = {"customer_list_id": check.customer_list_id}
    if check.audience_type == AudienceType.ENGAGEMENT:
        rule = {"engager_type": 1}  # as in Pinterest's own integration tests
    body = requests.audience_create(
        name=name, audience_type=check.audience_type, rule=rule, description=None
    )
    response = await check.ask(operations.AUDIENCES_CREATE, body=body)
    audience_id = text_of(fields_of(response), "id")
    if response.ok and audience_id is not None:
        check.audience_ids.append(audience_id)
        check.audience = check.audience or fields_of(response)
    return response


async def _size_while_initializing(check: Observer) -> str:
    audience = _first_audience(check)
    if audience.get("status") != AudienceStatus.INITIALIZING:
        raise UnansweredError("the audience was not INITIALIZING")
    size = audience.get("size")
    return "null" if size is None else str(size) if isinstance(size, int) else "another"


def _first_audience(check: Observer) -> Mapping[str, JSON]:
    if check.audience is None:
        raise UnansweredError("no audience could be created")
    return check.audience


async def _audience_names(check: Observer) -> str:
    """Create a second audience with the name of the first, or with another one if refused.

    Raises:
        UnansweredError: Both were refused, so that the name is not the reason.
    """
    _first_audience(check)
    response = await _create_audience(check, MARKER)
    if response.ok:
        return "repeat"
    accepted(await _create_audience(check, NAMES[1]))
    return "unique" if response.status in (400, 409) else _refusal(response)


async def _foreign_bookmarks(check: Observer) -> str:
    page = await check.list_page(operations.AUDIENCES_LIST, page_size="1", order="ASCENDING")
    bookmark = text_of(page, "bookmark")
    if not bookmark:
        raise UnansweredError("the ad account must have two audiences")
    query = {"page_size": "1", "order": "DESCENDING", "bookmark": bookmark}
    response = await check.ask(operations.AUDIENCES_LIST, query=query)
    return "accept" if response.ok else _refusal(response)


async def _last_bookmark(check: Observer) -> str:
    if check.last_page is None:
        raise UnansweredError("the ad account has too many audiences")
    if "bookmark" not in check.last_page:
        return "absent"
    return "null" if check.last_page["bookmark"] is None else "empty"


async def _batch_sizes(check: Observer) -> str:
    """Add more and more records in one request, until it is refused."""
    largest = 0
    for size in BATCH_SIZES:
        response = await check.add(SHA256, size)
        if not response.ok:
            if response.status not in _SIZE_STATUSES:
                raise UnansweredError(f"the answer was {describe_status(response)}")
            check.refused_batch = size
            break
        largest = size
    else:
        return _NO_BATCH_LIMIT
    # The same number of records in half of the bytes.
    shorter = await check.add(MD5, size)
    unit = "bytes" if shorter.ok else "records"
    return (
        f"{largest:,} records of 64 characters accepted, {size:,} refused "
        f"({describe_status(response)}); the limit is in {unit}"
    )


_NO_BATCH_LIMIT = f"{BATCH_SIZES[-1]:,} records of 64 characters accepted"
"""The observation that no request was refused."""


def _expected_batch_sizes(assumptions: Assumptions) -> str:
    unlimited = assumptions.most_records is None and assumptions.most_body_bytes is None
    return _NO_BATCH_LIMIT if unlimited else "limited"


async def _uploads(check: Observer) -> str:
    """Create an upload, which changes nothing until it is run."""
    try:
        response = await check.ask(
            operations.CUSTOMER_LIST_UPLOADS_CREATE,
            {"customer_list_id": check.customer_list_id},
            body=requests.upload_create(operation="ADD", total_parts=1),
        )
    finally:
        check.has_upload = check.maybe_applied
    if response.ok:
        check.presigned_seconds = _presigned_seconds(response)
        return "open"
    refusals = {(401, 3): "restricted", (403, 29): "forbidden"}
    return refusals.get((response.status, response.code or 0), describe_status(response))


def _presigned_seconds(response: APIResponse) -> int | None:
    """Return for how long the URL of a part is valid, rounded to a minute; None if unknown."""
    match response.data:
        case {
            "customer_list_upload": {**upload},
            "s3_multipart_upload_data": {"file_parts": [{"presigned_url": str(url)}, *_]},
        }:
            created_at, parsed = upload.get("creation_time"), parse_qs(url.partition("?")[2])
        case _:
            return None
    # Signatures of S3 have one of both: a duration, or the Unix time of the end.
    for name, start in (("X-Amz-Expires", 0), ("Expires", created_at)):
        value = parsed.get(name, [""])[0]
        if _is_number(value) and isinstance(start, int | float):
            minutes = round((int(value) - start) / _SECONDS_PER_MINUTE)
            return minutes * _SECONDS_PER_MINUTE
    return None


async def _presigned(check: Observer) -> str:
    if check.presigned_seconds is None:
        raise UnansweredError("no upload was created, or its URL does not show it")
    return str(check.presigned_seconds)


async def _removed_audience(check: Observer) -> str:
    if not check.audience_ids:
        raise UnansweredError("no audience could be created")
    audience_id = check.audience_ids[-1]
    await check.remove_audience(audience_id)
    response = await check.ask(operations.AUDIENCES_GET, {"audience_id": audience_id})
    if response.ok:
        return "readable"
    if response.status == 404:  # noqa: PLR2004
        return "not_found"
    return describe_status(response)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS


def _rate_header(check: Observer, name: str, category: str = "ads_read") -> str | None:
    headers = check.rate_headers.get(category)
    if headers is None:
        raise UnansweredError(f"no call of the category {category} succeeded")
    return headers.get(name)


async def _limit_header(check: Observer) -> str:
    header = _rate_header(check, "x-ratelimit-limit")
    if header is None:
        return "absent"
    return "policies" if parse_policies(header) else "number" if _is_number(header) else "another"


async def _reset_header(check: Observer) -> str:
    header = (_rate_header(check, "x-ratelimit-reset") or "absent").split(",")[0]
    if not _is_number(header):
        return header if header == "absent" else "another"
    return "time" if int(header) > _MIN_UNIX_TIME else "seconds"


async def _policies(check: Observer, category: Category) -> str:
    header = _rate_header(check, "x-ratelimit-limit", category) or ""
    described: list[str] = []
    for policy in parse_policies(header):
        name = _POLICY_NAME.fullmatch(policy.name)
        described.append(f"{name[1] if name else '…'} {policy.quota} in {policy.window} s")
    if not described:
        raise UnansweredError("the header has no policies")
    return ", ".join(described)


async def _read_policies(check: Observer) -> str:
    return await _policies(check, "ads_read")


async def _write_policies(check: Observer) -> str:
    return await _policies(check, "ads_write")


def _expected_policies(category: Category) -> tuple[str, ...]:
    """Return the policies of Standard and of Trial access."""
    return tuple(
        ", ".join(
            f"{name} {policy.quota} in {policy.seconds} s"
            for name, policy in limits.policies(category)
        )
        for limits in (STANDARD_LIMITS, TRIAL_LIMITS)
    )


async def _retry_after(check: Observer) -> str:
    if not check.retry_after:
        raise UnansweredError("no request exceeded a rate limit")
    return _YES_OR_NO[all(check.retry_after)]


_YES_OR_NO = {True: "yes", False: "no"}


async def _create_status(check: Observer) -> str:
    if not check.create_statuses:
        raise UnansweredError("nothing was created")
    return ", ".join(map(str, sorted(check.create_statuses)))


async def _unknown_fields(check: Observer) -> str:
    return field_names(check.unknown_fields) or "none"


@frozen
class Probe:
    """A question, how it is asked, and what the emulator assumes.

    Attributes:
        name: The name of the question.
        question: The question.
        switch: The switch of the emulator for it; empty without one.
        ask: Observes the answer, in the words of the switch where it has words.
        expected: Returns the answers that agree with the emulator.
    """

    name: str
    question: str
    switch: str
    ask: Callable[[Observer], Awaitable[str]] = field(repr=False)
    expected: Callable[[Assumptions], tuple[str, ...]] = field(repr=False)


PROBES = (
    Probe(
        "default_order_of_lists",
        "In which order are customer lists listed without `order`?",
        "default_order",
        _order_of_lists,
        lambda assumed: (assumed.default_order,),
    ),
    Probe(
        "list_not_found",
        "What is the answer for an unknown customer list?",
        "not_found_code",
        _list_not_found,
        lambda assumed: (f"404, code {assumed.not_found_code}",),
    ),
    Probe(
        "audience_not_found",
        "What is the answer for an unknown audience?",
        "not_found_code",
        _audience_not_found,
        lambda assumed: (f"404, code {assumed.not_found_code}",),
    ),
    Probe(
        "status_after_update",
        "Which status has a processed list after an update?",
        "status_after_update",
        _status_after_update,
        lambda assumed: (assumed.status_after_update,),
    ),
    Probe(
        "uploaded_counter",
        "Does `num_uploaded_user_records` count records that were members already?",
        "counters",
        _uploaded_counter,
        lambda assumed: (assumed.counters,),
    ),
    Probe(
        "removed_counter",
        "Does `num_removed_user_records` count records that were not members?",
        "counters",
        _removed_counter,
        lambda assumed: (assumed.counters,),
    ),
    Probe(
        "batches_per_update",
        "By how much does an update raise `num_batches`?",
        "batches_per_update",
        _batches_per_update,
        lambda assumed: (str(assumed.batches_per_update),),
    ),
    Probe(
        "rows_count_as",
        "Does a row of `records_v2` count as one, or as many as it has identifiers?",
        "rows_count_as",
        _rows_count_as,
        lambda assumed: (assumed.rows_count_as,),
    ),
    Probe(
        "line_breaks",
        "Do line breaks separate `records`?",
        "line_breaks",
        _line_breaks,
        lambda assumed: (assumed.line_breaks,),
    ),
    Probe(
        "invalid_records",
        "Is a record refused that is neither an address nor a hash?",
        "invalid_records",
        _invalid_records,
        lambda assumed: (assumed.invalid_records,),
    ),
    Probe(
        "small_audiences",
        "Can the audience of a list with fewer than 100 matched accounts be created?",
        "refuse_small_audiences",
        _small_audiences,
        lambda assumed: ("refuse" if assumed.refuse_small_audiences else "accept",),
    ),
    Probe(
        "size_while_initializing",
        "Which `size` has an audience that is INITIALIZING?",
        "size_while_initializing",
        _size_while_initializing,
        lambda assumed: (
            "null"
            if assumed.size_while_initializing is None
            else str(assumed.size_while_initializing),
        ),
    ),
    Probe(
        "audience_names",
        "Can two audiences have one name?",
        "audience_names",
        _audience_names,
        lambda assumed: (assumed.audience_names,),
    ),
    Probe(
        "default_order_of_audiences",
        "In which order are audiences listed without `order`?",
        "default_order",
        _order_of_audiences,
        lambda assumed: (assumed.default_order,),
    ),
    Probe(
        "foreign_bookmarks",
        "Is a bookmark of another order refused?",
        "foreign_bookmarks",
        _foreign_bookmarks,
        lambda assumed: (assumed.foreign_bookmarks,),
    ),
    Probe(
        "last_bookmark",
        "Which `bookmark` has the last page?",
        "last_bookmark",
        _last_bookmark,
        lambda assumed: (assumed.last_bookmark,),
    ),
    Probe(
        "removed_audiences",
        "What does audiences/get answer for a removed audience?",
        "removed_audiences",
        _removed_audience,
        lambda assumed: (assumed.removed_audiences,),
    ),
    Probe(
        "uploads",
        "Are multipart uploads open to this app?",
        "uploads",
        _uploads,
        lambda _: ("open",),
    ),
    Probe(
        "presigned_seconds",
        "For how many seconds is the URL for a part of an upload valid?",
        "presigned_seconds",
        _presigned,
        lambda assumed: (str(assumed.presigned_seconds),),
    ),
    Probe(
        "batch_sizes",
        "How many records may a request have?",
        "most_records, most_body_bytes",
        _batch_sizes,
        lambda assumed: (_expected_batch_sizes(assumed),),
    ),
    Probe(
        "exceptions",
        "What is `exceptions` of a customer list?",
        "exceptions",
        _exceptions,
        lambda assumed: (assumed.exceptions,),
    ),
    Probe(
        "create_status",
        "Which status has a successful create?",
        "create_status",
        _create_status,
        lambda _: ("200",),
    ),
    Probe(
        "rate_limit_header",
        "Which form has `x-ratelimit-limit`?",
        "rate_limit_header",
        _limit_header,
        lambda assumed: (assumed.rate_limit_header,),
    ),
    Probe(
        "rate_limit_reset",
        "Which form has `x-ratelimit-reset`?",
        "rate_limit_reset",
        _reset_header,
        lambda assumed: (assumed.rate_limit_reset,),
    ),
    Probe(
        "read_limits",
        "Which rate limits has reading?",
        "rate_limits",
        _read_policies,
        lambda _: _expected_policies("ads_read"),
    ),
    Probe(
        "write_limits",
        "Which rate limits has writing?",
        "rate_limits",
        _write_policies,
        lambda _: _expected_policies("ads_write"),
    ),
    Probe(
        "retry_after",
        "Does a 429 have the header `Retry-After`?",
        "retry_after",
        _retry_after,
        lambda assumed: (_YES_OR_NO[assumed.retry_after],),
    ),
    Probe(
        "unknown_fields",
        "Which fields do customer lists and audiences have that this version does not know?",
        "",
        _unknown_fields,
        lambda _: ("none",),
    ),
)
"""The questions, in the order in which they are asked."""

UNASKED = (
    (
        (
            "Which members a REMOVE of a row removes; whether upper case in hashes, the case of an "
            "IDFA or `list_type` matters"
        ),
        "no answer of the API shows members, and made-up records match no account",
    ),
    ("The format of the file of an upload", "an upload cannot be undone or waited for"),
    ("How long a bookmark is valid", "it would take days"),
    ("Which headers a 429 has", "a check stays below the rate limits; it reports a 429 by chance"),
)
"""Open questions that a check does not ask, each with the reason."""
