"""The request loop: what is sent again, and what is not."""

from __future__ import annotations

import anyio
import httpx
import pytest
from support.calls import Operate, create, fails, get, update, walk
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
)

pytestmark = pytest.mark.anyio

GOOD: dict[Operate, dict[str, object]] = {create: LIST, get: LIST, update: LIST, walk: PAGE}
EVERY = pytest.mark.parametrize("operate", [create, get, update, walk])
REPEATABLE = pytest.mark.parametrize("operate", [get, update, walk])

# Nothing was done for certain: the request was refused, or never left.
NOT_DONE: list[Step] = [
    httpx.ConnectError("refused"),
    httpx.ConnectTimeout("late"),
    httpx.PoolTimeout("full"),
    httpx.ProxyError("no"),
    refusal(429, 8, "This request exceeded a rate limit."),
    refusal(400, 12, "Retry after 2 seconds"),
]
# It may have been done, and the answer was lost.
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
async def test_a_call_that_succeeds_is_sent_once_and_waits_for_nothing(operate: Operate) -> None:
    """The ordinary case."""
    scene = rig(Reply(data=GOOD[operate]))
    async with scene.client as client:
        found = await operate(client)
    customer_list = found[0] if isinstance(found, list) else found
    assert isinstance(customer_list, CustomerList)
    assert customer_list.id == "643"
    assert len(scene.sent) == 1
    assert scene.clock.sleeps == []


@EVERY
@pytest.mark.parametrize("step", NOT_DONE, ids=repr)
async def test_what_was_not_done_is_sent_again_whatever_it_is(operate: Operate, step: Step) -> None:
    """Also a create: refused or never sent, it made no list."""
    scene = rig(step, step, Reply(data=GOOD[operate]))
    async with scene.client as client:
        await operate(client)
    assert len(scene.sent) == 3
    assert {sent.body for sent in scene.sent} == {scene.sent[0].body}
    assert scene.clock.elapsed > 0


@REPEATABLE
@pytest.mark.parametrize("step", MAYBE_DONE, ids=repr)
async def test_what_may_have_been_done_is_sent_again_if_that_changes_nothing(
    operate: Operate, step: Step
) -> None:
    """Reading twice is reading, and adding twice is adding once."""
    scene = rig(step, step, Reply(data=GOOD[operate]))
    async with scene.client as client:
        await operate(client)
    assert len(scene.sent) == 3


@pytest.mark.parametrize("step", MAYBE_DONE, ids=repr)
async def test_a_create_that_may_have_been_done_is_not_sent_again(step: Step) -> None:
    """A second one could make a second list; the error says that the first may have made one."""
    scene = rig(step)
    async with scene.client as client:
        error = await fails(create, client)
    assert len(scene.sent) == 1
    assert (error.maybe_applied, error.attempts) == (True, 1)
    assert "may have been done all the same" in str(error)


async def test_a_create_that_may_have_been_done_says_so_to_the_end() -> None:
    """A refusal before it does not hide that the second attempt was lost."""
    scene = rig(httpx.ConnectError("refused"), httpx.ReadTimeout("late"))
    async with scene.client as client:
        error = await fails(create, client)
    assert isinstance(error, RequestTimeoutError)
    assert (error.maybe_applied, error.attempts) == (True, 2)


@EVERY
@pytest.mark.parametrize(("reply", "kind"), FINAL, ids=repr)
async def test_a_final_answer_is_final(
    operate: Operate, reply: Reply, kind: type[APIError]
) -> None:
    """What was wrong stays wrong: it is told at once, by its own class."""
    scene = rig(reply)
    async with scene.client as client:
        error = await fails(operate, client)
    assert type(error) is kind
    assert isinstance(error, APIError)
    assert (error.status, error.attempts, error.maybe_applied) == (reply.status, 1, False)
    assert scene.clock.sleeps == []


@REPEATABLE
async def test_after_the_last_retry_the_last_failure_is_told(operate: Operate) -> None:
    """Four retries are five attempts; a change may have been made by any of them."""
    scene = rig(httpx.ReadError("reset"), *[refusal(503, 4197)] * 4)
    async with scene.client as client:
        error = await fails(operate, client)
    assert isinstance(error, ServerError)
    assert error.attempts == len(scene.sent) == 5
    assert error.maybe_applied == (operate is update)
    assert "5 attempts" in str(error)


@pytest.mark.parametrize("step", [*NOT_DONE, *MAYBE_DONE], ids=repr)
async def test_without_retries_the_first_failure_is_the_last(step: Step) -> None:
    """`max_retries=0` sends once."""
    scene = rig(step, max_retries=0)
    async with scene.client as client:
        error = await fails(update, client)
    assert error.attempts == len(scene.sent) == 1
    assert scene.clock.sleeps == []


async def test_a_told_wait_is_waited() -> None:
    """A 503 with Retry-After: not earlier, and at most a second later."""
    scene = rig(refusal(503, 4197, retry_after="20"), Reply(data=LIST))
    async with scene.client as client:
        await get(client)
    assert 20 <= scene.clock.elapsed <= 21


async def test_a_rate_limit_makes_the_whole_category_wait_but_no_other() -> None:
    """A refused read is repeated after its reset, and so is every other read; a write is not."""
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


@pytest.mark.parametrize("told", ["121", "3600", "1700003600"])
async def test_too_long_a_wait_raises_at_once_and_nothing_more_is_sent(told: str) -> None:
    """Nor is the next call of the category, while the pause lasts; other categories go on."""
    scene = rig(
        refusal(429, 8, x_ratelimit_reset=told, x_ratelimit_limit='400, 400;w=60;name="ads_write"'),
        Reply(data=LIST),
        Reply(data=LIST),
    )
    async with scene.client as client:
        first = await fails(create, client)
        second = await fails(update, client)
        assert len(scene.sent) == 1
        await get(client)
        scene.clock.advance(float(told) % 1_700_000_000)
        await update(client)
    wait = float(told) % 1_700_000_000
    assert isinstance(first, RateLimitError)
    assert (first.status, first.code, first.attempts) == (429, 8, 1)
    assert first.retry_after == wait
    assert (first.category, first.limit) == ("ads_write", '400, 400;w=60;name="ads_write"')
    assert isinstance(second, RateLimitError)
    assert (second.attempts, second.maybe_applied, second.category) == (0, False, "ads_write")
    assert second.retry_after is not None
    assert second.retry_after == pytest.approx(wait)
    assert "not sent" in str(second)
    assert sum(scene.clock.sleeps) < 1  # nobody has sat it out


async def test_a_wait_of_just_the_longest_allowed_is_waited() -> None:
    """What may be waited is waited, whatever chance adds to it."""
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
async def test_a_refusal_for_spam_is_not_sent_again(data: dict[str, object]) -> None:
    """It is a judgement and no rate, whichever field says it: the category is not paused."""
    scene = rig(Reply(429, data), Reply(data=LIST))
    async with scene.client as client:
        error = await fails(update, client)
        assert len(scene.sent) == 1
        await update(client)
    assert isinstance(error, RateLimitError)
    assert scene.clock.sleeps == []
