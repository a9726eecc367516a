"""Messages of the ancestors' bus, byte by byte as each generation sends them."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from messageflow.api.bus_messages import read_bus_message
from messageflow.api.calls import BroadcastPushCall, PushCall
from messageflow.core.json import UnsafeJSON

OBJECT = msgspec.Raw(b'{"a": 1}')


@pytest.mark.parametrize(
    "parts",
    [
        [b'0 {"user": "7", "id": "T", "data": {"a": 1}}'],  # message_flow, 2015
        [b'0 {"username": "7", "id": "T", "data": {"a": 1}}'],  # and 2016
        [b'0 {"user": "7", "action": "T", "payload": {"a": 1}}'],  # cesium_web, 2016
        [b'{"user_id": "7", "actionType": "T", "payload": {"a": 1}}'],
        [b"7", b'{\n  "username": "7",\n  "action": "T",\n  "payload": {"a": 1}\n}'],  # cesium_web, 2017
        [b"7", b'{"username": "7", "actionType": "T", "payload": {"a": 1}}'],  # baselayer before 2020
        [b"7", b'{"user_id": 7, "actionType": "T", "payload": {"a": 1}}'],  # and since
    ],
)
def test_each_generation_is_read(parts: list[bytes]) -> None:
    assert read_bus_message(parts) == PushCall("7", "T", OBJECT)


def test_the_first_part_says_for_whom_and_a_star_there_alone_is_everyone() -> None:
    message = b'{"username": "*", "action": "T"}'
    assert read_bus_message([b"*", message]) == BroadcastPushCall("T", msgspec.Raw(b"{}"))
    assert read_bus_message([b"8", message]) == PushCall("8", "T", msgspec.Raw(b"{}"))
    assert read_bus_message([b"0 " + message]) == PushCall("*", "T", msgspec.Raw(b"{}"))  # whom the API knows not


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [b""],
        [b"0 "],
        [b"7", b"null"],
        [b"7", b'{"action": 1}'],
        [b"7", b'{"action": "T", "payload": NaN}'],
        [b"7", b'{"action": "T\xff"}'],
        [b"\xff", b'{"action": "T"}'],
        [b"7", b'{"action": "T", "payload": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"],
        [b"7", b'{"action": "T"}', b""],
    ],
)
def test_what_is_no_message_is_refused_in_a_sentence(parts: list[bytes]) -> None:
    with pytest.raises(UnsafeJSON) as refused:
        read_bus_message(parts)
    assert str(refused.value)


@given(st.lists(st.binary(), max_size=3))
def test_any_bytes_are_a_message_or_refused(parts: list[bytes]) -> None:
    try:
        assert read_bus_message(parts)
    except UnsafeJSON:
        pass
