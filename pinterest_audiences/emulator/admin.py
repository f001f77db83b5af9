"""The doors for operators of the loopback server: `/_emulator/…`, the description and the page.

| request | does | answers |
|---|---|---|
| `GET /` | | a page that shows what there is, live |
| `GET /v5/openapi.json` | | what the emulator serves, as OpenAPI 3.1 |
| `GET /_emulator/health` | | `{"status": "ok", "now": …, "requests": …}` |
| `GET /_emulator/overview?limit=50` | | the newest lists, audiences, uploads; the budgets |
| `GET /_emulator/journal?limit=100` | | the last requests, oldest first |
| `GET /_emulator/members?customer_list_id=…` | | who is in a list |
| `GET /_emulator/clock` | | the time |
| `POST /_emulator/clock` | moves it ahead: `{"hours": 3}`, `minutes`, `seconds` | the time |
| `GET /_emulator/faults` | | the faults that wait |
| `POST /_emulator/faults` | adds a fault, or a list of them | the faults that wait |
| `DELETE /_emulator/faults` | forgets all faults | |
| `POST /_emulator/seed` | makes lists: `ad_account_id`, `count`, `name`, `records` | their `ids` |
| `POST /_emulator/reset` | forgets everything | `{}` |

They ask for no token, draw on no budget and are in no journal. A web page from elsewhere that a
browser of this machine has open is refused: nobody but the operator may see members.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qsl

import attrs

from pinterest_audiences.emulator.description import describe
from pinterest_audiences.emulator.faults import read_faults
from pinterest_audiences.emulator.messages import ApiError, Headers, Request, Response, invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pinterest_audiences.emulator.engine import Emulator

    Door = Callable[[Emulator, Request], Mapping[str, object] | bytes]

_PREFIX = "/_emulator/"
_LOCAL = frozenset({"127.0.0.1", "localhost", "[::1]"})
_MOST_SHOWN = 10_000
_MOST_SEEDED = 1_000_000
_HEADERS: Headers = (("cache-control", "no-store"), ("x-content-type-options", "nosniff"))
# The page brings all it needs along, and asks this server alone.
_PAGE_HEADERS: Headers = (
    (
        "content-security-policy",
        (
            "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
            "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
    ),
)


def operate(emulator: Emulator, request: Request) -> Response | None:
    """Answer a request to one of these doors.

    Args:
        emulator: What is operated.
        request: The request.

    Returns:
        The answer, or None when the request is none of theirs.
    """
    if request.path not in _FILES and not request.path.startswith(_PREFIX):
        return None
    try:
        _check_origin(request)
        doors = _doors(request.path)
        told = doors.get(request.method, partial(_not_allowed, doors))(emulator, request)
    except ApiError as error:
        answer = error.answer
        return _respond(request, answer.status, _json(answer.payload), answer.headers)
    if isinstance(told, bytes):
        return _respond(request, 200, told, _PAGE_HEADERS, "text/html; charset=utf-8")
    return _respond(request, 200, _json(told))


def _doors(path: str) -> Mapping[str, Door]:
    found = _FILES.get(path) or _DOORS.get(path.removeprefix(_PREFIX))
    if found is None:
        raise ApiError(404, 404, "Not found.")
    return found


def _not_allowed(doors: Mapping[str, Door], _: Emulator, __: Request) -> bytes:
    allowed = (("allow", ", ".join(sorted(doors))),)
    raise ApiError(405, 5, "Method not allowed", allowed)


def _check_origin(request: Request) -> None:
    # A name that leads to 127.0.0.1 is how a web page would get around the browser's walls.
    host = request.headers.get("host", "")
    origin = request.headers.get("origin")
    local = host in _LOCAL or host.rpartition(":")[0] in _LOCAL
    if not local or origin not in (None, f"http://{host}"):
        raise ApiError(403, 403, "These doors are open to this machine only.")


def _page(_: Emulator, __: Request) -> bytes:
    return Path(__file__).with_name("status.html").read_bytes()


def _description(_: Emulator, __: Request) -> Mapping[str, object]:
    return describe()


def _health(emulator: Emulator, _: Request) -> Mapping[str, object]:
    counted = emulator.counts()
    return {"status": "ok", "now": emulator.now(), "faults": len(emulator.faults), **counted}


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
    plain = sorted(each for each in members if isinstance(each, str))
    rows = sorted(each for each in members if not isinstance(each, str))
    return {"members": [*plain, *map(dict, rows)]}


def _clock(emulator: Emulator, _: Request) -> Mapping[str, object]:
    return {"now": emulator.now()}


def _move_clock(emulator: Emulator, request: Request) -> Mapping[str, object]:
    fields = _fields(request, {"hours", "minutes", "seconds"})
    if not all(isinstance(each, int | float) for each in fields.values()):
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
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= _MOST_SEEDED:
        raise invalid(f"'count' must be a whole number up to {_MOST_SEEDED:,}.")
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
    if not (text.isascii() and text.isdigit() and len(text) < len(str(_MOST_SHOWN))):
        raise invalid(f"'limit' must be a whole number below {_MOST_SHOWN:,}.")
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


_FILES: Mapping[str, Mapping[str, Door]] = {
    "/": {"GET": _page},
    "/v5/openapi.json": {"GET": _description},
    "/favicon.ico": {},  # a browser asks for it by itself, which is no request of the API
}
_DOORS: Mapping[str, Mapping[str, Door]] = {
    "health": {"GET": _health},
    "overview": {"GET": _overview},
    "journal": {"GET": _journal},
    "members": {"GET": _members},
    "clock": {"GET": _clock, "POST": _move_clock},
    "faults": {"GET": _faults, "POST": _add_faults, "DELETE": _clear_faults},
    "seed": {"POST": _seed},
    "reset": {"POST": _reset},
}
