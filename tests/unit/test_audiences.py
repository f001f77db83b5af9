"""The audience calls, with both clients."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from support.cases import each_case
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
NONE = Reply(data={"items": []})


@pytest.fixture(params=["awaiting", "blocking"])
def client(request: pytest.FixtureRequest) -> Twins:
    kind: Kind = request.param
    return twins(kind)


def request_of(sent: Sent) -> tuple[str, str, Any]:
    return sent.method, sent.url, json.loads(sent.body) if sent.body else None


async def test_create_sends_type_name_and_rule(client: Twins) -> None:
    """And the description if given; the response may be a 201."""
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
    assert [request_of(each) for each in twin.sent] == [
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


async def test_audience_of_a_list_requires_list_id_and_name(client: Twins) -> None:
    """The id may be a number; it is sent as a string. The audiences are read first."""
    async with client(NONE, AUDIENCE, NONE, AUDIENCE) as twin:
        await twin.call("create_customer_list_audience", ACCOUNT, 643, "Buyers")
        await twin.call(
            "create_customer_list_audience", ACCOUNT, "643", "Buyers", description="Of May"
        )
    wanted = {"name": "Buyers", "audience_type": "CUSTOMER_LIST", "rule": RULE}
    assert [request_of(each) for each in twin.sent] == [
        ("GET", f"{BASE}?page_size=250", None),
        ("POST", BASE, wanted),
        ("GET", f"{BASE}?page_size=250", None),
        ("POST", BASE, {**wanted, "description": "Of May"}),
    ]


async def test_audience_of_a_list_is_returned_if_it_exists(client: Twins) -> None:
    """With the rule and the name; none is created."""
    others: list[dict[str, object]] = [
        {**SHOWN, "id": "1", "name": "Other"},
        {**SHOWN, "id": "2", "rule": {"customer_list_id": "644"}},
        {**SHOWN, "id": "3", "rule": None},
    ]
    async with client(Reply(data={"items": [*others, SHOWN]})) as twin:
        result = await twin.call("create_customer_list_audience", ACCOUNT, 643, "Buyers")
    assert result.id == SHOWN["id"]
    assert len(twin.sent) == 1


async def test_audience_is_decoded_field_by_field(client: Twins) -> None:
    """Null becomes None, and 1000.0 an int."""
    async with client(Reply(data={**SHOWN, "new_in_2030": [1]})) as twin:
        found = await twin.call("audiences_get", ACCOUNT, "2542620639259")
    assert request_of(twin.sent[0]) == ("GET", f"{BASE}/2542620639259", None)
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


@each_case("missing", sorted(set(SHOWN) - {"id"}))
@each_case("as_null", [False, True])
async def test_audience_fields_except_the_id_may_be_missing_or_null(
    missing: str, as_null: bool
) -> None:
    data = {name: value for name, value in SHOWN.items() if name != missing}
    async with twins("awaiting")(Reply(data={**data, missing: None} if as_null else data)) as twin:
        found = await twin.call("audiences_get", ACCOUNT, "1")
    assert getattr(found, missing) is None
    assert found.extra == {}


async def test_audience_with_numeric_id_is_unreadable() -> None:
    """Other calls depend on the id, so it is not converted."""
    async with twins("awaiting")(Reply(data={**SHOWN, "id": 1})) as twin:
        with pytest.raises(DecodeError) as failed:
            await twin.call("audiences_get", ACCOUNT, "1")
    assert failed.value.problems == ("expected a string, got a number @ $.id",)


@pytest.mark.parametrize(
    ("field", "value"),
    [("rule", []), ("rule", "x"), ("size", 1.5), ("created_timestamp", "now"), ("status", 5)],
)
async def test_audience_field_of_wrong_type_is_none_and_in_extra(field: str, value: object) -> None:
    """The rest of the audience is decoded."""
    async with twins("awaiting")(Reply(data={**SHOWN, field: value})) as twin:
        found = await twin.call("audiences_get", ACCOUNT, "1")
    assert getattr(found, field) is None
    assert found.extra == {field: value}


async def test_unknown_audience_types_and_states_are_strings(client: Twins) -> None:
    """They equal the received strings."""
    data = {**SHOWN, "audience_type": "DREAMERS", "status": "ASLEEP"}
    async with client(Reply(data=data)) as twin:
        found = await twin.call("audiences_get", ACCOUNT, "1")
    assert (found.audience_type, found.status) == ("DREAMERS", "ASLEEP")
    assert not found.status.is_known


async def test_update_sends_operation_and_changed_fields_only(client: Twins) -> None:
    """A description may be emptied."""
    async with client(AUDIENCE, AUDIENCE) as twin:
        await twin.call("audiences_update", ACCOUNT, "7", name="New", rule=RULE)
        await twin.call("audiences_update", ACCOUNT, 7, description="")
    assert [request_of(each) for each in twin.sent] == [
        ("PATCH", f"{BASE}/7", {"operation_type": "UPDATE", "name": "New", "rule": RULE}),
        ("PATCH", f"{BASE}/7", {"operation_type": "UPDATE", "description": ""}),
    ]


@pytest.mark.parametrize("remove", ["REMOVE", AudienceOperationType.REMOVE])
async def test_remove_sends_only_the_operation(client: Twins, remove: str) -> None:
    """The API has no other deletion."""
    async with client(AUDIENCE) as twin:
        await twin.call("audiences_update", ACCOUNT, "7", operation_type=remove)
    assert request_of(twin.sent[0]) == ("PATCH", f"{BASE}/7", {"operation_type": "REMOVE"})


async def test_removal_retried_after_a_lost_response_may_be_applied(client: Twins) -> None:
    """The retry finds nothing, and the error says that the audience may be removed."""
    async with client(httpx.ReadError("lost"), refusal(404, 50, "Not found.")) as twin:
        with pytest.raises(NotFoundError) as failed:
            await twin.call("audiences_update", ACCOUNT, "7", operation_type="REMOVE")
    assert (failed.value.attempts, failed.value.maybe_applied) == (2, True)


async def test_create_with_lost_response_is_not_retried(client: Twins) -> None:
    """It could create a second audience."""
    arguments: dict[str, object] = {
        "name": "Buyers",
        "audience_type": "CUSTOMER_LIST",
        "rule": RULE,
    }
    async with client(httpx.ReadError("lost")) as twin:
        with pytest.raises(TransportError) as failed:
            await twin.call("audiences_create", ACCOUNT, **arguments)
    assert (failed.value.operation, failed.value.maybe_applied) == ("audiences_create", True)
    assert len(twin.sent) == 1


async def test_audience_of_a_list_is_looked_for_after_a_lost_response(client: Twins) -> None:
    """The create is not repeated."""
    async with client(NONE, httpx.ReadError("lost"), Reply(data={"items": [SHOWN]})) as twin:
        result = await twin.call("create_customer_list_audience", ACCOUNT, "643", "Buyers")
    assert result.id == SHOWN["id"]
    assert [sent.method for sent in twin.sent] == ["GET", "POST", "GET"]


async def test_listing_sends_the_same_arguments_with_each_bookmark(client: Twins) -> None:
    """For owned and received audiences."""
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
    assert [request_of(each) for each in twin.sent] == [
        ("GET", f"{BASE}?{query}", None),
        ("GET", f"{BASE}?{query}&bookmark=a%26b", None),
    ]


@pytest.mark.parametrize("owner", OwnershipType)
async def test_listing_starts_at_a_stored_bookmark(client: Twins, owner: OwnershipType) -> None:
    """It sends only the given arguments."""
    async with client(Reply(data={"items": [], "bookmark": None})) as twin:
        await twin.walk("audiences_list", ACCOUNT, bookmark="kept", ownership_type=owner)
    assert twin.sent[0].url == f"{BASE}?ownership_type={owner}&bookmark=kept"


async def test_listing_without_arguments_has_no_query(client: Twins) -> None:
    """The defaults are Pinterest's."""
    async with client(Reply(data={"items": []})) as twin:
        assert await twin.walk("audiences_list", ACCOUNT) == []
    assert twin.sent[0].url == BASE


CREATE: dict[str, object] = {"name": "x", "audience_type": "CUSTOMER_LIST", "rule": RULE}
LOOP: dict[str, object] = {}
LOOP["self"] = LOOP


@each_case(
    ("method", "arguments", "message"),
    [
        ("audiences_create", {**CREATE, "name": " "}, "name must be a non-empty string"),
        ("audiences_create", {**CREATE, "name": None}, "name must be a non-empty string"),
        (
            "audiences_create",
            {**CREATE, "audience_type": "LIST"},
            "audience_type must be one of CUSTOMER",
        ),
        ("audiences_create", {**CREATE, "rule": {}}, "rule must be a non-empty mapping"),
        ("audiences_create", {**CREATE, "rule": "x"}, "rule must be a non-empty mapping"),
        ("audiences_create", {**CREATE, "rule": {"a": {1, 2}}}, "rule must contain JSON values"),
        (
            "audiences_create",
            {**CREATE, "rule": {"a": float("nan")}},
            "rule must contain JSON values",
        ),
        ("audiences_create", {**CREATE, "rule": LOOP}, "rule must contain JSON values"),
        ("audiences_create", {**CREATE, "description": 5}, "description must be a string"),
        (
            "audiences_update",
            {"audience_id": "x", "name": "y"},
            "audience_id must be a string of 1 to 18",
        ),
        (
            "audiences_update",
            {"audience_id": "1"},
            "audience: UPDATE requires a name, description or rule",
        ),
        ("audiences_update", {"audience_id": "1", "name": ""}, "name must be a non-empty"),
        (
            "audiences_update",
            {"audience_id": "1", "description": 5},
            "description must be a string",
        ),
        ("audiences_update", {"audience_id": "1", "rule": {}}, "rule must be a non-empty mapping"),
        (
            "audiences_update",
            {"audience_id": "1", "operation_type": "REMOVE", "name": "y"},
            "operation_type REMOVE does not allow other changes",
        ),
        (
            "audiences_update",
            {"audience_id": "1", "operation_type": "DELETE"},
            "operation_type must be one of UPDATE, REMOVE",
        ),
        ("audiences_get", {"audience_id": ""}, "audience_id must be a string of 1 to 18 digits"),
        (
            "audiences_list",
            {"ownership_type": "MINE"},
            "ownership_type must be one of OWNED, RECEIVED",
        ),
        ("audiences_list", {"page_size": 251}, "page_size must be an integer from 1 to 250"),
        ("audiences_list", {"order": "up"}, "order must be one of ASCENDING, DESCENDING"),
        ("audiences_list", {"bookmark": ""}, "bookmark must be a non-empty string"),
        ("audiences_list", {"exclude_nca": 1}, "exclude_nca must be True or False"),
        (
            "create_customer_list_audience",
            {"customer_list_id": "", "name": "y"},
            "customer_list_id must be an id of 1 to 18 digits, or a non-empty name",
        ),
    ],
)
async def test_invalid_audience_argument_is_refused_before_sending(
    client: Twins, method: str, arguments: dict[str, object], message: str
) -> None:
    """The error starts with the argument's name."""
    async with client() as twin:
        with pytest.raises(ConfigurationError, match=f"^{message}"):
            await twin.call(method, ACCOUNT, **arguments)
    assert twin.sent == []


async def test_refusal_keeps_words_of_the_api_and_redacts_arguments(client: Twins) -> None:
    """A type or an operation may be quoted."""
    message = "No CUSTOMER_LIST for Secret Spring Sale"
    async with client(NONE, refusal(403, 29, message)) as twin:
        with pytest.raises(PermissionDeniedError) as failed:
            await twin.call("create_customer_list_audience", ACCOUNT, 6, "Secret Spring Sale")
    assert failed.value.message == "No CUSTOMER_LIST for [sent]"
    assert "needs the role OWNER, ADMIN or AUDIENCE_MANAGER on the ad account" in str(failed.value)
