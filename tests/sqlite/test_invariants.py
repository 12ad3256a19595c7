"""The check of a file's rows finds what is wrong with them."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from jdobb_async_queue import Broadcaster, JobQueue
from tests.support.clock import ManualClock
from tests.support.jobs import STATES, make_in_state
from tests.support.sqlite_invariants import Rows, check_file


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a job in each state, some with unique keys, logs and errors."""
    file = tmp_path_factory.mktemp("original") / "jobs.db"
    asyncio.run(fill(file))
    return file


@pytest.fixture
def filled(original: Path, tmp_path: Path) -> Path:
    """Return a copy of it."""
    return Path(shutil.copy(original, tmp_path))


async def fill(file: Path) -> None:
    queue = JobQueue("sqlite", url=f"sqlite:///{file}")
    for state in STATES:
        await make_in_state(queue, state, state, unique_key="k", max_attempts=2)
    for number in range(3):
        job_id = await queue.enqueue("logged", ttl=60 if number else None)
        await Broadcaster(queue).send(job_id, message="one")
        await Broadcaster(queue).send(job_id, message="two")
    await queue.enqueue("failing", max_attempts=2)
    await queue.fail((await queue.claim(["failing"])).id, "boom")
    await queue.close()


async def test_a_sound_file_passes(filled):
    await check_file(filled, ManualClock())


DAMAGES = {
    "a counter too high": "UPDATE counts SET n = n + 1 WHERE job_type = 'failed' AND status = 'failed'",
    "a counter that is missing": "DELETE FROM counts WHERE status = 'pending'",
    "a counter of nothing": "INSERT INTO counts VALUES (1, 'x', 'pending', 1)",
    "a job without its payload": "DELETE FROM payloads WHERE seq = 1",
    "a payload without its job": "INSERT INTO payloads VALUES (99, '{}', '{}')",
    "results without their job": "INSERT INTO outcomes VALUES (99, '{}', NULL)",
    "updates without their job": "UPDATE updates SET job = 99 WHERE job = 8",
    "results of a job that is not complete": "INSERT INTO outcomes VALUES (1, '{}', NULL)",
    "a failure without its error": "DELETE FROM outcomes WHERE errors IS NOT NULL",
    "an update that is missing": "DELETE FROM updates WHERE id = (SELECT max(id) FROM updates)",
    "an update too many": "INSERT INTO updates (job, seq, kind, status, attempt, progress, at) "
    "VALUES (8, 1, 'log', 'pending', 0, 0, 0)",
    "updates that were trimmed and are there": "UPDATE jobs SET trimmed_seq = last_seq "
    "WHERE job_type = 'logged'",
    "a latest update that is none": "UPDATE jobs SET last_seq = last_seq + 1 WHERE job_type = 'logged'",
    "a lease of a pending job": "UPDATE jobs SET lease_token = 't' WHERE job_type = 'pending'",
    "an end of a lease of a complete job": "UPDATE jobs SET lease_expires_at = 1 WHERE job_type = 'complete'",
    "a processing job without a lease": "UPDATE jobs SET lease_token = NULL WHERE job_type = 'processing'",
    "a lease shorter than it is": "UPDATE jobs SET lease_expires_at = started_at "
    "WHERE job_type = 'processing'",
    "an end of a live job": "UPDATE jobs SET completed_at = 1 WHERE job_type = 'processing'",
    "no end of a terminal job": "UPDATE jobs SET completed_at = NULL WHERE job_type = 'cancelled'",
    "half a complete job": "UPDATE jobs SET progress = 0.5 WHERE job_type = 'complete'",
    "a deadline of a complete job": "UPDATE jobs SET start_by = 1 WHERE job_type = 'complete'",
    "a ttl without its deadline": "UPDATE jobs SET start_by = NULL WHERE ttl IS NOT NULL",
    "a deadline without a ttl": "UPDATE jobs SET ttl = NULL WHERE start_by IS NOT NULL",
    "a start without an attempt": "UPDATE jobs SET attempt = 0 WHERE job_type = 'complete'",
    "a unique key held by a complete job": "UPDATE jobs SET holds_key = 1 WHERE job_type = 'complete'",
    "a unique key that its live job does not hold": "UPDATE jobs SET holds_key = 0 "
    "WHERE job_type = 'pending'",
    "a job of an unknown namespace": "UPDATE jobs SET ns = 9 WHERE job_type = 'pending'",
    "a job type of an unknown namespace": "INSERT INTO job_types (ns, job_type) VALUES (9, 'x')",
    "a number that could be given again": "UPDATE sqlite_sequence SET seq = 1 WHERE name = 'jobs'",
    "a prunable live job": "UPDATE jobs SET prune_at = 1 WHERE job_type = 'delayed'",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_damage_is_found(filled, damage):
    with closing(sqlite3.connect(filled)) as connection, connection:
        assert connection.execute(damage).rowcount > 0

    with pytest.raises(AssertionError):
        Rows(filled).check()


async def test_a_key_with_two_holders_is_found(filled):
    with closing(sqlite3.connect(filled)) as connection, connection:
        connection.execute("DROP INDEX jobs_holding_key")
        connection.execute("UPDATE jobs SET job_type = 'pending' WHERE job_type = 'delayed'")

    with pytest.raises(AssertionError):
        Rows(filled).check_unique_keys()
