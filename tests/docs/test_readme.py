"""The README's lines work as they stand, and its tables say what the code says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from jdobb_async_queue import transitions
from jdobb_async_queue.models import JobStatus
from jdobb_async_queue.records import JobRecord, Retention
from jdobb_async_queue.transitions import AttemptFailure, Transition
from jdobb_service.app import create_app
from jdobb_service.settings import PREFIX, Settings
from tests.docs.blocks import ROOT, blocks_of, calls_in, run_block, table
from tests.docs.programs import output_of
from tests.docs.service import Service, serving
from tests.support.redis_server import RedisServer
from tests.support.waiting import WITHIN

PAGE = "README.md"
ON_REDIS = "JDOBB_BACKEND_URL=redis://localhost:6379/0 ./scripts/serve\n"
NOT_RUN = {
    ON_REDIS: "the service that the test starts with this variable stands for it",
    "./scripts/serve\n": "the service that the test starts stands for it",
    "pip install '.[sqlite]'\n": "the environment of the tests has it",
}


@pytest.fixture(scope="module", params=["sqlite", "redis"])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Return the service as the page starts it: with nothing set, or with its one setting for Redis."""
    folder = tmp_path_factory.mktemp("readme")
    if request.param == "sqlite":
        with serving(folder) as service:
            yield service
        return
    server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    variable, value = ON_REDIS.split(maxsplit=1)[0].split("=")
    with serving(folder, **{variable: value.replace(":6379/", f":{server.port}/")}) as service:
        yield service
    server.stop()


def test_the_shell_lines_work_in_their_order(service: Service):
    blocks = blocks_of(PAGE, "sh")
    assert {block.text for block in blocks} >= set(NOT_RUN)
    printed = [service.run(block.text) for block in blocks if block.text not in NOT_RUN]
    first, examples, squares, calls, command = printed
    assert '"rows":240' in first
    assert "event: end" in first
    assert examples.count('"status":"pending"') == 3
    assert len(set(re.findall(r'"progress":(0\.\d+)', squares))) >= 2
    assert '"rows":500000' in squares
    assert '"status":"cancelled"' in calls
    assert calls.endswith("}")
    assert "complete" in command


def test_the_store_is_the_one_that_was_set(service: Service, request: pytest.FixtureRequest):
    backend = httpx.get(f"{service.url}/readyz", timeout=WITHIN).json()["backend"]
    assert backend["name"] == request.node.callspec.params["service"]
    assert service.folder.joinpath("jdobb.db").exists() is (backend["name"] == "sqlite")


def test_all_jobs_of_the_examples_complete(service: Service):
    with httpx.Client(base_url=service.url, timeout=2 * WITHIN) as client:
        for job in client.get("/jobs").json()["items"]:
            if job["id"] != "later":
                assert client.get(f"/jobs/{job['id']}?wait=30").json()["status"] == "complete"


async def test_the_quick_start_prints_what_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    program, output = blocks_of(PAGE, "python", "text")[:2]
    assert await output_of(program.text) == output.text


async def test_the_handler_can_be_declared():
    names = await run_block(blocks_of(PAGE, "python")[1].text, {})
    assert list(names["router"].handlers) == ["mail"]


def settings_rows() -> list[list[str]]:
    return [
        [f"`{PREFIX}{name.upper()}`", _shown(field.default), (field.description or "").replace("|", r"\|")]
        for name, field in Settings.model_fields.items()
    ]


def _shown(default: Any) -> str:
    match default:
        case None | ():
            return "none"
        case bool():
            return f"`{str(default).lower()}`"
        case float():
            return f"`{default:g}`"
        case _:
            return f"`{default}`"


def test_the_settings_are_those_of_the_code():
    expected = settings_rows()
    lines = "\n".join(f"| {' | '.join(row)} |" for row in expected)
    assert table(PAGE, "Settings of the service") == expected, f"the table should be\n\n{lines}"


def moves() -> dict[str, set[str]]:
    """Return to which statuses each status may move, by every transition that can be built."""
    kept = Retention(None, None, None)
    failure = AttemptFailure("boom")
    record = JobRecord("id", "type", "pending", 5, b"{}", b"{}", 0, 0, 0, lease_token="token")
    changes = [
        Transition.complete("id", None, kept),
        Transition.retry_later("id", failure, 0),
        Transition.fail("id", failure, kept),
        Transition.release("id", lease_token="token"),
        Transition.cancel("id", None, kept),
        Transition.rescue(record),
        Transition.give_up(record, "lost", kept),
        Transition.expire(record, "expired", kept),
        Transition.retry("id"),
    ]
    constructors = {name for name, item in vars(Transition).items() if isinstance(item, classmethod)}
    assert len(changes) + len({"report", "log", "send"}) == len(constructors)
    found: dict[str, set[str]] = {status.value: set() for status in JobStatus}
    started, _ = transitions.start(record, "token", 1, None, 0)
    found[record.status].add(started.status)
    for change in changes:
        for status in change.allowed:
            found[status] |= {change.status or status} - {status}
    return found


@pytest.mark.parametrize("page", [PAGE, "docs/lifecycle.md"])
def test_the_statuses_move_as_the_code_moves_them(page: str):
    title = "The life of a job" if page == PAGE else "Statuses"
    shown = {row[0].strip("`"): set(re.findall(r"`(\w+)`", row[2])) for row in table(page, title)}
    assert shown == moves()


def test_the_calls_are_those_of_the_service():
    calls = {call for row in table(PAGE, "HTTP") for call in calls_in(row[0])}
    document = create_app(Settings(backend_url="memory://")).openapi()
    served = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert calls - {("GET", "/openapi.json"), ("GET", "/docs")} == served


def test_every_link_leads_to_a_file():
    for page in [ROOT / PAGE, ROOT / "ARCHITECTURE.md", *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert page.parent.joinpath(target).exists(), f"{page.name}: {target}"
