"""User errors with tokens: each is named at the first opportunity and shows no token."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import anyio
import httpx
import pytest
from support.cases import each_case
from support.tokens import APP, TokenWorld
from support.wire import PAGE, Reply

from pinterest_audiences import (
    AsyncClient,
    BadRequestError,
    Client,
    ConfigurationError,
    FileTokenStore,
    PaginationError,
    RefreshingToken,
    Token,
    TokenSet,
    TokenStoreError,
    token_from_environment,
)
from pinterest_audiences._config import config_folder
from pinterest_audiences._redaction import redact
from pinterest_audiences.emulator import Emulator

pytestmark = pytest.mark.anyio

ACCOUNT = "549755885175"
TOKEN = "pina_SENTINELaccess0"

WRONG = {
    f'"{TOKEN}"': "remove the quotes",
    f"'{TOKEN}'": "remove the quotes",
    f"\u201c{TOKEN}\u201d": "remove the quotes",
    f'{TOKEN}"': "remove the quotes",
    f"`{TOKEN}`": "remove the quotes",
    f"Bearer {TOKEN}": "remove the word Bearer",
    f"bearer {TOKEN}": "remove the word bearer",
    f"Basic {TOKEN}": "remove the word Basic",
    f" {TOKEN}": "remove the white space or line break",
    f"{TOKEN}\n": "remove the white space or line break",
    f"{TOKEN}\r\n": "remove the white space or line break",
    f'{{"access_token": "{TOKEN}"}}': "this is JSON",
    f"{TOKEN} {TOKEN}": "without spaces or line breaks",
    f"{TOKEN}\n{TOKEN}": "without spaces or line breaks",
    f"{TOKEN}\u00e9": "printable ASCII",
    " ": "it is empty",
}


@pytest.mark.parametrize("name", ["PINTEREST_ACCESS_TOKEN", "PINTEREST_REFRESH_ACCESS_TOKEN"])
@each_case(("value", "words"), WRONG.items())
def test_invalid_environment_token_names_the_variable_and_problem(
    name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As shells, dotenv files and people write it; the token is not shown."""
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("PINTEREST_APP_ID", APP.app_id)
    monkeypatch.setenv("PINTEREST_APP_SECRET", APP.app_secret)
    with pytest.raises(ConfigurationError, match=rf"^{name} .*{words}") as refused:
        token_from_environment()
    assert "SENTINEL" not in f"{refused.value!r}"


@pytest.mark.parametrize(("value", "words"), WRONG.items())
def test_invalid_token_argument_names_the_problem(value: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^access_token .*{words}"):
        Client(value)


@pytest.mark.parametrize("value", [5, b"token", ["token"], {"access_token": "token"}])
def test_token_of_wrong_type_is_named(value: object) -> None:
    """Bytes from a socket, or an unparsed response."""
    with pytest.raises(ConfigurationError, match=type(value).__name__):
        Client(value)  # type: ignore[arg-type]  # on purpose


class Source:
    """A token source that returns its constructor argument."""

    def __init__(self, first: object, second: object = None) -> None:
        self._first, self._second = first, second

    async def get(self) -> Token:
        return self._first  # type: ignore[return-value]  # on purpose

    async def refresh(self, seen: Token) -> Token:
        return self._second  # type: ignore[return-value]  # on purpose


class Blocking:
    """A token source with methods that lack ``async``."""

    def get(self) -> Token:
        return Token(TOKEN)

    async def refresh(self, seen: Token) -> Token:
        return seen


@pytest.mark.parametrize("value", [TOKEN, None, 5, {"value": TOKEN}])
async def test_token_source_with_wrong_result_type_is_named(value: object) -> None:
    """At the first call and at a refresh, instead of an AttributeError."""
    world = TokenWorld(access_token="another")
    for source in (Source(value), Source(Token(TOKEN), value)):
        async with AsyncClient(source, transport=world.transport()) as client:
            with pytest.raises(ConfigurationError, match="must return a Token, not") as refused:
                await client.customer_lists_list(ACCOUNT).collect()
        assert "SENTINEL" not in str(refused.value)


async def test_token_source_with_sync_methods_works() -> None:
    world = TokenWorld()
    async with AsyncClient(Blocking(), transport=world.transport()) as client:  # type: ignore[arg-type]
        assert len(await client.customer_lists_list(ACCOUNT).collect()) == 1


def test_class_instead_of_a_token_source_instance_is_refused() -> None:
    """The class has the methods, too."""
    with pytest.raises(ConfigurationError, match="instance"):
        Client(Source)  # type: ignore[arg-type]  # on purpose


@pytest.mark.parametrize("token", ["t", "e", "list", "invalid"])
def test_token_shorter_than_8_characters_is_not_redacted(token: str) -> None:
    """It occurs in words."""
    message = "The list is invalid."
    assert redact(message, token=token) == message
    emulator = Emulator(seed=1)
    emulator.fault("status", status=400, message=message)
    with (
        Client(token, transport=emulator.transport()) as client,
        pytest.raises(BadRequestError) as failed,
    ):
        client.customer_lists_get(ACCOUNT, "1")
    assert failed.value.message == message
    assert redact("not tokenABC here", token="tokenABC") == "not [token] here"


def write(path: Path, data: object) -> Path:
    path.write_text(json.dumps(data))
    path.chmod(0o600)
    return path


QUICKSTART = {
    "name": "access_token",
    "access_token": "pina_quick",
    "refresh_token": "pinr_quick",
    "scopes": "ads:read,ads:write",
}


@pytest.mark.parametrize(
    ("data", "tokens"),
    [
        (
            QUICKSTART,
            TokenSet(
                access_token="pina_quick", refresh_token="pinr_quick", scope="ads:read,ads:write"
            ),
        ),
        (
            {**QUICKSTART, "refresh_token": None, "scopes": None},
            TokenSet(access_token="pina_quick"),
        ),
        (
            {**QUICKSTART, "scopes": ["ads:read", "ads:write"]},
            TokenSet(
                access_token="pina_quick", refresh_token="pinr_quick", scope="ads:read,ads:write"
            ),
        ),
        (
            {
                "response_type": "authorization_code",
                "access_token": "pina_raw",
                "token_type": "bearer",
                "expires_in": 2592000,
                "scope": "ads:read",
                "refresh_token": "pinr_raw",
                "refresh_token_expires_in": 5184000,
                "refresh_token_expires_at": 1_900_000_000,
            },
            TokenSet(
                access_token="pina_raw",
                refresh_token="pinr_raw",
                scope="ads:read",
                refresh_expires_at=1.9e9,
            ),
        ),
        ({"refresh_token": "pinr_only"}, TokenSet(refresh_token="pinr_only")),
    ],
)
def test_token_file_of_the_pinterest_quickstart_is_read(
    data: object, tokens: TokenSet, tmp_path: Path
) -> None:
    """Also a saved response of oauth/token."""
    assert FileTokenStore(write(tmp_path / "access_token.json", data)).load() == tokens


async def test_refresh_of_a_quickstart_file_keeps_its_keys(tmp_path: Path) -> None:
    """The quickstart can still read it."""
    world = TokenWorld(access_token="another")
    path = write(tmp_path / "t.json", {**QUICKSTART, "refresh_token": world.refresh_token})
    source = RefreshingToken(path, APP, transport=world.transport)
    async with AsyncClient(source, transport=world.transport()) as client:
        assert len(await client.customer_lists_list(ACCOUNT).collect()) == 1
    stored = json.loads(path.read_text())
    assert stored["access_token"] == world.access_token
    assert stored["refresh_token"] == world.refresh_token


@pytest.mark.parametrize(
    "data",
    [
        {"token": "pina_x"},
        {"access_token": 5},
        {"access_token": "two words"},
        {"access_token": "pina_x", "refresh_token": ["x"]},
        {"installed": {"client_id": "x"}},
        {"access_token": None, "refresh_token": None},
    ],
)
def test_error_about_a_foreign_file_does_not_suggest_deletion(data: object, tmp_path: Path) -> None:
    store = FileTokenStore(write(tmp_path / "t.json", data))
    with pytest.raises(TokenStoreError, match="use another file") as refused:
        store.load()
    assert "delete" not in str(refused.value)


def test_token_store_file_instead_of_a_token_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "t.json", QUICKSTART)
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN_FILE", str(path))
    with pytest.raises(
        ConfigurationError, match=r"^PINTEREST_ACCESS_TOKEN_FILE .*PINTEREST_TOKEN_STORE"
    ):
        token_from_environment()


@pytest.mark.usefixtures("homeless")
@pytest.mark.parametrize(
    "make",
    [
        FileTokenStore,
        config_folder,
        lambda: FileTokenStore("~/t.json"),
        lambda: FileTokenStore("~unknown/t.json"),
    ],
)
def test_unknown_home_directory_is_named(make: Callable[[], object]) -> None:
    """Instead of a RuntimeError of the standard library."""
    with pytest.raises(ConfigurationError, match="set HOME"):
        make()


@pytest.mark.parametrize("value", ["", "config", "./config", "../config", "~/config"])
def test_relative_xdg_config_home_is_ignored(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The XDG base directory specification requires it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", value)
    assert config_folder() == tmp_path / ".config" / "pinterest-audiences"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "else"))
    assert config_folder() == tmp_path / "else" / "pinterest-audiences"


async def test_second_task_on_one_iterator_is_an_error() -> None:
    """Each would get half of the items, or a page twice; the first task continues."""
    entered, go = anyio.Event(), anyio.Event()

    async def handle(_: httpx.Request) -> httpx.Response:
        entered.set()
        await go.wait()
        return Reply(data=PAGE).response()

    async with AsyncClient(TOKEN, transport=httpx.MockTransport(handle)) as client:
        for iterator in (
            aiter(client.customer_lists_list(ACCOUNT)),
            client.customer_lists_list(ACCOUNT).by_page(),
        ):
            entered, go = anyio.Event(), anyio.Event()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(anext, iterator)
                await entered.wait()
                with pytest.raises(PaginationError, match="another task or thread"):
                    await anext(iterator)
                go.set()


async def test_cancelled_task_releases_its_iterator() -> None:
    """The next task requests the same page."""

    async def handle(_: httpx.Request) -> httpx.Response:
        if cancelling:
            await anyio.sleep_forever()
        return Reply(data=PAGE).response()

    cancelling = True
    async with AsyncClient(TOKEN, transport=httpx.MockTransport(handle)) as client:
        iterator = aiter(client.customer_lists_list(ACCOUNT))
        with anyio.move_on_after(0):
            await anext(iterator)
        cancelling = False
        assert (await anext(iterator)).id
