"""Signed addresses and sessions: POST /events/token, POST and DELETE /session."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from http.cookies import SimpleCookie

import pytest

from jdobb_service.keys import new_key
from jdobb_service.signing import EVENTS, SESSION, Signer
from tests.support.serving import Running, code_of, pointers, serving
from tests.support.streams import read_all
from tests.support.waiting import eventually

SECRET = "of thirty-two characters or more, shared"
KEY, KEY_SECRET = new_key("shop", ("enqueue", "read", "cancel"))
MAILER, MAILER_SECRET = new_key("mailer", ("read",), ("mail",))
BEARER = {"authorization": f"Bearer {KEY_SECRET}"}


@pytest.fixture
async def service() -> AsyncIterator[Running]:
    async with serving(api_keys=(KEY, MAILER), signing_secret=SECRET) as running:
        yield running


async def finished(service: Running, job_type: str = "test") -> str:
    job_id = await service.queue.enqueue(job_type, {})
    await service.queue.complete(job_id)
    return job_id


async def sign(service: Running, *jobs: str, **fields: object) -> str:
    answer = await service.client.post("/events/token", json={"jobs": jobs, **fields}, headers=BEARER)
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()["sig"]


async def begin(service: Running) -> str:
    """Begin a session and return what a browser sends as its cookie."""
    answer = await service.client.post("/session", headers=BEARER)
    assert (answer.status_code, answer.json()["caller"]) == (201, "shop")
    service.client.cookies.clear()
    return answer.headers["set-cookie"].partition(";")[0]


class TestSignedAddresses:
    async def test_a_signature_opens_the_streams_of_its_jobs(self, service: Running):
        one, two = await finished(service), await finished(service)
        sig = await sign(service, one, two)
        assert (await read_all(service.client, f"/jobs/{one}/events?sig={sig}"))[-1].name == "end"
        found = await read_all(service.client, f"/events?job={one}&job={two}&sig={sig}")
        assert [event.data["status"] for event in found if event.name == "end"] == ["complete"] * 2

    async def test_and_nothing_else(self, service: Running):
        one, other = await finished(service), await finished(service)
        sig = await sign(service, one)
        foreign = await service.client.get(f"/jobs/{other}/events?sig={sig}")
        assert (foreign.status_code, code_of(foreign)) == (404, "job-not-found")
        found = await read_all(service.client, f"/events?job={one}&job={other}&sig={sig}")
        assert {event.data["job_id"] for event in found if event.name == "message"} == {one}
        types = await service.client.get(f"/events?job_type=test&sig={sig}")
        assert (types.status_code, code_of(types)) == (403, "insufficient-scope")
        for path in (f"/jobs/{one}", "/jobs"):
            answer = await service.client.get(f"{path}?sig={sig}")
            assert (answer.status_code, code_of(answer)) == (401, "unauthenticated")

    async def test_a_changed_expired_or_foreign_signature_is_none(self, service: Running):
        one = await finished(service)
        sig = await sign(service, one)
        now = int(time.time())
        bad = [
            "",
            "x",
            sig[:-4] + ("AAAA" if sig[-4:] != "AAAA" else "BBBB"),
            "B" + sig[1:],
            sig + "é",
            Signer(SECRET).sign(EVENTS, "shop", now - 1, [one]),
            Signer(SECRET).sign(SESSION, "shop", now + 60, [one]),
            Signer(SECRET).sign(EVENTS, "revoked", now + 60, [one]),
            Signer(SECRET).sign(EVENTS, "anonymous", now + 60, [one]),
            Signer("another secret of thirty-two characters").sign(EVENTS, "shop", now + 60, [one]),
        ]
        for text in bad:
            answer = await service.client.get(f"/jobs/{one}/events", params={"sig": text})
            assert (answer.status_code, code_of(answer)) == (401, "unauthenticated"), text

    async def test_replicas_with_one_secret_take_each_others(self, service: Running):
        async with serving(api_keys=(KEY,), signing_secret=SECRET) as other:
            job_id = await finished(other)
            elsewhere = Signer(SECRET).sign(EVENTS, "shop", int(time.time()) + 60, [job_id])
            assert (await read_all(other.client, f"/jobs/{job_id}/events?sig={elsewhere}"))[-1].name == "end"

    async def test_only_jobs_that_the_key_sees_are_signed(self, service: Running):
        mail, other = await finished(service, "mail"), await finished(service)
        headers = {"authorization": f"Bearer {MAILER_SECRET}"}
        refused = await service.client.post("/events/token", json={"jobs": [mail, other]}, headers=headers)
        assert (refused.status_code, code_of(refused)) == (404, "job-not-found")
        assert [place["pointer"] for place in refused.json()["errors"]] == ["#/jobs/1"]
        nobody = await service.client.post("/events/token", json={"jobs": [mail]})
        assert nobody.status_code == 401

    @pytest.mark.parametrize(
        ("body", "place"),
        [
            ({"jobs": []}, "#/jobs"),
            ({"jobs": ["a"] * 101}, "#/jobs"),
            ({"jobs": ["a b"]}, "#/jobs/0"),
            ({"jobs": ["a"], "ttl": 0}, "#/ttl"),
            ({"jobs": ["a"], "ttl": 86401}, "#/ttl"),
            ({"jobs": ["a"], "why": 1}, "#/why"),
            ({}, "#/jobs"),
        ],
    )
    async def test_what_is_to_be_signed_is_checked(self, service: Running, body: dict, place: str):
        answer = await service.client.post("/events/token", json=body, headers=BEARER)
        assert (answer.status_code, pointers(answer)) == (422, [place])

    async def test_logs_do_not_show_it(self, service: Running, capsys: pytest.CaptureFixture[str]):
        one = await finished(service)
        sig = await sign(service, one)
        await service.client.get(f"/jobs/{one}/events?sig={sig}")
        output = ""

        def is_logged() -> bool:
            nonlocal output
            output += "".join(capsys.readouterr())
            return f"path=/jobs/{one}/events" in output

        await eventually(is_logged)
        assert "sig=***" in output
        assert sig not in output

    async def test_without_a_shared_secret_a_warning_says_so_once(self, capsys: pytest.CaptureFixture[str]):
        async with serving() as service:
            one = await finished(service)
            for _ in range(2):
                sig = await sign(service, one)
            assert (await read_all(service.client, f"/jobs/{one}/events?sig={sig}"))[-1].name == "end"
        assert "".join(capsys.readouterr()).count("signing_secret is not set") == 1


class TestSessions:
    async def test_the_cookie_is_for_the_services_own_pages(self, service: Running):
        answer = await service.client.post("/session", headers=BEARER)
        assert set(answer.json()["scopes"]) == {"enqueue", "read", "cancel"}
        (cookie,) = SimpleCookie(answer.headers["set-cookie"]).values()
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
        assert int(cookie["max-age"]) == 43_200
        assert KEY_SECRET not in answer.headers["set-cookie"]

    async def test_it_reads_what_the_key_may_read(self, service: Running):
        cookie = {"cookie": await begin(service)}
        job_id = await finished(service)
        assert (await service.client.get(f"/jobs/{job_id}", headers=cookie)).status_code == 200
        assert (await service.client.get("/jobs", headers=cookie)).status_code == 200
        found = await service.client.get(f"/jobs/{job_id}/events", headers=cookie)
        assert "event: end" in found.text

    async def test_it_changes_something_only_from_an_own_page(self, service: Running):
        cookie = {"cookie": await begin(service)}
        for origin in (
            {},
            {"origin": "null"},
            {"origin": "http://evil.example"},
            {"origin": "http://localhost"},
        ):
            answer = await service.client.post("/jobs", json={"job_type": "x"}, headers={**cookie, **origin})
            assert (answer.status_code, code_of(answer)) == (403, "foreign-origin")
        own = {**cookie, "origin": service.url}
        answer = await service.client.post("/jobs", json={"job_type": "x"}, headers=own)
        assert answer.status_code == 201
        assert (await service.client.get("/events?job_type=x", headers={"cookie": "a=b"})).status_code == 401

    async def test_it_allows_no_more_than_the_key(self, service: Running):
        headers = {"authorization": f"Bearer {MAILER_SECRET}"}
        answer = await service.client.post("/session", headers=headers)
        service.client.cookies.clear()
        own = {"cookie": answer.headers["set-cookie"].partition(";")[0], "origin": service.url}
        refused = await service.client.post("/jobs", json={"job_type": "mail"}, headers=own)
        assert (refused.status_code, code_of(refused)) == (403, "insufficient-scope")
        other = await finished(service)
        assert (await service.client.get(f"/jobs/{other}", headers=own)).status_code == 404

    async def test_it_tells_who_calls_and_what_they_may_do(self, service: Running, on_memory: Running):
        for headers in ({"cookie": await begin(service)}, BEARER):
            answer = await service.client.get("/session", headers=headers)
            assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
            assert answer.json() == {"caller": "shop", "scopes": ["enqueue", "read", "cancel"]}
        assert (await service.client.get("/session")).status_code == 401
        anybody = (await on_memory.client.get("/session")).json()
        assert anybody == {"caller": "anonymous", "scopes": ["enqueue", "read", "cancel", "work", "admin"]}

    async def test_a_key_is_needed_to_begin_one(self, service: Running):
        cookie = {"cookie": await begin(service), "origin": service.url}
        for headers in ({}, {"authorization": "Bearer wrong"}, cookie):
            answer = await service.client.post("/session", headers=headers)
            assert (answer.status_code, code_of(answer)) == (401, "unauthenticated")
            assert answer.headers["www-authenticate"] == 'Bearer realm="jobs"'
            assert "set-cookie" not in answer.headers

    async def test_a_changed_or_expired_one_is_none(self, service: Running):
        now = int(time.time())
        for text in (
            "x",
            Signer(SECRET).sign(SESSION, "shop", now - 1),
            Signer(SECRET).sign(EVENTS, "shop", now + 60),
            Signer(SECRET).sign(SESSION, "revoked", now + 60),
        ):
            answer = await service.client.get("/jobs", headers={"cookie": f"jdobb_session={text}"})
            assert (answer.status_code, code_of(answer)) == (401, "unauthenticated")

    async def test_ending_one_removes_the_cookie(self, service: Running):
        answer = await service.client.delete("/session")
        (cookie,) = SimpleCookie(answer.headers["set-cookie"]).values()
        assert (answer.status_code, cookie.value, cookie["max-age"]) == (204, "", "0")
        refused = await service.client.delete("/session", headers={"origin": "http://evil.example"})
        assert (refused.status_code, code_of(refused)) == (403, "foreign-origin")

    async def test_a_service_without_keys_needs_none(self, on_memory: Running):
        answer = await on_memory.client.post("/session")
        assert (answer.status_code, answer.json()["caller"]) == (201, "anonymous")
        assert "set-cookie" not in answer.headers
