"""A worker over HTTP in Python. It needs httpx and nothing of this project.

    JDOBB_URL=http://127.0.0.1:8000 JDOBB_API_KEY=... python worker.py --slots 4

It counts the words of a text: ``{"job_type": "word-count", "data": {"text": "one two"}}``. Your own job types
go into ``HANDLERS``.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import socket
import sys
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import httpx

Json = dict[str, Any]
Report = Callable[[float, str], Awaitable[None]]

CLAIM_WAIT = 20.0
"""Seconds that the service may keep a claim waiting; a client's read timeout has to be longer."""
FAREWELL = 5.0
"""Seconds for giving jobs back at the end. What is not given back by then comes back when its lease ends."""
LONGEST_PAUSE = 15.0


class BadInput(Exception):  # noqa: N818 - reads as the fact that it states
    """The job asks for what cannot be done; another attempt would meet the same."""


class LeaseLost(Exception):  # noqa: N818 - the same
    """The job is not ours any more: cancelled, removed, or given to another. Our result is dropped."""


class Away(Exception):  # noqa: N818 - the same
    """The service does not answer, or says that it cannot now."""


async def count_words(data: Json, report: Report, pace: float) -> Json:
    """Count the words of ``data["text"]`` in about ten parts, and rest ``pace`` seconds after each."""
    text = data.get("text")
    if not isinstance(text, str):
        raise BadInput("data.text must be a string")
    lines = text.splitlines()
    step = max(1, len(lines) // 10)
    words = 0
    for start in range(0, len(lines), step):
        part = lines[start : start + step]
        words += sum(len(line.split()) for line in part)
        await report((start + len(part)) / len(lines), f"{words} words")
        await asyncio.sleep(pace)
    return {"words": words}


HANDLERS = {"word-count": count_words}


class Service:
    """The service's worker calls. One that could not be made is made again: each of them may be repeated."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def post(self, path: str, body: Json) -> httpx.Response:
        """Call until there is an answer. Raises ``LeaseLost``, and ``httpx.HTTPStatusError`` when refused."""
        failures = 0
        while True:
            try:
                return await self.try_post(path, body)
            except Away as error:
                reason, asked = error.args
            print(f"service away ({reason})", file=sys.stderr, flush=True)
            # Half of each pause is left to chance, so that many workers do not come back in one instant.
            pause = min(LONGEST_PAUSE, 0.5 * 2**failures) * random.uniform(0.5, 1)  # noqa: S311 - no secret
            await asyncio.sleep(asked + pause)
            failures = min(failures + 1, 10)

    async def try_post(self, path: str, body: Json) -> httpx.Response:
        """Call once. Raises ``Away(reason, seconds that the service asked to wait)`` and as ``post`` does."""
        try:
            answer = await self._client.post(path, json=body)
        except httpx.TransportError as error:
            raise Away(type(error).__name__, 0.0) from error
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS or answer.is_server_error:
            raise Away(answer.status_code, retry_after(answer))
        if answer.status_code in {404, 409} and path.startswith("/worker/jobs/"):
            raise LeaseLost
        return answer.raise_for_status()


def retry_after(answer: httpx.Response) -> float:
    """Return how many seconds the service asks to wait; a proxy may give a date, which is passed over."""
    said = answer.headers.get("retry-after", "")
    return float(said) if said.isdigit() else 0.0


class Worker:
    """Claims jobs into its slots, keeps their leases, settles them."""

    def __init__(self, service: Service, *, slots: int, lease: float, pace: float) -> None:
        self._service, self._slots, self._lease, self._pace = service, slots, lease, pace
        # A directive such as `stop` stays with an id, so each start takes a new one.
        self._id = f"python-{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
        # By lease token: a job that was lost may be claimed again while its old attempt still ends.
        self._held: dict[str, Json] = {}
        self._attempts: dict[str, asyncio.Task[None]] = {}
        self._may_claim = asyncio.Event()
        self._may_claim.set()
        self.stopping = asyncio.Event()

    async def run(self) -> None:
        """Work until ``stopping`` is set, then give back what is held."""
        async with asyncio.TaskGroup() as group:
            loops = [group.create_task(self._claim(group)), group.create_task(self._heartbeat())]
            await self.stopping.wait()
            # A claim that is cut off gets nothing: the service gives back what nobody is there to receive.
            for task in [*loops, *self._attempts.values()]:
                task.cancel()
        await self._release()

    async def _claim(self, group: asyncio.TaskGroup) -> None:
        while True:
            await self._may_claim.wait()
            if len(self._attempts) == self._slots:
                await asyncio.wait(self._attempts.values(), return_when=asyncio.FIRST_COMPLETED)
                continue
            asked = {
                "worker_id": self._id,
                "job_types": list(HANDLERS),
                "limit": self._slots - len(self._attempts),
                "wait": CLAIM_WAIT,
                "lease": self._lease,
            }
            answer = await self._service.post("/worker/claim", asked)
            if answer.status_code == httpx.codes.NO_CONTENT:
                await asyncio.sleep(retry_after(answer))  # is there only when we were not allowed to wait
                continue
            for job in answer.json()["jobs"]:
                token = job["lease_token"]
                self._held[token] = job
                self._attempts[token] = group.create_task(self._attempt(job))
                self._attempts[token].add_done_callback(partial(self._attempts.pop, token))

    async def _heartbeat(self) -> None:
        """Renew all leases, and obey; without a job too, since directives come this way."""
        while True:
            held = [{"job_id": job["id"], "lease_token": token} for token, job in self._held.items()]
            answer = await self._service.post("/worker/heartbeat", {"worker_id": self._id, "leases": held})
            said = answer.json()
            for lease, state in zip(held, said["leases"], strict=True):
                # One that has been settled meanwhile is not among those held any more.
                if state["status"] != "ok" and self._held.pop(lease["lease_token"], None) is not None:
                    print(f"{state['status']} {state['job_id']}", flush=True)
                    self._attempts[lease["lease_token"]].cancel()
            match said["directive"]:
                case "run":
                    self._may_claim.set()
                case "quiet":
                    self._may_claim.clear()
                case "stop":
                    self.stopping.set()
            await asyncio.sleep(self._lease / 3)

    async def _attempt(self, job: Json) -> None:
        try:
            # A claim that waited when we were told to be quiet may still bring a job.
            outcome = await (self._settle(job) if self._may_claim.is_set() else self._give_back(job))
        except LeaseLost:
            outcome = "lost"
        self._held.pop(job["lease_token"], None)  # when cancelled it stays, to be given back
        print(f"{outcome} {job['id']}", flush=True)

    async def _settle(self, job: Json) -> str:
        """Run the handler, tell what came of it, and return the call that told it."""

        async def report(progress: float, message: str) -> None:
            try:
                answer = await self._tell(
                    job, "progress", {"progress": progress, "message": message}, once=True
                )
            except Away:
                return  # the work goes on; heartbeats and the settling are more patient
            if answer.json()["status"] == "cancelled":
                raise LeaseLost

        try:
            results = await HANDLERS[job["job_type"]](job["data"], report, self._pace)
            await self._tell(job, "complete", {"results": results})
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is fails the attempt, not the worker
            said: Json = {"error": {"type": type(error).__name__, "message": str(error)}}
            if isinstance(error, BadInput):
                said["retry"] = False
            await self._tell(job, "fail", said)
            return "fail"
        return "complete"

    async def _release(self) -> None:
        """Give back what is held, at no cost for the jobs."""
        try:
            async with asyncio.timeout(FAREWELL):
                for job in list(self._held.values()):
                    try:
                        print(f"{await self._give_back(job)} {job['id']}", flush=True)
                    except LeaseLost:
                        print(f"lost {job['id']}", flush=True)
        except TimeoutError:
            print("the service is away: what is held comes back when its leases end", file=sys.stderr)

    async def _give_back(self, job: Json) -> str:
        await self._tell(job, "release", {})
        return "release"

    async def _tell(self, job: Json, verb: str, said: Json, *, once: bool = False) -> httpx.Response:
        post = self._service.try_post if once else self._service.post
        return await post(f"/worker/jobs/{job['id']}/{verb}", {"lease_token": job["lease_token"], **said})


async def work(options: argparse.Namespace) -> None:
    """Work until SIGTERM, SIGINT or the directive to stop."""
    key = os.environ.get("JDOBB_API_KEY")
    async with httpx.AsyncClient(
        base_url=os.environ.get("JDOBB_URL", "http://127.0.0.1:8000"),
        headers={"Authorization": f"Bearer {key}"} if key else {},
        timeout=httpx.Timeout(10, read=CLAIM_WAIT + 10),
    ) as client:
        worker = Worker(Service(client), slots=options.slots, lease=options.lease, pace=options.pace)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, worker.stopping.set)
        await worker.run()


def main() -> None:
    """Read the options and work."""
    parser = argparse.ArgumentParser(description="Counts words for a jdobb service.")
    parser.add_argument("--slots", type=int, default=4, help="how many jobs at once")
    parser.add_argument("--lease", type=float, default=30.0, help="seconds that a claim lasts unless renewed")
    parser.add_argument("--pace", type=float, default=0.0, help="seconds to rest after each part of a text")
    try:
        asyncio.run(work(parser.parse_args()))
    except* httpx.HTTPStatusError as refused:  # a wrong key, say: no repetition would help
        sys.exit("\n".join(str(error).partition("\n")[0] for error in refused.exceptions))


if __name__ == "__main__":
    main()
