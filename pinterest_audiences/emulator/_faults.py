"""Fault injection: which requests are affected, how often and how, and the effect on the answer.

A fault is written in Python, in JSON (`Fault.from_dict`), or posted to a running server, with the
same meaning. `Faults` decides which request a fault applies to; `FaultInjector` applies it. The
bytes of an answer are changed here; connections and delays (`disconnect`, `delay`) are set on the
response, for the transport or server to carry out.
"""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Literal, TypedDict, cast, get_args
from urllib.parse import parse_qsl, urlencode

import attrs

from pinterest_audiences.emulator._calls import parse_query
from pinterest_audiences.emulator._http import Answer, Disconnect, Request, Response
from pinterest_audiences.emulator._routing import OPERATION_NAMES, find_route

if TYPE_CHECKING:
    from collections.abc import Iterator

FaultKind = Literal[
    "status",
    "html",
    "slow",
    "reset_before",
    "reset_during",
    "reset_after",
    "no_answer",
    "truncated_json",
    "wrong_content_type",
    "unknown_field",
    "unknown_enum",
    "missing_field",
    "repeated_bookmark",
    "empty_page",
    "clock_skew",
]
"""The kinds of faults; `Fault` describes each."""

_KINDS = cast("tuple[str, ...]", get_args(FaultKind))
_PAGES = frozenset({"repeated_bookmark", "empty_page"})
_STATUSES = range(200, 600)
_WITHOUT_BODY = frozenset({204, 304})  # such an answer cannot have a fault
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"([\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?)?")

# The transport and the server set the framing themselves.
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "date"})
_DISCONNECTS: Mapping[str, Disconnect] = {
    "reset_before": "reset",
    "reset_during": "reset_halfway",
    "reset_after": "reset",
    "no_answer": "close",
}
_REPLACING = frozenset({"status", "html", "reset_before"})

# The first one that the answer has is changed: uploads have a state, and tokens have neither.
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "unknown_enum": ("status", "state", "token_type"),
    "missing_field": ("id", "access_token"),
}
_HTML = (
    "<html>\r\n<head><title>{status}</title></head>\r\n<body>\r\n<h1>{status}</h1>\r\n"
    "<p>This page came instead of an answer.</p>\r\n</body>\r\n</html>\r\n"
)
Json = dict[str, object]


class FaultSettings(TypedDict, total=False):
    """The settings of a fault other than its kind; `Fault` describes each."""

    operation: str | None
    path: str | None
    when: Callable[[Request], bool] | None
    times: int | None
    after: int
    probability: float
    status: int | None
    code: int | None
    message: str
    headers: Mapping[str, str]
    applied: bool
    seconds: float
    field: str | None
    value: object
    content_type: str


@attrs.frozen
class Fault:
    """A fault to inject: which requests it affects, how often, and what happens.

    Most kinds carry the request out, and spoil the answer:

    ====================  ===================  =====================================================
    kind                  carried out          the client sees
    ====================  ===================  =====================================================
    `status`              only with `applied`  an error of `status`, `code`, `message`, `headers`
    `html`                only with `applied`  a page of HTML with `status`, as proxies send it
    `slow`                yes                  the answer, `seconds` late
    `reset_before`        no                   a reset connection and no answer
    `reset_during`        yes                  a reset connection in the middle of the answer
    `reset_after`         yes                  a reset connection and no answer
    `no_answer`           yes                  a closed connection and no answer
    `truncated_json`      yes                  the first half of the body
    `wrong_content_type`  yes                  the answer as `content_type`
    `unknown_field`       yes                  `field` with `value` in every item
    `unknown_enum`        yes                  `value` in every `field`
    `missing_field`       yes                  every item without `field`
    `repeated_bookmark`   yes                  the bookmark that was sent; for pages after the first
    `empty_page`          yes                  no items, and a bookmark that leads to them
    `clock_skew`          yes                  `x-ratelimit-reset` of a clock that is `seconds` fast
    ====================  ===================  =====================================================

    Attributes:
        kind: What happens.
        operation: The name of an operation, as `customer_lists_update`; None for all requests.
        path: A pattern for the path, such as `*/customer_lists/643`; `*` and `?` as in a shell.
        when: A predicate for the request; for Python only.
        times: How many requests are affected before the fault is removed; None for unlimited.
        after: How many matching requests are answered normally first.
        probability: The probability for each matching request, drawn from the emulator's seed.
        status: The status of `status` (500 unless given) and `html` (502 unless given).
        code: Pinterest's code in the body of `status`; the status itself unless given.
        message: The message in the body of `status`.
        headers: Additional headers of the answer, such as `retry-after`.
        applied: Whether the request is carried out nevertheless; for `status` and `html`.
        seconds: The delay of the answer, for any kind; for `clock_skew` how fast the clock is.
        field: The affected field; unless given `id` (of tokens `access_token`), `status` (of
            uploads `state`, of tokens `token_type`) or `field_of_tomorrow`.
        value: The value of an unknown field or enum.
        content_type: The content type of `wrong_content_type`.

    Raises:
        ValueError: When a setting is out of its range.

    Example:
        >>> Fault("status", operation="customer_lists_update", status=429, times=2)
        <Fault: status, customer_lists_update, 2 times>
    """

    kind: FaultKind
    operation: str | None = attrs.field(default=None, kw_only=True)
    path: str | None = attrs.field(default=None, kw_only=True)
    when: Callable[[Request], bool] | None = attrs.field(default=None, kw_only=True)
    times: int | None = attrs.field(default=1, kw_only=True)
    after: int = attrs.field(default=0, kw_only=True)
    probability: float = attrs.field(default=1.0, kw_only=True)
    status: int | None = attrs.field(default=None, kw_only=True)
    code: int | None = attrs.field(default=None, kw_only=True)
    message: str = attrs.field(default="A fault of the emulator.", kw_only=True)
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], kw_only=True)
    applied: bool = attrs.field(default=False, kw_only=True)
    seconds: float = attrs.field(default=0.0, kw_only=True)
    field: str | None = attrs.field(default=None, kw_only=True)
    value: object = attrs.field(default="VALUE_OF_TOMORROW", kw_only=True)
    content_type: str = attrs.field(default="text/plain", kw_only=True)

    def __attrs_post_init__(self) -> None:
        _check_scope(self)
        _check_effect(self)

    def __repr__(self) -> str:
        often = "unlimited" if self.times is None else f"{self.times} times"
        return f"<Fault: {self.kind}, {self.operation or 'every request'}, {often}>"

    @classmethod
    def from_dict(cls, fields: object) -> Fault:
        """Read a fault from decoded JSON.

        Args:
            fields: An object with `kind` and the other attributes of a fault, except `when`.

        Returns:
            The fault.

        Raises:
            ValueError: When it is not an object, or a field is unknown or out of its range.

        Example:
            >>> Fault.from_dict({"kind": "slow", "seconds": 2, "times": None})
            <Fault: slow, every request, unlimited>
        """
        if not isinstance(fields, dict):
            raise ValueError("a fault must be an object with a kind")  # noqa: TRY004
        settings = cast("dict[str, object]", fields)
        names = {attribute.name for attribute in attrs.fields(cls)} - {"when"}
        if not {"kind"} <= settings.keys() <= names:
            raise ValueError(f"a fault has a kind, and may have: {', '.join(sorted(names))}")
        return cls(**settings)  # type: ignore[arg-type]  # each value is checked when it is created

    def to_dict(self) -> dict[str, object]:
        """Return the fault for JSON; a predicate is left out.

        Returns:
            What `from_dict` reads: the settings that differ from their defaults.
        """
        fields: dict[str, object] = {"kind": self.kind}
        for attribute in attrs.fields(Fault):
            value: object = getattr(self, attribute.name)
            if attribute.name == "headers":
                value = dict(self.headers) or attribute.default
            if attribute.name != "when" and value != attribute.default:
                fields[attribute.name] = value
        return fields

    def matches(self, operation: str | None, request: Request) -> bool:
        """Return whether a request is one that the fault affects.

        Args:
            operation: The request's operation, or None when it has none.
            request: The request.

        Returns:
            True when it is, regardless of `times`, `after` and `probability`.
        """
        if self.kind in _PAGES and not (operation or "").endswith("_list"):
            return False
        if self.kind == "repeated_bookmark" and "bookmark=" not in request.query:
            return False
        return (
            self.operation in (None, operation)
            and (self.path is None or fnmatchcase(request.path, self.path))
            and (self.when is None or self.when(request))
        )


def read_faults(decoded: object) -> tuple[Fault, ...]:
    """Read one fault or a list of them from decoded JSON.

    Args:
        decoded: An object, or an array of objects.

    Returns:
        The faults, in the same order.

    Raises:
        ValueError: When one is not a valid fault; the message has its number.
    """
    many = cast("list[object]", decoded) if isinstance(decoded, list) else [decoded]
    faults: list[Fault] = []
    for number, fields in enumerate(many, start=1):
        try:
            faults.append(Fault.from_dict(fields))
        except ValueError as error:
            raise ValueError(f"fault {number}: {error}") from None
    return tuple(faults)


@attrs.define
class ActiveFault:
    """A fault and its progress.

    Attributes:
        fault: The fault.
        seen: How many matching requests were received.
        hits: How many of them were affected.
    """

    fault: Fault
    seen: int = 0
    hits: int = 0

    @property
    def used_up(self) -> bool:
        """Whether it has affected as many requests as it should."""
        return self.fault.times is not None and self.hits >= self.fault.times


class Faults:
    """The active faults. May be used from any thread.

    A request is affected by the first fault that applies, in the order in which they were added;
    later ones do not count the request.

    Args:
        seed: The seed of the probabilities.

    Example:
        >>> faults = Faults(seed=1)
        >>> faults.add(Fault("no_answer", operation="customer_lists_create"))
        >>> list(faults)
        [<Fault: no_answer, customer_lists_create, 1 times>]
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = f"faults:{seed}"
        self._random = random.Random(self._seed)  # noqa: S311 - to be reproducible
        self._active: list[ActiveFault] = []
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._active)

    def __iter__(self) -> Iterator[Fault]:
        with self._lock:
            return iter([active.fault for active in self._active])

    def add(self, *faults: Fault) -> None:
        """Add faults after the existing ones.

        Args:
            faults: The faults, in this order.
        """
        with self._lock:
            self._active += [ActiveFault(fault) for fault in faults]

    def clear(self) -> None:
        """Remove all faults, and restart the random numbers."""
        with self._lock:
            self._active.clear()
            self._random.seed(self._seed)

    def show(self) -> list[dict[str, object]]:
        """Return the faults for JSON, and how many requests each has affected.

        Returns:
            An object for each fault, in order.
        """
        with self._lock:
            return [{**active.fault.to_dict(), "struck": active.hits} for active in self._active]

    def next(self, operation: str | None, request: Request) -> ActiveFault | None:
        """Return the fault that affects a request, and count it.

        Args:
            operation: The request's operation, or None when it has none.
            request: The request.

        Returns:
            The fault, or None when the request is not affected.
        """
        with self._lock:
            for active in self._active:
                fault = active.fault
                if not fault.matches(operation, request):
                    continue
                active.seen += 1
                if active.seen <= fault.after or self._random.random() >= fault.probability:
                    continue
                active.hits += 1
                return active
            return None

    def record_outcome(self, active: ActiveFault, *, hit: bool) -> None:
        """Record whether a fault had an effect; one that is used up is removed.

        Args:
            active: What `next` returned.
            hit: False when there was nothing to change, such as a missing field in a refusal; then
                the request does not count.
        """
        with self._lock:
            active.hits -= not hit
            self._active = [item for item in self._active if not item.used_up]


def _check_scope(fault: Fault) -> None:
    if fault.kind not in _KINDS:
        raise ValueError(f"kind must be one of: {', '.join(_KINDS)}")
    if fault.operation is not None and fault.operation not in OPERATION_NAMES:
        raise ValueError(f"operation must be one of: {', '.join(OPERATION_NAMES)}")
    _check("path", fault.path is None or _is_a(str, fault.path), "a pattern for the path")
    _check("times", fault.times is None or _whole(fault.times, 1), "a number from 1 up, or none")
    _check("after", _whole(fault.after, 0), "a whole number from 0 up")
    likely = _number(fault.probability) and 0.0 <= fault.probability <= 1.0
    _check("probability", likely, "a number from 0 to 1")


def _check_effect(fault: Fault) -> None:
    if fault.status is not None:
        fits = _whole(fault.status, 200) and fault.status in _STATUSES
        _check("status", fits and fault.status not in _WITHOUT_BODY, "200 to 599, not 204 or 304")
    _check("code", fault.code is None or _whole(fault.code, 0), "a whole number from 0 up")
    for name in ("message", "content_type"):
        _check(name, _is_a(str, getattr(fault, name)), "a string")
    _check("content_type", bool(_HEADER_VALUE.fullmatch(fault.content_type)), "a header's value")
    _check("headers", _are_headers(fault.headers), "names and values of headers, but no framing")
    _check("applied", _is_a(bool, fault.applied), "true or false")
    _check("seconds", _number(fault.seconds), "a number")
    if fault.kind != "clock_skew":
        _check("seconds", fault.seconds >= 0.0, "a number from 0 up")
    if fault.kind == "slow":
        _check("seconds", fault.seconds > 0.0, "more than 0 when an answer is slow")
    _check("field", fault.field is None or _is_a(str, fault.field), "a name")


def _check(name: str, fits: bool, what: str) -> None:  # noqa: FBT001 - the checked condition
    if not fits:
        raise ValueError(f"{name} must be {what}")


def _is_a(kind: type, value: object) -> bool:
    return isinstance(value, kind)  # JSON may have put anything there


def _whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _number(value: object) -> bool:
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return numeric and math.isfinite(cast("float", value))


def _are_headers(headers: object) -> bool:
    if not isinstance(headers, Mapping):
        return False
    pairs = cast("Mapping[object, object]", headers).items()
    return all(
        isinstance(name, str)
        and isinstance(value, str)
        and _HEADER_NAME.fullmatch(name)
        and _HEADER_VALUE.fullmatch(value)
        and name.lower() not in _FRAMING
        for name, value in pairs
    )


class FaultInjector:
    """Answers requests with faults. Its caller holds the lock.

    Args:
        faults: The active faults.
        respond: Carries a request out.
        fake_response: Turns an answer into a response, without carrying the request out.
        clock: Returns Unix seconds.
    """

    def __init__(
        self,
        faults: Faults,
        respond: Callable[[Request], Response],
        fake_response: Callable[[Request, Answer], Response],
        clock: Callable[[], float],
    ) -> None:
        self._faults = faults
        self._respond = respond
        self._fake_response = fake_response
        self._clock = clock
        # The bookmark that each bookmark of an empty page stands for: None is the first page.
        self._held_back: dict[str, str | None] = {}

    def handle(self, request: Request) -> Response:
        """Answer a request, with a fault if one applies.

        Args:
            request: The request.

        Returns:
            The answer; its `fault` is the kind of the fault, if any.
        """
        if self._held_back:
            request = self._resume(request)
        # Pinterest has no HEAD, and an answer without a body has nothing to change.
        if not self._faults or request.method == "HEAD":
            return self._respond(request)
        active = self._faults.next(_operation(request), request)
        if active is None:
            return self._respond(request)
        response = self._apply(active.fault, request)
        self._faults.record_outcome(active, hit=response.fault is not None)
        return response

    def clear(self) -> None:
        """Remove all faults, and the bookmarks of empty pages."""
        self._faults.clear()
        self._held_back.clear()

    def _apply(self, fault: Fault, request: Request) -> Response:
        """Answer with a fault; unchanged, and without its kind, if there is nothing to change."""
        if fault.kind in _REPLACING:
            response = self._replace(fault, request)
        else:
            unchanged = self._respond(request)
            changed = self._mutate(fault, request, unchanged)
            if changed is None:
                return unchanged
            response = changed
        delay = 0.0 if fault.kind == "clock_skew" else fault.seconds
        disconnect = _DISCONNECTS.get(fault.kind)
        return attrs.evolve(response, delay=delay, disconnect=disconnect, fault=fault.kind)

    def _replace(self, fault: Fault, request: Request) -> Response:
        """Return the response that is sent instead of the answer."""
        if fault.kind == "reset_before":
            return self._fake_response(request, Answer(status=0, payload={}))
        status = fault.status or (502 if fault.kind == "html" else 500)
        code = status if fault.code is None else fault.code
        headers = tuple((name.lower(), value) for name, value in fault.headers.items())
        payload = {"code": code, "message": fault.message}
        answer = Answer(status=status, payload=payload, headers=headers)
        if fault.applied:
            finished = self._respond(request)
            body = json.dumps(answer.payload, separators=(",", ":")).encode()
            finished = attrs.evolve(finished, status=status)
            finished = _with_body(finished, body, "application/json")
            finished = attrs.evolve(finished, headers=(*finished.headers, *headers))
        else:
            finished = self._fake_response(request, answer)
        if fault.kind == "status":
            return finished
        return _with_body(finished, _HTML.format(status=status).encode(), "text/html")

    def _mutate(self, fault: Fault, request: Request, response: Response) -> Response | None:
        """Return the changed answer, or None when there is nothing to change."""
        match fault.kind:
            case "truncated_json":
                half = response.body[: len(response.body) // 2]
                return _with_body(response, half) if _is_json(response) else None
            case "wrong_content_type":
                return _with_header(response, "content-type", fault.content_type)
            case "clock_skew":
                return self._skew(fault, response)
            case "slow" | "reset_during" | "reset_after" | "no_answer":
                return response
            case _:
                pass
        # A refusal has no fields to change, nor has a body that is not JSON, nor `null`.
        fields = response.status < HTTPStatus.MULTIPLE_CHOICES and _is_json(response)
        payload: object = json.loads(response.body) if fields else None
        if not isinstance(payload, dict) or not self._change(fault, request, cast("Json", payload)):
            return None
        return _with_body(response, json.dumps(payload, separators=(",", ":")).encode())

    def _change(self, fault: Fault, request: Request, payload: Json) -> bool:
        if fault.kind in ("repeated_bookmark", "empty_page"):
            return self._turn_page(fault, request, payload)
        items = payload.get("items")
        if fault.kind == "unknown_field":
            many = cast("list[Json]", items) if isinstance(items, list) else [payload]
            for item in many:
                item[fault.field or "field_of_tomorrow"] = fault.value
            return bool(many)
        objects = list(_objects(payload))
        names = _FIELDS[fault.kind] if fault.field is None else (fault.field,)
        name = next((name for name in names if any(name in item for item in objects)), names[0])
        holders = [item for item in objects if name in item]
        for holder in holders:
            if fault.kind == "missing_field":
                del holder[name]
            else:
                holder[name] = fault.value
        return bool(holders)

    def _turn_page(self, fault: Fault, request: Request, page: Json) -> bool:
        sent = parse_query(request.query).get("bookmark")
        if fault.kind == "repeated_bookmark":
            page["bookmark"] = sent
            return True
        # Another bookmark for the same position: the next request returns the page.
        bookmark = f"P2&c=empty{len(self._held_back)}=="
        self._held_back[bookmark] = sent
        page.update(items=[], bookmark=bookmark)
        return True

    def _resume(self, request: Request) -> Request:
        """Replace the bookmark of an empty page by the one that the client had sent before."""
        bookmark = parse_query(request.query).get("bookmark")
        if bookmark not in self._held_back:
            return request
        original = self._held_back[bookmark]
        pairs = parse_qsl(request.query, keep_blank_values=True, errors="replace")
        pairs = [(name, value) for name, value in pairs if name != "bookmark"]
        if original is not None:
            pairs.append(("bookmark", original))
        return attrs.evolve(request, query=urlencode(pairs))

    def _skew(self, fault: Fault, response: Response) -> Response | None:
        wait = response.header("x-ratelimit-reset")
        if wait is None:
            return None
        reset_at = round(self._clock() + float(wait) + fault.seconds)
        return _with_header(response, "x-ratelimit-reset", str(reset_at))


def _operation(request: Request) -> str | None:
    route, _ = find_route(request.method, request.path)
    return route.name or None


def _is_json(response: Response) -> bool:
    return bool(response.body) and response.header("content-type") == "application/json"


def _objects(node: object) -> Iterator[Json]:
    """Yield all JSON objects, the outer ones first."""
    if isinstance(node, dict):
        yield cast("Json", node)
        for value in list(cast("Json", node).values()):
            yield from _objects(value)
    elif isinstance(node, list):
        for value in cast("list[object]", node):
            yield from _objects(value)


def _with_header(response: Response, name: str, value: str) -> Response:
    others = tuple(pair for pair in response.headers if pair[0] != name)
    return attrs.evolve(response, headers=((name, value), *others))


def _with_body(response: Response, body: bytes, content_type: str | None = None) -> Response:
    response = _with_header(response, "content-length", str(len(body)))
    if content_type is not None:
        response = _with_header(response, "content-type", content_type)
    return attrs.evolve(response, body=body)
