"""Every key that the backend keeps in Redis: its name, its type and what it holds.

All keys of a namespace begin with ``{<namespace>.0}:``. The braces make it one hash slot, the 0 is the number
of its shard. The scripts in ``lua/`` build the names; this is the list that documentation and checks go by.
"""

from __future__ import annotations

from dataclasses import dataclass

STATUS_LETTERS = {"pending": "p", "processing": "a", "complete": "c", "failed": "f", "cancelled": "x"}
STATUSES = {letter: status for status, letter in STATUS_LETTERS.items()}
WEIGHT_RANKS = {10: 0, 5: 1, 1: 2}
RANK = 2**48
"""What a rank adds to the score of a pending job; milliseconds since the epoch stay below it."""


@dataclass(frozen=True, slots=True)
class Key:
    """One kind of key; ``<…>`` in its name varies."""

    name: str
    type: str
    holds: str


KEYS = (
    Key(
        "seq", "string", "the last sequence number: 256 times the ms of the epoch, or one more than the last"
    ),
    Key("schema", "string", "the version of this layout"),
    Key("never", "none", "nothing, ever: declared by every script, see lua/run.lua"),
    Key("j:<id>", "string", "a job as JSON; its fields stand in lua/jobs.lua"),
    Key("d:<id>", "string", "its data, metadata, settings, request id and trace, as wire.py packs them"),
    Key("o:<id>", "string", "the results of a complete job, as JSON"),
    Key("e:<id>", "list", "the errors of its last 20 failed attempts, as JSON"),
    Key("u:<id>", "list", "its update log, once it is more than a start and an end; see lua/updates.lua"),
    Key("types", "set", "the job types that have jobs"),
    Key("all:<type>", "zset", "ids of a type's jobs by sequence"),
    Key("x:p:<type>", "zset", "pending jobs by rank * 2**48 + run_at; members are the sequence and the id"),
    Key("x:a:<type>", "zset", "processing jobs by the start of the attempt"),
    Key("x:c:<type>", "zset", "complete jobs by the instant of their end"),
    Key("x:f:<type>", "zset", "failed jobs by the instant of their end"),
    Key("x:x:<type>", "zset", "cancelled jobs by the instant of their end"),
    Key("leases", "zset", "<id>|<lease token> of processing jobs by the end of the lease"),
    Key("deadlines", "zset", "pending jobs with a ttl by the instant until which they must have started"),
    Key("prune", "zset", "terminal jobs by the instant from which they may be removed"),
    Key("unique", "hash", "<type> <unique key> = the id of the live job that holds it"),
    Key("wake:<type>", "zset", "one member while the type may have something ready; popped by who is idle"),
    Key("wake", "zset", "the same for those who claim any type"),
    Key("calls:<caller>", "string", "what the caller's last call did, kept for a minute; see lua/again.lua"),
    Key("idempotency", "hash", "<scope> NUL <key> = fingerprint, job id and the end of its time"),
    Key("idempotency_ends", "zset", "the fields of idempotency by that end"),
    Key("settings", "set", "the job types that have settings or a pause"),
    Key("type:<type>", "hash", "a job type's settings and pause; its fields stand in lua/settings.lua"),
    Key("worker:<name>", "hash", "a worker's entry in the registry; its fields stand in lua/workers.lua"),
    Key("worker_beats", "zset", "worker ids by their last heartbeat"),
    Key("minute:<instant>", "hash", "<type>|<figure>|<bucket> = how many in that minute"),
    Key("minutes", "zset", "the instants of those"),
    Key("errors:<instant>", "hash", "<type> NUL <error type> = how many in that hour, and the latest"),
    Key("hours", "zset", "the instants of those"),
)

CHANNELS = {
    "job:<id>": "an empty message for each update of the job, and when it is removed",
    "control": "an empty message when a running job is cancelled or a worker is given a directive",
}


def prefix_of(namespace: str) -> str:
    """Return what every key of a namespace begins with."""
    return f"{{{namespace}.0}}:"
