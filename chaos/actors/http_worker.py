"""A worker over HTTP that renews nothing, and sometimes dozes until its lease is lost before it completes."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from chaos.actors.http import Api
from chaos.actors.pacing import Pace
from chaos.actors.part import Part
from chaos.actors.stalls import watch_stalls
from chaos.history import Claimed, Ended, Fault, Settled, Started, now

_TRIES = 60
_HANDS = 3
_DOZES = 0.03
"""How many of the jobs it dozes over that nobody told it to."""
_LONGEST_DOZE = 10.0


class HttpWorker:
    """Claims jobs of the type ``remote``, one at a time."""

    def __init__(self, part: Part, api: Api, pace: Pace) -> None:
        self._part, self._api, self._pace = part, api, pace
        self._write = part.journal()
        self._rng = part.rng

    async def run(self) -> None:
        """Go on until told to stop."""
        while not self._pace.is_over:
            asked_at = now()
            body = {"worker_id": self._part.who, "job_types": ["remote"], "wait": 1.0}
            answer = await self._api.call("POST", "/worker/claim", body)
            if answer is None or not answer.is_success:
                await self._pace.sleep(0.2)
            elif answer.status_code == httpx.codes.OK:
                for job in answer.json()["jobs"]:
                    await self._work_on(job, asked_at)

    async def _work_on(self, job: dict[str, Any], asked_at: float) -> None:
        known = {"job": job["id"], "token": job["lease_token"], "worker": self._part.who}
        claimed_at = now()
        self._write(Claimed(at=claimed_at, asked_at=asked_at, attempt=job["attempt"], **known))
        self._write(Started(at=now(), attempt=job["attempt"], op=job["data"].get("op"), **known))
        dozes = job["data"].get("doze", self._rng.random() < _DOZES)
        if dozes and job["attempt"] == 1:
            await self._doze(job["id"])
        else:
            await asyncio.sleep(self._rng.choice((0.0, 0.02)))
        self._write(Ended(at=now(), **known))
        await self._complete(job)
        if now() - asked_at > self._part.lease / 3:  # it renewed nothing for that long
            self._write(Fault(at=asked_at, fault="pause", target=self._part.who, until=now()))
            self._write(Fault(at=asked_at, fault="doze", target=self._part.who, until=now()))

    async def _doze(self, job_id: str) -> None:
        """Doze for longer than the lease, and until somebody else has been given the job."""
        await asyncio.sleep(self._part.lease * 1.2)
        ends = now() + _LONGEST_DOZE
        while now() < ends:
            answer = await self._api.call("GET", f"/jobs/{job_id}")
            if answer is not None and answer.is_success and answer.json()["attempt"] > 1:
                return
            await asyncio.sleep(0.1)

    async def _complete(self, job: dict[str, Any]) -> None:
        """Complete until there is an answer: a repeated call with the same token says the same."""
        results = {"op": job["data"].get("op")}
        body = {"lease_token": job["lease_token"], "results": results}
        for _ in range(_TRIES):
            asked_at = now()
            answer = await self._api.call("POST", f"/worker/jobs/{job['id']}/complete", body)
            self._write(
                Settled(
                    at=now(),
                    asked_at=asked_at,
                    job=job["id"],
                    outcome="complete",
                    accepted=None if answer is None else answer.is_success,
                    token=job["lease_token"],
                    attempt=job["attempt"],
                    worker=self._part.who,
                    results=results,
                )
            )
            if answer is not None:
                return
            await asyncio.sleep(0.2)


async def _main(part: Part) -> None:
    pace = Pace(1.0)
    watching = asyncio.ensure_future(watch_stalls(part.journal(), part.who))

    async def hand() -> None:
        async with Api(part) as api:
            await HttpWorker(part, api, pace).run()

    await asyncio.gather(*(hand() for _ in range(_HANDS)))
    watching.cancel()


def main() -> None:
    """Run until SIGTERM."""
    asyncio.run(_main(Part.mine()))


if __name__ == "__main__":
    main()
