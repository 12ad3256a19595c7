from __future__ import annotations

import pytest

from jdobb_async_queue import RetryPolicy
from jdobb_async_queue.retry import error_type_names
from tests.support.records import dice


class OwnError(ValueError):
    pass


def test_the_default_is_one_attempt():
    policy = RetryPolicy()

    assert (policy.max_attempts, policy.base, policy.factor, policy.cap) == (1, 1.0, 2.0, 3600.0)
    assert (policy.jitter, policy.give_up_on) == (0.2, ())


@pytest.mark.parametrize(
    ("failures", "delay"), [(1, 2), (2, 6), (3, 18), (4, 50), (5, 50), (100, 50), (10_000, 50)]
)
def test_the_delay_grows_up_to_the_cap(failures, delay):
    policy = RetryPolicy(base=2, factor=3, cap=50, jitter=0)

    assert policy.delay(failures, dice()) == delay


@pytest.mark.parametrize("policy", [RetryPolicy(base=0), RetryPolicy(cap=0)])
def test_no_base_or_no_cap_is_no_delay(policy):
    assert policy.delay(7, dice()) == 0


def test_jitter_goes_both_ways_by_its_fraction():
    policy = RetryPolicy(base=100, jitter=0.2)
    rng = dice()

    delays = [policy.delay(1, rng) for _ in range(2000)]

    assert 80 <= min(delays) < 82
    assert 118 < max(delays) <= 120


def test_jitter_does_not_exceed_the_cap():
    policy = RetryPolicy(base=100, cap=100, jitter=1)
    rng = dice()

    assert max(policy.delay(1, rng) for _ in range(500)) == 100


def test_a_policy_of_one_growth_stays_at_its_base():
    assert RetryPolicy(base=5, factor=1, jitter=0).delay(10_000, dice()) == 5


@pytest.mark.parametrize(
    ("patterns", "names", "gives_up"),
    [
        ((), ("ValueError",), False),
        (("ValueError",), ("ValueError",), True),
        (("ValueError",), ("KeyError",), False),
        (("ValueError",), ("KeyError", "ValueError"), True),
        (("valueerror",), ("ValueError",), False),
        (("billing.*",), ("billing.Refused",), True),
        (("billing.*",), ("billing",), False),
        (("*Error",), ("OSError",), True),
        (("*",), ("anything",), True),
        (("ValueError",), (), False),
    ],
)
def test_it_gives_up_on_names_and_patterns(patterns, names, gives_up):
    assert RetryPolicy(give_up_on=patterns).gives_up_on(names) is gives_up


@pytest.mark.parametrize("given", [OwnError, (OwnError,), [OwnError]])
def test_an_exception_class_is_named_by_its_module(given):
    policy = RetryPolicy(give_up_on=given)

    assert policy.give_up_on == (f"{OwnError.__module__}.OwnError",)
    assert policy.gives_up_on(error_type_names(OwnError()))
    assert not policy.gives_up_on(error_type_names(ValueError()))


@pytest.mark.parametrize("field", ["max_attempts", "base", "factor", "cap", "jitter"])
@pytest.mark.parametrize(
    "value", ["1", True, None, [1], b"1", float("nan"), object()], ids=lambda v: type(v).__name__
)
def test_a_field_of_another_kind_is_named(field, value):
    with pytest.raises(ValueError, match=rf"RetryPolicy\n{field}\n"):
        RetryPolicy(**{field: value})


@pytest.mark.parametrize(
    "value",
    [5, True, None, 1.5, b"ValueError", {"ValueError": 1}, [5], [None], (int,), int, ["\ud800"], iter(["a"])],
    ids=lambda value: f"{type(value).__name__}-{value!r}"[:20],
)
def test_what_is_no_error_to_give_up_on_is_refused(value):
    with pytest.raises(ValueError, match=r"RetryPolicy\ngive_up_on\n.*give_up_on"):
        RetryPolicy(give_up_on=value)


def test_a_single_name_may_stand_alone():
    assert RetryPolicy(give_up_on="ValueError").give_up_on == ("ValueError",)


def test_an_error_has_the_names_of_its_classes():
    names = error_type_names(OwnError())

    assert names[:2] == ("OwnError", f"{OwnError.__module__}.OwnError")
    assert {"ValueError", "builtins.ValueError", "Exception"} <= set(names)
    assert "object" not in names


def test_giving_up_on_a_base_class_covers_its_children():
    assert RetryPolicy(give_up_on=ValueError).gives_up_on(error_type_names(OwnError()))


def test_a_policy_survives_json():
    policy = RetryPolicy(max_attempts=5, base=0.5, give_up_on=("a", "b.*"))

    assert RetryPolicy.model_validate_json(policy.model_dump_json()) == policy


def test_a_policy_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        RetryPolicy().max_attempts = 5
