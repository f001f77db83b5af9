"""The figures of jobs and lists, added up from the state."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pinterest_audiences.jobs.report import JobReport, ListStatus
from pinterest_audiences.jobs.snapshot import known_buckets, known_forms, unfolded

if TYPE_CHECKING:
    from pinterest_audiences.jobs.rows import ListRow
    from pinterest_audiences.jobs.state import State

__all__ = ["list_status", "report", "totals"]


def totals(state: State, job_key: int) -> tuple[int, int]:
    """Return how many records of a job are acknowledged, and how many it has."""
    with state.database.reading() as sql:
        done, total = sql.execute(
            "SELECT coalesce(sum(count) FILTER (WHERE status = 'acknowledged'), 0), "
            "coalesce(sum(count), 0) FROM batch WHERE job_id = ?",
            (job_key,),
        ).fetchone()
    return int(done), int(total)


def report(state: State, job_key: int) -> JobReport:
    """Return the report of a job."""
    with state.database.reading() as sql:
        job = sql.execute(
            "SELECT list_id, kind, status, plan, calls, rate_limited, budget_seconds, bytes, "
            "findings FROM job WHERE id = ?",
            (job_key,),
        ).fetchone()
        batches = sql.execute(
            "SELECT count(*), coalesce(sum(count), 0), "
            "coalesce(sum(count) FILTER (WHERE status = 'acknowledged' AND operation = 'ADD'), 0), "
            "coalesce(sum(count) FILTER (WHERE status = 'acknowledged' "
            "AND operation = 'REMOVE'), 0), "
            "coalesce(sum(count) FILTER (WHERE status IN ('planned', 'sending')), 0), "
            "coalesce(sum(count) FILTER (WHERE status = 'dropped'), 0), "
            "coalesce(sum(count) FILTER (WHERE sends > 1), 0) FROM batch WHERE job_id = ?",
            (job_key,),
        ).fetchone()
    list_key, kind, status, plan, calls, rate_limited, budget_seconds, size, findings = job
    number, planned, added, removed, left, dropped, sent_twice = batches
    decided, row = json.loads(plan), state.list_row(list_key)
    return JobReport(
        job_id=job_key,
        kind=kind,
        status=status,
        ad_account_id=row.ad_account_id,
        customer_list_id=row.customer_list_id,
        name=row.name,
        created=bool(decided.get("creates")) and row.customer_list_id is not None,
        planned=planned,
        added=added,
        removed=removed,
        left=left,
        dropped=dropped,
        sent_twice=sent_twice,
        batches=number,
        calls=calls,
        rate_limited=rate_limited,
        budget_seconds=budget_seconds,
        bytes=size,
        source=decided.get("source"),
        findings=(*decided.get("findings", ()), *json.loads(findings)),
    )


def list_status(state: State, row: ListRow) -> ListStatus:
    """Return what is known of a list; counts what has not been folded yet key by key."""
    # Its lock is not held: somebody may be sending, or folding away what is being read.
    with state.database.snapshot() as sql:
        row = state.list_row(row.key)
        jobs = tuple(report(state, job.key) for job in state.jobs(row.key))
        if unfolded(sql, row.key):
            sure = doubtful = 0
            for form in known_forms(sql, row.key):
                for known in known_buckets(sql, row.key, form):
                    sure += len(known.sure)
                    doubtful += len(known.maybe)
        else:
            sure, doubtful = sql.execute(
                "SELECT coalesce(sum(sure_count), 0), coalesce(sum(maybe_count), 0) "
                "FROM segment WHERE list_id = ?",
                (row.key,),
            ).fetchone()
    return ListStatus(
        ad_account_id=row.ad_account_id,
        customer_list_id=row.customer_list_id,
        name=row.name,
        origin=row.origin,
        records=sure,
        in_doubt=doubtful,
        settled=not any(job.status == "running" for job in jobs),
        jobs=jobs,
    )
