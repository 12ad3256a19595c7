"""A producer over HTTP: with an idempotency key, with an own id, with neither; alone and in batches."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from chaos.actors.http import Api
from chaos.actors.load import Order, Orders
from chaos.actors.pacing import Pace
from chaos.actors.part import Part
from chaos.history import Acknowledged, Asked, Refused, now

_HANDS = 4
_TRIES = 40


class HttpProducer:
    """Posts jobs until it is told to stop."""

    def __init__(self, part: Part, api: Api, pace: Pace) -> None:
        self._write = part.journal()
        self._api, self._pace = api, pace
        self._rng = part.rng
        self._orders = Orders(part.who, part.rng)

    async def run(self) -> None:
        """Post with all hands."""
        await asyncio.gather(*(self._work() for _ in range(_HANDS)))

    async def _work(self) -> None:
        while await self._pace.next():
            chance = self._rng.random()
            order = self._orders.next()
            if chance < 0.45:  # noqa: PLR2004 - about half of them
                await self.post([order], key=order.op)
            elif chance < 0.8:  # noqa: PLR2004 - most others
                await self.post([order], names=True)
            elif chance < 0.9:  # noqa: PLR2004 - some
                await self.post([order, *(self._orders.next() for _ in range(3))], names=True)
            else:
                await self.post([order])

    async def post(self, orders: list[Order], *, key: str | None = None, names: bool = False) -> bool:
        """Post until there is an answer; what has neither key nor name is posted only once."""
        for _ in range(_TRIES if key or names else 1):
            asked_at = now()
            for order in orders:
                self._write(
                    Asked(
                        at=asked_at,
                        op=order.op,
                        job=order.op if names else None,
                        job_type=order.fields["job_type"],
                        key=key,
                        unique_key=order.unique_key,
                    )
                )
            answer = await self._send(orders, key=key, names=names)
            if answer is not None:
                self._note(orders, asked_at, answer)
                return answer.is_success
            await self._pace.sleep(0.2 + 0.3 * self._rng.random())
            if self._pace.is_over:
                return False
        return False

    async def _send(self, orders: list[Order], *, key: str | None, names: bool) -> httpx.Response | None:
        bodies = [{**order.fields, **({"id": order.op} if names else {})} for order in orders]
        headers = {} if key is None else {"Idempotency-Key": key}
        if len(bodies) == 1:
            return await self._api.call("POST", "/jobs", bodies[0], headers)
        return await self._api.call("POST", "/jobs/batch", {"jobs": bodies}, headers)

    def _note(self, orders: list[Order], asked_at: float, answer: httpx.Response) -> None:
        said = answer.json()
        if not answer.is_success:
            for order in orders:
                self._write(Refused(at=now(), asked_at=asked_at, op=order.op, error=said.get("code", "?")))
            return
        jobs: list[dict[str, Any]] = said.get("items", [said])
        for order, job in zip(orders, jobs, strict=True):
            is_new = answer.status_code == httpx.codes.CREATED and job["data"]["op"] == order.op
            self._write(Acknowledged(at=now(), asked_at=asked_at, op=order.op, job=job["id"], created=is_new))


async def _main(part: Part) -> None:
    pace = Pace(part.options["rate"])
    async with Api(part) as api, Api(part) as other:

        async def backlog() -> int:
            answer = await other.call("GET", "/stats")
            return 0 if answer is None else int(answer.json()["counts"]["pending"])

        watching = asyncio.ensure_future(pace.watch_backlog(backlog, part.options["backlog"]))
        try:
            await HttpProducer(part, api, pace).run()
        finally:
            watching.cancel()


def main() -> None:
    """Run until SIGTERM."""
    asyncio.run(_main(Part.mine()))


if __name__ == "__main__":
    main()
