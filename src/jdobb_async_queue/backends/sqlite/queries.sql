-- Every statement, by name. {job} and {jobs} stand for the parts of the same name at the top.

-- part: job
j.id, j.job_type, j.status, j.priority, CAST(p.data AS BLOB), CAST(p.metadata AS BLOB),
j.created_at, j.updated_at, j.run_at, j.seq, j.version, CAST(o.results AS BLOB), j.error,
CAST(o.errors AS BLOB), j.progress, j.message, j.started_at, j.completed_at, j.ttl, j.start_by,
j.attempt, j.failures, j.losses, CAST(j.settings AS BLOB), j.unique_key, j.unique_until, j.holds_key,
j.worker_id, j.lease_token, j.lease_expires_at, j.lease, j.settled, j.prune_at, j.last_seq,
j.trimmed_seq, j.request_id, j.traceparent, j.log_size

-- part: jobs
jobs AS j JOIN payloads AS p ON p.seq = j.seq LEFT JOIN outcomes AS o ON o.seq = j.seq

-- Reading one job --------------------------------------------------------------------------------

-- name: job_by_id
SELECT {job} FROM {jobs} WHERE j.ns = ? AND j.id = ?

-- name: jobs_by_id
SELECT {job} FROM json_each(?) AS wanted CROSS JOIN {jobs} WHERE j.ns = ? AND j.id = wanted.value

-- name: jobs_by_seq
SELECT {job} FROM json_each(?) AS wanted JOIN {jobs} WHERE j.seq = wanted.value

-- name: updates_after
SELECT seq, kind, status, attempt, progress, at, message, error, CAST(results AS BLOB)
FROM updates WHERE job = ? AND seq > ? ORDER BY seq LIMIT ?

-- Storing ----------------------------------------------------------------------------------------

-- name: key_holder
SELECT id FROM jobs WHERE ns = ? AND job_type = ? AND unique_key = ? AND holds_key = 1

-- name: insert_job
INSERT INTO jobs (
    ns, id, job_type, status, priority, created_at, updated_at, run_at, ttl, start_by, settings,
    unique_key, unique_until, holds_key, request_id, traceparent
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, CAST(? AS TEXT), ?, ?, ?, ?, ?)

-- name: insert_payload
INSERT INTO payloads (seq, data, metadata) VALUES (?, CAST(? AS TEXT), CAST(? AS TEXT))

-- name: replace_job
UPDATE jobs SET
    priority = ?, updated_at = ?, run_at = ?, version = ?, error = ?, progress = ?, message = ?,
    started_at = ?, ttl = ?, start_by = ?, settings = CAST(? AS TEXT), unique_until = ?, worker_id = ?,
    lease = ?, request_id = ?, traceparent = ?
WHERE seq = ?

-- name: replace_payload
UPDATE payloads SET data = CAST(? AS TEXT), metadata = CAST(? AS TEXT) WHERE seq = ?

-- name: idempotency_key
SELECT fingerprint, job_id FROM idempotency WHERE ns = ? AND scope = ? AND key = ? AND expires_at > ?

-- name: bind_idempotency_key
INSERT INTO idempotency (ns, scope, key, fingerprint, job_id, expires_at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (ns, scope, key) DO UPDATE SET
    fingerprint = excluded.fingerprint, job_id = excluded.job_id, expires_at = excluded.expires_at

-- Claiming ---------------------------------------------------------------------------------------

-- name: best_ready
-- One look per priority and job type; once there are enough jobs, lower priorities are not looked at. The
-- text is the same for any number of types, so that it is planned once.
SELECT {job} FROM (
    SELECT seq FROM (
        SELECT c.seq FROM json_each(:types) AS t CROSS JOIN jobs AS c ON c.seq IN (
            SELECT seq FROM jobs
            WHERE status = 'pending' AND ns = :ns AND job_type = t.value AND priority = 10 AND run_at <= :now
            ORDER BY run_at, seq LIMIT :limit
        ) ORDER BY c.run_at, c.seq LIMIT :limit
    )
    UNION ALL
    SELECT seq FROM (
        SELECT c.seq FROM json_each(:types) AS t CROSS JOIN jobs AS c ON c.seq IN (
            SELECT seq FROM jobs
            WHERE status = 'pending' AND ns = :ns AND job_type = t.value AND priority = 5 AND run_at <= :now
            ORDER BY run_at, seq LIMIT :limit
        ) ORDER BY c.run_at, c.seq LIMIT :limit
    )
    UNION ALL
    SELECT seq FROM (
        SELECT c.seq FROM json_each(:types) AS t CROSS JOIN jobs AS c ON c.seq IN (
            SELECT seq FROM jobs
            WHERE status = 'pending' AND ns = :ns AND job_type = t.value AND priority = 1 AND run_at <= :now
            ORDER BY run_at, seq LIMIT :limit
        ) ORDER BY c.run_at, c.seq LIMIT :limit
    )
    LIMIT :limit
) AS best CROSS JOIN {jobs} WHERE j.seq = best.seq ORDER BY j.priority DESC, j.run_at, j.seq

-- name: pending_types
-- Hops from one job type to the next along the index instead of reading every pending job.
WITH RECURSIVE pending (job_type) AS (
    SELECT (SELECT min(job_type) FROM jobs WHERE status = 'pending' AND ns = :ns)
    UNION ALL
    SELECT (SELECT min(job_type) FROM jobs
            WHERE status = 'pending' AND ns = :ns AND job_type > pending.job_type)
    FROM pending WHERE pending.job_type IS NOT NULL
)
SELECT job_type FROM pending WHERE job_type IS NOT NULL

-- name: expired_leases
SELECT {job} FROM {jobs}
WHERE j.status = 'processing' AND j.ns = ? AND j.lease_expires_at <= ?
ORDER BY j.lease_expires_at, j.seq LIMIT ?

-- name: missed_deadlines
SELECT {job} FROM {jobs}
WHERE j.start_by IS NOT NULL AND j.ns = ? AND j.start_by <= ?
ORDER BY j.start_by, j.seq LIMIT ?

-- Moving -----------------------------------------------------------------------------------------

-- name: start_job
UPDATE jobs SET
    status = ?, updated_at = ?, version = ?, error = ?, progress = ?, message = ?, started_at = ?,
    start_by = ?, attempt = ?, holds_key = ?, worker_id = ?, lease_token = ?, lease_expires_at = ?,
    lease = ?, last_seq = ?, trimmed_seq = ?, log_size = ?
WHERE seq = ?

-- name: move_job
UPDATE jobs SET
    status = ?, updated_at = ?, run_at = ?, version = ?, error = ?, progress = ?, message = ?,
    completed_at = ?, start_by = ?, failures = ?, losses = ?, holds_key = ?, lease_token = ?,
    lease_expires_at = ?, settled = ?, prune_at = ?, last_seq = ?, trimmed_seq = ?, log_size = ?
WHERE seq = ?

-- name: report_job
UPDATE jobs SET
    updated_at = ?, version = ?, progress = ?, message = ?, lease_expires_at = ?, last_seq = ?,
    trimmed_seq = ?, log_size = ?
WHERE seq = ?

-- name: renew_lease
UPDATE jobs SET lease_expires_at = ? WHERE seq = ?

-- name: lease
SELECT seq, status, settled, lease_token, lease_expires_at, lease FROM jobs WHERE ns = ? AND id = ?

-- name: put_outcome
INSERT INTO outcomes (seq, results, errors) VALUES (?, CAST(? AS TEXT), CAST(? AS TEXT))
ON CONFLICT (seq) DO UPDATE SET results = excluded.results, errors = excluded.errors

-- name: insert_update
INSERT INTO updates (job, seq, kind, status, attempt, progress, at, message, error, results)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, CAST(? AS TEXT))

-- name: oldest_updates
SELECT id, seq FROM updates WHERE job = ? ORDER BY seq LIMIT ?

-- name: delete_update
DELETE FROM updates WHERE id = ?

-- name: add_count
INSERT INTO counts (ns, job_type, status, n) VALUES (?, ?, ?, ?)
ON CONFLICT (ns, job_type, status) DO UPDATE SET n = n + excluded.n

-- name: count
SELECT n FROM counts WHERE ns = ? AND job_type = ? AND status = ?

-- name: add_tally
INSERT INTO tallies (ns, minute, job_type, figure, bucket, n) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (ns, minute, job_type, figure, bucket) DO UPDATE SET n = n + excluded.n

-- name: add_error_tally
INSERT INTO error_tallies (ns, hour, job_type, kind, n, last_message, last_job_id, last_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (ns, hour, job_type, kind) DO UPDATE SET
    n = n + excluded.n, last_message = excluded.last_message, last_job_id = excluded.last_job_id,
    last_at = excluded.last_at

-- Removing ---------------------------------------------------------------------------------------

-- name: removable
SELECT seq, job_type, status FROM jobs WHERE ns = ? AND id = ?

-- name: prunable
SELECT seq, id, job_type, status FROM jobs
WHERE prune_at IS NOT NULL AND ns = ? AND prune_at <= ? ORDER BY prune_at, seq LIMIT ?

-- name: delete_job
DELETE FROM jobs WHERE seq = ?

-- name: delete_payload
DELETE FROM payloads WHERE seq = ?

-- name: delete_outcome
DELETE FROM outcomes WHERE seq = ?

-- name: delete_updates
DELETE FROM updates WHERE job = ?

-- name: forget_idempotency_keys
DELETE FROM idempotency WHERE ns = :ns AND (scope, key) IN (
    SELECT scope, key FROM idempotency WHERE ns = :ns AND expires_at <= :now LIMIT :limit
)

-- name: forget_workers
DELETE FROM workers WHERE ns = ? AND last_heartbeat_at < ?

-- name: forget_tallies
DELETE FROM tallies WHERE ns = :ns AND (minute, job_type, figure, bucket) IN (
    SELECT minute, job_type, figure, bucket FROM tallies WHERE ns = :ns AND minute < :before LIMIT :limit
)

-- name: forget_error_tallies
DELETE FROM error_tallies WHERE ns = :ns AND (hour, job_type, kind) IN (
    SELECT hour, job_type, kind FROM error_tallies WHERE ns = :ns AND hour < :before LIMIT :limit
)

-- name: forget_counts
DELETE FROM counts WHERE ns = ? AND n = 0

-- Lists ------------------------------------------------------------------------------------------
-- A first pass reads only what the list is sorted and filtered by: seq, status, job_type, priority,
-- created_at, run_at, started_at, completed_at.

-- part: candidate
seq, status, job_type, priority, created_at, run_at, started_at, completed_at

-- name: newest
SELECT {candidate} FROM jobs WHERE ns = :ns AND seq < :before ORDER BY seq DESC LIMIT :limit

-- name: newest_of_type
SELECT {candidate} FROM jobs
WHERE ns = :ns AND job_type = :job_type AND seq < :before ORDER BY seq DESC LIMIT :limit

-- name: pending_in_order
SELECT {candidate} FROM jobs
WHERE status = 'pending' AND ns = :ns AND job_type = :job_type AND priority = :priority
    AND run_at >= :run_at AND (run_at > :run_at OR seq > :seq)
ORDER BY run_at, seq LIMIT :limit

-- name: latest_moved
SELECT {candidate} FROM jobs
WHERE status <> 'pending' AND ns = :ns AND status = :status AND job_type = :job_type
    AND coalesce(completed_at, started_at) <= :moved_at
    AND (coalesce(completed_at, started_at) < :moved_at OR seq < :seq)
ORDER BY coalesce(completed_at, started_at) DESC, seq DESC LIMIT :limit

-- name: metadata
SELECT CAST(metadata AS BLOB) FROM payloads WHERE seq = ?

-- Figures ----------------------------------------------------------------------------------------

-- name: counts
SELECT job_type, status, n FROM counts WHERE ns = ? AND n <> 0 ORDER BY job_type, status

-- name: types_with_status
SELECT job_type FROM counts WHERE ns = ? AND status = ? AND n <> 0 ORDER BY job_type

-- name: delayed
SELECT
    (SELECT count(*) FROM jobs WHERE status = 'pending' AND ns = :ns AND job_type = :job_type
        AND priority = 10 AND run_at > :now)
    + (SELECT count(*) FROM jobs WHERE status = 'pending' AND ns = :ns AND job_type = :job_type
        AND priority = 5 AND run_at > :now)
    + (SELECT count(*) FROM jobs WHERE status = 'pending' AND ns = :ns AND job_type = :job_type
        AND priority = 1 AND run_at > :now)

-- name: first_run_at
SELECT min(run_at) FROM jobs WHERE status = 'pending' AND ns = ? AND job_type = ? AND priority = ?

-- name: next_run_at
SELECT run_at FROM jobs
WHERE status = 'pending' AND ns = ? AND job_type = ? AND priority = ? AND run_at > ?
ORDER BY run_at LIMIT 1

-- name: next_lease_end
SELECT min(lease_expires_at) FROM jobs WHERE status = 'processing' AND ns = ?

-- name: next_deadline
SELECT min(start_by) FROM jobs WHERE start_by IS NOT NULL AND ns = ?

-- name: tallies
SELECT minute, job_type, figure, bucket, n FROM tallies WHERE ns = ? AND minute > ?
ORDER BY minute, job_type

-- name: error_kinds
SELECT count(*), count(CASE WHEN job_type = ? AND kind = ? THEN 1 END)
FROM error_tallies WHERE ns = ? AND hour = ?

-- name: error_tallies
SELECT job_type, kind, n, last_message, last_job_id, last_at
FROM error_tallies WHERE ns = ? AND hour > ?

-- Job types --------------------------------------------------------------------------------------

-- name: job_type
SELECT job_type, CAST(operator AS BLOB), CAST(published AS BLOB), paused, pause_reason, pause_until
FROM job_types WHERE ns = ? AND job_type = ?

-- name: job_types
SELECT job_type, CAST(operator AS BLOB), CAST(published AS BLOB), paused, pause_reason, pause_until
FROM job_types WHERE ns = ? ORDER BY job_type

-- name: put_job_type
INSERT INTO job_types (ns, job_type, operator, published, paused, pause_reason, pause_until)
VALUES (?, ?, CAST(? AS TEXT), CAST(? AS TEXT), ?, ?, ?)
ON CONFLICT (ns, job_type) DO UPDATE SET
    operator = excluded.operator, published = excluded.published, paused = excluded.paused,
    pause_reason = excluded.pause_reason, pause_until = excluded.pause_until

-- name: paused_types
SELECT job_type FROM job_types
WHERE ns = ? AND paused = 1 AND (pause_until IS NULL OR pause_until > ?)

-- Workers ----------------------------------------------------------------------------------------

-- part: entry
id, host, pid, slots, job_types, jobs, stopping, started_at, last_heartbeat_at, directive

-- name: put_worker
INSERT OR REPLACE INTO workers (ns, {entry}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: worker
SELECT {entry} FROM workers WHERE ns = ? AND id = ?

-- name: workers
SELECT {entry} FROM workers WHERE ns = ? ORDER BY started_at DESC, id

-- name: set_directive
UPDATE workers SET directive = ? WHERE ns = ? AND id = ?

-- name: remove_worker
DELETE FROM workers WHERE ns = ? AND id = ?

-- Following the updates of other processes -------------------------------------------------------

-- name: last_update
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'updates'), 0)

-- name: updates_since
SELECT u.id, j.id, u.kind, u.status FROM updates AS u JOIN jobs AS j ON j.seq = u.job
WHERE u.id > ? AND j.ns = ? ORDER BY u.id LIMIT ?

-- Namespaces -------------------------------------------------------------------------------------

-- name: namespace
SELECT ns FROM namespaces WHERE name = ?

-- name: insert_namespace
INSERT INTO namespaces (name) VALUES (?)

-- name: touch
UPDATE namespaces SET name = name WHERE ns = ?
