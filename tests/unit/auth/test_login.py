"""The authorization-code flow: accepted and ignored redirects, and its result."""

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
    parse_redirect,
)

pytestmark = pytest.mark.anyio

STATE = "SENTINELstate"


@pytest.fixture
def redirect_uri() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return f"http://localhost:{port}/back"


def visit(url: str, *, host: str | None = None, method: str = "GET", raw: bytes = b"") -> str:
    """Request the redirect URI like a browser, and return the page."""
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    head = f"{method} {target} HTTP/1.1\r\nHost: {host or parts.netloc}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", parts.port or 80), timeout=30) as browser:
        browser.sendall(raw or head)
        if raw:
            browser.shutdown(socket.SHUT_WR)
        return browser.makefile("rb").read().decode()


class Browser:
    """A browser that receives the address and is redirected."""

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


async def test_login_stores_tokens_that_can_be_refreshed(redirect_uri: str, tmp_path: Path) -> None:
    """The whole flow on a real socket."""
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


async def test_each_login_has_a_random_state(redirect_uri: str, tmp_path: Path) -> None:
    """Long enough not to be guessed."""
    states = set[str]()
    for _ in range(3):
        browser = Browser(allowed)
        await start(browser, redirect_uri, TokenWorld(), store=tmp_path / "t.json")
        states.add(browser.query["state"])
    assert len(states) == 3
    assert all(len(state) >= 43 for state in states)


@pytest.mark.parametrize(
    ("come", "message"),
    [
        (
            lambda q: {"error": "access_denied", "state": q["state"], "error_description": "No"},
            "Pinterest refused: access_denied No; log in again",
        ),
        (lambda q: {"state": q["state"]}, "the redirect has no code"),
        (lambda q: {"state": q["state"], "code": "two words"}, "the redirect has no code"),
    ],
)
async def test_login_with_wrong_redirect_stores_nothing(
    come: Callable[[dict[str, str]], dict[str, str]],
    message: str,
    redirect_uri: str,
    tmp_path: Path,
) -> None:
    """Another login's redirect, a forged one, or a refusal: no code is exchanged."""
    world, browser, store = TokenWorld(), Browser(come), FileTokenStore(tmp_path / "t.json")
    with pytest.raises(LoginError, match=message) as failed:
        await start(browser, redirect_uri, world, store=store)
    assert "SENTINEL" not in str(failed.value)
    assert browser.query["state"] not in str(failed.value)
    assert browser.shown[0].startswith("HTTP/1.1 400 ")
    assert (world.forms, store.load()) == ([], None)


async def test_login_without_redirect_ends_at_the_timeout(
    redirect_uri: str,
) -> None:
    """The port is released."""
    for _ in range(2):
        with pytest.raises(LoginError, match=r"no redirect within 0\.01 s; log in again"):
            await start(lambda url: None, redirect_uri, TokenWorld(), timeout=0.01)


async def test_requests_without_a_redirect_are_ignored(redirect_uri: str, tmp_path: Path) -> None:
    """Icons, other host names, silent and broken connections."""
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


async def test_only_the_first_redirect_is_used(redirect_uri: str, tmp_path: Path) -> None:
    world = TokenWorld()
    denied = Browser(lambda q: {"error": "access_denied", "state": q["state"]}, allowed)
    with pytest.raises(LoginError, match="Pinterest refused"):
        await start(denied, redirect_uri, world, store=tmp_path / "t.json")
    assert world.forms == []


STRAYS: list[Callable[[dict[str, str]], dict[str, str]]] = [
    lambda q: {},
    lambda q: {"code": "SENTINELc"},
    lambda q: {"state": ""},
    lambda q: {"code": "SENTINELc", "state": "SENTINELother"},
    lambda q: {"code": "SENTINELc", "state": q["state"] + "é"},
    lambda q: {"error": "access_denied"},
    lambda q: {"error": "access_denied", "state": "SENTINELother"},
]


@pytest.mark.parametrize("stray", STRAYS)
async def test_request_with_wrong_state_does_not_end_the_login(
    redirect_uri: str, tmp_path: Path, stray: Callable[[dict[str, str]], dict[str, str]]
) -> None:
    """From another tab or a scanner: 400, and the login continues."""
    world = TokenWorld()
    browser = Browser(stray, stray, allowed)
    tokens = await start(browser, redirect_uri, world, store=tmp_path / "t.json")
    assert tokens.access_token == world.access_token
    assert [form["code"] for form in world.forms] == [world.code]
    assert [page[9:12] for page in browser.shown] == ["400", "400", "200"]


async def test_request_with_another_method_does_not_end_the_login(
    redirect_uri: str, tmp_path: Path
) -> None:
    """From browsers and link checkers, even with the right state."""
    pages = list[str]()

    def show(url: str) -> None:
        query = {name: found[0] for name, found in parse_qs(urlsplit(url).query).items()}
        back = query["redirect_uri"]
        answer = f"{back}?{urlencode(allowed(query))}"
        base = back.rsplit("/", 1)[0]
        pages.extend(
            [
                visit(f"{base}/favicon.ico"),
                visit(f"{base}/robots.txt?{urlencode(allowed(query))}"),
                visit(answer, method="HEAD"),
                visit(answer, method="POST"),
                visit(answer, method="OPTIONS"),
                visit(answer),
            ]
        )

    world = TokenWorld()
    await start(show, redirect_uri, world, store=tmp_path / "t.json")
    assert [page[9:12] for page in pages] == ["404", "404", "400", "400", "400", "200"]
    assert world.refreshes == 1


async def test_login_timeout_mentions_ignored_requests(redirect_uri: str) -> None:
    stray = Browser(STRAYS[3])
    with pytest.raises(
        LoginError, match="only the redirect of another login was received"
    ) as failed:
        await start(stray, redirect_uri, TokenWorld(), timeout=0.2)
    assert "SENTINEL" not in str(failed.value)


async def test_port_in_use_is_reported_with_a_suggestion(redirect_uri: str) -> None:
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
async def test_redirect_uri_that_is_not_localhost_is_refused(uri: str) -> None:
    with pytest.raises(ConfigurationError, match="redirect_uri"):
        await start(lambda url: None, uri, TokenWorld())


async def test_refused_code_is_reported_with_the_api_message(
    redirect_uri: str, tmp_path: Path
) -> None:
    """Nothing is stored."""
    world = TokenWorld(instead=[Reply(400, {"error": "invalid_grant"})])
    store = FileTokenStore(tmp_path / "t.json")
    with pytest.raises(BadRequestError, match="log in again"):
        await start(Browser(allowed), redirect_uri, world, store=store)
    assert store.load() is None


async def test_unwritable_store_is_reported_before_the_code_is_used(
    redirect_uri: str, tmp_path: Path
) -> None:
    """The next attempt can use the same authorization."""
    world = TokenWorld()
    (tmp_path / "file").write_text("")
    with pytest.raises(TokenStoreError, match="cannot be written"):
        await start(Browser(allowed), redirect_uri, world, store=tmp_path / "file" / "t.json")
    assert world.forms == []


async def test_cancelled_login_releases_the_port(redirect_uri: str) -> None:
    shown = anyio.Event()

    async with anyio.create_task_group() as tasks:

        def show(_: str) -> None:
            anyio.from_thread.run_sync(shown.set)

        tasks.start_soon(start, show, redirect_uri, TokenWorld())
        await shown.wait()
        tasks.cancel_scope.cancel()
    with socket.create_server(("127.0.0.1", urlsplit(redirect_uri).port or 0)):
        pass


def test_authorize_url_and_parse_redirect_work_without_a_server() -> None:
    """With a browser on another machine, its last address is pasted."""
    url = authorization_url(
        "12", redirect_uri="https://shop.example/back?x=1", state=STATE, scopes=["a:b", "c:d"]
    )
    assert parse_qs(urlsplit(url).query)["redirect_uri"] == ["https://shop.example/back?x=1"]
    assert parse_qs(urlsplit(url).query)["scope"] == ["a:b,c:d"]
    back = f"https://shop.example/back?x=1&state={STATE}&code=c0de%2B"
    assert parse_redirect(back, state=STATE) == "c0de+"
    for bad in (f"{back}&state={STATE}", "http://[", "", back.replace("code", "cod")):
        with pytest.raises(LoginError) as failed:
            parse_redirect(bad, state=STATE)
        assert "SENTINEL" not in str(failed.value)
    for state in ("", "two words"):
        with pytest.raises(ConfigurationError, match="state"):
            parse_redirect("https://shop.example/?code=c&state=", state=state)
        with pytest.raises(ConfigurationError, match="state"):
            authorization_url("12", redirect_uri="http://localhost/", state=state)
