"""The page about workers in any language, and the README of the examples: their lines work in their order."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jdobb_service.schemas.worker import HeartbeatAnswer, LeaseState
from tests.docs.blocks import ROOT, blocks_of, table
from tests.docs.service import Service, serving
from tests.support.http_workers import Launcher

PAGE = "docs/workers.md"
EXAMPLES = "examples/workers/README.md"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("workers")) as service:
        yield service


def answers_to(service: Service, page: str) -> list[list[dict[str, Any]]]:
    """Run a page's blocks in one shell, as a reader does, and return the answers to each."""
    blocks = [block.text for block in blocks_of(page, "sh")]
    printed = service.run("echo; echo ----\n".join(blocks)).split("\n----\n")
    return [[json.loads(answer) for answer in _objects(text)] for text in printed]


def _objects(text: str) -> Iterator[str]:
    decoder, at = json.JSONDecoder(), 0
    while (at := text.find("{", at)) >= 0:
        begins = at
        _, at = decoder.raw_decode(text, at)
        yield text[begins:at]


def test_the_lines_take_a_job_through_its_life(service: Service):
    enqueued, claimed, beat, progress, released, failed, completed, repeated, lost = answers_to(service, PAGE)
    assert enqueued[0]["status"] == "pending"
    assert claimed == []
    assert (beat[0]["leases"][0]["status"], beat[0]["directive"]) == ("ok", "run")
    assert progress == [{"status": "ok", "lease_expires_in": 60.0}]
    assert (released[0]["status"], released[0]["failures"]) == ("pending", 0)
    assert (failed[0]["status"], failed[0]["failures"]) == ("pending", 1)
    assert failed[0]["errors"][0]["type"] == "NoPaper"
    assert (completed[0]["status"], completed[0]["results"]) == ("complete", {"pages": 1})
    assert repeated == completed
    assert (lost[0]["status"], lost[0]["code"]) == (409, "lease-lost")


def test_the_states_of_leases_and_the_directives_are_those_of_the_code():
    shown = {row[0].strip("`") for row in table(PAGE, "Keep the lease")}
    assert shown == set(LeaseState.model_fields["status"].annotation.__args__)
    text = ROOT.joinpath(PAGE).read_text(encoding="utf-8")
    directives = re.search(r"a `directive` for the worker: (.+?)\. Send", text, re.DOTALL)
    assert directives is not None
    named = set(re.findall(r"`(\w+)`", directives[1]))
    assert named == set(HeartbeatAnswer.model_fields["directive"].annotation.__args__)


def test_the_lines_of_the_examples_give_a_worker_something_to_do(service: Service, tmp_path: Path):
    with Launcher("python", tmp_path).started(service.url):
        (block,) = blocks_of(EXAMPLES, "sh")
        watched = service.run(block.text)
    assert "event: end" in watched
    assert '"results":{"words":3}' in watched


def test_every_link_of_the_examples_leads_to_a_file():
    text = ROOT.joinpath(EXAMPLES).read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#:]+)\)", text)
    assert targets
    assert all(ROOT.joinpath(EXAMPLES).parent.joinpath(target).exists() for target in targets)


def test_the_examples_are_those_that_there_are():
    text = ROOT.joinpath(EXAMPLES).read_text(encoding="utf-8")
    there = {
        path.name
        for path in ROOT.joinpath("examples/workers").iterdir()
        if path.suffix in {".py", ".mjs", ".sh"}
    }
    assert set(re.findall(r"^\| `(worker\.\w+)` \|", text, re.MULTILINE)) == there
