"""asyncio's native cancellation, which ignores shields: `task.cancel()`, `asyncio.timeout()`."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from support.clock import FakeClock

from pinterest_audiences import AsyncClient, JobEvent
from pinterest_audiences._jobs import keys
from pinterest_audiences._jobs.job_context import in_thread
from pinterest_audiences.emulator import Emulator

ACCOUNT = "549755885175"
PEOPLE = [f"person{n}@shop.de" for n in range(45)]


def test_cancelled_task_ends_after_its_thread() -> None:
    """However often it is cancelled; resources of the thread are not closed before it ends."""
    started, go_on = threading.Event(), threading.Event()
    ended: list[str] = []

    def write() -> None:
        started.set()
        go_on.wait()
        ended.append("thread")

    async def main() -> None:
        task = asyncio.create_task(in_thread(write))
        task.add_done_callback(lambda _: ended.append("task"))
        await asyncio.to_thread(started.wait)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert ended == ["thread", "task"]


def test_function_cancelled_before_its_thread_started_is_never_run() -> None:
    ran: list[bool] = []

    async def main() -> None:
        for rounds in range(6):
            task = asyncio.create_task(in_thread(ran.append, True))
            for _ in range(rounds):
                await asyncio.sleep(0)
            before = len(ran)
            task.cancel()
            if await asyncio.wait([task]) and task.cancelled() and len(ran) == before:
                await in_thread(lambda: None)  # whatever waited in the queue has had its turn
                assert len(ran) == before

    asyncio.run(main())


@pytest.mark.parametrize("events", range(1, 9))
def test_cancelled_upload_can_be_resumed_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: int
) -> None:
    """At any event: the list's lock is released when the task has ended."""
    monkeypatch.setattr(keys, "MAX_RECORDS", 10)
    emulator = Emulator(rate_limits=None)
    state = tmp_path / "state"

    async def main() -> None:
        seen: list[JobEvent] = []

        def cancel(event: JobEvent) -> None:
            seen.append(event)
            if len(seen) == events:
                task.cancel()

        transport = emulator.transport()
        async with AsyncClient("token", transport=transport, clock=FakeClock()) as client:
            task = asyncio.create_task(
                client.upload(ACCOUNT, PEOPLE, name="VIP", state=state, on_event=cancel)
            )
            with pytest.raises(asyncio.CancelledError):
                await task
            (report,) = await client.resume(ACCOUNT, state=state)
        assert (report.planned, report.added, report.left) == (45, 45, 0)
        assert len(emulator.members(report.customer_list_id or "")) == 45

    asyncio.run(main())
