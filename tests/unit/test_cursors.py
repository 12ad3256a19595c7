from __future__ import annotations

import pytest

from jdobb_async_queue import InvalidCursor
from jdobb_async_queue.backends.base import ListQuery
from jdobb_async_queue.cursors import continued, encode_cursor


@pytest.mark.parametrize(
    ("statuses", "last"),
    [
        ((), (-7,)),
        (("pending",), (-10, 1_893_456_000_000, 7)),
        (("failed",), (-1_893_456_000_000, -7)),
        (("failed", "pending"), (-7,)),
    ],
)
def test_a_cursor_goes_on_where_it_was_made(statuses, last):
    query = ListQuery(statuses, job_types=("email",), metadata=(("a", "b"),))

    assert continued(query, encode_cursor(query, last)).after == last


def test_a_cursor_is_plain_text_for_an_address():
    cursor = encode_cursor(ListQuery(), (-7,))

    assert set(cursor) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_the_size_of_a_page_is_no_part_of_a_cursor():
    cursor = encode_cursor(ListQuery(limit=5), (-7,))

    assert continued(ListQuery(limit=9, examine=5), cursor) == ListQuery(limit=9, examine=5, after=(-7,))


@pytest.mark.parametrize(
    "other",
    [
        ListQuery(("pending",)),
        ListQuery(job_types=("email",)),
        ListQuery(created_after=5),
        ListQuery(created_before=5),
        ListQuery(metadata=(("a", "b"),)),
    ],
)
def test_a_cursor_belongs_to_its_filters(other):
    with pytest.raises(InvalidCursor, match="other filters"):
        continued(other, encode_cursor(ListQuery(), (-7,)))


@pytest.mark.parametrize("last", [(), (-7, -8), (True,), (2**63,), (-(2**63),)])
def test_a_cursor_of_another_shape_is_refused(last):
    with pytest.raises(InvalidCursor):
        continued(ListQuery(), encode_cursor(ListQuery(), last))


@pytest.mark.parametrize(
    "cursor", ["", "=", "abc", "e30", "W10", "MQ", "bnVsbA", "🙂", "W1tbW1tbW1tb", None, 5, b"x"]
)
def test_anything_else_is_refused(cursor):
    with pytest.raises(InvalidCursor):
        continued(ListQuery(), cursor)


def test_a_refusal_is_a_value_error_too():
    assert issubclass(InvalidCursor, ValueError)
