"""``scripts/bench``: set up, measure, report."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import report
from bench.bench import Bench
from bench.environments import FOLDER, Unavailable, command_of, versions_of
from bench.measures import drain, enqueue, growth, http, latency, startup, stores, streams
from bench.roster import OURS, PEERS
from tests.support.redis_server import RedisServer

MEASURES = (drain, enqueue, latency, stores, http, streams, growth, startup)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for, and write the report; return the exit code."""
    chosen = _parser().parse_args(arguments)
    names = chosen.only or [*(measure.NAME for measure in MEASURES), *(peer.name for peer in PEERS)]
    measures = [measure for measure in MEASURES if measure.NAME in names] or list(MEASURES)
    peers = [peer for peer in PEERS if peer.name in names or peer.name == OURS]
    if not any(peer.name in names for peer in PEERS):
        peers = list(PEERS)
    begun = time.monotonic()
    facts: dict[str, Any] = report.machine()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        redis = RedisServer(Path(folder)).start()
        try:
            rounds, scale = (1, 0.1) if chosen.quick else (3, 1.0)
            bench = Bench(peers, redis, rounds, scale, quick=chosen.quick)
            facts["Redis"] = _redis_version(redis)
            facts["versions"] = _set_up(bench, [measure.NAME for measure in measures])
            facts["rounds"] = bench.rounds
            for measure in measures:
                measure.measure(bench)
                quick = " (--quick: too short to judge by)" if chosen.quick else ""
                facts["took"] = f"{time.monotonic() - begun:.0f} s{quick}"
                # each time, so that a run which is broken off has its report
                text = _write(chosen.out, bench, measures, facts)
        finally:
            redis.stop()
    print(text)
    print(f"written to {chosen.out}/report.md and report.json", file=sys.stderr)
    return 0


def _set_up(bench: Bench, measures: list[str]) -> dict[str, list[str]]:
    """Set up each peer; take down who cannot be. Return what is installed."""
    versions = {}
    for peer in list(bench.peers):
        try:
            command_of(peer)
            versions[peer.name] = versions_of(peer)
        except Unavailable as error:
            bench.peers.remove(peer)
            for measure in measures:
                bench.results.fail(measure, peer.name, "set-up", str(error))
    return versions


def _redis_version(redis: RedisServer) -> str:
    name = redis.command("INFO", "server").get("server_name", "redis")
    version = redis.figure("valkey_version" if name == "valkey" else "redis_version")
    return f"{name} {version}, nothing saved to disk"


def _write(out: Path, bench: Bench, measures: list[Any], facts: dict[str, Any]) -> str:
    """Write what is measured so far, and return it as people read it."""
    out.mkdir(parents=True, exist_ok=True)
    shown = {name: value for name, value in facts.items() if name != "versions"}
    text = report.markdown(bench.results, measures, bench.peers, shown)
    (out / "report.md").write_text(text, encoding="utf-8")
    everything = {
        "facts": facts,
        "peers": [vars(peer) for peer in bench.peers],
        "aims": report.aims_json(bench.results),
        "results": bench.results.as_json(),
    }
    (out / "report.json").write_text(json.dumps(everything, indent=1, ensure_ascii=False), encoding="utf-8")
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measure this project beside its peers, in one run on one machine.",
        epilog=f"measures: {' '.join(measure.NAME for measure in MEASURES)}; "
        f"peers: {' '.join(peer.name for peer in PEERS)}",
    )
    names = [*(measure.NAME for measure in MEASURES), *(peer.name for peer in PEERS)]
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="NAME",
        choices=names,
        help="only these measures, and beside ourselves only these peers",
    )
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the work, once: to see that it works"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=FOLDER / "report",
        metavar="DIR",
        help="where the report goes (.bench/report)",
    )
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # end what was started
    sys.exit(main())
