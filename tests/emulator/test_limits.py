"""Rate budgets: what they allow, and what the headers say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from pinterest_audiences.emulator import RateLimits, RatePolicy
from pinterest_audiences.emulator.limits import STANDARD_LIMITS, Category, Limiter

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.conftest import Caller, FakeClock

    from pinterest_audiences.emulator import Emulator, Response


def rate_headers(response: Response) -> tuple[str | None, str | None, str | None]:
    return (
        response.header("x-ratelimit-limit"),
        response.header("x-ratelimit-remaining"),
        response.header("x-ratelimit-reset"),
    )


def spend(
    limiter: Limiter, times: int, category: Category | None = "ads_read", token: str = "a"
) -> list[bool]:
    return [limiter.spend(token, category).allowed for _ in range(times)]


def test_the_headers_have_the_form_of_the_live_api(clock: FakeClock) -> None:
    """The limit that binds comes first, then the safety net and the category with names."""
    standing = Limiter(STANDARD_LIMITS, clock).spend("a", "ads_write")
    assert standing.headers == (
        (
            "x-ratelimit-limit",
            (
                '100, 100;w=1;name="safety_net_app_id_user_id", '
                '400;w=60;name="ads_write_app_id_user_id"'
            ),
        ),
        ("x-ratelimit-remaining", "99"),
        ("x-ratelimit-reset", "1"),
    )


def test_the_limit_that_binds_is_the_one_with_the_least_left(clock: FakeClock) -> None:
    """When the minute's budget is nearly used up, the headers speak of it."""
    limiter = Limiter(RateLimits(ads_read=RatePolicy(3, 60)), clock)
    spend(limiter, 1)
    clock.advance(20.5)
    headers = dict(limiter.spend("a", "ads_read").headers)
    assert headers["x-ratelimit-limit"].startswith("3, 100;w=1;")
    assert headers["x-ratelimit-remaining"] == "1"
    assert headers["x-ratelimit-reset"] == "40"


def test_of_two_used_up_budgets_the_longer_wait_is_told(clock: FakeClock) -> None:
    """Who waits as long as the header says may really go on."""
    limits = RateLimits(ads_read=RatePolicy(2, 60), safety_net=RatePolicy(2, 1))
    limiter = Limiter(limits, clock)
    assert spend(limiter, 3) == [True, True, False]
    assert dict(limiter.spend("a", "ads_read").headers)["x-ratelimit-reset"] == "60"


def test_a_budget_is_used_up_and_comes_back_when_its_window_ends(clock: FakeClock) -> None:
    """Not a moment earlier, and then as a whole."""
    limiter = Limiter(RateLimits(ads_read=RatePolicy(2, 60)), clock)
    assert spend(limiter, 3) == [True, True, False]
    clock.advance(59.999)
    assert spend(limiter, 1) == [False]
    clock.advance(0.001)
    assert spend(limiter, 3) == [True, True, False]


def test_waiting_as_long_as_the_header_says_is_enough(clock: FakeClock) -> None:
    """The seconds are rounded up, never down."""
    limiter = Limiter(RateLimits(ads_read=RatePolicy(1, 60)), clock)
    spend(limiter, 1)
    clock.advance(0.3)
    refused = limiter.spend("a", "ads_read")
    assert refused.allowed is False
    clock.advance(int(dict(refused.headers)["x-ratelimit-reset"]))
    assert spend(limiter, 1) == [True]


def test_a_refused_request_costs_nothing(clock: FakeClock) -> None:
    """Refusals by the minute's budget leave the safety net alone."""
    limits = RateLimits(ads_read=RatePolicy(1, 60), safety_net=RatePolicy(3, 1))
    limiter = Limiter(limits, clock)
    assert spend(limiter, 10) == [True, *[False] * 9]
    assert spend(limiter, 3, "ads_write") == [True, True, False]


def test_categories_have_budgets_of_their_own_below_one_safety_net(clock: FakeClock) -> None:
    """Reading does not use up writing, but both use up the second."""
    limits = RateLimits(
        ads_read=RatePolicy(2, 60), ads_write=RatePolicy(2, 60), safety_net=RatePolicy(3, 1)
    )
    limiter = Limiter(limits, clock)
    assert spend(limiter, 2, "ads_read") == [True, True]
    assert spend(limiter, 2, "ads_write") == [True, False]
    clock.advance(1)
    assert spend(limiter, 2, "ads_write") == [True, False]


def test_the_safety_net_lets_a_hundred_through_in_a_second(clock: FakeClock) -> None:
    """The 101st in the same second is refused, the next second is open again."""
    limiter = Limiter(STANDARD_LIMITS, clock)
    assert spend(limiter, 101) == [*[True] * 100, False]
    clock.advance(1)
    assert spend(limiter, 101) == [*[True] * 100, False]


def test_tokens_do_not_share_a_budget(clock: FakeClock) -> None:
    """What one user spends, another has still."""
    limiter = Limiter(RateLimits(ads_read=RatePolicy(1, 60)), clock)
    assert spend(limiter, 2, token="a") == [True, False]
    assert spend(limiter, 2, token="b") == [True, False]


def test_a_clock_that_is_set_back_does_not_lock_anybody_out(clock: FakeClock) -> None:
    """A window that has not begun yet is none."""
    limiter = Limiter(RateLimits(ads_read=RatePolicy(1, 60)), clock)
    spend(limiter, 1)
    clock.advance(-3600)
    assert spend(limiter, 1) == [True]


def test_many_tokens_do_not_pile_up(clock: FakeClock) -> None:
    """Closed windows are dropped, open ones keep counting."""
    limiter = Limiter(RateLimits(ads_read=RatePolicy(1, 60)), clock)
    for number in range(8_000):
        limiter.spend(f"old{number}", "ads_read")
    clock.advance(59)
    spend(limiter, 1, token="kept")
    clock.advance(2)
    for number in range(8_000):
        limiter.spend(f"new{number}", "ads_read")
    assert len(limiter._windows) < 20_000
    assert spend(limiter, 1, token="kept") == [False]


@pytest.mark.parametrize(("quota", "seconds"), [(0, 60), (1, 0)])
def test_a_policy_without_quota_or_time_is_refused(quota: int, seconds: int) -> None:
    """Such a budget could never be met."""
    with pytest.raises(ValueError, match="must be >= 1"):
        RatePolicy(quota, seconds)


def test_every_answer_to_a_known_token_carries_the_headers(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """Whether it succeeds or not, whether the path is known or not."""
    call.emulator = new_emulator(rate_limits=STANDARD_LIMITS)
    call.create()
    answers = {
        200: call("GET", "549/customer_lists"),
        400: call("GET", "x/customer_lists"),
        404: call("GET", "549/customer_lists/1"),
        405: call("DELETE", "549/customer_lists/1"),
    }
    assert {status: answer.status for status, answer in answers.items()} == {
        status: status for status in answers
    }
    for answer in [*answers.values(), call("GET", "549/unknown")]:
        limit, remaining, reset = rate_headers(answer)
        assert limit is not None
        assert re.fullmatch(r'\d+(, \d+;w=\d+;name="\w+_app_id_user_id")+', limit)
        assert remaining is not None
        assert remaining.isdigit()
        assert reset is not None
        assert reset.isdigit()


def test_a_path_without_a_category_draws_on_the_safety_net_alone(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """It names no other policy."""
    call.emulator = new_emulator(rate_limits=STANDARD_LIMITS)
    limit, remaining, reset = rate_headers(call("GET", "549/unknown"))
    assert limit == '100, 100;w=1;name="safety_net_app_id_user_id"'
    assert (remaining, reset) == ("99", "1")


def test_an_unknown_token_gets_no_rate_headers(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """Budgets belong to tokens, and this is none."""
    call.emulator = new_emulator(rate_limits=STANDARD_LIMITS, access_tokens=["good"])
    assert rate_headers(call("GET", "549/customer_lists", token="bad")) == (None, None, None)


def test_a_used_up_budget_is_answered_with_429_in_pinterests_words(
    new_emulator: Callable[..., Emulator], call: Caller, clock: FakeClock
) -> None:
    """Code 8, one line, nothing left, and how long to wait; nothing has happened."""
    call.emulator = new_emulator(rate_limits=RateLimits(ads_write=RatePolicy(1, 60)))
    created = call.create()
    path = f"549/customer_lists/{created['id']}"
    change = {"operation_type": "ADD", "records": "late@example.com"}
    clock.advance(12.5)
    refused = call("PATCH", path, change)
    assert refused.status == 429
    assert refused.json() == {
        "code": 8,
        "message": "This request exceeded a rate limit. This can happen if the client exceeds "
        "one of the published rate limits within a short time window.",
    }
    limit, remaining, reset = rate_headers(refused)
    assert limit is not None
    assert limit.startswith("1, ")
    assert (remaining, reset) == ("0", "48")
    assert call.emulator.members(str(created["id"])) == {"a@example.com"}
    assert call.emulator.requests[-1].status == 429
    clock.advance(48)
    assert call("PATCH", path, change).status == 200


def test_without_limits_nothing_is_refused_and_nothing_is_told(call: Caller) -> None:
    """An emulator may be made without budgets, for tests that are about something else."""
    answers = [call("GET", "549/customer_lists") for _ in range(1_100)]
    assert {answer.status for answer in answers} == {200}
    assert rate_headers(answers[-1]) == (None, None, None)
