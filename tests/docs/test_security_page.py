"""The page about security says what the code does: its commands work, and its lists are those of the code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import httpx
import pytest

from jdobb_service import body_limits, cors, pages, protocol, sse, waiting
from jdobb_service.app import RESOURCES, create_app
from jdobb_service.document import describe
from jdobb_service.hosts import LOOPBACK_NAMES
from jdobb_service.keys import SCOPES, ApiKey, digest, parse_keys
from jdobb_service.operations import Serve
from jdobb_service.problems import CATALOGUE
from jdobb_service.routes import feeds
from jdobb_service.schemas import access, batch
from jdobb_service.sessions import COOKIE, LIFETIME
from jdobb_service.settings import PREFIX, Settings
from jdobb_service.strict_json import MAX_DEPTH
from tests.docs.blocks import ROOT, blocks_of, calls_in, table
from tests.docs.service import Service, serving
from tests.support.waiting import WITHIN, until

PAGE = "docs/security.md"
TEXT = ROOT.joinpath(PAGE).read_text()
SIGNING_SECRET = "5ecret" * 6


class Made:
    """The key that the page's command made, a service that has it, and what that logs."""

    def __init__(self, secret: str, key: str, service: Service) -> None:
        self.secret, self.key, self.service = secret, key, service

    @property
    def log(self) -> str:
        return self.service.folder.joinpath("log").read_text()

    def lines(self, path: str) -> list[dict[str, object]]:
        """Return the log's lines about a path."""
        found = [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]
        return [line for line in found if line.get("path") == path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    command, _ = blocks_of(PAGE, "sh")
    secret, key = Service("http://localhost:8000", tmp_path_factory.mktemp("keys")).run(command.text).split()
    file = tmp_path_factory.mktemp("file") / "keys"
    file.write_text(f"# made by the page\n{key}\n")
    variables = {"JDOBB_API_KEYS_FILE": str(file), "JDOBB_SIGNING_SECRET": SIGNING_SECRET}
    with serving(tmp_path_factory.mktemp("service"), **variables) as service:
        yield Made(secret, key, service)


def test_the_key_has_the_scopes_of_the_command_and_only_a_digest_of_the_secret(made: Made):
    [key] = map(ApiKey.model_validate, parse_keys(made.key))
    assert (key.id, key.scopes, key.job_types) == ("shop", {"enqueue", "read"}, ("orders.*",))
    assert key.sha256 == digest(made.secret)
    assert made.secret not in made.key
    [shown] = [line for line in TEXT.splitlines() if line.startswith("shop:")]
    assert shown.split(":")[2:] == made.key.split(":")[2:]
    ApiKey.model_validate(parse_keys(shown)[0])


def test_the_secret_opens_the_service_and_nothing_else_does(made: Made):
    _, call = blocks_of(PAGE, "sh")
    assert json.loads(made.service.run(f"secret={made.secret}\n{call.text}"))["items"] == []
    for headers in ({}, {"authorization": f"Bearer {made.key.split(':')[1]}"}):
        assert httpx.get(f"{made.service.url}/jobs", headers=headers, timeout=WITHIN).status_code == 401


def test_the_log_has_the_fields_of_the_page_and_no_secret(made: Made):
    with httpx.Client(
        base_url=made.service.url, headers={"authorization": f"Bearer {made.secret}"}, timeout=WITHIN
    ) as client:
        body = {
            "job_type": "orders.new",
            "id": "marked",
            "data": {"card": "m4rked"},
            "metadata": {"pin": "m4rked"},
        }
        assert client.post("/jobs", json=body).status_code == 201
        sig = client.post("/events/token", json={"jobs": ["marked"]}).json()["sig"]
        cookie = client.post("/session").headers["set-cookie"]
        path = "/jobs/marked/events"
    with httpx.stream("GET", f"{made.service.url}{path}", params={"sig": sig}) as stream:
        assert stream.status_code == 200
    until(lambda: made.lines(path))
    [line] = made.lines(path)
    named = {name for row in table(PAGE, "Logs") for name in re.findall(r"`(\w+)`", row[0])}
    assert named == set(line) - {"event", "level", "at"}
    assert (line["query"], line["caller"]) == ("sig=***", "shop")
    value = cookie.partition(";")[0].partition("=")[2]
    for secret in (made.secret, sig, value, SIGNING_SECRET, "m4rked"):
        assert secret not in made.log


def test_the_cookie_is_as_the_page_says(made: Made):
    bearer = {"authorization": f"Bearer {made.secret}"}
    answer = httpx.post(f"{made.service.url}/session", headers=bearer, timeout=WITHIN)
    name, attributes = (
        answer.headers["set-cookie"].split("=", 1)[0],
        answer.headers["set-cookie"].split("; ")[1:],
    )
    assert name == COOKIE
    assert f"`{COOKIE}`" in TEXT
    assert attributes == ["Path=/", f"Max-Age={LIFETIME}", "HttpOnly", "SameSite=Strict"]
    assert LIFETIME == 12 * 3600
    assert access.NewEventToken.model_fields["ttl"].default == 600


def test_the_server_does_not_name_itself(made: Made):
    assert "server" not in httpx.get(f"{made.service.url}/livez", timeout=WITHIN).headers


def test_the_scopes_are_those_of_the_code():
    assert [row[0].strip("`") for row in table(PAGE, "Keys")] == list(SCOPES)


def test_what_needs_no_key_is_what_the_code_guards_by_no_scope():
    rows = re.findall(r"^\| (`(?:GET|DELETE) .+?`) \|", TEXT, re.MULTILINE)
    shown = {call for row in rows for call in calls_in(row)}
    paths = describe(RESOURCES)["paths"].items()
    open_to_all = {
        (method.upper(), path)
        for path, item in paths
        for method, spec in item.items()
        if "security" not in spec
    }
    app = create_app(Settings(backend_url="memory://"))
    unguarded = {("GET", route.path) for route in app.routes if not isinstance(route.app, Serve)}
    assert shown == open_to_all | unguarded


def test_the_settings_are_settings():
    named = {name.removeprefix(PREFIX).lower() for name in re.findall(r"`(JDOBB_[A-Z_]+)`", TEXT)}
    assert named - {"api_key"} <= set(Settings.model_fields)
    assert {row[0].strip("`") for row in table(PAGE, "Settings")} == {
        f"{PREFIX}{name.upper()}" for name in named - {"api_key"}
    }


def test_the_hosts_and_origins_are_those_of_the_code():
    assert ", ".join(f"`{name}`" for name in LOOPBACK_NAMES[:2]) + f" or `{LOOPBACK_NAMES[2]}`" in TEXT
    lists = [row[1] for row in table(PAGE, "Pages of other origins")]
    expected = (cors.METHODS, cors.REQUEST_HEADERS, cors.EXPOSED)
    assert lists == [", ".join(f"`{name}`" for name in names) for names in expected]


def test_the_headers_of_pages_are_those_of_the_code(made: Made):
    shown = {name.strip("`"): value.strip("`") for name, value in table(PAGE, "Headers")}
    answer = httpx.get(f"{made.service.url}/docs", timeout=WITHIN)
    assert shown == {name: answer.headers[name] for name in shown}
    assert set(shown) == {"content-security-policy", *pages._HEADERS}
    assert f"`{pages.TRUSTED_TYPES}`" in TEXT
    dashboard = httpx.get(made.service.url, timeout=WITHIN).headers["content-security-policy"]
    assert dashboard == f"{pages.POLICY}; {pages.TRUSTED_TYPES}"


def test_the_limits_are_those_of_the_code():
    defaults = Settings(backend_url="memory://")
    expected = {
        "the path and query": [protocol.MAX_URL_BYTES],
        "headers": [protocol.MAX_HEADERS, protocol.MAX_HEADER_BYTES],
        "time for headers": [protocol.HEADERS_WITHIN],
        "time for a body": [protocol.BODY_WITHIN, protocol.SLOWEST],
        "a body": [body_limits.MARGIN, defaults.max_payload_bytes],
        "the body of a batch": [body_limits.BATCH],
        "jobs in a batch": [batch.MAX_JOBS],
        "nesting of JSON": [MAX_DEPTH],
        "a wait": [waiting.MAX_WAIT],
        "waiting requests": [defaults.max_streams],
        "event streams": [defaults.max_streams],
        "jobs on a stream": [feeds.MOST],
        "the life of a stream": [sse.MAX_AGE],
        "a reader that takes nothing": [sse.SEND_TIMEOUT],
    }
    assert {
        row[0]: [int(number) for number in re.findall(r"\d+", row[1])] for row in table(PAGE, "Limits")
    } == expected
    for row in table(PAGE, "Limits"):
        for status, code in re.findall(r"(\d{3}) `([a-z-]+)`", row[2]):
            assert CATALOGUE[code].status == int(status)


def test_the_problems_are_in_the_catalogue():
    for status, code in re.findall(r"\b([45]\d\d)\s`([a-z-]+)`", TEXT):
        assert CATALOGUE[code].status == int(status)


@pytest.mark.parametrize("page", ["README.md", "SECURITY.md", "docs/http.md", "docs/deployment.md"])
def test_the_page_is_found_from_others(page: str):
    links = re.findall(r"\]\(([^)#]*security\.md)", ROOT.joinpath(page).read_text())
    assert (ROOT / PAGE).resolve() in {(ROOT / page).parent.joinpath(link).resolve() for link in links}
