"""The request loop: which requests are retried, and which are not."""

from __future__ import annotations

import errno

import anyio
import httpx
import pytest
from support.calls import Operate, create, fails, get, update, walk
from support.cases import each_case
from support.wire import LIST, PAGE, Reply, Step, refusal, rig

from pinterest_audiences import (
    APIError,
    AsyncClient,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    CustomerList,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    TransportError,
)

pytestmark = pytest.mark.anyio

GOOD: dict[Operate, dict[str, object]] = {create: LIST, get: LIST, update: LIST, walk: PAGE}
EVERY = pytest.mark.parametrize("operate", [create, get, update, walk])
REPEATABLE = pytest.mark.parametrize("operate", [get, update, walk])

# Certainly not applied: the request was refused, or never sent.
NOT_DONE: list[Step] = [
    httpx.ConnectError("refused"),
    httpx.ConnectTimeout("late"),
    httpx.PoolTimeout("full"),
    httpx.ProxyError("no"),
    refusal(429, 8, "This request exceeded a rate limit."),
    refusal(400, 12, "Retry after 2 seconds"),
]
# Possibly applied: the response was lost.
MAYBE_DONE: list[Step] = [
    httpx.ReadError("reset"),
    httpx.WriteError("reset"),
    httpx.ReadTimeout("late"),
    httpx.WriteTimeout("late"),
    httpx.RemoteProtocolError("cut"),
    httpx.DecodingError("bad gzip"),
    refusal(408, 408),
    refusal(500, 500),
    refusal(503, 4197),
    Reply(502, body=b"<html>Bad Gateway</html>", headers={"content-type": "text/html"}),
]
FINAL: list[tuple[Reply, type[APIError]]] = [
    (refusal(400, 1), BadRequestError),
    (refusal(401, 3), AuthenticationError),
    (refusal(403, 29), PermissionDeniedError),
    (refusal(404, 404), NotFoundError),
    (refusal(409, 409), ConflictError),
    (refusal(405, 5), APIError),
    (refusal(413, 413), APIError),
    (refusal(418), APIError),
]


@EVERY
async def test_successful_call_is_sent_once_without_waiting(operate: Operate) -> None:
    scene = rig(Reply(data=GOOD[operate]))
    async with scene.client as client:
        found = await operate(client)
    customer_list = found[0] if isinstance(found, list) else found
    assert isinstance(customer_list, CustomerList)
    assert customer_list.id == "643"
    assert len(scene.sent) == 1
    assert scene.clock.sleeps == []


@EVERY
@each_case("step", NOT_DONE)
async def test_request_that_was_not_applied_is_retried(operate: Operate, step: Step) -> None:
    """Also a create, if it was refused or never sent."""
    scene = rig(step, step, Reply(data=GOOD[operate]))
    async with scene.client as client:
        await operate(client)
    assert len(scene.sent) == 3
    assert {sent.body for sent in scene.sent} == {scene.sent[0].body}
    assert scene.clock.elapsed > 0


@REPEATABLE
@each_case("step", MAYBE_DONE)
async def test_possibly_applied_idempotent_request_is_retried(operate: Operate, step: Step) -> None:
    """Reads, and adding the same records."""
    scene = rig(step, step, Reply(data=GOOD[operate]))
    async with scene.client as client:
        await operate(client)
    assert len(scene.sent) == 3


@pytest.mark.parametrize("step", MAYBE_DONE, ids=repr)
async def test_possibly_applied_create_is_not_retried(step: Step) -> None:
    """The error says that the list may exist."""
    scene = rig(step)
    async with scene.client as client:
        error = await fails(create, client)
    assert len(scene.sent) == 1
    assert (error.maybe_applied, error.attempts) == (True, 1)
    assert "may have been applied" in str(error)


async def test_possibly_applied_create_is_reported_after_earlier_refusals() -> None:
    """A refusal before it does not hide that the response to the second attempt was lost."""
    scene = rig(httpx.ConnectError("refused"), httpx.ReadTimeout("late"))
    async with scene.client as client:
        error = await fails(create, client)
    assert isinstance(error, RequestTimeoutError)
    assert (error.maybe_applied, error.attempts) == (True, 2)


@EVERY
@each_case(("reply", "kind"), FINAL)
async def test_client_error_is_raised_at_once_by_its_class(
    operate: Operate, reply: Reply, kind: type[APIError]
) -> None:
    scene = rig(reply)
    async with scene.client as client:
        error = await fails(operate, client)
    assert type(error) is kind
    assert isinstance(error, APIError)
    assert (error.status, error.attempts, error.maybe_applied) == (reply.status, 1, False)
    assert scene.clock.sleeps == []


@REPEATABLE
async def test_last_failure_is_raised_after_max_retries(operate: Operate) -> None:
    """Four retries are five attempts; any of them may have applied the change."""
    scene = rig(httpx.ReadError("reset"), *[refusal(503, 4197)] * 4)
    async with scene.client as client:
        error = await fails(operate, client)
    assert isinstance(error, ServerError)
    assert error.attempts == len(scene.sent) == 5
    assert error.maybe_applied == (operate is update)
    assert "5 attempts" in str(error)


@each_case("step", [*NOT_DONE, *MAYBE_DONE])
async def test_max_retries_0_sends_once(step: Step) -> None:
    scene = rig(step, max_retries=0)
    async with scene.client as client:
        error = await fails(update, client)
    assert error.attempts == len(scene.sent) == 1
    assert scene.clock.sleeps == []


async def test_retry_after_of_a_503_is_waited() -> None:
    """Not less, and at most a second more."""
    scene = rig(refusal(503, 4197, retry_after="20"), Reply(data=LIST))
    async with scene.client as client:
        await get(client)
    assert 20 <= scene.clock.elapsed <= 21


async def test_rate_limit_delays_its_category_only() -> None:
    """A refused read and all other reads wait for the reset; a write does not."""
    scene = rig(
        refusal(429, 8, x_ratelimit_reset="30"),
        Reply(data=LIST),
        Reply(data=LIST),
        Reply(data=LIST),
    )
    ended: dict[str, float] = {}

    async def run(name: str, operate: Operate, client: AsyncClient) -> None:
        await operate(client)
        ended[name] = scene.clock.elapsed

    async with scene.client as client, anyio.create_task_group() as tasks:
        tasks.start_soon(run, "first read", get, client)
        await scene.clock.sleep(1)
        tasks.start_soon(run, "second read", get, client)
        tasks.start_soon(run, "write", update, client)
    assert ended["write"] < 2
    assert ended["first read"] >= 30
    assert ended["second read"] >= 30


@pytest.mark.parametrize("reset", ["121", "3600", "1700003600"])
async def test_wait_beyond_max_wait_raises_and_blocks_the_category(reset: str) -> None:
    """Other categories continue."""
    scene = rig(
        refusal(
            429, 8, x_ratelimit_reset=reset, x_ratelimit_limit='400, 400;w=60;name="ads_write"'
        ),
        Reply(data=LIST),
        Reply(data=LIST),
    )
    async with scene.client as client:
        first = await fails(create, client)
        second = await fails(update, client)
        assert len(scene.sent) == 1
        await get(client)
        scene.clock.advance(float(reset) % 1_700_000_000)
        await update(client)
    wait = float(reset) % 1_700_000_000
    assert isinstance(first, RateLimitError)
    assert (first.status, first.code, first.attempts) == (429, 8, 1)
    assert first.retry_after == wait
    assert (first.category, first.limit) == ("ads_write", '400, 400;w=60;name="ads_write"')
    assert isinstance(second, RateLimitError)
    assert (second.attempts, second.maybe_applied, second.category) == (0, False, "ads_write")
    assert second.retry_after is not None
    assert second.retry_after == pytest.approx(wait)
    assert "not sent" in str(second)
    assert sum(scene.clock.sleeps) < 1  # the wait was not slept


async def test_wait_of_exactly_max_wait_is_waited() -> None:
    """With any jitter."""
    scene = rig(refusal(429, 8, x_ratelimit_reset="120"), Reply(data=LIST))
    async with scene.client as client:
        await get(client)
    assert len(scene.sent) == 2


@pytest.mark.parametrize(
    "data",
    [
        {"code": 8, "message": "Your request was blocked as spam."},
        {"code": 8, "message": "Blocked.", "message_detail": "It looks like Spam to us."},
    ],
)
async def test_spam_refusal_is_not_retried(data: dict[str, object]) -> None:
    """It is not a rate limit, whichever field reports it: the category is not paused."""
    scene = rig(Reply(429, data), Reply(data=LIST))
    async with scene.client as client:
        error = await fails(update, client)
        assert len(scene.sent) == 1
        await update(client)
    assert isinstance(error, RateLimitError)
    assert scene.clock.sleeps == []


@each_case(
    ("base_url", "attempts"),
    [("http://127.0.0.1:8080/v5", 5), ("http://[::1]/v5", 5), ("https://api.pinterest.com/v5", 12)],
)
async def test_only_a_refusing_server_on_this_machine_ends_a_wait(
    base_url: str, attempts: int
) -> None:
    """It was not started: an outage of Pinterest is waited through."""
    refused = httpx.ConnectError("refused")
    refused.__cause__ = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
    ready = Reply(200, {**LIST, "status": "READY"})
    one = rig(*[refused] * 11, ready, base_url=base_url)
    async with one.client as client:
        if attempts == 12:
            assert (await client.wait_until_ready("1", "7")).status == "READY"
        else:
            with pytest.raises(TransportError, match="no server listens there"):
                await client.wait_until_ready("1", "7")
    assert len(one.sent) == attempts
