"""The rate limiter under load: shared limits, pauses, and calls in flight."""

from __future__ import annotations

from itertools import pairwise

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.clock import FakeClock
from support.rates import NET, budget, learn, most_in_a_window, rate_headers, slots

from pinterest_audiences._http.rate_limit import RateLimiter, RateLimitExceededError

pytestmark = pytest.mark.anyio


async def test_two_categories_share_the_overall_limit() -> None:
    """Reads and writes are counted together."""
    clock, taken = FakeClock(), list[float]()
    own = budget(clock)

    async def spend(category: str) -> None:
        for _ in range(20):
            await own.acquire(category)
            taken.append(clock.elapsed)
            own.release(category)

    for category in ("ads_read", "ads_write"):
        learn(own, category, rate_headers(f'10, {NET}, 1000;w=60;name="{category}_app_id_user_id"'))
    async with anyio.create_task_group() as tasks:
        for category in ("ads_read", "ads_write"):
            for _ in range(2):
                tasks.start_soon(spend, category)
    assert len(taken) == 80
    assert most_in_a_window(taken, 1) <= 10
    assert taken[-1] < 9


async def test_paused_category_does_not_delay_another() -> None:
    """Reads continue while writes wait for their next minute."""
    clock = FakeClock()
    own = budget(clock)
    for category in ("ads_read", "ads_write"):
        learn(own, category, rate_headers(f'10, {NET}, 1000;w=60;name="{category}_app_id_user_id"'))
    own.pause("ads_write", 60)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(own.acquire, "ads_write")
        await clock.sleep(1)
        assert (await slots(own, clock, "ads_read", 3))[-1] < 2.5
        assert clock.elapsed < 60
    assert clock.elapsed >= 60


async def test_queued_writes_do_not_delay_a_read() -> None:
    """A long queue of one category does not use up the shared limit."""
    clock = FakeClock()
    own = budget(clock)
    learn(own, "ads_write", rate_headers(f'5, {NET}, 5;w=60;name="ads_write_app_id_user_id"'))
    learn(own, "ads_read", rate_headers(f'10, {NET}, 1000;w=60;name="ads_read_app_id_user_id"'))
    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(own.acquire, "ads_write")
        await clock.sleep(1)
        await own.acquire("ads_read")
        assert clock.elapsed < 2
        tasks.cancel_scope.cancel()


async def test_pause_cancels_slots_already_assigned() -> None:
    """A call that waits for a slot then waits for the pause, and for a new slot."""
    clock, taken = FakeClock(), list[float]()
    own = budget(clock)
    learn(own, "ads_write", rate_headers('1, 1;w=1;name="ads_write_app_id_user_id"'))

    async def send() -> None:
        await own.acquire("ads_write")
        taken.append(clock.elapsed)
        own.release("ads_write")

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(send)
        await clock.sleep(0.5)
        own.pause("ads_write", 30)
    assert taken[0] == 0
    assert taken[1] >= 30.5
    assert all(later - earlier >= 1 for earlier, later in pairwise(taken))


async def test_shorter_pause_does_not_shorten_a_longer_one() -> None:
    clock = FakeClock()
    own = budget(clock)
    own.pause("org_read", 30)
    own.pause("org_read", 5)
    assert await slots(own, clock, "org_read", 1) == [30]
    own.pause("org_read", 1)
    own.pause("org_read", 7)
    assert await slots(own, clock, "org_read", 1) == [37]


async def test_prolonged_pause_is_waited_to_its_new_end() -> None:
    clock = FakeClock()
    own = budget(clock)
    own.pause("org_read", 10)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(own.acquire, "org_read")
        await clock.sleep(5)
        own.pause("org_read", 40)
    assert clock.elapsed == 45


async def test_pause_beyond_max_wait_raises_at_once() -> None:
    """For as long as more than `max_wait` remains."""
    clock = FakeClock()
    own = budget(clock, max_wait=60)
    own.pause("org_read", 100)
    with pytest.raises(RateLimitExceededError) as refused:
        await own.acquire("org_read")
    assert refused.value.seconds == 100
    assert clock.sleeps == []
    clock.advance(40)
    assert await slots(own, clock, "org_read", 1) == [100]


@pytest.mark.parametrize("moment", [0.1, 0.3, 2 / 3, 1e6 + 0.1])
async def test_pause_of_exactly_max_wait_is_waited_at_any_clock_value(moment: float) -> None:
    """Floating-point sums must not change the result."""
    clock = FakeClock()
    clock.advance(moment)
    own = budget(clock, max_wait=100.1)
    own.pause("org_read", 100.1)
    await own.acquire("org_read")
    assert clock.elapsed == pytest.approx(moment + 100.1)


async def test_call_behind_waiting_calls_is_refused_at_once() -> None:
    """If its own wait would exceed `max_wait`."""
    clock = FakeClock()
    own = budget(clock, max_wait=60)
    own.pause("org_read", 50)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(own.acquire, "org_read")
        await clock.sleep(1)
        own.pause("org_read", 1000)
        with pytest.raises(RateLimitExceededError):
            await own.acquire("org_read")
        assert clock.elapsed == 1
        tasks.cancel_scope.cancel()


async def in_flight(own: RateLimiter, category: str, number: int) -> None:
    for _ in range(number):
        await own.acquire(category)


@pytest.mark.parametrize(("remaining", "paused"), [(3, False), (2, True), (0, True)])
async def test_remaining_quota_is_reserved_for_calls_in_flight(
    remaining: int, paused: bool
) -> None:
    """With two in flight and two remaining, another call waits for the reset."""
    clock = FakeClock()
    own = budget(clock)
    learn(own, "ads_write", rate_headers("5000, 5000;w=60"))
    await in_flight(own, "ads_write", 2)
    learn(own, "ads_write", rate_headers("5000, 5000;w=60", remaining, 20))
    await own.acquire("ads_write")
    assert (clock.elapsed >= 20) == paused


async def test_reset_header_may_be_an_epoch_time() -> None:
    clock = FakeClock()
    own = budget(clock)
    now = 1_700_000_000
    learn(own, "org_read", rate_headers("5000, 5000;w=60", 0, now + 25), now=now)
    assert await slots(own, clock, "org_read", 1) == pytest.approx([25], abs=0.1)


@pytest.mark.parametrize(
    "headers",
    [
        rate_headers("5000, 5000;w=60", remaining=0),
        rate_headers("5000, 5000;w=60", reset=20),
        {**rate_headers("5000, 5000;w=60", reset=20), "x-ratelimit-remaining": "none"},
        {**rate_headers("5000, 5000;w=60", remaining=0), "x-ratelimit-reset": "soon"},
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "20"},
    ],
)
async def test_incomplete_rate_headers_cause_no_pause(headers: dict[str, str]) -> None:
    """Limit, remaining and reset are all required."""
    clock = FakeClock()
    own = budget(clock)
    learn(own, "org_read", headers)
    await own.acquire("org_read")
    assert clock.elapsed < 1


async def test_window_of_a_second_pauses_only_if_exhausted() -> None:
    """It ends before a pause would help calls in flight."""
    clock = FakeClock()
    own = budget(clock)
    limits = '10, 10;w=1;name="safety_net_app_id_user_id", 5000;w=60;name="ads_read_app_id_user_id"'
    await in_flight(own, "ads_read", 5)
    learn(own, "ads_read", rate_headers(limits, remaining=3, reset=1))
    await own.acquire("ads_read")
    assert clock.elapsed < 0.9
    learn(own, "ads_read", rate_headers(limits, remaining=0, reset=1))
    await own.acquire("ads_read")
    assert clock.elapsed >= 1


async def test_reset_selects_the_policy_among_equal_quotas() -> None:
    """Of two policies with one quota."""
    clock = FakeClock()
    own = budget(clock)
    limits = (
        '100, 100;w=1;name="safety_net_app_id_user_id", 100;w=60;name="ads_write_app_id_user_id"'
    )
    learn(own, "ads_write", rate_headers(limits))
    await in_flight(own, "ads_write", 3)
    learn(own, "ads_write", rate_headers(limits, remaining=3, reset=40))
    await own.acquire("ads_write")
    assert clock.elapsed >= 40


async def test_cancelled_waiting_call_is_not_counted_as_in_flight() -> None:
    clock = FakeClock()
    own = budget(clock)
    own.pause("org_read", 10)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(own.acquire, "org_read")
        await clock.sleep(1)
        tasks.cancel_scope.cancel()
    clock.advance(9)
    learn(own, "org_read", rate_headers("5000, 5000;w=60", remaining=1, reset=20))
    await own.acquire("org_read")
    assert clock.elapsed == 10


@pytest.mark.slow
@settings(max_examples=15)
@given(
    st.integers(5, 200),
    st.integers(5, 60),
    st.lists(st.sampled_from(["ads_read", "ads_write"]), min_size=2, max_size=12),
    st.floats(0.1, 20),
)
async def test_each_category_stays_within_its_quota_under_load(
    quota: int, window: int, callers: list[str], pause: float
) -> None:
    """Several tasks, two categories and a pause."""
    clock, everything = FakeClock(), list[float]()
    taken: dict[str, list[float]] = {"ads_read": [], "ads_write": []}
    own = budget(clock)

    async def spend(category: str) -> None:
        for _ in range(quota // 3 + 2):
            await own.acquire(category)
            taken[category].append(clock.elapsed)
            everything.append(clock.elapsed)
            own.release(category)

    for category in taken:
        learn(own, category, rate_headers(f'{quota};w={window};name="{category}_x", {NET}'))
    async with anyio.create_task_group() as tasks:
        for category in callers:
            tasks.start_soon(spend, category)
        await clock.sleep(pause)
        own.pause("ads_write", pause)
    assert len(everything) == len(callers) * (quota // 3 + 2)
    assert all(most_in_a_window(times, window) <= quota for times in taken.values())
    assert most_in_a_window(everything, 1) <= 10
