"""What holds between the tables of a SQLite database whenever nobody writes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

_DEFECTS = {
    "a running job without a lease, or another with one": """
        SELECT id, status FROM jobs
        WHERE (status = 'processing') <> (lease_token IS NOT NULL AND lease_expires_at IS NOT NULL)""",
    "a counter that is not the number of jobs": """
        SELECT ns, job_type, status, sum(n), sum(counted) FROM (
            SELECT ns, job_type, status, n, 0 AS counted FROM counts
            UNION ALL SELECT ns, job_type, status, 0, count(*) FROM jobs GROUP BY ns, job_type, status)
        GROUP BY ns, job_type, status HAVING sum(n) <> sum(counted)""",
    "a terminal job that holds a unique key, or a live one that does not": """
        SELECT id, status FROM jobs WHERE unique_key IS NOT NULL AND unique_until = 'finished'
        AND (status IN ('pending', 'processing')) <> (holds_key = 1)""",
    "a terminal job without its end, or a live one with one": """
        SELECT id, status FROM jobs
        WHERE (status IN ('complete', 'failed', 'cancelled')) <> (completed_at IS NOT NULL)""",
    "a job without its payload, or a payload without its job": """
        SELECT id FROM jobs WHERE seq NOT IN (SELECT seq FROM payloads)
        UNION ALL SELECT seq FROM payloads WHERE seq NOT IN (SELECT seq FROM jobs)""",
    "an outcome or an update without its job": """
        SELECT seq FROM outcomes WHERE seq NOT IN (SELECT seq FROM jobs)
        UNION ALL SELECT job FROM updates WHERE job NOT IN (SELECT seq FROM jobs)""",
    "a log that is not as long as its job says, or does not end with its last update": """
        SELECT jobs.id, log_size, count(updates.seq), last_seq, max(updates.seq)
        FROM jobs LEFT JOIN updates ON updates.job = jobs.seq GROUP BY jobs.seq
        HAVING count(updates.seq) <> log_size
        OR (log_size > 0 AND max(updates.seq) <> last_seq) OR min(updates.seq) <= trimmed_seq""",
    "an idempotency key without its job": """
        SELECT key FROM idempotency WHERE NOT EXISTS
        (SELECT 1 FROM jobs WHERE jobs.ns = idempotency.ns AND jobs.id = idempotency.job_id)""",
}


def defects_of(path: Path) -> list[str]:
    """Return what is wrong with a database that nobody writes; nothing is removed from it in a run."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        found = [str(row[0]) for row in database.execute("PRAGMA integrity_check")]
        defects = [] if found == ["ok"] else found
        for what, query in _DEFECTS.items():
            defects += [f"{what}: {row}" for row in database.execute(query)]
    return defects
