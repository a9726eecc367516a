"""One timer for many: each who is still there when their time is over is told once, in order."""

from __future__ import annotations

import asyncio
import math

from messageflow.gateway.front_door.deadlines import Deadlines
from tests.waiting import until


async def test_whose_time_is_over_is_told_once_and_whoever_left_is_not() -> None:
    told: list[str] = []
    enough = asyncio.Event()

    def expire(name: str) -> None:
        told.append(name)
        if name == "last":
            enough.set()

    deadlines = Deadlines(0.02, expire)
    for name in ("one", "two", "three"):
        deadlines.add(name)
    deadlines.discard("two")
    assert ("one" in deadlines, "two" in deadlines) == (True, False)
    deadlines.discard("nobody")
    await asyncio.sleep(0.005)
    deadlines.add("two")
    deadlines.add("last")
    await asyncio.wait_for(enough.wait(), 10)
    assert told == ["one", "three", "two", "last"]
    assert "one" not in deadlines


async def test_who_is_told_may_begin_again_and_take_others_out() -> None:
    told: list[str] = []
    twice = asyncio.Event()

    def expire(name: str) -> None:
        told.append(name)
        if told.count(name) == 1:
            deadlines.add(name)
        else:
            twice.set()

    deadlines = Deadlines(0.01, expire)
    deadlines.add("again")
    await asyncio.wait_for(twice.wait(), 10)
    assert told == ["again", "again"]


async def test_who_is_due_next_can_be_taken_out_and_is_not_told() -> None:
    told: list[str] = []
    last = asyncio.Event()

    def expire(name: str) -> None:
        told.append(name)
        last.set()

    deadlines = Deadlines(0.01, expire)
    assert deadlines.pop_first() is None
    for name in ("one", "two"):
        deadlines.add(name)
    assert deadlines.pop_first() == "one"
    await asyncio.wait_for(last.wait(), 10)
    assert (told, deadlines.pop_first()) == (["two"], None)


async def test_whose_time_begins_anew_is_told_after_those_who_came_meanwhile() -> None:
    told: list[str] = []
    deadlines = Deadlines(0.02, told.append)
    for name in ("one", "two", "one"):
        deadlines.add(name)
    await until(lambda: len(told) == 2)
    assert told == ["two", "one"]


async def test_time_without_end_is_kept_and_says_since_when() -> None:
    deadlines = Deadlines[str](math.inf, lambda _: None)
    assert deadlines.since == math.inf
    before = asyncio.get_running_loop().time()
    deadlines.add("one")
    after = asyncio.get_running_loop().time()
    deadlines.add("two")
    assert before <= deadlines.since <= after
    assert [deadlines.pop_first(), deadlines.pop_first()] == ["one", "two"]
