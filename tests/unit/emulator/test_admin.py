"""Admin endpoints: what they return, what they change, and which requests they refuse."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
import pytest
from support.cases import each_case

from pinterest_audiences.emulator import Emulator, RateLimits, Request, Response, serve
from pinterest_audiences.emulator._admin import handle_admin_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from unit.emulator.conftest import Caller, FakeClock

SECRET = "secret.person@example.com"
ADMIN_TOKEN = "an-admin-token-of-32-characters."
ENDPOINTS = ["health", "overview", "journal", "members", "clock", "faults", "seed", "reset"]


def admin(
    emulator: Emulator,
    method: str,
    endpoint: str,
    json_body: object = None,
    *,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    admin_token: str | None = None,
) -> Response:
    path, _, query = endpoint.partition("?")
    answer = handle_admin_request(
        emulator,
        Request(
            method=method,
            path=path if path.startswith("/") else f"/_emulator/{path}",
            query=query,
            headers={"Host": "127.0.0.1:8765", **(headers or {})},
            body=body if json_body is None else json.dumps(json_body).encode(),
        ),
        admin_token,
    )
    assert answer is not None
    assert answer.header("content-length") == str(len(answer.body)) or method == "HEAD"
    return answer


def test_health_returns_time_and_counts(call: Caller, clock: FakeClock) -> None:
    """Without a token and without a journal entry."""
    call.create(records="a,b")
    call.emulator.fault("html")
    assert admin(call.emulator, "GET", "health").json() == {
        "status": "ok",
        "now": clock.now,
        "faults": 1,
        "ad_accounts": 1,
        "customer_lists": 1,
        "members": 2,
        "audiences": 0,
        "uploads": 0,
        "requests": 1,
    }
    assert len(call.emulator.requests) == 1


def test_clock_endpoint_returns_and_advances_time(call: Caller, clock: FakeClock) -> None:
    """A list becomes READY without waiting."""
    created = call.create(records=",".join(map(str, range(100))))
    assert admin(call.emulator, "GET", "clock").json() == {"now": clock.now}
    moved = admin(call.emulator, "POST", "clock", {"hours": 1, "minutes": 1, "seconds": 0.5})
    assert moved.json() == {"now": clock.now + 3660.5} == {"now": call.emulator.now()}
    assert call.emulator.customer_list(str(created["id"]))["status"] == "READY"


def test_faults_are_added_listed_and_deleted(call: Caller) -> None:
    """One or a list; an invalid one adds none of them."""
    admin(call.emulator, "POST", "faults", {"kind": "status", "status": 503})
    added = admin(call.emulator, "POST", "faults", [{"kind": "html"}, {"kind": "no_answer"}])
    assert added.json() == {
        "faults": [
            {"kind": "status", "status": 503, "struck": 0},
            {"kind": "html", "struck": 0},
            {"kind": "no_answer", "struck": 0},
        ]
    }
    refused = admin(call.emulator, "POST", "faults", [{"kind": "html"}, {"kind": "flood"}])
    assert refused.status == 400
    assert "fault 2: kind must be one of" in str(refused.json())
    assert call("GET", "549/customer_lists").status == 503
    assert len(call.emulator.faults) == 2
    assert admin(call.emulator, "DELETE", "faults").json() == {"faults": []}
    assert call("GET", "549/customer_lists").status == 200


def test_seed_creates_lists_and_members_are_returned(call: Caller) -> None:
    """Records as strings, rows as objects."""
    body = {"ad_account_id": "549", "count": 2, "name": "Seed {}", "records": ["b", "a"]}
    answer = admin(call.emulator, "POST", "seed", body)
    ids = call.fields(answer)["ids"]
    assert isinstance(ids, list)
    assert [call.emulator.customer_list(each)["name"] for each in ids] == ["Seed 1", "Seed 2"]
    row = {"email": "a", "maid": "b"}
    call("PATCH", f"549/customer_lists/{ids[0]}", {"operation_type": "ADD", "records_v2": [row]})
    answer = admin(call.emulator, "GET", f"members?customer_list_id={ids[0]}")
    assert answer.json() == {"members": ["a", "b", row]}


def test_journal_is_returned_oldest_first_with_faults(call: Caller) -> None:
    """At most `limit` entries, without personal data."""
    call.emulator.fault("no_answer", after=1)
    call.create(records=SECRET)
    call("GET", "549/customer_lists", token=SECRET)
    answer = admin(call.emulator, "GET", "journal?limit=1")
    assert answer.json() == {
        "requests": [
            {
                "method": "GET",
                "path": "/v5/ad_accounts/549/customer_lists",
                "status": 200,
                "category": "ads_read",
                "fault": "no_answer",
            }
        ]
    }
    everything = admin(call.emulator, "GET", "journal")
    assert len(call.fields(everything)["requests"]) == 2  # type: ignore[arg-type]  # a list
    assert SECRET.encode() not in everything.body


def test_overview_shows_newest_lists_and_limits_of_numbered_tokens(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """No token is shown."""
    call.emulator = new_emulator(rate_limits=RateLimits())
    ids = call.emulator.seed_lists("549", 3)
    call("GET", "549/customer_lists", token=SECRET)
    answer = call.fields(admin(call.emulator, "GET", "overview?limit=2"))
    lists, budgets = answer["customer_lists"], answer["budgets"]
    assert isinstance(lists, list)
    assert lists == [
        call.emulator.customer_list(each) | {"is_nca": False} for each in reversed(ids[1:])
    ]
    assert budgets == [
        {"token": 1, "budget": "safety_net", "used": 1, "quota": 100, "resets_in": 1},
        {"token": 1, "budget": "ads_read", "used": 1, "quota": 1000, "resets_in": 40},
    ]
    assert (answer["audiences"], answer["uploads"]) == ([], [])


def test_reset_restores_initial_state(new_emulator: Callable[..., Emulator], call: Caller) -> None:
    """The same ids, request ids, probabilities and answers follow as after its creation."""
    call.emulator = new_emulator(rate_limits=RateLimits())

    def live() -> list[object]:
        call.emulator.fault("status", probability=0.5, times=None)
        answers = [call("GET", "549/customer_lists") for _ in range(20)]
        call.emulator.faults.clear()
        call.create()
        call.emulator.advance(hours=1)
        call.emulator.fault("html")
        return [(answer.status, answer.headers, answer.body) for answer in answers]

    first = live()
    assert admin(call.emulator, "POST", "reset").json() == {}
    assert repr(call.emulator) == (
        "<Emulator: 0 ad_accounts, 0 customer_lists, 0 members, 0 audiences, 0 uploads, 0 requests>"
    )
    assert (call.emulator.requests, len(call.emulator.faults)) == ((), 0)
    assert live() == first


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        ("clock", {"days": 1}),
        ("clock", {"hours": "1"}),
        ("clock", {"hours": -1}),
        ("clock", {"hours": 1e308}),
        ("clock", []),
        ("seed", {}),
        ("seed", {"ad_account_id": 549}),
        ("seed", {"ad_account_id": "x"}),
        ("seed", {"ad_account_id": "549", "count": -1}),
        ("seed", {"ad_account_id": "549", "count": True}),
        ("seed", {"ad_account_id": "549", "count": 10**9}),
        ("seed", {"ad_account_id": "549", "name": 5}),
        ("seed", {"ad_account_id": "549", "is_nca": 1}),
        ("seed", {"ad_account_id": "549", "records": "a"}),
        ("seed", {"ad_account_id": "549", "records": [5]}),
        ("seed", {"ad_account_id": "549", "unknown": 5}),
        ("faults", "html"),
    ],
)
def test_invalid_admin_request_is_400(call: Caller, endpoint: str, body: object) -> None:
    """400 in the API's error format, and nothing has changed."""
    answer = admin(call.emulator, "POST", endpoint, body)
    assert answer.status == 400
    assert set(call.fields(answer)) == {"code", "message"}
    assert call.emulator.counts()["customer_lists"] == 0


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
@pytest.mark.parametrize("endpoint", ["clock", "seed", "faults"])
def test_body_that_is_not_json_is_refused(call: Caller, endpoint: str, body: bytes) -> None:
    """For every endpoint with a body."""
    assert admin(call.emulator, "POST", endpoint, body=body).status == 400


@pytest.mark.parametrize(
    "endpoint", ["journal?limit=x", "overview?limit=-1", "journal?limit=99999"]
)
def test_limit_must_be_a_small_number(call: Caller, endpoint: str) -> None:
    """Not more than the journal holds."""
    assert admin(call.emulator, "GET", endpoint).status == 400


def test_unknown_list_or_endpoint_is_404_and_wrong_method_405(call: Caller) -> None:
    """In the API's error format, with the allowed methods."""
    assert admin(call.emulator, "GET", "members?customer_list_id=1").status == 404
    assert admin(call.emulator, "GET", "members").status == 404
    assert admin(call.emulator, "GET", "unknown").status == 404
    for endpoint in ENDPOINTS:
        answer = admin(call.emulator, "PUT", endpoint)
        assert (answer.status, call.fields(answer)["code"]) == (405, 5)
        assert answer.header("allow")
    assert admin(call.emulator, "PUT", "faults").header("allow") == "DELETE, GET, POST"
    assert admin(call.emulator, "HEAD", "health").body == b""


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:8765"},
        {"Host": ""},
        {"Host": "0.0.0.0:8765"},
        {"Host": "127.0.0.1@evil.example:8765"},
        {"Host": "localhost.evil.example"},
        {"Host": "::1:evil.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Host": "localhost:8765", "Origin": "http://localhost:9999"},
    ],
)
@pytest.mark.parametrize("endpoint", ["/", "/v5/openapi.json", "members", "reset"])
def test_web_page_of_another_origin_is_refused(
    call: Caller, endpoint: str, headers: dict[str, str]
) -> None:
    """By its origin, and by a DNS name that resolves to this machine: members are private."""
    assert admin(call.emulator, "GET", endpoint, headers=headers).status == 403


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.2:8765", "localhost:8765", "LOCALHOST", "[::1]:8765", "[::1]"]
)
def test_loopback_host_names_are_accepted(call: Caller, host: str) -> None:
    """With the origin of the status page, or without one."""
    for headers in ({"Host": host}, {"Host": host, "Origin": f"http://{host}"}):
        assert admin(call.emulator, "GET", "health", headers=headers).status == 200


@each_case(
    "authorization",
    [
        *("", "Bearer", "Bearer ", ADMIN_TOKEN, f"Basic {ADMIN_TOKEN}", "Bearer \xff"),
        *(f"Bearer {ADMIN_TOKEN}x", f"Bearer {ADMIN_TOKEN}, Bearer {ADMIN_TOKEN}"),
    ],
)
@each_case("endpoint", [endpoint for endpoint in ENDPOINTS if endpoint != "health"])
@each_case("host", ["127.0.0.1:8765", "emulator:8765"])
def test_admin_endpoint_with_a_token_refuses_requests_without_it(
    call: Caller, host: str, endpoint: str, authorization: str
) -> None:
    """From this machine, too: a published port of a container looks like it."""
    call.emulator.seed_lists("549", 1)
    before = call.emulator.counts()
    headers = {"Host": host, "Authorization": authorization}
    for method in ("GET", "POST", "DELETE"):
        answer = admin(
            call.emulator, method, endpoint, {}, headers=headers, admin_token=ADMIN_TOKEN
        )
        assert (answer.status, call.fields(answer)["code"]) == (401, 401)
        assert answer.header("www-authenticate") == 'Bearer realm="emulator"'
    assert call.emulator.counts() == before


@each_case("scheme", ["Bearer", "bearer"])
@each_case("origin", [None, "http://emulator:8765", "https://emulator:8765"])
def test_admin_endpoint_accepts_its_token_under_any_host_name(
    call: Caller, origin: str | None, scheme: str
) -> None:
    headers = {"Host": "emulator:8765", "Authorization": f"{scheme} {ADMIN_TOKEN}"}
    headers |= {} if origin is None else {"Origin": origin}
    answer = admin(
        call.emulator, "POST", "clock", {"hours": 1}, headers=headers, admin_token=ADMIN_TOKEN
    )
    assert answer.status == 200


def test_page_of_another_origin_is_refused_with_a_token(call: Caller) -> None:
    headers = {"Host": "emulator:8765", "Authorization": f"Bearer {ADMIN_TOKEN}"}
    headers["Origin"] = "http://evil.example"
    answer = admin(call.emulator, "GET", "journal", headers=headers, admin_token=ADMIN_TOKEN)
    assert answer.status == 403


@each_case("path", ["/", "/v5/openapi.json", "/_emulator/health"])
def test_page_description_and_health_require_no_token(call: Caller, path: str) -> None:
    """They hold no records; probes of containers and browsers request them."""
    call.create(records=SECRET)
    answer = admin(
        call.emulator, "GET", path, headers={"Host": "emulator:8765"}, admin_token=ADMIN_TOKEN
    )
    assert answer.status == 200
    assert SECRET.encode() not in answer.body


def test_status_page_has_csp_and_is_not_cached(call: Caller) -> None:
    """It contains everything it needs."""
    page = admin(call.emulator, "GET", "/")
    assert page.header("content-type") == "text/html; charset=utf-8"
    assert "default-src 'none'" in str(page.header("content-security-policy"))
    assert page.header("cache-control") == "no-store"


def test_other_paths_are_not_admin_endpoints(call: Caller) -> None:
    """They belong to the API."""
    for path in ("", "/v5", "/_emulator", "/v5/openapi.json/", "/v5/_emulator/reset", "*"):
        assert handle_admin_request(call.emulator, Request(method="GET", path=path)) is None


@pytest.mark.anyio
async def test_server_serves_admin_endpoints_and_api(call: Caller) -> None:
    """Over a socket: seed, inject a fault, read, reset."""
    async with serve(call.emulator) as base_url, httpx.AsyncClient() as client:
        root = base_url.removesuffix("/v5")
        await client.post(f"{root}/_emulator/seed", json={"ad_account_id": "549"})
        await client.post(f"{root}/_emulator/faults", json={"kind": "no_answer"})
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(f"{base_url}/ad_accounts/549/customer_lists")
        health = await client.get(f"{root}/_emulator/health")
        assert (health.json()["customer_lists"], health.json()["requests"]) == (1, 1)
        assert (await client.get(f"{base_url}/openapi.json")).json()["openapi"] == "3.1.0"
        assert (await client.get(root)).text.startswith("<!doctype html>")
        assert (await client.post(f"{root}/_emulator/reset")).json() == {}
    assert call.emulator.requests == ()


@pytest.mark.anyio
async def test_server_of_a_network_serves_the_api_without_the_admin_token(call: Caller) -> None:
    """On all addresses of this machine."""
    async with (
        serve(call.emulator, host="0.0.0.0", admin_token=ADMIN_TOKEN) as base_url,
        httpx.AsyncClient() as client,
    ):
        assert base_url.startswith("http://127.0.0.1:")
        lists = f"{base_url}/ad_accounts/549/customer_lists"
        answer = await client.get(lists, headers={"Authorization": "Bearer any"})
        assert answer.status_code == 200
        journal = f"{base_url.removesuffix('/v5')}/_emulator/journal"
        assert (await client.get(journal)).status_code == 401
        right = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        assert len((await client.get(journal, headers=right)).json()["requests"]) == 1


@each_case("host", ["0.0.0.0", "::", "192.0.2.1", "emulator.example", ""])
def test_server_of_a_network_requires_an_admin_token(call: Caller, host: str) -> None:
    with pytest.raises(ValueError, match="admin_token is required"):
        serve(call.emulator, host=host)


@each_case("token", ["", "too-short", "with a blank in it", "n\u00f6t-only-ascii-letters"])
def test_admin_token_must_be_long_and_fit_into_a_header(call: Caller, token: str) -> None:
    with pytest.raises(ValueError, match="at least 16 letters"):
        serve(call.emulator, admin_token=token)


@pytest.mark.parametrize("seconds", [-1.0, float("inf"), float("nan")])
def test_clock_cannot_be_moved_back_or_by_infinity(call: Caller, seconds: float) -> None:
    """Neither could be undone."""
    with pytest.raises(ValueError, match="only be moved ahead"):
        call.emulator.advance(seconds=seconds)
