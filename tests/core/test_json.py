"""JSON that enters: its depth, its lines, its keys."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from messageflow.core.json import (
    MAX_DEPTH,
    UnsafeJSON,
    check_depth,
    check_readable,
    check_untrusted,
    compact,
    is_surely_unambiguous,
)


@pytest.mark.parametrize(
    ("data", "deep"),
    [
        (b"{}", 1),
        (b'[{"a":[]}]', 3),
        (b'{"a":"[[[["}', 1),
        (rb'["\"[[[", []]', 2),
        (b"[],[]", 1),
    ],
)
def test_depth_counts_what_is_open_at_once_outside_of_strings(data: bytes, deep: int) -> None:
    check_depth(data, deep)
    with pytest.raises(UnsafeJSON, match="nested deeper"):
        check_depth(data, deep - 1)
    check_depth(b"1", 0)


def test_the_deepest_that_is_allowed_passes_and_one_more_does_not() -> None:
    check_depth(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    with pytest.raises(UnsafeJSON, match="nested deeper"):
        check_depth(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))


def test_many_brackets_beside_one_another_are_not_deep() -> None:
    check_depth(b"[" + b"[]," * 100 + b"[]]")


@pytest.mark.parametrize("ending", [b"\n", b"\r", b"\r\n"])
def test_a_line_break_between_tokens_goes(ending: bytes) -> None:
    assert compact(b'{"a":' + ending + b"1}") == b'{"a":1}'


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"a":1,"a":2}', "same key"),
        (b'{"m":{"a":1,"a":2}}', "same key"),
        (b'[{"a":1},{"b":{"a":1}},' + b"9" * 5000 + b"]", "4300 digits"),
        (b'{"a":NaN}', "NaN"),
        (b"[-Infinity]", "Infinity"),
        (b"{", "not JSON"),
        (b'"\xff"', "not UTF-8 at byte 1"),
    ],
)
def test_what_a_receiver_could_not_read_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(UnsafeJSON, match=reason):
        check_untrusted(data)


@pytest.mark.parametrize(
    "data", [b'{"m":{"data":{"a":1,"a":2}}}', b'{"m":[{"a":1,"a":2}]}', b'{"a":{"a":1},"b":{"a":1}}']
)
def test_a_key_twice_in_data_is_the_receivers_to_read(data: bytes) -> None:
    check_untrusted(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (rb'"well done \ud83d"', "middle of a character"),
        (rb'{"\udc00":1}', "middle of a character"),
        (rb'["\ud83d\u0041"]', "middle of a character"),
        (b"[1e999]", "larger than any"),
        (b"[-1e400]", "larger than any"),
        (b"9" * 5000, "larger than any"),
        (b"[" * 33 + b"]" * 33, "deeper than 32"),
    ],
)
def test_data_that_some_receiver_could_not_read_is_refused_with_a_sentence(data: bytes, reason: str) -> None:
    with pytest.raises(UnsafeJSON, match=reason):
        check_readable(data)


@pytest.mark.parametrize(
    "data",
    [
        rb'"\ud83d\ude00"',
        rb'"\u0000\\ud83d"',
        b'"\xf0\x9f\x98\x80"',
        b"1e-999",
        b"9" * 300,
        b'{"a":1,"a":2}',
        b"[" * 32 + b"]" * 32,
    ],
)
def test_data_that_everybody_can_read_passes(data: bytes) -> None:
    check_readable(data)


scalars = st.sampled_from(
    [
        '"a"',
        '"b"',
        '"\\u0061"',
        '"\t"',
        '"é"',
        "1",
        "01",
        "1.",
        "1e999",
        "-",
        "NaN",
        "-Infinity",
        "null",
        "nul",
        "9" * 5000,
        "{",
    ]
)


def write_object(pairs: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{key}:{value}" for key, value in pairs) + "}"


lines = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(st.tuples(st.sampled_from(['"a"', '"b"', '"c"', '"\\u0061"']), inner), max_size=3).map(write_object),
        st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]"),
    ),
    max_leaves=6,
)


@given(lines)
def test_what_is_surely_unambiguous_is_refused_by_no_closer_look(line: str) -> None:
    data = line.encode()
    if is_surely_unambiguous(data):
        try:
            msgspec.json.decode(data, type=msgspec.Raw)
        except msgspec.DecodeError:
            return
        check_untrusted(data)


def test_an_ordinary_command_is_surely_unambiguous() -> None:
    assert is_surely_unambiguous(b'{"id": 1, "connect": {"token": "abc.def", "subs": {}}}')
    assert not is_surely_unambiguous(b'{"id":1,"id":2}')
    assert not is_surely_unambiguous(rb'{"id":1,"\u0069d":2}')
    assert not is_surely_unambiguous(b"9" * 4097)
