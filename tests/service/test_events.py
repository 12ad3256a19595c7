"""GET /jobs/{id}/events."""

from __future__ import annotations

import asyncio
import random
import socket
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from jdobb_async_queue.backends.base import UPDATES_KEPT
from jdobb_service import sse
from tests.support.serving import Running, code_of, serving
from tests.support.streams import Event, events, read_all
from tests.support.waiting import eventually

READERS = 20


def _names(found: list[Event]) -> list[str]:
    return [event.name for event in found]


async def _finished(service: Running, updates: int = 3) -> str:
    job_id = await service.new_job()
    for n in range(updates):
        await service.state.broadcaster.send(job_id, message=f"n {n}")
    await service.queue.complete(job_id, {"n": 1})
    return job_id


async def test_the_bytes_of_a_stream(on_memory: Running):
    job_id = await _finished(on_memory)
    final = await on_memory.state.broadcaster.snapshot(job_id)
    answer = await on_memory.client.get(f"/jobs/{job_id}/events")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store, no-transform"
    assert answer.headers["x-accel-buffering"] == "no"
    retry, update, end, rest = answer.content.split(b"\n\n")
    name, _, pause = retry.partition(b": ")
    assert name == b"retry"
    assert 2000 <= int(pause) < 3000
    assert update == b"id: %d\ndata: %s" % (final.seq, final.model_dump_json().encode())
    assert end == b'id: %d\nevent: end\ndata: {"job_id":"%s","seq":%d,"status":"complete"}' % (
        final.seq,
        job_id.encode(),
        final.seq,
    )
    assert rest == b""


async def test_a_stream_begins_with_the_job_now_and_ends_with_it(service: Running):
    job_id = await service.new_job()
    async with service.client.stream("GET", f"/jobs/{job_id}/events") as answer:
        stream = events(answer)
        assert (await anext(stream)).retry is not None
        first = await anext(stream)
        assert (first.id, first.data["kind"], first.data["status"]) == ("0", "status", "pending")
        job = await service.queue.claim()
        await service.queue.update(job_id, 0.5, "half", lease_token=job.lease_token)
        await service.state.broadcaster.send(job_id, data={"x": 1})
        await service.queue.complete(job_id, {"n": 1}, lease_token=job.lease_token)
        rest = [event async for event in stream]

    assert _names(rest) == ["message"] * 4 + ["end"]
    assert [event.data["kind"] for event in rest[:4]] == ["status", "progress", "custom", "status"]
    assert [event.data["status"] for event in rest[:4]] == ["processing"] * 3 + ["complete"]
    assert rest[2].data["results"] == {"x": 1}
    assert rest[3].data["results"] == {"n": 1}
    seqs = [event.seq for event in rest[:4]]
    assert seqs == sorted(set(seqs))
    assert (rest[4].seq, rest[4].data) == (
        seqs[-1],
        {"job_id": job_id, "seq": seqs[-1], "status": "complete"},
    )
    await eventually(lambda: service.state.streams.taken == 0)


async def test_going_on_after_an_event_repeats_nothing_and_misses_nothing(service: Running):
    job_id = await _finished(service, updates=5)
    everything = await read_all(service.client, f"/jobs/{job_id}/events?last_event_id=0")
    assert _names(everything) == ["message"] * 6 + ["end"]
    for place in range(1, 6):
        after = str(everything[place - 1].seq)
        assert (
            await read_all(service.client, f"/jobs/{job_id}/events", last_event_id=after)
            == everything[place:]
        )


async def test_nothing_can_follow_the_end(service: Running):
    job_id = await _finished(service)
    last = (await read_all(service.client, f"/jobs/{job_id}/events"))[-1].seq
    for after in (last, last + 1, 2**53 - 1):
        answer = await service.client.get(f"/jobs/{job_id}/events", headers={"last-event-id": str(after)})
        assert (answer.status_code, answer.content) == (204, b"")


async def test_the_header_wins_over_the_query(service: Running):
    job_id = await _finished(service)
    path = f"/jobs/{job_id}/events"
    everything = await read_all(service.client, f"{path}?last_event_id=0")
    after = str(everything[1].seq)
    assert await read_all(service.client, f"{path}?last_event_id=0", last_event_id=after) == everything[2:]


@pytest.mark.parametrize("given", ["abc", "-1", "1.5", "", "9" * 17, str(2**53), "0x10", "\u0661"])
async def test_a_last_id_that_is_none_begins_a_new_stream(on_memory: Running, given: str):
    job_id = await _finished(on_memory)
    for way in ({"headers": {"last-event-id": given.encode()}}, {"params": {"last_event_id": given}}):
        answer = await on_memory.client.get(f"/jobs/{job_id}/events", **way)
        assert answer.text.count("event: ") == 1
        assert answer.text.count("data: ") == 2


async def test_an_id_ahead_of_the_log_gives_a_gap_and_goes_on(service: Running):
    job_id = await service.new_job()
    async with service.client.stream("GET", f"/jobs/{job_id}/events?last_event_id=99999") as answer:
        stream = events(answer)
        await anext(stream)
        gap = await anext(stream)
        assert (gap.name, gap.id, gap.data["gap"], gap.data["status"]) == ("gap", "0", True, "pending")
        await service.queue.cancel(job_id)
        assert _names([event async for event in stream]) == ["message", "end"]


async def test_trimmed_updates_give_a_gap_with_the_job_as_it_is(service: Running):
    job_id = await service.new_job()
    for n in range(300):
        await service.state.broadcaster.send(job_id, message=f"n {n}")
    async with service.client.stream("GET", f"/jobs/{job_id}/events?last_event_id=1") as answer:
        stream = events(answer)
        await anext(stream)
        gap = await anext(stream)
        assert (gap.name, gap.data["gap"]) == ("gap", True)
        await service.queue.complete(job_id)
        rest = [event async for event in stream]
    assert rest[0].seq > gap.seq
    assert _names(rest) == ["message", "end"]


async def test_a_job_removed_while_it_is_watched_ends_the_stream(service: Running):
    job_id = await service.new_job()
    await service.queue.cancel(job_id)
    await service.queue.retry(job_id)
    async with service.client.stream("GET", f"/jobs/{job_id}/events") as answer:
        stream = events(answer)
        await anext(stream)
        await anext(stream)
        await service.queue.cancel(job_id)
        await service.queue.delete(job_id)
        rest = [event async for event in stream]
    assert rest[-1].name == "end"


async def test_an_unknown_job_has_no_stream(on_memory: Running):
    answer = await on_memory.client.get("/jobs/unknown/events")
    assert (answer.status_code, code_of(answer)) == (404, "job-not-found")


async def test_watchers_cut_at_random_get_every_update_once_and_in_order(service: Running):  # noqa: C901 - three actors at once
    job_id = await service.new_job()
    total, watchers, dice = 150, 6, random.Random(7)  # noqa: S311 - a seeded choice, no secret

    async def produce() -> None:
        for n in range(total):
            await service.state.broadcaster.send(job_id, message=str(n))
            await asyncio.sleep(0)
        await service.queue.complete(job_id)

    async def watch() -> tuple[list[str], int]:
        seen: list[str] = []
        last, cuts = "0", 0
        while True:
            cut_after = dice.randrange(1, 40)
            async with service.client.stream(
                "GET", f"/jobs/{job_id}/events", headers={"last-event-id": last}
            ) as answer:
                if answer.status_code == 204:
                    return seen, cuts
                taken = 0
                async for event in events(answer):
                    if event.data is None:
                        continue
                    last = event.id or last
                    if event.name == "end":
                        continue
                    seen.append(event.data["message"] or event.data["status"])
                    taken += 1
                    if taken == cut_after:
                        cuts += 1
                        break

    watching = [asyncio.create_task(watch()) for _ in range(watchers)]
    await eventually(lambda: service.state.streams.taken == watchers)
    await produce()
    for seen, cuts in await asyncio.gather(*watching):
        assert seen[:total] == [str(n) for n in range(total)]
        assert len(seen) == total + 1
        assert cuts >= 3
    await eventually(lambda: service.state.streams.taken == 0)


async def test_a_stream_without_news_carries_comments(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sse, "HEARTBEAT", 0.05)
    async with serving() as service:
        job_id = await service.new_job()
        async with service.client.stream("GET", f"/jobs/{job_id}/events") as answer:
            stream = events(answer)
            blocks = [await anext(stream) for _ in range(5)]
    assert [block.comments for block in blocks[2:]] == [[""]] * 3


async def test_a_full_service_asks_browsers_to_come_back_later():
    async with serving(max_streams=1) as service:
        job_id = await service.new_job()
        async with service.client.stream("GET", f"/jobs/{job_id}/events"):
            await eventually(lambda: service.state.streams.taken == 1)
            second = await service.client.get(f"/jobs/{job_id}/events")
        assert (second.status_code, second.text) == (
            200,
            ": too many streams, come back later\nretry: 30000\n\n",
        )
        await eventually(lambda: service.state.streams.taken == 0)
        await service.queue.cancel(job_id)
        assert (await read_all(service.client, f"/jobs/{job_id}/events"))[-1].name == "end"


async def test_an_old_stream_is_closed_and_can_be_continued(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sse, "MAX_AGE", 0.05)
    async with serving() as service:
        job_id = await service.new_job()
        assert _names(await read_all(service.client, f"/jobs/{job_id}/events")) == ["message"]
        monkeypatch.undo()
        await service.queue.cancel(job_id)
        rest = await read_all(service.client, f"/jobs/{job_id}/events", last_event_id="0")
    assert _names(rest) == ["message", "end"]


async def test_a_stream_that_begins_as_the_process_closes_says_what_is_and_goodbye(on_memory: Running):
    job_id = await on_memory.new_job()
    on_memory.state.closing.set()
    assert _names(await read_all(on_memory.client, f"/jobs/{job_id}/events")) == [
        "message",
        "server.shutdown",
    ]


@asynccontextmanager
async def stuck_reader(service: Running, job_id: str) -> AsyncIterator[None]:
    """Open a stream of a job that has more to say than fits between here and there, and take nothing."""
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect(("127.0.0.1", service.port))
        reader.sendall(f"GET /jobs/{job_id}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await eventually(lambda: service.state.streams.taken == 1)
        for n in range(250):
            await service.state.broadcaster.send(job_id, message=str(n) + "x" * 4000)
        yield


async def test_a_reader_that_takes_nothing_is_cut_and_can_go_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sse, "SEND_TIMEOUT", 0.3)
    async with serving() as service:
        job_id = await service.new_job()
        async with stuck_reader(service, job_id):
            await service.queue.complete(job_id)
            await eventually(lambda: service.state.streams.taken == 0)
            await eventually(lambda: len(service.server.server_state.connections) == 1)  # the test's own
        monkeypatch.setattr(sse, "SEND_TIMEOUT", 600.0)
        rest = await read_all(service.client, f"/jobs/{job_id}/events", last_event_id="200")
    assert rest[-2].data["status"] == "complete"


async def test_a_reader_that_does_not_take_a_comment_does_not_keep_its_stream_from_closing(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(sse, "SEND_TIMEOUT", 600.0)
    monkeypatch.setattr(sse, "HEARTBEAT", 0.05)
    monkeypatch.setattr(sse, "_FAREWELL", 0.2)
    waiting: list[bytes] = []
    take = sse._Reader.take

    async def noted(self: sse._Reader, events: bytes, within: float | None = None) -> None:
        waiting.append(events)
        await take(self, events, within)
        waiting.remove(events)

    monkeypatch.setattr(sse._Reader, "take", noted)
    async with serving() as service:
        job_id = await service.new_job()
        async with stuck_reader(service, job_id):
            await eventually(lambda: sse._COMMENT in waiting)
            service.state.closing.set()
            await eventually(lambda: service.state.streams.taken == 0)


async def test_readers_that_take_nothing_cost_a_bounded_number_of_bytes_each(tmp_path: Path):
    async with serving(backend_url=f"sqlite:///{tmp_path / 'jobs.db'}") as service, AsyncExitStack() as stack:
        job_id = await service.new_job()
        sent = [service.state.broadcaster.send(job_id, message="x" * 9_900) for _ in range(UPDATES_KEPT)]
        await asyncio.gather(*sent)
        page = await service.queue.backend.read_updates(job_id, 0)
        first = page.updates[0].seq
        own = set(service.server.server_state.connections)
        tracemalloc.start()
        stack.callback(tracemalloc.stop)
        before, _ = tracemalloc.get_traced_memory()
        for n in range(READERS):
            reader = stack.enter_context(socket.socket())
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect(("127.0.0.1", service.port))
            request = (
                f"GET /jobs/{job_id}/events?last_event_id={first + n} HTTP/1.1\r\nHost: localhost\r\n\r\n"
            )
            reader.sendall(request.encode())

        def stalled():
            theirs = service.server.server_state.connections - own
            return len(theirs) == READERS and all(each.flow.write_paused for each in theirs)

        await eventually(stalled)
        grown = tracemalloc.get_traced_memory()[0] - before
        sockets = [
            each.transport.get_extra_info("socket") for each in service.server.server_state.connections - own
        ]
        kernel = [each.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) for each in sockets]

    assert grown / READERS < 400_000  # a page of the log, twice, and what waits to be written
    assert max(kernel) <= 2 * sse.SEND_BUFFER  # Linux tells the double, for its own needs


async def test_a_slow_reader_gets_every_update(service: Running):
    job_id = await service.new_job()
    async with service.client.stream("GET", f"/jobs/{job_id}/events") as answer:
        stream = events(answer)
        await anext(stream)
        await anext(stream)
        for n in range(200):
            await service.state.broadcaster.send(job_id, message=str(n) + "x" * 2000)
        await service.queue.complete(job_id)
        found = [event async for event in stream]
    assert [int(event.data["message"].rstrip("x")) for event in found[:200]] == list(range(200))
    assert _names(found[200:]) == ["message", "end"]


async def test_a_client_that_leaves_lets_go_of_everything(service: Running):
    job_id = await service.new_job()
    for _ in range(3):
        async with service.client.stream("GET", f"/jobs/{job_id}/events") as answer:
            await anext(events(answer))
            assert service.state.streams.taken == 1
        await eventually(lambda: service.state.streams.taken == 0)


async def test_the_kernel_keeps_little_for_streams_and_enough_for_large_answers(on_memory: Running):
    def kept() -> list[int]:
        connections = on_memory.server.server_state.connections
        sockets = [connection.transport.get_extra_info("socket") for connection in connections]
        return sorted(each.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) for each in sockets)

    job_id = await on_memory.new_job()
    (plain,) = kept()
    async with on_memory.client.stream("GET", f"/jobs/{job_id}/events"):
        (stream,) = kept()
    assert stream <= 2 * sse.SEND_BUFFER < plain  # some kernels double what they are told
