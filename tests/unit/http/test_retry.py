"""When a request is retried, and after which delay."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pinterest_audiences._errors import (
    APIError,
    BadRequestError,
    CallError,
    DecodeError,
    RateLimitError,
    ResponseTooLargeError,
    ServerError,
    TransportError,
)
from pinterest_audiences._http.retry import (
    FailedAttempt,
    RetryPolicy,
    classify_broken_connection,
    classify_response,
    is_transient,
    next_wait,
    poll_delay,
    rate_limit_reset,
    was_accepted,
)

NOW = 1_700_000_000.0
POLICY = RetryPolicy()
DAY = 86_400.0

seconds = st.floats(0, 200_000)
chances = st.floats(0, 1, exclude_max=True)
failures = st.builds(
    FailedAttempt,
    transient=st.booleans(),
    maybe_applied=st.booleans(),
    rate_limited=st.booleans(),
    retry_after=st.none() | seconds,
)
policies = st.builds(
    RetryPolicy, max_retries=st.integers(0, 100), max_wait=st.floats(0.001, 100_000)
)


def retry_after_of(
    status: int = 503, message: str = "", code: int | None = None, **headers: str
) -> object:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return classify_response(status, code, message, named, NOW).retry_after


def wait(
    failure: FailedAttempt,
    *,
    attempts: int = 1,
    jitter: float = 0.5,
    idempotent: bool = True,
    policy: RetryPolicy = POLICY,
) -> float | None:
    return next_wait(
        failure, idempotent=idempotent, attempts=attempts, policy=policy, jitter=jitter
    )


@pytest.mark.slow
@given(failures, st.booleans(), st.integers(1, 200), policies, chances)
@example(
    FailedAttempt(transient=True, maybe_applied=False, retry_after=120.0), True, 1, POLICY, 0.5
)
def test_wait_never_exceeds_max_wait(
    failure: FailedAttempt, idempotent: bool, attempts: int, policy: RetryPolicy, jitter: float
) -> None:
    """The client waits for at most `max_wait`, or gives up."""
    found = wait(failure, idempotent=idempotent, attempts=attempts, policy=policy, jitter=jitter)
    assert found is None or 0 <= found <= policy.max_wait


@given(failures, st.booleans(), policies, chances, st.integers(1, 50))
def test_no_retry_after_max_retries(
    failure: FailedAttempt, idempotent: bool, policy: RetryPolicy, jitter: float, more: int
) -> None:
    """`max_retries` counts the attempts after the first."""
    attempts = policy.max_retries + more
    assert (
        wait(failure, idempotent=idempotent, attempts=attempts, policy=policy, jitter=jitter)
        is None
    )


def test_last_of_max_retries_is_made() -> None:
    """With four retries there are five attempts."""
    failure = classify_broken_connection(never_sent=True)
    assert [wait(failure, attempts=n) is not None for n in range(1, 6)] == [True] * 4 + [False]


@given(failures, st.integers(1, 200), policies, chances)
def test_possibly_applied_request_is_retried_only_if_repeatable(
    failure: FailedAttempt, attempts: int, policy: RetryPolicy, jitter: float
) -> None:
    """A create that may have been applied is not sent again."""
    again = wait(failure, idempotent=False, attempts=attempts, policy=policy, jitter=jitter)
    assert not failure.maybe_applied or again is None


@given(st.floats(0, 119), st.integers(1, 4), chances, st.booleans())
def test_retry_after_is_waited(seconds: float, attempts: int, jitter: float, limited: bool) -> None:
    """Never less, and at most one second more."""
    failure = FailedAttempt(
        transient=True, maybe_applied=False, rate_limited=limited, retry_after=seconds
    )
    found = wait(failure, attempts=attempts, jitter=jitter)
    assert found is not None
    assert seconds <= found <= seconds + 1


def test_retry_after_beyond_max_wait_is_not_waited() -> None:
    """The longest allowed one is."""
    for seconds, gives_up in ((120.0, False), (120.1, True)):
        failure = FailedAttempt(transient=True, maybe_applied=False, retry_after=seconds)
        assert (wait(failure) is None) == gives_up


def test_backoff_doubles_to_a_maximum_with_full_jitter() -> None:
    """Full jitter: the bound doubles, and a random share of it is waited."""
    failure = classify_broken_connection(never_sent=True)
    patient = RetryPolicy(max_retries=10)
    bounds = [wait(failure, attempts=n, jitter=1.0, policy=patient) for n in range(1, 8)]
    assert bounds == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert wait(failure, jitter=0.0) == 0.0


def test_rate_limit_without_retry_after_waits_the_whole_backoff() -> None:
    failure = classify_response(429, 8, "", {}, NOW)
    assert [wait(failure, jitter=jitter) for jitter in (0.0, 0.5)] == [0.5, 0.75]


@pytest.mark.parametrize(
    ("status", "code", "message", "transient", "maybe_applied", "rate_limited"),
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
        (200, 7, "", False, True, False),
    ],
)
def test_responses_are_classified_by_status_then_code(
    *,
    status: int,
    code: int | None,
    message: str,
    transient: bool,
    maybe_applied: bool,
    rate_limited: bool,
) -> None:
    """A refusal was not applied; a server error, and an error object with a 2xx, may have been."""
    assert classify_response(status, code, message, {}, NOW) == FailedAttempt(
        transient=transient, maybe_applied=maybe_applied, rate_limited=rate_limited
    )


@pytest.mark.parametrize("never_sent", [True, False])
def test_broken_connection_may_have_applied_the_request_unless_never_connected(
    never_sent: bool,
) -> None:
    failure = classify_broken_connection(never_sent=never_sent)
    assert failure == FailedAttempt(transient=True, maybe_applied=not never_sent)


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
def test_retry_after_is_parsed_as_seconds_epoch_or_http_date(
    text: str, seconds: float | None
) -> None:
    """Up to a day; invalid values are ignored."""
    assert retry_after_of(retry_after=text) == seconds


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
def test_rate_limit_reset_is_parsed_as_delta_or_epoch(text: str, seconds: float | None) -> None:
    """Above a thousand million it is an epoch time."""
    assert retry_after_of(429, x_ratelimit_reset=text) == seconds
    assert rate_limit_reset({"x-ratelimit-reset": text}, NOW) == seconds


def test_retry_after_precedes_the_rate_limit_reset() -> None:
    """An invalid one does not hide the other."""
    assert retry_after_of(429, retry_after="5", x_ratelimit_reset="50") == 5
    assert retry_after_of(429, retry_after="soon", x_ratelimit_reset="50") == 50
    assert retry_after_of(503, x_ratelimit_reset="50") is None


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
def test_wait_of_code_12_is_parsed_from_the_message(message: str, seconds: float | None) -> None:
    """A 400 has it nowhere else."""
    assert retry_after_of(400, message, 12) == seconds


def test_header_precedes_the_message_of_code_12() -> None:
    assert retry_after_of(400, "Retry after 7 seconds", 12, retry_after="3") == 3


@given(
    st.integers(-86_400, 172_800).map(lambda delta: (delta, NOW + delta)),
)
def test_any_http_date_is_converted_to_a_delay(moment: tuple[int, float]) -> None:
    """A past date is zero, and a distant one is a day."""
    delta, at = moment
    text = format_datetime(datetime.fromtimestamp(at, UTC), usegmt=True)
    assert retry_after_of(retry_after=text) == min(max(float(delta), 0.0), DAY)


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
def test_any_header_value_is_classified_without_an_exception(
    status: int, retry_after: str, reset: str
) -> None:
    """Invalid values are ignored, and delays are at most a day."""
    headers = {"retry-after": retry_after, "x-ratelimit-reset": reset}
    found = classify_response(status, None, "", headers, NOW).retry_after
    assert found is None or 0 <= found <= DAY


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (RateLimitError(status=429), True),
        (RateLimitError(status=429, message="This looks like spam"), False),
        (BadRequestError(status=400, code=12), True),
        (BadRequestError(status=400, code=1), False),
        (APIError(status=408), True),
        (ServerError(status=503), True),
        (TransportError("x", reason="reset"), True),
        (TransportError("x", reason="certificate"), False),
        (DecodeError(["x"], status=200), True),
        (ResponseTooLargeError(["x"], status=200), False),
        (CallError("x"), False),
    ],
    ids=repr,
)
def test_error_is_transient_if_a_later_call_may_succeed(
    error: CallError, *, transient: bool
) -> None:
    """Jobs wait and retry only then."""
    assert is_transient(error) is transient


@pytest.mark.parametrize(
    ("error", "accepted"),
    [
        (DecodeError(["x"], status=200), True),
        (TransportError("x", status=201), True),
        (TransportError("x"), False),
        (ServerError(status=503), False),
        (CallError("x"), False),
    ],
    ids=repr,
)
def test_change_was_accepted_if_the_status_is_a_success(
    error: CallError, *, accepted: bool
) -> None:
    """Even if the body of the response is incomplete or unusable."""
    assert was_accepted(error) is accepted


@pytest.mark.parametrize(
    ("polls", "seconds"), [(1, 2.0), (2, 3.0), (3, 4.5), (9, 51.2578125), (10, 60.0), (10**6, 60.0)]
)
def test_poll_delay_grows_by_half_up_to_the_maximum(polls: int, seconds: float) -> None:
    assert poll_delay(polls, 2.0, 60.0) == seconds
