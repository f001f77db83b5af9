"""The rate budget: what it has read, and how it spends."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.clock import FakeClock
from support.rates import budget, learn, most_in_a_window, slots, told

from pinterest_audiences._wire.ratelimit import Pace, Policy, parse_policies

pytestmark = pytest.mark.anyio


# The header.


def test_the_policies_of_the_live_header_are_read() -> None:
    """The number in front is no policy; each policy has a quota, a window and a name."""
    assert parse_policies(
        '400, 100;w=1;name="safety_net_app_id_user_id", 400;w=60;name="ads_write_app_id_user_id"'
    ) == (
        Policy(100, 1, "safety_net_app_id_user_id"),
        Policy(400, 60, "ads_write_app_id_user_id"),
    )


@pytest.mark.parametrize(
    ("header", "policies"),
    [
        ("100", ()),
        ("", ()),
        ("nonsense", ()),
        ("10;w=5", (Policy(10, 5, ""),)),
        ("10 ; w=5 ; name=plain", (Policy(10, 5, "plain"),)),
        ('10;w=5;name="a",?,20;w=6;name="b"', (Policy(10, 5, "a"), Policy(20, 6, "b"))),
        ("0;w=60, 60;w=0, -1;w=5", ()),
        ("99999999999;w=1", ()),
        ("10;window=5", ()),
        ('10;w=5;burst=3;name="a"', (Policy(10, 5, ""),)),
    ],
)
def test_what_cannot_be_read_of_the_header_is_left_out(
    header: str, policies: tuple[Policy, ...]
) -> None:
    """A header in a form of tomorrow must not stop a client of today."""
    assert parse_policies(header) == policies


@given(st.text(max_size=60) | st.text('0123456789;w=, "nameab', max_size=60))
def test_no_header_breaks_the_reader(header: str) -> None:
    """Every policy that is read can be kept to."""
    assert all(policy.quota > 0 and policy.window > 0 for policy in parse_policies(header))


# The pace.

runs = st.lists(
    st.tuples(st.floats(0.0, 1.5) | st.sampled_from([0.0, 0.5, 1.0]), st.integers(1, 150)),
    min_size=1,
    max_size=8,
)
# How late a caller is for its slot, as a part of the window.
lateness = st.lists(st.floats(0.0, 0.02) | st.just(0.0), min_size=1, max_size=5)


def arrivals(runs: list[tuple[float, int]], window: int) -> Iterator[float]:
    """Yield times: after each gap, a part of the window, so many calls come at once."""
    now = 1000.0
    for gap, number in runs:
        now += gap * window
        for _ in range(number):
            yield now


@given(st.integers(1, 300), st.integers(1, 600), runs, lateness, st.integers(0, 500))
def test_no_window_holds_more_than_the_quota(
    quota: int, window: int, runs: list[tuple[float, int]], late: list[float], spent: int
) -> None:
    """Wherever a window begins, ends included, and however the calls come."""
    pace, now = Pace(Policy(quota, window, ""), now=1000.0, spent=spent), 1000.0
    taken: list[float] = []
    for arrival, part in zip(arrivals(runs, window), cycle(late), strict=False):
        now = max(now, arrival)
        now = pace.ready_at(now) + part * window
        pace.take(now)
        taken.append(now)
    assert most_in_a_window(taken, window) <= quota


@settings(max_examples=25)
@given(st.integers(100, 1500), st.integers(1, 600), st.floats(0.0, 0.0049))
def test_a_greedy_caller_gets_nearly_the_whole_quota(quota: int, window: int, late: float) -> None:
    """At least 97 % over ten windows, and never too many in one; a little late or not."""
    pace, taken, now = Pace(Policy(quota, window, ""), now=0.0), list[float](), 0.0
    while (now := pace.ready_at(now)) < 10 * window:
        # Asleep until the slot, and awake a little later.
        now += late * window if taken and now > taken[-1] else 0.0
        pace.take(now)
        taken.append(now)
    assert 0.97 * 10 * quota <= len(taken) <= 10 * quota
    assert most_in_a_window(taken, window) <= quota


def test_a_few_may_go_at_once_and_the_rest_goes_evenly() -> None:
    """One in a hundred of the quota is the burst."""
    pace, taken = Pace(Policy(400, 60, ""), now=0.0), list[float]()
    for _ in range(50):
        taken.append(pace.ready_at(0.0))
        pace.take(taken[-1])
    gaps = [later - earlier for earlier, later in pairwise(taken)]
    assert gaps[:3] == [0.0] * 3
    assert gaps[3:] == pytest.approx([60 / 393] * 46)


# The budget.


async def test_before_the_first_answer_the_known_limits_are_kept() -> None:
    """Of Standard access: 400 writes and 1,000 reads a minute."""
    for category, quota in (("ads_write", 400), ("ads_read", 1000)):
        clock = FakeClock()
        found = await slots(budget(clock), clock, category, quota + 50)
        assert most_in_a_window(found, 60) <= quota
        assert found[-1] > 60


async def test_a_category_nobody_knows_is_not_held_up() -> None:
    """Without any limit there is nothing to keep."""
    clock = FakeClock()
    assert await slots(budget(clock), clock, "org_read", 500) == [0.0] * 500


async def test_learned_limits_take_the_place_of_the_assumed_ones() -> None:
    """What Pinterest tells is kept to, also when it is less."""
    clock = FakeClock()
    own = budget(clock)
    learn(own, "ads_write", told('20, 20;w=60;name="ads_write_app_id_user_id"'))
    found = await slots(own, clock, "ads_write", 45)
    assert most_in_a_window(found, 60) <= 20
    assert 120 < found[-1] < 150


async def test_a_limit_learned_late_counts_only_the_calls_of_its_window() -> None:
    """What was sent minutes ago is no reason to wait."""
    clock = FakeClock()
    own = budget(clock)
    before = (await slots(own, clock, "ads_write", 1200))[-1]
    assert before > 120
    learn(own, "ads_write", told('200, 200;w=60;name="ads_write_app_id_user_id"'))
    found = await slots(own, clock, "ads_write", 200)
    assert found[0] - before < 2
    assert most_in_a_window(found, 60) <= 200


async def test_a_success_without_limits_drops_the_assumed_ones() -> None:
    """An API that tells of no limits, as an emulator may, has none."""
    clock = FakeClock()
    own = budget(clock)
    own.learn("ads_write", {}, now=0.0, success=False)
    assert (await slots(own, clock, "ads_write", 20))[-1] > 0
    learn(own, "ads_write", {})
    started = clock.elapsed
    assert await slots(own, clock, "ads_write", 500) == [started] * 500


async def test_learned_limits_outlive_an_answer_without_them() -> None:
    """A proxy's page that lacks the header takes nothing back."""
    clock = FakeClock()
    own = budget(clock)
    learn(own, "ads_write", told("20, 20;w=60"))
    learn(own, "ads_write", {})
    assert (await slots(own, clock, "ads_write", 5))[-1] > 6


async def test_a_quota_for_a_day_is_not_spread_over_the_day() -> None:
    """Who has 300 calls a day wants the first ten now."""
    clock = FakeClock()
    own = budget(clock)
    learn(own, "ads_write", told('300, 300;w=86400;name="ads_write_app_id"', 299, 86400))
    assert await slots(own, clock, "ads_write", 10) == [0.0] * 10
