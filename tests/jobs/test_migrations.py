"""State files of earlier versions: what they know is kept, and what they began is finished."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.jobs import ACCOUNT, NAME, Rig, adds_up, ask, digests, people

from pinterest_audiences import JobInterruptedError
from pinterest_audiences.jobs.schema import APPLICATION_ID, MIGRATIONS, VERSION

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_batches")]

_AS_VERSION_1 = """
INSERT INTO list SELECT * FROM present.list;
INSERT INTO job SELECT * FROM present.job;
INSERT INTO segment SELECT * FROM present.segment;
INSERT INTO batch SELECT id, job_id, list_id, seq, operation, form, count, low, high, status, sends,
    folded, acknowledged, coalesce(keys, x'')
    FROM present.batch LEFT JOIN present.content ON batch_id = id;
"""


def make_older(state: Path) -> None:
    """Write a state file the way the first version did."""
    older = state.with_suffix(".older")
    with closing(sqlite3.connect(older)) as sql:
        sql.execute("ATTACH ? AS present", (str(state),))
        sql.executescript(MIGRATIONS[0] + _AS_VERSION_1)
        sql.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        sql.execute("PRAGMA user_version = 1")
    for file in state.parent.glob(f"{state.name}-*"):
        file.unlink()
    older.replace(state)


async def test_what_an_older_file_began_is_finished(rig: Rig) -> None:
    """Snapshot, receipts, what is in doubt and what is left all come along."""
    await rig.client.mirror(ACCOUNT, people(0, 40), name=NAME, state=rig.state)
    rig.emulator.fault("status", operation="customer_lists_update", after=2, status=403, code=29)
    with pytest.raises(JobInterruptedError):
        await rig.client.mirror(ACCOUNT, people(5, 80), name=NAME, state=rig.state)
    batches = "SELECT id, job_id, seq, operation, count, status, sends, folded FROM batch"
    before = ask(rig.state, batches)
    assert len({row[5] for row in before}) > 1
    assert len({row[7] for row in before}) > 1
    make_older(rig.state)
    assert ask(rig.state, "PRAGMA user_version") == [(1,)]
    await rig.client.status(ACCOUNT, state=rig.state)
    assert ask(rig.state, "PRAGMA user_version") == [(VERSION,)]
    assert ask(rig.state, batches) == before
    (report,) = await rig.client.resume(ACCOUNT, state=rig.state)
    assert (report.status, report.left, adds_up(report)) == ("done", 0, True)
    assert await rig.members() == digests(people(5, 80))
    again = await rig.client.plan_mirror(ACCOUNT, people(5, 80), name=NAME, state=rig.state)
    assert (again.add, again.remove, again.keep) == (0, 0, 75)


async def test_plans_of_an_older_file_go_with_all_that_is_theirs(rig: Rig) -> None:
    """A plan that makes room for another leaves no keys behind."""
    await rig.client.plan_mirror(ACCOUNT, people(0, 40), name=NAME, state=rig.state)
    make_older(rig.state)
    await rig.client.plan_mirror(ACCOUNT, people(0, 10), name=NAME, state=rig.state)
    assert ask(rig.state, "SELECT count(*), sum(length(keys)) FROM content") == [(1, 320)]
    assert ask(rig.state, "PRAGMA foreign_key_check") == []
    (sequence,) = ask(rig.state, "SELECT seq FROM sqlite_sequence WHERE name = 'batch'")
    assert sequence == (5,)
