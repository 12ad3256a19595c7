"""What the OpenAPI document shows as examples: one small shop, whose jobs send mail and make reports."""

from __future__ import annotations

from typing import Any

TOKEN = "v1-Zk3q9pXwT0mB"  # noqa: S105 - made up, for the document
AT = "2030-01-31T08:00:00Z"
_LATER = "2030-01-31T08:00:02.500Z"

NEW_JOB: dict[str, Any] = {
    "job_type": "mail",
    "data": {"to": "ada@example.com", "template": "welcome"},
    "priority": "high",
    "ttl": 3600,
    "metadata": {"order": "18"},
    "id": "order-18",
    "max_attempts": 5,
}
_SUMMARY: dict[str, Any] = {
    "id": "order-18",
    "job_type": "mail",
    "status": "pending",
    "priority": "high",
    "progress": 0.0,
    "message": None,
    "error": None,
    "metadata": {"order": "18"},
    "created_at": AT,
    "updated_at": AT,
    "completed_at": None,
    "ttl": 3600.0,
    "attempt": 0,
    "failures": 0,
    "losses": 0,
    "max_attempts": 5,
    "max_lost": 3,
    "run_at": AT,
    "started_at": None,
    "timeout": 60.0,
    "unique_key": None,
    "version": 1,
    "worker_id": None,
    "request_id": "8f14e45fceea167a5a36dedd",
    "traceparent": None,
}
JOB: dict[str, Any] = {**_SUMMARY, "data": NEW_JOB["data"], "results": None, "errors": []}
_STARTED: dict[str, Any] = {"started_at": AT, "attempt": 1, "worker_id": "mailer-1"}
CLAIMED_JOB: dict[str, Any] = {
    **JOB,
    **_STARTED,
    "status": "processing",
    "version": 2,
    "lease_token": TOKEN,
    "lease_expires_in": 60.0,
}
RESULTS: dict[str, Any] = {"message_id": "a81d4fae@example.com"}
COMPLETE_JOB: dict[str, Any] = {
    **JOB,
    **_STARTED,
    "status": "complete",
    "progress": 1.0,
    "updated_at": _LATER,
    "completed_at": _LATER,
    "results": RESULTS,
    "version": 4,
}
CANCELLED_JOB: dict[str, Any] = {
    **JOB,
    "status": "cancelled",
    "error": "the order was withdrawn",
    "updated_at": _LATER,
    "completed_at": _LATER,
    "version": 2,
}
FAILED_ATTEMPT: dict[str, Any] = {"type": "MailboxFull", "message": "the mailbox takes no more"}
BACKING_OFF_JOB: dict[str, Any] = {
    **JOB,
    **_STARTED,
    "worker_id": None,
    "failures": 1,
    "error": FAILED_ATTEMPT["message"],
    "errors": [{**FAILED_ATTEMPT, "attempt": 1, "traceback": None, "at": _LATER}],
    "updated_at": _LATER,
    "run_at": "2030-01-31T08:00:32.500Z",
    "version": 3,
}
RELEASED_JOB: dict[str, Any] = {**JOB, **_STARTED, "worker_id": None, "updated_at": _LATER, "version": 3}
JOB_PAGE: dict[str, Any] = {"items": [_SUMMARY], "next_cursor": "eyJhIjoxfQ"}

EVENT: dict[str, Any] = {
    "id": "489",
    "data": '{"job_id":"order-18","status":"processing","progress":0.5,"message":"half","results":null,'
    f'"error":null,"timestamp":"{_LATER}","seq":489,"attempt":1,"kind":"progress","gap":false}}',
}

_COUNTS: dict[str, Any] = {"pending": 3, "processing": 1, "complete": 120, "failed": 2, "cancelled": 0}
_FIGURES: dict[str, Any] = {
    "ready": 2,
    "running": 1,
    "delayed": 1,
    "oldest_ready_age": 0.25,
    "counts": _COUNTS,
}
_SCHEMA: dict[str, Any] = {"type": "object", "required": ["to"], "properties": {"to": {"type": "string"}}}
JOB_TYPE_SETTINGS: dict[str, Any] = {
    "retry": {"max_attempts": 5, "base": 2},
    "timeout": 60,
    "max_pending": 10_000,
    "schema": _SCHEMA,
}
JOB_TYPE: dict[str, Any] = {
    "job_type": "mail",
    "retry": {
        "max_attempts": 5,
        "base": 2.0,
        "factor": 2.0,
        "cap": 3600.0,
        "jitter": 0.2,
        "give_up_on": [],
    },
    "timeout": 60.0,
    "max_lost": 3,
    "max_pending": 10_000,
    "schema": _SCHEMA,
    "paused": False,
    "pause_reason": None,
    "pause_until": None,
    **_FIGURES,
}
PAUSE: dict[str, Any] = {"reason": "the mail server is down", "until": AT}
PAUSED_JOB_TYPE: dict[str, Any] = {
    **JOB_TYPE,
    "paused": True,
    "pause_reason": PAUSE["reason"],
    "pause_until": PAUSE["until"],
}
STATS: dict[str, Any] = {**_FIGURES, "job_types": {"mail": {**_FIGURES, "paused": False}}}
HISTORY: dict[str, Any] = {
    "items": [
        {
            "minute": AT,
            "job_type": "mail",
            "enqueued": 12,
            "started": 11,
            "complete": 10,
            "failed": 0,
            "cancelled": 0,
            "retried": 1,
            "wait_p50": 0.01,
            "wait_p95": 0.2,
            "run_p50": 0.5,
            "run_p95": 2.0,
        }
    ]
}
ERRORS: dict[str, Any] = {
    "items": [
        {
            "job_type": "mail",
            "type": FAILED_ATTEMPT["type"],
            "count": 2,
            "last_message": FAILED_ATTEMPT["message"],
            "last_job_id": "order-18",
            "last_at": _LATER,
        }
    ]
}
WORKER: dict[str, Any] = {
    "id": "host:4711:5d4bf6840697",
    "host": "host",
    "pid": 4711,
    "slots": 10,
    "job_types": ["mail"],
    "jobs": ["order-18"],
    "stopping": [],
    "directive": "run",
    "started_at": AT,
    "last_heartbeat_at": _LATER,
    "stale": False,
}
