"""The rate limiter: reading limits from headers, and spending the budget."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clock import FakeClock
from support.rates import budget, learn, most_in_a_window, rate_headers, slots

from pinterest_audiences._http.rate_limit import Policy, parse_policies

pytestmark = pytest.mark.anyio


# Parsing headers.


def test_policies_of_the_recorded_header_are_parsed() -> None:
    """The first number is not a policy; each policy has a quota, a window and a name."""
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
def test_unknown_parts_of_the_header_are_ignored(header: str, policies: tuple[Policy, ...]) -> None:
    """A future header format must not stop a client."""
    assert parse_policies(header) == policies


@given(st.text(max_size=60) | st.text('0123456789;w=, "nameab', max_size=60))
def test_any_header_value_parses_to_valid_policies(header: str) -> None:
    assert all(policy.quota > 0 and policy.window > 0 for policy in parse_policies(header))


# Spending the budget.


async def test_documented_limits_apply_before_the_first_response() -> None:
    """Standard access: 400 writes and 1,000 reads a minute."""
    for category, quota in (("ads_write", 400), ("ads_read", 1000)):
        clock = FakeClock()
        found = await slots(budget(clock), clock, category, quota + 50)
        assert most_in_a_window(found, 60) <= quota
        assert found[-1] > 60


async def test_unknown_category_is_not_limited() -> None:
    clock = FakeClock()
    assert await slots(budget(clock), clock, "org_read", 500) == [0.0] * 500


async def test_limits_from_headers_replace_the_defaults() -> None:
    """Also if they are lower."""
    clock = FakeClock()
    own = budget(clock)
    learn(own, "ads_write", rate_headers('20, 20;w=60;name="ads_write_app_id_user_id"'))
    found = await slots(own, clock, "ads_write", 45)
    assert most_in_a_window(found, 60) <= 20
    assert 120 < found[-1] < 150


async def test_new_limit_counts_only_calls_of_its_window() -> None:
    """Calls of minutes ago cause no wait."""
    clock = FakeClock()
    own = budget(clock)
    await slots(own, clock, "ads_write", 1200)
    clock.advance(61)
    before = clock.elapsed
    learn(own, "ads_write", rate_headers('200, 200;w=60;name="ads_write_app_id_user_id"'))
    found = await slots(own, clock, "ads_write", 200)
    assert found[0] - before < 2
    assert most_in_a_window(found, 60) <= 200


async def test_success_without_limit_headers_drops_the_defaults() -> None:
    """An API that sends no limits, such as an emulator, has none."""
    clock = FakeClock()
    own = budget(clock)
    own.learn("ads_write", {}, unix_time=0.0, success=False)
    assert (await slots(own, clock, "ads_write", 450))[-1] > 60
    learn(own, "ads_write", {})
    started = clock.elapsed
    assert await slots(own, clock, "ads_write", 500) == [started] * 500


async def test_limits_from_headers_survive_a_response_without_headers() -> None:
    """For example a proxy's error page."""
    clock = FakeClock()
    own = budget(clock)
    learn(own, "ads_write", rate_headers("20, 20;w=60"))
    learn(own, "ads_write", {})
    assert (await slots(own, clock, "ads_write", 25))[-1] > 60


async def test_daily_quota_is_not_paced() -> None:
    """With 300 calls a day the first ten are sent at once."""
    clock = FakeClock()
    own = budget(clock)
    learn(own, "ads_write", rate_headers('300, 300;w=86400;name="ads_write_app_id"', 299, 86400))
    assert await slots(own, clock, "ads_write", 10) == [0.0] * 10
