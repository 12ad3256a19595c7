"""Claims that meet very much at once: one call of a script stays whole, and stays short."""

from __future__ import annotations

import pytest

from jdobb_async_queue import JobPriority, NewJob
from jdobb_async_queue.backends.base import ClaimRequest
from tests.support.jobs import FOR_EVER, TYPE, claim_job, make_job


@pytest.fixture
def queue(open_queue, server):
    return open_queue(server.url)


async def test_one_claim_takes_thousands_of_jobs_and_strands_none(queue):
    ids = []
    for _ in range(5):
        ids += await queue.enqueue_many([NewJob(job_type=TYPE)] * 1000)

    request = ClaimRequest((TYPE,), 4500, queue.backend.lease_token(), 30_000, None, FOR_EVER)
    claimed = await queue.backend.claim_pending_jobs(request)

    assert [record.id for record in claimed.records] == ids[:4500]
    assert await queue.counts() == {TYPE: {"pending": 500, "processing": 4500}}
    leases = [(record.id, record.lease_token) for record in claimed.records]
    assert {state.status for state in await queue.heartbeat(leases)} == {"ok"}


async def test_a_claim_behind_many_expired_jobs_is_several_short_calls(open_queue, server, clock):
    queue = open_queue(server.url, clock=clock)
    await queue.enqueue_many([NewJob(job_type=TYPE, ttl=1)] * 1000)
    live = await make_job(queue, priority=JobPriority.LOW)
    clock.advance(2)
    server.command("CONFIG", "RESETSTAT")

    job = await claim_job(queue)

    assert job.id == live.id
    assert await queue.counts() == {TYPE: {"processing": 1, "failed": 1000}}
    calls = server.command("INFO", "commandstats")["cmdstat_publish"]["calls"]
    assert calls == 1001, "each is announced once"
    assert server.command("INFO", "commandstats")["cmdstat_evalsha"]["calls"] >= 5
