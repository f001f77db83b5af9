"""What the account call promises, through both clients."""

from __future__ import annotations

import pytest
from support.twins import Kind, Twins, twins
from support.wire import Reply, refusal

from pinterest_audiences import (
    ConfigurationError,
    PermissionDeniedError,
    UserAccount,
    UserAccountType,
)

pytestmark = pytest.mark.anyio

BASE = "https://api.pinterest.com/v5/user_account"
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


async def test_the_account_of_the_token_is_told(client: Twins) -> None:
    """What is not about identity is kept as it comes."""
    async with client(Reply(200, SHOWN)) as twin:
        account = await twin.call("user_account_get")
    assert account == UserAccount(
        id="2783136121146311751", username="shop", account_type=UserAccountType.BUSINESS
    )
    assert account.extra == {"board_count": 14}
    assert [(each.method, each.url) for each in twin.sent] == [("GET", BASE)]


async def test_the_owner_of_an_ad_account_can_be_asked_for(client: Twins) -> None:
    """With business access; the id is checked before anything is sent."""
    async with client(Reply(200, SHOWN)) as twin:
        await twin.call("user_account_get", ad_account_id=549)
        with pytest.raises(ConfigurationError, match="ad_account_id"):
            await twin.call("user_account_get", ad_account_id="5 49")
    assert [each.url for each in twin.sent] == [f"{BASE}?ad_account_id=549"]


async def test_an_account_that_may_not_be_seen_is_an_error(client: Twins) -> None:
    """With the words of Pinterest."""
    async with client(refusal(403, code=403, message="Not authorized to access.")) as twin:
        with pytest.raises(PermissionDeniedError, match="user_account_get: 403"):
            await twin.call("user_account_get")
