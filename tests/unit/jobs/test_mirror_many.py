"""`mirror_many`: several lists under one rate limit; a failing one does not stop the others."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from support.clock import FakeClock
from support.jobs import ACCOUNT, Rig, Wire, digests, make_rig, people
from support.programs import HANGS_AFTER_SECONDS

from pinterest_audiences import (
    AsyncClient,
    Client,
    ConfigurationError,
    GuardError,
    JobEvent,
    JobEventType,
    JobInterruptedError,
    JobsFailedError,
    NotFoundError,
    SourceError,
    TransportError,
)
from pinterest_audiences.emulator import Emulator, RateLimits, RatePolicy

pytestmark = pytest.mark.anyio

SOURCES = {name: people(100 * number, 100 * number + 100) for number, name in enumerate("ABCDE")}


async def mirror_many(rig: Rig, sources: Any = None, **options: Any) -> Any:
    return await rig.client.mirror_many(ACCOUNT, sources or SOURCES, state=rig.state, **options)


async def test_each_list_holds_its_source(rig: Rig) -> None:
    """In the order of the mapping; new lists are created, and others changed."""
    reports = await mirror_many(rig)
    assert list(reports) == list(SOURCES)
    assert all(report.created and report.added == 100 for report in reports.values())
    changed = {
        name: [*source[5:], f"new@{name.lower()}.example"] for name, source in SOURCES.items()
    }
    reports = await mirror_many(rig, changed)
    assert {(report.added, report.removed) for report in reports.values()} == {(1, 5)}
    for name, source in changed.items():
        assert await rig.members(name) == digests(source)


def test_synchronous_client_reads_sources_in_the_calling_thread(state: Path) -> None:
    """A cursor of SQLite cannot be used in another thread."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE customer (email TEXT)")
    connection.executemany("INSERT INTO customer VALUES (?)", [(text,) for text in people(0, 50)])
    emulator = Emulator(rate_limits=None)
    with Client("token", transport=emulator.transport()) as client:
        reports = client.mirror_many(
            ACCOUNT,
            {
                "Cursor": connection.execute("SELECT email FROM customer"),
                "Generator": (text for text in people(0, 30)),
            },
            state=state,
        )
        lists = {item.name: item.id for item in client.customer_lists_list(ACCOUNT)}
    connection.close()
    assert {name: report.added for name, report in reports.items()} == {
        "Cursor": 50,
        "Generator": 30,
    }
    assert frozenset(emulator.members(lists["Cursor"])) == digests(people(0, 50))


async def test_bound_client_mirrors_several_lists(rig: Rig) -> None:
    reports = await rig.client.account(ACCOUNT).mirror_many(SOURCES, state=rig.state)
    assert list(reports) == list(SOURCES)


@pytest.mark.slow
@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_lists_are_sent_concurrently_up_to_the_limit(
    rig: Rig, small_batches: int, limit: int
) -> None:
    """The first creates wait for each other."""
    full, active, most = anyio.Event(), set[int](), 0

    async def wait_until_full(wire: Wire) -> None:
        if wire.sent[-1].method == "POST":
            with anyio.fail_after(HANGS_AFTER_SECONDS):
                await full.wait()

    def count(event: JobEvent) -> None:
        nonlocal most
        if event.kind == JobEventType.DONE:
            active.discard(event.job_id)
        else:
            active.add(event.job_id)
        most = max(most, len(active))
        if most == limit:
            full.set()

    rig.wire.before = wait_until_full
    await mirror_many(rig, max_at_once=limit, on_event=count)
    assert (most, active) == (limit, set())


async def test_one_source_is_read_at_a_time(rig: Rig) -> None:
    """So that memory does not grow with the number of lists; nothing is sent meanwhile."""
    events: list[str] = []

    def source(name: str) -> Iterator[str]:
        events.append(f"begin {name}")
        yield from people(0, 10)
        events.append(f"end {name}")

    async def note_write(wire: Wire) -> None:
        if wire.sent[-1].method == "POST":
            events.append("write")

    rig.wire.before = note_write
    await mirror_many(rig, {name: source(name) for name in "AB"})
    assert events == ["begin A", "end A", "begin B", "end B", "write", "write"]


async def test_failing_lists_do_not_stop_the_others(rig: Rig) -> None:
    """Each error is reported for its list, with the reports of the others."""
    await mirror_many(rig)

    def broken() -> Iterator[str]:
        yield "ann@shop.example"
        raise OSError("disk")

    (digest,) = digests(["interrupted@shop.example"])
    rig.emulator.fault(
        "status",
        status=403,
        operation="customer_lists_update",
        when=lambda request: str(digest).encode() in request.body,
        times=None,
    )
    sources: dict[str, Any] = {
        "A": Path("/missing/customers.csv"),
        "B": broken(),
        "C": [],
        "D": people(0, 9),
        "9": people(0, 9),
        "E": [*SOURCES["E"], "interrupted@shop.example"],
        "New": people(0, 7),
    }
    with pytest.raises(JobsFailedError, match=r"^6 of 7 lists failed: A: .*; B: .*; C: ") as caught:
        await mirror_many(rig, sources)
    error = caught.value
    assert {name: type(item) for name, item in error.errors.items()} == {
        "A": SourceError,
        "B": SourceError,
        "C": GuardError,
        "D": GuardError,
        "9": NotFoundError,
        "E": JobInterruptedError,
    }
    assert {name: report.added for name, report in error.reports.items()} == {"New": 7}
    assert await rig.members("New") == digests(people(0, 7))
    assert await rig.members("D") == digests(SOURCES["D"])
    rig.emulator.faults.clear()
    (report,) = await rig.client.resume(ACCOUNT, state=rig.state)
    assert report.name == "E"
    assert await rig.members("E") == digests(sources["E"])


async def test_permission_counts_for_every_list(rig: Rig) -> None:
    await mirror_many(rig)
    few = {name: source[:9] for name, source in SOURCES.items()}
    with pytest.raises(JobsFailedError) as caught:
        await mirror_many(rig, few)
    assert set(caught.value.errors) == set(SOURCES)
    reports = await mirror_many(rig, few, allow_removals=True)
    assert {report.removed for report in reports.values()} == {91}


async def test_lists_share_one_rate_limit(state: Path, small_batches: int) -> None:
    """No request is refused, and the writes take as many windows as one list would need."""
    clock = FakeClock()
    limits = RateLimits(ads_write=RatePolicy(10, 60))
    rig = make_rig(state, Emulator(clock=clock.time, rate_limits=limits), clock=clock)
    async with rig.client:
        begun = clock.monotonic()
        reports = await mirror_many(rig)
        assert sum(report.calls for report in reports.values()) >= 50
        assert {report.rate_limited for report in reports.values()} == {0}
        assert clock.monotonic() - begun >= 4 * 60


async def test_outage_is_waited_for_once(rig: Rig) -> None:
    """Not once for each list."""
    with rig.wire.broken_from(1, applied=False):
        begun = rig.clock.monotonic()
        with pytest.raises(JobsFailedError) as caught:
            await mirror_many(rig, retry_timeout=600)
        passed = rig.clock.monotonic() - begun
    assert {type(error) for error in caught.value.errors.values()} == {TransportError}
    assert 300 < passed < 1200


async def test_digits_select_a_list_by_its_id(rig: Rig) -> None:
    (number,) = rig.emulator.seed_lists(ACCOUNT, 1)
    reports = await mirror_many(rig, {number: people(0, 9)}, adopt=True)
    assert reports[number].customer_list_id == number
    assert frozenset(rig.emulator.members(number)) == digests(people(0, 9))


@pytest.mark.parametrize("id_first", [True, False])
async def test_two_keys_of_one_list_are_errors_and_nothing_is_sent_to_it(
    rig: Rig, id_first: bool
) -> None:
    """Its id and its name, in any order; the other lists are done."""
    number = (await mirror_many(rig, {"A": SOURCES["A"]}))["A"].customer_list_id
    keys = [number, "A"] if id_first else ["A", number]
    sources = {keys[0]: SOURCES["B"], "C": SOURCES["C"], keys[1]: SOURCES["D"]}
    with pytest.raises(JobsFailedError) as caught:
        await mirror_many(rig, sources, allow_removals=True)
    assert list(caught.value.errors) == keys
    for error in caught.value.errors.values():
        assert isinstance(error, ConfigurationError)
        assert error.param == "sources"
        assert f"2 keys for list {number}" in str(error)
    assert list(caught.value.reports) == ["C"]
    assert await rig.members("A") == digests(SOURCES["A"])
    assert await rig.members("C") == digests(SOURCES["C"])


async def test_keys_of_failed_lists_are_escaped_in_the_error(rig: Rig) -> None:
    with pytest.raises(JobsFailedError) as caught:
        await mirror_many(rig, {"Red\x1b[31m\nlist": iter(())})
    assert "Red\\x1b[31m\\nlist: " in str(caught.value)
    assert list(caught.value.errors) == ["Red\x1b[31m\nlist"]


async def test_no_lists_give_no_reports(rig: Rig) -> None:
    assert await rig.client.mirror_many(ACCOUNT, {}, state=rig.state) == {}
    assert rig.wire.sent == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"ad_account_id": "x"},
        {"max_at_once": 0},
        {"max_at_once": 17},
        {"max_at_once": True},
        {"max_removal_share": 2},
        {"retry_timeout": 0},
        {"batch_size": 0},
        {"expect_rows": "many"},
        {"kind": "nonsense"},
        {"kind": "lr_id"},
        {"kind": 5},
        {"sources": [("A", people(0, 3))]},
        {"sources": None},
    ],
    ids=str,
)
async def test_wrong_argument_is_refused_before_a_source_is_read(
    rig: Rig, wrong: dict[str, Any]
) -> None:
    read: list[int] = []

    def source() -> Iterator[str]:
        read.append(1)
        yield "ann@shop.example"

    arguments = {"ad_account_id": ACCOUNT, "sources": {"A": source()}, "state": rig.state}
    with pytest.raises(ConfigurationError):
        await rig.client.mirror_many(**{**arguments, **wrong})
    assert (read, rig.wire.sent) == ([], [])


async def test_client_that_is_closed_is_refused(rig: Rig) -> None:
    client: AsyncClient = rig.client
    await client.aclose()
    with pytest.raises(RuntimeError):
        await mirror_many(rig)
