"""`request`: what has no method, by the same token, rate limits, retries and redaction."""

from __future__ import annotations

import json
import traceback
from collections.abc import Awaitable
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st
from support.cases import each_case
from support.clock import FakeClock
from support.wire import Reply, ScriptedTransport, Step, refusal

import pinterest_audiences
from pinterest_audiences import (
    APIError,
    AsyncClient,
    AuthenticationError,
    BadRequestError,
    Client,
    ClientClosedError,
    ConfigurationError,
    DecodeError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RawResponse,
    RequestEvent,
    ServerError,
    Token,
)
from pinterest_audiences._http import requests

pytestmark = pytest.mark.anyio

T = TypeVar("T")
AnyClient = AsyncClient | Client
KINDS: list[type[AnyClient]] = [AsyncClient, Client]
clients = pytest.mark.parametrize("kind", KINDS, ids=["async", "sync"])
CAMPAIGNS = "/ad_accounts/549755885175/campaigns"


async def done(result: T | Awaitable[T]) -> T:
    """Return the result of a call of either client."""
    return await result if isinstance(result, Awaitable) else result


async def close(client: AnyClient) -> None:
    await done(client.aclose() if isinstance(client, AsyncClient) else client.close())  # type: ignore[func-returns-value]


class Sorting(str, Enum):  # noqa: UP042 - not the same as StrEnum
    """A member is a string; `str()` of it is not its value."""

    NEWEST = "newest"


@frozen
class Scene:
    """A client on scripted responses and a fake clock."""

    client: AnyClient
    transport: ScriptedTransport
    clock: FakeClock

    async def request(self, *args: Any, **kwargs: Any) -> RawResponse:
        return await done(self.client.request(*args, **kwargs))


def scene(kind: type[AnyClient], *script: Step, **options: Any) -> Scene:
    transport, clock = ScriptedTransport(*script), FakeClock()
    options = {"access_token": "s3cretToken", **options}
    return Scene(kind(transport=transport, clock=clock, **options), transport, clock)


@clients
async def test_get_sends_path_query_and_token_and_returns_json_with_headers(
    kind: type[AnyClient],
) -> None:
    reply = Reply(200, {"items": [1]}, {"x-pinterest-rid": "4711"})
    stage = scene(kind, reply)
    response = await stage.request(
        "GET",
        CAMPAIGNS,
        params={
            "ids": ["1", 2],
            "all": True,
            "size": 25,
            "q": "a&b=ü /",
            "none": [],
            "order": Sorting.NEWEST,
            "wide": "a\u00a0b",
        },
    )
    assert (response.status, response.data, response.request_id) == (200, {"items": [1]}, "4711")
    assert (response.attempts, response.headers["X-Pinterest-RID"]) == (1, "4711")
    (sent,) = stage.transport.sent
    assert sent.method == "GET"
    assert sent.url == (
        f"https://api.pinterest.com/v5{CAMPAIGNS}"
        "?ids=1&ids=2&all=true&size=25&q=a%26b%3D%C3%BC%20%2F&order=newest&wide=a%C2%A0b"
    )
    assert sent.headers["authorization"] == "Bearer s3cretToken"
    assert sent.headers["host"] == "api.pinterest.com"
    assert "content-type" not in sent.headers
    assert sent.body == b""
    await close(stage.client)


@clients
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_change_sends_its_body_as_json(kind: type[AnyClient], method: str) -> None:
    stage = scene(kind, Reply(201, [{"id": "1"}]))
    response = await stage.request(method, CAMPAIGNS, json=[{"name": "é", "budget": None}])
    assert (response.status, response.data) == (201, [{"id": "1"}])
    (sent,) = stage.transport.sent
    assert (sent.method, sent.headers["content-type"]) == (method, "application/json")
    assert json.loads(sent.body) == [{"name": "é", "budget": None}]
    await close(stage.client)


@clients
async def test_empty_response_has_no_data(kind: type[AnyClient]) -> None:
    """As of a deletion."""
    stage = scene(kind, Reply(204, body=b""))
    response = await stage.request("DELETE", "/pins/1")
    assert (response.status, response.data) == (204, None)
    await close(stage.client)


@clients
async def test_success_is_decided_by_the_status_alone(kind: type[AnyClient]) -> None:
    """A response of an unknown endpoint may look like an error object."""
    stage = scene(kind, Reply(200, {"code": 0, "message": "queued"}))
    assert (await stage.request("POST", "/reports")).data == {"code": 0, "message": "queued"}
    await close(stage.client)


@clients
async def test_success_that_is_not_json_is_a_decode_error(kind: type[AnyClient]) -> None:
    stage = scene(kind, Reply(200, body=b"<html>"))
    with pytest.raises(DecodeError, match="request: cannot be read: the body is not JSON"):
        await stage.request("GET", "/pins/1")
    await close(stage.client)


ERRORS: list[tuple[int, type[APIError], str]] = [
    (400, BadRequestError, ""),
    (403, PermissionDeniedError, "the user of the token or the app does not have permission"),
    (404, NotFoundError, "check the path and its ids"),
    (500, ServerError, ""),
]


@clients
@pytest.mark.parametrize(("status", "error", "hint"), ERRORS)
async def test_error_has_method_path_and_request_id(
    kind: type[AnyClient], status: int, error: type[APIError], hint: str
) -> None:
    stage = scene(kind, refusal(status, 1, "No.", x_pinterest_rid="4711"), max_retries=0)
    with pytest.raises(error) as caught:
        await stage.request("GET", CAMPAIGNS)
    assert (caught.value.operation, caught.value.method) == ("request", "GET")
    assert (caught.value.path, caught.value.request_id) == (CAMPAIGNS, "4711")
    assert caught.value.hint == hint
    await close(stage.client)


@clients
async def test_missing_scope_is_an_error_without_a_scope_that_is_unknown(
    kind: type[AnyClient],
) -> None:
    stage = scene(kind, refusal(401, 3, "No scope."))
    with pytest.raises(AuthenticationError, match="the token needs another scope"):
        await stage.request("GET", "/boards")
    await close(stage.client)


# Retries.


@clients
@pytest.mark.parametrize(
    ("method", "options", "repeated"),
    [
        ("GET", {}, True),
        ("PUT", {}, True),
        ("DELETE", {}, True),
        ("POST", {}, False),
        ("PATCH", {}, False),
        ("POST", {"idempotent": True}, True),
        ("PATCH", {"idempotent": True}, True),
        ("PUT", {"idempotent": False}, False),
    ],
)
async def test_idempotent_request_is_repeated_after_a_server_error(
    kind: type[AnyClient], method: str, options: dict[str, bool], repeated: bool
) -> None:
    """Others may have been applied, and the error says so."""
    stage = scene(kind, Reply(503), Reply(data={}))
    if repeated:
        assert (await stage.request(method, "/pins", **options)).attempts == 2
    else:
        with pytest.raises(ServerError) as caught:
            await stage.request(method, "/pins", **options)
        assert caught.value.maybe_applied
    assert stage.transport.left == (0 if repeated else 1)
    await close(stage.client)


@clients
async def test_refused_request_is_repeated_whatever_its_method(kind: type[AnyClient]) -> None:
    """A 429 was not applied."""
    stage = scene(kind, refusal(429, 8, x_ratelimit_reset="7"), Reply(data={}))
    assert (await stage.request("POST", "/pins")).attempts == 2
    assert 7 <= stage.clock.elapsed <= 9
    await close(stage.client)


@clients
async def test_request_uses_the_rate_limit_of_its_category(kind: type[AnyClient]) -> None:
    """GET that of `ads_read`, others `ads_write`, unless a category is given."""
    stage = scene(kind, refusal(429, 8, x_ratelimit_reset="500"), *[Reply(data={})] * 3)
    with pytest.raises(RateLimitError) as caught:
        await stage.request("GET", "/pins/1")
    assert caught.value.category == "ads_read"
    with pytest.raises(RateLimitError, match="not sent"):
        await done(stage.client.customer_lists_get("1", "1"))
    await stage.request("POST", "/pins")
    await stage.request("GET", "/analytics", category="ads_analytics")
    assert len(stage.transport.sent) == 3
    await close(stage.client)


class Tokens:
    """A source whose first token has expired."""

    def __init__(self) -> None:
        self.token = Token("old")

    async def get(self) -> Token:
        return self.token

    async def refresh(self, rejected: Token) -> Token:
        self.token = Token("new", rejected.generation + 1)
        return self.token


@clients
async def test_expired_token_is_refreshed(kind: type[AnyClient]) -> None:
    stage = scene(kind, refusal(401, 2), Reply(data={}), access_token=Tokens())
    await stage.request("GET", "/pins/1")
    sent = [each.headers["authorization"] for each in stage.transport.sent]
    assert sent == ["Bearer old", "Bearer new"]
    await close(stage.client)


# Secrets.


@clients
async def test_error_does_not_quote_the_token_or_the_body(kind: type[AnyClient]) -> None:
    """Also not in variables of frames, which error reporters collect."""
    echo = refusal(400, 1, "Invalid: SENTINEL@shop.example, s3cretToken")
    stage = scene(kind, echo)
    body = {"email": "SENTINEL@shop.example"}
    with pytest.raises(BadRequestError) as caught:
        await stage.request("POST", "/conversions", json=body)
    assert "SENTINEL" not in str(caught.value)
    assert "s3cretToken" not in str(caught.value)
    package = str(Path(pinterest_audiences.__file__).parent)
    assert [
        f"{frame.f_code.co_name}: {name}"
        for frame, _ in traceback.walk_tb(caught.value.__traceback__)
        if frame.f_code.co_filename.startswith(package)
        for name, value in frame.f_locals.items()
        if "SENTINEL" in repr(value)
    ] == []
    await close(stage.client)


ELSEWHERE = [
    "https://evil.example/pins",
    "http://evil.example",
    "//evil.example/pins",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    ".evil.example/pins",
    "@evil.example/pins",
    ":80@evil.example/pins",
    ":443/pins",
    "evil.example",
    "pins",
    "",
    "/",
    "?a=b",
    "#",
    "/pins?a=b",
    "/pins#a",
    "/pins//1",
    "/..",
    "/../oauth",
    "/pins/../../oauth",
    "/pins/.",
    "/%2e%2e/oauth",
    "/pins/%2E%2E%2Foauth",
    "/pins/..%5coauth",
    "/pins%",
    "/pins%0d%0aHost: evil.example",
    "/pins\r\nHost: evil.example",
    "/pins /1",
    "/pins\t",
    "/pins\n",
    "/pïns",
    "/pins\x00",
    "\u2215evil.example",
    "/\uff0fevil.example",
    b"/pins",
    None,
    5,
]
BASES = ["https://api.pinterest.com/v5", "https://api.pinterest.com", "http://127.0.0.1:8080"]


@each_case("base_url", BASES)
@each_case("path", ELSEWHERE)
def test_path_that_could_lead_to_another_host_is_refused(path: object, base_url: str) -> None:
    """Nothing is sent, and no token is requested."""

    def no_token() -> str:
        raise AssertionError("the token was requested")

    transport = ScriptedTransport()
    with Client(no_token, base_url=base_url, transport=transport) as client:
        with pytest.raises(ConfigurationError, match=r"^path must ") as caught:
            client.request("GET", path)  # type: ignore[arg-type]
        assert caught.value.param == "path"
    assert transport.sent == []


@given(
    path=st.text(alphabet=st.sampled_from("/\\.:@%2eE5cf?#&=-_~ \t\nhtps\x00é[]"), max_size=12),
    base_url=st.sampled_from(BASES),
    rooted=st.booleans(),
)
def test_accepted_path_stays_below_the_base_url(path: str, base_url: str, rooted: bool) -> None:
    """Whatever the path, the request goes to the host and below the path of the base URL."""
    try:
        call = requests.raw(
            method="GET",
            path=f"/{path}" if rooted else path,
            params=None,
            data=None,
            idempotent=None,
            category=None,
        )
    except ConfigurationError:
        return
    base, url = httpx.URL(base_url), httpx.URL(base_url + call.path)
    assert (url.scheme, url.netloc, url.userinfo) == (base.scheme, base.netloc, b"")
    assert url.raw_path.startswith(base.raw_path.rstrip(b"/") + b"/")
    assert (url.query, url.fragment) == (b"", "")
    assert ".." not in url.path.split("/")


@clients
@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirect_is_not_followed(kind: type[AnyClient], status: int) -> None:
    """The token is not sent to another host."""
    stage = scene(kind, Reply(status, {}, {"location": "https://evil.example/"}))
    with pytest.raises(APIError, match="redirects are not followed"):
        await stage.request("GET", "/pins/1")
    assert [httpx.URL(sent.url).host for sent in stage.transport.sent] == ["api.pinterest.com"]
    await close(stage.client)


# Arguments.


WRONG: list[tuple[str, dict[str, object]]] = [
    ("method", {"method": "get"}),
    ("method", {"method": "CONNECT"}),
    ("method", {"method": "GET / HTTP/1.1\r\nX: y\r\n\r\nGET"}),
    ("method", {"method": None}),
    ("json", {"json": {}}),
    ("json", {"method": "POST", "json": {1, 2}}),
    ("json", {"method": "POST", "json": float("nan")}),
    ("json", {"method": "POST", "json": object()}),
    ("params", {"params": [("a", "b")]}),
    ("params", {"params": "a=b"}),
    ("params", {"params": {"": "a"}}),
    ("params", {"params": {1: "a"}}),
    ("params", {"params": {"a": None}}),
    ("params", {"params": {"a": {"b": "c"}}}),
    ("params", {"params": {"a": [["b"]]}}),
    ("params", {"params": {"a": "b\r\n"}}),
    ("params", {"params": {"a": "\ud800"}}),
    ("params", {"params": {"\ud800": "a"}}),
    ("params", {"params": {"a\n": "a"}}),
    ("params", {"params": {"a": float("nan")}}),
    ("params", {"params": {"a": [float("inf")]}}),
    ("idempotent", {"idempotent": 1}),
    ("category", {"category": ""}),
    ("category", {"category": "Ads Read"}),
    ("category", {"category": 5}),
]


@clients
@each_case(("param", "arguments"), WRONG)
async def test_wrong_argument_is_refused_before_sending(
    param: str, arguments: dict[str, object], kind: type[AnyClient]
) -> None:
    stage = scene(kind)
    with pytest.raises(ConfigurationError, match=rf"^{param} ") as caught:
        await stage.request(**{"method": "GET", "path": "/pins", **arguments})
    assert caught.value.param == param
    assert stage.transport.sent == []
    await close(stage.client)


@clients
async def test_request_of_a_closed_client_is_refused(kind: type[AnyClient]) -> None:
    stage = scene(kind)
    await close(stage.client)
    with pytest.raises(ClientClosedError):
        await stage.request("GET", "/pins")


@clients
async def test_events_name_the_path_without_ids(kind: type[AnyClient]) -> None:
    """So that metrics do not grow with every id."""
    seen: list[str] = []

    def record(event: object) -> None:
        if isinstance(event, RequestEvent):
            seen.append(event.path_template)

    stage = scene(kind, Reply(data={}), on_event=record)
    await stage.request("GET", f"{CAMPAIGNS}/1234/v2")
    assert seen == ["/ad_accounts/{id}/campaigns/{id}/v2"]
    await close(stage.client)


def test_repr_of_a_response_omits_data_and_headers() -> None:
    response = RawResponse(200, "4711", 1, {"a": "SENTINEL"}, {"b": "SENTINEL"})
    assert repr(response) == "RawResponse(status=200, request_id='4711', attempts=1)"
