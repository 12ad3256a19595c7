"""GET /events."""

from __future__ import annotations

import asyncio
import random

import pytest

from jdobb_service import event_ids
from jdobb_service.keys import new_key
from tests.support.serving import Running, code_of, pointers, serving
from tests.support.streams import Event, events, read_all
from tests.support.waiting import eventually


def url(*jobs: str) -> str:
    return "/events?" + "&".join(f"job={job_id}" for job_id in jobs)


def by_job(found: list[Event], name: str = "message") -> dict[str, list[int]]:
    seqs: dict[str, list[int]] = {}
    for event in found:
        if event.name == name:
            seqs.setdefault(event.data["job_id"], []).append(event.data["seq"])
    return seqs


async def finished(service: Running, updates: int = 3, **fields: object) -> str:
    job_id = await service.new_job(**fields)
    for number in range(updates):
        await service.state.broadcaster.send(job_id, message=str(number))
    await service.queue.complete(job_id, {"n": 1})
    return job_id


async def alone(service: Running, job_id: str) -> list[int]:
    """Return the seqs of all updates of a job, as its own stream tells them."""
    found = await read_all(service.client, f"/jobs/{job_id}/events?last_event_id=0")
    return [event.seq for event in found if event.name == "message"]


async def test_one_stream_follows_many_jobs_to_their_ends(service: Running):
    ids = [await service.new_job() for _ in range(30)]
    async with service.client.stream("GET", url(*ids)) as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        stream = events(answer)
        assert (await anext(stream)).retry is not None
        firsts = [await anext(stream) for _ in ids]
        assert {first.data["status"] for first in firsts} == {"pending"}
        for job_id in ids:
            await service.queue.update(job_id, 0.5)
            await service.queue.complete(job_id, {"of": job_id})
        rest = [event async for event in stream]
    assert by_job(rest) == {job_id: await alone(service, job_id) for job_id in ids}
    ends = [event.data for event in rest if event.name == "end"]
    assert {end["job_id"] for end in ends} == set(ids)
    assert {end["status"] for end in ends} == {"complete"}
    assert len(ends) == len(ids)
    await eventually(lambda: service.state.streams.taken == 0)


async def test_after_the_last_event_nothing_follows(service: Running):
    ids = [await finished(service) for _ in range(3)]
    found = await read_all(service.client, url(*ids))
    assert [event.name for event in found] == ["message", "end"] * 3
    last = found[-1].id
    header = await service.client.get(url(*reversed(ids)), headers={"last-event-id": last})
    query = await service.client.get(url(*ids) + f"&last_event_id={last}")
    assert [(answer.status_code, answer.content) for answer in (header, query)] == [(204, b"")] * 2
    rest = await read_all(service.client, url(*ids), last_event_id=found[1].id)
    assert {event.data["job_id"] for event in rest if event.name == "message"} == set(ids[1:])


async def test_readers_cut_off_at_random_miss_nothing_and_get_nothing_twice(service: Running):  # noqa: C901 - several actors at once
    ids = [await service.new_job() for _ in range(5)]

    began: list[int] = []

    async def read(dice: random.Random) -> tuple[list[Event], int]:
        seen: list[Event] = []
        last, cuts = None, -1
        place = len(began)
        began.append(0)
        while True:
            headers = {} if last is None else {"last-event-id": last}
            async with service.client.stream("GET", url(*ids), headers=headers) as answer:
                if answer.status_code == 204:
                    return seen, cuts
                cuts, taken, patience = cuts + 1, 0, dice.randrange(1, 30)
                async for event in events(answer):
                    if event.data is not None:
                        seen.append(event)
                        began[place] = min(len(seen), len(ids))
                        last, taken = event.id or last, taken + 1
                    if taken == patience and len(seen) >= len(ids):
                        break

    readers = [asyncio.create_task(read(random.Random(n))) for n in range(4)]  # noqa: S311 - seeded choices
    await eventually(lambda: began == [len(ids)] * len(readers))
    for number in range(40):
        for job_id in ids:
            await service.state.broadcaster.send(job_id, message=str(number))
    for job_id in ids:
        await service.queue.complete(job_id)
    expected = {job_id: await alone(service, job_id) for job_id in ids}
    for seen, cuts in await asyncio.gather(*readers):
        assert {job_id: seqs[-41:] for job_id, seqs in by_job(seen).items()} == expected
        assert all(len(seqs) == len(set(seqs)) for seqs in by_job(seen).values())
        assert (
            len(set(ids) - set(by_job(seen, "end"))) <= 1
        )  # cut off between the very last update and its end
        assert cuts >= 5


async def test_an_unknown_job_has_ended_and_the_others_go_on(service: Running):
    job_id = await finished(service)
    found = await read_all(service.client, url("unknown", job_id))
    ends = {event.data["job_id"]: event.data["status"] for event in found if event.name == "end"}
    assert ends == {"unknown": None, job_id: "complete"}
    again = await service.client.get(url("unknown", job_id), headers={"last-event-id": found[-1].id})
    assert again.status_code == 204


async def test_trimmed_updates_give_a_gap_with_the_job_as_it_is(service: Running):
    job_id, other = await finished(service, updates=300), await finished(service)
    start = event_ids.encode({job_id: 1, other: 0}).decode()
    found = await read_all(service.client, url(job_id, other), last_event_id=start)
    assert by_job(found, "gap").keys() == {job_id}
    assert by_job(found)[other] == await alone(service, other)


@pytest.mark.parametrize("given", ["abc", "", "1", "AQ", "é", "A" * 6000])
async def test_an_id_that_is_none_begins_a_new_stream(on_memory: Running, given: str):
    ids = [await finished(on_memory) for _ in range(2)]
    for way in (
        {"headers": {"last-event-id": given.encode()}},
        {"params": {"job": ids, "last_event_id": given}},
    ):
        answer = await on_memory.client.get(url(*ids) if "headers" in way else "/events", **way)
        assert answer.text.count("event: end") == 2


def test_an_id_holds_every_place():
    seen = {f"job-{n}": n * 1_000_000 + 1_790_000_000_000_000 for n in range(98)} | {"a": None, "b": 0}
    text = event_ids.encode(seen).decode()
    assert len(text) < 700
    assert event_ids.decode(reversed(seen), text) == seen
    assert event_ids.decode([*seen, "another"], text) is None


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("", "?job"),
        ("job=a%20b", "?job"),
        ("job_type=", "?job_type"),
        ("job=a&job_type=b", "?job_type"),
        ("jobs=a", "?jobs"),
        ("&".join(f"job=j{n}" for n in range(101)), "?job"),
        ("&".join(f"job_type=j{n}" for n in range(101)), "?job_type"),
    ],
)
async def test_what_is_wanted_is_checked(on_memory: Running, query: str, place: str):
    answer = await on_memory.client.get(f"/events?{query}")
    assert (answer.status_code, pointers(answer)) == (422, [place])


async def test_a_hundred_jobs_are_watched_at_once(service: Running):
    ids = [await service.new_job() for _ in range(100)]
    async with service.client.stream("GET", url(*ids)) as answer:
        stream = events(answer)
        for _ in range(101):
            await anext(stream)
        for job_id in ids:
            await service.queue.cancel(job_id)
        rest = [event async for event in stream]
    assert len(by_job(rest)) == len(by_job(rest, "end")) == 100


async def test_job_types_are_followed_from_now_on(service: Running):
    async with service.client.stream("GET", "/events?job_type=mail&job_type=report") as answer:
        stream = events(answer)
        assert (await anext(stream)).retry is not None
        gap = await anext(stream)
        assert (gap.name, gap.id, gap.data) == ("gap", None, {"job_types": ["mail", "report"]})
        if service.queue.backend.name == "redis":
            assert (await anext(stream)).name == "gap"  # subscribed: what came before that may be missing
        await finished(service, job_type="other")
        wanted = [await finished(service, job_type=job_type) for job_type in ("mail", "report")]
        found: list[Event] = []
        while sum(event.data["status"] == "complete" for event in found) < 2:
            found.append(await anext(stream))
    assert {event.id for event in found} == {None}
    assert by_job(found) == {job_id: await alone(service, job_id) for job_id in wanted}
    await eventually(lambda: service.state.streams.taken == 0)


async def test_a_stream_of_job_types_says_goodbye_at_shutdown(service: Running):
    async with service.client.stream("GET", "/events?job_type=mail") as answer:
        stream = events(answer)
        await anext(stream)
        service.state.closing.set()
        rest = [event async for event in stream]
    assert rest[-1].name == "server.shutdown"


async def test_a_key_sees_its_own_job_types_only():
    key, secret = new_key("mailer", ("read",), ("mail",))
    admin, admin_secret = new_key("admin", ("admin",))
    async with serving(api_keys=(key, admin)) as service:
        service.client.headers["authorization"] = f"Bearer {admin_secret}"
        mail, other = await finished(service, job_type="mail"), await finished(service, job_type="other")
        service.client.headers["authorization"] = f"Bearer {secret}"
        found = await read_all(service.client, url(mail, other))
        ends = {event.data["job_id"]: event.data["status"] for event in found if event.name == "end"}
        assert by_job(found).keys() == {mail}
        assert ends == {mail: "complete", other: None}
        refused = await service.client.get("/events?job_type=mail&job_type=other")
        assert (refused.status_code, code_of(refused)) == (403, "insufficient-scope")


async def test_one_caller_takes_no_more_than_its_places():
    key, secret = new_key("one", ("enqueue", "read"))
    other, other_secret = new_key("two", ("read",))
    async with serving(api_keys=(key, other), max_streams_per_caller=1) as service:
        service.client.headers["authorization"] = f"Bearer {secret}"
        job_id = await service.new_job()
        async with service.client.stream("GET", url(job_id)) as answer:
            await anext(events(answer))
            full = await service.client.get(url(job_id))
            assert full.text == ": too many streams, come back later\nretry: 30000\n\n"
            service.client.headers["authorization"] = f"Bearer {other_secret}"
            async with service.client.stream("GET", url(job_id)) as second:
                assert (await anext(events(second))).retry < 30000
        await eventually(lambda: service.state.streams.taken == 0)
