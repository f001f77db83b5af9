"""Clocks, snapshots, and state files."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from pinterest_audiences.emulator import Assumptions, Emulator, RateLimits, RatePolicy, _persistence
from pinterest_audiences.emulator._backend import seeded_key
from pinterest_audiences.emulator._customer_lists import Matcher, Member, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from unit.emulator.conftest import Caller, FakeClock

LISTS = "549/customer_lists"
DIGESTS = ["0" * 32, "ab" * 20, "0f" * 32]
MEMBERS: list[Member] = [
    *DIGESTS,
    "A" * 64,
    "0 " * 16,
    "z" * 64,
    "",
    "a@example.com",
    "\ud800",
    (("email", "0f" * 32), ("maid", "x")),
    (("email", "\ud800"),),
]


def change(call: Caller, list_id: str, records: str, operation_type: str = "ADD") -> None:
    body = {"operation_type": operation_type, "records": records}
    assert call("PATCH", f"{LISTS}/{list_id}", body).status == 200


@pytest.mark.parametrize("member", MEMBERS)
def test_stored_member_round_trips(member: Member) -> None:
    """Digests of lower-case digits are stored as bytes, everything else unchanged."""
    assert unpack(pack(member)) == member
    assert isinstance(pack(member), bytes) == (member in DIGESTS)


def test_packed_digests_take_half_the_memory() -> None:
    """Compared with strings."""
    packed = pack("0f" * 32)
    assert len(packed) == 32


@pytest.mark.parametrize("settings", [{}, {"clock": lambda: 1_700_000_000.0}])
def test_any_clock_can_be_moved_ahead(settings: dict[str, Any]) -> None:
    """Also the default one; never back."""
    emulator = Emulator(**settings, processing_seconds=3600.0)
    before = emulator.now()
    (list_id,) = emulator.seed_lists("549", 1)
    emulator.advance(minutes=30)
    assert emulator.customer_list(list_id)["status"] == "PROCESSING"
    emulator.advance(hours=2, minutes=3, seconds=4)
    assert emulator.customer_list(list_id)["status"] == "TOO_SMALL"
    assert emulator.now() - before >= 2.5 * 3600 + 184
    for wrong in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="ahead"):
            emulator.advance(seconds=wrong)


def test_match_function_decides_for_each_member(
    new_emulator: Callable[..., Emulator], call: Caller, clock: FakeClock
) -> None:
    """For each record and each row, added and removed."""
    asked: list[Member] = []

    def knows(member: Member) -> bool:
        asked.append(member)
        return isinstance(member, tuple) or member.endswith("@known.example")

    call.emulator = new_emulator(match=knows)
    known = [f"{number}@known.example" for number in range(99)]
    list_id = str(call.create(records=",".join([*known, "a@unknown.example", DIGESTS[2]]))["id"])
    audience = call.emulator.seed_audiences("549", 1, rule={"customer_list_id": list_id})[0]
    assert DIGESTS[2] in asked
    clock.advance(100)
    assert call.emulator.audience(audience)["size"] == 99
    row = {"operation_type": "ADD", "records_v2": [{"email": "x"}]}
    assert call("PATCH", f"{LISTS}/{list_id}", row).status == 200
    clock.advance(100)
    assert call.emulator.audience(audience)["size"] == 100
    assert call.emulator.customer_list(list_id)["status"] == "READY"
    change(call, list_id, f"{known[0]},{known[1]}", "REMOVE")
    clock.advance(100)
    assert call.emulator.audience(audience)["size"] == 98


def test_match_may_be_a_share(new_emulator: Callable[..., Emulator]) -> None:
    """It overrides match_rate, and must be in range."""
    assert Matcher(seeded_key(0, "match"), 1.0).count(["a"]) == 1
    emulator = new_emulator(match=0.0, processing_seconds=0.0)
    (list_id,) = emulator.seed_lists("549", 1, records=map(str, range(200)))
    assert emulator.customer_list(list_id)["status"] == "TOO_SMALL"
    with pytest.raises(ValueError, match="match_rate"):
        new_emulator(match=1.5)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("access", "free"), ("uploads", "closed"), ("refresh_tokens", "x"), ("refresh_tokens", [""])],
)
def test_invalid_setting_is_a_value_error(
    new_emulator: Callable[..., Emulator], setting: str, value: object
) -> None:
    """The message names it."""
    with pytest.raises(ValueError, match=setting):
        new_emulator(**{setting: value})


@pytest.mark.parametrize(
    "setting",
    [
        {"default_order": "RANDOM"},
        {"presigned_seconds": 0},
        {"second_run": "again"},
        {"bad_upload": "ignore"},
        {"invalid_grant_status": 403},
        {"revocable": "none"},
        {"other_audience_size": -1},
        {"most_records": 0},
        {"most_records": True},
        {"remove_matches": "anything"},
        {"users_consent": "no"},
        {"not_found_code": "404"},
    ],
)
def test_invalid_assumption_is_a_value_error(setting: dict[str, object]) -> None:
    """A switch has a fixed set of values."""
    with pytest.raises(ValueError, match=next(iter(setting))):
        Assumptions(**setting)  # type: ignore[arg-type]


def test_assumptions_change_order_and_not_found_code(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """For lists and audiences."""
    assumptions = Assumptions(default_order="DESCENDING", not_found_code=40, other_audience_size=5)
    call.emulator = new_emulator(assumptions=assumptions, processing_seconds=0.0)
    for path, seed in (
        ("customer_lists", call.emulator.seed_lists),
        ("audiences", call.emulator.seed_audiences),
    ):
        ids = seed("549", 3)
        items = call.fields(call("GET", f"549/{path}"))["items"]
        assert isinstance(items, list)
        assert [item["id"] for item in items] == list(reversed(ids))
        missing = call("GET", f"549/{path}/1")
        assert (missing.status, call.fields(missing)["code"]) == (404, 40)
    assert call.emulator.audience(ids[0])["size"] == 5


def test_trial_access_has_daily_limits(
    new_emulator: Callable[..., Emulator], call: Caller, clock: FakeClock
) -> None:
    """300 writes, 1,000 requests in total, and a wait of hours."""
    call.emulator = new_emulator(access="trial", rate_limits="by access")
    body = {"name": "Spring", "records": "a"}
    assert [call("POST", LISTS, body).status for _ in range(301)] == [*[200] * 300, 429]
    clock.advance(3600)
    reads = [call("GET", LISTS) for _ in range(701)]
    assert [answer.status for answer in reads] == [*[200] * 700, 429]
    assert reads[-1].header("x-ratelimit-reset") == "2800"  # until midnight UTC
    limit = str(reads[-1].header("x-ratelimit-limit"))
    assert limit.startswith('1000, 1000;w=86400;name="safety_net_app_id", ')
    clock.advance(2799)
    assert call("POST", LISTS, body).status == 429
    clock.advance(1)
    assert call("POST", LISTS, body).status == 200


def test_trial_limits_are_shared_by_an_app(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """With standard access each user has separate ones."""
    for per_app, expected in ((True, 429), (False, 200)):
        rate_limits = RateLimits(ads_read=RatePolicy(1, 60), per_app=per_app)
        call.emulator = new_emulator(apps={"1": "s"}, rate_limits=rate_limits)
        tokens = call.emulator._backend.tokens
        app = tokens.client("1", frozenset({"ads:read"})).access_token
        user = tokens.exchange("1", call.emulator.authorize(), "http://localhost/")
        assert user is not None
        assert call("GET", "549/audiences", token=app).status == 200
        assert call("GET", "549/audiences", token=user.access_token).status == expected


def test_refused_requests_count_with_the_switch(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """Whether they do is not published."""
    limits = RateLimits(ads_read=RatePolicy(1, 60), safety_net=RatePolicy(3, 60))
    for assumptions, expected in (
        (Assumptions(), 200),
        (Assumptions(refused_requests_count=True), 429),
    ):
        call.emulator = new_emulator(rate_limits=limits, assumptions=assumptions)
        assert [call("GET", LISTS).status for _ in range(3)] == [200, 429, 429]
        assert call("POST", LISTS, {"name": "x", "records": "a"}).status == expected


def fill(call: Caller) -> tuple[str, str, str]:
    """Create a list, an audience, an upload with a part, and a token."""
    list_id = str(call.create(records=f"a@example.com,{DIGESTS[2]}")["id"])
    change(call, list_id, "\\u0066,é")
    row = {"operation_type": "ADD", "records_v2": [{"email": DIGESTS[0], "maid": "m"}]}
    call("PATCH", f"{LISTS}/{list_id}", row)
    body = {
        "name": "Spring",
        "audience_type": "CUSTOMER_LIST",
        "rule": {"customer_list_id": list_id},
    }
    audience_id = str(call.fields(call("POST", "549/audiences", body))["id"])
    call.emulator.seed_audiences("550", 1, size=5, shared_with="549")
    asked = {"operation": "ADD", "total_parts": 1}
    upload = call.fields(call("POST", f"{LISTS}/{list_id}/uploads", asked))["customer_list_upload"]
    assert isinstance(upload, dict)
    call.emulator._backend.uploads.put(
        call.emulator._backend.uploads.find(upload["id"]),  # type: ignore[arg-type]
        1,
        "\n".join(f"{n}@example.com" for n in range(200)).encode(),
    )
    return list_id, audience_id, str(upload["id"])


def look(call: Caller, list_id: str, audience_id: str, upload_id: str) -> object:
    emulator = call.emulator
    return (
        emulator.customer_list(list_id),
        emulator.members(list_id),
        emulator.audience(audience_id),
        emulator.upload(upload_id),
        call.fields(call("GET", LISTS)),
        call.fields(call("GET", "549/audiences", query="ownership_type=RECEIVED")),
    )


def test_snapshot_can_be_restored_repeatedly(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """Everything is restored: state, clock, limits, journal and what comes next."""
    call.emulator = new_emulator(rate_limits=RateLimits(ads_write=RatePolicy(9, 60)))
    ids = fill(call)
    picture = call.emulator.snapshot()
    before, journal = look(call, *ids), call.emulator.requests
    outcomes: list[object] = []
    for _ in range(3):
        call.emulator.restore(picture)
        assert call.emulator.now() == 1_700_000_000
        assert look(call, *ids) == before
        assert call.emulator.requests == journal
        answer = call("POST", f"{LISTS}/{ids[0]}/uploads/{ids[2]}/run")
        call.emulator.advance(seconds=10)
        change(call, ids[0], f"{DIGESTS[2]}", "REMOVE")
        call("PATCH", f"549/audiences/{ids[1]}", {"operation_type": "REMOVE"})
        created = call.create()
        codes = call.emulator.authorize()
        outcomes.append(
            (answer, call.emulator.members(ids[0]), created, codes, call("POST", LISTS, {}).status)
        )
        assert len(call.emulator.members(ids[0])) > 200
    assert outcomes[0] == outcomes[1] == outcomes[2]


def test_reset_restores_the_initial_arguments(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """Including an initial refresh token."""
    call.emulator = new_emulator(refresh_tokens=["pinr.a"])
    ids = fill(call)
    backend = call.emulator._backend
    assert [str(each.id) for each in backend.customer_lists.newest(1)] == [ids[0]]
    assert len(backend.audiences.newest(1)) == 1
    assert backend.audiences.newest(9)[-1].id == int(ids[1])
    assert [str(each.id) for each in backend.uploads.newest(5)] == [ids[2]]
    call.emulator.advance(hours=24 * 100)
    assert backend.tokens.refresh("1", "pinr.a", None) is None
    backend.clear()
    for store in (backend.customer_lists, backend.audiences, backend.uploads):
        assert store.newest(1) == []
    assert call.emulator.counts() == {
        "ad_accounts": 0,
        "customer_lists": 0,
        "members": 0,
        "audiences": 0,
        "uploads": 0,
        "requests": 5,
    }
    assert backend.tokens.refresh("1", "pinr.a", None) is not None
    assert call.emulator.now() == 1_700_000_000


def test_seeded_lists_share_members_until_one_is_changed(call: Caller) -> None:
    """Sharing the set in memory has no visible effect."""
    one, other = call.emulator.seed_lists("549", 2, records=["a", "b"])
    change(call, one, "c")
    change(call, other, "a", "REMOVE")
    assert call.emulator.members(one) == {"a", "b", "c"}
    assert call.emulator.members(other) == {"b"}


def test_state_file_restores_state_tokens_and_clock(
    new_emulator: Callable[..., Emulator], call: Caller, tmp_path: Path
) -> None:
    """Request ids continue as well; only its owner can read it."""
    path = tmp_path / "state"
    settings = {"apps": {"1": "s"}, "access_tokens": ["pina_test"], "match_rate": 0.5}
    call.emulator = new_emulator(state=path, **settings)
    ids = fill(call)
    alike = call.emulator.seed_lists("549", 3, records=["x", "y"])
    call.emulator.advance(hours=1)
    code = call.emulator.authorize()
    call.emulator.save()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["state"]
    before = look(call, *ids)
    rid = call("GET", LISTS).header("x-pinterest-rid")
    call.emulator = new_emulator(state=path, **settings)
    assert call.emulator.now() == 1_700_003_600
    assert look(call, *ids) == before
    assert call("GET", LISTS).header("x-pinterest-rid") == rid
    change(call, alike[0], "z")
    assert call.emulator.members(alike[0]) == {"x", "y", "z"}
    assert call.emulator.members(alike[1]) == {"x", "y"}
    assert call.emulator._backend.tokens.exchange("1", code, "http://localhost/") is not None
    assert call("POST", f"{LISTS}/{ids[0]}/uploads/{ids[2]}/run").status == 200
    call.emulator.advance(seconds=10)
    assert call.emulator.upload(ids[2])["state"] == "SUCCEEDED"


def test_digests_are_written_in_batches(
    new_emulator: Callable[..., Emulator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In full rows and in one that is not, of every width."""
    monkeypatch.setattr(_persistence, "_DIGESTS_PER_ROW", 4)
    emulator = new_emulator()
    records = [f"{number:0{width}x}" for width in (32, 40, 64) for number in range(10)]
    (list_id,) = emulator.seed_lists("549", 1, records=[*records, "\ud800", "plain"])
    emulator.save(tmp_path / "state")
    again = new_emulator(state=tmp_path / "state")
    assert again.members(list_id) == {*records, "\ud800", "plain"}


def test_spent_refresh_token_stays_spent_after_restart(
    new_emulator: Callable[..., Emulator], tmp_path: Path
) -> None:
    """Though it is passed again when the emulator is started again."""
    path = tmp_path / "state"
    first = new_emulator(refresh_tokens=["pinr.a"], state=path)
    issued = first._backend.tokens.refresh("1", "pinr.a", None)
    assert issued is not None
    first.save()
    second = new_emulator(refresh_tokens=["pinr.a", "pinr.b"], state=path)._backend.tokens
    assert second.refresh("1", "pinr.a", None) is None
    assert second.refresh("1", "pinr.b", None) is not None
    assert second.refresh("1", str(issued.refresh_token), None) is not None


@pytest.mark.parametrize("settings", [{"seed": 5}, {"match_rate": 0.2}, {"match": bool}])
def test_state_with_other_settings_is_matched_again(
    new_emulator: Callable[..., Emulator], tmp_path: Path, settings: dict[str, object]
) -> None:
    """So that a size is always that of its members."""
    path = tmp_path / "state"
    emulator = new_emulator(match_rate=0.5)
    (list_id,) = emulator.seed_lists("549", 1, records=map(str, range(300)))
    emulator.save(path)
    again = new_emulator(**{"match_rate": 0.5, "state": path, **settings})
    alike = new_emulator(**{"match_rate": 0.5, **settings})
    (other,) = alike.seed_lists("549", 1, records=map(str, range(300)))
    matched = [each._backend.customer_lists.find(list_id) for each in (again, alike)]
    assert list_id == other
    assert matched[0] is not None
    assert matched[1] is not None
    assert matched[0].matched == matched[1].matched


def test_invalid_state_file_is_refused(
    new_emulator: Callable[..., Emulator], tmp_path: Path
) -> None:
    """Garbage, another database, another version, or a folder; nothing is created."""
    path = tmp_path / "state"
    path.write_bytes(b"garbage" * 100)
    with pytest.raises(ValueError, match="not the state of an emulator"):
        new_emulator(state=path)
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE other (a)")
    database.close()
    with pytest.raises(ValueError, match="not the state of an emulator"):
        new_emulator(state=path)
    new_emulator().save(path)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(ValueError, match="not the state of an emulator"):
        new_emulator(state=path)
    with pytest.raises(OSError, match="directory"):
        new_emulator(state=tmp_path)


def test_failed_save_leaves_the_old_state(
    new_emulator: Callable[..., Emulator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a whole or not at all, and no temporary files are left."""
    path = tmp_path / "state"
    emulator = new_emulator()
    emulator.seed_lists("549", 1)
    emulator.save(path)
    old = path.read_bytes()

    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("disk is full")

    monkeypatch.setattr(_persistence, "_insert_all", fail)
    with pytest.raises(OSError, match="disk is full"):
        emulator.save(path)
    assert path.read_bytes() == old
    assert [each.name for each in tmp_path.iterdir()] == ["state"]
    with pytest.raises(FileNotFoundError):
        emulator.save(tmp_path / "nowhere" / "state")
    with pytest.raises(ValueError, match="path is required"):
        emulator.save()


def test_damaged_state_file_is_refused_by_name(
    new_emulator: Callable[..., Emulator], tmp_path: Path
) -> None:
    """Cut short, emptied, overwritten or with a field of another type: one clear ValueError."""
    path = tmp_path / "state"
    emulator = new_emulator()
    emulator.seed_lists("549", 3, records=[f"p{n}@example.com" for n in range(500)])
    emulator.seed_audiences("549", 2)
    emulator.save(path)
    whole = path.read_bytes()

    def edited(statement: str) -> bytes:
        path.write_bytes(whole)
        with closing(sqlite3.connect(path)) as database, database:
            database.execute(statement)
        return path.read_bytes()

    damages = [
        b"",
        b"x" * 5_000,
        whole[:100],
        whole[: len(whole) // 2],
        whole[:-5_000],
        whole[:4_096] + bytes(4_096) + whole[8_192:],
        edited("DROP TABLE members"),
        edited("DELETE FROM facts"),
        edited("UPDATE facts SET value = '{'"),
        edited("UPDATE things SET fields = '[]'"),
        edited("UPDATE things SET fields = replace(fields, '549', '') WHERE kind = 'none'"),
        edited("UPDATE things SET fields = replace(fields, '1700000000.0', '\"x\"')"),
        edited("UPDATE things SET fields = replace(fields, '\"549\"', '549')"),
        edited("UPDATE members SET member = NULL"),
        edited("UPDATE members SET member = 5"),
        edited("PRAGMA user_version = 99"),
    ]
    for number, damage in enumerate(damages):
        path.write_bytes(damage)
        if number == 10:  # this statement changes nothing: the file is whole
            assert new_emulator(state=path).counts()["customer_lists"] == 3
            continue
        with pytest.raises(ValueError, match=r"is not the state of an emulator .* or is damaged"):
            new_emulator(state=path)
        assert path.read_bytes() == damage


def test_state_is_written_through_a_symbolic_link(
    new_emulator: Callable[..., Emulator], tmp_path: Path
) -> None:
    """The link stays, and its target is replaced."""
    (tmp_path / "elsewhere").mkdir()
    link, target = tmp_path / "state", tmp_path / "elsewhere" / "state"
    link.symlink_to(target)
    emulator = new_emulator()
    emulator.seed_lists("549", 1)
    emulator.save(link)
    assert link.is_symlink()
    assert new_emulator(state=target).counts()["customer_lists"] == 1
