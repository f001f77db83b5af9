"""The history of runs in the state file."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from support.jobs import ACCOUNT, NAME, Rig, ask, cut_off, make_rig, people, state_bytes

from pinterest_audiences import (
    ConfigurationError,
    GuardError,
    JobInterruptedError,
    JobNotFoundError,
    JobsFailedError,
    RunReport,
    SourceError,
    TooManyRejectsError,
    prepare,
    sql_source,
)
from pinterest_audiences._jobs.state import list_lock

pytestmark = pytest.mark.anyio


async def history(rig: Rig) -> list[RunReport]:
    """Return the runs, newest first."""
    return await rig.client.runs(ACCOUNT, state=rig.state)


async def stopped(rig: Rig, source: list[str]) -> JobInterruptedError:
    """Run an upload that is refused after its first batch, and return its error."""
    rig.emulator.fault("status", status=403, operation="customer_lists_update", after=1)
    with pytest.raises(JobInterruptedError) as caught:
        await rig.client.upload(ACCOUNT, source, name=NAME, state=rig.state)
    rig.emulator.faults.clear()
    return caught.value


async def test_upload_is_one_run_with_its_counts_and_times(rig: Rig, tmp_path: Path) -> None:
    file = tmp_path / "customers.csv"
    file.write_text("\n".join(["email", *people(0, 5), "none at shop"]))
    started = rig.clock.time()
    report = await rig.client.upload(
        ACCOUNT, prepare(file, max_reject_share=1), name=NAME, state=rig.state
    )
    rig.clock.advance(60)
    (run,) = await history(rig)
    assert run == RunReport(
        run_id=1,
        job_id=report.job_id,
        operation="upload",
        outcome="done",
        ad_account_id=ACCOUNT,
        customer_list_id=report.customer_list_id,
        name=NAME,
        source=str(file),
        started=started,
        finished=report.finished,
        seconds=(report.finished or 0) - started,
        rows=6,
        rejected=1,
        added=5,
    )
    assert "upload to list" in str(run)
    assert "done, 5 added, 0 removed" in str(run)


async def test_runs_are_listed_newest_first_with_their_operations(rig: Rig) -> None:
    """A dry run and a plan are not runs."""
    await rig.client.upload(ACCOUNT, people(0, 10), name=NAME, state=rig.state)
    await rig.client.mirror(ACCOUNT, people(1, 12), name=NAME, state=rig.state)
    await rig.client.upload(ACCOUNT, people(1, 2), name=NAME, operation="REMOVE", state=rig.state)
    await rig.client.plan_upload(ACCOUNT, people(5, 9), name=NAME, store=False, state=rig.state)
    plan = await rig.client.plan_mirror(ACCOUNT, people(2, 13), name=NAME, state=rig.state)
    assert len(await history(rig)) == 3
    await rig.client.apply(plan, state=rig.state)
    await rig.client.forget("person5@shop.example", state=rig.state)
    assert [(run.operation, run.added, run.removed, run.rows) for run in await history(rig)] == [
        ("forget", 0, 1, 0),
        ("mirror", 1, 0, 11),
        ("remove", 0, 1, 1),
        ("mirror", 2, 1, 11),
        ("upload", 10, 0, 10),
    ]
    assert {run.outcome for run in await history(rig)} == {"done"}


async def test_failed_run_and_the_run_that_resumes_it_count_what_each_sent(
    rig: Rig, small_batches: int
) -> None:
    await stopped(rig, people(0, 50))
    await rig.client.resume(ACCOUNT, state=rig.state)
    resumed, failed = await history(rig)
    assert (failed.outcome, failed.added, failed.left, failed.rows) == ("failed", 20, 30, 50)
    assert (failed.resumed, failed.error_type) == (False, "JobInterruptedError")
    assert "stopped after 20 of 50 records" in (failed.error or "")
    assert "JobInterruptedError" not in str(failed)
    assert (resumed.outcome, resumed.added, resumed.left, resumed.rows) == ("done", 30, 0, 0)
    assert (resumed.resumed, resumed.error_type, resumed.error) == (True, None, None)
    assert resumed.job_id == failed.job_id


async def test_cancelled_run_is_interrupted(rig: Rig, small_batches: int) -> None:
    with anyio.CancelScope() as scope:
        rig.wire.after = cut_off(4, scope)
        await rig.client.upload(ACCOUNT, people(0, 50), name=NAME, state=rig.state)
    (run,) = await history(rig)
    assert (run.outcome, run.error_type, run.left > 0) == ("interrupted", None, True)
    assert run.finished is not None


async def test_run_without_an_end_is_running_while_its_list_is_locked(rig: Rig) -> None:
    """If it is not locked, the process of the run was killed; a later run stores that."""
    await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    with closing(sqlite3.connect(rig.state)) as sql:
        sql.execute("UPDATE run SET outcome = 'running', finished = NULL, added = 0")
        sql.execute("UPDATE job SET status = 'running', finished = NULL")
        sql.commit()
    with list_lock(rig.state, 1, "the list"):
        (run,) = await history(rig)
        assert (run.outcome, run.added, run.seconds) == ("running", 5, None)
    (run,) = await history(rig)
    assert (run.outcome, run.added, run.seconds) == ("interrupted", 5, None)
    await rig.client.resume(ACCOUNT, state=rig.state)
    resumed, killed = await history(rig)
    assert killed == run
    assert (resumed.outcome, resumed.added, resumed.resumed) == ("done", 0, True)
    assert ask(rig.state, "SELECT outcome FROM run ORDER BY id") == [("interrupted",), ("done",)]


async def test_run_whose_process_ended_when_its_job_was_done_is_done(rig: Rig) -> None:
    await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    with closing(sqlite3.connect(rig.state)) as sql:
        sql.execute("UPDATE run SET outcome = 'running', finished = NULL")
        sql.commit()
    (run,) = await history(rig)
    assert (run.outcome, run.added, run.seconds) == ("done", 5, None)


async def test_history_takes_no_lock_and_keeps_who_died_with_one(rig: Rig) -> None:
    """A job that starts meanwhile is not refused, and reports the process that died."""
    await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    with closing(sqlite3.connect(rig.state)) as sql:
        sql.execute("UPDATE run SET outcome = 'running', finished = NULL")
        sql.execute("UPDATE job SET status = 'running', finished = NULL")
        sql.commit()
    ended = await anyio.run_process([sys.executable, "-c", "import os; print(os.getpid())"])
    pid = int(ended.stdout)
    (lock,) = rig.state.parent.glob("*.lock")
    lock.write_text(f" {pid}")
    (run,) = await history(rig)
    assert run.outcome == "interrupted"
    with list_lock(rig.state, 1, "the list") as died:
        assert died == pid


@pytest.mark.parametrize("outcome", ["abandoned", "superseded"])
async def test_last_run_of_a_job_that_was_ended_has_that_outcome(
    rig: Rig, small_batches: int, outcome: str
) -> None:
    error = await stopped(rig, people(0, 50))
    if outcome == "abandoned":
        await rig.client.abandon(error.report.job_id, state=rig.state)
    else:
        await rig.client.mirror(
            ACCOUNT, people(0, 20), name=NAME, state=rig.state, allow_removals=True
        )
    ended = (await history(rig))[-1]
    assert (ended.outcome, ended.added, ended.error_type) == (outcome, 20, "JobInterruptedError")


async def test_run_that_failed_before_its_job_has_no_job_id(rig: Rig) -> None:
    """A guard, rejects, or a source that cannot be read: nothing was sent."""
    await rig.client.mirror(ACCOUNT, people(0, 10), name=NAME, state=rig.state)
    with pytest.raises(GuardError):
        await rig.client.mirror(ACCOUNT, people(0, 2), name=NAME, state=rig.state)
    with pytest.raises(GuardError):
        await rig.client.mirror(ACCOUNT, people(0, 10), name=NAME, state=rig.state, expect_rows=100)
    with pytest.raises(TooManyRejectsError):
        await rig.client.upload(ACCOUNT, ["none", "no"], name=NAME, state=rig.state)

    def broken() -> Iterator[str]:
        yield "ada@shop.example"
        raise ValueError("row of ben@shop.example")

    with pytest.raises((SourceError, ValueError)):
        await rig.client.upload(ACCOUNT, broken(), name=NAME, state=rig.state)
    failed = (await history(rig))[:-1]
    assert {(run.outcome, run.job_id, run.name, run.added) for run in failed} == {
        ("failed", None, NAME, 0)
    }
    assert [run.error_type for run in failed[1:]] == ["TooManyRejectsError", *["GuardError"] * 2]
    assert [(run.rows, run.rejected) for run in failed[1:]] == [(2, 2), (10, 0), (2, 0)]
    assert (failed[0].rows, failed[0].rejected) == (0, 0)
    assert "8 of 10 records" in (failed[3].error or "")
    assert b"ben@shop.example" not in state_bytes(rig.state)


async def test_failed_run_of_an_unknown_list_does_not_store_its_name(rig: Rig) -> None:
    """It may be a mistyped argument, such as a customer."""
    with pytest.raises(GuardError):
        await rig.client.upload(
            ACCOUNT, people(0, 5), customer_list_id="ada@shop.example", state=rig.state
        )
    (run,) = await history(rig)
    assert (run.outcome, run.name, run.customer_list_id) == ("failed", None, None)
    assert b"ada@shop.example" not in state_bytes(rig.state)


async def test_source_of_a_database_is_stored_without_password_and_query(
    rig: Rig, tmp_path: Path
) -> None:
    pytest.importorskip("sqlalchemy", reason="options in a URL need the extra [sql]")
    file = tmp_path / "shop.db"
    with closing(sqlite3.connect(file)) as sql:
        sql.execute("CREATE TABLE customer (email TEXT)")
        sql.executemany("INSERT INTO customer VALUES (?)", [(text,) for text in people(0, 3)])
        sql.commit()
    source = sql_source(
        f"sqlite:///{file}?timeout=10", "SELECT email FROM customer WHERE email != 'q@shop.example'"
    )
    await rig.client.upload(ACCOUNT, source, name=NAME, state=rig.state)
    (run,) = await history(rig)
    assert (run.outcome, run.rows) == ("done", 3)
    assert run.source is not None
    assert run.source.startswith("sqlite:///")
    assert not [word for word in ("?", "timeout", "SELECT", "q@") if word in run.source]
    assert b"q@shop.example" not in state_bytes(rig.state)


async def test_runs_of_one_list_or_account_and_their_number_are_selected(rig: Rig) -> None:
    await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    other = await rig.client.upload(ACCOUNT, people(0, 4), name="Other", state=rig.state)
    await rig.client.upload(ACCOUNT, people(0, 3), name=NAME, state=rig.state)

    async def added(**selected: object) -> list[int]:
        found = await rig.client.runs(**selected, state=rig.state)  # type: ignore[arg-type]
        return [run.added for run in found]

    assert await added() == [3, 4, 5]
    assert await added(name=NAME) == [3, 5]
    assert await added(customer_list_id=other.customer_list_id) == [4]
    assert await added(ad_account_id=ACCOUNT, customer_list_id="Other") == [4]
    assert await added(limit=2) == [3, 4]
    assert await added(name=NAME, limit=1) == [3]
    assert await added(limit=0) == []
    assert await added(ad_account_id="7") == []


async def test_arguments_that_select_no_run_are_refused(rig: Rig) -> None:
    await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    with pytest.raises(ConfigurationError, match="not both"):
        await rig.client.runs(ACCOUNT, customer_list_id="1", name=NAME, state=rig.state)
    with pytest.raises(ConfigurationError, match="limit must be an integer"):
        await rig.client.runs(ACCOUNT, limit=-1, state=rig.state)
    with pytest.raises(JobNotFoundError):
        await rig.client.runs(ACCOUNT, name="Unknown", state=rig.state)


async def test_each_list_of_mirror_many_is_a_run(rig: Rig) -> None:
    sources: dict[str, list[str]] = {"Kiel": people(0, 5), "Bonn": ["none"], "Ulm": people(0, 2)}
    with pytest.raises(JobsFailedError):
        await rig.client.mirror_many(ACCOUNT, sources, state=rig.state)
    runs = [(run.name, run.outcome, run.added) for run in await history(rig)]
    assert sorted(runs, key=str) == [("Bonn", "failed", 0), ("Kiel", "done", 5), ("Ulm", "done", 2)]


async def test_runs_of_a_list_are_erased_with_its_state(rig: Rig) -> None:
    await rig.client.upload(ACCOUNT, people(0, 5), name=NAME, state=rig.state)
    await rig.client.upload(ACCOUNT, people(0, 5), name="Other", state=rig.state)
    await rig.client.forget_list(ACCOUNT, name=NAME, state=rig.state)
    assert [run.name for run in await history(rig)] == ["Other"]


async def test_state_file_without_a_history_gets_one_and_keeps_its_jobs(rig: Rig) -> None:
    """Files of schema 4 have no table of runs."""
    await rig.client.upload(ACCOUNT, people(0, 10), name=NAME, state=rig.state)
    with closing(sqlite3.connect(rig.state)) as sql:
        sql.execute("DROP TABLE run")
        sql.execute("PRAGMA user_version = 4")
        sql.commit()
    again = make_rig(rig.state, rig.emulator, clock=rig.clock)
    async with again.client:
        assert await history(again) == []
        report = await again.client.mirror(ACCOUNT, people(1, 10), name=NAME, state=rig.state)
        assert (report.added, report.removed) == (0, 1)
        assert [run.removed for run in await history(again)] == [1]
    assert ask(rig.state, "PRAGMA user_version") == [(5,)]
    assert ask(rig.state, "SELECT count(*) FROM job") == [(2,)]
