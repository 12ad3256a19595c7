"""Operations that leave together: how many flights there are, and what they carry."""

from __future__ import annotations

import asyncio

import pytest

from jdobb_async_queue.backends.gathering import Gatherer, Limits


class Recorder(Gatherer[str]):
    """Flights that stay away until they are called back."""

    def __init__(self, **limits: int) -> None:
        super().__init__("here", Limits(**{"operations": 64, "flights": 2, **limits}))
        self.left: list[list[str]] = []
        self.back: list[asyncio.Event] = []
        self.numbers: set[int] = set()

    async def _run(self, batch, flight):
        assert flight not in self.numbers
        self.numbers.add(flight)
        back = asyncio.Event()
        self.left.append([item.operation for item in batch])
        self.back.append(back)
        await back.wait()
        self.numbers.remove(flight)
        for item in batch:
            self._answer(item, item.operation.upper())

    def _size(self, operation):
        return len(operation)

    def _weight(self, operation):
        return int(operation.rpartition("*")[2]) if "*" in operation else 1

    def _subject(self, operation):
        return operation.partition(":")[0] if ":" in operation else None


@pytest.fixture
async def recorder():
    return Recorder()


async def settled() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


def call(gatherer: Recorder, *operations: str) -> list[asyncio.Task]:
    return [asyncio.ensure_future(gatherer.call(operation)) for operation in operations]


async def test_one_that_finds_nothing_in_flight_leaves_at_once(recorder):
    (called,) = call(recorder, "a")
    await settled()
    assert recorder.left == [["a"]]
    recorder.back[0].set()
    assert await called == "A"


async def test_a_few_wait_for_the_flight_to_return(recorder):
    call(recorder, "a")
    await settled()
    call(recorder, *"bcd")
    await settled()
    assert recorder.left == [["a"]]
    recorder.back[0].set()
    await settled()
    assert recorder.left == [["a"], ["b", "c", "d"]]


async def test_many_leave_while_a_flight_is_away_but_no_third_does(recorder):
    call(recorder, "a")
    await settled()
    call(recorder, *"bcdefghijklm")
    await settled()
    call(recorder, *"nopqrstuvwxy")
    await settled()
    assert recorder.left == [["a"], [*"bcdefghijklm"]]
    recorder.back[1].set()
    await settled()
    assert recorder.left[2:] == [[*"nopqrstuvwxy"]]


async def test_one_heavy_operation_is_many(recorder):
    call(recorder, "a")
    await settled()
    call(recorder, "claim*12")
    await settled()
    assert recorder.left == [["a"], ["claim*12"]]


async def test_what_concerns_the_same_subject_never_overtakes(recorder):
    call(recorder, "job1:log")
    await settled()
    call(recorder, "job1:complete*12", "x*12")
    await settled()
    assert recorder.left == [["job1:log"]]
    recorder.back[0].set()
    await settled()
    assert recorder.left == [["job1:log"], ["job1:complete*12", "x*12"]]


async def test_a_flight_takes_what_waits_before_one_that_must_not_overtake(recorder):
    call(recorder, "job1:log")
    await settled()
    call(recorder, "y*12", "job1:complete*12", "x*12")
    await settled()
    assert recorder.left == [["job1:log"], ["y*12"]]
    recorder.back[0].set()
    await settled()
    assert recorder.left[2] == ["job1:complete*12", "x*12"]


async def test_what_was_called_together_keeps_its_order_over_several_flights():
    recorder = Recorder(operations=10)
    names = [f"n{number}" for number in range(25)]
    together = asyncio.ensure_future(recorder.call_all(names))
    await settled()
    assert len(recorder.left) == 1
    for flight in range(3):
        recorder.back[flight].set()
        await settled()
    assert [name for batch in recorder.left for name in batch] == names
    assert await together == [name.upper() for name in names]


@pytest.mark.parametrize(
    ("limits", "first"),
    [
        ({"operations": 2}, ["a*1", "b*3"]),
        ({"weight": 4}, ["a*1", "b*3"]),
        ({"size": 9}, ["a*1", "b*3", "c*5"]),
    ],
)
async def test_a_batch_is_bounded(limits, first):
    recorder = Recorder(flights=1, **limits)
    call(recorder, "a*1", "b*3", "c*5", "d*7")
    await settled()
    assert recorder.left == [first]


async def test_an_operation_beyond_the_bounds_leaves_alone():
    recorder = Recorder(flights=1, weight=4)
    call(recorder, "a*12", "b*1")
    await settled()
    assert recorder.left == [["a*12"]]


async def test_cancelled_callers_take_no_room_in_a_flight(recorder):
    call(recorder, "a")
    await settled()
    for waiting in call(recorder, *"bcd"):
        await asyncio.sleep(0)
        waiting.cancel()
    (last,) = call(recorder, "e")
    await settled()
    recorder.back[0].set()
    await settled()
    assert recorder.left == [["a"], ["e"]]
    recorder.back[1].set()
    assert await last == "E"


async def test_closing_waits_for_all_flights_and_what_waits_behind_them(recorder):
    called = call(recorder, "a")
    await settled()
    called += call(recorder, *"bcdefghijklm")
    await settled()
    called += call(recorder, "z")
    await settled()
    closing = asyncio.ensure_future(recorder.close())
    for flight in range(3):
        await settled()
        assert not closing.done()
        recorder.back[flight].set()
    await closing
    assert [task.result() for task in called] == [*"ABCDEFGHIJKLMZ"]
