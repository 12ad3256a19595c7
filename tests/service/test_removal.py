"""DELETE /jobs/{id}."""

from __future__ import annotations

from jdobb_service.keys import new_key
from tests.support.serving import Running, code_of, serving


async def test_a_terminal_job_is_removed(service: Running):
    complete, failed, cancelled = [await service.new_job() for _ in range(3)]
    await service.queue.complete(complete)
    await service.queue.fail(failed, "broken")
    await service.queue.cancel(cancelled)
    for job_id in (complete, failed, cancelled):
        answer = await service.client.delete(f"/jobs/{job_id}")
        assert (answer.status_code, answer.content) == (204, b"")
        assert await service.queue.get(job_id) is None
        assert code_of(await service.client.delete(f"/jobs/{job_id}")) == "job-not-found"


async def test_the_id_of_a_removed_job_may_be_used_again(service: Running):
    await service.new_job(id="a", data={"n": 1})
    await service.queue.cancel("a")
    await service.client.delete("/jobs/a")
    assert await service.new_job(id="a", data={"n": 2}) == "a"


async def test_a_live_job_is_not_removed(service: Running):
    pending, running = await service.new_job("a"), await service.new_job("b")
    await service.queue.claim(["b"])
    for job_id in (pending, running):
        answer = await service.client.delete(f"/jobs/{job_id}")
        assert (answer.status_code, code_of(answer)) == (409, "not-terminal")
        assert await service.queue.get(job_id) is not None


async def test_an_unknown_job_cannot_be_removed(service: Running):
    for job_id in ("unknown", "a%20b"):
        answer = await service.client.delete(f"/jobs/{job_id}")
        assert (answer.status_code, code_of(answer)) == (404, "job-not-found")


async def test_a_key_for_some_job_types_removes_no_others():
    key, secret = new_key("cleaner", ("admin",), ("billing.*",))
    async with serving(api_keys=(key,)) as service:
        caller = {"authorization": f"Bearer {secret}"}
        other, mine = await service.queue.enqueue("mail"), await service.queue.enqueue("billing.invoice")
        for job_id in (other, mine):
            await service.queue.cancel(job_id)
        refused = await service.client.delete(f"/jobs/{other}", headers=caller)
        assert (refused.status_code, code_of(refused)) == (404, "job-not-found")
        assert await service.queue.get(other) is not None
        assert (await service.client.delete(f"/jobs/{mine}", headers=caller)).status_code == 204
