"""Credentials from environment variables, and their precedence."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.clock import FakeClock
from support.tokens import APP, FIRST, TokenWorld, kept
from support.wire import LIST, Reply, refusal, rig

from pinterest_audiences import (
    AsyncClient,
    Client,
    ConfigurationError,
    FileTokenStore,
    RefreshingToken,
    TokenSource,
    token_from_environment,
)
from pinterest_audiences.emulator import Emulator

pytestmark = pytest.mark.anyio

ACCOUNT = "549755885175"
APP_VALUES = {"PINTEREST_APP_ID": APP.app_id, "PINTEREST_APP_SECRET": APP.app_secret}
REFRESH = {"PINTEREST_REFRESH_ACCESS_TOKEN": FIRST, **APP_VALUES}
ACCESS = {"PINTEREST_ACCESS_TOKEN": "pina_SENTINELaccess0"}


def set_all(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def source(world: TokenWorld) -> TokenSource:
    return token_from_environment(transport=world.transport, clock=FakeClock())


async def test_access_token_alone_is_used_without_refresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with app credentials, which alone cannot refresh it."""
    set_all(monkeypatch, {**ACCESS, **APP_VALUES})
    found = token_from_environment()
    token = await found.get()
    assert token.value == "pina_SENTINELaccess0"
    assert await found.refresh(token) == token


async def test_refresh_token_alone_is_exchanged_for_an_access_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_all(monkeypatch, REFRESH)
    world = TokenWorld()
    assert (await source(world).get()).value == "pina_SENTINELaccess1"


async def test_access_token_is_refreshed_once_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a refresh token in the environment."""
    set_all(monkeypatch, {**ACCESS, **REFRESH})
    world = TokenWorld()
    async with AsyncClient(source(world), transport=world.transport()) as client:
        await client.customer_lists_list(ACCOUNT).collect()
        assert world.refreshes == 0
        world.access_token = "revoked"
        await client.customer_lists_list(ACCOUNT).collect()
    assert world.refreshes == 1


async def test_each_credential_may_be_in_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Containers receive secrets as files; a trailing line break is removed."""
    for name, value in {**ACCESS, **REFRESH}.items():
        path = tmp_path / name
        path.write_text(f"{value}\n")
        monkeypatch.setenv(f"{name}_FILE", str(path))
    world = TokenWorld()
    found = source(world)
    token = await found.get()
    assert token.value == "pina_SENTINELaccess0"
    assert (await found.refresh(token)).value == "pina_SENTINELaccess1"


async def test_access_token_file_is_read_again_once_the_token_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Mounted secrets are replaced while the process runs."""
    path = tmp_path / "token"
    path.write_text("old")
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN_FILE", str(path))

    async def expired(_: object) -> Reply:
        path.write_text("new\n")
        return refusal(401, 2)

    scene = rig(expired, Reply(data=LIST), access_token=token_from_environment())
    async with scene.client as client:
        await client.customer_lists_get("1", "2")
    assert [sent.headers["authorization"] for sent in scene.sent] == ["Bearer old", "Bearer new"]


@pytest.mark.parametrize("name", [*ACCESS, *REFRESH])
def test_unreadable_credential_file_is_reported_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """Missing, a folder, or other content; the plain variable cannot be set as well."""
    set_all(monkeypatch, {k: v for k, v in {**ACCESS, **REFRESH}.items() if k != name})
    bad = tmp_path / "bad"
    bad.write_bytes(b"two words SENTINEL \xff")
    for path, message in (
        (tmp_path / "no", "No such file"),
        (tmp_path, "directory"),
        (bad, "ASCII"),
    ):
        monkeypatch.setenv(f"{name}_FILE", str(path))
        with pytest.raises(ConfigurationError, match=message) as refused:
            AsyncClient()
        assert str(refused.value).startswith((f"{name}_FILE: ", f"{name}_FILE must be "))
        assert "SENTINEL" not in str(refused.value)
    monkeypatch.setenv(name, "both")
    with pytest.raises(ConfigurationError, match=f"{name} and {name}_FILE are both set"):
        Client()


@pytest.mark.parametrize("missing", list(APP_VALUES))
@pytest.mark.parametrize("store", [True, False])
def test_refresh_token_without_app_credentials_names_them(
    monkeypatch: pytest.MonkeyPatch, missing: str, store: bool
) -> None:
    """At once, and not when the access token expires a month later."""
    set_all(monkeypatch, {**ACCESS, **REFRESH})
    monkeypatch.setenv(missing, "")
    if store:
        monkeypatch.setenv("PINTEREST_TOKEN_STORE", "tokens.json")
        monkeypatch.delenv("PINTEREST_REFRESH_ACCESS_TOKEN")
    with pytest.raises(ConfigurationError, match=f"without {missing}: set"):
        AsyncClient()


async def test_stored_refresh_token_precedes_the_used_one_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """After a restart the environment still has the first refresh token."""
    set_all(monkeypatch, {**REFRESH, "PINTEREST_TOKEN_STORE": str(tmp_path / "tokens.json")})
    world = TokenWorld()
    for number in (1, 2, 3):
        found = source(world)
        token = await found.get()
        assert token.value == f"pina_SENTINELaccess{number}"
        world.access_token = "revoked"
        assert (await found.refresh(token)).value == f"pina_SENTINELaccess{world.refreshes}"
    assert world.refreshes == 4


async def test_new_refresh_token_in_the_environment_precedes_the_store(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It comes from a newer login."""
    set_all(monkeypatch, {**REFRESH, "PINTEREST_TOKEN_STORE": str(tmp_path / "tokens.json")})
    world = TokenWorld()
    await source(world).get()
    world.refresh_token = "new-login"
    monkeypatch.setenv("PINTEREST_REFRESH_ACCESS_TOKEN", "new-login")
    assert (await source(world).get()).value == "pina_SENTINELaccess2"


async def test_login_in_the_store_precedes_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A person logged in on this machine."""
    store = FileTokenStore(tmp_path / "tokens.json")
    with store.lock() as locked:
        locked.save(kept())
    values = {**REFRESH, "PINTEREST_REFRESH_ACCESS_TOKEN": "older"}
    set_all(monkeypatch, {**values, "PINTEREST_TOKEN_STORE": str(store.path)})
    assert (await source(TokenWorld()).get()).value == "pina_SENTINELaccess1"


def test_token_store_without_a_login_is_a_configuration_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    set_all(monkeypatch, {**APP_VALUES, "PINTEREST_TOKEN_STORE": str(tmp_path / "tokens.json")})
    with pytest.raises(ConfigurationError, match="PINTEREST_TOKEN_STORE names a file without"):
        token_from_environment()


async def test_environment_refresh_uses_the_base_url_of_the_client(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A refresh token of an emulator is not sent to Pinterest."""
    set_all(monkeypatch, REFRESH)
    world = TokenWorld()
    with world.served() as base_url:
        async with AsyncClient(base_url=base_url) as client:
            assert len(await client.customer_lists_list(ACCOUNT).collect()) == 1
    assert world.refreshes == 1


def test_environment_refresh_with_custom_transport_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A refresh cannot share the transport, and must not bypass a proxy or leave a test."""
    set_all(monkeypatch, REFRESH)
    for make in (AsyncClient, Client):
        with pytest.raises(ConfigurationError, match=r"token_from_environment\(transport="):
            make(transport=Emulator().transport())
    assert isinstance(token_from_environment(transport=Emulator().transport), RefreshingToken)


@pytest.mark.parametrize("app", [True, False])
async def test_access_token_is_used_while_the_store_is_empty(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, app: bool
) -> None:
    """Or without credentials to refresh a login."""
    store = FileTokenStore(tmp_path / "tokens.json")
    set_all(monkeypatch, {**ACCESS, "PINTEREST_TOKEN_STORE": str(store.path)})
    if app:
        set_all(monkeypatch, APP_VALUES)
    else:
        with store.lock() as locked:
            locked.save(kept())
    assert (await source(TokenWorld()).get()).value == "pina_SENTINELaccess0"


async def test_app_credentials_argument_is_used_without_environment_app(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PINTEREST_REFRESH_ACCESS_TOKEN", FIRST)
    world = TokenWorld()
    found = token_from_environment(app=APP, transport=world.transport, clock=FakeClock())
    assert (await found.get()).value == "pina_SENTINELaccess1"
