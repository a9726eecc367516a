"""The slots of a Cluster are read from what its servers say, and each key is found where its slot is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messageflow.brokers.redis.connections.url import Address
from messageflow.brokers.redis.topology.slot_map import SLOTS, SlotMap, SlotRange, read_slots, slot_of

ASKED = Address("asked", 7000)
ONE, OTHER = Address("one", 1), Address("two", 2)
WHOLE = [SlotRange(0, 8191, ONE), SlotRange(8192, SLOTS - 1, OTHER)]
MAP = SlotMap.from_ranges(WHOLE, lambda address: address)


def test_ranges_are_read_and_a_server_without_a_host_is_the_one_that_was_asked() -> None:
    rows = [[0, 8191, [b"one", 1, b"id"], [b"replica", 3, b"id"]], [8192, 16383, [b"", 2, b"id"]]]
    assert read_slots(rows, ASKED) == [SlotRange(0, 8191, ONE), SlotRange(8192, 16383, Address("asked", 2))]
    assert read_slots([[0, 1, [None, 5]]], ASKED) == [SlotRange(0, 1, Address("asked", 5))]


@pytest.mark.parametrize("answer", [None, 7, b"text", [1], [[1, 2]], [[1, 2, []]], [[1, 2, [3, 4]]]])
def test_what_is_no_answer_is_said(answer: Any) -> None:
    with pytest.raises(ValueError, match="does not tell its slots"):
        read_slots(answer, ASKED)


def test_keys_with_the_same_tag_have_one_slot() -> None:
    assert slot_of("foo") == 12182
    assert slot_of("a:{foo}:state") == slot_of("b:{foo}:log") == 12182


def test_a_map_knows_whether_it_is_whole_and_whom_it_has() -> None:
    found = SlotMap.from_ranges(WHOLE, str)
    assert found.is_whole
    assert found.servers == ["one:1", "two:2"]
    partial = SlotMap.from_ranges(WHOLE[1:], str)
    assert not partial.is_whole
    assert partial.servers == ["two:2"]
    assert SlotMap[str]().find("foo") is None


def test_a_slot_that_moved_takes_all_keys_of_its_tag_along_and_no_other() -> None:
    found = SlotMap.from_ranges(WHOLE, str)
    assert found.find("{foo}1") == "two:2"
    found.move("{foo}2", "one:1")
    assert found.find("{foo}1") == "one:1"
    assert found.find("bar") == ("one:1" if slot_of("bar") < 8192 else "two:2")


@settings(deadline=None)
@given(key=st.text())
def test_every_key_is_found_where_its_slot_is(key: str) -> None:
    assert MAP.find(key) == (ONE if slot_of(key) < 8192 else OTHER)
