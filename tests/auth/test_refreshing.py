"""A token source that refreshes: when, how often, and what is safe before what is used."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.to_thread
import httpx
import pytest
from attrs import evolve
from support.clock import FakeClock
from support.tokens import APP, FIRST, TokenWorld, kept
from support.wire import Reply, refusal

from pinterest_audiences import (
    AppCredentials,
    AsyncClient,
    Client,
    ConfigurationError,
    FileTokenStore,
    MemoryTokenStore,
    RefreshingToken,
    Token,
    TokenRefreshError,
    TokenSet,
    TokenSource,
    TokenStore,
)
from pinterest_audiences._wire import oauth
from pinterest_audiences.auth import LockedTokens

pytestmark = pytest.mark.anyio

ACCOUNT = "549755885175"


def stored(path: Path, tokens: TokenSet) -> FileTokenStore:
    store = FileTokenStore(path / "tokens.json")
    with store.lock() as locked:
        locked.save(tokens)
    return store


def source(
    world: TokenWorld,
    store: TokenStore,
    clock: FakeClock | None = None,
    *,
    app: AppCredentials = APP,
) -> RefreshingToken:
    return RefreshingToken(store, app, transport=world.transport, clock=clock or FakeClock())


async def failed(pending: TokenSource) -> TokenRefreshError:
    with pytest.raises(TokenRefreshError) as found:
        await pending.get()
    assert "SENTINEL" not in f"{found.value} {found.value!r} {vars(found.value)}"
    return found.value


async def test_a_token_that_has_ended_is_refreshed_and_everything_new_is_kept(
    tmp_path: Path,
) -> None:
    """The access token with its end, and the refresh token that replaces the old one."""
    world, clock = TokenWorld(), FakeClock()
    store = stored(tmp_path, kept())
    tokens = source(world, store, clock)
    assert isinstance(tokens, TokenSource)
    assert (await tokens.get()).value == "pina_SENTINELaccess1"
    assert world.forms == [{"grant_type": "refresh_token", "refresh_token": FIRST}]
    now = store.load()
    assert now is not None
    assert (now.access_token, now.refresh_token) == (world.access_token, world.refresh_token)
    assert now.expires_at == clock.time() + 2592000
    assert now.refresh_expires_at == clock.time() + 5184000
    assert (now.scope, now.app_id) == ("ads:read,ads:write", APP.app_id)


async def test_a_token_that_is_good_is_taken_without_a_refresh(tmp_path: Path) -> None:
    """The token endpoint hears of nothing."""
    world, clock = TokenWorld(), FakeClock()
    store = stored(tmp_path, kept(expires_at=clock.time() + 86400))
    tokens = source(world, store, clock)
    assert [(await tokens.get()).value for _ in range(2)] == ["pina_SENTINELaccess0"] * 2
    assert world.forms == []


@pytest.mark.parametrize("seed", range(5))
async def test_a_token_is_refreshed_five_to_ten_minutes_before_its_end(
    tmp_path: Path, seed: int
) -> None:
    """By chance, so that not all processes come at once."""
    world, clock = TokenWorld(), FakeClock(seed=seed)
    store = stored(tmp_path, kept(expires_at=clock.time() + 86400))
    tokens = source(world, store, clock)
    clock.advance(86400 - 600)
    await tokens.get()
    assert world.refreshes == 0
    clock.advance(300)
    assert (await tokens.get()).value == "pina_SENTINELaccess1"
    clock.advance(86400)
    await tokens.get()
    assert world.refreshes == 1


async def test_a_token_that_lives_shortly_is_not_refreshed_at_every_call() -> None:
    """The last tenth of its life, instead of minutes that it has not."""
    world, clock = TokenWorld(lifetime=60), FakeClock()
    tokens = source(world, MemoryTokenStore(kept()), clock)
    for _ in range(20):
        await tokens.get()
        clock.advance(10)
    assert 3 <= world.refreshes <= 5


@pytest.mark.parametrize("lifetime", [None, 0, -5, "soon", True, 10**400])
async def test_an_end_that_nobody_understands_is_unknown(tmp_path: Path, lifetime: object) -> None:
    """Such a token is used until it is refused; its refresh token is not lost to that."""
    world, store = TokenWorld(lifetime=lifetime), stored(tmp_path, kept())
    clock = FakeClock()
    tokens = source(world, store, clock)
    await tokens.get()
    clock.advance(1e9)
    await tokens.get()
    assert world.refreshes == 1
    now = store.load()
    assert now is not None
    assert (now.expires_at, now.refresh_token) == (None, world.refresh_token)


async def test_an_answer_without_a_refresh_token_leaves_the_old_one(tmp_path: Path) -> None:
    """It is still the one to use, with the end that it had."""
    world, store = TokenWorld(rotates=False), stored(tmp_path, kept(refresh_expires_at=5e9))
    assert (await source(world, store).get()).value == world.access_token
    now = store.load()
    assert now is not None
    assert (now.refresh_token, now.refresh_expires_at) == (FIRST, 5e9)


async def test_a_refused_token_is_refreshed_although_it_seems_good(tmp_path: Path) -> None:
    """Revoked, or the clock is wrong: Pinterest's word counts."""
    world, clock = TokenWorld(), FakeClock()
    tokens = source(world, stored(tmp_path, kept(expires_at=clock.time() + 86400)), clock)
    old = await tokens.get()
    new = await tokens.refresh(old)
    assert new.value == "pina_SENTINELaccess1"
    assert new.generation > old.generation
    assert await tokens.refresh(old) == await tokens.get() == new
    assert world.refreshes == 1


async def test_a_clock_that_is_set_back_costs_one_refresh_at_most(tmp_path: Path) -> None:
    """The end seems far away, then; the 401 of the client brings the new token."""
    world, clock = TokenWorld(), FakeClock(start=2_000_000_000)
    store = stored(tmp_path, kept())
    await source(world, store, clock).get()
    world.access_token = "revoked"
    earlier = source(world, store, FakeClock(start=1_000_000_000))
    async with AsyncClient(earlier, transport=world.transport()) as client:
        for _ in range(3):
            assert len(await client.customer_lists_list(ACCOUNT).collect()) == 1
    assert world.refreshes == 2
    assert (await earlier.get()).value == world.access_token


async def test_many_tasks_make_one_refresh(tmp_path: Path) -> None:
    """Whether they come for the first token or with one that was refused."""
    world, got = TokenWorld(), list[Token]()
    tokens = source(world, stored(tmp_path, kept()))

    async def need() -> None:
        token = await tokens.get()
        got.append(await tokens.refresh(Token("pina_SENTINELaccess0")))
        assert got[-1] == token

    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(need)
    assert {token.value for token in got} == {"pina_SENTINELaccess1"}
    assert (len(got), world.refreshes) == (50, 1)


def test_many_threads_with_event_loops_of_their_own_make_one_refresh(tmp_path: Path) -> None:
    """One source may be shared by everything in a process."""
    world, got = TokenWorld(), list[str]()
    tokens = source(world, stored(tmp_path, kept()))
    start = threading.Barrier(8)

    def need(backend: str) -> None:
        start.wait()
        got.append(anyio.run(tokens.get, backend=backend).value)

    threads = [threading.Thread(target=need, args=(b,)) for b in ("asyncio", "trio") * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == ["pina_SENTINELaccess1"] * 8
    assert world.refreshes == 1


async def test_two_sources_on_one_file_make_one_refresh(tmp_path: Path) -> None:
    """As two processes would: who waited for the lock finds the new token in the file."""
    world, store = TokenWorld(), stored(tmp_path, kept())
    one, other, got = source(world, store), source(world, store), set[str]()

    async def need(tokens: RefreshingToken) -> None:
        got.add((await tokens.get()).value)

    async with anyio.create_task_group() as tasks:
        for tokens in (one, other) * 5:
            tasks.start_soon(need, tokens)
    assert got == {"pina_SENTINELaccess1"}
    assert world.refreshes == 1


@pytest.fixture
def held() -> Iterator[tuple[TokenWorld, threading.Event, threading.Event]]:
    """A world that has taken a refresh and does not answer until it is told to."""
    came, go = threading.Event(), threading.Event()

    def wait() -> None:
        came.set()
        assert go.wait(30)

    yield TokenWorld(after=wait), came, go
    go.set()


Held = tuple[TokenWorld, threading.Event, threading.Event]


async def test_a_cancelled_caller_does_not_stop_the_refresh(tmp_path: Path, held: Held) -> None:
    """The caller goes at once; the new refresh token is kept all the same."""
    world, came, go = held
    store = stored(tmp_path, kept())
    tokens = source(world, store)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tokens.get)
        await anyio.to_thread.run_sync(came.wait)
        tasks.cancel_scope.cancel()
    go.set()
    assert (await tokens.get()).value == "pina_SENTINELaccess1"
    assert world.refreshes == 1
    now = store.load()
    assert now is not None
    assert now.refresh_token == world.refresh_token


def test_a_time_out_of_asyncio_does_not_stop_the_refresh(tmp_path: Path, held: Held) -> None:
    """It cancels tasks past every shield."""
    world, came, go = held
    tokens = source(world, stored(tmp_path, kept()))

    async def main() -> str:
        task = asyncio.create_task(tokens.get())
        await asyncio.to_thread(came.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go.set()
        return (await tokens.get()).value

    assert asyncio.run(main()) == "pina_SENTINELaccess1"
    assert world.refreshes == 1


async def test_a_network_that_fails_is_tried_again(tmp_path: Path) -> None:
    """With the same refresh token: if it is used up there is nothing to lose any more."""
    world = TokenWorld(instead=[httpx.ReadError("reset"), Reply(503, {"message": "busy"})])
    assert (await source(world, stored(tmp_path, kept())).get()).value == "pina_SENTINELaccess1"
    assert [form["refresh_token"] for form in world.forms] == [FIRST] * 3


class Endless(httpx.AsyncBaseTransport):
    """Takes a request and never answers."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await anyio.sleep_forever()
        raise AssertionError("unreachable")


async def test_an_exchange_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other processes wait for its lock; also where each piece of an answer comes in time."""
    monkeypatch.setattr(oauth, "_PATIENCE", 0.01)
    store = MemoryTokenStore(kept())
    assert "no answer in 0.01 s" in str(
        await failed(RefreshingToken(store, APP, transport=Endless))
    )


async def test_an_exchange_whose_every_attempt_times_out_says_so(tmp_path: Path) -> None:
    """In the words of any other call."""
    world = TokenWorld(instead=[httpx.ReadTimeout("slow")] * 3)
    assert "no answer in time (3 attempts)" in str(
        await failed(source(world, stored(tmp_path, kept())))
    )


async def test_a_failure_is_remembered_for_a_moment_and_then_tried_again(tmp_path: Path) -> None:
    """Many who wait do not hammer a token endpoint that is down."""
    world, clock = TokenWorld(instead=[httpx.ConnectError("no")] * 3), FakeClock()
    tokens = source(world, stored(tmp_path, kept()), clock)
    for _ in range(5):
        error = await failed(tokens)
        assert "no connection" in str(error)
    assert len(world.forms) == 3
    clock.advance(11)
    assert (await tokens.get()).value == "pina_SENTINELaccess1"


async def test_a_failure_ahead_of_time_stops_nobody_while_the_token_is_good(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """At a start and in mid-run; it is logged, without a secret."""
    world, clock = TokenWorld(instead=[httpx.ConnectError("no")] * 3), FakeClock()
    tokens = source(world, stored(tmp_path, kept(expires_at=clock.time() + 200)), clock)
    for _ in range(5):
        assert (await tokens.get()).value == "pina_SENTINELaccess0"
    assert len(world.forms) == 3
    assert caplog.text.count("could not be refreshed ahead of time") == 1
    assert "SENTINEL" not in caplog.text
    clock.advance(100)
    assert (await tokens.get()).value == "pina_SENTINELaccess1"


async def test_a_failure_ahead_of_time_is_an_error_once_the_token_has_ended(
    tmp_path: Path,
) -> None:
    """And for who saw it refused."""
    world, clock = TokenWorld(instead=[httpx.ConnectError("no")] * 30), FakeClock()
    tokens = source(world, stored(tmp_path, kept(expires_at=clock.time() + 200)), clock)
    old = await tokens.get()
    with pytest.raises(TokenRefreshError):
        await tokens.refresh(old)
    clock.advance(201)
    await failed(tokens)


@pytest.mark.parametrize(
    "answer",
    [
        Reply(400, {"error": "invalid_grant", "error_description": f"{FIRST} is over"}),
        refusal(400, 1, f"{FIRST} is over"),
        refusal(401, 2, "Authentication failed."),
    ],
)
async def test_a_refresh_token_that_is_over_says_to_log_in_again(
    tmp_path: Path, answer: Reply
) -> None:
    """In each form that it may be refused in; and is not sent again and again."""
    world, clock = TokenWorld(instead=[answer] * 2), FakeClock()
    tokens = source(world, stored(tmp_path, kept()), clock)
    for _ in range(3):
        error = await failed(tokens)
        assert "log in again" in str(error)
        assert error.status == answer.status
        clock.advance(15)
    assert len(world.forms) == 1


async def test_who_logs_in_again_is_heard_without_a_restart(tmp_path: Path) -> None:
    """A process that runs for months takes the new tokens from the file."""
    world, clock = TokenWorld(refresh_token="new-login"), FakeClock()
    store = stored(tmp_path, kept())
    tokens = source(world, store, clock)
    await failed(tokens)
    stored(tmp_path, kept(refresh_token="new-login"))
    clock.advance(61)
    assert (await tokens.get()).value == "pina_SENTINELaccess1"


async def test_a_wrong_app_secret_is_told_as_such(tmp_path: Path) -> None:
    """The first thing to look at is the secret, not the login; and nothing is lost."""
    world, store = TokenWorld(), stored(tmp_path, kept())
    error = await failed(source(world, store, app=AppCredentials(APP.app_id, "SENTINELwrong")))
    assert "check the app id and the app secret" in str(error)
    assert (await source(world, store).get()).value == "pina_SENTINELaccess1"


async def test_tokens_of_another_app_are_not_sent(tmp_path: Path) -> None:
    """Pinterest would refuse them in words that nobody understands."""
    world, store = TokenWorld(), stored(tmp_path, kept(app_id="77"))
    assert "another app's" in str(await failed(source(world, store)))
    assert world.forms == []


async def test_an_empty_store_says_to_log_in_first(tmp_path: Path) -> None:
    """And one with an access token alone, once that has ended, too."""
    world, store = TokenWorld(), FileTokenStore(tmp_path / "tokens.json")
    assert "log in first" in str(await failed(source(world, store)))
    stored(tmp_path, kept(refresh_token=None))
    assert "no refresh token is kept: log in again" in str(await failed(source(world, store)))
    assert world.forms == []


class Slow(MemoryTokenStore):
    """Is not read until it is told to."""

    def __init__(self, tokens: TokenSet) -> None:
        super().__init__(tokens)
        self.came, self.go = threading.Event(), threading.Event()

    def load(self) -> TokenSet | None:
        self.came.set()
        assert self.go.wait(30)
        return super().load()


async def test_who_saw_a_token_refused_is_not_given_it_by_a_look_that_was_under_way() -> None:
    """Another asked before, for any token; the refused one would have done for that."""
    world, got = TokenWorld(), list[Token]()
    store = Slow(kept(expires_at=None))
    tokens = source(world, store)

    async def need() -> None:
        got.append(await tokens.refresh(Token("pina_SENTINELaccess0")))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tokens.get)
        await anyio.to_thread.run_sync(store.came.wait)
        tasks.start_soon(need)
        await anyio.wait_all_tasks_blocked()
        store.go.set()
    assert [token.value for token in got] == ["pina_SENTINELaccess1"]
    assert world.refreshes == 1


class Unsafe(MemoryTokenStore):
    """Fails to save so many times."""

    fails = 1

    def save(self, tokens: TokenSet) -> None:
        self.fails -= 1
        if self.fails >= 0:
            raise OSError("SENTINEL on fire")
        super().save(tokens)


async def test_what_cannot_be_kept_is_not_used_and_not_forgotten() -> None:
    """The new access token stays unused until the refresh token is safe; no second exchange."""
    world, clock = TokenWorld(), FakeClock()
    store = Unsafe(kept())
    tokens = source(world, store, clock)
    assert "failed with OSError" in str(await failed(tokens))
    assert store.load() == kept()
    clock.advance(11)
    assert (await tokens.get()).value == "pina_SENTINELaccess1"
    now = store.load()
    assert now is not None
    assert now.refresh_token == world.refresh_token
    assert world.refreshes == 1


async def test_what_could_not_be_kept_gives_way_to_a_new_login() -> None:
    """Who has logged in meanwhile has newer tokens."""
    world, clock = TokenWorld(), FakeClock()
    store = Unsafe(kept())
    tokens = source(world, store, clock)
    await failed(tokens)
    store.save(kept(refresh_token="new-login", access_token="fresh", expires_at=9e9))
    clock.advance(11)
    assert (await tokens.get()).value == "fresh"
    assert world.refreshes == 1


class Watched(MemoryTokenStore):
    """Notes in which order things happen."""

    def __init__(self, tokens: TokenSet, log: list[str]) -> None:
        super().__init__(tokens)
        self._log = log

    def reserve(self) -> None:
        self._log.append("reserve")

    def save(self, tokens: TokenSet) -> None:
        self._log.append("save")
        super().save(tokens)


async def test_the_store_is_ready_before_and_safe_before_the_new_token_is_used() -> None:
    """Reserve, exchange, save, use."""
    log = list[str]()
    world = TokenWorld(before=lambda: log.append("exchange"))
    tokens = source(world, Watched(kept(), log))

    class Calls(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            log.append("use")
            return world.listing(request.headers["authorization"]).response()

    async with AsyncClient(tokens, transport=Calls()) as client:
        await client.customer_lists_list(ACCOUNT).collect()
    assert log == ["reserve", "exchange", "save", "use"]


def test_the_blocking_client_refreshes_too(tmp_path: Path) -> None:
    """Its event loop is another one, and nothing changes."""
    world = TokenWorld()
    tokens = source(world, stored(tmp_path, kept()))
    with Client(tokens, transport=world.transport()) as client:
        assert len(client.customer_lists_list(ACCOUNT).collect()) == 1
    assert world.refreshes == 1


async def test_a_refresh_goes_before_the_401_of_calls_that_came_with_the_old_token() -> None:
    """Twelve calls, twelve 401s, one refresh."""
    world = TokenWorld()
    world.access_token = "another"
    tokens = source(world, MemoryTokenStore(kept(expires_at=None)))
    async with (
        AsyncClient(tokens, transport=world.transport()) as client,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(12):
            tasks.start_soon(client.customer_lists_list(ACCOUNT).collect)
    assert world.refreshes == 1


async def test_a_store_of_ones_own_is_any_object_with_the_two_methods() -> None:
    """A vault, a database: whatever can be locked."""
    store = MemoryTokenStore(kept())
    assert isinstance(store, TokenStore)
    with store.lock() as locked:
        taken: LockedTokens = locked
        assert taken.load() == kept()
        locked.save(evolve(kept(), scope="x"))
        locked.delete()
        assert locked.load() is None


async def test_a_replaced_refresh_token_in_memory_is_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """For it dies with the process; one that stays is no matter."""
    await source(TokenWorld(rotates=False), MemoryTokenStore(kept())).get()
    assert caplog.text == ""
    await source(TokenWorld(), MemoryTokenStore(kept())).get()
    assert "PINTEREST_TOKEN_STORE" in caplog.text
    assert "SENTINEL" not in caplog.text


def test_what_is_no_factory_is_refused() -> None:
    """A transport that is shared would belong to another event loop."""
    with pytest.raises(ConfigurationError, match="function that makes a transport"):
        RefreshingToken("tokens.json", APP, transport=TokenWorld().transport())  # type: ignore[arg-type]  # refused
