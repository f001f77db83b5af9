"""Clients and commands share profiles and logins: argument, then environment, then profile."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from support.tokens import APP, TokenWorld, kept
from support.wire import PAGE

from pinterest_audiences import (
    AsyncClient,
    Client,
    ConfigurationError,
    FileTokenStore,
    RefreshingToken,
    TokenSet,
    token_from_environment,
)

pytestmark = pytest.mark.anyio

ACCOUNT = "549755885175"
BOTH = pytest.mark.parametrize("make", [AsyncClient, Client])


def folder() -> Path:
    """Return the configuration folder of the test."""
    path = Path(os.environ["XDG_CONFIG_HOME"]) / "pinterest-audiences"
    path.mkdir(exist_ok=True)
    return path


def write_config(text: str) -> Path:
    path = folder() / "config.toml"
    path.write_text(text)
    path.chmod(0o600)
    return path


def save_login(name: str = "tokens.json", tokens: TokenSet | None = None) -> FileTokenStore:
    """Store a login as the command line does."""
    store = FileTokenStore(folder() / name)
    with store.lock() as locked:
        locked.save(tokens or TokenSet(access_token=f"pina_{name}"))
    return store


async def sent_by(**arguments: object) -> httpx.Request:
    """Return the request of a client with these arguments."""
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json=PAGE)

    transport = httpx.MockTransport(answer)
    async with AsyncClient(transport=transport, **arguments) as client:  # type: ignore[arg-type]  # checked at run time
        await client.customer_lists_list(ACCOUNT).collect()
    (request,) = requests
    return request


async def token_of(**arguments: object) -> str:
    return (await sent_by(**arguments)).headers["authorization"].removeprefix("Bearer ")


async def test_token_precedence_is_argument_environment_login_token_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each is taken away in turn."""
    (folder() / "token").write_text("pina_file\n")
    write_config(f"[profiles.default]\naccess_token_file = '{folder() / 'token'}'\n")
    store = save_login()
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", "pina_environment")
    assert await token_of(access_token="pina_argument") == "pina_argument"
    assert await token_of() == "pina_environment"
    monkeypatch.delenv("PINTEREST_ACCESS_TOKEN")
    assert await token_of() == "pina_tokens.json"
    store.path.unlink()
    assert await token_of() == "pina_file"


async def test_base_url_precedence_is_argument_environment_profile_pinterest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = write_config("[profiles.default]\napi_uri = 'https://profile/v5'\n")
    monkeypatch.setenv("PINTEREST_API_URI", "https://environment/v5")
    argument = {"access_token": "t", "base_url": "https://argument/v5"}
    assert (await sent_by(**argument)).url.host == "argument"
    assert (await sent_by(access_token="t")).url.host == "environment"
    monkeypatch.delenv("PINTEREST_API_URI")
    assert (await sent_by(access_token="t")).url.host == "profile"
    config.unlink()
    assert (await sent_by(access_token="t")).url.host == "api.pinterest.com"


async def test_profile_precedence_is_argument_environment_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each profile has its own login."""
    write_config("[profiles.default]\n[profiles.shop]\n[profiles.other]\n")
    for name in ("tokens.json", "tokens-shop.json", "tokens-other.json"):
        save_login(name)
    assert await token_of() == "pina_tokens.json"
    monkeypatch.setenv("PINTEREST_AUDIENCES_PROFILE", "shop")
    assert await token_of() == "pina_tokens-shop.json"
    assert await token_of(profile="other") == "pina_tokens-other.json"


async def test_login_file_may_be_named_by_profile_or_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_config(f"[profiles.default]\ntoken_store = '{folder() / 'mine.json'}'\n")
    save_login("mine.json")
    save_login("theirs.json")
    assert await token_of() == "pina_mine.json"
    monkeypatch.setenv("PINTEREST_TOKEN_STORE", str(folder() / "theirs.json"))
    assert await token_of() == "pina_theirs.json"


@pytest.mark.parametrize("app", ["argument", "environment", "profile"])
async def test_login_is_refreshed_with_the_app_of_argument_environment_or_profile(
    monkeypatch: pytest.MonkeyPatch, app: str
) -> None:
    """The new tokens are in the file of the command line."""
    store, world = save_login(tokens=kept()), TokenWorld()
    if app == "environment":
        monkeypatch.setenv("PINTEREST_APP_ID", APP.app_id)
        monkeypatch.setenv("PINTEREST_APP_SECRET", APP.app_secret)
    elif app == "profile":
        (folder() / "secret").write_text(APP.app_secret)
        write_config(
            f"[profiles.default]\napp_id = {APP.app_id}\n"
            f"app_secret_file = '{folder() / 'secret'}'\n"
        )
    source = token_from_environment(
        app=APP if app == "argument" else None, transport=world.transport
    )
    assert isinstance(source, RefreshingToken)
    assert (await source.get()).value == "pina_SENTINELaccess1"
    stored = store.load()
    assert stored is not None
    assert stored.refresh_token == world.refresh_token
    assert store.path.stat().st_mode & 0o777 == 0o600


async def test_client_without_arguments_refreshes_the_login_where_it_calls() -> None:
    """Both calls go to the base URL of the profile."""
    save_login(tokens=kept())
    (folder() / "secret").write_text(APP.app_secret)
    world = TokenWorld()
    with world.served() as base_url:
        write_config(
            f"[profiles.default]\napi_uri = '{base_url}'\napp_id = '{APP.app_id}'\n"
            f"app_secret_file = '{folder() / 'secret'}'\n"
        )
        async with AsyncClient() as client:
            assert len(await client.customer_lists_list(ACCOUNT).collect()) == 1
        with Client() as blocking:
            assert len(blocking.customer_lists_list(ACCOUNT).collect()) == 1
    assert world.refreshes == 1


@BOTH
def test_missing_credentials_name_argument_variable_and_login(make: Callable[..., object]) -> None:
    with pytest.raises(ConfigurationError) as refused:
        make()
    for word in ("access_token=", "PINTEREST_ACCESS_TOKEN", "`pinterest-audiences auth login`"):
        assert word in str(refused.value)


@BOTH
def test_missing_credentials_of_a_profile_name_its_login(make: Callable[..., object]) -> None:
    write_config("[profiles.shop]\n")
    with pytest.raises(ConfigurationError, match="auth login --profile shop`"):
        make(profile="shop")


@pytest.mark.usefixtures("homeless")
@BOTH
def test_missing_credentials_without_a_home_directory_name_both(
    make: Callable[..., object],
) -> None:
    with pytest.raises(ConfigurationError, match=r"PINTEREST_ACCESS_TOKEN is not set.*set HOME"):
        make()


@BOTH
@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (kept(), "cannot be refreshed without PINTEREST_APP_ID and PINTEREST_APP_SECRET"),
        (TokenSet(access_token="pina_x", expires_at=1.0), "expired.*auth login"),
    ],
)
def test_login_that_cannot_be_used_is_a_configuration_error(
    make: Callable[..., object], tokens: TokenSet, words: str
) -> None:
    save_login(tokens=tokens)
    with pytest.raises(ConfigurationError, match=words) as refused:
        make()
    assert "SENTINEL" not in str(refused.value)


@BOTH
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "profile must be a non-empty string"),
        (" ", "profile must be a non-empty string"),
        ("a/b", "profile must not contain a path separator"),
        (7, "profile must be a non-empty string"),
        ("nope", "no such profile; profiles: default"),
    ],
)
def test_unknown_profile_is_a_configuration_error(
    make: Callable[..., object], name: object, words: str
) -> None:
    """Also where every setting is an argument."""
    write_config("[profiles.default]\n")
    with pytest.raises(ConfigurationError, match=words):
        make("token", profile=name, base_url="https://host/v5")


@BOTH
def test_profile_variable_with_a_path_separator_is_a_configuration_error(
    make: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PINTEREST_AUDIENCES_PROFILE", "../shop")
    with pytest.raises(ConfigurationError, match="PINTEREST_AUDIENCES_PROFILE must not contain"):
        make("token")


async def test_broken_configuration_file_is_not_read_when_arguments_are_complete() -> None:
    write_config("[profiles.default\n")
    assert await token_of(access_token="t", base_url="https://host/v5") == "t"
    with pytest.raises(ConfigurationError, match="not valid TOML"):
        AsyncClient("t")


async def test_variables_that_override_a_named_profile_are_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As the command line warns of them; not for the default profile."""
    write_config("[profiles.shop]\nad_account = '1'\nstate = 'a.sqlite3'\n")
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", "pina_SENTINEL")
    monkeypatch.setenv("PINTEREST_AD_ACCOUNT_ID", "2")
    with caplog.at_level(logging.WARNING, "pinterest_audiences"):
        await token_of()
        assert caplog.messages == []
        await token_of(profile="shop")
    account, token = caplog.messages
    assert account == "PINTEREST_AD_ACCOUNT_ID overrides ad_account of profile 'shop'"
    assert token.startswith("the token of PINTEREST_ACCESS_TOKEN is used, not the login of profile")


async def test_no_warning_of_a_token_when_the_login_of_a_named_profile_is_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """A login in the file PINTEREST_TOKEN_STORE is used if its app is known."""
    write_config("[profiles.shop]\n")
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", "pina_SENTINEL")
    monkeypatch.setenv("PINTEREST_TOKEN_STORE", str(tmp_path / "t.json"))
    with FileTokenStore(tmp_path / "t.json").lock() as store:
        store.save(TokenSet(access_token="pina_kept"))
    with caplog.at_level(logging.WARNING, "pinterest_audiences"):
        assert await token_of(profile="shop") == "pina_SENTINEL"
        assert [text.partition(" is ")[0] for text in caplog.messages] == [
            "the token of PINTEREST_ACCESS_TOKEN"
        ]
        caplog.clear()
        monkeypatch.setenv("PINTEREST_APP_ID", "1234567")
        monkeypatch.setenv("PINTEREST_APP_SECRET", "s")
        assert await token_of(profile="shop") == "pina_kept"
        assert caplog.messages == []


async def test_jobs_of_clients_use_the_state_file_of_the_profile(tmp_path: Path) -> None:
    """As jobs of the command line do, so that both know the same members."""
    write_config(f"[profiles.default]\nstate = '{tmp_path / 'jobs.sqlite3'}'\n")
    async with AsyncClient("t", transport=httpx.MockTransport(lambda _: httpx.Response(500))) as c:
        assert await c.jobs() == []
    assert (tmp_path / "jobs.sqlite3").exists()
