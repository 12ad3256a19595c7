from __future__ import annotations

import pytest

import jdobb_async_queue
from jdobb_async_queue import FailNow, JobQueueError, PayloadTooLarge, RetryLater, Snooze, errors


def everything() -> list[type[Exception]]:
    return [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, Exception)]


@pytest.mark.parametrize("error", everything(), ids=lambda error: error.__name__)
def test_every_error_is_of_one_tree(error):
    assert issubclass(error, JobQueueError)


@pytest.mark.parametrize("error", everything(), ids=lambda error: error.__name__)
def test_the_tree_at_the_top_of_the_module_names_every_error(error):
    assert f" {error.__name__}" in errors.__doc__ or error is JobQueueError


def test_every_public_name_is_there():
    assert [name for name in jdobb_async_queue.__all__ if not hasattr(jdobb_async_queue, name)] == []


def test_a_payload_that_is_too_large_is_a_bad_value():
    assert issubclass(PayloadTooLarge, ValueError)


@pytest.mark.parametrize("make", [RetryLater, Snooze])
class TestDelays:
    def test_a_delay_is_seconds(self, make):
        assert make(5).delay == 5.0

    @pytest.mark.parametrize("delay", [-1, float("inf"), float("nan")])
    def test_a_delay_out_of_bounds_is_refused(self, make, delay):
        with pytest.raises(ValueError, match="delay"):
            make(delay)

    @pytest.mark.parametrize("delay", ["5", None, True])
    def test_a_delay_of_another_kind_is_refused(self, make, delay):
        with pytest.raises(TypeError, match="delay"):
            make(delay)


def test_failing_now_carries_its_error():
    assert FailNow("bad input").error == "bad input"


@pytest.mark.parametrize("make", [FailNow, lambda error: RetryLater(1, error)], ids=["FailNow", "RetryLater"])
@pytest.mark.parametrize("error", [5, None, b"x", ValueError("x")], ids=repr)
def test_the_error_of_a_signal_is_text(make, error):
    with pytest.raises(TypeError, match="error must be a string"):
        make(error)
