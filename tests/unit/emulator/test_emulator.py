"""The `Emulator` object: settings, journal, members, and the bytes of answers."""

from __future__ import annotations

import json
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from pinterest_audiences.emulator import Emulator, JournalEntry, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from unit.emulator.conftest import Caller, FakeClock

LISTS = "549/customer_lists"
SECRET = "secret.person@example.com"


def test_request_ids_are_unique_and_follow_from_the_seed(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """Another emulator of the same seed has the same sequence."""

    def ids(seed: int) -> list[str | None]:
        call.emulator = new_emulator(seed=seed, access_tokens=["good"])
        answers = [
            call("GET", LISTS, token="good"),
            call("GET", LISTS, token="bad"),
            call("GET", "x/customer_lists", token="good"),
            call("GET", "549/unknown"),
            call("DELETE", LISTS),
        ]
        return [answer.header("X-Pinterest-Rid") for answer in answers]

    first = ids(1)
    assert all(each is not None and each.isdigit() for each in first)
    assert len(set(first)) == len(first)
    assert ids(1) == first
    assert not set(ids(2)) & set(first)


def test_answers_are_json_with_content_length(call: Caller) -> None:
    """Also when names are not ASCII, or not valid Unicode."""
    for name in ("Été 🌞", "\ud800"):
        answer = call("POST", LISTS, {"name": name, "records": "a"})
        assert answer.header("content-type") == "application/json"
        assert answer.header("content-length") == str(len(answer.body))
        assert call.fields(answer)["name"] == name
    assert answer.header("unknown") is None


def test_body_above_50_megabytes_is_413(call: Caller) -> None:
    """Exactly the limit is allowed."""
    assert call("POST", LISTS, body=b" " * 50_000_001).status == 413
    assert call("POST", LISTS, body=b" " * 50_000_000).status == 400


def test_journal_has_no_personal_data(call: Caller) -> None:
    """Method, path, status and category: no query, no header, no body."""
    call.create(records=SECRET)
    call("GET", LISTS, query=f"bookmark={SECRET}", token=SECRET)
    call("GET", "549/unknown")
    assert call.emulator.requests == (
        JournalEntry("POST", f"/v5/ad_accounts/{LISTS}", 200, "ads_write"),
        JournalEntry("GET", f"/v5/ad_accounts/{LISTS}", 400, "ads_read"),
        JournalEntry("GET", "/v5/ad_accounts/549/unknown", 404, None),
    )
    assert SECRET not in repr(call.emulator.requests)


def test_journal_is_limited_to_10000_entries(call: Caller) -> None:
    """Older entries are removed."""
    call.create()
    for _ in range(10_000):
        call("GET", "549/unknown")
    assert len(call.emulator.requests) == 10_000
    assert {entry.method for entry in call.emulator.requests} == {"GET"}


def test_repr_shows_counts_but_no_content(call: Caller) -> None:
    """No records, tokens or names."""
    call.create(name=SECRET, records=f"{SECRET},b")
    call.create("550")
    call("GET", "549/unknown")
    assert repr(call.emulator) == (
        "<Emulator: 2 ad_accounts, 2 customer_lists, 3 members, 0 audiences, 0 uploads, 3 requests>"
    )
    request = Request(
        method="GET",
        path="/",
        query=SECRET,
        headers={"Authorization": SECRET},
        body=SECRET.encode(),
    )
    assert SECRET not in repr(request)
    assert SECRET not in repr(call("POST", LISTS, {"name": SECRET, "records": "a"}))


def test_seeded_lists_need_no_requests(call: Caller) -> None:
    """Named, with members, in order, and not in the journal."""
    ids = call.emulator.seed_lists("549", 3, name="Seed {}", records=["a", "b"], is_nca=True)
    assert [call.emulator.customer_list(each)["name"] for each in ids] == [
        "Seed 1",
        "Seed 2",
        "Seed 3",
    ]
    assert call.emulator.members(ids[2]) == {"a", "b"}
    assert call.emulator.requests == ()
    listed = call.fields(call("GET", LISTS))["items"]
    assert isinstance(listed, list)
    assert all(each["is_nca"] is True for each in listed)
    call("PATCH", f"{LISTS}/{ids[0]}", {"operation_type": "REMOVE", "records": "a"})
    assert call.emulator.members(ids[0]) == {"b"}
    assert call.emulator.members(ids[1]) == {"a", "b"}


@pytest.mark.parametrize("account", ["", "x", "1"])
def test_seeding_lists_into_unknown_account_is_a_value_error(
    new_emulator: Callable[..., Emulator], account: str
) -> None:
    """The same accounts exist as for requests."""
    emulator = new_emulator(ad_accounts=["549"])
    with pytest.raises(ValueError, match="ad_account_id"):
        emulator.seed_lists(account, 1)


def test_unknown_list_is_a_key_error(call: Caller) -> None:
    """For its fields and for its members."""
    with pytest.raises(KeyError):
        call.emulator.customer_list("1")
    with pytest.raises(KeyError):
        call.emulator.members("1")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("match_rate", -0.1),
        ("match_rate", 1.1),
        ("match_rate", float("nan")),
        ("processing_seconds", -1.0),
        ("processing_seconds", float("nan")),
        ("create_status", 204),
        ("ad_accounts", "549"),
        ("ad_accounts", ["54x"]),
        ("ad_accounts", ["1" * 19]),
        ("access_tokens", "pina_test"),
        ("access_tokens", [""]),
        ("access_tokens", ["a b"]),
        ("access_tokens", ["a\n"]),
    ],
)
def test_setting_out_of_range_is_a_value_error(
    new_emulator: Callable[..., Emulator], setting: str, value: object
) -> None:
    """The message names the setting, without repeating a token."""
    with pytest.raises(ValueError, match=setting) as refusal:
        new_emulator(**{setting: value})
    assert "pina_test" not in str(refusal.value)


def test_list_status_follows_the_clock(
    new_emulator: Callable[..., Emulator], call: Caller, clock: FakeClock
) -> None:
    """PROCESSING at first, READY later, with no request in between."""
    call.emulator = new_emulator(processing_seconds=60.0)
    created = call.create(records=",".join(map(str, range(100))))
    path = f"{LISTS}/{created['id']}"
    assert call.fields(call("GET", path))["status"] == "PROCESSING"
    clock.advance(60)
    assert call.fields(call("GET", path))["status"] == "READY"


def test_emulator_is_thread_safe(call: Caller) -> None:
    """No update is lost, and every answer has a unique id."""
    identifier = str(call.create(records="seed")["id"])
    answers: list[str | None] = []

    def add(thread: int) -> None:
        for number in range(50):
            body = {"operation_type": "ADD", "records": f"{thread}.{number}"}
            answer = call("PATCH", f"{LISTS}/{identifier}", body)
            answers.append(answer.header("x-pinterest-rid"))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    fields = call.emulator.customer_list(identifier)
    assert fields["num_batches"] == 401
    assert fields["num_uploaded_user_records"] == 401
    assert len(call.emulator.members(identifier)) == 401
    assert len(set(answers)) == 400


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/v5/x?a=1?b", "/v5/x", "a=1?b"),
        (b"http://127.0.0.1:8765/v5/x?a=1", "/v5/x", "a=1"),
        (b"http://127.0.0.1", "/", ""),
        (b"/v5/x?url=http://elsewhere/", "/v5/x", "url=http://elsewhere/"),
        (b"*", "*", ""),
        (b"", "", ""),
    ],
)
def test_request_target_may_be_path_or_url(target: bytes, path: str, query: str) -> None:
    """Both lead to the same operation."""
    request = Request.from_wire(b"GET", target, [], b"")
    assert (request.path, request.query) == (path, query)


def test_header_names_ignore_case_and_repeats_are_joined() -> None:
    """As in HTTP."""
    request = Request.from_wire(b"GET", b"/", [(b"X-A", b"1"), (b"x-a", b"\xe9")], b"")
    assert request.headers == {"x-a": "1, \xe9"}
    assert json.dumps(dict(Request(method="GET", path="/", headers={"X-B": "2"}).headers)) == (
        '{"x-b": "2"}'
    )
