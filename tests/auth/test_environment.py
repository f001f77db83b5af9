"""Tokens of the environment: which variables lead where."""

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
    TokenRefreshError,
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


async def test_an_access_token_alone_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the app is named, for that alone refreshes nothing."""
    set_all(monkeypatch, {**ACCESS, **APP_VALUES})
    found = token_from_environment()
    token = await found.get()
    assert token.value == "pina_SENTINELaccess0"
    assert await found.refresh(token) == token


async def test_a_refresh_token_is_exchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    """For an access token, where there is none."""
    set_all(monkeypatch, REFRESH)
    world = TokenWorld()
    assert (await source(world).get()).value == "pina_SENTINELaccess1"


async def test_an_access_token_is_used_until_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """And refreshed then, where a refresh token is there too."""
    set_all(monkeypatch, {**ACCESS, **REFRESH})
    world = TokenWorld()
    async with AsyncClient(source(world), transport=world.transport()) as client:
        await client.customer_lists_list(ACCOUNT).collect()
        assert world.refreshes == 0
        world.access_token = "revoked"
        await client.customer_lists_list(ACCOUNT).collect()
    assert world.refreshes == 1


async def test_each_may_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As containers are given their secrets; a line break at the end is no part of it."""
    for name, value in {**ACCESS, **REFRESH}.items():
        path = tmp_path / name
        path.write_text(f"{value}\n")
        monkeypatch.setenv(f"{name}_FILE", str(path))
    world = TokenWorld()
    found = source(world)
    token = await found.get()
    assert token.value == "pina_SENTINELaccess0"
    assert (await found.refresh(token)).value == "pina_SENTINELaccess1"


async def test_an_access_token_in_a_file_is_read_again_when_it_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whoever mounts secrets replaces them there, while the process runs."""
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
def test_a_file_that_cannot_be_read_is_told_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """Missing, a folder, or full of something else; and not together with the plain variable."""
    set_all(monkeypatch, {k: v for k, v in {**ACCESS, **REFRESH}.items() if k != name})
    bad = tmp_path / "bad"
    bad.write_bytes(b"two words SENTINEL \xff")
    for path, told in ((tmp_path / "no", "No such file"), (tmp_path, "directory"), (bad, "ASCII")):
        monkeypatch.setenv(f"{name}_FILE", str(path))
        with pytest.raises(ConfigurationError, match=told) as refused:
            AsyncClient()
        assert str(refused.value).startswith(f"{name}_FILE: ")
        assert "SENTINEL" not in str(refused.value)
    monkeypatch.setenv(name, "both")
    with pytest.raises(ConfigurationError, match=f"{name} and {name}_FILE are both set"):
        Client()


@pytest.mark.parametrize("missing", list(APP_VALUES))
@pytest.mark.parametrize("store", [True, False])
def test_a_refresh_token_without_its_app_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, missing: str, store: bool
) -> None:
    """Before it is too late: in a month the access token would be over."""
    set_all(monkeypatch, {**ACCESS, **REFRESH})
    monkeypatch.setenv(missing, "")
    if store:
        monkeypatch.setenv("PINTEREST_TOKEN_STORE", "tokens.json")
        monkeypatch.delenv("PINTEREST_REFRESH_ACCESS_TOKEN")
    with pytest.raises(ConfigurationError, match=f"without {missing}: set"):
        AsyncClient()


async def test_a_store_outlives_the_process_and_the_token_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The environment still holds the first refresh token, which is used up."""
    set_all(monkeypatch, {**REFRESH, "PINTEREST_TOKEN_STORE": str(tmp_path / "tokens.json")})
    world = TokenWorld()
    for number in (1, 2, 3):
        found = source(world)
        token = await found.get()
        assert token.value == f"pina_SENTINELaccess{number}"
        world.access_token = "revoked"
        assert (await found.refresh(token)).value == f"pina_SENTINELaccess{world.refreshes}"
    assert world.refreshes == 4


async def test_a_new_refresh_token_in_the_environment_goes_before_what_came_of_the_old_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Somebody has logged in anew and put it there."""
    set_all(monkeypatch, {**REFRESH, "PINTEREST_TOKEN_STORE": str(tmp_path / "tokens.json")})
    world = TokenWorld()
    await source(world).get()
    world.refresh_token = "new-login"
    monkeypatch.setenv("PINTEREST_REFRESH_ACCESS_TOKEN", "new-login")
    assert (await source(world).get()).value == "pina_SENTINELaccess2"


async def test_a_login_in_the_store_goes_before_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It was made on this machine, by hand."""
    store = FileTokenStore(tmp_path / "tokens.json")
    with store.lock() as locked:
        locked.save(kept())
    values = {**REFRESH, "PINTEREST_REFRESH_ACCESS_TOKEN": "older"}
    set_all(monkeypatch, {**values, "PINTEREST_TOKEN_STORE": str(store.path)})
    assert (await source(TokenWorld()).get()).value == "pina_SENTINELaccess1"


async def test_a_store_without_a_login_says_to_log_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """At the first call: until then somebody may have."""
    set_all(monkeypatch, {**APP_VALUES, "PINTEREST_TOKEN_STORE": str(tmp_path / "tokens.json")})
    with pytest.raises(TokenRefreshError, match="log in first"):
        await token_from_environment().get()


async def test_clients_that_are_given_no_token_refresh_where_they_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At their own base URL: a refresh token for an emulator is not sent to Pinterest."""
    set_all(monkeypatch, REFRESH)
    world = TokenWorld()
    with world.served() as base_url:
        async with AsyncClient(base_url=base_url) as client:
            assert len(await client.customer_lists_list(ACCOUNT).collect()) == 1
    assert world.refreshes == 1


def test_a_transport_of_the_clients_own_is_not_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refresh cannot share it, and must not go round a proxy, or out of a test, in silence."""
    set_all(monkeypatch, REFRESH)
    for make in (AsyncClient, Client):
        with pytest.raises(ConfigurationError, match=r"token_from_environment\(transport="):
            make(transport=Emulator().transport())
    assert isinstance(token_from_environment(transport=Emulator().transport), RefreshingToken)


@pytest.mark.parametrize("app", [True, False])
async def test_an_access_token_is_used_while_the_store_is_empty(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, app: bool
) -> None:
    """Or where nothing is there to refresh a login with."""
    store = FileTokenStore(tmp_path / "tokens.json")
    set_all(monkeypatch, {**ACCESS, "PINTEREST_TOKEN_STORE": str(store.path)})
    if app:
        set_all(monkeypatch, APP_VALUES)
    else:
        with store.lock() as locked:
            locked.save(kept())
    assert (await source(TokenWorld()).get()).value == "pina_SENTINELaccess0"


async def test_the_app_may_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the environment does not name one."""
    monkeypatch.setenv("PINTEREST_REFRESH_ACCESS_TOKEN", FIRST)
    world = TokenWorld()
    found = token_from_environment(app=APP, transport=world.transport, clock=FakeClock())
    assert (await found.get()).value == "pina_SENTINELaccess1"
