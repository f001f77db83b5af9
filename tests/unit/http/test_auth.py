"""Token sources, and that no output contains their tokens."""

from __future__ import annotations

import pickle
from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
import pytest
from support.calls import get
from support.wire import LIST, Reply, refusal, rig

from pinterest_audiences import (
    AsyncClient,
    AuthenticationError,
    CallableToken,
    ConfigurationError,
    RequestTimeoutError,
    StaticToken,
    Token,
    TokenRefreshError,
    TokenSource,
    TransportError,
)

pytestmark = pytest.mark.anyio

SECRET = "s3cretValue"
BAD_TOKENS = ["", " ", "two words", "line\nbreak", "line\r\nX-Evil: 1", "tab\t", "tökén", "nul\0"]


class Vault:
    """Counts its calls, and returns a new token for each."""

    def __init__(self) -> None:
        self.asked = 0

    def now(self) -> str:
        self.asked += 1
        return f"{SECRET}{self.asked}"

    async def soon(self) -> str:
        await anyio.lowlevel.checkpoint()
        return self.now()


async def test_static_token_is_unchanged_by_refresh() -> None:
    """The caller detects by comparison that no other token exists."""
    source = StaticToken(SECRET)
    token = await source.get()
    assert token == Token(SECRET)
    assert await source.refresh(token) == token


@pytest.mark.parametrize("bad", BAD_TOKENS)
def test_invalid_token_is_refused_and_not_shown(bad: str) -> None:
    """A line break in a token would start another header."""
    with pytest.raises(ConfigurationError, match="access_token must be printable ASCII") as refused:
        AsyncClient(bad)
    assert not bad.strip() or bad not in str(refused.value)


@pytest.mark.parametrize("bad", [5, b"token", ["token"]])
def test_token_that_is_not_a_string_is_refused(bad: object) -> None:
    """Bytes would be sent as b'token'."""
    with pytest.raises(ConfigurationError, match="access_token"):
        AsyncClient(bad)  # type: ignore[arg-type]  # what is refused here


@pytest.mark.parametrize("name", ["now", "soon"])
async def test_token_function_is_called_at_first_use_and_at_each_refresh(name: str) -> None:
    """Sync and async functions."""
    vault = Vault()
    fetch: Callable[[], str | Awaitable[str]] = getattr(vault, name)
    source = CallableToken(fetch)
    assert vault.asked == 0
    first = await source.get()
    assert (first.value, await source.get()) == (f"{SECRET}1", first)
    second = await source.refresh(first)
    assert second.value == f"{SECRET}2"
    assert second.generation > first.generation
    assert await source.get() == second


@pytest.mark.parametrize("first", [True, False])
async def test_concurrent_callers_share_one_token_fetch(first: bool) -> None:
    """At first use and after the token has expired."""
    vault, got = Vault(), list[Token]()
    source = CallableToken(vault.soon)
    seen = Token("", 0) if first else await source.get()
    before = vault.asked

    async def need() -> None:
        got.append(await (source.get() if first else source.refresh(seen)))

    async with anyio.create_task_group() as tasks:
        for _ in range(12):
            tasks.start_soon(need)
    assert vault.asked == before + 1
    assert got == [await source.get()] * 12


async def test_refresh_with_outdated_token_returns_the_current_one() -> None:
    """A refusal of an older token does not concern the current one."""
    vault = Vault()
    source = CallableToken(vault.now)
    old = await source.get()
    new = await source.refresh(old)
    assert await source.refresh(old) == new
    assert vault.asked == 2


async def test_cancelled_fetch_is_taken_over_by_the_next_caller() -> None:
    """It leaves no lock held."""
    vault, got = Vault(), list[Token]()
    leader, stuck = anyio.CancelScope(), anyio.Event()

    async def fetch() -> str:
        if not stuck.is_set():
            stuck.set()
            await anyio.sleep_forever()
        return await vault.soon()

    source = CallableToken(fetch)

    async def lead() -> None:
        with leader:
            await source.get()

    async def follow() -> None:
        got.append(await source.get())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lead)
        await stuck.wait()
        tasks.start_soon(follow)
        tasks.start_soon(follow)
        await anyio.wait_all_tasks_blocked()
        leader.cancel()
    assert leader.cancelled_caught
    assert [token.value for token in got] == [f"{SECRET}1"] * 2


def raises() -> str:
    raise OSError(f"vault said {SECRET}")


async def raises_later() -> str:
    await anyio.lowlevel.checkpoint()
    raise OSError(f"vault said {SECRET}")


@pytest.mark.parametrize("fetch", [raises, raises_later])
async def test_failed_token_function_is_reported_by_exception_type_only(
    fetch: Callable[[], str | Awaitable[str]],
) -> None:
    """Its message may contain secrets."""
    with pytest.raises(TokenRefreshError) as failed:
        await CallableToken(fetch).get()
    error = failed.value
    assert "the function for the token failed with OSError" in str(error)
    assert isinstance(error, AuthenticationError)
    assert isinstance(error.__cause__, OSError)
    assert SECRET not in f"{error} {error!r} {vars(error)}"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize("bad", [*BAD_TOKENS, None, 5])
async def test_token_function_with_invalid_result_fails(bad: object) -> None:
    """Its result is validated like any token, and not shown."""
    with pytest.raises(TokenRefreshError, match="ConfigurationError"):
        await CallableToken(lambda: bad).get()  # type: ignore[arg-type,return-value]  # on purpose


async def test_token_function_is_called_again_after_a_failure() -> None:
    """A failure is not cached."""
    answers = iter(["", SECRET])
    source = CallableToken(lambda: next(answers))
    with pytest.raises(TokenRefreshError):
        await source.get()
    assert (await source.get()).value == SECRET


class Own:
    """A user-defined token source: any object with the two methods."""

    def __init__(self, *values: str) -> None:
        self._values = list(values)
        self.seen: list[Token] = []

    async def get(self) -> Token:
        return Token(self._values[0], len(self.seen))

    async def refresh(self, seen: Token) -> Token:
        self.seen.append(seen)
        del self._values[0]
        return await self.get()


async def test_object_with_get_and_refresh_is_a_token_source() -> None:
    """The client calls `get`, and `refresh` with the refused token."""
    own = Own("old", "new")
    assert isinstance(own, TokenSource)
    scene = rig(refusal(401, 2), Reply(data=LIST), access_token=own)
    async with scene.client as client:
        await get(client)
    assert [sent.headers["authorization"] for sent in scene.sent] == ["Bearer old", "Bearer new"]
    assert own.seen == [Token("old", 0)]


@pytest.mark.parametrize("bad", ["line\r\nX-Evil: 1", "tökén", "two words", ""])
async def test_invalid_token_of_a_source_is_refused_before_sending(bad: str) -> None:
    """From any source; no output shows it."""
    scene = rig(Reply(data=LIST), access_token=Own(bad))
    async with scene.client as client:
        with pytest.raises((ConfigurationError, TokenRefreshError)) as refused:
            await get(client)
    assert scene.sent == []
    assert not bad or bad not in f"{refused.value} {refused.value!r} {vars(refused.value)}"


async def test_client_accepts_a_token_function(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An argument precedes the environment."""
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", "of-the-environment")
    scene = rig(Reply(data=LIST), access_token=Vault().soon)
    async with scene.client as client:
        await get(client)
    assert scene.sent[0].headers["authorization"] == f"Bearer {SECRET}1"


def test_repr_of_tokens_sources_and_clients_hides_the_token() -> None:
    sources = [StaticToken(SECRET), CallableToken(lambda: SECRET)]
    shown = [repr(thing) for thing in (Token(SECRET), *sources, AsyncClient(SECRET))]
    assert all(SECRET not in text for text in shown)
    assert shown[0] == "Token(generation=0)"


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
@pytest.mark.parametrize(
    ("name", "kind"),
    [("ReadTimeout", RequestTimeoutError), ("ConnectError", TransportError)],
)
async def test_network_error_of_a_token_function_is_a_transport_error(
    library: str, name: str, kind: type[TransportError]
) -> None:
    """Whichever of the two libraries the function uses."""
    module = pytest.importorskip(library, reason=f"{library} is not installed")

    def token() -> str:
        raise getattr(module, name)("down")

    async with AsyncClient.emulated(access_token=token) as client:
        with pytest.raises(TransportError) as caught:
            await client.customer_lists_list("549755885175").collect()
    assert type(caught.value) is kind
