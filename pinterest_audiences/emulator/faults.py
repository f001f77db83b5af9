"""What can be made to go wrong, as data: which requests, how often, and in which way.

A fault is written in Python, in JSON (`Fault.from_dict`), or posted to a running server; it means
the same everywhere. `Faults` decides whom it strikes; `fault_effects` carries it out.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from threading import Lock
from typing import TYPE_CHECKING, Literal, TypedDict, cast, get_args

import attrs

from pinterest_audiences.emulator.messages import Request
from pinterest_audiences.emulator.operations import OPERATION_NAMES

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
"""The ways in which an answer can go wrong; `Fault` tells what each does."""

_KINDS = cast("tuple[str, ...]", get_args(FaultKind))
_PAGES = frozenset({"repeated_bookmark", "empty_page"})
_STATUSES = range(200, 600)
_WITHOUT_BODY = frozenset({204, 304})  # an answer of these can carry no fault
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"([\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?)?")
# What says where an answer ends is the door's own business.
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "date"})


class FaultSettings(TypedDict, total=False):
    """The settings of a fault beside its kind; `Fault` tells what each means."""

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
    """One thing that goes wrong: whom it strikes, how often, and what happens then.

    | kind | the request is carried out | the client sees |
    |---|---|---|
    | `status` | only with `applied` | an error of `status`, `code`, `message`, `headers` |
    | `html` | only with `applied` | a page of HTML with `status`, as proxies send it |
    | `slow` | yes | the answer, `seconds` late |
    | `reset_before` | no | a reset connection and no answer |
    | `reset_during` | yes | a reset connection in the middle of the answer |
    | `reset_after` | yes | a reset connection and no answer |
    | `no_answer` | yes | a closed connection and no answer |
    | `truncated_json` | yes | the first half of the body |
    | `wrong_content_type` | yes | the answer as `content_type` |
    | `unknown_field` | yes | `field` with `value` in every item |
    | `unknown_enum` | yes | `value` in every `field` |
    | `missing_field` | yes | every item without `field` |
    | `repeated_bookmark` | yes | the bookmark that was sent once more; for pages after the first |
    | `empty_page` | yes | no items, and a bookmark that leads to them |
    | `clock_skew` | yes | `x-ratelimit-reset` as the time of a clock that is `seconds` fast |

    Attributes:
        kind: What happens.
        operation: Of which operation, as `customer_lists_update`; None for every request.
        path: A pattern for the path, as `*/customer_lists/643`; `*` and `?` as in a shell.
        when: Whether a request is struck; for Python only.
        times: How many requests are struck, then the fault is gone; None for no end.
        after: How many requests that would be struck are let through first.
        probability: The chance of each request to be struck, from the emulator's seed.
        status: The status of `status` (500 unless given) and `html` (502 unless given).
        code: Pinterest's code in the body of `status`; the status itself unless given.
        message: The words in the body of `status`.
        headers: More headers of the answer, such as `retry-after`.
        applied: Whether the request is carried out all the same; for `status` and `html`.
        seconds: How late the answer is, with any kind; for `clock_skew` how fast the clock is.
        field: The field meant; unless given `id` (of tokens `access_token`), `status` (of uploads
            `state`, of tokens `token_type`) or `field_of_tomorrow`.
        value: The value of an unknown field or enum.
        content_type: What `wrong_content_type` says instead.

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
        _check_whom(self)
        _check_what(self)

    def __repr__(self) -> str:
        often = "for ever" if self.times is None else f"{self.times} times"
        return f"<Fault: {self.kind}, {self.operation or 'every request'}, {often}>"

    @classmethod
    def from_dict(cls, fields: object) -> Fault:
        """Read a fault as JSON has it.

        Args:
            fields: An object with `kind` and the other attributes of a fault, except `when`.

        Returns:
            The fault.

        Raises:
            ValueError: When it is no object, or a field is unknown or out of its range.

        Example:
            >>> Fault.from_dict({"kind": "slow", "seconds": 2, "times": None})
            <Fault: slow, every request, for ever>
        """
        if not isinstance(fields, dict):
            raise ValueError("a fault must be an object with a kind")  # noqa: TRY004
        settings = cast("dict[str, object]", fields)
        known = {attribute.name for attribute in attrs.fields(cls)} - {"when"}
        if not {"kind"} <= settings.keys() <= known:
            raise ValueError(f"a fault has a kind, and may have: {', '.join(sorted(known))}")
        return cls(**settings)  # type: ignore[arg-type]  # each is checked at its making

    def to_dict(self) -> dict[str, object]:
        """Return the fault as JSON has it; a predicate is left out.

        Returns:
            What `from_dict` reads: the settings that differ from their defaults.
        """
        told: dict[str, object] = {"kind": self.kind}
        for attribute in attrs.fields(Fault):
            value: object = getattr(self, attribute.name)
            if attribute.name == "headers":
                value = dict(self.headers) or attribute.default
            if attribute.name != "when" and value != attribute.default:
                told[attribute.name] = value
        return told

    def strikes(self, operation: str | None, request: Request) -> bool:
        """Return whether a request is one of those meant.

        Args:
            operation: The request's operation, or None when it has none.
            request: The request.

        Returns:
            True when it is, however often the fault has struck.
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
    """Read one fault or a list of them, as JSON has them.

    Args:
        decoded: An object, or an array of objects.

    Returns:
        The faults, in their order.

    Raises:
        ValueError: When one is no fault; which one is told.
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
class Standing:
    """A fault, and how far it has come.

    Attributes:
        fault: The fault.
        seen: How many requests of those meant have come.
        struck: How many of them it struck.
    """

    fault: Fault
    seen: int = 0
    struck: int = 0

    @property
    def used_up(self) -> bool:
        """Whether it has struck as often as it should."""
        return self.fault.times is not None and self.struck >= self.fault.times


class Faults:
    """The faults that wait for their requests. May be used from any thread.

    A request is struck by the first fault that is due, in the order in which they were added;
    those behind it do not see the request.

    Args:
        seed: Of the chance that probabilities are drawn from.

    Example:
        >>> faults = Faults(seed=1)
        >>> faults.add(Fault("no_answer", operation="customer_lists_create"))
        >>> list(faults)
        [<Fault: no_answer, customer_lists_create, 1 times>]
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = f"faults:{seed}"
        self._random = random.Random(self._seed)  # noqa: S311 - to be repeatable
        self._standing: list[Standing] = []
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._standing)

    def __iter__(self) -> Iterator[Fault]:
        with self._lock:
            return iter([standing.fault for standing in self._standing])

    def add(self, *faults: Fault) -> None:
        """Add faults behind those that wait already.

        Args:
            faults: What to add, in this order.
        """
        with self._lock:
            self._standing += [Standing(fault) for fault in faults]

    def clear(self) -> None:
        """Forget all faults, and begin anew with chance."""
        with self._lock:
            self._standing.clear()
            self._random.seed(self._seed)

    def show(self) -> list[dict[str, object]]:
        """Return the faults as JSON has them, and how often each has struck.

        Returns:
            An object for each fault, in order.
        """
        with self._lock:
            return [{**each.fault.to_dict(), "struck": each.struck} for each in self._standing]

    def pick(self, operation: str | None, request: Request) -> Standing | None:
        """Return the fault that strikes a request, and count it.

        Args:
            operation: The request's operation, or None when it has none.
            request: The request.

        Returns:
            The fault, or None when the request is left alone.
        """
        with self._lock:
            for standing in self._standing:
                fault = standing.fault
                if not fault.strikes(operation, request):
                    continue
                standing.seen += 1
                if standing.seen <= fault.after or self._random.random() >= fault.probability:
                    continue
                standing.struck += 1
                return standing
            return None

    def settle(self, standing: Standing, *, struck: bool) -> None:
        """Say what came of a strike; a fault that is used up is gone then.

        Args:
            standing: What `pick` returned.
            struck: False when there was nothing to do, such as a missing field in a refusal; then
                the strike does not count.
        """
        with self._lock:
            standing.struck -= not struck
            self._standing = [each for each in self._standing if not each.used_up]


def _check_whom(fault: Fault) -> None:
    if fault.kind not in _KINDS:
        raise ValueError(f"kind must be one of: {', '.join(_KINDS)}")
    if fault.operation is not None and fault.operation not in OPERATION_NAMES:
        raise ValueError(f"operation must be one of: {', '.join(OPERATION_NAMES)}")
    _check("path", fault.path is None or _is_a(str, fault.path), "a pattern for the path")
    _check("times", fault.times is None or _whole(fault.times, 1), "a number from 1 up, or none")
    _check("after", _whole(fault.after, 0), "a whole number from 0 up")
    likely = _number(fault.probability) and 0.0 <= fault.probability <= 1.0
    _check("probability", likely, "a number from 0 to 1")


def _check_what(fault: Fault) -> None:
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


def _check(name: str, fits: bool, what: str) -> None:  # noqa: FBT001 - it is the question itself
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
