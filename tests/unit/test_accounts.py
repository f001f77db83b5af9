"""The calls for the user account and ad accounts, with both clients."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from support.twins import Kind, Twins, twins
from support.wire import Reply, refusal

from pinterest_audiences import (
    AdAccount,
    AdAccountOwner,
    Client,
    ConfigurationError,
    NotFoundError,
    PermissionDeniedError,
    UserAccount,
    UserAccountType,
)
from pinterest_audiences.emulator import Emulator

pytestmark = pytest.mark.anyio

BASE = "https://api.pinterest.com/v5/user_account"
AD_ACCOUNTS = "https://api.pinterest.com/v5/ad_accounts"
SHOWN: dict[str, object] = {
    "id": "2783136121146311751",
    "username": "shop",
    "account_type": "BUSINESS",
    "business_name": None,
    "board_count": 14,
}


@pytest.fixture(params=["awaiting", "blocking"])
def client(request: pytest.FixtureRequest) -> Twins:
    kind: Kind = request.param
    return twins(kind)


async def test_user_account_of_the_token_is_returned(client: Twins) -> None:
    """Fields that do not identify the account are returned as received."""
    async with client(Reply(200, SHOWN)) as twin:
        account = await twin.call("user_account_get")
    assert account == UserAccount(
        id="2783136121146311751", username="shop", account_type=UserAccountType.BUSINESS
    )
    assert account.extra == {"board_count": 14}
    assert [(each.method, each.url) for each in twin.sent] == [("GET", BASE)]


async def test_user_account_of_an_ad_account_owner_is_returned(client: Twins) -> None:
    """With business access; an invalid id is refused before sending."""
    async with client(Reply(200, SHOWN)) as twin:
        await twin.call("user_account_get", ad_account_id=549)
        with pytest.raises(ConfigurationError, match="ad_account_id"):
            await twin.call("user_account_get", ad_account_id="5 49")
    assert [each.url for each in twin.sent] == [f"{BASE}?ad_account_id=549"]


async def test_user_account_without_access_is_an_error(client: Twins) -> None:
    """With the message of the API."""
    async with client(refusal(403, code=403, message="Not authorized to access.")) as twin:
        with pytest.raises(PermissionDeniedError, match="user_account_get: 403"):
            await twin.call("user_account_get")


AD_ACCOUNT: dict[str, object] = {
    "id": "549755885175",
    "name": "Shop",
    "owner": {"id": "2783136121146311751", "username": "shop"},
    "country": "DE",
    "currency": "EUR",
    "permissions": ["OWNER", "ROLE_OF_2030"],
    "created_time": 1600000000,
    "updated_time": 1700000000,
    "time_zone": "Europe/Berlin",
    "is_new": True,
}


async def test_ad_account_is_read_with_owner_roles_and_unknown_fields(client: Twins) -> None:
    """The fields of a recorded response; a role that this version does not know stays."""
    async with client(Reply(200, AD_ACCOUNT)) as twin:
        account = await twin.call("ad_accounts_get", 549755885175)
    assert account == AdAccount(
        id="549755885175",
        name="Shop",
        owner=AdAccountOwner(id="2783136121146311751", username="shop"),
        country="DE",
        currency="EUR",
        permissions=["OWNER", "ROLE_OF_2030"],
        created_time=datetime.fromtimestamp(1600000000, UTC),
        updated_time=datetime.fromtimestamp(1700000000, UTC),
        time_zone="Europe/Berlin",
    )
    assert account.extra == {"is_new": True}
    assert [(each.method, each.url) for each in twin.sent] == [
        ("GET", f"{AD_ACCOUNTS}/549755885175")
    ]


async def test_unknown_ad_account_is_not_found(client: Twins) -> None:
    """A wrong id is refused before a request is sent."""
    async with client(refusal(404, code=2, message="AdAccount not found.")) as twin:
        with pytest.raises(NotFoundError, match="ad_accounts_get: 404"):
            await twin.call("ad_accounts_get", "549")
        with pytest.raises(ConfigurationError, match="ad_account_id"):
            await twin.call("ad_accounts_get", "my account")
    assert len(twin.sent) == 1


async def test_ad_accounts_are_listed_over_all_pages(client: Twins) -> None:
    """Query parameters that are not given are not sent."""
    pages = (
        Reply(200, {"items": [{"id": "1"}, {"id": "2"}], "bookmark": "a&b"}),
        Reply(200, {"items": [{"id": "3"}], "bookmark": None}),
    )
    async with client(*pages) as twin:
        accounts = await twin.walk("ad_accounts_list")
    assert [account.id for account in accounts] == ["1", "2", "3"]
    assert [each.url for each in twin.sent] == [AD_ACCOUNTS, f"{AD_ACCOUNTS}?bookmark=a%26b"]


@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        ({"include_shared_accounts": True}, "include_shared_accounts=true"),
        (
            {"include_shared_accounts": False, "page_size": 250},
            "page_size=250&include_shared_accounts=false",
        ),
        ({"bookmark": "x"}, "bookmark=x"),
    ],
)
async def test_arguments_of_ad_accounts_list_become_query_parameters(
    client: Twins, arguments: dict[str, object], query: str
) -> None:
    """In the names of the description."""
    async with client(Reply(200, {"items": [], "bookmark": None})) as twin:
        assert await twin.walk("ad_accounts_list", **arguments) == []
    assert [each.url for each in twin.sent] == [f"{AD_ACCOUNTS}?{query}"]


async def test_emulator_lists_the_example_account_until_a_list_exists() -> None:
    """So that the first call on a new emulator shows an account to continue with."""
    emulator = Emulator()
    with Client("token", transport=emulator.transport()) as client:
        assert [account.id for account in client.ad_accounts_list()] == ["549755885175"]
        emulator.seed_lists("77", 1)
        assert [account.id for account in client.ad_accounts_list()] == ["77"]


@pytest.mark.parametrize(
    ("permissions", "allowed"),
    [
        (["OWNER"], True),
        (["ADMIN"], True),
        (["CAMPAIGN_MANAGER", "AUDIENCE_MANAGER"], True),
        (["ANALYST", "CAMPAIGN_MANAGER"], False),
        ([], False),
        (None, None),
    ],
)
async def test_ad_account_shows_whether_the_roles_allow_customer_lists(
    permissions: list[str] | None, allowed: bool | None
) -> None:
    """One of three roles is enough; unknown if Pinterest returned no roles."""
    assert AdAccount(id="1", permissions=permissions).allows_customer_lists is allowed


@pytest.mark.parametrize("roles", [["ANALYST"], []])
async def test_missing_role_is_a_403_that_names_the_roles(roles: list[str]) -> None:
    """Customer lists and changes of audiences; ad accounts and audiences can be read."""
    emulator = Emulator(roles=roles)
    (audience_id,) = emulator.seed_audiences("549", 1)
    named = "needs the role OWNER, ADMIN or AUDIENCE_MANAGER on the ad account"
    with Client("token", transport=emulator.transport()) as client:
        assert client.ad_accounts_get("549").permissions == roles
        assert client.audiences_get("549", audience_id).id == audience_id
        with pytest.raises(PermissionDeniedError, match=named):
            client.customer_lists_list("549").collect()
        with pytest.raises(PermissionDeniedError, match=named):
            client.audiences_update("549", audience_id, name="New")
