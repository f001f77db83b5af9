"""The rate budget under load: shared nets, pauses, and calls on their way."""

from __future__ import annotations

from itertools import pairwise

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.clock import FakeClock
from support.rates import NET, budget, learn, most_in_a_window, slots, told

from pinterest_audiences._wire.ratelimit import BudgetSpentError, RateBudget

pytestmark = pytest.mark.anyio


async def test_two_categories_share_the_safety_net() -> None:
    """Reads and writes together keep to what is counted for both."""
    clock, taken = FakeClock(), list[float]()
    own = budget(clock)

    async def spend(category: str) -> None:
        for _ in range(20):
            await own.acquire(category)
            taken.append(clock.elapsed)
            own.release(category)

    for category in ("ads_read", "ads_write"):
        learn(own, category, told(f'10, {NET}, 1000;w=60;name="{category}_app_id_user_id"'))
    async with anyio.create_task_group() as tasks:
        for category in ("ads_read", "ads_write"):
            for _ in range(2):
                tasks.start_soon(spend, category)
    assert len(taken) == 80
    assert most_in_a_window(taken, 1) <= 10
    assert taken[-1] < 9


async def test_a_paused_category_does_not_hold_up_another() -> None:
    """While writes wait for their minute, reads go on at their own pace."""
    clock = FakeClock()
    own = budget(clock)
    for category in ("ads_read", "ads_write"):
        learn(own, category, told(f'10, {NET}, 1000;w=60;name="{category}_app_id_user_id"'))
    own.pause("ads_write", 60)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(own.acquire, "ads_write")
        await clock.sleep(1)
        assert (await slots(own, clock, "ads_read", 10))[-1] < 2.5
        assert clock.elapsed < 60
    assert clock.elapsed >= 60


async def test_writes_that_wait_for_their_slots_do_not_hold_up_a_read() -> None:
    """A long queue of one category leaves the shared safety net to the others meanwhile."""
    clock = FakeClock()
    own = budget(clock)
    learn(own, "ads_write", told(f'5, {NET}, 5;w=60;name="ads_write_app_id_user_id"'))
    learn(own, "ads_read", told(f'10, {NET}, 1000;w=60;name="ads_read_app_id_user_id"'))
    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(own.acquire, "ads_write")
        await clock.sleep(1)
        await own.acquire("ads_read")
        assert clock.elapsed < 2
        tasks.cancel_scope.cancel()


async def test_a_pause_makes_void_the_slots_already_given_out() -> None:
    """Who was waiting for a slot when a refusal came waits for the pause, and then for a slot."""
    clock, taken = FakeClock(), list[float]()
    own = budget(clock)
    learn(own, "ads_write", told('60, 60;w=60;name="ads_write_app_id_user_id"'))

    async def send() -> None:
        await own.acquire("ads_write")
        taken.append(clock.elapsed)

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(send)
        await clock.sleep(0.5)
        own.pause("ads_write", 30)
    assert taken[0] == 0
    assert taken[1] >= 30.5
    assert all(later - earlier >= 1 for earlier, later in pairwise(taken))


async def test_a_shorter_pause_does_not_cut_a_longer_one() -> None:
    """Of two pauses the one that ends later counts."""
    clock = FakeClock()
    own = budget(clock)
    own.pause("org_read", 30)
    own.pause("org_read", 5)
    assert await slots(own, clock, "org_read", 1) == [30]
    own.pause("org_read", 1)
    own.pause("org_read", 7)
    assert await slots(own, clock, "org_read", 1) == [37]


async def test_a_pause_that_grows_meanwhile_is_sat_out_whole() -> None:
    """Waking at the first end of a pause that has been prolonged is no reason to go."""
    clock = FakeClock()
    own = budget(clock)
    own.pause("org_read", 10)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(own.acquire, "org_read")
        await clock.sleep(5)
        own.pause("org_read", 40)
    assert clock.elapsed == 45


async def test_too_long_a_pause_raises_at_once_and_for_as_long_as_it_lasts() -> None:
    """Nobody waits in silence for longer than `max_wait`; later, what is left may be waited."""
    clock = FakeClock()
    own = budget(clock, max_wait=60)
    own.pause("org_read", 100)
    with pytest.raises(BudgetSpentError) as refused:
        await own.acquire("org_read")
    assert refused.value.seconds == 100
    assert clock.sleeps == []
    clock.advance(40)
    assert await slots(own, clock, "org_read", 1) == [100]


@pytest.mark.parametrize("moment", [0.1, 0.3, 2 / 3, 1e6 + 0.1])
async def test_the_longest_pause_allowed_is_sat_out_at_any_time_of_day(moment: float) -> None:
    """Sums of times are not exact, and what is too long is not a matter of the last digit."""
    clock = FakeClock()
    clock.advance(moment)
    own = budget(clock, max_wait=100.1)
    own.pause("org_read", 100.1)
    await own.acquire("org_read")
    assert clock.elapsed == pytest.approx(moment + 100.1)


async def test_who_comes_while_others_wait_is_refused_at_once_too() -> None:
    """A queue of patient callers does not keep the news from the next one."""
    clock = FakeClock()
    own = budget(clock, max_wait=60)
    own.pause("org_read", 50)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(own.acquire, "org_read")
        await clock.sleep(1)
        own.pause("org_read", 1000)
        with pytest.raises(BudgetSpentError):
            await own.acquire("org_read")
        assert clock.elapsed == 1
        tasks.cancel_scope.cancel()


async def in_flight(own: RateBudget, category: str, number: int) -> None:
    for _ in range(number):
        await own.acquire(category)


@pytest.mark.parametrize(("remaining", "paused"), [(3, False), (2, True), (0, True)])
async def test_what_is_left_is_kept_for_the_calls_on_their_way(
    remaining: int, paused: bool
) -> None:
    """Two in flight and two left: another call would be refused, so it waits for the reset."""
    clock = FakeClock()
    own = budget(clock)
    learn(own, "ads_write", told("5000, 5000;w=60"))
    await in_flight(own, "ads_write", 2)
    learn(own, "ads_write", told("5000, 5000;w=60", remaining, 20))
    await own.acquire("ads_write")
    assert (clock.elapsed >= 20) == paused


async def test_the_reset_may_be_a_time_of_day() -> None:
    """An epoch is as good as a delta."""
    clock = FakeClock()
    own = budget(clock)
    now = 1_700_000_000
    learn(own, "org_read", told("5000, 5000;w=60", 0, now + 25), now=now)
    assert await slots(own, clock, "org_read", 1) == pytest.approx([25], abs=0.1)


@pytest.mark.parametrize(
    "headers",
    [
        told("5000, 5000;w=60", remaining=0),
        told("5000, 5000;w=60", reset=20),
        {**told("5000, 5000;w=60", reset=20), "x-ratelimit-remaining": "none"},
        {**told("5000, 5000;w=60", remaining=0), "x-ratelimit-reset": "soon"},
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "20"},
    ],
)
async def test_half_a_story_does_not_pause(headers: dict[str, str]) -> None:
    """Without a limit, a rest and a reset that can be read there is nothing to wait for."""
    clock = FakeClock()
    own = budget(clock)
    learn(own, "org_read", headers)
    await own.acquire("org_read")
    assert clock.elapsed < 1


async def test_a_window_of_a_second_pauses_only_when_it_is_used_up() -> None:
    """It is over before a pause would have helped those in flight."""
    clock = FakeClock()
    own = budget(clock)
    limits = '10, 10;w=1;name="safety_net_app_id_user_id", 5000;w=60;name="ads_read_app_id_user_id"'
    await in_flight(own, "ads_read", 5)
    learn(own, "ads_read", told(limits, remaining=3, reset=1))
    await own.acquire("ads_read")
    assert clock.elapsed < 0.9
    learn(own, "ads_read", told(limits, remaining=0, reset=1))
    await own.acquire("ads_read")
    assert clock.elapsed >= 1


async def test_a_minute_with_the_quota_of_the_second_is_not_taken_for_it() -> None:
    """Two policies with one quota: the reset tells which of them binds."""
    clock = FakeClock()
    own = budget(clock)
    limits = (
        '100, 100;w=1;name="safety_net_app_id_user_id", 100;w=60;name="ads_write_app_id_user_id"'
    )
    learn(own, "ads_write", told(limits))
    await in_flight(own, "ads_write", 3)
    learn(own, "ads_write", told(limits, remaining=3, reset=40))
    await own.acquire("ads_write")
    assert clock.elapsed >= 40


async def test_a_cancelled_waiter_takes_nothing_from_the_others() -> None:
    """Who gives up while waiting is not counted as in flight."""
    clock = FakeClock()
    own = budget(clock)
    own.pause("org_read", 10)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(own.acquire, "org_read")
        await clock.sleep(1)
        tasks.cancel_scope.cancel()
    clock.advance(9)
    learn(own, "org_read", told("5000, 5000;w=60", remaining=1, reset=20))
    await own.acquire("org_read")
    assert clock.elapsed == 10


@settings(max_examples=15)
@given(
    st.integers(5, 200),
    st.integers(5, 60),
    st.lists(st.sampled_from(["ads_read", "ads_write"]), min_size=2, max_size=12),
    st.floats(0.1, 20),
)
async def test_however_many_ask_the_windows_hold(
    quota: int, window: int, callers: list[str], pause: float
) -> None:
    """Several tasks, two categories and a pause: each category keeps to its quota."""
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
        learn(own, category, told(f'{quota};w={window};name="{category}_x", {NET}'))
    async with anyio.create_task_group() as tasks:
        for category in callers:
            tasks.start_soon(spend, category)
        await clock.sleep(pause)
        own.pause("ads_write", pause)
    assert len(everything) == len(callers) * (quota // 3 + 2)
    assert all(most_in_a_window(times, window) <= quota for times in taken.values())
    assert most_in_a_window(everything, 1) <= 10
