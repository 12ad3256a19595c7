"""What the doctor makes of what it finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from jdobb_service.cli.checks.clocks import clock_finding
from jdobb_service.cli.checks.redis import memory_finding, persistence_finding
from jdobb_service.cli.checks.sqlite import filesystem_finding, filesystem_of
from jdobb_service.cli.checks.work import work_findings
from jdobb_service.schemas.job_types import StatusCounts
from jdobb_service.schemas.stats import Figures

NOBODY = StatusCounts(pending=0, processing=0, complete=0, failed=0, cancelled=0)


def figures(*, ready: int = 0, running: int = 0) -> Figures:
    return Figures(ready=ready, running=running, delayed=0, oldest_ready_age=None, counts=NOBODY)


@pytest.mark.parametrize(
    ("ahead", "took", "verdict", "words"),
    [
        (1.9, 0, "ok", "agree"),
        (-1.9, 0, "ok", "agree"),
        (5.0, 0, "warning", "5.0 s ahead of ours"),
        (-5.0, 0, "warning", "5.0 s behind ours"),
        (31.0, 0, "failure", "31.0 s ahead of ours"),
        (-5.0, 8, "ok", "agree"),
        (5.0, 2, "warning", "4.0 s ahead of ours"),
    ],
)
def test_clocks_may_differ_a_little_and_by_what_asking_took(
    ahead: float, took: float, verdict: str, words: str
):
    found = clock_finding("its", ahead, took)
    assert found.verdict == verdict
    assert words in found.detail
    assert found.remedy is None or "NTP" in found.remedy


@pytest.mark.parametrize(("policy", "verdict"), [("noeviction", "ok"), ("allkeys-lru", "failure")])
def test_a_server_that_drops_jobs_when_it_is_full_is_a_failure(policy: str, verdict: str):
    assert memory_finding(policy).verdict == verdict


@pytest.mark.parametrize(
    ("info", "settings", "verdict", "words"),
    [
        ({"aof_enabled": 1}, {"appendfsync": "always"}, "ok", "fsync always"),
        ({"aof_enabled": 1, "aof_last_write_status": "err"}, {}, "failure", "append-only file failed"),
        ({"aof_enabled": 0}, {"save": ""}, "warning", "none"),
        ({"aof_enabled": 0}, {"save": "3600 1"}, "warning", "snapshots only"),
        ({"aof_enabled": 0}, {}, "warning", "snapshots only"),
    ],
)
def test_what_a_server_keeps_is_said(info, settings, verdict: str, words: str):
    found = persistence_finding(info, settings)
    assert found.verdict == verdict
    assert words in found.detail


@pytest.mark.parametrize(("kind", "verdict"), [("ext4", "ok"), (None, "ok"), ("nfs4", "failure")])
def test_a_file_on_a_network_is_a_failure(kind: str | None, verdict: str):
    assert filesystem_finding(kind).verdict == verdict


def test_the_filesystem_of_a_folder_is_known_where_the_system_tells(tmp_path: Path):
    assert filesystem_of(tmp_path) != ""


def test_jobs_without_a_worker_and_jobs_that_a_worker_left_are_told():
    live = {"id": "a", "stale": False, "job_types": ["busy"], "last_heartbeat_at": "now"}
    gone = {"id": "b", "stale": True, "job_types": ["left"], "last_heartbeat_at": "then"}
    standing = {
        "busy": figures(ready=1, running=1), "left": figures(running=2), "waits": figures(ready=3),
        "handled": figures(ready=1),
    }  # fmt: skip
    found = [
        (item.name, item.verdict, item.detail) for item in work_findings([live, gone], standing, ["handled"])
    ]
    assert found == [
        ("workers", "ok", "1 at work"),
        ("workers", "warning", "b gave no sign since then"),
        ("leases", "warning", "2 of type left are held by a worker that is gone"),
        ("jobs", "warning", "3 of type waits wait, and no worker runs them"),
    ]
