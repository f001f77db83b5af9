"""Carries faults out: between a request and the engine, and between the engine and its answer.

What can be done to the bytes of an answer is done here. What is a matter of connections and of
time (`break_off`, `delay`) is written on the answer, and the door does it.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qsl, urlencode

import attrs

from pinterest_audiences.emulator.messages import Answer, BreakOff, Request, Response
from pinterest_audiences.emulator.operations import OPERATIONS
from pinterest_audiences.emulator.routes import find_route

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pinterest_audiences.emulator.faults import Fault, Faults

_BREAKS: Mapping[str, BreakOff] = {
    "reset_before": "reset",
    "reset_during": "reset_halfway",
    "reset_after": "reset",
    "no_answer": "close",
}
_INSTEAD = frozenset({"status", "html", "reset_before"})
# The first of them that an answer has: uploads have a state, and tokens have neither.
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "unknown_enum": ("status", "state", "token_type"),
    "missing_field": ("id", "access_token"),
}

_HTML = (
    "<html>\r\n<head><title>{status}</title></head>\r\n<body>\r\n<h1>{status}</h1>\r\n"
    "<p>This page came instead of an answer.</p>\r\n</body>\r\n</html>\r\n"
)

Json = dict[str, object]


class FaultyEngine:
    """An engine whose answers go wrong as the faults have it. Its caller holds the lock.

    Args:
        faults: What is to go wrong.
        answer: Carries a request out.
        stand_in: Finishes an answer to a request that is not carried out.
        clock: Returns Unix seconds.
    """

    def __init__(
        self,
        faults: Faults,
        answer: Callable[[Request], Response],
        stand_in: Callable[[Request, Answer], Response],
        clock: Callable[[], float],
    ) -> None:
        self._faults = faults
        self._answer = answer
        self._stand_in = stand_in
        self._clock = clock
        # What the bookmarks of empty pages stand for: None is the beginning of a walk.
        self._held_back: dict[str, str | None] = {}

    def handle(self, request: Request) -> Response:
        """Answer a request, rightly or wrongly.

        Args:
            request: The request.

        Returns:
            The answer; `fault` says what struck it.
        """
        if self._held_back:
            request = self._resume(request)
        # Pinterest has no HEAD, and nothing of an answer to it could be spoilt.
        if not self._faults or request.method == "HEAD":
            return self._answer(request)
        standing = self._faults.pick(_operation(request), request)
        if standing is None:
            return self._answer(request)
        spoilt = self._spoil(standing.fault, request)
        self._faults.settle(standing, struck=spoilt.fault is not None)
        return spoilt

    def clear(self) -> None:
        """Forget all faults, and the bookmarks of empty pages."""
        self._faults.clear()
        self._held_back.clear()

    def _spoil(self, fault: Fault, request: Request) -> Response:
        if fault.kind in _INSTEAD:
            whole = self._instead(fault, request)
        else:
            whole = self._answer(request)
            shaped = self._shape(fault, request, whole)
            if shaped is None:
                return whole
            whole = shaped
        delay = 0.0 if fault.kind == "clock_skew" else fault.seconds
        break_off = _BREAKS.get(fault.kind)
        return attrs.evolve(whole, delay=delay, break_off=break_off, fault=fault.kind)

    def _instead(self, fault: Fault, request: Request) -> Response:
        if fault.kind == "reset_before":
            return self._stand_in(request, Answer(status=0, payload={}))
        status = fault.status or (502 if fault.kind == "html" else 500)
        code = status if fault.code is None else fault.code
        headers = tuple((name.lower(), value) for name, value in fault.headers.items())
        payload = {"code": code, "message": fault.message}
        answer = Answer(status=status, payload=payload, headers=headers)
        if fault.applied:
            finished = self._answer(request)
            body = json.dumps(answer.payload, separators=(",", ":")).encode()
            finished = attrs.evolve(finished, status=status)
            finished = _with_body(finished, body, "application/json")
            finished = attrs.evolve(finished, headers=(*finished.headers, *headers))
        else:
            finished = self._stand_in(request, answer)
        if fault.kind == "status":
            return finished
        return _with_body(finished, _HTML.format(status=status).encode(), "text/html")

    def _shape(self, fault: Fault, request: Request, whole: Response) -> Response | None:
        """Change an answer, or return None when it has nothing that could be changed."""
        match fault.kind:
            case "truncated_json":
                half = whole.body[: len(whole.body) // 2]
                return _with_body(whole, half) if _is_json(whole) else None
            case "wrong_content_type":
                return _with_header(whole, "content-type", fault.content_type)
            case "clock_skew":
                return self._skew(fault, whole)
            case "slow" | "reset_during" | "reset_after" | "no_answer":
                return whole
            case _:
                pass
        # A refusal has no fields to play with, nor has what is no JSON.
        if whole.status >= HTTPStatus.MULTIPLE_CHOICES or not _is_json(whole):
            return None
        payload = cast("Json", json.loads(whole.body))
        changed = self._change(fault, request, payload)
        return (
            _with_body(whole, json.dumps(payload, separators=(",", ":")).encode())
            if changed
            else None
        )

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
        name = next((name for name in names if any(name in each for each in objects)), names[0])
        holders = [each for each in objects if name in each]
        for holder in holders:
            if fault.kind == "missing_field":
                del holder[name]
            else:
                holder[name] = fault.value
        return bool(holders)

    def _turn_page(self, fault: Fault, request: Request, page: Json) -> bool:
        sent = dict(reversed(parse_qsl(request.query, keep_blank_values=True))).get("bookmark")
        if fault.kind == "repeated_bookmark":
            page["bookmark"] = sent
            return True
        # Another word for the same place: the page comes with the next request.
        bookmark = f"P2&c=empty{len(self._held_back)}=="
        self._held_back[bookmark] = sent
        page.update(items=[], bookmark=bookmark)
        return True

    def _resume(self, request: Request) -> Request:
        pairs = parse_qsl(request.query, keep_blank_values=True, errors="replace")
        bookmark = dict(reversed(pairs)).get("bookmark")
        if bookmark not in self._held_back:
            return request
        place = self._held_back[bookmark]
        pairs = [(name, value) for name, value in pairs if name != "bookmark"]
        if place is not None:
            pairs.append(("bookmark", place))
        return attrs.evolve(request, query=urlencode(pairs))

    def _skew(self, fault: Fault, whole: Response) -> Response | None:
        wait = whole.header("x-ratelimit-reset")
        if wait is None:
            return None
        told = round(self._clock() + float(wait) + fault.seconds)
        return _with_header(whole, "x-ratelimit-reset", str(told))


def _operation(request: Request) -> str | None:
    route, _ = find_route(request.method, request.path)
    return OPERATIONS.get((route.method, route.template))


def _is_json(response: Response) -> bool:
    return bool(response.body) and response.header("content-type") == "application/json"


def _objects(node: object) -> Iterator[Json]:
    """Walk over all JSON objects, the outer ones first."""
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
