from __future__ import annotations

import pytest

from jdobb_async_queue import PayloadTooLarge
from jdobb_async_queue.encoding import EMPTY, canonical, check_text, decode_object, encode_object

LIMIT = 1000


def test_an_object_becomes_compact_json():
    assert encode_object({"a": [1, None, True, "é"], "b": {}}, "data", LIMIT) == (
        '{"a":[1,null,true,"é"],"b":{}}'.encode()
    )


def test_an_empty_object_is_always_the_same_bytes():
    assert encode_object({}, "data", LIMIT) is EMPTY
    assert decode_object(EMPTY) == {}


def test_each_decoding_is_a_fresh_object():
    encoded = encode_object({"a": [1]}, "data", LIMIT)

    decode_object(encoded)["a"].append(2)

    assert decode_object(encoded) == {"a": [1]}
    assert decode_object(EMPTY) is not decode_object(EMPTY)


def test_a_subclass_of_dict_and_list_is_json_too():
    class Dict(dict):
        pass

    class List(list):
        pass

    assert encode_object(Dict(a=List([Dict(b=1)])), "data", LIMIT) == b'{"a":[{"b":1}]}'


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": {"b": [1, float("nan")]}}, "data.a.b.1"),
        ({"a": [[2**64]]}, "data.a.0.0"),
        ({"a": {"b": "\ud800"}}, "data.a.b"),
    ],
)
def test_what_is_refused_is_named_by_its_place(value, place):
    with pytest.raises(ValueError, match=place.replace(".", r"\.")):
        encode_object(value, "data", LIMIT)


def test_what_is_no_json_is_named_by_its_place_and_type():
    with pytest.raises(TypeError, match=r"data\.a\.0 is not JSON: bytes"):
        encode_object({"a": [b"x"]}, "data", LIMIT)


def test_a_circle_is_too_deep():
    circle: dict = {}
    circle["again"] = circle

    with pytest.raises(ValueError, match="deeper than 64"):
        encode_object(circle, "data", LIMIT)


def test_a_long_place_is_cut():
    value: dict = {}
    for _ in range(100):
        value = {"k" * 1000: value}

    with pytest.raises(ValueError, match="deeper") as refused:
        encode_object(value, "data", LIMIT)

    assert len(str(refused.value)) < 200


def test_the_size_is_bytes_of_json():
    assert len(encode_object({"a": "é" * 10}, "data", 28)) == 28
    with pytest.raises(PayloadTooLarge, match="data is 28 bytes of JSON; at most 27"):
        encode_object({"a": "é" * 10}, "data", 27)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (b'{"a":1,"b":2}', b'{"b":2,"a":1}', True),
        (b'{"a":{"x":1,"y":2}}', b'{"a": {"y": 2, "x": 1}}', True),
        (b'{"a":[1,2]}', b'{"a":[2,1]}', False),
        (b'{"a":1}', b'{"a":1.0}', False),
        (b'{"a":"1"}', b'{"a":1}', False),
        (b'{"a":null}', b"{}", False),
    ],
)
def test_equal_content_has_one_canonical_text(one, other, same):
    assert (canonical(one) == canonical(other)) is same


def test_text_is_checked_for_what_no_store_can_hold():
    assert check_text("\x00é\U0001f600", "message") == "\x00é\U0001f600"
    with pytest.raises(ValueError, match="message"):
        check_text("\udc00", "message")
    with pytest.raises(TypeError, match="message"):
        check_text(b"x", "message")


LONG = "k" * 5000


@pytest.mark.parametrize(
    "value",
    [
        {LONG: float("nan")},
        {LONG: 2**64},
        {LONG: "\ud800"},
        {LONG: b"x"},
        {LONG: {5: 1}},
        {LONG: {"\ud800": 1}},
        {"a": {(LONG,): 1}},
        {10**5000: 1},
    ],
    ids=["nan", "integer", "text", "bytes", "in-place", "key-text", "key", "huge-key"],
)
def test_a_refusal_repeats_little_of_a_long_key(value):
    with pytest.raises((TypeError, ValueError), match=r"data") as refused:
        encode_object(value, "data", 100_000)

    assert len(str(refused.value)) < 250


def test_what_is_cut_ends_with_an_ellipsis():
    with pytest.raises(ValueError, match=r"^data\.k{74}… is an integer beyond 64 bits$"):
        encode_object({LONG: 2**64}, "data", 100_000)
