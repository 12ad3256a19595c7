"""Several processes on one store: the same figures everywhere, and orders that reach the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.fleet import Fleet, fleet_on, post
from tests.support.waiting import WITHIN, until


@pytest.fixture(params=["sqlite", "redis"])
def processes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fleet]:
    with fleet_on(request.param, tmp_path) as started:
        yield started


def json_of(client: httpx.Client, method: str, path: str, **body: Any) -> Any:
    answer = client.request(method, path, json=body or None)
    assert answer.status_code == httpx.codes.OK, answer.text
    return answer.json()


def without_ages(value: Any) -> Any:
    """Return figures without what changes with the time."""
    if isinstance(value, dict):
        return {name: without_ages(part) for name, part in value.items() if name != "oldest_ready_age"}
    return [without_ages(part) for part in value] if isinstance(value, list) else value


def status_of(client: httpx.Client, job_id: str) -> str:
    return str(client.get(f"/jobs/{job_id}").json()["status"])


def worker_on(client: httpx.Client) -> dict[str, Any]:
    """Return the entry of the only worker, once it is there."""
    until(lambda: json_of(client, "GET", "/workers")["items"])
    found = json_of(client, "GET", "/workers")["items"]
    assert len(found) == 1
    return dict(found[0])


def test_two_services_agree_on_the_figures_of_a_worker_elsewhere(processes: Fleet):
    one, other = processes.api(), processes.api()
    processes.worker()
    done = [post(client) for client in (one, other) * 5]
    waiting = [post(client, job_type="nobody-does-this") for client in (one, other)]
    post(one, delay=1000)
    until(lambda: all(status_of(other, job_id) == "complete" for job_id in done))
    json_of(one, "PUT", "/job-types/count", timeout=50, max_pending=9)
    json_of(other, "POST", "/job-types/nobody-does-this/pause", reason="nobody there")

    stats = [without_ages(json_of(client, "GET", "/stats")) for client in (one, other)]
    assert stats[0] == stats[1]
    assert (stats[0]["ready"], stats[0]["delayed"]) == (len(waiting), 1)
    assert stats[0]["counts"]["complete"] == len(done)
    assert stats[0]["job_types"]["nobody-does-this"]["paused"] is True

    types = [without_ages(json_of(client, "GET", "/job-types")) for client in (one, other)]
    assert types[0] == types[1]
    named = {each["job_type"]: each for each in types[0]["items"]}
    assert (named["count"]["timeout"], named["count"]["max_pending"]) == (50, 9)
    assert named["nobody-does-this"]["pause_reason"] == "nobody there"

    def finished(client: httpx.Client) -> int:
        return sum(point["complete"] for point in json_of(client, "GET", "/stats/history")["items"])

    until(lambda: finished(one) == finished(other) == len(done))
    assert worker_on(one)["id"] == worker_on(other)["id"]


def test_a_pause_in_one_process_stops_claims_in_another(processes: Fleet):
    api = processes.api()
    processes.worker()
    first = post(api)
    until(lambda: status_of(api, first) == "complete")
    json_of(api, "POST", "/job-types/count/pause")
    held = [post(api) for _ in range(5)]
    beside = post(api, job_type="cancellable")
    until(lambda: status_of(api, beside) == "processing")
    assert {status_of(api, job_id) for job_id in held} == {"pending"}
    assert not {job_id for job_id, _ in processes.notes()} & set(held)
    json_of(api, "POST", "/job-types/count/resume")
    until(lambda: all(status_of(api, job_id) == "complete" for job_id in held))
    json_of(api, "POST", f"/jobs/{beside}/cancel")


def test_quiet_reaches_a_worker_of_another_process(processes: Fleet):
    api = processes.api()
    quiet_process = processes.worker()
    running = post(api, job_type="cancellable")
    until(lambda: status_of(api, running) == "processing")
    worker = worker_on(api)
    assert worker["pid"] == quiet_process.pid
    json_of(api, "POST", f"/workers/{worker['id']}/quiet")
    beats: set[str] = set()  # the third one follows an answer that held the order
    until(lambda: beats.add(worker_on(api)["last_heartbeat_at"]) or len(beats) > 2, within=3 * WITHIN)
    processes.worker()
    jobs = [post(api) for _ in range(10)]
    until(lambda: all(status_of(api, job_id) == "complete" for job_id in jobs))
    pids = {int(pid) for job_id, pid in processes.notes() if job_id in jobs}
    assert quiet_process.pid not in pids
    assert status_of(api, running) == "processing"
    json_of(api, "POST", f"/jobs/{running}/cancel")


def test_stop_ends_a_worker_of_another_process(processes: Fleet):
    api = processes.api()
    process = processes.worker()
    worker = worker_on(api)
    json_of(api, "POST", f"/workers/{worker['id']}/stop")
    assert process.wait(2 * WITHIN) == 0
    assert json_of(api, "GET", "/workers")["items"] == []
    assert api.post(f"/workers/{worker['id']}/stop").status_code == httpx.codes.NOT_FOUND


def test_a_schema_put_in_one_process_is_kept_to_in_another(processes: Fleet):
    one, other = processes.api(), processes.api()
    post(other, job_type="mail")
    json_of(one, "PUT", "/job-types/mail", schema={"required": ["to"]})
    refused = httpx.codes.UNPROCESSABLE_ENTITY
    until(lambda: other.post("/jobs", json={"job_type": "mail"}).status_code == refused)
    assert post(other, job_type="mail", data={"to": "ada"})


def test_an_http_worker_shows_what_it_said_last_whichever_process_heard_it(processes: Fleet):
    one, other = processes.api(), processes.api()
    post(one, job_type="mail")
    post(one, job_type="mail")

    def claim(client: httpx.Client, *job_types: str, limit: int = 1) -> list[dict[str, Any]]:
        answer = client.post("/worker/claim", json={"worker_id": "w", "job_types": job_types, "limit": limit})
        assert answer.is_success
        return answer.json()["jobs"] if answer.content else []

    def beat(client: httpx.Client, *jobs: dict[str, Any]) -> str:
        leases = [{"job_id": job["id"], "lease_token": job["lease_token"]} for job in jobs]
        answer = json_of(client, "POST", "/worker/heartbeat", worker_id="w", leases=leases)
        return str(answer["directive"])

    first, second = claim(one, "mail", limit=2)
    assert beat(one, first, second) == "run"
    began = worker_on(one)["started_at"]
    for job in (first, second):
        json_of(other, "POST", f"/worker/jobs/{job['id']}/complete", lease_token=job["lease_token"])
    assert beat(other) == "run"
    json_of(other, "POST", "/workers/w/quiet")
    assert claim(one, "mail", "sms") == []

    for client in (one, other):
        worker = worker_on(client)
        assert (worker["jobs"], worker["job_types"], worker["slots"]) == ([], ["mail", "sms"], 2)
        assert (worker["started_at"], worker["directive"]) == (began, "quiet")
    third = post(other, job_type="sms")
    (job,) = claim(other, "sms")
    assert beat(other, job) == "quiet"
    assert [worker_on(client)["jobs"] for client in (one, other)] == [[third], [third]]
    assert [worker_on(client)["job_types"] for client in (one, other)] == [["sms"], ["sms"]]
