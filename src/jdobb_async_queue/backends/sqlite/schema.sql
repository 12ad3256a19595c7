-- Version 1.0 of the database. Instants are milliseconds since the Unix epoch; JSON is text.
-- Every key begins with the namespace: two namespaces share nothing but the file.

CREATE TABLE namespaces (
    ns INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

-- What changes as a job moves. seq is the enqueue order; AUTOINCREMENT never gives one twice.
CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    ns INTEGER NOT NULL,
    id TEXT NOT NULL,
    job_type TEXT NOT NULL,
    status TEXT NOT NULL
        CHECK (status IN ('pending', 'processing', 'complete', 'failed', 'cancelled')),
    priority INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    run_at INTEGER NOT NULL,
    version INTEGER NOT NULL DEFAULT 1,
    error TEXT,
    progress REAL NOT NULL DEFAULT 0,
    message TEXT,
    started_at INTEGER,
    completed_at INTEGER,
    ttl INTEGER,
    start_by INTEGER,
    attempt INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    losses INTEGER NOT NULL DEFAULT 0,
    settings TEXT,
    unique_key TEXT,
    unique_until TEXT NOT NULL DEFAULT 'finished',
    holds_key INTEGER NOT NULL DEFAULT 0,
    worker_id TEXT,
    lease_token TEXT,
    lease_expires_at INTEGER,
    lease INTEGER NOT NULL DEFAULT 0,
    settled TEXT,
    prune_at INTEGER,
    last_seq INTEGER NOT NULL DEFAULT 0,
    trimmed_seq INTEGER NOT NULL DEFAULT 0,
    log_size INTEGER NOT NULL DEFAULT 0,
    request_id TEXT,
    traceparent TEXT
);

CREATE UNIQUE INDEX jobs_by_id ON jobs (ns, id);
-- Newest first: a rowid stands behind the columns of every index.
CREATE INDEX jobs_by_age ON jobs (ns);
CREATE INDEX jobs_by_type ON jobs (ns, job_type);
-- Claims probe each (job type, priority): an index led by priority would wade through other types' jobs.
CREATE INDEX jobs_ready ON jobs (ns, job_type, priority, run_at) WHERE status = 'pending';
CREATE INDEX jobs_leased ON jobs (ns, lease_expires_at) WHERE status = 'processing';
CREATE INDEX jobs_moved ON jobs (ns, status, job_type, coalesce(completed_at, started_at))
    WHERE status <> 'pending';
CREATE INDEX jobs_deadline ON jobs (ns, start_by) WHERE start_by IS NOT NULL;
CREATE INDEX jobs_prunable ON jobs (ns, prune_at) WHERE prune_at IS NOT NULL;
CREATE UNIQUE INDEX jobs_holding_key ON jobs (ns, job_type, unique_key) WHERE holds_key = 1;

-- Large values apart from the jobs, so that a heartbeat or a progress never rewrites them.
CREATE TABLE payloads (
    seq INTEGER PRIMARY KEY,
    data TEXT NOT NULL,
    metadata TEXT NOT NULL
);

CREATE TABLE outcomes (
    seq INTEGER PRIMARY KEY,
    results TEXT,
    errors TEXT
);

-- The update logs of all jobs. One writer at a time: ids become visible in order, so whoever follows
-- them misses none.
CREATE TABLE updates (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    progress REAL NOT NULL,
    at INTEGER NOT NULL,
    message TEXT,
    error TEXT,
    results TEXT
);

CREATE UNIQUE INDEX updates_by_job ON updates (job, seq);

CREATE TABLE job_types (
    ns INTEGER NOT NULL,
    job_type TEXT NOT NULL,
    operator TEXT,
    published TEXT,
    paused INTEGER NOT NULL DEFAULT 0,
    pause_reason TEXT,
    pause_until INTEGER,
    PRIMARY KEY (ns, job_type)
) WITHOUT ROWID;

CREATE TABLE workers (
    ns INTEGER NOT NULL,
    id TEXT NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    slots INTEGER NOT NULL,
    job_types TEXT NOT NULL,
    jobs TEXT NOT NULL,
    stopping TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    last_heartbeat_at INTEGER NOT NULL,
    directive TEXT NOT NULL DEFAULT 'run',
    PRIMARY KEY (ns, id)
) WITHOUT ROWID;

CREATE TABLE idempotency (
    ns INTEGER NOT NULL,
    scope TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    job_id TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (ns, scope, key)
) WITHOUT ROWID;

CREATE INDEX idempotency_by_end ON idempotency (ns, expires_at);

-- How many jobs of each type have each status: kept with every move, never counted.
CREATE TABLE counts (
    ns INTEGER NOT NULL,
    job_type TEXT NOT NULL,
    status TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (ns, job_type, status)
) WITHOUT ROWID;

-- Per minute and job type: how many jobs were enqueued, started, ended how (bucket 0), and how long they
-- waited and ran (figures 'wait' and 'run', by bucket of duration).
CREATE TABLE tallies (
    ns INTEGER NOT NULL,
    minute INTEGER NOT NULL,
    job_type TEXT NOT NULL,
    figure TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (ns, minute, job_type, figure, bucket)
) WITHOUT ROWID;

CREATE TABLE error_tallies (
    ns INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    job_type TEXT NOT NULL,
    kind TEXT NOT NULL,
    n INTEGER NOT NULL,
    last_message TEXT NOT NULL,
    last_job_id TEXT NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (ns, hour, job_type, kind)
) WITHOUT ROWID;
