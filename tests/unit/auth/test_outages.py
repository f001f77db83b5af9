"""Failed refreshes: an outage keeps its exception class and is never reported as a 401."""

from __future__ import annotations

import errno
import socket
import ssl
import urllib.error
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest
from support.cases import each_case
from support.clock import FakeClock
from support.tokens import APP, FIRST, TokenWorld, kept
from support.wire import Reply, refusal

from pinterest_audiences import (
    APIError,
    AsyncClient,
    AuthenticationError,
    CallableToken,
    CallError,
    Client,
    CustomerList,
    DecodeError,
    MemoryTokenStore,
    PinterestAudiencesError,
    RateLimitError,
    RefreshingToken,
    RequestTimeoutError,
    ServerError,
    TokenRefreshError,
    TransportError,
)
from pinterest_audiences._http.retry import is_transient
from pinterest_audiences.emulator import Emulator

pytestmark = pytest.mark.anyio

ACCOUNT = "549755885175"
OUTAGES = {
    "connect": (httpx.ConnectError("no"), TransportError),
    "reset": (httpx.ReadError("reset"), TransportError),
    "proxy": (httpx.ProxyError("502 Bad Gateway"), TransportError),
    "protocol": (httpx.RemoteProtocolError("closed"), TransportError),
    "connect timeout": (httpx.ConnectTimeout("slow"), RequestTimeoutError),
    "read timeout": (httpx.ReadTimeout("slow"), RequestTimeoutError),
    "408": (Reply(408, {"message": "slow"}), APIError),
    "429": (refusal(429, 8), RateLimitError),
    "500": (Reply(500, {"message": "oops"}), ServerError),
    "503": (Reply(503, {}), ServerError),
    "not an answer of Pinterest": (Reply(200, ["captive portal"]), DecodeError),
}
every_outage = pytest.mark.parametrize(
    ("step", "kind"), [pytest.param(*outage, id=name) for name, outage in OUTAGES.items()]
)


def refreshing(world: TokenWorld, clock: FakeClock, **more: object) -> RefreshingToken:
    store = MemoryTokenStore(kept(**more))
    return RefreshingToken(store, APP, transport=world.transport, clock=clock)


def during_a_call(world: TokenWorld, clock: FakeClock, tokens: RefreshingToken) -> CallError:
    with (
        Client(tokens, transport=world.transport(), clock=clock) as client,
        pytest.raises(CallError) as failed,
    ):
        client.customer_lists_list(ACCOUNT).collect()
    return failed.value


@every_outage
@pytest.mark.parametrize("refused", [False, True], ids=["expired", "refused"])
def test_outage_during_a_refresh_keeps_its_exception_class(
    step: Reply | Exception, kind: type[CallError], refused: bool
) -> None:
    """Before the first attempt of a call, or after a 401: never an AuthenticationError."""
    world, clock = TokenWorld(instead=[step] * 3, access_token="another"), FakeClock()
    tokens = refreshing(world, clock, **({"expires_at": None} if refused else {}))
    error = during_a_call(world, clock, tokens)
    assert type(error) is kind
    assert getattr(error, "status", None) != 401
    assert not isinstance(error, AuthenticationError)
    assert error.operation == "customer_lists_list"
    assert str(error).startswith("customer_lists_list: the access token could not be refreshed: ")
    assert is_transient(error)
    assert "SENTINEL" not in f"{error!r} {vars(error)}"


@every_outage
async def test_next_call_refreshes_after_an_outage(
    step: Reply | Exception, kind: type[CallError]
) -> None:
    """Once the pause has ended."""
    world, clock = TokenWorld(instead=[step] * 3), FakeClock()
    world.instead = world.instead[: 1 if kind in (DecodeError,) else 3]
    tokens = refreshing(world, clock)
    async with AsyncClient(tokens, transport=world.transport(), clock=clock) as client:
        with pytest.raises(kind):
            await client.customer_lists_list(ACCOUNT).collect()
        clock.advance(61)
        world.instead = []
        assert len(await client.customer_lists_list(ACCOUNT).collect()) == 1


@pytest.mark.parametrize("status", [400, 401, 403])
def test_refused_refresh_has_the_status_of_the_api(status: int) -> None:
    """Only a refusal requires a new login."""
    world, clock = TokenWorld(instead=[refusal(status, 1)]), FakeClock()
    error = during_a_call(world, clock, refreshing(world, clock))
    assert isinstance(error, TokenRefreshError)
    assert error.status == status


def test_missing_login_has_no_status() -> None:
    """No request was sent."""
    world, clock = TokenWorld(), FakeClock()
    error = during_a_call(world, clock, refreshing(world, clock, refresh_token=None))
    assert isinstance(error, TokenRefreshError)
    assert error.status == 0
    assert "401" not in str(error)
    assert "log in again" in str(error)


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def no_route() -> OSError:
    return OSError(errno.EHOSTUNREACH, "No route to host")


@each_case(
    ("error", "kind"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), TransportError),
        (ConnectionResetError("reset"), TransportError),
        (BrokenPipeError("gone"), TransportError),
        (socket.gaierror(-3, "Temporary failure in name resolution"), TransportError),
        (no_route(), TransportError),
        (TimeoutError("slow"), RequestTimeoutError),
        (httpx.ConnectError("no"), TransportError),
        (httpx.ReadTimeout("slow"), RequestTimeoutError),
        (urllib.error.URLError(no_route()), TransportError),
        (caused(RuntimeError("vault"), no_route()), TransportError),
        (TransportError("op: no"), TransportError),
        (ServerError(status=503), ServerError),
        (RateLimitError(status=429), RateLimitError),
        (OSError("SENTINEL"), TokenRefreshError),
        (FileNotFoundError(2, "SENTINEL"), TokenRefreshError),
        (ssl.SSLCertVerificationError("SENTINEL"), TokenRefreshError),
        (KeyError("SENTINEL"), TokenRefreshError),
        (AuthenticationError(status=401), TokenRefreshError),
    ],
)
async def test_network_error_of_a_token_function_is_an_outage(
    error: Exception, kind: type[CallError]
) -> None:
    """Of any HTTP library; other exceptions are failures of the function."""

    def fetch() -> str:
        raise error

    with pytest.raises(CallError) as failed:
        await CallableToken(fetch).get()
    assert type(failed.value) is kind
    assert is_transient(failed.value) is (kind is not TokenRefreshError)
    assert getattr(failed.value, "status", None) != 401
    assert "SENTINEL" not in str(failed.value)


@pytest.mark.parametrize("tries", [1, 20])
async def test_job_waits_for_the_end_of_a_refresh_outage(tmp_path: Path, tries: int) -> None:
    """Like for any other outage."""
    world, clock = TokenWorld(instead=[*[httpx.ConnectError("no")] * 3 * tries]), FakeClock()
    emulator = Emulator(seed=1)
    tokens = refreshing(world, clock)
    async with AsyncClient(tokens, transport=emulator.transport(), clock=clock) as client:
        report = await client.upload(
            ACCOUNT, ["a@example.com", "b@example.com"], name="A", state=tmp_path / "state"
        )
    assert (report.added, len(world.forms)) == (2, 3 * tries + 1)
    (members,) = [emulator.members(made.id) for made in await lists(emulator)]
    assert len(members) == 2


async def lists(emulator: Emulator) -> Sequence[CustomerList]:
    async with AsyncClient("any", transport=emulator.transport()) as client:
        return await client.customer_lists_list(ACCOUNT).collect()


async def test_job_does_not_wait_for_an_untrusted_certificate(tmp_path: Path) -> None:
    """A setting has to change first."""
    problem = caused(httpx.ConnectError("no"), ssl.SSLCertVerificationError("self-signed"))
    world, clock = TokenWorld(instead=[*[problem] * 9]), FakeClock()
    begun = clock.time()
    transport = Emulator(seed=1).transport()
    async with AsyncClient(refreshing(world, clock), transport=transport, clock=clock) as client:
        with pytest.raises(PinterestAudiencesError) as failed:
            await client.upload(ACCOUNT, ["a@example.com"], name="A", state=tmp_path / "state")
    assert "is not trusted" in f"{failed.value} {failed.value.__cause__}"
    assert len(world.forms) == 1
    assert clock.time() - begun < 60


def refused_calls(world: TokenWorld, clock: FakeClock, tokens: RefreshingToken, n: int) -> None:
    with Client(tokens, transport=world.transport(), clock=clock) as client:
        for _ in range(n):
            with pytest.raises(AuthenticationError) as failed:
                client.customer_lists_list(ACCOUNT).collect()
            assert type(failed.value) is AuthenticationError
            assert failed.value.status == 401


class Refusing(TokenWorld):
    """A server that issues tokens and refuses all of them."""

    def listing(self, authorization: str) -> Reply:
        return refusal(401, 2, "Authentication failed.")


def test_refused_new_tokens_are_refreshed_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Clients that share the source share the pause."""
    world, clock = Refusing(), FakeClock()
    tokens = refreshing(world, clock, expires_at=None)
    refused_calls(world, clock, tokens, 10)
    refused_calls(world, clock, tokens, 10)
    assert world.refreshes == 1
    assert "the next refresh is possible in at most a minute" in caplog.text
    clock.advance(61)
    refused_calls(world, clock, tokens, 10)
    assert world.refreshes == 2


def test_token_revoked_long_after_its_refresh_is_refreshed() -> None:
    """The pause applies to tokens that are refused at once."""
    world, clock = TokenWorld(access_token="another"), FakeClock()
    tokens = refreshing(world, clock, expires_at=None)
    with Client(tokens, transport=world.transport(), clock=clock) as client:
        for count in range(1, 4):
            assert len(client.customer_lists_list(ACCOUNT).collect()) == 1
            assert world.refreshes == count
            world.access_token = "revoked"
            clock.advance(61)


def test_new_login_ends_the_pause_of_refused_tokens() -> None:
    """Newer stored tokens are used at once."""
    world, clock = Refusing(), FakeClock()
    store = MemoryTokenStore(kept(expires_at=None))
    tokens = RefreshingToken(store, APP, transport=world.transport, clock=clock)
    refused_calls(world, clock, tokens, 3)
    store.save(kept(access_token="another", expires_at=None))
    good = TokenWorld(access_token="another")
    with Client(tokens, transport=good.transport(), clock=clock) as client:
        assert len(client.customer_lists_list(ACCOUNT).collect()) == 1
    assert world.refreshes == 1


UNUSABLE = ["", " ", "\n", "pina_\x00", "two words", "pina_\r\nX-Evil: 1", "tökén", 5, None, [], {}]


@pytest.mark.parametrize("bad", UNUSABLE)
async def test_invalid_access_token_of_a_refresh_is_not_saved(bad: object) -> None:
    """The stored tokens stay, and the error describes the response."""
    answer = Reply(200, {"access_token": bad, "refresh_token": "pinr.new", "expires_in": 60})
    world, clock = TokenWorld(instead=[answer]), FakeClock()
    store = MemoryTokenStore(kept())
    tokens = RefreshingToken(store, APP, transport=world.transport, clock=clock)
    with pytest.raises(DecodeError, match="oauth_token: cannot be read"):
        await tokens.get()
    assert store.load() == kept()
    clock.advance(11)
    assert (await tokens.get()).value == "pina_SENTINELaccess1"
    assert [form["refresh_token"] for form in world.forms] == [FIRST] * 2


@pytest.mark.parametrize("bad", [" ", "\n", "pinr.\x00", "two words"])
async def test_invalid_refresh_token_of_a_refresh_is_not_saved(bad: str) -> None:
    """It could not be sent at the next refresh, weeks later."""
    answer = Reply(200, {"access_token": "pina_new", "refresh_token": bad})
    world, store = TokenWorld(instead=[answer]), MemoryTokenStore(kept())
    tokens = RefreshingToken(store, APP, transport=world.transport, clock=FakeClock())
    with pytest.raises(DecodeError, match="refresh_token"):
        await tokens.get()
    assert store.load() == kept()


@pytest.mark.parametrize("absent", [{}, {"refresh_token": ""}, {"refresh_token": None}])
async def test_response_without_refresh_token_keeps_the_stored_one(
    absent: dict[str, object],
) -> None:
    """Pinterest does not replace it at each refresh."""
    world = TokenWorld(instead=[Reply(200, {"access_token": "pina_new", **absent})])
    store = MemoryTokenStore(kept())
    tokens = RefreshingToken(store, APP, transport=world.transport, clock=FakeClock())
    assert (await tokens.get()).value == "pina_new"
    assert store.load().refresh_token == FIRST  # type: ignore[union-attr]  # it was just saved


def test_oauth_token_refuses_an_invalid_token_in_the_response() -> None:
    """The exchange of the code fails, not the first call."""
    world = TokenWorld(instead=[Reply(200, {"access_token": " "})])
    with (
        Client("a-token", transport=world.transport()) as client,
        pytest.raises(DecodeError, match="access_token"),
    ):
        client.oauth_token(APP, grant_type="refresh_token", refresh_token=FIRST)
