"""Query the unfinished jobs of a list, and end them without finishing them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, LiteralString

from pinterest_audiences._jobs.keys import CODECS, KeyCodec
from pinterest_audiences._jobs.state import (
    BATCH_QUERY,
    JOB_QUERY,
    RESENDS,
    BatchRow,
    JobRow,
    to_batch,
    to_blob,
    to_job,
)

if TYPE_CHECKING:
    from pinterest_audiences._jobs.state import State

__all__ = [
    "created_type",
    "end_jobs",
    "erase_list",
    "not_sent",
    "pending_removals",
    "removal_jobs",
    "remove_keys",
    "unanswered_jobs",
]


def removal_jobs(state: State, list_key: int) -> list[JobRow]:
    """Return the unfinished explicit removals of a list, oldest first: REMOVE and erasure jobs."""
    return _jobs(
        state,
        list_key,
        "status = 'running' AND (kind = 'forget' OR kind = 'upload' AND EXISTS "
        "(SELECT 1 FROM batch WHERE job_id = job.id AND operation = 'REMOVE'))",
    )


def unanswered_jobs(state: State, list_key: int) -> list[JobRow]:
    """Return the jobs whose create of the list got no response, oldest first."""
    return _jobs(
        state,
        list_key,
        "newest_id IS NOT NULL AND EXISTS (SELECT 1 FROM batch WHERE job_id = job.id "
        "AND sends > 0 AND status != 'acknowledged')",
    )


def created_type(state: State, list_key: int) -> str | None:
    """Return the type that a list was created with, if a job created it."""
    jobs = _jobs(
        state,
        list_key,
        "newest_id IS NOT NULL AND EXISTS (SELECT 1 FROM batch WHERE job_id = job.id "
        "AND (sends > 0 OR status = 'acknowledged'))",
    )
    kind = jobs[0].plan.get("list_type") if jobs else None
    return kind if isinstance(kind, str) else None


def pending_removals(state: State, job_key: int) -> list[BatchRow]:
    """Return the removals of a job that are not acknowledged, in bucket order."""
    with state.database.reading() as sql:
        rows = sql.execute(
            f"{BATCH_QUERY} WHERE job_id = ? AND operation = 'REMOVE' "
            "AND status IN ('planned', 'sending') ORDER BY form, low, id",
            (job_key,),
        ).fetchall()
        return [to_batch(row) for row in rows]


def not_sent(state: State, job_keys: Sequence[int]) -> None:
    """Record that Pinterest received only the acknowledged batches of these jobs."""
    with state.database.transaction() as sql:
        for key in job_keys:
            sql.execute(
                "UPDATE batch SET sends = 0 WHERE job_id = ? AND status != 'acknowledged'",
                (key,),
            )
            sql.execute(
                "DELETE FROM content WHERE batch_id IN (SELECT id FROM batch "
                "WHERE job_id = ? AND status = 'dropped')",
                (key,),
            )


def end_jobs(
    state: State,
    list_key: int,
    jobs: Sequence[JobRow],
    status: Literal["superseded", "abandoned"],
) -> None:
    """End unfinished jobs; records that may have been sent stay unconfirmed."""
    keys = [job.key for job in jobs]
    with state.database.transaction() as sql:
        for key in keys:
            sql.execute(
                "UPDATE batch SET status = 'dropped' WHERE job_id = ? "
                "AND status IN ('planned', 'sending')",
                (key,),
            )
            sql.execute(  # never sent, so their keys are not needed
                "DELETE FROM content WHERE batch_id IN (SELECT id FROM batch "
                "WHERE job_id = ? AND status = 'dropped' AND sends = 0 AND seq < ?)",
                (key, RESENDS),
            )
            sql.execute("UPDATE job SET status = ? WHERE id = ?", (status, key))
        sql.execute("UPDATE list SET version = version + ? WHERE id = ?", (len(keys), list_key))


def remove_keys(
    state: State,
    list_key: int,
    matching: Callable[[KeyCodec, Sequence[bytes]], set[bytes]],
    now: float,
    *,
    erasure: int | None = None,
) -> None:
    """Remove keys from the batches of a list that are not acknowledged.

    Args:
        state: The state file.
        list_key: The list.
        matching: Returns which of the given keys to remove.
        now: The time at which jobs without any batches left are done.
        erasure: The job that removes these keys at Pinterest; it is started, and its own batches
            are left unchanged.
    """
    with state.database.transaction() as sql:
        if erasure is not None:
            sql.execute("UPDATE job SET status = 'running' WHERE id = ?", (erasure,))
        rows = sql.execute(
            "SELECT id, form FROM batch WHERE list_id = ? AND NOT folded "
            "AND status != 'acknowledged' AND job_id IS NOT ?",
            (list_key, erasure),
        ).fetchall()
        for key, codec in rows:
            _remove_keys_of_batch(sql, key, CODECS[codec], matching)
        sql.execute(
            "UPDATE job SET status = 'done', finished = ? WHERE list_id = ? "
            "AND status = 'running' AND id IS NOT ? AND NOT EXISTS (SELECT 1 FROM batch "
            "WHERE job_id = job.id AND status IN ('planned', 'sending'))",
            (now, list_key, erasure),
        )


def erase_list(state: State, list_key: int) -> None:
    """Delete the state of a list."""
    with state.database.transaction() as sql:
        sql.execute(
            "DELETE FROM content WHERE batch_id IN (SELECT id FROM batch WHERE list_id = ?)",
            (list_key,),
        )
        for table in ("batch", "segment", "run", "job"):
            sql.execute(f"DELETE FROM {table} WHERE list_id = ?", (list_key,))  # noqa: S608 - literals
        sql.execute("DELETE FROM list WHERE id = ?", (list_key,))


def _jobs(state: State, list_key: int, condition: LiteralString) -> list[JobRow]:
    """Return the jobs of a list that meet a condition, oldest first."""
    with state.database.reading() as sql:
        rows = sql.execute(
            f"{JOB_QUERY} WHERE list_id = ? AND {condition} ORDER BY id", (list_key,)
        ).fetchall()
        return [to_job(row) for row in rows]


def _remove_keys_of_batch(
    sql: sqlite3.Connection,
    key: int,
    codec: KeyCodec,
    matching: Callable[[KeyCodec, Sequence[bytes]], set[bytes]],
) -> None:
    row = sql.execute("SELECT keys FROM content WHERE batch_id = ?", (key,)).fetchone()
    keys = codec.split(to_blob(row[0])) if row is not None else ()
    matches = matching(codec, keys)
    if not matches:
        return
    left = [item for item in keys if item not in matches]
    if not left:
        sql.execute("DELETE FROM batch WHERE id = ?", (key,))
        return
    sql.execute("UPDATE content SET keys = ? WHERE batch_id = ?", (codec.join(left), key))
    sql.execute(
        "UPDATE batch SET count = ?, low = ?, high = ? WHERE id = ?",
        (len(left), codec.bucket(left[0]), codec.bucket(left[-1]), key),
    )
