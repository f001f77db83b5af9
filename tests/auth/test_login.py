"""The authorization-code flow: who may answer a login, and what comes of it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import anyio
import anyio.to_thread
import pytest
from support.tokens import APP, TokenWorld
from support.wire import Reply

from pinterest_audiences import (
    BadRequestError,
    ConfigurationError,
    FileTokenStore,
    LoginError,
    RefreshingToken,
    TokenStoreError,
    authorization_url,
    login,
    read_redirect,
)

pytestmark = pytest.mark.anyio

STATE = "SENTINELstate"


@pytest.fixture
def redirect_uri() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return f"http://localhost:{port}/back"


def visit(url: str, *, host: str | None = None, method: str = "GET", raw: bytes = b"") -> str:
    """Come back as a browser does, and return what it shows."""
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    head = f"{method} {target} HTTP/1.1\r\nHost: {host or parts.netloc}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", parts.port or 80), timeout=30) as browser:
        browser.sendall(raw or head)
        if raw:
            browser.shutdown(socket.SHUT_WR)
        return browser.makefile("rb").read().decode()


class Browser:
    """A person's browser: is shown the address, and comes back as it is told to."""

    def __init__(self, *returns: Callable[[dict[str, str]], dict[str, str]]) -> None:
        self._returns = returns
        self.query: dict[str, str] = {}
        self.shown: list[str] = []
        self.url = ""

    def __call__(self, url: str) -> None:
        self.url = url
        self.query = {name: value[0] for name, value in parse_qs(urlsplit(url).query).items()}
        for come in self._returns:
            where = f"{self.query['redirect_uri']}?{urlencode(come(self.query))}"
            self.shown.append(visit(where))


def allowed(query: dict[str, str]) -> dict[str, str]:
    return {"code": "c0de+/=", "state": query["state"]}


async def start(show: Callable[[str], object], uri: str, world: TokenWorld, **more: Any) -> Any:
    settings: dict[str, Any] = {
        "show": show,
        "redirect_uri": uri,
        "transport": world.transport,
        "timeout": 30,
    }
    store = more.pop("store", "tokens.json")
    return await login(APP, store, **{**settings, **more})


async def test_a_login_ends_with_tokens_that_are_kept_and_refreshed(
    redirect_uri: str, tmp_path: Path
) -> None:
    """The whole way, on a real socket."""
    world, browser = TokenWorld(), Browser(allowed)
    store = FileTokenStore(tmp_path / "tokens.json")
    got = await start(browser, redirect_uri, world, store=store)
    assert browser.url.startswith("https://www.pinterest.com/oauth/?")
    assert browser.query == {
        "client_id": APP.app_id,
        "redirect_uri": redirect_uri,
        "response_type": "code",
        "scope": "ads:read,ads:write",
        "state": browser.query["state"],
    }
    assert world.forms == [
        {
            "grant_type": "authorization_code",
            "code": "c0de+/=",
            "redirect_uri": redirect_uri,
            "continuous_refresh": "true",
        }
    ]
    assert store.load() == got
    assert (got.access_token, got.app_id) == (world.access_token, APP.app_id)
    source = RefreshingToken(store, APP, transport=world.transport)
    assert (await source.refresh(await source.get())).value == "pina_SENTINELaccess2"
    (page,) = browser.shown
    assert page.startswith("HTTP/1.1 200 OK\r\n")
    assert "close this window" in page
    assert "no-store" in page
    assert "c0de" not in page
    assert browser.query["state"] not in page


async def test_each_login_has_a_state_of_its_own(redirect_uri: str, tmp_path: Path) -> None:
    """Long enough that nobody guesses it."""
    states = set[str]()
    for _ in range(3):
        browser = Browser(allowed)
        await start(browser, redirect_uri, TokenWorld(), store=tmp_path / "t.json")
        states.add(browser.query["state"])
    assert len(states) == 3
    assert all(len(state) >= 43 for state in states)


@pytest.mark.parametrize(
    ("come", "told"),
    [
        (lambda q: {"code": "SENTINELc", "state": "SENTINELother"}, "belongs to another login"),
        (lambda q: {"code": "SENTINELc"}, "belongs to another login"),
        (lambda q: {"error": "access_denied"}, "belongs to another login"),
        (lambda q: {"code": "SENTINELc", "state": q["state"] + "é"}, "belongs to another login"),
        (
            lambda q: {"error": "access_denied", "state": q["state"], "error_description": "No"},
            "Pinterest refused: access_denied No; log in again",
        ),
        (lambda q: {"state": q["state"]}, "came back without a code"),
        (lambda q: {"state": q["state"], "code": "two words"}, "came back without a code"),
    ],
)
async def test_a_login_that_is_answered_wrongly_takes_nothing(
    come: Callable[[dict[str, str]], dict[str, str]], told: str, redirect_uri: str, tmp_path: Path
) -> None:
    """By another login, a stranger, or a person who said no: nothing is exchanged or kept."""
    world, browser, store = TokenWorld(), Browser(come), FileTokenStore(tmp_path / "t.json")
    with pytest.raises(LoginError, match=told) as failed:
        await start(browser, redirect_uri, world, store=store)
    assert "SENTINEL" not in str(failed.value)
    assert browser.query["state"] not in str(failed.value)
    assert browser.shown[0].startswith("HTTP/1.1 400 ")
    assert (world.forms, store.load()) == ([], None)


async def test_a_browser_that_does_not_come_back_is_waited_for_no_longer_than_told(
    redirect_uri: str,
) -> None:
    """And the port is free again."""
    for _ in range(2):
        with pytest.raises(LoginError, match=r"not come back within 0\.01 s; log in again"):
            await start(lambda url: None, redirect_uri, TokenWorld(), timeout=0.01)


async def test_what_is_no_answer_is_passed_by(redirect_uri: str, tmp_path: Path) -> None:
    """Icons, other hosts' names for this machine, silent and broken connections."""
    seen = list[str]()
    silent = list[socket.socket]()

    def show(url: str) -> None:
        back = parse_qs(urlsplit(url).query)["redirect_uri"][0]
        state = parse_qs(urlsplit(url).query)["state"][0]
        answer = f"{back}?code=c0de%2B/%3D&state={state}"
        silent.append(socket.create_connection(("127.0.0.1", urlsplit(back).port or 80)))
        seen.append(visit(back.replace("/back", "/favicon.ico")))
        seen.append(visit(answer, host="evil.example"))
        seen.append(visit(answer, method="POST"))
        seen.append(visit(back, raw=b"\x16\x03\x01"))
        seen.append(visit(back, raw=b"GET / HTTP/1.1\r\n" + b"a" * 20_000))
        host = urlsplit(back).netloc
        seen.append(visit(back, raw=f"GET //[ HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()))
        seen.append(visit(answer))

    await start(show, redirect_uri, TokenWorld(), store=tmp_path / "t.json")
    silent[0].close()
    assert [page[9:12] for page in seen] == ["404", "400", "400", "", "", "400", "200"]


async def test_the_first_answer_counts(redirect_uri: str, tmp_path: Path) -> None:
    """A second one, good or bad, changes nothing."""
    world = TokenWorld()
    bad = Browser(lambda q: {"state": "x"}, allowed)
    with pytest.raises(LoginError):
        await start(bad, redirect_uri, world, store=tmp_path / "t.json")
    assert world.forms == []


async def test_a_port_that_is_taken_is_told(redirect_uri: str) -> None:
    """With what to do."""
    port = urlsplit(redirect_uri).port or 0
    with socket.create_server(("127.0.0.1", port)), pytest.raises(LoginError) as failed:
        await start(lambda url: None, redirect_uri, TokenWorld())
    assert f"cannot listen on 127.0.0.1:{port}" in str(failed.value)


@pytest.mark.parametrize(
    "uri",
    [
        "https://localhost:8085/",
        "http://shop.example:8085/",
        "http://0.0.0.0:8085/",
        "http://localhost:8085/?a=b",
        "http://localhost:8085/#a",
        "http://me@localhost:8085/",
        "http://localhost:port/",
        "http://localhost:0/",
        "http://[::1",
        "localhost:8085",
        "",
    ],
)
async def test_an_address_that_nobody_can_wait_at_is_refused(uri: str) -> None:
    """Nothing is listened at but this machine."""
    with pytest.raises(ConfigurationError, match="redirect_uri"):
        await start(lambda url: None, uri, TokenWorld())


async def test_a_code_that_is_refused_is_told_by_pinterests_answer(
    redirect_uri: str, tmp_path: Path
) -> None:
    """And nothing is kept."""
    world = TokenWorld(instead=[Reply(400, {"error": "invalid_grant"})])
    store = FileTokenStore(tmp_path / "t.json")
    with pytest.raises(BadRequestError, match="log in again"):
        await start(Browser(allowed), redirect_uri, world, store=store)
    assert store.load() is None


async def test_a_store_that_cannot_keep_is_told_before_the_code_is_spent(
    redirect_uri: str, tmp_path: Path
) -> None:
    """The next try can still use what the person allowed."""
    world = TokenWorld()
    (tmp_path / "file").write_text("")
    with pytest.raises(TokenStoreError, match="cannot be written"):
        await start(Browser(allowed), redirect_uri, world, store=tmp_path / "file" / "t.json")
    assert world.forms == []


async def test_a_cancelled_login_leaves_nothing_behind(redirect_uri: str) -> None:
    """The port is free for the next one."""
    shown = anyio.Event()

    async with anyio.create_task_group() as tasks:

        def show(_: str) -> None:
            anyio.from_thread.run_sync(shown.set)

        tasks.start_soon(start, show, redirect_uri, TokenWorld())
        await shown.wait()
        tasks.cancel_scope.cancel()
    with socket.create_server(("127.0.0.1", urlsplit(redirect_uri).port or 0)):
        pass


def test_the_address_and_the_answer_can_be_used_by_themselves() -> None:
    """Where the browser is on another machine, its last address is pasted."""
    url = authorization_url(
        "12", redirect_uri="https://shop.example/back?x=1", state=STATE, scopes=["a:b", "c:d"]
    )
    assert parse_qs(urlsplit(url).query)["redirect_uri"] == ["https://shop.example/back?x=1"]
    assert parse_qs(urlsplit(url).query)["scope"] == ["a:b,c:d"]
    back = f"https://shop.example/back?x=1&state={STATE}&code=c0de%2B"
    assert read_redirect(back, state=STATE) == "c0de+"
    for bad in (f"{back}&state={STATE}", "http://[", "", back.replace("code", "cod")):
        with pytest.raises(LoginError) as failed:
            read_redirect(bad, state=STATE)
        assert "SENTINEL" not in str(failed.value)
    for state in ("", "two words"):
        with pytest.raises(ConfigurationError, match="state"):
            read_redirect("https://shop.example/?code=c&state=", state=state)
        with pytest.raises(ConfigurationError, match="state"):
            authorization_url("12", redirect_uri="http://localhost/", state=state)
