"""Workers over HTTP: claims that wait, leases that are renewed and lost, attempts that are settled."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import pytest

from jdobb_async_queue import JobQueue, JobStatus, RetryPolicy
from jdobb_async_queue.backends.base import Claimed, ClaimRequest
from jdobb_service.app import create_app
from jdobb_service.keys import new_key
from jdobb_service.settings import Settings
from tests.support.outage import FailingBackend
from tests.support.serving import Running, code_of, pointers, serving
from tests.support.waiting import WITHIN, eventually

W = "w1"
SETTLING: list[tuple[str, dict[str, Any]]] = [
    ("complete", {"results": {"sent": 1}}),
    ("fail", {"error": {"message": "boom"}}),
    ("release", {}),
]
CALLS = [("progress", {"progress": 0.5}), *SETTLING]


async def claim(service: Running, **fields: Any) -> httpx.Response:
    headers = fields.pop("headers", None)
    return await service.client.post("/worker/claim", json={"worker_id": W, **fields}, headers=headers)


async def claimed(service: Running, **fields: Any) -> dict[str, Any]:
    answer = await claim(service, **fields)
    assert answer.status_code == 200, answer.text
    return answer.json()["jobs"][0]


async def tell(service: Running, verb: str, job: dict[str, Any], **fields: Any) -> httpx.Response:
    """Make a call about a claimed job, with its token unless another is given."""
    headers = fields.pop("headers", None)
    body = {"lease_token": job["lease_token"], **fields}
    return await service.client.post(f"/worker/jobs/{job['id']}/{verb}", json=body, headers=headers)


async def beat(service: Running, *jobs: dict[str, Any], **fields: Any) -> dict[str, Any]:
    leases = [{"job_id": job["id"], "lease_token": job["lease_token"]} for job in jobs]
    answer = await service.client.post(
        "/worker/heartbeat", json={"worker_id": W, "leases": leases}, headers=fields.get("headers")
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def status_of(service: Running, job_id: str) -> JobStatus:
    job = await service.queue.get(job_id)
    assert job is not None
    return job.status


def waiting(service: Running) -> int:
    return service.state.waits.taken


class TestClaim:
    async def test_it_brings_a_job_with_its_lease(self, service: Running):
        job_id = await service.new_job("mail", data={"to": "ida"}, metadata={"user": "7"})

        job = await claimed(service, job_types=["mail"], lease=60)

        assert (job["id"], job["status"], job["attempt"], job["worker_id"]) == (job_id, "processing", 1, W)
        assert (job["data"], job["metadata"]) == ({"to": "ida"}, {"user": "7"})
        assert job["lease_token"]
        assert 0 < job["lease_expires_in"] <= 60
        assert "lease_expires_at" not in job
        assert "lease_token" not in (await service.client.get(f"/jobs/{job_id}")).json()

    async def test_nothing_ready_is_no_content(self, service: Running):
        await service.new_job("other")
        answer = await claim(service, job_types=["mail"])
        assert (answer.status_code, answer.content) == (204, b"")
        assert "retry-after" not in answer.headers

    async def test_it_brings_the_best_first_and_no_more_than_asked(self, service: Running):
        low = await service.new_job("mail", priority="low")
        first, second = [await service.new_job(kind, priority="high") for kind in ("sms", "mail")]
        answer = await claim(service, limit=2)
        assert [job["id"] for job in answer.json()["jobs"]] == [first, second]
        assert await status_of(service, low) == "pending"

    async def test_it_waits_for_a_job(self, service: Running):
        asked = asyncio.create_task(claim(service, job_types=["mail"], wait=30))
        await eventually(lambda: waiting(service) == 1)
        job_id = await service.new_job("mail")
        assert (await asked).json()["jobs"][0]["id"] == job_id
        assert waiting(service) == 0

    async def test_a_wait_without_a_job_ends(self, service: Running):
        assert (await claim(service, wait=0.01)).status_code == 204

    async def test_the_lease_is_the_services_unless_it_is_asked_for(self):
        async with serving(lease=700) as service:
            await service.new_job("mail")
            assert 600 < (await claimed(service))["lease_expires_in"] <= 700

    @pytest.mark.parametrize(
        ("fields", "pointer"),
        [
            ({"worker_id": "a b"}, "#/worker_id"),
            ({"job_types": []}, "#/job_types"),
            ({"job_types": ["a b"]}, "#/job_types/0"),
            ({"job_types": "mail"}, "#/job_types"),
            ({"limit": 0}, "#/limit"),
            ({"limit": 101}, "#/limit"),
            ({"limit": 1.5}, "#/limit"),
            ({"wait": 31}, "#/wait"),
            ({"wait": -1}, "#/wait"),
            ({"lease": 0.5}, "#/lease"),
            ({"lease": 86_401}, "#/lease"),
            ({"jobtypes": ["mail"]}, "#/jobtypes"),
        ],
    )
    async def test_what_cannot_be_claimed_is_refused(self, on_memory: Running, fields, pointer):
        job_id = await on_memory.new_job("mail")
        assert pointers(await claim(on_memory, **fields)) == [pointer]
        assert await status_of(on_memory, job_id) == "pending"

    async def test_a_worker_has_a_name(self, on_memory: Running):
        answer = await on_memory.client.post("/worker/claim", json={})
        assert (answer.status_code, pointers(answer)) == (422, ["#/worker_id"])


@contextmanager
def asking(service: Running, **fields: Any) -> Iterator[socket.socket]:
    """Send a claim whose answer nobody reads, over a socket that can be closed at any moment."""
    body = json.dumps({"worker_id": W, **fields}).encode()
    head = (
        f"POST /worker/claim HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.sendall(head.encode() + body)
        yield client


class TestVanishedClient:
    async def test_a_wait_ends_with_its_client_and_takes_no_job(self, service: Running):
        with asking(service, job_types=["mail"], wait=30):
            await eventually(lambda: waiting(service) == 1)
        await eventually(lambda: waiting(service) == 0)

        job_id = await service.new_job("mail")

        assert (await claimed(service, job_types=["mail"]))["id"] == job_id

    async def test_a_job_that_comes_as_the_client_goes_is_not_lost(self, service: Running):
        """Whoever wins: the job waits for the next claim, at no cost."""
        for _ in range(20):
            with asking(service, job_types=["mail"], wait=30) as client:
                await eventually(lambda: waiting(service) == 1)
                client.close()
                job_id = await service.queue.enqueue("mail")
                await eventually(lambda: waiting(service) == 0)
                job = await service.queue.claim(
                    ["mail"], wait=WITHIN
                )  # a cancelled claim's is on its way back
                assert job is not None
                assert (job.id, job.failures, job.losses) == (job_id, 0, 0)
                await service.queue.complete(job_id)

    async def test_a_client_that_went_before_its_claim_was_done_gets_no_job(self, service: Running):
        ids = [await service.new_job("mail") for _ in range(20)]
        for _ in ids:
            with asking(service, job_types=["mail"]) as client:
                client.close()
        await eventually(lambda: waiting(service) == 0)
        for job in await service.queue.get_many(ids):
            assert job is not None
            assert job.failures == job.losses == 0


class Watched(FailingBackend):
    """A backend that calls ``claimed``, once, when a claim has got jobs and nobody knows of it yet."""

    claimed: Callable[[], Awaitable[object]] | None = None

    async def claim_pending_jobs(self, request: ClaimRequest) -> Claimed:
        answer: Claimed = await self.inner.claim_pending_jobs(request)
        if answer.records and self.claimed is not None:
            claimed, self.claimed = self.claimed, None
            await claimed()
        return answer


@pytest.mark.parametrize("wait", [0, 30], ids=["ready", "waited-for"])
class TestClientThatVanishesFromAClaimThatHasSucceeded:
    """The job allows no failure and no lost lease, and the lease outlasts any test."""

    @pytest.fixture
    async def watched(self, backend_url: str) -> AsyncIterator[Running]:
        async with JobQueue(Watched(JobQueue.from_url(backend_url).backend)) as queue:
            app = create_app(Settings(backend_url="memory://"), queue=queue)
            async with serving(app=app) as service:
                yield service

    async def test_the_service_has_had_no_chance_to_notice(self, watched: Running, wait: int):
        async def hang_up(client: socket.socket) -> None:
            client.close()

        await self.check_that_the_next_claim_gets_the_job(watched, wait, hang_up)

    async def test_the_service_notices_before_it_has_the_answer(self, watched: Running, wait: int):
        async def hang_up_and_be_noticed(client: socket.socket) -> None:
            client.close()
            with suppress(asyncio.CancelledError):  # so the service ends a claim that nobody waits for
                await asyncio.Event().wait()

        await self.check_that_the_next_claim_gets_the_job(watched, wait, hang_up_and_be_noticed)

    async def check_that_the_next_claim_gets_the_job(
        self, service: Running, wait: int, hang_up: Callable[[socket.socket], Awaitable[None]]
    ) -> None:
        job = {"job_type": "mail", "max_attempts": 1, "max_lost": 1}
        ids = [] if wait else [await service.new_job(**job)]
        was_claimed = asyncio.Event()
        with asking(service, job_types=["mail"], wait=wait, lease=3600) as client:

            async def has_claimed() -> None:
                was_claimed.set()
                await hang_up(client)

            service.queue.backend.claimed = has_claimed
            if wait:
                await eventually(lambda: waiting(service) == 1)
                ids = [await service.new_job(**job)]
            await was_claimed.wait()
            next_one = await claimed(service, job_types=["mail"], wait=30)
            assert [next_one["id"]] == ids
            assert (next_one["failures"], next_one["losses"]) == (0, 0)
            assert (await tell(service, "complete", next_one)).json()["status"] == "complete"


class TestBounds:
    async def test_a_claim_waits_only_while_a_place_is_free(self):
        async with serving(max_streams=1) as service:
            first = asyncio.create_task(claim(service, wait=30))
            await eventually(lambda: waiting(service) == 1)
            answer = await claim(service, wait=30)
            assert (answer.status_code, answer.headers["retry-after"]) == (204, "1")
            await service.new_job("mail")
            assert (await first).status_code == 200

    async def test_a_wait_ends_when_the_service_shuts_down(self):
        async with serving() as service:
            asked = asyncio.create_task(claim(service, wait=30))
            await eventually(lambda: waiting(service) == 1)
            service.state.closing.set()
            assert (await asked).status_code == 204
            answer = await claim(service)
            assert (answer.status_code, code_of(answer)) == (503, "draining")
            assert answer.headers["retry-after"]


class TestSettling:
    async def test_progress_is_stored_and_renews_the_lease(self, service: Running):
        await service.new_job("mail")
        job = await claimed(service, lease=60)
        answer = await tell(service, "progress", job, progress=0.5, message="half")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok", "lease_expires_in": 60.0})
        stored = await service.queue.get(job["id"])
        assert stored is not None
        assert (stored.progress, stored.message) == (0.5, "half")
        assert (await tell(service, "progress", job)).json()["status"] == "ok"

    async def test_progress_of_a_cancelled_job_says_so(self, service: Running):
        await service.new_job("mail")
        job = await claimed(service)
        await service.client.post(f"/jobs/{job['id']}/cancel")
        answer = await tell(service, "progress", job, progress=0.5)
        assert (answer.status_code, answer.json()) == (200, {"status": "cancelled", "lease_expires_in": 0.0})

    async def test_complete_keeps_the_results(self, service: Running):
        await service.new_job("mail")
        job = await claimed(service)
        answer = await tell(service, "complete", job, results={"sent": 1})
        assert (answer.status_code, answer.json()["status"]) == (200, "complete")
        assert (answer.json()["results"], answer.json()["progress"]) == ({"sent": 1}, 1.0)
        assert answer.headers["etag"]

    async def test_fail_follows_the_policy_unless_told_otherwise(self, service: Running):
        error = {"type": "SmtpError", "message": "boom", "traceback": "line 1"}
        seen = []
        for told in ({}, {"retry": False}, {"retry_in": 60}):
            await service.queue.enqueue("mail", retry=RetryPolicy(max_attempts=2, base=0, jitter=0), ttl=None)
            job = await claimed(service)
            answer = await tell(service, "fail", job, error=error, **told)
            assert answer.status_code == 200
            body = answer.json()
            seen.append(body["status"])
            (kept,) = body["errors"]
            assert (kept["type"], kept["message"], kept["traceback"]) == ("SmtpError", "boom", "line 1")
            await service.queue.cancel(job["id"])
        assert seen == ["pending", "failed", "pending"]

    async def test_a_released_job_waits_again_at_no_cost(self, service: Running):
        job_id = await service.new_job("mail")
        answer = await tell(service, "release", await claimed(service))
        assert (answer.status_code, answer.json()["status"], answer.json()["failures"]) == (200, "pending", 0)
        job = await claimed(service)
        assert job["id"] == job_id
        await tell(service, "release", job, delay=60)
        assert (await claim(service)).status_code == 204

    @pytest.mark.parametrize(("verb", "fields"), SETTLING)
    async def test_repeating_a_call_with_its_own_token_is_fine(self, service: Running, verb, fields):
        await service.new_job("mail")
        job = await claimed(service)
        first = await tell(service, verb, job, **fields)
        again = await tell(service, verb, job, **fields)
        assert (first.status_code, again.status_code) == (200, 200)
        assert first.json() == again.json()

    @pytest.mark.parametrize(("verb", "fields"), CALLS)
    async def test_a_token_that_is_not_current_changes_nothing(self, service: Running, verb, fields):
        await service.new_job("mail")
        old = await claimed(service)
        await tell(service, "release", old)
        new = await claimed(service)
        before = await service.queue.get(new["id"])
        token = old["lease_token"] if verb != "release" else "somebody-elses"
        answer = await tell(service, verb, new, **fields, lease_token=token)
        assert (answer.status_code, code_of(answer)) == (409, "lease-lost")
        assert await service.queue.get(new["id"]) == before

    @pytest.mark.parametrize(("verb", "fields"), SETTLING)
    async def test_a_cancelled_job_is_not_settled(self, service: Running, verb, fields):
        await service.new_job("mail")
        job = await claimed(service)
        await service.queue.cancel(job["id"])
        assert code_of(await tell(service, verb, job, **fields)) == "lease-lost"
        assert await status_of(service, job["id"]) == "cancelled"

    @pytest.mark.parametrize(("verb", "fields"), CALLS)
    async def test_an_unknown_job_is_not_found(self, service: Running, verb, fields):
        answer = await tell(service, verb, {"id": "nobody", "lease_token": "t"}, **fields)
        assert (answer.status_code, code_of(answer)) == (404, "job-not-found")

    @pytest.mark.parametrize(
        ("verb", "fields", "pointer"),
        [
            ("progress", {"progress": 1.5}, "#/progress"),
            ("progress", {"lease_token": ""}, "#/lease_token"),
            ("complete", {"results": [1]}, "#/results"),
            ("complete", {"results": {"x": 2**64}}, "#/results/x"),
            ("fail", {}, "#/error"),
            ("fail", {"error": {"type": "E"}}, "#/error/message"),
            ("fail", {"error": {"message": "m"}, "retry_in": -1}, "#/retry_in"),
            ("release", {"delay": -1}, "#/delay"),
            ("release", {"why": "x"}, "#/why"),
        ],
    )
    async def test_what_does_not_fit_points_at_the_place(self, on_memory: Running, verb, fields, pointer):
        await on_memory.new_job("mail")
        job = await claimed(on_memory)
        assert pointers(await tell(on_memory, verb, job, **fields)) == [pointer]
        assert await status_of(on_memory, job["id"]) == "processing"


class TestHeartbeat:
    async def test_it_tells_how_each_lease_stands(self, service: Running):
        for _ in range(3):
            await service.new_job("mail")
        held, cancelled, released = (await claim(service, limit=3, lease=600)).json()["jobs"]
        await service.queue.cancel(cancelled["id"])
        await tell(service, "release", released, delay=60)

        answer = await beat(service, held, cancelled, released)

        assert [(lease["job_id"], lease["status"]) for lease in answer["leases"]] == [
            (held["id"], "ok"),
            (cancelled["id"], "cancelled"),
            (released["id"], "lost"),
        ]
        assert 500 < answer["leases"][0]["lease_expires_in"] <= 600
        assert answer["directive"] == "run"

    async def test_the_worker_is_registered_and_told_what_to_do(self, service: Running):
        await service.new_job("mail")
        job = await claimed(service, job_types=["mail"], limit=4)
        await beat(service, job)
        (known,) = await service.queue.workers()
        assert (known.id, known.job_types, known.jobs, known.slots) == (W, ["mail"], [job["id"]], 4)
        assert (known.host, known.stopping, known.stale) == ("127.0.0.1", [], False)

        for directive in ("quiet", "stop", "run"):
            await service.queue.signal_worker(W, directive)
            assert (await beat(service))["directive"] == directive

    async def test_a_job_that_has_to_be_given_up_shows_as_stopping(self, service: Running):
        await service.new_job("mail")
        job = await claimed(service)
        await service.queue.cancel(job["id"])
        await beat(service, job)
        assert (await service.queue.workers())[0].stopping == [job["id"]]

    async def test_another_process_keeps_what_the_first_was_told(self, tmp_path):
        url = f"sqlite:///{tmp_path / 'jobs.db'}"
        async with serving(backend_url=url) as one, serving(backend_url=url) as other:
            await claim(one, job_types=["mail"])
            began = (await one.queue.workers())[0].started_at
            await beat(other)
            (known,) = await other.queue.workers()
            assert (known.job_types, known.started_at) == (["mail"], began)


class TestKeys:
    @pytest.fixture
    async def limited(self) -> AsyncIterator[tuple[Running, dict[str, str]]]:
        key, secret = new_key("mailer", ("work",), ("mail.*", "sms"))
        async with serving(api_keys=(key,)) as service:
            yield service, {"authorization": f"Bearer {secret}"}

    async def test_a_claim_without_job_types_means_those_of_the_key(self, limited):
        service, headers = limited
        await service.queue.enqueue("secret", priority="high")
        mine = {await service.queue.enqueue(kind) for kind in ("mail.out", "sms")}
        jobs = (await claim(service, limit=10, headers=headers)).json()["jobs"]
        assert {job["id"] for job in jobs} == mine

    async def test_a_waiting_claim_sees_a_job_type_that_is_new(self, limited):
        service, headers = limited
        asked = asyncio.create_task(claim(service, wait=30, headers=headers))
        await eventually(lambda: waiting(service) == 1)
        job_id = await service.queue.enqueue("mail.new", {"to": "ida"})
        (job,) = (await asked).json()["jobs"]
        assert (job["id"], job["data"]) == (job_id, {"to": "ida"})

    async def test_other_job_types_cannot_be_claimed(self, limited):
        service, headers = limited
        answer = await claim(service, job_types=["sms", "secret"], headers=headers)
        assert (answer.status_code, code_of(answer)) == (403, "insufficient-scope")

    async def test_jobs_of_other_types_do_not_exist_even_with_their_token(self, limited):
        service, headers = limited
        await service.queue.enqueue("secret")
        job = await service.queue.claim()
        known = {"id": job.id, "lease_token": job.lease_token}
        for verb, fields in CALLS:
            assert code_of(await tell(service, verb, known, **fields, headers=headers)) == "job-not-found"
        answer = await beat(service, known, headers=headers)
        assert [lease["status"] for lease in answer["leases"]] == ["lost"]
        assert await status_of(service, job.id) == "processing"
