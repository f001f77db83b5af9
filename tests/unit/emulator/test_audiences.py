"""Audiences: created from lists, ready after them, shared, changed and removed."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from pinterest_audiences.emulator import Assumptions, Emulator

if TYPE_CHECKING:
    from collections.abc import Callable

    from unit.emulator.conftest import Caller, FakeClock

    from pinterest_audiences.emulator import Response

AUDIENCES = "549/audiences"
PEOPLE = ",".join(f"person{number}@example.com" for number in range(100))
SECRET = "secret.person@example.com"


def made_of(customer_list_id: object, **fields: object) -> dict[str, object]:
    rule = {"customer_list_id": customer_list_id}
    return {"name": "Spring", "audience_type": "CUSTOMER_LIST", "rule": rule, **fields}


def create(call: Caller, records: str = PEOPLE, *, is_nca: bool = False) -> dict[str, object]:
    customer_list = call.create(records=records, is_nca=is_nca)
    answer = call("POST", AUDIENCES, made_of(customer_list["id"]))
    assert answer.status == 200
    return call.fields(answer)


def get(call: Caller, audience: dict[str, object]) -> dict[str, object]:
    answer = call("GET", f"{AUDIENCES}/{audience['id']}")
    assert answer.status == 200
    return call.fields(answer)


def ids(call: Caller, answer: Response) -> list[object]:
    items = call.fields(answer)["items"]
    assert isinstance(items, list)
    return [item["id"] for item in items]


def test_audience_has_exactly_the_fields_of_the_api(call: Caller, clock: FakeClock) -> None:
    """The company is null in creates, `is_ctv_enabled` is in listings only."""
    customer_list = call.create(is_nca=True)
    clock.advance(5)
    body = made_of(customer_list["id"], description="All of them", ad_account_id="549")
    created = call.fields(call("POST", AUDIENCES, body))
    assert created == {
        "ad_account_id": "549",
        "audience_type": "CUSTOMER_LIST",
        "created_by_company_name": None,
        "created_timestamp": 1_700_000_005,
        "description": "All of them",
        "id": created["id"],
        "is_nca": True,
        "name": "Spring",
        "rule": {"customer_list_id": customer_list["id"]},
        "size": 0,
        "status": "INITIALIZING",
        "type": "audience",
        "updated_timestamp": 1_700_000_005,
    }
    got = get(call, created)
    assert got == {**created, "created_by_company_name": "Emulator"}
    assert got == call.emulator.audience(str(created["id"]))
    listed = call.fields(call("GET", AUDIENCES))["items"]
    assert listed == [{**got, "is_ctv_enabled": False}]
    changed = call.fields(call("PATCH", f"{AUDIENCES}/{created['id']}", {"name": "Summer"}))
    assert changed == {**created, "name": "Summer"}


def test_size_while_initializing_may_be_null(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """Recorded is 0, of a VISITOR audience; null is possible for others."""
    call.emulator = new_emulator(assumptions=Assumptions(size_while_initializing=None))
    audience = create(call)
    assert (audience["status"], audience["size"]) == ("INITIALIZING", None)
    call.emulator.advance(minutes=1)
    assert get(call, audience)["size"] == 100


def test_engagement_audience_without_domain_is_accepted(call: Caller) -> None:
    """Pinterest's own tests create, read and update one without."""
    body = {"name": "A", "audience_type": "ENGAGEMENT", "rule": {"engager_type": 1}}
    created = call("POST", AUDIENCES, body)
    assert (created.status, call.fields(created)["rule"]) == (200, {"engager_type": 1})
    path = f"{AUDIENCES}/{call.fields(created)['id']}"
    assert call("PATCH", path, {"name": "B", "description": "C"}).status == 200
    assert call.fields(call("GET", path))["name"] == "B"


def test_audience_is_ready_after_its_list(call: Caller, clock: FakeClock) -> None:
    """First the list is processed, then the audience."""
    audience = create(call)
    clock.advance(2)
    assert get(call, audience)["status"] == "INITIALIZING"
    clock.advance(1.999)
    assert get(call, audience)["size"] == 0
    clock.advance(0.001)
    assert get(call, audience)["status"] == "READY"
    assert get(call, audience)["size"] == 100


def test_audience_of_ready_list_is_initializing_first(call: Caller, clock: FakeClock) -> None:
    """It is INITIALIZING even then."""
    customer_list = call.create(records=PEOPLE)
    clock.advance(1000)
    audience = call.fields(call("POST", AUDIENCES, made_of(customer_list["id"])))
    assert audience["status"] == "INITIALIZING"
    clock.advance(2)
    assert get(call, audience)["status"] == "READY"


def test_audience_below_100_members_is_too_small(call: Caller, clock: FakeClock) -> None:
    """99 are not enough; the size is shown."""
    audience = create(call, records=PEOPLE.rpartition(",")[0])
    clock.advance(10)
    assert (get(call, audience)["status"], get(call, audience)["size"]) == ("TOO_SMALL", 99)


def test_audience_size_is_unchanged_while_list_is_processed_again(
    call: Caller, clock: FakeClock
) -> None:
    """It follows the list after the processing, down and up."""
    audience = create(call)
    clock.advance(10)
    (list_id,) = ids(call, call("GET", "549/customer_lists"))
    path = f"549/customer_lists/{list_id}"
    call("PATCH", path, {"operation_type": "REMOVE", "records": "person5@example.com"})
    assert (get(call, audience)["status"], get(call, audience)["size"]) == ("READY", 100)
    clock.advance(1)
    call("PATCH", path, {"operation_type": "REMOVE", "records": "person6@example.com"})
    assert get(call, audience)["size"] == 100
    clock.advance(2)
    assert (get(call, audience)["status"], get(call, audience)["size"]) == ("TOO_SMALL", 98)


def test_refuse_small_audiences_refuses_lists_below_100(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """Pinterest documents both; the switch selects the stricter behavior, at exactly 100."""
    call.emulator = new_emulator(assumptions=Assumptions(refuse_small_audiences=True))
    small = call.create(records=PEOPLE.rpartition(",")[0])
    refused = call("POST", AUDIENCES, made_of(small["id"]))
    assert refused.status == 400
    assert call.fields(refused)["code"] == 400
    assert ids(call, call("GET", AUDIENCES)) == []
    create(call)
    assert len(ids(call, call("GET", AUDIENCES))) == 1


@pytest.mark.parametrize(
    ("audience_type", "rule"),
    [
        ("ACTALIKE", {"seed_id": ["1"], "country": "US", "percentage": 10}),
        ("VISITOR", {"visitor_source_id": "5", "event": "checkout", "retention_days": 540}),
        ("ENGAGEMENT", {"engagement_domain": ["example.com"], "objective_type": ["AWARENESS"]}),
        ("PERSONA", {"something_new": {"a": [1]}}),
    ],
)
def test_audiences_without_list_are_accepted(
    call: Caller, clock: FakeClock, audience_type: str, rule: dict[str, object]
) -> None:
    """They become READY with an assumed size."""
    body = {"name": "Others", "audience_type": audience_type, "rule": rule}
    audience = call.fields(call("POST", AUDIENCES, body))
    assert (audience["rule"], audience["status"]) == (rule, "INITIALIZING")
    clock.advance(2)
    assert (get(call, audience)["status"], get(call, audience)["size"]) == ("READY", 10_000)


def test_percentage_string_is_converted_to_a_number(call: Caller) -> None:
    """The description's example and its schema differ; the answer follows the schema."""
    rule = {"seed_id": ["1"], "country": "US", "percentage": "10"}
    body = {"name": "Alike", "audience_type": "ACTALIKE", "rule": rule}
    assert call.fields(call("POST", AUDIENCES, body))["rule"] == {**rule, "percentage": 10}


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": None},
        {"name": 5},
        {"audience_type": None},
        {"audience_type": "customer_list"},
        {"audience_type": "SOMETHING"},
        {"audience_type": ["ACTALIKE"]},
        {"description": 5},
        {"description": None},
        {"ad_account_id": {}},
        {"rule": None},
        {"rule": SECRET},
        {"rule": {}},
        {"rule": {"customer_list_id": 5}},
        {"rule": {"customer_list_id": SECRET}},
        {"rule": {"customer_list_id": "1"}},
        {"rule": {"customer_list_id": "9" * 5000}},
        {"audience_type": "ACTALIKE"},
        {"audience_type": "ACTALIKE", "rule": {"seed_id": []}},
        {"audience_type": "ACTALIKE", "rule": {"seed_id": "1"}},
        {"audience_type": "ACTALIKE", "rule": {"seed_id": [1]}},
        {"audience_type": "ACTALIKE", "rule": {"seed_id": ["1"], "percentage": 11}},
        {"audience_type": "ACTALIKE", "rule": {"seed_id": ["1"], "percentage": True}},
        {"audience_type": "ACTALIKE", "rule": {"seed_id": ["1"], "percentage": "9" * 5000}},
        {"audience_type": "ENGAGEMENT", "rule": {"engagement_domain": "example.com"}},
        {"audience_type": "VISITOR", "rule": {"retention_days": 541}},
        {"audience_type": "VISITOR", "rule": {"prefill": "true"}},
    ],
)
def test_invalid_audience_is_400(call: Caller, change: dict[str, object]) -> None:
    """Nothing is created, and the message repeats nothing that was sent."""
    customer_list = call.create()
    refused = call("POST", AUDIENCES, {**made_of(customer_list["id"]), **change})
    assert refused.status == 400
    assert b"secret" not in refused.body
    assert ids(call, call("GET", AUDIENCES)) == []


def test_audience_of_another_accounts_list_is_refused(call: Caller) -> None:
    """As if the list did not exist."""
    other = call.create("550")
    refused = call("POST", AUDIENCES, made_of(other["id"]))
    assert refused.status == 400
    assert call.fields(refused)["code"] == 400


def test_update_changes_only_given_fields(call: Caller, clock: FakeClock) -> None:
    """The time of update changes; UPDATE is the default operation."""
    audience = create(call)
    clock.advance(10)
    path = f"{AUDIENCES}/{audience['id']}"
    renamed = call.fields(call("PATCH", path, {"name": "Summer"}))
    assert (renamed["name"], renamed["description"], renamed["status"]) == ("Summer", None, "READY")
    assert renamed["updated_timestamp"] == 1_700_000_010
    update = {"description": "New", "operation_type": "UPDATE"}
    assert call.fields(call("PATCH", path, update))["description"] == "New"
    assert get(call, audience)["name"] == "Summer"


def test_new_rule_initializes_audience_again(call: Caller, clock: FakeClock) -> None:
    """Then it has the size of its new list."""
    audience = create(call)
    clock.advance(10)
    small = call.create(records="a@example.com")
    clock.advance(10)
    path = f"{AUDIENCES}/{audience['id']}"
    changed = call("PATCH", path, {"rule": {"customer_list_id": small["id"]}})
    assert call.fields(changed)["status"] == "INITIALIZING"
    clock.advance(10)
    assert get(call, audience)["size"] == 1
    assert call("PATCH", path, {"rule": {"customer_list_id": "1"}}).status == 400
    assert call("PATCH", path, {"operation_type": "DELETE"}).status == 400
    assert call("PATCH", path, {"name": ""}).status == 400


def test_removed_audience_is_404_but_its_list_is_not(call: Caller) -> None:
    """REMOVE is the only way to delete anything."""
    audience, kept = create(call), create(call)
    path = f"{AUDIENCES}/{audience['id']}"
    removed = call("PATCH", path, {"operation_type": "REMOVE"})
    assert removed.status == 200
    assert call.fields(removed)["id"] == audience["id"]
    assert call("GET", path).status == 404
    assert call("PATCH", path, {"operation_type": "REMOVE"}).status == 404
    assert ids(call, call("GET", AUDIENCES)) == [kept["id"]]
    assert len(ids(call, call("GET", "549/customer_lists"))) == 2
    with pytest.raises(KeyError):
        call.emulator.audience(str(audience["id"]))
    assert create(call)["id"] not in (audience["id"], kept["id"])


@pytest.mark.parametrize("order", ["ASCENDING", "DESCENDING"])
@pytest.mark.parametrize("ownership_type", ["OWNED", "RECEIVED"])
def test_pagination_returns_each_audience_once_while_some_are_removed(
    call: Caller, order: str, ownership_type: str
) -> None:
    """In order, on full pages, for every owner."""
    owner = "549" if ownership_type == "OWNED" else "550"
    receiver = None if ownership_type == "OWNED" else "549"
    made = list(call.emulator.seed_audiences(owner, 7, shared_with=receiver))
    expected = made if order == "ASCENDING" else made[::-1]
    walked: list[object] = []
    query = {"order": order, "ownership_type": ownership_type, "page_size": 3}
    bookmark: object = None
    for _ in range(3):
        more = {} if bookmark is None else {"bookmark": bookmark}
        answer = call("GET", AUDIENCES, query=urlencode({**query, **more}))
        walked += ids(call, answer)
        bookmark = call.fields(answer)["bookmark"]
        gone = call("PATCH", f"{owner}/audiences/{walked[-1]}", {"operation_type": "REMOVE"})
        assert gone.status == 200
    assert walked == expected
    assert bookmark is None


def test_bookmark_of_another_listing_is_refused(call: Caller) -> None:
    """One of lists, or of received audiences, is not one of audiences."""
    call.emulator.seed_lists("549", 3)
    call.emulator.seed_audiences("549", 3)
    call.emulator.seed_audiences("550", 3, shared_with="549")
    for path in ("549/customer_lists?", f"{AUDIENCES}?ownership_type=RECEIVED&"):
        where, _, query = path.partition("?")
        bookmark = call.fields(call("GET", where, query=f"{query}page_size=1"))["bookmark"]
        again = urlencode({"bookmark": bookmark})
        assert call("GET", where, query=f"{query}{again}").status == 200
        assert call("GET", AUDIENCES, query=again).status == 400


def test_received_audiences_must_be_seeded(call: Caller) -> None:
    """Such an audience can be read, not changed, and still belongs to its owner."""
    create(call)
    query = "ownership_type=RECEIVED"
    assert ids(call, call("GET", AUDIENCES, query=query)) == []
    (shared,) = call.emulator.seed_audiences("550", 1, name="For {}", size=7, shared_with="549")
    (private,) = call.emulator.seed_audiences("550", 1)
    assert ids(call, call("GET", AUDIENCES, query=query)) == [shared]
    assert shared not in ids(call, call("GET", AUDIENCES, query="ownership_type=OWNED"))
    received = call.fields(call("GET", f"{AUDIENCES}/{shared}"))
    assert (received["ad_account_id"], received["name"]) == ("550", "For 1")
    assert call("PATCH", f"{AUDIENCES}/{shared}", {"name": "Mine"}).status == 404
    removed = call("PATCH", f"550/audiences/{shared}", {"operation_type": "REMOVE"})
    assert removed.status == 200
    assert ids(call, call("GET", AUDIENCES, query=query)) == []
    assert call("GET", f"{AUDIENCES}/{private}").status == 404
    assert call("GET", AUDIENCES, query="ownership_type=ALL").status == 400


def test_exclude_nca_leaves_out_audiences_of_nca_lists(call: Caller) -> None:
    """`is_nca` is that of the list."""
    plain, _ = create(call), create(call, is_nca=True)
    assert len(ids(call, call("GET", AUDIENCES, query="exclude_nca=false"))) == 2
    assert ids(call, call("GET", AUDIENCES, query="exclude_nca=true")) == [plain["id"]]


def test_audience_create_answers_configured_201(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """Version 5.28 allows it; the update stays at 200."""
    call.emulator = new_emulator(create_status=201)
    (customer_list,) = call.emulator.seed_lists("549", 1)
    created = call("POST", AUDIENCES, made_of(customer_list))
    assert created.status == 201
    path = f"{AUDIENCES}/{call.fields(created)['id']}"
    assert call("PATCH", path, {"name": "x"}).status == 200


def test_seeding_audiences_into_unknown_account_is_a_value_error(
    new_emulator: Callable[..., Emulator],
) -> None:
    """For the owner and for the receiver."""
    emulator = new_emulator(ad_accounts=["549"])
    with pytest.raises(ValueError, match="ad_account_id"):
        emulator.seed_audiences("1", 1)
    with pytest.raises(ValueError, match="shared_with"):
        emulator.seed_audiences("549", 1, shared_with="x")
