from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.simulation.loop import SimulatedLoop, StandsStill, current_process
from tests.support.records import dice


@pytest.fixture
def loop() -> Iterator[SimulatedLoop]:
    made = SimulatedLoop(dice())
    yield made
    made.bury()
    made.close()


def test_time_jumps_to_the_next_timer(loop: SimulatedLoop):
    async def sleep() -> list[float]:
        times = []
        for seconds in (0.0, 1.5, 86_400.0):
            await asyncio.sleep(seconds)
            times.append(loop.time())
        return times

    assert loop.run_until_complete(sleep()) == [0.0, 1.5, 86_401.5]


def test_the_seed_chooses_the_order_of_what_is_ready_at_one_instant():
    def order(seed: int) -> list[int]:
        loop, ran = SimulatedLoop(dice(seed)), []

        async def note(number: int) -> None:
            await asyncio.sleep(1)
            ran.append(number)

        async def all_of_them() -> None:
            await asyncio.gather(*map(note, range(6)))

        loop.run_until_complete(all_of_them())
        loop.close()
        return ran

    assert order(1) == order(1)
    assert sorted(order(1)) == [*range(6)]
    assert len({tuple(order(seed)) for seed in range(10)}) > 5


def test_what_will_never_come_is_an_error(loop: SimulatedLoop):
    with pytest.raises(StandsStill):
        loop.run_until_complete(asyncio.Event().wait())


def test_turning_without_time_passing_is_an_error(loop: SimulatedLoop):
    async def turn() -> None:
        while loop.time() == 0.0:  # noqa: ASYNC110 - what must not be done
            await asyncio.sleep(0)

    with pytest.raises(AssertionError, match="in circles"):
        loop.run_until_complete(turn())


def test_nothing_of_a_paused_process_runs_until_it_is_resumed(loop: SimulatedLoop):
    process, ticks = loop.process("worker"), []

    async def tick() -> None:
        for _ in range(4):
            await asyncio.sleep(1)
            ticks.append(loop.time())

    async def pause() -> None:
        ticking = process.start(tick())
        await asyncio.sleep(1.5)
        process.pause()
        await asyncio.sleep(10)
        process.resume()
        await ticking

    loop.run_until_complete(pause())
    assert ticks == [1.0, 11.5, 12.5, 13.5]


def test_a_killed_process_does_not_even_clean_up(loop: SimulatedLoop):
    process, ends = loop.process("worker"), []

    async def work() -> None:
        try:
            await asyncio.sleep(1)
        finally:
            ends.append(loop.time())

    async def kill() -> None:
        process.start(work())
        await asyncio.sleep(0.5)
        process.kill()
        await asyncio.sleep(100)
        assert ends == []

    loop.run_until_complete(kill())


def test_what_a_process_starts_belongs_to_it(loop: SimulatedLoop):
    process = loop.process("worker")

    async def name() -> str | None:
        await asyncio.sleep(1)
        owner = current_process()
        return owner and owner.name

    async def ask() -> list[str | None]:
        async def nested() -> str | None:
            return await asyncio.ensure_future(name())

        return [await name(), await process.start(nested())]

    assert loop.run_until_complete(ask()) == [None, "worker"]
