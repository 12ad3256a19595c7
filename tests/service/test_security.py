"""Who may do what."""

from __future__ import annotations

from typing import Any

import pytest

from jdobb_service.app import RESOURCES
from jdobb_service.document import describe
from jdobb_service.keys import new_key
from jdobb_service.listening import CannotServe, check_exposure
from jdobb_service.problems import Problem
from jdobb_service.security import Guard, is_loopback
from jdobb_service.settings import Settings
from tests.support.callers import KEYS, as_
from tests.support.serving import Running, code_of, serving

OPERATIONS = [
    (method.upper(), path, spec)
    for path, methods in describe(RESOURCES)["paths"].items()
    for method, spec in methods.items()
]


def _needed(spec: dict[str, Any]) -> list[str]:
    return [scope for need in spec.get("security", ()) for scope in need.get("apiKey", ())]


async def test_every_operation_says_its_scope_and_keeps_to_it(guarded: Running):
    job_id = await guarded.queue.enqueue("a")
    for method, path, spec in OPERATIONS:
        needed = _needed(spec)
        url = path.replace("{id}", job_id if method == "GET" and "events" not in path else "no-such-job")
        guarded.client.cookies.clear()
        without = await guarded.client.request(method, url)
        if not needed:
            assert without.status_code == (204 if method == "DELETE" else 200), path
            continue
        assert (without.status_code, code_of(without)) == (401, "unauthenticated"), path
        assert without.headers["www-authenticate"] == 'Bearer realm="jobs"'
        for name, (key, _) in KEYS.items():
            answer = await guarded.client.request(method, url, headers=as_(name))
            guarded.client.cookies.clear()
            if key.scopes & {*needed, "admin"}:
                assert answer.status_code not in {401, 403}, (name, path)
            else:
                assert (answer.status_code, code_of(answer)) == (403, "insufficient-scope"), (name, path)
                assert f'scope="{" ".join(needed)}"' in answer.headers["www-authenticate"]


async def test_a_wrong_key_is_refused_before_the_body_is_looked_at(guarded: Running):
    secret, digest = KEYS["boss"][1], KEYS["boss"][0].sha256
    schemes = ["", "Bearer", "Bearer x", f"Basic {secret}", secret]
    for value in [*schemes, f"Bearer {secret}x", f"Bearer  {secret}", f"Bearer {digest}"]:
        answer = await guarded.client.post("/jobs", content=b"{", headers={"authorization": value})
        assert (answer.status_code, code_of(answer)) == (401, "unauthenticated"), value
    twice = [("authorization", as_("boss")["authorization"])] * 2
    assert (await guarded.client.get("/jobs", headers=twice)).status_code == 401
    in_query = await guarded.client.get("/jobs", params={"api_key": KEYS["boss"][1]})
    assert in_query.status_code == 401
    lower = {"authorization": f"bearer {KEYS['boss'][1]}"}
    assert (await guarded.client.get("/jobs", headers=lower)).status_code == 200


ON_ONE_JOB = [(method, path) for method, path, _ in OPERATIONS if "/jobs/{id}" in path]


async def test_to_a_key_for_some_job_types_every_operation_on_a_job_of_another_says_that_there_is_none():
    key, secret = new_key("all-billing", ("admin",), ("billing.*",))
    async with serving(api_keys=(key,)) as service:
        caller = {"authorization": f"Bearer {secret}"}
        await service.queue.enqueue("secret", {"x": 1}, job_id="other")
        claimed = await service.queue.claim(["secret"])
        before = await service.queue.get("other")
        for method, path in ON_ONE_JOB:
            body = {"lease_token": claimed.lease_token} if path.startswith("/worker/") else None
            if path.endswith("/fail"):
                body["error"] = {"message": "no"}
            answer, unknown = [
                await service.client.request(method, path.replace("{id}", job_id), json=body, headers=caller)
                for job_id in ("other", "unknown")
            ]
            assert (answer.status_code, code_of(answer)) == (404, "job-not-found"), path
            assert {**answer.json(), "request_id": ""} == {**unknown.json(), "request_id": ""}, path
        assert await service.queue.get("other") == before
    assert len(ON_ONE_JOB) >= 10


async def test_a_key_for_some_job_types_lists_and_enqueues_no_others(guarded: Running):
    await guarded.queue.enqueue("secret", {"x": 1})
    mine = await guarded.queue.enqueue("billing.invoice", {"x": 1})
    caller = as_("billing")
    assert (await guarded.client.get(f"/jobs/{mine}", headers=caller)).status_code == 200

    listed = (await guarded.client.get("/jobs", headers=caller)).json()["items"]
    assert [job["id"] for job in listed] == [mine]
    asked = await guarded.client.get("/jobs", params={"job_type": "secret"}, headers=caller)
    assert asked.json() == {"items": [], "next_cursor": None}

    refused = await guarded.client.post("/jobs", json={"job_type": "secret"}, headers=caller)
    assert (refused.status_code, code_of(refused)) == (403, "insufficient-scope")
    assert (await guarded.client.post("/jobs", json={"job_type": "mail"}, headers=caller)).status_code == 201


async def test_a_key_that_may_not_read_is_shown_no_content(guarded: Running):
    body = {"id": "a", "job_type": "a", "data": {"x": 1}, "metadata": {"y": 2}}
    await guarded.client.post("/jobs", json=body, headers=as_("boss"))
    await guarded.queue.complete("a", {"z": 3})
    answer = await guarded.client.post("/jobs", json=body, headers={**as_("producer"), "prefer": "wait=5"})
    job = answer.json()
    assert answer.status_code == 200
    assert (job["status"], job["data"], job["metadata"], job["results"]) == ("complete", {}, {}, None)


async def test_idempotency_keys_of_two_callers_do_not_meet(guarded: Running):
    made = [
        await guarded.client.post(
            "/jobs", json={"job_type": "mail"}, headers={**as_(name), "idempotency-key": "k"}
        )
        for name in ("producer", "billing", "producer")
    ]
    assert made[0].json()["id"] == made[2].json()["id"] != made[1].json()["id"]


async def test_with_keys_any_host_is_fine_unless_the_list_is_set(guarded: Running):
    headers = {**as_("boss"), "host": "jobs.example.com"}
    assert (await guarded.client.get("/jobs", headers=headers)).status_code == 200
    keys = tuple(key for key, _ in KEYS.values())
    async with serving(api_keys=keys, allowed_hosts="jobs.example.com, *.internal") as strict:
        assert (await strict.client.get("/jobs", headers=headers)).status_code == 200
        headers["host"] = "a.internal:8000"
        assert (await strict.client.get("/jobs", headers=headers)).status_code == 200
        headers["host"] = "localhost"
        assert code_of(await strict.client.get("/jobs", headers=headers)) == "host-not-allowed"


def test_other_addresses_need_keys_or_an_explicit_word():
    for host in ("0.0.0.0", "::", "192.0.2.7"):  # noqa: S104 - they are refused
        with pytest.raises(CannotServe, match="without API keys"):
            check_exposure(Settings(host=host))
        check_exposure(Settings(host=host, allow_anonymous=True))
        check_exposure(Settings(host=host, api_keys=(KEYS["boss"][0],)))
    for host in ("127.0.0.1", "localhost", "::1", "127.8.8.8"):
        check_exposure(Settings(host=host))


def test_without_keys_only_requests_to_loopback_are_let_in():
    guard = Guard(())
    assert guard.admit(None, ("127.0.0.1", 8000), "admin").id == "anonymous"
    with pytest.raises(Problem) as caught:
        guard.admit(None, ("192.0.2.7", 8000), "read")
    assert caught.value.code == "insecure-address"
    assert Guard((), allow_anonymous=True).admit(None, ("192.0.2.7", 8000), "read").id == "anonymous"
    for address, loopback in [
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("fe80::1%eth0", False),
        ("example", False),
    ]:
        assert is_loopback((address, 80)) is loopback
    assert is_loopback(("/run/jdobb.sock", None))


async def test_pages_of_other_origins_are_kept_out_unless_they_are_named():
    ask = {"origin": "https://app.example.com", "access-control-request-method": "POST",
           "access-control-request-headers": "content-type,idempotency-key"}  # fmt: skip
    async with serving() as closed:
        answer = await closed.client.options("/jobs", headers=ask)
        assert answer.status_code == 405
        assert "access-control-allow-origin" not in answer.headers
    async with serving(cors_origins="https://app.example.com") as service:
        answer = await service.client.options("/jobs", headers=ask)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "https://app.example.com"
        refused = await service.client.options("/jobs", headers={**ask, "origin": "https://evil.example"})
        assert code_of(refused) == "origin-not-allowed"
        assert "access-control-allow-origin" not in refused.headers
        made = await service.client.post("/jobs", json={"job_type": "a"}, headers={"origin": ask["origin"]})
        assert "Location" in made.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in made.headers


async def test_secrets_do_not_reach_the_log(guarded: Running, capsys: pytest.CaptureFixture[str]):
    await guarded.client.get("/jobs?sig=t0ps3cret&status=failed", headers=as_("boss"))
    await guarded.client.post("/jobs", json={"job_type": "a", "data": {"x": "p4yl0ad"}}, headers=as_("boss"))
    said = "".join(capsys.readouterr())
    assert "sig=***&status=failed" in said
    assert "caller=boss" in said
    assert not [word for word in ("t0ps3cret", "p4yl0ad", KEYS["boss"][1]) if word in said]


async def test_without_keys_a_page_of_another_origin_changes_nothing(on_memory: Running):
    job_id = await on_memory.new_job()
    await on_memory.queue.cancel(job_id)
    calls = [f"/jobs/{job_id}/retry", "/job-types/mail/pause", "/session", "/jobs"]
    for origin in ("https://evil.example", "null", "http://localhost", on_memory.url + "1"):
        for path in calls:
            answer = await on_memory.client.post(path, headers={"origin": origin})
            assert (answer.status_code, code_of(answer)) == (403, "foreign-origin"), (origin, path)
    assert (
        await on_memory.client.get("/jobs", headers={"origin": "https://evil.example"})
    ).status_code == 200
    own = [{"origin": on_memory.url}, {"origin": "http://localhost:3000", "sec-fetch-site": "same-origin"}]
    for headers in own:
        assert (await on_memory.client.post("/job-types/mail/pause", headers=headers)).status_code == 200
    async with serving(cors_origins="https://app.example.com") as service:
        for origin, status in [("https://app.example.com", 200), ("https://evil.example", 403)]:
            answer = await service.client.post("/job-types/mail/pause", headers={"origin": origin})
            assert answer.status_code == status
