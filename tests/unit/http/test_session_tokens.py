"""The request loop and tokens: when a token is refreshed, and how often."""

from __future__ import annotations

import anyio
import httpx
import pytest
from support.calls import LIST_PATH, Operate, create, fails, get, update, walk
from support.cases import each_case
from support.wire import LIST, PAGE, Reply, refusal, rig

from pinterest_audiences import AuthenticationError, CallableToken, Token, TokenRefreshError

pytestmark = pytest.mark.anyio

GOOD: dict[Operate, dict[str, object]] = {create: LIST, get: LIST, update: LIST, walk: PAGE}
EVERY = pytest.mark.parametrize("operate", [create, get, update, walk])


class Vault:
    """A function that returns a new token each time, or fails from the second call on."""

    def __init__(self, *, fails: bool = False) -> None:
        self.asked = 0
        self._fails = fails

    async def __call__(self) -> str:
        self.asked += 1
        if self._fails and self.asked > 1:
            raise OSError("vault is away")
        return f"token{self.asked}"


@EVERY
@each_case(
    "expired", [refusal(401, 2, "Authentication failed."), refusal(401), Reply(401, body=b"no")]
)
@each_case("max_retries", [0, 4])
async def test_expired_token_is_refreshed_once_and_the_call_retried(
    operate: Operate, expired: Reply, max_retries: int
) -> None:
    """Any call, because it was refused, and without a wait."""
    vault = Vault()
    scene = rig(
        expired, Reply(data=GOOD[operate]), access_token=vault.__call__, max_retries=max_retries
    )
    async with scene.client as client:
        await operate(client)
    used = [sent.headers["authorization"] for sent in scene.sent]
    assert used == ["Bearer token1", "Bearer token2"]
    assert vault.asked == 2
    assert scene.clock.sleeps == []


async def test_second_401_is_raised() -> None:
    vault = Vault()
    scene = rig(refusal(401, 2), refusal(401, 2, rid="7"), access_token=vault.__call__)
    async with scene.client as client:
        error = await fails(get, client)
    assert type(error) is AuthenticationError
    assert (error.attempts, vault.asked) == (2, 2)
    assert "get a new access token" in str(error)


async def test_each_call_may_refresh_once() -> None:
    """A token may expire twice in the lifetime of a client."""
    vault = Vault()
    expired, good = refusal(401, 2), Reply(data=LIST)
    scene = rig(expired, good, good, expired, good, access_token=vault.__call__)
    async with scene.client as client:
        for _ in range(3):
            await get(client)
    assert vault.asked == 3


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (3, "needs the scope ads:write"),
        (7, "needs the role OWNER, ADMIN or AUDIENCE_MANAGER"),
        (29, "needs the role OWNER, ADMIN or AUDIENCE_MANAGER"),
    ],
)
async def test_401_without_token_error_code_is_not_refreshed(code: int, hint: str) -> None:
    """A new token would have the same scopes."""
    vault = Vault()
    scene = rig(refusal(401, code), access_token=vault.__call__)
    async with scene.client as client:
        error = await fails(update, client)
    assert isinstance(error, AuthenticationError)
    assert (error.code, vault.asked, len(scene.sent)) == (code, 1, 1)
    assert hint in str(error)


async def test_refused_static_token_is_not_retried() -> None:
    scene = rig(refusal(401, 2, "Authentication failed."))
    async with scene.client as client:
        error = await fails(get, client)
    assert type(error) is AuthenticationError
    assert error.attempts == 1


async def test_concurrent_calls_with_an_expired_token_share_one_refresh() -> None:
    vault, arrived = Vault(), anyio.Event()

    async def expired(_: httpx.Request) -> Reply:
        if len(scene.sent) == 12:
            arrived.set()
        await arrived.wait()
        return refusal(401, 2)

    scene = rig(*[expired] * 12, *[Reply(data=LIST)] * 12, access_token=vault.__call__)
    async with scene.client as client, anyio.create_task_group() as tasks:
        for _ in range(12):
            tasks.start_soon(get, client)
    assert vault.asked == 2
    assert [sent.headers["authorization"] for sent in scene.sent[12:]] == ["Bearer token2"] * 12


async def test_failed_refresh_names_the_call_and_whether_it_may_be_applied() -> None:
    """An update with a lost response may have been applied."""
    scene = rig(
        httpx.ReadError("reset"), refusal(401, 2), access_token=CallableToken(Vault(fails=True))
    )
    async with scene.client as client:
        error = await fails(update, client)
    assert isinstance(error, TokenRefreshError)
    assert "failed with OSError" in str(error)
    assert (error.operation, error.path) == ("customer_lists_update", LIST_PATH)
    assert (error.attempts, error.maybe_applied) == (2, True)


@pytest.mark.parametrize("lost", [0, 1])
async def test_unavailable_token_error_names_the_call(lost: int) -> None:
    """Before the first attempt, or before the one after a lost response."""

    class Source:
        """Returns a token a number of times, and then fails."""

        left = lost

        async def get(self) -> Token:
            self.left -= 1
            if self.left < 0:
                raise TokenRefreshError(status=401, hint="sign in again")
            return Token("token")

        async def refresh(self, seen: Token) -> Token:
            return seen

    scene = rig(*[httpx.ReadError("reset")] * lost, access_token=Source())
    async with scene.client as client:
        error = await fails(update, client)
    assert isinstance(error, TokenRefreshError)
    assert str(error).startswith("customer_lists_update: 401")
    assert "sign in again" in str(error)
    assert (error.operation, error.path) == ("customer_lists_update", LIST_PATH)
    assert (error.attempts, error.maybe_applied) == (lost, lost > 0)
