"""Jobs of the blocking client in threads and forked processes."""

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
    JobEventType,
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
    """A database that may be used in this thread only, like every sqlite3 connection."""
    shop = sqlite3.connect(":memory:")
    shop.execute("CREATE TABLE customers (email TEXT)")
    shop.executemany("INSERT INTO customers VALUES (?)", [(item,) for item in people(0, 5000)])
    yield shop
    shop.close()


QUERY = "SELECT email FROM customers"


def test_cursor_is_read_in_the_calling_thread(
    client: Client, emulator: Emulator, shop: sqlite3.Connection, state: Path
) -> None:
    """By every job that has a source."""
    plan = client.plan_mirror(ACCOUNT, shop.execute(QUERY), name=NAME, state=state)
    assert plan.add == 5000
    report = client.upload(ACCOUNT, shop.execute(QUERY), name=NAME, state=state)
    mirrored = client.mirror(ACCOUNT, shop.execute(QUERY + " LIMIT 4900"), name=NAME, state=state)
    assert (report.added, mirrored.added, mirrored.removed) == (5000, 0, 100)
    receipt = client.forget(shop.execute(QUERY + " LIMIT 10"), state=state)
    assert [item.records for item in receipt.lists] == [10]
    members = emulator.members(report.customer_list_id or "")
    assert members == digests(people(10, 4900))


def test_async_source_is_refused_with_a_suggestion(
    client: Client, emulator: Emulator, state: Path
) -> None:
    """No request is sent, and no list is left in the state file."""

    async def source() -> AsyncIterator[str]:
        for item in people(0, 10):
            yield item

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


def test_closed_client_does_not_read_the_source(client: Client, state: Path) -> None:
    """A source may take hours to read, or may be readable only once."""
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


def test_events_are_emitted_while_the_caller_waits(
    client: Client, state: Path, small_batches: int
) -> None:
    """In the client's thread, from the plan to the end."""
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
    assert kinds[0] == JobEventType.PLANNED
    assert kinds[-1] == JobEventType.DONE
    done = [event.done for event, _ in events if event.kind == JobEventType.BATCH_ACKNOWLEDGED]
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
    assert {n: len(emulator.members(item or "")) for n, item in ids.items()} == {
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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="requires fork()")
def test_forked_child_must_create_a_new_client(emulator: Emulator, state: Path) -> None:
    """The error is raised before a record is read; the parent continues."""
    with Service(emulator) as service, program(FORKED, service.base_url, state) as parent:
        assert ended(parent) == (
            [
                "this client was used before fork(); create a new one in the child process",
                "30",
                "10",
            ],
            "",
        )
    (list_id,) = {
        entry.path.split("/")[-1] for entry in emulator.requests if "PATCH" in entry.method
    }
    assert len(emulator.members(list_id)) == 70
