"""Tokens in a keyring: what of it is ours."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
from support.tokens import APP, TokenWorld, kept

from pinterest_audiences import (
    ConfigurationError,
    KeyringTokenStore,
    RefreshingToken,
    TokenSet,
    TokenStoreError,
)

pytestmark = pytest.mark.anyio


class Passwords(ModuleType):
    """The three functions of the library that are used, over a dictionary."""

    def __init__(self) -> None:
        super().__init__("keyring")
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = False

    def _open(self) -> None:
        if self.locked:
            raise RuntimeError("SENTINEL is locked")

    def get_password(self, service_name: str, username: str) -> str | None:
        self._open()
        return self.kept.get((service_name, username))

    def set_password(self, service_name: str, username: str, password: str) -> None:
        self._open()
        self.kept[service_name, username] = password

    def delete_password(self, service_name: str, username: str) -> None:
        self._open()
        del self.kept[service_name, username]


@pytest.fixture
def passwords(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Passwords:
    """Stand in for the library, which needs a desktop."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    found = Passwords()
    monkeypatch.setitem(sys.modules, "keyring", found)
    return found


def test_without_the_library_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the making, not at the first refresh."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'pinterest-audiences\[keyring\]'"):
        KeyringTokenStore()


async def test_tokens_in_a_keyring_are_refreshed(passwords: Passwords) -> None:
    """Under a lock on a file, for keyrings have none."""
    store, world = KeyringTokenStore("shop"), TokenWorld()
    assert store.load() is None
    with store.lock() as locked:
        locked.save(kept())
    source = RefreshingToken(store, APP, transport=world.transport)
    assert (await source.get()).value == "pina_SENTINELaccess1"
    now = store.load()
    assert now is not None
    assert now.refresh_token == world.refresh_token
    assert list(passwords.kept) == [("pinterest-audiences", "shop")]
    assert "SENTINEL" not in repr(source)
    with store.lock() as locked:
        locked.delete()
        locked.delete()
    assert store.load() is None


def test_two_accounts_do_not_meet(passwords: Passwords, tmp_path: Path) -> None:
    """Neither their tokens nor their locks."""
    for account in ("one", "two"):
        with KeyringTokenStore(account, patience=0.01).lock() as locked:
            locked.save(kept(app_id=account))
            with KeyringTokenStore(f"{account}'s neighbour", patience=0.01).lock():
                pass
    assert [loaded(account).app_id for account in ("one", "two")] == ["one", "two"]
    assert len(list(tmp_path.rglob("keyring-*.lock"))) == 4


def loaded(account: str) -> TokenSet:
    found = KeyringTokenStore(account).load()
    assert found is not None
    return found


async def test_a_keyring_that_is_locked_stops_a_refresh_before_the_token_is_sent(
    passwords: Passwords,
) -> None:
    """Its own words are not told."""
    store = KeyringTokenStore()
    with store.lock() as locked:
        locked.save(kept())
        passwords.locked = True
        with pytest.raises(TokenStoreError, match=r"keyring failed \(RuntimeError\)") as failed:
            locked.reserve()
    assert "SENTINEL" not in str(failed.value)


def test_what_is_garbled_is_refused(passwords: Passwords) -> None:
    """As in a file."""
    passwords.kept["pinterest-audiences", "default"] = "SENTINEL"
    with pytest.raises(TokenStoreError, match="log in again") as failed:
        KeyringTokenStore().load()
    assert "SENTINEL" not in str(failed.value)
