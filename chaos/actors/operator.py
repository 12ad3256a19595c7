"""An operator who cancels jobs, retries some of them, and looks at them now and then."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from chaos.actors.http import Api
from chaos.actors.http_producer import HttpProducer
from chaos.actors.load import Order, Orders
from chaos.actors.pacing import Pace
from chaos.actors.part import Part
from chaos.history import Cancelled, Read, Retried, now

_HANDS = 3
_TRIES = 60


class Operator:
    """Posts jobs of its own and changes its mind about them."""

    def __init__(self, part: Part, api: Api, pace: Pace, orders: Orders) -> None:
        self._write = part.journal()
        self._api, self._pace, self._orders = api, pace, orders
        self._rng = part.rng
        self._producer = HttpProducer(part, api, pace)

    async def run(self) -> None:
        """Go on until told to stop."""
        while await self._pace.next():
            order = self._new_order()
            if not await self._producer.post([order], names=True):
                continue
            await self._pace.sleep(self._rng.choice((0.0, 0.05, 0.3, 1.0)))
            await self._cancel(order.op)
            if self._rng.random() < 0.4:  # noqa: PLR2004 - less than half of them
                await self._retry(order.op)
            await self._look(order.op)

    def _new_order(self) -> Order:
        job_type = self._rng.choice(("nap", "quick", "chatty"))
        order = self._orders.next(job_type)
        if self._rng.random() < 0.3:  # noqa: PLR2004 - some wait when they are cancelled
            order.fields["delay"] = 0.5
        return order

    async def _cancel(self, job_id: str) -> None:
        """Cancel until there is an answer: a second cancellation says the same as the first."""
        for _ in range(_TRIES):
            asked_at = now()
            answer = await self._api.call("POST", f"/jobs/{job_id}/cancel", {"reason": "changed my mind"})
            job = _job_in(answer)
            accepted = None if answer is None else answer.is_success
            self._write(
                Cancelled(
                    at=now(), asked_at=asked_at, job=job_id, accepted=accepted, attempt=job.get("attempt")
                )
            )
            if answer is not None:
                return
            await asyncio.sleep(0.3)

    async def _retry(self, job_id: str) -> None:
        asked_at = now()
        answer = await self._api.call("POST", f"/jobs/{job_id}/retry")
        accepted = None if answer is None else answer.is_success
        self._write(Retried(at=now(), asked_at=asked_at, job=job_id, accepted=accepted))

    async def _look(self, job_id: str) -> None:
        asked_at = now()
        job = _job_in(await self._api.call("GET", f"/jobs/{job_id}"))
        if job:
            self._write(
                Read(at=now(), asked_at=asked_at, job=job_id, status=job["status"], attempt=job["attempt"])
            )


def _job_in(answer: httpx.Response | None) -> dict[str, Any]:
    return {} if answer is None or not answer.is_success else answer.json()


async def _main(part: Part) -> None:
    pace, orders = Pace(part.options["rate"]), Orders(part.who, part.rng)

    async def hand() -> None:
        async with Api(part) as api:
            await Operator(part, api, pace, orders).run()

    await asyncio.gather(*(hand() for _ in range(_HANDS)))


def main() -> None:
    """Run until SIGTERM."""
    asyncio.run(_main(Part.mine()))


if __name__ == "__main__":
    main()
