"""Rows and queries of the state file."""

from __future__ import annotations

import json
import logging
import os
import re
import sqlite3
from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from attrs import frozen

from pinterest_audiences._config import state_file
from pinterest_audiences._file_lock import (
    LockHeldError,
    LockUnsupportedError,
    file_lock,
    is_locked,
)
from pinterest_audiences._jobs.database import Database, real_path, upload_path
from pinterest_audiences._jobs.job_errors import ListBusyError, StateError, disk_error
from pinterest_audiences._jobs.keys import CODECS, KeyCodec
from pinterest_audiences._jobs.reports import JobReport, escaped
from pinterest_audiences._text import counted

if TYPE_CHECKING:
    from pinterest_audiences._http.session import CallMetrics
    from pinterest_audiences._models import JSON, CustomerList
__all__ = [
    "BATCH_QUERY",
    "JOB_QUERY",
    "LIST_QUERY",
    "REMOVALS",
    "RESENDS",
    "Ack",
    "BatchRow",
    "JobRow",
    "ListRow",
    "State",
    "count_batches",
    "is_in_use",
    "list_lock",
    "to_batch",
    "to_blob",
    "to_counts",
    "to_job",
    "to_list",
]

# The sequence numbers of a job's batches: additions start at 0, then come removals, then repeated
# additions of records that the removals may have removed as well.
REMOVALS, RESENDS = 1 << 32, 2 << 32
LIST_QUERY = (
    "SELECT id, service, ad_account_id, customer_list_id, name, origin, version, batches, uploaded,"
    " removed, batch_size, missing FROM list"
)
JOB_QUERY = "SELECT id, list_id, kind, status, version, plan, newest_id FROM job"
BATCH_QUERY = "SELECT id, job_id, seq, operation, form, count, status, sends FROM batch"
# The counts of a job's batches, by attribute of `JobReport`.
_BATCH_COUNTS = {
    "batches": "count(*)",
    "planned": "coalesce(sum(count), 0)",
    "added": "coalesce(sum(count) FILTER (WHERE status = 'acknowledged' AND operation = 'ADD' "
    f"AND seq < {RESENDS}), 0)",
    "resent": "coalesce(sum(count) FILTER (WHERE status = 'acknowledged' "
    f"AND seq >= {RESENDS}), 0)",
    "removed": "coalesce(sum(count) FILTER (WHERE status = 'acknowledged' "
    "AND operation = 'REMOVE'), 0)",
    "left": "coalesce(sum(count) FILTER (WHERE status IN ('planned', 'sending')), 0)",
    "dropped": "coalesce(sum(count) FILTER (WHERE status = 'dropped'), 0)",
    "refused": "coalesce(sum(count) FILTER (WHERE status = 'rejected'), 0)",
    "sent_twice": "coalesce(sum(count) FILTER (WHERE sends > 1), 0)",
}
# The types of the columns of the three queries; a file edited by hand may contain other values.
_Type: TypeAlias = "type | tuple[type, ...]"
_TEXT, _COUNT = (str, type(None)), (int, type(None))
_LIST_TYPES: tuple[_Type, ...] = (int, str, str, _TEXT, _TEXT, str, int, *(_COUNT,) * 4, int)
_JOB_TYPES: tuple[_Type, ...] = (int, int, str, str, int, str, _TEXT)
_BATCH_TYPES: tuple[_Type, ...] = (int, int, int, str, str, int, str, int)
_ORIGINS = frozenset({"created", "foreign", "adopted"})
_KINDS = frozenset({"upload", "mirror", "forget"})
_JOB_STATUSES = frozenset({"draft", "planned", "running", "done", "superseded", "abandoned"})
_OPERATIONS = frozenset({"ADD", "REMOVE"})
_BATCH_STATUSES = frozenset({"planned", "sending", "acknowledged", "dropped", "rejected"})
_LIST_ID = re.compile(r"[0-9]{1,18}")
_MAX_SQLITE_INTEGER = (1 << 63) - 1
Origin = Literal["created", "foreign", "adopted"]
_logger = logging.getLogger("pinterest_audiences")


@frozen
class ListRow:
    """A customer list.

    Attributes:
        key: Its primary key.
        service: The base URL of the API.
        ad_account_id: The ad account.
        customer_list_id: The id at Pinterest; ``None`` until the list is created.
        name: Its name, if known.
        origin: ``created``, ``foreign`` or ``adopted``.
        version: A number that is incremented whenever the membership changes.
        batches: Pinterest's counter of batches, at the last response.
        uploaded: Pinterest's counter of added records, at the last response.
        removed: Pinterest's counter of removed records, at the last response.
        batch_size: The largest batch that was accepted after a larger one was refused.
        missing: How many records were removed outside this tool and not added again.
    """

    key: int
    service: str
    ad_account_id: str
    customer_list_id: str | None
    name: str | None
    origin: str
    version: int = 0
    batches: int | None = None
    uploaded: int | None = None
    removed: int | None = None
    batch_size: int | None = None
    missing: int = 0

    def __str__(self) -> str:
        name = f'"{escaped(self.name)}" ' if self.name else ""
        return f"list {name}{self.customer_list_id or '(not created yet)'}"


@frozen
class JobRow:
    """A job; ``plan`` holds what was decided when it was planned."""

    key: int
    list_key: int
    kind: str
    status: str
    version: int
    plan: dict[str, JSON]
    newest_id: str | None

    @property
    def operation(self) -> str:
        """What the job does: ``upload``, ``remove``, ``mirror`` or ``forget``."""
        return "remove" if self.plan.get("operation") == "REMOVE" else self.kind

    @property
    def source_name(self) -> str | None:
        """The name of its source, if it has one."""
        return _text_in(self.plan.get("source"), "source")


@frozen
class BatchRow:
    """A batch, without its keys.

    ``status`` is ``sending`` until a response is received; ``sends`` is how often Pinterest may
    have applied it.
    """

    key: int
    job_key: int
    seq: int
    operation: str
    codec: KeyCodec
    count: int
    status: str
    sends: int


@frozen
class Ack:
    """The acknowledgement of a batch by Pinterest.

    Attributes:
        batch: The batch.
        customer_list: The list in the response.
        maybe_applied: How many earlier requests of this run may have been applied too.
        costs: Calls, bytes and waits of the batch.
        time: When it was acknowledged, in Unix seconds.
    """

    batch: BatchRow
    customer_list: CustomerList
    maybe_applied: int
    costs: CallMetrics
    time: float


def is_in_use(state: Path, list_key: int) -> bool:
    """Return whether a process works on a list, without its lock, which a job may need just now.

    Args:
        state: The state file.
        list_key: The list's key in it.
    """
    return is_locked(_lock_file(state, list_key))


def _lock_file(state: Path, list_key: int) -> Path:
    state = real_path(state)  # one file has one lock, whatever path leads to it
    return state.with_name(f"{state.name}-{list_key}.lock")


@contextmanager
def list_lock(state: Path, list_key: int, name: str) -> Generator[int | None, None, None]:
    """Hold the lock of a list.

    Args:
        state: The state file.
        list_key: The list's key in it.
        name: What errors call the list.

    Yields:
        The id of the process that ended while it held the lock; None if the last one released it.

    Raises:
        ListBusyError: Another process, or another task of this one, holds it.
        StateError: The lock file cannot be opened or locked.
    """
    path = _lock_file(state, list_key)
    with ExitStack() as stack:
        try:
            previous = stack.enter_context(file_lock(path, timeout=0))
        except LockHeldError as error:
            own = error.pid == os.getpid()
            holder = "another task of this process" if own else "another process"
            raise ListBusyError(
                f"{name}: {holder} (pid {error.pid or 'unknown'}) is working on it; wait until it"
                " has ended, or stop it",
                pid=error.pid,
            ) from None
        except LockUnsupportedError as error:
            raise StateError(
                f"cannot be locked ({error.strerror}); put the state file on a local disk, not on a"
                " network file system",
                path=str(path),
            ) from error
        except OSError as error:
            raise disk_error(error, path) from error
        yield previous


class State:
    """The open state file, restricted to the lists of one service.

    Args:
        path: The path of the file; see `state_file`.
        service: The base URL of the API.

    Raises:
        StateError: The file cannot be used. Every method may raise it too.
    """

    def __init__(self, path: str | os.PathLike[str] | None, service: str) -> None:
        self.database: Database = Database(state_file(path))
        self.service: str = service

    @property
    def path(self) -> Path:
        """The path of the file."""
        return self.database.path

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    @contextmanager
    def locked(self, row: ListRow) -> Generator[None, None, None]:
        """Hold the lock of a list; log a warning if the last holder died."""
        with list_lock(self.path, row.key, str(row)) as died:
            if died is not None:
                _logger.warning("%s: process %d died while working on it", row, died)
            with suppress(OSError):  # of a process that was killed
                upload_path(self.path, row.key).unlink()
            yield

    def lists(self, ad_account_id: str | None = None) -> list[ListRow]:
        """Return the lists of the service, or of one account, oldest first."""
        query, values = f"{LIST_QUERY} WHERE service = ?", [self.service]
        if ad_account_id is not None:
            query, values = f"{query} AND ad_account_id = ?", [*values, ad_account_id]
        with self.database.reading() as sql:
            rows = sql.execute(f"{query} ORDER BY id", values).fetchall()
            return [to_list(row) for row in rows]

    def list_row(self, key: int) -> ListRow:
        """Return a list by its key.

        Raises:
            StateError: The list was erased in the meantime, or its row cannot be read.
        """
        with self.database.reading() as sql:
            row = sql.execute(f"{LIST_QUERY} WHERE id = ?", (key,)).fetchone()
            if row is None:
                raise StateError("the list was erased in the meantime", path=str(self.path))
            return to_list(row)

    def get_or_create_list(
        self, ad_account_id: str, customer_list_id: str | None, name: str | None, origin: Origin
    ) -> ListRow:
        """Return the row of a list, and insert it if there is none.

        Without an id it is a list that a job is going to create, unless another process has
        created a list with that name in the meantime.
        """
        # A name may contain lone surrogates, which SQLite cannot store.
        name = name and name.encode("utf-8", "backslashreplace").decode()
        where = f"{LIST_QUERY} WHERE service = ? AND ad_account_id = ? AND "
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
            return to_list(row)

    def begin_draft(self, row: ListRow, kind: str, now: float) -> int:
        """Insert a draft of a job; delete drafts and plans of the list that were not applied."""
        with self.database.transaction() as sql:
            self._drop_plans(sql, row.key)
            inserted = sql.execute(
                "INSERT INTO job (list_id, kind, status, version, created) VALUES (?, ?, 'draft', "
                "(SELECT version FROM list WHERE id = ?), ?)",
                (row.key, kind, row.key, now),
            )
            return int(inserted.lastrowid or 0)

    def drop_plans(self, row: ListRow) -> None:
        """Delete the plans of a list that were not applied."""
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
        batches: Sequence[tuple[str, KeyCodec, Sequence[bytes]]],
    ) -> None:
        """Add batches to a draft: operation, codec and keys of each."""
        with self.database.transaction() as sql:
            for seq, (operation, codec, keys) in enumerate(batches, first_seq):
                _insert_batch(sql, job_key, list_key, seq, operation, codec, keys)

    def finish_draft(self, job_key: int, status: str, plan: dict[str, JSON] | None = None) -> None:
        """Finish planning; ``status`` is ``planned``, or ``running`` to apply the job at once."""
        with self.database.transaction() as sql:
            sql.execute(
                "UPDATE job SET status = ?, plan = ? WHERE id = ?",
                (status, json.dumps(plan or {}), job_key),
            )

    def job(self, key: int) -> JobRow | None:
        """Return a job by its key."""
        with self.database.reading() as sql:
            row = sql.execute(f"{JOB_QUERY} WHERE id = ?", (key,)).fetchone()
            return None if row is None else to_job(row)

    def jobs(self, list_key: int, status: str | None = None) -> list[JobRow]:
        """Return the jobs of a list without drafts, or those with a status, oldest first."""
        with self.database.reading() as sql:
            rows = sql.execute(
                f"{JOB_QUERY} WHERE list_id = ? AND (status = ? OR ? IS NULL "
                "AND status != 'draft') ORDER BY id",
                (list_key, status, status),
            ).fetchall()
            return [to_job(row) for row in rows]

    def start(self, job: JobRow, audience: dict[str, JSON] | None = None) -> None:
        """Mark a plan as running; a list that it adopts is treated as empty from now on.

        Args:
            job: The planned job.
            audience: What the job stores about the audience that its list gets afterwards.
        """
        with self.database.transaction() as sql:
            sql.execute("UPDATE job SET status = 'running' WHERE id = ?", (job.key,))
            if audience is not None:
                sql.execute(
                    "UPDATE job SET plan = json_set(plan, '$.audience', json(?)) WHERE id = ?",
                    (json.dumps(audience), job.key),
                )
            if job.plan.get("adopts"):
                sql.execute("UPDATE list SET origin = 'adopted' WHERE id = ?", (job.list_key,))

    def set_newest_id(self, job_key: int, newest_id: str) -> None:
        """Store the account's newest list id, before a list is created."""
        with self.database.transaction() as sql:
            sql.execute("UPDATE job SET newest_id = ? WHERE id = ?", (newest_id, job_key))

    def set_customer_list_id(self, list_key: int, customer_list_id: str) -> None:
        """Store the id of a list that was created."""
        with self.database.transaction() as sql:
            sql.execute(
                "UPDATE list SET customer_list_id = ? WHERE id = ?", (customer_list_id, list_key)
            )

    def keys(self, batch: BatchRow) -> bytes:
        """Return the keys of a batch, joined.

        Raises:
            StateError: The number of keys is not the one of the batch, or they cannot be decoded.
        """
        with self.database.reading() as sql:
            query = "SELECT keys FROM content WHERE batch_id = ?"
            (blob,) = sql.execute(query, (batch.key,)).fetchone()
            if len(batch.codec.split(blob)) != batch.count:
                raise ValueError("count")
            if batch.codec.name == "row":
                batch.codec.batch(blob)  # raises if the columns cannot be decoded
            return bytes(blob)

    def pending(self, job_key: int, count: int | None = None) -> list[BatchRow]:
        """Return the next batches that are not acknowledged, or all, in the order of sending."""
        with self.database.reading() as sql:
            rows = sql.execute(
                f"{BATCH_QUERY} WHERE job_id = ? AND status IN ('planned', 'sending') "
                "ORDER BY seq, id DESC LIMIT ?",
                (job_key, -1 if count is None else count),  # -1 means no limit
            ).fetchall()
            return [to_batch(row) for row in rows]

    def unacknowledged(self, job_key: int) -> list[BatchRow]:
        """Return the batches of a job that are not acknowledged, also those that were refused."""
        with self.database.reading() as sql:
            rows = sql.execute(
                f"{BATCH_QUERY} WHERE job_id = ? AND status != 'acknowledged' ORDER BY seq, id",
                (job_key,),
            ).fetchall()
            return [to_batch(row) for row in rows]

    def mark_sending(self, batch: BatchRow) -> None:
        """Mark a batch as sending: from now on Pinterest may have applied it."""
        with self.database.transaction() as sql:
            _mark_sending(sql, batch.key)

    def acknowledge(
        self,
        ack: Ack,
        *,
        following: BatchRow | None,
        rejected: Sequence[BatchRow] = (),
        batch_size: int | None = None,
    ) -> None:
        """Acknowledge a batch, and mark the next one as sending, in one transaction.

        Args:
            ack: The acknowledgement.
            following: The next batch.
            rejected: Batches of single records that Pinterest refused before it accepted this one.
            batch_size: The largest batch that Pinterest accepts, to store for the list.
        """
        batch = ack.batch
        with self.database.transaction() as sql:
            sql.execute(
                "UPDATE batch SET status = 'acknowledged', acknowledged = ?, sends = sends + ? "
                "WHERE id = ?",
                (ack.time, ack.maybe_applied, batch.key),
            )
            (list_key,) = sql.execute(
                "SELECT list_id FROM job WHERE id = ?", (batch.job_key,)
            ).fetchone()
            _set_counters(sql, list_key, ack.customer_list)
            _add_costs(sql, batch.job_key, ack.costs)
            _reject(sql, rejected)
            if batch_size is not None:
                sql.execute("UPDATE list SET batch_size = ? WHERE id = ?", (batch_size, list_key))
            if following is not None:
                _mark_sending(sql, following.key)

    def reject(self, batches: Sequence[BatchRow]) -> None:
        """Mark batches that Pinterest refused; they are not sent again."""
        with self.database.transaction() as sql:
            _reject(sql, batches)

    def partly_acknowledged(self, batch: BatchRow) -> bool:
        """Return whether another part of the batch that was split into this one was accepted."""
        with self.database.reading() as sql:
            (count,) = sql.execute(
                "SELECT count(*) FROM batch WHERE job_id = ? AND seq = ? "
                "AND status = 'acknowledged'",
                (batch.job_key, batch.seq),
            ).fetchone()
        return bool(count)

    def mark_all(self, job_key: int) -> None:
        """Mark all batches that are left of a job as sending."""
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
        """Undo :meth:`mark_all`, because nothing was sent."""
        with self.database.transaction() as sql:
            sql.execute(
                "UPDATE batch SET status = 'planned', sends = sends - 1 "
                "WHERE job_id = ? AND status = 'sending'",
                (job_key,),
            )

    def acknowledge_all(self, job_key: int, costs: CallMetrics, now: float) -> None:
        """Acknowledge all batches of a job that are marked as sending."""
        with self.database.transaction() as sql:
            sql.execute(
                "UPDATE batch SET status = 'acknowledged', acknowledged = ? "
                "WHERE job_id = ? AND status = 'sending'",
                (now, job_key),
            )
            _add_costs(sql, job_key, costs)

    def set_counters(self, list_key: int, customer_list: CustomerList) -> None:
        """Store Pinterest's counters of a list."""
        with self.database.transaction() as sql:
            _set_counters(sql, list_key, customer_list)

    def split(
        self, batch: BatchRow, list_key: int, parts: Sequence[Sequence[bytes]], sends: int
    ) -> None:
        """Replace a batch by smaller ones; ``sends`` is how often each may have been applied."""
        with self.database.transaction() as sql:
            sql.execute("DELETE FROM batch WHERE id = ?", (batch.key,))
            for keys in reversed(parts):  # `pending` returns the last inserted part first
                _insert_batch(
                    sql,
                    batch.job_key,
                    list_key,
                    batch.seq,
                    batch.operation,
                    batch.codec,
                    keys,
                    sends=sends,
                )

    def unmark(self, batch: BatchRow, sends: int) -> None:
        """Mark a batch as planned again, and store how often it may have been applied."""
        with self.database.transaction() as sql:
            sql.execute(
                "UPDATE batch SET status = 'planned', sends = ? WHERE id = ?", (sends, batch.key)
            )

    def finish(self, job_key: int, now: float) -> None:
        """Mark a job as done."""
        with self.database.transaction() as sql:
            sql.execute("UPDATE job SET status = 'done', finished = ? WHERE id = ?", (now, job_key))

    def clear_missing(self, list_key: int) -> None:
        """Reset the number of missing records: a mirror has added its whole source again."""
        with self.database.transaction() as sql:
            sql.execute("UPDATE list SET missing = 0 WHERE id = ?", (list_key,))

    def last_source(self, list_key: int, kind: str, operation: str = "ADD") -> JSON:
        """Return the source report of the last finished job of a kind whose source had no limit."""
        with self.database.reading() as sql:
            row = sql.execute(
                "SELECT json_extract(plan, '$.source') FROM job WHERE list_id = ? AND kind = ? "
                "AND status = 'done' AND coalesce(json_extract(plan, '$.operation'), 'ADD') = ? "
                "AND json_extract(plan, '$.source.limit') IS NULL "
                "ORDER BY id DESC LIMIT 1",
                (list_key, kind, operation),
            ).fetchone()
        source: JSON = json.loads(row[0]) if row is not None and row[0] else None
        return source

    def add_costs(self, job_key: int, costs: CallMetrics) -> None:
        """Add calls, bytes and waits to those of a job."""
        with self.database.transaction() as sql:
            _add_costs(sql, job_key, costs)

    def count_unconfirmed(self, list_key: int) -> tuple[int, int]:
        """Return how many additions and removals Pinterest may have applied unacknowledged."""
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
        """Add a finding to a job, once."""
        with self.database.transaction() as sql:
            (text,) = sql.execute("SELECT findings FROM job WHERE id = ?", (job_key,)).fetchone()
            findings = json.loads(text)
            if finding not in findings:
                sql.execute(
                    "UPDATE job SET findings = ? WHERE id = ?",
                    (json.dumps([*findings, finding]), job_key),
                )

    def count_records(self, job_key: int) -> tuple[int, int]:
        """Return how many records of a job are acknowledged or refused, and how many it has."""
        with self.database.reading() as sql:
            done, total = sql.execute(
                "SELECT coalesce(sum(count) FILTER "
                "(WHERE status IN ('acknowledged', 'rejected')), 0), "
                "coalesce(sum(count), 0) FROM batch WHERE job_id = ?",
                (job_key,),
            ).fetchone()
            done, total = to_counts((done, total))
        return done, total

    def report(self, job_key: int) -> JobReport:
        """Return the report of a job."""
        with self.database.reading() as sql:
            job = sql.execute(
                "SELECT list_id, kind, status, plan, findings, created, finished, budget_seconds, "
                "calls, rate_limited, bytes FROM job WHERE id = ?",
                (job_key,),
            ).fetchone()
            list_key, kind, status, plan, findings, started, finished, budget_seconds, *costs = job
            calls, rate_limited, size = to_counts(costs)
            counts = count_batches(sql, job_key)
            plan_values = to_job((job_key, list_key, kind, status, 0, plan, None)).plan
            row = self.list_row(list_key)
            source = plan_values.get("source")
            audience = plan_values.get("audience")
            audience_id = _text_in(audience, "id")
            rejected = source.get("rejected") if isinstance(source, dict) else 0
            return JobReport(
                job_id=job_key,
                kind=kind,
                status=status,
                ad_account_id=row.ad_account_id,
                customer_list_id=row.customer_list_id,
                name=row.name,
                created=bool(plan_values.get("creates")) and row.customer_list_id is not None,
                calls=calls,
                rate_limited=rate_limited,
                budget_seconds=float(budget_seconds),
                bytes=size,
                source=source,
                findings=(
                    *_texts(plan_values.get("findings", [])),
                    *_texts(json.loads(findings)),
                    *_refused(counts["refused"]),
                ),
                started=float(started),
                finished=None if finished is None else float(finished),
                rejected=rejected if isinstance(rejected, int) else 0,
                audience_id=audience_id,
                audience_status=_text_in(audience, "status"),
                audience_pending=audience is not None
                and audience_id is None
                and status in {"done", "superseded"},
                **counts,
            )


def _text_in(value: JSON, name: str) -> str | None:
    text = value.get(name) if isinstance(value, dict) else None
    return text if isinstance(text, str) else None


def count_batches(sql: sqlite3.Connection, job_key: int) -> dict[str, int]:
    """Return the counts of a job's batches, by attribute of `JobReport`."""
    counts = sql.execute(
        f"SELECT {', '.join(_BATCH_COUNTS.values())} FROM batch WHERE job_id = ?",  # noqa: S608 - literals
        (job_key,),
    ).fetchone()
    return dict(zip(_BATCH_COUNTS, to_counts(counts), strict=True))


def _insert_batch(  # noqa: PLR0917 - the columns of a row
    sql: sqlite3.Connection,
    job_key: int,
    list_key: int,
    seq: int,
    operation: str,
    codec: KeyCodec,
    keys: Sequence[bytes],
    *,
    sends: int = 0,
) -> None:
    buckets = [codec.bucket(key) for key in (keys[0], keys[-1])]  # keys are in bucket order
    inserted = sql.execute(
        "INSERT INTO batch (job_id, list_id, seq, operation, form, count, low, high, status, sends)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'planned', ?)",
        (job_key, list_key, seq, operation, codec.name, len(keys), *buckets, sends),
    )
    sql.execute("INSERT INTO content VALUES (?, ?)", (inserted.lastrowid, codec.join(keys)))


def _reject(sql: sqlite3.Connection, batches: Sequence[BatchRow]) -> None:
    sql.executemany(
        "UPDATE batch SET status = 'rejected' WHERE id = ?", [(batch.key,) for batch in batches]
    )


def _mark_sending(sql: sqlite3.Connection, key: int) -> None:
    sql.execute("UPDATE batch SET status = 'sending', sends = sends + 1 WHERE id = ?", (key,))
    sql.execute(
        "UPDATE list SET version = version + 1 WHERE id = (SELECT list_id FROM batch WHERE id = ?)",
        (key,),
    )


def _add_costs(sql: sqlite3.Connection, job_key: int, costs: CallMetrics) -> None:
    sql.execute(
        "UPDATE job SET calls = calls + ?, rate_limited = rate_limited + ?, "
        "budget_seconds = budget_seconds + ?, bytes = bytes + ? WHERE id = ?",
        (costs.calls, costs.rate_limited, costs.budget_seconds, costs.bytes, job_key),
    )


def _set_counters(sql: sqlite3.Connection, list_key: int, customer_list: CustomerList) -> None:
    sql.execute(
        "UPDATE list SET batches = ?, uploaded = ?, removed = ? WHERE id = ?",
        (
            *map(
                _counter,
                (
                    customer_list.num_batches,
                    customer_list.num_uploaded_user_records,
                    customer_list.num_removed_user_records,
                ),
            ),
            list_key,
        ),
    )


def _counter(value: int | None) -> int | None:
    """Return a counter, or None if SQLite cannot store it."""
    return value if value is not None and 0 <= value <= _MAX_SQLITE_INTEGER else None


def to_list(row: Sequence[object]) -> ListRow:
    """Convert a row of `LIST_QUERY`.

    Raises:
        TypeError: A value has a type that this package does not write.
        ValueError: This package does not write such a value.
    """
    _check(row, _LIST_TYPES)
    _check_word(row[5], _ORIGINS)
    return ListRow(*row)  # type: ignore[arg-type]  # checked


def to_job(row: Sequence[object]) -> JobRow:
    """Convert a row of `JOB_QUERY`.

    Raises:
        TypeError: A value has a type that this package does not write.
        ValueError: This package does not write such a value.
    """
    _check(row, _JOB_TYPES)
    key, list_key, kind, status, version, plan, newest_id = cast(
        "tuple[int, int, str, str, int, str, str | None]", tuple(row)
    )
    _check_word(kind, _KINDS)
    _check_word(status, _JOB_STATUSES)
    plan_values: object = json.loads(plan)
    _check((plan_values,), (dict,))
    if newest_id is not None and not _LIST_ID.fullmatch(newest_id):
        raise ValueError("newest_id")
    return JobRow(
        key, list_key, kind, status, version, cast("dict[str, JSON]", plan_values), newest_id
    )


def to_batch(row: Sequence[object]) -> BatchRow:
    """Convert a row of `BATCH_QUERY`; raises like `to_list`."""
    _check(row, _BATCH_TYPES)
    key, job_key, seq, operation, codec, count, status, sends = cast(
        "tuple[int, int, int, str, str, int, str, int]", tuple(row)
    )
    _check_word(operation, _OPERATIONS)
    _check_word(status, _BATCH_STATUSES)
    return BatchRow(key, job_key, seq, operation, CODECS[codec], count, status, sends)


def to_blob(value: object) -> bytes:
    """Return joined keys.

    Raises:
        TypeError: The value is not bytes.
    """
    if not isinstance(value, bytes):  # `bytes(5)` would be five zeros
        raise TypeError(type(value).__name__)
    return value


def _check(row: Sequence[object], types: Sequence[_Type]) -> None:
    for value, expected in zip(row, types, strict=True):
        if not isinstance(value, expected):
            raise TypeError(type(value).__name__)


def _check_word(value: object, words: frozenset[str]) -> None:
    if value not in words:
        raise ValueError("unknown value")


def to_counts(values: Iterable[object]) -> list[int]:
    """Return stored counts.

    Raises:
        TypeError: A value is not an integer.
    """
    numbers: list[int] = []
    for value in values:
        if not isinstance(value, int):
            raise TypeError(type(value).__name__)
        numbers.append(value)
    return numbers


def _texts(value: object) -> list[str]:
    """Return stored strings; raises like `to_counts`."""
    if not isinstance(value, list):
        raise TypeError(type(value).__name__)
    return [str(item) for item in cast("list[object]", value)]


def _refused(count: int) -> list[str]:
    """Return the finding about refused records."""
    if not count:
        return []
    return [f"Pinterest refused {counted(count, 'record')} individually (400); left out"]
