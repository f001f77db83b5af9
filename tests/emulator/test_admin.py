"""The doors for operators: what they tell, what they do, and whom they let in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
import pytest

from pinterest_audiences.emulator import Emulator, RateLimits, Request, Response
from pinterest_audiences.emulator.admin import operate
from pinterest_audiences.emulator.server import serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.conftest import Caller, FakeClock

SECRET = "secret.person@example.com"
DOORS = ["health", "overview", "journal", "members", "clock", "faults", "seed", "reset"]


def knock(
    emulator: Emulator,
    method: str,
    door: str,
    json_body: object = None,
    *,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
) -> Response:
    path, _, query = door.partition("?")
    answer = operate(
        emulator,
        Request(
            method=method,
            path=path if path.startswith("/") else f"/_emulator/{path}",
            query=query,
            headers={"Host": "127.0.0.1:8765", **(headers or {})},
            body=body if json_body is None else json.dumps(json_body).encode(),
        ),
    )
    assert answer is not None
    assert answer.header("content-length") == str(len(answer.body)) or method == "HEAD"
    return answer


def test_health_tells_the_time_and_how_much_there_is(call: Caller, clock: FakeClock) -> None:
    """Without a token, without a request in the journal."""
    call.create(records="a,b")
    call.emulator.fault("html")
    assert knock(call.emulator, "GET", "health").json() == {
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


def test_the_clock_is_told_and_moved_ahead(call: Caller, clock: FakeClock) -> None:
    """A list becomes READY without anybody waiting."""
    created = call.create(records=",".join(map(str, range(100))))
    assert knock(call.emulator, "GET", "clock").json() == {"now": clock.now}
    moved = knock(call.emulator, "POST", "clock", {"hours": 1, "minutes": 1, "seconds": 0.5})
    assert moved.json() == {"now": clock.now + 3660.5} == {"now": call.emulator.now()}
    assert call.emulator.customer_list(str(created["id"]))["status"] == "READY"


def test_faults_are_posted_told_and_forgotten(call: Caller) -> None:
    """One or a list; a wrong one adds none of them."""
    knock(call.emulator, "POST", "faults", {"kind": "status", "status": 503})
    added = knock(call.emulator, "POST", "faults", [{"kind": "html"}, {"kind": "no_answer"}])
    assert added.json() == {
        "faults": [
            {"kind": "status", "status": 503, "struck": 0},
            {"kind": "html", "struck": 0},
            {"kind": "no_answer", "struck": 0},
        ]
    }
    refused = knock(call.emulator, "POST", "faults", [{"kind": "html"}, {"kind": "flood"}])
    assert refused.status == 400
    assert "fault 2: kind must be one of" in str(refused.json())
    assert call("GET", "549/customer_lists").status == 503
    assert len(call.emulator.faults) == 2
    assert knock(call.emulator, "DELETE", "faults").json() == {"faults": []}
    assert call("GET", "549/customer_lists").status == 200


def test_lists_are_seeded_and_their_members_told(call: Caller) -> None:
    """Records as strings, rows as objects."""
    body = {"ad_account_id": "549", "count": 2, "name": "Seed {}", "records": ["b", "a"]}
    answer = knock(call.emulator, "POST", "seed", body)
    ids = call.fields(answer)["ids"]
    assert isinstance(ids, list)
    assert [call.emulator.customer_list(each)["name"] for each in ids] == ["Seed 1", "Seed 2"]
    row = {"email": "a", "maid": "b"}
    call("PATCH", f"549/customer_lists/{ids[0]}", {"operation_type": "ADD", "records_v2": [row]})
    told = knock(call.emulator, "GET", f"members?customer_list_id={ids[0]}")
    assert told.json() == {"members": ["a", "b", row]}


def test_the_journal_is_told_oldest_first_with_its_faults(call: Caller) -> None:
    """As many as asked for, and nothing personal."""
    call.emulator.fault("no_answer", after=1)
    call.create(records=SECRET)
    call("GET", "549/customer_lists", token=SECRET)
    told = knock(call.emulator, "GET", "journal?limit=1")
    assert told.json() == {
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
    everything = knock(call.emulator, "GET", "journal")
    assert len(call.fields(everything)["requests"]) == 2  # type: ignore[arg-type]  # a list
    assert SECRET.encode() not in everything.body


def test_the_overview_shows_the_newest_lists_and_the_budgets_of_numbered_tokens(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """What a person wants to see at a glance; no token is told."""
    call.emulator = new_emulator(rate_limits=RateLimits())
    ids = call.emulator.seed_lists("549", 3)
    call("GET", "549/customer_lists", token=SECRET)
    told = call.fields(knock(call.emulator, "GET", "overview?limit=2"))
    lists, budgets = told["customer_lists"], told["budgets"]
    assert isinstance(lists, list)
    assert lists == [call.emulator.customer_list(each) for each in reversed(ids[1:])]
    assert budgets == [
        {"token": 1, "budget": "safety_net", "used": 1, "quota": 100, "resets_in": 1},
        {"token": 1, "budget": "ads_read", "used": 1, "quota": 1000, "resets_in": 60},
    ]
    assert (told["audiences"], told["uploads"]) == ([], [])


def test_a_reset_leaves_an_emulator_as_new(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """The same ids, request ids, chances and answers follow as in the beginning."""
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
    assert knock(call.emulator, "POST", "reset").json() == {}
    assert repr(call.emulator) == (
        "<Emulator: 0 ad_accounts, 0 customer_lists, 0 members, 0 audiences, 0 uploads, 0 requests>"
    )
    assert (call.emulator.requests, len(call.emulator.faults)) == ((), 0)
    assert live() == first


@pytest.mark.parametrize(
    ("door", "body"),
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
def test_what_a_door_cannot_do_is_refused(call: Caller, door: str, body: object) -> None:
    """400 in the API's error form; nothing has changed."""
    answer = knock(call.emulator, "POST", door, body)
    assert answer.status == 400
    assert set(call.fields(answer)) == {"code", "message"}
    assert call.emulator.counts()["customer_lists"] == 0


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
@pytest.mark.parametrize("door", ["clock", "seed", "faults"])
def test_a_body_that_is_no_json_is_refused(call: Caller, door: str, body: bytes) -> None:
    """Whatever it is."""
    assert knock(call.emulator, "POST", door, body=body).status == 400


@pytest.mark.parametrize("door", ["journal?limit=x", "overview?limit=-1", "journal?limit=99999"])
def test_a_limit_is_a_small_number(call: Caller, door: str) -> None:
    """No more than the journal keeps."""
    assert knock(call.emulator, "GET", door).status == 400


def test_an_unknown_list_or_door_is_404_and_another_method_405(call: Caller) -> None:
    """In the API's error form, with the methods that there are."""
    assert knock(call.emulator, "GET", "members?customer_list_id=1").status == 404
    assert knock(call.emulator, "GET", "members").status == 404
    assert knock(call.emulator, "GET", "unknown").status == 404
    for door in DOORS:
        answer = knock(call.emulator, "PUT", door)
        assert (answer.status, call.fields(answer)["code"]) == (405, 5)
        assert answer.header("allow")
    assert knock(call.emulator, "PUT", "faults").header("allow") == "DELETE, GET, POST"
    assert knock(call.emulator, "HEAD", "health").body == b""


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:8765"},
        {"Host": ""},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Host": "localhost:8765", "Origin": "http://localhost:9999"},
    ],
)
@pytest.mark.parametrize("door", ["/", "/v5/openapi.json", "members", "reset"])
def test_a_web_page_from_elsewhere_is_refused(
    call: Caller, door: str, headers: dict[str, str]
) -> None:
    """By its origin, and by a name that only leads here: members are nobody's business."""
    assert knock(call.emulator, "GET", door, headers=headers).status == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8765", "[::1]:8765", "[::1]"])
def test_this_machine_is_let_in_by_each_of_its_names(call: Caller, host: str) -> None:
    """With the origin that the page itself has, or none."""
    for headers in ({"Host": host}, {"Host": host, "Origin": f"http://{host}"}):
        assert knock(call.emulator, "GET", "health", headers=headers).status == 200


def test_the_page_may_load_nothing_and_be_kept_by_nobody(call: Caller) -> None:
    """It brings all it needs along."""
    page = knock(call.emulator, "GET", "/")
    assert page.header("content-type") == "text/html; charset=utf-8"
    assert "default-src 'none'" in str(page.header("content-security-policy"))
    assert page.header("cache-control") == "no-store"


def test_other_paths_are_none_of_these_doors(call: Caller) -> None:
    """They lead to the API."""
    for path in ("", "/v5", "/_emulator", "/v5/openapi.json/", "/v5/_emulator/reset", "*"):
        assert operate(call.emulator, Request(method="GET", path=path)) is None


@pytest.mark.anyio
async def test_the_server_has_these_doors_beside_the_api(call: Caller) -> None:
    """The whole way over a socket: seed, break, look, reset."""
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


@pytest.mark.parametrize("seconds", [-1.0, float("inf"), float("nan")])
def test_the_clock_is_not_moved_back_nor_for_ever(call: Caller, seconds: float) -> None:
    """Nothing here could be undone."""
    with pytest.raises(ValueError, match="only be moved ahead"):
        call.emulator.advance(seconds=seconds)
