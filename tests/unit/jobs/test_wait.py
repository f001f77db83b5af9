"""Waiting until Pinterest has processed a list."""

from __future__ import annotations

import pickle
from itertools import pairwise

import pytest
from support.jobs import ACCOUNT, Rig, digests, people

from pinterest_audiences import (
    ConfigurationError,
    CustomerListStatus,
    NotFoundError,
    WaitTimeoutError,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("count", "status"), [(200, "READY"), (50, "TOO_SMALL")])
async def test_list_is_returned_when_ready_or_too_small(rig: Rig, count: int, status: str) -> None:
    (there,) = rig.emulator.seed_lists(ACCOUNT, 1, records=digests(people(0, count)))
    found = await rig.client.wait_until_ready(ACCOUNT, there)
    assert found.status == rig.emulator.customer_list(there)["status"]
    assert (found.id, found.status) == (there, status)


async def test_ready_list_is_returned_after_one_poll(rig: Rig) -> None:
    (there,) = rig.emulator.seed_lists(ACCOUNT, 1)
    rig.clock.advance(86_400)
    await rig.client.wait_until_ready(ACCOUNT, there, timeout=0.001)
    assert (len(rig.wire.sent), rig.clock.sleeps) == (1, [])


async def test_poll_intervals_grow_from_seconds_to_minutes(rig: Rig) -> None:
    """Up to the longest, with jitter."""
    (there,) = rig.emulator.seed_lists(ACCOUNT, 1)
    rig.emulator.fault("unknown_enum", value="UPLOADING", times=30)
    await rig.client.wait_until_ready(ACCOUNT, there, poll_interval=2, max_poll_interval=90)
    gaps = rig.clock.sleeps
    assert len(gaps) == 30
    assert 1.8 <= gaps[0] <= 2.2
    assert all(81 <= gap <= 99 for gap in gaps[12:])
    assert all(later > sooner for sooner, later in pairwise(gaps[:9]))


async def test_unknown_status_counts_as_work_in_progress(rig: Rig) -> None:
    """A later version of the API may have more statuses."""
    (there,) = rig.emulator.seed_lists(ACCOUNT, 1, records=digests(people(0, 300)))
    rig.clock.advance(86_400)
    rig.emulator.fault("unknown_enum", value="MATCHING_OF_TOMORROW", times=3)
    rig.emulator.fault("missing_field", field="status", times=1)
    found = await rig.client.wait_until_ready(ACCOUNT, there)
    assert (found.status, len(rig.wire.sent)) == (CustomerListStatus.READY, 5)


async def test_timeout_raises_with_the_list_at_the_last_poll(rig: Rig) -> None:
    """The last poll is at the deadline."""
    (there,) = rig.emulator.seed_lists(ACCOUNT, 1)
    rig.emulator.fault("unknown_enum", value="PROCESSING", times=None)
    with pytest.raises(WaitTimeoutError, match="still PROCESSING after 600 s") as late:
        await rig.client.wait_until_ready(ACCOUNT, there, timeout=600)
    assert rig.clock.elapsed == pytest.approx(600)
    assert isinstance(late.value, TimeoutError)
    assert late.value.customer_list.id == there
    back = pickle.loads(pickle.dumps(late.value))
    assert back.customer_list.id == there


async def test_wait_for_an_unknown_list_is_an_error(rig: Rig) -> None:
    """It does not wait."""
    with pytest.raises(NotFoundError):
        await rig.client.wait_until_ready(ACCOUNT, "1")


@pytest.mark.parametrize("name", ["timeout", "poll_interval", "max_poll_interval"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), "soon"])
async def test_invalid_timeouts_and_intervals_are_refused(
    rig: Rig, name: str, value: float
) -> None:
    """Before a request."""
    with pytest.raises(ConfigurationError, match=name):
        await rig.client.wait_until_ready(ACCOUNT, "1", **{name: value})
    assert rig.wire.sent == []
