"""The emulator's wire format, byte for byte, against a recording of it.

`python tests/conformance/emulator/test_wire_format.py` writes the recording again; do that only
when a change of the wire format is intended, and read the difference.
"""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from pinterest_audiences.emulator import (
    Emulator,
    RateLimits,
    RatePolicy,
    Request,
    Response,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_GOLDEN = Path(__file__).with_name("golden")
_RESPONSES = _GOLDEN / "responses.json"
_BODIES = _GOLDEN / "request_bodies.json"
_OPENAPI = _GOLDEN / "openapi.json"

_ACCOUNT = "/v5/ad_accounts/549"
_LISTS = f"{_ACCOUNT}/customer_lists"
_AUDIENCES = f"{_ACCOUNT}/audiences"
_SEGMENTS = f"{_ACCOUNT}/customer_segments"
_FORM = "application/x-www-form-urlencoded"
_BASIC = "Basic " + b64encode(b"1234:secret").decode()
_REDIRECT = "http://localhost/done"

Recorded = list[object]
_Operation = tuple[str, str, str, dict[str, object], tuple[str, ...]]


class _Recorder:
    """Send requests to an emulator and record the answers under a name each."""

    def __init__(self, **settings: Any) -> None:
        defaults: dict[str, Any] = {
            "clock": lambda: 1_700_000_000.0,
            "seed": 7,
            "match_rate": 1.0,
            "rate_limits": None,
            "processing_seconds": 60,
        }
        self.emulator = Emulator(**{**defaults, **settings})

    def send(
        self,
        method: str,
        target: str,
        body: object = b"",
        *,
        authorization: str | None = "Bearer pina_test",
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        path, _, query = target.partition("?")
        given = {} if authorization is None else {"authorization": authorization}
        encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.emulator.handle(
            Request(
                method=method,
                path=path,
                query=query,
                headers={**given, **(headers or {})},
                body=encoded,
            )
        )

    def form(self, path: str, authorization: str | None = _BASIC, /, **fields: str) -> Response:
        return self.send("POST", path, urlencode(fields).encode(), authorization=authorization)


def _entry(response: Response) -> Recorded:
    """Return status, headers and body; the length and the request ids are checked elsewhere."""
    length = response.header("content-length")
    assert length is None or not response.body or int(length) == len(response.body)
    left_out = ("content-length", "x-pinterest-rid", "x-pinterest-rid-128bit")
    headers = {name: value for name, value in response.headers if name not in left_out}
    if headers.get("content-type") == "application/json":
        del headers["content-type"]  # the usual one
    # Compressed bytes depend on the version of zlib.
    plain = gzip.decompress if "content-encoding" in headers else bytes
    body = plain(response.body).decode("utf-8", "backslashreplace")
    more: list[object] = [headers] if headers else []
    more += [
        {"delay": response.delay, "break_off": response.disconnect, "fault": response.fault}
    ] * (response.fault is not None)
    return [response.status, body, *more]


def _lists() -> Iterator[tuple[str, Response]]:
    it = _Recorder(ad_accounts=["549", "550"])
    send = it.send
    first = send("POST", _LISTS, {"name": "A", "records": "a,b,,b,", "list_type": "MAID"})
    yield "create", first
    one = f"{_LISTS}/{json.loads(first.body)['id']}"
    yield (
        "create rows",
        send(
            "POST",
            _LISTS,
            {"name": "é", "is_nca": True, "records_v2": [{"email": "a", "maid": "b"}]},
        ),
    )
    yield "create in an unknown account", send("POST", "/v5/ad_accounts/1/customer_lists", {})
    yield "get while processing", send("GET", one)
    yield "update", send("PATCH", one, {"operation_type": "REMOVE", "records": "b"})
    it.emulator.advance(seconds=60)
    yield "get when too small", send("GET", one)
    records = ",".join(map(str, range(100)))
    yield "update to many", send("PATCH", one, {"operation_type": "ADD", "records": records})
    it.emulator.advance(seconds=60)
    yield "get when ready", send("GET", one)
    yield "get an unknown list", send("GET", f"{_LISTS}/1")
    yield "get a list of another account", send("GET", one.replace("549", "550"))
    yield "update an unknown list", send("PATCH", f"{_LISTS}/1", {})
    it.emulator.seed_lists("549", 3)
    yield "list", send("GET", _LISTS)
    page = send("GET", f"{_LISTS}?page_size=2")
    yield "list a page", page
    bookmark = urlencode({"bookmark": json.loads(page.body)["bookmark"]})
    yield "list the next page", send("GET", f"{_LISTS}?page_size=2&{bookmark}")
    yield (
        "list with a bookmark of the other order",
        send("GET", f"{_LISTS}?order=DESCENDING&{bookmark}"),
    )
    yield "list descending", send("GET", f"{_LISTS}?page_size=1&order=DESCENDING")
    yield "list without nca", send("GET", f"{_LISTS}?exclude_nca=true")
    for query in (
        "page_size=0",
        "page_size=251",
        "page_size=x",
        "order=UP",
        "exclude_nca=1",
        "bookmark=x",
        "bookmark=P2%26c%3D",
    ):
        yield f"list with {query}", send("GET", f"{_LISTS}?{query}")
    yield "list of an unknown account", send("GET", "/v5/ad_accounts/1/customer_lists")
    yield "id of letters", send("GET", f"{_LISTS}/{'x' * 50}")
    yield "id too long", send("GET", f"/v5/ad_accounts/{'1' * 19}/customer_lists")
    created = _Recorder(create_status=201)
    yield "create with 201", created.send("POST", _LISTS, {"name": "A", "records": "a"})


def _audiences() -> Iterator[tuple[str, Response]]:
    it = _Recorder()
    send = it.send
    (list_id,) = it.emulator.seed_lists("549", 1, records=map(str, range(100)))
    of_list = {
        "name": "A",
        "audience_type": "CUSTOMER_LIST",
        "rule": {"customer_list_id": list_id},
        "description": "d",
    }
    first = send("POST", _AUDIENCES, of_list)
    yield "create", first
    one = f"{_AUDIENCES}/{json.loads(first.body)['id']}"
    yield "get", send("GET", one)
    yield (
        "create of an unknown list",
        send("POST", _AUDIENCES, {**of_list, "rule": {"customer_list_id": "1"}}),
    )
    yield (
        "create a persona",
        send("POST", _AUDIENCES, {"name": "B", "audience_type": "PERSONA", "rule": {"other": [1]}}),
    )
    similar = {"seed_id": ["1"], "percentage": "10"}
    yield (
        "create an actalike",
        send("POST", _AUDIENCES, {"name": "C", "audience_type": "ACTALIKE", "rule": similar}),
    )
    it.emulator.advance(minutes=3)
    yield "get when ready", send("GET", one)
    yield "update", send("PATCH", one, {"name": "D", "description": "e"})
    yield "list", send("GET", _AUDIENCES)
    page = send("GET", f"{_AUDIENCES}?page_size=1")
    yield "list a page", page
    bookmark = urlencode({"bookmark": json.loads(page.body)["bookmark"]})
    yield "list the next page", send("GET", f"{_AUDIENCES}?page_size=1&{bookmark}")
    it.emulator.seed_audiences("550", 1, audience_type="PERSONA", size=5, shared_with="549")
    received = send("GET", f"{_AUDIENCES}?ownership_type=RECEIVED")
    yield "list received", received
    theirs = f"{_AUDIENCES}/{json.loads(received.body)['items'][0]['id']}"
    yield "get a received one", send("GET", theirs)
    yield "update a received one", send("PATCH", theirs, {"name": "X"})
    yield "list with another ownership", send("GET", f"{_AUDIENCES}?ownership_type=MINE")
    yield "list with page_size=0", send("GET", f"{_AUDIENCES}?page_size=0")
    yield "list with exclude_nca=x", send("GET", f"{_AUDIENCES}?exclude_nca=x")
    yield "list with a bad bookmark", send("GET", f"{_AUDIENCES}?bookmark=x")
    yield "get an unknown one", send("GET", f"{_AUDIENCES}/1")
    yield "remove", send("PATCH", one, {"operation_type": "REMOVE"})
    yield "get a removed one", send("GET", one)


def _segments() -> Iterator[tuple[str, Response]]:
    it = _Recorder()
    send = it.send
    ids = it.emulator.seed_audiences("549", 2, audience_type="PERSONA")
    first = send("POST", _SEGMENTS, {"name": "A", "audience_ids": list(ids)})
    yield "create", first
    one = json.loads(first.body)["id"]
    yield (
        "create of an unknown audience",
        send("POST", _SEGMENTS, {"name": "A", "audience_ids": ["1"]}),
    )
    send("POST", _SEGMENTS, {"name": "B", "audience_ids": [ids[0]]})
    yield (
        "update",
        send("PATCH", _SEGMENTS, {"id": one, "operation_type": "UPDATE", "audience_ids": [ids[1]]}),
    )
    page = send("GET", f"{_SEGMENTS}?page_size=1&order=DESCENDING")
    yield "list a page", page
    bookmark = urlencode({"bookmark": json.loads(page.body)["bookmark"]})
    yield "list the next page", send("GET", f"{_SEGMENTS}?order=DESCENDING&{bookmark}")
    yield "list with a bad order", send("GET", f"{_SEGMENTS}?order=x")
    yield "list with a bad bookmark", send("GET", f"{_SEGMENTS}?bookmark=x")
    yield "update an unknown one", send("PATCH", _SEGMENTS, {"id": "1", "operation_type": "UPDATE"})
    yield "remove", send("PATCH", _SEGMENTS, {"id": one, "operation_type": "REMOVE"})
    yield "list the rest", send("GET", _SEGMENTS)


def _uploads() -> Iterator[tuple[str, Response]]:
    it = _Recorder()
    send = it.send
    (list_id,) = it.emulator.seed_lists("549", 1)
    uploads = f"{_LISTS}/{list_id}/uploads"
    first = send(
        "POST", uploads, {"operation": "ADD", "total_parts": 1}, headers={"host": "127.0.0.1:1"}
    )
    yield "create", first
    created = json.loads(first.body)
    one = f"{uploads}/{created['customer_list_upload']['id']}"
    url = created["s3_multipart_upload_data"]["file_parts"][0]["presigned_url"]
    put = urlsplit(url)
    target = f"{put.path}?{put.query}"
    yield "get", send("GET", one)
    yield "run without parts", send("POST", f"{one}/run")
    yield "put with a token", send("PUT", target, b"x")
    yield "put without a signature", send("PUT", put.path, b"x", authorization=None)
    yield "put with a wrong signature", send("PUT", f"{target}0", b"x", authorization=None)
    yield "put nothing", send("PUT", target, b"", authorization=None)
    yield "run with an empty part", send("POST", f"{one}/run")
    yield "put", send("PUT", target, b"a@x.com\nb@x.com,bad", authorization=None)
    yield "run", send("POST", f"{one}/run")
    yield "list while uploading", send("GET", f"{_LISTS}/{list_id}")
    yield "run again", send("POST", f"{one}/run")
    yield "put after the run", send("PUT", target, b"x", authorization=None)
    it.emulator.advance(seconds=60)
    yield "get when succeeded", send("GET", one)
    yield "list when processed", send("GET", f"{_LISTS}/{list_id}")
    it.emulator.advance(hours=2)
    yield "put too late", send("PUT", target, b"x", authorization=None)
    yield "get an unknown one", send("GET", f"{uploads}/1")
    yield "create for an unknown list", send("POST", f"{_LISTS}/1/uploads", {})
    two = json.loads(send("POST", uploads, {"operation": "REMOVE", "total_parts": 2}).body)
    parts = two["s3_multipart_upload_data"]["file_parts"]
    for part in parts:
        split = urlsplit(part["presigned_url"])
        send("PUT", f"{split.path}?{split.query}", b"x", authorization=None)
    yield (
        "run with a small part",
        send("POST", f"{uploads}/{two['customer_list_upload']['id']}/run"),
    )
    for access in ("restricted", "forbidden"):
        yield f"create when {access}", _Recorder(uploads=access).send("POST", uploads, {})


def _tokens() -> Iterator[tuple[str, Response]]:
    it = _Recorder(apps={"1234": "secret"})
    send, form = it.send, it.form
    login = {"client_id": "1234", "redirect_uri": _REDIRECT, "response_type": "code"}
    page = {**login, "scope": "ads:read,ads:write", "state": "s"}
    location = send("GET", f"/oauth/?{urlencode(page)}", authorization=None)
    yield "authorize", location
    for name in ("client_id", "redirect_uri", "response_type", "scope"):
        less = {key: value for key, value in page.items() if key != name}
        answer = send("GET", f"/oauth/?{urlencode(less)}", authorization=None)
        yield f"authorize without {name}", answer
    unknown = urlencode({**page, "scope": "x"})
    yield "authorize an unknown scope", send("GET", f"/oauth/?{unknown}", authorization=None)
    code = it.emulator.authorize(redirect_uri=_REDIRECT, scopes=["ads:read"])
    asked = {"grant_type": "authorization_code", "code": code, "redirect_uri": _REDIRECT}
    token = "/v5/oauth/token"
    for name in ("grant_type", "code", "redirect_uri"):
        less = {key: value for key, value in asked.items() if key != name}
        yield f"exchange without {name}", form(token, **less)
    yield "exchange with a bad flag", form(token, **asked, continuous_refresh="x")
    first = form(token, **asked)
    yield "exchange", first
    yield "exchange again", form(token, **asked)
    issued = json.loads(first.body)
    refresh = {"grant_type": "refresh_token", "refresh_token": issued["refresh_token"]}
    yield "refresh more scopes", form(token, **refresh, scope="ads:write")
    yield "refresh an unknown scope", form(token, **refresh, scope="x")
    yield "refresh", form(token, **refresh)
    yield "refresh again", form(token, **refresh)
    yield "refresh without a token", form(token, grant_type="refresh_token")
    client = form(token, grant_type="client_credentials", scope="ads:read ads:write")
    yield "client credentials", client
    yield "client credentials without scopes", form(token, grant_type="client_credentials")
    yield "another grant", form(token, grant_type="password")
    yield "a wrong secret", form(token, _BASIC[:-2], grant_type="password")
    yield "no secret", form(token, None, grant_type="password")
    bearer = f"Bearer {issued['access_token']}"
    yield (
        "scope that is not granted",
        send("POST", _LISTS, {"name": "A", "records": "a"}, authorization=bearer),
    )
    app = f"Bearer {json.loads(client.body)['access_token']}"
    yield "operation that is not for apps", send("GET", _LISTS, authorization=app)
    yield "operation that is for apps", send("GET", _AUDIENCES, authorization=app)
    revoke = "/v5/oauth/token/revoke"
    yield "revoke a user's", form(revoke, token=issued["access_token"])
    yield "revoke an unknown one", form(revoke, token="x")
    yield "revoke nothing", form(revoke)
    yield "revoke with a bad hint", form(revoke, token="x", token_type_hint="x")
    it.emulator.advance(hours=24 * 40)
    yield "expired", send("GET", _LISTS, authorization=bearer)


def _accounts() -> Iterator[tuple[str, Response]]:
    it = _Recorder(ad_accounts=["549", "550", "7"])
    yield "user", it.send("GET", "/v5/user_account")
    yield "user of an account", it.send("GET", "/v5/user_account?ad_account_id=549")
    yield "user of an unknown account", it.send("GET", "/v5/user_account?ad_account_id=1")
    yield "user of a bad account", it.send("GET", "/v5/user_account?ad_account_id=x")
    yield "list", it.send("GET", "/v5/ad_accounts")
    page = it.send("GET", "/v5/ad_accounts?page_size=2")
    yield "list a page", page
    bookmark = urlencode({"bookmark": json.loads(page.body)["bookmark"]})
    yield "list the next page", it.send("GET", f"/v5/ad_accounts?{bookmark}")
    yield "list with a bad flag", it.send("GET", "/v5/ad_accounts?include_shared_accounts=x")
    yield "list with a bad bookmark", it.send("GET", "/v5/ad_accounts?bookmark=x")
    yield "get", it.send("GET", _ACCOUNT)
    yield "get an unknown one", it.send("GET", "/v5/ad_accounts/1")
    yield "get a bad one", it.send("GET", "/v5/ad_accounts/x")


def _access() -> Iterator[tuple[str, Response]]:
    it = _Recorder(access_tokens=["good"])
    for name, authorization in (
        ("no token", None),
        ("a wrong token", "Bearer bad"),
        ("basic", "Basic eA=="),
        ("no scheme", "good"),
    ):
        yield name, it.send("GET", _LISTS, authorization=authorization)
    yield "scheme in capitals", it.send("GET", _LISTS, authorization="BEARER good")
    yield "unknown path", it.send("GET", "/v5/other", authorization=None)
    for path in (_LISTS, f"{_LISTS}/1", "/v5/oauth/token", "/oauth/", f"{_LISTS}/1/uploads"):
        yield f"DELETE {path}", it.send("DELETE", path)
    yield "HEAD", it.send("HEAD", _LISTS)
    yield "body too large", it.send("POST", _LISTS, b" " * 50_000_001)
    yield "request ids", _with_request_ids(it.send("GET", "/"))


def _with_request_ids(response: Response) -> Response:
    """Return a response with its request ids under names that are recorded."""
    renamed = tuple((name.replace("x-pinterest-rid", "rid"), v) for name, v in response.headers)
    return Response(status=response.status, headers=renamed, body=response.body)


def _rates() -> Iterator[tuple[str, Response]]:
    it = _Recorder(rate_limits="by access")
    for name, method, path in (
        ("ads_read", "GET", _LISTS),
        ("ads_write", "POST", _LISTS),
        ("org_read", "GET", "/v5/user_account"),
        ("no category", "GET", "/v5/other"),
    ):
        yield name, it.send(method, path)
    yield "org_write", it.form("/v5/oauth/token/revoke", token="x")
    few = _Recorder(rate_limits=RateLimits(ads_read=RatePolicy(1, 60)))
    few.send("GET", _LISTS)
    yield "used up", few.send("GET", _LISTS)
    trial = _Recorder(access="trial", rate_limits="by access")
    yield "trial", trial.send("GET", _LISTS)
    compressing = _Recorder(compress=True)
    yield "chunks", compressing.send("GET", _LISTS)
    yield "gzip", compressing.send("GET", _LISTS, headers={"accept-encoding": "gzip"})


def _faults() -> Iterator[tuple[str, Response]]:
    it = _Recorder(rate_limits="by access")
    it.emulator.seed_lists("549", 2)
    page = f"{_LISTS}?page_size=1"
    bookmark = urlencode({"bookmark": json.loads(it.send("GET", page).body)["bookmark"]})
    kinds: tuple[Any, ...] = (
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
    )
    for kind in kinds:
        it.emulator.fault(kind, seconds=5)
        yield kind, it.send("GET", f"{page}&{bookmark}")
    it.emulator.fault("status", status=503, headers={"Retry-After": "1"})
    yield "status", it.send("GET", _LISTS)
    it.emulator.fault("status", status=418, code=9, message="m", applied=True)
    yield "status, applied", it.send("POST", _LISTS, {"name": "A", "records": "a"})
    it.emulator.fault("html", applied=True)
    yield "html, applied", it.send("POST", _LISTS, {"name": "A", "records": "a"})


_SCENARIOS = {
    "customer lists": _lists,
    "audiences": _audiences,
    "customer segments": _segments,
    "uploads": _uploads,
    "tokens": _tokens,
    "accounts": _accounts,
    "access": _access,
    "rate limits": _rates,
    "faults": _faults,
}

_MISSING = object()
_VALUES: tuple[object, ...] = (
    _MISSING,
    None,
    True,
    0,
    1,
    10,
    11,
    8.0,
    8.5,
    1e308,
    541,
    "",
    "x",
    ",",
    "a,b",
    "1",
    "11",
    "1\n",
    "\u0663",
    "9" * 19,
    "ADD",
    "REMOVE",
    "UPDATE",
    "EMAIL",
    "VISITOR",
    "CUSTOMER_LIST",
    "ACTALIKE",
    [],
    ["1"],
    ["x"],
    [1],
    [""],
    ["FAME"],
    ["AWARENESS"],
    [{}],
    [{"email": ""}],
    [{"email": "a"}, {"email": 1}],
    [{"email": "a", "other": "b"}],
    [{"maid": "b", "email": "a"}, 5],
    {},
    {"customer_list_id": "1"},
    {"seed_id": []},
    {"seed_id": ["1"], "percentage": 11},
)
_RULE_FIELDS = (
    *("ad_account_id", "ad_id", "campaign_id", "country", "customer_list_id", "engagement_domain"),
    *("engagement_type", "engager_type", "event", "event_data", "event_source"),
    *("ingestion_source", "objective_type", "percentage", "pin_id", "prefill", "retention_days"),
    *("seed_id", "url", "visitor_source_id", "other"),
)
_RAW_BODIES = (
    *(b"", b" ", b"{", b"[]", b"null", b'"x"', b"1", b"\xff", b'{"name": NaN}', b"{}"),
    *(b"[" * 100_000, b'{"a": ' + b"9" * 5_000 + b"}", b'{"name": "\\ud800", "records": "a"}'),
)


def _body_cases() -> Iterator[tuple[str, Iterator[Response]]]:
    """Yield for each operation with a JSON body its answers to thousands of bodies."""
    it = _Recorder()
    (list_id,) = it.emulator.seed_lists("549", 1)
    (audience_id,) = it.emulator.seed_audiences("549", 1, audience_type="PERSONA")
    (visitors,) = it.emulator.seed_audiences("549", 1, audience_type="ACTALIKE")
    segment: dict[str, object] = {"name": "A", "audience_ids": [audience_id]}
    segment_id = json.loads(it.send("POST", _SEGMENTS, segment).body)["id"]
    persona: dict[str, object] = {"name": "A", "audience_type": "PERSONA", "rule": {}}
    audience: dict[str, object] = {**persona, "description": "d", "ad_account_id": "1"}
    change: dict[str, object] = {
        "operation_type": "UPDATE",
        "name": "B",
        "rule": {},
        "description": "d",
    }
    operations: tuple[_Operation, ...] = (
        (
            *("customer_lists_create", "POST", _LISTS),
            {"name": "A", "list_type": "EMAIL", "is_nca": False, "records": "a"},
            ("records_v2",),
        ),
        (
            *("customer_lists_update", "PATCH", f"{_LISTS}/{list_id}"),
            {"operation_type": "ADD", "records": "a"},
            ("records_v2",),
        ),
        (
            *("customer_lists_update rows", "PATCH", f"{_LISTS}/{list_id}"),
            {"operation_type": "REMOVE", "records_v2": [{"email": "a"}]},
            (),
        ),
        (
            *("customer_list_uploads_create", "POST", f"{_LISTS}/{list_id}/uploads"),
            {"operation": "ADD", "total_parts": 1},
            (),
        ),
        ("audiences_create", "POST", _AUDIENCES, audience, ()),
        ("audiences_update", "PATCH", f"{_AUDIENCES}/{audience_id}", change, ("ad_account_id",)),
        (
            *("audiences_update actalike", "PATCH", f"{_AUDIENCES}/{visitors}"),
            {"rule": {"seed_id": ["1"]}},
            (),
        ),
        ("customer_segments_create", "POST", _SEGMENTS, segment, ()),
        (
            *("customer_segments_update", "PATCH", _SEGMENTS),
            {"id": segment_id, "operation_type": "UPDATE", "audience_ids": [audience_id]},
            (),
        ),
    )
    for name, method, path, good, more in operations:
        yield name, _answers(it, method, path, good, (*good, *more))
    rules = (
        {**persona, "audience_type": kind, "rule": rule}
        for kind in ("PERSONA", "CUSTOMER_LIST", "ACTALIKE", "ENGAGEMENT", "VISITOR")
        for field in _RULE_FIELDS
        for value in _VALUES
        for rule in ({} if value is _MISSING else {field: value},)
    )
    yield "audiences_create rules", (it.send("POST", _AUDIENCES, body) for body in rules)


def _answers(
    it: _Recorder, method: str, path: str, good: dict[str, object], fields: tuple[str, ...]
) -> Iterator[Response]:
    for raw in _RAW_BODIES:
        yield it.send(method, path, raw)
    for field in fields:
        for value in _VALUES:
            yield it.send(method, path, _changed(good, {field: value}))
    # What is refused first when two fields are wrong.
    for pair in combinations(fields, 2):
        for wrong in (_MISSING, None, 5, "", "x", [], {}):
            for other in (_MISSING, None, 5, "", "x", [], {}):
                yield it.send(method, path, _changed(good, {pair[0]: wrong, pair[1]: other}))


def _changed(good: dict[str, object], change: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in {**good, **change}.items() if value is not _MISSING}


def record_responses() -> dict[str, dict[str, Recorded]]:
    return {
        scenario: {name: _entry(response) for name, response in steps()}
        for scenario, steps in _SCENARIOS.items()
    }


def record_bodies() -> dict[str, dict[str, object]]:
    """Return for each operation a digest of all answers, and how often each refusal came."""
    recorded: dict[str, dict[str, object]] = {}
    for name, answers in _body_cases():
        digest = sha256()
        counts: dict[str, int] = {}
        for answer in answers:
            digest.update(b"%d %b\n" % (answer.status, answer.body))
            key = "200" if answer.status == 200 else f"{answer.status} {answer.body.decode()}"
            counts[key] = counts.get(key, 0) + 1
        recorded[name] = {"sha256": digest.hexdigest(), "answers": counts}
    return recorded


def record_openapi() -> bytes:
    from pinterest_audiences.emulator._admin import handle_admin_request

    headers = {"host": "127.0.0.1"}
    request = Request(method="GET", path="/v5/openapi.json", headers=headers)
    answer = handle_admin_request(Emulator(), request)
    assert answer is not None
    return answer.body


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_responses_are_byte_identical_to_the_recording() -> None:
    """Every operation: success and each kind of refusal, access, rate limits and faults."""
    recorded, golden = record_responses(), _read(_RESPONSES)
    assert recorded.keys() == golden.keys()
    for scenario, steps in recorded.items():
        assert steps == golden[scenario]


def test_request_bodies_are_accepted_and_refused_as_recorded() -> None:
    """Thousands of bodies of each operation: the same status and the same bytes."""
    recorded, golden = record_bodies(), _read(_BODIES)
    assert recorded.keys() == golden.keys()
    for operation, answers in recorded.items():
        assert answers == golden[operation], operation


def test_openapi_description_is_byte_identical_to_the_recording() -> None:
    """Keys in the same order, too."""
    assert record_openapi() == json.dumps(_read(_OPENAPI), separators=(",", ":")).encode()


def _dump(value: object, levels: int, indent: str = "") -> str:
    """Return JSON with a line for each item, down to some level."""
    if not (levels and isinstance(value, dict)):
        return json.dumps(value, ensure_ascii=False)
    inner = f"{indent} "
    items = (f"{inner}{json.dumps(k)}: {_dump(v, levels - 1, inner)}" for k, v in value.items())
    return "{\n" + ",\n".join(items) + f"\n{indent}}}"


if __name__ == "__main__":
    for path, recorded, levels in (
        (_RESPONSES, record_responses(), 2),
        (_BODIES, record_bodies(), 3),
        (_OPENAPI, json.loads(record_openapi()), 3),
    ):
        path.write_text(_dump(recorded, levels) + "\n", encoding="utf-8")
