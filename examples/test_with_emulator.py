"""Test code that uses Pinterest's API, offline: the fixtures come with the package.

    pytest test_with_emulator.py

For your ad account: the function gets `Client()`, which uses your login.
"""

from __future__ import annotations

from pinterest_audiences import Client
from pinterest_audiences.emulator import Emulator

AD_ACCOUNT = "549755885175"


def add_buyer(client: Client, email: str) -> str:
    """The code under test: add one buyer to the list, which may not exist yet."""
    report = client.upload(AD_ACCOUNT, [email], name="Buyers")
    assert report.customer_list_id is not None
    return report.customer_list_id


def test_second_buyer_is_added_to_the_same_list(
    pinterest_client: Client, pinterest_emulator: Emulator
) -> None:
    """The emulator shows the members of a list, which Pinterest does not."""
    list_id = add_buyer(pinterest_client, "ada@shop.example")
    assert add_buyer(pinterest_client, "ben@shop.example") == list_id
    assert len(pinterest_emulator.members(list_id)) == 2


def test_rate_limit_is_waited_for(pinterest_client: Client, pinterest_emulator: Emulator) -> None:
    """On the emulator's clock a minute takes no time."""
    pinterest_emulator.fault("status", status=429, headers={"retry-after": "60"})
    before = pinterest_emulator.clock.time()
    add_buyer(pinterest_client, "ada@shop.example")
    assert pinterest_emulator.clock.time() - before >= 60
