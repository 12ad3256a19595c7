"""What is refused: bad bodies, bad headers, bad HTTP; always as a problem, never with the payload in it."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from jdobb_service import protocol
from tests.support.serving import JSON, Running, code_of, pointers, serving
from tests.support.waiting import WITHIN

SECRET = "s3cr3t-payload"
DEEP = "[" * 100_000


def _with(field: str, text: str) -> bytes:
    return f'{{"job_type": "a", "{field}": {text}}}'.encode()


BODIES: list[tuple[bytes, int, str]] = [
    (b"", 400, "malformed-json"),
    (b" \n", 400, "malformed-json"),
    (b"{", 400, "malformed-json"),
    (b'{"job_type": "a",}', 400, "malformed-json"),
    (b"{'job_type': 'a'}", 400, "malformed-json"),
    (b'{"job_type": "a"} {}', 400, "malformed-json"),
    (b'{"job_type": "a"}\x00', 400, "malformed-json"),
    (b'{"job_type": "\x01"}', 400, "malformed-json"),
    (b'{"job_type": "\xff"}', 400, "malformed-json"),
    (b'{"job_type": "\xc0\xaf"}', 400, "malformed-json"),
    ('{"job_type": "a"}'.encode("utf-16"), 400, "malformed-json"),
    (b'\xef\xbb\xbf{"job_type": "a"}', 400, "malformed-json"),
    (DEEP.encode(), 422, "#"),
    (_with("data", '{"a": ' * 900 + "1" + "}" * 900), 422, "#"),
    (_with("data", '{"a": ' * 64 + "{}" + "}" * 64), 422, "#/data"),
    (_with("data", '{"x": NaN}'), 422, "#"),
    (_with("data", '{"x": -Infinity}'), 422, "#"),
    (_with("data", '{"x": [1, 1e400]}'), 422, "#/data/x/1"),
    (_with("data", f'{{"x": {2**64}}}'), 422, "#/data/x"),
    (_with("data", f'{{"a/b~c": {"9" * 300}}}'), 422, "#/data/a~1b~0c"),
    (_with("data", f'{{"x": {"9" * 5000}}}'), 422, "#"),
    (_with("data", r'{"x": "\ud800"}'), 422, "#/data/x"),
    (_with("data", r'{"\udfff": 1}'), 422, "#/data"),
    (_with("data", '{"a": {"b": 1, "b": 2}}'), 422, "#/data/a/b"),
    (b'{"job_type": "a", "job_type": "b"}', 422, "#/job_type"),
    (_with("data", "[1]"), 422, "#/data"),
    (_with("data", "null"), 422, "#/data"),
    (_with("data", '"text"'), 422, "#/data"),
    (_with("metadata", "7"), 422, "#/metadata"),
    (_with("metadata", r'{"x": "\ud800"}'), 422, "#/metadata/x"),
    (_with("prioritty", '"high"'), 422, "#/prioritty"),
    (_with("priority", '"HIGH"'), 422, "#/priority"),
    (_with("priority", "10"), 422, "#/priority"),
    (_with("ttl", '"3"'), 422, "#/ttl"),
    (_with("ttl", "true"), 422, "#/ttl"),
    (_with("ttl", "0"), 422, "#/ttl"),
    (_with("ttl", "1e400"), 422, "#/ttl"),
    (_with("delay", "-1"), 422, "#/delay"),
    (_with("delay", "1e308"), 422, "#/delay"),
    (_with("timeout", "0"), 422, "#/timeout"),
    (_with("max_attempts", "0"), 422, "#/max_attempts"),
    (_with("max_attempts", "true"), 422, "#/max_attempts"),
    (_with("max_attempts", "1.5"), 422, "#/max_attempts"),
    (_with("max_attempts", '"1"'), 422, "#/max_attempts"),
    (_with("max_attempts", "1e300"), 422, "#/max_attempts"),
    (_with("max_lost", "-1"), 422, "#/max_lost"),
    (_with("run_at", "1700000000"), 422, "#/run_at"),
    (_with("run_at", '"2030-01-01T00:00:00"'), 422, "#/run_at"),
    (_with("run_at", '"0001-01-01T00:00:00Z"'), 422, "#/run_at"),
    (_with("run_at", '"9999-12-31T23:59:59Z"'), 422, "#/run_at"),
    (_with("run_at", '"9999-12-31T23:59:59-23:59"'), 422, "#/run_at"),
    (_with("retry", '{"give_up_on": 5}'), 422, "#/retry/give_up_on"),
    (_with("retry", '{"base": true}'), 422, "#/retry/base"),
    (_with("retry", '{"bases": 1}'), 422, "#/retry/bases"),
    (_with("unique_key", '""'), 422, "#/unique_key"),
    (_with("unique_key", r'"\u0000"'), 422, "#/unique_key"),
    (_with("unique_key", r'"\ud800"'), 422, "#/unique_key"),
    (_with("id", '"../../etc/passwd"'), 422, "#/id"),
    (_with("id", r'"a\n"'), 422, "#/id"),
    (_with("on_conflict", '"ignore"'), 422, "#/on_conflict"),
    (b'{"job_type": "a", "delay": 1, "run_at": "2030-01-01T00:00:00Z"}', 422, "#"),
    (b'{"job_type": ""}', 422, "#/job_type"),
    (b'{"job_type": "a b"}', 422, "#/job_type"),
    (b'{"job_type": "a{b}"}', 422, "#/job_type"),
    (rb'{"job_type": "a\n"}', 422, "#/job_type"),
    (b'{"job_type": ["a"]}', 422, "#/job_type"),
    (b'{"data": {}}', 422, "#/job_type"),
    (b"[]", 422, "#"),
    (b"null", 422, "#"),
    (b'"job"', 422, "#"),
    (b"true", 422, "#"),
]


async def test_bad_bodies_are_refused_where_they_are_wrong(on_memory: Running):
    for body, status, expected in BODIES:
        answer = await on_memory.client.post("/jobs", content=body, headers=JSON)
        told = (answer.status_code, pointers(answer)[0] if status == 422 else code_of(answer))
        assert told == (status, expected), body[:120]
    assert await on_memory.queue.counts() == {}


async def test_a_refusal_never_repeats_what_was_sent(on_memory: Running):
    for field in ("job_type", "priority", "ttl", "id", "unique_key", "run_at", "on_conflict", "data"):
        for value in (f" {SECRET}", [SECRET], {SECRET: f"{SECRET}\ud800"}):
            content = json.dumps({"job_type": "a", field: value}).encode()
            answer = await on_memory.client.post("/jobs", content=content, headers=JSON)
            if answer.status_code != 201:
                # a pointer names the place, so it may hold names of the payload, but no values
                assert SECRET not in re.sub(r'"pointer": "[^"]*"', "", answer.text), (field, value)
    answer = await on_memory.client.post("/jobs", content=f"{{{SECRET}".encode(), headers=JSON)
    assert SECRET not in answer.text


async def test_what_is_odd_but_fine_is_kept_as_it_is(on_memory: Running):
    data = {
        "__proto__": {"constructor": 1},
        "null": None,
        "\u0000": "\u0000",
        "big": 2**63 - 1,
        "small": -(2**63),
        "float": 0.1,
        "minus": -0.0,
        "emoji": "\U0001f389\u2028",
        "deep": json.loads("[" * 62 + "]" * 62),
    }
    answer = await on_memory.client.post(
        "/jobs",
        content=json.dumps({"job_type": "a", "data": data}).encode(),
        headers={"content-type": 'Application/JSON; charset="UTF-8"'},
    )
    assert answer.status_code == 201, answer.text
    assert answer.json()["data"] == data


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": ""},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": "application/json; charset=latin-1"},
        {"content-type": "application/jsonp"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)
async def test_only_plain_json_is_taken(on_memory: Running, headers: dict[str, str]):
    answer = await on_memory.client.post("/jobs", content=b'{"job_type": "a"}', headers=headers)
    assert (answer.status_code, code_of(answer)) == (415, "unsupported-media-type")
    assert answer.headers["accept"] == "application/json"
    if "content-encoding" not in headers:
        assert "curl -H 'Content-Type: application/json'" in answer.json()["detail"]


async def test_a_body_over_the_limit_is_refused_declared_or_not():
    async with serving(max_payload_bytes=1000) as service:
        size = 1000 + 65_536

        async def chunked(length: int):
            for start in range(0, length, 8192):
                yield b" " * min(8192, length - start)

        for content in (b" " * (size + 1), chunked(size + 1)):
            answer = await service.client.post("/jobs", content=content, headers=JSON)
            assert (answer.status_code, code_of(answer)) == (413, "payload-too-large")
            assert answer.json()["limit"] == size
        for content in (b" " * size, chunked(size)):
            answer = await service.client.post("/jobs", content=content, headers=JSON)
            assert (answer.status_code, code_of(answer)) == (400, "malformed-json")


async def test_unknown_paths_and_methods_are_problems(on_memory: Running):
    for path in ("/nothing", "/jobs/", "/jobs/a/b/c", "/docs/../app.py", "/docs/secret.js"):
        answer = await on_memory.client.get(path)
        assert (answer.status_code, code_of(answer)) == (404, "not-found"), path
    for method, path, allowed in [
        ("DELETE", "/jobs", "GET, POST"),
        ("PUT", "/jobs/a", "DELETE, GET"),
        ("GET", "/jobs/a/cancel", "POST"),
        ("POST", "/livez", "GET"),
        ("HEAD", "/jobs/a/events", "GET"),
        ("POST", "/docs", "GET"),
    ]:
        answer = await on_memory.client.request(method, path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed), path
        assert method == "HEAD" or code_of(answer) == "method-not-allowed"


@pytest.mark.parametrize(
    "host", ["evil.test", "localhost.evil.test", "127.0.0.1.evil.test", "", "evil@localhost"]
)
async def test_a_strange_host_is_refused(on_memory: Running, host: str):
    answer = await on_memory.client.get("/jobs", headers={"host": host})
    assert (answer.status_code, code_of(answer)) == (400, "host-not-allowed")
    assert (await on_memory.client.get("/livez", headers={"host": host})).status_code == 200


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:1", "[::1]", "[::1]:8000"])
async def test_loopback_names_are_fine_with_any_port(on_memory: Running, host: str):
    assert (await on_memory.client.get("/jobs", headers={"host": host})).status_code == 200


async def _raw(service: Running, request: bytes) -> bytes:
    """Send bytes, close the writing side, and return everything that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(request)
    writer.write_eof()
    try:
        async with asyncio.timeout(WITHIN):
            return await reader.read()
    finally:
        writer.close()


POST = b"POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
HEAD = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET /\x1b[31m HTTP/1.1\r\nHost: localhost\r\n\r\n",
        HEAD + b"no colon\r\n\r\n",
        HEAD + b"a b: c\r\n\r\n",
        HEAD + b"a: b\r\n c\r\n\r\n",
        HEAD + b"content-length: -1\r\n\r\n",
        HEAD + b"content-length: abc\r\n\r\n",
        HEAD + b"content-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        HEAD + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"transfer-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc",
        HEAD + b"transfer-encoding: chunked\r\n\r\nxyz\r\n",
    ],
)
async def test_what_is_no_http_is_a_problem_and_ends_the_connection(on_memory: Running, request_bytes: bytes):
    answer = await _raw(on_memory, request_bytes)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"content-type: application/problem+json" in answer
    head, _, body = answer.rpartition(b"\r\n\r\n")
    problem = json.loads(body)
    assert problem["code"] == "malformed-request"
    assert f"\r\nx-request-id: {problem['request_id']}\r\n".encode() in head


async def test_a_request_without_a_host_or_with_two_is_refused(on_memory: Running):
    for hosts in (b"", b"Host: localhost\r\nHost: localhost\r\n"):
        answer = await _raw(on_memory, b"GET /jobs HTTP/1.1\r\n%sConnection: close\r\n\r\n" % hosts)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b'"code": "host-not-allowed"' in answer


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"),
    [
        (HEAD + b"a: " + b"x" * 40_000 + b"\r\n\r\n", 431, "headers-too-large"),
        (HEAD + b"".join(b"h%d: x\r\n" % n for n in range(120)) + b"\r\n", 431, "headers-too-large"),
        (b"GET /jobs?" + b"x" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414, "uri-too-long"),
        (HEAD + b"a: " + b"x" * 3_000_000, 431, "headers-too-large"),
    ],
)
async def test_headers_have_bounds(on_memory: Running, request_bytes: bytes, status: int, code: str):
    reader, writer = await asyncio.open_connection("127.0.0.1", on_memory.port)
    writer.write(request_bytes)
    async with asyncio.timeout(WITHIN):
        answer = await reader.readuntil(b"}")
    writer.close()
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert f'"code": "{code}"'.encode() in answer


@pytest.mark.parametrize(
    ("request_bytes", "answered"),
    [
        (b"", b""),
        (b"\r\n", b"HTTP/1.1 408 "),
        (b"GET / HTT", b"HTTP/1.1 408 "),
        (HEAD, b"HTTP/1.1 408 "),
        (
            POST + b"Content-Length: 9\r\n\r\n{",
            b"",
        ),
        (
            POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
            b"",
        ),
    ],
)
async def test_a_request_that_never_ends_is_cut(
    monkeypatch: pytest.MonkeyPatch, request_bytes: bytes, answered: bytes
):
    monkeypatch.setattr(protocol, "HEADERS_WITHIN", 0.2)
    monkeypatch.setattr(protocol, "BODY_WITHIN", 0.2)
    monkeypatch.setattr(protocol, "SLOWEST", 10**12)
    too_slow = protocol.GuardedHttp._too_slow

    def too_slow_once_it_came(connection: protocol.GuardedHttp) -> None:
        if connection._unparsed < len(request_bytes):  # the machine is slow, not the client
            connection._arm(protocol.HEADERS_WITHIN)
        else:
            too_slow(connection)

    monkeypatch.setattr(protocol.GuardedHttp, "_too_slow", too_slow_once_it_came)
    async with serving() as service:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(request_bytes)
        try:
            async with asyncio.timeout(WITHIN):
                answer = await reader.read()
        except ConnectionResetError:
            answer = b""
        writer.close()
    assert answer.startswith(answered)


async def test_a_connection_that_rests_is_kept_for_a_further_request(
    monkeypatch: pytest.MonkeyPatch, on_memory: Running
):
    rung = asyncio.Event()
    ring = protocol.GuardedHttp._ring

    def noted(connection: protocol.GuardedHttp) -> None:
        ring(connection)
        rung.set()

    monkeypatch.setattr(protocol.GuardedHttp, "_ring", noted)
    monkeypatch.setattr(protocol, "HEADERS_WITHIN", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", on_memory.port)
    async with asyncio.timeout(WITHIN):
        for _ in range(2):
            writer.write(HEAD + b"\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
            assert b'"alive"' in await reader.readuntil(b"}")
            await rung.wait()
            rung.clear()
    writer.close()


async def test_a_further_request_that_never_ends_is_cut(monkeypatch: pytest.MonkeyPatch, on_memory: Running):
    reader, writer = await asyncio.open_connection("127.0.0.1", on_memory.port)
    writer.write(HEAD + b"\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
    assert b'"alive"' in await reader.readuntil(b"}")
    monkeypatch.setattr(protocol, "HEADERS_WITHIN", 0.2)
    writer.write(HEAD)
    async with asyncio.timeout(WITHIN):
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
    writer.close()


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("offer", [b"h2c", b"websocket"])
async def test_an_offer_of_another_protocol_is_ignored(on_memory: Running, offer: bytes, at_once: bool):
    """Java's client offers HTTP/2 with every request, and sends the body without waiting for an answer."""
    body = json.dumps({"job_type": "a"}).encode()
    request = POST + b"Connection: Upgrade\r\nUpgrade: %s\r\nX: %s\r\nContent-Length: %d\r\n\r\n" % (
        offer, b"x" * 20_000, len(body),
    )  # fmt: skip
    reader, writer = await asyncio.open_connection("127.0.0.1", on_memory.port)
    async with asyncio.timeout(WITHIN):
        for _ in range(2):
            for part in [request + body] if at_once else [request[:-30], request[-30:], body[:5], body[5:]]:
                writer.write(part)
                await asyncio.sleep(0)  # the server is of this loop: each part comes by itself
            assert (await reader.readline()).startswith(b"HTTP/1.1 201 ")
            await reader.readuntil(b'"traceparent":null}')
        writer.write(HEAD + b"Connection: Upgrade, close\r\nUpgrade: %s\r\n\r\n" % offer)
        assert b'{"status":"alive"}' in await reader.read()
    writer.close()
    assert await on_memory.queue.counts() == {"a": {"pending": 2}}


async def test_a_connection_serves_many_requests(on_memory: Running):
    reader, writer = await asyncio.open_connection("127.0.0.1", on_memory.port)
    for _ in range(3):
        writer.write(HEAD + b"\r\n" + HEAD + b"\r\n")  # pipelined
        for _ in range(2):
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
            assert b'"alive"' in await reader.readuntil(b"}")
    writer.close()
