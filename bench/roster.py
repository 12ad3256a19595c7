"""Who is measured: ourselves and each peer, with what it needs, how it is set, and what it promises."""

from __future__ import annotations

from dataclasses import dataclass

OURS = "ours"
SLOTS = (1, 10, 50, 100)
_UVLOOP, _HIREDIS = "uvloop==0.23.0", "hiredis==3.5.0"


@dataclass(frozen=True)
class Peer:
    """A queue over Redis. Its program is ``bench/peers/<name>``.

    ``jobs`` is how many no-op jobs a drain takes with more than one slot, so that each takes some seconds.
    """

    name: str
    title: str
    guarantees: str
    settings: str
    packages: tuple[str, ...] = ()
    slots: tuple[int, ...] = SLOTS
    jobs: int = 10_000
    bulk: bool = False
    node: bool = False


PEERS = (
    Peer(
        OURS,
        "jdobb-async-queue",
        "job state, result and updates kept; fenced leases; retries; at least once",
        "defaults, uvloop",
        bulk=True,
    ),
    Peer(
        "saq",
        "SAQ 0.26.4",
        "job state and result kept; sweep of stuck jobs; at least once",
        "defaults, uvloop, hiredis",
        ("saq==0.26.4", "redis==7.4.1", "typing_extensions", _UVLOOP, _HIREDIS),
    ),
    Peer(
        "arq",
        "arq 0.28.0",
        "result kept, no job state; in-progress key that expires; at least once",
        "poll_delay=0.001 (by default 0.5, 200 jobs/s), uvloop, hiredis",
        ("arq==0.28.0", _UVLOOP, _HIREDIS),
        jobs=4000,
    ),
    Peer(
        "streaq",
        "streaq 7.2.0",
        "job state and result kept; reclaimed by idle time; at least once",
        "defaults, uvloop",
        ("streaq==7.2.0", _UVLOOP, _HIREDIS),
        jobs=4000,
        bulk=True,
    ),
    Peer(
        "taskiq",
        "taskiq 0.13.0, taskiq-redis 1.2.4",
        "result kept, no job state; a worker that dies loses its jobs",
        "list broker, results in Redis looked for each ms, uvloop, hiredis",
        ("taskiq==0.13.0", "taskiq-redis==1.2.4", _UVLOOP, _HIREDIS),
        jobs=4000,
    ),
    Peer(
        "dramatiq",
        "dramatiq 2.2.1",
        "no job state, no result; heartbeats; at least once",
        "threads, hiredis, no Prometheus; results kept for the latency only",
        ("dramatiq==2.2.1", "redis==8.1.0", _HIREDIS),
        slots=(1, 10, 32, 50, 100),
    ),
    Peer(
        "celery",
        "Celery 5.7.0",
        "result kept; visibility timeout, acknowledged before the run: a worker that dies loses its jobs",
        "pool solo, or threads, prefetch 100 a slot, no gossip, mingle, heartbeat or events, hiredis",
        ("celery[redis]==5.7.0", _HIREDIS),
        jobs=1000,
    ),
    Peer(
        "rq",
        "RQ 3.0.0",
        "job state and result kept; heartbeats",
        "SimpleWorker, no fork, one slot a process; results looked for each ms; hiredis",
        ("rq==3.0.0", _HIREDIS),
        slots=(1,),
        jobs=1000,
        bulk=True,
    ),
    Peer(
        "huey",
        "huey 3.5.4",
        "result kept, no job state; a worker that dies loses its jobs",
        "threads, hiredis, notify_result for the latency only",
        ("huey==3.5.4", "redis==8.1.0", _HIREDIS),
        jobs=4000,
    ),
    Peer(
        "bullmq",
        "BullMQ 6.7.0",
        "job state, result and events kept; lock and stalled check; at least once",
        "defaults, Node",
        ("bullmq@6.7.0", "ioredis@6.0.0"),
        bulk=True,
        node=True,
    ),
)
