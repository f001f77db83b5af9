"""When a request is sent again, and after how long."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pinterest_audiences._wire.retry import (
    Failure,
    RetryPolicy,
    after_answer,
    after_broken_connection,
    next_wait,
    told_reset,
)

NOW = 1_700_000_000.0
POLICY = RetryPolicy()
DAY = 86_400.0

seconds = st.floats(0, 200_000)
chances = st.floats(0, 1, exclude_max=True)
failures = st.builds(
    Failure,
    transient=st.booleans(),
    maybe_done=st.booleans(),
    rate_limited=st.booleans(),
    told_wait=st.none() | seconds,
)
policies = st.builds(
    RetryPolicy, max_retries=st.integers(0, 100), max_wait=st.floats(0.001, 100_000)
)


def told(status: int = 503, message: str = "", code: int | None = None, **headers: str) -> object:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return after_answer(status, code, message, named, NOW).told_wait


def wait(
    failure: Failure,
    *,
    attempts: int = 1,
    chance: float = 0.5,
    repeatable: bool = True,
    policy: RetryPolicy = POLICY,
) -> float | None:
    return next_wait(
        failure, repeatable=repeatable, attempts=attempts, policy=policy, chance=chance
    )


@given(failures, st.booleans(), st.integers(1, 200), policies, chances)
@example(Failure(transient=True, maybe_done=False, told_wait=120.0), True, 1, POLICY, 0.5)
def test_no_wait_is_longer_than_the_longest_allowed(
    failure: Failure, repeatable: bool, attempts: int, policy: RetryPolicy, chance: float
) -> None:
    """Whatever happened, a client waits for at most `max_wait` or gives up."""
    found = wait(failure, repeatable=repeatable, attempts=attempts, policy=policy, chance=chance)
    assert found is None or 0 <= found <= policy.max_wait


@given(failures, st.booleans(), policies, chances, st.integers(1, 50))
def test_after_the_last_retry_it_gives_up(
    failure: Failure, repeatable: bool, policy: RetryPolicy, chance: float, more: int
) -> None:
    """`max_retries` counts the attempts after the first."""
    attempts = policy.max_retries + more
    assert (
        wait(failure, repeatable=repeatable, attempts=attempts, policy=policy, chance=chance)
        is None
    )


def test_the_last_retry_is_still_made() -> None:
    """With four retries there are five attempts."""
    failure = after_broken_connection(never_sent=True)
    assert [wait(failure, attempts=n) is not None for n in range(1, 6)] == [True] * 4 + [False]


@given(failures, st.integers(1, 200), policies, chances)
def test_what_may_have_been_done_is_never_repeated_unless_repeatable(
    failure: Failure, attempts: int, policy: RetryPolicy, chance: float
) -> None:
    """A create that may have made a list is not sent again."""
    again = wait(failure, repeatable=False, attempts=attempts, policy=policy, chance=chance)
    assert not failure.maybe_done or again is None


@given(st.floats(0, 119), st.integers(1, 4), chances, st.booleans())
def test_a_wait_that_was_told_is_obeyed(
    seconds: float, attempts: int, chance: float, limited: bool
) -> None:
    """Never earlier than Pinterest asked, and at most one second later."""
    failure = Failure(transient=True, maybe_done=False, rate_limited=limited, told_wait=seconds)
    found = wait(failure, attempts=attempts, chance=chance)
    assert found is not None
    assert seconds <= found <= seconds + 1


def test_a_longer_wait_than_allowed_is_not_waited() -> None:
    """Too long a wait gives up at once; the longest allowed one does not."""
    for seconds, gives_up in ((120.0, False), (120.1, True)):
        failure = Failure(transient=True, maybe_done=False, told_wait=seconds)
        assert (wait(failure) is None) == gives_up


def test_backoff_doubles_to_a_cap_and_is_spread_from_zero() -> None:
    """Full jitter: the bound doubles, and chance decides how much of it is waited."""
    failure = after_broken_connection(never_sent=True)
    patient = RetryPolicy(max_retries=10)
    bounds = [wait(failure, attempts=n, chance=1.0, policy=patient) for n in range(1, 8)]
    assert bounds == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert wait(failure, chance=0.0) == 0.0


def test_an_untold_rate_limit_waits_at_least_the_whole_backoff() -> None:
    """A refusal for rate is not answered by coming back at once."""
    failure = after_answer(429, 8, "", {}, NOW)
    assert [wait(failure, chance=chance) for chance in (0.0, 0.5)] == [0.5, 0.75]


@pytest.mark.parametrize(
    ("status", "code", "message", "transient", "maybe_done", "rate_limited"),
    [
        (429, 8, "This request exceeded a rate limit.", True, False, True),
        (429, 30, "", True, False, True),
        (429, None, "", True, False, True),
        (429, 8, "Blocked as SPAM.", False, False, False),
        (400, 12, "Retry later", True, False, False),
        (408, None, "", True, True, False),
        (500, 500, "", True, True, False),
        (502, None, "", True, True, False),
        (503, 4197, "", True, True, False),
        (599, None, "", True, True, False),
        (400, 1, "", False, False, False),
        (401, 2, "", False, False, False),
        (403, 29, "", False, False, False),
        (404, 12, "", False, False, False),
        (409, 409, "", False, False, False),
        (302, None, "", False, False, False),
        (200, 7, "", False, False, False),
    ],
)
def test_answers_are_judged_by_status_and_then_by_code(
    *,
    status: int,
    code: int | None,
    message: str,
    transient: bool,
    maybe_done: bool,
    rate_limited: bool,
) -> None:
    """A refusal was not done, a failure of the server may have been."""
    assert after_answer(status, code, message, {}, NOW) == Failure(
        transient=transient, maybe_done=maybe_done, rate_limited=rate_limited
    )


@pytest.mark.parametrize("never_sent", [True, False])
def test_a_broken_connection_may_have_carried_the_request_unless_it_was_never_made(
    never_sent: bool,
) -> None:
    """What was never sent was not done."""
    failure = after_broken_connection(never_sent=never_sent)
    assert failure == Failure(transient=True, maybe_done=not never_sent)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("37", 37.0),
        (" 1.5 ", 1.5),
        ("0", 0.0),
        ("-3", 0.0),
        ("1700000030", 30.0),
        ("1600000000", 0.0),
        ("999999", DAY),
        ("9e99", DAY),
        ("Tue, 14 Nov 2023 22:13:50 GMT", 30.0),
        ("Tue, 14 Nov 2023 22:13:50", 30.0),
        ("Tue, 14 Nov 2023 23:13:50 +0100", 30.0),
        ("Mon, 13 Nov 2023 22:13:50 GMT", 0.0),
        ("Tue, 14 Nov 2045 22:13:50 GMT", DAY),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("Tue, 99 Foo 2023 22:13:50 GMT", None),
        ("Tue, 14 Nov 99999999999999999999 22:13:50 GMT", None),
        ("Tue, 14 Nov 2023 22:13:50 +99999999999999999999", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(text: str, seconds: float | None) -> None:
    """Seconds, Unix times and HTTP dates are understood, within a day; nonsense is not."""
    assert told(retry_after=text) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("37", 37.0),
        ("12, 1;w=1", 12.0),
        ("1700000012", 12.0),
        ("1e9", DAY),
        ("-1", 0.0),
        ("", None),
        ("later", None),
        ("-inf", None),
        ("Tue, 14 Nov 2023 22:13:50 GMT", None),
    ],
)
def test_the_reset_of_a_rate_limit_is_read_as_delta_or_as_epoch(
    text: str, seconds: float | None
) -> None:
    """Above a thousand million it is a time of day, below it is a time to wait."""
    assert told(429, x_ratelimit_reset=text) == seconds
    assert told_reset({"x-ratelimit-reset": text}, NOW) == seconds


def test_retry_after_goes_before_the_reset() -> None:
    """The standard header is obeyed first; an unreadable one does not hide the other."""
    assert told(429, retry_after="5", x_ratelimit_reset="50") == 5
    assert told(429, retry_after="soon", x_ratelimit_reset="50") == 50
    assert told(503, x_ratelimit_reset="50") is None


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Retry after 7 seconds", 7.0),
        ("retry after 30s", 30.0),
        ("Retry after 2 sec.", 2.0),
        ("Retry after " + "9" * 400 + " seconds", DAY),
        ("Retry after 5 minutes", None),
        ("Retry after a while", None),
    ],
)
def test_code_12_tells_its_wait_in_the_message(message: str, seconds: float | None) -> None:
    """The only place where a 400 says how long to wait is its text."""
    assert told(400, message, 12) == seconds


def test_a_header_goes_before_the_message_of_code_12() -> None:
    """A header is meant for machines, a message is not."""
    assert told(400, "Retry after 7 seconds", 12, retry_after="3") == 3


@given(
    st.integers(-86_400, 172_800).map(lambda delta: (delta, NOW + delta)),
)
def test_every_http_date_tells_the_time_until_then(moment: tuple[int, float]) -> None:
    """A date in the past is now, and one too far away is a day."""
    delta, at = moment
    text = format_datetime(datetime.fromtimestamp(at, UTC), usegmt=True)
    assert told(retry_after=text) == min(max(float(delta), 0.0), DAY)


digits = st.integers(0, 10**25).map(str)
dates = st.builds(
    "{}, {} {} {} {}:{}:{} {}".format,
    st.sampled_from(["Tue", "x", ""]),
    digits,
    st.sampled_from(["Nov", "Foo", "1"]),
    digits,
    digits,
    digits,
    digits,
    st.sampled_from(["GMT", "+0100", "", "-9999"]) | digits.map("+{}".format),
)
plain = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)


@given(st.sampled_from([408, 429, 500, 503]), dates | digits | plain, dates | digits | plain)
def test_no_header_however_odd_breaks_the_judgement(
    status: int, retry_after: str, reset: str
) -> None:
    """Nonsense is the same as nothing, and what is told is within a day."""
    headers = {"retry-after": retry_after, "x-ratelimit-reset": reset}
    found = after_answer(status, None, "", headers, NOW).told_wait
    assert found is None or 0 <= found <= DAY
