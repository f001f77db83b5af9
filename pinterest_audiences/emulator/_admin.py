"""The admin endpoints of the loopback server: `/_emulator/…`, the description and the page.

| request | effect | answer |
|---|---|---|
| `GET /` | | a live status page |
| `GET /v5/openapi.json` | | the OpenAPI 3.1 description of what is served |
| `GET /_emulator/health` | | `{"status": "ok", "now": …, "requests": …}` |
| `GET /_emulator/overview?limit=50` | | the newest lists, audiences, uploads; the rate limits |
| `GET /_emulator/journal?limit=100` | | the last requests, oldest first |
| `GET /_emulator/members?customer_list_id=…` | | the members of a list |
| `GET /_emulator/clock` | | the time |
| `POST /_emulator/clock` | moves it ahead: `{"hours": 3}`, `minutes`, `seconds` | the time |
| `GET /_emulator/faults` | | the active faults |
| `POST /_emulator/faults` | adds a fault, or a list of them | the active faults |
| `DELETE /_emulator/faults` | removes all faults | |
| `POST /_emulator/seed` | adds lists: `ad_account_id`, `count`, `name`, `records` | their `ids` |
| `POST /_emulator/reset` | discards everything | `{}` |

They count against no rate limit and are not in the journal. A server that is open to a network has
an admin token, without which only the page, the description and the health are returned; a server
on the loopback interface may have one. Requests of web pages from other origins are refused,
because they must not see members.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qsl

import attrs

from pinterest_audiences.emulator._faults import read_faults
from pinterest_audiences.emulator._http import ApiError, Headers, Request, Response, invalid
from pinterest_audiences.emulator._openapi import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pinterest_audiences.emulator._emulator import Emulator

    Endpoint = Callable[[Emulator, Request], Mapping[str, object] | bytes]

_PREFIX = "/_emulator/"
# Probes of containers have no token; the page asks for it.
_WITHOUT_TOKEN = frozenset({"/", "/v5/openapi.json", "/favicon.ico", "/_emulator/health"})
_MAX_SHOWN = 10_000
_MAX_SEEDED = 1_000_000
_HEADERS: Headers = (("cache-control", "no-store"), ("x-content-type-options", "nosniff"))
# The page contains all it needs, and requests data from this server only.
_PAGE_HEADERS: Headers = (
    (
        "content-security-policy",
        (
            "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
            "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
    ),
)


def handle_admin_request(
    emulator: Emulator, request: Request, admin_token: str | None = None
) -> Response | None:
    """Answer a request to an admin endpoint.

    Args:
        emulator: The emulator.
        request: The request.
        admin_token: The bearer token that requests must have; None for requests from this machine.

    Returns:
        The answer, or None for a request to another path.
    """
    if request.path not in _FILES and not request.path.startswith(_PREFIX):
        return None
    try:
        _check_origin(request, any_host=admin_token is not None)
        if admin_token is not None and request.path not in _WITHOUT_TOKEN:
            _check_token(request, admin_token)
        endpoints = _endpoints(request.path)
        handler = endpoints.get(request.method, partial(_not_allowed, endpoints))
        payload = handler(emulator, request)
        if request.method in ("POST", "DELETE"):
            emulator.admin_changes += 1
    except ApiError as error:
        answer = error.answer
        return _respond(request, answer.status, _json(answer.payload), answer.headers)
    if isinstance(payload, bytes):
        return _respond(request, 200, payload, _PAGE_HEADERS, "text/html; charset=utf-8")
    return _respond(request, 200, _json(payload))


def _endpoints(path: str) -> Mapping[str, Endpoint]:
    endpoints = _FILES.get(path) or _ENDPOINTS.get(path.removeprefix(_PREFIX))
    if endpoints is None:
        raise ApiError(404, 404, "Not found.")
    return endpoints


def _not_allowed(endpoints: Mapping[str, Endpoint], _: Emulator, __: Request) -> bytes:
    allowed = (("allow", ", ".join(sorted(endpoints))),)
    raise ApiError(405, 5, "Method not allowed", allowed)


def _check_origin(request: Request, *, any_host: bool) -> None:
    # A DNS name that resolves to 127.0.0.1 would let a web page bypass the same-origin policy. It
    # does not have the admin token, so that a server with one may have any name.
    host = request.headers.get("host", "")
    origin = request.headers.get("origin")
    local = any_host or _is_local(host)
    origins = (None, f"http://{host}", *(f"https://{host}",) * any_host)  # behind a proxy with TLS
    if not local or origin not in origins:
        raise ApiError(403, 403, "These endpoints accept requests from this machine only.")


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a host name or address.

    Args:
        host: What to listen on, or what a request was sent to.
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _is_local(host: str) -> bool:
    """Return whether a Host header, with or without a port, is an address of this machine."""
    name, _, port = host.rpartition(":")
    has_port = port.isdecimal() and (host.count(":") == 1 or "]:" in host)
    return is_loopback((name if has_port else host).removeprefix("[").removesuffix("]"))


def _check_token(request: Request, admin_token: str) -> None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    is_bearer = scheme.lower() == "bearer"
    # Compared in constant time, and as bytes: headers may have other characters than ASCII.
    if not hmac.compare_digest(token.strip().encode(), admin_token.encode()) or not is_bearer:
        challenge = (("www-authenticate", 'Bearer realm="emulator"'),)
        raise ApiError(401, 401, "The admin token is missing or wrong.", challenge)


def _page(_: Emulator, __: Request) -> bytes:
    return Path(__file__).with_name("status.html").read_bytes()


def _description(_: Emulator, __: Request) -> Mapping[str, object]:
    return describe()


def _health(emulator: Emulator, _: Request) -> Mapping[str, object]:
    counts = emulator.counts()
    return {"status": "ok", "now": emulator.now(), "faults": len(emulator.faults), **counts}


def _overview(emulator: Emulator, request: Request) -> Mapping[str, object]:
    return emulator.overview(_limit(request, 50))


def _journal(emulator: Emulator, request: Request) -> Mapping[str, object]:
    entries = emulator.requests[-_limit(request, 100) :]
    return {"requests": [attrs.asdict(entry) for entry in entries]}


def _members(emulator: Emulator, request: Request) -> Mapping[str, object]:
    try:
        members = emulator.members(_query(request).get("customer_list_id", ""))
    except KeyError:
        raise ApiError(404, 404, "Customer list not found.") from None
    plain = sorted(member for member in members if isinstance(member, str))
    rows = sorted(member for member in members if not isinstance(member, str))
    return {"members": [*plain, *map(dict, rows)]}


def _clock(emulator: Emulator, _: Request) -> Mapping[str, object]:
    return {"now": emulator.now()}


def _move_clock(emulator: Emulator, request: Request) -> Mapping[str, object]:
    fields = _fields(request, {"hours", "minutes", "seconds"})
    if not all(isinstance(value, int | float) for value in fields.values()):
        raise invalid("'hours', 'minutes' and 'seconds' must be numbers.")
    try:
        emulator.advance(**cast("dict[str, float]", fields))
    except (ValueError, OverflowError):
        raise invalid("The clock can only be moved ahead, by a finite time.") from None
    return _clock(emulator, request)


def _faults(emulator: Emulator, _: Request) -> Mapping[str, object]:
    return {"faults": emulator.faults.show()}


def _add_faults(emulator: Emulator, request: Request) -> Mapping[str, object]:
    try:
        emulator.faults.add(*read_faults(_decoded(request)))
    except ValueError as error:
        raise invalid(f"{error}.") from None
    return _faults(emulator, request)


def _clear_faults(emulator: Emulator, request: Request) -> Mapping[str, object]:
    emulator.faults.clear()
    return _faults(emulator, request)


def _seed(emulator: Emulator, request: Request) -> Mapping[str, object]:
    fields = _fields(request, {"ad_account_id", "count", "name", "records", "is_nca"})
    account, count = fields.get("ad_account_id"), fields.get("count", 1)
    name, is_nca = fields.get("name", "List {}"), fields.get("is_nca", False)
    records = fields.get("records", [])
    if not isinstance(account, str):
        raise invalid("'ad_account_id' is required and must be a string.")
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= _MAX_SEEDED:
        raise invalid(f"'count' must be a whole number up to {_MAX_SEEDED:,}.")
    if not isinstance(name, str) or not isinstance(is_nca, bool):
        raise invalid("'name' must be a string and 'is_nca' a boolean.")
    if not isinstance(records, list) or not set(map(type, cast("list[object]", records))) <= {str}:
        raise invalid("'records' must be an array of strings.")
    strings = cast("list[str]", records)
    try:
        ids = emulator.seed_lists(account, count, name=name, records=strings, is_nca=is_nca)
    except ValueError as error:
        raise invalid(f"{error}.") from None
    return {"ids": ids}


def _reset(emulator: Emulator, _: Request) -> Mapping[str, object]:
    emulator.reset()
    return {}


def _query(request: Request) -> dict[str, str]:
    return dict(reversed(parse_qsl(request.query, keep_blank_values=True, errors="replace")))


def _limit(request: Request, default: int) -> int:
    text = _query(request).get("limit", str(default))
    if not (text.isascii() and text.isdigit() and len(text) < len(str(_MAX_SHOWN))):
        raise invalid(f"'limit' must be a whole number below {_MAX_SHOWN:,}.")
    return max(1, int(text))


def _decoded(request: Request) -> object:
    try:
        return cast("object", json.loads(request.body))
    except (ValueError, RecursionError):
        raise invalid("The request body is not valid JSON.") from None


def _fields(request: Request, allowed: set[str]) -> dict[str, object]:
    decoded = _decoded(request)
    if not isinstance(decoded, dict) or not decoded.keys() <= allowed:
        raise invalid(f"The body must be an object of: {', '.join(sorted(allowed))}.")
    return cast("dict[str, object]", decoded)


def _json(payload: Mapping[str, object]) -> bytes:
    return json.dumps(payload, separators=(",", ":")).encode()


def _respond(
    request: Request,
    status: int,
    body: bytes,
    headers: Headers = (),
    content_type: str = "application/json",
) -> Response:
    framing = (("content-type", content_type), ("content-length", str(len(body))))
    sent = b"" if request.method == "HEAD" else body
    return Response(status=status, headers=(*framing, *_HEADERS, *headers), body=sent)


_FILES: Mapping[str, Mapping[str, Endpoint]] = {
    "/": {"GET": _page},
    "/v5/openapi.json": {"GET": _description},
    "/favicon.ico": {},  # browsers request it; it is not in the journal
}
_ENDPOINTS: Mapping[str, Mapping[str, Endpoint]] = {
    "health": {"GET": _health},
    "overview": {"GET": _overview},
    "journal": {"GET": _journal},
    "members": {"GET": _members},
    "clock": {"GET": _clock, "POST": _move_clock},
    "faults": {"GET": _faults, "POST": _add_faults, "DELETE": _clear_faults},
    "seed": {"POST": _seed},
    "reset": {"POST": _reset},
}
