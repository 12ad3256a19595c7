"""Following the updates of other processes, without reading again what this one wrote."""

from __future__ import annotations

import pytest

from jdobb_async_queue.backends.bells import Bells
from jdobb_async_queue.backends.sqlite.tail import Tail
from jdobb_async_queue.backends.sqlite.wake import WakeFile


class Log:
    """The update log of a database, in the place of a transaction."""

    def __init__(self) -> None:
        self.last = 0
        self.read_from: list[int] = []

    def all(self, statement, *values):
        """Answer as the database would."""
        if statement == "last_update":
            return [(self.last,)]
        self.read_from.append(values[0])
        return [
            (number, f"job-{number}", "status", "complete") for number in range(values[0] + 1, self.last + 1)
        ]

    ns = 1


@pytest.fixture
async def tail(tmp_path):
    """Return a follower of nothing yet."""
    wake = WakeFile(str(tmp_path / "wake"))
    tail = Tail(wake, Bells(), None)
    yield tail
    tail.close()
    wake.close()


async def test_what_this_process_wrote_is_not_read(tail):
    log = Log()
    log.last = 7
    tail.skip(range(1, 4))
    tail.skip(range(4, 8))
    assert tail._read(log) == []
    assert log.read_from == []


async def test_what_another_process_wrote_before_is_read(tail):
    log = Log()
    log.last = 9
    tail.skip(range(1, 4))
    tail.skip(range(6, 10))
    assert [number for number, *_ in tail._read(log)] == [4, 5, 6, 7, 8, 9]
    assert log.read_from == [3]
