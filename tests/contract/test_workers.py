"""The registry of workers, and what operators tell them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from jdobb_async_queue.records import WorkerBeat


def worker(worker_id: str = "w1", started_at: int = 1000, **fields) -> WorkerBeat:
    said = {
        "host": "box", "pid": 42, "slots": 10, "job_types": ("email", "report"), "jobs": ("a",),
        "stopping": (),
    }  # fmt: skip
    return WorkerBeat(worker_id, started_at=started_at, **(said | fields))


async def test_no_workers_are_known_at_first(queue):
    assert await queue.workers() == []


async def test_a_worker_is_known_by_its_first_beat(queue, clock):
    await queue.open()

    directive = await queue.backend.beat_worker(worker(started_at=clock.now(), stopping=("b",)))

    (known,) = await queue.workers()
    assert directive == "run"
    assert (known.id, known.host, known.pid, known.slots) == ("w1", "box", 42, 10)
    assert (known.job_types, known.jobs, known.stopping) == (["email", "report"], ["a"], ["b"])
    assert (known.directive, known.stale) == ("run", False)
    assert known.started_at == known.last_heartbeat_at == clock.time


async def test_a_later_beat_refreshes_the_entry(queue, clock):
    await queue.open()
    first = worker(started_at=clock.now())
    await queue.backend.beat_worker(first)
    clock.advance(5)

    await queue.backend.beat_worker(replace(first, jobs=("b", "c"), slots=3, job_types=("email",)))

    (known,) = await queue.workers()
    assert (known.jobs, known.slots, known.job_types) == (["b", "c"], 3, ["email"])
    assert known.last_heartbeat_at == clock.time
    assert (clock.time - known.started_at).total_seconds() == 5


async def test_a_beat_leaves_alone_what_it_does_not_tell(queue, clock):
    await queue.open()
    began = clock.now()
    await queue.backend.beat_worker(WorkerBeat("w1"))
    (known,) = await queue.workers()
    assert (known.host, known.pid, known.slots) == ("", 0, 1)
    assert (known.job_types, known.jobs, known.stopping) == ([], [], [])
    assert known.started_at == known.last_heartbeat_at == clock.time

    clock.advance(5)
    await queue.backend.beat_worker(WorkerBeat("w1", jobs=("a", "b"), stopping=("b",), pid=7))
    await queue.signal_worker("w1", "quiet")
    clock.advance(5)
    directive = await queue.backend.beat_worker(
        WorkerBeat("w1", host="box", slots=3, job_types=("email",), stopping=())
    )

    (known,) = await queue.workers()
    assert directive == known.directive == "quiet"
    assert (known.host, known.pid, known.slots) == ("box", 7, 3)
    assert (known.job_types, known.jobs, known.stopping) == (["email"], ["a", "b"], [])
    assert (known.started_at.timestamp() * 1000, known.last_heartbeat_at) == (began, clock.time)


async def test_of_beats_at_the_same_time_none_takes_back_what_another_tells(queue):
    for number in range(20):
        jobs, job_types = [f"job-{number}"], [f"type-{number}"]
        await asyncio.gather(
            queue.register_worker("w1", jobs=jobs), queue.register_worker("w1", job_types=job_types)
        )
        (known,) = await queue.workers()
        assert (known.jobs, known.job_types) == (jobs, job_types)


async def test_one_worker_is_read_by_its_id(queue):
    assert await queue.worker("a") is None
    for worker_id, pid in (("a", 1), ("b", 2)):
        await queue.register_worker(worker_id, pid=pid, jobs=["x"])
    await queue.signal_worker("a", "stop")

    first, second = [await queue.worker(worker_id) for worker_id in ("a", "b")]

    assert (first.id, first.pid, first.directive) == ("a", 1, "stop")
    assert (second.id, second.pid, second.directive) == ("b", 2, "run")
    assert sorted(await queue.workers(), key=lambda known: known.id) == [first, second]
    await queue.backend.remove_worker("a")
    assert await queue.worker("a") is None


async def test_workers_come_latest_started_first(queue):
    await queue.open()
    for worker_id, started_at in (("a", 2000), ("b", 3000), ("c", 1000)):
        await queue.backend.beat_worker(worker(worker_id, started_at))

    assert [known.id for known in await queue.workers()] == ["b", "a", "c"]


async def test_a_worker_that_ended_is_forgotten(queue):
    await queue.open()
    await queue.backend.beat_worker(worker("a"))
    await queue.backend.beat_worker(worker("b"))

    await queue.backend.remove_worker("a")
    await queue.backend.remove_worker("nobody")

    assert [known.id for known in await queue.workers()] == ["b"]


async def test_a_silent_worker_is_stale_after_a_minute(queue, clock):
    await queue.open()
    await queue.backend.beat_worker(worker())

    clock.advance(60)
    assert not (await queue.workers())[0].stale
    clock.advance(0.001)
    assert (await queue.workers())[0].stale


async def test_a_worker_silent_for_more_than_a_day_is_pruned(queue, clock):
    await queue.open()
    await queue.backend.beat_worker(worker("silent"))
    clock.advance(3600)
    await queue.backend.beat_worker(worker("alive"))
    clock.advance(86_400 - 3599)

    await queue.backend.prune(100)

    assert [known.id for known in await queue.workers()] == ["alive"]


@pytest.mark.parametrize("directive", ["quiet", "stop", "run"])
async def test_a_worker_learns_its_directive_at_its_next_beat(queue, directive):
    await queue.open()
    await queue.backend.beat_worker(worker("a"))
    await queue.backend.beat_worker(worker("b"))

    assert await queue.signal_worker("a", directive)

    assert await queue.backend.beat_worker(worker("a")) == directive
    assert await queue.backend.beat_worker(worker("b")) == "run"
    assert {known.id: known.directive for known in await queue.workers()} == {"a": directive, "b": "run"}


async def test_a_directive_holds_until_the_next(queue):
    await queue.open()
    await queue.backend.beat_worker(worker())
    await queue.signal_worker("w1", "quiet")
    for _ in range(3):
        assert await queue.backend.beat_worker(worker()) == "quiet"

    await queue.signal_worker("w1", "run")

    assert await queue.backend.beat_worker(worker()) == "run"


async def test_nobody_is_told_when_there_is_no_such_worker(queue):
    assert not await queue.signal_worker("nobody", "stop")
    assert await queue.workers() == []


@pytest.mark.parametrize("directive", ["", "halt", None, 5])
async def test_an_unknown_directive_is_refused(queue, directive):
    await queue.open()
    await queue.backend.beat_worker(worker())

    with pytest.raises(ValueError, match="directive"):
        await queue.signal_worker("w1", directive)

    assert (await queue.workers())[0].directive == "run"


async def test_a_worker_of_another_kind_registers_itself(queue, clock):
    began = clock.time - timedelta(minutes=5)

    directive = await queue.register_worker(
        "node-1", host="10.0.0.7", pid=8, slots=3, job_types=["email", "email", "sms"], jobs=["a", "b"],
        stopping=["b"], started_at=began,
    )  # fmt: skip

    (known,) = await queue.workers()
    assert directive == "run"
    assert (known.id, known.host, known.pid, known.slots) == ("node-1", "10.0.0.7", 8, 3)
    assert (known.job_types, known.jobs, known.stopping) == (["email", "sms"], ["a", "b"], ["b"])
    assert (known.started_at, known.last_heartbeat_at, known.stale) == (began, clock.time, False)


async def test_a_worker_that_registers_again_learns_what_it_was_told(queue, clock):
    assert await queue.register_worker("node-1") == "run"
    await queue.signal_worker("node-1", "quiet")
    clock.advance(61)
    assert (await queue.workers())[0].stale

    assert await queue.register_worker("node-1", jobs=["a"]) == "quiet"

    (known,) = await queue.workers()
    assert (known.jobs, known.stale, known.directive) == (["a"], False, "quiet")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("worker_id", "a b"), ("worker_id", 5), ("host", "\ud800"), ("pid", -1), ("slots", 0),
        ("job_types", ["a b"]), ("jobs", [None]), ("stopping", 7), ("started_at", datetime(2030, 1, 1)),  # noqa: DTZ001 - naive on purpose
    ],
)  # fmt: skip
async def test_what_no_worker_can_be_is_refused(queue, field, value):
    with pytest.raises((ValueError, TypeError), match=field):
        await queue.register_worker(**{"worker_id": "node-1", field: value})

    assert await queue.workers() == []
