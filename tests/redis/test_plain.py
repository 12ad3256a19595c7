"""New jobs that nothing speaks against have a script of their own; it leaves what ``store`` leaves."""

from __future__ import annotations

import asyncio
import json

import pytest
import redis

from jdobb_async_queue import NewJob, QueueFull
from jdobb_async_queue.backends.redis import backend, scripts
from jdobb_async_queue.backends.redis.keys import prefix_of
from tests.support.jobs import TYPE
from tests.support.waiting import WITHIN

NEW = [
    NewJob(job_type=TYPE, job_id="a", data={"n": 1}, priority="high", metadata={"by": "me"}),
    NewJob(job_type=TYPE, job_id="b", priority="low", max_attempts=2, timeout=3.0),
    NewJob(job_type="other", job_id="c", data={"n": 2}),
]
OF_A_CALL = ("calls:",)
"""Keys that say who called, and so differ."""


@pytest.fixture
def client(shared):
    with redis.Redis(port=shared.port, decode_responses=True, socket_timeout=WITHIN) as client:
        yield client


@pytest.fixture
def calls(monkeypatch):
    """Return a list of the scripts that run, by name."""
    names = []
    original = backend.script

    def note(name):
        names.append(name)
        return original(name)

    monkeypatch.setattr(backend, "script", note)
    return names


def kept(client, namespace):
    """Return every key of a namespace without its prefix, with what it holds; a job as its fields."""
    prefix = prefix_of(namespace)
    found = {}
    for key in client.keys(prefix + "*"):
        name = key.removeprefix(prefix)
        if name.startswith(OF_A_CALL):
            continue
        match client.type(key):
            case "string":
                text = client.get(key)
                found[name] = json.loads(text) if name.startswith("j:") else text
            case "set":
                found[name] = client.smembers(key)
            case "hash":
                found[name] = client.hgetall(key)
            case "zset":
                found[name] = client.zrange(key, 0, -1, withscores=True)
    return found


async def test_it_leaves_what_the_general_script_leaves(
    shared, client, open_queue, clock, monkeypatch, calls
):
    left = []
    for namespace in ("plain", "general"):
        queue = open_queue(shared.url, namespace=f"{namespace}-{id(calls)}", clock=clock)
        submitted = await queue.submit_many(NEW)
        left.append((submitted, kept(client, f"{namespace}-{id(calls)}")))
        monkeypatch.setattr(scripts, "is_plain", lambda _: False)
    assert calls == ["plain", "store"]
    assert {"j:a", "d:c", f"x:p:{TYPE}", "all:other", "seq", "types", "minutes"} <= left[0][1].keys()
    assert left[0] == left[1]


@pytest.mark.parametrize(
    "special",
    [
        {"unique_key": "report"},
        {"ttl": 60.0},
        {"delay": 60.0},
        {"max_lost": 1},
    ],
    ids=lambda special: next(iter(special)),
)
async def test_what_is_special_about_a_job_goes_by_the_general_script(shared, open_queue, calls, special):
    queue = open_queue(shared.url)
    await queue.enqueue_many([NewJob(job_type=TYPE), NewJob(job_type=TYPE, **special)])
    assert calls == ["store"]


async def test_a_known_id_is_left_to_the_general_script_with_all_of_its_call(shared, open_queue, calls):
    queue = open_queue(shared.url)
    await queue.enqueue(TYPE, job_id="known")
    calls.clear()

    submitted = await queue.submit_many([NewJob(job_type=TYPE), NewJob(job_type=TYPE, job_id="known")])

    assert calls == ["plain", "store"]
    assert [one.created for one in submitted] == [True, False]
    assert await queue.counts() == {TYPE: {"pending": 2}}


async def test_an_id_that_comes_twice_in_a_call_makes_one_job(shared, open_queue):
    queue = open_queue(shared.url)
    submitted = await asyncio.gather(
        *(queue.submit(NewJob(job_type=TYPE, job_id="same", data={"n": 1})) for _ in range(20))
    )
    assert [one.created for one in submitted].count(True) == 1
    assert await queue.counts() == {TYPE: {"pending": 1}}


async def test_jobs_of_a_call_are_counted_against_the_limit_together(shared, open_queue):
    queue = open_queue(shared.url)
    await queue.set_job_type(TYPE, max_pending=10)
    tried = await asyncio.gather(*(queue.enqueue(TYPE) for _ in range(30)), return_exceptions=True)
    assert [isinstance(one, QueueFull) for one in tried].count(True) == 20
    assert await queue.counts() == {TYPE: {"pending": 10}}
    with pytest.raises(QueueFull):
        await queue.enqueue(TYPE)
