"""Where tokens come from, and that none of them is ever shown."""

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
    StaticToken,
    Token,
    TokenRefreshError,
    TokenSource,
)

pytestmark = pytest.mark.anyio

SECRET = "s3cretValue"
BAD_TOKENS = ["", " ", "two words", "line\nbreak", "line\r\nX-Evil: 1", "tab\t", "tökén", "nul\0"]


class Vault:
    """Counts how often it was asked, and gives a new token each time."""

    def __init__(self) -> None:
        self.asked = 0

    def now(self) -> str:
        self.asked += 1
        return f"{SECRET}{self.asked}"

    async def soon(self) -> str:
        await anyio.lowlevel.checkpoint()
        return self.now()


async def test_a_static_token_is_the_same_before_and_after_a_refresh() -> None:
    """There is no other, and the caller can tell by comparing."""
    source = StaticToken(SECRET)
    token = await source.get()
    assert token == Token(SECRET)
    assert await source.refresh(token) == token


@pytest.mark.parametrize("bad", BAD_TOKENS)
def test_what_cannot_be_a_token_is_refused_without_being_shown(bad: str) -> None:
    """A line break in a token would be a header of its own."""
    with pytest.raises(ConfigurationError, match="access_token: printable ASCII") as refused:
        AsyncClient(bad)
    assert not bad.strip() or bad not in str(refused.value)


@pytest.mark.parametrize("bad", [5, b"token", ["token"]])
def test_what_is_no_string_is_no_token(bad: object) -> None:
    """Bytes would be sent as b'token'."""
    with pytest.raises(ConfigurationError, match="access_token"):
        AsyncClient(bad)  # type: ignore[arg-type]  # what is refused here


@pytest.mark.parametrize("name", ["now", "soon"])
async def test_a_function_is_called_at_first_use_and_then_for_each_refresh(name: str) -> None:
    """Both kinds of functions: those that return and those that are awaited."""
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
async def test_many_who_need_a_token_at_once_fetch_one(first: bool) -> None:
    """Single flight, at first use and when the token has expired."""
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


async def test_who_comes_late_with_an_old_token_gets_the_new_one() -> None:
    """A token refused in an older generation says nothing of the new one."""
    vault = Vault()
    source = CallableToken(vault.now)
    old = await source.get()
    new = await source.refresh(old)
    assert await source.refresh(old) == new
    assert vault.asked == 2


async def test_when_the_one_who_fetches_is_cancelled_the_next_one_fetches() -> None:
    """A cancelled leader leaves neither a lock nor a hole behind."""
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
async def test_a_function_that_fails_is_told_by_its_kind_alone(
    fetch: Callable[[], str | Awaitable[str]],
) -> None:
    """The words of a vault may hold what they should not."""
    with pytest.raises(TokenRefreshError) as failed:
        await CallableToken(fetch).get()
    error = failed.value
    assert "the function that gives the token failed with OSError" in str(error)
    assert isinstance(error, AuthenticationError)
    assert isinstance(error.__cause__, OSError)
    assert SECRET not in f"{error} {error!r} {vars(error)}"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize("bad", [*BAD_TOKENS, None, 5])
async def test_a_function_that_gives_no_token_has_failed(bad: object) -> None:
    """What it gave is checked like any token, and not shown."""
    with pytest.raises(TokenRefreshError, match="ConfigurationError"):
        await CallableToken(lambda: bad).get()  # type: ignore[arg-type,return-value]  # on purpose


async def test_after_a_failure_the_function_is_asked_again() -> None:
    """A vault that was away for a moment stops nobody for ever."""
    answers = iter(["", SECRET])
    source = CallableToken(lambda: next(answers))
    with pytest.raises(TokenRefreshError):
        await source.get()
    assert (await source.get()).value == SECRET


class Own:
    """A token source of a user's own: any object with the two methods."""

    def __init__(self, *values: str) -> None:
        self._values = list(values)
        self.seen: list[Token] = []

    async def get(self) -> Token:
        return Token(self._values[0], len(self.seen))

    async def refresh(self, seen: Token) -> Token:
        self.seen.append(seen)
        del self._values[0]
        return await self.get()


async def test_any_object_with_the_two_methods_is_a_token_source() -> None:
    """The client asks it for the token, and for a new one with the old one in hand."""
    own = Own("old", "new")
    assert isinstance(own, TokenSource)
    scene = rig(refusal(401, 2), Reply(data=LIST), access_token=own)
    async with scene.client as client:
        await get(client)
    assert [sent.headers["authorization"] for sent in scene.sent] == ["Bearer old", "Bearer new"]
    assert own.seen == [Token("old", 0)]


@pytest.mark.parametrize("bad", ["line\r\nX-Evil: 1", "tökén", "two words", ""])
async def test_a_bad_token_of_a_source_is_refused_before_it_is_sent(bad: str) -> None:
    """Whatever the source is, what it gives must be able to be a token; nothing shows it."""
    scene = rig(Reply(data=LIST), access_token=Own(bad))
    async with scene.client as client:
        with pytest.raises((ConfigurationError, TokenRefreshError)) as refused:
            await get(client)
    assert scene.sent == []
    assert not bad or bad not in f"{refused.value} {refused.value!r} {vars(refused.value)}"


async def test_a_function_may_be_handed_to_the_client_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And an argument goes before the environment."""
    monkeypatch.setenv("PINTEREST_ACCESS_TOKEN", "of-the-environment")
    scene = rig(Reply(data=LIST), access_token=Vault().soon)
    async with scene.client as client:
        await get(client)
    assert scene.sent[0].headers["authorization"] == f"Bearer {SECRET}1"


def test_nothing_shows_a_token_in_its_repr() -> None:
    """Tokens, sources and clients can be printed."""
    sources = [StaticToken(SECRET), CallableToken(lambda: SECRET)]
    shown = [repr(thing) for thing in (Token(SECRET), *sources, AsyncClient(SECRET))]
    assert all(SECRET not in text for text in shown)
    assert shown[0] == "Token(generation=0)"
