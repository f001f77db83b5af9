"""Rate limits: what they allow, and the rate headers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from pinterest_audiences.emulator import RateLimits, RatePolicy
from pinterest_audiences.emulator._rate_limits import (
    STANDARD_LIMITS,
    TRIAL_LIMITS,
    Category,
    Limiter,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from unit.emulator.conftest import Caller, FakeClock

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


def test_rate_headers_have_the_format_of_the_live_api(clock: FakeClock) -> None:
    """The binding limit comes first, then the safety net and the category with names."""
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


def test_binding_limit_has_the_least_remaining(clock: FakeClock) -> None:
    """When the limit of a minute is nearly used up, the headers report it."""
    limiter = Limiter(RateLimits(ads_read=RatePolicy(3, 60)), clock)
    spend(limiter, 1)
    clock.advance(20.5)  # it began at second 20 of its minute
    headers = dict(limiter.spend("a", "ads_read").headers)
    assert headers["x-ratelimit-limit"].startswith("3, 100;w=1;")
    assert headers["x-ratelimit-remaining"] == "1"
    assert headers["x-ratelimit-reset"] == "20"


@pytest.mark.parametrize("spent", [1, 2, 3])
def test_equal_remainders_report_the_safety_net(clock: FakeClock, spent: int) -> None:
    """As recorded, with a reset of 1, also when both are used up."""
    limits = RateLimits(ads_read=RatePolicy(2, 60), safety_net=RatePolicy(2, 1))
    limiter = Limiter(limits, clock)
    headers = [dict(limiter.spend("a", "ads_read").headers) for _ in range(spent)]
    assert headers[-1]["x-ratelimit-limit"].startswith("2, 2;w=1;")
    assert headers[-1]["x-ratelimit-remaining"] == str(max(0, 2 - spent))
    assert headers[-1]["x-ratelimit-reset"] == "1"


@pytest.mark.parametrize("second", [0, 1, 29, 30, 40, 59])
@pytest.mark.parametrize("fraction", [0.0, 0.001, 0.5, 0.999])
def test_minute_windows_are_aligned_to_the_clock(
    clock: FakeClock, second: int, fraction: float
) -> None:
    """The reset is 60 minus the second of the clock, for any time of the first request."""
    minute = 1_700_000_040.0  # a whole minute
    limiter = Limiter(RateLimits(ads_read=RatePolicy(5, 60)), clock)
    clock.now = minute + second + fraction
    headers = dict(limiter.spend("a", "ads_read").headers)
    assert headers["x-ratelimit-reset"] == str(60 - second)
    clock.now = minute + 59.999
    assert spend(limiter, 5) == [True] * 4 + [False]
    clock.now = minute + 60
    assert spend(limiter, 6) == [True] * 5 + [False]


def test_daily_windows_end_at_midnight_utc(clock: FakeClock) -> None:
    """A Trial app whose limit is used up in the evening is served the next day."""
    limiter = Limiter(RateLimits(ads_read=RatePolicy(1, 86_400)), clock)
    clock.now = 1_700_006_400.0 - 1  # 2023-11-14 23:59:59
    assert spend(limiter, 2) == [True, False]
    assert dict(limiter.spend("a", "ads_read").headers)["x-ratelimit-reset"] == "1"
    clock.advance(1)
    assert spend(limiter, 1) == [True]
    assert dict(limiter.spend("a", "ads_read").headers)["x-ratelimit-reset"] == "86400"


def test_policies_of_an_app_end_in_app_id(clock: FakeClock) -> None:
    """Limits that all users of an app share."""
    headers = dict(Limiter(TRIAL_LIMITS, clock).spend("a", "ads_write").headers)
    assert headers["x-ratelimit-limit"] == (
        '300, 1000;w=86400;name="safety_net_app_id", 300;w=86400;name="ads_write_app_id"'
    )


def test_limit_is_reset_when_its_window_ends(clock: FakeClock) -> None:
    """Not earlier, and completely."""
    limiter = Limiter(RateLimits(ads_read=RatePolicy(2, 60)), clock)
    assert spend(limiter, 3) == [True, True, False]
    clock.advance(39.999)  # it began at second 20 of the minute
    assert spend(limiter, 1) == [False]
    clock.advance(0.001)
    assert spend(limiter, 3) == [True, True, False]


def test_waiting_for_the_reset_header_is_enough(clock: FakeClock) -> None:
    """The seconds are rounded up, never down."""
    limiter = Limiter(RateLimits(ads_read=RatePolicy(1, 60)), clock)
    spend(limiter, 1)
    clock.advance(0.3)
    refused = limiter.spend("a", "ads_read")
    assert refused.allowed is False
    clock.advance(int(dict(refused.headers)["x-ratelimit-reset"]))
    assert spend(limiter, 1) == [True]


def test_refused_request_is_not_counted(clock: FakeClock) -> None:
    """A request refused by the minute's limit does not count against the safety net."""
    limits = RateLimits(ads_read=RatePolicy(1, 60), safety_net=RatePolicy(3, 1))
    limiter = Limiter(limits, clock)
    assert spend(limiter, 10) == [True, *[False] * 9]
    assert spend(limiter, 3, "ads_write") == [True, True, False]


def test_categories_have_separate_limits_and_one_safety_net(clock: FakeClock) -> None:
    """Reading does not count against writing, but both count against the safety net."""
    limits = RateLimits(
        ads_read=RatePolicy(2, 60), ads_write=RatePolicy(2, 60), safety_net=RatePolicy(3, 1)
    )
    limiter = Limiter(limits, clock)
    assert spend(limiter, 2, "ads_read") == [True, True]
    assert spend(limiter, 2, "ads_write") == [True, False]
    clock.advance(1)
    assert spend(limiter, 2, "ads_write") == [True, False]


def test_safety_net_allows_100_requests_a_second(clock: FakeClock) -> None:
    """The 101st in the same second is refused, in the next second it is allowed."""
    limiter = Limiter(STANDARD_LIMITS, clock)
    assert spend(limiter, 101) == [*[True] * 100, False]
    clock.advance(1)
    assert spend(limiter, 101) == [*[True] * 100, False]


def test_tokens_do_not_share_limits(clock: FakeClock) -> None:
    """Each user has separate limits."""
    limiter = Limiter(RateLimits(ads_read=RatePolicy(1, 60)), clock)
    assert spend(limiter, 2, token="a") == [True, False]
    assert spend(limiter, 2, token="b") == [True, False]


def test_clock_set_back_closes_windows(clock: FakeClock) -> None:
    """A window that has not started yet is not used."""
    limiter = Limiter(RateLimits(ads_read=RatePolicy(1, 60)), clock)
    spend(limiter, 1)
    clock.advance(-3600)
    assert spend(limiter, 1) == [True]


def test_closed_windows_are_removed(clock: FakeClock) -> None:
    """Open ones continue to count."""
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
def test_policy_without_quota_or_time_is_refused(quota: int, seconds: int) -> None:
    """It could never be met."""
    with pytest.raises(ValueError, match="must be >= 1"):
        RatePolicy(quota, seconds)


def test_answers_to_known_tokens_have_rate_headers(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """On success and refusal, for known and unknown paths."""
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


def test_path_without_category_counts_against_safety_net_only(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """It has no other policy."""
    call.emulator = new_emulator(rate_limits=STANDARD_LIMITS)
    limit, remaining, reset = rate_headers(call("GET", "549/unknown"))
    assert limit == '100, 100;w=1;name="safety_net_app_id_user_id"'
    assert (remaining, reset) == ("99", "1")


def test_unknown_token_gets_no_rate_headers(
    new_emulator: Callable[..., Emulator], call: Caller
) -> None:
    """Limits belong to tokens."""
    call.emulator = new_emulator(rate_limits=STANDARD_LIMITS, access_tokens=["good"])
    assert rate_headers(call("GET", "549/customer_lists", token="bad")) == (None, None, None)


def test_used_up_limit_is_429_with_pinterests_message(
    new_emulator: Callable[..., Emulator], call: Caller, clock: FakeClock
) -> None:
    """Code 8, nothing remaining, and the seconds to wait; the request is not carried out."""
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
    assert (remaining, reset) == ("0", "28")
    assert call.emulator.members(str(created["id"])) == {"a@example.com"}
    assert call.emulator.requests[-1].status == 429
    clock.advance(28)
    assert call("PATCH", path, change).status == 200


def test_no_limits_means_no_refusals_and_no_headers(call: Caller) -> None:
    """For tests about something else."""
    answers = [call("GET", "549/customer_lists") for _ in range(1_100)]
    assert {answer.status for answer in answers} == {200}
    assert rate_headers(answers[-1]) == (None, None, None)
