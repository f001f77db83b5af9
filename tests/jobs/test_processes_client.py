"""Jobs of the blocking client: what depends on the calling thread, and on the process."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from support.crashes import Service
from support.jobs import ACCOUNT, NAME, digests, people
from support.programs import ended, program

from pinterest_audiences import (
    Client,
    ClientClosedError,
    ConfigurationError,
    JobEvent,
    JobEventKind,
)
from pinterest_audiences.emulator import Emulator


@pytest.fixture
def emulator() -> Emulator:
    return Emulator(rate_limits=None)


@pytest.fixture
def client(emulator: Emulator) -> Iterator[Client]:
    with Client("token", transport=emulator.transport()) as client:
        yield client


@pytest.fixture
def shop() -> Iterator[sqlite3.Connection]:
    """A database that may be used in this thread only, as is sqlite3's way."""
    shop = sqlite3.connect(":memory:")
    shop.execute("CREATE TABLE customers (email TEXT)")
    shop.executemany("INSERT INTO customers VALUES (?)", [(each,) for each in people(0, 5000)])
    yield shop
    shop.close()


QUERY = "SELECT email FROM customers"


def test_a_cursor_is_read_in_the_thread_that_it_belongs_to(
    client: Client, emulator: Emulator, shop: sqlite3.Connection, state: Path
) -> None:
    """For every job that takes a source."""
    plan = client.plan_mirror(ACCOUNT, shop.execute(QUERY), name=NAME, state=state)
    assert plan.add == 5000
    report = client.upload(ACCOUNT, shop.execute(QUERY), name=NAME, state=state)
    mirrored = client.mirror(ACCOUNT, shop.execute(QUERY + " LIMIT 4900"), name=NAME, state=state)
    assert (report.added, mirrored.added, mirrored.removed) == (5000, 0, 100)
    receipt = client.forget(shop.execute(QUERY + " LIMIT 10"), state=state)
    assert [each.records for each in receipt.lists] == [10]
    members = emulator.members(report.customer_list_id or "")
    assert members == digests(people(10, 4900))


def test_an_async_source_is_refused_with_a_way_out(
    client: Client, emulator: Emulator, state: Path
) -> None:
    """Nothing is asked of Pinterest, and no list is left in the state."""

    async def source() -> AsyncIterator[str]:
        for each in people(0, 10):
            yield each

    for attempt in (
        lambda: client.upload(ACCOUNT, source(), name=NAME, state=state),
        lambda: client.plan_mirror(ACCOUNT, source(), name=NAME, state=state),
        lambda: client.mirror(ACCOUNT, source(), name=NAME, state=state),
        lambda: client.forget(source(), state=state),
    ):
        with pytest.raises(ConfigurationError, match="AsyncClient"):
            attempt()
    assert emulator.requests == ()
    assert not state.exists()


def test_a_closed_client_does_not_read_the_source_first(client: Client, state: Path) -> None:
    """A source may take hours to read, and may be readable once."""
    source = iter(people(0, 10))
    client.close()
    for attempt in (
        lambda: client.upload(ACCOUNT, source, name=NAME, state=state),
        lambda: client.plan_mirror(ACCOUNT, source, name=NAME, state=state),
        lambda: client.mirror(ACCOUNT, source, name=NAME, state=state),
        lambda: client.forget(source, state=state),
    ):
        with pytest.raises(ClientClosedError):
            attempt()
    assert len(list(source)) == 10


def test_events_come_while_the_caller_waits(
    client: Client, state: Path, small_batches: int
) -> None:
    """They are told in the client's own thread, from the plan to the end."""
    events: list[tuple[JobEvent, str]] = []
    client.upload(
        ACCOUNT,
        people(0, 25),
        name=NAME,
        state=state,
        on_event=lambda event: events.append((event, threading.current_thread().name)),
    )
    assert {name for _, name in events} == {"pinterest_audiences"}
    kinds = [event.kind for event, _ in events]
    assert kinds[0] == JobEventKind.PLANNED
    assert kinds[-1] == JobEventKind.DONE
    done = [event.done for event, _ in events if event.kind == JobEventKind.BATCH_ACKNOWLEDGED]
    assert done == [small_batches, 2 * small_batches, 25]


def test_threads_share_a_client_for_jobs_on_several_lists(
    client: Client, emulator: Emulator, state: Path
) -> None:
    """Each waits for its own job."""
    ids: dict[int, str | None] = {}

    def work(number: int) -> None:
        report = client.upload(ACCOUNT, people(0, number), name=f"List {number}", state=state)
        ids[number] = report.customer_list_id

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {n: len(emulator.members(each or "")) for n, each in ids.items()} == {
        number: number for number in range(1, 9)
    }


FORKED = """
client = new_client()
client.upload(ACCOUNT, people(0, 30), name="VIP", state=STATE)
source = iter(people(30, 60))
pid = os.fork()
if pid == 0:
    try:
        client.upload(ACCOUNT, source, name="VIP", state=STATE)
    except WrongEventLoopError as error:
        say(error)
    with new_client() as mine:
        say(mine.upload(ACCOUNT, source, name="VIP", state=STATE).acknowledged)
    os._exit(0)
os.waitpid(pid, 0)
say(client.upload(ACCOUNT, people(60, 70), name="VIP", state=STATE).acknowledged)
client.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork() here")
def test_a_forked_child_works_with_a_client_of_its_own(emulator: Emulator, state: Path) -> None:
    """It is told so before a record of its source is read; the parent goes on."""
    with Service(emulator) as service, program(FORKED, service.base_url, state) as parent:
        assert ended(parent) == (
            ["this client was used before fork(); make a new one in the child process", "30", "10"],
            "",
        )
    (list_id,) = {
        entry.path.split("/")[-1] for entry in emulator.requests if "PATCH" in entry.method
    }
    assert len(emulator.members(list_id)) == 70
