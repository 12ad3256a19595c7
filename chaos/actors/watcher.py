"""Visitors that post a job and watch it to its end, over every break of the stream."""

from __future__ import annotations

import asyncio
import json
import random

import httpx
from httpx_sse import ServerSentEvent, SSEError, aconnect_sse

from chaos.actors.http import Api, reconnected
from chaos.actors.http_producer import HttpProducer
from chaos.actors.load import Orders
from chaos.actors.pacing import Pace
from chaos.actors.part import Part
from chaos.history import Seen, WatchEnded, now

_VISITORS = 6
_WATCHED = ("chatty", "nap", "flaky", "quick")
_TERMINAL = frozenset({"complete", "failed", "cancelled"})


class Visitor:
    """One who watches jobs, one after the other."""

    def __init__(self, part: Part, name: str, api: Api, rng: random.Random) -> None:
        self._part, self._name, self._api, self._rng = part, name, api, rng
        self._write = part.journal()
        self._last_id: str | None = None

    async def watch(self, job_id: str) -> None:
        """Watch a job until its stream ends by itself."""
        self._last_id = None
        while not await self._connect(job_id):
            self._write(reconnected(self._part.who))
            self._api.turn()
            await asyncio.sleep(0.1 + 0.3 * self._rng.random())

    async def _connect(self, job_id: str) -> bool:
        """Read a stream until it breaks or ends; tell whether there is nothing more to watch."""
        headers = {} if self._last_id is None else {"Last-Event-ID": self._last_id}
        path = f"/jobs/{job_id}/events"
        try:
            async with aconnect_sse(self._api.client, "GET", path, headers=headers) as source:
                if source.response.status_code == httpx.codes.NO_CONTENT:
                    self._write(WatchEnded(at=now(), job=job_id, watcher=self._name))
                    return True
                if source.response.status_code == httpx.codes.NOT_FOUND:
                    return True  # whether the store may have forgotten it is for the final reading to say
                if not source.response.is_success:
                    return False
                async for event in source.aiter_sse():
                    if event.event == "end":
                        self._write(WatchEnded(at=now(), job=job_id, watcher=self._name))
                        return True
                    self._see(job_id, event)
        except (httpx.HTTPError, SSEError):
            return False
        return False

    def _see(self, job_id: str, event: ServerSentEvent) -> None:
        """Write an update down; the first of a new stream shows the job as it is, and may be no update."""
        if event.event not in {"message", "gap"} or not event.data:
            return
        update = json.loads(event.data)
        is_first, self._last_id = self._last_id is None, event.id
        if is_first and update["status"] not in _TERMINAL:
            return
        self._write(
            Seen(
                at=now(),
                job=job_id,
                watcher=self._name,
                seq=update["seq"],
                status=update["status"],
                kind=update["kind"],
                attempt=update["attempt"],
                progress=update["progress"],
                gap=event.event == "gap",
            )
        )


async def _visit(part: Part, name: str, pace: Pace, orders: Orders, rng: random.Random) -> None:
    async with Api(part) as api:
        producer, visitor = HttpProducer(part, api, pace), Visitor(part, name, api, rng)
        while await pace.next():
            order = orders.next(rng.choice(_WATCHED))
            if await producer.post([order], names=True):
                await visitor.watch(order.op)


async def _main(part: Part) -> None:
    pace, rng = Pace(part.options["rate"]), part.rng
    orders = Orders(part.who, rng)
    await asyncio.gather(*(_visit(part, f"{part.who}/{n}", pace, orders, rng) for n in range(_VISITORS)))


def main() -> None:
    """Run until SIGTERM, and then until what is being watched has ended."""
    asyncio.run(_main(Part.mine()))


if __name__ == "__main__":
    main()
