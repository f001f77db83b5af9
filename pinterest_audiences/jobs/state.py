"""What is known of lists and jobs, row by row."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pinterest_audiences.jobs.database import Database, state_path
from pinterest_audiences.jobs.keys import FORMS, Form
from pinterest_audiences.jobs.locks import list_lock
from pinterest_audiences.jobs.rows import BatchRow, JobRow, ListRow, Receipt

if TYPE_CHECKING:
    from pinterest_audiences._wire.trace import Trace
    from pinterest_audiences.models import JSON, CustomerList

__all__ = ["State"]

_logger = logging.getLogger("pinterest_audiences")

Origin = Literal["created", "foreign", "adopted"]


_LIST = (
    "SELECT id, service, ad_account_id, customer_list_id, name, origin, version, batches, uploaded,"
    " removed FROM list"
)
_JOB = "SELECT id, list_id, kind, status, version, plan, newest_id FROM job"
_BATCH = "SELECT id, job_id, seq, operation, form, count, status, sends FROM batch"


class State:
    """The state file of one service, opened.

    Args:
        path: Where it is; see `state_path`.
        service: The base URL of the API.

    Raises:
        StateError: It cannot be used. Every method raises it too, when the file fails.
    """

    def __init__(self, path: str | os.PathLike[str] | None, service: str) -> None:
        self.database: Database = Database(state_path(path))
        self.service: str = service

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self.database.path

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    @contextmanager
    def locked(self, row: ListRow) -> Generator[None, None, None]:
        """Hold the lock of a list; tells in the log of a process that died while it held it."""
        with list_lock(self.path, row.key, str(row)) as died:
            if died is not None:
                _logger.warning("%s: process %d died while it worked on it", row, died)
            yield

    def lists(self, ad_account_id: str | None = None) -> list[ListRow]:
        """Return the lists of the service, or of one account, oldest first."""
        query, values = f"{_LIST} WHERE service = ?", [self.service]
        if ad_account_id is not None:
            query, values = f"{query} AND ad_account_id = ?", [*values, ad_account_id]
        with self.database.reading() as sql:
            return [ListRow(*row) for row in sql.execute(f"{query} ORDER BY id", values)]

    def list_row(self, key: int) -> ListRow:
        """Return a list by its key."""
        with self.database.reading() as sql:
            return ListRow(*sql.execute(f"{_LIST} WHERE id = ?", (key,)).fetchone())

    def enter_list(
        self, ad_account_id: str, customer_list_id: str | None, name: str | None, origin: Origin
    ) -> ListRow:
        """Return the row of a list, made if there is none; without an id, of a list to be made.

        One to be made may have been made by another process since it was looked for.
        """
        where = f"{_LIST} WHERE service = ? AND ad_account_id = ? AND "
        if customer_list_id is None:
            query, last = where + "name = ? ORDER BY customer_list_id IS NULL, id", name
        else:
            query, last = where + "customer_list_id = ?", customer_list_id
        with self.database.transaction() as sql:
            row = sql.execute(query, (self.service, ad_account_id, last)).fetchone()
            if row is None:
                sql.execute(
                    "INSERT INTO list (service, ad_account_id, customer_list_id, name, origin) "
                    "VALUES (?, ?, ?, ?, ?)",
                    (self.service, ad_account_id, customer_list_id, name, origin),
                )
                row = sql.execute(query, (self.service, ad_account_id, last)).fetchone()
            elif name is not None and row[4] != name:
                sql.execute("UPDATE list SET name = ? WHERE id = ?", (name, row[0]))
            return ListRow(*row)

    def begin_draft(self, row: ListRow, kind: str, now: float) -> int:
        """Begin a plan; drafts and plans of the list that were never applied make room for it."""
        with self.database.transaction() as sql:
            self._drop_plans(sql, row.key)
            done = sql.execute(
                "INSERT INTO job (list_id, kind, status, version, created) VALUES (?, ?, 'draft', "
                "(SELECT version FROM list WHERE id = ?), ?)",
                (row.key, kind, row.key, now),
            )
            return int(done.lastrowid or 0)

    def drop_plans(self, row: ListRow) -> None:
        """Forget plans of a list that were never applied."""
        with self.database.transaction() as sql:
            self._drop_plans(sql, row.key)

    @staticmethod
    def _drop_plans(sql: sqlite3.Connection, list_key: int) -> None:
        sql.execute(
            "DELETE FROM job WHERE list_id = ? AND status IN ('draft', 'planned')", (list_key,)
        )

    def add_batches(
        self,
        job_key: int,
        list_key: int,
        first_seq: int,
        batches: Sequence[tuple[str, Form, Sequence[bytes]]],
    ) -> None:
        """Add batches to a draft: operation, form and keys of each."""
        with self.database.transaction() as sql:
            for seq, (operation, form, keys) in enumerate(batches, first_seq):
                _insert_batch(sql, job_key, list_key, seq, operation, form, keys)

    def finish_draft(self, job_key: int, status: str, plan: dict[str, JSON] | None = None) -> None:
        """End planning; ``status`` is ``planned``, or ``running`` for what is applied at once."""
        with self.database.transaction() as sql:
            sql.execute(
                "UPDATE job SET status = ?, plan = ? WHERE id = ?",
                (status, json.dumps(plan or {}), job_key),
            )

    def job(self, key: int) -> JobRow | None:
        """Return a job by its key."""
        with self.database.reading() as sql:
            row = sql.execute(f"{_JOB} WHERE id = ?", (key,)).fetchone()
        return None if row is None else _job(row)

    def jobs(self, list_key: int, status: str | None = None) -> list[JobRow]:
        """Return the jobs of a list, or those in a status, oldest first; no drafts."""
        with self.database.reading() as sql:
            rows = sql.execute(
                f"{_JOB} WHERE list_id = ? AND (status = ? OR ? IS NULL AND status != 'draft') "
                "ORDER BY id",
                (list_key, status, status),
            ).fetchall()
        return [_job(row) for row in rows]

    def start(self, job: JobRow) -> None:
        """Say that a plan is being applied; a list that it adopts is taken for empty from now."""
        with self.database.transaction() as sql:
            sql.execute("UPDATE job SET status = 'running' WHERE id = ?", (job.key,))
            if job.plan.get("adopts"):
                sql.execute("UPDATE list SET origin = 'adopted' WHERE id = ?", (job.list_key,))

    def supersede(self, list_key: int, kinds: Sequence[str]) -> None:
        """Give up the unfinished jobs of these kinds; what may have been sent stays in doubt."""
        with self.database.transaction() as sql:
            rows = sql.execute(
                "SELECT id FROM job WHERE list_id = ? AND status = 'running' "
                "AND kind IN (SELECT value FROM json_each(?))",
                (list_key, json.dumps(kinds)),
            ).fetchall()
            keys = [key for (key,) in rows]
            for key in keys:
                sql.execute(
                    "UPDATE batch SET status = 'dropped' WHERE job_id = ? "
                    "AND status IN ('planned', 'sending')",
                    (key,),
                )
                sql.execute(  # nobody at Pinterest has them: they must not stay here either
                    "DELETE FROM content WHERE batch_id IN (SELECT id FROM batch "
                    "WHERE job_id = ? AND status = 'dropped' AND sends = 0)",
                    (key,),
                )
                sql.execute("UPDATE job SET status = 'superseded' WHERE id = ?", (key,))
            sql.execute("UPDATE list SET version = version + ? WHERE id = ?", (len(keys), list_key))

    def note_newest(self, job_key: int, newest_id: str) -> None:
        """Keep the newest list of the account, before another is created."""
        with self.database.transaction() as sql:
            sql.execute("UPDATE job SET newest_id = ? WHERE id = ?", (newest_id, job_key))

    def note_created(self, list_key: int, customer_list_id: str) -> None:
        """Keep the id of a list that was created."""
        with self.database.transaction() as sql:
            sql.execute(
                "UPDATE list SET customer_list_id = ? WHERE id = ?", (customer_list_id, list_key)
            )

    def keys(self, batch: BatchRow) -> bytes:
        """Return the keys of a batch, joined."""
        with self.database.reading() as sql:
            query = "SELECT keys FROM content WHERE batch_id = ?"
            (blob,) = sql.execute(query, (batch.key,)).fetchone()
        return bytes(blob)

    def pending(self, job_key: int, count: int = 2) -> list[BatchRow]:
        """Return the next batches that are not acknowledged."""
        with self.database.reading() as sql:
            rows = sql.execute(
                f"{_BATCH} WHERE job_id = ? AND status IN ('planned', 'sending') "
                "ORDER BY seq, id LIMIT ?",
                (job_key, count),
            ).fetchall()
        return [_batch(row) for row in rows]

    def mark_sending(self, batch: BatchRow) -> None:
        """Say that a batch may be at Pinterest from now on."""
        with self.database.transaction() as sql:
            _mark_sending(sql, batch.key)

    def acknowledge(self, receipt: Receipt, *, following: BatchRow | None) -> None:
        """Write the receipt of a batch, and in the same breath that the next is on its way."""
        batch = receipt.batch
        with self.database.transaction() as sql:
            sql.execute(
                "UPDATE batch SET status = 'acknowledged', acknowledged = ?, sends = sends + ? "
                "WHERE id = ?",
                (receipt.time, receipt.repeats, batch.key),
            )
            (list_key,) = sql.execute(
                "SELECT list_id FROM job WHERE id = ?", (batch.job_key,)
            ).fetchone()
            _see_counters(sql, list_key, receipt.seen)
            _add_costs(sql, batch.job_key, receipt.costs)
            if following is not None:
                _mark_sending(sql, following.key)

    def mark_all(self, job_key: int) -> None:
        """Say that everything that is left of a job may be at Pinterest from now on."""
        with self.database.transaction() as sql:
            sql.execute(
                "UPDATE batch SET status = 'sending', sends = sends + 1 "
                "WHERE job_id = ? AND status IN ('planned', 'sending')",
                (job_key,),
            )
            sql.execute(
                "UPDATE list SET version = version + 1 "
                "WHERE id = (SELECT list_id FROM job WHERE id = ?)",
                (job_key,),
            )

    def unmark_all(self, job_key: int) -> None:
        """Take back :meth:`mark_all`: nothing was sent."""
        with self.database.transaction() as sql:
            sql.execute(
                "UPDATE batch SET status = 'planned', sends = sends - 1 "
                "WHERE job_id = ? AND status = 'sending'",
                (job_key,),
            )

    def acknowledge_all(self, job_key: int, costs: Trace, now: float) -> None:
        """Write the receipts of everything that was marked."""
        with self.database.transaction() as sql:
            sql.execute(
                "UPDATE batch SET status = 'acknowledged', acknowledged = ? "
                "WHERE job_id = ? AND status = 'sending'",
                (now, job_key),
            )
            _add_costs(sql, job_key, costs)

    def see_counters(self, list_key: int, seen: CustomerList) -> None:
        """Keep Pinterest's counters of a list."""
        with self.database.transaction() as sql:
            _see_counters(sql, list_key, seen)

    def split(
        self, batch: BatchRow, list_key: int, parts: Sequence[Sequence[bytes]], sends: int
    ) -> None:
        """Put smaller batches in the place of one; what may have been taken stays in doubt."""
        with self.database.transaction() as sql:
            sql.execute("DELETE FROM batch WHERE id = ?", (batch.key,))
            for keys in parts:
                _insert_batch(
                    sql,
                    batch.job_key,
                    list_key,
                    batch.seq,
                    batch.operation,
                    batch.form,
                    keys,
                    sends=sends,
                )

    def unmark(self, batch: BatchRow, sends: int) -> None:
        """Say that a batch is not on its way, and how often it may have been taken."""
        with self.database.transaction() as sql:
            sql.execute(
                "UPDATE batch SET status = 'planned', sends = ? WHERE id = ?", (sends, batch.key)
            )

    def finish(self, job_key: int, now: float) -> None:
        """Say that a job is done."""
        with self.database.transaction() as sql:
            sql.execute("UPDATE job SET status = 'done', finished = ? WHERE id = ?", (now, job_key))

    def add_costs(self, job_key: int, costs: Trace) -> None:
        """Add to what a job has cost."""
        with self.database.transaction() as sql:
            _add_costs(sql, job_key, costs)

    def doubts(self, list_key: int) -> tuple[int, int]:
        """Return how many additions and removals may be at Pinterest without being counted here."""
        with self.database.reading() as sql:
            counts = dict(
                sql.execute(
                    "SELECT operation, sum(count * sends) FROM batch WHERE list_id = ? "
                    "AND NOT folded AND sends > 0 AND status != 'acknowledged' GROUP BY operation",
                    (list_key,),
                ).fetchall()
            )
        return counts.get("ADD", 0), counts.get("REMOVE", 0)

    def add_finding(self, job_key: int, finding: str) -> None:
        """Add something worth knowing to a job, once."""
        with self.database.transaction() as sql:
            (text,) = sql.execute("SELECT findings FROM job WHERE id = ?", (job_key,)).fetchone()
            findings = json.loads(text)
            if finding not in findings:
                sql.execute(
                    "UPDATE job SET findings = ? WHERE id = ?",
                    (json.dumps([*findings, finding]), job_key),
                )


def _job(row: tuple[int, int, str, str, int, str, str | None]) -> JobRow:
    key, list_key, kind, status, version, plan, newest_id = row
    return JobRow(key, list_key, kind, status, version, json.loads(plan), newest_id)


def _batch(row: tuple[int, int, int, str, str, int, str, int]) -> BatchRow:
    key, job_key, seq, operation, form, count, status, sends = row
    return BatchRow(key, job_key, seq, operation, FORMS[form], count, status, sends)


def _insert_batch(  # noqa: PLR0917 - the columns of a row
    sql: sqlite3.Connection,
    job_key: int,
    list_key: int,
    seq: int,
    operation: str,
    form: Form,
    keys: Sequence[bytes],
    *,
    sends: int = 0,
) -> None:
    buckets = [form.bucket(key) for key in (keys[0], keys[-1])]  # they come in order of buckets
    done = sql.execute(
        "INSERT INTO batch (job_id, list_id, seq, operation, form, count, low, high, status, sends)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'planned', ?)",
        (job_key, list_key, seq, operation, form.name, len(keys), *buckets, sends),
    )
    sql.execute("INSERT INTO content VALUES (?, ?)", (done.lastrowid, form.join(keys)))


def _mark_sending(sql: sqlite3.Connection, key: int) -> None:
    sql.execute("UPDATE batch SET status = 'sending', sends = sends + 1 WHERE id = ?", (key,))
    sql.execute(
        "UPDATE list SET version = version + 1 WHERE id = (SELECT list_id FROM batch WHERE id = ?)",
        (key,),
    )


def _add_costs(sql: sqlite3.Connection, job_key: int, costs: Trace) -> None:
    sql.execute(
        "UPDATE job SET calls = calls + ?, rate_limited = rate_limited + ?, "
        "budget_seconds = budget_seconds + ?, bytes = bytes + ? WHERE id = ?",
        (costs.calls, costs.rate_limited, costs.budget_seconds, costs.bytes, job_key),
    )


def _see_counters(sql: sqlite3.Connection, list_key: int, seen: CustomerList) -> None:
    sql.execute(
        "UPDATE list SET batches = ?, uploaded = ?, removed = ? WHERE id = ?",
        (
            seen.num_batches,
            seen.num_uploaded_user_records,
            seen.num_removed_user_records,
            list_key,
        ),
    )
