"""The load generator and the servers that it is for, all real, with next to no load."""

from __future__ import annotations

import asyncio
import json
import os

import pytest

from bench import load, servers
from bench.bench import Bench
from bench.environments import Unavailable
from bench.measures import stores
from bench.roster import OURS, Peer
from tests.support.waiting import eventually

POST = load.post("/jobs", json.dumps({"job_type": "noop", "data": {"n": 1}}).encode())


async def test_requests_are_shared_by_connections_and_each_is_timed(tmp_path):
    with servers.ours("memory://", tmp_path, "--no-workers") as server:
        seconds, delays, answers = await load.send(server.port, [POST] * 40, 4)
        known = load.ids(answers)
        _, _, read = await load.send(server.port, [load.get(f"/jobs/{job_id}") for job_id in known], 2)
        assert servers.memory_of(server.pid) > 2**20

    assert len(delays) == len(set(known)) == 40
    assert 0 < max(delays) <= seconds
    assert server.ready_after > 0
    assert [json.loads(body)["status"] for body in read] == ["pending"] * 40


async def test_an_answer_that_is_no_success_ends_the_measure(tmp_path):
    with servers.reference("starlette_nothing", tmp_path) as server:
        await load.send(server.port, [POST], 1)
        with pytest.raises(Unavailable) as why:
            await load.send(server.port, [load.get("/nowhere")], 1)
    assert "404" in str(why.value)


def test_a_server_that_cannot_start_says_why(tmp_path):
    with pytest.raises(Unavailable) as why, servers.reference("no_such_module", tmp_path):
        pytest.fail("it runs")
    assert "No module named bench.references.no_such_module" in str(why.value)


async def test_readers_of_streams_note_how_old_each_message_is(tmp_path):
    tick = load.post("/jobs", b'{"job_type": "tick"}')
    with servers.ours("memory://", tmp_path, "--max-concurrent", "5") as server:
        _, _, answers = await load.send(server.port, [tick] * 5, 1)
        await read_some(server, [f"/jobs/{job_id}/events" for job_id in load.ids(answers)])


async def test_readers_of_streams_read_those_of_the_reference_too(tmp_path):
    with servers.reference("bare_sse", tmp_path) as server:
        await read_some(server, ["/jobs/1/events"] * 5)


async def read_some(server, paths):
    delays: list[float] = []
    streams = await load.open_streams(server.port, paths, delays)
    await eventually(lambda: len(delays) >= 2 * len(paths))
    assert min(delays) >= 0
    for stream in streams:
        stream.transport.close()


async def test_a_message_that_comes_in_two_parts_is_one():
    delays: list[float] = []
    stream = load.Stream("/", delays, asyncio.Semaphore(0))
    stream.data_received(b'data: {"message": "100000000000')
    stream.data_received(b'0000000"}\n\ndata')
    assert len(delays) == 1


def test_processor_time_is_told_in_seconds():
    before = servers.cpu_of(os.getpid())
    used = os.times()
    while os.times().user - used.user < 0.05:
        pass
    assert 0.03 <= servers.cpu_of(os.getpid()) - before < 30


def test_stores_are_measured_beside_one_transaction_per_insert():
    told = []
    bench = Bench([Peer(OURS, "", "", "")], None, rounds=1, scale=0.005, tell=told.append)
    stores.measure(bench)
    assert bench.results.troubles == {}
    assert len(bench.results.rows("stores")) == len(told) == 18
    for who in ("ours", "aiosqlite, NORMAL", "aiosqlite, FULL"):
        assert bench.results.samples("stores", who, "sqlite: enqueue 50-way", "jobs/s")[0] > 1
