"""The rate limiter against clock-aligned windows: no refusals that it causes, and no stalls."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from email.utils import formatdate
from itertools import pairwise
from typing import TypeAlias

import anyio
import pytest
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st
from support.clock import FakeClock
from support.rates import budget, rate_headers, slots

from pinterest_audiences._http.rate_limit import RateLimiter, RateLimitExceededError

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

Limits: TypeAlias = Mapping[str, tuple[int, int]]
STANDARD: Limits = {"safety_net": (100, 1), "ads_write": (400, 60)}
CATEGORY = "ads_write"


@define
class Server:
    """Counts like Pinterest: fixed windows that start with the server's clock."""

    clock: FakeClock
    limits: Limits
    skew: float = 0.0  # seconds by which its clock is ahead
    sends_date: bool = True
    counts: dict[tuple[str, int], int] = field(factory=dict[tuple[str, int], int])
    statuses: list[int] = field(factory=list[int])

    def answer(self) -> tuple[int, dict[str, str]]:
        now = self.clock.time() + self.skew
        keys = {name: (name, int(now // window)) for name, (_, window) in self.limits.items()}
        allowed = all(self.counts.get(keys[name], 0) < self.limits[name][0] for name in keys)
        if allowed:
            for key in keys.values():
                self.counts[key] = self.counts.get(key, 0) + 1
        left, name = min(
            (quota - self.counts.get(keys[name], 0), name)
            for name, (quota, _) in self.limits.items()
        )
        window = self.limits[name][1]
        policies = ", ".join(
            f'{quota};w={w};name="{n}_app_id_user_id"' for n, (quota, w) in self.limits.items()
        )
        headers = rate_headers(
            f"{self.limits[name][0]}, {policies}", left, window - int(now % window)
        )
        if self.sends_date:
            headers["date"] = formatdate(now, usegmt=True)
        self.statuses.append(200 if allowed else 429)
        return self.statuses[-1], headers


async def call(own: RateLimiter, server: Server, latency: float = 0.0) -> int:
    """Send one call as a session does; half of the latency precedes the server's count."""
    clock = server.clock
    await own.acquire(CATEGORY)
    sent = clock.monotonic()
    try:
        if latency:
            await clock.sleep(latency / 2)
        status, headers = server.answer()
        if latency:
            await clock.sleep(latency / 2)
    finally:
        own.release(CATEGORY)
    own.learn(
        CATEGORY,
        headers,
        unix_time=clock.time(),
        success=status == 200,
        seconds=clock.monotonic() - sent,
    )
    if status == 429:
        own.pause(CATEGORY, float(headers["x-ratelimit-reset"]))
    return status


@settings(max_examples=40)
@given(
    start=st.floats(0.0, 60.0),
    skew=st.floats(-90.0, 90.0),
    latency=st.sampled_from([0.0, 0.05, 0.4, 2.0]),
    quota=st.integers(3, 60),
    tasks=st.integers(1, 8),
    pauses=st.lists(st.floats(0.0, 70.0), min_size=1, max_size=6),
    sends_date=st.booleans(),
)
def test_no_workload_exceeds_the_windows_of_the_server(  # noqa: PLR0917 - drawn by name
    start: float,
    skew: float,
    latency: float,
    quota: int,
    tasks: int,
    pauses: list[float],
    sends_date: bool,
) -> None:
    """Bursts and trickles over several windows, with any clock offset and latency."""
    clock = FakeClock(start=1_700_000_000.0 + start)
    server = Server(clock, {"safety_net": (9, 1), CATEGORY: (quota, 60)}, skew, sends_date)
    own = budget(clock, max_wait=10_000.0)

    async def work(number: int) -> None:
        chance = random.Random(number)
        for pause in pauses:
            for _ in range(chance.randint(1, quota)):
                await call(own, server, latency * chance.random())
            await clock.sleep(pause)

    async def main() -> None:
        # A new client assumes 400 a minute until its first response.
        await call(own, server, latency)
        async with anyio.create_task_group() as group:
            for number in range(tasks):
                group.start_soon(work, number)

    anyio.run(main)
    assert 429 not in server.statuses


@pytest.mark.parametrize(("number", "category"), [(60, "ads_read"), (20, "ads_write")])
async def test_small_burst_of_a_new_client_does_not_wait(number: int, category: str) -> None:
    """60 reads and 20 writes fit in the window."""
    clock = FakeClock()
    assert await slots(budget(clock), clock, category, number) == [0.0] * number
    assert clock.sleeps == []


@pytest.mark.parametrize("second", [0.0, 1.0, 29.5, 58.0, 59.9])
async def test_small_burst_in_every_window_does_not_wait(second: float) -> None:
    """Also in later minutes, and at any second of them."""
    clock = FakeClock(start=1_700_000_040.0 + second)
    server, own = Server(clock, STANDARD), budget(clock)
    for _ in range(3):
        begun = clock.elapsed
        for _ in range(60):
            await call(own, server)
        assert clock.elapsed == begun
        await clock.sleep(60)
    assert set(server.statuses) == {200}


async def test_first_nine_tenths_of_a_window_are_sent_without_pacing() -> None:
    """The last tenth is spread over the rest of the window."""
    clock = FakeClock(start=1_700_000_040.0)
    server, own = Server(clock, STANDARD), budget(clock)
    times: list[float] = []
    for _ in range(400):
        await call(own, server, 0.01)
        times.append(clock.elapsed)
    assert times[355] < 8
    assert 50 < times[399] < 61
    assert max(after - before for before, after in pairwise(times)) < 3
    assert set(server.statuses) == {200}


@pytest.mark.parametrize("latency", [0.0, 0.3])
async def test_budget_of_ten_minutes_is_used_without_a_refusal(latency: float) -> None:
    """97 % of ten quotas, by four tasks."""
    clock = FakeClock(start=1_700_000_040.0)
    server, own = Server(clock, STANDARD, skew=0.4), budget(clock)

    async def work() -> None:
        while clock.elapsed < 600:
            await call(own, server, latency)

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(work)
    assert 429 not in server.statuses
    assert server.statuses.count(200) >= 0.97 * 10 * 400


async def test_clients_that_share_a_budget_wait_and_do_not_fail() -> None:
    """Two clients that do not coordinate: a call is refused twice at most."""
    clock = FakeClock(start=1_700_000_040.0)
    server = Server(clock, {"safety_net": (100, 1), CATEGORY: (60, 60)})
    refusals: list[int] = []

    async def client(own: RateLimiter) -> None:
        for _ in range(120):
            refused = 0
            while await call(own, server, 0.1) == 429:
                refused += 1
            refusals.append(refused)

    async with anyio.create_task_group() as group:
        for _ in range(2):
            group.start_soon(client, budget(clock))
    assert len(refusals) == 240
    assert max(refusals) <= 2
    assert clock.elapsed < 60 * 6


ODD_HEADERS = [
    rate_headers("100", 0, 86_000),
    rate_headers("1", 0, 1_900_000_000),
    rate_headers("5, 5;w=60", 0, 86_000),
    rate_headers('400, 400;w=60;name="ads_write_app_id_user_id"', 0, 86_000),
    rate_headers('400, 400;w=60;name="ads_write_app_id_user_id"', 0, 50),
    rate_headers("nonsense", 0, 3600),
    rate_headers("7;window=9", 0, 600),
]


@pytest.mark.parametrize("headers", ODD_HEADERS, ids=str)
async def test_invalid_headers_of_a_success_pause_for_one_window_at_most(
    headers: dict[str, str],
) -> None:
    """A minute later the category continues, whatever the reset value."""
    clock = FakeClock()
    own = budget(clock)
    own.learn(CATEGORY, headers, unix_time=clock.time(), success=True)
    await own.acquire(CATEGORY)
    own.release(CATEGORY)
    assert clock.elapsed <= 60.01


@pytest.mark.parametrize("window", [60, 300, 600])
@pytest.mark.parametrize("second", [0, 40, 59])
async def test_policy_sent_once_applies_for_one_window_at_most(window: int, second: int) -> None:
    """Aligned to the clock or not."""
    clock = FakeClock(start=1_700_000_040.0 + second)
    own = RateLimiter(clock.monotonic, clock.sleep, max_wait=3600)
    limit = '100, 100;w=1;name="net", 400;w=60;name="ads_write_app_id_user_id"'
    for headers in [
        rate_headers(f'1, 1;w={window};name="odd"', 0, 86_400),
        *[rate_headers(limit, 99, 1)] * 20,
    ]:
        await own.acquire(CATEGORY)
        own.release(CATEGORY)
        date = formatdate(clock.time(), usegmt=True)
        own.learn(CATEGORY, {**headers, "date": date}, unix_time=clock.time(), success=True)
    assert clock.elapsed <= window + 0.01


@pytest.mark.parametrize(
    "odd",
    ["400", "", "nonsense", '9000, 9000;w=60;name="ads_write_app_id_user_id"', "0;w=60"],
)
async def test_bare_or_changing_limit_does_not_replace_a_policy(odd: str) -> None:
    """20 a minute stay in force while they are sent."""
    clock = FakeClock(start=1_700_000_040.0)
    own = budget(clock)
    limit = '20, 20;w=60;name="ads_write_app_id_user_id"'
    times: list[float] = []
    for number in range(60):
        await own.acquire(CATEGORY)
        times.append(clock.elapsed)
        own.release(CATEGORY)
        own.learn(
            CATEGORY,
            rate_headers(odd if number % 2 else limit),
            unix_time=clock.time(),
            success=True,
        )
    for first in times:
        assert sum(first <= time < first + 60 for time in times) <= 20


async def test_raised_limit_is_used_after_one_window() -> None:
    clock = FakeClock()
    own = budget(clock)
    own.learn(
        CATEGORY, rate_headers('20, 20;w=60;name="ads_write"'), unix_time=clock.time(), success=True
    )
    clock.advance(61)
    own.learn(
        CATEGORY,
        rate_headers('200, 200;w=60;name="ads_write"'),
        unix_time=clock.time(),
        success=True,
    )
    assert await slots(own, clock, CATEGORY, 150) == [61.0] * 150


async def test_wait_for_a_slot_longer_than_max_wait_is_refused() -> None:
    """The call is not sent, and the error has the wait."""
    clock = FakeClock(start=1_700_000_040.0)
    own = budget(clock, max_wait=10.0)
    own.learn(
        CATEGORY, rate_headers('5, 5;w=60;name="ads_write"'), unix_time=clock.time(), success=True
    )
    assert await slots(own, clock, CATEGORY, 5) == [0.0] * 5
    with pytest.raises(RateLimitExceededError) as refused:
        await own.acquire(CATEGORY)
    assert refused.value.seconds == pytest.approx(60, abs=1)
    assert clock.sleeps == []


async def test_queue_longer_than_max_wait_is_refused_at_once() -> None:
    """Of a thousand callers those that would wait too long get an error; the others are served."""
    clock = FakeClock(start=1_700_000_040.0)
    own = budget(clock, max_wait=130.0)
    own.learn(
        CATEGORY, rate_headers('10, 10;w=60;name="ads_write"'), unix_time=clock.time(), success=True
    )
    served: list[float] = []
    refused: list[float] = []

    async def one() -> None:
        try:
            await own.acquire(CATEGORY)
        except RateLimitExceededError:
            refused.append(clock.elapsed)
        else:
            own.release(CATEGORY)
            served.append(clock.elapsed)

    async with anyio.create_task_group() as group:
        for _ in range(1000):
            group.start_soon(one)
    assert len(served) == 30
    assert max(served) <= 130
    assert len(refused) == 970
    assert not math.isnan(max(refused))
    assert sorted(refused)[900] < 1


async def test_at_most_16_policies_of_a_category_are_stored() -> None:
    """A response with hundreds costs neither memory nor time."""
    clock = FakeClock()
    own = budget(clock)
    limit = ", ".join(f'{100 - n};w=60;name="p{n}"' for n in range(50))
    own.learn(CATEGORY, rate_headers(f"100, {limit}"), unix_time=clock.time(), success=True)
    assert own.per_minute(CATEGORY) == 100 - 15
    own.learn(CATEGORY, rate_headers('3, 3;w=60;name="p16"'), unix_time=clock.time(), success=True)
    assert own.per_minute(CATEGORY) == 100 - 15


@pytest.mark.parametrize(
    "date",
    ["", "yesterday", "Tue, 99 Nov 2023 22:13:20 GMT", "Tue, 14 Nov 99999 22:13:20 GMT", "\0"],
)
@pytest.mark.parametrize("window", [60, 7])
async def test_invalid_date_header_leaves_windows_unaligned(date: str, window: int) -> None:
    """A request then counts for a whole window, as without a date."""
    clock = FakeClock(start=1_700_000_030.0)  # in the middle of a minute
    own = budget(clock)
    headers = {**rate_headers(f'2, 2;w={window};name="ads_write"'), "date": date}
    own.learn(CATEGORY, headers, unix_time=clock.time(), success=True)
    assert await slots(own, clock, CATEGORY, 3) == pytest.approx([0, 0, window], abs=0.01)


@pytest.mark.parametrize(("window", "third"), [(60, 30), (70, 70)])
async def test_date_header_aligns_only_windows_that_divide_a_day(window: int, third: float) -> None:
    """For other windows a request counts for a whole window."""
    clock = FakeClock(start=1_700_000_070.0)  # in the middle of a minute
    own = budget(clock)
    date = formatdate(clock.time(), usegmt=True)
    headers = {**rate_headers(f'2, 2;w={window};name="ads_write"'), "date": date}
    own.learn(CATEGORY, headers, unix_time=clock.time(), success=True)
    assert await slots(own, clock, CATEGORY, 3) == pytest.approx([0, 0, third], abs=0.1)


async def test_reset_that_contradicts_the_date_disables_alignment() -> None:
    """Pinterest's windows then start at another time."""
    clock = FakeClock(start=1_700_000_040.0)  # a minute begins
    own = budget(clock)
    limit = '2, 2;w=60;name="ads_write"'

    def learn(remaining: int | None = None, reset: int | None = None) -> None:
        date = formatdate(clock.time(), usegmt=True)
        headers = {**rate_headers(limit, remaining, reset), "date": date}
        own.learn(CATEGORY, headers, unix_time=clock.time(), success=True)

    learn()  # according to the date, the window ends in 60 s
    learn(2, 20)  # according to the reset, it ends in 20 s
    clock.advance(130.0)  # the period without alignment after a contradiction, and 10 s
    learn()
    begun = clock.elapsed
    found = [moment - begun for moment in await slots(own, clock, CATEGORY, 3)]
    assert found == pytest.approx([0, 0, 60], abs=0.1)  # according to the date it would be 50


async def test_dates_that_contradict_each_other_disable_alignment() -> None:
    """Servers whose clocks differ respond in turn."""
    clock = FakeClock(start=1_700_000_040.0)  # a minute begins
    own = budget(clock)

    def learn(skew: float = 0.0) -> None:
        date = formatdate(clock.time() + skew, usegmt=True)
        headers = {**rate_headers('2, 2;w=60;name="ads_write"'), "date": date}
        own.learn(CATEGORY, headers, unix_time=clock.time(), success=True)

    learn()
    learn(skew=25.0)
    clock.advance(130.0)  # the period without alignment after a contradiction, and 10 s
    learn()
    begun = clock.elapsed
    sent_at = [moment - begun for moment in await slots(own, clock, CATEGORY, 3)]
    assert sent_at == pytest.approx([0, 0, 60], abs=0.1)  # according to the date it would be 50
