"""Bytes that are no JSON travel as JSON, and come out as they were."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from messageflow.core.json import check_readable
from messageflow.core.opaque_bytes import unwrap, wrap


@pytest.mark.parametrize("data", [b"{}", b'"text"', b"5", b"null", b'{"$bytes":5}', b' {"a": [1, 2]}'])
def test_json_is_what_it_is(data: bytes) -> None:
    assert wrap(data) == data == unwrap(data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"boom", id="text"),
        pytest.param(b"\x00\xff", id="not UTF-8"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"NaN", id="what some take for a number"),
        pytest.param(b"1e999", id="a number larger than any"),
        pytest.param(b"[" * 40 + b"]" * 40, id="deeper than it may be"),
        pytest.param(b'"\\ud800"', id="half a character"),
        pytest.param(b"{}{}", id="two values"),
    ],
)
def test_what_is_no_json_is_wrapped(data: bytes) -> None:
    wrapped = wrap(data)
    assert list(msgspec.json.decode(wrapped)) == ["$bytes"]
    assert unwrap(wrapped) == data


@pytest.mark.parametrize(
    "data",
    [
        b'{"$bytes":"not base64"}',
        b'{"$bytes":"AP8"}',
        b'{"$bytes":"AP8=", "more":1}',
        b'{"$bytes":"AP8=","more":"AP8="}',
        b'{"$bytes": "AP8="}',
    ],
)
def test_what_only_looks_like_it_is_left_alone(data: bytes) -> None:
    assert unwrap(data) == data


@given(st.binary(max_size=40))
def test_any_bytes_come_out_as_they_were(data: bytes) -> None:
    check_readable(wrap(data))
    assert unwrap(wrap(data)) == data
