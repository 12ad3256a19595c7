"""Many new jobs, one JSON object on a line, in chunks of which each is stored as a whole."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from jdobb_async_queue import Job, NewJob
from jdobb_service.cli.exits import ExitCode, Refusal, refusal_of
from jdobb_service.cli.interrupts import Steps, read_blocking
from jdobb_service.cli.job_data import parse_object
from jdobb_service.cli.output import note
from jdobb_service.near import near

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from jdobb_service.cli.clients.base import Client

CHUNK_JOBS = 1000
CHUNK_BYTES = 4 * 1_048_576
"""Half of what is taken in one step: written anew, JSON may need more room than in the line."""

_PLACE = re.compile(r"(?:#/jobs/|jobs\[)([0-9]+)")


@dataclass(frozen=True, slots=True)
class Line:
    """A line with a job."""

    number: int
    size: int
    job: NewJob


async def enqueue_lines(client: Client, lines: Iterable[Line], show: Callable[[Job], None]) -> None:
    """Store the jobs of the lines in chunks, and show each job once its chunk is stored.

    Raises ``Refusal`` at the first line that cannot be a job, or chunk that cannot be stored; it says what is
    stored.
    """
    progress = _Progress()
    with Steps() as steps:
        try:
            for chunk in _chunks(lines):
                progress.under_way = chunk
                jobs = await steps.finish(_store(client, chunk))
                progress.finish()
                for job in jobs:
                    show(job)
                steps.go_on()
        except (KeyboardInterrupt, BrokenPipeError):
            note(f"stopped: {progress.summary(in_doubt=steps.is_abandoned)}")
            raise
        except Exception as error:
            refusal = refusal_of(error)
            message = f"{refusal}\n{progress.summary(in_doubt=refusal.in_doubt)}"
            raise Refusal(refusal.code, message) from error
    note(_are_stored(progress.stored))


class _Progress:
    """How far the lines are stored."""

    def __init__(self) -> None:
        self.stored, self.last = 0, 0
        self.under_way: list[Line] = []

    def finish(self) -> None:
        """Count what was under way as stored."""
        self.stored += len(self.under_way)
        self.last = self.under_way[-1].number
        self.under_way = []

    def summary(self, *, in_doubt: bool) -> str:
        """Say what is stored when it ends early, and where to go on."""
        count = _are_stored(self.stored)
        if in_doubt and self.under_way:
            before = f"{count}, up to line {self.last}; " if self.stored else ""
            span = f"lines {self.under_way[0].number} to {self.under_way[-1].number}"
            return f"{before}it is not known whether {span} are stored; ids make it safe to repeat them"
        if not self.stored:
            return "nothing is stored"
        return f"{count}, up to line {self.last}, and nothing after it: go on with `tail -n +{self.last + 1}`"


def read_lines(given: str, make_job: Callable[[dict[str, Any]], NewJob]) -> Iterator[Line]:
    """Yield the lines of a file (``@name``) or of standard input (``-``); empty ones are left out."""
    for number, raw in enumerate(_raw_lines(given), 1):
        if not raw.strip():
            continue
        place = f"line {number}"
        try:
            text = raw.rstrip().decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise Refusal(ExitCode.USAGE, f"{place} is not UTF-8 at byte {error.start}") from None
        if text.lstrip().startswith("["):
            message = f"{place} must be a JSON object, not an array: `jq -c '.[]'` makes lines of an array"
            raise Refusal(ExitCode.USAGE, message)
        fields = parse_object(place, text, is_line=True)
        try:
            yield Line(number, len(raw), make_job(fields))
        except ValidationError as error:
            wrong = "; ".join(_wrong(item) for item in error.errors(include_url=False))
            raise Refusal(ExitCode.USAGE, f"{place}: {wrong}") from None


def whole_job(fields: dict[str, Any]) -> NewJob:
    """Return the job that an object describes with the names of the HTTP interface."""
    named = {"job_id" if name == "id" else name: value for name, value in fields.items()}
    return NewJob.model_validate_json(json.dumps(named))


def _wrong(error: ErrorDetails) -> str:
    """Return which attribute is wrong, and why."""
    place = ".".join(map(str, error["loc"])) or "job"
    if error["type"] == "extra_forbidden" and len(error["loc"]) == 1:
        return f"{place}: no attribute of a job has this name{near(place, {*NewJob.model_fields, 'id'})}"
    return f"{place}: {error['msg']}"


def _raw_lines(given: str) -> Iterator[bytes]:
    if given == "-":
        if sys.stdin.isatty():
            note("reading jobs from the terminal, one on a line; Ctrl-D ends it")
        while raw := read_blocking(sys.stdin.buffer.readline):
            yield raw
        return
    if not given.startswith("@") or given == "@":
        raise Refusal(ExitCode.USAGE, f"--ndjson takes @FILE, or - for standard input, got {given!r}")
    try:
        with Path(given[1:]).open("rb") as file:
            yield from file
    except OSError as error:
        message = f"{given[1:]} cannot be read: {error.strerror}"
        raise Refusal(ExitCode.USAGE, message) from error


def _chunks(lines: Iterable[Line]) -> Iterator[list[Line]]:
    chunk: list[Line] = []
    size = 0
    for line in lines:
        if chunk and (len(chunk) == CHUNK_JOBS or size + line.size > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(line)
        size += line.size
    if chunk:
        yield chunk


async def _store(client: Client, chunk: list[Line]) -> list[Job]:
    try:
        return await client.enqueue_many([line.job for line in chunk])
    except Exception as error:
        refusal = refusal_of(error)
        raise Refusal(refusal.code, _by_line(str(refusal), chunk), in_doubt=refusal.in_doubt) from error


def _by_line(message: str, chunk: list[Line]) -> str:
    """Return what was said of a job of the chunk with the number of its line."""
    found = _PLACE.search(message)
    if found is None:
        return message
    rest = message[found.end() :].lstrip("]./:")
    return f"line {chunk[int(found[1])].number}: {rest.strip()}"


def _are_stored(count: int) -> str:
    return "1 job is stored" if count == 1 else f"{count} jobs are stored"
