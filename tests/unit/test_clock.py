from __future__ import annotations

import uuid

from jdobb_async_queue.clock import Ids, SystemClock, system_random
from tests.support.clock import ManualClock
from tests.support.records import NOW, dice


def test_ids_are_uuids_of_version_7_that_tell_their_millisecond():
    job_id = uuid.UUID(Ids(ManualClock(), dice()).job_id())

    assert (job_id.version, job_id.variant) == (7, uuid.RFC_4122)
    assert job_id.int >> 80 == NOW


def test_ids_of_one_maker_strictly_grow_also_within_a_millisecond():
    clock = ManualClock()
    ids = Ids(clock, dice())

    made = [ids.job_id() for _ in range(10_000)]
    clock.advance(1)
    made += [ids.job_id() for _ in range(10)]

    assert made == sorted(set(made))


def test_ids_grow_when_the_clock_goes_back():
    clock = ManualClock()
    ids = Ids(clock, dice())
    first = ids.job_id()
    clock.advance(-3600)

    assert ids.job_id() > first


def test_ids_of_makers_without_a_common_source_differ():
    clock = ManualClock()

    made = {Ids(clock, system_random()).job_id() for _ in range(1000)}

    assert len(made) == 1000


def test_lease_tokens_are_long_and_never_the_same():
    ids = Ids(ManualClock(), system_random())

    tokens = {ids.lease_token() for _ in range(1000)}

    assert len(tokens) == 1000
    assert {len(token) for token in tokens} == {32}


def test_the_systems_clock_tells_the_time():
    clock = SystemClock()

    assert clock.now() > 1_700_000_000_000
    assert clock.monotonic() <= clock.monotonic()
