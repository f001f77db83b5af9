"""A refreshing token source: when and how often it refreshes, and in which order it stores."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

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
    CallError,
    Client,
    ConfigurationError,
    FileTokenStore,
    MemoryTokenStore,
    RefreshingToken,
    RequestTimeoutError,
    Token,
    TokenRefreshError,
    TokenSet,
    TokenSource,
    TokenStore,
    TransportError,
)
from pinterest_audiences._auth import oauth
from pinterest_audiences._auth.stores import TokenTransaction

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


E = TypeVar("E", bound=CallError)


async def raised(kind: type[E], pending: TokenSource) -> E:
    with pytest.raises(kind) as found:
        await pending.get()
    assert type(found.value) is kind
    assert "SENTINEL" not in f"{found.value} {found.value!r} {vars(found.value)}"
    return found.value


async def failed(pending: TokenSource) -> TokenRefreshError:
    return await raised(TokenRefreshError, pending)


async def test_expired_token_is_refreshed_and_all_fields_are_stored(
    tmp_path: Path,
) -> None:
    """The access token with its expiry, and the new refresh token."""
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


async def test_valid_token_is_returned_without_a_refresh(tmp_path: Path) -> None:
    world, clock = TokenWorld(), FakeClock()
    store = stored(tmp_path, kept(expires_at=clock.time() + 86400))
    tokens = source(world, store, clock)
    assert [(await tokens.get()).value for _ in range(2)] == ["pina_SENTINELaccess0"] * 2
    assert world.forms == []


@pytest.mark.parametrize("seed", range(5))
async def test_token_is_refreshed_five_to_ten_minutes_before_expiry(
    tmp_path: Path, seed: int
) -> None:
    """At a random time, so that processes do not refresh together."""
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


async def test_short_lived_token_is_not_refreshed_at_every_call() -> None:
    """It is refreshed in the last tenth of its lifetime."""
    world, clock = TokenWorld(lifetime=60), FakeClock()
    tokens = source(world, MemoryTokenStore(kept()), clock)
    for _ in range(20):
        await tokens.get()
        clock.advance(10)
    assert 3 <= world.refreshes <= 5


@pytest.mark.parametrize("lifetime", [None, 0, -5, "soon", True, 10**400])
async def test_invalid_expiry_is_treated_as_unknown(tmp_path: Path, lifetime: object) -> None:
    """The token is used until it is refused; the refresh token is stored."""
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


async def test_response_without_refresh_token_keeps_the_old_one_and_its_expiry(
    tmp_path: Path,
) -> None:
    world, store = TokenWorld(rotates=False), stored(tmp_path, kept(refresh_expires_at=5e9))
    assert (await source(world, store).get()).value == world.access_token
    now = store.load()
    assert now is not None
    assert (now.refresh_token, now.refresh_expires_at) == (FIRST, 5e9)


async def test_refused_token_is_refreshed_before_its_expiry(tmp_path: Path) -> None:
    """It was revoked, or the clock is wrong."""
    world, clock = TokenWorld(), FakeClock()
    tokens = source(world, stored(tmp_path, kept(expires_at=clock.time() + 86400)), clock)
    old = await tokens.get()
    new = await tokens.refresh(old)
    assert new.value == "pina_SENTINELaccess1"
    assert new.generation > old.generation
    assert await tokens.refresh(old) == await tokens.get() == new
    assert world.refreshes == 1


async def test_clock_set_back_causes_at_most_one_refresh(tmp_path: Path) -> None:
    """The expiry then seems far away; a 401 causes the refresh."""
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


async def test_concurrent_tasks_share_one_refresh(tmp_path: Path) -> None:
    """At the first call, or with a refused token."""
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


def test_threads_with_separate_event_loops_share_one_refresh(tmp_path: Path) -> None:
    """A process may share one source."""
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


async def test_two_sources_on_one_file_share_one_refresh(tmp_path: Path) -> None:
    """Like two processes: the second finds the new token in the file."""
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
    """A token server that has received a refresh and delays its response."""
    came, go = threading.Event(), threading.Event()

    def wait() -> None:
        came.set()
        assert go.wait(30)

    yield TokenWorld(after=wait), came, go
    go.set()


Held = tuple[TokenWorld, threading.Event, threading.Event]


async def test_refresh_continues_when_its_caller_is_cancelled(tmp_path: Path, held: Held) -> None:
    """The new refresh token is stored."""
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


def test_refresh_continues_after_asyncio_timeout(tmp_path: Path, held: Held) -> None:
    """It cancels tasks through every shield."""
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


@pytest.fixture
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevent threads from starting, as at interpreter shutdown in CPython 3.12.0."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)


@pytest.mark.usefixtures("_no_threads")
async def test_concurrent_tasks_share_one_refresh_without_threads(
    tmp_path: Path,
) -> None:
    """The first exchanges, and the others use its token."""
    world, store, got = TokenWorld(), stored(tmp_path, kept()), set[str]()
    one, other = source(world, store), source(world, store)

    async def need(tokens: RefreshingToken) -> None:
        got.add((await tokens.get()).value)

    async with anyio.create_task_group() as tasks:
        for tokens in (one, other) * 3:
            tasks.start_soon(need, tokens)
    assert got == {"pina_SENTINELaccess1"}
    assert world.refreshes == 1


@pytest.mark.usefixtures("_no_threads")
async def test_waiting_tasks_share_one_failed_refresh_without_threads(
    tmp_path: Path,
) -> None:
    """All of them get its error."""
    world = TokenWorld(instead=[refusal(401)])
    tokens = source(world, stored(tmp_path, kept()))
    for _ in range(3):
        assert (await failed(tokens)).status == 401
    assert len(world.forms) == 1


@pytest.mark.usefixtures("_no_threads")
async def test_refresh_continues_after_cancellation_without_threads(
    tmp_path: Path,
) -> None:
    """The tokens are stored before the cancellation takes effect."""
    scope = anyio.CancelScope()
    world = TokenWorld(before=scope.cancel)
    tokens = source(world, stored(tmp_path, kept()))
    with scope:
        await tokens.get()
    assert world.refreshes == 1
    assert (await tokens.get()).value == "pina_SENTINELaccess1"
    assert world.refreshes == 1


async def test_refresh_is_retried_after_a_network_error(tmp_path: Path) -> None:
    """With the same refresh token: if it was used up, it is lost anyway."""
    world = TokenWorld(instead=[httpx.ReadError("reset"), Reply(503, {"message": "busy"})])
    assert (await source(world, stored(tmp_path, kept())).get()).value == "pina_SENTINELaccess1"
    assert [form["refresh_token"] for form in world.forms] == [FIRST] * 3


class Endless(httpx.AsyncBaseTransport):
    """Receives a request and never responds."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await anyio.sleep_forever()
        raise AssertionError("unreachable")


async def test_endless_exchange_is_ended_at_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other processes wait for its lock; also if each piece of a response arrives in time."""
    monkeypatch.setattr(oauth, "_TOTAL_TIMEOUT_SECONDS", 0.01)
    store = MemoryTokenStore(kept())
    assert "no response in 0.01 s" in str(
        await raised(RequestTimeoutError, RefreshingToken(store, APP, transport=Endless))
    )


async def test_exchange_with_only_timeouts_raises_timeout_error(tmp_path: Path) -> None:
    """With the message of any other call."""
    world = TokenWorld(instead=[httpx.ReadTimeout("slow")] * 3)
    assert "timeout: no response (3 attempts)" in str(
        await raised(RequestTimeoutError, source(world, stored(tmp_path, kept())))
    )


async def test_failed_refresh_is_cached_for_a_moment(tmp_path: Path) -> None:
    """Many waiting callers do not overload a failing token endpoint."""
    world, clock = TokenWorld(instead=[httpx.ConnectError("no")] * 3), FakeClock()
    tokens = source(world, stored(tmp_path, kept()), clock)
    for _ in range(5):
        error = await raised(TransportError, tokens)
        assert "no connection" in str(error)
    assert len(world.forms) == 3
    clock.advance(11)
    assert (await tokens.get()).value == "pina_SENTINELaccess1"


async def test_failed_early_refresh_returns_the_valid_token(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """At the first call and later; it is logged without a secret."""
    world, clock = TokenWorld(instead=[httpx.ConnectError("no")] * 3), FakeClock()
    tokens = source(world, stored(tmp_path, kept(expires_at=clock.time() + 200)), clock)
    for _ in range(5):
        assert (await tokens.get()).value == "pina_SENTINELaccess0"
    assert len(world.forms) == 3
    assert caplog.text.count("could not be refreshed ahead of time") == 1
    assert "SENTINEL" not in caplog.text
    clock.advance(100)
    assert (await tokens.get()).value == "pina_SENTINELaccess1"


async def test_failed_refresh_raises_once_the_token_has_expired(
    tmp_path: Path,
) -> None:
    """Or once it was refused."""
    world, clock = TokenWorld(instead=[httpx.ConnectError("no")] * 30), FakeClock()
    tokens = source(world, stored(tmp_path, kept(expires_at=clock.time() + 200)), clock)
    old = await tokens.get()
    with pytest.raises(TransportError):
        await tokens.refresh(old)
    clock.advance(201)
    await raised(TransportError, tokens)


@pytest.mark.parametrize(
    "answer",
    [
        Reply(400, {"error": "invalid_grant", "error_description": f"{FIRST} is over"}),
        refusal(400, 1, f"{FIRST} is over"),
        refusal(401, 2, "Authentication failed."),
    ],
)
async def test_expired_refresh_token_suggests_login(tmp_path: Path, answer: Reply) -> None:
    """For each form of refusal; it is not sent repeatedly."""
    world, clock = TokenWorld(instead=[answer] * 2), FakeClock()
    tokens = source(world, stored(tmp_path, kept()), clock)
    for _ in range(3):
        error = await failed(tokens)
        assert "log in again" in str(error)
        assert error.status == answer.status
        clock.advance(15)
    assert len(world.forms) == 1


async def test_new_login_is_used_without_a_restart(tmp_path: Path) -> None:
    """A running process reads the new tokens from the file."""
    world, clock = TokenWorld(refresh_token="new-login"), FakeClock()
    store = stored(tmp_path, kept())
    tokens = source(world, store, clock)
    await failed(tokens)
    stored(tmp_path, kept(refresh_token="new-login"))
    clock.advance(61)
    assert (await tokens.get()).value == "pina_SENTINELaccess1"


async def test_wrong_app_secret_is_reported_and_keeps_the_tokens(tmp_path: Path) -> None:
    world, store = TokenWorld(), stored(tmp_path, kept())
    error = await failed(source(world, store, app=AppCredentials(APP.app_id, "SENTINELwrong")))
    assert "check the app id and the app secret" in str(error)
    assert (await source(world, store).get()).value == "pina_SENTINELaccess1"


async def test_tokens_of_another_app_are_not_sent(tmp_path: Path) -> None:
    """Pinterest's refusal would not explain it."""
    world, store = TokenWorld(), stored(tmp_path, kept(app_id="77"))
    assert "belong to another app" in str(await failed(source(world, store)))
    assert world.forms == []


async def test_empty_store_suggests_login(tmp_path: Path) -> None:
    """Also one with only an expired access token."""
    world, store = TokenWorld(), FileTokenStore(tmp_path / "tokens.json")
    assert "log in first" in str(await failed(source(world, store)))
    stored(tmp_path, kept(refresh_token=None))
    assert "no refresh token is stored; log in again" in str(await failed(source(world, store)))
    assert world.forms == []


class Slow(MemoryTokenStore):
    """Blocks a read until it is released."""

    def __init__(self, tokens: TokenSet) -> None:
        super().__init__(tokens)
        self.came, self.go = threading.Event(), threading.Event()

    def load(self) -> TokenSet | None:
        self.came.set()
        assert self.go.wait(30)
        return super().load()


async def test_refused_token_is_not_returned_by_a_load_in_progress() -> None:
    """A load for any token would have returned the refused one."""
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
    """Fails to save a number of times."""

    fails = 1

    def save(self, tokens: TokenSet) -> None:
        self.fails -= 1
        if self.fails >= 0:
            raise OSError("SENTINEL on fire")
        super().save(tokens)


async def test_unsaved_tokens_are_saved_before_use_without_a_second_exchange() -> None:
    """The new access token is not used until the refresh token is stored."""
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


async def test_unsaved_tokens_are_dropped_after_a_new_login() -> None:
    world, clock = TokenWorld(), FakeClock()
    store = Unsafe(kept())
    tokens = source(world, store, clock)
    await failed(tokens)
    store.save(kept(refresh_token="new-login", access_token="fresh", expires_at=9e9))
    clock.advance(11)
    assert (await tokens.get()).value == "fresh"
    assert world.refreshes == 1


class Watched(MemoryTokenStore):
    """Records the order of its calls."""

    def __init__(self, tokens: TokenSet, log: list[str]) -> None:
        super().__init__(tokens)
        self._log = log

    def reserve(self) -> None:
        self._log.append("reserve")

    def save(self, tokens: TokenSet) -> None:
        self._log.append("save")
        super().save(tokens)


async def test_order_is_reserve_exchange_save_use() -> None:
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


def test_sync_client_refreshes_tokens(tmp_path: Path) -> None:
    """With its own event loop."""
    world = TokenWorld()
    tokens = source(world, stored(tmp_path, kept()))
    with Client(tokens, transport=world.transport()) as client:
        assert len(client.customer_lists_list(ACCOUNT).collect()) == 1
    assert world.refreshes == 1


async def test_twelve_concurrent_401_responses_cause_one_refresh() -> None:
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


async def test_custom_store_is_any_object_with_load_and_lock() -> None:
    """For example a vault or a database."""
    store = MemoryTokenStore(kept())
    assert isinstance(store, TokenStore)
    with store.lock() as locked:
        taken: TokenTransaction = locked
        assert taken.load() == kept()
        locked.save(evolve(kept(), scope="x"))
        locked.delete()
        assert locked.load() is None


async def test_replaced_refresh_token_in_memory_causes_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is lost with the process."""
    await source(TokenWorld(rotates=False), MemoryTokenStore(kept())).get()
    assert caplog.text == ""
    await source(TokenWorld(), MemoryTokenStore(kept())).get()
    assert "PINTEREST_TOKEN_STORE" in caplog.text
    assert "SENTINEL" not in caplog.text


def test_transport_instance_instead_of_a_factory_is_refused() -> None:
    """A shared transport would belong to another event loop."""
    with pytest.raises(ConfigurationError, match="function that creates a transport"):
        RefreshingToken("tokens.json", APP, transport=TokenWorld().transport())  # type: ignore[arg-type]  # refused
