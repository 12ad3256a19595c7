"""The keys of a namespace agree with each other, and nothing stays of jobs that have gone."""

from __future__ import annotations

import asyncio
import json

import pytest
import redis

from jdobb_async_queue import Broadcaster, Idempotency, JobExists, NewJob, RetryPolicy, Worker
from jdobb_async_queue.backends.base import WEEK
from jdobb_async_queue.backends.redis.keys import prefix_of
from tests.support.jobs import TYPE, claim_job, get_job, make_in_state, make_job, start_job
from tests.support.redis_invariants import NamespaceKeys, check_namespace
from tests.support.waiting import WITHIN

AGAIN = RetryPolicy(max_attempts=2, base=0.0, jitter=0.0)
KEPT_FOR_EVER = {
    "seq": "numbers must never be given twice",
    "schema": "says what the namespace is",
    "settings": "a job type's settings outlive its jobs",
    "type:<type>": "the same",
    "wake:<type>": "at most one member per job type; who claims the type takes it away",
    "wake": "the same",
}
KEPT_FOR_A_MINUTE = {"calls:<caller>": "goes by a time to live"}


@pytest.fixture
def queue(open_queue, shared, clock):
    return open_queue(shared.url, clock=clock)


@pytest.fixture
def client(shared):
    with redis.Redis(
        port=shared.port, decode_responses=True, encoding_errors="surrogateescape", socket_timeout=WITHIN
    ) as client:
        yield client


@pytest.fixture
def check(client, shared, namespace, clock):
    """Return what checks the namespace and answers with its keys."""

    async def check():
        await check_namespace(client, shared.url, namespace, clock)
        return NamespaceKeys(client, namespace)

    return check


# -- everything goes ---------------------------------------------------------------------------------------


async def completed(queue, clock):
    job = await start_job(queue)
    await queue.update(job.id, 0.5, "half", lease_token=job.lease_token)
    assert await queue.complete(job.id, {"sent": 1}, lease_token=job.lease_token)


async def completed_by_hand(queue, clock):
    assert await queue.complete(await queue.enqueue(TYPE, ttl=60), {"sent": 1})


async def completed_by_a_worker(queue, clock):
    worker = Worker(queue)

    @worker.handler("work", retry=AGAIN)
    async def work(ctx):
        await ctx.log("begun")
        if ctx.attempt == 1:
            raise ValueError

    running = asyncio.ensure_future(worker.run())
    assert (await queue.wait(await queue.enqueue("work"), WITHIN)).status == "complete"
    [registered] = await queue.workers()
    assert await queue.signal_worker(registered.id, "quiet")
    await worker.stop()
    await running


async def failed(queue, clock):
    await queue.enqueue(TYPE, retry=AGAIN)
    for _ in range(2):
        job = await claim_job(queue)
        assert await queue.fail(job.id, "boom", lease_token=job.lease_token)
    assert (await get_job(queue, job.id)).status == "failed"


async def cancelled_before_it_started(queue, clock):
    assert await queue.cancel(await queue.enqueue(TYPE, delay=60, ttl=60, unique_key="cancelled"))


async def cancelled_while_it_ran(queue, clock):
    await make_in_state(queue, "cancelled")


async def expired(queue, clock):
    job = await make_job(queue, ttl=1, unique_key="expired")
    clock.advance(1)
    await queue.backend.sweep(100, WEEK)
    assert (await get_job(queue, job.id)).status == "failed"


async def lost(queue, clock):
    job = await start_job(queue, lease=1, max_lost=2)
    clock.advance(1)
    assert (await claim_job(queue, lease=1)).id == job.id
    clock.advance(1)
    await queue.backend.sweep(100, WEEK)
    assert (await get_job(queue, job.id)).status == "failed"


async def released(queue, clock):
    job = await start_job(queue)
    assert await queue.release(job.id, lease_token=job.lease_token)
    assert await queue.cancel(job.id)


async def retried_by_hand(queue, clock):
    job = await make_in_state(queue, "failed", ttl=60, unique_key="retried")
    assert await queue.retry(job.id)
    again = await claim_job(queue)
    assert await queue.complete(again.id, {"sent": 1}, lease_token=again.lease_token)


async def deleted_by_hand(queue, clock):
    job = await make_in_state(queue, "complete", unique_key="deleted")
    assert await queue.delete(job.id)


async def unique_until_it_started(queue, clock):
    first = await start_job(queue, unique_key="started", unique_until="started", retry=AGAIN)
    second = await make_job(queue, unique_key="started", unique_until="started")
    assert await queue.fail(first.id, "boom", lease_token=first.lease_token)
    for job in (first, second):
        assert await queue.cancel(job.id)


async def replaced(queue, clock):
    job = await make_job(queue, unique_key="replaced", ttl=60)
    await queue.enqueue(TYPE, {"n": 2}, unique_key="replaced", on_conflict="replace")
    assert await queue.complete(job.id)


async def met_by_its_id(queue, clock):
    await queue.enqueue(TYPE, {"n": 1}, job_id="mine")
    with pytest.raises(JobExists):
        await queue.enqueue(TYPE, {"n": 2}, job_id="mine")
    assert await queue.complete("mine")


async def submitted_with_an_idempotency_key(queue, clock):
    key = Idempotency(scope="ada POST /jobs", key="key", fingerprint="f1", keep=86_400)
    for _ in range(2):
        submitted = await queue.submit(NewJob(job_type=TYPE), idempotency=key)
    assert submitted.replayed
    assert await queue.cancel(submitted.job.id)


async def with_a_long_log(queue, clock):
    job = await start_job(queue)
    for number in range(300):
        assert await Broadcaster(queue).send(job.id, message=str(number))
    assert await queue.complete(job.id, lease_token=job.lease_token)


async def of_a_type_with_settings(queue, clock):
    await queue.set_job_type("set", max_pending=5)
    await queue.pause("set")
    job = await make_job(queue, "set")
    await queue.resume("set")
    assert await queue.cancel(job.id)


ENDS = [
    completed, completed_by_hand, completed_by_a_worker, failed, cancelled_before_it_started,
    cancelled_while_it_ran, expired, lost, released, retried_by_hand, deleted_by_hand,
    unique_until_it_started, replaced, met_by_its_id, submitted_with_an_idempotency_key,
    with_a_long_log, of_a_type_with_settings,
]  # fmt: skip


async def test_when_all_jobs_have_gone_only_what_is_listed_here_stays(queue, clock, check):
    for end in ENDS:
        await end(queue, clock)
        await check()

    clock.advance(2)
    assert await queue.claim() is None, "everything has ended"
    clock.advance(9 * 86_400)
    await queue.backend.prune(1000)

    keys = await check()
    left = {name for name, instances in keys.instances.items() if instances}
    assert left <= KEPT_FOR_EVER.keys() | KEPT_FOR_A_MINUTE.keys()
    assert {"seq", "schema", "settings", "type:<type>"} <= left
    assert set(keys.instances["type:<type>"]) == {"set", "work"}, "those whose settings were told"
    assert set(keys.instances["wake:<type>"]) <= {TYPE, "set", "work"}


async def test_pruning_goes_on_where_a_short_step_ended(queue, clock, check):
    for _ in range(5):
        await make_in_state(queue, "failed")
        clock.advance(3600)
    clock.advance(9 * 86_400)

    while await queue.backend.prune(2):
        await check()

    keys = await check()
    assert not keys.jobs
    assert not any(keys.instances[name] for name in ("minute:<instant>", "errors:<instant>", "types"))


# -- the check itself --------------------------------------------------------------------------------------


@pytest.fixture
async def crowded(queue, check):
    """Fill a namespace with something of every kind; the checks find it sound."""
    for state in ("pending", "delayed", "processing", "complete", "failed", "cancelled"):
        await make_in_state(queue, state, state, job_id=state, ttl=90, unique_key=state)
    await queue.update("processing", 0.5)
    await queue.pause("paused")
    key = Idempotency(scope="ada POST /jobs", key="key", fingerprint="f1", keep=86_400)
    await queue.submit(NewJob(job_type=TYPE), idempotency=key)
    await check()


@pytest.mark.parametrize(
    "harm",
    [
        "SET unknown 1",
        "SET o:pending {}",
        "SET o:gone {}",
        "SET d:gone x",
        "RPUSH u:gone x",
        "RPUSH e:complete x",
        "RPUSH u:processing 1|p",
        "DEL d:pending",
        "DEL u:processing",
        "DEL seq",
        "SET seq 1",
        "SREM types pending",
        "SADD types gone",
        "DEL all:pending",
        "ZADD all:pending 1 pending",
        "ZADD all:complete 1 pending",
        "DEL x:p:pending",
        "ZADD x:p:pending 1 gone",
        "ZADD x:c:pending 1 pending",
        "DEL x:c:complete",
        "DEL leases",
        "ZADD leases 99999999999999 gone|token",
        "DEL deadlines",
        "ZADD deadlines 1 gone",
        "DEL prune",
        "ZADD prune 1 gone",
        "DEL unique",
        "WITHOUT j:pending hk",
        "WITH j:complete hk 1",
        "WITH j:pending s a",
        "WITH j:pending w 10",
        "WITH j:pending colour red",
        "WITHOUT j:processing k",
        "WITHOUT j:complete f",
        "WITHOUT j:pending sb",
        "DEL idempotency",
        "DEL idempotency_ends",
        "DEL settings",
        "DEL type:paused",
        "SADD settings gone",
        "HSET worker:gone host box",
        "ZADD worker_beats 1 gone",
        "DEL minutes",
        "ZADD minutes 1 1",
        "HSET minute:1 x|failed|0 1",
        "DEL hours",
        "ZADD wake:pending 0 2",
        "EXPIRE j:pending 100",
        "SET calls:gone x",
        "SET schema 2",
    ],
)
async def test_a_harmed_namespace_is_noticed(crowded, client, namespace, check, harm):
    verb, key, *rest = harm.split()
    name = prefix_of(namespace) + key
    if verb in ("WITH", "WITHOUT"):
        job = json.loads(client.get(name))
        job.pop(rest[0], None)
        job |= {rest[0]: rest[1]} if verb == "WITH" else {}
        verb, rest = "SET", [json.dumps(job)]
    client.execute_command(verb, name, *rest)

    with pytest.raises((AssertionError, KeyError)):
        await check()


async def test_jobs_that_a_backend_counts_otherwise_are_noticed(
    crowded, client, namespace, check, monkeypatch
):
    monkeypatch.setattr(NamespaceKeys, "check_indexes", lambda keys: None)
    client.execute_command("ZADD", prefix_of(namespace) + "x:p:pending", 1, "0000000000000gone")

    with pytest.raises(AssertionError):
        await check()
