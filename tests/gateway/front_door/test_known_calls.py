"""Heads of calls that were let in: the same head again is the same call again, and no other is let in by it."""

from __future__ import annotations

import asyncio

import pytest

from messageflow.api.api import Answer
from messageflow.gateway.api_endpoint import ApiEndpoint, ApiKey
from messageflow.gateway.front_door import known_calls
from messageflow.gateway.front_door.front_door import FrontDoor
from messageflow.gateway.front_door.http_limits import HttpLimits
from messageflow.gateway.front_door.known_calls import HEAD_BYTES
from messageflow.gateway.front_door.routes import Routes
from messageflow.gateway.paths import Paths
from tests.gateway.front_door.conftest import Wire
from tests.gateway.front_door.test_http_connection import bodies, statuses
from tests.waiting import until


class _Told:
    """Answers with what it was told; some of it later."""

    async def call(self, method: str, body: bytes) -> tuple[int, bytes]:
        await asyncio.sleep(0)
        return 200, b"later %b" % body

    def start(self, method: str, body: bytes, answer: Answer) -> bool:
        if body.startswith(b"w"):
            return False
        if body.startswith(b"z"):
            asyncio.get_running_loop().call_soon(answer, 200, b"soon %b" % body)
        else:
            answer(200, b"%b %b" % (method.encode(), body))
        return True


@pytest.fixture
async def door(limits: HttpLimits) -> FrontDoor:
    endpoint = ApiEndpoint(_Told(), ApiKey("key"), Paths("/", guest=True), limits)
    return FrontDoor(Routes({}, {}, endpoint), limits, lambda *, handshake: None)


def call(body: bytes, *lines: bytes, method: bytes = b"push", key: bytes = b"key") -> bytes:
    size = b"Content-Length: %d" % len(body)
    head = (b"POST /api/%b HTTP/1.1" % method, b"Host: here", b"X-API-Key: " + key, size, *lines)
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def is_known(door: FrontDoor, request: bytes) -> bool:
    return door.known_calls.get(request[: request.index(b"\r\n\r\n") + 4]) is not None


async def test_the_same_head_again_is_the_same_call(door: FrontDoor) -> None:
    one, other = Wire(door), Wire(door)
    assert bodies(one.receive(call(b"a"))) == [b"push a"]
    assert is_known(door, call(b"b"))
    for wire in (one, other, one):
        assert bodies(wire.receive(call(b"b"))) == [b"push b"]
        assert bodies(wire.receive(call(b"c", method=b"publish"))) == [b"publish c"]
    assert not is_known(door, call(b"two"))


async def test_what_has_to_wait_keeps_its_place(door: FrontDoor) -> None:
    wire = Wire(door)
    wire.receive(call(b"1"))
    for piece in (call(b"w"), call(b"2"), call(b"w") + call(b"3"), call(b"z"), call(b"4"), call(b"5")):
        wire.receive(piece)
    await until(lambda: len(bodies(wire.written)) == 8)
    told = [b"push 1", b"later w", b"push 2", b"later w", b"push 3", b"soon z", b"push 4", b"push 5"]
    assert bodies(wire.written) == told


async def test_nobody_is_answered_who_has_gone(door: FrontDoor) -> None:
    wire = Wire(door)
    wire.receive(call(b"1"))
    wire.receive(call(b"z"))
    wire.connection.connection_lost(None)
    await asyncio.sleep(0)
    assert bodies(wire.written) == [b"push 1"]


@pytest.mark.parametrize("at", range(1, len(call(b"ab"))))
async def test_it_may_be_cut_anywhere(door: FrontDoor, at: int) -> None:
    wire = Wire(door)
    wire.receive(call(b"xy"))
    wire.receive(call(b"ab")[:at])
    wire.receive(call(b"ab")[at:])
    assert bodies(wire.receive(call(b"cd") + call(b"ef"))) == [b"push cd", b"push ef"]
    assert bodies(wire.written) == [b"push xy", b"push ab", b"push cd", b"push ef"]


async def test_nobody_else_is_let_in(door: FrontDoor) -> None:
    Wire(door).receive(call(b"a"))
    for key in (b"kex", b"key2", b""):
        wire = Wire(door)
        assert statuses(wire.receive(call(b"a", key=key))) == [401]
        assert not is_known(door, call(b"a", key=key))
    long = call(b"a", b"X-Long: " + b"x" * HEAD_BYTES)
    assert bodies(Wire(door).receive(long)) == [b"push a"]
    assert not is_known(door, long)


@pytest.mark.parametrize("lines", [(b"Connection: close",), (b"Expect: 100-continue",)])
async def test_the_connection_ends_or_goes_on_as_its_head_says(door: FrontDoor, lines: tuple[bytes, ...]) -> None:
    for _ in range(2):
        wire = Wire(door)
        assert bodies(wire.receive(call(b"a", *lines))) == [b"push a"]
        assert wire.closed is (lines == (b"Connection: close",))


async def test_there_are_never_too_many(door: FrontDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_calls, "MOST", 3)
    wire = Wire(door)
    for size in range(1, 9):
        wire.receive(call(b"x" * size))
    known = [size for size in range(1, 9) if is_known(door, call(b"x" * size))]
    assert 8 in known
    assert len(known) <= 3


async def test_who_is_answered_at_once_waits_for_the_next_head_as_any_other(door: FrontDoor) -> None:
    Wire(door).receive(call(b"a"))
    wire = Wire(door)
    assert wire.connection in door._heads
    wire.receive(call(b"a"))
    assert (wire.connection in door._heads, wire.connection in door._idle) == (False, True)
    wire.receive(call(b"w"))
    assert (wire.connection in door._heads, wire.connection in door._idle) == (False, False)
    await until(lambda: wire.connection in door._idle)
