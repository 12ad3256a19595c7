"""What holds between the rows of an SQLite file whenever no call is under way.

Everything that can be told from the jobs themselves (counters, holders of keys, figures) is told from them
anew and compared as a whole, so that neither what is missing nor what was left behind passes.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from contextlib import closing
from pathlib import Path
from typing import Any

from jdobb_async_queue.backends.base import UPDATES_KEPT
from jdobb_async_queue.backends.sqlite import SQLiteBackend
from jdobb_async_queue.clock import Clock
from jdobb_async_queue.models import JobTypeStats

Row = dict[str, Any]

LIVE, TERMINAL = frozenset({"pending", "processing"}), frozenset({"complete", "failed", "cancelled"})
ERRORS_KEPT = 20
_PARTS = {"payloads": "seq", "outcomes": "seq", "updates": "job"}
"""The tables whose rows belong to a job, and the column that says to which."""
_OF_NAMESPACES = ("jobs", "job_types", "workers", "idempotency", "counts", "tallies", "error_tallies")
_ONLY_IN = {
    "lease_token": {"processing"},
    "lease_expires_at": {"processing"},
    "start_by": {"pending"},
    "completed_at": TERMINAL,
    "prune_at": TERMINAL,
}
"""Columns that are empty in any other status."""


async def check_file(file: Path, clock: Clock) -> None:
    """Check a file, and that a backend counts what is there."""
    rows = Rows(file)
    rows.check()
    for ns, name in rows.namespaces.items():
        backend = SQLiteBackend(f"sqlite:///{file}", namespace=name, clock=clock)
        await backend.open()
        try:
            assert await backend.counts() == rows.counts(ns)
            assert await backend.stats() == rows.stats(ns, backend.now())
        finally:
            await backend.close()


class Rows:
    """All rows of a file as they are at one time."""

    def __init__(self, file: Path) -> None:
        with closing(sqlite3.connect(file)) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("BEGIN")
            self.damage = [row[0] for row in connection.execute("PRAGMA integrity_check")]
            self.tables: dict[str, list[Row]] = {
                table: [dict(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY 1")]  # noqa: S608 - our own names
                for table in ("namespaces", *_OF_NAMESPACES, *_PARTS, "sqlite_sequence")
            }
        self.namespaces: dict[int, str] = {row["ns"]: row["name"] for row in self.tables["namespaces"]}
        self.jobs: dict[int, Row] = {row["seq"]: row for row in self.tables["jobs"]}
        self.outcomes: dict[int, Row] = {row["seq"]: row for row in self.tables["outcomes"]}

    def check(self) -> None:
        """Assert all that holds."""
        assert self.damage == ["ok"]
        self.check_what_belongs_to_what()
        for job in self.jobs.values():
            check_job(job)
            self.check_outcome(job)
        self.check_logs()
        self.check_unique_keys()
        self.check_counters()

    def check_what_belongs_to_what(self) -> None:
        """Each job has its payload, and nothing belongs to a job or a namespace that is not there."""
        for table, column in _PARTS.items():
            assert {row[column] for row in self.tables[table]} <= set(self.jobs), table
        assert {row["seq"] for row in self.tables["payloads"]} == set(self.jobs)
        for table in _OF_NAMESPACES:
            assert {row["ns"] for row in self.tables[table]} <= set(self.namespaces), table

    def check_outcome(self, job: Row) -> None:
        """Only a complete job has results, and only one that met an error has errors, not too many."""
        outcome = self.outcomes.get(job["seq"], {"results": None, "errors": None})
        errors = json.loads(outcome["errors"] or "[]")
        assert outcome["results"] is None or job["status"] == "complete", job
        assert len(errors) <= ERRORS_KEPT, job
        assert len(errors) >= min(ERRORS_KEPT, job["failures"] + job["losses"]), job

    def check_logs(self) -> None:
        """Each log grows, is as long as its job says, ends with the latest update, lacks what was trimmed."""
        logs: dict[int, list[int]] = defaultdict(list)
        for row in self.tables["updates"]:
            logs[row["job"]].append(row["seq"])
        for seq, job in self.jobs.items():
            log = logs[seq]
            assert log == sorted(set(log)), job
            assert len(log) == job["log_size"] <= UPDATES_KEPT, job
            assert (log[-1] if log else 0) == job["last_seq"], job
            assert not log or log[0] > job["trimmed_seq"], job

    def check_unique_keys(self) -> None:
        """Each unique key is held by one job at most."""
        held = Counter((job["ns"], job["job_type"], job["unique_key"]) for job in self.holders())
        assert [key for key, count in held.items() if count > 1] == []

    def check_counters(self) -> None:
        """The counters are what counting gives, and no number of a job is given twice."""
        kept = {(row["ns"], row["job_type"], row["status"]): row["n"] for row in self.tables["counts"]}
        counted = Counter((job["ns"], job["job_type"], job["status"]) for job in self.jobs.values())
        assert {key: n for key, n in kept.items() if n} == dict(counted)
        given = {row["name"]: row["seq"] for row in self.tables["sqlite_sequence"]}
        assert max(self.jobs, default=0) <= given.get("jobs", 0)
        assert max((row["id"] for row in self.tables["updates"]), default=0) <= given.get("updates", 0)

    def holders(self) -> list[Row]:
        """Return the jobs that hold their unique key."""
        return [job for job in self.jobs.values() if job["holds_key"]]

    # -- figures ---------------------------------------------------------------------------------------

    def counts(self, ns: int) -> dict[str, dict[str, int]]:
        """Return what ``counts()`` has to say, counted job by job."""
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for job in self.of(ns):
            found[job["job_type"]][job["status"]] += 1
        return {job_type: dict(counter) for job_type, counter in found.items()}

    def stats(self, ns: int, now: int) -> dict[str, JobTypeStats]:
        """Return what ``stats()`` has to say, counted job by job."""
        live = [job for job in self.of(ns) if job["status"] in LIVE]
        return {
            job_type: _stats([job for job in live if job["job_type"] == job_type], now)
            for job_type in {job["job_type"] for job in live}
        }

    def of(self, ns: int) -> list[Row]:
        """Return the jobs of a namespace."""
        return [job for job in self.jobs.values() if job["ns"] == ns]


def check_job(job: Row) -> None:
    """Assert that a job has what its status asks for, and nothing of another."""
    status = job["status"]
    for column, statuses in _ONLY_IN.items():
        assert job[column] is None or status in statuses, (column, job)
    if status == "processing":
        assert job["lease_token"], job
        assert job["lease_expires_at"] >= job["started_at"] + job["lease"] > job["started_at"], job
        assert job["attempt"] >= 1, job
    if status in TERMINAL:
        assert job["completed_at"] is not None, job
    assert (job["progress"] == 1.0) or status != "complete", job
    assert (job["started_at"] is None) == (job["attempt"] == 0), job
    if status == "pending" and job["attempt"] == 0:
        assert (job["start_by"] is None) == (job["ttl"] is None), job
    assert job["start_by"] is None or job["ttl"] is not None, job
    if job["unique_key"] is None or status in TERMINAL:
        assert not job["holds_key"], job
    elif job["unique_until"] == "finished":
        assert job["holds_key"], job


def _stats(live: list[Row], now: int) -> JobTypeStats:
    pending = [job["run_at"] for job in live if job["status"] == "pending"]
    ready = [run_at for run_at in pending if run_at <= now]
    return JobTypeStats(
        ready=len(ready),
        running=len(live) - len(pending),
        delayed=len(pending) - len(ready),
        oldest_ready_age=(now - min(ready)) / 1000 if ready else None,
    )
