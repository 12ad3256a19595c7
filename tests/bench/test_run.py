"""The benchmark itself, over real servers, with next to no work."""

from __future__ import annotations

import json
import sys

import pytest

from bench import __main__ as command
from bench import environments
from bench.bench import Bench
from bench.environments import Unavailable
from bench.measures import drain
from bench.programs import running
from bench.roster import OURS, PEERS, Peer
from tests.support.redis_server import RedisServer

OUR_OWN = next(peer for peer in PEERS if peer.name == OURS)
SAYS = "import sys, time; sys.stdin.readline(); "


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Each drain empties its whole server: this one is for this module alone."""
    redis = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield redis
    redis.stop()


def test_a_quick_run_of_our_own_rows_writes_both_reports(tmp_path, capsys):
    assert command.main(["--quick", "--only", OURS, "enqueue", "latency", "--out", str(tmp_path)]) == 0

    text = (tmp_path / "report.md").read_text()
    everything = json.loads((tmp_path / "report.json").read_text())
    assert text in capsys.readouterr().out
    rows = {(row["measure"], row["case"]): row["samples"] for row in everything["results"]}
    assert set(rows) == {
        ("enqueue", "one by one"),
        ("enqueue", "50-way"),
        ("enqueue", "bulk"),
        ("latency", "idle"),
    }
    assert rows["enqueue", "one by one"]["script calls/job"] == [1.0]
    assert rows["enqueue", "50-way"]["script calls/job"][0] < 0.5
    assert 0 < rows["latency", "idle"]["start p50 ms"][0] <= rows["latency", "idle"]["start p99 ms"][0]
    assert everything["facts"]["rounds"] == 1
    assert {aim["met"] for aim in everything["aims"] if aim["against"] == "SAQ"} == {None}


def test_a_drain_counts_all_jobs_and_a_peer_that_fails_is_a_row_in_words(server):
    broken = Peer("broken", "Broken", "", "", slots=(10,), jobs=300)
    told = []
    bench = Bench([Peer(OURS, "", "", "", slots=(10,), jobs=300), broken], server, 2, tell=told.append)
    bench.command_of = lambda peer: (
        [sys.executable, "-c", SAYS + "sys.exit('no such option')"]
        if peer is broken
        else environments.command_of(peer)
    )
    drain.measure(bench)

    for case in ("no-op, 10 slots", "10 ms, 10 slots"):
        assert len(bench.results.samples("drain", OURS, case, "jobs/s")) == 2
        assert bench.results.samples("drain", OURS, case, "script calls/job")[0] < 1
        assert 100 < bench.results.samples("drain", OURS, case, "bytes/pending job")[0] < 2000
        assert bench.results.troubles["drain", "broken", case] == "it ended: no such option"
    assert told.count("drain: broken, no-op, 10 slots") == 1


def test_only_some_measures_and_peers_can_be_asked_for(capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(["--only", "drain", "nobody"])
    assert ended.value.code == 2
    assert "'nobody'" in capsys.readouterr().err


def test_a_program_that_says_nothing_is_given_up():
    with (
        running([sys.executable, "-c", SAYS + "time.sleep(60)"], {}) as program,
        pytest.raises(Unavailable) as why,
    ):
        program.expect("ready", patience=0.2)
    assert str(why.value) == "it did not answer in time"


def test_without_node_there_is_a_reason(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    bullmq = next(peer for peer in PEERS if peer.node)
    with pytest.raises(Unavailable) as why:
        environments.command_of(bullmq)
    assert str(why.value) == "node is not on PATH"


def test_each_peer_has_a_program():
    folder = environments.ROOT / "bench/peers"
    assert {peer.name for peer in PEERS} == {
        path.stem for path in folder.iterdir() if path.suffix in {".py", ".mjs"}
    } - {"__init__", "speaking"}
