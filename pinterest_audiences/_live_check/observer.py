"""The calls of a check, and what their responses show; the made-up records that it sends."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from hashlib import md5, sha256
from typing import Protocol, TypeAlias, TypeVar, cast

from attrs import Factory, define, fields, frozen

from pinterest_audiences._config import Clock
from pinterest_audiences._errors import APIError, CallError, DecodeError, RateLimitError
from pinterest_audiences._http import operations, requests
from pinterest_audiences._http.operations import Call, Operation
from pinterest_audiences._http.responses import APIResponse, token_expired
from pinterest_audiences._http.retry import is_success, is_transient
from pinterest_audiences._http.session import CallMetrics, collect_metrics
from pinterest_audiences._models import JSON, Audience, AudienceType, CustomerList, RecordRow
from pinterest_audiences._records.batches import Batch

__all__ = [
    "ABSENT",
    "BATCH_SIZES",
    "CLEANUP_REQUESTS",
    "COUNTED",
    "INVALID",
    "MARKER",
    "MAX_REQUESTS",
    "MAX_RETRIES",
    "MD5",
    "NAMES",
    "PAGE_SIZE",
    "ROWS",
    "SHA256",
    "TWO_LINES",
    "Observer",
    "RecordSet",
    "Records",
    "Send",
    "UnansweredError",
    "accepted",
    "counter_rise",
    "describe_status",
    "field_names",
    "fields_of",
    "items_of",
    "text_of",
    "update_body",
]

T = TypeVar("T")

MARKER = "pinterest-audiences API check"
"""The name of the customer list and of the audiences of a check."""

NAMES = (MARKER, f"{MARKER} 2")
"""The names of the audiences of a check."""

MAX_REQUESTS = 90
"""The most requests of a check, with retries and removals."""

CLEANUP_REQUESTS = 30
"""How many of them are left for removals at the end."""

MAX_RETRIES = 4
"""How often a call is retried at most, whatever the client allows."""

_REQUESTS_PER_CALL = 1 + MAX_RETRIES + 1  # the last one after a refresh of the token
PAGE_SIZE = 250
BATCH_SIZES = (1_900, 1_901, 5_000, 10_000, 20_000)
"""The numbers of records of larger and larger requests."""

# Other keys of `exceptions` may quote a record or a name.
_EXCEPTION_FIELDS = frozenset({"code", "message"})
_TOO_LARGE = (413, 414)  # proxies limit the size, with a page of HTML
_FIELD_NAME = re.compile(r"[a-z][a-z_]{0,39}")
# In recorded items of listings; the models keep it in `extra`.
_RECORDED_FIELDS = frozenset({"is_ctv_enabled"})
_RATE_HEADERS = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")

Records: TypeAlias = "Sequence[str] | Sequence[RecordRow] | Batch"


def _sha256_records(numbers: Iterable[int]) -> list[str]:
    """Return made-up records: hashes of addresses of a domain that is reserved for examples."""
    return [sha256(_address(number)).hexdigest() for number in numbers]


def _md5_records(numbers: Iterable[int]) -> list[str]:
    """Return made-up records of half the length."""
    return [md5(_address(number), usedforsecurity=False).hexdigest() for number in numbers]


def _address(number: int) -> bytes:
    return f"api-check-{number}@example.com".encode()


@frozen(eq=False)
class RecordSet:
    """Made-up records of one form, which are added and removed together.

    Attributes:
        records: Returns the records with these numbers.
        count: How many there are; of the sets that grow, how many are added first.
    """

    records: Callable[[range], Records]
    count: int


SHA256 = RecordSet(_sha256_records, 20)
"""Records of 64 characters, of which larger and larger requests are sent."""

MD5 = RecordSet(_md5_records, 0)
"""Records of half the length, for the same sizes."""

# Made-up records outside of the range of BATCH_SIZES.
ABSENT = _sha256_records(range(1_000_000, 1_000_005))
"""Records that are never added."""

_COUNTED = _sha256_records(range(4_000_000, 4_000_010))
COUNTED = RecordSet(lambda _: _COUNTED, len(_COUNTED))
"""Records that are not on the list when they are added, and are when they are removed."""

_ROWS = tuple(
    RecordRow(email=email, maid=maid)
    for email, maid in zip(
        _sha256_records(range(2_000_000, 2_000_003)),
        _sha256_records(range(2_000_100, 2_000_103)),
        strict=True,
    )
)
ROWS = RecordSet(lambda _: _ROWS, len(_ROWS))
"""Rows of two identifiers."""

_TWO_LINES = Batch(
    b'"records":"%b"' % "\\n".join(_sha256_records(range(3_000_000, 3_000_002))).encode(), count=2
)
TWO_LINES = RecordSet(lambda _: _TWO_LINES, _TWO_LINES.count)
"""Two records that are separated by a line break."""

INVALID = RecordSet(lambda _: ("neither-an-address-nor-a-hash",), 1)
"""A record of no type."""


class UnansweredError(Exception):
    """A question cannot be answered now; the text is the reason."""


class Send(Protocol):
    """Sends a call, with retries and rate limits."""

    def __call__(self, call: Call[T]) -> Awaitable[T]:
        """Return the model of the response."""
        ...


@define(repr=False)
class Observer:
    """A running check: its list and audiences, and what the responses have shown so far."""

    send: Send
    clock: Clock
    ad_account_id: str
    requests: int = 0
    max_requests: int = MAX_REQUESTS - CLEANUP_REQUESTS
    customer_list_id: str = ""
    is_new: bool = True
    status_before: str | None = None  # of a list of an earlier check, before its first update
    status_after: str | None = None
    audience: Mapping[str, JSON] | None = None
    audience_type: AudienceType = AudienceType.CUSTOMER_LIST
    audience_ids: list[str] = Factory(list[str])
    has_upload: bool = False
    presigned_seconds: int | None = None
    batches_per_update: int | None = None
    counts_at_once: bool | None = None  # whether counters rise before an update is answered
    refused_batch: int | None = None  # the number of records of the smallest refused request
    # How many records of each set may be on the list, because their ADD was not refused.
    added: dict[RecordSet, int] = Factory(dict[RecordSet, int])
    maybe_applied: bool = False  # whether the last call may have changed something
    create_statuses: set[int] = Factory(set[int])
    rate_headers: dict[str, Mapping[str, str]] = Factory(dict[str, Mapping[str, str]])
    retry_after: list[bool] = Factory(list[bool])  # for each 429, whether it had the header
    exceptions: set[str] = Factory(set[str])
    unknown_fields: set[str] = Factory(set[str])
    last_page: Mapping[str, JSON] | None = None

    async def require(
        self,
        operation: Operation[T],
        ids: Mapping[str, str] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        body: tuple[bytes, ...] = (),
    ) -> Mapping[str, JSON]:
        """Send a call that must succeed, and return the fields of its response.

        Raises:
            CallError: It failed.
        """
        response, error = await self._send(operation, ids or {}, query or {}, body)
        if error is not None:
            raise error
        return fields_of(response)

    async def ask(
        self,
        operation: Operation[T],
        ids: Mapping[str, str] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        body: tuple[bytes, ...] = (),
    ) -> APIResponse:
        """Send a call, and return its response, also if it is a refusal.

        Raises:
            UnansweredError: No response, or one that is temporary, not JSON, or about the token.
        """
        self.maybe_applied = False
        if self.requests + _REQUESTS_PER_CALL > self.max_requests:
            raise UnansweredError("the number of requests was used up")
        response, error = await self._send(operation, ids or {}, query or {}, body)
        if isinstance(error, RateLimitError):
            raise UnansweredError("the rate limit was used up")
        if response is None or not isinstance(error, APIError | DecodeError | None):
            raise UnansweredError("there was no response")
        if error is not None and is_transient(error) and not isinstance(error, DecodeError):
            raise UnansweredError(f"the answer was {describe_status(response)}")
        if token_expired(response):
            raise UnansweredError("the access token was refused")
        if _is_of_proxy(response):
            raise UnansweredError("the answer was not JSON")
        return response

    async def _send(
        self,
        operation: Operation[T],
        ids: Mapping[str, str],
        query: Mapping[str, str],
        body: tuple[bytes, ...],
    ) -> tuple[APIResponse | None, CallError | None]:
        """Send a call; return its last response and its error, if there are any."""
        received: list[APIResponse] = []
        metrics = CallMetrics(on_response=received.append)
        call = operation.call({"ad_account_id": self.ad_account_id, **ids}, query=query, body=body)
        self.maybe_applied = True  # also if it is interrupted
        try:
            with collect_metrics(metrics):
                await self.send(call)
        except CallError as failure:
            error: CallError | None = failure
        else:
            error = None
        self.maybe_applied = error is None or error.maybe_applied is not False
        self.requests += metrics.calls
        for response in received:
            self._observe(operation, response)
        if metrics.maybe_applied and error is None:
            # It was repeated after a response was lost: counters may have counted twice.
            received.clear()
        return received[-1] if received else None, error

    def _observe(self, operation: Operation[T], response: APIResponse) -> None:
        """Store what any response shows."""
        headers = response.headers
        if response.status == 429:  # noqa: PLR2004 - HTTP statuses read best as numbers
            self.retry_after.append("retry-after" in headers)
        if not response.ok or response.problems:
            return
        self.rate_headers[operation.category] = {
            name: headers[name] for name in _RATE_HEADERS if name in headers
        }
        resource, _, action = operation.name.rpartition("_")
        model = _MODELS.get(resource)
        if model is not None:
            if action == "create":
                self.create_statuses.add(response.status)
            known = {attribute.name for attribute in fields(model)} | _RECORDED_FIELDS
            for item in items_of(response.data):
                self.unknown_fields |= item.keys() - known
                if model is CustomerList:
                    self.exceptions.add(_describe_exceptions(item))

    async def get_list(self) -> Mapping[str, JSON]:
        """Fetch the list of the check."""
        ids = {"customer_list_id": self.customer_list_id}
        return accepted(await self.ask(operations.CUSTOMER_LISTS_GET, ids))

    async def add(self, record_set: RecordSet, count: int | None = None) -> APIResponse:
        """Add the first records of a set, which are removed at the end unless they are refused."""
        size = record_set.count if count is None else count
        before = self.added.get(record_set, 0)
        self.added[record_set] = max(before, size)
        try:
            return await self._update("ADD", record_set.records(range(size)))
        finally:
            if not self.maybe_applied:
                self.added[record_set] = before

    async def remove(self, records: Records) -> APIResponse:
        """Remove records from the list of the check."""
        return await self._update("REMOVE", records)

    async def _update(self, operation_type: str, records: Records) -> APIResponse:
        return await self.ask(
            operations.CUSTOMER_LISTS_UPDATE,
            {"customer_list_id": self.customer_list_id},
            body=update_body(operation_type, records),
        )

    async def count_rise(self, counter: str, update: Callable[[], Awaitable[APIResponse]]) -> int:
        """Update the list of the check, and return by how much a counter has risen.

        Raises:
            UnansweredError: The update was refused, or the counter is missing.
        """
        before = await self.get_list()
        after = accepted(await update())
        if after.get(counter) == before.get(counter):
            after = await self.get_list()  # the response may show the state before the update
        self.batches_per_update = counter_rise("num_batches", before, after)
        return counter_rise(counter, before, after)

    async def list_page(self, operation: Operation[T], **query: str) -> Mapping[str, JSON]:
        """Fetch one page of lists or audiences."""
        return accepted(await self.ask(operation, query=query))

    async def remove_audience(self, audience_id: str) -> None:
        """Remove an audience of the check.

        Raises:
            UnansweredError: It cannot be removed.
        """
        body = requests.audience_update(
            operation_type="REMOVE", name=None, description=None, rule=None
        )
        ids = {"audience_id": audience_id}
        response = await self.ask(operations.AUDIENCES_UPDATE, ids, body=body)
        if response.status != 404:  # noqa: PLR2004 - it has been removed already
            accepted(response)
        if audience_id in self.audience_ids:
            self.audience_ids.remove(audience_id)


_MODELS: Mapping[str, type[CustomerList | Audience]] = {
    "customer_lists": CustomerList,
    "audiences": Audience,
}


def update_body(operation_type: str, records: Records) -> tuple[bytes, ...]:
    """Return the body of an update with records or rows."""
    if not isinstance(records, Batch) and records and isinstance(records[0], RecordRow):
        rows = cast("Sequence[RecordRow]", records)
        return requests.customer_list_update(
            operation_type=operation_type, records=None, records_v2=rows
        )
    texts = cast("Sequence[str] | Batch", records)
    return requests.customer_list_update(
        operation_type=operation_type, records=texts, records_v2=None
    )


def _is_of_proxy(response: APIResponse) -> bool:
    """Return whether a response is not JSON, and is not a refusal for the size of the request."""
    if is_success(response.status):
        return bool(response.problems)
    has_page = bool(response.problems) and not response.is_empty
    return has_page and response.status not in _TOO_LARGE


def describe_status(response: APIResponse) -> str:
    """Return the status and Pinterest's code, which are all that is shown of a refusal."""
    code = "" if response.code is None else f", code {response.code}"
    return f"{response.status}{code}"


def accepted(response: APIResponse) -> Mapping[str, JSON]:
    """Return the fields of a response that is a success.

    Raises:
        UnansweredError: It is not.
    """
    if not response.ok:
        raise UnansweredError(f"the answer was {describe_status(response)}")
    return fields_of(response)


def fields_of(response: APIResponse | None) -> Mapping[str, JSON]:
    """Return the fields of a response; none without a response."""
    return response.data if response is not None and isinstance(response.data, Mapping) else {}


def items_of(data: JSON) -> list[Mapping[str, JSON]]:
    """Return the items of a page, or the one object that a response is."""
    if not isinstance(data, Mapping):
        return []
    items = data.get("items", [data])
    if not isinstance(items, Sequence) or isinstance(items, str):
        return []
    return [item for item in items if isinstance(item, Mapping)]


def text_of(values: Mapping[str, JSON], name: str) -> str | None:
    """Return a field that is a string; None for another one."""
    value = values.get(name)
    return value if isinstance(value, str) else None


def counter_rise(counter: str, before: Mapping[str, JSON], after: Mapping[str, JSON]) -> int:
    """Return by how much a counter of a list has risen.

    Raises:
        UnansweredError: The counter is missing.
    """
    old, new = before.get(counter), after.get(counter)
    if not isinstance(old, int | float) or not isinstance(new, int | float):
        raise UnansweredError(f"{counter} is missing")
    return int(new - old)


def field_names(names: Iterable[str]) -> str:
    """Return field names; one that may contain an id or a name is left out."""
    return ", ".join(sorted({name if _FIELD_NAME.fullmatch(name) else "…" for name in names}))


def _describe_exceptions(item: Mapping[str, JSON]) -> str:
    if "exceptions" not in item:
        return "absent"
    match item["exceptions"]:
        case None:
            return "null"
        case Mapping() as values:
            names = (name if name in _EXCEPTION_FIELDS else "…" for name in values)
            return f"object with {field_names(names)}" if values else "object"
        case str():
            return "string"
        case Sequence() as values:
            return f"list of {len(values)}" if values else "list"
        case _:
            return "number"
