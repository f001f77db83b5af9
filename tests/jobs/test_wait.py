"""Waiting until Pinterest is done with a list."""

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
async def test_the_list_is_returned_when_pinterest_is_done(
    rig: Rig, count: int, status: str
) -> None:
    """READY or TOO_SMALL are the ends."""
    (there,) = rig.emulator.seed_lists(ACCOUNT, 1, records=digests(people(0, count)))
    found = await rig.client.wait_until_ready(ACCOUNT, there)
    assert found.status == rig.emulator.customer_list(there)["status"]
    assert (found.id, found.status) == (there, status)


async def test_a_list_that_is_done_already_is_returned_at_once(rig: Rig) -> None:
    """With one look."""
    (there,) = rig.emulator.seed_lists(ACCOUNT, 1)
    rig.clock.advance(86_400)
    await rig.client.wait_until_ready(ACCOUNT, there, timeout=0.001)
    assert (len(rig.wire.sent), rig.clock.sleeps) == (1, [])


async def test_the_gaps_grow_from_seconds_to_minutes(rig: Rig) -> None:
    """And never past the longest; a little by chance."""
    (there,) = rig.emulator.seed_lists(ACCOUNT, 1)
    rig.emulator.fault("unknown_enum", value="UPLOADING", times=30)
    await rig.client.wait_until_ready(ACCOUNT, there, first_gap=2, longest_gap=90)
    gaps = rig.clock.sleeps
    assert len(gaps) == 30
    assert 1.8 <= gaps[0] <= 2.2
    assert all(81 <= gap <= 99 for gap in gaps[12:])
    assert all(later > sooner for sooner, later in pairwise(gaps[:9]))


async def test_an_unknown_status_is_work_in_progress(rig: Rig) -> None:
    """A later version of the API may have more of them."""
    (there,) = rig.emulator.seed_lists(ACCOUNT, 1, records=digests(people(0, 300)))
    rig.clock.advance(86_400)
    rig.emulator.fault("unknown_enum", value="MATCHING_OF_TOMORROW", times=3)
    rig.emulator.fault("missing_field", field="status", times=1)
    found = await rig.client.wait_until_ready(ACCOUNT, there)
    assert (found.status, len(rig.wire.sent)) == (CustomerListStatus.READY, 5)


async def test_a_list_that_is_not_done_in_time_raises_with_its_last_state(rig: Rig) -> None:
    """Looked at once more when time is up, and not later."""
    (there,) = rig.emulator.seed_lists(ACCOUNT, 1)
    rig.emulator.fault("unknown_enum", value="PROCESSING", times=None)
    with pytest.raises(WaitTimeoutError, match="still PROCESSING after 600 s") as late:
        await rig.client.wait_until_ready(ACCOUNT, there, timeout=600)
    assert rig.clock.elapsed == pytest.approx(600)
    assert isinstance(late.value, TimeoutError)
    assert late.value.customer_list.id == there
    back = pickle.loads(pickle.dumps(late.value))
    assert back.customer_list.id == there


async def test_a_list_that_is_not_there_is_an_error(rig: Rig) -> None:
    """Waiting would not make it."""
    with pytest.raises(NotFoundError):
        await rig.client.wait_until_ready(ACCOUNT, "1")


@pytest.mark.parametrize("name", ["timeout", "first_gap", "longest_gap"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), "soon"])
async def test_waits_that_cannot_be_are_refused(rig: Rig, name: str, value: float) -> None:
    """Before a call."""
    with pytest.raises(ConfigurationError, match=name):
        await rig.client.wait_until_ready(ACCOUNT, "1", **{name: value})
    assert rig.wire.sent == []
