"""Tokens in a keyring."""

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
    """A dictionary with the three functions of the keyring library that are used."""

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
    """Replace the keyring library, which requires a desktop."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    found = Passwords()
    monkeypatch.setitem(sys.modules, "keyring", found)
    return found


def test_missing_keyring_library_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """At creation, not at the first refresh."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'pinterest-audiences\[keyring\]'"):
        KeyringTokenStore()


async def test_tokens_in_a_keyring_are_refreshed(passwords: Passwords) -> None:
    """Under a file lock, because keyrings have none."""
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


def test_accounts_have_separate_tokens_and_locks(passwords: Passwords, tmp_path: Path) -> None:
    for account in ("one", "two"):
        with KeyringTokenStore(account, lock_timeout=0.01).lock() as locked:
            locked.save(kept(app_id=account))
            with KeyringTokenStore(f"{account}'s neighbour", lock_timeout=0.01).lock():
                pass
    assert [loaded(account).app_id for account in ("one", "two")] == ["one", "two"]
    assert len(list(tmp_path.rglob("keyring-*.lock"))) == 4


def loaded(account: str) -> TokenSet:
    found = KeyringTokenStore(account).load()
    assert found is not None
    return found


async def test_locked_keyring_stops_a_refresh_before_sending(
    passwords: Passwords,
) -> None:
    """The error does not quote the keyring's message."""
    store = KeyringTokenStore()
    with store.lock() as locked:
        locked.save(kept())
        passwords.locked = True
        with pytest.raises(TokenStoreError, match=r"keyring failed \(RuntimeError\)") as failed:
            locked.reserve()
    assert "SENTINEL" not in str(failed.value)


def test_invalid_keyring_content_is_refused(passwords: Passwords) -> None:
    """As in a file."""
    passwords.kept["pinterest-audiences", "default"] = "SENTINEL"
    with pytest.raises(TokenStoreError, match="log in again") as failed:
        KeyringTokenStore().load()
    assert "SENTINEL" not in str(failed.value)
