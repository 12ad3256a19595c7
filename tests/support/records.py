"""Builders of records, for tests below the backends."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from jdobb_async_queue.records import JobRecord, NewRecord, Retention
from jdobb_async_queue.transitions import start

NOW = 1_893_456_000_000
WEEK = Retention(1000, 2000, None)


def make_record(**fields: Any) -> JobRecord:
    """Return a pending job of NOW."""
    plain = JobRecord("job-1", "email", "pending", 5, b"{}", b"{}", NOW, NOW, NOW, seq=1)
    return replace(plain, **fields)


def make_started(**fields: Any) -> JobRecord:
    """Return a job that was claimed at NOW for ten seconds with the token ``token``."""
    return start(make_record(**fields), "token", 10_000, "worker-1", NOW)[0]


def make_new(**fields: Any) -> NewRecord:
    """Return a validated job on its way into a backend."""
    plain = {"id": "job-1", "job_type": "email", "priority": 5, "data": b"{}", "metadata": b"{}"}
    return NewRecord(**(plain | fields))


def dice(seed: int = 1) -> random.Random:
    """Return randomness that is the same in every run."""
    return random.Random(seed)  # noqa: S311 - it guards nothing
