"""Fifty random nights: jobs of every kind while Pinterest fails before, in and after responses.

Faults hit requests, waits, token refreshes and the parts of multipart uploads at random. Each night
must end with one list that has exactly the records of its source.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import anyio
import attrs
import pytest
from support.clock import FakeClock
from support.jobs import ACCOUNT, NAME, digest, people

from pinterest_audiences import (
    AppCredentials,
    AsyncClient,
    Clock,
    JobInterruptedError,
    MemoryTokenStore,
    PinterestAudiencesError,
    RefreshingToken,
    TokenSet,
)
from pinterest_audiences.emulator import Assumptions, Emulator, Fault

NIGHTS = 50
JOBS = 6
DAYS_BETWEEN = 20  # every other job finds its access token expired
PEOPLE = people(0, 40)
TRIES = 60

FAULTS = (
    Fault("status", status=500),
    Fault("status", status=503),
    Fault("status", status=503, applied=True),
    Fault("status", status=429, code=8, headers={"retry-after": "7"}),
    Fault("status", status=408),
    Fault("status", status=400, code=12, message="Retry after 3 seconds"),
    Fault("html"),
    Fault("html", applied=True),
    Fault("reset_before"),
    Fault("reset_during"),
    Fault("reset_after"),
    Fault("no_answer"),
    Fault("truncated_json"),
    Fault("wrong_content_type"),
)


class RefreshClock(Clock):
    """The time of another clock for the thread of a refresh, whose waits take no time."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock

    def time(self) -> float:
        return self._clock.time()

    def monotonic(self) -> float:
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        self._clock.advance(seconds)
        await super().sleep(0)


class Night:
    """One list, one client, and an emulator that fails by chance."""

    def __init__(self, seed: int, state: Path) -> None:
        self.random = random.Random(seed)
        self.state = state
        self.clock = FakeClock(seed=seed)
        self.emulator = Emulator(
            seed=seed,
            clock=self.clock.time,
            rate_limits=None,
            processing_seconds=30,
            uploads="open",
            apps={"1234567": "the-secret"},
            refresh_tokens=["pinr.first"],
            # A rotated token whose answer is lost is lost for good, and asks for a new login.
            assumptions=Assumptions(refresh_tokens_rotate=False),
        )
        tokens = TokenSet(access_token=None, refresh_token="pinr.first", app_id="1234567")
        self.client = AsyncClient(
            RefreshingToken(
                MemoryTokenStore(tokens),
                AppCredentials("1234567", "the-secret"),
                transport=self.emulator.transport,
                clock=RefreshClock(self.clock),
            ),
            transport=self.emulator.transport(sleep=self.clock.sleep),
            clock=self.clock,
            max_retries=2,
        )
        self.expected: set[str] = set()

    def arm(self) -> None:
        """Let some of the coming requests fail."""
        self.emulator.faults.clear()
        for fault in self.random.sample(FAULTS, 4):
            self.emulator.faults.add(
                attrs.evolve(fault, times=self.random.randint(1, 4), probability=0.4)
            )

    async def until_done(self, call: Callable[[], Awaitable[object]]) -> None:
        """Call until it succeeds; what was interrupted is resumed, as a nightly job would."""
        problems: list[str] = []
        for _ in range(TRIES):
            try:
                await call()
            except PinterestAudiencesError as error:
                problems.append(f"{type(error).__name__}: {error}")
                if isinstance(error, JobInterruptedError):
                    call = self.resume
                self.clock.advance(90)
            else:
                return
        raise AssertionError(f"the job did not end: {problems}")

    async def resume(self) -> object:
        return await self.client.resume(ACCOUNT, state=self.state, retry_timeout=600)

    async def job(self) -> None:
        """Run one job of any kind to its end."""
        some = self.random.sample(PEOPLE, self.random.randint(3, len(PEOPLE)))
        chosen = {digest(item) for item in some}
        kind = self.random.choice(["mirror", "add", "remove", "multipart"])
        match kind if self.expected else "mirror":
            case "mirror":
                self.expected = chosen
                job = partial(self.client.mirror, allow_removals=True)
            case "remove":
                self.expected -= chosen
                job = partial(self.client.upload, operation="REMOVE", allow_removals=True)
            case "add":
                self.expected |= chosen
                job = partial(self.client.upload)
            case _:
                self.expected |= chosen
                job = partial(self.client.upload, via="multipart")
        await self.until_done(
            partial(job, ACCOUNT, some, name=NAME, state=self.state, retry_timeout=600.0)
        )

    async def list_ids(self) -> list[str]:
        self.emulator.faults.clear()
        found = await self.client.customer_lists_list(ACCOUNT).collect()
        return [item.id for item in found if item.name == NAME]


async def spend(night: Night) -> None:
    async with night.client:
        for _ in range(JOBS):
            night.arm()
            await night.job()
            if night.random.random() < 0.3:
                (only,) = await night.list_ids()
                night.arm()
                waiting = partial(night.client.wait_until_ready, ACCOUNT, only, timeout=7200)
                await night.until_done(waiting)
            night.clock.advance(DAYS_BETWEEN * 86_400)
        (only,) = await night.list_ids()
        assert night.emulator.members(only) == night.expected


@pytest.mark.once
@pytest.mark.parametrize("seed", range(NIGHTS))
def test_list_matches_its_source_after_random_faults(
    seed: int, state: Path, small_batches: int
) -> None:
    """On asyncio and trio alternately; no list is created twice, and no job hangs."""

    async def run() -> None:
        with anyio.fail_after(90):
            await spend(Night(seed, state))

    anyio.run(run, backend=("asyncio", "trio")[seed % 2])
