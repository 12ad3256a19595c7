"""A producer that uses the library: one by one and in batches, with own ids and without."""

from __future__ import annotations

import asyncio

from chaos.actors import ledger
from chaos.actors.load import Order, Orders
from chaos.actors.pacing import Pace
from chaos.actors.part import Part
from chaos.history import Acknowledged, Asked, Refused, now
from jdobb_async_queue import BackendError, JobConflict, JobQueue, NewJob, QueueFull

_HANDS = 12
"""How many calls are under way at once, so that they share commits."""
_TRIES = 40


class Producer:
    """Enqueues until it is told to stop."""

    def __init__(self, part: Part, queue: JobQueue, pace: Pace) -> None:
        self._write = part.journal()
        self._queue, self._pace = queue, pace
        self._rng = part.rng
        self._orders = Orders(part.who, part.rng)

    async def run(self) -> None:
        """Enqueue with all hands."""
        await asyncio.gather(*(self._work() for _ in range(_HANDS)))

    async def _work(self) -> None:
        while await self._pace.next():
            chance = self._rng.random()
            if chance < 0.05:  # noqa: PLR2004 - one in twenty
                await self._ask([self._orders.next() for _ in range(self._rng.randint(2, 12))])
            else:
                await self._ask([self._orders.next()], names=chance < 0.8)  # noqa: PLR2004 - most of them

    async def _ask(self, orders: list[Order], *, names: bool = True) -> None:
        """Ask until there is an answer; a job that has no name of ours is asked for only once."""
        jobs = [NewJob(job_id=order.op if names else None, **order.fields) for order in orders]
        for _ in range(_TRIES if names else 1):
            asked_at = now()
            for order, job in zip(orders, jobs, strict=True):
                self._write(
                    Asked(
                        at=asked_at,
                        op=order.op,
                        job=job.job_id,
                        job_type=job.job_type,
                        unique_key=job.unique_key,
                    )
                )
            try:
                answers = await self._queue.submit_many(jobs)
            except (JobConflict, QueueFull) as error:
                for order in orders:
                    self._write(Refused(at=now(), asked_at=asked_at, op=order.op, error=type(error).__name__))
                return
            except BackendError:
                await self._pace.sleep(0.2 + 0.3 * self._rng.random())
                if self._pace.is_over:
                    return
                continue
            for order, answer in zip(orders, answers, strict=True):
                self._write(
                    Acknowledged(
                        at=now(), asked_at=asked_at, op=order.op, job=answer.job.id, created=answer.created
                    )
                )
            return


async def _main(part: Part) -> None:
    queue = JobQueue.from_url(part.backend_url, lease=part.lease)
    pace = Pace(part.options["rate"])

    async def backlog() -> int:
        return sum(counts.get("pending", 0) for counts in (await queue.counts()).values())

    watching = asyncio.ensure_future(pace.watch_backlog(backlog, part.options["backlog"]))
    try:
        await Producer(part, queue, pace).run()
    finally:
        watching.cancel()
        await queue.close()


def main() -> None:
    """Run until SIGTERM."""
    part = Part.mine()
    if part.options.get("ledger"):
        ledger.install(part)
    asyncio.run(_main(part))


if __name__ == "__main__":
    main()
