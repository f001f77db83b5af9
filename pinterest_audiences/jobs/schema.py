"""The tables of the state file, and how an older file becomes a newer one.

One row of ``list`` for each customer list; a job has batches; a batch that was acknowledged is a
receipt, and ``content`` has its keys. ``segment`` holds what was known of a list when its batches
were last folded into it.
"""

from __future__ import annotations

__all__ = ["APPLICATION_ID", "MIGRATIONS", "VERSION"]

APPLICATION_ID = 0x50415544  # "PAUD": says that the file is ours

_FIRST = """
CREATE TABLE list (
    id INTEGER PRIMARY KEY,
    service TEXT NOT NULL,          -- base URL: the same id elsewhere is another list
    ad_account_id TEXT NOT NULL,
    customer_list_id TEXT,          -- not known before the create has been answered
    name TEXT,
    origin TEXT NOT NULL,           -- created | foreign | adopted
    version INTEGER NOT NULL DEFAULT 0,  -- rises with every change of what is known
    batches INTEGER,                -- Pinterest's counters, as last seen
    uploaded INTEGER,
    removed INTEGER,
    UNIQUE (service, ad_account_id, customer_list_id)
);
CREATE TABLE job (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    list_id INTEGER NOT NULL REFERENCES list (id),
    kind TEXT NOT NULL,             -- upload | mirror | forget
    status TEXT NOT NULL,           -- draft | planned | running | done | superseded
    version INTEGER NOT NULL,       -- the list's, when it was planned
    created REAL NOT NULL,
    finished REAL,
    plan TEXT NOT NULL DEFAULT '{}',
    newest_id TEXT,                 -- of the account's lists before a create was sent
    calls INTEGER NOT NULL DEFAULT 0,
    rate_limited INTEGER NOT NULL DEFAULT 0,
    budget_seconds REAL NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    findings TEXT NOT NULL DEFAULT '[]'
);
CREATE INDEX job_of_list ON job (list_id, status);
CREATE TABLE batch (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    list_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,           -- halves of a batch share it
    operation TEXT NOT NULL,        -- ADD | REMOVE
    form TEXT NOT NULL,             -- sha256 | sha1 | md5 | row
    count INTEGER NOT NULL,
    low INTEGER NOT NULL,           -- its buckets
    high INTEGER NOT NULL,
    status TEXT NOT NULL,           -- planned | sending | acknowledged | dropped
    sends INTEGER NOT NULL DEFAULT 0,
    folded INTEGER NOT NULL DEFAULT 0,
    acknowledged REAL,
    keys BLOB NOT NULL
);
CREATE INDEX batch_of_job ON batch (job_id, status, seq);
CREATE INDEX batch_of_list ON batch (list_id, folded, status);
CREATE TABLE segment (
    id INTEGER PRIMARY KEY,
    list_id INTEGER NOT NULL,
    form TEXT NOT NULL,
    first INTEGER NOT NULL,         -- of its buckets
    last INTEGER NOT NULL,
    sure_count INTEGER NOT NULL,
    maybe_count INTEGER NOT NULL,   -- those that may be at Pinterest, and may not
    maybe BLOB NOT NULL,
    sure BLOB NOT NULL
);
CREATE INDEX segment_of_list ON segment (list_id, form, first);
"""

# Each receipt changes the row of its batch, and SQLite writes a changed row anew, keys and all:
# so the keys are in a table of their own.
_KEYS_APART = """
DROP INDEX batch_of_job;
DROP INDEX batch_of_list;
ALTER TABLE batch RENAME TO batch_with_keys;
CREATE TABLE batch (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    list_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,           -- halves of a batch share it
    operation TEXT NOT NULL,        -- ADD | REMOVE
    form TEXT NOT NULL,             -- sha256 | sha1 | md5 | row
    count INTEGER NOT NULL,
    low INTEGER NOT NULL,           -- its buckets
    high INTEGER NOT NULL,
    status TEXT NOT NULL,           -- planned | sending | acknowledged | dropped
    sends INTEGER NOT NULL DEFAULT 0,
    folded INTEGER NOT NULL DEFAULT 0,
    acknowledged REAL
);
INSERT INTO batch SELECT id, job_id, list_id, seq, operation, form, count, low, high, status, sends,
    folded, acknowledged FROM batch_with_keys;
CREATE TABLE content (              -- of a batch, until it is folded
    batch_id INTEGER PRIMARY KEY REFERENCES batch (id) ON DELETE CASCADE,
    keys BLOB NOT NULL
);
INSERT INTO content SELECT id, keys FROM batch_with_keys WHERE NOT folded;
DROP TABLE batch_with_keys;
CREATE INDEX batch_of_job ON batch (job_id);
CREATE INDEX batch_to_send ON batch (job_id, seq, id) WHERE status IN ('planned', 'sending');
CREATE INDEX batch_of_list ON batch (list_id, folded, status);
"""

MIGRATIONS = (_FIRST, _KEYS_APART)
"""Each brings a file from the version before to the next."""

VERSION = len(MIGRATIONS)
