"""What the audience calls promise, through both clients."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from support.twins import Kind, Twins, twins
from support.wire import Reply, Sent, refusal

from pinterest_audiences import (
    Audience,
    AudienceOperationType,
    AudienceStatus,
    AudienceType,
    ConfigurationError,
    DecodeError,
    NotFoundError,
    OwnershipType,
    PermissionDeniedError,
    TransportError,
)

pytestmark = pytest.mark.anyio

ACCOUNT = "549755885175"
BASE = f"https://api.pinterest.com/v5/ad_accounts/{ACCOUNT}/audiences"
SHOWN: dict[str, object] = {
    "id": "2542620639259",
    "ad_account_id": ACCOUNT,
    "name": "Buyers",
    "description": None,
    "type": "audience",
    "audience_type": "CUSTOMER_LIST",
    "rule": {"customer_list_id": "643"},
    "size": 1000.0,
    "status": "INITIALIZING",
    "created_timestamp": 1_451_431_341,
    "updated_timestamp": None,
    "created_by_company_name": "ACME",
    "is_nca": False,
}
AUDIENCE = Reply(data=SHOWN)
RULE = {"customer_list_id": "643"}


@pytest.fixture(params=["awaiting", "blocking"])
def client(request: pytest.FixtureRequest) -> Twins:
    kind: Kind = request.param
    return twins(kind)


def told(sent: Sent) -> tuple[str, str, Any]:
    return sent.method, sent.url, json.loads(sent.body) if sent.body else None


async def test_create_sends_type_name_and_rule(client: Twins) -> None:
    """And the description where there is one; the answer may be a 201."""
    async with client(Reply(201, SHOWN), AUDIENCE) as twin:
        made = await twin.call(
            "audiences_create", ACCOUNT, name="Bücher", audience_type="CUSTOMER_LIST", rule=RULE
        )
        rule = {"seed_id": ("1", "2"), "country": "US", "percentage": 5}
        await twin.call(
            "audiences_create",
            int(ACCOUNT),
            name="Like them",
            audience_type=AudienceType.ACTALIKE,
            rule=rule,
            description="",
        )
    assert isinstance(made, Audience)
    assert [told(each) for each in twin.sent] == [
        ("POST", BASE, {"name": "Bücher", "audience_type": "CUSTOMER_LIST", "rule": RULE}),
        (
            "POST",
            BASE,
            {
                "name": "Like them",
                "audience_type": "ACTALIKE",
                "rule": {**rule, "seed_id": ["1", "2"]},
                "description": "",
            },
        ),
    ]
    assert twin.sent[0].headers["content-type"] == "application/json"


async def test_an_audience_of_a_list_needs_the_list_and_a_name(client: Twins) -> None:
    """The id may be a number; it is sent as the string that the API wants."""
    async with client(AUDIENCE, AUDIENCE) as twin:
        await twin.call("create_customer_list_audience", ACCOUNT, 643, "Buyers")
        await twin.call(
            "create_customer_list_audience", ACCOUNT, "643", "Buyers", description="Of May"
        )
    wanted = {"name": "Buyers", "audience_type": "CUSTOMER_LIST", "rule": RULE}
    assert [told(each) for each in twin.sent] == [
        ("POST", BASE, wanted),
        ("POST", BASE, {**wanted, "description": "Of May"}),
    ]


async def test_an_audience_is_read_whole(client: Twins) -> None:
    """Each field in its type; null is None, and 1000.0 a whole number."""
    async with client(Reply(data={**SHOWN, "new_in_2030": [1]})) as twin:
        found = await twin.call("audiences_get", ACCOUNT, "2542620639259")
    assert told(twin.sent[0]) == ("GET", f"{BASE}/2542620639259", None)
    assert found == Audience(
        id="2542620639259",
        ad_account_id=ACCOUNT,
        name="Buyers",
        type="audience",
        audience_type=AudienceType.CUSTOMER_LIST,
        rule=RULE,
        size=1000,
        status=AudienceStatus.INITIALIZING,
        created_timestamp=datetime(2015, 12, 29, 23, 22, 21, tzinfo=UTC),
        created_by_company_name="ACME",
        is_nca=False,
    )
    assert isinstance(found.size, int)
    assert found.extra == {"new_in_2030": [1]}
    assert "new_in_2030" not in repr(found)


@pytest.mark.parametrize("missing", sorted(set(SHOWN) - {"id"}))
@pytest.mark.parametrize("as_null", [False, True])
async def test_every_field_but_the_id_may_be_missing_or_null(missing: str, as_null: bool) -> None:
    """What a version of the API does not show is None."""
    data = {name: value for name, value in SHOWN.items() if name != missing}
    async with twins("awaiting")(Reply(data={**data, missing: None} if as_null else data)) as twin:
        found = await twin.call("audiences_get", ACCOUNT, "1")
    assert getattr(found, missing) is None
    assert found.extra == {}


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"id": 1}, "expected a string, got a number @ $.id"),
        ({"rule": []}, "expected an object, got an array @ $.rule"),
        ({"rule": "x"}, "expected an object, got a string @ $.rule"),
        ({"size": 1.5}, "expected a whole number, got a number @ $.size"),
        ({"created_timestamp": "now"}, "expected Unix seconds, got a string @ $.created_timestamp"),
    ],
)
async def test_a_value_of_the_wrong_type_is_told_with_its_place(
    wrong: dict[str, object], problem: str
) -> None:
    """Nothing is made to fit."""
    async with twins("awaiting")(Reply(data={**SHOWN, **wrong})) as twin:
        with pytest.raises(DecodeError) as failed:
            await twin.call("audiences_get", ACCOUNT, "1")
    assert failed.value.problems == (problem,)


async def test_unknown_types_and_states_are_kept(client: Twins) -> None:
    """They compare as the strings they came as."""
    data = {**SHOWN, "audience_type": "DREAMERS", "status": "ASLEEP"}
    async with client(Reply(data=data)) as twin:
        found = await twin.call("audiences_get", ACCOUNT, "1")
    assert (found.audience_type, found.status) == ("DREAMERS", "ASLEEP")
    assert not found.status.is_known


async def test_update_sends_what_changes(client: Twins) -> None:
    """Only that, with the operation; a description may be emptied."""
    async with client(AUDIENCE, AUDIENCE) as twin:
        await twin.call("audiences_update", ACCOUNT, "7", name="New", rule=RULE)
        await twin.call("audiences_update", ACCOUNT, 7, description="")
    assert [told(each) for each in twin.sent] == [
        ("PATCH", f"{BASE}/7", {"operation_type": "UPDATE", "name": "New", "rule": RULE}),
        ("PATCH", f"{BASE}/7", {"operation_type": "UPDATE", "description": ""}),
    ]


@pytest.mark.parametrize("remove", ["REMOVE", AudienceOperationType.REMOVE])
async def test_remove_sends_nothing_else(client: Twins, remove: str) -> None:
    """It is the only deletion there is."""
    async with client(AUDIENCE) as twin:
        await twin.call("audiences_update", ACCOUNT, "7", operation_type=remove)
    assert told(twin.sent[0]) == ("PATCH", f"{BASE}/7", {"operation_type": "REMOVE"})


async def test_a_removal_that_was_done_before_its_answer_was_lost_says_so(client: Twins) -> None:
    """It is repeated, finds nothing, and the error tells that it may have been done."""
    async with client(httpx.ReadError("lost"), refusal(404, 50, "Not found.")) as twin:
        with pytest.raises(NotFoundError) as failed:
            await twin.call("audiences_update", ACCOUNT, "7", operation_type="REMOVE")
    assert (failed.value.attempts, failed.value.maybe_applied) == (2, True)


async def test_a_create_whose_answer_was_lost_is_not_repeated(client: Twins) -> None:
    """It could make a second audience."""
    async with client(httpx.ReadError("lost")) as twin:
        with pytest.raises(TransportError) as failed:
            await twin.call("create_customer_list_audience", ACCOUNT, "643", "Buyers")
    assert (failed.value.operation, failed.value.maybe_applied) == ("audiences_create", True)
    assert len(twin.sent) == 1


async def test_the_listing_follows_its_bookmarks_with_the_same_arguments(client: Twins) -> None:
    """Owned and received ones alike."""
    pages = (
        Reply(data={"items": [SHOWN, {"id": "2"}], "bookmark": "a&b"}),
        Reply(data={"items": [{"id": "3"}], "bookmark": None}),
    )
    async with client(*pages) as twin:
        found = await twin.walk(
            "audiences_list",
            ACCOUNT,
            ownership_type="RECEIVED",
            page_size=2,
            order="DESCENDING",
            exclude_nca=True,
        )
    query = "page_size=2&order=DESCENDING&exclude_nca=true&ownership_type=RECEIVED"
    assert [each.id for each in found] == ["2542620639259", "2", "3"]
    assert [told(each) for each in twin.sent] == [
        ("GET", f"{BASE}?{query}", None),
        ("GET", f"{BASE}?{query}&bookmark=a%26b", None),
    ]


@pytest.mark.parametrize("owner", OwnershipType)
async def test_a_listing_can_be_resumed(client: Twins, owner: OwnershipType) -> None:
    """From a bookmark that was kept; nothing else is sent that was not asked for."""
    async with client(Reply(data={"items": [], "bookmark": None})) as twin:
        await twin.walk("audiences_list", ACCOUNT, bookmark="kept", ownership_type=owner)
    assert twin.sent[0].url == f"{BASE}?ownership_type={owner}&bookmark=kept"


async def test_a_listing_without_arguments_has_no_query(client: Twins) -> None:
    """Pinterest's defaults are Pinterest's."""
    async with client(Reply(data={"items": []})) as twin:
        assert await twin.walk("audiences_list", ACCOUNT) == []
    assert twin.sent[0].url == BASE


CREATE: dict[str, object] = {"name": "x", "audience_type": "CUSTOMER_LIST", "rule": RULE}
LOOP: dict[str, object] = {}
LOOP["self"] = LOOP


@pytest.mark.parametrize(
    ("method", "arguments", "told"),
    [
        ("audiences_create", {**CREATE, "name": " "}, "name: a string that is not empty"),
        ("audiences_create", {**CREATE, "name": None}, "name: a string is needed"),
        ("audiences_create", {**CREATE, "audience_type": "LIST"}, "audience_type: one of CUSTOMER"),
        ("audiences_create", {**CREATE, "rule": {}}, "rule: a mapping that is not empty"),
        ("audiences_create", {**CREATE, "rule": "x"}, "rule: a mapping that is not empty"),
        ("audiences_create", {**CREATE, "rule": {"a": {1, 2}}}, "rule: holds something"),
        ("audiences_create", {**CREATE, "rule": {"a": float("nan")}}, "rule: holds something"),
        ("audiences_create", {**CREATE, "rule": LOOP}, "rule: holds something"),
        ("audiences_create", {**CREATE, "description": 5}, "description: a string is needed"),
        ("audiences_update", {"audience_id": "x", "name": "y"}, "audience_id: a string of 1 to 18"),
        ("audiences_update", {"audience_id": "1"}, "audience: a name, description or rule"),
        ("audiences_update", {"audience_id": "1", "name": ""}, "name: a string that is not"),
        ("audiences_update", {"audience_id": "1", "description": 5}, "description: a string is"),
        ("audiences_update", {"audience_id": "1", "rule": {}}, "rule: a mapping"),
        (
            "audiences_update",
            {"audience_id": "1", "operation_type": "REMOVE", "name": "y"},
            "operation_type: REMOVE takes no other change",
        ),
        (
            "audiences_update",
            {"audience_id": "1", "operation_type": "DELETE"},
            "operation_type: one of UPDATE, REMOVE",
        ),
        ("audiences_get", {"audience_id": ""}, "audience_id: a string of 1 to 18 digits"),
        ("audiences_list", {"ownership_type": "MINE"}, "ownership_type: one of OWNED, RECEIVED"),
        ("audiences_list", {"page_size": 251}, "page_size: a whole number from 1 to 250"),
        ("audiences_list", {"order": "up"}, "order: one of ASCENDING, DESCENDING"),
        ("audiences_list", {"bookmark": ""}, "bookmark: a string that is not empty"),
        ("audiences_list", {"exclude_nca": 1}, "exclude_nca: True or False"),
        (
            "create_customer_list_audience",
            {"customer_list_id": "x", "name": "y"},
            "customer_list_id: a string of 1 to 18 digits",
        ),
    ],
)
async def test_a_wrong_argument_is_refused_before_anything_is_sent(
    client: Twins, method: str, arguments: dict[str, object], told: str
) -> None:
    """The error begins with the argument's name."""
    async with client() as twin:
        with pytest.raises(ConfigurationError, match=f"^{told}"):
            await twin.call(method, ACCOUNT, **arguments)
    assert twin.sent == []


async def test_a_refusal_keeps_the_words_of_the_api_and_not_ours(client: Twins) -> None:
    """A type or an operation may be quoted; the rest of what was sent is taken out."""
    message = "No CUSTOMER_LIST for Secret Spring Sale"
    async with client(refusal(403, 29, message)) as twin:
        with pytest.raises(PermissionDeniedError) as failed:
            await twin.call("create_customer_list_audience", ACCOUNT, 6, "Secret Spring Sale")
    assert failed.value.message == "No CUSTOMER_LIST for [sent]"
    assert "role on the ad account" in str(failed.value)
