"""Values that hold for every input: delays, JSON, cursors, instants, seqs."""

from __future__ import annotations

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from jdobb_async_queue import InvalidCursor, RetryPolicy, validation
from jdobb_async_queue.backends.base import ListQuery
from jdobb_async_queue.clock import Ids
from jdobb_async_queue.cursors import continued, encode_cursor
from jdobb_async_queue.encoding import canonical, check_text, decode_object, encode_object
from jdobb_async_queue.lifecycle import millis
from jdobb_async_queue.models import instant
from jdobb_async_queue.transitions import announce
from tests.support.clock import ManualClock
from tests.support.records import dice, make_record

MEBIBYTE = 1_048_576
seconds = st.floats(0, 31_536_000, allow_nan=False)
policies = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, 1_000_000),
    base=seconds,
    factor=st.floats(1, 1000),
    cap=seconds,
    jitter=st.floats(0, 1),
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(texts, values, max_size=3)
queries = st.builds(
    ListQuery,
    statuses=st.sampled_from([(), ("pending",), ("processing",), ("failed",), ("complete", "failed")]),
    job_types=st.sampled_from([(), ("a",), ("a", "b")]),
    created_after=st.none() | st.integers(0, 2**50),
    metadata=st.sampled_from([(), (("a", "b"),)]),
)


@given(policies, st.integers(1, 10_000), st.integers(0, 1000))
def test_a_delay_lies_between_nothing_and_the_cap(policy, failures, seed):
    delay = policy.delay(failures, dice(seed))

    assert 0 <= delay <= policy.cap
    assert math.isfinite(delay)


@given(policies, st.integers(1, 10_000), st.integers(0, 1000))
def test_jitter_moves_a_delay_by_its_fraction_at_most(policy, failures, seed):
    steady = policy.model_copy(update={"jitter": 0.0}).delay(failures, dice())

    delay = policy.delay(failures, dice(seed))

    slack = 1e-9 * (1 + steady)
    assert steady * (1 - policy.jitter) - slack <= delay <= steady * (1 + policy.jitter) + slack


@given(policies, st.integers(1, 9_999))
def test_without_jitter_delays_never_shrink(policy, failures):
    steady = policy.model_copy(update={"jitter": 0.0})

    assert steady.delay(failures, dice()) <= steady.delay(failures + 1, dice())


@given(objects)
def test_json_comes_back_the_same(value):
    encoded = encode_object(value, "data", MEBIBYTE)

    assert repr(decode_object(encoded)) == repr(value)
    assert repr(json.loads(encoded)) == repr(value)  # as every other reader sees it
    assert repr(decode_object(json.dumps(value).encode())) == repr(value)  # and as others write it


@given(objects)
def test_the_canonical_text_does_not_depend_on_the_order_of_keys(value):
    turned = dict(reversed(list(value.items())))

    assert canonical(encode_object(value, "data", MEBIBYTE)) == canonical(
        encode_object(turned, "data", MEBIBYTE)
    )


@given(objects, objects)
def test_different_content_has_different_canonical_texts(one, other):
    same = canonical(encode_object(one, "a", MEBIBYTE)) == canonical(encode_object(other, "b", MEBIBYTE))

    assert same is (json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True))


@given(st.text(st.characters()))
def test_text_is_refused_exactly_when_it_is_no_unicode(text):
    surrogate = any(0xD800 <= ord(character) <= 0xDFFF for character in text)

    try:
        refused = check_text(text, "message") != text
    except ValueError:
        refused = True

    assert refused is surrogate


@given(queries, st.data())
def test_a_cursor_comes_back_the_same_and_only_to_its_list(query, data):
    width = {("pending",): 3, ("processing",): 2, ("failed",): 2}.get(query.statuses, 1)
    last = tuple(data.draw(st.lists(st.integers(-(2**62), 2**62), min_size=width, max_size=width)))
    other = data.draw(queries)
    cursor = encode_cursor(query, last)

    assert continued(query, cursor).after == last
    try:
        met = continued(other, cursor)
    except InvalidCursor:
        met = None
    assert (met is not None) is (other == query)


@given(st.text(max_size=60) | st.text("ABCabc012-_", max_size=200), queries)
def test_no_other_text_is_a_cursor(text, query):
    try:
        continued(query, text)
    except InvalidCursor:
        return
    msg = f"{text!r} was taken for a cursor"
    raise AssertionError(msg)


@given(st.integers(-62_000_000_000_000, 250_000_000_000_000))
def test_an_instant_comes_back_to_its_millisecond(moment):
    assert validation.at(instant(moment), "run_at") == moment


@given(st.floats(0, 3.1e9))
def test_a_duration_is_never_shortened_by_more_than_a_rounding(duration):
    whole = millis(duration)

    assert duration * 1000 - 1e-5 <= whole < duration * 1000 + 1


@given(st.lists(st.integers(-5000, 5000), min_size=1, max_size=50))
def test_seqs_strictly_grow_whatever_the_clock_does(steps):
    record, now, seqs = make_record(), 1_893_456_000_000, [0]
    for step in steps:
        now += step
        seqs.append(announce(record, now).seq)

    assert seqs == sorted(set(seqs))
    assert seqs[-1] < 2**53


@given(st.lists(st.floats(-10, 10), max_size=50), st.integers())
def test_ids_strictly_grow_whatever_the_clock_does(steps, seed):
    clock = ManualClock()
    ids = Ids(clock, dice(seed))
    made = [ids.job_id()]
    for step in steps:
        clock.advance(step)
        made.append(ids.job_id())

    assert made == sorted(set(made))
